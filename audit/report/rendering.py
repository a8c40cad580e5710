"""Rendering: a `Report` becomes text or a PDF, and none comes out that holds a value of a trace."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Final, Literal, TypeAlias, overload

from audit.findings import UNEXPLAINED, Finding
from audit.report.model import Report
from audit.report.self_scan import self_scan
from phi_guard.errors import PhiGuardError

TextFormat: TypeAlias = Literal["table", "json", "html", "md", "sarif", "junit", "csv"]
FORMATS: Final = ("table", "json", "html", "md", "pdf", "sarif", "junit", "csv")

SHORT: Final = 5
"""Characters: a shorter value could stand in any report by chance, and no field of a report is made from a value."""
SHORT_DIGITS: Final = 7
"""Digits: a shorter number could be any count."""
_WORD: Final = re.compile(r"\w+")
_ESCAPED: Final = re.compile(r"\\(.)")


class ReportHoldsValue(PhiGuardError):
    """A report holds a value that was found or planted, or the form of one, so it is not written. The message does not say which."""


@overload
def render(report: Report, fmt: TextFormat, values: frozenset[str], *, width: int = 100, colour: bool = False) -> str: ...
@overload
def render(report: Report, fmt: Literal["pdf"], values: frozenset[str], *, width: int = 100, colour: bool = False) -> bytes: ...
@overload
def render(report: Report, fmt: str, values: frozenset[str], *, width: int = 100, colour: bool = False) -> str | bytes: ...
def render(report: Report, fmt: str, values: frozenset[str], *, width: int = 100, colour: bool = False) -> str | bytes:
    """The report in a format, checked to hold none of the values and nothing that has the form of one.

    Args:
        report: what is told.
        fmt: one of `FORMATS`.
        values: raw values found or planted.
        width: columns of a table.
        colour: whether a table may use colour.

    Returns:
        Text; bytes for ``pdf``.

    Raises:
        ReportHoldsValue: it holds one; nothing may be written.
    """
    places = self_scan(report)
    if places:
        more = f" and {len(places) - 5} more places" if len(places) > 5 else ""
        msg = f"the report would hold what has the form of an identifier, so it was not written: see {', '.join(places[:5])}{more}"
        raise ReportHoldsValue(msg)
    if values:
        blank = replace(report, findings=(_NONE,))
        told = {part for f in report.findings for part in (f.run_id, f.trace_id, f.entity, f.source, f.place, f.severity, f.span)}
        for each in dict.fromkeys((fmt, "json")):  # a table may break a value over two lines; JSON breaks nothing
            text = _text(report, each, width, colour=colour)
            refuse_values(text, values, beside="\n".join((_text(blank, each, width, colour=colour), *told)))
    if fmt == "pdf":
        from audit.report import pdf  # noqa: PLC0415  # each format's library loads only when that format is asked for
        from audit.report.content import compose  # noqa: PLC0415

        return pdf.render(compose(report, shown=pdf.SHOWN, stamp=True))
    return _text(report, fmt, width, colour=colour)


_NONE: Final = Finding("?", "?", "?", "?", "text", UNEXPLAINED, 0, 0, "0" * 16, "structure.shape", "medium")
"""Stands for all findings where a report is rendered to know its own words."""


def _text(report: Report, fmt: str, width: int, *, colour: bool) -> str:
    """The report as text; of the PDF, every text that is drawn in it."""
    if fmt == "table":
        from audit.report import terminal  # noqa: PLC0415

        return terminal.render(report, width=width, colour=colour)
    if fmt in {"html", "md", "pdf"}:
        from audit.report.content import compose  # noqa: PLC0415

        if fmt == "html":
            from audit.report import html as as_html  # noqa: PLC0415

            return as_html.render(compose(report, shown=as_html.SHOWN, stamp=True))
        if fmt == "md":
            from audit.report import markdown  # noqa: PLC0415

            return markdown.render(compose(report, shown=markdown.SHOWN, stamp=True))
        return "\n".join(compose(report, shown=200, stamp=True).texts)
    if fmt == "sarif":
        from audit.report import sarif  # noqa: PLC0415

        return sarif.render(report)
    if fmt == "junit":
        from audit.report import junit  # noqa: PLC0415

        return junit.render(report)
    if fmt == "csv":
        from audit.report import csv as as_csv  # noqa: PLC0415

        return as_csv.render(report)
    from audit.report import json as as_json  # noqa: PLC0415

    return as_json.render(report)


def refuse_values(text: str, values: Iterable[str], *, beside: str = "") -> None:
    """Raise `ReportHoldsValue` if the text holds a value as a word, plain or escaped, that does not stand in ``beside`` as well."""
    forms = _forms(text)
    own = _forms(beside)
    words = {word for form in forms for word in _WORD.findall(form)}
    for value in values:
        if len(value) < SHORT or (value.isdecimal() and len(value) < SHORT_DIGITS):
            continue
        doubled = value.replace('"', '""')
        for spelled in {value, doubled, json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]}:
            # Whoever stands there as a word has each of its own words there: most values are ruled out by a look at a set.
            if not words.issuperset(_WORD.findall(spelled)):
                continue
            if any(spelled in form for form in forms) and not any(spelled in form for form in own):
                word = re.compile(rf"(?<!\w){re.escape(spelled)}(?!\w)")
                if any(word.search(form) for form in forms):
                    msg = "the report would hold a value of a trace, so it was not written; please report this fault"
                    raise ReportHoldsValue(msg)


def _forms(text: str) -> tuple[str, ...]:
    """The text as it is, and without the escapes of HTML, XML and Markdown."""
    return text, html.unescape(text), _ESCAPED.sub(r"\1", text)
