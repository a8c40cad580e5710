"""LiveKit: whether the address answers and the key pair is its own. Asks for the list of rooms, which changes nothing and joins none."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterator, Mapping
from email.utils import parsedate_to_datetime
from typing import Final

from audit.source.live.asking import Finding, Reply, ask, busy, fault_of_address, fault_of_key, host_of, no_answer

SERVICE: Final = "LiveKit"
LIFE_S: Final = 60
"""Seconds that the token is good for."""
SKEW_S: Final = 30.0
"""Seconds by which this machine's clock may differ; a token is refused not long after."""
_NAMES: Final = ("LIVEKIT_URL", "LIVEKIT_API_KEY", "LIVEKIT_API_SECRET")


def examine_livekit(environ: Mapping[str, str], timeout_s: float) -> Iterator[Finding]:
    """Ask for the list of rooms with a token that may do that and no more.

    Args:
        environ: the variables.
        timeout_s: seconds for each part of an answer.
    """
    url, key, secret = (environ.get(name, "") for name in _NAMES)
    if missing := [name for name, value in zip(_NAMES, (url, key, secret), strict=True) if not value]:
        yield Finding(SERVICE, "NOTE", f"{', '.join(missing)}: not set", "set them where the agent runs", tried=False)
        return
    address = url.rstrip("/").replace("wss://", "https://", 1).replace("ws://", "http://", 1)
    for fault in (
        fault_of_address(SERVICE, "LIVEKIT_URL", address),
        fault_of_key(SERVICE, "LIVEKIT_API_KEY", key),
        fault_of_key(SERVICE, "LIVEKIT_API_SECRET", secret),
    ):
        if fault:
            yield fault
            return
    headers = {"authorization": f"Bearer {_token(key, secret, time.time())}"}
    reply = ask("POST", f"{address}/twirp/livekit.RoomService/ListRooms", headers, {}, timeout_s)
    yield _judge(host_of(address), reply)


def _judge(host: str, reply: Reply) -> Finding:
    if reply.status == 0:
        return no_answer(SERVICE, host, reply, "LIVEKIT_URL")
    if found := busy(SERVICE, host, reply):
        return found
    if reply.status == 200 and isinstance(reply.value, dict):
        rooms = reply.value.get("rooms", [])
        what = f"{host} takes the key pair; rooms open now: {len(rooms) if isinstance(rooms, list) else 'not told'}"
        return Finding(SERVICE, "PASS", what, took_ms=reply.took_ms)
    if reply.status in {401, 403}:
        off = _clock_off(reply.headers)
        if off is not None and abs(off) > SKEW_S:
            what = f"{host} does not take the token (HTTP {reply.status}), and this machine's clock is off by {off:.0f} s"
            return Finding(SERVICE, "FAIL", what, "set the clock (NTP), then try again", took_ms=reply.took_ms)
        what = f"{host} does not take the key pair (HTTP {reply.status})"
        fix = "copy LIVEKIT_API_KEY and LIVEKIT_API_SECRET again, both of the project whose address LIVEKIT_URL is"
        return Finding(SERVICE, "FAIL", what, fix, took_ms=reply.took_ms)
    what = f"{host} answers, but not as a LiveKit server (HTTP {reply.status})"
    return Finding(SERVICE, "FAIL", what, "correct LIVEKIT_URL: wss://PROJECT.livekit.cloud for LiveKit Cloud", took_ms=reply.took_ms)


def _clock_off(headers: Mapping[str, str]) -> float | None:
    """By how many seconds this machine is ahead of the server; None where that is not told."""
    told = next((value for name, value in headers.items() if name.lower() == "date"), "")
    try:
        return time.time() - parsedate_to_datetime(told).timestamp()
    except (ValueError, OverflowError):
        return None


def _token(key: str, secret: str, now: float) -> str:
    """A JSON Web Token (RFC 7519) with HS256, as LiveKit's server APIs ask for: the grant to list rooms, for a minute."""
    head = {"alg": "HS256", "typ": "JWT"}
    claims = {"iss": key, "nbf": int(now) - 5, "exp": int(now) + LIFE_S, "video": {"roomList": True}}
    signed = ".".join(_base64(json.dumps(part, separators=(",", ":")).encode()) for part in (head, claims))
    return f"{signed}.{_base64(hmac.new(secret.encode(), signed.encode(), hashlib.sha256).digest())}"


def _base64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
