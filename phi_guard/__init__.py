"""What may leave, decided: a policy, the detectors, and the gate that every outbound payload passes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from phi_guard.errors import (
    DeliveryError,
    DeliveryHalted,
    DeliveryRefused,
    DetectorUnavailable,
    PhiGuardError,
    PolicyError,
    SealBroken,
)
from phi_guard.model import MARKER, Cleared, Detection, Note, Outcome, Payload, Withheld

if TYPE_CHECKING:
    import os

    from phi_guard.detect.detector import Detector
    from phi_guard.gate import Gate
    from phi_guard.policy.compiled import Policy

__all__ = [
    "MARKER",
    "Cleared",
    "DeliveryError",
    "DeliveryHalted",
    "DeliveryRefused",
    "Detection",
    "DetectorUnavailable",
    "Note",
    "Outcome",
    "Payload",
    "PhiGuardError",
    "PolicyError",
    "SealBroken",
    "Withheld",
    "load_policy",
    "open_detector",
    "open_gate",
]


def load_policy(path: str | os.PathLike[str], env: str = "") -> Policy:
    """Load a policy file and prove it by its own examples.

    Args:
        path: the YAML file.
        env: ``dev`` or ``prod`` to apply that overlay, empty for none.

    Raises:
        PolicyError: with every fault of the file, each ``file:line: path: what, and what to write instead``.
    """
    from phi_guard.policy import load_policy as load  # noqa: PLC0415  # YAML and pydantic load only when a policy does

    return load(path, env=env)


def open_detector(profile: Literal["strict", "balanced"] = "strict") -> Detector:
    """Load the detectors of a profile; takes seconds, so once per process.

    Raises:
        DetectorUnavailable: a model or library is missing; the message says which and how to install it.
    """
    from phi_guard.detect import open_detector as open_  # noqa: PLC0415  # spaCy and Presidio load only when asked for

    return open_(profile)


def open_gate(policy: Policy, *, key: bytes | None = None) -> Gate:
    """Open the gate of a policy with the strict detectors, loaded once.

    Args:
        policy: from `load_policy`.
        key: secret to seal cleared bytes with, so that another process can know them again; random if not given.

    Raises:
        DetectorUnavailable: a model or library is missing.
    """
    from phi_guard.gate import Gate  # noqa: PLC0415  # see open_detector

    return Gate(policy, open_detector("strict"), key=key)
