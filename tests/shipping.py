"""What the tests of delivery share: cleared calls, a witness that remembers, and an endpoint that answers just as it is told."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time

from fakes import call_records

from phi_guard.detect.patterns import PatternDetector
from phi_guard.errors import DisclosureUnwritable
from phi_guard.gate import Gate
from phi_guard.model import Cleared
from phi_guard.policy import load_policy, shipped
from tracing.relay.outbox import Outbox
from tracing.relay.span import op_of, payload_of

PROJECT = "medical-voice-agent-dev"


def open_gate(policy=None):
    """A real gate under the shipped policy, or another, with the patterns alone to look: no network to load."""
    return Gate(policy or load_policy(shipped("clinic.yaml"), env="dev"), PatternDetector())


def cleared_call(gate, **how):
    """``(span, op, call, Cleared)`` of each record of one short call, as the relay makes them."""
    rows = []
    for record in call_records(**how):
        outcome = gate.clear(payload_of(record, project=PROJECT, env="dev", facts={"policy_digest": gate.digest}))
        assert isinstance(outcome, Cleared), outcome
        rows.append((record.id, op_of(record), record.call, outcome))
    return rows


def fill(path, rows):
    """Store cleared operations in an outbox."""
    outbox = Outbox(path)
    outbox.heard("a test", len(rows), {})
    for span, op, call, cleared in rows:
        outbox.store(span, op, call, cleared)
    outbox.close()


def states(path):
    """How many operations of an outbox are in which state, for which reason."""
    outbox = Outbox(path)
    try:
        told = {}
        for state, reason, _, n in outbox.counts():
            told[state, reason] = told.get((state, reason), 0) + n
        return told
    finally:
        outbox.close()


class Notebook:
    """A witness that remembers what it was told; one that is full refuses."""

    def __init__(self, *, full=False):
        self.full = full
        self.postings, self.outcomes = [], []

    def intend(self, posting):
        if self.full:
            raise DisclosureUnwritable("a full notebook")
        self.postings.append(posting)

    def settle(self, outcome):
        self.outcomes.append(outcome)


class Endpoint:
    """An HTTP/1.1 endpoint on loopback, bytes by bytes: it keeps what arrives and answers each request with the next of its answers.

    An answer is ``(status, headers)``; or ``"reset"`` (breaks the connection in the middle of the body), ``"hang"`` (reads and never
    answers), ``"close"`` (reads, and closes without an answer). After the last one it answers 202.
    """

    def __init__(self, *answers):
        self.answers = list(answers)
        self.arrived = []
        self._ended = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._ended.set()
        self._listener.close()

    @property
    def raw(self):
        """Every byte that arrived."""
        return b"\n".join(self.arrived)

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        with contextlib.suppress(OSError), connection:
            while not self._ended.is_set() and self._one(connection):
                pass

    def _one(self, connection):
        data = b""
        while b"\r\n\r\n" not in data:
            piece = connection.recv(65536)
            if not piece:
                return False
            data += piece
        head, _, body = data.partition(b"\r\n\r\n")
        place = len(self.arrived)
        self.arrived.append(data)
        length = next((int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0)
        answer = self.answers.pop(0) if self.answers else (202, {})
        if answer == "reset":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return False
        while len(body) < length:
            body += connection.recv(65536)
            self.arrived[place] = head + b"\r\n\r\n" + body
        if answer == "hang":
            self._ended.wait(120)
            return False
        if answer == "close":
            return False
        status, headers = answer
        lines = [f"HTTP/1.1 {status} Told", *(f"{name}: {value}" for name, value in headers.items()), "Content-Length: 2", "", "{}"]
        connection.sendall("\r\n".join(lines).encode("latin-1"))
        return True


def wait_until(holds, seconds=20.0):
    """Wait until something holds; an AssertionError when time is up."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it did not come to hold in time"
        time.sleep(0.02)
