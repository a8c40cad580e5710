"""Random ids that sort by the time they were made (UUID version 7, RFC 9562 section 5.7): nothing of a call is in them but its time."""

from __future__ import annotations

import os
import random
import time
from typing import Final

# Ids must not meet, they need not be secret: a generator seeded by the system costs a twentieth of asking the system each time.
_chance: Final = random.Random(os.urandom(32))  # noqa: S311  # see above
os.register_at_fork(after_in_child=lambda: _chance.seed(os.urandom(32)))


def new_id() -> str:
    """A new UUIDv7 in its canonical text form: 48 bits of milliseconds since 1970, 74 random bits."""
    bits = (time.time_ns() // 1_000_000) << 80 | _chance.getrandbits(80)
    bits = bits & ~(0xF << 76) | 0x7 << 76  # version
    bits = bits & ~(0x3 << 62) | 0x2 << 62  # variant
    text = f"{bits:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
