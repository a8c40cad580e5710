"""A file on top of another: ``extends: clinic.yaml`` takes over what that file says, adds to it, and tightens it. It never loosens it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from phi_guard.errors import PolicyError
from phi_guard.policy.lines import Sheet, read

CHAIN_MAX: Final = 3
"""Files that may stand on one another, so that a person can still say where a rule comes from."""


def chain(path: str | os.PathLike[str]) -> tuple[Sheet, ...]:
    """A file and those it extends, the outermost base first. What they hold may still be faulty.

    Args:
        path: the file; the paths in ``extends`` are taken from the folder of the file they stand in.

    Raises:
        PolicyError: a file cannot be read, extends itself by some way round, or stands on too many others.
    """
    sheets = [read(path)]
    seen = {_real(sheets[0].name)}
    while isinstance(sheets[0].value, dict) and isinstance(given := sheets[0].value.get("extends"), str) and given:
        sheet, base = sheets[0], str(Path(sheets[0].name).parent / given)
        if _real(base) in seen:
            sheet.fault(("extends",), f"'{given}' comes back to a file that extends this one; leave it out, or extend another")
            sheet.check()
        if len(sheets) == CHAIN_MAX:
            sheet.fault(("extends",), f"more than {CHAIN_MAX} files would stand on one another; put two of them together")
            sheet.check()
        seen.add(_real(base))
        try:
            sheets.insert(0, read(base))
        except PolicyError as refused:
            sheet.fault(("extends",), "the file it names cannot be read; see the next line")
            raise PolicyError((*_noted(sheet), *refused.faults)) from None
    return tuple(sheets)


def _real(path: str) -> str:
    return os.path.realpath(path) if "\0" not in path else path


def _noted(sheet: Sheet) -> tuple[str, ...]:
    try:
        sheet.check()
    except PolicyError as refused:
        return refused.faults
    return ()
