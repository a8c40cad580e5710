"""Undoes disguises before a text is judged, and carries what is found back to the text as it was given.

A name does not stop being a name because a zero-width space stands in it, because it is full-width, URL-encoded, or in base64.
"""

from __future__ import annotations

import base64
import binascii
import html
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote_to_bytes

from phi_guard.detect.detector import Detector, merge
from phi_guard.model import Detection

OPAQUE_MIN: Final = 12
"""Characters of a token that may be something encoded; shorter ones hold less than eight letters."""
OPAQUE_MAX: Final = 4_096
"""Longer tokens are not decoded: they are found by their length, as opaque."""
_CODED: Final = re.compile(
    r"(?P<entity>&(?:[A-Za-z]{2,10}|#[0-9]{1,7}|#[xX][0-9A-Fa-f]{1,6});)"
    r"|(?P<url>(?:%[0-9A-Fa-f]{2})+)"
    r"|(?P<escape>\\u[0-9A-Fa-f]{4}|\\x[0-9A-Fa-f]{2})"
    r"|(?P<tag></?[A-Za-z][A-Za-z0-9]{0,10}(?:\s[^<>]{0,100})?/?>)"
)
_OPAQUE: Final = re.compile(rf"(?<![A-Za-z0-9+/=_-])[A-Za-z0-9+/_-]{{{OPAQUE_MIN},{OPAQUE_MAX}}}={{0,2}}(?![A-Za-z0-9+/=_-])")
_DASHES: Final = frozenset("‐‑‒–—―−﹘﹣－")
_PLAIN: Final = re.compile(r"[ -~\s]*")


@dataclass(frozen=True, slots=True)
class Reading:
    """A text with its disguises undone.

    Args:
        text: as it reads.
        starts: for each character of it, where what it came from begins in the text as given.
        ends: likewise, where that ends.
    """

    text: str
    starts: tuple[int, ...]
    ends: tuple[int, ...]


def read(text: str) -> Reading:
    """Undo HTML entities and tags, URL-encoding, escapes, invisible and combining characters, full-width forms, other scripts' digits.

    Cost: linear in the text.
    """
    chars: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    for piece, start, end in _decoded(text):
        for char in _folded(piece):
            chars.append(char)
            starts.append(start)
            ends.append(end)
    return Reading("".join(chars), tuple(starts), tuple(ends))


@dataclass(frozen=True, slots=True)
class NormalisingDetector:
    """A detector that also reads the text without its disguises, and what opaque tokens in it decode to.

    A plain text costs one more pass of a pattern; only a text that reads differently is judged twice.

    Args:
        inner: what judges; its name is kept.
    """

    inner: Detector

    @property
    def name(self) -> str:
        """The inner detector's."""
        return self.inner.name

    def find(self, text: str) -> tuple[Detection, ...]:
        """As `Detector.find`, with what only shows once a disguise is undone."""
        found = list(self.inner.find(text))
        if not _PLAIN.fullmatch(text) or _CODED.search(text):
            reading = read(text)
            if reading.text != text:
                found += _carried_back(self.inner.find(reading.text), reading)
        for token in _OPAQUE.finditer(text):
            if any(self.inner.find(hidden) for hidden in _hidden(token.group())):
                found.append(Detection(token.start(), token.end(), "ENCODED", 1.0, "normalise.encoded"))
        return merge(found, len(text))


def _decoded(text: str) -> Iterator[tuple[str, int, int]]:
    """Pieces of the text with entities, escapes and URL-encoding undone, each with the stretch it came from."""
    at = 0
    for match in _CODED.finditer(text):
        for i in range(at, match.start()):
            yield text[i], i, i + 1
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
    if match["url"]:
        return unquote_to_bytes(coded).decode("utf-8", "replace")
    return chr(int(coded[2:], 16))


def _folded(piece: str) -> str:
    """Compatibility forms become the letters they stand for; digits of all scripts become ours; what cannot be seen goes."""
    if piece.isascii():
        return piece
    out = []
    for char in unicodedata.normalize("NFKC", piece):
        kind = unicodedata.category(char)
        if kind in {"Cf", "Mn", "Me"}:
            continue
        if kind == "Nd":
            out.append(str(unicodedata.decimal(char)))
        elif char in _DASHES:
            out.append("-")
        else:
            out.append(" " if kind in {"Zs", "Zl", "Zp"} else char)
    return "".join(out)


def _carried_back(found: tuple[Detection, ...], reading: Reading) -> list[Detection]:
    return [
        Detection(reading.starts[d.start], reading.ends[d.end - 1], d.entity, d.score, f"normalise+{d.source}", d.also)
        for d in found
        if d.start < d.end <= len(reading.text)
    ]


def _hidden(token: str) -> Iterator[str]:
    """What a token may hold: base64 (both alphabets) or hexadecimal, where it decodes to text that can be read."""
    if len(token) % 2 == 0 and re.fullmatch(r"[0-9A-Fa-f]+", token):
        yield from _legible(bytes.fromhex(token))
    body = token.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        yield from _legible(base64.b64decode(body + "=" * (-len(body) % 4), validate=True))
    except (binascii.Error, ValueError):
        return


def _legible(data: bytes) -> Iterator[str]:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return
    if len(text) >= 4 and all(char.isprintable() or char.isspace() for char in text):
        yield text
