"""Makes labelled text from templates: what callers say, what agents answer, what is noted, and what machines write about it.

``python -m phi_guard.detect.training.generator --count 60000 --seed 7 -o train.jsonl`` writes one JSON object a line.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from phi_guard.detect.training import dictation
from phi_guard.detect.training.lists import is_held_out, lines_of
from phi_guard.detect.training.people import person
from phi_guard.detect.training.slots import HARMLESS, LABELLED, Piece, Scene, Voice, fill

TEMPLATE_FILES: Final = (
    "templates_calls.txt",
    "templates_clinical.txt",
    "templates_machine.txt",
    "templates_business.txt",
    "templates_harmless.txt",
)
LABELS: Final = ("NAME", "PHONE", "EMAIL", "ID", "DATE", "ADDRESS", "PLACE", "URL")
HARMLESS_SHARE: Final = 0.37
"""Texts that hold nothing to find. Templates of values alone taught an earlier model that everything is PHI."""

SPOKEN_VALUES_SHARE: Final = 0.08
"""Records and errors whose values are as the caller said them: an agent passes on what it heard."""

_SLOT: Final = re.compile(r"\{([a-z][a-z0-9_ ]*)\}")
_UNSPOKEN: Final = re.compile(r"(?<!\d)[^\w\s'’/-]|[^\w\s'’/-](?!\d)")
"""Punctuation, but not what stands within a number or a time of day."""
_WORD_START: Final = re.compile(r"(?<![^\s(])[a-z]")
_CHOICE: Final = re.compile(r"\[\[(.*?)\]\]")
_MACHINE: Final = frozenset({"error", "log", "record", "key", "file", "url"})
_PAPER: Final = frozenset({"triage", "soap", "discharge", "referral", "question"})
_SPEECH: Final = frozenset({"caller", "agent", "voicemail", "billing", "pharmacy", "contact_centre"})
_SEVERAL: Final = {
    "triage": (1, 4),
    "soap": (2, 7),
    "discharge": (2, 6),
    "referral": (2, 5),
    "voicemail": (1, 3),
    "letter": (1, 4),
    "question": (1, 2),
}
KIND_WEIGHTS: Final[dict[str, float]] = {
    "caller": 20,
    "agent": 9,
    "dialogue": 12,
    "field": 11,
    "triage": 5,
    "soap": 4,
    "discharge": 3,
    "referral": 3,
    "voicemail": 4,
    "sms": 3,
    "letter": 3,
    "chat": 3,
    "billing": 5,
    "pharmacy": 4,
    "contact_centre": 5,
    "error": 6,
    "log": 5,
    "record": 5,
    "key": 1,
    "file": 1.5,
    "single": 6,
    "consultation": 9,
    "question": 3,
    "french": 2.5,
    "german": 2.5,
    "small_talk": 0.5,
}
"""How often each kind of text is made, against the others; ``small_talk`` only stands within others."""


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of a text that identifies somebody.

    Args:
        start: first character.
        end: one past the last.
        label: one of `LABELS`.
    """

    start: int
    end: int
    label: str


@dataclass(frozen=True, slots=True)
class Example:
    """One text with everything in it that identifies somebody.

    Args:
        text: as a detector is given it.
        spans: in order, none overlapping.
        kind: where such a text stands, as ``caller`` or ``error``.
        origin: of the first person named in it; None where nobody is.
    """

    text: str
    spans: tuple[Span, ...]
    kind: str
    origin: str | None


@dataclass(frozen=True, slots=True)
class Templates:
    """The templates of one kind of text: with something to find, and harmless ones."""

    telling: tuple[str, ...]
    harmless: tuple[str, ...]


def generate(count: int, seed: int, *, held_out: bool = False) -> Iterator[Example]:
    """So many examples; the same count and seed give the same ones, on every machine.

    Args:
        count: how many.
        seed: of all chance in it.
        held_out: names, towns and templates from the tenth that training never sees.
    """
    rng = random.Random(f"{seed} {held_out}")  # noqa: S311 - not a secret: the same seed must give the same text
    kinds = [kind for kind in KIND_WEIGHTS if kind != "small_talk"]
    weights = [KIND_WEIGHTS[kind] for kind in kinds]
    made = 0
    while made < count:
        example = _example(rng.choices(kinds, weights)[0], rng, held_out=held_out)
        if any(char.isalnum() for char in example.text):
            made += 1
            yield example


@cache
def templates(*, held_out: bool) -> dict[str, Templates]:
    """Templates by kind of text; one in ten, by a hash of it, is held out.

    Raises:
        ValueError: a template names a slot that nobody fills.
    """
    found: dict[str, Templates] = {}
    for file in TEMPLATE_FILES:
        for kind, lines in lines_of(file):
            mine = [line for line in lines if is_held_out(line) == held_out]
            for line in lines:
                unknown = set(_SLOT.findall(line)) - LABELLED.keys() - HARMLESS
                if unknown:
                    msg = f"{file}: a template names {', '.join(sorted(unknown))}; add that slot or correct it"
                    raise ValueError(msg)
            had = found.get(kind, Templates((), ()))
            telling = tuple(line for line in mine if LABELLED.keys() & set(_SLOT.findall(line)))
            found[kind] = Templates((*had.telling, *telling), (*had.harmless, *(line for line in mine if line not in telling)))
    return found


def _example(kind: str, rng: random.Random, *, held_out: bool) -> Example:
    harmless = rng.random() < HARMLESS_SHARE
    language = {"french": "fr", "german": "de"}.get(kind, "en")
    style = _style(kind, rng)
    spoken = style == "spoken" or (kind in _MACHINE and rng.random() < SPOKEN_VALUES_SHARE)
    voice = Voice(
        spoken=spoken,
        language=language,
        hesitation=_hesitation(kind, rng, spoken=spoken),
        letters=kind not in _MACHINE and kind not in _PAPER,
    )
    scene = Scene(
        rng=rng, voice=voice, who=person(rng, held_out=held_out), other=person(rng, held_out=held_out), held_out=held_out, said=set()
    )
    pieces = _composed(kind, scene, harmless=harmless)
    pieces = _styled(pieces, style, rng, language)
    text, spans = _joined(pieces)
    if spoken and rng.random() < 0.07:
        text, spans = _cut(text, spans, rng) if rng.random() < 0.6 else _begun_late(text, spans, rng)
    named = any(span.label == "NAME" for span in spans)
    return Example(text, spans, kind, scene.who.origin if named else None)


def _hesitation(kind: str, rng: random.Random, *, spoken: bool) -> float:
    if spoken:
        return rng.choice((0.0, 0.15, 0.15, 0.5))
    return 0.0 if kind in _MACHINE or kind in _PAPER else rng.choice((0.0, 0.0, 0.04))


def _composed(kind: str, scene: Scene, *, harmless: bool) -> list[Piece]:
    rng = scene.rng
    if kind == "dialogue":
        return _dialogue(scene, harmless=harmless)
    if kind in _SEVERAL:
        count = rng.randint(*_SEVERAL[kind])
        telling = set() if harmless else set(rng.sample(range(count), rng.randint(1, max(1, count // 2))))
        parting = rng.choice((" ", " ", " ", "\n")) if kind in _PAPER else " "
        pieces: list[Piece] = []
        for place in range(count):
            pieces += [*([(parting, None)] if place else []), *_line(kind, scene, harmless=place not in telling)]
        return pieces
    pieces = _line(kind, scene, harmless=harmless)
    if kind in _MACHINE or kind in {"single", "field"}:
        if kind == "field" and not harmless and rng.random() < 0.35:
            pieces = [*_line("field", scene, harmless=True), (rng.choice((", ", "; ", " - ", ". ", " ")), None), *pieces]
        return pieces
    if rng.random() < 0.12 and not harmless:
        pieces += [(" ", None), *_line(kind, scene, harmless=False)]
    around = (kind, kind, "small_talk") if scene.voice.language == "en" else (kind,)
    if rng.random() < 0.3:
        pieces = [*_line(rng.choice(around), scene, harmless=True), (" ", None), *pieces]
    if rng.random() < 0.4:
        pieces += [(" ", None), *_line(rng.choice(around), scene, harmless=True)]
    if rng.random() < 0.22 and scene.voice.language == "en":
        opener = fill("filler", scene)[0][0]
        pieces = [(f"{opener}{rng.choice((', ', ', ', ' ', '... '))}", None), *pieces]
    return pieces


def _dialogue(scene: Scene, *, harmless: bool) -> list[Piece]:
    rng = scene.rng
    count = rng.randint(2, 6)
    telling = set() if harmless else set(rng.sample(range(count), rng.randint(1, min(3, count))))
    sides = rng.choice(
        (
            ("Agent: ", "Caller: "),
            ("agent: ", "user: "),
            ("Assistant: ", "Patient: "),
            ("", ""),
            ("AGENT: ", "CALLER: "),
            ("- ", "- "),
            ("Nurse: ", "Patient: "),
            ("Doctor: ", "Patient: "),
        )
    )
    ends = "\n" if any(sides) or rng.random() < 0.5 else " "
    pieces: list[Piece] = []
    first = rng.randrange(2)
    medical = rng.random() < 0.35
    for place in range(count):
        side = (place + first) % 2
        kind = _speaker(side, medical=medical, rng=rng)
        pieces += [*([(ends, None)] if place else []), (sides[side], None), *_line(kind, scene, harmless=place not in telling)]
    return pieces


def _speaker(side: int, *, medical: bool, rng: random.Random) -> str:
    if rng.random() < 0.1:
        return rng.choice(("small_talk", "billing", "pharmacy"))
    if medical and rng.random() < 0.75:
        return "consultation"
    return ("agent", "caller")[side]


def _line(kind: str, scene: Scene, *, harmless: bool) -> list[Piece]:
    rng = scene.rng
    pool = templates(held_out=scene.held_out)
    mine = pool[kind]
    lines = mine.harmless if harmless else mine.telling
    if not lines:
        lines = pool["small_talk"].harmless if harmless else pool["caller"].telling
    fresh = [line for line in rng.sample(lines, min(4, len(lines))) if line not in scene.said] or lines
    scene.said.add(fresh[0])
    return _rendered(fresh[0], scene)


def _rendered(template: str, scene: Scene) -> list[Piece]:
    line = _CHOICE.sub(lambda match: scene.rng.choice(match.group(1).split("|")), template).replace("\\n", "\n")
    pieces: list[Piece] = []
    parts = _SLOT.split(line)
    for place, part in enumerate(parts):
        if place % 2:
            pieces += fill(part, scene)
        elif part:
            pieces.append((part, None))
    return pieces


def _style(kind: str, rng: random.Random) -> str:
    if kind in _MACHINE:
        return rng.choices(("written", "lower"), (94, 6))[0]
    if kind in _PAPER:
        return rng.choices(("written", "lower", "upper", "bare", "worn"), (70, 14, 4, 8, 4))[0]
    if kind in {"single", "field", "sms", "chat", "letter"}:
        return rng.choices(("written", "lower", "upper", "title", "bare", "spoken", "worn"), (40, 20, 4, 5, 8, 18, 5))[0]
    return rng.choices(("written", "lower", "bare", "spoken", "spoken cased", "worn"), (27, 10, 8, 47, 5, 3))[0].replace(" cased", "")


def _styled(pieces: list[Piece], style: str, rng: random.Random, language: str) -> list[Piece]:
    if style in {"lower", "upper"}:
        return [(text.lower() if style == "lower" else text.upper(), label) for text, label in pieces]
    if style == "title":
        return [
            (_WORD_START.sub(lambda match: match.group().upper(), text) if label not in {"EMAIL", "URL"} else text, label)
            for text, label in pieces
        ]
    if style == "bare":
        kept = {"EMAIL", "URL", "ID", "PHONE", "DATE"}
        return [(text.lower() if label in kept else _UNSPOKEN.sub("", text).lower(), label) for text, label in pieces]
    if style == "worn":
        return [
            (dictation.worn(text, rng) if label in {None, "NAME", "PLACE", "ADDRESS"} and rng.random() < 0.6 else text, label)
            for text, label in pieces
        ]
    if style == "spoken":
        keep = rng.random() < 0.22
        slack = rng.random() < 0.25 and language == "en"
        out: list[Piece] = []
        for text, label in pieces:
            if label is not None:
                out.append((text if keep else text.lower(), label))
            elif keep:
                out.append((text, None))
            else:
                said = dictation.plain_speech(text)
                out.append((_slackened(said, rng) if slack else said, None))
        return out
    return pieces


def _slackened(text: str, rng: random.Random) -> str:
    said = text.split(" ")
    for place in range(len(said) - 1, 0, -1):
        if rng.random() < 0.07:
            said.insert(place, rng.choice(("um", "uh", "you know", "like", "i mean", "so", "well", "er")))
    return " ".join(said)


def _joined(pieces: list[Piece]) -> tuple[str, tuple[Span, ...]]:
    text = ""
    spans: list[Span] = []
    for piece, label in pieces:
        part = re.sub(r"[^\S\n]+", " ", piece)
        if label is None:
            text += part.lstrip(" ") if text.endswith((" ", "\n")) or not text else part
            continue
        part = part.strip()
        if not any(char.isalnum() for char in part):
            continue
        if spans and spans[-1].label == label == "NAME" and text[spans[-1].end :] == " ":
            spans[-1] = Span(spans[-1].start, len(text) + len(part), label)
        else:
            spans.append(Span(len(text), len(text) + len(part), label))
        text += part
    text = text.rstrip()
    return text, tuple(spans)


def _cut(text: str, spans: tuple[Span, ...], rng: random.Random) -> tuple[str, tuple[Span, ...]]:
    """The text as a recogniser that stopped early leaves it; a value cut short stays labelled while two characters of it are left."""
    end = rng.randrange(max(1, len(text) * 2 // 3), len(text) + 1) if text else 0
    short = text[:end].rstrip()
    kept = tuple(Span(span.start, min(span.end, len(short)), span.label) for span in spans if span.start + 2 <= len(short))
    last = kept[-1].end if kept else 0
    dropped = next((span.start for span in spans if last <= span.start < len(short)), len(short))
    return (short[:dropped].rstrip(), kept) if dropped > last else (short, kept)


def _begun_late(text: str, spans: tuple[Span, ...], rng: random.Random) -> tuple[str, tuple[Span, ...]]:
    """The text as a recogniser that began in the middle of the first words hears it; values stay whole."""
    room = spans[0].start if spans else len(text) // 2
    skipped = text[: rng.randrange(room + 1)].rfind(" ") + 1
    return text[skipped:], tuple(Span(span.start - skipped, span.end - skipped, span.label) for span in spans)


def main(arguments: list[str] | None = None) -> int:
    """Write examples as JSON lines; see ``--help``."""
    parser = argparse.ArgumentParser(description="Make labelled text to train or measure the token classifier with.")
    parser.add_argument("--count", type=int, required=True, help="how many texts")
    parser.add_argument("--seed", type=int, required=True, help="of all chance; the same seed gives the same bytes")
    parser.add_argument("--held-out", action="store_true", help="from the names and templates that training never sees")
    parser.add_argument("-o", "--output", type=Path, required=True, help="the JSON lines file to write")
    given = parser.parse_args(arguments)
    with given.output.open("w", encoding="utf-8") as file:
        for example in generate(given.count, given.seed, held_out=given.held_out):
            spans = [{"start": s.start, "end": s.end, "label": s.label} for s in example.spans]
            file.write(
                json.dumps({"text": example.text, "spans": spans, "kind": example.kind, "origin": example.origin}, ensure_ascii=False)
                + "\n"
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
