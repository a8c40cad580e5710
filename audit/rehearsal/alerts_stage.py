"""The stage on which rules are rehearsed: a project, an index, a switch and an audit's directory of their own, with real sinks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from audit.alerts.known import Known
from audit.alerts.rules import Rule
from audit.alerts.watch import Watch
from audit.calls.index import CallIndex, Choice
from audit.rehearsal.alerts_receiver import DOWN, PAGERDUTY, ROUTING_KEY, SECRET, SLACK, WEBHOOK, Arrived, Receiver
from audit.rehearsal.alerts_traffic import Traffic
from audit.source import SourceError, Window
from audit.source.langsmith import LangSmithProject
from phi_guard.gate import Gate
from phi_guard.model import Outcome, Payload
from phi_guard.outbound.pagerduty import PagerDutySink
from phi_guard.outbound.sink import Sink
from phi_guard.outbound.slack import SlackSink
from phi_guard.outbound.webhook import WebhookSink
from phi_guard.policy.compiled import Policy
from phi_guard.switch import FileSwitch

_REACH: Final = timedelta(hours=3)
"""How far before a look its traces begin at the earliest."""


class _MarkedGate(Gate):
    """The gate, with every alert marked as rehearsed before it is judged."""

    def clear(self, payload: Payload) -> Outcome:
        return super().clear(replace(payload, data={**payload.data, "rehearsal": True}))


class Stage:
    """What one rule is rehearsed on: a project, an index, a switch and an audit's directory of its own."""

    def __init__(self, place: Path, store: str, receiver: Receiver, policy: Policy, rules: Sequence[Rule], *, env: str) -> None:
        place.mkdir(mode=0o700)
        self.env, self.project = env, f"rehearsal-agent-{place.name}-{env}"
        self.traffic = Traffic(store, policy, project=self.project, env=env)
        self.switch = FileSwitch(place / "switch.json")
        self.switch.turn_on("rehearsal")
        self.ran: int | None = None
        """Calls that somebody says ran in the window of ``no_traces``."""
        self.down = False
        """Whether the traces are asked for at a server that is out of order."""
        self.problems: list[str] = []
        self._place, self._store, self._receiver, self._from = place, store, receiver, len(receiver.arrived)
        self._refused = len(receiver.refused)
        self._index = CallIndex(policy=policy)
        sinks: dict[str, Sink] = {
            "slack": SlackSink(receiver.url + SLACK),
            "webhook": WebhookSink(receiver.url + WEBHOOK, SECRET),
            "pagerduty": PagerDutySink(ROUTING_KEY, url=receiver.url + PAGERDUTY),
        }
        self._watch = Watch(place, [replace(rule, silences=()) for rule in rules], _MarkedGate(policy, None), sinks)

    def __enter__(self) -> Stage:
        return self

    def __exit__(self, *fault: object) -> None:
        self.traffic.close()
        self._index.close()

    @property
    def arrived(self) -> list[Arrived]:
        """Messages since it was set up."""
        return self._receiver.arrived[self._from :]

    def look(self, now: datetime) -> None:
        """Read the traces, judge, send."""
        since = (self._index.refreshed or now) - _REACH  # what came before is in the index
        endpoint = self._receiver.url + DOWN if self.down else self._store
        try:
            source = LangSmithProject(
                endpoint=endpoint, api_key="rehearsal", project=self.project, window=Window(since, now), now=now, sleep=_at_once
            )
            self._index.refresh(source, now=now)
        except SourceError as fault:
            if not self.down:
                self.problems.append(f"the traces could not be read: {fault}")
        choice = Choice(project=self.project, env=self.env)
        facts = Known(
            self._index, env=self.env, project=self.project, choice=choice, switch=self.switch.state, log=self._place, ran=self.ran
        )
        look = self._watch.look(facts, now)
        refused, self._refused = self._receiver.refused[self._refused :], len(self._receiver.refused)
        self.problems += [*look.problems, *(f"refused by the other side: {why}" for why in refused)]


def _at_once(seconds: float) -> None:
    """Wait for nothing: the clock is simulated."""
