"""Everything phi-guard raises. No message holds a payload's value: only places, rules and what to do next.

PhiGuardError
├── PolicyError           the policy file cannot be used; `.faults` lists every reason
├── DetectorUnavailable   a detector cannot start (a missing model, a broken install)
├── SealBroken            stored bytes are not what a gate cleared
├── DisclosureUnwritable  the disclosure log cannot take an entry, so nothing may be sent
└── DeliveryError         a sink did not take a batch
    ├── DeliveryRefused   it never will: do not send the same bytes again
    ├── DeliveryHalted    it refuses us (key, plan, region): stop sending and tell a person
    └── LeakSeen          the last look met an identifier: nothing was sent, turn the switch off
"""

from __future__ import annotations

from collections.abc import Iterable


class PhiGuardError(Exception):
    """The root of every error this product raises on purpose."""


class PolicyError(PhiGuardError):
    """A policy cannot be loaded; `faults` holds every reason, each `file:line: path: what, and what to write instead`."""

    def __init__(self, faults: Iterable[str]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(self.faults))


class DetectorUnavailable(PhiGuardError):
    """A detector cannot start; the message names the missing piece and the command that installs it."""


class SealBroken(PhiGuardError):
    """Bytes read back from a store carry no valid seal, so no gate cleared them in this form."""


class DeliveryError(PhiGuardError):
    """A sink did not take a batch and may take it later.

    Args:
        code: a short closed code, such as ``http_500`` or ``connection``.
        retry_after_s: seconds the other side asked us to wait, or None.
    """

    def __init__(self, code: str, retry_after_s: float | None = None) -> None:
        self.code = code
        self.retry_after_s = retry_after_s
        super().__init__(code)


class DeliveryRefused(DeliveryError):
    """The sink refuses these bytes for good (413, 422): sending them again cannot help."""


class DeliveryHalted(DeliveryError):
    """The sink refuses us (401, 403) or is not there (404, 405): nothing more may be sent until a person has looked."""


class LeakSeen(DeliveryError):
    """The last look over the final bytes met an identifier. Not one byte of them was sent.

    Args:
        rule: name of the pattern rule, never what it met.
        spans: ids of the spans that hold it; empty where it was met outside them.
    """

    def __init__(self, rule: str, spans: Iterable[str] = ()) -> None:
        self.rule = rule
        self.spans = frozenset(spans)
        super().__init__(f"last_look_{rule}")


class DisclosureUnwritable(PhiGuardError):
    """The disclosure log cannot take an entry; the message names the file and the reason. What is not written down is not sent."""
