"""The report's search of itself where a project's name looks like a date, a number or a person: it is written, and hides nothing else."""

from __future__ import annotations

from dataclasses import replace

import kept_reports
import pytest

from audit.manifest import Manifest
from audit.report import FORMATS, ReportHoldsValue, render
from audit.report.self_scan import self_scan

NAMES = {
    "a date": "clinic-2026-11-20",
    "a date first": "2026-11-20 clinic",
    "a day and a month": "praxis 20.11.2026",
    "digits": "praxis-20261120",
    "a person": "Ada Byron",
    "an address": "ada.byron@praxis.example",
    "a machine": "10.0.0.7",
    "a number": "clinic 079 555 01 23",
}
PHONE, MAIL = "+41 79 555 01 23", "max.muster@example.org"


def of(project, **more):
    """A report of the project, which names it wherever a report does; its calls were rehearsed there."""
    report = kept_reports.kept()
    return replace(
        report,
        target=replace(report.target, project=project, place="LangSmith at smith.example"),
        rehearsal=replace(report.rehearsal, project=project),
        manifest=Manifest({"project": project, "protocol": "v2"}, "smith.example", kept_reports.MADE_AT, 5, 0, 5, 1000, "a" * 64, "b" * 64),
        reproduce=f"phi-audit scan --project '{project}' --seed 7",
        **more,
    )


@pytest.mark.parametrize("what", NAMES)
def test_a_report_of_a_project_with_such_a_name_is_written_in_every_format(what):
    report = of(NAMES[what])
    assert self_scan(report) == ()
    for fmt in FORMATS if what == "a date" else ("json", "md"):
        assert render(report, fmt, frozenset())
    assert NAMES[what] in render(report, "json", frozenset())


@pytest.mark.parametrize("what", NAMES)
def test_what_is_no_name_of_the_project_is_refused_beside_it(what):
    """Where people and our own words stand, alone and in one sentence with the name; neither it nor the name is in the message."""
    for text in (f"call {PHONE}", f"ask {MAIL}", f"of {NAMES[what]}: call {PHONE}, or ask {MAIL}", "SSN 219-09-9999"):
        for change in ({"notes": (text,)}, {"incomplete": text.replace(MAIL, PHONE)}):
            report = of(NAMES[what], **change)
            (place,) = self_scan(report)
            assert place == next(iter(change)) + "[]" * isinstance(change.get("notes"), tuple)
            with pytest.raises(ReportHoldsValue) as refused:
                render(report, "md", frozenset())
            assert not any(part in str(refused.value) for part in (PHONE, MAIL, "219-09-9999", NAMES[what]))


@pytest.mark.parametrize("what", NAMES)
def test_a_report_without_a_rehearsal_names_its_project_all_the_same(what):
    """Whose name it is does not hang on what else was held there."""
    assert self_scan(replace(of(NAMES[what]), rehearsal=None)) == ()


@pytest.mark.parametrize("project", ["79", " ", "555 01", "5", "a", "-"])
def test_a_short_name_hides_nothing_and_spoils_no_id(project):
    """It stands in many a text by chance: neither are numbers and addresses that hold it hidden, nor digests taken for others."""
    assert self_scan(of(project)) == ()
    for text in (f"call {PHONE}", f"ask {MAIL}", "SSN 219-09-9999"):
        assert self_scan(of(project, notes=(text,))) == ("notes[]",)
