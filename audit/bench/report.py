"""The bench's report as one frozen fact: rows of figures by corpus, class, style and origin, totals with bounds, times, and notes.

It holds names of files, classes, styles and origins, and counts; never a text.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from audit.bench.corpus import DIRECT, INDIRECT, STYLES, Corpus
from audit.bench.crosscheck import Opinion
from audit.bench.run import LAYER, VARIANT_TEXTS, WITHOUT, Judged, Run
from audit.bench.score import RATES, Figures, Score, add_up
from audit.bench.speed import Timing
from audit.statistics import lower_bound

SCHEMA: Final = "bench-detection/1"
FAIR: Final = 0.005
"""Half a point: how far the recall of one origin's names may lie below the best origin's."""
CLASSES: Final = (
    "NAME", "PHONE", "EMAIL", "SSN", "MRN", "HEALTH_PLAN", "ACCOUNT", "LICENSE", "VEHICLE", "DEVICE", "IP", "URL", "OTHER_ID", "ADDRESS",
    "BIOMETRIC", "DATE", "AGE90", "GEO",
)  # fmt: skip
"""Direct identifiers first, in the order of the corpora's own description."""
assert set(CLASSES) == DIRECT | INDIRECT  # noqa: S101  # a class that is not listed would not be told


@dataclass(frozen=True, slots=True)
class Row:
    """One group of texts.

    Args:
        name: of the corpus, class, style, origin or total.
        form: ``written``, ``spoken``, ``carrier``, or ``all``.
        style: one of `STYLES`, ``as given``, or ``all``.
        derived: whether its texts were derived; None where both are in it.
        figures: by detector.
    """

    name: str
    form: str
    style: str
    derived: bool | None
    figures: Mapping[str, Figures]


@dataclass(frozen=True, slots=True)
class Fairness:
    """Recall of names of the best and of the worst origin. The names are those of the JSON report.

    Args:
        detector: its name.
        measure: ``any`` (touched) or ``full`` (covered whole).
        best: the origin with the highest recall, the first by name on a tie; ``best_recall`` is its.
        worst: the one with the lowest; ``worst_recall`` is its.
        worst_at_least: the recall of the worst that the counts show: one-sided 95 %, Clopper-Pearson.
        difference: best less worst.
        difference_at_most: best less ``worst_at_least``.
        within: whether the difference is no more than `FAIR`.
        below: origins more than `FAIR` below the best.
    """

    detector: str
    measure: str
    best: str
    best_recall: float
    worst: str
    worst_recall: float
    worst_at_least: float
    difference: float
    difference_at_most: float
    within: bool
    below: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Setting:
    """What was asked for, so that the run can be repeated.

    Args:
        made_at: ISO, UTC.
        version: of the package.
        profiles: of ours.
        rival: its name, empty for none.
        styles: that were derived where no file holds them.
        limit: texts of each corpus; None for all.
        seed: of the samples.
        jobs: processes.
    """

    made_at: str
    version: str
    profiles: tuple[str, ...]
    rival: str
    styles: tuple[str, ...]
    limit: int | None
    seed: int
    jobs: int


@dataclass(frozen=True, slots=True)
class Bench:
    """The report.

    Args:
        setting: what was asked for.
        incomplete: why it is, empty where it is not.
        detectors: those compared in every table, the rival first.
        layers: those measured alone and left out of the union, as ``layer:NAME`` and ``without:NAME``.
        totals: written and spoken, as given and derived, and carriers.
        corpora: one row a corpus, in the order read, each followed by what was derived of it.
        classes: by class and form; documents are those that hold the class, leaking where one of it is wholly missed.
        styles: by style, of what is not a carrier.
        origins: names by origin, of texts as given.
        speed: milliseconds a text.
        fairness: by detector compared and measure; empty where no text names an origin.
        opinions: of Presidio's own evaluator, empty where it was not asked.
        notes: what limits the figures.
    """

    setting: Setting
    incomplete: str
    detectors: tuple[str, ...]
    layers: tuple[str, ...]
    totals: tuple[Row, ...]
    corpora: tuple[Row, ...]
    classes: tuple[Row, ...]
    styles: tuple[Row, ...]
    origins: tuple[Row, ...]
    speed: tuple[Timing, ...]
    fairness: tuple[Fairness, ...]
    opinions: tuple[Opinion, ...]
    notes: tuple[str, ...]

    def as_json(self) -> str:
        """The report as JSON: keys in a fixed order, rates beside the counts they come from."""
        rows = {name: [_row(row) for row in getattr(self, name)] for name in ("totals", "corpora", "classes", "styles", "origins")}
        told: dict[str, Any] = {
            "schema": SCHEMA,
            "setting": asdict(self.setting),
            "incomplete": self.incomplete,
            "detectors": self.detectors,
            "layers": self.layers,
            **rows,
            "speed": [asdict(timing) for timing in self.speed],
            "fairness": [asdict(each) for each in self.fairness],
            "opinions": [asdict(opinion) for opinion in self.opinions],
            "notes": self.notes,
        }
        return json.dumps(told, indent=2, ensure_ascii=False) + "\n"


def build(run: Run, corpora: Sequence[Corpus], detectors: Sequence[str], setting: Setting, *, opinions: tuple[Opinion, ...] = ()) -> Bench:
    """The report of a run.

    Args:
        run: what came out.
        corpora: as they were put to the detectors.
        detectors: by name, the rival first; layers after them.
        setting: what was asked for.
        opinions: of the cross-check.
    """
    judged = run.judged
    names = [name for name in detectors if not name.startswith(LAYER)]
    layers = [name for name in detectors if name.startswith(LAYER)]
    layers += [WITHOUT + name.removeprefix(LAYER) for name in layers]
    every = (*names, *layers)
    labelled = [j for j in judged if j.corpus.form != "carrier"]
    named = [j for j in labelled if j.text.origin and not j.corpus.derived]
    origins = tuple(
        _group(origin, [j for j in named if j.text.origin == origin], every, label="NAME")
        for origin in sorted({j.text.origin for j in named})
    )
    return Bench(
        setting,
        f"interrupted after {len(judged)} of {run.planned} texts" if run.interrupted else "",
        tuple(names),
        tuple(layers),
        _totals(judged, every),
        tuple(_group(c.name, held, every) for c in corpora if (held := [j for j in judged if j.corpus.name == c.name])),
        tuple(
            row
            for label in CLASSES
            for form in ("written", "spoken")
            if (row := _group(label, [j for j in labelled if j.corpus.form == form], every, label=label)).figures
            and next(iter(row.figures.values())).spans
        ),
        tuple(_group(s, held, every) for s in ("as given", *STYLES) if (held := [j for j in labelled if j.corpus.style == s])),
        origins,
        run.timings,
        tuple(each for name in names for measure in ("any", "full") if (each := _fairness(name, measure, origins))),
        opinions,
        tuple(_notes(run, corpora, setting)),
    )


def _totals(judged: Sequence[Judged], names: Sequence[str]) -> tuple[Row, ...]:
    rows: list[Row] = []
    for form in ("written", "spoken", "carrier"):
        for derived in (False, True):
            held = [j for j in judged if j.corpus.form == form and j.corpus.derived is derived]
            if held:
                rows.append(_group(f"{form}, {'derived' if derived else 'as given'}", held, names))
    return tuple(rows)


def _group(name: str, judged: Sequence[Judged], names: Sequence[str], *, label: str = "") -> Row:
    def common(key: Callable[[Corpus], Any], otherwise: Any) -> Any:
        values = {key(j.corpus) for j in judged}
        return values.pop() if len(values) == 1 else otherwise

    figures = {each: add_up(_scores(judged, each), label=label) for each in names} if judged else {}
    return Row(name, common(lambda c: c.form, "all"), common(lambda c: c.style, "all"), common(lambda c: c.derived, None), figures)


def _scores(judged: Iterable[Judged], name: str) -> Iterable[Score]:
    return (j.scores[name] for j in judged)


def _fairness(name: str, measure: str, origins: Sequence[Row]) -> Fairness | None:
    counts = {row.name: row.figures[name] for row in origins if row.figures[name].spans}
    if len(counts) < 2:
        return None
    found = {origin: f.touched if measure == "any" else f.whole for origin, f in counts.items()}
    recall = {origin: found[origin] / f.spans for origin, f in counts.items()}
    best, worst = max(recall, key=lambda o: recall[o]), min(recall, key=lambda o: recall[o])
    low = lower_bound(found[worst], counts[worst].spans)
    # counts are whole, so a difference of exactly half a point must not fail by the rounding of a division
    below = tuple(origin for origin, rate in recall.items() if recall[best] - rate > FAIR + 1e-12)
    return Fairness(
        name, measure, best, recall[best], worst, recall[worst], low, recall[best] - recall[worst], recall[best] - low, not below, below
    )


def _notes(run: Run, corpora: Sequence[Corpus], setting: Setting) -> Iterable[str]:
    yield (
        "A document leaks when not one letter or digit of a direct identifier in it is covered; it is partial when some are left. "
        "Bounds are one-sided 95 %, Clopper-Pearson."
    )
    yield "Words lost are the words outside all labels that a detection touches; what a corpus forgot to label counts among them."
    if setting.limit is not None:
        yield f"Only {setting.limit} texts of each corpus were read, drawn by seed {setting.seed}."
    if any(corpus.derived for corpus in corpora):
        yield f"Derived styles are made of at most {VARIANT_TEXTS} texts of a written corpus, unless a file holds them."
    if run.timings:
        n = max(timing.n for timing in run.timings)
        yield (
            f"Time is measured in one process, the detectors in turn, on {n} texts drawn evenly over the corpora (seed {setting.seed}); "
            "a ratio is the median of the ratios on the same text."
        )
    blank = sum(
        1 for j in run.judged for s in j.text.spans if s.label != "IGNORE" and not any(c.isalnum() for c in j.text.text[s.start : s.end])
    )
    if blank:
        yield f"{blank} labelled spans hold no letter or digit, and are left out."
    for (name, fault), n in sorted(run.faults.items()):
        yield f"{name} broke on {n} texts ({fault}); there it counts as having found nothing."


def _row(row: Row) -> dict[str, Any]:
    figures = {
        name: {**asdict(f), **{rate: None if (value := getattr(f, rate)) is None else round(value, 6) for rate in RATES}}
        for name, f in row.figures.items()
    }
    return {"name": row.name, "form": row.form, "style": row.style, "derived": row.derived, "figures": figures}
