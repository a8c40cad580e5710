"""Alerts to PagerDuty, through its Events API v2 (https://developer.pagerduty.com/docs/send-alert-event)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import Final

import msgspec

from phi_guard.errors import DeliveryError
from phi_guard.last_look import LastLook
from phi_guard.model import Cleared
from phi_guard.outbound.announcement import announce
from phi_guard.outbound.hook import Alert, Hook, HookError, read_alert
from phi_guard.outbound.sink import Witness

URL: Final = "https://events.pagerduty.com/v2/enqueue"
"""Of the service in the US; in the EU it is events.eu.pagerduty.com."""

_KEY: Final = re.compile("[0-9A-Za-z]{32}")


class PagerDutySink:
    """Opens an incident when an alert fires, and closes the same one, by its key, when it is resolved. PagerDuty answers 202.

    400 says that the event or its routing key is none; the event is refused then, not sent again.

    Args:
        routing_key: of the service's integration: 32 letters and digits; a secret.
        look: reads each request before it leaves.
        url: of the Events API.

    Raises:
        HookError: the key or the url cannot be one.
    """

    def __init__(self, routing_key: str, look: LastLook | None = None, url: str = URL) -> None:
        if not _KEY.fullmatch(routing_key):
            msg = "the routing key is not 32 letters and digits: copy it from the service's Events API v2 integration in PagerDuty"
            raise HookError(msg)
        self._key, self._hook = routing_key, Hook(url, look)

    def __repr__(self) -> str:
        return f"<PagerDutySink {self._hook.destination}>"

    def deliver(self, batch: Sequence[Cleared], witness: Witness) -> None:
        """As `Sink.deliver`; a batch is one alert."""
        alert = read_alert(batch)
        body = msgspec.json.encode({"routing_key": self._key, **event_of(alert)}, order="sorted")
        status, answer = self._hook.post(alert, body, {}, witness)
        if status != 202 or not _is_success(answer):
            code = "not_pagerduty"
            raise DeliveryError(code)


def event_of(alert: Alert) -> dict[str, object]:
    """The event without its routing key.

    Args:
        alert: as cleared; its facts are the event's details, and nothing else is.
    """
    facts = alert.facts
    alike = " ".join(str(facts.get(key, "")) for key in ("alert", "env", "project", "tool"))
    key = facts.get("key") or hashlib.sha256(f"{alert.name} {alike}".encode()).hexdigest()[:32]
    if facts.get("state") == "resolved":
        return {"event_action": "resolve", "dedup_key": key}
    payload = {
        "summary": announce(alert.name, facts).title,
        "source": facts.get("project", "phi-guard"),
        "severity": facts.get("severity", "warning"),
        "class": alert.name,
        "custom_details": {**facts, "next": announce(alert.name, facts).step},
        **({"group": facts["env"]} if "env" in facts else {}),
        **({"timestamp": facts["at"]} if "at" in facts else {}),
    }
    return {"event_action": "trigger", "dedup_key": key, "client": "phi-guard", "payload": payload}


def _is_success(answer: bytes) -> bool:
    try:
        told = msgspec.json.decode(answer)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
    return isinstance(told, dict) and told.get("status") == "success"
