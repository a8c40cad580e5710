"""The audit as a compliance officer lives it: real commands, a real store, a relay's own account, people at a terminal and at a page.

The bars of time and of recall are lowered, since the machine that tests may be busy and plants cost time; every other gate is as shipped.
"""

from __future__ import annotations

import html
import json
import os
import pty
import re
import select
import subprocess
import sys
import time
import urllib.request
from datetime import UTC, datetime, timedelta
from http.cookiejar import CookieJar
from pathlib import Path
from urllib.parse import urlencode

import pytest
from fakes import Store
from stores import NAME, PHONE, PLANTS, invent, write_jsonl

from audit.review.content import pack, unpack
from audit.source import Window
from audit.source.langsmith import LangSmithProject
from phi_guard.policy import load_policy, shipped

PROJECT = "clinic-story"
CALLS = 10
PATIENTLY = 480.0
FORMATS = ("html", "md", "pdf", "sarif", "junit", "csv")
ALERTS = [{"name": name, "fired": True, "resolved": True} for name in ("error_rate", "ttft_p95", "tool_failure")]


class Clinic:
    """A home directory, a store, and the command as a process."""

    def __init__(self, home: Path, url: str) -> None:
        self.home, self.url = home, url
        (home / "audit").mkdir(mode=0o700)
        (home / "run").mkdir(mode=0o700)
        own = {"PHI_AUDIT_DIR": home / "audit", "PHI_GUARD_RUNTIME_DIR": home / "run", "PHI_GUARD_SWITCH": home / "switch.json"}
        self.environ = {k: v for k, v in os.environ.items() if not k.startswith(("PHI_", "LANGSMITH_"))}
        self.environ |= {k: str(v) for k, v in own.items()} | {"LANGSMITH_ENDPOINT": url, "LANGSMITH_API_KEY": "local"}

    def audit(self, *args: object, expect: int = 0) -> subprocess.CompletedProcess[str]:
        """Run a command; its exit code is what is documented, and no fault shows as a traceback."""
        command = [sys.executable, "-m", "audit", *map(str, args)]
        done = subprocess.run(
            command, capture_output=True, text=True, cwd=self.home, env=self.environ, timeout=PATIENTLY, check=False,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert done.returncode == expect, (args, done.returncode, done.stdout[-1500:], done.stderr[-1500:])
        assert "Traceback" not in done.stderr
        return done

    def told(self, *args: object, expect: int = 0) -> dict[str, object]:
        """What a command answers in JSON."""
        return json.loads(self.audit(*args, "--format", "json", expect=expect).stdout)

    def held(self, name: str) -> dict[str, object]:
        return json.loads((self.home / name).read_text())

    def scan(self, *args: object, expect: int) -> dict[str, object]:
        """A scan of the project with all the evidence there is."""
        midnight = datetime.fromisoformat(self.held("rehearsal.json")["started_at"]).replace(hour=0, minute=0, second=0)
        minutes = int((datetime.now(UTC) - midnight).total_seconds()) // 60  # the account begins with its day, the window after that
        self.audit(
            "scan", "--project", PROJECT, "--since", f"{max(1, min(60, minutes))}m", "--env", "dev", "--gates", "gates.yaml",
            "--known-answers", 5, "--seed", 3, "--account", "account",
            "--evidence", "rehearsal.json", "--evidence", "alerts.json", *args, expect=expect,
        )  # fmt: skip
        return self.held(str(args[args.index("--json") + 1]))

    def runs(self) -> list[dict[str, object]]:
        now = datetime.now(UTC)
        window = Window(now - timedelta(days=7), now + timedelta(minutes=1))
        return list(LangSmithProject(endpoint=self.url, api_key="local", project=PROJECT, window=window).runs())

    def send(self, call: list[dict[str, object]]) -> None:
        """Put a call into the project, past the relay."""
        body = json.dumps({"post": [run | {"session_name": PROJECT} for run in call]}).encode()
        asked = urllib.request.Request(f"{self.url}/runs/batch", body, {"x-api-key": "local", "Content-Type": "application/json"})
        urllib.request.urlopen(asked, timeout=30).close()


@pytest.fixture(scope="module")
def clinic(tmp_path_factory):
    """Ten rehearsed calls in a store, with the relay's account of them."""
    home = tmp_path_factory.mktemp("s")
    store = Store(home)
    try:
        here = Clinic(home, store.url)
        here.audit(
            "rehearse", "--calls", CALLS, "--at-once", 10, "--minutes", 0.9, "--no-measure", "--project", PROJECT, "--deliver", 200,
            "--keep-account", "account", "--format", "json", "-o", "rehearsal.json",
        )  # fmt: skip
        evidence = here.held("rehearsal.json")
        cost = {"p50": 40.0, "p99": 90.0, "max": 400.0, "n": 1000}  # a busy machine measures itself, not the recorder
        late = {"p50": 90.0, "p99": 300.0, "max": 900.0, "n": 1000, "untraced_p99": 280.0}
        measured = {"overhead_us": cost, "in_call_record_us": cost, "in_call_handler_us": cost, "loop_lateness_us": late}
        more = {"load": {"at_once": 10, "minutes": 5.0}, "ttft_error_ms": 10.0, "ttft_unpaired": 0}  # so long a story nobody waits for
        (home / "rehearsal.json").write_text(json.dumps(evidence | measured | more))
        policy = load_policy(shipped("clinic.yaml"), env="dev").digest
        held = {"started_at": evidence["started_at"], "policies": {"dev": policy}, "rules": {"dev": "0" * 64}}
        held |= {"schema": "phi-audit.alerts-rehearsal/1", "alerts": ALERTS, "quiet_day": {"messages": []}}
        (home / "alerts.json").write_text(json.dumps(held))
        gates = shipped("gates.yaml").read_text()
        assert gates.count("at_least: 0.95") == 1
        (home / "gates.yaml").write_text(gates.replace("at_least: 0.95", "at_least: 0.3"))
        for name, role in (("ada", "reviewer"), ("ben", "reviewer"), ("cleo", "approver")):
            public = here.told("keys", "new", name)["public_key"]
            here.audit("keys", "trust", name, public, "--role", role)
        yield here
    finally:
        store.stop()


def _plain(text):
    return "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in text)


def lines_of(clinic):
    """Every line of the calls as they are: what is none of them was planted, as a reviewer sees who knows what was said."""
    calls = {}
    for run in clinic.runs():
        calls.setdefault(run["trace_id"], []).append(run)
    return {f"{_plain(line.label)}: {_plain(line.text)}" for runs in calls.values() for line in unpack(pack(runs))}


def at_terminal(clinic, report, name, known, *, accuse=False):
    """A reviewer at a terminal of their own; who accuses calls the first clean trace a leak."""
    command = [sys.executable, "-m", "audit", "review", report, "--reviewer", name, "-o", f"{name}.json"]
    main, end = pty.openpty()
    process = subprocess.Popen(command, stdin=end, stdout=end, stderr=end, cwd=clinic.home, env=clinic.environ, start_new_session=True)
    os.close(end)
    seen, until = "", time.monotonic() + PATIENTLY

    def wait(pattern):
        nonlocal seen
        while not (match := re.search(pattern, seen)):
            assert time.monotonic() < until, seen[-600:]
            if select.select([main], [], [], 1)[0]:
                seen += os.read(main, 65536).decode(errors="replace")
        seen, before = seen[match.end() :], seen[: match.end()]
        return before

    def write(text):
        os.write(main, f"{text}\n".encode())

    wait(r"Type show to go on")
    write("show")
    while "All are decided" not in (screen := wait(r"later \(q\)|for later \(q\) \[q\]|All are decided")):
        rows = re.findall(r"^ +(\d+)  (.*?)\r?$", screen, re.MULTILINE)
        planted = [n for n, line in rows if line not in known]
        if not planted and accuse:
            planted, accuse = [rows[-1][0]], False
        assert len(planted) <= 1, "a copy has one plant"
        write("l" if planted else "c")
        if planted:
            wait("number of the line")
            write(planted[0])
            wait("class, by number")
            write("1")
    write("e")
    try:
        while chunk := os.read(main, 65536):
            seen += chunk.decode(errors="replace")
    except OSError:
        pass  # the other end is closed
    os.close(main)
    assert process.wait(timeout=60) == 0, seen[-800:]


def at_page(clinic, report, name, known):
    """A reviewer at the page, by what its forms send."""
    command = [sys.executable, "-m", "audit", "review", report, "--reviewer", name, "-o", f"{name}.json", "--web"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, cwd=clinic.home, env=clinic.environ)
    try:
        address = re.search(r"http://127\.0\.0\.1:\d+/open\?token=\S+", process.stderr.readline())[0]
        browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
        page = browser.open(address, timeout=30).read().decode()

        def send(act, **form):
            form["form"] = re.search(r'name="form" value="([^"]+)"', page)[1]
            there = f"{address.partition('/open')[0]}/{act}"
            return browser.open(there, urlencode(form).encode(), timeout=30).read().decode()

        page = send("consent", word="show")
        while item := re.search(r'name="item" value="([^"]+)"', page):
            rows = re.findall(
                r'name="place" value="([^"]+)"[^>]*><span class="at">(.*?)</span><span class="text">(.*?)</span>', page, re.DOTALL
            )
            assert rows
            planted = [place for place, at, text in rows if f"{html.unescape(at)}: {html.unescape(text)}" not in known]
            said = {"said": "leak", "entity": "name", "place": planted[0]} if planted else {"said": "clear"}
            page = send("decide", item=item[1], **said)
        assert "The review has ended" in send("end")
        assert process.wait(timeout=60) == 0
    finally:
        process.kill()
        process.stderr.close()


def gates(report):
    return {gate["name"]: gate["state"] for gate in report["gates"]}


def sign(clinic, source, name, role, output, *more, expect=0):
    return clinic.audit("sign", source, "--name", name, "--role", role, "--key", name, "-o", output, *more, expect=expect)


def release(clinic, *more, expect):
    why = ("--reason", "the audit says GO", "--env", "dev", "--project", PROJECT)
    return clinic.audit("switch", "on", *why, "--gates", "gates.yaml", *more, expect=expect)


def test_a_leak_from_found_to_released(clinic):
    """Found, contained, purged, assessed; scanned again, reviewed by two, signed, approved: GO, and only that lets telemetry go on."""
    clinic.audit("switch", "on", "--reason", "before the story")
    call = next(invent(1, 7, datetime.now(UTC) - timedelta(seconds=30), 0.001))
    hidden = PLANTS["name in notes"](call)
    clinic.send(call)
    leak = call[0]["trace_id"]

    found = clinic.scan("--enforce", "--json", "leak.json", "--html", "leak.html", expect=1)
    assert (found["verdict"]["state"], {each["trace_id"] for each in found["findings"] if each["severity"] != "low"}) == ("NO_GO", {leak})
    state = clinic.told("switch", "status")
    assert (state["on"], state["hold"]) == (False, "leak")
    assert found["digest"][:16] in state["reason"]

    opened = clinic.told("incident", "open", "--report", "leak.json", "--zone", "Europe/Zurich")
    name = opened["id"]
    clinic.audit("incident", "close", name, expect=2)  # not assessed yet
    clinic.audit("incident", "contain", name)
    assert clinic.told("purge", "leak.json")["counts"]["gone"] == 0  # only counted
    assert leak in {run["trace_id"] for run in clinic.runs()}
    clinic.audit("purge", "leak.json", "--yes", "-o", "receipts.json")
    assert leak not in {run["trace_id"] for run in clinic.runs()}
    clinic.audit("incident", "note", name, "--receipts", "receipts.json", "--text", "gone")
    clinic.audit("incident", "assess", name, "--decision", "low-probability", "--people", 1, "--text", "seen by two of ours, then deleted")
    clinic.audit("incident", "draft", name, "-o", "draft.md")
    assert "164.402" in (clinic.home / "draft.md").read_text()

    clean = clinic.scan("--json", "clean.json", expect=3)
    assert clean["verdict"]["reasons"] == ["human_review: no evidence of a signed review was given; see `phi-audit review`"]
    known = lines_of(clinic)
    at_terminal(clinic, "clean.json", "ada", known)
    at_page(clinic, "clean.json", "ben", known)
    sign(clinic, "clean.json", "ada", "reviewer", "read.json", "--review", "ada.json", "--review", "ben.json")
    sign(clinic, "read.json", "ben", "reviewer", "both.json")
    sign(clinic, "both.json", "ada", "approver", "self.json", expect=2)  # who reviewed may not approve
    clinic.audit("verify", "both.json", "--require", "approver", expect=4)
    release(clinic, "--report", "both.json", expect=4)  # nobody answers for it
    sign(clinic, "both.json", "cleo", "approver", "go.json")
    final = clinic.held("go.json")
    assert (final["verdict"], set(gates(final).values())) == ({**final["verdict"], "state": "GO", "reasons": []}, {"proven"})
    clinic.audit("verify", "go.json", "ada.json", "ben.json", "--log", clinic.home / "audit", "--require", "approver")

    pages = [f"go.{'xml' if fmt == 'junit' else fmt}" for fmt in FORMATS]
    clinic.audit("report", "go.json", *(part for fmt, page in zip(FORMATS, pages, strict=True) for part in (f"--{fmt}", page)))
    clinic.audit("verify", "go.json", *pages)
    change = clinic.told("report", "diff", "leak.json", "go.json")
    assert not change["new"]
    clinic.audit("report", "diff", "go.json", "leak.json", expect=1)

    release(clinic, expect=2)  # held, and no report
    sign(clinic, "clean.json", "cleo", "approver", "unread.json")
    assert "UNPROVEN" in release(clinic, "--report", "unread.json", expect=1).stderr
    sign(clinic, "leak.json", "cleo", "approver", "bad.json")
    assert "before the switch went off" in release(clinic, "--report", "bad.json", expect=1).stderr
    release(clinic, "--report", "go.json", expect=0)
    assert clinic.told("switch", "status")["release"] == final["digest"]
    clinic.audit("incident", "close", name)
    assert clinic.told("incident", "show")["incidents"][0]["state"] == "closed"
    assert clinic.told("log", "verify")["holds"] is True

    written = [path for path in clinic.home.rglob("*") if path.is_file() and not path.name.startswith("store.sqlite3")]
    assert len(written) > 25
    assert [path.name for path in written if any(value.encode() in path.read_bytes() for value in hidden)] == []

    at_terminal(clinic, "clean.json", "dora", known, accuse=True)
    sign(clinic, "clean.json", "ada", "reviewer", "accused.json", "--review", "ada.json", "--review", "dora.json")
    accused = clinic.held("accused.json")
    assert (accused["verdict"]["state"], gates(accused)["human_review"]) == ("NO_GO", "failed")
    sign(clinic, "accused.json", "cleo", "approver", "accused-signed.json")
    clinic.audit("switch", "off", "--hold", "leak", "--reason", "a reviewer saw one")
    assert "NO-GO" in release(clinic, "--report", "accused-signed.json", expect=1).stderr


def test_only_the_roster_knows_the_patient(clinic):
    """Two ordinary words are a patient's name: no detector knows it, the clinic's own list does; accepted, it counts no more."""
    call = next(invent(1, 9))
    run = next(run for run in call if str(run["name"]).startswith("tool."))
    run["name"], run["inputs"], run["outputs"] = "tool.book_appointment", {"notes": "a cough, Timber Harvest"}, {}
    write_jsonl(clinic.home / "export.jsonl", [call])
    (clinic.home / "patients.csv").write_text(f"Given name,Surname,Phone\nTimber,Harvest,{PHONE}\nOttilie,{NAME.split()[1]},\n")
    quick = ("scan", "--from", "export.jsonl", "--env", "dev", "--known-answers", 0, "--sample", 0)
    alone = clinic.told(*quick, expect=3)
    assert (gates(alone)["phi_findings"], {each["severity"] for each in alone["findings"]} <= {"low"}) == ("proven", True)

    clinic.audit("roster", "build", "patients.csv", "-o", "roster.idx")
    clinic.audit("roster", "test", "roster.idx", "patients.csv", "--row", 1)
    found = clinic.told(*quick, "--roster", "roster.idx", "--json", "roster.json", expect=1)
    assert {each["entity"] for each in found["findings"] if each["severity"] != "low"} == {"ROSTER_NAME"}
    assert not any(word in json.dumps(found).lower() for word in ("timber", "harvest"))
    assert not any(word in (clinic.home / "roster.idx").read_bytes().lower() for word in (b"timber", b"harvest", b"555"))

    accept = ("roster.json", "--owner", "M. Rey", "--reason", "a word of the trade")
    clinic.audit("baseline", "create", *accept, expect=2)  # of severity high: that needs a reason of its own
    clinic.audit("baseline", "create", *accept, "--accept-high", "no patient is meant", "--expires", "30d")
    clinic.audit("baseline", "diff", "roster.json")
    accepted = clinic.told(*quick, "--roster", "roster.idx", "--baseline", "phi-audit.baseline.yaml", expect=3)
    assert gates(accepted)["phi_findings"] == "proven"
    assert [entry["reason"] for entry in accepted["accepted"]] == ["no patient is meant"] * len(accepted["accepted"])
    assert accepted["accepted"]
