"""One call's trace as a tree of lines: what there is, when, how long, and the measures of each span. Only what has left is shown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from audit.source import Run

_SHOWN: Final = (
    "consent", "ttft_ms", "ttft_model_ms", "tool_ms", "audio_ms", "input_tokens", "output_tokens", "cost_usd", "outcome", "status",
    "reason", "turns", "errors", "spans_offered", "spans_withheld", "spans_dropped",
)  # fmt: skip


def draw_tree(runs: Iterable[Run], trace_id: str) -> list[str]:
    """The lines of one trace, in the order things began.

    Args:
        runs: runs of one or more traces.
        trace_id: which trace.
    """
    mine = [run for run in runs if run.get("trace_id") == trace_id]
    below: dict[object, list[Run]] = {}
    for run in sorted(mine, key=lambda run: str(run.get("dotted_order"))):
        below.setdefault(run.get("parent_run_id"), []).append(run)
    lines: list[str] = []
    for root in below.get(None, []):
        lines.append(_line(root, root))
        _draw(root, root, below, "", lines)
    return lines


def _draw(run: Run, root: Run, below: Mapping[object, list[Run]], indent: str, lines: list[str]) -> None:
    children = below.get(run.get("id"), [])
    for n, child in enumerate(children):
        last = n == len(children) - 1
        lines.append(f"{indent}{'└─ ' if last else '├─ '}{_line(child, root)}")
        deeper = indent + ("   " if last else "│  ")
        for side in ("inputs", "outputs"):
            content = child.get(side)
            if isinstance(content, Mapping) and content:
                bar = "│  " if below.get(child.get("id")) else "   "
                lines.append(f"{deeper}{bar}{side}: " + ", ".join(f"{key}={value}" for key, value in content.items()))
        _draw(child, root, below, deeper, lines)


def _line(run: Run, root: Run) -> str:
    extra: Any = run.get("extra")
    metadata = extra.get("metadata") if isinstance(extra, Mapping) else None
    said = metadata if isinstance(metadata, Mapping) else {}
    facts = [f"{key}={_short(said[key])}" for key in _SHOWN if key in said]
    if run.get("error"):
        facts.append(f"error={run['error']}")
    since = _ms(root.get("start_time"), run.get("start_time"))
    took = _ms(run.get("start_time"), run.get("end_time"))
    return f"{run.get('name')}  +{since} ms, {took} ms  {' '.join(facts)}".rstrip()


def _short(value: object) -> object:
    return round(value, 4) if isinstance(value, float) else value


def _ms(start: object, end: object) -> str:
    try:
        return str(round((datetime.fromisoformat(str(end)) - datetime.fromisoformat(str(start))).total_seconds() * 1000))
    except (ValueError, TypeError):
        return "?"
