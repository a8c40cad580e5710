"""Real rooms beside the calls: an agent's and a caller's `rtc.Room` over the small media server, and what their media statistics say.

They stand on the same loop as the calls and are not theirs: the sessions' sound goes by the imitated telephone. So what they show is how
media fare in a process that holds so many calls, read by the same code as in production (`tracing.media`).
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from audit.rehearsal.timing import ProcessError, running
from phi_guard.errors import PhiGuardError

if TYPE_CHECKING:
    from tracing.local.media_room import Guest

EXTRA: Final = "phi-guard-toolkit[rooms]"


class RoomsError(PhiGuardError):
    """The rooms cannot be joined; the message says what to do."""


@dataclass(frozen=True, slots=True)
class SideMedia:
    """The media of one side of a call, as its own room measured them; None for what it did not.

    Args:
        rtt_ms: round trip to the media server, the median of the windows.
        jitter_ms: of what it heard; likewise.
        loss_pct: percent of the packets it should have heard; likewise.
        rtt_ms_max: the most in a window; ``jitter_ms_max`` and ``loss_pct_max`` likewise.
        windows: stretches of time that were measured.
    """

    rtt_ms: float | None
    jitter_ms: float | None
    loss_pct: float | None
    rtt_ms_max: float | None
    jitter_ms_max: float | None
    loss_pct_max: float | None
    windows: int


@dataclass(frozen=True, slots=True)
class RoomMedia:
    """The media of one pair of rooms."""

    agent: SideMedia
    caller: SideMedia


class Rooms:
    """The small media server in a process of its own. Use as a context manager.

    Args:
        pairs: how many calls' rooms to join.

    Raises:
        RoomsError: on entering: the server did not start.
    """

    def __init__(self, pairs: int) -> None:
        self.pairs, self._stack, self._url = pairs, ExitStack(), ""

    def __enter__(self) -> Rooms:
        try:
            told = self._stack.enter_context(running("tracing.local.media_room")).hear()
        except ProcessError as fault:
            self._stack.close()
            raise RoomsError(f"the media server did not start: {fault}") from None
        if "missing" in told:
            self._stack.close()
            raise RoomsError(f"real rooms need {told['missing']}, which is not installed: pip install '{EXTRA}', or leave out --rooms")
        self._url = told["url"]
        return self

    def __exit__(self, *fault: object) -> None:
        self._stack.close()

    async def join(self) -> list[tuple[Guest, Guest]]:
        """An agent and a caller for each pair, speaking a tone.

        Raises:
            RoomsError: one could not join in time.
        """
        from tracing.local.media_room import join  # noqa: PLC0415  # loads libwebrtc

        joined: list[tuple[Guest, Guest]] = []
        for n in range(self.pairs):
            try:
                agent = await join(self._url, f"room-{n}", f"agent-{n}")
                joined.append((agent, await join(self._url, f"room-{n}", f"caller-{n}")))
            except (OSError, TimeoutError) as fault:
                raise RoomsError(f"room {n + 1} could not be joined ({type(fault).__name__}); leave out --rooms") from None
        return joined

    async def leave(self, joined: list[tuple[Guest, Guest]]) -> list[RoomMedia]:
        """What each side measured; everybody leaves."""
        media = []
        for agent, caller in joined:
            media.append(RoomMedia(_side(await agent.leave()), _side(await caller.leave())))
        return media


def _side(summary: Mapping[str, float | str]) -> SideMedia:
    """One side's own view: in `tracing.media`'s summary whoever measures is called the agent."""

    def number(key: str) -> float | None:
        value = summary.get(f"agent_{key}")
        return value if isinstance(value, float | int) else None

    return SideMedia(
        rtt_ms=number("rtt_ms_p50"),
        jitter_ms=number("jitter_ms_p50"),
        loss_pct=number("loss_pct_p50"),
        rtt_ms_max=number("rtt_ms_max"),
        jitter_ms_max=number("jitter_ms_max"),
        loss_pct_max=number("loss_pct_max"),
        windows=int(number("media_windows") or 0),
    )
