"""Writing a file whole or not at all: a reader never meets half of it, and no cut of power leaves one."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path

from phi_guard.errors import PhiGuardError


class FileNotWritten(PhiGuardError):
    """A file cannot be written; the message names it, the reason, and what to do."""


def write_whole(path: Path, content: bytes) -> None:
    """Put content in a file's place, mode 0600.

    Raises:
        FileNotWritten: it cannot be written; what stood there stands there still.
    """
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(handle)
        draft.replace(path)
        directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
    except OSError as fault:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
        msg = f"{path}: cannot be written ({fault.strerror}); check the directory, its owner and the space left"
        raise FileNotWritten(msg) from None
