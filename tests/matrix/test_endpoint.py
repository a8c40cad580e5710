"""LangSmith fails while calls go on. In each cell: calls end normally, nothing is lost, nothing raw leaves, the agent's thread is free."""

from __future__ import annotations

import pytest
from ground import until


def test_no_fault(cell):
    """What the other cells are compared with: every turn is answered, everything is delivered."""
    cell.play()
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
    cell.play()
    cell.mended()
    cell.end(dropped=("http_413",))


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
