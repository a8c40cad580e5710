"""Synthetic people: each class in each language, check digits as real numbers have them, and how values are said and hidden."""

from __future__ import annotations

import base64
import re
from random import Random
from urllib.parse import unquote

import pytest

from audit import people
from audit.people import disguises, spoken, times
from audit.people.value import Value

MANY = 150


@pytest.mark.parametrize("language", people.LANGUAGES)
@pytest.mark.parametrize("kind", sorted(people.KINDS))
def test_values_are_many_and_can_be_said(kind, language):
    """Values of a class differ; said, they are words in small letters without a digit, in the language they are of."""
    random, made = Random(3), people.KINDS[kind]
    values = [made.make(random, language) for _ in range(MANY)]
    assert len({value.phrase for value in values}) > MANY / 8  # towns and ages are few
    assert {value.language for value in values} == {language}
    assert all(value.text and value.text in value.phrase for value in values)
    if made.say is not None:
        said = [made.say(value, random) for value in values]
        assert not [text for text in said if re.search(r"\d", text) or text != text.lower() or not text.strip()]


def test_every_identifier_of_safe_harbor_is_there():
    """All eighteen of 45 CFR 164.514(b)(2)(i), A to R, and a reason for each style that a class has not."""
    assert "".join(sorted({kind.letter for kind in people.KINDS.values()})) == "ABCDEFGHIJKLMNOPQR"
    for kind in people.KINDS.values():
        assert {"written", "disguised", "structural"} <= set(kind.styles)
        assert all(kind.lacks.values())


def texts(kind, language, pattern):
    random = Random(5)
    return [v.text for v in (people.KINDS[kind].make(random, language) for _ in range(MANY)) if re.fullmatch(pattern, v.text)]


def test_check_digits():
    """AHV (EAN-13), IBAN (modulus 97), NHS (modulus 11), NIR (97), VIN (49 CFR 565) and IMEI (Luhn) pass the check a real one passes."""
    for text in texts("ahv", "de", r".*"):
        digits = [int(c) for c in text if c.isdecimal()]
        assert len(digits) == 13
        assert sum(d * (3 if i % 2 else 1) for i, d in enumerate(digits)) % 10 == 0
    for language in people.LANGUAGES:
        ibans = [text.replace(" ", "") for text in texts("account", language, r"[A-Z]{2}\d\d .*")]
        assert len(ibans) > 20
        assert {int("".join(str(int(c, 36)) for c in iban[4:] + iban[:4])) % 97 for iban in ibans} == {1}
    nhs = [text.replace(" ", "") for text in texts("other_id", "en", r"\d{3} \d{3} \d{4}")]
    assert {sum(int(c) * (10 - i) for i, c in enumerate(text)) % 11 for text in nhs} == {0}
    nir = [text.replace(" ", "") for text in texts("other_id", "fr", r"[12] .*")]
    assert {(int(text[:13]) + int(text[13:])) % 97 for text in nir} == {0}
    vin = texts("vehicle", "en", r"[A-Z0-9]{17}")
    values = dict(zip("ABCDEFGHJKLMNPRSTUVWXYZ", (1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 7, 9, 2, 3, 4, 5, 6, 7, 8, 9), strict=True))
    for text in vin:
        rest = (
            sum((values.get(c) or int(c)) * w for c, w in zip(text, (8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2), strict=True)) % 11
        )
        assert text[8] == ("X" if rest == 10 else str(rest))
    imei = texts("device", "en", r"\d{15}")
    for text in imei:
        assert sum(sum(divmod(int(c) * (2 if i % 2 else 1), 10)) for i, c in enumerate(text)) % 10 == 0
    assert min(map(len, (nhs, nir, vin, imei))) > 10


def test_nobody_can_be_called():
    """American, British and German numbers are of the blocks kept for fiction; addresses and networks are examples."""
    for text in texts("phone", "en", r".*"):
        assert re.search(r"555[- ]01\d\d|020 7946 0\d{3}|07700 900\d{3}", text)
    for text in texts("phone", "de", r"(?!\+41|07[6-9]).*"):
        assert re.search(r"30 ?23125 ?\d{3}|0171 39200\d\d", text)
    assert all(text.rpartition("@")[2] in {"example.com", "example.org", "example.net"} for text in texts("email", "en", r".*"))
    assert all(re.match(r"192\.0\.2\.|198\.51\.100\.|203\.0\.113\.|2001:db8:", text) for text in texts("ip", "en", r".*"))


@pytest.mark.parametrize(
    ("text", "language", "said"),
    [
        ("03/14/1958", "en", "fourteen of march nineteen fifty eight"),
        ("1958-03-14", "fr", "quatorze mars mille neuf cent cinquante-huit"),
        ("14. März 1958", "de", "vierzehnter märz neunzehnhundertachtundfünfzig"),
        ("01.03.2021", "de", "erster märz zweitausendeinundzwanzig"),
        ("1 mars 2021", "fr", "premier mars deux mille vingt et un"),
    ],
)
def test_dates_in_words(text, language, said):
    """A date is the day it was, in words of its language, whichever way it was written."""
    heard = spoken.date(Value(text, "{}", language), Random(2))
    assert heard.replace("the ", "").replace("fourteenth", "fourteen") in {said, "march fourteen nineteen fifty eight"}


def test_numbers_in_words():
    """Zero to 9,999, as the three languages build them."""
    assert [spoken.cardinal(n, "fr") for n in (21, 72, 80, 199)] == ["vingt et un", "septante-deux", "huitante", "cent nonante-neuf"]
    assert [spoken.cardinal(n, "de") for n in (21, 72, 100, 1999)] == [
        "einundzwanzig",
        "zweiundsiebzig",
        "hundert",
        "tausendneunhundertneunundneunzig",
    ]
    assert [spoken.cardinal(n, "en") for n in (21, 100, 2007)] == ["twenty one", "one hundred", "two thousand seven"]


def test_a_dictated_number_is_the_number():
    """English digits, read back word for word, are those that were written."""
    random = Random(9)
    words = {word: str(n) for n, word in enumerate(spoken._ONES["en"][:10])} | {"oh": "0"}
    for _ in range(MANY):
        value = people.KINDS["ssn"].make(random, "en")
        heard, times_ = "", 1
        for word in spoken.number(value, random).split():
            if word == "double":
                times_ = 2
            else:
                heard, times_ = heard + words[word] * times_, 1
        assert heard == "".join(c for c in value.text if c.isdecimal())


def test_disguises_hide_and_can_be_undone():
    """No disguise leaves the text as it was, and what is encoded decodes to it."""
    text, random = "Amara Zimmermann 079 555 01 23", Random(4)
    hidden = {way: disguises.hide(text, random, way) for way in disguises.WAYS}
    assert text not in {h for way, h in hidden.items() if way != "json"}
    assert base64.b64decode(hidden["base64"]).decode() == text
    assert base64.b64decode(base64.b64decode(hidden["base64 twice"])).decode() == text
    assert bytes.fromhex(hidden["hexadecimal"]).decode() == text
    assert unquote(hidden["url"]) == text
    assert hidden["backwards"][::-1] == text
    assert disguises.hide("0795550123", random, "leet") == base64.b64encode(b"0795550123").decode()  # has no letter to bend


def test_ages_are_over_89():
    """45 CFR 164.514(b)(2)(i)(C): ages over 89 identify; younger ones are never planted."""
    ages = [int(re.search(r"\d+", times.age(Random(n), "en").text).group()) for n in range(MANY)]
    assert min(ages) >= 90
