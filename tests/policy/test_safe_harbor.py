"""``standard: safe_harbor``: all eighteen identifiers served, none let through, or the file does not load."""

from __future__ import annotations

import re

import pytest

from phi_guard import MARKER, PolicyError, load_policy
from phi_guard.policy import shipped
from phi_guard.policy.safe_harbor import IDENTIFIERS
from phi_guard.pseudonym import VARIABLE
from phi_guard.redact import redact_tool

TEXT = shipped("safe_harbor.yaml").read_text("utf-8")
ROW = re.compile(r"^  (\w+): \{action: .*safe_harbor: (\d+).*\}.*\n", re.MULTILINE)


@pytest.fixture
def faults(tmp_path):
    """The faults of a changed file, without the folder."""

    def of(text, name="s.yaml"):
        path = tmp_path / name
        path.write_text(text, "utf-8")
        with pytest.raises(PolicyError) as refused:
            load_policy(path)
        return [fault.removeprefix(f"{tmp_path}/") for fault in refused.value.faults]

    return of


def test_the_rows_of_the_shipped_file_serve_every_number():
    """The pattern the next test takes rows out with finds them all."""
    assert {int(number) for _, number in ROW.findall(TEXT)} == set(IDENTIFIERS) == set(range(1, 19))


@pytest.mark.parametrize("number", IDENTIFIERS)
def test_without_one_of_the_eighteen_it_does_not_load(faults, number):
    """The fields of one number are taken out of the whole file: what is missing is said by number and name, and nothing else is wrong."""
    names = [name for name, n in ROW.findall(TEXT) if int(n) == number]
    text = ROW.sub(lambda row: "" if int(row[2]) == number else row[0], TEXT)
    found = faults(text)
    line = TEXT.splitlines().index("standard: safe_harbor") + 1
    said = f"no field serves number {number} ({IDENTIFIERS[number]}); add one with safe_harbor: {number}, and redact it"
    assert [f for f in found if ": standard: " in f] == [f"s.yaml:{line}: standard: {said}"]
    assert all(": standard: " in f or any(name in f for name in names) for f in found)


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("mrn: {action: redact,", "mrn: {action: keep, shape: '[0-9]{6}',", "fields.mrn: keep lets identifier 8 through"),
        ("notes: {action: redact,", "notes: {action: scan,", "fields.notes: scan lets identifier 18 through"),
        ("notes: {action: redact,", "notes: {action: truncate, chars: 9,", "fields.notes: truncate lets identifier 18 through"),
        ("mrn: {action: redact,", "mrn: {action: pseudonym,", "fields.mrn: a pseudonym is derived from the value, which 45 CFR 164.514(c)"),
        ("opening_hours: {action: redact}", "opening_hours: {action: pseudonym}", "fields.opening_hours: a pseudonym is derived"),
        ("phone: {action: redact,", "phone: {action: generalise, to: zip3,", "fields.phone: to: zip3 is for identifier 2"),
        (
            "    inputs: [symptoms]\n",
            '    inputs: [symptoms]\n    rules: {"inputs.symptoms": {action: scan}}\n',
            "tools.get_medical_guidelines.rules.inputs.symptoms: scan lets identifier 18 through",
        ),
    ],
)
def test_a_rule_that_lets_an_identifier_through_is_refused(faults, monkeypatch, old, new, fault):
    """Kept, searched, cut, turned into a pseudonym or into something of another kind, at a field or at a path."""
    monkeypatch.setenv(VARIABLE, bytes(range(40)).hex())
    assert old in TEXT
    found = faults(TEXT.replace(old, new, 1))
    assert any(fault in f for f in found), found


def test_a_file_on_top_is_held_to_the_standard_too(faults, tmp_path):
    """What is added below must not let through what the base does not."""
    (tmp_path / "base.yaml").write_text(TEXT, "utf-8")
    own = """\
version: 1
extends: base.yaml
fields: {employer: {action: scan, safe_harbor: 1}}
tools: {hire: {inputs: [employer], outputs: []}}
examples: [{given: {tool: hire, inputs: {employer: x}}, sends: {inputs: {employer: x}}}]
"""
    assert faults(own, "own.yaml") == ["own.yaml:3: fields.employer: scan lets identifier 1 through; write redact, drop or generalise"]


def test_nothing_of_a_patient_is_in_what_it_sends():
    """A stranger's data in every field of every tool: what leaves is a marker, a year, a state or a word of the clinic's own."""
    policy = load_policy(shipped("safe_harbor.yaml"), "prod")
    for secret in ("Zephyrine Quill 0790001122", "12 Rue Zephyrine, 90210", 790001122, {"name": "Quill"}, ["Quill"]):
        for tool, rules in policy.tools.items():
            data = {side: dict.fromkeys(sorted(rules.side(side)), secret) for side in ("inputs", "outputs")}
            sent = redact_tool(policy, tool, data, lambda _: ()).value
            assert {str(v) for side in sent.values() for v in side.values()} <= {
                MARKER,
                f"['{MARKER}']",
                "{'<REDACTED_KEY_1>': '<REDACTED>'}",
            }
