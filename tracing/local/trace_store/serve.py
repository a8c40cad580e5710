"""The server itself, in a thread for tests and the demo or for good in the foreground; on this machine only."""

from __future__ import annotations

import asyncio
import ipaddress
import signal
import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, NoReturn, Self

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from tracing.local.trace_store.app import create_app
from tracing.local.trace_store.front import beside
from tracing.local.trace_store.reception import transport
from tracing.local.trace_store.retention import Retention
from tracing.local.trace_store.store import TraceStore

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator

    from starlette.types import ASGIApp

    from tracing.local.trace_store.faults import Faults
    from tracing.local.trace_store.reception import Limits

_START_S: Final = 20.0
_STOP_S: Final = 10.0


class _Protocol(H11Protocol):
    """uvicorn's protocol, with the connection known to the request it carries."""

    def data_received(self, data: bytes) -> None:
        token = transport.set(self.transport)
        try:
            super().data_received(data)
        finally:
            transport.reset(token)


class _Server(uvicorn.Server):
    """uvicorn's server, which says when it is ready."""

    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self.on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self.on_ready()


def _server(app: ASGIApp, on_ready: Callable[[], None]) -> _Server:
    # No logs: a request line holds ids and search texts. Connections outlive the idle time of the SDK's pool.
    config = uvicorn.Config(
        app,
        http=_Protocol,
        loop="asyncio",
        lifespan="off",
        log_config=None,
        log_level="critical",
        access_log=False,
        proxy_headers=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=1,
    )
    return _Server(config, on_ready)


def _listen(host: str, port: int) -> tuple[socket.socket, str]:
    """A bound socket on this machine, and its address.

    Raises:
        ValueError: the host is not a loopback address; the store takes any key, so no other machine may reach it.
        OSError: the port is taken.
    """
    name = "127.0.0.1" if host == "localhost" else host
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        address = None
    if address is None or not address.is_loopback:
        raise ValueError("host: the trace store takes any key, so it listens on 127.0.0.1 or ::1 only")
    # asyncio turns Nagle's waiting off only where the protocol is said: without it each answer takes 40 ms
    sock = socket.socket(socket.AF_INET6 if address.version == 6 else socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((name, port))
    except BaseException:
        sock.close()
        raise
    shown = f"[{name}]" if address.version == 6 else name
    return sock, f"http://{shown}:{sock.getsockname()[1]}"


@contextmanager
def _terminable() -> Iterator[None]:
    """Within, SIGTERM is like SIGINT: uvicorn raises the signal again when it has stopped, and its default would skip our closing."""

    def interrupt(*_: object) -> NoReturn:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def serve(
    host: str,
    port: int,
    path: str | os.PathLike[str],
    *,
    on_ready: Callable[[str], None] | None = None,
    keep_raw: bool = False,
    faults: Faults | None = None,
    keep_days: int | None = None,
    mount: Callable[[TraceStore, str], ASGIApp] | None = None,
) -> None:
    """Serve a store until the process is told to stop; SIGINT and SIGTERM raise KeyboardInterrupt once all is closed.

    Args:
        host: a loopback address.
        port: 0 for any free one.
        path: the store's file, or ``:memory:``.
        on_ready: called once with the address when requests are answered.
        keep_raw: see `TraceStore`.
        faults: see `create_app`.
        keep_days: traces older than so many days are deleted; None keeps all.
        mount: given the store and the server's address, makes the pages to show below `front.PAGES`; None shows none.

    Raises:
        ValueError: the host is not on this machine.
        OSError: the port is taken.
        StoreUnavailable: the file cannot be used.
    """
    sock, url = _listen(host, port)
    try:
        store = TraceStore(path, keep_raw=keep_raw)
        retention = None if keep_days is None else Retention(store, keep_days)
        try:
            with _terminable():
                api: ASGIApp = create_app(store, faults=faults)
                app = api if mount is None else beside(api, mount(store, url))
                if retention is not None:
                    retention.start()
                _server(app, lambda: on_ready(url) if on_ready else None).run(sockets=[sock])
        finally:
            if retention is not None:
                retention.stop()
            store.close()
    finally:
        sock.close()


class LocalServer:
    """A trace store running in a thread of this process, from `start` (or ``with``) to `stop`.

    Args:
        path: the store's file, or ``:memory:``.
        port: 0 for any free one; always on 127.0.0.1.
        keep_raw: see `TraceStore`.
        faults: see `create_app`; shared with the caller, who changes it while the server runs.
        limits: see `create_app`.
        mount: see `serve`.

    Attributes:
        url: the address, once started.
        store: what it serves; readable until `stop`.

    Raises:
        StoreUnavailable: the file cannot be used.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] = ":memory:",
        *,
        port: int = 0,
        keep_raw: bool = False,
        faults: Faults | None = None,
        limits: Limits | None = None,
        mount: Callable[[TraceStore, str], ASGIApp] | None = None,
    ) -> None:
        self.url = ""
        self.faults = faults
        self.store = TraceStore(path, keep_raw=keep_raw)
        self._port = port
        self._ready = threading.Event()
        self._mount = mount
        self._app: ASGIApp = create_app(self.store, faults=faults, limits=limits)
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> Self:
        """Begin to serve; returns when requests are answered.

        Raises:
            OSError: the port is taken.
            RuntimeError: the server did not come up.
        """
        sock, self.url = _listen("127.0.0.1", self._port)
        app = self._app if self._mount is None else beside(self._app, self._mount(self.store, self.url))
        self._server = _server(app, self._ready.set)
        self._thread = threading.Thread(target=self._run, args=(self._server, sock), name="trace-store", daemon=True)
        self._thread.start()
        if not self._ready.wait(_START_S):
            self.stop()
            raise RuntimeError(f"the trace store did not answer within {_START_S:.0f} s")
        return self

    def _run(self, server: _Server, sock: socket.socket) -> None:
        try:
            asyncio.run(server.serve(sockets=[sock]))
        finally:
            sock.close()

    def stop(self) -> None:
        """Stop serving and close the store; doing it twice does nothing more."""
        if self._server is not None:
            self._server.should_exit = True
        if self._thread is not None:
            self._thread.join(_STOP_S)
        self.store.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()
