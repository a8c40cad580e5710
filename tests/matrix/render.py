"""Writes the fault matrix's table into docs/reliability.md from the figures of a run: no figure there is typed by hand.

    PHI_GUARD_MATRIX_OUT=matrix.jsonl python -m pytest tests/matrix && python tests/matrix/render.py matrix.jsonl

The last line of a cell counts. A cell that has none is shown as not run. Exit 2 when a file is not what it should be.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from audit.rehearsal.timing import summarise  # noqa: E402  # run as a script, from wherever

PAGE = ROOT / "docs" / "reliability.md"
BEGIN, END = "<!-- matrix: begin -->", "<!-- matrix: end -->"
CELLS = {
    "no_fault": "none, to compare with",
    "refused": "LangSmith refuses connections",
    "hanging": "LangSmith takes requests and never answers",
    "answers[429]": "LangSmith answers 429 with Retry-After",
    "answers[500]": "LangSmith answers 500",
    "answers_401": "LangSmith answers 401, until the key is put right",
    "answers_413": "LangSmith answers 413",
    "reset_mid_body": "connections are reset in the middle of a body",
    "slow_2_s": "LangSmith is 2 s slow",
    "down_for_long": "LangSmith is down",
    "relay_killed_mid_call_and_restarted": "relay SIGKILLed mid-call, and restarted",
    "relay_stopped_then_continued": "relay SIGSTOPped, and continued after the calls",
    "agent_killed": "another agent SIGKILLed mid-call",
    "disk_full": "disk full",
    "outbox_corrupted_while_running": "outbox overwritten while the relay runs",
    "50_calls_at_once": "50 calls at once",
    "tool_result_of_5_mb": "a tool result of 5 MB",
    "switch_flipped_under_load": "switch off and on six times under load",
}
HEAD = ("Fault", "Calls", "Offered", "Delivered", "Withheld", "Pending", "Dropped", "record()", "handlers", "Settled")
KINDS = ("record", "handler")


def row(cell, title, told):
    """One line of the table."""
    if told is None:
        return (title, *["not run"] * (len(HEAD) - 1))
    if "down_s" in told:
        title = f"{title} for {told['down_s']:g} s"
    ledger = told["ledger"]
    dropped = ", ".join(f"{n} {reason}" for reason, n in sorted(ledger["dropped"].items())) or "0"
    costs = (f"{c['n']}: {c['ours_p99']:.0f}, {c['p99']:.0f}, {c['max']:.0f}" for c in (told["costs"][kind] for kind in KINDS))
    settled = f"{told['settled_s']:g} s" if "settled_s" in told else "-"
    counts = (str(ledger[name]) for name in ("offered", "delivered", "withheld", "pending"))
    return (title, str(told["calls"]), *counts, dropped, *costs, settled)


def total(told):
    """All cells in one line: every operation of every call, whatever went wrong meanwhile."""
    parts = []
    for kind, name in zip(KINDS, ("record()", "a handler"), strict=True):
        wall, ours = ([ns for one in told for ns in one["costs"][kind][which]] for which in ("wall_ns", "ours_ns"))
        every, left_alone = summarise(wall), summarise(ours)
        parts.append(
            f"{name} took {every.p50:.1f} us at p50, {left_alone.p99:.0f} at p99 ({every.p99:.0f} with the"
            f" {every.n - left_alone.n} that lost the processor), at most {every.max:.0f} (n {every.n})"
        )
    offered, gone = sum(one["ledger"]["offered"] for one in told), Counter()
    for one in told:
        gone.update(one["ledger"]["dropped"])
    dropped = ", ".join(f"{n} {reason}" for reason, n in sorted(gone.items())) or "none"
    return f"All cells together: {sum(one['calls'] for one in told)} calls, {offered} operations, dropped {dropped}; {'; '.join(parts)}."


def table(lines):
    """The whole table, in Markdown.

    Raises:
        ValueError: a line is of no cell that is known.
    """
    told = {}
    for line in filter(None, map(str.strip, lines)):
        row_told = json.loads(line)
        if row_told["cell"] not in CELLS:
            raise ValueError(f"no such cell: {row_told['cell']}; add it to CELLS")
        told[row_told["cell"]] = row_told
    rows = [HEAD, ["---"] * len(HEAD), *(row(cell, title, told.get(cell)) for cell, title in CELLS.items())]
    lines = ["| " + " | ".join(cells) + " |" for cells in rows]
    return "\n".join([*lines, "", total(list(told.values()))] if told else lines)


def write(page, lines):
    """Put the table between its two marks.

    Raises:
        ValueError: the page has no such marks.
    """
    text = page.read_text("utf-8")
    if BEGIN not in text or END not in text:
        raise ValueError(f"{page}: the marks {BEGIN} and {END} are missing")
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    page.write_text(f"{before}{BEGIN}\n{table(lines)}\n{END}{after}", "utf-8")


def main(argv):
    """Render; 2 and a line on stderr when it cannot."""
    if len(argv) != 1:
        sys.stderr.write(__doc__ or "")
        return 2
    try:
        write(PAGE, Path(argv[0]).read_text("utf-8").splitlines())
    except (OSError, ValueError, KeyError) as fault:
        sys.stderr.write(f"render: {type(fault).__name__}: {fault}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
