"""The ways out of an agent's process that are not ours: what each is called, whether it is shut, and what to do when it is not."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

State = Literal["shut", "open", "not here"]


@dataclass(frozen=True, slots=True)
class Door:
    """One way out.

    Args:
        name: stable, such as ``livekit.spans``.
        state: ``shut``; ``open``; or ``not here`` where what it belongs to is not loaded in this process.
        why: what holds, in a sentence; never a value of the environment or of a call.
        fix: what to do where it is open.
    """

    name: str
    state: State
    why: str
    fix: str


@dataclass(frozen=True, slots=True)
class Hardening:
    """Every door, as it was found to stand.

    Args:
        doors: one for each way out.
    """

    doors: tuple[Door, ...]

    @property
    def open(self) -> tuple[Door, ...]:
        """The doors that are open."""
        return tuple(door for door in self.doors if door.state == "open")

    def __getitem__(self, name: str) -> Door:
        return next(door for door in self.doors if door.name == name)


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable of the environment that opens a way out.

    Args:
        names: the variable and its other spellings.
        opens: what it does.
        fix: what to do.
        safe: values that open nothing, compared without regard to case.
        exact: values that open nothing, compared exactly.
    """

    names: tuple[str, ...]
    opens: str
    fix: str
    safe: tuple[str, ...] = ()
    exact: tuple[str, ...] = ()

    def set_in(self, environment: Mapping[str, str]) -> tuple[str, ...]:
        """Its names that are set so that the way is open."""
        return tuple(
            name
            for name in self.names
            if (held := environment.get(name, "").strip()) and held.lower() not in self.safe and held not in self.exact
        )


_NO: Final = ("", "0", "false", "off", "no")


def _both(*names: str) -> tuple[str, ...]:
    # langsmith reads each of its variables under both prefixes
    return tuple(f"{prefix}_{name}" for name in names for prefix in ("LANGSMITH", "LANGCHAIN"))


VARIABLES: Final = (
    Variable(
        _both("TRACING", "TRACING_V2"),
        "LangSmith's own client traces whatever is decorated or wrapped, past the gate",
        "unset it in the agent: spans go through tracing.attach()",
        safe=_NO,
    ),
    Variable(
        _both("TRACING_MODE"),
        "LangSmith becomes OpenTelemetry's provider and takes LiveKit's spans, with tool arguments and speech",
        "unset it, or set it to langsmith",
        safe=("langsmith",),
    ),
    Variable(
        _both("OTEL_ENABLED", "OTEL_ONLY"),
        "LangSmith becomes OpenTelemetry's provider and takes LiveKit's spans, with tool arguments and speech",
        "unset it",
        safe=_NO,
    ),
    Variable(_both("RUNS_ENDPOINTS"), "LangSmith's client sends a copy of each run to other addresses", "unset it"),
    Variable(
        _both("HIDE_INPUTS", "HIDE_OUTPUTS", "HIDE_METADATA"),
        'LangSmith hides only where it reads exactly "true"; as spelt here nothing is hidden',
        'write "true", or unset it',
        exact=("true",),
    ),
    Variable(_both("ALLOW_UNPROCESSED_PAYLOADS"), "LangSmith sends raw what its own redaction failed on", "unset it", safe=_NO),
    Variable(_both("FAILED_TRACES_DIR"), "LangSmith keeps on disk what it could not send, as it would have sent it", "unset it"),
    Variable(
        ("LIVEKIT_OBSERVABILITY_URL",),
        "LiveKit sends recordings, transcripts, spans and logs there unless a session says record=False",
        "unset it",
    ),
    Variable(
        ("LK_OPENAI_DEBUG",),
        "LiveKit logs every realtime event, with transcripts and tool arguments",
        "unset it; it is read when livekit is imported, so start the agent again",
        safe=_NO,
    ),
    Variable(
        ("LK_DUMP_STACK_TRACES",),
        "LiveKit writes a stuck job's tasks, with their exceptions' texts, to a file",
        "unset it",
        safe=("0", "false", "no"),
    ),
    Variable(
        ("OPENAI_LOG",),
        "OpenAI's client logs each request with its messages",
        "unset it; LiveKit logs what fails all the same",
        safe=("info",),
    ),
    Variable(
        ("LIVEKIT_EVALS_VERBOSE", "LK_KEYTERMS_DEBUG"),
        "LiveKit prints what was said and judged, or logs words out of it",
        "unset it; it is read when livekit is imported, so start the agent again",
        safe=("0",),
    ),
    Variable(("LK_DUMP_TTS",), "LiveKit writes the agent's speech to disk", "unset it", safe=_NO),
)
"""Facts: langsmith 0.15 (client.py, utils.py), livekit-agents 1.8.9 (telemetry, llm/_realtime/openai.py)."""


def clear_environment() -> None:
    """Take every such variable out of this process, and so out of those it starts. LangSmith's tracing is set to false, not just unset."""
    for variable in VARIABLES:
        for name in variable.set_in(os.environ):
            del os.environ[name]
    for name in ("LANGSMITH_TRACING", "LANGCHAIN_TRACING_V2"):
        os.environ[name] = "false"
