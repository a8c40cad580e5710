"""Names that a spoken cue gives away, in text without capitals or stops."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from phi_guard.detect.speech.lexicon import FILL, LETTER, NUMBER, NUMERAL
from phi_guard.detect.speech.ordinary import GRAMMAR, NOT_NAMES, is_ordinary
from phi_guard.detect.speech.utterance import DOT, HARD, SOFT, SpokenRule, Stretch, Utterance

LONGEST: Final = 4
"""Words of a name, particles apart."""
_LEAD_IN: Final = 6
"""Words that may stand between a cue and its name."""

_PARTICLES: Final = frozenset("de la van von der den bin al el del da di dos das ter ten du le ibn abu mc mac o st san santa".split())  # noqa: SIM905
_LEADS: Final = frozenset(
    """
    is was are it it's its that's would be will uh um er erm ah like so well yes yeah sure okay ok the mister missus miss mr mrs ms
    on of account patient caller client agent customer spelled you know i mean actually sorry again full first last and here please
    est c'est ist mein mon euh äh also
    """.split()  # noqa: SIM905
)
"""Words between a strong cue and its name."""
_FILLERS: Final = frozenset("uh um er erm ah eh euh äh ähm".split())  # noqa: SIM905

_STRONG: Final = (
    "my name is", "my name's", "name is", "name's", "my names", "last name", "first name", "surname", "middle name", "maiden name",
    "full name",
    "patient name", "patient's name", "patients name", "name on the account", "name of the patient", "under the name",
    "under the name of",
    "she goes by", "he goes by", "who goes by", "i go by", "named", "am i speaking with", "am i speaking to", "speaking with",
    "speaking to", "on behalf of", "name would be",
    "family name", "name was",
    "son's name", "daughter's name", "wife's name", "husband's name", "mother's name", "father's name", "family name",
    "your name", "my name", "her name", "his name", "their name", "calls me", "call me",
    "je m'appelle", "mon nom est", "nom de famille", "prénom", "mon nom c'est", "ich heiße", "ich heisse", "mein name ist", "nachname",
    "vorname", "nachname ist", "emergency contact is", "emergency contact",
)  # fmt: skip
"""Cues behind which almost any word is a name."""
_TITLES: Final = ("mister", "missus", "mr", "mrs", "ms", "monsieur", "madame", "mademoiselle", "herr", "frau", "señor", "señora")
_WEAK: Final = (
    "this is", "it's", "it is", "i'm", "i am", "is this", "hi", "hello", "hey", "thank you", "thanks", "okay", "alright", "miss",
    "doctor", "dr",
    "he's called", "she's called", "call him", "call her", "patient is", "caller is", "client is", "it's under", "its under",
    "spoke with", "spoke to", "speak to", "speak with", "ask for", "talk to", "talking to", "patient", "baby",
    "son", "daughter", "husband", "wife", "mother", "father", "mom", "dad", "brother", "sister", "grandson", "granddaughter",
    "grandmother", "grandfather", "kid", "child", "boy", "girl", "toddler", "stepson", "stepdaughter", "partner", "aunt", "uncle",
    "cousin", "boyfriend", "girlfriend", "fiancé", "nephew", "niece", "friend",
    "neighbor", "nurse", "good morning", "good afternoon", "good evening", "ich bin", "je suis", "c'est", "hier ist", "hier spricht",
    "bonjour", "guten tag", "calling for", "calling about", "tell", "ask", "can i get", "put it under", "is under", "be under",
    "pickup for",
    "pick up for", "appointment for", "note for", "message for", "seen by", "met with",
    "talk with", "attn", "daughter's", "son's", "wife's", "husband's",
)  # fmt: skip
"""Cues behind which a word is a name where nothing else explains it."""
_MOSTLY_NOT: Final = frozenset({"it's", "is", "i'm", "am", "daughter's", "son's", "wife's", "husband's", "for", "with"})
"""Ends of weak cues behind which a lower-case word is a name only where the clause ends with it."""
_CLAUSE_ENDS: Final = frozenset(
    """
    and from calling speaking here born again date dob phone number who she he on about to that in at please spelled is
    """.split()  # noqa: SIM905
)
_ALSO_NAMES: Final = frozenset({"hope", "will", "may", "long", "stone", "guy"})
"""Grammar that is a name right behind a strong cue."""
_RELATIVES: Final = frozenset("husbands wifes moms mums dads mothers fathers sons daughters brothers sisters patients kids".split())  # noqa: SIM905
"""Whose name: possessives as recognisers write them."""
_ASKED: Final = frozenset("there around line phone system".split())  # noqa: SIM905
"""Words of which one stands after a name that is asked for."""
_TOLD: Final = frozenset("like as no double two one hyphen apostrophe".split())  # noqa: SIM905
"""Words of which one stands after a name whose spelling is told."""
_OWNERS: Final = frozenset("my his her their your the".split())  # noqa: SIM905
_NAME_KINDS: Final = frozenset("first last family given middle maiden married sur full".split())  # noqa: SIM905
_NOT_SAID: Final = frozenset(
    """
    what what's that this it he she which who where here and but or not your my her his their same there if name
    """.split()  # noqa: SIM905
)
"""Words that no name said before ``is my name`` consists of."""
_CONFIRMED: Final = frozenset({"calling", "speaking", "apparat"})
"""A word after a name that makes a weak cue strong: ``this is grace calling``."""


def _table(*phrases: tuple[str, ...]) -> Mapping[str, tuple[tuple[str, ...], ...]]:
    """Cue phrases by their last word, the longest first."""
    table: dict[str, list[tuple[str, ...]]] = {}
    for phrase in (phrase for group in phrases for phrase in group):
        words = tuple(phrase.split())
        table.setdefault(words[-1], []).append(words)
    return {last: tuple(sorted(found, key=len, reverse=True)) for last, found in table.items()}


_STRONG_BY_LAST: Final = _table(_STRONG, _TITLES)
_WEAK_BY_LAST: Final = _table(_WEAK)


def _ends_cue(heard: Utterance, place: int, table: Mapping[str, tuple[tuple[str, ...], ...]]) -> bool:
    """Whether a cue phrase ends with this word."""
    phrases = table.get(heard.words[place])
    if phrases is None:
        return False
    if (
        table is _STRONG_BY_LAST
        and heard.words[place] == "name"
        and (place == 0 or heard.words[place - 1].endswith("'s") or heard.words[place - 1] in _RELATIVES)
    ):
        return True
    for phrase in phrases:
        first = place + 1 - len(phrase)
        if first >= 0 and tuple(heard.words[first : place + 1]) == phrase:
            return True
    return False


def _scan_strong(heard: Utterance) -> Iterator[Stretch]:
    words = heard.words
    past = 0
    for place in range(len(words)):
        if place < past or words[place] not in _STRONG_BY_LAST or not _ends_cue(heard, place, _STRONG_BY_LAST):
            continue
        title = words[place] in _TITLES
        first = place + 1 if title else _skip_leads(heard, place + 1)
        found = _name_at(heard, first, capitals=False, weak=False)
        if found > first and not (title and heard.gaps[first] not in {SOFT, DOT}):
            yield first, found
            past = found


def _skip_leads(heard: Utterance, place: int) -> int:
    """Index of the first word that may be the name: over ``is uh``, and over one question mark or speaker's label."""
    limit = min(place + _LEAD_IN, len(heard.words))
    while place < limit and heard.words[place] in _LEADS:
        place += 1
    return place


def _scan_weak(heard: Utterance) -> Iterator[Stretch]:
    words, count = heard.words, len(heard.words)
    if not count:
        return
    cased = not heard.text.islower() and not heard.text.isupper()
    past = 0
    for place in range(count - 1):
        if place < past or words[place] not in _WEAK_BY_LAST or not _ends_cue(heard, place, _WEAK_BY_LAST):
            continue
        first = place + 1
        while first < min(place + 4, count - 1) and words[first] in _FILLERS:
            first += 1
        if heard.gaps[first] != SOFT and not (heard.gaps[first] == DOT and words[place] == "dr"):
            continue
        found = _name_at(heard, first, capitals=cased, weak=True)
        if found > first and not cased and words[place] in _MOSTLY_NOT and not (place and words[place - 1] == "this"):
            ends = found == count or heard.gaps[found] != SOFT or words[found] in _CLAUSE_ENDS
            found = found if ends else first
        if found == first and first < count and words[first] not in GRAMMAR:  # "this is grace calling": the word after vouches for it
            found = _vouched(heard, first)
        if found > first:
            yield first, found
            past = found


def _vouched(heard: Utterance, first: int) -> int:
    for past in (first + 1, first + 2):
        if past < len(heard.words) and heard.gaps[past] == SOFT and heard.words[past] in _CONFIRMED:
            return past if all(_is_word(heard, i) and heard.words[i] not in GRAMMAR for i in range(first, past)) else first
    return first


def _is_word(heard: Utterance, place: int) -> bool:
    return (not heard.kinds[place] & (NUMBER | NUMERAL | LETTER) and heard.words[place].isalpha()) or "'" in heard.words[place]


def _name_at(heard: Utterance, first: int, *, capitals: bool, weak: bool) -> int:
    """Index after the name that begins at a word, or the word's own.

    Args:
        heard: the words.
        first: index of the word; may be past the end.
        capitals: whether each word must begin with a capital.
        weak: whether an ordinary word rules the first one out; it always ends a name already begun.
    """
    words, gaps, count = heard.words, heard.gaps, len(heard.words)
    place = past = first
    taken = 0
    while place < count and taken < LONGEST:
        if place > first and gaps[place] != SOFT and not (gaps[place] == DOT and len(words[place - 1]) == 1):
            break
        word = words[place].removesuffix("'s")
        if taken and word in _FILLERS:
            place += 1
            continue
        if word in _PARTICLES and place + 1 < count and gaps[place + 1] == SOFT and _goes_on(heard, place + 1, capitals=capitals):
            place += 1
            continue
        if len(word) == 1:
            if not taken or not heard.kinds[place] & LETTER or word in {"a", "i"}:
                break
        elif not _is_name_word(heard, place, word, capitals=capitals, weak=weak or taken > 0):
            break
        taken += 1
        place = past = place + 1
    return past


def _goes_on(heard: Utterance, place: int, *, capitals: bool) -> bool:
    word = heard.words[place]
    return word in _PARTICLES or (len(word) > 1 and _is_name_word(heard, place, word, capitals=capitals, weak=True))


def _is_name_word(heard: Utterance, place: int, word: str, *, capitals: bool, weak: bool) -> bool:
    if heard.kinds[place] & (NUMBER | NUMERAL | FILL) or not word[0].isalpha() or (word in GRAMMAR and (weak or word not in _ALSO_NAMES)):
        return False
    if capitals and not heard.is_capital(place):
        return False
    return not (weak and (is_ordinary(word) if not capitals else word in NOT_NAMES))


def _scan_asked(heard: Utterance) -> Iterator[Stretch]:
    """``is tom there``, ``can i get tom on the line``: a name told by what stands on both its sides."""
    words, count = heard.words, len(heard.words)
    if _ASKED.isdisjoint(words):
        return
    for place in range(count - 2):
        if words[place] not in {"is", "get", "have", "put", "was", "need"}:
            continue
        first = place + 1 + (words[place] == "have" and words[place + 1] == "a")
        past = _name_at(heard, first, capitals=False, weak=True)
        if not first < past < count or heard.gaps[past] != SOFT:
            continue
        after = words[past : past + 3]
        opens = place == 0 or heard.gaps[place] != SOFT or words[place - 1] in {"and", "hi", "hello", "uh", "yes", "yeah"}
        if (after[0] in {"there", "around"} and opens) or after in (["on", "the", "line"], ["on", "the", "phone"], ["in", "the", "system"]):
            yield first, past


def _scan_told(heard: Utterance) -> Iterator[Stretch]:
    """``baker like the bread guy``, ``jon no h``, ``ann two words``: a name told by what is said of its spelling."""
    words, count = heard.words, len(heard.words)
    if _TOLD.isdisjoint(words):
        return
    for place in range(count - 2):
        if heard.gaps[place + 1] == HARD or (not _is_word(heard, place) and words[place + 1] != "apostrophe"):
            continue
        after = words[place + 1 : place + 4]
        opens = place == 0 or heard.gaps[place] != SOFT or words[place - 1] in {"it's", "name", "is", "that's", "uh", "um", "last", "first"}
        if after in (["as", "in", "the"], ["like", "in", "the"]) or after[:2] == ["like", "the"]:
            found = opens and place + len(after) < count and words[place] not in NOT_NAMES and _ends_soon(heard, place + 3)
        elif after[0] in {"no", "double", "two", "one", "hyphen", "apostrophe"} and len(after) > 1:
            found = _tells_spelling(heard, place, after)
        else:
            found = False
        if found:
            yield place, place + (1 if after[0] not in {"hyphen", "apostrophe"} else 3)


def _scan_said_after(heard: Utterance) -> Iterator[Stretch]:
    """``do is my family name``, ``tuesday, that's her first name``, ``ramirez party of six``: what the words before were."""
    words, count = heard.words, len(heard.words)
    if "name" not in words and "party" not in words:
        return
    for place in range(1, count - 1):
        if heard.words[place] not in {"is", "that's", "was", "party"} or heard.gaps[place] == HARD:
            continue
        after = words[place + 1 : place + 4]
        if words[place] == "party":
            told = (
                len(after) > 1
                and after[0] == "of"
                and bool(heard.kinds[place + 2] & (NUMBER | NUMERAL))
                and not is_ordinary(words[place - 1])
            )
        else:
            told = len(after) > 1 and after[0] in _OWNERS and (after[1] == "name" or (after[1] in _NAME_KINDS and after[2:] == ["name"]))
        first = place
        while first > 0 and place - first < 2 and (first == place or heard.gaps[first] == SOFT) and words[first - 1] not in _NOT_SAID:
            first -= 1
        opens = first == 0 or heard.gaps[first] != SOFT or words[first - 1] in _FILLERS
        if told and first < place and opens and all(_is_word(heard, i) or heard.kinds[i] & NUMBER for i in range(first, place)):
            yield first, place


def _ends_soon(heard: Utterance, place: int) -> bool:
    """Whether the clause ends within two words of one."""
    return any(i >= len(heard.words) or heard.gaps[i] != SOFT for i in range(place + 1, place + 3))


def _tells_spelling(heard: Utterance, place: int, after: list[str]) -> bool:
    """Whether words after a name tell how it is written, and end the clause."""
    if after[0] in {"hyphen", "apostrophe"}:
        return after[1] not in GRAMMAR and after[1].isalpha()
    if heard.words[place] in NOT_NAMES:
        return False
    ends = place + 3 >= len(heard.words) or heard.gaps[place + 3] != SOFT or heard.words[place + 3] in _CLAUSE_ENDS
    if after[0] in {"two", "one"}:
        return after[1] in {"words", "word"}
    return ends and len(after[1]) == 1 and after[1].isalpha()


def _scan_callers(heard: Utterance) -> Iterator[Stretch]:
    """``ada byron calling``: a turn that opens with a name, told by the word after it."""
    words, count = heard.words, len(heard.words)
    first = 0
    while first < min(4, count) and (words[first] in _FILLERS or words[first] in {"hi", "hello", "hey", "yes", "yeah", "good", "morning"}):
        first += 1
    past = _name_at(heard, first, capitals=False, weak=True)
    if first < past < count and heard.gaps[past] == SOFT and words[past] in {"calling", "speaking", "here", "lives", "says"}:
        yield first, past


RULES: Final = (
    SpokenRule(
        name="name",
        entity="PERSON",
        needs=0,
        scan=_scan_strong,
        hits=(
            "my name is ada byron", "my name is uh ada um byron and i cough", "first name ada", "last name is de la cruz",
            "surname byron", "name ada byron",
            "name on the account is byron", "under the name of byron", "am i speaking with ada", "je m'appelle ada",
            "mein name ist ada byron",
            "what's your name ada byron", "my kid's name is tom", "she calls me ada", "mister byron", "missus hope called",
            "What is your last name? Byron.", "my son's name is tom", "last name is long",
        ),
        misses=(
            "my name is not important", "the name of the drug", "first name and last name", "brand name ibuprofen",
            "your last name please",
            "what was the name", "speaking with a nurse", "speaking to the doctor", "mister",
        ),
        score=0.8,
    ),
    SpokenRule(
        name="name_weak",
        entity="PERSON",
        needs=0,
        scan=_scan_weak,
        hits=(
            "this is ada byron", "this is grace calling", "hi ada", "thank you ada", "it's byron", "i'm ada",
            "my daughter tiffany has a cough",
            "doctor byron", "miss byron", "good morning ada", "je suis ada", "it's under byron", "patient is ada byron date of birth",
            "Hello, Ada.", "this is uh ada", "my son jacob",
        ),
        misses=(
            "this is really bad", "i'm diabetic", "it's hurting", "my son has a cough", "thank you so much", "hi there", "miss work",
            "okay great", "i'm feeling dizzy", "it's swollen", "my mother died", "doctor said", "this is for my son", "It's bad",
            "i am pregnant",
            "hello how are you", "my wife noticed a rash", "it's ninety", "patient reports pain", "patient denies fever", "I'm Mexican",
            "okay will it hurt",
            "it's under consideration", "i am new here",
        ),
        score=0.5,
    ),
    SpokenRule(
        name="name_first",
        entity="PERSON",
        needs=0,
        scan=_scan_callers,
        hits=("ada byron calling", "hi tom here", "yes ada speaking"),
        misses=("pain here", "nobody lives there", "it hurts here", "just calling"),
        score=0.5,
    ),
    SpokenRule(
        name="name_asked",
        entity="PERSON",
        needs=0,
        scan=_scan_asked,
        hits=("is tom byron there", "can i get ada on the line", "do you have a byron in the system", "was ada around"),
        misses=("is anyone there", "the pain is still there", "the clinic is nearby there", "i get pain in the system", "is she there",
        "everything is regular there",
            "put me on the line"),
        score=0.5,
    ),
    SpokenRule(
        name="name_told",
        entity="PERSON",
        needs=0,
        scan=_scan_told,
        hits=("Baker, like the bread guy", "it's green as in the color", "jon no h", "mary ann two words", "byron hyphen jones",
            "d apostrophe angelo", "reed double e"),
        misses=("it feels like the flu", "i like the doctor", "vitamin d no a", "pain like the last time",
        "it's green like the color of grass", "in other words",
        "there is no i",
            "a pain two words cannot tell"),
        score=0.5,
    ),
    SpokenRule(
        name="name_said_before",
        entity="PERSON",
        needs=0,
        scan=_scan_said_after,
        hits=("do is my family name", "so young, that's my name", "tuesday is her first name", "byron party of six", "seven is my name"),
        misses=("what is your name", "that is my last name", "a party of six", "this is her first name", "it was his name",
        "party of two", "birthday party of ten"),
        score=0.5,
    ),
)  # fmt: skip
"""Rules for names behind a cue."""
