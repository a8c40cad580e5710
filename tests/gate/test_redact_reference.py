"""The walk over policies and payloads nobody thought of: it is what the plain reference says, and it keeps its promises."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from datetime import date

import pytest
import strategies as ours
from gate.reference import Reference
from hypothesis import given, settings
from hypothesis import strategies as st

from phi_guard import MARKER, Detection
from phi_guard.policy.compiled import Policy, Rule, ToolRules
from phi_guard.policy.names import spelling
from phi_guard.policy.overlay import tighter
from phi_guard.policy.paths import branches
from phi_guard.pseudonym import Pseudonyms
from phi_guard.redact import redact_tool

PSEUDONYMS = Pseudonyms(bytes(range(32)), "")
TODAY = date(2026, 6, 1)
MANY = settings(max_examples=400, deadline=None)


def find(text):
    """Knows one person, and years."""
    found = [(i, i + 5, "PERSON") for i in range(len(text)) if text.startswith("Zqxjk", i)]
    found += [(i, i + 4, "DATE_TIME") for i in range(len(text)) if text.startswith("2027", i)]
    return [Detection(start, end, entity, 1.0, "t") for start, end, entity in found]


def compiled(drawn):
    """The policy that a drawn one stands for."""
    tools = {"t": ToolRules(drawn.listed["inputs"], drawn.listed["outputs"], 0, branches(drawn.rules))}
    aliases = {spelling("caller id"): "name"} if "name" in drawn.fields else {}
    return Policy("p", "", "", drawn.default, drawn.fields, tools, (), aliases, PSEUDONYMS)


def sent_by(policy, data):
    return redact_tool(policy, "t", data, find, today=TODAY).value


@given(drawn=ours.policies, data=ours.calls)
@MANY
def test_the_fast_walk_sends_what_the_plain_one_sends(drawn, data):
    """Random rules, path rules, spellings and payloads: both send the same, to the byte."""
    policy = compiled(drawn)
    rules = {(side, *steps): rule for (side, steps), rule in drawn.rules.items()}
    listed = {side: set(names) for side, names in drawn.listed.items()}
    plain = Reference(drawn.default, drawn.fields, listed, rules, dict(policy.aliases), PSEUDONYMS, TODAY, find)
    assert json.dumps(sent_by(policy, data), sort_keys=True) == json.dumps(plain.redact(data), sort_keys=True)


@given(drawn=ours.policies, data=ours.calls)
@MANY
def test_redacting_twice_is_redacting_once_under_any_policy(drawn, data):
    """Pseudonyms, generalised values, aliases and twins are known again, also after a round through JSON with sorted keys."""
    policy = compiled(drawn)
    once = sent_by(policy, data)
    assert sent_by(policy, once) == once
    assert sent_by(policy, json.loads(json.dumps(once, sort_keys=True))) == once


@given(drawn=ours.policies, data=ours.calls)
@MANY
def test_the_payload_is_never_changed_under_any_policy(drawn, data):
    """The caller's own objects go on into the tool."""
    before = copy.deepcopy(data)
    sent_by(compiled(drawn), data)
    assert data == before


@given(drawn=ours.policies, data=ours.calls, secret=st.sampled_from(["Kwyjibo", 7_700_900_461]))
@MANY
def test_nothing_under_a_name_nobody_gave_is_sent_under_any_policy(drawn, data, secret):
    """An unknown key beside the known ones, at the top and in every mapping: neither it nor what stands under it leaves."""

    def planted(value):
        if isinstance(value, dict):
            return {**{key: planted(inner) for key, inner in value.items()}, "kwyjiboKey": [{"name": secret}, secret]}
        return [planted(inner) for inner in value] if isinstance(value, list) else value

    body = json.dumps(sent_by(compiled(drawn), {side: planted(value) for side, value in data.items()}))
    assert "kwyjibo" not in body.lower()
    assert str(secret) not in body


def leaves(value, path=()):
    """Every plain value of a payload by its place, a text in JSON taken for what it holds."""
    if isinstance(value, str) and value[:1] in {"{", "["}:
        value = json.loads(value)
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(inner, (*path, key))
    else:
        yield path, value


@given(drawn=ours.policies, data=ours.calls, over=st.dictionaries(st.sampled_from(ours.FIELDS), ours.rules, max_size=4))
@MANY
def test_a_tightened_policy_never_sends_what_the_base_would_not(drawn, data, over):
    """Whatever rule an environment sets, the tighter of the two is in force: no plain value leaves that did not leave before.

    Texts are compared before they are cut (what is redacted makes room for what comes after), conditions are left out (the loader refuses
    an overlay that would set a waiting value free), and so are lists from which items drop, whose places move.
    """

    def uncut(rule):
        return replace(rule, action="scan", chars=0) if rule.action == "truncate" else replace(rule, unless_sent=frozenset())

    fields = {name: uncut(rule) for name, rule in drawn.fields.items()}
    tight = {name: tighter(rule, uncut(replace(over[name], field=name))) if name in over else rule for name, rule in fields.items()}
    flat = {side: {key: value for key, value in call.items() if not isinstance(value, list)} for side, call in data.items() if call}
    base, prod = (dict(leaves(sent_by(compiled(replace(drawn, fields=f, rules={})), flat))) for f in (fields, tight))
    for path, value in prod.items():
        if value in {MARKER, None} or (path not in base and any(isinstance(step, int) for step in path)):
            continue
        less = (
            isinstance(value, str)
            and isinstance(base.get(path), str)
            and set(value.replace(MARKER, " ").split()) <= set(base[path].split())
        )
        assert less or value == base[path], (path, value, base.get(path))


@pytest.mark.parametrize("default", ["redact", "drop"])
def test_two_keys_that_meet_one_field_are_both_sent_and_numbered(default):
    """Neither overwrites the other, each keeps its number on the way back, and a hundredth is unknown."""
    policy = Policy("p", "", "", Rule("?", default), {"patient_name": Rule("patient_name", "redact"), "ok": Rule("ok", "scan")},
                    {"t": ToolRules(frozenset({"patient_name", "ok"}), frozenset())})  # fmt: skip
    given_ = {"patientName": 1, "PATIENT-NAME": 2, "patient name": 3, "ok": "fine", "Patient_Name#9": 4}
    sent = sent_by(policy, {"inputs": given_})["inputs"]
    assert list(sent) == ["patient_name", "patient_name#2", "patient_name#3", "ok", "patient_name#4"]
    many = sent_by(policy, {"inputs": {"o" + "-" * n + "k": "fine" for n in range(70)} | {"ok" + "_" * n: "fine" for n in range(60)}})[
        "inputs"
    ]
    assert [key for key in many if key.startswith("ok")] == ["ok", *(f"ok#{n}" for n in range(2, 100))]
    assert ("<REDACTED_KEY_1>" in many) == (default == "redact")
