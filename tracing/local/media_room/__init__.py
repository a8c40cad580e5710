"""A media server small enough for a rehearsal, and guests who join its rooms with LiveKit's own client.

The server (`server`, a process of its own by ``python -m tracing.local.media_room``) needs aiortc; the guests need LiveKit alone.
"""

from __future__ import annotations

from tracing.local.media_room.guest import Guest, join

__all__ = ["Guest", "join"]
