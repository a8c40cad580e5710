"""A call with the tracer is the call without it, for its listeners, its tools and its model; and ten calls at once keep apart."""

from __future__ import annotations

import asyncio
import logging
import warnings
from collections import defaultdict
from types import SimpleNamespace

import tracing
from tracing.faults import LOGGER
from tracing.hearing import Hearing
from tracing.local.azure_realtime import AzureRealtime, CallScript
from tracing.local.azure_realtime import Call as ModelCall
from tracing.local.azure_realtime.script import Fail, Say, Usage
from tracing.local.clinic_agent import CallerTurn, ScriptedClinicAgent, ScriptedTool, run_call
from tracing.record import AgentTurn, CallEnded, ToolCall, UserTurn
from tracing.recorder import Tally
from tracing.tools import ToolTracker
from tracing.trace import Trace


class Records:
    """A recorder that keeps what it is given."""

    def __init__(self):
        self.all, self.open = [], set()

    def record(self, record):
        self.all.append(record)

    def open_call(self, call):
        self.open.add(call)

    def close_call(self, call):
        self.open.discard(call)

    def tally(self):
        return Tally(len(self.all), len(self.all), 0, {})

    def of(self, kind):
        return [record for record in self.all if isinstance(record, kind)]


def said(name, event):
    """What one of the session's events says, without ids and times."""
    if name.endswith("state_changed"):
        return (event.old_state, event.new_state)
    if name == "conversation_item_added":
        item = event.item
        return (item.type, getattr(item, "role", ""), getattr(item, "text_content", ""), getattr(item, "interrupted", None))
    if name == "function_tools_executed":
        outputs = [(out.name, out.output, out.is_error) for out in event.function_call_outputs]
        return ([(call.name, call.arguments) for call in event.function_calls], outputs, event.has_tool_reply)
    if name == "tool_execution_updated":
        return (event.update.type, getattr(event.update, "status", ""), getattr(event.update, "message", ""))
    if name == "error":
        return (type(event.error.error).__name__, event.error.recoverable)
    return getattr(event.reason, "value", event.reason) if name == "close" else event.source


NAMES = (
    "user_state_changed", "agent_state_changed", "conversation_item_added", "tool_execution_updated", "function_tools_executed",
    "speech_created", "error", "close",
)  # fmt: skip


def listen(session, told, last=None):
    """Note what the session tells its own listeners; `last` is called by the very last of its events."""
    for name in NAMES:
        session.on(name, lambda event, name=name: told[name].append(said(name, event)))


def played(attach):
    """Play one call and give what its own listeners heard, its history, and what is left of it in the process."""
    told, kept = defaultdict(list), SimpleNamespace()

    async def main():
        script = CallScript(
            turns=(
                (Say("Hello.", 100),),
                (ModelCall("book", {"patient_name": "Zqxjk"}), ModelCall("cancel", {"id": "1"})),
                (Say("Booked.", 200),),
                (Say("A long answer.", 4000, pace_s=0),),
                (Fail(),),
                (Say("Goodbye.", 100),),
            )
        )
        azure = AzureRealtime([script])
        url = await azure.start()
        agent = ScriptedClinicAgent(
            [ScriptedTool("book", result={"id": "C-1"}, takes_ms=30), ScriptedTool("cancel", raises="LookupError: Zqxjk", takes_ms=90)],
            greets=True,
        )

        def on(session, ctx):
            kept.model, kept.session = session.llm, session
            kept.before = {name: len(session._events.get(name, ())) for name in NAMES}
            listen(session, told)
            attach(session)
            listen(session, kept.after)

        kept.after = defaultdict(list)
        filters = list(logging.getLogger(LOGGER).filters)
        caller = [CallerTurn(300), CallerTurn(300, cut_in_after_ms=300), CallerTurn(300), CallerTurn(300)]
        try:
            outcome = await run_call(agent, url, caller, attach=on)
        finally:
            await azure.stop()
        kept.filters = logging.getLogger(LOGGER).filters == filters
        kept.wire = [kind for line in azure.connections for kind in line.received if kind != "input_audio_buffer.append"]
        kept.history = [
            (item.type, getattr(item, "role", ""), getattr(item, "text_content", ""), getattr(item, "output", ""))
            for item in kept.session.history.items
        ]
        loop = asyncio.get_running_loop()
        kept.timers = [str(timer) for timer in loop._scheduled if not timer.cancelled() and "tracing." in str(timer._callback)]
        kept.tasks = [task.get_name() for task in asyncio.all_tasks() if "phi_guard" in task.get_name()]
        return outcome

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        outcome = asyncio.run(main())
    return outcome, dict(told), kept


def broken(*args, **kwargs):
    raise TypeError("zqxjk")


ENTRIES = [
    *((Hearing, name) for name in ("meet", "user_became", "agent_became", "handed_off", "said", "played", "no_reply", "turn", "finish")),
    *((Hearing, name) for name in ("_on_server", "_on_client", "will_say")),
    *((ToolTracker, name) for name in ("see", "see_batch", "finish")),
    *((Trace, name) for name in ("started", "heard", "answered", "tool", "close")),
]


def test_a_call_with_the_tracer_is_the_call_without_it(monkeypatch):
    """Events, their order, the tools' results, the history and the wire are the same; so they are with a tracer that fails everywhere."""
    records, calls = Records(), []
    bare_outcome, bare, bare_kept = played(lambda session: None)
    outcome, told, kept = played(lambda session: calls.append(tracing.attach(session, recorder=records)))
    for of, name in ENTRIES:
        monkeypatch.setattr(of, name, broken)
    broken_outcome, broken_told, broken_kept = played(lambda session: calls.append(tracing.attach(session, recorder=Records())))
    assert (bare_outcome.unanswered, bare_outcome.turns) == (0, 4)
    assert bare["error"] == [("APIError", True)]
    assert calls[0].faults == 0
    assert calls[1].faults > 20
    for this, heard, mine in ((outcome, told, kept), (broken_outcome, broken_told, broken_kept)):
        assert (this.unanswered, this.turns, this.exceptions) == (bare_outcome.unanswered, bare_outcome.turns, bare_outcome.exceptions)
        assert heard == bare
        assert dict(mine.after) == heard  # those who listen after the tracer hear the same as those before
        assert mine.history == bare_kept.history
        assert mine.wire == bare_kept.wire
        assert (mine.filters, mine.timers, mine.tasks) == (True, [], [])
        assert vars(mine.model).keys() == vars(bare_kept.model).keys()
        # 2: the two that the test set; whatever LiveKit had before and has now is its own
        assert {name: len(mine.session._events.get(name, ())) - count for name, count in mine.before.items()} == dict.fromkeys(NAMES, 2)
    assert len(records.of(ToolCall)) == 2
    assert records.of(CallEnded)[0].interruptions == 1


def test_ten_calls_at_once_each_have_their_own_trace():
    """Each its own turns, tools and interruptions, whatever the others do in the same loop."""
    n = 10

    async def one(number, url, records):
        calls = number % 3
        agent = ScriptedClinicAgent([ScriptedTool("book", result={"id": f"C-{number}"}, takes_ms=20)])
        cut = number % 2 == 1
        turns = [CallerTurn(300) for _ in range(calls)] + [CallerTurn(300, cut_in_after_ms=200)] * cut + [CallerTurn(300)]
        kept = []
        outcome = await run_call(
            agent, url, turns, api_key=f"k{number}", attach=lambda session, ctx: kept.append(tracing.attach(session, recorder=records)),
            turn_limit_s=40,
        )  # fmt: skip
        return outcome, kept[0]

    async def main():
        scripts = []
        for number in range(n):
            tools = [((ModelCall("book", {"number": number}),), (Say("Booked.", 100),)) for _ in range(number % 3)]
            long = [((Say("Long.", 5000, pace_s=0),),)] * (number % 2)
            turns = [turn for pair in (*tools, *long) for turn in pair]
            scripts.append(CallScript(turns=(*turns, (Say("Bye.", 100),)), usage=(Usage(output_audio=number + 1),) * 9, key=f"k{number}"))
        azure = AzureRealtime(scripts)
        url = await azure.start()
        records = [Records() for _ in range(n)]
        try:
            return records, await asyncio.gather(*(one(number, url, records[number]) for number in range(n)))
        finally:
            await azure.stop()

    everyone, outcomes = asyncio.run(main())
    for number, (records, (outcome, call)) in enumerate(zip(everyone, outcomes, strict=True)):
        tools, cut = number % 3, number % 2
        assert (outcome.unanswered, call.faults) == (0, 0)
        assert {record.call for record in records.all} == {call.id}
        assert [tool.arguments for tool in records.of(ToolCall)] == [f'{{"number": {number}}}'] * tools
        assert len(records.of(UserTurn)) == tools + cut + 1
        answers = records.of(AgentTurn)
        assert len(answers) == tools + cut + 1
        assert {tool.at[-2][1] for tool in records.of(ToolCall)} <= {answer.id for answer in answers}
        responses = 2 * tools + cut + 1
        assert sum(answer.responses for answer in answers) == responses
        assert sum(answer.output_audio for answer in answers) == responses * (number + 1)
        assert records.of(CallEnded)[0].interruptions == cut
