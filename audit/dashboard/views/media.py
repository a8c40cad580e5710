"""The network of a call in words: the delay that its round trips come to, its jitter and its loss, against published limits. Pure.

Sources: ITU-T G.114 (one-way delay: up to 150 ms most people notice nothing, above 400 ms is not acceptable), ITU-T Y.1541 (variation of
the delay up to 50 ms in classes 0 and 1), ITU-T G.1010 (loss below 3 % for conversation), and LiveKit's own word for the connection.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from audit.calls.records import Call, Media, Spread
from audit.dashboard.views.parts import ms
from audit.report.content import Table

NOTICED_MS: Final = 150.0
"""Milliseconds one way, ITU-T G.114."""
LIMIT_MS: Final = 400.0
"""Likewise."""
JITTER_MS: Final = 50.0
"""ITU-T Y.1541, classes 0 and 1."""
LOSS_PCT: Final = 3.0
"""ITU-T G.1010, conversational voice."""
_BAD_WORDS: Final = frozenset({"poor", "lost"})


@dataclass(frozen=True, slots=True)
class Network:
    """What a call's media say.

    Args:
        one_way_ms: half of the round trips of both sides at their 95th percentile, the larger jitter added; None where neither was told.
        bad: whether it is beyond a limit (`LIMIT_MS`, `LOSS_PCT`, LiveKit's poor or lost).
        agent_bad: whether that is so on the agent's own side.
        reconnects: of the agent to the model.
        trouble: what is wrong, as the subject of a sentence; empty where nothing is.
        words: one or two sentences on what is to be noticed; empty where nothing is, or nothing was measured.
        measured: whether any side measured anything.
    """

    one_way_ms: float | None
    bad: bool
    agent_bad: bool
    reconnects: int
    trouble: str
    words: str
    measured: bool


def network(call: Call) -> Network:
    """The network of a call."""
    sides = (("the agent's", call.agent_media), ("the caller's", call.client_media))
    rtts = [media.rtt_ms.p95 for _, media in sides if media.rtt_ms.p95 is not None]
    jitters = [media.jitter_ms.p95 for _, media in sides if media.jitter_ms.p95 is not None]
    one_way = sum(rtts) / 2 + max(jitters, default=0.0) if rtts else None
    wrong = [f"{whose} connection ({_measures(media)})" for whose, media in sides if _beyond(media)]
    if call.reconnects:
        times = "once" if call.reconnects == 1 else f"{call.reconnects} times"
        wrong.append(f"that the connection to the model was made anew {times}")
    late = one_way is not None and one_way > LIMIT_MS
    told = []
    if one_way is not None and one_way > NOTICED_MS:
        worse = (
            f"above the {LIMIT_MS:.0f} ms that ITU-T G.114 calls acceptable" if late else f"above the {NOTICED_MS:.0f} ms of ITU-T G.114"
        )
        told.append(
            f"sound took about {ms(one_way)} one way (half the round trips at p95, and jitter), {worse}; TTFT-A does not hold that."
        )
    if wrong:
        told.append(f"{'W' if told else 'w'}hat speaks for the network: {'; '.join(wrong)}. It is measured per call, not per turn.")
    bad = late or any(_beyond(media) for _, media in sides)
    trouble = "; ".join(wrong) or (f"a delay of about {ms(one_way)} one way" if late else "")
    measured = any(media.windows or media.worst for _, media in sides) or bool(rtts)
    return Network(one_way, bad, _beyond(call.agent_media), call.reconnects, trouble, " ".join(told), measured)


def media_table(call: Call) -> Table | None:
    """Both sides' measures as a table; None where nothing was measured."""
    rows = tuple(
        (side, media.worst or "–", f"{media.windows:,}", *(_spread(each) for each in (media.rtt_ms, media.jitter_ms, media.loss_pct)))
        for side, media in (("agent", call.agent_media), ("caller", call.client_media))
        if media.windows or media.worst
    )
    columns = ("Measured by", "Worst", "#Windows", "#Round trip p50 / p95 / max, ms", "#Jitter, ms", "#Loss, %")
    return Table("Media, in windows of ten seconds over the whole call", columns, rows) if rows else None


def _beyond(media: Media) -> bool:
    return (
        media.worst in _BAD_WORDS
        or (media.loss_pct.p95 or 0.0) >= LOSS_PCT
        or (media.jitter_ms.p95 or 0.0) > JITTER_MS
        or (media.rtt_ms.p95 or 0.0) / 2 > LIMIT_MS
    )


def _measures(media: Media) -> str:
    told = [f"LiveKit called it {media.worst}"] if media.worst in _BAD_WORDS else []
    for name, value, unit in (
        ("round trip", media.rtt_ms.p95, "ms"),
        ("jitter", media.jitter_ms.p95, "ms"),
        ("loss", media.loss_pct.p95, "%"),
    ):
        if value is not None:
            told.append(f"{name} p95 {value:.3g} {unit}" if unit == "%" else f"{name} p95 {value:,.0f} {unit}")
    return ", ".join(told)


def _spread(spread: Spread) -> str:
    held = (spread.p50, spread.p95, spread.max)
    return " / ".join("–" if value is None else f"{value:,.3g}" if value < 100 else f"{value:,.0f}" for value in held)
