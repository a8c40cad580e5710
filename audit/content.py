"""What a text is by its form alone: sound, a transcript, a recording's address; and what it hides, one wrapping at a time.

Sound and talk identify a person whatever is said in them: 45 CFR 164.514(b)(2)(i)(P) names voice prints. So the form is a finding, where
no detector would find a name.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Literal
from urllib.parse import unquote

DEPTH_MAX: Final = 8
"""Wrappings one within the other that are undone; what is wrapped deeper is a finding for that alone."""
WRAPPED_MIN: Final = 8
"""Characters of a text that may be something wrapped; fewer hold no six letters."""
BYTES_MIN: Final = 200
"""Characters in one piece, with the look of base64, from which nobody asks what they hold: 150 bytes are no reference."""
LABELS_MIN: Final = 2
"""Speakers' labels that make a text a conversation; one may be a heading."""
SENTENCES_MIN: Final = 8
"""Sentences from which a text is long enough to be what somebody said; a suspicion, since a clinic's advice may be as long."""

_MAGIC: Final[tuple[tuple[bytes, str], ...]] = (
    (b"RIFF", "AUDIO"), (b"OggS", "AUDIO"), (b"ID3", "AUDIO"), (b"fLaC", "AUDIO"), (b"\x1aE\xdf\xa3", "AUDIO"), (b"#!AMR", "AUDIO"),
    (b"OpusHead", "AUDIO"), (b"\xff\xfb", "AUDIO"), (b"\xff\xf1", "AUDIO"), (b"\xff\xd8\xff", "IMAGE"), (b"\x89PNG", "IMAGE"),
)  # fmt: skip
"""What files of sound and pictures begin with."""
_BYTES: Final = re.compile(r"[A-Za-z0-9+/_-]{16,}={0,2}")
_JOINT: Final = re.compile(r"[+/_-]")
_HEAD: Final = 16
"""Characters of base64 that hold the longest of the beginnings."""
_HEX: Final = re.compile(r"(?:0[xX])?((?:[0-9A-Fa-f]{2}){4,})")
_DATA_URL: Final = re.compile(r"data:(?P<kind>[a-z]{1,20})/[\w.+-]{1,60}(?:;[\w=.-]{1,60}){0,4},", re.IGNORECASE)
_RAW: Final = re.compile(r"RIFF.{4}WAVE|OggS\x00|\bID3[\x02-\x04]|fLaC\x00|OpusHead", re.DOTALL)
_RECORDING: Final = re.compile(
    r"\b(?:https?|wss?|s3|gs|azure|sip)s?://[^\s\"'<>]{0,300}?"
    r"(?:\.(?:wav|mp3|ogg|oga|opus|m4a|webm|flac|mp4|aac|amr|pcm|raw)\b|record(?:ing)?s?\b|egress|voicemail)[^\s\"'<>]{0,300}",
    re.IGNORECASE,
)
_SPEAKER: Final = re.compile(
    r"(?:^|[\n\r|;.?!\"'\]]\s{0,5})(?:\[?\d{1,2}:\d\d(?::\d\d)?\]?\s{0,3})?[*_#\[(<]{0,3}"
    r"(?:user|assistant|caller|agent|patient|doctor|nurse|operator|customer|bot|system|human|ai|speaker ?\d{1,2}|anrufer(?:in)?|appelante?"
    r"|client|receptionist|provider|clinician|interviewer|participant|guest|médecin|docteur|patiente|arzt|ärztin|praxis)"
    r"(?:[*_\])>]{0,3}\s{0,2}:[*_]{0,3}\s|[*_\])>]{1,3}\s)",
    re.IGNORECASE,
)
_SENTENCE: Final = re.compile(r"[^\s.?!]{2}[.?!]+(?:\s|$)")
"""The end of a sentence. Two characters and no more before its stop: one long word without a stop would cost the square of its length."""
_CHAT: Final = re.compile(r"<\|[a-z_]{2,20}\|>|\[/?INST\]|<<SYS>>")
"""Signs that models' chat templates put between the turns of a conversation."""
_ASKED: Final = re.compile(r"^ {0,5}>[^\n]{1,300}\n {0,5}<\s|^ {0,5}<\s[^\n]{1,300}\n {0,5}>", re.MULTILINE)
_QUESTIONS: Final = re.compile(
    r"^ {0,5}Q\d{0,2} ?[:.] [^\n]{1,300}\n {0,5}A\d{0,2} ?[:.] |^ {0,5}[-–—] [^\n?]{1,300}\? {0,3}$",
    re.MULTILINE,
)
"""Lines that ask and answer: talk, or a page of frequent questions; a suspicion."""
_ONESELF: Final = re.compile(r"\b(?:I|i|I'm|i'm|my|My)\b")
_COURTESY: Final = re.compile(
    r"\b(?:hello|hi|good (?:morning|afternoon|evening)|thank you|thanks|all right|alright|okay|good ?bye|bye)\b", re.IGNORECASE
)
TALK_MIN: Final = 160
"""Characters from which a text in which somebody says I, asks and takes leave is talk; a tool's answer does not speak of itself."""
_UNSEEN: Final = re.compile(
    "[\u00ad\u061c\u180e\u200b-\u200f\u2060-\u2064\u206a-\u206f\u3164\ufe00-\ufe0f\ufeff\ufff9-\ufffb\U000e0000-\U000e01ef]{8,}"
    "|(?<!\\S)[ \\t]{0,40}(?: \\t|\\t )[ \\t]{20,}"
)
"""Characters that nobody sees, in a row: a flag's tags are six, a family's joiners do not stand side by side. Likewise blanks and tabs."""
_SIGNS: Final = re.compile("(?:[\u2801-\u28ff\ue000-\uf8ff\U000f0000-\U0010fffd][\\s\u2800]{0,2}){3,}")
"""Braille, and characters that mean what somebody agreed upon."""
_MORSE: Final = re.compile(r"(?<![.\-\w])(?:[.·•\-−–]{1,6}[ /|]{1,3}){4,}[.·•\-−–]{1,6}")
_MASKED: Final = re.compile(r"(?<![*•×xX])(?:[^\W_][*•×]{4,40}|[*•×xX]{4,40}[ -]?\d{2,6}\b|[*•×]{4,40}[^\W_]\b)")
"""A value of which a part was left standing: ``****4417``."""
_SAYS: Final = frozenset({"role", "speaker", "author", "from"})
_SAID: Final = frozenset({"content", "text", "message", "transcript", "parts"})
_CODED_SIGN: Final = re.compile(r"%[0-9A-Fa-f]{2}")


@dataclass(frozen=True, slots=True)
class Form:
    """A stretch of a text that is a finding by its form.

    Args:
        entity: ``AUDIO``, ``IMAGE``, ``BINARY``, ``ENCODED``, ``RECORDING_URL`` or ``TRANSCRIPT``.
        start: offset in the text, characters.
        end: likewise.
        certain: False where it is only a suspicion.
    """

    entity: Literal["AUDIO", "IMAGE", "BINARY", "ENCODED", "RECORDING_URL", "TRANSCRIPT"]
    start: int
    end: int
    certain: bool = True


def forms(text: str) -> list[Form]:
    """Every stretch of a text that is a finding by its form, in no order. Cost: linear in the text."""
    if len(text) < WRAPPED_MIN:
        return []
    found: list[Form] = []
    if "://" in text:
        found += [Form("RECORDING_URL", *match.span()) for match in _RECORDING.finditer(text)]
    if ":" in text:
        for match in _DATA_URL.finditer(text):
            kind = match["kind"].lower()
            found.append(Form("AUDIO" if kind == "audio" else "IMAGE" if kind == "image" else "BINARY", match.start(), len(text)))
        labels = [match.start() for match in _SPEAKER.finditer(text)]
        if len(labels) >= LABELS_MIN:
            found.append(Form("TRANSCRIPT", labels[0], len(text)))
    if (chat := _CHAT.search(text) or _ASKED.search(text)) is not None:
        found.append(Form("TRANSCRIPT", chat.start(), len(text)))
    found += [Form("ENCODED", *match.span()) for match in _hidden(text)]
    if (raw := _RAW.search(text)) is not None:
        found.append(Form("AUDIO", raw.start(), len(text)))
    for match in _BYTES.finditer(text):
        entity = _held(match.group())
        if entity:
            found.append(Form(entity, *match.span()))
    if not found and _is_talk(text):
        found.append(Form("TRANSCRIPT", 0, len(text)))
    long = len(text) > 40 * SENTENCES_MIN and len(_SENTENCE.findall(text)) >= SENTENCES_MIN
    if not found and (long or _QUESTIONS.search(text) is not None):
        found.append(Form("TRANSCRIPT", 0, len(text), certain=False))
    return found


def _hidden(text: str) -> Iterator[re.Match[str]]:
    """Stretches that hide what they say, whatever it is: unseen characters, signs for letters, masks that leave a part."""
    if not text.isascii() or "\t" in text:
        yield from _UNSEEN.finditer(text)
    if not text.isascii():
        yield from _SIGNS.finditer(text)
    for match in _MORSE.finditer(text):
        groups = set(re.split(r"[ /|]+", match.group()))
        if len(groups) >= 3 and len(set("".join(groups))) >= 2:
            yield match
    yield from _MASKED.finditer(text)


def _is_talk(text: str) -> bool:
    """Whether a text reads as both sides of a call without a label: somebody says I, twice, and there are greetings, thanks and leave."""
    if len(text) < TALK_MIN or len(_ONESELF.findall(text)) < 2:
        return False
    courtesies = len({match.lower() for match in _COURTESY.findall(text)})
    return courtesies >= 3 or (courtesies >= 1 and text.count("?") >= 2)


def is_transcript(value: object) -> bool:
    """Whether a list or mapping is one conversation as agents' libraries keep it: who says, and what."""
    items = value if isinstance(value, list | tuple) else [value]
    return any(isinstance(item, Mapping) and _named(item, _SAYS) and _named(item, _SAID) for item in items)


def _named(item: Mapping[object, object], names: frozenset[str]) -> bool:
    return any(isinstance(key, str) and key.lower() in names for key in item)


def _held(token: str) -> Literal["AUDIO", "IMAGE", "BINARY"] | None:
    for at in (0, *(joint.end() for joint in _JOINT.finditer(token))):  # a word or a path may stand before it
        file = _begun(_decoded(token[at : at + _HEAD]), whole=len(token) - at >= BYTES_MIN)
        if file is not None:
            return file
    pairs = _HEX.fullmatch(token)
    if pairs and (file := _begun(bytes.fromhex(pairs[1]), whole=False)) is not None:
        return file
    if len(token) < BYTES_MIN or token.isdecimal():
        return None
    kinds = ["d" if c.isdecimal() else "u" if c.isupper() else "l" for c in token if c.isalnum()]
    turns = sum(a != b for a, b in pairwise(kinds))
    return "BINARY" if turns >= 0.3 * len(kinds) else None


def _begun(data: bytes, *, whole: bool) -> Literal["AUDIO", "IMAGE"] | None:
    """What file begins so; beginnings of two bytes count only where enough follows to be one."""
    for magic, entity in _MAGIC:
        if data.startswith(magic) and (whole or len(magic) > 2):
            return "AUDIO" if entity == "AUDIO" else "IMAGE"
    return None


def _decoded(token: str) -> bytes:
    body = token.rstrip("=").replace("-", "+").replace("_", "/")
    body = body[: len(body) // 4 * 4] if len(body) % 4 == 1 else body + "=" * (-len(body) % 4)
    try:
        return base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError):
        return b""


def unwrapped(text: str) -> Iterator[tuple[str, object]]:
    """What a whole text holds once one wrapping is undone: its kind (``json``, ``url``, ``hex``, ``base64``), and the content.

    Nothing for a text that is not wrapped. Bytes that are no text in UTF-8 or UTF-16 are left to `forms`.
    """
    bare = text.strip()
    if len(bare) < 2:
        return
    if bare[0] in '{["' and bare[-1] in '}]"':
        try:
            value = json.loads(bare)
        except (ValueError, RecursionError):
            pass
        else:
            if isinstance(value, dict | list | str):
                yield "json", value
            return
    if len(bare) < WRAPPED_MIN:
        return
    if "%" in bare and _CODED_SIGN.search(bare):
        plain = unquote(bare.replace("+", " "))
        if plain != bare:
            yield "url", plain
    pairs = _HEX.fullmatch(bare)
    if pairs and (held := _legible(bytes.fromhex(pairs[1]))):
        yield "hex", held
    if _BYTES.fullmatch(bare) and not (bare.isalpha() and (bare.islower() or bare.istitle())) and (held := _legible(_decoded(bare))):
        yield "base64", held


def _legible(data: bytes) -> str:
    codec = "utf-8"
    if 0 in data:
        codec = "utf-16-le" if data[1:2] == b"\0" or data.startswith(b"\xff\xfe") else "utf-16-be"
    try:
        text = data.decode(codec).lstrip("\ufeff")
    except UnicodeDecodeError:
        return ""
    return text if len(text) >= 4 and all(c.isprintable() or c.isspace() for c in text) else ""
