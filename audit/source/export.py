"""An exported file as a source: one JSON object a line, each a run as LangSmith stores it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from audit.source import Run, SourceError


class ExportFile:
    """Runs out of a JSON Lines file. All of them: the window of the command does not apply to a file.

    Args:
        path: the file, UTF-8.
    """

    live = False

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def place(self) -> str:
        return f"file {self._path.name}"

    def runs(self) -> Iterator[Run]:
        try:
            with self._path.open(encoding="utf-8") as lines:
                for number, line in enumerate(lines, 1):
                    if line.strip():
                        yield _run(line, f"{self._path}:{number}")
        except OSError as fault:
            raise SourceError("no_file", f"{self._path}: cannot be read ({fault.strerror}); name a JSON Lines file") from None
        except UnicodeDecodeError:
            raise SourceError("malformed", f"{self._path}: is not UTF-8; export it again as JSON Lines") from None


def _run(line: str, at: str) -> Run:
    try:
        row = json.loads(line)
    except RecursionError:
        raise SourceError("malformed", f"{at}: is nested too deep to be read; this run cannot be audited") from None
    except ValueError:
        raise SourceError("malformed", f"{at}: is not JSON; the file must hold one run a line") from None
    if not isinstance(row, dict):
        raise SourceError("malformed", f"{at}: is not a JSON object; the file must hold one run a line")
    links = row.pop("s3_urls", None)
    if isinstance(links, dict):
        row["attachments"] = [*(row.get("attachments") or ()), *(name for name in links if name.startswith("attachment."))]
    return row
