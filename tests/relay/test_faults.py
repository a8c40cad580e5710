"""What happens to a call's records when something around them really breaks. Each fault is made, none is mocked."""

from __future__ import annotations

import sqlite3
import stat
import time

import pytest
from fakes import Relay, Store, call_records, until

from tracing.recorder import Recorder

CANARY = b"zqxjk"


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path)
    yield store
    store.stop()


@pytest.fixture
def runtime(tmp_path):
    runtime = tmp_path / "relay"
    runtime.mkdir(mode=0o700)
    return runtime


def offer(recorder, calls=1, **how):
    n = 0
    for _ in range(calls):
        for record in call_records(**how):
            recorder.record(record)
            n += 1
    return n


def nothing_raw(store, runtime):
    """The canary is in no byte that arrived and in no file of the relay."""
    assert CANARY not in store.raw().lower(), "leaked"
    for path in runtime.iterdir():
        if path.is_file():
            assert CANARY not in path.read_bytes().lower(), ("leaked", path.name)


def test_a_killed_relay_loses_nothing(store, runtime):
    """What it had not acknowledged waits in the agent, what it had is in the outbox; the next relay delivers both, once."""
    relay = Relay(runtime, store.url).ready()
    recorder = Recorder(relay.settings.address)
    try:
        n = offer(recorder, calls=3)
        relay.kill()
        n += offer(recorder, calls=3)
        assert recorder.tally().offered == n
        relay = Relay(runtime, store.url).ready()
        assert recorder.drain(30)
        ledger = relay.settle()
    finally:
        recorder.close()
        relay.stop()
    assert ledger.adds_up
    assert (ledger.offered, ledger.delivered, ledger.dropped) == (n, n, {})
    assert sum(run["name"] == "voice_session" and bool(run["end_time"]) for run in store.runs()) == 6
    nothing_raw(store, runtime)


@pytest.mark.parametrize("fault", [{"status": 500}, {"status": 429, "retry_after": "1"}, {"status": 503}, {"reset": True}])
def test_an_endpoint_that_fails_for_a_while_gets_everything_later(store, runtime, fault):
    """Not now is not never: what was refused is kept and sent again."""
    relay = Relay(runtime, store.url).ready()
    recorder = Recorder(relay.settings.address)
    try:
        store.fail(remaining=4, match="multipart", **fault)
        n = offer(recorder, calls=2)
        assert recorder.drain(30)
        until(lambda: relay.handle.ask().state.startswith("waiting"), 10)
        assert relay.ledger().pending == n
        ledger = relay.settle(60)
    finally:
        recorder.close()
        relay.stop()
    assert ledger.adds_up
    assert (ledger.delivered, ledger.dropped) == (n, {})
    assert len(store.runs()) == n - 4  # two spans of each call are created and then updated
    nothing_raw(store, runtime)


def test_a_wrong_key_stops_the_sending_and_loses_nothing(store, runtime):
    """Refused as who we are: pending, halted, and the state says so."""
    relay = Relay(runtime, store.url).ready()
    recorder = Recorder(relay.settings.address)
    try:
        store.fail(status=401, remaining=1000, match="multipart")
        n = offer(recorder)
        assert recorder.drain(30)
        until(lambda: relay.handle.ask().state == "halted_http_401", 10)
        ledger = relay.ledger()
    finally:
        recorder.close()
        relay.stop()
    assert ledger.adds_up
    assert (ledger.pending, ledger.delivered) == (n, 0)


def test_a_poisoned_operation_is_dropped_alone(store, runtime):
    """Where a batch is refused for good it is halved until the one that poisons it stands alone."""
    relay = Relay(runtime, store.url).ready()
    recorder = Recorder(relay.settings.address)
    try:
        store.fail(status=422, remaining=4, match="multipart")
        n = offer(recorder, tools=9)
        assert recorder.drain(30)
        ledger = relay.settle()
    finally:
        recorder.close()
        relay.stop()
    assert ledger.adds_up
    assert ledger.dropped == {"http_422": 1}
    assert ledger.delivered == n - 1


def test_a_dead_endpoint_costs_nothing_but_time(runtime):
    """Nobody listens: everything waits in the outbox, readable by its owner alone, sealed."""
    relay = Relay(runtime, "http://127.0.0.1:9").ready()
    recorder = Recorder(relay.settings.address)
    try:
        n = offer(recorder)
        assert recorder.drain(30)
        until(lambda: relay.handle.ask().state == "waiting_connection", 20)
        ledger = relay.ledger()
    finally:
        recorder.close()
        relay.stop()
    assert ledger.adds_up
    assert ledger.pending == n
    for path in runtime.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path.name


def test_what_was_changed_in_the_outbox_is_not_sent(store, runtime):
    """Whoever can write to the file cannot make the relay send it."""
    relay = Relay(runtime, "http://127.0.0.1:9").ready()
    recorder = Recorder(relay.settings.address)
    n = offer(recorder)
    assert recorder.drain(30)
    recorder.close()
    relay.stop()
    with sqlite3.connect(runtime / "outbox.sqlite3") as db:
        db.execute("UPDATE ops SET body = replace(body, 'granted', 'zqxjk') WHERE name = 'policy.guardrail'")
    db.close()
    relay = Relay(runtime, store.url).ready()
    try:
        ledger = relay.settle()
    finally:
        relay.stop()
    assert ledger.adds_up
    assert (ledger.delivered, ledger.dropped) == (n - 2, {"seal_broken": 2})
    assert CANARY not in store.raw().lower(), "leaked"


@pytest.mark.parametrize(("text", "reason"), [("version: 1\nfields: [", "policy_unreadable"), ("", "policy_unreadable")])
def test_a_policy_that_cannot_be_read_costs_all_content_and_no_span(store, runtime, tmp_path, text, reason):
    """The call is still seen: names, ids and times, and nothing else."""
    policy = tmp_path / "broken.yaml"
    policy.write_text(text)
    relay = Relay(runtime, store.url, policy=policy).ready()
    recorder = Recorder(relay.settings.address)
    try:
        n = offer(recorder)
        assert recorder.drain(30)
        ledger = relay.settle()
        assert relay.handle.ask().fault == reason
    finally:
        recorder.close()
        relay.stop()
    assert ledger.adds_up
    assert (ledger.withheld, ledger.delivered) == (n, 0)
    assert all(run["extra"]["metadata"]["withheld"] == reason and not run["inputs"] for run in store.runs())
    nothing_raw(store, runtime)


def test_the_switch_stops_sending_while_records_go_on(store, runtime):
    """Off: what waits stays, what comes is counted and let go. On: what waited is sent."""
    relay = Relay(runtime, store.url).ready()
    recorder = Recorder(relay.settings.address)
    try:
        n = offer(recorder)
        assert recorder.drain(30)
        relay.settle()
        relay.switch.turn_off("a leak is suspected")
        until(lambda: relay.handle.ask().state == "off", 5)
        before = len(store.raw())
        lost = offer(recorder, calls=2)
        assert recorder.drain(30)
        time.sleep(0.5)
        assert len(store.raw()) == before
        ledger = relay.ledger()
        assert ledger.adds_up
        assert (ledger.delivered, ledger.dropped) == (n, {"switch_off": lost})
        relay.switch.turn_on("it was none")
        n += offer(recorder)
        assert recorder.drain(30)
        ledger = relay.settle()
    finally:
        recorder.close()
        relay.stop()
    assert ledger.adds_up
    assert (ledger.delivered, ledger.dropped) == (n, {"switch_off": lost})
    nothing_raw(store, runtime)


def test_the_trace_of_a_dead_agent_is_ended(store, runtime, monkeypatch):
    """An agent that is silent with a call open is taken for dead, and its trace says so."""
    relay = Relay(runtime, store.url).ready()
    recorder = Recorder(relay.settings.address)
    try:
        records = call_records(finished=False)
        recorder.open_call(records[0].call)
        for record in records:
            recorder.record(record)
        assert recorder.drain(30)
        recorder.close()  # no more heartbeats, as after SIGKILL
        until(lambda: any(run["name"] == "session.end" for run in store.runs()), 30)
        ledger = relay.settle()
    finally:
        relay.stop()
    assert ledger.adds_up
    assert ledger.offered == len(records) + 3
    ended = {run["name"]: run for run in store.runs()}
    assert ended["session.end"]["extra"]["metadata"]["reason"] == "agent_lost"
    assert ended["voice_session"]["end_time"]
    assert ended["voice_session"]["error"] == "RealtimeError: agent_lost"


def test_what_is_not_ours_on_the_socket_is_refused(store, runtime):
    """Junk on the socket is counted and harms nobody."""
    import msgspec
    import zmq

    from tracing.record import Batch

    relay = Relay(runtime, store.url).ready()
    try:
        with zmq.Context() as context, context.socket(zmq.DEALER) as socket:
            socket.setsockopt(zmq.LINGER, 1000)
            socket.connect(relay.settings.address)
            socket.send(b"\xc1 zqxjk")
            strange = msgspec.Raw(msgspec.msgpack.encode({"is": "transcript", "text": "zqxjk"}))
            socket.send(msgspec.msgpack.encode(Batch(sender="x", number=1, records=[strange], offered=1)))
            assert socket.poll(5000)
        ledger = relay.ledger()
        assert relay.handle.ask().refused == 1
        assert ledger.dropped == {"undecodable": 1}
        assert ledger.adds_up
    finally:
        relay.stop()
    nothing_raw(store, runtime)


def test_a_second_relay_leaves_the_first_alone(store, runtime):
    """One relay per directory; whoever comes second ends at once and well."""
    relay = Relay(runtime, store.url).ready()
    try:
        second = Relay(runtime, store.url)
        assert second.handle.process.wait(30) == 0
        assert relay.ledger().adds_up
    finally:
        relay.stop()
