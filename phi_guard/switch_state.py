"""What a switch says, in which bytes, and who acts on it: shared by every place that a switch can be kept in."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

from phi_guard.errors import PhiGuardError

SCHEMA: Final = "phi-guard.switch/2"
SCHEMA_BEFORE: Final = "phi-guard.switch/1"
"""Still read; it knows no hold."""
REASON_MAX: Final = 200
"""Characters of a reason, which is one line."""
LEAK: Final = "leak"
"""The hold of a leak; it outranks every other."""
KEPT: Final = "kept"
"""The hold of a switch whose file had to be moved aside, since there was no room to write why."""
SIZE_MAX: Final = 4096
"""Bytes of a state, as it is kept."""
STALE_S: Final = 5.0
"""A worker tells what it acts on once a second. One unheard for so long is dead, frozen, or cut off; the last two send nothing either."""
GONE_S: Final = 3600.0
"""One unheard for so long is no longer named."""

_HOLD: Final = re.compile(r"[a-z][a-z_]{0,31}")
_RELEASE: Final = re.compile(r"[0-9a-f]{64}")


class SwitchError(PhiGuardError):
    """The switch could not be set; the message names where it is kept, the reason, and what to do."""


@dataclass(frozen=True, slots=True)
class SwitchState:
    """Where the switch stands.

    Args:
        on: whether anything may be sent.
        reason: why, one line; where what is kept cannot be believed, what is wrong with it.
        at: since when, ISO 8601 in UTC; empty where nobody has said so: then it is off only because of a doubt.
        hold: the cause that must be settled before it may be on again, such as ``leak``; empty where none is.
        release: digest of the report that released the last hold, 64 hexadecimal digits; empty where there was none.
    """

    on: bool
    reason: str
    at: str
    hold: str = ""
    release: str = ""


@dataclass(frozen=True, slots=True)
class Worker:
    """One that sends, such as a relay, and what it acts on.

    Args:
        id: random, 32 hexadecimal digits; the same for as long as its state directory.
        label: what it is, such as ``relay``; never a host's name.
        policy: digest of its policy.
        pending: operations that wait with it to be sent.
        quarantined: operations it keeps and does not send.
        quiet: whether nothing of it is on its way.
        on: the state it acts on.
        seen: since when that state was, as the switch says it; empty where it is off for a doubt.
        age_s: seconds since it said so, by the clock of where it is kept.
    """

    id: str
    label: str
    policy: str = ""
    pending: int = 0
    quarantined: int = 0
    quiet: bool = True
    on: bool = False
    seen: str = ""
    age_s: float = 0.0

    @property
    def stale(self) -> bool:
        """Whether it has not been heard for `STALE_S`."""
        return self.age_s > STALE_S

    def acts_on(self, state: SwitchState) -> bool:
        """Whether it has acknowledged a state: where that is off, nothing of it is on its way either."""
        return self.on and self.seen == state.at if state.on else not self.on and self.quiet


class Switch(Protocol):
    """Where the roll-back switch is kept, be it a file or a server."""

    @property
    def place(self) -> str:
        """Where it is, without any password."""

    def state(self) -> SwitchState:
        """Where it stands. Never raises, and never waits for a network but for a moment at the first call."""

    def turn_on(self, reason: str, *, release: str = "") -> None:
        """Let things be sent; raises `SwitchError` where it may not, or cannot be written."""

    def turn_off(self, reason: str, hold: str = "") -> None:
        """Stop everything that would be sent; raises `SwitchError` where that cannot be made known."""

    def acknowledge(self, worker: Worker, state: SwitchState) -> bool:
        """Say what a worker acts on; whether that could be said. Never raises."""

    def dismiss(self, worker_id: str) -> None:
        """A worker has ended. Never raises."""

    def workers(self) -> tuple[Worker, ...]:
        """Who has said what it acts on, within `GONE_S`; raises `SwitchError` where that cannot be read."""


def encode_state(state: SwitchState) -> bytes:
    """The bytes of a state, as we write them."""
    row = {"schema": SCHEMA, "on": state.on, "reason": state.reason, "at": state.at, "hold": state.hold, "release": state.release}
    return f"{json.dumps(row)}\n".encode()


def parse_state(content: bytes, what: str = "the switch file") -> SwitchState:
    """The state that bytes hold. Only the very bytes we write are on: what somebody mended, cut or doubled is not.

    Args:
        content: the bytes.
        what: what they were kept in, for the reason.
    """
    try:
        row = json.loads(content.decode())
    except (ValueError, RecursionError):
        return doubt(f"{what} is not JSON")
    schema = row.get("schema") if isinstance(row, dict) else None
    if schema not in {SCHEMA, SCHEMA_BEFORE}:
        return doubt(f"{what} is not of schema {SCHEMA}")
    on, reason, at, hold, release = (row.get(name, "") for name in ("on", "reason", "at", "hold", "release"))
    if not isinstance(on, bool) or not all(isinstance(text, str) for text in (reason, at, hold, release)):
        return doubt(f"{what} does not hold on, reason, at, hold and release as it should")
    if not _is_line(reason) or moment(at) is None or not _is_cause(hold, release, on=on):
        return doubt(f"{what} holds a reason, a time or a hold that we would not have written")
    state = SwitchState(on, reason, at, hold, release)
    written = encode_state(state) if schema == SCHEMA else _encode_before(state)
    if written != content.rstrip(b"\n") + b"\n":
        return doubt(f"{what} was not written by us", hold)
    return state


def doubt(reason: str, hold: str = "") -> SwitchState:
    """Off, because it cannot be known."""
    return SwitchState(on=False, reason=reason, at="", hold=hold)


def check_reason(reason: str) -> str:
    """The reason.

    Raises:
        SwitchError: it is not one line of 1 to `REASON_MAX` printable characters.
    """
    if not _is_line(reason):
        msg = f"a reason is one line of 1 to {REASON_MAX} printable characters; write a shorter one, without line breaks"
        raise SwitchError(msg)
    return reason


def check_hold(hold: str) -> str:
    """The hold, which may be empty.

    Raises:
        SwitchError: it is not one word.
    """
    if hold and not _HOLD.fullmatch(hold):
        raise SwitchError("a hold is one word of 1 to 32 lower-case letters and _, such as leak")
    return hold


def check_release(release: str) -> str:
    """The release, which may be empty.

    Raises:
        SwitchError: it is no digest.
    """
    if release and not _RELEASE.fullmatch(release):
        raise SwitchError("a release is a report's digest of 64 hexadecimal digits; give the report's own")
    return release


def stronger(hold: str, held: str) -> str:
    """Which of a new hold and the one that is there stays: a leak outranks the others, and one that is there stays."""
    return hold if hold and (hold == LEAK or held in {"", KEPT}) else held


def turned_on(state: SwitchState, reason: str, release: str, place: str) -> SwitchState:
    """What a switch becomes that is turned on; one that is on stays so since when it was.

    Raises:
        SwitchError: it is held, and there is no release.
    """
    if state.hold and not release:
        since = f" since {state.at}" if state.at else ""
        advice = "it takes a report made after that: phi-audit switch on --report"
        msg = f"{place}: the switch is held{since} ({state.hold}): {state.reason}; {advice}"
        raise SwitchError(msg)
    return SwitchState(on=True, reason=reason, at=state.at if state.on else now_after(state.at), release=release)


def now_after(at: str) -> str:
    """The time now, or a microsecond after ``at`` where that is later: who wrote that may have a clock ahead of ours."""
    before, now = moment(at), datetime.now(UTC)
    if before is not None and before >= now:
        now = before.astimezone(UTC) + timedelta(microseconds=1)
    return now.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def moment(text: str) -> datetime | None:
    """The time a text tells, None where it tells none with a zone."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo is not None else None


def _encode_before(state: SwitchState) -> bytes:
    return f"{json.dumps({'schema': SCHEMA_BEFORE, 'on': state.on, 'reason': state.reason, 'at': state.at})}\n".encode()


def _is_cause(hold: str, release: str, *, on: bool) -> bool:
    if hold and (on or not _HOLD.fullmatch(hold)):
        return False
    return not release or bool(_RELEASE.fullmatch(release))


def _is_line(text: str) -> bool:
    return 0 < len(text) <= REASON_MAX and text.isprintable()
