"""The fault that a rehearsal makes in its own relay: when it begins, how long it lasts, and that the process always goes on again."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from audit.rehearsal import stall
from audit.rehearsal.play import Progress
from audit.rehearsal.script import plan
from audit.rehearsal.stall import Stall
from tracing.launch import RelayHandle

SHORT = plan({"calls": [{"turns": [{"user": {"speech_ms": 100}, "agent": {"speech_ms": 100}}]}]})
PATIENTLY_S = 20.0


@pytest.fixture
def relay():
    """A process that sleeps, held as a relay is."""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    yield RelayHandle(None, process)
    process.kill()
    process.wait()


def state(relay):
    """``T`` where the process stands still; proc_pid_stat(5)."""
    return Path(f"/proc/{relay.process.pid}/stat").read_text().rpartition(")")[2].split()[0]


def until(holds):
    end = time.monotonic() + PATIENTLY_S
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)


def under_way():
    progress = Progress()
    progress.begin()
    return progress


def test_it_stands_still_for_its_time_and_goes_on(relay, monkeypatch):
    """With a call under way and something recorded it stops; it goes on by itself, and when and how long is told."""
    monkeypatch.setattr(stall, "LASTS_S", 1.0)
    offered = []
    with Stall(relay, SHORT, under_way(), lambda: len(offered)) as made:
        time.sleep(0.3)
        assert (state(relay) == "T", made.told()) == (False, [])
        offered.append(1)
        until(lambda: state(relay) == "T")
        until(made.told)
        assert state(relay) != "T"
    (fault,) = made.told()
    assert (fault.kind, fault.at_s >= 0.3, fault.lasted_s >= 1.0) == ("relay_stands_still", True, True)


def test_it_ends_with_the_calls(relay, monkeypatch):
    """Calls that end sooner end it: the rest is not delivered to one that stands still."""
    monkeypatch.setattr(stall, "LASTS_S", 600.0)
    progress = under_way()
    with Stall(relay, SHORT, progress, lambda: 1) as made:
        until(lambda: state(relay) == "T")
        progress.end()
        until(made.told)
    assert state(relay) != "T"
    assert made.told()[0].lasted_s < 600


def test_it_ends_with_the_block(relay, monkeypatch):
    """Ctrl-C in the midst of it: the process goes on before anything else is asked of it."""
    monkeypatch.setattr(stall, "LASTS_S", 600.0)
    with suppress(KeyboardInterrupt), Stall(relay, SHORT, under_way(), lambda: 1) as made:
        until(lambda: state(relay) == "T")
        raise KeyboardInterrupt
    assert (state(relay) == "T", made.told()[0].lasted_s < 600) == (False, True)


@pytest.mark.parametrize("lacks", ["calls", "records", "process"])
def test_where_there_is_nothing_to_disturb_no_fault_is_told(relay, lacks):
    """No call under way, nothing recorded, a relay that is not ours or has died: none was made."""
    progress = Progress() if lacks == "calls" else under_way()
    held = RelayHandle(None, None) if lacks == "process" else relay
    with Stall(held, SHORT, progress, lambda: lacks != "records") as made:
        time.sleep(0.5)
        assert state(relay) != "T"
    assert made.told() == []


def test_a_relay_that_has_died_is_no_fault_of_ours(relay):
    """What cannot be stopped is not told to have been."""
    relay.process.send_signal(signal.SIGKILL)
    relay.process.wait()
    with Stall(relay, SHORT, under_way(), lambda: 1) as made:
        time.sleep(0.5)
    assert made.told() == []
