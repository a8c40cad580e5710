"""How the store says no."""

from __future__ import annotations


class Refusal(Exception):
    """A request that cannot be answered; becomes a JSON answer ``{"detail": ...}``.

    Args:
        status: the HTTP status, 400 to 499.
        detail: what is wrong, where, and what to send instead. It never holds a value of the request.
    """

    def __init__(self, status: int, detail: str) -> None:
        self.status = status
        self.detail = detail
        super().__init__(detail)
