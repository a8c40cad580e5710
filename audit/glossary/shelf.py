"""Every word that is explained, in one place, and the search for one of them."""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import Final

from audit.glossary.entry import Entry
from audit.glossary.exit_codes import EXIT_CODES
from audit.glossary.lint_rules import LINT_RULES
from audit.glossary.terms import TERMS

_BOUNDS: Final = {"at_most": "at most", "below": "below", "at_least": "at least"}


def read_all() -> tuple[Entry, ...]:
    """Every entry: terms, exit codes, lint rules, and the gates that come with the product."""
    return (*_terms(), *_exit_codes(), *_lint_rules(), *_gates())


def names() -> list[str]:
    """The words that can be asked for, without loading what the gates' file needs: for a shell's completion."""
    from phi_guard.policy.shipped import shipped  # noqa: PLC0415  # only here

    gates = re.findall(r"^  (\w+):$", shipped("gates.yaml").read_text("utf-8"), re.MULTILINE)
    return [*(term.name for term in TERMS), *(rule.code for rule in LINT_RULES), *gates, *map(str, EXIT_CODES)]


def find(word: str, entries: tuple[Entry, ...]) -> tuple[Entry, ...]:
    """The entries of a name or another spelling; empty where there is none. ``exit 3`` is the exit code 3."""
    asked = _plain(re.sub(r"^exit(?: code)? ", "", word.strip(), flags=re.IGNORECASE))
    return tuple(entry for entry in entries if asked in {_plain(name) for name in (entry.name, *entry.also)})


def near(word: str, entries: tuple[Entry, ...]) -> list[str]:
    """Names that are written almost like a word, the nearest first; at most three."""
    known = {_plain(name): entry.name for entry in entries for name in (entry.name, *entry.also)}
    return list(dict.fromkeys(known[found] for found in get_close_matches(_plain(word), known, 3)))


def slug(heading: str) -> str:
    """The anchor of a heading, as forges and the pages' generator make it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def _plain(name: str) -> str:
    return re.sub(r"[\s_.-]+", " ", name).strip().casefold()


def _terms() -> tuple[Entry, ...]:
    return tuple(Entry(term.name, "term", term.text, term.more or f"reference/terms.md#{slug(term.name)}", term.also) for term in TERMS)


def _exit_codes() -> tuple[Entry, ...]:
    return tuple(
        Entry(str(code), "exit code", f"{name}. {what}", "reference/exit-codes.md") for code, (name, what) in EXIT_CODES.items()
    )  # fmt: skip


def _lint_rules() -> tuple[Entry, ...]:
    from phi_guard.policy.lint import CODES  # noqa: PLC0415  # reads YAML

    return tuple(
        Entry(
            rule.code, "lint rule", f"{_sentence(CODES[rule.code])} ({rule.severity}). Why: {rule.why}. Instead: {rule.instead}.",
            f"reference/lint.md#{slug(rule.code)}",
        )
        for rule in LINT_RULES
    )  # fmt: skip


def _gates() -> tuple[Entry, ...]:
    from audit.gates import load_gates  # noqa: PLC0415  # reads YAML, and what judges
    from phi_guard.policy.shipped import shipped  # noqa: PLC0415

    entries = []
    for gate in load_gates(shipped("gates.yaml"), week=6):
        bar = f" Bar: {_BOUNDS[gate.bound]} {gate.bar:g}." if gate.bar is not None else ""
        text = f"{gate.asks}. Evidence: {gate.evidence}.{bar} Source: {gate.source}."
        entries.append(Entry(gate.name, "gate", text, f"reference/gates.md#{slug(gate.name)}"))
    return tuple(entries)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
