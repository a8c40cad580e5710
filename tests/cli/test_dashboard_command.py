"""The dashboard as a process: what it refuses to serve, who is let in, and how it ends."""

from __future__ import annotations

import http.cookiejar
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from contextlib import contextmanager

import pytest

from audit import exits

ADDRESS = re.compile(r"http://\S+")
TOKEN = "correct-horse-battery-staple"


def token_file(tmp_path, text=TOKEN, mode=0o600):
    path = tmp_path / "token"
    path.write_text(text + "\n")
    path.chmod(mode)
    return path


@contextmanager
def dashboard(tmp_path, *args, **environment):
    """The command, and the address that it printed; killed if the test leaves it running."""
    command = [sys.executable, "-m", "audit", "dashboard", *map(str, args)]
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=tmp_path, env={**os.environ, **environment}
    )
    try:
        line = process.stderr.readline()
        found = ADDRESS.search(line)
        assert found, line + process.stderr.read()
        yield process, found[0]
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def browser():
    """A browser that keeps its cookies and follows no page of its own will."""
    return urllib.request.build_opener(urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))


def ask(opener, address, data=None, **headers):
    """Status and text of an answer."""
    request = urllib.request.Request(address, data=data, headers=headers)
    try:
        with opener.open(request, timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.read().decode()


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ((), "name what to show"),
        (("--project", "P", "--host", "192.0.2.7"), "--token-file"),
        (("--project", "P", "--host", "0.0.0.0", "--token-file", "token"), "--name HOST"),
        (("--project", "P", "--refresh", "soon"), "such as 30s"),
    ],
)
def test_what_cannot_be_served_is_refused(phi_audit, tmp_path, args, said):
    """Nobody else reaches the pages without a token, and the words say what to give."""
    token_file(tmp_path)
    done = phi_audit("dashboard", *args)
    assert (done.returncode, done.stdout) == (exits.USAGE, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("text", "mode", "said"), [(TOKEN, 0o644, "chmod 600"), ("short", 0o600, "fewer than 16"), (None, 0o600, "cannot be read")],
    ids=["others-read-it", "short", "missing"],
)  # fmt: skip
def test_a_token_that_is_none_is_refused(phi_audit, tmp_path, text, mode, said):
    """A token that others know, or could guess, lets nobody in: nothing is served, and the token is not repeated."""
    path = tmp_path / "token" if text is None else token_file(tmp_path, text, mode)
    done = phi_audit("dashboard", "--project", "P", "--token-file", path)
    assert done.returncode == exits.USAGE
    assert said in done.stderr
    assert TOKEN not in done.stderr


def test_a_port_in_use_is_said(phi_audit, exported):
    """Another server's port is a usage fault that names the options to change."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = phi_audit("dashboard", "--from", exported(), "--port", taken.getsockname()[1])
    assert done.returncode == exits.USAGE
    assert "--port" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_address_opens_once_and_a_switch_that_cannot_be_asked_counts_as_off(tmp_path, exported):
    """The first browser is let in and the second is not; each page is there; the switch's server is gone, and the pages say off."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        gone = f"redis://127.0.0.1:{nobody.getsockname()[1]}/0"
        with dashboard(tmp_path, "--from", exported(), PHI_GUARD_SWITCH=gone) as (process, address):
            root = address.partition("/open")[0]
            first, second = browser(), browser()
            assert ask(second, root + "/")[0] == 403
            assert ask(first, address)[0] == 200
            assert ask(second, address)[0] == 403
            end = time.monotonic() + 60
            while "/sessions/" not in ask(first, root + "/sessions")[1]:
                assert time.monotonic() < end
                time.sleep(0.2)
            for path in ("/", "/sessions", "/latency", "/errors", "/cost", "/compliance"):
                status, text = ask(first, root + path)
                assert status == 200, path
                assert "cannot be made" not in text
            assert re.search(r"Off since [^<]*: nothing is sent", ask(first, root + "/compliance")[1])
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=30)
            assert process.returncode == exits.INTERRUPTED
            assert "Traceback" not in out + err


def test_a_token_lets_in_and_sigterm_ends_it_cleanly(tmp_path, exported):
    """The login form takes the token of the file and no other; SIGTERM ends with 0."""
    with dashboard(tmp_path, "--from", exported(), "--host", "127.0.0.1", "--token-file", token_file(tmp_path)) as (process, address):
        root = address.partition("/open")[0].rstrip("/")
        guest = browser()
        assert ask(guest, root + "/")[0] == 401
        assert ask(guest, root + "/login", urllib.parse.urlencode({"token": TOKEN + "x"}).encode())[0] == 401
        assert ask(guest, root + "/login", urllib.parse.urlencode({"token": TOKEN}).encode())[0] == 200
        assert ask(guest, root + "/compliance")[0] == 200
        assert ask(guest, root + "/", Host="evil.example")[0] == 403
        process.terminate()
        process.communicate(timeout=30)
        assert process.returncode == exits.GO


def test_accepted_findings_are_read_from_the_file_that_was_named(tmp_path, exported):
    """The compliance page reads the baseline, and says that it cannot without repeating it."""
    baseline = tmp_path / "baseline.json"
    baseline.write_text("{ not a baseline")
    with dashboard(tmp_path, "--from", exported(), "--baseline", baseline) as (_, address):
        guest, root = browser(), address.partition("/open")[0]
        ask(guest, address)
        text = ask(guest, root + "/compliance")[1]
    assert "The baseline cannot be read" in text
    assert "{ not a baseline" not in text
