"""Whether evidence is of what it is to prove: the same environment and policy, not too old, brought to its end. Pure.

A file of evidence is good by itself and may be of something else: another policy, another environment, a watch of another project. What is
not of the subject proves nothing and fails nothing; what is of it, and was not brought to its end, can fail and not prove.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from audit.evidence import Alerts, Monitoring, Rehearsal

if TYPE_CHECKING:
    from audit.alerts.rules import Rule

OLDEST: Final = timedelta(days=30)
"""How old a rehearsal may be. The plan (requirements, section 13) has it in the week before go-live; a month leaves room for a delay.
After that, agent, libraries and the model's deployment are no longer those that were rehearsed."""
CLOCKS: Final = timedelta(minutes=5)
"""How far the clocks of two machines may be apart."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What is judged.

    Args:
        project: its name; empty for a file without one.
        env: the environment whose part of the policy is in force.
        policy_digest: of the policy it is judged by.
        at: when it is judged, ISO 8601 with a time zone.
        gates_digest: of the bars it is judged by (`audit.gates_base.gates_digest`).
    """

    project: str = ""
    env: str = ""
    policy_digest: str = ""
    at: str = ""
    gates_digest: str = ""


def foreign_rehearsal(held: Rehearsal, subject: Subject) -> tuple[str, ...]:
    """Why a rehearsal is not of the subject, in words; none where it is. Its project may be another."""
    return tuple(_foreign_rehearsal(held, subject))


def _foreign_rehearsal(held: Rehearsal, subject: Subject) -> Iterator[str]:
    again = f"run `phi-audit rehearse{f' --env {subject.env}' if subject.env else ''}` again"
    if not held.env or not held.policy_digest:
        yield f"the rehearsal does not say for which environment and under which policy it was held; {again}"
    elif held.env != subject.env:
        yield f"the rehearsal was held for {held.env}, and {subject.env or 'no environment'} is judged; {again}"
    elif held.policy_digest != subject.policy_digest:
        yield f"the rehearsal was held under another policy than the one it is to prove; {again} with the same policy"
    yield from _time(held.started_at, subject.at, "the rehearsal", again)


def broken_rehearsal(held: Rehearsal) -> tuple[str, ...]:
    """Why a rehearsal cannot prove though it is of the subject, in words."""
    return tuple(_broken_rehearsal(held))


def _broken_rehearsal(held: Rehearsal) -> Iterator[str]:
    if held.interrupted is None:
        yield "the rehearsal does not say whether it came to its end; run `phi-audit rehearse` again"
    elif held.interrupted:
        yield "the rehearsal was interrupted; run `phi-audit rehearse` again"
    if held.spans is None or held.spans.adds_up is None:
        yield "the rehearsal does not say whether the relay's ledger added up; run `phi-audit rehearse` again"
    elif not held.spans.adds_up:
        yield "the relay's ledger did not add up in the rehearsal; look at what it says of spans, and run `phi-audit rehearse` again"


def elsewhere(held: Rehearsal, subject: Subject) -> str:
    """That a rehearsal sent to another project, in words; empty where it did not."""
    if not held.project or held.project == subject.project:
        return ""
    return f"; rehearsed in the project {held.project}, under the same policy and environment"


def foreign_alerts(held: Alerts, subject: Subject) -> tuple[str, ...]:
    """As `foreign_rehearsal`, of the rehearsal of alerts."""
    return tuple(_foreign_alerts(held, subject))


def _foreign_alerts(held: Alerts, subject: Subject) -> Iterator[str]:
    again = "run `phi-audit alerts rehearse` again"
    policy = held.policies.get(subject.env, "")
    if not policy or not held.rules.get(subject.env):
        env = subject.env or "no environment"
        yield f"the rehearsal of the alerts does not say with which policy and rules of {env} it was held; {again}"
    elif policy != subject.policy_digest:
        yield f"the alerts were rehearsed with another policy than the one that is judged by; {again} with the same policy"
    yield from _time(held.started_at, subject.at, "the rehearsal of the alerts", again)


def foreign_monitoring(held: Monitoring, subject: Subject) -> tuple[str, ...]:
    """Why a watch is not of the subject, in words; none where it is."""
    again = "run `phi-audit watch` of what is judged, and give its monitoring.json"
    if not held.project or not held.env or not held.policy_digest:
        return (f"the watch's file does not say what was watched under which policy; {again}",)
    mine = {"project": (held.project, subject.project), "environment": (held.env, subject.env)}
    other = [what for what, (has, must) in mine.items() if has != must]
    other += ["policy"] * (held.policy_digest != subject.policy_digest)
    if other:
        return (f"it was watched for another {' and '.join(other)} than is judged; {again}",)
    if held.gates_digest != subject.gates_digest:
        return (f"it was watched with other gates than are judged by; {again}, with the same gates",)
    return tuple(_time(held.ended_at, subject.at, "the watch", again))


def broken_monitoring(held: Monitoring) -> tuple[str, ...]:
    """Why a watch cannot prove though it is of the subject, in words."""
    return tuple(_broken_monitoring(held))


def _broken_monitoring(held: Monitoring) -> Iterator[str]:
    if not held.outcome:
        yield "the watch's file does not say how it ended; run `phi-audit watch` again"
    elif held.outcome == "UNPROVEN":
        yield "the watch itself ended UNPROVEN; its watch.md says why; mend that, and run `phi-audit watch` again"
    if not held.vouched:
        log = "the audit's log here does not hold the journal of this watch with these figures"
        yield f"{log}; judge it where it was watched (PHI_AUDIT_DIR), with the file as it was written, or run `phi-audit watch` again"


def unjudged(held: Monitoring, needed: Iterable[str]) -> tuple[str, ...]:
    """Rules of those that are needed, which no round of the watch could judge."""
    return tuple(name for name in needed if name not in held.judged)


def other_rules(held: Monitoring, alerts: Alerts | None) -> bool:
    """Whether the alerts were rehearsed with other rules than were watched; False where there is no rehearsal to compare with."""
    return alerts is not None and alerts.rules.get(held.env, "") not in {"", held.rules_digest}


def rules_digest(rules: Iterable[Rule], env: str) -> str:
    """SHA-256 over the rules that are in force in an environment, by name; silences, which change nothing of what is judged, left out."""
    here = [asdict(rule) for rule in sorted(rules, key=lambda rule: rule.name) if env in rule.environments]
    for row in here:
        row.pop("silences")
        row["environments"] = sorted(row["environments"])
    return hashlib.sha256(json.dumps(here, sort_keys=True).encode()).hexdigest()


def figures_digest(held: Monitoring) -> str:
    """SHA-256 over all that a watch's evidence says, but whether it is vouched for: the same whether it was made or read."""
    facts = {name: _whole(value) for name, value in asdict(held).items() if name != "vouched"}
    return hashlib.sha256(json.dumps(facts, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _whole(value: object) -> object:
    """A number without a fraction as a whole one, since JSON knows no other difference."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _time(began: str, judged: str, what: str, again: str) -> Iterator[str]:
    at, now = moment_of(began), moment_of(judged)
    if at is None:
        yield f"{what} does not say when it was held; {again}"
    elif now is None or at > now + CLOCKS:
        yield f"{what} was held after the moment of this judgement; check the clocks, and {again}"
    elif now - at > OLDEST:
        yield f"{what} is {(now - at).days} days old, at most {OLDEST.days} are allowed; {again}"


def moment_of(text: str) -> datetime | None:
    """The moment that a text says; None where it says none, or none with a time zone."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else None
