"""What tokens cost, in exact decimals, by the name of the Azure OpenAI deployment that answered."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Final

_MILLION: Final = Decimal(1_000_000)


@dataclass(frozen=True, slots=True)
class TokenUsage:
    """The tokens of one response, or of many added up.

    Args:
        input_text: text tokens read, cached ones included.
        input_audio: audio tokens read, cached ones included.
        cached_text: how many of ``input_text`` came from the cache.
        cached_audio: how many of ``input_audio`` came from the cache.
        output_text: text tokens written.
        output_audio: audio tokens spoken; a cancelled response's count too, since they are billed.
    """

    input_text: int = 0
    input_audio: int = 0
    cached_text: int = 0
    cached_audio: int = 0
    output_text: int = 0
    output_audio: int = 0


@dataclass(frozen=True, slots=True)
class Rates:
    """Prices of one deployment, in USD for 1,000,000 tokens."""

    text_in: Decimal
    text_cached_in: Decimal
    audio_in: Decimal
    audio_cached_in: Decimal
    text_out: Decimal
    audio_out: Decimal


@dataclass(frozen=True, slots=True)
class Pricing:
    """A price list.

    Args:
        as_of: the day its prices were entered or last checked.
        rates: by deployment name.
    """

    as_of: date
    rates: Mapping[str, Rates]

    def price(self, deployment: str, usage: TokenUsage) -> Decimal | None:
        """What tokens cost in USD, exactly; None for a deployment the list does not name, which is not the same as 0.

        Cached tokens are a part of the input tokens and billed at the cached price alone. Never raises: more cached tokens than
        input tokens, which cannot be, are billed as cached.
        """
        rates = self.rates.get(deployment)
        if rates is None:
            return None
        millionths = (
            max(usage.input_text - usage.cached_text, 0) * rates.text_in
            + usage.cached_text * rates.text_cached_in
            + max(usage.input_audio - usage.cached_audio, 0) * rates.audio_in
            + usage.cached_audio * rates.audio_cached_in
            + usage.output_text * rates.text_out
            + usage.output_audio * rates.audio_out
        )
        return millionths / _MILLION


def load_pricing(path: str | os.PathLike[str]) -> Pricing:
    """Load a price list.

    Args:
        path: a YAML file such as ``policies/pricing.yaml``.

    Raises:
        PolicyError: with every fault of the file, each ``file:line: path: what, and what to write instead``.
    """
    from tracing.pricing_file import load  # noqa: PLC0415  # YAML and pydantic load only with a file, not with the agent

    return load(path)
