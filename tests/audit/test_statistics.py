"""The bounds, held to published tables and to each other."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.statistics import lower_bound, sample_to_rule_out, upper_bound

ZERO_FOUND = [(10, 0.259), (30, 0.095), (59, 0.0495), (100, 0.0295), (299, 0.01), (598, 0.005), (1000, 0.003), (2995, 0.001)]
FINITE = [(50, 48), (200, 191), (500, 476), (1000, 951), (2000, 1553), (5000, 2253), (10_000, 2588), (50_000, 2907), (100_000, 2950)]


@pytest.mark.parametrize(("n", "upper"), ZERO_FOUND)
def test_nothing_found(n, upper):
    """Zero of n: the table's bound, to its last digit, and n is the smallest sample that reaches it from 59 on."""
    assert upper_bound(0, n) == pytest.approx(upper, rel=6e-3)


@pytest.mark.parametrize(("n", "found", "rate"), [(4742, 1, 0.001), (6294, 2, 0.001), (7752, 3, 0.001), (473, 1, 0.01), (124, 2, 0.05)])
def test_a_few_found(n, found, rate):
    """The table's sample sizes are the smallest that show a rate below the one asked for, a few leaks found."""
    assert upper_bound(found, n) < rate <= upper_bound(found, n - 1)


@pytest.mark.parametrize(("population", "n"), FINITE)
def test_finite_population(population, n):
    """The smallest sample that rules out a leak rate of 0.1 % or more, by the table."""
    assert sample_to_rule_out(population, 0.001) == n


@pytest.mark.parametrize(("n", "recall"), [(29, 0.90), (59, 0.95), (299, 0.99), (2995, 0.999)])
def test_no_miss_shows_recall(n, recall):
    """So many plants, none missed, are just enough for the recall; one fewer is not."""
    assert lower_bound(n, n) >= recall > lower_bound(n - 1, n - 1)


@given(st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), st.floats(0.5, 0.999))
def test_bounds_enclose_what_was_seen(counts, confidence):
    """The bounds stand on either side of the rate that was seen, and mirror each other."""
    found, n = counts
    low, high = lower_bound(found, n, confidence), upper_bound(found, n, confidence)
    assert 0 <= low <= found / n <= high <= 1
    assert low == pytest.approx(1 - upper_bound(n - found, n, confidence), abs=1e-9)


@pytest.mark.parametrize("arguments", [(-1, 5), (6, 5), (0, -1), (0, 5, 1.0), (0, 5, 0.0)])
def test_impossible_counts_are_refused(arguments):
    """An impossible count is an error, never a bound."""
    with pytest.raises(ValueError, match="need"):
        upper_bound(*arguments)


def test_nothing_looked_at_shows_nothing():
    """No sample: any rate is possible."""
    assert (lower_bound(0, 0), upper_bound(0, 0)) == (0.0, 1.0)
