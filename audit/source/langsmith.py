"""Every run of a LangSmith project in a window, over HTTP: the v2 query, or v1 where the server has no v2.

Plain HTTP and not the SDK's client, for three reasons: the raw JSON is what must be judged (the SDK turns it into its own types first),
the SDK's default selection downloads attachments, and nothing of an audit may be traced itself. Rules of the protocol, measured on
SDK 0.15: v2 gives ids alone when ``selects`` is missing and one day when ``min_start_time`` is; pages above 100 are refused.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlencode, urlsplit

import urllib3

from audit.source import Run, SourceError, Window

PAGE: Final = 100
TRIES: Final = 5
"""Tries of one request that is answered 429 or 5xx."""
CONNECT_TRIES: Final = 2
WAIT_MAX_S: Final = 60.0
"""The longest `Retry-After` that is honoured; a longer one ends the scan."""
_TIMEOUT: Final = urllib3.Timeout(connect=5.0, read=60.0)
_TRANSIENT: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
_NO_SUCH_ROUTE: Final = frozenset({404, 405, 501})

_V1_SELECT: Final = (
    "id", "trace_id", "parent_run_id", "dotted_order", "name", "run_type", "start_time", "end_time", "inputs", "outputs", "error",
    "extra", "events", "tags", "serialized", "s3_urls",
)  # fmt: skip  # s3_urls names the attachments; its links are never opened
_V2_SELECT: Final = (
    "ID", "TRACE_ID", "PARENT_RUN_IDS", "DOTTED_ORDER", "NAME", "RUN_TYPE", "START_TIME", "END_TIME", "INPUTS", "OUTPUTS", "ERROR",
    "EXTRA", "METADATA", "EVENTS", "TAGS", "MANIFEST", "ATTACHMENTS",
)  # fmt: skip


class LangSmithProject:
    """A project at any server that speaks LangSmith's API.

    Args:
        endpoint: its address, with or without ``/api/v1``; http or https.
        api_key: sent as ``x-api-key`` to that address alone; redirects are not followed.
        project: the project's name, exact.
        window: runs that started in it are read.
        sleep: waits that many seconds; tests pass their own.
    """

    live = True

    def __init__(self, *, endpoint: str, api_key: str, project: str, window: Window, sleep: Callable[[float], None] = time.sleep) -> None:
        parts = urlsplit(endpoint)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise SourceError("unreachable", "the endpoint is not an http or https address; check --endpoint or LANGSMITH_ENDPOINT")
        self.host = parts.hostname
        self._v1 = endpoint.rstrip("/")
        self._v2 = self._v1.removesuffix("/api/v1").removesuffix("/api") + "/api/v2"
        self._project = project
        self._window = window
        self._sleep = sleep
        self._headers = {"Accept": "application/json", "Content-Type": "application/json", "User-Agent": "phi-audit"}
        if api_key:
            self._headers["x-api-key"] = api_key
        self._pool = urllib3.PoolManager(num_pools=1, retries=False, timeout=_TIMEOUT)

    @property
    def place(self) -> str:
        return f"LangSmith at {self.host}"

    def runs(self) -> Iterator[Run]:
        project_id = self._project_id()
        body: dict[str, object] = {
            "project_ids": [project_id],
            "min_start_time": _instant(self._window.since),
            "max_start_time": _instant(self._window.until),
            "selects": list(_V2_SELECT),
            "page_size": PAGE,
        }
        first = self._ask("POST", f"{self._v2}/runs/query", body, absent_ok=True)
        if first is not None:
            for row in self._pages(f"{self._v2}/runs/query", body, first, _v2_page):
                yield _from_v2(row)
            return
        body = {
            "session": [project_id],
            "start_time": _instant(self._window.since),
            "end_time": _instant(self._window.until),
            "select": list(_V1_SELECT),
            "limit": PAGE,
        }
        first = self._ask("POST", f"{self._v1}/runs/query", body)
        for row in self._pages(f"{self._v1}/runs/query", body, first, _v1_page):
            yield _from_v1(row)

    def _project_id(self) -> str:
        query = urlencode({"name": self._project, "limit": 1, "include_stats": "false"})
        found = self._ask("GET", f"{self._v1}/sessions?{query}", None)
        if not isinstance(found, list):
            raise self._malformed("the list of projects")
        for row in found:
            if isinstance(row, dict) and row.get("name") == self._project and isinstance(row.get("id"), str):
                return str(row["id"])
        raise SourceError("no_project", f"{self.host} has no project of that name; check --project, the key's workspace and the region")

    def _pages(
        self, url: str, body: Mapping[str, object], page: object, split: Callable[[object], tuple[list[object], object] | None]
    ) -> Iterator[Mapping[str, object]]:
        seen: set[str] = set()
        while True:
            parts = split(page)
            if parts is None:
                raise self._malformed("a page of runs")
            rows, cursor = parts
            for row in rows:
                if not isinstance(row, dict):
                    raise self._malformed("a run")
                yield row
            if not cursor:
                return
            if not isinstance(cursor, str) or cursor in seen:
                raise self._malformed("a cursor that does not move on")
            seen.add(cursor)
            page = self._ask("POST", url, {**body, "cursor": cursor})

    def _ask(self, method: str, url: str, body: Mapping[str, object] | None, *, absent_ok: bool = False) -> object:
        """The decoded answer; None where ``absent_ok`` and the server has no such route."""
        data = None if body is None else json.dumps(body).encode()
        for attempt in range(1, TRIES + 1):
            try:
                answer = self._pool.request(method, url, body=data, headers=self._headers, redirect=False)
            except urllib3.exceptions.HTTPError as fault:
                if attempt < CONNECT_TRIES:
                    self._sleep(0.5)
                    continue
                what = f"{self.host} cannot be reached ({type(fault).__name__}); check --endpoint, the network and the certificate"
                raise SourceError("unreachable", what) from None
            if answer.status == 200:
                return self._decode(answer.data)
            if absent_ok and answer.status in _NO_SUCH_ROUTE:
                return None
            if answer.status not in _TRANSIENT or attempt == TRIES:
                raise self._refusal(answer.status)
            self._wait(answer.headers.get("Retry-After"), attempt)
        raise self._refusal(0)  # not reached: the last attempt raises

    def _wait(self, asked: str | None, attempt: int) -> None:
        seconds = float(asked) if asked is not None and asked.strip().isdecimal() else 0.5 * 2**attempt
        if seconds > WAIT_MAX_S:
            raise SourceError("throttled", f"{self.host} asks to wait {seconds:.0f} s; scan again after that")
        self._sleep(seconds)

    def _decode(self, data: bytes) -> object:
        try:
            return json.loads(data)
        except RecursionError:
            raise self._malformed("a value nested too deep to be read") from None
        except ValueError:
            raise self._malformed("an answer that is not JSON") from None

    def _malformed(self, what: str) -> SourceError:
        return SourceError("malformed", f"{self.host} sent {what} that cannot be read; check that it is a LangSmith API")

    def _refusal(self, status: int) -> SourceError:
        if status in {401, 403}:
            return SourceError("refused", f"{self.host} refuses the key (HTTP {status}); check LANGSMITH_API_KEY, workspace and region")
        if status == 429:
            return SourceError("throttled", f"{self.host} still says too many requests after {TRIES} tries; scan again later")
        if status in _TRANSIENT:
            return SourceError("server_error", f"{self.host} still answers HTTP {status} after {TRIES} tries; scan again later")
        return SourceError("malformed", f"{self.host} answers HTTP {status}; check that --endpoint is a LangSmith API")


def _instant(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _v1_page(page: object) -> tuple[list[object], object] | None:
    if not isinstance(page, dict) or not isinstance(page.get("runs"), list):
        return None
    cursors = page.get("cursors")
    return page["runs"], cursors.get("next") if isinstance(cursors, dict) and page["runs"] else None


def _v2_page(page: object) -> tuple[list[object], object] | None:
    if not isinstance(page, dict) or not isinstance(page.get("items"), list):
        return None
    return page["items"], page.get("next_cursor")


def _from_v1(row: Mapping[str, object]) -> Run:
    run = {key: row.get(key) for key in _V1_SELECT if key != "s3_urls"}
    links = row.get("s3_urls")
    run["attachments"] = sorted(name for name in links if name.startswith("attachment.")) if isinstance(links, dict) else []
    return run


def _from_v2(row: Mapping[str, object]) -> Run:
    """A v2 row under v1's names. Its metadata stands apart from ``extra``; where the two differ, both are kept and both are judged."""
    run = {key: row.get(key) for key in ("id", "trace_id", "dotted_order", "name", "start_time", "end_time", "inputs", "outputs", "error")}
    run |= {"events": row.get("events"), "tags": row.get("tags"), "serialized": row.get("manifest")}
    kind = row.get("run_type")
    run["run_type"] = kind.lower() if isinstance(kind, str) else kind
    parents = row.get("parent_run_ids")
    run["parent_run_id"] = parents[-1] if isinstance(parents, list) and parents else None
    extra, metadata = row.get("extra"), row.get("metadata")
    if isinstance(extra, dict) and metadata and extra.get("metadata") != metadata:
        run["extra"] = {**extra, "metadata": metadata, **({"metadata_in_extra": extra["metadata"]} if extra.get("metadata") else {})}
    else:
        run["extra"] = extra or ({"metadata": metadata} if metadata else None)
    attached = row.get("attachments")
    run["attachments"] = sorted(attached) if isinstance(attached, dict) else []
    return run
