"""The endpoints of feedback."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tracing.local.trace_store import ingest, moments
from tracing.local.trace_store.answers import answer, body_of, number, uuid_of
from tracing.local.trace_store.records import Batch
from tracing.local.trace_store.refusal import Refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from starlette.requests import Request
    from starlette.responses import Response

    from tracing.local.trace_store.records import Json
    from tracing.local.trace_store.store import TraceStore


def routes(store: TraceStore) -> list[tuple[str, str, Callable[[Request], Response]]]:
    """Method, path and endpoint of each."""
    of = _Feedback(store)
    return [
        ("POST", "/feedback", of.add),
        ("GET", "/feedback", of.every),
        ("GET", "/feedback/{feedback_id}", of.read),
        ("PATCH", "/feedback/{feedback_id}", of.change),
        ("DELETE", "/feedback/{feedback_id}", of.delete),
    ]


class _Feedback:
    def __init__(self, store: TraceStore) -> None:
        self.store = store

    def _shown(self, found: Sequence[Json]) -> list[Json]:
        """With the trace that each is about: the SDK cannot read one without, and does not always send it."""
        asked = json.dumps([one.get("run_id") for one in found])
        traces = dict(self.store.rows("SELECT id, trace_id FROM runs WHERE id IN (SELECT value FROM json_each(?))", (asked,)))
        return [{"trace_id": traces.get(one.get("run_id")), **one} for one in found]

    def add(self, request: Request) -> Response:
        body = ingest.feedback_of(body_of(request))
        self.store.take(Batch(feedback=(body,)))
        return answer(self._shown([body])[0])

    def every(self, request: Request) -> Response:
        runs, keys = request.query_params.getlist("run"), request.query_params.getlist("key")
        found = [one for one in self.store.feedback() if (not runs or one.get("run_id") in runs) and (not keys or one["key"] in keys)]
        offset = number(request, "offset", 0, 10**9 - 1)
        return answer(self._shown(found[offset : offset + number(request, "limit", 100, 100)]))

    def read(self, request: Request) -> Response:
        found = self.store.feedback(uuid_of(request.path_params["feedback_id"]))
        if not found:
            raise Refusal(404, "Feedback not found")
        return answer(self._shown(found)[0])

    def change(self, request: Request) -> Response:
        there = self.store.feedback(uuid_of(request.path_params["feedback_id"]))
        if not there:
            raise Refusal(404, "Feedback not found")
        given = {key: value for key, value in body_of(request).items() if key in {"score", "value", "correction", "comment"}}
        body = ingest.feedback_of(there[0] | given | {"modified_at": moments.iso(moments.now())})
        self.store.take(Batch(feedback=(body,)))
        return answer(self._shown([body])[0])

    def delete(self, request: Request) -> Response:
        self.store.delete_feedback(uuid_of(request.path_params["feedback_id"]))
        return answer({"message": "Feedback deleted"})
