"""Instants as stores write them, and as a report writes them: UTC, ISO 8601."""

from __future__ import annotations

from datetime import UTC, datetime

from audit import structure


def instant(value: object) -> datetime | None:
    """An instant in UTC as a store writes it, or None."""
    if not isinstance(value, str) or not structure.TIME(value):
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def wire(moment: datetime) -> str:
    """An instant as LangSmith's API takes it: microseconds, and ``Z``."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
