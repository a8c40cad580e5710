"""Who spoke when, and how long until the first sound of an answer, out of the model's raw events. Reads no content.

TTFT-A is the first audio delta of an answer minus ``input_audio_buffer.speech_stopped``, both stamped on this process's monotonic clock,
because the events carry no time of their own. Both dialects of event names are understood. O(1) per event.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from tracing.lag import LoopLag
from tracing.turn import AnswerTurn, HeardTurn
from tracing.usage import add_transcription, add_usage

AUDIO_DELTAS: Final = frozenset({"response.output_audio.delta", "response.audio.delta"})
TRANSCRIBED: Final = "conversation.item.input_audio_transcription.completed"
HANDLED: Final = AUDIO_DELTAS | {
    "session.created",
    "session.updated",
    "input_audio_buffer.speech_started",
    "input_audio_buffer.speech_stopped",
    "response.created",
    "response.output_item.done",
    "response.done",
    TRANSCRIBED,
}
HANDLED_CLIENT: Final = frozenset(
    {"input_audio_buffer.commit", "response.create", "conversation.item.create", "conversation.item.truncate"}
)
KEPT: Final = 32
"""Requests for a response, and typed items, that are remembered until the server tells of them."""


@dataclass(slots=True)
class _Wait:
    """An unanswered stop: from ``stopped_ns`` on, the caller waits for sound. ``tools`` ran in it already, for another model."""

    item: str | None
    stopped_ns: int
    origin: str
    answers: set[str] = field(default_factory=set)
    tools: list[tuple[int, int]] = field(default_factory=list)


@dataclass(slots=True)
class TurnTracker:
    """Follows one realtime session.

    Args:
        new_key: makes span ids.
        on_heard: told of each finished turn of the caller.
        on_answer: told of each finished turn of the agent.
        deployment: of the model that answers here.
        lag: watches the event loop while the caller waits; None measures none.
        agent_index: which agent of the call answers here, from now on.
    """

    new_key: Callable[[], str]
    on_heard: Callable[[HeardTurn], None]
    on_answer: Callable[[AnswerTurn], None]
    deployment: str = ""
    lag: LoopLag | None = None
    agent_index: int = 0
    vad_type: str = "unknown"
    silence_ms: float | None = None
    transcription_model: str = ""
    answer: AnswerTurn | None = None
    last: AnswerTurn | None = None
    _wait: _Wait | None = None
    _speech: tuple[int, float | None] | None = None
    _resumed: bool = False
    _manual: bool = False
    _asked: dict[str, int] = field(default_factory=dict)
    _typed: dict[str, int] = field(default_factory=dict)
    _typed_ns: int = 0
    _unbilled: dict[str, int | float] = field(default_factory=dict)

    def see_server(self, event: Mapping[str, object], now: int) -> None:
        """Take a raw server event, at ``now`` monotonic nanoseconds."""
        kind = event.get("type")
        if kind in AUDIO_DELTAS:
            if self._wait is not None or (self.answer is not None and not self.answer.first_audio_ns):
                self._audio(str(event.get("response_id")), now)
        elif kind == "response.created":
            self._created(event.get("response"), now)
        elif kind == "response.output_item.done":
            self._item_done(event)
        elif kind == "response.done":
            self._done(event.get("response"), now)
        elif kind == "input_audio_buffer.speech_started":
            self._started(event, now)
        elif kind == "input_audio_buffer.speech_stopped":
            self._stopped(event, now)
        elif kind == TRANSCRIBED:
            turn = self.answer or (self.last if self.last is not None and not self.last.told else None)
            add_transcription(self._unbilled if turn is None else turn.tokens, event)
        elif kind in {"session.created", "session.updated"}:
            self._settings(event)

    def see_client(self, event: Mapping[str, object], now: int) -> str:
        """Take a raw event the agent sent.

        Returns:
            The id of an item whose sound was cut short by it, or nothing.
        """
        kind = event.get("type")
        if kind == "input_audio_buffer.commit":
            if self._manual:  # without voice detection a commit ends the caller's turn
                self._close("superseded", now)
                self._set_wait(_Wait(None, now, "commit"), now)
        elif kind == "response.create":
            _keep(self._asked, _asked_id(event), now)
        elif kind == "conversation.item.create":
            item = event.get("item")
            if isinstance(item, Mapping) and item.get("role") == "user":
                _keep(self._typed, item.get("id"), now)
        elif kind == "conversation.item.truncate":
            item = event.get("item_id")
            return item if isinstance(item, str) else ""
        return ""

    def typed(self, item: str) -> None:
        """An item of the caller's joined the conversation; if the agent sent it as text, the next response answers text.

        What is sent alone does not tell: the history of an earlier call is sent in the same way, and nothing answers it.
        """
        self._typed_ns = self._typed.pop(item, self._typed_ns)

    def reconnected(self, now: int) -> None:
        """The session's connection was made anew: what was open will not be answered."""
        self._set_wait(None, now)
        self._speech, self._resumed, self._typed_ns = None, False, 0
        self._asked.clear()
        self._close("reconnected", now)

    def no_reply(self, now: int) -> None:
        """The tools that ran asked for no answer: the turn waits for none."""
        turn = self.answer
        if turn is not None and turn.pending_tools:
            turn.pending_tools = False
            if turn.active <= 0:
                self._close("answered" if turn.first_audio_ns else "silent", now)

    def handed_off(self, now: int) -> None:
        """Another agent goes on in this session: what was answered is this agent's, what was not is the next one's to answer."""
        if self.answer is not None and self.answer.first_audio_ns and self.answer.active <= 0:
            self._close("answered", now)

    def take_over(self, other: TurnTracker, now: int) -> None:
        """Another session of the call answers from now on: who waited there waits here, and the tools that ran there were waited for."""
        wait, turn = other._wait, other.answer
        other.give_up(now)
        if wait is not None and self._wait is None:
            wait.tools = list(turn.tools) if turn is not None else wait.tools
            self._set_wait(wait, now)

    @property
    def waits_since(self) -> int:
        """Since when the caller waits for a sound, or 0."""
        return 0 if self._wait is None else self._wait.stopped_ns

    def give_up(self, now: int) -> None:
        """Nothing will be answered here any more."""
        self._set_wait(None, now)
        if self.answer is not None:
            self._close("answered" if self.answer.first_audio_ns else "silent", now)

    def finish(self, now: int) -> None:
        """The call is over. Tokens that no turn was left to carry are told in a turn of their own."""
        self._set_wait(None, now)
        self._close("open", now)
        if any(self._unbilled.values()):
            self.answer = AnswerTurn(self.new_key(), now, "agent")
            self._close("cancelled", now)

    def _started(self, event: Mapping[str, object], now: int) -> None:
        self._speech = (now, _number(event.get("audio_start_ms")))
        self._resumed = self._wait is not None
        self._set_wait(None, now)  # the caller goes on or breaks in: no sample
        for turn in (self.answer, self.last):
            if turn is not None and not turn.told:
                turn.cut = True

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
        self._resumed = False
        turn = self.answer
        self._close("superseded" if turn is None or not turn.cut else "interrupted" if turn.first_audio_ns else "cancelled", now)
        self._set_wait(_Wait(item, now, "vad"), now)

    def _created(self, response: object, now: int) -> None:
        if not isinstance(response, Mapping):
            return
        name, wait, turn = str(response.get("id")), self._wait, self.answer
        asked = self._asked.pop(_requested_by(response), 0)
        if turn is None:
            turn = self.answer = self._open(wait, asked, now)
        turn.responses += 1
        turn.active += 1
        turn.ids.add(name)
        turn.last_response = name
        turn.pending_tools = False
        if not turn.first_audio_ns:
            turn.created_ns, turn.agent_index = now, self.agent_index
        if wait is not None:
            wait.answers.add(name)

    def _open(self, wait: _Wait | None, asked: int, now: int) -> AnswerTurn:
        if wait is not None:
            return AnswerTurn(self.new_key(), wait.stopped_ns, wait.origin, tools=list(wait.tools))
        typed, self._typed_ns = self._typed_ns, 0
        if typed and asked:
            return AnswerTurn(self.new_key(), typed, "text")
        # A response nobody asked for, after a caller who had stopped and went on, answers that stop, too late for a sample.
        if asked and self.lag is not None:
            self.lag.watch(now)
        return AnswerTurn(self.new_key(), now, "vad" if self._resumed and not asked else "agent", asked_ns=asked)

    def _audio(self, response: str, now: int) -> None:
        wait, turn = self._wait, self.answer
        if turn is not None and not turn.first_audio_ns and response in turn.ids:
            turn.first_audio_ns = now
            turn.model_ttft_ns = now - turn.created_ns
            if self.lag is not None:
                turn.lag_ns = self.lag.read(now)
        if wait is not None and response in wait.answers:
            self._set_wait(None, now)
            if turn is not None and turn.ttft_ns is None:
                turn.ttft_ns = now - wait.stopped_ns

    def _item_done(self, event: Mapping[str, object]) -> None:
        item, turn = event.get("item"), self.answer
        if turn is None or not isinstance(item, Mapping):
            return
        if item.get("type") == "function_call":
            turn.tool_calls += 1
            turn.pending_tools = True
        elif isinstance(item.get("id"), str) and str(event.get("response_id")) in turn.ids:
            turn.ids.add(item["id"])

    def _done(self, response: object, now: int) -> None:
        if not isinstance(response, Mapping):
            return
        name = str(response.get("id"))
        turn = next((turn for turn in (self.answer, self.last) if turn is not None and not turn.told and name in turn.ids), None)
        add_usage(self._unbilled if turn is None else turn.tokens, response.get("usage"))
        if turn is None or turn is not self.answer:
            return  # an answer whose turn is closed: it is still billed
        turn.active -= 1
        status = response.get("status")
        if status in {"failed", "incomplete"} and not turn.first_audio_ns:
            turn.error_message = "response_failed" if status == "failed" else "response_incomplete"
            self._set_wait(None, now)
            self._close("failed", now)
        elif status == "cancelled":
            details = response.get("status_details")
            turn.interrupted |= bool(turn.first_audio_ns) and isinstance(details, Mapping) and details.get("reason") == "turn_detected"
            self._close("interrupted" if turn.first_audio_ns else "cancelled", now)
        elif not turn.pending_tools:
            self._close("answered" if turn.first_audio_ns else "silent", now)

    def _set_wait(self, wait: _Wait | None, now: int) -> None:
        self._wait = wait
        if self.lag is not None:
            if wait is None:
                self.lag.rest()
            else:
                self.lag.watch(now)

    def _close(self, outcome: str, now: int) -> None:
        turn, self.answer = self.answer, None
        if turn is None:
            return
        turn.end_ns, turn.outcome, self.last = now, outcome, turn
        turn.deployment = self.deployment
        turn.cut |= self._manual  # nobody tells when the caller speaks
        for key, amount in self._unbilled.items():
            turn.tokens[key] = turn.tokens.get(key, 0) + amount
        self._unbilled = {}
        turn.transcription_model = self.transcription_model
        self.on_answer(turn)

    def _settings(self, event: Mapping[str, object]) -> None:
        """What the server says it runs, which is not always what was asked for."""
        session = event.get("session")
        if not isinstance(session, Mapping):
            return
        audio = session.get("audio")
        given = audio.get("input") if isinstance(audio, Mapping) else None
        for place, key in ((session, "input_audio_transcription"), (given, "transcription")):
            if not isinstance(place, Mapping):
                continue
            heard = place.get(key)
            if isinstance(heard, Mapping) and isinstance(heard.get("model"), str):
                self.transcription_model = heard["model"][:64]
            if "turn_detection" in place:
                detection = place["turn_detection"]
                self._manual = detection is None
                if isinstance(detection, Mapping):
                    self.vad_type = str(detection.get("type"))
                    self.silence_ms = _number(detection.get("silence_duration_ms"))
                else:
                    self.vad_type, self.silence_ms = "none", None


def _requested_by(response: Mapping[str, object]) -> str:
    """Which of the client's requests a response is for; LiveKit marks each of them in the metadata, which the server repeats."""
    metadata = response.get("metadata")
    return str(metadata.get("client_event_id", "")) if isinstance(metadata, Mapping) else ""


def _asked_id(event: Mapping[str, object]) -> object:
    response = event.get("response")
    return (_requested_by(response) if isinstance(response, Mapping) else "") or event.get("event_id")


def _keep(known: dict[str, int], key: object, now: int) -> None:
    if isinstance(key, str) and key:
        known[key] = now
        if len(known) > KEPT:
            del known[next(iter(known))]


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
