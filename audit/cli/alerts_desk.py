"""What the commands of ``phi-audit alerts`` work with: rules, gate, sinks, index and switch, opened for the options that were given."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from phi_guard.errors import PhiGuardError

if TYPE_CHECKING:
    from audit.alerts import Event, Leak, Rule, Track
    from audit.alerts.watch import Look, Watch
    from phi_guard.gate import Gate
    from phi_guard.outbound.sink import Sink

SCHEMA: Final = "phi-audit.alerts/1"
VARIABLES: Final = {"slack": "SLACK_WEBHOOK_URL", "webhook": "PHI_GUARD_ALERT_WEBHOOK_URL", "pagerduty": "PAGERDUTY_ROUTING_KEY"}
"""Where each sink's address stands."""


class Desk:
    """One command's rules, index, switch and sinks."""

    def __init__(self, given: dict[str, Any], stack: ExitStack) -> None:
        from audit.alerts.reading import Reading, opened  # noqa: PLC0415  # not for --help
        from audit.alerts.watch import Watch  # noqa: PLC0415
        from audit.keys import audit_dir  # noqa: PLC0415
        from phi_guard.switch import open_switch  # noqa: PLC0415

        self._switch = open_switch()
        self._given, self._fmt, self._dry = given, given["fmt"], given["dry_run"]
        project, file, endpoint = given["project"], given["file"], given["endpoint"]
        if not project and file is None:
            raise click.UsageError("name what to read: --project NAME or --from FILE")
        other = "dev" if given["env"] == "prod" else "prod"
        if project.endswith(f"-{other}"):  # an alert that says the wrong environment sends people to the wrong place
            raise click.UsageError(f"the project is one of {other}; give --env {other}")
        self.rules = tuple(rule for rule in load(given["rules_file"]) if given["env"] in rule.environments)
        self._gate = gate_of(given["policy_file"], given["env"])
        self._directory = audit_dir()
        self._index = stack.enter_context(opened(self._directory, project=project, file=file, endpoint=endpoint))
        key = os.environ.get("LANGSMITH_API_KEY", "")
        self._reading = Reading(self._index, self.rules, project=project, file=file, endpoint=endpoint, api_key=key)
        self._reports = leaks_of(given["report"])
        sinks = {} if self._dry else sinks_given()
        if not sinks and not self._dry:
            click.echo(f"phi-audit: no sink has an address ({', '.join(VARIABLES.values())}); messages are only printed", err=True)
        self._watch: Watch = Watch(self._directory, self.rules, self._gate, sinks)

    def look(self, now: datetime) -> Look:
        """Read, judge, send."""
        from audit.alerts import evaluate  # noqa: PLC0415  # not for --help
        from audit.alerts.known import Known  # noqa: PLC0415
        from audit.alerts.state import FILE  # noqa: PLC0415
        from audit.alerts.watch import Look, tracks_of  # noqa: PLC0415
        from audit.calls.index import Choice  # noqa: PLC0415
        from audit.source import SourceError  # noqa: PLC0415

        given = self._given
        try:
            self._reading.refresh(now)
        except SourceError as fault:
            complain([f"{fault}; what rests on it is judged by what was read before, if at all"])
        facts = Known(
            self._index, env=given["env"], project=given["project"], choice=Choice(project=given["project"] if given["file"] else ""),
            switch=self._switch.state, log=self._directory, account=given["account"], ran=given["calls_ran"], reports=self._reports,
        )  # fmt: skip
        if not self._dry:
            return self._watch.look(facts, now)
        from audit.alerts import StateUnusable, read_state  # noqa: PLC0415

        try:
            before = read_state(self._directory / FILE)
        except StateUnusable as fault:
            raise click.UsageError(str(fault)) from None
        state, events = evaluate(self.rules, facts, before, now)
        return Look(state, events, tracks_of(state, self.rules, facts))

    def look_and_go_on(self) -> None:
        """A look of a watch: whatever goes wrong in it is said, and the next comes all the same."""
        try:
            look = self.look(datetime.now(UTC))
        except (PhiGuardError, OSError) as fault:
            complain([str(fault) if isinstance(fault, PhiGuardError) else f"a file cannot be used ({fault.strerror})"])
        except Exception as fault:  # noqa: BLE001  # a watch must not end; the fault's text could quote anything
            complain([f"a look ended by a fault of its own ({type(fault).__name__}); please report it"])
        else:
            complain(look.problems)
            for event in look.events:
                click.echo(json.dumps(cleared_facts(self._gate, event)) if self._fmt == "json" else self._line(event))

    def tell(self, look: Look) -> None:
        """Print what a look came to."""
        from audit.alerts.words import table  # noqa: PLC0415  # not for --help

        complain(look.problems)
        at = look.state.at or datetime.now(UTC)
        if self._fmt == "json":
            rows = [track_json(track) for track in look.tracks]
            told = [cleared_facts(self._gate, event) for event in look.events]
            head = {"schema": SCHEMA, "at": moment(at), "env": self._given["env"], "project": self._given["project"]}
            click.echo(json.dumps(head | {"rules": rows, "messages": told, "sent": look.sent, "problems": look.problems}, indent=2))
            return
        for line in table({track.rule: track for track in look.tracks}, self.rules, look.state, at):
            click.echo(line)
        for event in look.events:
            click.echo(self._line(event))

    def _line(self, event: Event) -> str:
        from phi_guard.outbound.announcement import announce  # noqa: PLC0415  # not for --help

        return announce(event.alert, cleared_facts(self._gate, event)).title


@contextmanager
def opened_desk(given: dict[str, Any]) -> Iterator[Desk]:
    """What a command works with; closed after it."""
    with ExitStack() as stack:
        yield Desk(given, stack)


def load(path: Path | None) -> tuple[Rule, ...]:
    """The rules of a file, or those shipped; ends the command where they cannot be used."""
    from audit.alerts import RulesError, load_rules  # noqa: PLC0415  # not for --help
    from phi_guard.policy import shipped  # noqa: PLC0415

    try:
        return load_rules(path or shipped("alerts.yaml"))
    except RulesError as fault:
        raise click.UsageError(f"the rules cannot be used:\n{fault}") from None


def gate_of(path: Path | None, env: str) -> Gate:
    """The gate that clears what is sent: no detector, since closed facts need none."""
    from phi_guard.errors import PolicyError  # noqa: PLC0415  # not for --help
    from phi_guard.gate import Gate  # noqa: PLC0415
    from phi_guard.policy import load_policy, shipped  # noqa: PLC0415

    try:
        return Gate(load_policy(path or shipped("clinic.yaml"), env=env), None)
    except PolicyError as fault:
        raise click.UsageError("the policy cannot be used:\n" + "\n".join(f"  {line}" for line in fault.faults)) from None


def sinks_given() -> dict[str, Sink]:
    """The sinks whose address the environment gives."""
    from audit.alerts.reading import sinks_of  # noqa: PLC0415  # not for --help

    try:
        return sinks_of(os.environ)
    except PhiGuardError as fault:
        raise click.UsageError(str(fault)) from None


def cleared_facts(gate: Gate, event: Event) -> dict[str, Any]:
    """What leaves of an event, as the gate clears it."""
    from audit.alerts.delivery import clear  # noqa: PLC0415  # not for --help

    cleared = clear(gate, event)
    facts: dict[str, Any] = json.loads(cleared.body) if cleared is not None else {}
    return facts


def leaks_of(path: Path | None) -> tuple[Leak, ...]:
    """What a report that was named says of a leak."""
    if path is None:
        return ()
    from audit.alerts import Leak  # noqa: PLC0415  # not for --help
    from audit.keys import KeyFileError  # noqa: PLC0415
    from audit.verification import Unverifiable, verify_report  # noqa: PLC0415

    try:
        found = verify_report(path)
    except (KeyFileError, Unverifiable) as fault:
        raise click.UsageError(str(fault)) from None
    if found.report is None:
        raise click.UsageError(f"{path}: holds no report; see phi-audit verify {path}")
    report = found.report
    at = datetime.fromisoformat(report.target.made_at).astimezone(UTC)
    return (Leak(at, "report", report.digest),) if report.verdict.state == "NO_GO" else ()


def track_json(track: Track) -> dict[str, Any]:
    """How a rule stands, as JSON gives it."""
    return {
        "rule": track.rule, "env": track.env, "project": track.project, "phase": track.phase, "known": track.known, "why": track.why,
        "value": track.value, "n": track.n, "bad": track.bad, "worst": track.worst, "flapping": track.flapping,
        "since": moment(track.episode.since) if track.episode else None, "judged": moment(track.judged),
    }  # fmt: skip


def moment(at: datetime | None) -> str | None:
    """An instant as it is shown: UTC, to the second."""
    return None if at is None else at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def complain(problems: Iterable[str]) -> None:
    """Say what went wrong, on stderr."""
    for problem in problems:
        click.echo(f"phi-audit: {problem}", err=True)
