"""The HTML report in a real browser: verdict and next step first; read in light, dark, print, small and enlarged; it asks nobody."""

from __future__ import annotations

import itertools
import json
import shutil
from dataclasses import replace
from datetime import UTC, datetime

import kept_reports
import pytest

from audit.evidence import Alerts, Canaries, Cost, Lateness, Rehearsal, Share, Spans
from audit.gates import Evidence, judge, load_gates
from audit.population import Population
from audit.report import render
from audit.report.model import bound_of
from audit.timeline import Timeline
from audit.verdict import decide
from phi_guard.policy import load_policy, shipped

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
def scanned(tmp_path_factory):
    """A report of a few clean traces, rendered as `phi-audit scan --format html` does."""
    from fakes import call_records

    from audit.assessment import assess
    from audit.census import Plan
    from audit.detectors import open_detectors
    from audit.source import Window, open_source
    from phi_guard.detect.patterns import PatternDetector
    from phi_guard.gate import Gate
    from phi_guard.model import Cleared
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
    return done.report


REHEARSAL = Rehearsal(
    12, Cost(8.0, 40.0, 900.0, 100, 300.0, (0, 10, 20, 50, 1000), (70, 20, 9, 1)), Spans(400, 400, 0), Lateness(1200, 900), 0,
    Canaries(9, 1, {"patient_name": Share(4, 0), "phone": Share(5, 1)}, {"caller+tool_argument": Share(4, 0), "room_name": Share(5, 1)}),
)  # fmt: skip
PAGES = ("scanned", "nothing", "unsigned", "many", "go")
VIEWS = {
    "light": (1280, "light", "screen"), "dark": (1280, "dark", "screen"), "telephone": (390, "light", "screen"),
    "enlarged": (640, "light", "screen"), "dark telephone": (390, "dark", "screen"), "print": (720, "light", "print"),
}  # fmt: skip
"""Width in CSS pixels, colours, medium; 640 is what is left of a window of 1280 at 200 %."""


def nothing():
    """A report of a scan that read nothing."""
    gates = judge(load_gates(shipped("gates.yaml")), Evidence())
    return replace(
        kept_reports.kept(), gates=gates, verdict=decide(gates, "no run was read"), incomplete="no run was read", population=Population(),
        bound=bound_of(0, 0, 0.0), known_answers=None, timeline=Timeline(), manifest=None, selection=None, notes=(),
    )  # fmt: skip


def many():
    """A report of 600 findings in fields with long names, with all that a rehearsal measured."""
    fields = ("outputs.result.note", "inputs.a_field_with_a_name_that_is_very_long_indeed[3].and_more_of_it", "extra.metadata.x")
    found = [
        kept_reports.finding(n, entity=("PERSON", "MEDICAL_RECORD_NUMBER")[n % 2], path=fields[n % 3], trace=n % 40) for n in range(600)
    ]
    return replace(kept_reports.kept(findings=found), rehearsal=REHEARSAL, alerts=Alerts(("error_rate",), (), ("ttft_p95",)))


@pytest.fixture(scope="module")
def pages(scanned, tmp_path_factory):
    """Each report as its file."""
    reports = {
        "scanned": scanned, "nothing": nothing(), "unsigned": kept_reports.kept(), "many": many(),
        "go": kept_reports.reviewed(kept_reports.kept(), "Ada", "Ben"),
    }  # fmt: skip
    directory = tmp_path_factory.mktemp("pages")
    for name, report in reports.items():
        (directory / f"{name}.html").write_text(render(report, "html", frozenset()), encoding="utf-8")
    return {name: directory / f"{name}.html" for name in reports}


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def opened(pages, browser):
    """Opens a report in a view; at the end, that nothing but the file was asked for and nothing was thrown."""
    held, asked, errors = [], [], []

    def open_page(name, view="light"):
        width, scheme, medium = VIEWS[view]
        page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        page.emulate_media(media=medium, color_scheme=scheme)
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: errors.append(message.text))
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(pages[name].as_uri())
        held.append(page)
        return page

    yield open_page
    assert set(asked) <= {path.as_uri() for path in pages.values()}
    assert errors == []
    for page in held:
        page.close()


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("name", PAGES)
def test_it_fits_and_begins_with_the_verdict(opened, name, view):
    """No sideways scrolling; first the verdict and why, then what to do next, then the gates; nothing is cut off."""
    page = opened(name, view)
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    assert page.locator("h1").inner_text() in {"GO", "NO-GO", "UNPROVEN"}
    assert page.locator("h1").bounding_box()["y"] < 200
    assert page.locator("h2").all_inner_texts()[:3] == ["What to do next", "Gates", "Findings"]
    assert page.locator("#next ~ * code").count() >= 2
    assert page.title().startswith(page.locator("h1").inner_text())
    assert page.evaluate(CUT_OFF) == []


CUT_OFF = """() => [...document.querySelectorAll("p, li, td, th, h1, h2, figcaption, summary, footer")]
  .filter((e) => e.checkVisibility() && e.scrollWidth > e.clientWidth + 1).map((e) => e.innerText)"""


@pytest.mark.parametrize("scheme", ["light", "dark", "print"])
@pytest.mark.parametrize("name", PAGES)
def test_every_text_can_be_read(opened, name, scheme):
    """Contrast of each text as it is painted to what is behind it: 4.5 to 1, or 3 to 1 for large letters (WCAG 2.2, 1.4.3)."""
    page = opened(name, scheme)
    for details in page.locator("details").all():
        details.evaluate("(e) => { e.open = true; }")
    read, faint = page.evaluate(CONTRASTS)
    assert read > 100
    assert faint == []


CONTRASTS = """() => {
  const parts = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((c) => c / 255).map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (e) => {
    for (let at = e; at; at = at.parentElement) {
      const found = parts(getComputedStyle(at).backgroundColor);
      if (found.length < 4 || found[3] > 0) return found;
    }
    return [255, 255, 255];
  };
  const faint = [];
  let read = 0;
  for (const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT); walk.nextNode(); ) {
    const [text, e] = [walk.currentNode.textContent.trim(), walk.currentNode.parentElement];
    if (!text || !e.checkVisibility() || e.closest("svg title, svg desc")) continue;
    const style = getComputedStyle(e), ink = e.closest("svg") ? style.fill : style.color;
    const [a, b] = [light(parts(ink)), light(behind(e))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05), large = parseFloat(style.fontSize) >= 24;
    read += 1;
    if (ratio < (large ? 3 : 4.5)) faint.push(`${text.slice(0, 40)} ${ratio.toFixed(2)}`);
  }
  return [read, faint];
}"""


@pytest.mark.parametrize("view", ["light", "telephone", "print"])
def test_charts_can_be_read_and_are_told_in_words(opened, view):
    """Each is a picture with a name and its content in words; its letters are no smaller than nine pixels."""
    charts = opened("many", view).locator("svg[role=img]")
    titles = charts.locator("> title").all_text_contents()
    assert {"Findings by field", "Known answers found", "Bound against the number of traces"} <= set(titles)
    assert "What recording an operation costs the agent" in titles
    for chart in charts.all():
        assert len(chart.locator("> desc").text_content()) > 10
        assert chart.get_attribute("aria-labelledby")
        sizes = chart.locator("text").evaluate_all("(all) => all.map((e) => e.getBoundingClientRect().height)")
        assert min(sizes) >= 9


def test_times_are_drawn(opened):
    """Of a real scan: the time to first answer, the traces by day, and how often each tool ran."""
    titles = opened("scanned").locator("svg > title").all_text_contents()
    assert {"Time to first answer", "Traces by day", "Runs of each tool of the policy"} <= set(titles)


@pytest.mark.parametrize("name", PAGES)
def test_it_can_be_walked_through(opened, name):
    """Headings in order, links that lead somewhere, every table headed, every scrolling part named and reached by keyboard."""
    page = opened(name)
    levels = page.locator("h1, h2, h3").evaluate_all("(all) => all.map((e) => Number(e.tagName[1]))")
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    targets = page.locator("a[href^='#']").evaluate_all("(all) => all.map((e) => e.hash.slice(1))")
    assert len(targets) > 5
    assert [target for target in targets if page.locator(f"[id='{target}']").count() != 1] == []
    assert page.locator("table:not(:has(th))").count() == 0
    assert page.locator(".wide:not([tabindex='0'][aria-label])").count() == 0
    ids = page.locator("[id]").evaluate_all("(all) => all.map((e) => e.id)")
    assert len(set(ids)) == len(ids)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('nav') !== null")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"


def test_folded_tables_are_printed(opened):
    """What a page may keep closed stands on paper, and the printed page has margins."""
    page = opened("many")
    table = page.locator("details table").first
    assert not table.is_visible()
    page.emulate_media(media="print")
    assert table.bounding_box()["height"] > 20
    assert page.pdf().startswith(b"%PDF")


def test_the_page_may_load_and_run_nothing(pages, browser):
    """A script, a picture, a frame, a style or a font that got into the page all the same is refused by its own policy."""
    page = browser.new_page()
    asked, told = [], []
    page.on("console", lambda message: told.append(message.text))
    source = pages["go"].read_text(encoding="utf-8")
    assert "<script" not in source
    assert "unsafe" not in source

    def answer(route):
        asked.append(route.request.url)
        route.fulfill(body=source.replace("</main>", f"{INTRUDERS}</main>"), content_type="text/html")

    page.route("**/*", answer)
    page.goto("http://localhost/report.html")
    page.wait_for_load_state("networkidle")
    assert page.evaluate("window.ran") is None
    assert [url for url in asked if not url.endswith("favicon.ico")] == ["http://localhost/report.html"]
    assert page.evaluate("getComputedStyle(document.querySelector('h1')).display") == "block"
    assert sum("Content Security Policy" in text for text in told) >= 4
    page.close()


INTRUDERS = """<script>window.ran = 1</script><img src="http://evil.example/i.png" onerror="window.ran = 2">
<iframe src="http://evil.example/f"></iframe><link rel="stylesheet" href="http://evil.example/s.css">
<style>h1 { display: none } @font-face { font-family: x; src: url(http://evil.example/f.woff) } footer { font-family: x }</style>"""
