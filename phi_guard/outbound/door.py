"""The transport seam: one request to one address, read once more and written down before its first byte leaves.

It stands below LangSmith's client and below our own hooks, as the adapter of an HTTP session, so that whatever the client does, nothing
gets past it: no second request, no other address, no redirect, no body that cannot be read.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter

from phi_guard.errors import DeliveryError, LeakSeen
from phi_guard.last_look import LastLook, Request
from phi_guard.outbound.deadline import Deadline

if TYPE_CHECKING:
    from phi_guard.outbound.sink import Posting, Witness

ANSWER_MAX: Final = 65_536
"""Bytes of an answer that are read, and thrown away: it may quote us."""
ANSWER_S: Final = 5.0
"""Seconds for which an answer that has begun is read."""


class _Stopped(Exception):
    """Nothing of ours: it makes the client give up without trying again."""


class Door(HTTPAdapter):
    """Lets one request through each time it is opened.

    Args:
        url: the only address.
        look: reads each request.
        secret: whether the address is itself a secret: then the look is shown its scheme and host alone, the rest being ours to the letter.
        keep: bytes of an answer's begin that are kept.
        within_s: seconds in which a request is over, answer and all; None where only each wait is bounded.
    """

    def __init__(self, url: str, look: LastLook, *, secret: bool = False, keep: int = 0, within_s: float | None = None) -> None:
        self._deadline = Deadline(within_s)
        super().__init__(max_retries=0)
        self._url, self._look = str(requests.Request("POST", url).prepare().url), look
        address = urlsplit(self._url)
        self._shown = f"{address.scheme}://{address.netloc.rpartition('@')[2]}/" if secret else self._url
        self._keep = keep
        self._posting: Posting | None = None
        self._witness: Witness | None = None
        self._intended = False
        self.fault: DeliveryError | None = None
        """Why the request did not leave, or was not answered."""
        self.status = 0
        """The answer's status; 0 where there was none."""
        self.retry_after = ""
        self.answer = b""
        """The begin of the answer's body, as much of it as is kept. It may quote us: for comparing, not for showing."""

    def init_poolmanager(self, *args: Any, **how: Any) -> None:
        """As requests asks for it; the pools are those of the deadline."""
        super().init_poolmanager(*args, **how)
        self.poolmanager.pool_classes_by_scheme = self._deadline.pools

    def proxy_manager_for(self, proxy: str, **how: Any) -> Any:
        """Likewise."""
        manager = super().proxy_manager_for(proxy, **how)
        manager.pool_classes_by_scheme = self._deadline.pools
        return manager

    def open(self, posting: Posting, witness: Witness) -> None:
        """Let the next request through, and no further one."""
        self._posting, self._witness, self._intended = posting, witness, False
        self.fault, self.status, self.retry_after, self.answer = None, 0, "", b""

    def shut(self) -> None:
        """Let nothing through, and tell the witness what became of what went."""
        witness, self._posting, self._witness = self._witness, None, None
        if witness is not None and self._intended:
            witness.settle(f"http_{self.status}" if self.status else self.fault.code if self.fault else "connection")

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,  # noqa: ARG002  # the signature is requests'
        timeout: Any = None,
        verify: bool | str = True,  # as above
        cert: Any = None,
        proxies: Mapping[str, str] | None = None,
    ) -> requests.Response:
        """As requests asks for it; raises `_Stopped` where the request stays here. A redirect is a second request."""
        posting, self._posting = self._posting, None
        if posting is None or self.fault is not None:
            raise _Stopped
        self.fault = self._judge(request, posting)
        if self.fault is not None:
            raise _Stopped
        # A proxy carries TLS without reading it; what is not encrypted is not shown to one.
        through = proxies if self._url.startswith("https:") else None
        try:
            with self._deadline:
                response = super().send(request, stream=True, timeout=timeout, verify=verify, cert=cert, proxies=through)
                self.status, self.retry_after = response.status_code, response.headers.get("Retry-After", "")
                self._discard(response)
        except requests.Timeout:
            self.fault = DeliveryError("timeout")
            raise _Stopped from None
        except Exception:  # noqa: BLE001  # the text of a fault on the wire may quote the request
            self.fault = DeliveryError("timeout" if self._deadline.passed else "connection") if not self.status else None
            raise _Stopped from None
        return response

    def _judge(self, request: requests.PreparedRequest, posting: Posting) -> DeliveryError | None:
        """Look, then write down; the fault for which the request must stay, or None where it may go."""
        body = request.body
        if request.method != "POST" or request.url != self._url or type(body) is not bytes or request.headers.get("Authorization"):
            return DeliveryError("unexpected_request")
        try:
            self._look.look(Request(self._shown, dict(request.headers), body))
        except LeakSeen as leak:
            return leak
        except Exception:  # noqa: BLE001  # who cannot look cannot send; the fault's text may quote the body
            return DeliveryError("last_look_fault")
        written = replace(posting, bytes=len(body), body_sha256=hashlib.sha256(body).hexdigest())
        try:
            if self._witness is not None:
                self._witness.intend(written)
                self._intended = True
        except Exception:  # noqa: BLE001, S110  # what is not written down, for whatever reason, stays
            pass
        return None if self._intended else DeliveryError("disclosure")

    def _discard(self, response: requests.Response) -> None:
        """Read an answer's body to its end within bounds, so that the connection can serve again, and keep its begin alone."""
        end, left = time.monotonic() + ANSWER_S, ANSWER_MAX
        while left > 0 and time.monotonic() < end:
            piece = response.raw.read1(left)
            if not piece:
                break
            left -= len(piece)
            self.answer += piece[: self._keep - len(self.answer)]
        else:
            response.close()
        response._content, response._content_consumed = b"", True  # type: ignore[attr-defined]  # requests has no public way
        response.reason = HTTPStatus(response.status_code).phrase if response.status_code in set(HTTPStatus) else ""
