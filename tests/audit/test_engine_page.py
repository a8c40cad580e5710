"""The page on scale: its table is what its rates come to, and what its runs gave is the same for each of them."""

from __future__ import annotations

import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "scale.md"
TRACES = 10_000_000
WORKERS = (2, 8, 32, 128)
KINDS = (("short calls, 6 runs, 5,000 texts that come again", 6, 5_000, 0), ("long calls, 28 runs, a new text in each", 28, 0, 1))
"""What the calls are: runs of each, texts that every worker judges once, and new texts of each call."""


def rates(page):
    """The measured rates, in seconds."""
    found = {}
    for name in ("a run where its text is known", "a new text", "merging a run", "counting a run at the end"):
        number, unit = re.search(rf"^{name} +([0-9.]+) (us|ms)", page, re.MULTILINE).groups()
        found[name] = float(number) * {"us": 1e-6, "ms": 1e-3}[unit]
    return found["a run where its text is known"], found["a new text"], found["merging a run"], found["counting a run at the end"]


def table(page):
    """The rows that the rates come to."""
    run, text, merging, end = rates(page)
    for name, runs, shared, new in KINDS:
        n = TRACES * runs
        for workers in WORKERS:
            each = (n * run + TRACES * new * text) / workers + shared * text
            hours = (max(each, n * merging) + n * end) / 3_600
            cores = (workers * each + n * (merging + end)) / 3_600
            yield f"| {name} | {workers} | {hours:.1f} | {cores:.1f} |"


def test_the_table_is_what_the_rates_come_to():
    """Ten million traces in hours and core hours, by the formula that the page gives."""
    page = PAGE.read_text("utf-8")
    rows = list(table(page))
    assert len(rows) == len(KINDS) * len(WORKERS)
    assert [line for line in page.splitlines() if re.match(r"\| (?:short|long) calls", line)] == rows


def test_each_engine_of_the_last_run_gave_the_same():
    """One outcome and one population in the block of the last run, of engines of each kind, and one with a worker killed."""
    told = re.search(r"<!-- scale: begin -->(.*?)<!-- scale: end -->", PAGE.read_text("utf-8"), re.DOTALL)[1]
    assert len(set(re.findall(r"digest of the outcome ([0-9a-f]{32}); of the population ([0-9a-f]{32})", told))) == 1
    for engine in ("serial", "processes:2, a worker killed half way", "dask://[^ ,]+, a worker killed half way"):
        assert re.search(rf"; engine {engine}", told), engine
    assert told.count("incomplete: no") == len(re.findall("; engine ", told))
