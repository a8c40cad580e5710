"""People's part: a sample of the traces walked through by reviewers, and what their decisions come to."""

from __future__ import annotations

from audit.review.outcome import Reviewer, ReviewOutcome, join, kappa
from audit.review.record import Review, ReviewError

__all__ = ["Review", "ReviewError", "ReviewOutcome", "Reviewer", "join", "kappa"]
