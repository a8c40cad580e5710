"""Labelled texts to measure detectors on: JSON Lines, one text a line with the stretches that identify somebody.

A line is ``{"id", "text", "spans": [{"start", "end", "label"}]}``; ``meta.origin`` may name the origin of the text's names. A file whose
name starts with ``carrier_``, or that has no span at all, is ordinary talk: what a detector takes from it is lost. No text, and no value
of a line, is ever quoted in a fault.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Final, Literal, TypeAlias

from phi_guard.errors import PhiGuardError

Form: TypeAlias = Literal["written", "spoken", "carrier"]

DIRECT: Final = frozenset(
    {
        "NAME", "PHONE", "EMAIL", "SSN", "MRN", "HEALTH_PLAN", "ACCOUNT", "LICENSE", "VEHICLE", "DEVICE", "IP", "URL", "OTHER_ID",
        "ADDRESS", "BIOMETRIC",
    }
)  # fmt: skip
"""Labels of what identifies a person by itself (45 CFR 164.514(b)(2)(i), without dates, ages and places above a street)."""
INDIRECT: Final = frozenset({"DATE", "AGE90", "GEO"})
"""Labels of what counts as recall, and not as a leaking document."""
IGNORE: Final = "IGNORE"
"""Neither identifies anybody nor counts as lost when it is found: organisations, professions, ages under 90, providers."""
LABELS: Final = DIRECT | INDIRECT | {IGNORE}

STYLES: Final = ("lower", "nopunct", "spoken", "spelled", "filler")
"""Ways to say the same, as the end of a file's name tells them, and as `audit.bench.variants` makes them."""
SPOKEN: Final = frozenset({"spoken", "spelled", "filler", "voice", "speech", "calls", "stt", "asr", "transcript", "transcripts"})
"""Parts of a file's name, cut at ``_``, that make it spoken: numbers are words there, and there is no case to go by."""

FAULTS_SHOWN: Final = 20
ORIGIN_MAX: Final = 60
"""Characters of an origin that are kept: it is the name of a group."""


class CorpusError(PhiGuardError):
    """A corpus cannot be used; `faults` holds the reasons, each ``file:line: what``."""

    def __init__(self, faults: Iterable[str]) -> None:
        self.faults = tuple(faults)
        more = [f"and {len(self.faults) - FAULTS_SHOWN} more"] if len(self.faults) > FAULTS_SHOWN else []
        super().__init__("\n".join((*self.faults[:FAULTS_SHOWN], *more)))


@dataclass(frozen=True, slots=True)
class Span:
    """``text[start:end]`` is of a label, one of `LABELS`."""

    start: int
    end: int
    label: str


@dataclass(frozen=True, slots=True)
class LabelledText:
    """One text and what in it identifies somebody.

    Args:
        id: unlike any other of its corpus.
        text: as a detector gets it.
        spans: in order of place; they may overlap.
        origin: of the names in it, empty where nobody says.
    """

    id: str
    text: str = field(repr=False)
    spans: tuple[Span, ...]
    origin: str = ""


@dataclass(frozen=True, slots=True)
class Corpus:
    """Texts that are measured together.

    Args:
        name: the file's, without its ending.
        form: whether it is written, spoken, or talk without labels.
        style: one of `STYLES`, or ``as given``.
        derived: True where the texts were made from another corpus by `audit.bench.variants`.
        texts: at least one.
    """

    name: str
    form: Form
    style: str
    derived: bool
    texts: tuple[LabelledText, ...]


def read_corpora(paths: Sequence[Path]) -> tuple[Corpus, ...]:
    """The corpora of files, and of folders of ``.jsonl`` files, by name.

    Args:
        paths: at least one.

    Raises:
        CorpusError: a file or line cannot be used, with every reason of every file; or two files are of one name.
    """
    faults: list[str] = []
    corpora: dict[str, Corpus] = {}
    for file in _files(paths, faults):
        corpus, wrong = _read(file)
        if file.stem in corpora:
            wrong.append(f"{file}: a second file of this name; rename one")
        corpora[file.stem] = corpus
        faults.extend(wrong)
    if faults:
        raise CorpusError(faults)
    return tuple(corpora[name] for name in sorted(corpora))


def sample(corpus: Corpus, most: int, seed: int) -> Corpus:
    """At most so many texts of a corpus, drawn by a seed, in their order; the corpus itself where it has no more."""
    if len(corpus.texts) <= most:
        return corpus
    drawn = sorted(Random(f"{seed}:{corpus.name}").sample(range(len(corpus.texts)), most))  # noqa: S311  # a sample, not a secret
    return replace(corpus, texts=tuple(corpus.texts[i] for i in drawn))


def style_of(name: str) -> str:
    """The style that a file's name ends in, or ``as given``."""
    last = name.rpartition("_")[2]
    return last if last in STYLES else "as given"


def form_of(name: str, style: str, *, labelled: bool = True) -> Form:
    """Whether a corpus is written, spoken or a carrier, by its name, its style, and whether any text of it has a span."""
    if name.startswith("carrier_") or not labelled:
        return "carrier"
    return "spoken" if SPOKEN & {style, *re.split(r"[_\W]+", name.lower())} else "written"


def _files(paths: Sequence[Path], faults: list[str]) -> list[Path]:
    files: dict[Path, Path] = {}
    for path in paths:
        if path.is_dir():
            held = sorted(path.glob("*.jsonl"))
            if not held:
                faults.append(f"{path}: holds no .jsonl file; name a folder of corpora, or a file")
            files.update((file.resolve(), file) for file in held)
        else:
            files[path.resolve()] = path
    return list(files.values())


def _read(file: Path) -> tuple[Corpus, list[str]]:
    texts: list[LabelledText] = []
    faults: list[str] = []
    seen: set[str] = set()
    try:
        lines = file.read_bytes().split(b"\n")
    except OSError as fault:
        lines = []
        faults.append(f"{file}: cannot be read ({fault.strerror}); name a JSON Lines file or a folder of them")
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        read = _line(line)
        if isinstance(read, str):
            faults.append(f"{file}:{number}: {read}")
        elif read.id in seen:
            faults.append(f"{file}:{number}: an id that an earlier line has; give each text its own")
        else:
            seen.add(read.id)
            texts.append(read)
    if not texts and not faults:
        faults.append(f"{file}: holds no text; write one JSON object a line")
    style = style_of(file.stem)
    form = form_of(file.stem, style, labelled=any(text.spans for text in texts))
    return Corpus(file.stem, form, style, False, tuple(texts)), faults


def _line(line: bytes) -> LabelledText | str:
    """A line's text, or what is wrong with the line."""
    try:
        row = json.loads(line.decode("utf-8-sig"))
    except UnicodeDecodeError:
        return "is not UTF-8"
    except (ValueError, RecursionError):
        return "is not JSON; write one object a line"
    if not isinstance(row, dict):
        return 'is not an object; write {"id", "text", "spans"}'
    key, text, spans = row.get("id"), row.get("text"), row.get("spans", [])
    if not isinstance(key, str) or not key:
        return "id: must be a string, not empty"
    if not isinstance(text, str):
        return "text: must be a string"
    if not isinstance(spans, list):
        return "spans: must be a list"
    found: list[Span] = []
    for i, span in enumerate(spans):
        read = _span(span, len(text))
        if isinstance(read, str):
            return f"spans[{i}]{read}"
        found.append(read)
    meta = row.get("meta")
    origin = meta.get("origin") if isinstance(meta, Mapping) else None
    return LabelledText(
        key, text, tuple(sorted(found, key=lambda s: (s.start, s.end))), origin[:ORIGIN_MAX] if isinstance(origin, str) else ""
    )


def _span(span: object, length: int) -> Span | str:
    if not isinstance(span, dict):
        return ': is not an object; write {"start", "end", "label"}'
    start, end, label = span.get("start"), span.get("end"), span.get("label")
    if type(start) is not int or type(end) is not int:
        return ": start and end must be whole numbers"
    if not 0 <= start < end <= length:
        return f": start and end must lie within the text, start before end; the text has {length} characters"
    if not isinstance(label, str) or label not in LABELS:
        return f".label: is none of {', '.join(sorted(LABELS))}"
    return Span(start, end, label)
