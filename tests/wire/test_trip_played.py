"""A tracer that costs a real call too much of the processor: the agent's host turns telemetry off, and the call goes on."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

import pytest
from fakes import Relay, Store, until

import tracing
from tracing.local.azure_realtime import AzureRealtime, CallScript
from tracing.local.azure_realtime.script import Say
from tracing.local.clinic_agent import CallerTurn, ScriptedClinicAgent, run_call
from tracing.own_cost import LIMIT_NS


@pytest.fixture
def store(tmp_path):
    running = Store(tmp_path)
    yield running
    running.stop()


def play(probe):
    """One call of three turns, traced as an agent does it: the turns that got no answer."""

    def attach(session, ctx):
        return tracing.attach(session, ctx, consent="granted", probe=probe)

    async def run():
        azure = AzureRealtime([CallScript(turns=tuple((Say("Yes.", 200, 50),) for _ in range(3)))])
        try:
            turns = [CallerTurn(300)] * 3
            return await run_call(
                ScriptedClinicAgent([]), await azure.start(), turns, attach=attach, start_options=tracing.start_options(), turn_limit_s=30
            )
        finally:
            await azure.stop()

    return asyncio.run(run()).unanswered


@pytest.mark.parametrize("dear", [False, True], ids=["as-it-is", "six-milliseconds"])
def test_what_costs_the_agent_too_much_turns_itself_off(store, dear):
    """Six milliseconds of processor time in each record: off, held for overhead, within the call. The same call untouched: still on."""

    def probe(name, _):
        end = time.thread_time_ns() + (LIMIT_NS + 1_000_000 if dear and name == "record" else 0)
        while time.thread_time_ns() < end:
            pass

    relay = Relay(Path(os.environ["PHI_GUARD_RUNTIME_DIR"]), store.url).ready()
    try:
        assert play(probe) == 0
        if dear:
            until(lambda: relay.switch.state().hold == "overhead", 20)
            assert not relay.switch.state().on
        else:
            until(lambda: {run["name"] for run in store.runs()} >= {"voice_session", "agent_turn", "session.end"}, 60)
            assert relay.switch.state().on
    finally:
        relay.stop()
