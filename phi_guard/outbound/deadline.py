"""A time by which a request has to be over. The timeouts of `requests` hold for one read each: a byte every second defeats them."""

from __future__ import annotations

import contextlib
import socket
import threading
from types import TracebackType
from typing import Final, Self

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection


class Deadline:
    """Cuts the connections that its pools made once the time is up. Use as a context around one request.

    Args:
        seconds: from entering on; None for no end.
    """

    def __init__(self, seconds: float | None) -> None:
        self._seconds = seconds
        self._connections: list[HTTPConnection] = []
        self._timer: threading.Timer | None = None
        self.passed = False
        """Whether time was up, so that what became of the request is not known."""
        connections = self._connections

        class Plain(HTTPConnection):
            def connect(self) -> None:
                connections.append(self)  # before it connects: what hangs in the middle is cut too
                super().connect()

        class Secure(HTTPSConnection):
            def connect(self) -> None:
                connections.append(self)
                super().connect()

        class PlainPool(HTTPConnectionPool):
            ConnectionCls = Plain

        class SecurePool(HTTPSConnectionPool):
            ConnectionCls = Secure

        self.pools: Final = {"http": PlainPool, "https": SecurePool}
        """Pools by scheme, for ``PoolManager.pool_classes_by_scheme``."""

    def __enter__(self) -> Self:
        self.passed = False
        if self._seconds is not None:
            self._timer = threading.Timer(self._seconds, self._cut)
            self._timer.daemon = True
            self._timer.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None
        self._connections.clear()

    def _cut(self) -> None:
        self.passed = True
        for connection in list(self._connections):
            with contextlib.suppress(OSError, ValueError, AttributeError):  # closed meanwhile, or never open
                connection.sock.shutdown(socket.SHUT_RDWR)
