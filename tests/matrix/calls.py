"""The calls of the matrix: real AgentSessions with the tracer attached, and what recording them cost the agent's thread."""

from __future__ import annotations

import asyncio
import inspect
import resource
import sys
import threading
import time
from types import SimpleNamespace

import pytest

import audit.rehearsal.play
from audit.rehearsal.play import _Tap, play_calls
from audit.rehearsal.script import PlannedCall, PlannedTool, PlannedTurn
from audit.rehearsal.timing import summarise

NAME, RESULT, PHONE, MAIL, TALK = "Zqxjk Vorbley", "Wvothqum Drasnik", "415-555-0172", "karolyn.thessaly@example.org", "Karolyn Thessaly"
"""Synthetic people: one in an argument, one in a result, one in free text with a telephone and an address."""
CANARIES = tuple(each.encode().lower() for each in ("zqxjk", "vorbley", "wvothqum", "drasnik", "555-0172", "karolyn", "thessaly@"))
CALLS = 10
"""At once: some 110 records and a thousand events for each p99."""
PASSES = b"CONF-1234"
"""What the policy lets through: the proof that the search for canaries looks at what it should."""


def plan(turns=2, result=None):
    """A call: the caller speaks, a tool runs with a canary everywhere, the agent answers; then small talk.

    Args:
        turns: of the caller.
        result: what the tool gives back, if not a booking.
    """
    arguments = {
        "patient_name": NAME,
        "phone": PHONE,
        "reason_for_visit": f"This is {TALK}, please call me back at {PHONE} or write to {MAIL}, my knee is sore.",
    }
    booked = {"confirmation_id": "CONF-1234", "patient_name": RESULT}
    tool = PlannedTool("book_appointment", arguments, booked if result is None else result, None, 20)
    talk = PlannedTurn(300, (), 200, 60, "Thank you.", "You are welcome.")
    first = PlannedTurn(300, (tool,), 200, 60, f"This is {TALK}.", f"Booked for {TALK}.")
    return PlannedCall("granted", False, (first, *[talk] * (turns - 1)))


class Straight(_Tap):
    """The rehearsal's tap, but for what is timed: a record goes straight to the real recorder, as an agent of anybody's would send it."""

    def __init__(self, recorder):
        super().__init__(recorder)
        self.take = getattr(recorder, "take", None)


class Meter:
    """What each operation of the tracer took on the caller's thread: by the clock, of the processor, and whether the kernel took it away.

    It is the probe of `tracing.attach`, and stands in for the clock that the probe's figures come from, so that each reading of the clock
    is one of the processor's time and of the thread's involuntary switches too (getrusage(2), ``ru_nivcsw``). Waiting for a lock, for the
    interpreter, for a disk or a socket is a voluntary switch: it counts as the operation's own.
    """

    def __init__(self):
        self.wall, self.cpu, self.ours = ({"record": [], "handler": []} for _ in range(3))
        self._read = []

    def perf_counter_ns(self):
        taken = resource.getrusage(resource.RUSAGE_THREAD).ru_nivcsw
        self._read.append((time.perf_counter_ns(), time.thread_time_ns(), taken))
        return self._read[-1][0]

    def __call__(self, name, ns):
        self.wall[name].append(ns)
        if len(self._read) >= 2:
            (ended_wall, ended, taken), (began_wall, began, taken_before) = self._read.pop(), self._read.pop()
            if ended_wall - began_wall == ns:
                self.cpu[name].append(ended - began)
                if taken == taken_before:
                    self.ours[name].append(ns)
        if name == "handler":
            self._read.clear()  # handlers hold records, never one another; and one that failed leaves its beginning here

    def figures(self):
        """Of each kind of operation, in microseconds; ``ours`` leaves out those in whose midst the kernel took the processor away."""
        told = {}
        for name, wall in self.wall.items():
            cpu, ours, every = summarise(self.cpu[name]), summarise(self.ours[name]), summarise(wall)
            told[name] = {"p50": every.p50, "p99": every.p99, "max": every.max, "n": every.n}
            told[name] |= {"cpu_p99": cpu.p99, "cpu_n": cpu.n, "ours_p99": ours.p99, "ours_n": ours.n}
            told[name] |= {"wall_ns": wall, "ours_ns": self.ours[name]}
        return told


def _timed():
    """The tracer's modules that read the clock for the probe, wherever they are."""
    ours = [module for name, module in list(sys.modules.items()) if name.startswith("tracing.") and getattr(module, "time", None) is time]
    return [module for module in ours if "perf_counter_ns()" in inspect.getsource(module)]


async def _play(calls, recorder, meter, during):
    async def meanwhile():
        if during is not None:
            await asyncio.sleep(0.7)  # the first words are spoken
            await asyncio.to_thread(during)

    played, _ = await asyncio.gather(play_calls(calls, recorder, at_once=len(calls), probe=meter), meanwhile())
    return played


def play(recorder, *, calls=CALLS, turns=2, result=None, during=None):
    """Play calls at the same time and give what was played and the meter.

    Args:
        recorder: where records go.
        calls: how many.
        turns: of each.
        result: of the tool.
        during: done in a thread once the calls are under way.
    """
    meter = Meter()
    assert threading.current_thread() is threading.main_thread()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(audit.rehearsal.play, "_Tap", Straight)
        clock = SimpleNamespace(**vars(time) | {"perf_counter_ns": meter.perf_counter_ns})
        for module in _timed():
            patch.setattr(module, "time", clock)
        played = asyncio.run(_play([plan(turns, result)] * calls, recorder, meter, during))
    return played, meter
