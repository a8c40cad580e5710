"""Engines: where the partitions of an export are scanned. In this process, in others of this machine, or on a Dask cluster.

The outcome is the same, byte for byte: what a worker gives back is the account of one partition, and `in_order` hands each partition's
over once and in the export's order, however often it was scanned and whichever came first.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

from phi_guard.errors import PhiGuardError

TRIES: Final = 3
"""How often a partition is begun that its worker did not outlive; then it is told as one that cannot be scanned."""
AHEAD: Final = 2
"""Partitions in hand for each worker, so that none waits for the next one; what is not handed over yet bounds the memory."""


class EngineError(PhiGuardError):
    """The workers cannot be reached, cannot do the work or must not; the message says which, where, and what to do."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one partition.

    Args:
        n: its number, from 0.
        content: the account (`audit.engine.wire.Account`), encoded; empty where there is none.
        lost: why there is none, in words; empty where there is one.
    """

    n: int
    content: bytes
    lost: str = ""


class Crew(Protocol):
    """Workers that were given the setup."""

    @property
    def slots(self) -> int:
        """Partitions that are scanned at a time; asked again as the scan goes on, since workers may come and go."""

    def submit(self, n: int, task: bytes) -> None:
        """Have a partition scanned.

        Args:
            n: its number.
            task: `audit.engine.wire.Task`, encoded.
        """

    def wait(self) -> list[Answer]:
        """What is done, at least one of what was submitted. Raises `EngineError` where nothing more can be done."""

    def close(self) -> None:
        """Let the workers go, whatever they are doing."""


@dataclass(frozen=True, slots=True)
class Engine:
    """Where partitions are scanned, and with what.

    Args:
        name: as `audit.engine.choice` has it.
        open: gathers the workers; given the setup (`audit.engine.wire.Setup`), encoded.
        without: layers of the detectors that the workers leave out.
        roster: the roster they look in, or None.
        roster_key: its key.
    """

    name: str
    open: Callable[[bytes], Crew]
    without: tuple[str, ...] = ()
    roster: Path | None = None
    roster_key: bytes = field(default=b"", repr=False)


def in_order(crew: Crew, tasks: Iterator[bytes]) -> Generator[Answer]:
    """The answer to each task, once, in the order of the tasks; so many are in hand at a time as the crew has slots, `AHEAD` times.

    Args:
        crew: closed when this ends.
        tasks: each is asked for when there is room for it.

    Raises:
        EngineError: see `Crew.wait`.
    """
    ready: dict[int, Answer] = {}
    given = taken = 0
    more = True
    with closing(crew):
        while True:
            while more and given - taken < AHEAD * crew.slots:
                task = next(tasks, None)
                if task is None:
                    more = False
                else:
                    crew.submit(given, task)
                    given += 1
            if taken == given:
                return
            while taken not in ready:
                for answer in crew.wait():
                    if answer.n >= taken:  # one that was lost and found again has been handed over
                        ready.setdefault(answer.n, answer)
            yield ready.pop(taken)
            taken += 1
