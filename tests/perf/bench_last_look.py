"""What the last look costs for one posting, beside gzip and json over the same bytes.

Run it: ``PYTHONPATH=tests:tests/wire python tests/perf/bench_last_look.py [operations]``. Not a test: it prints what it measures now.
"""

from __future__ import annotations

import gzip
import json
import sys
import time

from shipping import open_gate
from test_last_look import caught, clean_batch

from phi_guard.errors import LeakSeen
from phi_guard.last_look import LastLook, _parts


def main(operations: int) -> None:
    """Print p50, p99 and max of each, and how many postings gave a false alarm."""
    batch = clean_batch(open_gate(), 7, operations)
    look, postings, alarms = LastLook(), caught(batch), 0
    costs: dict[str, list[float]] = {"look": [], "gzip -6": [], "json.loads": []}
    for request in postings:
        parts = [content for _, _, content in _parts(request)]
        began = time.perf_counter()
        try:
            look.look(request)
        except LeakSeen:
            alarms += 1
        looked = time.perf_counter()
        gzip.compress(request.body, 6)
        packed = time.perf_counter()
        for content in parts:
            json.loads(content)
        for name, spent in zip(costs, (looked - began, packed - looked, time.perf_counter() - packed), strict=True):
            costs[name].append(spent * 1e3)
    size = sum(len(request.body) for request in postings) // len(postings)
    sys.stdout.write(f"{len(batch)} operations, {len(postings)} postings of {size} B; false alarms {alarms}\n")
    for name, spent in costs.items():
        spent.sort()
        sys.stdout.write(f"{name:<11} p50 {spent[len(spent) // 2]:6.2f} p99 {spent[int(len(spent) * 0.99)]:6.2f} max {spent[-1]:6.2f} ms\n")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2_000)
