"""The findings as CSV (RFC 4180), one a row: for a spreadsheet."""

from __future__ import annotations

import csv
import io
from dataclasses import fields
from typing import Final

from audit.findings import Finding
from audit.report.model import Report

COLUMNS: Final = tuple(f.name for f in fields(Finding))
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


def render(report: Report) -> str:
    """The findings, suspicions last; a heading alone where there are none."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for finding in report.findings:
        writer.writerow([_cell(getattr(finding, name)) for name in COLUMNS])
    return out.getvalue()


def _cell(value: object) -> str:
    """A cell; one that a spreadsheet would take for a formula is made text."""
    text = str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text
