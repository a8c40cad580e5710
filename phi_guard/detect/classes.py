"""What class of identifier an entity belongs to: the eighteen of 45 CFR 164.514(b)(2)(i), by number."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

OTHER: Final = 18
"""Any other unique number, characteristic or code."""

LETTERS: Final = "ABCDEFGHIJKLMNOPQR"
"""Paragraph (A) is number 1, (R) is number 18."""

_ENTITIES: Final[Mapping[int, str]] = {
    1: "PERSON",  # names
    2: "LOCATION ADDRESS ZIP_CODE CA_POSTAL_CODE UK_POSTCODE NRP",  # places smaller than a state
    3: "DATE_TIME DATE_OF_BIRTH AGE",  # dates but the year, and ages over 89
    4: "PHONE_NUMBER",  # telephone numbers; a fax number (5) has the same form
    6: "EMAIL_ADDRESS",  # e-mail addresses
    7: "US_SSN US_ITIN",  # social security numbers
    8: "MRN",  # medical record numbers
    9: "HEALTH_PLAN US_MBI US_HEALTH_INSURANCE_MEMBER_ID DE_HEALTH_INSURANCE DE_KVNR AU_MEDICARE",  # health plan beneficiary numbers
    10: "ACCOUNT CREDIT_CARD IBAN_CODE US_BANK_NUMBER ABA_ROUTING_NUMBER CRYPTO US_CLAIM_NUMBER",  # account numbers
    11: "LICENSE MEDICAL_LICENSE US_DRIVER_LICENSE UK_DRIVING_LICENCE US_NPI US_DEA",  # certificate and licence numbers
    12: "VEHICLE VIN",  # vehicles and plates
    13: "DEVICE UDI IMEI",  # devices
    14: "URL",  # web addresses
    15: "IP_ADDRESS MAC_ADDRESS",  # IP addresses
    16: "BIOMETRIC",  # biometric identifiers
}

_NUMBERS: Final[Mapping[str, int]] = {entity: number for number, entities in _ENTITIES.items() for entity in entities.split()}


def safe_harbor(entity: str) -> int:
    """The number of the identifier an entity counts as; 18, any other unique number, characteristic or code, where it is none of the rest.

    Args:
        entity: as in `Detection.entity`.
    """
    return _NUMBERS.get(entity, OTHER)


def citation(number: int) -> str:
    """The paragraph of the rule that names an identifier, such as ``45 CFR 164.514(b)(2)(i)(A)``.

    Args:
        number: 1 to 18.
    """
    return f"45 CFR 164.514(b)(2)(i)({LETTERS[number - 1]})"
