"""The table of docs/reliability.md: every cell has a row, no figure is invented, and every row has a cell that is a test."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import lasting
import pytest
import render

COST = {"p50": 1.0, "p99": 4000.4, "max": 5000.6, "n": 3, "cpu_p99": 2.2, "cpu_n": 3, "ours_p99": 12.2, "ours_n": 2}
COST |= {"wall_ns": [1_000, 12_200, 5_000_600], "ours_ns": [1_000, 12_200]}
LEDGER = {"offered": 9, "delivered": 7, "withheld": 0, "pending": 0, "dropped": {"switch_off": 2}}


def line(cell, **facts):
    return json.dumps({"cell": cell, "calls": 2, "ledger": LEDGER, "costs": {"record": COST, "handler": COST}, **facts})


def test_a_row_says_what_was_measured_and_a_missing_one_that_it_was_not():
    """The last line of a cell counts."""
    rows = render.table([line("refused", settled_s=9), line("refused", settled_s=1.5), line("down_for_long", down_s=600.0)]).splitlines()
    assert "| LangSmith refuses connections | 2 | 9 | 7 | 0 | 0 | 2 switch_off | 3: 12, 4000, 5001 | 3: 12, 4000, 5001 | 1.5 s |" in rows
    assert any(row.startswith("| LangSmith is down for 600 s |") for row in rows)
    assert rows[-1].startswith("All cells together: 4 calls, 18 operations, dropped 4 switch_off; record() took 12.2 us at p50, 12 at p99")
    assert "(5001 with the 2 that lost the processor), at most 5001 (n 6)" in rows[-1]
    assert sum("not run" in row for row in rows) == len(render.CELLS) - 2


def test_a_cell_nobody_knows_is_refused():
    """A renamed test must not vanish from the table in silence."""
    with pytest.raises(ValueError, match="no such cell: new"):
        render.table([line("new")])


def test_the_table_is_put_between_its_marks(tmp_path):
    """What stands around it stays."""
    page = tmp_path / "page.md"
    page.write_text(f"before\n{render.BEGIN}\nold\n{render.END}\nafter\n")
    render.write(page, [line("refused")])
    text = page.read_text()
    assert text.startswith("before\n")
    assert text.endswith("\nafter\n")
    assert "old" not in text
    page.write_text("no marks")
    with pytest.raises(ValueError, match="marks"):
        render.write(page, [])


def test_every_row_is_a_test_and_every_cell_has_a_row():
    """Read out of the tests themselves."""
    names = {make.__name__ for make in lasting.CELLS}
    for path in Path(__file__).parent.glob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_") and "cell" in {each.arg for each in node.args.args}:
                names.add(node.name.removeprefix("test_"))
    assert {cell.partition("[")[0] for cell in render.CELLS} == names


def test_the_page_has_its_marks():
    """Or a run could not be rendered into it."""
    text = render.PAGE.read_text("utf-8")
    assert text.count(render.BEGIN) == text.count(render.END) == 1
