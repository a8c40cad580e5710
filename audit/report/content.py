"""A report as a document: sections of sentences, charts and tables. Page, Markdown and PDF are made of it, and say the same."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from audit.report.drawing import Drawing
from audit.report.model import Report
from audit.report.parts import percent

STAMP: Final = "Contains no PHI: this report was searched for every value that the scan found or planted, and for what has the form of one."
"""May stand on a report only after `self_scan` and `rendering.refuse_values` have found nothing in it."""
NO_VALUES: Final = "Values are not shown; equal fingerprints mean equal values."


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under columns.

    Args:
        caption: above it; may be empty.
        columns: names; a leading ``#`` is for numbers, a leading ``!`` for states, a leading ``$`` for commands.
        rows: as many cells as columns each.
        folded: whether a page may keep it closed, for a chart shows the same.
    """

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    folded: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """The columns' names as they are shown."""
        return tuple(column.lstrip("#!$") for column in self.columns)


@dataclass(frozen=True, slots=True)
class Section:
    """One section.

    Args:
        name: for links.
        title: its heading.
        texts: paragraphs.
        charts: after the paragraphs.
        tables: after the charts.
        points: a list, last.
    """

    name: str
    title: str
    texts: tuple[str, ...] = ()
    charts: tuple[Drawing, ...] = ()
    tables: tuple[Table, ...] = ()
    points: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Content:
    """The whole document.

    Args:
        state: ``GO``, ``NO-GO`` or ``UNPROVEN``.
        name: of what was audited.
        about: environment, time and version.
        leads: the sentences below the verdict.
        reasons: why the verdict is what it is.
        sections: in order.
        digest: of the report.
        stamp: `STAMP`, or empty if nobody has looked.
    """

    state: str
    name: str
    about: str
    leads: tuple[str, ...]
    reasons: tuple[str, ...]
    sections: tuple[Section, ...]
    digest: str
    stamp: str = ""

    @property
    def texts(self) -> Iterator[str]:
        """Every text it shows, charts and all."""
        yield from (self.state, self.name, self.about, *self.leads, *self.reasons, self.digest, self.stamp)
        for section in self.sections:
            yield from (section.title, *section.texts, *section.points)
            for chart in section.charts:
                yield from chart.texts
            for table in section.tables:
                yield from (table.caption, *table.columns)
                for row in table.rows:
                    yield from row


def compose(report: Report, *, shown: int, stamp: bool = False) -> Content:
    """The document of a report.

    Args:
        report: what is told.
        shown: findings that are listed; the rest are counted.
        stamp: whether the report was searched and may say so.
    """
    from audit.report import sections  # noqa: PLC0415  # it builds with the types above

    target = report.target
    leads = [f"{report.sentence}."]
    if report.incomplete:
        leads.append(f"Incomplete: {report.incomplete}")
    return Content(
        state=report.verdict.state.replace("_", "-"),
        name=target.project or target.place,
        about=f"{target.env or 'no environment'} · {target.made_at} · phi-audit {target.version} · audit {report.id}",
        leads=tuple(leads),
        reasons=report.verdict.reasons,
        sections=tuple(sections.build(report, shown)),
        digest=report.digest,
        stamp=STAMP if stamp else "",
    )


def pairs(caption: str, rows: Iterable[tuple[str, str]]) -> Table:
    """A table of names and what they are; rows without a value are left out."""
    return Table(caption, ("", ""), tuple((name, value) for name, value in rows if value))


def tally(caption: str, what: str, counts: Mapping[str, int], *, folded: bool = False) -> Table:
    """A table of counts."""
    return Table(caption, (what, "#Number"), tuple((name, f"{n:,}") for name, n in counts.items()), folded)


def said(counts: Mapping[str, int]) -> str:
    """Counts in a line."""
    return ", ".join(f"{name} {n:,}" for name, n in counts.items())


def rate(value: float) -> str:
    """A rate, or a dash where none is shown."""
    return percent(value) if value else "–"
