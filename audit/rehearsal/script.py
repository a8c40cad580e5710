"""A rehearsal's script: YAML in, the calls to play out. See ``phi-audit rehearse --help`` for its form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from phi_guard.errors import PhiGuardError

SIZE_MAX: Final = 32 * 1024 * 1024
"""Bytes of a script; a tool's result in it may be large on purpose."""
SPEECH_MIN: Final = 100
"""Milliseconds of speech that a voice detection hears."""
FRAME_MS: Final = 20
"""Of sound."""


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
    """The caller speaks for ``speech_ms``, the tools run, the agent answers for ``answer_ms``.

    Args:
        speech_ms: 0 for a caller who says nothing at all, and gets no answer.
        silent_ms: before that the caller is silent for so long.
        cut_in_after_ms: the caller talks over the answer, so long after its first sound, with the next turn; None hears it out.
        hand_off: the agent gives the call to another one of this name, which answers.
        fails: the model's response fails; no answer is heard.
    """

    speech_ms: int
    tools: tuple[PlannedTool, ...]
    answer_ms: int
    first_audio_after_ms: int
    caller_says: str
    agent_says: str
    silent_ms: int = 0
    cut_in_after_ms: int | None = None
    hand_off: str = ""
    fails: bool = False

    @property
    def lasts_ms(self) -> float:
        """About how long it takes: silence, speech, the silence that ends it, the tools side by side, the wait for sound, the answer."""
        if not self.speech_ms:
            return self.silent_ms
        tools = max((tool.takes_ms + 100 for tool in self.tools), default=100 if self.hand_off else 0)
        heard = self.answer_ms if self.cut_in_after_ms is None else min(self.answer_ms, self.cut_in_after_ms)
        answer = 0 if self.fails else self.first_audio_after_ms + heard
        return self.silent_ms + self.speech_ms + 200 + tools + answer


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
    """One call.

    Args:
        line: None for a session without a room.
        scenes: what happens in it, by name, in order; empty where nobody said.
        language: that the caller's names and words are in, such as ``fr``; likewise.
    """

    consent: str
    greets: bool
    turns: tuple[PlannedTurn, ...]
    plants: tuple[Planted, ...] = ()
    line: PlannedLine | None = None
    scenes: tuple[str, ...] = ()
    language: str = ""


class _Row(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _ToolRow(_Row):
    name: str = Field(min_length=1, max_length=64, pattern=r"^[A-Za-z_][A-Za-z0-9_-]*$")
    args: dict[str, Any] = {}
    result: Any = None
    raises: str | None = None
    takes_ms: Annotated[int, Field(ge=0, le=60_000)] = 0


class _UserRow(_Row):
    speech_ms: Annotated[int, Field(ge=0, le=60_000)] = 500
    says: str = ""
    silent_ms: Annotated[int, Field(ge=0, le=600_000)] = 0
    cut_in_after_ms: Annotated[int, Field(ge=20, le=60_000)] | None = None

    @model_validator(mode="after")
    def _speaks_or_not(self) -> _UserRow:
        if 0 < self.speech_ms < SPEECH_MIN:
            raise _fault(f"speech_ms is at least {SPEECH_MIN}, or 0 beside silent_ms for a caller who says nothing")
        if not self.speech_ms and (not self.silent_ms or self.says or self.cut_in_after_ms is not None):
            raise _fault("a caller who says nothing has silent_ms, and neither says nor cut_in_after_ms")
        return self


class _AgentRow(_Row):
    speech_ms: Annotated[int, Field(ge=20, le=60_000)] = 500
    first_audio_after_ms: Annotated[int, Field(ge=0, le=30_000)] = 200
    says: str = ""
    fails: bool = False


class _TurnRow(_Row):
    user: _UserRow = _UserRow()
    tools: list[_ToolRow] = []
    agent: _AgentRow = _AgentRow()
    hand_off: str = Field(default="", pattern=r"^([a-z][a-z0-9_]{0,31})?$")

    @model_validator(mode="after")
    def _can_be_played(self) -> _TurnRow:
        if not self.user.speech_ms and (self.tools or self.hand_off or "agent" in self.model_fields_set):
            raise _fault("a caller who says nothing gets no answer: this turn has neither tools, agent nor hand_off")
        if self.hand_off and self.tools:
            raise _fault("hand_off is a tool of its own; put the tools into the turn before it")
        if self.agent.fails and (self.hand_off or self.user.cut_in_after_ms is not None):
            raise _fault("a response that fails is not heard: nobody can cut in on it or hand over by it")
        return self


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
    scenes: list[Annotated[str, Field(pattern=r"^[a-z_]{1,32}$")]] = []
    language: str = Field(default="", pattern=r"^([a-z]{2})?$")

    @model_validator(mode="after")
    def _cuts_in_at_once(self) -> _CallRow:
        for n, (turn, following) in enumerate(pairwise(self.turns)):
            if turn.user.cut_in_after_ms is not None and following.user.silent_ms:
                raise _fault(f"turn {n} is cut in on, so turn {n + 1} begins at once: leave its silent_ms out")
        return self


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
            tuple(call.scenes),
            call.language,
        )
        for call in script.calls
    )


def _turn(row: _TurnRow) -> PlannedTurn:
    tools = tuple(PlannedTool(t.name, t.args, t.result, t.raises, t.takes_ms) for t in row.tools)
    user, agent = row.user, row.agent
    return PlannedTurn(
        user.speech_ms, tools, agent.speech_ms, agent.first_audio_after_ms, user.says, agent.says,
        user.silent_ms, user.cut_in_after_ms, row.hand_off, agent.fails,
    )  # fmt: skip


def _fault(text: str) -> PydanticCustomError:
    """A rule of ours that a row breaks, in our words alone."""
    return PydanticCustomError("script", "{text}", {"text": text})


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
    lasts = sum(turn.lasts_ms for turn in turns)
    while lasts < minutes * 60_000:
        turn = call.turns[len(turns) % len(call.turns)]
        turns.append(turn)
        lasts += turn.lasts_ms
    return replace(call, turns=tuple(turns))


def hasten(call: PlannedCall, factor: float) -> PlannedCall:
    """The same call with every pause, speech, tool and answer so many times shorter; nobody speaks for less than `SPEECH_MIN`.

    Args:
        call: to be played faster than people talk.
        factor: 1 or more.
    """

    def shorter(turn: PlannedTurn) -> PlannedTurn:
        cut = turn.cut_in_after_ms
        return replace(
            turn,
            speech_ms=max(SPEECH_MIN, int(turn.speech_ms / factor)) if turn.speech_ms else 0,
            tools=tuple(replace(tool, takes_ms=int(tool.takes_ms / factor)) for tool in turn.tools),
            answer_ms=max(SPEECH_MIN, int(turn.answer_ms / factor)),
            first_audio_after_ms=int(turn.first_audio_after_ms / factor),
            silent_ms=int(turn.silent_ms / factor),
            cut_in_after_ms=None if cut is None else max(FRAME_MS, int(cut / factor)),
        )

    return replace(call, turns=tuple(map(shorter, call.turns)))
