"""TTFT-A and the turns, rule by rule, on a clock that only the test moves."""

from __future__ import annotations

import itertools

import pytest

from tracing.turn import AnswerTurn
from tracing.turns import HANDLED, ID_MAX, IDS_MAX, KEPT, TRANSCRIBED, TurnTracker

MS = 1_000_000


class Line:
    """A realtime session as the model's server would tell it."""

    def __init__(self, *, beta=False):
        self.now = 0
        self.heard, self.answers = [], []
        keys = itertools.count(1)
        self.tracker = TurnTracker(lambda: f"k{next(keys)}", self.heard.append, self.answered)
        self.audio_delta = "response.audio.delta" if beta else "response.output_audio.delta"

    def answered(self, turn):
        turn.told = True
        self.answers.append(turn)

    def sent(self, ms, kind, **event):
        self.now = ms * MS
        self.cut = self.tracker.see_client({"type": kind, **event}, self.now)
        return self

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
    assert [(turn.ttft_ns, turn.origin) for turn in line.answers] == [(None, "vad")]


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
    line.tracker.answer.add_tool(1200 * MS, 1350 * MS)
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
    line.sent(1000, "input_audio_buffer.commit")
    line.created(1100).audio(1250).done(1300)
    assert [(turn.ttft_ns, turn.origin) for turn in line.answers] == [(250 * MS, "commit")]
    line = Line().at(
        0, "session.updated", session={"audio": {"input": {"turn_detection": {"type": "server_vad", "silence_duration_ms": 300}}}}
    )
    line.sent(1000, "input_audio_buffer.commit")
    line.created(1100).audio(1250).done(1300)
    assert [turn.ttft_ns for turn in line.answers] == [None]
    assert (line.tracker.server.vad_type, line.tracker.server.silence_ms) == ("server_vad", 300)


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
    assert {key: amount for key, amount in line.answers[-1].tokens.items() if amount} == {
        "input_audio": 80, "input_text": 160, "cached_audio": 8, "cached_text": 120, "output_audio": 40, "output_text": 10,
    }  # fmt: skip
    line = Line().created(1).done(2, usage={"input_tokens": 7, "output_tokens": 3})
    assert (line.answers[0].tokens["input_text"], line.answers[0].tokens["output_text"]) == (7, 3)


def test_an_open_turn_is_told_when_the_call_ends():
    """Nothing that was begun goes missing."""
    line = Line().stopped(1000).created(1100).audio(1200)
    line.tracker.finish(1300 * MS)
    assert [(turn.outcome, turn.ttft_ns) for turn in line.answers] == [("open", 200 * MS)]


def test_tools_that_run_side_by_side_count_once():
    """The time in which at least one ran, whichever ended first, and whatever lies between them."""
    turn = AnswerTurn("k", 0, "vad")
    for start, end in ((100, 300), (150, 250), (400, 500), (290, 350), (600, 600)):
        turn.add_tool(start * MS, end * MS)
    assert turn.tool_ns == 350 * MS
    turn.add_tool(0, 1000 * MS)
    assert (turn.tool_ns, len(turn.tools)) == (1000 * MS, 1)


def test_the_models_own_part_is_that_of_the_response_that_sounds():
    """A slow tool must not look like a slow model."""
    line = Line().stopped(1000).created(1100).called(1150).done(1200).created(1700, "r2").audio(1900, "r2").done(2000, "r2")
    assert [(turn.ttft_ns, turn.model_ttft_ns) for turn in line.answers] == [(900 * MS, 200 * MS)]


def test_tools_that_ask_for_no_reply_end_the_turn():
    """After their response is done, or when it is done."""
    line = Line().stopped(1000).created(1100).called(1150).done(1200)
    line.tracker.no_reply(1300 * MS)
    assert [(turn.outcome, turn.end_ns) for turn in line.answers] == [("silent", 1300 * MS)]
    line = Line().stopped(1000).created(1100).audio(1120).called(1150)
    line.tracker.no_reply(1160 * MS)
    line.done(1200)
    assert [(turn.outcome, turn.end_ns) for turn in line.answers] == [("answered", 1200 * MS)]


def test_an_answer_that_the_server_cut_for_the_callers_speech_is_interrupted():
    """Once it sounded; one that the agent took back was not."""
    for reason, sounded, interrupted in (("turn_detected", True, True), ("client_cancelled", True, False), ("turn_detected", False, False)):
        line = Line().stopped(1000).created(1100)
        if sounded:
            line.audio(1200)
        line.started(1300).at(1310, "response.done", response={"id": "r1", "status": "cancelled", "status_details": {"reason": reason}})
        assert [(turn.interrupted, turn.cut) for turn in line.answers] == [(interrupted, True)]


def test_a_caller_who_breaks_in_while_a_tool_runs_ends_that_turn():
    """No response is open that could be cancelled; the next stop is a turn of its own."""
    line = Line().started(500).stopped(1000, "a").created(1100).called(1150).done(1200).started(1300).stopped(1600, "b").created(1700, "r2")
    line.audio(1800, "r2").done(1900, "r2")
    assert [(turn.outcome, turn.ttft_ns) for turn in line.answers] == [("cancelled", None), ("answered", 200 * MS)]


def test_a_stop_without_speech_before_it_supersedes_what_was_open():
    """As after a reconnection in the middle of speech, or a second commit."""
    line = Line().stopped(1000, "a").created(1100).stopped(1500, "b").created(1600, "r2").audio(1700, "r2").done(1800, "r2")
    assert [(turn.outcome, turn.ttft_ns) for turn in line.answers] == [("superseded", None), ("answered", 200 * MS)]
    assert [turn.audio_ms for turn in line.heard] == []


def asked(event_id):
    return {"event_id": event_id, "response": {"metadata": {"client_event_id": event_id}}}


def test_a_greeting_is_timed_from_its_request():
    """By the id that the server repeats; a response for which nobody asked has no such time."""
    line = Line().sent(1000, "response.create", **asked("e1"))
    line.at(1200, "response.created", response={"id": "r1", "metadata": {"client_event_id": "e1"}}).audio(1500).done(1600)
    line.created(2000, "r2").audio(2100, "r2").done(2200, "r2")
    assert [(turn.origin, turn.greeting_ns) for turn in line.answers] == [("agent", 500 * MS), ("agent", None)]


def test_typed_input_is_told_from_a_history_that_is_sent():
    """Both are items of the user; only what joined the conversation is answered. Spoken words that join it are neither."""
    item = {"item": {"id": "old", "role": "user", "content": "secret"}}
    for joined, origin in (("old", "text"), ("spoken", "agent")):
        line = Line().sent(1000, "conversation.item.create", **item)
        line.tracker.typed(joined)
        line.sent(1100, "response.create", **asked("e1"))
        line.at(1200, "response.created", response={"id": "r1", "metadata": {"client_event_id": "e1"}}).audio(1500).done(1600)
        assert [(turn.origin, turn.ttft_ns, turn.greeting_ns is None) for turn in line.answers] == [(origin, None, origin == "text")]


def test_requests_and_items_that_nothing_follows_are_forgotten_in_time():
    """A server that answers nothing fills no memory."""
    line = Line()
    for i in range(1000):
        line.sent(i, "response.create", event_id=f"e{i}").sent(i, "conversation.item.create", item={"id": f"i{i}", "role": "user"})
    assert (len(line.tracker._asked), len(line.tracker._typed)) == (KEPT, KEPT)


def test_a_truncation_names_the_item_whose_sound_was_cut():
    """And nothing else of it."""
    assert Line().sent(0, "conversation.item.truncate", item_id="x", audio_end_ms=300).cut == "x"
    assert Line().sent(0, "conversation.item.truncate", item_id=7).cut == ""


def test_another_session_takes_a_waiting_caller_over():
    """The new agent's model answers what the old one's heard; late words of the old one touch nothing but the bill."""
    old, new = Line(), Line()
    old.stopped(1000).created(1100).called(1150).done(1200, usage={"input_tokens": 3})
    old.tracker.answer.add_tool(1200 * MS, 1300 * MS)
    new.tracker.take_over(old.tracker, 1400 * MS)
    new.created(1500, "n1").audio(1700, "n1").done(1800, "n1")
    old.created(1900, "late").audio(1950, "late").done(2000, "late", usage={"input_tokens": 4})
    assert [(turn.outcome, turn.ttft_ns, turn.tokens["input_text"]) for turn in old.answers] == [("silent", None, 3), ("answered", None, 4)]
    assert [(turn.origin, turn.ttft_ns, turn.tool_ns) for turn in new.answers] == [("vad", 700 * MS, 100 * MS)]


def test_an_agent_that_has_answered_keeps_its_turn_when_it_hands_over():
    """What was heard is its own; what was not is the next agent's to answer."""
    line = Line().stopped(1000).created(1100).audio(1120).called(1150).done(1200)
    line.tracker.handed_off(1300 * MS)
    line.tracker.agent_index = 1
    line.created(1400, "r2").audio(1500, "r2").done(1600, "r2")
    line.stopped(2000, "j").created(2100, "r3").called(2150).done(2200, "r3")
    line.tracker.handed_off(2300 * MS)
    line.tracker.agent_index = 2
    line.created(2400, "r4").audio(2500, "r4").done(2600, "r4")
    assert [(turn.agent_index, turn.ttft_ns) for turn in line.answers] == [(0, 120 * MS), (1, None), (2, 500 * MS)]


def test_no_billed_token_is_lost_at_the_end():
    """What comes when no turn is open is added to the last one while that is not told, else told in a turn of its own."""
    line = Line().created(100, "r1").audio(200, "r1").done(300, "r1").done(400, "r0", usage={"input_tokens": 7})
    line.at(450, TRANSCRIBED, usage={"type": "duration", "seconds": 2})
    line.tracker.finish(500 * MS)
    answered, rest = line.answers
    assert (answered.outcome, answered.tokens.get("input_text")) == ("answered", None)
    assert (rest.outcome, rest.origin, rest.responses, rest.tokens["input_text"], rest.tokens["transcription_s"]) == (
        "cancelled", "agent", 0, 7, 2.0
    )  # fmt: skip
    line = Line().created(100, "r1").audio(200, "r1").done(300, "r1")
    line.answers[0].told = False
    line.done(400, "r1", usage={"input_tokens": 7})
    line.at(450, TRANSCRIBED, usage={"type": "duration", "seconds": 2})
    line.tracker.finish(500 * MS)
    assert [(turn.tokens["input_text"], turn.tokens["transcription_s"]) for turn in line.answers] == [(7, 2.0)]


@pytest.mark.parametrize(
    "session",
    [{"input_audio_transcription": {"model": "whisper-1"}}, {"audio": {"input": {"transcription": {"model": "whisper-1"}}}}],
)
def test_the_transcription_is_counted_with_the_model_the_server_names(session):
    """Both forms of the settings; of the event itself only the usage."""
    line = Line().at(0, "session.updated", session=session).stopped(1000).created(1100)
    line.at(1150, TRANSCRIBED, transcript="secret", usage={"type": "tokens", "input_tokens": 5, "output_tokens": 2}).audio(1200).done(1300)
    (turn,) = line.answers
    assert (turn.transcription_model, turn.tokens["transcription_input"], turn.tokens["transcription_output"]) == ("whisper-1", 5, 2)


@pytest.mark.parametrize("kind", sorted(HANDLED))
@pytest.mark.parametrize(
    "odd", [None, 7, "x", [], {}, {"id": []}, {"audio": 7, "item": 7}, {"metadata": 7, "usage": [7], "status_details": 7}]
)
def test_events_of_any_shape_pass(kind, odd):
    """A server that changes its mind about its events must not be able to break the tracker, open turn or not."""
    for line in (Line(), Line().started(1).stopped(2).created(3)):
        line.at(
            10, kind, response=odd, item=odd, session=odd, item_id=odd, response_id=odd, audio_start_ms=odd, audio_end_ms=odd, usage=odd
        )
        line.stopped(2000, "z").created(2100, "z").audio(2200, "z").done(2300, "z")
        assert line.answers[-1].outcome == "answered"


def test_a_stop_told_again_after_its_answer_began_is_still_the_same_stop():
    """Or the answer would be cut off, and whatever the agent says next would be its answer, minutes late."""
    line = Line().started(900).stopped(1000, "i").created(1100).audio(1120).stopped(1150, "i").done(1200)
    line.at(60_000, "input_audio_buffer.timeout_triggered").created(60_100, "r2").audio(60_200, "r2").done(60_300, "r2")
    assert [(turn.origin, turn.outcome, turn.ttft_ns) for turn in line.answers] == [
        ("vad", "answered", 120 * MS),
        ("agent", "answered", None),
    ]


@pytest.mark.parametrize("first", ["answer", "note"])
def test_a_response_outside_the_conversation_does_not_end_the_answer(first):
    """Such as a classification that runs beside it: it is billed with the turn, and neither sounds nor ends it."""
    line = Line().stopped(1000)
    for name in ("answer", "note") if first == "answer" else ("note", "answer"):
        line.at(1100, "response.created", response={"id": name, "conversation_id": None if name == "note" else "c"})
    line.done(1150, "note", usage={"input_tokens": 3, "output_tokens": 2}).audio(1200, "answer").done(
        1300, "answer", usage={"input_tokens": 5}
    )
    (turn,) = line.answers
    assert (turn.outcome, turn.ttft_ns, turn.responses, turn.end_ns) == ("answered", 200 * MS, 2, 1300 * MS)
    assert (turn.model_ttft_ns, turn.tokens["input_text"], turn.tokens["output_text"]) == (100 * MS, 8, 2)


def test_a_response_outside_the_conversation_that_is_done_first_leaves_the_caller_waiting():
    """It was no answer; nor is it the one a tool's result was given for."""
    line = Line().stopped(1000)
    note = {"id": "note", "conversation_id": None}
    line.at(1100, "response.created", response=note).done(1150, "note").created(1200).audio(1300).done(1400)
    assert [(turn.outcome, turn.ttft_ns) for turn in line.answers] == [("silent", None), ("answered", 300 * MS)]
    line = Line().stopped(1000).created(1100).called(1150).done(1200)
    line.at(1250, "response.created", response=note).done(1260, "note").created(1500, "r2").audio(1600, "r2").done(1700, "r2")
    assert [(turn.outcome, turn.ttft_ns, turn.responses) for turn in line.answers] == [("answered", 600 * MS, 3)]


def test_a_response_of_which_no_end_is_told_is_over_when_the_next_one_begins():
    """A conversation has one at a time."""
    line = Line().stopped(1000).created(1100).audio(1120).created(1500, "r2").audio(1600, "r2").done(1700, "r2")
    assert [(turn.outcome, turn.responses, turn.ttft_ns) for turn in line.answers] == [("answered", 2, 120 * MS)]


def test_what_the_agent_says_after_a_silent_answer_is_no_answer():
    """Nobody was still to answer: the sample would be the length of the silence."""
    line = Line().stopped(1000).created(1100).done(1200)
    line.created(30_000, "r2").audio(30_100, "r2").done(30_200, "r2")
    line.stopped(40_000, "j").created(40_100, "r3").called(40_150).done(40_200, "r3")
    line.tracker.no_reply(40_300 * MS)
    line.created(70_000, "r4").audio(70_100, "r4").done(70_200, "r4")
    assert [(turn.origin, turn.outcome, turn.ttft_ns) for turn in line.answers] == [
        ("vad", "silent", None), ("agent", "answered", None)
    ] * 2  # fmt: skip


def test_a_response_that_began_under_the_callers_speech_is_told_whole_and_answers_nothing():
    """It was created before the stop; what is created after it answers."""
    line = Line().started(900).created(950).stopped(1000).audio(1100).created(1200, "r2").audio(1300, "r2").done(1400, "r2")
    assert [(turn.origin, turn.outcome, turn.first_audio_ns, turn.ttft_ns) for turn in line.answers] == [
        ("agent", "superseded", 1100 * MS, None), ("vad", "answered", 1300 * MS, 300 * MS)
    ]  # fmt: skip
    line = Line().started(900).created(950).stopped(1000).audio(1100).done(1200)
    assert [(turn.outcome, turn.first_audio_ns, turn.ttft_ns) for turn in line.answers] == [("answered", 1100 * MS, None)]


@pytest.mark.parametrize(("status", "message"), [("failed", "response_failed"), ("incomplete", "response_incomplete")])
def test_a_response_that_breaks_off_in_its_sound_is_an_answer_with_an_error(status, message):
    """The caller heard a part of it, so there is a sample."""
    line = Line().stopped(1000).created(1100).audio(1200).done(1300, status=status)
    assert [(turn.outcome, turn.error_message, turn.ttft_ns) for turn in line.answers] == [("answered", message, 200 * MS)]


@pytest.mark.parametrize(("outcome", "end"), [("open", "finish"), ("reconnected", "reconnected")])
def test_speech_without_an_end_is_told_when_nothing_more_can_be_heard(outcome, end):
    """The caller hung up, or the connection went, in the middle of a sentence."""
    line = Line().started(1000)
    getattr(line.tracker, end)(1600 * MS)
    getattr(line.tracker, end)(1700 * MS)
    assert [(turn.start_ns, turn.end_ns, turn.audio_ms, turn.outcome) for turn in line.heard] == [(1000 * MS, 1600 * MS, 600.0, outcome)]


@pytest.mark.parametrize("odd", [10**400, -1, float("nan"), float("inf"), 10**12, True, "7", None])
def test_lengths_that_cannot_be_are_measured_here_or_not_told(odd):
    """One such number must neither stop a turn from being told nor reach the trace, which would withhold the whole span."""
    line = Line().started(1000, odd).stopped(1500, audio_ms=odd)
    line.at(1600, "session.updated", session={"turn_detection": {"type": odd, "silence_duration_ms": odd}})
    assert [turn.audio_ms for turn in line.heard] == [500.0]
    assert (line.tracker.server.vad_type, line.tracker.server.silence_ms) == ("unknown", None)


def test_a_turn_that_never_ends_and_long_ids_are_not_kept_without_bound():
    """Whatever the server sends."""
    line = Line().stopped(1000)
    for n in range(2 * IDS_MAX):
        line.at(1001 + n, "response.created", response={"id": f"{n}" + "x" * 10_000, "conversation_id": None})
        line.at(1001 + n, "response.output_item.done", response_id=f"{n}" + "x" * 10_000, item={"type": "message", "id": f"m{n}" * 9999})
    turn = line.tracker.answer
    assert len(turn.ids) <= IDS_MAX
    assert len(turn.active) <= IDS_MAX
    assert max(map(len, turn.ids)) == ID_MAX
