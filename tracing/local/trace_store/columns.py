"""What the store keeps of a run beside its body, so that a filter or a statistic need not read the body: columns, and marks.

A mark is a tag, or the dotted key and the text of one entry of the metadata. Numbers are no marks: nearly every run has another.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tracing.local.trace_store.entries import entries, plain
from tracing.local.trace_store.usage import usage

if TYPE_CHECKING:
    import sqlite3

    from tracing.local.trace_store.records import Run

SUMS: Final = ("prompt_tokens", "completion_tokens", "total_tokens", "prompt_cost", "completion_cost", "total_cost")
"""The columns that are added up; each of a run's own, without its children's."""

NAMES: Final = (
    "id", "project_no", "trace_id", "parent_id", "started_us", "ended_us", "is_root", "run_type", "has_error", "name", "thread_id",
    "example_id", "latency_us", "first_token_us", "wait_us", *SUMS, "patched", "body",
)  # fmt: skip
"""The columns of a run in the order that `derived` gives them, then the two it does not give."""

NO_ERROR, FAILED, EMPTY_ERROR = 0, 1, 2
"""`has_error`: no error was given; one was; an empty text was, which is no failure but not null either."""

TAG: Final = ""
"""The key of a tag's mark; an entry of the metadata never has it."""

_LONGEST: Final = 100  # characters of a mark; what is longer is found by reading bodies
_LARGEST: Final = 2**40  # a larger count is kept as a float, so that no sum of counts leaves SQLite's integers


def derived(run: Run, project_no: int | None) -> tuple[Any, ...]:
    """The columns of a run, in the order of `NAMES`, without ``patched`` and ``body``."""
    used = usage(run)
    error = run.body.get("error")
    return (
        run.id,
        project_no,
        run.trace_id,
        run.parent_id,
        run.started_us,
        run.ended_us,
        int(run.is_root),
        str(run.body.get("run_type") or "").lower(),
        NO_ERROR if error is None else FAILED if error else EMPTY_ERROR,
        run.body.get("name"),
        _kept(run.thread_id),
        _kept(run.body.get("reference_example_id")),
        None if run.ended_us is None else run.ended_us - run.started_us,
        used.first_token_us,
        None if used.first_token_us is None else used.first_token_us - run.started_us,
        *(_amount(getattr(used, name)) for name in SUMS),
    )


def marks_of(run: Run) -> set[tuple[str, str]]:
    """The marks of a run, each a key and a value."""
    tags = ((TAG, tag) for tag in run.body.get("tags") or ())
    return {(key, value) for key, value in (*tags, *((key, plain(one)) for key, one in entries(run.metadata))) if is_mark(key, value)}


def is_mark(key: str, value: str) -> bool:
    """Whether such an entry would be kept as a mark; what would not must be looked for in the bodies."""
    if len(key) > _LONGEST or len(value) > _LONGEST or _kept(key) is None or _kept(value) is None:
        return False
    try:
        float(value)
    except ValueError:
        return True
    return key == TAG


def mark(db: sqlite3.Connection, run: Run, run_no: int) -> None:
    """Write the marks of a run that has none yet."""
    for key, value in marks_of(run):
        row = db.execute("SELECT number FROM mark_names WHERE key = ? AND value = ?", (key, value)).fetchone()
        mark_no = row[0] if row else db.execute("INSERT INTO mark_names (key, value) VALUES (?, ?)", (key, value)).lastrowid
        db.execute("INSERT INTO marks VALUES (?, ?, ?)", (mark_no, run.started_us, run_no))


def unmark(db: sqlite3.Connection, run: Run, run_no: int) -> None:
    """Remove the marks of a run as it stands in the file, and the names that no other run bears: they are content too."""
    for key, value in marks_of(run):
        row = db.execute("SELECT number FROM mark_names WHERE key = ? AND value = ?", (key, value)).fetchone()
        if row is None:
            continue
        db.execute("DELETE FROM marks WHERE mark_no = ? AND started_us = ? AND run_no = ?", (row[0], run.started_us, run_no))
        if db.execute("SELECT 1 FROM marks WHERE mark_no = ? LIMIT 1", row).fetchone() is None:
            db.execute("DELETE FROM mark_names WHERE number = ?", row)


def _kept(value: object) -> str | None:
    """The text, if it is one that SQLite can hold."""
    if not isinstance(value, str):
        return None
    try:
        value.encode()
    except UnicodeEncodeError:
        return None
    return value


def _amount(value: Any) -> Any:
    if value is None or abs(value) < _LARGEST:
        return value
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")
