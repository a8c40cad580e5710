"""The report as one HTML file that needs nothing else: no script, no font, no picture from anywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from jinja2 import Environment, StrictUndefined, select_autoescape
from markupsafe import Markup, escape

from audit.report import svg
from audit.report.content import Content

TEMPLATE: Final = Path(__file__).with_name("template.html.j2")
STYLE: Final = Path(__file__).with_name("style.css")
SHOWN: Final = 500
"""Findings that are listed; the rest are counted, and stand in the JSON report."""


def render(content: Content) -> str:
    """The document as a page."""
    environment = Environment(
        autoescape=select_autoescape(default=True, default_for_string=True), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["prose"] = prose
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    return template.render(content=content, style=house_style(), draw=svg.draw)


def prose(text: str) -> Markup:
    """A text with what stands in backticks as code, and no line's end between a number and its per cent sign."""
    parts = escape(text.replace(" %", "\u00a0%")).split("`")
    if len(parts) % 2 == 0:  # a backtick without its other
        return Markup("`").join(parts)
    return Markup("").join(Markup("<code>{}</code>").format(part) if i % 2 else part for i, part in enumerate(parts))


def house_style() -> Markup:
    """The style sheet of every page of ours: one house, one look."""
    return Markup(STYLE.read_text(encoding="utf-8"))  # noqa: S704  # a file of ours
