"""A clinic's voice agent: a real livekit-agents Agent with the six tools, over the booking system that stands in for the clinic's.

Real here: livekit-agents itself (Agent, AgentSession, function tools) and its OpenAI Realtime client. Stand-ins: the model
(`azure_realtime`), the caller (`telephone`), the clinic's books (`booking`). The tools know nothing of tracing, as yours need not.
"""

from __future__ import annotations

import asyncio
import builtins
import contextlib
from collections import defaultdict, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from livekit.agents import Agent, RunContext, function_tool
from livekit.agents.llm import FunctionTool, RawFunctionTool, ToolError
from livekit.agents.llm.utils import prepare_function_arguments

from tracing.local.booking import BookingRefused, BookingSystem
from tracing.local.phone_call import CallerTurn, CallOutcome, job_context, run_call

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from tracing.local.booking import Appointment

__all__ = [
    "CallOutcome",
    "CallerTurn",
    "ClinicAgent",
    "ScriptedClinicAgent",
    "ScriptedTool",
    "job_context",
    "run_call",
    "scripted_error",
]

INSTRUCTIONS: Final = (
    "You are the receptionist of a clinic. Book, move and cancel appointments, and give opening hours and house guidance."
    " Ask for what a tool needs. Never give a diagnosis; in an emergency, tell the caller to ring the emergency number."
)
GREETING: Final = "Greet the caller, name the clinic, and ask how you can help."


class ClinicAgent(Agent):
    """The receptionist. It greets on entering a call, so a script's first turn is the greeting.

    Args:
        booking: the clinic's book; a new one in memory if not given.
    """

    def __init__(self, booking: BookingSystem | None = None) -> None:
        super().__init__(instructions=INSTRUCTIONS)
        self.booking = booking or BookingSystem()

    async def on_enter(self) -> None:
        self.session.generate_reply(instructions=GREETING)

    @function_tool
    async def check_availability(self, doctor_name: str, appointment_datetime: str) -> dict[str, Any]:
        """Check whether one slot is free.

        Args:
            doctor_name: the doctor, such as Dr. Lee
            appointment_datetime: ISO 8601, such as 2026-03-02T10:30
        """
        with _told_to_the_model():
            free = self.booking.is_free(doctor_name, appointment_datetime)
            others = [] if free else list(self.booking.free_slots(doctor_name, appointment_datetime))
        return {"doctor_name": doctor_name, "appointment_datetime": appointment_datetime, "available": free, "alternatives": others}

    @function_tool
    async def book_appointment(
        self,
        patient_name: str,
        doctor_name: str,
        appointment_datetime: str,
        phone: str | None = None,
        email: str | None = None,
        dob: str | None = None,
        mrn: str | None = None,
        address: str | None = None,
        clinic_location: str | None = None,
        reason_for_visit: str | None = None,
        notes: str | None = None,
    ) -> dict[str, Any]:
        """Create a new appointment.

        Args:
            patient_name: full name of the patient
            doctor_name: the doctor, such as Dr. Lee
            appointment_datetime: ISO 8601, such as 2026-03-02T10:30
            phone: where to call back
            email: where to write
            dob: date of birth
            mrn: medical record number
            address: postal address
            clinic_location: the clinic, such as Riverside
            reason_for_visit: in the caller's words
            notes: anything else the clinic should know
        """
        details = {"phone": phone, "email": email, "dob": dob, "mrn": mrn, "address": address}
        details |= {"reason_for_visit": reason_for_visit, "notes": notes}
        with _told_to_the_model():
            return _answer(
                self.booking.book(doctor_name, appointment_datetime, patient_name, clinic_location=clinic_location, details=details)
            )

    @function_tool
    async def cancel_appointment(self, confirmation_id: str, patient_name: str | None = None, reason: str | None = None) -> dict[str, Any]:  # noqa: ARG002 - the clinic wants it asked, its book has no place for it
        """Cancel an appointment.

        Args:
            confirmation_id: such as CONF-1234
            patient_name: full name of the patient
            reason: why, in the caller's words
        """
        with _told_to_the_model():
            return _answer(self.booking.cancel(confirmation_id, patient_name)) | {"cancelled": True}

    @function_tool
    async def reschedule_appointment(
        self, confirmation_id: str, appointment_datetime: str, patient_name: str | None = None
    ) -> dict[str, Any]:
        """Move an appointment to another time.

        Args:
            confirmation_id: such as CONF-1234
            appointment_datetime: the new time, ISO 8601, such as 2026-03-02T10:30
            patient_name: full name of the patient
        """
        with _told_to_the_model():
            return _answer(self.booking.reschedule(confirmation_id, appointment_datetime, patient_name))

    @function_tool
    async def get_opening_hours(self, doctor_name: str | None = None, clinic_location: str | None = None) -> dict[str, Any]:
        """Opening hours of a clinic, or of the clinic where a doctor works.

        Args:
            doctor_name: the doctor, such as Dr. Lee
            clinic_location: the clinic, such as Riverside
        """
        with _told_to_the_model():
            return dict(self.booking.opening_hours(doctor_name=doctor_name, clinic_location=clinic_location))

    @function_tool
    async def get_medical_guidelines(self, symptoms: str) -> dict[str, Any]:
        """House guidance for symptoms. It is general and never a diagnosis.

        Args:
            symptoms: in the caller's words
        """
        urgency, guidance = self.booking.guideline(symptoms)
        return {"urgency": urgency, "guidance": guidance}


@dataclass(frozen=True, slots=True)
class ScriptedTool:
    """What one call of a tool does in a played conversation.

    Args:
        name: the tool's name; it need not be one of the six.
        result: what it returns, as JSON knows it. None: see `ScriptedClinicAgent`.
        raises: what it raises instead, such as ``LookupError: no such slot``.
        takes_ms: how long it takes first.
        hands_over_to: the agent that it gives the call to instead, who then greets the caller.
    """

    name: str
    result: object = None
    raises: str | None = None
    takes_ms: int = 0
    hands_over_to: str = ""


class ScriptedClinicAgent(Agent):
    """An agent whose tools do what a script says, whatever their arguments are called.

    Every tool name of the script becomes a tool that accepts any arguments. Calls of one name take that name's entries in order;
    the last entry serves any further call. An entry with neither result nor error goes to the clinic's real tool of that name, and
    is answered with an empty object if there is none. An agent that the call is handed to goes on in the same script, with the same
    tools and what was said so far.

    Args:
        script: the calls of tools, in order.
        booking: the clinic's book for the real tools; a new one in memory if not given.
        greets: whether the agent speaks first.
        name: the agent's id in the session's events.
        after: the agent that hands over to this one, whose script goes on; `script` is then left out.
    """

    def __init__(
        self,
        script: Iterable[ScriptedTool] = (),
        *,
        booking: BookingSystem | None = None,
        greets: bool = False,
        name: str = "front_desk",
        after: ScriptedClinicAgent | None = None,
    ) -> None:
        self._greets = greets
        self._clinic: Mapping[str, FunctionTool[..., Any]]
        self._queues: defaultdict[str, deque[ScriptedTool]]
        if after is not None:
            self._clinic, self._queues = after._clinic, after._queues
        else:
            self._clinic = {tool.info.name: tool for tool in ClinicAgent(booking).tools if isinstance(tool, FunctionTool)}
            self._queues = defaultdict(deque)
            for entry in script:
                self._queues[entry.name].append(entry)
        said = after.chat_ctx if after is not None else None
        super().__init__(instructions=INSTRUCTIONS, id=name, tools=[self._tool(tool) for tool in self._queues], chat_ctx=said)

    async def on_enter(self) -> None:
        if self._greets:
            self.session.generate_reply(instructions=GREETING)

    def _tool(self, name: str) -> RawFunctionTool[..., Any]:
        async def play(raw_arguments: dict[str, object], ctx: RunContext[Any]) -> object:
            queue = self._queues[name]
            return await self._play(queue.popleft() if len(queue) > 1 else queue[0], raw_arguments, ctx)

        # A raw tool's hints are read at run time, where these names are not in sight as text.
        play.__annotations__ = {"raw_arguments": dict[str, object], "ctx": RunContext, "return": object}
        schema = {"type": "object", "properties": {}, "additionalProperties": True}
        return function_tool(play, raw_schema={"name": name, "description": f"The clinic's {name}.", "parameters": schema})

    async def _play(self, entry: ScriptedTool, arguments: Mapping[str, object], ctx: RunContext[Any]) -> object:
        await asyncio.sleep(entry.takes_ms / 1000)
        if entry.raises is not None:
            raise scripted_error(entry.raises)
        if entry.hands_over_to:
            return ScriptedClinicAgent(name=entry.hands_over_to, greets=True, after=self)
        if entry.result is not None:
            return entry.result
        real = self._clinic.get(entry.name)
        if real is None:
            return {}
        positional, named = prepare_function_arguments(fnc=real, json_arguments=dict(arguments), call_ctx=ctx)
        return await real(*positional, **named)


def scripted_error(text: str) -> Exception:
    """The exception that ``Class: message`` names: a built-in one or ToolError; a RuntimeError with the whole text for any other."""
    name, _, message = text.partition(":")
    kind = ToolError if name.strip() == "ToolError" else getattr(builtins, name.strip(), None)
    if isinstance(kind, type) and issubclass(kind, Exception):
        with contextlib.suppress(TypeError):  # some, such as UnicodeDecodeError, take more than a message
            return kind(message.strip())
    return RuntimeError(text)


@contextlib.contextmanager
def _told_to_the_model() -> Iterator[None]:
    """Turn a refusal into a ToolError, whose message the model reads out in its own words."""
    try:
        yield
    except BookingRefused as refusal:
        raise ToolError(str(refusal)) from None


def _answer(appointment: Appointment) -> dict[str, Any]:
    return {
        "confirmation_id": appointment.confirmation_id,
        "doctor_name": appointment.doctor_name,
        "clinic_location": appointment.clinic_location,
        "appointment_datetime": appointment.appointment_datetime,
    }
