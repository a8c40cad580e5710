"""``phi-audit gonogo``: the go/no-go review in one command; the steps are in `audit.gonogo`, the judgement in `audit.gates`."""

from __future__ import annotations

import json
import os
import secrets
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from audit import exits
from audit.cli.rehearse import heed_sigterm
from audit.cli.scan import Since

if TYPE_CHECKING:
    from collections.abc import Callable

    from audit.gonogo import Asked, Held, Record
    from audit.report import Report

WEEKS_SCHEMA: Final = "phi-audit.gonogo-weeks/1"
_file: Final = click.Path(path_type=Path, dir_okay=False)
_NOT_ASKED: Final = frozenset(
    {"directory", "resume", "enforce", "reviews", "key_name", "name", "role", "statement", "passphrase", "trust", "quiet", "fmt", "output"}
)
"""Options that decide nothing of what the steps do, so that going on takes them anew."""
_ENDPOINT: Final = "https://api.smith.langchain.com"


@click.group(
    invoke_without_command=True,
    epilog="Exit codes: 0 GO, 1 NO-GO, 2 usage, policy, gates or evidence file, 3 UNPROVEN or could not finish, 4 a review or a signature"
    " does not verify, 130 interrupted (--resume goes on).",
)
@click.option("-d", "--directory", type=click.Path(path_type=Path, file_okay=False),
              help="Where everything is left.  [default: .phi-guard/gonogo-TIME]")  # fmt: skip
@click.option("--resume", is_flag=True, help="Go on in that directory, as it was asked; what still fits is not run again.")
@click.option("--week", type=click.IntRange(1, 6), default=5, show_default=True, help="Judge what must hold by the end of this week.")
@click.option("--calls", type=click.IntRange(1, 200), default=10, show_default=True, help="Calls to rehearse, all at the same time.")
@click.option("--minutes", type=click.FloatRange(0, 120), default=5.0, show_default=True, help="About how long each lasts.")
@click.option("--script", type=_file, help="YAML of calls to play instead of invented ones.")
@click.option("--callers", "seed", type=int, default=1, show_default=True, help="Seed of the invented callers.")
@click.option("--measure/--no-measure", default=True, show_default=True, help="Time recording; without it, its gates stay unproven.")
@click.option("--local", is_flag=True, help="Start a trace store on this machine and use that: no key, no account.")
@click.option("--project", default="", envvar="PHI_GUARD_PROJECT", show_envvar=True,
              help="Project to write to and read.  [default: medical-voice-agent-ENV]")  # fmt: skip
@click.option("--from", "file", type=_file, help="Read an export instead of a project; then no calls are rehearsed.")
@click.option("--since", type=Since(), default="7d", show_default=True, help="How far back to read where no calls are rehearsed.")
@click.option(
    "--endpoint", default=_ENDPOINT, envvar="LANGSMITH_ENDPOINT", show_envvar=True, show_default=True, help="LangSmith's address."
)
@click.option("--env", type=click.Choice(["dev", "prod"]), default="dev", envvar="PHI_GUARD_ENV", show_envvar=True, show_default=True,
              help="Environment.")  # fmt: skip
@click.option("--policy", type=_file, envvar="PHI_GUARD_POLICY", show_envvar=True, help="Policy.  [default: clinic.yaml as shipped]")
@click.option("--gates", type=_file, envvar="PHI_AUDIT_GATES", show_envvar=True, help="Gates.  [default: gates.yaml as shipped]")
@click.option(
    "--rules", type=_file, envvar="PHI_AUDIT_ALERTS", show_envvar=True, help="Rules of the alerts.  [default: alerts.yaml as shipped]"
)
@click.option("--known-answers", type=click.IntRange(min=0), default=59, envvar="PHI_AUDIT_KNOWN_ANSWERS", show_envvar=True,
              show_default=True, help="Plants of each class and style.")  # fmt: skip
@click.option("--sample", type=click.IntRange(min=0), default=12, envvar="PHI_AUDIT_SAMPLE", show_envvar=True, show_default=True,
              help="Traces to draw for people to read.")  # fmt: skip
@click.option("--seed", "scan_seed", type=click.IntRange(min=0), help="Of known answers and sample.  [default: random, kept]")
@click.option("--account", type=click.Path(path_type=Path), envvar="PHI_AUDIT_ACCOUNT", show_envvar=True,
              help="The relay's state directory, where no calls are rehearsed.")  # fmt: skip
@click.option("--evidence", type=_file, multiple=True, help="Evidence that is there already; its step is not run. May be given again.")
@click.option("--without", multiple=True, metavar="LAYER", help="Leave a layer of the scan's detectors out. Never GO.")
@click.option("--deliver", "deliver_s", type=click.FloatRange(0, 3600), default=120.0, show_default=True,
              help="Seconds the endpoint has to take everything.")  # fmt: skip
@click.option("--by", default="", help="Who runs it.  [default: user@host]")
@click.option("--enforce", is_flag=True, help="On NO-GO, turn telemetry's switch off and hold it.")
@click.option("--review", "reviews", multiple=True, type=_file, help="A review of the sample, to take in. May be given again.")
@click.option("--sign", "key_name", default="", metavar="KEY", help="Sign the report with this key (phi-audit keys); needs --name.")
@click.option("--name", default="", help="Who signs.")
@click.option("--role", type=click.Choice(["scan", "approver"]), help="As what.  [default: approver with reviews, else scan]")
@click.option("--statement", default="", help="What is signed for, in one line.  [default: what the role says]")
@click.option("--passphrase-from", "passphrase", default="", metavar="VARIABLE|prompt", help="Where the key's passphrase is.")
@click.option("--trust", type=_file, help="List of trusted keys.  [default: the audit's own]")
@click.option("-q", "--quiet", is_flag=True, help="No progress.")
@click.option("--format", "fmt", type=click.Choice(["table", "json"]), default="table", show_default=True, help="Of the answer.")
@click.option("-o", "--output", type=_file, help="Write the answer there, not to stdout.")
@click.pass_context
def gonogo(ctx: click.Context, /, **given: Any) -> int | None:
    """Hold the go/no-go review: rehearse calls and alerts, scan, judge every gate, and leave the report.

    The gates of weeks 1 to 5 are judged; --week 6 adds those of operation, with the file of `phi-audit watch` as evidence, and an earlier
    week asks for no more than it must show. People's review cannot be had by a command: without it the outcome is UNPROVEN, and what to
    run next is printed. Where calls are rehearsed over LangSmith, the project must be the review's own: all that is in it is judged.

    \b
    Examples:
      phi-audit gonogo --local -d review
      phi-audit gonogo -d review --resume --review ada.json --review ben.json --sign cleo --name Cleo
      phi-audit gonogo --project medical-voice-agent-prod-gonogo --env prod --enforce
      phi-audit gonogo --week 3 --project medical-voice-agent-dev --since 24h
      phi-audit gonogo weeks review/report.json
    """  # noqa: D301  # \b is click's, against re-wrapping
    if ctx.invoked_subcommand is not None:
        return None
    ctx.with_resource(heed_sigterm())
    _check(ctx, given)
    from audit.cli.gonogo_people import with_people  # noqa: PLC0415  # not for --help
    from audit.gonogo import hold  # noqa: PLC0415
    from audit.gonogo.telling import as_json, as_text, outcome  # noqa: PLC0415

    record = _record(ctx, given)
    switch: list[str] = []

    def enforce(report: Report) -> None:
        if given["enforce"] and not switch:
            switch.append(_contain(report))

    # What failed is enforced whichever week is asked for, and before anything else can end this: a rendering that is refused, Ctrl-C, a
    # review that does not verify.
    held = _hold(hold, record, given, enforce)
    asked = record.asked
    if held.report.verdict.state == "NO_GO":
        enforce(held.report)
    if held.interrupted:
        return exits.INTERRUPTED
    report = with_people(held.report, record.directory, given)
    said = outcome(report, asked.week)
    if said.state == "NO_GO":
        enforce(report)
    _write(report, record.directory, held, reviewed=bool(given["reviews"]) or bool(given["key_name"]), quiet=given["quiet"])
    done = "".join(switch)
    if given["fmt"] == "json":
        text = json.dumps(as_json(report, asked, record.directory, held.steps, done), indent=2, ensure_ascii=False) + "\n"
    else:
        text = as_text(report, asked, record.directory, held.steps, done)
    _answer(text, given["output"])
    return said.exit_code


@gonogo.command("weeks", epilog="Exit codes: 0 shown, 2 usage, 3 it cannot be read, 4 the report was changed.")
@click.argument("report", type=_file)
@click.option("--format", "fmt", type=click.Choice(["table", "json"]), default="table", show_default=True, help="Of the answer.")
@click.option("-o", "--output", type=_file, help="Write the answer there, not to stdout.")
def show_weeks(report: Path, fmt: str, output: Path | None) -> int:
    """Show how far each of the six weeks is, from one REPORT.

    \b
    Examples:
      phi-audit gonogo weeks review/report.json
      phi-audit gonogo weeks report.json --format json
    """  # noqa: D301  # as above
    from audit.gonogo.telling import weeks_json, weeks_text  # noqa: PLC0415  # not for --help
    from audit.report import document  # noqa: PLC0415

    try:
        read = document.read(report)
    except document.DocumentError as fault:
        click.echo(f"phi-audit: {fault}", err=True)
        return exits.BROKEN_EVIDENCE if fault.code == "altered" else exits.USAGE
    if fmt == "json":
        told = {"schema": WEEKS_SCHEMA, "report": read.digest, "verdict": read.verdict.state, "weeks": weeks_json(read)}
        _answer(json.dumps(told, indent=2, ensure_ascii=False) + "\n", output)
    else:
        _answer("\n".join(weeks_text(read)) + "\n", output)
    return exits.GO


def _check(ctx: click.Context, given: dict[str, Any]) -> None:
    from phi_guard.detect import LAYERS  # noqa: PLC0415  # not for --help

    if unknown := sorted(set(given["without"]) - set(LAYERS)):
        raise click.UsageError(f"--without: no such layer: {', '.join(unknown)}; there are {', '.join(LAYERS)}")
    if given["resume"] and given["directory"] is None:
        raise click.UsageError("--resume: name the directory to go on in with -d DIR")
    if given["local"] and (given["file"] or _chosen(ctx, "endpoint") == "command line"):
        raise click.UsageError("--local starts a store of its own: leave --from and --endpoint out")
    if bool(given["key_name"]) != bool(given["name"]):
        raise click.UsageError("--sign KEY and --name NAME go together: who signs, and with which key")
    for option, text, most in (("--name", given["name"], 100), ("--statement", given["statement"], 300)):
        if len(text) > most or not text.isprintable():
            raise click.UsageError(f"{option}: write one line of at most {most} characters")


def _chosen(ctx: click.Context, name: str) -> str:
    """Where a value comes from: ``command line``, ``environment``, or nothing for the default."""
    source = ctx.get_parameter_source(name)
    return {"COMMANDLINE": "command line", "ENVIRONMENT": "environment"}.get(source.name if source else "", "")


def _record(ctx: click.Context, given: dict[str, Any]) -> Record:
    """The record of the directory, new or gone on with: then as it was asked, with what the command line says anew."""
    from audit.gonogo import Asked, Record, RecordError  # noqa: PLC0415
    from audit.gonogo.record import FILE  # noqa: PLC0415

    directory: Path = given["directory"] or Path(".phi-guard") / f"gonogo-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    options = {name: _plain(value) for name, value in given.items() if name not in _NOT_ASKED and value is not None}
    options["since_s"] = options.pop("since")
    try:
        if given["resume"]:
            record = Record.of(directory)
            anew = {"since_s" if name == "since" else name for name in given if _chosen(ctx, name) == "command line"}
            record.asked = record.asked.changed({name: value for name, value in options.items() if name in anew})
            return record
        if (directory / FILE).exists():
            raise click.UsageError(f"{directory}: holds a review already; go on with it with --resume, or name another directory")
        options.setdefault("scan_seed", secrets.randbelow(2**32))
        options["project"] = options["project"] or ("" if options.get("file") else f"medical-voice-agent-{given['env']}")
        options["endpoint"] = "" if given["local"] else options["endpoint"]
        return Record(directory, Asked(**options))
    except RecordError as fault:
        raise click.UsageError(str(fault)) from None


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value.absolute())
    if isinstance(value, timedelta):
        return value.total_seconds()
    return tuple(str(each.absolute()) if isinstance(each, Path) else each for each in value) if isinstance(value, tuple) else value


def _hold(hold: Any, record: Record, given: dict[str, Any], enforce: Callable[[Report], None]) -> Held:
    """Run the steps; a file that cannot be used is a usage error with every reason."""
    from audit.alerts import RulesError  # noqa: PLC0415
    from audit.evidence import EvidenceError  # noqa: PLC0415
    from audit.gates import GatesError  # noqa: PLC0415
    from audit.gonogo.alone import NotAlone  # noqa: PLC0415
    from audit.gonogo.record import RecordError  # noqa: PLC0415
    from audit.rehearsal.script import ScriptError  # noqa: PLC0415
    from audit.report.document import DocumentError  # noqa: PLC0415
    from audit.source import SourceError  # noqa: PLC0415
    from phi_guard.errors import PolicyError  # noqa: PLC0415

    key = _api_key(record.asked)
    quiet = given["quiet"]
    try:
        held: Held = hold(
            record, lambda what: None if quiet else click.echo(f"gonogo: {what}", err=True), key,
            contain=enforce, reviewed=bool(given["reviews"]),
        )  # fmt: skip
    except PolicyError as fault:
        raise click.UsageError("the policy cannot be used:\n" + "\n".join(f"  {line}" for line in fault.faults)) from None
    except DocumentError as fault:
        click.echo(f"phi-audit: {fault}", err=True)
        raise click.exceptions.Exit(exits.BROKEN_EVIDENCE) from None
    except (GatesError, EvidenceError, RulesError, ScriptError, RecordError, NotAlone) as fault:
        raise click.UsageError(str(fault)) from None
    except SourceError as fault:
        raise click.UsageError(str(fault)) from None
    return held


def _api_key(asked: Asked) -> str:
    from urllib.parse import urlsplit  # noqa: PLC0415  # not for --help

    key = os.environ.get("LANGSMITH_API_KEY", "")
    at_home = asked.local or asked.file or (urlsplit(asked.endpoint).hostname or "") in {"127.0.0.1", "localhost", "::1"}
    if not key and not at_home:
        raise click.UsageError("LANGSMITH_API_KEY is not set; set it, or use --local, which needs none")
    return key or "local"


def _contain(report: Report) -> str:
    from audit.containment import contain  # noqa: PLC0415

    done = contain(report.digest, datetime.now(UTC))
    state = f"off{' and held' * bool(done.hold)}" if done.off else "NOT OFF: turn it off by hand"
    more = f"; {done.fault}" if done.fault else ""
    told = f"phi-audit: NO-GO: telemetry's switch is {state} ({done.took_ms:.0f} ms; phi-audit switch status){more}"
    click.echo(told, err=True)
    return told.partition(": ")[2]


def _write(report: Report, directory: Path, held: Held, *, reviewed: bool, quiet: bool) -> None:
    """The report as it now is; the pages too, where people changed it since they were made. A signed one is never written over."""
    from audit.gonogo.kept import PAGES, REPORT, keep_signed  # noqa: PLC0415
    from audit.gonogo.record import write_whole  # noqa: PLC0415
    from audit.report import render  # noqa: PLC0415

    # The scan has held this text against every value it met; what people add holds none of a trace.
    text = render(report, "json", frozenset()).encode()
    kept = keep_signed(directory, text)
    if kept and not quiet:
        click.echo(f"gonogo: the signed report that was there is kept as {directory / kept}", err=True)
    write_whole(directory / REPORT, text)
    for fmt in PAGES if reviewed or not held.fresh else ():
        page = render(report, fmt, frozenset())
        write_whole(directory / f"report.{fmt}", page.encode() if isinstance(page, str) else page)


def _answer(text: str, output: Path | None) -> None:
    if output is None:
        click.echo(text, nl=False)
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as fault:
        raise click.UsageError(f"{output}: cannot be written ({fault.strerror})") from None
