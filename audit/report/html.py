"""The report as one HTML file that needs nothing else: no script, no font, no picture from anywhere."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path
from typing import Final

from jinja2 import Environment, StrictUndefined, select_autoescape
from markupsafe import Markup, escape

from audit.report import svg
from audit.report.content import Content

TEMPLATE: Final = Path(__file__).with_name("template.html.j2")
STYLE: Final = Path(__file__).with_name("style.css")
ALLOWED: Final = "default-src 'none'; style-src 'sha256-{}'; base-uri 'none'; form-action 'none'"
"""What the page may load and run: its own style sheet, told by its digest, and nothing else (Content Security Policy, level 3)."""
_OPTION: Final = re.compile(r"((?<!\S)--?[a-z][a-z-]*)")
SHOWN: Final = 500
"""Findings that are listed; the rest are counted, and stand in the JSON report."""


def render(content: Content) -> str:
    """The document as a page."""
    environment = Environment(
        autoescape=select_autoescape(default=True, default_for_string=True), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"prose": prose, "command": whole_options}
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    style = house_style()
    own = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return template.render(content=content, style=style, draw=svg.draw, allowed=ALLOWED.format(own))


def prose(text: str) -> Markup:
    """A text with what stands in backticks as code, and no line's end between a number and its per cent sign."""
    parts = text.replace(" %", "\u00a0%").split("`")
    if len(parts) % 2 == 0:  # a backtick without its other
        return whole_options("`".join(parts))
    marked = (Markup("<code>{}</code>").format(whole_options(part)) if i % 2 else whole_options(part) for i, part in enumerate(parts))
    return Markup("").join(marked)


def whole_options(text: str) -> Markup:
    """A text in which no line ends within ``--option``."""
    parts = _OPTION.split(text)
    return Markup("").join(Markup('<span class="w">{}</span>').format(part) if i % 2 else escape(part) for i, part in enumerate(parts))


def house_style() -> Markup:
    """The style sheet of every page of ours: one house, one look."""
    return Markup(STYLE.read_text(encoding="utf-8"))  # noqa: S704  # a file of ours
