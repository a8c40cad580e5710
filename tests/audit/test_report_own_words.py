"""The report's check of itself, where a value that was found is one of the report's own words."""

from __future__ import annotations

from dataclasses import replace

import pytest
from kept_reports import finding, kept

from audit.report import render
from audit.report.rendering import FORMATS, ReportHoldsValue


@pytest.mark.parametrize("fmt", [fmt for fmt in FORMATS if fmt != "pdf"])
def test_the_words_of_a_finding_are_ours(fmt):
    """A place, a severity and a span's name come from closed lists: that somebody's text holds such a word too gives nothing away."""
    report = kept(findings=[replace(finding(), place="number", severity="medium", span="session.start")])
    assert render(report, fmt, frozenset({"number", "medium", "session.start"}))


def test_a_value_in_a_path_is_still_refused():
    """A path is no closed list."""
    with pytest.raises(ReportHoldsValue):
        render(kept(findings=[finding(path="outputs.Quarrendon")]), "json", frozenset({"Quarrendon"}))
