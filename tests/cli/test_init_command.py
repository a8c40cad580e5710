"""``phi-audit init``: what it writes is accepted by our own loaders, its checks work, and nothing that is there is lost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
import yaml
from click.testing import CliRunner

from audit.cli import COMMANDS
from audit.cli.init import init
from audit.project import draft_files
from phi_guard.policy import load_policy
from phi_guard.project_file import as_environment, read_file

ROOT = Path(__file__).parents[2]
WRITTEN = {
    "phi-guard.toml", "policies/clinic.yaml", "policies/schema/policy.schema.json", "policies/alerts.yaml",
    "policies/schema/alerts.schema.json", ".github/workflows/phi-guard.yml", ".pre-commit-config.yaml", ".gitignore",
}  # fmt: skip


def run(*args):
    return CliRunner().invoke(init, [*map(str, args)], standalone_mode=False)


@pytest.fixture
def project(tmp_path):
    done = run(tmp_path / "clinic", "--no-first-verdict")
    assert done.return_value == 0, done.output
    return tmp_path / "clinic"


@pytest.fixture
def on_path(tmp_path):
    """The environment of a shell that has this checkout's ``phi-audit`` first, with the commands that this test speaks of."""
    folder = tmp_path / "bin"
    folder.mkdir()
    command = folder / "phi-audit"
    more = {name: (f"audit.cli.{name}:{name}", name) for name in ("init", "settings") if name not in COMMANDS}
    command.write_text(f"#!{sys.executable}\nfrom audit.cli import COMMANDS, main\nCOMMANDS.update({more!r})\nmain()\n", "utf-8")
    command.chmod(0o755)
    return {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}


def files(directory):
    return {path.relative_to(directory).as_posix() for path in directory.rglob("*") if path.is_file()}


def test_what_it_writes(project):
    """Each file, and no draft left behind."""
    assert files(project) == WRITTEN


def test_the_settings_load_and_name_what_is_there(project):
    """Every path in force is a file that was written, and each environment has a project of its own."""
    file = read_file(project / "phi-guard.toml")
    dev, prod = as_environment(file), as_environment(file, "prod")
    assert dev["PHI_GUARD_ENV"] == "dev"
    assert (dev["LANGSMITH_PROJECT"], prod["LANGSMITH_PROJECT"]) == ("medical-voice-agent-dev", "medical-voice-agent-prod")
    assert Path(dev["PHI_GUARD_POLICY"]).is_file()
    assert Path(dev["PHI_AUDIT_ALERTS"]).is_file()


def test_every_line_that_is_commented_out_would_load(project):
    """A person who takes the # away gets a setting and no fault."""
    path = project / "phi-guard.toml"
    lines = path.read_text("utf-8").splitlines()
    open_lines = [
        line.removeprefix("# ") if line.startswith("# ") and " = " in line.partition("#")[2].partition("#")[0] else line for line in lines
    ]
    path.write_text("\n".join(open_lines), "utf-8")
    said = {one.key.name for one in read_file(path).settings}
    assert said >= {"project.pricing", "relay.state", "relay.outbox_max_mb", "switch.where", "audit.known_answers", "audit.anchor"}


def test_the_policy_is_the_shipped_one_with_its_schema(project):
    """It loads, proves itself in both environments, and its first line leads an editor to a schema that takes it."""
    path = project / "policies" / "clinic.yaml"
    for env in ("", "dev", "prod"):
        assert load_policy(path, env).digest == load_policy(ROOT / "policies" / "clinic.yaml", env).digest
    named = path.read_text("utf-8").splitlines()[0].partition("$schema=")[2]
    schema = json.loads((path.parent / named).read_text("utf-8"))
    jsonschema.validate(yaml.safe_load(path.read_text("utf-8")), schema)


def test_the_alerts_name_their_schema(project):
    """As the policy does."""
    path = project / "policies" / "alerts.yaml"
    named = path.read_text("utf-8").splitlines()[0].partition("$schema=")[2]
    jsonschema.validate(yaml.safe_load(path.read_text("utf-8")), json.loads((path.parent / named).read_text("utf-8")))


@pytest.mark.parametrize(
    ("ci", "path"),
    [("github", ".github/workflows/phi-guard.yml"), ("gitlab", ".gitlab-ci.yml"), ("none", "")],
    ids=["github", "gitlab", "none"],
)
def test_the_workflow_is_yaml_and_its_commands_exist(tmp_path, on_path, ci, path):
    """Every ``phi-audit`` line of it is one that the command line understands."""
    assert run(tmp_path / "x", "--ci", ci, "--no-first-verdict", "--no-pre-commit").return_value == 0
    found = files(tmp_path / "x") & {".github/workflows/phi-guard.yml", ".gitlab-ci.yml"}
    assert found == ({path} if path else set())
    if not path:
        return
    told = yaml.safe_load((tmp_path / "x" / path).read_text("utf-8"))
    texts = (
        [step.get("run", "") for job in told["jobs"].values() for step in job["steps"]]
        if ci == "github"
        else [line for job in ("phi-guard-policy", "phi-guard-scan") for line in told[job]["script"]]
    )
    commands = [line for text in texts for line in text.splitlines() if line.startswith("phi-audit ")]
    assert {" ".join(line.split()[1:3]) for line in commands} == {"settings", "policy lint", "policy test", "scan --env"}
    for line in commands:
        if "scan" not in line:
            done = subprocess.run(line.split(), cwd=tmp_path / "x", env=on_path, capture_output=True, text=True, check=False)
            assert done.returncode == 0, (line, done.stderr)


def hooks(project):
    (local,) = yaml.safe_load((project / ".pre-commit-config.yaml").read_text("utf-8"))["repos"]
    assert local["repo"] == "local"
    return {hook["id"]: hook for hook in local["hooks"]}


def test_the_hooks_stop_a_bad_policy(project, on_path):
    """Run as pre-commit runs them, in a repository: a good policy passes, a risky one, a faulty one and a secret do not."""
    subprocess.run(["git", "init", "-q", str(project)], check=True)

    def code(name):
        hook = hooks(project)[name]
        assert (hook["language"], hook["pass_filenames"]) == ("system", False)
        return subprocess.run(hook["entry"].split(), cwd=project, env=on_path, capture_output=True, check=False).returncode

    names = ("phi-audit-policy-lint", "phi-audit-policy-test", "phi-audit-settings")
    assert [code(name) for name in names] == [0, 0, 0]
    policy, settings = project / "policies" / "clinic.yaml", project / "phi-guard.toml"
    good = policy.read_text("utf-8")
    policy.write_text(good.replace("patient_name: {action: redact", "patient_name: {action: keep"), "utf-8")
    assert [code(name) for name in names[:2]] == [2, 2]
    policy.write_text(good, "utf-8")
    settings.write_text(settings.read_text("utf-8") + "# lsv2_pt_0123456789abcdef\n", "utf-8")
    assert code("phi-audit-settings") == 2


def test_the_repositorys_own_hooks_are_as_pre_commit_wants_them():
    """The fields it asks for, commands that exist, and the files of `init` among those they look at."""
    import re

    told = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text("utf-8"))
    assert {hook["id"] for hook in told} == {"phi-audit-policy-lint", "phi-audit-policy-test"}
    for hook in told:
        assert {"id", "name", "entry", "language"} <= set(hook)
        assert hook["language"] == "python"
        assert not hook["pass_filenames"]
        assert re.search(hook["files"], "policies/clinic.yaml")
        done = subprocess.run([sys.executable, "-m", "audit", *hook["entry"].split()[1:]], cwd=ROOT, capture_output=True, check=False)
        assert done.returncode == 0


def test_nothing_that_is_there_is_lost(tmp_path):
    """Each file in the way is named, and none is written; again is no fault, since it is there already; --force replaces."""
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "clinic.yaml").write_text("mine", "utf-8")
    (tmp_path / "phi-guard.toml").write_text("mine", "utf-8")
    done = CliRunner().invoke(init, [str(tmp_path), "--no-first-verdict"])
    assert done.exit_code == 2
    assert f"{tmp_path}/phi-guard.toml" in done.output
    assert f"{tmp_path}/policies/clinic.yaml" in done.output
    assert files(tmp_path) == {"phi-guard.toml", "policies/clinic.yaml"}
    assert (tmp_path / "phi-guard.toml").read_text("utf-8") == "mine"
    assert run(tmp_path, "--force", "--no-first-verdict").return_value == 0
    assert files(tmp_path) == WRITTEN
    again = run(tmp_path, "--no-first-verdict")
    assert again.return_value == 0
    assert "writes" not in again.output


def test_a_link_is_in_the_way(tmp_path):
    """It is not written through, and with --force it is replaced and what it led to stays."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("mine", "utf-8")
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "phi-guard.toml").symlink_to(elsewhere)
    assert CliRunner().invoke(init, [str(tmp_path / "x"), "--no-first-verdict"]).exit_code == 2
    assert run(tmp_path / "x", "--no-first-verdict", "--force").return_value == 0
    assert elsewhere.read_text("utf-8") == "mine"
    assert not (tmp_path / "x" / "phi-guard.toml").is_symlink()


def test_gitignore_is_added_to(tmp_path):
    """What it holds stays, without a last line break too, and it is added once."""
    (tmp_path / ".gitignore").write_bytes(b"*.log")
    for _ in range(2):
        assert run(tmp_path, "--no-first-verdict").return_value == 0
    assert (tmp_path / ".gitignore").read_text("utf-8").splitlines() == [
        "*.log", "# phi-guard: what rehearsals and the local trace store leave", ".phi-guard/", "/audit/", "/account*/", "traces*.sqlite3*",
        "roster.idx",
    ]  # fmt: skip


def test_a_dry_run_writes_nothing(tmp_path):
    """It says what would be."""
    done = run(tmp_path / "x", "--dry-run")
    assert done.return_value == 0
    assert all(path in done.output for path in WRITTEN)
    assert not (tmp_path / "x").exists()


def test_a_directory_that_cannot_be_written(tmp_path):
    """A file stands where a folder should be: said, without a traceback."""
    from audit.project import ProjectError

    (tmp_path / "policies").write_text("", "utf-8")
    done = run(tmp_path, "--no-first-verdict")
    assert isinstance(done.exception, ProjectError)
    assert "policies/clinic.yaml: cannot be written" in str(done.exception)


def test_prod_is_named_where_it_is_asked_for():
    """The settings name the environment that was chosen."""
    (settings,) = (one for one in draft_files("prod", "none", pre_commit=False) if one.path == "phi-guard.toml")
    assert '\nenv = "prod"' in settings.content
    assert "@" not in settings.content


@pytest.mark.slow
def test_a_first_verdict_in_a_minute(tmp_path, on_path):
    """From an empty directory to a verdict on calls that were really played, gated, sent, read and judged."""
    import time

    began = time.monotonic()
    done = subprocess.run(
        ["phi-audit", "init"],
        cwd=tmp_path,
        env=on_path | {"PHI_AUDIT_DIR": str(tmp_path / "own")},
        capture_output=True,
        text=True,
        check=False,
    )
    took = time.monotonic() - began
    assert done.returncode == 0, done.stderr
    assert "First verdict: UNPROVEN" in done.stdout
    assert "3 traces" in done.stdout
    report = json.loads((tmp_path / ".phi-guard" / "first" / "report.json").read_text("utf-8"))
    assert report["verdict"]["state"] == "UNPROVEN"
    assert report["results"]["findings"] == 0
    assert any("known_answer_recall" in reason for reason in report["verdict"]["reasons"])
    assert (tmp_path / ".phi-guard" / "first" / "report.html").stat().st_size > 10_000
    assert took < 150, took  # a minute on an idle machine; here others run beside it
