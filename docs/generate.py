"""Makes the reference pages from the code: ``python docs/generate.py`` writes them, ``--check`` says which differ and exits 1."""

# ruff: noqa: INP001, T201  # a script beside the pages; it prints

from __future__ import annotations

import sys
from typing import Final

from generator.commands import cli, exit_codes
from generator.environment import environment, settings
from generator.schemas import alerts, policy
from generator.tables import ROOT
from generator.words import gates, lint, terms

WHERE: Final = ROOT / "docs" / "reference"


def pages() -> dict[str, str]:
    """Every page by its file's name."""
    made = {
        "cli.md": cli(), "exit-codes.md": exit_codes(), "environment.md": environment(), "settings.md": settings(),
        "policy.md": policy(), "lint.md": lint(), "gates.md": gates(), "alerts.md": alerts(), "terms.md": terms(),
    }  # fmt: skip
    return {name: "\n".join(lines).rstrip() + "\n" for name, lines in made.items()}


def main(arguments: list[str]) -> int:
    """Write the pages; with ``--check`` say which of them differ from what stands there."""
    made = pages()
    there = {path.name for path in WHERE.glob("*.md")}
    different = sorted(there - made.keys()) + [
        name for name, text in made.items() if name not in there or (WHERE / name).read_text("utf-8") != text
    ]
    if "--check" in arguments:
        for name in different:
            print(f"docs/reference/{name} is not what the code says; run python docs/generate.py")
        return 1 if different else 0
    WHERE.mkdir(exist_ok=True)
    for name in different:
        if name in made:
            (WHERE / name).write_text(made[name], "utf-8")
        else:
            (WHERE / name).unlink()
        print(f"docs/reference/{name}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
