"""Whoever refuses is not told of: the call's spans go out as bare skeletons, in whatever order its records come."""

from __future__ import annotations

import json
import sqlite3

import msgspec
import pytest
from fakes import Relay, Store, call_records

from phi_guard import load_policy
from phi_guard.detect.patterns import PatternDetector
from phi_guard.gate import Gate
from phi_guard.policy import shipped
from phi_guard.switch import FileSwitch
from tracing.record import Ack, Batch, Consent, GuardrailClosed, ToolCall
from tracing.recorder import Recorder
from tracing.relay import intake as intake_module
from tracing.relay.intake import Intake
from tracing.relay.ledger import read_ledger
from tracing.relay.outbox import Outbox

HERE = "relay"
OPEN = {"voice_session", "policy.guardrail"}
encode = msgspec.msgpack.encode


class Counting(PatternDetector):
    """The patterns, which also count how often they looked."""

    looks = 0

    def find(self, text):
        self.looks += 1
        return super().find(text)


def opened(tmp_path):
    switch = FileSwitch(tmp_path / "switch.json")
    switch.turn_on("a test")
    gate = Gate(load_policy(shipped("clinic.yaml")), Counting(), key=b"k" * 32)
    return Intake(Outbox(tmp_path / "outbox.sqlite3"), gate, switch, None, "project", "dev", HERE)


@pytest.fixture
def intake(tmp_path):
    intake = opened(tmp_path)
    yield intake
    intake.outbox.close()


def send(intake, records, number=1, offered=100):
    raw = [msgspec.Raw(encode(record)) for record in records]
    reply = intake.take(encode(Batch(sender="agent", number=number, records=raw, offered=offered)))
    return reply is not None and msgspec.msgpack.decode(reply, type=Ack).number == number


def with_consent(records, opening, closing=None):
    told = {Consent: opening, GuardrailClosed: closing or opening}
    return [msgspec.structs.replace(one, consent=told[type(one)]) if type(one) in told else one for one in records]


def without_consent(records):
    return [one for one in records if not isinstance(one, Consent | GuardrailClosed)]


def fails():
    raise sqlite3.OperationalError("database or disk is full")


def seen(intake):
    """Name and metadata of what waits."""
    return [(row.name, json.loads(row.body)) for row in intake.outbox.pending(1000)]


def all_bare(found):
    rest = [body for name, body in found if name not in OPEN]
    return bool(rest) and all(
        set(body["extra"]["metadata"]) == {"trace_id", "thread_id", "withheld"}
        and body["extra"]["metadata"]["withheld"] == "consent_refused"
        and not body["inputs"]
        and not body.get("outputs")
        for body in rest
    )


@pytest.mark.parametrize("consent", ["refused", "withdrawn", "Granted", ""])
def test_a_refusal_leaves_skeletons(intake, consent):
    """And so does a word that is none of ours; root and guardrail say what happened."""
    records = with_consent(call_records(tools=3), consent)
    assert send(intake, records)
    found = seen(intake)
    assert len(found) == len(records)
    assert all_bare(found)
    assert sum(name in OPEN for name, _ in found) == 4
    assert intake.gate._detector.looks == 0
    ledger = read_ledger(intake.outbox, HERE, records[0].call)
    assert (ledger.pending, ledger.adds_up) == (len(records), True)
    intake.outbox.settle([row.seq for row in intake.outbox.pending(100)], "delivered")
    assert read_ledger(intake.outbox, HERE).withheld == len(records) - 4


@pytest.mark.parametrize("consent", ["granted", "not_asked"])
def test_other_consent_tells(intake, consent):
    """No span is withheld."""
    send(intake, with_consent(call_records(), consent))
    assert not any("withheld" in body["extra"]["metadata"] for _, body in seen(intake))


def test_what_comes_before_its_consent_waits_for_it(intake):
    """A batch that came first is not acknowledged; sent again behind the refusal, nothing of it is told."""
    records = with_consent(call_records(tools=2), "refused")
    assert not send(intake, records[2:], 2)
    assert {name for name, _ in seen(intake)} <= OPEN
    assert send(intake, records[:2], 1)
    assert send(intake, records[2:], 2)
    found = seen(intake)
    assert len(found) == len(records)
    assert all_bare(found)


def test_a_relay_that_ends_in_between_opens_no_hole(tmp_path):
    """The refusal is in the outbox, and not in the relay's memory."""
    records = with_consent(call_records(tools=2), "refused")
    first = opened(tmp_path)
    assert send(first, records[:2], 1)
    first.outbox.close()
    second = opened(tmp_path)
    assert send(second, records[2:], 2)
    assert all_bare(seen(second))
    second.outbox.close()


def test_a_consent_that_never_comes_withholds(intake, monkeypatch):
    """Dropped by the agent, say, or gone with an outbox: nobody knows, so nothing is told."""
    records = without_consent(call_records(tools=2))
    assert not send(intake, records, 2)  # the first may have been sent to a relay before this one
    monkeypatch.setattr(intake_module, "HOLD_S", -1.0)
    assert send(intake, records, 2)
    assert all_bare(seen(intake))
    assert intake.gate._detector.looks == 0


def test_a_call_without_a_consent_does_not_hold_up_the_others(intake):
    """All batches before it are stored, so its consent never comes: what is beside it and behind it is stored and acknowledged at once."""
    lost, other = without_consent(call_records(tools=2)), call_records(tools=1)
    assert send(intake, [*lost, *other])
    bare = [body["extra"]["metadata"].get("withheld") for _, body in seen(intake) if body["trace_id"] == lost[0].call]
    assert bare.count("consent_refused") == len(lost) - 2
    assert not [body for _, body in seen(intake) if body["trace_id"] == other[0].call and "withheld" in body["extra"]["metadata"]]


def test_a_batch_that_could_not_be_stored_may_tell_the_consent(intake, monkeypatch):
    """The disk was full when it came; and likewise one that was never seen, where a later one was."""
    records = call_records(tools=2)
    with monkeypatch.context() as full:
        full.setattr(intake.outbox, "writing", fails)
        with pytest.raises(sqlite3.OperationalError):
            send(intake, records[:2], 1)
    assert not send(intake, records[2:], 2)
    assert send(intake, records[:2], 1)
    assert send(intake, records[2:], 2)
    late = call_records(tools=1)
    assert not send(intake, late[2:], 4)
    assert send(intake, late[:2], 3)
    assert send(intake, late[2:], 4)
    assert not any("withheld" in body["extra"]["metadata"] for _, body in seen(intake))


def test_a_damaged_outbox_does_not_take_the_consents_with_it(intake):
    """What the calls that go on consented to is known to the relay itself."""
    told, refused = call_records(tools=1), with_consent(call_records(tools=1), "refused")
    send(intake, [*told[:2], *refused[:2]], 1)
    with intake.outbox.writing():
        intake.outbox.base.db.execute("DELETE FROM calls")
    assert send(intake, [*told[2:], *refused[2:]], 2)
    bare = {body["trace_id"] for _, body in seen(intake) if "withheld" in body["extra"]["metadata"]}
    assert bare == {refused[0].call}


def test_a_refusal_at_the_end_takes_back_what_waits(intake):
    """Consent withdrawn while the call went on: what is not yet sent goes without its content, and nothing makes up for it later."""
    records = with_consent(call_records(tools=2), "granted", "refused")
    assert send(intake, records[:-2], 1)
    assert not all_bare(seen(intake))
    assert send(intake, records[-2:], 2)
    assert all_bare(seen(intake))
    again = msgspec.structs.replace(records[1], id="0190-again", consent="granted")
    tool = msgspec.structs.replace(next(one for one in records if isinstance(one, ToolCall)), id="0190-late")
    send(intake, [again, tool], 3)
    assert intake.outbox.consent(records[0].call) == "refused"
    assert all_bare(found := [(name, body) for name, body in seen(intake) if body["id"] != "0190-late"])
    assert len(found) >= len(records)
    ledger = read_ledger(intake.outbox, HERE)
    assert ledger.adds_up


def test_a_refusal_heard_while_the_switch_is_off_still_holds(intake):
    """Its record is dropped with all others, its word is not."""
    records = with_consent(call_records(tools=1), "refused")
    send(intake, records[:1], 1)
    intake.switch.turn_off("a test")
    send(intake, records[1:2], 2)
    intake.switch.turn_on("a test")
    send(intake, records[2:], 3)
    assert all_bare(seen(intake))


def test_a_refused_call_through_the_whole_relay(tmp_path):
    """With a real relay and a real store: names, ids and times arrive, and nothing of what was said."""
    runtime = tmp_path / "relay"
    store = Store(tmp_path)
    relay = Relay(runtime, store.url).ready()
    recorder = Recorder(relay.settings.address)
    try:
        records = with_consent(call_records(tools=2), "refused")
        for record in records:
            recorder.record(record)
        assert recorder.drain(30)
        ledger = relay.settle()
    finally:
        recorder.close()
        relay.stop()
        store.stop()
    assert ledger.adds_up
    assert (ledger.delivered, ledger.withheld, ledger.dropped) == (4, len(records) - 4, {})
    runs = {run["name"]: run for run in store.runs()}
    assert runs["policy.guardrail"]["extra"]["metadata"]["consent"] == "refused"
    assert runs["voice_session"]["end_time"]
    tool = runs["tool.book_appointment"]
    assert (tool["inputs"], tool["extra"]["metadata"]["withheld"]) == ({}, "consent_refused")
    assert "duration_ms" not in tool["extra"]["metadata"]
