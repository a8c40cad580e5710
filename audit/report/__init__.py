"""Reports: one frozen `Report` in, any of the formats out, checked to hold no value of a trace."""

from __future__ import annotations

from audit.report.model import Report
from audit.report.rendering import FORMATS, ReportHoldsValue, render

__all__ = ["FORMATS", "Report", "ReportHoldsValue", "render"]
