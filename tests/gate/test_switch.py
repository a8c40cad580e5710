"""The switch file: every fault made for real, and each of them means off."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from phi_guard import runtime
from phi_guard.runtime import RuntimeDirectoryError, runtime_dir
from phi_guard.switch import KEPT, SCHEMA, SCHEMA_BEFORE, FileSwitch, SwitchError, default_path

GOOD = {"schema": SCHEMA, "on": True, "reason": "verdict GO", "at": "2026-05-04T10:00:00.000000Z", "hold": "", "release": ""}
BEFORE = {"schema": SCHEMA_BEFORE, "on": True, "reason": "verdict GO", "at": "2026-05-04T10:00:00.000000Z"}
DIGEST = "0f" * 32


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
        json.dumps(GOOD | {"schema": "phi-guard.switch/3"}).encode(),
        json.dumps(GOOD | {"schema": SCHEMA_BEFORE}).encode(),
        json.dumps(BEFORE | {"schema": SCHEMA}).encode(),
        json.dumps(GOOD | {"hold": "leak"}).encode(),
        json.dumps(GOOD | {"release": "yes"}).encode(),
        json.dumps(GOOD, indent=1).encode(),
        json.dumps(GOOD).encode().replace(b"{", b'{"on": false, ', 1),
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
    switch.path.write_text(json.dumps(BEFORE) + "\n")
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


def test_a_held_switch_needs_a_release(switch):
    """Off for a leak stays off until a report's digest is given, which the file then names."""
    switch.turn_off("a leak was found", "leak")
    assert (switch.state().on, switch.state().hold) == (False, "leak")
    with pytest.raises(SwitchError, match=r"held since 20.*\(leak\): a leak was found"):
        switch.turn_on("it was nothing")
    for release in ("yes", "0f", DIGEST.upper(), DIGEST + "\n"):
        with pytest.raises(SwitchError, match="64 hexadecimal"):
            switch.turn_on("it was nothing", release=release)
    assert not switch.state().on
    switch.turn_on("audit said GO", release=DIGEST)
    state = FileSwitch(switch.path).state()
    assert (state.on, state.hold, state.release) == (True, "", DIGEST)
    switch.turn_off("by hand")
    switch.turn_on("by hand")  # that hold is over
    assert switch.state().on


def test_turning_off_again_does_not_lose_the_hold(switch):
    """Somebody who turns off what is held does not make it free; a leak outranks the rest."""
    switch.turn_off("too slow", "overhead")
    switch.turn_off("by hand")
    assert (switch.state().hold, switch.state().reason) == ("overhead", "by hand")
    switch.turn_off("a leak was found", "leak")
    switch.turn_off("too slow", "overhead")
    assert switch.state().hold == "leak"
    with pytest.raises(SwitchError, match="lower-case"):
        switch.turn_off("x", "No Hold")


def test_a_hold_outlives_a_full_disk(switch, monkeypatch):
    """Where no file can be written the old one is moved aside: off, still held, and a release clears it away."""
    with monkeypatch.context() as full:
        full.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        switch.turn_off("a leak was found", "leak")
        assert (switch.state().on, switch.state().hold) == (False, KEPT)
    with pytest.raises(SwitchError, match="held"):
        switch.turn_on("it was nothing")
    switch.turn_off("a leak was found", "leak")
    assert switch.state().hold == "leak"
    switch.turn_on("audit said GO", release=DIGEST)
    assert [path.name for path in switch.path.parent.glob("*switch.json*")] == ["switch.json"]


def test_a_file_of_the_version_before_can_be_turned_off_and_on(switch):
    """What an older version wrote is read, and written anew as ours."""
    switch.path.write_text(json.dumps(BEFORE) + "\n")
    switch.turn_off("by hand", "leak")
    assert (switch.state().on, switch.state().hold) == (False, "leak")


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_edit_of_a_held_file_turns_it_on(switch, data):
    """A byte changed, put in or taken out, anywhere in a file that is off: it never comes to be on."""
    switch.turn_off("a leak was found", "leak")
    content = bytearray(switch.path.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    content[place : place + data.draw(st.integers(0, 9))] = data.draw(st.binary(max_size=6) | st.sampled_from([b"true", b"true,", b'""']))
    switch.path.write_bytes(content)
    assert not FileSwitch(switch.path).state().on


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_file_that_is_on_and_was_cut_is_off(switch, data):
    """Cut at any byte but its last line's end, it is off."""
    switch.path.write_text(json.dumps(GOOD) + "\n")
    content = switch.path.read_bytes()
    switch.path.write_bytes(content[: data.draw(st.integers(0, len(content) - 2))])
    assert not FileSwitch(switch.path).state().on


def test_no_turning_on_undoes_a_hold_that_comes_meanwhile(switch):
    """While many turn it on without a release, one hold comes: from then on it is off, whoever was half way."""
    stop = threading.Event()

    def keep_on():
        mine = FileSwitch(switch.path)
        while not stop.is_set():
            with suppress(SwitchError):
                mine.turn_on("by hand")
            time.sleep(0.001)  # the lock is not fair: nobody may starve

    threads = [threading.Thread(target=keep_on) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(20):
            FileSwitch(switch.path).turn_off("a leak was found", "leak")
            for _ in range(20):
                assert not FileSwitch(switch.path).state().on
            switch.turn_on("audit said GO", release=DIGEST)
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def test_a_writer_that_holds_the_lock_for_ever_does_not_keep_us_from_turning_off(switch):
    """Off goes through without the lock; on does not."""
    handle = os.open(switch.path.parent, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        with pytest.raises(SwitchError, match="another is writing it"):
            switch.turn_on("by hand")
        switch.turn_off("a leak was found", "leak")
        assert not switch.state().on
    finally:
        os.close(handle)


def test_killed_between_write_and_rename_the_switch_is_as_it_was(switch):
    """A process that dies with its draft written leaves the state before, never half of one."""
    program = (
        "import os, sys, signal, pathlib; from phi_guard.switch import FileSwitch\n"
        "pathlib.Path.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "FileSwitch(pathlib.Path(sys.argv[1])).turn_on('half way')"
    )
    switch.turn_off("by hand")
    done = subprocess.run([sys.executable, "-c", program, str(switch.path)], check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL
    assert (switch.state().on, switch.state().reason) == (False, "by hand")
    began = time.monotonic()
    switch.turn_on("its lock died with it")
    assert switch.state().on
    assert time.monotonic() - began < 30
