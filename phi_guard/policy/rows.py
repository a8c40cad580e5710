"""The rows of a policy file, as pydantic reads them. A field's description is what an error message tells the author to write."""

from __future__ import annotations

from typing import Final

from pydantic import Field

from phi_guard.policy.border import Strict
from phi_guard.policy.shapes import SHAPES

CHARS_MAX: Final = 500
"""Characters a ``truncate`` may send at most; more is free text, which has ``scan``."""
_ACTIONS: Final = "redact, drop, keep (with a shape), scan, truncate (with chars), pseudonym or generalise (with to)"


class File(Strict):
    """The whole file; its parts are read one by one, so that a fault in one does not hide those in the next."""

    version: int = Field(ge=1, le=1, description="1")
    standard: str | None = Field(default=None, pattern="^safe_harbor$", description="safe_harbor: all 18 identifiers must be served")
    extends: str | None = Field(default=None, min_length=1, description="the path of the policy this one adds to, from this file's folder")
    default: str = Field(pattern="^(redact|drop)$", description="redact or drop: a field nobody named never leaves")
    fields: dict[str, object] = Field(min_length=1, description="a mapping of field names to {action: ...}")
    tools: dict[str, object] = Field(min_length=1, description="a mapping of tool names to {inputs: [...], outputs: [...]}")
    examples: list[object] = Field(min_length=1, description="a list of {given: ..., sends: ...}")
    lists: dict[str, list[str]] = Field(default={}, description="a mapping of names to lists of words, each in quotes where in doubt")
    environments: dict[str, object] = Field(default={}, description="a mapping of dev and prod to {fields: ...}")


class Extension(File):
    """A file that extends another: what it does not say, the other does."""

    default: str = Field(default="redact", pattern="^(redact|drop)$", description="redact or drop: a field nobody named never leaves")
    fields: dict[str, object] = Field(default={}, description="a mapping of field names to {action: ...}")
    tools: dict[str, object] = Field(default={}, description="a mapping of tool names to {inputs: [...], outputs: [...]}")
    examples: list[object] = Field(default=[], description="a list of {given: ..., sends: ...}")


class RuleRow(Strict):
    """What happens at a place."""

    action: str = Field(pattern="^(redact|drop|keep|scan|truncate|pseudonym|generalise)$", description=_ACTIONS)
    safe_harbor: int | None = Field(default=None, ge=1, le=18, description="a number from 1 to 18, after 45 CFR 164.514(b)(2)(i)")
    chars: int | None = Field(default=None, ge=1, le=CHARS_MAX, description=f"a number of characters from 1 to {CHARS_MAX}")
    shape: object = Field(default=None, description=SHAPES)
    unless_sent: list[str] | None = Field(default=None, description="a list of field names")
    to: str | None = Field(default=None, pattern="^(year|age|zip3|state)$", description="year, age, zip3 or state")
    allow_entities: dict[str, str] | None = Field(default=None, description='a mapping of classes to reasons, such as {DATE_TIME: "..."}')
    safe_values: dict[str, str] | None = Field(default=None, description='a mapping of words to reasons, such as {Parkinson: "a disease"}')


class FieldRow(RuleRow):
    """What happens to a field, wherever it stands."""

    aliases: list[str] | None = Field(default=None, description="a list of other names for this field")


class ToolRow(Strict):
    """Which fields a tool takes and gives back, and what it does otherwise than the fields say."""

    inputs: list[str] = Field(description="a list of field names, [] for none")
    outputs: list[str] = Field(description="a list of field names, [] for none")
    rules: dict[str, object] = Field(default={}, description="a mapping of paths to {action: ...}")


class OverlayToolRow(Strict):
    """What an environment tightens in one tool."""

    rules: dict[str, object] = Field(description="a mapping of paths to {action: ...}")


class EnvironmentRow(Strict):
    """What an environment tightens."""

    fields: dict[str, object] = Field(default={}, description="a mapping of field names to {action: ...}")
    tools: dict[str, object] = Field(default={}, description="a mapping of tool names to {rules: {...}}")


class SendsRow(Strict):
    """A call as it may leave."""

    inputs: dict[str, object] | None = Field(default=None, description="a mapping of field names to values")
    outputs: dict[str, object] | None = Field(default=None, description="a mapping of field names to values")

    def sides(self) -> dict[str, object]:
        """The sides that are given, as the walk takes them."""
        return {side: value for side, value in (("inputs", self.inputs), ("outputs", self.outputs)) if value is not None}


class GivenRow(SendsRow):
    """The same call as it happened."""

    tool: str = Field(description="the name of a tool")


class ExampleRow(Strict):
    """One pair of the policy's own proof."""

    given: GivenRow = Field(description="{tool: ..., inputs: {...}, outputs: {...}}")
    sends: SendsRow = Field(description="{inputs: {...}, outputs: {...}}")
