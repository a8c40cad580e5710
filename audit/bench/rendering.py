"""Rendering: the bench's report as a table for a terminal, JSON, or a page."""

from __future__ import annotations

from typing import Final

from audit.bench.report import Bench

FORMATS: Final = ("table", "json", "html")


def render(bench: Bench, fmt: str, *, width: int = 120, colour: bool = False) -> str:
    """The report in a format.

    Args:
        bench: what is told.
        fmt: one of `FORMATS`.
        width: columns of a table.
        colour: whether a table may use colour.
    """
    # Each format's library loads only when that format is asked for.
    if fmt == "json":
        return bench.as_json()
    if fmt == "html":
        from audit.bench import page  # noqa: PLC0415

        return page.render(bench)
    from audit.bench import terminal  # noqa: PLC0415

    return terminal.render(bench, width=width, colour=colour)
