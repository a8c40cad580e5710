"""What workers say they act on: one line of JSON each; for a switch that is a file, in files beside it."""

from __future__ import annotations

import json
import os
import re
import secrets
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from phi_guard.switch_state import GONE_S, SwitchError, SwitchState, Worker, moment

SCHEMA: Final = "phi-guard.worker/1"

_SIZE_MAX: Final = 1024
_ID: Final = re.compile(r"[0-9a-f]{32}")
_WORD: Final = re.compile(r"[a-z0-9_-]{0,64}")


def encode_worker(worker: Worker, state: SwitchState) -> bytes:
    """What a worker says of itself and the state it acts on."""
    row = {"schema": SCHEMA, "label": worker.label, "policy": worker.policy, "pending": worker.pending}
    row |= {"quarantined": worker.quarantined, "quiet": worker.quiet, "on": state.on, "seen": state.at}
    return json.dumps(row).encode()


def parse_worker(worker_id: str, content: bytes, age_s: float) -> Worker | None:
    """Who says so; None for what none of ours would say, which then has acknowledged nothing."""
    try:
        row = json.loads(content.decode()) if len(content) <= _SIZE_MAX else None
    except (ValueError, RecursionError):
        return None
    if not isinstance(row, dict) or row.get("schema") != SCHEMA or not _ID.fullmatch(worker_id):
        return None
    label, policy, seen = (row.get(name) for name in ("label", "policy", "seen"))
    pending, quarantined = (row.get(name) for name in ("pending", "quarantined"))
    quiet, on = (row.get(name) for name in ("quiet", "on"))
    if not (isinstance(quiet, bool) and isinstance(on, bool) and isinstance(seen, str) and (not seen or moment(seen) is not None)):
        return None
    if not (isinstance(label, str) and isinstance(policy, str) and _WORD.fullmatch(label) and _WORD.fullmatch(policy)):
        return None
    if not (type(pending) is int and type(quarantined) is int and min(pending, quarantined) >= 0):
        return None
    return Worker(worker_id, label, policy, pending, quarantined, quiet, on, seen, max(0.0, age_s))


class AckFiles:
    """A directory of workers' words, one file each, ours alone.

    Args:
        directory: made at the first word.
    """

    __slots__ = ("_directory",)

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def write(self, worker: Worker, state: SwitchState) -> bool:
        """Keep what a worker says; whether that could be done."""
        if not _ID.fullmatch(worker.id):
            return False
        draft = self._directory / f".{worker.id}.{secrets.token_hex(4)}"
        try:
            self._directory.mkdir(mode=0o700, exist_ok=True)
            handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            with os.fdopen(handle, "wb") as file:
                file.write(encode_worker(worker, state))
            draft.replace(self._directory / worker.id)
        except (OSError, ValueError):
            with suppress(OSError):
                draft.unlink(missing_ok=True)
            return False
        return True

    def remove(self, worker_id: str) -> None:
        """Forget a worker."""
        if _ID.fullmatch(worker_id):
            with suppress(OSError, ValueError):
                (self._directory / worker_id).unlink(missing_ok=True)

    def read(self) -> tuple[Worker, ...]:
        """All that are kept, in the order of their ids; those long unheard are forgotten.

        Raises:
            SwitchError: the directory cannot be read.
        """
        try:
            names = sorted(name for name in os.listdir(self._directory) if _ID.fullmatch(name))  # noqa: PTH208
        except FileNotFoundError:
            return ()
        except (OSError, ValueError) as fault:
            why = getattr(fault, "strerror", None) or "no such path"
            raise SwitchError(f"{self._directory}: cannot be read ({why}); check its owner and mode") from None
        found = [self._read(name) for name in names]
        return tuple(worker for worker in found if worker is not None)

    def _read(self, name: str) -> Worker | None:
        try:
            handle = os.open(self._directory / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            stat = os.fstat(handle)
            content = os.read(handle, _SIZE_MAX + 1) if stat.st_uid == os.geteuid() else b""
        except OSError:
            return None
        finally:
            os.close(handle)
        age_s = time.time() - stat.st_mtime
        if age_s > GONE_S:
            self.remove(name)
            return None
        return parse_worker(name, content, age_s)
