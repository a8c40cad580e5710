"""The front desk gives the call to the nurse, and the nurse gives it back."""

from __future__ import annotations

from random import Random
from typing import Final

from audit.rehearsal.scenes.clinic import free_slot
from audit.rehearsal.scenes.pace import Scene, tool, turn
from audit.rehearsal.scenes.person import Person, invent_person

_SAYS: Final = {
    "en": (
        "I would rather speak to a nurse. It is about {kin}.", "This is the nurse. What can I do for {kin}?", "A rash, since yesterday.",
        "Keep it dry. {guidance}", "Then a time with {doctor}, please.", "Front desk again. {when} is free for {name}.",
        "See a doctor if it spreads or a fever comes.", "a rash since yesterday",
    ),
    "fr": (
        "Je préfère parler à une infirmière, au sujet de {kin}.", "Ici l'infirmière. Que puis-je faire pour {kin} ?",
        "Une éruption, depuis hier.", "Gardez la peau au sec. {guidance}", "Alors un rendez-vous chez {doctor}.",
        "De nouveau la réception. {when} est libre pour {name}.", "Voyez un médecin si cela s'étend ou s'il y a de la fièvre.",
        "une éruption depuis hier",
    ),
    "de": (
        "Ich möchte lieber mit der Pflege sprechen, wegen {kin}.", "Hier ist die Pflege. Was kann ich für {kin} tun?",
        "Ein Ausschlag, seit gestern.", "Halten Sie die Haut trocken. {guidance}", "Dann einen Termin bei {doctor}.",
        "Wieder der Empfang. {when} ist frei für {name}.", "Gehen Sie zum Arzt, wenn es sich ausbreitet oder Fieber kommt.",
        "ein Ausschlag seit gestern",
    ),
}  # fmt: skip
FRONT, NURSE = "front_desk", "nurse"


def hand_off(chance: Random, who: Person, language: str) -> Scene:
    """Two hand-offs, with a tool that the second agent calls in between; both agents say the relative's name."""
    slot, kin = free_slot(chance, language), invent_person(chance, language)
    *said, guidance, symptoms = _SAYS[language]
    words = {"kin": kin.name, "guidance": guidance, "doctor": slot.doctor, "when": slot.told, "name": who.name}
    asks, nurse, rash, dry, wants, desk = (text.format(**words) for text in said)
    advice = tool("get_medical_guidelines", {"symptoms": symptoms}, {"urgency": "routine", "guidance": guidance}, takes_ms=120)
    return Scene(
        [
            turn(chance, asks, nurse, hand_off=NURSE),
            turn(chance, rash, dry, tools=[advice]),
            turn(chance, wants, desk, hand_off=FRONT),
        ],
        [*kin.plants("caller", "patient_name"), *kin.plants("agent", "patient_name")],
    )
