"""Times on the wire (ISO 8601 text) and in the store (whole microseconds since 1970, UTC)."""

from __future__ import annotations

import datetime as dt
from typing import Final

_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICROSECOND: Final = dt.timedelta(microseconds=1)
_STAMP_CHARS: Final = len("20230914T223155647123Z")


def microseconds(text: str) -> int:
    """Microseconds since 1970 of an ISO 8601 time; one without a zone is UTC, as LangSmith reads it.

    Raises:
        ValueError: the text is no such time.
    """
    moment = dt.datetime.fromisoformat(text)
    return ((moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)) - _EPOCH) // _MICROSECOND


def iso(moment_us: int) -> str:
    """The ISO 8601 text, in UTC, of microseconds since 1970."""
    return (_EPOCH + moment_us * _MICROSECOND).isoformat()


def now() -> int:
    """This moment, in microseconds since 1970."""
    return (dt.datetime.now(dt.UTC) - _EPOCH) // _MICROSECOND


def dotted(moment_us: int, run_id: str) -> str:
    """The dotted order of a root."""
    return f"{_EPOCH + moment_us * _MICROSECOND:%Y%m%dT%H%M%S%fZ}{run_id}"


def dotted_start(dotted_order: str) -> int | None:
    """When a run began, in microseconds, read from the last step of its dotted order (``20230914T223155647123Z<uuid>``)."""
    stamp = dotted_order.rpartition(".")[2][:_STAMP_CHARS]
    try:
        moment = dt.datetime.strptime(stamp, "%Y%m%dT%H%M%S%fZ").replace(tzinfo=dt.UTC)
    except ValueError:
        return None
    return (moment - _EPOCH) // _MICROSECOND
