"""The report's search of itself: the audit's own patterns over every text that it holds and that does not come from a closed list.

What `rendering.refuse_values` knows are the values that were found and planted. This knows none: it finds what has the form of an
identifier, whoever wrote it, such as a reason somebody gave with a telephone number in it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, Final

from audit.report.model import Report
from phi_guard.model import Detection

LEAST: Final = 0.5
"""The score that counts: what is below are digits without a form, as counts have."""
OURS: Final = re.compile(
    r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{12,128}|\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:\d\d)?)?"
)
"""A whole text that is an id, a digest or a time: what the report itself makes or was checked to be one."""
_WITHIN: Final = re.compile(
    r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b|\b(?=[0-9a-f]*[a-f])(?=[0-9a-f]*\d)[0-9a-f]{16,128}\b"
    r"|--(?:seed|since|known-answers|sample)[ =]\d+[mhdw]?"
    r"|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)?"
)
"""The same within a text; a date alone is not, for it could be somebody's."""
CLOSED: Final = (
    "selection.generator",
    "limits",
    "verdict.rule",
    "scope.system",
    "scope.flow",
    "scope.standard",
    "scope.retention",
    "schema",
)
"""Texts that are constants of ours."""
_CLOSED_ROWS: Final = re.compile(
    r"gates\[\]\.(?:name|asks|source|evidence|bound|state)|findings\[\]\.(?:source|entity|place|severity|span)"
)
"""Texts out of the gates file and the names of our own detectors and spans, in rows."""
STAFF: Final = re.compile(r"(?:review\.reviewers|signatures)\[\]\.name|(?:accepted|expired)\[\]\.owner|custody\.by")
"""Where the names of staff stand, as they gave them."""
PLACES: Final = re.compile(
    r"target\.place|scope\.host|manifest\.(?:host|query\..*)|custody\.anchor|cross_check\.account|reproduce|target\.policy_file"
    r"|method\.pieces\[\]\.name|gates\[\]\.why|verdict\.reasons\[\]|incomplete|rehearsal\.endpoint"
)
"""Where a host or a file is named."""
VERSIONS: Final = re.compile(r"method\.pieces\[\]\.version|target\.version")
"""Where a version stands, which can have the form of a date or an address."""
NAMED: Final = re.compile(rf"(?:target|rehearsal|monitoring)\.project|{PLACES.pattern}")
"""Where the name of a project stands, which is its owner's own; it says nothing of the same letters elsewhere, as in an id or a reason."""
_SHARE: Final = re.compile(r"(?<![\w/])\d{1,5}/\d{1,5}(?![\w/])")
_OF_GATES: Final = frozenset({"gates[].why", "verdict.reasons[]"})
"""Where our own gates say shares as 58/59, which look like a number of an account."""
_OF_STAFF: Final = frozenset({"PERSON", "EMAIL_ADDRESS", "URL"})
_OF_VERSIONS: Final = frozenset({"DATE_TIME", "IP_ADDRESS"})
_OF_PLACES: Final = frozenset({"URL", "IP_ADDRESS", "FILE_PATH", "EMAIL_ADDRESS"})

_ALLOWED: Final = ((STAFF, _OF_STAFF), (PLACES, _OF_PLACES), (VERSIONS, _OF_VERSIONS))


def self_scan(report: Report) -> tuple[str, ...]:
    """Where the report holds what has the form of an identifier; empty if nowhere.

    Args:
        report: all of it; names of staff may stand where the report says that they do.

    Returns:
        Places in the report's JSON, with no word of what stands there.
    """
    find, seen, hits = _finder(), dict[tuple[str, frozenset[str]], bool](), list[str]()
    # What could not be reached is named where it is told, and the projects that evidence is of.
    beside = [part.project for part in (report.target, report.rehearsal, report.monitoring) if part is not None]
    named, place = sorted(filter(None, set(beside)), key=len, reverse=True), report.target.place.rpartition(" ")[2]
    for where, held in _texts(report.as_json(), ""):
        text = held.replace(place, "…") if place else held
        for name in named if NAMED.fullmatch(where) else ():
            text = text.replace(name, "…")
        allowed = next((entities for places, entities in _ALLOWED if places.fullmatch(where)), frozenset[str]())
        if (text, allowed) not in seen:
            seen[text, allowed] = _holds(_SHARE.sub("…", text) if where in _OF_GATES else text, allowed, find)
        if seen[text, allowed]:
            hits.append(where)
    return tuple(dict.fromkeys(hits))


def _holds(text: str, allowed: frozenset[str], find: Callable[[str], Sequence[Detection]]) -> bool:
    if OURS.fullmatch(text):
        return False
    rest = _WITHIN.sub("…", text)
    return any(d.score >= LEAST and d.entity not in allowed for d in find(rest))


def _texts(held: Any, where: str) -> Iterator[tuple[str, str]]:
    """Every text in it with its place, keys too; indexes are left out of places."""
    if where in CLOSED or _CLOSED_ROWS.fullmatch(where):
        return
    if isinstance(held, str):
        yield where, held
    elif isinstance(held, Mapping):
        for name, value in held.items():
            yield where or "report", str(name)
            yield from _texts(value, f"{where}.{name}" if where else str(name))
    elif isinstance(held, list):
        for value in held:
            yield from _texts(value, f"{where}[]")


@cache
def _finder() -> Callable[[str], Sequence[Detection]]:
    from phi_guard.detect import PatternDetector  # noqa: PLC0415  # loads with the first report

    return PatternDetector().find
