"""What an address asks for, read with suspicion: each parameter has its closed form, and what does not have it is said, not guessed at."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Final, cast
from urllib.parse import urlencode

from audit.calls.index import Choice, Order

SPANS: Final[Mapping[str, str]] = {
    "today": "today", "24h": "last 24 hours", "7d": "last 7 days", "30d": "last 30 days", "all": "all there is", "own": "from / to",
}  # fmt: skip
"""Lengths of time to choose from, as they are shown."""
DAYS: Final = {"24h": 1, "7d": 7, "30d": 30}
OUTCOMES: Final[Mapping[str, str]] = {
    "": "any outcome", "ok": "ended well", "failed": "failed", "open": "no end yet", "tool_failed": "a tool failed",
}  # fmt: skip
ORDERS: Final[Mapping[str, str]] = {
    "start": "began", "duration": "duration", "ttft": "slowest answer", "cost": "cost", "errors": "errors",
}  # fmt: skip
SPAN: Final = "30d"
NAME: Final = re.compile(r"[A-Za-z0-9_.:/ -]{1,128}")
"""Of a project or a tool."""
TRACE: Final = re.compile(r"[0-9a-f-]{1,36}")
AFTER: Final = re.compile(r"[A-Za-z0-9_.:|,=+/-]{1,512}")
"""The index's mark of where a page ends."""
SLOWER_MAX_S: Final = 600.0
KNOWN: Final = ("span", "from", "to", "env", "project", "outcome", "tool", "slower", "trace", "order", "down", "after")


@dataclass(frozen=True, slots=True)
class Asked:
    """An address, read.

    Args:
        choice: which calls are meant.
        span: one of `SPANS`.
        order: of the list.
        descending: the largest first.
        after: where the page begins.
        given: the parameters that are not at their default, as they go back into links and the form.
        faults: what cannot be understood, each with what to write instead; what was given is not repeated.
    """

    choice: Choice
    span: str = SPAN
    order: Order = "start"
    descending: bool = True
    after: str = ""
    given: Mapping[str, str] = field(default_factory=dict)
    faults: tuple[str, ...] = ()

    def link(self, **changed: str) -> str:
        """The query with some parameters changed, an empty one left out; the page begins anew unless ``after`` is given."""
        merged = {name: value for name, value in self.given.items() if name != "after"} | changed
        text = urlencode({name: merged[name] for name in KNOWN if merged.get(name)})
        return f"?{text}" if text else "?"


def read(params: Mapping[str, str], now: datetime, *, span: str = SPAN) -> Asked:
    """What the parameters of an address mean; names we do not know are left out.

    Args:
        params: as given.
        now: with a zone.
        span: the length of time where none is given.
    """
    given = {name: params[name].strip() for name in KNOWN if params.get(name, "").strip()}
    faults = list[str]()

    def closed(name: str, words: Mapping[str, str], default: str) -> str:
        value = given.get(name, default)
        if value in words:
            return value
        faults.append(f"{name}: one of {', '.join(word for word in words if word)}")
        given.pop(name, None)
        return default

    def formed(name: str, form: re.Pattern[str], advice: str) -> str:
        value = given.get(name, "")
        if not value or form.fullmatch(value):
            return value
        faults.append(f"{name}: {advice}")
        given.pop(name)
        return ""

    since, until = (_moment(given, name, faults) for name in ("from", "to"))
    if since or until:
        chosen = "own"  # an instant that is given goes before a length of time
        given.pop("span", None)
        if since and until and since >= until:
            faults.append("from: must be before to")
    else:
        chosen = closed("span", {name: words for name, words in SPANS.items() if name != "own"}, span)
        since = _begin(chosen, now)
    if given.get("trace"):
        given["trace"] = given["trace"].lower()
    choice = Choice(
        since=since,
        until=until,
        project=formed("project", NAME, "letters, digits, dots and dashes, at most 128"),
        env=closed("env", {"": "", "dev": "", "prod": ""}, ""),
        tool=formed("tool", NAME, "a tool's span name, such as tool.book_appointment"),
        trace=formed("trace", TRACE, "how a trace id begins: digits, a to f, and dashes"),
        slower_ms=_slower(given, faults),
    )
    outcome, order = closed("outcome", OUTCOMES, ""), closed("order", ORDERS, "start")
    down = closed("down", {"1": "", "0": ""}, "1")
    after = formed("after", AFTER, "follow the link to the next page")
    choice = replace(choice, outcome=outcome)  # type: ignore[arg-type]  # closed() gives one of its words
    return Asked(choice, chosen, cast(Order, order), down == "1", after, given, tuple(faults))


def _begin(span: str, now: datetime) -> datetime | None:
    if span == "today":
        return now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return now - timedelta(days=DAYS[span]) if span in DAYS else None


def _moment(given: dict[str, str], name: str, faults: list[str]) -> datetime | None:
    text = given.get(name, "")
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text) if len(text) <= 40 else None  # an instant with microseconds and a zone has 32
        if moment is not None:
            moment = moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError):
        moment = None
    if moment is None:
        given.pop(name)
        faults.append(f"{name}: a date and time in UTC, such as 2026-11-20T12:00")
    return moment


def _slower(given: dict[str, str], faults: list[str]) -> float | None:
    text = given.get("slower", "")
    if not text:
        return None
    if re.fullmatch(r"[0-9]{1,3}([.][0-9]{1,3})?", text) and float(text) <= SLOWER_MAX_S:
        return float(text) * 1000
    given.pop("slower")
    faults.append(f"slower: seconds, such as 3 or 2.5, at most {SLOWER_MAX_S:.0f}")
    return None
