"""What a caller dictates and a recogniser writes down: spoken digits, spelled letters, spoken e-mail addresses."""

from __future__ import annotations

import re
from typing import Final

from phi_guard.detect.rule import PatternRule

_DIGIT: Final = (
    "zero|oh|o|one|two|three|four|five|six|seven|eight|nine|nought"
    "|zéro|un|deux|trois|quatre|cinq|sept|huit|neuf|null|eins|zwei|zwo|drei|vier|fünf|sechs|sieben|acht|neun"
)
_BIG: Final = (
    "ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen|eighteen|nineteen|twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety|hundred|thousand"
    "|dix|onze|douze|treize|quatorze|quinze|seize|vingt|trente|quarante|cinquante|soixante|septante|huitante|nonante"
)
_NUMBER: Final = rf"(?:(?:double|triple)\s{{1,3}})?(?:{_DIGIT}|{_BIG}|\d{{1,4}})\b"
_PAUSE: Final = r"[\s,.\-]{1,4}(?:(?:uh|um|er|like|so|and|dash|hyphen|then|et|you know|i mean)\b[\s,.\-]{1,4}){0,2}"
_LETTERS_THAT_ARE_TERMS: Final = frozenset(
    {
        "bid", "tid", "qid", "prn", "qhs", "iv", "abc", "usa", "mri", "ecg", "ekg", "dob", "ssn", "mrn", "er", "copd", "adhd",
        "hiv", "uti", "amp", "ama",
    }
)  # fmt: skip


def _spoken(text: str) -> bool:
    """Three number words at least among the four or more: a list of plain figures is not dictation."""
    return len(re.findall(r"[^\W\d_]{2,}|\bo\b", text)) >= 3


RULES: Final = (
    PatternRule(
        name="spoken_digits",
        entity="DIGITS",
        regex=rf"\b{_NUMBER}(?:{_PAUSE}{_NUMBER}){{3,60}}",
        hits=(
            "four one five five five five", "it's double oh seven, um, three two", "nine eight seven six", "zéro un deux trois quatre",
            "null sieben neun fünf",
        ),
        misses=("one or two tablets", "two to three times", "one hundred and twenty over eighty", "10 20 30 40", "twenty five"),
        check=_spoken,
        score=0.6,
    ),
    PatternRule(
        name="spelled",
        entity="SPELLED",
        regex=r"(?<![\w.'’])[^\W\d_](?:[\s\-.,]{1,3}[^\W\d_](?![\w'’])){2,40}",
        hits=("b y r o n", "B-Y-R-O-N", "it is a, d, a"),
        misses=("b.i.d. for 3 days", "p r n", "I a sick", "vitamin D", "e.g."),
        check=lambda text: "".join(char for char in text.lower() if char.isalpha()) not in _LETTERS_THAT_ARE_TERMS,
        score=0.6,
    ),
    PatternRule(
        name="spelled_as_in",
        entity="SPELLED",
        regex=r"\b[a-z]\s(?:as in|for|like)\s[a-z]{2,15}(?:[\s,]{1,3}(?:and\s|then\s)?[a-z]\s(?:as in|for|like)\s[a-z]{2,15}){1,30}",
        hits=("b as in boy, y as in yellow",),
        misses=("vitamin d for bones", "i like tea"),
        score=0.6,
    ),
    PatternRule(
        name="spoken_email",
        entity="EMAIL_ADDRESS",
        regex=r"\b[\w.\-]{1,40}(?:\s(?:dot|point|underscore|dash|hyphen|punkt)\s[\w\-]{1,40}|\s\w){0,12}\s(?:at|@|arobase|at sign)\s"
        r"(?:[\w.\-]{1,40}\s){1,4}(?:dot|point|punkt)\s"
        r"[a-z]{2,12}\b(?:\s(?:dot|point|punkt)\s[a-z]{2,3}\b)?"
        r"|[\w.+\-]{1,64}\s?@\s?[\w\-]{1,60}(?:\s?\.\s?[a-z]{2,12}){1,3}\b",
        hits=("ada dot byron at mail dot example", "a d a at gmail dot com", "ada@ mail . example", "ada at clinic dot co dot uk"),
        misses=("meet me at the dot", "at 5 point 5", "pain at night"),
        check=lambda text: any(char.isalpha() for char in text.rsplit(maxsplit=1)[-1]),
    ),
)  # fmt: skip
"""Rules for dictated identifiers."""
