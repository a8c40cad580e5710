"""The price list's border: YAML becomes a frozen `Pricing`, or one PolicyError that lists every fault with its line."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import date
from decimal import Decimal

from pydantic import Field

from phi_guard.policy.border import Strict, take
from phi_guard.policy.lines import quote, read
from tracing.cost import Pricing, Rates, TranscriptionRates

_PRICE = "a price in USD for 1,000,000 tokens, from 0 to 10000"


class RatesRow(Strict):
    """One deployment's prices."""

    text_in: float = Field(ge=0, le=10_000, description=_PRICE)
    text_cached_in: float = Field(ge=0, le=10_000, description=_PRICE)
    audio_in: float = Field(ge=0, le=10_000, description=_PRICE)
    audio_cached_in: float = Field(ge=0, le=10_000, description=_PRICE)
    text_out: float = Field(ge=0, le=10_000, description=_PRICE)
    audio_out: float = Field(ge=0, le=10_000, description=_PRICE)
    image_in: float | None = Field(default=None, ge=0, le=10_000, description=_PRICE)
    image_cached_in: float | None = Field(default=None, ge=0, le=10_000, description=_PRICE)


class TranscriptionRow(Strict):
    """One transcription model's prices; the billing's own unit decides which are there."""

    per_minute: float | None = Field(default=None, ge=0, le=100, description="a price in USD for a minute of audio, from 0 to 100")
    tokens_in: float | None = Field(default=None, ge=0, le=10_000, description=_PRICE)
    tokens_out: float | None = Field(default=None, ge=0, le=10_000, description=_PRICE)


class PricingFile(Strict):
    """The whole file; each deployment is read apart, so that a fault in one does not hide those in the next."""

    version: int = Field(ge=1, le=1, description="1")
    as_of: str = Field(description="the day the prices were last checked, such as 2026-11-22")
    usd_per_million_tokens: dict[str, object] = Field(min_length=1, description="a mapping of deployment names to their prices")
    transcription: dict[str, object] = Field(default={}, description="a mapping of transcription models to their prices, or leave it out")


def load(path: str | os.PathLike[str]) -> Pricing:
    """Read and check a price list.

    Raises:
        PolicyError: with every fault, in the order of the file's lines.
    """
    sheet = read(path)
    take(PricingFile, sheet.value, (), sheet)
    file: Mapping[str, object] = sheet.value if isinstance(sheet.value, dict) else {}
    as_of = date.min
    given = file.get("as_of")
    if isinstance(given, str):
        try:
            as_of = date.fromisoformat(given)
        except ValueError:
            sheet.fault(("as_of",), f"{quote(given)} is no day; write it as 2026-11-22")
    deployments = file.get("usd_per_million_tokens")
    rates: dict[str, Rates] = {}
    for name, prices in deployments.items() if isinstance(deployments, dict) else ():
        row = take(RatesRow, prices, ("usd_per_million_tokens", name), sheet)
        if row is not None:
            rates[name] = Rates(**_exact(row))
    models = file.get("transcription")
    transcription: dict[str, TranscriptionRates] = {}
    for name, prices in models.items() if isinstance(models, dict) else ():
        given_row = take(TranscriptionRow, prices, ("transcription", name), sheet)
        if given_row is not None:
            transcription[name] = found = TranscriptionRates(**_exact(given_row))
            if found.per_minute is None and (found.tokens_in is None or found.tokens_out is None):
                sheet.fault(("transcription", name), "holds no price to bill by; write per_minute, or both tokens_in and tokens_out")
    sheet.check()
    return Pricing(as_of, rates, transcription)


def _exact(row: Strict) -> dict[str, Decimal]:
    """The prices a row holds. str() first: the file says 0.4, and the float nearest to it is another number."""
    return {price: Decimal(str(value)) for price, value in row if value is not None}
