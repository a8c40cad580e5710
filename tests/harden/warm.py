"""A process that has loaded what LiveKit and LangSmith stand on, but neither of them: each probe is a fork of it and starts sooner.

Reads a line of JSON for each probe from stdin and writes ``[exit code]`` when it has ended.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import runpy
import sys
import traceback
from pathlib import Path

BELOW = (
    "numpy", "av", "openai", "pydantic", "aiohttp", "aiofiles", "psutil", "requests", "watchfiles", "livekit.rtc", "livekit.api",
    "opentelemetry.sdk.trace.export", "opentelemetry.sdk._logs.export", "opentelemetry.sdk.metrics.export",
    "opentelemetry.exporter.otlp.proto.http.trace_exporter", "opentelemetry.exporter.otlp.proto.http._log_exporter",
    "opentelemetry.exporter.otlp.proto.http.metric_exporter", "zmq", "msgspec", "typer", "httpx", "orjson",
    "requests_toolbelt", "zstandard",
)  # fmt: skip


def run(asked):
    """Be one probe, as if it had been started by itself."""
    os.environ.clear()
    os.environ.update(asked["environment"])
    os.chdir(asked["directory"])
    for number, name in ((1, "stdout"), (2, "stderr")):
        os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    sys.stdin.close()
    sys.argv = [str(Path(__file__).with_name("probes.py")), *asked["arguments"]]
    try:
        runpy.run_path(sys.argv[0], run_name="__main__")
    except BaseException:  # noqa: BLE001  # a process of its own would end with it too
        traceback.print_exc()
        return 1
    return 0


def main():
    """Load, then fork for each line."""
    for name in BELOW:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    assert not any(name.split(".")[0] in {"langsmith", "tracing"} or name.startswith("livekit.agents") for name in sys.modules)
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            code = run(json.loads(line))
            with contextlib.suppress(Exception):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(code)
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"[{os.waitstatus_to_exitcode(status)}]\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
