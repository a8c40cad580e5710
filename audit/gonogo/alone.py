"""Whether a project holds the review's own calls alone: what others send there would be judged as if the review had sent it.

Every run of the window is scanned and held against the account of the rehearsal's own relay. Looking at the rehearsal's traces alone would
be blind to what leaves by another door, since that comes under a trace of its own; so the calls are played into a project that is quiet.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import timedelta
from typing import Final

from audit.population import CALL_MAX
from audit.source import Source, SourceError
from phi_guard.errors import PhiGuardError

QUIET: Final = CALL_MAX + timedelta(minutes=1)
"""How long nothing may have begun in the project before the calls are played. The window begins `CALL_MAX` before them, so that a trace of
theirs without a root is one that lacks it, and never one whose root lies before the window; a minute more is for the clocks."""
ROOT: Final = "voice_session"
"""The name of a call's root."""
_NUMBERED: Final = re.compile(r"(.*-gonogo)(?:-(\d{1,6}))?", re.DOTALL)


class NotAlone(PhiGuardError):
    """Others write to the project; the message says which to name instead."""

    exit_code = 2


def expect_quiet(source: Source, project: str) -> None:
    """Nothing is in the project that began shortly before the calls are to be played.

    Args:
        source: the project from `QUIET` before now on.
        project: its name.

    Raises:
        NotAlone: something is.
        SourceError: it cannot be read; that there is no such project yet is no fault.
    """
    try:
        there = next(iter(source.runs()), None)
    except SourceError as fault:
        if fault.code != "no_project":
            raise
        return
    if there is not None:
        raise NotAlone(
            f"{project}: runs began there within the last {QUIET.total_seconds() / 60:.0f} minutes, and a review judges all that it finds;"
            f" play its calls into a project of their own: --project {own_project(project)} (or wait until it was quiet for so long)"
        )


def expect_own(source: Source, trace_ids: Collection[str], project: str) -> None:
    """No call is in the project but those that were played. What is no call is left to the scan, which fails it: it came by another door.

    Args:
        source: the project, as it is about to be scanned.
        trace_ids: of the calls that were played.
        project: its name.

    Raises:
        NotAlone: somebody else's call is.
    """
    own = set(trace_ids)
    try:
        others = {str(run.get("trace_id")) for run in source.runs() if run.get("name") == ROOT and run.get("trace_id") not in own}
    except SourceError:
        return  # the scan says so, and proves nothing
    if others:
        raise NotAlone(
            f"{project}: {len(others)} calls came there that this review did not play, so it cannot judge its own;"
            f" hold it in a project of its own: --project {own_project(project)}"
        )


def own_project(project: str) -> str:
    """A name for a project of the review's own: ``P-gonogo``, after that ``P-gonogo-2``, and so on."""
    if found := _NUMBERED.fullmatch(project):
        return f"{found[1]}-{int(found[2] or 1) + 1}"
    return f"{project}-gonogo"
