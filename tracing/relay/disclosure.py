"""The disclosure log: of each posting, before it leaves and after, where it goes, under which policy, and how much. Never what.

What cannot be written down does not leave. Each line is on disk (fsync) before we go on: a power cut may take an outcome, which then reads
"it may have arrived", and never an intent whose bytes left.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from phi_guard import disclosure_chain as chain
from phi_guard.errors import DisclosureUnwritable

if TYPE_CHECKING:
    from phi_guard.outbound.sink import Posting

ROTATE_BYTES: Final = 16 * 1024 * 1024
"""From here on a new file is begun; the older ones stay, for whoever keeps the books (HIPAA: six years, 45 CFR 164.316(b)(2))."""

_FLAGS: Final = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC


class DisclosureLog:
    """The log of one relay, in one directory. Opened at the first posting; a log that cannot be opened is tried again at the next.

    Args:
        directory: where the log and its head are kept; both readable by their owner alone.
        rotate_bytes: see `ROTATE_BYTES`.
    """

    def __init__(self, directory: Path, *, rotate_bytes: int = ROTATE_BYTES) -> None:
        self._directory, self._rotate_bytes = directory, rotate_bytes
        self._log = self._head = -1
        self._at = chain.START
        self._size = 0
        self._intent: int | None = None

    def intend(self, posting: Posting) -> None:
        """Write down, durably, that a posting is about to leave.

        Raises:
            DisclosureUnwritable: the disk is full, another relay holds the log, or the directory cannot be used.
        """
        facts = {
            "destination": posting.destination,
            "projects": list(posting.projects),
            "policies": list(posting.policies),
            "operations": posting.operations,
            "calls": posting.calls,
            "bytes": posting.bytes,
            "body_sha256": posting.body_sha256,
        }
        try:
            if self._log < 0:
                self._open()
            self._append("intent", facts)
        except (OSError, ValueError) as fault:
            self.close()  # what is on disk is read anew before anything is added to it
            what = fault.strerror if isinstance(fault, OSError) else "it is damaged"
            msg = f"{self._directory / chain.LOG}: cannot be written ({what}); nothing is sent until it can: check space and owner"
            raise DisclosureUnwritable(msg) from None
        self._intent = self._at.n

    def settle(self, outcome: str) -> None:
        """Write down what became of the last posting; where that cannot be done, the intent stands alone. Never raises."""
        intent, self._intent = self._intent, None
        if intent is None or self._log < 0:
            return
        try:
            self._append("outcome", {"of": intent, "outcome": outcome})
            if self._size > self._rotate_bytes:
                self._rotate()
        except (OSError, ValueError):
            self.close()

    def close(self) -> None:
        """Let go of the files."""
        for handle in (self._log, self._head):
            if handle >= 0:
                with suppress(OSError):
                    os.close(handle)
        self._log = self._head = -1

    def _open(self) -> None:
        self._log = os.open(self._directory / chain.LOG, _FLAGS, 0o600)
        fcntl.flock(self._log, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self._head = os.open(self._directory / chain.HEAD, _FLAGS, 0o600)
        for handle in (self._log, self._head):
            os.fchmod(handle, 0o600)
        head = chain.decode_head(os.pread(self._head, chain.LINE_MAX, 0))
        self._at = self._end(head)
        if self._at == chain.START:
            self._append("begin", {"schema": chain.SCHEMA, "salt": os.urandom(16).hex()})
            self._sync_directory()
        elif head is None and self._at.n > 0:  # a crash at the very beginning leaves one line without a head
            self._append("head_lost", {})

    def _end(self, head: chain.Mark | None) -> chain.Mark:
        """Where to go on. A line torn by a crash is taken away; all else stays as it is, for `chain.verify` to judge."""
        size = os.fstat(self._log).st_size
        tail = os.pread(self._log, chain.LINE_MAX, max(0, size - chain.LINE_MAX))
        kept, broken, torn = tail.rpartition(b"\n")
        if torn and (broken or size <= len(torn)):
            os.ftruncate(self._log, size - len(torn))
            size -= len(torn)
        elif torn:  # longer than any line of ours
            size += os.pwrite(self._log, b"\n", size)
        self._size = size
        line = kept.rpartition(b"\n")[2]
        entry = chain.decode_line(line)
        if entry is not None and (head is None or entry["n"] >= head.n):
            return chain.mark(entry["n"], line)
        return head or (chain.mark(-1, line) if line else chain.START)

    def _append(self, event: str, facts: dict[str, object]) -> None:
        at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        line, mark = chain.encode_line(self._at, event, {**facts, "at": at})
        line += b"\n"
        try:
            written = os.pwrite(self._log, line, self._size)
            if written != len(line):
                raise OSError(28, "No space left on device")  # half a line is taken back below, as after a fault
            os.fsync(self._log)
        except OSError:
            with suppress(OSError):
                os.ftruncate(self._log, self._size)
            raise
        self._size += len(line)
        self._at = mark
        os.pwrite(self._head, chain.encode_head(mark), 0)

    def _rotate(self) -> None:
        """Begin another file; the chain goes on in it."""
        log = self._directory / chain.LOG
        log.rename(self._directory / chain.older_name(self._at.n))
        old, self._log = self._log, -1
        os.close(old)
        self._log = os.open(log, _FLAGS, 0o600)
        fcntl.flock(self._log, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self._size = 0
        self._sync_directory()

    def _sync_directory(self) -> None:
        handle = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
