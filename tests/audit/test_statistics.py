"""The bounds, held to published tables and to each other."""

from __future__ import annotations

from itertools import pairwise, product
from math import comb

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from audit.finite import Looked, estimated_rate, hypergeometric, largest_count, sample_size, stratified
from audit.plan import ISO_2859, allocate, plan
from audit.repeated import cumulative
from audit.statistics import adjusted, adjusted_by_plants, clopper_pearson, lower_bound, sample_to_rule_out, upper_bound

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


@pytest.mark.parametrize(("found", "n"), [(1, 10), (5, 10), (6, 10), (388, 9_999), (9_611, 9_999), (40, 100_000)])
@pytest.mark.parametrize("confidence", [0.95, 0.999])
def test_the_lower_bound_is_scipys(found, n, confidence):
    """Whichever tail is summed, it is the quantile of the beta distribution (Clopper and Pearson 1934)."""
    assert lower_bound(found, n, confidence) == pytest.approx(stats.beta.ppf(1 - confidence, found, n - found + 1), rel=1e-6)


@pytest.mark.parametrize("arguments", [(-1, 5), (6, 5), (0, -1), (0, 5, 1.0), (0, 5, 0.0)])
def test_impossible_counts_are_refused(arguments):
    """An impossible count is an error, never a bound."""
    with pytest.raises(ValueError, match="need"):
        upper_bound(*arguments)


def test_nothing_looked_at_shows_nothing():
    """No sample: any rate is possible."""
    assert (lower_bound(0, 0), upper_bound(0, 0)) == (0.0, 1.0)


COUNTS = st.integers(1, 300).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
CONFIDENCES = st.sampled_from((0.8, 0.9, 0.95, 0.975, 0.99))


@pytest.mark.parametrize(
    ("n", "printed"),
    [(10, "25.9"), (30, "9.5"), (59, "4.95"), (100, "2.95"), (299, "1.0"), (598, "0.50"), (1000, "0.30"), (2995, "0.100")],
)
def test_the_table_to_its_printed_digits(n, printed):
    """Zero of n, in percent, rounded as the table prints it."""
    assert f"{100 * upper_bound(0, n):.{len(printed.partition('.')[2])}f}" == printed


def test_two_sided_is_another_figure():
    """Zero of 2,995: 0.100 % one-sided, 0.123 % two-sided; the label says which."""
    one, two = clopper_pearson(0, 2995), clopper_pearson(0, 2995, sides="two")
    assert (one.sides, f"{one.value:.3%}", two.sides, f"{two.value:.3%}") == ("one", "0.100%", "two", "0.123%")


@settings(max_examples=150, deadline=None)
@given(COUNTS, CONFIDENCES)
def test_clopper_pearson_is_scipy_s(counts, confidence):
    """One- and two-sided bounds are the quantiles of the beta distribution."""
    found, n = counts
    assert upper_bound(found, n, confidence) == pytest.approx(
        1 if found == n else stats.beta.ppf(confidence, found + 1, n - found), abs=1e-9
    )
    both = stats.binomtest(found, n).proportion_ci(confidence, method="exact")
    ours = clopper_pearson(found, n, confidence, sides="two")
    assert (ours.low, ours.value) == pytest.approx((both.low, both.high), abs=1e-9)


@settings(max_examples=150, deadline=None)
@given(st.integers(1, 120).flatmap(lambda size: st.tuples(st.just(size), st.integers(1, size))), st.data(), CONFIDENCES)
def test_the_hypergeometric_bound_is_scipy_s(sizes, data, confidence):
    """The largest number of leaks whose tail is not below alpha, as SciPy's tail says for every number of leaks."""
    population, n = sizes
    found = data.draw(st.integers(0, min(n, 5)))
    kept = [m for m in range(found, population + 1) if stats.hypergeom.cdf(found, population, m, n) >= 1 - confidence - 1e-12]
    assert largest_count(found, n, population, confidence) == max(kept)


@pytest.mark.parametrize(("found", "n", "population"), [(0, 5_000, 20_000), (7, 30_000, 80_000), (40, 9_000, 10_000)])
def test_large_populations_agree_with_scipy(found, n, population):
    """Where the sum is one of logarithms it has the same edge."""
    most = largest_count(found, n, population)
    assert stats.hypergeom.cdf(found, population, most, n) >= 0.05 - 1e-8
    assert stats.hypergeom.cdf(found, population, most + 1, n) < 0.05


@pytest.mark.parametrize("recall", [1.0, 0.9, 0.6])
@pytest.mark.parametrize(("population", "n"), [(12, 5), (20, 13), (25, 25)])
def test_the_finite_bound_covers(population, n, recall):
    """By enumeration of everything that can be seen: whatever truly leaks, the bound is below it with at most alpha."""
    for leaking, confidence in product(range(population + 1), (0.8, 0.95)):
        fails = 0.0
        for drawn in range(max(0, n + leaking - population), min(n, leaking) + 1):
            chance = comb(leaking, drawn) * comb(population - leaking, n - drawn) / comb(population, n)
            for seen in range(drawn + 1):
                if largest_count(seen, n, population, confidence, recall=recall) < leaking:
                    fails += chance * stats.binom.pmf(seen, drawn, recall)
        assert fails <= 1 - confidence + 1e-9


def test_ten_of_fifty():
    """Ten of fifty read and nothing found: eleven may leak, which is 22 %."""
    bound = hypergeometric(0, 10, 50)
    assert (bound.value, bound.note, bound.population) == (0.22, "at most 11 of 50", 50)


@pytest.mark.parametrize(("rate", "sizes"), [(0.001, (2995, 4742, 6294, 7752)), (0.01, (299, 473, 628)), (0.05, (59, 93, 124))])
def test_sample_sizes_for_a_few_leaks(rate, sizes):
    """The table's numbers for none, one, two and three leaks seen."""
    assert tuple(sample_size(rate, allow=k) for k in range(len(sizes))) == sizes


@pytest.mark.parametrize(("recall", "n"), [(0.9, 3328), (0.8, 3744), (0.5, 5990)])
def test_sample_sizes_for_a_recall(recall, n):
    """The table's numbers for readers who miss some."""
    assert sample_size(0.001, recall=recall) == n
    assert adjusted(0, n, recall).value < 0.001 <= adjusted(0, n - 1, recall).value


def test_sample_sizes_at_99_and_finite():
    """99 %: 4,603. A counted population asks for the table's numbers, and for more where readers miss some."""
    assert sample_size(0.001, 0.99) == 4603
    assert [sample_size(0.001, population=population) for population, _ in FINITE] == [n for _, n in FINITE]
    assert sample_size(0.001, population=5000, recall=0.95) > 2253
    assert sample_size(0.001, population=50, recall=0.9) is None


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 3000), st.integers(0, 3), st.floats(0.5, 1.0), st.floats(0.002, 0.2))
def test_a_sample_size_is_the_smallest(population, allow, recall, rate):
    """One fewer does not rule the rate out; the number does."""
    n = sample_size(rate, population=population, allow=allow, recall=recall)
    if n is None:
        assert largest_count(min(allow, population), population, population, recall=recall) / population >= rate
        return
    assert largest_count(min(allow, n), n, population, recall=recall) / population < rate
    if n - 1 > allow:
        assert largest_count(allow, n - 1, population, recall=recall) / population >= rate


@given(st.integers(5, 200), st.integers(0, 4), CONFIDENCES)
def test_bounds_are_monotone(n, found, confidence):
    """More read lowers a bound; more found and more confidence raise it."""
    assert upper_bound(found, n + 1, confidence) < upper_bound(found, n, confidence) < upper_bound(found + 1, n, confidence)
    assert upper_bound(found, n, 0.7) < upper_bound(found, n, confidence)
    assert (
        largest_count(found, n + 1, 300, confidence)
        <= largest_count(found, n, 300, confidence)
        < largest_count(found + 1, n, 300, confidence)
    )


def test_recall_that_is_itself_a_bound():
    """Half of what may fail goes to each part: the quotient is wider than with the recall taken for certain."""
    bound = adjusted_by_plants(0, 2995, 299, 299)
    assert bound.value == pytest.approx(stats.beta.ppf(0.975, 1, 2995) / stats.beta.ppf(0.025, 299, 1))
    assert bound.value > adjusted(0, 2995, lower_bound(299, 299)).value
    assert "Bonferroni" in bound.note
    assert adjusted_by_plants(0, 100, 0, 0).value == 1.0


def test_strata_worst_case_is_the_worst():
    """Nothing found: no way of spreading leaks over the strata that alpha allows has more of them."""
    strata = [Looked("a", 12, 6, 0), Looked("b", 8, 2, 0), Looked("c", 5, 5, 0)]
    worst = 0
    for spread in product(*(range(each.population + 1) for each in strata)):
        chance = 1.0
        for each, leaking in zip(strata, spread, strict=True):
            chance *= stats.hypergeom.pmf(0, each.population, leaking, each.n)
        worst = max(worst, sum(spread)) if chance >= 0.05 else worst
    assert stratified(strata).value == worst / 25


@pytest.mark.parametrize("recall", [1.0, 0.8])
def test_the_stratified_bound_covers(recall):
    """By enumeration over two small strata, for every way of leaking: the bound is below the truth with at most alpha."""
    sizes = ((9, 4), (6, 2))
    bounds = {
        seen: stratified(
            [Looked(str(i), population, n, k) for i, ((population, n), k) in enumerate(zip(sizes, seen, strict=True))], recall=recall
        ).value
        for seen in product(*(range(n + 1) for _, n in sizes))
    }
    for truth in product(*(range(population + 1) for population, _ in sizes)):
        fails = 0.0
        for seen, bound in bounds.items():
            chance = 1.0
            for (population, n), leaking, k in zip(sizes, truth, seen, strict=True):
                drawn = range(k, min(n, leaking) + 1)
                chance *= sum(stats.hypergeom.pmf(d, population, leaking, n) * stats.binom.pmf(k, d, recall) for d in drawn)
            fails += chance * (bound * 15 < sum(truth) - 1e-9)
        assert fails <= 0.05 + 1e-9


def test_the_estimate_weighs_by_stratum():
    """One leak in a stratum drawn one in ten stands for ten (Horvitz-Thompson)."""
    assert estimated_rate([Looked("a", 100, 10, 1), Looked("b", 100, 50, 0)]) == pytest.approx(10 / 200)
    assert stratified([]).value == 1.0


@pytest.mark.parametrize("rate", [0.002, 0.02])
def test_the_cumulative_bound_holds_on_every_day(rate):
    """400 histories of 60 days: the share in which it ever fails is below alpha; a fresh 95 % bound a day fails far oftener."""
    random = stats.binom(50, rate).rvs(size=(400, 60), random_state=20261120)
    ours, fresh = 0, 0
    days = (1, 2, 3, 5, 8, 12, 20, 30, 45, 60)
    memo: dict[tuple[int, int], tuple[float, float]] = {}
    for history in random.tolist():
        seen = [(sum(history[:day]), 50 * day) for day in days]
        for each in seen:
            if each not in memo:
                memo[each] = cumulative([each]).value, upper_bound(*each)
        ours += any(memo[each][0] < rate for each in seen)
        fresh += any(memo[each][1] < rate for each in seen)
    assert ours / 400 <= 0.05
    assert fresh / 400 > 0.05


def test_the_cumulative_bound_adds_days_up():
    """Seven clean days are one sample, and cost a quarter more than a look that is taken once; the best day is not picked."""
    week = cumulative([(0, 428)] * 7)
    assert upper_bound(0, 2996) < week.value < 1.25 * upper_bound(0, 2996) < cumulative([(0, 428)]).value
    assert (week.n, week.found, week.note[:7]) == (2996, 0, "7 looks")
    assert cumulative([]).value == 1.0
    assert cumulative([(0, 100), (2, 100)]).value > cumulative([(0, 200)]).value


@pytest.mark.parametrize(("name", "n"), sorted(ISO_2859.items()))
def test_iso_plans_say_what_they_leave(name, n):
    """A plan by name reads its number, and prints the bound, not the AQL: 2.4 % for an AQL of 0.10 %."""
    made = plan(named=name)
    assert (made.n, made.bound.value) == (n, upper_bound(0, n))
    if name.endswith("0.10"):
        assert f"{made.bound.value:.1%}" == "2.4%"


def test_a_plan_for_strata_shows_the_rate_wherever_leaks_hide():
    """The strata's sample is no smaller than without strata, each stratum has its own bound, and the whole shows the rate."""
    made = plan(0.01, strata={"bookings": 900, "errors": 60, "rare": 3})
    assert made.n >= plan(0.01, population=963).n
    assert made.bound.value < 0.01
    assert sum(part.n for part in made.parts) == made.n
    assert all(part.n >= 1 and part.bound.population == part.population for part in made.parts)


@given(st.lists(st.integers(0, 60), min_size=1, max_size=8), st.integers(0, 200))
def test_allocation_adds_up(sizes, n):
    """At least one each, never more than there are, and as many as were asked for."""
    drawn = allocate(sizes, n)
    assert all(min(1, size) <= k <= size for size, k in zip(sizes, drawn, strict=True))
    assert sum(drawn) == min(sum(sizes), max(n, sum(size > 0 for size in sizes)))


def test_allocation_is_in_proportion():
    """Twice the size, twice the number; a weight of two doubles a share."""
    assert allocate([1000, 500, 500], 100) == [50, 25, 25]
    even, weighted = allocate([500, 500], 90), allocate([500, 500], 90, [2.0, 1.0])
    assert even == [45, 45]
    assert weighted[0] == pytest.approx(60, abs=1)


def test_sizes_never_fall_with_the_demands():
    """A smaller rate or more leaks allowed never ask for fewer."""
    assert all(a < b for a, b in pairwise(sample_size(rate) for rate in (0.1, 0.05, 0.01, 0.001)))
    assert all(a < b for a, b in pairwise(sample_size(0.01, allow=k) for k in range(6)))
