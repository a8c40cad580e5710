"""What a real relay that samples sends, as the index reads it back: a plain call weighs one over the rate, a failed one itself."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime, timedelta

import msgspec
from fakes import Relay, Store, call_records, until

from audit.calls.index import CallIndex, Choice
from audit.calls.weighing import Drawn, Share
from tracing.record import CallClosed, CallEnded
from tracing.recorder import Recorder
from tracing.relay.sampling import is_drawn

HALF = 0.5


def called(**ending):
    """A call whose end says how many operations it has, and what else is given."""
    records = [
        msgspec.structs.replace(record, offered=6) if isinstance(record, CallEnded | CallClosed) else record
        for record in call_records(tools=0)
    ]
    assert len(records) == 6
    return [*records[:-1], msgspec.structs.replace(records[-1], **ending)]


def test_calls_through_a_relay_that_sends_half_of_them(tmp_path, monkeypatch):
    """Real processes: thirty plain calls and four that failed."""
    monkeypatch.setenv("PHI_GUARD_SAMPLING_RATE", str(HALF))
    monkeypatch.setenv("PHI_GUARD_SAMPLING_FROM_CALLS_PER_DAY", "0")
    plain, broken = ([called() for _ in range(30)], [called(reason="error") for _ in range(4)])
    drawn = {records[0].call for records in plain if is_drawn("dev", records[0].call, HALF)}
    assert 0 < len(drawn) < 30
    expected = drawn | {records[0].call for records in broken}
    store = Store(tmp_path)
    try:
        relay = Relay(tmp_path / "run", store.url).ready()
        recorder = Recorder(relay.settings.address)
        for records in [*plain, *broken]:
            recorder.open_call(records[0].call)
            for record in records:
                recorder.record(record)
        assert recorder.drain(60)
        until(lambda: sum(run["id"] == run["trace_id"] and bool(run.get("end_time")) for run in store.runs()) == len(expected), 60)
        with closing(CallIndex()) as index:
            for run in store.runs():
                index.add(run)
            found = index.rates(datetime(2000, 1, 1, tzinfo=UTC), datetime.now(UTC) + timedelta(days=365), Choice())
            rates = {call.trace_id: call.sampling_rate for call in index.page(Choice(), limit=100).calls}
        assert rates == {call: HALF if call in drawn else 1.0 for call in expected}
        assert found.ended == Share(len(expected), 4, (Drawn(HALF, len(drawn)),))
        assert found.ended.about == 4 + 2 * len(drawn)
        recorder.close()
        relay.stop()
    finally:
        store.stop()
