"""The root command: quick, lazy, and without tracebacks."""

from __future__ import annotations

import subprocess
import sys

import pytest
from click.testing import CliRunner

import audit.cli
from audit import exits
from audit.cli import COMMANDS, main

HEAVY = ("rich", "pydantic", "yaml", "langsmith", "presidio_analyzer", "spacy", "jinja2", "urllib3", "numpy", "tracing")


@pytest.mark.parametrize("args", [["--help"], ["scan", "--help"], ["switch", "--help"], ["--version"]])
def test_help_loads_nothing_heavy(args):
    """Help and version of the root, scan and switch load none of the heavy libraries."""
    code = (
        "import sys\nfrom audit.cli import main\n"
        f"try:\n    main({args!r})\nexcept SystemExit as end:\n    assert not end.code, end.code\n"
        f"loaded = [name for name in {HEAVY!r} if name in sys.modules]\nassert not loaded, loaded"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 0, done.stderr
    assert done.stdout


@pytest.mark.parametrize("command", ["scan", "switch"])
def test_every_command_has_help_with_an_example(command):
    """A command's help shows an example and what its exit codes are for."""
    done = CliRunner().invoke(main, [command, "--help"])
    assert done.exit_code == 0
    assert f"phi-audit {command}" in done.output


def test_every_command_is_in_the_help():
    """The root's help names every command."""
    done = CliRunner().invoke(main, ["--help"])
    assert all(name in done.output for name in COMMANDS)


def test_an_unknown_command_is_a_usage_fault():
    """A command that is none is exit 2."""
    assert CliRunner().invoke(main, ["scam"]).exit_code == exits.USAGE


@pytest.mark.parametrize("fault", [ValueError("Ada Byron"), KeyError("Ada Byron"), RecursionError("Ada Byron")])
def test_a_fault_of_ours_tells_its_class_alone(monkeypatch, fault):
    """An unforeseen fault is exit 3 and one line that does not quote it."""

    class Broken:
        @staticmethod
        def loads(_name):
            raise fault

    monkeypatch.setattr(audit.cli, "import_module", Broken.loads)
    done = CliRunner().invoke(main, ["scan"])
    assert done.exit_code == exits.UNPROVEN
    assert type(fault).__name__ in done.output
    assert "Ada" not in done.output
