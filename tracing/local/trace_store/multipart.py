"""Multipart bodies as the LangSmith SDK writes them: names and lengths in each part's head, bytes untouched."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote_to_bytes

from tracing.local.trace_store.refusal import Refusal

MOST_PARTS: Final = 100_000
"""A request with more parts is refused; the SDK sends at most 100 operations of about seven parts."""

_BOUNDARY: Final = re.compile(r'\bboundary=(?:"([^"]{1,200})"|([^\s;"]{1,200}))', re.IGNORECASE)
_LENGTH: Final = re.compile(r";\s*length=(\d{1,12})\s*(?:;|$)", re.IGNORECASE)
# Greedy to the last quote: the SDK's own encoder does not escape a quote inside a name.
_NAME: Final = re.compile(r'\bname="(.*?)"(?:\s*;\s*filename.*)?\s*$', re.IGNORECASE | re.DOTALL)
_NAME_EXTENDED: Final = re.compile(r"\bname\*=utf-8''([^;\s]*)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Part:
    """One part: its form name, content type (empty where none is given) and bytes."""

    name: str
    mime: str
    data: bytes


def parts(content_type: str, body: bytes) -> Iterator[Part]:
    """Walk the parts of a multipart body in the order they came.

    A part's end is taken from ``Content-Length`` or, for attachments sent from a file, from ``length=`` in its content
    type; only without both is the boundary searched for, since attachments may hold any bytes.

    Raises:
        Refusal: 400 where the framing is broken; 413 for more than `MOST_PARTS` parts.
    """
    found = _BOUNDARY.search(content_type)
    if found is None:
        raise Refusal(400, "multipart: no boundary in Content-Type; send multipart/form-data; boundary=...")
    mark = b"--" + (found[1] or found[2]).encode("latin-1")
    at = 0 if body.startswith(mark) else body.find(b"\r\n" + mark) + 2
    if at == 1:
        raise Refusal(400, "multipart: the boundary of Content-Type is not in the body")
    for _ in range(MOST_PARTS):
        at += len(mark)
        if body[at : at + 2] == b"--":
            return
        if body[at : at + 2] != b"\r\n":
            raise Refusal(400, f"multipart: byte {at}: no line end after the boundary")
        part, at = _part(body, at + 2, mark)
        yield part
    raise Refusal(413, f"multipart: more than {MOST_PARTS} parts; send smaller batches")


def _part(body: bytes, start: int, mark: bytes) -> tuple[Part, int]:
    head_end = body.find(b"\r\n\r\n", start)
    if head_end < 0:
        raise Refusal(400, f"multipart: byte {start}: the head of a part has no end")
    head = _head(body[start:head_end], start)
    mime = head.get("content-type", "")
    length = head.get("content-length")
    if length is None and (declared := _LENGTH.search(mime)):
        length = declared[1]
        mime = mime[: declared.start()]
    data_at = head_end + 4
    if length is None:
        end = body.find(b"\r\n" + mark, data_at)
        if end < 0:
            raise Refusal(400, f"multipart: byte {data_at}: a part has no closing boundary; was the body cut short?")
    else:
        if not length.isdecimal() or len(length) > 12:
            raise Refusal(400, f"multipart: byte {start}: Content-Length is not a number")
        end = data_at + int(length)
        if body[end : end + 2 + len(mark)] != b"\r\n" + mark:
            raise Refusal(400, f"multipart: byte {data_at}: no boundary where the part's length says it ends")
    return Part(_name(head, start), mime, body[data_at:end]), end + 2


def _head(lines: bytes, at: int) -> dict[str, str]:
    try:
        text = lines.decode()
    except UnicodeDecodeError:
        raise Refusal(400, f"multipart: byte {at}: the head of a part is not UTF-8") from None
    pairs = (line.split(":", 1) for line in text.split("\r\n"))
    return {pair[0].strip().lower(): pair[1].strip() for pair in pairs if len(pair) == 2}


def _name(head: dict[str, str], at: int) -> str:
    disposition = head.get("content-disposition", "")
    try:
        if extended := _NAME_EXTENDED.search(disposition):
            return unquote_to_bytes(extended[1]).decode()
    except UnicodeDecodeError:
        raise Refusal(400, f"multipart: byte {at}: a part's name is not UTF-8") from None
    if found := _NAME.search(disposition):
        # The three escapes of the HTML form encoding, and only those: a name may hold a percent sign.
        return found[1].replace("%22", '"').replace("%0D", "\r").replace("%0A", "\n")
    raise Refusal(400, f"multipart: byte {at}: a part has no name in Content-Disposition")
