"""What is replaced and must not be lost: a signed report, and the scan that people may be reading."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Final

from audit.gonogo.record import RecordError

REPORT: Final = "report.json"
SCAN: Final = "scan.json"
PAGES: Final = ("html", "md")
"""Formats that are left beside the report's JSON."""


def keep_signed(directory: Path, text: bytes | None = None) -> str:
    """Put a signed report, and its pages, aside under its digest; one that cannot be read might be signed, so it is put aside too.

    Args:
        directory: of the review.
        text: what is to be written in its place; where it is the same, nothing is moved.

    Returns:
        The name it has now; empty where nothing was moved.

    Raises:
        RecordError: it cannot be moved, and so nothing may be written in its place.
    """
    held = _read(directory / REPORT)
    if held is None or held == text:
        return ""
    told = _told(held)
    if told is not None and not told.get("signatures"):
        return ""
    name = _free(directory, "report", _name(held, told))
    for fmt in ("json", *PAGES):
        _move(directory / f"report.{fmt}", directory / f"{name}.{fmt}")
    return f"{name}.json"


def keep_scan(directory: Path) -> str:
    """Put the scan aside under its digest, since reviews are of it and of no other.

    Returns:
        The name it has now; empty where there was none.

    Raises:
        RecordError: it cannot be moved.
    """
    held = _read(directory / SCAN)
    if held is None:
        return ""
    name = _free(directory, "scan", _name(held, _told(held)))
    _move(directory / SCAN, directory / f"{name}.json")
    return f"{name}.json"


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as fault:
        raise RecordError(f"{path}: cannot be read ({fault.strerror}), so nothing is written over it; check its owner") from None


def _told(held: bytes) -> dict[str, Any] | None:
    try:
        told = json.loads(held)
    except (ValueError, RecursionError):
        return None
    return told if isinstance(told, dict) else None


def _name(held: bytes, told: dict[str, Any] | None) -> str:
    """The first digits of the report's digest, else of the file's: nothing that a file says of itself becomes a path otherwise."""
    digest = str((told or {}).get("digest", ""))
    if len(digest) < 12 or set(digest) - set("0123456789abcdef"):
        digest = hashlib.sha256(held).hexdigest()
    return digest[:12]


def _free(directory: Path, stem: str, name: str) -> str:
    chosen, n = f"{stem}-{name}", 1
    while (directory / f"{chosen}.json").exists():
        n += 1
        chosen = f"{stem}-{name}-{n}"
    return chosen


def _move(path: Path, to: Path) -> None:
    try:
        path.rename(to)
    except FileNotFoundError:
        pass
    except OSError as fault:
        raise RecordError(f"{path}: cannot be moved to {to.name} ({fault.strerror}), so nothing is written over it") from None
