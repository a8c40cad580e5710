"""The media server: LiveKit's signalling on loopback, so that real ``rtc.Room``s meet without a LiveKit server.

It forwards audio and data between all who join one room, and can lose packets and delay what it sends, for real. It knows what LiveKit's
Rust client 1.1 asks for: 404 on ``/rtc/v1`` sends that to ``/rtc``; the server offers the subscriber's connection with the channels
``_reliable`` and ``_lossy``; a forwarded track's stream is ``<participant>|<track>``; its publisher is told when it is subscribed to.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import defaultdict
from collections.abc import Coroutine
from typing import Any, Final

import aioice.ice
import jwt
from aiohttp import WSMsgType, web
from aiortc.contrib.media import MediaRelay
from livekit.protocol import models, rtc

from tracing.local.media_room.peer import Peer

SHUTDOWN_S: Final = 1.0


class MediaServer:
    """Rooms by name for whoever connects on loopback; nobody's token is checked. Use as an async context manager, one in a process.

    Args:
        lose_every: of the audio packets sent on, each so manieth is lost; 0 for none.
        delay_s: seconds by which everything sent is late, network probes aside.

    Attributes:
        url: where it listens, once entered.
    """

    def __init__(self, *, lose_every: int = 0, delay_s: float = 0.0) -> None:
        self.lose_every, self.delay_s = lose_every, delay_s
        self.relay, self.numbers = MediaRelay(), itertools.count(1)
        self.url = ""
        self._rooms: defaultdict[str, dict[str, Peer]] = defaultdict(dict)
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> MediaServer:
        # aioice asks for no address to use but for all there are; nothing here may leave the machine.
        self._addresses = aioice.ice.get_host_addresses
        aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: ["127.0.0.1"]  # noqa: ARG005  # its signature
        app = web.Application()
        app.router.add_get("/rtc", self._join)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_S)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"ws://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        aioice.ice.get_host_addresses = self._addresses

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run beside the others, until the end."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def others(self, peer: Peer) -> list[Peer]:
        """Who else is in the peer's room."""
        return [other for other in self._rooms[peer.room].values() if other is not peer]

    async def _join(self, request: web.Request) -> web.WebSocketResponse:
        token = request.query.get("access_token") or request.headers.get("Authorization", "").removeprefix("Bearer ")
        told = jwt.decode(token, options={"verify_signature": False})
        room, identity = told["video"]["room"], told["sub"]
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        peer, peers = Peer(self, room, identity, socket), self._rooms[room]
        await peer.welcome([other.info() for other in peers.values()])
        for other in self.others(peer):
            await other.send(update=rtc.ParticipantUpdate(participants=[peer.info()]))
        peers[identity] = peer
        self.spawn(peer.start())
        async for message in socket:
            if message.type == WSMsgType.BINARY:
                asked = rtc.SignalRequest.FromString(message.data)
                if asked.WhichOneof("message") == "leave":
                    break
                self.spawn(peer.take(asked))
        del peers[identity]
        await peer.close()
        gone = peer.info(models.ParticipantInfo.DISCONNECTED)
        for other in peers.values():
            await other.send(update=rtc.ParticipantUpdate(participants=[gone]))
        return socket
