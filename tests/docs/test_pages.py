"""The pages say what is there: every link leads somewhere, every command exists with its options, every file that is named is there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from audit.cli import main

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
OURS = ("phi_guard/", "tracing/", "audit/", "tests/", "docs/", "policies/", "clients/")
LATER = {"before.yaml", "after.yaml"}
"""What a reader makes by following the page."""


def blocks(text):
    """What stands in fences, indented by four, or in one pair of backquotes."""
    yield from re.findall(r"^```[^\n]*\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    yield from re.findall(r"(?:^ {4}\S[^\n]*\n)+", text, re.MULTILINE)
    yield from re.findall(r"(?<!`)`([^`\n]+)`(?!`)", text)


def commands(text):
    """Every line that begins with the command; also in a unit file, or a list of a container's."""
    for block in blocks(text):
        for line in block.splitlines():
            found = re.match(r"\s*(?:\$ |ExecStart=\S*/)?(phi-audit(?: .*)?)$", line)
            if found:
                yield found[1]
            elif quoted := re.search(r'\["(?:CMD", ")?phi-audit", (.+)\]', line):
                yield "phi-audit " + " ".join(re.findall(r'"([^"]+)"', f'"{quoted[1].strip(chr(34))}"'))


def strip(line):
    """The command's words, without what a shell takes."""
    words = shlex.split(line, comments=True)
    return words[1 : next((n for n, word in enumerate(words) if word in {"&&", "||", "|", ">", ";"}), len(words))]


def known(words):
    """Follow the words down to a command, and hold its options, and the values of a closed list, against what click knows.

    Raises:
        AssertionError: there is no such command, option or value.
    """
    command, context = main, click.Context(main)
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        found = command.get_command(context, words[0])
        assert found is not None, f"no command {words[0]!r} under {command.name!r}"
        command, words = found, words[1:]
    options = {name: each for each in command.params if isinstance(each, click.Option) for name in (*each.opts, *each.secondary_opts)}
    while words:
        word, words = words[0], words[1:]
        if word == "--help" or not word.startswith("-"):
            continue
        name, _, value = word.partition("=")
        assert name in options, f"{command.name} has no {name}"
        if options[name].is_flag:
            continue
        if not value:
            assert words, f"{name} wants a value"
            value, words = words[0], words[1:]
        if isinstance(options[name].type, click.Choice | click.types.IntParamType | click.types.FloatParamType):
            options[name].type.convert(value, options[name], click.Context(command))
    return command


def links(text):
    """Targets of links that are of this repository."""
    outside = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    return [target for target in re.findall(r"\]\(([^)\s]+)\)", outside) if not re.match(r"[a-z]+:", target)]


def files(text):
    """Paths of this repository that are named in backquotes."""
    for name in re.findall(r"(?<!`)`([^`\s]+)`(?!`)", text):
        if name.startswith(OURS) and name.partition("::")[0] not in LATER:
            yield name.partition("::")[0]


def headings(path):
    """Anchors of a page, as the forges make them."""
    titles = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```", "", path.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    """To a file or a folder, and to a heading where one is named."""
    for target in links(page.read_text("utf-8")):
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), target
        assert not anchor or anchor in headings(there), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_exist_as_shown(page):
    """Each one, with each option."""
    for line in commands(page.read_text("utf-8")):
        try:
            known(strip(line))
        except click.UsageError as fault:
            pytest.fail(f"{line}: {fault.message}")
        except AssertionError as fault:
            pytest.fail(f"{line}: {fault}")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_that_are_named_are_there(page):
    """Those of this repository."""
    missing = [name for name in files(page.read_text("utf-8")) if not (ROOT / name).exists()]
    assert not missing


def test_the_pages_show_what_is_looked_at():
    """Or the tests above would pass over nothing."""
    said = "\n".join(page.read_text("utf-8") for page in PAGES)
    assert len(list(commands(said))) > 20
    assert len(links(said)) > 5
    assert len(list(files(said))) > 5
    for page in (ROOT / "docs" / "relay.md", ROOT / "docs" / "performance.md"):
        assert list(commands(page.read_text("utf-8"))), page.name


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("phi-audit relais", "no command 'relais'"),
        ("phi-audit relay stats", ""),
        ("phi-audit bench overhead --fast", "has no --fast"),
        ("phi-audit bench overhead --format html", "html"),
        ("phi-audit bench overhead --n", "wants a value"),
    ],
)
def test_what_is_not_there_is_found(line, said):
    """The checks bite."""
    with pytest.raises((AssertionError, click.UsageError)) as caught:
        known(strip(line))
    assert said in str(caught.value)


def test_breaks_in_a_page_are_found():
    """A dead link, a command in each of its forms, a file that is not there."""
    page = "[x](docs/none.md) and `tests/none.py` and `phi-audit nope`\n\n```\n$ phi-audit none\n```\n\n    phi-audit nothing --x\n\n"
    page += '```yaml\ncommand: ["phi-audit", "nix", "--y"]\ntest: ["CMD", "phi-audit", "nil"]\n```\n'
    page += "```\nExecStart=/opt/bin/phi-audit null\n```\n"
    assert links(page) == ["docs/none.md"]
    assert list(files(page)) == ["tests/none.py"]
    told = {f"phi-audit {rest}" for rest in ("nope", "none", "nothing --x", "nix --y", "nil", "null")}
    assert set(commands(page)) == told
