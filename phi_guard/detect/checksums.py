"""Check digits of the identifiers that carry them. Each takes text as written and ignores what is not a letter or digit."""

from __future__ import annotations

import ipaddress


def digits_of(text: str) -> str:
    """The decimal digits of the text, as ASCII, in order; digits of any script count."""
    return "".join(str(int(char)) for char in text if char.isdecimal())


def ean13(text: str) -> bool:
    """Thirteen digits whose last is the EAN-13 check digit, as in a Swiss AHV/AVS number (SR 831.101, Art. 133)."""
    digits = digits_of(text)
    if len(digits) != 13:
        return False
    return sum(int(d) * (3 if i % 2 else 1) for i, d in enumerate(digits)) % 10 == 0


def nhs(text: str) -> bool:
    """Ten digits whose last is the modulus-11 check digit of an NHS number (NHS Data Dictionary)."""
    digits = digits_of(text)
    if len(digits) != 10:
        return False
    check = 11 - sum(int(d) * (10 - i) for i, d in enumerate(digits[:9])) % 11
    return check != 10 and check % 11 == int(digits[9])


def nir(text: str) -> bool:
    """A French NIR: with its two-digit key, 97 minus the number modulo 97 must equal it (INSEE); without the key, the form is enough.

    Corsica's 2A and 2B count as 19 and 18.
    """
    compact = "".join(char for char in text.upper() if char.isalnum())
    number = digits_of(compact.replace("2A", "19").replace("2B", "18"))
    if len(number) == 13:
        return True
    return len(number) == 15 and 97 - int(number[:13]) % 97 == int(number[13:])


def iban(text: str) -> bool:
    """An IBAN (ISO 13616, ISO 7064 MOD 97-10) stands at the front of the text; words after it are allowed."""
    compact = ""
    for group in text.upper().split():
        compact += "".join(char for char in group if char.isascii() and char.isalnum())
        if 15 <= len(compact) <= 34:
            moved = compact[4:] + compact[:4]
            if int("".join(str(int(char, 36)) for char in moved)) % 97 == 1:
                return True
    return False


def ipv6(text: str) -> bool:
    """An IPv6 address that says more than ``::``."""
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return any(char.isalnum() for char in text)


def luhn(text: str) -> bool:
    """At least eight digits whose last is the Luhn check digit (ISO/IEC 7812-1), as in card numbers, IMEI and a Canadian SIN."""
    digits = digits_of(text)
    if len(digits) < 8 or not any(char != "0" for char in digits):
        return False
    doubled = (int(char) * (2 if place % 2 else 1) for place, char in enumerate(reversed(digits)))
    return sum(number // 10 + number % 10 for number in doubled) % 10 == 0


def npi(text: str) -> bool:
    """A US National Provider Identifier: ten digits, Luhn over them behind 80840 (45 CFR 162.406)."""
    digits = digits_of(text)
    return len(digits) == 10 and digits[0] in "12" and luhn("80840" + digits)


def dea(text: str) -> bool:
    """A DEA registration number: two letters and seven digits, d1+d3+d5 + 2(d2+d4+d6) ending in d7 (21 CFR 1301)."""
    digits = digits_of(text)
    if len(digits) != 7:
        return False
    numbers = [int(char) for char in digits]
    return (sum(numbers[0:6:2]) + 2 * sum(numbers[1:6:2])) % 10 == numbers[6]


def vin(text: str) -> bool:
    """A vehicle identification number with the check digit in ninth place (49 CFR 565.15)."""
    compact = "".join(char for char in text.upper() if char.isascii() and char.isalnum())
    if len(compact) != 17 or not set("IOQ").isdisjoint(compact):
        return False
    values = (int(char) if char.isdigit() else _VIN_VALUES[char] for char in compact)
    rest = sum(value * weight for value, weight in zip(values, _VIN_WEIGHTS, strict=True)) % 11
    return compact[8] == ("X" if rest == 10 else str(rest))


def gtin(text: str) -> bool:
    """Fourteen digits whose last is the GS1 check digit, as in the device part of a UDI (21 CFR 830)."""
    digits = digits_of(text)[:14]
    if len(digits) != 14:
        return False
    return sum(int(char) * (1 if place % 2 else 3) for place, char in enumerate(digits)) % 10 == 0


def aba(text: str) -> bool:
    """A US bank routing number: nine digits, weighted 3-7-1, a multiple of ten (ABA routing number policy)."""
    digits = digits_of(text)
    if len(digits) != 9 or digits == "000000000":
        return False
    return sum(int(char) * weight for char, weight in zip(digits, (3, 7, 1) * 3, strict=True)) % 10 == 0


def kvnr(text: str) -> bool:
    """The unchanging part of a German health insurance number: a letter, eight digits and a check digit (SGB V, section 290)."""
    compact = "".join(char for char in text.upper() if char.isascii() and char.isalnum())
    if len(compact) != 10 or not compact[0].isalpha() or not compact[1:].isdigit():
        return False
    front = f"{ord(compact[0]) - ord('A') + 1:02d}{compact[1:9]}"
    doubled = (int(char) * (2 if place % 2 else 1) for place, char in enumerate(front))
    return sum(number // 10 + number % 10 for number in doubled) % 10 == int(compact[9])


_VIN_VALUES = dict(zip("ABCDEFGHJKLMNPRSTUVWXYZ", (1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 7, 9, 2, 3, 4, 5, 6, 7, 8, 9), strict=True))
_VIN_WEIGHTS = (8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2)
