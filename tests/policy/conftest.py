"""A small policy that uses most of what there is, and ways to change and load it."""

from __future__ import annotations

import pytest

from phi_guard import load_policy
from phi_guard.policy.examples import patterns_only
from phi_guard.redact import redact_tool

TEXT = """\
version: 1
default: redact
lists:
  doctors: ["Dr. Lee", "Dr. Chen"]
fields:
  name: {action: redact, safe_harbor: 1}
  phone: {action: redact, safe_harbor: 4}
  doctor: {action: keep, shape: {in: doctors}}
  at: {action: keep, shape: datetime, unless_sent: [name, phone]}
  age: {action: keep, shape: {number: [0, 89]}}
  code: {action: keep, shape: "[A-Z]{2}-[0-9]{4}"}
  story: {action: truncate, chars: 40}
  contact: {action: scan}
tools:
  book:
    inputs: [name, phone, doctor, at, age, story, contact]
    outputs: [code]
environments:
  prod: {fields: {story: {action: drop}}}
examples:
  - given:
      tool: book
      inputs:
        name: "Ada Byron"
        phone: "+41 79 555 01 23"
        doctor: "Dr. Lee"
        at: "2027-03-15T14:00Z"
        age: 40
        story: "a cough"
        contact: [{phone: "+41 79 555 01 23"}]
      outputs: {code: "AB-1234"}
    sends:
      inputs:
        name: <REDACTED>
        phone: <REDACTED>
        doctor: "Dr. Lee"
        at: "2027-03-15T14:00Z"
        age: 40
        story: "a cough"
        contact: [{phone: <REDACTED>}]
      outputs: {code: "AB-1234"}
"""


@pytest.fixture
def text():
    """The policy's text."""
    return TEXT


@pytest.fixture
def write(tmp_path):
    """Write the policy with parts of it replaced; returns its path. Each part must be there; ``sent`` ones in what the example sends."""

    def put(*changes, sent=(), name="p.yaml"):
        head, sends, tail = TEXT.partition("    sends:")
        for old, new in changes:
            assert old in head, old
            head = head.replace(old, new, 1)
        for old, new in sent:
            assert old in tail, old
            tail = tail.replace(old, new, 1)
        path = tmp_path / name
        path.write_text(head + sends + tail, "utf-8")
        return path

    return put


@pytest.fixture
def made(write):
    """The policy with parts of it replaced, loaded."""
    return lambda *changes, sent=(), env="": load_policy(write(*changes, sent=sent), env)


@pytest.fixture
def walk():
    """The real walk with the patterns."""
    find = patterns_only()

    def walked(policy, tool, data):
        done = redact_tool(policy, tool, data, find)
        return done.value, done.notes

    return walked
