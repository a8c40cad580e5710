"""``phi-audit policy``: what each command says, on which stream, and how it ends."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from click.testing import CliRunner

from audit import exits
from audit.cli import main
from phi_guard.policy import shipped

CLINIC = shipped("clinic.yaml")
COMMANDS = ("lint", "test", "explain", "diff", "suggest", "coverage", "schema")
EXPLAIN = ("explain", "--tool", "book_appointment", "--path")
SECRET = "Zephyrine Quill"
BROKEN = """\
version: 1
version: 1
default: redact
feilds: {}
fields:
  phone: {action: redcat}
  name: {action: redact, safe_harbor: one}
  clinic: {action: keep}
  code: {action: keep, shape: "[a-z"}
  slow: {action: keep, shape: "(a+)+"}
  spare: {action: redact}
  at: {action: keep, shape: date, unless_sent: [nmae]}
  notes: {action: scan}
tools:
  book: {inputs: [phone, name, clinic, code, slow, at, phnoe, notes], outputs: []}
environments: {prod: {fields: {notes: {action: keep, shape: flag}}}}
examples:
  - given: {tool: book, inputs: {phone: x, name: x, clinic: x, code: x, slow: x, at: x, notes: x}}
    sends: {inputs: {}}
"""


@pytest.fixture
def run():
    return lambda *args: CliRunner().invoke(main, ["policy", *map(str, args)])


@pytest.fixture
def clinic(tmp_path):
    """A copy of the shipped policy with parts replaced."""

    def put(*changes, name="c.yaml"):
        text = CLINIC.read_text("utf-8")
        for old, new in changes:
            assert old in text, old
            text = text.replace(old, new)
        path = tmp_path / name
        path.write_text(text, "utf-8")
        return path

    return put


@pytest.fixture
def broken(tmp_path):
    path = tmp_path / "broken.yaml"
    path.write_text(BROKEN, "utf-8")
    return path


@pytest.fixture
def calls(tmp_path):
    """A file of recorded calls with a name in every place."""
    path = tmp_path / "calls.jsonl"
    record = {"tool": "check_insurance", "inputs": {"patient_name": SECRET, "plan": SECRET, SECRET: 1}, "outputs": SECRET}
    path.write_text(json.dumps(record) + "\n", "utf-8")
    return path


def test_ten_faults_are_ten_lines(run, broken):
    """Every fault of a file has its line, on stderr, and nothing else is told: exit 2, no traceback."""
    done = run("lint", broken)
    faults = [line for line in done.stderr.splitlines() if str(broken) in line]
    assert (done.exit_code, done.stdout) == (exits.USAGE, "")
    places = {int(line.split(f"{broken}:")[1].split(":")[0]) for line in faults}
    assert places >= {2, 4, 6, 7, 8, 9, 10, 11, 12, 15, 16}
    assert "Traceback" not in done.output


@pytest.mark.parametrize("command", ["lint", "test"])
def test_faults_are_json_too(run, broken, command):
    """With --format json a file that does not load is valid JSON on stdout, each fault in its parts."""
    done = run(command, broken, "--format", "json")
    told = json.loads(done.stdout)
    assert (done.exit_code, told["schema"]) == (exits.USAGE, f"phi-audit.policy-{command}/1")
    assert {"file": str(broken), "line": 6, "path": "fields.phone.action"}.items() <= told["faults"][2].items()


@pytest.mark.parametrize("command", [*COMMANDS])
def test_help_shows_an_example_and_loads_nothing_heavy(command):
    """In a process of its own."""
    code = (
        f"import sys\nfrom audit.cli import main\ntry:\n    main(['policy', {command!r}, '--help'])\nexcept SystemExit as end:\n"
        "    assert not end.code\nloaded = {'rich', 'pydantic', 'yaml', 'langsmith', 'spacy', 'tracing', 'livekit'} & set(sys.modules)\n"
        "assert not loaded, loaded"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 0, done.stderr
    assert f"phi-audit policy {command}" in done.stdout


@pytest.mark.parametrize(
    "args",
    [
        ("lint", CLINIC), ("test", CLINIC), (*EXPLAIN, "inputs.phone"), ("diff", CLINIC, CLINIC), ("schema",),
        ("suggest", "--module", "tracing.local.clinic_agent"),
    ],
)  # fmt: skip
def test_table_and_json_to_stdout_or_a_file(run, tmp_path, args):
    """Each command has both forms, JSON with its schema's name, and writes to a file when told."""
    pytest.importorskip("livekit.agents")
    assert run(*args).exit_code == exits.GO
    out = tmp_path / "out.json"
    done = run(*args, "--format", "json", "-o", out)
    assert (done.exit_code, done.stdout) == (exits.GO, "")
    told = json.loads(out.read_text("utf-8"))
    assert told.get("schema", told.get("$schema", "")).startswith(("phi-audit.policy-", "https://json-schema.org/draft/2020-12"))


def test_lint_exits_by_severity(run, clinic):
    """Remarks alone are 0; a warning is 1 unless only errors count."""
    wide = clinic(('"^[0-2][0-9]:[0-5][0-9]$"', '"^[0-2][0-9]:[0-5][0-9]$|^[0-9]{6}$"'))
    assert run("lint", CLINIC).exit_code == exits.GO
    assert run("lint", CLINIC, "--fail-on", "info").exit_code == exits.NO_GO
    done = run("lint", wide)
    assert (done.exit_code, "PG002 warning" in done.stdout) == (exits.NO_GO, True)
    assert run("lint", wide, "--fail-on", "error").exit_code == exits.GO


def test_a_failing_example_is_exit_1(run, clinic):
    """PASS and FAIL stand beside each other, with the place where it goes wrong."""
    text = CLINIC.read_text("utf-8")
    begin = text.index('days: "Monday to Friday"')
    path = clinic()
    path.write_text(f"{text[:begin]}days: Sundays{text[begin + 24 :]}", "utf-8")
    done = run("test", path)
    assert done.exit_code == exits.NO_GO
    assert "8 pass, 1 fail, 0 error" in done.stdout
    assert "outputs.days" in done.stdout


def test_explain_does_not_print_the_value_back(run):
    """Neither kept nor redacted, unless asked to."""
    kept = run(*EXPLAIN, "outputs.confirmation_id", "--value", "CONF-1234")
    assert "CONF-1234" not in kept.output
    assert "sent as it is" in kept.stdout
    shown = run(*EXPLAIN, "outputs.confirmation_id", "--value", "CONF-1234", "--show-value")
    assert '"CONF-1234"' in shown.stdout
    assert SECRET not in run(*EXPLAIN, "inputs.patient_name", "--value", SECRET, "--format", "json").output


@pytest.mark.parametrize("path", ["patient_name", "inputs", "inputs..x", ""])
def test_a_bad_path_is_a_usage_fault(run, path):
    """It says what a path looks like."""
    done = run(*EXPLAIN, path)
    assert (done.exit_code, done.stdout) == (exits.USAGE, "")
    assert "such as inputs." in done.stderr


def test_a_keep_in_place_of_a_redact_fails_on_weaker(run, clinic):
    """The change a reviewer must see: weaker, both lines, exit 1; without the option it is told and exit 0."""
    weaker = clinic(
        ("  dob: {action: redact, safe_harbor: 3}", "  dob: {action: keep, shape: date, unless_sent: [patient_name], safe_harbor: 3}"),
        ("email, dob, mrn, address]", "email, mrn, address]"),
        ("        dob: <REDACTED>", '        dob: "1975-12-10"'),
    )
    done = run("diff", CLINIC, weaker, "--fail-on", "weaker")
    assert done.exit_code == exits.NO_GO
    assert f"weaker    fields.dob: redact -> keep; shape: an ISO 8601 date; unless_sent gains patient_name  [{CLINIC}:" in done.stdout
    assert run("diff", CLINIC, weaker).exit_code == exits.GO
    back = run("diff", weaker, CLINIC, "--fail-on", "weaker", "--format", "json")
    assert (back.exit_code, json.loads(back.stdout)["counts"]["weaker"]) == (exits.GO, 0)


@pytest.mark.parametrize(
    "args",
    [
        ("diff", "none.yaml", CLINIC),
        ("diff", CLINIC, "none.yaml"),
        (*EXPLAIN, "inputs.phone", "--policy", "none.yaml"),
        ("coverage", "--from", "none.jsonl", "--policy", "none.yaml"),
        ("lint", "none.yaml"),
    ],
)
def test_a_file_that_is_not_there(run, args):
    """Exit 2 with its name."""
    done = run(*args)
    assert (done.exit_code, done.stdout) == (exits.USAGE, "")
    assert "none.yaml" in done.stderr


def test_suggest_names_no_value(run, calls):
    """What stood in the calls is on no stream."""
    done = run("suggest", "--from", calls)
    assert done.exit_code == exits.GO
    assert "    inputs: [patient_name, plan]" in done.stdout
    assert "Quill" not in done.output


def test_suggest_writes_a_file_that_loads(run, clinic, calls):
    """Written, it passes its own test; asked again, there is nothing to add."""
    path = clinic()
    assert run("suggest", "--from", calls, "--policy", path, "--write").exit_code == exits.GO
    assert run("test", path).exit_code == exits.GO
    assert "nothing to add" in run("suggest", "--from", calls, "--policy", path).stdout
    assert [p.name for p in path.parent.glob(".*draft")] == []


def test_suggest_leaves_a_file_alone_that_it_cannot_extend(run, tmp_path, calls):
    """A file whose sections are not in the usual form is not touched."""
    path = tmp_path / "flow.yaml"
    flow = (
        "version: 1\ndefault: redact\nfields: {name: {action: redact}}\ntools: {book: {inputs: [name], outputs: []}}\n"
        "examples: [{given: {tool: book, inputs: {name: x}}, sends: {inputs: {name: <REDACTED>}}}]\n"
    )
    path.write_text(flow, "utf-8")
    done = run("suggest", "--from", calls, "--policy", path, "--write")
    assert (done.exit_code, "no section `fields:`" in done.stderr) == (exits.USAGE, True)
    assert path.read_text("utf-8") == flow


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("suggest",), "--module NAME or --from FILE"),
        (("suggest", "--module", "no_such_module_anywhere"), "there is no module"),
        (("suggest", "--module", "json"), "there are: none"),
        (("suggest", "--module", "json", "--write"), "--policy FILE"),
        (("coverage",), "--project NAME or --from FILE"),
        (("lint", CLINIC, "--format", "xml"), "xml"),
        (("frobnicate",), "frobnicate"),
    ],
)
def test_usage_faults(run, args, said):
    """Exit 2, told on stderr."""
    done = run(*args)
    assert (done.exit_code, done.stdout) == (exits.USAGE, "")
    assert said in done.stderr


def test_a_module_that_breaks_tells_its_class_alone(run, tmp_path, monkeypatch):
    """Whatever somebody's module says while it fails is not repeated, and what it prints is no result."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "broken_tools.py").write_text(f"print('{SECRET}')\nraise ValueError('{SECRET}')\n")
    done = run("suggest", "--module", "broken_tools")
    assert (done.exit_code, done.stdout) == (exits.USAGE, "")
    assert "ValueError" in done.stderr
    assert f"({SECRET})" not in done.stderr


def test_coverage_of_an_export(run, exported):
    """A table with a row for each field met; an unknown key is exit 1 where that is asked for."""
    path = exported()
    done = run("coverage", "--from", path)
    assert done.exit_code == exits.GO
    assert "book_appointment.inputs.patient_name" in done.stdout
    assert "never called: cancel_appointment" in done.stdout
    assert run("coverage", "--from", path, "--fail-on", "unknown").exit_code == exits.NO_GO
    told = json.loads(run("coverage", "--from", path, "--format", "json").stdout)
    assert (told["schema"], told["calls"], told["unknown"]) == ("phi-audit.policy-coverage/1", 1, 1)


def test_coverage_that_cannot_be_read_is_unproven(run, tmp_path):
    """A file that is not JSON is exit 3, never a pass."""
    path = tmp_path / "x.jsonl"
    path.write_text("no json\n")
    done = run("coverage", "--from", path)
    assert (done.exit_code, done.stdout) == (exits.UNPROVEN, "")
