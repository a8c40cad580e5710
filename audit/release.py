"""The release of a held switch: what a report must be, for telemetry to be sent again on the strength of it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from audit import exits
from audit.custody import Signature
from phi_guard.switch import SwitchState

APPROVER: Final = "approver"
AHEAD_MAX: Final = timedelta(minutes=5)
"""How far the clock of the machine that made a report may be ahead of ours."""


@dataclass(frozen=True, slots=True)
class Account:
    """What of a report counts here.

    Args:
        digest: its own.
        verdict: ``GO``, ``NO_GO`` or ``UNPROVEN``.
        made_at: ISO 8601.
        policy_digest: of the policy it was scanned under.
        faults: why it does not verify; empty if it does.
        signers: the signatures that hold, by keys that are trusted now.
        env: whose part of the policy it was scanned under; empty where it is not known.
        project: that was scanned; empty where it is not known.
        since: beginning of what was scanned, ISO 8601; empty for all there was.
        until: end of what was scanned; empty where it is not known.
        weaker: where its bars ask for less than those in force, in words.
    """

    digest: str
    verdict: str
    made_at: str
    policy_digest: str
    faults: tuple[str, ...] = ()
    signers: tuple[Signature, ...] = ()
    env: str = ""
    project: str = ""
    since: str = ""
    until: str = ""
    weaker: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a report releases nothing.

    Args:
        code: the exit code that says so.
        reasons: each in words.
    """

    code: int
    reasons: tuple[str, ...]


def refuse(account: Account, state: SwitchState, *, policy_digest: str, now: datetime, env: str = "", project: str = "") -> Refusal | None:
    """Why a report does not release the switch, or None where it does.

    It must verify, bear the signature of an approver whose key is trusted now, say GO by bars no weaker than those in force, be made after
    the switch went off of traces from before that too, and be scanned under the policy in force, of the environment and project named.

    Args:
        account: of the report.
        state: of the switch.
        policy_digest: of the policy in force.
        now: with a zone.
        env: that the switch is of; empty for any.
        project: that the switch is of; empty for any.
    """
    if account.faults:
        return Refusal(exits.BROKEN_EVIDENCE, account.faults)
    if not _signed(account.signers):
        why = "no approver whose key is trusted has signed it; sign it: phi-audit sign --role approver"
        return Refusal(exits.BROKEN_EVIDENCE, (why,))
    reasons: list[str] = []
    if account.verdict != "GO":
        reasons.append(f"its verdict is {account.verdict.replace('_', '-')}, not GO; mend what it found, and scan again")
    made, off = _moment(account.made_at), _moment(state.at)
    if made is None or made > now + AHEAD_MAX:
        reasons.append("it was made at no time that has been; check the clock of the machine that made it")
    elif off is not None and made <= off:
        reasons.append(f"it was made at {account.made_at}, before the switch went off ({state.at}); scan again")
    if account.policy_digest != policy_digest:
        reasons.append("it was scanned under another policy than the one in force; scan again, or name the policy with --policy and --env")
    reasons += [*_elsewhere(account, env, project), *_beside(account, off)]
    if account.weaker:
        reasons.append(f"its gates ask for less than those in force ({'; '.join(account.weaker)}); scan again, or name them with --gates")
    return Refusal(exits.NO_GO, tuple(reasons)) if reasons else None


def _elsewhere(account: Account, env: str, project: str) -> Iterator[str]:
    if env and account.env != env:
        yield f"it was scanned for another environment than {env}; scan that one, or name the other with --env"
    if project and account.project != project:
        yield "it is of another project; scan this one, or name the other with --project"


def _beside(account: Account, off: datetime | None) -> Iterator[str]:
    """The window must hold the moment at which the switch went off: what leaked was sent before it."""
    since, until = _moment(account.since), _moment(account.until)
    if off is None:
        return
    if account.until and (until is None or until <= off):
        yield "what was scanned ends before the switch went off; scan again, up to now"
    if account.since and (since is None or since >= off):
        yield "what was scanned begins after the switch went off, so the leak would not be in it; scan again, further back (--since)"


def _signed(signers: Iterable[Signature]) -> bool:
    return any(signer.role == APPROVER for signer in signers)


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment.astimezone(UTC) if moment.tzinfo else None
