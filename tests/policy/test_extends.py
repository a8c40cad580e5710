"""A clinic's own file on top of ours: it adds and tightens, and every loosening is a fault in its own lines."""

from __future__ import annotations

import pytest

from phi_guard import PolicyError, load_policy
from phi_guard.policy.compiled import OneOf

BASE = """\
version: 1
default: redact
lists: {doctors: ["Dr. Lee"]}
fields:
  name: {action: redact, safe_harbor: 1}
  doctor: {action: keep, shape: {in: doctors}}
  notes: {action: truncate, chars: 40}
  city: {action: keep, shape: {in: [Basel, Bern]}}
  at: {action: keep, shape: date, unless_sent: [city]}
tools:
  book:
    inputs: [name, doctor, notes, city, at]
    outputs: []
    rules: {"inputs.guest.city": {action: keep, shape: {in: [Basel, Bern]}}}
environments:
  prod: {fields: {notes: {action: truncate, chars: 20}}}
examples:
  - given: {tool: book, inputs: {name: "Ada", doctor: "Dr. Lee", notes: "a cough", city: Basel, at: "2027-03-15", guest: {city: Bern}}}
    sends: {inputs: {name: <REDACTED>, doctor: "Dr. Lee", notes: "a cough", city: Basel, at: <REDACTED>, guest: {city: Bern}}}
"""
OWN = "version: 1\nextends: base.yaml\n"
MORE = """\
fields:
  member_no: {action: redact, safe_harbor: 9}
tools:
  book: {inputs: [member_no], outputs: []}
  bill: {inputs: [name, member_no], outputs: []}
examples:
  - {given: {tool: book, inputs: {member_no: "1"}}, sends: {inputs: {member_no: <REDACTED>}}}
  - {given: {tool: bill, inputs: {name: "Ada"}}, sends: {inputs: {name: <REDACTED>}}}
"""


@pytest.fixture
def load(tmp_path):
    """Load a file that stands on the base."""
    (tmp_path / "base.yaml").write_text(BASE, "utf-8")

    def of(text, env=""):
        (tmp_path / "own.yaml").write_text(text, "utf-8")
        return load_policy(tmp_path / "own.yaml", env)

    return of


@pytest.fixture
def faults(load, tmp_path):
    """Its faults, without the folder."""

    def of(text, env=""):
        with pytest.raises(PolicyError) as refused:
            load(text, env)
        return [fault.removeprefix(f"{tmp_path}/") for fault in refused.value.faults]

    return of


def test_a_file_adds_fields_and_tools(load):
    """What the base says stays, a tool of the base knows more fields, and each rule says where it comes from."""
    policy = load(OWN + MORE)
    assert set(policy.fields) == {"name", "doctor", "notes", "city", "at", "member_no"}
    assert policy.tools["book"].inputs == {"name", "doctor", "notes", "city", "at", "member_no"}
    assert set(policy.tools) == {"book", "bill"}
    assert len(policy.examples) == 3
    assert (policy.fields["name"].file.rpartition("/")[2], policy.fields["member_no"].file) == ("base.yaml", "")
    assert policy.digest == load(OWN + MORE + "lists: {unused: [x]}\n").digest


def test_a_file_need_say_nothing_more(load):
    """Two lines are a policy: the base's, with the base's overlays."""
    assert load(OWN).fields["notes"].chars == 40
    assert load(OWN, "prod").fields["notes"].chars == 20


def test_a_list_of_ones_own_holds_in_the_bases_rules(load, faults):
    """A clinic names its doctors; the base's example of another doctor must be written again, and its fault says how."""
    lists = 'lists: {doctors: ["Dr. Who"]}\n'
    (fault,) = faults(OWN + lists)
    assert fault.startswith(
        'own.yaml:2: extends: the example on line 18 of base.yaml no longer holds (would send "<REDACTED>" at inputs.doctor'
    )
    assert "write it again under examples here: the same given, and what is sent now" in fault
    again = BASE[BASE.index("examples:") :].replace(
        'sends: {inputs: {name: <REDACTED>, doctor: "Dr. Lee"', "sends: {inputs: {name: <REDACTED>, doctor: <REDACTED>"
    )
    policy = load(OWN + lists + again)
    assert policy.fields["doctor"].shape == OneOf(frozenset({"Dr. Who"}))
    assert len(policy.examples) == 1


@pytest.mark.parametrize(
    ("own", "fault"),
    [
        ("fields: {name: {action: scan}}", "3: fields.name: scan is looser than redact"),
        ("fields: {notes: {action: truncate, chars: 41}}", "3: fields.notes: 41 chars are more than 40"),
        ("fields: {city: {action: keep, shape: {in: [Basel, Bern, Biel]}}}", "3: fields.city: a different shape may fit more"),
        ("fields: {name: {action: drop, safe_harbor: 2}}", "3: fields.name.safe_harbor: what a field is does not change here"),
        ("fields: {city: {action: redact}}", "3: fields.city: with 'city' tightened, fields.at would be sent where it is not now"),
        ("fields: {Name: {action: drop}}", "3: fields.Name: \"Name\" and 'name' are one name"),
        (
            'tools: {book: {inputs: [], outputs: [], rules: {"inputs.name": {action: scan}}}}',
            "3: tools.book.rules.inputs.name: scan is looser than",
        ),
        (
            'tools: {book: {inputs: [], outputs: [], rules: {"inputs.guest.city": {action: scan}}}}',
            "inputs.guest.city: scan is looser than keep",
        ),
        (
            'tools: {book: {inputs: [], outputs: [], rules: {"inputs.name.first": {action: scan}}}}',
            "inputs.name.first: the tool's own file says",
        ),
        (
            'tools: {book: {inputs: [], outputs: [], rules: {"inputs.guest.pet": {action: scan}}}}',
            "inputs.guest.pet: the tool's own file says",
        ),
        ("environments: {prod: {fields: {name: {action: scan}}}}", "3: environments.prod.fields.name: scan is looser than redact"),
        ("lists: {doctors: []}", "3: lists.doctors: the list has no words"),
        ("rules: {}", "3: rules: this key is not known here"),
    ],
)
def test_a_file_only_tightens_what_it_stands_on(faults, own, fault):
    """Every loosening is refused on its own line, whatever else follows from it."""
    found = faults(OWN + own + "\n")
    assert any(f.startswith("own.yaml:") and fault in f for f in found), found


@pytest.mark.parametrize(
    ("own", "env", "actions"),
    [
        ("fields: {notes: {action: drop}}", "", ("drop", "keep")),
        ("fields: {notes: {action: drop}}", "prod", ("drop", "keep")),  # looser in the base's prod: the tighter is in force
        ("fields: {city: {action: redact}, at: {action: redact}}", "", ("truncate", "redact")),  # wherever a path speaks of the field, too
        ("environments: {prod: {fields: {notes: {action: redact}}}}", "prod", ("redact", "keep")),
        ("environments: {prod: {fields: {notes: {action: redact}}}}", "dev", ("truncate", "keep")),
        ('environments: {prod: {tools: {book: {rules: {"inputs.guest.city": {action: drop}}}}}}', "prod", ("truncate", "drop")),
        ('environments: {prod: {tools: {book: {rules: {"inputs.notes": {action: drop}}}}}}', "prod", ("drop", "keep")),
    ],
)
def test_of_two_rules_for_a_place_the_tighter_is_in_force(load, own, env, actions):
    """Own rules, the base's and either's overlays, at a field and at a path; the base's example is written again."""
    again = BASE[BASE.index("examples:") :]
    base = "{" not in own.partition("fields: ")[2] or "environments" in own
    if not base:
        gone = ', notes: "a cough"' if "notes" in own else ""
        again = (
            again.replace('"Dr. Lee"' + gone + ", city: Basel, at: <REDACTED>", '"Dr. Lee", city: Basel, at: <REDACTED>')
            if gone
            else (
                again.replace(
                    "city: Basel, at: <REDACTED>, guest: {city: Bern}}", "city: <REDACTED>, at: <REDACTED>, guest: {city: <REDACTED>}}"
                )
            )
        )
    policy = load(OWN + own + "\n" + again, env)
    found = [policy.at("book", "inputs", steps).rule.action for steps in (["notes"], ["guest", "city"])]
    assert tuple(found) == actions


def test_faults_of_the_base_are_the_bases(load, tmp_path):
    """A base that is not sound is refused by itself, in its own name."""
    (tmp_path / "base.yaml").write_text(BASE.replace("action: redact", "action: redcat"), "utf-8")
    with pytest.raises(PolicyError, match=r"base\.yaml:5: fields\.name\.action: .*redcat") as refused:
        load(OWN + "fields: {x: 1}\n")
    assert "own.yaml" not in str(refused.value)


def test_a_chain_has_an_end(tmp_path):
    """A file that comes back to itself, one that stands on too many, and one that stands on nothing are refused; three are taken."""
    for name, on in {"a": "b", "b": "a", "self": "./self", "one": "base", "two": "one", "three": "two", "none": "gone"}.items():
        (tmp_path / f"{name}.yaml").write_text(f"version: 1\nextends: {on}.yaml\n", "utf-8")
    (tmp_path / "base.yaml").write_text(BASE, "utf-8")
    assert load_policy(tmp_path / "two.yaml").fields["name"].action == "redact"
    for name, word in {"a": "comes back", "self": "comes back", "three": "more than 3 files", "none": "no such file"}.items():
        with pytest.raises(PolicyError, match=rf"(?s)\.yaml:2: extends: .*{word}"):
            load_policy(tmp_path / f"{name}.yaml")


@pytest.mark.parametrize("given", ["7", "[x]", "''", "base.yaml\\0"])
def test_what_extends_names_no_file_is_a_fault(faults, given):
    """No traceback for a number, a list, nothing, or a path that cannot be."""
    assert any(
        "own.yaml:2: extends" in fault
        for fault in faults(f"version: 1\nextends: {given if given[0] != 'b' else chr(34) + given + chr(34)}\n")
    )
