"""Turns out of a session's states, where the model tells no events: speech-to-text pipelines, and realtime models that are not OpenAI's.

Less is known this way, so it is labelled ``state``: the sound is the first frame given to the audio output, not the first that arrived;
a stop is the local voice detection's, told later and dated back; no response, token or message id is seen. So is what an agent says
without its model, which tells nothing of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tracing.turn import AnswerTurn, HeardTurn


@dataclass(slots=True)
class StateTracker:
    """Follows one call by the states of its user and its agent. Times are monotonic nanoseconds.

    Args:
        new_key: makes span ids.
        on_heard: told of each finished turn of the caller.
        on_answer: told of each finished turn of the agent.
        deployment: of the session's model.
        agent_index: which agent of the call answers, from now on.
    """

    new_key: Callable[[], str]
    on_heard: Callable[[HeardTurn], None]
    on_answer: Callable[[AnswerTurn], None]
    deployment: str = ""
    agent_index: int = 0
    answer: AnswerTurn | None = None
    last: AnswerTurn | None = None
    _speech_ns: int = 0
    _stopped_ns: int = 0
    _sample: bool = False
    _typed_ns: int = 0

    def see_user(self, state: str, at: int) -> None:
        """The user's state became ``state``."""
        if state == "speaking":
            self._speech_ns, self._stopped_ns, self._typed_ns = at, 0, 0
            for turn in (self.answer, self.last):
                if turn is not None and not turn.told:
                    turn.cut = True
            if self.answer is not None and not self.answer.first_audio_ns:
                self._close("cancelled", at)  # the caller goes on: no sample
        elif self._speech_ns:
            began, self._speech_ns = self._speech_ns, 0
            at = max(at, began)
            self.on_heard(HeardTurn(began, at, (at - began) / 1e6))
            # Over an agent who goes on speaking, the next sound is not told, and whatever comes after it may answer something else.
            self._stopped_ns, self._sample = at, self.answer is None

    def see_agent(self, state: str, at: int) -> None:
        """The agent's state became ``state``."""
        if state == "speaking":
            turn = self.answer or self._open(at)
            if not turn.first_audio_ns:
                turn.first_audio_ns = at = max(at, turn.start_ns)
                if turn.origin == "vad" and self._sample:
                    turn.ttft_ns = max(0, at - turn.start_ns)
        elif state == "thinking":
            if self.answer is None:
                self._open(at)
        elif self.answer is not None:
            self._close("answered" if self.answer.first_audio_ns else "silent", at)

    def waits_since(self, stopped: int) -> None:
        """The caller waits since ``stopped`` for an answer that another agent's model owed; 0 if for none."""
        if stopped and not self._stopped_ns and self.answer is None:
            self._stopped_ns, self._sample = stopped, True

    def cut(self) -> None:
        """The agent was cut short: a caller who had stopped by then waits for an answer since."""
        self._sample = True

    def typed(self, now: int) -> None:
        """The caller's message joined the conversation; who neither speaks nor waits for an answer has typed it."""
        if not self._speech_ns and not self._stopped_ns and self.answer is None:
            self._typed_ns = now

    def current(self, now: int) -> AnswerTurn | None:
        """The turn a tool that starts now belongs to."""
        if self.answer is None and self._stopped_ns:
            self._open(now)
        if self.answer is not None:
            self.answer.tool_calls += 1
        return self.answer or self.last

    def broke_in(self) -> None:
        """The caller speaks; the model tells when, but not over what the agent says without it."""
        if self.answer is not None:
            self.answer.cut = True

    def drop(self, now: int) -> None:
        """The model tells its own events after all: they say it better. What is heard by then is not the model's, and ends by itself."""
        if self.answer is not None and not self.answer.first_audio_ns:
            if self.answer.tool_calls:  # a tool's span stands under it
                self._close("silent", now)
            self.answer = None
        self._speech_ns = self._stopped_ns = self._typed_ns = 0

    def finish(self, now: int) -> None:
        """The call is over, or another agent's model tells its events."""
        if self._speech_ns:
            self.on_heard(HeardTurn(self._speech_ns, max(now, self._speech_ns), max(0, now - self._speech_ns) / 1e6, "open"))
        self._close("open", now)
        self.drop(now)

    def _open(self, at: int) -> AnswerTurn:
        stopped, typed = self._stopped_ns, self._typed_ns
        self._stopped_ns = self._typed_ns = 0
        start, origin = (stopped if self._sample else at, "vad") if stopped else (typed, "text") if typed else (at, "agent")
        self.answer = AnswerTurn(self.new_key(), start, origin, "state", self.agent_index, self.deployment)
        return self.answer

    def _close(self, outcome: str, at: int) -> None:
        turn, self.answer = self.answer, None
        if turn is not None:
            turn.end_ns, turn.outcome, self.last = max(at, turn.start_ns, turn.first_audio_ns), outcome, turn
            self.on_answer(turn)
