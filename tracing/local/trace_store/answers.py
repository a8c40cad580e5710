"""How an endpoint reads its request and words its answer."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

from starlette.responses import Response

from tracing.local.trace_store import ingest
from tracing.local.trace_store.reception import BODY
from tracing.local.trace_store.refusal import Refusal

if TYPE_CHECKING:
    from starlette.requests import Request

    from tracing.local.trace_store.records import Json


def answer(content: object, status: int = 200) -> Response:
    """The JSON of a content."""
    # Escaped to ASCII, because a run may hold half a surrogate pair, which UTF-8 cannot.
    return Response(json.dumps(content, separators=(",", ":")), status, media_type="application/json")


def uuid_of(text: str) -> str:
    """The id in its usual form.

    Raises:
        Refusal: 422 for what is none.
    """
    try:
        return str(uuid.UUID(text))
    except ValueError:
        raise Refusal(422, "address: the id is not a UUID") from None


def number(request: Request, name: str, default: int, most: int) -> int:
    """A number of the address, 0 to ``most``.

    Raises:
        Refusal: 422 for another.
    """
    text = request.query_params.get(name, str(default))
    if not (text.isdecimal() and len(text) < 10 and int(text) <= most):
        raise Refusal(422, f"{name}: must be 0 to {most}")
    return int(text)


def body_of(request: Request) -> Json:
    """The JSON object that a request carries.

    Raises:
        Refusal: 400 or 422 where it carries none.
    """
    return ingest.shaped(ingest.document(request.scope[BODY]), dict[str, Any], "body")
