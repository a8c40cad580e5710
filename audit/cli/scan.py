"""``phi-audit scan``: the options, and how the pieces are joined; the work is in `audit.census`, the judgement in `audit.gates`."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from audit import exits

if TYPE_CHECKING:
    from audit.census import Progress
    from audit.evidence import Rehearsal
    from audit.gates import Gate
    from audit.report import Report
    from phi_guard.policy.compiled import Policy

KNOWN_ANSWERS: Final = 59
"""Plants of each class and style: none missed of 59 shows a recall of 95 % or more, at 95 % (0.95^59 < 0.05)."""
ENDPOINT: Final = "https://api.smith.langchain.com"
_UNITS: Final = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


class Since(click.ParamType[timedelta]):
    """A length of time such as ``36h`` or ``7d``."""

    name = "time"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        if isinstance(value, timedelta):
            return value
        match = re.fullmatch(r"([1-9][0-9]{0,4})([mhdw])", str(value))
        if match is None:
            self.fail("write a number and a unit, such as 90m, 36h, 7d or 2w", param, ctx)
        return timedelta(**{_UNITS[match[2]]: int(match[1])})


@click.command(epilog="Exit codes: 0 GO, 1 NO-GO, 2 usage, policy or evidence file, 3 UNPROVEN or could not finish, 130 interrupted.")
@click.option("--project", default="", envvar="LANGSMITH_PROJECT", show_envvar=True, help="Project to read; its exact name.")
@click.option("--from", "file", type=click.Path(path_type=Path), help="Read an exported file instead: JSON Lines, one run a line.")
@click.option("--since", type=Since(), default="7d", show_default=True, help="How far back: 90m, 36h, 7d, 2w.")
@click.option("--policy", "policy_file", type=click.Path(path_type=Path), envvar="PHI_GUARD_POLICY", show_envvar=True,
              help="Policy to judge by.  [default: clinic.yaml as shipped]")  # fmt: skip
@click.option("--env", default="prod", show_default=True, help="Environment whose part of the policy applies.")
@click.option("--seed", type=int, help="Seed of the known answers.  [default: random; the report gives it]")
@click.option("--known-answers", type=click.IntRange(min=0), default=KNOWN_ANSWERS, show_default=True,
              help="Plants of each class and style; fewer cannot show a recall of 95 %.")  # fmt: skip
@click.option("--evidence", type=click.Path(path_type=Path), help="What `phi-audit rehearse --format json` measured.")
@click.option("--enforce", is_flag=True, help="On NO-GO, turn telemetry's switch off.")
@click.option("--endpoint", default=ENDPOINT, envvar="LANGSMITH_ENDPOINT", show_envvar=True, show_default=True, help="LangSmith's address.")
@click.option("--format", "fmt", type=click.Choice(["table", "json", "html"]), default="table", show_default=True, help="Of the report.")
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="Write the report there, not to stdout.")
@click.option("--html", "page", type=click.Path(path_type=Path, dir_okay=False), help="Write an HTML report there too.")
def scan(
    project: str, file: Path | None, since: timedelta, policy_file: Path | None, env: str, seed: int | None, known_answers: int,
    evidence: Path | None, enforce: bool, endpoint: str, fmt: str, output: Path | None, page: Path | None,
) -> int:  # fmt: skip
    """Read every trace of a project, judge it, and give GO, NO-GO or UNPROVEN.

    First the scan must find planted values it has never seen; without that, "no findings" would say nothing. The report holds no value
    of any trace. The key comes from LANGSMITH_API_KEY.

    \b
    Examples:
      phi-audit scan --project medical-voice-agent-prod
      phi-audit scan --project P --since 24h --html report.html --enforce
      phi-audit scan --from export.jsonl --format json | jq .verdict
    """  # noqa: D301  # \b is click's, against re-wrapping
    if not project and file is None:
        raise click.UsageError("name what to read: --project NAME or --from FILE")
    from audit.assessment import assess, open_detectors  # noqa: PLC0415  # not for --help
    from audit.census import Plan  # noqa: PLC0415
    from audit.source import SourceError, Window, open_source  # noqa: PLC0415

    policy, gates, rehearsal = _configuration(policy_file, env, evidence)
    now = datetime.now(UTC)
    window = Window(now - since, now)
    try:
        source = open_source(project=project, window=window, file=file, endpoint=endpoint, api_key=os.environ.get("LANGSMITH_API_KEY", ""))
    except SourceError as fault:
        raise click.UsageError(str(fault)) from None
    plan = Plan(policy, project, secrets.randbelow(2**32) if seed is None else seed, known_answers, since=window.since, until=window.until)
    with _progress() as progress:
        done = assess(source, plan, gates, open_detectors, now=now, rehearsal=rehearsal, progress=progress)
    report, census = done.report, done.census
    if enforce and report.verdict.state == "NO_GO":
        _switch_off()
    _write(report, census.values, fmt, output, page)
    return exits.INTERRUPTED if census.interrupted else report.verdict.exit_code


def _configuration(policy_file: Path | None, env: str, evidence: Path | None) -> tuple[Policy, tuple[Gate, ...], Rehearsal | None]:
    """The files the command stands on; a fault in one is a usage error with every reason."""
    from audit.evidence import EvidenceError, load_rehearsal  # noqa: PLC0415
    from audit.gates import GatesError, load_gates  # noqa: PLC0415
    from phi_guard.errors import PolicyError  # noqa: PLC0415
    from phi_guard.policy import load_policy, shipped  # noqa: PLC0415

    try:
        policy = load_policy(policy_file or shipped("clinic.yaml"), env=env)
        return policy, load_gates(shipped("gates.yaml")), load_rehearsal(evidence) if evidence else None
    except PolicyError as fault:
        raise click.UsageError("the policy cannot be used:\n" + "\n".join(f"  {line}" for line in fault.faults)) from None
    except (GatesError, EvidenceError) as fault:
        raise click.UsageError(str(fault)) from None


def _write(report: Report, values: frozenset[str], fmt: str, output: Path | None, page: Path | None) -> None:
    """Render all, then write: a report that would hold a value leaves nothing behind."""
    from audit.report import render  # noqa: PLC0415

    tty = output is None and sys.stdout.isatty()
    colour = tty and "NO_COLOR" not in os.environ
    text = render(report, fmt, values, width=shutil.get_terminal_size().columns if tty else 120, colour=colour)
    second = render(report, "html", values) if page else ""
    try:
        if page:
            page.write_text(second, encoding="utf-8")
        if output:
            output.write_text(text, encoding="utf-8")
    except OSError as fault:
        raise click.UsageError(f"{fault.filename}: cannot be written ({fault.strerror})") from None
    if output is None:
        click.echo(text, nl=False, color=colour)


def _switch_off() -> None:
    from phi_guard.switch import FileSwitch, default_path  # noqa: PLC0415

    FileSwitch(default_path()).turn_off("phi-audit scan: NO-GO")
    click.echo("phi-audit: NO-GO: telemetry's switch is off (phi-audit switch status)", err=True)


@contextmanager
def _progress() -> Iterator[Progress]:
    """A line on stderr while a person watches; nothing otherwise."""
    if not sys.stderr.isatty():
        yield lambda _what, _done: None
        return
    from rich.console import Console  # noqa: PLC0415

    console = Console(stderr=True)
    with console.status("reading") as status:
        yield lambda what, done: status.update(f"{what} {done}" if done else what)
