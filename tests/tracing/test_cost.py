"""What a response costs."""

from __future__ import annotations

import subprocess
import sys
from datetime import date
from decimal import Decimal

import pytest

from phi_guard import PolicyError
from phi_guard.policy import shipped
from tracing.cost import Pricing, Rates, TokenUsage, load_pricing

RATES = Rates(*(Decimal(price) for price in ("4", "0.4", "32", "0.5", "16", "64")))
PRICING = Pricing(date(2026, 1, 1), {"voice": RATES})


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


def test_the_shipped_list_has_the_realtime_deployments():
    """Four deployments, every price above zero, cached never dearer, output never cheaper than input; exact as written."""
    pricing = load_pricing(shipped("pricing.yaml"))
    assert pricing.rates.keys() == {"gpt-realtime", "gpt-realtime-mini", "gpt-4o-realtime-preview", "gpt-4o-mini-realtime-preview"}
    for rates in pricing.rates.values():
        assert 0 < rates.text_cached_in < rates.text_in < rates.text_out
        assert 0 < rates.audio_cached_in < rates.audio_in < rates.audio_out
    assert pricing.rates["gpt-realtime"].text_cached_in == Decimal("0.4")
    assert pricing.as_of >= date(2026, 1, 1)


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
