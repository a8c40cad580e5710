"""What a trained network finds and what 8 bits cost it: ``python -m phi_guard.detect.training.measure FOLDER`` writes ``figures.json``."""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

from phi_guard.detect.training import examples
from phi_guard.detect.training.scoring import THRESHOLD, Judge, probabilities, score

if TYPE_CHECKING:
    from numpy.typing import NDArray

TIMED: Final = 300
"""Texts whose judging is timed, one by one, both networks in turn."""


def session(path: Path) -> Any:
    """The network in one thread.

    Args:
        path: an ONNX file.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def judge(network: Any) -> Judge:
    """The network as what `phi_guard.detect.training.scoring` asks.

    Args:
        network: an onnxruntime session.
    """

    def answer(pieces: NDArray[np.int64], mask: NDArray[np.int64]) -> NDArray[np.float32]:
        logits: NDArray[np.float32] = network.run(["logits"], {"input_ids": pieces, "attention_mask": mask})[0]
        return logits

    return answer


def figures(folder: Path) -> dict[str, Any]:
    """Everything the card states: the run, recall by class, kind and origin, 8 bits beside 32, sizes and checksums.

    Args:
        folder: what `phi_guard.detect.training.train` left, and ``model.onnx`` of `phi_guard.detect.training.quantise`.
    """
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    texts = examples.read(folder / "dev.jsonl")
    small, full = session(folder / "model.onnx"), session(folder / "model_f32.onnx")
    windows = [window for cut in examples.sequences(tokenizer, texts) for window in cut]
    taken = [np.concatenate(probabilities(judge(network), windows)) for network in (full, small)]
    labelled = np.concatenate([window.labels for window in windows])
    inside, phi = labelled >= 0, labelled > 0
    times = _times(full, small, [window.pieces for window in windows[:TIMED]])
    return {
        "run": json.loads((folder / "run.json").read_text(encoding="utf-8")),
        "threshold": THRESHOLD,
        "measured_on": len(texts),
        "model": score(judge(small), tokenizer, texts).table(),
        "beside_32_bits": {
            "pieces": int(inside.sum()),
            "agreement": round(float(np.mean((taken[0] >= THRESHOLD)[inside] == (taken[1] >= THRESHOLD)[inside])), 5),
            "pieces_of_phi_taken": {
                name: round(float(np.mean(found[phi] >= THRESHOLD)), 5) for name, found in zip(("32 bits", "8 bits"), taken, strict=True)
            },
            "harmless_pieces_taken": {
                name: round(float(np.mean(found[inside & ~phi] >= THRESHOLD)), 5)
                for name, found in zip(("32 bits", "8 bits"), taken, strict=True)
            },
            "largest_difference": round(float(np.abs(taken[0] - taken[1])[inside].max()), 4),
            "ms_p50": times,
        },
        "files": {name: _file(folder / name) for name in ("model.onnx", "tokenizer.json", "labels.json")},
    }


def _times(full: Any, small: Any, texts: list[list[int]]) -> dict[str, float]:
    taken: dict[str, list[float]] = {"32 bits": [], "8 bits": []}
    for pieces in texts:
        for name, network in (("32 bits", full), ("8 bits", small)):
            one = np.array([pieces])
            start = time.perf_counter()
            judge(network)(one, np.ones_like(one))
            taken[name].append(time.perf_counter() - start)
    return {name: round(sorted(each)[len(each) // 2] * 1000, 2) for name, each in taken.items()}


def _file(path: Path) -> dict[str, Any]:
    content = path.read_bytes()
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def main() -> None:
    """Measures a folder and writes its figures."""
    parser = argparse.ArgumentParser(prog="python -m phi_guard.detect.training.measure", description=__doc__)
    parser.add_argument("folder", type=Path, help="what training and quantising left")
    folder = parser.parse_args().folder
    text = json.dumps(figures(folder), indent=1, sort_keys=True, ensure_ascii=False)
    (folder / "figures.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
