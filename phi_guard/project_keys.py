"""What may stand in ``phi-guard.toml``: each key, what may be written for it, and the variables that it stands for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

ENVIRONMENTS: Final = ("dev", "prod")
Kind = Literal["text", "path", "place", "url", "number", "share", "count", "time", "env"]


@dataclass(frozen=True, slots=True)
class Key:
    """A setting there may be.

    Args:
        name: section and key, such as ``relay.outbox_max_mb``.
        kind: what may be written.
        variables: what it stands for in the environment.
        default: what holds without it, in words.
    """

    name: str
    kind: Kind
    variables: tuple[str, ...]
    default: str


KEYS: Final = (
    Key("project.env", "env", ("PHI_GUARD_ENV",), "dev for what runs calls, prod for what judges them"),
    Key("project.name", "text", ("PHI_GUARD_PROJECT", "LANGSMITH_PROJECT"), "medical-voice-agent-ENV; what reads must be told"),
    Key("project.policy", "path", ("PHI_GUARD_POLICY",), "clinic.yaml as shipped"),
    Key("project.pricing", "path", ("PHI_GUARD_PRICING",), "pricing.yaml as shipped"),
    Key("project.gates", "path", ("PHI_AUDIT_GATES",), "gates.yaml as shipped"),
    Key("project.endpoint", "url", ("LANGSMITH_ENDPOINT",), "https://api.smith.langchain.com"),
    Key("relay.runtime", "path", ("PHI_GUARD_RUNTIME_DIR",), "the login's runtime directory"),
    Key("relay.state", "path", ("PHI_GUARD_STATE_DIR",), "~/.local/state/phi-guard; without a login the runtime directory"),
    Key("relay.outbox_max_mb", "number", ("PHI_GUARD_OUTBOX_MAX_MB",), "512"),
    Key("relay.outbox_ttl_h", "number", ("PHI_GUARD_OUTBOX_TTL_H",), "72"),
    Key("sampling.rate", "share", ("PHI_GUARD_SAMPLING_RATE",), "1"),
    Key("sampling.keep_slow_ms", "number", ("PHI_GUARD_SAMPLING_KEEP_SLOW_MS",), "3000"),
    Key("sampling.from_calls_per_day", "count", ("PHI_GUARD_SAMPLING_FROM_CALLS_PER_DAY",), "100"),
    Key("switch.where", "place", ("PHI_GUARD_SWITCH",), "switch.json in the runtime directory"),
    Key("audit.since", "time", ("PHI_AUDIT_SINCE",), "7d"),
    Key("audit.sample", "count", ("PHI_AUDIT_SAMPLE",), "12"),
    Key("audit.known_answers", "count", ("PHI_AUDIT_KNOWN_ANSWERS",), "59"),
    Key("audit.directory", "path", ("PHI_AUDIT_DIR",), "audit in the state directory"),
    Key("audit.account", "path", ("PHI_AUDIT_ACCOUNT",), "none: what was read is not held against what was sent"),
    Key("audit.baseline", "path", ("PHI_AUDIT_BASELINE",), "none, or phi-audit.baseline.yaml for phi-audit baseline"),
    Key("audit.report", "path", ("PHI_AUDIT_REPORT",), "none: the dashboard shows no verdict"),
    Key("audit.anchor", "path", ("PHI_AUDIT_ANCHOR",), "none: the log's head is kept nowhere else"),
    Key("alerts.rules", "path", ("PHI_AUDIT_ALERTS",), "alerts.yaml as shipped"),
)
"""Every key of the file; a name that is not here is refused."""

OVERLAID: Final = tuple(key for key in KEYS if key.name != "project.env")
"""What ``[environments.dev]`` and ``[environments.prod]`` may say otherwise."""

WRITE: Final[Mapping[Kind, str]] = {
    "text": "write a name of letters, digits, . _ - and spaces, in quotes",
    "path": "write a path in quotes; it is taken from the file's own directory",
    "place": "write a path, or a redis:// rediss:// or unix:// address without a password, in quotes",
    "url": "write an http:// or https:// address without a user, in quotes",
    "number": "write a number above 0, without quotes",
    "share": "write a number above 0 and up to 1, without quotes",
    "count": "write a whole number of 0 or more, without quotes",
    "time": 'write a number and a unit, such as "90m", "36h", "7d" or "2w"',
    "env": 'write "dev" or "prod"; there is no third environment',
}


def text_of(kind: Kind, value: object, base: Path) -> str | None:
    """A value as a variable would hold it; None where it is none of its kind.

    Args:
        kind: what may be written.
        value: what is.
        base: the directory that paths are taken from.
    """
    if kind in {"number", "share", "count"}:
        if isinstance(value, bool) or not isinstance(value, int | float) or (kind == "count" and not isinstance(value, int)):
            return None
        if not value < 1e9 or (kind == "share" and value > 1):
            return None
        return f"{value}" if (value >= 0 if kind == "count" else value > 0) else None
    if not isinstance(value, str) or not value or not value.isprintable() or len(value) > 1_000:
        return None
    if kind == "env":
        return value if value in ENVIRONMENTS else None
    if kind == "time":
        return value if re.fullmatch(r"[1-9][0-9]{0,4}[mhdw]", value) else None
    if kind == "text":
        return value if re.fullmatch(r"[A-Za-z0-9](?:[A-Za-z0-9._ -]{0,98}[A-Za-z0-9])?", value) else None
    if kind == "url":
        return value if re.fullmatch(r"https?://[A-Za-z0-9.:\[\]-]+(?:/[A-Za-z0-9._~/-]*)?", value) else None
    if kind == "place" and "://" in value:
        return value if re.fullmatch(r"(?:rediss?|unix)://[^@\s]+", value) else None
    return str(base.absolute() / Path(value).expanduser())
