"""An option for a tool whose span should be exact: `guarded_tool`, below LiveKit's decorator.

Spans of tools need no wrapping; they are made from the session's events. A wrapped tool adds what those do not tell: when the function
itself began and ended, the class of whatever it raised, and whether it gave the call to another agent. A function that runs outside
LiveKit's tools has no events; wrapped, it has a span of its own under the call, without content, where it runs on the call's own thread and
in a context of the call attached last. A function that a tool awaits has none: the tool's span holds its time.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import sys
import time
from collections import OrderedDict
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, Protocol, TypeVar, cast, overload
from weakref import ReferenceType, ref

from tracing.faults import current_task

_NOTES_MAX: Final = 256
"""Notes kept for calls nobody asks about, such as those of a session without a tracer."""
_NAME_MAX: Final = 64
_ITEMS_MAX: Final = 1_000  # of a result are looked at for an agent: a long list must not hold up the loop
# LiveKit's mark on the tasks in which it runs a tool. It is the library's own (1.8.9); where it is missing, only a tool that takes a
# RunContext is known for the call it serves.
_MARK: Final = "__livekit_agents_activity_task"

Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(slots=True)
class Note:
    """What a wrapped tool's run showed; times are monotonic nanoseconds, ``end_ns`` is 0 while it runs."""

    start_ns: int
    end_ns: int = 0
    error_type: str = ""
    handoff: bool = False


class Spans(Protocol):
    """Who makes spans for functions outside LiveKit's tools: the tracker of a call."""

    def begin_own(self, name: str) -> object:
        """A function begins; None where no span is wanted."""

    def end_own(self, run: Any, status: str, error_type: str) -> None:
        """It has ended."""


_notes: OrderedDict[str, Note] = OrderedDict()
_spans: ContextVar[ReferenceType[Spans] | None] = ContextVar("phi_guard_spans", default=None)


def take_note(call_id: str) -> Note | None:
    """What the wrapper saw of this call of a tool, None if the tool is not wrapped or still runs. Forgets it."""
    note = _notes.get(call_id)
    return _notes.pop(call_id, None) if note is not None and note.end_ns else None


def offer_spans(spans: Spans) -> None:
    """From here on in this context, functions outside LiveKit's tools get their spans there; it is not kept alive."""
    _spans.set(ref(spans))


@overload
def guarded_tool(function: Function, /) -> Function: ...
@overload
def guarded_tool(*, name: str) -> Callable[[Function], Function]: ...
def guarded_tool(function: Function | None = None, /, *, name: str = "") -> Function | Callable[[Function], Function]:
    """Make a tool's span exact. Put it below LiveKit's decorator: ``@function_tool`` above ``@guarded_tool`` above ``def``.

    Signature, hints and docstring stay, so the schema does too. What the function returns or raises passes through as it is. What is
    no plain function or coroutine function, such as an already decorated tool, is given back unchanged.

    Args:
        function: the tool's function or method, ``def`` or ``async def``.
        name: the tool's name where LiveKit is told another one than the function's.
    """
    if function is None:
        return lambda given: _wrap(given, name)
    return _wrap(function, name)


def _wrap(function: Function, name: str) -> Function:
    if not inspect.isfunction(function) or inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        return function
    tool = name or function.__name__

    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def run(*args: Any, **kwargs: Any) -> Any:
            end = _begin(tool, args, kwargs)
            try:
                result = await function(*args, **kwargs)
            except BaseException as raised:
                end(raised, None)
                raise
            end(None, result)
            return result
    else:

        @functools.wraps(function)
        def run(*args: Any, **kwargs: Any) -> Any:
            end = _begin(tool, args, kwargs)
            try:
                result = function(*args, **kwargs)
            except BaseException as raised:
                end(raised, None)
                raise
            end(None, result)
            return result

    return cast("Function", run)


_End = Callable[[BaseException | None, Any], None]


def _begin(tool: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> _End:
    """Note a beginning; gives what notes the end. Neither raises, whatever it meets."""
    try:
        call = _call(args, kwargs)
        if call is not None:
            # A wrapped function that a tool calls is not the tool; nor is a second run inside the first.
            return _note(call.call_id) if call.name == tool and call.call_id not in _notes else _nothing
        found = _spans.get()
        spans = found() if found is not None else None
        run = spans.begin_own(tool) if spans is not None else None
        return _nothing if spans is None or run is None else _own(spans, run)
    except Exception:  # noqa: BLE001  # telemetry may fail, the tool may not
        return _nothing


def _note(call_id: str) -> _End:
    note = _notes[call_id] = Note(time.monotonic_ns())
    while len(_notes) > _NOTES_MAX:
        _notes.popitem(last=False)

    def end(raised: BaseException | None, result: Any) -> None:
        with contextlib.suppress(Exception):
            note.error_type = _class_of(raised)
            note.handoff = _hands_off(result)
            note.end_ns = time.monotonic_ns()

    return end


def _own(spans: Spans, run: object) -> _End:
    def end(raised: BaseException | None, result: Any) -> None:  # noqa: ARG001
        with contextlib.suppress(Exception):
            kind = _class_of(raised)
            spans.end_own(run, "ok" if raised is None else "cancelled" if kind == "CancelledError" else "error", kind)

    return end


def _nothing(raised: BaseException | None, result: Any) -> None:
    pass


def _call(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """LiveKit's FunctionCall that runs here: out of the tool's RunContext, else off the task; None outside a tool."""
    for given in (*args, *kwargs.values()):
        call = getattr(given, "function_call", None) if type(given).__name__ == "RunContext" else None
        if isinstance(getattr(call, "call_id", None), str):
            return call
    call = getattr(getattr(current_task(), _MARK, None), "function_call", None)
    return call if isinstance(getattr(call, "call_id", None), str) else None


def _class_of(raised: BaseException | None) -> str:
    return "" if raised is None else type(raised).__name__[:_NAME_MAX]


def _hands_off(result: Any) -> bool:
    """Whether LiveKit will find an agent in what a tool returned. LiveKit is not imported for it: where it is not, there is no agent."""
    agent = getattr(sys.modules.get("livekit.agents"), "Agent", None)
    if agent is None:
        return False
    return isinstance(result, agent) or (
        isinstance(result, list | tuple | set | frozenset) and any(isinstance(item, agent) for item in islice(result, _ITEMS_MAX))
    )
