"""All that can fail, in any order, while agents record: at the end each operation is where the ledger says, and nothing raw is anywhere.

One seed is one order of faults. ``PHI_GUARD_CHAOS_SEED`` and ``PHI_GUARD_CHAOS_S`` choose it and how long it goes on.
"""

from __future__ import annotations

import contextlib
import os
import random
import resource
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pytest
from fakes import Relay, Store, call_records, until

from tracing.record import CallClosed, CallEnded
from tracing.recorder import Recorder
from tracing.relay.span import UPDATE, op_of

HERE = Path(__file__).parents[1]
sys.path.insert(0, str(HERE / "matrix"))

from line import Line  # noqa: E402

SEED = int(os.environ.get("PHI_GUARD_CHAOS_SEED", "0"))
SECONDS = float(os.environ.get("PHI_GUARD_CHAOS_S", "12"))
"""Read now, because tests run without such variables."""
CANARIES = (b"zqxjk", b"karolyn", b"thessaly", b"555-0172")
ARGUMENT = '{"patient_name": "Zqxjk", "reason_for_visit": "This is Karolyn Thessaly, call me at 415-555-0172, my knee is sore"}'
MAY_DROP = {"switch_off", "http_413", "agent_lost", "already_ended"}
"""What the faults below may cost: what came while the switch was off, what the endpoint refuses for good, what an agent took with it, and
what it said of a call after the relay had ended it."""

# An agent in a process of its own, in the middle of a call for as long as it lives.
AGENT = """
import sys, time
from fakes import call_records
from tracing.recorder import Recorder
recorder = Recorder(sys.argv[1])
while True:
    records = call_records(tools=3, argument=sys.argv[2], finished=False)
    recorder.open_call(records[0].call)
    for record in records:
        print(record.id, flush=True)
        recorder.record(record)
        time.sleep(0.02)
"""


class Agent:
    """Calls through a recorder of this process, one after another, on a thread."""

    def __init__(self, address):
        self.recorder = Recorder(address)
        self.told = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._talk)
        self._thread.start()

    def _talk(self):
        while not self._over.is_set():
            records = call_records(tools=3, argument=ARGUMENT)
            self.recorder.open_call(records[0].call)
            for record in records:
                if type(record) is CallClosed:
                    self.recorder.close_call(record.call)
                self.told.append(record)
                self.recorder.record(record)
                if self._over.wait(0.03):
                    return

    def hang_up(self):
        """The process goes on, its recorder does not: whatever it had is lost."""
        self._over.set()
        self._thread.join()
        self.recorder.close()

    def finish(self):
        """Say all of the last call, then no more."""
        self._over.set()
        self._thread.join()
        call = self.told[-1].call
        self.recorder.close_call(call)


class Host:
    """A relay, a store, the line between them, agents; and what may befall them."""

    def __init__(self, directory, seed):
        self.chance = random.Random(seed)
        self.store = Store(directory)
        self.line = Line(self.store.url)
        self.runtime = directory / "run"
        self.relay = Relay(self.runtime, self.line.url).ready()
        self.agents = [Agent(self.relay.settings.address) for _ in range(2)]
        self.gone, self.killed, self.done = [], [], []

    def befall(self):
        faults = (self.kill, self.kill, self.stand_still, self.stand_still, self.refuse, self.refuse, self.wire, self.wire, self.flip)
        fault = self.chance.choice((*faults, self.fill, self.fill, self.hang_up, self.kill_agent, self.shut_out))
        self.done.append(fault.__name__)
        fault()

    def pause(self, most):
        time.sleep(self.chance.uniform(0.05, most))

    def kill(self):
        self.relay.kill()
        self.pause(0.5)
        self.relay = Relay(self.runtime, self.line.url)
        if self.chance.random() < 0.7:
            self.relay.ready()  # or it is killed again while it loads

    def stand_still(self):
        process = self.relay.handle.process
        process.send_signal(signal.SIGSTOP)
        self.pause(1.5)
        process.send_signal(signal.SIGCONT)

    def refuse(self):
        status = self.chance.choice((500, 503, 429, 413, 408))
        self.store.fail(status=status, remaining=self.chance.randint(1, 3), retry_after="1")
        self.pause(1.0)

    def wire(self):
        self.chance.choice((self.line.reset, self.line.hang, self.line.refuse, lambda: self.line.slow(0.5)))()
        self.pause(1.5)
        self.line.mend()

    def flip(self):
        self.relay.switch.turn_off("a test")
        self.pause(0.5)
        self.relay.switch.turn_on("a test")

    def fill(self):
        """No file of the relay may grow beyond what its outbox has."""
        process = self.relay.handle.process
        _, hard = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (self.chance.choice((0, 4096, 65536)), hard))
        self.pause(1.5)
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (hard, hard))

    def hang_up(self):
        agent = self.agents.pop(0)
        agent.hang_up()
        self.gone.append(agent)
        self.agents.append(Agent(self.relay.settings.address))

    def kill_agent(self):
        command = [sys.executable, "-c", AGENT, self.relay.settings.address, ARGUMENT]
        paths = os.pathsep.join(str(path) for path in (HERE, HERE.parent))
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": paths})
        said = [process.stdout.readline().strip() for _ in range(5)]
        self.pause(0.5)
        process.kill()
        said += process.stdout.read().split()
        process.wait()
        process.stdout.close()
        self.killed += said

    def shut_out(self):
        """The key is refused; a person puts it right, and starts the relay anew."""
        self.store.fail(status=401, remaining=1)
        self.pause(0.5)
        self.relay.stop()
        self.relay = Relay(self.runtime, self.line.url).ready()

    def mend(self):
        """All is as it should be again; a relay that was told to wait long is started anew, as a person would."""
        self.line.mend()
        self.store.fail(status=500, remaining=0)
        self.relay.switch.turn_on("a test")
        for agent in self.agents:
            agent.finish()
        self.relay.stop()
        self.relay = Relay(self.runtime, self.line.url).ready()
        for agent in self.agents:
            assert agent.recorder.drain(90), agent.recorder.tally()
        until(lambda: self.relay.ledger().pending == 0, 120)
        return self.relay.ledger()

    def files(self):
        return [path for folder in {self.runtime, Path(self.relay.settings.state)} for path in folder.rglob("*") if path.is_file()]

    def close(self):
        for agent in self.agents:
            agent.hang_up()
        with contextlib.suppress(ProcessLookupError):
            self.relay.handle.process.send_signal(signal.SIGCONT)
        self.relay.stop()
        self.line.close()
        self.store.stop()


@pytest.fixture
def host(tmp_path, request):
    host = Host(tmp_path, request.param)
    yield host
    host.close()


@pytest.mark.parametrize("host", [SEED], indirect=True)
def test_whatever_befalls_the_ledger_is_exact_and_nothing_raw_is_anywhere(host):
    """Each operation is in the store or counted as dropped, none is there twice or unasked, and no canary is on disk or wire."""
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        host.befall()
        host.pause(0.8)
    ledger = host.mend()
    agents = [*host.agents, *host.gone]
    story = (host.done, ledger, (host.runtime / "relay.log").read_text()[-3000:])
    assert ledger.adds_up, story
    assert set(ledger.dropped) <= MAY_DROP, story
    for agent in host.agents:
        tally = agent.recorder.tally()
        assert (tally.offered, tally.acked, tally.dropped) == (len(agent.told), len(agent.told), {}), story
    runs = {run["id"]: run for run in host.store.runs()}
    assert len(runs) == len(host.store.runs())
    kept = [each for agent in host.agents for each in agent.told]
    missing = [each for each in kept if each.id not in runs or (op_of(each) == UPDATE and not runs[each.id].get("end_time"))]
    allowed = ledger.quarantined + sum(n for reason, n in ledger.dropped.items() if reason != "agent_lost")
    assert len(missing) <= allowed, (Counter(type(each).__name__ for each in missing), story)
    ours = {each.id for agent in agents for each in agent.told} | set(host.killed)
    unknown = [run for run in runs.values() if run["id"] not in ours and run["extra"]["metadata"].get("reason") != "agent_lost"]
    assert not unknown, (Counter(run["name"] for run in unknown), story)
    assert not [run for run in runs.values() if run["trace_id"] not in ours], story
    assert any(type(each) is CallEnded and each.id in runs for each in kept), story
    wire = bytes(host.line.seen).lower() + host.store.raw().lower()
    assert b"conf-1234" in wire
    assert not [canary for canary in CANARIES if canary in wire], ("leaked", story)
    names = set()
    for path in host.files():
        held = path.read_bytes().lower()
        names.add(path.name)
        assert not [canary for canary in CANARIES if canary in held], ("leaked", path.name, story)
    assert {"outbox.sqlite3", "relay.log", "disclosures.jsonl"} <= names
