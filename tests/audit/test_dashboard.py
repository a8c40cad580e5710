"""The dashboard's pages over HTTP: what is asked is read with suspicion, who asks is checked, and what is shown is escaped."""

from __future__ import annotations

import hashlib
import itertools
import re
import threading
from dataclasses import fields, replace
from datetime import timedelta
from html.parser import HTMLParser
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_calls import NOW, Calls
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.testclient import TestClient

from audit import chain
from audit.calls.index import CallIndex, Choice, Detail, Page, Uses
from audit.calls.records import Call, Media, Spread, ToolUse, Turn
from audit.dashboard import query
from audit.dashboard.access import POLICY, Access, host_of
from audit.dashboard.app import create_app
from audit.dashboard.pages import SHEETS
from audit.dashboard.rendering import STATIC
from audit.dashboard.service import Beside, Service
from audit.source import SourceError
from phi_guard.policy import load_policy, shipped
from phi_guard.switch import SwitchError, SwitchState

HOSTS = frozenset({"testserver"})
TOKEN = "correct-horse-battery-staple"
PATHS = [sheet.path for sheet in SHEETS]


def service_of(source, **options):
    """A service over an index that nothing refreshes but a test."""
    return Service(CallIndex(), lambda window: source, place="made", clock=lambda: NOW, **options)


@pytest.fixture(scope="module")
def service():
    """120 calls of a month."""
    policy = load_policy(shipped("clinic.yaml"))
    held = service_of(Calls(120), beside=Beside(policy=policy, switch=lambda: SwitchState(True, "go", "2026-11-19T10:00:00Z")))
    held.refresh()
    assert held.standing.fault == ""
    yield held
    held.close()


@pytest.fixture(scope="module")
def client(service):
    """A browser that is let in."""
    return TestClient(create_app(service, token=None, hosts=HOSTS))


class Reading(HTMLParser):
    """What of a page would be run or fetched, and its text."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.text = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, *pair) for pair in attrs]

    def handle_data(self, data):
        self.text.append(data)


def sessions_of(answer):
    """Trace ids of a list, in order."""
    return re.findall(r'class="id" href="/sessions/([0-9a-f-]{36})"', answer.text)


@pytest.mark.parametrize("path", PATHS)
def test_every_page_is_there(client, path):
    answer = client.get(path)
    assert answer.status_code == 200
    assert answer.text.count("<h1") == 1
    assert 'aria-current="page"' in answer.text
    assert "UTC" in answer.text


@pytest.mark.parametrize("path", [*PATHS, "/static/style.css", "/nothing", "/sessions/none"])
def test_every_answer_tells_the_browser_what_a_page_may_do(client, path):
    """Also a refusal: scripts, styles and requests from here alone, nothing kept, nobody's frame."""
    headers = client.get(path).headers
    assert headers["content-security-policy"] == POLICY
    assert "unsafe" not in POLICY
    assert headers["cache-control"] == ("no-cache" if path.startswith("/static/") else "no-store")
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"


@pytest.mark.parametrize("path", PATHS)
def test_pages_hold_no_code_and_no_style_of_their_own(client, path):
    page = Reading(client.get(path).text)
    assert [each for each in page.attributes if each[1] == "style" or each[1].startswith("on") or each[1].startswith("hx-on")] == []
    assert "style" not in page.tags
    sources = [value for _, name, value in page.attributes if name in {"src", "hx-get", "action"}]
    assert sources
    assert all(value.startswith("/") and not value.startswith("//") for value in sources)


def test_a_page_of_the_list_leads_to_the_next(client):
    """Each call once, newest first, to the end."""
    seen, path = [], "/sessions?span=all"
    for _ in range(4):
        answer = client.get(path)
        seen += sessions_of(answer)
        following = re.search(r'id="next" href="([^"]+)"', answer.text)
        if following is None:
            break
        path = following[1].replace("&amp;", "&")
    assert len(seen) == len(set(seen)) == 120
    assert [len(part) for part in (seen[:50], seen[50:100], seen[100:])] == [50, 50, 20]


def test_a_list_is_ordered_by_what_is_asked(client, service):
    first = sessions_of(client.get("/sessions?span=all&order=ttft"))[0]
    slowest = max(service.index.each(Choice()), key=lambda detail: detail.call.ttft_max_ms or 0)
    assert first == slowest.call.trace_id
    assert sessions_of(client.get("/sessions?span=all&order=ttft&down=0"))[0] != first


@pytest.mark.parametrize(
    ("asked", "holds"),
    [
        ("env=dev", lambda call: call.env == "dev"),
        ("outcome=failed", lambda call: call.failed),
        ("outcome=open", lambda call: call.end is None),
        ("slower=3", lambda call: (call.ttft_max_ms or 0) > 3000),
        ("project=medical-voice-agent-prod", lambda call: call.project == "medical-voice-agent-prod"),
        ("from=2026-11-10T00:00&to=2026-11-12T00:00", lambda call: 10 <= call.start.day < 12 and call.start.month == 11),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_filter_shows_those_calls_and_no_other(client, service, asked, holds):
    wanted = {detail.call.trace_id for detail in service.index.each(Choice()) if holds(detail.call)}
    assert 0 < len(wanted) < 120
    shown, path = set(), f"/sessions?span=all&{asked}"
    for _ in range(4):
        answer = client.get(path)
        shown |= set(sessions_of(answer))
        following = re.search(r'id="next" href="([^"]+)"', answer.text)
        if following is None:
            break
        path = following[1].replace("&amp;", "&")
    assert shown == wanted


def test_a_session_tells_what_happened(client, service):
    detail = next(each for each in service.index.each(Choice()) if each.tools and each.call.end)
    page = client.get(f"/sessions/{detail.call.trace_id}")
    assert page.status_code == 200
    for part in (detail.call.trace_id, "Why callers waited", "Timeline", "Media beside latency", detail.tools[0].tool, "<svg"):
        assert part in page.text


@pytest.mark.parametrize("trace", ["none", "01a1f7c8-9480-7000-b0a7-94c12d9bd158", "..%2f..%2fetc", "%3Cscript%3E", "a" * 36, "%00"])
def test_a_session_that_is_not_there_is_said(client, trace):
    answer = client.get(f"/sessions/{trace}")
    assert answer.status_code == 404
    assert "No call of that id is here" in answer.text or "There is no such page" in answer.text
    assert "<script>" not in answer.text


@pytest.mark.parametrize(
    "hostile",
    ["span=1;drop", "env=prod'--", "order=cost;", "slower=nan", "slower=1e9", "trace=%25", "trace=zz", "from=yesterday", "after=1'%20or",
     "after=x", "from=9999-12-31T23:59:59-23:59",
     "project=%3Cscript%3Ealert(1)%3C/script%3E", "tool=%00", "down=2", "from=2026-11-12&to=2026-11-10"],
)  # fmt: skip
def test_what_cannot_be_understood_is_said_and_not_repeated(client, hostile):
    """No guess at what was meant, no call shown as if it were the answer, no word of it on the page."""
    answer = client.get(f"/sessions?{hostile}")
    assert answer.status_code == 400
    assert "was not understood" in answer.text
    assert sessions_of(answer) == []
    assert "alert(1)" not in answer.text


@given(st.dictionaries(st.sampled_from(query.KNOWN), st.text(max_size=60), max_size=5))
def test_any_query_is_read_without_a_fault(params):
    """Whatever is asked becomes a choice; links of it are read again without a fault."""
    asked = query.read(params, NOW)
    assert asked.choice.env in {"", "dev", "prod"}
    assert asked.order in query.ORDERS
    linked = query.read(dict(parse_qsl(asked.link()[1:])), NOW)
    assert linked.choice == asked.choice
    assert set(linked.faults) <= set(asked.faults)


def test_names_we_do_not_know_are_left_out(client):
    answer = client.get("/sessions?evil=%3Cscript%3E&span=all")
    assert answer.status_code == 200
    assert "evil" not in answer.text


ATTACK = "\"'><script>window.owned=1</script><img src=x onerror=alert(1)>{{7*7}}${7*7}\u202e"


class Hostile:
    """An index whose every text is an attack: stands in for one whose checks have all failed."""

    def __init__(self, held):
        self._held = held

    def __getattr__(self, name):
        return getattr(self._held, name)

    def projects(self):
        return (ATTACK, "x")

    def tools(self, choice):
        return {ATTACK: (3, 2), f"tool.{ATTACK}": (4, 0)}

    def used(self, choice):
        return {tool: Uses(*counts) for tool, counts in self.tools(choice).items()}

    def errors(self, choice):
        return {ATTACK: 7}

    def redactions(self, choice):
        return {ATTACK: 7}

    def rates(self, since, until, choice):
        held = self._held.rates(since, until, choice)
        return replace(held, by_tool={ATTACK: (3, 2)}, worst={ATTACK: (ATTACK,), "error_rate": (ATTACK,), "ttft_p95": (ATTACK,)})

    def each(self, choice):
        return iter([self.call("")])

    def page(self, choice, **options):
        return Page((self.call("").call,), ATTACK, 1)

    def call(self, trace_id):
        media = Media(3, ATTACK, Spread(1, 2, 3), Spread(1, 2, 3), Spread(1, 2, 3))
        at = {"start": NOW - timedelta(minutes=2), "end": NOW - timedelta(minutes=1)}
        call = filled(Call, agent_media=media, client_media=media, redactions={ATTACK: 3}, **at)
        return Detail(call, (filled(Turn, speaker="agent", **at), filled(Turn, speaker="user", **at)), (filled(ToolUse, **at),))


def filled(kind, **given):
    """A row with an attack in every text and a number in every number."""
    values = {}
    for each in fields(kind):
        told = str(each.type)
        values[each.name] = ATTACK if told == "str" else 3 if told.startswith(("int", "float")) else False if told == "bool" else None
    return kind(**(values | given))


@pytest.mark.parametrize("path", [*PATHS, "/sessions/01a1f7c8-9480-7000-b0a7-94c12d9bd158"])
def test_no_text_of_the_index_becomes_markup(service, path):
    """Every field of every row an attack: it stands on the page as text, or not at all, and no attribute or tag is made of it."""
    hostile = Service(Hostile(service.index), lambda window: None, place=ATTACK, clock=lambda: NOW, beside=service.beside)
    answer = TestClient(create_app(hostile, token=None, hosts=HOSTS)).get(path)
    page = Reading(answer.text)
    assert answer.status_code == 200, answer.text
    assert "owned" in answer.text
    assert "{{7*7}}" in "".join(page.text)
    assert page.tags.count("script") == 2
    assert "img" not in page.tags
    assert [name for _, name, _ in page.attributes if name.startswith("on")] == []


def test_a_source_that_fails_costs_no_page():
    """The fault is said in words with the age of what is shown; what an unknown fault says is not."""
    faults = iter([None, SourceError("unreachable", "made: cannot be reached; check --endpoint"), RuntimeError("Ada Byron")])

    class Broken(Calls):
        def runs(self):
            fault = next(faults)
            if fault:
                raise fault
            yield from super().runs()

    clock = iter(NOW + timedelta(minutes=n) for n in itertools.count())
    held = Service(CallIndex(), lambda window: Broken(3), place="made", clock=lambda: next(clock))
    client = TestClient(create_app(held, token=None, hosts=HOSTS))
    held.refresh()
    whole = held.standing.as_of
    assert "could not be read" not in client.get("/sessions").text
    held.refresh()
    page = client.get("/sessions")
    assert page.status_code == 200
    assert "made: cannot be reached; check --endpoint" in "".join(Reading(page.text).text)
    assert whole.strftime("%Y-%m-%d %H:%M:%S UTC") in page.text
    assert len(sessions_of(page)) == 3
    held.refresh()
    page = client.get("/sessions")
    assert "RuntimeError" in page.text
    assert "Ada Byron" not in page.text
    held.close()


def test_what_was_deleted_at_the_source_is_gone_within_the_hour():
    """The pages read all again once an hour: a call that was purged is no longer there, and until then a part is read."""
    at, spans = [NOW], []

    class Purged(Calls):
        def runs(self):
            kept = list(super().runs())
            gone = {kept[0]["trace_id"]} if at[0] > NOW else set()
            return iter([run for run in kept if run["trace_id"] not in gone])

    def source(window):
        spans.append(window.until - window.since)
        return Purged(5)

    held = Service(CallIndex(), source, place="made", clock=lambda: at[0])
    held.refresh()
    at[0] += timedelta(minutes=30)
    held.refresh()
    assert held.index.page(Choice()).total == 5
    at[0] += timedelta(minutes=31)
    held.refresh()
    assert held.index.page(Choice()).total == 4
    assert [span > timedelta(days=1) for span in spans] == [True, False, True]
    held.close()


def test_a_page_that_cannot_be_made_says_only_its_fault_s_class(service):
    class Faulty(Hostile):
        def projects(self):
            raise ValueError("Ada Byron")

    held = Service(Faulty(service.index), lambda window: None, place="made", clock=lambda: NOW)
    answer = TestClient(create_app(held, token=None, hosts=HOSTS)).get("/sessions")
    assert answer.status_code == 500
    assert "ValueError" in answer.text
    assert "Ada Byron" not in answer.text
    assert "Traceback" not in answer.text


def test_an_empty_store_says_what_to_do():
    held = service_of(Calls(0))
    client = TestClient(create_app(held, token=None, hosts=HOSTS))
    assert "for the first time" in client.get("/sessions").text
    held.refresh()
    for path in PATHS:
        assert client.get(path).status_code == 200
    assert "phi-audit rehearse" in client.get("/sessions").text
    held.close()


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_nothing_can_be_sent_to_a_page(client, method):
    for path in [*PATHS, "/sessions/x", "/static/style.css"]:
        assert client.request(method, path).status_code == 405


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "", "testserver.evil.example", "[::1]"])
def test_a_foreign_host_is_refused(client, host):
    """Against DNS rebinding, for every path, before anything is looked at."""
    for path in ["/", "/sessions", "/static/style.css", "/open?token=x", "/login"]:
        assert client.get(path, headers={"host": host}).status_code == 403


@pytest.mark.parametrize(("header", "name"), [("A.b:80", "a.b"), ("[::1]:80", "::1"), ("127.0.0.1", "127.0.0.1"), ("[::1", "::1")])
def test_a_host_is_read(header, name):
    assert host_of(header) == name


def test_an_address_that_is_too_long_is_refused(client):
    assert client.get("/sessions?trace=" + "a" * 5000).status_code == 414


def shut(answer):
    """Whether a page was refused without a word of a call on it."""
    return answer.status_code in {401, 403, 429} and sessions_of(answer) == [] and "Overview" not in answer.text


def test_the_printed_address_opens_once(service):
    app = create_app(service, token=None, hosts=HOSTS, once="o" * 43)
    mine, theirs = TestClient(app), TestClient(app)
    for path in [*PATHS, "/sessions/x", "/nothing"]:
        assert shut(mine.get(path))
    assert shut(mine.get("/open?token=wrong"))
    assert mine.head("/open?token=" + "o" * 43).status_code == 403
    opened = mine.get("/open?token=" + "o" * 43)
    assert opened.status_code == 200
    cookie = opened.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert mine.get("/sessions").status_code == 200
    assert shut(theirs.get("/open?token=" + "o" * 43))
    assert shut(theirs.get("/sessions"))
    assert shut(theirs.get("/sessions", headers={"cookie": "phi_audit_dashboard=x"}))
    assert shut(theirs.get("/open?token="))


def test_a_token_lets_in(service):
    client = TestClient(create_app(service, token=TOKEN, hosts=HOSTS), follow_redirects=False)
    refused = client.get("/cost")
    assert refused.status_code == 401
    assert refused.headers["hx-refresh"] == "true"
    assert 'type="password"' in refused.text
    assert client.get("/login?token=" + TOKEN).status_code == 401
    wrong = client.post("/login", data={"token": "wrong"})
    assert wrong.status_code == 401
    assert "That is not the token" in wrong.text
    right = client.post("/login", data={"token": TOKEN})
    assert (right.status_code, right.headers["location"]) == (303, "/")
    assert "httponly" in right.headers["set-cookie"].lower()
    assert TOKEN not in right.headers["set-cookie"]
    assert client.get("/cost").status_code == 200


def test_a_form_that_is_too_large_is_refused(service):
    client = TestClient(create_app(service, token=TOKEN, hosts=HOSTS))
    assert "too large" in client.post("/login", content=b"token=" + b"a" * 10_000).text


def test_a_guesser_is_slowed_down():
    """From the third failure on the wait doubles; while it lasts the right token is no answer either; another client does not wait."""
    now = [0.0]
    access = Access(TOKEN, clock=lambda: now[0])
    waits = []
    for _ in range(14):
        assert not access.token_is("wrong", "10.0.0.1")
        waits.append(access.wait_s("10.0.0.1"))
        now[0] += waits[-1]
    assert waits == [0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]
    assert not access.token_is("wrong", "10.0.0.1")
    assert not access.token_is(TOKEN, "10.0.0.1")
    assert access.token_is(TOKEN, "10.0.0.2")
    now[0] += 300
    assert access.token_is(TOKEN, "10.0.0.1")
    assert access.wait_s("10.0.0.1") == 0


def test_too_many_failures_are_answered_429(service):
    client = TestClient(create_app(service, token=TOKEN, hosts=HOSTS))
    for _ in range(3):
        answer = client.post("/login", data={"token": "wrong"})
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) >= 1
    assert client.post("/login", data={"token": TOKEN}).status_code == 429


def test_it_works_under_a_path(service):
    """Mounted by another application, every link leads back under the path, and the cookie is that path's."""
    inner = create_app(service, token=TOKEN, hosts=HOSTS)
    client = TestClient(Starlette(routes=[Mount("/look", inner)]), follow_redirects=False)
    entered = client.post("/look/login", data={"token": TOKEN})
    assert entered.headers["location"] == "/look/"
    assert "path=/look" in entered.headers["set-cookie"].lower()
    for path in PATHS:
        page = Reading(client.get(f"/look{path}").text)
        paths = [value for tag, name, value in page.attributes if name in {"href", "src", "action", "hx-get"} and value[0] == "/"]
        assert len(paths) > 10
        assert [each for each in paths if not each.startswith("/look/")] == []
    assert client.get("/look/static/style.css").status_code == 200


def test_what_is_vendored_is_what_was_taken():
    told = dict(re.findall(r"`([\w.]+\.js)`.*`([0-9a-f]{64})`", (STATIC / "VENDORED.md").read_text(encoding="utf-8")))
    assert told.keys() == {path.name for path in STATIC.glob("*.min.js")}
    for name, digest in told.items():
        assert hashlib.sha256((STATIC / name).read_bytes()).hexdigest() == digest


def test_a_service_reads_by_itself_and_stops():
    """Again and again without being asked, only what may be new; and not after it was closed."""
    windows, twice = [], threading.Event()

    def source(window):
        windows.append(window)
        if len(windows) == 2:
            twice.set()
        return Calls(2)

    held = Service(CallIndex(), source, place="made", every=timedelta(milliseconds=20))
    held.start()
    assert twice.wait(30)
    held.close()
    count = len(windows)
    assert (windows[0].until - windows[0].since).days == 30
    assert windows[1].until - windows[1].since <= timedelta(hours=2, minutes=1)
    assert not any(thread.name == "dashboard-refresh" and thread.is_alive() for thread in threading.enumerate())
    assert len(windows) == count


def test_a_file_that_did_not_change_is_not_read_again():
    read, stamp = [], [1]
    held = Service(CallIndex(), lambda window: read.append(1) or Calls(1), place="made", stamp=lambda: stamp[0])
    held.refresh()
    held.refresh()
    assert len(read) == 1
    stamp[0] = 2
    held.refresh()
    assert len(read) == 2
    held.close()


def test_views_are_kept_until_something_changed():
    held, made = service_of(Calls(1)), []
    for _ in range(2):
        held.keep("x", lambda: made.append(1))
    assert len(made) == 1
    held.refresh()
    held.keep("x", lambda: made.append(1))
    assert len(made) == 2
    for n in range(200):
        held.keep(n, lambda: None)
    assert len(held._kept) == 64
    held.close()


def test_a_switch_that_cannot_be_asked_counts_as_off():
    """The overview and the compliance page are made all the same, and say that nothing is sent."""

    def gone():
        raise SwitchError("redis: no answer")

    held = service_of(Calls(3), beside=Beside(switch=gone))
    held.refresh()
    client = TestClient(create_app(held, token=None, hosts=HOSTS))
    texts = [client.get(path).text for path in ("/", "/compliance")]
    held.close()
    assert "Nothing is sent" in texts[0]
    assert "The switch cannot be asked, which counts as off" in texts[1]


def test_the_log_is_held_against_the_anchor_that_was_named(tmp_path):
    """A log whose tail was cut is told by the copy of its heads kept elsewhere; without that copy it would pass."""
    directory, anchor = tmp_path / "audit", tmp_path / "anchor"
    directory.mkdir(mode=0o700)
    chain.append(directory, "key_made", {"name": "one"}, now=NOW, anchor=anchor)
    before = {path: path.read_bytes() for path in directory.iterdir()}
    chain.append(directory, "key_made", {"name": "two"}, now=NOW, anchor=anchor)
    for path, content in before.items():
        path.write_bytes(content)
    texts = {}
    for name, known in (("with", anchor), ("without", None)):
        service = service_of(Calls(1), beside=Beside(log_dir=directory, anchor=known))
        texts[name] = TestClient(create_app(service, token=None, hosts=HOSTS)).get("/compliance").text
        service.close()
    assert "The chain does not hold" in texts["with"]
    assert "The chain holds" in texts["without"]
