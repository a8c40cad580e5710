"""Which standard a report may name: what the policy that was enforced does, compared rule by rule, and never what its file is called."""

from __future__ import annotations

from typing import Final

from audit.population import Population
from audit.report.scope import MINIMUM, SAFE_HARBOR
from phi_guard.errors import PolicyError
from phi_guard.policy import load_policy, shipped
from phi_guard.policy.compiled import Policy

REFERENCE: Final = "safe_harbor.yaml"
"""The shipped policy that a claim of Safe Harbor is measured by; its own loader holds it to all eighteen identifiers."""


def standard_of(policy: Policy, population: Population) -> str:
    """What a report of these traces may say of the standard.

    Safe Harbor is named only where each of two things is shown: the policy, with what it extends and its environment's overlay, sends no
    more than the shipped one does in that environment; and every trace was made under it. Whatever cannot be compared is no Safe Harbor.

    Args:
        policy: as loaded, for the environment that is judged.
        population: the traces; the policies that they name.
    """
    return SAFE_HARBOR if enforced(policy.digest, population) and meets_safe_harbor(policy) else MINIMUM


def meets_safe_harbor(policy: Policy) -> bool:
    """Whether a policy sends no more than the shipped `REFERENCE`, as `phi-audit policy diff --fail-on weaker` has it.

    Args:
        policy: as loaded, for the environment that is judged; an environment that no policy can have is never compared.
    """
    from phi_guard.policy.diff import ENVIRONMENTS, compare  # noqa: PLC0415  # only where a report is made

    if policy.env not in ENVIRONMENTS:
        return False
    try:
        reference = load_policy(shipped(REFERENCE), policy.env)
    except PolicyError:
        return False
    return not any(change.kind in {"weaker", "mixed"} for change in compare({policy.env: reference}, {policy.env: policy}))


def enforced(digest: str, population: Population) -> bool:
    """Whether the traces name this policy and no other, with a run or more for each trace; of no traces nothing is shown.

    Args:
        digest: of the policy.
        population: the traces; the policies that they name.
    """
    return len(population.policies) == 1 and 0 < population.traces <= population.policies.get(digest, 0)
