"""The controls: redaction by field, the switch, the audit's own log, and findings that somebody answers for. Raises nothing for a file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Final

from audit import chain
from audit.baseline import Accepted
from audit.baseline_file import read as read_baseline
from audit.dashboard.views.parts import Panel, State, ago
from audit.moments import instant
from audit.report import Report, charts
from audit.report.content import Table
from audit.report.parts import counted
from phi_guard.errors import PhiGuardError
from phi_guard.policy.compiled import Policy
from phi_guard.switch import SwitchState

UNKNOWN: Final = "unknown"
"""Under this name redactions of fields are counted that nobody named."""
SOON: Final = timedelta(days=14)
"""An accepted finding that ends within this is to be looked at again."""
_SHOWN: Final = 20
_ROWS_MAX: Final = 200
_CHECK_LOG: Final = "phi-audit log verify"


def coverage(counts: Mapping[str, int], policy: Policy | None) -> Panel:
    """How often each field was redacted, and which of the policy's fields never were.

    Args:
        counts: by field, as the traces' policy.guardrail reports; only names out of the policy, and `UNKNOWN`.
        policy: None where it could not be loaded; then only the counts are shown.
    """
    title = "Redaction by field"
    listed = dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
    chart = charts.bars(dict(list(listed.items())[:_SHOWN]), title="Redactions by field") if any(listed.values()) else None
    words = ["How often the policy redacted each field, as the calls' policy.guardrail reports."]
    if not listed:
        words.append("No call of this choice reports a redaction.")
    if policy is None:
        words.append("The policy could not be loaded, so what it does with each field is not shown.")
        rows = tuple((name, "–", f"{n:,}") for name, n in listed.items())
        return Panel("coverage", title, "unknown", tuple(words), "phi-audit policy lint POLICY", chart, _fields(rows))
    never = [name for name, rule in sorted(policy.fields.items()) if rule.action != "keep" and not listed.get(name)]
    rows = tuple(
        [(name, policy.fields[name].action if name in policy.fields else policy.default.action, f"{n:,}") for name, n in listed.items()]
        + [(name, policy.fields[name].action, "0") for name in never]
    )
    guarded = sum(rule.action != "keep" for rule in policy.fields.values())
    seen = guarded - len(never)
    words.append(f"{seen} of {counted(guarded, 'field')} that the policy does not keep were redacted at least once.")
    if never:
        words.append("Of the others these calls show nothing: either nobody sent them, or none of their values needed it.")
    state: State = "good" if listed else "unknown"
    do = ""
    if listed.get(UNKNOWN):
        state, do = "watch", "phi-audit policy suggest --help"
        words.append(f"{counted(listed[UNKNOWN], 'redaction')} of fields nobody named: they are redacted whole; name them in the policy.")
    return Panel("coverage", title, state, tuple(words), do, chart, _fields(rows))


def switch_panel(switch: Callable[[], SwitchState] | None, now: datetime) -> Panel:
    """Where telemetry's switch stands."""
    title = "Telemetry's switch"
    status = "phi-audit switch status"
    if switch is None:
        return Panel("switch", title, words=("Where the switch stands is not known here.",), do=status)
    try:
        state = switch()
    except (PhiGuardError, OSError, ValueError):
        return Panel("switch", title, "bad", ("The switch cannot be asked, which counts as off: nothing is sent.",), status)
    since = instant(state.at)
    when = f"since {state.at} ({ago(since, now)})" if since is not None else "since a time its file does not say"
    rows = [("State", "on" if state.on else "off"), ("Since", state.at or "–"), ("Reason", state.reason or "–")]
    rows += [("Held for", state.hold)] * bool(state.hold) + [("Released by report", state.release)] * bool(state.release)
    table = Table("The switch", ("", ""), tuple(rows))
    if state.on:
        return Panel("switch", title, "good", (f"On {when}: what the gate clears is sent.",), table=table)
    if state.hold:
        words = (f"Off {when}, and held ({state.hold}): nothing is sent. It goes on again only with a verified report made after that.",)
        return Panel("switch", title, "bad", words, "phi-audit switch on --reason REASON --report signed.json", table=table)
    words = (f"Off {when}: nothing is sent, and calls go on without telemetry.",)
    return Panel("switch", title, "watch", words, "phi-audit switch on --reason REASON", table=table)


def log_panel(directory: Path | None, anchor: Path | None = None) -> Panel:
    """Whether the audit's own log holds."""
    title = "The audit's own log"
    if directory is None or not (directory / chain.LOG).exists():
        gone = directory is not None and (directory / chain.HEAD).exists()
        if gone:
            return Panel("log", title, "bad", ("The log's head is there and the log is not: it was taken away.",), _CHECK_LOG)
        return Panel("log", title, words=("There is no log yet: the first scan begins it.",), do="phi-audit scan --help")
    try:
        verdict = _checked(directory, anchor, _change(directory / chain.LOG), _change(directory / chain.HEAD), _change(anchor))
    except (PhiGuardError, OSError) as fault:
        why = str(fault) if isinstance(fault, PhiGuardError) else f"it cannot be read ({fault.strerror})"
        return Panel("log", title, "bad", (f"The log cannot be checked: {why}.",), _CHECK_LOG)
    rows = (("Entries", f"{verdict.entries:,}"), ("Head", f"{verdict.head.n} {verdict.head.sha256}"))
    table = Table("The chain", ("", ""), rows)
    if not verdict.holds:
        return Panel(
            "log", title, "bad", ("The chain does not hold.", *(f"{fault}." for fault in verdict.faults[:5])), _CHECK_LOG, table=table
        )
    kept = f"a copy of its heads, kept elsewhere, names entry {verdict.anchored}" if verdict.anchored >= 0 else ""
    words = f"The chain holds: {verdict.entries:,} {'entry' if verdict.entries == 1 else 'entries'}" + (f", and {kept}." if kept else ".")
    if kept:
        return Panel("log", title, "good", (words,), table=table)
    bare = "No copy of its heads is kept elsewhere (PHI_AUDIT_ANCHOR), so that who may write here could have begun it anew."
    return Panel("log", title, "good", (words, bare), table=table)


def accepted(baseline: Path | None, report: Report | None, now: datetime) -> Panel:
    """Findings that somebody has looked at and answers for, and until when."""
    title = "Accepted findings"
    show = "phi-audit baseline show"
    entries: tuple[Accepted, ...] = ()
    if baseline is not None:
        try:
            entries = read_baseline(baseline)
        except (PhiGuardError, OSError) as fault:
            why = str(fault).splitlines()[0] if isinstance(fault, PhiGuardError) else f"cannot be read ({fault.strerror})"
            return Panel("accepted", title, "bad", (f"The baseline cannot be read: {why}",), show)
    elif report is not None:
        entries = (*report.expired, *report.accepted)
    else:
        return Panel(
            "accepted", title, words=("Neither a baseline nor a report was named, so nothing is known of accepted findings.",), do=show
        )
    if not entries:
        return Panel("accepted", title, "good", ("None: every finding counts.",))
    today = now.date()
    held = [(entry, _standing(entry, now)) for entry in sorted(entries, key=lambda entry: (entry.expires, entry.path, entry.fingerprint))]
    over, soon = (sum(state == word for _, state in held) for word in ("expired", "ends soon"))
    words = [f"{counted(len(held), 'finding')} accepted: somebody looked and answers for each. One whose day has passed counts again."]
    if over:
        words.append(f"{over} expired before {today.isoformat()}: look again.")
    if soon:
        words.append(f"{soon} end within {SOON.days} days.")
    rows = tuple(
        (state, entry.fingerprint, f"{entry.entity} {entry.path}", entry.reason, entry.owner, f"{entry.accepted} to {entry.expires}")
        for entry, state in held[:_ROWS_MAX]
    )
    columns = ("!State", "Fingerprint", "Class and place", "Reason", "Owner", "Holds")
    table = Table("Accepted; equal fingerprints mean equal values", columns, rows)
    return Panel("accepted", title, "watch" if over or soon else "good", tuple(words), show if over or soon else "", table=table)


def _standing(entry: Accepted, now: datetime) -> str:
    if not entry.holds_on(now.date()):
        return "expired"
    return "holds" if entry.holds_on((now + SOON).date()) else "ends soon"


def _fields(rows: tuple[tuple[str, ...], ...]) -> Table | None:
    return Table("Fields", ("Field", "The policy's action", "#Redactions"), rows[:_ROWS_MAX]) if rows else None


def _change(path: Path | None) -> tuple[int, int]:
    """What changes when a file does."""
    try:
        stat = path.stat() if path is not None else None
    except OSError:
        stat = None
    return (stat.st_mtime_ns, stat.st_size) if stat is not None else (0, 0)


@lru_cache(maxsize=4)
def _checked(directory: Path, anchor: Path | None, *_changes: tuple[int, int]) -> chain.Verdict:
    """A check of the whole log, made anew where one of its files has changed."""
    return chain.verify(directory, anchor)
