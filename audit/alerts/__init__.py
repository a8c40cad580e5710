"""Alerts: rules as a file, judged over what the call index and the audit know, and said once each, with what they were and how they ended.

`load_rules` reads the rules, `evaluate` judges them and is pure, `read_state` tells what fires. Nothing of a call's content is in it: an
alert holds the closed facts of `phi_guard.facts`, and passes the gate like everything that leaves.
"""

from __future__ import annotations

from audit.alerts.evaluation import evaluate
from audit.alerts.events import Event
from audit.alerts.evidence import Evidence, Leak, NotKnown
from audit.alerts.rules import Rule, RulesError, Silence, load_rules
from audit.alerts.state import AlertState, Firing, StateUnusable, Track, read_state, write_state

__all__ = [
    "AlertState", "Event", "Evidence", "Firing", "Leak", "NotKnown", "Rule", "RulesError", "Silence", "StateUnusable", "Track", "evaluate",
    "load_rules", "read_state", "write_state",
]  # fmt: skip
