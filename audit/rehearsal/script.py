"""A rehearsal's script: YAML in, the calls to play out. See ``phi-audit rehearse --help`` for its form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from phi_guard.errors import PhiGuardError

SIZE_MAX: Final = 32 * 1024 * 1024
"""Bytes of a script; a tool's result in it may be large on purpose."""


class ScriptError(PhiGuardError):
    """A script cannot be played; the message lists every fault with its place and no value of it."""


@dataclass(frozen=True, slots=True)
class PlannedTool:
    """One tool call: what the model passes, and what the tool does with it."""

    name: str
    arguments: Mapping[str, object]
    result: object
    raises: str | None
    takes_ms: int


@dataclass(frozen=True, slots=True)
class PlannedTurn:
    """The caller speaks for ``speech_ms``, the tools run, the agent answers for ``answer_ms``."""

    speech_ms: int
    tools: tuple[PlannedTool, ...]
    answer_ms: int
    first_audio_after_ms: int
    caller_says: str
    agent_says: str


@dataclass(frozen=True, slots=True)
class Planted:
    """A value that the call says or raises somewhere and that must not arrive; see `audit.rehearsal.canary`."""

    kind: str
    origin: str
    value: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class PlannedLine:
    """What LiveKit's SIP trunk tells of who rings: its texts hold the caller's number.

    Args:
        room: the room's name.
        identity: the caller's, as a participant.
        attributes: the caller's, such as ``sip.phoneNumber``.
    """

    room: str = ""
    identity: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PlannedCall:
    """One call; ``line`` is None for a session without a room."""

    consent: str
    greets: bool
    turns: tuple[PlannedTurn, ...]
    plants: tuple[Planted, ...] = ()
    line: PlannedLine | None = None


class _Row(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _ToolRow(_Row):
    name: str = Field(min_length=1, max_length=64, pattern=r"^[A-Za-z_][A-Za-z0-9_-]*$")
    args: dict[str, Any] = {}
    result: Any = None
    raises: str | None = None
    takes_ms: Annotated[int, Field(ge=0, le=60_000)] = 0


class _UserRow(_Row):
    speech_ms: Annotated[int, Field(ge=100, le=60_000)] = 500
    says: str = ""


class _AgentRow(_Row):
    speech_ms: Annotated[int, Field(ge=20, le=60_000)] = 500
    first_audio_after_ms: Annotated[int, Field(ge=0, le=30_000)] = 200
    says: str = ""


class _TurnRow(_Row):
    user: _UserRow = _UserRow()
    tools: list[_ToolRow] = []
    agent: _AgentRow = _AgentRow()


class _PlantRow(_Row):
    kind: str = Field(pattern=r"^[a-z_]{1,32}$")
    origin: Literal[
        "agent", "caller", "exception", "participant_attribute", "participant_identity", "room_name", "tool_argument", "tool_result"
    ]
    value: str = Field(min_length=5, max_length=200)


class _LineRow(_Row):
    room: str = Field(default="", max_length=200)
    identity: str = Field(default="", max_length=200)
    attributes: dict[Annotated[str, Field(max_length=64)], Annotated[str, Field(max_length=200)]] = {}


class _CallRow(_Row):
    consent: Literal["granted", "refused", "not_asked"] = "granted"
    greets: bool = False
    turns: Annotated[list[_TurnRow], Field(min_length=1)]
    plants: list[_PlantRow] = []
    line: _LineRow | None = None


class _Script(_Row):
    calls: Annotated[list[_CallRow], Field(min_length=1)]


def read_script(path: str | Path) -> tuple[PlannedCall, ...]:
    """The calls of a script file.

    Raises:
        ScriptError: it cannot be read, or is not a script.
    """
    path = Path(path)
    try:
        if path.stat().st_size > SIZE_MAX:
            msg = f"{path}: larger than {SIZE_MAX} bytes; split the script"
            raise ScriptError(msg)
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as fault:
        msg = f"{path}: cannot be read ({type(fault).__name__}); name a UTF-8 YAML file"
        raise ScriptError(msg) from None
    try:
        value = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506  # both are safe loaders
    except (yaml.YAMLError, ValueError, RecursionError) as fault:
        line = getattr(getattr(fault, "problem_mark", None), "line", 0) + 1
        msg = f"{path}:{line}: not YAML; check indentation and quotes there"
        raise ScriptError(msg) from None
    return plan(value, str(path))


def plan(value: object, name: str = "script") -> tuple[PlannedCall, ...]:
    """The calls of a script's value, as YAML or JSON gives it.

    Raises:
        ScriptError: it is not a script; every fault is listed.
    """
    try:
        script = _Script.model_validate(_plain(value))
    except ValidationError as fault:
        rows = fault.errors(include_input=False, include_url=False, include_context=False)
        lines = [f"{name}: {'.'.join(map(str, row['loc'])) or 'file'}: {row['msg']}" for row in rows]
        raise ScriptError("\n".join(lines)) from None
    except RecursionError:
        msg = f"{name}: nested too deeply to be played"
        raise ScriptError(msg) from None
    return tuple(
        PlannedCall(
            call.consent,
            call.greets,
            tuple(_turn(turn) for turn in call.turns),
            tuple(Planted(row.kind, row.origin, row.value) for row in call.plants),
            PlannedLine(call.line.room, call.line.identity, call.line.attributes) if call.line else None,
        )
        for call in script.calls
    )


def _turn(row: _TurnRow) -> PlannedTurn:
    tools = tuple(PlannedTool(t.name, t.args, t.result, t.raises, t.takes_ms) for t in row.tools)
    return PlannedTurn(row.user.speech_ms, tools, row.agent.speech_ms, row.agent.first_audio_after_ms, row.user.says, row.agent.says)


def _plain(value: object) -> object:
    """YAML's dates as the text they were, since a tool's arguments are JSON."""
    if isinstance(value, dict):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    if isinstance(value, datetime | date):
        return value.isoformat()
    return value


def repeat_calls(calls: tuple[PlannedCall, ...], n: int) -> tuple[PlannedCall, ...]:
    """``n`` calls: the script's from the first on, and again from the first when it has fewer."""
    return tuple(calls[i % len(calls)] for i in range(n))


def lengthen(call: PlannedCall, minutes: float) -> PlannedCall:
    """The call with its turns said again and again until it lasts about so long; never shortened."""
    turns = list(call.turns)
    lasts = sum(map(_lasts_ms, turns))
    while lasts < minutes * 60_000:
        turn = call.turns[len(turns) % len(call.turns)]
        turns.append(turn)
        lasts += _lasts_ms(turn)
    return replace(call, turns=tuple(turns))


def _lasts_ms(turn: PlannedTurn) -> float:
    """Speech, the silence that ends it, the tools side by side, the wait for sound, the answer as it plays."""
    tools = max((tool.takes_ms + 100 for tool in turn.tools), default=0)
    return turn.speech_ms + 200 + tools + turn.first_audio_after_ms + turn.answer_ms
