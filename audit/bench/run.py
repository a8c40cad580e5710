"""A run of the bench: which texts, in which styles, put to which detectors, and what each said of each text."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from audit.bench.corpus import STYLES, Corpus, LabelledText, sample
from audit.bench.pool import Answers, Found, Opener, ask_all
from audit.bench.score import Score, score
from audit.bench.speed import Timing, draw, time_each
from audit.bench.variants import derive
from phi_guard.detect import Detector, merge

Progress: TypeAlias = Callable[[str, int, int], None]
"""Told what is being done, how many texts of it are, and of how many."""
Told: TypeAlias = Callable[[Corpus, LabelledText, Answers], None]
"""Told what was said of each text."""

VARIANT_TEXTS: Final = 300
"""Texts of a corpus that are said in another style, each style anew: enough for a bound of 1 % where none leaks."""
LAYER: Final = "layer:"
WITHOUT: Final = "without:"


@dataclass(frozen=True, slots=True)
class Judged:
    """One text and what each detector was worth on it."""

    corpus: Corpus
    text: LabelledText
    scores: Mapping[str, Score]


@dataclass(frozen=True, slots=True)
class Run:
    """What came out, before it is added up.

    Args:
        judged: every text that was read to the end of its turn.
        timings: empty where speed was not measured.
        faults: by detector and class of fault, the texts it broke on.
        interrupted: True where Ctrl-C ended it.
        planned: texts that there were to judge.
    """

    judged: tuple[Judged, ...]
    timings: tuple[Timing, ...]
    faults: Mapping[tuple[str, str], int]
    interrupted: bool
    planned: int


def prepare(corpora: Sequence[Corpus], styles: Sequence[str], *, limit: int | None, seed: int) -> tuple[Corpus, ...]:
    """The corpora, each followed by what is derived of it.

    Only a written corpus in no style of its own is said otherwise, and not in a style that a file beside it holds already.

    Args:
        corpora: as read.
        styles: of `STYLES`.
        limit: at most so many texts of each corpus; None for all of them, and `VARIANT_TEXTS` of each derived one.
        seed: draws the texts.
    """
    names = {corpus.name for corpus in corpora}
    prepared: list[Corpus] = []
    for corpus in corpora:
        held = corpus if limit is None else sample(corpus, limit, seed)
        prepared.append(held)
        if corpus.form == "written" and corpus.style == "as given":
            source = sample(held, VARIANT_TEXTS, seed)
            prepared += [derive(source, style) for style in STYLES if style in styles and f"{corpus.name}_{style}" not in names]
    return tuple(prepared)


def run(
    corpora: Sequence[Corpus],
    detectors: Mapping[str, Detector],
    open_detectors: Opener,
    *,
    rival: str,
    seed: int,
    jobs: int = 1,
    timed: int = 0,
    progress: Progress = lambda _what, _done, _of: None,
    told: Told = lambda _corpus, _text, _answers: None,
) -> Run:
    """Time the detectors on a sample, then put every text to them. Ctrl-C ends it with what there is by then.

    Args:
        corpora: as `prepare` gave them.
        detectors: loaded, by name.
        open_detectors: loads the same ones in another process; used with more than one job.
        rival: the name of the detector that ratios are to; empty for none.
        seed: draws the sample to time.
        jobs: processes that judge texts; time is measured in this one alone.
        timed: texts to time.
        progress: told as it goes.
        told: told of each text, in order.

    Raises:
        DetectorUnavailable: a process of a pool ended early.
    """
    judged: list[Judged] = []
    faults: dict[tuple[str, str], int] = {}
    timings: tuple[Timing, ...] = ()
    turns = [(corpus, text) for corpus in corpora for text in corpus.texts]
    sizes = {corpus.name: len(corpus.texts) for corpus in corpora}
    done: dict[str, int] = {}
    interrupted = False
    try:
        texts = draw(corpora, seed, timed)
        if texts:
            progress("timing", 0, len(texts))
            timings = time_each(detectors, texts, rival=rival)
            progress("timing", len(texts), len(texts))
        answered = ask_all([text.text for _, text in turns], open_detectors, jobs, opened=detectors)
        for (corpus, text), said in zip(turns, answered, strict=True):
            answers = said | dict(_without_each(said, len(text.text)))
            for name, found in said.items():
                if found.fault:
                    faults[name, found.fault] = faults.get((name, found.fault), 0) + 1
            told(corpus, text, said)
            judged.append(Judged(corpus, text, {name: score(text, found.detections) for name, found in answers.items()}))
            done[corpus.name] = done.get(corpus.name, 0) + 1
            progress(corpus.name, done[corpus.name], sizes[corpus.name])
    except KeyboardInterrupt:
        interrupted = True
    return Run(tuple(judged), timings, faults, interrupted, len(turns))


def _without_each(said: Answers, length: int) -> Iterator[tuple[str, Found]]:
    """What the union of all layers but one would have found, for each layer that was asked alone."""
    layers = {name: found for name, found in said.items() if name.startswith(LAYER)}
    for name in layers:
        rest = (d for other, found in layers.items() if other != name for d in found.detections)
        yield WITHOUT + name.removeprefix(LAYER), Found(merge(rest, length))
