"""The recorded TTFT-A of a call's answers, each held against the stand-in's own clock."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass

from tracing.local.azure_realtime import Moment


@dataclass(frozen=True, slots=True)
class Sample:
    """One TTFT-A.

    Args:
        stopped_s: `time.monotonic` when the caller stopped speaking.
        ttft_ms: from there to the first sound of the answer.
    """

    stopped_s: float
    ttft_ms: float


@dataclass(frozen=True, slots=True)
class Paired:
    """Recorded samples beside the stand-in's.

    Args:
        errors_ms: of each pair, how far apart they are.
        unpaired: samples of either side that the other side has none for: of these no error is known.
    """

    errors_ms: tuple[float, ...] = ()
    unpaired: int = 0


def true_samples(moments: Iterable[Moment]) -> list[Sample]:
    """What the stand-in measured: from each stop of speech to the next first sound, unless the caller spoke again before."""
    samples: list[Sample] = []
    stopped: float | None = None
    for moment in moments:
        if moment.event == "speech_started":
            stopped = None
        elif moment.event == "speech_stopped":
            stopped = moment.at_s
        elif moment.event == "first_audio" and stopped is not None:
            samples.append(Sample(stopped, (moment.at_s - stopped) * 1000))
            stopped = None
    return samples


def pair(moments: Iterable[Moment], recorded: Iterable[Sample]) -> Paired:
    """Pair what was recorded with what the stand-in measured, by time, and count what finds no other.

    The tracer hears of a stop after the stand-in has noted it and before the next one is: so a recorded sample belongs to the last stop
    of speech before its own, and is not held against the answer to another turn where one side lacks a turn.

    Args:
        moments: of one call; the same clock as the samples'.
        recorded: of the same call.
    """
    moments, recorded = sorted(moments, key=lambda moment: moment.at_s), list(recorded)
    truth = {sample.stopped_s: sample for sample in true_samples(moments)}
    stops, total = [moment.at_s for moment in moments if moment.event == "speech_stopped"], len(truth) + len(recorded)
    errors: list[float] = []
    for told in recorded:
        at = bisect_right(stops, told.stopped_s)
        true = truth.pop(stops[at - 1], None) if at else None
        if true is not None:
            errors.append(round(abs(true.ttft_ms - told.ttft_ms), 3))
    return Paired(tuple(errors), total - 2 * len(errors))
