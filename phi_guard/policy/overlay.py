"""An environment, or a file that extends another, may only tighten: whether one rule never sends more than another.

The order is by what may be sent, most first::

    scan ─ truncate (more chars) ─ truncate (fewer chars) ──┐
    keep ─ keep with a narrower shape, or more unless_sent ─┤
                                                            ├─ redact (only a marker) ─ drop (nothing at all)
    generalise (to the same) ───────────────────────────────┤
    pseudonym ──────────────────────────────────────────────┘

Between two of the lines neither sends less than the other, so going from one to the other loosens: ``keep`` sends only what fits its
shape; ``scan`` and ``truncate`` send any text in which detectors find nothing; ``generalise`` sends something of values that a ``keep``
would not know; ``pseudonym`` tells for any value whether it is the same as another. A ``scan`` or ``truncate`` may not let pass
(``allow_entities``, ``safe_values``) what the rule before it did not. A shape is narrower if it is a part of the same list or range.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from phi_guard.policy.compiled import Number, OneOf, Rule, Shape


def loosening(base: Rule, over: Rule) -> str:
    """In what a rule is looser than the rule it replaces, and what to write instead; empty if in nothing."""
    match base.action, over.action:
        case (_, "drop") | ("keep" | "scan" | "truncate" | "redact" | "pseudonym" | "generalise", "redact") | ("pseudonym", "pseudonym"):
            return ""
        case ("scan", "scan" | "truncate"):
            return _passing(base, over)
        case ("truncate", "truncate"):
            if over.chars > base.chars:
                return f"{over.chars} chars are more than {base.chars}; write {base.chars} or fewer"
            return _passing(base, over)
        case ("generalise", "generalise"):
            return "" if over.to == base.to else f"{over.to} tells something else than {base.to}; write to: {base.to}, redact or drop"
        case ("keep", "keep"):
            if not _within(over.shape, base.shape):
                return "a different shape may fit more; write the same one, or action: redact"
            lost = ", ".join(sorted(base.unless_sent - over.unless_sent))
            return f"unless_sent must name these too: {lost}" if lost else ""
    tighter = {"drop": "drop", "redact": "redact or drop", "truncate": "truncate, redact or drop"}.get(base.action, "redact or drop")
    return f"{over.action} is looser than {base.action}, and here a rule may only be tightened; write {tighter}"


def tighter(one: Rule, other: Rule) -> Rule:
    """The rule that sends no more than either: the second if it is no looser, else the first, else to redact."""
    if not loosening(one, other):
        return other
    if not loosening(other, one):
        return one
    return Rule(one.field, "redact", other.line, one.safe_harbor, file=other.file)


def keeps_number(base: Rule, over: Rule) -> Rule:
    """The rule with the number of the rule it replaces: what a field is, no environment changes."""
    return replace(over, safe_harbor=base.safe_harbor)


def released(before: Mapping[str, Rule], after: Mapping[str, Rule], conditional: Mapping[str, Rule]) -> Iterator[tuple[str, str]]:
    """Fields whose tightening sets others free: ``(tightened, set free)``.

    A value that is kept unless another is sent would be sent as soon as the other is not. So where a rule that could send something is
    tightened, each keep that waits for it must become a redact or drop as well.

    Args:
        before: the fields' rules as they were.
        after: the fields' rules as they are to be.
        conditional: every rule that is to be, by the place it is shown at.
    """
    for name, rule in after.items():
        base = before.get(name, rule)
        if base.action in {"redact", "drop"} or not loosening(rule, base):
            continue
        yield from ((name, place) for place, waiting in conditional.items() if name in waiting.unless_sent)


def _passing(base: Rule, over: Rule) -> str:
    for key in ("allow_entities", "safe_values"):
        more = ", ".join(sorted(getattr(over, key) - getattr(base, key)))
        if more:
            return f"{key} lets more pass ({more}); leave it out"
    return ""


def _within(narrow: Shape | None, wide: Shape | None) -> bool:
    if isinstance(narrow, OneOf) and isinstance(wide, OneOf):
        return narrow.values <= wide.values
    if isinstance(narrow, Number) and isinstance(wide, Number):
        return wide.low <= narrow.low and narrow.high <= wide.high
    return narrow == wide
