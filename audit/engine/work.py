"""The worker's side: detectors loaded once in a process, one partition scanned at a time, and of it an account that holds no value."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import astuple
from functools import lru_cache
from itertools import islice
from pathlib import Path
from threading import Lock
from typing import Final

from audit.census import PAGE, SCANNER, Detectors, shown
from audit.detectors import open_detectors
from audit.engine import EngineError, wire
from audit.engine.wire import Account, Pieces, Setup, Task
from audit.findings import Finding
from audit.method import describe
from audit.population import Row, row_of
from audit.scan import Scanner
from audit.source import Run, SourceError
from audit.timeline import Measures, measures_of
from audit.workspace import content_digest
from phi_guard.errors import PhiGuardError
from phi_guard.policy import load_policy, shipped
from phi_guard.policy.compiled import Policy

SHIPPED: Final = "shipped:"
"""Begins the place of a policy that comes with the product: it is where the worker's own product is."""
NAMED_MAX: Final = 3
"""Pieces of the method that a refusal names."""


def scan_partition(setup: bytes, task: bytes) -> bytes:
    """Scan one partition.

    Args:
        setup: `Setup`, encoded.
        task: `Task`, encoded.

    Returns:
        `Account`, encoded. Nothing is raised: a fault is told by its class, since its words could hold a value.
    """
    with _one_at_a_time:
        try:
            account = _looker(setup).account(wire.task_of(task))
        except SourceError as fault:
            account = Account([], [], [], [], fault=type(fault).__name__)
        except PhiGuardError as fault:
            account = Account([], [], [], [], refused=str(fault))
        except Exception as fault:  # noqa: BLE001  # whatever broke, who asked tries it where the reason can be told
            account = Account([], [], [], [], fault=type(fault).__name__)
        return wire.encode(account)


def look(setup: bytes) -> str:
    """Why this process must not scan, or nothing if it may: its policy, its code or its libraries are others, or a model is not whole.

    Its detectors are loaded for that, and stay so. Nothing is raised, as above.

    Args:
        setup: `Setup`, encoded; its keys are not looked at and may be left out.
    """
    with _one_at_a_time:
        try:
            asked = wire.setup_of(setup)
            _policy_of(asked)
            _detectors(asked.without)
        except PhiGuardError as fault:
            return str(fault)
        except Exception as fault:  # noqa: BLE001  # its words could hold anything
            return f"it could not be looked at ({type(fault).__name__}); install the same version there"
        return ""


def pieces_of(policy: Policy, without: tuple[str, ...]) -> Pieces:
    """With what this process would scan: each piece by name, and what tells its content; two that differ in any do not scan alike."""
    held = [(piece.name, "|".join(map(str, astuple(piece)[1:]))) for piece in describe(policy, without=without).pieces]
    return (*held, ("scanner", SCANNER))


def place_of(policy: Policy) -> str:
    """Where a worker finds a policy: the shipped one where its own product is, any other at the same path."""
    path = Path(policy.file).absolute()
    try:
        own = shipped(path.name)
    except PhiGuardError:
        return str(path)
    return f"{SHIPPED}{path.name}" if own == path.resolve() else str(path)


def _policy_of(setup: Setup) -> Policy:
    """The policy that is asked for. Raises `EngineError` where this process has another, or would scan otherwise."""
    name = setup.policy.removeprefix(SHIPPED)
    policy = load_policy(shipped(name) if name != setup.policy else name, env=setup.env)
    if policy.digest != setup.policy_digest:
        msg = f"its policy {Path(name).name} has the digest {policy.digest}, not {setup.policy_digest}; put the same file there"
        raise EngineError(msg)
    own, asked = dict(pieces_of(policy, setup.without)), dict(setup.pieces)
    if other := sorted(piece for piece in {*own, *asked} if own.get(piece) != asked.get(piece)):
        more = f" and {len(other) - NAMED_MAX} more" if len(other) > NAMED_MAX else ""
        msg = f"it would scan otherwise than this machine: {', '.join(other[:NAMED_MAX])}{more} differ; install the same version there"
        raise EngineError(msg)
    return policy


@lru_cache(maxsize=1)
def _detectors(without: tuple[str, ...]) -> Detectors:
    """Loaded once, for looks and scans alike; the roster stands beside them."""
    return open_detectors(without=without)


class _Looker:
    """A scanner that was set up."""

    def __init__(self, setup: Setup) -> None:
        policy = _policy_of(setup)
        find_roster = None
        if setup.roster:
            from audit.roster.find import Roster  # noqa: PLC0415  # only where there is one

            find_roster = Roster.open(Path(setup.roster), setup.roster_key, policy.listed).find
        held = _detectors(setup.without)
        self._key = setup.key
        self._fields = frozenset(policy.fields)
        self._files: dict[tuple[str, int, int], bytes] = {}
        self._scanner = Scanner(
            policy, held.strict, held.patterns, project=setup.project, key=setup.key, find_roster=find_roster,
            find_suspicions=held.suspicions,
        )  # fmt: skip

    def account(self, task: Task) -> Account:
        """Scan the plants, then the partition page by page; of a page only the account is kept."""
        from audit.source.parquet import runs_of  # noqa: PLC0415  # loads pyarrow

        self._refuse_another(task)
        planted = [list(found) for found in self._scanner.scan_many(task.plants)]
        rows: list[Row] = []
        measures: list[Measures] = []
        findings: list[tuple[int, list[Finding]]] = []
        values: list[tuple[int, int, list[bytes]]] = []
        told: set[bytes] = set()
        runs = runs_of(Path(task.path), task.group, task.first, task.rows)
        for page in _pages(runs):
            first = len(rows)
            self._scanner.values.clear()
            for run, found in zip(page, self._scanner.scan_many(page), strict=True):
                span = self._scanner.span_name(run.get("name"))
                clean = shown(run, self._key) if found else run
                if found:
                    findings.append((len(rows), list(found)))
                rows.append(row_of(clean, span, digest_of(run, self._key)))
                measures.append(measures_of(clean, span, self._fields))
            fresh = {value_digest(value, self._key) for value in self._scanner.values} - told
            if fresh:
                told |= fresh
                values.append((first, len(rows), sorted(fresh)))
        self._scanner.values.clear()
        return Account(rows, measures, findings, values, planted=planted)

    def _refuse_another(self, task: Task) -> None:
        path = Path(task.path)
        seen = path.stat()
        of = (task.path, seen.st_size, seen.st_mtime_ns)
        if of not in self._files:
            with path.open("rb") as content:
                self._files[of] = hashlib.file_digest(content, "sha256").digest()
        if self._files[of] != task.sha256:
            msg = f"its {path.name} is not the file that this machine reads; let the workers read the same export"
            raise EngineError(msg)


_one_at_a_time = Lock()
_opened: list[tuple[bytes, _Looker]] = []


def _looker(setup: bytes) -> _Looker:
    if not _opened or _opened[0][0] != setup:
        _opened.clear()
        _opened.append((setup, _Looker(wire.setup_of(setup))))
    return _opened[0][1]


def _pages(runs: Iterator[Run]) -> Iterator[list[Run]]:
    while page := list(islice(runs, PAGE)):
        yield page


def digest_of(run: Run, key: bytes) -> bytes:
    """The run's keyed content digest; empty where it has none."""
    try:
        return content_digest(run, key)
    except (ValueError, TypeError, RecursionError):
        return b""


def value_digest(value: str, key: bytes) -> bytes:
    """Tells one raw value from the next, to who has the key alone."""
    return hashlib.blake2b(value.encode("utf-8", "surrogatepass"), key=key, digest_size=12, person=b"phi value").digest()
