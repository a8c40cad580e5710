"""The audit's own log: each report, signature, look at a value and switch, one line each, in a chain that shows a change.

Each line is one JSON object in canonical form and holds the SHA-256 of the line before it; the first holds random salt. A small file
beside the log, the head, names the last line, so that a cut tail is found. Who may write to the directory could write a new chain: an
anchor, a copy of each head in a file somewhere else, finds that too. It answers 45 CFR 164.312(b) and (c)(1): audit controls, integrity.

An entry holds closed names, digests, counts and ids, never a value of a trace.
"""

from __future__ import annotations

from audit.chain.checking import Verdict, entries, head, verify
from audit.chain.line import EVENTS, HEAD, LOG, Entry, LogUnusable
from audit.chain.writing import anchor_of, append
from phi_guard.disclosure_chain import START, Mark

__all__ = ["EVENTS", "HEAD", "LOG", "START", "Entry", "LogUnusable", "Mark", "Verdict", "anchor_of", "append", "entries", "head", "verify"]
