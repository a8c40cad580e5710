"""Figures as short text, the same in the table and on the page."""

from __future__ import annotations

from typing import Final

from audit.bench.report import Bench, Row
from audit.bench.run import LAYER, WITHOUT
from audit.bench.score import Figures

NONE: Final = "–"


def percent(rate: float | None, digits: int = 1) -> str:
    """A rate in percent, or a dash for none. What is not all is never shown as 100, nor what is something as 0."""
    if rate is None:
        return NONE
    shown = f"{rate:.{digits}%}"
    if rate < 1 and shown == f"{1:.{digits}%}":
        return f">{100 - 10**-digits:.{digits}f}%"
    if rate > 0 and shown == f"{0:.{digits}%}":
        return f"<{10**-digits:.{digits}f}%"
    return shown


def leaks(figures: Figures, *, bound: bool = False) -> str:
    """Leaking documents, their share, and if wanted the share not ruled out."""
    if not figures.documents:
        return NONE
    told = f"{figures.leaked}"
    if figures.leaked or bound:
        told += f" ({percent(figures.leaked_share)}"
        told += f", at most {percent(figures.leaked_at_most, 2)})" if bound else ")"
    return told


def recall(figures: Figures) -> str:
    """Recall at any overlap and whole."""
    return f"{percent(figures.recall_any)} / {percent(figures.recall_full)}"


def any_figures(row: Row) -> Figures:
    """The figures of some detector, for the counts that are the same of all."""
    return next(iter(row.figures.values()))


def layer_names(bench: Bench) -> list[tuple[str, str, str]]:
    """Each layer measured: its name, and the names of its figures alone and of the union without it."""
    alone = [name for name in bench.layers if name.startswith(LAYER)]
    return [(name.removeprefix(LAYER), name, WITHOUT + name.removeprefix(LAYER)) for name in alone]
