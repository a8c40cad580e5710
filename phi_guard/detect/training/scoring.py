"""Recall and harmless words lost of a network over labelled texts, by class, kind and origin."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from phi_guard.detect.training.examples import Sequence128, Text, batches, sequences

if TYPE_CHECKING:
    from tokenizers import Tokenizer

THRESHOLD: Final = 0.1
"""P(not O) from which a word piece is taken, as the gate's profiles do."""

Judge: TypeAlias = Callable[[NDArray[np.int64], NDArray[np.int64]], NDArray[np.float32]]
"""Word pieces and mask (texts by word pieces) to logits (texts by word pieces by labels)."""


@dataclass(slots=True)
class Score:
    """Counts over texts.

    Args:
        spans: how many stretches of PHI, by group.
        touched: of these, how many with at least one word piece taken.
        whole: of these, how many with every word piece taken.
        words: harmless words, by kind of text.
        lost: of these, how many are taken.
    """

    spans: Counter[tuple[str, str]] = field(default_factory=Counter)
    touched: Counter[tuple[str, str]] = field(default_factory=Counter)
    whole: Counter[tuple[str, str]] = field(default_factory=Counter)
    words: Counter[str] = field(default_factory=Counter)
    lost: Counter[str] = field(default_factory=Counter)

    def table(self) -> dict[str, Any]:
        """Group by group: spans, share touched, share wholly taken; and for each kind of text the share of harmless words lost."""
        groups: dict[str, Any] = {"class": {}, "kind": {}, "origin": {}, "all": {}}
        for (by, group), count in sorted(self.spans.items()):
            groups[by][group] = {
                "spans": count,
                "touched": round(self.touched[by, group] / count, 4),
                "whole": round(self.whole[by, group] / count, 4),
            }
        lost = {kind: {"words": count, "lost": round(self.lost[kind] / count, 4)} for kind, count in sorted(self.words.items()) if count}
        return groups | {"harmless": lost}

    def line(self) -> str:
        """The main figures in one line."""
        spans = self.spans["all", "all"] or 1
        by = {group: self.touched[kind, group] / count for (kind, group), count in sorted(self.spans.items()) if kind == "class"}
        lost = {
            name: sum(self.lost[kind] for kind in self.words if ("real" in kind) == real)
            / max(1, sum(count for kind, count in self.words.items() if ("real" in kind) == real))
            for name, real in (("generated", False), ("real", True))
        }
        return (
            f"touched {self.touched['all', 'all'] / spans:.4f} whole {self.whole['all', 'all'] / spans:.4f} "
            f"lost {' '.join(f'{name} {share:.4f}' for name, share in lost.items())} "
            f"{' '.join(f'{label} {share:.3f}' for label, share in by.items())}"
        )


def probabilities(judge: Judge, windows: Sequence[Sequence128], budget: int = 4000) -> list[NDArray[np.float32]]:
    """P(not O) of every word piece of every window.

    Args:
        judge: the network.
        windows: what it shall judge.
        budget: word pieces of one batch.
    """
    found: list[NDArray[np.float32]] = [np.zeros(0, np.float32)] * len(windows)
    for batch in batches(windows, budget):
        longest = max(len(windows[index].pieces) for index in batch)
        pieces, mask = (np.zeros((len(batch), longest), np.int64) for _ in range(2))
        for row, index in enumerate(batch):
            pieces[row, : len(windows[index].pieces)] = windows[index].pieces
            mask[row, : len(windows[index].pieces)] = 1
        logits = judge(pieces, mask)
        raised = np.exp(logits - logits.max(axis=-1, keepdims=True))
        taken = 1 - raised[..., 0] / raised.sum(axis=-1)
        for row, index in enumerate(batch):
            found[index] = taken[row, : len(windows[index].pieces)]
    return found


def score(judge: Judge, tokenizer: Tokenizer, texts: Sequence[Text], threshold: float = THRESHOLD) -> Score:
    """The counts of a network over labelled texts.

    Args:
        judge: the network.
        tokenizer: its tokenizer.
        texts: labelled texts.
        threshold: P(not O) from which a word piece is taken.
    """
    cut = list(sequences(tokenizer, texts))
    found = iter(probabilities(judge, [window for windows in cut for window in windows]))
    counts = Score()
    for text, windows in zip(texts, cut, strict=True):
        taken: dict[tuple[int, int], bool] = {}
        for window in windows:
            for place, chance in zip(window.places, next(found), strict=True):
                if place[0] < place[1]:
                    taken[place] = taken.get(place, False) or bool(chance >= threshold)
        _count(counts, text, taken)
    return counts


def _count(counts: Score, text: Text, taken: dict[tuple[int, int], bool]) -> None:
    for start, end, label in text.spans:
        hit = [chosen for (first, last), chosen in taken.items() if first < end and last > start]
        groups = [("all", "all"), ("class", label), ("kind", text.kind)]
        if label == "NAME" and text.origin:
            groups.append(("origin", text.origin))
        for group in groups:
            counts.spans[group] += 1
            counts.touched[group] += any(hit)
            counts.whole[group] += bool(hit) and all(hit)
    chosen = [place for place, is_taken in taken.items() if is_taken]
    for word in re.finditer(r"\w+", text.text):
        if not any(start < word.end() and end > word.start() for start, end, _ in text.spans):
            counts.words[text.kind] += 1
            counts.lost[text.kind] += any(start < word.end() and end > word.start() for start, end in chosen)
