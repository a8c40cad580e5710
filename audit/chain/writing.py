"""Writing to the audit's log: under a lock, to the disk, and taken back where it cannot be whole."""

from __future__ import annotations

import fcntl
import os
import re
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from math import isfinite
from pathlib import Path
from typing import Final

from audit.chain.line import EVENTS, HEAD, LINE_MAX, LOG, SCHEMA, LogUnusable, decode, decode_head, encode_head
from phi_guard.disclosure_chain import START, Mark, encode_line, mark
from phi_guard.runtime import keep_private, state_dir

ANCHOR_VARIABLE: Final = "PHI_AUDIT_ANCHOR"
WAIT_S: Final = 10.0
"""How long to wait for another process that is writing."""


_FLAGS: Final = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
_KEY: Final = re.compile(r"[a-z][a-z0-9_]{0,39}")
_OWN: Final = frozenset({"event", "n", "prev", "at", "schema", "salt"})


def append(directory: Path, event: str, facts: Mapping[str, object], *, now: datetime, anchor: Path | None = None) -> Mark:
    """Write an entry down; when this returns, it is on disk.

    Args:
        directory: where the log is; made with mode 0700 if it is not there.
        event: one of `EVENTS`.
        facts: closed names, digests, counts, ids and times: text of one line, numbers, truth, None, or lists of these.
        now: the time, with a zone.
        anchor: a file somewhere else to which the new head is added; default ``PHI_AUDIT_ANCHOR``, where that is set.

    Raises:
        LogUnusable: it cannot be written (full disk, another's file, a fact that is none), or another process holds it too long.
        RuntimeDirectoryError: the directory or a file in it is not ours alone.
    """
    _check(event, facts)
    state_dir(directory)
    keep_private(directory, [LOG, HEAD])
    anchor = anchor or anchor_of(os.environ)
    log = directory / LOG
    try:
        handles = [os.open(log, _FLAGS, 0o600)]
        try:
            _lock(handles[0], log)
            handles.append(os.open(directory / HEAD, _FLAGS, 0o600))
            if anchor is not None:
                handles.append(_open_anchor(anchor, directory))
            return _Writer(directory, *handles).add(event, facts, now)
        finally:
            for handle in handles:
                os.close(handle)
    except OSError as fault:
        msg = f"{fault.filename or log}: cannot be written ({fault.strerror}); check the space left and whose it is"
        raise LogUnusable(msg) from None


def anchor_of(environ: Mapping[str, str]) -> Path | None:
    """The anchor that the environment names."""
    return Path(named) if (named := environ.get(ANCHOR_VARIABLE)) else None


class _Writer:
    """The open files while the lock is held."""

    def __init__(self, directory: Path, log: int, head_file: int, anchor: int = -1) -> None:
        self._directory, self._log, self._head, self._anchor = directory, log, head_file, anchor
        for handle in (log, head_file):
            os.fchmod(handle, 0o600)
        self._size = os.fstat(log).st_size

    def add(self, event: str, facts: Mapping[str, object], now: datetime) -> Mark:
        known = decode_head(os.pread(self._head, 256, 0))
        at = self._end(known)
        if at == START:
            at = self._write(at, "begin", {"schema": SCHEMA, "salt": os.urandom(16).hex()}, now)
            _sync(self._directory)
        elif known is None and at.n > 0:  # a crash at the very beginning leaves one line without a head
            at = self._write(at, "head_lost", {}, now)
        return self._write(at, event, facts, now)

    def _end(self, known: Mark | None) -> Mark:
        """Where to go on. A line torn by a crash is taken away: its writer was never told that it is kept. All else stays for `verify`."""
        tail = os.pread(self._log, LINE_MAX, max(0, self._size - LINE_MAX))
        kept, broken, torn = tail.rpartition(b"\n")
        if torn and (broken or self._size <= len(torn)):
            os.ftruncate(self._log, self._size - len(torn))
            self._size -= len(torn)
        elif torn:  # longer than any line of ours
            self._size += os.pwrite(self._log, b"\n", self._size)
        line = kept.rpartition(b"\n")[2]
        entry = decode(line)
        if entry is not None and (known is None or entry.n >= known.n):
            return Mark(entry.n, entry.sha256)
        return known or (mark(-1, line) if line else START)  # after a cut tail the numbers go on, so that the gap stays to be seen

    def _write(self, after: Mark, event: str, facts: Mapping[str, object], now: datetime) -> Mark:
        line, made = encode_line(after, event, {**facts, "at": _stamp(now)})
        if len(line) >= LINE_MAX:
            msg = f"{self._directory / LOG}: an entry of {len(line)} bytes is too long; write fewer ids"
            raise LogUnusable(msg)
        line += b"\n"
        try:
            if os.pwrite(self._log, line, self._size) != len(line):
                raise OSError(28, "No space left on device", str(self._directory / LOG))  # half a line is taken back below
            os.fsync(self._log)
        except OSError:
            with suppress(OSError):
                os.ftruncate(self._log, self._size)
            raise
        self._size += len(line)
        os.pwrite(self._head, encode_head(made), 0)
        os.fsync(self._head)
        if self._anchor >= 0:
            self._add_to_anchor(made)
        return made

    def _add_to_anchor(self, made: Mark) -> None:
        first = os.pread(self._log, LINE_MAX, 0).partition(b"\n")[0]
        os.write(self._anchor, f"{SCHEMA} {mark(0, first).sha256[:16]} {made.n:012d} {made.sha256}\n".encode())
        os.fsync(self._anchor)


def _check(event: str, facts: Mapping[str, object]) -> None:
    if event not in EVENTS:
        msg = f"{LOG}: there is no event of that name; there are {', '.join(sorted(EVENTS))}"
        raise LogUnusable(msg)
    for key, value in facts.items():
        if not _KEY.fullmatch(key) or key in _OWN:
            raise LogUnusable(f"{LOG}: {event}: a fact's name must be one of ours: lower-case letters, digits and _")
        for item in value if isinstance(value, list | tuple) else (value,):
            if not _is_fact(item):
                raise LogUnusable(f"{LOG}: {event}: {key}: write text of one line up to 300 characters, a number, truth or nothing")


def _is_fact(item: object) -> bool:
    if isinstance(item, float):
        return isfinite(item)
    return item is None or isinstance(item, bool | int) or (isinstance(item, str) and len(item) <= 300 and item.isprintable())


def _lock(handle: int, path: Path) -> None:
    until = time.monotonic() + WAIT_S
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until:
                msg = f"{path}: another process has held it for {WAIT_S:.0f} s; end that one, then do this again"
                raise LogUnusable(msg) from None
            time.sleep(0.02)
        else:
            return


def _open_anchor(anchor: Path, directory: Path) -> int:
    if anchor.absolute().parent.resolve() == directory.resolve():
        msg = f"{anchor}: an anchor beside the log shows nothing; keep it on another machine's disk or under another user"
        raise LogUnusable(msg)
    return os.open(anchor, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)


def _sync(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _stamp(now: datetime) -> str:
    return now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
