"""The audit's own keys, in a directory of ours alone: one for fingerprints, one that signs.

45 CFR 164.514(c): a code must not be derived from the data it stands for. A keyed fingerprint whose key never leaves this directory tells
nothing to who has only the report; it stays the same from one report to the next, so that an accepted finding is known again.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from pathlib import Path
from typing import Final

from phi_guard.errors import PhiGuardError
from phi_guard.runtime import keep_private, runtime_dir, state_dir, where_state_is

FINGERPRINT: Final = "fingerprint.key"
BYTES: Final = 32
"""Of a key."""


class KeyFileError(PhiGuardError):
    """A key cannot be read, made or trusted; the message names the file, the reason, and what to do."""


def audit_dir() -> Path:
    """``PHI_AUDIT_DIR``, else ``audit`` in the state directory; made with mode 0700 if it is not there yet.

    Raises:
        RuntimeDirectoryError: it cannot be made or trusted.
    """
    own = os.environ.get("PHI_AUDIT_DIR")
    return state_dir(Path(own).absolute() if own else where_state_is(runtime_dir(), os.environ) / "audit")


def fingerprint_key(directory: Path) -> bytes:
    """The key of the fingerprints, 32 bytes; made at its first use.

    Raises:
        KeyFileError: it cannot be read or made, or is none.
        RuntimeDirectoryError: it is a link or belongs to another user.
    """
    return key_file(directory, FINGERPRINT, "restore it, or remove it and accept findings anew")


def key_file(directory: Path, name: str, advice: str, *, make: bool = True) -> bytes:
    """A key of 32 random bytes in a file of its own, mode 0600.

    Args:
        directory: where it is.
        name: of its file.
        advice: what to do where it is lost or broken.
        make: whether one that is not there yet is made.

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
        msg = f"{path}: cannot be read ({fault.strerror}); {advice}"
        raise KeyFileError(msg) from None
    if len(key) != BYTES:
        msg = f"{path}: is no key of {BYTES} bytes; {advice}"
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


def key_id(key: bytes) -> str:
    """What names a key without telling it: 16 hexadecimal digits."""
    return hashlib.blake2b(b"phi-audit key id", key=key, digest_size=8).hexdigest()
