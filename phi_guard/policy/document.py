"""The policy file's border: text becomes a frozen `Policy`, or one PolicyError that lists every fault with its line."""

from __future__ import annotations

import os
from collections.abc import Iterable

from phi_guard.errors import PolicyError
from phi_guard.policy import safe_harbor
from phi_guard.policy.compiled import Policy
from phi_guard.policy.draft import ENVIRONMENTS, Draft
from phi_guard.policy.examples import differences, patterns_only
from phi_guard.policy.extends import chain
from phi_guard.policy.lines import Sheet, near, quote
from phi_guard.pseudonym import BadKey, Pseudonyms


def load(path: str | os.PathLike[str], env: str = "") -> Policy:
    """Read, check, prove and compile a policy file.

    Every overlay is checked, whichever is asked for. The examples prove the rules without an overlay, which can then only send less; they
    are run once all else is right, since a rule that cannot be read would fail them all. A file that extends another is read only if the
    other is sound in itself.

    Args:
        path: the YAML file.
        env: one of `ENVIRONMENTS`, or empty for the rules without an overlay.

    Raises:
        PolicyError: with every fault, in the order of the files and their lines.
    """
    sheets = chain(path)
    if env not in {"", *ENVIRONMENTS}:
        sheets[-1].fault(("env",), f"{quote(env)} is no environment{near(str(env), ENVIRONMENTS)}; use dev or prod", line=1)
    for n in range(1, len(sheets)):
        _proven(Draft(sheets[:n]))
    draft = Draft(sheets)
    base = _proven(draft)
    return draft.policy(env, _pseudonyms(draft, env)) if env else base


def _proven(draft: Draft) -> Policy:
    """The rules without an overlay, proven by their examples."""
    draft.fill()
    safe_harbor.check(draft)
    pseudonyms = _pseudonyms(draft, "")
    _check(draft.sheets)
    policy = draft.policy("", pseudonyms)
    find = patterns_only()
    for shown in draft.shown:
        for place, what in differences(policy, shown.example, find):
            if shown.sheet is draft.sheets[-1]:
                at = ("examples", shown.n)
                shown.sheet.fault(at, what, line=shown.sheet.line((*at, *place)))
            else:
                old = f"the example on line {shown.example.line} of {os.path.basename(shown.sheet.name)} no longer holds ({what})"  # noqa: PTH119  # a name, as given
                anew = "write it again under examples here: the same given, and what is sent now"
                draft.sheets[-1].fault(("extends",), f"{old}; {anew}")
                break
    _check(draft.sheets)
    return policy


def _pseudonyms(draft: Draft, env: str) -> Pseudonyms | None:
    """What makes the pseudonyms, where a rule uses them; without a key each such rule is a fault."""
    users = [(sheet, place) for sheet, place, rule in draft.every_rule() if rule.action == "pseudonym"]
    if not users:
        return None
    try:
        return Pseudonyms.from_environment(os.environ, env)
    except BadKey as error:
        for sheet, place in users:
            sheet.fault(place, str(error))
    return None


def _check(sheets: Iterable[Sheet]) -> None:
    """Raise PolicyError with the faults of all files, if there is one."""
    faults: list[str] = []
    for sheet in sheets:
        try:
            sheet.check()
        except PolicyError as refused:
            faults += refused.faults
    if faults:
        raise PolicyError(faults)
