"""Free text, redacted: what is found in it becomes a marker, again and again until nothing more is found; then it may be cut."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

from phi_guard.model import MARKER, Detection
from phi_guard.policy.compiled import Rule

Find: TypeAlias = Callable[[str], Sequence[Detection]]

ROUNDS_MAX: Final = 5
"""How often a text is looked at again. One that still yields detections is redacted whole."""
MARKS_MAX: Final = 300
"""Markers a text may hold. The stretches between them are judged one by one, so a text with more is redacted whole."""


def find_outside_markers(find: Find, text: str) -> list[Detection]:
    """Detections in the stretches between markers, offsets into the whole text; a marker itself is never judged."""
    found: list[Detection] = []
    start = 0
    for part in text.split(MARKER):
        if any(c.isalnum() for c in part):
            found += [Detection(d.start + start, d.end + start, d.entity, d.score, d.source, d.also) for d in find(part)]
        start += len(part) + len(MARKER)
    return found


def heeded(rule: Rule, text: str, found: Sequence[Detection]) -> Sequence[Detection]:
    """The detections that count under a rule: not those of a class it lets pass, nor those within a stretch that it knows to be safe.

    A detection that was joined of several counts unless each class in it may pass.
    """
    if not rule.allow_entities and not rule.safe_values:
        return found
    return [d for d in found if not ({d.entity, *d.also} <= rule.allow_entities or _is_safe(text, d, rule.safe_values))]


def _is_safe(text: str, found: Detection, values: frozenset[str]) -> bool:
    low = text.lower()
    if len(low) != len(text):  # a letter that is two in lower case: places no longer agree
        return False
    for value in values:
        at = low.find(value, max(0, found.end - len(value)))
        while -1 < at <= found.start:
            end = at + len(value)
            if found.end <= end and not (text[at - 1 : at] if at else "").isalnum() and not text[end : end + 1].isalnum():
                return True
            at = low.find(value, at + 1)
    return False


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


def weight(text: str) -> int:
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
