"""One line of the audit's log: what it holds, how it and the head are written, and how they are read, whatever they hold."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from phi_guard.disclosure_chain import Mark, mark
from phi_guard.errors import PhiGuardError

SCHEMA: Final = "phi-audit.log/1"
LOG: Final = "audit-log.jsonl"
HEAD: Final = "audit-log.head"
EVENTS: Final = frozenset(
    {
        "begin", "head_lost", "report", "signed", "verified", "review_opened", "review_closed", "revealed", "enforced", "switch_on",
        "switch_off", "purge_asked", "purge_done", "incident", "baseline", "roster", "key_made", "key_trusted", "key_untrusted",
        "quarantine_released", "quarantine_dropped", "alert_sending", "alert_sent", "alert_silenced", "alert_unsilenced", "watch",
    }
)  # fmt: skip
"""What can be written down."""
FAULTS_MAX: Final = 20
LINE_MAX: Final = 65_536
"""Bytes of a line; ours have some hundred, and one with a thousand trace ids 39,000."""


class LogUnusable(PhiGuardError):
    """The audit's log cannot be read or written; the message names the file, the reason, and what to do."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the log.

    Args:
        n: its number; the first, which holds the salt, is 0.
        at: when it was written, ISO 8601.
        event: one of `EVENTS`.
        facts: what it says.
        prev: SHA-256 of the line before it.
        sha256: of its line.
    """

    n: int
    at: str
    event: str
    facts: Mapping[str, object]
    prev: str
    sha256: str


def encode_head(at: Mark) -> bytes:
    """The head file's content; always of one length, so that it can be written in place."""
    return f"{SCHEMA} {at.n:012d} {at.sha256}\n".encode()


def decode_head(content: bytes) -> Mark | None:
    """The place a head file names; None where it is none of ours."""
    found = re.fullmatch(rf"{re.escape(SCHEMA)} ([0-9]{{12}}) ([0-9a-f]{{64}})\n".encode(), content)
    return Mark(int(found[1]), found[2].decode()) if found else None


def decode(line: bytes) -> Entry | None:
    """What a line says; None where it is none of ours."""
    try:
        held = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(held, dict) or type(held.get("n")) is not int or not all(isinstance(held.get(k), str) for k in ("prev", "at")):
        return None
    if held.get("event") not in EVENTS:
        return None
    facts = {key: value for key, value in held.items() if key not in {"n", "at", "event", "prev"}}
    return Entry(held["n"], held["at"], held["event"], facts, held["prev"], mark(0, line).sha256)


def read(path: Path) -> Iterator[tuple[str, bytes]]:
    """``(file:line, line)``, whatever the lines hold."""
    try:
        with path.open("rb") as file:
            for number, line in enumerate(iter(lambda: file.readline(LINE_MAX + 1), b""), 1):  # used up within the turn
                yield f"{path.name}:{number}", line
    except FileNotFoundError:
        raise
    except OSError as fault:
        raise LogUnusable(f"{path}: cannot be read ({fault.strerror}); name the directory of the log") from None


def content_of(path: Path) -> bytes:
    """The first bytes of a small file; none where there is no file."""
    try:
        with path.open("rb") as file:
            return file.read(256)
    except FileNotFoundError:
        return b""
    except OSError as fault:
        raise LogUnusable(f"{path}: cannot be read ({fault.strerror}); name the directory of the log") from None
