"""Forty ways to leak into a store of real-shaped traces."""

from __future__ import annotations

import base64
import codecs
import copy
import json
from collections.abc import Callable
from pathlib import Path
from random import Random
from urllib.parse import quote

from audit.bench.recorded import END, PROJECT, invent, recorded

__all__ = ["END", "PLANTS", "PROJECT", "invent", "leaky", "recorded", "span", "write_jsonl"]


def span(call: list[dict[str, object]], name: str) -> dict[str, object]:
    """The first run of a call by that name, or the first of its tools for ``tool``."""
    return next(run for run in call if run["name"] == name or (name == "tool" and str(run["name"]).startswith("tool.")))


Plant = Callable[[list[dict[str, object]]], tuple[str, ...]]
"""Puts a leak into a call, and gives the values that must stand in no output."""

NAME, PHONE, MAIL, DOB, MRN, SSN = (
    "Ottilie Quarrendon",
    "+41 79 555 01 44",
    "ottilie.q@example.org",
    "1961-03-12",
    "MRN 48120975",
    "219-48-3310",
)


def _book(call: list[dict[str, object]]) -> dict[str, object]:
    """A tool span of the call, made a booking: the tool with the most fields."""
    run = span(call, "tool")
    run["name"] = "tool.book_appointment"
    run.pop("error", None)
    run["extra"]["metadata"] = {k: v for k, v in run["extra"]["metadata"].items() if not k.startswith("error")} | {"status": "ok"}
    run["inputs"] = {"doctor_name": "Dr. Lee", "notes": "a cough since last week", "patient_name": "<REDACTED>"}
    run["outputs"] = {"confirmation_id": "CONF-1234"}
    return run


def _side(side: str, field: str, value: object, *hidden: str) -> Plant:
    def plant(call: list[dict[str, object]]) -> tuple[str, ...]:
        _book(call)[side][field] = value
        return hidden or (str(value),)

    return plant


def _sides(fields: dict[str, object], *hidden: str) -> Plant:
    def plant(call: list[dict[str, object]]) -> tuple[str, ...]:
        _book(call)["inputs"].update(fields)
        return hidden

    return plant


def _run(name: str, key: str, value: object, *hidden: str) -> Plant:
    def plant(call: list[dict[str, object]]) -> tuple[str, ...]:
        span(call, name)[key] = copy.deepcopy(value)
        return hidden

    return plant


def _metadata(name: str, key: str, value: object, *hidden: str) -> Plant:
    def plant(call: list[dict[str, object]]) -> tuple[str, ...]:
        span(call, name)["extra"]["metadata"][key] = value
        return hidden

    return plant


def _deep(call: list[dict[str, object]]) -> tuple[str, ...]:
    nested: object = NAME
    for _ in range(60):
        nested = {"<REDACTED_KEY_1>": [nested]}
    _book(call)["outputs"]["<REDACTED_KEY_1>"] = nested
    return (NAME,)


def _b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _wav() -> str:
    return base64.b64encode(b"RIFF\x24\x08\x00\x00WAVEfmt " + bytes(range(256)) * 4).decode()


_SPOKEN = "you can reach me at oh seven nine five five five zero one four four"
_SPELLED = "my name is spelled q u a r r e n d o n"
_DOUBLE = _b64(json.dumps({"note": _b64(f"call {NAME} back")}))

PLANTS: dict[str, Plant] = {
    "name in notes": _side("inputs", "notes", f"{NAME} has a cough", NAME),
    "lower-case name": _side("inputs", "notes", f"spoke with {NAME.lower()} today", NAME.lower()),
    "name in a redacted field": _side("inputs", "patient_name", NAME),
    "phone in reason": _side("inputs", "reason_for_visit", f"call {PHONE} back", PHONE),
    "email in a reason": _side("inputs", "reason_for_visit", f"write to {MAIL}", MAIL),
    "date of birth in notes": _side("inputs", "notes", f"born {DOB}, has a cough", DOB),
    "record number in notes": _side("inputs", "notes", f"see {MRN}", MRN),
    "address in notes": _side("inputs", "notes", "lives at 14 Maple Street, Springfield", "14 Maple Street"),
    "unknown input field": _side("inputs", "caller", NAME),
    "unknown output field": _side("outputs", "insurance", "219-48-3310"),
    "name as a dict key": _side("inputs", NAME, "yes", NAME),
    "doctor who is a patient": _side("inputs", "doctor_name", "Dr. Quarrendon", "Quarrendon"),
    "confirmation that is a number": _side("outputs", "confirmation_id", SSN),
    "json in a string": _side("outputs", "result", json.dumps({"patient": {"name": NAME}}), NAME),
    "json in json in a string": _side("inputs", "notes", json.dumps({"a": json.dumps({"b": PHONE})}), PHONE),
    "base64 in notes": _side("inputs", "notes", _b64(NAME), NAME, _b64(NAME)),
    "base64 twice": _side("outputs", "result", _DOUBLE, NAME, _DOUBLE),
    "hex in notes": _side("inputs", "notes", NAME.encode().hex(), NAME, NAME.encode().hex()),
    "url-encoded in notes": _side("inputs", "notes", f"note={quote(MAIL, safe='')}", MAIL),
    "rot13 in notes": _side("inputs", "notes", f"ask {codecs.encode(NAME, 'rot13')} to call", codecs.encode(NAME, "rot13")),
    "zero width": _side("inputs", "notes", "Ott\u200bilie Quar\u200brendon called", "Quar\u200brendon"),
    "spoken digits": _side("inputs", "notes", _SPOKEN, _SPOKEN[20:]),
    "spelled name": _side("inputs", "reason_for_visit", _SPELLED, "q u a r r e n d o n"),
    "number as a number": _side("outputs", "duration", 41795550144, "41795550144"),
    "sixty levels deep": _deep,
    "phone split over two fields": _sides({"notes": "a cough, number 07955", "reason_for_visit": "50144 in the morning"}, "07955", "50144"),
    "name split over two fields": _sides(
        {"notes": "a cough, says Ottilie", "reason_for_visit": "Quarrendon, a cough"}, "Ottilie", "Quarrendon"
    ),
    "digits in a list": _sides({"alternatives": ["0", "7", "9", "5", "5", "5", "0", "1", "4", "4"]}),
    "transcript": _side(
        "outputs", "result", "user: hello I have a cough\nassistant: since when\nuser: since last week", "hello I have a cough"
    ),
    "audio in base64": _side("outputs", "result", _wav(), _wav()),
    "recording address": _side("outputs", "result", "https://recordings.example.org/calls/4812.wav", "recordings.example.org"),
    "tag": _run("agent_turn", "tags", [NAME], NAME),
    "run name": _run("user_turn", "name", f"call of {NAME}", NAME),
    "error text": _run("agent_turn", "error", f"KeyError: '{NAME}'", NAME),
    "event message": _run(
        "agent_turn", "events", [{"name": "new_token", "time": "2026-11-20T10:00:00.000000Z", "message": f"hello {NAME}"}], NAME
    ),
    "event name": _run("agent_turn", "events", [{"name": NAME, "time": "2026-11-20T10:00:00.000000Z"}], NAME),
    "metadata value": _metadata("voice_session", "reason", f"{PHONE} hung up", PHONE),
    "metadata key": _metadata("voice_session", NAME, 1, NAME),
    "label that is a name": _metadata("voice_session", "participant_identity", f"sip_{PHONE}", PHONE),
    "attachment": _run("voice_session", "attachments", [f"{NAME}.wav"], NAME),
}
"""Forty leaks by what they are, each in another kind of place or disguise."""


def leaky(n: int, seed: int = 1) -> tuple[list[list[dict[str, object]]], dict[str, tuple[str, tuple[str, ...]]]]:
    """``n`` calls of which one for each of `PLANTS` leaks, spread over the store.

    Returns:
        The calls; and by plant, the trace that holds it and the values that no output may hold.
    """
    made = list(invent(n, seed))
    places = Random(seed).sample(range(n), len(PLANTS))
    where = {}
    for at, (what, plant) in zip(places, PLANTS.items(), strict=True):
        where[what] = (str(made[at][0]["trace_id"]), plant(made[at]))
    return made, where


def write_jsonl(path: Path, made: list[list[dict[str, object]]]) -> Path:
    """An export: one run a line."""
    with path.open("w", encoding="utf-8") as file:
        for call in made:
            for run in call:
                file.write(json.dumps(run, ensure_ascii=False) + "\n")
    return path
