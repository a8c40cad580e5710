"""``phi-audit rehearse``: real agent calls against a stand-in, and what telemetry cost them."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import click

from audit import exits
from audit.cli.alerts_desk import load

if TYPE_CHECKING:
    from audit.alerts import Rule
    from audit.rehearsal.measured import Evidence
    from audit.rehearsal.script import PlannedCall


@click.command(
    epilog="Exit codes: 0 all was delivered and every trace is whole, 1 a canary arrived in clear, 2 usage, script or settings,"
    " 3 not so, or an alert did not fire, 130 interrupted; there is evidence then too."
)
@click.option("--calls", type=click.IntRange(1, 10_000), help="How many calls.  [default: the script's, or 3]")
@click.option("--minutes", type=click.FloatRange(0, 120), default=0.0,
              help="About how long each call lasts; a script's turns are repeated.  [default: seconds]")  # fmt: skip
@click.option("--at-once", type=click.IntRange(1, 200), default=10, show_default=True, help="Calls that run at the same time.")
@click.option("--script", type=click.Path(path_type=Path), help="YAML of calls to play.  [default: invented from the seed]")
@click.option("--seed", type=int, default=1, show_default=True, help="Of the invented callers.")
@click.option("--project", envvar="PHI_GUARD_PROJECT", show_envvar=True, help="LangSmith project.  [default: medical-voice-agent-ENV]")
@click.option("--env", type=click.Choice(["dev", "prod"]), envvar="PHI_GUARD_ENV", show_envvar=True, help="Environment.  [default: dev]")
@click.option("--policy", type=click.Path(), envvar="PHI_GUARD_POLICY", show_envvar=True, help="Policy.  [default: clinic.yaml as shipped]")
@click.option("--endpoint", envvar="LANGSMITH_ENDPOINT", show_envvar=True, help="LangSmith's address, or a local trace store's.")
@click.option("--measure/--no-measure", default=True, show_default=True,
              help="Play a minute of the calls without a tracer first, and time recording beside LangSmith's client.")  # fmt: skip
@click.option("--deliver", type=click.FloatRange(0, 3600), default=60.0, show_default=True, help="Seconds the endpoint has to take all.")
@click.option("--rooms", type=click.IntRange(0, 2), default=0, show_default=True,
              help="Pairs of real rooms beside the calls, over a media server on loopback, for statistics of media.")  # fmt: skip
@click.option("--alerts", is_flag=True, help="Rehearse the alerts too, after the calls.")
@click.option("--alerts-rules", type=click.Path(path_type=Path, dir_okay=False), envvar="PHI_AUDIT_ALERTS", show_envvar=True,
              help="Rules of the alerts.  [default: alerts.yaml as shipped]")  # fmt: skip
@click.option("--alerts-output", type=click.Path(path_type=Path, dir_okay=False), help="Write the alerts' own evidence there.")
@click.option("--keep-account", type=click.Path(path_type=Path, file_okay=False),
              help="Keep the relay's account and log there, for scan --account.")  # fmt: skip
@click.option("--format", "fmt", type=click.Choice(["table", "json"]), default="table", show_default=True, help="Of the evidence.")
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="Write the evidence there, not to stdout.")
def rehearse(
    calls: int | None, minutes: float, at_once: int, script: Path | None, seed: int, project: str | None, env: str | None,
    policy: str | None, endpoint: str | None, measure: bool, deliver: float, rooms: int, alerts: bool, alerts_rules: Path | None,
    alerts_output: Path | None, keep_account: Path | None, fmt: str, output: Path | None,
) -> int:  # fmt: skip
    """Play real agent calls against a stand-in for Azure, send their traces, read them back, and measure what that cost.

    Callers are synthetic: invented from a seed; with --minutes in English, French and German, with bookings, cancellations, angry callers,
    interruptions, silences, hand-offs and tools that fail; or yours out of a script such as

    \b
      calls:
        - consent: granted
          turns:
            - user: {speech_ms: 600}
              tools: [{name: book_appointment, args: {patient_name: "Ada Byron"}, result: {confirmation_id: "CONF-1234"}, takes_ms: 40}]
              agent: {speech_ms: 800, first_audio_after_ms: 250}
            - user: {speech_ms: 400}
              tools: [{name: cancel_appointment, args: {confirmation_id: "CONF-1234"}, raises: "LookupError: not found"}]
              agent: {speech_ms: 500, first_audio_after_ms: 200}

    Each call's trace must come back whole, with the spans that its plan gives, although the rehearsal's own relay is made to stand still
    for three seconds while calls go on. The calls speak by an imitated telephone; with --rooms, real rooms stand beside them on the same
    event loop, and what their media were like stands in the evidence.

    \b
    Examples:
      phi-audit rehearse --endpoint http://127.0.0.1:1984
      phi-audit rehearse --calls 10 --minutes 5 --env prod --alerts --alerts-output alerts.json --format json -o rehearsal.json
      phi-audit rehearse --calls 2 --script calls.yaml --format json -o rehearsal.json
      phi-audit rehearse --calls 100 --keep-account account --format json -o rehearsal.json
      phi-audit scan --project medical-voice-agent-dev --env dev --evidence rehearsal.json --account account
    """  # noqa: D301  # \b is click's, against re-wrapping
    from audit.rehearsal.rehearsal import Interrupted  # noqa: PLC0415  # not for --help
    from audit.rehearsal.rehearsal import rehearse as hold  # noqa: PLC0415

    click.get_current_context().with_resource(heed_sigterm())
    if alerts_output is not None and not alerts:
        raise click.UsageError("--alerts-output: add --alerts, or there is nothing to write")
    for path in (output, alerts_output):
        _writable(path)
    rules = load(alerts_rules) if alerts else ()
    key = _api_key(endpoint)
    planned = _planned(calls, minutes, script, seed)
    try:
        evidence = hold(
            planned,
            at_once=at_once,
            say=_say,
            project=project,
            env=env,
            policy=policy,
            endpoint=endpoint,
            api_key=key,
            measure=measure,
            deliver_s=deliver,
            keep_account=keep_account,
            rooms=rooms,
        )
        if alerts:
            evidence = _with_alerts(evidence, rules, policy, alerts_output)
    except Interrupted as ended:
        _write(ended.evidence, fmt, output)
        return exits.INTERRUPTED
    except ValueError as fault:
        raise click.UsageError(str(fault)) from None
    _write(evidence, fmt, output)
    if evidence.interrupted:
        return exits.INTERRUPTED
    if evidence.canaries is not None and evidence.canaries.arrived:
        return exits.NO_GO
    return exits.UNPROVEN if evidence.problems or not evidence.spans.adds_up else exits.GO


@contextmanager
def heed_sigterm() -> Iterator[None]:
    """Within, SIGTERM is Ctrl-C, once: what was started is ended and what was done is kept, which a second one cannot cut short."""

    def stop(*_: object) -> None:
        signal.signal(signal.SIGTERM, lambda *_: None)
        signal.raise_signal(signal.SIGINT)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # a shell that runs us in the background has Ctrl-C ignored
        signal.signal(signal.SIGINT, signal.default_int_handler)
    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _planned(calls: int | None, minutes: float, script: Path | None, seed: int) -> tuple[PlannedCall, ...]:
    from audit.rehearsal.conversation import invent_calls, invent_load  # noqa: PLC0415  # not for --help
    from audit.rehearsal.script import ScriptError, lengthen, read_script, repeat_calls  # noqa: PLC0415

    if script is None:
        return invent_load(calls or 3, seed, minutes) if minutes else invent_calls(calls or 3, seed)
    try:
        planned = read_script(script)
    except ScriptError as fault:
        raise click.UsageError(str(fault)) from None
    return tuple(lengthen(call, minutes) for call in repeat_calls(planned, calls or len(planned)))


def _with_alerts(evidence: Evidence, rules: Sequence[Rule], policy: str | None, output: Path | None) -> Evidence:
    """The evidence with the outcome of the rehearsal of alerts, whose own evidence is written where it was asked for."""
    from audit.rehearsal.alerts import evidence_of, rehearse_alerts  # noqa: PLC0415  # not for --help
    from audit.rehearsal.measured import AlertsOutcome  # noqa: PLC0415
    from phi_guard.errors import PhiGuardError  # noqa: PLC0415
    from phi_guard.policy import load_policy, shipped  # noqa: PLC0415

    _say("the alerts are rehearsed")
    try:
        done = rehearse_alerts(
            rules,
            load_policy(policy or shipped("clinic.yaml"), env="dev"),
            on_rule=lambda one: _say(f"{one.name}: {'fired and resolved' if one.fired and one.resolved else 'NOT so'}"),
        )
    except KeyboardInterrupt:
        return replace(evidence, interrupted=True, problems=[*evidence.problems, "the rehearsal of the alerts was ended"])
    except PhiGuardError as fault:  # what the calls have shown is not thrown away
        why = str(fault).partition("\n")[0]
        return replace(evidence, problems=[*evidence.problems, f"the alerts could not be rehearsed: {why}"])
    if output is not None:
        _to_file(output, json.dumps(evidence_of(done), indent=2) + "\n")
    fired = sum(one.fired and one.resolved for one in done.alerts)
    outcome = AlertsOutcome(done.passed, fired, len(done.alerts), output.name if output else "")
    told = [] if done.passed else ["not every alert fired and resolved, or a quiet day was not quiet; see phi-audit alerts rehearse"]
    return replace(evidence, alerts=outcome, problems=[*evidence.problems, *told])


def _write(evidence: Evidence, fmt: str, output: Path | None) -> None:
    from audit.rehearsal.summary import render_evidence  # noqa: PLC0415  # not for --help

    tty = output is None and sys.stdout.isatty()
    width = shutil.get_terminal_size().columns if tty else 120
    text = (
        json.dumps(evidence.as_json(), indent=2) + "\n"
        if fmt == "json"
        else render_evidence(evidence, width=width, colour=tty and "NO_COLOR" not in os.environ)
    )
    if output is None:
        click.echo(text, nl=False)
    else:
        _to_file(output, text)


def _writable(path: Path | None) -> None:
    """Complain now of a place that cannot be written: not after ten minutes of calls."""
    if path is not None and not path.absolute().parent.is_dir():
        raise click.UsageError(f"{path}: its directory is not there; make it first")


def _to_file(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as fault:
        raise click.UsageError(f"{path}: cannot be written ({fault.strerror})") from None


def _say(what: str) -> None:
    click.echo(f"rehearsal: {what}", err=True)


def _api_key(endpoint: str | None) -> str:
    """The key of the environment; any will do for a store on this machine."""
    key = os.environ.get("LANGSMITH_API_KEY", "")
    if not key and (urlsplit(endpoint or "").hostname or "") not in {"127.0.0.1", "localhost", "::1"}:
        raise click.UsageError("LANGSMITH_API_KEY is not set; set it, or name a local trace store with --endpoint (phi-audit serve)")
    return key or "local"
