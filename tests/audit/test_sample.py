"""The sample: the same whatever the order, a part of every stratum, none with findings, and an edited one is seen."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit.manifest import TraceFacts
from audit.sample import SUSPICIONS, Stratum, check, digest, draw


def trace(n, *, tools="book_appointment", outcome="ended", version="1.2.0", env="prod", findings=0):
    return TraceFacts(f"0192f000-0000-7000-8000-{n:012x}", tools, outcome, version, env, 7, findings)


def clinic(n=400):
    """Mostly bookings that end well; some errors, a few of a new version, one of a rare tool."""
    for i in range(n):
        yield trace(i, outcome="error" if i % 20 == 0 else "ended", version="1.10.0" if i % 50 == 7 else "1.9.0")
    yield trace(n, tools="find_doctor")


def of(selection, name):
    return next(stratum for stratum in selection.strata if stratum.name == name)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 300))
def test_the_order_of_reading_does_not_count(seed, n):
    """Shuffled, and with traces that come twice, the same sample is drawn."""
    traces = [*clinic(), *list(clinic())[:30]]
    Random(seed).shuffle(traces)
    assert draw(traces, n=n, seed=5, seed_by="given") == draw(clinic(), n=n, seed=5, seed_by="given")


def test_another_seed_draws_others():
    """Seeds differ in whom they draw, not in how many."""
    one, other = (draw(clinic(), n=60, seed=seed, seed_by="given") for seed in (1, 2))
    assert one.strata == other.strata
    assert len(set(one.trace_ids) & set(other.trace_ids)) < 50


def test_every_stratum_has_a_part_and_errors_a_larger_one():
    """The rare tool has its one; errors and the newest version (1.10 after 1.9) are drawn at about twice their share."""
    drawn = draw(clinic(), n=100, seed=3, seed_by="given")
    assert of(drawn, "find_doctor · ended · 1.2.0 · prod").drawn == 1
    usual = of(drawn, "book_appointment · ended · 1.9.0 · prod")
    for name in ("book_appointment · error · 1.9.0 · prod", "book_appointment · ended · 1.10.0 · prod"):
        stratum = of(drawn, name)
        assert stratum.drawn / stratum.traces == pytest.approx(2 * usual.drawn / usual.traces, rel=0.25)
    assert (drawn.population, len(drawn.trace_ids), drawn.unit) == (401, 100, "trace")
    assert check(drawn, clinic()) == ()


def test_findings_are_left_out_and_suspicions_come_first():
    """Who has findings is judged already; all that are suspected are read, before the others and in addition."""
    facts = [trace(n, findings=n % 2) for n in range(100)]
    suspected = {facts[4].trace_id, facts[5].trace_id, facts[60].trace_id}
    drawn = draw(facts, n=10, seed=1, seed_by="given", suspected=suspected.__contains__)
    assert drawn.strata[0] == Stratum(SUSPICIONS, 2, 2)
    assert set(drawn.trace_ids[:2]) == {facts[4].trace_id, facts[60].trace_id}
    assert (len(drawn.trace_ids), drawn.population, drawn.homes) == (12, 50, (0, 0, *[1] * 10))
    assert check(drawn, facts, suspected=suspected.__contains__) == ()


def test_without_a_number_the_plan_gives_it():
    """1,000 clean traces: 951, which rules out 0.1 %. None: nothing."""
    drawn = draw((trace(n) for n in range(1000)), n=None, seed=1, seed_by="given")
    assert len(drawn.trace_ids) == 951
    assert "0.1%" in drawn.rule
    nothing = draw([], n=None, seed=1, seed_by="given")
    assert (nothing.population, nothing.trace_ids, check(nothing)) == (0, (), ())


def swapped(selection):
    ids = (*selection.trace_ids[:-1], trace(999_999).trace_id)
    return replace(selection, trace_ids=ids, sha256=digest(ids))


EDITS = {
    "an id": lambda s: replace(s, trace_ids=("0" * 36, *s.trace_ids[1:])),
    "an id with its digest": swapped,
    "cut": lambda s: replace(s, trace_ids=s.trace_ids[:-1], sha256=digest(s.trace_ids[:-1])),
    "twice": lambda s: replace(s, trace_ids=(*s.trace_ids[:-1], s.trace_ids[0]), sha256=digest((*s.trace_ids[:-1], s.trace_ids[0]))),
    "order": lambda s: replace(s, trace_ids=s.trace_ids[::-1], sha256=digest(s.trace_ids[::-1])),
    "population": lambda s: replace(s, population=s.population - 1),
    "stratum": lambda s: replace(
        s, strata=(replace(s.strata[0], traces=s.strata[0].traces - 1), *s.strata[1:]), population=s.population - 1
    ),
    "drawn": lambda s: replace(s, strata=(replace(s.strata[0], drawn=s.strata[0].drawn + 1), *s.strata[1:])),
    "homes": lambda s: replace(s, homes=s.homes[::-1]),
    "seed": lambda s: replace(s, seed=s.seed + 1),
    "generator": lambda s: replace(s, generator="by hand"),
}


@pytest.mark.parametrize("edit", EDITS)
def test_an_edited_selection_is_seen(edit):
    """Whatever is changed in it, a check against the traces finds a fault."""
    drawn = draw(clinic(), n=50, seed=9, seed_by="given")
    assert check(EDITS[edit](drawn), clinic())


def test_memory_does_not_grow_with_the_traces():
    """1,000 or 40,000 traces: the peak stays within 2 MB."""
    peaks = []
    for n in (1_000, 40_000):
        tracemalloc.start()
        draw((trace(i, tools=f"tool{i % 40}") for i in range(n)), n=500, seed=1, seed_by="given")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 2_000_000
