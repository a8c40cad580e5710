"""What one reviewer decided. No value of any trace is in it, and no free text that could hold one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from phi_guard.errors import PhiGuardError

SCHEMA: Final = "phi-audit.review/1"

Said: TypeAlias = Literal["clear", "leak", "unsure"]
SAID: Final[tuple[Said, ...]] = ("clear", "leak", "unsure")

ENTITIES: Final = (
    "name", "address", "date", "phone", "email", "ssn", "mrn", "insurance", "account", "licence", "device", "url", "ip", "health", "other",
)  # fmt: skip
"""What a reviewer may call a leak: the identifiers of 45 CFR 164.514(b)(2)(i), what is said of someone's health, and the rest."""

COMMENTS: Final = (
    "", "looks synthetic", "staff, not a patient", "language not known", "cut off", "needs another look", "several in this trace",
)  # fmt: skip
"""What a reviewer may add: a closed list, since words of one's own could quote what was read."""


class ReviewError(PhiGuardError):
    """A review cannot be made, read or counted; the message says which, why, and what to do."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What was said of one trace.

    Args:
        item: the trace's id; while the review is open, a token that does not tell a planted copy from a trace.
        said: ``clear``, ``leak`` or ``unsure``.
        entity: one of `ENTITIES` for a leak, else empty.
        place: of a leak: number of the run, field, and number of the value in it, such as ``3.inputs.2``; else empty.
        comment: one of `COMMENTS`.
        at: ISO 8601.
    """

    item: str
    said: Said
    entity: str
    place: str
    comment: str
    at: str


@dataclass(frozen=True, slots=True)
class Planted:
    """One known answer that stood among the traces, told only when the review has ended.

    Args:
        item: its token.
        kind: class of the value that was planted.
        place: where.
        said: what the reviewer said of it.
        found: whether the reviewer called it a leak and showed its run and field.
    """

    item: str
    kind: str
    place: str
    said: Said
    found: bool


@dataclass(frozen=True, slots=True)
class Review:
    """One reviewer's review of one report.

    Args:
        reviewer: the name, as given.
        report_sha256: digest of the report.
        selection_sha256: of its sample.
        began: ISO 8601.
        ended: ISO 8601; empty while it is open.
        items: traces and known answers there are to decide.
        missing: sampled traces that the source no longer has.
        undone: decisions that were taken back.
        decisions: in the order they were made; known answers among them only while it is open.
        planted: empty while it is open.
        sha256: of all the rest, canonical JSON.
    """

    reviewer: str
    report_sha256: str
    selection_sha256: str
    began: str
    ended: str
    items: int
    missing: int
    undone: int
    decisions: tuple[Decision, ...]
    planted: tuple[Planted, ...] = ()
    sha256: str = ""


def same_place(one: str, other: str) -> bool:
    """Whether two places lie in the same field of the same run: who saw the leak may have pointed at the line beside it."""
    return bool(one) and one.rpartition(".")[0] == other.rpartition(".")[0]
