"""A Dask cluster as the crew. Its scheduler hands the partitions out, and again where a worker was lost.

The tasks carry the key of the fingerprints. So the cluster is reached over TLS, or on this machine alone; and each worker, also one that
comes while a scan runs, is looked at before any task may go to it: where it stands, and whether its policy, code, libraries and models
are those of this machine. That question carries no key. Every task names the workers it may go to, and goes to no other.
"""

from __future__ import annotations

import logging
import secrets
from collections import Counter, deque
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address
from time import monotonic, sleep
from typing import Any, Final, TypeAlias
from urllib.parse import urlsplit

from distributed import Client, KilledWorker, wait
from distributed.scheduler import NoValidWorkerError

from audit.engine import TRIES, Answer, EngineError, wire
from audit.engine.work import look, scan_partition

CONNECT_S: Final = 10
"""Seconds that the scheduler is waited for."""
LOOK_S: Final = 5
"""Seconds between two looks at which workers there are."""
PAUSE_S: Final = 0.2
"""Seconds that are let go by where there is nothing to wait for but a worker."""
ALONE_S: Final = 90
"""Seconds that a cluster may be without a worker that may scan, or one may take to answer; then nothing more is waited for."""
AGAIN: Final = 1
"""How often a partition that the scheduler gave up is begun anew, alone: it may only have stood in line behind the one that kills."""

_CLIENT: Final[Any] = Client
_WAIT: Final[Any] = wait
"""Dask has no types of its own."""
_INSTALL: Final = "install the same phi-guard-toolkit[dask] there"

_Worker: TypeAlias = tuple[str, str]
"""Its address, and the directory it made for itself, of a new name each time: another that comes to the same address is another worker."""


@dataclass(frozen=True, slots=True)
class _Given:
    """A partition in hand: its number, its task, and the workers it may go to."""

    n: int
    task: bytes
    to: frozenset[_Worker]


class Cluster:
    """The workers of a cluster.

    Args:
        address: of the scheduler, ``tcp://`` or ``tls://``; certificates are those of Dask's own configuration (``distributed.comm.tls``).
        setup: `audit.engine.wire.Setup`, encoded.

    Raises:
        EngineError: it cannot be reached, has no worker, or one that must not scan; or it is neither on this machine nor behind TLS.
    """

    def __init__(self, address: str, setup: bytes) -> None:
        self._address = address
        self._plain = urlsplit(address).scheme != "tls"
        if why := self._far(address):
            raise EngineError(why)
        logging.getLogger("distributed").setLevel(logging.ERROR)  # a worker that goes is no news of this command's
        try:
            self._client = _CLIENT(address, timeout=CONNECT_S, set_as_default=False, name="phi-audit")
        except (OSError, ValueError, TypeError, RuntimeError) as fault:
            msg = f"{address}: no Dask scheduler answers ({type(fault).__name__}); begin one, or check Dask's certificates"
            raise EngineError(msg) from None
        self._setup = setup
        self._question = wire.encode(wire.without_keys(wire.setup_of(setup)))
        self._run = secrets.token_hex(4)
        self._checked: set[_Worker] = set()
        self._looks: dict[Any, _Worker] = {}
        self._left_out: dict[_Worker, str] = {}
        self._asked: Counter[_Worker] = Counter()
        self._futures: dict[Any, _Given] = {}
        self._waiting: deque[tuple[int, bytes]] = deque()
        self._again: dict[int, int] = {}
        self._held: list[tuple[int, bytes]] = []
        self._ready: list[Answer] = []
        self._seen = self._looked = monotonic()
        try:
            self._open()
        except BaseException:
            self.close()
            raise

    @property
    def slots(self) -> int:
        """Workers that may scan now; 1 where there is none for the moment."""
        return max(1, len(self._checked))

    def submit(self, n: int, task: bytes) -> None:
        self._waiting.append((n, task))
        self._assign()

    def wait(self) -> list[Answer]:
        while True:
            if monotonic() - self._looked >= LOOK_S:
                self._look()
            self._assign()
            for future in self._done():
                if future in self._looks:
                    self._judge(future)
                elif (answer := self._answer(future)) is not None:
                    self._ready.append(answer)
            if self._ready:
                ready, self._ready = self._ready, []
                return ready

    def close(self) -> None:
        with suppress(Exception):  # the scheduler may be gone
            self._client.cancel([*self._futures, *self._looks], force=True)
        self._futures.clear()
        self._looks.clear()
        with suppress(Exception):
            self._client.close(timeout=LOOK_S)

    def _open(self) -> None:
        """Look at every worker that is there, before anything else is sent. One that must not scan is told at once: it can be mended."""
        self._look()
        if not (self._looks or self._left_out):
            msg = f"{self._address}: the cluster has no worker; begin some with `dask worker {self._address} --nthreads 1`"
            raise EngineError(msg)
        until = monotonic() + ALONE_S
        while self._looks and not self._left_out and monotonic() < until:
            for future in self._done():
                self._judge(future)
        if self._left_out:
            raise EngineError(next(iter(self._left_out.values())))
        if not self._checked:
            msg = f"{self._address}: no worker of the cluster answered within {ALONE_S} s; see their logs"
            raise EngineError(msg)

    def _done(self) -> Iterable[Any]:
        """What is done of all that is in hand; nothing where nothing is for a while."""
        if not (self._futures or self._looks):
            sleep(PAUSE_S)
            return ()
        try:
            with self._client.as_current():
                done: Iterable[Any] = _WAIT([*self._futures, *self._looks], timeout=LOOK_S, return_when="FIRST_COMPLETED").done
        except TimeoutError:
            return ()
        except Exception as fault:  # noqa: BLE001  # what Dask raises here has no common base
            raise self._gone(fault) from None
        return done

    def _assign(self) -> None:
        """Give what waits to the workers that may scan; what ended them before goes alone, so that it can end nothing else."""
        while self._checked and self._waiting:
            self._give(*self._waiting.popleft())
        if self._checked and self._held and not self._futures:
            self._give(*self._held.pop())

    def _give(self, n: int, task: bytes) -> None:
        to = frozenset(self._checked)
        key = f"phi-audit-{self._run}-{n}-{self._again.get(n, 0)}"
        self._futures[self._send(scan_partition, self._setup, task, key=key, to=to)] = _Given(n, task, to)

    def _send(self, do: Any, *arguments: bytes, key: str, to: Iterable[_Worker]) -> Any:
        addresses = sorted(address for address, _ in to)
        return self._client.submit(do, *arguments, key=key, pure=False, retries=0, workers=addresses, allow_other_workers=False)

    def _answer(self, future: Any) -> Answer | None:
        given = self._futures.pop(future)
        try:
            return Answer(given.n, future.result(timeout=ALONE_S))
        except (KilledWorker, NoValidWorkerError, TimeoutError):  # the last where it went with the worker that had it
            return self._lost(given)
        except ImportError as fault:
            msg = f"{self._address}: a worker cannot begin ({type(fault).__name__}); {_INSTALL}"
            raise EngineError(msg) from None
        except Exception as fault:  # noqa: BLE001  # what Dask raises here has no common base, and may quote what a worker said
            raise self._gone(fault) from None
        finally:
            future.release()

    def _lost(self, given: _Given) -> Answer | None:
        """Have a partition begun anew, alone, whose workers did not outlive it; it is given up where that was done before."""
        if self._again.get(given.n, 0) >= AGAIN:
            return Answer(given.n, b"", "the workers that scanned it ended before it was done")
        self._again[given.n] = self._again.get(given.n, 0) + 1
        self._held.append((given.n, given.task))
        return None

    def _look(self) -> None:
        """See which workers are there: ask those that are new, forget those that are gone, and take back what only these could do."""
        self._looked = monotonic()
        there = {(address, str(told.get("local_directory", ""))) for address, told in self._workers().items()}
        self._checked &= there
        for future in [future for future, worker in self._looks.items() if worker not in there]:
            del self._looks[future]
            self._drop(future)
        for worker in sorted(there - self._checked - {*self._looks.values()} - self._left_out.keys()):
            self._ask(worker)
        if self._checked:
            self._seen = monotonic()
        elif monotonic() - self._seen > ALONE_S:
            why = next(iter(self._left_out.values()), "")
            more = f"; {len(self._left_out)} came that must not scan, such as {why}" if why else ""
            msg = f"{self._address}: the cluster has had no worker that may scan for {ALONE_S} s{more}; begin some, and go on with --resume"
            raise EngineError(msg)
        for future in [future for future, given in self._futures.items() if not given.to & there and not future.done()]:
            given = self._futures.pop(future)
            self._drop(future)
            if (answer := self._lost(given)) is not None:
                self._ready.append(answer)

    def _ask(self, worker: _Worker) -> None:
        """Have a worker looked at; one that is reached in the clear must be on this machine."""
        address, told = worker
        if why := self._far(address):
            self._left_out[worker] = why
        else:
            key = f"phi-audit-{self._run}-look-{address}-{told}-{self._asked[worker]}"
            self._asked[worker] += 1
            self._looks[self._send(look, self._question, key=key, to=[worker])] = worker

    def _judge(self, future: Any) -> None:
        """Take a worker up that may scan; remember why of one that must not."""
        worker = self._looks.pop(future)
        try:
            why = str(future.result(timeout=ALONE_S))
        except ImportError as fault:
            why = f"it cannot begin ({type(fault).__name__}); {_INSTALL}"
        except Exception as fault:  # noqa: BLE001  # what Dask raises here has no common base, and may quote what a worker said
            if self._asked[worker] < TRIES:
                self._ask(worker)  # it has not answered; a worker that only begins may trip over its imports
                return
            why = f"it gave no answer ({type(fault).__name__}); {_INSTALL}"
        finally:
            future.release()
        if why:
            self._left_out[worker] = f"{worker[0]}: a worker refused to scan: {why}"
        else:
            self._checked.add(worker)
            self._seen = monotonic()

    def _drop(self, future: Any) -> None:
        with suppress(Exception):  # its workers are gone, and the scheduler may be
            future.cancel()
            future.release()

    def _workers(self) -> Mapping[str, Any]:
        """The workers by address."""
        try:
            workers: Mapping[str, Any] = self._client.scheduler_info(n_workers=-1)["workers"]
        except Exception as fault:  # noqa: BLE001  # as above
            raise self._gone(fault) from None
        return workers

    def _far(self, address: str) -> str:
        """Why nothing may go to an address; nothing where it may."""
        if self._plain and not _is_here(urlsplit(address).hostname or ""):
            return f"{address}: the audit's key and what it finds would go there in the clear; use TLS, and --engine dask+tls://HOST:PORT"
        return ""

    def _gone(self, fault: Exception) -> EngineError:
        return EngineError(f"{self._address}: the cluster broke off ({type(fault).__name__}); see its log, and go on with --resume")


def _is_here(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
