"""What lint tries shapes and lists with: identifying values of nobody, sentences, and words that give a field or a name away."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


SAMPLES: Final[Mapping[str, tuple[str, ...]]] = {
    "a telephone number": ("+41 79 555 01 23", "+41795550123", "0795550123", "079 555 01 23", "(202) 555-0143", "202-555-0143", "555-0143"),
    "an e-mail address": ("ada.byron@example.org", "ada@example.org"),
    "a person's name": ("Ada Byron", "ada byron", "ADA BYRON", "Byron, Ada", "Ada", "Byron", "BYRON", "ada", "O'Neil", "Jean-Luc"),
    "a social security number": ("078-05-1120", "078051120", "756.1234.5678.97", "7561234567897"),
    "a record number": ("MRN-00123456", "MRN00123456", "MRN 00123456", "00123456", "PAT-123456", "P1234567"),
    "an address": ("12 Rue des Marronniers", "350 Fifth Avenue", "1003 Lausanne"),
    "a run of digits": ("123456", "1234567", "123456789", "4111111111111111"),
    "a date of birth": ("1975-12-10", "10.12.1975", "12/10/1975"),
}
"""Identifying values of nobody, by what they are. A kept pattern must fit none of them."""
SENTENCES: Final = ("knee pain since Monday", "She asked to be called back in the evening", "Patient reports a cough, worse at night")
"""What callers say. A kept pattern that fits one keeps free text."""

IDENTIFY: Final = _words("""
name firstname lastname surname phone telephone mobile fax email mail dob birth birthday birthdate ssn mrn ahv avs nhs insurance member
address street zip zipcode postcode passport license licence plate account iban ip photo face fingerprint signature
""")
"""Words of a field's name that say it identifies a person, after 45 CFR 164.514(b)(2)(i)."""
SAID: Final = _words("reason note notes symptom symptoms complaint complaints comment comments message history summary")
"""Words of a field's name that say a patient's own words are in it."""
AGE_MAX: Final = 89
"""Ages over it go into one category, 90 or older: 45 CFR 164.514(b)(2)(i)(C)."""
GIVEN: Final = _words("""
ada alice amara ana andrea anna anne antonio bernard carlos carmen catherine charles chiara claire david elena elisabeth emily emma
fatima francois giulia hans helen isabelle james jane jean john jose joseph julia karl laura leila linda luca lucas lucia marc
marco margaret maria marie mark mary mehmet michael mohamed monica nadia nicolas olivia oliver paul peter pierre priya robert rosa
sandra sara sarah sofia sophie stefan susan thomas ursula walter william yasmin youssef
""")
"""Given names, in lower case. A few of the most common: a name that is not here is not seen."""
PLACEHOLDERS: Final[Mapping[str, str | int | bool]] = {
    "name": "Ada Byron", "age": 42,
    "phone": "+41 79 555 01 23", "mobile": "+41 79 555 01 23", "fax": "+41 21 555 01 23",
    "mail": "ada.byron@example.org", "email": "ada.byron@example.org",
    "dob": "1975-12-10", "birth": "1975-12-10", "date": "2027-03-15", "time": "2027-03-15T14:00Z",
    "mrn": "MRN 00123456", "ssn": "078-05-1120", "insurance": "756.1234.5678.97", "member": "756.1234.5678.97",
    "address": "12 Rue des Marronniers, 1003 Lausanne", "number": "A-00123456", "id": "A-00123456",
}  # fmt: skip
"""Made-up values for examples, by a part of a field's name; the first that fits."""
HARBOR: Final[Mapping[str, int]] = {
    "patient_name": 1, "patientname": 1, "caller_name": 1, "first_name": 1, "last_name": 1, "address": 2, "street": 2, "zip": 2,
    "postcode": 2, "dob": 3, "birth": 3, "date": 3, "phone": 4, "mobile": 4, "fax": 5, "mail": 6, "email": 6, "ssn": 7,
    "social_security": 7,
    "mrn": 8, "medical_record": 8, "insurance": 9, "member": 9, "policy_number": 9, "account": 10, "iban": 10, "licen": 11, "passport": 11,
    "plate": 12, "device": 13, "url": 14, "ip_address": 15, "fingerprint": 16, "photo": 17,
}  # fmt: skip
"""Which of the 18 identifiers of 45 CFR 164.514(b)(2)(i) a part of a field's name speaks of; the first that fits."""
