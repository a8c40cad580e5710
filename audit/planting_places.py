"""Where a value is planted that does not stand whole in a free text: in the structure of a run, or over two places of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from audit.source import Run
from phi_guard.policy.compiled import Side

MEASURE_MAX: Final = 86_400_000
"""The largest number that is a measure: a day in milliseconds."""
DEPTH: Final = 40

Split: TypeAlias = Callable[[dict[str, object], Side, str, str, str], Run]
"""Puts two halves into a run that may be changed (its side, a free-text field of that side) and gives the run to compare with: one that
holds what is found for its place alone."""


def _metadata(run: dict[str, object]) -> dict[str, object]:
    extra = run.get("extra")
    extra = dict(extra) if isinstance(extra, Mapping) else {}
    held = extra.get("metadata")
    extra["metadata"] = metadata = dict(held) if isinstance(held, Mapping) else {}
    run["extra"] = extra
    return metadata


def _in_key(run: dict[str, object], value: str) -> None:
    run["inputs"] = {value: "yes"}


def _in_metadata_key(run: dict[str, object], value: str) -> None:
    _metadata(run)[value] = 1


def _in_metadata(run: dict[str, object], value: str) -> None:
    _metadata(run)["reason"] = value


def _in_label(run: dict[str, object], value: str) -> None:
    _metadata(run)["deployment"] = value


def _in_name(run: dict[str, object], value: str) -> None:
    run["name"] = f"tool.{value}"


def _in_tag(run: dict[str, object], value: str) -> None:
    run["tags"] = [value]


def _in_error(run: dict[str, object], value: str) -> None:
    run["error"] = f"LookupError: patient {value} not found"


def _in_event(run: dict[str, object], value: str) -> None:
    run["events"] = [{"name": "new_token", "time": "2026-01-01T00:00:00.000000Z", "message": value}]


def _in_attachment(run: dict[str, object], value: str) -> None:
    run["attachments"] = [f"{value}.wav"]


def _in_number(run: dict[str, object], value: str) -> None:
    digits = "".join(c for c in value if "0" <= c <= "9")
    # A smaller number could be a measure: no scan can tell, and the report's limits say so.
    _metadata(run)["audio_ms"] = int(digits) if len(digits) < 20 and int(digits or 0) > MEASURE_MAX else value


def _deep(run: dict[str, object], value: str) -> None:
    nested: object = value
    for _ in range(DEPTH):
        nested = [{"<REDACTED_KEY_1>": nested}]
    run["outputs"] = {"<REDACTED_KEY_1>": nested}


PLACES: Final[tuple[Callable[[dict[str, object], str], None], ...]] = (
    _in_key, _in_metadata_key, _in_metadata, _in_label, _in_name, _in_tag, _in_error, _in_event, _in_attachment, _in_number, _deep,
)  # fmt: skip
"""Where structural plants go, in turn."""


def _over_items(run: dict[str, object], side: Side, name: str, first: str, second: str) -> Run:
    """Two items of one list."""
    held = run.get(side)
    rest = dict(held) if isinstance(held, Mapping) else {}
    run[side] = {**rest, name: [first, second]}
    return {**run, side: {**rest, name: ["yes", "yes"]}}


def _over_texts(run: dict[str, object], side: Side, name: str, first: str, second: str) -> Run:
    """A JSON list within one text."""
    held = run.get(side)
    rest = dict(held) if isinstance(held, Mapping) else {}
    quoted = ", ".join('"' + half.replace("\\", "\\\\").replace('"', '\\"') + '"' for half in (first, second))
    run[side] = {**rest, name: f"[{quoted}]"}
    return {**run, side: {**rest, name: '["yes", "yes"]'}}


def _over_events(run: dict[str, object], _side: Side, _name: str, first: str, second: str) -> Run:
    """Two events, where a streamed answer would stand."""
    time = "2026-01-01T00:00:00.000000Z"
    run["events"] = [{"name": "new_token", "time": time, "kwargs": {"token": half}} for half in (first, second)]
    return {**run, "events": []}


SPLITS: Final[tuple[Split, ...]] = (_over_items, _over_texts, _over_events)
"""Where the halves of a split plant go, in turn."""
