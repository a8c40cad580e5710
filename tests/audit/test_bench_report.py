"""The bench's report: every figure by hand, its table as it stands in the golden file, and no text of a corpus in any format."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from audit.bench.cells import leaks, percent
from audit.bench.corpus import Corpus, LabelledText, Span
from audit.bench.crosscheck import Opinion
from audit.bench.rendering import FORMATS, render
from audit.bench.report import RATES, SCHEMA, Setting, build
from audit.bench.run import run
from audit.bench.score import Figures
from audit.bench.speed import Timing
from audit.report.html import STYLE
from audit.statistics import lower_bound, upper_bound
from phi_guard.model import Detection

GOLDEN = Path(__file__).with_name("golden_bench_table.txt")
WIDTH = 150

ORIGINS = {"Northern": ("Astrid", "Bjarne", "Dagny", "Eskil"), "Southern": ("Zita", "Ximena", "Yago", "Wilma")}


class Knows:
    """Finds words it knows, whole or their first half."""

    def __init__(self, words, *, half=False):
        self.name = "knows"
        self._pattern = re.compile("|".join(map(re.escape, words)) if words else "(?!)")
        self._half = half

    def find(self, text):
        ends = ((m.start(), (m.start() + m.end()) // 2 if self._half else m.end()) for m in self._pattern.finditer(text))
        return tuple(Detection(start, end, "ANY", 1.0, "knows") for start, end in ends)


def texts(name, template, *, origin="", words):
    at = template.index("{}")
    return tuple(LabelledText(f"{name}-{w}", template.format(w), (Span(at, at + len(w), "NAME"),), origin) for w in words)


def corpora():
    """Two written corpora, one derived and spoken, one of talk: 8 names by origin, a phone number, and 10 harmless words."""
    north, south = (texts(o, "this is {}", origin=o, words=w) for o, w in ORIGINS.items())
    phone = LabelledText("p", "call 555-0100 on May 4 for Acme", (Span(5, 13, "PHONE"), Span(17, 22, "DATE"), Span(27, 31, "IGNORE")))
    talk = LabelledText("k", "it hurts when I lift my arm above the shoulder", ())
    spoken = texts("s", "so {} it is", words=("astrid", "zita"))
    return (
        Corpus("carrier_talk", "carrier", "as given", False, (talk,)),
        Corpus("names", "written", "as given", False, (*north, *south)),
        Corpus("names+spoken", "spoken", "spoken", True, spoken),
        Corpus("notes", "written", "as given", False, (phone,)),
    )


EVERY = [*ORIGINS["Northern"], *ORIGINS["Southern"]]
DETECTORS = {
    "rival": Knows([*ORIGINS["Northern"], *ORIGINS["Southern"][:2], "hurts", "555-0100"], half=True),
    "strict": Knows([*EVERY, "astrid", "555-0100", "May 4", "Acme", "lift", "arm"]),
}
SETTING = Setting("2026-11-20T12:00:00+00:00", "0.1.0", ("strict",), "rival", ("spoken",), None, 1, 1)
TIMINGS = (
    Timing("rival", "1-80", 4, 10.0, 20.0, 20.0, 1.0),
    Timing("strict", "1-80", 4, 15.0, 30.0, 30.0, 1.5),
)
OPINIONS = (Opinion("strict", 0.01, 10, 0.9, 0.8),)


@pytest.fixture
def bench():
    """A report of real figures, with times and opinions put in."""
    from dataclasses import replace

    done = run(corpora(), DETECTORS, dict, rival="rival", seed=1)
    return build(replace(done, timings=TIMINGS), corpora(), tuple(DETECTORS), SETTING, opinions=OPINIONS)


def test_rows_and_totals(bench):
    """Each corpus has its row; totals keep what was given and what was derived apart."""
    assert [(row.name, row.form, row.style, row.derived) for row in bench.corpora] == [
        ("carrier_talk", "carrier", "as given", False),
        ("names", "written", "as given", False),
        ("names+spoken", "spoken", "spoken", True),
        ("notes", "written", "as given", False),
    ]
    assert [row.name for row in bench.totals] == ["written, as given", "spoken, derived", "carrier, as given"]
    written, spoken, carrier = bench.totals
    # eight names and a phone number; the date is no direct identifier, the company is to be ignored
    assert written.figures["strict"] == Figures(
        texts=9, documents=9, spans=10, touched=10, whole=10, characters=sum(map(len, EVERY)) + 7 + 4,
        characters_covered=sum(map(len, EVERY)) + 7 + 4, right=10, words=8 * 2 + 3,
    )  # fmt: skip
    rival = written.figures["rival"]
    assert (rival.documents, rival.leaked, rival.partial, rival.touched, rival.whole) == (9, 2, 7, 7, 0)
    assert rival.leaked_at_most == upper_bound(2, 9)
    assert (spoken.figures["rival"].leaked, spoken.figures["strict"].leaked, spoken.figures["strict"].documents) == (2, 1, 2)
    assert (carrier.figures["rival"].words_lost, carrier.figures["strict"].words_lost, carrier.figures["strict"].words) == (1, 2, 10)
    assert carrier.figures["strict"].wrong == 2


def test_classes_and_styles(bench):
    """A row for each class and form that has a label; carriers are in no style."""
    assert [(row.name, row.form, row.figures["strict"].spans) for row in bench.classes] == [
        ("NAME", "written", 8),
        ("NAME", "spoken", 2),
        ("PHONE", "written", 1),
        ("DATE", "written", 1),
    ]
    assert [(row.name, row.figures["strict"].texts) for row in bench.styles] == [("as given", 9), ("spoken", 2)]


def test_fairness(bench):
    """Best and worst origin, what the worst shows, and whether half a point separates them."""
    assert [(row.name, row.figures["rival"].touched, row.figures["rival"].spans) for row in bench.origins] == [
        ("Northern", 4, 4),
        ("Southern", 2, 4),
    ]
    told = {(each.detector, each.measure): each for each in bench.fairness}
    rival = told["rival", "any"]
    assert (rival.best, rival.best_recall, rival.worst, rival.worst_recall) == ("Northern", 1.0, "Southern", 0.5)
    assert rival.worst_at_least == lower_bound(2, 4)
    assert (rival.difference, rival.difference_at_most) == (0.5, 1 - lower_bound(2, 4))
    assert (rival.within, rival.below) == (False, ("Southern",))
    assert told["rival", "full"].within  # none of either is found whole
    strict = told["strict", "any"]
    assert (strict.within, strict.below, strict.worst_at_least) == (True, (), lower_bound(4, 4))


def test_half_a_point_is_within():
    """995 of 1,000 beside all of them is within; 994 is not."""
    for missed, within in ((5, True), (6, False)):
        best = texts("b", "this is {}", origin="B", words=[f"Bea{i:04}x" for i in range(1_000)])
        worst = texts("w", "this is {}", origin="W", words=[f"Wim{i:04}x" if i >= missed else f"Nul{i:04}x" for i in range(1_000)])
        given = (Corpus("c", "written", "as given", False, (*best, *worst)),)
        done = run(given, {"ours": Knows(["Bea", "Wim"])}, dict, rival="", seed=1)
        (fair, _) = build(done, given, ("ours",), SETTING).fairness
        assert (fair.within, fair.worst_recall) == (within, (1_000 - missed) / 1_000)


def test_layers_have_figures_of_their_own():
    """Layers are told apart from the detectors compared, alone and left out."""
    layers = {"strict": Knows(EVERY), "layer:north": Knows(ORIGINS["Northern"]), "layer:south": Knows(ORIGINS["Southern"])}
    bench = build(run(corpora(), layers, dict, rival="", seed=1), corpora(), tuple(layers), SETTING)
    assert (bench.detectors, bench.layers) == (("strict",), ("layer:north", "layer:south", "without:north", "without:south"))
    names = next(row for row in bench.corpora if row.name == "names").figures
    assert [names[n].leaked for n in ("layer:north", "without:north", "layer:south", "without:south")] == [4, 4, 4, 4]
    assert {each.detector for each in bench.fairness} == {"strict"}
    assert "north" in render(bench, "table")
    assert "Leaks without it" in render(bench, "html")


def test_json_keys_and_rates(bench):
    """The schema, its keys in order, counts beside rates, and None where there is nothing to divide."""
    told = json.loads(bench.as_json())
    assert list(told) == [
        "schema", "setting", "incomplete", "detectors", "layers", "totals", "corpora", "classes", "styles", "origins", "speed",
        "fairness", "opinions", "notes",
    ]  # fmt: skip
    assert told["schema"] == SCHEMA == "bench-detection/1"
    row = told["corpora"][0]
    assert list(row) == ["name", "form", "style", "derived", "figures"]
    assert list(row["figures"]) == ["rival", "strict"]
    assert list(row["figures"]["strict"]) == [*Figures.__dataclass_fields__, *RATES]
    assert (row["figures"]["strict"]["words_lost_share"], row["figures"]["strict"]["recall_any"]) == (0.2, None)
    assert told["speed"][1] == {
        "detector": "strict", "characters": "1-80", "n": 4, "p50_ms": 15.0, "p99_ms": 30.0, "max_ms": 30.0, "ratio": 1.5,
    }  # fmt: skip
    assert told["opinions"] == [{"detector": "strict", "overlap": 0.01, "spans": 10, "recall": 0.9, "precision": 0.8}]


def test_the_table_is_the_golden_one(bench):
    """The table, character by character."""
    assert render(bench, "table", width=WIDTH) == GOLDEN.read_text(encoding="utf-8")


@pytest.mark.parametrize("fmt", FORMATS)
def test_no_text_is_in_a_report(bench, fmt):
    """Of no text a word that names anybody, nor the id of one, is in any format."""
    told = render(bench, fmt)
    assert not [word for word in (*EVERY, "555-0100", "shoulder") if word.lower() in told.lower()]
    assert render(bench, fmt) == told


class _Page(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.outside = [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.outside += [value for name, value in attrs if name in {"src", "href"}]


def test_the_page_stands_alone(bench):
    """No script, no link, the house's style sheet for light and dark, a chart for each detector and form, rows for every corpus."""
    text = render(bench, "html")
    page = _Page()
    page.feed(text)
    assert page.outside == []
    assert not {"script", "link", "img", "iframe"} & set(page.tags)
    assert "prefers-color-scheme: dark" in text
    assert "default-src 'none'" in text
    assert page.tags.count("svg") == 2 + len(DETECTORS)
    assert all(row.name in text for row in bench.corpora)
    assert STYLE.read_text(encoding="utf-8") in text


def test_names_of_files_are_escaped(bench):
    """A file's name cannot bring markup along."""
    given = (Corpus("<b>&x", "written", "as given", False, texts("n", "this is {}", words=["Bea"], origin="<i>o")),)
    done = run(given, {"ours": Knows(["Bea"])}, dict, rival="", seed=1)
    page = render(build(done, given, ("ours",), SETTING), "html")
    assert "<b>&x" not in page
    assert "<i>o" not in page
    assert "&lt;b&gt;&amp;x" in page


def test_a_run_of_nothing_still_renders():
    """Interrupted before the first text, every format says so."""
    done = run((), {"ours": Knows([])}, dict, rival="", seed=1)
    from dataclasses import replace

    bench = build(replace(done, interrupted=True, planned=7), (), ("ours",), SETTING)
    assert all("interrupted after 0 of 7 texts" in render(bench, fmt) for fmt in FORMATS)


def test_notes_say_what_limits_the_figures():
    """Samples, derived texts, labels without a letter, and faults are told, with their numbers."""
    given = (
        Corpus("c", "written", "as given", False, (LabelledText("a", "at :: now", (Span(3, 5, "IP"),)),)),
        Corpus("c+lower", "written", "lower", True, texts("n", "this is {}", words=["bea"])),
    )

    class Breaks(Knows):
        def find(self, text):
            raise KeyError(text)

    done = run(given, {"rival": Breaks([])}, dict, rival="rival", seed=3, timed=1)
    from dataclasses import replace

    notes = "\n".join(build(done, given, ("rival",), replace(SETTING, limit=40, seed=3)).notes)
    assert "Only 40 texts of each corpus were read, drawn by seed 3." in notes
    assert "at most 300 texts" in notes
    assert "1 labelled spans hold no letter or digit" in notes
    assert "rival broke on 2 texts (KeyError)" in notes
    assert "on 1 texts drawn evenly" in notes


@pytest.mark.parametrize(
    ("rate", "digits", "shown"),
    [
        (None, 1, "–"),
        (0.0, 1, "0.0%"),
        (1.0, 1, "100.0%"),
        (0.5, 0, "50%"),
        (0.0002, 1, "<0.1%"),
        (0.9999, 1, ">99.9%"),
        (0.999951, 2, ">99.99%"),
    ],
)
def test_a_rate_is_never_rounded_to_all_or_nothing(rate, digits, shown):
    """One miss of ten thousand is not 100 %."""
    assert percent(rate, digits) == shown


def test_leaks_are_told_with_their_share():
    """A count alone where none leaks, a dash where none could."""
    assert leaks(Figures()) == "–"
    assert leaks(Figures(documents=10)) == "0"
    assert leaks(Figures(documents=10, leaked=1)) == "1 (10.0%)"
    assert leaks(Figures(documents=59), bound=True) == "0 (0.0%, at most 4.95%)"
