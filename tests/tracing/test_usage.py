"""Token counts out of raw events: every class, added up, whatever shape they come in; and no word of what was said."""

from __future__ import annotations

import pytest

from tracing.usage import TOKENS_MAX, add_transcription, add_usage

NOTHING = dict.fromkeys(
    ("input_text", "input_audio", "input_image", "cached_text", "cached_audio", "cached_image", "output_text", "output_audio"), 0
)
WHOLE = {
    "total_tokens": 100,
    "input_tokens": 60,
    "output_tokens": 40,
    "input_token_details": {
        "text_tokens": 30,
        "audio_tokens": 20,
        "image_tokens": 10,
        "cached_tokens": 25,
        "cached_tokens_details": {"text_tokens": 16, "audio_tokens": 8, "image_tokens": 1},
    },
    "output_token_details": {"text_tokens": 5, "audio_tokens": 35},
}


def summed(*usages):
    tokens = {}
    for usage in usages:
        add_usage(tokens, usage)
    return tokens


def test_every_class_is_counted_and_added_up():
    """Text, sound and images, read, cached and written."""
    once = {
        "input_text": 30, "input_audio": 20, "input_image": 10, "cached_text": 16, "cached_audio": 8, "cached_image": 1,
        "output_text": 5, "output_audio": 35,
    }  # fmt: skip
    assert summed(WHOLE) == once
    assert summed(WHOLE, WHOLE) == {key: 2 * count for key, count in once.items()}


@pytest.mark.parametrize(
    ("usage", "counted"),
    [
        ({"input_tokens": 7, "output_tokens": 3}, {"input_text": 7, "output_text": 3}),
        ({"input_token_details": {"text_tokens": 9, "cached_tokens": 4}}, {"input_text": 9, "cached_text": 4}),
        (
            {"input_token_details": {"text_tokens": 9, "audio_tokens": 50, "cached_tokens": 40}},
            {"input_text": 9, "input_audio": 50, "cached_text": 9, "cached_audio": 31},
        ),
        (
            {"input_token_details": {"text_tokens": 9, "cached_tokens_details": {"text_tokens": 10, "audio_tokens": 5, "image_tokens": 1}}},
            {"input_text": 9, "cached_text": 9},
        ),
        ({"input_token_details": {"cached_tokens": 40}, "input_tokens": 40}, {}),
    ],
)
def test_cached_tokens_are_never_more_than_was_read(usage, counted):
    """Without details all is text; cached ones without a class are text as far as there is text."""
    assert summed(usage) == NOTHING | counted


@pytest.mark.parametrize(
    "odd", [True, False, -1, TOKENS_MAX + 1, 10**30, 1.5, float("nan"), "7", None, [], {}, b"7"], ids=lambda odd: type(odd).__name__
)
def test_a_count_that_cannot_be_is_nothing(odd):
    """Wherever it stands; the other counts stay."""
    keys = ("text_tokens", "audio_tokens", "image_tokens")
    details = dict.fromkeys(keys, odd)
    usage = {"input_token_details": details | {"cached_tokens_details": details}, "output_token_details": details}
    assert summed(usage) == NOTHING
    assert summed({"input_tokens": odd, "output_tokens": 5}) == NOTHING | {"output_text": 5}
    assert (
        summed({"input_tokens": 5, "output_tokens": odd, "output_token_details": odd if isinstance(odd, str) else None})["input_text"] == 5
    )


@pytest.mark.parametrize("odd", [None, 5, "usage", [], [("input_tokens", 5)], object(), float("inf")], ids=lambda odd: type(odd).__name__)
def test_what_is_no_usage_adds_nothing(odd):
    """Not even keys."""
    assert summed(odd) == {}
    tokens = {}
    add_transcription(tokens, {"usage": odd})
    assert tokens == {}


class Guard(dict):
    """An event that is read for its usage and for nothing else."""

    def get(self, key, default=None):
        assert key == "usage"
        return super().get(key, default)

    def __getitem__(self, key):
        assert key == "usage"
        return super().__getitem__(key)


def heard(*usages):
    tokens = {}
    for usage in usages:
        add_transcription(tokens, Guard(usage=usage, transcript="Zqxjk", type="conversation.item.input_audio_transcription.completed"))
    return tokens


def test_transcription_is_counted_by_the_unit_it_is_billed_by():
    """Tokens or seconds, added up; the transcript is not read."""
    details = {"audio_tokens": 14, "text_tokens": 1}
    by_token = {"type": "tokens", "total_tokens": 20, "input_tokens": 15, "output_tokens": 5, "input_token_details": details}
    assert heard(by_token, by_token) == {"transcription_input": 30, "transcription_output": 10}
    assert heard({"type": "duration", "seconds": 1.5}, {"type": "duration", "seconds": 2}) == {"transcription_s": 3.5}
    assert isinstance(heard({"type": "duration", "seconds": 2})["transcription_s"], float)


@pytest.mark.parametrize("odd", [True, -1, 86_401, 10**400, float("nan"), float("inf"), "7", None, [], {}], ids=lambda odd: repr(odd)[:9])
def test_a_length_or_count_that_cannot_be_is_nothing(odd):
    """Nor does a kind of billing that is not known count."""
    assert heard({"type": "duration", "seconds": odd}) == {}
    assert heard({"type": odd, "seconds": 1.0, "input_tokens": 3}) == {}
    big = odd if odd != 86_401 else TOKENS_MAX + 1
    assert heard({"type": "tokens", "input_tokens": big, "output_tokens": big}) == {}
