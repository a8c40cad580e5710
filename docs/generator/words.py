"""The pages of what is explained: lint rules, gates, terms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from audit.glossary import read_all
from audit.glossary.lint_rules import LINT_RULES
from audit.glossary.terms import TERMS
from generator.tables import BOUNDS, ROOT, begin, table
from phi_guard.policy.lint import CODES


def lint() -> list[str]:
    """Every rule of lint."""
    lines = begin("Lint rules", "What `phi-audit policy lint` tells about a policy that loads: what is risky or doubtful in it.",
                   "A file that cannot be loaded is",
                   "refused before, with every fault.")  # fmt: skip
    lines += table(
        ("Rule", "Severity", "About"), ((f"[{rule.code}](#{rule.code.lower()})", rule.severity, CODES[rule.code]) for rule in LINT_RULES)
    )
    for rule in LINT_RULES:
        about = CODES[rule.code]
        lines += [f"## {rule.code}", "", f"{about[:1].upper()}{about[1:]} ({rule.severity}).", ""]
        lines += [f"- **Why**: {rule.why}.", f"- **Instead**: {rule.instead}.", ""]
    return lines


def gates() -> list[str]:
    """Every gate, with its bar and its source."""
    gates = yaml.safe_load((ROOT / "policies" / "gates.yaml").read_text("utf-8"))["gates"]
    lines = begin("Gates", "What must be proven before a verdict is GO: each criterion of the requirements, its source,",
                   "what can prove it, and its bar.",
                   "They stand in `policies/gates.yaml`. `--gates FILE` sets other bars; a gate may not be left out.")  # fmt: skip
    lines += table(("Gate", "Asks", "Evidence", "Bar", "Week"), (
        (f"[`{name}`](#{name})", gate["asks"], gate["evidence"], _bar(gate), str(gate.get("week", ""))) for name, gate in gates.items()
    ))  # fmt: skip
    for name, gate in gates.items():
        further = {key: value for key, value in gate.items() if key not in {"asks", "source", "evidence", "week", *BOUNDS}}
        lines += [f"## {name}", "", f"{gate['asks']}.", "", f"- **Source**: {gate['source']}.", f"- **Evidence**: `{gate['evidence']}`.",
                  f"- **Bar**: {_bar(gate)}."]  # fmt: skip
        lines += [f"- **Week**: must hold from week {gate['week']} on."] * ("week" in gate)
        lines += [f"- **Set beside it**: {', '.join(f'`{key}: {value:g}`' for key, value in further.items())}."] * bool(further)
        lines += [""]
    return lines


def _bar(gate: Mapping[str, Any]) -> str:
    return next(f"{words} {gate[bound]:g}" for bound, words in BOUNDS.items() if bound in gate)


def terms() -> list[str]:
    """Every term."""
    lines = begin("Terms", "The words of reports, commands and these pages.",
                   "`phi-audit explain TERM` prints the same, and knows gates, lint rules and exit",
                   "codes as well.")  # fmt: skip
    pages_of = {entry.name: entry.page for entry in read_all() if entry.kind == "term"}
    for term in TERMS:
        lines += [f"## {term.name}", "", term.text, ""]
        if term.more:
            page = pages_of[term.name]
            to = page.removeprefix("reference/") if page.startswith("reference/") else f"../{page}"
            lines += [f"More: [{page.partition('#')[0]}]({to})", ""]
    return lines
