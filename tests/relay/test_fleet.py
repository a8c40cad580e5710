"""The fleet's measurement: real processes, a real switch; small here, fifty workers and twenty rounds where it counts."""

from __future__ import annotations

import json
import shutil

import pytest

from audit.rehearsal import fleet
from audit.rehearsal.fleet import Fleet, FleetError, Times, measure_fleet

REDIS = shutil.which("redis-server")


@pytest.mark.parametrize("backend", ["file", pytest.param("redis", marks=pytest.mark.skipif(REDIS is None, reason="no redis-server"))])
def test_every_worker_falls_silent_within_a_second_and_says_so(backend):
    """Each measured once a round; with Redis also after the server was killed."""
    found = measure_fleet(3, 1, backend)
    assert found.holds, found.table()
    assert (found.silence.n, found.acknowledged.n) == (3, 1)
    assert found.acknowledged.max > 0
    if backend == "redis":
        assert found.killed.n == 3
        assert 0 < found.killed.max < 1500
    assert json.loads(json.dumps(found.as_json()))["schema"] == fleet.SCHEMA
    assert "p99 under 1000 ms: yes" in found.table()


def test_a_worker_that_does_not_stop_is_a_fault(monkeypatch):
    """It never counts as silent, and the measurement does not hold."""
    monkeypatch.setattr(fleet, "_ROUND_S", 0.1)
    faults = []
    monkeypatch.setattr(fleet, "_read", lambda slots, workers: [(fleet.time.monotonic_ns(), 1)])
    assert fleet._silence(None, 1, fleet.time.monotonic_ns(), faults)
    assert "still sends" in faults[0]
    times = Times(1, 1.0, 1.0, 1.0)
    assert Fleet("file", 1, 1, times, times).holds
    assert not Fleet("file", 1, 1, times, times, faults=tuple(faults)).holds
    assert not Fleet("file", 1, 1, Times(1, 1.0, 1000.0, 1000.0), times).holds
    assert not Fleet("redis", 1, 1, times, times, Times(1, 1.0, 1200.0, 1200.0)).holds
    assert not Fleet("file", 0, 0, Times(0, 0.0, 0.0, 0.0), times).holds


def test_without_a_server_it_says_so(monkeypatch):
    """And how to get one."""
    monkeypatch.setenv("PATH", "")
    with pytest.raises(FleetError, match="redis-server"):
        measure_fleet(1, 1, "redis")
