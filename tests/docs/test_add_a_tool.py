"""docs/add-a-tool.md, followed to the letter: its files, its commands, its YAML."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from phi_guard import PolicyError, load_policy
from phi_guard.policy import shipped

pytest.importorskip("livekit.agents")

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "add-a-tool.md").read_text("utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
COMMANDS = [line for kind, block in BLOCKS if not kind for line in block.splitlines() if line.startswith(("phi-audit ", "cp "))]


@pytest.fixture
def project(tmp_path):
    """A project as the page has it: the shipped policies and the new tool."""
    shutil.copytree(shipped("clinic.yaml").parent, tmp_path / "policies")
    (tmp_path / "my_agent").mkdir()
    (tmp_path / "my_agent" / "__init__.py").touch()
    (tmp_path / "my_agent" / "tools.py").write_text(next(block for kind, block in BLOCKS if kind == "python"))
    return tmp_path


@pytest.fixture
def run(project):
    """Run one line of the page in the project."""

    def ran(line):
        command = shlex.split(line)
        if command[0] == "phi-audit":
            command[:1] = [sys.executable, "-m", "audit"]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        return subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False, timeout=60)

    return ran


def paste(path, block):
    """Put each part of the page's YAML at the end of the section that its comment names, as a person does."""
    lines = path.read_text("utf-8").splitlines()
    for section, part in re.findall(r"^# under (\w+):\n((?:[^#].*\n)+)", block, re.MULTILINE):
        begin = lines.index(f"{section}:")
        last = max(n for n in range(begin, len(lines)) if not any(re.match(r"\w", line) for line in lines[begin + 1 : n + 1]))
        while not lines[last].startswith(" "):
            last -= 1
        lines[last + 1 : last + 1] = part.splitlines()
    path.write_text("\n".join(lines) + "\n", "utf-8")


def test_the_page_has_what_this_test_follows():
    """One program, one YAML, and the commands of the kit."""
    assert [kind for kind, _ in BLOCKS if kind] == ["python", "yaml"]
    assert [line.split()[2] for line in COMMANDS if line.startswith("phi-audit")] == ["suggest", "lint", "test", "explain", "diff"]


def test_the_page_adds_a_tool(project, run):
    """Each command does what the text says, and in the end the tool is in the policy."""
    path = project / "policies" / "clinic.yaml"
    said = {}
    for line in COMMANDS:
        done = run(line)
        assert (done.returncode, done.stderr) == (0, ""), (line, done.stderr, done.stdout)
        said[line.split()[2]] = done.stdout
        if " suggest " in line:
            paste(path, next(block for kind, block in BLOCKS if kind == "yaml"))
    for name in ("member_number", "covered", "message"):
        assert f"  {name}: {{action: redact" in said["suggest"]
    assert " 0 fail" in said["test"]
    assert "sent as it is" in said["explain"]
    assert re.search(r"^weaker +fields\.covered", said["diff"], re.MULTILINE)
    assert load_policy(path).tools["check_insurance"].outputs == {"covered", "message"}
    assert run(f"{COMMANDS[-1]} --fail-on weaker").returncode == 1


def test_write_does_what_pasting_does(project, run):
    """The proposal put in by the command itself loads, with everything redacted that is new."""
    suggest = next(line for line in COMMANDS if " suggest " in line)
    done = run(f"{suggest} --write")
    assert done.returncode == 0, done.stderr
    policy = load_policy(project / "policies" / "clinic.yaml")
    assert {policy.fields[name].action for name in ("member_number", "covered", "message")} == {"redact"}


def test_the_mistake_shown_is_told_so(project):
    """The refusal that the page quotes is the loader's own, line breaks aside."""
    path = project / "policies" / "clinic.yaml"
    text = path.read_text("utf-8")
    path.write_text(text.replace("phone: {action: redact,", "phone: {action: redcat,"), "utf-8")
    with pytest.raises(PolicyError) as refused:
        load_policy(path)
    quoted = next(block for kind, block in BLOCKS if not kind and "redcat" in block)
    told = next(fault for fault in refused.value.faults if "redcat" in fault)
    assert " ".join(quoted.split()).partition(": ")[2] == told.partition(": ")[2]
