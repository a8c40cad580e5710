"""Faults on demand, so that a test can see what a sender does when LangSmith fails."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import msgspec

from tracing.local.trace_store.records import Json
from tracing.local.trace_store.refusal import Refusal


@dataclass(slots=True)
class Faults:
    """What to do to the next requests; a test changes it while the server runs, or posts the same names to ``/_control``.

    Args:
        status: answer with this status instead of taking the request; None leaves the answer alone.
        remaining: how many matching requests are still to be hit; -1 is every one until this is changed.
        retry_after: value of the ``Retry-After`` header of that answer.
        delay_s: seconds to wait before anything else is done.
        reset: break the connection without an answer.
        late: take the request in first, then fail: the sender does not know that it arrived.
        match: hit only requests whose path holds this; empty hits all, ``/info`` too.
        hits: how many requests have been hit so far.
        delete_after_s: seconds from a delete request, which is answered at once, until what it names is gone; 0 is at once. Hosted
            LangSmith deletes at the weekend.
    """

    status: int | None = None
    remaining: int = 0
    retry_after: str | None = None
    delay_s: float = 0.0
    reset: bool = False
    late: bool = False
    match: str = ""
    hits: int = 0
    delete_after_s: float = 0.0

    def strike(self, path: str) -> Faults | None:
        """What to do to this request, frozen as it is now, or None; counts the hit."""
        if self.remaining == 0 or self.match not in path:
            return None
        self.remaining -= self.remaining > 0
        self.hits += 1
        return dataclasses.replace(self)

    def change(self, given: Json) -> None:
        """Set what ``given`` names.

        Raises:
            Refusal: 422 for an unknown name or a value of the wrong type; then nothing is changed.
        """
        now = dataclasses.asdict(self)
        if not now.keys() >= given.keys():
            raise Refusal(422, f"only these can be set: {', '.join(now)}")
        try:
            wanted = msgspec.convert(now | given, Faults)
        except msgspec.ValidationError as fault:
            raise Refusal(422, str(fault)) from None
        if wanted.status is not None and not 200 <= wanted.status <= 599:
            raise Refusal(422, "status: must be 200 to 599")
        for name in given:
            setattr(self, name, getattr(wanted, name))
