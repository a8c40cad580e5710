"""The places of a watch's journal in the audit's log: written down as it goes on, so that who cuts or exchanges the journal is found out.

The journal's own head lies beside it, and whoever can cut the one can write the other. The log is chained by itself, holds what else was
audited, and may be anchored on another machine. A mark is made when the watch begins or is taken up again, in a round that is NO-GO or in
which an alert fired or telemetry went off, every hour, and when it ends.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from audit import chain
from audit.chain.line import LOG
from audit.containment import write_log
from audit.vouching import EVENT, log_fault, places
from audit.watch.journal import FILE, Journal, JournalBroken, JournalUnusable
from audit.watch.journal_file import hash_of
from audit.watch.round import Round
from phi_guard.disclosure_chain import Mark
from phi_guard.errors import PhiGuardError

EVERY: Final = timedelta(hours=1)
"""The longest time without a mark: as long as nobody need look (`audit.watch.closing.PATIENCE_MAX_S`)."""


class Marks:
    """The marks of one journal.

    Args:
        journal: begun.
        log: directory of the audit's log.
        facts: what each mark says beside the place: project and environment.
    """

    def __init__(self, journal: Journal, log: Path, facts: Mapping[str, str]) -> None:
        self._journal, self._log, self._facts = journal, log, dict(facts)
        self._last: datetime | None = None
        self._owed = ""

    def make(self, why: str, now: datetime, **more: str | int) -> str:
        """Write the journal's last place down.

        Args:
            why: a closed word, such as ``begun``.
            now: with a zone.
            more: what else the entry says.

        Returns:
            Why it could not be, in words; empty where it was. It is made up for after the next round.
        """
        at = self._journal.head
        place: dict[str, str | int] = {"watch": self._journal.id, "journal_n": at.n, "journal_sha256": at.sha256, "why": why}
        logged, fault = write_log(EVENT, {**self._facts, **place, **more}, now, self._log)
        self._last, self._owed = (now, "") if logged else (self._last, why)
        return fault

    def after(self, before: Round | None, one: Round, now: datetime) -> str:
        """Make a mark after a round, where one is due; as `make`. A round that is not on disk yet is marked with the next.

        Args:
            before: the round before; None for the first.
            one: the round.
            now: with a zone.
        """
        why = _due(before, one) or self._owed or ("hour" if self._last is None or now - self._last >= EVERY else "")
        if why and self._journal.unwritten:
            self._owed = why
            return ""
        return self.make(why, now) if why else ""

    def check(self) -> str:
        """Hold the journal on disk against the newest mark: what is wrong, in words; empty where it holds it."""
        try:
            if not self._journal.rounds and not (self._log / LOG).exists():
                return ""  # killed before its first mark, and before anything else was audited here
            if fault := log_fault(self._log, chain.anchor_of(os.environ)):
                return f"the audit's log, which must vouch for the journal, does not hold ({fault}); see phi-audit log verify"
            newest: Mark | None = None
            for entry in places(self._log, self._journal.id):
                newest = Mark(_number(entry.facts.get("journal_n")), str(entry.facts.get("journal_sha256")))
            if newest is None and not self._journal.rounds:
                return ""  # killed before its first mark: there is nothing yet that could be cut
            if newest is None:
                return "the audit's log knows nothing of this journal; go on with the PHI_AUDIT_DIR under which it was begun"
            held = hash_of(self._journal.directory, newest.n)
        except (PhiGuardError, OSError) as fault:
            return str(fault) if isinstance(fault, PhiGuardError) else f"the journal cannot be read ({fault.strerror})"
        if held == newest.sha256:
            return ""
        if held:
            return f"{FILE}: line {newest.n} is not the one that the audit's log has seen"
        return f"{FILE}: the audit's log has seen {newest.n + 1} lines, and there are fewer: its end was cut off"

    def demand(self) -> None:
        """Refuse to go on with a journal that is not the one that was marked.

        Raises:
            JournalUnusable: it is another than its newest mark says, or shorter.
        """
        if fault := self.check():
            msg = f"{self._journal.directory}: it cannot be gone on with: {fault}; keep it, and begin another watch with -d"
            raise JournalBroken(msg)


def _due(before: Round | None, one: Round) -> str:
    if one.state == "NO_GO":
        return "no_go"
    if one.alerts.fired or one.alerts.elsewhere:
        return "alert"
    if one.switch.off_s and (before is None or before.switch.on or one.switch.on):  # it went off or came on again
        return "switch"
    return ""


def _number(value: object) -> int:
    if type(value) is not int:
        raise JournalUnusable("the audit's log holds a mark without a place")
    return value
