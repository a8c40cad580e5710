"""Cleared runs to LangSmith, by its own client, with each of the client's side doors shut.

The client adds nothing to a run that is handed to ``multipart_ingest`` when built so (tests/wire compares the bytes). It starts no thread,
asks for no /info, and each batch is one request through a `Door`: delivery is exact, and waiting is ours.

A proxy that the environment names (``HTTPS_PROXY``, ``NO_PROXY``) and a certificate bundle (``REQUESTS_CA_BUNDLE``) are used, since many
clinics have no other way out; a proxy carries TLS alone. Credentials out of ``~/.netrc`` are not, nor cookies, nor redirects.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from http.cookiejar import DefaultCookiePolicy
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec
import requests
from langsmith import Client
from urllib3.util import Retry

from phi_guard.errors import DeliveryError, DeliveryHalted, DeliveryRefused
from phi_guard.last_look import LastLook
from phi_guard.model import Cleared
from phi_guard.outbound.answer import read_answer
from phi_guard.outbound.door import Door
from phi_guard.outbound.sink import Posting, Witness

_INFO: Final[dict[str, Any]] = {
    "version": "0.18.0",
    "instance_flags": {},
    "batch_ingest_config": {
        # An answer that lacks one of these stops the client's sender without a word; ours is given, never asked for.
        "use_multipart_endpoint": True,
        "size_limit": 100,
        "size_limit_bytes": 20_971_520,
        "scale_up_qsize_trigger": 1_000,
        "scale_up_nthreads_limit": 16,
        "scale_down_nempty_trigger": 4,
    },
}


class LangSmithSink:
    """Sends to one LangSmith API. The client waits 3 s for a connection and 10 s for an answer.

    Args:
        endpoint: its URL.
        api_key: its key.
        look: reads each request before it leaves.
    """

    def __init__(self, endpoint: str, api_key: str, look: LastLook | None = None) -> None:
        logging.getLogger("langsmith").addHandler(logging.NullHandler())
        logging.getLogger("langsmith").propagate = False  # its warnings quote the server's answer, which may quote us
        self._process = os.getpid()
        address = urlsplit(endpoint)
        self._destination = address.netloc.rpartition("@")[2]  # a user and a password before it are not used
        endpoint = address._replace(netloc=self._destination).geturl()  # with the scheme in small letters, as the client wants it
        self._failures: list[Exception] = []
        session = requests.Session()
        session.auth = _no_credentials
        session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self._client = Client(
            api_url=endpoint,
            api_key=api_key,
            info=_INFO,
            auto_batch_tracing=False,
            omit_traced_runtime_info=True,
            disable_prompt_cache=True,
            tracing_error_callback=self._failures.append,
            session=session,
            retry_config=Retry(total=0),
            tracing_mode="langsmith",
            tracing_sampling_rate=1.0,
            hide_inputs=False,
            hide_outputs=False,
            hide_metadata=False,
        )
        self._client._failed_traces_dir = None  # LANGSMITH_FAILED_TRACES_DIR would keep what was refused, on disk, for ever
        self._door = Door(f"{self._client.api_url}/runs/multipart", look or LastLook())
        session.adapters.clear()
        session.mount("http://", self._door)  # after the client has mounted its own
        session.mount("https://", self._door)

    def deliver(self, batch: Sequence[Cleared], witness: Witness) -> None:
        if os.getpid() != self._process:
            code = "forked"  # a child shares our connection; two that write to one mix their bytes
            raise DeliveryHalted(code)
        create: list[dict[str, Any]] = []
        update: list[dict[str, Any]] = []
        for cleared in batch:
            if type(cleared) is not Cleared or cleared.kind not in {"span", "span_update"}:
                code = "not_cleared"
                raise DeliveryRefused(code)
            (create if cleared.kind == "span" else update).append(msgspec.json.decode(cleared.body))
        runs = [*create, *update]
        posting = Posting(
            destination=self._destination,
            projects=tuple(sorted({str(run["session_name"]) for run in runs})),
            policies=tuple(sorted({cleared.policy for cleared in batch})),
            operations=len(batch),
            calls=len({run["trace_id"] for run in runs}),
            bytes=0,
            body_sha256="",
        )
        self._failures.clear()
        self._door.open(posting, witness)
        unable = False
        try:
            self._client.multipart_ingest(create=create, update=update)
        except Exception:  # noqa: BLE001  # what it means the door knows; its text may quote the bytes
            unable = True
        finally:
            self._door.shut()
        self._tell(unable=unable or bool(self._failures))

    def close(self) -> None:
        """Close its connections."""
        self._client.close(timeout=1.0)

    def _tell(self, *, unable: bool) -> None:
        door = self._door
        if door.fault is not None:
            raise door.fault
        if door.status:
            answer = read_answer(door.status, door.retry_after, datetime.now(UTC))
            if answer is not None:
                raise answer
        elif unable:
            code = "client_fault"  # the client made no request at all: an endpoint that is none, say; that is not the bytes' fault
            raise DeliveryHalted(code)
        else:
            code = "nothing_sent"  # the client says that all is well, and nothing went through the door
            raise DeliveryError(code)


def _no_credentials(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Adds none. Where a session has credentials of its own, even these, requests does not look for any in ``~/.netrc``."""
    return request
