"""Who spoke when, and how long until the first sound of an answer, out of the model's raw events. Reads no content.

TTFT-A is the first audio delta of an answer minus ``input_audio_buffer.speech_stopped``, both stamped on this process's monotonic clock,
because the events carry no time of their own. Both dialects of event names are understood. O(1) per event.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

AUDIO_DELTAS: Final = frozenset({"response.output_audio.delta", "response.audio.delta"})
HANDLED: Final = AUDIO_DELTAS | {
    "session.created",
    "session.updated",
    "input_audio_buffer.speech_started",
    "input_audio_buffer.speech_stopped",
    "response.created",
    "response.output_item.done",
    "response.done",
}


@dataclass(frozen=True, slots=True)
class HeardTurn:
    """The caller spoke. Times are monotonic nanoseconds; ``audio_ms`` is the speech as the model's voice detection cut it."""

    start_ns: int
    end_ns: int
    audio_ms: float | None


@dataclass(slots=True)
class AnswerTurn:
    """The agent's turn, open until its last response is done.

    Args:
        key: the span's id.
        start_ns: when the caller stopped speaking, or, for a turn the agent began, when its first response was created.
        origin: ``vad`` (after speech), ``commit`` (after a manual commit) or ``agent``.
    """

    key: str
    start_ns: int
    origin: str
    end_ns: int = 0
    outcome: str = ""
    responses: int = 0
    tool_calls: int = 0
    tool_ns: int = 0
    ttft_ns: int | None = None
    created_ns: int = 0
    first_audio_ns: int = 0
    model_ttft_ns: int | None = None
    pending_tools: bool = False
    error_message: str = ""
    tokens: dict[str, int] = field(default_factory=dict)
    ids: set[str] = field(default_factory=set)


@dataclass(slots=True)
class _Wait:
    """An unanswered stop: from ``stopped_ns`` on, the caller waits for sound."""

    item: str | None
    stopped_ns: int
    origin: str
    answers: set[str] = field(default_factory=set)


@dataclass(slots=True)
class TurnTracker:
    """Follows one realtime session.

    Args:
        new_key: makes span ids.
        on_heard: told of each finished turn of the caller.
        on_answer: told of each finished turn of the agent.
    """

    new_key: Callable[[], str]
    on_heard: Callable[[HeardTurn], None]
    on_answer: Callable[[AnswerTurn], None]
    vad_type: str = "unknown"
    silence_ms: float | None = None
    answer: AnswerTurn | None = None
    last: AnswerTurn | None = None
    _wait: _Wait | None = None
    _speech: tuple[int, float | None] | None = None
    _manual: bool = False
    _billed: dict[str, int] = field(default_factory=dict)

    def see_server(self, event: Mapping[str, object], now: int) -> None:
        """Take a raw server event, at ``now`` monotonic nanoseconds."""
        kind = event.get("type")
        if kind in AUDIO_DELTAS:
            self._audio(str(event.get("response_id")), now)
        elif kind == "response.created":
            self._created(_id_of(event), now)
        elif kind == "response.output_item.done":
            item = event.get("item")
            if self.answer is not None and isinstance(item, Mapping) and item.get("type") == "function_call":
                self.answer.tool_calls += 1
                self.answer.pending_tools = True
        elif kind == "response.done":
            self._done(event, now)
        elif kind == "input_audio_buffer.speech_started":
            self._speech = (now, _number(event.get("audio_start_ms")))
            self._wait = None  # the caller goes on or breaks in: no sample
        elif kind == "input_audio_buffer.speech_stopped":
            self._stopped(event, now)
        elif kind in {"session.created", "session.updated"}:
            self._settings(event)

    def see_client(self, kind: str, now: int) -> None:
        """Take the type of an event the agent sent: in a session without voice detection a commit ends the caller's turn."""
        if kind == "input_audio_buffer.commit" and self._manual:
            self._close("superseded", now)
            self._wait = _Wait(None, now, "commit")

    def reconnected(self, now: int) -> None:
        """The session's connection was made anew: what was open will not be answered."""
        self._wait = self._speech = None
        self._close("reconnected", now)

    def add_tool(self, duration_ns: int) -> None:
        """A tool of the current turn took this long."""
        turn = self.answer or self.last
        if turn is not None:
            turn.tool_ns += duration_ns

    def finish(self, now: int) -> None:
        """The call is over."""
        self._close("open", now)

    def _stopped(self, event: Mapping[str, object], now: int) -> None:
        item = event.get("item_id")
        item = item if isinstance(item, str) else None
        if self._wait is not None and item is not None and self._wait.item == item:
            return  # the same stop told twice: the first counts
        if self._speech is not None:
            began, audio_start = self._speech
            audio_end = _number(event.get("audio_end_ms"))
            length = audio_end - audio_start if audio_end is not None and audio_start is not None else (now - began) / 1e6
            self._speech = None
            self.on_heard(HeardTurn(began, now, max(0.0, length)))
        self._close("superseded", now)
        self._wait = _Wait(item, now, "vad")

    def _created(self, response: str, now: int) -> None:
        wait = self._wait
        if self.answer is None:
            self.answer = AnswerTurn(self.new_key(), wait.stopped_ns if wait else now, wait.origin if wait else "agent")
        self.answer.responses += 1
        self.answer.ids.add(response)
        self.answer.pending_tools = False
        self.answer.created_ns = self.answer.created_ns or now
        if wait is not None:
            wait.answers.add(response)

    def _audio(self, response: str, now: int) -> None:
        wait, turn = self._wait, self.answer
        if turn is not None and not turn.first_audio_ns and response in turn.ids:
            turn.first_audio_ns = now
            turn.model_ttft_ns = now - turn.created_ns
        if wait is not None and response in wait.answers:
            self._wait = None
            if turn is not None and turn.ttft_ns is None:
                turn.ttft_ns = now - wait.stopped_ns

    def _done(self, event: Mapping[str, object], now: int) -> None:
        response = event.get("response")
        turn = self.answer
        if not isinstance(response, Mapping):
            return
        _add_usage(self._billed if turn is None else turn.tokens, response.get("usage"))
        if turn is None or response.get("id") not in turn.ids:
            return  # an answer whose turn is closed: it is still billed
        status = response.get("status")
        if status in {"failed", "incomplete"} and not turn.first_audio_ns:
            turn.error_message = "response_failed" if status == "failed" else "response_incomplete"
            self._wait = None
            self._close("failed", now)
        elif status == "cancelled":
            self._close("interrupted" if turn.first_audio_ns else "cancelled", now)
        elif not turn.pending_tools:
            self._close("answered" if turn.first_audio_ns else "silent", now)

    def _close(self, outcome: str, now: int) -> None:
        turn, self.answer = self.answer, None
        if turn is not None:
            turn.end_ns, turn.outcome, self.last = now, outcome, turn
            for key, amount in self._billed.items():
                turn.tokens[key] = turn.tokens.get(key, 0) + amount
            self._billed = {}
            self.on_answer(turn)

    def _settings(self, event: Mapping[str, object]) -> None:
        """What the server says it runs, which is not always what was asked for."""
        session = event.get("session")
        if not isinstance(session, Mapping):
            return
        audio = session.get("audio")
        given = audio.get("input") if isinstance(audio, Mapping) else None
        for place in (session, given):
            if isinstance(place, Mapping) and "turn_detection" in place:
                detection = place["turn_detection"]
                self._manual = detection is None
                if isinstance(detection, Mapping):
                    self.vad_type = str(detection.get("type"))
                    self.silence_ms = _number(detection.get("silence_duration_ms"))
                else:
                    self.vad_type, self.silence_ms = "none", None


def _id_of(event: Mapping[str, object]) -> str:
    response = event.get("response")
    return str(response.get("id")) if isinstance(response, Mapping) else ""


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _add_usage(tokens: dict[str, int], usage: object) -> None:
    """Sum a response's usage by class; without details all counts as text. Cached tokens are a part of the input, not more of it."""
    if not isinstance(usage, Mapping):
        return

    def part(of: object, key: str) -> int:
        value = of.get(key) if isinstance(of, Mapping) else None
        return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else 0

    given, made = usage.get("input_token_details"), usage.get("output_token_details")
    cached = given.get("cached_tokens_details") if isinstance(given, Mapping) else None
    amounts = {
        "input_audio": part(given, "audio_tokens"),
        "input_text": part(given, "text_tokens") if isinstance(given, Mapping) else part(usage, "input_tokens"),
        "cached_audio": part(cached, "audio_tokens"),
        "cached_text": part(cached, "text_tokens") if isinstance(cached, Mapping) else part(given, "cached_tokens"),
        "output_audio": part(made, "audio_tokens"),
        "output_text": part(made, "text_tokens") if isinstance(made, Mapping) else part(usage, "output_tokens"),
    }
    for key, amount in amounts.items():
        tokens[key] = tokens.get(key, 0) + amount
