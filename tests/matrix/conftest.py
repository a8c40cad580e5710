"""One ground for many cells: a relay takes seconds to load its models. A fault that is over leaves it as it was, or the next cell fails."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # line.py, calls.py, ground.py

from ground import Cell, Ground


@pytest.fixture(scope="session")
def ground(tmp_path_factory):
    """A relay, a store, and the line between them."""
    ground = Ground(tmp_path_factory.mktemp("g"))
    yield ground
    ground.close()


@pytest.fixture
def cell(ground, request):
    """This test's cell, on the common ground."""
    cell = Cell(ground, request.node.name.removeprefix("test_"))
    yield cell
    cell.close()
    ground.line.mend()
