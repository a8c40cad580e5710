"""Numbers under which nobody is kept: of the state, the hospital, the insurer, the bank, the road, the maker of a device.

45 CFR 164.514(b)(2)(i)(G) to (M) and (R). Check digits are right wherever a real number has some, so that a detector which asks for
them finds these too.
"""

from __future__ import annotations

from random import Random
from typing import Final

from audit.people.contacts import digits
from audit.people.value import Value

_CAPITALS: Final = "ABCDEFGHJKLMNPRSTUVWXYZ"
_VIN_LETTERS: Final = dict(zip(_CAPITALS, (1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 7, 9, 2, 3, 4, 5, 6, 7, 8, 9), strict=True))
_VIN_VALUES: Final = {**{c: int(c) for c in "0123456789"}, **_VIN_LETTERS}
_VIN_WEIGHTS: Final = (8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2)
_MRN: Final = {
    "en": ("MRN {}", "medical record number {}", "chart number {}", "patient ID {}"),
    "fr": ("dossier médical {}", "numéro de dossier {}", "numéro de patient {}"),
    "de": ("Patientennummer {}", "Fallnummer {}", "Aktennummer {}"),
}
_PLAN: Final = {
    "en": ("member ID {}", "policy number {}", "insurance number {}"),
    "fr": ("numéro d'assuré {}", "numéro de police {}"),
    "de": ("Versichertennummer {}", "Versicherungsnummer {}"),
}
_ACCOUNT: Final = {"en": ("account number {}", "acct {}"), "fr": ("numéro de compte {}", "compte {}"), "de": ("Kontonummer {}", "Konto {}")}
_LICENCE: Final = {
    "en": ("driver's license {}", "license number {}", "certificate number {}"),
    "fr": ("permis de conduire {}", "numéro de permis {}"),
    "de": ("Führerschein {}", "Führerscheinnummer {}"),
}
_PLATE: Final = {
    "en": ("license plate {}", "plate {}"),
    "fr": ("plaque {}", "immatriculation {}"),
    "de": ("Kennzeichen {}", "Autokennzeichen {}"),
}
_DEVICE: Final = {
    "en": ("serial number {}", "pacemaker serial {}", "device {}", "IMEI {}"),
    "fr": ("numéro de série {}",),
    "de": ("Seriennummer {}", "Gerätenummer {}"),
}
_PASSPORT: Final = {"en": "passport {}", "fr": "passeport {}", "de": "Reisepass {}"}


def ssn(random: Random, language: str) -> Value:
    """A US social security number of a form that is given out: no area 000, 666 or 9xx, no group 00, no serial 0000."""
    area = random.choice([n for n in range(1, 900) if n != 666])
    text = f"{area:03}-{random.randint(1, 99):02}-{random.randint(1, 9999):04}"
    bare = random.random() < 0.25
    return Value(text.replace("-", random.choice(("", " "))) if bare else text, "SSN {}" if bare else "{}", language)


def mrn(random: Random, language: str) -> Value:
    """A medical record number."""
    text = random.choice(
        (digits(random, 8), digits(random, 6), f"{digits(random, 3)}-{digits(random, 4)}", f"{_capitals(random, 2)}{digits(random, 6)}")
    )
    return Value(text, random.choice(_MRN[language]), language)


def health_plan(random: Random, language: str) -> Value:
    """The number of somebody insured; in English every second one of the form of Medicare's (CMS, MBI: no S, L, O, I, B, Z)."""
    if language == "en" and random.random() < 0.5:
        letter = "ACDEFGHJKMNPQRTUVWXY"
        kinds = "CAXNAXNAANN"
        pools = {"C": "123456789", "N": "0123456789", "A": letter, "X": "0123456789" + letter}
        raw = "".join(random.choice(pools[kind]) for kind in kinds)
        return Value(f"{raw[:4]}-{raw[4:7]}-{raw[7:]}", "Medicare number {}", language)
    text = f"{_capitals(random, 1)}{digits(random, 9)}" if language == "de" else f"{_capitals(random, 3)}{digits(random, 9)}"
    return Value(text, random.choice(_PLAN[language]), language)


def account(random: Random, language: str) -> Value:
    """A bank account: an IBAN with its check digits (ISO 13616), or a number that is said to be one."""
    if random.random() < 0.5:
        country, length = {"en": ("GB", 14), "fr": ("FR", 23), "de": ("DE", 18)}[language]
        body = _capitals(random, 4) + digits(random, length) if country == "GB" else digits(random, length)
        told = "".join(str(int(c, 36)) for c in f"{body}{country}00")
        text = f"{country}{98 - int(told) % 97:02}{body}"
        return Value(" ".join(text[i : i + 4] for i in range(0, len(text), 4)), "{}", language)
    return Value(digits(random, random.randint(8, 12)), random.choice(_ACCOUNT[language]), language)


def licence(random: Random, language: str) -> Value:
    """The number of a licence or a certificate."""
    text = random.choice((f"{_capitals(random, 1)}{digits(random, 7)}", f"{_capitals(random, 2)}-{digits(random, 6)}", digits(random, 9)))
    return Value(text, random.choice(_LICENCE[language]), language)


def vehicle(random: Random, language: str) -> Value:
    """A VIN with its check digit (49 CFR 565), or a number plate."""
    if random.random() < 0.5:
        raw = [random.choice(_CAPITALS + "0123456789") for _ in range(17)]
        rest = sum(_VIN_VALUES[c] * w for c, w in zip(raw, _VIN_WEIGHTS, strict=True)) % 11
        raw[8] = "X" if rest == 10 else str(rest)
        return Value("".join(raw), "VIN {}" if random.random() < 0.5 else "{}", language)
    text = {
        "en": f"{random.randint(1, 9)}{_capitals(random, 3)}{digits(random, 3)}",
        "fr": random.choice((f"{_capitals(random, 2)}-{digits(random, 3)}-{_capitals(random, 2)}", f"VD {digits(random, 6)}")),
        "de": random.choice((f"ZH {digits(random, 6)}", f"M-{_capitals(random, 2)} {digits(random, 4)}")),
    }[language]
    return Value(text, random.choice(_PLATE[language]), language)


def device(random: Random, language: str) -> Value:
    """The serial number of a device, or the number of a telephone (IMEI, 15 digits with a Luhn digit)."""
    cue = random.choice(_DEVICE[language])
    if cue.startswith("IMEI"):
        body = "35" + digits(random, 12)
        doubled = sum(sum(divmod(int(c) * (2 if i % 2 else 1), 10)) for i, c in enumerate(body))
        return Value(f"{body}{-doubled % 10}", cue, language)
    text = random.choice(
        (
            f"SN-{_capitals(random, 2)}{digits(random, 6)}",
            f"{_capitals(random, 3)}{digits(random, 7)}",
            f"PM{digits(random, 3)}-{digits(random, 5)}",
        )
    )
    return Value(text, cue, language)


def ahv(random: Random, language: str) -> Value:
    """A Swiss AHV number: 756, nine digits, EAN-13 check digit."""
    body = "756" + digits(random, 9)
    check = -sum(int(c) * (3 if i % 2 else 1) for i, c in enumerate(body)) % 10
    return Value(f"{body[:3]}.{body[3:7]}.{body[7:11]}.{body[11]}{check}", "{}", language)


def other(random: Random, language: str) -> Value:
    """Another number of the state's: NHS (modulus 11) and passport in English, NIR (key of 97) in French, passport in German."""
    if language == "en" and random.random() < 0.6:
        while True:
            body = random.choice("4679") + digits(random, 8)
            check = 11 - sum(int(c) * (10 - i) for i, c in enumerate(body)) % 11
            if check != 10:
                break
        return Value(f"{body[:3]} {body[3:6]} {body[6:]}{check % 11}", "NHS number {}", language)
    if language == "fr" and random.random() < 0.6:
        body = f"{random.choice('12')}{random.randint(25, 99):02}{random.randint(1, 12):02}{random.randint(1, 95):02}{digits(random, 6)}"
        key = f"{97 - int(body) % 97:02}"
        return Value(f"{body[0]} {body[1:3]} {body[3:5]} {body[5:7]} {body[7:10]} {body[10:]} {key}", "{}", language)
    return Value(f"{_capitals(random, 1)}{digits(random, 8)}", _PASSPORT[language], language)


def _capitals(random: Random, n: int) -> str:
    return "".join(random.choice(_CAPITALS) for _ in range(n))
