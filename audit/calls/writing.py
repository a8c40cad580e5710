"""Writing: parts into the index, and with them, in the same transaction, the calls they belong to anew."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from audit.calls.reading import Part, microseconds
from audit.calls.summary import summarise
from audit.calls.weighing import weight_of

READ: Final = msgspec.json.Decoder(Part)
"""Reads a part as it is kept."""
WRITE: Final = msgspec.json.Encoder(order="sorted")
"""Writes what is kept: the same, the same bytes."""
_PUT: Final = (
    "INSERT INTO parts VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET rank = excluded.rank, body = excluded.body"
    " WHERE (excluded.rank, excluded.body) > (rank, body)"
)


def packed(identity: str) -> bytes:
    """An id as it is kept, 16 bytes. Raises ValueError where it is none."""
    return bytes.fromhex(identity.replace("-", ""))


def write(db: sqlite3.Connection, parts: Mapping[tuple[bytes, bytes], tuple[bytes, bytes]]) -> None:
    """Write parts, by trace and id, each its rank and its body, where they say more than what is there; in one transaction."""
    db.execute("BEGIN IMMEDIATE")
    try:
        db.executemany(_PUT, ((*key, *version) for key, version in parts.items()))
        for trace in sorted({trace for trace, _ in parts}):
            _summarise(db, trace)
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:  # a full disk has rolled it back already
            db.execute("ROLLBACK")
        raise


def forget(db: sqlite3.Connection, traces: Sequence[str]) -> None:
    """Delete all that is held of traces, in one transaction."""
    db.execute("BEGIN IMMEDIATE")
    try:
        for trace in traces:
            db.execute("DELETE FROM parts WHERE trace = ?", (packed(trace),))
            for table in ("calls", "bodies", "turns", "tools", "tallies", "strays"):
                db.execute(f"DELETE FROM {table} WHERE trace = ?", (trace,))  # noqa: S608  # closed names
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def _summarise(db: sqlite3.Connection, trace_bytes: bytes) -> None:
    """Write a call and what is asked of its turns and tools anew."""
    parts = [READ.decode(body) for (body,) in db.execute("SELECT body FROM parts WHERE trace = ?", (trace_bytes,))]
    detail = summarise(parts)
    trace = parts[0].trace
    for table in ("turns", "tools", "tallies", "strays"):
        db.execute(f"DELETE FROM {table} WHERE trace = ?", (trace,))  # noqa: S608
    if detail is None:  # no call, or none yet: by this row it can be found again, to be forgotten
        project = next((part.project for part in parts if part.project), "")
        start = min((part.start for part in parts if part.start is not None), default=None)
        db.execute("INSERT INTO strays VALUES (?, ?, ?)", (trace, project, start))
        return
    call = detail.call
    began, end, length = microseconds(call.start) or 0, microseconds(call.end), call.duration_s
    place, weight = (trace, call.project, call.env), weight_of(call.sampling_rate)
    row = (
        *place, began, end, -1.0 if length is None else length, -1.0 if call.ttft_p95_ms is None else call.ttft_p95_ms,
        -1.0 if call.ttft_max_ms is None else call.ttft_max_ms, call.cost_usd, call.cost_unknown or call.cost_usd is None, call.errors,
        call.failed, call.tool_errors, call.offered or 0, call.dropped or 0, weight, call.sampling_rate is not None,
    )  # fmt: skip
    db.execute(f"INSERT OR REPLACE INTO calls VALUES ({', '.join('?' * len(row))})", row)  # noqa: S608
    db.execute("INSERT OR REPLACE INTO bodies VALUES (?, ?)", (trace, WRITE.encode(call)))
    db.executemany(
        "INSERT INTO turns VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (*place, began, microseconds(turn.start) or began, microseconds(turn.end), turn.ttft_ms, bool(turn.error), weight)
            for turn in detail.turns
            if turn.speaker == "agent"
        ],
    )
    db.executemany(
        "INSERT INTO tools VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (*place, began, microseconds(use.start) or began, microseconds(use.end), use.duration_ms, use.tool, use.failed, weight)
            for use in detail.tools
        ],
    )
    tallies = [("error", name, n) for name, n in Counter(part.error for part in parts if part.error).items()]
    tallies += [("redaction", name, n) for name, n in call.redactions.items()]
    db.executemany("INSERT INTO tallies VALUES (?, ?, ?, ?, ?, ?, ?)", [(*place, began, *tally) for tally in tallies])
