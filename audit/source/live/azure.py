"""Azure OpenAI: whether the resource takes the key, and whether the deployment speaks Realtime. No token of a model is used.

A websocket is asked for and closed as soon as it is granted: audio and text are what Azure bills, and none is sent.
"""

from __future__ import annotations

import base64
import re
import secrets
from collections.abc import Iterator, Mapping
from typing import Final
from urllib.parse import quote, urlencode

from audit.source.live.asking import Finding, Reply, ask, busy, fault_of_address, fault_of_key, host_of, no_answer

SERVICE: Final = "Azure OpenAI"
MODELS_VERSION: Final = "2024-10-21"
"""The last dated version of the data plane that is generally available; Models - List is the same in all."""
_NAMES: Final = ("AZURE_OPENAI_ENDPOINT", "AZURE_OPENAI_API_KEY")
_DEPLOYMENT: Final = "AZURE_OPENAI_DEPLOYMENT"


def examine_azure(environ: Mapping[str, str], timeout_s: float) -> Iterator[Finding]:
    """Ask for the list of models, then for a Realtime websocket to the deployment.

    Args:
        environ: the variables.
        timeout_s: seconds for each part of an answer.
    """
    endpoint, key = (environ.get(name, "") for name in _NAMES)
    if missing := [name for name, value in zip(_NAMES, (endpoint, key), strict=True) if not value]:
        yield Finding(SERVICE, "NOTE", f"{', '.join(missing)}: not set", "set them where the agent runs", tried=False)
        return
    endpoint = endpoint.rstrip("/").removesuffix("/openai/v1").removesuffix("/openai")
    for fault in (fault_of_address(SERVICE, _NAMES[0], endpoint), fault_of_key(SERVICE, _NAMES[1], key)):
        if fault:
            yield fault
            return
    reply = ask("GET", f"{endpoint}/openai/models?api-version={MODELS_VERSION}", {"api-key": key}, timeout_s=timeout_s)
    found = _of_resource(host_of(endpoint), reply)
    yield found
    if found.state != "PASS":
        return
    deployment = environ.get(_DEPLOYMENT, "")
    if not deployment:
        what = f"{_DEPLOYMENT} is not set: whether the deployment is there was not tried"
        yield Finding(SERVICE, "NOTE", what, "set it to the deployment's name, as the agent's code has it", tried=False)
        return
    yield _of_deployment(host_of(endpoint), _handshake(endpoint, key, deployment, environ.get("OPENAI_API_VERSION", ""), timeout_s))


def _of_resource(host: str, reply: Reply) -> Finding:
    if reply.status == 0:
        return no_answer(SERVICE, host, reply, _NAMES[0])
    if found := busy(SERVICE, host, reply):
        return found
    if reply.status == 200 and isinstance(reply.value, dict) and isinstance(reply.value.get("data"), list):
        return Finding(SERVICE, "PASS", f"{host} takes the key", took_ms=reply.took_ms)
    if reply.status == 401:
        fix = "copy AZURE_OPENAI_API_KEY again, of the resource whose address AZURE_OPENAI_ENDPOINT is (Keys and Endpoint)"
        return Finding(SERVICE, "FAIL", f"{host} does not take the key (HTTP 401)", fix, took_ms=reply.took_ms)
    if reply.status == 403:
        what = f"{host} refuses this network, or key access is turned off (HTTP 403)"
        fix = "see the resource's Networking (firewall, private endpoint) and whether local authentication is disabled"
        return Finding(SERVICE, "FAIL", what, fix, took_ms=reply.took_ms)
    what = f"{host} answers, but not as an Azure OpenAI resource (HTTP {reply.status})"
    return Finding(SERVICE, "FAIL", what, "correct AZURE_OPENAI_ENDPOINT: https://RESOURCE.openai.azure.com", took_ms=reply.took_ms)


def _handshake(endpoint: str, key: str, deployment: str, version: str, timeout_s: float) -> Reply:
    """RFC 6455, 4.1, at the address that livekit-plugins-openai uses: dated where a version is set, else ``v1``."""
    if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:-preview)?", version):
        url = f"{endpoint}/openai/realtime?{urlencode({'api-version': version, 'deployment': deployment})}"
    else:
        url = f"{endpoint}/openai/v1/realtime?model={quote(deployment, safe='')}"
    nonce = base64.b64encode(secrets.token_bytes(16)).decode()
    headers = {
        "api-key": key, "connection": "Upgrade", "upgrade": "websocket", "sec-websocket-version": "13", "sec-websocket-key": nonce,
    }  # fmt: skip
    return ask("GET", url, headers, timeout_s=timeout_s)


def _of_deployment(host: str, reply: Reply) -> Finding:
    if reply.status == 0:
        return no_answer(SERVICE, host, reply, _NAMES[0])
    if found := busy(SERVICE, host, reply):
        return found
    if reply.status == 101:
        return Finding(SERVICE, "PASS", "the deployment opens a Realtime websocket; it was closed unused", took_ms=reply.took_ms)
    if reply.status == 404:
        what, fix = "there is no such deployment (HTTP 404)", f"correct {_DEPLOYMENT}; a deployment is a few minutes old before it is found"
    elif reply.status in {401, 403}:
        what = f"the key may not use the deployment (HTTP {reply.status})"
        fix = "see the key's resource and its Networking"
    elif reply.status == 400:
        what = "the deployment is there, but is not asked for Realtime in a way it knows (HTTP 400)"
        fix = "deploy a realtime model (gpt-realtime), or set OPENAI_API_VERSION to one the resource has, or leave it out for v1"
    else:
        what, fix = f"no websocket was opened (HTTP {reply.status})", "look for a proxy that lets no websocket through"
    return Finding(SERVICE, "FAIL", what, fix, took_ms=reply.took_ms)
