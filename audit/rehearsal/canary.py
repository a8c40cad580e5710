"""Canaries: the patient's values that a rehearsal put into its calls, looked for in what can be read back from the other end."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal
from urllib.parse import quote

from audit.evidence import Canaries, Share
from audit.rehearsal.script import PlannedCall
from audit.source import Run
from phi_guard.detect.normalise import NormalisingDetector
from phi_guard.known_values import KnownValues
from phi_guard.model import Detection
from phi_guard.policy.compiled import Policy

SHORTEST: Final = 5
"""Characters of a value that can be looked for without meeting it by chance."""
DIGITS: Final = 7
"""Likewise, where only a value's digits are looked for."""
CUE: Final = 4
"""Letters beside a number's digits that are its label, such as ``MRN-``, and tell nothing alone."""
POOLED: Final = 40
"""Canaries that are looked for at once."""
ORIGINS: Final = (
    "agent", "caller", "exception", "participant_attribute", "participant_identity", "room_name", "tool_argument", "tool_result"
)  # fmt: skip
"""Where a value can be planted: in the model's words or the caller's, in a tool's exception, in what it takes and gives back, and in what
the line tells of who rings."""
_NUMBER: Final = re.compile(r"\+?\d[\d ]{5,}\d")
"""A telephone number within a room's name, an identity or an attribute."""
_RANDOM: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|\d{8}t\d{12}z|\d{4}-\d\d-\d\dt\d\d:\d\d:\d\d\.\d{6}")
"""Ids and instants of our own, whose digits could be anybody's."""


@dataclass(frozen=True, slots=True)
class Canary:
    """A value of a synthetic person that must not arrive.

    Args:
        value: as it is planted.
        kind: the policy's field for it, such as ``patient_name``, or what the script calls it.
        origin: where it was planted: `ORIGINS`, joined by ``+`` where it stands in several.
    """

    value: str = field(repr=False)
    kind: str
    origin: str


def collect(calls: Iterable[PlannedCall], policy: Policy) -> tuple[Canary, ...]:
    """The register of what was planted: values under fields that the policy redacts or drops, what the script declares, and the telephone
    numbers that the line tells.

    Left out is what could be met by chance: values shorter than `SHORTEST`, and names of which a word, and not the whole, stands in what
    passes in any case (the policy's own names, and the values of fields that it keeps): a patient Lee where there is a Dr. Lee.
    """
    calls = tuple(calls)
    found: dict[str, tuple[str, set[str]]] = {}

    def plant(value: str, kind: str, origin: str) -> None:
        if len(value) >= SHORTEST:
            found.setdefault(value, (kind, set()))[1].add(origin)

    kept: list[str] = [*policy.names, *policy.tools]
    for call in calls:
        for declared in call.plants:
            plant(declared.value, declared.kind, declared.origin)
        for origin, text in _line(call).items():
            for number in _NUMBER.findall(text):
                if sum(map(str.isdecimal, number)) >= DIGITS:
                    plant(number, "phone", origin)
        for tool in (tool for turn in call.turns for tool in turn.tools):
            for side, origin in ((tool.arguments, "tool_argument"), (tool.result, "tool_result")):
                for name, value in _scalars(side):
                    rule = policy.fields.get(name)
                    if rule is not None and rule.action in {"redact", "drop"}:
                        plant(str(value), name, origin)
                    elif rule is not None and rule.action == "keep":
                        kept.append(str(value))
    for call in calls:
        for turn in call.turns:
            said = {"caller": turn.caller_says, "agent": turn.agent_says, "exception": " ".join(t.raises or "" for t in turn.tools)}
            for value, (_, origins) in found.items():
                origins |= {origin for origin, text in said.items() if value in text}
        for value, (_, origins) in found.items():
            origins |= {origin for origin, text in _line(call).items() if value in text}
    rows = (Canary(value, kind, "+".join(sorted(origins))) for value, (kind, origins) in found.items())
    passing = " | ".join(dict.fromkeys(kept))
    # A value that stands there whole is no chance: the policy lets it out, and that must show.
    return tuple(row for row in rows if row.value in passing or not _Known([row]).find(passing))


def _line(call: PlannedCall) -> dict[str, str]:
    """What the line tells, by origin."""
    if call.line is None:
        return {}
    told = call.line.attributes
    return {"room_name": call.line.room, "participant_identity": call.line.identity, "participant_attribute": " | ".join(told.values())}


def _scalars(side: object) -> Iterator[tuple[str, str | int]]:
    """The texts and numbers of a payload, each with the name it stands under."""
    stack: list[tuple[str, object]] = [("", side)]
    while stack:
        name, value = stack.pop()
        if isinstance(value, Mapping):
            stack += [(str(key), inner) for key, inner in value.items()]
        elif isinstance(value, list | tuple):
            stack += [(name, inner) for inner in value]
        elif isinstance(value, str | int) and not isinstance(value, bool):
            yield name, value


def count(canaries: Collection[Canary], runs: Iterable[Run]) -> Canaries:
    """Which canaries stand anywhere in some runs: in a key, a name, a text or a number, at any depth.

    They are looked for as they are, encoded, and in what every text reads once its disguises are undone; there by part of a name, by the
    same digits spaced otherwise, dictated, spelled out or as a date in words (`phi_guard.known_values`).
    """
    runs = list(runs)
    whole = _RANDOM.sub(" ", json.dumps(runs, ensure_ascii=False, default=str).lower())
    arrived = {canary for canary in canaries if any(form in whole for form in _forms(canary.value))}
    texts = {_RANDOM.sub(" ", text) for run in runs for text in _texts(run)}
    for some in _portions([canary for canary in canaries if canary not in arrived]):
        pool = NormalisingDetector(_Known(some))
        for text in texts:
            if pool.find(text):
                arrived |= {canary for canary in some if NormalisingDetector(_Known([canary])).find(text)}
    return Canaries(len(canaries), len(arrived), _shares(canaries, arrived, "kind"), _shares(canaries, arrived, "origin"))


def _shares(canaries: Collection[Canary], arrived: Collection[Canary], by: Literal["kind", "origin"]) -> dict[str, Share]:
    names = sorted({str(getattr(canary, by)) for canary in canaries})
    return {name: Share(sum(getattr(c, by) == name for c in canaries), sum(getattr(c, by) == name for c in arrived)) for name in names}


def _portions(canaries: Sequence[Canary]) -> Iterator[Sequence[Canary]]:
    """So few at a time that `KnownValues` has room for all their words."""
    for at in range(0, len(canaries), POOLED):
        yield canaries[at : at + POOLED]


def _texts(value: object) -> Iterator[str]:
    """Every key, text and whole number of a run. A fraction, such as a cost, is looked for by all of a value's digits only."""
    stack = [value]
    while stack:
        inner = stack.pop()
        if isinstance(inner, Mapping):
            stack += [*inner, *inner.values()]
        elif isinstance(inner, list | tuple):
            stack += inner
        elif isinstance(inner, str | int | float) and not isinstance(inner, bool) and (not isinstance(inner, float) or inner.is_integer()):
            yield str(
                int(inner) if isinstance(inner, float) else inner
            )  # 2200.0 ms are 2200: its point and nought are no digits of a value


class _Known:
    """Finds canaries in a text without disguises, as they are told. An address counts by two of its words, since one may be anybody's."""

    name = "canaries"

    def __init__(self, canaries: Iterable[Canary]) -> None:
        names, places = KnownValues(alone=False), KnownValues(alone=False)  # "von" alone tells nobody, and stands in any German sentence
        for canary in canaries:
            letters, digits = sum(map(str.isalpha, canary.value)), sum(map(str.isdecimal, canary.value))
            if digits >= DIGITS - 1 and letters <= CUE:
                names.add("".join(c for c in canary.value if not c.isalpha()).strip(" -"), named=True)
            elif digits and " " in canary.value and "@" not in canary.value:
                places.add(canary.value, named=True)
            else:
                names.add(canary.value, named=True)
        self._names, self._places = names, places

    def find(self, text: str) -> tuple[Detection, ...]:
        """Where one stands."""
        places = self._places.find(text)
        words = {text[d.start : d.end].lower() for d in places}
        return (*self._names.find(text), *(places if len(words) > 1 or any(" " in word for word in words) else ()))


def _forms(value: str) -> Iterator[str]:
    """As it is, its digits alone, URL-encoded, in hexadecimal, and in base64 wherever it begins; all in lower case."""
    yield value.lower()
    yield json.dumps(value)[1:-1].lower()
    yield quote(value).lower()
    yield value.encode().hex()
    digits = "".join(c for c in value if c.isdecimal())
    if len(digits) >= DIGITS:
        yield digits
    for shift in range(3):
        encoded = base64.b64encode(b" " * shift + value.encode()).rstrip(b"=").decode().lower()
        if len(encoded) > shift + SHORTEST + 2:
            yield encoded[shift + 1 : -2]
