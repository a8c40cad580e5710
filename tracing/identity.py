"""Random ids that sort by the time they were made (UUID version 7, RFC 9562 section 5.7): nothing of a call is in them but its time."""

from __future__ import annotations

import os
import random
import time
from typing import Final

AHEAD: Final = 256
"""Random parts made at once, by a recorder's thread: on a loop that mostly sleeps, formatting costs five times what it costs there."""

# Ids must not meet, they need not be secret: a generator seeded by the system costs a twentieth of asking the system each time.
_chance: Final = random.Random(os.urandom(32))  # noqa: S311  # see above
_BYTES: Final = tuple(f"{n:02x}" for n in range(256))
_tails: Final[list[str]] = []
_pop: Final = _tails.pop
_high: tuple[int, str] = (-1, "")  # the clock's upper 32 bits as text: they stay the same for 65 seconds


def new_id() -> str:
    """A new UUIDv7 in its canonical text form: 48 bits of milliseconds since 1970, 74 random bits."""
    global _high  # noqa: PLW0603  # a pair is put in place at once: no thread sees half of it
    now = time.time_ns() // 1_000_000
    high, text = _high
    if high != now >> 16:
        high = now >> 16
        text = f"{high:08x}-"
        _high = high, text
    try:
        tail = _pop()
    except IndexError:
        tail = _tail()  # no thread prepares them here
    return text + _BYTES[now >> 8 & 0xFF] + _BYTES[now & 0xFF] + tail


def prepare_ids() -> None:
    """Make random parts ahead, where few are left: on a thread that has time, so that `new_id` need not."""
    if len(_tails) < AHEAD // 2:
        _tails.extend([_tail() for _ in range(AHEAD)])


def _tail() -> str:
    """Version 7, 12 random bits, the variant (binary 10), 62 random bits."""
    bits = _chance.getrandbits
    return f"-7{bits(12):03x}-{0x8000 | bits(14):04x}-{bits(48):012x}"


def _forked() -> None:
    """A child must not hand out the ids its parent has prepared, nor draw the same ones."""
    _tails.clear()
    _chance.seed(os.urandom(32))


os.register_at_fork(after_in_child=_forked)
