"""Where nobody lives: addresses, and towns and ZIP codes with a word that says so. 45 CFR 164.514(b)(2)(i)(B)."""

from __future__ import annotations

from random import Random
from typing import Final

from audit.people import names
from audit.people.value import Value

_STREETS: Final = {
    "en": ("Street", "Avenue", "Drive", "Road", "Lane", "Court", "Boulevard"),
    "fr": ("rue", "avenue", "chemin", "boulevard", "impasse", "place"),
    "de": ("strasse", "weg", "gasse", "platz", "allee"),
}
_TREES: Final = ("Maple", "Oak", "Elm", "Lakeview", "Cedar", "Willow", "Sycamore", "Hawthorne", "Juniper", "Prospect", "Magnolia")
_LIEUX: Final = ("du Lac", "de la Gare", "des Vignes", "des Marronniers", "du Moulin", "de l'Église", "des Alpes", "du Bourg")
_ORTE: Final = ("Bahnhof", "Linden", "Mühlen", "Kirch", "Garten", "Wald", "Birken", "Schul", "Rosen")
_TOWNS: Final = {
    "en": (
        "Springfield, IL 62704", "Portland, OR 97205", "Tucson, AZ 85712", "Duluth, MN 55805", "Macon, GA 31201", "Yakima, WA 98902",
        "Camden, NJ 08102", "Bangor, ME 04401", "Topeka, KS 66604", "Amarillo, TX 79106",
    ),
    "fr": ("1003 Lausanne", "1204 Genève", "69003 Lyon", "2000 Neuchâtel", "33000 Bordeaux", "1700 Fribourg", "44000 Nantes"),
    "de": ("8001 Zürich", "3011 Bern", "4051 Basel", "10115 Berlin", "80331 München", "50667 Köln", "9000 St. Gallen"),
}  # fmt: skip
_LIVES: Final = {"en": ("lives in {}", "from {}"), "fr": ("habite à {}", "domiciliée à {}"), "de": ("wohnt in {}", "wohnhaft in {}")}
_CODE: Final = {"en": "ZIP code {}", "fr": "code postal {}", "de": "PLZ {}"}


def address(random: Random, language: str) -> Value:
    """Street, number and town, as the language orders them; every third street bears an invented name."""
    number, town = random.randint(2, 1999 if language == "en" else 199), random.choice(_TOWNS[language])
    own, street = random.random() < 0.33, random.choice(_STREETS[language])
    if language == "en":
        text = f"{number} {names.invented(random, 1) if own else random.choice(_TREES)} {street}"
    elif language == "fr":
        text = f"{number} {street} {'de ' + names.invented(random, 1) if own else random.choice(_LIEUX)}"
    else:
        text = f"{names.invented(random, 1).lower().capitalize() if own else random.choice(_ORTE)}{street} {number}"
    return Value(f"{text}, {town}", "{}", language)


def town(random: Random, language: str) -> Value:
    """A town or a ZIP code, with the word that makes it somebody's."""
    held = random.choice(_TOWNS[language])
    first, _, last = held.rpartition(" ") if language == "en" else held.partition(" ")
    if random.random() < 0.5:
        code = last if language == "en" else first
        changed = "".join(random.choice("0123456789") if n else c for n, c in enumerate(code))
        return Value(changed, _CODE[language], language)
    name = first.partition(",")[0] if language == "en" else last
    return Value(name, random.choice(_LIVES[language]), language)
