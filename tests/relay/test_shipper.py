"""The shipper over a real outbox, a real gate and a real switch: order, batches, halving, waiting, halting, and the last look's trip."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import stat
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from shipping import Endpoint, cleared_call, fill, open_gate, states, wait_until

from phi_guard import disclosure_chain as chain
from phi_guard.errors import DeliveryError, DeliveryHalted, DeliveryRefused, LeakSeen
from phi_guard.outbound.langsmith import LangSmithSink
from phi_guard.outbound.memory import MemorySink
from phi_guard.outbound.sink import Posting
from phi_guard.switch import FileSwitch, SwitchError
from tracing.relay import shipper as module
from tracing.relay.disclosure import DisclosureLog
from tracing.relay.outbox import Outbox
from tracing.relay.shipper import BATCH, Shipper

POSTING = Posting("memory", (), (), 1, 1, 1, "")


class Picky:
    """A sink that takes or refuses by what it is told for each posting; it keeps what it took, and how much was in each posting."""

    def __init__(self, faults=(), poison=()):
        self.faults, self.poison = list(faults), set(poison)
        self.taken, self.sizes = [], []

    def deliver(self, batch, witness):
        witness.intend(POSTING)
        self.sizes.append((len(batch), sum(len(cleared.body) for cleared in batch)))
        fault = self.faults.pop(0) if self.faults else None
        if fault is not None:
            witness.settle(fault.code)
            raise fault
        if any(cleared.body in self.poison for cleared in batch):
            witness.settle("http_422")
            raise DeliveryRefused("http_422")
        witness.settle("http_202")
        self.taken += [cleared.body for cleared in batch]


@pytest.fixture(scope="module")
def gate():
    return open_gate()


@pytest.fixture(scope="module")
def calls(gate):
    """The operations of three calls, one after the other."""
    return [row for _ in range(3) for row in cleared_call(gate, tools=2)]


@pytest.fixture
def place(tmp_path):
    place = tmp_path / "relay"
    place.mkdir(mode=0o700)
    return place


def made(place, gate, sink, rows):
    """A shipper over an outbox with these operations, and its outbox; driven turn by turn, without its thread."""
    switch = FileSwitch(place / "switch.json")
    if not switch.path.exists():
        switch.turn_on("a test")
    fill(place / "outbox.sqlite3", rows)
    return Shipper(place / "outbox.sqlite3", gate, sink, switch), Outbox(place / "outbox.sqlite3"), switch


def turns(shipper, outbox, most=400):
    """Turns until nothing is left to do."""
    for _ in range(most):
        shipper._turn(outbox)
        if shipper.state == "idle":
            return
    raise AssertionError(shipper.state)


def alerts(place):
    path = place / "alerts.jsonl"
    return [json.loads(line)["code"] for line in path.read_text().splitlines()] if path.exists() else []


# -- order, batches, halving -----------------------------------------------------------------------------------------------------------

_faults = st.one_of(
    st.none(),
    st.sampled_from(["connection", "http_500", "timeout"]).map(DeliveryError),
    st.just("http_401").map(DeliveryHalted),
    st.sampled_from(["http_413", "http_422"]).map(DeliveryRefused),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(faults=st.lists(_faults, max_size=30), data=st.data())
def test_whatever_is_refused_the_order_holds_and_the_books_agree(tmp_path_factory, gate, calls, faults, data):
    """No update is taken before its span's create was taken or dropped, nothing is lost, and nothing is dropped that was not poison."""
    place = tmp_path_factory.mktemp("relay")
    poison = data.draw(st.sets(st.sampled_from([cleared.body for *_, cleared in calls]), max_size=3))
    sink = Picky(faults, poison)
    shipper, outbox, _ = made(place, gate, sink, calls)
    try:
        turns(shipper, outbox)
    finally:
        outbox.close()
        shipper._disclosures.close()
    told = states(place / "outbox.sqlite3")
    assert sum(told.values()) == len(calls)
    assert told.pop(("delivered", "")) == len(sink.taken)
    alone = sum(n for (state, reason), n in told.items() if state == "dropped" and reason in {"http_413", "http_422"})
    assert alone == sum(told.values())
    assert poison.isdisjoint(sink.taken)
    assert len(set(sink.taken)) == len(sink.taken)
    order = [cleared.body for *_, cleared in calls if cleared.body in set(sink.taken)]
    assert sink.taken == order
    assert chain.verify(place).holds


def test_a_poisoned_create_is_dropped_and_its_update_still_shows_the_span(place, gate, calls):
    """An update carries its whole run: id, order, name, times."""
    span = next(span for span, op, _, _ in calls if op == "update")
    create, update = (next(c.body for s, op, _, c in calls if s == span and op == which) for which in ("create", "update"))
    sink = Picky(poison=[create])
    shipper, outbox, _ = made(place, gate, sink, calls)
    turns(shipper, outbox)
    outbox.close()
    assert states(place / "outbox.sqlite3") == {("delivered", ""): len(calls) - 1, ("dropped", "http_422"): 1}
    assert update in sink.taken
    told = json.loads(update)
    assert {"id", "trace_id", "dotted_order", "name", "start_time", "run_type"} <= told.keys()


def test_a_posting_is_bounded_in_operations_and_in_bytes(place, gate, calls, monkeypatch):
    """At most a hundred operations; and no more bytes than the limit, but for one operation that is longer by itself."""
    many = [row for _ in range(12) for row in cleared_call(gate, tools=8)]
    longest = max(len(cleared.body) for *_, cleared in many)
    sink = Picky()
    shipper, outbox, _ = made(place, gate, sink, many)
    shipper._turn(outbox)
    assert sink.sizes[0][0] == BATCH
    monkeypatch.setattr(module, "BATCH_BYTES", longest - 1)
    turns(shipper, outbox)
    outbox.close()
    assert len(sink.taken) == len(many)
    assert all(n == 1 or size <= longest - 1 for n, size in sink.sizes[1:])
    assert (1, longest) in sink.sizes[1:]


def test_what_the_gate_does_not_know_is_not_sent(place, gate, calls):
    """Cleared under another policy, or by another key: dropped, each for its own reason."""
    sink = MemorySink()
    shipper, outbox, _ = made(place, gate, sink, calls)
    outbox._db.execute("UPDATE ops SET policy = ? WHERE seq = 1", ("0" * 16,))
    outbox._db.execute("UPDATE ops SET name = 'session.end' WHERE seq = 2")
    turns(shipper, outbox)
    outbox.close()
    told = states(place / "outbox.sqlite3")
    assert told == {("delivered", ""): len(calls) - 2, ("dropped", "stale_policy"): 1, ("dropped", "seal_broken"): 1}
    assert len(sink.bodies) == len(calls) - 2


# -- waiting and halting ----------------------------------------------------------------------------------------------------------------


def test_waits_grow_within_bounds_and_are_drawn_from_all_of_them(place, gate, calls):
    """Full jitter: between nothing and a bound that doubles up to half a minute."""
    sink = Picky([DeliveryError("http_500")] * 300)
    shipper, outbox, _ = made(place, gate, sink, calls)
    waits = [shipper._turn(outbox) for _ in range(300)]
    outbox.close()
    for n, wait in enumerate(waits):
        assert 0 <= wait <= min(30.0, 2.0**n)
    late = waits[10:]
    assert min(late) < 3
    assert max(late) > 27
    assert states(place / "outbox.sqlite3") == {("pending", ""): len(calls)}


@pytest.mark.parametrize(("asked", "least", "most"), [(4.0, 4.0, 5.0), (0.0, 0.0, 1.0), (86_400.0, 300.0, 301.0)])
def test_we_wait_as_long_as_we_are_asked_within_bounds(place, gate, calls, asked, least, most):
    """Retry-After is heeded, never for more than five minutes."""
    shipper, outbox, _ = made(place, gate, Picky([DeliveryError("http_429", asked)]), calls)
    assert least <= shipper._turn(outbox) <= most
    assert shipper.state == "waiting_http_429"
    outbox.close()


def test_refused_as_who_we_are_we_ask_rarely_with_one_operation(place, gate, calls):
    """A wrong key gets no second batch; an alert says so once, in a file of its owner's; and all is kept and goes when it is right."""
    sink = Picky([DeliveryHalted("http_401")] * 6)
    shipper, outbox, _ = made(place, gate, sink, calls)
    waits = []
    for _ in range(6):
        waits.append(shipper._turn(outbox))
        shipper._alert()
    assert shipper.state == "halted_http_401"
    assert waits == [30.0, 60.0, 120.0, 240.0, 300.0, 300.0]
    assert [n for n, _ in sink.sizes] == [len(calls), 1, 1, 1, 1, 1]
    assert alerts(place) == ["halted_http_401"]
    assert stat.S_IMODE((place / "alerts.jsonl").stat().st_mode) == 0o600
    turns(shipper, outbox)
    shipper._alert()
    assert len(sink.taken) == len(calls)
    sink.faults = [DeliveryHalted("http_401")]
    fill(place / "outbox.sqlite3", cleared_call(gate))
    shipper._turn(outbox)
    shipper._alert()
    outbox.close()
    assert alerts(place) == ["halted_http_401"] * 2


def test_what_cannot_be_written_down_is_not_sent(place, gate, calls):
    """Another process holds the disclosure log: nothing leaves, the state says why, and all goes once it is free."""
    with Endpoint() as endpoint:
        shipper, outbox, _ = made(place, gate, LangSmithSink(endpoint.url, "k"), calls)
        held = os.open(place / chain.LOG, os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(held, fcntl.LOCK_EX)
        shipper._turn(outbox)
        shipper._alert()
        assert (shipper.state, alerts(place)) == ("waiting_disclosure", ["waiting_disclosure"])
        assert endpoint.arrived == []
        os.close(held)
        turns(shipper, outbox)
        outbox.close()
        assert states(place / "outbox.sqlite3") == {("delivered", ""): len(calls)}
        assert len(endpoint.arrived) == chain.verify(place).postings == 1


def test_each_posting_is_in_the_book_before_it_leaves(place, gate, calls):
    """Endpoint and book agree, posting by posting, also on those that were refused."""
    with Endpoint((500, {}), (429, {}), "reset") as endpoint:
        shipper, outbox, _ = made(place, gate, LangSmithSink(endpoint.url, "k"), calls)
        turns(shipper, outbox)
        outbox.close()
        entries = [json.loads(line) for _, line in chain.read(place)]
        assert [e["outcome"] for e in entries if e["event"] == "outcome"] == ["http_500", "http_429", "connection", "http_202"]
        intents = [e for e in entries if e["event"] == "intent"]
        assert len(intents) == len(endpoint.arrived) == 4
        body = endpoint.arrived[-1].partition(b"\r\n\r\n")[2]
        assert (intents[-1]["bytes"], intents[-1]["body_sha256"]) == (len(body), hashlib.sha256(body).hexdigest())
        assert (intents[-1]["operations"], intents[-1]["calls"]) == (len(calls), 3)
        assert b"Zqxjk" not in (place / chain.LOG).read_bytes()
        assert chain.verify(place).holds


# -- the last look's trip -----------------------------------------------------------------------------------------------------------------


class Seer(Picky):
    """A sink whose last look meets one span."""

    def __init__(self, span):
        super().__init__()
        self.span = span

    def deliver(self, batch, witness):
        if any(json.loads(cleared.body)["id"] == self.span for cleared in batch):
            raise LeakSeen("phone", {self.span})
        super().deliver(batch, witness)


def test_a_leak_turns_the_switch_off_until_a_person_turns_it_on(place, gate, calls):
    """Off, with the rule's name for a reason; all is quarantined; on again nothing goes by itself, and released what was met stays."""
    span = calls[3][0]
    mine = sum(row[0] == span for row in calls)
    sink = Seer(span)
    shipper, outbox, switch = made(place, gate, sink, calls)
    for _ in range(3):
        shipper._turn(outbox)
        shipper._alert()
    assert (shipper.state, sink.taken) == ("off_last_look_phone", [])
    assert (switch.state().on, switch.state().reason) == (False, "last look: phone")
    held = {("quarantined", "leak"): len(calls) - mine, ("quarantined", "last_look"): mine}
    assert states(place / "outbox.sqlite3") == held
    assert alerts(place) == ["off_last_look_phone"]
    switch.turn_on("looked at", release="0" * 64)
    turns(shipper, outbox)
    assert (sink.taken, states(place / "outbox.sqlite3")) == ([], held)
    assert outbox.release() == len(calls) - mine
    turns(shipper, outbox)
    outbox.close()
    assert states(place / "outbox.sqlite3") == {("delivered", ""): len(calls) - mine, ("quarantined", "last_look"): mine}


def test_a_switch_that_cannot_be_turned_off_stops_us_all_the_same(place, gate, calls):
    """The file may be out of reach; our own hands are not."""
    span = calls[3][0]
    sink = Seer(span)
    shipper, outbox, switch = made(place, gate, sink, calls)

    def refuse(*_):
        raise SwitchError("cannot be written, nor removed")

    shipper._switch = SimpleNamespace(state=switch.state, turn_off=refuse)
    for _ in range(5):
        shipper._turn(outbox)
    outbox.close()
    assert switch.state().on
    assert (shipper.state, sink.taken) == ("off_last_look_phone", [])


def test_the_thread_follows_an_outbox_that_is_replaced(place, gate, calls):
    """A damaged file is put aside while it runs: what is stored in the one that stands in its place is sent."""
    sink = MemorySink()
    shipper, outbox, _ = made(place, gate, sink, calls)
    outbox.close()
    shipper.start()
    try:
        wait_until(lambda: len(sink.bodies) == len(calls))
        more = cleared_call(gate)
        fill(place / "next.sqlite3", more)
        for part in ("-wal", "-shm", ""):
            if (held := place / f"outbox.sqlite3{part}").exists():
                held.rename(place / f"aside.sqlite3{part}")
        (place / "next.sqlite3").rename(place / "outbox.sqlite3")
        wait_until(lambda: len(sink.bodies) == len(calls) + len(more), 60)
    finally:
        shipper.stop(2)
    assert not shipper.is_alive()


def test_a_stop_ships_what_waits_and_does_not_wait_out_a_failure(place, gate, calls):
    """Idle with something new: it goes. Waiting after a failure: it ends at once."""
    sink = MemorySink()
    shipper, outbox, _ = made(place, gate, sink, calls)
    outbox.close()
    shipper.start()
    shipper.stop(10)
    assert len(sink.bodies) == len(calls)
    second = place / "second"
    second.mkdir()
    picky = Picky([DeliveryHalted("http_401")] * 99)
    shipper, outbox, _ = made(second, gate, picky, calls)
    outbox.close()
    shipper.start()
    wait_until(lambda: shipper.state == "halted_http_401")
    shipper.stop(10)
    assert not shipper.is_alive()
    assert len(picky.sizes) == 1


def test_the_log_lets_go_when_the_thread_ends(place, gate, calls):
    """The next relay can take it up."""
    shipper, outbox, _ = made(place, gate, MemorySink(), calls)
    outbox.close()
    shipper.start()
    shipper.stop(10)
    log = DisclosureLog(place)
    log.intend(POSTING)
    log.close()
