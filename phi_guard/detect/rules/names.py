"""Names that a cue gives away, and any word in a script other than Latin."""

from __future__ import annotations

from typing import Final

from phi_guard.detect.rule import PatternRule

_STOP: Final = (
    "a|an|the|and|or|but|so|in|on|at|to|for|of|from|with|without|calling|not|no|having|trying|looking|feeling|sorry|going|sure|here|there|just|also|very"
    "|really|about|my|your|his|her|our|their|is|are|was|were|i|it|that|this|these|those|dr|doctor|please|yes|okay|ok|can|could|will|would|may|might|should|must"
    "|have|has|had|been|be|being|do|does|did|who|whose|what|when|where|why|how|which|if|as|because|since|until|after|before|during|now|today|yesterday"
    "|tomorrow|tonight|then|than|too|all|any|some|more|most|only|still|again|back|up|down|out|off|over|under|by|we|you|he|she|they|me|him|them|us"
    "|redacted|unknown|none|null|na|not|name|names|number|id|patient|patients|caller|client"
)
_FIRST: Final = rf"(?!(?:{_STOP})\b)[^\W\d_][\w'’\-]{{1,30}}"
_NAME: Final = (
    rf"({_FIRST}(?:\s(?:de|van|von|der|la|bin|al|el|del|da|di)\b){{0,2}}(?:\s(?!"
    rf"(?:{_STOP})\b)[^\W\d_][\w'’\-]{{0,30}}\.?){{0,2}})"
)
_CAPITALS: Final = r"((?-i:[A-ZÀ-ÖØ-Þ])[\w'’\-]{1,30}(?:\s(?-i:[A-ZÀ-ÖØ-Þ])[\w'’.\-]{0,30}){0,3})"

_UPPER: Final = "A-ZÀ-ÖØ-ÞĀĂĄĆČĎĐĒĖĘĚĞĢĪĮİĶŁĻĽŃŅŇŐŒŘŚŞŠȘŢŤȚŪŮŰŲŹŻŽ"
_LOWER: Final = "a-zß-öø-ÿāăąćčďđēėęěğģīįıķłļľńņňőœřśşšșţťțūůűųźżž"

_REST: Final = r"(?:[^\W\d_]|['’\-](?=[^\W\d_]))"  # the rest of a name: letters, joined by an apostrophe or hyphen

# Scripts other than Latin: letters from Greek on, leaving out Latin's own later blocks, punctuation, symbols and full-width Latin.
_OTHER: Final = (
    "\u0370-\u1dbf\u1f00-\u1fff\u2c00-\u2c5f\u2c80-\u2dff\u2e80-\u2fff\u3005-\u3007\u3021-\u3029\u3031-\ua71f\ua800-\uab2f\uab70-\ud7ff"
    "\uf900-\ufaff\ufb13-\ufdff\ufe70-\ufefe\uff66-\uffdc\U00010000-\U0001cfff\U0001d400-\U0001d7ff\U0001e000-\U0001efff\U00020000-\U0003ffff"
)


def _script(text: str) -> bool:
    """Two letters or more, or one of a script that writes words in one; a lone Greek letter (``β``) is a unit or a symbol."""
    letters = [char for char in text if char.isalpha()]
    return len(letters) >= 2 or any(char >= "\u2e80" for char in letters)


RULES: Final = (
    PatternRule(
        name="introduced",
        entity="PERSON",
        regex=r"\b(?:(?:my|her|his|the patient(?:['’]s)?|patient(?:['’]s)?|full|first|last|middle|maiden|family|given|sur"
        r"|[^\W\d_]{2,20}['’]s)[\s_]?name(?:[\s_]?is)?|name is|surname(?: is)?|named"
        rf"|goes by|(?:je m['’]appelle|mon nom est|ich hei(?:ß|ss)e|mein name ist)|speaking with|on behalf of)(?:\s"
        rf"|[\"':=?]){{1,5}}{_NAME}",
        hits=(
            "my name is ada byron", "My name is Ada Byron and I cough", "first name: Ada", "last name is de la cruz",
            "je m'appelle Ada", "a boy named tom",
            "patient_name: ada",
        ),
        misses=("my name is not important", "the name of the drug", "first name unknown", "brand name ibuprofen"),
        group=1,
    ),
    PatternRule(
        name="titled",
        entity="PERSON",
        regex=rf"\b(?:mr|mrs|ms|miss|mister|missus|mme|madame|mlle|monsieur|herr|frau|señor|señora|signor|signora)\b\.?\s{{1,2}}{_NAME}",
        hits=("Mr. Byron", "mrs byron called", "Mme de Staël", "frau müller", "Ms O'Neil"),
        misses=("miss the appointment", "ms 5", "missed doses"),
        group=1,
        score=0.85,
    ),
    PatternRule(
        name="introduced_capitals",
        entity="PERSON",
        regex=rf"\b(?:i am|i['’]m|this is|it['’]s|i['’]ll be|for|patient|pt|client|caller|called|per|spoke (?:to|with)|seen by"
        rf"|(?:(?:my|her|his) )?(?:son|daughter|wife|husband|mother|father|mom|dad|mum|brother|sister|partner|baby|child|aunt|uncle"
        rf"|friend|neighbou?r))\s{{1,2}}(?!(?:{_STOP}|[a-z]{{1,4}}\d)\b){_CAPITALS}",
        hits=("This is Ada Byron calling", "I'm Ada", "patient Byron reports pain", "her son Tom"),
        misses=("this is really bad", "i'm diabetic", "patient reports pain", "my son has a cough", "patient The"),
        group=1,
        check=lambda text: not text.isupper() or len(text) > 5,
        score=0.6,
    ),
    PatternRule(
        name="capitalised_words",
        entity="PERSON",
        regex=rf"(?<![\w.])(?-i:[{_UPPER}]){_REST}{{1,40}}(?:\s(?-i:[{_UPPER}])\.?(?!\w))?"
        rf"(?:\s(?-i:[{_UPPER}])(?=[^\W\d_'’\-]{{0,40}}['’\-]?[^\W\d_]{{0,40}}(?-i:[{_LOWER}])){_REST}{{1,40}}){{1,4}}",
        hits=("flu shot Miklós Hajdu", "Ada K Byron", "f/u Zoë O'Neil-Šimić knee pain"),
        misses=("Took ibuprofen twice", "ECG and MRI", "BP 120/80", "I took Advil", "The PCR test"),
        score=0.4,
    ),
    PatternRule(
        name="other_script",
        entity="PERSON",
        regex=rf"[{_OTHER}](?:[\s\u00b7'’.\-\u200b-\u200f\u0300-\u036f]{{0,2}}[{_OTHER}]){{0,200}}",
        hits=("Пациент Иванов", "王小明", "محمد", "राम", "李"),
        misses=("β-blocker", "5 μg", "α", "café", "Zoë Müller", "ﬁne", "😀", "“quoted”", "Łódź", "Nguyễn"),
        check=_script,
        score=0.6,
    ),
)  # fmt: skip
"""Rules for names."""
