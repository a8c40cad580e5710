"""The exit codes of every command: one meaning each, so that a script can trust them."""

from __future__ import annotations

from typing import Final

GO: Final = 0
"""Every gate is proven, or the command did what it was asked."""
NO_GO: Final = 1
"""A finding, or a gate that failed."""
USAGE: Final = 2
"""The command line or a file it names (policy, gates, evidence) cannot be used."""
UNPROVEN: Final = 3
"""Evidence is missing, or the command could not finish. Never a pass."""
BROKEN_EVIDENCE: Final = 4
"""Evidence that does not verify."""
INTERRUPTED: Final = 130
"""Ctrl-C: what was done so far is reported and marked incomplete."""
