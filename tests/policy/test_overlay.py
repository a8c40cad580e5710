"""An environment may only tighten."""

from __future__ import annotations

import itertools

import pytest

from phi_guard import PolicyError, load_policy
from phi_guard.model import MARKER
from phi_guard.policy.compiled import OneOf, Policy, Rule, ToolRules
from phi_guard.policy.overlay import loosening
from phi_guard.redact import redact_tool

DOCTORS = OneOf(frozenset({"Dr. Lee"}))
RULES = {
    "keep": Rule("f", "keep", shape=DOCTORS),
    "keep unless": Rule("f", "keep", shape=DOCTORS, unless_sent=frozenset({"g"})),
    "keep other": Rule("f", "keep", shape=OneOf(frozenset({"Ada Byron"}))),
    "scan": Rule("f", "scan"),
    "truncate 50": Rule("f", "truncate", chars=50),
    "truncate 20": Rule("f", "truncate", chars=20),
    "redact": Rule("f", "redact"),
    "drop": Rule("f", "drop"),
}
TIGHTER = {
    ("keep", "keep unless"),
    ("scan", "truncate 50"), ("scan", "truncate 20"), ("truncate 50", "truncate 20"),
    *itertools.product(["keep", "keep unless", "keep other", "scan", "truncate 50", "truncate 20"], ["redact", "drop"]),
    ("redact", "drop"),
    *((name, name) for name in RULES),
}  # fmt: skip


@pytest.mark.parametrize(("base", "over"), list(itertools.product(RULES, repeat=2)))
def test_only_what_sends_less_is_no_loosening(base, over):
    """Each pair of rules is judged as the written-out order says."""
    assert (loosening(RULES[base], RULES[over]) == "") == ((base, over) in TIGHTER)


@pytest.mark.parametrize(("base", "over"), sorted(TIGHTER))
def test_a_tighter_rule_sends_no_text_that_the_base_would_not(base, over):
    """The order holds in the real walk: what the tighter rule lets through stands in what the base lets through."""
    for value, neighbour in itertools.product(
        ["Dr. Lee", "Ada Byron", "a long story about a cough that will not go away at all", True], ["x", None]
    ):
        sent = []
        for rule in (RULES[base], RULES[over]):
            tools = {"t": ToolRules(frozenset({"f", "g"}), frozenset())}
            policy = Policy("p", "", "", Rule("?", "redact"), {"f": rule, "g": Rule("g", "scan")}, tools)
            data = {"f": value} | ({"g": neighbour} if neighbour else {})
            sent.append(redact_tool(policy, "t", {"inputs": data}, lambda _: ()).value["inputs"].get("f", ""))
        loose, tight = (str(value).replace(MARKER, "").rstrip("…") for value in sent)
        assert tight in loose


BASE = """\
version: 1
default: redact
fields:
  name: {action: redact, safe_harbor: 1}
  notes: {action: truncate, chars: 40}
  at: {action: keep, shape: datetime, unless_sent: [name]}
tools:
  book: {inputs: [name, notes, at], outputs: []}
environments:
  prod:
    fields:
      OVERLAY
examples:
  - given: {tool: book, inputs: {name: "Ada Byron", notes: "a cough", at: "2027-03-15"}}
    sends: {inputs: {name: <REDACTED>, notes: "a cough", at: "2027-03-15"}}
"""


def write(path, overlay):
    """A policy with an overlay for prod."""
    file = path / "p.yaml"
    file.write_text(BASE.replace("OVERLAY", overlay), "utf-8")
    return file


def test_an_overlay_is_in_force_only_where_it_was_asked_for(tmp_path):
    """Asked for, prod gets the tighter rule with the overlay's line, and another digest; dev and no environment do not."""
    file = write(tmp_path, "notes: {action: drop}")
    prod, dev, base = (load_policy(file, env) for env in ("prod", "dev", ""))
    assert (prod.fields["notes"].action, prod.fields["notes"].line) == ("drop", 12)
    assert dev.fields == base.fields
    assert base.fields["notes"].action == "truncate"
    assert dev.digest == base.digest != prod.digest


def test_an_overlay_keeps_what_the_field_is(tmp_path):
    """The safe harbor number belongs to the field, so a tightened rule still has it."""
    assert load_policy(write(tmp_path, "name: {action: drop}"), "prod").fields["name"].safe_harbor == 1


@pytest.mark.parametrize(
    ("overlay", "fault"),
    [
        ("name: {action: scan}", "12: environments.prod.fields.name: scan is looser than redact"),
        ("name: {action: drop, safe_harbor: 2}", "12: environments.prod.fields.name.safe_harbor: what a field is does not change here"),
        ("notes: {action: truncate, chars: 41}", "12: environments.prod.fields.notes: 41 chars are more than 40"),
        ("at: {action: keep, shape: datetime}", "12: environments.prod.fields.at: unless_sent must name these too: name"),
        ("at: {action: keep, shape: date, unless_sent: [name]}", "12: environments.prod.fields.at: a different shape"),
        ("nam: {action: drop}", "12: environments.prod.fields.nam: there is no field \"nam\" (did you mean 'name'?)"),
        ("name: {}", "12: environments.prod.fields.name.action: is missing"),
    ],
)
@pytest.mark.parametrize("env", ["", "dev", "prod"])
def test_a_loosening_overlay_is_a_fault_whichever_environment_is_loaded(tmp_path, overlay, fault, env):
    """The overlay is refused on its own line, even by a worker that would not use it."""
    with pytest.raises(PolicyError) as refused:
        load_policy(write(tmp_path, overlay), env)
    assert [f for f in refused.value.faults if f"p.yaml:{fault}" in f] == list(refused.value.faults)
