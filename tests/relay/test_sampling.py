"""Sampling: a trace is there whole or not at all, what went wrong is always there, and the ledger says where the rest is."""

from __future__ import annotations

import time
from collections import Counter
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from fakes import Relay, Store, call_records, until
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom
from shipping import open_gate

from audit.crosscheck import check, not_drawn
from audit.population import Counting
from audit.source import Window
from phi_guard.gate import Gate
from phi_guard.switch import FileSwitch
from tracing.identity import new_id
from tracing.record import Ack, AgentTurn, Batch, CallClosed, CallEnded, Consent, ToolCall
from tracing.recorder import Recorder
from tracing.relay.clock import Hands
from tracing.relay.database import put_aside
from tracing.relay.draws import HELD
from tracing.relay.intake import Intake
from tracing.relay.ledger import read_ledger
from tracing.relay.outbox import DELIVERED, DROPPED, Limits, Outbox
from tracing.relay.retention import HELD_S, tidy
from tracing.relay.sampling import ABSENT_S, Sampling, is_drawn
from tracing.settings import read_settings

HERE = "relay"
ALMOST_NONE = Sampling(rate=1e-9, from_calls_per_day=0)
"""No plain call is drawn; whatever is sent is sent by a rule."""
encode = msgspec.msgpack.encode
change = msgspec.structs.replace


@pytest.fixture(scope="module")
def gate():
    return open_gate()


class Time:
    """Hands of a clock that a test moves."""

    def __init__(self):
        self.wall, self.steady = time.time(), 1000.0

    def hands(self):
        return Hands(lambda: self.wall, lambda: self.steady, "a", "1")

    def pass_seconds(self, seconds):
        self.wall += seconds
        self.steady += seconds


class Bench:
    """An intake under sampling, and a sink that takes all that it may be given."""

    def __init__(self, directory, gate, sampling=ALMOST_NONE, env="dev"):
        self.gate, self.sampling, self.env, self.directory = gate, sampling, env, directory
        self.switch = FileSwitch(directory / "switch.json")
        self.switch.turn_on("a test")
        self.clock = Time()
        self.sent = []
        self.intake = None
        self.numbers = Counter()
        self.restart()

    def restart(self, sampling=None, limits=None):
        """Another relay with the same files: what it had in memory is gone, what was not acknowledged comes again."""
        if self.intake is not None:
            self.outbox.close()
        self.sampling = sampling or self.sampling
        self.outbox = Outbox(self.directory / "outbox.sqlite3", limits or Limits(), hands=self.clock.hands())
        self.intake = Intake(
            outbox=self.outbox, gate=self.gate, switch=self.switch, pricing=None, project="project", env=self.env, here=HERE,
            sampling=self.sampling,
        )  # fmt: skip

    def take(self, records, number=0, sender="agent", offered=10_000, **told):
        """Whether a batch is acknowledged."""
        if not number:
            self.numbers[sender] += 1
            number = self.numbers[sender]
        batch = Batch(sender=sender, number=number, records=[msgspec.Raw(encode(one)) for one in records], offered=offered, **told)
        reply = self.intake.take(encode(batch))
        return reply is not None and msgspec.msgpack.decode(reply, type=Ack).number == number

    def deliver(self):
        """What the shipper would send, sent; how many operations."""
        rows = self.outbox.pending(10_000)
        self.sent += [(row, msgspec.json.decode(row.body)) for row in rows]
        self.outbox.settle([row.seq for row in rows], DELIVERED)
        return len(rows)

    def whole(self):
        """By trace that was sent, how many operations of it."""
        return Counter(body["trace_id"] for _, body in self.sent)

    def rates(self, call):
        """What the root's end says of the rate."""
        ends = [body for row, body in self.sent if body["id"] == call and row.kind == "span_update"]
        return [body["extra"]["metadata"].get("sampling_rate") for body in ends]

    def ledger(self):
        return read_ledger(self.outbox, HERE)


@pytest.fixture
def bench(tmp_path, gate):
    made = Bench(tmp_path, gate)
    yield made
    made.outbox.close()


def turn_of(records, **facts):
    """An agent turn in a call of these records, which then count one more."""
    root = records[0].at[0]
    key = new_id()
    turn = AgentTurn(
        call=root[1], id=key, at=(root, (time.time_ns(), key)), end_ns=time.time_ns(), **{"outcome": "answered", "ttft_ms": 900.0} | facts
    )
    return counted([*records[:3], turn, *records[3:]])


def counted(records):
    """The same call, whose end says how many operations it has."""
    told = {"offered": len(records)}
    return [change(record, **told) if isinstance(record, CallEnded | CallClosed) else record for record in records]


def altered(kind, **facts):
    """A call in which one record of a kind says otherwise."""
    return [change(record, **facts) if type(record) is kind else record for record in call_records()]


# -- what is drawn -----------------------------------------------------------------------------------------------------------------


def test_the_share_that_is_drawn_is_the_rate():
    """Over 2,000 calls, within what chance allows in one of a million; and both environments draw apart."""
    calls = [f"{n:032x}" for n in range(2_000)]
    for env in ("dev", "prod"):
        for rate in (0.05, 0.2, 0.9):
            drawn = sum(is_drawn(env, call, rate) for call in calls)
            assert binom.ppf(5e-7, 2_000, rate) <= drawn <= binom.ppf(1 - 5e-7, 2_000, rate), (env, rate)
    assert {call for call in calls if is_drawn("dev", call, 0.2)} != {call for call in calls if is_drawn("prod", call, 0.2)}


def test_a_higher_rate_draws_what_a_lower_one_does():
    """So a rate that is raised tears no series of calls apart; and at 1 every call is drawn."""
    calls = [new_id() for _ in range(500)]
    few, many = ({call for call in calls if is_drawn("prod", call, rate)} for rate in (0.1, 0.5))
    assert few < many
    assert all(is_drawn("prod", call, 1.0) for call in calls)


def test_two_relays_draw_alike(tmp_path, gate):
    """What one sends another would send as well, whatever else it has seen."""
    calls = [call_records(tools=0) for _ in range(30)]
    sent = []
    for name, order in (("one", calls), ("two", calls[::-1])):
        (tmp_path / name).mkdir()
        bench = Bench(tmp_path / name, gate, Sampling(rate=0.5, from_calls_per_day=0))
        for records in order:
            assert bench.take(records)
        bench.deliver()
        sent.append(set(bench.whole()))
        bench.outbox.close()
    assert sent[0] == sent[1]
    assert 0 < len(sent[0]) < 30


# -- one call ----------------------------------------------------------------------------------------------------------------------


def test_a_plain_call_waits_for_its_end_and_is_counted_as_sampled(bench):
    """Nothing of it leaves before, nothing of it leaves after, and it is no loss."""
    records = call_records()
    assert bench.take(records[:-1], offered=len(records))
    assert bench.deliver() == 0
    assert bench.ledger().pending == len(records)
    assert bench.take(records[-1:], offered=len(records))
    assert bench.deliver() == 0
    ledger = bench.ledger()
    assert (ledger.offered, ledger.sampled, ledger.pending, ledger.dropped) == (len(records), len(records), 0, {})
    assert ledger.adds_up
    (left,) = bench.outbox.base.db.execute("SELECT count(*) FROM ops").fetchone()
    assert left == 0


def test_a_call_that_is_drawn_goes_whole_and_says_with_which_chance(tmp_path, gate):
    """The rate stands at the end of the root, so that whoever counts can weigh it."""
    bench = Bench(tmp_path, gate, Sampling(rate=0.999999, from_calls_per_day=0))
    records = call_records()
    assert bench.take(records[:4], offered=len(records))
    assert bench.deliver() == 0
    assert bench.take(records[4:], offered=len(records))
    assert bench.deliver() == len(records)
    assert bench.rates(records[0].call) == [0.999999]
    assert bench.ledger().delivered == len(records)
    bench.outbox.close()


REMARKABLE = {
    "tool-error": lambda: altered(ToolCall, status="error", error_type="ToolError", error_message="tool_raised"),
    "tool-cancelled": lambda: altered(ToolCall, status="cancelled"),
    "model-error": lambda: turn_of(call_records(), error_message="response_failed"),
    "failed-turn": lambda: turn_of(call_records(), outcome="failed"),
    "silent-turn": lambda: turn_of(call_records(), outcome="silent"),
    "slow-turn": lambda: turn_of(call_records(), ttft_ms=3000.1),
    "errors-counted": lambda: altered(CallEnded, errors=1),
    "reconnected": lambda: altered(CallEnded, reconnects=1),
    "dropped-by-agent": lambda: altered(CallEnded, dropped=1),
    "session-error": lambda: altered(CallClosed, error_message="session_error"),
    "ended-in-error": lambda: altered(CallClosed, reason="error"),
    "refused": lambda: altered(Consent, consent="refused"),
    "no-word-of-ours": lambda: altered(Consent, consent="perhaps"),
    "records-missing": lambda: altered(CallClosed, offered=8),
}


@pytest.mark.parametrize("make", REMARKABLE.values(), ids=REMARKABLE)
def test_what_is_to_be_remarked_is_always_sent(bench, make):
    """Also where no plain call ever is; it had the chance 1, and that is what its end says."""
    records = make()
    assert bench.take(records, offered=len(records))
    assert bench.deliver() == len(records)
    assert bench.rates(records[0].call) == [1.0]
    assert bench.ledger().sampled == 0
    assert bench.ledger().adds_up


def test_a_turn_at_the_bound_is_not_slow(bench):
    """Nor is one without a time."""
    for facts in ({"ttft_ms": 3000.0}, {"ttft_ms": None}, {"outcome": "interrupted"}):
        assert bench.take(turn_of(call_records(), **facts))
    assert bench.deliver() == 0


def test_what_goes_wrong_sends_the_call_at_once(bench):
    """Not only at its end, so that whoever looks sees it while it goes on."""
    records = altered(ToolCall, status="error", error_type="ToolError", error_message="tool_raised")
    assert bench.take(records[:3])
    assert bench.deliver() == 0
    assert bench.take(records[3:4])
    assert bench.deliver() == 4
    assert bench.take(records[4:])
    assert bench.deliver() == len(records) - 4


def test_a_call_of_which_something_is_withheld_is_sent(tmp_path):
    """A gate that withholds everything is what somebody must see."""
    bench = Bench(tmp_path, Gate(None, None, shut="policy_unreadable"))
    records = call_records()
    assert bench.take(records, offered=len(records))
    assert bench.deliver() == len(records)
    assert bench.ledger().withheld == len(records)
    bench.outbox.close()


def test_a_call_of_which_something_cannot_be_read_is_sent(bench):
    """The record belongs to no call that is known; that one is missing, its call's end says."""
    records = call_records()
    raw = [msgspec.Raw(encode(one)) for one in records]
    raw[3] = msgspec.Raw(encode({"is": "nothing of ours"}))
    assert bench.intake.take(encode(Batch(sender="agent", number=1, records=raw, offered=len(raw)))) is not None
    assert bench.deliver() == len(records) - 1
    assert bench.ledger().dropped == {"undecodable": 1}
    assert bench.ledger().adds_up


def test_a_call_whose_agent_is_lost_is_sent(bench):
    """The relay ends it, and it is not drawn but kept."""
    assert bench.take(call_records(finished=False), offered=4)
    now = time.monotonic()
    bench.intake.end_lost(now)
    bench.intake.end_lost(now + 1_000)
    assert bench.deliver() == 7
    assert bench.ledger().adds_up
    assert {body["extra"]["metadata"].get("reason") for _, body in bench.sent} >= {"agent_lost"}


def test_few_calls_a_day_are_all_sent(tmp_path, gate):
    """From the bound on calls are drawn; a day later there are few again."""
    bench = Bench(tmp_path, gate, Sampling(rate=1e-9, from_calls_per_day=3))
    calls = [call_records(tools=0) for _ in range(6)]
    for records in calls:
        assert bench.take(records)
        assert bench.deliver() in {0, len(records)}
    assert set(bench.whole()) == {records[0].call for records in calls[:3]}
    assert bench.rates(calls[0][0].call) == [1.0]
    with bench.outbox.writing():
        bench.outbox.base.db.execute("UPDATE draw_hours SET hour = strftime('%Y-%m-%dT%H', 'now', '-25 hours')")
    later = call_records(tools=0)
    assert bench.take(later)
    assert bench.deliver() == len(later)
    bench.outbox.close()


def test_a_day_is_the_clocks_hour_and_the_23_before_it(bench, monkeypatch):
    """A call of ten past ten counts until ten the next day, as one of ten to eleven does: 23 to 24 hours, and not longer."""
    now = datetime(2026, 11, 20, 10, 10, tzinfo=UTC)

    def at(moment):
        monkeypatch.setattr("tracing.relay.draws.time.time", moment.timestamp)
        return bench.outbox.calls_begun()

    for minutes in (0, 40):
        at(now + timedelta(minutes=minutes))
        with bench.outbox.writing():
            bench.outbox.begin_draw(f"call-{minutes}", HELD)
    assert at(now + timedelta(hours=23, minutes=49, seconds=59)) == 2
    assert at(now + timedelta(hours=23, minutes=50)) == 0


def test_what_waits_is_cleared_and_the_end_of_a_call_that_is_not_drawn_is_not(tmp_path, gate):
    """Nothing lies in the outbox that was not through the gate; and the gate has no work with what goes nowhere."""
    seen = []

    class Watched:
        def __getattr__(self, name):
            return getattr(gate, name)

        def clear(self, payload):
            seen.append(payload.name)
            return gate.clear(payload)

    bench, records = Bench(tmp_path, Watched()), call_records()
    assert bench.take(records[:-1], offered=len(records))
    assert len(seen) == len(records) - 1
    assert bench.take(records[-1:], offered=len(records))
    assert bench.ledger().sampled == len(records)
    assert len(seen) == len(records) - 1
    bench.outbox.close()


def test_a_long_call_is_sent(bench):
    """It is held for two hours and no longer, and what follows goes as it comes."""
    records = call_records()
    assert bench.take(records[:4])
    bench.clock.pass_seconds(HELD_S - 60)
    tidy(bench.outbox, HERE)
    assert bench.deliver() == 0
    bench.clock.pass_seconds(120)
    tidy(bench.outbox, HERE)
    assert bench.deliver() == 4
    assert bench.take(records[4:])
    assert bench.deliver() == len(records) - 4
    assert bench.rates(records[0].call) == [1.0]


def test_a_call_without_a_consent_is_sent(bench):
    """Even one that says nothing but that it was: nobody knows what was agreed to."""
    opened, *_, closed = call_records()
    assert bench.take([opened, change(closed, offered=2)])
    assert bench.deliver() == 2


def test_a_call_of_which_something_is_dropped_here_is_sent(bench):
    """Whatever the reason."""
    records = call_records()
    assert bench.take(records[:4])
    (seq,) = bench.outbox.base.db.execute("SELECT max(seq) FROM ops").fetchone()
    bench.outbox.settle([seq], DROPPED, "seal_broken")
    assert bench.take(records[4:], offered=len(records))
    assert bench.deliver() == len(records) - 1
    assert bench.ledger().adds_up


def test_what_is_passed_over_is_found_when_it_may_go(bench):
    """The shipper does not look at what is held again and again; whatever comes free, and however, it finds."""
    held, kept, old = call_records(), call_records(), call_records()
    for records in (old, held, kept):
        assert bench.take(records[:4])
        assert bench.deliver() == 0
    assert bench.outbox.passed()[0] == bench.outbox.passed()[1] > 0
    assert bench.take([change(kept[4], errors=1)])
    assert bench.deliver() == 5
    new = altered(ToolCall, status="error")
    assert bench.take(new)
    assert bench.deliver() == len(new)
    bench.outbox.follow(bench.switch.state())
    bench.switch.turn_off("a test")
    bench.outbox.follow(bench.switch.state())
    bench.switch.turn_on("a test")
    bench.outbox.follow(bench.switch.state())
    assert bench.deliver() == 0
    bench.outbox.release()
    bench.clock.pass_seconds(HELD_S + 1)
    tidy(bench.outbox, HERE)
    assert bench.deliver() == 8


def test_a_call_is_not_held_until_it_is_dropped_for_waiting(bench):
    """Where little time is given to what waits, no more than half of it is spent on waiting for the call's end."""
    bench.restart(limits=Limits(ttl_s=600))
    assert bench.take(call_records()[:4])
    bench.clock.pass_seconds(301)
    tidy(bench.outbox, HERE)
    assert bench.deliver() == 4


# -- beside other rules ------------------------------------------------------------------------------------------------------------


def test_without_sampling_nothing_is_held_and_nothing_said(tmp_path, gate):
    """As it always was; the trace has no word of a rate."""
    bench = Bench(tmp_path, gate, Sampling())
    records = call_records()
    for record in records:
        assert bench.take([record])
        assert bench.deliver() == 1
    assert bench.rates(records[0].call) == [None]
    bench.outbox.close()


def test_a_call_that_had_begun_to_be_sent_is_sent_to_its_end(tmp_path, gate):
    """A relay that samples takes over from one that did not: no trace is torn."""
    bench = Bench(tmp_path, gate, Sampling())
    records = call_records()
    assert bench.take(records[:4])
    assert bench.deliver() == 4
    bench.restart(ALMOST_NONE)
    assert bench.take(records[4:])
    assert bench.deliver() == len(records) - 4
    bench.outbox.close()


def test_what_waited_when_the_switch_went_off_is_kept_for_a_person(bench):
    """It is quarantined, not let go: whether it leaves is no longer ours to draw."""
    plain, torn = call_records(), call_records()
    assert bench.take(plain[:4])
    assert bench.take(torn[:4])
    bench.switch.turn_off("a test")
    bench.outbox.follow(bench.switch.state())
    assert bench.take(torn[4:6])
    bench.switch.turn_on("a test")
    bench.outbox.follow(bench.switch.state())
    assert bench.take(plain[4:])
    assert bench.take(torn[6:], offered=len(plain) + len(torn))
    assert bench.deliver() == len(plain) - 4 + len(torn) - 6
    ledger = bench.ledger()
    assert (ledger.quarantined, ledger.dropped, ledger.sampled) == (8, {"switch_off": 2}, 0)
    assert ledger.adds_up
    assert bench.outbox.release() == 8
    assert bench.deliver() == 8


def test_what_is_held_counts_as_what_waits(bench):
    """So the bounds of the outbox hold: it is full of what is held, and takes no new call."""
    bench.restart(limits=Limits(ops=4))
    first, second = call_records(finished=False), call_records(finished=False)
    assert bench.take(first)
    assert bench.take(second)
    assert bench.ledger().dropped == {"quota": len(second)}
    assert bench.deliver() == 0


def test_what_comes_again_of_a_call_that_was_not_drawn_changes_nothing(bench):
    """A batch that is sent again because its acknowledgement was lost; and a record nobody counted goes the same way."""
    records = call_records()
    assert bench.take(records, number=1, offered=len(records))
    assert bench.take(records, number=1, offered=len(records))
    assert bench.ledger().sampled == len(records)
    more = turn_of(records)[3]
    assert bench.take([more], offered=len(records) + 1)
    assert bench.ledger().sampled == len(records) + 1
    assert bench.ledger().adds_up
    assert bench.deliver() == 0


def test_an_end_waits_for_what_is_under_way(bench, monkeypatch):
    """The batch that holds the error comes after the one that holds the end; but nobody waits for ever."""
    records = altered(ToolCall, status="error", error_type="ToolError", error_message="tool_raised")
    assert bench.take(records[:3], number=1)
    assert not bench.take(records[4:], number=3)
    assert bench.deliver() == 0
    assert bench.take(records[3:4], number=2)
    assert bench.take(records[4:], number=3)
    assert bench.deliver() == len(records)

    lost = call_records()
    assert bench.take(lost[:3], number=4)
    assert not bench.take(lost[4:], number=6)
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + ABSENT_S + 1)
    assert bench.take(lost[4:], number=6)
    assert bench.deliver() == len(lost) - 1
    assert bench.rates(lost[0].call) == [1.0]


# -- what the audit says of it -------------------------------------------------------------------------------------------------------


def read_back(bench, leave_out=()):
    """What a reading of the store would have: each run once, as its last operation left it."""
    runs = {body["id"]: (row.name, body) for row, body in bench.sent}
    counting = Counting()
    for key, (name, body) in runs.items():
        if key not in leave_out:
            counting.add(body, name)
    return counting


def whole_window():
    now = datetime.now(UTC)
    return Window(now - timedelta(days=3), now + timedelta(minutes=10))


def test_the_cross_check_misses_no_call_that_was_not_drawn(bench):
    """It is told as what it is: so many calls were not drawn. A run that was sent and is gone is still missed."""
    calls = [*(call_records() for _ in range(5)), altered(CallEnded, errors=1), altered(CallEnded, errors=1)]
    for records in calls:
        assert bench.take(records, offered=sum(map(len, calls)))
    bench.deliver()
    found = check(bench.directory, read_back(bench), whole_window())
    assert (found.expected, found.matched, found.missing, found.unexpected) == (10, 10, 0, 0)
    assert not_drawn(bench.directory, whole_window()) == 5
    gone = calls[-1][3].id
    assert check(bench.directory, read_back(bench, {gone}), whole_window()).missing == 1


def test_what_is_gone_is_missed_when_the_account_has_forgotten_its_calls(bench):
    """Two hours later it has the marks alone: those of calls that were not drawn are told apart from those of runs that are gone."""
    calls = [call_records(), altered(CallEnded, errors=1)]
    for records in calls:
        assert bench.take(records, offered=sum(map(len, calls)))
    bench.deliver()
    bench.clock.pass_seconds(2.5 * 3600)
    tidy(bench.outbox, HERE)
    assert check(bench.directory, read_back(bench), whole_window()).missing == 0
    assert check(bench.directory, read_back(bench, {calls[1][3].id}), whole_window()).missing == 1
    bench.clock.pass_seconds(30 * 3600)
    tidy(bench.outbox, HERE)
    assert bench.outbox.base.db.execute("SELECT count(*) FROM draw_marks").fetchone() == (0,)
    assert bench.outbox.draw_of(calls[0][0].call) == ""
    assert not_drawn(bench.directory, whole_window()) == 1


def test_an_account_of_an_earlier_release_has_no_samples(bench):
    """Nor has one that cannot be read any that are known."""
    records = altered(CallEnded, errors=1)
    assert bench.take(records, offered=len(records))
    bench.deliver()
    for table in ("draws", "draw_hours", "draw_marks"):
        bench.outbox.base.db.execute(f"DROP TABLE {table}")
    assert not_drawn(bench.directory, whole_window()) == 0
    found = check(bench.directory, read_back(bench), whole_window())
    assert (found.missing, found.unexpected) == (0, 0)
    (bench.directory / "no.sqlite3").write_bytes(b"nothing of ours")
    assert not_drawn(bench.directory / "no.sqlite3", whole_window()) is None
    assert not_drawn(bench.directory / "nowhere", whole_window()) is None


def test_a_damaged_outbox_forgets_no_draw(bench):
    """What is carried over goes on to be held; what had not been drawn is not sent after all."""
    out, held = call_records(), call_records()
    assert bench.take(out)
    assert bench.take(held[:4], offered=11)
    path = bench.directory / "outbox.sqlite3"
    bench.outbox.close()
    bench.intake = None
    put_aside(path, "a test", bench.clock.hands())
    bench.restart()
    assert bench.outbox.draw_of(out[0].call) == "out"
    assert bench.take(held[4:], number=3, offered=len(out) + len(held))
    assert bench.deliver() == 0
    assert bench.ledger().sampled == len(out) + len(held)
    assert bench.ledger().adds_up


# -- any order, and real processes ---------------------------------------------------------------------------------------------------

FLAWS = (None, None, "tool-error", "slow-turn", "errors-counted", "ended-in-error", "refused", "records-missing")


@settings(max_examples=20)
@given(data=st.data())
def test_any_order_of_records_batches_and_restarts(gate, tmp_path_factory, data):
    """Each trace is whole or absent, what is to be remarked is there, what was drawn is, and the ledger is exact."""
    bench = Bench(tmp_path_factory.mktemp("any"), gate, Sampling(rate=0.5, from_calls_per_day=0))
    flaws = data.draw(st.lists(st.sampled_from(FLAWS), min_size=1, max_size=3))
    calls = [call_records() if flaw is None else REMARKABLE[flaw]() for flaw in flaws]
    turns = data.draw(st.permutations([n for n, records in enumerate(calls) for _ in records]))
    queues = [list(records) for records in calls]
    line = [queues[n].pop(0) for n in turns]
    size = data.draw(st.integers(1, 6))
    batches = {n + 1: line[first : first + size] for n, first in enumerate(range(0, len(line), size))}
    while batches:
        step = data.draw(st.sampled_from(("oldest", "oldest", "later", "again", "deliver", "restart")))
        number = min(batches) if step != "later" else data.draw(st.sampled_from(sorted(batches)[:4]))
        if step == "restart":
            bench.restart()
        elif step == "deliver":
            bench.deliver()
        else:
            acknowledged = bench.take(batches[number], number=number, offered=len(line))
            if acknowledged and step != "again":
                del batches[number]
    bench.deliver()
    sent, ledger = bench.whole(), bench.ledger()
    for records, flaw in zip(calls, flaws, strict=True):
        call = records[0].call
        assert sent[call] in {0, len(records)}
        if flaw is not None or is_drawn("dev", call, 0.5):
            assert sent[call] == len(records), flaw
        assert len(bench.rates(call)) == (sent[call] > 0)
    assert ledger.adds_up
    assert (ledger.offered, ledger.pending, ledger.dropped) == (len(line), 0, {})
    assert ledger.sampled == sum(len(records) for records in calls if not sent[records[0].call])
    bench.outbox.close()


@pytest.mark.parametrize("rate", ["0.00009", "0", "1.01", "-1", "nan", "half"])
def test_a_rate_that_nobody_could_weigh_is_refused(rate, monkeypatch):
    """Whoever reads the traces lets one stand for ten thousand calls at most; a rate below that would make every figure too high."""
    monkeypatch.setenv("PHI_GUARD_SAMPLING_RATE", rate)
    with pytest.raises(ValueError, match="PHI_GUARD_SAMPLING_RATE: write a"):
        read_settings()
    monkeypatch.setenv("PHI_GUARD_SAMPLING_RATE", "0.0001")
    assert read_settings().sampling.rate == 1e-4


def test_a_relay_that_is_killed_and_one_that_does_not_sample(tmp_path, monkeypatch):
    """Real processes: what was held when one was killed is held by the next, and decided alike; one without sampling lets all go."""
    monkeypatch.setenv("PHI_GUARD_SAMPLING_RATE", "0.5")
    monkeypatch.setenv("PHI_GUARD_SAMPLING_FROM_CALLS_PER_DAY", "0")
    store = Store(tmp_path)
    try:
        relay = Relay(tmp_path / "run", store.url).ready()
        assert relay.settings.sampling == Sampling(0.5, 3000.0, 0)
        recorder = Recorder(relay.settings.address)
        plain = [call_records(tools=0) for _ in range(12)]
        broken = [counted([*records[:-1], change(records[-1], reason="error")]) for records in (call_records(tools=0) for _ in range(4))]
        calls, going_on = [*plain, *broken], call_records(tools=0, finished=False)
        for records in [*calls, going_on]:
            recorder.open_call(records[0].call)
        for record in [record for records in calls for record in records[:3]]:
            recorder.record(record)
        assert recorder.drain(60)
        assert relay.ledger().pending == 3 * len(calls)
        for record in [record for records in calls for record in records[3:]]:
            recorder.record(record)
        relay.kill()  # in the middle of what it stores, or before

        relay = Relay(tmp_path / "run", store.url).ready()
        for record in going_on:
            recorder.record(record)
        assert recorder.drain(60)
        until(lambda: relay.ledger().pending == len(going_on), 60)
        drawn = {records[0].call for records in plain if is_drawn("dev", records[0].call, 0.5)}
        expected = drawn | {records[0].call for records in broken}
        runs = Counter(run["trace_id"] for run in store.runs())
        assert runs == dict.fromkeys(expected, 4)
        rates = {run["id"]: run["extra"]["metadata"].get("sampling_rate") for run in store.runs() if run["id"] in expected}
        assert rates == {call: 0.5 if call in drawn else 1.0 for call in expected}
        ledger = relay.ledger()
        assert ledger.sampled == 6 * (len(calls) - len(expected))
        assert ledger.adds_up
        assert ledger.dropped == {}
        relay.kill()

        monkeypatch.delenv("PHI_GUARD_SAMPLING_RATE")
        relay = Relay(tmp_path / "run", store.url).ready()
        until(lambda: Counter(run["trace_id"] for run in store.runs())[going_on[0].call] == len(going_on), 60)
        recorder.close()
        relay.stop()
    finally:
        store.stop()
