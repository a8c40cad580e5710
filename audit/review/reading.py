"""The report that is to be reviewed, and the traces of its sample: those are read again from the source, and kept in memory alone."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audit.review.content import pack
from audit.review.record import ReviewError
from audit.sample import Selection, Stratum, check
from audit.source import Run


class Altered(ReviewError):
    """A report, or its sample, is not as it was made."""


@dataclass(frozen=True, slots=True)
class Reviewed:
    """What of a report its review needs.

    Args:
        sha256: the report's digest.
        selection: its sample.
        project: that was audited.
        since: beginning of the window, ISO 8601; empty for a file.
        until: its end.
    """

    sha256: str
    selection: Selection
    project: str
    since: str
    until: str


def report_digest(told: Mapping[str, Any]) -> str:
    """SHA-256 over a report's canonical JSON (sorted keys, no spaces, UTF-8) without ``digest`` and ``signatures``."""
    kept = {key: value for key, value in told.items() if key not in {"digest", "signatures"}}
    return hashlib.sha256(json.dumps(kept, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()).hexdigest()


def read_report(path: Path) -> Reviewed:
    """The report in a JSON file.

    Raises:
        ReviewError: it cannot be read, is no report, or has no sample.
        Altered: it is not as it was made.
    """
    try:
        told = json.loads(path.read_bytes())
    except OSError as fault:
        raise ReviewError(f"{path}: cannot be read ({fault.strerror})") from None
    except (ValueError, RecursionError):
        raise ReviewError(f"{path}: is not JSON; name a report of `phi-audit scan --format json`") from None
    if not isinstance(told, dict) or not str(told.get("schema")).startswith("phi-audit.report/"):
        raise ReviewError(f"{path}: is no report; name one of `phi-audit scan --format json`")
    digest = report_digest(told)
    if told.get("digest", digest) != digest:
        raise Altered(f"{path}: digest: is not that of the report; it was changed after it was made")
    if not told.get("selection"):
        raise ReviewError(f"{path}: selection: the report has no sample; scan again, with a sample")
    try:
        drawn = dict(told["selection"])
        for name in ("trace_ids", "homes"):
            drawn[name] = tuple(drawn[name])
        selection = Selection(**drawn | {"strata": tuple(Stratum(**each) for each in drawn["strata"])})
        faults = check(selection)
    except (TypeError, ValueError, KeyError, AttributeError):
        faults = ("is not the sample of a report",)
    if faults:
        raise Altered("\n".join(f"{path}: selection: {fault}" for fault in faults))
    target: Mapping[str, Any] = told["target"] if isinstance(told.get("target"), dict) else {}
    return Reviewed(digest, selection, *(str(target.get(name) or "") for name in ("project", "since", "until")))


def gather(runs: Iterable[Run], selection: Selection) -> dict[str, bytes]:
    """The sample's traces out of all that the source gives, packed, by id. A run that comes twice counts once.

    Args:
        runs: every run of the window.
        selection: whose traces are wanted; nothing else is kept.
    """
    wanted = frozenset(selection.trace_ids)
    kept: dict[str, dict[str, Run]] = {}
    for run in runs:
        trace = str(run.get("trace_id"))
        if trace in wanted:
            kept.setdefault(trace, {})[str(run.get("id"))] = run
    return {trace: pack(by_id.values()) for trace, by_id in kept.items()}
