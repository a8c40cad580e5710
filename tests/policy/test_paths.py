"""Path rules and spellings: which rule meets a key, and which faults a file of them can have."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phi_guard import MARKER, PolicyError, load_policy
from phi_guard.policy.names import sent_as, spelling, without_number
from phi_guard.policy.paths import BadPath, read_path, spelt
from phi_guard.redact import redact_tool

FILE = """\
version: 1
default: redact
fields:
  patient_name: {action: redact, aliases: [caller_name, who]}
  notes: {action: scan}
  phone: {action: keep, shape: "[0-9]{4}"}
  patient: {action: redact}
tools:
  t:
    inputs: [patient_name, notes, phone, patient]
    outputs: [phone]
    rules:
      inputs.patient.contact[*].phone: {action: redact}
      inputs.patient.contact[*].kind: {action: keep, shape: {in: [home, work]}}
      inputs.grid[*][*].mark: {action: keep, shape: flag}
      inputs.notes: {action: drop}
  u: {inputs: [notes, phone], outputs: []}
examples:
  - given:
      tool: t
      inputs:
        patient_name: "Ada Byron"
        notes: "a cough"
        phone: "1234"
        patient: {contact: [{phone: "1234", kind: home}], name: "Ada"}
        grid: [[{mark: true}]]
      outputs: {phone: "1234"}
    sends:
      inputs:
        patient_name: <REDACTED>
        phone: <REDACTED>
        patient: {contact: [{phone: <REDACTED>, kind: home}], <REDACTED_KEY_1>: <REDACTED>}
        grid: [[{mark: true}]]
      outputs: {phone: <REDACTED>}
  - {given: {tool: t, inputs: {patient: "Ada", phone: "1234"}}, sends: {inputs: {patient: <REDACTED>, phone: "1234"}}}
  - {given: {tool: u, inputs: {notes: "a cough", phone: "1234"}}, sends: {inputs: {notes: "a cough", phone: "1234"}}}
"""


@pytest.fixture
def write(tmp_path):
    """Write the policy with one part of it replaced."""

    def put(old="", new=""):
        assert old in FILE
        path = tmp_path / "p.yaml"
        path.write_text(FILE.replace(old, new, 1), "utf-8")
        return path

    return put


@pytest.fixture
def send(write):
    """What a tool call of the policy sends of its inputs."""
    policy = load_policy(write())
    return lambda tool="t", **inputs: redact_tool(policy, tool, {"inputs": inputs}, lambda _: ()).value["inputs"]


@pytest.mark.parametrize(
    ("given_", "sends"),
    [
        ({"patient": {"contact": [{"phone": "1234", "kind": "work"}]}}, {"patient": {"contact": [{"phone": MARKER, "kind": "work"}]}}),
        (
            {"patient": {"contact": {"kind": "work"}}},
            {"patient": {"contact": {"<REDACTED_KEY_1>": MARKER}}},
        ),  # a mapping, not a list of them
        ({"patient": [{"contact": [{"kind": "work"}]}]}, {"patient": [MARKER]}),  # a list, not a mapping
        ({"patient": {"contact": [["Ada"], "Ada", 7, None]}}, {"patient": {"contact": [[MARKER], MARKER, MARKER, None]}}),
        ({"patient": "Ada"}, {"patient": MARKER}),
        ({"patient": {"contact": []}}, {"patient": {"contact": []}}),
        ({"patient": {"kind": "work"}}, {"patient": {"<REDACTED_KEY_1>": MARKER}}),  # known there, not here
        ({"kind": "work"}, {"<REDACTED_KEY_1>": MARKER}),
        ({"patient": {"Contact": [{"KIND": "work"}]}}, {"patient": {"contact": [{"kind": "work"}]}}),
        ({"grid": [[{"mark": True}], [{"mark": "Ada"}, "Ada"]]}, {"grid": [[{"mark": True}], [{"mark": MARKER}, MARKER]]}),
        ({"grid": [{"mark": True}]}, {"grid": [{"<REDACTED_KEY_1>": MARKER}]}),
        ({"notes": "a cough", "patient": {"notes": "a cough"}}, {"patient": {"notes": "a cough"}}),  # the rule is for one place
        ({"grid": '[[{"mark": true, "x": 1}]]'}, {"grid": MARKER}),  # text, where the path says a list
    ],
)
def test_a_path_rule_is_met_in_its_place_and_nowhere_else(send, given_, sends):
    """Keys on the way are known and sent; beside them, and where the payload is of another form, all stays unknown."""
    assert send(**given_) == sends


def test_a_path_rule_is_its_tools_own(send):
    """Another tool's notes keep the field's rule, and know none of the path."""
    assert send("u", notes="a cough", patient={"contact": []}) == {"notes": "a cough", "<REDACTED_KEY_1>": MARKER}


def test_what_a_path_redacts_is_known_in_free_text(send):
    """The number under the path is not told by the notes of the patient."""
    sent = send(patient={"contact": [{"phone": "079 555 01 23"}], "notes": "call +41795550123"})
    assert sent["patient"]["notes"] == f"call +{MARKER}"


@pytest.mark.parametrize(
    "key", ["patientName", "patient-name", "PatientName", "PATIENT_NAME", "patient name", "callerName", "who", "WHO", "patient_name#2"]
)
def test_one_field_however_it_is_spelt(send, key):
    """Every spelling and alias meets the field's rule, and goes out under the policy's own name."""
    sent = send(**{key: "Ada"})
    assert sent == {key if "#" in key else "patient_name": MARKER}


@pytest.mark.parametrize(
    "key", ["patientname2", "patient.name", "patient_name#1", "patient_name#100", "patient_name #2x", "pаtient_name", "x" * 100]
)
def test_another_name_is_another_name(send, key):
    """A number, a point, a Cyrillic letter: nobody named it."""
    assert send(**{key: "Ada"}) == {"<REDACTED_KEY_1>": MARKER}


@given(st.text(max_size=30), st.sampled_from(["patient_name", "n"]), st.sets(st.sampled_from(["n", "n#2", "n#3", "patient_name"])))
def test_a_name_is_sent_under_a_name_of_its_own(key, name, taken):
    """Never one that is taken; the policy's own, or that with a number; and what was sent is met again."""
    sent = sent_as(name, key, taken)
    assert sent not in taken
    assert without_number(sent) == name
    assert sent_as(name, sent, taken) == sent


@given(st.lists(st.sampled_from(["a", "phone", "Zip_2", "x-y", "[*]"]), min_size=1, max_size=8), st.sampled_from(["inputs", "outputs"]))
def test_a_path_is_read_as_it_is_spelt(steps, side):
    """Spelling and reading are each other's undoing; a path cannot begin with items."""
    text = spelt((side, tuple(steps)))
    if steps[0] == "[*]":
        with pytest.raises(BadPath):
            read_path(text)
    else:
        assert read_path(text) == (side, tuple(steps))


@pytest.mark.parametrize(
    "text",
    [
        "inputs",
        "inputs.",
        "patient.phone",
        "inputs[*].a",
        "inputs.a[0]",
        "inputs.a[*",
        "inputs.a..b",
        "inputs.a b",
        "input.a",
        "inputs.a.[*]",
        "",
    ],
)
def test_what_is_no_path_is_refused(text):
    """With what to write instead."""
    with pytest.raises(BadPath, match="such as inputs"):
        read_path(text)


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("inputs.notes:", "inputs.Notes:", "16: tools.t.rules.inputs.Notes: \"Notes\" is 'notes' under fields"),
        ("inputs.notes:", "input.notes:", "16: tools.t.rules.input.notes: is no path"),
        (
            "inputs.notes:",
            "inputs.patient: {action: drop}\n      inputs.notes:",
            "13: tools.t.rules.inputs.patient.contact[*].phone: is never met",
        ),
        ("inputs.notes:", "inputs.grid[*][*].Mark: {action: drop}\n      inputs.notes:", "are one name however they are spelt"),
        ("inputs.notes:", "inputs.new: {action: drop}\n      inputs.notes:", "16: tools.t.rules.inputs.new: no example shows this place"),
        ("inputs.notes: {action: drop}", "inputs.notes: {action: keep}", "16: tools.t.rules.inputs.notes.shape: is missing"),
        ("inputs.notes: {action: drop}", "inputs.notes: {action: drop, aliases: [x]}", "aliases: this key is not known here"),
        ("caller_name, who", "caller_name, Notes", "4: fields.patient_name.aliases[1]: \"Notes\" and 'notes' are one name"),
        ("caller_name, who", "PatientName", "4: fields.patient_name.aliases[0]: \"PatientName\" is 'patient_name' already"),
        ("caller_name, who", "'who?'", '4: fields.patient_name.aliases[0]: "who?" is no name'),
        (
            "  notes: {action: scan}",
            "  notes: {action: scan}\n  No-Tes: {action: scan}",
            "6: fields.No-Tes: \"No-Tes\" and 'notes' are one name",
        ),
    ],
)
def test_a_fault_of_names_and_paths_stands_on_its_line(write, old, new, fault):
    """Two names that are one, a path that nothing can meet or nobody shows: each is said where it stands."""
    with pytest.raises(PolicyError) as refused:
        load_policy(write(old, new))
    assert any(fault in line for line in refused.value.faults), refused.value.faults


def test_rules_paths_and_aliases_are_in_the_digest(write):
    """What is sent differently is called differently."""
    changes = [("", ""), ("[caller_name, who]", "[caller_name]"), ("{in: [home, work]}", "{in: [home]}")]
    digests = {load_policy(write(old, new)).digest for old, new in changes}
    assert len(digests) == 3


def test_spelling_is_blind_to_case_and_separators_only():
    """The one function that says which names are one."""
    assert {spelling(key) for key in ("patientName", "patient-name", "PATIENT_NAME", "patient name")} == {"patientname"}
    assert spelling("naïve.key#2") == "naïve.key#2"
