"""Evidence that a scan cannot have of itself: the file in which a rehearsal reports what it measured."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from phi_guard.errors import PhiGuardError


class EvidenceError(PhiGuardError):
    """An evidence file cannot be used; the message says where and why."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What an operation cost, in microseconds, over ``n`` of them.

    Args:
        p50: half cost at most this.
        p99: so many did.
        max: the dearest.
        n: how many were timed.
        cpu_max: the most that one took of the processor itself, or None.
        edges: the histogram's bins, one edge more than ``counts``; the last bin holds whatever cost more. Empty where none was kept.
        counts: operations in each bin.
    """

    p50: float
    p99: float
    max: float
    n: int
    cpu_max: float | None = None
    edges: tuple[float, ...] = ()
    counts: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Spans:
    """What became of the spans.

    Args:
        offered: by the calls.
        delivered: taken by the endpoint.
        lost: dropped for any reason, or still pending when it ended.
        adds_up: whether the relay's ledger adds up, and agrees with the calls' own count; None where the file does not say.
    """

    offered: int
    delivered: int
    lost: int
    adds_up: bool | None = None


@dataclass(frozen=True, slots=True)
class Lateness:
    """How late the event loop's ticks came, in microseconds.

    Args:
        p99: in calls with the tracer.
        untraced_p99: in the same calls without it.
        untraced_max: the latest tick of those; None where the file does not say.
    """

    p99: float
    untraced_p99: float
    untraced_max: float | None = None


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault that was made in the telemetry while calls went on.

    Args:
        kind: ``relay_stands_still``: its process was stopped and went on again.
        at_s: seconds from the beginning of the calls.
        lasted_s: for how long, seconds.
    """

    kind: str
    at_s: float
    lasted_s: float


@dataclass(frozen=True, slots=True)
class Share:
    """How many were planted, and how many of them arrived."""

    planted: int
    arrived: int


@dataclass(frozen=True, slots=True)
class Canaries:
    """Canaries planted in the calls, and how many of them arrived in clear.

    Args:
        planted: different values.
        arrived: of them, in any of the forms they are looked for in.
        by_class: by kind, such as ``patient_name``.
        by_origin: by where they were planted, such as ``caller`` or ``room_name``; joined by ``+`` where a value stood in several.
    """

    planted: int
    arrived: int
    by_class: Mapping[str, Share] = field(default_factory=dict)
    by_origin: Mapping[str, Share] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Load:
    """How much was asked of the agent at once.

    Args:
        at_once: the most calls that were under way at the same moment.
        minutes: how long the shortest of the calls lasted.
    """

    at_once: int
    minutes: float


@dataclass(frozen=True, slots=True)
class Completeness:
    """The calls' traces as they were read back from where they were sent.

    Args:
        expected: calls that ought to have a trace.
        arrived: of them, those whose trace could be read.
        complete: of them, those with every span that the call should have.
        lacks: what was lacking, by a name of the closed list, in how many traces.
    """

    expected: int
    arrived: int
    complete: int
    lacks: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Memory:
    """Resident memory of one process over a rehearsal, MiB.

    Args:
        first: once it was warm.
        last: at the end.
        peak: the most.
        n: how many readings.
    """

    first: float
    last: float
    peak: float
    n: int


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What a rehearsal measured; None for what it did not.

    Args:
        calls: how many calls were played.
        overhead_us: cost of recording an operation, timed by itself after the calls.
        spans: what became of the spans.
        loop_lateness_us: the event loop's lateness.
        calls_crashed: calls that something came out of.
        canaries: canaries sent and arrived.
        load: how much went on at once.
        completeness: the traces as they arrived.
        ttft_error_ms: the largest difference between a recorded TTFT-A and the stand-in's own clock.
        ttft_unpaired: answers of which only one of the two was known; None where the file does not say.
        memory: of ``agent`` and ``relay``.
        scenes: how often each kind of conversation was played.
        languages: likewise of each language of the callers' names.
        project: it sent to; empty where the file does not say, as of the four that follow.
        env: ``dev`` or ``prod``.
        endpoint: host it sent to.
        policy_digest: digest of the policy that the relay cleared by.
        started_at: when it began, ISO 8601 with a time zone.
        interrupted: whether it was ended before its end; None where the file does not say.
        problems: how many it told of, in words of its own that are not kept here.
        in_call_record_us: cost of each recording in the calls, by the clock.
        in_call_handler_us: likewise of each event handler, with what it records.
        tracer_faults: handlers of the tracer that failed inside.
        unanswered_turns: of the callers, that got no whole answer; those of a call that was cut off by us do not count.
        faults: that were made in the telemetry meanwhile.
    """

    calls: int
    overhead_us: Cost | None = None
    spans: Spans | None = None
    loop_lateness_us: Lateness | None = None
    calls_crashed: int | None = None
    canaries: Canaries | None = None
    load: Load | None = None
    completeness: Completeness | None = None
    ttft_error_ms: float | None = None
    ttft_unpaired: int | None = None
    memory: Mapping[str, Memory] = field(default_factory=dict)
    scenes: Mapping[str, int] = field(default_factory=dict)
    languages: Mapping[str, int] = field(default_factory=dict)
    project: str = ""
    env: str = ""
    endpoint: str = ""
    policy_digest: str = ""
    started_at: str = ""
    interrupted: bool | None = None
    problems: int = 0
    in_call_record_us: Cost | None = None
    in_call_handler_us: Cost | None = None
    tracer_faults: int | None = None
    unanswered_turns: int | None = None
    faults: tuple[Fault, ...] = ()


@dataclass(frozen=True, slots=True)
class Monitoring:
    """What watching a project in operation came to.

    Args:
        started_at: when it began, ISO 8601 with a time zone.
        ended_at: when it was last looked at.
        hours: between the two.
        rounds: how often the project was scanned.
        longest_gap_s: the longest time in which nobody looked.
        calls: traces in the window.
        no_go: rounds whose scan was NO_GO.
        unfinished: rounds that could not be finished, such as where the endpoint did not answer.
        alerts: how often each alert fired.
        switch_off_s: seconds for which telemetry was seen to be off.
        closed: whether it ran its whole time and was closed.
        project: that was watched; empty where the file does not say, as of the text that follows.
        env: ``dev`` or ``prod``.
        policy_digest: of the policy it was judged by.
        outcome: ``CLEAN``, ``NO_GO`` or ``UNPROVEN``, as the closing report says.
        judged: rules of the alerts that some round could judge, sorted.
        rules_digest: of the rules of its environment (`audit.binding.rules_digest`).
        gates_digest: of the bars its rounds were judged by (`audit.gates_base.gates_digest`).
        journal_n: number of the journal's last line before the closing one; -1 where the file does not say.
        journal_sha256: of that line.
        vouched: whether the audit's log holds this journal's place with these figures; never read from the file.
    """

    started_at: str
    ended_at: str
    hours: float
    rounds: int
    longest_gap_s: float
    calls: int
    no_go: int
    unfinished: int
    alerts: Mapping[str, int] = field(default_factory=dict)
    switch_off_s: float = 0.0
    closed: bool = False
    project: str = ""
    env: str = ""
    policy_digest: str = ""
    outcome: str = ""
    judged: tuple[str, ...] = ()
    rules_digest: str = ""
    gates_digest: str = ""
    journal_n: int = -1
    journal_sha256: str = ""
    vouched: bool = False


@dataclass(frozen=True, slots=True)
class Given:
    """All the evidence that was given; None for what was not."""

    rehearsal: Rehearsal | None = None
    alerts: Alerts | None = None
    monitoring: Monitoring | None = None


@dataclass(frozen=True, slots=True)
class Alerts:
    """Which alerts a rehearsal of them saw: names, sorted.

    Args:
        fired: alerts that came.
        resolved: those of them that were told to be over.
        silent: alerts that were tried and did not come.
        started_at: when it began, ISO 8601 with a time zone; empty where the file does not say.
        policies: by environment, the digest of the policy file it was held with.
        rules: by environment, the digest of the rules that are in force there (`audit.binding.rules_digest`).
        false_alarms: messages of a day on which nothing was wrong; None where the file does not say.
    """

    fired: tuple[str, ...] = ()
    resolved: tuple[str, ...] = ()
    silent: tuple[str, ...] = ()
    started_at: str = ""
    policies: Mapping[str, str] = field(default_factory=dict)
    rules: Mapping[str, str] = field(default_factory=dict)
    false_alarms: int | None = None


def load_rehearsal(path: Path) -> Rehearsal:
    """The rehearsal in a file of schema ``phi-audit.rehearsal/1``.

    Raises:
        EvidenceError: it cannot be read or is no such file.
    """
    from audit.evidence_file import read  # noqa: PLC0415  # pydantic loads only with a file

    return read(path)


def load_alerts(path: Path) -> Alerts:
    """The alerts in a file of schema ``phi-audit.alerts-rehearsal/1``.

    Raises:
        EvidenceError: it cannot be read or is no such file.
    """
    from audit.evidence_file import read_alerts  # noqa: PLC0415  # pydantic loads only with a file

    return read_alerts(path)


def load_evidence(paths: Iterable[Path]) -> Given:
    """What several files hold, each told by its schema.

    Raises:
        EvidenceError: one cannot be read, is of no known schema, or two are of the same.
    """
    from audit.evidence_file import read_any  # noqa: PLC0415  # pydantic loads only with a file

    given: dict[type[Rehearsal | Alerts | Monitoring], Rehearsal | Alerts | Monitoring] = {}
    for path in paths:
        held = read_any(path)
        if type(held) in given:
            msg = f"{path}: a second file of the same kind; give one rehearsal, one rehearsal of the alerts and one of the monitoring"
            raise EvidenceError(msg)
        given[type(held)] = held
    kinds = list(given.values())
    return Given(
        next((held for held in kinds if isinstance(held, Rehearsal)), None),
        next((held for held in kinds if isinstance(held, Alerts)), None),
        next((held for held in kinds if isinstance(held, Monitoring)), None),
    )
