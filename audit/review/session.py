"""One sitting: the next thing to decide, the decision written down before the next is shown, undo, and the end.

After each decision the review's file is written anew and whole, so that a sitting may end at any time and go on later.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from audit.review import document
from audit.review.content import Line
from audit.review.queue import Item, shown
from audit.review.record import COMMENTS, ENTITIES, SAID, Decision, Planted, Review, ReviewError, Said, same_place


class Session:
    """A review being made.

    Args:
        items: what there is to decide, in order.
        traces: their traces, packed, by id.
        review: what is known of it so far; its decisions are gone on from.
        path: the review's file.
        clock: tells the time.

    Raises:
        ReviewError: the review has ended, or is not of these items.
    """

    def __init__(
        self, items: tuple[Item, ...], traces: Mapping[str, bytes], review: Review, path: Path, clock: Callable[[], datetime]
    ) -> None:
        tokens = {item.token for item in items}
        if review.ended:
            msg = f"{path}: this review has ended; name another file with -o"
            raise ReviewError(msg)
        if review.items != len(items) or any(decision.item not in tokens for decision in review.decisions):
            msg = f"{path}: was begun with other traces or another key; go on where it was begun, or name another file with -o"
            raise ReviewError(msg)
        self._items = items
        self._traces = traces
        self._review = review
        self._path = path
        self._clock = clock

    @property
    def done(self) -> int:
        """Decisions made."""
        return len(self._review.decisions)

    @property
    def total(self) -> int:
        """Decisions there are to make."""
        return len(self._items)

    @property
    def review(self) -> Review:
        """As it stands."""
        return self._review

    def current(self) -> Item | None:
        """The next thing to decide, or None at the end."""
        decided = {decision.item for decision in self._review.decisions}
        return next((item for item in self._items if item.token not in decided), None)

    def lines(self, item: Item) -> tuple[Line, ...]:
        """What is on the screen for it."""
        return shown(item, self._traces[item.trace_id])

    def decide(self, token: str, said: str, *, entity: str = "", place: str = "", comment: str = "") -> None:
        """Write a decision down.

        Raises:
            ReviewError: it is not the one whose turn it is (so nothing is decided twice), or says something that is on no list.
        """
        item = self.current()
        if item is None or item.token != token:
            msg = "this one is decided already; look at the one that is shown now, or take the last decision back"
            raise ReviewError(msg)
        if said not in SAID or comment not in COMMENTS:
            msg = "a decision is clear, leak or unsure, and a comment comes from the list"
            raise ReviewError(msg)
        if said == "leak" and (entity not in ENTITIES or all(line.place != place for line in self.lines(item))):
            msg = "a leak needs its class and the line it stands on"
            raise ReviewError(msg)
        at = self._clock().isoformat(timespec="seconds")
        kept: Said = SAID[SAID.index(said)]
        decision = Decision(token, kept, entity if said == "leak" else "", place if said == "leak" else "", comment, at)
        self._keep(replace(self._review, decisions=(*self._review.decisions, decision)))

    def undo(self) -> bool:
        """Take the last decision back; it is counted. False where there is none."""
        if not self._review.decisions:
            return False
        self._keep(replace(self._review, decisions=self._review.decisions[:-1], undone=self._review.undone + 1))
        return True

    def close(self) -> Review:
        """End the review: which were planted is told, and nothing can be changed any more. What is left undecided stays so."""
        by_token = {item.token: item for item in self._items}
        decisions: list[Decision] = []
        planted: list[Planted] = []
        for made in self._review.decisions:
            item = by_token[made.item]
            if item.kind:
                found = made.said == "leak" and same_place(made.place, item.place)
                planted.append(Planted(item.token, item.kind, item.place, made.said, found))
            else:
                decisions.append(replace(made, item=item.trace_id))
        ended = self._clock().isoformat(timespec="seconds")
        self._keep(replace(self._review, decisions=tuple(decisions), planted=tuple(planted), ended=ended))
        return self._review

    def _keep(self, review: Review) -> None:
        self._review = document.write(review, self._path)
