"""What steers tracing, read once: an argument wins over the environment, that over ``phi-guard.toml``, and that over the default."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from phi_guard.project_file import with_file
from phi_guard.runtime import runtime_dir, where_state_is
from phi_guard.switch import where_switch_is

ENDPOINT: Final = "https://api.smith.langchain.com"
SOCKET: Final = "relay.sock"
SOCKET_PATH_MAX: Final = 100
"""A unix socket's path holds 107 bytes on Linux and 103 on macOS (sys/un.h)."""


OUTBOX_MAX_MB: Final = 512.0
"""Some 300,000 operations."""
OUTBOX_TTL_H: Final = 72.0
"""A weekend without LangSmith loses nothing."""

KEEP_SLOW_MS: Final = 3000.0
"""Where the alert on slow turns stands, too."""
FROM_CALLS_PER_DAY: Final = 100
"""The requirements, section 16: sampling is for more than a hundred calls a day."""
SMALLEST: Final = 1e-4
"""Smallest share of calls that may be sampled: who weighs a trace by its chance lets none stand for more than ten thousand calls."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """Which calls are sent. Without it every one is.

    Args:
        rate: share of the calls with nothing to remark that are sent; above 0 and at most 1. All others always are.
        keep_slow_ms: a call with a TTFT-A above it is one to remark, milliseconds.
        from_calls_per_day: while fewer calls than that began in this clock hour (UTC) and the 23 before it, all that begin are sent.
    """

    rate: float = 1.0
    keep_slow_ms: float = KEEP_SLOW_MS
    from_calls_per_day: int = FROM_CALLS_PER_DAY


@dataclass(frozen=True, slots=True)
class Settings:
    """Where the relay runs, under which policy, and to whom it sends.

    Args:
        runtime: private directory of socket, log and switch.
        state: private directory of what outlives a reboot: outbox, key and disclosure log. Nobody but the relay makes or opens it.
        policy: the policy file; empty for the shipped ``clinic.yaml``.
        env: ``dev`` or ``prod``.
        project: LangSmith project.
        endpoint: LangSmith API.
        pricing: price list; empty for the shipped ``pricing.yaml``.
        switch: file of the roll-back switch, or its server's address, which may hold a password and is not shown.
        outbox_max_bytes: how much may wait in the outbox.
        outbox_ttl_s: for how long, seconds.
        sampling: which calls are sent.
    """

    runtime: Path
    state: Path
    policy: str
    env: str
    project: str
    endpoint: str
    pricing: str
    switch: Path | str = field(repr=False)
    outbox_max_bytes: int
    outbox_ttl_s: float
    sampling: Sampling = Sampling()

    @property
    def address(self) -> str:
        """The zmq endpoint between recorder and relay."""
        return f"ipc://{self.runtime / SOCKET}"


def read_settings(
    *,
    runtime: str | os.PathLike[str] | None = None,
    policy: str | os.PathLike[str] | None = None,
    env: str | None = None,
    project: str | None = None,
    endpoint: str | None = None,
    pricing: str | os.PathLike[str] | None = None,
    state: str | os.PathLike[str] | None = None,
    environ: Mapping[str, str] | None = None,
) -> Settings:
    """Settings out of arguments, environment, settings file and defaults.

    Raises:
        ValueError: a setting is out of its closed list or no number, the settings file cannot be used, or the runtime directory's path is
            too long for a socket.
        RuntimeDirectoryError: the runtime directory cannot be made, or is not ours alone.
    """
    given = with_file(os.environ if environ is None else environ, env or "")
    named = runtime or given.get("PHI_GUARD_RUNTIME_DIR")
    where = runtime_dir(Path(named) if named else None)
    if len(os.fsencode(where / SOCKET)) > SOCKET_PATH_MAX:
        msg = f"PHI_GUARD_RUNTIME_DIR: {where}: too long for a unix socket; choose a path under {SOCKET_PATH_MAX - len(SOCKET)} bytes"
        raise ValueError(msg)
    chosen = env or given.get("PHI_GUARD_ENV") or "dev"
    if chosen not in {"dev", "prod"}:
        msg = "PHI_GUARD_ENV: write dev or prod; there is no third environment"
        raise ValueError(msg)
    return Settings(
        runtime=where,
        state=Path(state).absolute() if state else where_state_is(where, given),
        policy=str(policy or given.get("PHI_GUARD_POLICY") or ""),
        env=chosen,
        project=project or given.get("PHI_GUARD_PROJECT") or f"medical-voice-agent-{chosen}",
        endpoint=endpoint or given.get("LANGSMITH_ENDPOINT") or ENDPOINT,
        pricing=str(pricing or given.get("PHI_GUARD_PRICING") or ""),
        switch=where_switch_is(given.get("PHI_GUARD_SWITCH") or where / "switch.json"),
        outbox_max_bytes=int(_number(given, "PHI_GUARD_OUTBOX_MAX_MB", OUTBOX_MAX_MB) * 1024 * 1024),
        outbox_ttl_s=_number(given, "PHI_GUARD_OUTBOX_TTL_H", OUTBOX_TTL_H) * 3600,
        sampling=_sampling(given),
    )


def _sampling(given: Mapping[str, str]) -> Sampling:
    rate = _number(given, "PHI_GUARD_SAMPLING_RATE", 1.0)
    if not SMALLEST <= rate <= 1:
        msg = f"PHI_GUARD_SAMPLING_RATE: write a share from {SMALLEST:.4f} up to 1, such as 0.2"
        raise ValueError(msg)
    count = given.get("PHI_GUARD_SAMPLING_FROM_CALLS_PER_DAY") or str(FROM_CALLS_PER_DAY)
    if not (count.isascii() and count.isdigit() and len(count) <= 9):
        msg = f"PHI_GUARD_SAMPLING_FROM_CALLS_PER_DAY: write a whole number of 0 or more, such as {FROM_CALLS_PER_DAY}"
        raise ValueError(msg)
    return Sampling(rate, _number(given, "PHI_GUARD_SAMPLING_KEEP_SLOW_MS", KEEP_SLOW_MS), int(count))


def _number(given: Mapping[str, str], name: str, default: float) -> float:
    text = given.get(name) or str(default)
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < 1e9:
        msg = f"{name}: write a number above 0, such as {default:g}"
        raise ValueError(msg)
    return number
