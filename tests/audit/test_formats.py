"""The formats of a report: each is valid, each says the same, none holds a value, and the same report gives the same bytes."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import jsonschema
import pypdf
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audit.baseline import Accepted
from audit.custody import Custody, Signature
from audit.evidence import Alerts, Canaries, Cost, EvidenceError, Lateness, Monitoring, Rehearsal, Spans, load_evidence
from audit.findings import Finding
from audit.manifest import CrossCheck, Manifest
from audit.report import FORMATS, Report, ReportHoldsValue, render
from audit.report.document import DocumentError, parse, read, schema
from audit.report.self_scan import self_scan
from audit.review.outcome import Reviewer, ReviewOutcome
from audit.sample import Selection, Stratum

GOLDEN = Path(__file__).with_name("golden_report.json")
SCHEMA = Path(__file__).parents[2] / "audit" / "report" / "report.schema.json"
RUN = "0192f000-0000-7000-8000-00000000a000"
SHA = "ab" * 32
AT = "2026-11-20T12:00:00Z"
NONE = frozenset[str]()


@pytest.fixture(scope="module")
def golden() -> Report:
    return read(GOLDEN)


def finding(n: int, severity="high") -> Finding:
    run = f"0192f000-0000-7000-8000-{n:012x}"
    return Finding(run, run, "tool.book_appointment", f"inputs.notes[{n}]", "text", "PERSON", 3, 9, f"{n:016x}", "patterns.mrn", severity)


def full(report: Report) -> Report:
    """The report with every part that one can have."""
    return replace(
        report,
        manifest=Manifest({"project": "clinic-dev"}, "api.smith.langchain.com", AT, 12, 1, 10, 123456, SHA, "cd" * 16, 0, {"row cut": 1}),
        cross_check=CrossCheck("outbox.sqlite3", 3, 2, 1, 0, (RUN,), (), "the log begins later"),
        selection=Selection("trace", 7, "given", "Mersenne Twister", "all", 3, (Stratum("none · ok · 1.2.0 · dev", 3, 1),), (RUN,), SHA),
        accepted=(
            Accepted(
                "0123456789abcdef", "inputs.notes", "PERSON", "the clinic's own street", "Łucja Example", "2026-11-01", "2027-01-01", 1
            ),
        ),
        review=ReviewOutcome(
            SHA, SHA, (Reviewer("Ann Example", AT, AT, 3, 0, 0, 5, 5, SHA),), 3, 3, 0, 0, 0, None, 1.0, 0.5, 0.4, "too few"
        ),
        rehearsal=Rehearsal(
            4,
            Cost(22.5, 180.0, 900.0, 6, 60.0, (0.0, 10.0, 100.0, 1000.0), (1, 2, 3)),
            Spans(9, 9, 0),
            Lateness(15, 14),
            0,
            Canaries(20, 0),
            project="clinic-rehearsal",
            env="dev",
            endpoint="127.0.0.1:1984",
            policy_digest="a1" * 8,
            started_at=AT,
            interrupted=True,
            problems=2,
        ),
        alerts=Alerts(("overhead",), (), ("leak",), AT, {"dev": "a1" * 8}, {"dev": SHA}),
        monitoring=Monitoring(
            AT,
            AT,
            48.0,
            192,
            900.0,
            30,
            0,
            1,
            project="clinic-dev",
            env="dev",
            policy_digest="a1" * 8,
            outcome="CLEAN",
            judged=("error_rate",),
            rules_digest=SHA,
            journal_n=194,
            journal_sha256="ef" * 32,
        ),
        custody=Custody("audit@host", "ab" * 8, 4, SHA, "/mnt/anchor"),
        signatures=(Signature("approver", "Ann Example", AT, SHA, "ab" * 64, "NO-GO stands"),),
        reproduce="phi-audit scan --project clinic-dev --seed 4023498712",
    )


def states(report: Report) -> dict[str, Report]:
    """The report in the states it can be in."""
    empty = replace(report, findings=(), population=type(report.population)(), timeline=type(report.timeline)(), known_answers=None)
    none = replace(empty, bound=replace(report.bound, traces=0, leaking=0, upper=1.0, adjusted=1.0), incomplete="interrupted")
    return {
        "golden": report,
        "full": full(report),
        "no runs": none,
        "clean": replace(report, findings=()),
        "one": replace(report, findings=(finding(1),)),
        "suspicions": replace(report, findings=(finding(1, "low"), finding(2, "low"))),
        "10,000": replace(report, findings=tuple(map(finding, range(10_000))), unlisted=5),
    }


@pytest.mark.parametrize("state", ["golden", "full", "no runs", "clean", "one", "suspicions", "10,000"])
def test_every_format_is_valid_in_every_state(golden, state):
    """JSON by its schema, SARIF by its structure, JUnit and HTML by a parser, CSV by its columns, the PDF by a reader."""
    report = states(golden)[state]
    made = {fmt: render(report, fmt, NONE) for fmt in FORMATS}
    jsonschema.Draft202012Validator(json.loads(schema())).validate(json.loads(made["json"]))
    assert parse(made["json"].encode(), "r.json") == report
    results = json.loads(made["sarif"])["runs"][0]
    rules = [rule["id"] for rule in results["tool"]["driver"]["rules"]]
    assert len(results["results"]) == len(report.findings)
    assert all(rules[r["ruleIndex"]] == r["ruleId"] and r["level"] in {"error", "warning", "note"} for r in results["results"])
    suites = ET.fromstring(made["junit"])
    assert int(suites.get("tests")) == len(suites.findall(".//testcase"))
    assert int(suites.get("failures")) == len(suites.findall(".//failure"))
    assert len(suites.findall(".//testcase[@classname='phi-audit.gates']")) >= len(report.gates)
    rows = list(csv.reader(io.StringIO(made["csv"])))
    assert len(rows) == len(report.findings) + 1
    assert {len(row) for row in rows} == {len(rows[0])}
    pages = pypdf.PdfReader(io.BytesIO(made["pdf"])).pages
    assert len(made["html"]) < 2_000_000
    assert len(pages) < 60
    for page in pages:
        text = page.extract_text()
        assert report.digest in text
        assert "Contains no PHI" in text
    assert all(report.digest in made[fmt] for fmt in ("table", "json", "html", "md", "sarif", "junit"))
    assert report.verdict.state.replace("_", "-") in made["md"].splitlines()[0]


@pytest.mark.parametrize("fmt", ["html", "md"])
def test_a_reader_sees_what_evidence_is_of(golden, fmt):
    """Where a rehearsal was held and that it did not end; whose watch it was, and that the log does not hold it."""
    text = render(full(golden), fmt, NONE).replace("\\", "")  # Markdown's escapes
    assert f"clinic-rehearsal (dev) at 127.0.0.1:1984, policy {'a1' * 8}, interrupted" in text
    assert f"clinic-dev (dev), policy {'a1' * 8}" in text
    assert "not in the audit" in text


@pytest.mark.parametrize("fmt", FORMATS)
def test_the_same_report_gives_the_same_bytes(golden, tmp_path, fmt):
    """In two processes with different hash seeds."""
    path = tmp_path / "report.json"
    path.write_text(render(full(golden), "json", NONE), encoding="utf-8")
    code = (
        "import sys, pathlib, hashlib; from audit.report import render; from audit.report.document import read;"
        "held = render(read(pathlib.Path(sys.argv[1])), sys.argv[2], frozenset());"
        "print(hashlib.sha256(held if isinstance(held, bytes) else held.encode()).hexdigest())"
    )
    made = [
        subprocess.run(
            [sys.executable, "-c", code, str(path), fmt], capture_output=True, check=True, env={**os.environ, "PYTHONHASHSEED": seed}
        )
        for seed in ("1", "2")
    ]
    assert made[0].stdout == made[1].stdout


def test_the_published_schema_is_current():
    """The committed file is what the model gives."""
    assert SCHEMA.read_text(encoding="utf-8") == schema()


@pytest.mark.parametrize(
    ("change", "where"),
    [
        (lambda r: replace(r, accepted=(Accepted("0" * 16, "p", "PERSON", "call +41 79 555 01 23", "o", AT, AT),)), "accepted[].reason"),
        (lambda r: replace(r, notes=("ask ada.byron@example.org",)), "notes[]"),
        (lambda r: replace(r, incomplete="SSN 219-09-9999 came"), "incomplete"),
        (lambda r: replace(r, custody=Custody(by="219-09-9999")), "custody.by"),
        (lambda r: replace(r, releases={"+41 79 555 01 23": 1}), "releases"),
    ],
    ids=["reason", "note", "incomplete", "staff", "key"],
)
def test_what_has_the_form_of_an_identifier_is_refused(golden, change, where):
    """Whoever wrote it, whether it is known or not: the place is named, the value is not, and there is no stamp."""
    spoilt = change(golden)
    assert where in self_scan(spoilt)
    for fmt in FORMATS:
        with pytest.raises(ReportHoldsValue) as refused:
            render(spoilt, fmt, NONE)
        assert where in str(refused.value)
        assert not re.search(r"555|219|byron", str(refused.value))
    assert self_scan(full(golden)) == ()


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_what_is_written_is_read_again(golden, data):
    """Any text, count and rate: read(write(r)) == r, with the same digest."""
    text, count, rate = st.text(max_size=20), st.integers(0, 2**53), st.floats(0, 1)
    spoken = data.draw(text)
    report = replace(
        golden,
        notes=(spoken.encode("utf-8", "replace").decode(),),
        unlisted=data.draw(count),
        releases=data.draw(st.dictionaries(st.text("abc?", min_size=1, max_size=5), count, max_size=3)),
        bounds=(replace(golden.bound, upper=data.draw(rate), adjusted=data.draw(rate)),),
        findings=tuple(finding(n) for n in range(data.draw(st.integers(0, 3)))),
    )
    again = parse(json.dumps(report.as_json()).encode(), "r.json")
    assert again == report
    assert again.digest == report.digest


def _edits():
    def put(*keys_and_value):
        *keys, last, value = keys_and_value

        def edit(held):
            for key in keys:
                held = held[key]
            held[last] = value

        return edit

    return {
        "digest": put("digest", "0" * 64),
        "verdict": put("verdict", "state", "GO"),
        "exit": put("verdict", "exit_code", 0),
        "gate": put("gates", 0, "state", "proven"),
        "counts": put("results", "findings", 0),
        "finding": lambda held: held["findings"].pop(),
        "bound": put("bound", "upper", 0.0001),
        "limits": put("limits", []),
        "unknown key": put("extra", 1),
        "unknown key within": put("target", "extra", 1),
        "whole": put("bound", "traces", "1"),
        "nothing": put("population", None),
        "version": put("schema", "phi-audit.report/1"),
        "other": put("schema", "x"),
    }


@pytest.mark.parametrize("edit", _edits())
def test_an_edited_report_is_not_read(edit):
    """Whatever was changed, it does not hold together; the fault names the file and the place."""
    held = json.loads(GOLDEN.read_text(encoding="utf-8"))
    _edits()[edit](held)
    with pytest.raises(DocumentError) as refused:
        parse(json.dumps(held).encode(), "r.json")
    assert all(fault.startswith("r.json: ") for fault in refused.value.faults)


@pytest.mark.parametrize(
    ("data", "said"),
    [(b"", "cut"), (b"[]", "schema"), (b'{"schema": 1}', "schema"), (b"[" * 100_000, "cut"), (b'{"a": NaN}', "finite"),
     (b'{"a": 1e999}', "finite"),
     (b'{"a": 1, "a": 2}', "twice"), (b'{"schema": "phi-audit.report/2"}', "parts"), (b"\xff", "cut")],
    ids=["nothing", "list", "number", "deep", "nan", "infinite", "twice", "bare", "bytes"],
)  # fmt: skip
def test_what_is_no_report_is_told_in_words(data, said):
    """Never a traceback."""
    with pytest.raises(DocumentError, match=said):
        parse(data, "r.json")


def test_a_report_cut_anywhere_is_not_read():
    """A truncated file is refused."""
    data = GOLDEN.read_bytes().rstrip()
    for n in range(0, len(data), 997):
        with pytest.raises(DocumentError):
            parse(data[:n], "r.json")


def test_text_of_others_is_escaped(golden):
    """Markup and formulas in what people gave stay text."""
    odd = replace(golden, notes=("<script>alert(1)</script> | `x` ]]> \x0c",), findings=(replace(finding(1), path='=cmd|"x"'),))
    odd = replace(odd, target=replace(odd.target, project='a"<b>&'))
    assert "<script" not in render(odd, "html", NONE)
    assert "\\<script\\>" in render(odd, "md", NONE)
    assert ET.fromstring(render(odd, "junit", NONE)).get("name") == 'phi-audit a"<b>&'
    assert list(csv.reader(io.StringIO(render(odd, "csv", NONE))))[1][3].startswith("'=")


def test_evidence_is_told_by_its_schema(tmp_path):
    """A rehearsal with a histogram, one of old without, and alerts; two of a kind and unknown ones are refused."""
    rehearsal, old, alerts, other = (tmp_path / name for name in ("r.json", "o.json", "a.json", "x.json"))
    cost = {"p50": 1.0, "p99": 2.0, "max": 3.0, "n": 3}
    rehearsal.write_text(
        json.dumps({"schema": "phi-audit.rehearsal/1", "calls": 1, "overhead_us": {**cost, "edges": [0, 10, 20], "counts": [2, 1]}})
    )
    old.write_text(json.dumps({"schema": "phi-audit.rehearsal/1", "calls": 1, "overhead_us": cost}))
    told = [
        {"name": "leak", "fired": True, "resolved": True},
        {"name": "cost", "fired": True, "resolved": False},
        {"name": "loop", "fired": False},
    ]
    alerts.write_text(json.dumps({"schema": "phi-audit.alerts-rehearsal/1", "alerts": told}))
    other.write_text(json.dumps({"schema": "phi-audit.rehearsal/1", "calls": 1, "overhead_us": {**cost, "edges": [0, 10], "counts": [2]}}))
    given = load_evidence([alerts, rehearsal])
    held, fired = given.rehearsal, given.alerts
    assert (held.overhead_us.edges, held.overhead_us.counts) == ((0.0, 10.0, 20.0), (2, 1))
    assert fired == Alerts(("cost", "leak"), ("leak",), ("loop",))
    assert load_evidence([old]).rehearsal.overhead_us.counts == ()
    for paths, said in (([other], "add up"), ([old, rehearsal], "second"), ([tmp_path / "none"], "cannot be read")):
        with pytest.raises(EvidenceError, match=said):
            load_evidence(paths)
