"""What loads but is risky: each doubt has its code and line, and a sound policy has none that matters."""

from __future__ import annotations

import pytest

from phi_guard import PolicyError
from phi_guard.policy import shipped
from phi_guard.policy.lint import CODES, SEVERITIES, lint
from phi_guard.policy.samples import SAMPLES

POLICIES = [path.name for path in sorted(shipped("clinic.yaml").parent.glob("*.yaml")) if "\ntools:" in path.read_text("utf-8")]
AGE = "age: {action: keep, shape: {number: [0, 89]}}"
STORY = "story: {action: truncate, chars: 40}"
CODE = '"[A-Z]{2}-[0-9]{4}"'


@pytest.fixture
def found(write):
    """The doubts about the policy with parts replaced, as ``(code, severity, line, path)``."""
    return lambda *changes, sent=(): [(f.code, f.severity, f.line, f.path) for f in lint(write(*changes, sent=sent))]


def test_a_sound_policy_is_clean(found):
    """There is nothing to say about it."""
    assert found() == []


@pytest.mark.parametrize("name", POLICIES)
def test_a_shipped_policy_has_nothing_but_remarks(name):
    """No error and no warning."""
    assert {finding.severity for finding in lint(shipped(name))} <= {"info"}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ([(CODE, '"[A-Z]{2}-[0-9]{4}|[0-9]{7,9}"')], ("PG002", "error", 11, "fields.code")),
        ([(CODE, '"[A-Z]{2}-[0-9]{4}|[0-9]{6}"')], ("PG002", "warning", 11, "fields.code")),
        ([(CODE, '"[A-Za-z0-9-]{1,20}"')], ("PG002", "error", 11, "fields.code")),
        ([(CODE, '"[A-Z]{2}-[0-9]{4}|[a-z.]{1,20}@[a-z.]{1,20}"')], ("PG002", "error", 11, "fields.code")),
        ([(CODE, '"[A-Za-z0-9 -]{1,40}"')], ("PG003", "error", 11, "fields.code")),
        ([(AGE, "age: {action: keep, shape: {number: [0, 120]}}")], ("PG010", "warning", 10, "fields.age")),
        ([(", unless_sent: [name, phone]", "")], ("PG013", "warning", 9, "fields.at")),
        ([("doctor: {action: keep,", "doctor: {action: keep, safe_harbor: 1,")], ("PG008", "info", 8, "fields.doctor")),
        ([('["Dr. Lee", "Dr. Chen"]', '["Dr. Lee", "Maria Rossi"]')], ("PG007", "warning", 4, "lists.doctors[1]")),
        ([('["Dr. Lee", "Dr. Chen"]', '["Dr. Lee", "+41 79 555 01 23"]')], ("PG007", "error", 4, "lists.doctors[1]")),
        ([('["Dr. Lee", "Dr. Chen"]', '["Dr. Lee", "00123456"]')], ("PG007", "error", 4, "lists.doctors[1]")),
        ([("shape: {in: doctors}", "shape: {in: [Dr. Lee, Thomas]}"), ("lists:", "# lists:"), ("  doctors:", "#")],
         ("PG007", "warning", 8, "fields.doctor.shape")),
        ([("lists:\n", 'lists:\n  places: ["North"]\n')], ("PG012", "warning", 4, "lists.places")),
        ([("contact: {action: scan}", "contact: {action: scan, allow_entities: {LOCATION: branches}}")],
         ("PG011", "warning", 13, "fields.contact")),
        ([("contact: {action: scan}", "contact: {action: scan, safe_values: {Maria: a clinic}}")],
         ("PG011", "warning", 13, "fields.contact")),
        ([("    outputs: [code]", "    outputs: [code]\n    rules: {'inputs.contact[*].phone': {action: keep, shape: '[0-9]{6}'}}")],
         ("PG002", "warning", 18, "tools.book.rules: inputs.contact[*].phone")),
    ],
)  # fmt: skip
def test_a_doubt_is_found_at_its_line(found, changes, expected):
    """One part made doubtful: the code, how serious, and where."""
    assert expected in found(*changes)


def test_a_tool_without_outputs(found, write):
    """Whatever it gives back would be unknown."""
    row = ("environments:", "  ring: {inputs: [phone], outputs: []}\nenvironments:")
    example = ("examples:\n", "examples:\n  - {given: {tool: ring, inputs: {phone: x}}, sends: {inputs: {phone: <REDACTED>}}}\n")
    assert found(row, example) == [("PG006", "warning", 18, "tools.ring.outputs")]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("ssn_last: {action: keep, shape: '[0-9]{4}'}", ("PG009", "error")),
        ("homeAddress: {action: scan}", ("PG009", "warning")),
        ("reason: {action: scan}", ("PG004", "info")),
        ("phones: {action: scan}", ("PG005", "warning")),
        ("stories: {action: truncate, chars: 9}", None),
    ],
)
def test_a_name_that_says_something(found, rule, expected):
    """A field's own name tells that it identifies, that a patient speaks in it, or that it may be a slip of the pen."""
    name = rule.partition(":")[0]
    field, listed = ("tools:\n", f"  {rule}\ntools:\n"), ("inputs: [name,", f"inputs: [name, {name},")
    got = found(
        field,
        listed,
        ('name: "Ada Byron"', f'name: "Ada Byron"\n        {name}: 7'),
        sent=[("name: <", f"{name}: <REDACTED>\n        name: <")],
    )
    assert {(code, severity) for code, severity, _, path in got if path == f"fields.{name}"} == ({expected} if expected else set())


def test_a_field_only_met_inside_another(found):
    """No tool lists it: a remark."""
    nested, sent = ("[{phone: ", "[{inner: x, phone: "), ("[{phone: ", "[{inner: <REDACTED>, phone: ")
    assert found(("tools:\n", "  inner: {action: redact}\ntools:\n"), nested, sent=[sent]) == [("PG001", "info", 14, "fields.inner")]


def test_every_finding_says_what_why_and_what_to_write(write):
    """No part of a finding is empty, and its code is in the list."""
    for finding in lint(
        write((CODE, '"[0-9]{6,9}"'), (", unless_sent: [name, phone]", ""), ('"AB-1234"', '"1234567"'), sent=[('"AB-1234"', '"1234567"')])
    ):
        assert finding.code in CODES
        assert finding.severity in SEVERITIES
        assert all((finding.what, finding.why, finding.fix))


def test_a_file_that_does_not_load_is_refused(write):
    """Its faults come first."""
    with pytest.raises(PolicyError):
        lint(write(("{action: scan}", "{action: scn}")))


def test_no_sample_is_a_real_number():
    """Telephone numbers hold 555, and the social security number is the one an advertisement once showed."""
    assert all("555" in number for number in SAMPLES["a telephone number"])
    assert all("@example.org" in mail for mail in SAMPLES["an e-mail address"])
    assert SAMPLES["a social security number"][0] == "078-05-1120"
