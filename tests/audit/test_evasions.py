"""Ways past the scan: a patient's data in places, forms and disguises that look like a trace's own; and what none of it may cost."""

from __future__ import annotations

import time

import pytest

from audit import content, figures, structure
from audit.detectors import open_detectors
from audit.scan import Scanner

NAME = "Ottilie Quarrendon"
TALK = "i have had a cough since last week"
BRAILLE = "".join(dict(zip("adeilnoqrtu", "⠁⠙⠑⠊⠇⠝⠕⠟⠗⠞⠥", strict=True)).get(c, c) for c in NAME.lower())

IN_TEXT = {
    "letters in discs": "".join(chr(0x24D0 + ord(c) - 97) if c.isalpha() else c for c in NAME.lower()),
    "flags": "".join(chr(0x1F1E6 + ord(c) - 97) if c.isalpha() else c for c in NAME.lower()),
    "Braille": BRAILLE,
    "private use": "".join(chr(0xE000 + ord(c)) for c in NAME),
    "Morse": "--- - - .. .-.. .. . / --.- ..- .- .-. .-. . -. -.. --- -.",
    "unseen bits": "ok" + "".join("\u200b\u200c"[int(b)] for c in NAME for b in f"{ord(c):08b}"),
    "blanks and tabs": "ok" + "".join(" \t"[int(b)] for c in NAME for b in f"{ord(c):08b}"),
    "initials and a mask": "O****** Q*********",
    "the last digits": "card ****4417",
    "the last digits after x": "XXXX 4417",
    "labels in bold": "**User**: hello\n**Assistant**: since when\n**User**: last week",
    "a chat template": f"<|im_start|>user\n{TALK}<|im_end|>\n<|im_start|>assistant\nsince when<|im_end|>",
    "arrows": f"> {TALK}\n< since when\n> monday",
    "no label": "Hello. I have had a cough since last week. Since when exactly? Since Monday I think. Do you smoke? No I never did. "
    "Then come on Tuesday. All right thank you. Goodbye. See you then. Bye.",
    "no label and no stop": f"hello {TALK} and since when exactly since monday i think do you smoke no i never did then come on "
    "tuesday all right thank you goodbye see you then bye and i also wanted to ask about my prescription because it ran out",
    "German labels": "Anruferin: ich habe Husten\nPraxis: seit wann\nAnruferin: seit Montag",
}
"""Texts of a field that the policy lets pass; none holds a word or a number that a detector of names or numbers is asked about as it is."""

ADVICE = (
    "Do you have a fever? Rest and drink. Call us if it does not get better after three days, or if you find it hard to breathe. "
    "Get well soon, and thank you for asking our clinic about it today."
)
CLEAN = (
    ADVICE, "| day | opens |\n| --- | --- |\n| Monday | 08:00 |", "- rest\n- drink\n- come back on Monday",
    "** Please note ** we are closed", "2 * 3 * 4", "open 08:00 -- 17:00 ... every day",
    "Family \U0001f468\u200d\U0001f469\u200d\U0001f467 clinic",
    "England \U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f", "see: https://clinic.example/advice",
    "a - b - c . d . e", "<b>Rest</b>",
)  # fmt: skip

IN_PLACE = {
    "a date as a cost": (4, {"cost_usd": 19610.312}, "extra.metadata.cost_usd"),
    "a number as a key": (5, {"inputs": {"<REDACTED_KEY_795550>": "<REDACTED>"}}, "inputs.?0"),
    "a number behind a nought as a key": (5, {"inputs": {"<REDACTED_KEY_01>": "<REDACTED>"}}, "inputs.?0"),
    "a number as tokens": (4, {"prompt_tokens": 7_955_501}, "prompt_tokens"),
    "a number as an order": (4, {"execution_order": 7_955_501}, "execution_order"),
    "a name in an address": (0, {"app_path": "/o/ottilie/quarrendon"}, "app_path"),
    "a birthday as a beginning": (4, {"start_time": "1961-03-12T10:00:00Z"}, "start_time"),
    "a birthday as an appointment": (5, {"inputs": {"appointment_datetime": "1961-03-12T00:00Z"}}, "inputs.appointment_datetime"),
}


def scanned(scanner, run):
    return [f for f in scanner.scan(run) if f.severity != "low"]


@pytest.mark.parametrize("what", IN_TEXT)
def test_what_a_text_hides_is_found(what, scanner, made):
    """However it is hidden, a name, a rest of a number or talk in a free text fails."""
    run = made.call()[5]
    run["outputs"]["result"] = IN_TEXT[what]
    assert [f for f in scanned(scanner, run) if f.path == "outputs.result"]


@pytest.mark.parametrize("text", CLEAN, ids=range(len(CLEAN)))
def test_clean_texts_have_no_certain_form(text):
    """Advice, tables, lists, signs and emoji are what they seem."""
    assert [form for form in content.forms(text) if form.certain] == []


@pytest.mark.parametrize("text", ["Q: what of a cough?\nA: rest", "- since when?\n- since monday"], ids=["questions", "dashes"])
def test_what_may_be_talk_or_a_page_is_a_suspicion(text):
    """Questions with answers stand on a clinic's pages, too."""
    assert [(form.entity, form.certain) for form in content.forms(text)] == [("TRANSCRIPT", False)]


@pytest.mark.parametrize("what", IN_PLACE)
def test_what_a_place_hides_is_found(what, scanner, made):
    """A value that has the shape of its place, and is none that a call would have there."""
    n, change, path = IN_PLACE[what]
    run = made.call()[n]
    if "metadata" in path:
        run["extra"]["metadata"] |= change
    else:
        run |= change
    assert path in {f.path for f in scanned(scanner, run)}


def test_stand_ins_are_counted():
    """As many as a mapping has keys, and no more."""
    assert structure.is_stand_in("<REDACTED_KEY_2>", 2)
    assert not structure.is_stand_in("<REDACTED_KEY_3>", 2)
    assert figures.told(1000.5) == ("UNEXPLAINED", "low")


def test_many_keys_cost_no_hours(policy, detectors, made):
    """Ten thousand unknown keys are ten thousand findings; the detectors are asked to name the first of them."""
    asked = []

    def find(text):
        asked.append(text)
        return detectors.strict(text)

    run = made.call()[5]
    run["inputs"] = {f"k{n}": "" for n in range(10_000)} | {NAME: "yes"}
    found = scanned(Scanner(policy, find, detectors.patterns, project="clinic-dev", key=made.KEY), run)
    assert len(found) >= 10_001
    assert len(asked) < 1_000


PIECES = (
    "a", "a*", ".", "-", "- ", ". ", " \t", "?", "https://", "data:audio/a;", "\n>", "\n     > a", "Q: a\n", "user: ", "*", "x", "1", "<|a",
    "I hi? ", "- a\n", "\u200b", "\u2801", ".- ", "aB3", "%41", "[",
)  # fmt: skip


@pytest.mark.parametrize("piece", PIECES, ids=[ascii(piece) for piece in PIECES])
def test_no_text_costs_the_square_of_its_length(piece):
    """Eight times as long costs less than thirty times as much; the square would be sixty-four. The best of three, in processor time."""

    def cost(length):
        text = piece * (length // len(piece))
        best = []
        for _ in range(3):
            begun = time.process_time()
            content.forms(text)
            list(content.unwrapped(text))
            best.append(time.process_time() - begun)
        return min(best)

    assert cost(40_000) < 30 * cost(5_000) + 0.05


def test_a_text_of_a_megabyte_is_found_and_read_in_part(made):
    """What lies beyond three pages is a finding, not read by any layer; the slowest of them would take a minute."""
    detectors = open_detectors()
    text = "the cough is better now " * 43_000 + NAME
    begun = time.process_time()
    found = detectors.strict(text)
    assert [d.entity for d in found if d.end == len(text)] == ["UNREADABLE"]
    assert detectors.suspicions is not None
    assert [d.entity for d in detectors.suspicions(text) if d.end == len(text)] == ["UNREADABLE"]
    assert time.process_time() - begun < 30
