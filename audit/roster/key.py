"""The key of rosters, kept apart from the index it makes: who has only the index can try no name against it."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Final

from audit.keys import KeyFileError
from phi_guard.runtime import keep_private

ROSTER: Final = "roster.key"
"""Its file in `audit.keys.audit_dir`."""
BYTES: Final = 32


def roster_key(directory: Path, name: str = ROSTER, *, make: bool = True) -> bytes:
    """The key of the rosters, 32 bytes.

    Args:
        directory: where it is, such as `audit.keys.audit_dir`.
        name: of its file.
        make: whether a key that is not there yet is made, with mode 0600; a roster that is only read never makes one.

    Raises:
        KeyFileError: it cannot be read or made, or is none.
        RuntimeDirectoryError: it is a link or belongs to another user.
    """
    path = directory / name
    if make:
        _make(path)
    keep_private(directory, [name])
    try:
        key = path.read_bytes()
    except OSError as fault:
        msg = f"{path}: cannot be read ({fault.strerror}); restore it or name it with --key, or build the roster again with a new one"
        raise KeyFileError(msg) from None
    if len(key) != BYTES:
        msg = f"{path}: is no key of {BYTES} bytes; restore it, or remove it and build the roster again"
        raise KeyFileError(msg)
    return key


def _make(path: Path) -> None:
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        return
    except OSError as fault:
        msg = f"{path}: cannot be made ({fault.strerror}); check the directory, its owner and the space left"
        raise KeyFileError(msg) from None
    with os.fdopen(handle, "wb") as file:
        file.write(secrets.token_bytes(BYTES))
