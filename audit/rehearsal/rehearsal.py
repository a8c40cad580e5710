"""A rehearsal: a relay of its own, real calls through it to the configured endpoint, and what was measured, as evidence."""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from array import array
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from audit.evidence import Cost, Fault, Load
from audit.rehearsal import problems
from audit.rehearsal.account import RehearsalError
from audit.rehearsal.account import keep_account as keep
from audit.rehearsal.look_back import Found, look_back
from audit.rehearsal.measured import Evidence, Spans, spread
from audit.rehearsal.memory import Beat, MemorySeries
from audit.rehearsal.play import Played, Progress, play_calls
from audit.rehearsal.rooms import RoomMedia, Rooms
from audit.rehearsal.script import PlannedCall
from audit.rehearsal.serving import ended_with_us
from audit.rehearsal.stall import Stall
from audit.rehearsal.timing import Overhead, measure_overhead, summarise
from phi_guard.switch import FileSwitch, open_switch, where_switch_is
from tracing.launch import RelayHandle, launch
from tracing.recorder import Recorder, Tally
from tracing.relay.intake import Answer
from tracing.settings import Settings, read_settings

__all__ = ["Evidence", "Interrupted", "RehearsalError", "rehearse"]

OVERHEAD_N: Final = 2_000
RIVAL_N: Final = 400
CONTROL_CALLS: Final = 10
"""How many of the calls are also played without a tracer, for the event loop's lateness to be compared with."""
CONTROL_S: Final = 60.0
"""How much of each of them, in seconds: a load test need not take twice its time for a distribution that a minute shows."""
READY_S: Final = 180.0
HURRY_S: Final = 3.0
"""How long the relay may still deliver once somebody has said to stop."""
Say = Callable[[str], None]


class Interrupted(KeyboardInterrupt):
    """Somebody ended the rehearsal; what was measured until then is kept."""

    def __init__(self, evidence: Evidence) -> None:
        self.evidence = evidence
        super().__init__()


@dataclass(frozen=True, slots=True)
class _Order:
    """What was asked for."""

    calls: Sequence[PlannedCall]
    settings: Settings
    at_once: int
    say: Say
    measure: bool
    deliver_s: float
    api_key: str
    rooms: int


@dataclass(slots=True)
class _Costs:
    """What each operation of the tracer cost inside the calls, nanoseconds; eight bytes each, since the agent's memory is watched."""

    record: array[int] = field(default_factory=lambda: array("q"))
    handler: array[int] = field(default_factory=lambda: array("q"))

    def probe(self, name: str, ns: int) -> None:
        """As `tracing.livekit_agent.Probe`."""
        (self.record if name == "record" else self.handler).append(ns)


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
    rooms: int = 0,
    own_switch: bool = False,
) -> Evidence:
    """Hold a rehearsal.

    Args:
        calls: what to play.
        at_once: calls at the same time.
        say: told what is going on, for a person, from any thread.
        project: LangSmith project; else out of the environment.
        env: ``dev`` or ``prod``, likewise.
        policy: policy file, likewise.
        endpoint: LangSmith API, likewise.
        api_key: its key, likewise.
        runtime: directory for the rehearsal's own relay; a temporary one when not given.
        measure: whether to play a control without a tracer, a minute of it at most, and to time recording beside its rival, which takes
            about ten seconds.
        deliver_s: how long to wait after the calls for the endpoint to take everything.
        keep_account: directory for the relay's account and log, copied once it has stopped: what ``scan --account`` holds the traces
            against.
        rooms: how many pairs of real rooms stand beside the calls, for statistics of media.
        own_switch: whether it has a switch of its own, on, whatever the one in force says: for an endpoint of its own.

    Raises:
        RehearsalError: there is no relay to rehearse with, or its account cannot be kept.
        RoomsError: the rooms cannot be joined.
        Interrupted: somebody ended it (SIGINT) once the calls had begun.
    """
    with tempfile.TemporaryDirectory(prefix="phi-guard-") as directory:
        where = runtime or Path(directory)
        where.mkdir(mode=0o700, parents=True, exist_ok=True)
        settings = read_settings(runtime=where, state=where, project=project, env=env, policy=policy, endpoint=endpoint)
        switch = _switch(settings, say, own_switch=own_switch)
        settings = replace(settings, switch=switch)
        key = api_key or os.environ.get("LANGSMITH_API_KEY", "")
        order = _Order(calls, settings, at_once, say, measure, deliver_s, key, rooms)
        # Every call must arrive to be looked at, so none is sampled out, whatever production does.
        own = {"PHI_GUARD_SWITCH": str(switch), "LANGSMITH_API_KEY": key, "PHI_GUARD_SAMPLING_RATE": "1"}
        relay = launch(settings, {**os.environ, **own})
        try:
            with ended_with_us(relay.process):
                say("the relay loads its models")
                if not relay.wait_ready(READY_S):
                    msg = "the relay does not serve; name a directory with --keep-account and read relay.log there"
                    raise RehearsalError(msg)
                with Rooms(rooms) if rooms else nullcontext() as joined:
                    evidence = _hold(order, relay, joined)
        finally:
            relay.stop()
            if keep_account is not None:
                keep(settings, keep_account)
        if evidence.interrupted:
            raise Interrupted(evidence)
        return evidence


def _switch(settings: Settings, say: Say, *, own_switch: bool = False) -> Path | str:
    """The switch in force, if someone has set it; else one of the rehearsal's own, on: synthetic calls harm nobody.

    One that is kept on a server is in force by being named: it is the one that a NO-GO turns off, so it is the one to heed.
    """
    chosen = open_switch()
    if own_switch or (isinstance(chosen, FileSwitch) and not chosen.path.exists()):
        own = settings.runtime / "switch.json"
        FileSwitch(own).turn_on("rehearsal")
        return own
    if not chosen.state().on:
        say(
            f"the switch {chosen.place} is off: calls are played and nothing is sent; to rehearse meanwhile, into a project of its own, set"
            f" PHI_GUARD_SWITCH to a file that is not there yet"
        )
    return chosen.path if isinstance(chosen, FileSwitch) else where_switch_is(os.environ["PHI_GUARD_SWITCH"])


def _hold(order: _Order, relay: RelayHandle, rooms: Rooms | None) -> Evidence:
    started, began = datetime.now(UTC), time.monotonic()
    control, untraced_s = _control(order, rooms) if order.measure else (None, 0.0)
    costs = _Costs()
    recorder = Recorder(order.settings.address)
    pids = {"agent": os.getpid()} | ({"relay": relay.process.pid} if relay.process else {})
    progress = Progress()
    try:
        order.say(f"{len(order.calls)} calls")
        stall = Stall(relay, order.calls, progress, lambda: recorder.tally().offered)
        with Beat(pids, lambda at: order.say(progress.told(at))) as beat, stall:
            played, media = asyncio.run(_play(order.calls, recorder, order.at_once, rooms, costs=costs, progress=progress))
        memory = beat.told()
        interrupted = played.interrupted
        try:
            order.say("what there is is delivered" if interrupted else "the rest is delivered")
            found = look_back(
                order.calls, played, order.settings, relay, recorder, deliver_s=HURRY_S if interrupted else order.deliver_s,
                api_key=order.api_key, since=started, say=order.say,
            )  # fmt: skip
        except KeyboardInterrupt:
            interrupted = True
            found = Found(relay.ask(), recorder.tally())
    finally:
        recorder.close()
    none = Cost(0.0, 0.0, 0.0, 0)
    overhead = Overhead(none, none, none)
    if order.measure and not interrupted:
        order.say("recording is timed beside its rival")
        try:
            overhead = asyncio.run(measure_overhead(OVERHEAD_N, RIVAL_N))
        except KeyboardInterrupt:
            interrupted = True
    return _tell(order, played, control, found, costs=costs, overhead=overhead, memory=memory, media=media, started=started,
                 faults=stall.told(), took_s=time.monotonic() - began, untraced_s=untraced_s, interrupted=interrupted)  # fmt: skip


def _control(order: _Order, rooms: Rooms | None) -> tuple[Played, float]:
    """The first calls' first minute without a tracer, beside the same rooms. Raises `KeyboardInterrupt` where it was ended."""
    order.say(f"the first calls without a tracer, to compare with: {CONTROL_S:.0f} s at most of each")
    calls = [_beginning(call) for call in order.calls[:CONTROL_CALLS]]
    began = time.monotonic()
    played, _ = asyncio.run(_play(calls, None, order.at_once, rooms))
    if played.interrupted:
        raise KeyboardInterrupt
    return played, time.monotonic() - began


def _beginning(call: PlannedCall) -> PlannedCall:
    """The call's turns up to `CONTROL_S`; at least one."""
    turns, lasts = list(call.turns[:1]), call.turns[0].lasts_ms
    for turn in call.turns[1:]:
        lasts += turn.lasts_ms
        if lasts > CONTROL_S * 1000:
            break
        turns.append(turn)
    return replace(call, turns=tuple(turns))


async def _play(
    calls: Sequence[PlannedCall],
    recorder: Recorder | None,
    at_once: int,
    rooms: Rooms | None,
    *,
    costs: _Costs | None = None,
    progress: Progress | None = None,
) -> tuple[Played, list[RoomMedia]]:
    """The calls, and beside them the rooms, on one loop."""
    probe = None if costs is None else costs.probe
    if rooms is None:
        return await play_calls(calls, recorder, at_once=at_once, probe=probe, progress=progress), []
    joined = await rooms.join()
    try:
        played = await play_calls(calls, recorder, at_once=at_once, probe=probe, progress=progress)
    finally:
        media = await rooms.leave(joined)
    return played, media


def _tell(
    order: _Order,
    played: Played,
    control: Played | None,
    found: Found,
    *,
    costs: _Costs,
    overhead: Overhead,
    memory: Mapping[str, MemorySeries],
    media: list[RoomMedia],
    faults: list[Fault],
    started: datetime,
    took_s: float,
    untraced_s: float,
    interrupted: bool,
) -> Evidence:
    answer, tally, settings = found.answer, found.tally, order.settings
    calls = played.calls
    planned = order.calls[: len(calls)]
    errors = [error for call in calls for error in call.ttft_errors_ms]
    told = [
        *problems.of_calls(calls),
        *problems.of_delivery(answer, tally),
        *problems.of_arrival(
            delivered=bool(answer and answer.ledger.delivered), completeness=found.completeness, arrival=found.arrival,
            canaries=found.canaries,
        ),
    ]  # fmt: skip
    return Evidence(
        project=settings.project,
        endpoint=settings.endpoint,
        env=settings.env,
        policy_digest=answer.policy if answer else "",
        started_at=started.isoformat(timespec="seconds"),
        took_s=round(took_s, 3),
        calls=len(calls),
        calls_crashed=sum(bool(call.crashed) for call in calls),
        trace_ids=[call.trace_id for call in calls],
        tracer_faults=sum(call.tracer_faults for call in calls),
        unanswered_turns=sum(call.unanswered for call in calls),
        spans=_spans(answer, tally),
        agent_side=tally,
        overhead_us=overhead.record,
        idle_us=overhead.idle,
        langsmith_create_run_us=overhead.langsmith,
        in_call_record_us=summarise(costs.record),
        in_call_handler_us=summarise(costs.handler),
        loop_lateness_us=_lateness(played, control),
        ttft_ms=[value for call in calls for value in call.ttft_ms],
        ttft_error_ms=round(max(errors), 3) if errors else None,
        ttft_errors=spread(errors),
        ttft_unpaired=sum(call.ttft_unpaired for call in calls),
        canaries=found.canaries,
        relay_state=answer.state if answer else "silent",
        relay_fault=answer.fault if answer else "",
        problems=[*told, *(["it was ended before all calls had"] if interrupted else [])],
        untraced_s=round(untraced_s, 1),
        load=_load(played),
        completeness=found.completeness,
        arrival=found.arrival,
        memory=memory,
        scenes=dict(sorted(Counter(scene for call in planned for scene in call.scenes).items())),
        languages=dict(sorted(Counter(call.language for call in planned if call.language).items())),
        media=media,
        interrupted=interrupted,
        faults=faults,
    )


def _load(played: Played) -> Load | None:
    """How much went on at once; None where no call was placed."""
    if not played.calls:
        return None
    return Load(played.at_once, round(min(call.lasted_s for call in played.calls) / 60, 3))


def _lateness(played: Played, control: Played | None) -> dict[str, float]:
    """How late the loop's ticks came with the tracer, without it, and with nothing to do at all."""
    late: dict[str, float] = {"p50": played.busy.p50, "p99": played.busy.p99, "max": played.busy.max, "n": played.busy.n}
    if control is not None:
        untraced, idle = control.busy, control.idle
        late |= {"untraced_p50": untraced.p50, "untraced_p99": untraced.p99, "untraced_max": untraced.max, "untraced_n": untraced.n}
        late |= {"idle_p99": idle.p99, "idle_max": idle.max}
    return late


def _spans(answer: Answer | None, tally: Tally) -> Spans:
    if answer is None:
        return Spans(tally.offered, 0, 0, tally.offered - sum(tally.dropped.values()), dict(tally.dropped), adds_up=False)
    ledger = answer.ledger
    # The agent counts for itself what it offered; the relay's books must say the same.
    agree = ledger.adds_up and ledger.offered == tally.offered
    waiting = ledger.pending + ledger.quarantined
    return Spans(ledger.offered, ledger.delivered, ledger.withheld, waiting, dict(ledger.dropped), agree, ledger.sampled)
