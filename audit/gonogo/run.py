"""The steps of a go/no-go review, each left out where what an earlier run left still fits: policy, rehearsal, alerts, scan."""

from __future__ import annotations

import getpass
import json
import os
import platform
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

from audit.crosscheck import OUTBOX
from audit.evidence import Given, load_evidence
from audit.gates import GO_LIVE, Gate, load_gates
from audit.gonogo.alone import QUIET, expect_own, expect_quiet, own_project
from audit.gonogo.asked import ALERTS_WEEK
from audit.gonogo.kept import PAGES, SCAN, keep_scan, keep_signed
from audit.gonogo.record import Record, RecordError, Step, digest, file_digest, now, write_whole
from audit.gonogo.standing import LASTS, REVIEWED, release
from audit.population import CALL_MAX
from audit.source import Window, open_source
from phi_guard.policy import load_policy, shipped
from phi_guard.switch import FileSwitch, open_switch

if TYPE_CHECKING:
    from audit.assessment import Assessment
    from audit.custody import Custody
    from audit.method import Method
    from audit.report import Report
    from audit.source import Source
    from phi_guard.policy.compiled import Policy

REHEARSAL: Final = "rehearsal.json"
ALERTS: Final = "alerts.json"
ACCOUNT: Final = "account"
TRACES: Final = "traces.sqlite3"
LOCAL_KEY: Final = "local"
Contain: TypeAlias = "Callable[[Report], object]"
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Held:
    """What the steps came to.

    Args:
        report: as it was scanned; it bears neither review nor signature.
        steps: in order.
        interrupted: whether the scan was.
        fresh: whether the report was made now, and not by an earlier run.
    """

    report: Report
    steps: tuple[Step, ...]
    interrupted: bool = False
    fresh: bool = True


def hold(record: Record, say: Say, api_key: str = "", *, contain: Contain | None = None, reviewed: bool = False) -> Held:
    """Run what is to be run.

    Args:
        record: of the directory, with what was asked.
        say: told what is going on.
        api_key: LangSmith's; any will do for a store of our own.
        contain: given a report that is NO_GO, as soon as it is judged: before it is rendered, which may be refused, or written.
        reviewed: whether reviews are to be taken in. They are of the scan as it stands, so no step is done again: what no longer fits is
            refused.

    Raises:
        PolicyError: the policy cannot be used, or an example of its own does not come out as written.
        GatesError: the gates cannot be used. Likewise EvidenceError, RulesError, ScriptError and SourceError for what they are of.
        RecordError: something cannot be written, or reviews were given of a scan that no longer fits.
        NotAlone: others write to the project that the calls are played into.
        KeyboardInterrupt: Ctrl-C in the rehearsal; what was done before is kept.
    """
    return _Review(record, say, api_key, contain, reviewed=reviewed).hold()


@dataclass(frozen=True, slots=True)
class _Did:
    """The files a step left, what came of it in words, whether it came to its end, and whether it need not be done again."""

    files: tuple[str, ...]
    said: str
    whole: bool = True
    good: bool = True


class _Review:
    def __init__(self, record: Record, say: Say, api_key: str, contain: Contain | None = None, *, reviewed: bool = False) -> None:
        self._record, self._say, self._key, self._contain = record, say, api_key, contain
        self._reviewed = reviewed
        self._asked, self._where = record.asked, record.directory
        self._done: list[Step] = []
        # One path for every step: what the environment names now is not what was asked.
        self._policy_file = self._asked.policy or str(shipped("clinic.yaml"))
        self._policy: Policy = load_policy(self._policy_file, env=self._asked.env)
        self._gates: tuple[Gate, ...] = load_gates(Path(self._asked.gates or shipped("gates.yaml")), week=self._asked.week)
        self._given: Given = load_evidence([Path(path) for path in self._asked.evidence])

    def hold(self) -> Held:
        asked = self._asked
        self._record.write()
        count = len(self._policy.examples)
        self._step("policy", {"policy": self._policy.digest}, lambda: _Did((), f"{count} examples came out as written"))
        with ExitStack() as stack:
            url = asked.endpoint
            if asked.local:
                url, self._key = self._store(stack), LOCAL_KEY
            began: datetime | None = None
            if self._plays():
                step = self._step("rehearsal", self._of_rehearsal(), lambda: self._rehearse(url), LASTS)
                began = datetime.fromisoformat(step.began)
            if asked.week >= ALERTS_WEEK and self._given.alerts is None:
                self._step("alerts", self._of_alerts(), self._rehearse_alerts, LASTS)
            return self._scan(url, began)

    def _plays(self) -> bool:
        """Calls are played where their traces can go, and where a gate needs them or nothing else would be there to be read."""
        needed = self._asked.local or self._asked.week >= ALERTS_WEEK
        return not self._asked.file and self._given.rehearsal is None and needed

    def _step(self, name: str, inputs: dict[str, object], do: Callable[[], _Did], lasts: timedelta | None = None) -> Step:
        """Do a step, or take what is there, where it was made by this release from the same input and ended no longer ago than that."""
        wanted = digest({**inputs, "release": release()})
        held = self._record.fits(name, wanted, REVIEWED if self._reviewed else lasts)
        if held is not None and (held.good or self._reviewed):
            self._say(f"{name}: as it was left ({held.said})")
            step = replace(held, again=True)
        elif self._reviewed:
            raise RecordError(
                f"{self._where}: {name}: what was left no longer fits what is asked (its input, its files, the release or its age), and"
                f" the reviews are of the scan that it gave; hold it again without --review and have its sample read, or sign what was"
                f" read: phi-audit sign {self._where / SCAN} --review ..."
            )
        else:
            self._record.steps.pop(name, None)
            self._record.log(f"{name} begins")
            began = now()
            did = do()
            files = {path: file_digest(self._where / path) for path in did.files}
            step = Step(name, wanted, began, now(), files, did.said, good=did.good)
            if did.whole:
                self._record.keep(step)
            self._record.log(f"{name} {'done' if did.whole else 'interrupted'}: {did.said}")
            self._say(f"{name}: {did.said}")
        self._done.append(step)
        return step

    def _store(self, stack: ExitStack) -> str:
        from audit.rehearsal.serving import run_store  # noqa: PLC0415  # only where it is our own

        asked = self._asked
        if self._plays() and not self._reviewed and self._record.fits("rehearsal", self._wanted_rehearsal(), LASTS) is None:
            # Calls that were played before are of another rehearsal; people may still be reading them.
            name, n = TRACES, 1
            while (self._where / name).exists():
                n += 1
                name = f"traces-{n}.sqlite3"
            self._asked = self._record.asked = replace(asked, store=name)
            self._record.steps.pop("rehearsal", None)  # its traces are not in this store
            self._record.write()
        return stack.enter_context(run_store(self._where / Path(self._asked.store).name))

    def _wanted_rehearsal(self) -> str:
        return digest({**self._of_rehearsal(), "release": release()})

    def _of_rehearsal(self) -> dict[str, object]:
        asked = self._asked
        return {
            "calls": asked.calls, "minutes": asked.minutes, "seed": asked.seed, "measure": asked.measure, "project": asked.project,
            "script": file_digest(Path(asked.script)) if asked.script else "", "env": asked.env, "policy": self._policy.digest,
            "to": TRACES if asked.local else asked.endpoint,
        }  # fmt: skip

    def _rehearse(self, url: str) -> _Did:
        from audit.rehearsal.conversation import invent_load  # noqa: PLC0415  # loads the agent's libraries
        from audit.rehearsal.rehearsal import Interrupted, rehearse  # noqa: PLC0415
        from audit.rehearsal.script import lengthen, read_script, repeat_calls  # noqa: PLC0415

        asked = self._asked
        if not asked.local:
            _expect_on()
            expect_quiet(self._project(url, Window(datetime.now(UTC) - QUIET, datetime.now(UTC) + timedelta(minutes=1))), asked.project)
        if asked.script:
            planned = repeat_calls(read_script(Path(asked.script)), asked.calls)
            planned = tuple(lengthen(call, asked.minutes) for call in planned)
        else:
            planned = invent_load(asked.calls, asked.seed, asked.minutes)
        try:
            evidence = rehearse(
                planned, at_once=asked.calls, say=self._say, project=asked.project, env=asked.env, policy=self._policy_file, endpoint=url,
                api_key=self._key, measure=asked.measure, deliver_s=asked.deliver_s, keep_account=self._where / ACCOUNT,
                own_switch=asked.local,
            )  # fmt: skip
        except Interrupted as ended:
            write_whole(self._where / REHEARSAL, (json.dumps(ended.evidence.as_json(), indent=2) + "\n").encode())
            if not asked.local:
                self._say(f"go on with --resume --project {own_project(asked.project)}: calls that did not end are in {asked.project}")
            raise
        write_whole(self._where / REHEARSAL, (json.dumps(evidence.as_json(), indent=2) + "\n").encode())
        said = f"{evidence.calls} calls, {evidence.spans.offered} spans" + "".join(f"; {problem}" for problem in evidence.problems)
        return _Did((REHEARSAL, f"{ACCOUNT}/{OUTBOX}"), said)

    def _of_alerts(self) -> dict[str, object]:
        return {"policy": self._policy.digest, "rules": file_digest(Path(self._asked.rules or shipped("alerts.yaml")))}

    def _rehearse_alerts(self) -> _Did:
        from audit.alerts import load_rules  # noqa: PLC0415  # pydantic
        from audit.rehearsal.alerts import evidence_of, rehearse_alerts  # noqa: PLC0415

        rules = load_rules(Path(self._asked.rules or shipped("alerts.yaml")))
        policy = load_policy(self._policy_file, env="dev")
        done = rehearse_alerts(rules, policy, on_rule=lambda one: self._say(f"alert {one.name}"))
        write_whole(self._where / ALERTS, (json.dumps(evidence_of(done), indent=2) + "\n").encode())
        good = sum(one.fired and one.resolved for one in done.alerts)
        said = f"{good} of {len(done.alerts)} rules fired and resolved, {len(done.quiet_messages)} false alarms"
        return _Did((ALERTS,), said, good=done.passed)

    def _evidence(self) -> list[Path]:
        """The files of this run's own steps, then those that were given."""
        own = {REHEARSAL: "rehearsal", ALERTS: "alerts"}
        ran = {step.name for step in self._done}
        return [*(self._where / file for file, name in own.items() if name in ran), *map(Path, self._asked.evidence)]

    def _scan(self, url: str, began: datetime | None) -> Held:
        asked = self._asked
        files, reads_now = self._evidence(), not asked.file and began is None
        inputs: dict[str, object] = {
            "policy": self._policy.digest, "method": self._method().digest,
            "gates": file_digest(Path(asked.gates or shipped("gates.yaml"))),
            "operation": asked.week > GO_LIVE,
            "evidence": [file_digest(path) for path in files], "known": asked.known_answers, "sample": asked.sample,
            "seed": asked.scan_seed, "without": list(asked.without), "project": asked.project, "env": asked.env,
            "from": file_digest(Path(asked.file)) if asked.file else TRACES if asked.local else asked.endpoint,
            "began": began.isoformat() if began else f"{asked.since_s:g} s back", "account": asked.account,
            "vouched": self._vouched(),
        }  # fmt: skip
        made: list[Assessment] = []
        self._step("scan", inputs, lambda: self._judge(url, began, files, made), LASTS if reads_now else None)
        if made:
            return Held(made[0].report, tuple(self._done), made[0].census.interrupted)
        from audit.report import document  # noqa: PLC0415  # pydantic

        return Held(document.read(self._where / SCAN), tuple(self._done), fresh=False)

    def _vouched(self) -> bool:
        """Whether the audit's log here knows the watch that was given: what it does not know today it may know where it was held."""
        if self._given.monitoring is None:
            return False
        from audit import chain  # noqa: PLC0415  # only with a watch
        from audit.keys import audit_dir  # noqa: PLC0415
        from audit.vouching import vouched  # noqa: PLC0415

        return vouched(self._given.monitoring, audit_dir(), chain.anchor_of(os.environ)).vouched

    def _method(self) -> Method:
        from audit.method import describe  # noqa: PLC0415  # loads the networks' libraries

        files = [Path(self._asked.gates or shipped("gates.yaml"))]
        return describe(self._policy, files=files, without=self._asked.without)

    def _project(self, url: str, window: Window) -> Source:
        file = Path(self._asked.file) if self._asked.file else None
        return open_source(project=self._asked.project, window=window, file=file, endpoint=url, api_key=self._key)

    def _judge(self, url: str, began: datetime | None, files: list[Path], made: list[Assessment]) -> _Did:
        from audit.assessment import Beside, assess  # noqa: PLC0415  # loads the detectors' libraries
        from audit.census import Plan  # noqa: PLC0415
        from audit.detectors import open_detectors  # noqa: PLC0415
        from audit.keys import audit_dir, fingerprint_key  # noqa: PLC0415
        from audit.report import render  # noqa: PLC0415

        asked, moment = self._asked, datetime.now(UTC)
        key = fingerprint_key(audit_dir())
        since = moment - timedelta(seconds=asked.since_s) if began is None else began - CALL_MAX
        window = Window(since, moment + timedelta(minutes=1))
        source = self._project(url, window)
        if began is not None and not asked.local:
            played = json.loads((self._where / REHEARSAL).read_bytes())["trace_ids"]
            expect_own(self._project(url, window), played, asked.project)
        given = load_evidence(files)
        account = self._where / ACCOUNT if began is not None else Path(asked.account) if asked.account else None
        plan = Plan(self._policy, asked.project, asked.scan_seed, asked.known_answers, since=window.since, until=window.until, key=key)
        beside = Beside(
            given.rehearsal, given.alerts, account, sample=asked.sample, seed_by="drawn or given before reading",
            custody=_custody(asked.by, key), reproduce=f"phi-audit gonogo --directory {self._where.name} --resume", without=asked.without,
            monitoring=given.monitoring, account_since=began,  # an account begins with its day, which may be later than the window
        )  # fmt: skip
        self._say("the scan proves itself and reads every trace")
        done = assess(
            source, plan, self._gates, lambda: open_detectors(without=asked.without), now=moment, beside=beside,
            describe=self._method,
        )  # fmt: skip
        if self._contain is not None and done.report.verdict.state == "NO_GO":
            self._contain(done.report)
        made.append(done)
        for kept in (keep_scan(self._where), keep_signed(self._where)):
            if kept:
                self._say(f"what was there is kept as {kept}")
        write_whole(self._where / SCAN, render(done.report, "json", done.census.values).encode())
        for fmt in PAGES:
            text = render(done.report, fmt, done.census.values)
            write_whole(self._where / f"report.{fmt}", text.encode() if isinstance(text, str) else text)
        report = done.report
        _log(report, moment, self._say)
        said = f"{report.verdict.state.replace('_', '-')}, {report.results.findings} findings in {report.population.traces} traces"
        return _Did((SCAN,), said, whole=not done.census.interrupted, good=not report.incomplete)


def _expect_on() -> None:
    """A store of our own is nobody's; to any other nothing is sent while the switch is off, and so nothing would be shown."""
    switch = open_switch()
    if not (isinstance(switch, FileSwitch) and not switch.path.exists()) and not switch.state().on:
        raise RecordError(f"the switch {switch.place} is off, so no call would leave a trace; hold the review with --local, or turn it on")


def _custody(by: str, key: bytes) -> Custody:
    from audit import chain  # noqa: PLC0415  # only with a scan
    from audit.custody import Custody  # noqa: PLC0415
    from audit.keys import audit_dir, key_id  # noqa: PLC0415

    mark, anchor = chain.head(audit_dir()), chain.anchor_of(os.environ)
    return Custody(by or f"{getpass.getuser()}@{platform.node()}", key_id(key), mark.n, mark.sha256, anchor.name if anchor else "")


def _log(report: Report, moment: datetime, say: Say) -> None:
    """The audit's log takes the report's digest, as it does of any scan."""
    from audit.containment import write_log  # noqa: PLC0415  # only with a scan

    facts: dict[str, str | int] = {
        "report": report.digest, "id": report.id, "verdict": report.verdict.state, "findings": report.results.findings,
        "traces": report.population.traces, "runs": report.population.runs, "project": report.target.project, "env": report.target.env,
    }  # fmt: skip
    logged, why = write_log("report", facts, moment)
    if not logged:
        say(f"{why}; the report stands, but nothing outside it holds its digest")
