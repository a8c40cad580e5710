"""Numbers beside a word that says what they are, and long runs that need no such word."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from phi_guard.detect.checksums import digits_of
from phi_guard.detect.rule import PatternRule

_NOUN: Final = r"(?:id|ids|identifier|identification|no|nos|num|number|numbers|nbr|nr|nummer|numéro|numero|code|card|key|#|№)"
_LINK: Final = (
    rf"(?:[\s_-]{{1,2}}(?:{_NOUN}|is|was|of|est|ist|the|reads|ends|as|its|it['’]s|on file)(?![^\W_])\.?){{0,4}}[\s_:#=.,\-(\[\"'’“*]{{0,6}}"
)
_DESIGNATED: Final = (
    rf"[\s_-]{{0,2}}{_NOUN}(?![^\W_])\.?(?:[\s_-]{{1,2}}(?:is|was|of"
    rf"|on file)(?![^\W_])){{0,2}}[\s_:#=.,\-(\[\"'’“*]{{0,6}}|\s?[#:=№]\s?[\"'’“]?"
)
_VALUE: Final = (
    r"(?!\d[\d.,]{0,8}\s?(?:mg|mcg|g|ml|iu|units?|days?|weeks?|months?|years?|hours?|minutes?|times|patients?|people|mm|cm|kg|%"
    r"|x)\b)((?=[\w\-/.]{0,24}\d)[^\W_][\w\-/.*]{1,40}(?<![.\-/])(?:\s\d[\d\-]{0,12}(?![\w/:.%])){0,5})"
)
_UNIT: Final = re.compile(
    r"(?:\d{1,4}(?:[.,]\d{1,3})?|\d{1,6}(?=\s?(?:iu|units?)))\s?(?:m|k|c|µ|μ)?(?:g|l|m|iu|u|mol|cal|hz|bpm|cc|kg|lb|lbs|oz|ft|in|cm|mm"
    r"|mcg|ml|mg|meq|units?|days?|weeks?|h|hrs?|hours?|min|mins|yo|am|pm|th|st|nd|rd|s|x|mmhg)",
    re.IGNORECASE,
)
_DIAGNOSIS: Final = re.compile(r"[a-tv-z]\d[0-9ab](?:\.[0-9a-z]{1,4})?", re.IGNORECASE)  # an ICD-10 code, such as E11.9
_CONFIRMATION: Final = re.compile(r"[A-Z]{2,6}-\d{3,8}")
_STATES: Final = frozenset(
    """
    a an the my your his her their our in on at to for of and or but so too not no also still now being been already always never the same
    wrong incorrect correct invalid valid expired reset changed updated sent emailed required missing unknown empty blank none null nil
    weak strong short long old new different locked blocked disabled stored saved shared forgotten lost working broken needed ok fine
    case hidden secret encrypted hashed protected rejected accepted denied stolen compromised
    """.split()  # noqa: SIM905 - easier to read and to keep in order
)
"""What is said of a password without telling it."""
_COMPONENT: Final = re.compile(r"[^\s|^~&\\](?:[^|^~&\\]*[^\s|^~&\\])?")
_YEAR: Final = re.compile(r"(?:19|20)\d\d")


def _issued(text: str) -> bool:
    """At least three digits, and neither an amount with its unit nor a diagnosis."""
    return len(digits_of(text)) >= 3 and _UNIT.fullmatch(text) is None and _DIAGNOSIS.fullmatch(text) is None


def _issued_plainly(text: str) -> bool:
    """As `_issued`, and not a year."""
    return _issued(text) and _YEAR.fullmatch(text) is None


def _record(text: str) -> bool:
    return len(digits_of(text)) >= 2 and _UNIT.fullmatch(text) is None


def _mixed(text: str) -> bool:
    """Letters among four digits or more, not an amount with its unit and not a code such as ``CONF-1234``."""
    return len(digits_of(text)) >= 4 and _UNIT.fullmatch(text) is None


def _components(text: str) -> Iterator[tuple[int, int]]:
    """The parts of an HL7 segment that are neither its name nor a code of a few letters."""
    for part in _COMPONENT.finditer(text, 4):
        if len(part.group()) > 3 or (len(part.group()) > 1 and not part.group().isupper() and not part.group().isdecimal()):
            yield part.span()


def _word_code(text: str) -> bool:
    """Not an acronym of three or four letters, which may be a test's, and not a code such as ``CONF-1234``."""
    return len(text) > 4 and _CONFIRMATION.fullmatch(text) is None


def _designated_code(text: str) -> bool:
    return _CONFIRMATION.fullmatch(text) is None


RULES: Final = (
    PatternRule(
        name="mrn",
        entity="MRN",
        regex=r"(?<![^\W_])(?:mrn|m\.r\.n\.?|medical[\s_-]{1,2}rec(?:ord)?|(?:patient|pt|health|hospital|clinic|chart|file|dossier"
        r"|record|unit|emr|ehr)[\s_-]{1,2}"
        r"(?:id|no|num|number|nr|ref|reference|#)|patientid|chart|dossier|patienten-?(?:nr|nummer|id)|fallnummer|numéro de patient"
        r"|n° de dossier|csn"
        r"|pmid|emrn|hosp(?:ital)?[\s_](?:no|number))"
        rf"{_LINK}{_VALUE}",
        hits=("MRN: 00-12-44", "mrn is A44129", "medical record number 4412908", '"patient_id": "P-77120"', "patient id 77120L",
              "chart #4412", "mrn 44 12 90"),
        misses=("MRN unknown", "patient took 500 mg", "chart reviewed at 14:30", "medical record reviewed", "chart 500mg"),
        check=_record,
        group=1,
        score=0.95,
        digits=True,
    ),
    PatternRule(
        name="mrn_glued",
        entity="MRN",
        group=1,
        regex=r"mrn[\s_:#-]?(\d{4,12})(?!\d)",
        hits=("chartMRN0044129", "MRN4412908"),
        misses=("mrn 12", "MRN unknown"),
        score=0.9,
        digits=True,
    ),
    PatternRule(
        name="care_number",
        entity="MRN",
        regex=r"(?<![^\W_])(?:visit|encounter|admission|episode|accession|specimen|sample|lab|order|requisition|study|exam|prescription"
        r"|rx|script"
        r"|referral|appointment|appt|chart|record|patient|pt|bed|wristband|band|donor|transplant|registry|trial|subject|participant"
        r"|screening)"
        rf"(?:{_DESIGNATED}){_VALUE}",
        hits=("accession no. 4412-90", "specimen #S44129", "encounter id: E-44129", "Rx number 4412908", "visit_id=44129",
              "subject id 0441"),
        misses=("visit 2024", "lab: sodium 138", "order 500 mg", "visit number 3", "sample size of 200 patients"),
        check=_issued_plainly,
        group=1,
        score=0.8,
        digits=True,
    ),
    PatternRule(
        name="member_number",
        entity="HEALTH_PLAN",
        regex=r"(?<![^\W_])(?:(?:member|subscriber|beneficiary|insurance|insured|ins|health[\s_]plan|plan|policy|pol|policyholder|group|grp"
        r"|payer|medicare|medicaid"
        r"|medi-?cal|bcbs|blue[\s_](?:cross|shield)|aetna|cigna|humana|kaiser|tricare|anthem|unitedhealthcare|uhc|ohip|health[\s_]card"
        r"|versicherten|krankenkasse|police|assuré|mutuelle|carte vitale|tarjeta sanitaria)"
        r"(?:[\s_-]{0,2}(?:id|no|num|number|nr|nummer|policy|card|member|plan|subscriber))?|hicn?|mbi|hpbn|kvnr|phn|rxbin|rxpcn|pcn|rxgrp)"
        rf"{_LINK}{_VALUE}",
        hits=("member id XK4412908", "insurance number 77-1209-33", "policy no. P/4412/90", "Medicare 1EG4-TE5-MK73",
              "subscriber: 8841290", "ins XK-44129", "Aetna W4412 90"),
        misses=("group of 5 patients", "plan 500 mg daily", "insurance by phone at 14:30", "policy changed", "plan: 1000mg twice"),
        check=_issued_plainly,
        group=1,
        digits=True,
    ),
    PatternRule(
        name="cued_id",
        entity="ID",
        regex=r"(?<![^\W_])(?:account|acct|a/c|id|identifier|ssn|ss#|social(?:[\s_]security)?|sin|tin|ein|itin|tax[\s_](?:id|number)"
        r"|pan|aadhaar|ifsc|voter"
        r"|national[\s_]id|dl|npi|dea|passport|passeport|reisepass|pasaporte|case|claim|ref|reference|referral|prior auth|authori[sz]ation"
        r"|serial|s/n|badge|employee|student|personnel|staff|invoice|booking|ticket|konto|compte|permis|ausweis|ahv|avs|nhs|nino|nir"
        r"|steuer|"
        r"dni|nie|nif|curp|cpf|bsn|pesel|personnummer|token|session|trace|request|transaction|txn|order|receipt|loyalty|library|locker"
        r"|case file|api[\s_-]?key|access[\s_-]?key|secret[\s_-]?key|bearer|vat|abn|acn|crn|gst(?:in)?|siret|siren|nss|rfc|cuit"
        r"|cuil|rut|cedula|cédula"
        r"|bsb|nrn|cprnr|cpr|oib|egn|jmbg)"
        rf"{_LINK}{_VALUE}",
        hits=("account 4412-90", "passport X4412908", "ref: AB-4412", "claim 4412", "serial no SN4412908X", "PAN number ABCD441K"),
        misses=("in case of 5 days", "ref E11.9", "id verified", "case 500 mg", "order 500 mg"),
        check=_issued_plainly,
        group=1,
        digits=True,
    ),
    PatternRule(
        name="licence",
        entity="LICENSE",
        regex=r"(?<![^\W_])(?:(?:driver['’]?s?|driving|medical|nursing|professional|state|pilot)?[\s_]?licen[cs]e|dl|permit|certificate"
        r"|cert|führerschein"
        r"|permis de conduire|registration|state id|notary|bar number)"
        rf"{_LINK}{_VALUE}",
        hits=("driver's license D441-2908", "DL:K4412907", "medical licence no 44129", "certificate # C-44129"),
        misses=("license renewed in 3 weeks", "certificate for 2 days", "permit 500 mg"),
        check=_issued_plainly,
        group=1,
        digits=True,
    ),
    PatternRule(
        name="licence_masked",
        entity="LICENSE",
        regex=r"\b(?:licen[cs]e|passport|account|card|ssn|social security)(?:\s(?:number|no"
        r"|id)\b)?[\s:#is\"']{1,6}((?:[x*•]{2,12}[\s-]){1,4}[x*•\d]{2,12})(?!\w)",
        hits=("license number XXX-XXXXXXX", "ssn: ***-**-4412", "card XXXX-XXXX-XXXX-4412"),
        misses=("license xx", "card x 2"),
        group=1,
        score=0.4,
    ),
    PatternRule(
        name="biometric",
        entity="BIOMETRIC",
        regex=r"(?<![^\W_])(?:voice[\s_-]?(?:print|id|template)|(?:speaker|face|voice)[\s_-](?:embedding|vector|model)"
        r"|palm[\s_-]?vein|finger[\s_-]?print|thumb[\s_-]?print|palm[\s_-]?print|face[\s_-]?(?:id"
        r"|print|template)"
        r"|facial(?:\srecognition)?|retina(?:l)?(?:\sscan)?|iris(?:\sscan)?|biometric|gait|dna|genome|genetic)"
        rf"(?:[\s_-]{{1,2}}(?:template|hash|sample|profile|record|sequence|scan|enrol?lment|signature|reference"
        rf"|ref)){{0,2}}{_LINK}{_VALUE}",
        hits=("voiceprint VP-4412", "palm vein template PV-22a9f", "speaker embedding spk_0042",
              "fingerprint template id FP_88 1290", "iris scan hash 9f86d081", "face_id: F-44129"),
        misses=("fingerprint taken", "iris exam at 14:30", "genetic testing in 3 weeks", "DNA 500 mg"),
        check=_record,
        group=1,
        score=0.85,
        digits=True,
    ),
    PatternRule(
        name="code_in_capitals",
        entity="ID",
        regex=r"(?<![^\W_])(?:pnr|(?:booking|reservation|confirmation|reference|ref|locator|accession|voucher|coupon|tracking"
        r"|passport|serial"
        r"|licen[cs]e|permit)(?-i:(?<=[a-z])))(?:[\s_-](?:no|number|id|code|ref|reference|nr)\b\.?)?(?:\s(?:is|was|reads))?"
        r"[\s:#=.\"'(]{1,4}((?-i:[A-Z\d][A-Z\d\-]{3,13}[A-Z\d]))(?![\w-])",
        hits=("booking ref QX7PLM", "locator TRAVEL", "confirmation code K7LW2Q", "serial ABCDEFG", "PNR ZP4KQ9"),
        misses=("ref MRI", "reference HBA1", "confirmation CONF-1234", "BOOKING FAILED", "confirmation sent", "license EXP"),
        group=1,
        check=_word_code,
        score=0.5,
        needs=r"[A-Z\d]{3}",
    ),
    PatternRule(
        name="designated_code",
        entity="ID",
        regex=r"(?<![^\W_])(?:record|chart|file|case|claim|member|subscriber|policy|group|plan|account|licen[cs]e|permit|passport"
        r"|ticket|order"
        r"|accession|patient|registration|badge|fingerprint|voice|face|iris|retina|palm|serial|device|tag|certificate|visa)(?-i:(?<=[a-z]))"
        r"[\s_-](?:number|nr|no\.?|id|code|template|hash|#)(?:\s(?:is|was|reads))?[\s:#=\"'(]{1,4}"
        r"((?-i:[A-Z][A-Z\d]{1,13}(?:-[A-Z\d]{1,8}){0,2}))(?![\w-])",
        hits=("record number ABCDEF", "claim code RED", "iris code ABBA", "driving licence number ABCDE", "device id CGM-ADA"),
        misses=("case number unknown", "CASE NUMBER MISSING", "file no. CONF-1234", "order code given"),
        group=1,
        check=_designated_code,
        score=0.5,
        needs=r"[A-Z][A-Z\d]",
    ),
    PatternRule(
        name="ticket_number",
        entity="ID",
        regex=r"(?<![^\W_])(?:job|ticket|incident|inc|work[\s_]order|purchase[\s_]order|p\.?o|shipment|parcel|consignment|tracking"
        r"|meter|customer|client"
        rf"|user|caller|profile|application|document|folio|docket|membership|subscription)(?:[\s_-]{{0,2}}{_NOUN}(?![^\W_])\.?"
        rf"(?:[\s_-]{{1,2}}(?:is|was)(?![^\W_]))?[\s_:#=.\-(\[\"'’“*]{{0,6}}|\s?[#№]\s?){_VALUE}",
        hits=("Job #88213", "customer no. 441290", "meter number K88-22019", "user_id=44129", "client id: C-4412"),
        misses=("job 2 days a week", "user error 404", "po 500 mg", "ticket number 3", "incident in 2019"),
        check=_issued_plainly,
        group=1,
        score=0.7,
        digits=True,
    ),
    PatternRule(
        name="access_code",
        entity="ID",
        regex=r"(?<![^\W_])(?:(?:door|gate|entry|access|alarm|garage|lock(?:box)?|security|verification|otp|one[\s-]time|login"
        r"|activation|unlock"
        r"|elevator|buzzer)[\s_-](?:pin[\s_-])?(?:code|passcode|password|pin|number)|otp|2fa code"
        r"|(?<!zip )(?<!error )(?<!status )(?:the|my|her|his)"
        r" (?:code|pin)(?= (?:is|was)\b))(?:\s(?:is|was|for the \w{2,12} is))?[\s:#=\"'(]{1,4}(\d(?:[\s-]?\d){2,9})(?!\w|[.,]\d)",
        hits=("door code 1177", "the code is 4471", "otp 55 31 09", "gate code: 4412#"),
        misses=("the code is wrong", "error code 404", "code 500 mg", "status code is 200"),
        group=1,
        score=0.6,
        digits=True,
    ),
    PatternRule(
        name="secret_word",
        entity="ID",
        regex=r"(?<![^\W_])(?:passwords?|passphrase|passcode|passwd|pwd|pin code|secret (?:word|answer)|security (?:answer|word)"
        r"|code[\s-]?word"
        r"|mother['’]?s maiden name)(?:\s(?:is|was)|\s?[:=])\s{0,3}[\"'“]?([^\s\"'“”,;<>]{2,64})(?<![.:!?])",
        hits=("my password is butterfly", "security answer: fluffy", "mother's maiden name is woods", "passphrase: horse"),
        misses=("password is wrong", "my password is not working", "password: <REDACTED>", "password reset", "the passcode was changed"),
        group=1,
        check=lambda text: text.lower() not in _STATES,
        score=0.5,
    ),
    PatternRule(
        name="hl7_segment",
        entity="ID",
        regex=r"(?<!\w)(?-i:PID|PD1|NK1|GT1|IN1|IN2|MRG|ACC)\|[^\r\n]{2,4000}",
        hits=("PID|1||4412^^^HOSP^MR||BYRON^ADA||19580303|F|||12 HARBOR VIEW^^BERN", "NK1|1|BYRON^BO"),
        misses=("PID|1||", "PID was sent", "OBX|1|NM|138"),
        parts=_components,
        score=0.5,
    ),
    PatternRule(
        name="masked",
        entity="ID",
        regex=r"(?<![\w*])(?:\d{1,8}[*•xX#]{3,20}\d{1,6}|[*•]{1,20}\d{3,6})(?!\w)",
        hits=("4111********1111", "account *441"),
        misses=("2x500 mg", "**bold**", "last 4 days"),
        digits=True,
    ),
    PatternRule(
        name="opaque_id",
        entity="ID",
        regex=r"(?<![^\W_])(?<![.\-])(?=[a-z0-9\-]{6,72}(?![^\W_]"
        r"|-))(?=[a-z0-9\-]{0,71}[a-z])(?!(?:conf|iso|icd|cpt|rfc|din|covid|usp|astm|gtx|rtx)-\d{3,8}(?![\w\-]))(?=(?:[a-z\-]{0,40}\d){4})"
        r"[a-z0-9]{1,72}(?:-[a-z0-9]{1,40}){0,8}(?![^\W_]|-)",
        hits=("XK4412908", "bring A1B2C3D4", "1HGCM82633A004352", "f47ac10b-58cc-4372-a567-0e02b2c3d479", "cb_XK44129_err", "EOC-9912"),
        misses=("CONF-1234", "E11.9", "500mg", "1000mg", "COVID-19", "CYP2D6", "SARS-CoV-2", "2000iu", "HbA1c", "B12", "M54.16"),
        check=_mixed,
        score=0.5,
        digits=True,
    ),
    PatternRule(
        name="opaque_capitals",
        entity="ID",
        regex=r"(?<![^\W_])(?<![.\-])(?=[A-Z0-9]{7,24}(?![^\W_]|-))(?-i:[A-Z0-9]{0,23}[A-Z][A-Z0-9]{0,23})(?![^\W_]|-)",
        hits=("ABCDEF441", "paid by RAVQ4L1K9"),
        misses=("COVID19", "PATIENT", "SARSCOV2", "CYP3A45 gene"),
        check=lambda text: len(digits_of(text)) >= 3 and _UNIT.fullmatch(text) is None and not text.startswith("CYP"),
        score=0.4,
        digits=True,
    ),
    PatternRule(
        name="bare_number",
        entity="DIGITS",
        regex=r"\A\s{0,9}#?\d{4,5}\s{0,9}\Z",
        hits=("4412", "#44129"),
        misses=("4412 mg", "12", "room 4412"),
        score=0.2,
        parts=lambda text: ((len(text) - len(text.lstrip()), len(text.rstrip())),),
        digits=True,
    ),
    PatternRule(
        name="long_digits",
        entity="DIGITS",
        regex=r"(?<!\d)\d(?:[ \u00a0\u2009\u202f\t./\-‐-―_()]{0,3}\d){5,}",
        hits=("4412908", "44 12 90", "44-12-90", "4 4 1 2 9 0", "(441) 290", "4111 1111 1111 1111", "٤٤١٢٩٠٨"),
        misses=("500 mg", "14:30:00", "120/80", "E11.9", "98.6", "10-15 min", "12345"),
        check=lambda text: "/" not in text or len(digits_of(text)) >= 7,
        score=0.3,
        digits=True,
    ),
)  # fmt: skip
"""Rules for issued numbers."""
