"""Canaries: the patient's values that a rehearsal put into its calls, looked for in what can be read back from the other end."""

from __future__ import annotations

import base64
import json
import re
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import quote

from audit.rehearsal.script import PlannedCall
from audit.source import Run, SourceError, Window, open_source
from phi_guard.policy.compiled import Policy
from tracing.settings import Settings

SHORTEST: Final = 5
"""Characters of a value that can be looked for without meeting it by chance."""
DIGITS: Final = 7
"""Likewise, where only a value's digits are looked for."""
_RANDOM: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|\d{8}t\d{12}z|\d{4}-\d\d-\d\dt\d\d:\d\d:\d\d\.\d{6}")
"""Ids and instants of our own, whose digits could be anybody's."""


@dataclass(frozen=True, slots=True)
class Canaries:
    """How many values were planted, and how many of them arrived, in any of the forms they are looked for in."""

    planted: int
    arrived: int


def collect(calls: Iterable[PlannedCall], policy: Policy) -> frozenset[str]:
    """The values in tool arguments and results under fields that the policy redacts or drops."""
    found: set[str] = set()
    stack: list[object] = [side for call in calls for turn in call.turns for tool in turn.tools for side in (tool.arguments, tool.result)]
    while stack:
        value = stack.pop()
        if isinstance(value, list):
            stack += value
        elif isinstance(value, Mapping):
            for key, inner in value.items():
                rule = policy.fields.get(str(key))
                if rule is not None and rule.action in {"redact", "drop"} and isinstance(inner, str | int) and len(str(inner)) >= SHORTEST:
                    found.add(str(inner))
                stack.append(inner)
    return frozenset(found)


def follow(
    canaries: Collection[str], trace_ids: Sequence[str], settings: Settings, *, api_key: str, since: datetime, seconds: float
) -> Canaries | None:
    """Read the rehearsal's traces back and look for the canaries in them.

    Args:
        canaries: from `collect`.
        trace_ids: the rehearsal's traces; those of others are not looked at.
        settings: where they were sent.
        api_key: the key to read with.
        since: when the rehearsal began.
        seconds: how long to wait until all traces can be read; a hosted store shows them with a delay.

    Returns:
        None where the traces could not all be read back: then nothing is known.
    """
    end = time.monotonic() + seconds
    window = Window(since - timedelta(minutes=1), since + timedelta(days=1))
    wanted = {trace_id for trace_id in trace_ids if trace_id}
    while True:
        try:
            source = open_source(project=settings.project, window=window, file=None, endpoint=settings.endpoint, api_key=api_key)
            runs = [run for run in source.runs() if run.get("trace_id") in wanted]
        except SourceError:
            runs = []
        if {run.get("trace_id") for run in runs if run.get("name") == "session.end"} == wanted:
            return Canaries(len(canaries), _count(canaries, runs))
        if time.monotonic() > end:
            return None
        time.sleep(0.5)


def _count(canaries: Collection[str], runs: Iterable[Run]) -> int:
    text = _RANDOM.sub(" ", json.dumps(list(runs), ensure_ascii=False, default=str).lower())
    return sum(any(form in text for form in _forms(canary)) for canary in canaries)


def _forms(value: str) -> Iterator[str]:
    """As it is, its digits alone, URL-encoded, in hexadecimal, and in base64 wherever it begins; all in lower case."""
    yield value.lower()
    yield json.dumps(value)[1:-1].lower()
    yield quote(value).lower()
    yield value.encode().hex()
    digits = "".join(c for c in value if c.isdecimal())
    if len(digits) >= DIGITS:
        yield digits
    for shift in range(3):
        encoded = base64.b64encode(b" " * shift + value.encode()).rstrip(b"=").decode().lower()
        if len(encoded) > shift + SHORTEST + 2:
            yield encoded[shift + 1 : -2]
