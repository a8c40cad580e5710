"""The local trace store as a command and as a process of its own."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from phi_guard.errors import PhiGuardError

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from audit.dashboard.service import Service
    from audit.manifest import Manifest
    from audit.source import Portion, Run, Source, Window


class StoreError(PhiGuardError):
    """The local trace store did not start; the message says what to do."""


def serve_store(
    port: int, path: Path, on_ready: Callable[[str, str], None], *, keep_days: int | None = None, dashboard: bool = False
) -> str:
    """Serve until told to stop.

    Args:
        port: on loopback; 0 takes a free one.
        path: the SQLite file.
        on_ready: told the store's address and that of the dashboard, which opens once; empty without one.
        keep_days: traces older than so many days are deleted; None keeps all.
        dashboard: whether to show the dashboard over the same store.

    Returns:
        Why it could not serve; empty when it did.

    Raises:
        KeyboardInterrupt: it was told to stop.
    """
    from tracing.local.trace_store import PAGES, StoreUnavailable, TraceStore, serve  # noqa: PLC0415  # starlette and uvicorn load only to serve

    once = secrets.token_urlsafe(32) if dashboard else ""
    started: list[Service] = []

    def mount(store: TraceStore, url: str) -> ASGIApp:
        from audit.dashboard.app import create_app  # noqa: PLC0415  # only where there is one
        from audit.dashboard.serving import LOOPBACK_NAMES  # noqa: PLC0415

        started.append(_service(lambda: [one.name for one in store.projects()], url))
        return create_app(started[0], token=None, hosts=LOOPBACK_NAMES, once=once)

    def ready(url: str) -> None:
        for service in started:  # not before: it reads from the server it is mounted in
            service.start()
        on_ready(url, f"{url}{PAGES}/open?token={once}" if dashboard else "")

    try:
        serve("127.0.0.1", port, path, on_ready=ready, keep_days=keep_days, mount=mount if dashboard else None)
    except OSError as fault:
        return f"port {port}: {fault.strerror}; choose another with --port"
    except (StoreUnavailable, ValueError) as fault:
        return str(fault)
    finally:
        for service in started:
            service.close()
    return ""


def _service(projects: Callable[[], list[str]], url: str) -> Service:
    """The dashboard's service over every project of the store at an address, read as LangSmith's are."""
    from audit.calls.index import CallIndex  # noqa: PLC0415  # only where there is a dashboard
    from audit.chain import anchor_of  # noqa: PLC0415
    from audit.dashboard.service import Beside, Service  # noqa: PLC0415
    from audit.dashboard.views.cost import price_day  # noqa: PLC0415
    from audit.keys import audit_dir  # noqa: PLC0415
    from phi_guard.policy import load_policy, shipped  # noqa: PLC0415
    from phi_guard.switch import open_switch  # noqa: PLC0415

    policy = load_policy(shipped("clinic.yaml"))
    beside = Beside(
        log_dir=audit_dir(), switch=open_switch().state, policy=policy, prices_as_of=price_day(shipped("pricing.yaml")),
        anchor=anchor_of(os.environ),
    )  # fmt: skip
    return Service(CallIndex(policy=policy), lambda window: _EveryProject(projects(), window, url), place="this store", beside=beside)


@dataclass(frozen=True, slots=True)
class _EveryProject:
    """The projects of the store as one source."""

    projects: list[str]
    window: Window
    url: str

    place: ClassVar[str] = "this store"
    live: ClassVar[bool] = True

    def _each(self) -> Iterator[tuple[str, Source]]:
        from audit.source import open_source  # noqa: PLC0415  # only where there is a dashboard

        for name in self.projects:
            yield name, open_source(project=name, window=self.window, file=None, endpoint=self.url, api_key="local")

    def runs(self) -> Iterator[Run]:
        """Every run of the window, with the name of its project."""
        for name, source in self._each():
            for run in source.runs():
                yield {**run, "session_name": name}

    def pieces(self) -> Iterator[Portion]:
        """The portions of each project, in order."""
        for _, source in self._each():
            yield from source.pieces()

    def manifest(self) -> Manifest:
        """What was asked; every project counts."""
        from audit.source import open_source  # noqa: PLC0415

        return open_source(project="", window=self.window, file=None, endpoint=self.url, api_key="local").manifest()


@contextmanager
def run_store(path: Path) -> Iterator[str]:
    """The store in a process of its own, which also ends where this one is killed; gives its address.

    Raises:
        StoreError: it did not start.
    """
    command = [sys.executable, "-P", "-m", "tracing.local.trace_store", "--port", "0", "--path", str(path), "--with-stdin"]
    # The other end of its stdin is ours alone: it closes with us, however we end.
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # noqa: S603  # our own module
    try:
        line = process.stdout.readline() if process.stdout else b""
        if not line:
            msg = f"the local trace store did not start; check that {path.parent} can be written"
            raise StoreError(msg)
        yield str(json.loads(line)["url"])
    finally:
        process.terminate()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe:
                pipe.close()


@contextmanager
def ended_with_us(process: subprocess.Popen[bytes] | None) -> Iterator[None]:
    """Within, a process that outlives its parent by design is ended where this one is killed: a rehearsal's own relay serves nobody else.

    Args:
        process: what was started; None for nothing.
    """
    if process is None:
        yield
        return
    command = [sys.executable, "-P", "-m", "audit.rehearsal.warden", str(process.pid)]
    # A session of its own, so that what kills our group, such as a closed terminal, leaves it to do its work.
    warden = subprocess.Popen(  # noqa: S603  # our own module
        command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        yield
    finally:
        warden.kill()
        warden.wait()
        if warden.stdin:
            warden.stdin.close()
