"""The evaluation of alerts: when one fires, when it is resolved, and what late traces, silences and wrong clocks do to it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from alert_evidence import T0, Ended, Held, Looks, minutes, rule

from audit.alerts import AlertState, Leak, Silence, load_rules
from audit.alerts.judging import enough, judge
from audit.alerts.rules import WINDOWED
from audit.statistics import lower_bound
from phi_guard.facts import ALERT, ALERTS
from phi_guard.policy import shipped

HOUR = timedelta(hours=1)


def calls(n, failed=0, at=T0, **more):
    return [Ended(at - minutes(1), failed=k < failed, **more) for k in range(n)]


def test_fires_once_and_is_resolved_once():
    looks = Looks(Held(calls=calls(40, 5)), rule(resolve_s=600))
    looks.every(T0, T0 + minutes(120))
    fired, resolved = looks.told
    assert (fired.state, fired.value, fired.n, fired.bad, fired.since) == ("firing", 12.5, 40, 5, T0)
    assert (resolved.state, resolved.key, resolved.since, resolved.worst) == ("resolved", fired.key, T0, 12.5)
    assert minutes(59) + minutes(10) <= resolved.at - T0 <= minutes(71)
    assert not looks.state.firing


def test_the_state_names_what_fires():
    looks = Looks(Held(calls=calls(40, 5)), rule(severity="critical"))
    looks.at(T0)
    (firing,) = looks.state.firing
    assert (firing.rule, firing.severity, firing.value, firing.since, firing.known) == ("error_rate", "critical", 12.5, T0, True)


@pytest.mark.parametrize(
    ("n", "bad", "shown", "fires"),
    [
        (1, 1, "either", False),  # one failed call is no rate, although it is 100 %
        (10, 1, "either", False),
        (2, 2, "either", True),  # the exact bound of 2 of 2 is 22 %
        (30, 2, "either", True),  # by their number
        (40, 2, "either", False),  # 5 % is not above 5 %
        (2, 2, "counts", False),
        (5, 2, "counts", True),
        (30, 2, "bound", False),  # the bound of 2 of 30 is 1.2 %
        (30, 5, "bound", True),  # of 5 of 30 it is 6.8 %
    ],
)
def test_a_share_must_show_something(n, bad, shown, fires):
    found = judge(rule(shown=shown), Held(calls=calls(n, bad)), T0, T0)
    assert (found.verdict == "bad") is fires
    assert found.n == n


def test_one_of_one_shows_no_more_than_five_per_cent_even_where_one_is_enough():
    assert not enough(rule(min_bad=1, shown="bound"), 1, 1)  # its bound is the bar itself, but for rounding
    assert enough(rule(min_bad=1, shown="bound", bar=4.99), 1, 1)


def test_what_a_bound_shows_is_what_clopper_and_pearson_say():
    for n in range(1, 60):
        for bad in range(2, n + 1):
            made = rule(shown="bound", bar=10.0)
            assert enough(made, bad, n) is (lower_bound(bad, n, 0.95) > 0.1), (bad, n)
    assert enough(rule(shown="bound", bar=0.0), 2, 1000)
    assert not enough(rule(shown="bound", bar=100.0), 5, 5)


def test_hysteresis_between_the_bars_neither_fires_nor_resolves():
    held = Held(calls=calls(40, 5))
    looks = Looks(held, rule(resolve_s=0))
    looks.at(T0)
    held.calls += calls(100, 4, at=T0 + minutes(90))  # 4 %
    looks.every(T0 + minutes(90), T0 + minutes(100))
    assert looks.states() == ["firing"]
    held.calls += calls(100, 2, at=T0 + minutes(100))
    looks.at(T0 + minutes(100))
    assert looks.states() == ["firing", "resolved"]


def test_resolving_that_is_broken_off_begins_anew():
    held = Held(calls=calls(40, 5))
    looks = Looks(held, rule(resolve_s=600))
    looks.at(T0)
    looks.at(T0 + minutes(61))  # good
    held.calls += calls(10, 5, at=T0 + minutes(65))
    looks.at(T0 + minutes(66))
    held.calls = []
    looks.at(T0 + minutes(72))
    assert looks.states() == ["firing"]
    assert looks.state.tracks["prod/medical-voice-agent-prod/error_rate"].phase == "resolving"
    looks.at(T0 + minutes(82))
    assert looks.states() == ["firing", "resolved"]


def test_a_moment_between_the_bars_or_unread_breaks_the_calm():
    made = rule("budget", bar=50.0, resolve_bar=48.0, resolve_s=600)
    for between in (Ended(T0 - HOUR, cost=49.0), None):
        held = Held(calls=[Ended(T0 - HOUR, cost=60.0)])
        looks = Looks(held, made)
        looks.at(T0)
        held.calls = []
        looks.every(T0 + minutes(1), T0 + minutes(8))
        held.calls = [between] if between else []
        looks.at(T0 + minutes(14), read=between is not None)
        held.calls = []
        looks.every(T0 + minutes(15), T0 + minutes(25))
        assert looks.states() == ["firing"]
        looks.at(T0 + minutes(25))
        assert looks.states() == ["firing", "resolved"]


def test_the_worst_of_an_episode_is_told_and_the_next_has_a_key_of_its_own():
    made, held = rule("budget", bar=50.0, resolve_bar=48.0), Held()
    looks = Looks(held, made)
    for minute, cost in enumerate((60.0, 90.0, 55.0, 1.0, 70.0, 1.0)):
        held.calls = [Ended(T0 - HOUR, cost=cost)]
        looks.at(T0 + minutes(minute))
    assert [(event.state, event.worst) for event in looks.told] == [
        ("firing", 60.0),
        ("resolved", 90.0),
        ("firing", 70.0),
        ("resolved", 70.0),
    ]
    first, first_end, second, second_end = (event.key for event in looks.told)
    assert first == first_end != second == second_end


def test_it_must_hold_for_as_long_as_the_rule_says():
    held = Held(on=False)
    looks = Looks(held, rule("switch_off", bar=0.0, resolve_bar=0.0, hold_s=300))
    looks.every(T0, T0 + minutes(5))
    assert not looks.told
    held.on = True
    looks.at(T0 + minutes(5))
    held.on = False
    looks.every(T0 + minutes(6), T0 + minutes(11))
    assert not looks.told
    (fired,) = looks.at(T0 + minutes(11))
    assert fired.since == T0 + minutes(6)


def test_reminders_come_at_their_time_and_no_sooner():
    held = Held(found=(Leak(T0, "report", "a" * 64),))
    looks = Looks(held, rule("leak", bar=0.0, resolve_bar=0.0, remind_s=3600))
    looks.every(T0, T0 + minutes(125))
    assert [(event.state, event.at - T0) for event in looks.told] == [
        ("firing", minutes(0)), ("still_firing", minutes(60)), ("still_firing", minutes(120)),
    ]  # fmt: skip
    assert {event.report for event in looks.told} == {"a" * 64}


def test_what_was_not_read_is_unknown_and_neither_fires_nor_resolves():
    held = Held(calls=calls(40, 5))
    looks = Looks(held, rule(resolve_s=0))
    looks.at(T0)
    looks.at(T0 + minutes(70), read=False)
    assert looks.states() == ["firing"]
    (firing,) = looks.state.firing
    assert not firing.known
    looks.at(T0 + minutes(71))
    assert looks.states() == ["firing", "resolved"]


def test_what_was_read_in_part_can_be_bad_and_not_good():
    held = Held(calls=calls(40, 5), read_at=T0)
    assert judge(rule(), held, T0 + minutes(6), T0).verdict == "bad"
    held.calls = calls(40)
    assert judge(rule(), held, T0 + minutes(6), T0).verdict == "unknown"
    assert judge(rule(), held, T0 + minutes(4), T0).verdict == "good"


def test_a_source_that_cannot_be_read_is_an_alert_of_its_own_even_if_it_never_could():
    held = Held(read_at=None)
    looks = Looks(held, rule("stale", bar=900_000.0, resolve_bar=300_000.0))
    for minute in range(17):
        looks.at(T0 + minutes(minute), read=False)
    (fired,) = looks.told
    assert (fired.at, fired.value, fired.unit) == (T0 + minutes(16), 960_000.0, "ms")
    looks.at(T0 + minutes(20))
    assert looks.states() == ["firing", "resolved"]


def test_late_traces_make_a_past_window_fire_with_its_own_time():
    held = Held(calls=calls(40))
    looks = Looks(held, rule("ttft_p95", bar=3000.0, resolve_bar=2500.0, window_s=900, min_count=20))
    looks.every(T0, T0 + minutes(40), step=5)
    assert not looks.told
    held.calls.append(Ended(T0 + minutes(8), ttft=(4000.0,) * 20))  # 32 minutes late
    fired, resolved = looks.at(T0 + minutes(40))
    assert (fired.state, fired.late, fired.at) == ("firing", True, T0 + minutes(10))
    assert (resolved.state, resolved.key, resolved.at) == ("resolved", fired.key, T0 + minutes(25))
    looks.every(T0 + minutes(41), T0 + minutes(120))
    assert len(looks.told) == 2


def test_a_window_that_nobody_watched_is_judged_afterwards_and_is_not_called_late():
    held = Held(calls=[])
    looks = Looks(held, rule(window_s=900))
    looks.at(T0)
    held.calls = calls(40, 5, at=T0 + minutes(8))
    fired, resolved = looks.at(T0 + minutes(50))
    assert (fired.late, fired.at, resolved.state) == (False, T0 + minutes(10), "resolved")


def test_what_came_more_than_an_hour_late_or_from_before_the_watch_does_not_fire():
    held = Held(calls=calls(40, 5, at=T0 - minutes(30)))
    looks = Looks(held, rule(window_s=900))
    looks.at(T0)
    looks.every(T0 + minutes(1), T0 + minutes(200), step=10)
    held.calls += calls(40, 5, at=T0 + minutes(100))
    looks.every(T0 + minutes(200), T0 + minutes(240), step=10)
    assert not looks.told


def test_late_traces_that_undo_it_resolve_it_at_once():
    held = Held(calls=calls(20, 2))
    looks = Looks(held, rule(resolve_s=3600))
    looks.at(T0)
    assert looks.states() == ["firing"]
    held.calls += calls(80)  # 2 of 100
    (resolved,) = looks.at(T0 + minutes(2))
    assert (resolved.state, resolved.n, resolved.bad) == ("resolved", 100, 2)


def test_a_month_that_costs_too_much_by_what_is_spent_or_by_its_pace():
    made = rule("budget", bar=50.0, resolve_bar=48.0, fixed_usd=15.0, project_after_s=7 * 86_400, min_count=20, window_s=3600)
    early = [Ended(T0.replace(day=2), cost=1.0) for _ in range(16)]
    now = T0.replace(day=5)
    assert judge(made, Held(calls=early, read_at=now), now, now).value == pytest.approx(31.0)  # too early, too few to project
    later = T0.replace(day=11, hour=0)  # ten days of 31
    found = judge(made, Held(calls=early + early, read_at=later), later, later)
    assert (found.verdict, found.value) == ("bad", pytest.approx(15 + 32 * 3.1))
    unknown = [Ended(T0.replace(day=2), cost=None) for _ in range(16)]
    assert judge(made, Held(calls=early + unknown, read_at=later), later, later).value == pytest.approx(15 + 32 * 3.1)


def test_the_month_begins_anew():
    made = rule("plan_quota", bar=80.0, inclusive=True, quota=10, resolve_bar=79.0)
    looks = Looks(Held(calls=calls(8)), made)
    looks.at(T0)
    looks.at(T0.replace(month=4, day=1, hour=1))
    assert [(event.state, event.value) for event in looks.told] == [("firing", 80.0), ("resolved", 0.0)]


def test_calls_that_left_no_trace():
    made = rule("no_traces", bar=0.0, resolve_bar=0.0, min_count=1, grace_s=600)
    held = Held()
    assert judge(made, held, T0, T0).verdict == "off"
    held.ran = 3
    found = judge(made, held, T0, T0)
    assert (found.verdict, found.value, found.n) == ("bad", 3.0, 3)
    assert judge(made, replace(held, on=False), T0, T0).verdict == "off"
    held.calls = calls(1)
    assert judge(made, held, T0, T0).verdict == "good"
    held.ran = 0
    held.calls = []
    assert judge(made, held, T0, T0).verdict == "good"


def test_the_one_tool_that_fails_is_named():
    held = Held(calls=[Ended(T0 - minutes(1), uses=5, broken=2), Ended(T0 - minutes(1), uses=3, tool="tool.check_availability")])
    made = rule("tool_failure", bar=10.0, resolve_bar=5.0)
    assert judge(made, held, T0, T0).tool == "tool.book_appointment"
    held.calls[1].broken = 1
    assert judge(made, held, T0, T0).tool == ""


def flapping(changes):
    """Bad at every other minute."""
    held = Held(found=())
    looks = Looks(held, rule("leak", bar=0.0, resolve_bar=0.0))
    for minute in range(changes):
        held.found = () if minute % 2 else (Leak(T0, "hold"),)
        looks.at(T0 + minutes(minute))
    return held, looks


def test_flapping_is_held_and_said_once():
    held, looks = flapping(30)
    assert looks.states() == ["firing", "resolved", "firing", "resolved", "firing"]
    assert [event.flapping for event in looks.told] == [False, False, False, False, True]
    held.found = ()
    looks.every(T0 + minutes(30), T0 + minutes(89))
    assert len(looks.told) == 5
    looks.every(T0 + minutes(89), T0 + minutes(100))
    assert looks.states()[5:] == ["resolved"]


def test_four_changes_an_hour_are_not_flapping():
    _, looks = flapping(4)
    assert looks.states() == ["firing", "resolved"] * 2
    assert not any(event.flapping for event in looks.told)


def test_an_alert_that_would_resolve_too_often_is_held_too():
    held, looks = flapping(3)  # fired, resolved, fired
    state = looks.state
    name = next(iter(state.tracks))
    track = replace(state.tracks[name], changes=(T0, *state.tracks[name].changes))
    looks.state = replace(state, tracks={name: track})
    held.found = ()
    (held_event,) = looks.at(T0 + minutes(4))
    assert (held_event.state, held_event.flapping) == ("still_firing", True)
    looks.every(T0 + minutes(5), T0 + minutes(70))
    assert looks.states()[4:] == ["resolved"]


def test_a_silence_sends_nothing_and_nothing_is_lost_after_it():
    quiet = Silence("a drill", "Ada", since=T0 + minutes(1), until=T0 + minutes(30))
    held = Held()
    looks = Looks(held, rule("leak", bar=0.0, resolve_bar=0.0, remind_s=60, silences=(quiet,)))
    looks.at(T0)
    held.found = (Leak(T0, "hold"),)
    looks.every(T0 + minutes(1), T0 + minutes(10))
    held.found = ()
    looks.every(T0 + minutes(10), T0 + minutes(30))
    assert not looks.told
    fired, resolved = looks.at(T0 + minutes(30))
    assert (fired.state, fired.at) == ("firing", T0 + minutes(1))
    assert (resolved.state, resolved.at, resolved.key) == ("resolved", T0 + minutes(10), fired.key)


def test_what_still_fires_after_a_silence_is_told_then_and_resolved_later():
    quiet = Silence("a drill", "Ada", since=T0, until=T0 + minutes(30))
    held = Held(found=(Leak(T0, "hold"),))
    looks = Looks(held, rule("leak", bar=0.0, resolve_bar=0.0))
    looks.state = AlertState(silenced={"leak": quiet})
    looks.every(T0, T0 + minutes(31))
    assert looks.states() == ["firing"]
    assert not looks.state.silenced  # over
    held.found = ()
    looks.at(T0 + minutes(32))
    assert looks.states() == ["firing", "resolved"]


def test_weekly_silences_know_zones_and_midnight():
    quiet = Silence("nights", "Ada", frozenset({4}), 22 * 60, 6 * 60, "Europe/Berlin")  # Friday night
    friday = T0.replace(day=13)
    assert not quiet.holds(friday.replace(hour=20, minute=59))
    assert quiet.holds(friday.replace(hour=21))  # 22:00 there
    assert quiet.holds(friday.replace(day=14, hour=4, minute=59))
    assert not quiet.holds(friday.replace(day=14, hour=5))
    assert not quiet.holds(friday.replace(day=14, hour=21))
    daily = Silence("noon", "Ada", begin=12 * 60, end=13 * 60)
    assert daily.holds(friday.replace(hour=12))
    assert not daily.holds(friday.replace(hour=13))


def test_a_clock_that_goes_back_makes_nothing_wait_for_it():
    held = Held(found=(Leak(T0, "hold"),))
    looks = Looks(held, rule("leak", bar=0.0, resolve_bar=0.0, resolve_s=600, remind_s=3600))
    looks.at(T0 + timedelta(days=30))
    looks.at(T0)  # put right
    assert looks.states() == ["firing"]
    looks.at(T0 + HOUR)
    assert looks.states() == ["firing", "still_firing"]
    held.found = ()
    looks.every(T0 + HOUR + minutes(1), T0 + HOUR + minutes(12))
    assert looks.states() == ["firing", "still_firing", "resolved"]
    assert looks.told[-1].at >= looks.told[-1].since - timedelta(days=30)


def test_a_rule_that_is_gone_resolves_what_it_fired_and_others_are_left_alone():
    looks = Looks(Held(found=(Leak(T0, "hold"),)), rule("leak", bar=0.0, resolve_bar=0.0))
    elsewhere = Looks(Held(env="dev", found=(Leak(T0, "hold"),)), rule("leak", bar=0.0, resolve_bar=0.0))
    looks.at(T0)
    elsewhere.state = looks.state
    elsewhere.at(T0)
    looks.state, looks.rules = elsewhere.state, (rule(),)
    looks.at(T0 + minutes(1))
    assert looks.states() == ["firing", "resolved"]
    assert [firing.env for firing in looks.state.firing] == ["dev"]


def test_a_rule_is_judged_in_its_environments_alone():
    looks = Looks(Held(env="dev", on=False), rule("switch_off", bar=0.0, resolve_bar=0.0, environments=frozenset({"prod"})))
    assert not looks.at(T0)
    assert not looks.state.tracks


def test_every_alert_and_every_fact_is_one_that_may_leave():
    rules = load_rules(shipped("alerts.yaml"))
    assert {made.metric for made in rules} == ALERTS - {"test"}
    looks = Looks(Held(calls=calls(40, 5, trace="0192f000-0000-7000-8000-000000000000")), rule(remind_s=60))
    looks.every(T0, T0 + minutes(90))
    assert {"firing", "still_firing", "resolved"} == set(looks.states())
    for event in looks.told:
        for key, value in event.facts().items():
            assert key == "trace_ids" or ALERT[key].fits(value), key
    assert {made.metric for made in rules} >= WINDOWED
