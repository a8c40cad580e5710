"""What the calls of the matrix stand on: a real relay, a real trace store, a line between them; and the law that holds in every cell."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

from calls import CANARIES, PASSES, play
from fakes import Relay, Store, until
from line import Line

from tracing.recorder import Recorder

OUT = os.environ.get("PHI_GUARD_MATRIX_OUT")
"""A file that takes one line of figures for each cell; read now, because tests run without such variables."""
CPU_P99_US = 1000.0
WALL_P95_US = 1000.0
WALL_MAX_US = 500_000.0
"""Of the audio path. The clock's p95 and not its p99, and a max that no wait for a disk or a network stays under, because the caller, the
model and the relay share these processors: an operation of 30 us is put aside for a whole time slice now and then. The processor's own
time, which nobody else can lengthen, is held to a millisecond at p99."""


class Ground:
    """A relay and a store, with a line between them.

    Args:
        directory: the store's file and, unless given, the relay's directory lie there.
        runtime: the relay's directory.
    """

    def __init__(self, directory, runtime=None):
        self.runtime = Path(runtime or directory / "relay")
        self.runtime.mkdir(mode=0o700, exist_ok=True)
        self.store = Store(directory)
        self.line = Line(self.store.url)
        self.relay = Relay(self.runtime, self.line.url).ready()

    def restart(self):
        """Another relay of the same directory; the former must be gone."""
        self.relay = Relay(self.runtime, self.line.url).ready()

    def close(self):
        self.relay.stop()
        self.line.close()
        self.store.stop()

    def state(self):
        answer = self.relay.handle.ask(5.0)
        return "" if answer is None else answer.state

    def folders(self):
        """Every directory that a file of the relay can lie in."""
        return {self.runtime, Path(getattr(self.relay.settings, "state", self.runtime))}


class Cell:
    """One fault, made while real calls are going on."""

    def __init__(self, ground, name, monkeypatch):
        self.ground, self.name, self._monkeypatch = ground, name, monkeypatch
        self.before = ground.relay.ledger()
        self.recorder = Recorder(ground.relay.settings.address)
        self.played = self.meter = None
        self.offered = 0
        self.facts = {}

    def play(self, **how):
        """Play calls through this cell's recorder; every one must end as it would have without the fault."""
        self.played, self.meter = play(self.recorder, self._monkeypatch, **how)
        self.offered = self.recorder.tally().offered
        for call in self.played.calls:
            assert call.trace_id
            assert (call.crashed, call.errors, call.unanswered, call.tracer_faults) == ("", (), 0, 0)
        return self.played

    def mended(self, seconds=90.0):
        """The fault is over: wait until everything is delivered, and note how long that took."""
        began = time.monotonic()
        assert self.recorder.drain(seconds), (self.recorder.tally(), self._log())
        self.ground.relay.settle(seconds)
        self.facts["settled_s"] = round(time.monotonic() - began, 1)

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
        assert counts["offered"] == counts["delivered"] + counts["withheld"] + ledger.pending - self.before.pending + sum(gone.values())
        assert set(gone) <= set(dropped or ()), gone
        assert not tally.dropped or dropped, tally
        self._nothing_raw(passes=passes)
        for name, cost in costs.items():
            assert cost["n"], name
            assert cost["cpu_n"] == cost["n"], name
            assert cost["cpu_p99"] < CPU_P99_US, (name, cost)
            assert cost["p95"] < WALL_P95_US, (name, cost)
            assert cost["max"] < WALL_MAX_US, (name, cost)
        self._write(counts | {"pending": ledger.pending - self.before.pending, "dropped": gone}, costs)

    def _nothing_raw(self, *, passes):
        """No canary in any byte that was sent towards LangSmith, arrived there, or lies in a file of the relay; what may pass is found."""
        wire = bytes(self.ground.line.seen).lower() + self.ground.store.raw().lower()
        assert any(call.trace_id.encode() in wire for call in self.played.calls)  # or the search would prove nothing
        assert not passes or PASSES.lower() in wire
        for canary in CANARIES:
            assert canary not in wire, canary
        files = [path for folder in self.ground.folders() for path in folder.rglob("*") if path.is_file()]
        assert {"outbox.sqlite3", "relay.log"} <= {path.name for path in files}
        for path in files:
            held = path.read_bytes().lower()
            assert not [canary for canary in CANARIES if canary in held], path.name

    def _write(self, ledger, costs):
        if not OUT:
            return
        row = {"cell": self.name, "calls": len(self.played.calls), "ledger": ledger, "costs": costs, "lateness_us": self.played.busy.p99}
        with Path(OUT).open("a", encoding="utf-8") as file:
            file.write(json.dumps(row | self.facts) + "\n")

    def _log(self):
        return (self.ground.runtime / "relay.log").read_text()[-2000:]

    def close(self):
        self.recorder.close()


__all__ = ["Cell", "Ground", "until"]
