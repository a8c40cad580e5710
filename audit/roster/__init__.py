"""The roster: the clinic's own patients as a detector. An index of keyed digests, in which nobody can read a name.

`audit.roster.build.build_roster` makes an index out of a list, `audit.roster.find.Roster` finds its people in a text; both load the
detectors' word lists, so they are imported where they are used.
"""

from __future__ import annotations

from audit.roster.facts import RosterError, RosterFacts
from audit.roster.key import ROSTER, roster_key

__all__ = ["ROSTER", "RosterError", "RosterFacts", "roster_key"]
