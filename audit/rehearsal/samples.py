"""Records and texts of the size a call makes them, for measurements. Synthetic people only."""

from __future__ import annotations

import time
from typing import Final

from tracing.identity import new_id
from tracing.record import AgentTurn, CallOpened, Consent, ToolCall
from tracing.recorder import Recorder
from tracing.tools import ToolRun
from tracing.trace import Trace
from tracing.turn import AnswerTurn

CALL: Final = new_id()
"""The call to which the samples of this process belong."""
ARGUMENTS: Final = "x" * 500
OUTPUT: Final = "y" * 200
TOOL: Final = "book_appointment"
TURN_FACTS: Final[dict[str, str | int | float]] = {
    "outcome": "answered", "ttft_ms": 512.3, "ttft_source": "azure_events", "responses": 1, "deployment": "gpt-realtime",
    "input_text": 80, "input_audio": 40, "output_audio": 60,
}  # fmt: skip
"""What a turn's span says, for the rivals to say the same."""
_TALK: Final = (
    "The caller says her mother {name} has had a sore knee since Tuesday and was told by Doctor Reed to come again; she lives near the old"
    " mill, can be reached in the evening, and would rather see the doctor she knows than wait for the next free one at the other clinic."
)
_NAMES: Final = ("Ada Byron", "Zoe Abdul", "Ines Okafor", "Tomas Lindqvist", "Mei Castellanos", "Paul Wren")


def open_call(recorder: Recorder) -> None:
    """Begin the call to which all samples belong, with consent: a relay takes no content of a call that it does not know."""
    now, guard = time.time_ns(), new_id()
    recorder.open_call(CALL)
    recorder.record(CallOpened(call=CALL, id=CALL, at=((now, CALL),)))
    recorder.record(Consent(call=CALL, id=guard, at=((now, CALL), (now, guard)), consent="granted"))


def agent_turn() -> AgentTurn:
    """A finished turn, as the tracer would build it."""
    now = time.time_ns()
    key = new_id()
    return AgentTurn(
        call=CALL, id=key, at=((now, CALL), (now, key)), end_ns=now, outcome="answered", ttft_ms=512.3, ttft_source="azure_events",
        responses=1, deployment="gpt-realtime", input_text=80, input_audio=40, output_audio=60,
    )  # fmt: skip


def tool_call(arguments: str = ARGUMENTS, output: str = OUTPUT) -> ToolCall:
    """A finished tool call, as the tracer would build it."""
    now = time.time_ns()
    key = new_id()
    return ToolCall(
        call=CALL, id=key, at=((now, CALL), (now, CALL), (now, key)), end_ns=now, tool=TOOL, status="ok", arguments=arguments,
        output=output,
    )  # fmt: skip


class Calling:
    """A call of its own, for measurements: what an agent's handlers tell `tracing.trace.Trace` of its turns and tools.

    Args:
        recorder: where its records go; the call begins there at once, with consent.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._trace = Trace(recorder, agent_version="", room_sid="", probe=None)
        recorder.open_call(self._trace.id)
        self._trace.open("granted", "")
        self._turns: list[AnswerTurn] = []
        self._tools: list[ToolRun] = []

    def prepare(self, n: int) -> None:
        """Have the next n turns and tools happen: in a call their facts come together over the seconds before their end."""
        self._turns = [_answer_turn() for _ in range(n)]
        self._tools = [_tool_run() for _ in range(n)]

    def tell(self, i: int) -> None:
        """What the tracer does at the end of a turn, or of a tool, by turns: one of those that were prepared.

        Raises:
            IndexError: none was.
        """
        if i % 2:
            self._trace.tool(self._tools.pop(), content=True)
        else:
            self._trace.answered(self._turns.pop())


def _answer_turn() -> AnswerTurn:
    now = time.monotonic_ns()
    return AnswerTurn(
        new_id(), now, "vad", deployment="gpt-realtime", end_ns=now, outcome="answered", responses=1, ttft_ns=512_300_000,
        tokens={"input_text": 80, "input_audio": 40, "output_audio": 60},
    )  # fmt: skip


def _tool_run() -> ToolRun:
    now, key = time.monotonic_ns(), new_id()
    arguments, output = ARGUMENTS[1:] + "x", OUTPUT[1:] + "y"  # texts of its own, elsewhere in memory, as each tool has
    return ToolRun(key, key, TOOL, arguments, now, (now, key), end_ns=now, status="ok", output=output)


def free_text(i: int) -> ToolCall:
    """A tool call with talk in it, no two alike, which every detector has to read."""
    talk = _TALK.format(name=f"{_NAMES[i % len(_NAMES)]} {i}")
    return tool_call(f'{{"patient_name": "{_NAMES[i % len(_NAMES)]}", "reason_for_visit": "{talk}", "notes": "{talk}"}}', "{}")
