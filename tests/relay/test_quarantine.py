"""What waits when the switch goes off is kept and not sent; a person with a report releases it, or it is dropped; the books are exact."""

from __future__ import annotations

import signal
import sqlite3
from contextlib import closing

import msgspec
import pytest
from fakes import Relay, Store, call_records, until
from shipping import cleared_call, fill, open_gate, states

from phi_guard.outbound.memory import MemorySink
from phi_guard.switch import FileSwitch
from phi_guard.switch_state import LEAK, SwitchState, doubt
from tracing.launch import tell_overrun
from tracing.own_cost import Overrun
from tracing.record import Batch
from tracing.recorder import Recorder
from tracing.relay.clock import Hands
from tracing.relay.database import put_aside
from tracing.relay.intake import Intake
from tracing.relay.ledger import read_ledger
from tracing.relay.outbox import Limits, Outbox
from tracing.relay.quarantine import STEP
from tracing.relay.retention import tidy
from tracing.relay.shipper import Shipper

HERE = "relay"
ON = SwitchState(True, "GO", "2026-05-04T10:00:00.000000Z")
AGAIN = SwitchState(True, "GO", "2026-05-04T12:00:00.000000Z")
OFF = SwitchState(False, "by hand", "2026-05-04T11:00:00.000000Z")


@pytest.fixture(scope="module")
def gate():
    return open_gate()


@pytest.fixture(scope="module")
def rows(gate):
    return cleared_call(gate, tools=2)


@pytest.fixture
def place(tmp_path):
    place = tmp_path / "relay"
    place.mkdir(mode=0o700)
    return place


@pytest.fixture
def path(place, rows):
    """An outbox in which a call waits, under a switch that was on."""
    path = place / "outbox.sqlite3"
    fill(path, rows)
    with closing(Outbox(path)) as outbox:
        outbox.follow(ON)
    return path


def test_off_quarantines_what_waits_and_on_does_not_send_it(place, path, gate, rows):
    """By hand, without a hold; what comes after goes."""
    switch, sink = FileSwitch(place / "switch.json"), MemorySink()
    switch.turn_on("GO")
    with closing(Outbox(path)) as outbox:
        outbox.follow(switch.state())
        shipper = Shipper(path, gate, sink, switch)
        assert outbox.pending(100) == []  # the switch has been off since ON, for it is on since later
        more = cleared_call(gate)
        fill(path, more)
        switch.turn_off("by hand")
        shipper._turn(outbox)
        assert states(path) == {("quarantined", "switch_off"): len(rows) + len(more)}
        switch.turn_on("GO")
        last = cleared_call(gate)
        fill(path, last)
        for _ in range(3):
            shipper._turn(outbox)
        assert len(sink.bodies) == len(last)
        assert states(path) == {("quarantined", "switch_off"): len(rows) + len(more), ("delivered", ""): len(last)}
        shipper._disclosures.close()


def test_what_comes_as_soon_as_it_is_on_again_is_sent(place, path, gate, rows):
    """Before the shipper has looked: what waited before is quarantined, what came after is not among it."""
    switch, sink = FileSwitch(place / "switch.json"), MemorySink()
    switch.turn_on("GO")
    with closing(Outbox(path)) as outbox:
        outbox.follow(switch.state())
        fill(path, more := cleared_call(gate))
        intake = Intake(outbox=outbox, gate=gate, switch=switch, pricing=None, project="project", env="dev", here=HERE)
        shipper = Shipper(path, gate, sink, switch)
        switch.turn_off("by hand")
        switch.turn_on("GO")
        last = [msgspec.Raw(msgspec.msgpack.encode(record)) for record in call_records()]
        intake.take(msgspec.msgpack.encode(Batch(sender="agent", number=1, records=last, offered=len(last))))
        for _ in range(3):
            shipper._turn(outbox)
        assert states(path) == {("quarantined", "switch_off"): len(rows) + len(more), ("delivered", ""): len(last)}
        shipper._disclosures.close()


def test_an_off_that_nobody_saw_is_known_by_since_when_it_is_on(path, rows):
    """The relay was dead, or its shipper in the middle of a posting."""
    with closing(Outbox(path)) as outbox:
        outbox.follow(ON)
        assert len(outbox.pending(100)) == len(rows)
        outbox.follow(AGAIN)
        assert outbox.pending(100) == []
    assert states(path) == {("quarantined", "switch_off"): len(rows)}


def test_what_another_thread_stored_after_the_on_is_not_quarantined_by_one_that_looked_before(path, rows, gate):
    """One has read since when it was on and waits for its turn; another follows and stores meanwhile."""
    with closing(Outbox(path)) as slow, closing(Outbox(path)) as quick:
        more = cleared_call(gate)
        writing = slow.base.writing

        def late():
            slow.base.writing = writing
            quick.follow(AGAIN)
            fill(path, more)
            return writing()

        slow.base.writing = late
        slow.follow(AGAIN)
        assert [row.body for row in quick.pending(100)] == [each.body for *_, each in more]
    assert states(path)[("quarantined", "switch_off")] == len(rows)


def test_a_doubt_quarantines_nothing_by_itself(path, rows):
    """A server that does not answer, and on again as it was: nobody turned it off."""
    with closing(Outbox(path)) as outbox:
        outbox.follow(doubt("the server does not answer"))
        outbox.follow(ON)
        assert len(outbox.pending(100)) == len(rows)
        outbox.follow(doubt("the server does not answer"))
        outbox.follow(AGAIN)
        assert outbox.pending(100) == []


def test_the_ledger_counts_it_by_itself_and_adds_up(path, rows):
    """Through all of its ways: quarantined, released, dropped, too old."""
    with closing(Outbox(path)) as outbox:
        n = len(rows)

        def books():
            ledger = read_ledger(outbox, HERE)
            assert ledger.adds_up
            return ledger.pending, ledger.quarantined, ledger.dropped

        assert books() == (n, 0, {})
        outbox.follow(OFF)
        outbox.follow(OFF)
        assert books() == (0, n, {})
        call = read_ledger(outbox, HERE, rows[0][2])
        assert (call.quarantined, call.pending, call.adds_up) == (n, 0, True)
        assert outbox.release(["switch_off"]) == n
        assert books() == (n, 0, {})
        outbox.follow(SwitchState(False, "x", OFF.at, LEAK))
        assert outbox.drop_quarantined(["switch_off"]) == 0
        assert outbox.drop_quarantined([LEAK]) == n
        assert books() == (0, 0, {"quarantined": n})


def test_released_it_keeps_its_order_and_goes_behind_what_waits(path, gate, rows):
    """A root before what hangs below it."""
    with closing(Outbox(path)) as outbox:
        before = [row.body for row in outbox.pending(100)]
        outbox.follow(OFF)
        outbox.follow(AGAIN)
        more = cleared_call(gate)
        fill(path, more)
        outbox.release()
        assert [row.body for row in outbox.pending(100)] == [each.body for *_, each in more] + before
        last = cleared_call(gate)
        fill(path, last)
        assert [row.body for row in outbox.pending(100)][-len(last) :] == [each.body for *_, each in last]


def test_more_than_one_step_is_released_whole(place, gate, rows):
    """In steps, so that the relay stores between two of them."""
    path = place / "outbox.sqlite3"
    copies = [(f"{n}-{span}", op, call, each) for n in range(STEP // len(rows) + 2) for span, op, call, each in rows]
    fill(path, copies)
    with closing(Outbox(path)) as outbox:
        outbox.follow(OFF)
        assert outbox.release() == len(copies) > STEP
        assert len(outbox.pending(10_000)) == len(copies)


def test_what_the_last_look_met_is_never_released(path, rows):
    """Only dropped; the rest of what waited with it may go."""
    with closing(Outbox(path)) as outbox:
        met = outbox.pending(100)[2]
        outbox.note_met([met.seq])
        outbox.note_met([met.seq])
        assert states(path) == {("quarantined", LEAK): len(rows) - 1, ("quarantined", "last_look"): 1}
        assert outbox.release(["last_look", "switch_off", LEAK]) == len(rows) - 1
        assert met.body not in [row.body for row in outbox.pending(100)]
        assert outbox.drop_quarantined(["last_look"]) == 1
        assert read_ledger(outbox, HERE).adds_up


def test_it_grows_old_like_all_that_waits(place, gate, rows):
    """Nothing is kept for ever."""
    now = [1000.0]
    path = place / "outbox.sqlite3"
    hands = Hands(lambda: 1e9 + now[0], lambda: now[0], "boot", "life")
    with closing(Outbox(path, Limits(ttl_s=3600.0), hands=hands)) as outbox:
        outbox.heard("a test", len(rows), {})
        for row in rows:
            outbox.store(*row)
        outbox.follow(OFF)
        now[0] += 3 * 3600
        tidy(outbox, HERE)
        ledger = read_ledger(outbox, HERE)
        assert (ledger.quarantined, ledger.dropped, ledger.adds_up) == (0, {"ttl": len(rows)}, True)
        now[0] += 3600
        tidy(outbox, HERE)
        fill(path, cleared_call(gate))
        assert outbox.pending(100)  # a number once marked is never given again


def test_a_damaged_outbox_carries_it_over_as_it_was(path, gate, rows):
    """And a new one's numbers begin beyond every mark."""
    with closing(Outbox(path)) as outbox:
        met = outbox.pending(100)[0]
        outbox.note_met([met.seq])
    put_aside(path, "a test", Hands())
    assert states(path) == {("quarantined", LEAK): len(rows) - 1, ("quarantined", "last_look"): 1}
    more = cleared_call(gate)
    fill(path, more)
    with closing(Outbox(path)) as outbox:
        assert [row.body for row in outbox.pending(100)] == [each.body for *_, each in more]
        assert read_ledger(outbox, HERE).adds_up


def test_a_new_outboxs_numbers_begin_beyond_every_mark_it_takes_over(path, gate):
    """They begin at random; one below a mark would quarantine what comes."""
    with closing(Outbox(path)) as outbox, outbox.writing():
        outbox.base.db.execute("INSERT INTO quarantines VALUES (?, 'switch_off', '2026-05-04T10:00:00.000000Z')", (2**61,))
    put_aside(path, "a test", Hands())
    more = cleared_call(gate)
    fill(path, more)
    with closing(Outbox(path)) as outbox:
        assert len(outbox.pending(100)) == len(more)


def test_an_outbox_of_the_release_before_is_taken_over(path, rows):
    """It has no such tables; they are added."""
    with closing(sqlite3.connect(path)) as db:
        db.executescript("DROP TABLE quarantines; DROP TABLE met;")
    with closing(Outbox(path)) as outbox:
        outbox.follow(OFF)
        assert read_ledger(outbox, HERE).quarantined == len(rows)


def test_a_refusal_heard_later_takes_the_content_of_what_is_quarantined_too(path, gate, rows):
    """The skeleton stands in its place, and the books agree."""
    with closing(Outbox(path)) as outbox:
        outbox.follow(OFF)
        before = outbox.waiting(rows[0][2])
        for seq, *_ in before:
            outbox.withhold(seq, rows[0][3], "consent_refused")
        assert outbox.waiting(rows[0][2]) == []
        ledger = read_ledger(outbox, HERE)
        assert (ledger.quarantined, ledger.adds_up) == (len(before), True)
        assert {(state, withheld) for state, _, withheld, _ in outbox.counts()} == {("quarantined", "consent_refused")}


def test_it_outlives_the_relay_that_is_told_who_acts_and_trips_on_an_agents_complaint(tmp_path):
    """The real relay: acknowledges on and off; SIGKILL, off, on, again; nothing of what waited leaves. An overrun turns it off, held."""
    store = Store(tmp_path)
    runtime = tmp_path / "relay"
    runtime.mkdir(mode=0o700)
    store.fail(status=503, remaining=10_000, retry_after="300")
    relay = Relay(runtime, store.url).ready()
    recorder = Recorder(relay.settings.address)
    switch = relay.switch
    try:
        until(lambda: [w for w in switch.workers() if w.acts_on(switch.state())], 10)
        n = 0
        for record in call_records():
            recorder.record(record)
            n += 1
        assert recorder.drain(30)
        until(lambda: relay.ledger().pending == n, 30)
        until(lambda: switch.workers()[0].pending == n, 10)
        relay.kill()
        store.fail(status=503, remaining=0)
        switch.turn_off("by hand")
        switch.turn_on("by hand")
        relay = Relay(runtime, store.url).ready()
        ledger = relay.ledger()
        assert (ledger.quarantined, ledger.pending, ledger.adds_up) == (n, 0, True)
        for record in call_records():
            recorder.record(record)
        assert recorder.drain(30)
        until(lambda: relay.ledger().delivered == n, 30)
        assert relay.ledger().quarantined == n
        switch.turn_off("once more")
        until(lambda: all(w.acts_on(switch.state()) and not w.on for w in switch.workers()), 10)
        (worker,) = switch.workers()
        assert (worker.label, worker.quarantined, len(worker.id)) == ("relay", n, 32)
        switch.turn_on("once more")
        tell_overrun(relay.settings.address, Overrun(slow=3, of=100, limit_us=5000, slowest_us=9000))
        until(lambda: switch.state().hold == "overhead", 10)
        assert not switch.state().on
        relay.handle.process.send_signal(signal.SIGTERM)
        until(lambda: switch.workers() == (), 20)
    finally:
        recorder.close()
        relay.stop()
        store.stop()
