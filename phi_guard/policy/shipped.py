"""Finds the policy files that come with the product."""

from __future__ import annotations

from pathlib import Path

from phi_guard.errors import PolicyError


def shipped(name: str) -> Path:
    """The path of a file that comes with the product, whether it runs from a wheel or from a checkout.

    Args:
        name: a file name, such as ``clinic.yaml``.

    Raises:
        PolicyError: no such file comes with it; the message names those that do.
    """
    package = Path(__file__).resolve().parent.parent
    folders = [package / "policies"]
    if (package.parent / "pyproject.toml").is_file():  # a checkout; beside an installed package "policies" is somebody else's
        folders.append(package.parent / "policies")
    found = {path.name: path for folder in reversed(folders) for path in folder.glob("*.yaml")}
    if name not in found:
        known = ", ".join(sorted(found)) or "none; install the package again"
        raise PolicyError([f"{name}:1: file: no such policy comes with phi-guard (there are: {known})"])
    return found[name]
