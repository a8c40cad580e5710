"""The realtime sessions of a call: which model makes them, whose they are, and what each of them tells.

One model object may serve many calls of a process. It is hooked once, and each session it makes is given to the call that it is for:
LiveKit tells a call of the agent that takes over right before it asks that agent's model for a session, in the same task. What was asked
for in no such moment is given to the call whose running agent turns out to use it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Final

from tracing.turns import TurnTracker

asking: Final[ContextVar[str]] = ContextVar("phi_guard_asking_call", default="")
"""Id of the call whose agent is about to ask its model for a session, in this task."""
UNDECIDED_MAX: Final = 64
"""A session that nobody has recognised after so many of its events is taken for another call's."""

Meet = Callable[[Any, bool], None]
"""Told of a session that was made, and whether it is for sure this call's."""


@dataclass(slots=True)
class Line:
    """One realtime session, and the turns in it.

    Args:
        made: the session LiveKit talks through.
        tracker: follows its turns.
        ours: None until it is known whether it is this call's.
        since: how many hand-offs there had been when it was made.
        looks: how often it was asked whose it is.
        undo: ends the subscriptions to it.
    """

    made: Any
    tracker: TurnTracker
    ours: bool | None
    since: int = 0
    looks: int = 0
    undo: list[Callable[[], object]] = field(default_factory=list)


class ModelHook:
    """Stands in for one model's ``session`` method, for all calls that use the model.

    Args:
        model: a LiveKit realtime model.
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        self._before = model.__dict__.get("session")
        self.__wrapped__ = model.session
        self._meet: dict[str, Meet] = {}

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Make a session as the model does, and show it to the call it is for. The agent gets it whatever becomes of ours."""
        made = self.__wrapped__(*args, **kwargs)
        with contextlib.suppress(Exception):
            self._show(made)
        return made

    def _show(self, made: Any) -> None:
        known = self._meet.get(asking.get())
        if known is not None:
            asking.set("")
            known(made, True)
            return
        for meet in tuple(self._meet.values()):
            meet(made, False)

    def leave(self, call: str) -> None:
        """A call listens no more; the last one to leave takes the hook away, unless somebody else has hooked over it."""
        self._meet.pop(call, None)
        if not self._meet and self._model.__dict__.get("session") is self:
            if self._before is None:
                del self._model.session
            else:
                self._model.session = self._before


def hook(model: Any, call: str, meet: Meet) -> ModelHook | None:
    """Have ``meet`` told of the sessions that ``model`` makes from now on for ``call``; None where it makes none."""
    make = getattr(model, "session", None)
    if isinstance(make, ModelHook):
        found = make
    elif callable(make):
        found = model.session = ModelHook(model)
    else:
        return None
    found._meet[call] = meet
    return found


def uses(session: Any, made: Any) -> bool | None:
    """Whether the agent that runs in an AgentSession now talks through ``made``; None where that cannot be asked."""
    try:
        return session.current_agent.realtime_llm_session is made
    except RuntimeError:  # no agent runs, or its model makes no sessions
        return False
    except AttributeError:
        return None


def deployment_of(model: Any) -> str:
    """The Azure deployment a model was made for, or nothing."""
    name = getattr(getattr(model, "_opts", None), "azure_deployment", None)
    return name if isinstance(name, str) else ""
