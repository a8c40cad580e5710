"""The workspace: what a scan has done so far and what it need not do again, in two files of this machine's user alone.

Results of finished portions stand in one file, so that an interrupted scan goes on; what each run gave stands in the other, so that an
unchanged run is not scanned again. Neither holds a value of a trace: closed names, ids, times, counts and keyed digests. Nothing in them
is believed unless its keyed digest says that this audit wrote it: a file that is damaged or another's is put aside, and that is said.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple, fields
from datetime import datetime
from pathlib import Path
from typing import Final

from audit.findings import Finding

SCHEMA: Final = 1
_APPLICATION: Final = 0x70686175  # "phau"
LISTED_MAX: Final = 10_000
"""Findings that a report lists one by one; of further ones it says how many there are."""
_COLUMNS: Final = tuple(f.name for f in fields(Finding))
_SEVERITIES: Final = ("high", "medium", "low")

_TABLES: Final = f"""
CREATE TABLE IF NOT EXISTS about (key TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS portion (name TEXT PRIMARY KEY, runs INTEGER, findings INTEGER, mac BLOB) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS finding (seq INTEGER PRIMARY KEY, portion TEXT, {", ".join(_COLUMNS)});
CREATE INDEX IF NOT EXISTS finding_portion ON finding (portion);
CREATE INDEX IF NOT EXISTS finding_run ON finding (run_id);
CREATE INDEX IF NOT EXISTS finding_trace ON finding (trace_id);
"""
_CACHE: Final = "CREATE TABLE IF NOT EXISTS cache (method BLOB, run BLOB, findings BLOB, mac BLOB, PRIMARY KEY (method, run)) WITHOUT ROWID"


class Workspace:
    """One scan's files.

    Args:
        path: of the results; the cache stands beside it. None for temporary files, which nothing is left of.
        key: the audit's own; what it did not sign is not believed.
        identity: digest of what is scanned and how; results of another are not gone on with.
        resume: whether to go on with an unfinished scan of the same identity; without it results begin anew, and the cache stays.

    Attributes:
        db: the results; the caller's own tables may stand there too. Committed by `finish` alone.
        notes: what was found out about the files that a reader must know.
        resumed: whether an unfinished scan is gone on with.
    """

    def __init__(self, path: Path | None, *, key: bytes, identity: str, resume: bool = False) -> None:
        self.notes: list[str] = []
        self.resumed = False
        self._key = key
        self._identity = identity
        self._cached = 0
        if path is not None:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.db = self._open(path, _TABLES)
        self._cache = self._open(path.with_suffix(".cache") if path is not None else None, _CACHE)
        self._begin(path, resume=resume)

    def _open(self, path: Path | None, tables: str) -> sqlite3.Connection:
        # without a path, a temporary file of SQLite's, deleted when it is closed
        db = self._checked(path) if path is not None else sqlite3.connect("")
        db.executescript(tables)
        db.execute(f"PRAGMA application_id = {_APPLICATION}")
        db.execute(f"PRAGMA user_version = {SCHEMA}")
        db.commit()
        return db

    def _checked(self, path: Path) -> sqlite3.Connection:
        """The file's database, if it is ours and whole; else the file goes aside and a new one is begun."""
        if path.is_symlink() or (path.exists() and (not path.is_file() or path.stat().st_uid != os.getuid())):
            self._aside(path, "it is not a file of this user's")
        if path.exists():
            db = None
            why = ""
            try:
                db = sqlite3.connect(path)
                ours = db.execute("PRAGMA application_id").fetchone()[0] == _APPLICATION
                version = db.execute("PRAGMA user_version").fetchone()[0]
                if not ours or version != SCHEMA:
                    why = "it is not a workspace of this version"
                elif db.execute("PRAGMA quick_check").fetchone()[0] != "ok":
                    why = "it is damaged"
            except sqlite3.DatabaseError:
                why = "it is damaged"
            if db is not None and not why:
                path.chmod(0o600)
                return db
            if db is not None:
                db.close()
            self._aside(path, why)
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600))
        return sqlite3.connect(path)

    def _aside(self, path: Path, why: str) -> None:
        n = 1
        while (aside := path.with_name(f"{path.name}.aside-{n}")).exists():
            n += 1
        path.rename(aside)
        journal = path.with_name(f"{path.name}-journal")
        if journal.exists():
            journal.unlink()  # it belongs to the file that went, and would be played into the new one
        self.notes.append(f"the workspace {path.name} was put aside as {aside.name}, since {why}; the scan began anew")

    def _begin(self, path: Path | None, *, resume: bool) -> None:
        held = dict(self.db.execute("SELECT key, value FROM about"))
        begun = held.get("state") == "unfinished"
        same = held.get("identity") == self._identity and held.get("key") == self._mac("key").hex()
        if resume and begun and same and path is not None:
            if self._portions_hold():
                self.resumed = True
                return
            self.db.close()
            self._aside(path, "its results are not those that were written")
            self.db = self._open(path, _TABLES)
        elif resume and begun:
            self.notes.append("the unfinished scan in the workspace is another's or of another method; this scan began anew")
        self._clear()
        about = {"identity": self._identity, "key": self._mac("key").hex(), "state": "unfinished"}
        self.db.executemany("INSERT OR REPLACE INTO about VALUES (?, ?)", about.items())
        self.db.commit()

    def _clear(self) -> None:
        names = [name for (name,) in self.db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for name in names:
            if not name.startswith("sqlite_"):
                self.db.execute(f'DELETE FROM "{name}"')  # noqa: S608  # the file's own tables

    def _portions_hold(self) -> bool:
        rows = self.db.execute("SELECT name, runs, findings, mac FROM portion").fetchall()
        (loose,) = self.db.execute("SELECT count(*) FROM finding WHERE portion NOT IN (SELECT name FROM portion)").fetchone()
        return not loose and all(mac == self._portion_mac(name, runs, findings) for name, runs, findings, mac in rows)

    def _portion_mac(self, name: str, runs: int, findings: int) -> bytes:
        rows = self.db.execute(f"SELECT {', '.join(_COLUMNS)} FROM finding WHERE portion = ? ORDER BY seq", (name,))  # noqa: S608
        held = hashlib.blake2b(json.dumps([self._identity, name, runs, findings]).encode(), key=self._key, digest_size=16)
        for row in rows:
            held.update(json.dumps(row).encode())
        return held.digest()

    def _mac(self, *parts: str | bytes) -> bytes:
        held = hashlib.blake2b(key=self._key, digest_size=16, person=b"phi workspace")
        for part in parts:
            data = part.encode() if isinstance(part, str) else part
            held.update(len(data).to_bytes(8, "big") + data)
        return held.digest()

    def bind(self, method: str) -> bool:
        """Say with what method the scan goes on; results of another are forgotten. True if that was so.

        Args:
            method: digest of the method.
        """
        held = dict(self.db.execute("SELECT key, value FROM about"))
        changed = self.resumed and held.get("method") != method
        if changed:
            self.notes.append("the unfinished scan was made with other detectors, lists or models; this scan began anew")
            self.resumed = False
            self._clear()
            self.db.executemany("INSERT INTO about VALUES (?, ?)", held.items())
        self.db.execute("INSERT OR REPLACE INTO about VALUES ('method', ?)", (method,))
        self.db.commit()
        return changed

    def forget_others(self, method: bytes) -> None:
        """Drop what was remembered of other methods: nobody will ask for it again."""
        self._cache.execute("DELETE FROM cache WHERE method != ?", (method,))

    def note_window(self, since: datetime | None, until: datetime | None) -> None:
        """Write down the window, so that who goes on can ask for the same (`unfinished`)."""
        window = {"since": since.isoformat() if since else "", "until": until.isoformat() if until else ""}
        self.db.executemany("INSERT OR REPLACE INTO about VALUES (?, ?)", window.items())
        self.db.commit()

    def done(self, portion: str) -> int | None:
        """How many runs a finished portion had; None for one that is not finished."""
        row = self.db.execute("SELECT runs FROM portion WHERE name = ?", (portion,)).fetchone()
        return None if row is None else int(row[0])

    def add(self, portion: str, findings: Sequence[Finding], *, again: bool = False) -> None:
        """Keep findings of a portion that is being read.

        Args:
            portion: its name.
            findings: of one run.
            again: whether the run came before; then only what is new is kept, since it may have changed while it was read.
        """
        marks = ", ".join("?" * (len(_COLUMNS) + 1))
        if again:
            same = " AND ".join(f"{column} = ?" for column in _COLUMNS)
            asked = f"SELECT 1 FROM finding WHERE {same}"  # noqa: S608  # our own columns
            findings = [f for f in findings if self.db.execute(asked, astuple(f)).fetchone() is None]
        self.db.executemany(
            f"INSERT INTO finding (portion, {', '.join(_COLUMNS)}) VALUES ({marks})",  # noqa: S608  # our own columns
            ((portion, *astuple(f)) for f in findings),
        )

    def finish(self, portion: str, runs: int) -> None:
        """The portion is read to its end: all of it is kept from now on, whatever happens."""
        (findings,) = self.db.execute("SELECT count(*) FROM finding WHERE portion = ?", (portion,)).fetchone()
        self.db.execute("INSERT INTO portion VALUES (?, ?, ?, ?)", (portion, runs, findings, self._portion_mac(portion, runs, findings)))
        self.db.commit()
        self._cache.commit()

    def close(self, *, whole: bool) -> None:
        """End the scan: what was not finished is forgotten, but for the cache."""
        self.db.rollback()
        if whole:
            self.db.execute("INSERT OR REPLACE INTO about VALUES ('state', 'finished')")
            self.db.commit()
        self._cache.commit()

    def release(self) -> None:
        """Close the files; the listings below cannot be asked any more."""
        self.db.close()
        self._cache.close()

    def recall(self, method: bytes, run: bytes) -> tuple[Finding, ...] | None:
        """What a run of this content gave with this method, or None where that is not known or not to be believed.

        Args:
            method: digest of the method.
            run: keyed digest of the run's content.
        """
        row = self._cache.execute("SELECT findings, mac FROM cache WHERE method = ? AND run = ?", (method, run)).fetchone()
        if row is None or row[1] != self._mac(method, run, row[0]):
            return None
        return tuple(Finding(*held) for held in json.loads(row[0]))

    def remember(self, method: bytes, run: bytes, findings: Sequence[Finding]) -> None:
        """Keep what a run gave."""
        data = json.dumps([astuple(f) for f in findings], separators=(",", ":")).encode()
        self._cache.execute("INSERT OR REPLACE INTO cache VALUES (?, ?, ?, ?)", (method, run, data, self._mac(method, run, data)))
        self._cached += 1
        if self._cached % 2_000 == 0:
            self._cache.commit()

    def listed(self, most: int = LISTED_MAX) -> tuple[Finding, ...]:
        """The findings in the order they were found; where there are more than ``most``, the gravest first are kept."""
        order = "CASE severity WHEN 'high' THEN 0 WHEN 'medium' THEN 1 ELSE 2 END, seq"
        rows = self.db.execute(f"SELECT seq, {', '.join(_COLUMNS)} FROM finding ORDER BY {order} LIMIT ?", (most,)).fetchall()  # noqa: S608
        return tuple(Finding(*row[1:]) for row in sorted(rows))

    def severities(self) -> dict[str, int]:
        """How many findings there are of each severity, listed or not."""
        counted = dict(self.db.execute("SELECT severity, count(*) FROM finding GROUP BY severity"))
        return {severity: counted.get(severity, 0) for severity in _SEVERITIES}

    def kinds(self) -> dict[tuple[str, str, str], int]:
        """How many findings there are by entity, place and severity, listed or not."""
        rows = self.db.execute("SELECT entity, place, severity, count(*) AS n FROM finding GROUP BY 1, 2, 3 ORDER BY n DESC, 1, 2, 3")
        return {(entity, place, severity): n for entity, place, severity, n in rows}

    def leaking(self) -> int:
        """In how many traces there is a finding that is no mere suspicion."""
        (n,) = self.db.execute("SELECT count(DISTINCT trace_id) FROM finding WHERE severity != 'low'").fetchone()
        return int(n)


class FindingsByTrace(Mapping[str, int]):
    """How many findings lie in each trace, asked of the workspace one by one.

    Args:
        workspace: not yet released.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._db = workspace.db

    def __getitem__(self, trace_id: str) -> int:
        (n,) = self._db.execute("SELECT count(*) FROM finding WHERE trace_id = ?", (trace_id,)).fetchone()
        if not n:
            raise KeyError(trace_id)
        return int(n)

    def __iter__(self) -> Iterator[str]:
        return (trace for (trace,) in self._db.execute("SELECT DISTINCT trace_id FROM finding ORDER BY 1"))

    def __len__(self) -> int:
        (n,) = self._db.execute("SELECT count(DISTINCT trace_id) FROM finding").fetchone()
        return int(n)


def unfinished(path: Path) -> tuple[datetime, datetime] | None:
    """The window of the unfinished scan whose results stand in a file, or None where there is none; the file is not changed.

    A scan goes on only with the window it began with: "the last seven days" are others an hour later.
    """
    try:
        db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
    except sqlite3.Error:
        return None
    try:
        held = dict(db.execute("SELECT key, value FROM about"))
        if held.get("state") != "unfinished":
            return None
        return datetime.fromisoformat(held["since"]), datetime.fromisoformat(held["until"])
    except (sqlite3.Error, KeyError, ValueError, TypeError):
        return None
    finally:
        db.close()


def location(directory: Path, key: bytes, *, project: str, place: str, policy: str) -> Path:
    """Where the workspace of a project at a place under a policy stands; its name tells none of them.

    Args:
        directory: the audit's own (`audit.keys.audit_dir`).
        key: the audit's own.
        project: as given.
        place: the source's.
        policy: the policy's digest.
    """
    held = hashlib.blake2b(json.dumps([project, place, policy]).encode(), key=key, digest_size=12, person=b"phi workspace")
    return directory / "scans" / f"{held.hexdigest()}.sqlite"


def content_digest(run: Mapping[str, object], key: bytes) -> bytes:
    """Keyed BLAKE2b of a run's canonical JSON: equal content, equal digest, and without the key it tells nothing. 16 bytes.

    Raises:
        RecursionError: it is nested deeper than JSON can be written.
        ValueError: it holds what JSON cannot.
    """
    canonical = json.dumps(run, sort_keys=True, separators=(",", ":"), ensure_ascii=True, default=_refused)
    return hashlib.blake2b(canonical.encode(), key=key, digest_size=16, person=b"phi run").digest()


def _refused(_: object) -> object:
    msg = "a run holds what JSON cannot"
    raise ValueError(msg)
