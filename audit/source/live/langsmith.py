"""LangSmith: whether the address is one, whether the key opens a workspace there, and what can be known of plan, project and retention."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final
from urllib.parse import urlencode

from audit.source.live.asking import Finding, ask, busy, fault_of_address, fault_of_key, host_of, no_answer

SERVICE: Final = "LangSmith"
ENDPOINT: Final = "https://api.smith.langchain.com"
REGIONS: Final[Mapping[str, str]] = {
    "api.smith.langchain.com": "the United States (GCP)",
    "eu.api.smith.langchain.com": "the European Union",
    "apac.api.smith.langchain.com": "Asia-Pacific",
    "aws.api.smith.langchain.com": "the United States (AWS)",
}
PLANS: Final[Mapping[str, str]] = {
    "no_plan": "no plan yet", "developer": "Developer: 5,000 base traces a month, then 429; traces are kept 14 days; no BAA",
    "plus": "Plus: 10,000 base traces a month included; no BAA", "enterprise": "Enterprise; ask for the BAA",
}  # fmt: skip
"""LangSmith's price page, September 2026."""
_RETENTION: Final = {"longlived": "extended, 400 days by default", "shortlived": "base, 14 days"}


def examine_langsmith(environ: Mapping[str, str], timeout_s: float) -> Iterator[Finding]:
    """Ask for the server's facts without the key, then for one project and the plan with it.

    Args:
        environ: the variables.
        timeout_s: seconds for each part of an answer.
    """
    endpoint = (environ.get("LANGSMITH_ENDPOINT") or ENDPOINT).rstrip("/").removesuffix("/api/v1")
    if fault := fault_of_address(SERVICE, "LANGSMITH_ENDPOINT", endpoint):
        yield fault
        return
    host = host_of(endpoint)
    info = ask("GET", f"{endpoint}/api/v1/info", {}, timeout_s=timeout_s)
    if info.status == 0:
        yield no_answer(SERVICE, host, info, "LANGSMITH_ENDPOINT")
        return
    if found := busy(SERVICE, host, info):
        yield found
        return
    if info.status not in {200, 401, 403} or (info.status == 200 and not (isinstance(info.value, dict) and "version" in info.value)):
        what = f"{host} answers, but not as a LangSmith API (HTTP {info.status})"
        yield Finding(SERVICE, "FAIL", what, "correct LANGSMITH_ENDPOINT; the hosts are " + ", ".join(REGIONS), took_ms=info.took_ms)
        return
    where = REGIONS.get(host, "no region of LangSmith's own: a server of yours, or a local trace store")
    yield Finding(SERVICE, "PASS", f"{host} is a LangSmith API; region: {where}", took_ms=info.took_ms)
    key = environ.get("LANGSMITH_API_KEY", "")
    if not key:
        yield Finding(
            SERVICE, "NOTE", "LANGSMITH_API_KEY is not set: nothing was tried with a key", "set it where the relay runs", tried=False
        )
        return
    if fault := fault_of_key(SERVICE, "LANGSMITH_API_KEY", key):
        yield fault
        return
    headers = {"x-api-key": key}
    if workspace := environ.get("LANGSMITH_WORKSPACE_ID", ""):
        headers["x-tenant-id"] = workspace
    project = environ.get("LANGSMITH_PROJECT") or environ.get("PHI_GUARD_PROJECT", "")
    yield from _project(endpoint, headers, project, timeout_s)


def _project(endpoint: str, headers: Mapping[str, str], project: str, timeout_s: float) -> Iterator[Finding]:
    host = host_of(endpoint)
    query = {"limit": 1, "include_stats": "false"} | ({"name": project} if project else {})
    reply = ask("GET", f"{endpoint}/api/v1/sessions?{urlencode(query)}", headers, timeout_s=timeout_s)
    if reply.status == 0:
        yield no_answer(SERVICE, host, reply, "LANGSMITH_ENDPOINT")
        return
    if found := busy(SERVICE, host, reply):
        yield found
        return
    if reply.status in {401, 403}:
        others = ", ".join(one for one in REGIONS if one != host)
        what = f"{host} does not take the key (HTTP {reply.status}): it is wrong or withdrawn, or of another region or workspace"
        fix = (
            "look in LangSmith's settings where the key was made: a key holds in one region only. Set LANGSMITH_ENDPOINT to that region's "
            f"host ({others}); a key for several workspaces needs LANGSMITH_WORKSPACE_ID. The key was sent to no other host"
        )
        yield Finding(SERVICE, "FAIL", what, fix, took_ms=reply.took_ms)
        return
    if reply.status != 200 or not isinstance(reply.value, list):
        what = f"{host} answers HTTP {reply.status} to a question for projects"
        yield Finding(
            SERVICE,
            "FAIL",
            what,
            "see that LANGSMITH_ENDPOINT is a LangSmith API, and LANGSMITH_WORKSPACE_ID a UUID",
            took_ms=reply.took_ms,
        )
        return
    yield Finding(SERVICE, "PASS", "the key opens a workspace there", took_ms=reply.took_ms)
    if project:
        named = next((one for one in reply.value if isinstance(one, dict) and one.get("name") == project), None)
        if named is None:
            what = "the project that is configured is not there yet; LangSmith makes it with the first trace"
            yield Finding(SERVICE, "NOTE", what, "nothing, before the first call; else correct LANGSMITH_PROJECT")
        else:
            tier = _RETENTION.get(str(named.get("trace_tier")), "not told")
            fix = (
                "traces that hold dates or places stay that long; choose base retention unless you must keep them" if tier[0] == "e" else ""
            )
            yield Finding(SERVICE, "NOTE" if fix else "PASS", f"the project is there; retention of its traces: {tier}", fix)
    yield _plan(endpoint, headers, timeout_s)


def _plan(endpoint: str, headers: Mapping[str, str], timeout_s: float) -> Finding:
    """Of the organisation, where the key may ask for it."""
    reply = ask("GET", f"{endpoint}/api/v1/orgs/current", headers, timeout_s=timeout_s)
    config = reply.value.get("config") if isinstance(reply.value, dict) else None
    tier = config.get("plan_tier") if isinstance(config, dict) else None
    if reply.status != 200 or not isinstance(tier, str):
        what = "the plan cannot be told with this key"
        fix = "look in LangSmith under Settings, Billing: the free plan ends at 5,000 base traces a month with 429, and has no BAA"
        return Finding(SERVICE, "NOTE", what, fix, took_ms=reply.took_ms)
    told = next((words for name, words in PLANS.items() if tier.lower().startswith(name)), "")
    enterprise = told.startswith("Enterprise")
    what = f"plan: {told}" if told else "the plan is none that this version knows"
    fix = (
        ""
        if enterprise
        else "a BAA needs Enterprise; without one nothing that identifies a patient may leave, which is what the gate is for"
    )
    return Finding(SERVICE, "PASS" if enterprise else "NOTE", what, fix, took_ms=reply.took_ms)
