"""Whether each real service takes the keys that the environment has: one harmless call each, and what is wrong in words."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from audit.source.live.alerting import examine_pagerduty, examine_slack, examine_webhook
from audit.source.live.asking import TIMEOUT_S, Finding
from audit.source.live.azure import examine_azure
from audit.source.live.langsmith import examine_langsmith
from audit.source.live.livekit import examine_livekit
from audit.source.live.switching import examine_switch

__all__ = ["REQUIRED", "SCHEMA", "TIMEOUT_S", "Finding", "examine_services", "to_json", "verdict"]

SCHEMA: Final = "phi-audit.doctor-live/1"
REQUIRED: Final = ("LangSmith", "LiveKit", "Azure OpenAI")
"""Without these no call is recorded; alerts may go elsewhere."""
_EXAMINERS: Final[tuple[Callable[[Mapping[str, str], float], Iterator[Finding]], ...]] = (
    examine_langsmith, examine_livekit, examine_azure, examine_slack, examine_pagerduty, examine_webhook, examine_switch,
)  # fmt: skip


def examine_services(environ: Mapping[str, str], timeout_s: float = TIMEOUT_S) -> Iterator[Finding]:
    """Try each service. Each finding is given as soon as it is there.

    Args:
        environ: the variables the agent and the relay would run with.
        timeout_s: seconds for each part of an answer.
    """
    for examine in _EXAMINERS:
        yield from examine(environ, timeout_s)


def verdict(findings: tuple[Finding, ...]) -> str:
    """``FAIL`` where one failed; ``UNTRIED`` where a required service gave no answer; else ``PASS``."""
    if any(one.state == "FAIL" for one in findings):
        return "FAIL"
    untried = {one.service for one in findings if not one.tried}
    passed = {one.service for one in findings if one.state == "PASS"}
    return "UNTRIED" if untried & set(REQUIRED) or not set(REQUIRED) <= passed else "PASS"


def to_json(findings: tuple[Finding, ...]) -> dict[str, object]:
    """The findings as schema ``phi-audit.doctor-live/1``."""
    rows = [
        {"service": one.service, "state": one.state, "what": one.what, "fix": one.fix, "tried": one.tried, "took_ms": one.took_ms}
        for one in findings
    ]
    counts = {state.lower(): sum(one.state == state for one in findings) for state in ("PASS", "FAIL", "NOTE")}
    return {"schema": SCHEMA, "verdict": verdict(findings), "counts": counts, "rows": rows}
