"""How the audit keeps what grows with the number of runs: tables in SQLite, of its own or of the scan, and ids in them as bytes."""

from __future__ import annotations

import sqlite3


def temporary() -> sqlite3.Connection:
    """A database in an unnamed temporary file, gone when it is closed; one transaction, since nobody else reads it."""
    db = sqlite3.connect("", isolation_level=None)
    db.execute("PRAGMA cache_size = -8192")
    db.execute("PRAGMA journal_mode = OFF")
    db.execute("PRAGMA temp_store = FILE")  # sorting must not take memory either
    db.execute("BEGIN")
    return db


def id_bytes(value: object) -> bytes:
    """An id as it is kept. It may hold what SQLite's text cannot, and bytes sort as Python sorts the text."""
    return str(value).encode("utf-8", "surrogatepass")


def id_text(held: bytes) -> str:
    """An id as it was read."""
    return held.decode("utf-8", "surrogatepass")
