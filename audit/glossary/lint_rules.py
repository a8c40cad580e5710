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
        "PG001", "info", "only a key of this name inside another field meets the rule, so it may guard nothing",
        "list the field under the tool that has it, or leave it out",
    ),
    LintRule(
        "PG002", "error, warning", "a telephone number, a record number or a date of birth that is said or mistaken for this value leaves in clear",
        "write the prefix, the letters and the number of digits that only this value has, a narrower range, or a list: `{in: [...]}`",
    ),
    LintRule("PG003", "error", "what callers say names people", "write `action: scan`, or `truncate` with `chars`; or say exactly what the value looks like"),
    LintRule("PG004", "info", "the more is said, the more a detector can miss", "write `action: truncate` with `chars`"),
    LintRule(
        "PG005", "warning, info", "if one of the two is a slip of the pen, calls meet the other's rule or none",
        "use one name in tools and policy, if one thing is meant",
    ),
    LintRule(
        "PG006", "warning", "whatever the tool gives back is unknown, so that a trace shows no result",
        "name its outputs; a plain text or a list is `result`",
    ),
    LintRule(
        "PG007", "error, warning", "every value of a list is sent in clear",
        "list only what belongs to the clinic; write staff with a title, such as `Dr. Lee`",
    ),
    LintRule(
        "PG008", "info", "what is sent is then not de-identified in the sense of Safe Harbor (45 CFR 164.514(b)(2)(i))",
        "if that is not meant, write `action: redact`",
    ),
    LintRule("PG009", "error, warning", "detectors and shapes let some values by; a rule that redacts lets none", "write `action: redact`"),
    LintRule(
        "PG010", "warning", "over 89 so few people are left that an age names someone (45 CFR 164.514(b)(2)(i)(C))", "write `{number: [0, 89]}`",
    ),
    LintRule(
        "PG011", "warning", "every such value in this field leaves, whoever it names",
        "list what is harmless under `safe_values`, with its reason, and make it so long that it can only be what you mean",
    ),
    LintRule("PG012", "warning", "who reads the list believes that its values are sent", "write `shape: {in: the_list}` where it is meant, or leave it out"),
    LintRule(
        "PG013", "warning", "beside a name, a date tells who was where and when", "add `unless_sent: [...]` with the fields that name the patient",
    ),
    LintRule(
        "PG014", "error",
        "the last look before sending knows no policy: at the first such value it turns telemetry off until a person turns it on",
        "redact the field, or write the value down as the clinic's own: in a list (`{in: [...]}`) or under `safe_values`",
    ),
)  # fmt: skip
"""In the order of their codes; `phi_guard.policy.lint.CODES` has what each is about."""
