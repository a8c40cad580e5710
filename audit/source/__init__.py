"""Where the traces are read from: one Protocol, a LangSmith project or an exported file behind it. Reading is all it does.

Only this package of the audit may touch the network.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

from phi_guard.errors import PhiGuardError

if TYPE_CHECKING:
    from audit.manifest import Manifest

__all__ = ["FIELDS", "NOT_READ", "Portion", "Run", "Source", "SourceError", "Window", "open_source"]

Run: TypeAlias = Mapping[str, object]
"""One run as stored: v1's names, whatever the source; ``attachments`` is the list of the names of what is attached."""

FIELDS: Final = (
    "id", "trace_id", "parent_run_id", "dotted_order", "name", "run_type", "start_time", "end_time", "session_name", "inputs",
    "outputs", "error", "extra", "events", "tags", "serialized", "attachments",
)  # fmt: skip
"""What is read of each run: every field a client can send. Of attachments only their names are read, never their content."""

NOT_READ: Final = (
    "what LangSmith adds to a row itself (status, latency, token and cost sums, thread, links)",
    "feedback, annotations and notes that people add in LangSmith",
    "the content of attachments: that one exists is a finding",
)
"""What this audit does not look at, for the report to say."""


@dataclass(frozen=True, slots=True)
class Window:
    """The time the runs started in: from ``since`` on and before ``until``, both with a time zone."""

    since: datetime
    until: datetime

    @property
    def days(self) -> float:
        """The window's length in days."""
        return (self.until - self.since).total_seconds() / 86_400


class SourceError(PhiGuardError):
    """The runs could not be read, or not all of them. The message says what to do next and holds nothing the other side answered.

    Args:
        code: ``unreachable``, ``refused``, ``no_project``, ``throttled``, ``malformed``, ``server_error`` or ``no_file``.
        message: what, where, what to do next.
    """

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class Portion:
    """A part of a source that can be read by itself.

    Args:
        name: the same for the same part of the same source, so that one that was read is known again.
        runs: reads it. A run may come twice where a reading had to begin anew; whoever reads tells them apart by their ids. Raises
            `SourceError` where it is not whole, at the latest at its end.
    """

    name: str
    runs: Callable[[], Iterator[Run]]


class Source(Protocol):
    """Runs to be audited."""

    @property
    def place(self) -> str:
        """What is read, for the report: the endpoint or the file."""

    @property
    def live(self) -> bool:
        """Whether calls may still be going on there, so that a trace without an end may yet get one."""

    def runs(self) -> Iterator[Run]:
        """Every run of the window, in any order: of all portions. Raises `SourceError` where it cannot go on."""

    def pieces(self) -> Iterator[Portion]:
        """The portions it is read in, in order. Raises `SourceError` where it cannot be read at all."""

    def manifest(self) -> Manifest:
        """What was asked and what came, so far."""


def open_source(*, project: str, window: Window, file: Path | None, endpoint: str, api_key: str, now: datetime | None = None) -> Source:
    """The source for a command's options; the one that talks to the network is loaded only if it is asked for.

    Args:
        project: name of the LangSmith project; with a file, the project its runs must name, or empty for any.
        window: which runs count.
        file: an export: Parquet by its suffix, or a directory of such; else JSON Lines, plain, ``.gz`` or ``.zst``, or ``-`` for standard
            input. None to read from LangSmith.
        endpoint: LangSmith's address.
        api_key: LangSmith's key; may be empty for a store on this machine.
        now: when reading begins, for the manifest; the clock's time if not given.

    Raises:
        SourceError: the endpoint is no address.
    """
    if file is not None and (file.suffix == ".parquet" or file.is_dir()):
        from audit.source.parquet import ParquetExport  # noqa: PLC0415  # loads pyarrow

        return ParquetExport(file, now=now)
    if file is not None:
        from audit.source.export import ExportFile  # noqa: PLC0415  # each source loads only what it needs

        return ExportFile(file, now=now)
    from audit.source.langsmith import LangSmithProject  # noqa: PLC0415  # loads urllib3

    return LangSmithProject(endpoint=endpoint, api_key=api_key, project=project, window=window, now=now)
