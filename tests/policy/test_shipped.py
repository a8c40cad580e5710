"""The policy files that come with the product."""

from __future__ import annotations

import pytest

from phi_guard import PolicyError, load_policy
from phi_guard.model import MARKER
from phi_guard.policy import shipped
from phi_guard.policy.compiled import Moment, OneOf, Pattern
from phi_guard.policy.overlay import loosening
from phi_guard.redact import redact_tool

SIX_TOOLS = {
    "check_availability", "book_appointment", "cancel_appointment", "reschedule_appointment", "get_opening_hours", "get_medical_guidelines",
}  # fmt: skip
POLICIES = [path.name for path in sorted(shipped("clinic.yaml").parent.glob("*.yaml")) if "\ntools:" in path.read_text("utf-8")]


def test_there_is_a_policy_to_test():
    """The list the other tests run over is not empty."""
    assert "clinic.yaml" in POLICIES


@pytest.mark.parametrize("name", POLICIES)
def test_a_shipped_policy_loads_and_prod_is_never_looser_than_dev(name):
    """Every shipped policy loads for both environments, examples and all."""
    dev, prod = (load_policy(shipped(name), env) for env in ("dev", "prod"))
    assert dev.fields.keys() == prod.fields.keys()
    assert [f for f, rule in dev.fields.items() if loosening(rule, prod.fields[f])] == []


@pytest.mark.parametrize("name", POLICIES)
def test_every_field_is_shown_on_every_side_that_lists_it(name):
    """An example shows each field of each tool, inputs and outputs apart."""
    policy = load_policy(shipped(name))
    shown = {(e.tool, side, key) for e in policy.examples for side, data in e.given.items() for key in data}
    listed = {(tool, side, key) for tool, rules in policy.tools.items() for side in ("inputs", "outputs") for key in rules.side(side)}
    assert listed - shown == set()


def test_the_clinic_policy_is_the_product_requirement():
    """Each field of the requirement has the treatment it asks for, and each tool is there."""
    policy = load_policy(shipped("clinic.yaml"), "prod")
    assert policy.default.action == "redact"
    assert set(policy.tools) == SIX_TOOLS
    patient = {"patient_name": 1, "phone": 4, "email": 6, "dob": 3, "mrn": 8, "address": 2}
    assert {f: policy.fields[f].safe_harbor for f in patient} == patient
    assert {policy.fields[f].action for f in patient} == {"redact"}
    for name in ("reason_for_visit", "notes", "symptoms"):
        assert (policy.fields[name].action, policy.fields[name].chars) == ("truncate", 50)
    moment = policy.fields["appointment_datetime"]
    assert moment.shape == Moment(time_too=True)
    assert moment.unless_sent == patient.keys()
    assert isinstance(policy.fields["confirmation_id"].shape, Pattern)
    for name in ("doctor_name", "clinic_location"):
        assert isinstance(policy.fields[name].shape, OneOf)


def test_nothing_of_a_patient_leaves_by_any_field_of_any_tool():
    """With no detector at all, a stranger's name, number and birthday in every field leave by free-text fields only."""
    policy = load_policy(shipped("clinic.yaml"), "prod")
    secret = "Zephyrine Quill 0790001122"
    for tool, rules in policy.tools.items():
        data = {side: dict.fromkeys(sorted(rules.side(side)), secret) for side in ("inputs", "outputs")}
        sent = redact_tool(policy, tool, data, lambda _: ()).value
        for side in ("inputs", "outputs"):
            for key, value in sent[side].items():
                assert value == MARKER or policy.fields[key].action in {"scan", "truncate"}


def test_an_unknown_name_lists_what_there_is():
    """A shipped file that does not exist is a PolicyError that names those that do."""
    for name in ("clinc.yaml", "../pyproject.toml", ""):
        with pytest.raises(PolicyError, match=r"clinic\.yaml, .*pricing\.yaml"):
            shipped(name)
