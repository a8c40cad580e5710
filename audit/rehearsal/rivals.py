"""Other ways to trace a call, to be timed beside ours: LangSmith's client and OpenTelemetry's batch processor.

Each sends synthetic spans to a server of the benchmark's own. An operation is one span from its start to its end, with the same facts and
the same 700 characters as `samples.Calling` has.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from audit.rehearsal.samples import ARGUMENTS, OUTPUT, TOOL, TURN_FACTS


@dataclass(frozen=True, slots=True)
class Tracer:
    """Something that records.

    Args:
        record: one operation; told its number.
        close: delivers what it can, and ends it.
    """

    record: Callable[[int], object]
    close: Callable[[], object]


def open_langsmith(url: str, *, update: bool = True) -> Tracer:
    """LangSmith's client at its best: its own settings, but for the look at git and platform that its first run costs 10 ms.

    Args:
        url: a LangSmith API.
        update: whether an operation ends the run too, with ``update_run``; else it is ``create_run`` alone.

    Raises:
        ImportError: it is not installed.
    """
    from langsmith import Client  # noqa: PLC0415  # a rival in a benchmark

    client = Client(api_url=url, api_key="benchmark", omit_traced_runtime_info=True)

    def record(i: int) -> None:
        run, now = uuid.uuid4(), datetime.now(UTC)
        place = f"{now:%Y%m%dT%H%M%S%fZ}{run}"
        tool = i % 2
        client.create_run(
            TOOL if tool else "agent_turn", {"text": ARGUMENTS} if tool else {}, "tool" if tool else "chain", id=run, trace_id=run,
            dotted_order=place, start_time=now, project_name="benchmark", extra={} if tool else {"metadata": TURN_FACTS},
        )  # fmt: skip
        if update:
            client.update_run(run, end_time=datetime.now(UTC), outputs={"text": OUTPUT} if tool else {}, trace_id=run, dotted_order=place)

    return Tracer(record, lambda: client.close(timeout=5.0))


def open_opentelemetry(url: str) -> Tracer:
    """OpenTelemetry's SDK as its documentation sets it up: BatchSpanProcessor with its defaults, OTLP over HTTP.

    Raises:
        ImportError: SDK or exporter is not installed.
    """
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415  # a rival in a benchmark
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

    provider = TracerProvider(shutdown_on_exit=False)  # never made global: LiveKit's own spans would come too
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=url, timeout=5)))
    tracer = provider.get_tracer("benchmark")
    tool_facts = {"arguments": ARGUMENTS, "output": OUTPUT, "status": "ok"}

    def record(i: int) -> None:
        tool = i % 2
        span = tracer.start_span(TOOL if tool else "agent_turn", attributes=tool_facts if tool else TURN_FACTS)
        span.end()

    return Tracer(record, provider.shutdown)
