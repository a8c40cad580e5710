"""Sampling: which calls are sent, decided for the whole call when it ends, so that a trace is there or is not, and never in part.

A call with something to remark is always sent. Of the rest a share is, chosen by a digest of the trace's id: every relay, and the same one
after a restart, chooses alike. Until a call is decided its operations wait in the outbox, cleared; what is remarked first sends them at
once. What comes of a call that was not drawn, from its end on, is counted and not cleared.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass, field
from typing import Final

from tracing.record import AgentTurn, AnyRecord, CallClosed, CallEnded, Consent, GuardrailClosed, ToolCall
from tracing.relay.draws import HELD, OUT, SENT
from tracing.relay.ledger import read_ledger
from tracing.relay.outbox import Outbox
from tracing.settings import Sampling

__all__ = ["ABSENT_S", "Sampler", "Sampling", "is_drawn", "is_remarkable"]

ABSENT_S: Final = 20.0
"""How long a call's end may wait for records of it that are still under way; then something of the call is lost, and it is sent."""
WAITING_MAX: Final = 10_000
"""Ends that wait at once; of any more, the call is sent."""
_BROKEN: Final = frozenset({"failed", "silent", "reconnected"})
"""Outcomes of a turn in which the model failed, gave no sound, or its connection was lost."""
_LOST: Final = frozenset({"error", "agent_lost"})
_AGREED: Final = frozenset({"granted", "not_asked"})


def is_drawn(env: str, call: str, rate: float) -> bool:
    """Whether a call is in the share that is sent: by its trace id alone, so that all who ask are told the same.

    What a lower rate draws, a higher one draws too.

    Args:
        env: ``dev`` or ``prod``, which draw apart.
        call: trace id.
        rate: the share.
    """
    digest = hashlib.blake2b(call.encode(), digest_size=8, key=env.encode(), person=b"phi-guard draw").digest()
    return int.from_bytes(digest) < rate * 2**64


def is_remarkable(record: AnyRecord, keep_slow_ms: float) -> bool:
    """Whether a record alone is a reason to send its call: an error, a tool that failed, a slow turn, a refusal, something lost.

    Args:
        record: as it came from the recorder.
        keep_slow_ms: a TTFT-A above it is slow.
    """
    match record:
        case ToolCall():
            return record.status != "ok" or bool(record.error_type or record.error_message)
        case AgentTurn():
            slow = record.ttft_ms is not None and not record.ttft_ms <= keep_slow_ms
            return slow or bool(record.error_message) or record.outcome in _BROKEN
        case CallEnded():
            return record.errors > 0 or record.dropped > 0 or record.reconnects > 0 or record.reason in _LOST
        case CallClosed():
            return bool(record.error_message) or record.reason in _LOST
        case Consent() | GuardrailClosed():
            return record.consent not in _AGREED
        case _:
            return False


@dataclass(slots=True)
class Sampler:
    """Decides for one relay, in the transaction in which a record is stored.

    Args:
        outbox: holds what waits and remembers what was decided.
        sampling: the share and its rules.
        env: ``dev`` or ``prod``.
        here: the sender under which the relay counts operations it made itself.
    """

    outbox: Outbox
    sampling: Sampling
    env: str
    here: str
    _ends: dict[str, float] = field(default_factory=dict)

    def admit(self, record: AnyRecord, *, more_to_come: bool) -> bool | None:
        """Whether a record is to be stored.

        Args:
            record: not stored yet.
            more_to_come: whether an earlier batch of its recorder may yet come.

        Returns:
            False where its call was not drawn; None where it is the call's end, and records of the call are still under way: then it must
            come again.
        """
        state = self.outbox.draw_of(record.call) or self._begin(record.call)
        if state == HELD and is_remarkable(record, self.sampling.keep_slow_ms):
            self.outbox.keep(record.call)
            return True
        if state == HELD and isinstance(record, CallClosed):
            return self._decide(record, more_to_come=more_to_come)
        return state != OUT

    def _begin(self, call: str) -> str:
        """A call's first record: it is held where calls are drawn at all, and nothing of it was sent before they were."""
        if self.sampling.rate >= 1:
            return SENT
        enough = self.outbox.calls_begun() >= self.sampling.from_calls_per_day
        state = HELD if enough and not read_ledger(self.outbox, self.here, call).offered else SENT
        self.outbox.begin_draw(call, state)
        return state

    def _decide(self, end: CallClosed, *, more_to_come: bool) -> bool | None:
        """The end of a call of which nothing is to be remarked so far."""
        call = end.call
        arrived = read_ledger(self.outbox, self.here, call).offered
        if arrived + 1 < end.offered and more_to_come and self._may_wait(call):
            return None
        self._ends.pop(call, None)
        if arrived + 1 != end.offered or self.outbox.consent(call) not in _AGREED or self.outbox.is_quarantined(call):
            self.outbox.keep(call)
            return True
        if is_drawn(self.env, call, self.sampling.rate):
            self.outbox.draw(call, self.sampling.rate)
            return True
        self.outbox.let_go(call)
        return False

    def _may_wait(self, call: str) -> bool:
        now = time.monotonic()
        if now - self._ends.setdefault(call, now) <= ABSENT_S and len(self._ends) <= WAITING_MAX:
            return True
        if len(self._ends) > WAITING_MAX:
            del self._ends[next(iter(self._ends))]
        return False
