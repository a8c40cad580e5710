"""What a go/no-go review was asked to do; kept beside what it leaves, so that going on needs no option twice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Final

from audit.gates import GO_LIVE

LOAD_CALLS: Final = 10
LOAD_MINUTES: Final = 5.0
"""The load test of the requirements, section 17: 10 calls x 5 minutes."""
ALERTS_WEEK: Final = 4
"""The first week whose gates need a rehearsal of the alerts and of calls (requirements, section 13)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Everything that decides what the steps do.

    Args:
        week: whose gates are judged, with those of the weeks before.
        calls: that the rehearsal plays, all at the same time.
        minutes: about how long each lasts.
        seed: of the rehearsed callers.
        script: YAML of calls to play instead; empty for invented ones.
        measure: whether recording is timed beside its rival.
        deliver_s: seconds the endpoint has to take everything.
        project: that is written to and read.
        env: whose part of the policy applies.
        endpoint: LangSmith's address; empty with a store of our own.
        local: whether a trace store of our own is started.
        file: an export to be read instead of a project; empty for none.
        since_s: how far back to read where no calls were rehearsed, seconds.
        policy: policy file; empty for the shipped one. Likewise ``gates`` and ``rules`` (of the alerts).
        gates: gates file.
        rules: rules of the alerts.
        known_answers: plants of each class and style.
        sample: traces to draw for people.
        scan_seed: of known answers and sample.
        account: the relay's state directory, where no calls were rehearsed; empty for none.
        evidence: evidence files that were given; a step whose evidence is given is not run.
        without: layers of the detectors that are left out.
        by: who runs it; empty for user@host.
        store: name of the file of our own store's traces; each rehearsal has one of its own.
    """

    week: int = GO_LIVE
    calls: int = LOAD_CALLS
    minutes: float = LOAD_MINUTES
    seed: int = 1
    script: str = ""
    measure: bool = True
    deliver_s: float = 120.0
    project: str = ""
    env: str = "dev"
    endpoint: str = ""
    local: bool = False
    file: str = ""
    since_s: float = 7 * 86_400.0
    policy: str = ""
    gates: str = ""
    rules: str = ""
    known_answers: int = 59
    sample: int = 12
    scan_seed: int = 0
    account: str = ""
    evidence: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    by: str = ""
    store: str = "traces.sqlite3"

    def as_json(self) -> dict[str, Any]:
        """As `of` reads it."""
        return asdict(self)

    def changed(self, given: Mapping[str, Any]) -> Asked:
        """With what was given anew."""
        return replace(self, **given)

    @classmethod
    def of(cls, held: Mapping[str, Any]) -> Asked:
        """Out of a record.

        Raises:
            TypeError: it holds what is no option, or of another kind.
        """
        known = {field.name: field for field in fields(cls)}
        sample, told = cls(), dict[str, Any]()
        for name, value in held.items():
            like = getattr(sample, name) if name in known else None
            made = tuple(value) if isinstance(like, tuple) and isinstance(value, list) else value
            number = isinstance(like, float) and isinstance(made, int) and not isinstance(made, bool)
            if like is None or not (number or type(made) is type(like)):
                msg = "is none of the options, or of another kind"
                raise TypeError(msg)
            told[name] = made
        return cls(**told)
