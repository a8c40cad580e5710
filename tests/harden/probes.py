"""What an agent's developer may do by mistake, each in a process of its own: ``probes.py NAME on|off COLLECTOR``.

The last line of stdout is JSON: what the probe itself saw.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import io
import json
import logging
import os
import sys
import types
from pathlib import Path

SAID = "Zqxjkvorn"
HARDENED, URL = sys.argv[2] == "on", sys.argv[3]


def harden(ctx=None, **options):
    """What the first line of the entrypoint does, where it is there."""
    if not HARDENED:
        return None
    from tracing.harden import harden as shut

    insights = os.environ.get("LIVEKIT_OBSERVABILITY_URL")
    hardening = shut(ctx, **options)
    if insights:  # stands for LiveKit Cloud's own address, which no variable gives and no hardening takes away
        os.environ["LIVEKIT_OBSERVABILITY_URL"] = insights
    return hardening


class Lines(io.StringIO):
    """A handler on the root logger, as an observability agent's, with LiveKit's own formatter."""

    def __init__(self, level="DEBUG"):
        super().__init__()
        from livekit.agents.cli.log import JsonFormatter

        handler = logging.StreamHandler(self)
        handler.setFormatter(JsonFormatter("%(message)s"))
        logging.getLogger().addHandler(handler)
        logging.getLogger().setLevel(level)

    def saying(self, what=SAID):
        return [json.loads(line)["message"][:60] for line in self.getvalue().splitlines() if what in line]


async def play(*, ctx=None, attach=None, start_options=None):
    """One call: a tool with arguments and a result, a tool that raises, an answer that says the caller's name."""
    from tracing.local.azure_realtime import AzureRealtime, CallScript
    from tracing.local.azure_realtime import Call as ModelCall
    from tracing.local.azure_realtime.script import Say
    from tracing.local.clinic_agent import CallerTurn, ScriptedClinicAgent, ScriptedTool, run_call

    tools = [
        ScriptedTool("book_appointment", result={"patient_name": SAID}),
        ScriptedTool("cancel_appointment", raises=f"LookupError: {SAID}"),
    ]
    calls = [ModelCall(tool.name, {"patient_name": SAID}) for tool in tools]
    azure = AzureRealtime([CallScript(turns=(tuple(calls), (Say(f"Booked for {SAID}.", 300),)), transcripts=(f"I am {SAID}",))])
    url = await azure.start()
    try:
        agent, options = ScriptedClinicAgent(tools), start_options or {}
        outcome = await run_call(agent, url, [CallerTurn(300)], attach=attach, ctx=ctx, start_options=options)
        # The writer of text streams is slower than the call.
        await asyncio.sleep(0.3)
        return outcome
    finally:
        await azure.stop()


@contextlib.contextmanager
def job(*, real=True, recording=True):
    """A job as the worker makes it: its project says that it is recorded."""
    from tracing.local.clinic_agent import job_context

    with job_context() as ctx:
        ctx.job.enable_recording = recording
        if real:
            ctx._info = dataclasses.replace(ctx._info, fake_job=False)
        yield ctx


def cloud():
    """LiveKit Cloud records the session: logs, spans, transcript; the agent says nothing about it."""
    from livekit.agents.utils import http_context

    logging.basicConfig(level="INFO", stream=sys.stderr)

    async def main():
        with job() as ctx:
            ctx._prepare_telemetry()
            harden(ctx)
            outcome = await play(ctx=ctx)
            ctx.tagger.success(reason=f"{SAID} is booked")
            async with http_context.open():
                await ctx._on_session_end()
            await ctx._on_cleanup()
            return outcome.unanswered

    return {"unanswered": asyncio.run(main())}


def _exporting_provider(path):
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor

    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(endpoint=URL + path)))
    return provider


def spans():
    """Somebody's OpenTelemetry providers, of spans and of log records, set before hardening; after it, one for LiveKit's spans too.

    The session is not recorded, but its outcome's reason goes to a provider of log records all the same.
    """
    from livekit.agents import telemetry
    from livekit.agents.utils import http_context
    from opentelemetry import trace
    from opentelemetry._logs import set_logger_provider
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor

    logs = LoggerProvider()
    logs.add_log_record_processor(SimpleLogRecordProcessor(OTLPLogExporter(endpoint=URL + "/v1/logs")))
    set_logger_provider(logs)
    trace.set_tracer_provider(_exporting_provider("/v1/traces"))

    async def main():
        with job() as ctx:
            harden(ctx)
            if HARDENED:
                telemetry.set_tracer_provider(_exporting_provider("/livekit/v1/traces"))
            outcome = await play(ctx=ctx, start_options={"record": False, "session_host": False})
            ctx.tagger.success(reason=f"{SAID}-tagger")
            async with http_context.open():
                await ctx._on_session_end()
            return outcome.unanswered

    unanswered = asyncio.run(main())
    # Another library's spans are not LiveKit's: they still reach their provider.
    trace.get_tracer("clinic").start_span("own").end()
    return {"unanswered": unanswered}


def quiet():
    """What leaves without a session: an entrypoint that dies, with the log lines LiveKit held and its job's span; and an RPC."""
    from livekit import rtc
    from livekit.agents.telemetry import rpc as rpc_tracing
    from livekit.agents.telemetry import tracer
    from opentelemetry import trace

    trace.set_tracer_provider(_exporting_provider("/v1/traces"))
    interceptors = []
    rpc_tracing.install(types.SimpleNamespace(add_rpc_interceptor=interceptors.append))

    async def answer(invocation):
        return invocation.payload

    async def main():
        with job() as ctx:
            logging.getLogger().setLevel("INFO")
            ctx._start_log_buffering()
            with contextlib.suppress(LookupError), tracer.start_as_current_span("job_entrypoint"):
                harden(ctx)
                call = rtc.RpcInvocationData(
                    request_id="1", caller_identity=f"sip_{SAID}-identity", payload=f"{SAID}-payload", response_timeout=5.0
                )
                answered = await interceptors[0].intercept_incoming(call, answer)
                logging.getLogger("clinic").error("cannot find %s-crash", SAID)
                raise LookupError(f"{SAID}-entrypoint")
            await ctx._on_cleanup()
            return answered == f"{SAID}-payload"

    return {"answered": asyncio.run(main())}


def logs():
    """Log records of a call, as a handler on the root logger gets them, and what asyncio says of a task that died.

    LK_OPENAI_DEBUG was set when livekit was imported: every event of the model is logged.
    """
    import livekit.plugins.openai  # noqa: F401  # reads the variable

    lines = Lines()
    harden()
    held = []
    mine = logging.getLogger("clinic")
    mine.warning("own %s", "Nvbqrst", extra={"lk.pii.note": "Nvbqrst"})

    async def main():
        async def dies():
            raise LookupError(SAID)

        plugin = logging.getLogger("livekit.plugins.made_later")
        held.append(asyncio.create_task(dies(), name=f"part-entry-{SAID}"))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        held.clear()
        records = _Records()
        outcome = await play(attach=lambda session, ctx: _attach(session, records))
        plugin.error("failed for '%s'", SAID)
        plugin.error(f"failed for '{SAID}'")  # as LiveKit does
        for later in ("livekit.plugins.loaded_late", "langsmith.loaded_late", "openai.loaded_late"):  # after the session's start
            logging.getLogger(later).error("late %s", SAID)
        return outcome.unanswered, records

    unanswered, records = asyncio.run(main())
    with contextlib.suppress(ValueError):
        _log_exceptions_of_livekit()
    tools = [r for r in records.all if type(r).__name__ == "ToolCall"]
    return {
        "unanswered": unanswered,
        "saying": lines.saying(),
        "lines": len(lines.getvalue().splitlines()),
        "own": len(lines.saying("Nvbqrst")),
        "classes": sorted({r.error_type for r in tools}),
        "named": "LookupError" in lines.getvalue(),
        "events": sum(json.loads(line)["message"] in {">>>", "<<<"} for line in lines.getvalue().splitlines()),
    }


def _log_exceptions_of_livekit():
    from livekit.agents.utils import log_exceptions

    @log_exceptions(msg="in a helper")
    def helper():
        raise ValueError(SAID)

    helper()


class _Records:
    """A recorder that keeps what it is given."""

    def __init__(self):
        self.all = []

    def record(self, record):
        self.all.append(record)

    def open_call(self, call):
        pass

    def close_call(self, call):
        pass

    def tally(self):
        from tracing.recorder import Tally

        return Tally(len(self.all), len(self.all), 0, {})


def _attach(session, records):
    import tracing

    return tracing.attach(session, None, consent="granted", recorder=records)


def _participant(identity):
    return types.SimpleNamespace(
        identity=identity, sid=f"PA_{identity}", name=identity, kind=0, attributes={}, metadata="", track_publications={},
        disconnect_reason=None, client_protocol=0, permissions=None,
    )  # fmt: skip


class _Room:
    """A room that is connected and keeps what an agent sends to all in it."""

    def __init__(self):
        from livekit import rtc

        self.sent = []
        self.name, self.remote_participants, self.sid = "clinic", {}, "RM_x"
        self._events = rtc.EventEmitter()
        self.on, self.off, self.emit = self._events.on, self._events.off, self._events.emit
        self.local_participant = self
        vars(self).update(vars(_participant("agent")))
        self.handlers = {}

    def isconnected(self):
        return True

    def register_text_stream_handler(self, topic, handler):
        self.handlers[topic] = handler

    register_byte_stream_handler = register_text_stream_handler

    def unregister_text_stream_handler(self, topic):
        self.handlers.pop(topic, None)

    unregister_byte_stream_handler = unregister_text_stream_handler

    def register_rpc_method(self, name, handler):
        self.handlers[name] = handler

    async def perform_rpc(self, **_):
        return ""

    async def set_attributes(self, attributes):
        self.attributes |= attributes

    async def publish_transcription(self, transcription):
        self.sent.append(("legacy", " ".join(segment.text for segment in transcription.segments)))

    async def send_bytes(self, data, *, topic="", **_):
        self.sent.append((topic, data.decode(errors="replace")))

    async def stream_text(self, *, topic="", **_):
        room = self

        class Writer:
            info = types.SimpleNamespace(stream_id="1", attributes={})

            async def write(self, text):
                room.sent.append((topic, text))

            async def aclose(self, **_):
                pass

        return Writer()


def room():
    """What the participants of the room get to see of calls, and what is kept of their sound."""
    from livekit.agents.voice import room_io

    modern = room_io.RoomOptions(audio_input=False, audio_output=False, participant_identity="caller")
    legacy = {
        "room_input_options": room_io.RoomInputOptions(audio_enabled=False, participant_identity="caller"),
        "room_output_options": room_io.RoomOutputOptions(audio_enabled=False),
    }
    harden()
    told = {"asked": _seen_in_room({"room_options": modern, "record": True, "session_host": True})}
    if HARDENED:
        told["legacy"] = _seen_in_room(legacy)
        told["by_hand"] = _seen_in_room({}, by_hand=modern)
        harden(captions=True)
        told["captions"] = _seen_in_room({"room_options": modern})
    return told


def _seen_in_room(options, *, by_hand=None):
    held = _Room()
    held.remote_participants["caller"] = _participant("caller")
    linked, made = set(), []

    def watch(session, _):
        if by_hand is not None:  # the agent makes and starts its own
            from livekit.agents.voice.room_io import RoomIO

            made.append(RoomIO(session, room=held, options=by_hand))
            made.append(asyncio.ensure_future(made[0].start()))
        session.on("conversation_item_added", lambda _: linked.add((made[0] if made else session.room_io)._options.participant_identity))

    async def main():
        with job(real=False, recording=False) as ctx:
            outcome = await play(ctx=ctx, attach=watch, start_options=options if by_hand is not None else {"room": held, **options})
            return outcome, (Path(ctx.session_directory) / "audio.ogg").exists()

    outcome, audio = asyncio.run(main())
    assert linked == {"caller"}  # what else was asked for is kept
    topics = {}
    for topic, text in held.sent:
        topics[topic] = topics.get(topic, "") + text
    return {
        "unanswered": outcome.unanswered,
        "topics": sorted(topic for topic, text in topics.items() if SAID in text),
        "user_text": f"I am {SAID}" in "".join(topics.values()),
        "audio": audio,
    }


def model_tracing():
    """A model told to keep traces at its provider, made before hardening and changed after."""
    from livekit.plugins import openai

    from tracing.local.azure_realtime import AzureRealtime, CallScript

    sent = []

    async def main():
        azure = AzureRealtime([CallScript()])
        url = await azure.start()
        model = openai.realtime.RealtimeModel.with_azure(azure_deployment="gpt-realtime", azure_endpoint=url, api_key="k", tracing="auto")
        harden()
        session = model.session()
        session.on("openai_client_event_queued", lambda event: sent.append(json.dumps(event)))
        await asyncio.sleep(0.5)
        model.update_options(tracing={"workflow_name": SAID}, speed=1.1)
        await asyncio.sleep(0.5)
        await session.aclose()
        await model.aclose()
        await azure.stop()

    asyncio.run(main())
    return {
        "traced": sum('"tracing"' in event and '"tracing": null' not in event for event in sent),
        "speed": any("1.1" in event for event in sent),
    }


async def _start_with_a_gateway_model():
    os.environ |= {"LIVEKIT_API_KEY": "k", "LIVEKIT_API_SECRET": "s" * 32}
    from livekit.agents import Agent, AgentSession

    session = AgentSession(llm="openai/gpt-4.1-mini")
    await session.start(Agent(instructions=""))
    await session.aclose()


def _langsmith_environment():
    os.environ |= {"LANGSMITH_API_KEY": "lsv2_pt_x", "LANGSMITH_ENDPOINT": URL}
    os.environ.setdefault("LANGSMITH_TRACING", "true")


def langsmith(order):
    """Every way the SDK has of sending; imported ``after`` hardening, or before it with a ``client`` made."""
    _langsmith_environment()
    if order == "after":
        harden()
    import uuid

    import langsmith
    from langsmith.run_trees import get_cached_client

    client = langsmith.Client() if order == "client" else None  # with its thread and its queue
    if order != "after":
        harden()
    sender = client or langsmith.Client()

    @langsmith.traceable(client=client) if client else langsmith.traceable
    def book(patient_name):
        raise LookupError(patient_name)

    with contextlib.suppress(LookupError):
        book(f"{SAID}-traceable")
    run = langsmith.RunTree(name="book", inputs={"v": f"{SAID}-runtree"}, client=sender)
    run.post()
    run.end(outputs={"o": f"{SAID}-patched"}, error=f"{SAID}-error")
    run.patch()
    direct = langsmith.Client(auto_batch_tracing=False)
    direct.create_run("book", {"v": f"{SAID}-direct"}, "tool")
    held = {"id": uuid.uuid4(), "trace_id": uuid.uuid4(), "name": "book", "run_type": "tool", "inputs": {"v": f"{SAID}-ingested"}}
    held |= {"trace_id": held["id"], "dotted_order": f"20300101T000000000000Z{held['id']}", "start_time": "2030-01-01T00:00:00+00:00"}
    direct.multipart_ingest(create=[held])
    feedback = sender.create_feedback(run_id=uuid.uuid4(), trace_id=uuid.uuid4(), key="k", comment=f"{SAID}-feedback")
    asyncio.run(_send_later(langsmith))
    _wrap_openai()
    seen = asyncio.run(_wrap_realtime())
    fault = ""
    try:
        sender.create_dataset(f"{SAID}-dataset")
    except Exception as raised:  # noqa: BLE001  # the collector's answer is no data set either
        fault = type(raised).__name__
    read = sender.request_with_retries("GET", "/commits/x").status_code
    for one in (sender, direct, get_cached_client()):
        one.flush(timeout=10)
        one.close(timeout=5)
    return {"feedback": feedback.comment == f"{SAID}-feedback", "dataset": fault, "read": read, "seen": seen}


async def _send_later(langsmith):
    async with langsmith.AsyncClient() as held:
        await held.create_run("book", {"v": f"{SAID}-async"}, "tool")


def _wrap_openai():
    import openai
    from langsmith.wrappers import wrap_openai

    held = wrap_openai(openai.OpenAI(api_key="k", base_url=URL + "/model", max_retries=0))
    with contextlib.suppress(Exception):  # the collector is no model
        held.chat.completions.create(model="m", messages=[{"role": "user", "content": f"{SAID}-openai"}])


async def _wrap_realtime():
    from langsmith.integrations.openai_realtime import wrap_realtime

    item = {"id": "i1", "type": "message", "role": "assistant", "content": [{"type": "audio", "transcript": f"{SAID}-answer"}]}
    events = [
        {"type": "session.created", "session": {"id": "s"}},
        {"type": "conversation.item.input_audio_transcription.completed", "item_id": "i0", "transcript": f"{SAID}-realtime"},
        {"type": "response.created", "response": {"id": "r"}},
        {"type": "response.done", "response": {"id": "r", "status": "completed", "output": [item], "usage": {}}},
    ]

    class Connection:
        async def __aiter__(self):
            for event in events:
                yield _as_event(event)

    seen = 0
    async with wrap_realtime(Connection()) as connection:
        async for _ in connection:
            seen += 1
    return seen


def mode():
    """LANGSMITH_TRACING_MODE turns LangSmith into the provider of LiveKit's spans, after hardening."""
    _langsmith_environment()
    os.environ["LANGSMITH_TRACING_MODE"] = "hybrid"
    harden()
    import langsmith

    client = langsmith.Client(tracing_mode="hybrid")  # said in code too
    run = langsmith.RunTree(name="book", inputs={"v": f"{SAID}-runtree"}, client=client)
    run.post()
    run.end(outputs={"o": SAID})
    run.patch()
    unanswered = asyncio.run(play()).unanswered
    client.flush(timeout=10)
    _flush_provider()
    client.close(timeout=5)
    return {"unanswered": unanswered}


def _flush_provider():
    from opentelemetry import trace

    flush = getattr(trace.get_tracer_provider(), "force_flush", None)
    if flush:
        flush()


def _cachetools():
    """LangSmith's integration asks for cachetools, which its own package does not bring; a dict will do."""

    class Cache(dict):
        def __init__(self, maxsize=0, ttl=0, **_):
            super().__init__()

    sys.modules["cachetools"] = types.SimpleNamespace(TTLCache=Cache, LRUCache=Cache)


def configure_livekit(order):
    """LangSmith's own integration for LiveKit, switched on ``before`` hardening, or ``after``: by its function and by hand."""
    _langsmith_environment()
    _cachetools()

    async def main():
        with job(real=False, recording=False) as ctx:
            if order == "after":
                harden(ctx)
            from langsmith.integrations.livekit import LiveKitLangSmithSpanProcessor
            from langsmith.integrations.livekit import configure_livekit as configure

            processor = configure(recording_timeout_seconds=1)
            if order == "after":
                from livekit.agents import telemetry
                from opentelemetry import trace
                from opentelemetry.sdk.trace import TracerProvider

                provider = TracerProvider()
                provider.add_span_processor(LiveKitLangSmithSpanProcessor(recording_timeout_seconds=1))
                trace.set_tracer_provider(provider)
                telemetry.set_tracer_provider(provider)
                # Not LiveKit's, so it does reach the processor; it goes no further.
                trace.get_tracer("clinic").start_span("own", attributes={"note": SAID}).end()
            else:
                harden(ctx)
            outcome = await play(ctx=ctx)
            _flush_provider()
            return processor, outcome.unanswered

    processor, unanswered = asyncio.run(main())
    if processor is not None:
        processor.force_flush()
        processor.shutdown()
    return {"processor": processor is not None, "unanswered": unanswered}


def _as_event(held):
    if isinstance(held, dict):
        return types.SimpleNamespace(**{key: _as_event(value) for key, value in held.items()}, model_dump=lambda **_: held)
    return [_as_event(part) for part in held] if isinstance(held, list) else held


def twice():
    """Hardened twice; what the doors say, and what was loaded by it."""
    import resource

    import tracing  # noqa: F401  # what it loads is not harden's

    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    resource.setrlimit(resource.RLIMIT_CORE, (hard if hard != 0 else 0, hard))
    before = set(sys.modules)
    first = harden()
    from tracing.harden import doctor

    first = first or doctor()
    loaded = sorted({name.split(".")[0] for name in set(sys.modules) - before} & {"livekit", "langsmith", "opentelemetry"})
    early = {door.name: door.state for door in first.doors}
    import langsmith.async_client
    import langsmith.integrations.otel.processor  # noqa: F401
    import livekit.agents
    import livekit.plugins.openai

    start = livekit.agents.AgentSession.start
    harden()
    doors = doctor()
    return {
        "loaded": loaded,
        "hard": hard,
        "environment": {name: os.environ.get(name) for name in ("LANGSMITH_TRACING", "LANGSMITH_RUNS_ENDPOINTS", "LK_DUMP_TTS")},
        "early": early,
        "doors": {door.name: [door.state, door.why] for door in doors.doors},
        "once": livekit.agents.AgentSession.start is start,
        "gateway": _gateway(doctor),
        "finders": sum(type(finder).__name__ == "ImportWatch" for finder in sys.meta_path),
    }


def _gateway(look):
    asyncio.run(_start_with_a_gateway_model())
    return look()["livekit.gateway"].state


def face():
    """The package's own names, after the module of the same name was loaded too."""
    import tracing

    states = [type(tracing.harden()).__name__, type(tracing.harden()).__name__]
    from tracing.harden import doctor

    return [*states, type(tracing.harden()).__name__, type(doctor()).__name__, tracing.room_options().text_output]


def broken():
    """A LiveKit whose names have changed, and a job context that refuses: nothing is raised, and the doors say so."""
    from livekit.agents.telemetry import traces

    del traces._upload_gate
    from tracing.harden import harden as shut

    asked = []

    class Ctx:
        def init_recording(self, options):
            asked.append(options)
            raise TypeError(SAID)

    lines = Lines("INFO")
    hardening = shut(Ctx())
    return {"open": sorted(door.name for door in hardening.open), "saying": lines.saying(), "asked": asked}


if __name__ == "__main__":
    told = globals()[sys.argv[1].split(":")[0]](*sys.argv[1].split(":")[1:])
    sys.stderr.flush()
    sys.stdout.write("\n" + json.dumps(told) + "\n")
    sys.stdout.flush()
