"""Synthetic calls as stored runs, as many as are asked for: some slow for the model, a tool or the network, some failed, one open."""

from __future__ import annotations

import itertools
import random
import uuid
from datetime import UTC, datetime, timedelta

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
TOOLS = ("tool.book_appointment", "tool.check_availability", "tool.reschedule_appointment", "tool.cancel_appointment")
MEDIA = {
    "rtt_ms": ((38.0, 61.0, 90.0), (240.0, 620.0, 890.0)),
    "jitter_ms": ((6.0, 12.0, 19.0), (14.0, 44.0, 60.0)),
    "loss_pct": ((0.0, 0.2, 0.6), (1.1, 4.5, 6.0)),
}
"""p50, p95 and max of a good call and of one whose network was slow."""
KINDS = (("model", 0.06), ("tool", 0.12), ("network", 0.16), ("failed", 0.185), ("lost", 0.19))
"""What goes wrong in a call, by the share up to which it does."""


class Calls:
    """A source of the runs of ``n`` calls, the newest shortly before ``now``.

    Args:
        turns: the caller's turns in each call, at most.
        days: over how many days they are spread.
    """

    place = "made"
    live = True

    def __init__(self, n, *, now=NOW, turns=6, days=30, seed=7):
        self._n, self._now, self._turns, self._days, self._random = n, now, turns, days, random.Random(seed)

    def runs(self):
        for i in range(self._n):
            back = timedelta(minutes=4) + timedelta(days=self._days) * (self._n - 1 - i) / max(1, self._n)
            yield from self._call(i, self._now - back)

    def pieces(self):
        from audit.source import Portion

        yield Portion("made", self.runs)

    def manifest(self):
        from audit.manifest import Manifest

        return Manifest()

    def _id(self, at):
        ms = int(at.timestamp() * 1000)
        return str(uuid.UUID(int=(ms << 80) | (7 << 76) | (2 << 62) | self._random.getrandbits(62)))

    def _call(self, i, begin):
        chance, r = self._random.random(), self._random
        trace, env = self._id(begin), "prod" if i % 4 else "dev"
        kind = (
            "model" if chance < 0.06 else "tool" if chance < 0.12 else "network" if chance < 0.16 else "failed" if chance < 0.19 else "lost"
        )
        kind = kind if chance < 0.2 else "good"
        open_end = i == self._n - 1 and self._n > 2
        root = {"env": env, "agent_version": "1.4.2", "policy_digest": "0123456789abcdef"}
        base = {"trace_id": trace, "session_name": f"medical-voice-agent-{env}"}
        below, at, cost, errors = [], begin + timedelta(seconds=1.2), 0.0, 0

        def run(name, start, end, facts, parent=trace, error=None, run_type="chain"):
            me = {"id": self._id(start), **base, "name": name, "run_type": run_type, "parent_run_id": parent}
            me |= {"start_time": start.isoformat(), "end_time": end and end.isoformat(), "error": error}
            below.append(me | {"inputs": {}, "outputs": {}, "extra": {"metadata": {"env": env, **facts}}})
            return me["id"]

        redacted = {"patient_name": r.randint(1, 4), "phone": r.randint(0, 2), "reason_for_visit": r.randint(0, 1)}
        run("policy.guardrail", begin, at, {"consent": "granted", "policy_digest": "0123456789abcdef", "redactions": redacted})
        for n in range(max(1, r.randint(self._turns - 3, self._turns))):
            speech = r.uniform(900, 5200)
            run("user_turn", at, at + timedelta(milliseconds=speech), {"audio_ms": round(speech), "outcome": "completed"})
            at += timedelta(milliseconds=speech)
            model = r.lognormvariate(6.6, 0.28) + (2900 if kind == "model" and n == 1 else 0) + (900 if kind == "network" else 0)
            with_tool = n % 2 == 1
            tool = (r.lognormvariate(5.9, 0.5) + (3400 if kind == "tool" and n == 1 else 0)) if with_tool else 0.0
            ttft, speak = model + tool, r.uniform(1200, 7000)
            price = round(r.uniform(0.006, 0.03), 6)
            cost += price
            facts = {"outcome": "answered", "ttft_ms": round(ttft, 1), "ttft_model_ms": round(model, 1), "tool_ms": round(tool, 1)}
            facts |= {"audio_ms": round(speak), "cost_usd": price, "input_tokens": 800, "output_tokens": 140, "loop_lag_ms": 1.5}
            turn = run("agent_turn", at, at + timedelta(milliseconds=ttft + speak), facts)
            if with_tool:
                name, wrong = TOOLS[r.randrange(4)], r.random() < 0.04
                errors += wrong
                begun = at + timedelta(milliseconds=model * 0.4)
                told = {"status": "error" if wrong else "ok"}
                run(name, begun, begun + timedelta(milliseconds=tool), told, turn, "TimeoutError: tool_raised" if wrong else None, "tool")
            at += timedelta(milliseconds=ttft + speak + r.uniform(150, 900))
        reason = {"failed": "error", "lost": "agent_lost"}.get(kind, "user_initiated")
        if not open_end:
            spans = len(below) + 3
            ledger = {"spans_offered": spans, "spans_delivered": spans, "spans_withheld": 0, "spans_dropped": 0}
            run("session.end", at, at, {"reason": reason, **ledger})
            root |= {"reason": reason, "cost_usd": round(cost, 6), **ledger}
            slow = kind == "network"
            root |= {"agent_media_windows": 4, "agent_quality_worst": "poor" if slow else "excellent"}
            for side, what in itertools.product(("agent", "client"), MEDIA):
                root |= {f"{side}_{what}_{at}": value for at, value in zip(("p50", "p95", "max"), MEDIA[what][slow], strict=True)}
            root |= {"client_media_windows": 4, "client_quality_worst": "poor" if slow else "good"}
        error = "RealtimeError: session_error" if kind == "failed" else "RuntimeError: agent_lost" if kind == "lost" else None
        first = {"id": trace, **base, "name": "voice_session", "run_type": "chain", "parent_run_id": None, "start_time": begin.isoformat()}
        yield first | {"end_time": None if open_end else at.isoformat(), "error": error, "extra": {"metadata": root}}
        yield from below
