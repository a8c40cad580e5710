"""``phi-audit policy suggest`` and ``coverage``: the commands that look at tools and at calls, not at the policy file alone."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from audit import exits
from audit.cli import load_module
from audit.cli.policy_file import FILE, as_json, env_option, load, path_of, policy_option, real_walk, refused, shown, tell
from audit.cli.scan import ENDPOINT, Since

if TYPE_CHECKING:
    from phi_guard.policy.compiled import Policy
    from phi_guard.policy.suggest import Proposal


@click.command(epilog="Exit codes: 0 done, 2 usage, or a file or module that cannot be loaded, 3 the calls cannot be read.")
@click.option("--from", "calls", type=FILE, help="Calls seen: JSON Lines of {tool, inputs, outputs}, or exported runs.")
@click.option("--module", help="A module with function tools; it is imported here. Such as my_agent.tools.")
@click.option("--tool", "only", help="This tool only.")
@click.option("--write", is_flag=True, help="Put the proposal into the policy file, if the file then still loads.")
@policy_option
@shown
def suggest(
    calls: Path | None, module: str | None, only: str | None, write: bool, file: Path | None, fmt: str, output: Path | None
) -> None:  # fmt: skip
    """Propose rules for tools that have none yet: every new field redacted, an example with made-up values, ready to paste.

    \b
    Examples:
      phi-audit policy suggest --module my_agent.tools --tool lookup_insurance
      phi-audit policy suggest --from calls.jsonl --policy policies/clinic.yaml --write
    """  # noqa: D301  # click's
    if (calls is None) == (module is None):
        raise click.UsageError("name where the tools are: either --module NAME or --from FILE")
    if write and file is None:
        raise click.UsageError("name the file to write to: --policy FILE")
    from phi_guard.policy import suggest as s  # noqa: PLC0415  # not for --help
    from phi_guard.policy.examples import patterns_only  # noqa: PLC0415

    path = path_of(file)
    rules = load(path)
    seen = list(s.read_tools(load_module(module)) if module else s.read_calls(_calls(calls)))
    found = [one for one in seen if only in {None, one.tool}]
    if not found:
        known = ", ".join(sorted(one.tool for one in seen)) or "none"
        raise click.UsageError(f"no such tool in {module or calls} (there are: {known})")
    walk = real_walk(patterns_only())
    proposals = []
    for one in found:
        if proposal := s.propose(rules, one, walk):
            proposals.append(proposal)
            if write:
                rules = _paste(path, proposal)
    text = [line for proposal in proposals for line in s.spell_proposal(proposal)] or ["# nothing to add: the policy names every field"]
    tell(as_json("suggest", path, {"proposals": [asdict(proposal) for proposal in proposals]}) if fmt == "json" else text, output)


def _paste(path: Path, proposal: Proposal) -> Policy:
    """Put a proposal into a file; one that would not load then is left as it was."""
    from phi_guard.errors import PolicyError  # noqa: PLC0415  # not for --help
    from phi_guard.policy import load_policy  # noqa: PLC0415
    from phi_guard.policy.suggest import NoRoom, pasted  # noqa: PLC0415

    draft = path.with_name(f".{path.name}.draft")
    try:
        draft.write_text(pasted(path.read_text(encoding="utf-8"), proposal), encoding="utf-8")
        load_policy(draft)
        draft.replace(path)
    except NoRoom as fault:
        raise click.UsageError(f"{path}: {fault}") from None
    except OSError as fault:
        raise click.UsageError(f"{path}: cannot be written ({fault.strerror})") from None
    except PolicyError as fault:
        raise refused(fault) from None
    finally:
        draft.unlink(missing_ok=True)
    return load(path)


@click.command(epilog="Exit codes: 0 done, 1 --fail-on unknown and a key nobody named was seen, 2 usage, 3 the traces cannot be read.")
@click.option("--project", default="", envvar="LANGSMITH_PROJECT", show_envvar=True, help="Project to read; its exact name.")
@click.option("--from", "calls", type=FILE, help="Read a file instead: exported runs, or JSON Lines of {tool, inputs, outputs}.")
@click.option("--since", type=Since(), default="7d", show_default=True, help="How far back: 90m, 36h, 7d, 2w.")
@click.option("--endpoint", default=ENDPOINT, envvar="LANGSMITH_ENDPOINT", show_envvar=True, show_default=True, help="LangSmith's address.")
@click.option("--fail-on", type=click.Choice(["unknown"]), help="Exit 1 if a key was seen that nobody had named.")
@policy_option
@env_option
@shown
def coverage(
    project: str, calls: Path | None, since: timedelta, endpoint: str, fail_on: str | None, file: Path | None, env: str | None, fmt: str,
    output: Path | None,
) -> int:  # fmt: skip
    """Count which fields of which tools were seen in traces and what became of them, and name those never seen.

    \b
    Examples:
      phi-audit policy coverage --project medical-voice-agent-dev --since 24h
      phi-audit policy coverage --from export.jsonl --fail-on unknown
    """  # noqa: D301  # click's
    if not project and calls is None:
        raise click.UsageError("name what to read: --project NAME or --from FILE")
    from audit.coverage import FATES, cover  # noqa: PLC0415  # not for --help
    from audit.source import SourceError, Window, open_source  # noqa: PLC0415

    path = path_of(file)
    rules = load(path, env or "")
    now = datetime.now(UTC)
    try:
        source = open_source(project=project, window=Window(now - since, now), file=calls, endpoint=endpoint,
                             api_key=os.environ.get("LANGSMITH_API_KEY", ""))  # fmt: skip
    except SourceError as fault:
        raise click.UsageError(str(fault)) from None
    found = cover(rules, source.runs())
    unknown = sum(row.fates.get("unknown", 0) for row in found.fields)
    if fmt == "json":
        tell(as_json("coverage", path, {"read_from": source.place, "env": env or "", "unknown": unknown, **asdict(found)}), output)
    else:
        lines = [f"{'field':58}" + "".join(f"{fate:>10}" for fate in FATES)]
        lines += [
            f"{f'{row.tool}.{row.side}.{row.field}':58}" + "".join(f"{row.fates.get(fate, 0) or '':>10}" for fate in FATES)
            for row in found.fields
        ]
        lines += [f"never seen: {place}" for place in found.unseen]
        lines += [f"never called: {tool}" for tool in found.uncalled]
        raw = f", {found.raw} of them raw and walked here with the patterns alone" if found.raw else ""
        tell([*lines, f"{found.calls} tool calls from {source.place}{raw}"], output)
    return exits.NO_GO if fail_on and unknown else exits.GO


def _calls(file: Path | None) -> Iterator[Mapping[str, object]]:
    from audit.source.export import ExportFile  # noqa: PLC0415  # not for --help

    return ExportFile(file or Path()).runs()
