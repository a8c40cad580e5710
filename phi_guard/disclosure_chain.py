"""The disclosure log as a chain of lines: how one is written, and how a changed, lost or moved one is found.

Each line is one JSON object in canonical form and holds the SHA-256 of the line before it. The first holds random salt, so that no two
chains look alike. A small file beside the log, the head, holds number and SHA-256 of the last line, so that a cut tail is found too.

It answers 45 CFR 164.312(b) (audit controls) and 164.528 (accounting of disclosures): what was sent, when and where to, without a word of
what was in it. Who may write to the directory can write a new chain; to find that as well, keep a copy of the head somewhere else.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

SCHEMA: Final = "phi-guard.disclosures/1"
LOG: Final = "disclosures.jsonl"
HEAD: Final = "disclosures.head"
EVENTS: Final = ("begin", "intent", "outcome", "head_lost")
FAULTS_MAX: Final = 20
LINE_MAX: Final = 8_192
"""Bytes of a line; ours have some hundred."""

_OLDER: Final = re.compile(r"disclosures\.([0-9]{12})\.jsonl")
_NOTHING: Final = "0" * 64


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in the chain.

    Args:
        n: number of its line; -1 before the first.
        sha256: of that line, hexadecimal.
    """

    n: int
    sha256: str


START: Final = Mark(-1, _NOTHING)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a check of the chain says.

    Args:
        entries: lines read, the first and its salt included.
        postings: requests of which the log says that they were about to leave.
        unsettled: numbers of those of which it does not say what became of them: they may have arrived.
        faults: what is wrong, ``file:line: what``, at most `FAULTS_MAX` of them; empty where the chain holds.
        head: the last place of the chain.
    """

    entries: int
    postings: int
    unsettled: tuple[int, ...]
    faults: tuple[str, ...]
    head: Mark

    @property
    def holds(self) -> bool:
        """Whether nothing is wrong."""
        return not self.faults


def encode_line(after: Mark, event: str, facts: Mapping[str, object]) -> tuple[bytes, Mark]:
    """The next line of a chain, without its line break, and the place it makes.

    Args:
        after: the place it follows.
        event: ``begin``, ``intent``, ``outcome`` or ``head_lost``.
        facts: what it says besides; closed names and counts.
    """
    entry = {**facts, "event": event, "n": after.n + 1, "prev": after.sha256}
    line = json.dumps(entry, sort_keys=True, separators=(",", ":")).encode()
    return line, mark(after.n + 1, line)


def mark(n: int, line: bytes) -> Mark:
    """The place a line makes."""
    return Mark(n, hashlib.sha256(line).hexdigest())


def encode_head(at: Mark) -> bytes:
    """The head file's content; always of one length, so that it can be written in place."""
    return f"{SCHEMA} {at.n:012d} {at.sha256}\n".encode()


def decode_head(content: bytes) -> Mark | None:
    """The place a head file names; None where it is none of ours."""
    found = re.fullmatch(rf"{re.escape(SCHEMA)} ([0-9]{{12}}) ([0-9a-f]{{64}})\n".encode(), content)
    return Mark(int(found[1]), found[2].decode()) if found else None


def decode_line(line: bytes) -> dict[str, Any] | None:
    """What a line says; None where it is none of ours."""
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(entry, dict) or type(entry.get("n")) is not int or not isinstance(entry.get("prev"), str):
        return None
    return entry if entry.get("event") in EVENTS and (entry["event"] != "outcome" or type(entry.get("of")) is int) else None


def files(directory: Path) -> list[Path]:
    """The chain's files, oldest first. An older one is called by the number of its last line."""
    older = sorted(path for path in directory.iterdir() if _OLDER.fullmatch(path.name))
    log = directory / LOG
    return [*older, log] if log.exists() or not older else older


def older_name(last: int) -> str:
    """What the log is called when another is begun after that line."""
    return f"disclosures.{last:012d}.jsonl"


def read(directory: Path) -> Iterator[tuple[str, bytes]]:
    """``(file:line, line)`` of the whole chain in order, whatever the lines hold.

    Raises:
        OSError: a file cannot be read.
    """
    for path in files(directory):
        with path.open("rb") as file:
            for number, line in enumerate(iter(lambda: file.readline(LINE_MAX), b""), 1):  # used up within the turn
                yield f"{path.name}:{number}", line


def verify(directory: Path) -> Verdict:
    """Read the chain from its first line to its head.

    Args:
        directory: where the log and its head are.

    Raises:
        OSError: a file cannot be read.
    """
    faults: list[str] = []
    open_: dict[int, None] = {}
    at, entries, postings = START, 0, 0
    passed: dict[int, str] = {}
    head = decode_head((directory / HEAD).read_bytes())
    for where, raw in read(directory):
        line = raw.removesuffix(b"\n")
        entry = decode_line(line)
        entries += 1
        if raw == line:
            faults.append(f"{where}: the line has no end")
        if entry is None:
            faults.append(f"{where}: is no entry")
            at = mark(at.n + 1, line)
            continue
        if entry["n"] != at.n + 1:
            faults.append(f"{where}: is entry {entry['n']}, and {at.n + 1} was to come: entries are missing, or not in their order")
        elif entry["prev"] != at.sha256:
            faults.append(f"{where}: does not follow the line before it: that one was changed after it was written")
        if (entry["event"] == "begin") != (entries == 1):
            faults.append(f"{where}: a chain begins once, with its first line")
        if entry["event"] == "intent":
            postings += 1
            open_[entry["n"]] = None
        elif entry["event"] == "outcome":
            open_.pop(int(entry["of"]), None)
        elif entry["event"] == "head_lost":
            faults.append(f"{where}: the head was missing when the log was taken up again: lines before this one may have been cut off")
        at = mark(entry["n"], line)
        if head is not None and at.n == head.n:
            passed[at.n] = at.sha256
    faults += _against_head(head, at, passed)
    return Verdict(entries, postings, tuple(open_), tuple(faults[:FAULTS_MAX]), at)


def _against_head(head: Mark | None, at: Mark, passed: Mapping[int, str]) -> Iterator[str]:
    if head is None:
        yield f"{HEAD}: is no head of a chain"
    elif head.n > at.n:
        yield f"{HEAD}: names entry {head.n}, and the log ends with {at.n}: its end was cut off"
    elif passed.get(head.n) != head.sha256:
        yield f"{HEAD}: entry {head.n} is not the one that was written"
