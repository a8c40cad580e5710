"""``phi-guard.toml``: one file that says how a project is set up. It is turned into the variables that the code reads, and wins over none.

What the environment or an option says stands; what they leave open, the file says. It holds no secret: keys come from the environment.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Final

from phi_guard.errors import PhiGuardError
from phi_guard.project_keys import ENVIRONMENTS, KEYS, OVERLAID, WRITE, Key, text_of

NAME: Final = "phi-guard.toml"
VARIABLE: Final = "PHI_GUARD_CONFIG"
"""Names the file; ``none`` for no file."""
SIZE_MAX: Final = 262_144
"""Bytes of the file."""


class ProjectFileError(PhiGuardError, ValueError):
    """The file cannot be used; each of `faults` is ``file:line: key: what; what to write instead``, and holds no value of the file."""

    exit_code = 2  # the command line's code for a file that cannot be used

    def __init__(self, faults: Iterable[str]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(self.faults))


_SECRETS: Final = re.compile(
    r"lsv2_(?:pt|sk)_|ls__[0-9a-f]{16}|hooks\.slack(?:-gov)?\.com/|xox[abeoprs]-|\bsk-[A-Za-z0-9_-]{16}|\beyJ[A-Za-z0-9_-]{10,}\.eyJ"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY|://[^/\s\"']*:[^/\s\"'@]+@|\bAPI[A-Za-z0-9]{12,}\b"
)
"""Keys of LangSmith, Slack, OpenAI and LiveKit, tokens, private keys, and passwords in addresses."""
_SECRET_NAME: Final = re.compile(r"(?:^|_)(?:key|secret|token|password|passwd|credential|webhook|url)s?$|api_?key", re.IGNORECASE)
_HEADER: Final = re.compile(r"\s*\[\[?\s*([^\]]+?)\s*\]\]?\s*(?:#.*)?")
_ASSIGNED: Final = re.compile(r"""\s*((?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*'))*)\s*=""")
_LINE: Final = re.compile(r"at line ([0-9]+)")


@dataclass(frozen=True, slots=True)
class Setting:
    """One line of the file.

    Args:
        key: what it sets.
        env: the environment it holds for; empty for both.
        value: as a variable would hold it: paths absolute, numbers as text.
        line: where it stands.
    """

    key: Key
    env: str
    value: str
    line: int


@dataclass(frozen=True, slots=True)
class ProjectFile:
    """A file that holds.

    Args:
        path: where it is.
        settings: what it says, in its own order of sections.
    """

    path: Path
    settings: tuple[Setting, ...]

    @property
    def env(self) -> str:
        """The environment it names; empty where it names none."""
        return next((one.value for one in self.settings if one.key.name == "project.env"), "")

    def in_force(self, env: str) -> dict[str, Setting]:
        """What it says for an environment, by the name of the key: the environment's own part wins.

        Args:
            env: ``dev`` or ``prod``; empty for what holds for both.
        """
        chosen = {one.key.name: one for one in self.settings if not one.env}
        return chosen | {one.key.name: one for one in self.settings if one.env and one.env == env}


def find_file(start: Path, home: Path | None = None) -> Path | None:
    """The nearest file from a directory upwards, or None.

    The search ends with the root of a repository (a directory that holds ``.git``), with the home directory and with the root. A file that
    another user owns or anybody may write is no setting of ours.

    Args:
        start: where the search begins.
        home: the home directory; the user's own when not given.

    Raises:
        ProjectFileError: the one found belongs to another user, or anybody may write it.
    """
    last = home if home is not None else Path(os.path.expanduser("~"))  # noqa: PTH111  # Path.home() raises where there is none
    for directory in (start.absolute(), *start.absolute().parents):
        path = directory / NAME
        try:
            found = path.stat()
        except OSError:
            found = None
        if found is not None and stat.S_ISREG(found.st_mode):
            if found.st_uid not in {os.geteuid(), 0} or found.st_mode & stat.S_IWOTH:
                msg = f"{path}:1: file: another user could have written it; make it yours (chown, chmod o-w), or use --no-config"
                raise ProjectFileError([msg])
            return path
        if directory == last or (directory / ".git").exists():
            return None
    return None


def named_file(environ: Mapping[str, str], start: Path | None = None) -> Path | None:
    """The file in force: the one that ``PHI_GUARD_CONFIG`` names, else the nearest; None where there is none, or it says ``none``.

    Raises:
        ProjectFileError: as `find_file`.
    """
    own = environ.get(VARIABLE, "")
    if own == "none":
        return None
    if own:
        return Path(own).absolute()
    try:
        return find_file(start or Path.cwd())
    except FileNotFoundError:
        return None  # the working directory is gone


def read_file(path: Path) -> ProjectFile:
    """Read and check a file.

    Raises:
        ProjectFileError: it cannot be read, holds a secret, or says what there is not; with every fault.
    """
    import tomllib  # noqa: PLC0415  # only where there is a file

    try:
        content = path.read_bytes() if path.stat().st_size <= SIZE_MAX else None
    except OSError as fault:
        raise ProjectFileError([f"{path}:1: file: cannot be read ({fault.strerror}); see its name and its rights"]) from None
    if content is None:
        raise ProjectFileError([f"{path}:1: file: is over {SIZE_MAX // 1024} KB; it is no settings file"])
    try:
        text = content.decode()
        told = tomllib.loads(text)
    except UnicodeDecodeError:
        raise ProjectFileError([f"{path}:1: file: is not UTF-8; save it as UTF-8"]) from None
    except tomllib.TOMLDecodeError as fault:
        line = found[1] if (found := _LINE.search(str(fault))) else len(text.splitlines()) or 1
        what = "cannot be read as TOML: a quote or bracket is missing, or a key is there twice; text stands in quotes"
        raise ProjectFileError([f"{path}:{line}: file: {what}"]) from None
    except RecursionError:
        raise ProjectFileError([f"{path}:1: file: is nested too deep; write [sections] of one level"]) from None
    return _Reading(path, text, told).done()


def as_environment(file: ProjectFile, env: str = "") -> dict[str, str]:
    """What a file says as the variables that the code reads.

    Args:
        file: the file.
        env: the environment that an option or a variable chose; empty for the file's own.
    """
    chosen = env or file.env
    said = {name: one.value for one in file.in_force(chosen).values() for name in one.key.variables}
    return said | ({"PHI_GUARD_ENV": chosen} if env else {})


def with_file(environ: Mapping[str, str], env: str = "", start: Path | None = None) -> dict[str, str]:
    """The environment with what the file in force adds to it; what is set already stays.

    Args:
        environ: the environment.
        env: the environment an argument chose; empty for the one of ``PHI_GUARD_ENV``, else the file's.
        start: where the search for a file begins; the working directory when not given.

    Raises:
        ProjectFileError: there is a file that cannot be used.
    """
    path = named_file(environ, start)
    if path is None:
        return dict(environ)
    chosen = env or environ.get("PHI_GUARD_ENV", "")
    said = as_environment(_held(path), chosen if chosen in ENVIRONMENTS else "")
    return said | {name: value for name, value in environ.items() if value or name not in said}


def _held(path: Path) -> ProjectFile:
    """The file, read again only when it has changed: each call of an agent asks."""
    try:
        found = path.stat()
    except OSError:
        return read_file(path)
    return _read_once(path, found.st_mtime_ns, found.st_size, found.st_ino)


@lru_cache(maxsize=4)
def _read_once(path: Path, mtime_ns: int, size: int, inode: int) -> ProjectFile:  # noqa: ARG001  # they are the key
    return read_file(path)


def chosen_env(arguments: Sequence[str]) -> str:
    """The environment that a command line names with ``--env``; empty where it names none. The part of the file must be that one's."""
    named = [one.partition("=")[2] for one in arguments if one.startswith("--env=")]
    named += [value for name, value in pairwise(arguments) if name == "--env"]
    return next((one for one in named if one in ENVIRONMENTS), "")


class _Reading:
    """One file being checked: what it says, and every fault of it with its line."""

    def __init__(self, path: Path, text: str, told: Mapping[str, object]) -> None:
        self.path = path
        self.told = told
        self.lines = _lines(text)
        self.secrets = [n for n, line in enumerate(text.splitlines(), 1) if _SECRETS.search(line)]
        self.faults: dict[int, list[str]] = {}

    def done(self) -> ProjectFile:
        """The file.

        Raises:
            ProjectFileError: it has a fault.
        """
        for line in self.secrets:
            what = "holds what looks like a key, a password or a webhook's address; take it out, give it by the environment, and change it"
            self._fault(line, "secret", what)
        settings = [*self._settings(self.told, "", ("environments",)), *self._overlays()]
        if self.faults:
            raise ProjectFileError(f"{self.path}:{line}: {what}" for line, found in sorted(self.faults.items()) for what in found)
        return ProjectFile(self.path, tuple(settings))

    def _overlays(self) -> Iterator[Setting]:
        overlays = self.told.get("environments", {})
        if not isinstance(overlays, dict):
            self._fault(self._line("environments"), "environments", "is no section; write [environments.dev] or [environments.prod]")
            return
        for env, told in overlays.items():
            at = f"environments.{env}"
            if env not in ENVIRONMENTS:
                self._fault(self._line(at), "environments", "there are dev and prod and no third environment; write one of these")
            elif not isinstance(told, dict):
                self._fault(self._line(at), at, f"is no section; write [{at}]")
            else:
                yield from self._settings(told, env, ())

    def _settings(self, told: Mapping[str, object], env: str, beside: tuple[str, ...]) -> Iterator[Setting]:
        known = {key.name: key for key in (OVERLAID if env else KEYS)}
        sections = sorted({name.partition(".")[0] for name in known})
        before = f"environments.{env}." if env else ""
        for section, said in told.items():
            if section in beside:
                continue
            line = self._line(before + section)
            if section not in sections:
                self._unknown(line, before + section, section, [*sections, *beside], "section")
            elif not isinstance(said, dict):
                self._fault(line, before + section, f"is a section: write [{before}{section}]")
            else:
                for name, value in said.items():
                    key, at = known.get(f"{section}.{name}"), f"{before}{section}.{name}"
                    line = self._line(at)
                    if key is None:
                        near = [one.partition(".")[2] for one in known if one.startswith(f"{section}.")]
                        self._unknown(line, at, name, near, "key")
                    elif (text := text_of(key.kind, value, self.path.parent)) is None:
                        self._fault(line, at, f"is not what it should be; {WRITE[key.kind]}")
                    else:
                        yield Setting(key, env, text, line)

    def _unknown(self, line: int, at: str, name: str, known: Sequence[str], what: str) -> None:
        if _SECRET_NAME.search(name):
            self._fault(
                line, _plain(at), "secrets do not belong into this file; give it by the environment (phi-audit doctor --live says which)"
            )
            return
        from difflib import get_close_matches  # noqa: PLC0415  # only for what is wrong

        near = get_close_matches(name, known, 1)
        advice = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
        self._fault(line, _plain(at), f"there is no such {what}; {advice}")

    def _line(self, at: str) -> int:
        return next((line for name, line in self.lines.items() if name == at or name.startswith(f"{at}.")), 1)

    def _fault(self, line: int, at: str, what: str) -> None:
        self.faults.setdefault(line, []).append(f"{at}: {what}")


def _plain(at: str) -> str:
    """A name that is somebody's text: cut, and only where it could be a key's name at all."""
    return at if re.fullmatch(r"[A-Za-z0-9_.-]{1,80}", at) and not _SECRETS.search(at) else "key"


def _lines(text: str) -> dict[str, int]:
    """The first line of each dotted name. Read line by line: TOML's own reader tells no lines."""
    found: dict[str, int] = {}
    section = ""
    for n, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.fullmatch(line):
            section = _dotted(header[1])
            found.setdefault(section, n)
        elif assigned := _ASSIGNED.match(line):
            found.setdefault(".".join(part for part in (section, _dotted(assigned[1])) if part), n)
    return found


def _dotted(name: str) -> str:
    return ".".join(part.strip().strip("\"'") for part in name.split("."))
