"""``standard: safe_harbor``: the policy serves all eighteen identifiers of 45 CFR 164.514(b)(2)(i), and lets none of them through."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from phi_guard.policy.draft import Draft

IDENTIFIERS: Final[Mapping[int, str]] = {
    1: "names",
    2: "places smaller than a state",
    3: "dates but the year, and ages over 89",
    4: "telephone numbers",
    5: "fax numbers",
    6: "e-mail addresses",
    7: "social security numbers",
    8: "medical record numbers",
    9: "health plan beneficiary numbers",
    10: "account numbers",
    11: "certificate and licence numbers",
    12: "vehicle identifiers and number plates",
    13: "device identifiers and serial numbers",
    14: "web addresses",
    15: "IP addresses",
    16: "biometric identifiers, voice prints among them",
    17: "full-face photographs",
    18: "any other unique number, characteristic or code",
}
"""The identifiers by number: (A) to (R) of the rule."""

_LEAVES: Final[Mapping[str, int]] = {"year": 3, "age": 3, "zip3": 2, "state": 2}


def check(draft: Draft) -> None:
    """Note each identifier that no rule serves, and each rule that would let one through."""
    if not draft.standard:
        return
    sheet = draft.standard[0]
    served = {rule.safe_harbor for rule in draft.fields.values()}
    for number, what in IDENTIFIERS.items():
        if number not in served:
            sheet.fault(("standard",), f"no field serves number {number} ({what}); add one with safe_harbor: {number}, and redact it")
    for home, place, rule in draft.every_rule():
        if rule.action == "pseudonym":
            home.fault(place, "a pseudonym is derived from the value, which 45 CFR 164.514(c) rules out here; write redact or drop")
        elif rule.safe_harbor is not None and rule.action not in {"redact", "drop", "generalise"}:
            home.fault(place, f"{rule.action} lets identifier {rule.safe_harbor} through; write redact, drop or generalise")
        elif rule.to is not None and rule.safe_harbor != _LEAVES[rule.to]:
            number = _LEAVES[rule.to]
            home.fault(place, f"to: {rule.to} is for identifier {number}; write redact or drop, or safe_harbor: {number}")
