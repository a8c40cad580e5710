"""``python -m tracing.relay``: the relay as a process. Its environment holds the API key; nothing but codes and counts goes to its log.

Exit codes: 0 stopped as told or a relay like this one already serves the directory; 2 a setting or the directory is wrong, or a relay under
other settings does not let go.
"""

from __future__ import annotations

import argparse
import os
import resource
import signal
import sqlite3
import sys
import threading
import time
import warnings
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import zmq

from phi_guard.errors import DetectorUnavailable, PhiGuardError, PolicyError
from phi_guard.gate import Gate
from phi_guard.last_look import LastLook
from phi_guard.outbound.langsmith import LangSmithSink
from phi_guard.policy import load_policy, shipped
from phi_guard.runtime import keep_private, state_dir
from phi_guard.switch import open_switch
from tracing.cost import Pricing, load_pricing
from tracing.relay import log
from tracing.relay.alerts import Alerts
from tracing.relay.attendance import Attendance, read_worker_id
from tracing.relay.clock import Hands
from tracing.relay.database import put_aside
from tracing.relay.desk import Desk, kind_of
from tracing.relay.intake import Intake
from tracing.relay.log import say
from tracing.relay.outbox import Limits, Outbox, OutboxUnusable
from tracing.relay.shipper import Shipper
from tracing.relay.tenure import holding
from tracing.relay.trip import Tripwire
from tracing.settings import SOCKET, Settings, read_settings

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from phi_guard.switch import Switch

HERE: Final = "relay"
DRAIN_S: Final = 5.0
PATIENCE_S: Final = DRAIN_S + 60.0
"""How long a relay under other settings may take to stop: it drains, or it is still loading its models."""
WAITING_MAX: Final = 16
"""Messages of one agent that wait inside zmq."""
_TOLD: Final = ("disclosures.jsonl", "disclosures.head", "alerts.jsonl", "alerts.jsonl.1")
_KEY: Final = "seal.key"
_OUTBOX: Final = "outbox.sqlite3"


def main(argv: list[str] | None = None) -> int:
    """Run until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="python -m tracing.relay", description="The phi-guard relay: gate, outbox, shipper.")
    for name in ("runtime", "state", "policy", "env", "project", "endpoint", "pricing"):
        parser.add_argument(f"--{name}")
    try:
        settings = read_settings(**vars(parser.parse_args(argv)))
        _keep_quiet()
        state_dir(settings.state)
        with holding(settings, PATIENCE_S) as held:
            if held is not None:
                _serve(settings, held)
            else:
                say("a relay with these settings serves this directory: nothing to do")
    except (ValueError, PhiGuardError) as fault:
        say(str(fault))
        return 2
    return 0


def _is_over(stopping: list[int], held: Callable[[], bool]) -> bool:
    if not stopping and not held():
        say("the runtime directory is gone: nobody can reach us any more")
        stopping.append(signal.SIGTERM)
    return bool(stopping)


def _keep_quiet() -> None:
    """This process holds raw records for moments: no file it makes is for others, it leaves no core, and no fault's text is printed."""
    os.umask(0o077)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    warnings.simplefilter("ignore")  # a warning may quote the text that was parsed
    sys.excepthook = lambda kind, _, __: say(f"ended by {kind.__name__}")
    threading.excepthook = lambda told: say(f"a thread ended by {told.exc_type.__name__}")
    sys.unraisablehook = lambda told: say(f"unraisable {told.exc_type.__name__}")


def _serve(settings: Settings, held: Callable[[], bool]) -> None:
    stopping: list[int] = []

    def stop(number: int, _: FrameType | None) -> None:
        stopping.append(number)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    log.bound(settings.runtime)
    _keep_private(settings)
    gate, fault, listed = _open_gate(settings)
    path = settings.state / _OUTBOX
    outbox = _open_outbox(path, Limits(bytes=settings.outbox_max_bytes, ttl_s=settings.outbox_ttl_s), stopping)
    if outbox is None:
        return
    switch = open_switch(settings.switch)
    _follow(outbox, switch)
    _let_go(outbox, settings)
    shipper = Shipper(path, gate, LangSmithSink(settings.endpoint, os.environ.get("LANGSMITH_API_KEY", ""), LastLook(listed)), switch)
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
        trip=Tripwire(switch, Alerts(path.parent)),
        sampling=settings.sampling,
    )
    shipper.start()
    attendance = Attendance(switch, read_worker_id(settings.state), gate.digest, path, lambda: shipper.quiet)
    attendance.start()
    context = zmq.Context()
    socket = context.socket(zmq.ROUTER)
    socket.setsockopt(zmq.LINGER, 200)
    socket.setsockopt(zmq.RCVHWM, WAITING_MAX)
    # Bound only now: until gate and outbox stand, recorders cannot connect, and records wait with them.
    (settings.runtime / SOCKET).unlink(missing_ok=True)
    socket.bind(settings.address)
    (settings.runtime / SOCKET).chmod(0o600)
    say(f"serving policy {gate.digest} fault {fault or 'none'}")
    ended = False
    answers = Outbox(path)
    try:
        ended = Desk(socket, context, intake, answers, settings.runtime).listen(partial(_is_over, stopping, held))
    finally:
        shipper.stop(DRAIN_S)
        attendance.stop()
        socket.close()
        answers.close()
        if ended:
            context.term()
            outbox.close()
        say("stopped")
    if not ended:
        # Detectors are in the middle of a long text, and taking an interpreter down around them crashes. What they had is not acknowledged.
        (settings.runtime / SOCKET).unlink(missing_ok=True)
        os._exit(0)


def _keep_private(settings: Settings) -> None:
    """No file of ours is for others, whoever made it."""
    for directory, names in (
        (settings.runtime, (log.NAME, f"{log.NAME}.1", "relay.lock")),
        (settings.state, (_OUTBOX, f"{_OUTBOX}-wal", f"{_OUTBOX}-shm", _KEY, "outbox.lock", *_TOLD)),
    ):
        for name in keep_private(directory, names):
            say(f"{name} could be read by others; now it cannot")


def _open_outbox(path: Path, limits: Limits, stopping: list[int]) -> Outbox | None:
    """The outbox; one that cannot be read is put aside, because a new one serves and a relay that does not start serves nobody.

    While the disk has no room for it we wait, and the agents with us; None when we are told to stop meanwhile.
    """
    told = False
    while not stopping:
        try:
            try:
                return Outbox(path, limits, check=True)
            except OutboxUnusable as fault:
                put_aside(path, str(fault), Hands())
                return Outbox(path, limits)
        except (sqlite3.Error, OSError) as fault:
            if not told:
                say(f"cannot open the outbox ({kind_of(fault)}): records stay with the agents until it can be")
                told = True
            time.sleep(1.0)
    return None


def _follow(outbox: Outbox, switch: Switch) -> None:
    """What waits from before is looked at before anything new is taken; where that fails, the shipper tries again before it sends."""
    with suppress(sqlite3.Error):
        outbox.follow(switch.state())


def _let_go(outbox: Outbox, settings: Settings) -> None:
    """What was held by a relay that sampled is sent where this one does not; where that fails, each call is after two hours."""
    if settings.sampling.rate >= 1:
        with suppress(sqlite3.Error), outbox.writing():
            outbox.keep_old(float("inf"))


def _open_gate(settings: Settings) -> tuple[Gate, str, frozenset[str]]:
    """The gate; one that withholds every content when policy or detectors cannot be had, so that calls are still counted and seen.

    Returns:
        It, why it withholds everything (empty when it does not), and the texts the policy itself lists as no one's.
    """
    key = _read_key(settings.state / _KEY)
    try:
        policy = load_policy(settings.policy or shipped("clinic.yaml"), env=settings.env)
    except PolicyError as fault:
        say(f"policy refused, every content is withheld:\n{fault}")
        return Gate(None, None, key=key, shut="policy_unreadable"), "policy_unreadable", frozenset()
    try:
        from phi_guard.detect import open_detector  # noqa: PLC0415  # a broken install must reach the handler below

        return Gate(policy, open_detector("strict"), key=key), "", policy.listed
    except (DetectorUnavailable, ImportError) as fault:
        say(f"detectors unavailable, every content is withheld: {fault}")
        return Gate(None, None, key=key, shut="detector_unavailable"), "detector_unavailable", frozenset()


def _open_pricing(settings: Settings) -> Pricing | None:
    try:
        return load_pricing(settings.pricing or shipped("pricing.yaml"))
    except PolicyError as fault:
        say(f"price list refused, costs are unknown:\n{fault}")
        return None


def _read_key(path: Path) -> bytes:
    """The secret that seals cleared bytes in the outbox; made once per state directory, readable by its owner alone."""
    try:
        key = path.read_bytes()
    except FileNotFoundError:
        key = b""
    if len(key) != 32:
        key = os.urandom(32)
        new = path.with_suffix(".new")  # whole or not at all: half a key would disown what waits
        new.write_bytes(key)
        new.chmod(0o600)
        new.replace(path)
    return key


if __name__ == "__main__":
    sys.exit(main())
