"""The sinks of alerts against servers that answer as Slack, PagerDuty and worse do: one request, looked at, noted, no secret told."""

from __future__ import annotations

import contextlib
import gc
import json
import logging
import re
import socket
import struct
import threading
import time
import traceback

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shipping import Notebook, cleared_call, open_gate

from phi_guard import envelope, facts
from phi_guard.errors import DeliveryError, DeliveryHalted, DeliveryRefused, LeakSeen
from phi_guard.facts import ALERT, ALERTS
from phi_guard.gate import Gate
from phi_guard.last_look import LastLook, LookFailed, Request
from phi_guard.model import Cleared, Payload
from phi_guard.outbound import hook
from phi_guard.outbound.announcement import TITLE_MAX, WORDS, announce, span
from phi_guard.outbound.hook import Alert, HookError, read_alert
from phi_guard.outbound.pagerduty import PagerDutySink, event_of
from phi_guard.outbound.slack import SlackSink, draw
from phi_guard.outbound.webhook import HEADER, WebhookSink, sign, verify
from phi_guard.policy import load_policy, shipped
from phi_guard.policy.compiled import Pattern

GATE = Gate(load_policy(shipped("clinic.yaml"), env="prod"), None)
ID = "0197f3a0-0000-7000-8000-00000000000a"
TOKEN = "T0AAAAAAA/B0BBBBBBB/abcdefGHIJKL0123456789xy"
KEY = "R0utingKeyR0utingKeyR0utingKey00"
SECRET = "a-shared-secret-of-some-length"
FACTS = {
    "alert": "error_rate", "state": "firing", "severity": "warning", "env": "prod", "project": "medical-voice-agent-prod", "value": 12.5,
    "threshold": 5, "unit": "per_cent", "n": 40, "bad": 5, "window_s": 3600, "since": "2026-11-23T09:00:00.000000Z",
    "at": "2026-11-23T09:30:00.000000Z", "key": "0123456789abcdef", "tool": "tool.book_appointment", "trace_ids": [ID],
}  # fmt: skip
TAKEN = {"slack": (200, {}, b"ok"), "webhook": (204, {}, b""), "pagerduty": (202, {}, b'{"status":"success","message":"Event processed"}')}
KINDS = sorted(TAKEN)


def cleared(gate=GATE, name="error_rate", **changed):
    outcome = gate.clear(Payload("alert", name, FACTS | {"alert": name} | changed))
    assert type(outcome) is Cleared, outcome
    return outcome


class Server:
    """HTTP/1.1 on loopback, byte by byte: keeps every request, and answers with what it is given, in turn; the last one stays.

    An answer is ``(status, headers, body)``, ``"reset"`` (breaks in the middle of the body), ``"close"`` (reads, says nothing), ``"flood"``
    (a body without end), or bytes: these at once, then an ``x`` every fifth of a second for ever.
    """

    def __init__(self, *answers):
        self.answers, self.requests, self.connections, self.flooded = list(answers), [], 0, 0
        self._ended = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._ended.set()
        self._listener.close()

    def sink(self, kind, look=None, token=TOKEN):
        """A sink of that kind that posts here."""
        return {
            "slack": lambda: SlackSink(f"{self.url}/services/{token}", look),
            "webhook": lambda: WebhookSink(f"{self.url}/hooks/{token}", SECRET, look),
            "pagerduty": lambda: PagerDutySink(KEY, look, url=f"{self.url}/v2/enqueue"),
        }[kind]()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self.connections += 1
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        with contextlib.suppress(OSError), connection:
            while not self._ended.is_set():
                data = b""
                while b"\r\n\r\n" not in data:
                    data += (piece := connection.recv(65536))
                    if not piece:
                        return
                head, _, body = data.partition(b"\r\n\r\n")
                lines = head.decode("latin-1").split("\r\n")
                headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])}
                answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
                if answer == "reset":
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    self.requests.append((lines[0], headers, body))
                    return
                while len(body) < int(headers.get("content-length", 0)):
                    body += connection.recv(65536)
                self.requests.append((lines[0], headers, body))
                if not self._answer(connection, answer):
                    return

    def _answer(self, connection, answer):
        if answer == "close":
            return False
        if isinstance(answer, bytes):
            connection.sendall(answer)
            while not self._ended.wait(0.2):
                connection.sendall(b"x")
            return False
        if answer == "flood":
            connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
            while not self._ended.is_set():
                self.flooded += connection.send(b"ok " * 10_000)
            return False
        status, headers, body = answer
        told = [f"HTTP/1.1 {status} Told", *(f"{name}: {value}" for name, value in headers.items())]
        told += [] if status == 204 else [f"Content-Length: {len(body)}"]
        connection.sendall("\r\n".join([*told, "", ""]).encode() + body)
        return True


def posted(kind, *answers, look=None, batch=None, witness=None):
    """What was thrown (or None), the server's requests, the witness."""
    witness = witness or Notebook()
    with Server(*answers) as server:
        try:
            server.sink(kind, look).deliver(batch if batch is not None else [cleared()], witness)
        except DeliveryError as fault:
            return fault, server.requests, witness
        return None, server.requests, witness


# -- what is taken ------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_one_message_is_one_request_written_down_before_and_after(kind):
    before = []

    class Before(Notebook):
        def intend(self, posting):
            before.append(len(server.requests))
            super().intend(posting)

    witness = Before()
    with Server(TAKEN[kind]) as server:
        server.sink(kind).deliver([cleared()], witness)
        (line, headers, body), = server.requests  # fmt: skip
    (posting,) = witness.postings
    assert before == [0]
    assert line.startswith("POST ")
    assert headers["content-type"] == "application/json"
    assert headers["connection"] == "close"
    assert posting.destination == server.url.removeprefix("http://")
    assert (posting.projects, posting.policies, posting.operations, posting.calls) == (
        ("medical-voice-agent-prod",), (GATE.digest,), 1, 1,
    )  # fmt: skip
    assert posting.bytes == len(body)
    assert witness.outcomes == [f"http_{TAKEN[kind][0]}"]


def test_slack_shows_the_alert():
    fault, requests, _ = posted("slack", TAKEN["slack"])
    assert fault is None
    told = json.loads(requests[0][2])
    title = "[PROD][OBS] Error rate of book_appointment 12.5 % over 1 h (5 of 40 calls), above 5 %"
    assert told["blocks"][0] == {"type": "header", "text": {"type": "plain_text", "text": title, "emoji": False}}
    assert told["text"].startswith(f"{title}\n")
    assert f"Traces: {ID}" in told["text"]
    assert "phi-audit dashboard" in told["blocks"][1]["text"]["text"]
    assert told["blocks"][-1]["elements"][0]["text"] == f"`{ID}`"


def test_a_webhook_is_signed_over_time_and_bytes():
    fault, requests, _ = posted("webhook", TAKEN["webhook"])
    _, headers, body = requests[0]
    header, now = headers[HEADER.lower()], time.time()
    assert fault is None
    assert verify(SECRET, body, header, now)
    assert not verify(SECRET, body + b" ", header, now)
    assert not verify(SECRET + "x", body, header, now)
    assert not verify(SECRET, body, header, now + 301)
    assert not verify(SECRET, body, header.replace("t=1", "t=2"), now)
    assert not verify(SECRET, body, "v1=" + "0" * 64, now)
    told = json.loads(body)
    assert told["schema"] == "phi-guard.alert/1"
    assert told["facts"] == FACTS


def test_the_signature_is_the_documented_one():
    """Worked out by hand with openssl: printf '1700000000.{}' | openssl dgst -sha256 -hmac <the secret>."""
    assert sign("0123456789abcdef", b"{}", 1_700_000_000) == (
        "t=1700000000,v1=e4f8e2ecae2295b2ddb2f0b5584c8275e226c0ebe9b3b819e70156bb67122e3e"
    )


def test_pagerduty_opens_and_closes_the_same_incident():
    with Server(TAKEN["pagerduty"]) as server:
        sink = server.sink("pagerduty")
        for state in ("firing", "still_firing", "resolved"):
            sink.deliver([cleared(state=state)], Notebook())
        first, again, last = (json.loads(body) for _, _, body in server.requests)
        assert server.connections == 3
    assert [one["event_action"] for one in (first, again, last)] == ["trigger", "trigger", "resolve"]
    assert {one["dedup_key"] for one in (first, again, last)} == {FACTS["key"]}
    assert first["routing_key"] == KEY
    assert first["payload"]["severity"] == "warning"
    assert first["payload"]["summary"].startswith("[PROD][OBS] Error rate")
    assert set(first["payload"]["custom_details"]) - set(FACTS) == {"next"}
    assert "payload" not in last


def test_a_key_that_is_missing_is_made_alike_from_firing_to_resolved():
    keys = {event_of(read_alert([cleared(key=None, state=state, value=value)]))["dedup_key"] for state, value in
            (("firing", 9), ("resolved", 1))}  # fmt: skip
    assert len(keys) == 1
    assert re.fullmatch("[0-9a-f]{32}", keys.pop())


# -- what is not --------------------------------------------------------------------------------------------------------------------------

NOT_NOW = {
    "server_error": ((500, {}, b"rollup_error"), DeliveryError, "http_500"),
    "busy": ((429, {"Retry-After": "30"}, b""), DeliveryError, "http_429"),
    "refused": ((400, {}, b"invalid_payload"), DeliveryRefused, "http_400"),
    "forbidden": ((403, {}, b"invalid_token"), DeliveryHalted, "http_403"),
    "no_service": ((404, {}, b"no_service"), DeliveryHalted, "http_404"),
    "archived": ((410, {}, b"channel_is_archived"), DeliveryHalted, "http_410"),
    "conflict": ((409, {}, b""), DeliveryError, "http_409"),
    "redirect": ((302, {"Location": "/elsewhere"}, b""), DeliveryHalted, "http_302"),
    "reset": ("reset", DeliveryError, "connection"),
    "closed": ("close", DeliveryError, "connection"),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("case", NOT_NOW)
def test_each_answer_means_what_it_says_and_is_asked_once(kind, case):
    """One request whatever comes of it; the outcome is written down; the fault is a code and says nothing else."""
    answer, error, code = NOT_NOW[case]
    fault, requests, witness = posted(kind, answer)
    assert type(fault) is error
    assert (fault.code, str(fault)) == (code, code)
    assert fault.__cause__ is None
    assert fault.__context__ is None
    assert fault.retry_after_s == (30 if case == "busy" else None)
    assert len(requests) == 1
    assert witness.outcomes == [code]


def test_a_redirect_to_elsewhere_goes_nowhere():
    with Server(TAKEN["slack"]) as elsewhere:
        for status in (301, 307, 308):
            fault, _, _ = posted("slack", (status, {"Location": f"{elsewhere.url}/services/x"}, b""))
            assert fault.code == f"http_{status}"
        assert (elsewhere.connections, elsewhere.requests) == (0, [])


@pytest.mark.parametrize("kind", ["slack", "pagerduty"])
@pytest.mark.parametrize("body", [b"", b"<html>Sign in to the hotel</html>", b"\xff\xfe", b"{}", b"[1]", b"okay"])
def test_a_200_that_is_not_theirs_is_not_taken(kind, body):
    fault, requests, _ = posted(kind, (TAKEN[kind][0], {}, body))
    assert (type(fault), fault.code, len(requests)) == (DeliveryError, f"not_{kind}", 1)


def test_an_answer_without_end_is_not_read_to_its_end():
    with Server("flood") as server:
        begin = time.monotonic()
        with pytest.raises(DeliveryError, match="not_slack"):
            server.sink("slack").deliver([cleared()], Notebook())
        assert time.monotonic() - begin < 15


@pytest.mark.parametrize(
    ("begun", "code", "outcome"),
    [
        (b"", "timeout", "timeout"),
        (b"HTTP/1.1 20", "timeout", "timeout"),
        (b"HTTP/1.1 200 OK\r\nX-Slow: ", "not_slack", "http_200"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n", "not_slack", "http_200"),
    ],
    ids=["nothing", "status", "header", "body"],
)
def test_an_answer_that_drips_ends_at_the_deadline(begun, code, outcome, monkeypatch):
    """A byte within each timeout, for ever: only a bound over all of it ends that."""
    monkeypatch.setattr(hook.Hook.__init__, "__kwdefaults__", {"within_s": 0.8})
    begin = time.monotonic()
    fault, requests, witness = posted("slack", begun)
    assert (type(fault), fault.code, len(requests)) == (DeliveryError, code, 1)
    assert time.monotonic() - begin < 4.5, "something else ended it, if anything did"
    assert witness.outcomes == [outcome]


@pytest.mark.parametrize("kind", KINDS)
def test_nobody_there(kind):
    with Server(TAKEN[kind]) as server:
        sink = server.sink(kind)
    witness = Notebook()
    with pytest.raises(DeliveryError, match=r"^connection$"):
        sink.deliver([cleared()], witness)
    assert witness.outcomes == ["connection"]


@pytest.mark.parametrize("kind", KINDS)
def test_what_cannot_be_written_down_stays(kind):
    fault, requests, _ = posted(kind, TAKEN[kind], witness=Notebook(full=True))
    assert fault.code == "disclosure"
    assert requests == []


# -- what may not leave -------------------------------------------------------------------------------------------------------------------


def hostile():
    span_like = cleared_call(open_gate())[0][3]
    void = Gate(None, None).clear(Payload("alert", "leak", FACTS)).skeleton
    row = GATE.clear(Payload("row", "call", {"trace_id": ID}))

    class Likeness:
        kind, name, body, policy = "alert", "leak", b'{"tool":"Ada Byron"}', "0" * 16

    return {"span": [span_like], "void": [void], "row": [row], "likeness": [Likeness()], "alert_and_span": [cleared(), span_like]}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("case", ["span", "void", "row", "likeness", "alert_and_span"])
def test_only_a_cleared_alert_is_sent(kind, case):
    fault, requests, witness = posted(kind, TAKEN[kind], batch=hostile()[case])
    assert (type(fault), fault.code) == (DeliveryRefused, "not_cleared")
    assert (requests, witness.postings) == ([], [])


@pytest.mark.parametrize("batch", [[], [cleared(), cleared()]], ids=["none", "two"])
def test_a_batch_is_one_alert(batch):
    fault, requests, _ = posted("slack", TAKEN["slack"], batch=batch)
    assert (type(fault), fault.code, requests) == (DeliveryRefused, "not_one", [])


NUMBERS = ["a+41-79-555-01-23", "call.415-555-2671", "n4111-1111-1111-1111"]
PERSONS = ["+41 79 555 01 23", "call.415-555-2671", "of 987-65-4320", "n4111-1111-1111-1111", "ada.byron@clinic.example"]


@pytest.mark.parametrize("name", NUMBERS)
def test_a_number_as_a_projects_name_does_not_pass_the_gate(name):
    assert envelope.RUN["session_name"].fits(name), "it would pass as a trace's"
    assert "project" not in json.loads(cleared(project=name).body)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", PERSONS)
def test_a_gate_that_is_blind_to_it_is_met_by_the_last_look(kind, name, monkeypatch):
    monkeypatch.setattr(facts, "ALERT", {**ALERT, "project": Pattern(".*")})
    fault, requests, witness = posted(kind, TAKEN[kind], batch=[cleared(project=name)])
    assert type(fault) is LeakSeen
    assert (requests, witness.postings) == ([], [])
    assert name not in str(fault)


def test_a_look_that_cannot_look_lets_nothing_through():
    class Blind(LastLook):
        def look(self, request):
            msg = request.body.decode()
            raise LookFailed(msg)

    fault, requests, _ = posted("slack", TAKEN["slack"], look=Blind())
    assert (fault.code, requests) == ("last_look_fault", [])


@pytest.mark.parametrize(
    "value",
    [{"a": "+41 79 555 01 23"}, ["x", ["ada.byron@clinic.example"]], {"+41 79 555 01 23": 1}, {"key": "+41 79 555 01 23"},
     {"routing_key": "ada.byron@clinic.example"}, {"trace_ids": ["987-65-4320"]}, {"text": f"{ID} 987-65-4320"},
     {"since": "2026-11-23T09:00:00.000000Z +41 79 555 01 23"}],
)  # fmt: skip
def test_every_place_of_a_json_body_is_looked_at(value):
    request = Request("https://hooks.example.org/", {"Content-Type": "application/json"}, json.dumps(value).encode())
    with pytest.raises(LeakSeen):
        LastLook().look(request)


def test_a_signature_header_is_read_unless_it_is_one():
    body, kind = b"{}", {"Content-Type": "application/json"}
    LastLook().look(Request("https://hooks.example.org/", {**kind, HEADER: sign(SECRET, body, 1_700_000_000)}, body))
    with pytest.raises(LeakSeen):
        LastLook().look(Request("https://hooks.example.org/", {**kind, HEADER: "t=+41 79 555 01 23"}, body))


@pytest.mark.parametrize("kind", ["text/plain", "application/json; boundary=x", "application/jsonp", ""])
def test_another_content_type_is_not_read_as_json(kind):
    with pytest.raises(LookFailed):
        LastLook().look(Request("https://hooks.example.org/", {"Content-Type": kind}, b"{}"))


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b'{"a": 1} x'])
def test_what_is_no_json_is_not_sent(body):
    with pytest.raises(LookFailed):
        LastLook().look(Request("https://hooks.example.org/", {"Content-Type": "application/json"}, body))


# -- all facts there are ------------------------------------------------------------------------------------------------------------------

_instants = st.datetimes().map(lambda at: at.strftime("%Y-%m-%dT%H:%M:%S.%fZ").rjust(27, "0"))
_numbers = st.one_of(st.integers(0, 1_000_000_000), st.floats(0, 1_000_000_000))
_project = st.from_regex(r"[a-z]{2,30}(-[a-z]{1,30}){0,7}(-2026)?", fullmatch=True)
_uuids = st.uuids().map(str)
_facts = st.fixed_dictionaries(
    {},
    optional={
        "state": st.sampled_from(["firing", "still_firing", "resolved"]), "severity": st.sampled_from(["info", "warning", "critical"]),
        "env": st.sampled_from(["dev", "prod"]), "project": _project, "unit": st.sampled_from(["per_cent", "ms", "usd", "count"]),
        **dict.fromkeys(("value", "worst", "threshold"), _numbers), **dict.fromkeys(("n", "bad"), st.integers(0, 1_000_000_000)),
        "window_s": st.integers(0, 100_000_000), "since": _instants, "at": _instants,
        "key": st.from_regex("[0-9a-f]{16,64}", fullmatch=True),
        "report": st.from_regex("[0-9a-f]{64}", fullmatch=True), "tool": st.sampled_from(["tool.book_appointment", "tool.unknown"]),
        "trace_ids": st.lists(_uuids, max_size=5), "rehearsal": st.booleans(), "late": st.booleans(), "flapping": st.booleans(),
    },
)  # fmt: skip


@given(name=st.sampled_from(sorted(ALERTS)), given_facts=_facts)
def test_whatever_the_facts_a_message_keeps_the_limits_and_passes_the_look(name, given_facts):
    """Slack's limits: 50 blocks, header 150, section 3000, ten fields of 2000, context ten. No cleared fact trips the look."""
    outcome = GATE.clear(Payload("alert", name, given_facts))
    assert type(outcome) is Cleared
    assert not [note for note in outcome.notes if note.path not in {"since", "at"}], outcome.notes
    alert = read_alert([outcome])
    message = announce(alert.name, alert.facts)
    assert len(message.title) <= TITLE_MAX
    assert "\n" not in message.title
    assert re.match(r"\[(PROD|DEV|UNKNOWN)\]\[OBS\] (\[REHEARSAL\] )?\S", message.title)
    assert ("[REHEARSAL]" in message.title) == (alert.facts.get("rehearsal") is True)
    blocks = [block.to_dict() for block in draw(message)]  # its own validation raises beyond a limit
    assert len(blocks) <= 50
    for block in blocks:
        assert len(block.get("text", {}).get("text", "")) <= (150 if block["type"] == "header" else 3000)
        assert len(block.get("fields", [])) <= 10
        assert all(0 < len(field["text"]) <= 2000 for field in block.get("fields", []))
        assert len(block.get("elements", [])) <= 10
    assert len(event_of(alert).get("payload", {}).get("summary", "")) <= 1024
    slack, webhook = {"text": message.text, "blocks": blocks}, {"facts": alert.facts, "text": message.text}
    for body in (slack, webhook, {"routing_key": KEY, **event_of(alert)}):
        LastLook().look(Request("https://hooks.slack.com/", {"Content-Type": "application/json"}, json.dumps(body).encode()))


def test_a_number_of_as_many_digits_as_a_cards_is_told_in_fewer():
    """This one passes a card's check as it is, and the alert would be held at the door."""
    fault, requests, _ = posted("webhook", TAKEN["webhook"], batch=[cleared(value=536214408.81348425)])
    assert fault is None
    assert json.loads(requests[0][2])["facts"]["value"] == 536214408.81


def test_a_share_that_is_an_estimate_says_of_what_its_counts_are():
    """Of a sampled project 3 of 63 were sent and 0.99 % failed: the counts beside it are of what was sent."""
    assert "0.99 % over 1 h (3 of 63 calls sent)" in announce("error_rate", FACTS | {"value": 0.99, "n": 63, "bad": 3}).title
    assert "4.76 % over 1 h (3 of 63 calls)" in announce("error_rate", FACTS | {"value": 4.7619, "n": 63, "bad": 3}).title


def test_a_title_is_cut():
    title = announce("tool_failure", {"tool": f"tool.{'x' * 200}"}).title
    assert (len(title), title[-1]) == (TITLE_MAX, "…")


def test_every_alert_has_words():
    assert set(WORDS) == set(ALERTS)
    assert all(words.subject and words.meaning.endswith(".") and words.step for words in WORDS.values())


def test_an_alert_without_any_fact_is_still_announced():
    for name in ALERTS:
        assert announce(name, {}).title.startswith("[UNKNOWN][OBS] ")


@pytest.mark.parametrize(
    ("changed", "title"),
    [
        ({"state": "still_firing"}, "[PROD][OBS] Still: Error rate 12.5 % over 1 h (5 of 40 calls), above 5 %"),
        ({"state": "resolved", "value": 2.0, "bad": 1, "n": 50, "worst": 20.0},
         "[PROD][OBS] Resolved: Error rate 2 % over 1 h (1 of 50 calls), at its worst 20 %, threshold 5 %"),
        ({"rehearsal": True, "env": "dev"}, "[DEV][OBS] [REHEARSAL] Error rate 12.5 % over 1 h (5 of 40 calls), above 5 %"),
        ({"alert": "ttft_p95", "value": 3412.0, "unit": "ms", "threshold": 3000, "window_s": 900, "n": 12, "bad": 0},
         "[PROD][OBS] TTFT-A p95 3412 ms over 15 min (12 turns), above 3000 ms"),
        ({"alert": "span_drop", "value": 1.25, "threshold": 1, "bad": 5, "n": 400},
         "[PROD][OBS] Spans dropped 1.25 % over 1 h (5 of 400 spans), at or above 1 %"),
        ({"alert": "budget", "value": 52.104, "unit": "usd", "threshold": 50, "n": 300, "bad": 0},
         "[PROD][OBS] Cost of the month 52.1 USD (300 calls), above 50 USD"),
        ({"alert": "leak", "value": 1, "unit": "count"}, "[PROD][OBS] Leak suspected"),
    ],
)  # fmt: skip
def test_titles(changed, title):
    told = {**FACTS, "tool": None, **changed}
    assert announce(told["alert"], told).title == title


_SAID = [(0, ""), (59, "59 s"), (900, "15 min"), (5400, "1 h 30 min"), (90061, "1 d 1 h"), (True, "")]


@pytest.mark.parametrize(("seconds", "said"), _SAID)
def test_spans_of_time(seconds, said):
    assert span(seconds) == said


# -- secrets ------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("answer", [TAKEN["slack"], (500, {}, b"no"), (302, {"Location": "/x"}, b""), "reset"], ids=str)
def test_no_log_error_or_repr_tells_a_secret(kind, answer, caplog):
    """At DEBUG, with urllib3's own records on: neither the address, nor the routing key, nor the shared secret."""
    caplog.set_level(logging.DEBUG)
    told = []
    with Server(answer) as server:
        sink = server.sink(kind)
        told += [repr(sink), str(sink), repr(vars(sink)["_hook"])]
        try:
            sink.deliver([cleared()], (witness := Notebook()))
        except DeliveryError:
            told.append(traceback.format_exc())
        told += [repr(witness.postings), repr(witness.outcomes), caplog.text]
        assert server.requests, "nothing was sent, so that nothing could be told"
    assert "Starting new HTTP connection" in caplog.text, "urllib3 says nothing at all, so this shows nothing"
    for secret in (*TOKEN.split("/"), KEY, SECRET):
        assert all(secret not in text for text in told)


def test_the_secret_of_one_sink_does_not_hush_anothers_log(caplog):
    caplog.set_level(logging.DEBUG)
    SlackSink(f"https://hooks.slack.example/services/{TOKEN}")
    logging.getLogger("urllib3.connectionpool").debug("POST /runs/multipart")
    assert "POST /runs/multipart" in caplog.text


@pytest.mark.parametrize(
    "url",
    ["", "hooks.slack.com/services/x", "http://hooks.slack.com/services/x", "ftp://127.0.0.1/x", "https://user:pw@hooks.slack.com/x",
     "https://", "http://127.0.0.1.example.org/x", "https://[::1/x", "http://localhost.example/x", "file:///etc/passwd"],
)  # fmt: skip
def test_an_address_that_is_none_is_refused_without_being_told(url):
    with pytest.raises(HookError) as fault:
        SlackSink(url)
    assert fault.value.__suppress_context__ or fault.value.__context__ is None
    assert len(url) < 10 or url not in "".join(traceback.format_exception(fault.value))


def test_a_key_or_secret_that_cannot_be_one_is_refused_without_being_told():
    for make in (lambda: PagerDutySink("short-key"), lambda: WebhookSink("https://example.org/x", "short-key")):
        with pytest.raises(HookError) as fault:
            make()
        assert "short-key" not in str(fault.value)


def test_credentials_of_netrc_are_not_sent(tmp_path, monkeypatch):
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login ada password byron\n")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    fault, requests, _ = posted("slack", TAKEN["slack"])
    assert fault is None
    assert "authorization" not in requests[0][1]


def test_many_messages_leave_no_connection_and_no_thread():
    with Server(TAKEN["slack"]) as server:
        sink = server.sink("slack")
        sink.deliver([cleared()], Notebook())
        gc.collect()
        before = threading.active_count()
        for _ in range(20):
            sink.deliver([cleared()], Notebook())
        assert server.connections == 21
        assert threading.active_count() <= before + 2  # the server's own are ending


def test_alert_hides_nothing_it_would_need():
    assert read_alert([cleared()]) == Alert("error_rate", FACTS, GATE.digest)
