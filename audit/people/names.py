"""Names of nobody: out of pools of several origins, and made up of syllables, so that no list can hold them all.

Family names and given names are drawn apart, so that a pair is a person only by accident.
"""

from __future__ import annotations

from random import Random
from typing import Final

from audit.people.value import Value

FIRST: Final = (
    "Amara", "Anneliese", "Björn", "Camille", "Chiara", "Chinedu", "Dragana", "Emily", "Fatima", "Giulia", "Hiroshi", "Ingrid", "Jamal",
    "José", "Katarzyna", "Kwame", "Leila", "Luca", "Małgorzata", "Margaret", "Marie", "Mehmet", "Mei", "Nadia", "Olena", "Oliver",
    "Priya", "Rahul", "Reto", "Sanjay", "Siobhán", "Sofía", "Thabo", "Thi", "Ursula", "Walter", "Yasmin", "Youssef", "Yuki", "Zoë",
    "Abebe", "Aoife", "Ayodele", "Beatriz", "Anne-Marie", "Dmytro", "Eleni", "Farrukh", "Gwendolyn", "Hyun-woo", "Ibrahim", "Jean-Luc",
    "Kateryna", "Lakshmi", "Matthias", "Ngozi", "Øystein", "Parisa", "Rosalinde", "Svetlana", "Tamsin", "Vikram", "Wanjiru", "Xiomara",
)  # fmt: skip
"""Given names of many origins; none that is an ordinary word, which no one could tell alone and in small letters."""
LAST: Final = (
    "Abdi", "Achterberg", "Aubert", "Baumgartner", "Benali", "Bianchi", "Castellanos", "Chen", "Delacroix", "Demir", "Dubois", "Eriksen",
    "Favre", "Fernández", "Gallagher", "Gupta", "Haddad", "Hoffmann", "Ibáñez", "Iyer", "Jovanović", "Kowalska", "Lehmann", "Lindqvist",
    "Mbeki", "Moreau", "Müller", "Nakamura", "Nguyen", "Nwosu", "O'Connor", "Okafor", "Papadopoulos", "Petrenko", "Rossi", "Schneider",
    "Tanaka", "Thompson", "Wyss", "Zimmermann", "Aydın", "Bogdanov", "Chukwuemeka", "de Vries", "El Amrani", "Fitzgerald", "Grünwald",
    "Hernández", "Ivanović", "Juárez", "Kimathi", "Løvgren", "MacAllister", "Ndiaye", "Ostrowski", "Pillai", "Quispe", "Rahmani",
    "Szabó", "Takahashi", "Utkin", "van der Berg", "Wojciechowski", "Yıldırım", "Zubiri",
)  # fmt: skip
_ONSETS: Final = (
    "b",
    "br",
    "d",
    "dr",
    "f",
    "g",
    "gr",
    "h",
    "j",
    "k",
    "kl",
    "l",
    "m",
    "n",
    "p",
    "r",
    "s",
    "sch",
    "st",
    "t",
    "tr",
    "v",
    "w",
    "z",
)
_NUCLEI: Final = ("a", "e", "i", "o", "u", "ai", "ei", "ou", "ö", "é")
_CODAS: Final = ("", "", "l", "n", "r", "s", "m", "k", "nd", "rt", "x")
_ENDS: Final = ("ek", "ova", "ini", "sen", "wyn", "ard", "oux", "elli", "ström", "idze", "anu", "ez", "ik", "aroo", "umi")
TITLES: Final = {"en": ("Mr.", "Mrs.", "Ms."), "fr": ("Madame", "Monsieur", "Mme"), "de": ("Frau", "Herr")}


def make(random: Random, language: str) -> Value:
    """A person in one of the forms a person is called: in full, turned round, with initials, by title, by the first name alone."""
    return Value(_form(random, language), "{}", language, person=True)


def invented(random: Random, syllables: int) -> str:
    """A name that stands in no list: so many syllables and an end."""
    parts = [random.choice(_ONSETS) + random.choice(_NUCLEI) + random.choice(_CODAS) for _ in range(syllables)]
    return ("".join(parts) + random.choice(_ENDS)).capitalize()


def given(random: Random) -> str:
    """A given name, one in four of them invented."""
    return random.choice(FIRST) if random.random() < 0.75 else invented(random, 1)


def family(random: Random) -> str:
    """A family name, one in four of them invented."""
    return random.choice(LAST) if random.random() < 0.75 else invented(random, random.randint(1, 2))


def _form(random: Random, language: str) -> str:
    first, last = given(random), family(random)
    match random.randrange(10):
        case 0:
            return f"{last}, {first}"
        case 1:
            return f"{first[0]}. {last}"
        case 2:
            return f"{first} {family(random)[0]}. {last}"
        case 3:
            return f"{random.choice(TITLES[language])} {last}"
        case 4:
            return first
        case _:
            return f"{first} {last}"
