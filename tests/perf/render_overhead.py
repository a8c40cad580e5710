"""Puts the text of an overhead run into docs/performance.md, so that no figure there is typed by hand.

phi-audit bench overhead -o overhead.txt && python tests/perf/render_overhead.py overhead.txt
"""

from __future__ import annotations

import sys
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "performance.md"
BEGIN, END = "<!-- overhead: begin -->", "<!-- overhead: end -->"


def main(argv):
    """Render; 2 and a line on stderr when it cannot."""
    if len(argv) != 1:
        sys.stderr.write(__doc__ or "")
        return 2
    try:
        told, text = Path(argv[0]).read_text("utf-8"), PAGE.read_text("utf-8")
    except OSError as fault:
        sys.stderr.write(f"render: {fault.filename}: {fault.strerror}\n")
        return 2
    if not told.startswith("Overhead of telemetry") or text.count(BEGIN) != 1 or text.count(END) != 1:
        sys.stderr.write(f"render: {argv[0]} is no table of `phi-audit bench overhead`, or {PAGE} lacks its two marks\n")
        return 2
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    table = told.split("\n- ")[0].rstrip()
    PAGE.write_text(f"{before}{BEGIN}\n```\n{table}\n```\n{END}{after}", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
