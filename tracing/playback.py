"""A finished answer is still being heard: audio is made faster than it sounds. It is told once it is known whether the caller cut it short.

The model has done its answer seconds before the caller has heard it; a caller who breaks in then changes no event of the model's answer.
LiveKit tells of it when the sound is over: with the message it adds to the conversation, or with the truncation it asks the model for.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Final

from tracing.turn import AnswerTurn

if TYPE_CHECKING:
    import asyncio

LOOK_S: Final = 0.5
"""An agent that does not speak for this long has nothing of the answer left to be heard, message or not."""
HELD_S: Final = 30.0
"""No answer is held longer after the model has done it; then it is told as it stands."""
HELD_MAX: Final = 8
"""Answers held at once; the oldest is told first."""


class Playback:
    """Holds the finished answers of one call while they are heard, in order.

    Args:
        tell: told of each answer, once.
    """

    def __init__(self, tell: Callable[[AnswerTurn], None]) -> None:
        self._tell = tell
        self._held: list[tuple[AnswerTurn, float]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._speaking, self._quiet_since = False, 0.0

    def hold(self, turn: AnswerTurn) -> None:
        """Take a finished answer. Without sound, or where its sound is over already, it is told at once, after those before it."""
        self._held.append((turn, time.monotonic()))
        if not turn.first_audio_ns or (turn.played and turn.played == turn.last_response) or not self._arm():
            self._release(len(self._held))
        else:
            self._release(len(self._held) - HELD_MAX)

    def speaks(self, speaking: bool) -> None:
        """The agent began or ceased to be heard."""
        if self._speaking and not speaking:
            self._quiet_since = time.monotonic()
        self._speaking = speaking

    @property
    def holds(self) -> bool:
        """Whether an answer is held."""
        return bool(self._held)

    def find(self, key: str) -> AnswerTurn | None:
        """The held answer with this span id."""
        return next((turn for turn, _ in self._held if turn.key == key), None)

    def cut(self, item: str) -> None:
        """The sound of an item was cut short."""
        for turn, _ in self._held:
            turn.interrupted |= item in turn.ids

    def over(self, ids: Collection[str], interrupted: bool) -> None:
        """The sound of a message is over.

        Args:
            ids: of the message and of its responses; an answer made out of states knows none, and is the oldest one held.
            interrupted: whether it was cut short.
        """
        for at, (turn, _) in enumerate(self._held):
            if turn.source == "state" or not turn.ids.isdisjoint(ids):
                turn.interrupted |= interrupted
                if turn.source == "state" or turn.last_response in ids:
                    self._release(at + 1)
                return

    def finish(self) -> None:
        """The call is over: tell all that is held."""
        self._release(len(self._held))

    def _release(self, count: int) -> None:
        for _ in range(count):
            turn, _since = self._held.pop(0)
            turn.interrupted &= turn.cut  # the end of the call, or the agent itself, cuts an answer short as well
            turn.told = True
            self._tell(turn)
        if not self._held and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self) -> bool:
        if self._timer is None:
            import asyncio  # noqa: PLC0415  # only where a loop runs already

            try:
                self._timer = asyncio.get_running_loop().call_later(LOOK_S, self._look)
            except RuntimeError:
                return False
        return True

    def _look(self) -> None:
        self._timer = None
        now = time.monotonic()
        ready = 0
        for at, (_, since) in enumerate(self._held):
            silent = not self._speaking and now - max(since, self._quiet_since) >= LOOK_S * 0.9
            if silent or now - since >= HELD_S:
                ready = at + 1
        self._release(ready)
        if self._held:
            self._arm()
