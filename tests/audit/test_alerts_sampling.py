"""Alerts of a relay that sends a share of the calls only: judged by what the calls stand for, and by a bound that holds for it."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta

import pytest
from alert_evidence import T0, Held, rule

from audit.alerts import load_rules
from audit.alerts.judging import enough, judge, month_of
from audit.alerts.state import Track
from audit.alerts.words import stands
from audit.calls.index import Rates
from audit.calls.weighing import Drawn, Share, lowest
from audit.statistics import lower_bound
from phi_guard.policy import shipped

FIFTH = 0.2


class Told(Held):
    """Evidence that says the same of any window."""

    def __init__(self, **counts):
        super().__init__()
        self.counts = Rates(**counts)

    def rates(self, since, until):
        return self.counts


def found(made, **counts):
    return judge(made, Told(**counts), T0, T0)


SHARES = [("error_rate", "calls", "failed", "drawn"), ("tool_failure", "tool_uses", "tool_failures", "uses_drawn")]


@pytest.mark.parametrize(("metric", "n", "bad", "drawn"), SHARES)
def test_a_share_is_that_of_the_calls_and_not_of_the_traces(metric, n, bad, drawn):
    """Three of 63 traces are 4.8 per cent; sixty of them were drawn one in five, so that they are three of about 303."""
    made = rule(metric, bar=3.0, resolve_bar=2.0)
    blind, seen = found(made, **{n: 63, bad: 3}), found(made, **{n: 63, bad: 3, drawn: (Drawn(FIFTH, 60),)})
    assert (blind.verdict, blind.value, blind.why) == ("bad", 100 * 3 / 63, "")
    assert (seen.verdict, seen.n, seen.bad) == ("good", 63, 3)
    assert seen.value == pytest.approx(100 * 3 / 303)
    assert seen.why == "estimated: 63 that were sent stand for about 303"
    track = replace(Track(rule="r", metric=metric), known=True, value=seen.value, n=seen.n, bad=seen.bad, why=seen.why)
    assert stands(track, T0) == "0.99 % (3 of 63); estimated: 63 that were sent stand for about 303"


def test_dropped_spans_stay_as_counted():
    counts = {"calls": 63, "offered": 1_000, "dropped": 20, "drawn": (Drawn(FIFTH, 60),), "uses_drawn": (Drawn(FIFTH, 60),)}
    assert found(rule("span_drop", bar=1.0, min_count=1, resolve_bar=0.5), **counts) == found(
        rule("span_drop", bar=1.0, min_count=1, resolve_bar=0.5), offered=1_000, dropped=20
    )


def test_minimum_counts_are_of_what_was_sent():
    """Four traces are too few for a rule that asks for five, whatever they stand for."""
    made = rule(min_count=5, shown="counts")
    assert found(made, calls=4, failed=3, drawn=(Drawn(0.5, 1),)).verdict == "between"
    assert found(made, calls=5, failed=3, drawn=(Drawn(0.5, 2),)).verdict == "bad"
    assert found(made, calls=50, failed=1, drawn=(Drawn(0.99, 2),)).verdict != "bad"  # one failure is never a rate


def test_two_failures_into_whose_window_nothing_was_drawn_show_nothing():
    """Two of two are more than five per cent; two, and nobody knows how many of which one in a hundred would have come, are not."""
    made = rule(min_count=5)
    assert found(made, calls=2, failed=2).verdict == "bad"
    unseen = found(made, calls=2, failed=2, drawn=(Drawn(0.01, 0),))
    assert (unseen.verdict, unseen.value, unseen.why) == ("between", 100.0, "too few to say")


@pytest.mark.parametrize("shown", ["bound", "either"])
def test_the_bound_is_that_of_the_two_limits(shown):
    made = rule(shown=shown, min_count=10**9)
    seen = set()
    for bad in range(2, 30):
        for came in (0, 3, 20, 60):
            drawn, n = (Drawn(FIFTH, came),), bad + came + 5
            shows = enough(made, bad, n, drawn)
            assert shows is (lowest(Share(n, bad, drawn), 0.95) > 0.05), (bad, came)
            assert not shows or lower_bound(bad, n, 0.95) > 0.05
            seen.add(shows)
    assert seen == {True, False}


def test_uses_of_tools_are_bounded_by_calls():
    """Uses stand and fall with their call: the more of them one call may have, the less they show."""
    made, counts = rule("tool_failure", bar=10.0, shown="bound"), {"tool_uses": 60, "tool_failures": 32, "uses_drawn": (Drawn(FIFTH, 20),)}
    assert found(made, **counts).verdict == "bad"
    assert found(made, **counts, uses_largest=6).verdict == "between"


def test_the_slowest_twentieth_rests_on_turns_that_were_sent():
    made = rule("ttft_p95", bar=3_000.0, resolve_bar=2_500.0, min_count=20)
    few = found(made, turns=19, turns_unsent=76.0, ttft_p95_ms=4_000.0)
    assert (few.verdict, few.why) == ("between", "too few to say; estimated: 19 that were sent stand for about 95")
    assert found(made, turns=20, turns_unsent=80.0, ttft_p95_ms=4_000.0).verdict == "bad"


def test_the_budget_is_that_of_all_calls():
    """Ten calls of a dollar were sent, eight of them one in five: 42 dollars. One of unknown cost counts as the mean of the others."""
    begin, _ = month_of(T0)
    made = rule("budget", bar=50.0, resolve_bar=50.0, fixed_usd=15.0)
    sent = {"started": 10, "cost_usd": 10.0}
    assert found(made, **sent).value == 25.0
    all_of_them = found(made, **sent, started_unsent=32.0, cost_unsent_usd=32.0)
    assert (all_of_them.value, all_of_them.verdict, all_of_them.n) == (57.0, "bad", 10)
    unknown = found(made, started=11, cost_usd=10.0, cost_unknown=1, started_unsent=36.0, cost_unsent_usd=32.0, unknown_unsent=4.0)
    assert unknown.value == pytest.approx(15.0 + 47.0)
    assert unknown.window_s == int((T0 - begin) / timedelta(seconds=1))


def test_the_plans_quota_counts_what_was_sent():
    counts = {"started": 500, "started_unsent": 2_000.0}
    seen = found(rule("plan_quota", bar=80.0, resolve_bar=70.0, quota=1_000), **counts)
    assert (seen.value, seen.n, seen.why) == (50.0, 500, "")


@pytest.mark.parametrize("rate", [1.0, 0.2, 0.05])
def test_the_weeks_rule_does_not_fire_more_often_for_sampling(rate):
    """Seeded: weeks of 700 calls, the failures at the bar itself: by its bound it fires in no more than one of twenty."""
    made = next(made for made in load_rules(shipped("alerts.yaml")) if made.name == "error_rate_week")
    assert (made.shown, made.bar) == ("bound", 5.0)
    chance, fired, blind, rounds = random.Random(17), 0, 0, 300
    for _ in range(rounds):
        bad = sum(chance.random() < 0.05 for _ in range(700))
        came = sum(chance.random() < rate for _ in range(700 - bad))
        drawn = (Drawn(rate, came),) if rate < 1 else ()
        fired += found(made, calls=bad + came, failed=bad, drawn=drawn).verdict == "bad"
        blind += found(made, calls=bad + came, failed=bad).verdict == "bad"
    assert fired / rounds <= 0.05
    assert rate == 1 or blind / rounds > 0.9


def test_what_a_rule_by_counts_is_worth_where_calls_are_drawn():
    """Seeded: hours of sixty calls at half the bar. As the relay's page tells: by counts it fires more often, by its bound never."""
    chance, rounds = random.Random(2), 1_500
    fired = dict.fromkeys(("all sent", "counts", "bound", "traces"), 0)
    for _ in range(rounds):
        bad = sum(chance.random() < 0.025 for _ in range(60))
        came = sum(chance.random() < FIFTH for _ in range(60 - bad))
        drawn = {"calls": bad + came, "failed": bad, "drawn": (Drawn(FIFTH, came),)}
        for name, made, counts in (
            ("all sent", rule(), {"calls": 60, "failed": bad}), ("counts", rule(), drawn), ("bound", rule(shown="bound"), drawn),
            ("traces", rule(), {"calls": bad + came, "failed": bad}),
        ):  # fmt: skip
            fired[name] += found(made, **counts).verdict == "bad"
    assert fired["bound"] == 0
    assert 2 < fired["counts"] / fired["all sent"] < 3
    assert fired["traces"] > 2 * fired["counts"]


def test_a_rate_far_above_the_bar_is_seen_through_sampling():
    """A fifth of the calls failing, of a hundred of which one in five of the rest came."""
    made = replace(rule(shown="bound"), confidence=0.95)
    assert found(made, calls=20 + 16, failed=20, drawn=(Drawn(FIFTH, 16),)).verdict == "bad"
