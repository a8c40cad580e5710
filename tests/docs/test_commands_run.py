"""Every command of the pages is executed: here, in a project of made-up calls; or in the test that is named; or it says why not."""

from __future__ import annotations

import csv
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import traceback
import urllib.request
from datetime import UTC, datetime
from pathlib import Path
from unittest import mock

import kept_reports
import pytest
from click.testing import CliRunner
from fakes import Store
from made_calls import Calls

from audit.cli import main
from audit.report import render
from phi_guard.policy import shipped

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
ATTACH = (ROOT / "docs" / "attach.md").read_text("utf-8")
PROJECT = "medical-voice-agent-prod"

STORY = (
    # What is judged where nothing has happened yet.
    ("phi-audit plan --max-leak 1% --population 5000", 0),
    ("phi-audit alerts list", 0),
    ("phi-audit keys new ben", 0),
    ("phi-audit keys new cleo", 0),
    ("phi-audit keys list", 0),
    ('phi-audit keys trust "Ben Moser" PUBLIC_KEY_OF_BEN --role reviewer', 0),
    ('phi-audit keys trust "Cleo Frei" PUBLIC_KEY_OF_CLEO --role approver', 0),
    ('phi-audit keys trust "Dana Roth" PUBLIC_KEY_OF_DANA --role approver', 0),
    ("phi-audit policy lint policies/clinic.yaml", 0),
    ("phi-audit policy test policies/clinic.yaml --env prod", 0),
    ("phi-audit policy lint policies/safe_harbor.yaml", 0),
    ("phi-audit policy test policies/safe_harbor.yaml --env prod", 0),
    ("phi-audit policy lint my-clinic/policies/clinic.yaml", 0),
    ("phi-audit policy test my-clinic/policies/clinic.yaml --env prod", 0),
    ('phi-audit policy explain --tool book_appointment --path inputs.doctor_name --value "Dr. Lee"', 0),
    ("phi-audit policy explain --tool book_appointment --path inputs.favourite_colour --value green", 0),
    ('phi-audit policy explain --tool book_appointment --path inputs.phone --value "+41 79 555 01 23"', 0),
    (
        'phi-audit policy explain --policy policies/clinic.yaml --tool book_appointment --path inputs.phone --value "+41 79 555 01 23"',
        0,
    ),
    ("phi-audit doctor --source agent/", 0),
    ("phi-audit doctor --source my_agent/", 0),
    ("phi-audit roster build patients.csv -o roster.idx", 0),
    ("phi-audit roster test roster.idx patients.csv --row 12", 0),
    ('phi-audit switch on --reason "first rehearsal"', 0),
    ("phi-audit switch status", 0),
    ("phi-audit relay status", 3),  # none runs here, and that is what it says
    # A leak is found; the switch goes off, and is held.
    ("phi-audit scan --project medical-voice-agent-prod --env prod --since 24h --enforce --json report.json", 1),
    ('phi-audit switch off --reason "leak suspected" --hold leak', 0),
    ('phi-audit switch off --reason "leak suspected" --hold leak --wait 5s', 0),
    ("phi-audit incident open --report report.json --zone Europe/Zurich", 0),
    ("phi-audit incident open --report report.json --discovered 2026-11-20T09:10+01:00 --zone Europe/Zurich", 0),
    ("phi-audit incident note ID --discovered 2026-11-19T16:00+01:00", 0),
    ("phi-audit incident contain ID", 0),
    ("phi-audit incident show ID", 0),
    ("phi-audit report report.json --html report.html", 0),
    ("phi-audit purge report.json", 0),
    ("phi-audit purge report.json --yes -o receipts.json", 0),  # the local store deletes at once
    ("phi-audit purge --resume receipts.json --yes --wait 1h", 0),
    ('phi-audit incident note ID --receipts receipts.json --text "purge asked for"', 0),
    ("phi-audit incident draft ID -o assessment.md", 0),
    ('phi-audit incident assess ID --people 3 --decision breach --text "decided by the privacy officer, who signed the draft"', 0),
    ('phi-audit incident close ID --text "the field is redacted now; the example stands in the policy"', 0),
    # What a report is good for.
    (
        (
            'phi-audit baseline create report.json --finding 9f2c41aa03b7d6e5 --owner "M. Rey"'
            ' --reason "label of the test clinic" --expires 90d'
        ),
        0,
    ),
    ("phi-audit baseline diff report.json", 1),  # the value is found by two layers, and one finding was accepted
    ("phi-audit baseline prune --dry-run", 0),
    ("phi-audit report diff last-week.json report.json", 1),  # something is new
    ("phi-audit report diff report.json fixed.json", 0),
    ("phi-audit log verify", 0),
    ("phi-audit log verify --anchor /mnt/other/phi-audit.anchor", 0),
    ('phi-audit keys untrust "Cleo Frei"', 0),
    # Day to day.
    ("phi-audit alerts check --project medical-voice-agent-prod", 1),  # the leak fires
    ('phi-audit alerts silence ttft_p95 --for 2h --reason "load test"', 0),
    ("phi-audit export --project medical-voice-agent-prod --by session --format csv --directory exports --cursor exports/cursor.json", 0),
    (
        (
            "phi-audit export --project medical-voice-agent-prod --by session --by tool --format csv --directory exports"
            " --cursor exports/cursor.json"
        ),
        0,
    ),
)
"""In this order: the command as a page has it, and the exit code that it must end with here, or those that it may."""

STANDS_FOR = {
    "/mnt/other/phi-audit.anchor": "other.anchor",
    "agent/": "my_agent/",
}
"""What stands here for what a page says of another machine. ID, PUBLIC_KEY_OF_... and a fingerprint are what was printed before."""

ELSEWHERE = {
    "rehearse": "tests/cli/test_rehearse_command.py",
    "review": "tests/cli/test_story.py",
    "sign": "tests/cli/test_story.py",
    "verify": "tests/cli/test_story.py",
    "switch on": "tests/cli/test_story.py",
    "switch quarantine": "tests/cli/test_switch_command.py",
    "scan": "tests/cli/test_story.py",
    "gonogo": "tests/cli/test_gonogo_command.py",
    "watch": "tests/cli/test_watch_command.py",
    "disclosures": "tests/cli/test_disclosures_command.py",
    "report": "tests/cli/test_report_command.py",
    "alerts rehearse": "tests/wire/test_alert_rehearsal.py",
    "alerts watch": "tests/cli/test_alerts_command.py",
    "init": "tests/cli/test_init_command.py",
    "bench detection": "tests/cli/test_bench_command.py",
    "bench overhead": "tests/cli/test_bench_overhead.py",
    "bench scan": "tests/cli/test_bench_scan.py",
    "dashboard": "tests/cli/test_dashboard_command.py",
    "policy suggest": "tests/docs/test_add_a_tool.py",
    "policy explain": "tests/docs/test_add_a_tool.py",
    "policy diff": "tests/docs/test_add_a_tool.py",
    "relay": "tests/cli/test_relay_command.py",
}
"""Too long, or a terminal's or a service's: the test that runs the command for real."""

NOT_RUN = {
    "doctor --live": "asks the services with the reader's keys; tests/cli/test_doctor_live.py has stand-ins for them",
    "alerts test --sink slack": "posts to the reader's channel; tests/cli/test_alerts_command.py has a stand-in for it",
    "bench switch": "kills a Redis server twenty times, for a minute",
    "serve": "does not end; every test of this file reads from the store that it runs",
}
"""What cannot be executed here, and why."""


def lines(page):
    """The commands of a page as a reader would type them, comments left out: those in fences and in indented blocks."""
    text = page.read_text("utf-8")
    blocks = [*re.findall(r"^```\w*\n(.*?)^```", text, re.DOTALL | re.MULTILINE), *re.findall(r"(?:^ {4}\S[^\n]*\n)+", text, re.MULTILINE)]
    for line in "".join(blocks).splitlines():
        if found := re.match(r"\s*(?:\$ )?((?:[A-Z_]+=\S+ )*(?:phi-audit|make|python) .*)$", line):
            yield re.sub(r"\s+#.*$", "", found[1]).strip()


def where(line):
    """Where a command is executed, or why it is not; empty where nobody says."""
    if line in dict(STORY):
        return "here"
    words = line.partition("phi-audit ")[2]
    told = {**ELSEWHERE, **NOT_RUN}
    return next((told[name] for name in sorted(told, key=len, reverse=True) if words == name or words.startswith(f"{name} ")), "")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_command_is_forgotten(page):
    """Each is in the story, has its test, or a reason. A target of make is in the Makefile, a script is there."""
    for line in lines(page):
        if line.startswith("make "):
            assert re.search(rf"^{line.split()[1]}:", (ROOT / "Makefile").read_text(), re.MULTILINE), line
        elif " python " in f" {line}":
            named = [word for word in line.split() if word.startswith(("tests/", "docs/"))]
            assert named, line
            assert all((ROOT / name).exists() for name in named), line
        else:
            assert where(line), f"{page.name}: {line}: put it into STORY, or say which test runs it or why none can"


def test_nothing_is_listed_that_no_page_has():
    """A command that went from the pages goes from here, too."""
    there = {line for page in PAGES for line in lines(page)}
    assert [line for line, _ in STORY if line not in there] == []
    told = [line.partition("phi-audit ")[2] for line in there if line not in dict(STORY)]
    assert [name for name in {**ELSEWHERE, **NOT_RUN} if not any(f"{line} ".startswith(f"{name} ") for line in told)] == []


@pytest.mark.parametrize("name", ELSEWHERE)
def test_the_test_that_is_named_runs_the_command(name):
    """The file is there, and gives these words to the program."""
    text = (ROOT / ELSEWHERE[name]).read_text("utf-8")
    first, _, second = name.partition(" ")
    spelt = rf'"{first}",\s*"{second}"|"{second}"|{second}_{first}\(' if second else rf'"{first}"'
    assert re.search(spelt, text) or f"phi-audit {name}" in text


def clean():
    """The environment without what a developer has set."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("PHI_", "LANGSMITH_", "SLACK_", "PAGERDUTY_"))}


class Project:
    """A directory as the pages have it, and the command as a process in it."""

    def __init__(self, home, url):
        self.home, self.url, self.keys = home, url, {}
        (home / "run").mkdir(mode=0o700, exist_ok=True)
        (home / "state").mkdir(mode=0o700)
        (home / "audit").mkdir(mode=0o700)
        for name in ("policies", "my-clinic/policies"):
            shutil.copytree(shipped("clinic.yaml").parent, home / name)
        (home / "my_agent").mkdir()
        (home / "my_agent" / "agent.py").write_text(re.findall(r"^```python\n(.*?)^```", ATTACH, re.DOTALL | re.MULTILINE)[0])
        with (home / "patients.csv").open("w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(["given_name", "family_name", "date_of_birth", "phone", "record_number"])
            for n in range(20):
                rows.writerow(
                    ["Ottilie", f"Quarrendon{'abcdefghijklmnopqrst'[n]}", f"19{40 + n}-03-12", f"+41 79 555 01 {n:02}", f"MRN 4812{n:04}"]
                )
        self.environ = clean() | {
            "HOME": str(home), "PYTHONPATH": str(ROOT), "PHI_GUARD_CONFIG": "none", "PHI_AUDIT_DIR": str(home / "audit"),
            "PHI_GUARD_RUNTIME_DIR": str(home / "run"), "PHI_GUARD_STATE_DIR": str(home / "state"), "LANGSMITH_ENDPOINT": url,
            "LANGSMITH_API_KEY": "local", "PHI_AUDIT_KNOWN_ANSWERS": "0", "PHI_AUDIT_ANCHOR": str(home / "other.anchor"),
        }  # fmt: skip

    def run(self, line):
        """Run a line of a page; what it names of another machine is what stands for it here."""
        words = [self.here(word) for word in shlex.split(line)[1:]]
        if words[0] == "export":  # the next one has other rows, and a cursor goes with its rows
            shutil.rmtree(self.home / "exports", ignore_errors=True)
        done = self.process(words) if words[0] == "scan" else self.within(words)
        if words[:2] == ["keys", "new"]:
            self.keys[words[2]] = done[1].strip()
        return done

    def process(self, words):
        """In a process of its own, which takes the detectors away with it."""
        done = subprocess.run(
            [sys.executable, "-m", "audit", *words], cwd=self.home, env=self.environ, capture_output=True, text=True, check=False,
            timeout=170, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        return done.returncode, done.stdout, done.stderr

    def within(self, words):
        """In this process, by the program's own entry, with the reader's environment and directory alone: forty imports less."""
        with pytest.MonkeyPatch.context() as patch, mock.patch.dict(os.environ, self.environ, clear=True):
            patch.chdir(self.home)
            done = CliRunner().invoke(main, words, prog_name="phi-audit")
        left = [] if done.exception is None or isinstance(done.exception, SystemExit) else traceback.format_exception(done.exception)
        return done.exit_code, done.stdout, done.stderr + "".join(left)

    def here(self, word):
        if word == "ID":
            return max((self.home / "audit" / "incidents").glob("*.json"), key=lambda path: path.stat().st_mtime_ns).stem
        if word.startswith("PUBLIC_KEY_OF_"):
            return self.keys.get(word.removeprefix("PUBLIC_KEY_OF_").lower(), "5" * 64)
        if re.fullmatch(r"[0-9a-f]{16}", word):
            return json.loads((self.home / "report.json").read_text())["findings"][0]["fingerprint"]
        return STANDS_FOR.get(word, word)

    def send(self, runs):
        """Put runs into the store, past any relay."""
        body = json.dumps({"post": [run | {"session_name": PROJECT} for run in runs]}).encode()
        asked = urllib.request.Request(f"{self.url}/runs/batch", body, {"x-api-key": "local", "Content-Type": "application/json"})
        urllib.request.urlopen(asked, timeout=30).close()


@pytest.fixture
def project(tmp_path):
    """Six calls of the last hours, one of which holds a telephone number where none belongs; and two reports that were kept."""
    store = Store(tmp_path)
    try:
        here = Project(tmp_path, store.url)
        now = datetime.now(UTC)
        runs = [run for run in Calls(6, now=now, turns=4, days=0.2).runs() if run.get("end_time")]
        tool = next(run for run in runs if str(run["name"]).startswith("tool."))
        tool["inputs"] = {"phone": "+41 79 555 01 44"}
        here.send(runs)
        for name, report in (("last-week.json", kept_reports.kept()), ("fixed.json", kept_reports.kept(made_at="2026-11-21T12:00:00Z"))):
            (tmp_path / name).write_text(render(report, "json", frozenset()))
        yield here
    finally:
        store.stop()


@pytest.mark.slow
def test_each_command_does_what_its_page_says(project):
    """In the story's order; each ends with its exit code, without a traceback, and nothing of a patient is printed."""
    wrong = []
    for line, code in STORY:
        ended, said, told = project.run(line)
        if ended not in ({code} if isinstance(code, int) else code) or "Traceback" in told:
            wrong.append(f"{line}: {ended}, not {code}: {said[-300:]} {told[-600:]}")
        assert "555 01 44" not in said + told
    assert wrong == [], "\n".join(wrong)
    assert {"report.json", "report.html", "roster.idx", "receipts.json", "assessment.md", "phi-audit.baseline.yaml", "exports"} <= {
        path.name for path in project.home.iterdir()
    }
