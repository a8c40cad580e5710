"""Rendering: a `Report` becomes text, and no text comes out that holds a value of a trace."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Final

from audit.findings import UNEXPLAINED, Finding
from audit.report.model import Report
from phi_guard.errors import PhiGuardError

FORMATS: Final = ("table", "json", "html")

SHORT: Final = 5
"""Characters: a shorter value could stand in any report by chance, and no field of a report is made from a value."""
SHORT_DIGITS: Final = 7
"""Digits: a shorter number could be any count."""


class ReportHoldsValue(PhiGuardError):
    """A rendered report holds a value that was found or planted, so it is not written. The message does not say which."""


def render(report: Report, fmt: str, values: frozenset[str], *, width: int = 100, colour: bool = False) -> str:
    """The report in a format, checked to hold none of the values.

    Args:
        report: what is told.
        fmt: one of `FORMATS`.
        values: raw values found or planted.
        width: columns of a table.
        colour: whether a table may use colour.

    Raises:
        ReportHoldsValue: it holds one; nothing may be written.
    """
    text = _renderer(fmt, width, colour)(report)
    blank = replace(report, findings=(_NONE,))
    ids = (part for f in report.findings for part in (f.run_id, f.trace_id, f.entity, f.source))
    for each in {fmt, "json"}:  # a table may break a value over two lines; JSON breaks nothing
        paint = _renderer(each, width, colour)
        refuse_values(text if each == fmt else paint(report), values, beside="\n".join((paint(blank), *ids)))
    return text


_NONE: Final = Finding("?", "?", "?", "?", "text", UNEXPLAINED, 0, 0, "0" * 16, "structure.shape", "medium")
"""Stands for all findings where a report is rendered to know its own words."""


def _renderer(fmt: str, width: int, colour: bool) -> Callable[[Report], str]:
    # Each format's library loads only when that format is asked for.
    if fmt == "json":
        from audit.report import json as as_json  # noqa: PLC0415

        return as_json.render
    if fmt == "html":
        from audit.report import html as as_html  # noqa: PLC0415

        return as_html.render
    from audit.report import terminal  # noqa: PLC0415

    return lambda report: terminal.render(report, width=width, colour=colour)


def refuse_values(text: str, values: Iterable[str], *, beside: str = "") -> None:
    """Raise `ReportHoldsValue` if the text holds a value as a word, plain or escaped, that does not stand in ``beside`` as well."""
    forms = (text, html.unescape(text))
    for value in values:
        if len(value) < SHORT or (value.isdecimal() and len(value) < SHORT_DIGITS):
            continue
        for spelled in {value, json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]}:
            if any(spelled in form for form in forms) and spelled not in beside:
                word = re.compile(rf"(?<!\w){re.escape(spelled)}(?!\w)")
                if any(word.search(form) for form in forms):
                    msg = "the report would hold a value of a trace, so it was not written; please report this fault"
                    raise ReportHoldsValue(msg)
