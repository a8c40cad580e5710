"""The baseline: findings that somebody has looked at and accepted, with a reason, an owner and a day on which that ends."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Final, Literal, TypeAlias

from audit import exits
from audit.findings import SUSPICION, Finding, Severity
from phi_guard.errors import PhiGuardError

SCHEMA: Final = "phi-audit.baseline/1"
LIFETIME_MAX: Final = timedelta(days=365)
"""The longest a finding may be accepted; after that somebody looks again."""
LIFETIME_USUAL: Final = timedelta(days=90)

State: TypeAlias = Literal["holds", "expired", "outlasts", "unused"]
_Key: TypeAlias = tuple[str, str, str]


class BaselineError(PhiGuardError):
    """A baseline or a report cannot be used; the message names the file, each fault with its line, and what to write."""

    exit_code = exits.USAGE


@dataclass(frozen=True, slots=True)
class Accepted:
    """One accepted finding. It holds no value.

    Args:
        fingerprint: of the value, under the audit's own key.
        path: where it stands, indexes left out.
        entity: what it was called.
        reason: why it is no leak.
        owner: who answers for it.
        accepted: the day it was accepted, ISO 8601.
        expires: the last day it holds, ISO 8601.
        matched: findings of this report that it covers.
        severity: of the finding when it was accepted; what was accepted as medium does not cover a finding that has become high.
    """

    fingerprint: str
    path: str
    entity: str
    reason: str
    owner: str
    accepted: str
    expires: str
    matched: int = 0
    severity: Severity = "medium"

    @property
    def key(self) -> _Key:
        """By what a finding is known again."""
        return self.fingerprint, self.path, self.entity

    def holds_on(self, today: date) -> bool:
        """Whether it covers findings on a day: it was accepted by then, has not ended, and does not last longer than `LIFETIME_MAX`."""
        accepted, expires = date.fromisoformat(self.accepted), date.fromisoformat(self.expires)
        return accepted <= today <= expires <= accepted + LIFETIME_MAX


@dataclass(frozen=True, slots=True)
class Applied:
    """Findings held against a baseline.

    Args:
        open: those that stand, among them those whose entry has expired.
        accepted: entries that hold and cover something, with how much.
        expired: entries that cover something and hold no more: their findings are open again.
        unused: entries that cover nothing in this report.
    """

    open: tuple[Finding, ...]
    accepted: tuple[Accepted, ...]
    expired: tuple[Accepted, ...]
    unused: tuple[Accepted, ...]


def place_of(path: str) -> str:
    """A path with its indexes left out, so that the same value in another item of a list is the same finding."""
    out, depth = [], 0
    for char in path:
        depth += char == "["
        if not depth:
            out.append(char)
        depth -= char == "]" and depth > 0
    return "".join(out)


def key_of(finding: Finding) -> _Key:
    """By what a finding is known in a baseline."""
    return finding.fingerprint, place_of(finding.path), finding.entity


class Baseline:
    """Entries, ready to be asked of one finding after the other, so that a scan of any length can use them.

    Args:
        entries: of the file; of two with the same key the one that holds longer counts.
        today: the day of the report.
    """

    def __init__(self, entries: Iterable[Accepted], today: date) -> None:
        self._entries: dict[_Key, Accepted] = {}
        for entry in sorted(entries, key=lambda entry: entry.expires):
            self._entries[entry.key] = entry
        self._today = today
        self._matched = dict.fromkeys(self._entries, 0)

    def covers(self, finding: Finding) -> bool:
        """Whether an entry that holds today covers a finding; it is counted either way."""
        key = key_of(finding)
        entry = self._entries.get(key)
        if entry is None or (finding.severity == "high" and entry.severity != "high"):
            return False
        self._matched[key] += 1
        return entry.holds_on(self._today)

    def accepted(self) -> tuple[Accepted, ...]:
        """Entries that hold and covered something, with how much."""
        return tuple(entry for entry in self._used() if entry.holds_on(self._today))

    def expired(self) -> tuple[Accepted, ...]:
        """Entries that would have covered something, and hold no more."""
        return tuple(entry for entry in self._used() if not entry.holds_on(self._today))

    def unused(self) -> tuple[Accepted, ...]:
        """Entries that covered nothing."""
        return tuple(entry for key, entry in self._entries.items() if not self._matched[key])

    def _used(self) -> list[Accepted]:
        return [replace(entry, matched=self._matched[key]) for key, entry in self._entries.items() if self._matched[key]]


def apply(findings: Iterable[Finding], entries: Iterable[Accepted], today: date) -> Applied:
    """Hold findings against a baseline.

    Args:
        findings: of a report.
        entries: of the baseline.
        today: the day of the report.
    """
    held = Baseline(entries, today)
    still_open = tuple(finding for finding in findings if not held.covers(finding))
    return Applied(still_open, held.accepted(), held.expired(), held.unused())


def accept(
    findings: Iterable[Finding], *, reason: str, owner: str, today: date, lifetime: timedelta, high_reason: str = ""
) -> tuple[Accepted, ...]:
    """Entries for findings, one a fingerprint, path and entity, in the order of path and entity; suspicions need none.

    Args:
        findings: to accept.
        reason: why they are no leak; one line.
        owner: who answers for them; one line.
        today: the day they are accepted.
        lifetime: how long that holds, `LIFETIME_MAX` at most.
        high_reason: why findings of severity high may be accepted; without it none is.

    Raises:
        BaselineError: no reason or owner, too long a lifetime, or a finding of severity high without its own reason.
    """
    for what, text in (("reason", reason), ("owner", owner)):
        if not text.strip() or len(text) > 200 or not text.isprintable():
            raise BaselineError(f"--{what}: give one line of at most 200 characters, and no value of a finding")
    if not timedelta(days=1) <= lifetime <= LIFETIME_MAX:
        raise BaselineError(f"--expires: a finding is accepted for 1 to {LIFETIME_MAX.days} days; after that somebody looks again")
    if high_reason and (len(high_reason) > 200 or not high_reason.isprintable() or high_reason.strip() == reason.strip()):
        raise BaselineError("--accept-high: give a reason of its own, one line of at most 200 characters, and no value of a finding")
    made: dict[_Key, Accepted] = {}
    refused = 0
    for finding in findings:
        if finding.severity == SUSPICION:
            continue  # it fails no gate, so that there is nothing to accept
        high = finding.severity == "high"
        if high and not high_reason.strip():
            refused += 1
            continue
        entry = Accepted(
            *key_of(finding),
            reason=(high_reason if high else reason).strip(),
            owner=owner.strip(),
            accepted=today.isoformat(),
            expires=(today + lifetime).isoformat(),
            severity="high" if high else "medium",
        )
        if entry.key not in made or high:
            made[entry.key] = entry
    if refused:
        raise BaselineError(
            f"{refused} of the findings are of severity high: a detector names an entity in them. Look at each, leave them out with"
            ' --finding, or accept them with --accept-high "REASON"'
        )
    return tuple(sorted(made.values(), key=lambda entry: (entry.path, entry.entity, entry.fingerprint)))
