"""docs/compliance.md says what is there: each identifier and each article has its row, each field is the policy's, each test can be run."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from audit.cli import main
from phi_guard import load_policy
from phi_guard.detect.classes import LETTERS, safe_harbor
from phi_guard.detect.patterns import RULES as WRITTEN
from phi_guard.detect.spoken import RULES as SPOKEN
from phi_guard.policy import shipped
from phi_guard.policy.safe_harbor import IDENTIFIERS

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "docs" / name for name in ("compliance.md", "threat-model.md")]
TEXT = PAGES[0].read_text("utf-8")
TEST = re.compile(r"`(tests/[\w/]+\.py)::([^`\s]+)`")
ARTICLES = {
    "45 CFR 164.312(b)", "45 CFR 164.312(c)(1)", "45 CFR 164.316(b)", "45 CFR 164.502(b)", "45 CFR 164.402 to 164.410", "GDPR Art. 25",
    "GDPR Art. 30", "GDPR Art. 32", "GDPR Art. 33", "nFADP Art. 24", "DPO Art. 4",
}  # fmt: skip


def rows(title):
    """The cells of the first table under a heading, row by row."""
    section = TEXT.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    table = re.search(r"(?:^\|.*\n)+", section, re.MULTILINE)[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]


def quoted(cell):
    """What stands in backquotes in a cell."""
    return set(re.findall(r"`([^`]+)`", cell))


def fields(name):
    """A shipped policy's fields by number of the identifier they hold."""
    found = {}
    for field, rule in load_policy(shipped(name)).fields.items():
        found.setdefault(rule.safe_harbor, set()).add(field)
    return found


IDENTIFIER_ROWS = rows("The eighteen identifiers of HIPAA Safe Harbor")
ARTICLE_ROWS = rows("Articles")


def test_every_identifier_has_its_row():
    """All eighteen, in the order of the rule, each with its letter."""
    assert [row[0] for row in IDENTIFIER_ROWS] == [f"{number} ({LETTERS[number - 1]})" for number in IDENTIFIERS]


@pytest.mark.parametrize(("column", "name"), [(2, "clinic.yaml"), (3, "safe_harbor.yaml")])
def test_the_fields_are_those_of_the_policy(column, name):
    """None that is not there, and none left out."""
    said = {number: quoted(row[column]) for number, row in enumerate(IDENTIFIER_ROWS, 1)}
    there = fields(name)
    assert said == {number: there.get(number, set()) for number in IDENTIFIERS}


def test_each_class_is_found_by_a_rule_and_counts_as_its_number():
    """Each name in capitals is what a rule for text finds, and counts as the row's number; a fax number has a telephone's form."""
    found = {rule.entity for rule in (*WRITTEN, *SPOKEN)}
    elsewhere = {(5, "PHONE_NUMBER")}
    for number, row in enumerate(IDENTIFIER_ROWS, 1):
        classes = set(re.findall(r"\b[A-Z][A-Z_]+\b", row[4]))
        assert classes, number
        assert classes <= found, number
        if number != 17:  # pictures have no class: the name of their file is told as an address
            assert {each for each in classes if safe_harbor(each) != number and (number, each) not in elsewhere} == set(), number


@pytest.mark.parametrize("row", [*IDENTIFIER_ROWS, *ARTICLE_ROWS], ids=lambda row: row[0])
def test_each_row_has_its_tests(row):
    """At least one, in the list below the table."""
    told = [line for line in TEXT.splitlines() if line.startswith(f"- {row[0]}: ") and TEST.search(line)]
    assert len(told) == 1


def test_each_row_of_the_threat_model_has_its_tests():
    """By number, none left out."""
    text = PAGES[1].read_text("utf-8")
    numbers = re.findall(r"^\| (\d+) \|", text, re.MULTILINE)
    told = [line for line in text.splitlines() if re.match(r"- \d+: ", line) and TEST.search(line)]
    assert len(numbers) > 15
    assert numbers == [line[2:].partition(":")[0] for line in told] == [str(n) for n in range(1, len(numbers) + 1)]


def test_every_article_has_its_row_with_a_command():
    """The laws the page is asked to map, no other; each with a command that there is."""
    assert [row[0] for row in ARTICLE_ROWS if row[0] not in ARTICLES] == []
    assert {row[0] for row in ARTICLE_ROWS} == ARTICLES
    for row in ARTICLE_ROWS:
        commands = [text.split() for text in quoted(row[3])]
        assert commands, row[0]
        for words in commands:
            assert words[0] == "phi-audit", row[0]
            assert words[1] in main.list_commands(None), row[0]


def test_every_test_that_is_named_can_be_run():
    """By path and name; one with a parameter is collected, since only pytest knows those. Both pages that name tests are held to it."""
    named = {match.groups() for page in PAGES for match in TEST.finditer(page.read_text("utf-8"))}
    assert len(named) > 60
    functions = {
        (path, node.name)
        for path in {path for path, _ in named}
        for node in ast.parse((ROOT / path).read_text("utf-8")).body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert {(path, name) for path, name in named if (path, name.partition("[")[0]) not in functions} == set()
    asked = sorted({path for path, name in named if "[" in name})
    collect = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", "-o", "addopts=--import-mode=importlib"]
    done = subprocess.run([*collect, *asked], cwd=ROOT, capture_output=True, text=True, check=False, timeout=150)
    there = {tuple(line.split("::", 1)) for line in done.stdout.splitlines() if "::" in line}
    assert {(path, name) for path, name in named if "[" in name} - there == set(), done.stdout[-500:] + done.stderr[-500:]
