"""``phi-audit init``: a project's first files, and a first verdict."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from audit import exits

if TYPE_CHECKING:
    from audit.project import Ci, Draft

FIRST: Final = Path(".phi-guard") / "first"


@click.command(
    epilog="Exit codes: 0 written (and the first verdict is no NO-GO), 1 NO-GO, 2 a file is in the way or cannot be written, 3 the"
    " rehearsal failed, 130 interrupted."
)
@click.argument("directory", type=click.Path(path_type=Path, file_okay=False), default=".")
@click.option("--env", type=click.Choice(["dev", "prod"]), default="dev", show_default=True, help="Environment that the settings name.")
@click.option("--ci", type=click.Choice(["github", "gitlab", "none"]), default="github", show_default=True, help="Whose workflow to write.")
@click.option("--pre-commit/--no-pre-commit", default=True, show_default=True, help="Write hooks for pre-commit.")
@click.option("--force", is_flag=True, help="Replace files that are there.")
@click.option("--dry-run", is_flag=True, help="Say what would be written, and write nothing.")
@click.option("--first-verdict/--no-first-verdict", default=True, show_default=True,
              help="Play three calls on this machine under the policy, scan them, and give a verdict (half a minute).")  # fmt: skip
def init(directory: Path, env: str, ci: Ci, pre_commit: bool, force: bool, dry_run: bool, first_verdict: bool) -> int:
    """Write a project's settings, policy, alerts, checks for CI and before a commit; then give a first verdict on rehearsed calls.

    Nothing that is there is replaced without --force; .gitignore is added to. No keys, no network.

    \b
    Examples:
      phi-audit init
      phi-audit init clinic --ci gitlab --no-first-verdict
      phi-audit init --dry-run
    """  # noqa: D301  # \b is click's, against re-wrapping
    from audit.project import draft_files, in_the_way, write_files  # noqa: PLC0415  # not for --help

    drafts = draft_files(env, ci, pre_commit=pre_commit)
    blocked = in_the_way(directory, drafts)
    if blocked and not force:
        raise click.UsageError(
            "nothing was written, since these are there already with other content:\n"
            + "\n".join(f"  {directory / path}" for path in blocked)
            + "\nmove them away, leave their part out (--ci none, --no-pre-commit), or replace them with --force"
        )
    if dry_run:
        click.echo("\n".join(_lines(directory, drafts, tuple(one.path for one in drafts), blocked)))
        return exits.GO
    written = write_files(directory, drafts)
    click.echo("\n".join(_lines(directory, drafts, written, ())))
    code = _first(directory) if first_verdict else exits.GO
    click.echo("\n".join(_next(directory, pre_commit=pre_commit, shown=first_verdict)))
    return code


def _lines(directory: Path, drafts: tuple[Draft, ...], written: tuple[str, ...], replaced: tuple[str, ...]) -> list[str]:
    width = max(len(str(directory / one.path)) for one in drafts) + 2
    lines = []
    for one in drafts:
        state = "replaces" if one.path in replaced else ("adds to " if one.added else "writes  ") if one.path in written else "has     "
        lines.append(f"{state}  {directory / one.path!s:<{width}}{one.what}")
    return lines


def _first(directory: Path) -> int:
    """Rehearse, scan, judge; what cannot be played here is said, and the files stand."""
    try:
        from audit.project.first_verdict import reach_verdict  # noqa: PLC0415  # seconds of loading
    except ModuleNotFoundError as fault:
        told = f"\nno first verdict: {fault.name} is missing; pip install 'phi-guard-toolkit[livekit]', then phi-audit init again"
        click.echo(told)
        return exits.UNPROVEN
    from audit.project import POLICY  # noqa: PLC0415  # as above

    began = time.monotonic()
    done = reach_verdict(directory / FIRST, directory / POLICY, _say)
    verdict, results = done.report.verdict, done.report.results
    click.echo(f"\nFirst verdict: {verdict.state.replace('_', '-')}, in {time.monotonic() - began:.0f} s, on three rehearsed calls")
    population = done.report.population
    click.echo(f"  {population.traces} traces, {population.runs} runs, {results.findings} findings")
    lines = [f"  {reason}" for reason in verdict.reasons[:4]]
    if len(verdict.reasons) > 4:
        lines.append(f"  and {len(verdict.reasons) - 4} more, all in the report")
    click.echo("\n".join([*lines, f"  the report: {done.page}"]))
    if verdict.state == "UNPROVEN":
        click.echo("  UNPROVEN is what three calls and no person's review can show, and no fault: GO takes real traces and signatures")
    for problem in done.problems:
        click.echo(f"  the rehearsal: {problem}", err=True)
    if verdict.state == "NO_GO":
        return exits.NO_GO
    return exits.UNPROVEN if done.problems else exits.GO


def _next(directory: Path, *, pre_commit: bool, shown: bool) -> list[str]:
    steps = [
        f"make {directory / 'policies/clinic.yaml'} yours: your tools, your doctors; then phi-audit policy lint and phi-audit policy test",
        "see that every setting is as you mean it: phi-audit settings",
        "in the agent: tracing.start_relay() in its main, tracing.harden(ctx) first, tracing.attach(session, ctx) before session.start()",
        "see that every door is shut: phi-audit doctor --source DIR",
        "set the keys and try them: phi-audit doctor --live",
        'nothing is sent until a person says so: phi-audit switch on --reason "first calls"',
    ]
    if pre_commit:
        steps.insert(1, "turn the checks before a commit on: pip install pre-commit && pre-commit install")
    if not shown:
        steps.insert(0, "see a first verdict, with no keys and no network: phi-audit demo")
    return ["", "Next", *(f"  {n}. {step}" for n, step in enumerate(steps, 1))]


def _say(what: str) -> None:
    click.echo(f"init: {what}", err=True)
