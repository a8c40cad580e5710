"""What the relay keeps of a call that has begun, and what becomes of a call that began while nothing could be sent."""

from __future__ import annotations

import msgspec
from fakes import Relay, Store, call_records, until

from phi_guard.detect.patterns import PatternDetector
from phi_guard.gate import Gate
from phi_guard.policy import load_policy, shipped
from phi_guard.switch import FileSwitch
from tracing.record import Batch
from tracing.recorder import Recorder
from tracing.relay.intake import Intake
from tracing.relay.ledger import read_ledger
from tracing.relay.outbox import Outbox


def intake(tmp_path):
    switch = FileSwitch(tmp_path / "switch.json")
    switch.turn_on("a test")
    gate = Gate(load_policy(shipped("clinic.yaml")), PatternDetector())
    return Intake(Outbox(tmp_path / "outbox.sqlite3"), gate, switch, None, "medical-voice-agent-dev", "dev", "relay")


def send(to, records, number):
    raw = [msgspec.Raw(msgspec.msgpack.encode(record)) for record in records]
    to.take(msgspec.msgpack.encode(Batch(sender="a", number=number, records=raw, offered=100)))


def test_nothing_uncleared_is_kept_on_disk_of_a_call_that_has_begun(tmp_path):
    """Versions and ids are texts too: what has not the envelope's shape is not written."""
    relay = intake(tmp_path)
    opened, consent, *_ = call_records(finished=False)
    opened = msgspec.structs.replace(opened, agent_version="Zqxjk 079 555 12 34", room_sid="sip_+41795551234")
    consent = msgspec.structs.replace(consent, consent_version="as told by Zqxjk")
    send(relay, [opened, consent], 1)
    assert [bool(row[2]) for row in relay.outbox.open_calls()] == [True]
    relay.outbox.close()
    held = b"".join(path.read_bytes() for path in tmp_path.iterdir() if path.is_file())
    assert b"Zqxjk" not in held
    assert b"5551234" not in held


def test_a_call_that_began_while_the_switch_was_off_stays_dark(tmp_path):
    """Its later spans would have no root: they are counted with it."""
    relay = intake(tmp_path)
    records = call_records()
    relay.switch.turn_off("a test")
    send(relay, records[:2], 1)
    relay.switch.turn_on("a test")
    send(relay, records[2:], 2)
    send(relay, call_records(), 3)
    ledger = read_ledger(relay.outbox, "relay")
    assert ledger.dropped == {"switch_off": len(records)}
    assert len(relay.outbox.pending(100)) == len(records)
    relay.outbox.close()


def test_an_endpoint_that_is_not_there_halts_and_loses_nothing(tmp_path):
    """A wrong address says nothing about the spans: they wait until a person has looked."""
    runtime = tmp_path / "relay"
    runtime.mkdir(mode=0o700)
    store = Store(tmp_path)
    relay = Relay(runtime, store.url).ready()
    recorder = Recorder(relay.settings.address)
    try:
        store.fail(status=404, remaining=-1, match="/runs")
        for record in call_records():
            recorder.record(record)
        assert recorder.drain(20)
        until(lambda: relay.handle.ask().state == "halted_http_404", 10)
        assert relay.ledger().dropped == {}
    finally:
        recorder.close()
        relay.stop()
        store.stop()
