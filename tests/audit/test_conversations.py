"""The calls of a load test: out of a seed, as long as asked, every scene in every language, and every canary really told."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit.rehearsal.canary import collect, count
from audit.rehearsal.conversation import invent_calls, invent_load
from audit.rehearsal.expectation import ExpectedTrace, expect
from audit.rehearsal.scenes import LANGUAGES, SCENES, person
from audit.rehearsal.scenes.pace import CUT_MS, SPEECH_MS, THINKS_MS
from audit.rehearsal.script import ScriptError, hasten, lengthen, plan
from phi_guard.policy import load_policy, shipped

PASSING = {
    "alternatives", "appointment_datetime", "available", "cancelled", "clinic_location", "closes", "confirmation_id", "days", "doctor_name",
    "guidance", "opens", "reason", "symptoms", "urgency",
}  # fmt: skip
"""Fields that are kept, or searched by detectors who know no name of nobody."""
SEEDS = st.integers(min_value=0, max_value=2**32)


@pytest.fixture(scope="module")
def policy():
    return load_policy(shipped("clinic.yaml"), env="prod")


def told(call):
    """What a call says, by origin."""
    line, turns = call.line, call.turns
    tools = [tool for turn in turns for tool in turn.tools]
    return {
        "caller": " ".join(turn.caller_says for turn in turns),
        "agent": " ".join(turn.agent_says for turn in turns),
        "tool_argument": json.dumps([tool.arguments for tool in tools], ensure_ascii=False),
        "tool_result": json.dumps([tool.result for tool in tools], ensure_ascii=False),
        "exception": " ".join(tool.raises or "" for tool in tools),
        "room_name": line.room,
        "participant_identity": line.identity,
        "participant_attribute": " ".join(line.attributes.values()),
    }


def lasts_minutes(call):
    return sum(turn.lasts_ms for turn in call.turns) / 60_000


# -- what is invented --------------------------------------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(seed=SEEDS, minutes=st.floats(min_value=0.25, max_value=8), calls=st.integers(min_value=1, max_value=4))
def test_a_call_lasts_as_long_as_asked(seed, minutes, calls):
    """Within a sixth part, whatever the seed; the same again for the same seed, and no two callers alike."""
    made = invent_load(calls, seed, minutes)
    assert made == invent_load(calls, seed, minutes)
    assert all(abs(lasts_minutes(call) - minutes) <= 0.15 * minutes for call in made)
    assert len({call.turns[0].caller_says for call in made}) == calls
    assert invent_load(calls, seed + 1, minutes) != made


@settings(max_examples=25, deadline=None)
@given(seed=SEEDS, minutes=st.sampled_from([0.0, 1.5, 5.0]))
def test_people_take_their_time(seed, minutes):
    """Nobody speaks for less than a second or more than six, or without a pause but to break in; who is talked over had more to say."""
    for call in invent_load(3, seed, minutes):
        before = None
        for turn in call.turns:
            broke_in = before is not None and before.cut_in_after_ms is not None
            assert broke_in == (turn.silent_ms == 0)
            assert turn.silent_ms == 0 or turn.silent_ms >= THINKS_MS[0]
            if turn.speech_ms:
                assert SPEECH_MS[0] <= turn.speech_ms <= SPEECH_MS[1]
                assert turn.answer_ms >= SPEECH_MS[0]
            if turn.cut_in_after_ms is not None:
                assert turn.answer_ms - turn.cut_in_after_ms >= CUT_MS
            before = turn
        assert before.cut_in_after_ms is None


@settings(max_examples=25, deadline=None)
@given(seed=SEEDS, minutes=st.sampled_from([0.0, 5.0]))
def test_every_canary_is_told_where_it_is_said_to_be(seed, minutes):
    """A value that a call declares for an origin stands there; the caller's own name is always among what the caller says."""
    for call in invent_load(10, seed, minutes):
        said = told(call)
        for plant in call.plants:
            assert plant.value in said[plant.origin], plant.origin
        assert any(plant.origin == "caller" and plant.value in call.turns[0].caller_says for plant in call.plants)


@settings(max_examples=10, deadline=None)
@given(seed=SEEDS)
def test_ten_calls_have_everything(seed):
    """Every scene and every language, from ten calls on, however short; a long call has no scene twice before it has had all."""
    short, long = invent_load(10, seed), invent_load(10, seed, 6.0)
    for calls in (short, long):
        assert {name for call in calls for name in call.scenes} == set(SCENES)
        assert {call.language for call in calls} == set(LANGUAGES)
    for call in long:
        first = call.scenes[: len(SCENES)]
        assert len(set(first)) == len(first)
        assert len(call.scenes) >= len(SCENES)
        assert {plant.origin for plant in call.plants} == {"caller", "agent", "tool_result", "exception", "participant_attribute"}
        spoken = [turn.caller_says for turn in call.turns if turn.speech_ms]
        assert len(set(spoken)) >= 2 / 3 * len(spoken)


def test_canaries_stand_in_every_origin(policy):
    """Ten calls have one in each place a value can be in, of each of the policy's kinds."""
    canaries = collect(invent_load(10, 3, 1.0), policy)
    origins = {origin for canary in canaries for origin in canary.origin.split("+")}
    assert origins == set(told(invent_load(1, 3)[0]))
    assert {canary.kind for canary in canaries} == {"patient_name", "phone", "email", "dob", "mrn", "address"}


@pytest.mark.parametrize("seed", [1, 2])
def test_nobody_is_met_by_chance(policy, seed):
    """In what the policy lets pass of any call stands nobody's name, in part or disguised: no particle, no ordinary word is a canary."""
    calls = invent_load(10, seed, 3.0)
    sides = [side for call in calls for turn in call.turns for tool in turn.tools for side in (tool.arguments, tool.result)]
    passing = [{"x": {name: value}} for side in sides for name, value in (side or {}).items() if name in PASSING]
    assert {name for run in passing for name in run["x"]} == PASSING
    for side in sides:
        if side and "notes" in side:  # of free text there passes what is left without the caller
            passing.append({"x": side["notes"].replace(side["patient_name"].partition(" ")[0], "-").replace(side["phone"], "-")})
    passing += [{"x": particle} for particles in person._BEFORE.values() for particle in particles]
    canaries = collect(calls, policy)
    assert len(canaries) > 100
    assert count(canaries, passing).arrived == 0
    assert count(canaries, [*passing, {"x": canaries[0].value}]).arrived >= 1


# -- what a trace must hold --------------------------------------------------------------------------------------------------------


def test_what_a_trace_must_hold_follows_from_the_plan():
    """Tools by name, those that raise, hand-offs, and a turn for each time the caller speaks; nothing for silence."""
    tools = [{"name": "check_availability"}, {"name": "fetch_file", "raises": "KeyError: x"}, {"name": "check_availability"}]
    turns = [
        {"user": {"cut_in_after_ms": 100}, "tools": tools},
        {"hand_off": "nurse"},
        {"user": {"speech_ms": 0, "silent_ms": 900}},
        {"agent": {"fails": True}},
    ]
    (call,) = plan({"calls": [{"greets": True, "turns": turns}]})
    named = {"tool.check_availability": 2, "tool.fetch_file": 1, "tool.hand_off_to_nurse": 1}
    assert expect(call) == ExpectedTrace(named, failed_tools=1, hand_offs=1, user_turns=3, agent_turns_at_least=4, barge_ins=1)
    assert expect(call, {"check_availability"}).tools == {"tool.check_availability": 2, "tool.unknown": 2}


# -- the script's form -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("turns", "place"),
    [
        ([{"user": {"speech_ms": 0}}], "turns.0.user"),
        ([{"user": {"speech_ms": 60}}], "turns.0.user"),
        ([{"user": {"speech_ms": 0, "silent_ms": 50, "says": "Zqxjk"}}], "turns.0.user"),
        ([{}, {"user": {"speech_ms": 0, "silent_ms": 50}, "tools": [{"name": "x"}]}], "turns.1"),
        ([{"user": {"speech_ms": 0, "silent_ms": 50}, "agent": {}}], "turns.0"),
        ([{"hand_off": "nurse", "tools": [{"name": "x"}]}], "turns.0"),
        ([{"hand_off": "The Nurse"}], "turns.0.hand_off"),
        ([{"agent": {"fails": True}, "user": {"cut_in_after_ms": 50}}], "turns.0"),
        ([{"user": {"cut_in_after_ms": 50}}, {"user": {"silent_ms": 50}}], "calls.0"),
    ],
)
def test_what_cannot_be_played_is_refused(turns, place):
    """The message says where, and holds no value."""
    with pytest.raises(ScriptError) as fault:
        plan({"calls": [{"turns": turns}]}, "calls.yaml")
    assert place in str(fault.value)
    assert "Zqxjk" not in str(fault.value)


def test_a_call_can_be_hastened_and_lengthened():
    """Every time in it shrinks by the factor, down to what is still heard; lengthening counts pauses and what is cut off."""
    (call,) = invent_load(1, 5, 1.0)
    quick = hasten(call, 4)
    assert abs(lasts_minutes(quick) - lasts_minutes(call) / 4) < 0.1
    assert all(turn.speech_ms >= 100 for turn in quick.turns if turn.speech_ms)
    assert [turn.caller_says for turn in quick.turns] == [turn.caller_says for turn in call.turns]
    cut = {"user": {"speech_ms": 1000, "cut_in_after_ms": 500}, "agent": {"speech_ms": 50_000}}
    silent = {"user": {"silent_ms": 300, "speech_ms": 0}}
    (short,) = plan({"calls": [{"turns": [cut, {}, silent]}]})
    assert lasts_minutes(short) == pytest.approx((1000 + 200 + 200 + 500 + 500 + 200 + 200 + 500 + 300) / 60_000)
    longer = lengthen(short, 0.2)
    assert 0.2 <= lasts_minutes(longer) < 0.25
    assert all(a == b for a, b in zip(longer.turns, short.turns, strict=False))
    assert all(before != after for before, after in pairwise(longer.turns))


def test_the_first_three_kinds_stay_what_they_were():
    """The demo's calls have neither scenes nor a language of their own, and say what they always said."""
    calls = invent_calls(3, 1)
    assert [(call.scenes, call.language, len(call.turns)) for call in calls] == [((), "", 2), ((), "", 1), ((), "", 2)]
    assert not any(turn.silent_ms or turn.hand_off or turn.fails or turn.cut_in_after_ms for call in calls for turn in call.turns)
