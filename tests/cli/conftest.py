"""The command as a process, and files it can read."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

_spec = importlib.util.spec_from_file_location("audit_fixtures", Path(__file__).parents[1] / "audit" / "conftest.py")
_audit = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_audit)


@pytest.fixture
def phi_audit(tmp_path):
    """Run the command in a process of its own, away from the checkout; returns what it said and its exit code."""

    def run(*args, **environment):
        command = [sys.executable, "-m", "audit", *map(str, args)]
        return subprocess.run(
            command, capture_output=True, text=True, cwd=tmp_path, check=False, env={**os.environ, **environment}, timeout=120
        )

    return run


@pytest.fixture
def exported(tmp_path):
    """Write calls to a file as an export; ``change`` gets the first call's runs before."""

    def write(*, calls=1, change=lambda call: None):
        runs = [_audit.call(n) for n in range(calls)]
        change(runs[0])
        path = tmp_path / "export.jsonl"
        path.write_text("".join(json.dumps(run) + "\n" for call in runs for run in call), encoding="utf-8")
        return path

    return write


@pytest.fixture
def fixtures():
    """The makers of clean calls."""
    return SimpleNamespace(call=_audit.call, span=_audit.span)
