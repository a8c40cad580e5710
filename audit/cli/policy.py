"""``phi-audit policy``: the policy developer's kit. Each command calls one module of `phi_guard.policy` and shows what it says."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from audit import exits
from audit.cli.policy_calls import coverage, suggest
from audit.cli.policy_file import FILE, as_json, env_option, file_argument, load, path_of, policy_option, real_walk, refused, shown, tell

if TYPE_CHECKING:
    from phi_guard.policy.diff import Change
    from phi_guard.policy.proof import Proof
    from phi_guard.scrub import Find

CODES: Final = "Exit codes: 0 nothing to say, 1 what the command looks for was found, 2 usage, or a file that cannot be loaded."


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
@file_argument
@env_option
@shown
def test(file: Path | None, env: str | None, fmt: str, output: Path | None) -> int:
    """Run the file's own examples through the real walk, and say what none of them shows.

    \b
    Examples:
      phi-audit policy test policies/clinic.yaml
      phi-audit policy test policies/clinic.yaml --env prod --format json
    """  # noqa: D301  # click's
    from phi_guard.policy.examples import patterns_only  # noqa: PLC0415  # not for --help
    from phi_guard.policy.proof import prove  # noqa: PLC0415

    path = path_of(file)
    proof = prove(path, real_walk(patterns_only()), env or "")
    if fmt == "json":
        counts = {state: proof.count(state) for state in ("PASS", "FAIL", "ERROR")}
        tell(as_json("test", path, {"env": env or "", "counts": counts, **asdict(proof)}), output)
    else:
        tell(_proof(proof, path), output)
    if proof.faults or proof.count("ERROR"):
        return exits.USAGE
    return exits.NO_GO if proof.count("FAIL") else exits.GO


def _proof(proof: Proof, path: Path) -> list[str]:
    lines = []
    for tried in proof.examples:
        lines.append(
            f"{tried.state:5} {f'line {tried.line} of what it extends' if tried.inherited else f'{path}:{tried.line}'}: {tried.tool}"
        )
        lines += [f"      {why}" for why in tried.why]
    lines += [f"not shown by any example: {place}" for place in proof.uncovered]
    lines += [f"{fault.file}:{fault.line}: {fault.path}: {fault.what}" for fault in proof.faults]
    return [*lines, f"{len(proof.examples)} examples: {proof.count('PASS')} pass, {proof.count('FAIL')} fail, {proof.count('ERROR')} error"]


@policy.command(epilog="Exit codes: 0 done, 2 usage, or the file cannot be loaded.")
@click.option("--tool", required=True, help="The tool's bare name, such as book_appointment.")
@click.option("--path", "place", required=True, help="Where, such as inputs.patient_name or outputs.slots[*].doctor_name.")
@click.option("--value", help="A value to try there. It is not printed back.")
@click.option("--show-value", is_flag=True, help="Print what would be sent of the value.")
@click.option("--strict", is_flag=True, help="Try with every detector, not with the patterns alone; loads for seconds.")
@policy_option
@env_option
@shown
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

    path = path_of(file)
    rules = load(path, env or "")
    try:
        at = x.parse_path(place)
    except BadPath as fault:
        raise click.UsageError(f"--path {place} {fault}") from None
    decided = x.decide(rules, tool, at)
    told: dict[str, object] = {
        "env": env or "", "tool": tool, "path": place, "rule": decided.where, "action": decided.rule.action, "line": decided.rule.line,
        "rule_file": decided.rule.file or str(path),
        "why": decided.why, "conditions": x.conditions(decided.rule),
    }  # fmt: skip
    line = f":{decided.rule.line}" if decided.rule.line else ""
    lines = [f"{tool} {place}: {decided.rule.action}", f"  rule     {decided.rule.file or path}{line}: {decided.where}"]
    lines += [f"  why      {why}" for why in decided.why]
    lines += [f"  so       {condition}" for condition in x.conditions(decided.rule)]
    if value is not None:
        find = _strict() if strict else patterns_only()
        done = x.outcome(rules, tool, at, x.typed(value, decided.rule), real_walk(find))
        sent = None if done.sent is x.NOT_SENT else done.sent
        told["value"] = {"chars": len(value), "treated": done.treated, "because": done.because, "sent": x.describe(done.sent)}
        lines += [f"  value    {len(value)} characters: {done.because}", f"  sent     {x.describe(done.sent)}"]
        if show_value:
            told["value"] |= {"sent_value": sent}  # type: ignore[operator]  # made just above
            lines[-1] = f"  sent     {'nothing' if done.sent is x.NOT_SENT else json.dumps(sent, ensure_ascii=False)}"
        if not strict and decided.rule.action in {"scan", "truncate"}:
            lines.append("  note     tried with the patterns alone; --strict adds the language model, which finds more names")
    tell(as_json("explain", path, told) if fmt == "json" else lines, output)


@policy.command(epilog="Exit codes: 0 done, 1 --fail-on weaker and a change is weaker or mixed, 2 a file cannot be loaded.")
@click.argument("old", type=FILE)
@click.argument("new", type=FILE)
@env_option
@click.option("--fail-on", type=click.Choice(["weaker"]), help="Exit 1 if a change is weaker, or cannot be compared (mixed).")
@shown
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
    changes = compare(*({each: load(path, each) for each in chosen} for path in (old, new)))
    worse = [change for change in changes if change.kind in {"weaker", "mixed"}]
    if fmt == "json":
        counts = {kind: sum(change.kind == kind for change in changes) for kind in ("weaker", "stronger", "mixed", "different")}
        told = {"old": str(old), "env": env or "", "counts": counts, "changes": [asdict(change) for change in changes]}
        tell(as_json("diff", new, told), output)
    else:
        tell([_change(change, old, new) for change in changes] or ["no change in what may be sent"], output)
    return exits.NO_GO if fail_on and worse else exits.GO


def _change(change: Change, old: Path, new: Path) -> str:
    env = f" (in {change.env})" if change.env else ""
    places = ((change.old_file or old, change.old_line), (change.new_file or new, change.new_line))
    lines = [f"{path}:{line}" for path, line in places if line]
    return f"{change.kind:9} {change.path}{env}: {change.what}  [{' -> '.join(lines) or 'whole file'}]"


@policy.command(epilog="Exit codes: 0 clean, 1 a finding as severe as --fail-on, 2 the file cannot be loaded.")
@file_argument
@click.option(
    "--fail-on", type=click.Choice(["error", "warning", "info"]), default="warning", show_default=True, help="Exit 1 from here on."
)
@shown
def lint(file: Path | None, fail_on: str, fmt: str, output: Path | None) -> int:
    """Look for what loads but is risky: wide shapes, kept free text, rules that never decide, names nearly the same.

    \b
    Examples:
      phi-audit policy lint policies/clinic.yaml
      phi-audit policy lint policies/clinic.yaml --fail-on error --format json
    """  # noqa: D301  # click's
    from phi_guard.errors import PolicyError  # noqa: PLC0415  # not for --help
    from phi_guard.policy.lint import SEVERITIES  # noqa: PLC0415
    from phi_guard.policy.lint import lint as look  # noqa: PLC0415
    from phi_guard.policy.proof import read_faults  # noqa: PLC0415

    path = path_of(file)
    try:
        findings = look(path)
    except PolicyError as fault:
        faults = read_faults(fault)
        if fmt == "json":
            tell(as_json("lint", path, {"findings": [], "faults": [asdict(one) for one in faults]}), output)
        raise refused(fault) from None
    if fmt == "json":
        tell(as_json("lint", path, {"findings": [asdict(finding) for finding in findings], "faults": []}), output)
    else:
        lines = [f"{path}:{f.line}: {f.path}: {f.code} {f.severity}: {f.what}: {f.why}; {f.fix}" for f in findings]
        counts = ", ".join(f"{sum(f.severity == severity for f in findings)} {severity}" for severity in reversed(SEVERITIES))
        tell([*lines, counts], output)
    failing = SEVERITIES[SEVERITIES.index(fail_on) :]
    return exits.NO_GO if any(finding.severity in failing for finding in findings) else exits.GO


@policy.command(epilog="Exit codes: 0 done, 2 usage.")
@shown
def schema(fmt: str, output: Path | None) -> None:
    """Print the policy file's JSON Schema (draft 2020-12), for completion and checks in editors; as a table, what each key is for.

    \b
    Examples:
      phi-audit policy schema --format json -o policies/schema/policy.schema.json
      and in the policy's first line:
      # yaml-language-server: $schema=schema/policy.schema.json
    """  # noqa: D301  # click's
    from phi_guard.policy.schema import MEANS, policy_schema  # noqa: PLC0415  # not for --help

    if fmt == "json":
        tell([json.dumps(policy_schema(), indent=2, ensure_ascii=False)], output)
    else:
        tell([f"{key:16}{meaning}" for key, meaning in MEANS.items()], output)


def _strict() -> Find:
    from phi_guard import open_detector  # noqa: PLC0415  # seconds, and only when asked for

    return open_detector("strict").find


policy.add_command(suggest)
policy.add_command(coverage)
