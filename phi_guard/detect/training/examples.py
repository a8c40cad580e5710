"""Labelled texts from files, cut into word pieces with one label each, and gathered into batches of like length."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

import torch
from torch import Tensor

from phi_guard.detect.training.network import LABELS

if TYPE_CHECKING:
    from tokenizers import Tokenizer

WINDOW: Final = 128
"""Word pieces of one sequence, the two at its ends included."""

OVERLAP: Final = 24
"""Word pieces that two windows of a longer text share."""

UNLABELLED: Final = -100
"""torch's number for a place that does not count: the two ends and the padding."""

INDEX: Final = {label: index for index, label in enumerate(LABELS)}


@dataclass(frozen=True, slots=True)
class Text:
    """One text and what in it is PHI.

    Args:
        text: the text.
        spans: start, end (characters) and label of each stretch, in order, none overlapping.
        kind: what sort of text it is.
        origin: where its name comes from, if it has one and that is known.
    """

    text: str
    spans: tuple[tuple[int, int, str], ...] = ()
    kind: str = ""
    origin: str | None = None


@dataclass(frozen=True, slots=True)
class Sequence128:
    """At most `WINDOW` word pieces and their labels.

    Args:
        pieces: numbers of the word pieces, the two ends included.
        labels: an index into `LABELS` for each, `UNLABELLED` at the ends.
        places: start and end of each in the text, in characters; empty at the ends.
    """

    pieces: list[int]
    labels: list[int]
    places: list[tuple[int, int]] = field(repr=False)


def read(path: Path) -> list[Text]:
    """The texts of a file of lines ``{"text", "spans": [{"start", "end", "label"}], "kind", "origin"}``.

    Args:
        path: the file.

    Raises:
        ValueError: a label that is not one of ours; the line is named, its text is not.
    """
    texts = []
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            facts = json.loads(line)
            spans = tuple(sorted((s["start"], s["end"], s["label"]) for s in facts["spans"]))
            if unknown := {label for _, _, label in spans} - set(LABELS[1:]):
                raise ValueError(f"{path.name}:{number}: unknown label {sorted(unknown)[0]}; the labels are {', '.join(LABELS[1:])}")
            texts.append(Text(facts["text"], spans, facts.get("kind") or "", facts.get("origin")))
    return texts


def written(text: Text) -> str:
    """The text as a line that `read` reads.

    Args:
        text: a labelled text.
    """
    spans = [{"start": start, "end": end, "label": label} for start, end, label in text.spans]
    return json.dumps({"text": text.text, "spans": spans, "kind": text.kind, "origin": text.origin}, ensure_ascii=False)


def sequences(tokenizer: Tokenizer, texts: Sequence[Text]) -> Iterator[list[Sequence128]]:
    """For each text its windows: one for most, overlapping ones for a long text.

    Args:
        tokenizer: the network's own, without padding or truncation.
        texts: the texts.

    Raises:
        ValueError: the tokenizer has no marks for the two ends.
    """
    first, last = (_number(tokenizer, mark) for mark in ("[CLS]", "[SEP]"))
    body = WINDOW - 2
    for text, encoded in zip(texts, tokenizer.encode_batch([t.text for t in texts], add_special_tokens=False), strict=True):
        labels = _labels(encoded.offsets, text.spans)
        starts = range(0, max(1, len(encoded.ids) - OVERLAP), body - OVERLAP)
        yield [
            Sequence128(
                [first, *encoded.ids[start : start + body], last],
                [UNLABELLED, *labels[start : start + body], UNLABELLED],
                [(0, 0), *encoded.offsets[start : start + body], (0, 0)],
            )
            for start in starts
        ]


def _number(tokenizer: Tokenizer, mark: str) -> int:
    number = tokenizer.token_to_id(mark)
    if number is None:
        raise ValueError(f"the tokenizer does not know {mark}; use the one beside the network")
    return number


def _labels(places: Sequence[tuple[int, int]], spans: Sequence[tuple[int, int, str]]) -> list[int]:
    """A word piece has the label of the span it touches, so that no part of a span is left out."""
    labels, waiting = [], list(reversed(spans))
    for start, end in places:
        while waiting and waiting[-1][1] <= start:
            waiting.pop()
        labels.append(INDEX[waiting[-1][2]] if waiting and waiting[-1][0] < end else 0)
    return labels


def batches(pool: Sequence[Sequence128], budget: int, order: random.Random | None = None) -> Iterator[list[int]]:
    """Indexes of the pool in batches of like length.

    Args:
        pool: the sequences.
        budget: word pieces a batch may have, padding counted.
        order: shuffles within near lengths and then the batches; without it the shortest come first.
    """
    near = [len(s.pieces) + (order.random() * 6 if order else 0) for s in pool]
    gathered: list[list[int]] = []
    batch: list[int] = []
    longest = 0
    for index in sorted(range(len(pool)), key=near.__getitem__):
        longest = max(longest, len(pool[index].pieces))
        if batch and (len(batch) + 1) * longest > budget:
            gathered.append(batch)
            batch, longest = [], len(pool[index].pieces)
        batch.append(index)
    if batch:
        gathered.append(batch)
    if order:
        order.shuffle(gathered)
    yield from gathered


def tensors(batch: Sequence[Sequence128]) -> tuple[Tensor, Tensor, Tensor]:
    """Word pieces, mask and labels of one batch, padded to its longest; each texts by word pieces.

    Args:
        batch: its sequences.
    """
    length = max(len(s.pieces) for s in batch)
    pieces = torch.zeros(len(batch), length, dtype=torch.long)
    mask = torch.zeros(len(batch), length, dtype=torch.long)
    labels = torch.full((len(batch), length), UNLABELLED, dtype=torch.long)
    for row, sequence in enumerate(batch):
        filled = len(sequence.pieces)
        pieces[row, :filled] = torch.tensor(sequence.pieces)
        mask[row, :filled] = 1
        labels[row, :filled] = torch.tensor(sequence.labels)
    return pieces, mask, labels
