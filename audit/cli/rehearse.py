"""``phi-audit rehearse``: real agent calls against a stand-in, and what telemetry cost them."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from urllib.parse import urlsplit

import click

from audit import exits


@click.command(
    epilog="Exit codes: 0 all was delivered, 1 a canary arrived in clear, 2 usage, script or settings, 3 not all was, 130 interrupted."
)
@click.option("--calls", type=click.IntRange(1, 10_000), help="How many calls.  [default: the script's, or 3]")
@click.option("--minutes", type=click.FloatRange(0, 120), default=0.0, help="About how long each call lasts; turns are repeated.")
@click.option("--at-once", type=click.IntRange(1, 200), default=10, show_default=True, help="Calls that run at the same time.")
@click.option("--script", type=click.Path(path_type=Path), help="YAML of calls to play.  [default: invented from the seed]")
@click.option("--seed", type=int, default=1, show_default=True, help="Of the invented callers.")
@click.option("--project", envvar="PHI_GUARD_PROJECT", show_envvar=True, help="LangSmith project.  [default: medical-voice-agent-ENV]")
@click.option("--env", type=click.Choice(["dev", "prod"]), envvar="PHI_GUARD_ENV", show_envvar=True, help="Environment.  [default: dev]")
@click.option("--policy", type=click.Path(), envvar="PHI_GUARD_POLICY", show_envvar=True, help="Policy.  [default: clinic.yaml as shipped]")
@click.option("--endpoint", envvar="LANGSMITH_ENDPOINT", show_envvar=True, help="LangSmith's address, or a local trace store's.")
@click.option("--measure/--no-measure", default=True, show_default=True, help="Time recording beside LangSmith's client (ten seconds).")
@click.option("--deliver", type=click.FloatRange(0, 3600), default=60.0, show_default=True, help="Seconds the endpoint has to take all.")
@click.option("--keep-account", type=click.Path(path_type=Path, file_okay=False),
              help="Keep the relay's account and log there, for scan --account.")  # fmt: skip
@click.option("--format", "fmt", type=click.Choice(["table", "json"]), default="table", show_default=True, help="Of the evidence.")
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="Write the evidence there, not to stdout.")
def rehearse(
    calls: int | None, minutes: float, at_once: int, script: Path | None, seed: int, project: str | None, env: str | None,
    policy: str | None, endpoint: str | None, measure: bool, deliver: float, keep_account: Path | None, fmt: str,
    output: Path | None,
) -> int:  # fmt: skip
    """Play real agent calls against a stand-in for Azure, send their traces, and measure what that cost.

    Callers are synthetic: invented from a seed, or yours out of a script such as

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

    \b
    Examples:
      phi-audit rehearse --endpoint http://127.0.0.1:1984
      phi-audit rehearse --calls 2 --script calls.yaml --format json -o rehearsal.json
      phi-audit rehearse --calls 100 --keep-account account --format json -o rehearsal.json
      phi-audit scan --project medical-voice-agent-dev --evidence rehearsal.json --account account
    """  # noqa: D301  # \b is click's, against re-wrapping
    from audit.rehearsal.conversation import invent_calls  # noqa: PLC0415  # not for --help
    from audit.rehearsal.rehearsal import rehearse as hold  # noqa: PLC0415
    from audit.rehearsal.script import ScriptError, lengthen, read_script, repeat_calls  # noqa: PLC0415
    from audit.rehearsal.summary import render_evidence  # noqa: PLC0415

    key = _api_key(endpoint)
    try:
        planned = read_script(script) if script else invent_calls(calls or 3, seed)
    except ScriptError as fault:
        raise click.UsageError(str(fault)) from None
    planned = tuple(lengthen(call, minutes) for call in repeat_calls(planned, calls or len(planned)))
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
        )
    except ValueError as fault:
        raise click.UsageError(str(fault)) from None
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
        try:
            output.write_text(text, encoding="utf-8")
        except OSError as fault:
            raise click.UsageError(f"{output}: cannot be written ({fault.strerror})") from None
    if evidence.canaries is not None and evidence.canaries.arrived:
        return exits.NO_GO
    return exits.UNPROVEN if evidence.problems or not evidence.spans.adds_up else exits.GO


def _say(what: str) -> None:
    click.echo(f"rehearsal: {what}", err=True)


def _api_key(endpoint: str | None) -> str:
    """The key of the environment; any will do for a store on this machine."""
    key = os.environ.get("LANGSMITH_API_KEY", "")
    if not key and (urlsplit(endpoint or "").hostname or "") not in {"127.0.0.1", "localhost", "::1"}:
        raise click.UsageError("LANGSMITH_API_KEY is not set; set it, or name a local trace store with --endpoint (phi-audit serve)")
    return key or "local"
