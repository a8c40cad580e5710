"""Questions to an HTTP API, patiently: waits as long as it is asked to, spaces what it asks, and never reads more than it can hold."""

from __future__ import annotations

import hashlib
import json
import random
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

import urllib3

from audit.source import SourceError
from audit.source.tally import Tally

TRIES: Final = 5
"""Tries of one request that is answered 429 or 5xx."""
CONNECT_TRIES: Final = 2
"""Tries of the first request, where nobody answers at all; a server that has answered before is tried as often as one that fails."""
WAIT_MAX_S: Final = 60.0
"""The longest `Retry-After` that is honoured; a longer one ends the scan."""
WAIT_TOTAL_S: Final = 1_800.0
"""The longest a source waits in all."""
ANSWER_MAX: Final = 64 * 1024 * 1024
"""Bytes of one answer; a page with more is asked for in smaller ones."""
ANSWER_S: Final = 300.0
"""Seconds one answer may take."""
TOO_LARGE: Final = 413
_GAP_MIN_S: Final = 0.25
_GAP_MAX_S: Final = 10.0
"""LangSmith's strictest tiers allow one query in ten seconds."""
_TIMEOUT: Final = urllib3.Timeout(connect=5.0, read=60.0)
_TIMED_OUT: Final = frozenset({408, 504})
_TRANSIENT: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
_SECONDS: Final = re.compile(r"\s*[0-9]{1,9}(?:\.[0-9]{1,9})?\s*")


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back.

    Args:
        status: 200, or one of those the caller wanted to be told of. `TOO_LARGE` also stands for an answer that is too long, or too slow.
        value: the decoded JSON, or None.
        size: bytes of it.
        sha256: of those bytes.
    """

    status: int
    value: object = None
    size: int = 0
    sha256: bytes = b""


class Api:
    """One server.

    Args:
        host: its name, for messages.
        headers: of every request; sent to no other server, since redirects are not followed.
        tally: where requests are counted.
        sleep: waits that many seconds.
        seed: of the jitter; drawn if it is not given.
    """

    def __init__(
        self, host: str, headers: Mapping[str, str], tally: Tally, sleep: Callable[[float], None] = time.sleep, seed: int | None = None
    ) -> None:
        self.host = host
        self._headers = dict(headers)
        self._tally = tally
        self._sleep = sleep
        self._random = random.Random(seed)  # noqa: S311  # spreads waits, keeps no secret
        self._pool = urllib3.PoolManager(num_pools=1, retries=False, timeout=_TIMEOUT)
        self._gap = self._waited = 0.0
        self._reached = False

    def ask(self, method: str, url: str, body: Mapping[str, object] | None = None, told: frozenset[int] = frozenset()) -> Answer:
        """The decoded answer.

        Args:
            method: GET or POST.
            url: whole.
            body: sent as JSON.
            told: statuses that are given back; with `TOO_LARGE` among them, so are answers too long or too slow. Others raise.

        Raises:
            SourceError: the server cannot be reached, refuses, fails again and again, or answers what is no JSON.
        """
        data = None if body is None else json.dumps(body).encode()
        for attempt in range(1, TRIES + 1):
            if self._gap:
                self._wait(self._gap)
            self._tally.requests += 1
            self._tally.retries += attempt > 1
            try:
                answer, content = self._request(method, url, data)
            except urllib3.exceptions.ReadTimeoutError:
                if TOO_LARGE in told:
                    return Answer(TOO_LARGE)
                raise SourceError("unreachable", f"{self.host} does not answer in time; scan again later") from None
            except urllib3.exceptions.HTTPError as fault:
                if attempt < (TRIES if self._reached else CONNECT_TRIES):
                    self._back_off({}, attempt - 1)
                    continue
                what = f"{self.host} cannot be reached ({type(fault).__name__}); check --endpoint, the network and the certificate"
                raise SourceError("unreachable", what) from None
            self._reached = True
            if content is None or (answer.status in _TIMED_OUT and TOO_LARGE in told):
                if TOO_LARGE not in told:
                    raise self.malformed("an answer too long to be read")
                return Answer(TOO_LARGE)
            if answer.status == 200:
                self._gap = self._gap * 0.9 if self._gap > _GAP_MIN_S / 2 else 0.0
                return Answer(200, self._decode(content), len(content), hashlib.sha256(content).digest())
            if answer.status in told:
                return Answer(answer.status)
            if answer.status == 429:
                self._gap = min(max(2 * self._gap, _GAP_MIN_S), _GAP_MAX_S)
            if answer.status not in _TRANSIENT or attempt == TRIES:
                raise self.refusal(answer.status)
            self._back_off(answer.headers, attempt)
        raise self.refusal(0)  # not reached: the last attempt raises

    def _request(self, method: str, url: str, data: bytes | None) -> tuple[urllib3.BaseHTTPResponse, bytes | None]:
        """The answer and its bytes, or None where there are too many of them or they take too long."""
        answer = self._pool.request(method, url, body=data, headers=self._headers, redirect=False, preload_content=False)
        ends = time.monotonic() + ANSWER_S
        content = bytearray()
        try:
            for chunk in answer.stream(65_536, decode_content=True):
                content += chunk
                if len(content) > ANSWER_MAX or time.monotonic() > ends:
                    answer.close()
                    return answer, None
        except BaseException:
            answer.close()
            raise
        answer.release_conn()
        return answer, bytes(content)

    def _back_off(self, headers: Mapping[str, str], attempt: int) -> None:
        asked = _retry_after(headers)
        if asked is None:
            self._wait(0.5 * 2**attempt * self._random.uniform(0.5, 1.0))
            return
        if asked > WAIT_MAX_S:
            raise SourceError("throttled", f"{self.host} asks to wait {asked:.0f} s; scan again after that")
        self._wait(asked * self._random.uniform(1.0, 1.1))

    def _wait(self, seconds: float) -> None:
        self._waited += seconds
        if self._waited > WAIT_TOTAL_S:
            what = f"{self.host} made this scan wait {WAIT_TOTAL_S / 60:.0f} minutes in all; scan again later, or a shorter window"
            raise SourceError("throttled", what)
        self._sleep(seconds)

    def _decode(self, content: bytes) -> object:
        try:
            return json.loads(content)
        except RecursionError:
            raise self.malformed("a value nested too deep to be read") from None
        except ValueError:
            raise self.malformed("an answer that is not JSON") from None

    def malformed(self, what: str) -> SourceError:
        """The fault of an answer that is not as it should be."""
        return SourceError("malformed", f"{self.host} sent {what} that cannot be read; check that it is a LangSmith API")

    def refusal(self, status: int) -> SourceError:
        """The fault of a status."""
        if status in {401, 403}:
            return SourceError("refused", f"{self.host} refuses the key (HTTP {status}); check LANGSMITH_API_KEY, workspace and region")
        if status == 429:
            return SourceError("throttled", f"{self.host} still says too many requests after {TRIES} tries; scan again later")
        if status in _TRANSIENT:
            return SourceError("server_error", f"{self.host} still answers HTTP {status} after {TRIES} tries; scan again later")
        return SourceError("malformed", f"{self.host} answers HTTP {status}; check that --endpoint is a LangSmith API")


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds out of ``Retry-After``, which may be a number or a date (RFC 9110, 10.2.3); None where it is neither."""
    asked = headers.get("Retry-After")
    if asked is None:
        return None
    if _SECONDS.fullmatch(asked):
        return float(asked)
    moment = _date(asked)
    if moment is None:
        return None
    now = _date(headers.get("Date", "")) or datetime.now(UTC)  # the server's clock, where it tells it: ours may differ
    return max(0.0, (moment - now).total_seconds())


def _date(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
