"""The HTML report in a real browser: it shows its charts, asks nobody for anything, and fits a telephone."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

CHROMIUM = shutil.which("chromium")
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="needs Debian's chromium (apt-get install chromium)"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # the driver's own pipes
]
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-sync",
    "--disable-component-update",
]  # fmt: skip


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """A report of a few clean traces, rendered as `phi-audit scan --format html` does."""
    import json

    from fakes import call_records

    from audit.assessment import assess
    from audit.census import Plan
    from audit.detectors import open_detectors
    from audit.gates import load_gates
    from audit.report import render
    from audit.source import Window, open_source
    from phi_guard.detect.patterns import PatternDetector
    from phi_guard.gate import Gate
    from phi_guard.model import Cleared
    from phi_guard.policy import load_policy, shipped
    from tracing.identity import new_id
    from tracing.record import AgentTurn
    from tracing.relay.span import payload_of

    directory = tmp_path_factory.mktemp("page")
    policy = load_policy(shipped("clinic.yaml"), env="dev")
    detectors = open_detectors()
    gate = Gate(policy, PatternDetector())
    runs = {}
    for n in range(12):
        records = call_records()
        root = records[0].at[0]
        key = new_id()
        at = (root, (root[0] + 10**9, key))
        facts = {"ttft_ms": 300.0 + 40 * n, "ttft_source": "azure_events", "responses": 1, "deployment": "gpt-realtime"}
        records.insert(4, AgentTurn(call=root[1], id=key, at=at, end_ns=root[0] + 2 * 10**9, outcome="answered", tool_calls=1, **facts))
        for record in records:
            cleared = gate.clear(payload_of(record, project="medical-voice-agent-dev", env="dev", facts={}))
            assert isinstance(cleared, Cleared)
            runs[record.id] = {**runs.get(record.id, {}), **json.loads(cleared.body)}
    path = directory / "runs.jsonl"
    path.write_text("".join(json.dumps(run) + "\n" for run in runs.values()))
    now = datetime.now(UTC)
    source = open_source(project="", window=Window(now, now), file=path, endpoint="", api_key="")
    done = assess(source, Plan(policy, "", 1, 3), load_gates(shipped("gates.yaml")), lambda: detectors, now=now)
    page = directory / "report.html"
    page.write_text(render(done.report, "html", done.census.values), encoding="utf-8")
    return page


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (1280, "dark"), (390, "light")])
def test_the_report_stands_alone_and_fits(report, browser, width, scheme):
    """No request but the file itself, no error, no sideways scrolling, charts with titles, the verdict first."""
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    asked, errors = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: errors.append(message.text))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(Path(report).as_uri())
    assert asked == [Path(report).as_uri()]
    assert errors == []
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    charts = page.locator("svg")
    assert charts.count() >= 2
    assert page.locator("svg > title").count() == charts.count()
    assert all(box["width"] > 100 and box["height"] > 20 for box in (charts.nth(n).bounding_box() for n in range(charts.count())))
    assert "UNPROVEN" in page.locator("h1, header").first.inner_text()
    assert page.title()
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(int(part) for part in light[4:-1].split(",")[:3]) < 300) == (scheme == "dark")
    page.close()
