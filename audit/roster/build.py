"""Builds an index from a list of people, in memory that does not grow with the list."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from audit.roster.entries import entries_of, name_entries
from audit.roster.facts import RosterError, RosterFacts
from audit.roster.index import KINDS, Digests, Sorter, write
from audit.roster.people import BadRows, PeopleList, Person
from audit.roster.words import fold

SEEN_MAX: Final = 100_000
"""Names of which it is remembered that they are taken in already."""
STEP: Final = 10_000
"""Rows after which `build_roster` tells how far it is."""


@dataclass(frozen=True, slots=True)
class Built:
    """What was built.

    Args:
        facts: of the index; the digest of its file is empty for a dry run.
        columns: by kind, the headings that were read.
        encoding: the list was read in.
        delimiter: of the list.
        bad: rows left out, and values that could not be read, by reason.
    """

    facts: RosterFacts
    columns: Mapping[str, tuple[str, ...]]
    encoding: str
    delimiter: str
    bad: BadRows


def build_roster(
    people: PeopleList, to: Path | None, key: bytes, *, now: datetime, progress: Callable[[int], None] = lambda _: None
) -> Built:
    """Build an index.

    Args:
        people: the list.
        to: the index file, replaced if it is there; None for a dry run, which reads and counts only.
        key: 32 bytes.
        now: when it is built, in UTC.
        progress: told the rows read, now and then.

    Raises:
        RosterError: the list cannot be read, none of its rows can be used, or the index cannot be written.
    """
    digests, count, latest = Digests(key), 0, now.year
    seen: dict[str, None] = {}
    with ExitStack() as stack:
        try:
            folder = to.parent if to else Path(tempfile.gettempdir())
            sorters = {kind: Sorter(folder) for kind in KINDS}
        except OSError as fault:
            raise RosterError(f"{folder}: nothing can be written there ({fault.strerror}); choose another directory with -o") from None
        for sorter in sorters.values():
            stack.callback(sorter.close)
        try:
            for read, person in enumerate(people.people(), 1):
                if _take(person, sorters, digests, seen, people.bad, latest):
                    count += 1
                if read % STEP == 0:
                    progress(read)
            built_at = now.isoformat(timespec="seconds").replace("+00:00", "Z")
            if not count:
                raise RosterError("no row of the list could be used; name its columns with --columns name=HEADING,...")
            if to is not None:
                facts = write(to, sorters, key, people=count, built_at=built_at)
            else:
                entries = {kind: sum(map(len, sorters[kind].merged())) for kind in KINDS}
                facts = RosterFacts("", built_at, count, entries, "")
        except OSError as fault:
            raise RosterError(f"{folder}: the space for sorting is gone ({fault.strerror}); choose another directory with -o") from None
    return Built(facts, people.columns, people.encoding, people.delimiter, people.bad)


def _take(person: Person, sorters: Mapping[str, Sorter], digests: Digests, seen: dict[str, None], bad: BadRows, latest: int) -> bool:
    """Take a row in; False if nothing of it could be used."""
    taken = False
    values = person.values
    names = (values.get("name", ()), values.get("given", ()), values.get("surname", ()))
    whole = fold("|".join(",".join(part) for part in names))[0] if any(names) else ""
    if whole and whole in seen and whole.isascii():
        taken = True
    elif whole:
        forms = [digests.digest(kind, form) for kind, form in name_entries(*names)]
        sorters["name"].add(forms)
        taken = bool(forms)
        if forms:
            if len(seen) >= SEEN_MAX:
                seen.clear()
            seen[whole] = None
        else:
            bad.add("has a name without a word of two letters", person.line)
    for kind in values.keys() - {"name", "given", "surname"}:
        found = [digests.digest(section, form) for section, form in entries_of(kind, values[kind], latest)]
        sorters[kind].add(found)
        taken |= bool(found)
        if not found:
            bad.add(f"has a value under {kind} that cannot be used", person.line)
    if not taken:
        bad.add("holds nothing that can be used", person.line)
    return taken
