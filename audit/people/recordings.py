"""Content by its form: the beginning of a sound or an image, in base64. 45 CFR 164.514(b)(2)(i)(P), (Q)."""

from __future__ import annotations

import base64
from random import Random
from typing import Final

from audit.people.value import Value

_SOUNDS: Final = (
    b"RIFF\x24\x08\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00",
    b"OggS\x00\x02\x00\x00\x00\x00\x00\x00\x00\x00",
    b"ID3\x04\x00\x00\x00\x00\x00\x23",
    b"fLaC\x00\x00\x00\x22",
)
_IMAGES: Final = (b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01", b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR")


def voice(random: Random, language: str) -> Value:
    """A recording of a voice: the header of WAV, Ogg, MP3 or FLAC, and noise."""
    return _content(random, language, _SOUNDS, "audio/wav")


def photo(random: Random, language: str) -> Value:
    """A picture: the header of JPEG or PNG, and noise."""
    return _content(random, language, _IMAGES, "image/jpeg")


def _content(random: Random, language: str, heads: tuple[bytes, ...], mime: str) -> Value:
    body = base64.b64encode(random.choice(heads) + random.randbytes(random.randint(24, 64))).decode()
    return Value(f"data:{mime};base64,{body}" if random.random() < 0.3 else body, "{}", language)
