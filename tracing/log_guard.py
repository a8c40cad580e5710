"""The log records of LiveKit, LangSmith and asyncio without what a caller said: on their loggers, before any handler sees a record.

So are those of the HTTP and model clients below them, which log whole requests at DEBUG. A logger made later is guarded as it is made.
LiveKit logs tool arguments, transcripts and exceptions' texts, at WARNING and ERROR in production too; an observability handler on the
root logger sends them on. The agent's own loggers are left as they are.
"""

from __future__ import annotations

import functools
import logging
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from tracing.import_watch import is_ours, mark

WITHHELD: Final = "(withheld)"

_NAMED: Final = (
    "livekit",
    "livekit.agents",
    "livekit.plugins.openai",
    "langsmith",
    "langsmith.client",
    "asyncio",
    "dtmf-inputs",
    "openai",
    "websockets",
)
_TREES: Final = ("livekit", "langsmith", "asyncio", "openai", "httpx", "httpcore", "websockets", "aiohttp")

_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}
_KEPT: Final = frozenset(
    {
        "agent_name", "attempt", "call_id", "duration", "error_type", "exception_type", "function", "generation_id", "impl_id", "item_id",
        "job_id", "label", "language", "max_retries", "max_retry", "output_type", "phase", "pid", "provider", "region", "request_id",
        "role", "room_id", "rtc-version", "session_id", "speech_id", "status", "streamed", "thread_name", "tool_name", "track_id",
        "version", "worker_id",
    }
)  # fmt: skip
"""Extras of livekit-agents 1.8.9 whose text is LiveKit's or random; any other text is somebody's."""

_PLAIN: Final = re.compile(r"[A-Za-z_][\w.\-/]{0,79}")
_LONG_NUMBER: Final = re.compile(r"\+?\d(?:[ .()\-]?\d){6,}")
_MAIL: Final = re.compile(r"\S+@\S+")
# Where a value begins in a message that was put together before it was logged: a quote, a bracket, a colon, an equals sign.
_VALUE: Final = re.compile(r"(?:(?<!\w)['\"`<{\[(]|: |=).*", re.DOTALL)


class LogGuard(logging.Filter):
    """Takes what may be a caller's out of a record and lets the rest through: level, place, the message's constant part, numbers, ids.

    An exception becomes one of the same class name, without text, cause or traceback; its text says where it was raised. A message put
    together before logging is cut where a value may begin. A word that LiveKit would join to a message by a space alone is not known
    for a value; livekit-agents 1.8.9 does so with names of its own only.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Clean a record. What cannot be cleaned is not logged; nothing is raised, since it would come out of the agent's call."""
        try:
            if record.name != "root" or _is_theirs(record.pathname):
                _clean(record)
        except Exception:  # noqa: BLE001  # a record that cannot be cleaned may hold anything
            return False
        return True


_guard: Final = LogGuard()


def install() -> None:
    """Guard every such logger there is, and each that is made from now on, as it is made. Installing twice guards once."""
    manager = logging.root.manager
    if not is_ours(manager.getLogger):
        manager.getLogger = mark(_guarding(manager.getLogger))  # type: ignore[method-assign]
    for logger in (logging.root, *map(logging.getLogger, {*_NAMED, *_of_trees()})):
        _guard_one(logger)


def is_installed() -> bool:
    """Whether every such logger there is now is guarded, and each that will be."""
    return is_ours(logging.root.manager.getLogger) and all(_guard in logging.getLogger(name).filters for name in {*_NAMED, *_of_trees()})


def _of_trees() -> list[str]:
    held = tuple(logging.root.manager.loggerDict.items())
    return [name for name, logger in held if isinstance(logger, logging.Logger) and name.split(".")[0] in _TREES]


def _guard_one(logger: logging.Logger) -> None:
    if _guard not in logger.filters:
        logger.filters.insert(0, _guard)


def _guarding(get: Callable[[str], logging.Logger]) -> Callable[[str], logging.Logger]:
    # A filter on a logger is not asked for what its children log, so each child needs its own.
    def get_guarded(name: str) -> logging.Logger:
        logger = get(name)
        if name.split(".", 1)[0] in _TREES:
            _guard_one(logger)
        return logger

    return functools.wraps(get)(get_guarded)


def _is_theirs(path: str) -> bool:
    # log_exceptions() of livekit-agents logs to the root logger
    return not {"livekit", "langsmith"}.isdisjoint(Path(path).parts)


def _clean(record: logging.LogRecord) -> None:
    record.msg, record.args = _message(record), ()
    held = vars(record)
    for name in [name for name in held if name not in _STANDARD]:
        if "pii" in name.split(".") or not _may_stay(name, held[name]):
            del held[name]
    if "taskName" in held:
        record.taskName = None  # part-entry-<identity>-...
    if isinstance(record.exc_info, tuple) and record.exc_info[0] is not None:
        record.exc_info = _stand_in(record.exc_info[0], record.exc_info[2])
        record.exc_text = None
    elif record.exc_text:
        record.exc_text = WITHHELD


def _may_stay(name: str, value: object) -> bool:
    if value is None or isinstance(value, bool | float):
        return True
    if isinstance(value, int):
        return abs(value) < 10_000_000 or name == "pid"  # seven digits and less are no phone number
    return name in _KEPT and isinstance(value, str) and bool(_PLAIN.fullmatch(value)) and not _LONG_NUMBER.search(value)


def _message(record: logging.LogRecord) -> str:
    template = str(record.msg)
    if record.args:
        given = record.args
        shown: Any = {name: _shown(arg) for name, arg in given.items()} if isinstance(given, Mapping) else tuple(map(_shown, given))
        return str(template % shown)
    line = template.partition("\n")[0]
    cut = _VALUE.sub(f" {WITHHELD}", line)
    return _MAIL.sub(WITHHELD, _LONG_NUMBER.sub(WITHHELD, cut))


def _shown(arg: object) -> object:
    if isinstance(arg, bool | int | float | None):
        return arg
    return type(arg).__name__ if isinstance(arg, BaseException) else WITHHELD


def _stand_in(kind: type[BaseException], raised: TracebackType | None) -> tuple[type[BaseException], BaseException, None]:
    """An exception that says as much as may be said; handlers format it as they would the real one."""
    while raised is not None and raised.tb_next is not None:
        raised = raised.tb_next
    where = f"; raised at {Path(raised.tb_frame.f_code.co_filename).name}:{raised.tb_lineno}" if raised is not None else ""
    made = type(kind.__name__, (Exception,), {"__module__": kind.__module__})
    return made, made(f"text withheld{where}"), None
