"""Which engine a scan has: as asked for, or by the size of the export, the processors and the memory that is free."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

from audit.engine import Crew, Engine, EngineError

AUTO: Final = "auto"
SERIAL: Final = "serial"
PROCESSES_MAX: Final = 256
LARGE: Final = 16 * 2**20
"""Bytes of Parquet from which more processes are worth the seconds that each takes to load its detectors."""
WORKER_BYTES: Final = 1_200 * 2**20
"""Memory that a worker with all its detectors is given room for; measured in docs/scale.md."""
_PROCESSES: Final = re.compile(r"processes(?::([1-9][0-9]{0,2}))?")
_DASK: Final = re.compile(r"dask(\+tls)?://([A-Za-z0-9_.-]+|\[[0-9A-Fa-f:]+\]):([0-9]{1,5})")
MEMINFO: Final = Path("/proc/meminfo")

HOW: Final = "write auto, serial, processes, processes:N, dask://127.0.0.1:8786 or dask+tls://HOST:8786"


def choose(
    asked: str, file: Path | None, *, without: tuple[str, ...] = (), roster: Path | None = None, roster_key: bytes = b""
) -> Engine | None:
    """The engine, or None for this process.

    Args:
        asked: as on the command line.
        file: the export that is read, or None where none is.
        without: layers left out.
        roster: the roster that is looked in.
        roster_key: its key.

    Raises:
        EngineError: it is none, or cannot scan this.
    """
    opened = _crew(asked, file, roster)
    return None if opened is None else Engine(asked, opened, without, roster, roster_key)


def _crew(asked: str, file: Path | None, roster: Path | None) -> Callable[[bytes], Crew] | None:
    if asked == SERIAL:
        return None
    parquet = file is not None and (file.suffix == ".parquet" or file.is_dir())
    if asked == AUTO:
        slots = min(_cores(), _room()) if parquet and file is not None and _bytes(file) >= LARGE else 1
        return _processes(slots) if slots > 1 else None
    processes, dask = _PROCESSES.fullmatch(asked), _DASK.fullmatch(asked)
    if processes is None and dask is None:
        msg = f"--engine {asked}: there is no such engine; {HOW}"
        raise EngineError(msg)
    if not parquet:
        msg = f"--engine {asked}: only a Parquet export can be scanned in partitions; name one with --from, or leave --engine out"
        raise EngineError(msg)
    if processes is not None:
        slots = int(processes[1]) if processes[1] else _cores()
        if slots > PROCESSES_MAX:
            msg = f"--engine {asked}: at most {PROCESSES_MAX} processes; more machines are reached with dask+tls://"
            raise EngineError(msg)
        return _processes(slots)
    if roster is not None:
        msg = "--roster: a roster stays on this machine; leave it out, or scan with --engine processes"
        raise EngineError(msg)
    try:
        from audit.engine.dask import Cluster  # noqa: PLC0415  # loads Dask
    except ModuleNotFoundError as fault:
        msg = f"--engine {asked}: {fault.name} is not installed; run: pip install 'phi-guard-toolkit[dask]'"
        raise EngineError(msg) from None
    return partial(Cluster, f"{'tls' if dask and dask[1] else 'tcp'}://{dask[2] if dask else ''}:{dask[3] if dask else ''}")


def _processes(slots: int) -> Callable[[bytes], Crew]:
    from audit.engine.processes import Processes  # noqa: PLC0415  # only where it is asked for

    return partial(Processes, slots)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _room() -> int:
    """Workers that there is memory for; 1 where the system does not tell."""
    try:
        free = re.search(r"^MemAvailable:\s+([0-9]+) kB", MEMINFO.read_text(), re.MULTILINE)
    except OSError:
        return 1
    return int(free[1]) * 1024 // WORKER_BYTES if free else 1


def _bytes(file: Path) -> int:
    files = file.rglob("*.parquet") if file.is_dir() else (file,)
    try:
        return sum(path.stat().st_size for path in files)
    except OSError:
        return 0  # the source tells why
