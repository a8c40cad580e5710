"""Detectors put to many texts, here or in other processes; the only place of the audit that starts any."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Final, TypeAlias

from phi_guard.detect import Detector
from phi_guard.errors import DetectorUnavailable
from phi_guard.model import Detection

Opener: TypeAlias = Callable[[], Mapping[str, Detector]]
"""Loads the detectors by name; picklable, so that another process can load its own."""

CHUNK: Final = 16
"""Texts put to a detector at a time: it may read them as one batch; Ctrl-C waits for no more than these."""


@dataclass(frozen=True, slots=True)
class Found:
    """What one detector said of one text.

    Args:
        detections: as it gave them.
        fault: the class of the fault it broke with, empty where it did not; it then found nothing.
    """

    detections: tuple[Detection, ...]
    fault: str = ""


Answers: TypeAlias = dict[str, Found]
"""What each detector said of one text, by its name."""


def ask_all(texts: Sequence[str], open_detectors: Opener, jobs: int, *, opened: Mapping[str, Detector] | None = None) -> Iterator[Answers]:
    """Every detector's answers to every text, in the order of the texts.

    Args:
        texts: any strings.
        open_detectors: loads the detectors; called once in each process.
        jobs: processes; with 1 the work is done in this one.
        opened: the same detectors, loaded in this process already.

    Raises:
        DetectorUnavailable: a process ended before its work did.
    """
    chunks = [tuple(texts[i : i + CHUNK]) for i in range(0, len(texts), CHUNK)]
    if jobs == 1:
        detectors = opened or open_detectors()
        for chunk in chunks:
            yield from _ask_each(detectors, chunk)
        return
    pool = ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=_start, initargs=(open_detectors,))
    try:
        # Ctrl-C reaches every process of the terminal; only this one is to answer it, and what is ignored now stays so in those it starts
        heeded = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            answered = pool.map(_ask_chunk, chunks)  # submits all of them, which starts every process
        finally:
            signal.signal(signal.SIGINT, heeded)
        for answers in answered:
            yield from answers
    except BrokenProcessPool:
        msg = "a process that judged texts ended early (no memory left, or a detector did not load there); run again with --jobs 1"
        raise DetectorUnavailable(msg) from None
    finally:
        pool.shutdown(cancel_futures=True)


_here: dict[str, Detector] = {}
"""The detectors of this process, where it is one of a pool's."""


def _start(open_detectors: Opener) -> None:
    _here.update(open_detectors())


def _ask_chunk(texts: tuple[str, ...]) -> list[Answers]:
    return _ask_each(_here, texts)


def _ask_each(detectors: Mapping[str, Detector], texts: tuple[str, ...]) -> list[Answers]:
    by_name = {name: _ask(detector, texts) for name, detector in detectors.items()}
    return [{name: found[i] for name, found in by_name.items()} for i in range(len(texts))]


def _ask(detector: Detector, texts: tuple[str, ...]) -> list[Found]:
    batched: Callable[[Sequence[str]], Sequence[tuple[Detection, ...]]] | None = getattr(detector, "find_many", None)
    if batched is not None:
        with suppress(Exception):  # one text broke it: which one, the texts tell one by one
            return [Found(tuple(found)) for found in batched(texts)]
    return [_ask_one(detector, text) for text in texts]


def _ask_one(detector: Detector, text: str) -> Found:
    try:
        return Found(tuple(detector.find(text)))
    except Exception as fault:  # noqa: BLE001  # a rival may break on a text; it is told and counted as nothing found
        return Found((), type(fault).__name__)
