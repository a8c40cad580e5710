"""Forty ways to leak into a store of real-shaped traces."""

from __future__ import annotations

import base64
import codecs
import copy
import gzip
import io
import json
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from random import Random
from urllib.parse import quote

from audit.bench.recorded import END, PROJECT, invent, recorded

__all__ = ["END", "MORE", "PLANTS", "PROJECT", "invent", "leaky", "recorded", "span", "write_jsonl"]


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


def _named(tool: str, side: str, field: str, value: object, *hidden: str) -> Plant:
    """A leak in another tool than the booking."""

    def plant(call: list[dict[str, object]]) -> tuple[str, ...]:
        run = span(call, "tool")
        run["name"] = f"tool.{tool}"
        run.pop("error", None)
        run["extra"]["metadata"] = {k: v for k, v in run["extra"]["metadata"].items() if not k.startswith("error")} | {"status": "ok"}
        run["inputs"], run["outputs"] = {}, {}
        run[side] = {field: value}
        return hidden or (str(value),)

    return plant


def _in_usage(call: list[dict[str, object]]) -> tuple[str, ...]:
    span(call, "agent_turn")["extra"]["metadata"]["usage_metadata"] = {"input_tokens": 41795550144}
    return ("41795550144",)


def _in_redactions(call: list[dict[str, object]]) -> tuple[str, ...]:
    span(call, "policy.guardrail")["extra"]["metadata"]["redactions"][NAME] = 1
    return (NAME,)


def _in_dotted_order(call: list[dict[str, object]]) -> tuple[str, ...]:
    run = span(call, "user_turn")
    run["dotted_order"] = f"{run['dotted_order']}.{NAME}"
    return (NAME,)


def _in_extra(call: list[dict[str, object]]) -> tuple[str, ...]:
    span(call, "voice_session")["extra"]["runtime"] = {"user": MAIL}
    return (MAIL,)


def _in_new_key(call: list[dict[str, object]]) -> tuple[str, ...]:
    span(call, "voice_session")["feedback"] = {"comment": NAME}
    return (NAME,)


def _packed(pack: Callable[[bytes], bytes]) -> str:
    return base64.b64encode(pack(json.dumps({"patient": NAME, "phone": PHONE}).encode())).decode()


def _zipped(data: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo("note.json", (2026, 1, 1, 0, 0, 0)), data)
    return file.getvalue()


def _jwt() -> str:
    def part(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    return f"{part({'alg': 'HS256', 'typ': 'JWT'})}.{part({'sub': NAME, 'email': MAIL})}.c2lnbmF0dXJlLW9mLW5vdGhpbmc"


def _caesar(text: str, by: int = 3) -> str:
    return "".join(chr((ord(c.lower()) - 97 + by) % 26 + 97) if c.isalpha() else c for c in text)


_DIGITS = "07955550144"
_KEYCAPS = "".join(f"{digit}\ufe0f\u20e3" for digit in _DIGITS)
_ARABIC = "".join(chr(0x660 + int(digit)) for digit in _DIGITS)
_WIDE = "".join(chr(0xFF10 + int(digit)) for digit in _DIGITS)
_CYRILLIC = "Ottili\u0435 Qu\u0430rr\u0435ndon"
_MATHEMATICAL = "".join(chr(0x1D400 + ord(c) - 65) if c.isupper() else chr(0x1D41A + ord(c) - 97) if c.islower() else c for c in NAME)
_PHONETIC = "quebec uniform alfa romeo romeo echo november delta oscar november"
_MORSE = "--.- ..- .- .-. .-. . -. -.. --- -."
_BRAILLE = "".join(chr(0x2800 + ord(c) - 60) for c in NAME)
_UNSEEN = "".join("\u200b" if bit == "0" else "\u200c" for c in "Ottil" for bit in f"{ord(c):08b}")
_SELECTORS = "".join(chr(0xE0100 + ord(c) - 16) for c in NAME)
_GZIP, _ZLIB, _ZIP = _packed(lambda data: gzip.compress(data, mtime=0)), _packed(zlib.compress), _packed(_zipped)
_URL = f"data:text/plain;base64,{_b64(NAME)}"

MORE: dict[str, Plant] = {
    "name in a cancellation's reason": _named("cancel_appointment", "inputs", "reason", f"{NAME} is ill", NAME),
    "name in the symptoms": _named("get_medical_guidelines", "inputs", "symptoms", f"{NAME} has a rash", NAME),
    "phone in opening hours": _named("get_opening_hours", "outputs", "opening_hours", f"8 to 5, or call {PHONE}", PHONE),
    "name in guidance": _named("get_medical_guidelines", "outputs", "guidance", f"tell {NAME} to rest", NAME),
    "name in a kept status": _named("reschedule_appointment", "outputs", "status", f"moved for {NAME}", NAME),
    "phone in a kept boolean": _named("check_availability", "outputs", "available", PHONE),
    "name in a kept clinic": _side("inputs", "clinic_location", NAME),
    "address in a kept date": _side("inputs", "appointment_datetime", "2027-03-15T14:00Z at 14 Maple Street", "14 Maple Street"),
    "tool that nobody knows": _named("lookup_patient", "outputs", "result", "ok", "lookup_patient"),
    "list of lists": _side("outputs", "result", [[["a cough"], [[NAME]]]], NAME),
    "list of pairs": _side("outputs", "result", [["name", NAME], ["phone", PHONE]], NAME, PHONE),
    "number in a string": _side("outputs", "result", "41795550144"),
    "float": _side("outputs", "result", 41795550144.5, "41795550144.5"),
    "negative number": _side("outputs", "result", -41795550144, "41795550144"),
    "arabic digits": _side("inputs", "notes", f"call {_ARABIC} back", _ARABIC),
    "full-width digits": _side("inputs", "notes", f"call {_WIDE} back", _WIDE),
    "keycap digits": _side("inputs", "notes", f"call {_KEYCAPS}"[:50], _KEYCAPS),
    "cyrillic letters in a name": _side("inputs", "notes", f"spoke with {_CYRILLIC} today", _CYRILLIC),
    "mathematical letters": _side("inputs", "notes", f"{_MATHEMATICAL} called", _MATHEMATICAL),
    "name in greek": _side(
        "outputs",
        "result",
        "call \u039a\u03ce\u03c3\u03c4\u03b1 \u03a0\u03b1\u03c0\u03b1\u03b4\u03cc\u03c0\u03bf\u03c5\u03bb\u03bf back",
        "\u03a0\u03b1\u03c0\u03b1\u03b4\u03cc\u03c0\u03bf\u03c5\u03bb\u03bf",
    ),
    "french phone": _side("inputs", "notes", "rappeler le 06 12 34 56 78", "06 12 34 56 78"),
    "french record number": _side("inputs", "notes", "dossier patient 48120975", "48120975"),
    "french address": _side("inputs", "notes", "habite 12 rue des Lilas, 1003 Lausanne", "12 rue des Lilas"),
    "french date of birth": _side("inputs", "notes", "n\u00e9e le 12 mars 1961", "12 mars 1961"),
    "german name": _side("inputs", "notes", "Frau Hannelore Brinkschulte hat Husten", "Hannelore Brinkschulte"),
    "german address": _side("inputs", "notes", "wohnt Lindenstra\u00dfe 14, 8004 Z\u00fcrich", "Lindenstra\u00dfe 14"),
    "german date of birth": _side("inputs", "notes", "geboren am 12. M\u00e4rz 1961", "12. M\u00e4rz 1961"),
    "ahv number": _side("inputs", "notes", "AHV 756.9217.0769.85", "756.9217.0769.85"),
    "gzip in base64": _side("outputs", "result", _GZIP, _GZIP),
    "zlib in base64": _side("outputs", "result", _ZLIB, _ZLIB),
    "zip in base64": _side("outputs", "result", _ZIP, _ZIP),
    "web token": _side("outputs", "result", _jwt(), _jwt()),
    "data url": _side("outputs", "result", _URL, _URL),
    "base64 amid words": _side("outputs", "result", f"the note is {_b64(f'call {NAME} back')} so far", _b64(f"call {NAME} back")),
    "hex amid words": _side("outputs", "result", f"the note is {NAME.encode().hex()} so far", NAME.encode().hex()),
    "comma-separated": _side("outputs", "result", f"name,phone\n{NAME},{PHONE}", NAME, PHONE),
    "html": _side("outputs", "result", f"<p>Patient: <b>{NAME}</b></p>", NAME),
    "html with entities": _side(
        "outputs", "result", "<p>" + "".join(f"&#{ord(c)};" for c in NAME) + "</p>", f"&#{ord(NAME[0])};&#{ord(NAME[1])};"
    ),
    "xml": _side("outputs", "result", f'<patient name="{NAME}"/>', NAME),
    "json with a comment": _side("outputs", "result", f'{{"ok": true}} // for {NAME}', NAME),
    "mail headers": _side("outputs", "result", f"From: {NAME} <{MAIL}>\nSubject: cough", NAME, MAIL),
    "vcard": _side("outputs", "result", f"BEGIN:VCARD\nFN:{NAME}\nTEL:{PHONE}\nEND:VCARD", NAME),
    "phonetic alphabet": _side("outputs", "result", _PHONETIC),
    "spelled with dashes": _side("inputs", "notes", "Q-U-A-R-R-E-N-D-O-N", "Q-U-A-R-R-E-N-D-O-N"),
    "reversed": _side("inputs", "notes", f"{NAME[::-1]} called", NAME[::-1]),
    "leet": _side("inputs", "notes", "0tt1l13 Qu4rr3nd0n called", "Qu4rr3nd0n"),
    "unicode escapes": _side("outputs", "result", "".join(f"\\u{ord(c):04x}" for c in NAME), f"\\u{ord(NAME[0]):04x}"),
    "quoted-printable": _side("outputs", "result", "call =4F=74=74=69=6C=69=65 Quarrendon", "Quarrendon"),
    "roman numerals": _side("inputs", "notes", "born XII-III-MCMLXI", "XII-III-MCMLXI"),
    "camel-case key": _side("inputs", "ottilieQuarrendonPhone", "yes", "ottilieQuarrendonPhone"),
    "name in an enum-like value": _side("outputs", "result", "PATIENT_OTTILIE_QUARRENDON", "OTTILIE_QUARRENDON"),
    "name in a path": _side("outputs", "result", "/patients/ottilie-quarrendon/scan.pdf", "ottilie-quarrendon"),
    "instance handle": _side("outputs", "result", "<Patient name='Ottilie Quarrendon' at 0x7f>", NAME),
    "handle of a network": _side("outputs", "result", "find me as @ottilie_quarrendon", "ottilie_quarrendon"),
    "address of a device": _side("outputs", "result", "from 203.0.113.77 and 3c:22:fb:12:9a:44", "203.0.113.77"),
    "number plate": _side("outputs", "result", "licence plate VD 284 913", "VD 284 913"),
    "place on the earth": _side("outputs", "result", "at 46.519653, 6.632273", "46.519653"),
    "time that is none": _run("user_turn", "end_time", f"2026-11-20T10:00:00Z {NAME}", NAME),
    "name in the order": _in_dotted_order,
    "parent that is none": _run("session.end", "parent_run_id", NAME, NAME),
    "run type": _run("session.end", "run_type", NAME, NAME),
    "session name": _run("session.end", "session_name", NAME, NAME),
    "run id": _run("session.end", "id", NAME, NAME),
    "number as a count": _metadata("session.end", "turns", 7955501, "7955501"),
    "number as a metadata string": _metadata("voice_session", "room_sid", "RM_41795550144x"[:11] + " 0144", "RM_41795550 0144"),
    "number among tokens": _in_usage,
    "name among redactions": _in_redactions,
    "name in extra": _in_extra,
    "key of a run": _in_new_key,
    "name in serialized": _run("session.end", "serialized", {"name": NAME}, NAME),
    "morse": _side("outputs", "result", _MORSE),
    "braille": _side("outputs", "result", _BRAILLE),
    "bits that nobody sees": _side("inputs", "notes", f"a cough{_UNSEEN}", _UNSEEN),
    "selectors that nobody sees": _side("outputs", "result", f"a cough{_SELECTORS}", _SELECTORS),
    "caesar": _side("inputs", "notes", f"ask {_caesar(NAME)} to call", _caesar(NAME)),
    "codes of letters": _side("outputs", "result", " ".join(str(ord(c)) for c in NAME)),
    "birth as an appointment": _side("inputs", "appointment_datetime", "1961-03-12T00:00Z"),
    "birth as a beginning": _run("user_turn", "start_time", "1961-03-12T00:00:00.000000Z", "1961-03-12"),
    "birth as an event's time": _run("agent_turn", "events", [{"name": "new_token", "time": "1961-03-12T00:00:00.000000Z"}], "1961-03-12"),
}
"""More leaks, of kinds that nobody had in mind while the scan was written."""


def leaky(
    n: int, seed: int = 1, plants: dict[str, Plant] = PLANTS
) -> tuple[list[list[dict[str, object]]], dict[str, tuple[str, tuple[str, ...]]]]:
    """``n`` calls of which one for each plant leaks, spread over the store.

    Returns:
        The calls; and by plant, the trace that holds it and the values that no output may hold.
    """
    made = list(invent(n, seed))
    places = Random(seed).sample(range(n), len(plants))
    where = {}
    for at, (what, plant) in zip(places, plants.items(), strict=True):
        where[what] = (str(made[at][0]["trace_id"]), plant(made[at]))
    return made, where


def write_jsonl(path: Path, made: list[list[dict[str, object]]]) -> Path:
    """An export: one run a line."""
    with path.open("w", encoding="utf-8") as file:
        for call in made:
            for run in call:
                file.write(json.dumps(run, ensure_ascii=False) + "\n")
    return path
