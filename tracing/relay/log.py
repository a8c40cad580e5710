"""What the relay says of itself, line by line, on its standard error; a log file of ours stays small."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

NAME: Final = "relay.log"
BYTES_MAX: Final = 5 * 1024 * 1024
"""Beyond that the log becomes ``relay.log.1``, in the place of the one before it."""
_OUT, _ERR = 1, 2


def say(line: str) -> None:
    """Write one line. Never raises: a full disk must not end the relay because it cannot say so."""
    text = f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())} relay[{os.getpid()}] {line}\n"
    with suppress(OSError):
        os.write(_ERR, text.encode(errors="replace"))


def bound(directory: Path, bytes_max: int = BYTES_MAX) -> None:
    """Begin a new log where the one we write to has grown too long; one that is not the directory's own is left alone. Never raises.

    Args:
        directory: where the relay's log lies.
        bytes_max: how long it may get.
    """
    with suppress(OSError):
        path, before = directory / NAME, directory / f"{NAME}.1"
        if _is_ours(path) and os.fstat(_ERR).st_size > bytes_max:
            path.replace(before)
        elif not _is_ours(before):
            return
        new = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            os.dup2(new, _OUT)
            os.dup2(new, _ERR)
        finally:
            os.close(new)


def _is_ours(path: Path) -> bool:
    """Whether it is the file we write to."""
    try:
        there, ours = path.lstat(), os.fstat(_ERR)
    except OSError:
        return False
    return (ours.st_dev, ours.st_ino) == (there.st_dev, there.st_ino)
