"""The directories for what lives while we run (sockets, the switch) and for what outlives us (the outbox): ours alone, or not used."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping
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
    advice = "remove it, or set PHI_GUARD_RUNTIME_DIR to a directory of your own with mode 0700"
    return _own(given.absolute() if given else _chosen(), "runtime directory", advice)


def state_dir(given: Path) -> Path:
    """The state directory, made with mode 0700 if it is not there yet, under the same conditions.

    Raises:
        RuntimeDirectoryError: it cannot be made, is no directory, belongs to another user, or others may enter it.
    """
    return _own(given, "state directory", "set PHI_GUARD_STATE_DIR to a directory of your own with mode 0700, on a disk that stays")


def where_state_is(runtime: Path, environ: Mapping[str, str]) -> Path:
    """Where the state directory is; nothing is made or checked.

    ``PHI_GUARD_STATE_DIR``; else, where the runtime directory is not the one of a login, the runtime directory itself; else ``phi-guard``
    in ``XDG_STATE_HOME`` or in ``~/.local/state``. A user without a home has it in the runtime directory.
    """
    if own := environ.get("PHI_GUARD_STATE_DIR"):
        return Path(own).absolute()
    if runtime != _of_login():
        return runtime
    if (chosen := Path(environ.get("XDG_STATE_HOME") or "none")).is_absolute():
        return chosen / "phi-guard"
    home = Path(environ.get("HOME") or os.path.expanduser("~"))  # noqa: PTH111  # Path.home() raises where there is none
    return home / ".local" / "state" / "phi-guard" if home.is_absolute() else runtime


def keep_private(directory: Path, names: Iterable[str]) -> list[str]:
    """See that files of ours are ours alone, mode 0600.

    Args:
        directory: where they are.
        names: those that may be there.

    Returns:
        The names of those that others could read or write until now.

    Raises:
        RuntimeDirectoryError: one of them is a link, or belongs to another user.
    """
    open_to_others = []
    for name in names:
        path = directory / name
        try:
            found = path.lstat()
        except FileNotFoundError:
            continue
        if stat.S_ISLNK(found.st_mode) or found.st_uid != os.geteuid():
            msg = f"{path}: is a link, or belongs to another user: remove it, and look at who could put it there"
            raise RuntimeDirectoryError(msg)
        if found.st_mode & 0o077:
            open_to_others.append(name)
        if stat.S_IMODE(found.st_mode) != 0o600:
            path.chmod(0o600)
    return open_to_others


def _own(path: Path, what: str, advice: str) -> Path:
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = path.lstat()
    except OSError as exc:
        msg = f"{path}: cannot make the {what} ({exc.strerror}); {advice}"
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
    return _of_login()


def _of_login() -> Path:
    # A login that has ended leaves the variable behind without its directory
    if (login := Path(os.environ.get("XDG_RUNTIME_DIR") or "none")).is_absolute() and login.is_dir():
        return login / "phi-guard"
    return Path(f"/tmp/phi-guard-{os.geteuid()}")  # noqa: S108 - trusted only after the checks of owner, kind and mode
