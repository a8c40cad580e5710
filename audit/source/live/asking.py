"""One harmless question to one service: one request, no retry, no redirect, TLS verified, five seconds; a closed word for what came back.

A key goes to the host it was configured for and to no other, and never over plain HTTP except to this machine.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal
from urllib.parse import urlsplit
from urllib.request import getproxies_environment, proxy_bypass_environment  # type: ignore[attr-defined]  # documented in getproxies()

import urllib3

TIMEOUT_S: Final = 5.0
"""Of connecting, and of each reading."""
ANSWER_MAX: Final = 1024 * 1024
"""Bytes of an answer that are read."""
LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})

State = Literal["PASS", "FAIL", "NOTE"]
Fault = Literal["", "timeout", "name", "refused", "tls", "broken"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found of one service.

    Args:
        service: such as ``LangSmith``.
        state: ``PASS``; ``FAIL`` where something is wrong; ``NOTE`` where there is something to know, or it could not be tried.
        what: what was found, in words; no key, no address beyond the host, nothing that the other side wrote.
        fix: what to do; empty where there is nothing to do.
        tried: whether the service answered at all.
        took_ms: how long the answer took, or None.
    """

    service: str
    state: State
    what: str
    fix: str = ""
    tried: bool = True
    took_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back.

    Args:
        status: of HTTP; 0 where nothing came.
        fault: why nothing came.
        value: the decoded JSON; None where there is none.
        text: the first 64 characters of an answer that is not JSON, for comparison with known words; never shown.
        headers: of the answer.
        took_ms: from the request to the answer's last byte.
    """

    status: int
    fault: Fault = ""
    value: object = None
    text: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    took_ms: float = 0.0


def ask(method: str, url: str, headers: Mapping[str, str], body: object = None, timeout_s: float = TIMEOUT_S) -> Reply:
    """Ask once. Never raises for what the other side or the network does.

    Args:
        method: GET or POST.
        url: whole.
        headers: of the request.
        body: sent as JSON, unless None.
        timeout_s: seconds to connect in, and to wait for each part of the answer.
    """
    data = None if body is None else json.dumps(body).encode()
    own = {"accept": "application/json", "user-agent": "phi-audit", **({} if data is None else {"content-type": "application/json"})}
    began = time.monotonic()
    try:
        with _pool(url, timeout_s) as pool:
            answer = pool.request(method, url, body=data, headers=own | dict(headers), redirect=False, preload_content=False)
            content = _read(answer, began + 2 * timeout_s)
            answer.close()
    except (urllib3.exceptions.HTTPError, OSError, ValueError) as fault:
        return Reply(0, _fault(fault), took_ms=_since(began))
    value, text = _decoded(content)
    return Reply(answer.status, "", value, text, dict(answer.headers), _since(began))


def no_answer(service: str, host: str, reply: Reply, variable: str) -> Finding:
    """What it means that nothing came back.

    Args:
        service: its name.
        host: that was asked.
        reply: what did not come.
        variable: which variable holds the address.
    """
    known: dict[str, tuple[State, str, str]] = {
        "timeout": ("NOTE", f"{host} did not answer within {TIMEOUT_S:.0f} s", "look at the network, a firewall or a proxy; try again"),
        "name": ("FAIL", f"there is no host {host}, or no name server knows it", f"correct {variable}, or look at the network"),
        "refused": ("FAIL", f"{host} takes no connection", f"correct {variable}, or look at the firewall"),
        "tls": (
            "FAIL",
            f"{host}'s certificate is not to be trusted",
            "look for a proxy that opens TLS; name its certificate in SSL_CERT_FILE",
        ),
        "broken": (
            "FAIL",
            f"{host} ended the connection, or what it sent is no HTTP",
            f"correct {variable}, or look at what stands between",
        ),
    }
    state, what, fix = known[reply.fault or "broken"]
    return Finding(service, state, what, fix, tried=state == "FAIL", took_ms=reply.took_ms)


def busy(service: str, host: str, reply: Reply) -> Finding | None:
    """The finding of an answer that says nothing of the keys: too many requests, or a fault of the server's own; else None."""
    if reply.status == 429:
        what, fix = f"{host} says too many requests (HTTP 429)", "try again later; on a free plan the month's quota may be used up"
        return Finding(service, "NOTE", what, fix, tried=False, took_ms=reply.took_ms)
    if reply.status >= 500:
        what = f"{host} has a fault of its own (HTTP {reply.status})"
        return Finding(service, "NOTE", what, "try again later; see the service's status page", tried=False, took_ms=reply.took_ms)
    return None


def fault_of_key(service: str, variable: str, key: str) -> Finding | None:
    """The finding of a key that no service can take, before it is sent anywhere; None where its form will do."""
    if key.isascii() and key.isprintable() and " " not in key and 8 <= len(key) <= 4_096:
        return None
    return Finding(
        service, "FAIL", f"{variable} holds a blank, a line break or a sign that no key has, or is too short", "copy the key again"
    )


def fault_of_address(service: str, variable: str, url: str) -> Finding | None:
    """The finding of an address that a key must not be sent to; None where it will do."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        _ = parts.port
    except ValueError:
        host, parts = "", urlsplit("")
    if not host or parts.scheme not in {"http", "https"} or parts.username is not None or parts.query or parts.fragment:
        return Finding(service, "FAIL", f"{variable} is no address", "write it as https://HOST, without user, ? and #")
    if parts.scheme == "http" and host not in LOOPBACK:
        return Finding(service, "FAIL", f"{variable} is plain http: the key was not sent", "write https://")
    return None


def host_of(url: str) -> str:
    """The host of an address that was checked."""
    return urlsplit(url).hostname or ""


def _pool(url: str, timeout_s: float) -> urllib3.PoolManager:
    timeout = urllib3.Timeout(connect=timeout_s, read=timeout_s)
    proxies = getproxies_environment()
    proxy = proxies.get(urlsplit(url).scheme)
    if proxy and host_of(url) not in LOOPBACK and not proxy_bypass_environment(host_of(url), proxies):
        return urllib3.ProxyManager(proxy, num_pools=1, retries=False, timeout=timeout)
    return urllib3.PoolManager(num_pools=1, retries=False, timeout=timeout)


def _read(answer: urllib3.BaseHTTPResponse, ends: float) -> bytes:
    content = bytearray()
    if answer.status == 101:
        return b""  # a websocket was opened; it is closed with the connection, and nothing was said on it
    for chunk in answer.stream(16_384, decode_content=True):
        content += chunk
        if len(content) > ANSWER_MAX or time.monotonic() > ends:
            break
    return bytes(content[:ANSWER_MAX])


def _decoded(content: bytes) -> tuple[object, str]:
    try:
        return json.loads(content), ""
    except (ValueError, RecursionError):
        return None, content[:64].decode("utf-8", "replace")


def _fault(fault: Exception) -> Fault:
    inner = fault.original_error if isinstance(fault, urllib3.exceptions.ProxyError) else fault
    if isinstance(inner, urllib3.exceptions.NameResolutionError):
        return "name"
    if isinstance(inner, urllib3.exceptions.SSLError):
        return "tls"
    if isinstance(inner, urllib3.exceptions.NewConnectionError):  # before the next: it is a TimeoutError of urllib3's too
        return "refused"
    if isinstance(inner, urllib3.exceptions.TimeoutError):
        return "timeout"
    return "broken"


def _since(began: float) -> float:
    return round((time.monotonic() - began) * 1000, 1)
