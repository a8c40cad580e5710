"""How a call begins: the caller says who is calling."""

from __future__ import annotations

from random import Random
from typing import Final

from audit.rehearsal.scenes.pace import Scene, turn
from audit.rehearsal.scenes.person import Person

_SAYS: Final = {
    "en": (
        ("Good morning, my name is {name}.", "Good morning, {name}. What can I do for you?"),
        ("Hello, {name} speaking, born {dob}.", "Hello, {given}, I have found you. How can I help?"),
        ("Hi, it is {name}, on {phone}.", "Hi, {name}. I have noted {phone}. What is it about?"),
    ),
    "fr": (
        ("Bonjour, je m'appelle {name}.", "Bonjour, {name}. Que puis-je faire pour vous ?"),
        ("Allô, {name} à l'appareil, date de naissance {dob}.", "Bonjour, {given}, je vous ai trouvé. Je vous écoute."),
        ("Bonjour, c'est {name}, au {phone}.", "Bonjour, {name}. J'ai noté le {phone}. De quoi s'agit-il ?"),
    ),
    "de": (
        ("Guten Morgen, mein Name ist {name}.", "Guten Morgen, {name}. Was kann ich für Sie tun?"),
        ("Hallo, hier spricht {name}, geboren {dob}.", "Hallo, {given}, ich habe Sie gefunden. Worum geht es?"),
        ("Grüezi, {name}, unter {phone}.", "Grüezi, {name}. {phone} habe ich notiert. Worum geht es?"),
    ),
}


def opening(chance: Random, who: Person, language: str) -> Scene:
    """The caller's name, and sometimes a number or a date of birth; the agent says the name back."""
    words = {"name": who.name, "given": who.given, "phone": who.phone, "dob": who.dob}
    says, answer = (text.format(**words) for text in chance.choice(_SAYS[language]))
    plants = [*who.plants("caller", "patient_name")]
    if who.name in answer:
        plants += who.plants("agent", "patient_name")
    return Scene([turn(chance, says, answer)], plants)
