"""The script of `phi-audit completion`, put into a real shell and asked: commands, options, choices, words and files."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from audit import exits
from audit.cli import completion as module
from audit.cli import main
from audit.cli.completion import SHELLS, completion
from audit.cli.explain import explain
from phi_guard.detect import LAYERS

BASH = shutil.which("bash")
ASK = r"""
source "$1"
shift
COMP_WORDS=("$@")
COMP_CWORD=$(($# - 1))
_phi_audit_completion phi-audit
printf '%s\n' "${COMPREPLY[@]}"
"""
"""What a shell does when the tab key is pressed: the words so far, and which of them is being typed."""

PROGRAM = """#!{python}
from audit.cli import main
main()
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A directory with `phi-audit` in it, as an installation puts it on the path, and the script of bash."""
    directory = tmp_path_factory.mktemp("bin")
    program = directory / "phi-audit"
    program.write_text(PROGRAM.format(python=sys.executable))
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    script = directory / "script.bash"
    script.write_text(subprocess.run([program, "completion", "bash"], capture_output=True, text=True, check=True, timeout=60).stdout)
    (directory / "ask.bash").write_text(ASK)
    return directory


@pytest.fixture
def ask(installed):
    """Type words in a real bash, and press tab behind the last."""

    def asked(*words, cwd=None):
        path = f"{installed}{os.pathsep}{os.environ['PATH']}"
        done = subprocess.run(
            [BASH, "--norc", "--noprofile", installed / "ask.bash", installed / "script.bash", "phi-audit", *words],
            capture_output=True, text=True, check=False, timeout=60, env={**os.environ, "PATH": path}, cwd=cwd,
        )  # fmt: skip
        # bash is no terminal here, where `compopt` may say that no completion is going on; nothing else may be said
        assert not [line for line in done.stderr.splitlines() if "compopt" not in line], done.stderr
        return done.stdout.split()

    return asked


@pytest.mark.skipif(BASH is None, reason="needs bash")
@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (("re",), {"rehearse", "relay", "report", "review"}),
        (("switch", ""), {"off", "on", "status", "quarantine"}),
        (("scan", "--know"), {"--known-answers"}),
        (("scan", "--format", "j"), {"json", "junit"}),
        (("completion", ""), {"bash", "zsh", "fish"}),
        (("explain", "PG01"), {"PG010", "PG011", "PG012", "PG013", "PG014"}),
        (("explain", "with"), {"withheld"}),
        (("explain", "span_"), {"span_drop"}),
        (("scan", "--nothing"), set()),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_bash_completes(ask, words, shown):
    """What begins as what is typed, and nothing else."""
    told = set(ask(*words))
    assert shown <= told
    assert all(one.startswith(words[-1]) for one in told)
    if not shown:
        assert not told


def test_completion_needs_no_settings_and_no_network(ask, tmp_path):
    """A settings file that cannot be used stands in the way of nobody who types."""
    (tmp_path / "phi-guard.toml").write_text("[nonsense]\nx = 1\n")
    assert "scan" in ask("sc", cwd=tmp_path)


@pytest.mark.parametrize("shell", SHELLS)
def test_each_shell_has_its_script(shell):
    """It names the program and the variable by which it asks."""
    done = CliRunner().invoke(main_with(completion), ["completion", shell])
    assert done.exit_code == 0, done.output
    assert module.VARIABLE in done.output
    assert "phi-audit" in done.output


@pytest.mark.parametrize("shell", [shell for shell in SHELLS if shell != "fish"])
def test_scripts_are_of_the_shells_grammar(tmp_path, shell):
    """The shell itself reads it without a fault."""
    if shutil.which(shell) is None:
        pytest.skip(f"needs {shell}")
    path = tmp_path / "script"
    path.write_text(CliRunner().invoke(main_with(completion), ["completion", shell]).output)
    done = subprocess.run([shell, "-n", path], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


def test_no_such_shell_is_a_usage_fault():
    """Exit 2, with those there are."""
    done = CliRunner().invoke(main_with(completion), ["completion", "tcsh"])
    assert done.exit_code == exits.USAGE
    assert "bash" in done.output


def test_the_variable_is_the_one_that_the_program_answers_to():
    """Click derives it from the program's name, and the script must say the same."""
    done = CliRunner().invoke(
        main, [], prog_name="phi-audit", env={module.VARIABLE: "bash_complete", "COMP_WORDS": "phi-audit sca", "COMP_CWORD": "1"},
    )  # fmt: skip
    assert done.output.split() == ["plain,scan"]


def test_layers_are_told():
    """For `--without`."""
    context = click.Context(completion)
    assert [item.value for item in module.layers(context, completion.params[0], "")] == list(LAYERS)
    assert [item.value for item in module.layers(context, completion.params[0], "spo")] == ["spoken"]


@pytest.mark.parametrize("words", [["completion", "bash"], ["completion", "--help"], ["explain", "--help"]])
def test_nothing_heavy_loads(words):
    """The script, and both commands' help, load none of the heavy libraries."""
    heavy = ("rich", "pydantic", "yaml", "langsmith", "presidio_analyzer", "spacy", "numpy", "tracing", "livekit", "requests")
    code = (
        f"import sys\nfrom audit.cli import main\ntry:\n    main({words!r})\nexcept SystemExit as end:\n    assert not end.code, end.code\n"
        f"loaded = [name for name in {heavy!r} if name in sys.modules]\nassert not loaded, loaded"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout


def main_with(command):
    """A group as the program's, with one command."""
    group = click.Group("phi-audit")
    group.add_command(command)
    return group


def explained(*words):
    """What `phi-audit explain` says."""
    return CliRunner().invoke(main_with(explain), ["explain", *words])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["withheld"], "skeleton left in its place"),
        (["ttft"], "milliseconds"),
        (["held"], "hold (term)"),
        (["pg002"], "PG002 (lint rule)"),
        (["exit", "3"], "never a pass"),
        (["3"], "3 (exit code)"),
        (["span", "drop"], "span_drop (gate)"),
        (["phi_findings"], "Bar: at most 0"),
        (["NO-GO"], "NO_GO (term)"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_words_are_explained(words, said):
    """By name, by another spelling, in any case; each with the page that has more."""
    done = explained(*words)
    assert done.exit_code == 0, done.output
    assert said in " ".join(done.output.split())
    assert "See docs/" in done.output


def test_an_unknown_word_names_those_near():
    """Exit 2."""
    done = explained("witheld")
    assert done.exit_code == exits.USAGE
    assert "did you mean withheld" in done.output
    assert explained("qqqq").exit_code == exits.USAGE


def test_without_a_word_all_are_listed():
    """In both forms, the same."""
    text = explained().output
    told = json.loads(explained("--format", "json").output)
    assert told["schema"] == "phi-audit.explain/1"
    assert len(told["entries"]) > 80
    assert all(entry["name"] in text for entry in told["entries"])
