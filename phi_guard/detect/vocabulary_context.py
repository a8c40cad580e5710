"""What the words around it say of a word that may be a name."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final

UNKNOWN: Final = "?"
"""Kinds of a word on no list."""


def headed(path: Path) -> dict[str, tuple[str, ...]]:
    """The words of a file under each ``[heading]``, in order; a line that begins with ``;`` is left out.

    Raises:
        ValueError: a word stands before the first heading.
    """
    found: dict[str, tuple[str, ...]] = {}
    heading = ""
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if line.startswith("["):
            heading = line.strip("[]")
            found[heading] = ()
        elif line and not line.startswith(";"):
            if not heading:
                msg = f"{path.name}, line {number}: stands before the first [heading]; put it under one"
                raise ValueError(msg)
            found[heading] += tuple(line.split())
    return found


_SAID: Final = headed(Path(__file__).parent / "words" / "context.txt")
MONTHS: Final = frozenset(_SAID["months"])
STREETS: Final = frozenset(_SAID["streets"])
NUMBERS: Final = frozenset(_SAID["numbers"])
_MODALS: Final = frozenset(_SAID["modals"])
_BEFORE_MONTH: Final = frozenset(_SAID["dating"]) | NUMBERS
_BEFORE: Final = frozenset(_SAID["determiners"])
_SUBJECTS: Final = frozenset(_SAID["subjects"])
_VERBS: Final = frozenset(_SAID["verbs"])
_AFTER: Final = frozenset(_SAID["objects"])
_SLOT_BEFORE: Final = frozenset(_SAID["slot before"])
_SLOT_AFTER: Final = frozenset(_SAID["slot after"])
_SPEAKING: Final = frozenset(_SAID["speaking"])
_ACTS: Final = frozenset(_SAID["acts"])
_ADJECTIVES: Final = frozenset(_SAID["adjectives"])
_COPULAS: Final = frozenset(_SAID["copulas"])
_CAPITAL: Final = frozenset(_SAID["capital"])
_TITLES: Final = frozenset(_SAID["titles"])
_LABELS: Final = frozenset(_SAID["labels"])
_NAMED: Final = frozenset(_SAID["named"])
_PRESENTED: Final = frozenset(_SAID["presented"])
_DISEASE: Final = frozenset(_SAID["disease"])
_AFFLICTION: Final = frozenset(_SAID["affliction"])
_STRONG_SLOT: Final = frozenset(_SAID["strong slot"])
_FIELDS: Final = frozenset(_SAID["fields"])
BARE: Final = frozenset(_SAID["bare"])
"""Certain words that are also names: `VettedDetector` lets a network have its say of them."""
_SHORT: Final = frozenset(_SAID["short"])
_UNNAMED: Final = frozenset(_SAID["unnamed"])
_WHOSE_NAME: Final = frozenset(_SAID["whose name"])
_POSSESSED: Final = frozenset(_SAID["possessed"])
_HONORIFICS: Final = frozenset(_SAID["honorifics"])
_AFTER_TITLE: Final = frozenset(_SAID["after title"]) | _SUBJECTS | _BEFORE
_ABBREVIATED: Final = frozenset({"mr", "mrs", "ms", "mx", "dr"})
_ADDRESSING: Final = frozenset({"sir", "madam"})
_NAME: Final = frozenset({"name", "surname", "firstname", "lastname"})
_COLLOCATIONS: Final = frozenset(zip(_SAID["collocations"][::2], _SAID["collocations"][1::2], strict=True))
_SPACE: Final = re.compile(r"[\s.\-]{1,3}")
_CAPITALS: Final = re.compile(r"[^\W\d_a-z][^\W\d_]{0,40} [^\W\d_a-z][^\W\d_A-Z]{1,40}")  # a surname that is a certain word: Ada Case
_GAP: Final = re.compile(r"[\s._:=\"'“,]{1,8}")
_CLAUSE_END: Final = re.compile(r"\s{0,4}(?:\Z|[,.;!?\n\r\"'”}\])|/])")
LONGEST_FIELD: Final = 3
"""Words of a text that may be nothing but a name."""
CUES: Final = {"call"} | _TITLES | _LABELS | _NAME | _STRONG_SLOT | _SPEAKING | _ACTS
"""Where none of these stands in a text of more than `LONGEST_FIELD` words, a certain word is no name."""


@dataclass(slots=True)
class Word:
    """One word of a text, and what it is.

    Args:
        start, end: its place.
        raw: as written.
        lower: in lower case.
        kinds: empty where it is harmless, `UNKNOWN`, or the kinds of ``doubtful.txt``.
    """

    start: int
    end: int
    raw: str
    lower: str
    kinds: str


def counting(text: str, words: list[Word], own: Collection[str] = ()) -> Iterator[Word]:
    """The words that count as a name or as unknown where they stand, in order.

    Args:
        text: the whole text.
        words: all its words in order.
        own: lower-case words of the policy's closed lists: a field that holds one is no name.
    """
    bare = _is_field_of_names(text, words) and not any(word.lower in own for word in words)
    cased = 2 * sum(map(str.isupper, text)) < sum(map(str.islower, text)) and sum(w.raw[0].isupper() for w in words) <= 0.7 * len(words) + 1
    counted = False  # whether the word before counts
    for i, word in enumerate(words):
        if not word.kinds:
            counted = counted and cased and _CAPITALS.fullmatch(text, words[i - 1].start, word.end) is not None
            counted = counted or (bare and len(word.raw) > 1) or (len(word.raw) > 1 and _is_named(text, words, i, cased=cased))
            if counted:
                yield word
            continue
        if word.kinds == UNKNOWN or bare:
            counted = True
        else:
            counted = _counts(
                text, words, i, cased=cased, joined=counted and _SPACE.fullmatch(text, words[i - 1].end, word.start) is not None
            )
        if counted:
            yield word


def _counts(text: str, words: list[Word], i: int, *, cased: bool, joined: bool) -> bool:
    """Whether a doubtful word is a name here; `joined` says that the word right before it is."""
    word = words[i]
    before = words[i - 1].lower if i else ""
    then = words[i + 1] if i + 1 < len(words) else None
    after = then.lower if then else ""
    titled = before in _TITLES and word.lower not in _MODALS
    labelled = before in _LABELS and any(mark in text[words[i - 1].end : word.start] for mark in ":=")
    if titled or labelled or before in _NAMED or (before == "is" and i >= 2 and words[i - 2].lower == "name"):
        return True
    if "e" in word.kinds and (after in _DISEASE or word.lower.removesuffix("'s").removesuffix("’s") in _AFFLICTION - {word.lower}):
        return False
    if word.kinds == "e":
        return True
    if word.lower in MONTHS and (before in _BEFORE_MONTH or before.isdigit() or after in NUMBERS or after[:1].isdigit()):
        return False
    if (word.lower, after) in _COLLOCATIONS or (before, word.lower) in _COLLOCATIONS:
        return False
    strong = "!" in word.kinds
    follows = then is not None and _SPACE.fullmatch(text, word.end, then.start) is not None
    if joined and ("s" in word.kinds or strong) and word.lower not in _MODALS:
        return True
    if follows and then is not None and "g" in word.kinds and (then.kinds in {UNKNOWN, "e"} or "!" in then.kinds):
        return True
    if cased and word.raw[0].isupper() and not word.raw.isupper() and word.lower not in _CAPITAL and not _begins(text, word.start):
        return True
    if follows and after in _POSSESSED and word.lower[-2:] in {"'s", "’s"}:
        return True
    strongly = before in _STRONG_SLOT and (not follows or after in _SLOT_AFTER)
    if (strongly or (before == "call" and follows and after in _SLOT_AFTER)) and word.lower not in _MODALS | _ADJECTIVES:
        return True
    if strong:
        spoken_to = before == "to" and i >= 2 and words[i - 2].lower in _SPEAKING
        verb = before in _SUBJECTS and word.lower in _VERBS and not spoken_to
        return not verb and before not in _BEFORE and (after not in _AFTER or not follows)
    if "+" in word.kinds and word.lower not in _MODALS:
        if before in _SLOT_BEFORE and (not follows or after in _SLOT_AFTER):
            return word.lower not in _ADJECTIVES or before not in _COPULAS
        return _begins(text, word.start) and follows and after in _ACTS
    return "g" in word.kinds and before in _COPULAS and after in _PRESENTED


def _is_field_of_names(text: str, words: list[Word]) -> bool:
    """Whether the whole text is nothing but words that are also names, and initials."""
    if not words or len(words) > LONGEST_FIELD or any((a.lower, b.lower) in _COLLOCATIONS for a, b in pairwise(words)):
        return False
    plain = text.strip()[-1:].isalpha()  # a turn of talk ends with a mark: "Perfect."
    for word in words:
        may_name = (
            word.lower not in _FIELDS if word.kinds else plain and (word.lower in BARE or (word.lower in _SHORT and word.raw[0].isupper()))
        )
        if not may_name and not (len(word.raw) == 1 and word.raw.isalpha()):
            return False
    return True


def _is_named(text: str, words: list[Word], i: int, *, cased: bool) -> bool:
    """Whether a word that is harmless elsewhere is a name here: after a title or a naming cue, or where only a person stands."""
    word = words[i]
    if not word.lower.isalpha():
        return _is_owner(words, i)
    then = words[i + 1] if i + 1 < len(words) else None
    after = then.lower if then is not None and _SPACE.fullmatch(text, word.end, then.start) else ""
    if not i:
        return word.lower in BARE and after in _ACTS
    before, earlier = words[i - 1].lower, words[i - 2].lower if i > 1 else ""
    gap = text[words[i - 1].end : word.start]
    if _GAP.fullmatch(gap) is None:
        return False
    if before in _TITLES:
        return _is_titled(word, before, earlier, after, gap, cased=cased)
    ends = _CLAUSE_END.match(text, word.end) is not None or (after not in {"i", "a", ""} and len(after) == 1)
    may_name = word.lower in BARE or word.lower in _SHORT
    if word.lower in _UNNAMED:
        return False
    if (
        before in _NAME
        and may_name
        and (ends or _may_go_on(then))
        and (earlier in _WHOSE_NAME or before != "name" or ":" in gap or "=" in gap)
    ):
        return True
    if before in {"is", "was"} and earlier in _NAME and (ends or _may_go_on(then)):
        return i > 2 and (words[i - 3].lower in _WHOSE_NAME or words[i - 3].lower.endswith("'s"))
    if cased and before in _SLOT_BEFORE and word.raw[0].isupper() and not word.raw.isupper() and word.lower in BARE and gap == " ":
        return True
    if before in _LABELS and may_name:
        return (any(mark in gap for mark in ":=") and ends and word.lower in BARE) or (gap == " " and after in _ACTS)
    if word.lower not in BARE or word.lower in _ADJECTIVES or not (ends or after in _SLOT_AFTER) or gap != " ":
        return False
    return before in _STRONG_SLOT or (before == "call" and after in _SLOT_AFTER) or (before in {"to", "with"} and earlier in _SPEAKING)


def _is_owner(words: list[Word], i: int) -> bool:
    """Whether a word that is harmless elsewhere owns what a person has in a clinic: ``gift's appointment``."""
    base, mark, ending = words[i].lower.replace("’", "'").partition("'")
    before = words[i - 1].lower if i else ""
    after = words[i + 1].lower if i + 1 < len(words) else ""
    return bool(mark) and ending == "s" and base in BARE and after in _POSSESSED and before not in _BEFORE


def _is_titled(word: Word, before: str, earlier: str, after: str, gap: str, *, cased: bool) -> bool:
    """Whether what stands after a title is a name: nearly always after ``Mr``, seldom after ``doctor``, which is also said alone."""
    if gap.strip(" ") not in ({"", "."} if before in _ABBREVIATED else {""}) or before in _ADDRESSING or earlier.isdigit():
        return False
    if before in _HONORIFICS:
        return word.lower not in {"and", "or"}
    acts = after in _ACTS or (before == "dr" and after == "will")
    if word.lower in _AFTER_TITLE:
        return acts and word.lower in _SHORT and (word.raw[0].isupper() or before == "ms")
    return acts or (cased and word.raw[0].isupper() and not word.raw.isupper())


def _may_go_on(then: Word | None) -> bool:
    """Whether the next word may be the rest of a name."""
    return then is not None and (bool(then.kinds) or then.lower in BARE)


def _begins(text: str, start: int) -> bool:
    """Whether a sentence, a quotation or a line begins here, so that the capital says nothing."""
    while start and text[start - 1] == " ":
        start -= 1
    return not start or text[start - 1] in ".!?:;\n\r\t\"“”'([{*•-–—|>#"
