"""Workers that are processes of this machine. One that ends before its work did is replaced, and its partition begun again."""

from __future__ import annotations

import signal
import threading
from collections import Counter, deque
from contextlib import suppress
from multiprocessing import connection, get_context
from typing import TYPE_CHECKING, Final

from audit.engine import TRIES, Answer, EngineError

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from multiprocessing.context import SpawnProcess

ENDS_S: Final = 5.0
"""Seconds that a worker is given to end by itself once it is not needed."""


class Processes:
    """A crew of processes, each with detectors of its own. They are begun anew, not forked: the networks' threads do not outlive a fork.

    Args:
        slots: how many.
        setup: `audit.engine.wire.Setup`, encoded; it goes through the pipe, not over a command line or into a file.
    """

    def __init__(self, slots: int, setup: bytes) -> None:
        self.slots = slots
        self._setup = setup
        self._context = get_context("spawn")
        self._waiting: deque[tuple[int, bytes]] = deque()
        self._workers: list[_Worker] = []
        self._tries: Counter[int] = Counter()

    def submit(self, n: int, task: bytes) -> None:
        self._waiting.append((n, task))
        self._assign()

    def wait(self) -> list[Answer]:
        self._assign()
        busy = {worker.pipe: worker for worker in self._workers if worker.task is not None}
        if not busy:
            msg = "no process could be begun on this machine; scan with --engine serial"
            raise EngineError(msg)
        answers = []
        for pipe in connection.wait(list(busy)):
            worker = busy[pipe]  # type: ignore[index]  # one of those that were asked
            n, task = worker.task or (0, b"")
            try:
                content = worker.pipe.recv_bytes()
            except (EOFError, OSError):
                self._workers.remove(worker)
                worker.end(0.0)
                self._tries[n] += 1
                if self._tries[n] < TRIES:
                    self._waiting.appendleft((n, task))
                else:
                    answers.append(Answer(n, b"", f"{TRIES} processes that scanned it ended before it was done"))
                continue
            worker.task = None
            answers.append(Answer(n, content))
        self._assign()
        return answers

    def close(self) -> None:
        for worker in self._workers:
            worker.pipe.close()
        for worker in self._workers:
            worker.end(ENDS_S if worker.task is None else 0.0)
        self._workers.clear()

    def _assign(self) -> None:
        for worker in self._workers:
            if self._waiting and worker.task is None:
                worker.give(*self._waiting.popleft())
        while self._waiting and len(self._workers) < self.slots:
            worker = self._begin()
            self._workers.append(worker)
            worker.give(*self._waiting.popleft())

    def _begin(self) -> _Worker:
        pipe, theirs = self._context.Pipe()
        process = self._context.Process(target=serve, args=(theirs,), name="phi-audit scan", daemon=True)
        # Ctrl-C reaches every process of the terminal; only this one is to answer it, and what is ignored now stays so in those it begins
        main = threading.current_thread() is threading.main_thread()
        heeded = signal.signal(signal.SIGINT, signal.SIG_IGN) if main else None
        try:
            process.start()
        finally:
            if main:
                signal.signal(signal.SIGINT, heeded)
            theirs.close()
        worker = _Worker(process, pipe)
        worker.send(self._setup)
        return worker


class _Worker:
    def __init__(self, process: SpawnProcess, pipe: Connection) -> None:
        self.pipe = pipe
        self.task: tuple[int, bytes] | None = None
        self._process = process

    def give(self, n: int, task: bytes) -> None:
        self.task = (n, task)
        self.send(task)

    def send(self, data: bytes) -> None:
        with suppress(OSError):  # it has ended: its pipe tells so when it is waited for
            self.pipe.send_bytes(data)

    def end(self, after_s: float) -> None:
        """Have it ended after so many seconds, whatever it is doing; it writes nothing that could be left half written."""
        self.pipe.close()
        self._process.join(after_s)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._process.close()


def serve(pipe: Connection) -> None:
    """A worker's life: the setup, then partition after partition, until the pipe ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    from audit.engine.work import scan_partition  # noqa: PLC0415  # loads in the worker, not in who begins it

    try:
        setup = pipe.recv_bytes()
        while True:
            pipe.send_bytes(scan_partition(setup, pipe.recv_bytes()))
    except (EOFError, OSError):
        return  # nobody waits for more
