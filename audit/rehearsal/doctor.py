"""Whether an agent's side doors are shut, judged from outside: its environment, what is installed, its runtime directory, its source."""

from __future__ import annotations

import resource
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final, Literal

import phi_guard
from audit.rehearsal.agent_source import Found, Source, read_source
from phi_guard.runtime import RuntimeDirectoryError, runtime_dir
from phi_guard.switch import SwitchError, open_switch
from tracing.doors import VARIABLES

SCHEMA: Final = "phi-audit.doctor/1"

RowState = Literal["PASS", "FAIL", "NOTE"]


@dataclass(frozen=True, slots=True)
class Row:
    """One judgement.

    Args:
        door: what was judged.
        state: ``FAIL`` where a way out is open, ``NOTE`` only where it cannot be judged from here.
        where: a variable, a distribution, or ``file:line``; may be empty.
        what: what holds; no value of the environment or of the source.
        fix: what to do; empty where there is nothing to do.
    """

    door: str
    state: RowState
    where: str
    what: str
    fix: str = ""


_RANGES: Final = {
    "livekit-agents": ((1, 8, 9), (1, 9), ">=1.8.9,<1.9"),
    "livekit-plugins-openai": ((1, 8, 9), (1, 9), ">=1.8.9,<1.9"),
    "langsmith": ((0, 15), (0, 16), ">=0.15,<0.16"),
}
"""What the doors were checked against; a later minor may rename what they hold on to."""

_RECORDERS: Final = (
    "livekit-evals", "damasqas-livekit", "etaoi", "egma", "callva-livekit", "liveflow", "livekit-plugins-hamming", "voxeye",
)  # fmt: skip
"""They send transcripts, tool payloads or sound; one of them (liveflow) by being installed."""

_OBSERVERS: Final = ("sentry-sdk", "ddtrace", "newrelic", "elastic-apm", "rollbar", "bugsnag", "langfuse", "logfire")
_CORE_PATTERN: Final = Path("/proc/sys/kernel/core_pattern")

_SOURCE_FIXES: Final = {
    "livekit.recording": "pass **tracing.start_options() to session.start",
    "livekit.session_host": "pass **tracing.start_options() to session.start",
    "livekit.transcription": "pass room_options=tracing.room_options(); captions need a decision of their own",
    "livekit.gateway": "give a model of a plugin, such as openai.realtime.RealtimeModel.with_azure(...)",
    "livekit.model_tracing": "leave tracing out",
    "livekit.spans": "leave LiveKit's provider alone; tracing.harden(ctx) shuts it",
    "langsmith.livekit": "remove it; tracing.attach(session, ctx) records the call",
    "langsmith.spans": "remove it; tracing.attach(session, ctx) records the call",
    "langsmith.client": "remove it; tracing.attach(session, ctx) records the call",
    "source.environment": "remove it; set nothing that opens a way out, neither here nor where the agent is deployed",
    "source.unread": "mend it, or leave it out of the directory",
}

_SHOWN: Final = {
    **dict.fromkeys(("livekit.recording", "livekit.session_host", "livekit.transcription"), "session.start(...)"),
    "livekit.gateway": "AgentSession(...)",
    "livekit.model_tracing": "RealtimeModel(...)",
}
"""Doors that pass only where what decides them was seen."""

_CALLS: Final = (
    (
        "harden",
        "LiveKit's spans and log records and LangSmith's SDK are open inside the process",
        "call tracing.harden(ctx) as the first line of the entrypoint",
    ),
    ("attach", "calls are not recorded by the guarded tracer", "call tracing.attach(session, ctx) before session.start()"),
)


def examine(environment: Mapping[str, str], source: Path | None = None) -> tuple[Row, ...]:
    """Judge every door that can be judged without running the agent. Makes the runtime directory where there is none; changes nothing else.

    Args:
        environment: the variables the agent would run with.
        source: the agent's directory or file; without it nothing is said about its code.
    """
    rows = [*_environment(environment), *_installed(), *_runtime(), *_memory()]
    if source is not None:
        rows += _source(read_source(source))
    else:
        rows.append(Row("source", "NOTE", "", "the agent's code was not read", "name its directory with --source"))
    return tuple(rows)


def is_shut(rows: tuple[Row, ...]) -> bool:
    """Whether no row failed."""
    return not any(row.state == "FAIL" for row in rows)


def to_json(rows: tuple[Row, ...]) -> dict[str, object]:
    """The rows as schema ``phi-audit.doctor/1``."""
    counts = {state.lower(): sum(row.state == state for row in rows) for state in ("PASS", "FAIL", "NOTE")}
    told = [{"door": row.door, "state": row.state, "where": row.where, "what": row.what, "fix": row.fix} for row in rows]
    return {"schema": SCHEMA, "verdict": "PASS" if is_shut(rows) else "FAIL", "counts": counts, "rows": told}


def _environment(environment: Mapping[str, str]) -> Iterator[Row]:
    for variable in VARIABLES:
        door = f"environment.{variable.names[0]}"
        if names := variable.set_in(environment):
            yield from (Row(door, "FAIL", name, variable.opens, variable.fix) for name in names)
        else:
            yield Row(door, "PASS", variable.names[0], "opens nothing")
    exporters = [name for name in environment if name.startswith("OTEL_EXPORTER_OTLP") and name.endswith("ENDPOINT")]
    if exporters or environment.get("OTEL_TRACES_EXPORTER", "none") not in {"none", ""}:
        where = ", ".join([*sorted(exporters), *(["OTEL_TRACES_EXPORTER"] if "OTEL_TRACES_EXPORTER" in environment else [])])
        what = "an OpenTelemetry provider may be set up by it; LiveKit's spans go there unless the agent is hardened"
        yield Row("environment.OTEL", "NOTE", where, what, "call tracing.harden(ctx) as the first line of the entrypoint")


def _installed() -> Iterator[Row]:
    for name, (least, below, text) in _RANGES.items():
        held = _version(name)
        if held is None:
            yield Row(f"installed.{name}", "NOTE", name, "is not installed here", "run this where the agent runs")
        elif least <= _numbers(held) < below:
            yield Row(f"installed.{name}", "PASS", f"{name} {held}", "is a version the doors were checked against")
        else:
            yield Row(f"installed.{name}", "FAIL", f"{name} {held}", "was not checked: names may have changed", f"install {name} {text}")
    yield _phi_guard()
    if found := [name for name in _RECORDERS if _version(name)]:
        what = "records sessions and sends transcripts, tool payloads or sound"
        yield from (Row("installed.recorders", "FAIL", name, what, f"uninstall {name} from the agent's environment") for name in found)
    else:
        yield Row("installed.recorders", "PASS", "", "no library that records LiveKit sessions by itself")
    for name in _OBSERVERS:
        if _version(name):
            what = "may send local variables, arguments or spans; its settings cannot be judged from here"
            yield Row(
                "installed.observers", "NOTE", name, what, "turn off local variables and request bodies, or leave it out of the agent"
            )


def _phi_guard() -> Row:
    door = "installed.phi-guard"
    if _version("phi-guard"):
        what = "another project's package of the same import name is installed and may be imported in ours' place"
        return Row(door, "FAIL", "phi-guard", what, "pip uninstall phi-guard, then install phi-guard-toolkit again")
    if not hasattr(phi_guard, "open_gate"):
        return Row(door, "FAIL", "phi_guard", "what is imported is not phi-guard-toolkit", "look for another phi_guard on the path")
    return Row(door, "PASS", "phi-guard-toolkit", "is what is imported as phi_guard")


def _runtime() -> Iterator[Row]:
    try:
        path = runtime_dir()
    except RuntimeDirectoryError as fault:
        where, _, what = str(fault).partition(": ")
        what, _, fix = what.partition("; ")
        yield Row("runtime.directory", "FAIL", where, what, fix)
        return
    yield Row("runtime.directory", "PASS", str(path), "is ours alone (mode 0700)")
    try:
        held = open_switch()
        state = held.state()
    except SwitchError as fault:
        yield Row("runtime.switch", "FAIL", "PHI_GUARD_SWITCH", str(fault), "name a file, or a Redis address; phi-audit switch status")
        return
    if state.on:
        yield Row("runtime.switch", "PASS", held.place, "telemetry is on")
    elif state.at:
        yield Row("runtime.switch", "PASS", held.place, "telemetry was turned off: nothing is sent")
    else:
        yield Row("runtime.switch", "PASS", held.place, f"nothing is sent: {state.reason}")


def _memory() -> Iterator[Row]:
    limit = resource.getrlimit(resource.RLIMIT_CORE)[0]
    piped = _CORE_PATTERN.is_file() and _CORE_PATTERN.read_text().startswith("|")
    if piped:
        what = "the host hands a crashed process's memory, with what was said, to a program; what that does cannot be judged from here"
        yield Row("process.core_dumps", "NOTE", str(_CORE_PATTERN), what, "set kernel.core_pattern to a plain file name on the host")
    elif limit != 0:
        what = "a crash would write memory, with what was said, to disk; the agent's own limit cannot be judged from here"
        yield Row("process.core_dumps", "NOTE", "ulimit -c", what, "set ulimit -c 0; tracing.harden(ctx) does so in the agent")
    else:
        yield Row("process.core_dumps", "PASS", "ulimit -c", "a crash writes no memory to disk")


def _source(source: Source) -> Iterator[Row]:
    found: tuple[Found, ...] = (*source.found, *source.unread)
    for call, open_by_it, fix in _CALLS:
        names = {f"tracing.{call}", f"tracing.harden.{call}"}
        if names & source.calls:
            yield Row(f"source.{call}", "PASS", "", f"tracing.{call}() is called")
        elif names & source.idle:
            what = f"tracing.{call}() is called only in a test, or in a function that nothing read here names"
            yield Row(f"source.{call}", "NOTE", "", what, fix)
        else:
            yield Row(f"source.{call}", "FAIL", "", f"tracing.{call}() is called nowhere: {open_by_it}", fix)
    for door, fix in _SOURCE_FIXES.items():
        rows = [one for one in found if one.door == door]
        if rows:
            yield from (Row(door, "FAIL" if one.sure else "NOTE", one.where, one.what, fix) for one in rows)
        elif door in _SHOWN and door not in source.judged:
            yield Row(door, "NOTE", "", f"{_SHOWN[door]} was not found in {source.files} files, so nothing shows it shut", fix)
        else:
            yield Row(door, "PASS", "", f"nothing in {source.files} files")


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _numbers(text: str) -> tuple[int, ...]:
    numbers = []
    for part in text.split("."):
        digits = part[: len(part) - len(part.lstrip("0123456789"))]
        if not digits:
            break
        numbers.append(int(digits))
        if digits != part:  # 0rc1
            break
    return tuple(numbers)
