"""An exported file as a source: one JSON object a line, each a run as LangSmith stores it; plain, gzip or Zstandard, or standard input."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import sys
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Final

import zstandard

from audit.manifest import Manifest
from audit.source import Portion, Run, SourceError
from audit.source.tally import Tally

LINE_MAX: Final = 64 * 1024 * 1024
"""Bytes of a line; a run has no more."""
_CHUNK: Final = 131_072


class ExportFile:
    """Runs out of a JSON Lines file. All of them: the window of the command does not apply to a file.

    A line that cannot be read is counted and passed over; when all others are read, it is a fault.

    Args:
        path: the file, UTF-8; ``.gz`` and ``.zst`` are unpacked, ``-`` is standard input, which can be read once.
        now: when reading begins, for the manifest.
    """

    live = False

    def __init__(self, path: Path, *, now: datetime | None = None) -> None:
        self._path = path
        self._stdin = str(path) == "-"
        self._tally = Tally("standard input" if self._stdin else path.name, {"protocol": "jsonl"}, now)
        self._raw: _Hashing | None = None

    @property
    def place(self) -> str:
        return "standard input" if self._stdin else f"file {self._path.name}"

    def manifest(self) -> Manifest:
        if self._raw is not None:
            self._tally.bytes, self._tally.pages = self._raw.size, 1
        return self._tally.manifest("" if self._raw is None else self._raw.sha256.hexdigest())

    def pieces(self) -> Iterator[Portion]:
        yield Portion(self.place if self._stdin else f"{self._path.name} {version_of(self._path)}", self.runs)

    def runs(self) -> Iterator[Run]:
        if self._stdin and self._raw is not None:
            raise SourceError("no_file", "standard input can be read only once; save it to a file and name that")
        with ExitStack() as held:
            try:
                file = sys.stdin.buffer if self._stdin else held.enter_context(self._path.open("rb"))
                self._raw = _Hashing(file)
                yield from self._rows(_unpacked(self._raw, self._path.suffix))
            except OSError as fault:
                why = fault.strerror or "it is damaged, or not what its name says"
                raise SourceError("no_file", f"{self._path.name}: cannot be read ({why}); name a JSON Lines file") from None
            except (EOFError, zlib.error, zstandard.ZstdError):
                raise SourceError("malformed", f"{self._path.name}: is damaged or cut short; export it again") from None

    def _rows(self, lines: io.BufferedIOBase) -> Iterator[Run]:
        self._tally.excluded.clear()
        self._tally.attached = 0
        first = ""
        for number, line in enumerate(iter(lambda: lines.readline(LINE_MAX + 1), b""), 1):
            at = f"{self._path.name}:{number}"
            if len(line) > LINE_MAX:
                raise SourceError("malformed", f"{at}: has more than {LINE_MAX // 2**20} MiB; this run cannot be audited")
            if not line.strip():
                continue
            run, why = _run(line)
            if run is None:
                self._tally.excluded[why] += 1
                first = first or f"{at}: {why}"
                continue
            self._tally.attached += bool(run.get("attachments"))
            yield run
        if first:
            others = self._tally.excluded.total() - 1
            more = f" ({others} more of such lines)" if others else ""
            raise SourceError("malformed", f"{first}{more}; the file must hold one run a line, as UTF-8 JSON")


class _Hashing(io.RawIOBase):
    """A file whose bytes are hashed as they are read."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.sha256 = hashlib.sha256()
        self.size = 0

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self.sha256.update(data)
        self.size += len(data)
        return data

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # what BufferedReader calls
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


class _Zstandard(io.RawIOBase):
    """The content of Zstandard frames, one after the other. The library's own reader takes a frame that is cut short for a whole one."""

    def __init__(self, file: _Hashing) -> None:
        self._file = file
        self._frame = zstandard.ZstdDecompressor().decompressobj()
        self._begun = False
        self._held = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # what BufferedReader calls
        while not self._held:
            data = self._frame.unused_data if self._frame.eof else b""
            data = data or self._file.read(_CHUNK)
            if not data:
                if self._begun and not self._frame.eof:
                    raise EOFError
                return 0
            if self._frame.eof:
                self._frame = zstandard.ZstdDecompressor().decompressobj()
            self._begun = True
            self._held = self._frame.decompress(data)
        n = min(len(buffer), len(self._held))
        buffer[:n], self._held = self._held[:n], self._held[n:]
        return n


def _unpacked(file: _Hashing, suffix: str) -> io.BufferedIOBase:
    if suffix == ".gz":
        return gzip.GzipFile(fileobj=file, mode="rb")
    return io.BufferedReader(_Zstandard(file) if suffix == ".zst" else file, _CHUNK)


def version_of(path: Path) -> str:
    """What tells one content of a file from the next: its size and when it was last written; empty where it cannot be seen."""
    try:
        seen = path.stat()
    except OSError:
        return ""
    return f"{seen.st_size}.{seen.st_mtime_ns}"


def _run(line: bytes) -> tuple[dict[str, object] | None, str]:
    """The run of a line, or why there is none."""
    try:
        row = json.loads(line.decode("utf-8"))
    except RecursionError:
        return None, "is nested too deep to be read"
    except UnicodeDecodeError:
        return None, "is not UTF-8"
    except ValueError:
        return None, "is not JSON"
    if not isinstance(row, dict):
        return None, "is not a JSON object"
    name_attachments(row)
    return row, ""


def name_attachments(row: dict[str, object]) -> None:
    """Put the names of what is attached in the place of the links to it."""
    links, named = row.pop("s3_urls", None), row.get("attachments")
    if isinstance(links, dict):
        row["attachments"] = [*(named if isinstance(named, list) else ()), *(name for name in links if name.startswith("attachment."))]
