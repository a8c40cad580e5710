"""One whole call, from ringing to hanging up: the real AgentSession and Realtime client against a stand-in, with a caller who talks.

Real: livekit-agents' AgentSession, its turn handling, tools and events, and livekit-plugins-openai's websocket client for Azure.
Imitated: the model behind the websocket and the person on the line. There is no room and no media server: the telephone is plugged
straight into the session.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType, SimpleNamespace
from typing import TYPE_CHECKING, Any, Final, Literal

import aiohttp
from livekit import rtc
from livekit.agents import AgentSession
from livekit.agents.testing import fake_job_context
from livekit.agents.voice.agent_activity import ActivityClosedError
from livekit.agents.voice.turn import InterruptionOptions, TurnHandlingOptions
from livekit.plugins import openai

from tracing.local.azure_realtime import Moment
from tracing.local.azure_realtime.server import TRUTH_PATH
from tracing.local.telephone import FRAME_MS, Mic, Speaker

if TYPE_CHECKING:
    from livekit.agents import Agent, JobContext

BETA_API_VERSION: Final = "2024-10-01-preview"
"""A dated API version makes the client use the older URL and event names."""

COUNTED: Final = (
    "user_state_changed", "agent_state_changed", "user_input_transcribed", "conversation_item_added", "function_tools_executed",
    "tool_execution_updated", "session_usage_updated", "speech_created", "error", "close",
)  # fmt: skip
"""Session events that an outcome counts. ``metrics_collected`` is left out: listening to it is deprecated, and logged."""

_CALM_FRAMES: Final = 4
"""Looks in a row, one frame apart, that must find the session idle: an agent may think for a moment before it greets."""

_HANG_UP_S: Final = 10.0

_SERVER_TURNS: Final = TurnHandlingOptions(turn_detection=None, interruption=InterruptionOptions(resume_false_interruption=False))
"""Turns are the server's business, as in production on Azure, and a line cannot be paused. Unsaid, both are logged as warnings."""


@dataclass(frozen=True, slots=True)
class CallerTurn:
    """The caller is silent, speaks, then listens.

    Args:
        speech_ms: how long the caller speaks; 0 for a caller who stays silent, whom nobody answers.
        cut_in_after_ms: None waits for the end of the answer; a number starts the next turn that long after the answer is first
            heard, which interrupts it.
        silent_ms: how long the caller says nothing first.
        handed_over: the answer comes from the agent that the one who was asked gives the call to.
    """

    speech_ms: int
    cut_in_after_ms: int | None = None
    silent_ms: int = 0
    handed_over: bool = False


@dataclass(frozen=True, slots=True)
class CallOutcome:
    """How a call went.

    Args:
        started_s: `time.monotonic` when the call was placed.
        ended_s: `time.monotonic` when everything was closed.
        turns: how many of the caller's turns were spoken; one of silence is none.
        unanswered: how many of them the agent did not finish answering, for the time limit or because it hung up.
        exceptions: class names of what the session reported as errors, recoverable ones too, in order. Never a message: it may quote
            the caller.
        events: how often each came: the model's events as ``server:<type>``, and the session's by name.
        truth: what the stand-in did and when, by its own clock; empty if the other side tells no truth.
        barge_ins: answers that the caller heard the beginning of and cut short.
        hand_offs: how often an agent gave the call to another.
    """

    started_s: float
    ended_s: float
    turns: int
    unanswered: int
    exceptions: tuple[str, ...]
    events: Mapping[str, int]
    truth: tuple[Moment, ...]
    barge_ins: int = 0
    hand_offs: int = 0


class _HungUp(Exception):
    """The agent closed the session while the caller was on the line."""


class _Ear:
    """Hears the raw events of one call and knows who still has something to say."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.session_ids: list[str] = []
        self.exceptions: list[str] = []
        self.barge_ins = self.hand_offs = 0
        self._responses_before_hand_off = 0
        self._responses_before_turn = 0
        self._open: set[str] = set()  # responses announced and not done
        self._calls = 0  # tool calls the model made and the session has not yet worked off
        self._owed = 0  # responses the session will ask for, since a tool brought something to say
        self._stirred = asyncio.Event()

    def stir(self, _: object = None) -> None:
        """Something happened: whoever waits looks again."""
        self._stirred.set()

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until `holds()`.

        Raises:
            _HungUp: the session closed first.
        """
        while not holds():
            if self.counts["close"]:
                raise _HungUp
            self._stirred.clear()
            await self._stirred.wait()

    def hear_model(self, event: dict[str, Any]) -> None:
        kind = event["type"]
        self.counts["server:" + kind] += 1
        if kind == "session.created":
            self.session_ids.append(event["session"]["id"])
            self._forget()  # a new connection: what was under way is lost
        elif kind == "response.created":
            self._open.add(event["response"]["id"])
            self._owed = max(0, self._owed - 1)
        elif kind == "response.done":
            self._open.discard(event["response"]["id"])
            self._calls += sum(item["type"] == "function_call" for item in event["response"]["output"] if item["status"] == "completed")
        elif kind == "input_audio_buffer.speech_started":
            self._forget()  # what the caller talks over need not come to its end
        elif kind == "input_audio_buffer.speech_stopped":
            self._responses_before_turn = self.counts["server:response.created"]
        self.stir()

    def hear_session(self, name: str, event: Any) -> None:
        self.counts[name] += 1
        if name == "function_tools_executed":
            self._calls -= len(event.function_calls)
            self._owed += event.has_tool_reply
        elif name == "error":
            self.exceptions.append(type(getattr(event.error, "error", event.error)).__name__)
        elif name == "conversation_item_added" and event.item.type == "agent_handoff" and event.item.old_agent_id is not None:
            self.hand_offs += 1
            self._responses_before_hand_off = self.counts["server:response.created"]
        self.stir()

    def hear_sound_end(self, event: Any) -> None:
        """An answer is no longer heard; it was talked over, or came to its end."""
        self.barge_ins += bool(event.interrupted)
        self.stir()

    def _forget(self) -> None:
        self._open.clear()
        self._calls = self._owed = 0

    @property
    def calm(self) -> bool:
        """Whether nothing is under way that will lead to more speech. `AgentSession.wait_for_idle` alone does not see the
        moment between a tool's end and the response that tells of it.
        """
        return not self._open and self._calls <= 0 and self._owed == 0

    @property
    def turns_heard(self) -> int:
        """How many of the caller's turns the model has heard to the end."""
        return self.counts["server:input_audio_buffer.speech_stopped"]

    @property
    def answering(self) -> bool:
        """Whether a response came since the caller's last turn."""
        return self.counts["server:response.created"] > self._responses_before_turn

    @property
    def taken_over(self) -> bool:
        """Whether a response came since the last hand-off: the next agent speaks."""
        return self.counts["server:response.created"] > self._responses_before_hand_off


async def run_call(
    agent: Agent,
    azure_url: str,
    caller_turns: Iterable[CallerTurn],
    *,
    attach: Callable[[AgentSession[Any], JobContext | None], object] | None = None,
    deployment: str = "gpt-realtime",
    start_options: Mapping[str, Any] | None = None,
    ctx: JobContext | None = None,
    dialect: Literal["beta", "ga"] = "ga",
    api_key: str = "stand-in",
    turn_limit_s: float = 15.0,
    on_turn: Callable[[], object] | None = None,
) -> CallOutcome:
    """Play one call and close everything it opened.

    Args:
        agent: who answers.
        azure_url: a loopback stand-in, such as `AzureRealtime.url`.
        caller_turns: what the caller does, in order. The caller first lets the agent finish its greeting.
        attach: called with the session and `ctx` before the session starts, as a tracer would be.
        deployment: the Azure deployment asked for.
        start_options: for `AgentSession.start`; by default nothing is recorded and no room may look into the session.
        ctx: a job context for `attach`; `job_context` makes one that the session sees too.
        dialect: which of Azure's two URLs to use; ``beta`` is the one with a dated API version, which the client calls deprecated.
        api_key: presented to Azure; a script of the same `key` is then this call's own.
        turn_limit_s: seconds to wait for the agent to finish before the caller goes on.
        on_turn: called after each turn of the caller's that was answered.
    """
    started_s = time.monotonic()
    ear, mic, speaker = _Ear(), Mic(), Speaker()
    speaker.on("playback_started", ear.stir)
    speaker.on("playback_finished", ear.hear_sound_end)
    version: dict[str, Any] = {"api_version": BETA_API_VERSION} if dialect == "beta" else {}
    model = openai.realtime.RealtimeModel.with_azure(azure_deployment=deployment, azure_endpoint=azure_url, api_key=api_key, **version)
    _listen_to_model(model, ear)
    session: AgentSession[Any] = AgentSession(llm=model, vad=None, aec_warmup_duration=None, turn_handling=_SERVER_TURNS)
    for name in COUNTED:
        session.on(name, lambda event, name=name: ear.hear_session(name, event))
    session.input.audio, session.output.audio = mic, speaker
    spoken = answered = 0
    try:
        if attach is not None:
            attach(session, ctx)
        await session.start(agent, **(start_options if start_options is not None else {"record": False, "session_host": False}))
        await _within(turn_limit_s, _calm(session, ear))
        for turn in caller_turns:
            await _say_nothing(turn.silent_ms, ear)
            if not turn.speech_ms:
                continue
            spoken += 1
            if await _within(turn_limit_s + turn.speech_ms / 1000, _converse(turn, session, ear, mic, speaker)):
                answered += 1
                if on_turn is not None:
                    on_turn()
    except _HungUp:
        pass  # nobody is left to talk to; the outcome tells
    finally:
        speaker.off("playback_finished", ear.hear_sound_end)  # hanging up cuts short what is heard, and is no barge-in
        # A session that cannot close must not keep the caller on the line for ever.
        await _within(_HANG_UP_S, session.aclose())
        await model.aclose()
    truth = [moment for session_id in ear.session_ids for moment in await _ask_truth(azure_url, session_id)]
    counts = MappingProxyType(dict(ear.counts))
    return CallOutcome(
        started_s, time.monotonic(), spoken, spoken - answered, tuple(ear.exceptions), counts, tuple(truth), ear.barge_ins, ear.hand_offs
    )


class _Line(rtc.Room):
    """A room that is never connected, with a name of its own and the caller in it as a SIP trunk would tell."""

    def __init__(self, name: str, caller: SimpleNamespace) -> None:
        super().__init__()
        self._named, self._held = name, {caller.identity: caller}

    @property
    def name(self) -> str:
        return self._named

    @property
    def remote_participants(self) -> Mapping[str, Any]:
        return self._held


@contextlib.contextmanager
def job_context(*, room_name: str = "", identity: str = "", attributes: Mapping[str, str] | None = None) -> Iterator[JobContext]:
    """A real JobContext without a worker, current inside the block: one for each call, entered in that call's own task.

    Its room is never connected and nothing calls its shutdown callbacks.

    Args:
        room_name: the room's name, in production made of the caller's number.
        identity: the caller's; with it, or a room's name or attributes, the room holds a caller.
        attributes: the caller's, such as ``sip.phoneNumber``.
    """
    room = None
    if room_name or identity or attributes:
        caller = SimpleNamespace(
            identity=identity, name=identity, kind=rtc.ParticipantKind.PARTICIPANT_KIND_SIP, sid=f"PA_c{secrets.token_hex(5)}r",
            attributes=dict(attributes or {}), metadata="", track_publications={},
        )  # fmt: skip
        room = _Line(room_name, caller)
    with fake_job_context(room=room) as ctx:
        try:
            yield ctx
        finally:
            # livekit leaves this folder to the garbage collector, which warns about it.
            ctx._tempdir.cleanup()


async def _say_nothing(ms: int, ear: _Ear) -> None:
    """Be silent for so long, unless the agent hangs up."""
    if ms:
        await _within(ms / 1000, ear.until(lambda: False))


async def _converse(turn: CallerTurn, session: AgentSession[Any], ear: _Ear, mic: Mic, speaker: Speaker) -> None:
    turns_heard, hand_offs = ear.turns_heard, ear.hand_offs
    mic.talk(turn.speech_ms)
    await ear.until(lambda: ear.turns_heard > turns_heard and ear.answering)
    if turn.handed_over:
        await ear.until(lambda: ear.hand_offs > hand_offs and ear.taken_over)
    if turn.cut_in_after_ms is None:
        await _calm(session, ear)
    else:
        await ear.until(lambda: speaker.playing)
        await asyncio.sleep(turn.cut_in_after_ms / 1000)


async def _calm(session: AgentSession[Any], ear: _Ear) -> None:
    """Wait until nobody speaks, plays, works or is about to."""
    looks = 0
    while looks < _CALM_FRAMES:
        await ear.until(lambda: ear.calm)
        try:
            await session.wait_for_idle()
        except (ActivityClosedError, RuntimeError):  # the latter once the session holds no agent any more
            raise _HungUp from None
        looks = looks + 1 if ear.calm else 0
        await asyncio.sleep(FRAME_MS / 1000)


async def _within(limit_s: float, work: Coroutine[Any, Any, None]) -> bool:
    """Whether `work` came to its end in time."""
    try:
        await asyncio.wait_for(work, limit_s)
    except TimeoutError:
        return False
    return True


def _listen_to_model(model: Any, ear: _Ear) -> None:
    """Hear every websocket the model opens from its first event on."""
    open_session = model.session

    def session(**options: object) -> object:
        opened = open_session(**options)
        opened.on("openai_server_event_received", ear.hear_model)
        return opened

    model.session = session


async def _ask_truth(azure_url: str, session_id: str) -> tuple[Moment, ...]:
    try:
        async with aiohttp.ClientSession() as http, http.get(azure_url + TRUTH_PATH + session_id) as answer:
            return tuple(Moment(**moment) for moment in await answer.json()) if answer.ok else ()
    except aiohttp.ClientError:
        return ()
