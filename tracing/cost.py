"""What a turn costs, in exact decimals: tokens by the Azure OpenAI deployment that answered, transcription by its own model."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Final

_MILLION: Final = Decimal(1_000_000)
_MINUTE: Final = Decimal(60)


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
        input_image: image tokens read, cached ones included.
        cached_image: how many of ``input_image`` came from the cache.
    """

    input_text: int = 0
    input_audio: int = 0
    cached_text: int = 0
    cached_audio: int = 0
    output_text: int = 0
    output_audio: int = 0
    input_image: int = 0
    cached_image: int = 0


@dataclass(frozen=True, slots=True)
class Rates:
    """Prices of one deployment, in USD for 1,000,000 tokens; those of images are None where the list has none."""

    text_in: Decimal
    text_cached_in: Decimal
    audio_in: Decimal
    audio_cached_in: Decimal
    text_out: Decimal
    audio_out: Decimal
    image_in: Decimal | None = None
    image_cached_in: Decimal | None = None


@dataclass(frozen=True, slots=True)
class TranscriptionRates:
    """Prices of one model that transcribes the caller: USD for a minute of audio, or for 1,000,000 tokens read and written, or both."""

    per_minute: Decimal | None = None
    tokens_in: Decimal | None = None
    tokens_out: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Pricing:
    """A price list.

    Args:
        as_of: the day its prices were entered or last checked.
        rates: by deployment name.
        transcription: by name of the transcription model.
    """

    as_of: date
    rates: Mapping[str, Rates]
    transcription: Mapping[str, TranscriptionRates] = field(default_factory=dict)

    def price(self, deployment: str, usage: TokenUsage) -> Decimal | None:
        """What tokens cost in USD, exactly; None where the list has no price for one of them, which is not the same as 0.

        Cached tokens are a part of the input tokens and billed at the cached price alone. Never raises: more cached tokens than
        input tokens, which cannot be, are billed as cached.
        """
        rates = self.rates.get(deployment)
        if rates is None:
            return None
        full = _times(max(usage.input_image - usage.cached_image, 0), rates.image_in)
        cached = _times(usage.cached_image, rates.image_cached_in)
        if full is None or cached is None:
            return None
        millionths = (
            full
            + cached
            + max(usage.input_text - usage.cached_text, 0) * rates.text_in
            + usage.cached_text * rates.text_cached_in
            + max(usage.input_audio - usage.cached_audio, 0) * rates.audio_in
            + usage.cached_audio * rates.audio_cached_in
            + usage.output_text * rates.text_out
            + usage.output_audio * rates.audio_out
        )
        return millionths / _MILLION

    def price_transcription(self, model: str, *, seconds: float = 0.0, tokens_in: int = 0, tokens_out: int = 0) -> Decimal | None:
        """What it cost to transcribe the caller, in USD; None where the list has no price for what was used.

        Args:
            model: name of the transcription model.
            seconds: audio billed by its length.
            tokens_in: tokens read, where the model is billed by tokens.
            tokens_out: tokens written, likewise.
        """
        rates = self.transcription.get(model)
        if rates is None or not 0 <= seconds < math.inf:
            return None
        minutes = _times(Decimal(str(seconds)), rates.per_minute)
        read, written = _times(tokens_in, rates.tokens_in), _times(tokens_out, rates.tokens_out)
        if minutes is None or read is None or written is None:
            return None
        return minutes / _MINUTE + (read + written) / _MILLION


def _times(amount: int | Decimal, price: Decimal | None) -> Decimal | None:
    """Nothing costs nothing, whatever its price; what has an amount and no price has an unknown cost."""
    if not amount:
        return Decimal(0)
    return None if price is None else amount * price


def load_pricing(path: str | os.PathLike[str]) -> Pricing:
    """Load a price list.

    Args:
        path: a YAML file such as ``policies/pricing.yaml``.

    Raises:
        PolicyError: with every fault of the file, each ``file:line: path: what, and what to write instead``.
    """
    from tracing.pricing_file import load  # noqa: PLC0415  # YAML and pydantic load only with a file, not with the agent

    return load(path)
