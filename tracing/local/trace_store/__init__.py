"""A LangSmith-compatible server over one SQLite file: the unmodified SDK writes to it and reads from it, on this machine only."""

from __future__ import annotations

from tracing.local.trace_store.app import create_app
from tracing.local.trace_store.faults import Faults
from tracing.local.trace_store.front import PAGES
from tracing.local.trace_store.reception import Limits
from tracing.local.trace_store.retention import KEEPS
from tracing.local.trace_store.serve import LocalServer, serve
from tracing.local.trace_store.store import StoreUnavailable, TraceStore

__all__ = ["KEEPS", "PAGES", "Faults", "Limits", "LocalServer", "StoreUnavailable", "TraceStore", "create_app", "serve"]
