"""The pure walk: a tool's inputs and outputs, seen through a policy, become what may be sent. The given value is never changed.

Default-deny at every step: a key nobody named loses its value and its name; a kept value must fit its shape; free text loses what the
detectors find, is looked at again until they find nothing more, and is cut only then (a cut name is no longer recognisable).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final, NamedTuple, TypeAlias

from phi_guard.generalise import generalise
from phi_guard.known_values import KnownValues
from phi_guard.model import MARKER, Detection, Note
from phi_guard.policy.compiled import SIDES, Policy, Rule
from phi_guard.policy.keys import Keys, Step
from phi_guard.policy.names import sent_as
from phi_guard.scrub import ROUNDS_MAX, Find, cut, heeded, scrub, weight

_Into: TypeAlias = dict[str, object] | list[object]

DEPTH_MAX: Final = 64
"""Containers deeper than this are replaced by the marker: what cannot be walked is not sent."""
TEXT_MAX: Final = 20_000
"""Characters of one text that detectors look at: a longer ``scan`` text is redacted whole, a ``truncate`` text is read so far."""
JUDGED_MAX: Final = 40_000
"""Characters of one tool call that detectors look at, a text counted as `JUDGED_MIN` at least; texts beyond are redacted whole."""
JUDGED_MIN: Final = 100
"""What looking at a short text costs, in characters."""
NODES_MAX: Final = 100_000
"""Parts of one value that are walked; a value may hold itself many times over."""
UNKNOWN_SIDE: Final = "result"
"""The field a tool's bare result (a string, a list) is taken for."""

_OMIT: Final = object()
_OPAQUE: Final = object()
_OBJECT: Final = re.compile(r"[A-Za-z_][\w.]{0,80}\([A-Za-z_]\w{0,80}=")
_BLANK: Final = " \t\r\n\v\f\u00a0\ufeff\u200b\u2060"


class Redaction(NamedTuple):
    """What may be sent of a tool call, and what was done to get there."""

    value: dict[str, object]
    notes: tuple[Note, ...]


def redact_tool(
    policy: Policy, tool: str, data: Mapping[str, object], find: Find, known: KnownValues | None = None, *, today: date | None = None
) -> Redaction:
    """Redact one tool call.

    Args:
        policy: the compiled policy.
        tool: bare tool name; a tool the policy does not name knows no field.
        data: ``{"inputs": ..., "outputs": ...}``; either may be missing, None, a mapping, or a bare value (then taken as ``result``).
        find: the detector for free text; what it raises is raised on.
        known: identifying values of this call seen so far; those of this payload are added to it.
        today: the day to which ages are counted; the clock's if not given.

    Returns:
        The sides that were given, redacted, with one note for each field met.
    """
    walk = _Walk(policy, find, KnownValues() if known is None else known, today)
    value: dict[str, object] = {}
    for side in SIDES:
        if side in data:
            given = plain(data[side])
            sent = given if given is None or isinstance(given, dict) else {UNKNOWN_SIDE: given}
            value[side] = None if sent is None else walk.mapping(sent, policy.top(tool, side), side, 0)
    walk.settle()
    return Redaction(value, tuple(walk.notes))


def plain(value: object) -> object:
    """A copy in Python's own types, each part read once: no object of the caller's is asked a second time what it is.

    What is no text, number, flag, mapping or sequence, lies too deep or comes after `NODES_MAX` parts becomes a thing no rule keeps.
    """
    room = NODES_MAX

    def copied(value: object, depth: int) -> object:
        nonlocal room
        room -= 1
        kind = type(value)
        if kind is str or value is None or value is True or value is False:
            return value
        if room < 0 or depth > DEPTH_MAX + 2:
            return _OPAQUE
        if isinstance(value, str):
            return str.__str__(value)
        if isinstance(value, int):
            return int.__int__(value)
        if isinstance(value, float):
            return float.__float__(value)
        if kind is dict or isinstance(value, Mapping):
            copy: dict[object, object] = {}
            for key, inner in value.items():  # type: ignore[attr-defined]  # a dict, or what says that it is a mapping
                if type(inner) is str and type(key) is str and room > 0:
                    room -= 1
                    copy[key] = inner
                else:
                    copy[str.__str__(key) if isinstance(key, str) else object()] = copied(inner, depth + 1)
            return copy
        if isinstance(value, list | tuple | set | frozenset):
            return [copied(inner, depth + 1) for inner in value]
        return _OPAQUE

    return copied(value, 0)


@dataclass(slots=True)
class _Text:
    """A container that came as JSON in a string, and goes so: encoded last, once every condition on what is in it has been judged."""

    into: dict[str, object] | list[object]
    at: str | int
    given: object
    inner: dict[str, object] | list[object]
    rule: Rule
    path: str


class _Walk:
    """One tool call's way through the policy: first every value finds its rule, and what is redacted is learnt; then texts are judged.

    Until it is judged, a marker stands where a text will.
    """

    __slots__ = ("_conditional", "_find", "_judged", "_known", "_later", "_learnt", "_policy", "_survivors", "_texts", "_today", "notes")

    def __init__(self, policy: Policy, find: Find, known: KnownValues, today: date | None) -> None:
        self.notes: list[Note] = []
        self._policy = policy
        self._find = find
        self._known = known
        self._learnt: list[tuple[str, bool]] = []
        self._today = today
        self._survivors: set[str] = set()
        self._later: list[tuple[_Into, str | int, object, Rule, str]] = []
        self._conditional: list[tuple[_Into, str | int, Rule, str]] = []
        self._texts: list[_Text] = []
        self._judged = 0

    def mapping(self, given: Mapping[object, object], keys: Keys, path: str, depth: int) -> dict[str, object]:
        """What may be sent of a mapping, each key by its step; a marker for what is judged later."""
        out: dict[str, object] = {}
        unknown = 0
        steps, notes = keys.steps, self.notes
        for key, value in given.items():
            step = steps.get(key)  # type: ignore[call-overload]  # a key of another type is simply not there
            if step is None and isinstance(key, str):
                step = keys.meet(key)
            name = None
            if step is not None:
                name = step.name if step.name == key and key not in out else sent_as(step.name, str(key), out)
            if step is None or name is None:
                unknown += 1
                notes.append(Note(f"{path}.?", "?", self._policy.default.action))
                self._learn(value, named=False)
                if self._policy.default.action != "drop":
                    out[f"<REDACTED_KEY_{unknown}>"] = MARKER
            elif type(value) is str and not step.walks and step.rule.action == "redact":  # most fields of most calls
                out[name] = MARKER
                notes.append(Note(f"{path}.{name}", step.rule.field, "redact"))
                self._learnt.append((value, True))
            elif type(value) is str and step.rule.action == "keep" and depth < DEPTH_MAX:  # most of the others
                out[name] = MARKER
                self._keep(out, name, value, step.rule, f"{path}.{name}")
            else:
                self._place(out, name, value, step, f"{path}.{name}", depth)
        return out

    def _place(self, into: _Into, at: str | int, value: object, step: Step, path: str, depth: int) -> None:
        """Put what may be sent of a value where it belongs; nothing where its rule drops it."""
        rule = step.rule
        action = rule.action
        if action == "drop" and not (step.walks and isinstance(value, dict | list)):
            self.notes.append(Note(path, rule.field, "drop"))
            self._learn(value, named=rule.field != "?")
            return
        if isinstance(into, list):
            at = len(into)
            into.append(MARKER)
        else:
            into[at] = MARKER  # type: ignore[index]  # a mapping is given its key
        if value is None:
            into[at] = None  # type: ignore[index]  # the key or index under which the value was placed, here and below
        elif not step.walks or depth >= DEPTH_MAX:
            self.notes.append(Note(path, rule.field, "redact"))
            self._learn(value, named=rule.field != "?")
        elif isinstance(value, dict | list):
            into[at] = self._container(value, step, path, depth + 1)  # type: ignore[index]
        elif action == "keep":
            self._keep(into, at, value, rule, path)
        elif action in {"scan", "truncate"}:
            self._free_text(into, at, value, step, path, depth)
        elif action in {"pseudonym", "generalise"}:
            into[at] = self._lessened(value, rule, path)  # type: ignore[index]
        else:
            self.notes.append(Note(path, rule.field, "redact"))
            self._learn(value, named=rule.field != "?")

    def _container(self, value: dict[object, object] | list[object], step: Step, path: str, depth: int) -> dict[str, object] | list[object]:
        if isinstance(value, dict):
            return self.mapping(value, step.below, path, depth)
        items: list[object] = []
        item = step.items or step
        for n, inner in enumerate(value):
            self._place(items, n, inner, item, f"{path}[{n}]", depth)
        return items

    def _learn(self, value: object, *, named: bool) -> None:
        """Collect what is redacted, so that free text of this call cannot repeat it."""
        if isinstance(value, str):
            self._learnt.append((value, named))
            return
        stack = [value]
        while stack:
            value = stack.pop()
            if isinstance(value, dict):
                stack += value.values()
            elif isinstance(value, list):
                stack += value
            elif isinstance(value, str | int | float) and not isinstance(value, bool):
                self._learnt.append((str(value), named))

    def _keep(self, into: _Into, at: str | int, value: object, rule: Rule, path: str) -> None:
        shape = rule.shape
        if value == MARKER or shape is None or not shape.fits(value):
            self.notes.append(Note(path, rule.field, "misfit"))
        elif shape.listed:
            self._kept(into, at, value, rule, path)
        else:
            self._later.append((into, at, value, rule, path))

    def _kept(self, into: _Into, at: str | int, value: object, rule: Rule, path: str) -> None:
        into[at] = value  # type: ignore[index]
        self.notes.append(Note(path, rule.field, "keep"))
        self._survivors.add(rule.field)
        if rule.unless_sent:
            self._conditional.append((into, at, rule, path))

    def _lessened(self, value: object, rule: Rule, path: str) -> object:
        """A pseudonym, or what is left of a value; the marker where there is none. The value itself is learnt."""
        less: object = None
        if rule.to is not None:
            less = generalise(value, rule.to, self._today or date.today())  # the day where the clinic is
        elif self._policy.pseudonyms is not None and isinstance(value, str | int) and not isinstance(value, bool):
            text = str(value)
            if MARKER not in text and any(c.isalnum() for c in text):
                less = self._policy.pseudonyms.of(text)
                self._survivors.add(rule.field)  # it stands for one patient, as a number would
        if less is None or less != value:
            self._learn(value, named=True)
        self.notes.append(Note(path, rule.field, "redact" if less is None else rule.action if less != value else "pass"))
        return MARKER if less is None else less

    def _free_text(self, into: _Into, at: str | int, value: object, step: Step, path: str, depth: int) -> None:
        rule = step.rule
        if not isinstance(value, str):  # a number, bytes or an object where text belongs: no detector can judge it
            self.notes.append(Note(path, rule.field, rule.action))
            return
        nested = _parse_container(value)
        if nested is None:
            self._later.append((into, at, value, rule, path))
        elif isinstance(nested, dict | list) and depth + 1 < DEPTH_MAX:
            inner = self._container(nested, step, path, depth + 2)
            self._texts.append(_Text(into, at, nested, inner, rule, path))
        else:
            self.notes.append(Note(path, rule.field, rule.action))

    def settle(self) -> None:
        """Judge the texts, now that all is known that this call redacts; then the conditions, on what is sent.

        A conditional value goes where one of the fields it names survives in clear. Then containers that came as text go back into text,
        the innermost first.
        """
        if self._learnt:
            self._known.add_all(self._learnt)
        kept = [str(value) for _, _, value, rule, _ in self._later if rule.action == "keep"]
        innocent = not kept or self._known.rules_out(kept)
        for into, at, value, rule, path in self._later:
            if rule.action == "keep":
                if not innocent and self._known.holds(str(value)):  # such as a name in BYRON-1234
                    self.notes.append(Note(path, rule.field, "misfit"))
                else:
                    self._kept(into, at, value, rule, path)
            else:
                into[at] = sent = self._scrubbed(str(value), rule)  # type: ignore[index]
                self.notes.append(Note(path, rule.field, rule.action if sent != value else "pass"))
                if any(c.isalnum() for c in sent.replace(MARKER, "")):
                    self._survivors.add(rule.field)
        self._survivors |= {text.rule.field for text in self._texts}
        for into, at, rule, path in self._conditional:
            if rule.unless_sent & self._survivors:
                into[at] = MARKER  # type: ignore[index]
                self.notes.append(Note(path, rule.field, "redact"))
        for text in self._texts:
            sent = json.dumps(text.inner, ensure_ascii=False, sort_keys=True)
            chars = text.rule.chars if text.rule.action == "truncate" else TEXT_MAX
            text.into[text.at] = sent if len(sent) <= chars else MARKER  # type: ignore[index]
            same = text.inner == text.given and len(sent) <= chars
            self.notes.append(Note(text.path, text.rule.field, "pass" if same else text.rule.action))

    def _scrubbed(self, value: str, rule: Rule) -> str:
        if not self._affords(value):
            return MARKER

        def find(text: str) -> Sequence[Detection]:
            return [*self._known.find(text), *heeded(rule, text, self._find(text))]

        if rule.action == "scan":
            return scrub(value, find) if weight(value) <= TEXT_MAX else MARKER
        text = value if len(value) <= TEXT_MAX else value[:TEXT_MAX].rpartition(" ")[0]  # never ends inside a word
        for _ in range(ROUNDS_MAX):
            shorter = cut(scrub(text, find), rule.chars)
            if shorter == text:
                return text
            text = shorter
        return MARKER

    def _affords(self, text: str) -> bool:
        """Whether there is room to look at one more text of this tool call; takes the room."""
        cost = min(weight(text), TEXT_MAX)
        if cost > 0:
            self._judged += max(cost, JUDGED_MIN)
        return self._judged <= JUDGED_MAX or cost == 0


def _parse_container(text: str) -> object | None:
    """The mapping or list a string holds as JSON; None for other text, `_OPAQUE` for what looks like one and cannot be read.

    A container nobody can read (a dict's ``repr``, broken JSON, ``Booking(name='…')``) may hold anything under keys nobody named: it is
    not taken for a text.
    """
    bare = text.strip(_BLANK)
    if bare.endswith(")") and _OBJECT.match(bare):
        return _OPAQUE
    if bare[:1] == bare[-1:] == '"':  # JSON within JSON
        try:
            inner = json.loads(bare) if len(bare) <= TEXT_MAX else None
        except (ValueError, RecursionError):
            return None
        return _parse_container(inner) if isinstance(inner, str) and len(inner) < len(bare) else None
    if bare[:1] + bare[-1:] not in {"{}", "[]"} or len(bare) == 1:
        return None
    try:
        value = json.loads(bare) if len(bare) <= TEXT_MAX else _OPAQUE
    except (ValueError, RecursionError):
        return _OPAQUE
    return value if isinstance(value, dict | list) else _OPAQUE
