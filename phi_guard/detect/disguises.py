"""Undoes what hides characters: entities, tags, URL-encoding, escapes, invisible and combining characters, widths, look-alikes."""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from typing import Final
from urllib.parse import unquote_to_bytes

from phi_guard.detect.confusables import SIGNS, lookalikes
from phi_guard.detect.reading import Reading, as_given

DEPTH_MAX: Final = 4
"""How often a text is decoded again: JSON in JSON, ``%2520``. What is still encoded then is found for that alone."""
CODED: Final = re.compile(
    r"(?P<entity>&(?:[A-Za-z]{2,10}|#[0-9]{1,7}|#[xX][0-9A-Fa-f]{1,6});)"
    r"|(?P<url>(?:%[0-9A-Fa-f]{2})+)"
    r"|(?P<escape>\\u[0-9A-Fa-f]{4}|\\x[0-9A-Fa-f]{2}|\\u\{[0-9A-Fa-f]{1,6}\})"
    r"|(?P<quoted>\\[\"\\/nrt])"
    r"|(?P<tag></?[A-Za-z][A-Za-z0-9]{0,10}(?:\s[^<>]{0,100})?/?>|<!--[^<>]{0,100}-->)"
)
"""One thing that stands for other characters, or for none."""

_DASHES: Final = frozenset("‐‑‒–—―−﹘﹣－")
_SIGN: Final = re.compile(r"[&%\\<]")
_CONTROL: Final = re.compile(r"[\x00-\x08\x0e-\x1b\x7f]")


def may_hide(text: str) -> bool:
    """Whether `read` could change the text."""
    if not text.isascii() or _CONTROL.search(text):
        return True
    return _SIGN.search(text) is not None and CODED.search(text) is not None


def read(text: str) -> Reading:
    """The text as it reads once nothing hides a character; of ``DEPTH_MAX`` encodings one within the other, the last is read.

    Cost: linear in the text.
    """
    reading = as_given(text)
    for _ in range(DEPTH_MAX):
        before = reading.text
        if not may_hide(before):
            break
        reading = _once(reading)
        if reading.text == before:
            break
    return reading


def _once(reading: Reading) -> Reading:
    chars: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    for piece, start, end in _decoded(reading.text):
        folded = piece if piece.isascii() and piece.isprintable() else "".join(map(_folded, piece))
        if folded:
            chars.append(folded)
            starts += [reading.starts[start]] * len(folded)
            ends += [reading.ends[end - 1]] * len(folded)
    text = "".join(chars)
    changed = Reading(text, tuple(starts), tuple(ends))
    return changed if text.isascii() else changed.edited((at, at + 1, letter) for at, letter in lookalikes(text))


def _decoded(text: str) -> Iterator[tuple[str, int, int]]:
    """Pieces of the text with what is coded undone, each with the stretch it came from."""
    at = 0
    for match in CODED.finditer(text):
        for i in range(at, match.start()):
            yield text[i], i, i + 1
        if match["url"]:
            yield from _unquoted(match)
        else:
            yield _undo(match), match.start(), match.end()
        at = match.end()
    for i in range(at, len(text)):
        yield text[i], i, i + 1


def _undo(match: re.Match[str]) -> str:
    coded = match.group()
    if match["tag"]:
        return ""
    if match["entity"]:
        return html.unescape(coded)
    if match["quoted"]:
        return coded[1] if coded[1] in '"\\/' else " "
    number = int(coded[2:].strip("{}"), 16)
    return chr(number) if number <= 0x10FFFF else ""


def _unquoted(match: re.Match[str]) -> Iterator[tuple[str, int, int]]:
    """The characters of a run of URL-encoded bytes, one by one where all are ASCII."""
    start, end = match.span()
    data = unquote_to_bytes(match.group())
    if data.isascii():
        for n, byte in enumerate(data):
            yield chr(byte), start + 3 * n, start + 3 * n + 3
    else:
        yield data.decode("utf-8", "replace"), start, end


@lru_cache(maxsize=4096)
def _folded(char: str) -> str:
    """What one character reads as: its plain letters, our own digit, a space; nothing if it cannot be seen."""
    if char in SIGNS:
        return SIGNS[char]
    out = []
    for part in unicodedata.normalize("NFKC", char):
        kind = unicodedata.category(part)
        if kind in {"Cf", "Mn", "Me"} or (kind == "Cc" and not part.isspace()):
            continue
        if kind == "Nd":
            out.append(str(unicodedata.decimal(part)))
        elif part in _DASHES:
            out.append("-")
        else:
            out.append(" " if kind in {"Zs", "Zl", "Zp"} else part)
    return "".join(out)
