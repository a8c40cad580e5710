"""One call drawn: who spoke when, how long the caller waited and for what, and which tools ran. Geometry in seconds. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Final

from audit.calls.index import Detail
from audit.calls.records import ToolUse, Turn
from audit.dashboard.views.explanation import stretches
from audit.dashboard.views.parts import NONE, ms
from audit.dashboard.views.strips import ROWS, Bar, Kind, Row, Tick, clock, seconds, strips, ticks
from audit.report.content import Table
from audit.report.drawing import Drawing
from audit.report.parts import counted

ROWS_MAX: Final = 1_000
"""Turns, and tools, that are drawn of one call: an hour has some 700 of them."""
_COLUMNS: Final = ("#Start", "Who", "What", "#Took", "#Waited", "#Model", "#Tools", "Outcome")


@dataclass(frozen=True, slots=True)
class CallDrawing:
    """A call as bars, as a chart and as a table. All three say the same.

    Args:
        length_s: seconds that the axis reaches.
        lanes: lanes of each row.
        bars: by their start.
        ticks: at most twelve.
        drawing: the chart, wrapped into strips like lines of text; None for a call of which nothing has a time.
        table: a row a turn or tool, in order: start, who, what, took, waited, model, tools, outcome.
        told: in one sentence.
    """

    length_s: float
    lanes: dict[Row, int]
    bars: tuple[Bar, ...]
    ticks: tuple[Tick, ...]
    drawing: Drawing | None
    table: Table
    told: str


@dataclass(slots=True)
class _Axis:
    """Moments as seconds from the call's beginning, never before it."""

    zero: datetime

    def at(self, moment: datetime | None) -> float:
        return 0.0 if moment is None else max(0.0, (moment - self.zero).total_seconds())


def draw_call(detail: Detail) -> CallDrawing:
    """The drawing of a call."""
    call = detail.call
    begun = [turn.start for turn in detail.turns if turn.start is not None] + [
        tool.start for tool in detail.tools if tool.start is not None
    ]
    zero = call.start or min(begun, default=None)
    if zero is None:
        empty = Table("Turns and tools", _COLUMNS, ())
        return CallDrawing(0.0, {}, (), (), None, empty, "Nothing of this call has a time, so nothing can be drawn.")
    axis = _Axis(zero)
    turns, tools = detail.turns[:ROWS_MAX], detail.tools[:ROWS_MAX]
    by_turn: dict[str, list[ToolUse]] = {}
    for tool in detail.tools:
        by_turn.setdefault(tool.turn_id, []).append(tool)
    bars = [bar for turn in turns for bar in _of_turn(turn, by_turn.get(turn.run_id, ()), axis)]
    bars += _of_tools(tools, axis)
    bars.sort(key=lambda bar: (bar.start_s, bar.row, bar.lane))
    length = max([axis.at(call.end), *(bar.end_s for bar in bars)], default=0.0)
    lanes = {row: 1 + max((bar.lane for bar in bars if bar.row == row), default=-1) for row in ROWS}
    told = _told(detail, length)
    left_out = len(detail.turns) + len(detail.tools) - len(turns) - len(tools)
    if left_out:
        told += f" {left_out:,} more turns and tools are not drawn."
    drawing = strips(bars, lanes, length, title="The call", told=told) if bars else None
    return CallDrawing(length, lanes, tuple(bars), ticks(length), drawing, _table(turns, tools, axis), told)


def _of_turn(turn: Turn, tools: Sequence[ToolUse], axis: _Axis) -> Iterator[Bar]:
    if turn.start is None:
        return
    start = axis.at(turn.start)
    end = max(start, axis.at(turn.end)) if turn.end is not None else start
    open_end = "" if turn.end is not None else ", its end has not come"
    if turn.speaker == "user":
        yield Bar("caller", 0, start, end, "speech", f"{clock(start)} the caller spoke, {seconds(end - start)}{open_end}", turn.run_id)
        return
    failed = bool(turn.error) or turn.outcome == "failed"
    heard = start + max(0.0, turn.ttft_ms) / 1000 if turn.ttft_ms is not None else start
    yield from _wait(turn, tools, start, heard, axis)
    end = max(end, heard)
    said = "the agent failed to answer" if failed else "the agent spoke" if turn.ttft_ms is not None else "the agent's turn"
    cut = ", the caller broke in" if turn.outcome == "interrupted" else ""
    kind: Kind = "error" if failed else "answer"
    yield Bar("agent", 0, heard, end, kind, f"{clock(heard)} {said}, {seconds(end - heard)}{cut}{open_end}", turn.run_id, failed)


def _wait(turn: Turn, tools: Sequence[ToolUse], start: float, heard: float, axis: _Axis) -> Iterator[Bar]:
    """The wait cut into what is known of it: tools by their own times, the model up to the first sound, and what is between."""
    busy = [(axis.at(a), axis.at(b)) for a, b in stretches(turn, tools)]
    model_from = max(start, heard - max(0.0, turn.ttft_model_ms or 0.0) / 1000)
    edges = sorted({start, heard, model_from, *(edge for pair in busy for edge in pair)})
    names: dict[Kind, str] = {
        "wait_tool": "the caller waits for a tool",
        "wait_model": "the caller waits for the model",
        "wait": "the caller waits",
    }
    held: list[tuple[Kind, float, float]] = []
    for a, b in pairwise(edge for edge in edges if start <= edge <= heard):
        kind: Kind = "wait_tool" if any(x <= a and b <= y for x, y in busy) else "wait_model" if a >= model_from else "wait"
        if held and held[-1][0] == kind:
            held[-1] = (kind, held[-1][1], b)
        else:
            held.append((kind, a, b))
    for kind, a, b in held:
        yield Bar("agent", 0, a, b, kind, f"{clock(a)} {names.get(kind, 'the caller waits')}, {seconds(b - a)}", turn.run_id)


def _of_tools(tools: Sequence[ToolUse], axis: _Axis) -> Iterator[Bar]:
    """Tools in the first lane that is free when they begin."""
    free: list[float] = []
    for tool in sorted((each for each in tools if each.start is not None), key=lambda each: axis.at(each.start)):
        start = axis.at(tool.start)
        end = max(start, axis.at(tool.end))
        lane = next((i for i, until in enumerate(free) if until <= start), len(free))
        free[lane : lane + 1] = [max(end, start + 1e-6)]
        how = "failed" if tool.failed else "was cancelled" if tool.status == "cancelled" else "ran" if tool.end else "has no end"
        tip = f"{clock(start)} {tool.tool} {how}, {seconds(end - start)}"
        yield Bar("tools", lane, start, end, "error" if tool.failed else "tool", tip, tool.run_id, tool.failed)


def _table(turns: Sequence[Turn], tools: Sequence[ToolUse], axis: _Axis) -> Table:
    rows = []
    for turn in turns:
        took = None if turn.start is None or turn.end is None else (turn.end - turn.start).total_seconds() * 1000
        who = "caller" if turn.speaker == "user" else "agent"
        told = turn.error or turn.outcome or NONE
        waits = (ms(turn.ttft_ms), ms(turn.ttft_model_ms), ms(turn.tool_ms) if who == "agent" else NONE)
        rows.append((axis.at(turn.start), (clock(axis.at(turn.start)), who, "turn", ms(took), *waits, told)))
    for tool in tools:
        told = tool.error or tool.status or NONE
        withheld = ", content withheld" if tool.withheld else ""
        cells = (clock(axis.at(tool.start)), "tool", tool.tool, ms(tool.duration_ms), NONE, NONE, NONE, f"{told}{withheld}")
        rows.append((axis.at(tool.start), cells))
    rows.sort(key=lambda row: row[0])
    return Table("Turns and tools in the order they began", _COLUMNS, tuple(cells for _, cells in rows))


def _told(detail: Detail, length: float) -> str:
    call, waits = detail.call, [turn.ttft_ms for turn in detail.turns if turn.ttft_ms is not None]
    failed = sum(tool.failed for tool in detail.tools)
    lasted = f"A call of {clock(length)}" if call.end else f"A call that has no end yet, {clock(length)} so far"
    longest = f"; the longest wait for an answer was {ms(max(waits))}" if waits else "; no wait for an answer was measured"
    used = f"{counted(len(detail.tools), 'use')} of tools" + (f", {failed:,} failed" if failed else "")
    of_users = sum(turn.speaker == "user" for turn in detail.turns)
    of_agents = len(detail.turns) - of_users
    return f"{lasted}: {counted(of_users, 'turn')} of the caller, {of_agents:,} of the agent, {used}{longest}."
