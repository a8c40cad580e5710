"""The last look: the final bytes of a posting, read once more for what must never leave, by whoever does not know why they were cleared.

It takes the request apart down to each value and each key. Closed shapes of our own (ids, instants, counts) are set aside, by the same
table the gate goes by; over all the rest run the pattern rules for identifiers that have an unmistakable form. It knows no policy: a value
that a policy keeps by mistake is met like any other. A request that it cannot take apart to the last byte is not sent.
"""

from __future__ import annotations

import base64
import html
import json
import re
import unicodedata
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias
from urllib.parse import unquote

from phi_guard import envelope
from phi_guard.detect.patterns import RULES, PatternDetector
from phi_guard.errors import LeakSeen, PhiGuardError
from phi_guard.policy.compiled import Pattern, Shape

NEVER: Final = frozenset(
    {
        "email", "email_apart", "phone", "phone_cue", "ssn", "ssn_cue", "mrn", "mrn_glued", "card_number", "iban", "mbi",
        "ahv", "nir", "nhs", "birth_date", "dea",
    }
)  # fmt: skip
"""Rules for identifiers of a form that nothing harmless has. Names, places and dates are the gate's: they need its detectors."""

_UUID: Final = rb"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_HEAD: Final = re.compile(
    rb'\r\nContent-Disposition: form-data; name="(?:post|patch)\.(' + _UUID + rb')((?:\.[a-z]{1,16})?)"\r\n'
    rb"Content-Type: application/json\r\nContent-Length: ([0-9]{1,9})\r\n\r\n"
)
_FORM: Final = re.compile(r"multipart/form-data; boundary=([0-9a-f]{32})")
_SECRET: Final = frozenset({"x-api-key", "content-length", "content-type"})
"""Headers that are not read as text: our own key, and two that are checked by themselves."""
_SIGNED: Final = re.compile(r"t=[0-9]{1,12},v1=[0-9a-f]{64}")
"""The value of a signature header; another value is read."""
_JSON_TYPE: Final = re.compile(r"application/json(?:; ?charset=utf-8)?", re.IGNORECASE)
_ID_IN_TEXT: Final = re.compile(rf"(?<![0-9A-Za-z-])(?:{_UUID.decode()}|[0-9a-f]{{64}})(?![0-9A-Za-z-])")

_SAFE_MIN: Final = 6
"""Digits of a safe text without an @: with fewer it could only hide a part of somebody's number."""
SIGNATURE: Final = "phi-guard-signature"
"""The header that signs a webhook's body, in small letters."""
_YEAR: Final = re.compile(r"(?:19|20)[0-9]{2}")
"""All that 45 CFR 164.514(b)(2)(i)(C) leaves of a date of birth may leave."""
_UNPACKED_MAX: Final = 100_000
"""Bytes of what was packed that are read."""
_ESCAPE: Final = re.compile(r"\\u([0-9a-fA-F]{4})")
_HEX: Final = re.compile(r"(?<![0-9A-Za-z])(?:[0-9a-fA-F]{2}){8,}(?![0-9A-Za-z])")
_BASE64: Final = re.compile(r"[A-Za-z0-9+/_-]{12,}={0,2}")

_Pairs: TypeAlias = list[tuple[str, object]]


class LookFailed(PhiGuardError):
    """The request cannot be taken apart, so nobody knows what is in it. The message says where, never what."""


class _Object(list[tuple[str, object]]):
    """A JSON object as its pairs, so that a key given twice is read twice."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is about to leave.

    Args:
        url: where to, as it goes out; scheme and host alone where the rest is a secret of ours.
        headers: as they go out.
        body: as it goes out: a multipart as LangSmith's client makes it, or one JSON value.
    """

    url: str
    headers: Mapping[str, str]
    body: bytes


class LastLook:
    """Reads a request for identifiers. Cost: linear in its length; see tests/perf/bench_last_look.py.

    Args:
        safe: stretches of text, in any case, that a policy writes down itself as no one's, such as the clinic's own number.
    """

    __slots__ = ("_detector", "_safe")

    def __init__(self, safe: Iterable[str] = ()) -> None:
        self._detector = PatternDetector(tuple(rule for rule in RULES if rule.name in NEVER))
        kept = {text.strip().lower() for text in safe if "@" in text or sum(map(str.isdigit, text)) >= _SAFE_MIN}
        longest_first = "|".join(map(re.escape, sorted(kept, key=len, reverse=True)))
        self._safe = re.compile(rf"(?<!\w)(?:{longest_first})(?!\w)", re.IGNORECASE) if kept else None

    def look(self, request: Request) -> None:
        """Return if nothing in the request has the form of an identifier.

        Raises:
            LeakSeen: something has; it names the rule and the spans.
            LookFailed: the request is not as our own are, so that part of it could not be read.
        """
        owners: dict[str, set[str]] = {text: set() for text in _around(request)}
        for span, part, content in _parts(request):
            for text in _texts(part, _json(content)):
                owners.setdefault(text, set()).add(span)
        met = {text: rules for text in owners if (rules := self._rules_in(text))}
        if met:
            raise LeakSeen(min(rule for rules in met.values() for rule in rules), {span for text in met for span in owners[text]})

    def rules_in(self, value: object) -> frozenset[str]:
        """The rules that a JSON value would meet on its way out, each value in it with its key; for trying a policy before it is live.

        Args:
            value: as ``json`` gives it.
        """
        return frozenset().union(*(self._rules_in(text) for text in _walk("", _json(json.dumps(value).encode()))))

    def _rules_in(self, text: str) -> set[str]:
        return {
            part.removeprefix("patterns.")
            for form in _forms(text)
            for found in self._detector.find(form)
            if not self._is_safe(form, found.start, found.end)
            for part in found.source.split("+")
            if part != "patterns.birth_date" or not _YEAR.fullmatch(form, found.start, found.end)
        }

    def _is_safe(self, text: str, start: int, end: int) -> bool:
        """Whether all that makes a finding one stands in safe texts. These are not taken out first: what is left would be no number."""
        if self._safe is None:
            return False
        safe = [match.span() for match in self._safe.finditer(text)]
        telling = [] if "@" in text[start:end] else [at for at in range(start, end) if text[at].isdigit()]
        return all(any(a <= at < b for a, b in safe) for at in telling or range(start, end))


def _forms(text: str) -> Iterator[str]:
    """A text as it stands and, where that differs, as whoever gets it would read it: escapes resolved, wide signs narrow, unpacked."""
    yield text
    plain = _ESCAPE.sub(lambda match: chr(int(match[1], 16)), text) if "\\u" in text else text
    plain = unquote(plain, errors="ignore") if "%" in plain else plain
    plain = html.unescape(plain) if "&" in plain else plain
    plain = plain if plain.isascii() else _narrow(plain)
    if plain != text:
        yield plain
    for packed in _BASE64.findall(plain):
        bare = packed.rstrip("=").replace("-", "+").replace("_", "/")
        if len(bare) % 4 != 1:
            yield from _readable(base64.b64decode(bare + "=" * (-len(bare) % 4)))
    for packed in _HEX.findall(plain):
        yield from _readable(bytes.fromhex(packed))


def _readable(data: bytes) -> Iterator[str]:
    """What packed bytes say, where it is text: chance gives hardly ever text."""
    if data.startswith(b"\x1f\x8b"):
        try:
            data = zlib.decompressobj(31).decompress(data, _UNPACKED_MAX)
        except zlib.error:
            return
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return
    if all(char.isprintable() or char.isspace() for char in text):
        yield _narrow(text)


def _narrow(text: str) -> str:
    """Without what nobody sees, and each wide or ornate sign as the plain one."""
    return "".join(char for char in unicodedata.normalize("NFKC", text) if unicodedata.category(char) != "Cf")


def _around(request: Request) -> Iterator[str]:
    """The address and the headers, without our key and what `_parts` checks."""
    yield request.url
    for name, value in request.headers.items():
        low = name.lower()
        if low == "content-length" and value != str(len(request.body)):
            msg = "the length announced is not the body's"
            raise LookFailed(msg)
        ours = low in _SECRET or (low == SIGNATURE and _SIGNED.fullmatch(str(value)))
        yield name if ours else f"{name}: {value!s}"


def _parts(request: Request) -> Iterator[tuple[str, str, bytes]]:
    """``(span id, which part, content)`` of a multipart body in exactly the form LangSmith's client gives it, to the last byte.

    A JSON body is one part, of no span: ``.json``.
    """
    kind = {name.lower(): value for name, value in request.headers.items()}.get("content-type", "")
    if _JSON_TYPE.fullmatch(kind) and type(request.body) is bytes:
        yield "", ".json", request.body
        return
    form = _FORM.fullmatch(kind)
    if form is None or type(request.body) is not bytes:
        msg = "the body is neither a multipart nor JSON, of bytes"
        raise LookFailed(msg)
    body, mark = request.body, f"--{form[1]}".encode()
    at = 0
    while body.startswith(mark, at):
        at += len(mark)
        head = _HEAD.match(body, at)
        if head is None:
            if body[at:] == b"--\r\n":
                return
            break
        start, length = head.end(), int(head[3])
        at = start + length + 2
        if body[at - 2 : at] != b"\r\n":
            break
        yield head[1].decode(), head[2].decode(), body[start : start + length]
    msg = f"the body is not as our own are, at byte {at}"
    raise LookFailed(msg)


def _json(content: bytes) -> object:
    try:
        return json.loads(content.decode(), object_pairs_hook=_Object)
    except (ValueError, RecursionError):
        msg = "a part of the body is not JSON"
        raise LookFailed(msg) from None


def _texts(part: str, value: object) -> Iterator[str]:
    """Every key and value of a part that is not in a closed shape of ours, each value with its key before it."""
    if part == "" and isinstance(value, _Object):
        yield from _shaped(value, _RUN)
    elif part == ".extra" and isinstance(value, _Object):
        for key, inner in value:
            if key == "metadata" and isinstance(inner, _Object):
                yield from _shaped(inner, envelope.METADATA)
            else:
                yield from _walk(key, inner)
    elif part == ".json":
        for text in _walk("", value, _ALERT):
            yield _ID_IN_TEXT.sub(" ", text)  # ids of traces and digests stand in sentences
    else:
        yield from _walk("", value)


def _shaped(pairs: _Pairs, shapes: Mapping[str, _Fits]) -> Iterator[str]:
    for key, value in pairs:
        shape = shapes.get(key)
        if value is None or (shape is not None and shape.fits(value)):
            continue
        if key in _COUNTED and isinstance(value, _Object):
            for name, n in value:  # names the policy gives, and how often each was met
                yield from _walk(name, name if _COUNT.fits(n) else n)
        else:
            yield from _walk(key, value)


def _walk(key: str, value: object, shapes: Mapping[str, _Fits] = {}) -> Iterator[str]:
    """Every key and value below a place; a value that fits the shape of its key in ``shapes`` is left out, its key is not."""
    if isinstance(value, _Object):
        for name, inner in value:
            yield from _walk(name, inner, shapes)
        if not value:
            yield key
    elif isinstance(value, list):
        for inner in value:
            yield from _walk(key, inner, shapes)
        if not value:
            yield key
    elif value is None or isinstance(value, bool) or envelope.INSTANT.fits(value) or (key in shapes and shapes[key].fits(value)):
        yield key
    else:
        yield f"{key}: {value}"


class _Order:
    """The shape of a dotted order."""

    def fits(self, value: object) -> bool:
        return isinstance(value, str) and envelope.DOTTED_ORDER.fullmatch(value) is not None


_Fits: TypeAlias = Shape | _Order
_RUN: Final[Mapping[str, _Fits]] = {**envelope.RUN, "dotted_order": _Order()}
_COUNT: Final = envelope.METADATA["errors"]
_COUNTED: Final = frozenset({"redactions", "usage_metadata"})
_HEX_KEY: Final = Pattern("[0-9a-f]{16,64}")
_ALERT: Final[Mapping[str, _Fits]] = {
    **dict.fromkeys(("key", "dedup_key", "report"), _HEX_KEY),
    "routing_key": Pattern("[0-9A-Za-z]{32}"),  # our own key, which PagerDuty takes in the body
}
"""Closed shapes of an alert beside ids and instants. All else in it is read, its numbers too."""
