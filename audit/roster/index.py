"""The index file: sorted 64-bit keyed digests, a section a kind, behind a header that says what they are. No value is in it.

Layout: the magic line, a JSON header padded with spaces to `HEADER` bytes, then each section's digests, sorted, each eight bytes,
little-endian. A digest is BLAKE2b keyed with the roster's key, over the kind and one form of a value. Of 64 bits, a form that nobody on
the roster has is taken for one that is there once in 2**64 / n: with the 40 million digests of a million people, once in 4.6e11 questions.
"""

from __future__ import annotations

import hashlib
import heapq
import json
import mmap
import os
import sys
import tempfile
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from audit.keys import key_id
from audit.roster.facts import RosterError, RosterFacts

SCHEMA: Final = "phi-audit.roster/1"
KINDS: Final = ("name", "phone", "dob", "mrn", "email", "address", "id")
"""The sections, in their order."""

MAGIC: Final = b"phi-audit roster index\n"
HEADER: Final = 4096
"""Bytes of magic line and header."""
CHUNK: Final = 250_000
"""Digests that are held and sorted at once; more go to a file first."""
_WIDTH: Final = 8


class Digests:
    """Makes the digests of one key.

    Args:
        key: 32 bytes.
    """

    __slots__ = ("_of",)

    def __init__(self, key: bytes) -> None:
        self._of = {kind: hashlib.blake2b(kind.encode(), key=key, digest_size=_WIDTH) for kind in KINDS}

    def digest(self, kind: str, form: str) -> int:
        """The digest of one form of a value of a kind."""
        state = self._of[kind].copy()
        state.update(form.encode("utf-8", "surrogatepass"))
        return int.from_bytes(state.digest(), "little")


class Sorter:
    """Sorts any number of digests in bounded memory: sorted runs go to a file without a name, and are merged at the end."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._held = array("Q")
        self._runs: list[tuple[int, int]] = []
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  # closed by close(); it has no name on the disk

    def add(self, digests: Iterable[int]) -> None:
        """Take digests in."""
        self._held.extend(digests)
        if len(self._held) >= CHUNK:
            self._spill()

    def _spill(self) -> None:
        run = array("Q", sorted(set(self._held)))
        self._runs.append((self._file.tell(), len(run)))
        run.tofile(self._file)
        self._held = array("Q")

    def merged(self) -> Iterator[array[int]]:
        """All of them in order, each once, in pieces."""
        if not self._runs:
            yield array("Q", sorted(set(self._held)))
            return
        if self._held:
            self._spill()
        self._file.flush()
        piece, last = array("Q"), -1
        for digest in heapq.merge(*(self._run(at, count) for at, count in self._runs)):
            if digest != last:
                piece.append(digest)
                last = digest
                if len(piece) >= CHUNK:
                    yield piece
                    piece = array("Q")
        yield piece

    def _run(self, at: int, count: int, step: int = 8192) -> Iterator[int]:
        for first in range(0, count, step):
            some = array("Q")
            some.frombytes(os.pread(self._file.fileno(), min(step, count - first) * _WIDTH, at + first * _WIDTH))
            yield from some

    def close(self) -> None:
        """Give the file back."""
        self._file.close()


def write(path: Path, sorters: Mapping[str, Sorter], key: bytes, *, people: int, built_at: str) -> RosterFacts:
    """Write an index; it stands under its name whole or not at all, with mode 0600.

    Args:
        path: of the index; one that is there already is replaced.
        sorters: by kind, every one of `KINDS`.
        key: of the roster.
        people: rows taken in.
        built_at: ISO 8601.

    Raises:
        RosterError: it cannot be written.
    """
    made = ""
    try:
        handle, made = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mkstemp's files have mode 0600
        with os.fdopen(handle, "wb") as file:
            file.seek(HEADER)
            entries: dict[str, int] = {}
            body = hashlib.sha256()
            for kind in KINDS:
                entries[kind] = 0
                for piece in sorters[kind].merged():
                    if sys.byteorder == "big":
                        piece.byteswap()
                    file.write(piece)
                    body.update(piece)
                    entries[kind] += len(piece)
            head = {"schema": SCHEMA, "built_at": built_at, "people": people, "entries": entries, "key_id": key_id(key),
                "body_sha256": body.hexdigest()}  # fmt: skip
            file.seek(0)
            file.write((MAGIC + json.dumps(head, sort_keys=True).encode()).ljust(HEADER - 1) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        Path(made).replace(path)
    except OSError as fault:
        Path(made).unlink(missing_ok=True) if made else None
        raise RosterError(f"{path}: cannot be written ({fault.strerror}); check the directory and the space left") from None
    return RosterFacts(_sha256(path), built_at, people, entries, key_id(key))


class Index:
    """An index that is open: whether a digest is in it. Read from the disk as it is asked, so a big one costs no memory of its own.

    Args:
        path: of the file.

    Raises:
        RosterError: it cannot be read, is none, or was changed since it was written.
    """

    __slots__ = ("_map", "_sections", "facts")

    def __init__(self, path: Path) -> None:
        if sys.byteorder == "big":
            raise RosterError(f"{path}: rosters are read on little-endian machines only")
        try:
            with path.open("rb") as file:
                head = _header(path, file.read(HEADER))
                self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except OSError as fault:
            raise RosterError(f"{path}: cannot be read ({fault.strerror}); name the file that `phi-audit roster build` wrote") from None
        entries = {kind: head["entries"][kind] for kind in KINDS}
        whole = memoryview(self._map)
        body = whole[HEADER:]
        if len(body) != sum(entries.values()) * _WIDTH or hashlib.sha256(body).hexdigest() != head["body_sha256"]:
            raise RosterError(f"{path}: was cut or changed since it was built; build it again from the list")
        self._sections: dict[str, memoryview] = {}
        at = 0
        for kind, count in entries.items():
            self._sections[kind] = body[at : at + count * _WIDTH].cast("Q")
            at += count * _WIDTH
        self.facts = RosterFacts(hashlib.sha256(whole).hexdigest(), head["built_at"], head["people"], entries, head["key_id"])

    def holds(self, kind: str, digest: int) -> bool:
        """Whether a digest is in the section of a kind."""
        section = self._sections[kind]
        at = bisect_left(section, digest)
        return at < len(section) and section[at] == digest


def _header(path: Path, data: bytes) -> dict[str, Any]:
    head: object = None
    if len(data) == HEADER and data.startswith(MAGIC):
        try:
            head = json.loads(data[len(MAGIC) :])
        except ValueError:
            head = None
    if not isinstance(head, dict) or head.get("schema") != SCHEMA:
        raise RosterError(f"{path}: is no roster index of schema {SCHEMA}; build one with `phi-audit roster build`")
    entries = head.get("entries")
    sound = (
        isinstance(entries, dict)
        and all(isinstance(entries.get(kind), int) and entries[kind] >= 0 for kind in KINDS)
        and isinstance(head.get("people"), int)
        and all(isinstance(head.get(name), str) for name in ("built_at", "key_id", "body_sha256"))
    )
    if not sound:
        raise RosterError(f"{path}: its header is not whole; build it again from the list")
    return head


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
