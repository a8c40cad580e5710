"""`guarded_tool` changes nothing of a tool and makes its span exact; a function outside LiveKit's tools has a span of its own."""

from __future__ import annotations

import ast
import asyncio
import functools
import gc
import inspect
import logging
import threading
import time
import weakref
from pathlib import Path
from types import SimpleNamespace

import pytest
from livekit.agents import Agent, RunContext, function_tool
from livekit.agents.llm import StopResponse, ToolError
from livekit.agents.llm.utils import build_legacy_openai_schema, build_strict_openai_schema

from tracing import guarded
from tracing.faults import LOGGER
from tracing.guarded import guarded_tool, offer_spans, take_note
from tracing.local.azure_realtime import AzureRealtime, CallScript
from tracing.local.azure_realtime import Call as ModelCall
from tracing.local.azure_realtime.script import Say
from tracing.local.clinic_agent import CallerTurn, run_call
from tracing.tools import ToolTracker

ANSWER = (Say("Done.", 100),)


class Own(BaseException):
    """Neither an Exception nor anything LiveKit knows."""


RAISED = {"key": KeyError, "tool": ToolError, "stop": StopResponse, "own": Own}


async def book(patient_name: str, ctx: RunContext, seats: int = 2, note: str | None = None) -> dict[str, int]:
    """Book seats.

    Args:
        patient_name: who comes
        ctx: LiveKit's own
        seats: how many
        note: anything else
    """
    return {"seats": seats, "len": len(patient_name) + len(note or ""), "ctx": ctx is not None}


class Second(Agent):
    def __init__(self):
        super().__init__(instructions="Go on.")


class Guarded(Agent):
    """An agent with wrapped tools."""

    def __init__(self):
        super().__init__(instructions="Help.")

    @function_tool
    @guarded_tool
    async def fails(self, how: str) -> str:
        """Fail.

        Args:
            how: with what
        """
        await asyncio.sleep(0.05)
        raise RAISED[how](*(() if how == "stop" else ("Zqxjk",)))

    @function_tool
    @guarded_tool
    async def gives(self, ctx: RunContext, what: str):
        """Give something.

        Args:
            ctx: LiveKit's own
            what: which thing
        """
        await helper()
        return {"nothing": None, "agent": Second(), "text": "a text"}[what]

    @function_tool(name="renamed")
    @guarded_tool(name="renamed")
    async def another(self) -> str:
        """Fail under another name."""
        raise Own

    @function_tool(name="renamed_quietly")
    @guarded_tool
    async def third(self) -> str:
        """Be called something else than the wrapper knows."""
        return "fine"


@guarded_tool
async def helper() -> None:
    """Help a tool."""


class Watch:
    def __init__(self):
        self.told, self.took = [], []
        self.tracker = ToolTracker(lambda: (1, "turn"), self.took.append, self.told.append)

    def attach(self, session, ctx):
        self.tracker.install()
        session.on("tool_execution_updated", lambda event: self.tracker.see(event, time.monotonic_ns()))
        session.on("function_tools_executed", lambda event: self.tracker.see_batch(event, time.monotonic_ns()))

    def close(self):
        for tool in self.tracker.finish():
            self.tracker.tell(tool)
        self.tracker.remove()


def play(*calls):
    watch = Watch()

    async def main():
        azure = AzureRealtime([CallScript(turns=(calls, ANSWER))])
        url = await azure.start()
        try:
            await run_call(Guarded(), url, [CallerTurn(300)], attach=watch.attach)
        finally:
            await azure.stop()
            watch.close()

    asyncio.run(main())
    return watch


@pytest.fixture
def watch():
    made = Watch()
    made.tracker.install()
    yield made
    made.close()


@pytest.fixture
def quiet():
    """LiveKit's log is off: what a tool raised is logged nowhere."""
    logger = logging.getLogger(LOGGER)
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    yield
    logger.setLevel(level)


# -- nothing of the tool changes ------------------------------------------------------------------------------------------------------


def test_the_schema_the_model_is_given_stays():
    """Names, hints, defaults and descriptions, in both of LiveKit's forms, with and without the wrapper."""
    bare, wrapped = function_tool(book), function_tool(guarded_tool(book))
    assert build_legacy_openai_schema(wrapped) == build_legacy_openai_schema(bare)
    assert build_strict_openai_schema(wrapped) == build_strict_openai_schema(bare)
    assert "patient_name" in build_legacy_openai_schema(bare)["function"]["parameters"]["properties"]


def test_the_schema_of_methods_and_raw_tools_stays():
    """A method's self and a RunContext are not parameters; a raw tool's schema is its own."""

    async def raw(raw_arguments: dict[str, object]) -> str:
        return str(raw_arguments)

    schema = {"name": "raw", "description": "Raw.", "parameters": {"type": "object", "properties": {}}}
    assert function_tool(guarded_tool(raw), raw_schema=schema).info == function_tool(raw, raw_schema=schema).info
    tools = {tool.info.name: build_legacy_openai_schema(tool)["function"]["parameters"]["properties"] for tool in Guarded().tools}
    assert {name: sorted(properties) for name, properties in tools.items()} == {
        "fails": ["how"],
        "gives": ["what"],
        "renamed": [],
        "renamed_quietly": [],
    }


@pytest.mark.parametrize("kind", [KeyError, TypeError, StopResponse, asyncio.CancelledError, KeyboardInterrupt, GeneratorExit, Own])
@pytest.mark.parametrize("spans", [True, False])
def test_what_is_raised_passes_as_it_is(kind, spans):
    """The very same exception, out of a coroutine and out of a plain function, with a call attached or none."""
    raised = kind()

    @guarded_tool
    def plain():
        raise raised

    @guarded_tool
    async def slow():
        raise raised

    def run():
        made = Watch()
        if spans:
            made.tracker.install()
        try:
            for act in (plain, lambda: slow().send(None)):
                with pytest.raises(kind) as caught:
                    act()
                assert caught.value is raised
        finally:
            made.close()
        return [tool.error_type for tool in made.told if tool.status == "error"]

    told = run()
    assert told == ([kind.__name__] * 2 if spans and kind is not asyncio.CancelledError else [])


def test_what_is_returned_passes_as_it_is():
    """The very same object."""
    thing = object()

    @guarded_tool
    def plain(*args, **kwargs):
        return args, kwargs, thing

    @guarded_tool
    async def slow(given, /, *, key):
        return given if key else None

    assert plain(1, self=2, function=3, name=4) == ((1,), {"self": 2, "function": 3, "name": 4}, thing)
    assert asyncio.run(slow(thing, key=True)) is thing
    assert inspect.iscoroutinefunction(slow)
    assert not inspect.iscoroutinefunction(plain)
    assert (slow.__name__, slow.__doc__, slow.__wrapped__.__name__) == ("slow", None, "slow")


def _stream():
    yield 1


async def _flow():
    yield 1


@pytest.mark.parametrize("thing", [5, None, "x", print, _stream, _flow, functools.partial(print), function_tool(book), Second])
def test_what_is_no_plain_function_is_given_back(thing):
    """Above LiveKit's decorator, for one: its tool is not wrapped, which LiveKit warns of."""
    assert guarded_tool(name="x")(thing) is thing
    assert thing is None or guarded_tool(thing) is thing


def test_a_tracer_that_fails_costs_the_function_nothing():
    """Whatever making a span raises."""

    class Broken:
        def begin_own(self, name):
            raise TypeError("zqxjk")

        end_own = begin_own

    class Late(Broken):
        def begin_own(self, name):
            return object()

    for spans in (Broken(), Late()):
        offer_spans(spans)
        assert guarded_tool(lambda: 5)() == 5
    guarded._spans.set(None)


# -- a tool's span is exact -----------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize(
    ("how", "status", "error"),
    [("key", "error", "KeyError"), ("tool", "error", "ToolError"), ("own", "error", "Own"), ("stop", "ok", "")],
)
def test_the_class_is_known_without_any_log(how, status, error):
    """Even of what LiveKit swallows; one span for the call, as long as the function itself ran."""
    watch = play(ModelCall("fails", {"how": how}))
    (tool,) = watch.told
    assert (tool.tool, tool.status, tool.error_type, tool.output) == ("fails", status, error, "")
    assert tool.end_ns - tool.start_ns >= 50_000_000
    assert watch.took == [tool.end_ns - tool.start_ns]
    assert not guarded._notes


def test_without_the_log_an_unwrapped_tool_has_no_class(quiet, monkeypatch):
    """So it is the wrapper that tells it above."""
    monkeypatch.setattr(guarded, "_MARK", "nothing")
    watch = play(ModelCall("fails", {"how": "key"}))
    assert [(tool.status, tool.error_type) for tool in watch.told] == [("error", "UnknownError")]


def test_who_hands_off_is_known_among_those_that_say_nothing():
    """The events alone leave it open; and the helper that a tool awaits has no span of its own."""
    calls = [ModelCall("gives", {"what": what}, 0) for what in ("nothing", "agent", "text")]
    watch = play(*calls)
    assert {(tool.arguments.split('"')[3], tool.handoff, tool.output) for tool in watch.told} == {
        ("nothing", False, ""),
        ("agent", True, ""),
        ("text", False, "a text"),
    }
    assert len(watch.told) == 3


def test_a_tool_under_another_name_has_one_span():
    """Exact where the wrapper is told the name, by the events alone where it is not."""
    watch = play(ModelCall("renamed", {}, 0), ModelCall("renamed_quietly", {}, 0))
    assert {(tool.tool, tool.status, tool.error_type, tool.output) for tool in watch.told} == {
        ("renamed", "error", "Own", ""),
        ("renamed_quietly", "ok", "", "fine"),
    }
    assert len(watch.told) == 2


def test_where_livekits_mark_is_missing_a_tool_still_has_one_span(monkeypatch):
    """The mark is the library's own and may go: a RunContext still tells the call, and without one the events do."""
    monkeypatch.setattr(guarded, "_MARK", "nothing")
    calls = [ModelCall("gives", {"what": what}, 0) for what in ("nothing", "agent")]
    watch = play(*calls, ModelCall("fails", {"how": "key"}, 0))
    assert sorted((tool.tool, tool.status, tool.error_type, tool.handoff) for tool in watch.told if tool.tool != "helper") == [
        ("fails", "error", "KeyError", False),
        ("gives", "ok", "", False),
        ("gives", "ok", "", True),
    ]


def test_the_span_is_as_long_as_the_function_ran(watch):
    """Not from LiveKit's dispatch to the event of its end."""
    call = SimpleNamespace(call_id="c", name="f", arguments="{}")
    before = time.monotonic_ns()
    watch.tracker.see(SimpleNamespace(update=SimpleNamespace(type="tool_call_started", function_call=call)), 1)
    guarded._note("c")(None, None)
    watch.tracker.see(SimpleNamespace(update=SimpleNamespace(type="tool_call_ended", call_id="c", status="done", message="x")), 2)
    (tool,) = watch.told
    assert before <= tool.start_ns <= tool.end_ns <= time.monotonic_ns()
    assert watch.took == [tool.end_ns - tool.start_ns]


def test_notes_nobody_takes_are_bounded(monkeypatch):
    """A session without a tracer leaves some behind; only so many are kept."""
    monkeypatch.setattr(guarded, "_NOTES_MAX", 10)
    ends = [guarded._note(str(at)) for at in range(50)]
    for end in ends:
        end(None, [1])
    assert len(guarded._notes) == 10
    assert take_note("0") is None
    assert take_note("49").end_ns
    assert take_note("49") is None
    guarded._notes.clear()


# -- outside LiveKit's tools -----------------------------------------------------------------------------------------------------------


def test_a_function_outside_a_tool_has_a_span_without_content(watch):
    """Times and the class; never an argument, a result or a text. It stands under the call, and is no tool time of a turn."""

    @guarded_tool
    async def look_up(patient: str) -> str:
        await asyncio.sleep(0.02)
        if patient:
            raise LookupError("Zqxjk")
        return "Zqxjk"

    async def main():
        await look_up("")
        with pytest.raises(LookupError):
            await look_up("Zqxjk")

    asyncio.run(main())
    assert [(tool.tool, tool.status, tool.error_type, tool.turn) for tool in watch.told] == [
        ("look_up", "ok", "", None),
        ("look_up", "error", "LookupError", None),
    ]
    assert watch.took == []
    assert all(tool.end_ns - tool.start_ns >= 20_000_000 for tool in watch.told)
    assert "Zqxjk" not in repr(watch.told)


def test_a_function_is_told_once_whatever_becomes_of_the_call(watch):
    """Cut off, ended after the call, or run when the call is over; two at once are two."""
    release = asyncio.Event()

    @guarded_tool
    async def slow():
        await release.wait()

    async def main():
        cut, late = asyncio.create_task(slow()), asyncio.create_task(slow())
        await asyncio.sleep(0)
        cut.cancel()
        await asyncio.wait([cut])
        watch.close()
        release.set()
        await late
        await slow()

    asyncio.run(main())
    assert [(tool.tool, tool.status) for tool in watch.told] == [("slow", "cancelled")] * 2
    assert watch.tracker.finish() == []


def test_another_threads_function_has_no_span(watch):
    """The call's records are counted on the call's own thread."""
    ran = []

    @guarded_tool
    def work():
        ran.append(threading.get_ident())

    async def main():
        await asyncio.to_thread(work)

    asyncio.run(main())
    assert ran
    assert ran[0] != threading.get_ident()
    watch.close()
    assert watch.told == []


def test_no_call_is_kept_alive_by_the_context():
    """A call that nobody else holds is gone."""
    made = Watch()
    made.tracker.install()
    gone = weakref.ref(made.tracker)
    made.close()
    del made
    gc.collect()
    assert gone() is None
    assert guarded_tool(lambda: 5)() == 5


def test_the_module_imports_no_livekit():
    """It works on a machine that has none, and adds nothing to the import of the tracer."""
    tree = ast.parse(Path(guarded.__file__).read_text("utf-8"))
    names = [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    assert not [name for name in names if name.startswith("livekit")]
