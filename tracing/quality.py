"""Round trip, jitter and loss in numbers: counters read out of WebRTC's statistics, differenced into windows, windows summed up. Pure.

WebRTC counts from the start of a stream, so a window is what two readings differ by. Of each entry only the numbers named here are read,
and the kind of a stream; candidates, which hold IP addresses, are not looked at.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from math import ceil, isfinite
from typing import Any, Final

LONGEST_MS: Final = 60_000.0
"""No round trip and no jitter of a call that still runs is longer than a minute; what says so is not believed."""

WORST_FIRST: Final = ("lost", "poor", "good", "excellent", "unknown")
"""LiveKit's words for the quality of a connection. ``unknown`` says nothing, so any other word counts before it."""

_ENTRIES: Final = 1_000  # of one connection's statistics; a room with one caller has some forty
_COUNTER: Final = 2.0**53
_KEPT: Final = 1_024  # numbers of one series: 2 h 50 min of 10 s windows before the first is left out


@dataclass(slots=True)
class Series:
    """The numbers of one measure over a call, in bounded memory.

    Up to 1 024 all are kept; then every second one of them, and from there on every second one that comes, and so on: percentiles stay
    those of the whole call, and the largest is always exact.
    """

    largest: float | None = None
    _values: list[float] = field(default_factory=list)
    _stride: int = 1
    _seen: int = 0

    def add(self, value: float) -> None:
        """Take a number that is finite."""
        self.largest = value if self.largest is None else max(self.largest, value)
        if self._seen % self._stride == 0:
            self._values.append(value)
            if len(self._values) >= _KEPT:
                del self._values[1::2]
                self._stride *= 2
        self._seen += 1

    def percentile(self, share: float) -> float | None:
        """The smallest kept value that at least ``share`` (0 to 1) of them do not exceed (nearest rank); None of none."""
        ordered = sorted(self._values)
        return ordered[max(0, ceil(share * len(ordered)) - 1)] if ordered else None


@dataclass(frozen=True, slots=True)
class Window:
    """What one stretch of a call was like; None where nothing told it.

    Args:
        rtt_ms: round trip in milliseconds.
        jitter_ms: the smoothed variation of the packets' delay (RFC 3550, 6.4.1), in milliseconds.
        loss_pct: packets lost, in percent of those expected.
    """

    rtt_ms: float | None = None
    jitter_ms: float | None = None
    loss_pct: float | None = None

    @property
    def empty(self) -> bool:
        """Whether it says nothing at all."""
        return self.rtt_ms is None and self.jitter_ms is None and self.loss_pct is None


@dataclass(slots=True)
class Side:
    """All that one side of a call, ``agent`` or ``client``, told of its media."""

    windows: int = 0
    _series: dict[str, Series] = field(default_factory=lambda: {"rtt_ms": Series(), "jitter_ms": Series(), "loss_pct": Series()})
    _worst: str = ""

    def add(self, window: Window) -> None:
        """Count a window and take its numbers; one that says nothing is not counted."""
        if window.empty:
            return
        self.windows += 1
        for name, series in self._series.items():
            value = getattr(window, name)
            if value is not None:
                series.add(value)

    def rate(self, word: str) -> None:
        """Take one of LiveKit's words for the connection; the worst is kept."""
        if not self._worst or WORST_FIRST.index(word) < WORST_FIRST.index(self._worst):
            self._worst = word

    def summary(self, side: str) -> dict[str, float | str]:
        """What is told of this side, by metadata key; a key of which nothing is known is absent."""
        told: dict[str, float | str | None] = {
            f"{side}_{name}_{at}": None if value is None else round(value, 3)
            for name, series in self._series.items()
            for at, value in (("p50", series.percentile(0.5)), ("p95", series.percentile(0.95)), ("max", series.largest))
        }
        told[f"{side}_media_windows"] = self.windows or None
        told[f"{side}_quality_worst"] = self._worst or None
        return {key: value for key, value in told.items() if value is not None}


Stream = tuple[str, int]
"""Which connection of the room, ``publisher`` or ``subscriber``, and the stream's SSRC."""


@dataclass(frozen=True, slots=True)
class Reading:
    """The counters at one moment.

    Args:
        heard: of each audio stream that arrives: packets received, packets lost, jitter in seconds (None when it is not told).
        echoed: of each audio stream sent, as the media server reports it (RTCP): summed round trips in seconds, and how many.
        paths: of each connection's network path: answers to its probes (STUN), and the last round trip in seconds.
    """

    heard: Mapping[Stream, tuple[float, float, float | None]] = field(default_factory=dict)
    echoed: Mapping[Stream, tuple[float, float]] = field(default_factory=dict)
    paths: Mapping[str, tuple[float, float]] = field(default_factory=dict)


def read(stats: Any) -> Reading:
    """The counters in what ``Room.get_rtc_stats`` returns; an entry that does not hold what it should is passed over.

    Args:
        stats: has ``publisher_stats`` and ``subscriber_stats``, LiveKit's ``RtcStats`` messages.
    """
    reading = _Building({}, {}, {})
    for side, entries in (("publisher", stats.publisher_stats), ("subscriber", stats.subscriber_stats)):
        for entry in islice(entries, _ENTRIES):
            with suppress(AttributeError, TypeError, ValueError):
                reading.see(side, entry)
    return Reading(reading.heard, reading.echoed, {side: path[1:] for side, path in reading.paths.items()})


@dataclass(slots=True)
class _Building:
    """A reading while it is read; a path also says when it was last used."""

    heard: dict[Stream, tuple[float, float, float | None]]
    echoed: dict[Stream, tuple[float, float]]
    paths: dict[str, tuple[float, float, float]]

    def see(self, side: str, entry: Any) -> None:
        kind = entry.WhichOneof("stats")
        if kind == "inbound_rtp" and entry.inbound_rtp.stream.kind == "audio":
            received = entry.inbound_rtp.received
            got, lost = _number(received.packets_received), _number(max(0, received.packets_lost))
            if got is not None and lost is not None:
                self.heard[side, int(entry.inbound_rtp.stream.ssrc)] = got, lost, _seconds(received.jitter)
        elif kind == "remote_inbound_rtp" and entry.remote_inbound_rtp.stream.kind == "audio":
            remote = entry.remote_inbound_rtp.remote_inbound
            total, times = _number(remote.total_round_trip_time), _number(remote.round_trip_time_measurements)
            if total is not None and times is not None:
                self.echoed[side, int(entry.remote_inbound_rtp.stream.ssrc)] = total, times
        elif kind == "candidate_pair" and entry.candidate_pair.candidate_pair.nominated:
            pair = entry.candidate_pair.candidate_pair
            used, answers = _number(pair.last_packet_received_timestamp), _number(pair.responses_received)
            rtt = _seconds(pair.current_round_trip_time)
            known = self.paths.get(side)
            if used is not None and answers and rtt is not None and (known is None or used > known[0]):
                self.paths[side] = used, answers, rtt  # a path that was given up stays in the list: the last used counts


def between(before: Reading, after: Reading) -> Window:
    """The window between two readings.

    A stream that was not there before, or whose counters went back, is counted from zero: it began in between. The round trip is the mean
    of what the media server echoed in the window (RTCP); where it echoed nothing, the network path's last probe, the publisher's before the
    subscriber's. Jitter is the worst of the audio streams that arrived, loss is over all of them together.
    """
    expected = lost = 0.0
    jitter: float | None = None
    for stream, (got, gone, varied) in after.heard.items():
        got_before, gone_before, _ = before.heard.get(stream, (0.0, 0.0, None))
        if got < got_before:
            got_before = gone_before = 0.0
        if got > got_before and varied is not None:
            jitter = varied if jitter is None else max(jitter, varied)
        gone_now = max(0.0, gone - gone_before)  # a packet that comes late is lost no more
        lost += gone_now
        expected += got - got_before + gone_now
    return Window(
        rtt_ms=_believed(_echoed(before, after), _probed(before, after)),
        jitter_ms=None if jitter is None else jitter * 1e3,
        loss_pct=100 * lost / expected if expected else None,
    )


def _echoed(before: Reading, after: Reading) -> float | None:
    spent = times = 0.0
    for stream, (total, count) in after.echoed.items():
        total_before, count_before = before.echoed.get(stream, (0.0, 0.0))
        if count < count_before or total < total_before:
            total_before = count_before = 0.0
        spent += total - total_before
        times += count - count_before
    return 1e3 * spent / times if times else None


def _probed(before: Reading, after: Reading) -> float | None:
    for side in ("publisher", "subscriber"):
        if side in after.paths and (side not in before.paths or after.paths[side][0] != before.paths[side][0]):
            return after.paths[side][1] * 1e3
    return None


def _believed(*rtts: float | None) -> float | None:
    return next((rtt for rtt in rtts if rtt is not None and rtt <= LONGEST_MS), None)


def _number(value: Any) -> float | None:
    """A counter: a number that is finite, not below zero and exact as a float."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _COUNTER or not isfinite(value):
        return None
    return float(value)


def _seconds(value: Any) -> float | None:
    seconds = _number(value)
    return seconds if seconds is not None and seconds * 1e3 <= LONGEST_MS else None
