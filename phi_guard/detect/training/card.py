"""The model card's tables, from the figures beside it: ``python -m phi_guard.detect.training.card phi_guard/detect/model``."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any, Final

BEGIN: Final = "<!-- figures: begin -->"
END: Final = "<!-- figures: end -->"
"""Between these two marks of the README the tables stand."""


def tables(facts: dict[str, Any]) -> str:
    """The figures as Markdown.

    Args:
        facts: what `phi_guard.detect.training.measure` wrote.
    """
    run, beside = facts["run"], facts["beside_32_bits"]
    lines = [
        (
            f"Trained for {run['minutes']:g} minutes ({run['steps']} steps, seed {run['seed']}) on {run['generated']} generated texts and "
            f"{run['dialogue']} real dialogue lines; {sum(run['dialogue_dropped'].values())} lines were left out, since they may hold PHI. "
            f"Measured on {facts['measured_on']} texts, of other names, templates and lines than were trained on, "
            f"at P(not O) ≥ {facts['threshold']}."
        ),
        "",
    ]
    for group, title in (("all", "All"), ("class", "Class"), ("kind", "Kind of text"), ("origin", "Origin of the name")):
        lines += [f"| {title} | stretches | touched | whole |", "|---|---|---|---|"]
        lines += [f"| {name} | {row['spans']} | {row['touched']:.4f} | {row['whole']:.4f} |" for name, row in facts["model"][group].items()]
        lines.append("")
    lines += ["| Kind of text | harmless words | lost |", "|---|---|---|"]
    lines += [f"| {name} | {row['words']} | {row['lost']:.4f} |" for name, row in facts["model"]["harmless"].items()]
    lines += ["", "| | 32 bits | 8 bits |", "|---|---|---|"]
    rows = (
        ("word pieces of PHI taken", "pieces_of_phi_taken"),
        ("harmless word pieces taken", "harmless_pieces_taken"),
        ("ms a text, p50", "ms_p50"),
    )
    lines += [f"| {title} | {beside[key]['32 bits']} | {beside[key]['8 bits']} |" for title, key in rows]
    lines += ["", f"The two agree on {beside['agreement']:.3%} of {beside['pieces']} word pieces.", ""]
    lines += ["| File | bytes | sha256 |", "|---|---|---|"]
    lines += [f"| {name} | {row['bytes']} | `{row['sha256']}` |" for name, row in facts["files"].items()]
    return "\n".join(lines)


def rendered(readme: str, facts: dict[str, Any]) -> str:
    """The README with the figures between its marks.

    Args:
        readme: its text.
        facts: what `phi_guard.detect.training.measure` wrote.

    Raises:
        ValueError: a mark is missing.
    """
    if BEGIN not in readme or END not in readme:
        raise ValueError(f"the README needs the marks {BEGIN} and {END}; write them where the tables belong")
    before, after = readme.split(BEGIN, maxsplit=1)[0], readme.split(END)[1]
    return f"{before}{BEGIN}\n{tables(facts)}\n{END}{after}"


def main() -> None:
    """Renders the README of a model's folder anew."""
    parser = argparse.ArgumentParser(prog="python -m phi_guard.detect.training.card", description=__doc__)
    parser.add_argument("folder", type=Path, help="holds figures.json and README.md")
    folder = parser.parse_args().folder
    facts = json.loads((folder / "figures.json").read_text(encoding="utf-8"))
    readme = folder / "README.md"
    readme.write_text(rendered(readme.read_text(encoding="utf-8"), facts), encoding="utf-8")


if __name__ == "__main__":
    main()
