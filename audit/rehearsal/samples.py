"""Records and texts of the size a call makes them, for measurements. Synthetic people only."""

from __future__ import annotations

import time
from typing import Final

from tracing.identity import new_id
from tracing.record import AgentTurn, AnyRecord, CallOpened, Consent, ToolCall
from tracing.recorder import Recorder

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


def record(i: int) -> AnyRecord:
    """A turn and a tool call by turns."""
    return tool_call() if i % 2 else agent_turn()


def free_text(i: int) -> ToolCall:
    """A tool call with talk in it, no two alike, which every detector has to read."""
    talk = _TALK.format(name=f"{_NAMES[i % len(_NAMES)]} {i}")
    return tool_call(f'{{"patient_name": "{_NAMES[i % len(_NAMES)]}", "reason_for_visit": "{talk}", "notes": "{talk}"}}', "{}")
