"""How a value may stand in a text and not be read at once: encoded, spread, bent, turned round."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from random import Random
from typing import Final
from urllib.parse import quote

_LOOKALIKES: Final = str.maketrans("aceopxyABCEHKMOPTX", "асеорхуАВСЕНКМОРТХ")  # Cyrillic on purpose
_LEET: Final = str.maketrans("aeostAEOST", "4305743057")
_WIDE: Final = {**{code: code + 0xFEE0 for code in range(0x21, 0x7F)}, 0x20: 0x3000}
_CODED: Final = 0.6
"""Share of the characters that entities and escapes stand for."""
_INVISIBLE: Final = ("\u200b", "\u200c", "\u200d", "\u2060", "\u00ad", "\ufeff")


def _base64(text: str, _random: Random) -> str:
    return base64.b64encode(text.encode()).decode()


def _twice(text: str, random: Random) -> str:
    return _base64(_base64(text, random), random)


def _hexadecimal(text: str, _random: Random) -> str:
    return text.encode().hex()


def _url(text: str, random: Random) -> str:
    return "".join(f"%{byte:02X}" for byte in text.encode()) if random.random() < 0.5 else quote(text, safe="")


def _invisible(text: str, random: Random) -> str:
    return random.choice(_INVISIBLE).join(text)


def _similar(text: str, _random: Random) -> str:
    return text.translate(_LOOKALIKES)


def _wide(text: str, _random: Random) -> str:
    return text.translate(_WIDE)


def _spread(text: str, random: Random) -> str:
    return random.choice((" ", ".", "-", "_", " . ", "*")).join(c for c in text if not c.isspace())


def _bent(text: str, _random: Random) -> str:
    return text.translate(_LEET)


def _backwards(text: str, _random: Random) -> str:
    return text[::-1]


def _entities(text: str, random: Random) -> str:
    form = random.choice(("&#{:d};", "&#x{:x};"))
    return "".join(form.format(ord(c)) if random.random() < _CODED else c for c in text)


def _escapes(text: str, random: Random) -> str:
    return "".join(f"\\u{ord(c):04x}" if random.random() < _CODED else c for c in text)


def _json(text: str, _random: Random) -> str:
    return json.dumps({"notes": json.dumps({"who": text})})


WAYS: Final[Mapping[str, Callable[[str, Random], str]]] = {
    "base64": _base64, "base64 twice": _twice, "hexadecimal": _hexadecimal, "url": _url, "invisible": _invisible, "look-alikes": _similar,
    "wide": _wide, "spread": _spread, "leet": _bent, "backwards": _backwards, "entities": _entities, "escapes": _escapes, "json": _json,
}  # fmt: skip
"""What can be done to a text, by name."""
_LETTERS: Final = frozenset({"look-alikes", "leet"})
"""Ways that change letters only, and so hide nothing of a number."""


def hide(text: str, random: Random, way: str) -> str:
    """The text in a disguise; one that changes letters only falls back to base64 where it would change fewer than two of them."""
    hidden = WAYS[way](text, random)
    if way in _LETTERS and sum(a != b for a, b in zip(text, hidden, strict=True)) < 2:
        return WAYS["base64"](text, random)
    return hidden
