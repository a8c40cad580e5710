"""A drawing as inline SVG: it has a title and a description, and takes its colours from the page's style sheet."""

from __future__ import annotations

import hashlib
from xml.sax.saxutils import escape

from markupsafe import Markup

from audit.report.charts import WIDTH
from audit.report.drawing import Curve, Dot, Drawing, Line, Rect, Shape


def draw(drawing: Drawing) -> Markup:
    """The picture. Its text is escaped here, and its numbers are ours, so that it may stand in the page as it is."""
    name = "c" + hashlib.blake2b(f"{drawing.title}\n{drawing.told}".encode(), digest_size=6).hexdigest()
    head = (
        f'<svg viewBox="0 0 {WIDTH} {drawing.height:.0f}" role="img" aria-labelledby="{name}-t {name}-d">'
        f'<title id="{name}-t">{escape(drawing.title)}</title><desc id="{name}-d">{escape(drawing.told)}</desc>'
    )
    return Markup(head + "".join(map(_shape, drawing.shapes)) + "</svg>")  # noqa: S704  # every text in it went through escape()


def _shape(shape: Shape) -> str:
    if isinstance(shape, Line):
        return f'<line x1="{shape.x1:.1f}" y1="{shape.y1:.1f}" x2="{shape.x2:.1f}" y2="{shape.y2:.1f}" class="{shape.style}"/>'
    if isinstance(shape, Rect):
        place = f'x="{shape.x:.1f}" y="{shape.y:.1f}" width="{shape.wide:.1f}" height="{shape.tall:.1f}"'
        return f'<rect {place} rx="2" class="{shape.style}"><title>{escape(shape.tip)}</title></rect>'
    if isinstance(shape, Dot):
        place = f'cx="{shape.x:.1f}" cy="{shape.y:.1f}"'
        return f'<circle class="{shape.style}" {place} r="4.5"><title>{escape(shape.tip)}</title></circle>'
    if isinstance(shape, Curve):
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in shape.points)
        return f'<polyline points="{points}" class="{shape.style}"/>'
    return f'<text x="{shape.x:.1f}" y="{shape.y:.1f}" text-anchor="{shape.anchor}" class="{shape.style}">{escape(shape.text)}</text>'
