"""A project's first files: settings, policy, alerts, checks before a commit and in CI, each written once and never over another."""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from phi_guard.errors import PhiGuardError
from phi_guard.policy.shipped import shipped
from phi_guard.project_file import NAME

__all__ = ["ALERTS", "IGNORED", "POLICY", "Ci", "Draft", "ProjectError", "draft_files", "in_the_way", "write_files"]

Ci = Literal["github", "gitlab", "none"]

POLICY: Final = "policies/clinic.yaml"
ALERTS: Final = "policies/alerts.yaml"
IGNORED: Final = ".gitignore"
_TEMPLATES: Final = Path(__file__).parent / "templates"
_WORKFLOWS: Final = {"github": (".github/workflows/phi-guard.yml", "github.yml"), "gitlab": (".gitlab-ci.yml", "gitlab.yml")}


class ProjectError(PhiGuardError):
    """The project's files cannot be written; the message names the first that cannot, why, and what to do."""

    exit_code = 2


@dataclass(frozen=True, slots=True)
class Draft:
    """A file that is to be there.

    Args:
        path: below the project's directory.
        content: what it holds; of one that is added to, what is added.
        what: what it is for, in words.
        added: whether it is added to a file that is there already.
    """

    path: str
    content: str
    what: str
    added: bool = False


def draft_files(env: str, ci: Ci, *, pre_commit: bool) -> tuple[Draft, ...]:
    """The files of a new project, nothing written yet.

    Args:
        env: ``dev`` or ``prod``: what the settings name.
        ci: whose workflow is among them.
        pre_commit: whether hooks for pre-commit are.
    """
    policy = shipped("clinic.yaml")
    schemas = policy.parent / "schema"
    alerts = policy.parent / "alerts.yaml"
    settings = _template("phi-guard.toml").replace("@ENV@", env).replace("@ALERTS@", "" if alerts.is_file() else "# ")
    drafts = [
        Draft(NAME, settings, "the settings, each with what it does"),
        Draft(POLICY, policy.read_text("utf-8"), "what may leave: every field and tool, with examples that prove it"),
        Draft(
            "policies/schema/policy.schema.json", _schema(schemas / "policy.schema.json"), "completion and checks of the policy in editors"
        ),
    ]
    if alerts.is_file():
        drafts.append(Draft(ALERTS, alerts.read_text("utf-8"), "when somebody is told"))
        if (schemas / "alerts.schema.json").is_file():
            drafts.append(Draft("policies/schema/alerts.schema.json", _schema(schemas / "alerts.schema.json"), "the same for the alerts"))
    if ci != "none":
        path, name = _WORKFLOWS[ci]
        drafts.append(Draft(path, _template(name), "checks the policy with every change, and scans prod every night"))
    if pre_commit:
        drafts.append(Draft(".pre-commit-config.yaml", _template("pre-commit.yaml"), "checks the policy before a commit"))
    return (*drafts, Draft(IGNORED, _template("gitignore"), "keeps what rehearsals leave out of the repository", added=True))


def in_the_way(directory: Path, drafts: tuple[Draft, ...]) -> tuple[str, ...]:
    """Which of the files are there already with other content, by their path below the directory."""
    return tuple(one.path for one in drafts if not one.added and _holds(directory / one.path) not in {None, one.content.encode()})


def write_files(directory: Path, drafts: tuple[Draft, ...]) -> tuple[str, ...]:
    """Write the files, each whole or not at all.

    Args:
        directory: where; made if it is not there yet.
        drafts: which; one that is there is replaced, one that is added to keeps what it holds.

    Returns:
        The paths that were written; what held the same already is not among them.

    Raises:
        ProjectError: one cannot be written; those before it are.
    """
    written = []
    for one in drafts:
        path = directory / one.path
        try:
            content = one.content.encode()
            held = _holds(path)
            if one.added and held is not None:
                lines = [line for line in one.content.splitlines() if line and not line.startswith("#")]
                if set(lines) <= set(held.decode("utf-8", "replace").splitlines()):
                    continue
                content = held + (b"" if held.endswith(b"\n") or not held else b"\n") + content
            if content != held:
                _replace(path, content)
                written.append(one.path)
        except OSError as fault:
            msg = f"{path}: cannot be written ({fault.strerror}); see the directory, its owner and the space left"
            raise ProjectError(msg) from None
    return tuple(written)


def _replace(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with draft.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError:
        draft.unlink(missing_ok=True)
        raise


def _holds(path: Path) -> bytes | None:
    """What a file holds; None where there is none. A directory or a link in its place is in the way like any other content."""
    if path.is_symlink() or path.is_dir():
        return b""
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError:
        return b""


def _template(name: str) -> str:
    return (_TEMPLATES / name).read_text("utf-8")


def _schema(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except OSError as fault:
        raise ProjectError(f"{path}: is not as it was shipped ({fault.strerror}); install phi-guard-toolkit again") from None
