"""``phi-audit export``: calls, turns and uses of tools as flat files, for billing and for people who count."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import click

from audit import exits
from audit.cli.scan import ENDPOINT, Moment, Since

if TYPE_CHECKING:
    from audit.calls.index import CallIndex
    from audit.export.handover import Account, Order
    from audit.export.rows import Clearing, Portion
    from phi_guard.policy.compiled import Policy

_PORTIONS: Final = ("session", "turn", "tool")
_FORMATS: Final = ("csv", "parquet", "jsonl")


@click.command(
    epilog="Exit codes: 0 done, 2 usage, policy or cursor options, 3 the source could not be read to its end, rows were withheld, or a"
    " file could not be written (a scheduled export then does the same again), 130 interrupted."
)
@click.option("--project", default="", envvar="LANGSMITH_PROJECT", show_envvar=True, help="Project to read; its exact name.")
@click.option("--from", "file", type=click.Path(path_type=Path, allow_dash=True),
              help="Read a file of traces instead: JSON Lines (.gz, .zst, - for standard input), or Parquet; all of it.")  # fmt: skip
@click.option("--since", type=Since(), default="7d", show_default=True,
              help="How far back: 90m, 36h, 7d, 2w. With --cursor, how late a call may arrive and still be exported.")  # fmt: skip
@click.option("--by", "portions", type=click.Choice(_PORTIONS), multiple=True, default=("session",), show_default=True,
              help="What has a row; may be given again, with --directory.")  # fmt: skip
@click.option("--format", "fmt", type=click.Choice(_FORMATS), default="csv", show_default=True, help="Of the files.")
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
              help="Write there; - is standard output.  [default: -]")  # fmt: skip
@click.option("--directory", type=click.Path(path_type=Path, file_okay=False), help="Write a file for each --by there.")
@click.option("--cursor", "cursor_file", type=click.Path(path_type=Path, dir_okay=False),
              help="Go on where the last run with this file ended: each call once, after it ended.")  # fmt: skip
@click.option("--env", type=click.Choice(["dev", "prod"]), help="Calls of this environment alone; its part of the policy applies.")
@click.option("--policy", "policy_file", type=click.Path(path_type=Path), envvar="PHI_GUARD_POLICY", show_envvar=True,
              help="Policy whose tools may be named; others are tool.unknown.  [default: clinic.yaml as shipped]")  # fmt: skip
@click.option("--endpoint", default=ENDPOINT, envvar="LANGSMITH_ENDPOINT", show_envvar=True, show_default=True, help="LangSmith's address.")
@click.option("--now", type=Moment(), help="When the export is made, to make one again.  [default: the clock]")
def export(**given: Any) -> int:
    """Write calls, turns or uses of tools as CSV, Parquet or JSON Lines.

    Rows hold closed names, ids, times, counts and costs; what a tool was given or gave back is in no column, nor is what anybody said.
    Each row passes the gate. The key comes from LANGSMITH_API_KEY.

    With --cursor only calls that have ended are exported, or that began over an hour ago and cannot be going on, each once; one whose end
    arrives after that is not exported again. Its files are numbered; a number that the cursor has not passed yet may be written anew after
    a run was killed.

    \b
    Examples:
      phi-audit export --project medical-voice-agent-prod --since 30d -o sessions.csv
      phi-audit export --from traces.jsonl --by tool --format jsonl | jq .status
      phi-audit export --project P --by session --by turn --by tool --format parquet --directory out --cursor out/cursor.json
    """  # noqa: D301  # \b is click's, against re-wrapping
    project, file, directory = str(given["project"]), cast("Path | None", given["file"]), cast("Path | None", given["directory"])
    output, cursor_file = cast("Path | None", given["output"]), cast("Path | None", given["cursor_file"])
    portions = cast("tuple[Portion, ...]", tuple(portion for portion in _PORTIONS if portion in given["portions"]))
    fmt, env = str(given["fmt"]), str(given["env"] or "")
    to_stdout = directory is None and (output is None or str(output) == "-")
    if not project and file is None:
        raise click.UsageError("name what to read: --project NAME or --from FILE")
    if directory is not None and output is not None:
        raise click.UsageError("name one place: -o FILE or --directory DIR")
    if directory is None and len(portions) > 1:
        raise click.UsageError("several --by need a file each: name --directory DIR")
    if to_stdout and cursor_file is not None:
        raise click.UsageError("--cursor needs a file, which is there whole or not at all: name -o FILE or --directory DIR")
    if to_stdout and fmt == "parquet" and sys.stdout.isatty():
        raise click.UsageError("Parquet is no text: name a file with -o FILE")
    if directory is not None:
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as fault:
            raise click.UsageError(f"--directory {directory}: cannot be made ({fault.strerror}); name another") from None
    from contextlib import closing  # noqa: PLC0415  # not for --help

    from audit.calls.index import CallIndex, Choice  # noqa: PLC0415
    from audit.export.handover import Order, export_files, export_next, export_to  # noqa: PLC0415
    from audit.export.rows import Clearing  # noqa: PLC0415
    from phi_guard.gate import Gate  # noqa: PLC0415

    policy = _policy(given["policy_file"], env)
    now = given["now"] or datetime.now(UTC)
    floor = _FIRST if file is not None else now - given["since"]
    choice = Choice(since=None if file is not None else floor, project=project, env=env)
    order = Order(portions, cast("Any", fmt), choice, now, floor)
    clearing = Clearing(Gate(policy, None))
    with closing(CallIndex(policy=policy)) as index:
        _read(index, project, file, floor, now, given["endpoint"])
        if to_stdout:
            account = export_to(sys.stdout.buffer, index, order, clearing)
            sys.stdout.buffer.flush()
        elif cursor_file is not None:
            of = " ".join([project or "any project", env or "any env", "by", *portions, "as", fmt])
            account = export_next(cursor_file, of, _places(directory, output, fmt), index, order, clearing, empty=directory is None)
        else:
            paths = [directory / f"{portion}.{fmt}" for portion in portions] if directory else [cast("Path", output)]
            account = export_files(paths, index, order, clearing)
    click.echo(_summary(account, clearing, order), err=True)
    return exits.UNPROVEN if clearing.withheld else exits.GO


_FIRST: Final = datetime(2020, 1, 1, tzinfo=UTC)
"""Before any voice agent of ours: a file is exported whole."""


def _policy(path: Path | None, env: str) -> Policy:
    from phi_guard.errors import PolicyError  # noqa: PLC0415
    from phi_guard.policy import load_policy, shipped  # noqa: PLC0415

    try:
        return load_policy(path or shipped("clinic.yaml"), env=env)
    except PolicyError as fault:
        raise click.UsageError("the policy cannot be used:\n" + "\n".join(f"  {line}" for line in fault.faults)) from None


def _read(index: CallIndex, project: str, file: Path | None, floor: datetime, now: datetime, endpoint: str) -> None:
    """Read the window into the index, and as long as a call lasts before it: one that began in the window is read whole."""
    from audit.population import CALL_MAX  # noqa: PLC0415
    from audit.source import SourceError, Window, open_source  # noqa: PLC0415

    window = Window(floor - (CALL_MAX if file is None else timedelta()), now)
    try:
        source = open_source(
            project=project, window=window, file=file, endpoint=endpoint, api_key=os.environ.get("LANGSMITH_API_KEY", ""), now=now
        )
    except SourceError as fault:
        raise click.UsageError(str(fault)) from None
    index.refresh(source, now=now)


def _places(directory: Path | None, output: Path | None, fmt: str) -> Callable[[Portion, int], Path]:
    """Where the run of a number puts a portion."""

    def place(portion: Portion, number: int) -> Path:
        return directory / f"{portion}-{number:06}.{fmt}" if directory is not None else cast("Path", output)

    return place


def _summary(account: Account, clearing: Clearing, order: Order) -> str:
    rows = ", ".join(f"{clearing.rows[portion]} by {portion}" for portion in order.portions)
    words = [f"phi-audit: {account.calls} calls; rows: {rows}"]
    words += [f"{account.waiting} calls are still going on and come with a later run"] if account.waiting else []
    words += [f"{clearing.withheld.total()} rows were withheld: {', '.join(sorted(clearing.withheld))}"] if clearing.withheld else []
    if clearing.left_out:
        words.append(f"values left out, since they do not fit their column: {', '.join(sorted(clearing.left_out))}")
    words += [f"written: {', '.join(map(str, account.files))}"] if account.files else []
    return "; ".join(words)
