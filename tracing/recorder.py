"""The hot path: a record is put in a bounded queue and forgotten. A daemon thread encodes, hands batches to the relay and waits for acks.

`Recorder.record` never blocks, never raises and does no input or output. Measure it with ``phi-audit bench overhead``.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import threading
import time
import uuid
import weakref
from _thread import start_new_thread
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol

import msgspec
import zmq

from tracing.flight import Flight
from tracing.identity import prepare_ids
from tracing.record import Ack, AnyRecord, Batch, ToolCall

ITEMS_MAX: Final = 20_000
"""Records held in the agent's memory: taken, queued and not yet acknowledged."""
BYTES_MAX: Final = 32 * 1024 * 1024
"""Their bytes."""
BATCH_ITEMS: Final = 100
BATCH_BYTES: Final = 256 * 1024
"""A batch is closed once it has so many; it goes over by its last record at most. To copy it holds the interpreter for a tenth of a ms."""
TICK_BYTES: Final = 4 * BATCH_BYTES
"""What is handed to the socket in one tick, sent for the first time or again."""
TICK_S: Final = 0.05
"""How long the thread sleeps while a relay's answer is awaited."""
IDLE_S: Final = 0.1
"""How long it sleeps when nothing is: so long a record waits at most before it is sent. Fifty idle processes on a host wake it all day."""
RESEND_S: Final = 5.0
"""After so much silence the oldest batch is sent again; the relay knows it by its spans' ids."""
IN_FLIGHT: Final = 8
"""Batches sent and not acknowledged, and messages inside zmq: what a relay that stands still can cost the agent beside `BYTES_MAX`."""
REOPEN_S: Final = 1.0
"""How long the thread waits before it tries again, when there is no socket to be had."""
HEARTBEAT_S: Final = 1.0
"""How often an idle recorder with open calls tells the relay that it lives."""
SLICE_ITEMS: Final = 16
SLICE_BYTES: Final = 64 * 1024
"""What the thread makes and encodes in one go, in records and in characters of tools' texts: it holds the interpreter meanwhile."""
SLICES: Final = 16
BREATH_S: Final = 0.0001
"""How long it lets go of the interpreter after each go, so that whoever waits for it gets it: the agent's loop, say."""
ALONE_S: Final = 15.0
"""Without a connection for so long, and with something to send, it asks for a relay to be started."""
EXIT_S: Final = 2.0
"""What a process that ends waits for the relay, if anything is pending."""


@dataclass(frozen=True, slots=True)
class Tally:
    """Where the records of one recorder are: ``offered = acked + pending + sum(dropped)``, at any time."""

    offered: int
    acked: int
    pending: int
    dropped: dict[str, int]


class Source(Protocol):
    """Makes records of facts, later and on the recorder's thread."""

    def make(self, fact: Any, /) -> AnyRecord: ...


_decode_ack: Final = msgspec.msgpack.Decoder(Ack).decode
_recorders: Final[weakref.WeakSet[Recorder]] = weakref.WeakSet()


@dataclass(slots=True)
class _Line:
    """What the thread alone knows: its socket, the last batch's number, when it last spoke and the count it told in its last beat."""

    socket: zmq.Socket[bytes]
    news: zmq.Socket[bytes]
    number: int = 0
    beat: float = 0.0
    told: int = 0

    def send(self, data: bytes) -> bool:
        try:
            self.socket.send(data, zmq.NOBLOCK)
        except zmq.ZMQError:
            return False
        return True


class Recorder:
    """Hands records to the relay at a unix socket.

    Args:
        address: zmq endpoint of the relay, ``ipc://...``.
        items_max: most records held; one more is dropped and counted as ``queue_full``.
        bytes_max: most bytes held, likewise.
        revive: called on the recorder's thread when there has been no relay for `ALONE_S`, and again after as long.
    """

    def __init__(
        self,
        address: str,
        *,
        items_max: int = ITEMS_MAX,
        bytes_max: int = BYTES_MAX,
        revive: Callable[[], object] | None = None,
    ) -> None:
        self.sender = uuid.uuid4().hex
        self.pid = os.getpid()
        self.faults = 0
        self.running = True
        self.connected = False
        self._address, self._revive = address, revive
        self._items_max, self._bytes_max = items_max, bytes_max
        self._encode = msgspec.msgpack.Encoder().encode
        # As they were given, with the characters of a tool's texts; nothing of a record or a fact changes after that.
        self._taken: deque[tuple[Source | None, Any, int]] = deque()
        self._queue: deque[bytes] = deque()
        # Held for counting only: never while something is encoded or sent, so that nobody waits for it.
        self._lock = threading.Lock()
        self._slice = self._items = self._acked = 0  # being encoded; encoded and not acknowledged; acknowledged
        self._bytes = 0  # of what is encoded
        # What may be given: records waiting in `_taken`, and characters in all of tools' texts; the thread raises it as it encodes them.
        self._items_left, self._bytes_left = items_max, bytes_max
        self._given = 0  # characters of tools' texts since the beginning
        self._dropped: dict[str, int] = {}
        self._open_calls: set[str] = set()
        self._flight = Flight(RESEND_S)
        self._alone_since = time.monotonic()
        self._stop, self._ended = threading.Event(), threading.Event()
        _recorders.add(self)
        start_new_thread(self._run, ())  # Thread.start() would wait until it runs: milliseconds on a busy host

    def record(self, record: AnyRecord) -> None:
        """Take a record for delivery. Never blocks on input or output and never raises; what cannot be held is counted.

        Cost: an append, and a sum for a tool's record, without a lock. Independent of the record's size and of the relay's and the
        network's state.
        """
        self.take(None, record, _texts(record))  # all kinds but a tool's are small: names and numbers

    def take(self, source: Source | None, fact: Any, texts: int = 0) -> None:
        """As `record`, for a record that is yet to be made: ``source.make(fact)`` is called on the recorder's thread.

        After a pause the processor's caches are cold, so that to make a record costs three times what it costs to keep what it is made of.

        Args:
            source: makes the record; None where the fact is the record.
            fact: never changed again by anybody.
            texts: characters of a tool's texts in it; all else is small.
        """
        if len(self._taken) >= self._items_left:
            self._refuse()
            return
        if texts:
            if self._given + texts > self._bytes_left:
                self._refuse()
                return
            self._given += texts  # whole without a lock: between its load and its store CPython lets no other thread run
        self._taken.append((source, fact, texts))

    def open_call(self, call: str) -> None:
        """Tell the relay, from now on with each heartbeat, that this call is going on here."""
        with self._lock:
            self._open_calls.add(call)

    def close_call(self, call: str) -> None:
        """The call has ended; its last records may still be under way."""
        with self._lock:
            self._open_calls.discard(call)

    def tally(self) -> Tally:
        """Where all records are now. Quick: safe on the event loop."""
        with self._lock:
            pending, dropped = len(self._taken) + self._slice + self._items, dict(self._dropped)
            return Tally(self._acked + pending + sum(dropped.values()), self._acked, pending, dropped)

    def drain(self, seconds: float) -> bool:
        """Wait until the relay has acknowledged everything. Blocks the caller: not for the audio path.

        Args:
            seconds: how long at most.

        Returns:
            Whether nothing is pending any more.
        """
        end = time.monotonic() + seconds
        while self.tally().pending and time.monotonic() < end:
            time.sleep(TICK_S)
        return not self.tally().pending

    def close(self, seconds: float = 0.0) -> None:
        """Stop, after waiting up to ``seconds`` for what is pending."""
        self.drain(seconds)
        self._stop.set()
        self._ended.wait(1.0)

    def forked(self) -> None:
        """In a forked child: the thread is not there, and whoever held the lock is not either. Nothing waits, and nothing is held."""
        self._lock = threading.Lock()
        self._stop, self._ended = threading.Event(), threading.Event()
        self._ended.set()
        self.running = self.connected = False
        self._items_max = self._bytes_max = self._items_left = self._bytes_left = 0
        self._taken.clear()
        self._queue.clear()
        self._open_calls.clear()
        self._slice = self._items = self._given = self._bytes = 0

    # -- counting ------------------------------------------------------------------------------------------------------------------

    def _refuse(self) -> None:
        with self._lock:
            self._drop("queue_full")

    def _hold(self, items: int, size: int) -> None:
        """So many more records are encoded and not acknowledged, of so many bytes."""
        self._items += items
        self._bytes += size
        self._items_left -= items
        self._bytes_left -= size

    def _drop(self, reason: str) -> None:
        self._dropped[reason] = self._dropped.get(reason, 0) + 1

    # -- the thread ----------------------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        """The thread: a fault is counted and it goes on, for a dead thread would lose all that follows. The fault's text is not kept."""
        try:
            self._stop.wait(TICK_S)  # whoever made us goes on first: to open a socket takes a millisecond
            self._serve()
        finally:
            self.running = False
            self._ended.set()

    def _serve(self) -> None:
        while not self._stop.is_set():
            try:
                with zmq.Context() as context, context.socket(zmq.DEALER) as socket:
                    self._connect(socket)
            except Exception:  # noqa: BLE001  # no descriptor left, say: there may be one later
                self.faults += 1
                self._admit()
                self._stop.wait(REOPEN_S)

    def _connect(self, socket: zmq.Socket[bytes]) -> None:
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.IMMEDIATE, 1)  # nothing waits inside zmq for a relay that is not there: it waits here, counted
        socket.setsockopt(zmq.SNDHWM, IN_FLIGHT)
        socket.setsockopt(zmq.RECONNECT_IVL, 50)
        socket.setsockopt(zmq.RECONNECT_IVL_MAX, 1000)
        news = socket.get_monitor_socket(zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED)
        line = _Line(socket, news)
        self._lose_connection()
        try:
            socket.connect(self._address)
            while not self._stop.wait(BREATH_S if self._taken else TICK_S if self._items else IDLE_S):
                try:
                    self._tick(line, time.monotonic())
                except Exception:  # noqa: BLE001  # see `_run`
                    self.faults += 1
        finally:
            self._lose_connection()
            socket.disable_monitor()
            news.close(linger=0)

    def _lose_connection(self) -> None:
        if self.connected:
            self._alone_since = time.monotonic()
        self.connected = False
        self._flight.lost_connection()

    def _tick(self, line: _Line, now: float) -> None:
        prepare_ids()
        self._admit()
        self._hear(line, now)
        self._send(line, now)
        self._beat(line, now)
        if not self.connected and self._revive is not None and now - self._alone_since > ALONE_S and (self._items or self._open_calls):
            self._alone_since = now
            self._revive()

    def _admit(self) -> None:
        """Encode what was taken and queue it within the bounds; a little at a time, letting go of the interpreter in between.

        After a few goes it is time to send; what is left comes with the next tick, which is then at once.
        """
        for _ in range(SLICES):
            if not self._taken:
                return
            part: list[tuple[Source | None, Any, int]] = []
            texts = 0
            with self._lock:
                while self._taken and len(part) < SLICE_ITEMS and texts < SLICE_BYTES:
                    part.append(self._taken.popleft())
                    texts += part[-1][2]
                self._slice = len(part)
            coded = [self._code(source, fact) for source, fact, _ in part]
            with self._lock:
                for data in coded:
                    self._queue_one(data)
                self._bytes_left += texts
                self._slice = 0
            if self._taken:
                time.sleep(BREATH_S)

    def _code(self, source: Source | None, fact: Any) -> bytes | None:
        try:
            return self._encode(fact if source is None else source.make(fact))
        except Exception:  # noqa: BLE001  # nothing of telemetry may reach the call; the count tells
            return None

    def _queue_one(self, data: bytes | None) -> None:
        if data is None:
            self._drop("encode")
        elif self._items >= self._items_max or self._bytes + len(data) > self._bytes_max:
            self._drop("queue_full")
        else:
            self._hold(1, len(data))
            self._queue.append(data)

    def _hear(self, line: _Line, now: float) -> None:
        """What became of the connection, and which batches are stored."""
        while _readable(line.news):
            event = int.from_bytes(line.news.recv_multipart(zmq.NOBLOCK)[0][:2], "little")  # zmq_socket_monitor(3): 16 bits, then a value
            if event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
                self.connected = True
            else:
                self._lose_connection()
        while _readable(line.socket):
            try:
                number = _decode_ack(line.socket.recv(zmq.NOBLOCK)).number
            except (msgspec.MsgspecError, zmq.ZMQError):
                break  # not from our relay; the batch stays un-acked and is sent again
            items, size = self._flight.acknowledge(number, now)
            with self._lock:
                self._acked += items
                self._hold(-items, -size)

    def _send(self, line: _Line, now: float) -> None:
        """Send again what is due, then what waits, as far as the tick's bound and the relay's answers allow."""
        left = TICK_BYTES
        while left > 0:
            if (due := self._flight.due(now)) is None:
                if not self._queue or len(self._flight) >= IN_FLIGHT:
                    return
                line.number += 1
                self._pack(line.number)
                continue
            number, data = due
            if not line.send(data):
                return
            self._flight.sent(number, now)
            line.beat, left = now, left - len(data)
            time.sleep(0)  # a megabyte has just been copied

    def _pack(self, number: int) -> None:
        records: list[msgspec.Raw] = []
        size = 0
        while self._queue and len(records) < BATCH_ITEMS and size < BATCH_BYTES:
            data = self._queue.popleft()
            size += len(data)
            records.append(msgspec.Raw(data))
        self._flight.add(number, self._encode(self._batch(number, records)), items=len(records), size=size)

    def _beat(self, line: _Line, now: float) -> None:
        if now - line.beat <= HEARTBEAT_S or not (self._open_calls or self.tally().offered != line.told):
            return
        beat = self._batch(0, [])
        if line.send(self._encode(beat)):
            line.told = beat.offered
        line.beat = now

    def _batch(self, number: int, records: list[msgspec.Raw]) -> Batch:
        tally = self.tally()
        with self._lock:
            calls = list(self._open_calls)
        return Batch(
            sender=self.sender,
            number=number,
            records=records,
            offered=tally.offered,
            dropped=tally.dropped,
            open_calls=sorted(calls),
            acked=tally.acked,
        )


def _readable(socket: zmq.Socket[bytes]) -> bool:
    return bool(int(socket.EVENTS) & zmq.POLLIN)  # a tenth of what poll() costs


def _texts(record: AnyRecord) -> int:
    """Characters of a tool's texts; what is no text cannot be encoded either and is counted there."""
    if type(record) is not ToolCall:
        return 0
    arguments, output = record.arguments, record.output
    return (len(arguments) if type(arguments) is str else 0) + (len(output) if type(output) is str else 0)


def _forked() -> None:
    for recorder in list(_recorders):
        recorder.forked()


def _ending() -> None:
    """The process ends by itself, not by LiveKit's shutdown: what is pending gets a moment more."""
    end = time.monotonic() + EXIT_S
    for recorder in list(_recorders):
        with contextlib.suppress(Exception):
            recorder.close(max(0.0, end - time.monotonic()))


os.register_at_fork(after_in_child=_forked)
atexit.register(_ending)
