"""The site in a real browser, opened from disk: it asks nobody, fits a telephone, is light and dark, finds words, shows its picture."""

from __future__ import annotations

import shutil

import built_site
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
TELEPHONE, DESK = 360, 1280
"""Widths in CSS pixels."""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The built site's directory."""
    pytest.importorskip("sphinx")
    return built_site.build(tmp_path_factory.getbasetemp())[0]


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def opened(site, browser):
    """Opens a page of the site; at the end, that nothing outside it was asked for and nothing was thrown."""
    held, asked, errors = [], [], []

    def open_page(width=DESK, scheme="light"):
        page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: errors.append(message.text))
        page.on("pageerror", lambda error: errors.append(str(error)))
        held.append(page)
        return page

    yield open_page
    assert [url for url in asked if not url.startswith((site.as_uri(), "data:"))] == []
    assert asked
    assert errors == []
    for page in held:
        page.close()


@pytest.mark.parametrize("width", [TELEPHONE, DESK])
def test_every_page_fits(opened, site, width):
    """No sideways scrolling of the page; what is wider, a table or a command, scrolls by itself."""
    page = opened(width)
    wide = []
    for path in sorted(site.rglob("*.html")):
        page.goto(path.as_uri())
        if page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"):
            wide.append(path.name)
    assert wide == []


@pytest.mark.parametrize("name", ["index.html", "audit.html", "reference/environment.html"])
def test_it_is_light_and_dark(opened, site, name):
    """As the reader's system is: each time the letters stand out from the page."""
    told = {}
    for scheme in ("light", "dark"):
        page = opened(scheme=scheme)
        page.goto((site / name).as_uri())
        told[scheme] = page.evaluate(LIGHT)
    paper, ink = told["light"]
    assert paper > 600
    assert ink < 300
    paper, ink = told["dark"]
    assert paper < 200
    assert ink > 500


LIGHT = """() => ["backgroundColor", "color"].map((what) =>
  getComputedStyle(document.body)[what].match(/[0-9.]+/g).slice(0, 3).reduce((sum, part) => sum + Number(part), 0))"""
"""Of paper and ink: red, green and blue together, 0 to 765."""


def test_a_word_is_found_from_disk(opened, site):
    """The search needs no server."""
    page = opened()
    page.goto((site / "search.html").as_uri() + "?q=quarantined")
    page.wait_for_selector("#search-results li a")
    assert page.locator("#search-results li a").count() >= 2


def test_on_a_telephone_the_contents_open(opened, site):
    """By the button; then a page is one step away."""
    page = opened(TELEPHONE)
    page.goto((site / "index.html").as_uri())
    link = page.locator(".sidebar-tree a", has_text="The audit").first
    assert not link.is_visible() or link.bounding_box()["x"] < 0
    page.locator(".mobile-header label[for=__navigation]").click()
    link.click()
    assert page.url.endswith("audit.html")


@pytest.mark.parametrize("width", [TELEPHONE, DESK])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_picture_of_how_it_works_shows(opened, site, width, scheme):
    """It is loaded, as wide as the column at most, and its letters can be read."""
    if not (site / "how-it-works.html").is_file():
        pytest.fail("there is no page how-it-works")
    page = opened(width, scheme)
    page.goto((site / "how-it-works.html").as_uri())
    picture = page.locator("article img[src$='.svg'], article object[data$='.svg'], article svg:not(.icon)").first
    picture.scroll_into_view_if_needed()
    box = picture.bounding_box()
    assert box["width"] > 200
    assert box["x"] + box["width"] <= width
    assert picture.evaluate("(e) => e.tagName !== 'IMG' || (e.complete && e.naturalWidth > 0)")
