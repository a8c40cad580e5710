"""An agent's Python files, read for what opens a way out; never imported, never run."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

SIZE_MAX: Final = 2_000_000
"""Bytes of a file that is read; a longer one is told as unread."""

_SKIPPED: Final = frozenset({".git", ".venv", "venv", "node_modules", "__pycache__", "site-packages", ".tox", "build", "dist"})


@dataclass(frozen=True, slots=True)
class Found:
    """One thing in the source.

    Args:
        door: the row it belongs to.
        where: ``file:line``, below the directory read.
        what: what stands there, in our words and the library's names.
    """

    door: str
    where: str
    what: str


@dataclass(frozen=True, slots=True)
class Source:
    """What was read.

    Args:
        files: how many.
        found: what opens a way out, in order of file and line.
        calls: full names of what is called somewhere.
        unread: ``file: reason`` of those that could not be read.
    """

    files: int
    found: tuple[Found, ...]
    calls: frozenset[str]
    unread: tuple[Found, ...]


def read_source(directory: Path) -> Source:
    """Read every ``.py`` file below a directory, or the one file given; environments and caches are left out. Never raises."""
    found: list[Found] = []
    unread: list[Found] = []
    calls: set[str] = set()
    files = 0
    for path in _files(directory):
        files += 1
        name = path.relative_to(directory).as_posix() if path != directory else path.name
        try:
            if path.stat().st_size > SIZE_MAX:
                unread.append(Found("source.unread", name, f"longer than {SIZE_MAX} bytes"))
                continue
            tree = ast.parse(path.read_bytes(), name)
        except (OSError, SyntaxError, ValueError, RecursionError, MemoryError) as fault:
            line = getattr(fault, "lineno", None)
            unread.append(Found("source.unread", f"{name}:{line}" if line else name, f"cannot be read ({type(fault).__name__})"))
            continue
        module = _Module(name, tree)
        found += module.look()
        calls |= module.calls
    return Source(files, tuple(found), frozenset(calls), tuple(unread))


def _files(directory: Path) -> Iterator[Path]:
    if directory.is_file():
        yield directory
        return
    for folder, below, names in os.walk(directory):
        below[:] = sorted(name for name in below if name not in _SKIPPED)
        yield from (Path(folder, name) for name in sorted(names) if name.endswith(".py"))


class _Module:
    """One file; names are known by where they were imported from, sessions by what they were assigned."""

    def __init__(self, name: str, tree: ast.Module) -> None:
        self.name = name
        self.nodes = sorted((node for node in ast.walk(tree) if hasattr(node, "lineno")), key=_place)
        self.known = dict(_imports(self.nodes))
        self.calls = {self.resolve(node.func) for node in self.nodes if isinstance(node, ast.Call)}
        self.sessions = {target for target, call in self._assigned() if self.resolve(call.func).endswith("AgentSession")}
        self.start_options = {target for target, call in self._assigned() if self.resolve(call.func).endswith("start_options")}
        self.silent_rooms = {target for target, call in self._assigned() if self._is_silent(call)}

    def look(self) -> list[Found]:
        found = []
        for node in self.nodes:
            if isinstance(node, ast.Import | ast.ImportFrom):
                found += [self._at(node, *told) for told in _judge_import(node)]
            elif isinstance(node, ast.Call):
                found += [self._at(node, *told) for told in self._judge_call(node)]
            elif isinstance(node, ast.Attribute) and (told := _judge_name(self.resolve(node))):
                found.append(self._at(node, *told))
        return found

    def resolve(self, node: ast.expr) -> str:
        """The full dotted name of an expression, as its imports make it; empty where it is none."""
        tail: list[str] = []
        while isinstance(node, ast.Attribute):
            tail.append(node.attr)
            node = node.value
        if isinstance(node, ast.Name):
            return ".".join([self.known.get(node.id, node.id), *reversed(tail)])
        return ".".join(["", *reversed(tail)]) if tail else ""

    def _at(self, node: ast.AST, door: str, what: str) -> Found:
        return Found(door, f"{self.name}:{getattr(node, 'lineno', 0)}", what)

    def _assigned(self) -> Iterator[tuple[str, ast.Call]]:
        for node in self.nodes:
            if isinstance(node, ast.Assign | ast.AnnAssign | ast.NamedExpr) and isinstance(node.value, ast.Call):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                yield from ((ast.unparse(target), node.value) for target in targets)

    def _judge_call(self, call: ast.Call) -> Iterator[tuple[str, str]]:
        name = self.resolve(call.func)
        last = name.rpartition(".")[2]
        named = {keyword.arg: keyword.value for keyword in call.keywords if keyword.arg}
        if last == "start" and isinstance(call.func, ast.Attribute) and (call.args or call.keywords):
            target = ast.unparse(call.func.value)
            if target in self.sessions or "session" in target.lower() or _makes_session(call.func.value):
                yield from self._judge_start(call, named)
        if last in {"AgentSession", "Agent"}:
            for part in ("llm", "stt", "tts"):
                if isinstance(value := named.get(part), ast.Constant) and isinstance(value.value, str):
                    yield "livekit.gateway", f"{last}({part}=...) names a model by a string: audio or text goes to LiveKit's gateway"
        if "livekit" in name and ".inference." in f"{name}.":
            yield "livekit.gateway", "livekit.agents.inference: audio or text goes to LiveKit's gateway"
        if "tracing" in named and ("RealtimeModel" in name or last in {"with_azure", "update_options"}) and not _is_none(named["tracing"]):
            yield "livekit.model_tracing", f"{last}(tracing=...): the provider keeps the conversation"
        if last == "set_tracer_provider":
            yield "livekit.spans", "set_tracer_provider(): LiveKit's spans, with speech and tool arguments, go to that provider"
        if (
            name.startswith("tracing.")
            and last == "harden"
            and isinstance(value := named.get("captions"), ast.Constant)
            and value.value is True
        ):
            yield "livekit.transcription", "harden(captions=True): transcripts go to everyone in the room"
        if last == "RoomOptions" and not self._is_silent(call):
            yield "livekit.transcription", "RoomOptions(...) without text_output=False: transcripts go to everyone in the room"

    def _judge_start(self, call: ast.Call, named: dict[str, ast.expr]) -> Iterator[tuple[str, str]]:
        spread = [keyword.value for keyword in call.keywords if keyword.arg is None]
        ours = any(
            (isinstance(value, ast.Call) and self.resolve(value.func).endswith("start_options")) or ast.unparse(value) in self.start_options
            for value in spread
        )
        for option, door in (("record", "livekit.recording"), ("session_host", "livekit.session_host")):
            held = named.get(option)
            if held is None and not ours:
                yield door, f"session.start() without {option}=False or **tracing.start_options()"
            elif held is not None and not (isinstance(held, ast.Constant) and held.value is False):
                yield door, f"session.start({option}=...) is not False"
        # Text is put out only where there is a room.
        if "room" in named and "room_options" not in named:
            yield "livekit.transcription", "session.start(room=...) without room_options=tracing.room_options()"

    def _is_silent(self, call: ast.Call) -> bool:
        last = self.resolve(call.func).rpartition(".")[2]
        silent = any(
            keyword.arg == "text_output" and isinstance(keyword.value, ast.Constant) and keyword.value.value is False
            for keyword in call.keywords
        )
        return last == "room_options" or (last == "RoomOptions" and silent)


def _place(node: ast.AST) -> tuple[int, int]:
    return getattr(node, "lineno", 0), getattr(node, "col_offset", 0)


def _imports(nodes: list[ast.AST]) -> Iterator[tuple[str, str]]:
    for node in nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield (alias.asname, alias.name) if alias.asname else (alias.name.split(".", maxsplit=1)[0],) * 2
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield alias.asname or alias.name, f"{node.module or ''}.{alias.name}"


def _judge_import(node: ast.Import | ast.ImportFrom) -> Iterator[tuple[str, str]]:
    if isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
    else:
        names = [f"{node.module or ''}.{alias.name}" for alias in node.names] if not node.level else []
    for name in names:
        if told := _judge_name(name):
            yield told
        elif name == "langsmith" or name.startswith("langsmith."):
            yield "langsmith.client", f"{name}: its clients send content past the gate; leave LangSmith's SDK out of the agent"


def _judge_name(name: str) -> tuple[str, str] | None:
    if not name.startswith("langsmith."):
        return None
    last = name.rpartition(".")[2]
    if last in {"configure_livekit", "LiveKitLangSmithSpanProcessor"} or name.startswith("langsmith.integrations.livekit"):
        return "langsmith.livekit", f"{last}: sends transcripts, tools and the recording"
    if "integrations" in name:
        return "langsmith.spans", f"{name}: sends conversations past the gate"
    if last in {"traceable", "trace", "tracing_context", "RunTree"} or last.startswith("wrap_"):
        return "langsmith.client", f"{last}: sends arguments, results and errors past the gate"
    return None


def _makes_session(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and ast.unparse(node.func).endswith("AgentSession")


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None
