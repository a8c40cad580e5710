"""The list of people as a clinic exports it: CSV in any usual encoding and delimiter, row by row."""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from audit.roster.entries import COLUMNS
from audit.roster.facts import RosterError
from audit.roster.words import fold

TOLD_MAX: Final = 20
"""Line numbers of bad rows that are told; all are counted."""
_LINES_MAX: Final = 20
"""Lines a row may take: a quote that is never closed swallows the rows behind it."""

_KNOWN: Final = {
    "name": "name fullname patient patientname nom complet nomcomplet vollername patientenname",
    "given": "given givenname first firstname forename vorname prenom middle middlename",
    "surname": "surname last lastname familyname family nachname familienname nom nomdefamille maidenname",
    "phone": "phone phonenumber telephone tel mobile mobilephone cell cellphone telefon telefonnummer handy natel portable",
    "dob": "dob dateofbirth birth birthdate birthday geburtsdatum geburtstag datedenaissance naissance born",
    "mrn": "mrn medicalrecordnumber recordnumber patientid patientnumber patientennummer patientenid dossier numerodedossier chartnumber",
    "email": "email emailaddress mail courriel emailadresse",
    "address": "address street streetaddress adresse strasse rue line1 addressline1",
    "id": "ssn ahv ahvnummer avs nir nss socialsecuritynumber nationalid versichertennummer",
}
_MEANT: Final = {word: kind for kind, words in _KNOWN.items() for word in words.split()}


@dataclass(frozen=True, slots=True)
class Person:
    """One row.

    Args:
        line: of the file, where the row ends.
        values: by kind of column, what stands in them.
    """

    line: int
    values: Mapping[str, tuple[str, ...]] = field(repr=False)


@dataclass(slots=True)
class BadRows:
    """Rows that could not be read, by reason; never what stands in them.

    Args:
        count: by reason, how many.
        lines: by reason, the first `TOLD_MAX` line numbers.
    """

    count: dict[str, int] = field(default_factory=dict)
    lines: dict[str, list[int]] = field(default_factory=dict)

    def add(self, reason: str, line: int) -> None:
        """Count one."""
        self.count[reason] = self.count.get(reason, 0) + 1
        told = self.lines.setdefault(reason, [])
        if len(told) < TOLD_MAX:
            told.append(line)


class PeopleList:
    """A CSV file of people.

    Args:
        path: of the file.
        columns: by kind of `COLUMNS`, the headings of its columns; empty to go by the headings' own words, in English, German and French.

    Attributes:
        encoding: ``utf-8-sig``, ``utf-16`` or ``latin-1``; the last is what a file that is no UTF-8 is taken for.
        delimiter: as its first line has it.
        columns: by kind, the headings found.
        bad: rows that could not be read, once `people` has run.

    Raises:
        RosterError: it cannot be read, or has no column that can be used.
    """

    def __init__(self, path: Path, columns: Mapping[str, tuple[str, ...]] | None = None) -> None:
        self._path = path
        self.bad = BadRows()
        try:
            self.encoding = _encoding(path)
            with path.open(encoding=self.encoding, newline="") as file:
                head = file.readline(65_536)
        except (OSError, UnicodeError) as fault:
            why = fault.strerror if isinstance(fault, OSError) else "no text"
            raise RosterError(f"{path}: cannot be read ({why}); give a CSV file with a line of headings") from None
        self.delimiter = max(",;\t|", key=head.count)
        try:
            self._headings = next(csv.reader([head], delimiter=self.delimiter), [])
        except csv.Error:
            self._headings = []
        self._kinds = self._chosen(columns) if columns else [_MEANT.get(_plain(heading), "") for heading in self._headings]
        found: dict[str, list[str]] = {}
        for heading, kind in zip(self._headings, self._kinds, strict=True):
            if kind:
                found.setdefault(kind, []).append(heading.strip())
        self.columns = {kind: tuple(headings) for kind, headings in found.items()}
        if not self.columns:
            raise RosterError(f"{path}:1: no heading says what its column holds; name them with --columns name=HEADING,dob=HEADING,...")

    def _chosen(self, columns: Mapping[str, tuple[str, ...]]) -> list[str]:
        plain = {heading.strip(): n for n, heading in enumerate(self._headings)}
        kinds = [""] * len(self._headings)
        for kind, headings in columns.items():
            if kind not in COLUMNS:
                raise RosterError(f"--columns: there is no kind of column {kind!r}; there are {', '.join(COLUMNS)}")
            for heading in headings:
                if heading not in plain:
                    raise RosterError(f"{self._path}:1: no column has the heading given for {kind}; it is compared letter by letter")
                kinds[plain[heading]] = kind
        return kinds

    def people(self) -> Iterator[Person]:
        """Every row that can be read, in order; the others are counted in `bad`. Memory does not grow with the file.

        Raises:
            RosterError: the file cannot be read on.
        """
        try:
            with self._path.open(encoding=self.encoding, newline="", errors="replace") as file:
                rows = csv.reader(file, delimiter=self.delimiter)
                next(rows, None)
                while True:
                    begun = rows.line_num
                    try:
                        row = next(rows)
                    except StopIteration:
                        return
                    except csv.Error:
                        self.bad.add("is no row of CSV", begun + 1)
                        continue
                    if rows.line_num - begun > _LINES_MAX:
                        self.bad.add("has a quote that is not closed for many lines", begun + 1)
                    elif len(row) != len(self._headings):
                        if row:  # an empty line is nobody's row
                            self.bad.add("has another number of columns than the headings", rows.line_num)
                    else:
                        yield Person(rows.line_num, self._values(row))
        except OSError as fault:
            raise RosterError(f"{self._path}: cannot be read on ({fault.strerror})") from None

    def _values(self, row: list[str]) -> dict[str, tuple[str, ...]]:
        values: dict[str, tuple[str, ...]] = {}
        for kind, cell in zip(self._kinds, row, strict=True):
            if kind and (value := cell.strip()):
                values[kind] = (*values.get(kind, ()), value)
        return values


def _plain(heading: str) -> str:
    return re.sub(r"[\W_\d]+", "", fold(heading)[0])


def _encoding(path: Path) -> str:
    with path.open("rb") as file:
        start = file.read(4)
        if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            return "utf-16"
        file.seek(0)
        decoder = codecs.getincrementaldecoder("utf-8-sig")()
        try:
            while piece := file.read(1 << 20):
                decoder.decode(piece)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return "latin-1"
    return "utf-8-sig"
