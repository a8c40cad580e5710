"""The report: what it says, that every form of it says the same, and that none holds a value."""

from __future__ import annotations

import html
import io
import re
from dataclasses import replace
from pathlib import Path

import pypdf
import pytest

from audit.assessment import assess
from audit.census import Detectors, Plan
from audit.custody import Custody
from audit.gates import load_gates
from audit.method import Method
from audit.report import FORMATS, ReportHoldsValue, render
from audit.report.charts import WIDTH, histogram
from audit.report.drawing import Line
from audit.report.svg import draw
from audit.source import SourceError
from phi_guard.policy import shipped

GATES = load_gates(shipped("gates.yaml"))
GOLDEN = Path(__file__).with_name("golden_report.json")
SECRETS = ("Ada Byron", "+41 79 555 01 23", "ada.byron@example.org", "41795550123", "Jane<b>Roe")


@pytest.fixture
def audited(policy, detectors, made):
    def audit(runs, *, then=None, n=3, detectors=detectors):
        frozen = replace(policy, digest="0" * 16, examples=policy.examples[:1], file="clinic.yaml")  # the shipped file may grow
        plan = Plan(frozen, "clinic-dev", seed=11, known_answers=n, key=made.KEY)
        source = made.FixedSource(runs, then)
        return assess(source, plan, GATES, lambda: detectors, now=made.NOW)

    return audit


def leaky(made):
    call = made.call()
    call[5]["inputs"] |= {"patient_name": SECRETS[0], "phone": int(SECRETS[3]), SECRETS[1]: SECRETS[2]}
    call[4] |= {"tags": [SECRETS[4]], "error": f"LookupError: {SECRETS[0]} not found", "name": f"agent_turn {SECRETS[0]}"}
    return call


def frozen(report):
    """The report without what changes with every version of a detector or a package."""
    proof = report.known_answers and replace(report.known_answers, rows=report.known_answers.rows[:3])
    return replace(report, target=replace(report.target, version="0"), method=Method(), known_answers=proof, custody=Custody())


def test_golden_json(audited, made):
    """The JSON report of one leaky call, to the letter: keys, order and words are part of the schema's version."""
    done = audited(leaky(made))
    text = render(frozen(done.report), "json", done.census.values)
    assert text == GOLDEN.read_text(encoding="utf-8")


@pytest.mark.parametrize("fmt", FORMATS)
def test_no_form_holds_a_value(audited, made, fmt):
    """Neither a leaked value, nor a planted one, nor an unknown key stands in any form of the report."""
    done = audited(leaky(made))
    text, own = (_read(render(report, fmt, done.census.values)) for report in (done.report, audited(made.call()).report))
    assert done.report.verdict.state == "NO_GO"
    assert len(done.census.values) > 20
    for secret in (*SECRETS, *done.census.values):
        word = re.compile(rf"(?<!\w){re.escape(secret)}(?!\w)")  # some plants are words of any report, such as token
        assert len(secret) < 5 or not word.search(text) or (secret not in SECRETS and word.search(own)), fmt


def _read(made):
    """What a reader sees: escapes undone, the PDF's pages as text."""
    if isinstance(made, bytes):
        return "\n".join(page.extract_text() for page in pypdf.PdfReader(io.BytesIO(made)).pages)
    return html.unescape(made)


@pytest.mark.parametrize("fmt", FORMATS)
def test_a_report_that_would_hold_a_value_is_refused(audited, made, fmt):
    """Were a value to get into a report by a fault, no form of it would be written."""
    done = audited(leaky(made))
    spoilt = replace(done.report, findings=(replace(done.report.findings[0], path=f"inputs.{SECRETS[0]}"),))
    with pytest.raises(ReportHoldsValue) as refused:
        render(spoilt, fmt, done.census.values)
    assert SECRETS[0] not in str(refused.value)


def test_a_leak_that_is_a_word_of_ours_is_reported(audited, made):
    """A leaked value that happens to be a word of the report does not keep the report from being written."""
    call = made.call()
    call[4]["tags"] = ["verdict", "phi_findings", "proven", "agent_turn", "PERSON", "Fingerprint, source"]
    done = audited(call)
    assert len(done.report.findings) == 6
    for fmt in FORMATS:
        assert render(done.report, fmt, done.census.values)


def test_clean_calls_and_weak_scanner(audited, made):
    """Clean calls give no finding; if the scanner cannot find its known answers, that shows nothing, and the classes are named."""
    good = audited(made.call(), n=59).report
    blind = audited(made.call(), n=59, detectors=Detectors(strict=lambda _t: (), patterns=lambda _t: ())).report
    sees, misses = ({j.gate.name: j.state for j in report.gates} for report in (good, blind))
    assert (good.findings, blind.findings) == ((), ())
    assert (sees["known_answer_recall"], misses["known_answer_recall"]) == ("proven", "unproven")
    assert blind.verdict.state == "UNPROVEN"
    assert any("name written 0/59" in reason for reason in blind.verdict.reasons)
    assert blind.bound.adjusted == 1.0


@pytest.mark.parametrize(
    ("runs", "then", "said"),
    [
        (0, None, "holds no run"),
        (0, SourceError("unreachable", "host cannot be reached"), "host cannot be reached"),
        (7, SourceError("server_error", "host answers HTTP 500"), "host answers HTTP 500"),
        (7, KeyboardInterrupt(), "interrupted"),
        (7, ValueError("Ada Byron"), "the scan broke (ValueError)"),
    ],
)
def test_what_ends_early_is_unproven(audited, made, runs, then, said):
    """No run, a dead source, an interruption, a fault of our own: UNPROVEN, with the reason and what was read until then."""
    done = audited(made.call()[:runs], then=then)
    assert done.report.verdict.state == "UNPROVEN"
    assert said in done.report.incomplete
    assert done.report.population.runs == runs
    assert "Ada Byron" not in render(done.report, "json", done.census.values)
    assert done.census.interrupted == isinstance(then, KeyboardInterrupt)


def test_a_finding_stands_even_if_the_scan_ends_early(audited, made):
    """A leak that was found before the source broke is a leak."""
    assert audited(leaky(made), then=SourceError("server_error", "HTTP 500")).report.verdict.state == "NO_GO"


def test_page_is_whole_and_closed(audited, made):
    """The page names no other file or address, runs no script, and every chart has a title and a description."""
    done = audited(made.call())
    page = render(done.report, "html", done.census.values)
    assert not re.search(r"<script|<link|<img|@import|url\(|https?://", page)
    assert page.count("<svg") == page.count("<desc") >= 5
    assert "prefers-color-scheme: dark" in page


def test_terminal_is_plain_without_colour(audited, made):
    """Without a terminal there is no escape sequence; with one there is; the verdict comes first in both."""
    done = audited(made.call())
    plain = render(done.report, "table", done.census.values)
    assert "\x1b" not in plain
    assert plain.startswith("UNPROVEN")
    assert "\x1b[" in render(done.report, "table", done.census.values, colour=True)


@pytest.mark.parametrize("counts", [(1,), (0, 0, 7), (3, 0, 0, 0, 9), (0, 1, 0, *range(60))], ids=["one", "last", "apart", "many"])
def test_a_histogram_draws_every_value(counts):
    """The bars' tips add up to the number of values, wherever they lie; a mark or budget beyond the edges stands within the picture."""
    edges = tuple(float(10 * n) for n in range(len(counts) + 1))
    drawing = histogram(edges, counts, title="t", unit="ms", marks={"p50": edges[-1]}, budgets={"budget": 1e9})
    drawn = re.findall(r"ms: (\d+)</title></rect>", str(draw(drawing)))
    assert sum(map(int, drawn)) == sum(counts)
    assert all(0 <= shape.x1 <= WIDTH for shape in drawing.shapes if isinstance(shape, Line))
