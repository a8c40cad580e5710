"""What each rule of ``phi-audit policy lint`` is about, why it matters, and what to write instead."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class LintRule:
    """One rule.

    Args:
        code: as lint prints it.
        severity: of its findings, the gravest first.
        why: what can come of it.
        instead: what to write.
    """

    code: str
    severity: str
    why: str
    instead: str


LINT_RULES: Final = (
    LintRule(
        "PG001",
        "info",
        why="only a key of this name inside another field meets the rule, so it may guard nothing",
        instead="list the field under the tool that has it, or leave it out",
    ),
    LintRule(
        "PG002",
        "error, warning",
        why="a telephone number, a record number or a date of birth that is said or mistaken for this value leaves in clear",
        instead="write the prefix, the letters and the number of digits that only this value has, a narrower range, or a list: `{in:"
        " [...]}`",
    ),
    LintRule(
        "PG003",
        "error",
        why="what callers say names people",
        instead="write `action: scan`, or `truncate` with `chars`; or say exactly what the value looks like",
    ),
    LintRule(
        "PG004",
        "info",
        why="the more is said, the more a detector can miss",
        instead="write `action: truncate` with `chars`",
    ),
    LintRule(
        "PG005",
        "warning, info",
        why="if one of the two is a slip of the pen, calls meet the other's rule or none",
        instead="use one name in tools and policy, if one thing is meant",
    ),
    LintRule(
        "PG006",
        "warning",
        why="whatever the tool gives back is unknown, so that a trace shows no result",
        instead="name its outputs; a plain text or a list is `result`",
    ),
    LintRule(
        "PG007",
        "error, warning",
        why="every value of a list is sent in clear",
        instead="list only what belongs to the clinic; write staff with a title, such as `Dr. Lee`",
    ),
    LintRule(
        "PG008",
        "info",
        why="what is sent is then not de-identified in the sense of Safe Harbor (45 CFR 164.514(b)(2)(i))",
        instead="if that is not meant, write `action: redact`",
    ),
    LintRule(
        "PG009",
        "error, warning",
        why="detectors and shapes let some values by; a rule that redacts lets none",
        instead="write `action: redact`",
    ),
    LintRule(
        "PG010",
        "warning",
        why="over 89 so few people are left that an age names someone (45 CFR 164.514(b)(2)(i)(C))",
        instead="write `{number: [0, 89]}`",
    ),
    LintRule(
        "PG011",
        "warning",
        why="every such value in this field leaves, whoever it names",
        instead="list what is harmless under `safe_values`, with its reason, and make it so long that it can only be what you mean",
    ),
    LintRule(
        "PG012",
        "warning",
        why="who reads the list believes that its values are sent",
        instead="write `shape: {in: the_list}` where it is meant, or leave it out",
    ),
    LintRule(
        "PG013",
        "warning",
        why="beside a name, a date tells who was where and when",
        instead="add `unless_sent: [...]` with the fields that name the patient",
    ),
    LintRule(
        "PG014",
        "error",
        why="the last look before sending knows no policy: at the first such value it turns telemetry off until a person turns it on",
        instead="redact the field, or write the value down as the clinic's own: in a list (`{in: [...]}`) or under `safe_values`",
    ),
)
"""In the order of their codes; `phi_guard.policy.lint.CODES` has what each is about."""
