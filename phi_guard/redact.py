"""The pure walk: a tool's inputs and outputs, seen through a policy, become what may be sent. The given value is never changed.

Default-deny at every step: a key nobody named loses its value and its name; a kept value must fit its shape; free text loses what the
detectors find, is looked at again until they find nothing more, and is cut only then (a cut name is no longer recognisable).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from phi_guard.known_values import KnownValues
from phi_guard.model import MARKER, Detection, Note
from phi_guard.policy.compiled import Policy, Rule, Side

Find: TypeAlias = Callable[[str], Sequence[Detection]]

DEPTH_MAX: Final = 64
"""Containers deeper than this are replaced by the marker: what cannot be walked is not sent."""
TEXT_MAX: Final = 20_000
"""Characters of one text that detectors look at: a longer ``scan`` text is redacted whole, a ``truncate`` text is read so far."""
ROUNDS_MAX: Final = 5
"""How often a text is looked at again. One that still yields detections is redacted whole."""
MARKS_MAX: Final = 300
"""Markers a text may hold. The stretches between them are judged one by one, so a text with more is redacted whole."""
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


@dataclass(frozen=True, slots=True)
class Redaction:
    """What may be sent of a tool call, and what was done to get there."""

    value: dict[str, object]
    notes: tuple[Note, ...]


def redact_tool(policy: Policy, tool: str, data: Mapping[str, object], find: Find, known: KnownValues | None = None) -> Redaction:
    """Redact one tool call.

    Args:
        policy: the compiled policy.
        tool: bare tool name; a tool the policy does not name knows no field.
        data: ``{"inputs": ..., "outputs": ...}``; either may be missing, None, a mapping, or a bare value (then taken as ``result``).
        find: the detector for free text; what it raises is raised on.
        known: identifying values of this call seen so far; those of this payload are added to it.

    Returns:
        The sides that were given, redacted, with one note for each field met.
    """
    known = KnownValues() if known is None else known
    sides: dict[Side, object] = {}
    for side in ("inputs", "outputs"):
        if side in data:
            given = plain(data[side])
            sides[side] = given if given is None or isinstance(given, dict) else {UNKNOWN_SIDE: given}
    for side, given in sides.items():
        if isinstance(given, Mapping):
            _learn(policy, tool, side, given, known)
    walk = _Walk(policy, tool, find, known)
    value: dict[str, object] = {}
    for side, given in sides.items():
        value[side] = None if given is None else walk.mapping(given, side, side, 0, top=True)  # type: ignore[arg-type]  # made above
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
        if value is None or value is True or value is False:
            return value
        if room < 0 or depth > DEPTH_MAX + 2:
            return _OPAQUE
        if isinstance(value, str):
            return str.__str__(value)
        if isinstance(value, int):
            return int.__int__(value)
        if isinstance(value, float):
            return float.__float__(value)
        if isinstance(value, Mapping):
            return {str.__str__(k) if isinstance(k, str) else object(): copied(inner, depth + 1) for k, inner in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [copied(inner, depth + 1) for inner in value]
        return _OPAQUE

    return copied(value, 0)


def find_outside_markers(find: Find, text: str) -> list[Detection]:
    """Detections in the stretches between markers, offsets into the whole text; a marker itself is never judged."""
    found: list[Detection] = []
    start = 0
    for part in text.split(MARKER):
        if any(c.isalnum() for c in part):
            found += [Detection(d.start + start, d.end + start, d.entity, d.score, d.source) for d in find(part)]
        start += len(part) + len(MARKER)
    return found


def scrub(text: str, find: Find) -> str:
    """The text with a marker for whatever is found in it, stable: scrubbing the result changes nothing."""
    for _ in range(ROUNDS_MAX):
        if text.count(MARKER) > MARKS_MAX:
            return MARKER
        found = [*find_outside_markers(find, text), *_stuck_markers(text)]
        if not found:
            return text
        text = _mask(text, found)
    return MARKER


def cut(text: str, chars: int) -> str:
    """At most ``chars`` characters, cut at a space where there is one and never inside a marker; a cut shows as ``…``."""
    if len(text) <= chars:
        return text
    end = chars - 1
    at = text.find(MARKER[0], max(0, end - len(MARKER) + 1), end)
    while at != -1:
        if text.startswith(MARKER, at) and at + len(MARKER) > end:
            end = at
            break
        at = text.find(MARKER[0], at + 1, end)
    else:
        if not text[end].isspace() and not text[:end].endswith(MARKER):
            space = text.rfind(" ", 0, end)
            # A space inside the last marker cannot be: the marker has none.
            end = space if space > 0 else 0
    kept = text[:end].rstrip()
    return f"{kept}…" if kept else "…"


def _stuck_markers(text: str) -> list[Detection]:
    """Markers with a letter or digit at their side. None of ours has one: such a marker was given to us, and splits a word in two."""
    found: list[Detection] = []
    at = text.find(MARKER)
    while at != -1:
        end = at + len(MARKER)
        if text[max(0, at - 1) : at].isalnum() or text[end : end + 1].isalnum():
            found.append(Detection(at, end, "FRAGMENT", 1.0, "redact"))
        at = text.find(MARKER, end)
    return found


def _weight(text: str) -> int:
    """Characters of a text outside its markers; redacting a text never makes it weigh more."""
    return len(text) - len(MARKER) * text.count(MARKER)


def _mask(text: str, found: Sequence[Detection]) -> str:
    """Put one marker for each found stretch, widened to whole words; neighbours with only space between them become one."""
    spans: list[list[int]] = []
    for d in sorted(found, key=lambda d: d.start):
        start, end = max(0, d.start), min(len(text), d.end)
        covered = spans[-1][1] if spans else -1  # what is covered already is a whole word: not widened again, for a text can be one word
        while start > covered and start > 0 and text[start - 1].isalnum():
            start -= 1
        while covered < end < len(text) and text[end].isalnum():
            end += 1
        if spans and not text[spans[-1][1] : start].strip():
            spans[-1][1] = max(spans[-1][1], end)
        else:
            spans.append([start, end])
    out, at = [], 0
    for start, end in spans:
        out += [text[at:start], MARKER]
        at = end
    return "".join([*out, text[at:]])


def _learn(policy: Policy, tool: str, side: Side, given: Mapping[object, object], known: KnownValues) -> None:
    """Collect the values that this payload's own rules redact, so that free text beside them cannot repeat them."""
    stack: list[tuple[object, Rule, bool, int]] = [(given, policy.default, True, 0)]
    while stack:
        value, rule, top, depth = stack.pop()
        if depth > DEPTH_MAX:
            continue
        if isinstance(value, Mapping):
            for key, inner in value.items():
                below = policy.rule_for(tool, side, key, top=top) if isinstance(key, str) else policy.default
                # Below a field that is redacted, everything is.
                stack.append((inner, rule if not top and rule.action in {"redact", "drop"} else below, False, depth + 1))
        elif isinstance(value, list | tuple | set | frozenset):
            stack += [(inner, rule, top, depth + 1) for inner in value]
        elif isinstance(value, str) and rule.action in {"scan", "truncate"}:
            nested = _parse_container(value)
            if isinstance(nested, dict | list):
                stack.append((nested, rule, False, depth + 1))
        elif rule.action in {"redact", "drop"} and isinstance(value, str | int | float) and not isinstance(value, bool):
            known.add(str(value), named=rule.field != policy.default.field)


@dataclass(frozen=True, slots=True)
class _Encoded:
    """A container that came as JSON in a string, and goes so: encoded last, once every condition on what is in it has been judged."""

    inner: dict[str, object] | list[object]
    chars: int


@dataclass(slots=True)
class _Walk:
    policy: Policy
    tool: str
    find: Find
    known: KnownValues
    notes: list[Note] = field(default_factory=list)
    survivors: set[str] = field(default_factory=set)
    conditional: list[tuple[dict[str, object] | list[object], str | int, Rule, str]] = field(default_factory=list)
    encoded: list[tuple[dict[str, object] | list[object], str | int, _Encoded]] = field(default_factory=list)
    judged: int = 0

    def mapping(self, given: Mapping[object, object], side: Side, path: str, depth: int, *, top: bool) -> dict[str, object]:
        out: dict[str, object] = {}
        unknown = 0
        for key, value in given.items():
            rule = self.policy.rule_for(self.tool, side, key, top=top) if isinstance(key, str) else self.policy.default
            if rule is self.policy.default:
                unknown += 1
                self.notes.append(Note(f"{path}.?", "?", rule.action))
                if rule.action != "drop":
                    out[f"<REDACTED_KEY_{unknown}>"] = MARKER
                continue
            self._place(out, str(key), value, rule, side, f"{path}.{key}", depth)
        return out

    def _place(
        self, into: dict[str, object] | list[object], at: str | int, value: object, rule: Rule, side: Side, path: str, depth: int
    ) -> None:
        done = self._value(value, rule, side, path, depth)
        if done is _OMIT:
            return
        if isinstance(into, list):
            into.append(done)
            at = len(into) - 1
        else:
            into[str(at)] = done
        if isinstance(done, _Encoded):
            self.encoded.append((into, at, done))
        elif rule.unless_sent and not isinstance(done, dict | list) and done not in (None, MARKER):
            self.conditional.append((into, at, rule, path))

    def _value(self, value: object, rule: Rule, side: Side, path: str, depth: int) -> object:
        if rule.action == "drop":
            self.notes.append(Note(path, rule.field, "drop"))
            return _OMIT
        if value is None:
            return None
        if rule.action == "redact" or depth >= DEPTH_MAX:
            self.notes.append(Note(path, rule.field, "redact"))
            return MARKER
        if isinstance(value, Mapping):
            return self.mapping(value, side, path, depth + 1, top=False)
        if isinstance(value, list | tuple | set | frozenset):
            items: list[object] = []
            for n, item in enumerate(value):
                self._place(items, n, item, rule, side, f"{path}[{n}]", depth + 1)
            return items
        if rule.action == "keep":
            return self._keep(value, rule, path)
        return self._free_text(value, rule, side, path, depth)

    def _keep(self, value: object, rule: Rule, path: str) -> object:
        shape = rule.shape
        if value == MARKER or shape is None or not shape.fits(value) or (not shape.listed and self._identifies(str(value))):
            self.notes.append(Note(path, rule.field, "misfit"))
            return MARKER
        self.notes.append(Note(path, rule.field, "keep"))
        self.survivors.add(rule.field)
        return value

    def _identifies(self, text: str) -> bool:
        """Whether a learnt value is in a kept one, such as a name in ``BYRON-1234``."""
        return self.known.is_one(text) or bool(self.known.find(text))

    def _free_text(self, value: object, rule: Rule, side: Side, path: str, depth: int) -> object:
        sofar = len(self.notes)
        sent = self._scrubbed(value, rule, side, path, depth)
        if isinstance(sent, _Encoded):
            changed = any(note.action not in {"keep", "pass"} for note in self.notes[sofar:])
            self.survivors.add(rule.field)
        else:
            changed = sent != value
        self.notes.append(Note(path, rule.field, rule.action if changed else "pass"))
        if isinstance(sent, str) and any(c.isalnum() for c in sent.replace(MARKER, "")):
            self.survivors.add(rule.field)
        return sent

    def _scrubbed(self, value: object, rule: Rule, side: Side, path: str, depth: int) -> object:
        if not isinstance(value, str):
            return MARKER  # a number, bytes or an object where text belongs: no detector can judge it
        nested = _parse_container(value)
        if nested is not None:
            inner = None if nested is _OPAQUE else self._value(nested, rule, side, path, depth + 1)
            chars = rule.chars if rule.action == "truncate" else TEXT_MAX
            return _Encoded(inner, chars) if isinstance(inner, dict | list) else MARKER
        if not self._affords(value):
            return MARKER
        if rule.action == "scan":
            return scrub(value, self._find) if _weight(value) <= TEXT_MAX else MARKER
        text = value if len(value) <= TEXT_MAX else value[:TEXT_MAX].rpartition(" ")[0]  # never ends inside a word
        for _ in range(ROUNDS_MAX):
            shorter = cut(scrub(text, self._find), rule.chars)
            if shorter == text:
                return text
            text = shorter
        return MARKER

    def _affords(self, text: str) -> bool:
        """Whether there is room to look at one more text of this tool call; takes the room."""
        weight = min(_weight(text), TEXT_MAX)
        if weight > 0:
            self.judged += max(weight, JUDGED_MIN)
        return self.judged <= JUDGED_MAX or weight == 0

    def _find(self, text: str) -> Sequence[Detection]:
        return [*self.known.find(text), *self.find(text)]

    def settle(self) -> None:
        """Judge the conditions on what is sent: a conditional value goes where one of the fields it names survives in clear.

        Then put containers that came as text back into text, the innermost first, as they were met.
        """
        for into, at, rule, path in self.conditional:
            if rule.unless_sent & self.survivors:
                into[at] = MARKER  # type: ignore[index]  # at is the key or index under which the value was placed
                self.notes.append(Note(path, rule.field, "redact"))
        for into, at, done in self.encoded:
            text = json.dumps(done.inner, ensure_ascii=False, sort_keys=True)
            into[at] = text if len(text) <= done.chars else MARKER  # type: ignore[index]  # likewise


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
