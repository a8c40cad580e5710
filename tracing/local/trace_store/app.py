"""The routes of LangSmith's API that the SDK, an audit and a purge use, over one store."""

from __future__ import annotations

import dataclasses
import secrets
import time
import uuid
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.responses import Response
from starlette.routing import Route

from tracing.local.trace_store import absent, feedback, ingest, moments, traces, views
from tracing.local.trace_store.answers import answer, body_of, number, uuid_of
from tracing.local.trace_store.query import Query, page, v1_query, v2_query, v2_selects
from tracing.local.trace_store.reception import BODY, Limits, Reception
from tracing.local.trace_store.records import Batch, Json, Project, Selection
from tracing.local.trace_store.refusal import Refusal
from tracing.local.trace_store.stats import run_stats

if TYPE_CHECKING:
    from starlette.requests import Request

    from tracing.local.trace_store.faults import Faults
    from tracing.local.trace_store.store import TraceStore

INFO: Final[Json] = {
    "version": "0.18.0",
    "instance_flags": {"zstd_compression_enabled": True, "ch_query_enabled": True, "sdb_query_enabled": False},
    # langsmith 0.15 stops its sending thread, without a word, where one of these keys is missing.
    "batch_ingest_config": {
        "use_multipart_endpoint": True,
        "size_limit": 100,
        "size_limit_bytes": 20_971_520,
        "scale_up_qsize_trigger": 1000,
        "scale_up_nthreads_limit": 16,
        "scale_down_nempty_trigger": 4,
    },
}
"""The handshake: what the SDK learns about this server."""

_MOST_TRACES: Final = 1000  # of one delete request, as hosted


def create_app(store: TraceStore, *, faults: Faults | None = None, limits: Limits | None = None) -> Starlette:
    """The server's application; the caller closes the store.

    Args:
        store: what it reads and writes.
        faults: where given, the faults to act out; ``/_control`` then changes them from another process.
        limits: the largest requests taken.
    """
    api = _Api(store, faults)
    return Starlette(
        routes=api.routes(),
        middleware=[Middleware(Reception, store=store, faults=faults, limits=limits or Limits())],
        exception_handlers={HTTPException: _as_json},
    )


def _as_json(_: Request, fault: Exception) -> Response:
    status = fault.status_code if isinstance(fault, HTTPException) else 500
    return answer({"detail": "no such address" if status == 404 else "not for this method"}, status)


class _Api:
    """The endpoints; each runs in a worker thread, since the store waits for the disk."""

    def __init__(self, store: TraceStore, faults: Faults | None) -> None:
        self.store = store
        self.faults = faults
        # The SDK fetches attachments without a key, as from a presigned address; so the address itself must not be guessed.
        self.ticket = secrets.token_urlsafe(16)
        self.due: list[tuple[float, list[str]]] = []  # runs asked to be deleted, and the monotonic time from which they are gone

    def routes(self) -> list[Route]:
        """All routes; what has no form of its own under ``/api/v2`` answers there as in v1."""
        v1 = [
            ("GET", "/info", lambda _: answer(INFO)),
            ("POST", "/runs/multipart", self.take_multipart),
            ("POST", "/runs/batch", self.take_batch),
            ("POST", "/runs", self.take_run),
            ("PATCH", "/runs/{run_id}", self.take_run),
            ("POST", "/runs/query", self.query_v1),
            ("POST", "/runs/stats", self.stats),
            ("POST", "/runs/delete", self.delete_runs),
            ("GET", "/runs/{run_id}", self.read_v1),
            ("GET", "/attachments/{ticket}/{run_id}/{name:path}", self.read_attachment),
            ("POST", "/sessions", self.add_project),
            ("GET", "/sessions", self.list_projects),
            ("GET", "/sessions/{project_id}", self.read_project),
            ("PATCH", "/sessions/{project_id}", self.change_project),
            ("DELETE", "/sessions/{project_id}", self.delete_project),
            *feedback.routes(self.store),
        ]
        v2 = [
            ("POST", "/v2/runs/query", self.query_v2),
            ("GET", "/v2/runs/{run_id}", self.read_v2),
            ("GET", "/v2/runs/{run_id}/url", self.run_url),
            ("POST", "/v2/traces/query", self.query_traces),
            ("GET", "/v2/traces/{trace_id}/runs", self.read_trace),
            ("GET", "/v2/sessions", lambda request: self.list_projects(request, wrapped=True)),
        ]
        v2 += [(method, f"/v2{path}", endpoint) for method, path, endpoint in v1]
        routes = absent.routes() + [Route(path, endpoint, methods=[method]) for method, path, endpoint in v2 + v1]
        if self.faults is not None:
            routes.append(Route("/_control", self.control, methods=["GET", "POST"]))
        return routes

    # Runs in

    def take_multipart(self, request: Request) -> Response:
        self.store.take(ingest.from_multipart(request.headers.get("content-type", ""), request.scope[BODY]))
        return answer({"message": "Runs batch ingested"}, 202)

    def take_batch(self, request: Request) -> Response:
        self.store.take(ingest.from_batch(request.scope[BODY]))
        return answer({"message": "Runs batch ingested"}, 202)

    def take_run(self, request: Request) -> Response:
        body = body_of(request)
        run_id = request.path_params.get("run_id")
        if run_id is None:
            operation = ingest.operation("post", body)
        else:
            operation = ingest.operation("patch", {"id": uuid_of(run_id)} | body, uuid_of(run_id))
        self.store.take(Batch((operation,)))
        return answer({"message": "Run ingested"}, 202)

    # Runs out

    def query_v1(self, request: Request) -> Response:
        self._carry_out()
        query = v1_query(body_of(request))
        runs, cursor = page(self.store, query)
        rows = [views.v1_row(run, self._address(request), query.select) for run in runs]
        return answer({"runs": rows, "cursors": {"next": cursor, "prev": None}, "parsed_query": None})

    def query_v2(self, request: Request) -> Response:
        self._carry_out()
        query = v2_query(body_of(request))
        runs, cursor = page(self.store, query)
        return answer({"items": [views.v2_row(run, self._address(request), query.select) for run in runs], "next_cursor": cursor})

    def read_v1(self, request: Request) -> Response:
        self._carry_out()
        run = self.store.run(uuid_of(request.path_params["run_id"]))
        if run is None:
            raise Refusal(404, "Run not found")
        return answer(views.v1_row(run, self._address(request)))

    def read_v2(self, request: Request) -> Response:
        self._carry_out()
        run = self.store.run(uuid_of(request.path_params["run_id"]))
        project_id = request.query_params.get("project_id")
        if project_id is None:
            raise Refusal(400, "project_id: must be given")
        if run is None or run.project_id != uuid_of(project_id):
            raise Refusal(404, "Run not found")
        return answer(views.v2_row(run, self._address(request), v2_selects(request.query_params.getlist("selects"))))

    def run_url(self, request: Request) -> Response:
        run = self.store.run(uuid_of(request.path_params["run_id"]))
        if run is None:
            raise Refusal(404, "Run not found")
        return answer({"url": f"{str(request.base_url).rstrip('/')}{views.app_path(run)}"})

    def query_traces(self, request: Request) -> Response:
        self._carry_out()
        return answer(traces.trace_page(self.store, body_of(request), self._address(request)))

    def read_trace(self, request: Request) -> Response:
        self._carry_out()
        trace_id = uuid_of(request.path_params["trace_id"])
        return answer(traces.trace_runs(self.store, trace_id, request.query_params, self._address(request)))

    def read_attachment(self, request: Request) -> Response:
        self._carry_out()
        given = request.path_params
        found = self.store.attachment(uuid_of(given["run_id"]), given["name"])
        if found is None or not secrets.compare_digest(given["ticket"].encode(), self.ticket.encode()):
            raise Refusal(404, "Attachment not found")
        # Never shown as a page: an attachment of type text/html must not run in a reader's browser.
        return Response(found.data, media_type="application/octet-stream", headers={"X-Content-Type-Options": "nosniff"})

    def stats(self, request: Request) -> Response:
        self._carry_out()
        return answer(run_stats(self.store, v1_query(body_of(request))))

    def delete_runs(self, request: Request) -> Response:
        """Delete whole traces by id or by metadata; at once, or after ``Faults.delete_after_s``, as hosted LangSmith at the weekend."""
        body = body_of(request)
        traces, wanted = body.get("trace_ids"), body.get("metadata")
        if isinstance(traces, list) and 0 < len(traces) <= _MOST_TRACES and all(isinstance(one, str) for one in traces):
            project_id = uuid_of(str(body.get("session_id")))
            chosen = [Selection(trace_id=uuid_of(one), project_ids=(project_id,)) for one in traces]
        elif isinstance(wanted, dict) and wanted:
            fits = (run for run in self.store.runs(Selection()) if any(_has(run.metadata, key, value) for key, value in wanted.items()))
            chosen = [Selection(trace_id=one) for one in {run.trace_id for run in fits}]
        else:
            raise Refusal(422, f"body: give session_id and 1 to {_MOST_TRACES} trace_ids, or metadata")
        runs = [run.id for one in chosen for run in self.store.runs(one)]
        wait = self.faults.delete_after_s if self.faults is not None else 0.0
        self.due.append((time.monotonic() + wait, runs))
        self._carry_out()
        return answer({"message": "Runs deleted"}, 202)

    def _carry_out(self) -> None:
        """Delete what is due. Called before each look at the runs, so that no thread of its own can outlive the store."""
        now = time.monotonic()
        for entry in [entry for entry in self.due if entry[0] <= now]:
            self.store.delete_runs(entry[1])
            with suppress(ValueError):  # another thread was quicker
                self.due.remove(entry)

    # Projects

    def add_project(self, request: Request) -> Response:
        body = body_of(request)
        name = body.get("name")
        if not isinstance(name, str) or not name or not _encodable(name):
            raise Refusal(422, "name: must be a text that is not empty")
        there = next((one for one in self.store.projects() if one.name == name), None)
        if there and request.query_params.get("upsert", "").lower() == "true":
            return answer(views.project_row(there))
        project_id = uuid_of(str(body.get("id") or uuid.uuid4()))
        kept = {key: body[key] for key in ("description", "extra", "end_time", "reference_dataset_id") if body.get(key) is not None}
        project = Project(project_id, name, moments.now(), kept)
        self.store.add_project(project)
        return answer(views.project_row(project))

    def list_projects(self, request: Request, *, wrapped: bool = False) -> Response:
        asked = request.query_params
        ids = {uuid_of(one) for one in asked.getlist("id")}
        metadata = ingest.shaped(ingest.document(asked.get("metadata", "{}").encode(), "metadata"), dict[str, Any], "metadata")
        found = [
            one
            for one in self.store.projects()
            if (not ids or one.id in ids)
            and asked.get("name", one.name) == one.name
            and asked.get("name_contains", "").lower() in one.name.lower()
            and all(_has((one.body.get("extra") or {}).get("metadata") or {}, key, value) for key, value in metadata.items())
        ]
        start = number(request, "cursor" if wrapped else "offset", 0, 10**9 - 1)
        end = start + number(request, "page_size" if "page_size" in asked else "limit", 100, 100)
        rows = [self._project_row(request, one) for one in found[start:end]]
        return answer({"items": rows, "next_cursor": str(end) if end < len(found) else None} if wrapped else rows)

    def read_project(self, request: Request) -> Response:
        return answer(self._project_row(request, self._project(request)))

    def change_project(self, request: Request) -> Response:
        project, body = self._project(request), body_of(request)
        name = body.get("name") or project.name
        if not isinstance(name, str) or not _encodable(name):
            raise Refusal(422, "name: must be a text")
        kept = {key: body[key] for key in ("description", "extra", "end_time") if body.get(key) is not None}
        changed = dataclasses.replace(project, name=name, body=project.body | kept)
        self.store.change_project(changed)
        return answer(views.project_row(changed))

    def delete_project(self, request: Request) -> Response:
        self.store.delete_project(self._project(request).id)
        return answer({"message": "Project deleted"}, 202)

    # Faults

    def control(self, request: Request) -> Response:
        assert self.faults is not None  # noqa: S101 - the route is there only with faults
        if request.method == "POST":
            self.faults.change(body_of(request))
        return answer(dataclasses.asdict(self.faults))

    # Parts of the above

    def _project(self, request: Request) -> Project:
        wanted = uuid_of(request.path_params["project_id"])
        found = next((one for one in self.store.projects() if one.id == wanted), None)
        if found is None:
            raise Refusal(404, "Project not found")
        return found

    def _project_row(self, request: Request, project: Project) -> Json:
        """A project, with its statistics if asked: runs, latency and errors of root runs, tokens, costs and first tokens of all."""
        row = views.project_row(project)
        if request.query_params.get("include_stats", "").lower() == "true":
            mine = (project.id,)
            every = run_stats(self.store, Query(selection=Selection(project_ids=mine)))
            roots = run_stats(self.store, Query(selection=Selection(project_ids=mine, is_root=True)))
            row |= every | {name: roots[name] for name in ("run_count", "latency_p50", "latency_p99", "error_rate")}
        return row

    def _address(self, request: Request) -> Any:
        base = str(request.base_url).rstrip("/")
        return lambda run_id, name: f"{base}/attachments/{self.ticket}/{run_id}/{quote(name, safe='')}"


def _has(metadata: object, key: str, value: object) -> bool:
    return isinstance(metadata, dict) and key in metadata and metadata[key] == value


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
