"""An alert in words. Every word is written here; of what was cleared closed facts alone stand among them: numbers, instants, ids, names.

An alert with facts missing is announced all the same, in fewer words: the gate drops a fact that does not fit its shape, and a message that
is not sent because of one would be worse.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

TITLE_MAX: Final = 150
"""Characters of a title: what a header of Slack's Block Kit holds (https://docs.slack.dev/reference/block-kit/blocks/header-block)."""
TRACES_MAX: Final = 5
"""Traces that are named."""


@dataclass(frozen=True, slots=True)
class Words:
    """What is always said of one kind of alert.

    Args:
        subject: what is measured.
        meaning: what it means that it fires, a sentence or two.
        step: what to do next: a command, or a page of the documentation.
        of: what the value rests on, in the plural; empty where that is not said.
        limit: how the value stands to the threshold, such as ``above``; empty where there is none to speak of.
        windowed: whether it is measured over a window.
    """

    subject: str
    meaning: str
    step: str
    of: str = ""
    limit: str = "above"
    windowed: bool = False


@dataclass(frozen=True, slots=True)
class Announcement:
    """A message.

    Args:
        title: one line of at most `TITLE_MAX` characters.
        meaning: what it means.
        step: what to do next.
        details: names and values, at most ten.
        traces: ids of traces to look at first, at most `TRACES_MAX`.
    """

    title: str
    meaning: str
    step: str
    details: tuple[tuple[str, str], ...]
    traces: tuple[str, ...]

    @property
    def text(self) -> str:
        """All of it as plain lines."""
        lines = [self.title, self.meaning, f"Next: {self.step}", *(f"{name}: {value}" for name, value in self.details)]
        return "\n".join([*lines, f"Traces: {', '.join(self.traces)}"] if self.traces else lines)


WORDS: Final[Mapping[str, Words]] = {
    "error_rate": Words(
        "Error rate",
        "More calls fail than the rule allows: they ended with an error, or their agent was lost.",
        "open the traces named here, then compare with the hours before: phi-audit dashboard",
        "calls",
        windowed=True,
    ),
    "ttft_p95": Words(
        "TTFT-A p95",
        "Callers wait too long for the first sound of an answer: one answer in twenty takes longer than this.",
        "open the slowest traces named here; their turns say how much of it model, tools and event loop took: phi-audit dashboard",
        "turns",
        windowed=True,
    ),
    "tool_failure": Words(
        "Tool failures",
        "A tool fails more often than the rule allows, so callers are told that something could not be done.",
        "look at the tool's errors in the traces named here, and at the system behind the tool: phi-audit dashboard",
        "uses",
        windowed=True,
    ),
    "leak": Words(
        "Leak suspected",
        "What was recorded may hold what identifies a patient. Deadlines of the law run from the day this is known.",
        "see that telemetry is off (phi-audit switch off), then follow docs/after-a-leak.md: phi-audit incident open",
        limit="",
    ),
    "switch_off": Words(
        "Telemetry is switched off",
        "Calls go on, but none of them is recorded, so the other alerts have nothing to judge.",
        "read why (phi-audit switch status); after an audit that says GO: phi-audit switch on",
        limit="",
    ),
    "span_drop": Words(
        "Spans dropped",
        "A part of what was recorded never arrived, so what the traces show is not whole.",
        "read the relay's account (phi-audit relay status) and docs/relay.md",
        "spans",
        "at or above",
        windowed=True,
    ),
    "no_traces": Words(
        "Calls ran without a trace",
        "Calls were held in this time and no trace of one arrived.",
        "ask the relay how it is (phi-audit relay status), then look for open doors and wrong keys: phi-audit doctor",
        "calls",
        "",
        windowed=True,
    ),
    "budget": Words(
        "Cost of the month",
        "The month's calls cost, or at this pace will cost, more than the budget.",
        "see which calls cost most: phi-audit dashboard",
        "calls",
    ),
    "plan_quota": Words(
        "LangSmith plan used",
        "At 100 % of the plan's traces LangSmith refuses more (HTTP 429) until the month ends; the relay keeps what it has room for.",
        "keep fewer traces or raise the plan before that; the count is on the cost page: phi-audit dashboard",
        "traces",
        "at or above",
    ),
    "stale": Words(
        "Alerts cannot be judged",
        "The traces could not be read, or not to their end, so a quiet channel says nothing.",
        "see what stands in the way: phi-audit alerts check",
        limit="",
    ),
    "test": Words(
        "Test message", "Nothing is wrong: somebody wanted to see that messages arrive here.", "nothing needs to be done", limit=""
    ),
}
"""By the name of the alert."""
_UNITS: Final = {"per_cent": " %", "ms": " ms", "usd": " USD", "count": ""}
_SPANS: Final = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def announce(name: str, facts: Mapping[str, object]) -> Announcement:
    """An alert's message.

    Args:
        name: the alert's, a key of `WORDS`.
        facts: as cleared: `phi_guard.facts.ALERT` says what each is.
    """
    words, state = WORDS[name], facts.get("state")
    marks = f"[{str(facts.get('env', 'unknown')).upper()}][OBS]{' [REHEARSAL]' if facts.get('rehearsal') is True else ''}"
    lead = {"still_firing": "Still: ", "resolved": "Resolved: "}.get(str(state), "")
    meaning = words.meaning
    if state == "resolved":
        meaning = "It no longer holds." if name != "test" else meaning
    return Announcement(
        title=_cut(f"{marks} {lead}{_measured(words, facts, resolved=state == 'resolved')}"),
        meaning=meaning,
        step="nothing needs to be done for the alert; what caused it may still want looking at" if state == "resolved" else words.step,
        details=_details(facts),
        traces=_traces(facts.get("trace_ids")),
    )


def _is_estimate(facts: Mapping[str, object]) -> bool:
    """Whether a share stands for more than what was sent: then so many of so many are of what was sent alone, and are not that share."""
    value, n, bad = (facts.get(key) for key in ("value", "n", "bad"))
    if not (isinstance(value, int | float) and isinstance(n, int | float) and isinstance(bad, int | float)) or not n:
        return False
    return abs(value - 100 * bad / n) > 0.02 * max(value, 1.0)


def _measured(words: Words, facts: Mapping[str, object], *, resolved: bool) -> str:
    """The subject, its value, over which time, from how many, against which threshold: as much of it as is known."""
    value, worst, n, bad = (_number(facts.get(key)) for key in ("value", "worst", "n", "bad"))
    unit = _UNITS.get(str(facts.get("unit")), "")
    said = words.subject
    if isinstance(tool := facts.get("tool"), str):
        said += f" of {tool.removeprefix('tool.')}"
    if value and words.limit:
        said += f" {value}{unit}"
    if words.windowed and (window := span(facts.get("window_s"))):
        said += f" over {window}"
    if n and words.of:
        share = bad if words.windowed and unit == _UNITS["per_cent"] else ""
        said += f" ({f'{share} of ' if share else ''}{n} {words.of}{' sent' if share and _is_estimate(facts) else ''})"
    if resolved and words.limit and worst:
        said += f", at its worst {worst}{unit}"
    if words.limit and (threshold := _number(facts.get("threshold"))):
        said += f", {words.limit if not resolved else 'threshold'} {threshold}{unit}"
    return said


def _details(facts: Mapping[str, object]) -> tuple[tuple[str, str], ...]:
    since, at = _moment(facts.get("since")), _moment(facts.get("at"))
    named = {
        "Project": str(facts.get("project", "")),
        "Severity": str(facts.get("severity", "")),
        "Since": _shown(since),
        "At": _shown(at),
        "For": span((at - since).total_seconds()) if since and at and at > since else "",
        "Report": str(facts.get("report", "")),
        "Late": "traces that came late changed a window already judged" if facts.get("late") is True else "",
        "Flapping": "it changed often, and is held until it is calm for an hour" if facts.get("flapping") is True else "",
    }
    return tuple((name, value) for name, value in named.items() if value)


def span(seconds: object) -> str:
    """A length of time in its two largest units, such as ``1 h 30 min``; empty where there is none.

    Args:
        seconds: its length.
    """
    if not isinstance(seconds, int | float) or isinstance(seconds, bool) or seconds < 1:
        return ""
    left, said = int(seconds), []
    for size, unit in _SPANS:
        if left >= size:
            said.append(f"{left // size} {unit}")
            left %= size
    return " ".join(said[:2])


def _number(value: object) -> str:
    """Without needless zeros, to two places; empty for what is no number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return ""
    return str(value) if isinstance(value, int) else f"{value:.2f}".rstrip("0").rstrip(".")


def _moment(value: object) -> datetime | None:
    try:
        return datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:  # of the right form, and a day that no month has
        return None


def _shown(moment: datetime | None) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S UTC") if moment else ""


def _traces(ids: object) -> tuple[str, ...]:
    return tuple(str(one) for one in ids[:TRACES_MAX]) if isinstance(ids, list) else ()


def _cut(text: str) -> str:
    return text if len(text) <= TITLE_MAX else text[: TITLE_MAX - 1] + "…"
