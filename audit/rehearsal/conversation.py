"""A clinic's telephone as the demo plays it: bookings, a cancellation that fails, a question about hours; callers out of a seed."""

from __future__ import annotations

import random
from typing import Final

from audit.people import names
from audit.rehearsal.script import PlannedCall, plan

_REASONS: Final = ("mild fever and a headache since the weekend", "back pain after lifting a box", "routine check of blood pressure")


def invent_calls(calls: int, seed: int) -> tuple[PlannedCall, ...]:
    """So many calls by synthetic people, the same for the same seed.

    Args:
        calls: how many.
        seed: of the pseudo-random generator.
    """
    chance = random.Random(seed)  # noqa: S311  # reproducible people, not secrets
    return plan({"calls": [_KINDS[n % len(_KINDS)](chance) for n in range(calls)]})


def _person(chance: random.Random) -> dict[str, str]:
    """Somebody whose every value is distinctive: names and places of invented syllables, so that none stands in a trace by chance."""
    given, family = names.invented(chance, 1), names.invented(chance, 2)
    plain = "".join(c for c in f"{given}.{family}".lower() if c == "." or "a" <= c <= "z")
    return {
        "patient_name": f"{given} {family}",
        "phone": f"+41 79 555 {chance.randrange(100):02d} {chance.randrange(100):02d}",
        "email": f"{plain}@example.org",
        "dob": f"{chance.randrange(1930, 2005)}-{chance.randrange(1, 13):02d}-{chance.randrange(1, 29):02d}",
        "mrn": f"MRN-{chance.randrange(10**6, 10**7)}",
        "address": f"{chance.randrange(1, 90)} rue {names.invented(chance, 1)}, {chance.randrange(1000, 9000)} {names.invented(chance, 1)}",
    }


def _plants(origin: str, who: dict[str, str], *kinds: str) -> list[dict[str, str]]:
    return [{"origin": origin, "kind": kind, "value": who[kind]} for kind in kinds]


def _line(room: dict[str, str], rings: dict[str, str], listed: dict[str, str]) -> dict[str, object]:
    """The line as LiveKit's SIP trunk tells of it: the room and the caller are named by telephone number."""
    return {
        "room": f"call-{room['phone'].replace(' ', '')}",
        "identity": f"sip_{rings['phone'].replace(' ', '')}",
        "attributes": {"sip.phoneNumber": listed["phone"], "sip.callerName": listed["patient_name"], "sip.callStatus": "active"},
    }


def _booking(chance: random.Random) -> dict[str, object]:
    # Each is told in one place only, so that a leak tells which.
    who, child, filed = _person(chance), _person(chance), _person(chance)
    room, rings, listed = _person(chance), _person(chance), _person(chance)
    when = f"2027-0{chance.randrange(1, 10)}-1{chance.randrange(10)}T{chance.randrange(9, 17):02d}:00Z"
    slot = {"doctor_name": "Dr. Lee", "appointment_datetime": when}
    reason = f"{who['patient_name'].split()[0]} has {chance.choice(_REASONS)}, please ring {who['phone']}"
    return {
        "consent": "granted",
        "greets": True,
        "line": _line(room, rings, listed),
        "plants": [
            *_plants("caller", child, "patient_name", "phone"),
            *_plants("tool_result", filed, "patient_name", "mrn"),
            *_plants("participant_attribute", listed, "patient_name", "phone"),
        ],
        "turns": [
            {
                "user": {"speech_ms": 500, "says": f"Hello, my name is {who['patient_name']}, is Dr. Lee free?"},
                "tools": [
                    {
                        "name": "check_availability",
                        "args": slot,
                        "result": {"available": True},
                        "takes_ms": 30,
                    }
                ],
                "agent": {"speech_ms": 500, "first_audio_after_ms": 180, "says": f"Yes, {who['patient_name']}."},
            },
            {
                "user": {
                    "speech_ms": 500,
                    "says": f"Book it. My number is {who['phone']}, my child is {child['patient_name']}, {child['phone']}.",
                },
                "tools": [
                    {
                        "name": "book_appointment",
                        "args": {**who, **slot, "reason_for_visit": reason, "notes": reason},
                        "result": {
                            "confirmation_id": f"CONF-{chance.randrange(1000, 9999)}",
                            **slot,
                            "filed_under": f"{filed['patient_name']} {filed['mrn']}",
                        },
                        "takes_ms": 60,
                    }
                ],
                "agent": {"speech_ms": 600, "first_audio_after_ms": 250, "says": f"Booked for {who['patient_name']}."},
            },
        ],
    }


def _cancellation(chance: random.Random) -> dict[str, object]:
    who, other = _person(chance), _person(chance)
    return {
        "consent": "granted",
        "plants": _plants("exception", other, "patient_name", "mrn"),
        "turns": [
            {
                "user": {"speech_ms": 400, "says": f"{who['patient_name']} here, cancel please."},
                "tools": [
                    {
                        "name": "cancel_appointment",
                        "args": {"confirmation_id": "CONF-0000", "patient_name": who["patient_name"], "reason": "moving away"},
                        "raises": f"LookupError: nothing for {who['patient_name']}, next is {other['patient_name']} ({other['mrn']})",
                        "takes_ms": 20,
                    }
                ],
                "agent": {"speech_ms": 400, "first_audio_after_ms": 200, "says": "I cannot find it."},
            }
        ],
    }


def _question(chance: random.Random) -> dict[str, object]:
    return {
        "consent": "granted",
        "turns": [
            {
                "user": {"speech_ms": 400, "says": "When are you open?"},
                "tools": [{"name": "get_opening_hours", "args": {"clinic_location": "Main Clinic"}, "result": {"opening_hours": "8-18"}}],
                "agent": {"speech_ms": 500, "first_audio_after_ms": 150, "says": "Monday to Friday."},
            },
            {
                "user": {"speech_ms": 400, "says": "And what helps against a cough?"},
                "tools": [
                    {
                        "name": "get_medical_guidelines",
                        "args": {"symptoms": chance.choice(("dry cough for two days", "sore throat and cough"))},
                        "result": {"guidance": "Drink enough, rest, and call again if it lasts longer than a week."},
                        "takes_ms": 25,
                    }
                ],
                "agent": {"speech_ms": 500, "first_audio_after_ms": 220, "says": "Drink enough and rest."},
            },
        ],
    }


_KINDS: Final = (_booking, _cancellation, _question)
