"""The key of rosters, kept apart from the index it makes: who has only the index can try no name against it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from audit.keys import key_file

ROSTER: Final = "roster.key"
"""Its file in `audit.keys.audit_dir`."""


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
    return key_file(directory, name, "restore it or name it with --key, or build the roster again with a new one", make=make)
