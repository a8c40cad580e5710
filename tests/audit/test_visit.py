"""The walk of the scan at its edges: with detectors that know one word, so that every finding can be told beforehand."""

from __future__ import annotations

import pytest

from audit import structure, visit
from audit.scan import Scanner
from phi_guard.model import Detection

TOOL, TURN = 5, 4


def finds(*words, entity="PERSON"):
    def find(text):
        return [Detection(text.index(w), text.index(w) + len(w), entity, 1.0, "t") for w in words if w in text]

    return find


def nothing(_text):
    return []


@pytest.fixture
def look(policy, made):
    """What a scan finds in one run of a call that was changed: path, entity and severity."""

    def scan(n, *, find=nothing, roster=None, patterns=nothing, **change):
        run = made.call()[n] | change
        scanner = Scanner(policy, find, patterns, project="clinic-dev", key=made.KEY, find_roster=roster)
        return [(f.path, f.entity, f.severity) for f in scanner.scan(run)]

    return scan


def notes(text, **more):
    return {"inputs": {"notes": text, **more}}


def metadata(**held):
    return {"extra": {"metadata": held}}


def test_a_stand_in_is_whole(look):
    """What follows the stand-in of a key is a key that nobody knows."""
    assert look(TOOL, inputs={"<REDACTED_KEY_1>": "<REDACTED>"}) == []
    assert look(TOOL, inputs={"<REDACTED_KEY_1> Ada": "<REDACTED>"}) == [("inputs.?0", "UNEXPLAINED", "medium")]


def test_another_spelling_of_a_field_is_a_key(look):
    """The gate sends the policy's own names, numbered; another spelling came past it."""
    assert look(TOOL, inputs={"notes#2": "yes"}) == []
    assert [path for path, *_ in look(TOOL, inputs={"NOTES": "yes"})][:1] == ["inputs.?0"]


def test_more_than_likely(look):
    """One above the largest likely count is told."""
    assert look(TURN, **metadata(turns=structure.MANY)) == []
    assert [path for path, *_ in look(TURN, **metadata(turns=structure.MANY + 1))] == ["extra.metadata.turns"]


def test_the_roster_knows_no_ids_and_no_small_numbers(look):
    """Digits of an id or an instant, and short numbers, are nobody's; in a text, or as a long number, they are."""
    known = finds("0192f000", "2026", "777", "30041", entity="ROSTER_MRN")
    assert look(TURN, roster=known, **metadata(turns=777)) == []
    assert [e for _, e, _ in look(TURN, roster=known, **metadata(input_tokens=30041))] == ["ROSTER_MRN"]
    assert [e for _, e, _ in look(TOOL, roster=known, **notes("file 777 of 2026"))] == ["ROSTER_MRN", "ROSTER_MRN"]


def test_a_finding_is_not_told_twice(look):
    """A value that is a finding already is not looked up once more."""
    found = look(TURN, roster=finds("Ada", entity="ROSTER_NAME"), tags=["Ada"])
    assert found == [("tags[0]", "ROSTER_NAME", "high")]


def test_a_date_beside_markers_alone(look):
    """A field that says nothing names nobody: the date beside it may stand."""
    date = {"appointment_datetime": "2027-03-15T14:00Z"}
    assert [path for path, *_ in look(TOOL, inputs={"patient_name": "<REDACTED>, <REDACTED>", **date})] == ["inputs.patient_name"]
    found = [path for path, *_ in look(TOOL, inputs={"patient_name": "<REDACTED> Ada", **date})]
    assert found == ["inputs.patient_name", "inputs.appointment_datetime"]


def test_a_lone_letter_is_a_suspicion(look):
    """A lone digit is not, nor are two letters."""
    assert look(TOOL, find=finds("J"), **notes("for J today")) == [("inputs.notes", "PERSON", "low")]
    assert look(TOOL, find=finds("7"), **notes("for 7 today")) == [("inputs.notes", "PERSON", "high")]
    assert look(TOOL, find=finds("Jo"), **notes("for Jo today")) == [("inputs.notes", "PERSON", "high")]


def test_neighbours_are_two_findings(look):
    """Where one stretch ends, the next one is told; where they overlap, the first is."""
    roster = finds("Ada", entity="ROSTER_NAME")
    assert [e for _, e, _ in look(TOOL, roster=roster, find=finds("Byron"), **notes("AdaByron"))] == ["ROSTER_NAME", "PERSON"]
    assert [e for _, e, _ in look(TOOL, roster=roster, find=finds("aByron"), **notes("AdaByron"))] == ["ROSTER_NAME"]
    talk = "user: hi Ada. bot: hello. "
    assert [e for _, e, _ in look(TOOL, roster=roster, **notes(talk))] == ["ROSTER_NAME"]


def test_ids_are_shown_only_if_they_are_ids(policy, made):
    """What stands in the place of an id is not written into a finding."""
    run = made.call()[TURN] | {"id": "Ada", "trace_id": "Byron"}
    found = Scanner(policy, nothing, nothing, project="clinic-dev", key=made.KEY).scan(run)
    assert {(f.run_id, f.trace_id) for f in found} == {("?", "?")}
    assert len(found) == 2


def test_the_seams_know_the_roster(look):
    """A patient whose name lies over two values is found."""
    roster = finds("ada byron", entity="ROSTER_NAME")
    assert [e for _, e, _ in look(TOOL, roster=roster, **notes("ada", reason_for_visit="byron"))] == ["ROSTER_NAME"]


@pytest.mark.parametrize("n", [20, visit.PARTS_MAX])
def test_the_seams_of_many_values(look, n):
    """Seams are read up to the limit, and no further."""
    held = [*["yes"] * (n - 2), "for lady", "byron"]
    assert [path for path, *_ in look(TOOL, find=finds("lady byron"), **notes(held))] == [f"inputs.notes[{n - 2}]+inputs.notes[{n - 1}]"]


def test_a_text_may_be_as_long_as_the_policy_says(look):
    """One character more is a finding; what it hides may be longer, since the gate measured the whole."""
    assert look(TOOL, **notes("x" * 50)) == []
    assert look(TOOL, **notes("x" * 51)) == [("inputs.notes", "UNEXPLAINED", "medium")]
    assert look(TOOL, **notes("%20" * 16 + "ab")) == []


@pytest.mark.parametrize("label", ["gpt-UklGRiQAAABXQVZF", "gpt-T2dnUwACAAAAAAAA"])
def test_sound_in_a_label(look, label):
    """A label that holds what files of sound begin with is no label; nor is one in which the patterns find something."""
    assert structure.METADATA["deployment"](label)
    assert look(TURN, **metadata(deployment="gpt-realtime")) == []
    assert look(TURN, **metadata(deployment=label)) == [("extra.metadata.deployment", "AUDIO", "high")]
    assert look(TURN, patterns=finds("Ada"), **metadata(deployment="gpt-Ada")) == [("extra.metadata.deployment", "UNEXPLAINED", "medium")]
