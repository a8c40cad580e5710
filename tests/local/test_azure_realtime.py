"""The stand-in for Azure, spoken to over a bare websocket: what the protocol promises, it keeps."""

from __future__ import annotations

import array
import asyncio
import base64
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest

from tracing.local.azure_realtime import AzureRealtime, Call, CallScript, Fail, Say, Usage

LOUD = base64.b64encode(array.array("h", [9000] * 2400).tobytes()).decode()  # 100 ms
QUIET = base64.b64encode(bytes(4800)).decode()
QUICK = Say("Good day to you.", audio_ms=200, first_audio_after_ms=5, pace_s=0)


class Line:
    """A client on one websocket."""

    def __init__(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        self.ws = ws

    async def send(self, kind: str, **fields: Any) -> None:
        await self.ws.send_json({"type": kind, **fields})

    async def speak(self, *chunks: str) -> None:
        for chunk in chunks:
            await self.send("input_audio_buffer.append", audio=chunk)

    async def until(self, kind: str) -> list[dict[str, Any]]:
        """Every event up to and including the first of this type."""
        events: list[dict[str, Any]] = []
        while not events or events[-1]["type"] != kind:
            events.append(await self.ws.receive_json(timeout=3))
        return events


def converse(
    play: Callable[[Line, AzureRealtime], Awaitable[None]], *scripts: CallScript, path: str = "/openai/v1/realtime?model=d", **options: Any
) -> AzureRealtime:
    """Start the stand-in, let `play` talk to it over one websocket, stop it, and leave no task behind."""

    async def run() -> AzureRealtime:
        azure = AzureRealtime(scripts, **options)
        url = await azure.start()
        async with aiohttp.ClientSession() as http, http.ws_connect(url + path) as ws:
            line = Line(ws)
            assert (await ws.receive_json(timeout=3))["type"] == "session.created"
            await play(line, azure)
        await azure.stop()
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return azure

    return asyncio.run(run())


def test_speech_is_heard_and_answered_in_order() -> None:
    """Tone then silence gives started, stopped, committed, the item, the response; the truth says the same and is timed."""

    async def play(line: Line, _: AzureRealtime) -> None:
        await line.speak(LOUD, LOUD, LOUD, QUIET, QUIET)
        types = [event["type"] for event in await line.until("response.done")]
        first = dict.fromkeys(types)  # order of first appearance
        assert [t for t in first if t.startswith("input_audio_buffer")] == [
            "input_audio_buffer.speech_started", "input_audio_buffer.speech_stopped", "input_audio_buffer.committed"
        ]  # fmt: skip
        assert types.index("response.created") < types.index("response.output_item.added") < types.index("response.content_part.added")
        assert types.index("response.content_part.added") < types.index("response.output_audio.delta")
        assert types.count("response.output_audio.delta") == 2

    azure = converse(play, CallScript(turns=((QUICK,),)))
    truth = azure.connections[0].truth
    assert [m.event for m in truth] == ["speech_started", "speech_stopped", "response.created", "first_audio", "response.done"]
    assert [m.at_s for m in truth] == sorted(m.at_s for m in truth)
    assert truth[3].at_s - truth[2].at_s >= 0.005
    assert {m.response_id for m in truth[2:]} == {truth[2].response_id} != {""}
    assert truth[4].status == "completed"


def test_silence_must_last_as_long_as_the_session_says() -> None:
    """200 ms end a turn by default; a session that asks for 400 gets 400."""

    async def play(line: Line, _: AzureRealtime) -> None:
        await line.send("session.update", session={"audio": {"input": {"turn_detection": {"silence_duration_ms": 400}}}})
        await line.speak(LOUD, QUIET, QUIET, QUIET, QUIET)
        stopped = (await line.until("input_audio_buffer.speech_stopped"))[-1]
        assert stopped["audio_end_ms"] == 500
        await line.until("response.done")
        await line.send("session.update", session={"turn_detection": {"type": "server_vad"}})
        await line.speak(LOUD, QUIET, QUIET)
        assert (await line.until("input_audio_buffer.speech_stopped"))[-1]["audio_end_ms"] == 800

    converse(play, CallScript(turns=((QUICK,),)))


def test_no_turn_detection_means_none() -> None:
    """With turn_detection null nothing is detected; a commit and a request do it by hand."""

    async def play(line: Line, azure: AzureRealtime) -> None:
        await line.send("session.update", session={"turn_detection": None})
        await line.speak(LOUD, QUIET, QUIET, QUIET)
        await line.send("input_audio_buffer.commit")
        await line.until("input_audio_buffer.committed")
        await line.send("response.create")
        await line.until("response.done")
        assert "speech_started" not in {m.event for m in azure.connections[0].truth}

    converse(play, CallScript(turns=((QUICK,),)))


def test_items_and_metadata_are_echoed() -> None:
    """Every created item comes back, a deleted one is confirmed, and a response carries the metadata it was asked with."""

    async def play(line: Line, _: AzureRealtime) -> None:
        await line.send("conversation.item.create", item={"id": "mine", "type": "message", "role": "user", "content": []})
        assert (await line.until("conversation.item.added"))[-1]["item"]["id"] == "mine"
        await line.send("conversation.item.delete", item_id="mine")
        assert (await line.until("conversation.item.deleted"))[-1]["item_id"] == "mine"
        await line.send("response.create", response={"metadata": {"client_event_id": "e1"}})
        for kind in ("response.created", "response.done"):
            assert (await line.until(kind))[-1]["response"]["metadata"] == {"client_event_id": "e1"}

    converse(play, CallScript(turns=((QUICK,),)))


def test_speech_interrupts_an_answer() -> None:
    """Speaking over an answer ends it as cancelled by turn detection, with the open item incomplete."""

    async def play(line: Line, _: AzureRealtime) -> None:
        await line.send("response.create")
        await line.until("response.output_audio.delta")
        await line.speak(LOUD)
        events = await line.until("response.done")
        assert events[-1]["response"]["status_details"] == {"type": "cancelled", "reason": "turn_detected"}
        assert events[-2]["item"]["status"] == "incomplete"
        await line.send("response.cancel")
        assert (await line.until("error"))[-1]["error"]["code"] == "response_cancel_not_active"

    azure = converse(play, CallScript(turns=((Say("A long story.", audio_ms=5000, first_audio_after_ms=0, pace_s=0.05),),)))
    assert azure.connections[0].truth[-1].status == "cancelled"


def test_a_caller_who_leaves_is_not_spoken_to() -> None:
    """Once the client is gone its answer stops: nothing more is noted as said."""

    async def play(line: Line, azure: AzureRealtime) -> None:
        await line.send("response.create")
        await line.until("response.created")
        await line.ws.close()
        await asyncio.sleep(0.2)
        assert [m.event for m in azure.connections[0].truth] == ["response.created"]

    converse(play, CallScript(turns=((Say("Too late.", first_audio_after_ms=100),),)))


def test_two_requests_at_once_get_one_answer() -> None:
    """A second request while a response is under way is refused, however close it comes."""

    async def play(line: Line, _: AzureRealtime) -> None:
        await line.send("response.create")
        await line.send("response.create")
        events = await line.until("response.done")
        assert [e["error"]["code"] for e in events if e["type"] == "error"] == ["conversation_already_has_active_response"]

    converse(play, CallScript(turns=((QUICK,),)))


@pytest.mark.parametrize(
    "junk",
    ["{", "[]", '"x"', "{}", '{"type": "no.such"}', '{"type": "session.update"}', '{"type": "input_audio_buffer.append", "audio": "%"}'],
)
def test_junk_is_refused_and_the_call_goes_on(junk: str) -> None:
    """Whatever a client sends, it gets an error event and keeps its connection."""

    async def play(line: Line, _: AzureRealtime) -> None:
        await line.ws.send_str(junk)
        assert (await line.until("error"))[-1]["error"]["type"] == "invalid_request_error"
        await line.send("input_audio_buffer.clear")
        await line.until("input_audio_buffer.cleared")

    converse(play)


def test_usage_is_the_scripts_or_counted() -> None:
    """Scripted tokens arrive as written, with their totals; unscripted output is counted from what was said."""
    usage = Usage(input_text=10, input_audio=20, cached_text=4, cached_audio=3, output_text=5, output_audio=6)

    async def play(line: Line, _: AzureRealtime) -> None:
        await line.send("response.create")
        told = (await line.until("response.done"))[-1]["response"]["usage"]
        assert (told["total_tokens"], told["input_tokens"], told["output_tokens"]) == (41, 30, 11)
        assert told["input_token_details"]["cached_tokens"] == 7
        await line.send("response.create")
        assert (await line.until("response.done"))[-1]["response"]["usage"]["output_token_details"] == {"text_tokens": 4, "audio_tokens": 4}

    converse(play, CallScript(turns=((QUICK,), (QUICK,)), usage=(usage,)))


def test_a_failed_response_says_so() -> None:
    """A scripted failure ends the response as failed, with its code."""

    async def play(line: Line, _: AzureRealtime) -> None:
        await line.send("response.create")
        done = (await line.until("response.done"))[-1]["response"]
        assert (done["status"], done["status_details"]["error"]["code"]) == ("failed", "server_error_503")

    converse(play, CallScript(turns=((Fail("server_error_503"),),)))


def test_an_incomplete_response_says_why() -> None:
    """The script's code is its reason; the truth knows it as incomplete."""

    async def play(line: Line, _: AzureRealtime) -> None:
        await line.send("response.create")
        done = (await line.until("response.done"))[-1]["response"]
        assert (done["status"], done["status_details"]) == ("incomplete", {"type": "incomplete", "reason": "content_filter"})

    azure = converse(play, CallScript(turns=((Fail("content_filter", status="incomplete"),),)))
    assert azure.connections[0].truth[-1].status == "incomplete"


def test_a_stop_is_told_again_where_the_script_says_so() -> None:
    """The same event twice on the wire, once in the truth."""

    async def play(line: Line, _: AzureRealtime) -> None:
        await line.speak(LOUD, QUIET, QUIET)
        stops = [event for event in await line.until("response.done") if event["type"].endswith("speech_stopped")]
        assert [(stop["item_id"], stop["audio_end_ms"]) for stop in stops] == [(stops[0]["item_id"], 300)] * 2

    azure = converse(play, CallScript(turns=((Say("Yes.", 100, 200),),), stop_again_after_ms=30))
    assert [moment.event for moment in azure.connections[0].truth].count("speech_stopped") == 1


@pytest.mark.parametrize(
    ("path", "dialect", "added", "audio"),
    [
        ("/openai/v1/realtime?model=d", None, "conversation.item.added", "response.output_audio.delta"),
        ("/openai/realtime?deployment=d&api-version=v", None, "conversation.item.created", "response.audio.delta"),
        ("/openai/v1/realtime?model=d", "beta", "conversation.item.created", "response.audio.delta"),
    ],
)
def test_the_dialect_follows_the_url_unless_set(path: str, dialect: Any, added: str, audio: str) -> None:
    """Each URL speaks its own event names, as on Azure; a test may force one."""

    async def play(line: Line, azure: AzureRealtime) -> None:
        await line.send("response.create")
        types = {event["type"] for event in await line.until("response.done")}
        assert {added, audio} <= types
        assert azure.connections[0].deployment == "d"

    converse(play, CallScript(turns=((QUICK,),)), path=path, dialect=dialect)


def test_scripts_go_by_key_else_in_order_and_a_key_survives_a_reconnect() -> None:
    """A keyed caller gets its own script and goes on in it after connecting again; the others get theirs in order."""
    mine = CallScript(turns=((Say("one"),), (Say("two"),)), key="mine")
    scripts = (CallScript(turns=((Say("first"),),)), mine, CallScript(turns=((Say("second"),),)))

    async def run() -> list[str]:
        azure = AzureRealtime(scripts)
        url = await azure.start()
        said = []
        async with aiohttp.ClientSession() as http:
            for key in ("k", "mine", "k", "mine", "k"):
                async with http.ws_connect(url + "/openai/v1/realtime?model=d", headers={"api-key": key}) as ws:
                    line = Line(ws)
                    await line.send("response.create")
                    said.append((await line.until("response.output_audio_transcript.done"))[-1]["transcript"])
            async with http.get(url + "/stand-in/truth/" + azure.connections[1].session_id) as answer:
                assert [m["event"] for m in await answer.json()][:2] == ["response.created", "first_audio"]
        await azure.stop()
        return said

    assert asyncio.run(run()) == ["first", "one", "second", "two", "All right."]


def test_impossible_scripts_are_refused_before_the_call() -> None:
    """Arguments that are not JSON, audio of no length, and a key used twice are told at once."""
    with pytest.raises(ValueError, match="args must be JSON"):
        Call("book_appointment", {"when": object()})
    with pytest.raises(ValueError, match="audio_ms"):
        Say("x", audio_ms=0)
    with pytest.raises(ValueError, match="same key"):
        AzureRealtime([CallScript(key="a"), CallScript(key="a")])
