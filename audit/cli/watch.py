"""``phi-audit watch``: the options of a watch and what a person sees of it; the work is in `audit.watch`."""

from __future__ import annotations

import getpass
import os
import platform
import shlex
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from audit import exits
from audit.cli.alerts_desk import complain, load, sinks_given
from audit.cli.scan import ENDPOINT, KNOWN_ANSWERS

if TYPE_CHECKING:
    from audit.assessment import Beside
    from audit.baseline import Accepted
    from audit.census import Progress
    from audit.gates import Gate
    from audit.roster.find import Roster
    from audit.source import Source, Window
    from audit.watch import Begun, Round
    from audit.watch.opening import Asked, Done
    from phi_guard.policy.compiled import Policy

HOURS: Final = 48.0
"""How long: requirements, section 13, week 6."""
EVERY_MAX_S: Final = 1_800
"""Seconds from one round to the next at most: two of them may fail before nobody has looked for an hour."""
_file: Final = click.Path(path_type=Path, dir_okay=False)


@click.command(
    epilog="Exit codes: 0 stable and clean, 1 a round was NO-GO, an alert fired, or telemetry was off, 2 usage, policy or another watch's"
    " directory, 3 not proven (a gap, no call, a last scan that was not finished) or another process watches there, 4 the journal is not"
    " the one that was written, 130 interrupted (the same command goes on with it)."
)
@click.option("--project", default="", envvar="LANGSMITH_PROJECT", show_envvar=True, help="Project to watch; its exact name.")
@click.option("--hours", type=click.FloatRange(0, 24 * 31, min_open=True), default=HOURS, show_default=True, help="How long.")
@click.option("--every", default="15m", show_default=True, help="From one round to the next: 1s to 30m.")
@click.option("-d", "--directory", type=click.Path(path_type=Path, file_okay=False),
              help="Of journal and reports; one that holds a watch is gone on with.  [default: one of the audit's own]")  # fmt: skip
@click.option("--resume", is_flag=True, help="Go on with the watch that is there, and begin none.")
@click.option("--enforce", is_flag=True, help="On NO-GO, turn telemetry's switch off at once, and hold it.")
@click.option("--deliver", is_flag=True, help="Send the alerts too. Without it they are judged and counted alone.")
@click.option("--account", type=click.Path(path_type=Path), envvar="PHI_AUDIT_ACCOUNT", show_envvar=True,
              help="The relay's state directory or outbox, to hold what was read against what was sent.")  # fmt: skip
@click.option("--policy", "policy_file", type=_file, envvar="PHI_GUARD_POLICY", show_envvar=True,
              help="Policy to judge by.  [default: clinic.yaml as shipped]")  # fmt: skip
@click.option("--env", type=click.Choice(["dev", "prod"]), default="prod", envvar="PHI_GUARD_ENV", show_envvar=True, show_default=True,
              help="Environment that is watched.")  # fmt: skip
@click.option("--gates", "gates_file", type=_file, envvar="PHI_AUDIT_GATES", show_envvar=True,
              help="Gates to judge by.  [default: gates.yaml as shipped]")  # fmt: skip
@click.option("--rules", "rules_file", type=_file, envvar="PHI_AUDIT_ALERTS", show_envvar=True,
              help="Rules of the alerts.  [default: alerts.yaml as shipped]")  # fmt: skip
@click.option("--known-answers", type=click.IntRange(min=0), default=KNOWN_ANSWERS, envvar="PHI_AUDIT_KNOWN_ANSWERS", show_envvar=True,
              show_default=True, help="Plants of each class and style in the last scan; a round has one.")  # fmt: skip
@click.option("--sample", type=click.IntRange(min=0), default=12, envvar="PHI_AUDIT_SAMPLE", show_envvar=True, show_default=True,
              help="Traces that the report draws for people to read.")  # fmt: skip
@click.option("--baseline", "baseline_file", type=_file, help="Findings that somebody has accepted (phi-audit baseline create).")
@click.option("--roster", "roster_file", type=_file, help="Look for the clinic's own patients too (phi-audit roster build).")
@click.option("--endpoint", default=ENDPOINT, envvar="LANGSMITH_ENDPOINT", show_envvar=True, show_default=True, help="LangSmith's address.")
@click.option("--by", default="", help="Who watches.  [default: user@host]")
@click.option("-q", "--quiet", is_flag=True, help="No progress.")
@click.option("--format", "fmt", type=click.Choice(["table", "json", "md"]), default="table", show_default=True, help="Of the report.")
@click.option("-o", "--output", type=_file, help="Write the report there too, and nothing to stdout.")
def watch(**given: Any) -> int:
    """Watch a project in operation, and say at the end whether it was stable and the alerts were clean.

    Every round scans the traces since the watch began, judges the alerts and looks at telemetry's switch, and is a line of a journal
    in which a change shows. What fails is tried again; a watch that was killed goes on with the same command. At the end the directory
    holds the journal, a report of the whole time (report.json, .html, .md), the closing report (watch.json, .md) and the evidence of
    the gates of week 6 (monitoring.json).

    \b
    Examples:
      phi-audit watch --project medical-voice-agent-prod --enforce
      phi-audit watch --project P --hours 48 --every 15m -d week6 --account /var/lib/phi-guard
      phi-audit watch --project P -d week6 --resume
      phi-audit scan --project P --evidence week6/monitoring.json
    """  # noqa: D301  # \b is click's, against re-wrapping
    if not given["project"]:
        raise click.UsageError("name what to watch: --project NAME")
    other = "dev" if given["env"] == "prod" else "prod"
    if given["project"].endswith(f"-{other}"):  # what is judged would be the rules of the wrong environment
        raise click.UsageError(f"the project is one of {other}; give --env {other}")
    output: Path | None = given["output"]
    if output is not None and not os.access(output if output.exists() else output.parent, os.W_OK):
        raise click.UsageError(f"{output}: cannot be written; name a file in a folder that exists and is yours")  # not after two days
    asked = _asked(given)
    from audit.watch.clock import SystemClock  # noqa: PLC0415  # not for --help
    from audit.watch.document import render  # noqa: PLC0415
    from audit.watch.opening import hold  # noqa: PLC0415

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: what was done is kept
    with _shown(asked, quiet=given["quiet"]) as (on_begin, on_round, on_wait, progress):
        done = hold(
            asked,
            SystemClock(),
            on_begin=on_begin,
            on_round=on_round,
            on_problem=lambda text: complain([text]),
            on_wait=on_wait,
            progress=progress,
        )
    complain(done.problems)
    text = render(done.closing, given["fmt"])
    if output is None:
        click.echo(text, nl=False)
    else:
        try:
            output.write_text(text, encoding="utf-8")
        except OSError as fault:
            complain([f"{output}: cannot be written ({fault.strerror}); the same stands in {asked.directory}"])
    return _exit_code(done, asked.directory)


def _exit_code(done: Done, directory: Path) -> int:
    code = done.closing.exit_code
    names = {path.name for path in done.files}
    if code == exits.GO and not {"report.json", "monitoring.json", "watch.json"} <= names:
        complain([f"{directory}: what proves it could not be written, so it is not proven"])
        return exits.UNPROVEN
    return code


def _asked(given: dict[str, Any]) -> Asked:
    from audit.detectors import open_detectors  # noqa: PLC0415  # not for --help
    from audit.keys import audit_dir, fingerprint_key  # noqa: PLC0415
    from audit.method import describe  # noqa: PLC0415
    from audit.source import SourceError, Window, open_source  # noqa: PLC0415
    from audit.watch.opening import Asked, default_directory  # noqa: PLC0415
    from phi_guard.policy import shipped  # noqa: PLC0415
    from phi_guard.switch import open_switch  # noqa: PLC0415

    every_s = _every(given["every"])
    policy, gates = _configuration(given)
    rules = tuple(rule for rule in load(given["rules_file"]) if given["env"] in rule.environments)
    audit = audit_dir()
    key = fingerprint_key(audit)
    api_key = os.environ.get("LANGSMITH_API_KEY", "")
    project, endpoint = given["project"], given["endpoint"]
    roster = _roster(given["roster_file"], audit, policy)

    def ask(window: Window, now: datetime) -> Source:
        return open_source(project=project, window=window, file=None, endpoint=endpoint, api_key=api_key, now=now)

    instant = datetime.fromtimestamp(0).astimezone()
    try:
        place = ask(Window(instant, instant), instant).place
    except SourceError as fault:
        raise click.UsageError(str(fault)) from None
    return Asked(
        project=project, env=given["env"], place=place, hours=given["hours"], every_s=every_s,
        directory=(given["directory"] or default_directory(audit, key, project=project, endpoint=endpoint)).absolute(),
        audit=audit, key=key, policy=policy, gates=gates, rules=rules, open_source=ask,
        open_detectors=partial(open_detectors, roster=roster.find if roster else None),
        describe=partial(
            describe, policy, roster=roster.facts if roster else None, files=[given["gates_file"] or shipped("gates.yaml")]
        ),
        switch=open_switch().state, endpoint=endpoint, api_key=api_key, beside=_beside(given, audit, key, roster),
        known_answers=given["known_answers"], enforce=given["enforce"], deliver=sinks_given() if given["deliver"] else None,
        resume=given["resume"],
    )  # fmt: skip


def _configuration(given: dict[str, Any]) -> tuple[Policy, tuple[Gate, ...]]:
    from audit.gates import GatesError, load_gates  # noqa: PLC0415  # not for --help
    from phi_guard.errors import PolicyError  # noqa: PLC0415
    from phi_guard.policy import load_policy, shipped  # noqa: PLC0415

    try:
        policy = load_policy(given["policy_file"] or shipped("clinic.yaml"), env=given["env"])
        gates = load_gates(given["gates_file"] or shipped("gates.yaml"))
    except PolicyError as fault:
        raise click.UsageError("the policy cannot be used:\n" + "\n".join(f"  {line}" for line in fault.faults)) from None
    except GatesError as fault:
        raise click.UsageError(str(fault)) from None
    return policy, gates


def _beside(given: dict[str, Any], audit: Path, key: bytes, roster: Roster | None) -> Beside:
    from audit import chain  # noqa: PLC0415  # not for --help
    from audit.assessment import Beside  # noqa: PLC0415
    from audit.custody import Custody  # noqa: PLC0415
    from audit.keys import key_id  # noqa: PLC0415

    mark, anchor = chain.head(audit), chain.anchor_of(os.environ)
    by = given["by"] or f"{getpass.getuser()}@{platform.node()}"
    words = ["phi-audit", "watch", "--project", given["project"], "--hours", f"{given['hours']:g}", "--every", given["every"]]
    return Beside(
        account=given["account"], accepted=_accepted(given["baseline_file"]), roster=roster.facts if roster else None,
        sample=given["sample"], custody=Custody(by, key_id(key), mark.n, mark.sha256, anchor.name if anchor else ""),
        reproduce=shlex.join([*words, "--env", given["env"], "--known-answers", str(given["known_answers"])]),
    )  # fmt: skip


def _accepted(path: Path | None) -> tuple[Accepted, ...]:
    if path is None:
        return ()
    from audit.baseline import BaselineError  # noqa: PLC0415  # not for --help
    from audit.baseline_file import read  # noqa: PLC0415

    try:
        return read(path)
    except BaselineError as fault:
        raise click.UsageError(str(fault)) from None


def _roster(path: Path | None, audit: Path, policy: Policy) -> Roster | None:
    if path is None:
        return None
    from audit.keys import KeyFileError  # noqa: PLC0415  # not for --help
    from audit.roster.facts import RosterError  # noqa: PLC0415
    from audit.roster.find import Roster  # noqa: PLC0415
    from audit.roster.key import roster_key  # noqa: PLC0415

    if not path.is_file():
        raise click.UsageError(f"{path}: there is no such roster; phi-audit roster build makes one")
    try:
        return Roster.open(path, roster_key(audit, make=False), policy.listed)
    except (RosterError, KeyFileError) as fault:
        raise click.UsageError(str(fault)) from None


def _every(text: str) -> float:
    from audit.alerts.document import seconds  # noqa: PLC0415  # not for --help

    try:
        every = seconds(text)
    except (ValueError, KeyError, IndexError):
        every = 0
    if not 1 <= every <= EVERY_MAX_S:
        raise click.UsageError("--every: write 1s to 30m, such as 5m or 15m")
    return float(every)


_Shown = tuple["Callable[[Begun, bool], None]", "Callable[[Round], None]", "Callable[[float], None]", "Progress"]


@contextmanager
def _shown(asked: Asked, *, quiet: bool) -> Iterator[_Shown]:
    """What is said on stderr meanwhile: a live line below the rounds while a person watches, plain lines otherwise."""
    from audit.alerts.words import length  # noqa: PLC0415  # not for --help
    from audit.watch.document import line  # noqa: PLC0415

    def begin(begun: Begun, again: bool) -> None:  # as `hold` calls it
        if not quiet:
            click.echo(
                f"phi-audit: {'goes on with the watch' if again else 'watches'} of {begun.project} ({begun.env}) for {begun.hours:g} h from"
                f" {begun.at[:19].replace('T', ' ')} UTC, every {length(begun.every_s)}; {asked.directory}",
                err=True,
            )

    known, told = list[str](), [""]

    def over(one: Round) -> None:
        complain(problem for problem in one.problems if problem not in known)
        known[:] = one.problems
        if one.state == "NO_GO" and one.why != told[0]:
            state = one.enforced or "left as it is: --enforce turns it off"
            click.echo(f"phi-audit: NO-GO: {one.why}; telemetry's switch is {state}", err=True)
        told[0] = one.why if one.state == "NO_GO" else ""
        if not quiet:
            click.echo(line(one), err=True)

    if quiet or not sys.stderr.isatty():
        yield begin, over, lambda _: None, lambda _what, _done: None
        return
    from rich.console import Console  # noqa: PLC0415

    with Console(stderr=True).status("begins") as status:
        last: list[Round] = []

        def ended(one: Round) -> None:
            last[:] = [one]
            over(one)

        def waiting(left_s: float) -> None:
            one = last[0]
            firing = ", ".join(one.alerts.firing) or "none"
            status.update(
                f"round {one.n + 1} in {length(left_s)}; {one.census.calls} calls, {one.census.findings} findings, alerts: {firing}"
            )

        yield begin, ended, waiting, lambda what, n: status.update(f"{what} {n}" if n else what)
