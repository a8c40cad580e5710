"""The chain of custody: who read the traces, where the audit's own log stood, and who signed."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Custody:
    """Who, with which keys, and at which place of the log.

    Args:
        by: the account that ran the scan, ``user@host`` or as given.
        fingerprint_key: id of the key of the fingerprints.
        log_n: number of the audit log's last entry when the report was made; -1 before the first.
        log_sha256: of that entry.
        anchor: where a copy of the log's head is kept, or empty.
        supersedes: digest of the report that this one takes the place of (the same scan, judged again with its reviews), or empty.
    """

    by: str = ""
    fingerprint_key: str = ""
    log_n: int = -1
    log_sha256: str = ""
    anchor: str = ""
    supersedes: str = ""


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature under a report.

    Args:
        role: ``scan``, ``reviewer`` or ``approver``.
        name: who signs, as given.
        at: ISO 8601.
        public_key: Ed25519, 64 hexadecimal digits.
        signature: 128 hexadecimal digits, over the report's digest, the role, the name and the time.
        statement: what is signed for, in words.
    """

    role: str
    name: str
    at: str
    public_key: str
    signature: str
    statement: str = ""
