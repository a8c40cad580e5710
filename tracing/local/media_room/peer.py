"""Someone at the media server: a connection on which they publish, and one on which they hear the others."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from typing import TYPE_CHECKING, Any, Final

from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.sdp import candidate_from_sdp
from livekit.protocol import models, rtc

if TYPE_CHECKING:
    from collections.abc import Iterable

    from aiohttp import web
    from aiortc import MediaStreamTrack, RTCDataChannel

    from tracing.local.media_room.server import MediaServer

SUBSCRIPTION_S: Final = 10.0
"""Seconds that a client has to answer an offer."""


class Peer:
    """Someone in a room.

    Args:
        server: whom it joined.
        room: the room's name.
        identity: as its token says.
        socket: the signalling.

    Attributes:
        media: tracks that it publishes, by their ids.
    """

    def __init__(self, server: MediaServer, room: str, identity: str, socket: web.WebSocketResponse) -> None:
        self.room, self.identity, self.sid = room, identity, f"PA_{room}_{identity}"
        self.media: dict[str, MediaStreamTrack] = {}
        self._server, self._socket = server, socket
        self._up, self._down = (RTCPeerConnection(RTCConfiguration(iceServers=[])) for _ in range(2))
        self._infos: dict[str, Any] = {}
        self._heard: set[tuple[str, str]] = set()
        self._channels: dict[str, RTCDataChannel] = {}
        self._offering = asyncio.Lock()
        self._answered: asyncio.Future[None] | None = None
        self._offered, self._early = False, list[Any]()
        self._up.on("track", self._on_track)
        self._up.on("datachannel", self._on_channel)

    def info(self, state: Any = models.ParticipantInfo.ACTIVE) -> Any:
        """It, as others are told of it: LiveKit's ``ParticipantInfo``."""
        allowed = models.ParticipantPermission(can_subscribe=True, can_publish=True, can_publish_data=True)
        return models.ParticipantInfo(
            sid=self.sid, identity=self.identity, name=self.identity, state=state, tracks=list(self._infos.values()),
            joined_at=int(time.time()), permission=allowed, version=next(self._server.numbers),
        )  # fmt: skip

    async def send(self, **message: Any) -> None:
        """One message of the signalling; nothing to one who has gone."""
        if not self._socket.closed:
            await self._socket.send_bytes(rtc.SignalResponse(**message).SerializeToString())

    async def welcome(self, others: Iterable[Any]) -> None:
        """Let it in, and tell it who is there."""
        await self.send(
            join=rtc.JoinResponse(
                room=models.Room(sid=f"RM_{self.room}", name=self.room), participant=self.info(), other_participants=others,
                server_version="1.9.0", server_info=models.ServerInfo(version="1.9.0", protocol=16), subscriber_primary=True,
                ping_timeout=30, ping_interval=10, enabled_publish_codecs=[models.Codec(mime="audio/opus")],
            )
        )  # fmt: skip

    async def start(self) -> None:
        """Offer it what there is to hear."""
        self._channels["_reliable"] = self._down.createDataChannel("_reliable", ordered=True)
        self._channels["_lossy"] = self._down.createDataChannel("_lossy", ordered=False, maxRetransmits=0)
        await self._offer()
        for other in self._server.others(self):
            for track in other.media:
                await self.hear(other, track)

    async def hear(self, other: Peer, track: str) -> None:
        """Send it one track of another."""
        if (other.sid, track) in self._heard:
            return
        self._heard.add((other.sid, track))
        sender = self._down.addTrack(self._server.relay.subscribe(other.media[track]))
        sender._stream_id, sender._track_id = f"{other.sid}|{track}", track
        await self._offer()
        await other.send(track_subscribed=rtc.TrackSubscribed(track_sid=track))

    def forward(self, channel: str, packet: Any) -> None:
        """Send it a data packet of another."""
        if channel in self._channels and self._channels[channel].readyState == "open":
            self._channels[channel].send(packet.SerializeToString())

    async def close(self) -> None:
        """Hang up."""
        await self._up.close()
        await self._down.close()

    async def take(self, asked: Any) -> None:
        """Do what the client's signalling asks for; what nobody here needs is passed over."""
        kind = asked.WhichOneof("message")
        if kind == "offer":
            await self._on_offer(asked.offer)
        elif kind == "answer":
            await self._down.setRemoteDescription(RTCSessionDescription(asked.answer.sdp, "answer"))
            if self._answered is not None and not self._answered.done():
                self._answered.set_result(None)
        elif kind == "trickle":
            await self._on_candidate(asked.trickle)
        elif kind == "add_track":
            await self._on_add(asked.add_track)
        elif kind == "ping_req":
            pong = rtc.Pong(last_ping_timestamp=asked.ping_req.timestamp, timestamp=int(time.time() * 1000))
            await self.send(pong_resp=pong)

    async def _offer(self) -> None:
        async with self._offering:
            await self._down.setLocalDescription(await self._down.createOffer())
            self._answered = asyncio.get_running_loop().create_future()
            await self.send(offer=rtc.SessionDescription(type="offer", sdp=self._down.localDescription.sdp))
            await asyncio.wait_for(self._answered, SUBSCRIPTION_S)
            for transport in {sender.transport for sender in self._down.getSenders()}:
                self._worsen(transport)

    async def _on_offer(self, offer: Any) -> None:
        await self._up.setRemoteDescription(RTCSessionDescription(offer.sdp, "offer"))
        self._offered = True
        await self._up.setLocalDescription(await self._up.createAnswer())
        for transport in {receiver.transport for receiver in self._up.getReceivers()}:
            self._worsen(transport)
        await self.send(answer=rtc.SessionDescription(type="answer", sdp=self._up.localDescription.sdp, id=offer.id))
        for candidate in self._early:
            await self._up.addIceCandidate(candidate)
        self._early.clear()

    async def _on_candidate(self, trickle: Any) -> None:
        told = json.loads(trickle.candidateInit)
        if not told.get("candidate"):
            return
        candidate = candidate_from_sdp(told["candidate"].split(":", 1)[1])
        candidate.sdpMid, candidate.sdpMLineIndex = told.get("sdpMid"), told.get("sdpMLineIndex")
        if trickle.target != rtc.PUBLISHER:
            await self._down.addIceCandidate(candidate)
        elif self._offered:
            await self._up.addIceCandidate(candidate)
        else:
            self._early.append(candidate)

    async def _on_add(self, asked: Any) -> None:
        track = f"TR_{next(self._server.numbers)}"
        self._infos[track] = models.TrackInfo(
            sid=track, type=asked.type, name=asked.name, source=asked.source, muted=asked.muted, mime_type="audio/opus",
            stream=asked.stream, disable_red=True,
        )  # fmt: skip
        await self.send(track_published=rtc.TrackPublishedResponse(cid=asked.cid, track=self._infos[track]))
        for other in self._server.others(self):
            await other.send(update=rtc.ParticipantUpdate(participants=[self.info()]))

    def _on_track(self, media: MediaStreamTrack) -> None:
        track = next(name for name in self._infos if name not in self.media)
        self.media[track] = media
        for other in self._server.others(self):
            self._server.spawn(other.hear(self, track))

    def _on_channel(self, channel: RTCDataChannel) -> None:
        def pass_on(message: bytes) -> None:
            packet = models.DataPacket.FromString(message)
            packet.participant_identity, packet.participant_sid = self.identity, self.sid
            for other in self._server.others(self):
                other.forward(channel.label, packet)

        channel.on("message", pass_on)

    def _worsen(self, transport: Any) -> None:
        """Lose audio packets of this connection, and delay all it sends."""
        lose_every, delay_s = self._server.lose_every, self._server.delay_s
        if "_send_rtp" in vars(transport) or not (lose_every or delay_s):
            return
        send, sent = transport._send_rtp, itertools.count(1)

        async def send_rtp(data: bytes) -> None:
            report = len(data) > 1 and 192 <= data[1] <= 223  # RFC 5761: RTCP, not audio
            if not report and lose_every and next(sent) % lose_every == 0:
                return
            if delay_s:
                await asyncio.sleep(delay_s)
            await send(data)

        transport._send_rtp = send_rtp
