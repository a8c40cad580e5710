"""Our own token classifier: the packaged network, fine-tuned on generated clinic talk. Its model card stands beside the files."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from phi_guard.detect.classifier import MAX_WINDOWS, THRESHOLD, Session, TokenClassifier, open_session, open_tokenizer, read_files
from phi_guard.errors import DetectorUnavailable

if TYPE_CHECKING:
    from tokenizers import Tokenizer

FOLDER: Final = Path(__file__).parent / "model"

INSTALL: Final = "pip install --force-reinstall phi-guard-toolkit"

DIGESTS: Final[Mapping[str, str]] = {
    "model.onnx": "b21dce695154b3d24d374074be536fb4c48ae1500c99311b4bd2628a47a62250",
    "tokenizer.json": "ec87d41d85cbf02128ec0e5f577b805a326b06bb2947ef2752e67a98a42819f9",
    "labels.json": "951a7cf9e6efa34d9c011ab69c5f5e1f0850bc6028a2ffef34ba98c0fbb39d7e",
}
"""SHA-256 of the files in `FOLDER`, the ones that the model card's figures were measured with."""

ENTITIES: Final[Mapping[str, str]] = {
    "NAME": "PERSON",
    "PHONE": "PHONE_NUMBER",
    "EMAIL": "EMAIL_ADDRESS",
    "ID": "ID",
    "DATE": "DATE_TIME",
    "ADDRESS": "ADDRESS",
    "PLACE": "LOCATION",
    "URL": "URL",
}
"""Our entity for each of its labels."""

HITS: Final[tuple[str, ...]] = (
    "please call olivia hartwell back",
    "my number is four one five five five five oh one three four",
    "born on the third of march nineteen seventy two",
    "o dot hartwell at example dot org",
    "her medical record number is 00418823",
    "i live at 12 juniper lane apartment 4",
)

MISSES: Final[tuple[str, ...]] = (
    "",
    "i have had a sore throat since yesterday",
    "take two tablets after breakfast and drink water",
    "does it hurt when you bend your knee",
    "your blood pressure was one twenty over eighty",
    "she has parkinson's and takes ten milligrams",
)


def open_minilm(
    *,
    threshold: float = THRESHOLD,
    thresholds: Mapping[str, float] | None = None,
    entities: Mapping[str, str] = ENTITIES,
    windows: int | None = MAX_WINDOWS,
    threads: int = 1,
    folder: Path = FOLDER,
    digests: Mapping[str, str] = DIGESTS,
) -> TokenClassifier:
    """The loaded detector; the network behind it is loaded once a process and shared.

    Args:
        threshold: P(not O) from which a word piece counts.
        thresholds: by label, where one differs.
        entities: entity by label; a label left out does not count.
        windows: different windows of one text that are judged, or None for all.
        threads: threads that one run may use.
        folder: where ``model.onnx``, ``tokenizer.json`` and ``labels.json`` (a list, in the order of the outputs) stand.
        digests: SHA-256 of these, by name.

    Raises:
        DetectorUnavailable: a file is missing, or is not the one whose digest is given.
    """
    session, tokenizer, labels = _network(folder, tuple(sorted(digests.items())), threads)
    return TokenClassifier("minilm", session, tokenizer, labels, entities, threshold=threshold, thresholds=thresholds, windows=windows)


@cache
def _network(folder: Path, digests: tuple[tuple[str, str], ...], threads: int) -> tuple[Session, Tokenizer, Sequence[str]]:
    files = read_files(folder, dict(digests), INSTALL)
    labels = json.loads(files["labels.json"])
    if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
        msg = f"{folder / 'labels.json'}: is no list of label names; run: {INSTALL}"
        raise DetectorUnavailable(msg)
    return open_session(files["model.onnx"], threads=threads), open_tokenizer(files["tokenizer.json"]), tuple(labels)
