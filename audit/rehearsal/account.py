"""The relay's account and log of a rehearsal, kept for the scan that follows it."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from audit.crosscheck import OUTBOX
from phi_guard.errors import PhiGuardError
from tracing.settings import Settings


class RehearsalError(PhiGuardError):
    """The rehearsal could not be held; the message says why and what to do."""


def keep_account(settings: Settings, where: Path) -> None:
    """Copy the account of a relay that has stopped, and its log: for the owner alone, as they were.

    Raises:
        RehearsalError: they cannot be copied.
    """
    account, log = settings.state / OUTBOX, settings.runtime / "relay.log"
    try:
        where.mkdir(mode=0o700, parents=True, exist_ok=True)
        if log.is_file():
            _private(where / log.name)
            shutil.copyfile(log, where / log.name)
        if account.is_file():
            _private(where / OUTBOX)
            with closing(sqlite3.connect(account)) as held, closing(sqlite3.connect(where / OUTBOX)) as copy:
                held.backup(copy)
                copy.execute("PRAGMA journal_mode = DELETE")  # one file, which can be read from anywhere
    except (OSError, sqlite3.Error) as fault:
        msg = f"{where}: the relay's account cannot be kept there ({type(fault).__name__}); name a directory of your own with room"
        raise RehearsalError(msg) from None


def _private(path: Path) -> None:
    """An empty file that nobody else may read."""
    path.unlink(missing_ok=True)
    path.touch(mode=0o600, exist_ok=False)
