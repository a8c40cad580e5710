"""The tools of a call as they were: each failure under its own class, each result once, hand-offs known, and nothing kept or copied.

The sessions are real AgentSessions against the stand-in; events that LiveKit does not send on demand are made by hand.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import sys
import time
from types import SimpleNamespace

import pytest
from livekit.agents import Agent, RunContext, function_tool
from livekit.agents.llm import StopResponse, ToolError

import tracing
from tracing.faults import LOGGER
from tracing.guarded import guarded_tool
from tracing.local.azure_realtime import AzureRealtime, CallScript
from tracing.local.azure_realtime import Call as ModelCall
from tracing.local.azure_realtime.script import Say
from tracing.local.clinic_agent import CallerTurn, run_call
from tracing.record import TOOL_TEXT_MAX, ToolCall
from tracing.recorder import Tally
from tracing.tools import STARTED_KEPT, ToolTracker

ANSWER = (Say("Done.", 100),)
ONE_TURN = (CallerTurn(300),)


class Own(BaseException):
    """Neither an Exception nor anything LiveKit knows."""


RAISED = {"key": KeyError, "value": ValueError, "tool": ToolError, "stop": StopResponse, "own": Own, "cancel": asyncio.CancelledError}


class Second(Agent):
    """Who the call is handed to; its repr must not become content."""

    def __init__(self):
        super().__init__(instructions="Go on.")


class Tools(Agent):
    """An agent whose tools do what their arguments say."""

    def __init__(self, together=0):
        super().__init__(instructions="Help.")
        self.together, self.arrived, self.gate = together, 0, asyncio.Event()

    @function_tool
    async def fails(self, how: str, after_ms: int) -> str:
        """Fail. All calls wait for each other, then for their own time.

        Args:
            how: with what
            after_ms: when
        """
        self.arrived += 1
        if self.arrived >= self.together:
            self.gate.set()
        await self.gate.wait()
        await asyncio.sleep(after_ms / 1000)
        raise RAISED[how](*(() if how in {"stop", "cancel"} else ("Zqxjk",)))

    @function_tool
    async def gives(self, what: str):
        """Give something.

        Args:
            what: which thing
        """
        return {
            "nothing": lambda: None,
            "agent": Second,
            "agent and text": lambda: (Second(), "You are put through."),
            "list": lambda: [1, 2],
            "tuple": lambda: (1, "two"),
            "dict": lambda: {"a": 1},
            "two agents": lambda: (Second(), Second()),
            "object": object,
        }[what]()

    @function_tool
    async def reports(self, ctx: RunContext, fails: bool) -> str:
        """Say that it takes a while, then end.

        Args:
            ctx: LiveKit's own
            fails: whether it fails in the end
        """
        await ctx.update("It takes a while.")
        await asyncio.sleep(0.3)
        if fails:
            raise KeyError("Zqxjk")
        return "late"

    @function_tool
    async def hangs(self) -> str:
        """Never end."""
        await asyncio.sleep(3600)
        return ""


class Watch:
    """A tracker on a session, and what it told."""

    def __init__(self):
        self.told, self.took = [], []
        self.tracker = ToolTracker(lambda: (1, "turn"), self.took.append, self.told.append)

    def attach(self, session, ctx):
        self.tracker.install()
        session.on("tool_execution_updated", lambda event: self.tracker.see(event, _now()))
        session.on("function_tools_executed", lambda event: self.tracker.see_batch(event, _now()))

    def close(self):
        for tool in self.tracker.finish():
            self.tracker.tell(tool)
        self.tracker.remove()


def _now():
    return time.monotonic_ns()


async def converse(agent, turns, watch, caller=ONE_TURN, limit=15.0):
    azure = AzureRealtime([CallScript(turns=tuple(turns))])
    url = await azure.start()
    try:
        return await run_call(agent, url, caller, attach=watch.attach, turn_limit_s=limit)
    finally:
        await azure.stop()
        watch.close()


def play(agent, turns, **more):
    watch = Watch()
    asyncio.run(converse(agent, turns, watch, **more))
    return watch


def seen(watch):
    return {(tool.tool, tool.arguments): tool for tool in watch.told}


def test_calls_of_one_tool_that_fail_at_once_keep_their_own_classes():
    """Six at once, the first to be called the last to fail; a class is never another call's, and never a text."""
    hows = ["key", "value", "tool", "stop", "cancel", "key"]
    calls = tuple(ModelCall("fails", {"how": how, "after_ms": 60 - 10 * at}, 0) for at, how in enumerate(hows))
    watch = play(Tools(len(hows)), [calls, ANSWER])
    told = {(tool.arguments, tool.status, tool.error_type) for tool in watch.told}
    assert len(watch.told) == len(watch.took) == len(hows)
    assert told == {
        ('{"how": "key", "after_ms": 60}', "error", "KeyError"),
        ('{"how": "value", "after_ms": 50}', "error", "ValueError"),
        ('{"how": "tool", "after_ms": 40}', "error", "ToolError"),
        ('{"how": "stop", "after_ms": 30}', "ok", ""),
        ('{"how": "cancel", "after_ms": 20}', "cancelled", ""),
        ('{"how": "key", "after_ms": 10}', "error", "KeyError"),
    }
    assert {tool.output for tool in watch.told} == {""}


def test_failures_in_the_same_instant_are_told_apart():
    """No time between them at all."""
    hows = ["value", "key", "tool", "value", "key"]
    calls = tuple(ModelCall("fails", {"how": how, "after_ms": 0}, 0) for how in hows)
    watch = play(Tools(len(hows)), [calls, ANSWER])
    names = {"value": "ValueError", "key": "KeyError", "tool": "ToolError"}
    assert sorted((tool.arguments.split('"')[3], tool.error_type) for tool in watch.told) == sorted((how, names[how]) for how in hows)


def test_what_is_no_exception_is_an_error_of_unknown_class():
    """LiveKit swallows a BaseException and does not log it: the events say that it failed, nothing says with what."""
    watch = play(Tools(1), [(ModelCall("fails", {"how": "own", "after_ms": 0}),), ANSWER])
    (tool,) = watch.told
    assert (tool.status, tool.error_type, tool.output) == ("error", "UnknownError", "")


def test_two_sessions_in_one_process_do_not_mix_their_failures():
    """The same tool at the same time, and one log for both."""
    one, other = Watch(), Watch()

    async def both():
        first, second = Tools(2), Tools(2)
        second.gate = first.gate  # nobody goes before the other is there
        first.together = second.together = 99
        script = [[(ModelCall("fails", {"how": how, "after_ms": 0}),), ANSWER] for how in ("key", "value")]

        async def open_gate():
            while first.arrived + second.arrived < 2:
                await asyncio.sleep(0.01)
            first.gate.set()

        await asyncio.gather(converse(first, script[0], one), converse(second, script[1], other), open_gate())

    asyncio.run(both())
    assert [tool.error_type for tool in one.told] == ["KeyError"]
    assert [tool.error_type for tool in other.told] == ["ValueError"]


def test_a_logger_that_hides_exceptions_does_not_hide_them_from_us():
    """Whatever filter was there first: ours looks before it."""

    class Hide(logging.Filter):
        def filter(self, record):
            record.exc_info = None
            return True

    hide = Hide()
    logging.getLogger(LOGGER).addFilter(hide)
    try:
        watch = play(Tools(1), [(ModelCall("fails", {"how": "key", "after_ms": 0}),), ANSWER])
    finally:
        logging.getLogger(LOGGER).removeFilter(hide)
    assert [tool.error_type for tool in watch.told] == ["KeyError"]


@pytest.mark.parametrize(
    ("what", "status", "handoff", "output"),
    [
        ("nothing", "ok", False, ""),
        ("agent", "ok", True, ""),
        ("agent and text", "ok", True, "You are put through."),
        ("list", "ok", False, "[1, 2]"),
        ("tuple", "ok", False, "[1, 'two']"),
        ("dict", "ok", False, "{'a': 1}"),
        ("two agents", "error", False, ""),
        ("object", "error", False, ""),
    ],
)
def test_a_result_is_what_the_model_was_given(what, status, handoff, output):
    """An agent is a hand-off and never content; what LiveKit refuses as a result is an error."""
    watch = play(Tools(), [(ModelCall("gives", {"what": what}),), ANSWER])
    (tool,) = watch.told
    assert (tool.status, tool.handoff, tool.output) == (status, handoff, output)


def test_the_one_that_hands_off_is_known_among_others():
    """Three at once: a result, nothing, and an agent with a text."""
    calls = tuple(ModelCall("gives", {"what": what}, 0) for what in ("dict", "nothing", "agent and text"))
    watch = play(Tools(), [calls, ANSWER])
    told = seen(watch)
    assert [told["gives", f'{{"what": "{what}"}}'].output for what in ("dict", "nothing", "agent and text")] == [
        "{'a': 1}",
        "",
        "You are put through.",
    ]
    assert told["gives", '{"what": "agent and text"}'].handoff
    assert sum(tool.handoff for tool in watch.told) == 1


@pytest.mark.parametrize(("fails", "status", "error", "output"), [(True, "error", "KeyError", ""), (False, "ok", "", "late")])
def test_a_tool_that_reports_first_is_told_at_its_end(fails, status, error, output):
    """Its batch comes before its end, and two of them at once are two."""
    calls = tuple(ModelCall("reports", {"fails": fails}, 0) for _ in range(2))
    watch = play(Tools(), [calls, ANSWER, ANSWER, ANSWER])
    assert [(tool.status, tool.error_type, tool.output) for tool in watch.told] == [(status, error, output)] * 2
    assert all(ns > 250_000_000 for ns in watch.took)


def test_a_tool_that_is_still_running_when_the_call_ends_is_cancelled():
    """Told once, by the session's end or by ours."""
    watch = play(Tools(), [(ModelCall("hangs", {}),), ANSWER], limit=1.5)
    assert [(tool.tool, tool.status, tool.error_type) for tool in watch.told] == [("hangs", "cancelled", "")]


def test_a_tool_the_caller_talks_over_is_told_once_with_what_it_gave():
    """Barge-in while a tool runs: LiveKit lets it end, and its failure keeps its class."""
    script = [
        (Say("One moment.", 3000, chunk_ms=1000, pace_s=0), ModelCall("fails", {"how": "key", "after_ms": 900}, 0)),
        ANSWER,
    ]
    watch = play(Tools(1), script, caller=(CallerTurn(300, cut_in_after_ms=200), CallerTurn(300)))
    assert [(tool.tool, tool.status, tool.error_type) for tool in watch.told] == [("fails", "error", "KeyError")]


def test_calls_that_never_start_are_told_by_their_batch():
    """One the model made up, and one with arguments that do not fit beside one that works."""
    calls = (ModelCall("no_such_tool", {"x": 1}), ModelCall("gives", {"wrong": 1}, 0), ModelCall("gives", {"what": "dict"}, 0))
    watch = play(Tools(), [calls, ANSWER])
    assert {(tool.tool, tool.status, tool.error_type, tool.output) for tool in watch.told} == {
        ("no_such_tool", "error", "ToolError", ""),
        ("gives", "error", "ToolError", ""),
        ("gives", "ok", "", "{'a': 1}"),
    }
    assert len(watch.told) == 3


# -- events made by hand -----------------------------------------------------------------------------------------------------------


def started(call_id="c", name="f", arguments="{}"):
    call = SimpleNamespace(call_id=call_id, name=name, arguments=arguments)
    return SimpleNamespace(update=SimpleNamespace(type="tool_call_started", function_call=call))


def ended(call_id="c", status="done", message=None):
    return SimpleNamespace(update=SimpleNamespace(type="tool_call_ended", call_id=call_id, status=status, message=message))


def batch(*calls, handoff=False):
    """A batch of ``(call id, output, is_error)``."""
    return SimpleNamespace(
        function_calls=[SimpleNamespace(call_id=call_id, name="f", arguments="{}") for call_id, _, _ in calls],
        function_call_outputs=[SimpleNamespace(call_id=call_id, output=output, is_error=wrong) for call_id, output, wrong in calls],
        has_agent_handoff=handoff,
    )


@pytest.fixture
def watch():
    made = Watch()
    yield made
    made.close()


@pytest.mark.parametrize("first", ["x", "["])
def test_a_huge_result_is_passed_on_uncopied_and_not_kept(watch, first):
    """Five million characters: the record is given LiveKit's own text, and after it nothing of ours holds it."""
    text = first + "x" * 5_000_000
    given = []
    tracker = ToolTracker(lambda: None, lambda _: None, lambda tool: given.append(tool.output is text))
    held = sys.getrefcount(text)
    tracker.see(started(), 1)
    tracker.see(ended(message=text), 2)
    tracker.see_batch(batch(("c", text, False)), 3)
    gc.collect()
    assert given == [True]
    assert sys.getrefcount(text) == held


def test_a_failed_tools_text_is_not_kept_while_its_batch_is_awaited(watch):
    """The text of what it raised is read by nobody."""
    text = "x" * 5_000_000
    watch.tracker.see(started(), 1)
    held = sys.getrefcount(text)
    watch.tracker.see(ended(status="error", message=text), 2)
    assert watch.told == []
    assert sys.getrefcount(text) == held
    watch.tracker.see_batch(batch(("c", "An internal error occurred", True)), 3)
    assert [(tool.status, tool.error_type, tool.end_ns) for tool in watch.told] == [("error", "UnknownError", 2)]


@pytest.mark.parametrize("at", ["(<clinic.Second object at 0x7f>, 'x')", "<Second object at 0x7f>", "x" * 70_000 + ", <S object at 0x7f>)"])
def test_an_objects_address_is_nobodys_result(watch, at):
    """Where no batch comes to say what the result was, a text with an object in it is not passed on."""
    watch.tracker.see(started(), 1)
    watch.tracker.see(ended(message=at), 2)
    watch.close()
    assert [(tool.status, tool.output) for tool in watch.told] == [("ok", "")]


def test_a_tool_is_told_once_however_often_its_events_come(watch):
    """Starts, ends and batches twice; and an end that nothing began."""
    events = [started(), started(), ended(message="[1]"), ended(message="[2]"), ended(status="error"), ended(call_id="other")]
    for now, event in enumerate(events, 1):
        watch.tracker.see(event, now)
    for _ in range(2):
        watch.tracker.see_batch(batch(("c", "[1]", False), ("made up", "", True)), 9)
    watch.tracker.see(ended(message="late"), 10)
    told = [(tool.call_id, tool.status, tool.output, tool.start_ns, tool.end_ns) for tool in watch.told]
    assert told == [("c", "ok", "[1]", 1, 3), ("made up", "error", "", 9, 9)]
    assert watch.took == [2]


@pytest.mark.parametrize(("status", "message"), [("done", None), ("done", "[1]"), ("error", "unlogged")])
def test_what_ends_after_its_batch_waits_for_nothing(watch, status, message):
    """There is no other batch to come."""
    watch.tracker.see(started(), 1)
    watch.tracker.see_batch(batch(("c", "It takes a while.", False)), 2)
    assert watch.told == []
    watch.tracker.see(ended(status=status, message=message), 3)
    assert [(tool.status, tool.end_ns) for tool in watch.told] == [("ok" if status == "done" else "error", 3)]


def test_another_sessions_failure_is_not_taken_for_a_made_up_call():
    """What a call that never started failed with is known by the tool's name alone; another's tool may be called the same."""
    mine, theirs = Watch(), Watch()

    async def fail():
        theirs.tracker.see(started(), 1)
        try:
            raise KeyError("Zqxjk")
        except KeyError:
            logging.getLogger(LOGGER).exception("exception occurred while executing tool", extra={"function": "f"})
        theirs.tracker.see(ended(status="error"), 2)

    for each in (mine, theirs):
        each.tracker.install()
    try:
        asyncio.run(fail())
        mine.tracker.see_batch(batch(("made up", "", True)), 3)
    finally:
        mine.close()
        theirs.close()
    assert [[tool.error_type for tool in each.told] for each in (mine, theirs)] == [["UnknownError"], ["KeyError"]]


def test_a_batch_without_any_start_tells_its_calls(watch):
    """A call LiveKit answered by itself, such as a repeated one, has the answer's own outcome."""
    watch.tracker.see_batch(batch(("a", "already running", False), ("b", "unknown function", True)), 7)
    assert [(tool.call_id, tool.status, tool.output, tool.start_ns, tool.end_ns) for tool in watch.told] == [
        ("a", "ok", "already running", 7, 7),
        ("b", "error", "", 7, 7),
    ]


def test_several_that_say_nothing_leave_open_who_handed_off(watch):
    """The events do not tell which of them gave the agent, so none is said to have."""
    for call_id in ("a", "b"):
        watch.tracker.see(started(call_id), 1)
        watch.tracker.see(ended(call_id), 2)
    watch.tracker.see_batch(batch(("a", "", False), ("b", "", False), handoff=True), 3)
    assert [(tool.status, tool.handoff) for tool in watch.told] == [("ok", False)] * 2


def test_only_so_many_calls_are_remembered(watch):
    """Neither starts nor made-up calls fill the agent's memory."""
    for at in range(STARTED_KEPT + 50):
        watch.tracker.see(started(str(at)), 1)
        watch.tracker.see(ended(str(at), message="x"), 2)
    watch.tracker.see_batch(batch(*[(f"b{at}", "", True) for at in range(STARTED_KEPT + 50)]), 3)
    assert len(watch.told) == 2 * (STARTED_KEPT + 50)
    assert len(watch.tracker._started) == STARTED_KEPT
    assert watch.tracker.finish() == []


ODD = [None, 5, [], {}, object(), "", b"x", float("nan"), ["c"], {"c": 1}]


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: type(odd).__name__)
def test_events_of_any_shape_are_passed_over(watch, odd):
    """Unhashable ids, missing parts, wrong types: nothing is raised, and a good call among them is told."""
    tracker = watch.tracker
    tracker.see(started(), 1)
    for event in (
        odd, SimpleNamespace(update=odd), started(odd), started("d", odd, odd), SimpleNamespace(update=SimpleNamespace(type=odd)),
        SimpleNamespace(update=SimpleNamespace(type="tool_call_started", function_call=odd)), ended(odd), ended("d", odd, odd),
    ):  # fmt: skip
        tracker.see(event, 2)
    for event in (
        odd, SimpleNamespace(function_calls=odd, function_call_outputs=odd), batch((odd, odd, odd)), batch(("e", odd, odd), handoff=odd),
        SimpleNamespace(function_calls=[odd], function_call_outputs=[odd], has_agent_handoff=True),
    ):  # fmt: skip
        tracker.see_batch(event, 3)
    tracker.see(ended(message="fine"), 4)
    assert [tool.output for tool in watch.told if tool.call_id == "c"] == ["fine"]
    assert all(isinstance(text, str) for tool in watch.told for text in (tool.call_id, tool.tool, tool.arguments, tool.output, tool.status))
    watch.close()
    assert {tool.status for tool in watch.told} <= {"ok", "error", "cancelled"}


def test_a_tool_that_never_ends_is_told_when_the_call_does(watch):
    """As cancelled, and once."""
    watch.tracker.see(started(), 1)
    watch.close()
    watch.close()
    assert [(tool.status, tool.output) for tool in watch.told] == [("cancelled", "")]


# -- as records ----------------------------------------------------------------------------------------------------------------------


class Kept:
    """A recorder that keeps what it is given."""

    def __init__(self):
        self.all = []

    def record(self, record):
        self.all.append(record)

    def open_call(self, call):
        pass

    close_call = open_call

    def tally(self):
        return Tally(len(self.all), len(self.all), 0, {})


class Large(Agent):
    """An agent whose tool gives a very long text."""

    def __init__(self):
        super().__init__(instructions="Help.")

    @function_tool
    @guarded_tool
    async def recite(self) -> str:
        """Recite."""
        return "x" * 5_000_000


def test_a_long_result_is_cut_in_the_record_and_the_cut_is_counted():
    """Through the tracer as an agent attaches it: one span, its first characters, and how many there were beyond."""
    kept, watch = Kept(), Watch()
    watch.attach = lambda session, ctx: tracing.attach(session, ctx, recorder=kept)
    asyncio.run(converse(Large(), [(ModelCall("recite", {}),), ANSWER], watch))
    (tool,) = [record for record in kept.all if isinstance(record, ToolCall)]
    assert (tool.tool, tool.status, len(tool.output), tool.output_cut) == ("recite", "ok", TOOL_TEXT_MAX, 5_000_000 - TOOL_TEXT_MAX)
