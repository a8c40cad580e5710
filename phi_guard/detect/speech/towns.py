"""Towns and places of care that a cue gives away where their names are ordinary words, without capitals: ``i grew up in reading``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from phi_guard.detect.speech.lexicon import FILL, LETTER, MONTH, NUMBER, NUMERAL
from phi_guard.detect.speech.ordinary import GRAMMAR, is_ordinary
from phi_guard.detect.speech.utterance import SOFT, SpokenRule, Stretch, Utterance

LONGEST: Final = 3
"""Words of a town's name, the article apart."""

_DWELLING: Final = frozenset("live lives lived living reside resides resided residing born raised settled based".split())  # noqa: SIM905
"""Words after which ``in`` opens a place, whatever word follows, `_CONDITIONS` excepted."""
_MOVING: Final = frozenset("move moves moved moving relocate relocated relocating".split())  # noqa: SIM905
_TRAVELLING: Final = frozenset(
    "drive drives driving drove commute commutes commuting fly flying flew travel travels traveling travelled traveled way".split()  # noqa: SIM905
)
_PERSON_IS: Final = frozenset("i'm he's she's we're they're who's".split())  # noqa: SIM905
_PERSON: Final = frozenset("i he she we they who you family mother father mom dad mum husband wife parents patient caller".split())  # noqa: SIM905
_IS: Final = frozenset("am is are was were".split())  # noqa: SIM905
_WAYS: Final = frozenset("down up over in out here".split())  # noqa: SIM905
_WHITHER: Final = frozenset("here there back down up over away out".split())  # noqa: SIM905
_COMES: Final = frozenset("come comes came".split())  # noqa: SIM905
_KIN: Final = frozenset(
    """
    sister brother mother father mom dad mum son daughter aunt uncle cousin friend grandmother grandfather grandma grandpa parents family
    niece nephew
    """.split()  # noqa: SIM905
)
_SITES: Final = frozenset("address clinic hospital office practice pharmacy branch location house apartment condo".split())  # noqa: SIM905
_PARTED: Final = frozenset("city town village suburb county outskirts parish borough township".split())  # noqa: SIM905
_OWNERS: Final = frozenset("my his her our their your".split())  # noqa: SIM905
_SECONDS: Final = frozenset(
    """
    city springs spring rapids falls creek lake lakes bay beach hill hills heights rock grove valley park point ridge river wells fork forks
    junction harbor harbour haven village mountain mountains view woods wood field fields bluff bluffs island islands mills mill ferry port
    ranch oaks pines center corner corners landing station green shores shore gardens meadows bridge jaw crossing
    """.split()  # noqa: SIM905
)
"""Words that end the names of towns, so that an ordinary word before them is part of one: ``rapid city``."""
_AFTER: Final = frozenset(
    """
    and but so now with near since about these last next by for anymore right until because originally when while all not at on is was i
    we my our still where which who or if that's it's then though too as since before after today tomorrow yesterday actually also just
    uh um you every though alone he she they sent has had would can will over around off across between up down
    """.split()  # noqa: SIM905
)
"""Words of which one follows the town where the clause goes on."""
_CONDITIONS: Final = frozenset(
    """
    home homes house houses housing town downtown uptown suburbia poverty pain fear agony misery denial peace harmony squalor isolation
    solitude constant college school daycare preschool kindergarten hospice rehab care custody foster assisted independent shelter shelters
    person general total particular prison jail hospital hospitals hotel hotels wheelchair public private student temporary subsidized low
    high shared separate different bed work church tears summer winter spring fall autumn morning evening afternoon noon wedlock captivity
    exile breech labor labour theatre theater good bad poor perfect great excellent terrible fine close quarters apartments apartment
    campus dorms dorm barracks retirement nursing senior memory law africa europe asia america countries states country cities rural
    mid late early part parts front back bulk place places order remission recovery icu surgery dialysis therapy physio treatment
    suburb suburbs woods projects mountains boonies sticks attic garage desert forest valley middle states philippines netherlands
    tropics north south east west midwest city's projects outskirts system building county
    fact case time season weather sin style luxury comfort filth dust damp mold trailer trailers tents tent basement stages waves
    """.split()  # noqa: SIM905
)
"""What one lives in, is born in or comes from that is no town."""


_CARE: Final = frozenset("hospital infirmary hospice clinic sanatorium".split())  # noqa: SIM905
_TOWARDS: Final = frozenset("at from in to near by via".split())  # noqa: SIM905
_SORTS: Final = frozenset(
    """
    local nearest general county city community university public private regional district state children's women's veterans teaching
    walk fertility wound sleep pain hearing vision eye dental family methadone memory stroke cancer headache travel sports same another
    urgent animal veterinary free mobile field military rehab rehabilitation psychiatric mental behavioral specialty outpatient inpatient
    """.split()  # noqa: SIM905
)
"""What tells the sort of a place of care, and not which it is."""
_FIELDS: Final = ("ology", "iatric", "iatrics", "iatry", "etics", "edics", "ology's", "gery", "care")
"""Ends of words for a field of medicine."""


def _opens(heard: Utterance, place: int) -> int:
    """2 where a word ends a cue after which any word is a town, 1 where only one that is not ordinary is, 0 elsewhere."""
    words = heard.words
    word = words[place]
    before = words[place - 1]
    earlier = words[place - 2] if place > 1 else ""
    moves = before in _MOVING or (before in _WHITHER and earlier in _MOVING)
    strength = 0
    if word == "in":
        if before in _DWELLING or (before == "up" and earlier in {"grew", "grow", "growing", "brought", "grows"}):
            strength = 2
        elif before in {"out", "over", "down", "here"}:
            strength = 2 if earlier in _DWELLING else int(earlier in _PERSON_IS | _IS | {"stay", "staying"})
        else:
            strength = int((before in _KIN and earlier in _OWNERS) or before in _SITES or before in {"stay", "staying"})
            strength = strength or int(before in {"is", "are"} and earlier in _SITES)
    elif word == "from":
        person = before in _PERSON_IS or (before in _IS | _COMES and earlier in _PERSON)
        travels = before in _TRAVELLING or (before in _WAYS and earlier in _TRAVELLING)
        strength = int(person or travels or before in {"calling", "visiting", "originally"} or moves)
    elif word == "to":
        strength = int(moves)
    elif word == "of":
        strength = int(before in _PARTED)
    return strength


def _scan_towns(heard: Utterance) -> Iterator[Stretch]:
    words, gaps, count = heard.words, heard.gaps, len(heard.words)
    past = 0
    for place in range(1, count - 1):
        if place < past or words[place] not in {"in", "from", "to", "of"} or not (strength := _opens(heard, place)):
            continue
        first = place + 1
        while first < min(place + 4, count - 1) and gaps[first] == SOFT and words[first] in {"uh", "um", "er", "like", "the"}:
            first += 1
        article = words[first - 1] == "the"
        past = first
        while (
            past < min(first + LONGEST, count)
            and gaps[past] == SOFT
            and _may_be(heard, past)
            and (past == first or words[past] not in _AFTER)
        ):
            past += 1
        if past == first or words[first] in _CONDITIONS:
            continue
        ends = past == count or gaps[past] != SOFT or words[past] in _AFTER or (past - first == LONGEST and strength == 2)
        named = words[past - 1] in _SECONDS and past - first > 1
        plain = all(is_ordinary(word) for word in words[first:past])
        told = strength == 2 and not article  # then even an ordinary word is a town
        if named or (ends and _CONDITIONS.isdisjoint(words[first:past]) and (told or not plain) and not (article and strength < 2)):
            yield first, past


def _may_be(heard: Utterance, place: int) -> bool:
    """Whether a word may be part of a town's name."""
    word = heard.words[place]
    if heard.kinds[place] & (NUMBER | NUMERAL | FILL | LETTER | MONTH):
        return False
    return word[0].isalpha() and len(word) > 2 and (word not in GRAMMAR or word == "saint") and not word.endswith("day")


def _scan_sites(heard: Utterance) -> Iterator[Stretch]:
    """``at swedish hospital``: a place of care whose name follows a preposition with no article."""
    words, gaps, count = heard.words, heard.gaps, len(heard.words)
    for place in range(1, count):
        kind = words[place] in _CARE or (words[place - 1] == "medical" and words[place] in {"center", "centre"})
        if not kind:
            continue
        last = place - (words[place] not in _CARE)
        first = last
        while (
            first > 0 and last - first < LONGEST and gaps[first] == SOFT and _may_be(heard, first - 1) and words[first - 1] not in _TOWARDS
        ):
            first -= 1
        if not 0 < first < last or words[first - 1] not in _TOWARDS or gaps[first] != SOFT:
            continue
        if not all(word in _SORTS or is_ordinary(word) or word.endswith(_FIELDS) for word in words[first:last]):
            yield first, place + 1


RULES: Final = (
    SpokenRule(
        name="town",
        entity="LOCATION",
        needs=0,
        scan=_scan_towns,
        hits=(
            "i live in reading", "she was born in mobile and grew up there", "he grew up in rapid city",
            "we moved to buffalo last year", "i'm from concord originally", "my sister in boulder",
            "i drive down from flint so afternoons are better",
            "we're out in surrey", "the clinic in providence sent me", "they live over in uh salt lake", "the city of orange",
            "i'm calling from boulder, you know", "i live in the bronx",
            "we just moved here from concord", "my pharmacy is in boulder", "she comes from saskatoon",
        ),
        misses=(
            "i live in pain", "she lives in a house", "he was born in march", "living in assisted living", "we moved to tuesday",
            "i moved to sit", "it broke out in hives", "i'm from work", "the pain is from overuse", "calling from home",
            "my brother in law", "she lives in fear", "i was born in the hospital", "he moved to the left", "the clinic in person",
            "i live in constant pain",
            "raised in the morning", "part of the city of course", "i'm in a lot of pain", "i live in the country", "i live in the woods",
            "i drove from work to here", "it comes from stress", "my office is in order", "he moved over to the side",
            "she came from work",
        ),
        score=0.5,
    ),
    SpokenRule(
        name="site",
        entity="LOCATION",
        needs=0,
        scan=_scan_sites,
        hits=(
            "i was referred from swedish hospital", "they took me to desert springs medical center",
            "she had it done at mercy hospital last week",
            "the scan at royal oak infirmary",
        ),
        misses=(
            "i was in the hospital", "at a fertility clinic", "from urgent care", "to general hospital", "at dermatology clinic",
            "in hospital",
            "i went to my clinic", "admitted to hospital", "at the best hospital in town", "in and out of hospital",
        ),
        score=0.5,
    ),
)  # fmt: skip
"""Rules for towns and places of care."""
