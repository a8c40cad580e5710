"""What may leave, as a file people can read: loaded, proven by its own examples, and compiled. YAML and pydantic load only with a file."""

from __future__ import annotations

import os

from phi_guard.policy.compiled import Policy
from phi_guard.policy.shipped import shipped

__all__ = ["Policy", "load_policy", "shipped"]


def load_policy(path: str | os.PathLike[str], env: str = "") -> Policy:
    """Load a policy file and prove it by its own examples.

    Args:
        path: the YAML file.
        env: ``dev`` or ``prod`` to apply that environment's overlay, empty for none.

    Raises:
        PolicyError: with every fault of the file, each ``file:line: path: what, and what to write instead``.
    """
    from phi_guard.policy.document import load  # noqa: PLC0415  # an agent that never loads a policy pays for neither YAML nor pydantic

    return load(path, env)
