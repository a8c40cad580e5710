"""``phi-audit policy``: the policy developer's kit. Each command reads, calls one module of `phi_guard.policy`, and shows what it says."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

import click

from audit import exits

if TYPE_CHECKING:
    from phi_guard.model import Note
    from phi_guard.policy.compiled import Policy
    from phi_guard.policy.diff import Change
    from phi_guard.policy.proof import Proof, Walk
    from phi_guard.redact import Find

Command = TypeVar("Command", bound=Callable[..., object])
CODES: Final = "Exit codes: 0 nothing to say, 1 what the command looks for was found, 2 usage, or a file that cannot be loaded."
ENVIRONMENTS: Final = click.Choice(["dev", "prod"])
FILE: Final = click.Path(path_type=Path)

_file = click.argument("file", type=FILE, required=False, envvar="PHI_GUARD_POLICY")
_policy = click.option("--policy", "file", type=FILE, envvar="PHI_GUARD_POLICY", show_envvar=True,
                       help="Policy file.  [default: clinic.yaml as shipped]")  # fmt: skip
_env = click.option("--env", type=ENVIRONMENTS, default=None, help="Apply this environment's overlay.  [default: none]")


def _shown(command: Command) -> Command:
    """The two options that every command has."""
    fmt = click.option("--format", "fmt", type=click.Choice(["table", "json"]), default="table", show_default=True, help="Of the result.")
    output = click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="Write the result there, not to stdout.")
    return fmt(output(command))


@click.group(epilog=CODES)
def policy() -> None:
    """Write a policy and see what it does, before anything leaves.

    FILE is a policy; without one, PHI_GUARD_POLICY or the shipped clinic.yaml is read.

    \b
    Examples:
      phi-audit policy lint policies/clinic.yaml
      phi-audit policy test policies/clinic.yaml --env prod
      phi-audit policy explain --tool book_appointment --path inputs.patient_name
      phi-audit policy diff old.yaml new.yaml --fail-on weaker
    """  # noqa: D301  # \b is click's, against re-wrapping


@policy.command(epilog="Exit codes: 0 every example passes, 1 one fails, 2 the file cannot be loaded.")
@_file
@_env
@_shown
def test(file: Path | None, env: str | None, fmt: str, output: Path | None) -> int:
    """Run the file's own examples through the real walk, and say what none of them shows.

    \b
    Examples:
      phi-audit policy test policies/clinic.yaml
      phi-audit policy test policies/clinic.yaml --env prod --format json
    """  # noqa: D301  # click's
    from phi_guard.policy.examples import patterns_only  # noqa: PLC0415  # not for --help
    from phi_guard.policy.proof import prove  # noqa: PLC0415

    path = _path(file)
    proof = prove(path, _walk(patterns_only()), env or "")
    if fmt == "json":
        counts = {state: proof.count(state) for state in ("PASS", "FAIL", "ERROR")}
        _tell(_json("test", path, {"env": env or "", "counts": counts, **asdict(proof)}), output)
    else:
        _tell(_proof(proof, path), output)
    if proof.faults or proof.count("ERROR"):
        return exits.USAGE
    return exits.NO_GO if proof.count("FAIL") else exits.GO


def _proof(proof: Proof, path: Path) -> list[str]:
    lines = []
    for tried in proof.examples:
        lines.append(f"{tried.state:5} {path}:{tried.line}: {tried.tool}")
        lines += [f"      {why}" for why in tried.why]
    lines += [f"not shown by any example: {place}" for place in proof.uncovered]
    lines += [f"{path}:{fault.line}: {fault.path}: {fault.what}" for fault in proof.faults]
    return [*lines, f"{len(proof.examples)} examples: {proof.count('PASS')} pass, {proof.count('FAIL')} fail, {proof.count('ERROR')} error"]


@policy.command(epilog="Exit codes: 0 done, 2 usage, or the file cannot be loaded.")
@click.option("--tool", required=True, help="The tool's bare name, such as book_appointment.")
@click.option("--path", "place", required=True, help="Where, such as inputs.patient_name or outputs.slots[*].doctor_name.")
@click.option("--value", help="A value to try there. It is not printed back.")
@click.option("--show-value", is_flag=True, help="Print what would be sent of the value.")
@click.option("--strict", is_flag=True, help="Try with every detector, not with the patterns alone; loads for seconds.")
@_policy
@_env
@_shown
def explain(
    tool: str, place: str, value: str | None, show_value: bool, strict: bool, file: Path | None, env: str | None, fmt: str,
    output: Path | None,
) -> None:  # fmt: skip
    """Say which rule decides one place of a tool call, from which line, why, and what would be sent.

    \b
    Examples:
      phi-audit policy explain --tool book_appointment --path inputs.patient_name
      phi-audit policy explain --tool book_appointment --path outputs.confirmation_id --value CONF-1234
    """  # noqa: D301  # click's
    from phi_guard.policy import explain as x  # noqa: PLC0415  # not for --help
    from phi_guard.policy.examples import patterns_only  # noqa: PLC0415
    from phi_guard.policy.paths import BadPath  # noqa: PLC0415

    path = _path(file)
    rules = _load(path, env or "")
    try:
        at = x.parse_path(place)
    except BadPath as fault:
        raise click.UsageError(f"--path {place} {fault}") from None
    decided = x.decide(rules, tool, at)
    told: dict[str, object] = {
        "env": env or "", "tool": tool, "path": place, "rule": decided.where, "action": decided.rule.action, "line": decided.rule.line,
        "why": decided.why, "conditions": x.conditions(decided.rule),
    }  # fmt: skip
    line = f":{decided.rule.line}" if decided.rule.line else ""
    lines = [f"{tool} {place}: {decided.rule.action}", f"  rule     {path}{line}: {decided.where}"]
    lines += [f"  why      {why}" for why in decided.why]
    lines += [f"  so       {condition}" for condition in x.conditions(decided.rule)]
    if value is not None:
        find = _strict() if strict else patterns_only()
        done = x.outcome(rules, tool, at, x.typed(value, decided.rule), _walk(find))
        sent = None if done.sent is x.NOT_SENT else done.sent
        told["value"] = {"chars": len(value), "treated": done.treated, "because": done.because, "sent": x.describe(done.sent)}
        lines += [f"  value    {len(value)} characters: {done.because}", f"  sent     {x.describe(done.sent)}"]
        if show_value:
            told["value"] |= {"sent_value": sent}  # type: ignore[operator]  # made just above
            lines[-1] = f"  sent     {'nothing' if done.sent is x.NOT_SENT else json.dumps(sent, ensure_ascii=False)}"
        if not strict and decided.rule.action in {"scan", "truncate"}:
            lines.append("  note     tried with the patterns alone; --strict adds the language model, which finds more names")
    _tell(_json("explain", path, told) if fmt == "json" else lines, output)


@policy.command(epilog="Exit codes: 0 done, 1 --fail-on weaker and a change is weaker or mixed, 2 a file cannot be loaded.")
@click.argument("old", type=FILE)
@click.argument("new", type=FILE)
@_env
@click.option("--fail-on", type=click.Choice(["weaker"]), help="Exit 1 if a change is weaker, or cannot be compared (mixed).")
@_shown
def diff(old: Path, new: Path, env: str | None, fail_on: str | None, fmt: str, output: Path | None) -> int:
    """Say what NEW sends that OLD does not, change by change: weaker, stronger, mixed or different.

    Without --env the rules without an overlay are compared, and then each overlay's.

    \b
    Examples:
      phi-audit policy diff main.yaml policies/clinic.yaml --fail-on weaker
      phi-audit policy diff old.yaml new.yaml --env prod --format json
    """  # noqa: D301  # click's
    from phi_guard.policy.diff import ENVIRONMENTS as ALL  # noqa: PLC0415  # not for --help
    from phi_guard.policy.diff import compare  # noqa: PLC0415

    chosen = ALL if env is None else (env,)
    changes = compare(*({each: _load(path, each) for each in chosen} for path in (old, new)))
    worse = [change for change in changes if change.kind in {"weaker", "mixed"}]
    if fmt == "json":
        counts = {kind: sum(change.kind == kind for change in changes) for kind in ("weaker", "stronger", "mixed", "different")}
        told = {"old": str(old), "env": env or "", "counts": counts, "changes": [asdict(change) for change in changes]}
        _tell(_json("diff", new, told), output)
    else:
        _tell([_change(change, old, new) for change in changes] or ["no change in what may be sent"], output)
    return exits.NO_GO if fail_on and worse else exits.GO


def _change(change: Change, old: Path, new: Path) -> str:
    env = f" (in {change.env})" if change.env else ""
    lines = [f"{path}:{line}" for path, line in ((old, change.old_line), (new, change.new_line)) if line]
    return f"{change.kind:9} {change.path}{env}: {change.what}  [{' -> '.join(lines) or 'whole file'}]"


def _path(file: Path | None) -> Path:
    """The file to read: the one named, or the shipped one."""
    from phi_guard.policy import shipped  # noqa: PLC0415  # not for --help

    return file or shipped("clinic.yaml")


def _load(path: Path, env: str = "") -> Policy:
    """A policy, or a usage error with every reason why it cannot be loaded."""
    from phi_guard.errors import PolicyError  # noqa: PLC0415  # not for --help
    from phi_guard.policy import load_policy  # noqa: PLC0415

    try:
        return load_policy(path, env)
    except PolicyError as fault:
        raise click.UsageError("the policy cannot be used:\n" + "\n".join(f"  {line}" for line in fault.faults)) from None


def _walk(find: Find) -> Walk:
    """The real walk with these detectors."""
    from phi_guard.redact import redact_tool  # noqa: PLC0415  # not for --help

    def walk(rules: Policy, tool: str, data: Mapping[str, object]) -> tuple[Mapping[str, object], tuple[Note, ...]]:
        done = redact_tool(rules, tool, data, find)
        return done.value, done.notes

    return walk


def _strict() -> Find:
    from phi_guard import open_detector  # noqa: PLC0415  # seconds, and only when asked for

    return open_detector("strict").find


def _json(name: str, path: Path, told: Mapping[str, object]) -> list[str]:
    return [json.dumps({"schema": f"phi-audit.policy-{name}/1", "file": os.fspath(path), **told}, indent=2, ensure_ascii=False)]


def _tell(lines: Iterable[str], output: Path | None) -> None:
    """Write a result, to stdout or to a file."""
    text = "".join(f"{line}\n" for line in lines)
    if output is None:
        click.echo(text, nl=False)
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as fault:
        raise click.UsageError(f"{output}: cannot be written ({fault.strerror})") from None
