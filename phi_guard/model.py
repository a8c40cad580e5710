"""The frozen facts that cross module borders: what is offered, what was found, what may leave."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NoReturn, TypeAlias

import msgspec

MARKER: Final = "<REDACTED>"
"""What stands where a value stood. Constant, so that it never echoes what it replaced."""

_MINT: Final = object()
"""Only `phi_guard.gate` may name this; tests/architecture holds it so."""


@dataclass(frozen=True, slots=True)
class Payload:
    """Something that wants to leave.

    Args:
        kind: ``tool`` (``data`` is ``{"inputs": ..., "outputs": ...}``), ``span`` (a whole run to create), ``span_update`` (the same run,
            to be updated), ``alert`` or ``row`` (flat facts: `phi_guard.facts`).
        name: the span's name, such as ``tool.book_appointment``; the alert's, such as ``error_rate``; of a row ``call``,
            ``turn`` or ``tool``.
        data: the raw content. It is never changed.
    """

    kind: str
    name: str
    data: Mapping[str, object] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Detection:
    """A stretch of text that may identify a person: ``text[start:end]``, offsets into the text as given.

    Args:
        entity: the class found, in capitals (``PERSON``, ``PHONE_NUMBER``, ``MRN``).
        score: 0.0 to 1.0 as the detector gives it; scores of different detectors do not compare.
        source: the detector (and rule) that found it, such as ``patterns.mrn``.
        also: other classes found in stretches that overlapped and were joined to it.
    """

    start: int
    end: int
    entity: str
    score: float
    source: str
    also: frozenset[str] = field(default=frozenset(), compare=False, repr=False)


class Note(msgspec.Struct, frozen=True, gc=False):
    """One thing the gate did: at which place, by which rule. Holds names the policy itself gives, never a value or an unknown key.

    Args:
        path: such as ``inputs.patient_name``; an unknown key stands as ``?``.
        field: the policy field, or ``?`` for a field nobody named.
        action: the rule's own, or ``redact`` where one that leaves something could leave nothing; ``misfit`` where a kept value did not
            fit its shape, ``pass`` where a value was looked at and nothing in it was changed.
    """

    path: str
    field: str
    action: str


class Cleared:
    """Bytes that may leave: canonical JSON which a gate has cleared. Only `Gate` makes one, and nothing changes it.

    Attributes:
        kind: the payload's kind; the sink reads it to tell a create from an update.
        name: a name from the closed list of span names.
        body: the canonical JSON, UTF-8.
        policy: digest of the policy that cleared it.
        notes: what was done on the way.
        seal: keyed BLAKE2b over kind, name, policy and body, by which a gate knows its own bytes again after storage.
    """

    __slots__ = ("body", "kind", "name", "notes", "policy", "seal")

    kind: str
    name: str
    body: bytes
    policy: str
    notes: tuple[Note, ...]
    seal: bytes

    def __new__(
        cls, kind: str, name: str, body: bytes, policy: str, notes: tuple[Note, ...], seal: bytes, *, mint: object = None
    ) -> Cleared:
        if mint is not _MINT or cls is not Cleared:
            msg = "Cleared comes from Gate.clear() alone"
            raise TypeError(msg)
        self = object.__new__(cls)
        for slot, value in (("kind", kind), ("name", name), ("body", body), ("policy", policy), ("notes", notes), ("seal", seal)):
            object.__setattr__(self, slot, value)
        return self

    def __init_subclass__(cls) -> NoReturn:
        msg = "Cleared cannot be subclassed"
        raise TypeError(msg)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        msg = "Cleared cannot be changed"
        raise AttributeError(msg)

    def __delattr__(self, name: str) -> NoReturn:
        msg = "Cleared cannot be changed"
        raise AttributeError(msg)

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        msg = "Cleared is not copied or pickled; store body and seal, and ask the gate to restore it"
        raise TypeError(msg)

    def __repr__(self) -> str:
        return f"<Cleared {self.kind} {self.name} {len(self.body)} B>"


@dataclass(frozen=True, slots=True)
class Withheld:
    """The gate could not judge a payload, so its content stays; only the skeleton may leave.

    Args:
        reason: a closed code (see `phi_guard.gate.REASONS`).
        skeleton: closed names, ids and times of the same payload, never anything of its content.
    """

    reason: str
    skeleton: Cleared


Outcome: TypeAlias = Cleared | Withheld
