"""TTFT-A and the turns, rule by rule, on a clock that only the test moves."""

from __future__ import annotations

import itertools

import pytest

from tracing.turns import TurnTracker

MS = 1_000_000


class Line:
    """A realtime session as the model's server would tell it."""

    def __init__(self, *, beta=False):
        self.now = 0
        self.heard, self.answers = [], []
        keys = itertools.count(1)
        self.tracker = TurnTracker(lambda: f"k{next(keys)}", self.heard.append, self.answers.append)
        self.audio_delta = "response.audio.delta" if beta else "response.output_audio.delta"

    def at(self, ms, kind, **event):
        self.now = ms * MS
        self.tracker.see_server({"type": kind, **event}, self.now)
        return self

    def started(self, ms, audio_ms=0):
        return self.at(ms, "input_audio_buffer.speech_started", audio_start_ms=audio_ms, item_id=f"i{ms}")

    def stopped(self, ms, item="i", audio_ms=0):
        return self.at(ms, "input_audio_buffer.speech_stopped", audio_end_ms=audio_ms, item_id=item)

    def created(self, ms, response="r1"):
        return self.at(ms, "response.created", response={"id": response})

    def audio(self, ms, response="r1"):
        return self.at(ms, self.audio_delta, response_id=response, delta="AAAA")

    def called(self, ms):
        return self.at(ms, "response.output_item.done", item={"type": "function_call", "name": "x", "arguments": "secret"})

    def done(self, ms, response="r1", status="completed", usage=None):
        return self.at(ms, "response.done", response={"id": response, "status": status, "usage": usage})


@pytest.mark.parametrize("beta", [False, True])
def test_an_answer_is_timed_from_the_end_of_speech_to_its_first_sound(beta):
    """Both dialects; later sound changes nothing."""
    line = Line(beta=beta).started(1000, 900).stopped(1600, audio_ms=1500).created(1700).audio(2000).audio(2100).done(2200)
    (turn,) = line.answers
    assert (turn.ttft_ns, turn.model_ttft_ns, turn.outcome, turn.origin) == (400 * MS, 300 * MS, "answered", "vad")
    assert (turn.start_ns, turn.end_ns) == (1600 * MS, 2200 * MS)
    (heard,) = line.heard
    assert (heard.start_ns, heard.end_ns, heard.audio_ms) == (1000 * MS, 1600 * MS, 600)


def test_a_stop_told_twice_counts_once_and_another_one_counts_last():
    """The same item keeps the first stop; a new one supersedes."""
    line = Line().stopped(1000, "a").stopped(1050, "a").created(1100).audio(1300).done(1400)
    assert line.answers[0].ttft_ns == 300 * MS
    line = Line().stopped(1000, "a").stopped(1500, "b").created(1600).audio(1700).done(1800)
    assert [turn.ttft_ns for turn in line.answers] == [200 * MS]


def test_a_caller_who_goes_on_or_breaks_in_before_the_sound_makes_no_sample():
    """Speech with an open stop closes it; the answer that comes all the same is no TTFT-A."""
    line = Line().stopped(1000).created(1100).started(1200).done(1250, status="cancelled")
    assert [(turn.ttft_ns, turn.outcome) for turn in line.answers] == [(None, "cancelled")]
    line = Line().stopped(1000).started(1100).created(1200).audio(1300).done(1400)
    assert [(turn.ttft_ns, turn.origin) for turn in line.answers] == [(None, "agent")]


def test_sound_of_an_older_answer_does_not_answer_a_new_turn():
    """Only a response born after the stop counts."""
    line = (
        Line()
        .created(500, "old")
        .audio(600, "old")
        .stopped(1000)
        .audio(1050, "old")
        .created(1100, "new")
        .audio(1500, "new")
        .done(1600, "new")
    )
    assert [turn.ttft_ns for turn in line.answers] == [None, 500 * MS]


def test_a_tool_turn_is_one_turn_and_tells_its_parts():
    """The follow-up answers; the tool's time and the model's own stand apart."""
    line = Line().stopped(1000).created(1100).called(1150).done(1200)
    assert line.answers == []
    line.tracker.add_tool(150 * MS)
    line.created(1400, "r2").audio(1600, "r2").done(1700, "r2")
    (turn,) = line.answers
    assert (turn.ttft_ns, turn.tool_ns, turn.tool_calls, turn.responses, turn.outcome) == (600 * MS, 150 * MS, 1, 2, "answered")


def test_a_preamble_before_a_tool_is_the_first_sound():
    """What is said before the tool runs ("let me check") is what the caller hears first."""
    line = Line().stopped(1000).created(1100).audio(1200).called(1250).done(1300).created(1500, "r2").audio(1700, "r2").done(1800, "r2")
    assert [(turn.ttft_ns, turn.responses) for turn in line.answers] == [(200 * MS, 2)]


@pytest.mark.parametrize(("status", "message"), [("failed", "response_failed"), ("incomplete", "response_incomplete")])
def test_a_response_that_fails_before_its_sound_is_an_error_and_no_sample(status, message):
    """It belongs to the error rate."""
    line = Line().stopped(1000).created(1100).done(1300, status=status)
    assert [(turn.ttft_ns, turn.outcome, turn.error_message) for turn in line.answers] == [(None, "failed", message)]


def test_what_the_agent_says_first_is_no_sample():
    """A greeting answers nobody."""
    line = Line().created(100).audio(300).done(500)
    assert [(turn.ttft_ns, turn.origin, turn.start_ns) for turn in line.answers] == [(None, "agent", 100 * MS)]


def test_a_manual_turn_starts_at_the_commit_and_is_marked():
    """Only where the server says that it detects no turns."""
    line = Line().at(0, "session.updated", session={"turn_detection": None})
    line.tracker.see_client("input_audio_buffer.commit", 1000 * MS)
    line.created(1100).audio(1250).done(1300)
    assert [(turn.ttft_ns, turn.origin) for turn in line.answers] == [(250 * MS, "commit")]
    line = Line().at(
        0, "session.updated", session={"audio": {"input": {"turn_detection": {"type": "server_vad", "silence_duration_ms": 300}}}}
    )
    line.tracker.see_client("input_audio_buffer.commit", 1000 * MS)
    line.created(1100).audio(1250).done(1300)
    assert [turn.ttft_ns for turn in line.answers] == [None]
    assert (line.tracker.vad_type, line.tracker.silence_ms) == ("server_vad", 300)


def test_a_new_connection_forgets_what_was_open():
    """What was asked before it will not be answered."""
    line = Line().stopped(1000).created(1100)
    line.tracker.reconnected(1200 * MS)
    line.created(1300, "r2").audio(1400, "r2").done(1500, "r2")
    assert [(turn.outcome, turn.ttft_ns) for turn in line.answers] == [("reconnected", None), ("answered", None)]


def test_every_response_is_billed_once_cancelled_and_late_ones_too():
    """Cached tokens are a part of the input; an answer whose turn is closed is still paid for."""
    usage = {
        "input_token_details": {
            "text_tokens": 80,
            "audio_tokens": 40,
            "cached_tokens": 64,
            "cached_tokens_details": {"text_tokens": 60, "audio_tokens": 4},
        },
        "output_token_details": {"text_tokens": 5, "audio_tokens": 20},
    }
    line = Line().created(100, "old").stopped(200).done(300, "old", usage=usage)
    line.created(400, "r2").audio(500, "r2").done(600, "r2", status="cancelled", usage=usage)
    assert line.answers[-1].tokens == {
        "input_audio": 80, "input_text": 160, "cached_audio": 8, "cached_text": 120, "output_audio": 40, "output_text": 10,
    }  # fmt: skip
    line = Line().created(1).done(2, usage={"input_tokens": 7, "output_tokens": 3})
    assert (line.answers[0].tokens["input_text"], line.answers[0].tokens["output_text"]) == (7, 3)


def test_an_open_turn_is_told_when_the_call_ends():
    """Nothing that was begun goes missing."""
    line = Line().stopped(1000).created(1100).audio(1200)
    line.tracker.finish(1300 * MS)
    assert [(turn.outcome, turn.ttft_ns) for turn in line.answers] == [("open", 200 * MS)]
