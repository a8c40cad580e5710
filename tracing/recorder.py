"""The hot path: a record is put in a bounded queue and forgotten. A daemon thread encodes, hands batches to the relay and waits for acks.

`Recorder.record` never blocks, never raises and does no input or output. Measure it with ``phi-audit rehearse``: overhead_us.
"""

from __future__ import annotations

import os
import threading
import time
import uuid
import weakref
from collections import OrderedDict, deque
from dataclasses import dataclass
from typing import Final

import msgspec
import zmq

from tracing.record import Ack, AnyRecord, Batch

ITEMS_MAX: Final = 20_000
"""Records held in the agent's memory, queued and not yet acknowledged."""
BYTES_MAX: Final = 32 * 1024 * 1024
"""Their bytes."""
BATCH_ITEMS: Final = 100
BATCH_BYTES: Final = 1024 * 1024
TICK_S: Final = 0.02
"""How long a record waits at most before it is sent."""
RESEND_S: Final = 5.0
"""A batch not acknowledged by then is sent again; the relay knows it by its spans' ids."""
IN_FLIGHT: Final = 8
"""Batches sent and not acknowledged, and messages inside zmq: what a relay that stands still can cost the agent beside `BYTES_MAX`."""
REOPEN_S: Final = 1.0
"""How long the thread waits before it tries again, when there is no socket to be had."""
HEARTBEAT_S: Final = 1.0
"""How often an idle recorder with open calls tells the relay that it lives."""


@dataclass(frozen=True, slots=True)
class Tally:
    """Where the records of one recorder are: ``offered = acked + pending + sum(dropped)`` at any time no record is under way."""

    offered: int
    acked: int
    pending: int
    dropped: dict[str, int]


_decode_ack: Final = msgspec.msgpack.Decoder(Ack).decode
_recorders: Final[weakref.WeakSet[Recorder]] = weakref.WeakSet()


@dataclass(slots=True)
class _Sending:
    """What the thread alone knows: its socket, the last batch's number, when it last spoke and the count it told in its last beat."""

    socket: zmq.Socket[bytes]
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
    """

    def __init__(self, address: str, *, items_max: int = ITEMS_MAX, bytes_max: int = BYTES_MAX) -> None:
        self.sender = uuid.uuid4().hex
        self.pid = os.getpid()
        self.faults = 0
        self._address = address
        self._items_max, self._bytes_max = items_max, bytes_max
        self._encode = msgspec.msgpack.Encoder().encode
        self._taken: deque[AnyRecord] = deque()  # as record() was given them; nothing of a record changes after that
        self._queue: deque[bytes] = deque()
        self._lock = threading.Lock()
        self._offered = self._items_in = self._bytes_in = 0  # written under the lock
        self._items_out = self._bytes_out = 0  # written by the thread alone
        self._dropped: dict[str, int] = {}
        self._open_calls: set[str] = set()
        self._unacked: OrderedDict[int, tuple[bytes, int, int, float]] = OrderedDict()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="phi-guard-recorder", daemon=True)
        self._thread.start()
        _recorders.add(self)

    def record(self, record: AnyRecord) -> None:
        """Take a record for delivery. Never blocks on input or output and never raises; what cannot be held is counted.

        Cost: an append, without a lock; independent of the record's size and of the relay's and the network's state.
        """
        if len(self._taken) < self._items_max:
            self._taken.append(record)
        else:
            with self._lock:
                self._offered += 1
                self._drop("queue_full")

    def _admit(self) -> None:
        """Encode what was taken and queue it within the bounds; a few at a time, so that nobody waits long for the lock."""
        left = len(self._taken)
        while left > 0:
            with self._lock:
                for _ in range(min(left, BATCH_ITEMS)):
                    if self._taken:  # another thread may admit too
                        self._admit_one(self._taken.popleft())
            left -= BATCH_ITEMS

    def _admit_one(self, record: AnyRecord) -> None:
        self._offered += 1
        try:
            data = self._encode(record)
        except Exception:  # noqa: BLE001  # nothing of telemetry may reach the call; the count tells
            self._drop("encode")
            return
        if self._items_in - self._items_out >= self._items_max or self._bytes_in - self._bytes_out + len(data) > self._bytes_max:
            self._drop("queue_full")
        else:
            self._items_in += 1
            self._bytes_in += len(data)
            self._queue.append(data)

    def open_call(self, call: str) -> None:
        """Tell the relay, from now on with each heartbeat, that this call is going on here."""
        with self._lock:
            self._open_calls.add(call)

    def close_call(self, call: str) -> None:
        """The call has ended; its last records may still be under way."""
        with self._lock:
            self._open_calls.discard(call)

    def tally(self) -> Tally:
        """Where all records are now."""
        self._admit()
        with self._lock:
            acked = self._items_out
            return Tally(self._offered, acked, self._items_in - acked, dict(self._dropped))

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
        self._thread.join(1.0)

    def forked(self) -> None:
        """In a forked child: the thread is not there, and whoever held the lock is not either. Nothing waits, and nothing is held."""
        self._lock = threading.Lock()
        self._items_max = self._bytes_max = 0
        self._taken.clear()
        self._queue.clear()
        self._items_out, self._bytes_out = self._items_in, self._bytes_in

    def _drop(self, reason: str) -> None:
        self._dropped[reason] = self._dropped.get(reason, 0) + 1

    def _run(self) -> None:
        """The thread: a fault is counted and it goes on, for a dead thread would lose all that follows. The fault's text is not kept."""
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
        socket.connect(self._address)
        state = _Sending(socket)
        while not self._stop.wait(TICK_S):
            try:
                self._tick(state, time.monotonic())
            except Exception:  # noqa: BLE001  # see `_run`
                self.faults += 1

    def _tick(self, state: _Sending, now: float) -> None:
        self._admit()
        while state.socket.poll(0):
            try:
                self._acknowledge(_decode_ack(state.socket.recv(zmq.NOBLOCK)).number)
            except (msgspec.MsgspecError, zmq.ZMQError):
                break  # not from our relay; the batch stays un-acked and is sent again
        for number in [n for n, (_, _, _, at) in self._unacked.items() if now - at > RESEND_S]:
            data, items, size, _ = self._unacked[number]
            if not state.send(data):
                break
            self._unacked[number] = (data, items, size, now)
        while self._queue and len(self._unacked) < IN_FLIGHT:
            state.number += 1
            data, items, size = self._next_batch(state.number)
            sent = state.send(data)
            # A batch that could not be sent is due at once: it goes out with the first tick after the relay is there.
            self._unacked[state.number] = (data, items, size, now if sent else now - 2 * RESEND_S)
            state.beat = now
            if not sent:
                break
        if (self._open_calls or self._offered != state.told) and now - state.beat > HEARTBEAT_S:
            beat = self._batch(0, [])
            if state.send(self._encode(beat)):
                state.told = beat.offered
            state.beat = now

    def _next_batch(self, number: int) -> tuple[bytes, int, int]:
        records: list[msgspec.Raw] = []
        size = 0
        while self._queue and len(records) < BATCH_ITEMS and size < BATCH_BYTES:
            data = self._queue.popleft()
            size += len(data)
            records.append(msgspec.Raw(data))
        return self._encode(self._batch(number, records)), len(records), size

    def _batch(self, number: int, records: list[msgspec.Raw]) -> Batch:
        tally = self.tally()
        with self._lock:
            calls = sorted(self._open_calls)
        return Batch(
            sender=self.sender,
            number=number,
            records=records,
            offered=tally.offered,
            dropped=tally.dropped,
            open_calls=calls,
        )

    def _acknowledge(self, number: int) -> None:
        done = self._unacked.pop(number, None)
        if done is not None:
            _, items, size, _ = done
            with self._lock:
                self._items_out += items
                self._bytes_out += size


def _forked() -> None:
    for recorder in list(_recorders):
        recorder.forked()


os.register_at_fork(after_in_child=_forked)
