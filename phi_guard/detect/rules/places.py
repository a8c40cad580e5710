"""Where a person lives: street addresses, boxes, postal codes."""

from __future__ import annotations

from typing import Final

from phi_guard.detect.rule import PatternRule

_STREET: Final = (
    "street|avenue|ave|road|rd|boulevard|blvd|drive|lane|ln|court|place|way|terrace|parkway|pkwy|highway|hwy|circle|square|trail|crescent"
    "|gardens|mews|alley|plaza|close|st|dr|ct|pl"
)
_NOT_A_STREET: Final = (
    "mg|mcg|ml|g|kg|x|pills?|tablets?|tabs?|capsules?|doses?|times?|days?|weeks?|months?|years?|hours?|minutes?|mins?|h|am|pm|percent|per|a|an|and|or"
    "|in|on|of|for|to|by|at|is|was|the|with|from|ago|that|this|his|her|my|way|out|which|pain|more|over|under|miles?|feet|inch(?:es)?|patients?"
)
_WORD: Final = rf"(?!(?:{_NOT_A_STREET})\b)[^\W\d_][\w'’.-]{{0,30}}"
_STATE: Final = "A[AEKLPRZ]|C[AOT]|DE|FL|GA|HI|I[DLNA]|K[SY]|LA|M[EDAINSOT]|N[EVHJMYCD]|O[HKR]|PA|RI|S[CD]|T[NX]|UT|V[TA]|W[AVIY]|DC"
_FRENCH: Final = (
    "rue|avenue|boulevard|bd|chemin|quai|impasse|allée|allee|route de|route du|route des|place de|place du|place des|sentier|ruelle"
)

RULES: Final = (
    PatternRule(
        name="street",
        entity="ADDRESS",
        regex=rf"(?<![\w.,/])#?\d{{1,6}}[a-z]?,?\s{{1,3}}(?:[nsew]\.?\s|north\s|south\s|east\s|west\s)?(?:\d{{1,3}}(?:st|nd|rd|th)\s|{_WORD}\s{{1,3}}){{1,4}}(?:{_STREET})\b\.?"
        r"(?:,?\s{0,2}(?:apt|apartment|suite|ste|unit|floor|fl|room|#)\.?\s{0,2}#?\w{1,6})?",
        hits=("12 Oak Street", "742 evergreen terrace", "1600 Pennsylvania Ave NW", "5 N. Main St., Apt 4B", "221b baker street",
              "350 Fifth Avenue"),
        misses=("take 3 pills on the way", "2 tablets a day by a drive", "5 days in a place", "pain 7 out of 10 way worse", "500 mg st"),
        digits=True,
    ),
    PatternRule(
        name="street_french",
        entity="ADDRESS",
        regex=rf"(?:\b\d{{1,4}}\s?(?:bis|ter|[a-d])?,?\s{{1,2}})?\b(?:{_FRENCH})\s(?:[\w'’.-]{{1,30}}\s?){{1,5}},?\s?\d{{1,5}}\s?[a-z]?\b"
        rf"|\b\d{{1,4}}\s?(?:bis|ter|[a-d])?,?\s{{1,2}}(?:{_FRENCH})\s[\w'’.-]{{1,30}}(?:\s(?-i:[A-ZÀ-Ý])[\w'’.-]{{1,30}}){{0,3}}",
        hits=("rue du Lac 12", "12, rue du Lac", "avenue de la Gare 3b", "chemin des Vignes 7", "4 bis boulevard Victor Hugo"),
        misses=("route of administration", "route orale 5 mg", "in place for 3 days", "rue"),
        digits=True,
    ),
    PatternRule(
        name="street_one_word",
        entity="ADDRESS",
        regex=r"(?<![\w.-])[a-zäöüß][\w.-]{2,30}(?:strasse|straße|str\.|gasse|weg|platz|allee|ring|damm|ufer|straat|laan|plein|vej|gade|gatan|vägen|vegen|katu|kuja|polku|utca|braut)\s\d{1,4}\s?[a-z]?\b",
        hits=("Bahnhofstrasse 12", "lindenweg 4a", "Hauptstr. 7", "Kerkstraat 12", "Mannerheimkatu 4"),
        misses=("during 5 days", "norm 12"),
        check=lambda text: not text.lower().startswith(("during", "monitoring", "suffering", "bring")),
        digits=True,
    ),
    PatternRule(
        name="street_via",
        entity="ADDRESS",
        regex=r"(?-i:\b(?:Via|Viale|Piazza|Corso|Calle|Avenida|Rua|Ulica|ul\.|Ulice|Strada|Plaza))\s(?:[^\W\d_][\w'’.-]{0,30}\s){1,4}\d{1,5}\s?[a-z]?\b",
        hits=("Via Roma 12", "Calle de Alcalá 7", "Rua Augusta 40 b"),
        misses=("via nasal cannula 2 L", "Via mouth"),
        digits=True,
    ),
    PatternRule(
        name="unit_or_box",
        entity="ADDRESS",
        regex=r"\b(?:p\.?\s?o\.?\s?box|psc\s\d{1,6},?\s?box|box(?=\s\d{3})|case postale|postfach|apt\.?|apartment|suite)\s{0,2}#?"
        r"(?=\w{0,5}\d)\w{1,8}\b",
        hits=("PO Box 441", "P.O. Box 12", "case postale 77", "Suite 292", "apt 4B", "PSC 441, Box 12"),
        misses=("suite of tests", "box of 12", "po 5 mg"),
        digits=True,
    ),
    PatternRule(
        name="zip",
        entity="ZIP_CODE",
        regex=rf"(?<!\d)\d{{5}}-\d{{4}}(?!\d)|\b(?-i:{_STATE}),?\s{{1,2}}\d{{5}}\b|\b(?:zip|postal|post)(?:\s?code)?\W{{0,4}}(?:is\s)?\d{{4,5}}\b|\b(?:CH|D|F|A|FR|DE|AT)-\d{{4,5}}\b",
        hits=("94110-1234", "San Francisco CA 94110", "zip code is 94110", "CH-1003", "postal code: 1003"),
        misses=("post 500 mg", "12000 units", "E11.9", "D-3 1000 mg"),
        digits=True,
    ),
    PatternRule(
        name="zip_and_town",
        entity="ADDRESS",
        regex=r"(?<![\w.,/:-])(?:\d{5}|(?!19|20)[1-9]\d{3})\s(?-i:[A-ZÀ-Ý][a-zà-ÿ]{2,})(?:[\s-](?-i:[A-ZÀ-Ý][a-zà-ÿ]{2,})){0,2}",
        hits=("1003 Lausanne", "75011 Paris", "8001 Zürich"),
        misses=("5000 Units", "2024 Report", "1000 Mg", "500 Mg"),
        check=lambda text: not text.lower().split()[1].startswith(("unit", "mg", "mcg", "intern", "ml", "step", "cal")),
        digits=True,
    ),
    PatternRule(
        name="postcode",
        entity="ZIP_CODE",
        regex=r"\b(?-i:[A-Z]{1,2}\d[A-Z\d]?\s\d[A-Z]{2}|[A-Z]\d[A-Z][\s-]?\d[A-Z]\d)\b",
        hits=("SW1A 1AA", "M5V 2T6"),
        misses=("E11.9", "B12 2 mg", "T4 5MG", "L5 S1"),
        check=lambda text: not text.endswith(("MG", "ML")),
        digits=True,
    ),
)  # fmt: skip
"""Rules for places."""
