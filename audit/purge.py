"""The purge: asks LangSmith to delete leaked traces, and looks until each is really gone. Ids leave, and nothing else.

``POST /api/v1/runs/delete`` takes ``session_id`` and at most 1,000 ``trace_ids``. Hosted LangSmith answers at once, deletes off-peak (at
the weekend) and confirms nothing, so the answer is no proof. A trace counts as gone only when, after it was seen there, both ways of
asking agree: a query for its runs is empty, and ``GET /runs/{id}`` of its root answers 404.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final, Literal, TypeAlias
from urllib.parse import urlencode, urlsplit

import urllib3

from audit import structure
from phi_guard.errors import PhiGuardError
from phi_guard.outbound.answer import read_retry_after

AT_ONCE: Final = 1000
"""Trace ids of one request."""
TRIES: Final = 5
WAIT_MAX_S: Final = 60.0
"""The longest ``Retry-After`` that is waited for."""
POLL_S: Final = (1.0, 60.0)
"""Between two looks: at first, and at most."""
GET_EVERY_S: Final = 2.0
"""Between two ``GET /runs/{id}`` once the server has said too many: hosted LangSmith allows 30 a minute."""
SINCE: Final = "2000-01-01T00:00:00.000000Z"  # v2 looks at one day where no time is given

RUNS_MAX: Final = 10_000
"""Runs of one trace whose ids are kept; a call has some tens."""
PAGE: Final = 100

NOTES: Final = (
    "LangSmith deletes off-peak, at the weekend, and does not confirm it; gone here means that its API no longer shows the trace.",
    "Feedback, attachments in its object storage, exports, copies in datasets and backups may remain: ask LangSmith in writing.",
)
"""What a purge cannot show."""

State: TypeAlias = Literal["waiting", "asked", "gone", "absent", "refused"]
_TIMEOUT: Final = urllib3.Timeout(connect=5.0, read=60.0)
_TRANSIENT: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
_NO_SUCH_ROUTE: Final = frozenset({404, 405, 501})


class PurgeError(PhiGuardError):
    """The purge cannot go on; the message says what to do next and holds nothing the other side answered."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of one trace.

    Args:
        trace_id: its id.
        state: ``waiting``: not asked yet; ``asked``: to be deleted, and still there; ``gone``: seen there, asked, and no longer there;
            ``absent``: never seen there by this purge; ``refused``: the server would not.
        asked_at: when its deletion was asked for, ISO 8601; empty before.
        status: HTTP status of the answer; 0 where none came.
        gone_at: when both looks first found nothing.
        checks: looks made after it was asked for.
        seen_by: how it was seen before: ``query``, ``read`` or ``query+read``. What was not seen one way is not proven gone by it.
        runs: ids of its runs as they were seen before, sorted: by them a later scan knows what of the relay's account is no longer there
            for this reason. The first `RUNS_MAX`.
    """

    trace_id: str
    state: State = "waiting"
    asked_at: str = ""
    status: int = 0
    gone_at: str = ""
    checks: int = 0
    seen_by: str = ""
    runs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Purge:
    """One purge and how far it is.

    Args:
        report_digest: of the report whose findings lie in these traces.
        host: of the API.
        project: name of the project.
        begun_at: ISO 8601.
        receipts: of each trace.
        unnamed: traces with findings that have no id by which they could be deleted.
    """

    report_digest: str
    host: str
    project: str
    begun_at: str
    receipts: tuple[Receipt, ...] = field(default=())
    unnamed: int = 0

    def count(self, *states: State) -> int:
        """Traces in one of these states."""
        return sum(receipt.state in states for receipt in self.receipts)

    @property
    def done(self) -> bool:
        """Whether every trace is gone."""
        return not self.unnamed and self.count("gone") == len(self.receipts)


def begin(
    findings: Iterable[str], *, report_digest: str, host: str, project: str, only: Iterable[str] = (), now: datetime
) -> Purge:  # fmt: skip
    """A purge of the traces that hold findings.

    Args:
        findings: the trace id of each finding; ``?`` where it has none.
        report_digest: of the report.
        host: of the API.
        project: name of the project.
        only: these of them alone; empty for all.
        now: the time.

    Raises:
        PurgeError: one of ``only`` holds no finding.
    """
    found = set(findings)
    wanted = set(only)
    if strange := wanted - found:
        raise PurgeError(f"{len(strange)} of the traces named hold no finding of this report; name traces of its findings")
    ids = sorted((wanted or found) - {"?"})
    unnamed = int("?" in found and not wanted)
    return Purge(report_digest, host, project, _stamp(now), tuple(Receipt(one) for one in ids), unnamed)


class Store:
    """A server that speaks LangSmith's API, for looking and deleting.

    Args:
        endpoint: its address, with or without ``/api/v1``; http or https.
        api_key: sent as ``x-api-key`` to that address alone; redirects are not followed.
        project: name of the project; exact.
        sleep: waits that many seconds; tests pass their own.

    Raises:
        PurgeError: the endpoint is no address.
    """

    def __init__(self, *, endpoint: str, api_key: str, project: str, sleep: Callable[[float], None] = time.sleep) -> None:
        parts = urlsplit(endpoint)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise PurgeError("the endpoint is not an http or https address; check --endpoint or LANGSMITH_ENDPOINT")
        self.host = parts.hostname
        root = endpoint.rstrip("/").removesuffix("/api/v1").removesuffix("/api")
        self._v1, self._v2 = f"{root}/api/v1", f"{root}/api/v2"
        self._project, self._project_id = project, ""
        self._sleep = sleep
        self._pace = 0.0
        self._no_v2 = False
        self._headers = {"Accept": "application/json", "Content-Type": "application/json", "User-Agent": "phi-audit"}
        if api_key:
            self._headers["x-api-key"] = api_key
        self._pool = urllib3.PoolManager(num_pools=1, retries=False, timeout=_TIMEOUT)

    def look(self, trace_id: str, *, both: bool) -> str:
        """How anything of a trace is still seen: ``query``, ``read`` or ``query+read``; empty where nothing is.

        Args:
            trace_id: its id.
            both: look both ways even where the first shows it.

        Raises:
            PurgeError: that cannot be said.
        """
        ways = ["query"] if self._rows(trace_id) else []
        if ways and not both:
            return ways[0]
        if self._pace:
            self._sleep(self._pace)
        status, _ = self._ask("GET", f"{self._v1}/runs/{trace_id}", None, expect={200, 404})
        return "+".join([*ways, "read"] if status == 200 else ways)

    def delete(self, trace_ids: Iterable[str]) -> int:
        """Ask for the deletion of at most `AT_ONCE` traces; the status of the answer. Raises `PurgeError` where none came."""
        body = {"session_id": self._session(), "trace_ids": list(trace_ids)}
        status, _ = self._ask("POST", f"{self._v1}/runs/delete", body, expect=set(range(200, 600)) - _TRANSIENT - {401, 403})
        return status

    def runs(self, trace_id: str) -> tuple[str, ...]:
        """Ids of a trace's runs that the queries show, sorted; the first `RUNS_MAX`. Raises `PurgeError` where they cannot be read."""
        project, found, cursor = self._session(), set[str](), ""
        while len(found) < RUNS_MAX:
            if self._no_v2:
                asked: dict[str, object] = {"session": [project], "trace": trace_id, "select": ["id"], "limit": PAGE}
                path, name = f"{self._v1}/runs/query", "runs"
            else:
                asked = {"project_ids": [project], "trace_id": trace_id, "min_start_time": SINCE, "selects": ["ID"], "page_size": PAGE}
                path, name = f"{self._v2}/runs/query", "items"
            status, answer = self._ask("POST", path, asked | ({"cursor": cursor} if cursor else {}), expect={200, *_NO_SUCH_ROUTE})
            if status != 200 and not self._no_v2:
                self._no_v2, cursor = True, ""
                continue
            rows = [row for row in self._list(answer, name) if isinstance(row, dict)]
            ids = {row["id"].lower() for row in rows if isinstance(row.get("id"), str) and structure.UUID(row["id"].lower())}
            following = _following(answer)
            if not ids - found or not following or following == cursor:
                return tuple(sorted(found | ids)[:RUNS_MAX])
            found |= ids
            cursor = following
        return tuple(sorted(found)[:RUNS_MAX])

    def _rows(self, trace_id: str) -> list[object]:
        project = self._session()
        if not self._no_v2:
            body: dict[str, object] = {"project_ids": [project], "trace_id": trace_id, "min_start_time": SINCE}
            body |= {"selects": ["ID"], "page_size": 1}
            status, answer = self._ask("POST", f"{self._v2}/runs/query", body, expect={200, *_NO_SUCH_ROUTE})
            if status == 200:
                return self._list(answer, "items")
            self._no_v2 = True
        body = {"session": [project], "trace": trace_id, "select": ["id"], "limit": 1}
        return self._list(self._ask("POST", f"{self._v1}/runs/query", body, expect={200})[1], "runs")

    def _session(self) -> str:
        if not self._project_id:
            query = urlencode({"name": self._project, "limit": 1, "include_stats": "false"})
            _, found = self._ask("GET", f"{self._v1}/sessions?{query}", None, expect={200})
            rows = [row for row in found if isinstance(row, dict) and row.get("name") == self._project] if isinstance(found, list) else []
            if not rows or not isinstance(rows[0].get("id"), str):
                raise PurgeError(f"{self.host} has no project of that name; check --project, the key's workspace and the region")
            self._project_id = rows[0]["id"]
        return self._project_id

    def _list(self, answer: object, name: str) -> list[object]:
        rows = answer.get(name) if isinstance(answer, dict) else None
        if not isinstance(rows, list):
            raise PurgeError(f"{self.host} sent a page of runs that cannot be read; check that it is a LangSmith API")
        return rows

    def _ask(self, method: str, url: str, body: Mapping[str, object] | None, *, expect: set[int]) -> tuple[int, object]:
        """The status and the decoded answer, of a status that is expected."""
        data = None if body is None else json.dumps(body).encode()
        fault = ""
        for attempt in range(1, TRIES + 1):
            try:
                answer = self._pool.request(method, url, body=data, headers=self._headers, redirect=False)
            except urllib3.exceptions.HTTPError as broken:
                fault = f"{self.host} cannot be reached ({type(broken).__name__}); check --endpoint and the network"
                self._sleep(0.5 * attempt)
                continue
            if answer.status in expect:
                return answer.status, _decoded(answer.data)
            if answer.status in {401, 403}:
                raise PurgeError(f"{self.host} refuses the key (HTTP {answer.status}); check LANGSMITH_API_KEY, its rights, and the region")
            if answer.status not in _TRANSIENT:
                raise PurgeError(f"{self.host} answers HTTP {answer.status}; check that --endpoint is a LangSmith API")
            fault = f"{self.host} still answers HTTP {answer.status} after {TRIES} tries"
            self._wait(answer.status, answer.headers.get("Retry-After", ""), attempt)
        raise PurgeError(f"{fault}; go on later with --resume")

    def _wait(self, status: int, asked: str, attempt: int) -> None:
        if status == 429:
            self._pace = GET_EVERY_S
        seconds = read_retry_after(asked, datetime.now(UTC))
        if seconds is not None and seconds > WAIT_MAX_S:
            raise PurgeError(f"{self.host} asks to wait {seconds:.0f} s; go on after that with --resume")
        self._sleep(0.5 * 2**attempt if seconds is None else seconds)


def run(
    purge: Purge,
    store: Store,
    keep: Callable[[Purge], None],
    *,
    wait_s: float,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Purge:
    """Ask for what was not asked yet, then look until all is gone or the time is over.

    It is kept before anything is asked for and after each round, so that a purge that was cut off at any point goes on from its receipts;
    what was asked without an answer is asked again.

    Args:
        purge: where to begin.
        store: where the traces are.
        keep: writes the receipts down.
        wait_s: how long to look, seconds.
        sleep: waits that many seconds.
        clock: monotonic seconds.

    Raises:
        PurgeError: it cannot go on; what was done is kept.
    """
    rows = list(purge.receipts)

    def kept() -> Purge:
        now = replace(purge, receipts=tuple(rows))
        keep(now)
        return now

    kept()
    try:
        _see(rows, store)
        kept()
        _ask_for(rows, store, kept)
        end, pause = clock() + wait_s, POLL_S[0]
        while True:
            for place, receipt in enumerate(rows):
                if receipt.state == "asked":
                    rows[place] = _looked(receipt, store)
            kept()
            if clock() + pause > end or not any(receipt.state == "asked" for receipt in rows):
                break
            sleep(pause)
            pause = min(POLL_S[1], pause * 2)
    finally:
        purge = kept()
    return purge


def _see(rows: list[Receipt], store: Store) -> None:
    """Look at each trace before it is asked for: what was never seen cannot be shown to be gone."""
    for place, receipt in enumerate(rows):
        if receipt.state in {"waiting", "absent"}:
            ways = store.look(receipt.trace_id, both=True)
            runs = store.runs(receipt.trace_id) if ways else receipt.runs
            rows[place] = replace(receipt, state="waiting" if ways else "absent", seen_by=ways, runs=runs)


def _ask_for(rows: list[Receipt], store: Store, kept: Callable[[], Purge]) -> None:
    pending = [place for place, row in enumerate(rows) if row.state in {"waiting", "refused"} or (row.state == "asked" and not row.status)]
    for first in range(0, len(pending), AT_ONCE):
        places = pending[first : first + AT_ONCE]
        at = _stamp(datetime.now(UTC))
        for place in places:
            rows[place] = replace(rows[place], state="asked", asked_at=at, status=0)
        kept()
        status = store.delete(rows[place].trace_id for place in places)
        state: State = "asked" if 200 <= status < 300 else "refused"
        for place in places:
            rows[place] = replace(rows[place], state=state, status=status)
        kept()


def _looked(receipt: Receipt, store: Store) -> Receipt:
    seen = store.look(receipt.trace_id, both=False)
    receipt = replace(receipt, checks=receipt.checks + 1)
    return receipt if seen else replace(receipt, state="gone", gone_at=_stamp(datetime.now(UTC)))


def _following(answer: object) -> str:
    """The cursor of the next page, in the form of either version; empty where this was the last."""
    if not isinstance(answer, dict):
        return ""
    cursors = answer.get("cursors")
    following = cursors.get("next") if isinstance(cursors, dict) else answer.get("next_cursor")
    return following if isinstance(following, str) else ""


def _decoded(data: bytes) -> object:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
