"""The roll-back switch of many hosts, kept in a Redis server. Every doubt about it means off, also that the server cannot be reached.

A thread of each worker keeps the last state: told by the server's news, and asked for besides. What is older than `OLD_S` is not believed.
What was last believed is kept in the runtime directory too, so that a server that comes back empty, or from an older copy of itself, turns
nothing on: a state is believed only where it is no older than that, and one that is on after a hold only with a release.
"""

from __future__ import annotations

import hashlib
import os
import re
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from phi_guard.runtime import runtime_dir
from phi_guard.switch_acks import encode_worker, parse_worker
from phi_guard.switch_kept import WHAT, Kept
from phi_guard.switch_state import (
    GONE_S,
    SwitchError,
    SwitchState,
    Worker,
    check_hold,
    check_reason,
    check_release,
    doubt,
    encode_state,
    now_after,
    parse_state,
    stronger,
    turned_on,
)

OLD_S: Final = 0.75
"""A state that the server has not confirmed for so long is off: with what it takes to be asked, silence within a second."""
POLL_S: Final = 0.2
"""How often the server is asked, whatever its news say: a message can be lost."""
ANSWER_S: Final = 0.5
"""How long the server may take to answer."""
FIRST_S: Final = 1.5
"""How long the first call waits for the first answer; no later one waits."""

_RACES_MAX: Final = 50
_NAME: Final = re.compile(r"[a-z0-9_-]{1,32}")
_OPTIONS: Final = frozenset({"db", "ssl_ca_certs", "ssl_certfile", "ssl_keyfile"})
"""What an address may say besides; all else, such as not to check a certificate, is refused."""
_ACK: Final = """
local now = redis.call('TIME')
redis.call('HSET', KEYS[1], ARGV[1], now[1] .. '.' .. string.format('%06d', now[2]) .. ' ' .. ARGV[2])
redis.call('EXPIRE', KEYS[1], ARGV[3])
return 1
"""
"""The age of a worker's word is told by the server's clock alone: hosts' clocks differ."""


class RedisSwitch:
    """A switch kept in a Redis server.

    Args:
        url: ``redis://``, ``rediss://`` (certificate and name are checked) or ``unix://``, with user and password where the server asks for
            them, ``db``, ``ssl_ca_certs``, ``ssl_certfile`` and ``ssl_keyfile`` as options, and the fleet's name behind a ``#``.
        kept: the file of what was last believed; one in the runtime directory if not given.

    Raises:
        SwitchError: the address is none of these.
        RuntimeDirectoryError: the runtime directory cannot be trusted or made.
    """

    def __init__(self, url: str, kept: Path | None = None) -> None:
        self._place, name, options = _read_url(url)
        mark = hashlib.blake2b(self._place.encode(), digest_size=8).hexdigest()
        self._kept = Kept(kept or runtime_dir() / f"switch-{mark}.last")
        self._key = f"phi-guard:switch:{name}"
        self._news, self._who = f"{self._key}:news", f"{self._key}:workers"
        self._options = options
        self._server = self._connect()
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._watching = False
        self._heard = threading.Event()
        self._found = (float("-inf"), doubt(f"{self._place} has not answered yet"))

    def __repr__(self) -> str:
        return f"RedisSwitch({self._place!r})"

    @property
    def place(self) -> str:
        """Where the server is, without user and password."""
        return self._place

    # -- reading -------------------------------------------------------------------------------------------------------------------

    def state(self) -> SwitchState:
        """Where the switch stands: what the watching thread was told last, off where that is too old. Never raises.

        The first call starts the thread and waits for its first answer, `FIRST_S` at most; no other waits for anything.
        """
        if not self._watching or self._pid != os.getpid():
            self._watch()
        stamp, state = self._found
        if state.on and time.monotonic() - stamp > OLD_S:
            return doubt(f"the server of the switch does not answer ({self._place}); look at it and at the network", self._kept.last().hold)
        return state

    def _watch(self) -> None:
        with self._lock:
            if not self._watching or self._pid != os.getpid():
                self._pid, self._heard = os.getpid(), threading.Event()
                self._server = self._connect()
                threading.Thread(target=self._follow, name="phi-guard-switch", daemon=True).start()
                self._watching = True
        self._heard.wait(FIRST_S)

    def _follow(self) -> None:
        while True:
            try:
                with self._connect() as server, server.pubsub(ignore_subscribe_messages=True) as news:
                    news.subscribe(self._news)
                    while True:
                        self._ask(server)
                        news.get_message(timeout=POLL_S)
            except Exception as fault:  # noqa: BLE001  # a dead thread would leave the switch off for ever; the text may hold the address
                self._lose(_kind(fault))
                time.sleep(POLL_S)

    def _ask(self, server: redis.Redis) -> None:
        asked = time.monotonic()
        told = server.get(self._key)
        state = self._kept.believe(_state_of(told))
        self._found = (asked, state)
        self._heard.set()
        if state.at and not state.on and told != encode_state(last := self._kept.last()):
            self._put_back(server, told, last)

    def _put_back(self, server: redis.Redis, told: object, last: SwitchState) -> None:
        """The server has lost an off that we know of, and others may not: tell it, unless another has written meanwhile."""
        pipe: Any
        with server.pipeline() as pipe, suppress(redis.WatchError):
            pipe.watch(self._key)
            if pipe.get(self._key) == told:
                pipe.multi()
                pipe.set(self._key, encode_state(last))
                pipe.publish(self._news, b"changed")
                pipe.execute()

    def _lose(self, why: str) -> None:
        """The server was not reached. One lost connection is no silence yet: an answer stands until it is too old."""
        stamp, state = self._found
        if not state.on or time.monotonic() - stamp > OLD_S:
            last = self._kept.last()
            reason = f"{why} ({self._place}): off until it answers"
            self._found = (stamp, doubt(reason) if last.on else SwitchState(False, reason, last.at, last.hold))
        self._heard.set()

    # -- writing -------------------------------------------------------------------------------------------------------------------

    def turn_on(self, reason: str, *, release: str = "") -> None:
        """Let things be sent, on every host.

        Args:
            reason: one line of at most 200 printable characters.
            release: digest of the report on which a hold is released, 64 hexadecimal digits; a switch that is held needs one.

        Raises:
            SwitchError: the reason is not such a line, the switch is held, or the server cannot be reached.
        """
        line = check_reason(reason)
        check_release(release)
        self._change(lambda found: turned_on(found, line, release, self._place))

    def turn_off(self, reason: str, hold: str = "") -> None:
        """Stop everything that would be sent, on every host; on this one also where the server cannot be reached.

        A hold that is there stays, and a leak outranks the others.

        Args:
            reason: one line of at most 200 printable characters.
            hold: the cause that must be settled before the switch may be on again, lower-case letters and ``_``; empty for none.

        Raises:
            SwitchError: the reason is not such a line, or the server cannot be reached; workers that do not reach it are off already.
        """
        line = check_reason(reason)
        check_hold(hold)

        def off(found: SwitchState) -> SwitchState:
            return SwitchState(on=False, reason=line, at=now_after(found.at), hold=stronger(hold, found.hold))

        here = off(self._kept.last())
        self._kept.keep(here)
        self._found = (time.monotonic(), here)
        self._change(off)

    def _change(self, change: Callable[[SwitchState], SwitchState]) -> None:
        """Write what the state becomes, unless another wrote meanwhile: then look again."""
        pipe: Any
        try:
            for _ in range(_RACES_MAX):
                with self._server.pipeline() as pipe:
                    pipe.watch(self._key)
                    state = change(self._kept.latest(_state_of(pipe.get(self._key))))
                    pipe.multi()
                    pipe.set(self._key, encode_state(state))
                    pipe.publish(self._news, b"changed")
                    with suppress(redis.WatchError):
                        pipe.execute()
                        self._kept.keep(state)
                        self._found = (time.monotonic(), state)
                        return
        except redis.RedisError as fault:
            msg = f"{self._place}: the switch cannot be written ({_kind(fault)}); look at the server and the network, and try again"
            raise SwitchError(msg) from None
        raise SwitchError(f"{self._place}: the switch cannot be written (others write it all the time); try again")

    # -- who acts on it ------------------------------------------------------------------------------------------------------------

    def acknowledge(self, worker: Worker, state: SwitchState) -> bool:
        """Tell the server what a worker acts on; whether it took it. Never raises; waits for the server, so not for a hot path.

        Args:
            worker: who.
            state: what it acts on, as `state` gave it.
        """
        try:
            self._server.eval(_ACK, 1, self._who, worker.id, encode_worker(worker, state), str(int(GONE_S)))  # Redis' own scripts
        except (redis.RedisError, OSError):
            return False
        return True

    def dismiss(self, worker_id: str) -> None:
        """A worker has ended. Never raises."""
        with suppress(redis.RedisError, OSError):
            self._server.hdel(self._who, worker_id)

    def workers(self) -> tuple[Worker, ...]:
        """Who has said what it acts on, within `GONE_S`.

        Raises:
            SwitchError: the server cannot be reached.
        """
        try:
            seconds, micros = self._server.time()
            told: Any = self._server.hgetall(self._who)
        except redis.RedisError as fault:
            raise SwitchError(f"{self._place}: the workers cannot be read ({_kind(fault)}); look at the server and the network") from None
        now, found = seconds + micros / 1e6, []
        for worker_id, word in sorted(told.items()):
            at, _, content = word.partition(b" ")
            try:
                age_s = now - float(at)
                worker = parse_worker(worker_id.decode(), content, age_s)
            except ValueError:
                continue
            if age_s > GONE_S:
                self.dismiss(worker_id.decode())
            elif worker is not None:
                found.append(worker)
        return tuple(found)

    def _connect(self) -> redis.Redis:
        return redis.Redis(
            socket_timeout=ANSWER_S,
            socket_connect_timeout=ANSWER_S,
            retry=Retry(NoBackoff(), 0),
            health_check_interval=0,
            **self._options,
        )


def _state_of(content: object) -> SwitchState:
    if content is None:
        return doubt(f"{WHAT} is nothing; turn the switch on with: phi-audit switch on")
    return parse_state(content, WHAT) if isinstance(content, bytes) else doubt(f"{WHAT} is not a text")


def _kind(fault: Exception) -> str:
    """A fault in words that hold nothing of the address."""
    for kinds, words in (
        (redis.AuthenticationError, "the server refuses the user or the password"),
        (redis.TimeoutError, "the server does not answer in time"),
        (redis.ConnectionError, "the server cannot be reached"),
        (redis.ReadOnlyError, "the server is a copy that cannot be written"),
    ):
        if isinstance(fault, kinds):
            return words
    return f"the server refuses: {type(fault).__name__}"


def _read_url(url: str) -> tuple[str, str, dict[str, Any]]:
    """``(place, name, options of the connection)`` of an address.

    Raises:
        SwitchError: it is none; the message holds nothing of it but where it fails.
    """
    try:
        parts = urlsplit(url)
        given, port = dict(parse_qsl(parts.query, strict_parsing=bool(parts.query))), parts.port
    except ValueError:
        raise SwitchError("PHI_GUARD_SWITCH: the server's address cannot be read; write rediss://user:password@host:6379/0#prod") from None
    if wrong := sorted(set(given) - _OPTIONS):
        advice = (
            "certificates are always checked" if any(name.startswith("ssl") for name in wrong) else "write " + ", ".join(sorted(_OPTIONS))
        )
        raise SwitchError(f"PHI_GUARD_SWITCH: the server's address has {len(wrong)} options that are not taken; {advice}")
    name = parts.fragment or "default"
    if not _NAME.fullmatch(name):
        raise SwitchError("PHI_GUARD_SWITCH: the name behind # is 1 to 32 of a-z, 0-9, - and _")
    local = parts.scheme == "unix"
    chosen = given.pop("db", "") or ("" if local else parts.path.strip("/")) or "0"
    if not chosen.isdecimal() or (local and not parts.path) or (not local and not parts.hostname):
        raise SwitchError("PHI_GUARD_SWITCH: the server's address names no host, socket or database; write rediss://host:6379/0#prod")
    options: dict[str, Any] = {"db": int(chosen), "username": unquote(parts.username or "") or None}
    options["password"] = unquote(parts.password or "") or None
    if local:
        options["unix_socket_path"] = unquote(parts.path)
        return f"unix://{parts.path}?db={chosen}#{name}", name, options
    options |= {"host": parts.hostname, "port": port or 6379}
    if parts.scheme == "rediss":
        options |= {"ssl": True, "ssl_cert_reqs": "required", "ssl_check_hostname": True, **given}
    return f"{parts.scheme}://{parts.hostname}:{port or 6379}/{chosen}#{name}", name, options
