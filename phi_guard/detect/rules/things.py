"""Vehicles and devices: what belongs to one person and carries a number."""

from __future__ import annotations

from typing import Final

from phi_guard.detect.checksums import digits_of, gtin, luhn, vin
from phi_guard.detect.rule import PatternRule

_LINK: Final = r"(?:[\s_-]{1,2}(?:id|no|num|number|nr|nummer|code|serial|tag|plate|is|was|of|reads)\b\.?){0,4}[\s_:#=.,\-(\[\"'’]{0,6}"
_VALUE: Final = r"((?=[\w\-/]{0,24}\d)[^\W_][\w\-/]{2,40}(?<![\-/])(?:\s\d[\d\-]{0,12}(?![\w/:.%])){0,3})"

RULES: Final = (
    PatternRule(
        name="vin",
        entity="VIN",
        regex=r"(?<![^\W_])[a-hj-npr-z\d]{8}[\dx][a-hj-npr-z\d]{8}(?![^\W_])",
        hits=("1HGCM82633A004352", "vin 1hgcm82633a004352"),
        misses=("1HGCM82633A004353", "12345678"),
        check=vin,
        score=0.97,
        digits=True,
    ),
    PatternRule(
        name="vehicle_cue",
        entity="VEHICLE",
        regex=r"(?<![^\W_])(?:vin|vehicle|plates?|licen[cs]e[\s_-]plates?|number[\s_-]plates?|tags?|car reg(?:istration)?|registration"
        r"|reg|kennzeichen"
        rf"|immatriculation|plaque|matrícula|targa){_LINK}(?!(?:at|on|in|by|to|of|for|is)\s)((?=[\w\-]{{0,12}}\d"
        rf"|[a-z]{{1,3}}[\s-][\w\s-]{{0,4}}\d)[^\W_][\w\-]{{1,19}}(?:[\s-]?[a-z\d]{{1,4}}\b){{0,2}})",
        hits=("plate VD-441290", "license plate 7ABC123", "car reg AB51 ABC", "vin 1HGCM82633A00435", "Kennzeichen B-AB 1234",
              "plate is ABC 123"),
        misses=("plate in 5 days", "vehicle at 14:30", "registration in 3 weeks"),
        group=1,
        check=lambda text: len(digits_of(text)) >= 2 and any(char.isalpha() for char in text),
        digits=True,
    ),
    PatternRule(
        name="plate_in_capitals",
        entity="VEHICLE",
        regex=r"(?:(?:licen[cs]e|number|vanity|registration|car)[\s-]plates?|tag number|plate(?= (?:is|reads|number|no)\b)"
        r"|(?<=['’]s )plate)"
        r"(?:\s(?:is|reads|was|no|number)\b\.?){0,2}[\s:#=\"'(]{1,4}((?-i:[A-Z][A-Z\d]{0,7}(?:[\s-][A-Z\d]{1,7}){0,2}))(?![\w-])",
        hits=("license plate HEALER", "the truck's plate reads DOC 1", "tag number GO ADA", "plate is ABC"),
        misses=("license plate missing", "plate is loose", "the number plate reads well"),
        group=1,
        score=0.6,
        needs=r"[A-Z]",
    ),
    PatternRule(
        name="plate",
        entity="VEHICLE",
        regex=r"(?<![\w.\-])(?-i:[A-Z]{2}\d{2}[\s-]?[A-Z]{3}|[A-Z]\d{1,3}[\s-]?[A-Z]{3}|[A-Z]{3}[\s-]?\d{1,3}[A-Z]|[A-Z]{2}-\d{3}-[A-Z]{2}"
        r"|(?:AG|AI|AR|BE|BL|BS|FR|GE|GL|GR|JU|LU|NE|NW|OW|SG|SH|SO|SZ|TG|TI|UR|VD|VS|ZG|ZH)[\s-]\d{4,6}"
        r"|[A-ZÄÖÜ]{1,3}-[A-Z]{1,2}\s?\d{1,4}[EH]?)(?![\w\-])"
        r"|\A[a-z]{2}\d{2}\s?[a-z]{3}\Z",
        hits=("AB51 ABC", "VD 441290", "AB-123-CD", "B-AB 1234", "ABC 123D"),
        misses=("E11 MRI", "B12 and", "T4 5", "COVID-19", "CONF-1234", "L5-S1", "CA-125"),
        check=lambda text: not text.endswith(("MRI", "TSH", "PRN", "BID", "TID", "IVF")) and text[:3] not in {"HLA", "CYP"},
        score=0.4,
        digits=True,
    ),
    PatternRule(
        name="device_cue",
        entity="DEVICE",
        regex=r"(?<![^\W_])(?:imei|imsi|iccid|meid|udid|udi|uuid|guid|idfa|mac|device|serial|s/n|sn|asset[\s_]tag|pacemaker|implant"
        r"|stent|insulin pump"
        r"|pump|cpap|bipap|defibrillator|icd serial|hearing aid|prosthesis|stimulator|glucometer|monitor|sensor|transmitter|receiver|model"
        rf"|lot|batch)(?:[\s_-]{{0,2}}(?:id|no|num|number|nr|serial|sn|s/n|#|code)(?![^\W_])\.?(?:\s(?:is"
        rf"|was)\b)?[\s_:#=.,\-(\"']{{0,6}}|\s?[:#=]\s?[\"']?){_VALUE}",
        hits=("device id D-44129", "pacemaker serial no PM44129", "lot #44129", "SN: X44129", "IMEI: 490154203237519",
              "glucometer s/n 4412"),
        misses=("device at 14:30", "pump 500 ml", "sensor reads 145", "model patient", "monitor for 3 days"),
        group=1,
        check=lambda text: len(digits_of(text)) >= 3,
        digits=True,
    ),
    PatternRule(
        name="imei",
        entity="IMEI",
        regex=r"(?<!\d)\d{2}[\s-]?\d{6}[\s-]?\d{6}[\s-]?\d(?!\d)",
        hits=("490154203237518", "49-015420-323751-8"),
        misses=("490154203237519", "120/80"),
        check=luhn,
        score=0.7,
        digits=True,
    ),
    PatternRule(
        name="udi",
        entity="UDI",
        regex=r"\(01\)\s?\d{14}(?:\s?\((?:10|11|17|21|240)\)\s?[\w\-/.]{1,20}){0,4}|(?<!\d)01\d{14}(?:11|17)\d{6}(?:10|21)[\w\-]{1,20}",
        hits=("(01)00844588003288(17)141120(10)7654321D(21)10987654d321", "UDI (01)00844588003288"),
        misses=("(01) 5 mg", "(01)00844588003289"),
        check=lambda text: gtin(digits_of(text)[2:]),
        score=0.97,
        digits=True,
    ),
)  # fmt: skip
"""Rules for vehicles and devices."""
