"""What holds of the alerts whatever happens: found by Hypothesis over histories of calls, gaps, silences, late traces and wrong clocks."""

from __future__ import annotations

from datetime import timedelta

from alert_evidence import T0, Ended, Held, Looks, minutes, rule
from hypothesis import given, settings
from hypothesis import strategies as st

from audit.alerts import AlertState, Leak, Silence, evaluate
from audit.alerts.machine import CHANGES_MAX

RULES = (
    rule(resolve_s=300, remind_s=1800, window_s=900),
    rule("leak", bar=0.0, resolve_bar=0.0, remind_s=1200),
    rule("switch_off", bar=0.0, resolve_bar=0.0, hold_s=180),
    rule("stale", bar=900_000.0, resolve_bar=300_000.0),
)
STEP = st.fixed_dictionaries(
    {
        "after": st.integers(-20, 40),  # minutes; below zero the clock goes back
        "good": st.integers(0, 12), "bad": st.integers(0, 4), "late": st.integers(0, 50), "leak": st.booleans(), "on": st.booleans(),
        "read": st.booleans(), "silent": st.booleans(),
    }
)  # fmt: skip


def play(steps, held=None, *, silences=True):
    """Every look with the instant, whether a silence held, and what was said."""
    looks, now, told = Looks(held or Held(), *RULES), T0, []
    for step in steps:
        now += minutes(step["after"])
        at = now - minutes(step["late"])
        looks.held.calls += [Ended(at, failed=k < step["bad"]) for k in range(step["good"] + step["bad"])]
        looks.held.found = (Leak(T0, "hold"),) if step["leak"] else ()
        looks.held.on = step["on"]
        silent = silences and step["silent"]
        quiet = {made.name: Silence("a drill", "Ada", since=now, until=now + minutes(1)) for made in RULES} if silent else {}
        looks.state = AlertState(looks.state.at, looks.state.tracks, (), quiet)
        told.append((now, silent, looks.at(now, read=step["read"])))
    return looks, told


def by_rule(told):
    events = [event for _, _, said in told for event in said]
    return {made.name: [event for event in events if event.rule == made.name] for made in RULES}


@given(st.lists(STEP, max_size=40))
@settings(max_examples=150)
def test_firing_and_resolved_take_turns(steps):
    _, told = play(steps)
    for events in by_rule(told).values():
        open_key = ""
        for event in events:
            if event.state == "firing":
                assert not open_key, "two firings without a resolved between them"
                open_key = event.key
            else:
                assert event.key == open_key, "resolved, or said again, without having fired"
                open_key = "" if event.state == "resolved" else open_key


@given(st.lists(STEP, max_size=40))
@settings(max_examples=100)
def test_a_silence_sends_nothing_and_loses_nothing(steps):
    looks, told = play(steps)
    assert not any(said for _, silent, said in told if silent)
    end = told[-1][0] if told else T0
    after = [({"after": 1, "good": 0, "bad": 0, "late": 0, "leak": steps[-1]["leak"], "on": steps[-1]["on"]})] if steps else []
    for step in after:
        looks.held.found = (Leak(T0, "hold"),) if step["leak"] else ()
        looks.state = AlertState(looks.state.at, looks.state.tracks)
        told.append((end + minutes(1), False, looks.at(end + minutes(1), read=False)))
    for name, events in by_rule(told).items():
        track = looks.state.tracks.get(f"prod/medical-voice-agent-prod/{name}")
        fires = track is not None and track.episode is not None
        assert fires == (bool(events) and events[-1].state != "resolved"), "what fires was not told, or what was told does not fire"


@given(st.lists(STEP, min_size=2, max_size=40))
@settings(max_examples=80)
def test_it_never_changes_more_often_than_it_may(steps):
    looks, _ = play([{**step, "after": abs(step["after"]) % 6 + 1} for step in steps], silences=False)
    for made in RULES:
        changes = [event.at for event in looks.told if event.rule == made.name and event.state != "still_firing"]
        for at in changes:
            assert sum(timedelta() <= other - at < timedelta(hours=1) for other in changes) <= CHANGES_MAX + 1


@given(st.lists(STEP, max_size=12), st.randoms(use_true_random=False))
@settings(max_examples=60)
def test_the_order_of_calls_that_ended_at_the_same_time_does_not_matter(steps, chance):
    def said(shuffled):
        looks, now = Looks(Held(), *RULES), T0
        for step in steps:
            now += minutes(abs(step["after"]))
            calls = [Ended(now - minutes(1), failed=k < step["bad"]) for k in range(step["good"] + step["bad"])]
            if shuffled:
                chance.shuffle(calls)
            looks.held.calls = looks.held.calls + calls if not shuffled else calls + looks.held.calls
            looks.at(now)
        return looks.told, looks.state

    assert said(shuffled=False) == said(shuffled=True)


@given(st.lists(STEP, max_size=20))
@settings(max_examples=60)
def test_judging_is_pure_and_judging_again_at_once_says_nothing_new(steps):
    looks, told = play(steps, silences=False)
    now = max([looks.state.at or T0, *(at for at, _, _ in told)])
    first = evaluate(RULES, looks.held, looks.state, now)
    assert evaluate(RULES, looks.held, looks.state, now) == first
    assert evaluate(RULES, looks.held, first[0], now)[1] == ()
