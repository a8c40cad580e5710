"""Letters written down as the words they sound like: ``bee are oh double you en``, ``see three pee oh``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from phi_guard.detect.speech.lexicon import FILL, JOIN, LETTER, NUMBER, NUMERAL, SOUND
from phi_guard.detect.speech.utterance import SOFT, SpokenRule, Stretch, Utterance

_TELLING: Final = frozenset("bee cee dee eff gee aitch haitch jay kay ell el em en pee cue kew ess tee vee ex zee zed ay ee".split())  # noqa: SIM905
"""Words that in the middle of letters are hardly anything else."""
_DOUBTFUL: Final = frozenset("see sea be are you why eye oh tea pea queue ar i a ok okay".split())  # noqa: SIM905
"""Words that are letters only beside others; ``i see you are`` is talk."""
_PRONOUNS: Final = frozenset({"i", "you", "are"})
"""Letters that make talk of what stands beside them."""
_SPELLING_CUES: Final = frozenset("spelled spelt spell spells spelling name surname initials plate".split())  # noqa: SIM905
_BETWEEN: Final = frozenset("is it's its it that's uh um so as like with".split())  # noqa: SIM905
_BRIDGE: Final = 2
_LONGEST: Final = 24


def _letter(heard: Utterance, place: int) -> int:
    """2 where a word is a letter's name and hardly anything else, 1 where it may be one, 0 where it is none."""
    word = heard.words[place]
    if word in _TELLING or (heard.kinds[place] & LETTER and word not in {"a", "i", "o"}):
        return 2
    if word in _DOUBTFUL or heard.kinds[place] & LETTER:
        return 1
    following = heard.words[place + 1] if place + 1 < len(heard.words) else ""
    return 2 if word in {"double", "triple"} and (following in {"u", "you", "ewe"} or following in _TELLING) else 0


def _scan_sounded(heard: Utterance) -> Iterator[Stretch]:
    if _TELLING.isdisjoint(heard.words) and _SPELLING_CUES.isdisjoint(heard.words):
        return
    place, count = 0, len(heard.words)
    while place < count:
        if not _letter(heard, place) and not heard.kinds[place] & (NUMBER | NUMERAL):
            place += 1
            continue
        first = place
        sure = named = letters = numbers = bridge = 0
        last = place
        while place < count and place - first < _LONGEST and bridge <= _BRIDGE and (place == first or heard.gaps[place] == SOFT):
            told = _letter(heard, place)
            kind = heard.kinds[place]
            if kind & (NUMBER | NUMERAL) and heard.words[place] != "oh":
                numbers += 1
            elif told:
                sure += told == 2
                named += heard.words[place] in _TELLING
                letters += 1
            elif kind & SOUND and numbers:
                pass
            elif kind & (FILL | JOIN):
                place, bridge = place + 1, bridge + 1
                continue
            else:
                break
            last = place = place + 1
            bridge = 0
        place = max(last, first + 1)
        if _is_spelling(heard, first, sure=sure, named=named, letters=letters, numbers=numbers):
            yield first, last


def _is_spelling(heard: Utterance, first: int, *, sure: int, named: int, letters: int, numbers: int) -> bool:
    """Whether what was counted is a word spelled, or a code of letters and digits."""
    talk = not _PRONOUNS.isdisjoint(heard.words[first : first + letters + numbers])
    if named and letters + numbers >= 3 and (sure >= 2 or (sure and numbers >= (2 if talk else 1) and letters + numbers >= 4)):
        return True
    return letters >= 3 and not numbers and sure >= min(1, letters - 3) and _is_cued(heard, first)


def _is_cued(heard: Utterance, first: int) -> bool:
    """Whether a word that announces a spelling stands before, with nothing but ``is`` and fillers between."""
    for place in range(first - 1, max(first - 4, -1), -1):
        if heard.words[place] in _SPELLING_CUES:
            return True
        if heard.words[place] not in _BETWEEN:
            return False
    return False


RULES: Final = (
    SpokenRule(
        name="letters_sounded",
        entity="SPELLED",
        needs=0,
        scan=_scan_sounded,
        hits=(
            "bee are oh double you en", "jay oh en", "dee ay vee eye ess", "see three pee oh", "ay bee see one two three",
            "it's spelled see ay are el", "double you ex why four four", "ell uh ee ee", "my name is see why are you s", "bee four ex nine",
        ),
        misses=(
            "i see you are okay", "why are you", "oh i see", "a cup of tea", "see you", "are you a nurse", "the name is", "two bee stings",
            "my ex and i", "why are you so late", "pee two times", "i have to pee a lot", "jay and kay", "a bee", "i see two or three",
            "how do you spell it", "your name you said", "one eye is red", "the name you see", "i see a bee",
        ),
        score=0.5,
    ),
)  # fmt: skip
"""Rules for letters that were heard as words."""
