"""What the calls of the matrix stand on: a real relay, a real trace store, a line between them; and the law that holds in every cell."""

from __future__ import annotations

import json
import os
import threading
import time
from pathlib import Path

import fakes
from calls import CANARIES, PASSES, play
from fakes import Relay, Store, until
from line import Line

from tracing.recorder import Recorder

OUT = os.environ.get("PHI_GUARD_MATRIX_OUT")
"""A file that takes one line of figures for each cell; read now, because tests run without such variables."""
P99_US = 1000.0
MAX_US = 500_000.0
"""Of the audio path: by the clock at p99, without the operations in whose midst the kernel gave the processor to another process (relays,
trace stores and whatever else runs share two of them), and of the processor's own time at p99, of all operations. The slowest of all, taken
away or not, stays under what any wait for a disk or a network would take here."""


class Ground:
    """A relay and a store, with a line between them.

    Args:
        directory: the store's file and, unless given, the relay's directory lie there.
        runtime: the relay's directory.
        wait: until the relay serves; else see `ready`.
    """

    def __init__(self, directory, runtime=None, *, wait=True):
        self.runtime = Path(runtime or directory / "relay")
        self.runtime.mkdir(mode=0o700, exist_ok=True)
        self.store = Store(directory)
        self.line = Line(self.store.url)
        self.relay = Relay(self.runtime, self.line.url)
        if wait:
            self.ready()

    def ready(self):
        self.relay.ready()

    def restart(self):
        """Another relay of the same directory; the former must be gone."""
        self.relay = Relay(self.runtime, self.line.url)
        fakes.STARTED.remove(self.relay.handle.process)  # it serves the cells that follow
        self.relay.ready()

    def close(self):
        self.relay.stop()
        self.line.close()
        self.store.stop()

    def state(self):
        answer = self.relay.handle.ask(5.0)
        return "" if answer is None else answer.state

    def pending(self):
        """What the relay says is pending; None when it does not answer."""
        answer = self.relay.handle.ask(1.0)
        return None if answer is None else answer.ledger.pending

    def folders(self):
        """Every directory that a file of the relay can lie in."""
        return {self.runtime, Path(getattr(self.relay.settings, "state", self.runtime))}


class Cell:
    """One fault, made while real calls are going on."""

    def __init__(self, ground, name):
        self.ground, self.name = ground, name
        self.before = ground.relay.ledger()
        self.recorder = Recorder(ground.relay.settings.address)
        self.played = self.meter = self._over = None
        self.offered = 0
        self.facts = {}

    def play(self, **how):
        """Play calls through this cell's recorder; every one must end as it would have without the fault."""
        self.played, self.meter = play(self.recorder, **how)
        self.offered = self.recorder.tally().offered
        for call in self.played.calls:
            assert call.trace_id
            assert (call.crashed, call.errors, call.unanswered, call.tracer_faults) == ("", (), 0, 0)
        return self.played

    def mend(self, seconds=90.0):
        """The fault is over: from now on, in a thread, wait until everything is delivered."""
        self._over = threading.Thread(target=self._settle, args=(time.monotonic(), seconds), daemon=True)
        self._over.start()

    def mended(self, seconds=90.0):
        """Everything is delivered; notes how long that took since the fault was over."""
        if self._over is None:
            self.mend(seconds)
        self._over.join()
        assert "settled_s" in self.facts, (self.recorder.tally(), self.ground.relay.ledger(), self.log())

    def _settle(self, began, seconds):
        while time.monotonic() < began + seconds:
            if not self.recorder.tally().pending and self.ground.pending() == 0:
                self.facts["settled_s"] = round(time.monotonic() - began, 1)
                return
            time.sleep(0.05)

    def end(self, dropped=None, offered=0, passes=True):
        """The law of every cell.

        Args:
            dropped: reasons for which the design lets go; None for nothing.
            offered: operations that others than this cell's recorder offered meanwhile.
            passes: whether a confirmation number must have been let through.
        """
        ledger, costs = self.ground.relay.ledger(), self.meter.figures()
        tally = self.recorder.tally()
        assert ledger.adds_up, ledger
        gone = {reason: n - self.before.dropped.get(reason, 0) for reason, n in ledger.dropped.items()}
        gone = {reason: n for reason, n in gone.items() if n}
        counts = {name: getattr(ledger, name) - getattr(self.before, name) for name in ("offered", "delivered", "withheld")}
        assert counts["offered"] == self.offered + offered, (counts, self.offered, tally)
        left = ledger.pending + ledger.quarantined - self.before.pending - self.before.quarantined
        assert counts["offered"] == counts["delivered"] + counts["withheld"] + left + sum(gone.values())
        assert set(gone) <= set(dropped or ()), gone
        assert not tally.dropped or dropped, tally
        self._nothing_raw(passes=passes)
        for name, full in costs.items():
            cost = {what: figure for what, figure in full.items() if not what.endswith("_ns")}
            assert cost["n"], name
            assert cost["cpu_n"] == cost["n"], name
            assert cost["ours_n"] > cost["n"] / 2, (name, cost)
            assert cost["ours_p99"] < P99_US, (name, cost)
            assert cost["cpu_p99"] < P99_US, (name, cost)
            assert cost["max"] < MAX_US, (name, cost)
        self._write(counts | {"pending": ledger.pending - self.before.pending, "dropped": gone}, costs)

    def _nothing_raw(self, *, passes):
        """No canary in any byte that was sent towards LangSmith, arrived there, or lies in a file of the relay; what may pass is found."""
        wire = bytes(self.ground.line.seen).lower() + self.ground.store.raw().lower()
        assert any(call.trace_id.encode() in wire for call in self.played.calls)  # or the search would prove nothing
        assert not passes or PASSES.lower() in wire
        for canary in CANARIES:
            assert canary not in wire, ("leaked", canary)
        files = [path for folder in self.ground.folders() for path in folder.rglob("*") if path.is_file()]
        assert {"outbox.sqlite3", "relay.log"} <= {path.name for path in files}
        for path in files:
            held = path.read_bytes().lower()
            assert not [canary for canary in CANARIES if canary in held], ("leaked", path.name)

    def _write(self, ledger, costs):
        if not OUT:
            return
        row = {"cell": self.name, "calls": len(self.played.calls), "ledger": ledger, "costs": costs}
        with Path(OUT).open("a", encoding="utf-8") as file:
            file.write(json.dumps(row | self.facts) + "\n")

    def log(self):
        return (self.ground.runtime / "relay.log").read_text()[-2000:]

    def close(self):
        self.recorder.close()


__all__ = ["Cell", "Ground", "until"]
