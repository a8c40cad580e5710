"""What an HTTP answer to a posting means: taken, never, not us, or not now."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

from phi_guard.errors import DeliveryError, DeliveryHalted, DeliveryRefused

CONFLICT: Final = 409
"""Already there: the ids are ours and random, so it can only be the same span, taken the first time with its answer lost. Taken."""

_REFUSED: Final = frozenset({400, 413, 415, 422})
_HALTED: Final = frozenset({401, 402, 403, 404, 405, 407, 410, 451})
_SECONDS: Final = re.compile(r"[0-9]{1,9}")


def read_answer(status: int, retry_after: str, now: datetime) -> DeliveryError | None:
    """The fault an answer tells of, or None where the batch was taken.

    400, 413, 415 and 422 speak of these bytes. 401, 403, 404, 405 and the like speak of us: the key, the plan, the region, the address. So
    does a redirect (3xx): the bytes are meant for one destination, so that they are not sent to another it names. Anything else, 408, 429
    and 5xx above all, is not now.

    Args:
        status: of the answer.
        retry_after: its ``Retry-After`` header: seconds or an HTTP date (RFC 9110, 10.2.3); empty where it has none.
        now: the time of the answer.
    """
    if 200 <= status < 300 or status == CONFLICT:
        return None
    code = f"http_{status}"
    if status in _REFUSED:
        return DeliveryRefused(code)
    if status in _HALTED or 300 <= status < 400:
        return DeliveryHalted(code)
    return DeliveryError(code, read_retry_after(retry_after, now))


def read_retry_after(text: str, now: datetime) -> float | None:
    """Seconds from now, not below 0; None where the text is neither seconds nor a date."""
    text = text.strip()
    if _SECONDS.fullmatch(text):
        return float(text)
    try:
        at = parsedate_to_datetime(text)
        seconds = (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() - now.timestamp()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    return max(0.0, seconds) if math.isfinite(seconds) else None
