"""The real evidence: the call index, the switch, the audit's log, the relay's account. Asked once for each thing, then remembered."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final
from urllib.parse import quote

from audit import chain
from audit.alerts.evidence import Leak, NotKnown
from audit.calls.index import CallIndex, Choice, Rates
from audit.crosscheck import OUTBOX, VERSION
from phi_guard.errors import PhiGuardError
from phi_guard.switch import LEAK, SwitchState

_CALLS: Final = (
    "SELECT call FROM calls WHERE dark = '' UNION SELECT DISTINCT call FROM call_totals WHERE call NOT IN (SELECT call FROM calls)"
)
"""Calls that the account remembers, without those of which nothing may be sent."""
_SENT: Final = f"SELECT call FROM ({_CALLS}) WHERE call NOT IN (SELECT call FROM draws WHERE state != 'sent')"  # noqa: S608  # closed text
"""Of them, those that sampling did not leave out; an account of an earlier release knows of no sampling."""
_VERSION_7: Final = "7"


class Known:
    """Evidence of one environment and project.

    Args:
        index: the calls; of the choice's project and environment.
        env: that is judged.
        project: name, or empty.
        choice: which of the index's calls count; its window is not looked at.
        switch: says where the switch stands.
        log: directory of the audit's log; None where there is none to look at.
        account: the relay's outbox, or the directory it lies in; None where none is given.
        ran: calls that ran in the window of ``no_traces``, where a person says so; it takes the account's place.
        reports: further signs of a leak, such as a report that was named.
    """

    def __init__(
        self, index: CallIndex, *, env: str, project: str = "", choice: Choice | None = None, switch: Callable[[], SwitchState],
        log: Path | None = None, account: Path | None = None, ran: int | None = None, reports: Iterable[Leak] = (),
    ) -> None:  # fmt: skip
        self._index, self._choice = index, choice or Choice()
        self._env, self._project, self._switch = env, project, switch
        self._log, self._account, self._ran, self._reports = log, account, ran, tuple(reports)
        self._rates: dict[tuple[datetime, datetime], Rates] = {}
        self._state: SwitchState | None = None
        self._leaks: tuple[Leak, ...] | None = None
        self._calls: tuple[datetime, ...] | None = None

    @property
    def env(self) -> str:
        """As `Evidence.env`."""
        return self._env

    @property
    def project(self) -> str:
        """As `Evidence.project`."""
        return self._project

    @property
    def read_at(self) -> datetime | None:
        """As `Evidence.read_at`."""
        return self._index.refreshed

    def rates(self, since: datetime, until: datetime) -> Rates:
        """As `Evidence.rates`."""
        if (since, until) not in self._rates:
            try:
                self._rates[since, until] = self._index.rates(since, until, self._choice)
            except sqlite3.Error as fault:
                raise NotKnown(
                    f"the index of calls cannot be read ({type(fault).__name__}); remove its file, and it is made again"
                ) from None
        return self._rates[since, until]

    def switch(self) -> SwitchState:
        """As `Evidence.switch`."""
        self._state = self._state or self._switch()
        return self._state

    def leaks(self, now: datetime) -> tuple[Leak, ...]:
        """As `Evidence.leaks`: reports, purges and incidents of the audit's log, a hold of the switch, and what was named."""
        if self._leaks is None:
            found = [*self._reports, *self._of_log(), *self._of_switch(now)]
            self._leaks = tuple(sorted(found, key=lambda leak: leak.at))
        return self._leaks

    def calls_ran(self, since: datetime, until: datetime) -> int | None:
        """As `Evidence.calls_ran`: what a person says, or the relay's account, whose calls bear the time in their ids."""
        if self._ran is not None or self._account is None:
            return self._ran
        if self._calls is None:
            self._calls = _begun(self._account)
        return sum(since <= at < until for at in self._calls)

    def _of_switch(self, now: datetime) -> Iterator[Leak]:
        state = self.switch()
        if state.hold == LEAK:
            yield Leak(_moment(state.at) or now, "hold")

    def _of_log(self) -> Iterator[Leak]:
        if self._log is None:
            return
        try:
            yield from open_leaks(chain.entries(self._log), self._project)
        except PhiGuardError as fault:
            raise NotKnown(str(fault)) from None


def open_leaks(entries: Iterable[chain.Entry], project: str = "") -> tuple[Leak, ...]:
    """What a log tells of a leak and does not tell the end of.

    A report that says NO-GO is settled by a later one that says GO, of the same project where both name one; a purge by the entry that
    finds every trace gone, or by such a report; an incident by its closing. What names another project is not looked at.

    Args:
        entries: of the audit's log, oldest first.
        project: that is judged; empty for any.
    """
    found: dict[tuple[str, str], Leak] = {}
    for entry in entries:
        facts, at = entry.facts, _moment(entry.at)
        of, report = str(facts.get("project", "")), str(facts.get("report", ""))
        if at is None or (project and of and of != project):
            continue
        if entry.event == "report" and facts.get("verdict") == "NO_GO":
            found["report", of] = Leak(at, "report", report)
        elif entry.event == "report" and facts.get("verdict") == "GO":
            for key in [key for key in found if key[0] == "purge" or key == ("report", of)]:
                del found[key]
        elif entry.event == "purge_asked":
            found["purge", report] = Leak(at, "purge", report)
        elif entry.event == "purge_done" and facts.get("gone") == facts.get("traces"):
            found.pop(("purge", report), None)
        elif entry.event == "incident":
            name = ("incident", str(facts.get("incident", "")))
            if facts.get("what") == "closed":
                found.pop(name, None)
            else:
                found.setdefault(name, Leak(at, "incident"))
    return tuple(found.values())


def _begun(account: Path) -> tuple[datetime, ...]:
    """When each call of a relay's account began, as its id tells (RFC 9562, version 7).

    Raises:
        NotKnown: it cannot be read.
    """
    path = account / OUTBOX if account.is_dir() else account
    try:
        if not path.is_file():
            raise NotKnown(f"{path.name} is not there; name the relay's state directory or its outbox with --account")
        with closing(sqlite3.connect(f"file:{quote(str(path.absolute()))}?mode=ro", uri=True, isolation_level=None, timeout=5.0)) as db:
            (version,) = db.execute("PRAGMA user_version").fetchone()
            if version != VERSION:
                raise NotKnown(f"{path.name} is of version {version}, and {VERSION} can be read; use the relay's own release")
            samples = db.execute("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'draws'").fetchone() is not None
            return tuple(at for (call,) in db.execute(_SENT if samples else _CALLS) if (at := _begin_of(call)) is not None)
    except (sqlite3.Error, OSError) as fault:
        raise NotKnown(f"{path.name} cannot be read ({type(fault).__name__}); check that it is the relay's outbox and its owner") from None


def _begin_of(call: object) -> datetime | None:
    if not isinstance(call, str) or call[14:15] != _VERSION_7:
        return None
    try:
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=int(call[:8] + call[9:13], 16))
    except (ValueError, OverflowError):
        return None


def _moment(text: str) -> datetime | None:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return at.astimezone(UTC) if at.tzinfo else None
