"""What is a finding by its form, what hides in a wrapping, what only neighbours tell together, and what a number may be."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit import content, figures
from audit.scan import Scanner
from phi_guard.detect import PatternDetector
from phi_guard.model import Detection

NAME, PHONE = "Ada Byron", "+41 79 555 01 23"
WAV = b"RIFF\x24\x08\x00\x00WAVEfmt \x10\x00\x00\x00" + bytes(range(256)) * 4
CLEAN = (
    "mild fever since last weekend", "called about <REDACTED>…", "Rest and drink. Mail <REDACTED> if it lasts.", "Patient: fever, cough",
    '{"status": "confirmed"}', '["a cough", "a fever"]', "10:30 to 11:00", "Note: see https://clinic.example/opening-hours",
    "CONF-1234", "https://clinic.example/advice.html", "10 % of 20", "yes", "", "{}", '""', "a" * 300, "deadbeef",
)  # fmt: skip


def b64(text):
    return base64.b64encode(text if isinstance(text, bytes) else text.encode()).decode()


FORMS = {
    "wav": (b64(WAV), "AUDIO"),
    "wav in a text": (f"heard {b64(WAV)} today", "AUDIO"),
    "wav, safe alphabet": (base64.urlsafe_b64encode(WAV).decode(), "AUDIO"),
    "wav in hex": (WAV[:40].hex(), "AUDIO"),
    "ogg": (b64(b"OggS\x00\x02" + bytes(60)), "AUDIO"),
    "mp3": (b64(b"ID3\x04" + bytes(60)), "AUDIO"),
    "mp3 frames": (b64(b"\xff\xfb" + bytes(range(256)) * 2), "AUDIO"),
    "flac": (b64(b"fLaC" + bytes(60)), "AUDIO"),
    "webm": (b64(b"\x1aE\xdf\xa3" + bytes(60)), "AUDIO"),
    "raw": ("RIFFxxxxWAVEfmt ", "AUDIO"),
    "jpeg": (b64(b"\xff\xd8\xff\xe0" + bytes(60)), "IMAGE"),
    "data url": ("data:audio/webm;codecs=opus;base64,GkXf", "AUDIO"),
    "data url, picture": ("see data:image/png;base64,iVBO", "IMAGE"),
    "random bytes": (b64(bytes((i * 89 + 41) % 251 for i in range(300))), "BINARY"),
    "address of a recording": ("https://store.example/calls/17.wav?sig=a", "RECORDING_URL"),
    "address of an egress": ("s3://bucket/egress/room-17", "RECORDING_URL"),
    "dialogue": ("Caller: I have a cough\nAgent: since when", "TRANSCRIPT"),
    "dialogue in one line": ("user: i have a cough. assistant: since when?", "TRANSCRIPT"),
    "dialogue with times": ("[00:01] Patient: hi\n[00:03] Doctor: hello", "TRANSCRIPT"),
}


@pytest.mark.parametrize("form", FORMS)
def test_forms(form, scanner, made):
    """Sound, pictures, bytes, recordings and talk are findings wherever they stand, whatever is in them."""
    text, entity = FORMS[form]
    assert entity in {f.entity for f in content.forms(text)}
    run = made.call()[5]
    run["outputs"]["result"] = text
    assert entity in {f.entity for f in scanner.scan(run) if f.path == "outputs.result" and f.severity == "high"}
    other = made.call()[4]
    other["tags"] = [text]
    assert {f.entity for f in scanner.scan(other)} == {entity}


@pytest.mark.parametrize("text", CLEAN, ids=range(len(CLEAN)))
def test_clean_texts_have_no_form(text):
    """What a clinic's tools answer is none of these."""
    assert content.forms(text) == []


def test_a_long_text_is_a_suspicion(scanner, made):
    """Eight sentences may be advice, or what somebody said: told, and failing nothing."""
    run = made.call()[5]
    run["outputs"]["result"] = "You should rest well and drink a lot of water. " * 9
    assert [(f.entity, f.severity) for f in scanner.scan(run)] == [("TRANSCRIPT", "low")]


@pytest.mark.parametrize("conversation", [[{"role": "user", "content": "hi"}], {"speaker": "a", "text": "hi"}], ids=["list", "one"])
def test_a_conversation_as_json(scanner, made, conversation):
    """Messages as agents' libraries keep them are a finding, even where each key and text is harmless."""
    run = made.call()[5]
    run["outputs"]["result"] = json.dumps(conversation)
    assert ("outputs.result~json", "TRANSCRIPT") in {(f.path, f.entity) for f in scanner.scan(run)}


WRAPPINGS = {
    "json": lambda text: json.dumps([text]),
    "json string": json.dumps,
    "base64": b64,
    "base64, UTF-16": lambda text: b64(text.encode("utf-16-le")),
    "hex": lambda text: text.encode().hex(),
    "url": lambda text: quote(text, safe=""),
}


def _result(scanner, made, text):
    run = made.call()[5]
    run["outputs"]["result"] = text
    return scanner.scan(run)


@pytest.mark.parametrize("outer", WRAPPINGS)
@pytest.mark.parametrize("inner", WRAPPINGS)
def test_wrappings_are_undone_one_in_the_other(inner, outer, scanner, made):
    """What a text hides is scanned as what it is, and the path tells the way."""
    once = WRAPPINGS[inner](f"call {PHONE} today")
    twice = WRAPPINGS[outer](once)
    found = _result(scanner, made, twice)
    kinds = (outer, inner) if twice != once else (inner,)  # base64 without padding is its own URL-encoding
    way = "~".join(kind.split(",")[0].split(" ")[0] for kind in kinds)
    assert {f.path.replace("[0]", "") for f in found} & {f"outputs.result~{way}"}, [f.path for f in found]


@pytest.mark.parametrize(("depth", "last"), [(content.DEPTH_MAX, PHONE), (content.DEPTH_MAX + 1, None), (16, None)])
def test_depth(depth, last, scanner, made):
    """Eight wrappings are undone; one more is a finding for that alone."""
    text = f"call {PHONE}"
    for _ in range(depth):
        text = b64(text) if len(text) < 3_000 else json.dumps([text])
    found = _result(scanner, made, text)
    deep = [f.path.count("~") for f in found if f.source.startswith("content.depth")]
    assert deep == ([] if last else [content.DEPTH_MAX])
    if last:
        assert any(f.length == len(last) and f.path.count("~") == depth for f in found)


@pytest.mark.parametrize("text", ['{"status": "confirmed"}', b64("rest and drink"), quote("rest & drink"), json.dumps(["a cough"])])
def test_a_harmless_text_in_a_wrapping_is_clean(text, policy, made):
    """To be wrapped is no fault by itself; that a coded word is in no list is what the vocabulary finds, before the gate and here."""
    find = PatternDetector().find
    assert _result(Scanner(policy, find, find, project="clinic-dev", key=made.KEY), made, text) == ()


SEAMS = {
    "phone over two fields": ({"notes": "call 079 55", "reason_for_visit": "501 23 please"}, "seam"),
    "phone cut anywhere": ({"notes": "call 0795", "reason_for_visit": "5501 please"}, "seam"),
    "mail over two fields": ({"notes": "mail ada.by", "reason_for_visit": "ron@example.org"}, None),
    "name over two fields": ({"notes": "Lord", "reason_for_visit": "Qadvar"}, "seam"),
    "a digit an item": ({"notes": list("0795550123")}, "seam"),
    "two digits an item": ({"notes": ["41", "79", "55", "50", "12", "3"]}, "seam"),
    "a letter an item": ({"notes": list("LordQadvar")}, "seam"),
}


class KnowsAWhole:
    """The patterns, and a name that only both its words make."""

    def find(self, text):
        found = list(PatternDetector().find(text))
        for name in ("Lord Qadvar", "LordQadvar"):
            if (at := text.find(name)) >= 0:
                found.append(Detection(at, at + len(name), "PERSON", 1.0, "t"))
        return found


@pytest.mark.parametrize("seam", SEAMS)
def test_what_only_neighbours_tell(seam, policy, made):
    """A value in pieces is found at the seam, though every piece alone is harmless."""
    inputs, place = SEAMS[seam]
    scanner = Scanner(policy, KnowsAWhole().find, PatternDetector().find, project="clinic-dev", key=made.KEY)
    run = made.call()[5]
    run["inputs"] = inputs
    found = [f for f in scanner.scan(run) if f.place == place or place is None]
    assert found, scanner.scan(run)
    assert place is None or "+" in found[0].path


def test_clean_neighbours_are_clean(scanner, made):
    """Two harmless texts side by side stay so, as do the numbers of two fields that have a detection alone."""
    run = made.call()[5]
    run["inputs"] = {"notes": "called about a fever since 3 days", "reason_for_visit": "2 weeks of cough", "symptoms": ["a", "b"]}
    assert [f for f in scanner.scan(run) if f.place == "seam"] == []


@pytest.mark.parametrize(
    ("value", "told"),
    [(19751210, ("DATE_TIME", "high")), (10121975, ("DATE_TIME", "high")), (41795550, ("UNEXPLAINED", "medium")),
     (86_000_000, ("UNEXPLAINED", "medium")), (10_000_001.5, ("UNEXPLAINED", "low")), (0, None), (9_999_999, None), (612.25, None)],
)  # fmt: skip
def test_numbers_larger_than_likely(value, told, scanner, made):
    """A date or a number of somebody's in a measure is told, though the measure's bounds have room for it."""
    run = made.call()[4]
    run["extra"]["metadata"]["ttft_ms"] = value
    assert [(f.entity, f.severity) for f in scanner.scan(run)] == ([told] if told else [])


def test_figures():
    """Short numbers and fractions are nobody's."""
    assert figures.told(1234) == ("UNEXPLAINED", "low")
    assert not figures.is_date("19751310")
    assert not figures.is_date("1975")


class Roster:
    """Knows one patient, by an ordinary word and by a number."""

    def find(self, text):
        words = {"Grace": "ROSTER_NAME", "grace": "ROSTER_NAME", "300417": "ROSTER_MRN"}
        return [Detection(text.index(w), text.index(w) + len(w), entity, 1.0, "roster") for w, entity in words.items() if w in text]


@pytest.mark.parametrize(
    ("change", "path", "place"),
    [
        ({"inputs": {"notes": "about the grace period"}}, "inputs.notes", "text"),
        ({"inputs": {"notes": b64("about the grace period")}}, "inputs.notes~base64", "text"),
        ({"tags": ["Grace"]}, "tags[0]", "tag"),
        ({"name": "tool.Grace"}, "name", "name"),
        ({"inputs": {"Grace": "<REDACTED>"}}, "inputs.?0", "key"),
        ({"inputs": {"notes": 300417}}, "inputs.notes", "number"),
        ({"extra": {"metadata": {"room_sid": "RM_Grace123"}}}, "extra.metadata.room_sid", "metadata"),
        ({"extra": {"metadata": {"input_tokens": 300417}}}, "extra.metadata.input_tokens", "number"),
        ({"extra": {"metadata": {"deployment": "grace"}}}, "extra.metadata.deployment", "metadata"),
        ({"extra": {"metadata": {"deployment": "grace-realtime"}}}, "extra.metadata.deployment", "metadata"),
    ],
)
def test_the_roster_is_looked_up_everywhere(policy, detectors, made, change, path, place):
    """A patient is found by name or number in places that are of a known shape, too; without a roster these pass."""
    run = made.call()[5] | change
    bare, scanner = (
        Scanner(policy, detectors.strict, detectors.patterns, project="clinic-dev", key=made.KEY, find_roster=roster)
        for roster in (None, Roster().find)
    )
    found = [f for f in scanner.scan(run) if f.path == path]
    assert [(f.place, f.entity[:6], f.severity) for f in found] == [(place, "ROSTER", "high")]
    assert "roster" in found[0].source
    without = [f for f in bare.scan(run) if f.path == path]
    assert bool(without) == (found[0].source != "roster")  # what is out of place is told in any case
    assert not any("roster" in f.source or f.entity.startswith("ROSTER") for f in without)


def test_suspicions_are_low(policy, detectors, made):
    """What only the lowest thresholds give is told apart; where a detector is sure, it is not told twice."""

    class Doubts:
        def find(self, text):
            return [Detection(m, m + 5, "PERSON", 0.01, "doubt") for m in (text.find("fever"), text.find("Byron")) if m >= 0]

    scanner = Scanner(policy, detectors.strict, detectors.patterns, project="clinic-dev", key=made.KEY, find_suspicions=Doubts().find)
    run = made.call()[5]
    run["inputs"]["notes"] = "Byron has a fever"
    assert [(f.start, f.severity) for f in scanner.scan(run)] == [(0, "high"), (12, "low")]


def test_many_at_once_are_as_one_by_one(policy, made):
    """A batch gives what each run gives by itself, also where what is found leads to further texts."""

    class Many:
        def __init__(self):
            self._inner, self.batches = made.KnowsThePool(), []

        def find(self, text):
            return self._inner.find(text)

        def find_many(self, texts):
            self.batches.append(len(texts))
            return [self._inner.find(text) for text in texts]

    runs = [run for n in range(9) for run in made.call(n)]
    for n, run in enumerate(runs):
        if run["name"].startswith("tool."):
            run["inputs"]["notes"] = [f"call {n}", json.dumps({"notes": b64(f"for {NAME} {n}")})]
            run["tags"] = [f"tag of {NAME}"]
    detector = Many()
    args = {"project": "clinic-dev", "key": made.KEY}
    many = Scanner(policy, detector.find, PatternDetector().find, **args).scan_many(runs)
    single = Scanner(policy, made.KnowsThePool().find, PatternDetector().find, **args)
    assert many == [single.scan(run) for run in runs]
    assert max(detector.batches) > 9


_JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
_SIDES = ["inputs", "outputs", "extra", "events", "tags", "error", "name", "attachments", "serialized", "session_name", "id", "other"]


@settings(max_examples=120, deadline=None)
@given(
    junk=_JSON,
    side=st.sampled_from(_SIDES),
    n=st.integers(0, 6),
    wraps=st.lists(st.sampled_from([*WRAPPINGS, "list", "mapping"]), max_size=5),
    value=st.sampled_from([PHONE, NAME, "ada.byron@example.org", "MRN 00123456", "756.1234.5678.97", "1975-12-10"]),
)
def test_a_value_anywhere_in_any_wrapping_is_found(policy, made, junk, side, n, wraps, value):
    """Whatever stands around it and however it is wrapped, an identifying value in a run gives a finding that fails."""
    run = made.call()[n]
    held: object = f"call {value} today"
    for wrap in wraps:
        if wrap == "list":
            held = [junk, held]
        elif wrap == "mapping":
            held = {"<REDACTED_KEY_1>": junk, "result": held}
        else:
            held = WRAPPINGS[wrap](held if isinstance(held, str) else json.dumps(held))
    run[side] = {"result": held} if side in {"inputs", "outputs"} and run["name"].startswith("tool.") else held
    scanner = Scanner(policy, made.KnowsThePool().find, PatternDetector().find, project="clinic-dev", key=made.KEY)
    assert any(f.severity != "low" for f in scanner.scan(run))
