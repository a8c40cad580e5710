"""What goes between the scan and its workers: plain data, encoded. No account holds a value of a trace.

What goes to a worker: where the policy stands, the project's name, the key of the fingerprints, which rows of which file to read, and
made-up runs to prove its detectors on. What comes back of a partition: what is counted of each run (ids, closed names, times, counts,
keyed digests) and the findings, those in the made-up runs apart.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import msgspec

from audit.findings import Finding
from audit.population import Row
from audit.timeline import Measures

Pieces: TypeAlias = tuple[tuple[str, str], ...]


class Setup(msgspec.Struct, frozen=True):
    """With what partitions are scanned.

    Args:
        policy: path of the policy's file, or ``shipped:`` and its name.
        env: environment whose part of the policy applies.
        policy_digest: of the policy.
        project: its name, or empty.
        key: of the fingerprints and digests; the audit's own.
        without: layers left out.
        pieces: of the method (`audit.engine.work.pieces_of`): a worker that has others refuses.
        roster: path of the roster, or empty.
        roster_key: its key.
    """

    policy: str
    env: str
    policy_digest: str
    project: str
    key: bytes
    without: tuple[str, ...]
    pieces: Pieces
    roster: str = ""
    roster_key: bytes = b""


class Task(msgspec.Struct, frozen=True):
    """One partition.

    Args:
        path: of the file.
        sha256: of the file: one of another content is refused.
        group: which row group, from 0.
        first: the first row of it, from 0.
        rows: how many.
        plants: made-up runs that are scanned besides and counted nowhere (`audit.engine.plants`).
    """

    path: str
    sha256: bytes
    group: int
    first: int
    rows: int
    plants: tuple[dict[str, Any], ...] = ()


class Account(msgspec.Struct, frozen=True, array_like=True):
    """What came of one partition.

    Args:
        rows: of each run, what is counted.
        measures: of each run, what is measured.
        findings: the place of each run that has any, from 0, and its findings.
        values: of each page with findings, its first and last run, and keyed digests of the values that no page before it had. The values
            themselves stay where they were read.
        fault: the class of the fault that the partition could not be read or scanned for; empty if it was.
        refused: why this worker must not scan it; empty if it may.
        planted: of each plant of the task, in order, what was found in it.
    """

    rows: list[Row]
    measures: list[Measures]
    findings: list[tuple[int, list[Finding]]]
    values: list[tuple[int, int, list[bytes]]]
    fault: str = ""
    refused: str = ""
    planted: list[list[Finding]] = []  # msgspec makes a new one for each


encode = msgspec.msgpack.encode


def without_keys(setup: Setup) -> Setup:
    """The same without what is secret: enough to ask a worker whether it would scan alike."""
    return msgspec.structs.replace(setup, key=b"", roster="", roster_key=b"")


def setup_of(data: bytes) -> Setup:
    """The setup that was encoded."""
    return msgspec.msgpack.decode(data, type=Setup)


def task_of(data: bytes) -> Task:
    """The task that was encoded."""
    return msgspec.msgpack.decode(data, type=Task)


def account_of(data: bytes) -> Account:
    """The account that was encoded.

    Raises:
        msgspec.DecodeError: it is none.
    """
    return msgspec.msgpack.decode(data, type=Account)
