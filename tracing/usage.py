"""Token counts out of the model's raw events, summed by class. Reads numbers only; whatever shape comes, it counts what it knows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

TOKENS_MAX: Final = 10_000_000
"""More tokens than this in one response cannot be (a realtime model's context holds 128,000): such a number counts as 0."""
SECONDS_MAX: Final = 86_400.0
"""One utterance is no longer than a day."""


def add_usage(tokens: dict[str, int | float], usage: object) -> None:
    """Add a response's usage, as ``response.done`` carries it, to the sums.

    Without details all counts as text. Cached tokens are a part of the input, never more of it: what exceeds its class is not counted,
    and cached tokens that are not told by class are text as far as there is text, then audio.

    Args:
        tokens: the sums by class: ``input_text``, ``input_audio``, ``input_image``, ``cached_text``, ``cached_audio``, ``cached_image``,
            ``output_text``, ``output_audio``.
        usage: the response's ``usage``; what is no mapping adds nothing.
    """
    if not isinstance(usage, Mapping):
        return
    given, made = usage.get("input_token_details"), usage.get("output_token_details")
    detailed = isinstance(given, Mapping)
    text = _count(given, "text_tokens") if detailed else _count(usage, "input_tokens")
    audio, image = _count(given, "audio_tokens"), _count(given, "image_tokens")
    cached = given.get("cached_tokens_details") if isinstance(given, Mapping) else None
    if isinstance(cached, Mapping):
        of_text, of_audio, of_image = (_count(cached, key) for key in ("text_tokens", "audio_tokens", "image_tokens"))
    else:
        of_text = _count(given, "cached_tokens")
        of_audio, of_image = max(of_text - text, 0), 0
    amounts = {
        "input_text": text,
        "input_audio": audio,
        "input_image": image,
        "cached_text": min(of_text, text),
        "cached_audio": min(of_audio, audio),
        "cached_image": min(of_image, image),
        "output_text": _count(made, "text_tokens") if isinstance(made, Mapping) else _count(usage, "output_tokens"),
        "output_audio": _count(made, "audio_tokens"),
    }
    for key, amount in amounts.items():
        tokens[key] = tokens.get(key, 0) + amount


def add_transcription(tokens: dict[str, int | float], event: Mapping[str, object]) -> None:
    """Add what the transcription of the caller's audio used: another model's work, billed apart.

    Args:
        tokens: the sums: ``transcription_input`` and ``transcription_output`` in tokens, ``transcription_s`` in seconds, whichever
            the model is billed by; a key is there only once something was added to it.
        event: a raw ``conversation.item.input_audio_transcription.completed``. Only its ``usage`` is read.
    """
    usage = event.get("usage")
    if not isinstance(usage, Mapping):
        return
    kind = usage.get("type")
    if kind == "duration":
        seconds = usage.get("seconds")
        if isinstance(seconds, int | float) and not isinstance(seconds, bool) and 0 < seconds <= SECONDS_MAX:
            tokens["transcription_s"] = tokens.get("transcription_s", 0.0) + float(seconds)
    elif kind == "tokens":
        for key, name in (("transcription_input", "input_tokens"), ("transcription_output", "output_tokens")):
            amount = _count(usage, name)
            if amount:
                tokens[key] = tokens.get(key, 0) + amount


def _count(of: object, key: str) -> int:
    value = of.get(key) if isinstance(of, Mapping) else None
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= TOKENS_MAX else 0
