"""What was audited: whole and broken traces, edges of the window, and the counts the gates rest on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from audit.population import Counting


def counted(*calls, live=False, since=None, until=None):
    counting = Counting()
    for call in calls:
        for run in call:
            counting.add(run, str(run["name"]))
    return counting.result(live=live, since=since, until=until)


def without(call, name):
    return [run for run in call if run["name"] != name]


def test_whole_calls(made):
    """Two whole calls: nothing is missing, and the sums are theirs."""
    population = counted(made.call(0), made.call(1))
    assert (population.traces, population.runs, population.broken) == (2, 14, 0)
    assert (population.offered, population.lost, population.cost_usd) == (28, 0, 0.024)


@pytest.mark.parametrize(
    "name", ["session.start", "policy.guardrail", "agent_turn", "session.end", "voice_session", "tool.book_appointment"]
)
def test_a_missing_span_breaks_a_trace(made, name):
    """A trace that lacks any of its parts is broken, and by what."""
    population = counted(made.call(0), without(made.call(1), name))
    lacks = {"voice_session": "root", "tool.book_appointment": "a tool span"}.get(name, name)
    assert population.broken == 1
    assert population.incomplete[lacks] == 1


def test_a_run_whose_parent_is_not_there(made):
    """A run that hangs under one which nobody read shows that not all was read."""
    call = made.call(0)
    call[3]["parent_run_id"] = made.run_id(999)
    assert counted(call).incomplete == {"a parent run": 1}


def test_two_traces_of_one_room(made):
    """Two traces that name one room are not one trace per call."""
    first, second = made.call(0), made.call(1)
    second[0]["extra"]["metadata"]["room_sid"] = first[0]["extra"]["metadata"]["room_sid"]
    assert counted(first, second).shared_rooms == 1


def test_order_and_repetition_change_nothing(made):
    """Rows may come in any order and twice: the population is the same, and the repeats are counted."""
    call = made.call(0)
    forward, backward = counted(call), counted(call[::-1], call)
    assert backward.repeated == 7
    assert (forward.digest, forward.runs, forward.cost_usd) == (backward.digest, backward.runs, backward.cost_usd)


def test_edges_of_the_window(made):
    """A call still going on, and one cut by the window's beginning, are told apart from broken ones; in a file nothing goes on."""
    start = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)
    going_on = without(made.call(0), "session.end")
    late = counted(going_on, live=True, since=start - timedelta(days=7), until=start + timedelta(minutes=5))
    assert (late.open, late.broken) == (1, 0)
    assert counted(going_on, live=True, until=start + timedelta(days=1)).broken == 1
    assert counted(going_on, until=start + timedelta(minutes=5)).broken == 1
    cut = without(without(made.call(0), "voice_session"), "session.start")
    assert counted(cut, live=True, since=start - timedelta(minutes=1), until=start + timedelta(days=1)).cut == 1


def test_errors_must_be_typed(made):
    """An error counts as typed only with class and code, in the error and in the metadata."""
    typed, bare, raw = made.call(0), made.call(1), made.call(2)
    for call in (typed, bare):
        call[5]["error"] = "KeyError: tool_raised"
    typed[5]["extra"]["metadata"] |= {"error_type": "KeyError", "error_message": "tool_raised"}
    raw[5]["error"] = "KeyError: no such patient"
    population = counted(typed, bare, raw)
    assert (population.errors, population.untyped) == (3, 2)
