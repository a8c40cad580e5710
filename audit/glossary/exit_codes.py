"""What each exit code tells a script."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from audit import exits

EXIT_CODES: Final[Mapping[int, tuple[str, str]]] = {
    exits.GO: (
        "GO, or done",
        ("Every gate is proven, or the command did what it was asked. Nothing is left to do."),
    ),
    exits.NO_GO: (
        "NO-GO",
        (
            "A finding, or a gate that failed; of a command that looks for something: it was found. Read the report's first"
            " section. With `--enforce` the switch is off by then."
        ),
    ),
    exits.USAGE: (
        "usage or configuration",
        (
            "The command line, or a file that it names (policy, gates, evidence, settings), cannot be used. The message says where"
            " and what to write instead. Nothing was judged."
        ),
    ),
    exits.UNPROVEN: (
        "UNPROVEN, or could not finish",
        (
            "Nothing failed, and evidence is missing; or the command was stopped by something outside it. It is never a pass. The"
            " report lists what is left, with commands."
        ),
    ),
    exits.BROKEN_EVIDENCE: (
        "evidence does not verify",
        ("A report, a review, a signature or a log was changed, or nobody trusted signed it. Treat what it says as unsaid."),
    ),
    exits.INTERRUPTED: (
        "interrupted",
        ("Ctrl-C. What was done so far is reported and marked incomplete; `--resume` goes on where there is one."),
    ),
}
"""By code: its name, and what to make of it."""
