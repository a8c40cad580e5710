"""An agent's Python files, read for what opens a way out; never imported, never run."""

from __future__ import annotations

import ast
import os
import stat
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from audit.rehearsal.named_calls import find_calls, find_names
from tracing.doors import VARIABLES

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
        sure: False where the text alone does not say whether the way is open.
    """

    door: str
    where: str
    what: str
    sure: bool = True


@dataclass(frozen=True, slots=True)
class Source:
    """What was read.

    Args:
        files: how many.
        found: what opens a way out, in order of file and line.
        calls: full names of what is called where it may well run: not in a test, nor in a function that nothing names.
        idle: full names of what is called elsewhere only.
        judged: doors of which something stands here that shows them shut, or open.
        unread: ``file: reason`` of those that could not be read.
    """

    files: int
    found: tuple[Found, ...]
    calls: frozenset[str]
    idle: frozenset[str]
    judged: frozenset[str]
    unread: tuple[Found, ...]


def read_source(directory: Path) -> Source:
    """Read every ``.py`` file below a directory, or the one file given; environments and caches are left out. Never raises."""
    modules: list[_Module] = []
    unread: list[Found] = []
    files = 0
    for path in _files(directory):
        files += 1
        name = path.relative_to(directory).as_posix() if path != directory else path.name
        name = os.fsencode(name).decode(errors="replace")
        try:
            held = path.stat()
            if not stat.S_ISREG(held.st_mode) or held.st_size > SIZE_MAX:
                why = f"longer than {SIZE_MAX} bytes" if stat.S_ISREG(held.st_mode) else "is no regular file"
                unread.append(Found("source.unread", name, why))
                continue
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # a warning would print the line it is about
                modules.append(_Module(name, ast.parse(path.read_bytes(), name)))
        except (OSError, SyntaxError, ValueError, RecursionError, MemoryError) as fault:
            line = getattr(fault, "lineno", None)
            unread.append(Found("source.unread", f"{name}:{line}" if line else name, f"cannot be read ({type(fault).__name__})"))
    found: list[Found] = []
    named = {name for module in modules for name in module.named}
    live = {call for module in modules for call, within in module.calls if not module.is_test and within <= named}
    judged: set[str] = set()
    for module in modules:
        try:
            found += module.look()
        except RecursionError:
            unread.append(Found("source.unread", module.name, "cannot be read (RecursionError)"))
        judged |= module.judged
    calls = {call for module in modules for call, _ in module.calls}
    return Source(files, tuple(found), frozenset(live), frozenset(calls - live), frozenset(judged), tuple(unread))


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
        self.is_test = any(part.startswith("test") or part == "conftest.py" for part in name.split("/"))
        self.judged: set[str] = set()
        self.calls = {(self.resolve(call.func), within) for call, within in find_calls(tree)}
        self.named = {name for node in self.nodes for name in find_names(node)}
        self.made = {target: self.resolve(call.func) for target, call in self._assigned()}
        self.sessions = {target for target, call in self._assigned() if self.resolve(call.func).endswith("AgentSession")}
        changed = {ast.unparse(target) for node in self.nodes for target in _changed(node)}
        once = [target for target, _ in self._assigned()]
        self.start_options = {
            target
            for target, call in self._assigned()
            if _is_of_tracing(self.resolve(call.func), "start_options") and target not in changed and once.count(target) == 1
        }
        self.silent_rooms = {target for target, call in self._assigned() if self._is_silent(call)}

    def look(self) -> list[Found]:
        found = []
        for node in self.nodes:
            if isinstance(node, ast.Import | ast.ImportFrom):
                found += [self._at(node, *told) for told in _judge_import(node)]
            elif isinstance(node, ast.Call):
                found += [self._at(node, *told) for told in self._judge_call(node)]
                found += [self._at(node, *told, sure=False) for told in self._doubt_call(node)]
            elif told := self._judge_other(node):
                found.append(self._at(node, *told))
        called = {id(node.func) for node in self.nodes if isinstance(node, ast.Call)}
        for node in self.nodes:
            if isinstance(node, ast.Attribute) and node.attr == "start" and id(node) not in called and self._may_be_session(node.value):
                found += [self._at(node, door, "session.start is handed on; with which options is not seen", sure=False) for door in _START]
        return found

    def _judge_other(self, node: ast.AST) -> tuple[str, str] | None:
        if isinstance(node, ast.Assign):
            return _judge_variable(node.targets[0], node.value)
        return _judge_name(self.resolve(node)) if isinstance(node, ast.Attribute) else None

    def resolve(self, node: ast.expr) -> str:
        """The full dotted name of an expression, as its imports make it; empty where it is none."""
        tail: list[str] = []
        while isinstance(node, ast.Attribute):
            tail.append(node.attr)
            node = node.value
        if isinstance(node, ast.Name):
            return ".".join([self.known.get(node.id, node.id), *reversed(tail)])
        return ".".join(["", *reversed(tail)]) if tail else ""

    def _at(self, node: ast.AST, door: str, what: str, *, sure: bool = True) -> Found:
        return Found(door, f"{self.name}:{getattr(node, 'lineno', 0)}", what, sure)

    def _is_session(self, node: ast.expr) -> bool:
        target = ast.unparse(node)
        return target in self.sessions or "session" in target.lower() or _makes_session(node)

    def _may_be_session(self, node: ast.expr) -> bool:
        """Anything may, but a thread, a process or a timer made here, or a module."""
        name = self.made.get(ast.unparse(node), self.resolve(node.func) if isinstance(node, ast.Call) else "")
        return name.rpartition(".")[2] not in {"Thread", "Process", "Timer", "Popen"}

    def _assigned(self) -> Iterator[tuple[str, ast.Call]]:
        for node in self.nodes:
            if isinstance(node, ast.Assign | ast.AnnAssign | ast.NamedExpr) and isinstance(node.value, ast.Call):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                yield from ((ast.unparse(target), node.value) for target in targets)

    def _judge_call(self, call: ast.Call) -> Iterator[tuple[str, str]]:
        name = self.resolve(call.func)
        last = name.rpartition(".")[2]
        named = {keyword.arg: keyword.value for keyword in call.keywords if keyword.arg}
        given = call.args or call.keywords
        if last == "start" and isinstance(call.func, ast.Attribute) and given and self._is_session(call.func.value):
            self.judged.update(_START)
            yield from self._judge_start(call, named)
        if last in {"AgentSession", "Agent"}:
            self.judged.add("livekit.gateway")
            for part in ("llm", "stt", "tts"):
                if isinstance(value := named.get(part), ast.Constant) and isinstance(value.value, str):
                    yield "livekit.gateway", f"{last}({part}=...) names a model by a string: audio or text goes to LiveKit's gateway"
        if "livekit" in name and ".inference." in f"{name}.":
            yield "livekit.gateway", "livekit.agents.inference: audio or text goes to LiveKit's gateway"
        if "RealtimeModel" in name:
            self.judged.add("livekit.model_tracing")
        if "tracing" in named and ("RealtimeModel" in name or last in {"with_azure", "update_options"}) and not _is_none(named["tracing"]):
            yield "livekit.model_tracing", f"{last}(tracing=...): the provider keeps the conversation"
        word = call.args[0].value if call.args and isinstance(call.args[0], ast.Constant) else ""
        if last in {"import_module", "__import__"} and isinstance(word, str) and word.split(".")[0] == "langsmith":
            yield "langsmith.client", "langsmith is imported by its name: its clients send content past the gate"
        if last in {"setdefault", "putenv"} and len(call.args) == 2 and (told := _judge_variable(call.args[0], call.args[1])):
            yield told
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

    def _doubt_call(self, call: ast.Call) -> Iterator[tuple[str, str]]:
        """What a call may open, where its text does not say."""
        name = self.resolve(call.func)
        last = name.rpartition(".")[2]
        named = {keyword.arg: keyword.value for keyword in call.keywords if keyword.arg}
        spread = [keyword.value for keyword in call.keywords if keyword.arg is None]
        words = [arg.value for arg in call.args if isinstance(arg, ast.Constant) and isinstance(arg.value, str)]
        if isinstance(call.func, ast.Attribute) and last == "start" and not self._is_session(call.func.value):
            if (call.args or call.keywords) and self._may_be_session(call.func.value):
                for door in _START:
                    yield door, "start(...) may be a session's; say so by its name, or pass the options where it is made"
        elif isinstance(call.func, ast.Attribute) and last == "start" and call.args:
            given = named.get("room_options")
            known = given is None or ast.unparse(given) in self.silent_rooms or (isinstance(given, ast.Call) and self._is_silent(given))
            ours = [value for value in spread if self._is_start_options(value)]
            if not known or len(ours) != len(spread) or {"room_input_options", "room_output_options"} & named.keys():
                yield "livekit.transcription", "session.start(...): whether text goes to the room cannot be read off its options"
        if last == "getattr" and "start" in words:
            for door in _START:
                yield door, "getattr(..., 'start') may be a session's"
        if last == "RoomIO":
            yield "livekit.transcription", "a RoomIO made by hand: whether text goes to the room cannot be read off it"
        if last in {"AgentSession", "Agent"}:
            unclear = [part for part in ("llm", "stt", "tts") if isinstance(named.get(part), ast.expr) and self._is_unclear(named[part])]
            if unclear or spread:
                yield "livekit.gateway", f"{last}({', '.join(unclear) or '**'}): whether the model is a plugin's is not said here"
        if "RealtimeModel" in name and spread:
            yield "livekit.model_tracing", f"{last}(**...): whether tracing is among them is not said here"
        if _is_of_tracing(name, "harden") and (spread or not isinstance(named.get("captions", _FALSE), ast.Constant)):
            yield "livekit.transcription", "harden(captions=...) is not decided here"
        if last in {"import_module", "__import__", "exec", "eval"} and not words:
            yield "langsmith.client", f"{last}(...): what it brings in is not said here"

    def _is_unclear(self, node: ast.expr) -> bool:
        return not isinstance(node, ast.Call | ast.Constant) and ast.unparse(node) not in self.made

    def _is_start_options(self, value: ast.expr) -> bool:
        if isinstance(value, ast.Call):
            return _is_of_tracing(self.resolve(value.func), "start_options")
        return ast.unparse(value) in self.start_options

    def _judge_start(self, call: ast.Call, named: dict[str, ast.expr]) -> Iterator[tuple[str, str]]:
        spread = [keyword.value for keyword in call.keywords if keyword.arg is None]
        ours = any(map(self._is_start_options, spread))
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
        return _is_of_tracing(self.resolve(call.func), "room_options") or (last == "RoomOptions" and silent)


_START: Final = ("livekit.recording", "livekit.session_host", "livekit.transcription")
"""Doors that the options of ``session.start`` decide."""
_FALSE: Final = ast.Constant(value=False)


def _is_of_tracing(name: str, what: str) -> bool:
    return name in {f"tracing.{what}", f"tracing.harden.{what}"}


def _changed(node: ast.AST) -> Iterator[ast.expr]:
    """What a node changes in place: ``x[...] = ``, ``x |= ``, ``x.update(...)``."""
    if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store | ast.Del):
        yield node.value
    elif isinstance(node, ast.AugAssign):
        yield node.target
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in {"update", "pop", "clear", "setdefault"}:
        yield node.func.value


def _judge_variable(target: ast.expr, value: ast.expr) -> tuple[str, str] | None:
    """Whether the environment is given a variable that opens a way out."""
    key = target.slice if isinstance(target, ast.Subscript) else target
    if not isinstance(key, ast.Constant) or not isinstance(key.value, str):
        return None
    held = value.value if isinstance(value, ast.Constant) and isinstance(value.value, str) else "?"
    variable = next((variable for variable in VARIABLES if variable.set_in({key.value: held})), None)
    return ("source.environment", f"{key.value} is set: {variable.opens}") if variable is not None else None


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
