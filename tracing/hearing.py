"""What is heard of one call: its turns, out of its models' events where they tell any, out of the session's states where they do not.

A call may talk through several realtime sessions, one after the other as its agents hand over; each has a tracker of its own, so that the
last words of one do not disturb the next one's turn.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, Final, Protocol

from tracing.identity import new_id
from tracing.lag import LoopLag
from tracing.playback import Playback
from tracing.realtime import UNDECIDED_MAX, Line, uses
from tracing.states import StateTracker
from tracing.turn import AnswerTurn, HeardTurn
from tracing.turns import HANDLED, HANDLED_CLIENT, TurnTracker

LINES_MAX: Final = 8
"""Realtime sessions of a call that are listened to at once; an agent that has handed over has said its last words by then."""
SAYS_MAX: Final = 8
"""Sentences without a model that wait to be spoken."""


class Subscribe(Protocol):
    """Has ``take`` told of an emitter's event and gives what ends that; nothing ``take`` raises comes through."""

    def __call__(self, emitter: Any, name: str, take: Callable[[Any], None], /) -> Callable[[], object]: ...


class Hearing:
    """Listens to one call.

    Args:
        subscribe: how events are subscribed to.
        on_heard: told of each finished turn of the caller.
        on_answer: told of each finished turn of the agent, once its sound is over.

    Attributes:
        session: the call's AgentSession.
        reconnects: how often a connection to a model was made anew.
        handoffs: how often one agent gave the call to another.
        line: the realtime session that is talked through, or was last.
    """

    def __init__(self, subscribe: Subscribe, on_heard: Callable[[HeardTurn], None], on_answer: Callable[[AnswerTurn], None]) -> None:
        self.session: Any = None
        self.reconnects = self.handoffs = 0
        self.line: Line | None = None
        self._subscribe, self._on_heard = subscribe, on_heard
        self._lag = LoopLag()
        self._playback = Playback(on_answer)
        self._states = StateTracker(new_id, on_heard, self._playback.hold)
        self._lines: list[Line] = []
        self._told = False  # whether the agent that runs now has a model that tells events
        self._by_states = False  # whether the agent before had none
        self._says = 0  # what the agent will say without its model

    # -- realtime sessions ---------------------------------------------------------------------------------------------------------

    def meet(self, deployment: str, made: Any, sure: bool) -> None:
        """A realtime session was made: this call's for sure, or perhaps."""
        tracker = TurnTracker(new_id, self._on_heard, self._playback.hold, deployment, self._lag, self.handoffs)
        line = Line(made, tracker, True if sure else None, self.handoffs)
        self._lines.append(line)
        for old in self._lines[:-LINES_MAX]:
            if old is not self.line:
                old.tracker.finish(time.monotonic_ns())
                self._leave(old)
        for name, take in (
            ("openai_server_event_received", lambda event: self._on_server(line, event)),
            ("openai_client_event_queued", lambda event: self._on_client(line, event)),
            ("session_reconnected", lambda _: self._on_reconnected(line)),
        ):
            line.undo.append(self._subscribe(made, name, take))

    def _on_server(self, line: Line, event: Mapping[str, object]) -> None:
        kind = event.get("type")
        if kind not in HANDLED:
            return
        now = time.monotonic_ns()
        if line.ours is not True and not self._is_ours(line):
            return
        if not self._told or kind == "response.created":
            self._goes_on(line, now)
        line.tracker.see_server(event, now)

    def _on_client(self, line: Line, event: Mapping[str, object]) -> None:
        if event.get("type") not in HANDLED_CLIENT:
            return
        now = time.monotonic_ns()
        if line.ours is True or self._is_ours(line):
            cut = line.tracker.see_client(event, now)
            if cut:
                self._playback.cut(cut)

    def _on_reconnected(self, line: Line) -> None:
        if self._is_ours(line):
            self.reconnects += 1
            line.tracker.reconnected(time.monotonic_ns())

    def _is_ours(self, line: Line) -> bool:
        """Whether a line is this call's; one that proves to be another's is heard no more."""
        if line.ours is None:
            line.looks += 1
            used = uses(self.session, line.made)
            if used or (used is None and len(self._lines) == 1):
                line.ours = True
            elif line.looks >= UNDECIDED_MAX:
                line.ours = False
                self._leave(line)
        return line.ours is True

    def _leave(self, line: Line) -> None:
        self._lines.remove(line)
        for undo in line.undo:
            undo()
        line.undo.clear()
        line.made = None  # it holds what was said

    def _goes_on(self, line: Line, now: int) -> None:
        """Take a line for the one that is talked through, if the agent that runs now uses it."""
        if line.since != self.handoffs and uses(self.session, line.made) is False:
            return  # the last words of an agent that has handed over
        if not self._told:
            self._told = True
            if self._by_states:  # the agent before was followed by its states
                self._states.finish(now)
            self._states.drop(now)
        before, self.line = self.line, line
        if before is not None and before is not line:
            line.tracker.take_over(before.tracker, now)
        line.tracker.agent_index = self.handoffs

    # -- the session's own events --------------------------------------------------------------------------------------------------

    def user_became(self, state: str, at: int) -> None:
        """The user's state changed, ``at`` monotonic nanoseconds."""
        if not self._told:
            self._states.see_user(state, at)
        elif state == "speaking":
            self._states.broke_in()

    def agent_became(self, state: str, at: int) -> None:
        """The agent's state changed, ``at`` monotonic nanoseconds."""
        self._playback.speaks(state == "speaking")
        if not self._told:
            if self.line is not None and state in {"thinking", "speaking"}:
                self._states.waits_since(self.line.tracker.waits_since)
                if state == "speaking":  # not before: another model's events may still come, and take the wait over
                    self.line.tracker.give_up(at)
            self._states.see_agent(state, at)
        elif self._states.answer is not None:  # what it says without its model
            if state != "speaking":
                self._states.see_agent("listening", at)
        elif state == "speaking" and self._says and not self._sounds():
            self._says -= 1
            self._states.see_agent("speaking", at)

    def will_say(self) -> None:
        """The agent will say something that its model does not make, and tells nothing of."""
        self._says = min(self._says + 1, SAYS_MAX)

    def _sounds(self) -> bool:
        """Whether what is heard now comes from a model."""
        return self._playback.holds or any(turn.first_audio_ns for turn in self._open())

    def handed_off(self, now: int, deployment: str, *, first: bool) -> None:
        """An agent begins, the first of the call or the next one; its model is asked for a session now, or goes on in the one it has."""
        if not first:
            self.handoffs += 1
            self._by_states = not self._told
            if self.line is not None:
                self.line.tracker.handed_off(now)
        self._states.agent_index, self._states.deployment = self.handoffs, deployment
        self._told = False  # until the new agent's model tells an event

    def said(self, item: str, now: int) -> None:
        """The caller's message joined the conversation."""
        if self.line is not None:
            self.line.tracker.typed(item)
        if not self._told:
            self._states.typed(now)

    def played(self, ids: Collection[str], interrupted: bool) -> None:
        """The sound of one of the agent's messages is over.

        Args:
            ids: of the message and of the responses it came from.
            interrupted: whether it was cut short.
        """
        if interrupted:
            self._states.cut()
        for turn in self._open():
            if not turn.ids.isdisjoint(ids):
                turn.interrupted |= interrupted
                turn.played = turn.last_response if turn.last_response in ids else turn.played
                return
        answer = self._states.answer
        if answer is not None:  # a pipeline tells of the message before the state, so that nothing of this turn is heard any more
            answer.interrupted |= interrupted
            answer.last_response = answer.played = "played"
            return
        self._playback.over(ids, interrupted)

    def no_reply(self, now: int) -> None:
        """The tools that ran asked for no answer."""
        if self.line is not None:
            self.line.tracker.no_reply(now)

    # -- tools and the end ---------------------------------------------------------------------------------------------------------

    def turn(self, now: int) -> AnswerTurn | None:
        """The agent's turn that a tool which starts now belongs to."""
        turn = None if self._told else self._states.current(now)
        if turn is None and self.line is not None:
            turn = self.line.tracker.answer or self.line.tracker.last
        return turn

    def tool_ran(self, key: str, start_ns: int, end_ns: int) -> None:
        """A tool of the turn with this span id has run, as long as that turn is not told."""
        turn = next((turn for turn in self._open() if turn.key == key), None) or self._playback.find(key)
        if turn is not None:
            turn.add_tool(start_ns, end_ns)

    def finish(self, now: int) -> Iterator[Callable[[], None]]:
        """The call is over: what is left to do for it, each by itself, so that a fault in one keeps none of the others."""
        yield lambda: self._states.finish(now)
        for line in self._lines:
            if line.ours:
                yield lambda line=line: line.tracker.finish(now)  # type: ignore[misc]  # mypy cannot infer a lambda with a default
        yield self._playback.finish
        yield self._lag.rest
        yield self._forget

    def _forget(self) -> None:
        for line in self._lines:
            line.made = None
            line.undo.clear()
        self._lines.clear()
        self.session = None

    def _open(self) -> Iterator[AnswerTurn]:
        for turn in (self._states.answer, *(line.tracker.answer for line in self._lines)):
            if turn is not None:
                yield turn
