"""The rows of a policy file, as pydantic reads them. A field's description is what an error message tells the author to write."""

from __future__ import annotations

from typing import Final

from pydantic import Field

from phi_guard.policy.border import Strict
from phi_guard.policy.shapes import SHAPES

CHARS_MAX: Final = 500
"""Characters a ``truncate`` may send at most; more is free text, which has ``scan``."""
_ACTIONS: Final = "redact, drop, keep (with a shape), scan or truncate (with chars)"


class File(Strict):
    """The whole file; its parts are read one by one, so that a fault in one does not hide those in the next."""

    version: int = Field(ge=1, le=1, description="1")
    default: str = Field(pattern="^(redact|drop)$", description="redact or drop: a field nobody named never leaves")
    fields: dict[str, object] = Field(min_length=1, description="a mapping of field names to {action: ...}")
    tools: dict[str, object] = Field(min_length=1, description="a mapping of tool names to {inputs: [...], outputs: [...]}")
    examples: list[object] = Field(min_length=1, description="a list of {given: ..., sends: ...}")
    lists: dict[str, list[str]] = Field(default={}, description="a mapping of names to lists of words, each in quotes where in doubt")
    environments: dict[str, object] = Field(default={}, description="a mapping of dev and prod to {fields: ...}")


class FieldRow(Strict):
    """What happens to a field."""

    action: str = Field(pattern="^(redact|drop|keep|scan|truncate)$", description=_ACTIONS)
    safe_harbor: int | None = Field(default=None, ge=1, le=18, description="a number from 1 to 18, after 45 CFR 164.514(b)(2)(i)")
    chars: int | None = Field(default=None, ge=1, le=CHARS_MAX, description=f"a number of characters from 1 to {CHARS_MAX}")
    shape: object = Field(default=None, description=SHAPES)
    unless_sent: list[str] | None = Field(default=None, description="a list of field names")


class ToolRow(Strict):
    """Which fields a tool takes and gives back."""

    inputs: list[str] = Field(description="a list of field names, [] for none")
    outputs: list[str] = Field(description="a list of field names, [] for none")


class EnvironmentRow(Strict):
    """What an environment tightens."""

    fields: dict[str, object] = Field(description="a mapping of field names to {action: ...}")


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
