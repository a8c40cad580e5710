"""The one mint: what `Gate.clear` has not cleared does not leave. It never raises, and never passes what it could not judge."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import threading
from collections import OrderedDict
from collections.abc import Mapping
from typing import Final

import msgspec

from phi_guard import envelope
from phi_guard.detect.detector import Detector
from phi_guard.errors import DetectorUnavailable, SealBroken
from phi_guard.facts import ALERTS, ROWS, clear_facts
from phi_guard.known_values import KnownValues
from phi_guard.model import _MINT, Cleared, Note, Outcome, Payload, Withheld
from phi_guard.policy.compiled import Policy
from phi_guard.redact import plain, redact_tool

REASONS: Final = envelope.REASONS
"""Why content can be withheld."""
KINDS: Final = frozenset({"tool", "span", "span_update"})
"""What holds content, or stands around it."""
FLAT: Final = {"alert": ALERTS, "row": ROWS}
"""What holds closed facts alone, so that no detector has to look, and the names it may have."""
VOID: Final = "void"
"""The kind of a skeleton for which not even a name could be cleared; sinks do not send it."""
NOTES_MAX: Final = 100
"""Dropped keys of one kind that are counted one by one."""
CALLS_MAX: Final = 1_000
"""Calls whose known values are kept at once; the longest unused goes first."""

_ERROR: Final = re.compile(r"(\w{1,64}): (\w{1,64})")
_SHUT: Final = "0" * 16
_AROUND: Final = (*envelope.RUN, "dotted_order", "error", "events", "extra")
_KEYS: Final = frozenset({*_AROUND, "name", "inputs", "outputs"})


class Gate:
    """Clears payloads under one policy.

    Args:
        policy: the compiled policy, or None for a gate that withholds everything.
        detector: what finds identifying stretches in free text, or None likewise.
        key: secret under which cleared bytes are sealed; a gate with the same key and policy knows them again. Random if not given.
        shut: the reason every payload is withheld with when policy or detector is missing.
    """

    def __init__(
        self, policy: Policy | None, detector: Detector | None, *, key: bytes | None = None, shut: str = "policy_unreadable"
    ) -> None:
        self._policy = policy
        self._detector = detector
        self._key = key or os.urandom(32)
        self._shut = shut if shut in REASONS else "gate_fault"
        self._known: OrderedDict[str, KnownValues] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def digest(self) -> str:
        """Digest of the policy this gate clears under; sixteen zeros when it is shut."""
        return self._policy.digest if self._policy else _SHUT

    def clear(self, payload: Payload) -> Outcome:
        """Judge a payload. Never raises: whatever goes wrong, the content is withheld and a skeleton answers.

        Args:
            payload: what wants to leave; it is not changed.

        Returns:
            `Cleared`, or `Withheld` with a reason out of `REASONS`.
        """
        reason = "gate_fault"
        try:
            payload = _taken(payload)
            if self._policy is not None and payload.kind in FLAT:
                return self._clear_flat(payload, self._policy)
            if self._policy is None or self._detector is None:
                reason = self._shut
            elif payload.kind == "tool":
                return self._clear_tool(payload, self._policy, self._detector)
            elif payload.kind in {"span", "span_update"}:
                frame, notes = _frame(payload, self._policy)
                if frame is None:
                    reason = "bad_envelope"
                else:
                    return self._clear_span(payload, frame, notes, self._policy, self._detector)
            else:
                reason = "unknown_kind"
        except DetectorUnavailable:
            reason = "detector_unavailable"
        except Exception:  # noqa: BLE001, S110  # a fault costs the content; its text could hold it, so it is not kept either
            pass
        return Withheld(reason, self._skeleton(payload, reason))

    def withhold(self, payload: Payload, reason: str) -> Withheld:
        """Withhold a payload's content unjudged, whatever it holds: for what may not be recorded at all. Never raises.

        Args:
            payload: what may not leave; it is not changed.
            reason: out of `REASONS`, such as ``consent_refused``; ``gate_fault`` stands for any other.
        """
        known = next((one for one in REASONS if type(reason) is str and one == reason), "gate_fault")
        return Withheld(known, self._skeleton(payload, known))

    def restore(self, *, kind: str, name: str, body: bytes, policy: str, seal: bytes) -> Cleared:
        """Know cleared bytes again after storage.

        Args:
            kind: as on the `Cleared` that was stored.
            name: likewise.
            body: likewise.
            policy: likewise.
            seal: likewise.

        Raises:
            SealBroken: some byte differs from what was cleared, or another key sealed it.
        """
        # Exactly these types: a subclass can show one thing to the seal and another to the sink.
        whole = all(type(part) is str for part in (kind, name, policy)) and type(body) is bytes and type(seal) is bytes
        if not whole or not hmac.compare_digest(seal, self._seal(kind, name, policy, body)):
            msg = "stored bytes are not what this gate cleared: drop them, and look at who can write to the outbox"
            raise SealBroken(msg)
        return Cleared(kind, name, body, policy, (), seal, mint=_MINT)

    def forget(self, trace_id: str) -> None:
        """Forget the known values of a call that has ended."""
        with self._lock:
            self._known.pop(trace_id, None)

    def _clear_tool(self, payload: Payload, policy: Policy, detector: Detector) -> Cleared:
        bare = payload.name.removeprefix(envelope.TOOL_PREFIX)
        redaction = redact_tool(policy, bare, payload.data, detector.find)
        return self._mint("tool", _span_name(payload.name, policy), redaction.value, redaction.notes)

    def _clear_span(self, payload: Payload, frame: dict[str, object], notes: list[Note], policy: Policy, detector: Detector) -> Cleared:
        name = str(frame["name"])
        if name.startswith(envelope.TOOL_PREFIX):
            sides = {side: payload.data[side] for side in ("inputs", "outputs") if side in payload.data}
            known = self._known_values(str(frame["trace_id"]))
            redaction = redact_tool(policy, payload.name.removeprefix(envelope.TOOL_PREFIX), sides, detector.find, known)
            frame |= redaction.value
            notes += redaction.notes
        return self._mint(payload.kind, name, frame, tuple(notes))

    def _clear_flat(self, payload: Payload, policy: Policy) -> Outcome:
        if payload.name not in FLAT[payload.kind]:
            return Withheld("bad_envelope", self._skeleton(payload, "bad_envelope"))
        facts, notes = clear_facts(payload.kind, payload.data, policy)
        return self._mint(payload.kind, payload.name, facts, tuple(notes))

    def _known_values(self, trace_id: str) -> KnownValues:
        with self._lock:
            known = self._known.setdefault(trace_id, KnownValues())
            self._known.move_to_end(trace_id)
            while len(self._known) > CALLS_MAX:
                self._known.popitem(last=False)
            return known

    def _skeleton(self, payload: Payload, reason: str) -> Cleared:
        """Closed names, ids and times of a payload; nothing that was not matched against a closed shape."""
        try:
            payload = _taken(payload)
            name = _span_name(payload.name, self._policy)
            if payload.kind == "tool":
                return self._mint("tool", name, {"withheld": reason}, ())
            if payload.kind in KINDS:
                frame, _ = _frame(payload, self._policy)
                if frame is not None:
                    frame.pop("error", None)
                    metadata = {"trace_id": frame["trace_id"], "thread_id": frame["trace_id"], "withheld": reason}
                    frame["extra"] = {"metadata": metadata}
                    return self._mint(payload.kind, name, frame, ())
        except Exception:  # noqa: BLE001, S110  # the fault's text could hold content; the void skeleton below says all that may be said
            pass
        return self._mint(VOID, envelope.UNKNOWN_TOOL, {"withheld": reason}, ())

    def _mint(self, kind: str, name: str, value: Mapping[str, object], notes: tuple[Note, ...]) -> Cleared:
        body = msgspec.json.encode(value, order="sorted")
        return Cleared(kind, name, body, self.digest, notes, self._seal(kind, name, self.digest, body), mint=_MINT)

    def _seal(self, kind: str, name: str, policy: str, body: bytes) -> bytes:
        head = f"{len(kind)}:{kind}{len(name)}:{name}{len(policy)}:{policy}".encode()
        return hashlib.blake2b(head + body, key=self._key[:64], digest_size=16).digest()


def _taken(payload: Payload) -> Payload:
    """The payload with its kind, its name and the run around its content read once, into Python's own types.

    A subclass may answer differently each time it is asked; what is judged and what is sent must be the same. The two sides of the
    content stay as they are: the walk takes its own copy. An unknown key's name is not kept.
    """
    kind, name, data = str.__str__(payload.kind), str.__str__(payload.name), payload.data
    if kind in FLAT:
        flat = plain(dict(data))
        return Payload(kind, name, flat if isinstance(flat, dict) else {})
    taken: dict[str, object] = {key: data[key] for key in ("inputs", "outputs") if key in data}
    if kind != "tool":
        taken |= {key: plain(value) for key in _AROUND if (value := data.get(key)) is not None}
        strangers = sum(1 for key in data if key not in _KEYS)
        if strangers:
            taken["?"] = strangers
    return Payload(kind, name, taken)


def _span_name(name: str, policy: Policy | None) -> str:
    if name in envelope.SPAN_NAMES:
        return name
    known = policy is not None and name.removeprefix(envelope.TOOL_PREFIX) in policy.tools
    return envelope.TOOL_PREFIX + name.removeprefix(envelope.TOOL_PREFIX) if known else envelope.UNKNOWN_TOOL


def _frame(payload: Payload, policy: Policy | None) -> tuple[dict[str, object] | None, list[Note]]:
    """The run around the content, key by key against the envelope's shapes; None where an id, time or order does not fit."""
    data = payload.data
    notes: list[Note] = []
    name = _span_name(payload.name, policy)
    frame: dict[str, object] = {"name": name, "inputs": {}}
    if payload.kind == "span_update":
        frame["outputs"] = {}
    for key, shape in envelope.RUN.items():
        if data.get(key) is not None:
            if not shape.fits(data[key]):
                return None, notes
            frame[key] = data[key]
    order = data.get("dotted_order")
    if any(key not in frame for key in envelope.REQUIRED) or not isinstance(order, str):
        return None, notes
    if not envelope.DOTTED_ORDER.fullmatch(order) or not order.endswith(str(frame["id"])):
        return None, notes
    frame["dotted_order"] = order
    if payload.name not in {name, name.removeprefix(envelope.TOOL_PREFIX)}:
        notes.append(Note("name", "?", "drop"))
    if data.get("error") is not None:
        frame["error"] = _error(data["error"], name)
        if frame["error"] != data["error"]:
            notes.append(Note("error", "?", "drop"))
    events = _events(data.get("events"))
    if events:
        frame["events"] = events
    if data.get("events") not in (None, [], events):
        notes.append(Note("events", "?", "drop"))
    frame["extra"] = {"metadata": _metadata(data, policy, notes)}
    notes += [Note("?", "?", "drop")] * min(int(str(data.get("?", 0))), NOTES_MAX)
    if not name.startswith(envelope.TOOL_PREFIX):
        notes += [Note(f"{side}.?", "?", "drop") for side in ("inputs", "outputs") if data.get(side)]
    return frame, notes


def _error(error: object, name: str) -> str:
    """``<class>: <code>`` with both out of their closed lists."""
    match = _ERROR.fullmatch(error) if isinstance(error, str) else None
    kind = match[1] if match and match[1] in envelope.ERROR_TYPES else "UnknownError"
    code = "tool_raised" if name.startswith(envelope.TOOL_PREFIX) else "session_error"
    if match and match[2] in envelope.ERROR_MESSAGES:
        code = match[2]
    return f"{kind}: {code}"


def _events(events: object) -> list[dict[str, object]]:
    """Only the instant of the first answer's sound; every other event, and every other key of this one, stays."""
    if not isinstance(events, list | tuple):
        return []
    return [
        {"name": "new_token", "time": event["time"]}
        for event in events[:1]
        if isinstance(event, Mapping) and event.get("name") == "new_token" and envelope.INSTANT.fits(event.get("time"))
    ]


def _metadata(data: Mapping[str, object], policy: Policy | None, notes: list[Note]) -> dict[str, object]:
    extra = data.get("extra")
    given = extra.get("metadata") if isinstance(extra, Mapping) else None
    out: dict[str, object] = {}
    beside = len(extra) - 1 if isinstance(extra, Mapping) and "metadata" in extra else bool(extra)
    notes += [Note("extra.?", "?", "drop")] * min(beside, NOTES_MAX)
    for key, value in given.items() if isinstance(given, Mapping) else ():
        if value is None:
            continue
        shape = envelope.METADATA.get(key) if isinstance(key, str) else None
        if shape is not None and shape.fits(value):
            out[key] = value
        elif key == "usage_metadata" and isinstance(value, Mapping):
            out[key] = kept = {k: value[k] for k, fits in envelope.USAGE.items() if fits.fits(value.get(k))}
            notes += [Note(f"extra.metadata.{key}.?", "?", "drop")] * min(len(value) - len(kept), NOTES_MAX)
        elif key == "redactions" and isinstance(value, Mapping) and policy is not None:
            count = envelope.METADATA["errors"]
            out[key] = kept = {k: n for k, n in value.items() if (k in policy.names or k == "unknown") and count.fits(n)}
            notes += [Note(f"extra.metadata.{key}.?", "?", "drop")] * min(len(value) - len(kept), NOTES_MAX)
        else:
            notes.append(Note(f"extra.metadata.{key if shape is not None else '?'}", "?", "drop"))
    return out
