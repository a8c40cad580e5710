"""Every run of a LangSmith project in a window, over HTTP: the v2 query, or v1 where the server has no v2.

Plain HTTP and not the SDK's client, for three reasons: the raw JSON is what must be judged (the SDK turns it into its own types first),
the SDK's default selection downloads attachments, and nothing of an audit may be traced itself. Rules of the protocol, measured on
SDK 0.15: v2 gives ids alone when ``selects`` is missing and one day when ``min_start_time`` is; v1 refuses pages above 100, v2 above 1000
or, on some servers, above 100.

The window is cut at fixed instants, full days or hours UTC, so that what was read of it is known again. Whether a server takes an edge in
or leaves it out does not matter: at each cut both sides ask for a little more, and a run is taken from the side its start lies on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final
from urllib.parse import urlencode, urlsplit

from audit.manifest import Manifest
from audit.moments import instant, wire
from audit.source import Portion, Run, SourceError, Window
from audit.source.api import TOO_LARGE, Answer, Api
from audit.source.tally import Tally

PAGE: Final = 100
"""Runs of a page that every server gives."""
PAGE_V2: Final = 1_000
READINGS: Final = 3
"""How often a portion is read whose cursor the server no longer knows."""
SHORT: Final = 2.0
"""Days; a shorter window is cut into hours, a longer one into days."""
_MARGIN: Final = timedelta(milliseconds=1)
_NO_SUCH_ROUTE: Final = frozenset({404, 405, 501})
_BAD_QUESTION: Final = frozenset({400, 410, 422})
_TOLD: Final = frozenset({TOO_LARGE}) | _NO_SUCH_ROUTE | _BAD_QUESTION

_V1_SELECT: Final = (
    "id", "trace_id", "parent_run_id", "dotted_order", "name", "run_type", "start_time", "end_time", "inputs", "outputs", "error",
    "extra", "events", "tags", "serialized", "s3_urls",
)  # fmt: skip  # s3_urls names the attachments; its links are never opened
_V2_SELECT: Final = (
    "ID", "TRACE_ID", "PARENT_RUN_IDS", "DOTTED_ORDER", "NAME", "RUN_TYPE", "START_TIME", "END_TIME", "INPUTS", "OUTPUTS", "ERROR",
    "EXTRA", "METADATA", "EVENTS", "TAGS", "MANIFEST", "ATTACHMENTS",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Dialect:
    """How one version of the query is spoken.

    Args:
        name: ``v1`` or ``v2``.
        question: the body, of the project's id, the window and the page's size.
        split: a page's rows and the next cursor; None where it is no page.
        run: a row under v1's names.
        page: the largest page to ask for.
    """

    name: str
    question: Callable[[str, Window, int], dict[str, object]]
    split: Callable[[object], tuple[list[object], object] | None]
    run: Callable[[Mapping[str, object]], dict[str, object]]
    page: int


class _CursorLost(Exception):  # never leaves this module
    """The server does not know the cursor it gave."""


class LangSmithProject:
    """A project at any server that speaks LangSmith's API.

    Args:
        endpoint: its address, with or without ``/api/v1``; http or https.
        api_key: sent as ``x-api-key`` to that address alone; redirects are not followed.
        project: the project's name, exact.
        window: runs that started in it are read.
        now: when reading begins, for the manifest.
        sleep: waits that many seconds; tests pass their own.

    Raises:
        SourceError: the endpoint is no address.
    """

    live = True

    def __init__(
        self,
        *,
        endpoint: str,
        api_key: str,
        project: str,
        window: Window,
        now: datetime | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        parts = urlsplit(endpoint)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise SourceError("unreachable", "the endpoint is not an http or https address; check --endpoint or LANGSMITH_ENDPOINT")
        self.host = parts.hostname
        v1 = endpoint.rstrip("/")
        v2 = v1.removesuffix("/api/v1").removesuffix("/api") + "/api/v2"
        self._base = v1
        self._urls = {"v1": f"{v1}/runs/query", "v2": f"{v2}/runs/query"}
        self._project, self._window = project, window
        headers = {"Accept": "application/json", "Content-Type": "application/json", "User-Agent": "phi-audit"}
        if api_key:
            headers["x-api-key"] = api_key
        query = {"project": project, "since": wire(window.since), "until": wire(window.until)}
        self._tally = Tally(self.host, query, now)
        self._api = Api(self.host, headers, self._tally, sleep)
        self._speak(_V2)
        self._spoken = False
        self._project_id = ""

    @property
    def place(self) -> str:
        return f"LangSmith at {self.host}"

    def manifest(self) -> Manifest:
        return self._tally.manifest()

    def runs(self) -> Iterator[Run]:
        for portion in self.pieces():
            yield from portion.runs()

    def pieces(self) -> Iterator[Portion]:
        self._project_id = self._find_project()
        for part in cut(self._window):
            yield Portion(f"{_name(part.since)}/{_name(part.until)}", partial(self._portion, part))

    def _speak(self, dialect: _Dialect) -> None:
        self._dialect, self._page_max = dialect, dialect.page
        self._tally.query |= {"protocol": dialect.name, "select": " ".join(_V2_SELECT if dialect is _V2 else _V1_SELECT)}

    def _portion(self, part: Window) -> Iterator[Run]:
        for reading in range(1, READINGS + 1):
            attached = 0
            try:
                for run in self._pages(part):
                    attached += bool(run["attachments"])
                    yield run
            except _CursorLost:
                if reading == READINGS:
                    what = f"{self.host} lost its place {READINGS} times while reading {_name(part.since)}; scan again later"
                    raise SourceError("server_error", what) from None
                continue
            break
        self._tally.attached += attached
        if self._find_project() != self._project_id:  # one that was deleted meanwhile answers with nothing, and no fault
            raise self._gone()

    def _pages(self, part: Window) -> Iterator[Run]:
        begins = part.since > self._window.since
        ends = part.until < self._window.until
        asked = Window(part.since - _MARGIN if begins else part.since, part.until + _MARGIN if ends else part.until)
        size, cursor, seen = self._page_max, "", set[str]()
        while True:
            answer, size = self._page(asked, size, cursor)
            self._tally.page(answer.sha256, answer.size)
            split = self._dialect.split(answer.value)
            if split is None:
                raise self._api.malformed("a page of runs")
            rows, following = split
            for row in rows:
                if not isinstance(row, dict):
                    raise self._api.malformed("a run")
                start = instant(row.get("start_time"))
                beside = start is not None and (
                    (begins and asked.since <= start < part.since) or (ends and part.until <= start <= asked.until)
                )
                if not beside:  # what lies beside comes with the portion it lies in
                    yield self._dialect.run(row)
            if not following:
                return
            if not isinstance(following, str) or following in seen:
                raise self._api.malformed("a cursor that does not move on")
            seen.add(following)
            cursor = following

    def _page(self, window: Window, size: int, cursor: str) -> tuple[Answer, int]:
        """A page, and the size it came in: smaller where the server would not give as much."""
        while True:
            question = self._dialect.question(self._project_id, window, size)
            if cursor:
                question["cursor"] = cursor
            answer = self._api.ask("POST", self._urls[self._dialect.name], question, _TOLD)
            if answer.status == 200:
                self._spoken = True
                return answer, size
            if answer.status == TOO_LARGE:
                if size == 1:
                    raise SourceError("server_error", f"{self.host} cannot give even one run at a time; that run cannot be audited")
                size //= 2
            elif answer.status in _NO_SUCH_ROUTE:
                if self._spoken or self._dialect is _V1:
                    if self._find_project() != self._project_id:
                        raise self._gone()
                    raise self._api.refusal(answer.status)
                self._speak(_V1)
                size = self._page_max
            elif size > PAGE:
                size = self._page_max = PAGE
            elif cursor:
                raise _CursorLost
            else:
                raise self._api.refusal(answer.status)

    def _find_project(self) -> str:
        query = urlencode({"name": self._project, "limit": 1, "include_stats": "false"})
        found = self._api.ask("GET", f"{self._base}/sessions?{query}", None, frozenset({404}) if self._project_id else frozenset())
        if found.status == 404:
            raise self._gone()
        if not isinstance(found.value, list):
            raise self._api.malformed("the list of projects")
        for row in found.value:
            if isinstance(row, dict) and row.get("name") == self._project and isinstance(row.get("id"), str):
                return str(row["id"])
        if self._project_id:
            raise self._gone()
        raise SourceError("no_project", f"{self.host} has no project of that name; check --project, the key's workspace and the region")

    def _gone(self) -> SourceError:
        return SourceError(
            "no_project", f"{self.host}: the project was deleted or replaced while it was read; what was read is a part of it"
        )


def cut(window: Window) -> Iterator[Window]:
    """A window in parts that begin at full hours, or at full days where it is longer than `SHORT`; the first and last may be less."""
    step = timedelta(hours=1) if window.days < SHORT else timedelta(days=1)
    since = window.since.astimezone(UTC)
    until = window.until.astimezone(UTC)
    while since < until:
        full = since.replace(minute=0, second=0, microsecond=0)
        full = full if window.days < SHORT else full.replace(hour=0)
        yield Window(since, min(full + step, until))
        since = full + step


def _name(moment: datetime) -> str:
    return wire(moment).replace(".000000Z", "Z")


def _v1_question(project_id: str, window: Window, size: int) -> dict[str, object]:
    # Not end_time: it is not told whether that means a run's start or its end, and a run that crosses an edge must not fall through.
    between = f'and(gte(start_time, "{wire(window.since)}"), lte(start_time, "{wire(window.until)}"))'
    return {"session": [project_id], "start_time": wire(window.since), "filter": between, "select": list(_V1_SELECT), "limit": size}


def _v2_question(project_id: str, window: Window, size: int) -> dict[str, object]:
    edges = {"min_start_time": wire(window.since), "max_start_time": wire(window.until)}
    return {"project_ids": [project_id], **edges, "selects": list(_V2_SELECT), "page_size": size}


def _v1_page(page: object) -> tuple[list[object], object] | None:
    if not isinstance(page, dict) or not isinstance(page.get("runs"), list):
        return None
    cursors = page.get("cursors")
    return page["runs"], cursors.get("next") if isinstance(cursors, dict) and page["runs"] else None


def _v2_page(page: object) -> tuple[list[object], object] | None:
    if not isinstance(page, dict) or not isinstance(page.get("items"), list):
        return None
    return page["items"], page.get("next_cursor")


def _from_v1(row: Mapping[str, object]) -> dict[str, object]:
    run = {key: row.get(key) for key in _V1_SELECT if key != "s3_urls"}
    links = row.get("s3_urls")
    run["attachments"] = sorted(name for name in links if name.startswith("attachment.")) if isinstance(links, dict) else []
    return run


def _from_v2(row: Mapping[str, object]) -> dict[str, object]:
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


_V1: Final = _Dialect("v1", _v1_question, _v1_page, _from_v1, PAGE)
_V2: Final = _Dialect("v2", _v2_question, _v2_page, _from_v2, PAGE_V2)
