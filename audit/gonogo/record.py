"""What was done: a small file beside the evidence that says which step ran with which input, and what each of its files held."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from audit.gonogo.asked import Asked
from phi_guard.errors import PhiGuardError

SCHEMA: Final = "phi-audit.gonogo-record/1"
FILE: Final = "gonogo.json"
LOG: Final = "steps.log"
LARGEST: Final = 4 * 2**20
"""Bytes: no record is larger."""
_CLOCK: Final = timedelta(minutes=5)
"""How far a clock may have been put back since."""


class RecordError(PhiGuardError):
    """The record cannot be used or written; the message says where and what to do."""

    exit_code = 2


@dataclass(frozen=True, slots=True)
class Step:
    """One step that was done.

    Args:
        name: ``policy``, ``rehearsal``, ``alerts`` or ``scan``.
        inputs: SHA-256 over everything that decides what it gives.
        began: ISO 8601.
        ended: ISO 8601.
        files: SHA-256 of each file that it left, by its path below the directory.
        said: what came of it, in words.
        again: whether it was not run, since what an earlier run left still fits.
        good: whether it came out well; one that did not is done again when the review goes on, unless reviews are taken in.
    """

    name: str
    inputs: str
    began: str
    ended: str
    files: Mapping[str, str] = field(default_factory=dict)
    said: str = ""
    again: bool = False
    good: bool = True


class Record:
    """The record of one directory. Every change is on the disk, whole, before the next step begins.

    Args:
        directory: where everything is left; made if it is not there.
        asked: what is to be done.
        steps: what was done before.

    Raises:
        RecordError: the directory cannot be made.
    """

    def __init__(self, directory: Path, asked: Asked, steps: Iterable[Step] = ()) -> None:
        self.directory, self.asked = directory, asked
        self.steps = {step.name: step for step in steps}
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as fault:
            raise RecordError(f"{directory}: cannot be made ({fault.strerror}); name another with --directory") from None

    @classmethod
    def of(cls, directory: Path) -> Record:
        """The record that an earlier run left.

        Raises:
            RecordError: there is none, or it is no record.
        """
        path = directory / FILE
        try:
            if path.stat().st_size > LARGEST:
                raise RecordError(f"{path}: is larger than {LARGEST >> 20} MiB, so it is no record; name another directory")
            held = json.loads(path.read_bytes())
            if held["schema"] != SCHEMA:
                raise RecordError(f"{path}: schema: is not {SCHEMA}; name another directory")
            steps = [Step(**{**row, "again": False}) for row in held["steps"]]
            asked = Asked.of(held["asked"])
        except OSError as fault:
            raise RecordError(f"{path}: cannot be read ({fault.strerror}); begin without --resume") from None
        except (ValueError, TypeError, KeyError, RecursionError, AttributeError):
            raise RecordError(f"{path}: is no record of phi-audit gonogo; name another directory") from None
        return cls(directory, asked, steps)

    def fits(self, name: str, inputs: str, within: timedelta | None = None) -> Step | None:
        """The step, if it was done with the same input, its files are as it left them, and it did not end longer ago than ``within``."""
        step = self.steps.get(name)
        if step is None or step.inputs != inputs or not _recent(step, within):
            return None
        held = {path: file_digest(self.directory / path) for path in step.files}
        return step if held == step.files else None

    def keep(self, step: Step) -> None:
        """Write down that a step was done."""
        self.steps[step.name] = step
        self.write()

    def write(self) -> None:
        """Write the record, whole or not at all.

        Raises:
            RecordError: it cannot be written.
        """
        rows = [_row(step) for step in self.steps.values()]
        text = json.dumps({"schema": SCHEMA, "asked": self.asked.as_json(), "steps": rows}, indent=2, ensure_ascii=False) + "\n"
        write_whole(self.directory / FILE, text.encode())

    def log(self, what: str) -> None:
        """Add a line to the log of the steps.

        Raises:
            RecordError: it cannot be written.
        """
        path = self.directory / LOG
        try:
            with path.open("a", encoding="utf-8") as file:
                file.write(f"{now()} {what}\n")
        except OSError as fault:
            raise RecordError(f"{path}: cannot be written ({fault.strerror}); check the directory and the space left") from None


def digest(inputs: Mapping[str, object]) -> str:
    """SHA-256 over what decides a step."""
    return hashlib.sha256(json.dumps(inputs, sort_keys=True, separators=(",", ":"), default=str).encode()).hexdigest()


def file_digest(path: Path) -> str:
    """SHA-256 of a file; empty where there is none that can be read."""
    whole = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while piece := file.read(2**20):
                whole.update(piece)
    except OSError:
        return ""
    return whole.hexdigest()


def write_whole(path: Path, content: bytes) -> None:
    """Write a file, whole or not at all, for its owner alone.

    Raises:
        RecordError: it cannot be written.
    """
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as fault:
        draft.unlink(missing_ok=True)
        raise RecordError(f"{path}: cannot be written ({fault.strerror}); check the directory and the space left") from None


def now() -> str:
    """This moment, ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _recent(step: Step, within: timedelta | None) -> bool:
    """Whether it ended since then, and not in a time to come; a time that is none is of no use."""
    if within is None:
        return True
    try:
        ago = datetime.now(UTC) - datetime.fromisoformat(step.ended)
    except (TypeError, ValueError):  # TypeError: without a zone
        return False
    return -_CLOCK <= ago <= within


def _row(step: Step) -> dict[str, Any]:
    names = ("name", "inputs", "began", "ended", "files", "said", "good")
    return {name: getattr(step, name) for name in names}
