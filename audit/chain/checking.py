"""Reading the audit's log, and saying whether it is the one that was written."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from audit.chain.line import FAULTS_MAX, HEAD, LOG, SCHEMA, Entry, LogUnusable, content_of, decode, decode_head, read
from phi_guard.disclosure_chain import START, Mark, mark


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a check of the log says.

    Args:
        entries: lines read, the first and its salt included.
        faults: what is wrong, ``file:line: what``, at most `FAULTS_MAX`; empty where the log holds.
        head: the last place of the chain.
        anchored: number of the last entry that the anchor names; -1 without one. What comes after is held by the head alone.
    """

    entries: int
    faults: tuple[str, ...]
    head: Mark
    anchored: int = -1

    @property
    def holds(self) -> bool:
        """Whether nothing is wrong."""
        return not self.faults


def head(directory: Path) -> Mark:
    """The last place of the log; `START` where there is none yet.

    Raises:
        LogUnusable: it cannot be read.
    """
    last = START
    for entry in entries(directory):
        last = Mark(entry.n, entry.sha256)
    return last


def entries(directory: Path) -> Iterator[Entry]:
    """Every entry, oldest first; lines that are none are left out. Whether the chain holds, `verify` says.

    Raises:
        LogUnusable: it cannot be read.
    """
    with suppress(FileNotFoundError):
        for _, raw in read(directory / LOG):
            line = raw.removesuffix(b"\n")
            if (entry := decode(line)) is not None and raw != line:
                yield entry


def verify(directory: Path, anchor: Path | None = None) -> Verdict:
    """Read the log from its first line to its head, and hold it against its anchor.

    Args:
        directory: where the log and its head are.
        anchor: the copy of the heads, or None to do without.

    Raises:
        LogUnusable: a file cannot be read.
    """
    faults: list[str] = []
    last = decode_head(content_of(directory / HEAD))
    marks = _anchored(anchor, faults) if anchor is not None else []
    named = {n for n, _, _ in marks} | ({last.n} if last else set())
    passed: dict[int, str] = {}
    at, count, chain = START, 0, ""
    try:
        for where, raw in read(directory / LOG):
            line = raw.removesuffix(b"\n")
            entry = decode(line)
            if raw == line:
                faults.append(f"{where}: the line has no end: it was torn by a crash, or cut")
            if entry is None:
                faults.append(f"{where}: is no entry")
                at = mark(at.n + 1, line)
            else:
                faults += _against_chain(where, line, entry, at, first=count == 0)
                at = Mark(entry.n, entry.sha256)
            chain = chain or at.sha256[:16]
            count += 1
            if at.n in named:
                passed[at.n] = at.sha256
    except FileNotFoundError:
        faults.append(f"{LOG}: is not there")
    faults += _against_head(last, at, passed)
    if anchor is not None:
        faults += _against_anchor(anchor, marks, at, chain, passed)
    return Verdict(count, tuple(faults[:FAULTS_MAX]), at, max((n for n, _, _ in marks), default=-1))


def _anchored(anchor: Path, faults: list[str]) -> list[tuple[int, str, str]]:
    """``(n, sha256, chain)`` of each line of an anchor."""
    pattern = re.compile(rf"{re.escape(SCHEMA)} ([0-9a-f]{{16}}) ([0-9]{{12}}) ([0-9a-f]{{64}})\n".encode())
    marks = []
    try:
        for where, line in read(anchor):
            if found := pattern.fullmatch(line):
                marks.append((int(found[2]), found[3].decode(), found[1].decode()))
            else:
                faults.append(f"{where}: is no line of an anchor")
    except FileNotFoundError:
        raise LogUnusable(f"{anchor}: is not there; name the file that PHI_AUDIT_ANCHOR named when the log was written") from None
    if not marks:
        faults.append(f"{anchor.name}: names no entry")
    return marks


def _against_chain(where: str, line: bytes, entry: Entry, at: Mark, *, first: bool) -> Iterator[str]:
    if entry.n != at.n + 1:
        yield f"{where}: is entry {entry.n}, and {at.n + 1} was to come: entries are missing, or not in their order"
    elif entry.prev != at.sha256:
        yield f"{where}: does not follow the line before it: that one was changed after it was written"
    if (entry.event == "begin") != first or (first and entry.facts.get("schema") != SCHEMA):
        yield f"{where}: a log begins once, with its first line"
    if entry.event == "head_lost":
        yield f"{where}: the head was missing when the log was taken up again: lines before this one may have been cut off"
    held = json.loads(line)
    if json.dumps(held, sort_keys=True, separators=(",", ":")).encode() != line:
        yield f"{where}: is not written as we write"


def _against_head(last: Mark | None, at: Mark, passed: Mapping[int, str]) -> Iterator[str]:
    if last is None:
        yield f"{HEAD}: is no head of a log"
    elif last.n > at.n:
        yield f"{HEAD}: names entry {last.n}, and the log ends with {at.n}: its end was cut off"
    elif passed.get(last.n) != last.sha256:
        yield f"{HEAD}: entry {last.n} is not the one that was written"


def _against_anchor(anchor: Path, marks: Iterable[tuple[int, str, str]], at: Mark, chain: str, passed: Mapping[int, str]) -> Iterator[str]:
    for n, sha256, of in marks:
        if of != chain:
            yield f"{anchor.name}: entry {n} is of another log: this one was begun anew"
        elif n > at.n:
            yield f"{anchor.name}: names entry {n}, and the log ends with {at.n}: its end was cut off"
        elif passed.get(n) != sha256:
            yield f"{anchor.name}: entry {n} is not the one that was written"
