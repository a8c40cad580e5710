"""The journal of a watch: a line for each round, in a chain of hashes, on disk before the next round begins.

Each line is one JSON object in canonical form and holds the SHA-256 of the line before it; the first holds random salt, and what is
watched. A small file beside it, the head, names the last line, so that a cut tail is found. Where a line cannot be written, it is kept and
written with the next: the watch goes on.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

from audit.watch.journal_file import FILE, HEAD, SCHEMA, Begun, JournalUnusable, encode_head, read
from audit.watch.round import Round, stamp
from phi_guard.disclosure_chain import Mark, encode_line
from phi_guard.runtime import keep_private, state_dir

__all__ = ["FILE", "HEAD", "Begun", "Journal", "JournalBroken", "JournalUnusable"]


class JournalBroken(JournalUnusable):
    """The journal is not the one that was written."""

    exit_code = 4


class Journal:
    """The journal in a directory of the watch's own. One process uses it at a time.

    Args:
        directory: made with mode 0700 if it is not there.

    Attributes:
        begun: what is watched; None where nothing is yet.
        rounds: every round so far, also those that could not be written yet.
        resumed: when it was taken up again, ISO 8601.
        closed: whether it was brought to its end.
        fault: why the last line could not be written; empty where it was.

    Raises:
        RuntimeDirectoryError: the directory cannot be made or trusted.
        JournalUnusable: the journal cannot be read, or is not the one that was written.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = state_dir(directory)
        keep_private(directory, [FILE, HEAD])
        held = read(directory)
        if held.fault:
            msg = f"{directory}: the journal is not the one that was written ({held.fault}); keep it, and begin another watch with -d"
            raise JournalBroken(msg)
        self.begun, self.rounds, self.resumed, self.closed = held.begun, held.rounds, held.resumed, held.closed
        self.fault = ""
        self._at, self._size, self._id = held.at, held.size, held.id
        self._waiting: list[tuple[str, Mapping[str, object]]] = []

    @property
    def began(self) -> datetime:
        """When the watch began. Raises ValueError where it has not."""
        if self.begun is None:
            msg = "the journal was not begun"
            raise ValueError(msg)
        return self.begun.moment

    @property
    def head(self) -> Mark:
        """The last place of the chain that is on disk."""
        return self._at

    @property
    def id(self) -> str:
        """SHA-256 of its first line; empty where it was not begun."""
        return self._id

    @property
    def unwritten(self) -> int:
        """Lines that are not on disk yet."""
        return len(self._waiting)

    def begin(self, begun: Begun, now: datetime) -> None:
        """The first line.

        Raises:
            JournalUnusable: it cannot be written: a watch that keeps nothing from its first minute on is none.
        """
        self.begun = begun
        self._add("begin", {"schema": SCHEMA, "salt": os.urandom(16).hex(), **asdict(begun)}, now)
        if self.fault:
            raise JournalUnusable(f"{self.directory / FILE}: {self.fault}; name a directory that can be written with -d")
        self._id = self._at.sha256

    def resume(self, now: datetime) -> None:
        """Say that it is taken up again."""
        self.resumed.append(stamp(now))
        self._add("resumed", {}, now)

    def add(self, one: Round, now: datetime) -> None:
        """Keep a round. Where it cannot be written, `fault` says why, and it is written with the next line."""
        self.rounds.append(one)
        self._add("round", {"round": asdict(one)}, now)

    def stop(self, now: datetime) -> None:
        """Say that it was stopped before its end."""
        self._add("stopped", {}, now)

    def close(self, facts: Mapping[str, object], now: datetime) -> None:
        """The last line.

        Args:
            facts: what it came to: the outcome, digests and counts.
            now: the time.
        """
        self.closed = True
        self._add("closed", facts, now)

    def check(self) -> str:
        """Read it again from disk: what is wrong with it, or in what it differs from what is held here; empty where it holds."""
        try:
            held = read(self.directory)
        except JournalUnusable as fault:
            return str(fault)
        if held.fault:
            return held.fault
        if held.at != self._at:
            return f"{FILE}: is another than was written: it was exchanged while the watch went on"
        return f"{FILE}: {len(self._waiting)} lines are missing: it {self.fault}" if self._waiting else ""

    def _add(self, event: str, facts: Mapping[str, object], now: datetime) -> None:
        self._waiting.append((event, {**facts, "written": stamp(now)}))
        self.fault = ""
        try:
            handle = os.open(self.directory / FILE, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            try:
                while self._waiting:
                    self._write(handle, *self._waiting[0])
                    self._waiting.pop(0)
            finally:
                os.close(handle)
        except OSError as fault:
            self.fault = f"cannot be written ({fault.strerror})"

    def _write(self, handle: int, event: str, facts: Mapping[str, object]) -> None:
        line, made = encode_line(self._at, event, facts)
        line += b"\n"
        try:
            if os.fstat(handle).st_size > self._size:
                os.ftruncate(handle, self._size)  # what a crash tore, its writer was never told that it is kept
            if os.pwrite(handle, line, self._size) != len(line):
                raise OSError(28, "No space left on device")  # half a line is taken back below
            os.fsync(handle)
        except OSError:
            with suppress(OSError):
                os.ftruncate(handle, self._size)
            raise
        self._at, self._size = made, self._size + len(line)
        with suppress(OSError):  # a head that is behind is caught up with by the next
            head = os.open(self.directory / HEAD, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            try:
                os.pwrite(head, encode_head(made), 0)
                os.fsync(head)
            finally:
                os.close(head)
