"""The pages say what is there: every link leads somewhere, every command exists with its options, every file that is named is there."""

from __future__ import annotations

import re
import shlex
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import click
import pytest

from audit import detectors, exits, method
from audit.cli import main
from audit.incident_clocks import clocks
from audit.plan import plan
from audit.report import FORMATS, document, sections
from audit.report.model import SCHEMA
from audit.statistics import upper_bound

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
        if command.name == "report" and words[:1] != ["diff"]:  # the one that takes a file, or an option of `show`, for its first word
            command, words = command.get_command(context, "show"), [word for word in words if word != "show"]
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


def between(page, name):
    """What stands between a page's marks of a name."""
    return (ROOT / "docs" / page).read_text("utf-8").partition(f"<!-- {name}: begin -->\n")[2].partition(f"<!-- {name}: end -->")[0]


def rows(text):
    """A table's cells, row by row, without its heading."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in lines[2:]]


def section(page, title):
    """What stands under a heading, up to the next."""
    return (ROOT / "docs" / page).read_text("utf-8").partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def every(command, context):
    """A command and all below it."""
    yield command
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            yield from every(below, click.Context(below, info_name=name, parent=context))


def full(page):
    """The commands that a reader would type, pipes and comments left out: those in fences."""
    for fence in re.findall(r"^```\n(.*?)^```", page.read_text("utf-8"), re.DOTALL | re.MULTILINE):
        for line in fence.splitlines():
            if line.startswith("phi-audit "):
                yield line


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_in_fences_would_start(page):
    """They parse as they stand: every required option and argument is there, and nothing too much."""
    for line in full(page):
        words = strip(line)
        command, context = main, main.make_context("phi-audit", list(words), resilient_parsing=True)
        try:
            while isinstance(command, click.Group) and (rest := [*context._protected_args, *context.args]):  # as click itself goes down
                name, command, words = command.resolve_command(context, rest)
                context = command.make_context(name, list(words), parent=click.Context(context.command, info_name=context.info_name))
        except click.exceptions.NoArgsIsHelpError:
            continue  # a group alone shows its help
        except click.UsageError as fault:
            if not fault.message.endswith("does not exist."):  # a file of the reader's
                pytest.fail(f"{line}: {fault.message}")


def test_examples_in_help_exist():
    """Each line of each command's own examples, with each option."""
    seen = 0
    for command in every(main, click.Context(main, info_name="phi-audit")):
        for line in re.findall(r"^\s*(phi-audit .+)$", command.help or "", re.MULTILINE):
            seen += 1
            try:
                known(strip(line))
            except (AssertionError, click.UsageError) as fault:
                pytest.fail(f"{command.name}: {line}: {fault}")
    assert seen > 60


def test_exit_codes_are_those_of_the_program():
    """Each code, in order, with its name."""
    says = {
        exits.GO: "GO", exits.NO_GO: "NO-GO", exits.USAGE: "cannot be used", exits.UNPROVEN: "UNPROVEN",
        exits.BROKEN_EVIDENCE: "does not verify", exits.INTERRUPTED: "interrupted",
    }  # fmt: skip
    codes = sorted(value for name, value in vars(exits).items() if name.isupper())
    told = rows(between("audit.md", "exits"))
    assert [int(code) for code, _ in told] == codes
    assert all(says[int(code)] in words for code, words in told)


def test_layers_are_those_of_the_detectors():
    """Name, alarms and what they count as, row by row."""
    measured = re.findall(r"^    (\S.*?) +(\d+\.\d) +(finding|suspicion|not asked)$", detectors.__doc__, re.MULTILINE)
    assert len(measured) > 5
    assert rows(between("audit.md", "layers")) == measured


def test_blind_spots_are_all_told():
    """Word by word, as the report has them."""
    assert between("audit.md", "blind spots").splitlines() == [f"- {spot}" for spot in method.BLIND_SPOTS]


def test_bounds_are_computed():
    """Each figure of both tables, anew."""
    heading, _, told = (line.strip("| ").split(" | ") for line in between("audit.md", "bounds").splitlines())
    for n, rate in zip(heading[1:], told[1:], strict=True):
        value = upper_bound(0, int(n.replace(",", "")))
        assert rate == f"{value * 100:#.3g} %"
    heading, _, *lines = (line.strip("| ").split(" | ") for line in between("audit.md", "sizes").splitlines())
    for line, most in zip(lines, (0.001, 0.01), strict=True):
        assert line[1:] == [f"{plan(population=int(n.replace(',', '')), max_leak=most).n:,}" for n in heading[1:]]


def test_sections_and_formats_are_those_of_a_report():
    """Their titles in order, and every format."""
    report = document.read(ROOT / "tests" / "audit" / "golden_report.json")
    told = [title for title, _ in rows(section("audit.md", "Reading the report"))]
    assert told == [part.title for part in sections.build(report, 5)]
    assert [cell.strip("`") for cell, *_ in rows(section("audit.md", "Formats"))] == list(FORMATS)
    assert f"schema `{SCHEMA}`" in section("audit.md", "Formats")


def test_clocks_are_those_that_run():
    """Duty, law and who is told, as an incident shows them."""
    running = clocks(datetime(2026, 11, 20, 9, tzinfo=UTC), ZoneInfo("Europe/Zurich"), (1, 600))
    assert [row[:3] for row in rows(between("after-a-leak.md", "clocks"))] == [(each.name, each.law, each.to) for each in running]


def test_variables_of_the_audit_are_all_told():
    """None more, none less."""
    used = {name for path in (ROOT / "audit").rglob("*.py") for name in re.findall(r'"(PHI_AUDIT_[A-Z_]+)"', path.read_text("utf-8"))}
    assert set(re.findall(r"PHI_AUDIT_[A-Z_]+", section("audit.md", "Environment"))) == used
