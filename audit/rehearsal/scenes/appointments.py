"""Appointments: one is made, one is given up, one is moved."""

from __future__ import annotations

from random import Random
from typing import Final

from audit.rehearsal.scenes.clinic import HOUSES, confirmation, free_slot
from audit.rehearsal.scenes.pace import Scene, tool, turn
from audit.rehearsal.scenes.person import Person, invent_person

_BOOKING: Final = {
    "en": (
        "Hello, this is {name}. Is {doctor} free on {when}?", "Yes, {name}, {doctor} is free on {when}. Shall I book it?",
        "Please do. My number is {phone}, and for {child}, my child, it is {child_phone}.", "It is booked. I have also noted {kin}.",
        "Can you send it to {email} as well?", "I have noted it. Is there anything else?",
        "{given} has had a headache since {when}, please ring {phone}",
    ),
    "fr": (
        "Bonjour, c'est {name}. Est-ce que {doctor} est libre {when} ?", "Oui, {name}, {doctor} est libre {when}. Je réserve ?",
        "Volontiers. Mon numéro est le {phone}, et celui de mon enfant, {child}, le {child_phone}.",
        "C'est réservé. J'ai aussi noté {kin}.",
        "Pouvez-vous l'envoyer aussi à {email} ?", "C'est noté. Autre chose ?",
        "{given} a mal à la tête depuis {when}, rappeler au {phone}",
    ),
    "de": (
        "Guten Tag, hier ist {name}. Ist {doctor} am {when} frei?", "Ja, {name}, {doctor} ist am {when} frei. Soll ich buchen?",
        "Gern. Meine Nummer ist {phone}, und die meines Kindes, {child}, ist {child_phone}.", "Gebucht. Ich habe auch {kin} notiert.",
        "Können Sie es auch an {email} schicken?", "Das ist notiert. Sonst noch etwas?",
        "{given} hat Kopfweh seit {when}, bitte {phone} anrufen",
    ),
}  # fmt: skip
_CANCELLATION: Final = {
    "en": (
        "I cannot come on {when}. Cancel {number} for {name}, please.", "It is cancelled, and {next} has the time now.", "moving away",
        "Will I have to pay for it?", "No, you called in good time.",
    ),
    "fr": (
        "Je ne peux pas venir {when}. Annulez le {number} pour {name}.", "C'est annulé, et l'heure est à {next}.", "déménagement",
        "Est-ce que je dois payer quelque chose ?", "Non, vous avez appelé à temps.",
    ),
    "de": (
        "Am {when} kann ich nicht kommen. Sagen Sie {number} für {name} ab.", "Abgesagt. Die Zeit hat jetzt {next}.", "Umzug",
        "Muss ich dafür etwas bezahlen?", "Nein, Sie haben rechtzeitig angerufen.",
    ),
}  # fmt: skip
_RESCHEDULE: Final = {
    "en": (
        "Could I come on {when} instead? It is about {number}.", "{doctor} is not free then, but on {other} there is room.",
        "{other} is fine. Move {name} there, please.", "It is moved to {other}.",
    ),
    "fr": (
        "Est-ce que je pourrais venir {when} ? C'est pour le {number}.", "{doctor} n'est pas libre, mais {other} il y a de la place.",
        "{other}, c'est bien. Déplacez le rendez-vous de {name}.", "C'est déplacé, {other}.",
    ),
    "de": (
        "Kann ich stattdessen am {when} kommen? Es geht um {number}.", "Da ist {doctor} nicht frei, aber am {other} ist Platz.",
        "{other} passt. Bitte verschieben Sie den Termin von {name}.", "Verschoben auf {other}.",
    ),
}  # fmt: skip


def booking(chance: Random, who: Person, language: str) -> Scene:
    """A time is asked for and taken; a child and a relative are named on the way."""
    slot, child, kin, filed = (
        free_slot(chance, language), invent_person(chance, language), invent_person(chance, language), invent_person(chance, language),
    )  # fmt: skip
    words = {
        "name": who.name, "given": who.given, "phone": who.phone, "email": who.email, "child": child.name, "child_phone": child.phone,
        "kin": kin.name, "doctor": slot.doctor, "when": slot.told,
    }  # fmt: skip
    asks, free, takes, booked, sends, sent, reason = (text.format(**words) for text in _BOOKING[language])
    house = chance.choice(HOUSES)
    given = {**who.details, **slot.args, "clinic_location": house, "reason_for_visit": reason, "notes": reason}
    result = {"confirmation_id": confirmation(chance), **slot.args, "clinic_location": house, "filed_under": f"{filed.name}, {filed.mrn}"}
    return Scene(
        [
            turn(chance, asks, free, tools=[tool("check_availability", slot.args, {"available": True})]),
            turn(chance, takes, booked, tools=[tool("book_appointment", given, result, takes_ms=chance.randrange(60, 400))]),
            turn(chance, sends, sent),
        ],
        [
            *child.plants("caller", "patient_name", "phone"),
            *kin.plants("agent", "patient_name"),
            *filed.plants("tool_result", "patient_name", "mrn"),
        ],
    )


def cancellation(chance: Random, who: Person, language: str) -> Scene:
    """An appointment is given up, and the agent says who has the time now."""
    slot, following, number = free_slot(chance, language), invent_person(chance, language), confirmation(chance)
    asks, done, reason, pays, free = (
        text.format(when=slot.told, number=number, name=who.name, next=following.name) for text in _CANCELLATION[language]
    )
    given = {"confirmation_id": number, "patient_name": who.name, "reason": reason}
    result = {"confirmation_id": number, **slot.args, "cancelled": True, "next_in_line": f"{following.name}, {following.phone}"}
    return Scene(
        [turn(chance, asks, done, tools=[tool("cancel_appointment", given, result, takes_ms=80)]), turn(chance, pays, free)],
        [*following.plants("tool_result", "patient_name", "phone")],
    )


def reschedule(chance: Random, who: Person, language: str) -> Scene:
    """The time that is asked for is taken; another one is found."""
    slot, other = free_slot(chance, language), free_slot(chance, language)
    number, former = confirmation(chance), invent_person(chance, language)
    asks, taken, agrees, moved = (
        text.format(when=slot.told, other=other.told, number=number, name=who.name, doctor=slot.doctor) for text in _RESCHEDULE[language]
    )
    given = {"confirmation_id": number, "patient_name": who.name, "appointment_datetime": other.at}
    result = {"confirmation_id": number, "doctor_name": slot.doctor, "appointment_datetime": other.at, "was_booked_by": former.name}
    return Scene(
        [
            turn(chance, asks, taken, tools=[tool("check_availability", slot.args, {"available": False, "alternatives": [other.at]})]),
            turn(chance, agrees, moved, tools=[tool("reschedule_appointment", given, result, takes_ms=chance.randrange(40, 300))]),
        ],
        [*former.plants("tool_result", "patient_name")],
    )
