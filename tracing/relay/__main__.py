"""``python -m tracing.relay``: the relay as a process. Its environment holds the API key; nothing but codes and counts goes to its log.

Exit codes: 0 stopped as told or another relay already serves this directory; 2 a setting is wrong.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import zmq

from phi_guard.errors import DetectorUnavailable, PolicyError
from phi_guard.gate import Gate
from phi_guard.outbound.langsmith import LangSmithSink
from phi_guard.policy import load_policy, shipped
from phi_guard.switch import FileSwitch
from tracing.cost import Pricing, load_pricing
from tracing.relay.intake import Intake
from tracing.relay.outbox import Outbox
from tracing.relay.shipper import Shipper
from tracing.settings import Settings, read_settings

if TYPE_CHECKING:
    from types import FrameType

HERE: Final = "relay"
DRAIN_S: Final = 5.0
_LOCK: Final = "relay.lock"
_KEY: Final = "seal.key"
_OUTBOX: Final = "outbox.sqlite3"


def main(argv: list[str] | None = None) -> int:
    """Run until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="python -m tracing.relay", description="The phi-guard relay: gate, outbox, shipper.")
    for name in ("runtime", "policy", "env", "project", "endpoint", "pricing"):
        parser.add_argument(f"--{name}")
    try:
        settings = read_settings(**vars(parser.parse_args(argv)))
    except ValueError as fault:
        _log(str(fault))
        return 2
    os.umask(0o077)
    with (settings.runtime / _LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            _log("another relay serves this directory: nothing to do")
            return 0
        _serve(settings)
    return 0


def _serve(settings: Settings) -> None:
    stopping: list[int] = []

    def stop(number: int, _: FrameType | None) -> None:
        stopping.append(number)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    gate, fault = _open_gate(settings)
    path = settings.runtime / _OUTBOX
    outbox = Outbox(path)
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
    # Bound only now: until gate and outbox stand, recorders cannot connect, and records wait with them.
    (settings.runtime / "relay.sock").unlink(missing_ok=True)
    socket.bind(settings.address)
    _log(f"serving policy {gate.digest} fault {fault or 'none'}")
    looked = 0.0
    try:
        while not stopping:
            if socket.poll(100):
                peer, data = socket.recv_multipart()[:2]
                reply = intake.take(data)
                if reply is not None:
                    socket.send_multipart([peer, reply])
            now = time.monotonic()
            if now - looked > 1.0:
                intake.end_lost(now)
                looked = now
    finally:
        shipper.stop(DRAIN_S)
        socket.close()
        context.term()
        outbox.close()
        _log("stopped")


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
