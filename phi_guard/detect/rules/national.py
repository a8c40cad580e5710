"""Numbers that states and health systems issue, told by their form and their check digits."""

from __future__ import annotations

from typing import Final

from phi_guard.detect.checksums import dea, digits_of, ean13, kvnr, luhn, nhs, nir, npi
from phi_guard.detect.rule import PatternRule

_DASH: Final = r"[\s.\-_‐-―]"

RULES: Final = (
    PatternRule(
        name="ssn",
        entity="US_SSN",
        regex=rf"(?<![\d\-])\d{{3}}{_DASH}{{1,2}}\d{{2}}{_DASH}{{1,2}}\d{{4}}(?![\d\-])",
        hits=("987-65-4320", "987 65 4320", "987.65.4320", "987–65–4320", "ssn_987_65_4320_x"),
        misses=("120/80", "2026-10-03", "98.6", "10-15-20"),
        score=0.95,
        digits=True,
    ),
    PatternRule(
        name="ssn_cue",
        entity="US_SSN",
        regex=r"(?<![^\W_])(?:ssn|s\.s\.n\.?|ss#|social(?:[\s_]security)?)(?:[\s_](?:no|num|number|card|is"
        r"|#))*?[\s_:#=\"'.]{0,5}(\d{3}[\s.\-_]?\d{2}[\s.\-_]?\d{4})(?!\d)",
        hits=("SSN 987654320", "social security number: 987654320", '"ssn":"987654320"'),
        misses=("ssn unknown", "social 5 days"),
        group=1,
        score=0.97,
        digits=True,
    ),
    PatternRule(
        name="npi",
        entity="US_NPI",
        regex=rf"(?<!\d)[12]\d{{3}}{_DASH}?\d{{3}}{_DASH}?\d{{3}}(?!\d)",
        hits=("1234567893", "NPI 1234-567-893"),
        misses=("1234567890", "120/80"),
        check=npi,
        score=0.8,
        digits=True,
    ),
    PatternRule(
        name="dea",
        entity="US_DEA",
        regex=r"(?<![^\W_])[a-hj-mprstux][a-z9]\d{7}(?!\w)",
        hits=("AB1234563", "DEA no. fb1234563"),
        misses=("AB1234567", "E11.9"),
        check=lambda text: dea(text[-7:]),
        score=0.9,
        digits=True,
    ),
    PatternRule(
        name="mbi",
        entity="US_MBI",
        regex=r"(?<![^\W_])[1-9][ac-hj-kmnp-rt-y][ac-hj-kmnp-rt-y\d]\d[\s-]?[ac-hj-kmnp-rt-y][ac-hj-kmnp-rt-y\d]\d[\s-]?[ac-hj-kmnp-rt-y]{2}\d{2}(?![^\W_])",
        hits=("1EG4-TE5-MK73", "1eg4te5mk73"),
        misses=("1SG4-TE5-MK73", "1E4"),
        score=0.9,
        digits=True,
    ),
    PatternRule(
        name="ahv",
        entity="CH_AHV",
        regex=r"(?<!\d)756[\s.\-_]?\d{4}[\s.\-_]?\d{4}[\s.\-_]?\d{2}(?!\d)",
        hits=("756.1234.5678.97", "7561234567897", "756 1234 5678 97"),
        misses=("756.1234.5678.98", "756 mg", "756.12"),
        check=ean13,
        score=1.0,
        digits=True,
    ),
    PatternRule(
        name="nir",
        entity="FR_NIR",
        regex=r"(?<!\d)[1-478]\s?\d{2}\s?(?:0[1-9]|[1-9]\d)\s?(?:\d{2}|2[ab])\s?\d{3}\s?\d{3}(?:\s?\d{2})?(?!\d)",
        hits=("1 58 03 75 123 456 06", "2580375123456", "1 58 03 2A 123 456 63"),
        misses=("1 58 03 75 123 456 99", "1 tablet", "120/80"),
        check=nir,
        score=0.98,
        digits=True,
    ),
    PatternRule(
        name="nhs",
        entity="UK_NHS",
        regex=r"(?<!\d)\d{3}[\s\-]?\d{3}[\s\-]?\d{4}(?!\d)",
        hits=("999 000 1235", "9990001235"),
        misses=("999 000 1234", "120/80", "500 mg"),
        check=nhs,
        score=0.85,
        digits=True,
    ),
    PatternRule(
        name="nino",
        entity="UK_NINO",
        regex=r"(?<![^\W_])[a-ceghj-prstw-z][a-ceghj-npr-tw-z][\s-]?\d{2}[\s-]?\d{2}[\s-]?\d{2}[\s-]?[a-d]?(?![^\W_])",
        hits=("AB123456C", "ab 12 34 56 c"),
        misses=("mg 12 34", "at 14 30"),
        score=0.8,
        digits=True,
    ),
    PatternRule(
        name="sin",
        entity="CA_SIN",
        regex=r"(?<!\d)\d{3}[\s-]\d{3}[\s-]\d{3}(?!\d)",
        hits=("130 692 544", "130-692-544"),
        misses=("130 692 545", "120/80"),
        check=luhn,
        score=0.85,
        digits=True,
    ),
    PatternRule(
        name="kvnr",
        entity="DE_KVNR",
        regex=r"(?<![^\W_])[a-z]\s?\d{3}\s?\d{3}\s?\d{3}(?![^\W_])",
        hits=("A123456780", "a 123 456 780"),
        misses=("A123456781", "E11.9"),
        check=kvnr,
        score=0.95,
        digits=True,
    ),
    PatternRule(
        name="form_of_an_id",
        entity="ID",
        regex=r"(?<![^\W_])(?:\d{7,8}[\s-]?[a-z]|[xyz][\s-]?\d{7}[\s-]?[a-z]|[a-z]{6}\d{2}[a-z]\d{2}[a-z]\d{3}[a-z]"
        r"|\d{6}[-+a]\d{3}[\da-y]|\d{6,8}[-+]\d{4}"
        r"|[a-z]{2}\d{7}|[a-z]\d{8}|\d{2}-\d{7}|[a-z9]{5}\d{6}[a-z9]{2}[a-z\d][a-z]{2})(?![^\W_]|-)",
        hits=("12345678Z", "X1234567L", "RSSMRA85M01H501Q", "131052-308T", "19850101-1234", "12-3456789", "X12345678"),
        misses=("120/80", "500 mg", "1234 mg", "E11.9"),
        check=lambda text: len(digits_of(text)) >= 6,
        score=0.5,
        digits=True,
    ),
)  # fmt: skip
"""Rules for national numbers."""
