"""The leaves of a JSON object by dotted key, as LangSmith indexes them."""

from __future__ import annotations

import json


def entries(value: object) -> list[tuple[str, object]]:
    """Every leaf with its dotted key; the items of a list bear the key of the list."""
    leaves: list[tuple[str, object]] = []
    waiting = [("", value)]
    while waiting:
        path, value = waiting.pop()
        if isinstance(value, dict):
            waiting += [(f"{path}.{key}" if path else key, inner) for key, inner in value.items()]
        elif isinstance(value, list):
            waiting += [(path, inner) for inner in value]
        elif path:
            leaves.append((path, value))
    return leaves


def plain(value: object) -> str:
    """The text that a leaf is compared by: itself, or its JSON."""
    return value if isinstance(value, str) else json.dumps(value)
