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
