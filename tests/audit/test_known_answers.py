"""The self-proof: what a scanner finds, what a weak one misses, and that the plants are real and many."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from audit import known_answers, people
from audit.known_answers import prove
from audit.scan import Scanner
from phi_guard.detect import PatternDetector


def both(policy, find, made):
    return [Scanner(policy, find, PatternDetector().find, project="clinic-dev", key=made.KEY, naming=naming) for naming in (True, False)]


def rows(proof):
    return {(row.kind, row.style): row for row in proof.rows}


def test_every_plant_is_found(policy, made):
    """A scanner that knows its people finds every plant, in free text and in every structural place."""
    proof, values = prove(*both(policy, made.KnowsThePool().find, made), made.call(), seed=7, n=22)
    assert {(r.found, r.n) for r in proof.rows} == {(22, 22)}
    assert len(proof.rows) == len(people.CLASSES) * 3
    assert not proof.synthetic
    assert len(values) > 20 * len(people.CLASSES)


def test_a_weak_scanner_is_told_from_a_good_one(policy, made):
    """A detector that finds nothing has recall 0 in free text; the places that need no detector are found all the same."""
    proof, _ = prove(*both(policy, lambda _text: (), made), made.call(), seed=7, n=11)
    found = {style: sum(r.found for r in proof.rows if r.style == style) for style in known_answers.STYLES}
    assert found["written"] == found["lower-case"] == 0
    assert found["structural"] >= 11 * len(people.CLASSES) - len(people.CLASSES)
    assert proof.weakest == 0.0


def test_a_finding_about_the_carrier_does_not_count(policy, made):
    """A detector that flags the words around a plant, and never the plant, has found nothing."""

    def flags_refill(text):
        return PatternDetector().find("0795550123")[:0] if "refill" not in text else _word(text, "refill")

    proof, _ = prove(*both(policy, flags_refill, made), made.call(), seed=7, n=10)
    assert all(r.found == 0 for r in proof.rows if r.style != "structural")


def test_a_text_that_is_too_long_does_not_count(policy, made):
    """Where no plant fits what the policy lets stand, that the text is too long is no proof that the plant was seen."""
    short = {name: replace(rule, chars=4) if rule.action == "truncate" else rule for name, rule in policy.fields.items()}
    proof, _ = prove(*both(replace(policy, fields=short), lambda _text: (), made), made.call(), seed=7, n=30)
    assert all(r.found == 0 for r in proof.rows if r.style != "structural")


def _word(text, word):
    from phi_guard.model import Detection

    start = text.index(word)
    return (Detection(start, start + len(word), "OTHER", 0.5, "fake"),)


def test_the_same_seed_plants_the_same(policy, made):
    """A seed makes the same plants again, and another makes others."""
    scanners = both(policy, made.KnowsThePool().find, made)
    once, again, other = (prove(*scanners, made.call(), seed=seed, n=3) for seed in (1, 1, 2))
    assert once == again
    assert not once[1] & other[1]


def test_a_project_without_free_text(policy, made):
    """With no free-text field in the project, a made-up span is planted in, and the report is told."""
    proof, _ = prove(*both(policy, made.KnowsThePool().find, made), made.call()[:2], seed=1, n=2)
    assert proof.synthetic
    assert rows(proof)["name", "written"].found == 2


@pytest.mark.parametrize("kind", sorted(people.CLASSES))
def test_plants_fit_and_differ(policy, kind):
    """Values of a class differ, and each fits in the shortest free text of the policy, so that it is found for what it is."""
    random = Random(3)
    values = [people.CLASSES[kind](random) for _ in range(200)]
    assert len(set(values)) > 150
    assert max(map(len, values)) <= min(rule.chars for rule in policy.fields.values() if rule.action == "truncate")


def test_check_digit_of_the_ahv_number():
    """The AHV number made up here passes the check that a real one passes (EAN-13)."""
    digits = [int(c) for c in people.CLASSES["ahv"](Random(5)) if c.isdecimal()]
    assert len(digits) == 13
    assert sum(d * (3 if i % 2 else 1) for i, d in enumerate(digits)) % 10 == 0
