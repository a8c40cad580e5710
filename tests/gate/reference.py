"""The walk once more, slow and plain: no tables, no second thought for speed. What the fast one sends must be what this one sends."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from datetime import date

from phi_guard.generalise import generalise
from phi_guard.known_values import KnownValues
from phi_guard.model import MARKER
from phi_guard.policy.compiled import Rule
from phi_guard.pseudonym import Pseudonyms
from phi_guard.scrub import cut, heeded, scrub

GONE = object()


@dataclass
class Reference:
    """A policy as a person would read it: ``rules`` by path, such as ``("inputs", "patient", "[*]", "phone")``."""

    default: Rule
    fields: dict[str, Rule]
    listed: dict[str, set[str]]
    rules: dict[tuple[str, ...], Rule]
    aliases: dict[str, str]
    pseudonyms: Pseudonyms
    today: date
    find: object
    known: KnownValues = field(default_factory=KnownValues)
    survivors: set[str] = field(default_factory=set)
    waiting: frozenset[str] = frozenset()

    def redact(self, data):
        """Three times the same walk: the first only learns, the second only finds what survives, the third counts."""
        for _ in range(3):
            self.waiting, self.survivors = frozenset(self.survivors), set()
            sent = {side: self.mapping(value, (side,)) if isinstance(value, dict) else None for side, value in data.items()}
        return sent

    def rule(self, at):
        """The rule of a place by its path alone, and whether it is walked into: its own path rule, else its field's."""
        general = self.fields.get(next(step for step in reversed(at) if step != "[*]"))
        if at in self.rules:
            return self.rules[at], self.rules[at].action not in {"redact", "drop"}
        if any(path[: len(at)] == at for path in self.rules):
            return general or self.default, True
        return general, general.action not in {"redact", "drop"}

    def name(self, at, key):
        """The policy's name for a key of a mapping, None where it has none."""
        plain = re.sub("[-_ ]", "", re.sub("#([2-9]|[1-9][0-9])$", "", key)).lower()
        here = [path[len(at)] for path in self.rules if path[: len(at)] == at and len(path) > len(at)]
        known = [*here, *(self.listed[at[0]] if len(at) == 1 else self.fields)]
        spelt = {re.sub("[-_ ]", "", name).lower(): name for name in known}
        return spelt.get(plain) or (self.aliases.get(plain) if self.aliases.get(plain) in known else None)

    def mapping(self, value, at):
        """Keys one by one; the names that are sent may not repeat."""
        out, unknown = {}, 0
        for key, inner in value.items():
            name = self.name(at, key)
            if name is None:
                unknown += 1
                self.learn(inner, named=False)
                if self.default.action != "drop":
                    out[f"<REDACTED_KEY_{unknown}>"] = MARKER
                continue
            numbered = key.startswith(f"{name}#") and key not in out
            sent_as = key if numbered else next(n for n in [name, *(f"{name}#{i}" for i in range(2, 99))] if n not in out)
            sent = self.value(inner, (*at, name), *self.rule((*at, name)))
            if sent is not GONE:
                out[sent_as] = sent
        return out

    def value(self, value, at, rule, walks=True):
        """What is sent of one value."""
        whole = not walks or not isinstance(value, dict | list)
        if rule.action == "drop" and whole:
            return self.learn(value, named=rule.field != "?") or GONE
        if value is None:
            return None
        if rule.action == "redact" and whole:
            return self.learn(value, named=rule.field != "?") or MARKER
        if isinstance(value, dict):
            return self.mapping(value, at)
        if isinstance(value, list):
            inside = (*at, "[*]")
            item, below = (rule, walks), at
            if any(path[: len(inside)] == inside for path in self.rules):
                item, below = self.rule(inside), inside
            elif any(len(path) > len(at) and path[: len(at)] == at for path in self.rules):
                item, below = (rule, rule.field == "?" or rule.action not in {"redact", "drop"}), inside
            return [sent for one in value if (sent := self.value(one, below, *item)) is not GONE]
        return getattr(self, rule.action)(value, at, rule)

    def keep(self, value, at, rule):
        """A value in its shape, unless one it waits for is sent."""
        if not rule.shape.fits(value) or (not rule.shape.listed and (self.known.is_one(str(value)) or self.known.find(str(value)))):
            return MARKER
        self.survivors.add(rule.field)
        return MARKER if rule.unless_sent & self.waiting else value

    def scan(self, value, at, rule):
        """Text, or JSON as text."""
        nested = json.loads(value) if isinstance(value, str) and value[:1] in {"[", "{"} else None
        if not isinstance(value, str):
            return MARKER
        if nested is not None:
            self.survivors.add(rule.field)
            text = json.dumps(self.value(nested, at, rule), ensure_ascii=False, sort_keys=True)
            return text if len(text) <= (rule.chars or 20_000) else MARKER
        text = value
        for _ in range(5):
            text = scrub(text, lambda part: [*self.known.find(part), *heeded(rule, part, self.find(part))])
            text = cut(text, rule.chars) if rule.chars else text
        if any(c.isalnum() for c in text.replace(MARKER, "")):
            self.survivors.add(rule.field)
        return text

    truncate = scan

    def pseudonym(self, value, at, rule):
        """A keyed tag for what says something."""
        if isinstance(value, bool | float) or MARKER in str(value) or not any(c.isalnum() for c in str(value)):
            return self.learn(value, named=True) or MARKER
        self.survivors.add(rule.field)
        sent = self.pseudonyms.of(str(value))
        return sent if sent == value else self.learn(value, named=True) or sent

    def generalise(self, value, at, rule):
        """What is left of it."""
        sent = generalise(value, rule.to, self.today)
        return sent if sent is not None and sent == value else self.learn(value, named=True) or (MARKER if sent is None else sent)

    def learn(self, value, *, named):
        """Every text and number in a value; returns nothing."""
        for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
            self.learn(inner, named=named)
        if isinstance(value, str | int | float) and not isinstance(value, bool):
            self.known.add(str(value), named=named)
