"""The frozen facts of the store: what arrives, what is kept, what is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

Json: TypeAlias = dict[str, Any]
"""A JSON object as it arrived. Its values are of any JSON type, so readers check before they use one."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One create (``post``) or update (``patch``) of a run; a null in ``fields`` means not given."""

    kind: Literal["post", "patch"]
    run_id: str
    fields: Json


@dataclass(frozen=True, slots=True)
class Attachment:
    """Bytes that came with a run."""

    run_id: str
    name: str
    mime: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Batch:
    """All that one request brought; it is stored whole or not at all."""

    operations: tuple[Operation, ...] = ()
    attachments: tuple[Attachment, ...] = ()
    feedback: tuple[Json, ...] = ()


@dataclass(frozen=True, slots=True)
class Project:
    """A tracing project; LangSmith's wire calls it a session."""

    id: str
    name: str
    created_us: int
    body: Json


@dataclass(frozen=True, slots=True)
class Run:
    """One span as the store knows it: post and patches merged.

    Args:
        project_id: None while only updates have come and none named the project.
        started_us: microseconds since 1970; from the dotted order, or the arrival, where no start was given.
        ended_us: microseconds since 1970, or None while the run is pending.
        attachments: content type by name; the bytes stay in the store.
        feedback: the feedback written on this run.
    """

    id: str
    project_id: str | None
    trace_id: str
    parent_id: str | None
    started_us: int
    ended_us: int | None
    body: Json
    attachments: Mapping[str, str] = field(default_factory=dict)
    feedback: tuple[Json, ...] = ()

    @property
    def is_root(self) -> bool:
        """Whether the run has no parent."""
        return self.parent_id is None

    @property
    def status(self) -> str:
        """``error``, ``success`` or ``pending``, as LangSmith derives it."""
        if self.body.get("error"):
            return "error"
        return "pending" if self.ended_us is None else "success"

    @property
    def latency_s(self) -> float | None:
        """Seconds from start to end, or None while the run is pending."""
        return None if self.ended_us is None else (self.ended_us - self.started_us) / 1e6

    @property
    def metadata(self) -> Json:
        """``extra.metadata``, empty where it is missing."""
        found = (self.body.get("extra") or {}).get("metadata")
        return found if isinstance(found, dict) else {}

    @property
    def thread_id(self) -> str | None:
        """The thread, by the first of the three metadata keys LangSmith looks at."""
        for key in ("session_id", "conversation_id", "thread_id"):
            if self.metadata.get(key):
                return str(self.metadata[key])
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The part of a query that SQL answers; None asks nothing.

    Args:
        from_us: inclusive lower bound of the start, microseconds since 1970.
        to_us: inclusive upper bound of the start.
    """

    ids: tuple[str, ...] | None = None
    project_ids: tuple[str, ...] | None = None
    trace_id: str | None = None
    parent_id: str | None = None
    is_root: bool | None = None
    run_type: str | None = None
    has_error: bool | None = None
    from_us: int | None = None
    to_us: int | None = None


@dataclass(frozen=True, slots=True)
class Position:
    """A place in the order of runs, by start and then id; a page begins after it."""

    started_us: int
    run_id: str
