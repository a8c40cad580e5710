"""The dashboard in a real browser: its own policy holds, nothing leaves this machine, keys and a telephone's width are enough."""

from __future__ import annotations

import shutil
import socket
import threading

import pytest
import uvicorn
from made_calls import NOW, Calls

from audit.calls.index import CallIndex
from audit.dashboard.app import create_app
from audit.dashboard.pages import SHEETS
from audit.dashboard.service import Beside, Service
from phi_guard.policy import load_policy, shipped
from phi_guard.switch import SwitchState

CHROMIUM = shutil.which("chromium")
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="needs Debian's chromium (apt-get install chromium)"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # the driver's own pipes
]
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-sync"]
PATHS = [sheet.path for sheet in SHEETS]
WIDTHS = {"telephone": 360, "desk": 1280}


@pytest.fixture(scope="module")
def address():
    """The dashboard of 40 calls, and of none under ``/none``'s port, served for real: two addresses."""
    servers, found, services = [], [], []
    for calls in (40, 0):
        beside = Beside(policy=load_policy(shipped("clinic.yaml")), switch=lambda: SwitchState(True, "go", "2026-11-19T10:00:00Z"))
        source = Calls(calls)
        service = Service(CallIndex(), lambda _, source=source: source, place="made", clock=lambda: NOW, beside=beside)
        service.refresh()
        sock = socket.socket()
        sock.bind(("127.0.0.1", 0))
        app = create_app(service, token=None, hosts=frozenset({"127.0.0.1"}))
        server = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_config=None, log_level="critical"))
        thread = threading.Thread(target=server.run, args=([sock],), daemon=True)
        thread.start()
        servers.append((server, thread, sock))
        services.append(service)
        found.append(f"http://127.0.0.1:{sock.getsockname()[1]}")
    yield found
    for server, thread, sock in servers:
        server.should_exit = True
        thread.join(10)
        sock.close()
    for service in services:
        service.close()


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield opened
        opened.close()


@pytest.fixture
def page(browser):
    """A page that notes each complaint of the browser, and each address it asks."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.complaints, page.asked = [], set()
    page.on("console", lambda told: page.complaints.append(told.text) if told.type in {"error", "warning"} else None)
    page.on("pageerror", lambda fault: page.complaints.append(str(fault)))
    page.on("request", lambda request: page.asked.add(request.url.split("/")[2]))
    yield page
    context.close()


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("which", [0, 1], ids=["40 calls", "none"])
def test_each_page_is_whole(address, page, path, which, width):
    """One heading, no complaint (of its own policy least of all), nobody else asked, and no scrolling sideways."""
    page.set_viewport_size({"width": WIDTHS[width], "height": 800})
    answer = page.goto(address[which] + path)
    assert answer.status == 200
    assert page.locator("h1").count() == 1
    assert page.locator("main").count() == 1
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 1
    assert page.complaints == []
    assert page.asked == {address[which].removeprefix("http://")}


def test_a_script_that_is_not_the_pages_does_not_run(address, page):
    """The policy that is sent is one that the browser keeps: what is put into the page stays dead."""
    page.goto(address[0] + "/")
    page.evaluate("() => { const s = document.createElement('script'); s.textContent = 'window.broken = 1'; document.body.append(s) }")
    assert page.evaluate("window.broken") is None
    assert any("Content Security Policy" in told or "Content-Security-Policy" in told for told in page.complaints)


def test_a_call_is_reached_by_keys_alone(address, page):
    """The first key leads past the navigation; the list's first call opens with Enter, and its timeline is there as a table too."""
    page.goto(address[0] + "/sessions")
    page.keyboard.press("Tab")
    skip = page.evaluate("[document.activeElement.tagName, document.activeElement.getAttribute('href')]")
    assert skip[0] == "A"
    assert skip[1].startswith("#")
    for _ in range(80):
        page.keyboard.press("Tab")
        where = page.evaluate("document.activeElement.getAttribute('href') || ''")
        seen = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert seen != "none", where
        if "/sessions/" in where:
            break
    else:
        pytest.fail("no call was reached")
    page.keyboard.press("Enter")
    page.wait_for_url("**/sessions/*-*")
    assert page.locator("svg").count() >= 1
    assert page.locator("table").count() >= 1
    assert page.complaints == []


def test_a_filter_works_with_and_without_script(address, page, browser):
    """The same calls, whether the list is swapped by htmx or the page is loaded anew."""
    page.goto(address[0] + "/sessions?outcome=failed&span=all")
    with_script = sorted(page.locator("tbody a[href*='/sessions/']").evaluate_all("links => links.map(a => a.getAttribute('href'))"))
    context = browser.new_context(java_script_enabled=False)
    plain = context.new_page()
    plain.goto(address[0] + "/sessions?outcome=failed&span=all")
    without = sorted(one.get_attribute("href") for one in plain.locator("tbody a[href*='/sessions/']").all())
    context.close()
    assert with_script == without
    assert with_script


def luminance(colour):
    """WCAG 2.2, relative luminance of ``rgb(r, g, b)``."""
    parts = [int(part) / 255 for part in colour.removeprefix("rgb(").removesuffix(")").split(",")[:3]]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out(address, page, scheme):
    """Contrast of each visible text against what lies behind it is at least 4.5 (WCAG 2.2, 1.4.3)."""
    page.emulate_media(color_scheme=scheme)
    for path in ("/", "/sessions", "/cost"):
        page.goto(address[0] + path)
        pairs = page.evaluate(
            """() => [...document.querySelectorAll('main *, header *, nav *')].filter(e => !e.closest('svg') && e.offsetParent &&
              [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim())).map(e => {
                let b = e; while (b && /rgba\\(.*, 0\\)|transparent/.test(getComputedStyle(b).backgroundColor)) b = b.parentElement;
                return [getComputedStyle(e).color, b ? getComputedStyle(b).backgroundColor : 'rgb(255, 255, 255)', e.tagName] })"""
        )
        assert len(pairs) > 20
        solid = {tuple(pair) for pair in pairs if all(colour.startswith("rgb(") for colour in pair[:2])}
        for ink, ground, tag in sorted(solid):
            light, dark = sorted((luminance(ink), luminance(ground)), reverse=True)
            assert (light + 0.05) / (dark + 0.05) >= 4.5, (path, tag, ink, ground)
