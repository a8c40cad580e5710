"""A policy's own proof: each example in the file goes through the walk that real calls go through, and must come out as written."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from phi_guard.model import Detection
from phi_guard.policy.compiled import SIDES, Example, Policy, Rule
from phi_guard.policy.keys import Keys, Step
from phi_guard.policy.lines import Place, quote, spell

Find = Callable[[str], Sequence[Detection]]

PSEUDONYM: Final = "<PSEUDONYM>"
"""What an example's ``sends`` writes for a pseudonym, whose tag is another with every key."""

_ABSENT = object()


def patterns_only() -> Find:
    """The detector examples are run with: patterns, which load at once and find the same on every machine; no language model."""
    from phi_guard.detect.patterns import PatternDetector  # noqa: PLC0415  # only a policy that has examples needs it

    return PatternDetector().find


def reached(policy: Policy, tool: str, given: Mapping[str, object]) -> Iterator[Rule]:
    """The rules that a call puts to use: those of the places it has, as far as the walk gets to them.

    Args:
        policy: the policy.
        tool: bare tool name.
        given: the call's inputs and outputs.
    """
    stack: list[tuple[object, Keys, Step | None]] = [(given.get(side), policy.top(tool, side), None) for side in SIDES]
    while stack:
        value, keys, step = stack.pop()
        if isinstance(value, dict):
            for key, inner in value.items():
                if (met := keys.meet(key)) is not None:
                    yield met.rule
                    if met.walks:
                        stack.append((inner, met.below, met))
        elif isinstance(value, list) and step is not None:
            item = step.items or step
            yield item.rule
            if item.walks:
                stack += [(inner, item.below, item) for inner in value]


def differences(policy: Policy, example: Example, find: Find) -> Iterator[tuple[Place, str]]:
    """In what an example is sent otherwise than it says: each place below the example, and what would be sent there.

    Args:
        policy: the policy the example is to prove.
        example: values in it are synthetic and stand in the policy file, so they are quoted.
        find: the detector for free text.
    """
    from phi_guard.redact import redact_tool  # noqa: PLC0415  # the walk stands on the compiled policy, so it loads after it

    sent = redact_tool(policy, example.tool, example.given, find).value
    for place, got, expected in _compare(sent, example.sends, ()):
        if expected == PSEUDONYM and isinstance(got, str) and policy.pseudonyms is not None and policy.pseudonyms.made(got):
            continue
        would = "would not send" if got is _ABSENT else f"would send {quote(got)} at"
        wants = "nothing" if expected is _ABSENT else quote(expected)
        yield ("sends", *place), f"{would} {spell(place)}, expected {wants}"


def _compare(got: object, expected: object, place: Place) -> Iterator[tuple[Place, object, object]]:
    if isinstance(got, dict) and isinstance(expected, dict):
        for key in [*expected, *(key for key in got if key not in expected)]:
            yield from _compare(got.get(key, _ABSENT), expected.get(key, _ABSENT), (*place, key))
    elif isinstance(got, list) and isinstance(expected, list) and len(got) == len(expected):
        for n, (one, other) in enumerate(zip(got, expected, strict=True)):
            yield from _compare(one, other, (*place, n))
    elif got != expected or isinstance(got, bool) != isinstance(expected, bool):
        yield place, got, expected
