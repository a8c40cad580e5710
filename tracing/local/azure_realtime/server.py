"""The stand-in's door: a loopback server that gives every websocket its own script and keeps what really happened."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from aiohttp import web

from tracing.local.azure_realtime.connection import Connection
from tracing.local.azure_realtime.script import CallScript, Cue

if TYPE_CHECKING:
    from collections.abc import Iterable

Dialect: TypeAlias = Literal["beta", "ga"]
BETA_PATH: Final = "/openai/realtime"
GA_PATH: Final = "/openai/v1/realtime"
TRUTH_PATH: Final = "/stand-in/truth/"
"""Followed by a session id: the moments of that session as JSON. Not part of Azure's protocol."""


class AzureRealtime:
    """Azure OpenAI Realtime on 127.0.0.1, for as many calls at once as there are scripts and more.

    A connection plays the script whose `key` equals its ``api-key`` header; else the next script without a key, in the order of
    connection; else an idle script that answers every turn with two words. The header is used, and not the deployment, so that
    the deployment stays what it is in production: the name by which a call is priced.

    Args:
        scripts: one per call.
        dialect: ``beta`` sends the event names of the dated API versions, ``ga`` those of ``/openai/v1/realtime``, on either URL;
            None, as Azure does, speaks the dialect of the URL that was asked for.
        silence_ms: silence that ends the caller's turn until the session says otherwise; Azure's default is 200.

    Attributes:
        connections: every connection so far, oldest first.
    """

    def __init__(self, scripts: Iterable[CallScript] = (), *, dialect: Dialect | None = None, silence_ms: int = 200) -> None:
        given = tuple(scripts)
        self.dialect = dialect
        self.silence_ms = silence_ms
        self.connections: list[Connection] = []
        self._keyed = {script.key: Cue(script) for script in given if script.key is not None}
        if len(self._keyed) != sum(script.key is not None for script in given):
            msg = "AzureRealtime: two scripts have the same key; give each call a key of its own, or none"
            raise ValueError(msg)
        self._unkeyed = iter([Cue(script) for script in given if script.key is None])
        self._runner: web.AppRunner | None = None
        self._port = 0

    @property
    def url(self) -> str:
        """The ``azure_endpoint`` to give to a client, such as ``http://127.0.0.1:40123``.

        Raises:
            RuntimeError: before `start`.
        """
        if self._runner is None:
            msg = "AzureRealtime has no address yet: await start() first"
            raise RuntimeError(msg)
        return f"http://127.0.0.1:{self._port}"

    async def start(self, port: int = 0) -> str:
        """Listen on loopback and return the URL. Port 0 takes a free one."""
        app = web.Application()
        app.router.add_get(BETA_PATH, self._converse)
        app.router.add_get(GA_PATH, self._converse)
        app.router.add_get(TRUTH_PATH + "{session_id}", self._tell)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        self._runner, self._port = runner, runner.addresses[0][1]
        return self.url

    async def stop(self) -> None:
        """Hang up on everyone and stop listening. Safe to call twice."""
        runner, self._runner = self._runner, None
        if runner is not None:
            for connection in self.connections:
                await connection.hang_up()
            await runner.cleanup()

    async def _converse(self, request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse(max_msg_size=0)
        await ws.prepare(request)
        cue = self._keyed.get(request.headers.get("api-key", "")) or next(self._unkeyed, None) or Cue()
        deployment = request.query.get("deployment") or request.query.get("model") or ""
        dialect = self.dialect or ("ga" if request.path == GA_PATH else "beta")
        connection = Connection(ws, cue, beta=dialect == "beta", silence_ms=self.silence_ms, deployment=deployment)
        self.connections.append(connection)
        await connection.serve()
        return ws

    async def _tell(self, request: web.Request) -> web.Response:
        wanted = request.match_info["session_id"]
        for connection in self.connections:
            if connection.session_id == wanted:
                return web.json_response([asdict(moment) for moment in connection.truth])
        return web.json_response({"error": "no such session"}, status=404)
