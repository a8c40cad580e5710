"""Who spoke when, and how long until the first sound of an answer, out of the model's raw events. Reads no content.

TTFT-A is the first audio delta of an answer minus ``input_audio_buffer.speech_stopped``, both stamped on this process's monotonic clock,
because the events carry no time of their own. Both dialects of event names are understood. O(1) per event.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from tracing.lag import LoopLag
from tracing.server_settings import ServerSettings, milliseconds
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
IDS_MAX: Final = 256
"""Ids of responses and items that are known of one turn; an ordinary one has two to six."""
ID_MAX: Final = 128
"""Characters of an id; the server's have some 25. What is longer is cut: it must not be kept for as long as a turn is open."""


@dataclass(slots=True)
class _Wait:
    """An unanswered stop: from ``stopped_ns`` on, the caller waits for sound. ``tools`` ran in it already, for another model."""

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
        server: what the server says it runs.
    """

    new_key: Callable[[], str]
    on_heard: Callable[[HeardTurn], None]
    on_answer: Callable[[AnswerTurn], None]
    deployment: str = ""
    lag: LoopLag | None = None
    agent_index: int = 0
    server: ServerSettings = field(default_factory=ServerSettings)
    answer: AnswerTurn | None = None
    last: AnswerTurn | None = None
    _wait: _Wait | None = None
    _speech: tuple[int, float | None] | None = None
    _stopped_item: str = ""
    _resumed: bool = False
    _asked: dict[str, int] = field(default_factory=dict)
    _typed: dict[str, int] = field(default_factory=dict)
    _typed_ns: int = 0
    _unbilled: dict[str, int | float] = field(default_factory=dict)

    def see_server(self, event: Mapping[str, object], now: int) -> None:
        """Take a raw server event, at ``now`` monotonic nanoseconds."""
        kind = event.get("type")
        if kind in AUDIO_DELTAS:
            if self._wait is not None or (self.answer is not None and not self.answer.first_audio_ns):
                self._audio(_id(event.get("response_id")), now)
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
            self.server.take(event)

    def see_client(self, event: Mapping[str, object], now: int) -> str:
        """Take a raw event the agent sent.

        Returns:
            The id of an item whose sound was cut short by it, or nothing.
        """
        kind = event.get("type")
        if kind == "input_audio_buffer.commit":
            if self.server.manual:  # without voice detection a commit ends the caller's turn
                self._close("superseded", now)
                self._set_wait(_Wait(now, "commit"), now)
        elif kind == "response.create":
            _keep(self._asked, _asked_id(event), now)
        elif kind == "conversation.item.create":
            item = event.get("item")
            if isinstance(item, Mapping) and item.get("role") == "user":
                _keep(self._typed, item.get("id"), now)
        elif kind == "conversation.item.truncate":
            item = event.get("item_id")
            return _id(item)
        return ""

    def typed(self, item: str) -> None:
        """An item of the caller's joined the conversation; if the agent sent it as text, the next response answers text.

        What is sent alone does not tell: the history of an earlier call is sent in the same way, and nothing answers it.
        """
        self._typed_ns = self._typed.pop(_id(item), self._typed_ns)

    def reconnected(self, now: int) -> None:
        """The session's connection was made anew: what was open will not be answered."""
        self._set_wait(None, now)
        self._end_speech("reconnected", now)
        self._resumed, self._typed_ns, self._stopped_item = False, 0, ""
        self._asked.clear()
        self._close("reconnected", now)

    def no_reply(self, now: int) -> None:
        """The tools that ran asked for no answer: the turn waits for none."""
        turn = self.answer
        if turn is not None and turn.pending_tools:
            turn.pending_tools = False
            if not turn.active:
                self._set_wait(None, now)
                self._close("answered" if turn.first_audio_ns else "silent", now)

    def handed_off(self, now: int) -> None:
        """Another agent goes on in this session: what was answered is this agent's, what was not is the next one's to answer."""
        if self.answer is not None and self.answer.first_audio_ns and not self.answer.active:
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
        self._end_speech("open", now)
        self._close("open", now)
        if any(self._unbilled.values()):
            self.answer = AnswerTurn(self.new_key(), now, "agent")
            self._close("cancelled", now)

    def _started(self, event: Mapping[str, object], now: int) -> None:
        self._speech = (now, milliseconds(event.get("audio_start_ms")))
        self._stopped_item = ""
        self._resumed = self._wait is not None
        self._set_wait(None, now)  # the caller goes on or breaks in: no sample
        for turn in (self.answer, self.last):
            if turn is not None and not turn.told:
                turn.cut = True

    def _stopped(self, event: Mapping[str, object], now: int) -> None:
        item = _id(event.get("item_id"))
        if item and item == self._stopped_item:
            return  # the same stop told twice: the first counts, answered meanwhile or not
        self._stopped_item = item
        began = now if self._speech is None else self._speech[0]
        self._end_speech("completed", now, milliseconds(event.get("audio_end_ms")))
        self._resumed = False
        turn = self.answer
        if turn is not None and (turn.cut or not turn.active or turn.start_ns < began):  # not one that began under the caller's speech
            self._close("superseded" if not turn.cut else "interrupted" if turn.first_audio_ns else "cancelled", now)
        self._set_wait(_Wait(now, "vad"), now)

    def _end_speech(self, outcome: str, now: int, audio_end: float | None = None) -> None:
        if self._speech is None:
            return
        (began, audio_start), self._speech = self._speech, None
        length = -1.0 if audio_end is None or audio_start is None else audio_end - audio_start
        self.on_heard(HeardTurn(began, now, length if length >= 0 else (now - began) / 1e6, outcome))

    def _created(self, response: object, now: int) -> None:
        if not isinstance(response, Mapping):
            return
        name, wait = _id(response.get("id")), self._wait
        asked = self._asked.pop(_requested_by(response), 0)
        if wait is not None and self.answer is not None and self.answer.start_ns < wait.stopped_ns:
            self._close("superseded", now)  # it began under the caller's speech, and is no answer to it
        turn = self.answer
        if turn is None:
            turn = self.answer = self._open(wait, asked, now)
        # A conversation has one response at a time: the one before is over, told or not. One outside it, for which the server names
        # no conversation, may run beside it, and is not what the tools' results were given for.
        apart = response.get("conversation_id", "") is None
        if not apart:
            turn.active = {other: its for other, its in turn.active.items() if its[1]}
            turn.pending_tools = False
            turn.last_response = name
        turn.responses += 1
        if len(turn.ids) < IDS_MAX:
            turn.ids.add(name)
            turn.active[name] = (now, apart)
        if not turn.first_audio_ns:
            turn.created_ns, turn.agent_index = now, self.agent_index
        if wait is not None and len(wait.answers) < IDS_MAX:
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
            turn.created_ns = turn.active.get(response, (turn.created_ns, False))[0]
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
        elif (name := _id(item.get("id"))) and _id(event.get("response_id")) in turn.ids and len(turn.ids) < IDS_MAX:
            turn.ids.add(name)

    def _done(self, response: object, now: int) -> None:
        if not isinstance(response, Mapping):
            return
        name = _id(response.get("id"))
        turn = next((turn for turn in (self.answer, self.last) if turn is not None and not turn.told and name in turn.ids), None)
        add_usage(self._unbilled if turn is None else turn.tokens, response.get("usage"))
        if turn is None or turn is not self.answer:
            return  # an answer whose turn is closed: it is still billed
        _, apart = turn.active.pop(name, (0, False))
        status = response.get("status")
        if status == "failed" or status == "incomplete":  # noqa: PLR1714  # a set would not take what cannot be hashed
            turn.error_message = "response_failed" if status == "failed" else "response_incomplete"
        elif status == "cancelled":
            details = response.get("status_details")
            turn.interrupted |= bool(turn.first_audio_ns) and isinstance(details, Mapping) and details.get("reason") == "turn_detected"
        if turn.active or (turn.pending_tools and (apart or status == "completed")):
            return  # the rest of the answer is still to come
        if status == "cancelled":
            self._close("interrupted" if turn.first_audio_ns else "cancelled", now)
            return
        if not turn.first_audio_ns and not apart:  # the caller was given no sound, and none is to come
            self._set_wait(None, now)
        self._close("answered" if turn.first_audio_ns else "failed" if turn.error_message else "silent", now)

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
        turn.end_ns, turn.outcome, self.last = max(now, turn.start_ns, turn.first_audio_ns), outcome, turn  # `now` may be dated back
        turn.deployment = self.deployment
        turn.cut |= self.server.manual  # nobody tells when the caller speaks
        for key, amount in self._unbilled.items():
            turn.tokens[key] = turn.tokens.get(key, 0) + amount
        self._unbilled = {}
        turn.transcription_model = self.server.transcription_model
        self.on_answer(turn)


def _requested_by(response: Mapping[str, object]) -> str:
    """Which of the client's requests a response is for; LiveKit marks each of them in the metadata, which the server repeats."""
    metadata = response.get("metadata")
    return _id(metadata.get("client_event_id")) if isinstance(metadata, Mapping) else ""


def _asked_id(event: Mapping[str, object]) -> object:
    response = event.get("response")
    return (_requested_by(response) if isinstance(response, Mapping) else "") or event.get("event_id")


def _id(value: object) -> str:
    return value[:ID_MAX] if isinstance(value, str) else ""


def _keep(known: dict[str, int], given: object, now: int) -> None:
    key = _id(given)
    if key:
        known[key] = now
        if len(known) > KEPT:
            del known[next(iter(known))]
