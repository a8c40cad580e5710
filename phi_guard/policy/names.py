"""How a key is spelt: ``patientName``, ``patient-name``, ``PATIENT_NAME`` and ``patient name`` are one name, ``patient_name``.

Models and libraries spell the same field as they like; a rule that only one spelling meets would be passed by the others.
"""

from __future__ import annotations

import re
from collections.abc import Container
from typing import Final

KEY_MAX: Final = 80
"""Characters of a key that is looked at; a longer one is nobody's field."""
TWINS_MAX: Final = 99
"""Keys of one mapping that may meet the same field; those beyond are unknown."""

NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")
"""What a name in a policy looks like; it is sent in clear."""

_SEPARATORS: Final = {ord(char): None for char in "-_ "}
_TWIN: Final = re.compile(r"(.*)#([2-9]|[1-9][0-9])", re.DOTALL)


def spelling(key: str) -> str:
    """The one spelling of a key: lower case, without ``-``, ``_`` and space. Two keys with the same one mean the same field."""
    return key.translate(_SEPARATORS).lower()


def without_number(key: str) -> str:
    """A key without the ``#2`` that a second key for the same field was sent with."""
    twin = _TWIN.fullmatch(key) if "#" in key else None
    return twin[1] if twin else key


def sent_as(name: str, key: str, taken: Container[str]) -> str | None:
    """Under which name a key is sent: the policy's own, with ``#2``, ``#3`` where others of its mapping have met the same field.

    A key that is numbered so already keeps its number, so that what was sent is sent the same again.

    Args:
        name: the policy's name for it.
        key: the key as it stands in the payload.
        taken: the names this mapping has sent so far.

    Returns:
        The name, or None where `TWINS_MAX` are taken.
    """
    if key != name and key not in taken and key.startswith(f"{name}#") and _TWIN.fullmatch(key):
        return key
    if name not in taken:
        return name
    return next((twin for n in range(2, TWINS_MAX + 1) if (twin := f"{name}#{n}") not in taken), None)
