"""The review's pages as HTML. All that comes from a trace goes through `_text`, which leaves no mark-up in it."""

from __future__ import annotations

from html import escape
from itertools import groupby
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Final

from audit.review.record import COMMENTS, ENTITIES

if TYPE_CHECKING:
    from audit.review.session import Session

CONSENT: Final = "show"
"""The word that is typed before any content is shown."""
WARNING: Final = (
    "What follows is the content of traces. It should hold nothing that identifies a patient; you are here because it might. "
    "Look at it alone, copy nothing out of it. That you opened it is written to the audit's log."
)
_OVER: Final = {
    "ended": ("The review has ended", "The file is written, and can no longer be changed. This page may be closed."),
    "later": ("Left for later", "What was decided is kept. Run the same command again to go on. This page may be closed."),
}
_TEMPLATE: Final = Path(__file__).with_name("page.html")


def consent(session: Session, form: str, fault: str, nonce: str) -> str:
    """The page before any content is shown."""
    body = f"""<h1>Review of {session.total} traces</h1>
{_fault(fault)}<p>{_text(WARNING)}</p>
<form method="post" action="/consent">{_hidden("form", form)}
<p><label for="word">Type <strong>{CONSENT}</strong> to go on:</label></p>
<p><input type="text" id="word" name="word" autocomplete="off" autocapitalize="none" autofocus>
<button class="main" id="go">Go on</button></p></form>"""
    return _page("Review", body, nonce)


def item(session: Session, form: str, fault: str, nonce: str) -> str:
    """The page of what is to be decided now, or, when all is, of the end."""
    now = session.current()
    head = f"""<p class="soft" role="status">{session.done} of {session.total} decided</p>
<progress max="{max(1, session.total)}" value="{session.done}" aria-label="decided"></progress>
{_fault(fault)}"""
    undo = f"""<form method="post" action="/undo">{_hidden("form", form)}<button id="undo">Take back <kbd>z</kbd></button></form>"""
    later = f"""<form method="post" action="/later">{_hidden("form", form)}<button>Later</button></form>"""
    if now is None:
        end = f"""<form method="post" action="/end">{_hidden("form", form)}<button class="main" id="end">End the review</button></form>"""
        body = f"""{head}<h1>All are decided</h1><p>Ending tells which of them were planted; after that nothing can be changed.</p>
<div class="bar"><div>{end}{undo}{later}</div></div>"""
        return _page("All are decided", body, nonce)
    runs = []
    for number, lines in groupby(session.lines(now), key=lambda line: line.place.split(".")[0]):
        rows = "".join(
            f"""<label class="line"><input type="radio" name="place" value="{_text(line.place)}" form="decide"><span class="at">"""
            f"""{_text(line.label)}</span><span class="text">{_text(line.text)}</span></label>"""
            for line in lines
        )
        runs.append(f"""<section><h2>run {_text(number)}</h2>{rows}</section>""")
    kinds = "".join(f"<option>{_text(each)}</option>" for each in ENTITIES)
    comments = "".join(f"""<option value="{_text(each)}">{_text(each or "no comment")}</option>""" for each in COMMENTS)
    buttons = "".join(
        f"""<button form="decide" name="said" value="{said}" id="{said}" class="{said}">{said.capitalize()} <kbd>{said[0]}</kbd></button>"""
        for said in ("clear", "leak", "unsure")
    )
    body = f"""{head}<h1>Does anything here identify a patient?</h1>
<p class="soft">A leak: choose its line and its class.<span class="keys">
Keys: j and k choose a line, c clear, l leak, u unsure, z takes back.
</span></p>
<form method="post" action="/decide" id="decide">{_hidden("form", form)}{_hidden("item", now.token)}</form>
{"".join(runs)}
<div class="bar"><div>{buttons}
<select name="entity" form="decide" aria-label="class of the leak">{kinds}</select>
<select name="comment" form="decide" aria-label="comment">{comments}</select>{undo}{later}</div></div>"""
    return _page(f"{session.done + 1} of {session.total}", body, nonce)


def over(how: str, nonce: str) -> str:
    """The last page: ``ended`` or ``later``."""
    title, text = _OVER[how]
    return _page(title, f"<h1>{title}</h1><p>{text}</p>", nonce)


def _page(title: str, body: str, nonce: str) -> str:
    return Template(_TEMPLATE.read_text(encoding="utf-8")).substitute(title=f"{title} · phi-audit", body=body, nonce=nonce)


def _hidden(name: str, value: str) -> str:
    return f"""<input type="hidden" name="{name}" value="{_text(value)}">"""


def _fault(fault: str) -> str:
    return f"""<p class="fault" role="alert">{_text(fault)}</p>""" if fault else ""


def _text(value: str) -> str:
    """A text with nothing in it that is mark-up, and nothing that turns the line's direction or cannot be seen."""
    seen = "".join(c if c.isprintable() or c == "\n" else f"\\u{ord(c):04x}" for c in value)
    return escape(seen, quote=True)
