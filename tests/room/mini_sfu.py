"""A media server small enough for a test: LiveKit's signalling on loopback, so that real ``rtc.Room``s meet without a LiveKit server.

It forwards audio and data between all who join one room, and can lose packets and delay what it sends, for real. It knows what LiveKit's
Rust client 1.1 asks for: 404 on ``/rtc/v1`` sends that to ``/rtc``; the server offers the subscriber's connection with the channels
``_reliable`` and ``_lossy``; a forwarded track's stream is ``<participant>|<track>``; its publisher is told when it is subscribed to.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import time

import aioice.ice
import jwt
from aiohttp import WSMsgType, web
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.contrib.media import MediaRelay
from aiortc.sdp import candidate_from_sdp
from livekit.protocol import models, rtc

SUBSCRIPTION_S = 10.0


class MiniSfu:
    """One room for whoever connects. Use as an async context manager.

    Args:
        lose_every: of the audio packets sent on, each so manieth is lost; 0 for none.
        delay_s: seconds by which everything sent is late, network probes aside.
    """

    def __init__(self, *, lose_every=0, delay_s=0.0):
        self.lose_every, self.delay_s = lose_every, delay_s
        self.peers: dict[str, Peer] = {}
        self.relay, self.numbers = MediaRelay(), itertools.count(1)
        self.url = ""
        self._tasks: set[asyncio.Task] = set()

    async def __aenter__(self):
        self._addresses = aioice.ice.get_host_addresses
        aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: ["127.0.0.1"]
        app = web.Application()
        app.router.add_get("/rtc", self._join)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"ws://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_):
        await self._runner.cleanup()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        aioice.ice.get_host_addresses = self._addresses

    def spawn(self, work):
        """Run beside the others, until the end."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def others(self, peer):
        return [other for other in self.peers.values() if other is not peer]

    async def _join(self, request):
        token = request.query.get("access_token") or request.headers.get("Authorization", "").removeprefix("Bearer ")
        identity = jwt.decode(token, options={"verify_signature": False})["sub"]
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        peer = Peer(self, identity, socket)
        await peer.welcome([other.info() for other in self.peers.values()])
        for other in self.others(peer):
            await other.send(update=rtc.ParticipantUpdate(participants=[peer.info()]))
        self.peers[identity] = peer
        self.spawn(peer.start())
        async for message in socket:
            if message.type == WSMsgType.BINARY:
                asked = rtc.SignalRequest.FromString(message.data)
                if asked.WhichOneof("message") == "leave":
                    break
                self.spawn(peer.take(asked))
        del self.peers[identity]
        await peer.close()
        gone = peer.info(models.ParticipantInfo.DISCONNECTED)
        for other in self.peers.values():
            await other.send(update=rtc.ParticipantUpdate(participants=[gone]))
        return socket


class Peer:
    """Someone in the room: a connection on which they publish, and one on which they hear the others."""

    def __init__(self, sfu, identity, socket):
        self.sfu, self.identity, self.socket, self.sid = sfu, identity, socket, f"PA_{identity}"
        self.up, self.down = (RTCPeerConnection(RTCConfiguration(iceServers=[])) for _ in range(2))
        self.infos, self.media, self.sent, self.channels = {}, {}, set(), {}
        self._offering, self._answered, self._early = asyncio.Lock(), None, []
        self.up.on("track", self._on_track)
        self.up.on("datachannel", self._on_channel)

    def info(self, state=models.ParticipantInfo.ACTIVE):
        allowed = models.ParticipantPermission(can_subscribe=True, can_publish=True, can_publish_data=True)
        return models.ParticipantInfo(
            sid=self.sid, identity=self.identity, name=self.identity, state=state, tracks=list(self.infos.values()),
            joined_at=int(time.time()), permission=allowed, version=next(self.sfu.numbers),
        )  # fmt: skip

    async def send(self, **message):
        if not self.socket.closed:
            await self.socket.send_bytes(rtc.SignalResponse(**message).SerializeToString())

    async def welcome(self, others):
        await self.send(
            join=rtc.JoinResponse(
                room=models.Room(sid="RM_mini", name="mini"), participant=self.info(), other_participants=others,
                server_version="1.9.0", server_info=models.ServerInfo(version="1.9.0", protocol=16), subscriber_primary=True,
                ping_timeout=30, ping_interval=10, enabled_publish_codecs=[models.Codec(mime="audio/opus")],
            )
        )  # fmt: skip

    async def start(self):
        self.channels["_reliable"] = self.down.createDataChannel("_reliable", ordered=True)
        self.channels["_lossy"] = self.down.createDataChannel("_lossy", ordered=False, maxRetransmits=0)
        await self._offer()
        for other in self.sfu.others(self):
            for track in other.media:
                await self.subscribe(other, track)

    async def subscribe(self, other, track):
        """Hear one track of another."""
        if (other.sid, track) in self.sent:
            return
        self.sent.add((other.sid, track))
        sender = self.down.addTrack(self.sfu.relay.subscribe(other.media[track]))
        sender._stream_id, sender._track_id = f"{other.sid}|{track}", track
        await self._offer()
        await other.send(track_subscribed=rtc.TrackSubscribed(track_sid=track))

    async def close(self):
        await self.up.close()
        await self.down.close()

    async def take(self, asked):
        """Do what the client's signalling asks for; what a test does not need is passed over."""
        kind = asked.WhichOneof("message")
        if kind == "offer":
            await self._on_offer(asked.offer)
        elif kind == "answer":
            await self.down.setRemoteDescription(RTCSessionDescription(asked.answer.sdp, "answer"))
            self._answered.set_result(None)
        elif kind == "trickle":
            await self._on_candidate(asked.trickle)
        elif kind == "add_track":
            await self._on_add(asked.add_track)
        elif kind == "ping_req":
            pong = rtc.Pong(last_ping_timestamp=asked.ping_req.timestamp, timestamp=int(time.time() * 1000))
            await self.send(pong_resp=pong)

    async def _offer(self):
        async with self._offering:
            await self.down.setLocalDescription(await self.down.createOffer())
            self._answered = asyncio.get_running_loop().create_future()
            await self.send(offer=rtc.SessionDescription(type="offer", sdp=self.down.localDescription.sdp))
            await asyncio.wait_for(self._answered, SUBSCRIPTION_S)
            for transport in {sender.transport for sender in self.down.getSenders()}:
                self._worsen(transport)

    async def _on_offer(self, offer):
        await self.up.setRemoteDescription(RTCSessionDescription(offer.sdp, "offer"))
        await self.up.setLocalDescription(await self.up.createAnswer())
        for transport in {receiver.transport for receiver in self.up.getReceivers()}:
            self._worsen(transport)
        await self.send(answer=rtc.SessionDescription(type="answer", sdp=self.up.localDescription.sdp, id=offer.id))
        for candidate in self._early:
            await self.up.addIceCandidate(candidate)
        self._early.clear()

    async def _on_candidate(self, trickle):
        told = json.loads(trickle.candidateInit)
        if not told.get("candidate"):
            return
        candidate = candidate_from_sdp(told["candidate"].split(":", 1)[1])
        candidate.sdpMid, candidate.sdpMLineIndex = told.get("sdpMid"), told.get("sdpMLineIndex")
        if trickle.target != rtc.PUBLISHER:
            await self.down.addIceCandidate(candidate)
        elif self.up.remoteDescription is None:
            self._early.append(candidate)
        else:
            await self.up.addIceCandidate(candidate)

    async def _on_add(self, asked):
        track = f"TR_{next(self.sfu.numbers)}"
        self.infos[track] = models.TrackInfo(
            sid=track, type=asked.type, name=asked.name, source=asked.source, muted=asked.muted, mime_type="audio/opus",
            stream=asked.stream, disable_red=True,
        )  # fmt: skip
        await self.send(track_published=rtc.TrackPublishedResponse(cid=asked.cid, track=self.infos[track]))
        for other in self.sfu.others(self):
            await other.send(update=rtc.ParticipantUpdate(participants=[self.info()]))

    def _on_track(self, media):
        track = next(name for name in self.infos if name not in self.media)
        self.media[track] = media
        for other in self.sfu.others(self):
            self.sfu.spawn(other.subscribe(self, track))

    def _on_channel(self, channel):
        @channel.on("message")
        def forward(message):
            packet = models.DataPacket.FromString(message)
            packet.participant_identity, packet.participant_sid = self.identity, self.sid
            for other in self.sfu.others(self):
                if other.channels and other.channels[channel.label].readyState == "open":
                    other.channels[channel.label].send(packet.SerializeToString())

    def _worsen(self, transport):
        """Lose audio packets of this connection, and delay all it sends."""
        if "_send_rtp" in vars(transport) or not (self.sfu.lose_every or self.sfu.delay_s):
            return
        send, count = transport._send_rtp, itertools.count(1)

        async def send_rtp(data):
            report = len(data) > 1 and 192 <= data[1] <= 223  # RFC 5761: RTCP, not audio
            if not report and self.sfu.lose_every and next(count) % self.sfu.lose_every == 0:
                return
            if self.sfu.delay_s:
                await asyncio.sleep(self.sfu.delay_s)
            await send(data)

        transport._send_rtp = send_rtp
