"""The journal's file as it is read: its lines, its head, and whether they are those that were written."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from audit.watch.round import Round
from phi_guard.disclosure_chain import START, Mark, mark
from phi_guard.errors import PhiGuardError

SCHEMA: Final = "phi-audit.watch-journal/1"
FILE: Final = "watch.jsonl"
HEAD: Final = "watch.head"
EVENTS: Final = ("begin", "resumed", "stopped", "round", "closed")
SIZE_MAX: Final = 256 << 20
_OWN: Final = frozenset({"event", "n", "prev", "written", "schema", "salt"})


class JournalUnusable(PhiGuardError):
    """The journal cannot be used for this watch; the message names the file, the reason, and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """What is watched, from when on and for how long.

    Args:
        at: when it began, ISO 8601.
        hours: how long it is to go on.
        every_s: seconds from one round to the next.
        project: its name.
        env: ``dev`` or ``prod``.
        place: what is read.
        policy: digest of the policy it is judged by.
        rules: names of the rules of the alerts that are judged, sorted.
        rules_digest: of the rules in force in the environment (`audit.binding.rules_digest`).
        gates_digest: of the bars its rounds are judged by (`audit.gates_base.gates_digest`).
    """

    at: str
    hours: float
    every_s: float
    project: str
    env: str
    place: str
    policy: str
    rules: tuple[str, ...] = ()
    rules_digest: str = ""
    gates_digest: str = ""

    @property
    def moment(self) -> datetime:
        """`at`, in UTC."""
        return datetime.fromisoformat(self.at).astimezone(UTC)


@dataclass(slots=True)
class Held:
    """What a journal holds.

    Args:
        begun: what is watched; None where there is no journal yet.
        rounds: in their order.
        resumed: when it was taken up again, ISO 8601.
        closed: whether it was brought to its end.
        at: the last place of the chain.
        id: SHA-256 of its first line, whose salt no other journal has; empty where there is no journal yet.
        size: bytes up to the end of the last whole line; what follows was torn by a crash, and is no line.
        fault: what is wrong, ``file:line: what``; empty where it holds.
    """

    begun: Begun | None = None
    rounds: list[Round] = field(default_factory=list)
    resumed: list[str] = field(default_factory=list)
    closed: bool = False
    at: Mark = START
    id: str = ""
    size: int = 0
    fault: str = ""


def read(directory: Path) -> Held:
    """What the journal of a directory holds.

    Raises:
        JournalUnusable: it cannot be read.
    """
    path, head = directory / FILE, directory / HEAD
    try:
        content = path.read_bytes() if path.exists() and path.stat().st_size <= SIZE_MAX else b""
        named = head.read_bytes()[:256] if head.exists() else b""
    except OSError as fault:
        raise JournalUnusable(f"{fault.filename}: cannot be read ({fault.strerror}); check the file and its owner") from None
    held = Held()
    whole = content.rpartition(b"\n")[0]
    held.size = len(whole) + 1 if whole else 0
    last, passed = decode_head(named), START
    for number, line in enumerate(whole.split(b"\n") if whole else (), 1):
        if wrong := _take(held, line):
            held.fault = f"{FILE}:{number}: {wrong}"
            return held
        if last is not None and held.at.n == last.n:
            passed = held.at
    held.fault = next(_against_head(last, held.at, passed, begun=bool(whole or named)), "")
    return held


def hash_of(directory: Path, n: int) -> str:
    """SHA-256 of a line of a journal that holds; empty where it has not so many.

    Args:
        directory: of the watch.
        n: number of the line; the first is 0.

    Raises:
        OSError: it cannot be read.
    """
    with (directory / FILE).open("rb") as file:
        for number, line in enumerate(file):
            if number == n and line.endswith(b"\n"):
                return mark(n, line[:-1]).sha256
    return ""


def encode_head(at: Mark) -> bytes:
    """The head file's content; always of one length, so that it can be written in place."""
    return f"{SCHEMA} {at.n:012d} {at.sha256}\n".encode()


def decode_head(content: bytes) -> Mark | None:
    """The place a head file names; None where it is none of ours."""
    found = re.fullmatch(rf"{re.escape(SCHEMA)} ([0-9]{{12}}) ([0-9a-f]{{64}})\n".encode(), content)
    return Mark(int(found[1]), found[2].decode()) if found else None


def _take(held: Held, line: bytes) -> str:
    """Take in one line; what is wrong with it."""
    said = _decode(line)
    if said is None:
        return "is no line of ours"
    before, held.at = held.at, mark(said["n"], line)
    held.id = held.id or held.at.sha256
    if said["n"] != before.n + 1:
        return f"is line {said['n']}, and {before.n + 1} was to come: lines are missing, or not in their order"
    if said["prev"] != before.sha256:
        return "does not follow the line before it: that one was changed after it was written"
    if (said["event"] == "begin") != (before == START):
        return "a journal begins once, with its first line"
    try:
        if said["event"] == "begin":
            held.begun = msgspec.convert({key: value for key, value in said.items() if key not in _OWN}, Begun)
        elif said["event"] == "round":
            held.rounds.append(msgspec.convert(said["round"], Round))
        elif said["event"] == "resumed":
            held.resumed.append(said["written"])
    except (msgspec.ValidationError, KeyError):
        return "is of another version"
    held.closed = said["event"] == "closed"
    return ""


def _decode(line: bytes) -> dict[str, Any] | None:
    try:
        said = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(said, dict) or type(said.get("n")) is not int or not all(isinstance(said.get(k), str) for k in ("prev", "written")):
        return None
    if said.get("event") not in EVENTS or json.dumps(said, sort_keys=True, separators=(",", ":")).encode() != line:
        return None
    return said


def _against_head(named: Mark | None, at: Mark, passed: Mark, *, begun: bool) -> Iterator[str]:
    if named is None:
        if begun and at.n != 0:  # a crash at the very beginning leaves one line without a head
            yield f"{HEAD}: is no head of a journal"
    elif named.n > at.n:
        yield f"{HEAD}: names line {named.n}, and the journal ends with {at.n}: its end was cut off"
    elif passed.sha256 != named.sha256:
        yield f"{HEAD}: line {named.n} is not the one that was written"
