"""``agent.py ADDRESS``: an agent in a process of its own, in the middle of a call until somebody kills it. Says ``talking`` once it is."""

from __future__ import annotations

import asyncio
import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from calls import plan

from audit.rehearsal.play import play_calls
from tracing.recorder import Recorder
from tracing.turn import HeardTurn


def _say():
    sys.stdout.write("talking\n")
    sys.stdout.flush()


class Told(Recorder):
    """Says when the first turn is over."""

    def take(self, source, fact, texts=0):
        super().take(source, fact, texts)
        if isinstance(fact, HeardTurn):
            threading.Timer(0.2, _say).start()


if __name__ == "__main__":
    asyncio.run(play_calls([plan(turns=30)], Told(sys.argv[1]), at_once=1))
