"""One relay per directory, the newest settings in force, and a loop that nothing on its socket or its disk can end."""

from __future__ import annotations

import os
import resource
import signal
import stat
import subprocess
import sys
import time
from dataclasses import replace

import msgspec
import pytest
import zmq
from fakes import Relay, Store, call_records, until

from phi_guard.runtime import state_dir
from tracing.identity import new_id
from tracing.record import Ack, Batch, CallClosed, CallEnded, CallOpened, GuardrailClosed
from tracing.recorder import Recorder
from tracing.relay.tenure import TenureRefused, holding
from tracing.settings import Sampling, read_settings

ENCODE = msgspec.msgpack.encode


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path)
    yield store
    store.stop()


@pytest.fixture
def runtime(tmp_path):
    return tmp_path / "run"


def log_of(runtime):
    return (runtime / "relay.log").read_text()


def test_newer_settings_take_over_and_what_waits_with_the_agent_arrives(store, runtime):
    """A tightened policy is in force with the next start, not when somebody finds the old relay."""
    first = Relay(runtime, store.url).ready()
    recorder = Recorder(first.settings.address)
    second = Relay(runtime, store.url, env="prod")
    try:
        assert first.handle.process.wait(30) == 0
        for record in call_records():
            recorder.record(record)
        second.ready()
        assert recorder.drain(30)
        ledger = second.settle()
        assert second.handle.process.poll() is None
    finally:
        recorder.close()
        second.stop()
        first.stop()
    assert ledger.adds_up
    assert {run["extra"]["metadata"]["env"] for run in store.runs()} == {"prod"}


def test_one_without_a_key_does_not_take_the_place_of_one_that_can_send(tmp_path, monkeypatch):
    """Nothing else differs, and it could not send: it ends. With other settings it takes the place, as with another key."""
    settings, told = read_settings(runtime=tmp_path / "run", endpoint="http://127.0.0.1:9"), []
    state_dir(settings.state)
    before = signal.signal(signal.SIGTERM, lambda number, _: told.append(number))
    try:
        monkeypatch.setenv("LANGSMITH_API_KEY", "a")
        with holding(settings, 0.2) as held:
            assert held is not None
            monkeypatch.delenv("LANGSMITH_API_KEY")
            with holding(settings, 0.2) as other:
                assert other is None
            assert told == []
            for change, key in (({"env": "prod"}, ""), ({"sampling": Sampling(0.5)}, ""), ({}, "b")):
                monkeypatch.setenv("LANGSMITH_API_KEY", key)
                with pytest.raises(TenureRefused), holding(replace(settings, **change), 0.2):
                    pass
            assert told == [signal.SIGTERM] * 3
            content = (tmp_path / "run" / "relay.lock").read_text()
        monkeypatch.delenv("LANGSMITH_API_KEY")
        with holding(settings, 0.2) as held:
            assert held is not None
            monkeypatch.setenv("LANGSMITH_API_KEY", "a")
            with pytest.raises(TenureRefused), holding(settings, 0.2):
                pass
    finally:
        signal.signal(signal.SIGTERM, before)
    assert len(told) == 4
    assert set(msgspec.json.decode(content)) == {"pid", "salt", "mark", "keyless"}


def test_a_relay_that_was_stopped_takes_no_living_agent_for_dead(store, runtime):
    """It was away, not they."""
    relay = Relay(runtime, store.url).ready()
    recorder = Recorder(relay.settings.address)
    try:
        records = call_records(finished=False)
        recorder.open_call(records[0].call)
        for record in records:
            recorder.record(record)
        assert recorder.drain(30)
        relay.handle.process.send_signal(signal.SIGSTOP)
        time.sleep(11.0)
        relay.handle.process.send_signal(signal.SIGCONT)
        time.sleep(2.5)
        assert not any(run["name"] == "session.end" for run in store.runs())
    finally:
        relay.handle.process.send_signal(signal.SIGCONT)
        recorder.close()
        relay.stop()


def test_an_agent_that_comes_back_after_it_was_given_up_leaves_nothing_pending(store, runtime, monkeypatch):
    """The relay has ended its call: its own end is one too many, and is counted as such."""
    relay = Relay(runtime, store.url).ready()
    monkeypatch.setattr("tracing.recorder.HEARTBEAT_S", 1000.0)  # an agent that hangs
    recorder = Recorder(relay.settings.address)
    try:
        opened, consent, *rest = call_records(finished=False)
        recorder.open_call(opened.call)
        for record in (opened, consent, *rest):
            recorder.record(record)
        assert recorder.drain(30)
        until(lambda: any(run["name"] == "session.end" for run in store.runs()), 30)
        now, end = time.time_ns(), new_id()
        recorder.record(CallEnded(call=opened.call, id=end, at=(*opened.at, (now, end)), end_ns=now, reason="user_initiated"))
        recorder.record(GuardrailClosed(call=opened.call, id=consent.id, at=consent.at, end_ns=now, consent="granted"))
        recorder.record(CallClosed(call=opened.call, id=opened.call, at=opened.at, end_ns=now, reason="user_initiated"))
        assert recorder.drain(30)
        ledger = relay.settle(10)
    finally:
        recorder.close()
        relay.stop()
    assert ledger.adds_up
    assert (ledger.offered, ledger.dropped) == (4 + 3 + 3, {"already_ended": 2})


def test_no_message_ends_the_relay_or_breaks_its_law(store, runtime):
    """Places that are none, numbers that SQLite does not hold: refused or dropped, counted, and the next batch is served."""
    nowhere, far = CallOpened(call="c", id="c", at=()), CallOpened(call="c", id="c", at=((2**64 - 1, "c"),))
    messages = [
        Batch(sender="a", number=1, records=[msgspec.Raw(ENCODE(nowhere))], offered=1),
        Batch(sender="b", number=1, records=[msgspec.Raw(ENCODE(far))], offered=1),
        Batch(sender="c", number=1, records=[], offered=2**64 - 1),
        Batch(sender="d", number=1, records=[], offered=-1),
        Batch(sender="e", number=1, records=[], dropped={"x": 2**64 - 1}),
        Ack(number=1),
    ]
    relay = Relay(runtime, store.url).ready()
    recorder = Recorder(relay.settings.address)
    try:
        with zmq.Context() as context, context.socket(zmq.DEALER) as socket:
            socket.setsockopt(zmq.LINGER, 1000)
            socket.connect(relay.settings.address)
            for message in messages:
                socket.send(ENCODE(message))
        for record in call_records():
            recorder.record(record)
        assert recorder.drain(20)
        answer = relay.handle.ask()
    finally:
        recorder.close()
        relay.stop()
    assert answer.ledger.adds_up
    assert (answer.refused, answer.ledger.dropped) == (4, {"undecodable": 2})
    assert "Traceback" not in log_of(runtime)


def test_an_outbox_that_cannot_be_read_is_put_aside(store, runtime):
    """A relay that does not start serves nobody."""
    (runtime / "outbox.sqlite3").write_bytes(b"this was a database once" * 400)
    relay = Relay(runtime, store.url).ready()
    relay.stop()
    assert len(list(runtime.glob("outbox.sqlite3.2*"))) == 1
    assert "put aside" in log_of(runtime)
    for path in runtime.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0 or path.name.startswith("outbox.sqlite3.2"), path.name


def test_a_directory_that_others_may_enter_is_refused(tmp_path):
    """Named on the command line or not: socket, key and outbox lie in a directory of ours alone."""
    open_to_all = tmp_path / "open"
    open_to_all.mkdir()
    open_to_all.chmod(0o755)
    command = [sys.executable, "-m", "tracing.relay", "--runtime", str(open_to_all)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "others may enter" in done.stderr
    assert "Traceback" not in done.stderr
    assert list(open_to_all.iterdir()) == []


def test_a_relay_leaves_no_core(store, runtime):
    """A core would hold raw records."""
    relay = Relay(runtime, store.url).ready()
    try:
        assert resource.prlimit(relay.handle.process.pid, resource.RLIMIT_CORE) == (0, 0)
        assert os.getpgid(relay.handle.process.pid) == relay.handle.process.pid  # a Ctrl-C at the agent's terminal is not for it
    finally:
        relay.stop()
