"""Faults that last: see lasting.py."""

from __future__ import annotations

import pytest
from lasting import CELLS, Begun

pytestmark = pytest.mark.xdist_group("lasting")  # side by side with others, these stay together: they share their waits


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """All cells of this file, under way."""
    cells = Begun(tmp_path_factory)
    yield cells
    cells.close()


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("name", [make.__name__ for make in reversed(CELLS)])
def test_lasting(begun, name):
    """The cell ends as it should; that LangSmith is back after long is looked at last."""
    begun.end(name)
