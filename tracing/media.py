"""How the media of a call fared, from both sides: the agent's own statistics every ten seconds, and what the caller's browser sends.

The agent's round trip is that to the media server; the caller's own only the caller's browser knows, which sends three numbers as a data
packet on the topic `TOPIC`. Such a packet comes from outside and is believed only where it fits. Nothing here raises into the agent.
"""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final, Literal

import msgspec

from tracing.quality import LONGEST_MS, Reading, Side, Window, between, read

TOPIC: Final = "phi_guard.media"
PACKET_MAX: Final = 512
"""Bytes of a caller's packet; the three numbers take some sixty."""

APART_S: Final = 5.0
"""Seconds between two packets of the caller that are taken; our client sends every ten."""

PATIENCE_S: Final = 2.0
"""Seconds a reading may take; it takes 3 to 8 ms where it works."""

FIRST_S: Final = 2.0
"""Length of the first window in seconds. Each next is twice as long up to ``every_s``, so that a short call has windows too."""

_SHORTEST_S: Final = 0.1
_COUNT_MAX: Final = 10_000_000
_WORDS: Final[Mapping[int, str]] = {-1: "unknown", 0: "poor", 1: "good", 2: "excellent", 3: "lost"}  # rtc.ConnectionQuality
_CALLERS: Final = frozenset({0, 3, 5})  # rtc.ParticipantKind: standard, SIP, connector; LiveKit links an agent to no other
# EventEmitter inspects a handler's signature at each emit; ready ones make that cheap.
_PACKET: Final = inspect.Signature([inspect.Parameter("packet", inspect.Parameter.POSITIONAL_ONLY)])
_PARTICIPANT_AND_QUALITY: Final = inspect.Signature(
    [inspect.Parameter(name, inspect.Parameter.POSITIONAL_ONLY) for name in ("participant", "quality")]
)

_Ms = Annotated[float, msgspec.Meta(ge=0, le=LONGEST_MS)]
_Percent = Annotated[float, msgspec.Meta(ge=0, le=100)]


class _Told(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A caller's packet, version 1: numbers alone."""

    v: Literal[1]
    rtt_ms: _Ms | msgspec.UnsetType = msgspec.UNSET
    jitter_ms: _Ms | msgspec.UnsetType = msgspec.UNSET
    loss_pct: _Percent | msgspec.UnsetType = msgspec.UNSET


_decoder: Final = msgspec.json.Decoder(_Told)


def parse(data: object) -> Window | None:
    """A caller's packet as a window; None unless it is exactly what our client sends.

    Args:
        data: UTF-8 JSON of at most `PACKET_MAX` bytes: an object with ``v`` 1 and one to three of ``rtt_ms``, ``jitter_ms`` (0 to 60 000)
            and ``loss_pct`` (0 to 100), each key once.
    """
    if not isinstance(data, bytes) or len(data) > PACKET_MAX:
        return None
    try:
        told = _decoder.decode(data)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None
    numbers = (told.rtt_ms, told.jitter_ms, told.loss_pct)
    given = 1 + sum(isinstance(number, float) for number in numbers)
    if given == 1 or data.count(b'"') != 2 * given:  # no value is a string, so more quotes are a key told twice
        return None
    rtt, jitter, loss = (abs(number) if isinstance(number, float) else None for number in numbers)  # a zero may have a sign
    return Window(rtt, jitter, loss)


class Media:
    """Follows the media of one call. Nothing of it raises, no call of it waits.

    Args:
        room: the agent's ``rtc.Room``; it need not be connected yet.
        every_s: seconds between two readings, once the first windows are had.
        clock: monotonic seconds, for the time between a caller's packets.
    """

    def __init__(self, room: Any, *, every_s: float = 10.0, clock: Callable[[], float] = time.monotonic) -> None:
        self.skipped = self.refused = self.faults = 0
        self._room, self._clock = room, clock
        self._every = every_s if every_s >= _SHORTEST_S else _SHORTEST_S
        self._agent, self._client = Side(), Side()
        self._before: Reading | None = None
        self._caller = ""  # an identity: compared, never told
        self._taken_at: float | None = None
        self._task: asyncio.Task[None] | None = None
        self._undo: list[Callable[[], object]] = []
        self._opened = False
        self._summary: dict[str, float | str] | None = None

    def open(self) -> None:
        """Listen to the room and read its statistics from now on; on the running loop, once."""
        if self._opened:
            return
        self._opened = True
        self._guarded(lambda: self._listen("connection_quality_changed", self._on_quality, _PARTICIPANT_AND_QUALITY))
        self._guarded(lambda: self._listen("data_received", self._on_data, _PACKET))
        self._guarded(self._start)

    def close(self) -> dict[str, float | str]:
        """Stop, and sum up what was seen, by metadata key (`phi_guard.envelope`); a key of which nothing is known is absent."""
        if self._summary is None:
            self._opened, self._summary = True, {}
            if self._task is not None:
                self._guarded(self._task.cancel)
            for undo in self._undo:
                self._guarded(undo)
            self._guarded(self._sum_up)
            self._undo, self._task, self._room, self._before, self._caller = [], None, None, None, ""
        return dict(self._summary)

    # -- the agent's side ----------------------------------------------------------------------------------------------------------

    def _start(self) -> None:
        if callable(getattr(self._room, "get_rtc_stats", None)):
            self._task = asyncio.get_running_loop().create_task(self._poll(), name="phi_guard.media")

    async def _poll(self) -> None:
        """One reading after another, never two at once; one that fails is skipped, and the next window is the longer."""
        while True:
            try:
                async with asyncio.timeout(PATIENCE_S):
                    stats = await self._room.get_rtc_stats()
                self._take(read(stats))
            except asyncio.CancelledError:
                task = asyncio.current_task()
                if task is None or task.cancelling():
                    raise
                self.skipped += 1  # the room's own answer was given up, not we
            except Exception:  # noqa: BLE001  # not connected, no answer, or not what it should be: all are a window we do not have
                self.skipped += 1
            await asyncio.sleep(min(self._every, FIRST_S * 2 ** min(self._agent.windows, 10)))

    def _take(self, now: Reading) -> None:
        self._find_caller()
        before, self._before = self._before, now
        if before is not None:
            self._agent.add(between(before, now))

    def _on_quality(self, participant: Any, quality: Any) -> None:
        word = _WORDS.get(int(quality), "unknown")
        if participant.identity == self._room.local_participant.identity:
            self._agent.rate(word)
        elif participant.identity == self._find_caller():
            self._client.rate(word)

    # -- the caller's side ---------------------------------------------------------------------------------------------------------

    def _on_data(self, packet: Any) -> None:
        if packet.topic != TOPIC:
            return
        window = parse(packet.data) if self._is_caller(packet.participant) else None
        now = self._clock()
        if window is None or (self._taken_at is not None and now - self._taken_at < APART_S):
            self.refused += 1
        else:
            self._taken_at = now
            self._client.add(window)

    def _is_caller(self, participant: Any) -> bool:
        """Whether this is the call's caller, and in the room; a packet from a server has no participant."""
        caller = self._find_caller()
        return bool(caller) and participant is not None and self._room.remote_participants.get(caller) is participant

    def _find_caller(self) -> str:
        """The first who came in and can be a caller, as LiveKit links an agent; the same one for the whole call. Empty before."""
        if not self._caller:
            others = getattr(self._room, "remote_participants", None)
            found = others.values() if isinstance(others, Mapping) else ()
            self._caller = next((other.identity for other in found if other.kind in _CALLERS), "")
        return self._caller

    # -- what holds it together ----------------------------------------------------------------------------------------------------

    def _listen(self, name: str, take: Callable[..., None], signature: inspect.Signature) -> None:
        """Subscribe to an event of the room. LiveKit re-raises a ``TypeError`` out of a handler, so nothing comes out of ours."""

        def handle(*args: Any) -> None:
            try:
                take(*args)
            except Exception:  # noqa: BLE001
                self.faults += 1

        handle.__signature__ = signature  # type: ignore[attr-defined]  # read by inspect.signature
        room = self._room
        room.on(name, handle)
        self._undo.append(lambda: room.off(name, handle))

    def _guarded(self, act: Callable[[], object]) -> None:
        try:
            act()
        except Exception:  # noqa: BLE001  # a call without a summary of its media, but a call
            self.faults += 1

    def _sum_up(self) -> None:
        told = self._agent.summary("agent") | self._client.summary("client")
        if self.refused or self._client.windows:
            told["client_media_refused"] = min(self.refused, _COUNT_MAX)
        self._summary = told
