"""A policy's own proof: each example in the file goes through the walk that real calls go through, and must come out as written."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from phi_guard.model import Detection
from phi_guard.policy.compiled import Example, Policy
from phi_guard.policy.lines import Place, quote, spell

Find = Callable[[str], Sequence[Detection]]

_ABSENT = object()


def patterns_only() -> Find:
    """The detector examples are run with: patterns, which load at once and find the same on every machine; no language model."""
    from phi_guard.detect.patterns import PatternDetector  # noqa: PLC0415  # only a policy that has examples needs it

    return PatternDetector().find


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
