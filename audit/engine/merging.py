"""What the workers tell, checked and merged: in the order of the export, each partition once, so that the outcome is that of one process.

An account must be of the rows that stand in the file, each of them and no other, by the ids that this process reads there itself; and it
must show that the worker finds what was planted for it (`audit.engine.plants`). Else the scan ends, and is unproven.

No worker sends a value of a trace. The report's check that it holds none needs the values that were found; so the runs in which a worker
met a new one are scanned once more in this process, where the values then are, and what is found must be what the worker told.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from itertools import islice
from typing import TYPE_CHECKING, Final

import msgspec

from audit.census import shown
from audit.engine import Engine, EngineError, in_order, wire
from audit.engine.plants import Planted, Plants
from audit.engine.work import pieces_of, place_of
from audit.scan import VALUES_MAX
from audit.tables import id_bytes

if TYPE_CHECKING:
    from audit.census import Plan
    from audit.engine.partition import Partition
    from audit.engine.wire import Account
    from audit.findings import Finding
    from audit.population import Counting
    from audit.scan import Scanner
    from audit.timeline import Watching
    from audit.workspace import Workspace

_DISTRUST: Final = "do not trust it, scan with --engine serial"


class Merging:
    """One scan's merging.

    Args:
        engine: whose workers scan.
        plan: what to do.
        workspace: takes the findings.
        counting: takes what is counted.
        watching: takes what is measured.
        scanner: of this process, bound to the same policy and detectors.
    """

    def __init__(self, engine: Engine, plan: Plan, workspace: Workspace, counting: Counting, watching: Watching, scanner: Scanner) -> None:
        self._engine = engine
        self._plan = plan
        self._workspace = workspace
        self._counting = counting
        self._watching = watching
        self._scanner = scanner
        self._line: deque[Partition] = deque()
        self._lost: list[str] = []
        self._broken: Exception | None = None
        self._seen: set[bytes] = set()
        self._plants = Plants(plan.policy, plan.seed)
        self._handful: list[list[Finding]] = []

    def accounts(self, partitions: Iterator[Partition]) -> Generator[tuple[Partition, Account | None]]:
        """Each partition in order with its account; None where this process must look itself: it was done before, or has a fault.

        A partition that no worker outlived is passed over, and told at the end: what the others gave is not lost with it.

        Raises:
            EngineError: a worker refused, or gave an account that cannot be, or a partition was lost.
            SourceError: a file cannot be read, once what lies before it was given.
        """
        crew = self._engine.open(wire.encode(self._setup()))
        with closing(in_order(crew, self._tasks(partitions))) as answers:
            for answer in answers:
                yield from self._done()
                partition = self._line.popleft()
                partition.begin()
                if answer.lost:
                    self._lost.append(f"{_where(partition)}: {answer.lost}")
                    continue
                account = self._account(partition, answer.content)
                if not account.fault:
                    self._check(partition, account)
                yield partition, None if account.fault else account
                if account.fault:  # this process read it without one
                    msg = f"{_where(partition)}: a worker could not scan it ({account.fault}), though this machine could; "
                    raise EngineError(msg + "let it read the same files")
        yield from self._done()
        if self._broken is not None:
            raise self._broken
        if self._lost:
            more = f", and {len(self._lost) - 1} more" if len(self._lost) > 1 else ""
            msg = f"{self._lost[0]}{more}; give the workers more memory, or scan with --engine serial"
            raise EngineError(msg)

    @staticmethod
    def _account(partition: Partition, content: bytes) -> Account:
        try:
            account = wire.account_of(content)
        except msgspec.DecodeError:
            msg = f"{_where(partition)}: a worker answered with what is no account; install the same version there"
            raise EngineError(msg) from None
        if account.refused:
            msg = f"{_where(partition)}: a worker refused to scan it: {account.refused}"
            raise EngineError(msg)
        return account

    def _check(self, partition: Partition, account: Account) -> None:
        """Hold an account against the file and against what was planted. Raises `EngineError` where it falls short."""
        n = len(account.rows)
        if n != partition.rows or len(account.measures) != n:
            msg = f"{_where(partition)}: a worker gave an account of {n} rows, measures of {len(account.measures)}, and the file holds "
            raise EngineError(msg + f"{partition.rows} there; {_DISTRUST}")
        if not all(0 <= place < n for place, _ in account.findings):
            msg = f"{_where(partition)}: a worker told of findings in rows that are not there; {_DISTRUST}"
            raise EngineError(msg)
        for number, (row, value) in enumerate(zip(account.rows, partition.ids(), strict=True), partition.first + 1):
            if row[0] != id_bytes(value) and row[0] != id_bytes(shown({"id": value}, self._plan.key)["id"]):
                msg = f"{_where(partition)}: what a worker gave for row {number} is of another run than stands there; {_DISTRUST}"
                raise EngineError(msg)
        self._check_plants(partition, account.planted)

    def _check_plants(self, partition: Partition, told: list[list[Finding]]) -> None:
        handful, fresh = self._plants.handful, self._plants.fresh(partition)
        if len(told) != len(handful) + len(fresh):
            msg = f"{_where(partition)}: a worker told of {len(told)} plants out of {len(handful) + len(fresh)}; {_DISTRUST}"
            raise EngineError(msg)
        if not self._handful:
            self._handful = self._find(handful)
        missed = [plant for plant, own, theirs in zip(handful, self._handful, told, strict=False) if own != theirs]
        for plant, theirs in zip(fresh, told[len(handful) :], strict=True):
            # Where the worker found it nothing need be sought here; where this process misses it too, that is the known answers' to tell.
            if not plant.shown_by(theirs) and plant.shown_by(self._find([plant])[0]):
                missed.append(plant)
        if missed:
            msg = f"{_where(partition)}: a worker found other than this machine in a planted {missed[0].kind}, {missed[0].style}, and in "
            raise EngineError(msg + f"{len(missed) - 1} of {len(told)} more; {_DISTRUST}")

    def _find(self, plants: Sequence[Planted]) -> list[list[Finding]]:
        """What this process finds in plants; their values do not stay: no report is made of them."""
        before = set(self._scanner.values)
        found = [list(each) for each in self._scanner.scan_many([plant.run for plant in plants])]
        self._scanner.values.intersection_update(before)
        return found

    def take(self, partition: Partition, account: Account) -> None:
        """Count, measure and keep what a partition gave; from then on it is done."""
        found = dict(account.findings)
        self._learn(partition, account, found)
        fresh = [self._counting.take(row) for row in account.rows]
        self._watching.take(measured for measured, is_new in zip(account.measures, fresh, strict=True) if is_new)
        for place, findings in account.findings:
            self._workspace.add(partition.name, findings, again=not fresh[place])
        self._workspace.finish(partition.name, len(account.rows))

    def _setup(self) -> wire.Setup:
        plan, engine = self._plan, self._engine
        return wire.Setup(
            place_of(plan.policy), plan.policy.env, plan.policy.digest, plan.project, plan.key, engine.without,
            pieces_of(plan.policy, engine.without), str(engine.roster.absolute()) if engine.roster else "", engine.roster_key,
        )  # fmt: skip

    def _tasks(self, partitions: Iterator[Partition]) -> Iterator[bytes]:
        """What is not done yet; a fault of the source ends it, and is told when all before it is merged."""
        try:
            for part in partitions:
                self._line.append(part)
                if self._workspace.done(part.name) is None:
                    plants = tuple(plant.run for plant in (*self._plants.handful, *self._plants.fresh(part)))
                    yield wire.encode(wire.Task(str(part.path), part.sha256, part.group, part.first, part.rows, plants))
        except Exception as fault:  # noqa: BLE001  # raised on in its turn
            self._broken = fault

    def _done(self) -> Iterator[tuple[Partition, None]]:
        """Those next in line that were done before this scan went on."""
        while self._line and self._workspace.done(self._line[0].name) is not None:
            partition = self._line.popleft()
            partition.begin()
            yield partition, None

    def _learn(self, partition: Partition, account: Account, found: dict[int, list[Finding]]) -> None:
        """Scan the runs of pages with new values once more, so that the values are known here."""
        values = self._scanner.values
        pages = [(first, last) for first, last, digests in account.values if not self._seen.issuperset(digests)]
        if not pages or len(values) >= VALUES_MAX:
            return
        self._seen.update(digest for _, _, digests in account.values for digest in digests)
        wanted = iter(sorted(place for place in found if any(first <= place < last for first, last in pages)))
        at = 0
        runs = partition.runs()
        for place in wanted:
            run = next(islice(runs, place - at, None))
            at = place + 1
            if list(self._scanner.scan(run)) != found[place]:
                msg = f"{_where(partition)}: a worker found other than this machine in the same run; {_DISTRUST}"
                raise EngineError(msg)
            if len(values) >= VALUES_MAX:
                break


def _where(partition: Partition) -> str:
    last = partition.first + partition.rows
    return f"{partition.path.name}, rows {partition.first + 1} to {last} of row group {partition.group + 1}"
