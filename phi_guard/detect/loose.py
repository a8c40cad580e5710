"""Undoes what pulls words apart or bends their letters: underscores, letters spaced out, line breaks in numbers, words backwards, ``J0hn``.

Ordinary texts have none of it, and are not read a second time: `may_be_loose` tells at little cost.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from typing import Final, TypeAlias

from phi_guard.detect.reading import Reading

_Edit: TypeAlias = tuple[int, int, str]

SPREAD_MIN: Final = 7
"""Single characters in a row, with signs between them that nobody puts there, from which a run counts as found whatever it says."""
SPACED_MIN: Final = 4
"""Single characters in a row that are taken for something spelled out; three are an abbreviation (``b.i.d.``)."""

# Each expression below begins with the one set of characters it may start at, and looks back from there: a text without any is passed
# over in the time it takes to look at its characters.
_JOINT: Final = re.compile(
    r"[_+=](?<=[^\W_].)(?=[^\W_])(?![a-z]{2,20}:)"  # not the label of a speaker: Guest_family:
    r"|_(?<![^\W_]_)(?=[^\W_])|_(?<=[^\W_]_)(?![\w:])|\+(?<=[,)]\+)(?=[^\W_])|\+(?<=[^\W_]\+)(?=\()"
    r"|\.(?<=[^\W\d_][^\W_]\.)(?=\d|[^\W_]{2})(?!(?:com|org|net|edu|gov|info|co|io|ch|fr|de|uk|ca|us|pdf|html?|txt|json|csv|py|js)\b)"
    r"|\.(?<=[,)]\.)(?=[^\W_])"
)
_SPACED_SIGN: Final = re.compile(r"[\W_](?<=(?<![^\W_])[^\W_].)[\W_]{0,11}[^\W_][\W_]{1,12}[^\W_](?![^\W_])")
_SPACED: Final = re.compile(rf"(?<![^\W_])[^\W_](?![^\W_])(?:[\W_]{{1,12}}[^\W_](?![^\W_])){{{SPACED_MIN - 1},}}")
_ORDINARY_GAP: Final = re.compile(r",?\s{0,2}|\.\s")
_BETWEEN: Final = re.compile(r"[\W_]+")
_BROKEN: Final = re.compile(r"\n(?<=[\w.+@-]\n)(?=[\w.+@-])")
_NUMBER_BROKEN: Final = re.compile(r"[+(\d][\d() ./-]{0,24}\n[\d() ./-]{1,24}")
_EMAIL_BROKEN: Final = re.compile(r"[\w.+-]{1,64}(?:@[\w.-]{0,64})?\n[\w.+-]{1,64}(?:@[\w.-]{1,64})?")
_CAPITAL_LAST: Final = re.compile(r"[A-Z](?<=[a-z][a-z].)(?![^\W_])")
_BACKWARDS: Final = re.compile(
    r"(?<![^\W_])(?:\d{1,4}[ ,]{1,2}){0,3}[a-z]{2,30}[A-Z](?![^\W_])(?:[ ,]{1,2}(?:[a-z]{1,30}[A-Z]|[\d,]{1,10})(?![^\W_])){0,6}"
)
_DATE_BACKWARDS: Final = re.compile(
    r"(?<!\d)(?!19|20)\d\d(?:91|02)/\d{1,2}/\d{1,2}(?!\d)|(?<!\d)\d{1,2}/\d{1,2}/(?!19|20)\d\d(?:91|02)(?!\d)|(?<![\d/])[4-9]\d/[01]?\d/\d{1,2}(?![\d/])"
)
_EMAIL_BACKWARDS: Final = re.compile(
    r"(?<![\w.@+-])(?:moc|gro|ten|ude|vog|ofni|oi|hc|rf|ed|ku|ac|su|elpmaxe|tset)\.[\w.-]{1,64}@[\w.+-]{1,64}(?![\w@])"
)
_LEET_SIGN: Final = re.compile(r"[0134578@$!|](?<=[A-Za-z].)[0134578@$!|]?[A-Za-z]")
_LEET: Final = re.compile(r"(?<![\w@$!|.-])[A-Za-z0-9@$!|]{2,40}(?![\w@$|])")
_LETTER: Final = {"0": "o", "3": "e", "4": "a", "5": "s", "7": "t", "8": "b", "@": "a", "$": "s", "|": "l"}
_TERM: Final = re.compile(
    r"(?:hb)?a1c|h\dn\d|[cp]yp\w+|[lstc]\d[lstc]\d|\w?o[234]\w?|\d*(?:mg|mcg|ml|g|kg|st|nd|rd|th|am|pm|hrs?|days?|weeks?|x)\w{0,2}|\d+x\d+|t[12]dm|[a-z][1-9]+[a-z]",
    re.IGNORECASE,
)
_DATE: Final = re.compile(r"\d{1,4}([/.-])\d{1,2}\1\d{1,4}")
_DASHED: Final = re.compile(r"\(?\d{3}\)?([-.])(?:\d{3}\1)?\d{4}|\d{3}([-.])\d\d\2\d{4}|\d\d-\d\d-\d\d")
_EMAIL_PART: Final = re.compile(r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,4}")


def may_be_loose(text: str) -> bool:
    """Whether `tightened` could change the text."""
    return (
        _SPACED_SIGN.search(text) is not None
        or _JOINT.search(text) is not None
        or _CAPITAL_LAST.search(text) is not None
        or _LEET_SIGN.search(text) is not None
        or ("\n" in text and _BROKEN.search(text) is not None)
        or ("/" in text and _DATE_BACKWARDS.search(text) is not None)
        or ("@" in text and _EMAIL_BACKWARDS.search(text) is not None)
    )


def tightened(reading: Reading) -> Reading:
    """The reading with its words put together again. What is left may be too much: a reading is judged beside the text, never instead.

    Cost: linear in the text.
    """
    for edits in (_broken, _spaced, _joints, _backwards, _leet):
        reading = reading.edited(edits(reading.text))
    return reading


def _joints(text: str) -> Iterator[_Edit]:
    """Underscores, plus signs and full stops between words become spaces, between digits a hyphen; an address is left alone."""
    for match in _JOINT.finditer(text):
        at = match.start()
        if _in_address(text, at, url=match.group() == "."):
            continue
        digits = text[at - 1 : at].isdecimal() and text[at + 1 : at + 2].isdecimal()
        yield at, at + 1, "-" if digits and match.group() == "_" else " "


def _in_address(text: str, at: int, *, url: bool) -> bool:
    """Whether a sign stands in an e-mail address or, where that is asked too, in a URL; as far as one looks."""
    before, after = text[max(0, at - 64) : at], text[at : at + 64]
    left = before.rsplit(maxsplit=1)[-1] if before and not before[-1].isspace() else ""
    right = after.split(maxsplit=1)[0]
    return "@" in left or "@" in right or (url and ("/" in left or left.startswith("www.")))


def _spaced(text: str) -> Iterator[_Edit]:
    """Single characters in a row are put together, where one and the same separator stands between most of them."""
    if _SPACED_SIGN.search(text) is None:
        return
    for match in _SPACED.finditer(text):
        start, run = match.start(), match.group()
        if run[:2] in {"a ", "A ", "I "} and sum(map(str.isalnum, run)) <= SPACED_MIN:
            continue  # "I see a P C P"
        places = [at for at, char in enumerate(run) if char.isalnum() and char != "_"]
        gaps = [(left + 1, right, run[left + 1 : right]) for left, right in pairwise(places)]
        least = min((gap for _, _, gap in gaps), key=len)
        if len(least) == 3 and least[0] == least[2] == " ":  # 4 * 1 * 5: the spaces belong to the sign
            gaps = [(left, right, gap.replace(least, least[1])) for left, right, gap in gaps]
        mark = Counter(gap[0] for _, _, gap in gaps).most_common(1)[0][0]
        spaced = sum(set(gap[::2]) == {mark} for _, _, gap in gaps)
        if all(gap != mark for _, _, gap in gaps) or 2 * spaced < len(gaps) or _counted(run):
            continue
        for left, right, gap in gaps:
            if set(gap[::2]) == {mark}:
                yield start + left, start + right, gap[1::2]
            elif gap.isspace():
                yield start + left, start + right, " "


def spread(text: str) -> Iterator[tuple[int, int]]:
    """Where single characters stand in a long row with signs between them, not only spaces, commas and full stops."""
    if _SPACED_SIGN.search(text) is None:
        return
    for match in _SPACED.finditer(text):
        run = match.group()
        places = [at for at, char in enumerate(run) if char.isalnum()]
        gaps = [run[left + 1 : right] for left, right in pairwise(places)]
        odd = sum(_ORDINARY_GAP.fullmatch(gap) is None for gap in gaps)
        if len(places) >= SPREAD_MIN and 2 * odd >= len(gaps) and not _counted(run):
            yield match.span()


def _counted(run: str) -> bool:
    """Whether the characters are counted off, all in the same way: 1 2 3 4, a/b/c/d; not 1/2/3/-/4/5."""
    codes = [ord(char) for char in run.lower() if char.isalnum()]
    return all(b - a == 1 for a, b in pairwise(codes)) and len(set(_BETWEEN.findall(run))) == 1


def _broken(text: str) -> Iterator[_Edit]:
    """A line break inside a number or an address goes, where what is then in one piece has the form of one."""
    if "\n" not in text or _BROKEN.search(text) is None:
        return
    for pattern, is_whole in ((_NUMBER_BROKEN, _is_number), (_EMAIL_BROKEN, _is_email)):
        done = -1
        for match in pattern.finditer(text):
            left, _, right = match.group().partition("\n")
            at = match.start() + len(left)
            if at > done and is_whole(left, right):
                yield at, at + 1, ""
                done = at
        if done >= 0:
            return  # edits stay in order; a text with both kinds broken is read for its numbers


def _is_number(left: str, right: str) -> bool:
    """A date, a number with hyphens, one that begins as a telephone number does, or one long run; not two rows of a table."""
    near, far = left.rsplit(maxsplit=1)[-1:] or [""], right.split(maxsplit=1)[:1] or [""]
    if left[-1:] == " " or right[:1] == " ":
        return False
    seam = near[0] + far[0]
    digits = sum(map(str.isdecimal, left + right))
    if _DATE.fullmatch(seam) or _DASHED.fullmatch(seam):
        return True
    if left[0] in "0+(" and 9 <= digits <= 15:
        return True
    return seam.isdecimal() and len(seam) >= 7 and max(len(near[0]), len(far[0])) >= 5


def _is_email(left: str, right: str) -> bool:
    """An address that lacks its end or its beginning on either line alone."""
    if _EMAIL_PART.fullmatch((left + right).rstrip(".")) is None:
        return False
    if "@" in left:
        domain = left.rpartition("@")[2]
        return "." not in domain or domain.endswith(".") or right.startswith(".")
    return any(char in "._+-" for char in left[:-1]) or right.startswith("@")


def _backwards(text: str) -> Iterator[_Edit]:
    """A run of words that end in a capital, a date whose year ends in 19 or 20, and an address that begins with its domain are turned."""
    found: list[_Edit] = []
    patterns: tuple[tuple[re.Pattern[str], bool], ...] = (
        (_BACKWARDS, _CAPITAL_LAST.search(text) is not None), (_DATE_BACKWARDS, "/" in text), (_EMAIL_BACKWARDS, "@" in text),
    )  # fmt: skip
    for pattern, worth in patterns:
        if worth:
            found += [(*match.span(), match.group()[::-1]) for match in pattern.finditer(text)]
    end = 0
    for edit in sorted(found):
        if edit[0] >= end:
            # One character for one would point each at its mirror image: what is found must cover the run, so it goes as a whole.
            yield edit[0], edit[1], edit[2] + " "
            end = edit[1]


def _leet(text: str) -> Iterator[_Edit]:
    """Digits and signs inside a word become the letters they stand for, where the word is no term or dose; likewise in words beside it."""
    if _LEET_SIGN.search(text) is None:
        return
    found = [match for match in _LEET.finditer(text) if not match.group().isalpha() and not match.group().isdecimal()]
    sure = [_is_leet(match.group(), text[match.end() : match.end() + 1]) for match in found]
    for at, match in enumerate(found):
        beside = at > 0 and sure[at - 1] and match.start() - found[at - 1].end() == 1
        beside = beside or (at + 1 < len(found) and sure[at + 1] and found[at + 1].start() - match.end() == 1)
        if sure[at] or beside:
            word = "".join(_letters(match.group()))
            if word != match.group():
                yield (*match.span(), word)


def _is_leet(token: str, after: str) -> bool:
    if _LEET_SIGN.search(token) is None or _TERM.fullmatch(token) or ("@" in token and after in {".", "-"}):
        return False
    letters, digits = sum(map(str.isalpha, token)), sum(map(str.isdecimal, token))
    return letters >= 2 and digits <= 2 * letters


def _letters(token: str) -> Iterator[str]:
    before = ""
    for at, char in enumerate(token):
        if char in "1!":  # i after a consonant, l after a vowel or before another
            double = token[at + 1 : at + 2] == char or token[at - 1 : at] == char
            before = "l" if double or before.lower() in set("aeou") else "i"
        else:
            before = _LETTER.get(char, char)
        yield before
