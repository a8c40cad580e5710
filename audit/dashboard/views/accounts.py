"""The accounts: what calls say of their own spans, and what the relay says it did with them. Raises nothing for a file."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final
from urllib.parse import quote

from audit.calls.index import CallIndex, Choice
from audit.crosscheck import OUTBOX
from audit.dashboard.views.parts import Panel, State
from audit.manifest import CrossCheck
from audit.report.content import Table
from audit.report.parts import counted, percent

DROP_MAX: Final = 0.01
"""Share of spans that may be dropped: the requirements' section 7."""
CALLS_MAX: Final = 10_000
"""Calls that are counted up for one page; of more the newest are."""
_PAGE: Final = 1_000


def ledger(index: CallIndex, choice: Choice) -> Panel:
    """Offered = delivered + withheld + dropped + the rest, over the calls that reported it at their end."""
    title = "Ledger of the calls"
    told = silent = wrong = offered = delivered = withheld = dropped = seen = 0
    after = ""
    while True:
        page = index.page(choice, after=after, limit=_PAGE)
        for call in page.calls:
            seen += 1
            if call.offered is None:
                silent += call.end is not None
                continue
            told += 1
            parts = (call.delivered or 0, call.withheld or 0, call.dropped or 0)
            wrong += sum(parts) > call.offered
            offered += call.offered
            delivered, withheld, dropped = (one + more for one, more in zip((delivered, withheld, dropped), parts, strict=True))
        after = page.after
        if not after or seen >= CALLS_MAX:
            break
    if not told:
        return Panel("ledger", title, words=("No call of this choice has told its counts: they come with the call's end.",))
    rest = offered - delivered - withheld - dropped
    settled = f"{delivered:,} delivered + {withheld:,} withheld + {dropped:,} dropped"
    words = [f"Over {counted(told, 'call')}: {offered:,} spans offered = {settled} + {rest:,} pending when the call ended."]
    state: State = "good"
    if dropped:
        share = dropped / offered if offered else 1.0
        state = "bad" if share >= DROP_MAX else "watch"
        words.append(f"Dropped: {percent(share)}; it must stay below {percent(DROP_MAX)}.")
    if silent:
        state = "watch" if state == "good" else state
        words.append(f"{counted(silent, 'call')} ended without telling its counts.")
    if wrong:
        state = "bad"
        words.append(f"{counted(wrong, 'call')} told more spans than it offered: its account cannot be right.")
    if page.total > seen:
        words.append(f"Counted over the newest {seen:,} of {page.total:,} calls.")
    named = (("offered", offered), ("delivered", delivered), ("withheld (sent without content)", withheld), ("dropped", dropped),
             ("pending at the end", rest))  # fmt: skip
    table = Table("Spans", ("", "#Spans"), tuple((name, f"{n:,}") for name, n in named))
    return Panel("ledger", title, state, tuple(words), table=table)


def account_panel(account: Path | None, check: CrossCheck | None) -> Panel:
    """What the relay's outbox has settled and what waits in it, and what the last report found holding its traces against it.

    Args:
        account: the outbox, or the directory it lies in; None for none.
        check: of the last report, or None.
    """
    title = "The relay's account"
    scan = "phi-audit scan --project PROJECT --account DIR --format json -o report.json"
    words, rows = list[str](), list[tuple[str, str]]()
    state: State = "unknown"
    if account is None:
        words.append("No account was named (--account), so what the relay itself says is not shown.")
    else:
        fault, rows = _settled(account)
        words.append(fault or "What the relay has settled since its account began, and what waits in its outbox, quarantined or not.")
        state = "watch" if fault else "good"
    if check is None:
        words.append("The last report was not held against the relay's account.")
    else:
        if check.missing or check.unexpected:
            state = "bad"
        elif check.why and state == "good":
            state = "watch"
        words.append(
            f"The last report: {check.matched:,} of {check.expected:,} expected runs read, {check.missing:,} missing,"
            f" {check.unexpected:,} that the relay did not send."
        )
        if check.why:
            words.append(f"The cross-check is not whole: {check.why}.")
    table = Table("The outbox", ("", "#Operations"), tuple(rows)) if rows else None
    do = scan if account is None or check is None or state == "bad" else ""
    return Panel("account", title, state, tuple(words), do, table=table)


def _settled(account: Path) -> tuple[str, list[tuple[str, str]]]:
    """Why the outbox cannot be read, or its totals; it is opened for reading alone."""
    path = account / OUTBOX if account.is_dir() else account
    if not path.is_file():
        return f"{OUTBOX} is not there; name the relay's state directory or its outbox.", []
    try:
        with closing(sqlite3.connect(f"file:{quote(str(path.absolute()))}?mode=ro", uri=True, timeout=2.0)) as db:
            totals = db.execute(
                "SELECT state, reason, withheld != '', sum(n) FROM totals GROUP BY state, reason, withheld != '' ORDER BY state, reason"
            ).fetchall()
            (waiting,) = db.execute("SELECT count(*) FROM ops").fetchone()
    except sqlite3.Error as fault:
        why = getattr(fault, "sqlite_errorname", type(fault).__name__)
        return f"{path.name} cannot be read ({why}); check that it is the relay's outbox, its owner and the disk.", []
    rows = []
    for state, reason, bare, n in totals:
        name = "withheld (sent without content)" if bare and state == "delivered" else str(state)
        rows.append((f"{name}: {reason}" if reason else name, f"{n:,}"))
    return "", [*rows, ("waiting", f"{waiting:,}")]
