"""A clinic's telephone, callers out of a seed: three kinds of call as the demo plays them, and scenes by the minute for a load test."""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Final

from audit.people import names
from audit.rehearsal.scenes import LANGUAGES, SCENES, Person, Row, Scene, invent_person, opening
from audit.rehearsal.script import PlannedCall, hasten, plan

_REASONS: Final = ("mild fever and a headache since the weekend", "back pain after lifting a box", "routine check of blood pressure")

GREETS: Final = 3
"""Every third call of a load test begins with the agent's greeting."""


def invent_calls(calls: int, seed: int) -> tuple[PlannedCall, ...]:
    """So many calls by synthetic people, the same for the same seed.

    Args:
        calls: how many.
        seed: of the pseudo-random generator.
    """
    chance = random.Random(seed)  # noqa: S311  # reproducible people, not secrets
    return plan({"calls": [_KINDS[n % len(_KINDS)](chance) for n in range(calls)]})


def invent_load(calls: int, seed: int, minutes: float = 0.0) -> tuple[PlannedCall, ...]:
    """So many calls, the same for the same seed, each by one caller in one language; ten of them have every scene and every language.

    Each tells of its caller in words and in what tools are given, of others in what tools give back or raise, and of others again in the
    room's name and in the participant's identity and attributes. `audit.rehearsal.expectation.expect` says what a call's trace must hold.

    Args:
        calls: how many.
        seed: of the pseudo-random generator.
        minutes: about how long each lasts. No scene comes twice before all have come, and its words and people are others then. A call
            is never less than a greeting and one whole scene, of up to a minute; where there is less time, everybody in it speaks faster.
            0 leaves it at that scene, in its own time.
    """
    chance, lasts_ms = random.Random(seed), round(minutes * 60_000)  # noqa: S311  # reproducible people, not secrets
    made = plan({"calls": [_load(random.Random(chance.getrandbits(64)), n, lasts_ms) for n in range(calls)]})  # noqa: S311
    return tuple(_within(call, lasts_ms) if lasts_ms else call for call in made)


def _within(call: PlannedCall, lasts_ms: float) -> PlannedCall:
    """The call, hastened if it would last longer."""
    return hasten(call, max(1.0, sum(turn.lasts_ms for turn in call.turns) / lasts_ms))


def _load(chance: random.Random, n: int, lasts_ms: int) -> Row:
    language, names = LANGUAGES[n % len(LANGUAGES)], list(SCENES)
    who, first = invent_person(chance, language), names[n % len(names)]
    begins, played = opening(chance, who, language), [(first, SCENES[first](chance, who, language))]
    left = lasts_ms - _lasts_ms(begins) - _lasts_ms(played[0][1])
    deck = chance.sample([name for name in names if name != first], len(names) - 1)
    while found := _next_scene(deck, left, chance, who, language):
        played.append(found)
        left -= _lasts_ms(found[1])
        deck.remove(found[0])
        deck = deck or chance.sample(names, len(names))
    told = [begins, *(scene for _, scene in played)]
    turns = [row for scene in told for row in scene.turns]
    _lengthen_pauses(turns, left)
    room, rings, listed = (invent_person(chance, language) for _ in range(3))
    return {
        "consent": "granted",
        "greets": n % GREETS == 0,
        "line": _line(room.details, rings.details, listed.details),
        "plants": [
            *(plant for scene in told for plant in scene.plants),
            *listed.plants("participant_attribute", "patient_name", "phone"),
        ],
        "turns": turns,
        "scenes": [name for name, _ in played],
        "language": language,
    }


def _next_scene(deck: Iterable[str], room_ms: float, chance: random.Random, who: Person, language: str) -> tuple[str, Scene] | None:
    """The first of these scenes that the call still has time for."""
    for name in deck:
        scene = SCENES[name](chance, who, language)
        if _lasts_ms(scene) <= room_ms:
            return name, scene
    return None


def _lasts_ms(scene: Scene) -> float:
    return sum(turn.lasts_ms for turn in plan({"calls": [{"turns": scene.turns}]})[0].turns)


def _lengthen_pauses(turns: list[Row], by_ms: float) -> None:
    """Share out what is left of the call's length over the pauses in it."""
    pauses = [row["user"] for row in turns if row["user"].get("silent_ms")]
    for user in pauses:
        user["silent_ms"] += max(0, int(by_ms / len(pauses)))


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
