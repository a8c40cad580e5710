"""The pages as a site: it builds without a warning, every link and anchor resolves, the reference is what the code says, examples hold."""

from __future__ import annotations

import ast
import importlib.util
import json
import re
import subprocess
import sys
import tomllib
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from audit.cli import COMMANDS
from audit.glossary import find, names, near, read_all
from audit.glossary.lint_rules import LINT_RULES
from audit.glossary.shelf import slug
from audit.glossary.terms import TERMS
from phi_guard import load_policy
from phi_guard.policy.lint import CODES
from phi_guard.project_file import read_file

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(path for path in DOCS.rglob("*.md") if "_build" not in path.parts)
READ = [ROOT / "README.md", *PAGES]
IDS = [path.relative_to(ROOT).as_posix() for path in READ]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)


class Links(HTMLParser):
    """What a page of the site points at, and what can be pointed at in it."""

    def __init__(self) -> None:
        super().__init__()
        self.to: set[str] = set()
        self.loads: set[str] = set()
        self.anchors: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value for name, value in attrs if value}
        self.anchors |= {given[name] for name in ("id", "name") if name in given}
        if tag == "a" and "href" in given:
            self.to.add(given["href"])
        elif tag == "link" and given.get("rel") not in {"search", "index", "next", "prev"} and "href" in given:
            self.loads.add(given["href"])
        elif "src" in given:
            self.loads.add(given["src"])
        elif tag == "object" and "data" in given:
            self.loads.add(given["data"])


def read_site(directory):
    """Every page of a built site with its links."""
    pages = {}
    for path in directory.rglob("*.html"):
        links = Links()
        links.feed(path.read_text("utf-8"))
        pages[path.resolve()] = links
    return pages


def dead(pages):
    """Links of a site that lead nowhere, as ``page: link``."""
    found = []
    for path, links in pages.items():
        for link in links.to | links.loads:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            known = pages[target].anchors if target in pages else set()
            if not target.is_file() or (parts.fragment and target in pages and unquote(parts.fragment) not in known):
                found.append(f"{path.name}: {link}")
    return found


def test_the_site_builds_without_a_warning(built):
    """Every page stands in the contents, every reference leads somewhere, every block is of the language it says."""
    _, code, said = built
    assert (code, said.strip()) == (0, "")


def test_every_page_is_in_the_site(built):
    """And the contents name each of them."""
    directory, *_ = built
    index = (directory / "index.html").read_text("utf-8")
    for page in PAGES:
        name = page.relative_to(DOCS).with_suffix(".html").as_posix()
        assert (directory / name).is_file()
        assert name == "index.html" or f'href="{name}"' in index, name


def test_every_link_of_the_site_leads_somewhere(built):
    """To a page that is there, and to an anchor that it has."""
    pages = read_site(built[0])
    assert dead(pages) == []
    assert sum(len(links.to) for links in pages.values()) > 500


def test_a_dead_link_is_found(tmp_path):
    """The check bites: a page that is not there, an anchor that is not there, a picture that is not there."""
    (tmp_path / "a.html").write_text('<h1 id="x">x</h1><a href="b.html">b</a><a href="#y">y</a><a href="#x">x</a><img src="c.png">')
    assert sorted(dead(read_site(tmp_path))) == ["a.html: #y", "a.html: b.html", "a.html: c.png"]


def test_the_site_loads_nothing_from_elsewhere(built):
    """No script, style, font or picture of another host."""
    directory, *_ = built
    elsewhere = {link for links in read_site(directory).values() for link in links.loads if urlsplit(link).scheme not in {"", "data"}}
    assert elsewhere == set()
    for path in directory.rglob("*.css"):
        asked = re.findall(r"(?:@import|url\()\s*['\"]?\s*((?:https?:)?//[^'\")\s]+)", path.read_text("utf-8"))
        assert asked == [], path.name


@pytest.mark.parametrize("page", READ, ids=IDS)
def test_links_to_elsewhere_are_well_formed(page):
    """Whole addresses, with TLS but on this machine; they are not asked."""
    text = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    for link in re.findall(r"\]\(([a-z]+:[^)\s]+)\)", text):
        parts = urlsplit(link)
        assert parts.scheme in {"https", "mailto"} or parts.hostname in {"127.0.0.1", "localhost"}, link
        assert parts.scheme == "mailto" or re.fullmatch(r"[a-z0-9-]+(\.[a-z0-9-]+)+", parts.hostname or ""), link


def test_the_reference_is_what_the_code_says():
    """Made anew, each page has the same bytes."""
    done = subprocess.run(
        [sys.executable, DOCS / "generate.py", "--check"], capture_output=True, text=True, check=False, timeout=120, cwd=ROOT
    )  # fmt: skip
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.fixture(scope="module")
def generate():
    """The generator, as a module."""
    sys.path.insert(0, str(DOCS))
    try:
        spec = importlib.util.spec_from_file_location("generate_pages", DOCS / "generate.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        yield module
    finally:
        sys.path.remove(str(DOCS))


@pytest.fixture
def environment(generate):
    """The part of the generator that looks for variables."""
    return sys.modules["generator.environment"]


def test_a_page_that_differs_is_told(generate, monkeypatch, tmp_path, capsys):
    """One that was changed by hand, one that is missing, and one that nothing makes; writing puts all of it right."""
    monkeypatch.setattr(generate, "pages", lambda: {"a.md": "a\n", "b.md": "b\n"})
    where = tmp_path / "reference"
    where.mkdir()
    monkeypatch.setattr(generate, "WHERE", where)
    (where / "a.md").write_text("changed\n")
    (where / "c.md").write_text("c\n")
    assert generate.main(["--check"]) == 1
    assert re.findall(r"reference/(\w\.md)", capsys.readouterr().out) == ["c.md", "a.md", "b.md"]
    assert generate.main([]) == 0
    assert generate.main(["--check"]) == 0
    assert sorted(path.name for path in where.iterdir()) == ["a.md", "b.md"]


@pytest.mark.parametrize(
    "code",
    [
        'x = os.environ.get("PHI_AUDIT_NEW")', 'x = os.environ["PHI_AUDIT_NEW"]', 'NAME = "PHI_AUDIT_NEW"',
        'x = os.getenv("PHI_AUDIT_NEW")',
        'x = environ.get("NEW_THING")', '@click.option("--x", envvar="PHI_AUDIT_NEW")\ndef f(): pass', 'a = "NO_COLOR" not in os.environ',
    ],
)  # fmt: skip
def test_a_variable_that_is_read_is_seen(environment, code):
    """However it is written."""
    assert list(environment.variables_of(ast.parse(code)))


def test_a_variable_without_a_sentence_stops_the_generator(environment, monkeypatch):
    """And so does a sentence about one that nothing reads any more."""
    monkeypatch.setattr(environment, "read_in_code", lambda: {"PHI_AUDIT_NEW": {"audit"}})
    with pytest.raises(SystemExit, match="PHI_AUDIT_NEW"):
        environment.environment()
    monkeypatch.setattr(environment, "read_in_code", dict)
    with pytest.raises(SystemExit, match="PHI_AUDIT_DIR"):
        environment.environment()


def test_every_command_has_its_help_on_the_page():
    """Word by word is for the test above; here, that none is left out."""
    text = (DOCS / "reference" / "cli.md").read_text("utf-8")
    assert [name for name in COMMANDS if f"\n## phi-audit {name}\n" not in text] == []


@pytest.mark.parametrize("page", READ, ids=IDS)
def test_blocks_are_of_their_language(page, tmp_path):
    """Python parses, JSON and TOML load, a settings file is one, a whole policy loads with its examples."""
    for n, (kind, block) in enumerate(FENCE.findall(page.read_text("utf-8"))):
        if kind in {"python", "py"}:
            ast.parse(block)
        elif kind == "json":
            json.loads(block)
        elif kind == "toml":
            tomllib.loads(block)
            if re.search(r"^\[(project|relay|audit|sampling|environments)\b", block, re.MULTILINE):
                path = tmp_path / f"{n}.toml"
                path.write_text(block)
                assert read_file(path).settings
        elif kind in {"yaml", "yml"} and re.search(r"^version: 1\n(?:.*\n)*(?:default|extends|fields):", block, re.MULTILINE):
            for shipped in (ROOT / "policies").glob("*.yaml"):
                (tmp_path / shipped.name).write_bytes(shipped.read_bytes())
            path = tmp_path / f"own-{n}.yaml"
            path.write_text(block)
            assert load_policy(path).fields


def test_there_are_blocks_to_look_at():
    """Or the test above would pass over nothing."""
    kinds = [kind for page in READ for kind, _ in FENCE.findall(page.read_text("utf-8"))]
    assert {"python", "yaml", "toml"} <= set(kinds)


def anchors(page):
    """Anchors of a page, as the forges make them."""
    text = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    return {slug(title) for title in re.findall(r"^#+ (.+)$", text, re.MULTILINE)}


def test_what_is_explained_names_a_page_that_is_there():
    """Page and heading."""
    for entry in read_all():
        page = DOCS / entry.page.partition("#")[0]
        assert page.is_file(), entry.page
        assert not entry.anchor or entry.anchor in anchors(page), f"{entry.name}: {entry.page}"


def test_each_word_has_one_meaning():
    """No two entries answer to one word of one kind; terms stand in the order of the alphabet; each rule of lint has its entry."""
    entries = read_all()
    known = [(entry.kind, name.casefold()) for entry in entries for name in (entry.name, *entry.also)]
    assert len(set(known)) == len(known)
    assert [term.name.casefold() for term in TERMS] == sorted(term.name.casefold() for term in TERMS)
    assert [rule.code for rule in LINT_RULES] == list(CODES)
    assert {entry.name for entry in entries} == set(names())
    for entry in entries:
        assert entry in find(entry.name, entries)
    assert near("quarantned", entries)[0] == "quarantined"
