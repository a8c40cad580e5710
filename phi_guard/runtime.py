"""The directory for what lives while we run (sockets, the switch): ours alone, or not used at all."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from phi_guard.errors import PhiGuardError


class RuntimeDirectoryError(PhiGuardError):
    """The runtime directory cannot be trusted or made; the message names it, the reason, and what to do."""


def runtime_dir(given: Path | None = None) -> Path:
    """The runtime directory, made with mode 0700 if it is not there yet.

    The one given; else ``PHI_GUARD_RUNTIME_DIR``; else ``phi-guard`` in ``XDG_RUNTIME_DIR``, where that names a directory; else
    ``/tmp/phi-guard-<uid>``.

    Raises:
        RuntimeDirectoryError: it cannot be made, is no directory, belongs to another user, or others may enter it.
    """
    path = given.absolute() if given else _chosen()
    advice = "remove it, or set PHI_GUARD_RUNTIME_DIR to a directory of your own with mode 0700"
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = path.lstat()
    except OSError as exc:
        msg = f"{path}: cannot make the runtime directory ({exc.strerror}); {advice}"
        raise RuntimeDirectoryError(msg) from None
    if not stat.S_ISDIR(found.st_mode):
        msg = f"{path}: is not a directory of its own (a link, say); {advice}"
        raise RuntimeDirectoryError(msg)
    if found.st_uid != os.geteuid():
        msg = f"{path}: belongs to user {found.st_uid}, not to us ({os.geteuid()}); {advice}"
        raise RuntimeDirectoryError(msg)
    if found.st_mode & 0o077:
        msg = f"{path}: others may enter it (mode {stat.S_IMODE(found.st_mode):04o}); run chmod 700 on it, or {advice}"
        raise RuntimeDirectoryError(msg)
    return path


def _chosen() -> Path:
    if own := os.environ.get("PHI_GUARD_RUNTIME_DIR"):
        return Path(own).absolute()
    # A login that has ended leaves the variable behind without its directory
    if (login := Path(os.environ.get("XDG_RUNTIME_DIR") or "none")).is_absolute() and login.is_dir():
        return login / "phi-guard"
    return Path(f"/tmp/phi-guard-{os.geteuid()}")  # noqa: S108 - trusted only after the checks of owner, kind and mode
