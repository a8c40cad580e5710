"""The tracer across processes: children that attach, agents that are killed, relays that are killed or stand still while calls go on."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time

import pytest
from fakes import Relay, Store, call_records, until

import tracing
from phi_guard.switch import FileSwitch
from tracing.local.azure_realtime import AzureRealtime, CallScript
from tracing.local.azure_realtime import Call as ModelCall
from tracing.local.azure_realtime.script import Say
from tracing.local.clinic_agent import CallerTurn, ScriptedClinicAgent, ScriptedTool, run_call
from tracing.recorder import Recorder

CANARY = b"zqxjk"

# A session that tells of events when it is told to: all that a child needs of LiveKit.
SESSION = """
import asyncio, atexit, multiprocessing, sys, time
from types import SimpleNamespace as Is
import tracing

class Session:
    llm = None
    def __init__(self): self.hear = {}
    def on(self, name, take): self.hear[name] = take
    def off(self, name, take): del self.hear[name]

def tool(session, n):
    call = Is(call_id=str(n), name="book_appointment", arguments='{"patient_name": "Zqxjk"}')
    tell = session.hear["tool_execution_updated"]
    tell(Is(update=Is(type="tool_call_started", function_call=call)))
    tell(Is(update=Is(type="tool_call_ended", call_id=str(n), status="done", message="{}")))
"""

MAIN = (
    SESSION
    + """
def entrypoint():
    session = Session()
    call = tracing.attach(session, consent="granted")
    tool(session, 1)
    call.detach("task_completed")
    assert asyncio.run(call.flush(40)), "the relay did not take it"
    assert call.faults == 0

if __name__ == "__main__":
    relay = tracing.start_relay(runtime=sys.argv[1])
    assert not relay.fault, relay.fault
    atexit.register(relay.stop)
    children = [multiprocessing.get_context(how).Process(target=entrypoint) for how in ("spawn", "forkserver")]
    for child in children: child.start()
    for child in children: child.join()
    assert [child.exitcode for child in children] == [0, 0]
    while relay.ask().ledger.pending: time.sleep(0.05)
    print("done", flush=True)
"""
)

AGENT = (
    SESSION
    + """
session = Session()
call = tracing.attach(session, consent="granted")
for n in range(20): tool(session, n)
assert asyncio.run(call.flush(20))
for n in range(20, 1500): tool(session, n)
time.sleep(0.1)  # the relay is told of all and handed eight batches
print("recorded", flush=True)
time.sleep(60)
"""
)


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path)
    yield store
    store.stop()


@pytest.fixture
def runtime(tmp_path):
    return tmp_path / "run"  # where the environment says it is, so that attach() finds the relay by itself


def test_job_processes_of_either_kind_find_the_relay_their_parent_started(store, runtime, tmp_path, monkeypatch):
    """As a worker does it: start_relay() in the main, attach() in spawned and fork-served children, which know but the environment."""
    FileSwitch(runtime / "switch.json").turn_on("a test")
    monkeypatch.delenv("PHI_GUARD_RUNTIME_DIR")
    monkeypatch.setenv("LANGSMITH_ENDPOINT", store.url)
    monkeypatch.setenv("LANGSMITH_API_KEY", "test")
    main = tmp_path / "main.py"
    main.write_text(MAIN)
    done = subprocess.run([sys.executable, str(main), str(runtime)], capture_output=True, text=True, timeout=90, check=False)
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr
    names = sorted(run["name"] for run in store.runs())
    one = ["policy.guardrail", "session.end", "session.start", "tool.book_appointment", "voice_session"]
    assert names == sorted(one * 2)
    assert CANARY not in store.raw().lower(), "leaked"


def test_an_agent_that_is_killed_in_a_call_leaves_an_ended_trace_and_a_ledger_that_adds_up(store, runtime):
    """What it had handed over is delivered, what it had not is counted as lost, and nothing stays pending for ever."""
    relay = Relay(runtime, store.url).ready()
    agent = subprocess.Popen([sys.executable, "-c", AGENT], stdout=subprocess.PIPE)
    try:
        assert agent.stdout.readline() == b"recorded\n"
        agent.kill()
        until(lambda: any(run["name"] == "session.end" for run in store.runs()), 30)
        ledger = relay.settle(40)
    finally:
        agent.kill()
        agent.wait()
        agent.stdout.close()
        relay.stop()
    assert ledger.adds_up
    assert ledger.offered == 2 + 1500 + 3
    assert list(ledger.dropped) == ["agent_lost"]
    assert 0 < ledger.dropped["agent_lost"] <= 1480
    ended = {run["name"]: run for run in store.runs()}
    assert ended["session.end"]["extra"]["metadata"]["reason"] == "agent_lost"
    assert ended["voice_session"]["end_time"]
    assert ended["policy.guardrail"]["end_time"]


@pytest.mark.filterwarnings("ignore:.*api_version.*:DeprecationWarning")
def test_a_call_goes_on_while_its_relay_is_killed_and_another_one_starts(store, runtime):
    """A real AgentSession: no turn is missed, and every record arrives once."""
    relay = Relay(runtime, store.url).ready()
    attached, seen = [], []

    async def play():
        script = [(ModelCall("book_appointment", {"patient_name": "Zqxjk"}),), *[(Say("Done.", 300),)] * 4]
        azure = AzureRealtime([CallScript(turns=tuple(script))])
        url = await azure.start()
        agent = ScriptedClinicAgent([ScriptedTool("book_appointment", result={"confirmation_id": "CONF-1234"})])

        def attach(session, ctx):
            attached.append(tracing.attach(session, consent="granted"))

        try:
            return await run_call(agent, url, [CallerTurn(300)] * 4, attach=attach)
        finally:
            await azure.stop()

    def break_it():
        until(lambda: relay.ledger().delivered >= 4, 20)  # the call runs, and its first spans are with the store
        relay.kill()
        seen.append(attached[0]._ended)
        seen.append(Relay(runtime, store.url))

    breaker = threading.Thread(target=break_it)
    breaker.start()
    outcome = asyncio.run(play())
    breaker.join()
    recorder = tracing._recorders.pop((os.getpid(), relay.settings.address))
    ended_before, second = seen
    try:
        second.ready()
        assert recorder.drain(30)
        ledger = second.settle()
    finally:
        recorder.close()
        second.stop()
    assert not ended_before
    assert (outcome.unanswered, outcome.exceptions, attached[0].faults) == (0, (), 0)
    assert ledger.adds_up
    assert (ledger.offered, ledger.delivered, ledger.dropped) == (recorder.tally().offered, recorder.tally().offered, {})
    names = [run["name"] for run in store.runs()]
    assert (names.count("voice_session"), names.count("user_turn"), names.count("tool.book_appointment")) == (1, 4, 1)
    assert next(run for run in store.runs() if run["name"] == "voice_session")["extra"]["metadata"]["reason"] == "user_initiated"
    assert CANARY not in store.raw().lower(), "leaked"


def test_a_relay_that_stands_still_holds_up_nobody(store, runtime):
    """Stopped for three seconds under record(): no wait, no memory but the queue's, and everything arrives once it goes on."""
    relay = Relay(runtime, store.url).ready()
    recorder = Recorder(relay.settings.address)
    took = []
    try:
        recorder.record(call_records()[0])
        assert recorder.drain(10)
        relay.handle.process.send_signal(signal.SIGSTOP)
        end, n = time.monotonic() + 3.0, 1
        while time.monotonic() < end:
            for record in call_records(tools=0):
                began = time.perf_counter_ns()
                recorder.record(record)
                took.append(time.perf_counter_ns() - began)
                n += 1
            time.sleep(0.05)
        assert recorder.tally().pending == n - 1
        relay.handle.process.send_signal(signal.SIGCONT)
        assert recorder.drain(30)
        ledger = relay.settle(30)
    finally:
        relay.handle.process.send_signal(signal.SIGCONT)
        recorder.close()
        relay.stop()
    took.sort()
    assert took[int(len(took) * 0.99)] < 5_000_000
    assert ledger.adds_up
    assert (ledger.delivered, ledger.dropped) == (n, {})
