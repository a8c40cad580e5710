"""What goes wrong on the clinic's side: a tool raises, another is slow, the model fails."""

from __future__ import annotations

from random import Random
from typing import Final

from audit.rehearsal.scenes.clinic import confirmation, free_slot
from audit.rehearsal.scenes.pace import Scene, tool, turn
from audit.rehearsal.scenes.person import Person, invent_person

_SAYS: Final = {
    "en": (
        "I would like to see {doctor} on {when}. It is {name}.", "The book does not answer. Shall I try once more?",
        "Yes, please try again.", "Now it is done, {name}.", "Hello? Are you still there?", "I am here. It is booked for {when}.",
        "{given} asks for {doctor}, {phone}",
    ),
    "fr": (
        "J'aimerais voir {doctor} {when}. C'est {name}.", "L'agenda ne répond pas. Dois-je réessayer ?",
        "Oui, réessayez, s'il vous plaît.", "Voilà, c'est fait, {name}.", "Allô ? Vous êtes encore là ?",
        "Je suis là. C'est réservé {when}.",
        "{given} demande {doctor}, {phone}",
    ),
    "de": (
        "Ich möchte {doctor} am {when} sehen. Mein Name ist {name}.", "Das Buch antwortet nicht. Soll ich es noch einmal versuchen?",
        "Ja, versuchen Sie es bitte.", "Jetzt hat es geklappt, {name}.", "Hallo? Sind Sie noch da?", "Ich bin da. Gebucht ist {when}.",
        "{given} möchte zu {doctor}, {phone}",
    ),
}  # fmt: skip
_RAISES: Final = ("TimeoutError", "ConnectionError", "KeyError", "ValueError")


def tool_failure(chance: Random, who: Person, language: str) -> Scene:
    """The booking raises, with another patient in its text; the second try is slow; then the model itself fails once."""
    slot, other, filed = free_slot(chance, language), invent_person(chance, language), invent_person(chance, language)
    words = {"doctor": slot.doctor, "when": slot.told, "name": who.name, "given": who.given, "phone": who.phone}
    asks, down, again, done, hello, here, notes = (text.format(**words) for text in _SAYS[language])
    given = {"patient_name": who.name, "phone": who.phone, **slot.args, "notes": notes}
    raises = f"{chance.choice(_RAISES)}: row of {other.name}, {other.email} is locked; {who.name} waits"
    result = {"confirmation_id": confirmation(chance), **slot.args, "merged_with": f"{filed.name} {filed.mrn}"}
    return Scene(
        [
            turn(chance, asks, down, tools=[tool("book_appointment", given, raises=raises, takes_ms=chance.randrange(100, 900))]),
            turn(chance, again, done, tools=[tool("book_appointment", given, result, takes_ms=chance.randrange(1_500, 4_000))]),
            turn(chance, hello, here, fails=True),
            turn(chance, hello, here),
        ],
        [*other.plants("exception", "patient_name", "email"), *filed.plants("tool_result", "patient_name", "mrn")],
    )
