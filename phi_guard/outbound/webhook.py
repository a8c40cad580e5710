"""Alerts to an address of one's own, as JSON that is signed.

The header ``Phi-Guard-Signature: t=<unix seconds>,v1=<hex>`` holds the HMAC-SHA256, under the shared secret, of the seconds in decimal, a
full stop, and the body's exact bytes (the scheme of Stripe's webhooks: https://docs.stripe.com/webhooks#verify-manually). Who receives it
computes the same, compares in constant time, and refuses what is older than five minutes, so that nobody plays it again; `verify` does so.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import time
from collections.abc import Sequence
from typing import Final

import msgspec

from phi_guard.last_look import LastLook
from phi_guard.model import Cleared
from phi_guard.outbound.announcement import announce
from phi_guard.outbound.hook import Hook, HookError, read_alert
from phi_guard.outbound.sink import Witness

SCHEMA: Final = "phi-guard.alert/1"
"""Name of the body's form: ``schema``, ``name``, ``title``, ``text`` and ``facts`` (`phi_guard.facts.ALERT`)."""
HEADER: Final = "Phi-Guard-Signature"
TOLERANCE_S: Final = 300
"""Seconds by which a signature may be old, or ahead."""
SECRET_MIN: Final = 16
"""Characters that a secret has at least."""

_SIGNATURE: Final = re.compile(r"t=([0-9]{1,12}),v1=([0-9a-f]{64})")


class WebhookSink:
    """Posts one JSON object per alert. Any 2xx takes it. The same alert's key may come twice: ``facts.key`` and ``facts.state`` tell.

    Args:
        url: where to; a secret.
        secret: signs what is sent; None to send it unsigned.
        look: reads each request before it leaves.

    Raises:
        HookError: the url is no https address, or the secret is too short.
    """

    def __init__(self, url: str, secret: str | None = None, look: LastLook | None = None) -> None:
        if secret is not None and len(secret) < SECRET_MIN:
            msg = f"the secret that signs a webhook has under {SECRET_MIN} characters: make one with `openssl rand -hex 32`"
            raise HookError(msg)
        self._hook, self._secret = Hook(url, look), secret

    def __repr__(self) -> str:
        return f"<WebhookSink {self._hook.destination}>"

    def deliver(self, batch: Sequence[Cleared], witness: Witness) -> None:
        """As `Sink.deliver`; a batch is one alert."""
        alert = read_alert(batch)
        message = announce(alert.name, alert.facts)
        body = msgspec.json.encode(
            {"schema": SCHEMA, "name": alert.name, "title": message.title, "text": message.text, "facts": alert.facts}, order="sorted"
        )
        headers = {HEADER: sign(self._secret, body, int(time.time()))} if self._secret is not None else {}
        self._hook.post(alert, body, headers, witness)


def sign(secret: str, body: bytes, at: int) -> str:
    """The header's value.

    Args:
        secret: shared with who receives it.
        body: exact bytes.
        at: when, seconds since 1970.
    """
    return f"t={at},v1={hmac.new(secret.encode(), f'{at}.'.encode() + body, hashlib.sha256).hexdigest()}"


def verify(secret: str, body: bytes, header: str, now: float) -> bool:
    """Whether a body was signed with this secret, not long ago.

    Args:
        secret: shared with who sent it.
        body: exact bytes as they came.
        header: the value of `HEADER`.
        now: seconds since 1970.
    """
    match = _SIGNATURE.fullmatch(header)
    if match is None or abs(now - int(match[1])) > TOLERANCE_S:
        return False
    return hmac.compare_digest(sign(secret, body, int(match[1])), header)
