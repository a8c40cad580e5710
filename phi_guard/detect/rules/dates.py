"""Dates in their usual forms, dates of birth, and ages over 89 (45 CFR 164.514(b)(2)(i)(C))."""

from __future__ import annotations

import re
from typing import Final

from phi_guard.detect.rule import PatternRule

_MONTH: Final = (
    "january|february|march|april|may|june|july|august|september|october|november|december"
    "|jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec"
    "|janvier|janv|février|fevrier|févr|mars|avril|mai|juin|juillet|août|aout|septembre|octobre|novembre|décembre|decembre|déc"
    "|januar|jänner|februar|märz|maerz|juni|juli|oktober|dezember|okt|dez"
)
_ORDINAL: Final = (
    "first|second|third|fourth|fifth|sixth|seventh|eighth|ninth|tenth|eleventh|twelfth|thirteenth|fourteenth|fifteenth|sixteenth"
    "|seventeenth|eighteenth|nineteenth|twentieth|twenty[\\s-](?:first|second|third|fourth|fifth|sixth|seventh|eighth|ninth)"
    "|thirtieth|thirty[\\s-]first"
)
_DAY: Final = rf"(?:the\s)?(?:[0-3]?\d(?:st|nd|rd|th|er|\.)?|{_ORDINAL})(?!\d)"
_ONES: Final = "oh|o|one|two|three|four|five|six|seven|eight|nine"
_TENS: Final = (
    "ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen|eighteen|nineteen|twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety"
)
_YEAR: Final = (
    rf"(?:(?:18|19|20)\d\d\b|['’]\d\d\b|\d\d\b(?![:/.]\d)|(?:nineteen|twenty|two thousand)(?:[\s-](?:and|{_TENS}|{_ONES}"
    rf"|hundred)){{0,4}}\b)"
)
_SEP: Final = r"[\s,.\-/‐-―]{1,3}"
_DIGIT_WORD: Final = "one|two|three|four|five|six|seven|eight|nine"
_OLD_WORDS: Final = rf"(?:ninety(?:[\s-](?:{_DIGIT_WORD}))?|(?:a|one)\shundred(?:\s(?:and\s)?(?:{_DIGIT_WORD}|ten))?)"
_OLD_NUMBER: Final = r"(?:9\d|1[01]\d)"
_AGE: Final = r"(?<![^\W_])(?:age|aged|âgée?|alter)(?:[\s_](?:in[\s_])?(?:years|yrs))?(?![^\W_])(?:\s{1,2}(?:is|of|de|was))?[\s:=\"']{0,4}"
_PERSON_IS: Final = (
    r"(?:\A\s?turn(?:s|ed)|\b(?:he|she|i|mother|father|mom|mum|dad|patient|grandmother|grandfather|grandma|grandpa|nan|nana|gran|granny"
    r"|gramps|man|lady|woman|gentleman|husband|wife|aunt|uncle|resident)(?:['’]?s|['’]m|\sis|\sam|\swas"
    r"|\sturn(?:s|ed|ing)?))(?:\s(?:now|already|about|almost|nearly|turning|over))?\s"
)
_DIED_AT: Final = r"\b(?:died|passed(?:\saway)?|lived|turn(?:s|ed|ing)?)\s(?:at|to(?:\sbe)?)\s(?:age\s)?"
_NOT_YEARS: Final = (
    r"(?![\w.,/%°-]*\d|%|\s?(?:percent|over|mg|ml|mcg|milli\w{0,9}|degrees|minutes?|days?|weeks?|months?|hours?|pounds"
    r"|lbs?|kg|beats|bpm|times|dollars)\b)"
)


def _calendar(text: str) -> bool:
    """Two of the three numbers can be a day and a month."""
    numbers = [int(part) for part in re.findall(r"\d+", text)]
    small = sorted(number for number in numbers if number <= 31)
    return len(small) >= 2 and 1 <= small[0] <= 12


RULES: Final = (
    PatternRule(
        name="date_numbers",
        entity="DATE_TIME",
        regex=r"(?<![\d.,/\-])(?:(?:18|19|20)\d\d\s?([-/._‐-―])\s?\d{1,2}\s?\1\s?\d{1,2}"
        r"|\d{1,2}\s?([-/._‐-―])\s?\d{1,2}\s?\2\s?(?:(?:18|19|20)\d\d|\d\d))(?![\d/]|[.\-]\d)"
        r"|(?<![\d.,/\-]\s)(?<![\d.,/\-])\d{1,2}\s\d{1,2}\s(?:19|20)\d\d(?!\d)",
        hits=("1958-03-03", "3.3.1958", "03.03.58", "3/14/1958", "14/3/58", "1958/03/03", "3 . 3 . 1958", "03-03-1958",
              "seen 1958-03-03T10:00", "1958_03_03", "03 14 1958", "03–03–1958"),
        misses=("120/80", "14:30", "14:30:00", "1.5 mg", "E11.9", "32/32/32", "2-3 times", "5/10 pain", "99.99.99"),
        check=_calendar,
        digits=True,
    ),
    PatternRule(
        name="date_in_part",
        entity="DATE_TIME",
        regex=r"(?<![\w.,/\-])(?:(?:0?[1-9]|1[0-2])[/.\-](?:19|20)\d\d|(?:19|20)\d\d-?w[0-5]\d(?:-?[1-7])?|(?:19|20)\d\d-(?:0[1-9]|1[0-2])"
        r"|0[1-9]/(?:[0-2]\d|3[01])|1[0-2]/(?:1[3-9]|2\d|3[01])|[1-9]/(?:1[3-9]|2[1-9]|3[01]))(?![\w/%]|[.,\-]\d|\s?(?:mg|mmhg|pain|times))"
        r"|\b(?:on|since|until|till|dated?|is|was|by|from|before|after|seen|of|le|am|vom"
        r"|adm(?:it(?:ted)?)?|d/c|discharged|dos|lmp|edd|edc|expires?|received|collected|drawn|due)[\s,:]{1,2}(?:0?[1-9]|1[0-2])/(?:0?[1-9]"
        r"|[12]\d|3[01])\b(?![/\d]|\s(?:pain|scale))",
        hits=("05/2021", "adm 3/5", "5/2021", "seen 05/21", "on 5/2", "1958-03", "2024-W07-3", "it was,6/23,"),
        misses=("5/10 pain", "vision 20/20", "120/80", "1/2 tablet", "3/4 cup", "2.5", "24/7"),
        score=0.5,
        digits=True,
    ),
    PatternRule(
        name="date_roman",
        entity="DATE_TIME",
        regex=r"(?<![\w.])[0-3]?\d([./\-]|\s)\s?(?-i:I{1,3}|I?V|VI{1,3}|I?X|XI{1,2})\1\s?(?:(?:18|19|20)\d\d|(?<![\s])\d\d)(?!\w)",
        hits=("1.IV.1961", "12 XI 1958", "3/V/58"),
        misses=("1 IV 500 mg", "2 IV 20", "C5/VI"),
        score=0.7,
        digits=True,
    ),
    PatternRule(
        name="date_words",
        entity="DATE_TIME",
        regex=rf"\b(?:{_DAY}[\s.\-/_]{{0,2}}(?:of\s|de\s|day of\s)?\s?(?:{_MONTH})(?![^\W\d_])\.?(?:{_SEP}(?:of\s|in\s|de\s)?{_YEAR})?"
        rf"|(?<![^\W_])(?:{_MONTH})\b\.?{_SEP}{_DAY}\b(?:{_SEP}{_YEAR})?"
        rf"|(?:{_MONTH})\b\.?(?:{_SEP}|\sof\s|\sde\s){_YEAR})",
        hits=(
            "March 3rd 1958", "March 3rd, 1958", "3rd of March", "3 mars 1958", "le 1er août 1958", "3. März 1958", "march the third",
            "third of march nineteen fifty eight", "Mar. 3", "July 1958", "juillet 1958", "march of nineteen fifty eight", "03-Mar-1958",
            "03MAR1958", "21-May", "third day of march",
        ),
        misses=("may take 3 tablets", "it may hurt", "second opinion", "march in place", "mars bar"),
    ),
    PatternRule(
        name="birth_date",
        entity="DATE_OF_BIRTH",
        regex=r"(?<![^\W_])(?:d\.?o\.?b\.?|date[\s_]?of[\s_]?birth|birth[\s_]?da(?:te|y)|bday|b-day|born|b\.|geboren|geb\.?"
        r"|geburtsdatum|née?"
        r"|date[\s_]de[\s_]naissance|naissance|nacid[oa]|nat[oa])(?![^\W_])"
        r"(?:\s{1,2}(?:is|was|on|in|am|le|en|the|my|her|his)\b){0,2}[\s:=\"'(_]{0,5}(\d{1,8}(?:[\s./,_‐-―-]{1,3}\d{1,4}){0,2})(?!\d)",
        hits=("DOB 3 4 58", "dob: 030458", "born in 1958", "geboren am 3.4.1958",
              "née le 3 4 1958", '"date_of_birth": "1958"', "birthday 3/14"),
        misses=("born at term", "dob unknown", "newborn 3 kg", "due date 5 pm", "born 3 weeks early"),
        group=1,
        check=lambda text: sum(char.isdecimal() for char in text) >= 3,
        score=0.95,
        digits=True,
    ),
    PatternRule(
        name="age_over_89",
        entity="AGE",
        regex=r"(?<![\d.,/])(?:9\d|1[01]\d)[\s-]{0,2}(?:years?|yrs?|y\.?/?\s?o\b|ans|jahre?|jährig\w{0,3}|años|anni|y\.o\.)(?!\w)"
        rf"|{_AGE}{_OLD_NUMBER}(?!\d|[.,/]\d|\s?%)"
        rf"|{_PERSON_IS}{_OLD_NUMBER}\b{_NOT_YEARS}"
        rf"|{_DIED_AT}{_OLD_NUMBER}\b{_NOT_YEARS}"
        r"|\bin (?:her|his|their|my) (?:(?:early|mid|late)[\s-])?90['’]?s\b"
        r"|(?:\A|\b(?:pt|patient|is an?|an?|,)\s)\s?(?:9\d|10\d|11\d)\s?(?:yo\s?)?[mf]\b(?=\s(?:with|w/|c/o|who|presents|here|pt|for"
        r"|admitted|h/o)|\s?[,.]|\s{0,3}\Z)",
        hits=("94-year-old", "92 years old", "age: 97", "aged 101", "93 y/o", "âgée de 95", "102 yo", "97F with cough", "96 ans",
              "98-jähriger", "in her 90s", "he's 94 now", "Turned 90 in May", "Age: 93. Alert", '"patient_age": 96}', "age_years=91",
              "the old lady's 95, she fell"),
        misses=("45 years old", "90 mg", "age 45", "120/80", "for 90 days", "heart rate 95", "99 percent", "temp 99F",
                "she is 90 percent better", "he's 98 over 60", "age 90.5%", "average 95", "the man's 95 percent better", "agent: 99"),
        digits=True,
    ),
    PatternRule(
        name="age_over_89_in_words",
        entity="AGE",
        regex=rf"{_AGE}{_OLD_WORDS}(?!\d|[.,/]\d|\s?%)"
        rf"|\b{_OLD_WORDS}[\s-](?:years?|something|year-old|yo)\b"
        rf"|{_PERSON_IS}{_OLD_WORDS}\b{_NOT_YEARS}"
        rf"|{_DIED_AT}{_OLD_WORDS}\b{_NOT_YEARS}"
        r"|\bin (?:her|his|their|my) (?:(?:early|mid|late)[\s-])?(?:nineties|hundreds)\b|\b(?:super)?centenarians?\b"
        r"|\bnonagenarians?\b|\bcentenaires?\b|\bnonagénaires?\b",
        hits=("ninety three years old", "aged ninety-one", "in her nineties", "a centenarian", "she is ninety three", "died at ninety one",
              "Age: ninety one. Alert", "my nan's ninety two"),
        misses=("forty five years old", "ninety milligrams", "she is ninety percent better", "a hundred times"),
    ),
)  # fmt: skip
"""Rules for dates and great ages."""
