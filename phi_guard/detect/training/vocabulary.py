"""Builds the word lists of the vocabulary layer from their sources: ``python -m phi_guard.detect.training.vocabulary``.

Needs the ``training`` extra and Debian's ``wamerican-large``. What each source is, and under which licence, is told in
``phi_guard/detect/words/SOURCES.md``; a word's frequency decides whether it is a word, its ratio to the same name's whether it is a name.
"""

from __future__ import annotations

import bz2
import hashlib
import importlib
import io
import json
import math
import pickle
import pkgutil
import re
import sys
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from phi_guard.detect.vocabulary_context import headed

FOLDER: Final = Path(__file__).parents[1] / "words"
DICTIONARY: Final = Path("/usr/share/dict/american-english-large")

COMMON: Final = 1.3
"""Zipf frequency (log10 per billion words, wordfreq) from which a dictionary's word is taken: rarer ones are seldom said, often names."""
NAME_FIRST: Final = (40.0, 60.0)
"""A given name, a surname so many times as frequent among names as the word is in text is no harmless word: ``frank``, ``miller``.

A ratio of 100 is a word that is always a name, since about one word of running text in a hundred is one.
"""
STRONG: Final = (1.5, 8.0)
"""From these ratios on a word is a name unless its context clears it; frequent surnames (`COMMON_SURNAME`) excepted."""
COMMON_SURNAME: Final = 4.0
"""Zipf frequency from which a word that is only a surname is a word first: ``white``, ``field``, ``burns``."""
WEAK: Final = (0.1, 0.3)
"""From these ratios on a word counts as a name where its context says so."""
NOTABLE: Final = (0.3, 1.5)
"""From these ratios on it counts as a name where a person would stand: ``spoke to hall today``."""
FOREIGN: Final = 1_500
"""So many of the most frequent words of German and of French are taken."""
SCARCE: Final = 1.0
"""The same for a surname that no more than a hundred-thousandth of the people bear (`LISTED`): ``cancel``."""
RARE: Final = 0.0003
"""Percent a surname of the census's tail (printed as 0.000) is taken for."""
LISTED: Final = 0.001
"""Percent a name is taken for, for each locale of Faker that lists it."""

PYTHON: Final = (
    "asyncio", "builtins", "concurrent.futures", "dataclasses", "datetime", "errno", "http", "http.client", "http.server", "inspect",
    "json", "logging", "os", "os.path", "signal", "socket", "sqlite3", "ssl", "subprocess", "sys", "threading", "time", "typing",
    "urllib.error", "urllib.parse", "urllib.request", "zlib",
)  # fmt: skip
"""Modules whose names of things are taken: what tools and servers meet."""

JUDGED: Final = headed(FOLDER / "judged.txt")
"""Words about which the ratio judges wrongly, ``kept`` and ``word first``."""

_LOWER: Final = re.compile(r"(?<![^\W_])[a-zà-öø-ÿ]{2,30}(?![^\W_])")
_MARK: Final = re.compile(r"(#|=|de:|fr:|)")
_PART: Final = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_EPONYM: Final = re.compile(r"\b([A-Z][a-zé]{3,20})(?:'s|s')")


@dataclass(frozen=True, slots=True)
class Names:
    """How frequent names are, in percent of people.

    Args:
        given: of the census's given names and Faker's.
        surnames: likewise.
        top: the census's thousand most frequent given names of either sex.
    """

    given: Mapping[str, float]
    surnames: Mapping[str, float]
    top: frozenset[str]

    def __contains__(self, word: str) -> bool:
        return word in self.given or word in self.surnames


def main() -> None:
    """Write the lists into `FOLDER` and print what was read and written as JSON."""
    lines = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    names = read_names()
    frequency = _wordfreq("en")
    words = read_words(frequency, names, lines)
    eponyms = read_eponyms()
    certain, doubtful = sort_out(words, eponyms, frequency, names)
    foreign = read_foreign(certain | set(doubtful), names)
    _write("certain.txt", sorted(certain))
    _write("doubtful.txt", (f"{word} {kinds}" for word, kinds in sorted(doubtful.items())))
    _write("foreign.txt", (f"{word} {languages}" for word, languages in sorted(foreign.items())))
    written = {name: _told(FOLDER / name) for name in ("certain.txt", "doubtful.txt", "foreign.txt", "plain.txt")}
    sys.stdout.write(json.dumps({"read": _told_sources(lines), "written": written}, indent=1) + "\n")


def sort_out(
    words: Iterable[str], eponyms: frozenset[str], frequency: Mapping[str, float], names: Names
) -> tuple[frozenset[str], dict[str, str]]:
    """Words that are certainly no names, and doubtful ones with what they are.

    Returns:
        The certain words; and by doubtful word its kinds: ``g`` given name, ``s`` surname, ``!`` strong, ``+`` notable, ``e`` eponym.
    """
    kept, word_first = set(JUDGED["kept"]), set(JUDGED["word first"])
    always, certain, doubtful = read_plain("="), set[str](), dict[str, str]()
    for word in words:
        share = max(frequency.get(word, 0.0), 1e-8) * 100
        given, surname = names.given.get(word, 0.0) / share, names.surnames.get(word, 0.0) / share
        zipf = math.log10(share / 100) + 9
        if word not in kept | word_first and (given >= NAME_FIRST[0] or surname >= NAME_FIRST[1]):
            continue
        scarce = names.surnames.get(word, 0.0) <= LISTED
        kinds = ("g" if given >= WEAK[0] or word in names.top else "") + ("s" if surname >= (SCARCE if scarce else WEAK[1]) else "")
        if word in always or (not kinds and word not in kept):
            certain.add(word)
            continue
        strong = given >= STRONG[0] or (surname >= STRONG[1] and zipf < COMMON_SURNAME)
        notable = given >= NOTABLE[0] or surname >= NOTABLE[1]
        doubtful[word] = kinds + ("!" if word in kept or (strong and word not in word_first) else "+" if notable else "")
    for word in eponyms - certain:
        doubtful[word] = doubtful.get(word, "") + "e"
    return frozenset(certain), doubtful


def read_words(frequency: Mapping[str, float], names: Names, lines: Path | None) -> set[str]:
    """Every word that may be harmless: dictionary, ICD-10-CM, drugs, frequent words of no dictionary, and `plain.txt`."""

    def zipf(word: str) -> float:
        return math.log10(frequency[word]) + 9 if word in frequency else 0.0

    entries = DICTIONARY.read_text(encoding="utf-8").split()
    lower = {word for word in entries if word == word.lower() and word.isalpha() and len(word) > 1}
    proper = {word.lower() for word in entries} - lower
    words = {word for word in lower if zipf(word) >= COMMON}
    medical = Counter(word for text in _descriptions() for word in _LOWER.findall(text))
    words |= {word for word in medical if word not in names or word in lower}
    words |= {word for word in _drugs(frequency) if word not in names}
    if lines is not None:
        spoken = Counter(
            word for line in lines.read_text(encoding="utf-8").splitlines() for word in _LOWER.findall(json.loads(line)["text"])
        )
        words |= {word for word, count in spoken.items() if count >= 2 and word not in names and word not in proper}
    plurals = {word + "s" for word in words if len(word) >= 6 and word not in lower and not word.endswith("s")}
    words |= {word for word in plurals if word not in names and word not in proper}
    words |= {word for word in read_python() if word not in names}
    return words | read_plain()


def read_plain(mark: str = "") -> set[str]:
    """The words written by hand in ``plain.txt``.

    Args:
        mark: empty for all English ones; ``=`` for those harmless whatever the name lists say; ``de:``, ``fr:`` for other languages.
    """
    found: set[str] = set()
    for line in (FOLDER / "plain.txt").read_text(encoding="utf-8").splitlines():
        match = _MARK.match(line)
        if match and match[1] != "#" and (mark == match[1] or (not mark and match[1] == "=")):
            found |= {part for word in line[match.end() :].split() for part in word.split("-") if len(part) > 1}
    return found


def read_python() -> set[str]:
    """What Python's own modules call their functions, classes, errors and constants, taken apart into words: they stand in every log."""
    modules = [importlib.import_module(name) for name in PYTHON]
    found = {name for module in modules for name in dir(module)} | set(PYTHON) | set(sys.stdlib_module_names)
    return {part.lower() for name in found for part in _PART.findall(name) if len(part) > 1}


def read_eponyms() -> frozenset[str]:
    """People after whom ICD-10-CM names a disease (``Crohn's``), lower-case, with both spellings of a name that ends in s."""
    found = {word.lower() for text in _descriptions() for word in _EPONYM.findall(text)}
    return frozenset(found | set(JUDGED["eponyms"]))


def read_names() -> Names:
    """Names of the US census of 1990 with their shares, and those Faker's locales list, also without their accents."""
    folder = _folder("names")
    female, male, last = (_shares(folder / f"dist.{kind}") for kind in ("female.first", "male.first", "all.last"))
    given = {name: max(female.get(name, 0.0), male.get(name, 0.0)) for name in female | male}
    surnames = {name: max(share, RARE) for name, share in last.items()}
    listed_given, listed_last = _faker()
    for name, count in listed_given.items():
        given[name] = max(given.get(name, 0.0), LISTED * count)
    for name, count in listed_last.items():
        surnames[name] = max(surnames.get(name, 0.0), LISTED * count)
    return Names(given, surnames, frozenset([*list(female)[:1000], *list(male)[:1000]]))


def read_foreign(known: Iterable[str], names: Names) -> dict[str, str]:
    """The frequent words of German and French that are neither names nor already harmless, each with its languages, as ``de,fr``."""
    english, found = set(known), dict[str, str]()
    for language in ("de", "fr"):
        frequency = _wordfreq(language)
        top = sorted(frequency, key=lambda word: (-frequency[word], word))[:FOREIGN]
        unnamed = {word for word in top if word.isalpha() and names.given.get(word, 0) + names.surnames.get(word, 0) < 2 * LISTED}
        for word in unnamed | read_plain(f"{language}:"):
            if len(word) > 1 and word not in english:
                found[word] = f"{found[word]},{language}" if word in found else language
    return found


def _wordfreq(language: str) -> dict[str, float]:
    wordfreq = importlib.import_module("wordfreq")
    return dict(wordfreq.get_frequency_dict(language, wordlist="large" if language == "en" else "best"))


def _descriptions() -> Iterator[str]:
    tree = ET.parse(next((_folder("simple_icd_10_cm") / "data").glob("icd10c-tabular-*.xml")))  # noqa: S314 - the file of an installed package
    return (element.text for element in tree.iter() if element.text and element.tag not in {"name", "sectionRef"})


class _Plain(pickle.Unpickler):
    """Reads containers, strings and numbers only: nothing in the file can run."""

    def find_class(self, module: str, name: str) -> Any:
        msg = f"the drug list holds more than plain data ({module}.{name}); do not use this version of it"
        raise pickle.UnpicklingError(msg)


def _drugs(frequency: Mapping[str, float]) -> set[str]:
    path = _folder("drug_named_entity_recognition") / "drug_ner_dictionary.pkl.bz2"
    data = _Plain(io.BytesIO(bz2.decompress(path.read_bytes()))).load()
    entries = data["drug_canonical_to_data"]
    licensed = {key for key, facts in entries.items() if facts.keys() & {"drugbank_id", "mesh_id", "medline_plus_id"}}
    told = set(data["drug_variant_to_variant_data"])  # brand and generic names; the others are chemical synonyms
    variants = [v for v, canonical in data["drug_variant_to_canonical"].items() if licensed.intersection(canonical)]
    parts = {word for variant in variants if variant in told for word in _LOWER.findall(variant.lower()) if len(word) >= 4}
    return parts | {variant for variant in variants if len(variant) >= 5 and _LOWER.fullmatch(variant) and frequency.get(variant, 0.0) > 0}


def _shares(path: Path) -> dict[str, float]:
    rows = (line.split() for line in path.read_text(encoding="ascii").splitlines())
    return {row[0].lower(): float(row[1]) for row in rows if row}


def _faker() -> tuple[Counter[str], Counter[str]]:
    person = importlib.import_module("faker.providers.person")
    plain = importlib.import_module("unidecode").unidecode
    given, surnames = Counter[str](), Counter[str]()
    for module in pkgutil.iter_modules(person.__path__):
        provider = importlib.import_module(f"faker.providers.person.{module.name}").Provider
        for counter, mark in ((given, "first"), (surnames, "last")):
            lists = (getattr(provider, key) for key in dir(provider) if mark in key and not key.startswith("_"))
            parts = {
                part
                for values in lists
                if isinstance(values, (list, tuple, dict))
                for v in values
                for part in re.split(r"[\s\-]+", str(v).lower())
            }
            counter.update({form for part in parts for form in (part, plain(part).lower()) if len(form) > 1})
    return given, surnames


def _folder(package: str) -> Path:
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        msg = f"{package} is not installed; install the training extra: pip install 'phi-guard-toolkit[training]'"
        raise SystemExit(msg)
    return Path(spec.origin).parent


def _write(name: str, lines: Iterable[str]) -> None:
    (FOLDER / name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def _told(path: Path) -> dict[str, object]:
    content = path.read_bytes()
    return {"sha256": hashlib.sha256(content).hexdigest(), "lines": content.count(b"\n"), "bytes": len(content)}


def _told_sources(lines: Path | None) -> dict[str, dict[str, object]]:
    names = _folder("names")
    files = {
        "american-english-large": DICTIONARY,
        "names/dist.all.last": names / "dist.all.last",
        "names/dist.female.first": names / "dist.female.first",
        "names/dist.male.first": names / "dist.male.first",
        "wordfreq/large_en": _folder("wordfreq") / "data" / "large_en.msgpack.gz",
        "simple_icd_10_cm": next((_folder("simple_icd_10_cm") / "data").glob("icd10c-tabular-*.xml")),
        "drug_named_entity_recognition": _folder("drug_named_entity_recognition") / "drug_ner_dictionary.pkl.bz2",
    }
    return {name: _told(path) for name, path in (files | ({"dialogue lines": lines} if lines else {})).items()}


if __name__ == "__main__":
    main()
