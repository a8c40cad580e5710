"""Planting: a synthetic value put into a copy of a run, in free text or in a place that has none, and sought there by a scanner."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Final

from audit import structure
from audit.findings import Finding
from audit.people import Kind, Style, Value, disguises
from audit.planting_places import PLACES, SPLITS
from audit.scan import Scanner
from audit.source import Run
from phi_guard.policy.compiled import Policy, Side

_OF_PERSONS: Final = {
    "en": ("{} called about a refill", "message for {} please", "spoke with {} today", "ask {} to come back", "{}"),
    "fr": ("{} a appelé pour une ordonnance", "message pour {} svp", "parlé avec {} hier", "rappeler {}", "{}"),
    "de": ("{} hat wegen des Rezepts angerufen", "Nachricht für {} bitte", "mit {} gesprochen", "bitte {} anrufen", "{}"),
}
_OF_THINGS: Final = {
    "en": ("patient gave {} on the phone", "noted {} today", "it says {} here", "please check {}", "{}"),
    "fr": ("le patient a donné {} au téléphone", "noté {} hier", "il est écrit {}", "vérifier {}", "{}"),
    "de": ("Patient nannte {} am Telefon", "notiert {} heute", "hier steht {}", "bitte {} prüfen", "{}"),
}
"""Sentences around a plant, by language, from the longest to none, so that it fits where the policy allows few characters."""


@dataclass(frozen=True, slots=True)
class Plant:
    """A value, ready to be planted.

    Args:
        kind: its class.
        style: how it stands there.
        turn: which of its row it is, counted from 0; places are taken in turn.
        value: what it is.
        before: what stands before the value in its phrase, such as ``MRN ``.
        text: the value as it stands there.
        after: what stands after it.
        random: chooses the place.
        way: the disguise, where it has one.
    """

    kind: str
    style: Style
    turn: int
    value: Value
    before: str
    text: str = field(repr=False)
    after: str
    random: Random = field(repr=False, compare=False)
    way: str = ""

    @property
    def phrase(self) -> str:
        """The value with the words that say what it is."""
        return f"{self.before}{self.text}{self.after}"


def make(name: str, kind: Kind, style: Style, turn: int, random: Random) -> Plant:
    """A plant of a class and style, new with every call."""
    value = kind.draw(random)
    before, _, after = value.cue.partition("{}")
    text, way = value.text, ""
    if style == "lower-case":
        before, text, after = before.lower(), text.lower(), after.lower()
    elif style == "spoken" and kind.say is not None:
        before, text, after = before.lower(), kind.say(value, random), after.lower()
    elif style == "disguised":
        way = tuple(disguises.WAYS)[turn % len(disguises.WAYS)]
        before, text, after = "", disguises.hide(value.phrase, random, way), ""
    return Plant(name, style, turn, value, before, text, after, random, way)


class Seeker:
    """Plants in copies of runs and asks the scanner.

    Args:
        scanner: whose findings count.
        bare: the same without naming, for places without free text.
        runs: to copy; not changed.

    Attributes:
        synthetic: True where no run has free text, so that runs had to be made up.
    """

    def __init__(self, scanner: Scanner, bare: Scanner, runs: Sequence[Run]) -> None:
        self._scanner = scanner
        self._bare = bare
        policy = scanner.policy
        self._homes = [(run, *slot) for run in runs for slot in free_text_slots(policy, str(run.get("name")))]
        self.synthetic = not self._homes
        if self.synthetic:
            names = [f"{structure.TOOL}{tool}" for tool in policy.tools]
            self._homes = [(made_up(name), *slot) for name in names for slot in free_text_slots(policy, name)]
        self._bodies = list(runs) or [made_up("agent_turn")]

    def can(self, style: Style) -> bool:
        """Whether there is a place for a style: without a free-text field in the policy, only structural ones."""
        return style == "structural" or bool(self._homes)

    def find(self, plants: Sequence[Plant]) -> list[bool]:
        """Whether the scanner finds each plant, in the place that is its turn. All of one style; the detectors are asked at once."""
        if not plants:
            return []
        scanner = self._bare if plants[0].style == "structural" else self._scanner
        trials = [self._trial(plant) for plant in plants]
        untouched = [trial.base for trial in trials if trial.base is not None]
        held = {
            id(run): frozenset((f.path, f.fingerprint) for f in found)
            for run, found in zip(untouched, scanner.scan_many(untouched), strict=True)
        }
        after = scanner.scan_many([trial.copy for trial in trials])
        return [trial.shows(found, held) for trial, found in zip(trials, after, strict=True)]

    def _trial(self, plant: Plant) -> _Trial:
        if plant.style == "structural":
            run = plant.random.choice(self._bodies)
            copy = dict(run)
            PLACES[plant.turn % len(PLACES)](copy, plant.phrase)
            return _Trial(copy, run)
        run, side, name, chars = self._home(plant)
        if plant.style == "split":
            copy = dict(run)
            return _Trial(copy, SPLITS[plant.turn % len(SPLITS)](copy, side, name, *_halves(plant)))
        carriers = (_OF_PERSONS if plant.value.person else _OF_THINGS)[plant.value.language]
        fitting = [c for c in carriers if chars is None or len(c) - 2 + len(plant.phrase) <= chars]
        carrier = plant.random.choice(fitting[:-1] or fitting or carriers[-1:])
        if plant.style in {"lower-case", "spoken"}:
            carrier = carrier.lower()
        start = carrier.index("{}") + len(plant.before)
        held = run.get(side)
        copy = {**run, side: {**(held if isinstance(held, Mapping) else {}), name: carrier.replace("{}", plant.phrase)}}
        return _Trial(copy, None, f"{side}.{name}", start, start + len(plant.text))

    def _home(self, plant: Plant) -> tuple[Run, Side, str, int | None]:
        """A place for a plant, one that is long enough for it if there is one."""
        fitting = [home for home in self._homes if home[3] is None or len(plant.phrase) <= home[3]]
        return plant.random.choice(fitting or self._homes)


@dataclass(frozen=True, slots=True)
class _Trial:
    """A copy of a run with a plant in it, and how to tell that it is found.

    Args:
        copy: the run with the plant.
        base: the run without it, where any finding that it has not shows the plant; None where the place of the finding does.
        path: of the text that holds the plant.
        start: of the plant in that text, characters.
        end: likewise.
    """

    copy: Run
    base: Run | None
    path: str = ""
    start: int = 0
    end: int = 0

    def shows(self, findings: Sequence[Finding], held: Mapping[int, frozenset[tuple[str, str]]]) -> bool:
        """Whether the findings show the plant. A suspicion does not fail a scan, and so does not count; nor does a finding about the
        words around the plant, or about the length of the text.
        """
        certain = [f for f in findings if f.severity != "low"]
        if self.base is not None:
            return any((f.path, f.fingerprint) not in held[id(self.base)] for f in certain)
        return any(self._meets(f) for f in certain)

    def _meets(self, found: Finding) -> bool:
        if found.path == self.path:
            return not found.source.startswith("policy.") and found.start < self.end and found.start + found.length > self.start
        return found.path.startswith(f"{self.path}~")  # in what the text hides; its offsets are those of what was hidden


def free_text_slots(policy: Policy, span: str) -> Iterator[tuple[Side, str, int | None]]:
    """The places of a tool's span where the policy lets free text stand: side, field, and the most characters (None for any)."""
    tool = policy.tools.get(span.removeprefix(structure.TOOL)) if span.startswith(structure.TOOL) else None
    if tool is None:
        return
    sides: tuple[Side, Side] = ("inputs", "outputs")
    for side in sides:
        for name in sorted(tool.side(side)):
            rule = policy.rule_for(span.removeprefix(structure.TOOL), side, name)
            # Where the policy lets a class pass, a plant of that class is no finding, and shows nothing of the scanner.
            if rule.action in {"scan", "truncate"} and not rule.allow_entities:
                yield side, name, rule.chars if rule.action == "truncate" else None


def _halves(plant: Plant) -> tuple[str, str]:
    """The phrase cut within the value, so that each half has two of its characters at least."""
    cut = len(plant.before) + plant.random.randint(2, max(2, len(plant.text) - 2))
    return plant.phrase[:cut], plant.phrase[cut:]


def made_up(name: str) -> Run:
    """A span as the tracer would send it, for a project that has none of its kind."""
    at, span = "2026-01-01T00:00:00.000000Z", "01890000-0000-7000-8000-000000000000"
    return {
        "id": span, "trace_id": span, "parent_run_id": None, "dotted_order": f"20260101T000000000000Z{span}", "name": name,
        "run_type": "tool" if name.startswith(structure.TOOL) else "chain", "start_time": at, "end_time": at, "session_name": None,
        "inputs": {}, "outputs": {}, "error": None, "extra": {"metadata": {}}, "events": [], "tags": [],
    }  # fmt: skip
