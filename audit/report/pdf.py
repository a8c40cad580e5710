"""The report as PDF: the same sections, charts drawn, and on every page the verdict, the digest and the page's number.

The same report gives the same bytes: no clock, no random id, fonts embedded (Bitstream Vera, as ReportLab ships it).
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from xml.sax.saxutils import escape

import reportlab
from reportlab.lib import colors
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.platypus import Flowable, KeepTogether, LongTable, Paragraph, SimpleDocTemplate, Spacer, TableStyle

from audit.report.charts import WIDTH
from audit.report.content import Content, Section, Table
from audit.report.drawing import Curve, Dot, Drawing, Line, Rect

if TYPE_CHECKING:
    from reportlab.pdfgen.canvas import Canvas

SHOWN: Final = 200
"""Findings that are listed."""
PLAIN: Final = "Vera"
BOLD: Final = "VeraBd"
MARGIN: Final = 42.0
"""Points, left and right; the printable width is the page's without them."""
SHORT: Final = 24
"""Characters of a word that is not broken over two lines, where a column has only such."""
_INK, _SOFT, _EDGE = (colors.HexColor(code) for code in ("#1b1f24", "#59636e", "#d1d9e0"))
_BLUE, _GOOD, _BAD, _WAIT = (colors.HexColor(code) for code in ("#3b6ea8", "#1a7f37", "#b3261e", "#8a5a00"))
_STATES: Final = {
    "GO": _GOOD, "NO-GO": _BAD, "UNPROVEN": _WAIT, "proven": _GOOD, "failed": _BAD, "unproven": _WAIT, "high": _BAD, "medium": _WAIT,
    "expired": _BAD, "accepted": _WAIT,
}  # fmt: skip
_MARKS: Final = {"m0": _SOFT, "m1": _WAIT, "m2": _BAD}


def render(content: Content) -> bytes:
    """The document as a PDF."""
    _fonts()
    out = io.BytesIO()
    title = f"{content.state}: audit of {content.name}"
    document = SimpleDocTemplate(
        out, pagesize=A4, leftMargin=MARGIN, rightMargin=MARGIN, topMargin=54, bottomMargin=58, invariant=1, title=_known(title),
        author="phi-audit", subject=f"Report SHA-256 {content.digest}", lang="en",
    )  # fmt: skip

    def frame(canvas: Canvas, page: Any) -> None:
        canvas.saveState()
        canvas.setFont(BOLD, 8)
        canvas.setFillColor(_STATES.get(content.state, _INK))
        canvas.drawString(MARGIN, A4[1] - 34, content.state)
        canvas.setFont(PLAIN, 7)
        canvas.setFillColor(_SOFT)
        canvas.drawRightString(A4[0] - MARGIN, A4[1] - 34, _known(f"audit of {content.name}")[:110])
        canvas.drawString(MARGIN, 38, f"Report SHA-256 {content.digest}")
        canvas.drawRightString(A4[0] - MARGIN, 38, f"page {page.page}")
        if content.stamp:
            canvas.drawString(MARGIN, 28, content.stamp)
        canvas.restoreState()

    document.build(list(_story(content)), onFirstPage=frame, onLaterPages=frame)
    return out.getvalue()


@cache
def _fonts() -> None:
    folder = Path(str(reportlab.__file__)).with_name("fonts")
    for name in (PLAIN, BOLD):
        pdfmetrics.registerFont(TTFont(name, str(folder / f"{name}.ttf")))


@cache
def _letters() -> frozenset[int]:
    """The letters that the font has, by number."""
    face: Any = pdfmetrics.getFont(PLAIN)
    return frozenset(face.face.charToGlyph)


def _known(text: str) -> str:
    """The text in letters that the font has; another is told by its number, for a box would hide which."""
    letters = _letters()
    return "".join(c if ord(c) in letters else f"[U+{ord(c):04X}]" for c in " ".join(text.split()))


def _style(size: float, *, bold: bool = False, colour: Any = _INK, after: float = 3, before: float = 0) -> ParagraphStyle:
    return ParagraphStyle(
        f"{size}{bold}", fontName=BOLD if bold else PLAIN, fontSize=size, leading=size * 1.35, textColor=colour, spaceAfter=after,
        spaceBefore=before, splitLongWords=True,
    )  # fmt: skip


def _words(text: str, style: ParagraphStyle) -> Paragraph:
    return Paragraph(escape(_known(text)), style)


def _story(content: Content) -> Iterator[Flowable]:
    body = _style(9)
    yield _words(content.state, _style(24, bold=True, colour=_STATES.get(content.state, _INK), after=6))
    yield _words(content.name, _style(11, bold=True))
    yield _words(content.about, _style(8, colour=_SOFT, after=6))
    for lead in content.leads:
        yield _words(lead, body)
    for reason in content.reasons:
        yield _words(f"– {reason}", body)
    for section in content.sections:
        yield from _section(section, body)


def _section(section: Section, body: ParagraphStyle) -> Iterator[Flowable]:
    first: list[Flowable] = [_words(section.title, _style(13, bold=True, before=12, after=4))]
    rest: list[Flowable] = [_words(text, body) for text in section.texts]
    rest += [KeepTogether([_words(chart.title, _style(9, bold=True, before=4)), _Chart(chart)]) for chart in section.charts]
    if section.texts:
        first.append(rest.pop(0))
    yield KeepTogether(first)
    yield from rest
    for table in section.tables:
        yield from _table(table)
    for point in section.points:
        yield _words(f"– {point}", body)


def _table(table: Table) -> Iterator[Flowable]:
    small, strong = _style(7.5, after=0), _style(7.5, bold=True, after=0)
    if table.caption:
        yield _words(table.caption, _style(8, colour=_SOFT, before=4))
    headed = any(table.names)
    rows: list[list[Paragraph]] = [[_words(name, strong) for name in table.names]] if headed else []
    for row in table.rows:
        cells = []
        for column, cell in zip(table.columns, row, strict=True):
            state = column.startswith("!")
            cells.append(_words(cell, _style(7.5, bold=True, colour=_STATES.get(cell, _INK), after=0) if state else small))
        rows.append(cells)
    if not rows:
        return
    ruled = LongTable(rows, colWidths=_widths(table), repeatRows=1 if headed else 0)
    ruled.setStyle(
        TableStyle([
            ("VALIGN", (0, 0), (-1, -1), "TOP"), ("LINEBELOW", (0, 0), (-1, -1), 0.4, _EDGE), ("LEFTPADDING", (0, 0), (-1, -1), 0),
            ("RIGHTPADDING", (0, 0), (-1, -1), 6), ("TOPPADDING", (0, 0), (-1, -1), 2), ("BOTTOMPADDING", (0, 0), (-1, -1), 3),
        ])
    )  # fmt: skip
    yield ruled
    yield Spacer(1, 6)


def _widths(table: Table) -> list[float]:
    """Each column's share of the page, by its longest cell. States, numbers and short words do not break where there is room; the rest
    share what is left.
    """
    whole, letter = A4[0] - 2 * MARGIN, 5.4  # points a letter, in bold
    longest = [max([len(name), *(len(row[i]) for row in table.rows)]) for i, name in enumerate(table.names)]
    whole_words = [all(len(row[i]) <= SHORT and " " not in row[i] for row in table.rows) for i in range(len(longest))]
    keeps = [column.startswith(("!", "#")) or (word and bool(column)) for column, word in zip(table.columns, whole_words, strict=True)]
    fixed = [n * letter + 8 if keep else 0.0 for n, keep in zip(longest, keeps, strict=True)]
    if all(keeps) or sum(fixed) > 0.7 * whole:  # too much to be kept: the states alone, or all in proportion
        fixed = [width if column.startswith("!") else 0.0 for width, column in zip(fixed, table.columns, strict=True)]
    needs = [
        0.0 if kept else float(max(6, *map(len, name.split() or [""]), min(n, 60)) + 3)
        for kept, n, name in zip(fixed, longest, table.names, strict=True)
    ]
    left = whole - sum(fixed)
    return [kept or left * need / sum(needs) for kept, need in zip(fixed, needs, strict=True)]


class _Chart(Flowable):
    """A drawing as wide as the page."""

    def __init__(self, drawing: Drawing) -> None:
        super().__init__()
        self._drawing = drawing

    def wrap(self, wide: float, _tall: float) -> tuple[float, float]:
        self._scale = wide / WIDTH
        return wide, self._drawing.height * self._scale + 6

    def draw(self) -> None:
        canvas, scale, height = self.canv, self._scale, self._drawing.height
        canvas.scale(scale, scale)
        for shape in self._drawing.shapes:
            colour = _colour(shape.style)
            canvas.setStrokeColor(colour)
            canvas.setFillColor(colour)
            canvas.setDash([5, 3] if "mark" in shape.style else [])
            if isinstance(shape, Line):
                canvas.setLineWidth(4 if "interval" in shape.style else 2 if shape.style.startswith(("mark", "budget")) else 0.8)
                canvas.line(shape.x1, height - shape.y1, shape.x2, height - shape.y2)
            elif isinstance(shape, Rect):
                canvas.rect(shape.x, height - shape.y - shape.tall, shape.wide, shape.tall, stroke=0, fill=1)
            elif isinstance(shape, Dot):
                canvas.circle(shape.x, height - shape.y, 4.5, stroke=0, fill=1)
            elif isinstance(shape, Curve):
                path = canvas.beginPath()
                path.moveTo(shape.points[0][0], height - shape.points[0][1])
                for x, y in shape.points[1:]:
                    path.lineTo(x, height - y)
                canvas.setLineWidth(2)
                canvas.drawPath(path)
            else:
                canvas.setFont(BOLD if "key" in shape.style else PLAIN, 11)
                say = {"start": canvas.drawString, "middle": canvas.drawCentredString, "end": canvas.drawRightString}[shape.anchor]
                say(shape.x, height - shape.y, _known(shape.text))


def _colour(style: str) -> Any:
    names = style.split()
    for name in names:
        if name in _MARKS:
            return _MARKS[name]
    if "bad" in names or "budget" in names:
        return _BAD
    if "good" in names:
        return _GOOD
    if "grid" in names:
        return _EDGE
    return {"axis": _SOFT, "bar": _BLUE, "curve": _BLUE}.get(names[0] if names else "", _INK)
