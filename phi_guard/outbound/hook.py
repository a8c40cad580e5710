"""One alert in one request to one address that takes JSON, over a connection of its own. No retry, no redirect, nothing kept.

The address is a secret (whoever knows a Slack webhook can post to it): no error, log, representation or disclosure holds more of it than
its host. A proxy that the environment names (``HTTPS_PROXY``, ``NO_PROXY``) and a certificate bundle (``REQUESTS_CA_BUNDLE``) are used;
credentials out of ``~/.netrc`` are not, nor cookies.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from http.cookiejar import DefaultCookiePolicy
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

import msgspec
import requests

from phi_guard.errors import DeliveryError, DeliveryRefused, PhiGuardError
from phi_guard.last_look import LastLook
from phi_guard.model import Cleared
from phi_guard.outbound.answer import CONFLICT, read_answer
from phi_guard.outbound.door import Door
from phi_guard.outbound.sink import Posting, Witness

CONNECT_S: Final = 3.0
"""Seconds for a connection."""
READ_S: Final = 10.0
"""Seconds without a byte of the answer."""
WITHIN_S: Final = 15.0
"""Seconds for all of it, however slowly it drips."""
ANSWER_KEPT: Final = 4_096
"""Bytes of an answer that are compared with what the other side answers when it took the message."""


class HookError(PhiGuardError):
    """An address or a key cannot be used; the message says what one looks like, never what was given."""


@dataclass(frozen=True, slots=True)
class Alert:
    """A cleared alert, read: its name, its facts, the digest of the policy that cleared it. Numbers are to two places."""

    name: str
    facts: Mapping[str, object]
    policy: str


class _Unsaid(logging.Filter):
    """Drops each record that holds one of our addresses: urllib3 logs the path of every request."""

    def __init__(self) -> None:
        super().__init__()
        self.secrets: set[str] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        said = record.getMessage()
        return not any(secret in said for secret in self.secrets)


_UNSAID: Final = _Unsaid()


class Hook:
    """One address.

    Args:
        url: the address: https, or http on this machine.
        look: reads each request.
        within_s: seconds in which a request is over.

    Raises:
        HookError: it is no such address.
    """

    def __init__(self, url: str, look: LastLook | None = None, *, within_s: float = WITHIN_S) -> None:
        self._url = _judged(url)
        self.destination = urlsplit(self._url).netloc
        """Host and port, which is all that may be said of the address."""
        self._look, self._within_s = look or LastLook(), within_s
        path = self._url.partition(self.destination)[2].strip("/")
        if path:
            _UNSAID.secrets.add(path)
        for name in ("urllib3.connectionpool", "urllib3.util.retry"):
            logging.getLogger(name).addFilter(_UNSAID)

    def __repr__(self) -> str:
        return f"<Hook {self.destination}>"

    def post(self, alert: Alert, body: bytes, headers: Mapping[str, str], witness: Witness) -> tuple[int, bytes]:
        """Send a body and give the answer's status and the begin of its body, which is for comparing only.

        Args:
            alert: what the body tells, for the disclosure.
            body: JSON.
            headers: beside those of every request.
            witness: told before and after.

        Raises:
            DeliveryError: as `Sink.deliver` says.
        """
        traces = alert.facts.get("trace_ids")
        posting = Posting(
            destination=self.destination,
            projects=(str(alert.facts["project"]),) if "project" in alert.facts else (),
            policies=(alert.policy,),
            operations=1,
            calls=len(traces) if isinstance(traces, list) else 0,
            bytes=0,
            body_sha256="",
        )
        door = Door(self._url, self._look, secret=True, keep=ANSWER_KEPT, within_s=self._within_s)
        door.open(posting, witness)
        try:
            self._send(door, body, headers)
        except Exception:  # noqa: BLE001, S110  # what it means the door knows; its text holds the address
            pass
        finally:
            door.shut()
            door.close()
        if door.fault is not None:
            raise door.fault
        if not door.status:
            code = "nothing_sent"
            raise DeliveryError(code)
        fault = read_answer(door.status, door.retry_after, datetime.now(UTC))
        if door.status == CONFLICT:  # of a span it means "there already"; of a message it means no such thing
            fault = DeliveryError(f"http_{CONFLICT}")
        if fault is not None:
            raise fault
        return door.status, door.answer

    def _send(self, door: Door, body: bytes, headers: Mapping[str, str]) -> None:
        with requests.Session() as session:
            session.auth = _no_credentials
            session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
            session.adapters.clear()
            session.mount("http://", door)
            session.mount("https://", door)
            session.headers.clear()
            common = {"User-Agent": "phi-guard", "Accept-Encoding": "identity", "Connection": "close", "Content-Type": "application/json"}
            session.post(
                self._url, data=body, headers={**common, **headers}, timeout=(CONNECT_S, READ_S), allow_redirects=False, stream=True
            )


def read_alert(batch: Sequence[Cleared]) -> Alert:
    """The one alert of a batch. A message is one request, so a batch of several cannot be delivered whole or not at all.

    Args:
        batch: exactly one `Cleared` of kind ``alert``.

    Raises:
        DeliveryRefused: it is anything else.
    """
    code = "not_cleared" if any(type(one) is not Cleared or one.kind != "alert" for one in batch) else "not_one"
    if code == "not_cleared" or len(batch) != 1:
        raise DeliveryRefused(code)
    facts = msgspec.json.decode(batch[0].body, type=dict[str, object])
    # One number in ten of as many digits as a card's passes for one.
    rounded = {key: round(value, 2) if isinstance(value, float) else value for key, value in facts.items()}
    return Alert(batch[0].name, rounded, batch[0].policy)


def _judged(url: str) -> str:
    """The address as it goes out."""
    msg = "the address of a webhook is not usable: give one such as https://hooks.example.org/services/..., without user and password"
    try:
        prepared = str(requests.Request("POST", url).prepare().url)
        address = urlsplit(prepared)
        host, user = address.hostname or "", address.username is not None or address.password is not None
        loopback = host == "localhost" or (host.replace(".", "").replace(":", "").isalnum() and _is_loopback(host))
    except (requests.RequestException, ValueError):
        raise HookError(msg) from None
    if user or not host or not (address.scheme == "https" or (address.scheme == "http" and loopback)):
        raise HookError(msg)
    return prepared


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _no_credentials(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Adds none. Where a session has credentials of its own, even these, requests does not look for any in ``~/.netrc``."""
    return request
