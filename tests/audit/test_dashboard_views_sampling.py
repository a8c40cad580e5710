"""The pages of a relay that sends a share of the calls only: what is estimated says so, and what is counted is of what was sent."""

from __future__ import annotations

import copy
from contextlib import closing
from datetime import timedelta
from itertools import groupby

import pytest
from made_calls import NOW, Calls

from audit.calls.index import CallIndex, Choice
from audit.dashboard.views.cost import cost
from audit.dashboard.views.errors import errors, judge
from audit.dashboard.views.latency import latency
from audit.dashboard.views.overview import overview
from audit.dashboard.views.parts import standing

MONTH = Choice(since=NOW - timedelta(days=31), until=NOW)


def filled(policy, rate):
    """A hundred calls, one in twelve failed; those with nothing to remark tell the chance of one that was drawn, the others 1."""
    index = CallIndex(policy=policy)
    for i, (_, group) in enumerate(groupby(Calls(100).runs(), key=lambda run: run["trace_id"])):
        runs = copy.deepcopy(list(group))
        if i % 12 == 0:
            runs[0]["error"] = "RealtimeError: session_error"
        if rate is not None and runs[0]["end_time"]:
            slow = any(run["extra"]["metadata"].get("ttft_ms", 0) > 3_000 for run in runs)
            runs[0]["extra"]["metadata"]["sampling_rate"] = 1.0 if slow or any(run["error"] for run in runs) else rate
        for run in runs:
            index.add(run)
    return index


@pytest.fixture(scope="module")
def whole(policy):
    with closing(filled(policy, None)) as index:
        yield index


@pytest.fixture(scope="module")
def fifth(policy):
    with closing(filled(policy, 0.2)) as index:
        yield index


def texts(panel):
    return " ".join(panel.words)


def test_how_it_is_said():
    assert standing(63, 240.2, "call") == "63 calls sent, standing for about 303"
    assert standing(1, 0.0, "use") == "1 use sent, standing for about 1"


def test_a_share_that_is_estimated_is_judged_by_the_estimate():
    assert judge(3, 20, 0.05) == "bad"
    assert judge(3, 20, 0.05, 0.03) == "good"
    assert judge(1, 20, 0.05, 0.06) == "watch"
    assert judge(0, 0, 0.05, None) == "unknown"


def test_the_errors_page(whole, fifth):
    rates = fifth.rates(MONTH.since, NOW, MONTH)
    share = rates.ended
    plain, view = errors(whole, MONTH, NOW), errors(fifth, MONTH, NOW)
    assert (plain.rate.state, view.rate.state) == ("bad", "good")
    assert f"{share.bad} of {share.n}" in texts(plain.rate)
    assert f"{share.bad} of {share.n} calls sent, standing for about {share.about:,.0f}" in texts(view.rate)
    assert f"About {share.rate * 100:.3g} %" in texts(view.rate)
    assert "Clopper-Pearson, over limits of how many were not sent, two-sided, 95 %" in texts(view.rate)
    assert "about" not in texts(plain.rate)
    assert view.rate.table.columns == ("Begins", "#Calls sent", "#Calls, about", "#Failed, about", "#Share, about")
    assert sum(int(row[1]) for row in view.rate.table.rows) == share.n
    assert sum(int(row[2]) for row in view.rate.table.rows) == pytest.approx(share.about, abs=len(view.rate.table.rows))
    assert sum(int(row[3]) for row in view.rate.table.rows) == share.bad
    uses = rates.used
    assert f"{uses.bad} of {uses.n} uses sent, standing for about {uses.about:,.0f}" in texts(view.tools)
    assert view.tools.table.columns == ("Tool", "#Uses sent", "#Failed", "#Share, about")
    assert plain.tools.table.columns == ("Tool", "#Uses", "#Failed", "#Share")
    assert view.classes == plain.classes  # calls with an error are all sent


def test_the_latency_page(whole, fifth):
    plain, view = latency(whole, MONTH, NOW), latency(fifth, MONTH, NOW)
    held = fifth.histogram("ttft_ms", MONTH)
    assert f"{held.n:,} answered turns sent, standing for about {held.n + held.unsent:,.0f}: p50" in texts(view.answers[0])
    assert f"{held.n:,} answered turns: p50" in texts(plain.answers[0])
    assert view.answers[0].words[1] != plain.answers[0].words[1]
    assert (view.answers[0].table.columns[1], plain.answers[0].table.columns[1]) == ("#Number, about", "#Number")
    assert (view.answers[1].table.columns[1], plain.answers[1].table.columns[1]) == ("#Number sent", "#Number")
    for one, other in zip(view.by_tool, plain.by_tool, strict=True):
        assert one.title == other.title
        assert "standing for about" in texts(one)
        assert "standing for about" not in texts(other)


def test_the_cost_page(whole, fifth):
    plain, view = cost(whole, MONTH, NOW), cost(fifth, MONTH, NOW)
    rates = fifth.rates(NOW.replace(day=1, hour=0), NOW, Choice())
    assert view.month_usd == pytest.approx(rates.cost_usd + rates.cost_unsent_usd, abs=1e-4)
    assert view.month_usd > plain.month_usd
    assert (view.unsent, plain.unsent) == (pytest.approx(rates.started_unsent), 0)
    assert "sent, standing for about" in texts(view.month)
    assert "Azure's invoice" in texts(view.month)
    assert "sent, standing for about" in texts(view.per_call)
    assert (view.traces, view.quota.words, view.quota_state) == (plain.traces, plain.quota.words, plain.quota_state)
    assert view.dearest == plain.dearest


def test_the_first_page(whole, fifth):
    def tiles(index):
        view = overview(index, MONTH, NOW, cost=cost(index, MONTH, NOW))
        return {tile.name: tile for tile in view.tiles}

    plain, view = tiles(whole), tiles(fifth)
    for name in ("calls", "failed", "tools"):
        assert view[name].value == plain[name].value  # counts of what was sent
        assert view[name].trend == plain[name].trend
    share = fifth.rates(MONTH.since, NOW, MONTH).ended
    assert view["calls"].words.startswith("100 calls sent, standing for about ")
    assert view["failed"].words == f"About {share.rate * 100:.3g} % of those that ended, sent or not; limit 5 %."
    assert (plain["failed"].state, view["failed"].state) == ("bad", "good")
    assert "sent or not" in view["tools"].words
    assert "standing for about" in view["ttft-p95"].words
    assert "Estimated from the calls that were sent." in view["cost"].words
    assert "stimated" not in plain["cost"].words
    assert view["quota"] == plain["quota"]
