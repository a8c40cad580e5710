"""The ``phi-audit`` command. Each subcommand lives in its own module, which is loaded only when it is called.

Nothing heavy may load here: ``phi-audit --help`` answers in under 300 ms. No fault shows as a traceback, since a library's message
could quote a value.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import ModuleType
from typing import Any, Final, NoReturn

import click
from click.shell_completion import CompletionItem

from audit import exits
from phi_guard.errors import PhiGuardError

__all__ = ["load_module", "main"]

COMMANDS: Final = {
    "alerts": ("audit.cli.alerts:alerts", "Judge the alerts once or for good, and tell Slack, a webhook or PagerDuty."),
    "baseline": ("audit.cli.baseline:baseline", "Findings that somebody has accepted, with a reason, an owner and a last day."),
    "bench": ("audit.cli.bench:bench", "Measure detection, recording and scanning beside their rivals."),
    "completion": ("audit.cli.completion:completion", "Print the script with which bash, zsh or fish completes these commands."),
    "dashboard": ("audit.cli.dashboard:dashboard", "Look at calls, latency, errors, cost and compliance in a browser."),
    "demo": ("audit.cli.demo:demo", "The whole path on this machine: calls, traces, scan, verdict, report. No keys, no network."),
    "disclosures": ("audit.cli.disclosures:disclosures", "Show and check the log of what was sent to whom."),
    "doctor": ("audit.cli.doctor:doctor", "Look for doors through which content could leave past the gate, and say how to shut each."),
    "explain": ("audit.cli.explain:explain", "Say what a word, a gate, a rule or an exit code means."),
    "export": ("audit.cli.export:export", "Write calls, turns and tools as CSV, Parquet or JSON Lines; scheduled, with a cursor."),
    "gonogo": ("audit.cli.gonogo:gonogo", "The go/no-go review in one command: rehearse, scan, judge, sign, roll back."),
    "incident": ("audit.cli.incident:incident", "After a leak: the timeline, the legal clocks, the draft of the assessment."),
    "init": ("audit.cli.init:init", "Write a project's settings, policy, alerts and checks; give a first verdict."),
    "keys": ("audit.cli.keys:keys", "Make keys that sign, and say which are trusted."),
    "log": ("audit.cli.log:log", "Show and check the audit's own log."),
    "plan": ("audit.cli.plan:plan", "How many traces people must read, and what that would show."),
    "policy": ("audit.cli.policy:policy", "Check, try, explain and compare policies; propose rules for a new tool."),
    "purge": ("audit.cli.purge:purge", "Delete leaked traces, and prove that they are gone."),
    "rehearse": ("audit.cli.rehearse:rehearse", "Play real agent calls against a stand-in and measure what telemetry costs."),
    "relay": ("audit.cli.relay:relay", "Run the relay as a service, or ask one how it is."),
    "report": ("audit.cli.report:report", "Render a report again, compare two, print the schema."),
    "review": ("audit.cli.review:review", "Walk through the sample of a report, and decide each trace."),
    "roster": ("audit.cli.roster:roster", "Make the clinic's own patients a detector: an index in which nobody can read a name."),
    "scan": ("audit.cli.scan:scan", "Read every trace of a project, judge it, and give GO, NO-GO or UNPROVEN."),
    "serve": ("audit.cli.serve:serve", "Run the local trace store with its dashboard."),
    "settings": ("audit.cli.settings:settings", "Show what is in force: from an option, the environment, phi-guard.toml or the default."),
    "sign": ("audit.cli.sign:sign", "Put a person's name under a report."),
    "switch": ("audit.cli.switch:switch", "Show telemetry's switch, turn it off, turn it on."),
    "verify": ("audit.cli.verify:verify", "Check reports, reviews, signatures and the audit's log, offline."),
    "watch": ("audit.cli.watch:watch", "Watch a project for 48 hours after launch, and close with a report."),
}
"""Subcommands by name: where each is, and its line in the help."""


_ARGUMENTS: Final = "audit.cli.arguments"
_BEFORE_FILE: Final = "audit.cli.settings.given"
"""Where `settings` finds the environment as it was (`audit.cli.settings.GIVEN`)."""


class _OutputGone(Exception):
    """The reader of our output went away, such as ``| head``."""


class LazyGroup(click.Group):
    """A group that knows its commands by name and loads one only to run it or to show its help."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # the signature is click's
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  # click's
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """The names, without loading a command to name it."""
        named = [CompletionItem(name, help=line) for name, (_, line) in COMMANDS.items() if name.startswith(incomplete)]
        return [*named, *super(click.Group, self).shell_complete(ctx, incomplete)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  # click's
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        ctx.meta[_ARGUMENTS] = list(args)  # the settings file's part must be of the environment that they name
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise _OutputGone from None  # click would end with 1, which means NO-GO here

    def main(self, args: Sequence[str] | None = None, *, standalone_mode: bool = True, **options: Any) -> Any:  # type: ignore[override]  # by keyword
        """Run, and end the process with one of `audit.exits` whatever happens. Arguments as click's."""
        options.setdefault("prog_name", "phi-audit")
        if not standalone_mode:
            return super().main(args, standalone_mode=False, **options)
        try:
            code = super().main(args, standalone_mode=False, **options)
        except click.Abort:
            _leave("interrupted", exits.INTERRUPTED)
        except click.ClickException as fault:
            fault.show()
            sys.exit(exits.USAGE)
        except PhiGuardError as fault:
            _leave(str(fault), getattr(fault, "exit_code", exits.UNPROVEN))
        except _OutputGone:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(exits.UNPROVEN)
        except ModuleNotFoundError as fault:
            _leave(f"a part is missing: {fault.name}; install phi-guard-toolkit again", exits.UNPROVEN)
        except Exception as fault:  # noqa: BLE001  # its text could quote a value: only its class is told
            _leave(f"stopped by a fault of its own ({type(fault).__name__}); please report it", exits.UNPROVEN)
        sys.exit(code if isinstance(code, int) else exits.GO)


def load_module(name: str) -> ModuleType:
    """Import a module that the command line names, as ``python -m`` would find it: in the working directory too.

    What it prints goes to stderr, since stdout is for results.

    Raises:
        click.UsageError: it cannot be imported; says why by the fault's class, since its text could quote anything.
    """
    sys.path.insert(0, str(Path.cwd()))
    try:
        with redirect_stdout(sys.stderr):
            return import_module(name)
    except ModuleNotFoundError as fault:
        msg = f"{name}: there is no module {fault.name}; run this where `python -c 'import {name}'` works"
        raise click.UsageError(msg) from None
    except (Exception, SystemExit) as fault:  # noqa: BLE001  # whatever somebody's module does while it loads
        raise click.UsageError(f"{name}: cannot be imported ({type(fault).__name__}); try `python -c 'import {name}'`") from None
    finally:
        sys.path.pop(0)


def _leave(message: str, code: int) -> NoReturn:
    click.echo(f"phi-audit: {message}", err=True)
    sys.exit(code)


def _version() -> str:
    try:
        return version("phi-guard-toolkit")
    except PackageNotFoundError:
        return "unknown"


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="Exit codes: 0 GO or done, 1 NO-GO, 2 usage or configuration, 3 UNPROVEN or could not finish,"
    " 4 evidence does not verify, 130 interrupted.",
)
@click.version_option(_version(), "--version", prog_name="phi-audit")
@click.option("--config", type=click.Path(dir_okay=False), help="Settings file, or none.  [default: PHI_GUARD_CONFIG, else phi-guard.toml,"
              " from here upwards]")  # fmt: skip
@click.option("--no-config", is_flag=True, help="Read no settings file.")
@click.pass_context
def main(ctx: click.Context, config: str | None, no_config: bool) -> None:
    """Audit what a voice agent's telemetry sent, before and after it goes live.

    \b
    Examples:
      phi-audit demo
      phi-audit scan --project medical-voice-agent-prod --since 7d
      phi-audit scan --from export.jsonl --format json -o report.json
      phi-audit switch off --reason "leak suspected"
    """  # noqa: D301  # \b is click's, against re-wrapping
    if chosen := "none" if no_config else config:
        os.environ["PHI_GUARD_CONFIG"] = chosen
    ctx.meta[_BEFORE_FILE] = dict(os.environ)
    arguments: list[str] = ctx.meta.get(_ARGUMENTS, [])
    if arguments[:1] == ["init"] or {"-h", "--help"} & set(arguments):
        return  # a file that cannot be used stands in the way of neither
    from phi_guard.project_file import chosen_env, with_file  # noqa: PLC0415  # not for --help

    os.environ.update(with_file(os.environ, chosen_env(arguments)))
