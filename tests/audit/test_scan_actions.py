"""The scan under policies with pseudonyms, generalised fields, path rules and safe values: what the gate sends is clean, and no more."""

from __future__ import annotations

import json

import pytest

from audit.known_answers import free_text_slots
from audit.scan import Scanner
from phi_guard import Detection, Payload
from phi_guard.gate import Gate
from phi_guard.policy.compiled import Flag, Policy, Rule, ToolRules
from phi_guard.policy.paths import branches
from phi_guard.pseudonym import Pseudonyms

MAKER = Pseudonyms(bytes(range(32)), "")
FIELDS = {
    "who": Rule("who", "pseudonym"),
    "born": Rule("born", "generalise", to="year"),
    "notes": Rule("notes", "scan", safe_values=frozenset({"parkinson"}), allow_entities=frozenset({"LOCATION"})),
    "remark": Rule("remark", "scan"),
}
PATHS = {
    ("inputs", ("patient", "contact", "[*]", "ok")): Rule("ok", "keep", shape=Flag()),
    ("inputs", ("patient", "contact", "[*]", "tel")): Rule("tel", "redact"),
    ("outputs", ("remark",)): Rule("remark", "drop"),
}
TOOLS = {"t": ToolRules(frozenset(FIELDS), frozenset({"remark"}), 0, branches(PATHS))}
POLICY = Policy("p", "", "0" * 16, Rule("?", "redact"), FIELDS, TOOLS, (), {}, MAKER)
SENT = {
    "who": MAKER.of("Ada Byron"),
    "who#2": MAKER.of("Anne"),
    "born": "1958",
    "notes": "Parkinson, from Basel",
    "patient": {"contact": [{"ok": True, "tel": "<REDACTED>"}]},
}


class Knows:
    """Finds a disease for a name, and a town."""

    name = "knows"

    def find(self, text):
        words = {"Parkinson": "PERSON", "Basel": "LOCATION", "Qadvar": "PERSON"}
        return tuple(Detection(text.index(w), text.index(w) + len(w), entity, 1.0, "t") for w, entity in words.items() if w in text)


@pytest.fixture
def found(made):
    """The paths and sources of what a scan finds in a tool's call."""
    scanner = Scanner(POLICY, Knows().find, Knows().find, project="clinic-dev", key=made.KEY)
    return lambda **sides: [(f.path, f.source.partition("+")[0]) for f in scanner.scan(made.span("tool.t", 5, **sides))]


def test_what_the_gate_sends_under_these_rules_is_clean(found):
    """Both read the same policy, and the scan has no complaint of what the gate let out."""
    raw = {
        "who": "Ada Byron", "WHO": "Anne", "born": "1958-03-04", "notes": "Parkinson, from Basel",
        "patient": {"Contact": [{"ok": True, "tel": "079 555 01 23"}]},
    }  # fmt: skip
    body = Gate(POLICY, Knows()).clear(Payload("tool", "tool.t", {"inputs": raw})).body

    assert json.loads(body) == {"inputs": SENT}
    assert found(inputs=SENT) == []


@pytest.mark.parametrize(
    ("change", "finding"),
    [
        ({"who": "Ada"}, ("inputs.who", "policy.pseudonym")),
        ({"who": "<PSEUDONYM:0123456789abcdef01234567>"}, ("inputs.who", "policy.pseudonym")),
        ({"born": "1958-03-04"}, ("inputs.born", "policy.generalise")),
        ({"born": "1815"}, ("inputs.born", "policy.generalise")),
        ({"born": 1958}, ("inputs.born", "policy.generalise")),
        ({"notes": "Parkinson Qadvar"}, ("inputs.notes", "t")),
        ({"remark": "Parkinson"}, ("inputs.remark", "t")),
        ({"WHO": "<REDACTED>"}, ("inputs.?5", "structure.key")),  # the gate never sends another spelling
        ({"who#1": "<REDACTED>"}, ("inputs.?5", "structure.key")),
        ({"patient": "Ada"}, ("inputs.patient", "policy.redact")),
        ({"patient": {"ok": True}}, ("inputs.patient.ok", "structure.key")),  # known below contact only
        ({"patient": {"contact": [{"ok": "Ada"}]}}, ("inputs.patient.contact[0].ok", "policy.shape")),
        ({"patient": {"contact": [{"tel": "079"}]}}, ("inputs.patient.contact[0].tel", "policy.redact")),
    ],
)
def test_what_the_gate_would_not_send_is_found(found, change, finding):
    """A value in clear, a made-up tag, a word that is not safe here, a key of another place or spelling."""
    assert finding in found(inputs={**SENT, **change})


def test_a_field_that_a_path_rule_drops_is_a_finding(found):
    """The tool's own rule goes before the field's."""
    assert found(inputs={"remark": "fine"}) == []
    assert found(outputs={"remark": "fine"}) == [("outputs.remark", "policy.drop")]


def test_known_answers_are_planted_where_all_classes_count():
    """Not where a class may pass, since a plant of that class would be no finding; nor where a path rule drops the field."""
    assert list(free_text_slots(POLICY, "tool.t")) == [("inputs", "remark", None)]
