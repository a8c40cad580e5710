"""The counts of a window, as the alerts and the pages are judged by them: in SQL, and weighed where calls were drawn."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from math import ceil
from typing import Final

from audit.calls.answers import WORST, Choice, Rates
from audit.calls.choosing import of_calls
from audit.calls.reading import microseconds
from audit.calls.weighing import Drawn

LAST_DRAWN: Final = timedelta(days=7)
"""How far before a window the last call that was drawn may have ended, for its chance to be one that may have been in force in it. Calls
are drawn from a hundred a day on, so that with a chance of one in a hundred some came in that time, but for once in a thousand."""
_SLOWEST: Final = 200
"""Slowest turns that the slowest calls are sought among."""


def is_drawn(db: sqlite3.Connection) -> bool:
    """Whether any call of the index stands for more than itself."""
    return db.execute("SELECT 1 FROM calls WHERE weight > 1 LIMIT 1").fetchone() is not None


def count(db: sqlite3.Connection, since: datetime, until: datetime, choice: Choice) -> Rates:
    """The counts of the window from ``since`` on and before ``until``; of the choice only project and env are looked at."""
    where, values = of_calls(Choice(project=choice.project, env=choice.env))
    ended = f"end >= ? AND end < ? AND {where}"
    window = (microseconds(since), microseconds(until), *values)
    ask = db.execute
    calls, failed, offered, dropped = ask(
        f"SELECT count(*), total(failed), total(offered), total(dropped) FROM calls c WHERE {ended}",  # noqa: S608  # closed text
        window,
    ).fetchone()
    (n,) = ask(f"SELECT count(*) FROM turns c WHERE {ended} AND ttft IS NOT NULL", window).fetchone()  # noqa: S608
    above = n - ceil(0.95 * n)  # values that nearest rank leaves above the percentile
    slow = ask(
        f"SELECT ttft, trace FROM turns c WHERE {ended} AND ttft IS NOT NULL ORDER BY ttft DESC, trace LIMIT ?",  # noqa: S608
        (*window, max(_SLOWEST, above + 1)),
    ).fetchall()
    by_tool = {
        tool: (n, bad)
        for tool, n, bad in ask(f"SELECT tool, count(*), sum(failed) FROM tools c WHERE {ended} GROUP BY tool", window)  # noqa: S608
    }
    started, cost, unpriced = ask(
        f"SELECT count(*), total(cost), total(unpriced) FROM calls c WHERE start >= ? AND start < ? AND {where}",  # noqa: S608
        window,
    ).fetchone()
    broken = ask(f"SELECT trace FROM calls c WHERE {ended} AND failed ORDER BY end DESC, trace LIMIT ?", (*window, WORST))  # noqa: S608
    worst = {"error_rate": tuple(trace for (trace,) in broken)}
    mishaps = ask(
        f"SELECT trace FROM tools c WHERE {ended} AND failed GROUP BY trace ORDER BY count(*) DESC, trace LIMIT ?",  # noqa: S608
        (*window, WORST),
    )
    worst["tool_failure"] = tuple(trace for (trace,) in mishaps)
    losing = ask(f"SELECT trace FROM calls c WHERE {ended} AND dropped ORDER BY dropped DESC, trace LIMIT ?", (*window, WORST))  # noqa: S608
    worst["span_drop"] = tuple(trace for (trace,) in losing)
    worst["ttft_p95"] = tuple(dict.fromkeys(trace for _, trace in slow))[:WORST]
    found = Rates(
        calls=calls,
        failed=int(failed),
        turns=n,
        ttft_p95_ms=slow[above][0] if n else None,
        tool_uses=sum(n for n, _ in by_tool.values()),
        tool_failures=sum(bad for _, bad in by_tool.values()),
        offered=int(offered),
        dropped=int(dropped),
        started=started,
        cost_usd=round(cost, 6),
        cost_unknown=int(unpriced),
        by_tool=by_tool,
        worst=worst,
    )
    return _weighed(db, found, window, where) if is_drawn(db) else found


def _weighed(db: sqlite3.Connection, found: Rates, window: tuple[object, ...], where: str) -> Rates:
    """The same with what the calls that were drawn stand for; as it is where none of the window was, or may have been."""
    ask = db.execute
    ended = f"end >= ? AND end < ? AND {where}"
    last = _last_rate(db, window, where)
    drawn = _parts(ask(f"SELECT weight, count(*), total(failed) FROM calls c WHERE {ended} AND weight > 1 GROUP BY weight", window), last)  # noqa: S608
    uses = _parts(ask(f"SELECT weight, count(*), total(failed) FROM tools c WHERE {ended} AND weight > 1 GROUP BY weight", window), last)  # noqa: S608
    (largest,) = ask(f"SELECT max(n) FROM (SELECT count(*) AS n FROM tools c WHERE {ended} GROUP BY trace)", window).fetchone()  # noqa: S608
    (turns,) = ask(f"SELECT total(weight - 1) FROM turns c WHERE {ended} AND ttft IS NOT NULL AND weight > 1", window).fetchone()  # noqa: S608
    started, cost, unpriced = ask(
        f"SELECT total(weight - 1), total((weight - 1) * cost), total((weight - 1) * unpriced) FROM calls c"  # noqa: S608
        f" WHERE start >= ? AND start < ? AND {where} AND weight > 1",
        window,
    ).fetchone()
    p95 = found.ttft_p95_ms
    if turns:
        rows = ask(f"SELECT ttft, weight FROM turns c WHERE {ended} AND ttft IS NOT NULL ORDER BY ttft DESC", window)  # noqa: S608
        p95 = _upper(rows, 0.05 * (found.turns + turns))
    return replace(
        found, ttft_p95_ms=p95, turns_unsent=turns, started_unsent=started, cost_unsent_usd=round(cost, 6), unknown_unsent=unpriced,
        drawn=drawn, uses_drawn=uses, uses_largest=largest or 1,
    )  # fmt: skip


def _upper(rows: Iterator[tuple[float, float]], above: float) -> float | None:
    """The smallest value that leaves no more than so much weight above it, of values from the largest down."""
    held, found = 0.0, None
    for value, weight in rows:
        if held > above * (1 + 1e-12):
            break
        found, held = value, held + weight
    return found


def _parts(rows: Iterator[tuple[float, int, float]], last: float | None) -> tuple[Drawn, ...]:
    found = [(weight, n, int(bad)) for weight, n, bad in rows]
    if last is not None and all(weight != last for weight, _, _ in found):
        found.append((last, 0, 0))
    return tuple(Drawn(1 / weight, n, bad) for weight, n, bad in sorted(found))


def _last_rate(db: sqlite3.Connection, window: tuple[object, ...], where: str) -> float | None:
    """The weight of the last call before the window that was drawn; None where no root of the window tells a chance, or it is long ago."""
    since, _, *values = window
    told = db.execute(f"SELECT 1 FROM calls c WHERE end >= ? AND end < ? AND {where} AND told LIMIT 1", window).fetchone()  # noqa: S608
    if told is None or not isinstance(since, int):
        return None
    asked = f"SELECT weight FROM calls c WHERE end >= ? AND end < ? AND {where} AND weight > 1 ORDER BY end DESC, trace LIMIT 1"  # noqa: S608
    row = db.execute(asked, (since - LAST_DRAWN // timedelta(microseconds=1), since, *values)).fetchone()
    return None if row is None else float(row[0])
