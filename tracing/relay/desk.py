"""The desk: hears every agent at once, and hands what must be stored to one thread that may take long over it.

Detectors take seconds over long texts. Meanwhile whoever asks how the relay is gets an answer, and an agent that speaks is heard: it must
not be taken for dead because another's text is being looked at. What waits is taken from one agent after the other.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Final

import msgspec
import zmq

from tracing.record import Batch
from tracing.relay import log
from tracing.relay.intake import Intake
from tracing.relay.log import say
from tracing.relay.outbox import Outbox
from tracing.relay.presence import LOST_S
from tracing.relay.retention import tidy

LOOK_S: Final = 1.0
"""How often the relay looks for agents that are gone; a turn of its loop that takes longer means that it was away itself."""
TIDY_S: Final = 60.0
"""How often the outbox forgets what is past its time and gives room back, and the log is looked at."""
WAITING_BYTES: Final = 64 * 1024 * 1024
"""What waits in the relay's memory at most, eight batches of an agent; what comes beyond that is not taken, and comes again."""
HAND_S: Final = 2.0
"""How long a relay that is told to stop waits for the batch in hand; it is not acknowledged, and comes again."""
_REPLIES: Final = "inproc://replies"

_decode: Final = msgspec.msgpack.Decoder(Batch).decode


class Queue:
    """Messages that wait to be stored: each agent's in its order, the agents in turn."""

    def __init__(self) -> None:
        self._senders: OrderedDict[str, OrderedDict[int, tuple[bytes, bytes]]] = OrderedDict()
        self._size = 0
        self._changed = threading.Condition()

    def put(self, sender: str, number: int, peer: bytes, data: bytes) -> None:
        """Add a message. One that waits already, sent again or a later beat, takes the place of the former."""
        with self._changed:
            waiting = self._senders.setdefault(sender, OrderedDict())
            size = len(data) - len(waiting.get(number, (b"", b""))[1])
            if self._size + size <= WAITING_BYTES:
                waiting[number] = (peer, data)
                self._size += size
                self._changed.notify()
            elif not waiting:
                del self._senders[sender]

    def take(self, seconds: float) -> tuple[bytes, bytes] | None:
        """The next message and where it came from; None when none comes in time."""
        with self._changed:
            if not self._senders and not self._changed.wait_for(lambda: bool(self._senders), seconds):
                return None
            sender, waiting = self._senders.popitem(last=False)
            _, (peer, data) = waiting.popitem(last=False)
            if waiting:
                self._senders[sender] = waiting
            self._size -= len(data)
            return peer, data

    def senders(self) -> Collection[str]:
        """Those of whom something waits."""
        with self._changed:
            return set(self._senders)


class Desk:
    """What is said on the relay's socket, taken until told to stop.

    Args:
        socket: the relay's, bound; used by the thread that calls `listen` alone.
        context: of the socket.
        intake: stores what comes, on a thread of its own; its outbox is that thread's from now on.
        answers: the same outbox, opened for the thread that calls `listen`.
        runtime: where the log lies.
    """

    def __init__(
        self, socket: zmq.Socket[bytes], context: zmq.Context[zmq.Socket[bytes]], intake: Intake, answers: Outbox, runtime: Path
    ) -> None:
        self._socket, self._intake, self._answers, self._runtime = socket, intake, answers, runtime
        answers.presence = intake.outbox.presence
        self._replies = context.socket(zmq.PULL)
        self._replies.bind(_REPLIES)
        self._told = context.socket(zmq.PUSH)
        self._told.setsockopt(zmq.LINGER, 0)
        self._told.connect(_REPLIES)
        self._queue = Queue()
        self._turned = time.monotonic()
        self._away_until = 0.0
        self._stopped = threading.Event()
        self._complained = float("-inf")

    def listen(self, is_over: Callable[[], bool]) -> bool:
        """Hear and answer until it is over.

        Returns:
            Whether the thread that stores has ended; one in the middle of long texts has not, and must not be waited for.
        """
        thread = threading.Thread(target=self._store_all, name="phi-guard-intake", daemon=True)
        thread.start()
        poller = zmq.Poller()
        poller.register(self._socket, zmq.POLLIN)
        poller.register(self._replies, zmq.POLLIN)
        while not is_over():
            now = time.monotonic()
            if now - self._turned > LOOK_S:
                self._away_until = now + LOST_S  # we were away, not the agents: they get their time to be heard first
            self._turned = now
            try:
                for ready, _ in poller.poll(100):
                    if ready is self._replies:
                        self._socket.send_multipart(self._replies.recv_multipart())
                    else:
                        self._hear(*self._socket.recv_multipart()[:2])
            except Exception as fault:  # noqa: BLE001  # one message, or the outbox just now; the others go on
                self._complain("cannot answer what comes", fault)
        self._stopped.set()
        thread.join(HAND_S)
        ended = not thread.is_alive()
        if ended:
            self._told.close()
            self._replies.close(linger=0)
        return ended

    def _hear(self, peer: bytes, data: bytes) -> None:
        batch = self._intake.read(data)
        if batch is not None:
            self._queue.put(batch.sender, batch.number, peer, data)
        elif (reply := self._intake.answer(data, self._answers)) is not None:
            self._socket.send_multipart([peer, reply])

    # -- the thread that stores ----------------------------------------------------------------------------------------------------

    def _store_all(self) -> None:
        """What cannot be stored now is not acknowledged, so that it comes again."""
        looked = tidied = time.monotonic()
        while not self._stopped.is_set():
            try:
                if (message := self._queue.take(0.1)) is not None:
                    peer, data = message
                    if (reply := self._intake.take(data)) is not None:
                        self._told.send_multipart([peer, reply])
                now = time.monotonic()
                if now - looked > LOOK_S and self._was_here(now):
                    looked = now
                    self._intake.end_lost(now, self._queue.senders())
                if now - tidied > TIDY_S:
                    tidied = now
                    log.bound(self._runtime)
                    tidy(self._intake.outbox, self._intake.here)
            except Exception as fault:  # noqa: BLE001  # a full disk, say; a relay that ends here would stop every agent's telemetry
                self._complain("cannot store what comes", fault)
                time.sleep(0.1)

    def _was_here(self, now: float) -> bool:
        """Whether whoever spoke lately has been heard."""
        return now - self._turned < LOOK_S and now > self._away_until

    def _complain(self, what: str, fault: Exception) -> None:
        now = time.monotonic()
        if now > self._complained + 60.0:
            self._complained = now
            say(f"{what} ({kind_of(fault)}): it stays with the agents and comes again")


def kind_of(fault: Exception) -> str:
    """A fault's class, or SQLite's name for it; never its text."""
    return str(getattr(fault, "sqlite_errorname", "") or type(fault).__name__)
