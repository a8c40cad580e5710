"""The switch file: every fault made for real, and each of them means off."""

from __future__ import annotations

import json
import os
import socket
import stat
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from phi_guard import runtime
from phi_guard.runtime import RuntimeDirectoryError, runtime_dir
from phi_guard.switch import SCHEMA, FileSwitch, SwitchError, default_path

GOOD = {"schema": SCHEMA, "on": True, "reason": "verdict GO", "at": "2026-05-04T10:00:00.000000Z"}


@pytest.fixture
def switch(tmp_path):
    """A switch that is on."""
    switch = FileSwitch(tmp_path / "switch.json")
    switch.turn_on("verdict GO")
    return switch


def test_on_and_off_are_read_back(switch):
    """What was set is what is read, by this process and by another reader."""
    assert switch.state().on
    assert FileSwitch(switch.path).state() == switch.state()
    switch.turn_off("a leak was found")
    state = switch.state()
    assert (state.on, state.reason) == (False, "a leak was found")
    assert state.at.endswith("Z")
    switch.turn_on("verified again")
    assert switch.state().on


def test_the_file_is_ours_alone_and_nothing_is_left_beside_it(switch):
    """Mode 0600 whatever the umask, and no draft stays."""
    before = os.umask(0)
    try:
        switch.turn_on("once more")
    finally:
        os.umask(before)
    assert stat.S_IMODE(switch.path.stat().st_mode) == 0o600
    assert list(switch.path.parent.glob(".*")) == []


def test_absent_is_off(tmp_path):
    """No file, no sending; the reason says how to turn it on."""
    state = FileSwitch(tmp_path / "switch.json").state()
    assert not state.on
    assert "phi-audit switch on" in state.reason


def test_removed_while_we_look_is_off(switch):
    """A switch read as on is off as soon as its file is gone."""
    assert switch.state().on
    switch.path.unlink()
    assert not switch.state().on


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"on",
        b"\xff\xfe\x00",
        b"[" * 3000,
        b"null",
        b"true",
        json.dumps(GOOD).encode()[:-1],
        json.dumps(GOOD | {"schema": "phi-guard.switch/2"}).encode(),
        json.dumps(GOOD | {"on": 1}).encode(),
        json.dumps(GOOD | {"on": "true"}).encode(),
        json.dumps(GOOD | {"more": 1}).encode(),
        json.dumps({k: v for k, v in GOOD.items() if k != "at"}).encode(),
        json.dumps(GOOD | {"at": "yesterday"}).encode(),
        json.dumps(GOOD | {"reason": "two\nlines"}).encode(),
        json.dumps(GOOD | {"reason": "x" * 201}).encode(),
        json.dumps(GOOD).encode() + b" " * 5000,
    ],
)
def test_malformed_is_off(switch, content):
    """Content that we would not have written is not believed, with a reason that quotes none of it."""
    assert switch.state().on
    switch.path.write_bytes(content)
    state = switch.state()
    assert not state.on
    assert state.reason.startswith("the switch file")


def test_the_good_content_is_what_those_are_broken_from(switch):
    """The file the faults above start from is believed: without this they would prove nothing."""
    switch.path.write_text(json.dumps(GOOD))
    assert switch.state().on


def test_not_a_regular_file_is_off(tmp_path):
    """A directory, a link to a good file, a pipe and a socket are each off, and the pipe does not hang us."""
    good = tmp_path / "good.json"
    FileSwitch(good).turn_on("fine")
    (tmp_path / "directory").mkdir()
    (tmp_path / "link").symlink_to(good)
    os.mkfifo(tmp_path / "pipe")
    here = Path.cwd()
    os.chdir(tmp_path)  # a socket's path may not be long
    try:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind("socket")
            for name in ("directory", "link", "pipe", "socket"):
                assert not FileSwitch(tmp_path / name).state().on, name
    finally:
        os.chdir(here)


def test_a_file_that_others_may_write_is_off(switch):
    """Group or world may not turn us on."""
    switch.path.chmod(0o620)
    assert not switch.state().on
    switch.path.chmod(0o602)
    assert not switch.state().on
    switch.path.chmod(0o600)
    assert switch.state().on


def test_a_file_of_another_user_is_off(switch, monkeypatch):
    """A switch that another user owns is not ours to believe."""
    if os.geteuid() == 0:
        os.chown(switch.path, 65534, -1)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    state = FileSwitch(switch.path).state()
    assert not state.on
    assert "another user" in state.reason


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_an_unreadable_file_is_off(switch):
    """Without the right to read there is no on."""
    switch.path.chmod(0)
    assert not switch.state().on


def test_a_path_no_file_can_have_is_off():
    """Asking never raises, whatever the path."""
    assert not FileSwitch(Path("a\0b")).state().on
    assert not FileSwitch(Path("/" + "x" * 5000)).state().on


def test_reading_again_is_one_stat(switch, monkeypatch):
    """An unchanged file is not opened a second time."""
    assert switch.state().on
    monkeypatch.setattr(os, "open", lambda *args, **kwargs: pytest.fail("opened again"))
    assert switch.state().on


@pytest.mark.parametrize("reason", ["", "two\nlines", "x" * 201, "tab\there", "bell\x07"])
def test_a_reason_is_one_short_line(switch, reason):
    """Anything else is refused and the switch stays as it was."""
    with pytest.raises(SwitchError, match="one line"):
        switch.turn_off(reason)
    with pytest.raises(SwitchError, match="one line"):
        switch.turn_on(reason)
    assert switch.state().on


def test_off_works_where_nothing_can_be_written(switch, monkeypatch):
    """With no room for a new file the old one is removed, which is off."""

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(SwitchError, match="No space left"):
        switch.turn_on("again")
    assert switch.state().reason == "verdict GO"
    assert list(switch.path.parent.glob(".*")) == []
    switch.turn_off("a leak was found")
    assert not switch.state().on


def test_a_missing_directory_is_an_error_that_names_the_file(tmp_path):
    """Turning it on where it cannot be kept says so."""
    with pytest.raises(SwitchError, match=r"nowhere/switch\.json"):
        FileSwitch(tmp_path / "nowhere" / "switch.json").turn_on("go")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=200))
def test_no_bytes_make_it_raise_or_turn_it_on(switch, content):
    """Any bytes at all in the file's place: an answer, and it is off."""
    switch.path.write_bytes(content)
    assert not FileSwitch(switch.path).state().on


def test_the_default_path_follows_the_environment(monkeypatch, tmp_path):
    """PHI_GUARD_SWITCH first, else the runtime directory."""
    assert default_path() == runtime_dir() / "switch.json"
    monkeypatch.setenv("PHI_GUARD_SWITCH", str(tmp_path / "mine.json"))
    assert default_path() == tmp_path / "mine.json"


def test_the_runtime_directory_is_made_for_us_alone(monkeypatch, tmp_path):
    """It comes with mode 0700, out of the session's directory when none is named."""
    monkeypatch.delenv("PHI_GUARD_RUNTIME_DIR")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    path = runtime_dir()
    assert path == tmp_path / "phi-guard"
    assert stat.S_IMODE(path.stat().st_mode) == 0o700
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "gone"))
    assert runtime._chosen() == Path(f"/tmp/phi-guard-{os.geteuid()}")  # not made here: the machine's own may be in use


def test_a_runtime_directory_that_is_not_ours_alone_is_refused(monkeypatch, tmp_path):
    """Open to others, a link, a file, or another user's: each refused with what to do."""
    open_to_all, link, plain = tmp_path / "open", tmp_path / "link", tmp_path / "plain"
    open_to_all.mkdir()
    open_to_all.chmod(0o750)
    own = tmp_path / "own"
    own.mkdir(mode=0o700)
    link.symlink_to(own)
    plain.write_text("")
    for path in (open_to_all, link, plain):
        monkeypatch.setenv("PHI_GUARD_RUNTIME_DIR", str(path))
        with pytest.raises(RuntimeDirectoryError, match="PHI_GUARD_RUNTIME_DIR"):
            runtime_dir()
    monkeypatch.setenv("PHI_GUARD_RUNTIME_DIR", str(own))
    assert runtime_dir() == own
    mine = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: mine + 1)
    with pytest.raises(RuntimeDirectoryError, match="belongs to user"):
        runtime_dir()
