"""The browser's side of the media: real WebRTC statistics in a real Chromium become packets that the agent's parser takes."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tracing.media import TOPIC, parse
from tracing.quality import Window

CHROMIUM = shutil.which("chromium")
CLIENT = Path(__file__).parents[2] / "clients" / "javascript" / "phi-guard-media.js"
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="needs Debian's chromium (apt-get install chromium)"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # the driver's own pipes
]
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-sync",
    "--disable-component-update", "--autoplay-policy=no-user-gesture-required", "--allow-loopback-in-peer-connection",
    "--disable-features=WebRtcHideLocalIpsWithMdns",
]  # fmt: skip

PAGE = """<!doctype html><script type="module" src="/phi-guard-media.js"></script><script>
// What of livekit-client's Room the client uses, by its names in livekit-client 2.23.
class Room {
  constructor(local, remote) {
    this.state = "connected";
    this.sent = [];
    this.handlers = new Set();
    this.localParticipant = {
      identity: "+15550100", sid: "PA_caller", audioTrackPublications: new Map([["TR_1", { track: local }]]),
      publishData: async (bytes, options) => { this.sent.push([new TextDecoder().decode(bytes), options]); },
    };
    this.remoteParticipants = new Map([["agent", { audioTrackPublications: new Map([["TR_2", { track: remote }], ["TR_3", {}]]) }]]);
  }
  on(name, handler) { if (name === "disconnected") this.handlers.add(handler); return this; }
  off(name, handler) { this.handlers.delete(handler); return this; }
  leave() { this.state = "disconnected"; this.handlers.forEach((handler) => handler()); }
}
const track = (getRTCStatsReport) => ({ getRTCStatsReport });
const entries = (...list) => new Map(list.map((entry) => [entry.id, entry]));
</script>"""

CALL = """async () => {
  const audio = new AudioContext();
  const voice = () => {
    const [tone, out] = [audio.createOscillator(), audio.createMediaStreamDestination()];
    tone.connect(out); tone.start();
    return out.stream.getAudioTracks()[0];
  };
  const [caller, server] = [new RTCPeerConnection(), new RTCPeerConnection()];
  caller.onicecandidate = ({ candidate }) => server.addIceCandidate(candidate);
  server.onicecandidate = ({ candidate }) => caller.addIceCandidate(candidate);
  caller.addTrack(voice()); server.addTrack(voice());
  await caller.setLocalDescription(); await server.setRemoteDescription(caller.localDescription);
  await server.setLocalDescription(); await caller.setRemoteDescription(server.localDescription);
  window.room = new Room(
    track(() => caller.getSenders()[0].getStats()), track(() => caller.getReceivers()[0].getStats()));
  window.stop = startPhiGuardMedia(room, { everyMs: 1 });
  window.caller = caller;
}"""


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser):
    """A page with the client and a stand-in for the room; at its end, that nothing was thrown and nobody but the page was asked."""
    page = browser.new_page()
    asked, errors = [], []

    def answer(route):
        asked.append(route.request.url)
        script = route.request.url.endswith(".js")
        route.fulfill(body=CLIENT.read_text() if script else PAGE, content_type="text/javascript" if script else "text/html")

    page.route("**/*", answer)
    page.on("console", lambda message: errors.append(message.text))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto("http://localhost/call.html")
    page.wait_for_function("window.startPhiGuardMedia")
    yield page
    assert errors == []
    assert [url for url in asked if not url.endswith("favicon.ico")] == [
        "http://localhost/call.html",
        "http://localhost/phi-guard-media.js",
    ]
    page.close()


def test_a_real_call_is_told(page):
    """Two peer connections talk in the page: the numbers are theirs, and the agent's parser takes each packet."""
    page.evaluate(CALL)
    page.wait_for_function("room.sent.length >= 2", timeout=30_000)
    assert page.evaluate("caller.iceConnectionState") in {"connected", "completed"}
    page.evaluate("room.leave()")
    for text, options in page.evaluate("room.sent"):
        assert options == {"reliable": False, "topic": TOPIC}
        window = parse(text.encode())
        assert window is not None, text
        assert 0 <= window.rtt_ms < 1000
        assert 0 <= window.jitter_ms < 1000
        assert 0 <= window.loss_pct < 100


SCRIPTED = """(readings) => {
  let n = -1;
  const at = (side) => entries(...(readings[Math.min(n, readings.length - 1)][side] ?? []));
  const local = async () => {
    room.reads = n += 1;
    if (readings[n]?.leaves) room.leave();
    return readings[n] === "hangs" ? new Promise(() => {}) : at("local");
  };
  const room = new Room(track(local), track(async () => at("remote")));
  window.stop = startPhiGuardMedia(room, window.options);
  (window.stops ??= []).push(stop);
  window.room = room;
  (window.rooms ??= []).push(room);
}"""


def inbound(got, lost, jitter=0.002, ssrc=1, kind="audio"):
    return {
        "id": f"IT{ssrc}",
        "type": "inbound-rtp",
        "kind": kind,
        "ssrc": ssrc,
        "packetsReceived": got,
        "packetsLost": lost,
        "jitter": jitter,
    }


def echo(total, times):
    return {
        "id": "RI", "type": "remote-inbound-rtp", "kind": "audio", "ssrc": 9, "totalRoundTripTime": total,
        "roundTripTimeMeasurements": times,
    }  # fmt: skip


def probe(rtt, answers):
    pair = {"id": "CP1", "type": "candidate-pair", "responsesReceived": answers, "currentRoundTripTime": rtt}
    return [
        pair,
        {"id": "T1", "type": "transport", "selectedCandidatePairId": "CP1"},
        {"id": "R", "type": "remote-candidate", "address": "::1"},
    ]


JUMPS = [
    ({"local": [echo(1, 5)], "remote": [inbound(100, 50)]}, {"local": [echo(1.2, 7)], "remote": [inbound(190, 60)]}, Window(100, 2, 10)),
    ({"remote": [inbound(900, 90)]}, {"remote": [inbound(75, 25)]}, Window(None, 2, 25)),
    ({"remote": [inbound(900, 90)]}, {"remote": [inbound(75, 25, ssrc=2)]}, Window(None, 2, 25)),
    ({"remote": [inbound(100, 8)]}, {"remote": [inbound(150, 5)]}, Window(None, 2, 0)),
    ({"remote": [inbound(100, 8)]}, {"remote": [inbound(100, 8)]}, None),
    ({}, {"remote": [inbound(100, 8, kind="video")]}, None),
    ({"local": [echo(1, 5), *probe(0.02, 4)]}, {"local": [echo(1, 5), *probe(0.03, 5)]}, Window(30)),
    ({"local": probe(0.02, 4)}, {"local": probe(0.02, 4)}, None),
    ({}, {"local": probe(0.0, 0)}, None),
    ({}, {"local": [echo(0, 0)]}, None),
    ({}, {"local": [echo(1e9, 1)], "remote": [inbound(10, 0, 1e9)]}, Window(None, None, 0)),
    ({}, {"local": [echo("1", "1")], "remote": [inbound("10", "x", "Ada Byron")]}, None),
    ({}, {"remote": [inbound(10, "Ada Byron", "Ada Byron")]}, Window(None, None, 0)),
]


def told_in(page):
    """What each room of the page published, as the agent's parser takes it."""
    return [[parse(text.encode()) for text, _ in sent] for sent in page.evaluate("rooms.map((room) => room.sent)")]


def test_windows_are_what_two_readings_differ_by(page):
    """Resets, new tracks, late packets and values that no call can have, on a clock that is turned by hand."""
    page.clock.install()
    for before, after, _ in JUMPS:
        page.evaluate(SCRIPTED, [before, after])
    page.clock.run_for(3500)
    expected = [[] if window is None else [window] for _, _, window in JUMPS]
    assert told_in(page) == expected
    page.clock.run_for(9000)
    assert told_in(page) == expected  # counters that stand still say nothing


def test_leaving_the_room_ends_it(page):
    """Nothing is read or published after it, even when it comes in the middle of a reading; so does stop, once or twice."""
    page.clock.install()
    readings = [{"remote": [inbound(90 * n, 10 * n)]} for n in range(9)]
    for _ in range(2):
        page.evaluate(SCRIPTED, readings)
    page.evaluate(SCRIPTED, [readings[0], {**readings[1], "leaves": True}])
    page.evaluate(f"(readings) => {{ ({SCRIPTED})(readings); rooms[3].leave(); rooms[3].state = 'connected'; }}", readings)
    page.clock.run_for(14_000)
    assert page.evaluate("rooms.map((room) => room.handlers.size)") == [1, 1, 0, 0]
    page.evaluate("rooms[0].leave(); rooms[0].state = 'connected'; stops[1](); stops[1]()")
    page.clock.run_for(60_000)
    assert [len(sent) for sent in told_in(page)] == [2, 2, 0, 0]
    assert page.evaluate("rooms.map((room) => room.reads)") == [2, 2, 1, 0]
    assert page.evaluate("rooms.map((room) => room.handlers.size)") == [0, 0, 0, 0]


@pytest.mark.parametrize(
    ("every", "packets"), [("1", 11), ("-1", 11), ("NaN", 6), ("1e99", 6), ("'x'", 6), ("10000", 6), ("20000", 3), ("undefined", 6)]
)
def test_never_more_often_than_the_agent_takes(page, every, packets):
    """In a minute: the first after 3 s, then as asked, but never two within five seconds."""
    page.clock.install()
    page.evaluate(f"() => {{ window.options = {{ everyMs: {every} }}; }}")
    page.evaluate(SCRIPTED, [{"remote": [inbound(90 * n, 10 * n)]} for n in range(30)])
    page.clock.run_for(59_000)
    assert len(page.evaluate("room.sent")) == packets
    page.evaluate("stop()")


def test_a_reading_that_hangs_is_given_up(page):
    """The browser never answers once: the next reading is made all the same, and its window spans both."""
    page.clock.install()
    page.evaluate(SCRIPTED, [{"remote": [inbound(0, 0)]}, "hangs", {"remote": [inbound(90, 10)]}])
    page.clock.run_for(20_000)
    assert told_in(page) == [[Window(None, 2, 10)]]
    page.evaluate("stop()")


def test_it_waits_while_the_room_reconnects(page):
    """No window while it is not connected; the next one spans the gap."""
    page.clock.install()
    page.evaluate(SCRIPTED, [{"remote": [inbound(0, 0)]}, {"remote": [inbound(90, 10)]}])
    page.evaluate("room.state = 'reconnecting'")
    page.clock.run_for(30_000)
    assert page.evaluate("room.sent") == []
    page.evaluate("room.state = 'connected'")
    page.clock.run_for(10_000)
    assert [parse(text.encode()) for text, _ in page.evaluate("room.sent")] == [Window(None, 2, 10)]
    page.evaluate("stop()")


ODD = [
    "undefined", "null", "7", "{}", "{ on: 1 }", "({ state: 'connected', on() {}, off() { throw 1 } })",
    "new Room(undefined, null)",
    "new Room(track(() => { throw new Error('no') }), null)",
    "new Room(track(async () => { throw new TypeError('no') }), null)",
    "new Room(track(() => new Promise(() => {})), null)",
    "new Room(track(async () => undefined), track(async () => 7))",
    "new Room(track(async () => entries({ id: 'T', type: 'transport' })), track(async () => new Map([[1, null]])))",
    "Object.assign(new Room(track(async () => entries()), null), { remoteParticipants: null })",
]  # fmt: skip


def test_nothing_odd_throws(page):
    """No room, or one whose parts throw, reject, hang or are of another type: no error reaches the page, and nothing is sent."""
    page.clock.install()
    page.evaluate("() => { window.rooms = []; window.stops = []; }")
    for room in ODD:
        for options in ("undefined", "null", "{ everyMs: NaN }", "{ everyMs: '1e99' }", "{ everyMs: {} }"):
            page.evaluate(f"() => {{ const room = ({room}); rooms.push(room); stops.push(startPhiGuardMedia(room, ({options}))); }}")
    page.clock.run_for(40_000)
    assert page.evaluate("rooms.flatMap((room) => room?.sent ?? [])") == []
    page.evaluate("stops.forEach((stop) => stop())")


@pytest.mark.parametrize(
    "publish", ["() => { throw new Error('no') }", "async () => { throw new Error('no') }", "() => new Promise(() => {})"]
)
def test_a_packet_that_cannot_be_sent_is_let_go(page, publish):
    """The data channel throws, rejects or never answers: the next window is tried all the same."""
    page.clock.install()
    page.evaluate(SCRIPTED, [{"remote": [inbound(90 * n, 10 * n)]} for n in range(9)])
    page.evaluate(f"() => {{ window.tried = 0; const fail = {publish}; room.localParticipant.publishData = () => (tried += 1, fail()) }}")
    page.clock.run_for(40_000)
    assert page.evaluate("tried") >= 3
    page.evaluate("stop()")
