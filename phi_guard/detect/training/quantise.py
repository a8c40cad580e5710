"""The 32-bit graph in 8 bits, a third of the size: ``python -m phi_guard.detect.training.quantise model_f32.onnx -o model.onnx``.

Matrix products by stored weights become block-wise 8-bit ones (MatMulNBits of onnxruntime), tables that are looked up 8-bit rows with a
scale each. One scale for a whole matrix, as dynamic quantisation has it, was refused: it tripled the documents that leak.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, Final

import onnx
from onnx import TensorProto, helper, numpy_helper

from phi_guard.detect.training import rounding

DOMAIN: Final = "com.microsoft"

ACCURACY: Final = 4
"""What the kernel may round its other side to: 4 is 8 bits in blocks, 0 nothing at all.

onnxruntime 1.22 has 8-bit weights with 4 alone; 1.32 takes 0 and 1 as well, five times slower and no nearer to 32 bits.
"""


def quantised(model: Any, accuracy: int = ACCURACY, block: int = rounding.BLOCK) -> Any:
    """The same network with its weights in 8 bits; inputs, output and everything else stay.

    Args:
        model: an ONNX model whose matrix products have their weight, inputs by outputs, on the right.
        accuracy: ``accuracy_level`` of MatMulNBits.
        block: numbers that share a scale.
    """
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    nodes: list[Any] = []
    for node in model.graph.node:
        weight = stored.get(node.input[1 if node.op_type == "MatMul" else 0]) if node.op_type in {"MatMul", "Gather"} else None
        if weight is None or weight.ndim != 2:
            nodes.append(node)
        elif node.op_type == "MatMul":
            nodes.append(_product(node, stored, accuracy, block))
        else:
            nodes += _lookup(node, stored)
    used = {name for node in nodes for name in node.input}
    graph = helper.make_graph(
        nodes,
        model.graph.name,
        model.graph.input,
        model.graph.output,
        [numpy_helper.from_array(array, name) for name, array in stored.items() if name in used],
    )
    opsets = [*model.opset_import, helper.make_opsetid(DOMAIN, 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=model.ir_version, producer_name=model.producer_name)


def _product(node: Any, stored: dict[str, Any], accuracy: int, block: int) -> Any:
    name = node.input[1]
    inputs, outputs = stored[name].shape
    stored[f"{name}.bytes"], stored[f"{name}.scales"] = rounding.blocks(stored[name], block)
    facts = {"K": inputs, "N": outputs, "bits": 8, "block_size": block, "accuracy_level": accuracy}
    sides = [node.input[0], f"{name}.bytes", f"{name}.scales"]
    return helper.make_node("MatMulNBits", sides, node.output, name=node.name, domain=DOMAIN, **facts)


def _lookup(node: Any, stored: dict[str, Any]) -> list[Any]:
    table, where = node.input
    stored[f"{table}.bytes"], stored[f"{table}.scales"] = rounding.rows(stored[table])
    name = node.output[0]
    return [
        helper.make_node("Gather", [f"{table}.bytes", where], [f"{name}.bytes"], name=f"{name}.bytes"),
        helper.make_node("Cast", [f"{name}.bytes"], [f"{name}.numbers"], name=f"{name}.numbers", to=TensorProto.FLOAT),
        helper.make_node("Gather", [f"{table}.scales", where], [f"{name}.scale"], name=f"{name}.scale"),
        helper.make_node("Mul", [f"{name}.numbers", f"{name}.scale"], [name], name=name),
    ]


def main() -> None:
    """Reads the arguments and writes the 8-bit file, whole or not at all."""
    parser = argparse.ArgumentParser(prog="python -m phi_guard.detect.training.quantise", description=__doc__)
    parser.add_argument("model", type=Path, help="the 32-bit graph that training wrote")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--accuracy", type=int, choices=(0, 1, 4), default=ACCURACY)
    args = parser.parse_args()
    part = args.output.with_suffix(".part")
    onnx.save(quantised(onnx.load(args.model), args.accuracy), part)
    part.replace(args.output)


if __name__ == "__main__":
    main()
