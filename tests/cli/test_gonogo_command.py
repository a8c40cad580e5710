"""``phi-audit gonogo`` as a process: three short calls with every tool, on this machine; GO, NO-GO, UNPROVEN, and going on after a kill.

The bars of load, time and recall are lowered, since the machine that tests may be busy and plants cost time; other gates are as shipped.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from audit import exits
from audit.cli.gonogo import gonogo
from audit.crosscheck import OUTBOX
from audit.keys import fingerprint_key
from audit.rehearsal.serving import run_store
from audit.review import document
from audit.review.queue import line_up
from audit.review.reading import gather, read_report
from audit.review.record import Review
from audit.review.session import Session
from audit.source import Window, open_source
from phi_guard.errors import PolicyError
from phi_guard.policy import load_policy, shipped

PATIENTLY = 400.0
LAUNCH = "from audit.cli import COMMANDS, main; COMMANDS.setdefault('gonogo', ('audit.cli.gonogo:gonogo', 'The go/no-go review.')); main()"
LOWERED = {
    "ten_complete_traces": ("at_least: 10", "at_least: 3"),
    "twenty_clean_spans": ("at_least: 20", "at_least: 18"),
    "load_test": ("at_least: 10\n    calls: 10\n    minutes: 5", "at_least: 3\n    calls: 3\n    minutes: 0.01"),
    "known_answer_recall": ("at_least: 0.95", "at_least: 0.3"),
    "overhead_p99_us": ("at_most: 1000", "at_most: 10000000"),
    "overhead_max_us": ("at_most: 5000", "at_most: 100000000"),
    "loop_lateness_us": ("at_most: 1000", "at_most: 100000000"),
    "ttft_error_ms": ("at_most: 50", "at_most: 5000"),
    "human_review": ("traces: 10", "traces: 3"),
}
PEOPLE = ("Marla Quibden", "Torvin Askelby", "Jonna Prexley")


def call(n):
    """A call that uses every tool once; its person is in the arguments."""
    name, confirmation = PEOPLE[n], f"CONF-12{n}4"
    tools = [
        {"name": "check_availability", "args": {"doctor_name": "Dr. Lee", "appointment_datetime": "2027-03-15T14:00Z"}, "result": {}},
        {"name": "book_appointment", "args": {"patient_name": name, "phone": f"+41 79 555 01 2{n}"}, "result": {"status": "confirmed"}},
        {"name": "cancel_appointment", "args": {"confirmation_id": confirmation, "patient_name": name}, "result": {"cancelled": True}},
        {"name": "reschedule_appointment", "args": {"confirmation_id": confirmation, "patient_name": name}, "result": {}},
        {"name": "get_opening_hours", "args": {"doctor_name": "Dr. Lee"}, "result": {"opens": "08:00"}},
        {"name": "get_medical_guidelines", "args": {"symptoms": "fever"}, "result": {"urgency": "routine"}},
    ]
    turns = [{"user": {"speech_ms": 200}, "tools": tools[at : at + 3], "agent": {"speech_ms": 200}} for at in (0, 3)]
    return {"consent": "granted", "turns": turns, "plants": [{"origin": "tool_argument", "kind": "patient_name", "value": name}]}


def lowered_gates():
    """The shipped gates with the bars that this test cannot reach."""
    text = shipped("gates.yaml").read_text("utf-8")
    for name, (bar, lower) in LOWERED.items():
        head, mark, tail = text.partition(f"\n  {name}:\n")
        own, blank, rest = tail.partition("\n\n")
        assert bar in own, name
        text = head + mark + own.replace(bar, lower) + blank + rest
    return text


def opened_policy(path):
    """The shipped policy with the patient's name kept, its examples saying so, as somebody would who means it."""
    text = shipped("clinic.yaml").read_text("utf-8")
    redacted = "patient_name: {action: redact, safe_harbor: 1}"
    assert redacted in text
    text = text.replace(redacted, 'patient_name: {action: keep, shape: "^[A-Z][a-z]{2,20} [A-Z][a-z]{2,20}$"}')
    for _ in range(5):
        path.write_text(text, "utf-8")
        try:
            load_policy(path, env="dev")
        except PolicyError as fault:
            lines = text.splitlines()
            for said in fault.faults:
                at = re.search(r':(\d+): examples\[\d+\]: would send (".*") at \S+\.(\w+), expected "(.*)"$', said)
                where = int(at[1]) - 1
                lines[where] = re.sub(rf'({at[3]}: )"?{re.escape(at[4])}"?', lambda found, at=at: found[1] + at[2], lines[where])
            text = "\n".join(lines) + "\n"
        else:
            return path
    raise AssertionError("the examples do not come to say what the opened policy sends")


class Clinic:
    """A home directory and the command as a process."""

    def __init__(self, home: Path) -> None:
        self.home = home
        for name in ("audit", "run"):
            (home / name).mkdir(mode=0o700)
        own = {"PHI_AUDIT_DIR": home / "audit", "PHI_GUARD_RUNTIME_DIR": home / "run", "PHI_GUARD_SWITCH": home / "switch.json"}
        self.environ = {k: v for k, v in os.environ.items() if not k.startswith(("PHI_", "LANGSMITH_"))}
        self.environ |= {k: str(v) for k, v in own.items()} | {"PYTHONPATH": str(Path(__file__).parents[2])}

    def start(self, *args):
        command = [sys.executable, "-c", LAUNCH, *map(str, args)]
        return subprocess.Popen(
            command, cwd=self.home, env=self.environ, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            start_new_session=True,
        )  # fmt: skip

    def audit(self, *args, expect=0):
        """Run a command to its end."""
        process = self.start(*args)
        try:
            out, err = process.communicate(timeout=PATIENTLY)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        assert process.returncode == expect, (args, process.returncode, out[-2000:], err[-2000:])
        assert "Traceback" not in err
        return out, err

    def gonogo(self, directory, *args, expect):
        """The review's answer in JSON."""
        return json.loads(self.audit("gonogo", "-d", directory, *args, "--format", "json", expect=expect)[0])

    def held(self, name):
        return json.loads((self.home / name).read_text("utf-8"))


@pytest.fixture(scope="module")
def clinic(tmp_path_factory):
    """A review that was killed in the rehearsal of the alerts, and gone on with; ``first`` is its answer."""
    here = Clinic(tmp_path_factory.mktemp("g"))
    home = here.home
    (home / "gates.yaml").write_text(lowered_gates(), "utf-8")
    (home / "calls.json").write_text(json.dumps({"calls": [call(n) for n in range(3)]}))
    rules = yaml.safe_load(shipped("alerts.yaml").read_text("utf-8"))
    rules["rules"] = {name: rules["rules"][name] for name in ("error_rate", "ttft_p95", "tool_failure")}
    (home / "alerts.yaml").write_text(yaml.safe_dump(rules, sort_keys=False), "utf-8")
    begun = (
        "gonogo", "-d", "review", "--local", "--calls", 3, "--minutes", 0, "--script", "calls.json", "--gates", "gates.yaml",
        "--rules", "alerts.yaml", "--known-answers", 5, "--seed", 3,
    )  # fmt: skip
    process = here.start(*begun)
    end = time.monotonic() + PATIENTLY
    try:
        while not any(step["name"] == "rehearsal" for step in _steps(home)):
            assert process.poll() is None, process.stderr.read()[-2000:]
            assert time.monotonic() < end
            time.sleep(0.2)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    here.killed = _steps(home)
    here.first = here.gonogo("review", "--resume", expect=exits.UNPROVEN)
    for name in ("ada", "cleo"):
        public = json.loads(here.audit("keys", "new", name, "--format", "json")[0])["public_key"]
        here.audit("keys", "trust", name, public, "--role", "approver")
    return here


def _steps(home):
    """The steps that are written down; none while the record is not there."""
    try:
        return json.loads((home / "review" / "gonogo.json").read_text("utf-8"))["steps"]
    except FileNotFoundError:
        return []


def review(clinic, name, *, accuse=False):
    """One person's review of the sample, by the parts behind the command's terminal; who accuses calls a clean trace a leak."""
    home = clinic.home
    reviewed = read_report(home / "review" / "scan.json")
    window = Window(datetime.fromisoformat(reviewed.since), datetime.fromisoformat(reviewed.until))
    with run_store(home / "review" / "traces.sqlite3") as url:
        source = open_source(project=reviewed.project, window=window, file=None, endpoint=url, api_key="local")
        traces = gather(source.runs(), reviewed.selection)
    items = line_up(reviewed.selection, traces, key=fingerprint_key(home / "audit"), report_sha256=reviewed.sha256, reviewer=name)
    path = home / f"{name}.json"
    path.unlink(missing_ok=True)
    at = datetime.now(UTC).isoformat(timespec="seconds")
    made = document.write(Review(name, reviewed.sha256, reviewed.selection.sha256, at, "", len(items), 0, 0, ()), path)
    session = Session(items, traces, made, path, lambda: datetime.now(UTC))
    while (item := session.current()) is not None:
        if item.kind or accuse:
            accuse = accuse and bool(item.kind)
            session.decide(item.token, "leak", entity="name", place=item.place or session.lines(item)[0].place)
        else:
            session.decide(item.token, "clear")
    session.close()
    return path.name


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--resume"], "--resume: name the directory"),
        (["-d", "none", "--resume"], "none/gonogo.json: cannot be read"),
        (["-d", "held"], "held: holds a review already"),
        (["--local", "--from", "gates.yaml"], "--local starts a store of its own"),
        (["--local", "--sign", "cleo"], "--sign KEY and --name NAME go together"),
        (["--local", "--without", "everything"], "--without: no such layer: everything"),
        (["-d", "new", "--project", "clinic"], "LANGSMITH_API_KEY is not set"),
        (["-d", "new", "--local", "--policy", "gates.yaml"], "the policy cannot be used"),
        (["-d", "new", "--local", "--gates", "none.yaml"], "none.yaml: cannot be read"),
        (["-d", "new", "--local", "--evidence", "gates.yaml"], "gates.yaml: file:"),
        (["--week", "7"], "--week"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_held_is_a_usage_error(tmp_path, monkeypatch, args, said):
    """Exit 2 and what to do, before anything is played; nothing that is there is written over."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LANGSMITH_API_KEY", raising=False)
    monkeypatch.setenv("PHI_AUDIT_DIR", str(tmp_path / "audit"))
    (tmp_path / "gates.yaml").write_text("version: 1\n")
    (tmp_path / "held").mkdir()
    (tmp_path / "held" / "gonogo.json").write_text("kept")
    done = CliRunner().invoke(gonogo, args)
    assert (done.exit_code, said in done.output) == (exits.USAGE, True), done.output
    assert (tmp_path / "held" / "gonogo.json").read_text() == "kept"


@pytest.mark.slow
def test_a_killed_review_goes_on_where_it_was(clinic):
    """Of what was done before the kill nothing is done again; what was under way is."""
    assert {step["name"] for step in clinic.killed} == {"policy", "rehearsal"}
    assert {step["name"]: step["again"] for step in clinic.first["steps"]} == {
        "policy": True, "rehearsal": True, "alerts": False, "scan": False,
    }  # fmt: skip
    (before,) = [step for step in clinic.killed if step["name"] == "rehearsal"]
    (after,) = [step for step in clinic.held("review/gonogo.json")["steps"] if step["name"] == "rehearsal"]
    assert after == before
    log = (clinic.home / "review" / "steps.log").read_text("utf-8")
    assert [log.count(f" {name} begins") for name in ("rehearsal", "alerts", "scan")] == [1, 2, 1]


@pytest.mark.slow
def test_without_people_it_is_unproven_and_says_what_to_run(clinic):
    """Everything that a machine can show is shown; the report and its pages are there."""
    told = clinic.first
    assert (told["outcome"], told["reasons"]) == (
        "UNPROVEN", ["human_review: no evidence of a signed review was given; see `phi-audit review`"],
    )  # fmt: skip
    assert [(week["week"], week["state"]) for week in told["weeks"]] == [(n, "proven") for n in range(1, 5)] + [(5, "unproven")]
    assert [row["command"].split()[1] for row in told["next"]] == ["serve", "review", "gonogo"]
    report = clinic.held("review/report.json")
    assert report["rehearsal"]["load"]["at_once"] == 3
    assert report["cross_check"]["missing"] == report["cross_check"]["unexpected"] == 0
    page = (clinic.home / "review" / "report.html").read_text("utf-8")
    assert "at the same moment" in page
    assert not any(name in page for name in PEOPLE)
    assert (clinic.home / "review" / "account" / OUTBOX).is_file()


@pytest.mark.slow
def test_two_reviews_and_a_signature_make_it_go(clinic):
    """GO, signed, verified offline with the reviews and the log; a changed review is broken evidence, and no reviewer may sign."""
    ada, ben = review(clinic, "ada"), review(clinic, "ben")
    people = ("--review", ada, "--review", ben)
    assert clinic.gonogo("review", "--resume", "--review", ada, expect=exits.UNPROVEN)["outcome"] == "UNPROVEN"  # one alone
    clinic.audit("gonogo", "-d", "review", "--resume", *people, "--sign", "ada", "--name", "ada", expect=exits.USAGE)
    told = clinic.gonogo("review", "--resume", *people, "--sign", "cleo", "--name", "cleo", expect=exits.GO)
    assert (told["outcome"], told["verdict"]) == ("GO", "GO")
    assert all(step["again"] for step in told["steps"])
    assert told["report"]["signed"] == [{"name": "cleo", "role": "approver"}]
    log = ("--log", clinic.home / "audit")
    clinic.audit("verify", "review/report.json", ada, ben, *log, "--require", "approver")
    clinic.audit("verify", "review/report.json", "review/report.html", "review/report.md")
    changed = clinic.home / "changed.json"
    changed.write_text((clinic.home / ada).read_text("utf-8").replace('"clear"', '"unsure"', 1))
    clinic.audit("gonogo", "-d", "review", "--resume", "--review", "changed.json", "--review", ben, expect=exits.BROKEN_EVIDENCE)
    weeks = json.loads(clinic.audit("gonogo", "weeks", "review/report.json", "--format", "json")[0])
    assert {week["state"] for week in weeks["weeks"]} == {"proven"}
    (clinic.home / "report.json").write_text((clinic.home / "review/report.json").read_text("utf-8").replace('"GO"', '"NO_GO"', 1))
    clinic.audit("gonogo", "weeks", "report.json", expect=exits.BROKEN_EVIDENCE)


@pytest.mark.slow
def test_what_people_find_rolls_back(clinic):
    """A leak in one review: NO-GO; the switch is off and held, and only with --enforce."""
    clinic.audit("switch", "on", "--reason", "before the review")
    people = ("--review", review(clinic, "eve", accuse=True), "--review", review(clinic, "fay"))
    assert clinic.gonogo("review", "--resume", *people, expect=exits.NO_GO)["switch"] == ""
    assert json.loads(clinic.audit("switch", "status", "--format", "json")[0])["on"]
    told = clinic.gonogo("review", "--resume", *people, "--enforce", expect=exits.NO_GO)
    assert "off and held" in told["switch"]
    state = json.loads(clinic.audit("switch", "status", "--format", "json")[0])
    assert (state["on"], state["hold"]) == (False, "leak")
    clinic.home.joinpath("switch.json").unlink()


@pytest.mark.slow
def test_a_weakened_scan_is_unproven_and_runs_alone(clinic):
    """A layer left out: only the scan is run again, nothing found counts as shown, and no week is GO."""
    shutil.copytree(clinic.home / "review", clinic.home / "weak")
    told = clinic.gonogo("weak", "--resume", "--without", "presidio", expect=exits.UNPROVEN)
    assert any("without presidio" in reason for reason in told["reasons"])
    assert [step["name"] for step in told["steps"] if not step["again"]] == ["scan"]
    assert {week["verdict"] for week in told["weeks"]} == {"UNPROVEN"}


@pytest.mark.slow
def test_an_opened_field_is_no_go_and_rolls_back(clinic):
    """One canary's field kept by the policy: found in the project, NO-GO, exit 1, switch off and held."""
    opened_policy(clinic.home / "opened.yaml")
    (clinic.home / "one.json").write_text(json.dumps({"calls": [call(0)]}))
    told = clinic.gonogo(
        "opened", "--local", "--policy", "opened.yaml", "--script", "one.json", "--calls", 1, "--minutes", 0, "--no-measure",
        "--gates", "gates.yaml", "--evidence", "review/alerts.json", "--known-answers", 1, "--enforce", expect=exits.NO_GO,
    )  # fmt: skip
    states = {gate["name"]: gate["state"] for week in told["weeks"] for gate in week["gates"]}
    assert (states["phi_findings"], states["canaries"], states["twenty_clean_spans"]) == ("failed", "failed", "failed")
    assert states["alerts_fire"] == "unproven"  # given, so not rehearsed, and of another policy
    assert "alerts" not in {step["name"] for step in told["steps"]}
    assert "off and held" in told["switch"]
    state = json.loads(clinic.audit("switch", "status", "--format", "json")[0])
    assert (state["on"], state["hold"]) == (False, "leak")
    assert not any(PEOPLE[0] in (clinic.home / "opened" / f"report.{fmt}").read_text("utf-8") for fmt in ("json", "html", "md"))
    assert [row["command"].split()[1] for row in told["next"]][:3] == ["switch", "incident", "purge"]
    for more, code in ((("--week", 1), exits.GO), (("--review", "gates.yaml"), exits.BROKEN_EVIDENCE)):
        clinic.home.joinpath("switch.json").unlink()
        clinic.audit("switch", "on", "--reason", "by hand")
        clinic.audit("gonogo", "-d", "opened", "--resume", "--enforce", *more, expect=code)  # whichever week, and before a review
        state = json.loads(clinic.audit("switch", "status", "--format", "json")[0])
        assert (state["on"], state["hold"]) == (False, "leak")
