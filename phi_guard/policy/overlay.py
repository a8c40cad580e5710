"""An environment may only tighten: whether one rule never sends more than another.

The order is by what may be sent, most first::

    scan ─ truncate (more chars) ─ truncate (fewer chars) ─┐
                                                           ├─ redact (only a marker) ─ drop (nothing at all)
    keep ─ keep with more fields in unless_sent ───────────┘

``keep`` sends only what fits its shape; ``scan`` and ``truncate`` send any text in which detectors find nothing. Neither sends less than
the other, so going from one to the other loosens. For the same reason a ``keep`` may not change its shape.
"""

from __future__ import annotations

from phi_guard.policy.compiled import Rule


def loosening(base: Rule, over: Rule) -> str:
    """In what an overlay's rule is looser than the rule it replaces, and what to write instead; empty if in nothing."""
    match base.action, over.action:
        case (_, "drop") | ("keep" | "scan" | "truncate" | "redact", "redact") | ("scan", "scan" | "truncate"):
            return ""
        case ("truncate", "truncate"):
            return "" if over.chars <= base.chars else f"{over.chars} chars are more than {base.chars}; write {base.chars} or fewer"
        case ("keep", "keep"):
            if over.shape != base.shape:
                return "a different shape may fit more; write the same one, or action: redact"
            lost = ", ".join(sorted(base.unless_sent - over.unless_sent))
            return f"unless_sent must name these too: {lost}" if lost else ""
    tighter = {"drop": "drop", "redact": "redact or drop", "truncate": "truncate, redact or drop"}.get(base.action, "redact or drop")
    return f"{over.action} is looser than {base.action}, and an environment may only tighten; write {tighter}"
