"""One websocket of the stand-in: hears audio, detects speech, answers from its script, and notes when it did what."""

from __future__ import annotations

import array
import asyncio
import base64
import contextlib
import functools
import itertools
import json
import math
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from aiohttp import WSMsgType

from tracing.local.azure_realtime.script import Call, Fail, Say, Usage

if TYPE_CHECKING:
    from aiohttp import web

    from tracing.local.azure_realtime.script import Cue, Turn

Event: TypeAlias = dict[str, Any]

SAMPLE_RATE: Final = 24_000
"""Azure Realtime takes and gives pcm16 at 24 kHz, one channel."""

LOUD: Final = 500
"""A 16-bit sample beyond this is speech. The caller's tone peaks at 8000, silence is zero."""

TRANSCRIBE_S: Final = 0.05
"""Seconds from the end of a turn to its transcript."""

BETA_NAMES: Final = {
    "conversation.item.added": "conversation.item.created",
    "response.output_audio.delta": "response.audio.delta",
    "response.output_audio.done": "response.audio.done",
    "response.output_audio_transcript.delta": "response.audio_transcript.delta",
    "response.output_audio_transcript.done": "response.audio_transcript.done",
}
"""Event names that differ in the dated API versions."""

_serial = itertools.count(1)


def _new_id(prefix: str) -> str:
    return f"{prefix}_{next(_serial):06d}"


@functools.lru_cache(maxsize=16)
def _tone(ms: int) -> str:
    """A quiet 440 Hz tone as base64 pcm16."""
    n = SAMPLE_RATE * ms // 1000
    return base64.b64encode(array.array("h", (int(3000 * math.sin(2 * math.pi * 440 * i / SAMPLE_RATE)) for i in range(n)))).decode()


@dataclass(frozen=True, slots=True)
class Moment:
    """Something the stand-in did, by its own clock.

    Args:
        event: ``speech_started``, ``speech_stopped``, ``response.created``, ``first_audio`` or ``response.done``.
        at_s: `time.monotonic` just before the event went on the wire; the same clock for every process of this host.
        response_id: the response, or empty for the caller's speech.
        status: of ``response.done``: ``completed``, ``cancelled``, ``failed`` or ``incomplete``; else empty.
    """

    event: str
    at_s: float
    response_id: str = ""
    status: str = ""


@dataclass(slots=True)
class _Response:
    """A response under way: what it has put out so far."""

    metadata: object
    usage: Usage | None
    id: str = field(default_factory=lambda: _new_id("resp"))
    output: list[Event] = field(default_factory=list)
    open_item: Event | None = None
    spoke: bool = False
    text_tokens: int = 0
    audio_ms: int = 0

    def tokens(self) -> Usage:
        """The script's tokens, else counted: one audio token for 50 ms of output, as OpenAI counts it."""
        return self.usage or Usage(output_text=self.text_tokens, output_audio=self.audio_ms // 50)


class Connection:
    """One call as the model's side sees it.

    Attributes:
        session_id: as told to the client in ``session.created``.
        deployment: as asked for in the URL.
        truth: what happened when, in order.
        received: types of the client's events, without the audio, in order.
    """

    def __init__(self, ws: web.WebSocketResponse, cue: Cue, *, beta: bool, silence_ms: int, deployment: str) -> None:
        self.session_id = _new_id("sess")
        self.deployment = deployment
        self.truth: list[Moment] = []
        self.received: list[str] = []
        self._ws, self._cue, self._beta = ws, cue, beta
        self._session: Event = {"id": self.session_id, "object": "realtime.session", "model": deployment}
        self._vad: Event | None = {"type": "server_vad", "silence_duration_ms": silence_ms}
        self._silence_ms = silence_ms
        self._items: list[str] = []
        self._heard_ms, self._quiet_ms, self._speaking = 0, 0, False
        self._item: str | None = None
        self._response: _Response | None = None
        self._speaker: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._handlers: dict[str, Callable[[Event], Awaitable[None]]] = {
            "session.update": self._update_session,
            "input_audio_buffer.append": self._hear,
            "input_audio_buffer.commit": self._commit,
            "input_audio_buffer.clear": self._clear,
            "conversation.item.create": self._create_item,
            "conversation.item.delete": self._delete_item,
            "conversation.item.truncate": self._truncate_item,
            "response.create": self._create_response,
            "response.cancel": self._cancel_response,
        }

    async def serve(self) -> None:
        """Talk until the client hangs up."""
        try:
            await self._send("session.created", session=self._session)
            async for message in self._ws:
                if message.type is WSMsgType.TEXT:
                    await self._take(message.data)
        finally:
            await self._stop_tasks()

    async def hang_up(self) -> None:
        """Close the websocket from this side."""
        await self._stop_tasks()
        await self._ws.close()

    # --- what the client sends

    async def _take(self, text: str) -> None:
        try:
            event = json.loads(text)
            kind = event["type"]
        except (ValueError, TypeError, KeyError):
            await self._refuse("invalid_event", None)
            return
        if kind != "input_audio_buffer.append":
            self.received.append(kind)
        handler = self._handlers.get(kind)
        if handler is None:
            await self._refuse("unknown_event", event)
            return
        try:
            await handler(event)
        except (KeyError, TypeError, ValueError, AttributeError):
            await self._refuse("invalid_event", event)

    async def _update_session(self, event: Event) -> None:
        change: Event = event["session"]
        self._session.update(change)
        flat, nested = change, change.get("audio", {}).get("input", {})  # the dated versions are flat, GA is nested
        for place in (flat, nested):
            if "turn_detection" in place:
                self._vad = place["turn_detection"]
        await self._send("session.updated", session=self._session)

    async def _hear(self, event: Event) -> None:
        samples = array.array("h", base64.b64decode(event["audio"], validate=True))
        ms = len(samples) * 1000 // SAMPLE_RATE
        self._heard_ms += ms
        if self._vad is None or not samples:
            return
        if max(samples[::16]) > LOUD:
            self._quiet_ms = 0
            if not self._speaking:
                await self._start_speech(self._heard_ms - ms)
        elif self._speaking:
            self._quiet_ms += ms
            if self._quiet_ms >= (self._vad.get("silence_duration_ms") or self._silence_ms):
                await self._stop_speech()

    async def _start_speech(self, at_ms: int) -> None:
        self._speaking, self._item = True, _new_id("item")
        vad = self._vad or {}
        start = max(0, at_ms - (vad.get("prefix_padding_ms") or 0))
        self._note("speech_started")
        await self._send("input_audio_buffer.speech_started", audio_start_ms=start, item_id=self._item)
        if self._response is not None and vad.get("interrupt_response", True):
            await self._cancel("turn_detected")

    async def _stop_speech(self) -> None:
        self._speaking, self._quiet_ms = False, 0
        self._note("speech_stopped")
        # OpenAI's reference: audio_end_ms includes the silence that ended the turn.
        stop: Event = {"audio_end_ms": self._heard_ms, "item_id": self._item}
        await self._send("input_audio_buffer.speech_stopped", **stop)
        if self._cue.script.stop_again_after_ms is not None:
            self._spawn(self._stop_again(stop, self._cue.script.stop_again_after_ms))
        await self._commit({})
        if (self._vad or {}).get("create_response", True) and self._response is None:
            self._respond(None)

    async def _stop_again(self, stop: Event, after_ms: int) -> None:
        await asyncio.sleep(after_ms / 1000)
        await self._send("input_audio_buffer.speech_stopped", **stop)

    async def _commit(self, _: Event) -> None:
        item, self._item = self._item or _new_id("item"), None
        await self._send("input_audio_buffer.committed", previous_item_id=self._items[-1] if self._items else None, item_id=item)
        said: Event = {"id": item, "object": "realtime.item", "type": "message", "status": "completed", "role": "user"}
        await self._add_item(said | {"content": [{"type": "input_audio", "transcript": None}]})
        self._spawn(self._transcribe(item, self._cue.next_transcript()))

    async def _clear(self, _: Event) -> None:
        await self._send("input_audio_buffer.cleared")

    async def _create_item(self, event: Event) -> None:
        # Every item is echoed: a client that waits for the echo would else wait five seconds.
        await self._add_item({"id": _new_id("item"), **event["item"], "object": "realtime.item", "status": "completed"})

    async def _delete_item(self, event: Event) -> None:
        with contextlib.suppress(ValueError):
            self._items.remove(event["item_id"])
        await self._send("conversation.item.deleted", item_id=event["item_id"])

    async def _truncate_item(self, event: Event) -> None:
        await self._send("conversation.item.truncated", **{k: event[k] for k in ("item_id", "content_index", "audio_end_ms")})

    async def _create_response(self, event: Event) -> None:
        if self._response is not None:
            await self._refuse("conversation_already_has_active_response", event)
        else:
            self._respond((event.get("response") or {}).get("metadata"))

    async def _cancel_response(self, event: Event) -> None:
        if self._response is None:
            await self._refuse("response_cancel_not_active", event)
        else:
            await self._cancel("client_cancelled")

    # --- what the model does

    def _respond(self, metadata: object) -> None:
        turn, usage = self._cue.next_turn()
        # Set before the task runs, so that two requests in one moment cannot both find the model free.
        self._response = response = _Response(metadata, usage)
        self._speaker = self._spawn(self._play(response, turn))

    async def _play(self, response: _Response, turn: Turn) -> None:
        await asyncio.sleep(self._cue.script.created_after_ms / 1000)
        self._note("response.created", response.id)
        # The metadata is echoed: by it a client knows the response it asked for.
        await self._send("response.created", response=self._describe(response, "in_progress", None, done=False))
        for step in turn:
            match step:
                case Fail(code, message, "failed"):
                    error = {"type": "server_error", "code": code, "message": message}
                    await self._finish(response, "failed", {"type": "failed", "error": error})
                    return
                case Fail(code, _, status):
                    await self._finish(response, status, {"type": status, "reason": code})
                    return
                case Call():
                    await asyncio.sleep(step.after_ms / 1000)
                    await self._call(response, step)
                case Say():
                    await asyncio.sleep(step.first_audio_after_ms / 1000)
                    await self._say(response, step)
        await self._finish(response, "completed", None)

    async def _call(self, response: _Response, step: Call) -> None:
        args = json.dumps(dict(step.args))
        item: Event = {"id": _new_id("item"), "object": "realtime.item", "type": "function_call", "status": "in_progress"}
        item |= {"call_id": _new_id("call"), "name": step.name, "arguments": ""}
        where = {**await self._open_item(response, item), "call_id": item["call_id"]}
        for i in range(0, len(args), 20):
            await self._send("response.function_call_arguments.delta", **where, delta=args[i : i + 20])
        await self._send("response.function_call_arguments.done", **where, arguments=args)
        response.text_tokens += len(args) // 4
        item["arguments"] = args
        await self._close_item(response, "completed")

    async def _say(self, response: _Response, step: Say) -> None:
        item: Event = {"id": _new_id("item"), "object": "realtime.item", "type": "message", "status": "in_progress"}
        item |= {"role": "assistant", "content": []}
        where = {**await self._open_item(response, item), "content_index": 0}
        await self._send("response.content_part.added", **where, part={"type": "audio", "transcript": ""})
        words, chunks = step.text.split(" "), max(1, math.ceil(step.audio_ms / step.chunk_ms))
        for i in range(chunks):
            said = " ".join(words[i * len(words) // chunks : (i + 1) * len(words) // chunks])
            if said:
                await self._send("response.output_audio_transcript.delta", **where, delta=said + " ")
                response.text_tokens += said.count(" ") + 1
            ms = min(step.chunk_ms, step.audio_ms - i * step.chunk_ms)
            if not response.spoke:
                response.spoke = True
                self._note("first_audio", response.id)
            await self._send("response.output_audio.delta", **where, delta=_tone(ms))
            response.audio_ms += ms
            await asyncio.sleep(step.pace_s)
        part = {"type": "audio", "transcript": step.text}
        item["content"] = [part]
        await self._send("response.output_audio.done", **where)
        await self._send("response.output_audio_transcript.done", **where, transcript=step.text)
        await self._send("response.content_part.done", **where, part=part)
        await self._close_item(response, "completed")

    async def _open_item(self, response: _Response, item: Event) -> Event:
        # Announced before its first delta: a client keys the deltas by the item.
        response.open_item = item
        response.output.append(item)
        where = {"response_id": response.id, "item_id": item["id"], "output_index": len(response.output) - 1}
        await self._send("response.output_item.added", response_id=response.id, output_index=where["output_index"], item=item)
        await self._add_item(dict(item))
        return where

    async def _close_item(self, response: _Response, status: str) -> None:
        item, response.open_item = response.open_item, None
        if item is not None:
            item["status"] = status
            index = response.output.index(item)
            await self._send("response.output_item.done", response_id=response.id, output_index=index, item=item)

    async def _cancel(self, reason: str) -> None:
        response, speaker = self._response, self._speaker
        if response is None or speaker is None:
            return
        speaker.cancel()
        if not any(moment.response_id == response.id for moment in self.truth):
            self._response = None  # cancelled before it was announced: the client never heard of it
            return
        await self._close_item(response, "incomplete")
        await self._finish(response, "cancelled", {"type": "cancelled", "reason": reason})

    async def _finish(self, response: _Response, status: str, details: Event | None) -> None:
        self._response = None
        self._note("response.done", response.id, status)
        await self._send("response.done", response=self._describe(response, status, details, done=True))

    async def _transcribe(self, item: str, transcript: str) -> None:
        await asyncio.sleep(TRANSCRIBE_S)
        name = "conversation.item.input_audio_transcription.completed"
        usage = {"type": "duration", "seconds": 1}
        await self._send(name, item_id=item, content_index=0, transcript=transcript, usage=usage)

    # --- the wire

    def _describe(self, response: _Response, status: str, details: Event | None, *, done: bool) -> Event:
        usage = response.tokens().wire() if done else None
        told: Event = {"id": response.id, "object": "realtime.response", "status": status, "status_details": details}
        return told | {"output": response.output, "usage": usage, "metadata": response.metadata}

    async def _add_item(self, item: Event) -> None:
        previous = self._items[-1] if self._items else None
        self._items.append(item["id"])
        await self._send("conversation.item.added", previous_item_id=previous, item=item)
        if not self._beta:
            await self._send("conversation.item.done", previous_item_id=previous, item=item)

    async def _refuse(self, code: str, event: Event | None) -> None:
        messages = {"response_cancel_not_active": "Cancellation failed: no active response found"}
        error = {"type": "invalid_request_error", "code": code, "message": messages.get(code, f"The event was refused: {code}")}
        await self._send("error", error=error | {"event_id": event.get("event_id") if isinstance(event, dict) else None})

    async def _send(self, kind: str, **fields: object) -> None:
        name = BETA_NAMES.get(kind, kind) if self._beta else kind
        with contextlib.suppress(ConnectionError):  # the client hung up while we spoke
            await self._ws.send_str(json.dumps({"event_id": _new_id("event"), "type": name, **fields}))

    def _note(self, event: str, response_id: str = "", status: str = "") -> None:
        self.truth.append(Moment(event, time.monotonic(), response_id, status))

    def _spawn(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _stop_tasks(self) -> None:
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
