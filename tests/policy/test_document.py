"""The policy file's border: every fault at once, each on its line; and what a sound file compiles to."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from phi_guard import PolicyError, load_policy
from phi_guard.policy.compiled import Moment, Number, OneOf, Pattern, Rule

GOOD = """\
version: 1
default: redact
lists:
  doctors: ["Dr. Lee"]
fields:
  name: {action: redact, safe_harbor: 1}
  doctor: {action: keep, shape: {in: doctors}}
  at: {action: keep, shape: datetime, unless_sent: [name]}
  age: {action: keep, shape: {number: [0, 89]}}
  code: {action: keep, shape: "[A-Z]{2}-[0-9]{4}"}
  notes: {action: truncate, chars: 40}
tools:
  book:
    inputs: [name, doctor, at, age, notes]
    outputs: [code]
examples:
  - given:
      tool: book
      inputs: {name: "Ada Byron", doctor: "Dr. Lee", at: "2027-03-15T14:00Z", age: 40, notes: "a cough"}
      outputs: {code: "AB-1234"}
    sends:
      inputs: {name: <REDACTED>, doctor: "Dr. Lee", at: "2027-03-15T14:00Z", age: 40, notes: "a cough"}
      outputs: {code: "AB-1234"}
"""


@pytest.fixture
def load(tmp_path):
    """Write a policy to a file and load it."""

    def write(text: str, env: str = ""):
        path = tmp_path / "p.yaml"
        path.write_text(text, "utf-8")
        return load_policy(path, env)

    return write


@pytest.fixture
def faults(load, tmp_path):
    """The faults of a policy, without the file's name."""

    def of(text: str, env: str = "") -> list[str]:
        with pytest.raises(PolicyError) as refused:
            load(text, env)
        return [fault.removeprefix(f"{tmp_path / 'p.yaml'}:") for fault in refused.value.faults]

    return of


def test_a_sound_file_compiles_to_its_rules(load):
    """Each row becomes the frozen rule it says, with the line it stands on."""
    policy = load(GOOD)
    assert policy.default == Rule("?", "redact")
    assert policy.fields["name"] == Rule("name", "redact", 6, safe_harbor=1)
    assert policy.fields["doctor"].shape == OneOf(frozenset({"Dr. Lee"}))
    assert policy.fields["at"] == Rule("at", "keep", 8, shape=Moment(time_too=True), unless_sent=frozenset({"name"}))
    assert policy.fields["age"].shape == Number(0, 89)
    assert policy.fields["code"].shape == Pattern("[A-Z]{2}-[0-9]{4}")
    assert policy.fields["notes"].chars == 40
    assert policy.tools["book"].outputs == frozenset({"code"})
    assert policy.tools["book"].line == 13
    assert [example.line for example in policy.examples] == [17]


def test_every_fault_is_listed_with_its_line(faults):
    """Seventeen faults of different kinds in one file: each gets one line, in the file's order, with what to write instead."""
    found = faults("""\
version: 2
default: keep
lists: {doctors: ["Dr. Lee"]}
feilds: {}
fields:
  name: {action: redcat}
  name: {action: keep}
  doctor: {action: keep}
  clinic: {action: keep, shape: {in: docters}}
  mrn: {action: redact, safe_harbor: 19}
  notes: {action: truncate}
  email: {action: redact, shap: date}
  code: {action: keep, shape: "(a+)+"}
  spare: {action: drop}
  at: {action: keep, shape: datetime, unless_sent: [nmae]}
tools:
  book: {inputs: [name, doctor, phnoe, clinic, mrn, notes, email, code, at], outputs: []}
  cancel: {inputs: [name], outputs: []}
environments: {staging: {fields: {}}}
examples:
  - given: {tool: book, inputs: {name: x, doctor: x, clinic: x, mrn: x, notes: x, email: x, code: x, at: x}}
    sends: {inputs: {}}
  - {given: {tool: bok}, sends: {}}
""")
    expected = [
        (1, "version", "2 will not do; write 1"),
        (2, "default", "write redact or drop"),
        (4, "feilds", "did you mean 'fields'?"),
        (6, "fields.name.action", "\"redcat\" will not do (did you mean 'redact'?)"),
        (7, "fields.name", "already given on line 6"),
        (8, "fields.doctor.shape", "is missing"),
        (9, "fields.clinic.shape", "no list 'docters' (did you mean 'doctors'?)"),
        (10, "fields.mrn.safe_harbor", "a number from 1 to 18"),
        (11, "fields.notes.chars", "is missing"),
        (12, "fields.email.shap", "did you mean 'shape'?"),
        (13, "fields.code.shape", "may try for hours"),
        (14, "fields.spare", "no example shows this field and no tool lists it"),
        (15, "fields.at.unless_sent[0]", "no field \"nmae\" (did you mean 'name'?)"),
        (17, "tools.book.inputs[2]", 'no field "phnoe"'),
        (18, "tools.cancel", "no example calls this tool"),
        (19, "environments.staging", "known are dev and prod"),
        (23, "examples[1].given.tool", "no tool 'bok' (did you mean 'book'?)"),
    ]
    assert [tuple(fault.split(": ", 2)[:2]) for fault in found] == [(str(line), path) for line, path, _ in expected]
    assert all(what in fault for fault, (_, _, what) in zip(found, expected, strict=True)), found


@pytest.mark.parametrize(
    ("line", "instead", "fault"),
    [
        ("default: redact", "default: keep", "2: default: "),
        ("version: 1", "version: true", "1: version: true will not do"),
        ("version: 1", "version: 1.0", "1: version: 1.0 will not do"),
        ("version: 1", "version: 1\nrules: {}", "2: rules: this key is not known here"),
        ("{action: truncate, chars: 40}", "{action: truncate, chars: 0}", "11: fields.notes.chars: "),
        ("{action: truncate, chars: 40}", "{action: truncate, chars: 100000}", "11: fields.notes.chars: "),
        ("{action: truncate, chars: 40}", "{action: scan, chars: 40}", "11: fields.notes.chars: only a truncate has chars"),
        ("{action: redact, safe_harbor: 1}", "{action: redact, safe_harbor: 0}", "6: fields.name.safe_harbor: "),
        ("{action: redact, safe_harbor: 1}", "{action: redact, shape: date}", "6: fields.name.shape: only a keep has a shape"),
        ("{action: redact, safe_harbor: 1}", "{action: hash}", '6: fields.name.action: "hash" will not do'),
        ("{action: redact, safe_harbor: 1}", "redact", '6: fields.name: "redact" is no mapping'),
        (
            "[name, doctor, at, age, notes]",
            "[name, name, doctor, at, age, notes]",
            "14: tools.book.inputs[1]: 'name' is already in this list",
        ),
        ("    outputs: [code]\n", "    outputs: []\n", "10: fields.code: no example shows this field and no tool lists it"),
        ("  book:\n", "  unknown:\n", "13: tools.unknown: is no tool name"),
        ("  book:\n", "  tool.book:\n", "13: tools.tool.book: is no tool name"),
        ('doctors: ["Dr. Lee"]', "doctors: []", "4: lists.doctors: the list has no words"),
        ("  notes: {", "  Ada Byron: {", "11: fields.Ada Byron: a field's name is sent in clear"),
    ],
)
def test_a_single_fault_is_found(faults, line, instead, fault):
    """One line made wrong gives a fault there, whatever else follows from it."""
    assert line in GOOD
    found = faults(GOOD.replace(line, instead, 1))
    assert any(f.startswith(fault) for f in found), found


def test_an_example_that_comes_out_otherwise_is_a_fault(faults):
    """The file's own promise is checked against the real walk; the message says both sides and where."""
    found = faults(GOOD.replace("sends:\n      inputs: {name: <REDACTED>", "sends:\n      inputs: {name: Ada"))
    assert found == ['22: examples[0]: would send "<REDACTED>" at inputs.name, expected "Ada"']


def test_an_example_sees_what_it_forgot_and_what_is_not_sent(faults):
    """A side or field missing on either half of an example is a difference."""
    more = faults(GOOD.replace('    outputs: {code: "AB-1234"}\n    sends', '    outputs: {code: "AB-1234", x: 1}\n    sends'))
    assert more == ['23: examples[0]: would send "<REDACTED>" at outputs.<REDACTED_KEY_1>, expected nothing']
    less = faults(GOOD.replace("sends:\n      inputs: {", "sends:\n      inputs: {gone: 1, "))
    assert less == ["22: examples[0]: would not send inputs.gone, expected 1"]
    side = faults(GOOD.removesuffix('      outputs: {code: "AB-1234"}\n'))
    assert side == ['21: examples[0]: would send {"code": "AB-1234"} at outputs, expected nothing']


def test_true_is_not_one_in_an_example(faults):
    """An example compares kinds too: a flag is no number."""
    found = faults(
        GOOD.replace("{action: keep, shape: {number: [0, 89]}}", "{action: keep, shape: flag}")
        .replace("age: 40", "age: true", 1)
        .replace("age: 40", "age: 1")
    )
    assert found == ["22: examples[0]: would send true at inputs.age, expected 1"]


def test_an_unknown_environment_names_the_known_ones(faults):
    """Asking for an environment that does not exist loads nothing."""
    (fault,) = faults(GOOD, env="prd")
    assert "did you mean 'prod'?" in fault
    assert "dev or prod" in fault


@pytest.mark.parametrize("env", ["", "dev", "prod"])
def test_both_environments_exist_undeclared(load, env):
    """A file need not declare an environment to be loaded for it."""
    assert load(GOOD, env).env == env


def test_the_digest_is_of_the_meaning(load):
    """Comments, order and examples do not change it; any rule, list, tool or default does."""
    digest = load(GOOD).digest
    assert len(digest) == 16
    same = GOOD.replace("  book:", "  # says the same\n  book:").replace("[name, doctor,", "[doctor, name,").replace("a cough", "a cold")
    assert load(same).digest == digest
    name, notes = ("  name: {action: redact, safe_harbor: 1}\n", "  notes: {action: truncate, chars: 40}\n")
    assert load(GOOD.replace(notes, "").replace(name, notes + name)).digest == digest
    changed = [
        ("safe_harbor: 1", "safe_harbor: 2"),
        ("chars: 40", "chars: 41"),
        ("[0, 89]", "[0, 90]"),
        ("default: redact", "default: drop"),
        ('["Dr. Lee"]', '["Dr. Lee", "Dr. Chen"]'),
        ("[A-Z]{2}-", "[A-Z]{2,3}-"),
        (", unless_sent: [name]", ""),
        ("outputs: [code]", "outputs: [code, at]"),
        ("shape: datetime, unless", "shape: '[0-9TZ:-]{17}', unless"),
    ]
    others = {load(GOOD.replace(old, new)).digest for old, new in changed}
    assert len(others | {digest}) == len(changed) + 1


def test_importing_the_policy_package_loads_neither_yaml_nor_pydantic():
    """The agent's process imports the compiled policy's types; it must not pay for the file's border."""
    code = "import sys, phi_guard.policy, phi_guard.redact; print(sorted({'yaml', 'pydantic', 'spacy'} & set(sys.modules)))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
    code = "import sys, phi_guard; phi_guard.load_policy(sys.argv[1]); print(sorted({'spacy', 'presidio_analyzer'} & set(sys.modules)))"
    ran = subprocess.run([sys.executable, "-c", code, "policies/clinic.yaml"], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


NESTED = """\
version: 1
default: redact
fields:
  outer: {action: ACTION}
  inner: {action: keep, shape: flag}
tools:
  t: {inputs: [outer], outputs: []}
examples:
  - given: {tool: t, inputs: {outer: [{inner: true}]}}
    sends: {inputs: {outer: SENT}}
"""


def test_a_field_below_another_is_shown_only_where_the_walk_gets_to_it(load, faults):
    """Below a scanned field each field has its own rule; below a redacted one nothing is looked at, so nothing is shown."""
    assert load(NESTED.replace("ACTION", "scan").replace("SENT", "[{inner: true}]")).fields["inner"].action == "keep"
    found = faults(NESTED.replace("ACTION", "redact").replace("SENT", "<REDACTED>"))
    assert found == ["5: fields.inner: no example shows this field and no tool lists it; add one under examples, or leave the field out"]


def test_the_digest_is_the_same_in_every_process():
    """Agents, relays and auditors name the policy alike, whatever order a process keeps its sets in."""
    code = "import phi_guard; print(phi_guard.load_policy('policies/clinic.yaml').digest)"
    runs = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ | {"PYTHONHASHSEED": seed})
        for seed in ("1", "2")
    ]
    assert len({ran.stdout for ran in runs}) == 1
