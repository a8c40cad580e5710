"""Which rule decides a place, from which line, why, and what would be sent."""

from __future__ import annotations

import pytest

from phi_guard.model import MARKER
from phi_guard.policy.explain import MEANS, NOT_SENT, conditions, decide, describe, outcome, parse_path, typed
from phi_guard.policy.paths import BadPath


def decided(policy, path, tool="book"):
    return decide(policy, tool, parse_path(path))


def test_a_listed_field_is_decided_by_its_rule(made):
    """The rule's place and line are told, and the tool that lists it."""
    found = decided(made(), "inputs.name")
    assert (found.where, found.rule.line, found.rule.action) == ("fields.name", 6, "redact")
    assert "line 15" in found.why[0]


def test_another_spelling_meets_the_same_rule(made):
    """An alias is named as one."""
    policy = made((" name: {action: redact,", " name: {action: redact, aliases: [who],"))
    assert decided(policy, "inputs.NAME").where == "fields.name"
    assert decided(policy, "inputs.who").why[0] == "'who' is read as 'name'"


@pytest.mark.parametrize(
    ("path", "tool", "why"),
    [
        ("inputs.nmae", "book", "did you mean 'name'?"),
        ("outputs.name", "book", "does not list 'name' in its outputs"),
        ("inputs.name", "bok", "no tool is called 'bok' (did you mean 'book'?)"),
    ],
)
def test_an_unknown_place_falls_to_the_default(made, path, tool, why):
    """Nobody named it: the default rule, and why."""
    found = decided(made(), path, tool)
    assert (found.where, found.rule.action) == ("default", "redact")
    assert why in found.why[0]


def test_below_a_redacted_field_nothing_is_looked_at(made):
    """The outer rule decides; below a scanned one the inner field's own."""
    policy = made()
    assert decided(policy, "inputs.name.age").where == "fields.name"
    assert decided(policy, "inputs.contact[*].phone").where == "fields.phone"
    assert decided(policy, "inputs.contact[3].phone").where == "fields.phone"


def test_a_tools_own_rule_goes_first(made):
    """A path rule is named with its line, and decides."""
    policy = made(
        ("    outputs: [code]", "    outputs: [code]\n    rules: {'inputs.contact[*].phone': {action: drop}}"),
        sent=[("contact: [{phone: <REDACTED>}]", "contact: [{}]")],
    )
    found = decided(policy, "inputs.contact[*].phone")
    assert (found.where, found.rule.line, found.rule.action) == ("tools.book.rules: inputs.contact[*].phone", 18, "drop")
    assert decided(policy, "inputs.phone").where == "fields.phone"


@pytest.mark.parametrize("path", ["name", "inputs", "inputs.", "input.name", "inputs[0]", "inputs.a..b", ""])
def test_a_path_that_leads_nowhere_is_told(path):
    """What is no path says what to write."""
    with pytest.raises(BadPath, match=r"inputs\.patient"):
        parse_path(path)


@pytest.mark.parametrize(
    ("path", "value", "treated", "sent"),
    [
        ("inputs.name", "Ada Byron", "redact", MARKER),
        ("outputs.code", "AB-1234", "keep", "AB-1234"),
        ("outputs.code", "0791234567", "misfit", MARKER),
        ("inputs.age", "40", "keep", 40),
        ("inputs.age", "95", "misfit", MARKER),
        ("inputs.story", "a cough", "pass", "a cough"),
        ("inputs.story", "mail ada@example.org", "truncate", f"mail {MARKER}"),
        ("inputs.contact[*].phone", "079", "redact", MARKER),
        ("inputs.strange", "Ada", "redact", MARKER),
    ],
)
def test_what_becomes_of_a_value(made, walk, path, value, treated, sent):
    """The outcome is the real walk's."""
    policy, place = made(), parse_path(path)
    done = outcome(policy, "book", place, typed(value, decide(policy, "book", place).rule), walk)
    assert (done.treated, done.sent) == (treated, sent)
    assert value not in done.because


def test_what_is_dropped_is_nothing(made, walk):
    """Under prod the story is not sent at all."""
    assert outcome(made(env="prod"), "book", parse_path("inputs.story"), "a cough", walk).sent is NOT_SENT


@pytest.mark.parametrize("sent", ["Ada Byron", f"call {MARKER}", 42, True])
def test_a_description_does_not_say_the_value(sent):
    """Kind and length, and no more."""
    told = describe(sent)
    assert str(sent) not in told
    assert "Ada" not in told
    assert "call" not in told


def test_conditions_tell_everything_a_rule_asks_for(made):
    """Shape, what it waits for, and its number are all told; every action has a sentence."""
    told = " ".join(conditions(made().fields["at"]))
    assert "ISO 8601" in told
    assert "name, phone" in told
    assert set(MEANS) == {"redact", "drop", "keep", "scan", "truncate", "pseudonym", "generalise"}
