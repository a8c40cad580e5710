"""A Dask cluster as the crew. Its scheduler hands the partitions out, and again where a worker was lost; nothing of that is done here.

The tasks carry the key of the fingerprints, and what a worker answers is believed: a cluster is as trusted as this machine. So it is
reached over TLS, or on this machine alone.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Mapping
from contextlib import suppress
from ipaddress import ip_address
from time import monotonic
from typing import Any, Final
from urllib.parse import urlsplit

from distributed import Client, KilledWorker, wait

from audit.engine import Answer, EngineError
from audit.engine.work import scan_partition

CONNECT_S: Final = 10
"""Seconds that the scheduler is waited for."""
LOOK_S: Final = 5
"""Seconds between two looks at whether there are workers left."""
ALONE_S: Final = 90
"""Seconds that a cluster may be without a worker; then nothing more is waited for."""
AGAIN: Final = 1
"""How often a partition that the scheduler gave up is begun anew, alone: it may only have stood in line behind the one that kills."""

_CLIENT: Final[Any] = Client
_WAIT: Final[Any] = wait
"""Dask has no types of its own."""
_INSTALL: Final = "install the same phi-guard-toolkit[dask] there"


class Cluster:
    """The workers of a cluster.

    Args:
        address: of the scheduler, ``tcp://`` or ``tls://``; certificates are those of Dask's own configuration (``distributed.comm.tls``).
        setup: `audit.engine.wire.Setup`, encoded.

    Raises:
        EngineError: it cannot be reached, has no worker, or is neither on this machine nor behind TLS.
    """

    def __init__(self, address: str, setup: bytes) -> None:
        self._address = address
        self._plain = urlsplit(address).scheme != "tls"
        self._refuse_far(address)
        logging.getLogger("distributed").setLevel(logging.ERROR)  # a worker that goes is no news of this command's
        try:
            self._client = _CLIENT(address, timeout=CONNECT_S, set_as_default=False, name="phi-audit")
        except (OSError, ValueError, TypeError, RuntimeError) as fault:
            msg = f"{address}: no Dask scheduler answers ({type(fault).__name__}); begin one, or check Dask's certificates"
            raise EngineError(msg) from None
        self._setup = setup
        self._run = secrets.token_hex(4)
        self._futures: dict[Any, tuple[int, bytes]] = {}
        self._again: dict[int, int] = {}
        self._held: list[tuple[int, bytes]] = []
        self._seen = monotonic()
        try:
            self.slots = len(self._workers())
            if not self.slots:
                msg = f"{address}: the cluster has no worker; begin some with `dask worker {address} --nthreads 1`"
                raise EngineError(msg)
        except EngineError:
            self.close()
            raise

    def submit(self, n: int, task: bytes) -> None:
        key = f"phi-audit-{self._run}-{n}-{self._again.get(n, 0)}"
        future = self._client.submit(scan_partition, self._setup, task, key=key, pure=False, retries=0)
        self._futures[future] = (n, task)

    def wait(self) -> list[Answer]:
        while True:
            if not self._futures and self._held:
                self.submit(*self._held.pop())
            try:
                with self._client.as_current():
                    done = _WAIT(list(self._futures), timeout=LOOK_S, return_when="FIRST_COMPLETED").done
            except TimeoutError:
                self._look()
                continue
            except Exception as fault:  # noqa: BLE001  # what Dask raises here has no common base
                raise self._gone(fault) from None
            answers = [answer for future in done if (answer := self._answer(future)) is not None]
            if answers:
                return answers

    def close(self) -> None:
        with suppress(Exception):  # the scheduler may be gone
            self._client.cancel(list(self._futures), force=True)
        self._futures.clear()
        with suppress(Exception):
            self._client.close(timeout=LOOK_S)

    def _answer(self, future: Any) -> Answer | None:
        n, task = self._futures.pop(future)
        try:
            return Answer(n, future.result(timeout=ALONE_S))
        except KilledWorker:
            if self._again.get(n, 0) >= AGAIN:
                return Answer(n, b"", "the workers that scanned it ended before it was done")
            self._again[n] = self._again.get(n, 0) + 1
            self._held.append((n, task))
            return None
        except ImportError as fault:
            msg = f"{self._address}: a worker cannot begin ({type(fault).__name__}); {_INSTALL}"
            raise EngineError(msg) from None
        except Exception as fault:  # noqa: BLE001  # what Dask raises here has no common base, and may quote what a worker said
            raise self._gone(fault) from None
        finally:
            future.release()

    def _look(self) -> None:
        if self._workers():
            self._seen = monotonic()
        elif monotonic() - self._seen > ALONE_S:
            msg = f"{self._address}: the cluster has had no worker for {ALONE_S} s; begin some, and go on with --resume"
            raise EngineError(msg)

    def _workers(self) -> Mapping[str, Any]:
        """The workers by address. One that is reached in the clear must be on this machine, also if it came late."""
        try:
            workers: Mapping[str, Any] = self._client.scheduler_info(n_workers=-1)["workers"]
        except Exception as fault:  # noqa: BLE001  # as above
            raise self._gone(fault) from None
        for address in workers:
            self._refuse_far(address)
        return workers

    def _refuse_far(self, address: str) -> None:
        if self._plain and not _is_here(urlsplit(address).hostname or ""):
            msg = f"{address}: the audit's key and what it finds would go there in the clear; use TLS, and --engine dask+tls://HOST:PORT"
            raise EngineError(msg)

    def _gone(self, fault: Exception) -> EngineError:
        return EngineError(f"{self._address}: the cluster broke off ({type(fault).__name__}); see its log, and go on with --resume")


def _is_here(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
