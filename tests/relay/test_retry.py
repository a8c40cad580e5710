"""What an answer means, how long it makes us wait, and what each fault of a real endpoint does to one posting."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shipping import Endpoint, Notebook, cleared_call, open_gate

from phi_guard.errors import DeliveryError, DeliveryHalted, DeliveryRefused
from phi_guard.outbound.answer import read_answer, read_retry_after
from phi_guard.outbound.langsmith import LangSmithSink

NOW = datetime(2027, 3, 15, 14, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def batch():
    return [cleared for *_, cleared in cleared_call(open_gate())]


def send(endpoint, batch, witness=None):
    sink = LangSmithSink(endpoint.url if isinstance(endpoint, Endpoint) else endpoint, "a-key")
    try:
        sink.deliver(batch, witness or Notebook())
    finally:
        sink.close()


# -- what an answer means -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statuses", "kind"),
    [
        ((200, 201, 202, 204, 409), type(None)),
        ((400, 413, 415, 422), DeliveryRefused),
        ((401, 402, 403, 404, 405, 407, 301, 302, 303, 307, 308, 304), DeliveryHalted),
        ((408, 425, 429, 500, 502, 503, 504, 507, 529, 418), DeliveryError),
    ],
)
def test_each_status_has_one_meaning(statuses, kind):
    """Taken, never, not us, or not now; what nobody thought of is not now, so that nothing is lost by it."""
    for status in statuses:
        fault = read_answer(status, "", NOW)
        assert type(fault) is kind, status
        assert fault is None or fault.code == f"http_{status}"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("7", 7.0),
        (" 0 ", 0.0),
        (format_datetime(NOW + timedelta(seconds=90), usegmt=True), 90.0),
        (format_datetime(NOW - timedelta(hours=1), usegmt=True), 0.0),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1e9", None),
        ("\xb2", None),
        ("9" * 400, None),
    ],
)
def test_retry_after_is_seconds_or_a_date(text, seconds):
    """RFC 9110 has both; anything else is as if it were not there."""
    assert read_retry_after(text, NOW) == seconds


@given(st.text(st.characters(max_codepoint=255), max_size=40))
def test_no_retry_after_can_break_us(text):
    """The header is somebody else's text."""
    seconds = read_retry_after(text, NOW)
    assert seconds is None or seconds >= 0


# -- what a fault does ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "kind", "code"),
    [
        ((429, {"Retry-After": "3"}), DeliveryError, "http_429"),
        ((503, {}), DeliveryError, "http_503"),
        ((500, {}), DeliveryError, "http_500"),
        ((408, {}), DeliveryError, "http_408"),
        ("reset", DeliveryError, "connection"),
        ("close", DeliveryError, "connection"),
        ((413, {}), DeliveryRefused, "http_413"),
        ((422, {}), DeliveryRefused, "http_422"),
        ((401, {}), DeliveryHalted, "http_401"),
        ((404, {}), DeliveryHalted, "http_404"),
    ],
)
def test_a_batch_is_one_request_whatever_is_answered(batch, answer, kind, code):
    """The client tries three times by itself, and elsewhere after a 404; through our door it sends once, and the book has one entry."""
    witness = Notebook()
    with Endpoint(answer) as endpoint, pytest.raises(DeliveryError) as told:
        send(endpoint, batch, witness)
    assert (type(told.value), told.value.code) == (kind, code)
    assert told.value.retry_after_s == (3.0 if code == "http_429" else None)
    assert len(endpoint.arrived) == len(witness.postings) == 1
    assert witness.outcomes == [code]


def test_a_conflict_is_a_delivery(batch):
    """409: the ids are ours and random, so what is there already is this very batch, whose answer was lost."""
    witness = Notebook()
    with Endpoint((409, {})) as endpoint:
        send(endpoint, batch, witness)
    assert witness.outcomes == ["http_409"]


def test_nobody_listens(batch):
    """Refused connections wait."""
    with pytest.raises(DeliveryError, match="connection"):
        send("http://127.0.0.1:9", batch)


def test_an_answer_of_any_length_is_not_kept(batch):
    """A body without end is read within bounds, and nothing of it is ever held in an error."""
    with Endpoint((500, {"X": "y" * 1000})) as endpoint, pytest.raises(DeliveryError) as told:
        send(endpoint, batch)
    assert str(told.value) == "http_500"
    assert told.value.__cause__ is None


# -- where it may go --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_sends_nothing_anywhere(batch, status):
    """Whoever answers for the endpoint cannot have our bytes sent to another host."""
    with Endpoint() as other, Endpoint((status, {"Location": f"{other.url}/runs/multipart"})) as endpoint:
        with pytest.raises(DeliveryHalted, match=f"http_{status}"):
            send(endpoint, batch)
        assert len(endpoint.arrived) == 1
        assert other.arrived == []


def test_a_netrc_adds_no_credentials(batch, tmp_path, monkeypatch):
    """A password that lies in ~/.netrc for that host stays there."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login ada password zqxjk-secret\n")
    netrc.chmod(stat.S_IRUSR)
    monkeypatch.setenv("NETRC", str(netrc))
    with Endpoint() as endpoint:
        send(endpoint, batch)
    assert b"authorization" not in endpoint.raw.lower()


def test_no_proxy_sees_what_is_not_encrypted(batch, monkeypatch):
    """Plain http goes straight to the endpoint, whatever the environment says."""
    with Endpoint() as proxy, Endpoint() as endpoint:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        send(endpoint, batch)
    assert proxy.arrived == []
    assert len(endpoint.arrived) == 1


def test_a_proxy_gets_the_address_of_an_encrypted_endpoint_and_no_more(batch, monkeypatch):
    """Through a proxy goes a tunnel: the proxy learns the host, and not one byte of a span or of the key."""
    with Endpoint((502, {})) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        with pytest.raises(DeliveryError):
            send("https://langsmith.example", batch)
    assert proxy.raw.startswith(b"CONNECT langsmith.example:443 ")
    assert b"voice_session" not in proxy.raw
    assert b"a-key" not in proxy.raw


@pytest.mark.parametrize(
    "form",
    [
        "http://127.0.0.1:{}",
        "http://127.0.0.1:{}/",
        "HTTP://LOCALHOST:{}/api/v1",
        "http://ada:zqxjk@127.0.0.1:{}",
        "http://127.0.0.1:{}/api/v1/",
    ],
)
def test_an_endpoint_may_be_written_as_people_do(batch, form):
    """With a slash, a path, capitals, or a password, which is not sent: the door knows its own address."""
    with Endpoint() as endpoint:
        send(form.format(endpoint.port), batch)
    assert len(endpoint.arrived) == 1
    assert endpoint.raw.split(b" ")[1].endswith(b"/runs/multipart")
    assert b"zqxjk" not in endpoint.raw


@pytest.mark.parametrize("endpoint", ["ftp://127.0.0.1/", "http://[::1", "http://", "smith.example", "http://127.0.0.1:99999"])
def test_an_endpoint_that_is_none_drops_nothing(batch, endpoint):
    """A typing error in a setting is told at once, or holds everything back; it is never taken for a fault of the bytes."""
    with pytest.raises((DeliveryError, ValueError)) as told:
        send(endpoint, batch)
    assert not isinstance(told.value, DeliveryRefused)


def test_cookies_are_not_sent_back(batch):
    """An endpoint cannot mark us."""
    with Endpoint((202, {"Set-Cookie": "who=zqxjk; Path=/"})) as endpoint:
        sink = LangSmithSink(endpoint.url, "a-key")
        for _ in range(2):
            sink.deliver(batch, Notebook())
        sink.close()
    assert len(endpoint.arrived) == 2
    assert b"zqxjk" not in endpoint.raw


def test_no_setting_of_the_client_opens_a_second_door(batch, tmp_path, monkeypatch):
    """Further endpoints, a profile and a folder for failed traces, all named by the environment, are not used."""
    with Endpoint() as other, Endpoint((500, {})) as endpoint:
        monkeypatch.setenv("LANGSMITH_RUNS_ENDPOINTS", f'{{"{other.url}": "another-key"}}')
        monkeypatch.setenv("LANGSMITH_FAILED_TRACES_DIR", str(tmp_path / "failed"))
        from langsmith import utils

        utils.get_env_var.cache_clear()
        try:
            with pytest.raises(DeliveryError, match="http_500"):
                send(endpoint, batch)
        finally:
            utils.get_env_var.cache_clear()
        assert other.arrived == []
        assert not (tmp_path / "failed").exists()


def test_a_child_of_a_fork_does_not_send(batch):
    """Two processes on one connection would mix their bytes."""
    with Endpoint() as endpoint:
        sink = LangSmithSink(endpoint.url, "a-key")
        child = os.fork()
        if child == 0:
            try:
                sink.deliver(batch, Notebook())
            except DeliveryHalted as fault:
                os._exit(7 if fault.code == "forked" else 1)
            os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        assert endpoint.arrived == []


HANGING = """
import sys, time
sys.path.insert(0, {tests!r})
from pathlib import Path
from shipping import Endpoint, cleared_call, fill, open_gate, wait_until
from phi_guard.outbound.langsmith import LangSmithSink
from phi_guard.switch import FileSwitch
from tracing.relay.shipper import Shipper

at = Path(sys.argv[1])
gate = open_gate()
fill(at / "outbox.sqlite3", cleared_call(gate))
switch = FileSwitch(at / "switch.json")
switch.turn_on("a test")
endpoint = Endpoint("hang")
shipper = Shipper(at / "outbox.sqlite3", gate, LangSmithSink(endpoint.url, "k"), switch)
shipper.start()
wait_until(lambda: endpoint.arrived)
print(time.time(), flush=True)
shipper.stop(1.0)
"""


def test_a_process_ends_while_the_endpoint_hangs(tmp_path):
    """The drain is waited for, the answer is not: what was on its way stays pending, and is sent again by the next relay."""
    from shipping import states

    code = HANGING.format(tests=str(Path(__file__).parents[1]))
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, timeout=60, check=True)
    assert time.time() - float(done.stdout) < 8.0  # far below the 10 s for which the answer is waited
    assert set(states(tmp_path / "outbox.sqlite3")) == {("pending", "")}
