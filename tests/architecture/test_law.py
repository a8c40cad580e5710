"""The law holds over the tree, and it bites: each planted breach is caught."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

_spec = importlib.util.spec_from_file_location("architecture_law", Path(__file__).with_name("law.py"))
law = importlib.util.module_from_spec(_spec)
sys.modules["architecture_law"] = law
_spec.loader.exec_module(law)

PLANTED = {
    "langsmith in the tracer": ("tracing/record.py", "import langsmith", "imports langsmith"),
    "lazily, in a function": ("tracing/record.py", "def f():\n    from langsmith import Client", "imports langsmith.Client"),
    "under TYPE_CHECKING": ("phi_guard/gate.py", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import requests",
    "imports requests"),
    "under another name": ("audit/verdict.py", "import urllib.request as fetch", "imports urllib.request"),
    "out of a package": ("audit/verdict.py", "from urllib import request", "imports urllib.request"),
    "importlib": ("tracing/record.py", "import importlib\nimportlib.import_module('langsmith')", "imports importlib"),
    "__import__": ("tracing/record.py", "__import__('socket')", "uses __import__"),
    "__import__ by builtins": ("tracing/record.py", "import builtins\nbuiltins.__import__('socket')", "uses builtins.__import__"),
    "exec": ("audit/verdict.py", "exec('import socket')", "uses exec"),
    "a socket": ("tracing/record.py", "import socket", "imports socket"),
    "a log handler that sends": ("audit/verdict.py", "from logging.handlers import HTTPHandler", "imports logging.handlers.HTTPHandler"),
    "an asyncio stream": ("tracing/record.py", "import asyncio\nasyncio.open_connection('h', 1)", "uses asyncio.open_connection"),
    "an event loop's socket": ("tracing/record.py", "async def f(loop):\n    await loop.create_connection(None)",
    "calls .create_connection"),
    "another program": ("audit/verdict.py", "import subprocess", "imports subprocess"),
    "another program by os": ("audit/verdict.py", "import os\nos.system('curl')", "uses os.system"),
    "another process": ("tracing/record.py", "from multiprocessing import Process", "imports multiprocessing.Process"),
    "pickle": ("tracing/relay/outbox.py", "import pickle", "imports pickle"),
    "the product on the tracer": ("phi_guard/gate.py", "import tracing.record", "imports tracing.record"),
    "the tracer on the audit": ("tracing/relay/outbox.py", "from audit import scan", "imports audit.scan"),
    "the audit on the tracer": ("audit/verdict.py", "from tracing.record import Ack", "imports tracing.record"),
    "detect on the gate": ("phi_guard/detect/patterns.py", "from phi_guard.gate import Gate", "imports phi_guard.gate.Gate"),
    "policy on redact": ("phi_guard/policy/compiled.py", "from phi_guard.redact import redact_tool", "imports phi_guard.redact"),
    "redact on the gate, relative": ("phi_guard/redact.py", "from .gate import Gate", "imports phi_guard.gate.Gate"),
    "redact on the whole face": ("phi_guard/redact.py", "import phi_guard", "imports phi_guard; redact sees"),
    "a sink that sees raw payloads' gate": ("phi_guard/outbound/memory.py", "from phi_guard.gate import Gate",
    "imports phi_guard.gate.Gate"),
    "a new module without a row": ("phi_guard/novelty.py", "from phi_guard.model import Payload", "has no row in SEES"),
    "a forged Cleared": ("tracing/relay/outbox.py", "from phi_guard.model import Cleared\nCleared('span')", "makes a Cleared"),
    "forged through the module": ("tracing/relay/outbox.py", "from phi_guard import model as m\nm.Cleared('span')", "makes a Cleared"),
    "forged under another name": ("tracing/relay/outbox.py", "from phi_guard.model import Cleared as C\nC('span')", "makes a Cleared"),
    "the mint imported": ("tracing/relay/outbox.py", "from phi_guard.model import _MINT", "names _MINT"),
    "the mint by a string": ("tracing/relay/outbox.py", "from phi_guard import model\ngetattr(model, '_MINT')", "names _MINT"),
    "made around the constructor": ("phi_guard/redact.py", "from phi_guard.model import Cleared\nobject.__new__(Cleared)",
    "calls object.__new__"),
    "changed around the lock": ("tracing/relay/outbox.py", "def f(c):\n    object.__setattr__(c, 'body', b'')", "calls object.__setattr__"),
    "changed through its slot": ("tracing/relay/outbox.py", "def f(cls, c):\n    cls.body.__set__(c, b'')", "calls .__set__"),
    "minted by the gate's own hand": ("tracing/relay/outbox.py", "def f(gate):\n    return gate._mint('span', 'x', {}, ())", "reaches for"),
    "spacy elsewhere": ("phi_guard/detect/union.py", "import spacy.tokens", "imports spacy.tokens"),
    "pydantic inside": ("phi_guard/redact.py", "from pydantic import BaseModel", "imports pydantic.BaseModel"),
    "yaml inside": ("audit/verdict.py", "import yaml", "imports yaml"),
    "livekit elsewhere": ("tracing/record.py", "from livekit import agents", "imports livekit.agents"),
    "langsmith's LiveKit integration": ("phi_guard/outbound/langsmith.py", "import langsmith.integrations.livekit",
    "imports langsmith.integrations"),
    "langsmith.traceable by attribute": ("phi_guard/outbound/langsmith.py", "import langsmith as ls\nls.traceable(print)",
    "uses langsmith.traceable"),
    "opentelemetry": ("tracing/livekit_agent.py", "from opentelemetry import trace", "imports opentelemetry.trace"),
}  # fmt: skip


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """A copy of the three packages."""
    copy = tmp_path_factory.mktemp("tree")
    for package in law.PACKAGES:
        shutil.copytree(ROOT / package, copy / package, ignore=shutil.ignore_patterns("__pycache__"))
    return copy


def test_the_law_holds():
    """No module imports, calls or names what it may not."""
    assert law.breaches(ROOT) == []


@pytest.mark.parametrize("breach", PLANTED)
def test_the_law_bites(tree, breach):
    """A planted breach is found in its file at its line, and the untouched copy has none there."""
    path, code, said = PLANTED[breach]
    file = tree / path
    before = file.read_text() if file.exists() else ""
    assert before == "" or law.breaches_in(tree, path) == []
    try:
        file.write_text(f"{before}\n{code}\n")
        found = law.breaches_in(tree, path)
    finally:
        file.write_text(before) if before else file.unlink()
    assert any(said in breach for breach in found), found
    first = 1 if "no row" in said else before.count("\n") + 2
    assert all(int(breach.split(":")[1]) >= first for breach in found)


def test_every_name_in_the_table_exists():
    """A file or folder that the table names is there, or is planned and then not there yet."""
    stale = {path for path in law.named() if not (ROOT / path).exists()} - law.PLANNED
    assert stale == set(), "the law names what no longer exists: take it out of the table"
    arrived = {path for path in law.PLANNED if (ROOT / path).exists()}
    assert arrived == set(), "take it out of PLANNED: it is there now"
    assert law.named() >= law.PLANNED, "PLANNED names what no row names"


def test_every_exception_is_used():
    """A file that may use something uses it; a right nobody needs is taken back."""
    idle = []
    for guard in law.GUARDS:
        for path in guard.only:
            if path.endswith("/") or path in law.PLANNED or not (ROOT / path).exists():
                continue
            text = (ROOT / path).read_text()
            if not any(f"import {name}" in text or f"from {name}" in text for name in guard.names):
                idle.append(f"{path} need not see {guard.names}")
    assert idle == []


def test_every_inner_row_exists():
    """Each module that SEES speaks of is in phi_guard."""
    missing = [
        name
        for row, seen in law.SEES.items()
        for name in (row, *seen)
        if not any((ROOT / "phi_guard" / (name.replace(".", "/") + tail)).exists() for tail in (".py", "/__init__.py"))
    ]
    assert missing == []
