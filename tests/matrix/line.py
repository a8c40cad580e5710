"""A wire between the relay and LangSmith that can be cut, held, slowed and broken in the middle of a request, and remembers every byte."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time

_RESET = struct.pack("ii", 1, 0)
"""SO_LINGER with no time: closing sends RST instead of FIN (socket(7))."""


class Line:
    """A TCP relay on loopback, before a server.

    Args:
        url: the server's address.

    Attributes:
        url: the line's own address.
        seen: every byte that was sent towards the server, whether it arrived there or not.
        struck: connections that met the fault.
    """

    def __init__(self, url):
        host, _, port = url.rpartition("//")[2].partition(":")
        self._target = (host, int(port))
        self._port = 0
        self._open, self._lock = set(), threading.Lock()
        self.seen, self.struck = bytearray(), 0
        self._mode, self._delay_s = "open", 0.0
        self._listener = None
        self.mend()
        self.url = f"http://127.0.0.1:{self._port}"

    def mend(self):
        """Carry everything again."""
        self._mode, self._delay_s = "open", 0.0
        if self._listener is None:
            self._listener = socket.create_server(("127.0.0.1", self._port), backlog=64)
            self._port = self._listener.getsockname()[1]
            threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()
        else:
            self._hang_up()  # what was held meanwhile is not carried on as if nothing had been

    def refuse(self):
        """Nobody listens: connections are refused, and those that stand are reset."""
        self._mode = "refuse"
        listener, self._listener = self._listener, None
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        self._hang_up()

    def hang(self):
        """Everything is taken and nothing is answered."""
        self._mode = "hang"
        self._hang_up()

    def reset(self):
        """Each request is cut with RST in the middle of its body."""
        self._mode = "reset"
        self._hang_up()

    def slow(self, seconds):
        """Each request arrives that much later."""
        self._delay_s = seconds

    def close(self):
        """End it."""
        if self._listener is not None:
            self.refuse()

    def _accept(self, listener):
        while True:
            try:
                near, _ = listener.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(self._target, timeout=10)
                far.settimeout(None)
            except OSError:
                near.close()
                continue
            with self._lock:
                self._open |= {near, far}
            threading.Thread(target=self._carry_out, args=(near, far), daemon=True).start()
            threading.Thread(target=self._carry_back, args=(far, near), daemon=True).start()

    def _carry_out(self, near, far):
        struck = False
        with contextlib.suppress(OSError):
            while data := near.recv(65536):
                self.seen += data
                if self._mode in {"hang", "reset"} and not struck:
                    struck, self.struck = True, self.struck + 1
                if self._mode == "hang":
                    continue
                if self._mode == "reset":
                    far.sendall(data[: len(data) // 2])
                    break
                if self._delay_s and (data.startswith((b"POST", b"PATCH"))):
                    self.struck += 1
                    time.sleep(self._delay_s)
                far.sendall(data)
        self._end(near, far)

    def _carry_back(self, far, near):
        with contextlib.suppress(OSError):
            while data := far.recv(65536):
                near.sendall(data)
        self._end(near, far)

    def _hang_up(self):
        with self._lock:
            standing = list(self._open)
        self._end(*standing)

    def _end(self, *ends):
        for end in ends:
            with contextlib.suppress(OSError):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)  # wakes the thread that reads it
            end.close()
            with self._lock:
                self._open.discard(end)
