"""``phi-audit dashboard``: the calls of a source as pages on this machine."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from audit import exits
from audit.cli.scan import ENDPOINT, Since

if TYPE_CHECKING:
    from audit.alerts.state import AlertState
    from audit.dashboard.service import Beside
    from audit.source import Source, Window

STDIN: Final = Path("-")


class Every(click.ParamType[timedelta]):
    """Seconds or minutes between two readings, such as ``30s`` or ``5m``."""

    name = "time"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        if isinstance(value, timedelta):
            return value
        text = str(value)
        number, unit = text[:-1], text[-1:]
        if not number.isascii() or not number.isdigit() or len(number) > 5 or unit not in {"s", "m", "h"}:  # a day in seconds has 5
            self.fail("write a number and a unit, such as 30s, 5m or 1h; 0s reads once", param, ctx)
        return timedelta(seconds=int(number) * {"s": 1, "m": 60, "h": 3600}[unit])


@click.command(epilog="Exit codes: 0 stopped by a signal other than Ctrl-C, 2 usage (such as a port in use), 130 Ctrl-C.")
@click.option("--project", default="", envvar="LANGSMITH_PROJECT", show_envvar=True, help="Project to read; its exact name.")
@click.option("--from", "file", type=click.Path(path_type=Path, allow_dash=True),
              help="Read an export instead: JSON Lines (.gz, .zst, - for standard input), or Parquet.")  # fmt: skip
@click.option("--since", type=Since(), default="30d", show_default=True, help="How far back: 90m, 36h, 7d, 2w.")
@click.option("--endpoint", default=ENDPOINT, envvar="LANGSMITH_ENDPOINT", show_envvar=True, show_default=True,
              help="LangSmith's address, or that of `phi-audit serve`.")  # fmt: skip
@click.option("--refresh", "every", type=Every(), default="30s", show_default=True, help="Between two readings; 0s reads once.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to bind. Any but this machine's own needs --token-file.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, show_default=True, help="0 takes a free one.")
@click.option("--name", "names", multiple=True, help="Host name under which the pages are opened; may be given again.")
@click.option("--token-file", type=click.Path(path_type=Path, dir_okay=False), envvar="PHI_AUDIT_DASHBOARD_TOKEN_FILE", show_envvar=True,
              help="File with the token that the login page asks for.")  # fmt: skip
@click.option("--open/--no-open", "launch", default=False, show_default=True, help="Open the browser.")
@click.option("--report", type=click.Path(path_type=Path, exists=True), envvar="PHI_AUDIT_REPORT", show_envvar=True,
              help="Report (JSON) of a scan, or a directory of them; the newest counts.")  # fmt: skip
@click.option("--account", type=click.Path(path_type=Path), envvar="PHI_AUDIT_ACCOUNT", show_envvar=True,
              help="The relay's state directory or outbox, to show what was sent.")  # fmt: skip
@click.option("--baseline", type=click.Path(path_type=Path, exists=True, dir_okay=False),
              help="Findings that somebody has accepted (phi-audit baseline create).")  # fmt: skip
@click.option("--policy", "policy_file", type=click.Path(path_type=Path, dir_okay=False), envvar="PHI_GUARD_POLICY", show_envvar=True,
              help="Policy whose fields the redactions are held against.  [default: clinic.yaml as shipped]")  # fmt: skip
def dashboard(
    project: str, file: Path | None, since: timedelta, endpoint: str, every: timedelta, host: str, port: int, names: tuple[str, ...],
    token_file: Path | None, launch: bool, report: Path | None, account: Path | None, baseline: Path | None,
    policy_file: Path | None,
) -> int:  # fmt: skip
    """Show sessions, latency, errors, cost and compliance of a project or an export as pages in the browser.

    Only closed names, ids, counts and times are shown; what a span carried is not read. The pages answer on this machine alone, to the
    browser that opened the printed address. On another address they ask for a token: put TLS in front, for the token travels as it is.

    \b
    Examples:
      phi-audit dashboard --project medical-voice-agent-prod
      phi-audit dashboard --from export.jsonl --open
      phi-audit dashboard --project P --endpoint http://127.0.0.1:1984 --report reports/
      phi-audit dashboard --project P --host 10.0.0.5 --port 8443 --token-file token
    """  # noqa: D301  # \b is click's, against re-wrapping
    if not project and file is None:
        raise click.UsageError("name what to show: --project NAME or --from FILE")
    from audit.dashboard.serving import LOOPBACK_NAMES, is_every, is_loopback, open_in_browser, read_token, serve  # noqa: PLC0415  # not for --help

    near = is_loopback(host)
    if not near and token_file is None:
        raise click.UsageError(f"--host {host} is reached by others: give --token-file FILE with a token of 16 characters or more")
    if is_every(host) and not names:
        raise click.UsageError(f"--host {host} is every address: say with --name HOST under which name the pages are opened")
    token = None if token_file is None else read_token(token_file)
    once = secrets.token_urlsafe(32) if near else ""
    from audit.calls.index import CallIndex  # noqa: PLC0415
    from audit.dashboard.app import create_app  # noqa: PLC0415
    from audit.dashboard.service import Service  # noqa: PLC0415

    place = f"{project or 'every project'} of {endpoint}" if file is None else "standard input" if file == STDIN else file.name
    beside = _beside(report, account, policy_file, baseline, "" if file else endpoint)
    service = Service(
        CallIndex(policy=beside.policy),
        _source(project, file, endpoint),
        place=place,
        span=since,
        every=timedelta() if file == STDIN else every,
        beside=beside,
        stamp=None if file is None else lambda: _stamp(file),
    )
    hosts = frozenset(names) | (LOOPBACK_NAMES if near else frozenset({host}))
    launched: list[Path] = []

    def announce(bound: int) -> None:
        shown = names[0] if names else f"[{host}]" if ":" in host else host
        address = f"http://{shown}:{bound}" + (f"/open?token={once}" if once else "/")
        click.echo(f"phi-audit: {'open this in a browser; it opens once' if once else 'log in with the token at'}: {address}", err=True)
        if not near:
            click.echo("phi-audit: the token travels as it is; put TLS in front before anybody logs in over a network", err=True)
        if launch:
            launched.append(open_in_browser(address))

    service.start()
    try:
        serve(create_app(service, token=token, hosts=hosts, once=once), host=host, port=port, announce=announce)
    finally:
        for page in launched:
            page.unlink(missing_ok=True)
        service.close()
    return exits.GO


def _source(project: str, file: Path | None, endpoint: str) -> Callable[[Window], Source]:
    from audit.source import open_source  # noqa: PLC0415  # not for --help

    key = os.environ.get("LANGSMITH_API_KEY", "")
    return lambda window: open_source(project=project, window=window, file=file, endpoint=endpoint, api_key=key)


def _stamp(file: Path) -> object:
    """Changes when the file does; None where it cannot be told, and the reading says why."""
    if file == STDIN:
        return "read once"
    try:
        each = [file, *sorted(file.rglob("*.parquet"))] if file.is_dir() else [file]
        return tuple((found.st_mtime_ns, found.st_size, found.st_ino) for found in (path.stat() for path in each))
    except OSError:
        return None


def _beside(report: Path | None, account: Path | None, policy_file: Path | None, baseline: Path | None, endpoint: str) -> Beside:
    """The files shown beside the calls. What cannot be used is left out, and its page says so."""
    from audit.chain import anchor_of  # noqa: PLC0415
    from audit.dashboard.service import Beside  # noqa: PLC0415
    from audit.dashboard.views.cost import price_day  # noqa: PLC0415
    from audit.keys import audit_dir  # noqa: PLC0415
    from phi_guard.policy import load_policy, shipped  # noqa: PLC0415
    from phi_guard.switch import open_switch  # noqa: PLC0415

    directory = audit_dir()
    return Beside(
        report=report,
        log_dir=directory,
        switch=open_switch().state,
        account=account,
        policy=load_policy(policy_file or shipped("clinic.yaml")),
        alerts=lambda: _alerts(directory),
        prices_as_of=price_day(shipped("pricing.yaml")),
        endpoint=endpoint,
        anchor=anchor_of(os.environ),
        baseline=baseline,
    )


def _alerts(directory: Path) -> AlertState | None:
    """What fires; None where nobody checks, or what was kept of it cannot be read."""
    from audit.alerts.state import FILE, StateUnusable, read_state  # noqa: PLC0415  # not for --help

    path = directory / FILE
    try:
        return read_state(path) if path.exists() else None
    except (OSError, StateUnusable):
        return None
