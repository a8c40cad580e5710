"""How digits, codes, dates, mail addresses and names come out of a mouth and through speech recognition."""

from __future__ import annotations

import random
import re
from functools import cache
from typing import Final

from phi_guard.detect.training.lists import words

LANGUAGES: Final = ("en", "fr", "de")
_SPEECH: Final = words("speech.txt")
DIGITS: Final = {language: _SPEECH[f"digit {language}"] for language in LANGUAGES}
MONTHS: Final = {language: _SPEECH[f"month {language}"] for language in LANGUAGES}
"""Names of digits and months, in lower case, by language."""
_READ_ALOUD: Final = tuple(
    (re.compile(pattern), said)
    for pattern, said in (
        (r"\bDr\.", "doctor"),
        (r"\bMr\.", "mister"),
        (r"\bMrs\.", "missus"),
        (r"\bMs\.", "miss"),
        ("°F?", " degrees "),
        ("%", " percent"),
        (r"[$](\d[\d,.]*)", r"\1 dollars"),
        (r"\b(\d+) ?mg\b", r"\1 milligrams"),
        (r"\b(\d+) ?mcg\b", r"\1 micrograms"),
        (r"\b(\d+) ?kg\b", r"\1 kilos"),
        (r"\b911\b", "nine one one"),
        (r"\b24/7\b", "twenty four seven"),
        (r"(?<=\d)/(?=\d)", " over "),
        (r"\b(\d\d):00\b", r"\1 hundred"),
    )
)
"""Signs of written text and how they are said, in order."""
_NUMBER: Final = re.compile(r"\d+(?:[.,]\d+)*")


@cache
def number(value: int, language: str = "en") -> str:
    """The number in words, without hyphens, as recognised speech has it."""
    from num2words import num2words  # noqa: PLC0415 - of the training extra

    return str(num2words(value, lang=language)).replace("-", " ").replace(",", "").replace(" and ", " ")


@cache
def ordinal(day: int) -> str:
    """An English ordinal below 100 in words."""
    if day < 20:
        return _SPEECH["ordinal"][day]
    tens, rest = divmod(day, 10)
    return f"{number(tens * 10)} {_SPEECH['ordinal'][rest]}" if rest else f"{number(day)[:-1]}ieth"


def digits(value: str, rng: random.Random, language: str = "en") -> str:
    """A string of digits as one says it: one by one, in pairs or groups, with doubles, hundreds and ``oh``.

    Args:
        value: digits; what is not a digit parts the groups.
        rng: source of chance.
        language: ``en``, ``fr`` or ``de``.
    """
    groups = re.findall(r"\d+", value)
    if language == "fr" and rng.random() < 0.7:
        return " ".join(_french_pairs(group) for group in groups)
    if language == "de" and rng.random() < 0.2:
        return " ".join(" ".join(_pair(group[i : i + 2], "de") for i in range(0, len(group), 2)) for group in groups)
    way = rng.choices(("single", "mixed", "pairs", "double", "signs"), (58, 12, 8, 18, 4))[0] if language == "en" else "single"
    oh = "oh" if language == "en" and rng.random() < 0.55 else DIGITS[language][0]
    if rng.random() < 0.04 and language == "en":
        oh = "o"
    said: list[str] = []
    for group in groups:
        if way == "signs":
            said.append(" ".join(group))
        elif way == "pairs" or (way == "mixed" and rng.random() < 0.5):
            said.append(_grouped(group, rng, oh))
        else:
            said.append(_one_by_one(group, language, oh, doubles=way == "double"))
    joined = rng.choices((" ", ", ", " dash ", " then ", " and "), (88, 6, 3, 2, 1))[0].join(said) if language == "en" else " ".join(said)
    return _misheard(joined, rng) if language == "en" and rng.random() < 0.04 else joined


def letters(word: str, rng: random.Random) -> str:
    """A word spelled out, one letter after the other, in one of the ways callers spell."""
    signs = [char for char in word.lower() if char.isalnum()]
    way = rng.choices(("plain", "hyphen", "as in", "for", "nato", "mixed", "caps", "dots"), (36, 14, 14, 8, 6, 14, 5, 3))[0]
    if way == "hyphen":
        return "-".join(signs)
    if way == "dots":
        return ". ".join(char.upper() for char in signs)
    if way == "caps":
        return " ".join(char.upper() for char in signs)
    said: list[str] = []
    skip = False
    for place, char in enumerate(signs):
        if skip:
            skip = False
            continue
        if way == "plain" and place + 1 < len(signs) and signs[place + 1] == char and rng.random() < 0.5:
            said.append(f"double {char}")
            skip = True
        else:
            said.append(_letter(char, way, rng))
    return " ".join(said)


def code(value: str, rng: random.Random, language: str = "en") -> str:
    """A code of letters and digits read aloud; runs of digits as `digits`, short runs of letters one by one."""
    said: list[str] = []
    way = rng.choices(("plain", "as in", "nato", "mixed"), (72, 8, 8, 12))[0]
    dash = rng.random() < 0.35
    for run in re.findall(r"\d+|[^\W\d_]+|[-/.:]", value):
        if run.isdigit():
            said.append(digits(run, rng, language))
        elif run in "-/.:":
            if dash:
                said.append({"-": "dash", "/": "slash", ".": "dot", ":": "colon"}[run])
        elif len(run) > 4:
            said.append(run.lower())
        else:
            said.append(" ".join(_letter(char.lower(), way, rng) for char in run))
    return " ".join(said)


def date(year: int, month: int, day: int, rng: random.Random, *, language: str = "en", with_year: bool = True) -> str:
    """A calendar date as one says it."""
    name = MONTHS[language][month - 1]
    if language == "fr":
        return f"{'premier' if day == 1 else number(day, 'fr')} {name}" + (f" {number(year, 'fr')}" if with_year else "")
    if language == "de":
        from num2words import num2words  # noqa: PLC0415 - of the training extra

        spoken_day = f"{num2words(day, lang='de', to='ordinal')}{rng.choice(('r', 'n', 'r', ''))}"
        spoken_month = name if rng.random() < 0.75 else f"{num2words(month, lang='de', to='ordinal')}r"
        return f"{spoken_day} {spoken_month}" + (f" {_german_year(year)}" if with_year else "")
    said_year = spoken_year(year, rng) if with_year else ""
    form = rng.randrange(12)
    if form < 5:
        out = f"{name} {ordinal(day)} {said_year}"
    elif form == 5:
        out = f"the {ordinal(day)} of {name} {said_year}"
    elif form == 6:
        out = f"{ordinal(day)} {name} {said_year}"
    elif form == 7:
        out = f"{number(day)} {name} {said_year}"
    elif form == 8:
        out = f"{name} the {ordinal(day)} {said_year}"
    elif form == 9 and with_year:
        out = f"{_small(month, rng)} {_small(day, rng)} {said_year}"
    elif form == 10 and with_year:
        out = (
            f"{number(month)} {rng.choice(('slash', 'dash', 'stroke'))} {number(day)} {rng.choice(('slash', 'dash', 'stroke'))} {said_year}"
        )
    else:
        out = f"{name} {number(day)} {said_year}"
    return out.strip()


def mail(address: str, rng: random.Random, language: str = "en") -> str:
    """A mail or web address read aloud, at times spelled, its digits as words."""
    at, dot = {"en": ("at", "dot"), "fr": ("arobase", "point"), "de": ("ät", "punkt")}[language]
    local, _, domain = address.lower().partition("@")
    said: list[str] = []
    for run in re.findall(r"\d+|[^\W\d_]+|[^\w\s]|_", local):
        if run.isdigit():
            said.append(digits(run, rng, language) if len(run) != 4 or rng.random() < 0.5 else spoken_year(int(run), rng))
        elif run.isalpha():
            said.append(" ".join(run) if len(run) <= 2 or rng.random() < 0.08 else letters(run, rng) if rng.random() < 0.06 else run)
        else:
            said.append(
                {
                    ".": dot,
                    "_": rng.choice(("underscore", "under score")),
                    "-": rng.choice(("dash", "hyphen")),
                    "+": "plus",
                    "/": "slash",
                }.get(run, "")
            )
    if domain and language == "en" and rng.random() < 0.05:
        said.append(rng.choice(("all one word", "no dots", "all lower case", "with no space")))
    if domain:
        host = domain.replace(".", f" {dot} ").replace("-", " dash ")
        if host.startswith("gmail") and rng.random() < 0.1:
            host = host.replace("gmail", rng.choice(("g mail", "g-mail", "g m a i l", "gee mail")), 1)
        said += [rng.choice((at, at, at, "at sign")) if language == "en" else at, host]
    return " ".join(" ".join(said).split())


def hesitant(value: str, rng: random.Random, language: str = "en", *, spoken: bool = True) -> str:
    """The value with fillers in it, or begun twice and corrected; all of it belongs to the value.

    Args:
        value: at least two words, else it is given back as it is.
        rng: source of chance.
        language: ``en``, ``fr`` or ``de``.
        spoken: False keeps to commas and points, as a transcript with punctuation has them.
    """
    said = value.split(" ")
    if len(said) < 2:
        return value
    comma = "" if spoken else ","
    if rng.random() < 0.62:
        for _ in range(rng.choice((1, 1, 1, 2, 2, 3))):
            place = rng.randrange(1, len(said))
            said.insert(place, f"{rng.choice(_SPEECH[f'filler {language}'])}{comma}")
        return " ".join(said)
    turn = rng.randrange(1, len(said))
    restart = f"{rng.choice(_SPEECH[f'restart {language}'])}{comma}"
    back = rng.choice((0, 0, max(0, turn - 1), max(0, turn - 2), max(0, turn - 3)))
    wrong = list(said[:turn])
    if rng.random() < 0.5:
        wrong[-1] = rng.choice((said[-1], wrong[-1], rng.choice(said)))
    return " ".join([*wrong, restart, *said[back:]])


def plain_speech(text: str, *, keep_case: bool = False) -> str:
    """Harmless text as recognised speech: numbers in words, no punctuation, lower case."""
    for sign, said in _READ_ALOUD:
        text = sign.sub(said, text)
    text = _NUMBER.sub(_number_match, text)
    text = re.sub(r"[^\w\s'’À-ɏ-]", " ", text)
    return text if keep_case else text.lower()


def worn(text: str, rng: random.Random) -> str:
    """Text that speech recognition or a hasty typist spoiled a little: a word cut, doubled, or with two letters swapped."""
    said = text.split(" ")
    for _ in range(rng.choice((1, 1, 2))):
        place = rng.randrange(len(said))
        word = said[place]
        if len(word) < 4 or not word.isalpha():
            continue
        cut = rng.randrange(1, len(word) - 1)
        said[place] = rng.choice(
            (
                word[: cut + 1],
                f"{word[: cut + 1]}-",
                f"{word[: cut + 1]}- {word}",
                word[:cut] + word[cut + 1] + word[cut] + word[cut + 2 :],
                word[:cut] + word[cut + 1 :],
            )
        )
    return " ".join(said)


def _number_match(match: re.Match[str]) -> str:
    run = match.group()
    if re.fullmatch(r"(?:19|20)\d\d", run):
        century, rest = int(run[:2]), int(run[2:])
        return f" {number(century)} {'hundred' if rest == 0 else f'oh {number(rest)}' if rest < 10 else number(rest)} "
    if re.fullmatch(r"1[1-9]\d", run):
        return f" one {number(int(run[1:]))} "
    if run.isdigit() and len(run) <= 6 and not (run.startswith("0") and len(run) > 1):
        return f" {number(int(run))} "
    return " " + " ".join("point" if char in ".," else DIGITS["en"][int(char)] for char in run) + " "


def _misheard(said: str, rng: random.Random) -> str:
    alike = {
        "four": "for",
        "two": rng.choice(("to", "too")),
        "eight": "ate",
        "one": "won",
        "oh": "o",
        "zero": "0",
        "six": "sex",
        "nine": "9",
    }
    return " ".join(alike.get(word, word) if rng.random() < 0.5 else word for word in said.split(" "))


def _one_by_one(group: str, language: str, oh: str, *, doubles: bool) -> str:
    said: list[str] = []
    place = 0
    while place < len(group):
        word = oh if group[place] == "0" else DIGITS[language][int(group[place])]
        run = len(group[place:]) - len(group[place:].lstrip(group[place]))
        if doubles and run >= 3:
            said.append(f"triple {word}")
            place += 3
        elif doubles and run == 2:
            said.append(f"double {word}")
            place += 2
        else:
            said.append(word)
            place += 1
    return " ".join(said)


def _grouped(group: str, rng: random.Random, oh: str) -> str:
    if len(group) >= 3 and group.endswith("00") and group[-3] != "0" and rng.random() < 0.7:
        rest = _grouped(group[:-3], rng, oh) if len(group) > 3 else ""
        return f"{rest} {DIGITS['en'][int(group[-3])]} hundred".strip()
    if len(group) == 4 and group.endswith("000"):
        return f"{DIGITS['en'][int(group[0])]} thousand"
    if len(group) == 3 and group[0] != "0" and rng.random() < 0.5:
        return f"{DIGITS['en'][int(group[0])]} {_pair(group[1:], 'en', oh)}"
    head = group[: len(group) % 2]
    pairs = [_pair(group[i : i + 2], "en", oh) for i in range(len(head), len(group), 2)]
    return " ".join([*([DIGITS["en"][int(head)]] if head else []), *pairs])


def _pair(two: str, language: str, oh: str = "") -> str:
    if len(two) < 2 or two[0] == "0":
        return " ".join((oh or DIGITS[language][0]) if char == "0" else DIGITS[language][int(char)] for char in two)
    return number(int(two), language)


def _french_pairs(group: str) -> str:
    cut = len(group) % 2
    parts = [group[:cut]] if cut else []
    parts += [group[i : i + 2] for i in range(cut, len(group), 2)]
    return " ".join(_pair(part, "fr") for part in parts)


def _letter(char: str, way: str, rng: random.Random) -> str:
    if not ("a" <= char <= "z"):
        return DIGITS["en"][int(char)] if char.isdigit() and char.isascii() else char
    place = ord(char) - 97
    chosen = way if way != "mixed" else rng.choice(("plain", "plain", "as in", "for"))
    if chosen == "nato":
        return _SPEECH["nato"][place]
    if chosen in {"as in", "for"}:
        example = rng.choice(_SPEECH["for letter"][place].split("/"))
        return f"{char} {rng.choice(('as in', 'like in', 'as in', 'like')) if chosen == 'as in' else 'for'} {example}"
    return char


def spoken_year(year: int, rng: random.Random) -> str:
    """An English year as one says it, at times without its century."""
    century, rest = divmod(year, 100)
    if rng.random() < 0.12 and 1920 <= year < 2000:
        return number(rest)
    if 2000 <= year < 2010 or (2000 <= year < 2030 and rng.random() < 0.4):
        return ("two thousand " + (("and " if rng.random() < 0.2 else "") + number(rest) if rest else "")).strip()
    if rest == 0:
        return f"{number(century)} hundred"
    return f"{number(century)} {'oh ' if rest < 10 else ''}{number(rest)}"


def _german_year(year: int) -> str:
    century, rest = divmod(year, 100)
    if year >= 2000:
        return number(year, "de")
    return f"{number(century, 'de')}hundert{number(rest, 'de') if rest else ''}"


def _small(value: int, rng: random.Random) -> str:
    return f"{rng.choice(('oh', 'zero'))} {number(value)}" if value < 10 and rng.random() < 0.5 else number(value)
