"""What a turn costs: every class of token, images and the caller's transcription; what has no price is unknown and never 0."""

from __future__ import annotations

import subprocess
import sys
from datetime import date
from decimal import Decimal

import pytest

from phi_guard import PolicyError
from phi_guard.policy import shipped
from tracing.cost import Pricing, Rates, TokenUsage, TranscriptionRates, load_pricing
from tracing.record import AgentTurn
from tracing.relay.span import cost_of, payload_of, tokens_of

RATES = Rates(*(Decimal(price) for price in ("4", "0.4", "32", "0.5", "16", "64")))
SEEING = Rates(*(Decimal(price) for price in ("4", "0.4", "32", "0.5", "16", "64", "5", "0.25")))
HEARD = {
    "by-minute": TranscriptionRates(per_minute=Decimal("0.006")),
    "by-token": TranscriptionRates(tokens_in=Decimal("2.5"), tokens_out=Decimal("10")),
}
PRICING = Pricing(date(2026, 1, 1), {"voice": RATES, "seeing": SEEING}, HEARD)


def turn(**facts):
    start = (1_763_215_200_000_000_000, "01890000-0000-7000-8000-000000000001")
    return AgentTurn(call=start[1], id=start[1], at=(start,), **{"outcome": "answered", "deployment": "voice"} | facts)


@pytest.mark.parametrize(
    ("usage", "usd"),
    [
        (TokenUsage(), "0"),
        (TokenUsage(input_text=1_000_000), "4"),
        (TokenUsage(input_audio=1_000_000), "32"),
        (TokenUsage(output_text=1_000_000), "16"),
        (TokenUsage(output_audio=1_000_000), "64"),
        (TokenUsage(input_text=1_000_000, cached_text=1_000_000), "0.4"),
        (TokenUsage(input_audio=1_000_000, cached_audio=1_000_000), "0.5"),
        (TokenUsage(1000, 2000, 400, 500, 100, 300), "0.07161"),
        (TokenUsage(input_text=1, output_audio=1), "0.000068"),
    ],
)
def test_each_class_of_token_has_its_price_and_cached_ones_are_billed_once(usage, usd):
    """Cached tokens are a part of the input and pay the cached price alone; the sum is exact."""
    assert PRICING.price("voice", usage) == Decimal(usd)


def test_an_unknown_deployment_has_no_price():
    """Not 0: a cost nobody knows must not look like none."""
    assert PRICING.price("other", TokenUsage(output_audio=10)) is None


def test_more_cached_than_read_is_never_a_credit():
    """Counts that cannot be do not lower the price below that of the cached tokens."""
    assert PRICING.price("voice", TokenUsage(input_text=0, cached_text=1_000_000)) == Decimal("0.4")


@pytest.mark.parametrize(
    ("usage", "usd"),
    [
        (TokenUsage(input_image=1_000_000), "5"),
        (TokenUsage(input_image=1_000_000, cached_image=1_000_000), "0.25"),
        (TokenUsage(input_image=1000, cached_image=400, input_text=1000), "0.0071"),
        (TokenUsage(input_image=0, cached_image=1_000_000), "0.25"),
    ],
)
def test_images_have_their_own_price(usage, usd):
    """Cached ones are a part of those read, like any other token."""
    assert PRICING.price("seeing", usage) == Decimal(usd)


@pytest.mark.parametrize("usage", [TokenUsage(input_image=1), TokenUsage(cached_image=1), TokenUsage(input_text=9, input_image=2)])
def test_an_image_without_a_price_makes_the_cost_unknown(usage):
    """An older list has no price for images: leaving them out would look cheap."""
    assert PRICING.price("voice", usage) is None


@pytest.mark.parametrize(
    ("model", "used", "usd"),
    [
        ("by-minute", {"seconds": 60.0}, "0.006"),
        ("by-minute", {"seconds": 0.5}, "0.00005"),
        ("by-token", {"tokens_in": 1_000_000}, "2.5"),
        ("by-token", {"tokens_in": 100, "tokens_out": 20}, "0.00045"),
        ("by-minute", {}, "0"),
        ("by-minute", {"tokens_in": 1}, None),
        ("by-token", {"seconds": 0.1}, None),
        ("another", {"seconds": 1.0}, None),
        ("", {"tokens_out": 1}, None),
        ("by-minute", {"seconds": float("nan")}, None),
        ("by-minute", {"seconds": float("inf")}, None),
        ("by-minute", {"seconds": -1.0}, None),
    ],
)
def test_transcription_is_billed_by_its_own_models_unit(model, used, usd):
    """Unknown where the model, or the price for the unit it was billed by, is not on the list."""
    assert PRICING.price_transcription(model, **used) == (None if usd is None else Decimal(usd))


@pytest.mark.parametrize(
    ("facts", "usd"),
    [
        ({}, "0"),
        ({"deployment": "unheard-of"}, "0"),
        ({"deployment": "unheard-of", "input_text": 1}, None),
        ({"deployment": "unheard-of", "cached_audio": 1}, None),
        ({"outcome": "cancelled", "output_audio": 1_000_000}, "64"),
        ({"input_text": 1_000_000, "transcription_model": "by-minute", "transcription_s": 60.0}, "4.006"),
        ({"transcription_model": "by-token", "transcription_input": 100, "transcription_output": 20}, "0.00045"),
        ({"input_text": 1, "transcription_model": "unheard-of", "transcription_s": 1.0}, None),
        ({"input_text": 1, "transcription_s": 1.0}, None),
        ({"input_text": 1_000_000, "transcription_model": "unheard-of"}, "4"),
        ({"deployment": "seeing", "input_image": 1_000_000, "cached_image": 500_000}, "2.625"),
        ({"input_image": 1}, None),
    ],
)
def test_a_turn_costs_all_it_used_or_nobody_knows_what(facts, usd):
    """Cancelled answers count; a turn that used nothing costs nothing; one unknown part makes the sum unknown."""
    assert cost_of(turn(**facts), PRICING) == (None if usd is None else Decimal(usd))


def test_without_a_price_list_only_nothing_has_a_known_cost():
    """0 for a turn that used nothing, unknown for any other."""
    assert cost_of(turn(), None) == 0
    assert cost_of(turn(output_text=1), None) is None
    assert cost_of(turn(transcription_s=1.0), None) is None


def test_tokens_of_every_class_are_in_the_spans_sums():
    """Images are read, and cached ones counted, like text and sound; what another model transcribed stands apart."""
    said = turn(
        deployment="seeing", input_text=1, input_audio=2, input_image=4, cached_text=1, cached_audio=1, cached_image=3, output_audio=5,
        transcription_model="by-token", transcription_input=7, transcription_output=8,
    )  # fmt: skip
    assert tokens_of(said) == (7, 5)
    metadata = payload_of(said, project="p", env="dev", facts={}).data["extra"]["metadata"]
    told = {key: metadata[key] for key in metadata if "tokens" in key or "transcription" in key}
    assert told == {
        "input_tokens": 7, "output_tokens": 5, "input_text_tokens": 1, "input_audio_tokens": 2, "input_image_tokens": 4,
        "cached_tokens": 5, "output_text_tokens": 0, "output_audio_tokens": 5, "transcription_model": "by-token",
        "transcription_input_tokens": 7, "transcription_output_tokens": 8,
    }  # fmt: skip


def test_the_shipped_list_has_the_realtime_deployments():
    """Four deployments, every price above zero, cached never dearer, output never cheaper than input; exact as written."""
    pricing = load_pricing(shipped("pricing.yaml"))
    assert pricing.rates.keys() == {"gpt-realtime", "gpt-realtime-mini", "gpt-4o-realtime-preview", "gpt-4o-mini-realtime-preview"}
    for rates in pricing.rates.values():
        assert 0 < rates.text_cached_in < rates.text_in < rates.text_out
        assert 0 < rates.audio_cached_in < rates.audio_in < rates.audio_out
    assert pricing.rates["gpt-realtime"].text_cached_in == Decimal("0.4")
    assert 0 < pricing.rates["gpt-realtime"].image_cached_in < pricing.rates["gpt-realtime"].image_in
    assert pricing.transcription["whisper-1"] == TranscriptionRates(per_minute=Decimal("0.006"))
    assert pricing.transcription.keys() == {"whisper-1", "gpt-4o-transcribe", "gpt-4o-mini-transcribe"}
    assert pricing.as_of >= date(2026, 1, 1)


def test_a_list_from_before_images_and_transcription_still_loads(tmp_path):
    """Its text and sound have their prices; the rest is unknown."""
    file = tmp_path / "pricing.yaml"
    row = "{text_in: 4, text_cached_in: 0.4, audio_in: 32, audio_cached_in: 0.4, text_out: 16, audio_out: 64}"
    file.write_text(f"version: 1\nas_of: 2026-01-01\nusd_per_million_tokens:\n  voice: {row}\n", "utf-8")
    pricing = load_pricing(file)
    assert cost_of(turn(input_text=1_000_000), pricing) == 4
    assert cost_of(turn(input_image=1), pricing) is None
    assert cost_of(turn(transcription_model="whisper-1", transcription_s=1.0), pricing) is None


def test_every_fault_of_a_price_list_is_listed_with_its_line(tmp_path):
    """A wrong version, day, price, key, a missing price and a deployment given twice: one fault each, on its line."""
    file = tmp_path / "pricing.yaml"
    file.write_text(
        """\
version: 2
as_of: 2026-13-01
usd_per_million_tokens:
  a: {text_in: -1, text_cached_in: 1, audio_in: 1, audio_cached_in: 1, text_out: 1, audio_out: "1"}
  b: {text_in: 1, text_cached: 1, audio_in: 1, audio_cached_in: 1, text_out: true, audio_out: 1}
  c: 5
  a: {}
transcription:
  whisper-1: {per_minute: -1}
  by-token: {tokens_in: 1}
  nothing: {}
  wrong: {per_second: 1}
  number: 5
""",
        "utf-8",
    )
    with pytest.raises(PolicyError) as refused:
        load_pricing(file)
    found = [fault.removeprefix(f"{file}:").split(": ")[:2] for fault in refused.value.faults]
    root = "usd_per_million_tokens"
    assert found == [
        ["1", "version"],
        ["2", "as_of"],
        ["4", f"{root}.a.text_in"],
        ["4", f"{root}.a.audio_out"],
        ["5", f"{root}.b.text_cached_in"],
        ["5", f"{root}.b.text_out"],
        ["5", f"{root}.b.text_cached"],
        ["6", f"{root}.c"],
        ["7", f"{root}.a"],
        ["9", "transcription.whisper-1.per_minute"],
        ["10", "transcription.by-token"],
        ["11", "transcription.nothing"],
        ["12", "transcription.wrong.per_second"],
        ["13", "transcription.number"],
    ]


@pytest.mark.parametrize("text", ["", "[]", "5", "version: 1", "version: 1\nas_of: 2026-01-01\nusd_per_million_tokens: {}"])
def test_a_file_that_is_no_price_list_is_refused(tmp_path, text):
    """Nothing at all is no price list either."""
    file = tmp_path / "pricing.yaml"
    file.write_text(text, "utf-8")
    with pytest.raises(PolicyError):
        load_pricing(file)


def test_importing_the_prices_loads_neither_yaml_nor_pydantic():
    """The agent's process may hold a price list's types without the file's border."""
    code = "import sys, tracing.cost; print(sorted({'yaml', 'pydantic'} & set(sys.modules)))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
