"""Planting by itself: where plants go, how they stand there, and what counts as having found one."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from audit import people, planting
from audit.findings import Finding
from audit.known_answers import KnownAnswers, Recall, free_text_slots, prove
from audit.people import disguises
from audit.planting import PLACES, SPLITS, Seeker, _Trial, make
from audit.scan import Scanner
from audit.two_stage import EXTENSION, recall_at_least
from phi_guard.detect import PatternDetector
from phi_guard.model import Detection

NAME = people.KINDS["name"]


def finding(path="inputs.notes", start=0, length=4, *, source="t", severity="high", fingerprint="f"):
    return Finding("r", "t", "tool.x", path, "text", "PERSON", start, length, fingerprint, source, severity)


TRIAL = _Trial({}, None, "inputs.notes", 10, 15)


@pytest.mark.parametrize(
    ("found", "met"),
    [
        (finding(start=9, length=2), True), (finding(start=14, length=1), True), (finding(start=0, length=40), True),
        (finding(start=5, length=5), False), (finding(start=15, length=3), False), (finding(start=30, length=3), False),
        (finding(start=0, length=3), False), (finding("inputs.other", 10, 5), False), (finding(start=10, source="policy.chars"), False),
        (finding("inputs.notes~base64", 0, 3), True), (finding("inputs.notes2", 10, 5), False), (finding("name~json", 10, 5), False),
        (finding(start=10, severity="low"), False), (finding("inputs.notes~json", severity="low"), False),
        (finding(start=10, severity="medium"), True),
    ],
    ids=range(15),
)  # fmt: skip
def test_a_plant_in_a_text_is_found_where_it_stands(found, met):
    """A finding must touch the plant, or lie in what the text hides; a suspicion and the text's length are none."""
    assert TRIAL.shows([found], {}) is met


def test_a_plant_in_a_place_is_found_by_what_is_new():
    """Where the place itself is a finding, only one that the run without the plant has not shows it."""
    base = {"n": 1}
    trial, held = _Trial({}, base), {id(base): frozenset({("name", "f")})}
    assert not trial.shows([finding("name")], held)
    assert trial.shows([finding("name", fingerprint="g")], held)
    assert trial.shows([finding("tags")], held)
    assert not trial.shows([finding("tags", severity="low")], held)


def slots(policy, **rules):
    fields = {**policy.fields, **{name: replace(policy.fields[name], **more) for name, more in rules.items()}}
    return {(side, name): chars for side, name, chars in free_text_slots(replace(policy, fields=fields), "tool.book_appointment")}


def test_slots(policy):
    """Free text stands where a rule searches or cuts it; where a class may pass, a plant of it would show nothing."""
    own = slots(policy)
    assert own["inputs", "notes"] == 50
    assert slots(policy, notes={"action": "scan"})["inputs", "notes"] is None
    assert ("inputs", "notes") not in slots(policy, notes={"allow_entities": frozenset({"LOCATION"})})
    assert ("inputs", "phone") not in own
    assert [*free_text_slots(policy, "book_appointment")] == []


def seeker(policy, made, runs, find=lambda _t: (), bare=None):
    one = Scanner(policy, find, PatternDetector().find, project="clinic-dev", key=made.KEY)
    return Seeker(one, bare or one, runs)


class Notes:
    """A scanner that keeps what it is asked, and finds nothing."""

    def __init__(self, policy):
        self.policy, self.runs = policy, []

    def scan_many(self, runs):
        self.runs += runs
        return [() for _ in runs]


@pytest.fixture
def planted(policy, made):
    """What the scanner was given for so many plants of a class and style, and what the one without naming was."""

    def plant(kind, style, n, policy=policy):
        named, bare = Notes(policy), Notes(policy)
        random = Random(3)
        plants = [make(kind, people.KINDS[kind], style, turn, random) for turn in range(n)]
        assert Seeker(named, bare, made.call()).find(plants) == [False] * n
        return plants, named.runs, bare.runs

    return plant


def test_structural_plants_go_everywhere(planted, made):
    """Each place in turn, and asked of the scanner without naming."""
    plants, named, bare = planted("phone", "structural", len(PLACES))
    assert named == []
    copies = bare[-len(PLACES) :]
    assert all(plant.text in str(run) or plant.text in str(run).replace("\\", "") or "audio_ms" in str(run)
               for plant, run in zip(plants, copies, strict=True))  # fmt: skip
    assert {run["id"] for run in copies} <= {run["id"] for run in made.call()}
    touched = ["name", "tags", "error", "events", "attachments", "extra", "inputs", "outputs"]
    assert {key for run, base in zip(copies, bare, strict=False) for key in touched if run.get(key) != base.get(key)} == set(touched)


def test_split_plants_lie_over_two_places(planted):
    """Each way of splitting in turn; no place holds the whole, and each half has two characters of the value."""
    plants, named, _ = planted("phone", "split", 3 * len(SPLITS))
    copies = named[-len(plants) :]
    assert not [plant for plant, run in zip(plants, copies, strict=True) if plant.text in str(run)]
    assert len({tuple(sorted(str(type(v)) for v in (*run["inputs"].values(), *run["events"]))) for run in copies}) > 1
    for plant in plants:
        first, second = planting._halves(plant)
        assert first + second == plant.phrase
        assert len(plant.before) + 2 <= len(first) <= len(plant.before) + len(plant.text) - 2


def test_disguises_are_taken_in_turn(planted):
    """A round of plants has every disguise."""
    plants, _, _ = planted("name", "disguised", len(disguises.WAYS))
    assert {plant.way for plant in plants} == set(disguises.WAYS)


@pytest.mark.parametrize("style", ["lower-case", "spoken"])
def test_what_is_heard_is_in_small_letters(planted, style):
    """A recogniser writes no capitals: neither in the value nor around it."""
    plants, named, _ = planted("mrn", style, 30)
    texts = [text for run in named for text in (*run["inputs"].values(), *run["outputs"].values()) for p in plants if p.phrase in str(text)]
    assert len(texts) >= 30
    assert [text for text in texts if text != text.lower()] == []


def test_sentences_around_plants(planted):
    """Persons and things have sentences of their own; a plant stands bare only where none fits."""
    for kind, own in (("name", planting._OF_PERSONS), ("mrn", planting._OF_THINGS)):
        plants, named, _ = planted(kind, "written", 40)
        for plant, run in zip(plants, named, strict=True):
            ((field, text),) = [(k, v) for side in ("inputs", "outputs") for k, v in run[side].items() if plant.phrase in str(v)]
            sentences = [c.replace("{}", plant.phrase) for c in own[plant.value.language]]
            assert text in sentences
            assert field == "result" or len(text) <= 50
            assert text != plant.phrase or min(map(len, sentences[:-1])) > 50


def test_a_long_plant_is_put_where_it_fits(policy, planted):
    """Where one field takes any length, what is too long for the others goes there."""
    fields = {name: replace(rule, chars=10) if rule.action == "truncate" else rule for name, rule in policy.fields.items()}
    plants, named, _ = planted("url", "written", 30, replace(policy, fields=fields))
    assert all(plant.phrase in run["outputs"]["result"] for plant, run in zip(plants, named, strict=True))


def test_no_free_text_at_all(policy, made):
    """A policy without free text has only structural plants; without a run, a turn is made up to plant in."""
    closed = replace(policy, fields={name: replace(rule, action="redact") for name, rule in policy.fields.items()})
    empty = seeker(closed, made, [])
    assert [style for style in people.STYLES if empty.can(style)] == ["structural"]
    assert empty.find([make("name", NAME, "structural", 0, Random(1))]) == [True]
    assert empty.find([]) == []
    assert not seeker(policy, made, made.call()).synthetic
    assert seeker(policy, made, made.call()[:2]).synthetic


def test_figures_of_a_proof():
    """The weakest row speaks for all; structural rows say nothing of free text; nothing planted shows nothing."""
    rows = (Recall("name", "written", 4, 3, 0.5), Recall("name", "spoken", 4, 4, 0.7), Recall("name", "structural", 9, 0, 0.6))
    proof = KnownAnswers(1, rows, synthetic=False)
    assert (proof.weakest, proof.in_text) == (0.5, 7 / 8)
    empty = KnownAnswers(1, (), synthetic=False)
    assert (empty.weakest, empty.in_text) == (0.0, 0.0)
    assert KnownAnswers(1, rows[2:], synthetic=False).in_text == 0.0


@pytest.fixture
def names_only(monkeypatch):
    """Names, as they are written, and nothing else."""
    monkeypatch.setattr(people, "KINDS", {"name": replace(NAME, lacks=dict.fromkeys(people.STYLES[1:], ""))})


class Misses:
    """Finds every text that is not the run's own, but the first so many different ones."""

    def __init__(self, n):
        self._n, self.asked = n, []

    def __call__(self, text):
        if text.startswith("called about "):
            return ()
        if text not in self.asked:
            self.asked.append(text)
        return () if self.asked.index(text) < self._n else (Detection(0, len(text), "PERSON", 1.0, "t"),)


@pytest.mark.usefixtures("names_only")
@pytest.mark.parametrize(("missed", "planted"), [(0, 59), (1, 295), (4, 295), (5, 59), (70, 59)])
def test_when_a_row_goes_on(policy, made, missed, planted):
    """None missed, or too many: one stage. A few: both, all plants new, and the bound is that of the design."""
    find, told, ticks = Misses(missed), [], []
    scanners = [Scanner(policy, find, lambda _t: (), project="clinic-dev", key=made.KEY) for _ in range(2)]
    proof, values = prove(*scanners, made.call(), seed=5, n=59, missed=told.append, tick=lambda: ticks.append(1))
    (row,) = proof.rows
    lost = min(missed, 59)
    assert (row.n, row.n - row.found, row.letter) == (planted, lost, "A")
    assert row.at_least == recall_at_least(59, planted, lost)
    assert (len(told), len(ticks), sum(proof.languages.values())) == (lost, 1, planted)
    assert planted == 59 or planted == EXTENSION * 59
    assert 0.6 * planted < len(values) <= planted
    assert all(len(value) >= 8 for value in values)
    assert any(len(value) < 12 for value in values)


def test_rows_differ(policy, made):
    """Two classes or two seeds are not planted from one spring."""

    def phrases(seed, kinds):
        told = []
        scanners = [Scanner(policy, lambda _t: (), lambda _t: (), project="clinic-dev", key=made.KEY) for _ in range(2)]
        prove(*scanners, made.call(), seed=seed, n=4, missed=told.append)
        return [plant.text for plant in told if plant.kind in kinds and plant.style == "written"]

    assert phrases(1, {"phone"}) != phrases(2, {"phone"})
    assert phrases(1, {"phone"}) != phrases(1, {"fax"})
