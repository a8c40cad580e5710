"""``python -m audit.rehearsal.relay_load ADDRESS``: keeps a relay busy with talk to read, as other agents of the host would.

Obeys ``go``, ``pause`` and ``told`` (answers how many records were taken off its hands), one a line on stdin; ends when stdin does.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from typing import Final

from audit.rehearsal.samples import free_text, open_call
from tracing.recorder import Recorder

AHEAD: Final = 24
"""Records kept waiting at the relay: enough that it never waits, and few enough that it is idle soon after a pause."""


def main(address: str) -> None:
    """Feed and pause as told."""
    recorder, feeding, ended = Recorder(address), threading.Event(), threading.Event()

    open_call(recorder)

    def feed() -> None:
        i = 0
        while not ended.is_set():
            if feeding.wait(0.5) and recorder.tally().pending < AHEAD:
                recorder.record(free_text(i))
                i += 1
            else:
                time.sleep(0.005)

    thread = threading.Thread(target=feed, daemon=True)
    thread.start()
    try:
        for line in sys.stdin:
            if line.strip() == "go":
                feeding.set()
            elif line.strip() == "pause":
                feeding.clear()
            tally = recorder.tally()
            sys.stdout.write(json.dumps({"acked": tally.acked, "pending": tally.pending}) + "\n")
            sys.stdout.flush()
    except KeyboardInterrupt:
        pass
    finally:
        ended.set()
        recorder.close()


if __name__ == "__main__":
    main(sys.argv[1])
