"""Two reports side by side: which findings are new, gone and the same, and which gates changed. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from audit.findings import Finding
from audit.report.model import Report
from audit.report.parts import place_of

_ORDER = {"failed": 0, "unproven": 1, "proven": 2}


@dataclass(frozen=True, slots=True, order=True)
class Group:
    """Findings that are one: the same value, called the same, in the same place, whatever the trace.

    Args:
        entity: what it is called.
        path: where, indexes left out.
        fingerprint: of the value.
        n: how many.
    """

    entity: str
    path: str
    fingerprint: str
    n: int


@dataclass(frozen=True, slots=True)
class Moved:
    """A gate whose state is another; an empty state where the gate was not judged."""

    gate: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Change:
    """What is different from one report to another.

    Args:
        new: findings of the later one alone.
        gone: findings of the earlier one alone.
        same: findings of both, counted in the later one.
        gates: that changed.
        before: the earlier verdict.
        after: the later verdict.
        notes: why the two cannot be compared whole.
    """

    new: tuple[Group, ...]
    gone: tuple[Group, ...]
    same: tuple[Group, ...]
    gates: tuple[Moved, ...]
    before: str
    after: str
    notes: tuple[str, ...]

    @property
    def worse(self) -> bool:
        """Whether a gate that stood better before now stands worse."""
        return any(_ORDER.get(moved.after, 0) < _ORDER.get(moved.before, 0) for moved in self.gates)

    def as_json(self) -> dict[str, object]:
        """Plain values."""
        told = {name: [_group(group) for group in getattr(self, name)] for name in ("new", "gone", "same")}
        gates = [{"gate": moved.gate, "before": moved.before, "after": moved.after} for moved in self.gates]
        return {**told, "gates": gates, "before": self.before, "after": self.after, "notes": list(self.notes)}

    def lines(self) -> Iterator[str]:
        """For a terminal."""
        before, after = self.before.replace("_", "-"), self.after.replace("_", "-")
        yield f"{before} -> {after}: {len(self.new)} new, {len(self.gone)} gone, {len(self.same)} same"
        for sign, groups in (("+", self.new), ("-", self.gone), ("=", self.same)):
            yield from (f"{sign} {group.entity:<20} {group.path}  {group.fingerprint}  {group.n}x" for group in groups)
        yield from (f"gate {moved.gate}: {moved.before or 'not judged'} -> {moved.after or 'not judged'}" for moved in self.gates)
        yield from (f"note: {note}" for note in self.notes)


def compare(before: Report, after: Report) -> Change:
    """Hold two reports against each other; suspicions are left out."""
    old, now = _grouped(before.leaks), _grouped(after.leaks)
    gates = {row.gate.name: row.state for row in before.gates}, {row.gate.name: row.state for row in after.gates}
    names = [*gates[1], *(name for name in gates[0] if name not in gates[1])]
    return Change(
        new=tuple(sorted(group for key, group in now.items() if key not in old)),
        gone=tuple(sorted(group for key, group in old.items() if key not in now)),
        same=tuple(sorted(group for key, group in now.items() if key in old)),
        gates=tuple(
            Moved(name, gates[0].get(name, ""), gates[1].get(name, "")) for name in names if gates[0].get(name) != gates[1].get(name)
        ),
        before=before.verdict.state,
        after=after.verdict.state,
        notes=tuple(_notes(before, after)),
    )


def _notes(before: Report, after: Report) -> Iterator[str]:
    if before.custody.fingerprint_key != after.custody.fingerprint_key:
        yield "the fingerprints are under two keys: the same value looks new and gone; scan both with one key"
    if before.target.policy_digest != after.target.policy_digest:
        yield "the two were judged by two policies"
    if before.method.digest != after.method.digest:
        yield "the two were looked at with two methods: what is new may only be seen now"
    if before.target.project != after.target.project:
        yield "the two are of two projects"
    for name, report in (("earlier", before), ("later", after)):
        if report.unlisted:
            yield f"the {name} report counts {report.unlisted} findings that it does not list"
        if report.incomplete:
            yield f"the {name} report is incomplete"


def _grouped(findings: tuple[Finding, ...]) -> dict[tuple[str, str, str], Group]:
    counted = Counter((finding.entity, place_of(finding), finding.fingerprint) for finding in findings)
    return {key: Group(*key, n) for key, n in counted.items()}


def _group(group: Group) -> dict[str, object]:
    return {"entity": group.entity, "path": group.path, "fingerprint": group.fingerprint, "n": group.n}
