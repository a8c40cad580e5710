"""``phi-audit bench``: what the product does, measured beside its rivals on this machine."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from audit import exits

if TYPE_CHECKING:
    from audit.bench.corpus import Corpus, LabelledText
    from audit.bench.crosscheck import CrossCheck
    from audit.bench.pool import Answers
    from audit.bench.run import Progress

STYLES: Final = "lower,nopunct,spoken,spelled,filler"


class Styles(click.ParamType[tuple[str, ...]]):
    """Styles joined by commas, or ``none``."""

    name = "styles"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        if isinstance(value, tuple):
            return value
        known = STYLES.split(",")
        named = [part.strip() for part in str(value).split(",")]
        if named == ["none"]:
            return ()
        if unknown := [part for part in named if part not in known]:
            self.fail(f"no such style: {', '.join(unknown) or 'nothing'}; write {', '.join(known)}, or none", param, ctx)
        return tuple(style for style in known if style in named)


@click.group()
def bench() -> None:
    """Measure what the product does, beside its rivals, on this machine.

    \b
    Examples:
      phi-audit bench detection --corpus corpora/
      phi-audit bench overhead
      phi-audit bench scan --memory 50000
      phi-audit bench switch --backend redis
    """  # noqa: D301  # \b is click's, against re-wrapping


@bench.command(epilog="Exit codes: 0 silent in under a second at p99, 1 not so, 3 could not be measured, 130 interrupted.")
@click.option("--workers", type=click.IntRange(1, 200), default=50, show_default=True, help="Processes that send.")
@click.option("--rounds", type=click.IntRange(1, 1000), default=20, show_default=True, help="How often the switch is turned off.")
@click.option("--backend", type=click.Choice(["file", "redis"]), default="file", show_default=True,
              help="Where the switch is; redis starts a server of its own.")  # fmt: skip
@click.option("--format", "fmt", type=click.Choice(["table", "json"]), default="table", show_default=True, help="Of the figures.")
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="Write the figures there, not to stdout.")
def switch(workers: int, rounds: int, backend: str, fmt: str, output: Path | None) -> int:
    """Measure how long after it is turned off the last of many worker processes still sends.

    \b
    Examples:
      phi-audit bench switch
      phi-audit bench switch --backend redis --workers 50 --rounds 20 --format json
    """  # noqa: D301  # as above
    from audit.rehearsal.fleet import measure_fleet  # noqa: PLC0415  # not for --help

    measured = measure_fleet(workers, rounds, "redis" if backend == "redis" else "file", lambda line: click.echo(line, err=True))
    text = json.dumps(measured.as_json(), indent=2) if fmt == "json" else measured.table()
    if output is None:
        click.echo(text)
    else:
        try:
            output.write_text(f"{text}\n", encoding="utf-8")
        except OSError as fault:
            raise click.UsageError(f"{output}: cannot be written ({fault.strerror})") from None
    return exits.GO if measured.holds else exits.NO_GO


@bench.command(epilog="Exit codes: 0 done, 2 usage or a corpus that cannot be read, 3 could not finish, 130 interrupted.")
@click.option("--corpus", "paths", type=click.Path(path_type=Path, exists=True), multiple=True, required=True,
              help="A .jsonl file of labelled texts, or a folder of them; may be given again.")  # fmt: skip
@click.option("--profile", "profiles", type=click.Choice(["strict", "balanced", "scan"]), multiple=True, default=("strict", "balanced"),
              show_default=True, help="Of our detectors; may be given again.")  # fmt: skip
@click.option("--variants", "styles", type=Styles(), default=STYLES, show_default=True,
              help="Ways to say each written corpus anew, where no file beside it does; or none.")  # fmt: skip
@click.option("--rival/--no-rival", default=True, show_default=True, help="Measure Presidio's default in the same run.")
@click.option("--layers", is_flag=True, help="Measure each layer of the first profile alone too, and the union without it.")
@click.option("--cross-check", is_flag=True, help="Ask Presidio's own evaluator too, where presidio-evaluator is installed.")
@click.option("--predictions", type=click.Path(path_type=Path, dir_okay=False),
              help="Write what each detector found in each text there: ids and offsets, no text.")  # fmt: skip
@click.option("--limit", type=click.IntRange(min=1), help="Texts of each corpus, drawn by the seed.  [default: all]")
@click.option("--seed", type=int, default=1, show_default=True, help="Of every sample that is drawn.")
@click.option("--timed", type=click.IntRange(min=0), default=200, show_default=True, help="Texts to time; 0 for no times.")
@click.option("--jobs", type=click.IntRange(1, 64), default=1, show_default=True,
              help="Processes that judge texts; time is measured in one alone.")  # fmt: skip
@click.option("--format", "fmt", type=click.Choice(["table", "json", "html"]), default="table", show_default=True, help="Of the report.")
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="Write the report there, not to stdout.")
def detection(
    paths: tuple[Path, ...], profiles: tuple[str, ...], styles: tuple[str, ...], rival: bool, layers: bool, cross_check: bool,
    predictions: Path | None, limit: int | None, seed: int, timed: int, jobs: int, fmt: str, output: Path | None,
) -> int:  # fmt: skip
    """Measure detection on labelled texts: leaks, recall, words lost and time, Presidio's default beside ours in the same run.

    A corpus is JSON Lines: {"id", "text", "spans": [{"start", "end", "label"}]} with an optional "meta": {"origin"}. A file named
    carrier_*, or without any span, is ordinary talk. A file is spoken when its name says so (spoken, spelled, filler, voice, calls,
    speech, stt, asr, transcript), else written. No text of a corpus is in any report.

    \b
    Examples:
      phi-audit bench detection --corpus corpora/
      phi-audit bench detection --corpus notes.jsonl --variants none --format json -o bench.json
      phi-audit bench detection --corpus corpora/ --limit 40 --profile strict --layers
    """  # noqa: D301  # \b is click's, against re-wrapping
    from audit.bench.corpus import CorpusError, read_corpora  # noqa: PLC0415  # not for --help
    from audit.bench.crosscheck import CrossCheck, CrossCheckUnavailable  # noqa: PLC0415
    from audit.bench.report import Setting, build  # noqa: PLC0415
    from audit.bench.rivals import RIVAL, open_all  # noqa: PLC0415
    from audit.bench.run import prepare, run  # noqa: PLC0415

    for file in (output, predictions):
        _refuse_unwritable(file)
    profiles = tuple(dict.fromkeys(profiles))
    try:
        second = CrossCheck() if cross_check else None
        read = read_corpora(paths)
    except CorpusError as fault:
        raise click.UsageError(f"the corpus cannot be used:\n{fault}") from None
    except CrossCheckUnavailable as fault:
        raise click.UsageError(str(fault)) from None
    said: list[str] = []
    told = partial(_keep, said if predictions else None, second)
    with _progress() as progress:
        progress(f"reading {len(read)} corpora", 0, 0)
        corpora = prepare(read, styles, limit=limit, seed=seed)
        progress("loading detectors", 0, 0)
        opener = partial(open_all, profiles, rival=rival, layers=profiles[0] if layers else "")
        detectors = opener()
        done = run(
            corpora, detectors, opener, rival=RIVAL if rival else "", seed=seed, jobs=jobs, timed=timed, progress=progress, told=told
        )  # fmt: skip
        opinions = second.opinions() if second else ()
    setting = Setting(
        datetime.now(UTC).isoformat(timespec="seconds"), _version(), profiles, RIVAL if rival else "", styles, limit, seed, jobs
    )
    report = build(done, corpora, tuple(detectors), setting, opinions=opinions)
    from audit.bench.rendering import render  # noqa: PLC0415

    tty = output is None and sys.stdout.isatty()
    colour = tty and "NO_COLOR" not in os.environ
    text = render(report, fmt, width=shutil.get_terminal_size().columns if tty else 160, colour=colour)
    _write(predictions, "".join(said))
    _write(output, text)
    if output is None:
        click.echo(text, nl=False, color=colour)
    return exits.INTERRUPTED if done.interrupted else exits.GO


@bench.command(epilog="Exit codes: 0 measured; with --check 1 over a budget, 3 not judged; 2 usage, 3 could not finish, 130 interrupted.")
@click.option("-n", "--n", type=click.IntRange(50, 1_000_000), default=2000, show_default=True,
              help="Operations of each contender, in each of two conditions.")  # fmt: skip
@click.option("--seconds", type=click.FloatRange(1, 3600), default=8.0, show_default=True,
              help="How long the event loop is watched in each of its conditions.")  # fmt: skip
@click.option("--check", is_flag=True, help="Exit 1 when a figure is over its budget; 3 when none is and one cannot be judged.")
@click.option("--format", "fmt", type=click.Choice(["table", "json"]), default="table", show_default=True, help="Of the report.")
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="Write the report there, not to stdout.")
def overhead(n: int, seconds: float, check: bool, fmt: str, output: Path | None) -> int:
    """Measure what telemetry costs the agent: ours beside doing nothing, LangSmith's client and OpenTelemetry, in one run.

    Cost of an operation on the agent's thread (p50, p99, max), lateness of its event loop, its memory and the time to import. Each figure
    of ours stands beside its budget. Nothing leaves this machine: the rivals send to servers of the benchmark's own. Takes two to
    four minutes; a machine that does other things meanwhile shows in the row of doing nothing.

    Lateness is within its budget where the most it may be is (a bound of 95 %, over rounds of a second), and over where the least is. In
    between, or where the relay got less than half a core, it is not judged: let the machine do nothing else, or give more --seconds.

    \b
    Examples:
      phi-audit bench overhead
      phi-audit bench overhead --n 10000 --seconds 30 --format json -o overhead.json
      phi-audit bench overhead --n 500 --seconds 2 --check
    """  # noqa: D301  # \b is click's, against re-wrapping
    from audit.rehearsal.overhead import measure  # noqa: PLC0415  # not for --help
    from audit.rehearsal.overhead_text import render_overhead  # noqa: PLC0415

    _refuse_unwritable(output)
    report = measure(n, seconds, lambda line: click.echo(f"bench: {line}", err=True), version=_version())
    text = json.dumps(report.as_json(), indent=2) + "\n" if fmt == "json" else render_overhead(report)
    _write(output, text)
    if output is None:
        click.echo(text, nl=False)
    if check and report.over:
        return exits.NO_GO
    if check and report.unjudged:
        click.echo(f"bench: not judged: {', '.join(report.unjudged)}; the report says why", err=True)
        return exits.UNPROVEN
    return exits.GO


@bench.command(name="scan", epilog="Exit codes: 0 measured; with --check 1 below the bar; 2 usage, 3 could not finish, 130 interrupted.")
@click.option("--calls", type=click.IntRange(3, 10_000), default=12, show_default=True, help="Invented calls in each round.")
@click.option("--rounds", type=click.IntRange(1, 100), default=3, show_default=True, help="Rounds; each has new calls.")
@click.option("--memory", type=click.IntRange(0, 1_000_000), default=0, show_default=True,
              help="Scan so many calls in one go and print the memory on the way; 0 to leave it out.")  # fmt: skip
@click.option("--check", is_flag=True, help="Exit 1 when the scan is not five times as fast as the rival over every string.")
@click.option("--format", "fmt", type=click.Choice(["table", "json"]), default="table", show_default=True, help="Of the report.")
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="Write the report there, not to stdout.")
def scan_(calls: int, rounds: int, memory: int, check: bool, fmt: str, output: Path | None) -> int:
    """Measure the scan beside Presidio's BatchAnalyzerEngine over the same strings, in the same run, and its memory.

    \b
    Examples:
      phi-audit bench scan
      phi-audit bench scan --calls 3 --rounds 1 --memory 50000
    """  # noqa: D301  # \b is click's, against re-wrapping
    from audit.bench.rivals import open_batch_rival  # noqa: PLC0415
    from audit.bench.scan_speed import as_json, as_text, measure_memory, measure_pace, reached  # noqa: PLC0415
    from audit.detectors import open_detectors  # noqa: PLC0415  # not for --help
    from phi_guard.policy import load_policy, shipped  # noqa: PLC0415

    def say(line: str) -> None:
        click.echo(f"bench: {line}", err=True)

    _refuse_unwritable(output)
    say("loading detectors")
    policy, detectors = load_policy(shipped("clinic.yaml"), env="dev"), open_detectors()
    paces = measure_pace(policy, detectors, open_batch_rival(), calls=calls, rounds=rounds, say=say)
    marks = [n for n in (1000, 2000, 5000, 10_000, 20_000, 50_000, 100_000) if n < memory] + [memory] * bool(memory)
    rows = measure_memory(policy, detectors, marks, say) if memory else ()
    text = json.dumps(as_json(paces, rows, _version()), indent=2) + "\n" if fmt == "json" else as_text(paces, rows)
    _write(output, text)
    if output is None:
        click.echo(text, nl=False)
    return exits.NO_GO if check and not reached(paces) else exits.GO


def _keep(said: list[str] | None, second: CrossCheck | None, corpus: Corpus, text: LabelledText, answers: Answers) -> None:
    """Take down what was found in one text: as lines of the predictions' file, and for the cross-check."""
    if said is not None:
        for name, found in answers.items():
            spans = [{"start": d.start, "end": d.end, "entity": d.entity, "score": d.score, "source": d.source} for d in found.detections]
            said.append(json.dumps({"corpus": corpus.name, "id": text.id, "detector": name, "spans": spans}, ensure_ascii=False) + "\n")
    if second is not None:
        second.add(text, ((name, found.detections) for name, found in answers.items()))


def _refuse_unwritable(file: Path | None) -> None:
    """Minutes of work must not end in a file that cannot be written."""
    if file is not None and not os.access(file if file.exists() else file.parent, os.W_OK):
        raise click.UsageError(f"{file}: cannot be written; name a file in a folder that exists and is yours")


def _write(file: Path | None, text: str) -> None:
    if file is None:
        return
    try:
        file.write_text(text, encoding="utf-8", errors="backslashreplace")
    except OSError as fault:
        raise click.UsageError(f"{file}: cannot be written ({fault.strerror})") from None


def _version() -> str:
    try:
        return version("phi-guard-toolkit")
    except PackageNotFoundError:
        return "unknown"


@contextmanager
def _progress() -> Iterator[Progress]:
    """A bar on stderr while a person watches; a line for each step otherwise."""
    if not sys.stderr.isatty():
        yield _say
        return
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: PLC0415

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("starting", total=None)
        yield lambda what, done, of: bar.update(task, description=what, completed=done, total=of or None)


def _say(what: str, done: int, of: int) -> None:
    if done == of:
        click.echo(f"bench: {what}" + (f", {of} texts" if of else ""), err=True)
