"""What an import may load: the agent's process and the command line's help stay light."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

HEAVY = {
    "spacy", "thinc", "presidio_analyzer", "pydantic", "rich", "langsmith", "yaml", "requests", "tldextract", "phonenumbers",
    "jinja2", "starlette",
}  # fmt: skip


@pytest.mark.parametrize(
    "statement",
    [
        "import phi_guard",
        "import tracing",
        "import audit.cli",
        "import phi_guard.detect",
        "import phi_guard.switch",
        "import sys, audit.cli; sys.argv = ['phi-audit', '--help']\ntry: audit.cli.main()\nexcept SystemExit: pass",
    ],
)
def test_an_import_loads_nothing_heavy(statement):
    """In a process of its own, none of the heavy libraries is loaded afterwards."""
    code = f"{statement}\nimport json, sys\nprint('\\n' + json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    loaded = {name.split(".")[0] for name in json.loads(done.stdout.splitlines()[-1])}
    assert loaded.isdisjoint(HEAVY), sorted(loaded & HEAVY)


def test_the_budget_bites():
    """The same look sees a heavy library where there is one."""
    code = "import rich, json, sys\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert "rich" in json.loads(done.stdout)
