"""Which tests nothing else may run beside: they measure time, or play as many calls as the machine has room for."""

from __future__ import annotations

from pathlib import Path

import pytest

ALONE = ("matrix/", "room/", "cli/test_bench_overhead.py", "tracing/test_turn_rules_played.py")


@pytest.hookimpl(tryfirst=True)  # before -m is looked at
def pytest_collection_modifyitems(items):
    here = Path(__file__).parent
    for item in items:
        if item.path.relative_to(here).as_posix().startswith(ALONE):
            item.add_marker(pytest.mark.alone)
