"""What every report says of the system it stands in: how data flows, what the policy's standard means, what is not shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

LIMITS: Final = (
    "Evidence, not certification: people decide, and sign.",
    "The policy minimises field by field. Where it keeps dates, places or confirmation numbers, what is sent is not Safe Harbor clean.",
    "The bound takes the calls of this window for a sample of all calls like them; it says nothing of other software or another policy.",
    "A number within the range of a measure (milliseconds, tokens, dollars) cannot be told from a measure.",
    "Findings are shown by place, kind, length and a keyed fingerprint. The values stay in the traces.",
)
"""What a reader must know before relying on it."""

SYSTEM: Final = (
    "A voice agent of a medical practice: LiveKit Agents with a speech-to-speech model (Azure OpenAI Realtime), traced to LangSmith."
)
FLOW: Final = (
    "The agent hands each event to a relay on the same machine; the agent itself sends no telemetry.",
    "The relay puts every value through the policy: what nobody named stays inside, free text is searched, the rest must have its shape.",
    "What is cleared passes one last look and leaves to LangSmith, the only place it goes. Audio and transcripts are not sent.",
    "This audit reads the traces back from there and judges them without what the relay knew.",
)
MINIMUM: Final = (
    "Minimum necessary, 45 CFR 164.502(b): the policy says field by field what may leave. That is not de-identification under 164.514;"
    " what is sent stays protected health information in law."
)
SAFE_HARBOR: Final = (
    "Safe Harbor, 45 CFR 164.514(b)(2)(i), in what the policy decides: rule by rule it sends no more than the shipped safe_harbor.yaml,"
    " which serves all eighteen identifiers and lets none through, and the traces were made under it. Not in the traces' own start and end"
    " times: they are sent, and are dates (identifier 3). The second condition, that nobody knows of a way to tell the person from what is"
    " left (ii), no file can check: a person must state it."
)
BY_NAME: Final = (
    "Safe Harbor, 45 CFR 164.514(b)(2)(i): the policy serves all eighteen identifiers and lets none through. The second condition, that"
    " nobody knows of a way to tell the person from what is left (ii), no file can check: a person must state it."
)
"""What was once written wherever the policy's file had the name; a report that holds it still verifies, and is not believed in it."""
NOT_SHOWN: Final = (
    "Not shown: this report has its standard from the name of the policy's file, and nothing of what the policy does. Scan again to have it"
    " compared."
)
STANDARDS: Final = frozenset({MINIMUM, SAFE_HARBOR, BY_NAME, NOT_SHOWN})
"""All that a report may say of the standard."""
RETENTION: Final = (
    "Keep this report, its reviews and the audit log for six years from the day it was made or was last in effect (2192 days; 45 CFR"
    " 164.316(b)(2)(i)), apart from the system it is about."
)


@dataclass(frozen=True, slots=True)
class Scope:
    """The system and what is asked of it.

    Args:
        system: what it is.
        project: where its traces are kept.
        env: its environment.
        host: endpoint or file the traces were read from.
        flow: how data flows, step by step.
        standard: the standard that the enforced policy was shown to meet, and what that means; by itself it claims no de-identification.
        retention: how long this must be kept, and by which rule.
    """

    system: str = SYSTEM
    project: str = ""
    env: str = ""
    host: str = ""
    flow: tuple[str, ...] = FLOW
    standard: str = MINIMUM
    retention: str = RETENTION

    @classmethod
    def of(cls, *, project: str, env: str, place: str, standard: str) -> Scope:
        """The scope of a target; its standard is one of `STANDARDS`, and nothing is read from a file's name."""
        return cls(project=project, env=env, host=place, standard=standard)

    @property
    def shown_standard(self) -> str:
        """The standard as a reader is told it: one that was never compared claims nothing."""
        return self.standard if self.standard in {MINIMUM, SAFE_HARBOR} else NOT_SHOWN
