"""Attacks on the gate: objects that lie, containers in disguise, names in other spellings, and values made to take for ever."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import replace

import pytest

from phi_guard import MARKER, Cleared, Payload, SealBroken, Withheld, load_policy
from phi_guard.detect.patterns import PatternDetector
from phi_guard.gate import Gate
from phi_guard.known_values import TERMS_MAX, KnownValues
from phi_guard.policy import shipped
from phi_guard.redact import JUDGED_MAX, JUDGED_MIN, NODES_MAX, plain, redact_tool
from phi_guard.scrub import MARKS_MAX, scrub

POLICY = load_policy(shipped("clinic.yaml"))
CANARY = "Zqxjk"
TRACE = "01890000-0000-7000-8000-000000000001"
SPAN = "01890000-0000-7000-8000-000000000002"
RUN = {
    "id": SPAN,
    "trace_id": TRACE,
    "dotted_order": f"20251115T140000000000Z{TRACE}.20251115T140001000000Z{SPAN}",
    "run_type": "chain",
    "session_name": "medical-voice-agent-dev",
    "start_time": "2025-11-15T14:00:01.000000Z",
}


@pytest.fixture(scope="module")
def gate():
    return Gate(POLICY, PatternDetector(), key=b"k" * 32)


def nothing(_):
    """A detector that finds nothing: what is redacted without it is redacted by the walk alone."""
    return []


def redact(find=nothing, tool="book_appointment", policy=POLICY, **data):
    return redact_tool(policy, tool, data, find).value


def liar(text, like):
    """A string that is ``text`` and claims to be ``like`` to whoever compares it."""

    class Liar(str):
        __slots__ = ()

        def __eq__(self, other):
            return other == like

        def __hash__(self):
            return hash(like)

        def __str__(self):
            return text

        def __len__(self):
            return len(like)

        def split(self, *_):
            return [like]

    return Liar(text)


def texts(outcome):
    """Everything of an outcome that could be stored, sent or printed."""
    cleared = outcome if isinstance(outcome, Cleared) else outcome.skeleton
    return f"{cleared.kind}{cleared.name}{cleared.policy}{cleared.notes!r}{outcome!r}" + cleared.body.decode()


@pytest.mark.parametrize(
    "payload",
    [
        Payload("tool", "tool.book_appointment", {"inputs": {liar(CANARY, "notes"): "fever"}}),
        Payload("tool", "tool.book_appointment", {"inputs": {"doctor_name": liar(CANARY, "Dr. Lee")}}),
        Payload("tool", "tool.get_opening_hours", {"outputs": {"opens": liar(CANARY, "08:00")}}),
        Payload("span", liar(CANARY, "user_turn"), RUN),
        Payload(liar(CANARY, "span"), "user_turn", RUN),
        Payload("span", "user_turn", {**RUN, "session_name": liar(f"{CANARY} came", "project")}),
        Payload("span", "user_turn", {**RUN, "extra": {"metadata": {"status": liar(CANARY, "ok"), liar(CANARY, "env"): "dev"}}}),
        Payload("span", "user_turn", {**RUN, "extra": {"metadata": {"redactions": {liar(CANARY, "notes"): 1}}}}),
    ],
)
def test_a_string_that_lies_about_itself_is_judged_by_what_it_holds(gate, payload):
    """A subclass may say one thing when compared and another when written; only the writing counts."""
    assert CANARY not in texts(gate.clear(payload))


def test_a_string_of_another_class_is_still_a_string(gate):
    """Libraries mark strings by subclasses of their own; their values are kept and redacted like any other."""
    cleared = gate.clear(Payload("tool", "tool.book_appointment", {"inputs": {"doctor_name": type("Marked", (str,), {})("Dr. Lee")}}))
    assert json.loads(cleared.body) == {"inputs": {"doctor_name": "Dr. Lee"}}


@pytest.mark.parametrize("honest", [1, 2, 3, 4])
def test_data_that_changes_between_two_looks_is_looked_at_once(gate, honest):
    """What is judged is what is sent, even where the mapping answers differently the next time."""

    class Fickle(dict):
        asked = 0

        def get(self, key, default=None):
            return self[key] if key in self else default  # noqa: SIM401  # so that both ways of asking are counted

        def __getitem__(self, key):
            self.asked += key == "session_name"
            return f"{CANARY} came" if key == "session_name" and self.asked > honest else dict.__getitem__(self, key)

    assert CANARY not in texts(gate.clear(Payload("span", "user_turn", Fickle(RUN))))


def test_stored_bytes_of_another_class_are_not_known(gate):
    """Bytes that show the seal one content and the sink another are refused."""
    cleared = gate.clear(Payload("span", "user_turn", RUN))

    class Two(bytes):
        def __radd__(self, head):
            return head + cleared.body

    with pytest.raises(SealBroken):
        gate.restore(kind=cleared.kind, name=cleared.name, body=Two(b"evil"), policy=cleared.policy, seal=cleared.seal)


def _shared():
    value = [CANARY]
    for _ in range(60):
        value = [value, value]
    return value


def _cyclic():
    value = {"notes": CANARY}
    value["result"] = [value, value]
    return value


@pytest.mark.parametrize("make", [_shared, _cyclic, lambda: [[1] * 1_000] * 1_000])
def test_a_value_that_holds_itself_many_times_is_walked_only_so_far(gate, make):
    """Two to the sixtieth parts out of sixty lists: the walk ends, and what it did not reach is not sent."""
    began = time.monotonic()
    outcome = gate.clear(Payload("tool", "tool.book_appointment", {"outputs": {"result": make()}}))
    assert time.monotonic() - began < 20
    assert isinstance(outcome, Cleared | Withheld)
    assert len(texts(outcome)) < 100 * NODES_MAX


def test_a_copy_keeps_what_json_knows_and_nothing_else():
    """Python's own types come through unchanged; an object of any other class comes through as nothing a rule keeps."""
    given = {"a": [1, 2.5, True, None, "x"], "b": ("y", {"c": 1})}
    assert plain(given) == {"a": [1, 2.5, True, None, "x"], "b": ["y", {"c": 1}]}
    assert redact(outputs={"result": [b"zqxjk", object(), 1j]}) == {"outputs": {"result": [MARKER] * 3}}


DISGUISES = [
    ' {"patient": "zqxjk"}',
    '{"patient": "zqxjk"}\n',
    '\ufeff{"patient": "zqxjk"}',
    "{'patient': 'zqxjk'}",
    '[{"patient": "zqxjk"},]',
    "[Booking(patient='zqxjk')]",
    "Booking(patient='zqxjk', seat=(1, 2))",
    json.dumps(json.dumps({"patient": "zqxjk"})),
    json.dumps([json.dumps({"patient": "zqxjk"})]),
]


@pytest.mark.parametrize("text", DISGUISES)
@pytest.mark.parametrize(("side", "field"), [("outputs", "result"), ("inputs", "notes")])
def test_a_container_in_a_string_is_no_free_text(text, side, field):
    """Whatever stands around it, and where nobody can read it: keys nobody named lose name and value."""
    sent = json.dumps(redact(**{side: {field: text}}))
    assert "zqxjk" not in sent
    assert "patient" not in sent


def test_brackets_within_a_text_are_only_text():
    """A sentence is not taken for a container."""
    assert redact(outputs={"result": "Rest (two days) [or three]."})["outputs"]["result"] == "Rest (two days) [or three]."


def test_a_name_inside_a_json_string_is_known_in_the_text_beside_it():
    """Learning looks into the same strings as redacting."""
    sent = redact(inputs={"notes": "zqxjk is ill"}, outputs={"result": '{"patient_name": "Zqxjk"}'})
    assert "zqxjk" not in json.dumps(sent).lower()


def test_a_condition_holds_inside_a_json_string_too():
    """The time of the appointment goes where the name is sent in clear, also if the time came as JSON text and was met first."""
    loose = replace(POLICY, fields={**POLICY.fields, "patient_name": replace(POLICY.fields["reason"], field="patient_name")})
    nested = json.dumps({"appointment_datetime": "2027-03-15T14:00Z"})
    sent = redact(policy=loose, outputs={"result": json.dumps([nested])}, inputs={"patient_name": "zqxjk"})
    assert "zqxjk" in json.dumps(sent)
    assert "2027" not in json.dumps(sent)
    assert "2027" in json.dumps(redact(outputs={"result": json.dumps([nested])}))


@pytest.mark.parametrize(
    ("tool", "given"),
    [
        ("cancel_appointment", {"patient_name": "Ada Byron", "confirmation_id": "BYRON-1234"}),
        ("book_appointment", {"dob": "1958-03-03", "appointment_datetime": "1958-03-03T00:00Z"}),
    ],
)
def test_a_kept_value_that_holds_a_known_one_is_not_kept(tool, given):
    """The right shape does not excuse the patient's own name or date in it."""
    sent = redact(tool=tool, inputs=given)["inputs"]
    assert set(sent.values()) == {MARKER}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("Zoë Qadvar", "Zoe came"),
        ("Zoe Qadvar", "Zoe\u0308 came"),
        ("Zoe Qadvar", "ＺＯＥ came"),
        ("O’Neil", "o'neil came"),
        ("O'Neil-Qadvar", "oneil came"),
        ("Marie-Claire", "marie came"),
        ("Qadvar", "file qadvar_1958.pdf"),
        ("Zoe Qadvar", "user zoeqadvar came"),
        ("Qad\u00advar", "qadvar came"),
        ("Li Wu", "Wu came"),
        ("Qadvar <REDACTED>", "qadvar came"),
        ("079 555 01 23", "+41 79 555 01 23"),
        ("+41 79 555 01 23", "079·555·01·23"),
        ("+41 79 555 01 23", "٠٧٩٥٥٥٠١٢٣"),
        ("+41 79 555 01 23", "079\u200b555\u200b01\u200b23"),
    ],
)
def test_a_known_value_is_known_in_another_spelling(value, text):
    """Accents, apostrophes, hyphens, widths, invisible characters, run together or apart, dialled from here or from abroad."""
    known = KnownValues()
    known.add(value, named=True)
    found = known.find(text)
    assert found
    hidden = "".join(" " if any(d.start <= i < d.end for d in found) else c for i, c in enumerate(text))
    assert not any(part in hidden.lower() for part in ("zoe", "wu", "neil", "marie", "qadvar", "555"))


@pytest.mark.parametrize("value", ["the patient", "unknown", "12 Rue des Marronniers, near the clinic", "wu"])
def test_ordinary_words_in_a_named_field_stay_ordinary(value):
    """An address has ``the`` and ``near`` in it, and a model that was told no name writes ``unknown``."""
    known = KnownValues()
    known.add(value, named=True)
    assert known.find("The patient has unknown pain near the hip; wu is nothing") == []


def test_a_flood_of_unknown_values_leaves_room_for_the_name():
    """What nobody named cannot push out what the policy names."""
    known = KnownValues()
    for n in range(TERMS_MAX + 100):
        known.add(f"Word{'x' * (n % 90)}{chr(97 + n % 26)}{chr(97 + n // 26)} {10**9 + n * 7}", named=False)
    known.add("Zqxjk", named=True)
    assert known.find("zqxjk")


def test_more_names_than_can_be_known_make_every_text_suspect():
    """A name that finds no room is not simply forgotten."""
    known = KnownValues()
    for n in range(TERMS_MAX + 1):
        known.add(f"Q{'abcdefghij'[n % 10]}{'abcdefghij'[n // 10 % 10]}{'abcdefghij'[n // 100]}", named=True)
    assert [(d.start, d.end) for d in known.find("any text")] == [(0, 8)]


def test_a_value_learnt_while_another_thread_searches_is_not_lost():
    """The search pattern that is built from yesterday's values does not outlive them."""
    known = KnownValues()
    stop, faults = threading.Event(), []

    def search():
        while not stop.is_set():
            try:
                known.find("text with 12345 in it")
            except RuntimeError as fault:
                faults.append(fault)

    threads = [threading.Thread(target=search) for _ in range(2)]
    for thread in threads:
        thread.start()
    missed = 0
    for n in range(300):
        name = f"Name{'abcdefghij'[n % 10]}{'abcdefghij'[n // 10 % 10]}{'abcdefghij'[n // 100]}"
        known.add(f"{name} {10**6 + n}", named=False)
        missed += not known.find(name) and n < TERMS_MAX // 2
    stop.set()
    for thread in threads:
        thread.join()
    assert (missed, faults) == (0, [])


def test_a_marker_that_was_given_does_not_split_a_word_in_two():
    """No marker of ours stands against a letter or digit; one that does hides a piece of something."""
    assert scrub(f"Qad{MARKER}var came", nothing) == f"{MARKER} came"
    assert scrub(f"call 555{MARKER}01", nothing) == f"call {MARKER}"
    assert scrub(f"call {MARKER}, then rest", nothing) == f"call {MARKER}, then rest"


def test_a_text_full_of_markers_is_redacted_without_a_look():
    """Each stretch between two markers costs a detector's whole run."""
    looked = []
    assert scrub(f"a {MARKER} " * (MARKS_MAX + 1), lambda text: looked.append(text) or []) == MARKER
    assert looked == []


def test_only_so_much_of_one_tool_call_is_judged():
    """A list of ten thousand texts is no way to keep the relay from its work."""
    looked = []
    sent = redact(find=lambda text: looked.append(text) or [], outputs={"result": ["mild cough"] * 10_000})["outputs"]["result"]
    assert sent[0] == "mild cough"
    assert sent[-1] == MARKER
    assert len(looked) <= JUDGED_MAX // JUDGED_MIN
    assert redact(outputs={"result": sent})["outputs"]["result"] == sent


def test_masking_one_long_word_is_not_quadratic():
    """Twenty thousand letters without a space, in which something is found at every third."""
    from phi_guard import Detection

    def find(text):
        return [Detection(n, n + 2, "X", 1.0, "t") for n in range(0, len(text) - 2, 3)]

    began = time.monotonic()
    assert scrub("x" * 20_000, find) == MARKER
    assert time.monotonic() - began < 2


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("deployment", "byron-1958-03-03"),
        ("consent_version", "tel-079-555-01-23"),
        ("ls_model_name", "ssn-987-65-4320"),
        ("withheld", "Ada-Byron"),
        ("room_sid", "RM_41795550123"),
        ("participant_sid", "PA_41795550123"),
        ("agent_version", "0795.550.123"),
        ("started_at", "١٩٥٨-03-03T00:00:00.000000Z"),
    ],
)
def test_a_number_in_the_clothes_of_a_label_is_left_out(gate, key, value):
    """Configuration has room for a version and a date, not for what identifies a person."""
    cleared = gate.clear(Payload("span", "user_turn", {**RUN, "extra": {"metadata": {key: value, "status": "ok"}}}))
    assert json.loads(cleared.body)["extra"]["metadata"] == {"status": "ok"}


@pytest.mark.parametrize(
    "name", ["gpt-realtime", "gpt-4o-realtime-preview-2024-12-17", "gpt-realtime-mini-2025-12-15", "recording-v2", "eu2-rt.4.1"]
)
def test_real_deployments_are_labels(gate, name):
    """What Azure calls its models is not taken for a person."""
    cleared = gate.clear(Payload("span", "user_turn", {**RUN, "extra": {"metadata": {"deployment": name}}}))
    assert json.loads(cleared.body)["extra"]["metadata"] == {"deployment": name}
