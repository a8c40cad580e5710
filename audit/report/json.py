"""The report for machines: JSON with a versioned schema, keys in a fixed order."""

from __future__ import annotations

import json

from audit.report.model import Report


def render(report: Report) -> str:
    """The report as indented JSON, with a newline at the end."""
    return json.dumps(report.as_json(), indent=2, ensure_ascii=False) + "\n"
