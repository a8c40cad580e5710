"""``phi-audit doctor``: whether the side doors of an agent's process are shut, and whether the real services take its keys."""

from __future__ import annotations

import json
import os
import shutil
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from audit import exits

if TYPE_CHECKING:
    from collections.abc import Iterator

    from audit.rehearsal.doctor import Row
    from audit.source.live import Finding

_WIDTH: Final = 120


_COLOURS: Final = {"FAIL": "red", "NOTE": "yellow", "PASS": "green"}


@click.command(
    epilog="Exit codes: 0 every door is shut, 1 one is open, 2 usage. With --live: 0 every service that calls need takes its keys, 1"
    " something is wrong, 2 usage, 3 one of them could not be tried."
)
@click.option("--source", type=click.Path(path_type=Path), help="The agent's directory or file: its code is read, never run.")
@click.option("--live", is_flag=True, help="Try the real services instead, with the keys in the environment: one harmless call each.")
@click.option("--format", "fmt", type=click.Choice(["table", "json"]), default="table", show_default=True, help="Of the answer.")
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="Write the answer there, not to stdout.")
def doctor(source: Path | None, live: bool, fmt: str, output: Path | None) -> int:
    """Look for ways out of an agent that bypass the gate, and say how to shut each.

    Judged from the environment, the installed packages, the runtime directory and, with --source, the agent's code. Run it where the
    agent runs, with its variables. Inside the agent, tracing.harden(ctx) shuts the doors and says how each stands.

    With --live: LangSmith (LANGSMITH_API_KEY, LANGSMITH_ENDPOINT), LiveKit (LIVEKIT_URL, LIVEKIT_API_KEY, LIVEKIT_API_SECRET), Azure OpenAI
    (AZURE_OPENAI_ENDPOINT, AZURE_OPENAI_API_KEY, AZURE_OPENAI_DEPLOYMENT, OPENAI_API_VERSION), Slack (SLACK_WEBHOOK_URL), PagerDuty
    (PAGERDUTY_ROUTING_KEY) and a Redis switch (PHI_GUARD_SWITCH). No model's token is used, no message is posted, no room is joined, and
    a key goes to no other host than the one configured.

    \b
    Examples:
      phi-audit doctor
      phi-audit doctor --source agent/
      phi-audit doctor --live
      phi-audit doctor --source agent/ --format json | jq '.rows[] | select(.state == "FAIL")'
    """  # noqa: D301  # \b is click's, against re-wrapping
    if live:
        if source is not None:
            raise click.UsageError("--live tries services and reads no code: run doctor twice, once with --source")
        return _live(fmt, output)
    from audit.rehearsal.doctor import examine, is_shut, to_json  # noqa: PLC0415  # not for --help

    if source is not None and not _holds_python(source):
        raise click.UsageError(f"{source}: is no Python file and no directory that holds one; name the agent's own")
    rows = examine(os.environ, source)
    tty = output is None and sys.stdout.isatty()
    colour = tty and "NO_COLOR" not in os.environ
    if fmt == "json":
        text = json.dumps(to_json(rows), indent=2, ensure_ascii=False)
    else:
        text = _table(rows, colour=colour, width=shutil.get_terminal_size().columns if tty else _WIDTH)
    _tell(text, output, colour=colour)
    return exits.GO if is_shut(rows) else exits.NO_GO


def _live(fmt: str, output: Path | None) -> int:
    """Each service as it answers, on stderr; the findings on stdout."""
    from audit.source.live import examine_services, to_json, verdict  # noqa: PLC0415  # not for --help

    findings: list[Finding] = []
    service = ""
    for found in examine_services(os.environ):
        if found.service != service:
            service = found.service
            click.echo(f"doctor: {service}", err=True)
        findings.append(found)
    tty = output is None and sys.stdout.isatty()
    colour = tty and "NO_COLOR" not in os.environ
    if fmt == "json":
        text = json.dumps(to_json(tuple(findings)), indent=2, ensure_ascii=False)
    else:
        text = "\n".join(_live_lines(tuple(findings), colour=colour, width=shutil.get_terminal_size().columns if tty else _WIDTH))
    _tell(text, output, colour=colour)
    return {"PASS": exits.GO, "FAIL": exits.NO_GO}.get(verdict(tuple(findings)), exits.UNPROVEN)


def _live_lines(findings: tuple[Finding, ...], *, colour: bool, width: int) -> Iterator[str]:
    """In the services' order, with what to do under each; then what it comes to."""
    from audit.source.live import verdict  # noqa: PLC0415  # loaded already

    for one in findings:
        took = f" ({one.took_ms:.0f} ms)" if one.took_ms is not None else ""
        yield from _row(one.state, f"{one.service}: {one.what}{took}", one.fix, colour=colour, width=width)
    told = {
        "PASS": "every service that calls need takes its keys",
        "FAIL": "something is wrong: see FAIL",
        "UNTRIED": "not every service that calls need could be tried: LangSmith, LiveKit and Azure OpenAI",
    }
    yield from ("", told[verdict(findings)])


def _row(state: str, what: str, fix: str, *, colour: bool, width: int) -> list[str]:
    shown = click.style(state, fg=_COLOURS[state], bold=True) if colour else state
    told = textwrap.wrap(what, max(width - 6, 40))
    more = textwrap.wrap(f"-> {fix}", max(width - 6, 40)) if fix else []
    return [f"{shown}  {told[0]}", *(f"      {line}" for line in (*told[1:], *more))]


def _tell(text: str, output: Path | None, *, colour: bool) -> None:
    if output is None:
        click.echo(text, color=colour)
        return
    try:
        output.write_text(f"{text}\n", encoding="utf-8")
    except OSError as fault:
        raise click.UsageError(f"{output}: cannot be written ({fault.strerror})") from None


def _holds_python(path: Path) -> bool:
    try:
        return path.suffix == ".py" if path.is_file() else path.is_dir() and next(path.rglob("*.py"), None) is not None
    except OSError:
        return False


def _table(rows: tuple[Row, ...], *, colour: bool, width: int) -> str:
    """Failures first, with what to do under each; what passed, last."""
    lines: list[str] = []
    for state in _COLOURS:
        for row in (row for row in rows if row.state == state):
            where = f" {row.where}:" if row.where else ""
            lines += _row(state, f"{row.door}:{where} {row.what}", row.fix, colour=colour, width=width)
    count = {state: sum(row.state == state for row in rows) for state in _COLOURS}
    found = f"{count['FAIL']} open" if count["FAIL"] else "no door found open"
    return "\n".join([*lines, "", f"{found}, {count['PASS']} shut, {count['NOTE']} that cannot be judged from here"])
