"""``phi-audit scan``: the options, and how the pieces are joined; the work is in `audit.assessment`, the judgement in `audit.gates`."""

from __future__ import annotations

import getpass
import os
import platform
import re
import secrets
import shlex
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import click

from audit import exits
from phi_guard.errors import PhiGuardError

if TYPE_CHECKING:
    from audit.assessment import Beside
    from audit.baseline import Accepted
    from audit.census import Census, Plan, Progress
    from audit.custody import Custody
    from audit.engine import Engine
    from audit.evidence import Given
    from audit.gates import Gate
    from audit.report import Report
    from audit.roster.find import Roster
    from audit.source import Window
    from phi_guard.policy.compiled import Policy

KNOWN_ANSWERS: Final = 59
"""Plants of each class and style: none missed of 59 shows a recall of 95 % or more, at 95 % (0.95^59 < 0.05)."""
ENDPOINT: Final = "https://api.smith.langchain.com"
FORMATS: Final = ("table", "json", "html", "md", "pdf", "sarif", "junit", "csv")
_UNITS: Final = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_file: Final = click.Path(path_type=Path, dir_okay=False)


class ScanStopped(PhiGuardError):
    """The scan cannot keep what it needs on this disk; the message says where."""


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


class Moment(click.ParamType[datetime]):
    """An instant in ISO 8601, with its zone."""

    name = "instant"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        if isinstance(value, datetime):
            return value
        try:
            moment = datetime.fromisoformat(str(value))
        except ValueError:
            moment = None
        if moment is None or moment.tzinfo is None:
            self.fail("write an instant with its zone, such as 2026-11-20T12:00:00Z", param, ctx)
        return moment.astimezone(UTC)


@click.command(
    epilog="Exit codes: 0 GO, 1 NO-GO, 2 usage, policy or evidence file, 3 UNPROVEN or could not finish, 130 interrupted (what was done is"
    " reported and marked incomplete)."
)
@click.option("--project", default="", envvar="LANGSMITH_PROJECT", show_envvar=True, help="Project to read; its exact name.")
@click.option("--from", "file", type=click.Path(path_type=Path, allow_dash=True),
              help="Read an export instead: JSON Lines (.gz, .zst, - for standard input), or Parquet.")  # fmt: skip
@click.option("--since", type=Since(), default="7d", envvar="PHI_AUDIT_SINCE", show_envvar=True, show_default=True,
              help="How far back: 90m, 36h, 7d, 2w.")  # fmt: skip
@click.option("--policy", "policy_file", type=click.Path(path_type=Path), envvar="PHI_GUARD_POLICY", show_envvar=True,
              help="Policy to judge by.  [default: clinic.yaml as shipped]")  # fmt: skip
@click.option("--env", default="prod", envvar="PHI_GUARD_ENV", show_envvar=True, show_default=True,
              help="Environment whose part of the policy applies.")  # fmt: skip
@click.option("--gates", "gates_file", type=_file, envvar="PHI_AUDIT_GATES", show_envvar=True,
              help="Gates to judge by.  [default: gates.yaml as shipped]")  # fmt: skip
@click.option("--seed", type=click.IntRange(min=0), help="Seed of known answers and sample.  [default: random; the report gives it]")
@click.option("--known-answers", type=click.IntRange(min=0), default=KNOWN_ANSWERS, envvar="PHI_AUDIT_KNOWN_ANSWERS", show_envvar=True,
              show_default=True,
              help="Plants of each class and style; fewer cannot show a recall of 95 %.")  # fmt: skip
@click.option("--sample", type=click.IntRange(min=0), default=12, envvar="PHI_AUDIT_SAMPLE", show_envvar=True, show_default=True,
              help="Traces to draw for people to read; see `phi-audit plan` for what a number shows.")  # fmt: skip
@click.option("--roster", "roster_file", type=_file, help="Look for the clinic's own patients too (phi-audit roster build).")
@click.option("--baseline", "baseline_file", type=_file, help="Findings that somebody has accepted (phi-audit baseline create).")
@click.option("--account", type=click.Path(path_type=Path), envvar="PHI_AUDIT_ACCOUNT", show_envvar=True,
              help="The relay's state directory or outbox, to hold what was read against what was sent.")  # fmt: skip
@click.option("--receipts", type=_file, multiple=True,
              help="Receipts of a purge: what is gone by them is not missing from the account; may be given again.")  # fmt: skip
@click.option("--evidence", "evidence", type=_file, multiple=True, help="What a rehearsal measured (JSON); may be given again.")
@click.option("--earlier", type=_file, multiple=True, help="A report of an earlier window, for the bound over all; may be given again.")
@click.option("--without", "without", multiple=True, metavar="LAYER",
              help="Leave a layer of the detectors out, to see what the scan is worth without it. Never GO.")  # fmt: skip
@click.option("--enforce", is_flag=True, help="On NO-GO, turn telemetry's switch off and hold it.")
@click.option("--resume", is_flag=True, help="Go on with the scan of this project that was interrupted.")
@click.option("--no-cache", is_flag=True, help="Scan every run anew and remember nothing.")
@click.option("--engine", default="auto", show_default=True, metavar="ENGINE",
              help="Where a Parquet export is scanned: auto (more processes where it is large), serial, processes, processes:N,"
              " dask://127.0.0.1:8786, or dask+tls://HOST:8786 for a cluster of other machines.")  # fmt: skip
@click.option("--endpoint", default=ENDPOINT, envvar="LANGSMITH_ENDPOINT", show_envvar=True, show_default=True, help="LangSmith's address.")
@click.option("--by", default="", help="Who runs the scan.  [default: user@host]")
@click.option("--now", type=Moment(), help="When the report is made, to make one again.  [default: the clock]")
@click.option("--exit-zero", is_flag=True, help="Exit 0 for NO-GO and UNPROVEN too; the report says which it is.")
@click.option("-q", "--quiet", is_flag=True, help="No progress.")
@click.option("--format", "fmt", type=click.Choice(FORMATS), default="table", show_default=True, help="Of the report.")
@click.option("-o", "--output", type=_file, help="Write the report there, not to stdout.")
@click.option("--json", "json_file", type=_file, help="Write the JSON report there too; likewise the next.")
@click.option("--html", "html_file", type=_file, help="The page.")
@click.option("--md", "md_file", type=_file, help="Markdown.")
@click.option("--pdf", "pdf_file", type=_file, help="PDF.")
@click.option("--sarif", "sarif_file", type=_file, help="SARIF 2.1.0.")
@click.option("--junit", "junit_file", type=_file, help="JUnit's XML.")
@click.option("--csv", "csv_file", type=_file, help="The findings as CSV.")
def scan(**given: Any) -> int:
    """Read every trace of a project, judge it, and give GO, NO-GO or UNPROVEN.

    First the scan must find planted values it has never seen; without that, "no findings" would say nothing. The report holds no value
    of any trace. The key comes from LANGSMITH_API_KEY. Runs that were scanned before, with the same content and the same detectors, are
    not scanned again.

    \b
    Examples:
      phi-audit scan --project medical-voice-agent-prod
      phi-audit scan --project P --since 24h --json report.json --html report.html --enforce
      phi-audit scan --from export.jsonl --format json | jq .verdict
      phi-audit scan --from exports/ --engine processes:8
    """  # noqa: D301  # \b is click's, against re-wrapping
    options = _Options(given)
    if not options.project and options.file is None:
        raise click.UsageError("name what to read: --project NAME or --from FILE")
    other = "dev" if options.env == "prod" else "prod"
    if options.file is None and options.project.endswith(f"-{other}"):  # as watch and alerts: the report would be of the wrong environment
        raise click.UsageError(f"the project is one of {other}; give --env {other}")
    if options.fmt == "pdf" and options.output is None:
        raise click.UsageError("a PDF is no text: name a file with -o FILE or --pdf FILE")
    for path in options.files.values():
        _refuse_unwritable(path)
    from audit.assessment import assess  # noqa: PLC0415  # not for --help
    from audit.detectors import open_detectors  # noqa: PLC0415
    from audit.keys import audit_dir, fingerprint_key  # noqa: PLC0415
    from audit.method import describe  # noqa: PLC0415
    from audit.source import SourceError, Window, open_source  # noqa: PLC0415
    from audit.workspace import location, unfinished  # noqa: PLC0415
    from phi_guard.policy import shipped  # noqa: PLC0415

    policy, gates, given_evidence = _configuration(options)
    directory = audit_dir()
    key = fingerprint_key(directory)
    now = options.now = options.now or datetime.now(UTC)
    window = Window(now - options.since, now)
    ask = partial(open_source, project=options.project, file=options.file, endpoint=options.endpoint, now=now,
                  api_key=os.environ.get("LANGSMITH_API_KEY", ""))  # fmt: skip
    try:
        source = ask(window=window)
        where = None if options.no_cache else location(
            directory, key, project=options.project, place=source.place, policy=policy.digest
        )  # fmt: skip
        if options.resume and where is not None and (begun := unfinished(where)) is not None:
            window = Window(*begun)  # the scan goes on with the window it began with
            source = ask(window=window)
    except SourceError as fault:
        raise click.UsageError(str(fault)) from None
    roster = _roster(options.roster_file, directory, policy)
    beside = _beside(options, given_evidence, roster, _custody(options.by, directory, key))
    plan = _plan(options, policy, window, key, where, _engine(options, directory))
    facts = roster.facts if roster else None
    used = [options.gates_file or shipped("gates.yaml")]
    with _workspace_errors(directory), _progress(quiet=options.quiet) as progress:
        done = assess(
            source, plan, gates, lambda: open_detectors(roster=roster.find if roster else None, without=options.without), now=now,
            beside=beside, describe=lambda: describe(policy, roster=facts, files=used, without=options.without), progress=progress,
        )  # fmt: skip
    report, census = done.report, done.census
    contained = _contain(report, now) if options.enforce and report.verdict.state == "NO_GO" else ""
    _write(report, census, options)
    _log(report, directory, now)
    if contained:
        click.echo(contained, err=True)
    if census.interrupted:
        return exits.INTERRUPTED
    return exits.GO if options.exit_zero else report.verdict.exit_code


class _Options:
    """What was given on the command line, by name."""

    def __init__(self, given: dict[str, Any]) -> None:
        self.project: str = given["project"]
        self.file: Path | None = given["file"]
        self.since: timedelta = given["since"]
        self.policy_file: Path | None = given["policy_file"]
        self.env: str = given["env"]
        self.gates_file: Path | None = given["gates_file"]
        self.seed: int | None = given["seed"]
        self.known_answers: int = given["known_answers"]
        self.sample: int = given["sample"]
        self.roster_file: Path | None = given["roster_file"]
        self.baseline_file: Path | None = given["baseline_file"]
        self.account: Path | None = given["account"]
        self.receipts: tuple[Path, ...] = given["receipts"]
        self.evidence: tuple[Path, ...] = given["evidence"]
        self.earlier: tuple[Path, ...] = given["earlier"]
        self.without: tuple[str, ...] = given["without"]
        self.enforce: bool = given["enforce"]
        self.resume: bool = given["resume"]
        self.no_cache: bool = given["no_cache"]
        self.engine: str = given["engine"]
        self.endpoint: str = given["endpoint"]
        self.by: str = given["by"]
        self.now: datetime | None = given["now"]
        self.exit_zero: bool = given["exit_zero"]
        self.quiet: bool = given["quiet"]
        self.fmt: str = given["fmt"]
        self.output: Path | None = given["output"]
        named = {fmt: given[f"{fmt}_file"] for fmt in FORMATS if fmt != "table"}
        self.files: dict[str, Path] = {fmt: path for fmt, path in named.items() if path is not None}

    def command(self, seed: int, now: datetime) -> str:
        """The command that makes the same report again, of the same traces."""
        minutes = int(self.since.total_seconds() // 60)
        since = next(f"{minutes // size}{unit}" for size, unit in ((1440, "d"), (60, "h"), (1, "m")) if minutes % size == 0)
        words = ["phi-audit", "scan"]
        words += ["--from", self.file.name] if self.file else ["--project", self.project, "--since", since]
        one = {"policy": self.policy_file, "gates": self.gates_file, "roster": self.roster_file, "baseline": self.baseline_file}
        words += [word for name, path in one.items() if path for word in (f"--{name}", path.name)]
        words += [word for path in self.receipts for word in ("--receipts", path.name)]
        words += [word for path in self.evidence for word in ("--evidence", path.name)]
        words += [word for path in self.earlier for word in ("--earlier", path.name)]
        words += [word for layer in self.without for word in ("--without", layer)]
        words += ["--env", self.env, "--seed", str(seed), "--known-answers", str(self.known_answers), "--sample", str(self.sample)]
        words += ["--now", now.isoformat(timespec="seconds").replace("+00:00", "Z")]
        return shlex.join(words)


def _configuration(options: _Options) -> tuple[Policy, tuple[Gate, ...], Given]:
    """The files the command stands on; a fault in one is a usage error with every reason."""
    from audit.evidence import EvidenceError, load_evidence  # noqa: PLC0415
    from audit.gates import GatesError, load_gates  # noqa: PLC0415
    from phi_guard.detect import LAYERS  # noqa: PLC0415
    from phi_guard.errors import PolicyError  # noqa: PLC0415
    from phi_guard.policy import load_policy, shipped  # noqa: PLC0415

    if unknown := sorted(set(options.without) - set(LAYERS)):
        raise click.UsageError(f"--without: no such layer: {', '.join(unknown)}; there are {', '.join(LAYERS)}")
    try:
        policy = load_policy(options.policy_file or shipped("clinic.yaml"), env=options.env)
        given = load_evidence(options.evidence)
        gates = load_gates(options.gates_file or shipped("gates.yaml"), week=6 if given.monitoring else 5)
    except PolicyError as fault:
        raise click.UsageError("the policy cannot be used:\n" + "\n".join(f"  {line}" for line in fault.faults)) from None
    except (GatesError, EvidenceError) as fault:
        raise click.UsageError(str(fault)) from None
    return policy, gates, given


def _beside(options: _Options, given: Given, roster: Roster | None, custody: Custody) -> Beside:
    from audit.assessment import Beside  # noqa: PLC0415

    if options.seed is None:
        options.seed, seed_by = secrets.randbelow(2**32), "drawn at random before reading"
    else:
        seed_by = "given on the command line before reading"
    return Beside(
        given.rehearsal, given.alerts, options.account, _accepted(options.baseline_file), roster.facts if roster else None,
        _earlier(options.earlier), options.sample, seed_by, custody,
        options.command(options.seed, options.now or datetime.now(UTC)), options.without,
        monitoring=given.monitoring, purged=_purged(options.receipts, options.project, urlsplit(options.endpoint).hostname or ""),
    )  # fmt: skip


def _engine(options: _Options, directory: Path) -> Engine | None:
    from audit.engine import EngineError  # noqa: PLC0415
    from audit.engine.choice import choose  # noqa: PLC0415

    roster = b""
    if options.roster_file is not None:
        from audit.roster.key import roster_key  # noqa: PLC0415

        roster = roster_key(directory, make=False)
    try:
        return choose(options.engine, options.file, without=options.without, roster=options.roster_file, roster_key=roster)
    except EngineError as fault:
        raise click.UsageError(str(fault)) from None


def _plan(options: _Options, policy: Policy, window: Window, key: bytes, where: Path | None, engine: Engine | None) -> Plan:
    from audit.census import Plan  # noqa: PLC0415

    return Plan(
        policy, options.project, options.seed or 0, options.known_answers, since=window.since, until=window.until, key=key,
        workspace=where, resume=options.resume, engine=engine,
    )  # fmt: skip


def _roster(path: Path | None, directory: Path, policy: Policy) -> Roster | None:
    if path is None:
        return None
    from audit.keys import KeyFileError  # noqa: PLC0415
    from audit.roster.facts import RosterError  # noqa: PLC0415
    from audit.roster.find import Roster  # noqa: PLC0415
    from audit.roster.key import roster_key  # noqa: PLC0415

    if not path.is_file():
        raise click.UsageError(f"{path}: there is no such roster; phi-audit roster build makes one")
    try:
        return Roster.open(path, roster_key(directory, make=False), policy.listed)
    except (RosterError, KeyFileError) as fault:
        raise click.UsageError(str(fault)) from None


def _accepted(path: Path | None) -> tuple[Accepted, ...]:
    if path is None:
        return ()
    from audit.baseline import BaselineError  # noqa: PLC0415
    from audit.baseline_file import read  # noqa: PLC0415

    try:
        return read(path)
    except BaselineError as fault:
        raise click.UsageError(str(fault)) from None


def _purged(paths: tuple[Path, ...], project: str, host: str) -> dict[str, tuple[str, ...]]:
    """The runs of each trace that is gone by receipts of this project, which the audit's own log must know."""
    if not paths:
        return {}
    from audit import chain  # noqa: PLC0415
    from audit.keys import audit_dir  # noqa: PLC0415
    from audit.purge import PurgeError  # noqa: PLC0415
    from audit.purge_file import read_with_digest  # noqa: PLC0415

    gone: dict[str, tuple[str, ...]] = {}
    try:
        if not chain.verify(audit_dir(), chain.anchor_of(os.environ)).holds:
            raise click.UsageError("--receipts: the audit's log does not hold, so that it can vouch for no purge; see phi-audit log verify")
        known = {entry.facts.get("receipts") for entry in chain.entries(audit_dir()) if entry.event == "purge_done"}
        for path in paths:
            held, sha256 = read_with_digest(path)
            if (held.project, held.host) != (project, host):
                raise click.UsageError(f"{path}: receipts of another project, or of another host, than the one that is read")
            if sha256 not in known:
                raise click.UsageError(
                    f"{path}: the audit's log knows no purge that ended with these receipts; scan where it was run, with its file as it is"
                )
            for row in held.receipts:
                if row.state == "gone":
                    gone[row.trace_id] = tuple(sorted({*gone.get(row.trace_id, ()), *row.runs}))
    except (PurgeError, chain.LogUnusable) as fault:
        raise click.UsageError(str(fault)) from None
    return gone


def _earlier(paths: tuple[Path, ...]) -> tuple[Report, ...]:
    """Reports of earlier windows that verify and do not overlap: no trace may count twice."""
    if not paths:
        return ()
    from audit.verification import Unverifiable, verify_report  # noqa: PLC0415

    reports: list[Report] = []
    for path in paths:
        try:
            found = verify_report(path)
        except Unverifiable as fault:
            raise click.UsageError(str(fault)) from None
        if found.report is None or found.faults:
            raise click.UsageError(f"{path}: does not verify; see phi-audit verify {path}")
        reports.append(found.report)
    windows = sorted((report.target.since, report.target.until) for report in reports)
    if any(not since for since, _ in windows) or any(after[0] < before[1] for before, after in pairwise(windows)):
        raise click.UsageError("--earlier: the reports' windows overlap, or a report is of a file: a trace could count twice")
    return tuple(reports)


def _custody(by: str, directory: Path, key: bytes) -> Custody:
    from audit import chain  # noqa: PLC0415
    from audit.custody import Custody  # noqa: PLC0415
    from audit.keys import key_id  # noqa: PLC0415

    mark = chain.head(directory)
    anchor = chain.anchor_of(os.environ)
    return Custody(by or f"{getpass.getuser()}@{platform.node()}", key_id(key), mark.n, mark.sha256, anchor.name if anchor else "")


def _write(report: Report, census: Census, options: _Options) -> None:
    """Render all, then write: a report that would hold a value leaves nothing behind."""
    from audit.report import render  # noqa: PLC0415

    tty = options.output is None and sys.stdout.isatty()
    colour = tty and "NO_COLOR" not in os.environ
    main = render(report, options.fmt, census.values, width=shutil.get_terminal_size().columns if tty else 120, colour=colour)
    made = {path: render(report, fmt, census.values) for fmt, path in options.files.items()}
    if options.output is not None:
        made[options.output] = main
    for path, content in made.items():
        try:
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        except OSError as fault:
            raise click.UsageError(f"{path}: cannot be written ({fault.strerror})") from None
    if options.output is None:
        click.echo(main, nl=False, color=colour)


def _refuse_unwritable(file: Path) -> None:
    """Minutes of work must not end in a file that cannot be written."""
    if not os.access(file if file.exists() else file.parent, os.W_OK):
        raise click.UsageError(f"{file}: cannot be written; name a file in a folder that exists and is yours")


def _log(report: Report, directory: Path, now: datetime) -> None:
    """The audit's log takes the report's digest, so that the log holds the report and the report the log."""
    from audit.containment import write_log  # noqa: PLC0415

    facts: dict[str, str | int] = {
        "report": report.digest, "id": report.id, "verdict": report.verdict.state, "findings": report.results.findings,
        "traces": report.population.traces, "runs": report.population.runs, "project": report.target.project, "env": report.target.env,
    }  # fmt: skip
    logged, why = write_log("report", facts, now, directory)
    if not logged:
        click.echo(f"phi-audit: {why}; the report stands, but nothing outside it holds its digest", err=True)


def _contain(report: Report, now: datetime) -> str:
    from audit.containment import contain  # noqa: PLC0415

    done = contain(report.digest, now)
    state = f"off{' and held' * bool(done.hold)}" if done.off else "NOT OFF: turn it off by hand"
    more = f"; {done.fault}" if done.fault else ""
    return f"phi-audit: NO-GO: telemetry's switch is {state} ({done.took_ms:.0f} ms; phi-audit switch status){more}"


@contextmanager
def _workspace_errors(directory: Path) -> Iterator[None]:
    import sqlite3  # noqa: PLC0415

    try:
        yield
    except (OSError, sqlite3.Error) as fault:
        raise ScanStopped(f"{directory}: cannot be written ({type(fault).__name__}); check space and owner, or use --no-cache") from None


@contextmanager
def _progress(*, quiet: bool) -> Iterator[Progress]:
    """A line on stderr while a person watches; nothing otherwise."""
    if quiet or not sys.stderr.isatty():
        yield lambda _what, _done: None
        return
    from rich.console import Console  # noqa: PLC0415

    console = Console(stderr=True)
    with console.status("reading") as status:
        yield lambda what, done: status.update(f"{what} {done}" if done else what)
