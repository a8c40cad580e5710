"""``phi-audit doctor --live``: each answer a service may give, in words, and no key anywhere but where it belongs."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import hmac
import ipaddress
import json
import shutil
import socket
import ssl
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from click.testing import CliRunner

from audit.cli.doctor import doctor
from audit.source.live import Finding, examine_services, verdict
from audit.source.live.alerting import examine_pagerduty, examine_slack, examine_webhook
from audit.source.live.azure import examine_azure
from audit.source.live.langsmith import examine_langsmith
from audit.source.live.livekit import examine_livekit
from audit.source.live.switching import examine_switch

KEY = "lsv2_pt_0123456789abcdef0123456789abcdef_0123456789"
SECRET = "livekit-secret-that-nobody-may-see-1234567"
AZURE = "0f1e2d3c4b5a69788796a5b4c3d2e1f0"
PROJECT = "medical-voice-agent-dev"
QUICK = 0.3


class Service:
    """A server on loopback that answers as it is told, and keeps what it was asked."""

    def __init__(self):
        self.asked = []
        self.answers = {}
        service = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self):
                length = int(self.headers.get("content-length", 0))
                service.asked.append((self.command, self.path, dict(self.headers), self.rfile.read(length)))
                told = service.answers.get(self.path.partition("?")[0], service.answers.get("*", (404, b"{}")))
                if told == "silent":
                    service.released.wait(10)
                    return
                if told == "broken":
                    self.connection.shutdown(socket.SHUT_RDWR)
                    return
                status, body, *headers = told
                content = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response_only(status)
                for name, value in headers:
                    self.send_header(name, value)
                if status != 101:
                    self.send_header("content-length", str(len(content)))
                self.end_headers()
                if status != 101:
                    self.wfile.write(content)
                self.close_connection = True

            do_GET = do_POST = answer  # noqa: N815  # the library's names

            def log_message(self, *args):
                pass

        self.released = threading.Event()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self.thread.start()

    def close(self):
        self.released.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def saw(self, value):
        return any(value in f"{path}{headers}{body!r}" for _, path, headers, body in self.asked)


@pytest.fixture
def service():
    made = Service()
    yield made
    made.close()


@pytest.fixture
def other():
    made = Service()
    yield made
    made.close()


def langsmith(service, *, key=KEY, **more):
    return list(
        examine_langsmith({"LANGSMITH_ENDPOINT": service.url, "LANGSMITH_API_KEY": key, "LANGSMITH_PROJECT": PROJECT, **more}, QUICK)
    )


def told(findings):
    return [(one.state, one.what) for one in findings]


def good_langsmith(service, **answers):
    service.answers = {
        "/api/v1/info": (200, {"version": "0.12.1", "instance_flags": {}}),
        "/api/v1/sessions": (200, [{"name": PROJECT, "trace_tier": "shortlived"}]),
        "/api/v1/orgs/current": (200, {"config": {"plan_tier": "developer"}}),
    } | answers


def test_langsmith_in_order(service):
    """The server's facts without the key, the project and the plan with it; what must be known of the free plan is said."""
    good_langsmith(service)
    found = langsmith(service, LANGSMITH_WORKSPACE_ID="w")
    assert [one.state for one in found] == ["PASS", "PASS", "PASS", "NOTE"]
    assert "5,000 base traces a month" in found[3].what
    assert "base, 14 days" in found[2].what
    (info, sessions, plan) = service.asked
    assert info[1] == "/api/v1/info"
    assert not any(name.lower() == "x-api-key" for name in info[2])
    assert sessions[1].startswith(f"/api/v1/sessions?limit=1&include_stats=false&name={PROJECT}")
    assert {name.lower(): value for name, value in sessions[2].items()}.items() >= {"x-api-key": KEY, "x-tenant-id": "w"}.items()
    assert {method for method, *_ in service.asked} == {"GET"}
    assert plan[1] == "/api/v1/orgs/current"


@pytest.mark.parametrize(
    ("answers", "state", "words"),
    [
        ({"/api/v1/sessions": (401, {"detail": KEY})}, "FAIL", "wrong or withdrawn, or of another region or workspace"),
        ({"/api/v1/sessions": (403, b"no")}, "FAIL", "HTTP 403"),
        ({"/api/v1/sessions": (404, b"")}, "FAIL", "HTTP 404 to a question for projects"),
        ({"/api/v1/sessions": (200, b"<html>")}, "FAIL", "HTTP 200 to a question for projects"),
        ({"/api/v1/sessions": (200, {"detail": "x"})}, "FAIL", "HTTP 200 to a question for projects"),
        ({"/api/v1/sessions": (429, b"")}, "NOTE", "too many requests"),
        ({"/api/v1/sessions": (503, b"")}, "NOTE", "a fault of its own"),
        ({"/api/v1/sessions": "silent"}, "NOTE", "did not answer within"),
        ({"/api/v1/sessions": "broken"}, "FAIL", "is no HTTP"),
        ({"/api/v1/info": (200, b"<html>")}, "FAIL", "not as a LangSmith API"),
        ({"/api/v1/info": (200, {"other": 1})}, "FAIL", "not as a LangSmith API"),
        ({"/api/v1/info": (200, b"[" * 100_000)}, "FAIL", "not as a LangSmith API"),
        ({"/api/v1/info": (404, b"")}, "FAIL", "not as a LangSmith API"),
        ({"/api/v1/info": (500, b"")}, "NOTE", "a fault of its own"),
    ],
    ids=[
        "401", "403", "404", "html", "object", "429", "503", "silent", "broken", "info-html", "info-other", "info-deep", "info-404",
        "info-500",
    ],
)  # fmt: skip
def test_what_langsmith_may_answer(service, answers, state, words):
    """Each answer in words, with what to do, and nothing of what the server wrote."""
    good_langsmith(service, **answers)
    last = langsmith(service)[-1]
    assert (last.state, words in last.what, bool(last.fix)) == (state, True, True), last
    assert last.tried == (state == "FAIL")
    assert KEY not in repr(last)


def test_a_key_of_another_region(service, other):
    """The other regions are named; nothing is asked of them, and a redirect there is not followed."""
    good_langsmith(service, **{"/api/v1/sessions": (401, b"")})
    last = langsmith(service)[-1]
    assert "eu.api.smith.langchain.com" in last.fix
    assert "sent to no other host" in last.fix
    service.answers["/api/v1/sessions"] = (302, b"", ("location", f"{other.url}/api/v1/sessions"))
    assert langsmith(service)[-1].state == "FAIL"
    assert other.asked == []


@pytest.mark.parametrize(
    ("row", "state", "words"),
    [
        ([], "NOTE", "not there yet"),
        ([{"name": "another"}], "NOTE", "not there yet"),
        ([{"name": PROJECT, "trace_tier": "longlived"}], "NOTE", "extended, 400 days"),
        ([{"name": PROJECT, "trace_tier": None}], "PASS", "not told"),
    ],
    ids=["none", "another", "extended", "untold"],
)
def test_the_project_and_its_retention(service, row, state, words):
    """A project that is not there is no fault before the first call; a retention longer than it needs to be is said."""
    good_langsmith(service, **{"/api/v1/sessions": (200, row)})
    found = langsmith(service)[2]
    assert (found.state, words in found.what) == (state, True)


@pytest.mark.parametrize(
    ("answer", "state", "words"),
    [
        ((200, {"config": {"plan_tier": "enterprise"}}), "PASS", "Enterprise"),
        ((200, {"config": {"plan_tier": "plus"}}), "NOTE", "Plus"),
        ((200, {"config": {"plan_tier": "zzz"}}), "NOTE", "none that this version knows"),
        ((200, {"config": []}), "NOTE", "cannot be told"),
        ((403, b""), "NOTE", "cannot be told"),
    ],
    ids=["enterprise", "plus", "unknown", "garbage", "forbidden"],
)
def test_the_plan(service, answer, state, words):
    """What can be known of it; where the key may not ask, that is said and is no fault."""
    good_langsmith(service, **{"/api/v1/orgs/current": answer})
    found = langsmith(service)[-1]
    assert (found.state, words in found.what, "zzz" in repr(found)) == (state, True, False)


@pytest.mark.parametrize(
    "key", ["short", f"{KEY}\n", f"{KEY} ", "", "schlüssel-von-jemand"], ids=["short", "newline", "blank", "none", "umlaut"]
)
def test_a_key_that_cannot_be_one_is_not_sent(service, key):
    """A line break in a key would be a header of its own."""
    good_langsmith(service)
    last = langsmith(service, key=key)[-1]
    assert last.state == ("FAIL" if key else "NOTE")
    assert [path for _, path, *_ in service.asked] == ["/api/v1/info"]


@pytest.mark.parametrize("url", ["http://192.0.2.1", "ftp://127.0.0.1", "127.0.0.1", "https://u:p@127.0.0.1", "https://[", "https://h:x"])
def test_an_address_that_a_key_must_not_go_to(url):
    """Plain HTTP to another machine, an address that holds a user, and what is none: said, and nothing is asked."""
    (found,) = examine_langsmith({"LANGSMITH_ENDPOINT": url, "LANGSMITH_API_KEY": KEY}, QUICK)
    assert found.state == "FAIL"
    assert "LANGSMITH_ENDPOINT" in found.what


def test_no_such_host_and_no_server(monkeypatch):
    """Said apart: a name that nobody knows, and a host that takes no connection."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
    (refused,) = examine_langsmith({"LANGSMITH_ENDPOINT": f"http://127.0.0.1:{port}"}, QUICK)
    assert "takes no connection" in refused.what

    def unknown(*args, **more):
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    (unknown_host,) = examine_langsmith({"LANGSMITH_ENDPOINT": "https://nobody.invalid"}, QUICK)
    assert unknown_host.what.startswith("there is no host nobody.invalid")


def test_a_certificate_that_is_not_to_be_trusted(service, tmp_path):
    """The key is not sent to a server whose certificate nobody vouches for."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key, name, now = ec.generate_private_key(ec.SECP256R1()), x509.Name([]), dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1)).not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    pem = tmp_path / "both.pem"
    pem.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + made.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    service.server.socket = context.wrap_socket(service.server.socket, server_side=True)
    url = service.url.replace("http://", "https://")
    for found in (
        next(examine_langsmith({"LANGSMITH_ENDPOINT": url, "LANGSMITH_API_KEY": KEY}, 2.0)),
        next(examine_livekit({"LIVEKIT_URL": url, "LIVEKIT_API_KEY": "APIabcdefgh12", "LIVEKIT_API_SECRET": SECRET}, 2.0)),
        next(examine_azure({"AZURE_OPENAI_ENDPOINT": url, "AZURE_OPENAI_API_KEY": AZURE}, 2.0)),
    ):
        assert (found.state, "certificate" in found.what) == ("FAIL", True)
    assert service.asked == []


def livekit(service, **more):
    environ = {"LIVEKIT_URL": service.url.replace("http://", "ws://"), "LIVEKIT_API_KEY": "APIabcdefgh12", "LIVEKIT_API_SECRET": SECRET}
    (found,) = examine_livekit(environ | more, QUICK)
    return found


def test_livekit_is_asked_with_a_token_of_a_minute(service):
    """Signed by the secret, good for a minute, for the list of rooms and nothing else; the secret stays here."""
    service.answers["/twirp/livekit.RoomService/ListRooms"] = (200, {"rooms": [{"name": "a patient's name"}]})
    found = livekit(service)
    assert (found.state, "rooms open now: 1" in found.what, "patient" in repr(found)) == ("PASS", True, False)
    ((method, _, headers, body),) = service.asked
    assert (method, body) == ("POST", b"{}")
    token = next(value for name, value in headers.items() if name.lower() == "authorization").removeprefix("Bearer ")
    head, claims, signature = token.split(".")
    made = hmac.new(SECRET.encode(), f"{head}.{claims}".encode(), hashlib.sha256).digest()
    assert base64.urlsafe_b64decode(f"{signature}==") == made
    held = json.loads(base64.urlsafe_b64decode(f"{claims}=="))
    assert held["iss"] == "APIabcdefgh12"
    assert held["video"] == {"roomList": True}
    assert 0 < held["exp"] - time.time() <= 60
    assert not service.saw(SECRET)


def test_livekits_own_library_takes_the_token(service):
    """The token is one by LiveKit's own reading."""
    api = pytest.importorskip("livekit.api")
    service.answers["*"] = (200, {})
    livekit(service)
    token = next(value for name, value in service.asked[0][2].items() if name.lower() == "authorization").removeprefix("Bearer ")
    claims = api.TokenVerifier("APIabcdefgh12", SECRET).verify(token)
    assert claims.video.room_list
    assert not claims.video.room_join


@pytest.mark.parametrize(
    ("answer", "state", "words"),
    [
        ((401, b"invalid token"), "FAIL", "does not take the key pair"),
        ((401, b"", ("date", "Mon, 01 Jan 2024 00:00:00 GMT")), "FAIL", "clock is off by"),
        ((403, b""), "FAIL", "does not take the key pair"),
        ((404, b"<html>"), "FAIL", "not as a LiveKit server"),
        ((200, b"OK"), "FAIL", "not as a LiveKit server"),
        ((429, b""), "NOTE", "too many requests"),
        ("silent", "NOTE", "did not answer"),
    ],
    ids=["401", "clock", "403", "404", "garbage", "429", "silent"],
)
def test_what_livekit_may_answer(service, answer, state, words):
    """Each answer in words; a clock that is off is told from a wrong key."""
    service.answers["*"] = answer
    found = livekit(service)
    assert (found.state, words in found.what) == (state, True), found


def azure(service, **more):
    environ = {"AZURE_OPENAI_ENDPOINT": service.url, "AZURE_OPENAI_API_KEY": AZURE, "AZURE_OPENAI_DEPLOYMENT": "gpt-realtime"}
    return list(examine_azure(environ | more, QUICK))


@pytest.mark.parametrize(
    ("version", "path"),
    [
        ("", "/openai/v1/realtime?model=gpt-realtime"),
        ("2025-04-01-preview", "/openai/realtime?api-version=2025-04-01-preview&deployment=gpt-realtime"),
    ],
    ids=["v1", "dated"],
)
def test_azure_opens_a_websocket_and_says_nothing_on_it(service, version, path):
    """The list of models, then a handshake at the address the plugin would use, and not one byte after it: no token is used."""
    service.answers = {"/openai/models": (200, {"data": []}), "*": (101, b"", ("upgrade", "websocket"))}
    found = azure(service, OPENAI_API_VERSION=version)
    assert [one.state for one in found] == ["PASS", "PASS"]
    _, (method, asked, headers, body) = service.asked
    assert (method, asked, body) == ("GET", path, b"")
    lower = {name.lower(): value for name, value in headers.items()}
    assert lower.items() >= {"upgrade": "websocket", "connection": "Upgrade", "sec-websocket-version": "13", "api-key": AZURE}.items()
    assert len(base64.b64decode(lower["sec-websocket-key"])) == 16


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ((401, b""), "does not take the key"),
        ((403, b""), "refuses this network"),
        ((404, b""), "not as an Azure OpenAI resource"),
        ((200, b"{}"), "not as an Azure OpenAI resource"),
        ((429, b""), "too many requests"),
        ("silent", "did not answer"),
    ],
    ids=["401", "403", "404", "garbage", "429", "silent"],
)
def test_what_the_resource_may_answer(service, answer, words):
    """Each in words, and the deployment is not asked for."""
    service.answers["*"] = answer
    (found,) = azure(service)
    assert words in found.what
    assert found.state == ("NOTE" if not found.tried else "FAIL")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ((404, {"error": {"code": "DeploymentNotFound"}}), "no such deployment"),
        ((401, b""), "may not use the deployment"),
        ((400, b""), "not asked for Realtime in a way it knows"),
        ((200, b""), "no websocket was opened"),
        ("broken", "ended the connection"),
    ],
    ids=["404", "401", "400", "200", "broken"],
)
def test_what_the_deployment_may_answer(service, answer, words):
    """Each in words."""
    service.answers = {"/openai/models": (200, {"data": []}), "*": answer}
    found = azure(service)
    assert [one.state for one in found] == ["PASS", "FAIL"]
    assert words in found[1].what


def test_a_deployment_that_was_not_named_is_not_tried(service):
    """It is said, and nothing is guessed."""
    service.answers["/openai/models"] = (200, {"data": []})
    found = azure(service, AZURE_OPENAI_DEPLOYMENT="")
    assert (found[1].state, found[1].tried) == ("NOTE", False)
    assert len(service.asked) == 1


HOOK = "/services/T0AAAAAAA/B0AAAAAAA/abcdefghijklmnopqrstuvwx"


@pytest.mark.parametrize(
    ("answer", "state", "words"),
    [
        ((400, b"no_text"), "PASS", "nothing was posted"),
        ((400, b"invalid_payload"), "PASS", "nothing was posted"),
        ((404, b"no_service"), "FAIL", "no_service"),
        ((403, b"action_prohibited"), "FAIL", "action_prohibited"),
        ((410, b"channel_is_archived"), "FAIL", "channel_is_archived"),
        ((403, b"Ada Byron was here"), "FAIL", "no reason given"),
        ((200, b"ok"), "FAIL", "otherwise than Slack does"),
        ((400, b"<html>proxy"), "FAIL", "otherwise than Slack does"),
        ((429, b"rate_limited"), "NOTE", "too many requests"),
        ("silent", "NOTE", "did not answer"),
    ],
    ids=["no_text", "invalid_payload", "no_service", "prohibited", "archived", "own-words", "ok", "proxy", "429", "silent"],
)
def test_what_slack_may_answer(service, answer, state, words):
    """An empty object is refused by a webhook that lives, and posts nothing; the address is never shown."""
    service.answers["*"] = answer
    (found,) = examine_slack({"SLACK_WEBHOOK_URL": service.url + HOOK}, QUICK)
    assert (found.state, words in found.what) == (state, True), found
    assert "abcdefgh" not in repr(found)
    assert "Ada" not in repr(found)
    ((method, path, _, body),) = service.asked
    assert (method, path, body) == ("POST", HOOK, b"{}")


@pytest.mark.parametrize(
    "url",
    [f"https://example.org{HOOK}", "https://hooks.slack.com/", f"http://hooks.slack.com{HOOK}", "hooks"],
    ids=["host", "path", "plain", "none"],
)  # fmt: skip
def test_an_address_that_is_no_slack_webhook_is_not_asked(url):
    """Its form is looked at first: a test may reach no other machine, and none is reached."""
    (found,) = examine_slack({"SLACK_WEBHOOK_URL": url}, QUICK)
    assert found.state == "FAIL"


def test_a_workflows_webhook_is_not_started():
    """Any post starts a workflow, so none is made."""
    (found,) = examine_slack({"SLACK_WEBHOOK_URL": "https://hooks.slack.com/workflows/T0AAAAAAA/A0AAAAAAA/1234567890/abcdef"}, QUICK)
    assert (found.state, found.tried) == ("NOTE", False)


@pytest.mark.parametrize(
    ("key", "states"),
    [("", []), ("A" * 32, ["NOTE"]), ("u+abcdefghijklmnopqr", ["FAIL"]), ("A" * 31, ["FAIL"])],
    ids=["none", "good", "token", "short"],
)
def test_a_pagerduty_key_by_its_form(key, states):
    """It cannot be tried without paging somebody."""
    assert [one.state for one in examine_pagerduty({"PAGERDUTY_ROUTING_KEY": key}, QUICK)] == states


def test_a_webhook_by_its_form(service):
    """What a server of one's own does with a question is not known, so none is asked."""
    assert [one.state for one in examine_webhook({"PHI_GUARD_ALERT_WEBHOOK_URL": f"{service.url}/x?token=1"}, QUICK)] == ["NOTE"]
    assert [one.state for one in examine_webhook({"PHI_GUARD_ALERT_WEBHOOK_URL": "http://192.0.2.1/x"}, QUICK)] == ["FAIL"]
    assert list(examine_webhook({}, QUICK)) == []
    assert service.asked == []


@pytest.mark.skipif(shutil.which("redis-server") is None, reason="there is no redis-server on this machine")
def test_a_redis_switch(tmp_path_factory):
    """Answers, refuses a password, is not there: told apart, and the password is not shown."""
    directory = tmp_path_factory.mktemp("r")
    place = directory / "s"
    server = subprocess.Popen(
        ["redis-server", "--port", "0", "--unixsocket", str(place), "--requirepass", "right", "--save", ""],
        stdout=subprocess.DEVNULL, cwd=directory,
    )  # fmt: skip
    try:
        for _ in range(200):
            if place.exists():
                break
            time.sleep(0.02)
        (good,) = examine_switch({"PHI_GUARD_SWITCH": f"unix://:right@{place}"}, QUICK)
        (wrong,) = examine_switch({"PHI_GUARD_SWITCH": f"unix://:geheim@{place}"}, QUICK)
    finally:
        server.terminate()
        server.wait()
    (gone,) = examine_switch({"PHI_GUARD_SWITCH": f"unix://:geheim@{place}"}, QUICK)
    assert [good.state, wrong.state, gone.state] == ["PASS", "FAIL", "FAIL"], (good, wrong, gone)
    assert "workers that act on it: 0" in good.what
    assert not any(word in repr((good, wrong, gone)) for word in ("geheim", "right@"))
    assert list(examine_switch({"PHI_GUARD_SWITCH": "/run/switch.json"}, QUICK)) == []


@pytest.fixture
def everything(service):
    """All services on one server, and the variables for it."""
    good_langsmith(service, **{
        "/twirp/livekit.RoomService/ListRooms": (200, {"rooms": []}), "/openai/models": (200, {"data": []}),
        "/openai/v1/realtime": (101, b""), HOOK: (400, b"no_text"),
    })  # fmt: skip
    return {
        "LANGSMITH_ENDPOINT": service.url, "LANGSMITH_API_KEY": KEY, "LANGSMITH_PROJECT": PROJECT, "LIVEKIT_URL": service.url,
        "LIVEKIT_API_KEY": "APIabcdefgh12", "LIVEKIT_API_SECRET": SECRET, "AZURE_OPENAI_ENDPOINT": service.url,
        "AZURE_OPENAI_API_KEY": AZURE, "AZURE_OPENAI_DEPLOYMENT": "gpt-realtime", "SLACK_WEBHOOK_URL": service.url + HOOK,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("change", "code", "state"),
    [
        ({}, 0, "PASS"),
        ({"SLACK_WEBHOOK_URL": ""}, 0, "PASS"),
        ({"AZURE_OPENAI_API_KEY": ""}, 3, "UNTRIED"),
        ({"AZURE_OPENAI_DEPLOYMENT": ""}, 3, "UNTRIED"),
        ({"LANGSMITH_API_KEY": ""}, 3, "UNTRIED"),
        ({"LIVEKIT_URL": "nowhere"}, 1, "FAIL"),
    ],
    ids=["all", "no-slack", "no-azure", "no-deployment", "no-key", "wrong"],
)
def test_the_command(everything, change, code, state):
    """One exit code for each outcome; no key in what is shown, in either form."""
    for fmt in ("json", "table"):
        done = CliRunner(env=everything | change).invoke(doctor, ["--live", "--format", fmt], standalone_mode=False)
        assert done.return_value == code, done.output
        assert not any(word in done.output for word in (KEY, SECRET, AZURE, HOOK))
        if fmt == "json":
            answer = json.loads(done.stdout)
            assert (answer["schema"], answer["verdict"]) == ("phi-audit.doctor-live/1", state)
            assert {row["service"] for row in answer["rows"]} >= {"LangSmith", "LiveKit", "Azure OpenAI", "Slack"}
        else:
            assert "PASS  LangSmith: 127.0.0.1 is a LangSmith API" in done.stdout


def test_live_reads_no_code(tmp_path):
    """The two questions are not mixed."""
    (tmp_path / "agent.py").write_text("", "utf-8")
    done = CliRunner().invoke(doctor, ["--live", "--source", str(tmp_path)])
    assert done.exit_code == 2
    assert "run doctor twice" in done.output


def test_nothing_is_passed_that_was_not_there():
    """A required service that gave no finding at all is no pass."""
    assert verdict((Finding("LangSmith", "PASS", ""), Finding("LiveKit", "PASS", ""))) == "UNTRIED"
    assert verdict(()) == "UNTRIED"
    assert callable(examine_services)
