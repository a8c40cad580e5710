"""Tokens that are not words but bytes: base64 in both alphabets, hexadecimal with or without separators, and what they hold."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

TOKEN_MIN: Final = 8
"""Characters of a token that may be something encoded; shorter ones hold less than six letters."""
TOKEN_MAX: Final = 4_096
"""Longer tokens are not decoded: they are found by their length, as opaque."""
OPAQUE_MIN: Final = 24
"""Characters from which a token counts as found although nobody can read it: 18 bytes, more than a reference number needs."""
TURNS_MIN: Final = 0.3
"""Share of neighbours of different kinds (small letter, capital, digit) in an opaque token; random base64 has 0.64, hexadecimal 0.47."""

_SIGN: Final = re.compile(r"[A-Za-z0-9+/=_-]{8}(?<![a-z]{7})")
_PAIRS_SIGN: Final = re.compile(r"[ :,-](?<=[0-9A-Fa-f]{2}.)[0-9A-Fa-f]{2}[ :,-]")
_TOKEN: Final = re.compile(rf"(?<![A-Za-z0-9+/=_-])(?:0[xX])?[A-Za-z0-9+/_-]{{{TOKEN_MIN},}}={{0,2}}(?![A-Za-z0-9+/=_-])")
_PAIRS: Final = re.compile(r"(?<![\w:-])(?:0x|\\x)?[0-9A-Fa-f]{2}(?:[ :,-]{1,2}(?:0x|\\x)?[0-9A-Fa-f]{2}){3,}(?![\w:-])")
_HEX: Final = re.compile(r"(?:0[xX])?((?:[0-9A-Fa-f]{2})+)")
_BETWEEN_PAIRS: Final = re.compile(r"0x|\\x|[ :,-]")


@dataclass(frozen=True, slots=True)
class Token:
    """A stretch of a text that may be encoded.

    Args:
        start: where it begins in the text.
        end: where it ends.
        texts: what it may hold, where it decodes to something that can be read.
        opaque: whether it is too long and too mixed for a word or a reference, and cannot be read.
    """

    start: int
    end: int
    texts: tuple[str, ...]
    opaque: bool


def may_be_encoded(text: str) -> bool:
    """Whether `tokens` could find something."""
    return _SIGN.search(text) is not None or _PAIRS_SIGN.search(text) is not None


def tokens(text: str) -> list[Token]:
    """Every token of a text that holds something legible, or is opaque, in order of place within its kind.

    Cost: linear in the text.
    """
    if not may_be_encoded(text):
        return []
    found = []
    for match in _TOKEN.finditer(text):
        token = match.group()
        if token.isalpha() and (token.islower() or token.isupper() or token.istitle()):
            continue  # a long word
        texts = tuple(dict.fromkeys(_held(token))) if len(token) <= TOKEN_MAX else ()
        opaque = not texts and _is_opaque(token)
        if texts or opaque:
            found.append(Token(*match.span(), texts, opaque))
    for match in _PAIRS.finditer(text):
        data = bytes.fromhex(_BETWEEN_PAIRS.sub("", match.group())[: TOKEN_MAX * 2])
        texts = tuple(held for held in _legible(data) if sum(map(str.isalnum, held)) >= 4)
        if texts:
            found.append(Token(*match.span(), texts, opaque=False))
    return found


def _held(token: str) -> Iterator[str]:
    """What a token may hold: hexadecimal or base64, where it decodes to text that can be read."""
    pairs = _HEX.fullmatch(token)
    if pairs:
        yield from _legible(bytes.fromhex(pairs[1]))
    body = token.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        yield from _legible(base64.b64decode(body + "=" * (-len(body) % 4), validate=True))
    except (binascii.Error, ValueError):
        return


def _legible(data: bytes) -> Iterator[str]:
    """The text that bytes are, in UTF-8 or UTF-16, if all of it can be shown."""
    codec = "utf-8"
    if 0 in data:
        codec = "utf-16-le" if data[1:2] == b"\0" or data.startswith(b"\xff\xfe") else "utf-16-be"
    try:
        text = data.decode(codec).lstrip("\ufeff")
    except UnicodeDecodeError:
        return
    if len(text) >= 4 and all(char.isprintable() or char.isspace() for char in text):
        yield text


def _is_opaque(token: str) -> bool:
    if len(token) < OPAQUE_MIN or token.isdecimal() or (token.isalpha() and token.islower()):
        return False
    if len(token) > TOKEN_MAX:
        return any(map(str.isalnum, token))
    kinds = ["d" if char.isdecimal() else "u" if char.isupper() else "l" for char in token if char.isalnum()]
    return len(set(kinds)) >= 2 and sum(a != b for a, b in pairwise(kinds)) >= TURNS_MIN * (len(kinds) - 1)
