"""The report as Markdown, for a pull request or a letter: the same sections and tables; the charts stand as their words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from audit.report.content import Content, Table

SHOWN: Final = 50
"""Findings that are listed."""
_MARKS: Final = re.compile(r"([\\`*_{}\[\]<>#|~])")


def render(content: Content) -> str:
    """The document as Markdown (CommonMark, with GitHub's tables)."""
    return "\n".join(_lines(content)).rstrip() + "\n"


def escape(text: str) -> str:
    """Text that Markdown takes as it is; on one line."""
    return _MARKS.sub(r"\\\1", " ".join(text.split()))


def _lines(content: Content) -> Iterator[str]:
    yield from (f"# {content.state}: {escape(content.name)}", "", escape(content.about), "")
    for lead in content.leads:
        yield from (escape(lead), "")
    yield from (f"- {escape(reason)}" for reason in content.reasons)
    if content.stamp:
        yield from ("", f"> {escape(content.stamp)}")
    for section in content.sections:
        yield from ("", f"## {escape(section.title)}", "")
        for text in section.texts:
            yield from (escape(text), "")
        told = {table.caption for table in section.tables}
        for chart in section.charts:
            if chart.title not in told:  # its table says it below
                yield from (f"{escape(chart.title)}: {escape(chart.told)}", "")
        for table in section.tables:
            yield from _table(table)
        yield from (f"- {escape(point)}" for point in section.points)
    yield from ("", f"Report SHA-256 `{content.digest}`")


def _cell(column: str, cell: str) -> str:
    """A command as code, so that it can be copied as it is."""
    code = column.startswith("$") and len(cell) > 1 and "`" not in cell and "|" not in cell
    return f"`{' '.join(cell.split())}`" if code else escape(cell)


def _table(table: Table) -> Iterator[str]:
    if table.caption:
        yield from (f"**{escape(table.caption)}**", "")
    yield "| " + " | ".join(escape(name) or " " for name in table.names) + " |"
    yield "|" + "|".join(" ---: " if column.startswith("#") else " --- " for column in table.columns) + "|"
    for row in table.rows:
        yield "| " + " | ".join(_cell(*each) or " " for each in zip(table.columns, row, strict=True)) + " |"
    yield ""
