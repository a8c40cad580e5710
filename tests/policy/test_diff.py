"""Every difference between two policies, and whether it sends more."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phi_guard.model import MARKER
from phi_guard.policy.compiled import Branch, Moment, Number, OneOf, Pattern, Rule, ToolRules
from phi_guard.policy.diff import compare, strength
from phi_guard.redact import redact_tool


@pytest.fixture
def changes(made):
    """What changes when parts of the policy are replaced: ``(kind, path)`` of each change."""

    def of(*parts, sent=(), envs=("",)):
        old = {env: made(env=env) for env in envs}
        new = {env: made(*parts, sent=sent, env=env) for env in envs}
        return [(change.kind, change.path) for change in compare(old, new)]

    return of


NAME = "name: {action: redact, safe_harbor: 1}"
STORY = "story: {action: truncate, chars: 40}"
AGE = "age: {action: keep, shape: {number: [0, 89]}}"
AT = "at: {action: keep, shape: datetime, unless_sent: [name, phone]}"
CODE = 'code: {action: keep, shape: "[A-Z]{2}-[0-9]{4}"}'


def test_the_same_policy_is_no_change(changes):
    """Nothing is told, whatever the environment."""
    assert changes(envs=("", "dev", "prod")) == []


def test_a_keep_in_place_of_a_redact_is_weaker(changes):
    """The change that must never pass unseen."""
    kept = (NAME, "name: {action: keep, shape: {in: doctors}, safe_harbor: 1}")
    waits = ("unless_sent: [name, phone]", "unless_sent: [phone]")
    found = changes(kept, waits, ('"Ada Byron"', '"Dr. Lee"'), sent=[("name: <REDACTED>", 'name: "Dr. Lee"')])
    assert found == [("weaker", "fields.name"), ("weaker", "fields.at")]


@pytest.mark.parametrize(
    ("parts", "kind", "path"),
    [
        ([("default: redact", "default: drop")], "stronger", "default"),
        ([(STORY, "story: {action: truncate, chars: 50}")], "weaker", "fields.story"),
        ([(STORY, "story: {action: truncate, chars: 30}")], "stronger", "fields.story"),
        ([(STORY, "story: {action: scan}")], "weaker", "fields.story"),
        ([(AGE, "age: {action: keep, shape: {number: [0, 99]}}")], "weaker", "fields.age"),
        ([(AGE, "age: {action: keep, shape: {number: [18, 99]}}")], "mixed", "fields.age"),
        ([(CODE, 'code: {action: keep, shape: "[A-Z]{2,3}-[0-9]{4}"}')], "mixed", "fields.code"),
        ([('["Dr. Lee", "Dr. Chen"]', '["Dr. Lee", "Dr. Osei"]')], "mixed", "fields.doctor"),
        ([('["Dr. Lee", "Dr. Chen"]', '["Dr. Lee"]')], "stronger", "fields.doctor"),
        ([("unless_sent: [name, phone]", "unless_sent: [name]")], "weaker", "fields.at"),
        ([("phone: {action: redact, safe_harbor: 4}", "phone: {action: redact}")], "different", "fields.phone"),
        ([("contact: {action: scan}", "contact: {action: scan, safe_values: {Parkinson: a disease}}")], "weaker", "fields.contact"),
        ([("contact: {action: scan}", "contact: {action: scan, allow_entities: {DATE_TIME: dates}}")], "weaker", "fields.contact"),
        ([("outputs: [code]", "outputs: [code, age]")], "weaker", "tools.book.outputs.age"),
        ([("outputs: [code]", "outputs: [code, phone]")], "different", "tools.book.outputs.phone"),
        ([(NAME, NAME[:-1] + ", aliases: [who]}")], "different", "fields.name.aliases.who"),
        ([("shape: {in: doctors}}", "shape: {in: doctors}, aliases: [who]}")], "weaker", "fields.doctor.aliases.who"),
    ],
)  # fmt: skip
def test_one_change_is_told_once_with_its_kind(changes, parts, kind, path):
    """Each kind of change, by itself."""
    assert changes(*parts) == [(kind, path)]


def test_a_field_no_tool_names_any_more_is_learnt_less(changes):
    """A redacted field taken from a tool with free text: its value may come through there."""
    gone = [("inputs: [name, phone", "inputs: [phone"), ('        name: "Ada Byron"\n', ""), ("[{phone: ", "[{name: x, phone: ")]
    sent = [("        name: <REDACTED>\n", ""), ("[{phone: ", "[{name: <REDACTED>, phone: ")]
    assert changes(*gone, sent=sent) == [("weaker", "tools.book.inputs.name")]


def test_a_sent_field_taken_from_a_tool_is_mixed_where_another_waits_for_it(made):
    """The date waited for the age, which is unknown there now: less of the one, more of the other."""
    waits, nested = ("unless_sent: [name, phone]", "unless_sent: [age]"), ("[{phone: ", "[{age: 40, phone: ")
    date, withheld = ('at: "2027-03-15T14:00Z"', "at: <REDACTED>"), ("        age: 40\n", "")
    old = made(waits, sent=[date])
    new = made(waits, ("doctor, at, age,", "doctor, at,"), withheld, nested, sent=[date, withheld, nested])
    assert [(c.kind, c.path) for c in compare({"": old}, {"": new})] == [("mixed", "tools.book.inputs.age")]


def test_a_tightened_field_frees_what_waits_for_it(made):
    """A date kept unless the story is sent: with the story redacted it is sent."""
    base = (("unless_sent: [name, phone]", "unless_sent: [story]"), ("{story: {action: drop}}", "{}"))
    old = made(*base, sent=[('at: "2027-03-15T14:00Z"', "at: <REDACTED>")])
    new = made(*base, (STORY, "story: {action: redact}"), sent=[('story: "a cough"', "story: <REDACTED>")])
    found = [(change.kind, change.path) for change in compare({"": old}, {"": new})]
    assert found == [("stronger", "fields.story"), ("weaker", "fields.at.unless_sent.story")]


def test_an_overlay_that_is_loosened_is_told_for_its_environment(made):
    """The base is the same; prod drops no longer."""
    lost = ("prod: {fields: {story: {action: drop}}}", "prod: {fields: {}}")
    found = compare({env: made(env=env) for env in ("", "prod")}, {env: made(lost, env=env) for env in ("", "prod")})
    assert [(change.kind, change.env, change.path) for change in found] == [("weaker", "prod", "fields.story")]


def test_both_lines_are_told(made):
    """Where the old file says so, and where the new one does."""
    (change,) = compare({"": made()}, {"": made(("fields:\n", "fields:\n\n"), (STORY, "story: {action: truncate, chars: 41}"))})
    assert (change.old_line, change.new_line, change.what) == (12, 13, "chars: 40 -> 41")


def test_a_tool_added_or_taken_away(made):
    """A tool whose fields send something is weaker to add and stronger to take away."""
    row = ("environments:", "  ask: {inputs: [name], outputs: [doctor]}\nenvironments:")
    given = "{tool: ask, inputs: {name: Ada Byron}, outputs: {doctor: Dr. Lee}}"
    example = ("examples:\n", f"examples:\n  - {{given: {given}, sends: {{inputs: {{name: <REDACTED>}}, outputs: {{doctor: Dr. Lee}}}}}}\n")
    old, new = made(), made(row, example)
    assert [(c.kind, c.path) for c in compare({"": old}, {"": new})] == [("weaker", "tools.ask")]
    assert [(c.kind, c.path) for c in compare({"": new}, {"": old})] == [("stronger", "tools.ask")]


def test_a_tools_own_rule_is_compared_with_what_decided_before(made):
    """A path rule that keeps what was redacted is weaker."""
    kept = ("    outputs: [code]", "    outputs: [code]\n    rules: {'inputs.contact[*].phone': {action: keep, shape: {in: [\"none\"]}}}")
    (change,) = compare({"": made()}, {"": made(kept)})
    assert (change.kind, change.path) == ("weaker", "tools.book.rules: inputs.contact[*].phone")
    assert (change.old_line, change.new_line) == (7, 18)


def test_a_tool_added_with_a_rule_of_its_own(made):
    """It lists nothing that is sent; its own rule sends, or opens a place to the fields below it."""
    old = made()
    for own in (Branch(Rule("name", "scan")), Branch(None, {"x": Branch(Rule("x", "redact"))})):
        tool = ToolRules(frozenset({"name"}), frozenset(), paths={"inputs": Branch(None, {"name": own})})
        new = replace(old, tools={**old.tools, "ask": tool})
        assert [(c.kind, c.path) for c in compare({"": old}, {"": new})] == [("weaker", "tools.ask")]


def test_a_place_that_is_walked_into_sends_what_is_below_it(made):
    """A rule for a place below a redacted field: the mapping went whole, and now each known field in it goes by its own rule."""
    old = made()
    branch = Branch(None, {"name": Branch(None, {"x": Branch(Rule("x", "redact"))})})
    new = replace(old, tools={"book": replace(old.tools["book"], paths={"inputs": branch})})
    below, rule = "tools.book.rules: below inputs.name", "tools.book.rules: inputs.name.x"
    assert [(c.kind, c.path) for c in compare({"": old}, {"": new})] == [("weaker", below), ("different", rule)]
    assert [(c.kind, c.path) for c in compare({"": new}, {"": old})] == [("stronger", below), ("different", rule)]
    data = {"inputs": {"name": {"doctor": "Dr. Lee"}}}
    sent = [redact_tool(policy, "book", data, lambda _: ()).value["inputs"]["name"] for policy in (old, new)]
    assert sent == [MARKER, {"doctor": "Dr. Lee"}]


def test_an_alias_that_means_another_field(made):
    """The name is known before and after; what happens to its value is not the same."""
    old, new = (replace(made(), aliases={"who": field}) for field in ("name", "doctor"))
    (change,) = compare({"": old}, {"": new})
    assert (change.kind, change.path, change.what) == ("weaker", "fields.doctor.aliases.who", "an alias means another field")
    assert [c.kind for c in compare({"": new}, {"": old})] == ["stronger"]


shapes = st.one_of(
    st.sampled_from([Moment(True), Moment(False), Pattern("[A-Z]{2}"), Pattern("x")]),
    st.frozensets(st.sampled_from(["a", "b", "c", "x", "AB"]), min_size=1).map(OneOf),
    st.tuples(st.integers(0, 3), st.integers(4, 8)).map(lambda ends: Number(*ends)),
)
names = st.frozensets(st.sampled_from(["p", "q"]))
rules = st.one_of(
    st.sampled_from([Rule("f", action) for action in ("redact", "drop", "pseudonym")]),
    st.builds(lambda shape, unless: Rule("f", "keep", shape=shape, unless_sent=unless), shapes, names),
    st.builds(lambda some, words: Rule("f", "scan", allow_entities=some, safe_values=words), names, names),
    st.builds(lambda chars, words: Rule("f", "truncate", chars=chars, safe_values=words), st.integers(1, 3), names),
    st.sampled_from(["year", "age"]).map(lambda to: Rule("f", "generalise", to=to)),
)
MIRROR = {"weaker": "stronger", "stronger": "weaker", "mixed": "mixed", "different": "different", None: None}


@given(rules, rules)
def test_there_and_back_is_the_mirror(one, other):
    """What is weaker one way is stronger the other way; only the same rule is no change."""
    assert strength(other, one) == MIRROR[strength(one, other)]
    assert (strength(one, other) is None) == (one == other)


@given(rules, rules)
def test_what_is_kept_more_is_never_called_stronger(one, other):
    """Where some value is kept by the new rule and not by the old, the change is weaker or mixed."""
    values = ["a", "b", "c", "x", "AB", "2027-03-15", "2027-03-15T14:00Z", *range(10)]
    if {one.action, other.action} <= {"keep", "redact", "drop"}:
        before, after = ({v for v in values if rule.shape is not None and rule.shape.fits(v)} for rule in (one, other))
        assert after <= before or strength(one, other) in {"weaker", "mixed"}
