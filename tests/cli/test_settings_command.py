"""``phi-audit settings``, and the settings file under every command: what is in force, from where, and that no secret is shown."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

FILE = """\
[project]
env = "dev"
policy = "own.yaml"

[audit]
since = "36h"

[environments.dev]
project.name = "ours-dev"

[environments.prod]
project.name = "ours-prod"
"""


@pytest.fixture
def rows(phi_audit, tmp_path):
    """Each setting by its name, as the command tells it."""

    def ask(*args, **environ):
        done = phi_audit(*args, "--format", "json", **environ)
        assert done.returncode == 0, done.stderr
        told = json.loads(done.stdout)
        assert told["schema"] == "phi-audit.settings/1"
        return {row["name"]: (row["value"], row["source"]) for row in told["settings"]}, told

    (tmp_path / "phi-guard.toml").write_text(FILE, "utf-8")
    return ask


def test_where_each_setting_comes_from(rows, tmp_path):
    """An option, the environment, a line of the file, the default: in this order."""
    found, told = rows("settings", PHI_GUARD_OUTBOX_MAX_MB="64")
    path = str(tmp_path / "phi-guard.toml")
    assert told["file"] == path
    assert found["audit.since"] == ("36h", f"{path}:6")
    assert found["project.policy"] == (str(tmp_path / "own.yaml"), f"{path}:3")
    assert found["project.name"] == ("ours-dev", f"{path}:9")
    assert found["relay.outbox_max_mb"] == ("64", "environment: PHI_GUARD_OUTBOX_MAX_MB")
    assert found["relay.outbox_ttl_h"] == (None, "default: 72")
    found, _ = rows("settings", "--env", "prod", PHI_GUARD_ENV="dev", PHI_AUDIT_SINCE="2w")
    assert found["project.env"] == ("prod", "flag")
    assert found["project.name"] == ("ours-prod", f"{path}:12")
    assert found["audit.since"] == ("2w", "environment: PHI_AUDIT_SINCE")


def test_no_file(rows):
    """Left out on request, by either spelling."""
    for args in (("settings", "--no-config"), ("--no-config", "settings"), ("--config", "none", "settings")):
        found, told = rows(*args)
        assert told["file"] is None
        assert found["audit.since"] == (None, "default: 7d")


def test_secrets_are_set_or_not_set(phi_audit):
    """Never shown, nor a password in an address."""
    environ = {"LANGSMITH_API_KEY": "lsv2_pt_geheim", "PHI_GUARD_SWITCH": "redis://ada:geheim@h/0", "SLACK_WEBHOOK_URL": "https://geheim"}
    for fmt in ("table", "json"):
        done = phi_audit("settings", "--format", fmt, **environ)
        assert done.returncode == 0
        assert "geheim" not in done.stdout + done.stderr
        assert "redis://***@h/0" in done.stdout
    assert json.loads(done.stdout)["secrets"] == {
        name: name in {"LANGSMITH_API_KEY", "SLACK_WEBHOOK_URL"} for name in json.loads(done.stdout)["secrets"]
    }


def test_a_faulty_file_stops_a_command_and_not_its_help(phi_audit, tmp_path):
    """With each fault's line and the usage code; `init` and help go on."""
    (tmp_path / "phi-guard.toml").write_text("[project]\npolcy = 'x'\n", "utf-8")
    for args in (("settings",), ("scan", "--from", "x.jsonl"), ("switch", "status")):
        done = phi_audit(*args)
        assert (done.returncode, f"{tmp_path}/phi-guard.toml:2: project.polcy: there is no such key" in done.stderr) == (2, True), args
    assert phi_audit("scan", "--help").returncode == 0
    assert phi_audit("--no-config", "settings").returncode == 0
    assert phi_audit("init", "--force", "--no-first-verdict").returncode == 0
    assert phi_audit("settings").returncode == 0


def test_a_command_is_steered_by_the_file(phi_audit, exported, tmp_path):
    """The part of the environment that the command line names is the one that counts, and an option wins over all."""
    (tmp_path / "phi-guard.toml").write_text(
        '[audit]\nknown_answers = 0\nsample = 1\n[environments.prod]\nproject.policy = "gone.yaml"\n', "utf-8"
    )
    export = exported()
    assert "gone.yaml" in phi_audit("scan", "--from", export, "--env", "prod").stderr
    done = phi_audit("scan", "--from", export, "--env", "dev", "--format", "json", "--exit-zero", "--no-cache")
    assert done.returncode == 0, done.stderr
    command = json.dumps(json.loads(done.stdout))
    assert "--known-answers 0" in command
    assert "--sample 1" in command


def test_the_tracer_reads_the_same_file(rows, tmp_path):
    """What an agent sends under is what the commands show; arguments win, and a faulty file is a fault and no default."""
    code = (
        "import sys; from tracing.settings import read_settings; s = read_settings(policy=sys.argv[1] or None);"
        "print(s.policy, s.project, s.runtime, sep='\\n')"
    )
    runtime = tmp_path / "r"
    runtime.mkdir(mode=0o700)
    (tmp_path / "phi-guard.toml").write_text(FILE + f"[relay]\nruntime = '{runtime}'\n", "utf-8")
    environ = {name: value for name, value in os.environ.items() if name != "PHI_GUARD_RUNTIME_DIR"}

    def ask(policy, **more):
        command = [sys.executable, "-c", code, policy]
        return subprocess.run(command, cwd=tmp_path, env=environ | more, capture_output=True, text=True, check=False)

    assert ask("").stdout.split() == [str(tmp_path / "own.yaml"), "ours-dev", str(runtime)]
    assert ask("/given.yaml", PHI_GUARD_ENV="prod").stdout.split()[:2] == ["/given.yaml", "ours-prod"]
    (tmp_path / "phi-guard.toml").write_text("[project]\nenv = 'qa'\n", "utf-8")
    assert "ProjectFileError" in ask("").stderr
