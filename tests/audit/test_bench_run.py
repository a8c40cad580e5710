"""Runs: what is derived and asked, in one process or several; times by a clock of the test; faults and Ctrl-C."""

from __future__ import annotations

import re
import sys
from functools import partial
from importlib import import_module

import pytest

from audit.bench.corpus import STYLES, Corpus, LabelledText, Span
from audit.bench.pool import CHUNK, Found, ask_all
from audit.bench.rivals import open_all, open_rival
from audit.bench.run import VARIANT_TEXTS, prepare, run
from audit.bench.speed import bucket_of, draw, time_each
from phi_guard.errors import DetectorUnavailable
from phi_guard.model import Detection


class Finds:
    """Finds what a pattern matches."""

    def __init__(self, pattern, name="fake"):
        self.name = name
        self._pattern = re.compile(pattern)

    def find(self, text):
        return tuple(Detection(m.start(), m.end(), "ANY", 1.0, self.name) for m in self._pattern.finditer(text))


class Breaks(Finds):
    """Breaks on a text that matches, with a fault that quotes it."""

    def find(self, text):
        if self._pattern.search(text):
            raise ValueError(text)
        return ()


class Batches(Finds):
    """Reads many at once, and remembers how many; breaks where the batch holds a word."""

    def __init__(self, pattern, breaks="never"):
        super().__init__(pattern)
        self.batches = []
        self._breaks = breaks

    def find(self, text):
        if self._breaks in text:
            raise RuntimeError(text)
        return super().find(text)

    def find_many(self, texts):
        self.batches.append(len(texts))
        return [self.find(text) for text in texts]


def corpus(name="notes", n=3, *, form="written", style="as given", text="Ada is in"):
    return Corpus(name, form, style, False, tuple(LabelledText(f"{name}-{i}", text, (Span(0, 3, "NAME"),)) for i in range(n)))


def test_what_is_derived():
    """Each written corpus in no style of its own, in the styles asked for that no file holds; texts are drawn by the limit first."""
    given = (
        corpus("a", 5),
        corpus("a_lower", 5, style="lower"),
        corpus("calls", 5, form="spoken"),
        corpus("carrier_x", 5, form="carrier"),
    )
    prepared = prepare(given, ("lower", "spoken"), limit=2, seed=1)
    assert [(c.name, c.derived, len(c.texts)) for c in prepared] == [
        ("a", False, 2),
        ("a+spoken", True, 2),
        ("a_lower", False, 2),
        ("calls", False, 2),
        ("carrier_x", False, 2),
    ]
    assert [t.id for t in prepared[1].texts] == [f"{t.id}+spoken" for t in prepared[0].texts]
    assert prepare(given, (), limit=None, seed=1) == given
    assert [c.name for c in prepare((corpus("b"),), STYLES, limit=None, seed=1)] == ["b", *(f"b+{style}" for style in STYLES)]


def test_a_derived_corpus_is_no_larger_than_it_need_be():
    """Of a large corpus all texts are read, and some said anew."""
    whole, lower = prepare((corpus("a", VARIANT_TEXTS + 50),), ("lower",), limit=None, seed=1)
    assert (len(whole.texts), len(lower.texts)) == (VARIANT_TEXTS + 50, VARIANT_TEXTS)


def test_a_run_scores_every_text_by_every_detector():
    """In order, each detector's score beside the others'; progress is told to the end."""
    corpora = (corpus("a", 2), corpus("b", 1, text="Bea was in"))
    said = []
    done = run(
        corpora,
        {"ada": Finds("Ada"), "none": Finds("zzz")},
        dict,
        rival="",
        seed=1,
        progress=lambda what, n, of: said.append((what, n, of)),
    )
    assert [(j.text.id, j.scores["ada"].leaks, j.scores["none"].leaks) for j in done.judged] == [
        ("a-0", False, True),
        ("a-1", False, True),
        ("b-0", True, True),
    ]
    assert said == [("a", 1, 2), ("a", 2, 2), ("b", 1, 1)]
    assert (done.timings, done.faults, done.interrupted, done.planned) == ((), {}, False, 3)


def test_a_fault_is_counted_as_nothing_found():
    """The class of the fault is told, its text is not; the other detectors go on."""
    done = run((corpus("a", 2),), {"rival": Breaks("Ada"), "ours": Finds("Ada")}, dict, rival="rival", seed=1)
    assert done.faults == {("rival", "ValueError"): 2}
    assert [(j.scores["rival"].leaks, j.scores["ours"].leaks) for j in done.judged] == [(True, False)] * 2


def test_layers_alone_and_without_each():
    """Of layers, the union of all others is scored for each; a detector that is no layer is in no union."""
    texts = (LabelledText("t", "Ada 555-0100", (Span(0, 3, "NAME"), Span(4, 12, "PHONE"))),)
    layers = {"strict": Finds(".+"), "layer:names": Finds("Ada"), "layer:numbers": Finds(r"[\d-]+"), "layer:both": Finds(r"da|\d+$")}
    (judged,) = run((Corpus("c", "written", "as given", False, texts),), layers, dict, rival="", seed=1).judged
    covered = {name: [s.covered for s in score.stretches] for name, score in judged.scores.items()}
    assert covered == {
        "strict": [3, 7],
        "layer:names": [3, 0],
        "layer:numbers": [0, 7],
        "layer:both": [2, 4],
        "without:names": [2, 7],
        "without:numbers": [3, 4],
        "without:both": [3, 7],
    }


def test_ctrl_c_keeps_what_there_is():
    """Interrupted in the middle, the run says so and holds what was judged."""

    class Interrupts(Finds):
        def find(self, text):
            if "stop" in text:
                raise KeyboardInterrupt
            return ()

    first, second = corpus("a", CHUNK), corpus("b", 1, text="Ada, stop")
    done = run((first, second), {"ours": Interrupts("")}, dict, rival="", seed=1)
    assert (done.interrupted, len(done.judged), done.planned) == (True, CHUNK, CHUNK + 1)
    timing = run((second,), {"ours": Interrupts("")}, dict, rival="", seed=1, timed=5)
    assert (timing.interrupted, timing.judged, timing.timings) == (True, (), ())


def test_every_text_is_told_with_its_answers():
    """Whoever listens hears what each detector found, by offsets."""
    heard = []
    run(
        (corpus("a", 1),),
        {"ours": Finds("Ada")},
        dict,
        rival="",
        seed=1,
        told=lambda c, t, answers: heard.append((c.name, t.id, [(d.start, d.end) for d in answers["ours"].detections])),
    )
    assert heard == [("a", "a-0", [(0, 3)])]


def test_a_batch_is_asked_at_once():
    """A detector that reads many gets chunks; where a chunk breaks, its texts are asked one by one."""
    texts = ["Ada"] * CHUNK + ["Ada", "bad", "Ada"]
    calm = Batches("Ada")
    assert [len(a["it"].detections) for a in ask_all(texts, dict, 1, opened={"it": calm})] == [1] * CHUNK + [1, 0, 1]
    assert calm.batches == [CHUNK, 3]
    answers = list(ask_all(texts, dict, 1, opened={"it": Batches("Ada", breaks="bad")}))
    assert [a["it"].fault for a in answers] == [""] * (CHUNK + 1) + ["RuntimeError", ""]


def test_several_processes_say_the_same(elsewhere):
    """Processes that load their own detectors answer as this one does, in the order of the texts."""
    texts = [f"call 212-555-01{n:02} or nobody" for n in range(3 * CHUNK)]
    here = list(ask_all(texts, elsewhere.open_fakes, 1))
    assert here == list(ask_all(texts, elsewhere.open_fakes, 2))
    assert all(answer["digits"].detections for answer in here)
    assert {answer["broken"].fault for answer in here} == {"RuntimeError"}


def test_a_process_that_cannot_load_ends_the_run():
    """It is told as unavailable, with what to do."""
    with pytest.raises(DetectorUnavailable, match="--jobs 1"):
        list(ask_all(["a"], partial(int, "no number"), 2))


class Clock:
    """Seconds that a detector itself moves on."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


class Takes:
    """Takes so many milliseconds a character."""

    def __init__(self, clock, per_character, calls, name):
        self.name = name
        self._clock, self._per, self._calls = clock, per_character, calls

    def find(self, text):
        self._calls.append((self.name, text))
        self._clock.now += self._per * len(text) / 1_000
        return ()


def test_times_by_length_and_against_the_rival():
    """Nearest-rank percentiles in milliseconds, a row for each bucket, the ratio on the same text; the order turns with each text."""
    clock, calls = Clock(), []
    pair = {"rival": Takes(clock, 2.0, calls, "rival"), "ours": Takes(clock, 0.5, calls, "ours")}
    texts = ["x" * n for n in (10, 20, 30, 100, 500)]
    rows = {(t.detector, t.characters): t for t in time_each(pair, texts, rival="rival", clock=clock)}
    assert list(rows) == [(d, b) for b in ("1-80", "81-160", "over 320", "all") for d in ("rival", "ours")]
    short = rows["ours", "1-80"]
    assert (short.n, short.p50_ms, short.p99_ms, short.max_ms) == pytest.approx((3, 10.0, 15.0, 15.0))
    assert rows["rival", "all"].p50_ms == pytest.approx(60.0)
    assert rows["rival", "all"].max_ms == pytest.approx(1_000.0)
    assert all(t.ratio == pytest.approx(0.25 if d == "ours" else 1.0) for (d, _), t in rows.items())
    timed = calls[2 * 5 :]
    assert [name for name, _ in timed] == ["rival", "ours", "ours", "rival"] * 2 + ["rival", "ours"]
    assert all(t.ratio is None for t in time_each(pair, texts, clock=clock))


def test_buckets_of_eighty_characters():
    """Borders belong to the shorter bucket."""
    assert [bucket_of("x" * n) for n in (0, 1, 80, 81, 160, 320, 321, 9_999)] == [
        "1-80", "1-80", "1-80", "81-160", "81-160", "241-320", "over 320", "over 320",
    ]  # fmt: skip


def test_texts_to_time_are_drawn_evenly():
    """As many of each corpus as there are, none of a derived one, no more than asked for, the same by the same seed."""
    given = prepare((corpus("a", 50, text="aaa"), corpus("b", 2, text="bbb"), corpus("c", 50, text="ccc")), ("lower",), limit=None, seed=1)
    drawn = draw(given, 7, 9)
    assert [drawn.count(text) for text in ("aaa", "bbb", "ccc")] == [3, 2, 3]
    assert draw(given, 7, 9) == drawn
    assert len(draw(given, 7, 4)) == 4
    assert (draw(given, 7, 0), draw((), 7, 9)) == ((), ())


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """A module that other processes can import, with detectors that they load themselves."""
    (tmp_path / "bench_fakes.py").write_text(
        "import re\n"
        "from phi_guard.model import Detection\n"
        "class Digits:\n"
        "    name = 'digits'\n"
        "    def find(self, text):\n"
        "        return tuple(Detection(m.start(), m.end(), 'ANY', 1.0, 'fake') for m in re.finditer(r'[0-9-]+', text))\n"
        "class Broken:\n"
        "    name = 'broken'\n"
        "    def find(self, text):\n"
        "        raise RuntimeError(text)\n"
        "def open_fakes():\n"
        "    return {'digits': Digits(), 'broken': Broken()}\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "bench_fakes", raising=False)
    return import_module("bench_fakes")


def test_our_profiles_are_opened_by_name(monkeypatch):
    """In the product's order; an unknown one, and layers where there are none, are told."""
    import phi_guard.detect as ours

    monkeypatch.setattr(ours, "PROFILES", ("strict", "balanced"))
    monkeypatch.setattr(ours, "open_detector", lambda name: Finds("", name))
    assert list(open_all(("balanced", "strict"), rival=False)) == ["strict", "balanced"]
    with pytest.raises(DetectorUnavailable, match="no such detector profile: scan; write one of: strict, balanced"):
        open_all(("scan",), rival=False)
    monkeypatch.delattr(ours, "open_layers", raising=False)
    with pytest.raises(DetectorUnavailable, match="leave --layers out"):
        open_all(("strict",), rival=False, layers="strict")
    monkeypatch.setattr(ours, "open_layers", lambda profile: {f"{profile}-names": Finds("")}, raising=False)
    assert list(open_all(("strict",), rival=False, layers="strict")) == ["strict", "layer:strict-names"]


def test_the_rival_is_presidio_as_it_comes():
    """It loads without a network and finds what Presidio's default finds, ORG labels and low scores too."""
    rival = open_rival()
    found = {d.entity for d in rival.find("My name is David Johnson of Acme Corporation, I wrote from 10.0.0.1 to ada@example.org")}
    assert {"PERSON", "ORGANIZATION", "IP_ADDRESS", "EMAIL_ADDRESS"} <= found
    assert rival.find("") == ()
    assert Found(rival.find("nothing at all")) == Found(())
