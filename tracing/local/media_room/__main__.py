"""``python -m tracing.local.media_room``: prints one line ``{"url": ...}`` when ready, and serves until its standard input ends.

Where a part is not installed, the line is ``{"missing": ...}`` and the process ends with 2.
"""

from __future__ import annotations

import asyncio
import json
import sys


def main() -> int:
    """Serve; 0 when stopped, 2 when it cannot start."""
    try:
        from tracing.local.media_room.server import MediaServer  # noqa: PLC0415  # aiortc may not be there
    except ModuleNotFoundError as fault:
        _say(missing=(fault.name or "aiortc").partition(".")[0])
        return 2

    async def serve() -> None:
        async with MediaServer() as server:
            _say(url=server.url)
            await asyncio.to_thread(sys.stdin.buffer.read)  # ends with whoever started us, however that ends

    asyncio.run(serve())
    return 0


def _say(**told: str) -> None:
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
