"""Reads a YAML file so that every value knows its line, and nothing YAML would quietly change gets by.

Stricter than YAML 1.1 on purpose, since a policy that means something else than it says is a leak: a key given twice, an anchor, an alias,
a tag or a second document is a fault, and only ``true``, ``false``, ``null`` and JSON's numbers are more than text (so ``no``, ``12:30``,
``0791234567`` and ``2025-11-15`` stay the strings they look like).
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Final, TypeAlias

import yaml

from phi_guard.errors import PolicyError

SIZE_MAX: Final = 1 << 20
"""Bytes a file may have."""
DEPTH_MAX: Final = 24
"""Mappings and lists within each other; no file of ours needs more than eight."""

Place: TypeAlias = tuple[str | int, ...]
"""Where a value stands: the keys and list positions that lead to it."""

_LOADER: Final[type[yaml.SafeLoader] | type[yaml.CSafeLoader]] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_INTEGER: Final = re.compile(r"-?(?:0|[1-9][0-9]{0,17})")
_DECIMAL: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,3})?")
_CONSTANTS: Final[Mapping[str, bool | None]] = {"true": True, "false": False, "null": None, "~": None, "": None}


@dataclass(slots=True)
class Sheet:
    """A file's value with the line of each part of it, and the faults found so far.

    Args:
        name: the file as the caller gave it.
        value: what the file holds: mappings, lists, text, numbers, true, false and null.
        where: the 1-based line of each place.
    """

    name: str
    value: object = None
    where: dict[Place, int] = field(default_factory=dict)
    _faults: list[tuple[int, str]] = field(default_factory=list)

    def line(self, place: Place) -> int:
        """The line of a place, or of the nearest one around it that is in the file."""
        return next((self.where[place[:n]] for n in range(len(place), -1, -1) if place[:n] in self.where), 1)

    def fault(self, place: Place, what: str, line: int = 0) -> None:
        """Note a fault.

        Args:
            place: what is wrong; it need not be in the file (a missing key).
            what: what is wrong with it, and what to write instead.
            line: where, if not the place's own line.
        """
        line = line or self.line(place)
        self._faults.append((line, _printable(f"{self.name}:{line}: {spell(place)}: {what}")))

    @property
    def sound(self) -> bool:
        """Whether no fault was noted so far."""
        return not self._faults

    def check(self) -> None:
        """Raise PolicyError with every fault, in the order of the file's lines, if there is one."""
        if self._faults:
            raise PolicyError(text for _, text in sorted(self._faults, key=lambda fault: fault[0]))


def read(path: str | os.PathLike[str]) -> Sheet:
    """Read a file; what it holds may still be faulty (`Sheet.check`).

    Args:
        path: a YAML file in UTF-8 of at most `SIZE_MAX` bytes.

    Raises:
        PolicyError: there is no such file, or it cannot be read as YAML at all.
    """
    sheet = Sheet(os.fspath(path))
    text = _text(sheet, Path(path))
    events = yaml.parse(text, Loader=_LOADER)
    try:
        _Builder(sheet, events).document()
    except yaml.YAMLError as error:
        sheet.fault((), f"this is not YAML: {_problem(error)}", line=_line(error, text))
    except (ValueError, OverflowError):  # PyYAML's own slips: an escape or a version number out of range
        sheet.fault((), "this is not YAML: a character or number is out of range")
    except _TooDeep as error:
        sheet.fault((), f"mappings and lists stand more than {DEPTH_MAX} deep; write it flatter", line=error.line)
    else:
        return sheet
    sheet.check()
    raise AssertionError  # a fault was noted just above


def spell(place: Place) -> str:
    """A place as people write it, such as ``fields.phone.action`` or ``examples[3]``; ``file`` for the whole."""
    spelt = ""
    for step in place:
        spelt += f"[{step}]" if isinstance(step, int) else f".{step[:60]}"
    return spelt.removeprefix(".") or "file"


def quote(value: object) -> str:
    """A value of the file, short enough for a message."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 80 else f"{text[:77]}..."


def near(word: str, known: Iterable[str]) -> str:
    """`` (did you mean 'x'?)`` for the known word that is nearest, or nothing."""
    close = get_close_matches(word, sorted(known), n=1)
    return f" (did you mean '{close[0]}'?)" if close else ""


class _TooDeep(Exception):  # never leaves this module
    def __init__(self, line: int) -> None:
        self.line = line
        super().__init__(line)


class _Builder:
    """Builds the value from the parser's events, so that nothing is resolved, merged or overwritten behind our back."""

    def __init__(self, sheet: Sheet, events: Iterable[yaml.Event]) -> None:
        self.sheet = sheet
        self.events: Iterator[yaml.Event] = iter(events)

    def document(self) -> None:
        """Build the first document; any further one is a fault."""
        for event in self.events:
            if isinstance(event, yaml.DocumentStartEvent):
                if () in self.sheet.where:
                    self.sheet.fault((), "a second document begins here; write one document to a file", line=_start(event))
                    return
                self.sheet.where[()] = _start(event)
                self.sheet.value = self.node(next(self.events), ())

    def node(self, event: yaml.Event, place: Place) -> object:
        """The value that begins with an event."""
        if len(place) > DEPTH_MAX:
            raise _TooDeep(_start(event))
        if isinstance(event, yaml.AliasEvent):
            self.sheet.fault(place, "an alias (*) hides what stands here; write it out", line=_start(event))
            return None
        if getattr(event, "anchor", None) is not None:
            self.sheet.fault(place, "anchors (&) are not used here; write the value out where it is needed", line=_start(event))
        if getattr(event, "tag", None) is not None:
            self.sheet.fault(place, "tags (!) are not used here; leave it out, and put text in quotes", line=_start(event))
        if isinstance(event, yaml.MappingStartEvent):
            return self.mapping(place)
        if isinstance(event, yaml.SequenceStartEvent):
            return self.sequence(place)
        assert isinstance(event, yaml.ScalarEvent)  # noqa: S101  # the parser yields no other kind here
        return self.scalar(event, place)

    def mapping(self, place: Place) -> dict[str, object]:
        """A mapping; of a key given twice the first stands, and the second is a fault."""
        value: dict[str, object] = {}
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            line = _start(event)
            if isinstance(event, yaml.ScalarEvent) and event.value:
                key = event.value
                if event.anchor is not None or event.tag is not None:
                    self.sheet.fault((*place, key), "a key carries no anchor and no tag; leave it out", line=line)
            else:
                self.sheet.fault(place, "a key here is not a word; write `name: value`", line=line)
                key = f"?{line}"
                if not isinstance(event, yaml.ScalarEvent):
                    self.node(event, (*place, key))
            inner = (*place, key)
            if key in value:
                self.sheet.fault(inner, f"already given on line {self.sheet.where[inner]}; keep one of the two", line=line)
                self.node(next(self.events), (*place, f"{key} (again)"))
            else:
                self.sheet.where[inner] = line
                value[key] = self.node(next(self.events), inner)
        return value

    def sequence(self, place: Place) -> list[object]:
        """A list."""
        value: list[object] = []
        while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
            inner = (*place, len(value))
            self.sheet.where[inner] = _start(event)
            value.append(self.node(event, inner))
        return value

    def scalar(self, event: yaml.ScalarEvent, place: Place) -> object:
        """A quoted scalar is text; a plain one may be a constant or a number."""
        text: str = event.value
        if not text.isascii() and any("\ud800" <= c <= "\udfff" for c in text):
            self.sheet.fault(place, "half a character stands here (a surrogate); write the whole character", line=_start(event))
            return ""
        if not event.implicit[0]:
            return text
        if text in _CONSTANTS:
            return _CONSTANTS[text]
        if _INTEGER.fullmatch(text):
            return int(text)
        if _DECIMAL.fullmatch(text):
            number = float(text)
            if math.isfinite(number) and len(text) <= 40:
                return number
            self.sheet.fault(place, "this number is too long; put it in quotes if it is text", line=_start(event))
        return text


def _text(sheet: Sheet, path: Path) -> str:
    try:
        if not path.is_file():
            what = "this is not a file" if path.exists() else "there is no such file"
            sheet.fault((), f"{what}; give the path of a YAML file")
            sheet.check()
        with path.open("rb") as file:
            data = file.read(SIZE_MAX + 1)
    except (OSError, ValueError) as error:
        reason = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else "this is no path"
        sheet.fault((), f"the file cannot be read ({reason}); check its path and who may read it")
        sheet.check()
    if len(data) > SIZE_MAX:
        sheet.fault((), f"the file has more than {SIZE_MAX} bytes; no policy is that long")
        sheet.check()
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        sheet.fault((), "this is not UTF-8; save the file as UTF-8", line=data.count(b"\n", 0, error.start) + 1)
        sheet.check()
    raise AssertionError  # each branch above returned or raised


def _start(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark else 1


def _problem(error: yaml.YAMLError) -> str:
    if isinstance(error, yaml.MarkedYAMLError):
        return str(error.problem or error.context or "its layout cannot be followed")[:120]
    return "it holds a character that YAML does not allow"


def _line(error: yaml.YAMLError, text: str) -> int:
    if isinstance(error, yaml.MarkedYAMLError):
        mark = error.problem_mark or error.context_mark
        return int(mark.line) + 1 if mark else 1
    return text.count("\n", 0, int(getattr(error, "position", 0) or 0)) + 1


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
