"""The profiles as they are assembled, and the identifier each entity counts as."""

from __future__ import annotations

import pytest

from phi_guard.detect import LAYERS, PROFILES, open_detector
from phi_guard.detect.classes import LETTERS, citation, safe_harbor
from phi_guard.detect.profiles import PLANS, layers
from phi_guard.errors import DetectorUnavailable

OTHER = {
    "AU_TFN", "CA_SIN", "CH_AHV", "DE_SOCIAL_SECURITY", "DE_TAX_ID", "DIGITS", "ENCODED", "ES_NIE", "ES_NIF", "FI_PERSONAL_IDENTITY_CODE",
    "FR_NIR", "ID", "IT_FISCAL_CODE", "PL_PESEL", "SE_PERSONNUMMER", "SPELLED", "UK_NHS", "UK_NINO", "UK_PASSPORT", "UNKNOWN_WORD",
    "UNREADABLE", "USERNAME", "US_PASSPORT", "US_PRESCRIPTION_NUMBER", "US_PRIOR_AUTHORIZATION_NUMBER", "US_PROVIDER_TAX_ID",
    "US_REFERRAL_NUMBER",
    "UUID",
}  # fmt: skip
"""Entities that are none of the first seventeen identifiers, read one by one."""


@pytest.fixture(scope="module")
def loaded():
    return layers("strict")


def entities(loaded):
    from phi_guard.detect import minilm, patterns, presidio, rampart, spoken

    found = {rule.entity for rule in (*patterns.RULES, *spoken.RULES)} | set(presidio.LABELS.values())
    found |= set(rampart.ENTITIES.values()) | set(minilm.ENTITIES.values())
    from presidio_analyzer import predefined_recognizers

    for name in presidio.RECOGNIZERS:
        found |= set(getattr(predefined_recognizers, name)(supported_language="en").supported_entities)
    return found


def test_every_entity_counts_as_one_of_the_eighteen(loaded):
    """An entity that nobody has thought about would count as `other` in silence."""
    numbers = {entity: safe_harbor(entity) for entity in entities(loaded)}
    assert {entity for entity, number in numbers.items() if number == 18} <= OTHER
    assert set(numbers.values()) == set(range(1, 19)) - {5, 17}


def test_the_citation_names_the_paragraph():
    assert len(LETTERS) == 18
    assert citation(safe_harbor("PERSON")) == "45 CFR 164.514(b)(2)(i)(A)"
    assert citation(safe_harbor("MRN")) == "45 CFR 164.514(b)(2)(i)(H)"
    assert citation(safe_harbor("no such entity")) == "45 CFR 164.514(b)(2)(i)(R)"


def test_a_profile_nobody_knows_is_refused():
    with pytest.raises(DetectorUnavailable, match="strict, balanced, scan"):
        open_detector("lax")


def test_the_layers_stand_in_their_order(loaded):
    assert tuple(loaded) == LAYERS
    assert [layer.name for layer in loaded.values()] == list(LAYERS)
    assert "vocabulary" not in PLANS["balanced"].layers


def test_scan_looks_closer_than_strict_and_strict_closer_than_balanced():
    """What a wider profile finds, a narrower one need not; never the other way round."""
    texts = (
        "Crohn follow up with Ada Byron, born 3 March 1958",
        "call me at 415-555-0134 or a dot byron at clinic dot example",
        "the zxqv patient of 12 Oak Street",
        "my name is rose and i am ninety three years old",
    )
    found = {profile: open_detector(profile).find_many(texts) for profile in PROFILES}
    for narrow, wide in (("balanced", "strict"), ("strict", "scan")):
        for text, few, many in zip(texts, found[narrow], found[wide], strict=True):
            covered = {i for d in many for i in range(d.start, d.end)}
            missing = {i for d in few for i in range(d.start, d.end) if text[i].isalnum()} - covered
            assert not missing, (narrow, wide, text)


def test_the_policys_own_words_are_harmless():
    text = "they came by zxqvline today"
    assert [text[d.start : d.end] for d in layers("strict")["vocabulary"].find(text)] == ["zxqvline"]
    assert layers("strict", ["Zxqvline"])["vocabulary"].find(text) == ()


@pytest.mark.parametrize("profile", PROFILES)
def test_many_texts_at_once_are_judged_as_each_alone(profile):
    detector = open_detector(profile)
    texts = [
        "",
        "knee pain",
        "Ada Byron called",
        "i have had a sore throat since yesterday",
        "in autumn 2004",
        "call 415-555-0134, Zoë",
        "x" * 300,
    ]
    together = detector.find_many(texts)
    assert [[(d.start, d.end) for d in each] for each in together] == [[(d.start, d.end) for d in detector.find(text)] for text in texts]
