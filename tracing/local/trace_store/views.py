"""A run as the two reading APIs show it: v1 rows (lower-case names) and v2 rows (asked for in capitals, a few names changed)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from tracing.local.trace_store import moments
from tracing.local.trace_store.scores import feedback_stats
from tracing.local.trace_store.usage import usage

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from tracing.local.trace_store.records import Project, Run

TENANT: Final = "00000000-0000-0000-0000-000000000001"
"""The one workspace of a local store."""

_V2_NAMES: Final = """
    ID NAME RUN_TYPE STATUS START_TIME END_TIME LATENCY_SECONDS FIRST_TOKEN_TIME ERROR ERROR_PREVIEW EXTRA METADATA EVENTS INPUTS
    INPUTS_PREVIEW OUTPUTS OUTPUTS_PREVIEW MANIFEST PARENT_RUN_IDS PROJECT_ID TRACE_ID THREAD_ID DOTTED_ORDER IS_ROOT
    REFERENCE_EXAMPLE_ID REFERENCE_DATASET_ID TOTAL_TOKENS PROMPT_TOKENS COMPLETION_TOKENS TOTAL_COST PROMPT_COST COMPLETION_COST
    PROMPT_TOKEN_DETAILS COMPLETION_TOKEN_DETAILS PROMPT_COST_DETAILS COMPLETION_COST_DETAILS PRICE_MODEL_ID TAGS APP_PATH
    ATTACHMENTS THREAD_EVALUATION_TIME IS_IN_DATASET LAST_QUEUED_AT SHARE_URL FEEDBACK_STATS LS_USER_ID
"""
SELECTS: Final = frozenset(_V2_NAMES.split())
"""Every name v2 knows; langsmith 0.15.0, types/run_select_field.py. One that this store does not record comes back null."""

_DETAILS: Final = ("prompt_token_details", "completion_token_details", "prompt_cost_details", "completion_cost_details")
_WITH: Final = dict(zip(("prompt_tokens", "completion_tokens", "prompt_cost", "completion_cost"), _DETAILS, strict=True))
# The SDK selects a total and expects its breakdown; it has no name to select that by.
_ALWAYS: Final = frozenset({"id", "name", "run_type", "start_time", "trace_id", "session_id"})
_PREVIEW_CHARS: Final = 200


def _shared(run: Run) -> dict[str, Any]:
    """What both rows say the same way: all that arrived, and what is derived from it."""
    used = usage(run)
    counted = ("prompt_tokens", "completion_tokens", "total_tokens", "prompt_cost", "completion_cost", "total_cost")
    return {
        **run.body,
        "id": run.id,
        "name": run.body.get("name") or "",
        "trace_id": run.trace_id,
        "start_time": run.body.get("start_time") or moments.iso(run.started_us),
        "dotted_order": run.body.get("dotted_order") or (moments.dotted(run.started_us, run.id) if run.is_root else ""),
        "thread_id": run.thread_id,
        "parent_run_ids": [step[-36:] for step in str(run.body.get("dotted_order") or "").split(".")[:-1]],
        "app_path": app_path(run),
        "feedback_stats": feedback_stats(run.feedback),
        "first_token_time": None if used.first_token_us is None else moments.iso(used.first_token_us),
        **{name: getattr(used, name) for name in counted},
        **{name: used.details.get(name) for name in _DETAILS},
    }  # fmt: skip


def app_path(run: Run) -> str:
    """Where LangSmith's own pages would show the run, below their host."""
    return f"/o/{TENANT}/projects/p/{run.project_id}/r/{run.id}"


def v1_row(run: Run, address: Callable[[str, str], str], select: Collection[str] = ()) -> dict[str, Any]:
    """A run as v1 shows it.

    Args:
        run: the run.
        address: where the bytes of an attachment are, from run id and name.
        select: the names wanted, empty for all; the SDK cannot do without some, and those always come.
    """
    row = _shared(run) | {
        "session_id": run.project_id,
        "parent_run_id": run.parent_id,
        "run_type": run.body.get("run_type") or "chain",
        "status": run.status,
        "s3_urls": {
            f"attachment.{name}": {"presigned_url": address(run.id, name), "mime_type": mime} for name, mime in run.attachments.items()
        }
        or None,
    }
    named = _ALWAYS.union(select, (details for total, details in _WITH.items() if total in select))
    return {name: row.get(name) for name in named} if select else row


def v2_row(run: Run, address: Callable[[str, str], str], selects: Collection[str]) -> dict[str, Any]:
    """A run as v2 shows it: the id and what ``selects`` names, nothing else."""
    shared = _shared(run)
    row = shared | {
        "project_id": run.project_id,
        "run_type": (run.body.get("run_type") or "chain").upper(),
        "status": run.status.upper(),
        "is_root": run.is_root,
        "latency_seconds": run.latency_s,
        "metadata": run.metadata,
        "manifest": run.body.get("serialized"),
        "attachments": {name: address(run.id, name) for name in run.attachments},
        "error_preview": (run.body.get("error") or "")[:_PREVIEW_CHARS] or None,
        "inputs_preview": _preview(run.body.get("inputs")),
        "outputs_preview": _preview(run.body.get("outputs")),
        **{name: {"raw": shared[name]} if shared[name] is not None else None for name in _DETAILS},
    }
    return {"id": run.id} | {name.lower(): row.get(name.lower()) for name in selects}


def project_row(project: Project) -> dict[str, Any]:
    """A project as both APIs show it; the SDK needs ``tenant_id`` and ``reference_dataset_id`` to be there."""
    return {
        "description": None,
        "extra": {},
        "end_time": None,
        "reference_dataset_id": None,
        **project.body,
        "id": project.id,
        "name": project.name,
        "tenant_id": TENANT,
        "start_time": moments.iso(project.created_us),
        "trace_tier": "shortlived",
    }


def _preview(value: object) -> str | None:
    return None if value is None else json.dumps(value)[:_PREVIEW_CHARS]
