"""Each example of a file tried by itself, and what none of them shows."""

from __future__ import annotations

from dataclasses import replace

from phi_guard import load_policy
from phi_guard.policy.compiled import OneOf, Rule
from phi_guard.policy.proof import prove


def test_a_sound_file_passes_and_shows_all(write, walk):
    """Every example passes, and nothing is left unshown."""
    proof = prove(write(), walk)
    assert [(tried.state, tried.line, tried.tool) for tried in proof.examples] == [("PASS", 21, "book")]
    assert (proof.uncovered, proof.faults) == ((), ())


def test_one_wrong_example_fails_alone(write, walk):
    """A file with one wrong example says which and in what; the other one passes."""
    more = "  - {given: {tool: book, inputs: {age: 95}}, sends: {inputs: {age: 95}}}\n"
    path = write()
    path.write_text(path.read_text() + more)
    proof = prove(path, walk)
    assert [(tried.state, tried.line) for tried in proof.examples] == [("PASS", 21), ("FAIL", 42)]
    assert "expected 95" in proof.examples[1].why[0]
    assert proof.faults == ()


def test_a_file_with_other_faults_runs_no_example(write, walk):
    """With a fault elsewhere nothing is tried: ERROR, and every fault with its line."""
    proof = prove(write(("{action: scan}", "{action: scn}"), ("tool: book", "tool: bok")), walk)
    assert [tried.state for tried in proof.examples] == ["ERROR"]
    assert "bok" in proof.examples[0].why[0]
    assert (13, "fields.contact.action") in [(fault.line, fault.path) for fault in proof.faults]


def test_no_file_is_a_fault(tmp_path, walk):
    """A file that is not there has no example and one fault."""
    proof = prove(tmp_path / "none.yaml", walk)
    assert (proof.examples, [fault.path for fault in proof.faults]) == ((), ["file"])


def test_an_overlay_may_send_less(write, walk):
    """Under prod the story is dropped: the example passes and says where less is sent."""
    (tried,) = prove(write(), walk, "prod").examples
    assert (tried.state, tried.why) == ("PASS", ("sends less in prod at inputs.story",))


def test_an_overlay_that_sent_more_would_fail(write, walk, monkeypatch):
    """Were the loader ever to let one by: the name is kept in prod, and the example says that it is not."""
    loose = Rule("name", "keep", shape=OneOf(frozenset({"Ada Byron"})))

    def careless(path, env):
        policy = load_policy(path, env)
        return replace(policy, fields={**policy.fields, "name": loose})

    monkeypatch.setattr("phi_guard.policy.proof.load_policy", careless)
    (tried,) = prove(write(), walk, "prod").examples
    assert (tried.state, len(tried.why)) == ("FAIL", 1)
    assert "inputs.name" in tried.why[0]


def test_an_example_that_is_none_is_an_error(write, walk):
    """A row that cannot be read is not taken for one that comes out otherwise."""
    path = write()
    path.write_text(f"{path.read_text()}  - 7\n")
    proof = prove(path, walk)
    assert [tried.state for tried in proof.examples] == ["ERROR", "ERROR"]
    assert [fault.path for fault in proof.faults] == ["examples[1]"]


def test_what_no_example_shows_on_its_side_is_told(write, walk):
    """A field shown as an input only is not shown as an output."""
    assert prove(write(("outputs: [code]", "outputs: [code, doctor]")), walk).uncovered == ("book.outputs.doctor",)
