"""The dashboard's own server: on this machine unless told otherwise, without logs, until it is stopped."""

from __future__ import annotations

import ipaddress
import os
import signal
import socket
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

import uvicorn

from phi_guard.errors import PhiGuardError

if TYPE_CHECKING:
    from starlette.types import ASGIApp

LOOPBACK_NAMES: Final = frozenset({"127.0.0.1", "localhost", "::1"})
TOKEN_MIN: Final = 16
"""Characters of a token; the form that asks for it slows guesses down, and this makes them hopeless."""
_TOKEN_BYTES_MAX: Final = 1_024


class DashboardError(PhiGuardError):
    """The dashboard cannot be served so; the message says what to do."""

    exit_code = 2


def is_loopback(host: str) -> bool:
    """Whether an address is reached from this machine alone; a name other than ``localhost`` is not taken to be."""
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"


def is_every(host: str) -> bool:
    """Whether an address stands for every one of this machine."""
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_unspecified
    return host == ""


def read_token(path: Path) -> str:
    """The token in a file: its first line.

    Raises:
        DashboardError: the file cannot be read, others may read it, or its token is too short.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            found = os.fstat(handle)
            text = os.read(handle, _TOKEN_BYTES_MAX).decode("utf-8", "replace")
        finally:
            os.close(handle)
    except OSError as fault:
        raise DashboardError(f"{path}: the token cannot be read ({fault.strerror})") from None
    if found.st_mode & 0o077:
        raise DashboardError(f"{path}: others may read the token; run: chmod 600 {path}")
    token = text.partition("\n")[0].strip()
    if len(token) < TOKEN_MIN:
        raise DashboardError(f"{path}: the token has fewer than {TOKEN_MIN} characters; make one: openssl rand -base64 32 > {path}")
    return token


def serve(app: ASGIApp, *, host: str, port: int, announce: Callable[[int], None]) -> None:
    """Serve until SIGINT or SIGTERM.

    Args:
        app: the pages.
        host: address to bind.
        port: 0 takes a free one.
        announce: told the port, once it listens.

    Raises:
        DashboardError: the address cannot be used.
    """

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            if self.started:
                announce(self.servers[0].sockets[0].getsockname()[1])

    # No logs: an address holds the token.
    server = Server(
        uvicorn.Config(
            app, host=host, port=port, lifespan="off", log_config=None, log_level="critical", access_log=False,
            proxy_headers=False, server_header=False, timeout_graceful_shutdown=2,
        )
    )  # fmt: skip
    # uvicorn raises a signal that ended it again: with the default, SIGTERM would then skip what the caller still has to close.
    before = signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        server.run()
    except SystemExit:
        raise DashboardError(f"{host}:{port}: cannot be used; choose another with --host and --port") from None
    finally:
        signal.signal(signal.SIGTERM, before)


def open_in_browser(address: str) -> Path:
    """Open an address in the browser by way of a file that only its owner can read: a browser's arguments can be read by all.

    Returns:
        The file; whoever called deletes it in the end.
    """
    import webbrowser  # noqa: PLC0415  # only where it is asked for

    handle, name = tempfile.mkstemp(prefix="phi-guard-", suffix=".html")
    with os.fdopen(handle, "w", encoding="utf-8") as page:
        page.write(f'<!doctype html><meta charset="utf-8"><meta http-equiv="refresh" content="0;url={address}">')
        page.write(f'<a href="{address}">Open</a>\n')
    webbrowser.open(Path(name).as_uri())
    return Path(name)
