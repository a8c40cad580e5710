"""Media of a call: windows out of real statistics, a caller's packet believed only where it fits, nothing raised into the agent."""

from __future__ import annotations

import asyncio
import gc
import json
import math
import tracemalloc
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from livekit import rtc
from livekit.rtc._proto import stats_pb2
from livekit.rtc.event_emitter import EventEmitter

from phi_guard.envelope import METADATA
from phi_guard.policy.compiled import Number, OneOf
from tracing.media import APART_S, TOPIC, Media, parse
from tracing.quality import Reading, Series, Side, Window, between, read

GOOD = b'{"v":1,"rtt_ms":41.5,"jitter_ms":3,"loss_pct":0.25}'


def heard(received, lost, jitter=0.003, ssrc=7, kind="audio"):
    """An audio stream as it arrives."""
    entry = stats_pb2.RtcStats()
    entry.inbound_rtp.stream.ssrc, entry.inbound_rtp.stream.kind = ssrc, kind
    told = entry.inbound_rtp.received
    told.packets_received, told.packets_lost, told.jitter = received, lost, jitter
    return entry


def echoed(total_s, times, ssrc=9):
    """The media server's report on an audio stream that the agent sends."""
    entry = stats_pb2.RtcStats()
    entry.remote_inbound_rtp.stream.ssrc, entry.remote_inbound_rtp.stream.kind = ssrc, "audio"
    told = entry.remote_inbound_rtp.remote_inbound
    told.total_round_trip_time, told.round_trip_time_measurements, told.round_trip_time = total_s, times, 0.0
    return entry


def path(rtt_s, answers, used=1_000, nominated=True):
    """A network path."""
    entry = stats_pb2.RtcStats()
    told = entry.candidate_pair.candidate_pair
    told.nominated, told.responses_received, told.current_round_trip_time = nominated, answers, rtt_s
    told.last_packet_received_timestamp = used
    return entry


def address():
    """A candidate, with the caller's IP address."""
    entry = stats_pb2.RtcStats()
    entry.remote_candidate.candidate.address = "203.0.113.77"
    return entry


def both(publisher=(), subscriber=()):
    """What a room answers."""
    return SimpleNamespace(publisher_stats=list(publisher), subscriber_stats=list(subscriber))


class Room(EventEmitter):
    """A room with LiveKit's own event emitter; ``answer`` gives its statistics, or raises."""

    def __init__(self, answer=lambda n: both()):
        super().__init__()
        self.answer, self.asked, self.running, self.most = answer, 0, 0, 0
        self.local_participant = SimpleNamespace(identity="agent", kind=4)
        self.remote_participants = {}

    def enter(self, identity="caller", kind=0):
        someone = SimpleNamespace(identity=identity, kind=kind)
        self.remote_participants[identity] = someone
        return someone

    async def get_rtc_stats(self):
        self.asked += 1
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            told = self.answer(self.asked)
            return await told if asyncio.iscoroutine(told) else told
        finally:
            self.running -= 1

    def send(self, data, participant, topic=TOPIC):
        self.emit("data_received", rtc.DataPacket(data=data, kind=0, participant=participant, topic=topic))


class Clock:
    """Seconds that pass when told."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def follow(room, readings, seconds=20.0):
    """Open on a loop, wait for that many readings, close."""

    async def run():
        media = Media(room, every_s=0.1)
        media.open()
        async with asyncio.timeout(seconds):
            while room.asked < readings:
                await asyncio.sleep(0.01)
        await asyncio.sleep(0)
        told = media.close()
        await asyncio.sleep(0.01)
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return told, media

    return asyncio.run(run())


def listening(**how):
    """A media follower that listens to a room with a caller; it reads no statistics."""
    room, clock = Room(**how), Clock()
    room.get_rtc_stats = None
    media = Media(room, clock=clock)
    media.open()
    return room, clock, media, room.enter()


# -- windows ---------------------------------------------------------------------------------------------------------------------------


def test_windows_are_what_two_readings_differ_by():
    """The first reading is only the base; each next gives the mean round trip, the jitter at its end and the loss in between."""
    told = [
        both([echoed(9.0, 10), address()], [heard(1000, 500, 0.9)]),
        both([echoed(9.3, 12)], [heard(1095, 505, 0.004), address()]),
        both([echoed(9.35, 13)], [heard(1195, 505, 0.002)]),
    ]
    summary, media = follow(Room(lambda n: told[min(n, 3) - 1]), 3)
    assert media.skipped == media.faults == 0
    assert summary == {
        "agent_rtt_ms_p50": 50.0, "agent_rtt_ms_p95": 150.0, "agent_rtt_ms_max": 150.0,
        "agent_jitter_ms_p50": 2.0, "agent_jitter_ms_p95": 4.0, "agent_jitter_ms_max": 4.0,
        "agent_loss_pct_p50": 0.0, "agent_loss_pct_p95": 5.0, "agent_loss_pct_max": 5.0,
        "agent_media_windows": 2,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("before", "after", "window"),
    [
        # nothing came: an old jitter and no loss are not told again
        (both([], [heard(10, 2)]), both([], [heard(10, 2)]), Window()),
        # counters went back: the stream began anew
        (both([], [heard(900, 90)]), both([], [heard(90, 10, 0.001)]), Window(None, 1.0, 10.0)),
        # the caller's track was made anew, under another SSRC
        (both([], [heard(900, 90, ssrc=1)]), both([], [heard(75, 25, 0.001, ssrc=2)]), Window(None, 1.0, 25.0)),
        # packets thought lost came late after all
        (both([], [heard(100, 8)]), both([], [heard(150, 5)]), Window(None, 3.0, 0.0)),
        # a track that begins in the middle of a call adds to the loss
        (both([], [heard(100, 0)]), both([], [heard(190, 0), heard(0, 10, ssrc=8)]), Window(None, 3.0, 10.0)),
        # video is not the caller's voice
        (both(), both([], [heard(10, 10, kind="video")]), Window()),
        # no echo in this window: the path's last probe; without a new answer it is old and not told
        (both([echoed(1, 5), path(0.02, 4)]), both([echoed(1, 5), path(0.03, 5)]), Window(30.0, None, None)),
        (both([path(0.02, 4)]), both([path(0.02, 4)]), Window()),
        # an echo before a probe
        (both(), both([echoed(0.4, 10), path(0.02, 4)]), Window(40.0)),
        # two who speak: the worse jitter
        (both(), both([], [heard(10, 0, 0.001, 1), heard(10, 0, 0.009, 2), heard(10, 0, 0.002, 3)]), Window(None, 9.0, 0.0)),
        # the publisher's path before the subscriber's; of several the last used; one not nominated never
        (both(), both([path(0.02, 4), path(0.05, 90, used=10), path(0.09, 9, used=2000, nominated=False)], [path(0.5, 1)]), Window(20.0)),
        (both(), both([], [path(0.5, 1)]), Window(500.0)),
        # a path that was never answered
        (both(), both([path(0.0, 0)]), Window()),
        # the echo's counters began anew
        (both([echoed(50, 100)]), both([echoed(0.08, 2)]), Window(40.0)),
        # before the first report the field says 0: that is no round trip of 0
        (both(), both([echoed(0, 0)]), Window()),
        # what no call can be is not believed
        (both(), both([echoed(1e9, 1)], [heard(10, 0, 1e9)]), Window(None, None, 0.0)),
        (both(), both([echoed(math.nan, 1), path(math.inf, 1)], [heard(10, 0, math.nan)]), Window(None, None, 0.0)),
    ],
)
def test_counters_that_jump(before, after, window):
    """Resets, new tracks, late packets and values that no call can have."""
    told = between(read(before), read(after))
    expected = (window.rtt_ms, window.jitter_ms, window.loss_pct)
    assert (told.rtt_ms, told.jitter_ms, told.loss_pct) == tuple(map(pytest.approx, expected))


def test_only_named_numbers_are_read():
    """No address, no id, no name of an entry is touched: an entry that says which field was asked for tells it."""
    asked = set()

    class Told:
        def __init__(self, real, at=""):
            self._real, self._at = real, at

        def __getattr__(self, name):
            value = getattr(self._real, name)
            if name == "WhichOneof":
                return value
            asked.add(name)
            return Told(value, name) if hasattr(value, "DESCRIPTOR") else value

    entries = [Told(entry) for entry in (address(), heard(1, 0), echoed(0.1, 1), path(0.1, 1))]
    told = read(both(entries, entries))
    assert told.heard
    assert told.echoed
    assert told.paths
    assert asked == {
        "inbound_rtp", "remote_inbound_rtp", "candidate_pair", "stream", "kind", "ssrc", "received", "packets_received", "packets_lost",
        "jitter", "remote_inbound", "total_round_trip_time", "round_trip_time_measurements", "nominated", "responses_received",
        "current_round_trip_time", "last_packet_received_timestamp",
    }  # fmt: skip


def test_odd_entries_are_passed_over():
    """An entry of another make, or with a field of another type, does not lose the others."""
    odd = [None, 3, "x", SimpleNamespace(), SimpleNamespace(WhichOneof=lambda _: "inbound_rtp"), SimpleNamespace(WhichOneof=lambda: 1)]
    strange = SimpleNamespace(kind="audio", ssrc="x")
    odd.append(SimpleNamespace(WhichOneof=lambda _: "inbound_rtp", inbound_rtp=SimpleNamespace(stream=strange, received=strange)))
    assert read(both(odd, [*odd, heard(5, 1)])) == Reading({("subscriber", 7): (5.0, 1.0, 0.003)})
    assert len(read(both([], [heard(1, 0, ssrc=n) for n in range(5000)])).heard) == 1000


# -- reading goes on whatever the room does --------------------------------------------------------------------------------------------


async def _never():
    await asyncio.Event().wait()


async def _given_up():
    raise asyncio.CancelledError


def _raise(error):
    raise error


@pytest.mark.parametrize(
    "bad",
    [
        lambda: _raise(RuntimeError("the room isn't connected")),
        lambda: _raise(TypeError("203.0.113.77")),
        lambda: None,
        lambda: SimpleNamespace(publisher_stats=3, subscriber_stats=None),
        _never,
        _given_up,
    ],
    ids=["not connected", "TypeError", "None", "odd", "hangs", "cancelled inside"],
)
def test_a_reading_that_fails_is_a_window_skipped(bad, monkeypatch):
    """It raises nothing, no second reading runs beside it, and the next good one makes the window."""
    monkeypatch.setattr("tracing.media.PATIENCE_S", 0.2)
    monkeypatch.setattr("tracing.media.FIRST_S", 0.1)
    answers = {1: both([], [heard(100, 0)]), 4: both([], [heard(150, 50)])}
    room = Room(lambda n: bad() if n in {2, 3} else answers[min(n, 4)])
    summary, media = follow(room, 4)
    assert room.most == 1
    assert media.skipped == 2
    assert (summary["agent_media_windows"], summary["agent_loss_pct_max"]) == (1, 50.0)


def test_a_hanging_reading_does_not_hold_up_the_end():
    """Closed in the middle of a reading that never answers: the task ends at once."""
    summary, media = follow(Room(lambda n: _never()), 1)
    assert (summary, media.faults) == ({}, 0)


def test_first_windows_are_short():
    """Readings come at 0, 2, 6, 14, 24 s, so a call of three seconds has a window; before there is a base, every two."""
    slept = []

    async def run(monkeypatch):
        room = Room(lambda n: _raise(RuntimeError) if n < 3 else both([echoed(n, n)]))

        async def sleep(seconds):
            slept.append(seconds)
            if len(slept) == 7:
                media.close()
            await real(0)

        real = asyncio.sleep
        monkeypatch.setattr("tracing.media.asyncio.sleep", sleep)
        media = Media(room)
        media.open()
        await asyncio.wait({media._task})
        return media.close()

    with pytest.MonkeyPatch.context() as monkeypatch:
        assert asyncio.run(run(monkeypatch))["agent_media_windows"] == 4
    assert slept == [2, 2, 2, 4, 8, 10, 10]


@pytest.mark.parametrize("every_s", [0, -1, math.nan])
def test_never_a_busy_loop(every_s):
    """An interval that is none becomes a tenth of a second."""
    assert Media(Room(), every_s=every_s)._every == 0.1


@pytest.mark.parametrize("room", [None, object(), SimpleNamespace(on=None), EventEmitter()])
def test_no_room_is_no_error(room):
    """Whatever it is given for a room, and with no loop running, opening and closing raise nothing; twice is once."""

    async def run():
        media = Media(room)
        media.open()
        await asyncio.sleep(0)
        return media.close()

    assert asyncio.run(run()) == {}
    media = Media(Room())
    media.open()
    assert media.faults == 1  # no loop
    assert media.close() == media.close() == {}
    assert Media(room).close() == {}


def test_after_the_end_nothing_is_held():
    """Handlers are off the room, the room is let go, and what comes later changes nothing."""
    room, _, media, caller = listening()
    room.send(GOOD, caller)
    told = media.close()
    room.send(b"junk", caller)
    room.emit("connection_quality_changed", caller, rtc.ConnectionQuality.QUALITY_LOST)
    assert not any(room._events.values())
    assert media.close() == told
    assert media.refused == 0
    assert room not in gc.get_referents(media.__dict__)
    media.open()
    assert not any(room._events.values())


def test_opening_twice_listens_once():
    """A packet is taken once, and one reading runs."""
    room, _, media, caller = listening()
    media.open()
    room.send(b"junk", caller)
    assert media.close() == {"client_media_refused": 1}


def test_a_long_call_stays_small():
    """A week of windows takes less than 100 kB; its percentiles stay those of the whole and its largest is exact."""
    series = Series()
    tracemalloc.start()
    for n in range(60_480):
        series.add(float(n % 1000))
        if n % 10_000 == 0:
            taken = tracemalloc.take_snapshot().filter_traces([tracemalloc.Filter(True, "*/tracing/quality.py")])
            assert sum(trace.size for trace in taken.traces) < 100_000  # what other threads of the process hold is not its
    tracemalloc.stop()
    assert taken.traces
    series.add(5000.0)
    series.add(1.0)
    assert series.largest == 5000.0
    assert series.percentile(0.5) == pytest.approx(500, abs=25)
    assert series.percentile(0.95) == pytest.approx(950, abs=25)


# -- quality ---------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seen", "worst"),
    [
        ([2, 1, 2], "good"),
        ([2, 0, 3, 1], "lost"),
        ([-1], "unknown"),
        ([-1, 2], "excellent"),
        ([99], "unknown"),
        ([2, "QUALITY", None], "excellent"),
        ([], None),
    ],
)
def test_the_worst_quality_of_each_side(seen, worst):
    """LiveKit's own values, in any order; no value is good enough to hide a worse one, and a strange one raises nothing."""
    room, _, media, caller = listening()
    another = room.enter("another")
    for quality in seen:
        room.emit("connection_quality_changed", caller, rtc.ConnectionQuality(quality) if quality in {-1, 0, 1, 2, 3} else quality)
        room.emit("connection_quality_changed", another, rtc.ConnectionQuality.QUALITY_LOST)
        room.emit("connection_quality_changed", None, rtc.ConnectionQuality.QUALITY_LOST)
    room.emit("connection_quality_changed", SimpleNamespace(identity="agent"), rtc.ConnectionQuality.QUALITY_POOR)
    assert media.close() == {"agent_quality_worst": "poor"} | ({"client_quality_worst": worst} if worst else {})


# -- the caller's packets --------------------------------------------------------------------------------------------------------------


def test_a_packet_is_taken():
    """Whole, with one number only, and as integers."""
    assert parse(GOOD) == Window(41.5, 3.0, 0.25)
    assert parse(b'{"loss_pct":100,"v":1}') == Window(None, None, 100.0)
    assert parse(b' {"v": 1, "rtt_ms": -0.0} ') == Window(0.0)
    assert math.copysign(1, parse(b'{"v":1,"rtt_ms":-0.0}').rtt_ms) == 1


HOSTILE = [
    b"", b"null", b"1", b"[]", b"{}", b'{"v":1}', b'{"rtt_ms":1}', b'{"v":2,"rtt_ms":1}', b'{"v":true,"rtt_ms":1}', b'{"v":"1","rtt_ms":1}',
    b'{"v":1,"rtt_ms":"1"}', b'{"v":1,"rtt_ms":true}', b'{"v":1,"rtt_ms":null}', b'{"v":1,"rtt_ms":[1]}', b'{"v":1,"rtt_ms":{"a":1}}',
    b'{"v":1,"rtt_ms":NaN}', b'{"v":1,"rtt_ms":Infinity}', b'{"v":1,"rtt_ms":1e400}', b'{"v":1,"rtt_ms":-1}', b'{"v":1,"rtt_ms":60000.1}',
    b'{"v":1,"loss_pct":100.001}', b'{"v":1,"rtt_ms":' + b"9" * 300 + b"}", b'{"v":1,"rtt_ms":1,"rtt_ms":1}', b'{"v":1,"v":1,"rtt_ms":1}',
    b'{"v":1,"rtt_ms":1,"patient":"Ada Byron"}', b'{"v":1,"rtt_ms":1,"patient":1}', b'{"v":1,"rtt_ms":1}x', b'{"v":1,"rtt_ms":1}{}',
    b"[" * 512, b'{"v":' * 100, b"\xff\xfe", b'\xef\xbb\xbf{"v":1,"rtt_ms":1}', GOOD.decode().encode("utf-16"),
    b'{"v":1,"rtt_ms":1' + b" " * 512 + b"}", "text", None, bytearray(GOOD), memoryview(GOOD),
]  # fmt: skip


@pytest.mark.parametrize("data", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_packet_is_refused(data):
    """Size, form, keys, types and ranges: only the count of refused ones moves."""
    assert parse(data) is None
    room, _, media, caller = listening()
    room.send(data, caller)
    assert media.close() == {"client_media_refused": 1}
    assert media.faults == 0


def test_only_from_the_caller():
    """The first who came in and can be a caller, and no one else: not a server, not a recorder, not who is not or no longer in the room."""
    room, clock, media, _ = listening()
    room.remote_participants.clear()
    stranger, recorder = SimpleNamespace(identity="stranger", kind=0), room.enter("recorder", kind=2)
    robot, phone = room.enter("robot", kind=4), room.enter("phone", kind=3)
    second = room.enter("second")
    for sender in (None, stranger, recorder, robot, second, SimpleNamespace(identity="phone", kind=3)):
        room.send(GOOD, sender)
    assert (media.refused, media._client.windows) == (6, 0)
    room.send(GOOD, phone)
    assert (media.refused, media._client.windows) == (6, 1)
    clock.now += 60
    del room.remote_participants["phone"]
    room.send(GOOD, phone)
    room.send(GOOD, second)
    assert (media.refused, media._client.windows) == (8, 1)
    again = room.enter("phone", kind=3)  # a page loaded anew
    room.send(GOOD, again)
    assert (media.refused, media._client.windows) == (8, 2)


def test_one_packet_in_five_seconds():
    """What comes faster is refused; another's packets do not use up the caller's turn, nor do refused ones."""
    room, clock, media, caller = listening()
    another = room.enter("another")
    room.send(b"junk", caller)
    room.send(GOOD, another)
    room.send(GOOD, caller)
    for _ in range(4):
        clock.now += APART_S / 5
        room.send(b'{"v":1,"rtt_ms":9999}', caller)
    clock.now += APART_S / 5
    room.send(b'{"v":1,"rtt_ms":50}', caller)
    told = media.close()
    assert (told["client_media_windows"], told["client_media_refused"], told["client_rtt_ms_max"]) == (2, 6, 50.0)


def test_another_topic_is_not_ours():
    """Whatever it holds, it is not looked at and not counted."""
    room, _, media, caller = listening()
    for topic in ("lk.chat", "", None, TOPIC.upper(), TOPIC + "x"):
        room.send(GOOD, caller, topic)
    assert media.close() == {}


def test_nothing_odd_in_an_event_raises():
    """LiveKit re-raises a TypeError out of a handler: events of the wrong shape, straight into its emitter."""
    room, _, media, caller = listening()
    for packet in (None, 3, SimpleNamespace(), SimpleNamespace(topic=TOPIC), SimpleNamespace(topic=TOPIC, data=GOOD, participant=3)):
        room.emit("data_received", packet)
    room.emit("data_received")
    room.emit("connection_quality_changed")
    room.emit("connection_quality_changed", caller)
    room.remote_participants = None
    room.send(GOOD, caller)
    assert "client_media_windows" not in media.close()
    assert media.faults


numbers = st.one_of(
    st.integers(-(2**70), 2**70), st.integers(0, 200), st.floats(), st.floats(0, 200), st.booleans(), st.none(), st.text(max_size=9)
)
objects = st.dictionaries(
    st.one_of(st.sampled_from(["v", "rtt_ms", "jitter_ms", "loss_pct"]), st.text(max_size=5)), st.one_of(st.just(1), numbers), max_size=5
)
packets = st.one_of(
    st.binary(max_size=600),
    objects.map(lambda told: json.dumps(told).encode()),
    st.builds(lambda told, cut: json.dumps({"v": 1, **told}).encode()[:cut], objects, st.integers(0, 80)),
    st.fixed_dictionaries({"v": st.just(1)}, optional={"rtt_ms": numbers, "jitter_ms": numbers, "loss_pct": numbers}).map(
        lambda told: json.dumps(told).encode()
    ),
)


def valid(data):
    """Whether a packet is what the contract says, said another way than the parser does."""
    pairs = []
    try:
        told = json.loads(data.decode(), object_pairs_hook=lambda given: pairs.append(given) or dict(given))
    except ValueError:
        return False
    limits = {"rtt_ms": 60_000, "jitter_ms": 60_000, "loss_pct": 100}
    if len(data) > 512 or not isinstance(told, dict) or len(pairs) != 1 or len(pairs[0]) != len(told) or len(told) < 2:
        return False
    version = told.pop("v", None)
    return (
        type(version) is int
        and version == 1
        and all(key in limits and type(value) in {int, float} and 0 <= value <= limits[key] for key, value in told.items())
    )


@settings(deadline=None, max_examples=400, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(packets, max_size=4))
def test_any_packet_leaves_the_summary_bounded(sent):
    """Arbitrary bytes and JSON: nothing raises, each is either a window or refused, and all that is told fits the closed list."""
    room, clock, media, caller = listening()
    for data in sent:
        room.send(data, caller)
        clock.now += 2 * APART_S
    good = sum(map(valid, sent))
    told = media.close()
    assert media.faults == 0
    assert (told.get("client_media_windows", 0), told.get("client_media_refused", 0)) == (good, len(sent) - good)
    if not good:
        assert set(told) <= {"client_media_refused"}
    for key, value in told.items():
        shape = METADATA[key]
        assert isinstance(shape, Number)
        assert not isinstance(value, str)
        assert shape.low <= value <= shape.high


def test_every_key_told_is_in_the_closed_list():
    """All that both sides can tell, and no other key; the words are the list's too."""
    told = {}
    for name in ("agent", "client"):
        side = Side()
        side.add(Window())
        assert side.summary(name) == {}
        side.add(Window(1.0, 2.0, 3.0))
        side.rate("poor")
        told |= side.summary(name)
    assert len(told) == 22
    assert set(told) | {"client_media_refused"} == {key for key in METADATA if key.startswith(("agent_", "client_"))} - {
        "agent_index",
        "agent_version",
    }
    assert isinstance(METADATA["agent_quality_worst"], OneOf)
