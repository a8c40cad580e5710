"""What the audit's log holds of a watch: the places of its journal, and at the end the figures that its evidence tells."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

from audit import chain
from audit.binding import figures_digest
from audit.evidence import Monitoring
from phi_guard.errors import PhiGuardError

EVENT: Final = "watch"
"""Entries of the audit's log that name a place of a watch's journal."""
AGAIN: Final = 2
"""How often a log that does not hold is looked at: another process may have been writing to it."""


def vouched(held: Monitoring, directory: Path, anchor: Path | None) -> Monitoring:
    """The evidence, marked with whether the audit's log holds its journal's place with just these figures. Never raises.

    Args:
        held: as it was read.
        directory: of the audit's log.
        anchor: the copy of its heads, or None.
    """
    try:
        known = not log_fault(directory, anchor) and holds(held, directory)
    except (PhiGuardError, OSError):
        known = False
    return replace(held, vouched=known)


def holds(held: Monitoring, directory: Path) -> bool:
    """Whether an entry of the audit's log names the journal's place with just these figures; whether the log itself holds is not asked.

    Args:
        held: as it was read, or as it stands in a report.
        directory: of the log.

    Raises:
        LogUnusable: the log cannot be read.
    """
    facts = {"journal_n": held.journal_n, "journal_sha256": held.journal_sha256, "figures": figures_digest(held)}
    return any(all(entry.facts.get(name) == value for name, value in facts.items()) for entry in places(directory))


def places(directory: Path, watch: str = "") -> Iterator[chain.Entry]:
    """The entries of a watch, oldest first; those of all watches where none is named.

    Args:
        directory: of the audit's log.
        watch: SHA-256 of the first line of its journal.

    Raises:
        LogUnusable: the log cannot be read.
    """
    return (entry for entry in chain.entries(directory) if entry.event == EVENT and (not watch or entry.facts.get("watch") == watch))


def log_fault(directory: Path, anchor: Path | None) -> str:
    """What is wrong with the audit's log, in words; empty where it holds.

    Raises:
        LogUnusable: it cannot be read.
    """
    for _ in range(AGAIN):
        verdict = chain.verify(directory, anchor)
        if verdict.holds:
            return ""
    return verdict.faults[0]
