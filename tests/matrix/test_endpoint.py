"""LangSmith fails while calls go on. In each cell: calls end normally, nothing is lost, nothing raw leaves, the agent's thread is free."""

from __future__ import annotations

import os
import time

import pytest
from ground import until

DOWN_S = 600.0 if os.environ.get("PHI_GUARD_MATRIX_LONG") else 40.0
"""How long LangSmith is down: ten minutes when asked for, else long enough for several waits of the sender (1, 2, 4, 8, 16 s)."""


def test_no_fault(cell):
    """What the other cells are compared with: every turn is answered, everything is delivered."""
    cell.play(calls=3)
    cell.mended()
    cell.end()


def test_refused(cell, ground):
    """Nobody listens."""
    ground.line.refuse()
    cell.play()
    until(lambda: ground.state() == "waiting_connection", 20)
    ground.line.mend()
    cell.mended()
    cell.end()


def test_hanging(cell, ground):
    """Requests are taken and never answered."""
    ground.line.hang()
    cell.play()
    until(lambda: ground.line.struck, 20)
    until(lambda: ground.state().startswith("waiting"), 30)
    ground.line.mend()
    cell.mended()
    cell.end()


def test_reset_mid_body(cell, ground):
    """The connection is reset when half of a request is sent."""
    before = ground.line.struck
    ground.line.reset()
    cell.play()
    until(lambda: ground.line.struck > before, 20)
    ground.line.mend()
    cell.mended()
    cell.end()


def test_slow_2_s(cell, ground):
    """Each request takes two seconds longer."""
    before = ground.line.struck
    ground.line.slow(2.0)
    cell.play()
    cell.mended()
    assert ground.line.struck > before
    cell.end()


@pytest.mark.parametrize("status", [500, 429])
def test_answers(cell, ground, status):
    """Not now: 500; 429 with Retry-After."""
    ground.store.fail(status=status, retry_after="2" if status == 429 else None, remaining=3, match="multipart")
    cell.play()
    until(lambda: ground.state().startswith("waiting") or not ground.relay.ledger().pending, 20)
    cell.mended()
    cell.end()


def test_answers_413(cell, ground):
    """Too large: sent again in halves, and nothing of it is lost as long as one alone is taken."""
    ground.store.fail(status=413, remaining=2, match="multipart")
    cell.play(calls=3)
    cell.mended()
    cell.end(dropped=("http_413",))


@pytest.mark.timeout(1200)
def test_down_for_long(cell, ground):
    """Down before the calls begin, all through them, and for long after."""
    ground.line.refuse()
    began = time.monotonic()
    cell.play()
    time.sleep(min(5.0, DOWN_S))
    while time.monotonic() < began + DOWN_S:
        time.sleep(1.0)
    assert ground.state() == "waiting_connection"
    assert ground.relay.ledger().pending == cell.before.pending + cell.recorder.tally().offered
    ground.line.mend()
    cell.facts["down_s"] = DOWN_S
    cell.mended()
    cell.end()


def test_answers_401(cell, ground):
    """A wrong key: sending stops and says so, everything waits; with the key put right and the relay started again it is delivered."""
    ground.store.fail(status=401, remaining=-1, match="multipart")
    cell.play()
    until(lambda: ground.state() == "halted_http_401", 20)
    assert cell.recorder.drain(20)
    assert ground.relay.ledger().pending
    ground.store.fail(status=None, remaining=0)
    ground.relay.stop()
    ground.restart()
    cell.mended()
    cell.end()
