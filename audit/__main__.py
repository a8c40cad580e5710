"""``python -m audit`` is ``phi-audit``."""

from __future__ import annotations

from audit.cli import main

main()
