"""The switch in a real Redis server: killed, frozen, restarted empty, put back from a copy, raced; each of them means off."""

from __future__ import annotations

import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from phi_guard import switch_redis
from phi_guard.switch import FileSwitch, SwitchError, Worker, open_switch
from phi_guard.switch_redis import RedisSwitch
from phi_guard.switch_state import LEAK, SwitchState, encode_state

SERVER = shutil.which("redis-server")
DIGEST = "0f" * 32

pytestmark = pytest.mark.skipif(SERVER is None, reason="there is no redis-server on the path")


class Server:
    """redis-server on a unix socket, keeping nothing on disk."""

    def __init__(self, place, *options):
        self.socket, self._place, self._options = place / "r.sock", place, options
        self.start()

    def start(self):
        options = ["--port", "0", "--unixsocket", str(self.socket), "--save", "", "--appendonly", "no", "--dir", str(self._place)]
        self._process = subprocess.Popen([SERVER, *options, *self._options], stdout=subprocess.DEVNULL)
        until(self.socket.exists)

    def send(self, number):
        self._process.send_signal(number)

    def kill(self):
        self._process.kill()
        self._process.wait()
        self.socket.unlink(missing_ok=True)

    def raw(self):
        import redis

        return redis.Redis(unix_socket_path=str(self.socket))


def until(holds, seconds=10.0):
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it never held"
        time.sleep(0.002)


@pytest.fixture
def place():
    with tempfile.TemporaryDirectory(prefix="pg-") as made:  # a socket's path is short
        yield Path(made)


@pytest.fixture
def server(place):
    server = Server(place)
    yield server
    server.send(signal.SIGCONT)
    server.kill()


@pytest.fixture
def host(server, place):
    """A worker's own view of the switch, with a memory of its own, as on a host of its own."""
    return lambda name: RedisSwitch(f"unix://{server.socket}#prod", place / f"{name}.last")


def test_on_and_off_reach_another_host_at_once(host):
    """Told by the server's news: far sooner than it is asked."""
    one, two = host("one"), host("two")
    assert not two.state().on
    assert two.state().at == ""
    one.turn_on("audit said GO")
    until(lambda: two.state().on)
    assert two.state() == one.state()
    began = time.monotonic()
    one.turn_off("a leak is suspected", LEAK)
    until(lambda: not two.state().on)
    assert time.monotonic() - began < 1.0
    until(lambda: two.state() == one.state())
    assert (two.state().reason, two.state().hold) == ("a leak is suspected", LEAK)


def test_what_no_news_tell_is_seen_all_the_same(host, server):
    """A message can be lost; the server is asked besides."""
    one = host("one")
    one.turn_on("audit said GO")
    assert one.state().on
    server.raw().set("phi-guard:switch:prod", encode_state(SwitchState(False, "off", "2099-01-01T00:00:00.000000Z")))
    began = time.monotonic()
    until(lambda: not one.state().on)
    assert time.monotonic() - began < 1.0


def test_a_hold_is_only_released_by_a_report_and_a_leak_outranks(host):
    """On every host, and on one that has just come."""
    one, two = host("one"), host("two")
    one.turn_on("audit said GO")
    one.turn_off("slow", "overhead")
    two.turn_off("a leak", LEAK)
    one.turn_off("once more", "overhead")
    one.turn_off("and by hand")
    assert host("new").state().hold == LEAK
    for each in (one, two, host("newer")):
        with pytest.raises(SwitchError, match=r"held since .* \(leak\)"):
            each.turn_on("it was nothing")
    with pytest.raises(SwitchError, match="64 hexadecimal"):
        one.turn_on("x", release="yes")
    one.turn_on("audit said GO", release=DIGEST)
    until(lambda: two.state().on)
    assert (two.state().release, two.state().hold) == (DIGEST, "")


def test_no_turning_on_undoes_a_hold_that_came_between_its_look_and_its_write(host, monkeypatch):
    """It looks again, and meets it."""
    one, two = host("one"), host("two")
    one.turn_on("audit said GO")
    one.turn_off("by hand")
    real, raced = switch_redis.turned_on, []

    def slow(*args):
        if not raced:
            raced.append(two.turn_off("a leak", LEAK))
        return real(*args)

    monkeypatch.setattr(switch_redis, "turned_on", slow)
    with pytest.raises(SwitchError, match="held"):
        one.turn_on("audit said GO")
    assert (two.state().on, host("three").state().hold) == (False, LEAK)


def test_a_server_that_is_killed_is_off_within_a_second_and_back_it_is_as_it_was(host, server):
    """An empty one is off for a doubt, not for an order; somebody has to turn it on."""
    one = host("one")
    one.turn_on("audit said GO")
    assert one.state().on
    server.kill()
    began = time.monotonic()
    until(lambda: not one.state().on)
    assert time.monotonic() - began < 1.2
    assert one.state().at == ""
    with pytest.raises(SwitchError, match="cannot be written"):
        one.turn_on("it must")
    server.start()
    until(lambda: "is nothing" in one.state().reason)
    assert not one.state().on
    one.turn_on("audit said GO")
    assert one.state().on


def test_a_server_that_is_frozen_is_off_and_no_look_waits_for_it(host, server):
    """It answers nobody and refuses nobody; thawed, it is on as before, since the same time."""
    one = host("one")
    one.turn_on("audit said GO")
    before = one.state()
    server.send(signal.SIGSTOP)
    began, slowest = time.monotonic(), 0.0
    while one.state().on:
        look = time.monotonic()
        one.state()
        slowest = max(slowest, time.monotonic() - look)
        assert time.monotonic() - began < 3.0
        time.sleep(0.002)
    assert time.monotonic() - began < 1.2
    assert slowest < 0.2
    server.send(signal.SIGCONT)
    until(lambda: one.state().on)
    assert one.state() == before


def test_a_hold_outlives_the_server_and_is_told_to_the_one_that_comes(host, server, place):
    """A server without a disk forgets; a worker that knew does not, not even restarted, and says so to the others."""
    one = host("one")
    one.turn_on("audit said GO")
    assert one.state().on
    one.turn_off("a leak", LEAK)
    server.kill()
    server.start()
    again = host("one")
    assert (again.state().on, again.state().hold) == (False, LEAK)
    until(lambda: host("stranger").state().hold == LEAK)


def test_an_on_without_a_release_is_not_believed_by_who_knows_of_a_hold(host, server):
    """Whoever wrote it past us."""
    one = host("one")
    one.turn_off("a leak", LEAK)
    later = "2099-01-01T00:00:00.000000Z"
    server.raw().set("phi-guard:switch:prod", encode_state(SwitchState(True, "trust me", later)))
    for _ in range(100):
        assert not one.state().on
        time.sleep(0.005)
    assert one.state().hold == LEAK
    server.raw().set("phi-guard:switch:prod", encode_state(SwitchState(True, "audit said GO", later, "", DIGEST)))
    until(lambda: one.state().on)


def test_a_server_put_back_from_a_copy_is_not_believed(host, server):
    """The copy is from before it went off."""
    one = host("one")
    one.turn_on("audit said GO")
    copy = server.raw().get("phi-guard:switch:prod")
    one.turn_off("by hand")
    assert not one.state().on
    server.raw().set("phi-guard:switch:prod", copy)
    for _ in range(100):
        assert not one.state().on
        time.sleep(0.005)
    one.turn_on("audit said GO")
    assert one.state().on


def test_an_off_that_could_not_reach_the_server_is_told_once_it_can_be_reached(host, server):
    """Off on this host at once; on the others as soon as there is a way."""
    one, two = host("one"), host("two")
    one.turn_on("audit said GO")
    until(lambda: two.state().on)
    copy = server.raw().get("phi-guard:switch:prod")
    server.kill()
    with pytest.raises(SwitchError, match="cannot be written"):
        one.turn_off("a leak", LEAK)
    assert (one.state().on, one.state().hold) == (False, LEAK)
    server.start()
    server.raw().set("phi-guard:switch:prod", copy)
    until(lambda: two.state().hold == LEAK)
    assert not two.state().on


@pytest.mark.parametrize("content", [b"", b"on", b"[1]", encode_state(SwitchState(True, "x", "2099-01-01T00:00:00Z"))[:-3] + b" }\n"])
def test_only_the_bytes_we_write_are_on(host, server, content):
    """Mended, cut, or another's: off."""
    one = host("one")
    one.turn_on("audit said GO")
    assert one.state().on
    server.raw().set("phi-guard:switch:prod", content)
    until(lambda: not one.state().on)
    server.raw().delete("phi-guard:switch:prod")
    server.raw().lpush("phi-guard:switch:prod", b"x")
    until(lambda: "refuses" in one.state().reason or "nothing" in one.state().reason)
    assert not one.state().on


def test_workers_say_what_they_act_on(host, server):
    """Their age is told by the server's clock; what nobody of ours wrote is nobody."""
    one, two = host("one"), host("two")
    one.turn_on("audit said GO")
    worker = Worker("a" * 32, "relay", "policy-1", 7, 3)
    assert two.acknowledge(worker, two.state())
    server.raw().hset("phi-guard:switch:prod:workers", "b" * 32, b"1.0 {}")
    server.raw().hset("phi-guard:switch:prod:workers", "c" * 32, b"nonsense")
    (seen,) = one.workers()
    assert (seen.id, seen.policy, seen.pending, seen.quarantined, seen.acts_on(one.state())) == ("a" * 32, "policy-1", 7, 3, True)
    assert 0 <= seen.age_s < 5
    one.turn_off("by hand")
    assert not one.workers()[0].acts_on(one.state())
    until(lambda: not two.state().on)
    two.acknowledge(worker, two.state())
    assert one.workers()[0].acts_on(one.state())
    two.dismiss(worker.id)
    assert one.workers() == ()
    server.kill()
    assert two.acknowledge(worker, two.state()) is False
    with pytest.raises(SwitchError, match="workers cannot be read"):
        one.workers()
    server.start()


def test_a_password_is_in_no_word_of_ours(place):
    """Neither the right one nor a wrong one, in what is shown, told or raised."""
    server = Server(place, "--requirepass", "s3cr3t-pass")
    try:
        right = RedisSwitch(f"unix://:s3cr3t-pass@{server.socket}#prod", place / "right.last")
        right.turn_on("audit said GO")
        assert right.state().on
        wrong = RedisSwitch(f"unix://:wr0ng-pass@{server.socket}#prod", place / "wrong.last")
        with pytest.raises(SwitchError) as caught:
            wrong.turn_on("x")
        said = [str(caught.value), repr(caught.value), repr(wrong), repr(right), wrong.place, wrong.state().reason, right.state().reason]
        assert not [text for text in said if "s3cr3t" in text or "wr0ng" in text]
        assert not wrong.state().on
    finally:
        server.kill()


@pytest.mark.parametrize(
    "url",
    [
        "rediss://h:6379/0?ssl_cert_reqs=none", "rediss://h/0?ssl_check_hostname=false", "redis://", "redis://h:port/0", "redis://h/x",
        "redis://u:s3cr3t@h/0#Not A Name", "redis://u:s3cr3t@[::1/0", "unix://",
    ],
)  # fmt: skip
def test_an_address_we_do_not_take_is_refused(url, monkeypatch, tmp_path):
    """Certificates are always checked; and nothing of the address is in the message."""
    monkeypatch.setenv("PHI_GUARD_RUNTIME_DIR", str(tmp_path / "run"))
    with pytest.raises(SwitchError, match="PHI_GUARD_SWITCH") as caught:
        open_switch(url)
    assert "s3cr3t" not in str(caught.value)


def test_the_certificate_is_checked(monkeypatch, tmp_path):
    """By what the connection is made with."""
    monkeypatch.setenv("PHI_GUARD_RUNTIME_DIR", str(tmp_path / "run"))
    made = open_switch("rediss://user:s3cr3t@redis.example:6380/2#prod")
    options = made._server.connection_pool.connection_kwargs
    assert (options["ssl_cert_reqs"], options["ssl_check_hostname"], options["db"]) == ("required", True, 2)
    assert made._server.connection_pool.connection_class.__name__ == "SSLConnection"
    assert made.place == "rediss://redis.example:6380/2#prod"


def test_a_path_is_a_file(tmp_path, monkeypatch):
    """Given, or by the environment."""
    monkeypatch.setenv("PHI_GUARD_SWITCH", str(tmp_path / "mine.json"))
    for made in (open_switch(), open_switch(tmp_path / "mine.json")):
        assert isinstance(made, FileSwitch)
        assert made.place == str(tmp_path / "mine.json")
