"""Known answers: before a scan may say "none", it must find identifying values that it has never seen, planted in copies of these runs.

An audit that cannot find what is known to be there has not shown that nothing is there. The values are made anew for every scan, so no
detector can have been written to them; what is missed counts against the recall of its class, with an exact bound.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final, Literal, TypeAlias

from audit import people, structure
from audit.findings import Finding
from audit.scan import Scanner
from audit.source import Run
from audit.statistics import lower_bound
from phi_guard.policy.compiled import Policy, Side

Style: TypeAlias = Literal["written", "lower-case", "structural"]

MEASURE_MAX: Final = 86_400_000
"""The largest number that is a measure: a day in milliseconds."""
STYLES: Final[tuple[Style, ...]] = ("written", "lower-case", "structural")
CARRIERS: Final = ("{} called about a refill", "message for {} please", "spoke with {} today", "ask {} to come back", "{}")
"""Sentences around a plant, from the longest to none, so that it fits where the policy allows few characters."""


@dataclass(frozen=True, slots=True)
class Recall:
    """How many plants of one class and style were found.

    Args:
        kind: the class, such as ``name``.
        style: ``written`` or ``lower-case`` in free text; ``structural`` in keys, names, tags, errors, events and numbers.
        n: how many were planted.
        found: how many were found.
        at_least: the recall that this shows, one-sided 95 %, Clopper-Pearson.
    """

    kind: str
    style: Style
    n: int
    found: int
    at_least: float


@dataclass(frozen=True, slots=True)
class KnownAnswers:
    """The outcome of one self-proof.

    Args:
        seed: makes the same plants again.
        rows: by class and style.
        synthetic: True where the project has no run with a free-text field, so that one had to be made up.
    """

    seed: int
    rows: tuple[Recall, ...]
    synthetic: bool

    @property
    def weakest(self) -> float:
        """The lowest recall shown of any class and style; 0.0 where nothing was planted."""
        return min((row.at_least for row in self.rows), default=0.0)

    @property
    def in_text(self) -> float:
        """The recall in free text over all classes: found by planted; 0.0 where nothing was planted."""
        rows = [row for row in self.rows if row.style != "structural"]
        planted = sum(row.n for row in rows)
        return sum(row.found for row in rows) / planted if planted else 0.0


def prove(
    scanner: Scanner, bare: Scanner, runs: Sequence[Run], *, seed: int, n: int, tick: Callable[[], None] = lambda: None
) -> tuple[KnownAnswers, frozenset[str]]:
    """Plant and seek.

    Args:
        scanner: the scanner whose findings the report gives.
        bare: the same without naming, for the structural plants: whether something is found does not hang on its name.
        runs: runs of the project to copy; they are not changed.
        seed: of the plants.
        n: plants of each class and style.
        tick: called after each class and style, for a progress bar.

    Returns:
        The outcome, and every planted value, for the check that the report holds none.
    """
    random = Random(seed)  # noqa: S311  # plants, not secrets: the seed is printed so that they can be made again
    policy = scanner.policy
    homes = [(run, *slot) for run in runs for slot in free_text_slots(policy, str(run.get("name")))]
    synthetic = not homes
    if synthetic:
        names = [f"{structure.TOOL}{tool}" for tool in policy.tools]
        homes = [(_made_up(name), *slot) for name in names for slot in free_text_slots(policy, name)]
    bodies = list(runs) or [_made_up("agent_turn")]
    values: set[str] = set()
    rows: list[Recall] = []
    for kind, make in people.CLASSES.items():
        for style in STYLES:
            found = 0
            if style != "structural" and not homes:
                continue
            for i in range(n):
                value = make(random).lower() if style == "lower-case" else make(random)
                values.add(value)
                if style == "structural":
                    found += _found_in_place(bare, random.choice(bodies), value, i)
                else:
                    found += _found_in_text(scanner, random, *random.choice(homes), value=value)
            rows.append(Recall(kind, style, n, found, lower_bound(found, n)))
            tick()
    return KnownAnswers(seed, tuple(rows), synthetic), frozenset(values)


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


def _found_in_text(scanner: Scanner, random: Random, run: Run, side: Side, field: str, chars: int | None, *, value: str) -> bool:
    """Whether the plant itself is found: a finding about its carrier, or about the text's length, does not count."""
    fitting = [c for c in CARRIERS if chars is None or len(c) - 2 + len(value) <= chars]
    carrier = random.choice(fitting[:-1] or fitting or CARRIERS[-1:])
    start, text = carrier.index("{}"), carrier.format(value)
    held = run.get(side)
    copy = {**run, side: {**(held if isinstance(held, Mapping) else {}), field: text}}
    path = f"{side}.{field}"
    return any(
        f.path == path and not f.source.startswith("policy.") and f.start < start + len(value) and f.start + f.length > start
        for f in scanner.scan(copy)
    )


def _found_in_place(scanner: Scanner, run: Run, value: str, i: int) -> bool:
    """Whether a plant in a structural place is a finding that the untouched run has not."""
    copy = dict(run)
    PLACES[i % len(PLACES)](copy, value)
    before = {_where(f) for f in scanner.scan(run)}
    return any(_where(f) not in before for f in scanner.scan(copy))


def _where(finding: Finding) -> tuple[str, str]:
    return finding.path, finding.fingerprint


def _metadata(run: dict[str, object]) -> dict[str, object]:
    extra = run.get("extra")
    extra = dict(extra) if isinstance(extra, Mapping) else {}
    held = extra.get("metadata")
    extra["metadata"] = metadata = dict(held) if isinstance(held, Mapping) else {}
    run["extra"] = extra
    return metadata


def _in_key(run: dict[str, object], value: str) -> None:
    run["inputs"] = {value: "yes"}


def _in_metadata_key(run: dict[str, object], value: str) -> None:
    _metadata(run)[value] = 1


def _in_metadata(run: dict[str, object], value: str) -> None:
    _metadata(run)["reason"] = value


def _in_label(run: dict[str, object], value: str) -> None:
    _metadata(run)["deployment"] = value


def _in_name(run: dict[str, object], value: str) -> None:
    run["name"] = f"tool.{value}"


def _in_tag(run: dict[str, object], value: str) -> None:
    run["tags"] = [value]


def _in_error(run: dict[str, object], value: str) -> None:
    run["error"] = f"LookupError: patient {value} not found"


def _in_event(run: dict[str, object], value: str) -> None:
    run["events"] = [{"name": "new_token", "time": "2026-01-01T00:00:00.000000Z", "message": value}]


def _in_attachment(run: dict[str, object], value: str) -> None:
    run["attachments"] = [f"{value}.wav"]


def _in_number(run: dict[str, object], value: str) -> None:
    digits = "".join(c for c in value if c.isdecimal())
    # A smaller number could be a measure: no scan can tell, and the report's limits say so.
    _metadata(run)["audio_ms"] = int(digits) if digits and int(digits) > MEASURE_MAX else value


def _deep(run: dict[str, object], value: str) -> None:
    nested: object = value
    for _ in range(40):
        nested = [{"<REDACTED_KEY_1>": nested}]
    run["outputs"] = {"<REDACTED_KEY_1>": nested}


PLACES: Final[tuple[Callable[[dict[str, object], str], None], ...]] = (
    _in_key, _in_metadata_key, _in_metadata, _in_label, _in_name, _in_tag, _in_error, _in_event, _in_attachment, _in_number, _deep,
)  # fmt: skip
"""Where structural plants go, in turn."""


def _made_up(name: str) -> Run:
    """A span as the tracer would send it, for a project that has none of its kind."""
    at, span = "2026-01-01T00:00:00.000000Z", "01890000-0000-7000-8000-000000000000"
    return {
        "id": span, "trace_id": span, "parent_run_id": None, "dotted_order": f"20260101T000000000000Z{span}", "name": name,
        "run_type": "tool" if name.startswith(structure.TOOL) else "chain", "start_time": at, "end_time": at, "session_name": None,
        "inputs": {}, "outputs": {}, "error": None, "extra": {"metadata": {}}, "events": [], "tags": [],
    }  # fmt: skip
