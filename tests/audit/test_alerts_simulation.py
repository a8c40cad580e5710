"""What the shipped rules are worth at ten calls a day: how often each fires wrongly, and how late it fires when it should. Seeded."""

from __future__ import annotations

import random
import re
from bisect import bisect_left
from dataclasses import replace
from datetime import timedelta
from statistics import median

import pytest
from alert_evidence import T0, Held

from audit.alerts import Track, load_rules
from audit.alerts.judging import judge
from audit.alerts.machine import step
from audit.calls.index import Rates
from phi_guard.policy import shipped

CALLS_A_DAY = 10
YEARS = 5
BEFORE = 7
"""Days at half the bar before the rate becomes three times the bar: the window of a week is full of ordinary calls then."""


class Counted(Held):
    """Calls of a simulated time, in order, with counts up to each."""

    def __init__(self, days, rate, seed, before=None):
        super().__init__()
        chance = random.Random(seed)
        self.read_at = T0 + timedelta(days=days)
        self.ends, self.sums = [], [(0, 0)]
        for day in range(days):
            now = before if before is not None and day < BEFORE else rate
            for minute in sorted(chance.randrange(8 * 60, 18 * 60) for _ in range(CALLS_A_DAY)):
                self.ends.append(T0.replace(hour=0) + timedelta(days=day, minutes=minute))
                bad, n = self.sums[-1]
                self.sums.append((bad + (chance.random() < now), n + 1))

    def rates(self, since, until):
        (b0, n0), (b1, n1) = self.sums[bisect_left(self.ends, since)], self.sums[bisect_left(self.ends, until)]
        return Rates(calls=n1 - n0, failed=b1 - b0, tool_uses=n1 - n0, tool_failures=b1 - b0)


def clock(held):
    """It is looked at when a call has ended, which alone can make it bad, and each six hours."""
    days = len(held.ends) // CALLS_A_DAY
    return sorted({*(at + timedelta(seconds=30) for at in held.ends), *(T0 + timedelta(hours=6 * k) for k in range(days * 4))})


def fires(rule, rate, days, seed):
    """How many times it fired; by the machine itself, with every trace in time."""
    held, track, times = Counted(days, rate, seed), Track(rule=rule.name, metric=rule.metric), 0
    for now in clock(held):
        held.read_at = now
        track, told = step(rule, track, judge(rule, held, now, T0), now)
        times += sum(event.state == "firing" for event in told)
    return times


def days_until(rule, rate, seed):
    """Days from the change for the worse until it is bad; a year at most."""
    held, change = Counted(365 + BEFORE, rate, seed, before=rate / 6), T0.replace(hour=0) + timedelta(days=BEFORE)
    for at in held.ends:
        held.read_at = at + timedelta(seconds=30)
        if at >= change and judge(rule, held, held.read_at, T0).verdict == "bad":
            return (at - change) / timedelta(days=1)
    return 365.0


def worth(rule):
    """Wrong alerts a year at half the bar, and the median of the days until it fires at three times the bar."""
    share = rule.bar / 100
    return fires(rule, share / 2, 365 * YEARS, seed=1) / YEARS, median(days_until(rule, share * 3, seed) for seed in range(51))


@pytest.fixture(scope="module")
def found():
    rules = {made.name: replace(made, remind_s=0) for made in load_rules(shipped("alerts.yaml"))}
    return {name: worth(rules[name]) for name in ("error_rate", "error_rate_week", "tool_failure")}


@pytest.mark.parametrize("name", ["error_rate", "error_rate_week", "tool_failure"])
def test_the_file_tells_what_its_rules_are_worth(found, name):
    wrong, late = found[name]
    text = shipped("alerts.yaml").read_text(encoding="utf-8")
    told = re.search(rf"#     {name} +fires wrongly ([0-9.]+) times a year at half the bar; .* after ([0-9.]+) days \(median\)", text)
    assert told is not None, f"{name}: {wrong:.1f} times a year, {late:.1f} days"
    assert (float(told[1]), float(told[2])) == (round(wrong, 1), round(late, 1))


def test_one_failure_alone_never_fires():
    rules = {made.name: made for made in load_rules(shipped("alerts.yaml"))}
    for name in ("error_rate", "error_rate_week", "tool_failure"):
        held = Counted(30, 0.0, seed=3)
        held.sums = [(int(k > 150), n) for k, (_, n) in enumerate(held.sums)]
        assert not any(judge(rules[name], held, at + timedelta(seconds=30), T0).verdict == "bad" for at in held.ends)
