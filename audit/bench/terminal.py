"""The bench's report for a terminal: the totals first, then what they are made of."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from audit.bench import cells
from audit.bench.report import Bench, Fairness, Row


def render(bench: Bench, *, width: int = 120, colour: bool = False) -> str:
    """The report as text.

    Args:
        bench: what is told.
        width: columns to fill, at least 80.
        colour: True for ANSI colour.
    """
    out = io.StringIO()
    console = Console(
        file=out, width=max(width, 80), force_terminal=colour, no_color=not colour, color_system="standard" if colour else None,
        highlight=False, markup=False, emoji=False, legacy_windows=False,
    )  # fmt: skip
    setting = bench.setting
    console.print(f"phi-audit bench detection, {setting.made_at}, version {setting.version}, seed {setting.seed}")
    if bench.incomplete:
        console.print(Text(f"Incomplete: {bench.incomplete}", style="yellow"))
    for title, table in _sections(bench):
        if table.row_count:
            console.print()
            console.print(Text(title, style="bold"))
            console.print(table)
    if bench.fairness:
        console.print()
        console.print(Text("Fairness", style="bold"))
        for each in bench.fairness:
            console.print(Text(_fair(each), style="" if each.within else "yellow"))
    console.print()
    for note in bench.notes:
        console.print(Text(f"- {note}", style="dim"))
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()) + "\n"


def _sections(bench: Bench) -> Iterable[tuple[str, Table]]:
    names = bench.detectors
    yield "Summary", _summary(bench.totals, names)
    yield "Documents with a wholly missed direct identifier, and harmless words lost, by corpus", _corpora(bench.corpora, names)
    yield "Recall by class, any overlap / whole", _recalls("class", bench.classes, names)
    yield "Documents that leak, by style", _styles(bench.styles, names)
    yield "Recall of names by origin, any overlap (texts as given; * more than 0.5 points below the best)", _origins(bench)
    if bench.layers:
        yield "Layers: each alone, and the union without it", _layers(bench)
    yield "Milliseconds a text, by its characters", _speed(bench)
    if bench.opinions:
        yield "Presidio's own evaluator on the same findings", _opinions(bench)


def _table(*columns: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for name in columns:
        right = name.startswith("#")
        table.add_column(name.lstrip("#"), justify="right" if right else "left", overflow="fold", no_wrap=name == "corpus")
    return table


def _summary(rows: Sequence[Row], names: Sequence[str]) -> Table:
    table = _table("texts", "detector", "#documents", "#leak", "#at most", "#partial", "#recall any / whole", "#characters", "#precision",
                   "#F2", "#words lost")  # fmt: skip
    for row in rows:
        for i, name in enumerate(names):
            f = row.figures[name]
            table.add_row(
                row.name if i == 0 else "",
                name,
                str(f.documents) if f.documents else cells.NONE,
                cells.leaks(f),
                cells.percent(f.leaked_at_most, 2),
                str(f.partial) if f.documents else cells.NONE,
                cells.recall(f) if f.spans else cells.NONE,
                cells.percent(f.recall_characters),
                cells.percent(f.precision) if f.spans else cells.NONE,
                cells.percent(f.f2),
                cells.percent(f.words_lost_share),
            )
    return table


def _corpora(rows: Sequence[Row], names: Sequence[str]) -> Table:
    table = _table(
        "corpus", "form", "#texts", "#documents", *(f"#{name} leaks" for name in names), *(f"#{name} words lost" for name in names)
    )
    for row in rows:
        some = cells.any_figures(row)
        table.add_row(
            row.name,
            row.form,
            str(some.texts),
            str(some.documents),
            *(cells.leaks(row.figures[name]) for name in names),
            *(cells.percent(row.figures[name].words_lost_share) for name in names),
        )
    return table


def _recalls(what: str, rows: Sequence[Row], names: Sequence[str]) -> Table:
    table = _table(what, "form", "#spans", *(f"#{name}" for name in names))
    for row in rows:
        table.add_row(row.name, row.form, str(cells.any_figures(row).spans), *(cells.recall(row.figures[name]) for name in names))
    return table


def _styles(rows: Sequence[Row], names: Sequence[str]) -> Table:
    table = _table("style", "#documents", *(f"#{name}" for name in names), *(f"#{name} recall" for name in names))
    for row in rows:
        table.add_row(
            row.name,
            str(cells.any_figures(row).documents),
            *(cells.leaks(row.figures[name]) for name in names),
            *(cells.percent(row.figures[name].recall_any) for name in names),
        )
    return table


def _origins(bench: Bench) -> Table:
    table = _table("origin", "#names", *(f"#{name}" for name in bench.detectors))
    below = {each.detector: each.below for each in bench.fairness if each.measure == "any"}
    for row in bench.origins:
        shares = (cells.percent(row.figures[n].recall_any) + (" *" if row.name in below.get(n, ()) else "") for n in bench.detectors)
        table.add_row(row.name, str(cells.any_figures(row).spans), *shares)
    return table


def _layers(bench: Bench) -> Table:
    table = _table("layer", "texts", "#leaks, alone", "#recall, alone", "#words lost, alone", "#leaks without it", "#words lost without it")
    for layer, alone, without in cells.layer_names(bench):
        for i, row in enumerate(bench.totals):
            a, w = row.figures[alone], row.figures[without]
            table.add_row(
                layer if i == 0 else "",
                row.name,
                cells.leaks(a),
                cells.percent(a.recall_any),
                cells.percent(a.words_lost_share),
                cells.leaks(w),
                cells.percent(w.words_lost_share),
            )
    return table


def _speed(bench: Bench) -> Table:
    rival = bench.setting.rival
    table = _table("characters", "detector", "#n", "#p50", "#p99", "#max", *([f"#of {rival}'s time"] if rival else []))
    last = ""
    for t in bench.speed:
        ratio = [cells.NONE if t.ratio is None else f"{t.ratio:.2f}"] if rival else []
        shown = "" if t.characters == last else t.characters
        table.add_row(shown, t.detector, str(t.n), f"{t.p50_ms:.2f}", f"{t.p99_ms:.2f}", f"{t.max_ms:.2f}", *ratio)
        last = t.characters
    return table


def _opinions(bench: Bench) -> Table:
    table = _table("detector", "#overlap at least", "#spans", "#recall", "#precision")
    for o in bench.opinions:
        table.add_row(o.detector, cells.percent(o.overlap, 0), str(o.spans), cells.percent(o.recall), cells.percent(o.precision))
    return table


def _fair(each: Fairness) -> str:
    return (
        f"{each.detector}, {'any overlap' if each.measure == 'any' else 'whole'}: within 0.5 points: {'yes' if each.within else 'no'}. "
        f"Best {each.best} {cells.percent(each.best_recall)}, worst {each.worst} {cells.percent(each.worst_recall)} "
        f"(at least {cells.percent(each.worst_at_least)}); difference {cells.percent(each.difference, 2)}, "
        f"at most {cells.percent(each.difference_at_most, 2)}"
    )
