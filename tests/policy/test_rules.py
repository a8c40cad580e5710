"""Rows that become rules: every fault of a row, what may pass and why, and the key that a pseudonym needs."""

from __future__ import annotations

import time

import pytest

from phi_guard import PolicyError, load_policy
from phi_guard.policy.rules import ALLOWABLE
from phi_guard.pseudonym import VARIABLE

KEY = bytes(range(32)).hex()
FILE = """\
version: 1
default: redact
fields:
  name: {action: redact}
  note: ROW
tools: {t: {inputs: [name, note], outputs: []}}
examples:
  - {given: {tool: t, inputs: {name: "Ada", note: "GIVEN"}}, sends: {inputs: {name: <REDACTED>, note: "SENT"}}}
"""


@pytest.fixture
def load(tmp_path):
    """Load a policy with one row to try."""

    def of(row, given="a cough", sent="a cough", env=""):
        path = tmp_path / "p.yaml"
        path.write_text(FILE.replace("ROW", row).replace("GIVEN", given).replace("SENT", sent), "utf-8")
        return load_policy(path, env)

    return of


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        ("{action: scan, allow_entities: {PERSON: 'often wrong'}}", "allow_entities.PERSON: is a class that may name one person"),
        ("{action: scan, allow_entities: {US_SSN: 'never here'}}", "allow_entities.US_SSN: is a class that may name one person"),
        (
            "{action: scan, allow_entities: {DATE_TME: 'a year'}}",
            "allow_entities.DATE_TME: is a class that may name one person (did you mean 'DATE_TIME'?)",
        ),
        ("{action: scan, allow_entities: {DATE_TIME: ' '}}", 'allow_entities.DATE_TIME: " " is no reason'),
        ("{action: scan, allow_entities: [DATE_TIME]}", 'allow_entities: ["DATE_TIME"] will not do; write a mapping of classes to reasons'),
        ("{action: redact, allow_entities: {DATE_TIME: 'a year'}}", "allow_entities: only a scan or truncate has allow_entities"),
        ("{action: scan, safe_values: {Parkinson: ''}}", 'safe_values.Parkinson: "" is no reason'),
        ("{action: scan, safe_values: {' x ': 'a sign'}}", "will not do; write a word or two"),
        ("{action: scan, safe_values: {'079 55': 'a number'}}", "will not do; write a word or two"),
        ("{action: scan, safe_values: {'MRN 00123': 'a number'}}", "safe_values.MRN 00123: has more than 4 digits"),
        ("{action: keep, shape: flag, safe_values: {yes: 'a word'}}", "safe_values: only a scan or truncate has safe_values"),
        ("{action: generalise}", "note.to: is missing; write what shall be left"),
        ("{action: generalise, to: month}", 'note.to: "month" will not do; write year, age, zip3 or state'),
        ("{action: redact, to: year}", "note.to: only a generalise has to"),
        ("{action: pseudonym, unless_sent: [name]}", "note.unless_sent: only a keep has unless_sent"),
        ("{action: pseudonym, chars: 9}", "note.chars: only a truncate has chars"),
        ("{action: hash}", '"hash" will not do; write redact, drop, keep (with a shape), scan, truncate'),
    ],
)
def test_a_setting_that_does_not_belong_or_gives_no_reason_is_a_fault(load, monkeypatch, row, fault):
    """Each on its line, with what to write instead."""
    monkeypatch.setenv(VARIABLE, KEY)
    with pytest.raises(PolicyError) as refused:
        load(row)
    assert any("p.yaml:5: fields.note" in line and fault in line for line in refused.value.faults), refused.value.faults


@pytest.mark.parametrize("entity", ALLOWABLE)
def test_classes_that_name_nobody_may_pass_with_a_reason(load, entity):
    """And words that are nobody's; the reason is read and not compiled, the word is."""
    policy = load(f"{{action: scan, allow_entities: {{{entity}: 'not of a person here'}}, safe_values: {{Parkinson  Plus: 'a disease'}}}}")
    assert policy.fields["note"].allow_entities == {entity}
    assert policy.fields["note"].safe_values == {"parkinson plus"}


@pytest.mark.parametrize(
    ("key", "word"), [(None, "is not set"), (KEY[:62], "holds 31 bytes"), ("not a key!", "neither hexadecimal nor base64")]
)
def test_a_pseudonym_without_a_key_is_refused_at_load(load, monkeypatch, key, word):
    """On the rule's own line, so that nobody learns of it in production; and the key is not repeated."""
    if key is not None:
        monkeypatch.setenv(VARIABLE, key)
    with pytest.raises(PolicyError, match=rf"p\.yaml:5: fields\.note: .*{word}") as refused:
        load("{action: pseudonym}", sent="<PSEUDONYM>")
    assert key is None or key not in str(refused.value)


def test_a_policy_with_pseudonyms_is_proven_and_its_key_stays_out_of_sight(load, monkeypatch):
    """An example writes <PSEUDONYM>; environments differ in their tags and not in the digest, which does not know the key."""
    monkeypatch.setenv(VARIABLE, KEY)
    policies = [load("{action: pseudonym}", sent="<PSEUDONYM>", env=env) for env in ("", "dev", "prod")]
    assert len({policy.pseudonyms.of("a cough") for policy in policies}) == 3
    monkeypatch.setenv(VARIABLE, KEY[::-1])
    assert load("{action: pseudonym}", sent="<PSEUDONYM>").digest == policies[0].digest
    assert KEY not in repr(policies)
    with pytest.raises(PolicyError, match=r"would send \"<PSEUDONYM:"):
        load("{action: pseudonym}", sent="<REDACTED>")


def test_ten_mistakes_are_ten_lines(tmp_path):
    """One of each kind that people make: each is one line that says where and what to write instead, and nothing is a traceback."""
    path = tmp_path / "p.yaml"
    path.write_text(
        """\
version: 1
default: redact
colour: red
fields:
  name: {action: redact}
  name: {action: redact}
  phone: [redact]
  doctor: {action: keep}
  notes: {action: redact}
  spare: {action: drop}
  code: {action: keep, shape: "[A-Z"}
  slow: {action: keep, shape: "(a+)+$"}
  at: {action: keep, shape: date, unless_sent: name}
tools:
  t: {inputs: [name, phone, doctor, notes, code, slow, at, surname], outputs: []}
environments:
  prod: {fields: {notes: {action: scan}}}
examples:
  - given: {tool: t, inputs: {name: x, phone: x, doctor: x, notes: x, code: x, slow: x, at: x}}
    sends: {inputs: {}}
""",
        "utf-8",
    )
    start = time.perf_counter()
    with pytest.raises(PolicyError) as refused:
        load_policy(path, "prod")
    assert time.perf_counter() - start < 2
    expected = [
        "3: colour: this key is not known here",
        "6: fields.name: already given on line 5; keep one of the two",
        '7: fields.phone: ["redact"] is no mapping; write {action: ...',
        "8: fields.doctor.shape: is missing, and a keep without a shape is blind; write datetime",
        "10: fields.spare: no example shows this field and no tool lists it; add one",
        "11: fields.code.shape: the pattern does not compile",
        "12: fields.slow.shape: the pattern may try for hours (repeats within repeats",
        '13: fields.at.unless_sent: "name" will not do; write a list of field names',
        "15: tools.t.inputs[7]: there is no field \"surname\" (did you mean 'name'?); write it under fields",
        "17: environments.prod.fields.notes: scan is looser than redact",
    ]
    faults = [fault.removeprefix(f"{path}:") for fault in refused.value.faults]
    assert len(faults) == len(expected)
    assert all(fault.startswith(start) for fault, start in zip(faults, expected, strict=True)), faults


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|aa)+b", "(?:[a-z]+ ?)+!", "(.*a){20}"])
def test_a_catastrophic_pattern_cannot_hang_the_relay(load, pattern):
    """It is refused at load, within a second, before any value meets it."""
    start = time.perf_counter()
    with pytest.raises(PolicyError, match="may try for hours"):
        load(f"{{action: keep, shape: '{pattern}'}}")
    assert time.perf_counter() - start < 1
