"""What traces stand for where a share of the calls is sent: the estimate is right on average, each bound holds as often as it says."""

from __future__ import annotations

import copy
import itertools
import random
import sqlite3
import uuid
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from functools import cache
from itertools import groupby
from math import ceil
from statistics import fmean, stdev

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_calls import NOW, Calls
from scipy import stats

from audit.calls.answers import Estimated
from audit.calls.counting import LAST_DRAWN
from audit.calls.index import CallIndex, Choice
from audit.calls.measures import weighed_percentile
from audit.calls.table import VERSION
from audit.calls.weighing import SMALLEST, Drawn, Share, at_least, at_most, highest, interval, lowest, weight_of
from audit.statistics import clopper_pearson, lower_bound, upper_bound
from audit.timeline import percentile

ALWAYS = Choice()
MONTH = (NOW - timedelta(days=31), NOW + timedelta(hours=1))


@pytest.mark.parametrize(
    ("rate", "weight"),
    [(None, 1.0), (1.0, 1.0), (1, 1.0), (0.2, 5.0), (SMALLEST, 10_000.0), (1e-9, 10_000.0), (0.0, 1.0), (-0.5, 1.0), (1.5, 1.0),
     (float("nan"), 1.0), (float("inf"), 1.0)],
)  # fmt: skip
def test_what_a_trace_weighs(rate, weight):
    assert weight_of(rate) == weight


# -- bounds --------------------------------------------------------------------------------------------------------------------------------


@given(st.integers(0, 400), st.floats(0.01, 0.99), st.sampled_from([0.2, 0.05, 0.0125, 0.001]))
@settings(deadline=None, max_examples=200)
def test_limits_of_how_many_there_were_are_exact(seen, rate, miss):
    """The largest number of which so few come often enough, the smallest of which so many do: by scipy's binomial distribution."""
    most, least = at_most(seen, rate, miss), at_least(seen, rate, miss)
    near = 1e-9  # of the two sums
    assert stats.binom.cdf(seen, most, rate) > miss * (1 - near)
    assert stats.binom.cdf(seen, most + 1, rate) <= miss * (1 + near)
    assert stats.binom.sf(seen - 1, least, rate) > miss * (1 - near)
    assert least == seen or stats.binom.sf(seen - 1, least - 1, rate) <= miss * (1 + near)
    assert seen <= least <= most


def test_limits_where_nearly_all_or_nearly_none_are_sent_and_of_very_many():
    assert at_most(0, 0.01, 0.025) == 367  # 0.99 ** 367 is the last above 0.025
    assert at_most(50, 0.999999, 0.025) == 50
    assert at_least(50, 0.999999, 0.025) == 50
    assert at_most(100_000, 0.2, 0.025) == pytest.approx(500_000, rel=0.01)
    assert at_least(100_000, 0.2, 0.025) == pytest.approx(500_000, rel=0.01)


@cache
def bounds(bad, came, rate, confidence=0.9):
    share = Share(bad + came, bad, (Drawn(rate, came),))
    return lowest(share, confidence), highest(share, confidence)


@pytest.mark.parametrize("rate", [0.5, 0.2, 0.05])
@pytest.mark.parametrize(("calls", "truth"), [(20, 0.1), (40, 0.05), (40, 0.3)])
def test_each_bound_holds_as_often_as_it_says(calls, truth, rate):
    """Over every outcome of so many calls and of what is drawn of them, by its chance: no simulation, and no luck."""
    low = high = 0.0
    for bad in range(calls + 1):
        of_bad = stats.binom.pmf(bad, calls, truth)
        if of_bad < 1e-9:
            continue
        for came, chance in enumerate(stats.binom.pmf(np.arange(calls - bad + 1), calls - bad, rate)):
            if of_bad * chance > 1e-9:
                lower, upper = bounds(bad, came, rate)
                low += of_bad * chance * (lower <= truth)
                high += of_bad * chance * (upper >= truth)
    assert low >= 0.9 - 1e-6
    assert high >= 0.9 - 1e-6


@pytest.mark.parametrize(("truth", "rates"), [(0.04, (0.2,)), (0.1, (0.5, 0.05)), (0.02, (0.01,))])
def test_bounds_hold_where_rates_change_and_some_calls_are_always_sent(truth, rates):
    """Seeded: a tenth of the calls that do not fail is sent whatever is drawn, and the rate changes within the window."""
    chance, held = random.Random(11), [0, 0]
    rounds, calls = 400, 240
    for _ in range(rounds):
        bad = kept = 0
        came = dict.fromkeys(rates, 0)
        for i in range(calls):
            rate = rates[i * len(rates) // calls]
            if chance.random() < truth:
                bad += 1
            elif chance.random() < 0.1:
                kept += 1
            else:
                came[rate] += chance.random() < rate
        share = Share(bad + kept + sum(came.values()), bad, tuple(Drawn(rate, n) for rate, n in came.items()))
        held[0] += share_holds(share, truth, lowest, 0.9)
        held[1] += share_holds(share, truth, highest, 0.9)
    assert min(held) / rounds >= 0.9


def share_holds(share, truth, bound, confidence):
    value = bound(share, confidence)
    return value <= truth if bound is lowest else value >= truth


@pytest.mark.parametrize("rate", [0.5, 0.1])
def test_the_limit_holds_where_several_uses_stand_and_fall_with_their_call(rate):
    """Seeded: calls of one to six uses, drawn whole. A limit for uses that were drawn one by one would fail."""
    chance, rounds, misses, naive, under = random.Random(5), 2_000, 0, 0, 0
    for _ in range(rounds):
        sizes = [chance.choice((1, 1, 1, 2, 6)) for _ in range(60)]
        came = sum(size for size in sizes if chance.random() < rate)
        misses += at_most(came, rate, 0.05, largest=6) < sum(sizes)
        under += at_least(came, rate, 0.05, largest=6) > sum(sizes)
        naive += at_most(came, rate, 0.05) < sum(sizes)
    assert max(misses, under) / rounds <= 0.05
    assert naive / rounds > 0.05


def test_the_estimate_is_right_on_average():
    """Seeded, ten thousand draws of a hundred calls of which seven failed: within three standard errors."""
    chance, rate = random.Random(3), 0.2
    drawn = [sum(chance.random() < rate for _ in range(93)) for _ in range(10_000)]
    found = [Share(7 + n, 7, (Drawn(rate, n),)).about for n in drawn]
    assert fmean(found) == pytest.approx(100, abs=3 * stdev(found) / 100)


def test_where_nothing_was_drawn_it_is_the_bound_of_clopper_and_pearson():
    for n, bad in [(0, 0), (1, 1), (40, 3), (40, 40)]:
        share = Share(n, bad)
        assert (lowest(share), highest(share)) == (lower_bound(bad, n), upper_bound(bad, n))
        assert interval(share) == clopper_pearson(bad, n, sides="two")
        assert (share.about, share.bad_about) == (n, bad)
    assert Share(0, 0).rate is None


def test_what_failed_and_was_drawn_all_the_same_is_bounded_too():
    """No relay of ours does that: its share is taken for what it may be."""
    plain, strange = Share(20, 4, (Drawn(0.5, 10),)), Share(20, 4, (Drawn(0.5, 10, 4),))
    assert (strange.bad_about, strange.about) == (8, 30)
    assert highest(strange) > highest(plain)
    bad, good = at_most(4, 0.5, 0.0125), 16 + at_least(6, 0.5, 0.0125) - 6  # half of what may fail, and of that half for each
    assert highest(strange) == upper_bound(bad, bad + good, 0.975)
    held = interval(strange)
    assert held.low < strange.rate < held.value
    assert (held.n, held.found, held.sides) == (20, 4, "two")


def test_two_chances_widen_what_one_would_say():
    share = Share(30, 3, (Drawn(0.2, 20),))
    wider = replace(share, drawn=(*share.drawn, Drawn(0.01, 0)))
    assert share.about == wider.about
    assert lowest(wider) < lowest(share) < lower_bound(3, 30)
    assert wider.most(0.95) == 30 + (at_most(20, 0.2, 0.025) - 20) + at_most(0, 0.01, 0.025)  # half of what may fail for each


@given(st.lists(st.floats(0, 1e6), max_size=50), st.sampled_from([0.025, 0.5, 0.95, 0.99, 1.0]))
def test_percentiles_of_weight_one_are_the_nearest_rank(values, share):
    ordered = sorted(values)
    assert weighed_percentile([(value, 1.0) for value in ordered], share) == percentile(ordered, share)


# -- the index -----------------------------------------------------------------------------------------------------------------------------


def calls_of(n, **given):
    """The runs of each of so many calls."""
    return [list(runs) for _, runs in groupby(Calls(n, **given).runs(), key=lambda run: run["trace_id"])]


def told(runs, rate):
    """The same call, whose root tells a chance."""
    made = copy.deepcopy(runs)
    made[0]["extra"]["metadata"]["sampling_rate"] = rate
    return made


def again(runs, k):
    """The same call once more, under other ids."""

    def other(identity):
        return identity and str(uuid.UUID(int=uuid.UUID(identity).int ^ k << 40))

    return [run | {name: other(run[name]) for name in ("id", "trace_id", "parent_run_id")} for run in runs]


def filled(policy, calls, path=None):
    index = CallIndex(path, policy=policy)
    for run in itertools.chain.from_iterable(calls):
        index.add(run)
    return index


@pytest.fixture(scope="module")
def both(policy):
    """Calls of which some stand for two or for four; and the same where those are there twice, and four times."""
    calls = calls_of(240)
    for runs in calls[::5]:
        runs[0]["extra"]["metadata"]["cost_unknown"] = True
    weights = [(1, 2, 4, 1)[i % 4] for i in range(len(calls))]
    sent = [told(runs, 1 / weight) for runs, weight in zip(calls, weights, strict=True)]
    whole = [again(runs, k) for runs, weight in zip(calls, weights, strict=True) for k in range(weight)]
    with closing(filled(policy, sent)) as drawn, closing(filled(policy, whole)) as every:
        yield drawn, every


WINDOWS = [MONTH, (NOW - timedelta(days=3), NOW - timedelta(days=1)), (NOW - timedelta(days=40), NOW - timedelta(days=35))]


@pytest.mark.parametrize("choice", [ALWAYS, Choice(env="prod")], ids=["all", "prod"])
@pytest.mark.parametrize("window", WINDOWS, ids=["a month", "two days", "no call"])
def test_a_call_that_stands_for_four_counts_as_four_calls_do(both, window, choice):
    drawn, every = (index.rates(*window, choice) for index in both)
    assert drawn.ended.about == pytest.approx(every.calls)
    assert drawn.ended.bad_about == pytest.approx(every.failed)
    assert (drawn.used.about, drawn.used.bad_about) == pytest.approx((every.tool_uses, every.tool_failures))
    assert drawn.ttft_p95_ms == every.ttft_p95_ms
    assert drawn.turns + drawn.turns_unsent == pytest.approx(every.turns)
    assert drawn.started + drawn.started_unsent == pytest.approx(every.started)
    assert drawn.cost_usd + drawn.cost_unsent_usd == pytest.approx(every.cost_usd, abs=1e-5)
    assert drawn.cost_unknown + drawn.unknown_unsent == pytest.approx(every.cost_unknown)
    assert (every.drawn, every.uses_drawn, every.turns_unsent) == ((), (), 0)
    if window == MONTH:
        assert drawn.calls < every.calls
        assert drawn.dropped == every.dropped == 0


@pytest.mark.parametrize("measure", ["ttft_ms", "tool_ms", "session_ms", "cost_usd"])
def test_spreads_and_trends_weigh_each_value(both, measure):
    drawn, every = both
    held, wanted = (index.histogram(measure, ALWAYS) for index in both)
    assert isinstance(held, Estimated)
    assert type(wanted) is not Estimated
    assert (held.edges, held.counts, held.p50, held.p95, held.p99) == (wanted.edges, wanted.counts, wanted.p50, wanted.p95, wanted.p99)
    assert held.max == wanted.max
    assert (held.n + held.unsent, held.total) == pytest.approx((wanted.n, wanted.total), abs=1e-5)
    for one, other in zip(drawn.trend(measure, ALWAYS, step_s=86_400), every.trend(measure, ALWAYS, step_s=86_400), strict=True):
        assert (one.at, one.p50, one.p95, one.p99) == (other.at, other.p50, other.p95, other.p99)
        assert (one.n + one.unsent, one.failed + one.failed_unsent) == pytest.approx((other.n, other.failed))
    with pytest.raises(ValueError, match="a step has at least one second"):
        drawn.trend(measure, ALWAYS, step_s=0)


def test_each_tools_uses_weigh_too(both):
    drawn, every = (index.used(ALWAYS) for index in both)
    assert list(drawn) == list(every)
    for name, uses in every.items():
        assert (drawn[name].about, drawn[name].rate) == pytest.approx((uses.n, uses.failed / uses.n))
        assert drawn[name].n < uses.n
        assert uses[2:] == (0, 0)
    assert {tool: uses[:2] for tool, uses in drawn.items()} == both[0].tools(ALWAYS)


def test_counts_stay_those_of_what_was_sent(both):
    drawn, every = both
    assert drawn.page(ALWAYS).total == 240 < every.page(ALWAYS).total
    assert drawn.rates(*MONTH, ALWAYS).started == 240
    assert sum(drawn.redactions(ALWAYS).values()) < sum(every.redactions(ALWAYS).values())


def test_roots_that_tell_one_or_nonsense_change_nothing(policy):
    calls = calls_of(30)
    wild = [1.0, 1, 0, -0.2, 7.0, "0.2", True, None, float("nan")]
    with closing(filled(policy, calls)) as plain, closing(
        filled(policy, [told(runs, wild[i % len(wild)]) for i, runs in enumerate(calls)])
    ) as wildly:  # fmt: skip
        for ask in (
            lambda index: index.rates(*MONTH, ALWAYS), lambda index: index.histogram("ttft_ms", ALWAYS), lambda index: index.used(ALWAYS),
            lambda index: index.trend("tool_ms", ALWAYS, step_s=3_600),
        ):  # fmt: skip
            assert ask(plain) == ask(wildly)


def test_a_window_into_which_none_was_drawn_knows_that_some_may_have_been(policy):
    """Roots tell that calls are drawn; the chance is that of the last one before, for as long as that is not long ago."""
    calls = calls_of(30, days=1)
    ends = [max(run["end_time"] or "" for run in runs) for runs in calls]
    failing = [i for i, runs in enumerate(calls) if runs[0]["error"]]
    assert failing
    cut = failing[0]
    sent = [told(runs, 0.25 if i < cut and i not in failing else 1.0) for i, runs in enumerate(calls) if i < cut or i in failing]
    with closing(filled(policy, sent)) as index:
        since = NOW.fromisoformat(ends[cut]) - timedelta(seconds=1)
        rates = index.rates(since, NOW, ALWAYS)
        assert rates.calls == rates.failed == len([i for i in failing if i >= cut])
        assert rates.drawn == rates.uses_drawn == (Drawn(0.25, 0),)
        assert rates.ended.about == rates.calls
        for later, drawn in ((LAST_DRAWN - timedelta(days=2), (Drawn(0.25, 0),)), (LAST_DRAWN + timedelta(days=2), ())):
            for run in told(calls_of(1, now=NOW + later)[0], 1.0):
                index.add(run)
            seen = index.rates(NOW + later - timedelta(hours=1), NOW + later, ALWAYS)
            assert (seen.calls, seen.drawn) == (1, drawn)
    silent = [runs if i >= cut else told(runs, 0.25) for i, runs in enumerate(calls) if i < cut or i in failing]
    with closing(filled(policy, silent)) as index:  # the relay samples no more
        assert index.rates(since, NOW, ALWAYS).drawn == ()


def test_the_call_says_its_chance(policy):
    runs = calls_of(1)[0]
    with closing(filled(policy, [told(runs, 0.2)])) as index:
        assert index.call(runs[0]["id"]).call.sampling_rate == 0.2
        assert index.page(ALWAYS).calls[0].sampling_rate == 0.2
    with closing(filled(policy, [runs])) as index:
        assert index.call(runs[0]["id"]).call.sampling_rate is None


def test_an_index_that_knows_of_no_weights_is_made_anew(tmp_path, policy):
    path = tmp_path / "calls.db"
    with closing(filled(policy, calls_of(2), path)) as index:
        assert index.page(ALWAYS).total == 2
    assert VERSION == 3
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA user_version = 2")
    with closing(CallIndex(path, policy=policy)) as index:
        assert index.page(ALWAYS).total == 0
    assert (tmp_path / "calls.db.aside").exists()


def test_the_percentile_of_a_window_is_the_smallest_that_leaves_no_more_than_a_twentieth_above(policy):
    """By hand: one answer of 9 s stands for itself, nineteen of 1 s for nine calls each: 9 s is one of 172, and p95 1 s."""
    calls = calls_of(40, turns=1)
    for i, runs in enumerate(calls):
        for run in runs:
            if run["name"] == "agent_turn":
                run["extra"]["metadata"]["ttft_ms"] = 9_000.0 if i == 3 else 1_000.0 + i
    sent = [told(runs, 1.0 if i == 3 else 1 / 9) for i, runs in enumerate(calls[:20])]
    with closing(filled(policy, calls[:20])) as plain, closing(filled(policy, sent)) as drawn:
        assert plain.rates(*MONTH, ALWAYS).ttft_p95_ms == 1_019.0
        assert plain.rates(*MONTH, ALWAYS).worst == drawn.rates(*MONTH, ALWAYS).worst
        ordered = sorted([9_000.0, *(1_000.0 + i for i in range(20) if i != 3 for _ in range(9))])
        assert drawn.rates(*MONTH, ALWAYS).ttft_p95_ms == ordered[ceil(0.95 * len(ordered)) - 1]
