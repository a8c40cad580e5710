"""Names that a cue, a title or their capitals give away, and any word in a script other than Latin."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from phi_guard.detect.rule import PatternRule
from phi_guard.detect.rules.ordinary import PARTICLES, is_ordinary, leading_name, name_runs

_PARTICLE: Final = r"(?:de|van|von|der|den|la|le|bin|binti|ibn|al|el|del|della|da|di|do|dos|das|du|ter|ten|zu|zum|af|av|abu|st|y|e)\.?"
_WORD: Final = r"[^\W\d_](?:[^\W\d_]|['’\-](?=[^\W\d_])){0,40}"
_NAME: Final = rf"({_WORD}\.?(?:\s{{1,2}}{_WORD}\.?){{0,4}})"
_MARK: Final = r"[\s\"'“‘*_]{0,3}"

_UPPER: Final = "A-ZÀ-ÖØ-ÞĀĂĄĆČĎĐĒĖĘĚĞĢĪĮİĶŁĻĽŃŅŇŐŌŒŘŚŞŠȘŢŤȚŪŮŰŲŹŻŽƠƯẠ-ỹ"
_LOWER: Final = "a-zß-öø-ÿāăąćčďđēėęěğģīįıķłļľńņňőōœřśşšșţťțūůűųźżžơưạ-ỹ"
_REST: Final = r"(?:[^\W\d_]|['’\-](?=[^\W\d_]))"  # the rest of a name: letters, joined by an apostrophe or hyphen
_CAP: Final = rf"(?-i:[{_UPPER}]){_REST}{{1,40}}"
_CAPS: Final = rf"({_CAP}(?:\s(?:{_PARTICLE}\s){{0,2}}(?:{_CAP}|(?-i:[{_UPPER}])\.?(?![\w'’]))){{0,3}})"

# Scripts other than Latin: letters from Greek on, leaving out Latin's own later blocks, punctuation, symbols and full-width Latin.
_OTHER: Final = (
    "\u0370-\u1dbf\u1f00-\u1fff\u2c00-\u2c5f\u2c80-\u2dff\u2e80-\u2fff\u3005-\u3007\u3021-\u3029\u3031-\ua71f\ua800-\uab2f\uab70-\ud7ff"
    "\uf900-\ufaff\ufb13-\ufdff\ufe70-\ufefe\uff66-\uffdc\U00010000-\U0001cfff\U0001d400-\U0001d7ff\U0001e000-\U0001efff\U00020000-\U0003ffff"
)
_KIN: Final = (
    "son|daughter|wife|husband|mother|father|mom|dad|mum|brother|sister|partner|baby|child|kid|aunt|uncle|cousin|niece|nephew|friend"
    "|neighbou?r|grandmother|grandfather|grandson|granddaughter|grandma|grandpa|boyfriend|girlfriend|fianc[ée]e?|spouse|caregiver|guardian"
)
_CAPITAL: Final = rf"[{_UPPER}][^\W\d_]"
_CAPITAL_LATER: Final = rf"\s[{_UPPER}][^\W\d_]"
_CAPITAL_LATER_ANY: Final = rf"\s[{_UPPER}]"
_FUNCTION: Final = frozenset(
    """
    the and or who i he she it we you they is are was were has have had a an in on at to for of with by this that not no said says
    """.split()  # noqa: SIM905 - easier to read
)
_ABBREVIATIONS: Final = frozenset(
    """
    us uk eu un dc la ny md do rn pa np phd mph dds dvm ba bs ma ms jd iv po im sc sq pr sl er or ed icu npo prn bid tid qid qd qod qhs
    hs ac pc od os ou am pm ad bc ce ie eg cc ps nb id tb hr bp gi gu ent ob ot pt st dob ssn mrn llc inc ltd co no op tv ok ap pe ct mr
    """.split()  # noqa: SIM905 - easier to read and to keep in order
)
"""Two or three letters with full stops that are no one's initials."""
_ACRONYM: Final = re.compile(r"[A-Z]{2,5}s?")


def _script(text: str) -> bool:
    """Two letters or more, or one of a script that writes words in one; a lone Greek letter (``β``) is a unit or a symbol."""
    letters = [char for char in text if char.isalpha()]
    return len(letters) >= 2 or any(char >= "\u2e80" for char in letters)


def _not_an_acronym(text: str) -> bool:
    return _ACRONYM.fullmatch(text) is None


def _one_name(text: str) -> Iterator[tuple[int, int]]:
    """The whole text, where its first and last word are not ordinary."""
    words = re.findall(r"[^\W\d_][\w'’-]*\.?", text)
    if words and not is_ordinary(words[0]) and not is_ordinary(words[-1]):
        yield 0, len(text)


def _each_name(text: str) -> Iterator[tuple[int, int]]:
    """Runs of one word or more."""
    yield from name_runs(text, 1)


RULES: Final = (
    PatternRule(
        name="introduced",
        entity="PERSON",
        regex=r"\b(?:(?:full|first|last|middle|maiden|family|given|legal|preferred|nick|patient|caller|client|contact|mother|father"
        r"|guardian"
        r"|[^\W\d_]{2,20}['’]s|my|her|his|their|your|whose)[\s_-]{0,2}name(?:[\s_](?:is|was))?|name (?:is|was)|surname(?: is)?|lastname"
        r"|firstname|named|nicknamed|goes by|aka|a\.k\.a\.?|also known as|call me|calls? (?:me|him|her)|people call (?:me|him|her)"
        r"|(?:je m['’]appelle|mon nom est|ich hei(?:ß|ss)e|mein name ist|me llamo|mi nombre es)|speaking with|on behalf of)"
        rf"(?:\s|[\"'’“:=?,]){{1,5}}(?:(?:uh|um|mr|mrs|ms|dr)\.?,?\s)?{_NAME}",
        hits=(
            "my name is ada byron", "My name is Ada Byron and I cough", "first name: Ada", "last name is de la cruz",
            "je m'appelle Ada", "a boy named tom", "patient_name: ada", '"firstName": "ada"', "everyone calls me Zoë", "he goes by 'Bo'",
        ),
        misses=("my name is not important", "the name of the drug", "first name unknown", "brand name ibuprofen", "call me back please"),
        group=1,
        parts=leading_name,
    ),
    PatternRule(
        name="name_field",
        entity="PERSON",
        regex=r"(?<![\w.-])(?<!drug\s)(?<!brand\s)(?<!file\s)(?<!generic\s)(?<!plan\s)(?<!test\s)(?<!tool\s)(?<!product\s)(?<!clinic\s)"
        r"(?:name|vorname|nachname|nom|prénom|nombre|apellidos?|attn|attention|cc|bcc|signed(?:\sby)?"
        r"|signature|sincerely|kind regards|best regards|regards|from|to|sender|recipient|contact|emergency contact|next of kin|nok"
        rf"|guarantor|witness|interpreter|requested by|entered by)[\"']?\s{{0,2}}(?:[:=,]|\s-)[\s\"'“]{{0,4}}{_NAME}(?![\w(=:@])",
        hits=("Name: Ada Byron", "name=ada byron", '"name": "Ada"', "Sincerely,\nAda Byron", "cc: ada byron", "Emergency contact: Bo Ek",
              "Signed: A. Byron"),
        misses=("drug name: ibuprofen", "Name: unknown", "from: the clinic", "to: be seen", "patient: yes, thanks", "patient: it hurts"),
        group=1,
        parts=leading_name,
        check=lambda text: not text.islower() or " " in text or len(text) > 3,
        score=0.6,
        needs=r"[:=,]|\s-",
    ),
    PatternRule(
        name="titled",
        entity="PERSON",
        regex=r"\b(?:mr|mrs|ms|mx|miss|mister|missus|messrs|mme|mlle|madame|mademoiselle|monsieur|herrn?|frau|fräulein|señor|señora"
        r"|señorita|sr|sra"
        rf"|signor|signora|shri|smt|née|nee|dear)(?![\w'’])\.?\s{{1,2}}(?:(?:dr|prof)\.?\s)?{_NAME}",
        hits=("Mr. Byron", "mrs byron called", "Mme de Staël", "frau müller", "Ms O'Neil", "Ada Byron, née King", "Dear Ada,"),
        misses=("miss the appointment", "ms 5", "missed doses", "dear doctor", "Dear <REDACTED>"),
        group=1,
        parts=leading_name,
        check=lambda text: len(text) > 1 and text.lower() not in PARTICLES,
        score=0.85,
    ),
    PatternRule(
        name="titled_word",
        entity="PERSON",
        regex=rf"(?<![\w'’])(?:(?-i:Mr|Mrs|Miss|Mx|Mme|Mlle|Herr|Frau|Señora?)\.?"
        rf"|(?-i:Ms|MR|MRS)\.?"
        rf"|(?-i:MS)\.)\s{{1,2}}((?-i:[{_UPPER}])(?:{_REST}{{1,40}}|\b\.?))",
        hits=("Mr Small", "Miss Day", "Mrs. Bird", "Mr. W", "Ms. Young"),
        misses=("Mr and", "Miss The", "MS Relapse", "Ms. And"),
        group=1,
        check=lambda text: text.lower() not in _FUNCTION,
        score=0.7,
        needs=_CAPITAL_LATER_ANY,
    ),
    PatternRule(
        name="initials_alone",
        entity="PERSON",
        regex=rf"(?<![\w.])(?-i:[{_UPPER}])\.\s?(?-i:[{_UPPER}])\.(?:\s?(?-i:[{_UPPER}])\.)?(?!\s?\w\.)"
        rf"|(?<=initials )(?-i:[{_UPPER}]{{2,3}})\b|(?<=initials: )(?-i:[{_UPPER}]{{2,3}})\b",
        hits=("pt J.S. seen", "R. T. is better", "initials AB"),
        misses=("the U.S. and", "take P.O. now", "E.R. visit", "a B.I.D. dose", "Vitamin D."),
        check=lambda text: "".join(char for char in text.lower() if char.isalpha()) not in _ABBREVIATIONS,
        score=0.4,
        needs=rf"[{_UPPER}]\.\s?[{_UPPER}]\.|(?i:nitials)",
    ),
    PatternRule(
        name="titled_capitals",
        entity="PERSON",
        regex=rf"(?<![\w'’])(?:(?:dr|prof|doctor|professor|pastor|father|rabbi|imam|reverend|rev|officer|sgt|capt|nurse|judge|sir|lady)\.?"
        rf"|(?-i:M)\.)\s{{1,2}}{_CAPS}",
        hits=("Dr. Byron", "doctor Byron", "Prof. Ada King", "M. Dupont"),
        misses=("Doctor. The pain", "doctor said so", "Dr. Who knows", "vitamin D. Good"),
        group=1,
        parts=leading_name,
        check=_not_an_acronym,
        score=0.6,
        needs=_CAPITAL_LATER,
    ),
    PatternRule(
        name="this_is_calling",
        entity="PERSON",
        regex=rf"\b(?:this is|it['’]s|i am|i['’]m)\s{{1,2}}({_WORD}(?:\s{_WORD}){{0,3}}?)[\s,]{{1,2}}(?:speaking|calling|here\b"
        rf"|on the (?:line|phone)"
        r"|from (?:the|billing|reception))",
        hits=("this is ada byron calling", "hi it's ada here", "this is ada speaking"),
        misses=("this is really bad here", "i'm still here", "it's the clinic calling"),
        group=1,
        parts=_one_name,
        score=0.7,
    ),
    PatternRule(
        name="is_speaking",
        entity="PERSON",
        regex=rf"(?:^|[.,!?]\s{{1,2}})({_WORD}(?:\s{_WORD})?) speaking\b",
        hits=("ada byron speaking", "yes, ada speaking"),
        misses=("generally speaking", "i was speaking", "no, while speaking"),
        group=1,
        parts=_one_name,
        check=lambda text: not text.lower().endswith("ly"),
        score=0.6,
    ),
    PatternRule(
        name="introduced_capitals",
        entity="PERSON",
        regex=r"\b(?:i am|i['’]m|this is|it['’]s|i['’]ll be|for|patient|pt|client|caller|called|per|told|tell|ask(?:ed)?|saw"
        r"|spoke (?:to|with)|seen by|by|says?|said|signed|regarding|re|remember|hi|hello|hey|thanks?|thank you|goodbye|bye"
        r"|baby (?:boy|girl)|twin [ab12]|infant of|s/o|d/o|b/o"
        rf"|(?:(?:my|her|his|their|our|the) )?(?:{_KIN})),?\s{{1,2}}{_CAPS}",
        hits=("This is Ada Byron calling", "Baby Girl Byron", "s/o Byron", "I'm Ada",
              "patient Byron reports pain", "her son Tom", "refill for Ada", "said Ada to me"),
        misses=("this is really bad", "i'm diabetic", "patient reports pain", "my son has a cough", "patient The", "for MRI", "I'm Sorry"),
        group=1,
        parts=leading_name,
        check=_not_an_acronym,
        score=0.6,
        needs=_CAPITAL_LATER,
    ),
    PatternRule(
        name="capitalised_words",
        entity="PERSON",
        regex=rf"(?<![\w.]){_CAP}(?:\s{{1,2}}(?:(?-i:[{_UPPER}])\.?(?![\w'’])"
        rf"|(?:{_PARTICLE}\s)?(?-i:[{_UPPER}])(?=[^\W\d_'’\-]{{0,40}}['’\-]?[^\W\d_]{{0,40}}(?-i:[{_LOWER}])){_REST}{{1,40}})){{1,5}}",
        hits=("flu shot Miklós Hajdu", "Ada K Byron", "f/u Zoë O'Neil-Šimić knee pain", "Hi Ada Byron"),
        misses=("Took ibuprofen twice", "ECG and MRI", "BP 120/80", "I took Advil", "The PCR test", "The Other Day",
              "Social Security Number"),
        parts=name_runs,
        score=0.4,
        needs=_CAPITAL,
    ),
    PatternRule(
        name="initials",
        entity="PERSON",
        regex=rf"(?<![\w.])(?<!itamin\s)(?<!epatitis\s)(?:(?-i:[{_UPPER}])\.\s?){{1,3}}{_CAP}"
        rf"|(?<!\w){_CAP},\s(?-i:[{_UPPER}])\.(?:\s?(?-i:[{_UPPER}])\.)?"
        rf"|\A\s{{0,9}}{_CAP}(?:-{_CAP})?,\s{_CAP}\s{{0,9}}\Z",
        hits=("J. R. Byron", "Byron, J.", "A. Byron called", "Byron, Ada"),
        misses=("vitamin D. Then", "e.g. ibuprofen", "A. The knee", "Yes, I. think", "Today, Monday"),
        parts=_one_name,
        score=0.5,
        needs=_CAPITAL,
    ),
    PatternRule(
        name="person_in_talk",
        entity="PERSON",
        regex=rf"(?:^|[.!?\n]\s{{1,3}}|\"){_CAPS}(?:,? (?:has|is|was|can you|can i|could|called|lives|said|says|shouted|asked|wants"
        rf"|needs|reports|reported"
        r"|complains|had given|works|moved|presents|denies|states|feels|is from)\b|['’]s (?:appointment|address|phone|number|mother|father"
        r"|son|daughter|wife|husband|chart|record|insurance|birthday|results)\b|: ?[\"“])",
        hits=("Ada has a cough.", "Ok. Byron called again", "Ada's address is missing"),
        misses=("Pain is worse.", "She said so", "The patient reports pain", "Nobody called"),
        group=1,
        parts=_each_name,
        check=_not_an_acronym,
        score=0.4,
        needs=_CAPITAL,
    ),
    PatternRule(
        name="other_script",
        entity="PERSON",
        regex=rf"(?-i:[{_OTHER}](?:[\s\u00b7'’.\-\u200b-\u200f\u0300-\u036f]{{0,2}}[{_OTHER}]){{0,200}})",
        hits=("Пациент Иванов", "王小明", "محمد", "राम", "李"),
        misses=("β-blocker", "5 μg", "α", "café", "Zoë Müller", "ﬁne", "😀", "“quoted”", "Łódź", "Nguyễn"),
        check=_script,
        score=0.6,
        needs=r"[^\x00-\x7f]",
    ),
)  # fmt: skip
"""Rules for names."""
