"""What a reviewer is shown, in order: the sampled traces, and among them copies with a synthetic value planted.

Which are copies follows from the audit's own key, so that nobody who has only the review's file can tell, and a review can be gone on with.
Two reviewers under one key get the same copies, at different places.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import ceil
from random import Random
from typing import Final

from audit import people
from audit.review.content import Line, unpack
from audit.sample import SUSPICIONS, Selection

SHARE: Final = 0.1
LEAST: Final = 10
"""Known answers: a tenth of the traces, and at least ten."""
PLAIN: Final = ("name", "phone", "email", "ssn", "mrn", "date", "address")
"""Classes that a person knows for identifying without anything beside them; a town or a serial number alone would be a matter of taste."""
_MARKER: Final = re.compile(r"<REDACTED[A-Z_0-9]*>…?")


@dataclass(frozen=True, slots=True)
class Item:
    """One thing to decide.

    Args:
        token: names it without telling what it is.
        trace_id: the trace, or the one that was copied.
        kind: class of what was planted; empty for a trace as it is.
        value: what was planted.
        place: where it was planted.
    """

    token: str
    trace_id: str
    kind: str = ""
    value: str = ""
    place: str = ""


def line_up(
    selection: Selection, traces: Mapping[str, bytes], *, key: bytes, report_sha256: str, reviewer: str, share: float = SHARE
) -> tuple[Item, ...]:
    """The queue of one reviewer.

    Args:
        selection: the sample.
        traces: those of its traces that were read, packed, by id.
        key: the audit's own.
        report_sha256: digest of the report.
        reviewer: the name, as given.
        share: of known answers, of the number of traces; at least `LEAST` where there is a trace to copy.
    """
    suspected = {n for n, stratum in enumerate(selection.strata) if stratum.name == SUSPICIONS}
    homes = selection.homes or (0,) * len(selection.trace_ids)
    there = [(trace, home) for trace, home in zip(selection.trace_ids, homes, strict=True) if trace in traces]
    clean = [trace for trace, home in there if home not in suspected] or [trace for trace, _ in there]
    items = [Item(_keyed(key, report_sha256, "trace", trace), trace) for trace, _ in there]
    if not clean:
        return ()
    what = Random(_keyed(key, report_sha256, "plants", selection.sha256))  # noqa: S311  # keyed; not a secret of its own
    where = Random(_keyed(key, report_sha256, "order", reviewer))  # noqa: S311
    n = max(LEAST, ceil(share * len(items)))
    copied = what.sample(clean, n) if n <= len(clean) else what.choices(clean, k=n)
    kinds = [kind for kind in PLAIN if kind in people.CLASSES]
    what.shuffle(kinds)
    for k, trace in enumerate(copied):
        kind = kinds[k % len(kinds)]
        value = people.CLASSES[kind](what)
        token = _keyed(key, report_sha256, f"plant {k}", trace)
        items.insert(where.randint(0, len(items)), Item(token, trace, kind, value, _place(unpack(traces[trace]), what)))
    return tuple(items)


def shown(item: Item, packed: bytes) -> tuple[Line, ...]:
    """What is on the screen: the trace's lines, with the plant in its place."""
    lines = unpack(packed)
    if not item.kind:
        return lines
    if all(line.place != item.place for line in lines):
        return (*lines, Line(item.place, "error", f"LookupError: {item.value} not found"))
    return tuple(replace(line, text=_with(line.text, item.value)) if line.place == item.place else line for line in lines)


def _with(text: str, value: str) -> str:
    return _MARKER.sub(lambda _: value, text, count=1) if _MARKER.search(text) else f"{text}, {value}"


def _place(lines: tuple[Line, ...], random: Random) -> str:
    """A value the agent's tools were given or gave; an error where there is none."""
    fits = [line.place for line in lines if line.place.split(".")[1] in {"inputs", "outputs"} and line.text != "(an id)"]
    marked = [line.place for line in lines if line.place in set(fits) and _MARKER.search(line.text)]
    return random.choice(marked or fits) if fits else "1.error.1"


def _keyed(key: bytes, *parts: str) -> str:
    return hashlib.blake2b("\n".join(("phi-audit review", *parts)).encode(), key=key, digest_size=8).hexdigest()
