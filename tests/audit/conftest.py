"""A clean call as the tracer sends it, the shipped policy and gates, and detectors quick enough for every test."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from audit import planting
from audit.census import Detectors
from audit.manifest import Manifest
from audit.scan import Scanner
from audit.source import Portion
from phi_guard.detect import NormalisingDetector, PatternDetector, UnionDetector
from phi_guard.detect.detector import merge
from phi_guard.detect.spoken import SpokenDetector
from phi_guard.detect.vocabulary import VocabularyDetector
from phi_guard.model import Detection
from phi_guard.policy import load_policy, shipped

KEY = b"k" * 32
NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
CARRIERS = [text for sets in (planting._OF_PERSONS, planting._OF_THINGS) for texts in sets.values() for text in texts[:-1]]
IN_CARRIER = re.compile("|".join(re.escape(text).replace(r"\{\}", "(.+)") for text in CARRIERS), re.IGNORECASE | re.DOTALL)


class KnowsThePool:
    """The gate's layers that need no network, with disguises undone; and whatever stands in a sentence that plants are carried in."""

    def __init__(self):
        layers = (PatternDetector(), SpokenDetector(), VocabularyDetector())
        self._quick = NormalisingDetector(UnionDetector("quick", layers))

    def find(self, text):
        carried = [Detection(*m.span(m.lastindex), "OTHER", 0.9, "pool.carried") for m in IN_CARRIER.finditer(text)]
        return merge([*self._quick.find(text), *carried], len(text))


class FixedSource:
    """A source held in memory; `then`, if given, is raised after the last run."""

    live = False
    place = "memory"

    def __init__(self, runs, then=None):
        self._runs = runs
        self._then = then

    def pieces(self):
        yield Portion("all", self.runs)

    def manifest(self):
        return Manifest(host=self.place)

    def runs(self):
        yield from self._runs
        if self._then is not None:
            raise self._then


def run_id(n):
    return f"0192f000-0000-7000-8000-{n:012x}"


def span(name, n, *, trace=0, parent=0, minute=0, metadata=None, **more):
    """One run of trace ``trace``; ``n`` numbers it within the trace, 0 being the root."""
    me, root = run_id(trace * 1000 + n), run_id(trace * 1000)
    at = f"2026-11-20T10:{minute:02}:{n:02}.000000Z"
    row = {
        "id": me, "trace_id": root, "parent_run_id": None if n == 0 else run_id(trace * 1000 + parent),
        "dotted_order": f"20261120T100000000000Z{root}" + ("" if n == 0 else f".20261120T100000000000Z{me}"),
        "name": name, "run_type": "tool" if name.startswith("tool.") else "chain", "start_time": at, "end_time": at,
        "session_name": "clinic-dev", "inputs": {}, "outputs": {}, "error": None, "events": [], "tags": [],
        "extra": {"metadata": {"env": "dev", "trace_id": root, "thread_id": root, **(metadata or {})}},
    }  # fmt: skip
    return row | more


def call(trace=0, *, ttft=640.0):
    """A whole clean call: seven runs."""
    ends = {"spans_offered": 14, "spans_delivered": 12, "spans_dropped": 0, "reason": "participant_disconnected"}
    kept = {"doctor_name": "Dr. Lee", "appointment_datetime": "2027-03-15T14:00Z", "notes": "called about <REDACTED>…"}
    return [
        span("voice_session", 0, trace=trace, metadata={"room_sid": f"RM_abcdef{trace:04}", "agent_version": "1.2.0", **ends}),
        span("session.start", 1, trace=trace),
        span("policy.guardrail", 2, trace=trace, metadata={"consent": "granted", "redactions": {"patient_name": 2, "unknown": 1}}),
        span("user_turn", 3, trace=trace, metadata={"audio_ms": 1200.5, "started_at": "2026-11-20T10:00:03.000000Z"}),
        span(
            "agent_turn", 4, trace=trace, run_type="llm", events=[{"name": "new_token", "time": "2026-11-20T10:00:05.000000Z"}],
            metadata={
                "ttft_ms": ttft, "ttft_source": "azure_events", "cost_usd": 0.012, "deployment": "gpt-realtime", "tool_calls": 1,
                "usage_metadata": {"input_tokens": 210, "output_tokens": 95, "total_tokens": 305, "total_cost": 0.012},
            },
        ),
        span(
            "tool.book_appointment", 5, trace=trace, parent=4, metadata={"status": "ok"},
            inputs={"patient_name": "<REDACTED>", "phone": "<REDACTED>", **kept, "<REDACTED_KEY_1>": "<REDACTED>"},
            outputs={"confirmation_id": "CONF-1234", "status": "confirmed"},
        ),
        span("session.end", 6, trace=trace, metadata=ends),
    ]  # fmt: skip


@pytest.fixture(scope="session")
def policy():
    return load_policy(shipped("clinic.yaml"), env="prod")


@pytest.fixture
def detectors():
    return Detectors(strict=KnowsThePool().find, patterns=PatternDetector().find)


@pytest.fixture
def scanner(policy, detectors):
    return Scanner(policy, detectors.strict, detectors.patterns, project="clinic-dev", key=KEY)


@pytest.fixture(scope="session")
def made():
    """The makers above, for tests to call: modules of tests cannot import one another."""
    return SimpleNamespace(span=span, call=call, run_id=run_id, FixedSource=FixedSource, KnowsThePool=KnowsThePool, NOW=NOW, KEY=KEY)
