"""A rehearsal: a relay of its own, real calls through it to the configured endpoint, and what was measured, as evidence."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from audit.crosscheck import OUTBOX
from audit.evidence import Canaries, Cost
from audit.rehearsal.canary import collect, follow
from audit.rehearsal.play import Played, play_calls
from audit.rehearsal.script import PlannedCall
from audit.rehearsal.timing import measure_overhead, summarise
from phi_guard.errors import PhiGuardError, PolicyError
from phi_guard.policy import load_policy, shipped
from phi_guard.switch import FileSwitch, default_path
from tracing.launch import RelayHandle, launch
from tracing.recorder import Recorder, Tally
from tracing.relay.intake import Answer
from tracing.settings import Settings, read_settings

SCHEMA: Final = "phi-audit.rehearsal/1"
OVERHEAD_N: Final = 2_000
RIVAL_N: Final = 400
CONTROL_CALLS: Final = 10
"""How many of the calls are also played without a tracer, for the event loop's lateness to be compared with."""
READY_S: Final = 180.0
READ_BACK_S: Final = 20.0
"""How long to wait until what was delivered can also be read."""
Say = Callable[[str], None]


class RehearsalError(PhiGuardError):
    """The rehearsal could not be held; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Spans:
    """The relay's ledger at the end: ``offered = delivered + withheld + pending + sum(dropped)``."""

    offered: int
    delivered: int
    withheld: int
    pending: int
    dropped: dict[str, int]
    adds_up: bool


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a rehearsal shows. Durations in microseconds unless a name says otherwise."""

    project: str
    endpoint: str
    env: str
    policy_digest: str
    started_at: str
    took_s: float
    calls: int
    calls_crashed: int
    trace_ids: list[str]
    tracer_faults: int
    unanswered_turns: int
    spans: Spans
    agent_side: Tally
    overhead_us: Cost
    idle_us: Cost
    langsmith_create_run_us: Cost
    in_call_record_us: Cost
    in_call_handler_us: Cost
    loop_lateness_us: dict[str, float]
    ttft_ms: list[float]
    ttft_error_ms: float | None
    canaries: Canaries | None
    relay_state: str
    relay_fault: str
    problems: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, object]:
        """The evidence as ``phi-audit scan --evidence`` reads it."""
        return {"schema": SCHEMA, "python": sys.version.split()[0], **asdict(self)}


def rehearse(
    calls: Sequence[PlannedCall],
    *,
    at_once: int,
    say: Say,
    project: str | None = None,
    env: str | None = None,
    policy: str | None = None,
    endpoint: str | None = None,
    api_key: str | None = None,
    runtime: Path | None = None,
    measure: bool = True,
    deliver_s: float = 60.0,
    keep_account: Path | None = None,
) -> Evidence:
    """Hold a rehearsal.

    Args:
        calls: what to play.
        at_once: calls at the same time.
        say: told what is going on, for a person.
        project: LangSmith project; else out of the environment.
        env: ``dev`` or ``prod``, likewise.
        policy: policy file, likewise.
        endpoint: LangSmith API, likewise.
        api_key: its key, likewise.
        runtime: directory for the rehearsal's own relay; a temporary one when not given.
        measure: whether to time recording beside its rival too, which takes about ten seconds.
        deliver_s: how long to wait after the calls for the endpoint to take everything.
        keep_account: directory for the relay's account and log, copied once it has stopped: what ``scan --account`` holds the traces
            against.

    Raises:
        RehearsalError: there is no relay to rehearse with, or its account cannot be kept.
    """
    with tempfile.TemporaryDirectory(prefix="phi-guard-") as directory:
        where = runtime or Path(directory)
        where.mkdir(mode=0o700, parents=True, exist_ok=True)
        settings = read_settings(runtime=where, state=where, project=project, env=env, policy=policy, endpoint=endpoint)
        switch = _switch(settings, say)
        settings = replace(settings, switch=switch)
        key = api_key or os.environ.get("LANGSMITH_API_KEY", "")
        relay = launch(settings, {**os.environ, "PHI_GUARD_SWITCH": str(switch), "LANGSMITH_API_KEY": key})
        try:
            say("the relay loads its models")
            if not relay.wait_ready(READY_S):
                msg = "the relay does not serve; name a directory with --keep-account and read relay.log there"
                raise RehearsalError(msg)
            evidence = _hold(
                calls,
                settings,
                relay,
                at_once=at_once,
                say=say,
                measure=measure,
                deliver_s=deliver_s,
                api_key=key,
            )
        finally:
            relay.stop()
            if keep_account is not None:
                _keep(settings, keep_account)
        return evidence


def _keep(settings: Settings, where: Path) -> None:
    """Copy the account of a relay that has stopped, and its log: for the owner alone, as they were.

    Raises:
        RehearsalError: they cannot be copied.
    """
    account, log = settings.state / OUTBOX, settings.runtime / "relay.log"
    try:
        where.mkdir(mode=0o700, parents=True, exist_ok=True)
        if log.is_file():
            _private(where / log.name)
            shutil.copyfile(log, where / log.name)
        if account.is_file():
            _private(where / OUTBOX)
            with closing(sqlite3.connect(account)) as held, closing(sqlite3.connect(where / OUTBOX)) as copy:
                held.backup(copy)
                copy.execute("PRAGMA journal_mode = DELETE")  # one file, which can be read from anywhere
    except (OSError, sqlite3.Error) as fault:
        msg = f"{where}: the relay's account cannot be kept there ({type(fault).__name__}); name a directory of your own with room"
        raise RehearsalError(msg) from None


def _private(path: Path) -> None:
    """An empty file that nobody else may read."""
    path.unlink(missing_ok=True)
    path.touch(mode=0o600, exist_ok=False)


def _switch(settings: Settings, say: Say) -> Path:
    """The switch in force, if someone has set it; else one of the rehearsal's own, on: synthetic calls harm nobody."""
    chosen = default_path()
    if chosen.exists():
        if not FileSwitch(chosen).state().on:
            say(f"the switch {chosen} is off: calls are played and nothing is sent")
        return chosen
    own = settings.runtime / "switch.json"
    FileSwitch(own).turn_on("rehearsal")
    return own


def _hold(
    calls: Sequence[PlannedCall],
    settings: Settings,
    relay: RelayHandle,
    *,
    at_once: int,
    say: Say,
    measure: bool,
    deliver_s: float,
    api_key: str,
) -> Evidence:
    started, began = datetime.now(UTC), time.monotonic()
    costs: dict[str, list[int]] = {"record": [], "handler": []}
    control = None
    if measure:
        say("the first calls without a tracer, to compare with")
        control = asyncio.run(play_calls(calls[:CONTROL_CALLS], None, at_once=at_once))
    recorder = Recorder(settings.address)
    try:
        say(f"{len(calls)} calls")
        played = asyncio.run(play_calls(calls, recorder, at_once=at_once, probe=lambda name, ns: costs[name].append(ns)))
        say("the rest is delivered")
        recorder.drain(deliver_s)
        answer = _settled(relay, deliver_s)
        tally = recorder.tally()
        canaries = _follow(calls, played, answer, settings, api_key=api_key, since=started)
    finally:
        recorder.close()
    none = Cost(0.0, 0.0, 0.0, 0)
    idle = record = rival = none
    if measure:
        say("recording is timed beside its rival")
        overhead = asyncio.run(measure_overhead(OVERHEAD_N, RIVAL_N))
        idle, record, rival = overhead.idle, overhead.record, overhead.langsmith
    return Evidence(
        project=settings.project,
        endpoint=settings.endpoint,
        env=settings.env,
        policy_digest=answer.policy if answer else "",
        started_at=started.isoformat(timespec="seconds"),
        took_s=round(time.monotonic() - began, 3),
        calls=len(calls),
        calls_crashed=sum(bool(call.crashed) for call in played.calls),
        trace_ids=[call.trace_id for call in played.calls],
        tracer_faults=sum(call.tracer_faults for call in played.calls),
        unanswered_turns=sum(call.unanswered for call in played.calls),
        spans=_spans(answer, tally),
        agent_side=tally,
        overhead_us=record,
        idle_us=idle,
        langsmith_create_run_us=rival,
        in_call_record_us=summarise(costs["record"]),
        in_call_handler_us=summarise(costs["handler"]),
        loop_lateness_us=_lateness(played, control),
        ttft_ms=[value for call in played.calls for value in call.ttft_ms],
        ttft_error_ms=max((call.ttft_error_ms for call in played.calls if call.ttft_error_ms is not None), default=None),
        canaries=canaries,
        relay_state=answer.state if answer else "silent",
        relay_fault=answer.fault if answer else "",
        problems=_problems(played, answer, tally, canaries),
    )


def _lateness(played: Played, control: Played | None) -> dict[str, float]:
    """How late the loop's ticks came with the tracer, without it, and with nothing to do at all."""
    late: dict[str, float] = {"p50": played.busy.p50, "p99": played.busy.p99, "max": played.busy.max, "n": played.busy.n}
    if control is not None:
        untraced, idle = control.busy, control.idle
        late |= {"untraced_p50": untraced.p50, "untraced_p99": untraced.p99, "untraced_max": untraced.max, "untraced_n": untraced.n}
        late |= {"idle_p99": idle.p99, "idle_max": idle.max}
    return late


def _follow(
    calls: Sequence[PlannedCall], played: Played, answer: Answer | None, settings: Settings, *, api_key: str, since: datetime
) -> Canaries | None:
    """What became of the canaries; None when not everything has arrived, or the policy that would name them cannot be read."""
    if answer is None or answer.ledger.pending or not answer.ledger.delivered:
        return None
    try:
        policy = load_policy(settings.policy or shipped("clinic.yaml"), env=settings.env)
    except PolicyError:
        return None
    traces = [call.trace_id for call in played.calls]
    return follow(collect(calls, policy), traces, settings, api_key=api_key, since=since, seconds=READ_BACK_S)


def _settled(relay: RelayHandle, seconds: float) -> Answer | None:
    """The relay's account once nothing is pending, or as it is when time is up or nothing can change it."""
    end = time.monotonic() + seconds
    answer = relay.ask()
    while time.monotonic() < end and answer is not None and answer.ledger.pending and not answer.state.startswith("off"):
        if answer.state.startswith("halted"):
            break
        time.sleep(0.1)
        answer = relay.ask() or answer
    return answer


def _spans(answer: Answer | None, tally: Tally) -> Spans:
    if answer is None:
        return Spans(tally.offered, 0, 0, tally.offered - sum(tally.dropped.values()), dict(tally.dropped), adds_up=False)
    ledger = answer.ledger
    # The agent counts for itself what it offered; the relay's books must say the same.
    agree = ledger.adds_up and ledger.offered == tally.offered
    waiting = ledger.pending + ledger.quarantined
    return Spans(ledger.offered, ledger.delivered, ledger.withheld, waiting, dict(ledger.dropped), adds_up=agree)


def _problems(played: Played, answer: Answer | None, tally: Tally, canaries: Canaries | None) -> list[str]:
    """What a person should know before believing the rest."""
    problems = [f"a call ended with {call.crashed}" for call in played.calls if call.crashed]
    if canaries is not None and canaries.arrived:
        problems.append(f"{canaries.arrived} canaries arrived in clear")
    if answer is None:
        return [*problems, "the relay no longer answers"]
    if answer.fault:
        problems.append(f"the gate withholds every content: {answer.fault}")
    if answer.ledger.pending:
        problems.append(f"{answer.ledger.pending} operations were not delivered in time; the shipper is {answer.state}")
    if answer.ledger.quarantined:
        problems.append(f"{answer.ledger.quarantined} operations were quarantined, since the switch went off")
    if answer.ledger.dropped:
        problems.append("dropped: " + ", ".join(f"{n} {reason}" for reason, n in sorted(answer.ledger.dropped.items())))
    if not answer.ledger.adds_up or answer.ledger.offered != tally.offered:
        problems.append("the ledger does not add up")
    return problems
