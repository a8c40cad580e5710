"""The verdict: GO needs every gate proven. Pure: the same gates, the same verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from audit import exits
from audit.gates import Judged
from audit.gates_base import State as GateState

State: TypeAlias = Literal["GO", "NO_GO", "UNPROVEN"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the gates come to.

    Args:
        state: ``GO``, ``NO_GO`` or ``UNPROVEN``.
        reasons: the gates that stand in the way, the failed ones first; empty for GO.
    """

    state: State
    reasons: tuple[str, ...]

    @property
    def exit_code(self) -> int:
        """The command's exit code."""
        return {"GO": exits.GO, "NO_GO": exits.NO_GO, "UNPROVEN": exits.UNPROVEN}[self.state]


def decide(judged: Sequence[Judged], incomplete: str = "") -> Verdict:
    """The verdict on judged gates.

    Args:
        judged: every gate.
        incomplete: why the work was not finished, in words; empty if it was.
    """
    failed = _reasons(judged, "failed")
    unproven = [f"incomplete: {incomplete}"] * bool(incomplete) + _reasons(judged, "unproven")
    if failed:
        return Verdict("NO_GO", (*failed, *unproven))
    if unproven or not judged:
        return Verdict("UNPROVEN", tuple(unproven) or ("no gate was judged",))
    return Verdict("GO", ())


@dataclass(frozen=True, slots=True)
class Week:
    """How far one week's gates are.

    Args:
        week: 1 to 6.
        state: ``failed`` if a gate of it failed, else ``unproven`` if one is, else ``proven``.
        gates: those of this week alone, in the report's order.
        verdict: on these and on those of all weeks before.
    """

    week: int
    state: GateState
    gates: tuple[Judged, ...]
    verdict: Verdict


def through(judged: Sequence[Judged], week: int, incomplete: str = "") -> Verdict:
    """The verdict on the gates that must hold by the end of a week; arguments as `decide`."""
    return decide([each for each in judged if each.gate.week <= week], incomplete)


def by_week(judged: Sequence[Judged], incomplete: str = "") -> tuple[Week, ...]:
    """Each week that has gates, in order; arguments as `decide`."""
    found = []
    for week in sorted({each.gate.week for each in judged}):
        own = tuple(each for each in judged if each.gate.week == week)
        states = {each.state for each in own}
        state: GateState = "failed" if "failed" in states else "unproven" if "unproven" in states else "proven"
        found.append(Week(week, state, own, through(judged, week, incomplete)))
    return tuple(found)


def _reasons(judged: Sequence[Judged], state: str) -> list[str]:
    """The gates in a state and why, those with the same reason together."""
    by_why: dict[str, list[str]] = {}
    for each in judged:
        if each.state == state:
            by_why.setdefault(each.why, []).append(each.gate.name)
    return [f"{', '.join(names)}: {why}" for why, names in by_why.items()]
