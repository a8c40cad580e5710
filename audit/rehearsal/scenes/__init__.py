"""What happens in the calls of a load test: scenes by name, each a function of chance, the caller and the language."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Final, TypeAlias

from audit.rehearsal.scenes.appointments import booking, cancellation, reschedule
from audit.rehearsal.scenes.colleagues import hand_off
from audit.rehearsal.scenes.opening import opening
from audit.rehearsal.scenes.pace import Row, Scene
from audit.rehearsal.scenes.person import LANGUAGES, Person, invent_person
from audit.rehearsal.scenes.questions import guidelines, opening_hours
from audit.rehearsal.scenes.tempers import angry_caller, barge_in, fallen_silent
from audit.rehearsal.scenes.troubles import tool_failure

Play: TypeAlias = Callable[[Random, Person, str], Scene]

SCENES: Final[dict[str, Play]] = {
    "booking": booking,
    "cancellation": cancellation,
    "reschedule": reschedule,
    "opening_hours": opening_hours,
    "guidelines": guidelines,
    "angry_caller": angry_caller,
    "barge_in": barge_in,
    "silence": fallen_silent,
    "tool_failure": tool_failure,
    "hand_off": hand_off,
}

__all__ = ["LANGUAGES", "SCENES", "Person", "Row", "Scene", "invent_person", "opening"]
