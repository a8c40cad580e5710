"""Why a call was slow: what is measured is said with its numbers, what is not is called unknown, and no text of a trace is in the words."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit.calls.index import Detail
from audit.calls.records import Call, Media, Spread, ToolUse, Turn
from audit.dashboard.views.explanation import explain_call, explain_turn, parts_of
from audit.dashboard.views.media import media_table, network
from audit.dashboard.views.strips import clock, ticks
from audit.dashboard.views.timeline import ROWS_MAX, draw_call

T0 = datetime(2026, 11, 20, 10, tzinfo=UTC)
TRACE = "0192f000-0000-7000-8000-000000000001"


def at(seconds):
    return T0 + timedelta(seconds=seconds)


def answer(**more):
    """An agent's turn of a caller who stopped at second 4."""
    facts = {
        "start": at(4),
        "end": at(12),
        "outcome": "answered",
        "ttft_ms": 4_900.0,
        "ttft_model_ms": 700.0,
        "tool_ms": 0.0,
        "lag_ms": 0.0,
    }
    return Turn("a1", TRACE, "agent", **(facts | more))


def use(start, end, *, run_id="t1", tool="tool.check_availability", turn_id="a1", **more):
    return ToolUse(run_id, TRACE, turn_id, tool, at(start), at(end), **({"status": "ok"} | more))


CALL = Call(TRACE, start=T0, end=at(60), reason="user_initiated")
FINE = Media(6, "good", Spread(40.0, 80.0, 90.0), Spread(5.0, 10.0, 12.0), Spread(0.0, 0.2, 0.5))
POOR = Media(6, "poor", Spread(300.0, 620.0, 900.0), Spread(20.0, 70.0, 90.0), Spread(1.0, 4.5, 9.0))


def test_a_slow_tool_is_named_with_its_time():
    """3.3 of 4.9 seconds ran a tool, another beside it: counted once, and the longest is named."""
    tools = (use(4.8, 8.1), use(5, 7, run_id="t2", tool="tool.book_appointment"))
    told = explain_turn(answer(), tools, CALL)
    assert (told.cause, told.strength) == ("tool", "clear")
    assert told.share == pytest.approx(3_300 / 4_900)
    assert {part.cause: round(part.ms) for part in told.parts} == {"tool": 3_300, "unknown": 900, "model": 700}
    assert told.words == (
        "The caller waited 4,900 ms for the first sound. Tools took most of that: 3,300 ms, 67.3 % of it. 2 tools ran; the longest was"
        " tool.check_availability with 3,300 ms. The rest: the model 700 ms, 900 ms not measured apart."
    )


def test_what_ran_after_the_first_sound_took_nothing_of_the_wait():
    """A tool that began once the caller heard something is not the cause, whatever the turn's sum says."""
    told = explain_turn(answer(ttft_model_ms=4_500.0, tool_ms=3_000.0), (use(9, 12),), CALL)
    assert told.cause == "model"
    assert {part.cause: round(part.ms) for part in told.parts} == {"model": 4_500, "tool": 400}


def test_a_tool_of_another_turn_took_nothing_of_this_one():
    """A tool that ran meanwhile for a turn that was superseded is not counted; one that hangs under no turn is, by its time."""
    assert explain_turn(answer(), (use(4.8, 8.1, turn_id="a2"),), CALL).cause == "unknown"
    assert explain_turn(answer(), (use(4.8, 8.1, turn_id=""),), CALL).cause == "tool"


def test_a_tools_name_that_is_none_is_not_repeated():
    """The index gives closed names; should another come, it is called a tool."""
    told = explain_turn(answer(), (use(4.8, 8.1, tool="tool.Ada Byron, 555-0123"),), CALL)
    assert told.cause == "tool"
    assert "It was a tool with 3,300 ms." in told.words


def test_a_slow_model():
    """From the creation of the response to the first sound."""
    told = explain_turn(answer(ttft_model_ms=4_000.0), (), CALL)
    assert (told.cause, told.strength) == ("model", "clear")
    assert "The model took most of that: 4,000 ms, 81.6 % of it" in told.words


def test_a_late_event_loop_is_the_agents_own():
    """Its lateness is inside the model's stretch and taken out of it."""
    told = explain_turn(answer(ttft_model_ms=4_400.0, lag_ms=3_000.0), (), CALL)
    assert (told.cause, told.strength) == ("agent", "clear")
    assert {part.cause: part.ms for part in told.parts} == {"agent": 3_000, "model": 1_400, "unknown": 500}
    assert "blocks the loop" in told.words


def test_a_tool_that_blocks_the_loop_is_told_so():
    """The loop stood still while the tool ran."""
    told = explain_turn(answer(lag_ms=900.0), (use(4.5, 8.5),), CALL)
    assert told.cause == "tool"
    assert "late by 900 ms: a tool that blocks the loop does that" in told.words


def test_nothing_known_is_said_to_be_unknown():
    """A wait without parts has no cause, and the words say why."""
    told = explain_turn(answer(ttft_model_ms=None, tool_ms=None, lag_ms=None), (), CALL)
    assert (told.cause, told.share, told.strength) == ("unknown", 0.0, "open")
    assert "neither the model's part nor a tool's was measured" in told.words


@pytest.mark.parametrize("media", [FINE, Media()], ids=["a good network", "none measured"])
def test_what_is_left_over_is_no_network_by_itself(media):
    """A rest that nobody measures is the network's only where something speaks for it."""
    told = explain_turn(answer(), (), replace(CALL, agent_media=media, client_media=media))
    assert (told.cause, told.strength) == ("unknown", "open")
    assert "4,200 ms of it is neither tool nor model" in told.words


@pytest.mark.parametrize("beside", [{"agent_media": POOR}, {"reconnects": 2}], ids=["a poor connection", "reconnects"])
def test_the_network_is_never_more_than_likely(beside):
    """It is measured per call, and the words say so."""
    told = explain_turn(answer(), (), replace(CALL, **beside))
    assert (told.cause, told.share, told.strength) == ("network", 0.0, "likely")
    assert "measured per call, not per turn" in told.words


def test_a_poor_network_stands_beside_a_clear_cause():
    """The tool took the wait; the caller heard the answer later still."""
    told = explain_turn(answer(), (use(4.5, 8.5),), replace(CALL, client_media=POOR))
    assert (told.cause, told.strength) == ("tool", "clear")
    assert "LiveKit called it poor, round trip p95 620 ms, jitter p95 70 ms, loss p95 4.5 %" in told.words


def test_one_way_delay_against_g_114():
    """Half of both round trips and the larger jitter: (620 + 80) / 2 + 70."""
    held = network(replace(CALL, agent_media=FINE, client_media=POOR))
    assert held.one_way_ms == pytest.approx(420.0)
    assert held.bad
    assert not held.agent_bad
    assert "about 420 ms one way" in held.words
    assert "the 400 ms that ITU-T G.114 calls acceptable" in held.words
    fine = network(replace(CALL, agent_media=FINE, client_media=FINE))
    assert (fine.one_way_ms, fine.bad, fine.words, fine.measured) == (90.0, False, "", True)
    none = network(CALL)
    assert (none.one_way_ms, none.bad, none.words, none.measured) == (None, False, "", False)


@pytest.mark.parametrize(
    "beyond",
    [
        replace(FINE, loss_pct=Spread(0.0, 3.0, 5.0)),
        replace(FINE, jitter_ms=Spread(5.0, 50.5, 60.0)),
        replace(FINE, rtt_ms=Spread(40.0, 801.0, 900.0)),
        replace(FINE, worst="lost"),
    ],
    ids=["loss", "jitter", "round trip", "lost"],
)
def test_each_measure_alone_makes_a_network_bad(beyond):
    """At its published limit, with all others fine."""
    held = network(replace(CALL, agent_media=beyond))
    assert held.bad
    assert held.agent_bad
    assert "What speaks for the network: the agent's connection" in held.words or "what speaks for the network: the agent's" in held.words


def test_the_media_as_a_table():
    """Both sides that measured; None where neither did."""
    table = media_table(replace(CALL, client_media=POOR))
    assert table.rows == (("caller", "poor", "6", "300 / 620 / 900", "20 / 70 / 90", "1 / 4.5 / 9"),)
    assert media_table(CALL) is None


@pytest.mark.parametrize(
    ("outcome", "words"), [("failed", "the model's response failed"), ("resumed", "went on speaking"), ("", "nobody had spoken before it")]
)
def test_a_turn_without_a_wait(outcome, words):
    """It says why there is none."""
    told = explain_turn(answer(ttft_ms=None, outcome=outcome), (), CALL)
    assert (told.cause, told.ttft_ms) == ("unknown", None)
    assert words in told.words


def test_a_call_is_explained_first_as_a_whole():
    """Two of three turns were slow, for tools; then each, the slowest first."""
    turns = (
        answer(),
        replace(answer(ttft_ms=7_000.0), run_id="a2", start=at(20), end=at(30)),
        replace(answer(ttft_ms=800.0), run_id="a3", start=at(40), end=at(44)),
    )
    tools = (use(4.8, 8.1), use(20.5, 26, run_id="t2", turn_id="a2"))
    whole, *each = explain_call(Detail(CALL, turns, tools))
    assert [told.turn for told in each] == ["a2", "a1"]
    assert (whole.cause, whole.turn, whole.ttft_ms) == ("tool", "", 7_000.0)
    assert whole.share == pytest.approx((3_300 + 5_500) / 11_900)
    assert whole.words == (
        "2 of 3 answered turns came later than 3 s, the latest after 7,000 ms. Most of their waiting was for tools: 73.9 % of 11.9 s."
    )


def test_a_quick_call_and_an_empty_one():
    """Neither is called slow; without a wait nothing is said to be known."""
    quick = explain_call(Detail(CALL, (answer(ttft_ms=800.0, ttft_model_ms=600.0),), ()))
    assert len(quick) == 1
    assert quick[0].words.startswith("No answer came later than 3 s: 1 answered turn, the longest wait 800 ms.")
    empty = explain_call(Detail(CALL, (), ()))
    assert (empty[0].cause, empty[0].strength) == ("unknown", "open")
    bad = explain_call(Detail(replace(CALL, client_media=POOR), (answer(ttft_ms=800.0),), ()))
    assert (bad[0].cause, bad[0].strength) == ("network", "likely")


# -- whatever a trace holds ----------------------------------------------------------------------------------------------------------------

number = st.none() | st.floats(0, 1e7) | st.sampled_from([0.0, 0.5, 3_000.0])
hostile = st.sampled_from(["Ada Byron", "tool.Ada Byron 1815", "<script>", "555-0123", "", "answered", "failed", "tool.book_appointment"])
spread = st.builds(Spread, number, number, number)
media = st.builds(Media, st.integers(0, 9), st.sampled_from(["", "Ada Byron", "poor", "good"]), spread, spread, spread)
moments = st.none() | st.floats(-100, 4_000).map(at)
turns = st.builds(
    Turn,
    run_id=st.sampled_from(["a1", "a2", "a3"]), trace_id=hostile, speaker=st.sampled_from(["agent", "user"]), start=moments, end=moments,
    outcome=hostile, error=hostile, ttft_ms=number, ttft_model_ms=number, tool_ms=number, lag_ms=number,
)  # fmt: skip
uses = st.builds(
    ToolUse, run_id=st.just("t"), trace_id=hostile, turn_id=st.sampled_from(["", "a1", "a2"]), tool=hostile, start=moments, end=moments,
    status=hostile, error=hostile, withheld=hostile,
)  # fmt: skip
calls = st.builds(
    Call, trace_id=hostile, project=hostile, start=moments, end=moments, reason=hostile, error=hostile, reconnects=st.integers(0, 3),
    agent_media=media, client_media=media,
)  # fmt: skip
details = st.builds(
    Detail, calls, st.lists(turns, max_size=5).map(tuple), st.lists(uses, max_size=5).map(tuple)
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(turns, st.lists(uses, max_size=5))
def test_the_parts_of_a_wait_come_to_it_and_never_to_more(turn, tools):
    """None is below zero, and together they are the wait."""
    parts = parts_of(turn, tools)
    assert all(part.ms > 0 for part in parts)
    assert sum(part.ms for part in parts) == pytest.approx(turn.ttft_ms or 0.0, abs=1e-3)
    assert len({part.cause for part in parts}) == len(parts)


@settings(max_examples=300, deadline=None)
@given(details)
def test_whatever_a_call_holds_it_is_told_and_nothing_of_it_is_repeated(detail):
    """It never raises, shares lie between 0 and 1, what is unknown claims nothing, and no hostile text comes through."""
    for told in explain_call(detail):
        assert 0.0 <= told.share <= 1.0
        assert told.words
        if told.cause == "unknown":
            assert (told.share, told.strength) == (0.0, "open")
        if told.cause == "network":
            assert (told.share, told.strength) == (0.0, "likely")
        assert not any(text in told.words for text in ("Ada", "Byron", "<script>", "555-0123", "1815"))


@settings(max_examples=300, deadline=None)
@given(details)
def test_every_bar_lies_within_the_call(detail):
    """Bars have no negative length, lanes do not overlap, and what is drawn is as wide as the page at most."""
    drawn = draw_call(detail)
    taken: dict[tuple[str, int], float] = {}
    for bar in drawn.bars:
        assert 0.0 <= bar.start_s <= bar.end_s <= drawn.length_s
        assert bar.lane < drawn.lanes[bar.row]
        if bar.row == "tools":
            assert bar.start_s >= taken.get((bar.row, bar.lane), 0.0)
            taken[bar.row, bar.lane] = bar.end_s
    assert len(drawn.ticks) <= 12
    assert len(drawn.table.rows) == (len(detail.turns) + len(detail.tools) if drawn.drawing or drawn.length_s or drawn.lanes else 0)
    shown = {shape.tip for shape in drawn.drawing.shapes if hasattr(shape, "tip")} if drawn.drawing else set()
    assert shown == {bar.tip for bar in drawn.bars}
    for shape in drawn.drawing.shapes if drawn.drawing else ():
        for name in ("x", "x1", "x2"):
            assert 0 <= getattr(shape, name, 0) + (getattr(shape, "wide", 0) if name == "x" else 0) <= 640.001


def test_a_call_is_drawn_as_it_was():
    """The wait is cut into what is known of it, and a failed tool beside another has a lane of its own and a cross."""
    turns = (Turn("u1", TRACE, "user", at(1), at(4), "completed"), answer())
    tools = (use(4.8, 8.1), use(5, 7, run_id="t2", tool="tool.book_appointment", error="ToolError: tool_raised", status="error"))
    drawn = draw_call(Detail(replace(CALL, end=at(80)), turns, tools))
    assert drawn.length_s == 80.0
    assert drawn.lanes == {"caller": 1, "agent": 1, "tools": 2}
    shown = [(bar.row, bar.lane, bar.kind, round(bar.start_s, 2), round(bar.end_s, 2)) for bar in drawn.bars]
    assert shown == [
        ("caller", 0, "speech", 1.0, 4.0),
        ("agent", 0, "wait", 4.0, 4.8),
        ("agent", 0, "wait_tool", 4.8, 8.1),
        ("tools", 0, "tool", 4.8, 8.1),
        ("tools", 1, "error", 5.0, 7.0),
        ("agent", 0, "wait", 8.1, 8.2),
        ("agent", 0, "wait_model", 8.2, 8.9),
        ("agent", 0, "answer", 8.9, 12.0),
    ]
    assert [bar.failed for bar in drawn.bars].count(True) == 1
    assert "✕" in drawn.drawing.texts
    assert drawn.table.rows[1] == ("0:04", "agent", "turn", "8,000 ms", "4,900 ms", "700 ms", "0 ms", "answered")
    assert drawn.told == (
        "A call of 1:20: 1 turn of the caller, 1 of the agent, 2 uses of tools, 1 failed; the longest wait for an answer was 4,900 ms."
    )
    assert drawn.told == drawn.drawing.told


def test_what_took_no_time_is_seen_at_the_very_end_too():
    """A tool without a length in the call's last moment is a thin bar on the chart, not beyond it."""
    drawn = draw_call(Detail(replace(CALL, end=at(60)), (answer(),), (use(60, 60),)))
    bars = [shape for shape in drawn.drawing.shapes if getattr(shape, "style", "") == "bar tool"]
    assert [(bar.wide, bar.x + bar.wide) for bar in bars] == [(2.0, 628.0)]


def test_a_call_without_a_time_is_not_drawn():
    """It says so."""
    drawn = draw_call(Detail(Call(TRACE), (Turn("a1", TRACE, "agent"),), ()))
    assert drawn.drawing is None
    assert "nothing can be drawn" in drawn.told


def test_a_call_with_more_turns_than_anybody_has_is_cut_and_says_so():
    """A trace can hold twenty thousand runs; a page cannot."""
    many = tuple(replace(answer(), run_id=f"a{n}", start=at(n), end=at(n + 1), ttft_ms=100.0) for n in range(ROWS_MAX + 7))
    drawn = draw_call(Detail(CALL, many, ()))
    assert len(drawn.table.rows) == ROWS_MAX
    assert drawn.told.endswith("7 more turns and tools are not drawn.")


@settings(max_examples=200, deadline=None)
@given(st.floats(0, 400_000), st.integers(2, 12))
def test_ticks_are_few_and_within(length, most):
    """Round moments, rising, none beyond the end."""
    made = ticks(length, most)
    assert 1 <= len(made) <= most
    assert [tick.at_s for tick in made] == sorted({tick.at_s for tick in made})
    assert made[-1].at_s <= length


def test_a_clock():
    """Minutes and seconds, from an hour on hours."""
    assert [clock(0), clock(65), clock(3_661.9)] == ["0:00", "1:05", "1:01:01"]


def test_every_field_a_view_reads_is_there():
    """The rows are another's: a field that goes away is seen here before a page shows it missing."""
    assert {"ttft_ms", "ttft_model_ms", "tool_ms", "lag_ms", "outcome", "error"} <= {field.name for field in fields(Turn)}
    assert {"agent_media", "client_media", "reconnects"} <= {field.name for field in fields(Call)}
