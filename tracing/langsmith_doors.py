"""LangSmith's SDK inside the agent's process, shut: whatever is decorated, wrapped or integrated, nothing is sent by it.

Only the relay sends, from a process of its own. Here nothing of langsmith is imported, since that takes seconds; each function is given a
module of it just imported. The names are those of langsmith 0.15.
"""

from __future__ import annotations

import functools
import logging
import sys
from collections.abc import Callable
from typing import Any, Final

from tracing.import_watch import is_ours, mark

CLIENT: Final = "langsmith.client"
ASYNC_CLIENT: Final = "langsmith.async_client"
GENERATED: Final = "langsmith._base_client"
EXPORTER: Final = "langsmith.integrations.otel.processor"
RUN_EXPORTER: Final = "langsmith._internal.otel._otel_exporter"
LIVEKIT: Final = "langsmith.integrations.livekit"

_log = logging.getLogger("tracing.harden")
_READS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_ADVICE: Final = "refused: in a hardened agent nothing is written to LangSmith but by the relay; do this from another process"


class _Accepted:
    """What a dropped request is answered with, so that its sender neither retries nor keeps it."""

    status_code = 202
    ok = True
    text = "{}"
    content = b"{}"

    def __init__(self) -> None:
        self.headers: dict[str, str] = {}

    def json(self) -> dict[str, Any]:
        return {}

    def raise_for_status(self) -> None:
        return


def shut_client(module: Any) -> None:
    """Runs and feedback are dropped where every client's requests pass, those made before included; any other write is refused."""
    kind = module.Client
    request = kind.request_with_retries
    if is_ours(request):
        return
    connection_error = module.ls_utils.LangSmithConnectionError

    @functools.wraps(request)
    def request_reads(self: Any, method: Any, pathname: Any, *args: Any, **options: Any) -> Any:
        if str(method).upper() in _READS:
            return request(self, method, pathname, *args, **options)
        if _is_stray(str(pathname)):
            return _Accepted()
        raise connection_error(_ADVICE)

    kind.request_with_retries = mark(request_reads)
    # Dropped before they are copied and serialised on the agent's own thread.
    for name in ("create_run", "update_run", "batch_ingest_runs", "multipart_ingest"):
        setattr(kind, name, _dropping(getattr(kind, name)))


def shut_async_client(module: Any) -> None:
    """The same for its asynchronous client."""
    kind = module.AsyncClient
    request = kind._arequest_with_retries
    if is_ours(request):
        return
    connection_error = module.ls_utils.LangSmithConnectionError

    @functools.wraps(request)
    async def request_reads(self: Any, method: Any, endpoint: Any, *args: Any, **options: Any) -> Any:
        if str(method).upper() in _READS:
            return await request(self, method, endpoint, *args, **options)
        if _is_stray(str(endpoint)):
            return _Accepted()
        raise connection_error(_ADVICE)

    kind._arequest_with_retries = mark(request_reads)
    for name in ("create_run", "update_run"):
        setattr(kind, name, _dropping_later(getattr(kind, name)))


def shut_generated(module: Any) -> None:
    """The newer, generated clients only read."""
    for kind, later in ((module.SyncAPIClient, False), (module.AsyncAPIClient, True)):
        request = kind.request
        if not is_ours(request):
            kind.request = mark(_generated_later(request) if later else _generated(request))


def shut_exporter(module: Any) -> None:
    """LangSmith's span processors, on any provider, export nothing: its LiveKit, Pipecat and OpenTelemetry integrations all end here."""
    kind = module.OtelExporter
    if is_ours(kind.export):
        return
    done = sys.modules["opentelemetry.sdk.trace.export"].SpanExportResult.SUCCESS

    def export(_self: Any, _spans: Any) -> Any:
        return done

    kind.export = mark(functools.wraps(kind.export)(export))


def shut_run_exporter(module: Any) -> None:
    """Runs are not turned into spans for a provider that may be anyone's."""
    module.OTELExporter.export_batch = _dropping(module.OTELExporter.export_batch)


def shut_livekit(module: Any) -> None:
    """``configure_livekit()`` does nothing: it would send transcripts and the recording. It gives None, as where LiveKit is missing."""

    def configure_livekit(*_args: Any, **_options: Any) -> None:
        _log.warning("configure_livekit() is refused: it would send transcripts and the recording; tracing.attach() records the call")

    module.configure_livekit = mark(functools.wraps(module.configure_livekit)(configure_livekit))


CHANGES: Final[dict[str, Callable[[Any], None]]] = {
    CLIENT: shut_client,
    ASYNC_CLIENT: shut_async_client,
    GENERATED: shut_generated,
    EXPORTER: shut_exporter,
    RUN_EXPORTER: shut_run_exporter,
    LIVEKIT: shut_livekit,
}
"""What to do to each module of langsmith."""

_PLACES: Final = {
    CLIENT: "Client.request_with_retries",
    ASYNC_CLIENT: "AsyncClient._arequest_with_retries",
    GENERATED: "SyncAPIClient.request",
    EXPORTER: "OtelExporter.export",
    RUN_EXPORTER: "OTELExporter.export_batch",
    LIVEKIT: "configure_livekit",
}


def stands_open(name: str) -> bool:
    """Whether a module of langsmith is loaded and not shut."""
    place: Any = sys.modules.get(name)
    if place is None:
        return False
    for part in _PLACES[name].split("."):
        place = getattr(place, part, None)
    return not is_ours(place)


def _is_stray(path: str) -> bool:
    """Whether a request is what tracing sends by itself: runs, their parts and feedback. A question about runs is not."""
    parts = path.partition("?")[0].rstrip("/").split("/")
    return "feedback" in parts or ("runs" in parts and parts[-1] not in {"query", "stats", "delete", "group"})


def _generated(request: Any) -> Any:
    @functools.wraps(request)
    def request_reads(self: Any, cast_to: Any, options: Any, *args: Any, **more: Any) -> Any:
        if str(options.method).upper() not in _READS:
            raise ConnectionRefusedError(_ADVICE)
        return request(self, cast_to, options, *args, **more)

    return request_reads


def _generated_later(request: Any) -> Any:
    @functools.wraps(request)
    async def request_reads(self: Any, cast_to: Any, options: Any, *args: Any, **more: Any) -> Any:
        if str(options.method).upper() not in _READS:
            raise ConnectionRefusedError(_ADVICE)
        return await request(self, cast_to, options, *args, **more)

    return request_reads


def _dropping(send: Any) -> Any:
    def drop(*_args: Any, **_options: Any) -> None:
        return

    return mark(functools.wraps(send)(drop))


def _dropping_later(send: Any) -> Any:
    async def drop(*_args: Any, **_options: Any) -> None:
        return

    return mark(functools.wraps(send)(drop))
