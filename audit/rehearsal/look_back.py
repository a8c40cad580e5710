"""After the calls: wait for the delivery, read the traces back, and hold what arrived against what was planned, planted and delivered."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Final

from audit.evidence import Canaries, Completeness
from audit.rehearsal.canary import collect, count
from audit.rehearsal.completeness import hold_against
from audit.rehearsal.expectation import expect
from audit.rehearsal.measured import Arrival
from audit.rehearsal.play import Played
from audit.rehearsal.read_back import compare, ended, read_back
from audit.rehearsal.script import PlannedCall
from phi_guard.errors import PolicyError
from phi_guard.policy import load_policy, shipped
from phi_guard.policy.compiled import Policy
from tracing.launch import RelayHandle
from tracing.recorder import Recorder, Tally
from tracing.relay.intake import Answer
from tracing.settings import Settings

READ_BACK_S: Final = 30.0
"""How long to wait until what was delivered can also be read, where the endpoint has as long to take it."""


@dataclass(frozen=True, slots=True)
class Found:
    """How it stood once the calls were over.

    Args:
        answer: the relay's account; None where it no longer answers.
        tally: the agent's.
        canaries: of all calls, also of those without a trace; None where not every trace was read back to its end, or there is none.
        completeness: of all calls that were played to their end; None where nothing was delivered, or nothing could be read back.
        arrival: likewise None.
    """

    answer: Answer | None
    tally: Tally
    canaries: Canaries | None = None
    completeness: Completeness | None = None
    arrival: Arrival | None = None


def look_back(
    calls: Sequence[PlannedCall],
    played: Played,
    settings: Settings,
    relay: RelayHandle,
    recorder: Recorder,
    *,
    deliver_s: float,
    api_key: str,
    since: datetime,
    say: Callable[[str], None],
) -> Found:
    """Wait for the delivery, and read back what arrived.

    Args:
        calls: as they were planned.
        played: as they went: the first of the planned, in order.
        settings: where they were sent.
        relay: asked how it stands.
        recorder: the agent's.
        deliver_s: how long the endpoint has to take everything, and then again, up to `READ_BACK_S`, to show it.
        api_key: to read with.
        since: when the rehearsal began.
        say: told what is going on.
    """
    recorder.drain(deliver_s)
    answer = _settled(relay, deliver_s)
    tally = recorder.tally()
    policy = _policy(settings)
    traces = [call.trace_id for call in played.calls if call.trace_id]
    # Of a call that was cut off nobody knows what its trace should hold.
    whole = [(planned, call.trace_id) for planned, call in zip(calls, played.calls, strict=False) if not call.cut]
    expected = {trace: expect(planned, policy.tools if policy else None) for planned, trace in whole if trace}
    hold = partial(hold_against, expected, without_trace=sum(not trace for _, trace in whole))
    if whole and not traces:
        return Found(answer, tally, completeness=hold(()))  # there is nothing to read
    if answer is None or not answer.ledger.delivered:
        return Found(answer, tally)
    say("the traces are read back")
    runs = read_back(
        settings,
        traces,
        api_key=api_key,
        since=since,
        seconds=min(READ_BACK_S, deliver_s),
        whole=lambda runs: hold(runs).complete == len(expected),
    )
    if runs is None:
        return Found(answer, tally)
    # A canary that is not in half a trace may be in the other half.
    all_there = not answer.ledger.pending and ended(runs, traces)
    canaries = count(collect(calls[: len(played.calls)], policy), runs) if policy is not None and all_there else None
    return Found(answer, tally, canaries, hold(runs), compare(settings.state, runs, since))


def _policy(settings: Settings) -> Policy | None:
    """The policy that the relay gates by; None where it cannot be read, which the gate's fault tells."""
    with suppress(PolicyError):
        return load_policy(settings.policy or shipped("clinic.yaml"), env=settings.env)
    return None


def _settled(relay: RelayHandle, seconds: float) -> Answer | None:
    """The relay's account once nothing is pending, or as it is when time is up or nothing can change it.

    One that is silent while its process lives is at work, on a busy machine, and is asked again.
    """
    end = time.monotonic() + seconds
    answer = relay.ask()
    while time.monotonic() < end and (_lives(relay) if answer is None else answer.ledger.pending and not _stands_still(answer)):
        time.sleep(0.1)
        answer = relay.ask() or answer
    return answer


def _lives(relay: RelayHandle) -> bool:
    return relay.process is not None and relay.process.poll() is None


def _stands_still(answer: Answer) -> bool:
    return answer.state.startswith(("off", "halted"))
