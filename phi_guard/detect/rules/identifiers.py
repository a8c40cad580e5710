"""Numbers that are issued to a person: record, member, account, national and bank numbers, and any long run of digits."""

from __future__ import annotations

import re
from typing import Final

from phi_guard.detect.checksums import digits_of, ean13, iban, nhs, nir
from phi_guard.detect.rule import PatternRule

_LINK: Final = r"(?:[\s_]{1,2}(?:id|ids|identifier|no|num|number|nbr|nr|code|card|is|was|of|est|ist)\b){0,3}[\s_:#=.,\-(\[\"']{0,6}"
_VALUE: Final = (
    r"(?!\d[\d.,]{0,8}\s?(?:mg|mcg|g|ml|iu|units?|days?|weeks?|months?|years?|hours?|minutes?|times|patients?|mm|cm|kg|%"
    r"|x)\b)((?=[\w\-/.]{0,24}\d)[^\W_][\w\-/.]{1,40}(?<![.\-/])(?:\s\d[\d\-]{0,12}(?![\w/:.%])){0,5})"
)
_UNIT: Final = re.compile(
    r"(?:\d{1,4}(?:[.,]\d{1,3})?|\d{1,6}(?=\s?(?:iu|units?)))\s?(?:m|k|c|µ|μ)?(?:g|l|m|iu|u|mol|cal|hz|bpm|cc|kg|lb|lbs|oz|ft|in|cm|mm|mcg|ml|mg|meq|units?|days?|weeks?|h|hrs?|hours?|min|mins|yo|am|pm|th|st|nd|rd|s|x|mmhg)",
    re.IGNORECASE,
)
_DIAGNOSIS: Final = re.compile(r"[a-tv-z]\d[0-9ab](?:\.[0-9a-z]{1,4})?", re.IGNORECASE)  # an ICD-10 code, such as E11.9


def _issued(text: str) -> bool:
    """At least three digits, and neither an amount with its unit nor a diagnosis."""
    return len(digits_of(text)) >= 3 and _UNIT.fullmatch(text) is None and _DIAGNOSIS.fullmatch(text) is None


def _record(text: str) -> bool:
    return len(digits_of(text)) >= 2 and _UNIT.fullmatch(text) is None


def _mixed(text: str) -> bool:
    """Letters among four digits or more, not an amount with its unit and not a code such as ``CONF-1234``."""
    return len(digits_of(text)) >= 4 and _UNIT.fullmatch(text) is None


RULES: Final = (
    PatternRule(
        name="mrn",
        entity="MRN",
        regex=r"(?<![^\W_])(?:mrn|m\.r\.n\.?|medical[\s_]{1,2}record|(?:patient|health|hospital|clinic|chart|file|dossier|record)[\s_]{1,2}(?:id|no|num|number|nr|#)"
        rf"|chart|dossier|patienten-?nr|fallnummer|numéro de patient){_LINK}{_VALUE}",
        hits=("MRN: 00-12-44", "mrn is A44129", "medical record number 4412908", '"patient_id": "P-77120"', "patient id 77120L",
              "chart #4412", "mrn 44 12 90"),
        misses=("MRN unknown", "patient took 500 mg", "chart reviewed at 14:30", "medical record reviewed", "chart 500mg"),
        check=_record,
        group=1,
        score=0.95,
        digits=True,
    ),
    PatternRule(
        name="member_number",
        entity="HEALTH_PLAN",
        regex=r"(?<![^\W_])(?:(?:member|subscriber|beneficiary|insurance|insured|health[\s_]plan|plan|policy|group|medicare|medicaid|versicherten|police|assuré|mutuelle)"
        rf"(?:[\s_-]{{0,2}}(?:id|no|num|number|nr|nummer|policy|card|member|plan))?|hic|mbi|hpbn){_LINK}{_VALUE}",
        hits=("member id XK4412908", "insurance number 77-1209-33", "policy no. P/4412/90", "Medicare 1EG4-TE5-MK73",
              "subscriber: 8841290"),
        misses=("group of 5 patients", "plan 500 mg daily", "insurance by phone at 14:30", "policy changed", "plan: 1000mg twice"),
        check=_issued,
        group=1,
        digits=True,
    ),
    PatternRule(
        name="cued_id",
        entity="ID",
        regex=r"(?<![^\W_])(?:account|acct|a/c|id|identifier|ssn|social(?:[\s_]security)?|licen[cs]e|dl|npi|dea|passport|passeport|case|claim|ref|reference|referral"
        rf"|serial|s/n|device|vin|plate|plaque|badge|employee|invoice|booking|konto|compte|permis|ahv|avs|nhs|nino){_LINK}{_VALUE}",
        hits=("account 4412-90", "passport X4412908", "ref: AB-4412", "driver's license D441-2908", "plate VD-441290",
              "serial no SN4412908X", "vin 1HGCM82633A004352"),
        misses=("in case of 5 days", "ref E11.9", "device at 14:30", "id verified", "case 500 mg"),
        check=_issued,
        group=1,
        digits=True,
    ),
    PatternRule(
        name="masked",
        entity="ID",
        regex=r"(?<![\w*])(?:\d{1,8}[*•xX#]{3,20}\d{1,6}|[*•]{1,20}\d{3,6})(?!\w)|\b(?:ending|ends|last (?:four|4))(?: digits)?(?: "
        r"(?:in|with|are|is))?[\s:*•#]{1,4}\d{3,6}\b",
        hits=("4111********1111", "card ending in 1111", "account *441", "last four 4412"),
        misses=("2x500 mg", "ending at 14:30", "**bold**", "last 4 days"),
        digits=True,
    ),
    PatternRule(
        name="opaque_id",
        entity="ID",
        regex=r"(?<![\w.\-])(?=[a-z0-9\-]{6,40}(?![\w\-]))(?=[a-z0-9\-]{0,39}[a-z])(?![a-z]{2,6}-\d{3,8}(?![\w\-]))(?=(?:[a-z\-]{0,40}\d){4})[a-z0-9]{1,40}(?:-[a-z0-9]{1,40}){0,8}(?![\w\-])",
        hits=("XK4412908", "bring A1B2C3D4", "1HGCM82633A004352", "f47ac10b-58cc-4372-a567-0e02b2c3d479"),
        misses=("CONF-1234", "E11.9", "500mg", "1000mg", "COVID-19", "CYP2D6", "SARS-CoV-2", "2000iu", "HbA1c", "B12", "M54.16"),
        check=_mixed,
        score=0.5,
        digits=True,
    ),
    PatternRule(
        name="ssn",
        entity="US_SSN",
        regex=r"(?<![\d\-])\d{3}[\s.\-‐-―]{1,2}\d{2}[\s.\-‐-―]{1,2}\d{4}(?![\d\-])",
        hits=("987-65-4320", "987 65 4320", "987.65.4320", "987–65–4320"),
        misses=("120/80", "2026-10-03", "98.6", "10-15-20"),
        score=0.95,
        digits=True,
    ),
    PatternRule(
        name="ahv",
        entity="CH_AHV",
        regex=r"(?<!\d)756[\s.\-]?\d{4}[\s.\-]?\d{4}[\s.\-]?\d{2}(?!\d)",
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
        name="iban",
        entity="IBAN_CODE",
        regex=r"(?<!\w)[a-z]{2}\d{2}(?:\s?[a-z0-9]{4}){2,7}(?:\s?[a-z0-9]{1,4})?(?!\w)",
        hits=("CH93 0076 2011 6238 5295 7", "de89370400440532013000", "pay GB29 NWBK 6016 1331 9268 19 today",
              "FR14 2004 1010 0505 0001 3M02 606"),
        misses=("CH93 0076 2011 6238 5295 8", "at 10 this morning with food", "mg12 take with some more food"),
        check=iban,
        score=1.0,
        digits=True,
    ),
    PatternRule(
        name="long_digits",
        entity="DIGITS",
        regex=r"(?<![\d])\d(?:[ \u00a0\u2009\u202f\t.\-‐-―_()]{0,3}\d){5,}",
        hits=("4412908", "44 12 90", "44-12-90", "4 4 1 2 9 0", "(441) 290", "4111 1111 1111 1111", "٤٤١٢٩٠٨"),
        misses=("500 mg", "14:30:00", "120/80", "E11.9", "98.6", "10-15 min", "12345"),
        score=0.3,
        digits=True,
    ),
)  # fmt: skip
"""Rules for issued numbers."""
