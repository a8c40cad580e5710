"""What a guarded log record still says, and what it does not."""

from __future__ import annotations

import logging
import sys

import pytest

from tracing.log_guard import LogGuard

SAID = "Zqxjkvorn"


def guarded(message, *args, name="livekit.agents", exc_info=None, path="/lib/livekit/agents/x.py", **extra):
    record = logging.LogRecord(name, logging.ERROR, path, 7, message, args, exc_info)
    vars(record).update(extra)
    assert LogGuard().filter(record) is True
    return record


@pytest.mark.parametrize(
    ("message", "args", "shown"),
    [
        ("executing tool", (), "executing tool"),
        ("took %.2f s, %d tries", (0.5, 3), "took 0.50 s, 3 tries"),
        ("cannot find %s", (SAID,), "cannot find (withheld)"),
        ("failed: %s", (ValueError(SAID),), "failed: ValueError"),
        ("%(who)s left", ({"who": SAID},), "(withheld) left"),
        (f"closing due to unrecoverable error: {SAID}", (), "closing due to unrecoverable error (withheld)"),
        (f"entrypoint for '{SAID}' failed", (), "entrypoint for  (withheld)"),
        (f"never retrieved\nfuture: <Task {SAID}>", (), "never retrieved"),
        ("calling sip_+1 555 010 0199 now", (), "calling sip_(withheld) now"),
        ("mail to zqx@example.org", (), "mail to (withheld)"),
        ("the room doesn't answer", (), "the room doesn't answer"),
    ],
)
def test_a_message_keeps_its_constant_part(message, args, shown):
    """Numbers and classes stay; strings, and what was joined to the text before it was logged, do not."""
    assert guarded(message, *args).getMessage() == shown


def test_extras_stay_by_name_and_shape():
    """Ids and numbers by known names; no text by any other, and nothing marked as personal."""
    extras = {
        "lk.pii.text": "x", "lk.pii.count": 3, "error": SAID, "event": {"a": SAID}, "task": object(), "participant": SAID,
        "function": "book", "call_id": "call_1", "speech_id": "sp 555 0100 199", "attempt": 3, "delay": 0.5,
        "phone": 5550100199, "streamed": True,
    }  # fmt: skip
    record = guarded("x", **extras)
    kept = {name: vars(record)[name] for name in extras if name in vars(record)}
    assert kept == {"function": "book", "call_id": "call_1", "attempt": 3, "delay": 0.5, "streamed": True}


def test_an_exception_keeps_its_class_and_place():
    """No text, no cause, no frames; any formatter may format it."""
    try:
        raise LookupError(SAID) from ValueError(SAID)
    except LookupError:
        record = guarded("x", exc_info=sys.exc_info())
    kind, fault, trace = record.exc_info
    assert (kind.__name__, trace, fault.__cause__, fault.__context__) == ("LookupError", None, None, None)
    text = logging.Formatter().format(record)
    assert SAID not in text
    assert "LookupError: text withheld; raised at test_log_guard.py:" in text


def test_a_record_that_cannot_be_cleaned_is_not_logged():
    """Rather no line than a raw one, and nothing is raised into the agent's call."""

    class Bad:
        def __str__(self):
            raise TypeError(SAID)

    record = logging.LogRecord("livekit", logging.ERROR, "x", 1, Bad(), (), None)
    assert LogGuard().filter(record) is False
    record = logging.LogRecord("livekit", logging.ERROR, "x", 1, "%d", (SAID,), None)
    assert LogGuard().filter(record) is False


def test_the_agents_own_root_records_are_left_alone():
    """On the root logger only what LiveKit's own files log is touched."""
    assert guarded("for %s", SAID, name="root", path="/app/agent.py").getMessage() == f"for {SAID}"
    assert guarded("for %s", SAID, name="root").getMessage() == "for (withheld)"
