"""What tools return: JSON in strings, rows, URLs, errors with ids inside. Nothing of a patient survives in the cleared body."""

from __future__ import annotations

import base64
import json
import re
import urllib.parse

import pytest

from phi_guard import Cleared, Payload, load_policy, open_gate
from phi_guard.policy import shipped

FIRST, LAST, PHONE, MRN, MAIL, BORN = "Deshawn", "Pettigrew", "4155550171", "88417263", "d.pettigrew@example.org", "1961-11-02"
NAME = f"{FIRST} {LAST}"
VALUES = (FIRST, LAST, PHONE, "415-555-0171", "555-0171", MRN, MAIL, BORN, "11/02/1961")

TEXTS = {
    "JSON": json.dumps({"patient": NAME, "tel": PHONE, "mrn": MRN}),
    "JSON in JSON in JSON": json.dumps({"a": json.dumps({"b": json.dumps({"patient": NAME, "tel": int(PHONE)})})}),
    "JSON strings in each other": json.dumps(json.dumps(json.dumps({"note": f"call {NAME} at 415-555-0171"}))),
    "JSON cut off": f'{{"patient": "{NAME}", "tel": "{PHONE}", "mrn": {MRN}',
    "JSON escaped in a sentence": f'payload was {{\\"patient\\": \\"{NAME}\\", \\"tel\\": \\"{PHONE}\\"}} and failed',
    "names for keys": json.dumps({NAME: 1, PHONE: 2, "deshawn_pettigrew": {"visits": 3}}),
    "numbers": json.dumps({"n": int(PHONE), "x": float(PHONE), "m": int(MRN)}),
    "numbers in a sentence": f"value {PHONE} rejected, {PHONE}.0 too, and mrn {MRN}",
    "split fields": f"args={ {'first': FIRST, 'last': LAST, 'area': 415, 'num': 5550171} }",
    "characters": json.dumps(list(NAME)),
    "characters in a sentence": f"chars {list(NAME)} and digits {list(PHONE)}",
    "bytes": f"got {PHONE.encode()!r} from {NAME.encode()!r}",
    "path": "GET /patients/deshawn-pettigrew/appointments 404",
    "query": f"404 Not Found for url: https://ehr.example.org/Patient?name={FIRST}&family={LAST}&telecom={PHONE}",
    "file": "could not open C:\\\\records\\\\deshawn_pettigrew_1961-11-02.pdf",
    "KeyError": f"KeyError: 'patient {NAME} not found'",
    "KeyError, family name alone": f"KeyError: '{LAST.lower()}'",
    "unique constraint": f"psycopg.errors.UniqueViolation: duplicate key\nDETAIL:  Key (phone)=({PHONE}) already exists.",
    "failing row": f"DETAIL:  Failing row contains (17, {FIRST}, {LAST}, {BORN}, 415-555-0171, {MRN}, null).",
    "query text": f"SELECT * FROM patients WHERE last_name = '{LAST}' AND dob = '{BORN}' AND mrn = {MRN}",
    "parameters": f"[parameters: {{'name': '{NAME}', 'mrn': {MRN}}}]",
    "validation": f"1 validation error for Booking\nphone\n  Value error [type=value_error, input_value='{PHONE}', input_type=str]",
    "traceback": f'Traceback:\n  File "/srv/{LAST.lower()}/book.py", line 12, in book\nLookupError: {NAME} ({MRN})',
    "log": f"2026-11-02T10:00:01Z ERROR book patient={FIRST}.{LAST} tel={PHONE} mrn={MRN}",
    "table": f"id,first,last,phone\n1,{FIRST},{LAST},{PHONE}",
    "markup": f'<Patient><given>{FIRST}</given><family>{LAST}</family><telecom value="{PHONE}"/></Patient>',
    "message segment": f"PID|1||{MRN}^^^HOSP^MR||{LAST.upper()}^{FIRST.upper()}^^^||19611102|M|||||{PHONE}",
    "token": "eyJhbGciOiJub25lIn0." + base64.urlsafe_b64encode(json.dumps({"name": NAME}).encode()).decode().rstrip("=") + ".",
    "telephone address": f"sip:+1{PHONE}@trunk.example.com left room call-_+1{PHONE}_x7Kq",
}
OBJECTS = {
    "mapping": {"patient": NAME, "tel": int(PHONE)}, "number": int(PHONE), "float": float(PHONE), "bytes": NAME.encode(),
    "characters": list(NAME), "digits": [int(c) for c in PHONE], "code points": list(NAME.encode()),
    "names for keys": {NAME: 1, int(PHONE): 2},
    "tuple": (FIRST, LAST), "nested": [{"a": [{"b": NAME}]}], "split": {"first": FIRST, "last": LAST, "area": 415, "num": 5550171},
    "exception": KeyError(NAME),
}  # fmt: skip
PLACES = (("book_appointment", "outputs", "result"), ("cancel_appointment", "inputs", "reason"), ("book_appointment", "inputs", "notes"))


@pytest.fixture(scope="module")
def gate():
    return open_gate(load_policy(shipped("clinic.yaml")))


def spellings(value):
    """A value as it may stand in a body: ten ways, each in lower case."""
    raw = value.encode()
    ways = (
        value, value.replace("-", ""), value.replace("-", " "), value.replace("-", "."), value[::-1], raw.hex(),
        base64.b64encode(raw).decode().rstrip("=")[:-1], urllib.parse.quote(value, safe=""), " ".join(value),
        "".join(f"\\u{c:04x}" for c in raw),
    )  # fmt: skip
    return {way.lower() for way in ways}


SPELLINGS = set().union(*map(spellings, VALUES))


def left(gate, value, place):
    """The spellings that survive in the cleared body, or in it without its punctuation."""
    tool, side, field = place
    outcome = gate.clear(Payload("tool", f"tool.{tool}", {side: {field: value}}))
    assert isinstance(outcome, Cleared)
    body = outcome.body.decode().lower()
    assert f'"{field}"' in body  # the field itself is there: cleared, not lost
    bare = re.sub(r"[^a-z0-9]", "", body)
    return {s for s in SPELLINGS if s in body} | {v for v in (FIRST.lower(), LAST.lower(), PHONE, MRN) if v in bare}


@pytest.mark.parametrize("kind", TEXTS)
def test_nothing_survives_in_a_free_text(gate, kind):
    """A tool's plain result, which is scanned."""
    assert left(gate, TEXTS[kind], PLACES[0]) == set()


@pytest.mark.parametrize("kind", ["JSON in JSON in JSON", "KeyError", "failing row", "log"])
@pytest.mark.parametrize("place", PLACES[1:], ids=lambda place: place[2])
def test_nothing_survives_in_any_free_field(gate, kind, place):
    """A field that is cut, and one that is not."""
    assert left(gate, TEXTS[kind], place) == set()


@pytest.mark.parametrize("kind", OBJECTS)
def test_nothing_survives_of_an_object_where_a_text_belongs(gate, kind):
    """No detector can judge it, so it is not sent."""
    assert left(gate, OBJECTS[kind], PLACES[0]) == set()


def test_harmless_structure_is_sent(gate):
    """The gate that redacts all would pass every test above."""
    outcome = gate.clear(Payload("tool", "tool.book_appointment", {"outputs": {"result": "request timed out, please try again later"}}))
    assert "please try again later" in outcome.body.decode()
