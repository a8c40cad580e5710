"""The relay in the foreground, for a supervisor, and what it says of itself."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec

from phi_guard.errors import PhiGuardError
from phi_guard.runtime import runtime_dir
from tracing.launch import RelayHandle, environment, give_way
from tracing.settings import read_settings


class KeyUnreadable(PhiGuardError):
    """The file with the API key cannot be used; the message names it and what to do."""


def serve_relay(key_file: Path | None, settings: dict[str, str | None]) -> int:
    """Be the relay until SIGTERM or SIGINT, as ``python -m tracing.relay`` is.

    This process's environment becomes what a relay that an agent starts would get: LangSmith's other switches open side doors.

    Args:
        key_file: a file that holds the API key alone; None where the environment has it.
        settings: the relay's options by name; None for the environment's or the default.

    Returns:
        0 stopped as told, or a relay with these settings serves already; 2 a setting or the directory is wrong.

    Raises:
        KeyUnreadable: the key's file cannot be read or holds no key.
    """
    passed = environment(os.environ)
    if key_file is not None:
        passed["LANGSMITH_API_KEY"] = _read_key(key_file)
    for name in set(os.environ) - set(passed):
        del os.environ[name]
    os.environ.update(passed)
    give_way(os.getpid())
    from tracing.relay.__main__ import main  # noqa: PLC0415  # seconds of models, only to serve

    return main([part for name, value in settings.items() if value for part in (f"--{name}", value)])


def ask_relay(runtime: str | None, seconds: float) -> tuple[Path, dict[str, Any] | None]:
    """The runtime directory, and the relay's own account of itself; None when it gives none within so many seconds.

    Raises:
        RuntimeDirectoryError: the runtime directory is not ours alone.
        ValueError: its path is too long for a socket.
    """
    settings = read_settings(runtime=runtime_dir(Path(runtime) if runtime else None))
    answer = RelayHandle(settings, None).ask(seconds)
    return settings.runtime, None if answer is None else msgspec.to_builtins(answer)


def _read_key(path: Path) -> str:
    try:
        key = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeError) as fault:
        reason = fault.strerror if isinstance(fault, OSError) else "it is no text"
        raise KeyUnreadable(f"{path}: cannot be read ({reason}); it must hold the LangSmith API key and nothing else") from None
    if not key or len(key.split()) != 1:
        raise KeyUnreadable(f"{path}: holds no key; write the LangSmith API key there, on one line, and nothing else")
    return key
