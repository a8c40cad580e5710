"""The rehearsal of alerts: each rule is made to fire and to resolve, end to end, and a quiet day has to be silent.

Real are the traces (a tracer's records, cleared by a gate, in a local trace store), the reading of them, the evaluation, the state on
disk, the audit's log, the sinks and what they send. The clock is simulated; Slack, PagerDuty and the webhook are a stand-in on loopback.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from audit.alerts.rules import SHARES, Rule
from audit.binding import rules_digest
from audit.gates_base import ALERTS
from audit.rehearsal.alerts_causes import DAY, MINUTE, provoke, settle
from audit.rehearsal.alerts_receiver import Arrived, Receiver
from audit.rehearsal.alerts_stage import Stage
from audit.rehearsal.alerts_traffic import CallShape
from audit.rehearsal.serving import run_store
from phi_guard.errors import PolicyError
from phi_guard.policy import load_policy, shipped
from phi_guard.policy.compiled import Policy

SCHEMA: Final = "phi-audit.alerts-rehearsal/1"
LEEWAY_S: Final = 600
"""Seconds beyond what a rule asks for in which it must have fired."""
ENVIRONMENTS: Final = ("dev", "prod")
OPEN: Final = 1e12
"""A bar that nothing reaches."""
TRIES: Final = 6
"""Looks after the cause is gone in which it must have resolved."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsed:
    """What became of one rule.

    Args:
        name: the rule's.
        metric: what it watches.
        env: environment it was rehearsed in.
        fired: whether its message arrived once at each of its sinks, and nothing before there was a cause.
        resolved: likewise its end's, under the same key.
        message: as Slack would show it (or another of its sinks); empty where none arrived. Likewise ``resolved_message``.
        after_s: simulated seconds from the first bad trace to the message; None where none arrived.
        resolved_after_s: from the end of the cause to the message.
        problems: what went wrong, in words.
    """

    name: str
    metric: str
    env: str
    fired: bool = False
    resolved: bool = False
    message: str = ""
    resolved_message: str = ""
    after_s: float | None = None
    resolved_after_s: float | None = None
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertsRehearsal:
    """What became of all of them.

    Args:
        alerts: by rule, in the file's order.
        quiet_looks: looks at a day of ordinary traffic.
        quiet_calls: its calls.
        quiet_messages: titles of messages that arrived in it: false alarms.
        traces: sent in all.
        took_s: seconds by the real clock.
        started_at: when it began by the real clock, ISO 8601.
        policies: by environment, the digest of the policy's file.
        rules: by environment, the digest of the rules that are in force there.
    """

    alerts: tuple[Rehearsed, ...]
    quiet_looks: int
    quiet_calls: int
    quiet_messages: tuple[str, ...]
    traces: int
    took_s: float
    started_at: str = ""
    policies: Mapping[str, str] = field(default_factory=dict)
    rules: Mapping[str, str] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """Whether every rule fired and resolved, and the quiet day was silent."""
        return bool(self.alerts) and all(one.fired and one.resolved for one in self.alerts) and not self.quiet_messages


def rehearse_alerts(
    rules: Sequence[Rule], policy: Policy | None = None, *, on_rule: Callable[[Rehearsed], None] | None = None
) -> AlertsRehearsal:
    """Rehearse every rule, then a quiet day.

    Args:
        rules: as loaded; their silences are left out.
        policy: of the gates; None for the shipped one. It must name the tool that rehearsed calls use.
        on_rule: told of each rule when it is done.

    Raises:
        StoreError: the local trace store did not start.
        PhiGuardError: a trace was not cleared, or the store did not take it.
    """
    began, started = time.monotonic(), datetime.now(UTC)
    policy = policy or load_policy(shipped("clinic.yaml"), env="dev")
    told: list[Rehearsed] = []
    with ExitStack() as stack:
        place = Path(stack.enter_context(TemporaryDirectory(prefix="phi-audit-rehearsal-")))
        store = stack.enter_context(run_store(place / "store.sqlite3"))
        receiver = stack.enter_context(Receiver())
        traces = 0
        for number, rule in enumerate(rules):
            env = "dev" if "dev" in rule.environments else "prod"
            with Stage(place / f"rule-{number}", store, receiver, policy, [rule], env=env) as stage:
                told.append(_rehearse(rule, stage))
                traces += stage.traffic.traces
            if on_rule is not None:
                on_rule(told[-1])
        looks, calls, quiet = 0, 0, list[str]()
        for env in ("prod", *["dev"] * any("prod" not in rule.environments for rule in rules)):  # where each of them is judged
            with Stage(place / f"quiet-{env}", store, receiver, policy, rules, env=env) as stage:
                looked, called = _spend_a_quiet_day(stage)
                looks, calls = looks + looked, calls + called
                quiet += [one.title or f"{one.sink}: {one.state}" for one in stage.arrived]
                traces += stage.traffic.traces
    return AlertsRehearsal(
        alerts=tuple(told), quiet_looks=looks, quiet_calls=calls, quiet_messages=tuple(quiet), traces=traces,
        took_s=time.monotonic() - began, started_at=started.isoformat(timespec="seconds"), policies=_policies(policy),
        rules=_rules(rules),
    )  # fmt: skip


def _rules(rules: Sequence[Rule]) -> dict[str, str]:
    """The digest of the rules of each environment in which every alert that is asked for is in force: elsewhere nothing was rehearsed."""
    return {
        env: rules_digest(rules, env) for env in ENVIRONMENTS if set(ALERTS) <= {rule.name for rule in rules if env in rule.environments}
    }


def _policies(policy: Policy) -> dict[str, str]:
    """The digest of the policy in each environment that its file can be loaded for; the calls were cleared by the one that was given."""
    found = {policy.env: policy.digest} if policy.env else {}
    for env in ENVIRONMENTS:
        with suppress(PolicyError):
            found.setdefault(env, load_policy(policy.file, env=env).digest)
    return found


def opened(rule: Rule) -> Rule:
    """The rule with its bar so high that nothing reaches it: a rehearsal of it has to say that it did not fire."""
    return replace(rule, bar=100.0 if rule.metric in SHARES else OPEN, inclusive=False)


def evidence_of(rehearsal: AlertsRehearsal) -> dict[str, object]:
    """The evidence as JSON's own types; ``phi-audit scan --evidence`` reads it."""
    return {
        "schema": SCHEMA,
        "passed": rehearsal.passed,
        "alerts": [
            {
                "name": one.name, "metric": one.metric, "env": one.env, "fired": one.fired, "resolved": one.resolved,
                "message": one.message, "resolved_message": one.resolved_message, "after_s": one.after_s,
                "resolved_after_s": one.resolved_after_s, "problems": list(one.problems),
            }
            for one in rehearsal.alerts
        ],
        "quiet_day": {"looks": rehearsal.quiet_looks, "calls": rehearsal.quiet_calls, "messages": list(rehearsal.quiet_messages)},
        "traces": rehearsal.traces,
        "took_s": round(rehearsal.took_s, 3),
        "started_at": rehearsal.started_at,
        "policies": dict(rehearsal.policies),
        "rules": dict(rehearsal.rules),
    }  # fmt: skip


def render(rehearsal: AlertsRehearsal) -> str:
    """The evidence for a person, plain text: a line for each rule, then each message as it arrived."""
    width = max((len(one.name) for one in rehearsal.alerts), default=4)
    lines = [f"{'rule':<{width}}  fired  resolved  after"]
    for one in rehearsal.alerts:
        after = "-" if one.after_s is None else f"{one.after_s:.0f} s"
        lines.append(f"{one.name:<{width}}  {_word(one.fired):<5}  {_word(one.resolved):<8}  {after}")
    for one in rehearsal.alerts:
        lines += ["", *(one.message or f"{one.name}: no message arrived").splitlines()]
        lines += [one.resolved_message.partition("\n")[0]] if one.resolved_message else []
        lines += [f"- {one.name}: {problem}" for problem in one.problems]
    quiet = f"{len(rehearsal.quiet_messages)} messages" if rehearsal.quiet_messages else "silent"
    lines += ["", f"quiet day: {quiet} ({rehearsal.quiet_calls} calls, {rehearsal.quiet_looks} looks)"]
    lines += [f"- false alarm: {title}" for title in rehearsal.quiet_messages]
    verdict = "every rule fired and resolved" if rehearsal.passed else "NOT PASSED"
    lines.append(f"{rehearsal.traces} traces, {rehearsal.took_s:.1f} s: {verdict}")
    return "\n".join(lines) + "\n"


def _word(holds: bool) -> str:  # a word for a flag
    return "yes" if holds else "NO"


def _rehearse(rule: Rule, stage: Stage) -> Rehearsed:
    told = Rehearsed(name=rule.name, metric=rule.metric, env=stage.env)
    if not rule.sinks:
        return replace(told, problems=("it names no sink, so nobody would be told",))
    quiet = DAY - timedelta(seconds=rule.window_s + rule.grace_s + 3600) if rule.metric == "no_traces" else DAY - timedelta(minutes=10)
    stage.traffic.send([CallShape(end=quiet - n * MINUTE) for n in range(4)])
    stage.look(DAY)
    early = len(stage.arrived)
    provoke(rule, stage)
    now, latest = DAY + 5 * MINUTE, DAY + timedelta(seconds=rule.hold_s + rule.grace_s + LEEWAY_S + _patience(rule))
    while not (firing := _messages(stage, rule, "firing")) and now < latest:
        stage.look(now)
        now += MINUTE
    if not firing:
        return replace(told, problems=_distinct([*stage.problems, "no message arrived"]))
    fired_at = now - MINUTE
    told = replace(told, fired=not early and _is_whole(firing, rule, stage.env), message=_shown(firing))
    told = replace(told, after_s=(fired_at - DAY).total_seconds())
    gone = settle(rule, stage, fired_at)
    now = gone
    for _ in range(TRIES):
        stage.look(now)
        if resolved := _messages(stage, rule, "resolved"):
            same = {one.key for one in (*firing, *resolved) if one.key}
            whole = _is_whole(resolved, rule, stage.env) and len(same) <= 1
            seconds = (now - gone).total_seconds()
            told = replace(told, resolved=whole, resolved_message=_shown(resolved), resolved_after_s=seconds)
            break
        now += timedelta(seconds=max(60, rule.resolve_s + 1))
    problems = ["a message arrived before there was a cause"] if early else []
    return replace(told, problems=_distinct([*problems, *stage.problems]))


def _messages(stage: Stage, rule: Rule, state: str) -> list[Arrived]:
    """What arrived of that state; empty until each of the rule's sinks has some."""
    found = [one for one in stage.arrived if _state_of(one) == state]
    return found if {one.sink for one in found} == set(rule.sinks) else []


def _state_of(message: Arrived) -> str:
    if message.sink == "slack":
        words = message.title.partition("[REHEARSAL] ")[2]
        return "resolved" if words.startswith("Resolved: ") else "still_firing" if words.startswith("Still: ") else "firing"
    return {"trigger": "firing", "resolve": "resolved"}.get(message.state, message.state)


def _is_whole(messages: Sequence[Arrived], rule: Rule, env: str) -> bool:
    """Whether each sink got one, under the prefix of its environment."""
    titles = [one.title for one in messages if one.title]
    once = sorted(one.sink for one in messages) == sorted(rule.sinks)
    return once and all(title.startswith(f"[{env.upper()}][OBS] [REHEARSAL] ") for title in titles)


def _shown(messages: Sequence[Arrived]) -> str:
    return next((one.text for one in messages if one.text), "")


def _distinct(problems: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(problems))


def _patience(rule: Rule) -> float:
    return rule.bar / 1000 if rule.metric == "stale" and rule.bar < OPEN else 0.0


def _spend_a_quiet_day(stage: Stage) -> tuple[int, int]:
    """A day as most are: one call of ten fails, one is slow, one tool fails once, one span is lost. Looks and calls."""
    begin = DAY.replace(hour=0)
    calls = [
        CallShape(
            end=begin + timedelta(hours=8 + number), failed=number == 3, ttft_ms=3400.0 if number == 5 else 1100.0, tools=3,
            tool_failures=int(number == 6), dropped=int(number == 7),
        )
        for number in range(10)
    ]  # fmt: skip
    looks, now = 0, begin
    stage.traffic.send([CallShape(end=begin - timedelta(hours=9))])  # there is a project to be read
    left = list(calls)
    while now < begin + timedelta(days=1):
        now += timedelta(minutes=30)
        due = [call for call in left if call.end <= now]
        left = left[len(due) :]
        stage.traffic.send(due)
        stage.ran = sum(now - timedelta(minutes=70) <= call.end - MINUTE < now - timedelta(minutes=10) for call in calls)
        stage.look(now)
        looks += 1
    return looks, len(calls)
