"""The self-proof: what a scanner finds, what a weak one misses, that plants are real and many, and that the bound holds."""

from __future__ import annotations

import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import groupby
from random import Random

import pytest

from audit import people, planting
from audit.known_answers import STYLES, prove
from audit.scan import Scanner
from audit.two_stage import EXTENSION, goes_on, misses_allowed, recall_at_least
from phi_guard.detect import PatternDetector
from phi_guard.model import Detection

WORDS = {
    word for sets in (planting._OF_PERSONS, planting._OF_THINGS) for texts in sets.values() for t in texts for word in t.lower().split()
}
ROWS = sum(len(kind.styles) for kind in people.KINDS.values())


def sees_strangers(text):
    """Finds every row of words that are none of the carriers' own: a list of what is allowed, as a strict detector has one."""
    rows = groupby(re.finditer(r"\S+", text), lambda word: word.group().lower() in WORDS)
    strangers = [list(words) for known, words in rows if not known]
    return tuple(Detection(words[0].start(), words[-1].end(), "OTHER", 0.9, "fake") for words in strangers)


def sees_nothing(_text):
    return ()


def both(policy, find, made):
    return [Scanner(policy, find, PatternDetector().find, project="clinic-dev", key=made.KEY, naming=naming) for naming in (True, False)]


def found(proof):
    counts = Counter()
    for row in proof.rows:
        counts[row.style] += row.found
    return counts


def test_every_plant_is_found(policy, made):
    """A scanner that sees what is no carrier finds every plant of every class and style, and the values are many."""
    proof, values = prove(*both(policy, sees_strangers, made), made.call(), seed=7, n=22)
    assert [(r.kind, r.style, r.n) for r in proof.rows if r.found != r.n] == []
    assert len(proof.rows) == ROWS
    assert {row.style for row in proof.rows} == set(STYLES)
    assert "".join(sorted({row.letter for row in proof.rows})) == "ABCDEFGHIJKLMNOPQR"
    assert not proof.synthetic
    assert sum(proof.languages.values()) == 22 * ROWS
    assert min(proof.languages.values()) > 22 * ROWS / 5
    assert len(values) > 11 * ROWS


def test_a_blind_scanner_is_told_from_a_good_one(policy, made):
    """Without detectors nothing is found in free text but recordings, by their form; structural places need no detector."""
    proof, _ = prove(*both(policy, sees_nothing, made), made.call(), seed=7, n=11)
    text = [row for row in proof.rows if row.style in {"written", "lower-case", "spoken"} and row.kind not in {"voice", "photo"}]
    assert {row.found for row in text} == {0}
    assert all(row.found == row.n for row in proof.rows if row.style == "structural")
    assert proof.weakest == 0.0


def test_a_broken_layer_shows_in_its_rows(policy, made):
    """A scanner that lost all but its patterns still finds e-mail addresses, and not what people say."""
    proof, _ = prove(*both(policy, PatternDetector().find, made), made.call(), seed=7, n=22)
    rows = {(row.kind, row.style): row for row in proof.rows}
    assert rows["email", "written"].found == 22
    assert rows["phone", "spoken"].found == rows["name", "spoken"].n - 22 == 0
    assert rows["name", "lower-case"].found < 11


def test_a_suspicion_does_not_count(policy, made):
    """What would not fail a scan is not found: findings of low severity are no answer."""

    class Suspects(Scanner):
        def scan_many(self, runs):
            return [tuple(replace(f, severity="low") for f in found) for found in super().scan_many(runs)]

    scanner = Suspects(policy, sees_strangers, PatternDetector().find, project="clinic-dev", key=made.KEY)
    proof, _ = prove(scanner, scanner, made.call(), seed=7, n=3)
    assert sum(found(proof).values()) == 0


def test_a_finding_about_the_carrier_does_not_count(policy, made):
    """A detector that flags the words around a plant, and never the plant, has found nothing."""

    def sees_carriers(text):
        return tuple(
            Detection(m.start(), m.end(), "OTHER", 0.9, "fake") for m in re.finditer(r"\S+", text) if m.group().lower() in WORDS - {"{}"}
        )

    proof, _ = prove(*both(policy, sees_carriers, made), made.call(), seed=7, n=10)
    plain = [row for row in proof.rows if row.style == "written" and row.kind in {"name", "date", "phone", "email", "ssn", "mrn", "ahv"}]
    assert [row.found for row in plain] == [0] * 7


def test_a_text_that_is_too_long_does_not_count(policy, made):
    """Where no plant fits what the policy lets stand, that the text is too long is no proof that the plant was seen."""
    short = {
        name: replace(rule, action="truncate", chars=4) if rule.action in {"truncate", "scan"} else rule
        for name, rule in policy.fields.items()
    }
    proof, _ = prove(*both(replace(policy, fields=short), sees_nothing, made), made.call(), seed=7, n=30)
    assert {row.found for row in proof.rows if row.style in {"written", "spoken"} and row.kind not in {"voice", "photo"}} == {0}


def test_the_same_seed_plants_the_same(policy, made):
    """A seed makes the same plants again, in one thread or two; another seed makes others."""
    scanners, spare = both(policy, sees_strangers, made), both(policy, sees_strangers, made)
    once, again, other = (prove(*scanners, made.call(), seed=seed, n=3) for seed in (1, 1, 2))
    with ThreadPoolExecutor(2) as executor:
        threaded = prove(*scanners, made.call(), seed=1, n=3, executor=executor, spare=[spare])
    assert once == again == threaded
    assert len(once[1] & other[1]) < len(once[1]) / 20  # towns and networks for documentation are few


def test_a_project_without_free_text(policy, made):
    """With no free-text field in the project, made-up spans are planted in, and the report is told."""
    proof, _ = prove(*both(policy, sees_strangers, made), made.call()[:2], seed=1, n=2)
    assert proof.synthetic
    assert {row.found for row in proof.rows if row.style == "written"} == {2}


def test_what_is_missed_is_told(policy, made):
    """Every miss is handed over, so that a person can look at it."""
    missed = []
    proof, _ = prove(*both(policy, sees_nothing, made), made.call(), seed=1, n=2, missed=missed.append)
    assert len(missed) == sum(row.n - row.found for row in proof.rows) > 0


# -- the two stages -----------------------------------------------------------------------------------------------------------------------


class Forgets:
    """A scanner of names that forgets a share of them by chance, as a real one does."""

    def __init__(self, share, seed):
        self._random, self._share = Random(seed), share

    def __call__(self, text):
        return () if self._random.random() < self._share else sees_strangers(text)


def test_a_row_with_few_misses_goes_on_once(policy, made, monkeypatch):
    """One miss of 59 is followed by 236 more plants, none by none, and the bar is still shown."""
    monkeypatch.setattr("audit.known_answers.people.KINDS", {"name": replace(people.KINDS["name"], lacks=dict.fromkeys(STYLES[1:], ""))})
    rows = [prove(*both(policy, Forgets(0.01, seed), made), made.call(), seed=seed, n=59)[0].rows[0] for seed in range(8)]
    assert {row.n for row in rows} == {59, 295}
    assert all(row.found == 59 for row in rows if row.n == 59)
    gone_on = [row for row in rows if row.n == 295]
    assert all((row.at_least >= 0.95) == (row.n - row.found <= 4) for row in gone_on)
    blind = prove(*both(policy, sees_nothing, made), made.call(), seed=1, n=59)[0].rows[0]
    assert (blind.n, blind.found, blind.at_least) == (59, 0, 0.0)  # no second chance


def test_the_design_for_59():
    """59 plants and at most 295: four misses show 95 %, five do not, and a first stage with five ends there."""
    assert misses_allowed(59) == 4
    assert [goes_on(59, missed) for missed in range(7)] == [False, True, True, True, True, False, False]
    assert recall_at_least(59, 59, 0) == pytest.approx(0.05 ** (1 / 59))
    assert recall_at_least(59, 295, 4) > 0.95 > recall_at_least(59, 295, 5)
    assert misses_allowed(22) == 0  # too few to show 95 % at all
    for outcome in ((59, 60, 0), (59, 295, 0), (59, 59, 60), (59, 59, -1), (22, 110, 1)):
        with pytest.raises(ValueError, match="no outcome"):
            recall_at_least(*outcome)


@pytest.mark.parametrize("recall", [0.90, 0.94, 0.95, 0.97, 0.99])
def test_the_bound_is_above_the_truth_at_most_once_in_twenty(recall):
    """Simulated, with the rule as it is carried out: the level holds at any recall, as it would not if one only tried again."""
    random, n, trials = Random(11), 59, 8_000
    wrong = 0
    for _ in range(trials):
        planted, missed = n, sum(random.random() > recall for _ in range(n))
        if goes_on(n, missed):
            planted = EXTENSION * n
            missed += sum(random.random() > recall for _ in range(planted - n))
        wrong += recall_at_least(n, planted, missed) > recall
    assert wrong / trials < 0.05 + 3 * (0.05 * 0.95 / trials) ** 0.5


def test_naive_repetition_would_not_hold():
    """The simulation can tell: Clopper and Pearson's bound on the best of two tries is wrong too often at 95 %."""
    random, n, trials = Random(12), 59, 8_000
    wrong = 0
    for _ in range(trials):
        tries = [sum(random.random() > 0.95 for _ in range(n)) for _ in range(2)]
        wrong += recall_at_least(n, n, min(tries)) > 0.95
    assert wrong / trials > 0.05 + 3 * (0.05 * 0.95 / trials) ** 0.5


def test_the_bound_falls_with_every_miss():
    """More misses never show more."""
    first = [recall_at_least(59, 59, missed) for missed in (0, *range(5, 60))]
    second = [recall_at_least(59, 295, missed) for missed in range(1, 30)]
    assert first == sorted(first, reverse=True)
    assert second == sorted(second, reverse=True)
    assert first[0] >= second[0]
