"""Stand-ins with real semantics, and real processes made small enough for a test."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from tracing.identity import new_id
from tracing.launch import RelayHandle, launch
from tracing.record import CallClosed, CallEnded, CallOpened, Consent, GuardrailClosed, SessionStarted, ToolCall
from tracing.settings import read_settings


def until(holds, seconds=30.0):
    """Wait until something holds; an AssertionError when time is up."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it did not come to hold in time"
        time.sleep(0.05)


class Store:
    """The local trace store in a process of its own, keeping every byte that arrives."""

    def __init__(self, directory):
        self.path = Path(directory) / "store.sqlite3"
        command = [sys.executable, "-m", "tracing.local.trace_store", "--port", "0", "--path", str(self.path), "--keep-raw", "--faults"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE)
        self.url = json.loads(self.process.stdout.readline())["url"]

    def fail(self, **faults):
        """Make its next answers fail: status, remaining, retry_after, delay_s, reset, match."""
        body = json.dumps(faults).encode()
        request = urllib.request.Request(self.url + "/_control", data=body, headers={"Content-Type": "application/json", "x-api-key": "t"})
        urllib.request.urlopen(request).close()

    def runs(self):
        """All runs, as they are stored."""
        import sqlite3

        with contextlib.closing(sqlite3.connect(self.path)) as db:
            return [json.loads(body) for (body,) in db.execute("SELECT body FROM runs ORDER BY started_us")]

    def raw(self):
        """Every byte that arrived: addresses, headers and bodies."""
        import sqlite3

        with contextlib.closing(sqlite3.connect(self.path)) as db:
            rows = db.execute("SELECT path, headers_json, body FROM received WHERE path != '/_control'")
            return b"\n".join(path.encode() + headers.encode() + (body or b"") for path, headers, body in rows)

    def stop(self):
        self.process.terminate()
        self.process.wait()
        self.process.stdout.close()


STARTED = []
"""Every relay a test started, so that none outlives its test, whatever fails in it."""


class Relay:
    """The real relay in a process of its own, with a switch that is on."""

    def __init__(self, directory, endpoint, **settings):
        from phi_guard.switch import FileSwitch

        self.settings = read_settings(runtime=directory, endpoint=endpoint, **settings)
        self.switch = FileSwitch(self.settings.switch)
        if not self.settings.switch.exists():
            self.switch.turn_on("a test")
        self.handle: RelayHandle = launch(self.settings, {**os.environ, "LANGSMITH_API_KEY": "test"})
        STARTED.append(self.handle.process)

    def ready(self):
        assert self.handle.wait_ready(120), (self.settings.runtime / "relay.log").read_text()
        return self

    def ledger(self):
        answer = self.handle.ask()
        assert answer is not None, "the relay does not answer"
        return answer.ledger

    def settle(self, seconds=30.0):
        """Wait until nothing is pending, and give the ledger."""
        until(lambda: self.ledger().pending == 0, seconds)
        return self.ledger()

    def kill(self):
        self.handle.process.send_signal(signal.SIGKILL)
        self.handle.process.wait()

    def stop(self):
        self.handle.stop()


def call_records(tools=1, argument='{"patient_name": "Zqxjk"}', output='{"confirmation_id": "CONF-1234"}', finished=True):
    """The records of one short call, as an agent would send them."""
    now, call, guard = time.time_ns(), new_id(), new_id()
    root = (now, call)

    def below():
        return (root, (time.time_ns(), new_id()))

    guard_at = (root, (now, guard))
    start = below()
    records = [
        CallOpened(call=call, id=call, at=(root,)),
        Consent(call=call, id=guard, at=guard_at, consent="granted"),
        SessionStarted(call=call, id=start[-1][1], at=start, end_ns=time.time_ns()),
    ]
    for _ in range(tools):
        at = below()
        facts = {"tool": "book_appointment", "status": "ok", "arguments": argument, "output": output}
        records.append(ToolCall(call=call, id=at[-1][1], at=at, end_ns=time.time_ns(), **facts))
    if finished:
        at, end = below(), time.time_ns()
        records += [
            CallEnded(call=call, id=at[-1][1], at=at, end_ns=end, reason="user_initiated", offered=len(records) + 3),
            GuardrailClosed(call=call, id=guard, at=guard_at, end_ns=end, consent="granted"),
            CallClosed(call=call, id=call, at=(root,), end_ns=end, reason="user_initiated", offered=len(records) + 3),
        ]
    return records
