"""The review's page in a real browser: keys, consent, one address that opens once, nothing loaded from anywhere, nothing kept."""

from __future__ import annotations

import http.client
import re
import shutil
import threading
from datetime import UTC, datetime
from types import SimpleNamespace
from urllib.parse import urlsplit

import pytest
import uvicorn

from audit.manifest import TraceFacts
from audit.review.queue import line_up
from audit.review.reading import gather
from audit.review.record import Review
from audit.review.session import Session
from audit.review.web import serve
from audit.sample import draw

CHROMIUM = shutil.which("chromium")
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="needs Debian's chromium (apt-get install chromium)"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # the driver's own pipes
]
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-sync",
    "--disable-component-update",
]  # fmt: skip
ATTACK = "<script>document.title='owned'</script><img src=x onerror=alert(1)> \u202e"


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


def run_of(n):
    me = f"0192f000-0000-7000-8000-{n:012x}"
    base = {"id": me, "trace_id": me, "dotted_order": f"20261120T100000000000Z{me}", "name": "tool.book_appointment"}
    inputs = {"patient_name": "<REDACTED>", "doctor_name": "Dr. Lee", "notes": ATTACK}
    outputs = {"confirmation_id": "CONF-1234", "status": "confirmed"}
    return {**base, "inputs": inputs, "outputs": outputs, "extra": {"metadata": {"trace_id": me, "status": "ok"}}}


@pytest.fixture
def review(tmp_path, monkeypatch):
    """A review of three traces served by a thread; at the end it is stopped, whatever state the test left it in."""
    servers = []

    class Kept(uvicorn.Server):
        def __init__(self, config):
            super().__init__(config)
            servers.append(self)

    monkeypatch.setattr(uvicorn, "Server", Kept)
    facts = [TraceFacts(run_of(n)["trace_id"], "book_appointment", "ended", "1", "dev", 1) for n in range(3)]
    selection = draw(facts, n=3, seed=1, seed_by="given")
    traces = gather(map(run_of, range(3)), selection)
    items = line_up(selection, traces, key=b"k" * 32, report_sha256="a" * 64, reviewer="R", share=0)
    new = Review("R", "a" * 64, selection.sha256, "2026-11-20T12:00:00+00:00", "", len(items), 0, 0, ())
    session = Session(items, traces, new, tmp_path / "review.json", lambda: datetime.now(UTC))
    opened, ready = [], threading.Event()
    held = SimpleNamespace(session=session, opened=opened, url="")

    def announce(url):
        held.url = url
        ready.set()

    held.thread = threading.Thread(
        target=serve, args=(session,), kwargs={"port": 0, "consented": lambda: opened.append(1), "announce": announce}, daemon=True
    )
    held.thread.start()
    assert ready.wait(30)
    yield held
    for server in servers:
        server.should_exit = True
    held.thread.join(30)
    assert not held.thread.is_alive()


def ask(review, path, method="GET", body="", **headers):
    """A request by another program; gives status, headers and text."""
    connection = http.client.HTTPConnection("127.0.0.1", urlsplit(review.url).port, timeout=20)
    connection.request(method, path, body, {"Content-Type": "application/x-www-form-urlencoded", **headers})
    answer = connection.getresponse()
    told = answer.status, {key.lower(): value for key, value in answer.getheaders()}, answer.read().decode()
    connection.close()
    return told


def shows_done(page, n):
    from playwright.sync_api import expect

    expect(page.get_by_role("status")).to_have_text(re.compile(rf"^{n} of "))


def agree(page, review):
    page.goto(review.url)
    page.fill("#word", "show")
    page.click("#go")


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (1280, "dark"), (390, "light")])
def test_a_review_by_keys(review, browser, width, scheme, tmp_path):
    """Consent, then j, l, c, u and z; the end; the server ends; one address was asked; no error, no sideways scrolling."""
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page = context.new_page()
    asked, errors = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: errors.append(message.text))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(review.url)
    assert "Dr. Lee" not in page.content()
    page.fill("#word", "no")
    page.click("#go")
    assert page.locator("[role=alert]").count() == 1
    assert review.opened == []
    errors.clear()  # Chromium names the 409 of the refused word
    page.fill("#word", "show")
    page.click("#go")
    assert review.opened == [1]
    assert "Dr. Lee" in page.content()
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    page.screenshot(path=str(tmp_path / "review.png"))
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(int(part) for part in light[4:-1].split(",")[:3]) < 300) == (scheme == "dark")
    for n, key in enumerate("clu" + "c" * (review.session.total - 3), 1):
        if key == "l":
            page.keyboard.press("j")
            page.keyboard.press("j")
            page.keyboard.press("k")
            assert page.locator("input[name=place]:checked").get_attribute("value") == "1.name.1"
        page.keyboard.press(key)
        shows_done(page, n)
    assert [decision.said for decision in review.session.review.decisions[:3]] == ["clear", "leak", "unsure"]
    page.keyboard.press("z")
    shows_done(page, review.session.total - 1)
    page.keyboard.press("c")
    page.click("#end")
    assert "has ended" in page.inner_text("h1")
    assert errors == []
    assert {urlsplit(url).netloc for url in asked if not url.startswith("data:")} == {urlsplit(review.url).netloc}
    review.thread.join(30)
    assert not review.thread.is_alive()
    assert review.session.review.ended
    context.close()


def test_what_a_trace_holds_is_no_markup(review, browser):
    """A script in a value is shown as text; what turns the line's direction is shown by its number."""
    page = browser.new_page()
    agree(page, review)
    assert "owned" not in page.title()
    assert page.locator("main img, main script").count() == 0
    assert "<script>document.title" in page.inner_text("main")
    assert "\\u202e" in page.inner_text("main")
    page.close()


def test_the_address_opens_once_and_only_here(review):
    """A second use, a wrong token, another host's name, no cookie: refused, and nothing of a trace is told."""
    parts = urlsplit(review.url)
    path = f"{parts.path}?{parts.query}"
    refused = [
        ask(review, path, Host="evil.example:80"),
        ask(review, "/"),
        ask(review, "/open?token=x"),
        ask(review, "/decide", "POST", "said=clear"),
    ]
    status, headers, _ = ask(review, path)
    assert status == 303
    assert "HttpOnly" in headers["set-cookie"]
    assert "SameSite=strict" in headers["set-cookie"]
    cookie = headers["set-cookie"].split(";")[0]
    refused += [ask(review, path), ask(review, "/", Host="evil.example:80", Cookie=cookie)]
    refused += [ask(review, "/later", "POST", "form=guess", Cookie=cookie), ask(review, "/consent", "POST", "x" * 5000, Cookie=cookie)]
    assert [told[0] for told in refused] == [403] * len(refused)
    assert not any("Lee" in told[2] for told in refused)
    status, headers, text = ask(review, "/", Cookie=cookie)
    assert status == 200
    assert "Lee" not in text
    assert headers["cache-control"] == "no-store"
    assert headers["content-security-policy"].startswith("default-src 'none'; script-src 'nonce-")
    assert "unsafe" not in headers["content-security-policy"]


def test_nothing_is_decided_before_consent(review):
    """A form of the page before consent decides nothing."""
    parts = urlsplit(review.url)
    _, headers, _ = ask(review, f"{parts.path}?{parts.query}")
    cookie = headers["set-cookie"].split(";")[0]
    text = ask(review, "/", Cookie=cookie)[2]
    form = text.split('name="form" value="')[1].split('"')[0]
    token = review.session.current().token
    status, _, text = ask(review, "/decide", "POST", f"form={form}&item={token}&said=clear", Cookie=cookie)
    assert (status, review.session.done) == (409, 0)
    assert "Lee" not in text
