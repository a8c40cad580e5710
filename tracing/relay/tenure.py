"""One relay per runtime directory: who holds it, under which settings, and how newer settings take over."""

from __future__ import annotations

import fcntl
import hashlib
import os
import signal
import time
from contextlib import contextmanager, suppress
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from phi_guard.errors import PhiGuardError
from phi_guard.policy import shipped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tracing.settings import Settings

_LOCK: Final = "relay.lock"
_STATE_LOCK: Final = "outbox.lock"
_LOOK_S: Final = 0.05


class TenureRefused(PhiGuardError):
    """A relay under other settings holds the directory and does not let go."""


class _Holder(msgspec.Struct, frozen=True):
    """What the lock file says of the relay that holds it; a mark cannot be traced back to a key, since the salt is as long as one.

    Args:
        pid: its process.
        salt: of both marks.
        mark: of all that decides what it does.
        keyless: of all that but its key; empty where it has none.
    """

    pid: int
    salt: str
    mark: str
    keyless: str = ""

    def serves(self, settings: Settings) -> bool:
        """Whether it does what a relay of ours would: that has the same key, or none, and could not send in its place."""
        key = _key()
        return self.mark == _mark(settings, self.salt, key) or (not key and self.keyless == _mark(settings, self.salt, ""))


@contextmanager
def holding(settings: Settings, patience_s: float) -> Iterator[Callable[[], bool] | None]:
    """Hold a runtime directory.

    A relay that holds it already under the same settings keeps it, also against one that has no API key and could not send. One under
    others (another policy, project, key or version) is told to stop, because ours are the newer ones: a tightened policy must not wait
    for the old relay to be found and ended by hand.

    Args:
        settings: ours.
        patience_s: how long the other may take to stop.

    Yields:
        What tells whether we hold it still: a directory of a login goes with the login, and a relay in one that is gone cannot be
        reached. None where a relay like ours holds it.

    Raises:
        TenureRefused: the other did not stop in time, or a relay of another runtime directory holds the state directory.
        OSError: a lock file cannot be made.
    """
    with _opened(settings.runtime / _LOCK) as handle:
        ours = _take(handle, settings, patience_s)
        if not ours:
            yield None
            return
        with _opened(settings.state / _STATE_LOCK) as other:
            if not _locked(other):
                raise TenureRefused(f"{settings.state}: the relay of another runtime directory keeps its outbox there: choose another")
            yield partial(_still_there, settings.runtime / _LOCK, handle)


def _still_there(path: Path, handle: int) -> bool:
    try:
        return path.lstat().st_ino == os.fstat(handle).st_ino
    except OSError:
        return False


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        yield handle
    finally:
        os.close(handle)


def _take(handle: int, settings: Settings, patience_s: float) -> bool:
    end, told = time.monotonic() + patience_s, 0
    while not _locked(handle):
        holder = _read(handle)
        if holder is not None and holder.serves(settings):
            return False
        if holder is not None and holder.pid != told:
            with suppress(ProcessLookupError):
                os.kill(holder.pid, signal.SIGTERM)
            told = holder.pid
        if time.monotonic() > end:
            raise TenureRefused(f"{settings.runtime}: a relay under other settings (process {told}) does not stop: end it")
        time.sleep(_LOOK_S)
    salt, key = os.urandom(32).hex(), _key()
    ours = _Holder(os.getpid(), salt, _mark(settings, salt, key), _mark(settings, salt, "") if key else "")
    os.ftruncate(handle, 0)
    os.pwrite(handle, msgspec.json.encode(ours), 0)
    return True


def _locked(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _read(handle: int) -> _Holder | None:
    """The holder; None while it is still writing down who it is."""
    try:
        holder = msgspec.json.decode(os.pread(handle, 4096, 0), type=_Holder)
    except msgspec.MsgspecError:
        return None
    return holder if holder.pid > 1 else None


def _key() -> str:
    return os.environ.get("LANGSMITH_API_KEY", "")


def _mark(settings: Settings, salt: str, key: str) -> str:
    """Fingerprint of all that decides what a relay does: settings, contents of its files, key, version."""
    mark = hashlib.blake2b(key=salt.encode()[:64], digest_size=16)
    files = [Path(settings.policy or shipped("clinic.yaml")), Path(settings.pricing or shipped("pricing.yaml"))]
    facts = [settings.env, settings.project, settings.endpoint, key, _version()]
    facts += [str(fact) for fact in (settings.switch, settings.state, settings.outbox_max_bytes, settings.outbox_ttl_s, settings.sampling)]
    for fact in [*(_content(file) for file in files), *(fact.encode() for fact in facts)]:
        mark.update(len(fact).to_bytes(8) + fact)
    return mark.hexdigest()


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError:
        return b""


def _version() -> str:
    try:
        return metadata.version("phi-guard-toolkit")
    except metadata.PackageNotFoundError:
        return ""
