"""Cleared runs to LangSmith, by its own client, with each of the client's side doors shut.

The client adds nothing to a run that is handed to ``multipart_ingest`` when built so (tests/wire compares the bytes). It starts no thread,
asks for no /info, tries three times in a row at most, and tells of a failure in the same thread: delivery is exact, and waiting is ours.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, Final

import msgspec
import requests
from langsmith import Client
from langsmith import utils as langsmith_errors
from urllib3.util import Retry

from phi_guard.errors import DeliveryError, DeliveryHalted, DeliveryRefused
from phi_guard.model import Cleared

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
    """Sends to one LangSmith API.

    Args:
        endpoint: its URL.
        api_key: its key.
        timeout_ms: connect and read.
    """

    def __init__(self, endpoint: str, api_key: str, *, timeout_ms: tuple[int, int] = (3_000, 10_000)) -> None:
        logging.getLogger("langsmith").addHandler(logging.NullHandler())
        logging.getLogger("langsmith").propagate = False  # its warnings quote the server's answer, which may quote us
        self._failures: list[Exception] = []
        self._status, self._retry_after = 0, ""
        session = requests.Session()
        session.hooks["response"].append(self._note)
        self._client = Client(
            api_url=endpoint,
            api_key=api_key,
            info=_INFO,
            auto_batch_tracing=False,
            omit_traced_runtime_info=True,
            disable_prompt_cache=True,
            tracing_error_callback=self._failures.append,
            session=session,
            timeout_ms=timeout_ms,
            retry_config=Retry(total=0),
            tracing_mode="langsmith",
            tracing_sampling_rate=1.0,
            hide_inputs=False,
            hide_outputs=False,
            hide_metadata=False,
        )

    def deliver(self, batch: Sequence[Cleared]) -> None:
        create: list[dict[str, Any]] = []
        update: list[dict[str, Any]] = []
        for cleared in batch:
            if type(cleared) is not Cleared or cleared.kind not in {"span", "span_update"}:
                code = "not_cleared"
                raise DeliveryRefused(code)
            (create if cleared.kind == "span" else update).append(msgspec.json.decode(cleared.body))
        self._failures.clear()
        self._status, self._retry_after = 0, ""
        try:
            self._client.multipart_ingest(create=create, update=update)
        except langsmith_errors.LangSmithError:
            raise self._told() from None
        except Exception:  # noqa: BLE001  # the client cannot even send these bytes; its text may quote them
            code = "client_fault"
            raise DeliveryRefused(code) from None
        if self._failures:
            raise self._told()

    def close(self) -> None:
        """Close its connections."""
        self._client.close(timeout=1.0)

    def _note(self, response: requests.Response, *_: object, **__: object) -> None:
        """Keep the last answer's status and wait, which the client's own errors do not always tell; never its text."""
        self._status, self._retry_after = response.status_code, response.headers.get("Retry-After", "")

    def _told(self) -> DeliveryError:
        code = f"http_{self._status}" if self._status else "connection"
        if self._status in {401, 403, 404, 405}:  # not us, or not there: nothing about these bytes
            return DeliveryHalted(code)
        if self._status in {400, 413, 415, 422}:
            return DeliveryRefused(code)
        return DeliveryError(code, float(self._retry_after) if self._retry_after.isdigit() else None)
