"""The manifest: what exactly was read, so that another can read the same and see that it is the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Manifest:
    """What was asked, of whom, and what came.

    Args:
        query: the question, by parameter: project, since, until, what was selected, protocol (``v2``, ``v1``, ``jsonl``, ``parquet``).
        host: of the API, or the file's name.
        read_at: when reading began, ISO 8601.
        requests: HTTP requests made, tries again included; 0 for a file.
        retries: those of them that were made again.
        pages: pages or row groups that came.
        bytes: of all pages, or of the file.
        answers_sha256: SHA-256 over the SHA-256 of each page in order, or of each file; of the file itself where it is one of lines. Where
            reading broke off, of what was read until then.
        runs_digest: keyed BLAKE2b over each different run's id and content digest, sorted: the same runs with the same content, whatever
            the order, give the same; without the key it tells nothing of the content.
        attached: runs with attachments; each is a finding.
        excluded: runs or rows left out, by reason.
    """

    query: Mapping[str, str] = field(default_factory=dict)
    host: str = ""
    read_at: str = ""
    requests: int = 0
    retries: int = 0
    pages: int = 0
    bytes: int = 0
    answers_sha256: str = ""
    runs_digest: str = ""
    attached: int = 0
    excluded: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CrossCheck:
    """What the relay's own account says was delivered, held against what was read.

    Args:
        account: what the account was read from.
        expected: runs of this window that it says were delivered.
        matched: those of them that were read.
        missing: expected and not found.
        unexpected: found and not expected: somebody else sends to this project.
        missing_ids: at most 20 of them; a run whose own id the account does not keep is named by its call's.
        unexpected_ids: at most 20 of them; ``(no id)`` where what stands there is none.
        why: why it could not be made or is only part of it, in words; empty if it is whole.
        purged: runs that it says were delivered and that receipts of a purge say were deleted since; neither expected nor missing.
        not_drawn: calls that sampling left out, so that what was read is a sample of the calls; neither expected nor missing.
    """

    account: str = ""
    expected: int = 0
    matched: int = 0
    missing: int = 0
    unexpected: int = 0
    missing_ids: tuple[str, ...] = ()
    unexpected_ids: tuple[str, ...] = ()
    why: str = ""
    purged: int = 0
    not_drawn: int = 0


@dataclass(frozen=True, slots=True)
class TraceFacts:
    """One trace as the sample is drawn from it. Closed names and ids only.

    Args:
        trace_id: its id.
        tools: bare names of the policy's tools that ran in it, sorted, joined by ``+``; ``none``, or ``?`` for a tool nobody knows.
        outcome: ``error`` if a run of it has an error or its end says so, else the end's reason, else ``open``.
        version: the agent's version, or ``?``.
        env: ``dev``, ``prod`` or ``?``.
        runs: how many runs it has.
        findings: how many of the census's findings lie in it.
    """

    trace_id: str
    tools: str
    outcome: str
    version: str
    env: str
    runs: int
    findings: int = 0
