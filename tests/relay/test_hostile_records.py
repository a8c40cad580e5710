"""Records no agent of ours would write: each costs itself alone, the relay goes on, and nothing comes again for ever."""

from __future__ import annotations

import json
import sqlite3
import time

import msgspec
import pytest

from phi_guard import load_policy
from phi_guard.detect.patterns import PatternDetector
from phi_guard.gate import Gate
from phi_guard.policy import shipped
from phi_guard.switch import FileSwitch
from tracing.identity import new_id
from tracing.record import Ack, AgentTurn, Batch, CallOpened, ToolCall, UserTurn
from tracing.relay import span
from tracing.relay.intake import LOST_S, Answer, Ask, Intake
from tracing.relay.ledger import read_ledger
from tracing.relay.outbox import Outbox

HERE = "relay"
encode = msgspec.msgpack.encode


class Watching(PatternDetector):
    """The patterns, which also tell whether another connection could write while they looked."""

    def __init__(self, path):
        super().__init__()
        self.path, self.locked = path, []

    def find(self, text):
        other = sqlite3.connect(self.path, timeout=0)
        try:
            other.execute("BEGIN IMMEDIATE")
            self.locked.append(False)
        except sqlite3.OperationalError:
            self.locked.append(True)
        finally:
            other.close()
        return super().find(text)


@pytest.fixture
def intake(tmp_path):
    switch = FileSwitch(tmp_path / "switch.json")
    switch.turn_on("a test")
    outbox = Outbox(tmp_path / "outbox.sqlite3")
    gate = Gate(load_policy(shipped("clinic.yaml")), Watching(tmp_path / "outbox.sqlite3"))
    yield Intake(outbox=outbox, gate=gate, switch=switch, pricing=None, project="project", env="dev", here=HERE)
    outbox.close()


def record(kind=UserTurn, **facts):
    key = new_id()
    start = time.time_ns()
    whole = {"call": key, "id": key, "at": ((start, key),), **facts}
    return kind(**whole)


def send(intake, *records, number=1, offered=None):
    """Send a batch of calls whose consent is known."""
    with intake.outbox.writing():
        for one in records:
            if not isinstance(one, bytes):
                intake.outbox.note_consent(one.call, "granted")
    raw = [msgspec.Raw(r if isinstance(r, bytes) else encode(r)) for r in records]
    offered = len(raw) if offered is None else offered
    return intake.take(encode(Batch(sender="agent", number=number, records=raw, offered=offered)))


HOSTILE = {
    "no place in the trace": record(at=()),
    "a start no database holds": record(CallOpened, at=((2**63, new_id()),)),
    "a start beyond that": record(CallOpened, at=((2**64 - 1, new_id()),)),
    "a start long ago": record(CallOpened, at=((-(2**63), new_id()),)),
    "an end no clock knows": record(end_ns=2**64 - 1),
    "a first sound no clock knows": record(AgentTurn, outcome="answered", first_audio_ns=-(2**63), responses=1),
    "tokens without end": record(AgentTurn, outcome="answered", input_text=2**64 - 1, responses=1),
    "no number": record(audio_ms=float("nan")),
    "too large a number": record(audio_ms=float("inf")),
    "an id that is none": record(id="' OR 1=1 --\0"),
    "a tool nobody knows": record(ToolCall, tool="../x\0", status="ok", output="{" * 64_000),
    "nothing at all": b"\xc0",
    "text that is no text": b"\x83\xa2is\xabcall_opened\xa4call\xa2\xed\xa0\xa2id\xa1x",
}


@pytest.mark.parametrize("hostile", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_record_costs_itself_alone(intake, hostile):
    """The batch is acknowledged, what stands beside it is stored, and every operation is accounted for."""
    beside = record(), record()
    answer = send(intake, beside[0], hostile, beside[1])
    assert msgspec.msgpack.decode(answer, type=Ack) == Ack(number=1)
    assert {row.span for row in intake.outbox.pending(10)} >= {r.id for r in beside}
    ledger = read_ledger(intake.outbox, HERE)
    assert ledger.adds_up
    assert (ledger.offered, ledger.pending + sum(ledger.dropped.values())) == (3, 3)
    intake.end_lost(time.monotonic())
    intake.end_lost(time.monotonic() + 2 * LOST_S)


def test_a_record_that_cannot_be_told_is_counted_and_not_asked_for_again(intake, monkeypatch):
    """Whatever fault of ours a record meets, it is dropped with a reason; a fault of the disk is not the record's."""
    told = span.payload_of

    def payload_of(record, **facts):
        if isinstance(record, CallOpened):
            raise RuntimeError(record.call)  # noqa: TRY004  # any fault, not one of type
        return told(record, **facts)

    monkeypatch.setattr("tracing.relay.intake.payload_of", payload_of)
    assert send(intake, record(), record(CallOpened), record()) is not None
    ledger = read_ledger(intake.outbox, HERE)
    assert (ledger.pending, ledger.dropped) == (2, {"relay_fault": 1})
    assert intake.outbox.open_calls() == []

    def full(record, **facts):
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr("tracing.relay.intake.payload_of", full)
    with pytest.raises(sqlite3.OperationalError):
        send(intake, record(), number=2)
    assert read_ledger(intake.outbox, HERE).dropped == {"relay_fault": 1}


def test_a_batch_that_comes_again_is_stored_once(intake):
    """Also one of which a part had been stored when the relay ended."""
    records = [record(), b"\xc0", record(ToolCall, tool="book_appointment", status="ok", output="mild cough")]
    send(intake, *records[:2], offered=3)
    for _ in range(2):
        assert send(intake, *records, offered=3) is not None
    ledger = read_ledger(intake.outbox, HERE)
    assert (ledger.offered, ledger.pending, ledger.dropped) == (3, 2, {"undecodable": 1})


def test_a_long_look_at_a_text_keeps_nobody_from_the_outbox(intake):
    """Detectors take seconds over a long text; the shipper writes down meanwhile what was delivered."""
    assert send(intake, record(ToolCall, tool="book_appointment", status="ok", output="mild cough")) is not None
    detector = intake.gate._detector
    assert detector.locked
    assert not any(detector.locked)


@pytest.mark.parametrize(
    "data", [b"", b"\x91" * 100_000, b"\x81\xa1x" + b"\x91" * 1_000_000, b"\x81\xa6sender\xa2\xed\xa0", encode({"sender": 1}), b"\xff" * 99]
)
def test_bytes_that_are_no_message_are_counted_and_let_go(intake, data):
    """The socket is open to every process of this user."""
    assert intake.read(data) is None
    assert intake.answer(data, intake.outbox) is None
    assert intake.refused == 1
    assert msgspec.msgpack.decode(intake.answer(encode(Ask()), intake.outbox), type=Answer).refused == 1


def test_an_opening_of_another_version_does_not_stop_the_relay(intake):
    """What an older relay stored of a call, and this one cannot read, is closed."""
    intake.outbox.open_call("old", "agent", b"\x81\xa2is\xa3old")
    intake.end_lost(time.monotonic())
    intake.end_lost(time.monotonic() + 2 * LOST_S)
    assert intake.outbox.open_calls() == []


LITERALS = {
    "parentheses": "(" * 32_000 + ")" * 32_000,
    "brackets": "[" * 32_000 + "]" * 32_000,
    "signs": "[" + "-" * 63_990 + "1]",
    "sums": "[" + "1+" * 31_000 + "1]",
    "attributes": "[a" + ".b" * 31_000 + "]",
    "calls": "[a" + "()" * 31_000 + "]",
    "choices": "[" + "1if 1else " * 6_000 + "1]",
    "a long number": "[" + "9" * 63_000 + "]",
    "one hash": "{" + ",".join(str(n * (2**61 - 1)) for n in range(1, 3_000)) + "}",
    "unhashable": "{[]: 1}",
    "escapes": "['" + "\\d" * 31_000 + "']",
    "no end": "['" + "\n" * 63_000,
    "nul": "[\0]",
    "half a character": '["\ud800"]',
}


@pytest.mark.parametrize("text", LITERALS.values(), ids=LITERALS)
def test_reading_a_tools_text_is_quick_and_quiet(text, recwarn):
    """Sixty-four thousand characters of whatever a tool may return: no crash, no warning, no exception, no minute."""
    began = time.monotonic()
    span._parse(text)
    assert time.monotonic() - began < 5
    assert not recwarn.list


@pytest.mark.parametrize("text", [" {'patient': 'zqxjk'}", "{'patient': 'zqxjk', 'at': datetime.date(2027, 3, 15)}", "[Booking('zqxjk')]"])
def test_a_result_in_braces_is_no_free_text(intake, text):
    """A dict's ``repr`` is read as a dict; one that holds what cannot be read is not sent at all."""
    send(intake, record(ToolCall, tool="book_appointment", status="ok", output=text))
    (row,) = intake.outbox.pending(10)
    assert b"zqxjk" not in row.body
    assert json.loads(row.body)["outputs"]
