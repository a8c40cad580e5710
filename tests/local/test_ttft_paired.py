"""TTFT-A beside the stand-in's clock: what pairs is compared, and what does not is counted, never left out in silence."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.rehearsal.play import PlayedCall
from audit.rehearsal.problems import of_calls
from audit.rehearsal.ttft import Paired, Sample, pair
from tracing.local.azure_realtime import Moment

STOPS = (10.0, 20.0, 30.0)


def moments(*stops, first_audio_after_s=0.3):
    """A caller who stops speaking then, and is answered each time."""
    for stop in stops:
        yield Moment("speech_started", stop - 2)
        yield Moment("speech_stopped", stop)
        yield Moment("first_audio", stop + first_audio_after_s)


def recorded(*stops, ttft_ms=304.0):
    """Heard a few milliseconds later than the stand-in's moment."""
    return [Sample(stop + 0.004, ttft_ms) for stop in stops]


def test_each_turn_is_held_against_its_own():
    """As many of both sides: each error is known."""
    assert pair(moments(*STOPS), recorded(*STOPS)) == Paired((4.0, 4.0, 4.0), 0)


def test_a_turn_that_the_trace_lacks_is_counted_and_the_others_are_compared():
    """Two of three were recorded, one of them far off: its error shows, though the numbers differ."""
    late = [*recorded(10.0), *recorded(30.0, ttft_ms=900.0)]
    assert pair(moments(*STOPS), late) == Paired((4.0, 600.0), 1)


def test_a_turn_that_only_the_trace_has_is_counted():
    """A second sample of one turn, and one before anybody had stopped speaking."""
    assert pair(moments(*STOPS), [Sample(9.0, 100.0), *recorded(10.0, 20.0), Sample(20.5, 5.0), *recorded(30.0)]).unpaired == 2


def test_as_many_of_each_but_of_other_turns_are_not_compared_with_each_other():
    """The stand-in answered the first turn, the trace has the second: no pair, and two to tell of."""
    spoken = [*moments(10.0), Moment("speech_started", 18.0), Moment("speech_stopped", 20.0)]
    assert pair(spoken, recorded(20.0)) == Paired((), 2)


def test_without_the_stand_ins_word_nothing_is_paired():
    """It is not told that all was right."""
    assert pair((), recorded(*STOPS)) == Paired((), 3)


@given(
    heard=st.lists(st.booleans(), min_size=1, max_size=12), off_ms=st.floats(0, 5000), extra=st.integers(0, 3), late=st.floats(0.0001, 3)
)
def test_every_sample_is_either_compared_or_counted(heard, off_ms, extra, late):
    """Whichever turns the trace lacks, and however late the tracer was: the sums are those of what went in."""
    stops = [10.0 * (n + 1) for n in range(len(heard))]
    told = [Sample(stop + late, 300.0 + off_ms) for stop, was in zip(stops, heard, strict=True) if was]
    told += [Sample(stops[-1] + 5 + n, 1.0) for n in range(extra)]
    found = pair(moments(*stops), told)
    assert 2 * len(found.errors_ms) + found.unpaired == len(stops) + len(told)
    assert found.errors_ms[: sum(heard)] == (pytest.approx(off_ms, abs=0.01),) * sum(heard)


def a_call(**facts):
    return PlayedCall(**{"trace_id": "t", "crashed": "", "unanswered": 0, "errors": (), "tracer_faults": 0, "ttft_ms": (),
                         "ttft_error_ms": None} | facts)  # fmt: skip


def test_a_person_is_told_of_both():
    """Calls without a trace and answers without a pair; a call that was cut off is told of elsewhere."""
    calls = [a_call(), a_call(trace_id=""), a_call(ttft_unpaired=2), a_call(ttft_unpaired=1), a_call(trace_id="", cut=True)]
    told = list(of_calls(calls))
    assert [line.split()[0] for line in told] == ["1", "3"]
    assert "1 of 5 calls have no trace" in told[0]
    assert list(of_calls([a_call()])) == []
