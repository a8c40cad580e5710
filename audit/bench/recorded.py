"""Calls for the scan's benchmark: recorded calls of synthetic people, multiplied by a seed. Ids, times, texts and kept values are new."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any, Final, TypeAlias

PROJECT: Final = "medical-voice-agent-dev"
END: Final = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
RECORDED: Final = Path(__file__).with_name("recorded_calls.jsonl")
"""Three rehearsed calls, a run a line, as the trace store gave them back."""

Row: TypeAlias = dict[str, Any]

_IDS: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_DOTTED: Final = re.compile(r"([0-9]{8}T[0-9]{12}Z)")
_WHAT: Final = (
    "a sore throat", "a headache", "back pain", "a cough", "a mild fever", "a rash on the arm", "knee pain", "stomach pain", "a check-up",
    "a blood test", "a follow-up visit", "a new prescription", "a vaccination", "ear pain", "dizziness", "a sprained ankle",
    "trouble sleeping", "high blood pressure", "an allergy test",
)  # fmt: skip
_WHEN: Final = (
    "for three days",
    "since last week",
    "since yesterday",
    "for a month",
    "after a fall",
    "at night",
    "in the morning",
    "again",
)
_WHO: Final = ("", "", "", "<REDACTED>, ", "<REDACTED>: ")
_ASK: Final = ("", "", ", please call back", ", is in pain", ", feels better now", ", prefers the afternoon")
_DOCTORS: Final = ("Dr. Lee", "Dr. Chen", "Dr. Dubois", "Dr. Keller", "Dr. Rossi", "Dr. Martin", "Dr. Osei")
_CLINICS: Final = ("Main Clinic", "North Clinic", "Lausanne Gare", "Riverside", "Hillcrest")


def recorded() -> list[list[Row]]:
    """The recorded calls, each a list of runs as the store keeps them."""
    calls: dict[str, list[Row]] = {}
    for line in RECORDED.read_text(encoding="utf-8").splitlines():
        run = json.loads(line)
        calls.setdefault(run["trace_id"], []).append(run)
    return list(calls.values())


def invent(n: int, seed: int = 1, end: datetime = END, days: float = 6.0) -> Iterator[list[Row]]:
    """``n`` clean calls within some days before an end: ids, times, texts and kept values are new, everything else as recorded."""
    random = Random(seed)  # noqa: S311  # benchmark data, no secrets
    templates = recorded()
    for i in range(n):
        yield _again(templates[i % len(templates)], random, end - timedelta(days=days * (n - i) / n))


def _again(template: list[Row], random: Random, at: datetime) -> list[Row]:
    first = min(datetime.fromisoformat(str(run["start_time"])) for run in template)
    shift = at - first
    ids: dict[str, str] = {}

    def new_id(match: re.Match[str]) -> str:
        return ids.setdefault(match.group(), str(uuid.UUID(int=random.getrandbits(128), version=4)))

    def moved(match: re.Match[str]) -> str:
        moment = datetime.strptime(match.group(), "%Y%m%dT%H%M%S%fZ").replace(tzinfo=UTC)
        return (moment + shift).strftime("%Y%m%dT%H%M%S%fZ")

    def instant(match: re.Match[str]) -> str:
        return (datetime.fromisoformat(match.group()) + shift).strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    text = _DOTTED.sub(moved, _IDS.sub(new_id, json.dumps(template)))
    text = re.sub(r"2026-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", instant, text)
    runs: list[Row] = json.loads(text)
    room = "RM_" + "".join(random.choice("abcdefghjkmnpqrstuvwxyzABCDEFGH23456789") for _ in range(12))
    for run in runs:
        metadata = run["extra"]["metadata"]
        if "room_sid" in metadata:
            metadata["room_sid"] = room
        if str(run["name"]).startswith("tool."):
            for side in ("inputs", "outputs"):
                for field, value in (run.get(side) or {}).items():
                    run[side][field] = _varied(field, value, random)
    return runs


def _varied(field: str, value: object, random: Random) -> object:
    match field:
        case "notes" | "reason_for_visit" | "symptoms":
            text = f"{random.choice(_WHO)}{random.choice(_WHAT)} {random.choice(_WHEN)}{random.choice(_ASK)}"
            return text if len(text) <= 50 else text[:50].rpartition(" ")[0] + "…"
        case "doctor_name":
            return random.choice(_DOCTORS)
        case "clinic_location":
            return random.choice(_CLINICS)
        case "confirmation_id":
            return f"CONF-{random.randint(1000, 9999)}"
        case "appointment_datetime":
            return f"2027-{random.randint(1, 12):02}-{random.randint(1, 28):02}T{random.randint(8, 17):02}:00Z"
        case _:
            return value
