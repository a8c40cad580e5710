"""Words before a number that tell whether it is somebody's, or a quantity."""

from __future__ import annotations

from typing import Final

STRONG: Final = frozenset(
    """
    extension ext zip zipcode postcode postal pin apartment apt suite mrn ssn passport licence license plate member account acct policy
    id phone telephone cell mobile fax reference confirmation ticket claim birth dob birthday born password passcode login subscriber
    insurance medicaid medicare routing serial iban nhs routing
    otp cvv cvc imei pnr npi dea barcode wristband badge locker sort ip passnummer kontonummer kundennummer
    ending ends starts starting area landline unit flat box bus
    téléphone numéro portable telefon telefonnummer nummer handynummer postleitzahl plz hausnummer naissance né née geboren geburtsdatum
    versichertennummer
    """.split()  # noqa: SIM905
)
"""Words after which one number is enough."""
WEAK: Final = frozenset(
    """
    number numbers code group case record chart file card digits four social order invoice room prescription rx
    """.split()  # noqa: SIM905
)
"""Words after which it takes three digits, or two where a ``my`` or an ``is`` says so."""
LINKS: Final = frozenset(
    """
    is are was were be it it's its that that's this would should will the my his her your our their no number numbers digits digit code
    of in on at with for under file ends ending starts starting uh um er like and so yeah yes okay well i i'm think believe have got
    last first four three five six called plus address line name date year month day phone card group account id policy
    patient caller agent client home work office cell mobile new old current whole full here there goes been says given gave me reads
    shows sent showing printed front back says text texted
    est c'est le la de du mon ma ist die der meine mein lautet des
    """.split()  # noqa: SIM905
)
"""Words that may stand between a cue and its number."""
VITALS: Final = frozenset(
    """
    pressure bp temperature temp fever sugar sugars glucose weight weigh weighs weighed height tall pulse rate heart oxygen saturation
    cholesterol level levels score scale dose around about age aged systolic diastolic ejection fraction creatinine hemoglobin a1c bmi
    roughly approximately nearly almost below above between from until till by grade stage
    """.split()  # noqa: SIM905
)
"""Words that tell a quantity is coming."""
