"""``phi-audit alerts``: judge the rules once or for good, show how they stand, silence one, try a sink."""

from __future__ import annotations

import getpass
import json
import os
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from audit import exits
from audit.cli.alerts_desk import VARIABLES, cleared_facts, complain, gate_of, load, moment, opened_desk, sinks_given, track_json
from audit.cli.scan import ENDPOINT, Moment, Since

if TYPE_CHECKING:
    from audit.alerts import AlertState, Rule

LIST_SCHEMA: Final = "phi-audit.alerts-list/1"
_file: Final = click.Path(path_type=Path, dir_okay=False)
_format = click.option("--format", "fmt", type=click.Choice(["table", "json"]), default="table", show_default=True, help="Of the answer.")
_rules = click.option("--rules", "rules_file", type=_file, envvar="PHI_AUDIT_ALERTS", show_envvar=True,
                      help="Rules to judge by.  [default: alerts.yaml as shipped]")  # fmt: skip
_env = click.option("--env", type=click.Choice(["dev", "prod"]), default="prod", show_default=True, help="Environment that is judged.")
_policy = click.option("--policy", "policy_file", type=_file, envvar="PHI_GUARD_POLICY", show_envvar=True,
                       help="Policy that clears what is sent.  [default: clinic.yaml as shipped]")  # fmt: skip
_project = click.option("--project", default="", envvar="LANGSMITH_PROJECT", show_envvar=True, help="Project to read; its exact name.")


def _reading(command: Callable[..., int]) -> Callable[..., int]:
    """The options of what is read and where it is sent."""
    for option in reversed((
        _project,
        click.option("--from", "file", type=click.Path(path_type=Path), help="Read an export instead: JSON Lines or Parquet."),
        click.option("--endpoint", default=ENDPOINT, envvar="LANGSMITH_ENDPOINT", show_envvar=True, show_default=True,
                     help="LangSmith's address."),
        _env, _rules, _policy,
        click.option("--account", type=click.Path(path_type=Path), envvar="PHI_AUDIT_ACCOUNT", show_envvar=True,
                     help="The relay's state directory or outbox: it knows of calls that left no trace."),
        click.option("--calls-ran", type=click.IntRange(min=0), help="Calls that ran in the window of no_traces."),
        click.option("--report", type=_file, help="A report to look at; one that says NO-GO is a leak."),
        click.option("--dry-run", is_flag=True, help="Send nothing and remember nothing; print what would be sent."),
        _format,
    )):  # fmt: skip
        command = option(command)
    return command


@click.group()
def alerts() -> None:
    """Tell somebody when calls fail, answers come late, spans are lost, money runs out, or something leaked.

    Rules stand in alerts.yaml. What is sent holds closed facts alone, passes the gate, and is written to the audit's log before it leaves.
    It goes to Slack (SLACK_WEBHOOK_URL), a webhook (PHI_GUARD_ALERT_WEBHOOK_URL, signed with PHI_GUARD_ALERT_WEBHOOK_SECRET) and PagerDuty
    (PAGERDUTY_ROUTING_KEY), where those are set.

    \b
    Examples:
      phi-audit alerts list
      phi-audit alerts check --project medical-voice-agent-prod
      phi-audit alerts watch --project medical-voice-agent-prod --every 60s --account /var/lib/phi-guard
      phi-audit alerts silence ttft_p95 --for 2h --reason "load test"
      phi-audit alerts rehearse --format json -o alerts.json
    """  # noqa: D301  # \b is click's, against re-wrapping


@alerts.command(epilog="Exit codes: 0 nothing fires, 1 something fires, 2 usage or rules file, 3 something could not be judged.")
@_reading
@click.option("--now", type=Moment(), help="The instant to judge.  [default: the clock]")
def check(**given: Any) -> int:
    """Judge every rule once, and send what there is to say.

    \b
    Examples:
      phi-audit alerts check --project medical-voice-agent-prod
      phi-audit alerts check --from export.jsonl --env dev --dry-run --format json
    """  # noqa: D301  # as above
    with opened_desk(given) as desk:
        look = desk.look(given["now"] or datetime.now(UTC))
        desk.tell(look)
    if any(track.episode is not None for track in look.tracks):
        return exits.NO_GO
    return exits.GO if all(track.known for track in look.tracks) else exits.UNPROVEN


@alerts.command(epilog="Exit codes: 0 ended by SIGTERM, 2 usage or rules file, 3 another process watches, 130 Ctrl-C.")
@_reading
@click.option("--every", default="60s", show_default=True, help="How often: 30s, 5m, 1h.")
def watch(**given: Any) -> int:
    """Judge again and again, until Ctrl-C. A line is printed for each message; with JSON, an object a line.

    \b
    Examples:
      phi-audit alerts watch --project medical-voice-agent-prod --every 60s
    """  # noqa: D301  # as above
    from audit.alerts.watch import WATCHING, alone  # noqa: PLC0415  # not for --help
    from audit.keys import audit_dir  # noqa: PLC0415

    every, stop = _every(given["every"]), threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    with opened_desk(given) as desk, alone(audit_dir() / WATCHING, wait_s=0.0):
        try:
            while not stop.is_set():
                desk.look_and_go_on()
                stop.wait(every)
        except KeyboardInterrupt:
            return exits.INTERRUPTED
    return exits.GO


@alerts.command("list")
@_rules
@click.option("--env", type=click.Choice(["dev", "prod"]), help="Only the rules of this environment.")
@_format
def list_rules(rules_file: Path | None, env: str | None, fmt: str) -> int:
    """Show the rules in force, how each stood when it was judged last, and what it would take.

    \b
    Examples:
      phi-audit alerts list
      phi-audit alerts list --env prod --format json
    """  # noqa: D301  # as above
    from audit.alerts import read_state  # noqa: PLC0415  # not for --help
    from audit.alerts.state import FILE  # noqa: PLC0415
    from audit.alerts.words import stands, wants  # noqa: PLC0415
    from audit.keys import audit_dir  # noqa: PLC0415

    rules, now = load(rules_file), datetime.now(UTC)
    state = read_state(audit_dir() / FILE)
    shown = [rule for rule in rules if env is None or env in rule.environments]
    if fmt == "json":
        rows = [_rule_json(rule, state, now) for rule in shown]
        click.echo(json.dumps({"schema": LIST_SCHEMA, "at": moment(state.at), "rules": rows, "notes": state.notes}, indent=2))
        return exits.GO
    for rule in shown:
        click.echo(f"{rule.name}  [{rule.severity}; {', '.join(sorted(rule.environments))}; {', '.join(rule.sinks) or 'no sink'}]")
        click.echo(f"  fires at {wants(rule)}")
        for track in state.tracks.values():
            if track.rule == rule.name and env in {None, track.env}:
                click.echo(f"  {track.env} {track.project}: {track.phase}; {stands(track, now)}".replace("  ", " ", 1))
        for reason in _quiet(rule, state, now):
            click.echo(f"  silenced: {reason}")
    return exits.GO


@alerts.command()
@click.argument("name")
@click.option("--for", "length", type=Since(), required=True, help="How long: 90m, 2h, 1d.")
@click.option("--reason", required=True, help="Why; it is kept. No names of patients.")
@_rules
def silence(name: str, length: timedelta, reason: str, rules_file: Path | None) -> int:
    """Send nothing of a rule for a while. It is judged all the same, and what fired is told after it.

    \b
    Examples:
      phi-audit alerts silence ttft_p95 --for 2h --reason "load test"
    """  # noqa: D301  # as above
    from audit.alerts import Silence  # noqa: PLC0415  # not for --help

    rules = {rule.name for rule in load(rules_file)}
    if name not in rules:
        from phi_guard.policy.lines import near  # noqa: PLC0415

        raise click.UsageError(f"{name} is no rule{near(name, rules)}; there are {', '.join(sorted(rules))}")
    if not 3 <= len(reason) <= 120 or not reason.isprintable():
        raise click.UsageError("--reason: write one line of 3 to 120 characters")
    now = datetime.now(UTC)
    quiet = Silence(reason, getpass.getuser(), since=now, until=now + length)
    _change(lambda state: replace(state, silenced={**state.silenced, name: quiet}), "alert_silenced",
            {"rule": name, "seconds": int(length.total_seconds()), "reason": reason}, now)  # fmt: skip
    click.echo(f"{name} is silenced until {moment(quiet.until)}")
    return exits.GO


@alerts.command()
@click.argument("name")
def unsilence(name: str) -> int:
    """End a silence that was set by hand."""
    now = datetime.now(UTC)

    def without(state: AlertState) -> AlertState:
        if name not in state.silenced:
            raise click.UsageError(f"{name} is not silenced by hand; see phi-audit alerts list")
        return replace(state, silenced={rule: quiet for rule, quiet in state.silenced.items() if rule != name})

    _change(without, "alert_unsilenced", {"rule": name}, now)
    click.echo(f"{name} is not silenced any more")
    return exits.GO


@alerts.command(epilog="Exit codes: 0 taken, 2 the sink has no address, 3 not delivered.")
@click.option("--sink", type=click.Choice(["slack", "webhook", "pagerduty"]), required=True, help="Which.")
@_project
@_env
@_policy
@click.option("--dry-run", is_flag=True, help="Print what would be sent.")
def test(sink: str, project: str, env: str, policy_file: Path | None, dry_run: bool) -> int:
    """Send one test message through the gate, marked as a rehearsal.

    \b
    Examples:
      phi-audit alerts test --sink slack
    """  # noqa: D301  # as above
    from audit.alerts import Event  # noqa: PLC0415  # not for --help
    from audit.alerts.watch import Watch  # noqa: PLC0415
    from audit.keys import audit_dir  # noqa: PLC0415

    now = datetime.now(UTC)
    event = Event(
        state="firing", rule="test", alert="test", severity="info", env=env, project=project, value=None, threshold=0.0, unit="count",
        window_s=0, since=now, at=now, key=os.urandom(16).hex(), sinks=(sink,), rehearsal=True,
    )  # fmt: skip
    gate = gate_of(policy_file, env)
    if dry_run:
        click.echo(json.dumps(cleared_facts(gate, event), indent=2))
        return exits.GO
    sinks = sinks_given()
    if sink not in sinks:
        raise click.UsageError(f"{sink} has no address: set {VARIABLES[sink]}")
    sent, problems = Watch(audit_dir(), (), gate, sinks).say(event, now)
    complain(problems)
    click.echo(f"{sink}: {'taken' if sent else 'not delivered'}")
    return exits.GO if sent else exits.UNPROVEN


@alerts.command(epilog="Exit codes: 0 every rule fired and resolved and a quiet day was silent, 1 not so, 2 rules file, 130 Ctrl-C.")
@_rules
@_policy
@_format
@click.option("-o", "--output", type=_file, help="Write the evidence there, not to stdout.")
def rehearse(rules_file: Path | None, policy_file: Path | None, fmt: str, output: Path | None) -> int:
    """Make every rule fire and resolve, with real traces in a local store and real messages to a stand-in. No keys, no network.

    The JSON is the evidence of the gate alerts_fire: give it to `phi-audit scan --evidence`.

    \b
    Examples:
      phi-audit alerts rehearse
      phi-audit alerts rehearse --format json -o alerts.json
    """  # noqa: D301  # as above
    from audit.rehearsal.alerts import evidence_of, rehearse_alerts, render  # noqa: PLC0415  # not for --help
    from phi_guard.errors import PolicyError  # noqa: PLC0415
    from phi_guard.policy import load_policy, shipped  # noqa: PLC0415

    try:
        policy = load_policy(policy_file or shipped("clinic.yaml"), env="dev")
    except PolicyError as fault:
        raise click.UsageError("the policy cannot be used:\n" + "\n".join(f"  {line}" for line in fault.faults)) from None
    done = rehearse_alerts(
        load(rules_file),
        policy,
        on_rule=lambda one: click.echo(f"{one.name}: {'fired and resolved' if one.fired and one.resolved else 'NOT so'}", err=True),
    )
    text = json.dumps(evidence_of(done), indent=2) if fmt == "json" else render(done).rstrip("\n")
    if output is None:
        click.echo(text)
    else:
        try:
            output.write_text(f"{text}\n", encoding="utf-8")
        except OSError as fault:
            raise click.UsageError(f"{output}: cannot be written ({fault.strerror})") from None
    return exits.GO if done.passed else exits.NO_GO


@alerts.command()
@click.option("-o", "--output", type=_file, help="Write it there, not to stdout.")
def schema(output: Path | None) -> int:
    """Print the JSON schema of alerts.yaml, for editors."""
    from audit.alerts.document import schema as made  # noqa: PLC0415  # not for --help

    text = json.dumps(made(), indent=2, ensure_ascii=False)
    if output is None:
        click.echo(text)
        return exits.GO
    try:
        output.write_text(f"{text}\n", encoding="utf-8")
    except OSError as fault:
        raise click.UsageError(f"{output}: cannot be written ({fault.strerror})") from None
    return exits.GO


def _change(how: Callable[[AlertState], AlertState], event: str, facts: dict[str, str | int], now: datetime) -> None:
    from audit.alerts.watch import change  # noqa: PLC0415  # not for --help
    from audit.containment import write_log  # noqa: PLC0415
    from audit.keys import audit_dir  # noqa: PLC0415

    change(audit_dir(), how, now)
    logged, why = write_log(event, facts, now)
    if not logged:
        complain([why])


def _every(text: str) -> float:
    from audit.alerts.document import seconds  # noqa: PLC0415  # not for --help

    try:
        every = seconds(text)
    except (ValueError, KeyError, IndexError):
        every = 0
    if not 1 <= every <= 86_400:
        raise click.UsageError("--every: write 1s to 24h, such as 60s or 5m")
    return float(every)


def _quiet(rule: Rule, state: AlertState, now: datetime) -> Iterator[str]:
    by_hand = state.silenced.get(rule.name)
    for one in (*rule.silences, *([by_hand] if by_hand else [])):
        if one.holds(now):
            yield f"{one.reason} ({one.owner})" + (f", until {moment(one.until)}" if one.until else "")


def _rule_json(rule: Rule, state: AlertState, now: datetime) -> dict[str, Any]:
    from audit.alerts.words import wants  # noqa: PLC0415  # not for --help

    return {
        "rule": rule.name, "metric": rule.metric, "severity": rule.severity, "environments": sorted(rule.environments),
        "sinks": list(rule.sinks), "bar": rule.bar, "unit": rule.unit, "fires_at": wants(rule), "silenced": list(_quiet(rule, state, now)),
        "stands": [track_json(track) for track in state.tracks.values() if track.rule == rule.name],
    }  # fmt: skip
