"""Check digits: the right one passes, every wrong one fails, no text raises."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phi_guard.detect import checksums

VALID = {
    checksums.ean13: "756.9217.0769.85",
    checksums.nhs: "999 000 1235",
    checksums.nir: "1 58 03 75 123 456 06",
    checksums.iban: "CH9300762011623852957",
    checksums.luhn: "4111 1111 1111 1111",
    checksums.npi: "1234567893",
    checksums.vin: "1HGCM82633A004352",
    checksums.gtin: "00844588003288",
    checksums.aba: "021000021",
    checksums.kvnr: "A123456780",
}


@pytest.mark.parametrize("check", VALID, ids=lambda check: check.__name__)
def test_one_wrong_digit_fails(check):
    """The valid number passes; changing any single digit of it breaks it."""
    valid = VALID[check]
    assert check(valid)
    for place, char in enumerate(valid):
        if char.isdigit():
            others = [valid[:place] + digit + valid[place + 1 :] for digit in "0123456789" if digit != char]
            assert not any(check(other) for other in others), place


def test_dea_numbers_add_up():
    """Odd places count once and even ones twice; the sum of the numbers ends in the seventh digit."""
    assert checksums.dea("AB1234563")
    assert [digit for digit in "0123456789" if checksums.dea(f"AB123456{digit}")] == ["3"]


def test_corsica_counts_as_its_own_department():
    """2A stands for 19 in the key."""
    assert checksums.nir("1 58 03 2A 123 456 63")
    assert not checksums.nir("1 58 03 2B 123 456 63")


def test_words_after_an_iban_do_not_spoil_it():
    """Only the front has to be one."""
    assert checksums.iban("AT61 1904 3002 3457 3201 from mine")


@given(st.text(max_size=60))
def test_no_text_makes_a_check_raise(text):
    """Any text gets an answer."""
    for check in (*VALID, checksums.ipv6):
        assert check(text) in {True, False}
