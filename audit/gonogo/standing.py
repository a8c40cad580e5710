"""For how long, and under which code, what a step left stands in for doing it again."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from audit.binding import OLDEST

LASTS: Final = timedelta(hours=24)
"""A review is of the system as it is: what was played a day ago, on another day's machine and network, is played again."""
REVIEWED: Final = OLDEST
"""People need longer than a day to read a sample, and what they read is one scan: its steps stand for them as long as any rehearsal."""
_PACKAGES: Final = ("audit", "phi_guard", "tracing")


@cache
def release() -> str:
    """Version of the package and SHA-256 over its code: what another release or a changed line left is not this one's."""
    try:
        number = version("phi-guard-toolkit")
    except PackageNotFoundError:
        number = "unknown"
    whole, place = hashlib.sha256(), Path(__file__).parents[2]
    for package in _PACKAGES:
        for path in sorted((place / package).rglob("*.py")):
            whole.update(str(path.relative_to(place)).encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return f"{number} {whole.hexdigest()}"
