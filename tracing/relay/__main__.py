"""``python -m tracing.relay``: the relay as a process. Its environment holds the API key; nothing but codes and counts goes to its log.

Exit codes: 0 stopped as told or a relay like this one already serves the directory; 2 a setting or the directory is wrong, or a relay under
other settings does not let go.
"""

from __future__ import annotations

import argparse
import os
import resource
import signal
import sys
import threading
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Final

import zmq

from phi_guard.errors import DetectorUnavailable, PhiGuardError, PolicyError
from phi_guard.gate import Gate
from phi_guard.outbound.langsmith import LangSmithSink
from phi_guard.policy import load_policy, shipped
from phi_guard.switch import FileSwitch
from tracing.cost import Pricing, load_pricing
from tracing.relay.intake import LOST_S, Intake
from tracing.relay.outbox import Outbox, OutboxUnusable
from tracing.relay.shipper import Shipper
from tracing.relay.tenure import holding
from tracing.settings import Settings, read_settings

if TYPE_CHECKING:
    from types import FrameType

HERE: Final = "relay"
DRAIN_S: Final = 5.0
PATIENCE_S: Final = DRAIN_S + 60.0
"""How long a relay under other settings may take to stop: it drains, or it is still loading its models."""
LOOK_S: Final = 1.0
"""How often the relay looks for agents that are gone; a turn of its loop that takes longer means that it was away itself."""
WAITING_MAX: Final = 16
"""Messages of one agent that wait in the relay's memory; the rest wait where they are."""
_KEY: Final = "seal.key"
_OUTBOX: Final = "outbox.sqlite3"


def main(argv: list[str] | None = None) -> int:
    """Run until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="python -m tracing.relay", description="The phi-guard relay: gate, outbox, shipper.")
    for name in ("runtime", "policy", "env", "project", "endpoint", "pricing"):
        parser.add_argument(f"--{name}")
    try:
        settings = read_settings(**vars(parser.parse_args(argv)))
        _keep_quiet()
        with holding(settings, PATIENCE_S) as ours:
            if ours:
                _serve(settings)
            else:
                _log("a relay with these settings serves this directory: nothing to do")
    except (ValueError, PhiGuardError) as fault:
        _log(str(fault))
        return 2
    return 0


def _keep_quiet() -> None:
    """This process holds raw records for moments: no file it makes is for others, it leaves no core, and no fault's text is printed."""
    os.umask(0o077)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    warnings.simplefilter("ignore")  # a warning may quote the text that was parsed
    sys.excepthook = lambda kind, _, __: _log(f"ended by {kind.__name__}")
    threading.excepthook = lambda told: _log(f"a thread ended by {told.exc_type.__name__}")
    sys.unraisablehook = lambda told: _log(f"unraisable {told.exc_type.__name__}")


def _serve(settings: Settings) -> None:
    stopping: list[int] = []

    def stop(number: int, _: FrameType | None) -> None:
        stopping.append(number)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    gate, fault = _open_gate(settings)
    path = settings.runtime / _OUTBOX
    outbox = _open_outbox(path)
    switch = FileSwitch(settings.switch)
    shipper = Shipper(path, gate, LangSmithSink(settings.endpoint, os.environ.get("LANGSMITH_API_KEY", "")), switch)
    intake = Intake(
        outbox=outbox,
        gate=gate,
        switch=switch,
        pricing=_open_pricing(settings),
        project=settings.project,
        env=settings.env,
        here=HERE,
        state=lambda: shipper.state,
        fault=fault,
    )
    shipper.start()
    context = zmq.Context()
    socket = context.socket(zmq.ROUTER)
    socket.setsockopt(zmq.LINGER, 200)
    socket.setsockopt(zmq.RCVHWM, WAITING_MAX)
    # Bound only now: until gate and outbox stand, recorders cannot connect, and records wait with them.
    (settings.runtime / "relay.sock").unlink(missing_ok=True)
    socket.bind(settings.address)
    _log(f"serving policy {gate.digest} fault {fault or 'none'}")
    try:
        _listen(socket, intake, stopping)
    finally:
        shipper.stop(DRAIN_S)
        socket.close()
        context.term()
        outbox.close()
        _log("stopped")


def _listen(socket: zmq.Socket[bytes], intake: Intake, stopping: list[int]) -> None:
    """Take what comes until told to stop. What cannot be stored now is not acknowledged, so that it comes again."""
    now = looked = told = time.monotonic()
    while not stopping:
        began, now = now, time.monotonic()
        try:
            if socket.poll(100):
                peer, data = socket.recv_multipart()[:2]
                reply = intake.take(data)
                if reply is not None:
                    socket.send_multipart([peer, reply])
            if now - began > LOOK_S:
                looked = now + LOST_S  # we were away, not the agents: they get their time to be heard first
            elif now - looked > LOOK_S and not socket.poll(0):
                intake.end_lost(now)
                looked = now
        except Exception as fault:  # noqa: BLE001  # a full disk, say; a relay that ends here would stop every agent's telemetry
            if told <= now:
                _log(f"cannot store what comes ({type(fault).__name__}): it stays with the agents and comes again")
                told = now + 60.0
            time.sleep(0.1)


def _open_outbox(path: Path) -> Outbox:
    """The outbox; one that cannot be read is put aside, because a new one serves and a relay that does not start serves nobody."""
    try:
        return Outbox(path)
    except OutboxUnusable as fault:
        aside = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        for part in ("", "-wal", "-shm"):
            held = path.with_name(path.name + part)
            if held.exists():
                held.rename(path.with_name(f"{path.name}.{aside}{part}"))
        _log(f"outbox put aside as {path.name}.{aside}, what waited in it is not sent: {fault}")
        return Outbox(path)


def _open_gate(settings: Settings) -> tuple[Gate, str]:
    """The gate; one that withholds every content when policy or detectors cannot be had, so that calls are still counted and seen."""
    key = _read_key(settings.runtime / _KEY)
    try:
        policy = load_policy(settings.policy or shipped("clinic.yaml"), env=settings.env)
    except PolicyError as fault:
        _log(f"policy refused, every content is withheld:\n{fault}")
        return Gate(None, None, key=key, shut="policy_unreadable"), "policy_unreadable"
    try:
        from phi_guard.detect import open_detector  # noqa: PLC0415  # a broken install must reach the handler below

        return Gate(policy, open_detector("strict"), key=key), ""
    except (DetectorUnavailable, ImportError) as fault:
        _log(f"detectors unavailable, every content is withheld: {fault}")
        return Gate(None, None, key=key, shut="detector_unavailable"), "detector_unavailable"


def _open_pricing(settings: Settings) -> Pricing | None:
    try:
        return load_pricing(settings.pricing or shipped("pricing.yaml"))
    except PolicyError as fault:
        _log(f"price list refused, costs are unknown:\n{fault}")
        return None


def _read_key(path: Path) -> bytes:
    """The secret that seals cleared bytes in the outbox; made once per runtime directory, readable by its owner alone."""
    try:
        key = path.read_bytes()
    except FileNotFoundError:
        key = b""
    if len(key) != 32:
        key = os.urandom(32)
        path.write_bytes(key)
        path.chmod(0o600)
    return key


def _log(line: str) -> None:
    sys.stderr.write(f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())} relay[{os.getpid()}] {line}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
