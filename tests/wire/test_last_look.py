"""The last look over the final bytes, as LangSmith's own client makes them: what must never leave does not, what is clean always does."""

from __future__ import annotations

import base64
import datetime as dt
import gzip
import json
import random
import string
import urllib.parse
from dataclasses import replace

import msgspec
import pytest
import requests
from fakes import Relay, Store, call_records
from shipping import PROJECT, Endpoint, Notebook, cleared_call, fill, open_gate, states, wait_until

from phi_guard import disclosure_chain as chain
from phi_guard.detect.patterns import RULES
from phi_guard.errors import DeliveryError, LeakSeen
from phi_guard.last_look import NEVER, LastLook, LookFailed, Request
from phi_guard.model import Cleared
from phi_guard.outbound import door
from phi_guard.outbound.langsmith import LangSmithSink
from phi_guard.outbound.sink import Posting
from phi_guard.policy import load_policy, shipped
from phi_guard.policy.compiled import Pattern, Rule
from phi_guard.switch import FileSwitch
from tracing.identity import new_id
from tracing.local.trace_store import LocalServer
from tracing.record import AgentTurn, CallClosed, CallOpened, Consent, SessionStarted, ToolCall, UserTurn
from tracing.recorder import Recorder
from tracing.relay.shipper import Shipper
from tracing.relay.span import payload_of

LEAKS = {
    "email": "ada.byron@clinic.example",
    "phone": "+41 79 555 01 23",
    "ssn": "987-65-4320",
    "mrn": "MRN: 00441298",
    "card_number": "4111 1111 1111 1111",
    "iban": "CH93 0076 2011 6238 5295 7",
    "ahv": "756.1234.5678.97",
    "mbi": "1EG4-TE5-MK73",
    "birth_date": "DOB 3/4/1958",
}


@pytest.fixture(scope="module")
def gate():
    return open_gate()


def caught(batch):
    """The requests that the client makes of a batch, each held at the door."""
    seen = []

    class Keep:
        def look(self, request):
            seen.append(request)
            raise LookFailed("kept")

    sink = LangSmithSink("http://127.0.0.1:9", "a-key", Keep())
    for at in range(0, len(batch), 100):
        with pytest.raises(DeliveryError, match="last_look_fault"):
            sink.deliver(batch[at : at + 100], Notebook())
    sink.close()
    return seen


# -- a leak past the gate ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", LEAKS)
def test_a_policy_that_keeps_what_it_must_not_is_caught_at_the_door(rule, tmp_path):
    """A wrong policy clears it, the gate seals it, the client packs it: nothing arrives, the switch is off, the books still hold it all."""
    policy = load_policy(shipped("clinic.yaml"), env="dev")
    blind = replace(policy, fields={name: Rule(name, "keep", shape=Pattern(r"[\s\S]*")) for name in policy.fields})
    gate = open_gate(blind)
    rows = cleared_call(gate, argument=json.dumps({"phone": LEAKS[rule]}))
    place = tmp_path / "relay"
    place.mkdir()
    assert any(json.dumps(LEAKS[rule])[1:-1].encode() in cleared.body for *_, cleared in rows), "the leak is not even cleared"
    fill(place / "outbox.sqlite3", rows)
    switch = FileSwitch(place / "switch.json")
    switch.turn_on("a test")
    with LocalServer(keep_raw=True) as server:
        shipper = Shipper(place / "outbox.sqlite3", gate, LangSmithSink(server.url, "k"), switch)
        shipper.start()
        wait_until(lambda: not switch.state().on)
        wait_until(lambda: shipper.state.startswith("off_last_look"))
        shipper.stop(2)
        assert list(server.store.raw()) == [], "leaked"
    assert switch.state().reason.startswith("last look: ")
    held = states(place / "outbox.sqlite3")
    assert sum(held.values()) == len(rows)
    assert held[("quarantined", "last_look")] >= 1
    assert set(held) <= {("quarantined", "last_look"), ("quarantined", "leak")}
    assert not (place / chain.LOG).exists()
    for path in place.iterdir():
        if "outbox" not in path.name:
            assert LEAKS[rule].encode() not in path.read_bytes(), path.name


BLIND = """version: 1
default: redact
fields:
  phone: {action: keep, shape: "^[+0-9 ]{1,30}$"}
  patient_name: {action: redact}
tools:
  book_appointment: {inputs: [phone, patient_name], outputs: []}
examples:
  - given: {tool: book_appointment, inputs: {phone: "+1", patient_name: "Ada Byron"}}
    sends: {inputs: {phone: "+1", patient_name: <REDACTED>}}
"""


def test_the_relay_itself_stops_at_a_leak_and_goes_on_when_a_person_says_so(tmp_path):
    """The whole way, in processes of their own: nothing arrives, the switch is off, and no turning on sends what waited then."""
    policy = tmp_path / "blind.yaml"
    policy.write_text(BLIND)
    runtime = tmp_path / "relay"
    runtime.mkdir(mode=0o700)
    store = Store(tmp_path)
    relay = Relay(runtime, store.url, policy=policy).ready()
    recorder = Recorder(relay.settings.address)
    try:
        records = call_records(argument='{"phone": "+41 79 555 01 23", "patient_name": "Zqxjk"}')
        for record in records:
            recorder.record(record)
        assert recorder.drain(30)
        wait_until(lambda: relay.handle.ask().state == "off_last_look_phone")
        wait_until(lambda: relay.ledger().quarantined == len(records))
        ledger = relay.ledger()
        assert ledger.adds_up
        assert (ledger.pending, ledger.quarantined, store.raw()) == (0, len(records), b"")
        assert not relay.switch.state().on
        relay.switch.turn_on("a person has looked", release="0" * 64)
        wait_until(lambda: relay.handle.ask().state == "idle")  # what comes before the relay has seen it on again waits with the rest
        later = call_records(argument='{"patient_name": "Zqxjk"}')
        for record in later:
            recorder.record(record)
        wait_until(lambda: relay.ledger().delivered == len(later))
        ledger = relay.ledger()
        assert ledger.adds_up
        assert (ledger.pending, ledger.quarantined) == (0, len(records))
        assert b"555 01" not in store.raw(), "leaked"
        assert "ALERT off_last_look_phone" in (runtime / "relay.log").read_text()
        assert chain.verify(runtime).holds
    finally:
        recorder.close()
        relay.stop()
        store.stop()


def put(run, place, value):
    """A run with a value in one of the places that a run has."""
    run = json.loads(json.dumps(run))
    metadata = run["extra"]["metadata"]
    match place:
        case "input":
            run["inputs"] = {"note": value}
        case "deep":
            run["outputs"] = {"a": [{"b": [[{"c": value}]]}]}
        case "key":
            run["inputs"] = {value: True}
        case "empty key":
            run["inputs"] = {value: {}}
        case "metadata":
            metadata["comment"] = value
        case "known metadata":
            metadata["deployment"] = value
        case "metadata key":
            metadata[value] = 1
        case "redactions":
            metadata["redactions"] = {value: 1}
        case "error":
            run["error"] = f"KeyError: {value}"
        case "event":
            run["events"] = [{"name": "new_token", "time": metadata.get("started_at", ""), "message": {"token": value}}]
        case "name":
            run["name"] = value
        case "tag":
            run["tags"] = ["a", value]
        case "project":
            run["session_name"] = value
        case "extra":
            run["extra"]["runtime"] = {"platform": value}
        case "serialized":
            run["run_type"], run["serialized"] = "llm", {"kwargs": value}
    return run


PLACES = [
    "input", "deep", "key", "empty key", "metadata", "known metadata", "metadata key", "redactions", "error", "event", "name", "tag",
    "project", "extra", "serialized",
]  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
def test_every_place_a_run_has_is_looked_at(gate, place):
    """Whichever part of the request it is in, it is met, and the span that holds it is named."""
    rows = cleared_call(gate)
    span = next(row[0] for row in rows if row[3].name == "tool.book_appointment")
    for rule in ("email", "phone", "ssn"):
        batch = []
        for row_span, _, _, cleared in rows:
            run = msgspec.json.decode(cleared.body)
            if row_span == span:
                run = put(run, place, LEAKS[rule])
            batch.append(gate._mint(cleared.kind, cleared.name, run, ()))  # past every check of the gate
        with Endpoint() as endpoint:
            sink = LangSmithSink(endpoint.url, "a-key")
            with pytest.raises(LeakSeen) as told:
                sink.deliver(batch, Notebook())
            assert endpoint.arrived == []
        assert (told.value.rule, told.value.spans) == (rule, {span})
        assert LEAKS[rule] not in str(told.value)


def _identifier(draw):
    """An identifier of nobody's, in one of the ways people write it."""
    digits = "".join(draw.choices(string.digits, k=7))
    three, four = digits[:3], digits[3:]
    who = "".join(draw.choices(string.ascii_lowercase, k=draw.randint(2, 9)))
    return draw.choice(
        [
            f"+41 79 {three} {four[:2]} {four[2:]}", f"+4179{digits}", f"079 {three} {four[:2]} {four[2:]}", f"(617) 555-{four}",
            f"617-555-{four}", f"617.555.{four}", f"+1 617 555 {four}", f"+44 7700 {digits[:6]}",
            f"{who}@clinic.example", f"{who}.byron+x@mail.{who}.org", f"{who.upper()}@CLINIC.EXAMPLE",
            f"{draw.randint(100, 665)}-{draw.randint(10, 99)}-{draw.randint(1000, 9999)}",
            f"{draw.randint(900, 999)}-{draw.randint(70, 88)}-{draw.randint(1000, 9999)}",
        ]
    )  # fmt: skip


def test_whatever_has_the_form_of_an_identifier_is_met_wherever_it_stands(gate):
    """Four hundred drawn at random, with words around them or without, each in a place drawn at random."""
    draw = random.Random(20_270_316)
    around = ("{}", "call {} please", "{}.", "({})", "Tel:{}", "il a dit {}, je crois", "x {}\nthen more")
    run = msgspec.json.decode(cleared_call(gate)[0][3].body)
    missed = []
    for _ in range(400):
        place, value = draw.choice(PLACES), draw.choice(around).format(_identifier(draw))
        (request,) = caught([gate._mint("span", "voice_session", put(run, place, value), ())])
        try:
            LastLook().look(request)
        except LeakSeen:
            continue
        missed.append((place, value))
    assert missed == []


MAIL = LEAKS["email"]


@pytest.mark.parametrize(
    "value",
    [
        "ada.byron\uff20clinic.example",
        "\uff10\uff17\uff19 \uff15\uff15\uff15 \uff10\uff11 \uff12\uff13",
        "+\u0664\u0661 \u0667\u0669 555 01 23",
        "ada.byron\u200b@clinic.example",
        urllib.parse.quote(MAIL),
        urllib.parse.quote(LEAKS["phone"]),
        "ada.byron&#64;clinic.example",
        '{"a": "ada.byron\\u0040clinic.example"}',
        base64.b64encode(MAIL.encode()).decode(),
        "see " + base64.urlsafe_b64encode(b"write to " + MAIL.encode()).decode().rstrip("=") + " there",
        base64.b64encode(gzip.compress(b"ring " + LEAKS["phone"].encode(), mtime=0)).decode(),
        MAIL.encode().hex(),
        LEAKS["ssn"].encode().hex().upper(),
    ],
)
def test_a_disguise_is_seen_through(gate, value):
    """Wide and foreign signs, escapes of JSON, of addresses and of HTML, base64, gzip and hexadecimal: whoever gets it reads it too."""
    run = msgspec.json.decode(cleared_call(gate)[0][3].body)
    (request,) = caught([gate._mint("span", "voice_session", put(run, "deep", value), ())])
    with pytest.raises(LeakSeen):
        LastLook().look(request)


@pytest.mark.parametrize(("number", "key"), [(41_795_550_123, "phone"), (4_111_111_111_111_111, "n"), (987_654_320, "ssn")])
def test_a_number_that_is_an_identifier_is_met_too(gate, number, key):
    """JSON has numbers without quotation marks, and the key beside one says what it is."""
    *_, cleared = cleared_call(gate)[0]
    run = msgspec.json.decode(cleared.body) | {"inputs": {key: number}}
    (request,) = caught([gate._mint("span", cleared.name, run, ())])
    with pytest.raises(LeakSeen):
        LastLook().look(request)


def test_a_key_given_twice_is_read_twice(gate):
    """Readers differ in which of the two counts."""
    (request,) = caught([cleared_call(gate)[0][3]])
    start = request.body.index(b'.inputs"')
    twice = b'{"a":"ada.byron@clinic.example","a":"x"}'
    leaky = f"Content-Length: {len(twice)}\r\n\r\n".encode() + twice
    body = request.body[:start] + request.body[start:].replace(b"Content-Length: 2\r\n\r\n{}", leaky, 1)
    headers = dict(request.headers) | {"Content-Length": str(len(body))}
    with pytest.raises(LeakSeen, match="email"):
        LastLook().look(Request(request.url, headers, body))


def test_address_and_headers_are_looked_at_but_for_the_key(gate):
    """A header is a side door like any other; our own key may look like anything."""
    (request,) = caught([cleared_call(gate)[0][3]])
    LastLook().look(replace(request, headers={**request.headers, "x-api-key": "lsv2_4111111111111111"}))
    for bad in (
        replace(request, headers={**request.headers, "X-Note": LEAKS["email"]}),
        replace(request, headers={**request.headers, LEAKS["phone"]: "1"}),
        replace(request, url=f"{request.url}?who={LEAKS['email']}"),
    ):
        with pytest.raises(LeakSeen) as told:
            LastLook().look(bad)
        assert told.value.spans == frozenset()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda body: body[:-1],
        lambda body: body + b"x",
        lambda body: body.replace(b"application/json", b"application/text", 1),
        lambda body: body.replace(b'name="post.', b'name="attachment.', 1),
        lambda body: body.replace(b"{}", b"{]", 1),
        lambda body: b"preamble" + body,
        lambda body: b"",
    ],
)
def test_what_cannot_be_taken_apart_is_not_sent(gate, spoil):
    """To the last byte: a part we do not know, another type, an attachment, bytes before or after."""
    (request,) = caught([cleared_call(gate)[0][3]])
    body = spoil(request.body)
    headers = dict(request.headers) | {"Content-Length": str(len(body))}
    with pytest.raises(LookFailed):
        LastLook().look(Request(request.url, headers, body))


def test_a_look_that_faults_sends_nothing_and_drops_nothing(gate):
    """Who cannot look cannot send. It is not a leak: the switch stays on, and everything waits."""

    class Broken:
        def look(self, request):
            raise ZeroDivisionError

    witness = Notebook()
    with Endpoint() as endpoint:
        with pytest.raises(DeliveryError) as told:
            LangSmithSink(endpoint.url, "k", Broken()).deliver([row[3] for row in cleared_call(gate)], witness)
        assert (type(told.value), told.value.code) == (DeliveryError, "last_look_fault")
        assert endpoint.arrived == witness.postings == []


def test_the_clinics_own_number_may_be_known(gate):
    """What a policy writes down itself as no one's is no leak; next to it, a patient's still is."""
    *_, cleared = cleared_call(gate)[0]
    run = msgspec.json.decode(cleared.body)
    look = LastLook(["+41 21 555 00 00"])
    for note, met in (("call +41 21 555 00 00", False), ("call +41 21 555 00 00 or +41 79 555 01 23", True)):
        (request,) = caught([gate._mint("span", cleared.name, run | {"outputs": {"result": note}}, ())])
        if met:
            with pytest.raises(LeakSeen):
                look.look(request)
        else:
            look.look(request)


@pytest.mark.parametrize(
    ("safe", "note"),
    [
        (["1", "2", "3", "4", "5"], "+41 79 555 01 23"),  # a list of marks out of five
        (["2027"], "+1 617 555 2027"),
        (["555 01 23"], "+41 79 555 01 23"),
        (["info@clinic.example"], "ada.info@clinic.example"),
        (["clinic.example"], MAIL),
    ],
)
def test_what_is_safe_hides_nothing_around_it(gate, safe, note):
    """A value of a list may be a part of somebody's number; only what stands in it as a whole is no one's."""
    run = msgspec.json.decode(cleared_call(gate)[0][3].body)
    (request,) = caught([gate._mint("span", "voice_session", put(run, "input", note), ())])
    with pytest.raises(LeakSeen):
        LastLook(safe).look(request)


@pytest.mark.parametrize("shipped_policy", ["clinic.yaml", "safe_harbor.yaml"])
def test_what_a_shipped_policy_promises_to_send_does_not_stop_its_telemetry(shipped_policy):
    """Each example's sends, as the relay's own look would read it; a year of birth alone is what Safe Harbor leaves."""
    policy = load_policy(shipped(shipped_policy))
    look = LastLook(policy.listed)
    assert [(example.line, rules) for example in policy.examples if (rules := look.rules_in(example.sends))] == []
    assert (look.rules_in({"dob": "1958"}), look.rules_in({"dob": "03/1958"})) == (frozenset(), {"birth_date"})


def test_each_rule_it_names_is_there():
    """A rule that is renamed elsewhere does not fall out of the look unseen."""
    assert {rule.name for rule in RULES} >= NEVER


# -- what is clean ---------------------------------------------------------------------------------------------------------------------


def _when(draw):
    at = dt.datetime(2026, 1, 1, tzinfo=dt.UTC) + dt.timedelta(minutes=15 * draw.randrange(80_000))
    forms = ("%Y-%m-%dT%H:%MZ", "%Y-%m-%dT%H:%M:%S+02:00", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d", "%Y%m%dT%H%M", "%Y%m%d")
    return at.strftime(draw.choice(forms))


def _confirmation(draw):
    letters, digits = draw.randint(2, 6), draw.randint(3, 8)
    return "".join(draw.choices(string.ascii_uppercase, k=letters)) + "-" + "".join(draw.choices(string.digits, k=digits))


def _sid(draw, kind):
    return kind + "_" + "".join(draw.choices(string.ascii_letters + string.digits, k=12))


TEXTS = (
    "mild fever and a dry cough since the weekend",
    "blood pressure 120/80, pulse 72, 38.5 degrees",
    "take 2 tablets of 500 mg every 6 hours for 10 days",
    "follow-up after 6 weeks, bring the insurance card",
    "Open Monday to Friday, 08:00-18:00; Saturdays 09:00-12:00.",
    "Free at 15:00, 15:30 and 16:45.",
    "The consultation costs 120.50 CHF, code 99213",
    "I10, E11.9 and J45.909 in the history",
    "it hurts, 7 out of 10, since about 3 months",
    "Besoin d'un rendez-vous avant 17h30, s'il vous plaît",
)


def _value(draw, field):
    match field:
        case "confirmation_id":
            return _confirmation(draw)
        case "doctor_name":
            return draw.choice(["Dr. Lee", "Dr. Chen", "Dr. Dubois"])
        case "clinic_location":
            return draw.choice(["Main Clinic", "Lausanne Gare"])
        case "appointment_datetime":
            return _when(draw)
        case "alternatives":
            return [_when(draw) for _ in range(3)]
        case "opens" | "closes":
            return f"{draw.randrange(24):02}:{draw.randrange(60):02}"
        case "available" | "cancelled":
            return draw.choice([True, False])
        case _:
            return draw.choice(TEXTS)


def clean_call(draw, policy):
    """The records of a call in which nothing is anyone's, with every count at any value it may have."""
    call, base = new_id(), 1_700_000_000 * 10**9 + draw.randrange(10**17)
    root = (base, call)

    def record(kind, **facts):
        at = (root, (base + draw.randrange(10**11), new_id()))
        return kind(call=call, id=at[-1][1], at=at, end_ns=at[-1][0] + draw.randrange(10**10), **facts)

    version = f"{draw.randrange(100)}.{draw.randrange(100)}.{draw.randrange(100)}"
    yield CallOpened(call=call, id=call, at=(root,), room_sid=_sid(draw, "RM"), participant_sid=_sid(draw, "PA"), agent_version=version)
    yield record(SessionStarted)
    yield record(Consent, consent="granted", consent_version="v3-2026-01")
    for _ in range(5):
        yield record(UserTurn, outcome="answered")
        yield record(
            AgentTurn,
            outcome="completed",
            ttft_ms=draw.random() * 4000,
            tool_ms=draw.random() * 1e5,
            first_audio_ns=base + 5,
            deployment=draw.choice(["gpt-4o-realtime-preview-2024-12-17", "gpt-realtime-2025-08-28", "gpt-realtime"]),
            input_text=draw.randrange(10**7),
            input_audio=draw.randrange(10**6),
            transcription_s=draw.random() * 1000,
            transcription_model="whisper-1",
        )
        tool = draw.choice([*policy.tools, "nobody_knows"])
        sides = {}
        for side in ("inputs", "outputs"):
            fields = policy.tools[tool].side(side) if tool in policy.tools else ("a", "phone")
            named = {"patient_name", "phone", "email", "dob", "mrn", "address"} if draw.random() < 0.7 else set()
            sides[side] = json.dumps({field: _value(draw, field) for field in sorted(fields) if field not in named})
        yield record(ToolCall, tool=tool, status="ok", arguments=sides["inputs"], output=sides["outputs"])
    yield CallClosed(call=call, id=call, at=(root,), end_ns=base + 10**11, reason="user_initiated", offered=99)


def clean_batch(gate, seed, n):
    draw = random.Random(seed)
    policy = load_policy(shipped("clinic.yaml"), env="dev")
    batch = []
    while len(batch) < n:
        for record in clean_call(draw, policy):
            facts = {
                "policy_digest": gate.digest,
                "cost_usd": round(draw.random() * 50, 6),
                "redactions": {"phone": draw.randrange(10**6), "unknown": 3},
                "usage_metadata": {"input_tokens": draw.randrange(10**7), "total_cost": draw.random()},
            }
            outcome = gate.clear(payload_of(record, project=PROJECT, env="dev", facts=facts))
            assert isinstance(outcome, Cleared), outcome
            batch.append(outcome)
    return batch


@pytest.fixture(scope="module")
def clean(gate):
    return clean_batch(gate, 20_270_315, 2_000)


def test_two_thousand_clean_operations_pass(clean):
    """Not one false alarm: each would stop every agent's telemetry."""
    look = LastLook()
    posted = caught(clean)
    assert len(posted) >= 20
    for request in posted:
        look.look(request)  # raises where it meets anything


def test_clean_operations_arrive(gate, clean):
    """Through the real look, the real client and the real store."""
    with LocalServer(keep_raw=True) as server:
        sink = LangSmithSink(server.url, "k")
        witness = Notebook()
        sink.deliver(clean[:100], witness)
        sink.close()
    assert witness.outcomes == ["http_202"]
    assert witness.postings[0].operations == 100


def test_the_door_lets_one_request_through_at_a_time(gate):
    """Nothing of the client's goes out between two postings, whatever its own reasons are."""
    with Endpoint() as endpoint:
        sink = LangSmithSink(endpoint.url, "k")
        for address in ("/info", "/runs/multipart", "/runs/batch"):
            with pytest.raises(door._Stopped):
                sink._client.session.post(endpoint.url + address, data=b"zqxjk")
        assert endpoint.arrived == []


@pytest.mark.parametrize("what", ["address", "host", "method", "credentials", "stream"])
def test_an_open_door_lets_only_our_own_request_through(gate, what):
    """One address, by POST, without credentials of another kind, with a body that can be read before it leaves."""
    (kept,) = caught([cleared_call(gate)[0][3]])
    posting = Posting("here", (), (), 1, 1, 0, "")
    with Endpoint() as endpoint, Endpoint() as other:
        url = f"{endpoint.url}/runs/multipart"
        changed = {
            "address": {"url": f"{endpoint.url}/runs/batch"},
            "host": {"url": f"{other.url}/runs/multipart"},
            "method": {"method": "PUT"},
            "credentials": {"headers": {**kept.headers, "Authorization": "Basic eDp5"}},
            "stream": {"data": iter([kept.body])},
        }[what]
        headers = {"Content-Type": kept.headers["Content-Type"]}
        with requests.Session() as session:
            own = door.Door(url, LastLook())
            session.mount("http://", own)
            own.open(posting, Notebook())
            session.request(method="POST", url=url, data=kept.body, headers=headers)
            assert len(endpoint.arrived) == 1
            own.open(posting, witness := Notebook())
            with pytest.raises(door._Stopped):
                session.request(**{"method": "POST", "url": url, "data": kept.body, "headers": headers} | changed)
        assert (own.fault.code, witness.postings) == ("unexpected_request", [])
        assert (len(endpoint.arrived), other.arrived) == (1, [])
