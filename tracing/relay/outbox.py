"""The outbox: what was cleared and is not yet delivered, on disk, in SQLite. Raw records never reach it."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from phi_guard.errors import PhiGuardError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from phi_guard.model import Cleared

PENDING: Final = "pending"
DELIVERED: Final = "delivered"
DROPPED: Final = "dropped"

_VERSION: Final = 2
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS ops (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    span TEXT NOT NULL, op TEXT NOT NULL, call TEXT NOT NULL,
    kind TEXT NOT NULL, name TEXT NOT NULL, body BLOB, policy TEXT NOT NULL, seal BLOB,
    state TEXT NOT NULL, reason TEXT NOT NULL DEFAULT '', withheld TEXT NOT NULL DEFAULT '', stored_ns INTEGER NOT NULL,
    sender TEXT NOT NULL,
    UNIQUE (span, op)
);
CREATE INDEX IF NOT EXISTS ops_state ON ops (state, seq);
CREATE INDEX IF NOT EXISTS ops_call ON ops (call);
CREATE INDEX IF NOT EXISTS ops_sender ON ops (sender);
CREATE TABLE IF NOT EXISTS senders (
    sender TEXT PRIMARY KEY, offered INTEGER NOT NULL, dropped TEXT NOT NULL, heard_ns INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS calls (
    call TEXT PRIMARY KEY, sender TEXT NOT NULL, start_ns INTEGER NOT NULL, closed INTEGER NOT NULL DEFAULT 0,
    cost TEXT NOT NULL DEFAULT '0', cost_unknown INTEGER NOT NULL DEFAULT 0, opening BLOB, consent BLOB
);
CREATE TABLE IF NOT EXISTS redactions (call TEXT NOT NULL, field TEXT NOT NULL, n INTEGER NOT NULL, PRIMARY KEY (call, field));
"""


class OutboxUnusable(PhiGuardError):
    """The outbox file cannot be read: it is damaged, or another version's."""


@dataclass(frozen=True, slots=True)
class Row:
    """One operation as it is stored: cleared bytes and the seal by which the gate knows them."""

    seq: int
    span: str
    kind: str
    name: str
    body: bytes
    policy: str
    seal: bytes


@dataclass(frozen=True, slots=True)
class Sender:
    """A recorder as the outbox knows it.

    Args:
        offered: operations it says it was offered.
        arrived: those of them that were stored, whatever became of them.
        dropped: those it says it dropped, by reason.
        silent_s: seconds since it was heard, or since this outbox was opened if that is less.
    """

    sender: str
    offered: int
    arrived: int
    dropped: dict[str, int]
    silent_s: float


class Outbox:
    """One SQLite file in WAL mode. Each thread opens its own.

    Args:
        path: the file; created readable by its owner alone.

    Raises:
        OutboxUnusable: the file is damaged, or of another version of ours.
    """

    def __init__(self, path: Path) -> None:
        self._opened_ns = time.time_ns()
        self._from = ""
        path.touch(mode=0o600, exist_ok=True)
        self._db = sqlite3.connect(path, isolation_level=None, timeout=10.0)
        try:
            self._prepare()
        except sqlite3.DatabaseError as fault:
            self._db.close()
            if fault.sqlite_errorname in {"SQLITE_NOTADB", "SQLITE_CORRUPT"}:
                raise OutboxUnusable(f"{path}: {fault.sqlite_errorname}") from None
            raise
        except OutboxUnusable:
            self._db.close()
            raise

    def _prepare(self) -> None:
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")  # a killed process loses nothing; a power cut may lose the last moments
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        (tables,) = self._db.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if tables and version != _VERSION:
            raise OutboxUnusable(f"the outbox is of version {version}, not {_VERSION}")
        self._db.executescript(f"{_SCHEMA}PRAGMA user_version = {_VERSION};")

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """One transaction: all of it is stored, or nothing."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    # -- operations ----------------------------------------------------------------------------------------------------------------

    def holds(self, span: str, op: str) -> bool:
        """Whether this operation was stored before, whatever became of it.

        Where another sender stored it, the relay itself for an agent it took for dead, this one is counted as dropped: else the law of the
        ledger would wait for it for ever. A span's id is random, so that no two agents meet here.
        """
        row = self._db.execute("SELECT sender, call FROM ops WHERE span = ? AND op = ?", (span, op)).fetchone()
        if row is not None and row[0] != self._from:
            self.store_dropped(f"{self._from}.{span}", op, row[1], "already_ended")
        return row is not None

    def store(self, span: str, op: str, call: str, cleared: Cleared, withheld: str = "") -> None:
        """Keep cleared bytes until they are delivered.

        Args:
            span: span id.
            op: ``create`` or ``update``.
            call: trace id.
            cleared: what may leave.
            withheld: why the content was withheld, when ``cleared`` is a skeleton.
        """
        self._store(span, op, call, cleared.kind, cleared.name, cleared.body, cleared.policy, cleared.seal, PENDING, "", withheld)

    def root_dropped(self, call: str) -> str:
        """Why the root of a call was dropped, empty where it was not: without it the call's other spans hang in the air."""
        row = self._db.execute("SELECT reason FROM ops WHERE span = ? AND op = 'create' AND state = ?", (call, DROPPED)).fetchone()
        return str(row[0]) if row else ""

    def store_dropped(self, span: str, op: str, call: str, reason: str) -> None:
        """Count an operation that will not be sent; nothing of it is kept."""
        self._store(span, op, call, "", "", None, "", None, DROPPED, reason, "")

    def _store(self, *facts: str | bytes | None) -> None:
        self._db.execute(
            "INSERT OR IGNORE INTO ops (span, op, call, kind, name, body, policy, seal, state, reason, withheld, stored_ns, sender)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (*facts, time.time_ns(), self._from),
        )

    def pending(self, limit: int) -> list[Row]:
        """The oldest operations not yet delivered, in the order they were stored."""
        rows = self._db.execute(
            "SELECT seq, span, kind, name, body, policy, seal FROM ops WHERE state = ? ORDER BY seq LIMIT ?", (PENDING, limit)
        )
        return [Row(*row) for row in rows]

    def settle(self, seqs: Iterable[int], state: str, reason: str = "") -> None:
        """Mark operations as delivered or dropped, and let go of their bytes."""
        with self.writing():
            self._db.executemany(
                "UPDATE ops SET state = ?, reason = ?, body = NULL, seal = NULL WHERE seq = ?", [(state, reason, seq) for seq in seqs]
            )

    def counts(self, call: str | None = None) -> list[tuple[str, str, str, int]]:
        """``(state, reason, withheld, n)`` over all operations, or over one call's."""
        where, args = ("WHERE call = ?", (call,)) if call else ("", ())
        return self._db.execute(f"SELECT state, reason, withheld, count(*) FROM ops {where} GROUP BY 1, 2, 3", args).fetchall()  # noqa: S608  # closed text

    # -- senders -------------------------------------------------------------------------------------------------------------------

    def heard(self, sender: str, offered: int, dropped: Mapping[str, int]) -> None:
        """What a recorder says of itself; its counts only grow. What is stored from now on, until another is heard, is its."""
        self._from = sender
        self._db.execute(
            "INSERT INTO senders (sender, offered, dropped, heard_ns) VALUES (?, ?, ?, ?) ON CONFLICT (sender) DO UPDATE SET"
            " dropped = CASE WHEN excluded.offered >= offered THEN excluded.dropped ELSE dropped END,"
            " offered = max(offered, excluded.offered), heard_ns = excluded.heard_ns",
            (sender, offered, msgspec.json.encode(dropped).decode(), time.time_ns()),
        )

    def offer_here(self, sender: str, n: int) -> None:
        """Count operations the relay itself makes; what is stored from now on, until another is heard, is its."""
        self._from = sender
        self._db.execute(
            "INSERT INTO senders (sender, offered, dropped, heard_ns) VALUES (?, ?, '{}', ?)"
            " ON CONFLICT (sender) DO UPDATE SET offered = offered + excluded.offered",
            (sender, n, time.time_ns()),
        )

    def senders(self) -> list[Sender]:
        """All recorders ever heard."""
        now = time.time_ns()
        rows = self._db.execute(
            "SELECT sender, offered, (SELECT count(*) FROM ops WHERE ops.sender = senders.sender), dropped, heard_ns FROM senders"
        ).fetchall()
        return [
            Sender(sender, offered, arrived, msgspec.json.decode(dropped), (now - max(heard_ns, self._opened_ns)) / 1e9)
            for sender, offered, arrived, dropped, heard_ns in rows
        ]

    # -- calls ---------------------------------------------------------------------------------------------------------------------

    def open_call(self, call: str, sender: str, start_ns: int, opening: bytes) -> None:
        """Remember a call that began, so that it can be ended for an agent that dies."""
        self._db.execute(
            "INSERT OR IGNORE INTO calls (call, sender, start_ns, opening) VALUES (?, ?, ?, ?)", (call, sender, start_ns, opening)
        )

    def note_consent(self, call: str, consent: bytes) -> None:
        """Remember the guardrail's opening record, which its end repeats."""
        self._db.execute("UPDATE calls SET consent = ? WHERE call = ?", (consent, call))

    def close_call(self, call: str) -> None:
        """The call's end was recorded."""
        self._db.execute("UPDATE calls SET closed = 1, opening = NULL, consent = NULL WHERE call = ?", (call,))

    def open_calls(self) -> list[tuple[str, str, bytes, bytes | None]]:
        """``(call, sender, opening record, consent record)`` of calls without an end."""
        return self._db.execute("SELECT call, sender, opening, consent FROM calls WHERE closed = 0 AND opening IS NOT NULL").fetchall()

    def add_cost(self, call: str, usd: str | None) -> None:
        """Add a turn's cost, or note that a price was unknown."""
        if usd is None:
            self._db.execute("UPDATE calls SET cost_unknown = 1 WHERE call = ?", (call,))
        else:
            row = self._db.execute("SELECT cost FROM calls WHERE call = ?", (call,)).fetchone()
            if row is not None:
                self._db.execute("UPDATE calls SET cost = ? WHERE call = ?", (str(Decimal(row[0]) + Decimal(usd)), call))

    def cost(self, call: str) -> tuple[float, bool]:
        """``(USD so far, whether some price was unknown)`` of a call."""
        row = self._db.execute("SELECT cost, cost_unknown FROM calls WHERE call = ?", (call,)).fetchone()
        return (float(row[0]), bool(row[1])) if row else (0.0, False)

    def add_redactions(self, call: str, fields: Mapping[str, int]) -> None:
        """Count what the policy did in a call, by field."""
        self._db.executemany(
            "INSERT INTO redactions VALUES (?, ?, ?) ON CONFLICT (call, field) DO UPDATE SET n = n + excluded.n",
            [(call, field, n) for field, n in fields.items()],
        )

    def redactions(self, call: str) -> dict[str, int]:
        """By policy field, how often it was redacted, dropped, cut or found not to fit."""
        return dict(self._db.execute("SELECT field, n FROM redactions WHERE call = ? ORDER BY field", (call,)).fetchall())
