"""Each side door: first what leaves through it, then that nothing does once the agent is hardened, and that the call goes on."""

from __future__ import annotations

import pytest

CLOUD = {"LIVEKIT_API_KEY": "k", "LIVEKIT_API_SECRET": "s" * 32}
INSIGHTS = [f"/observability/{name}" for name in ("logs/otlp/v0", "recordings/v0", "traces/otlp/v0")]


@pytest.fixture
def cloud(collector):
    """The collector as the place where LiveKit sends its insights."""
    return {**CLOUD, "LIVEKIT_OBSERVABILITY_URL": collector.url}


def test_livekit_cloud_gets_no_recording_log_or_span(probe, collector, cloud):
    """The project says that sessions are recorded and the agent says nothing: transcript, logs and spans leave, until it is hardened."""
    assert probe("cloud", hardened=False, **cloud)["unanswered"] == 0
    assert collector.leaked() == INSIGHTS
    assert probe("cloud", hardened=True, **cloud)["unanswered"] == 0
    assert collector.written() == []


def test_what_leaves_without_a_session(probe, collector, cloud):
    """The held log lines and the span of an entrypoint that dies, and an RPC's payload and caller."""
    kinds = ("crash", "entrypoint", "payload", "identity")
    probe("quiet", hardened=False, **cloud)
    assert collector.kinds(*kinds) == set(kinds)
    assert probe("quiet", hardened=True, **cloud)["answered"] is True
    assert collector.written() == []


def test_livekits_spans_reach_no_provider(probe, collector, cloud):
    """Neither an ambient one nor one set for LiveKit after hardening; no log record of an outcome's reason leaves. Other spans still do."""
    assert probe("spans", hardened=False, **cloud)["unanswered"] == 0
    assert (collector.leaked(), collector.kinds("tagger")) == (["/v1/logs", "/v1/traces"], {"tagger"})
    assert probe("spans", hardened=True, **cloud)["unanswered"] == 0
    assert (collector.leaked(), collector.written()) == ([], [("POST", "/v1/traces")])


def test_log_records_hold_nothing_that_was_said(probe):
    """With LK_OPENAI_DEBUG set at import too; levels, classes and counts stay, as do the agent's own records and the tracer's eyes."""
    before = probe("logs", hardened=False, LK_OPENAI_DEBUG="1")
    told = {
        "executing tool",
        "conversation_item_added",
        "exception occurred while executing tool",
        "<<<",
        "failed for 'Zqxjkvorn'",
        "late Zqxjkvorn",
    }
    assert told <= set(before["saying"])
    assert any(line.startswith("Task exception was never retrieved") for line in before["saying"])
    assert any("in a helper" in line for line in before["saying"])
    assert before["events"] > 10
    after = probe("logs", hardened=True, LK_OPENAI_DEBUG="1")
    assert (after["saying"], after["events"]) == ([], 0)
    assert after["lines"] >= 12
    assert (after["unanswered"], after["own"], after["named"]) == (0, 1, True)
    assert after["classes"] == before["classes"] == ["", "LookupError"]  # read by tracing.faults from the same records


def test_the_room_sees_no_transcript_and_no_session(probe):
    """Even where the code asks for recording and a session host; no sound is kept on disk. Captions stay where they are asked for."""
    before = probe("room", hardened=False)["asked"]
    assert before == {"unanswered": 0, "topics": ["lk.agent.session", "lk.transcription"], "user_text": True, "audio": True}
    after = probe("room", hardened=True)
    silent = {"unanswered": 0, "topics": [], "user_text": False, "audio": False}
    assert (after["asked"], after["legacy"], after["by_hand"]) == (silent, silent, silent)
    assert after["captions"] == {"unanswered": 0, "topics": ["lk.transcription"], "user_text": True, "audio": False}


def test_no_model_keeps_traces_at_its_provider(probe):
    """A model made before hardening, and changed after; its other options still change."""
    before = probe("model_tracing", hardened=False)
    assert before["traced"] > 0
    assert probe("model_tracing", hardened=True) == {"traced": 0, "speed": True}


@pytest.mark.parametrize("order", ["after", "client"])
def test_langsmiths_sdk_sends_nothing(probe, collector, order):
    """Imported after hardening, or before with a client made; reading goes on, and nobody is raised at who only traces."""
    ways = ("traceable", "runtree", "patched", "error", "direct", "ingested", "feedback", "async", "realtime", "answer", "dataset")
    probe(f"langsmith:{order}", hardened=False, LANGSMITH_TRACING="true")
    assert collector.kinds(*ways) == set(ways)
    assert {path for _, path in collector.written()} >= {"/runs/multipart", "/runs", "/feedback", "/datasets"}
    told = probe(f"langsmith:{order}", hardened=True, LANGSMITH_TRACING="true")
    assert told == {"feedback": True, "dataset": "LangSmithConnectionError", "read": 200, "seen": 4}
    assert collector.written() == [("POST", "/model/chat/completions")]  # the model's own request, which wrap_openai wrapped


def test_langsmiths_opentelemetry_mode_sends_nothing(probe, collector):
    """By the environment and by the client's own argument: neither runs nor LiveKit's spans."""
    assert probe("mode", hardened=False)["unanswered"] == 0
    assert collector.leaked() == ["/otel/v1/traces", "/runs/multipart"]
    assert probe("mode", hardened=True)["unanswered"] == 0
    assert collector.written() == []


def test_langsmiths_livekit_integration_sends_nothing(probe, collector):
    """Switched on before hardening, or after: then the function does nothing, and its processor, added by hand, exports nothing."""
    assert probe("configure_livekit:before", hardened=False) == {"processor": True, "unanswered": 0}
    assert collector.leaked() == ["/otel/v1/traces"]
    assert probe("configure_livekit:before", hardened=True) == {"processor": True, "unanswered": 0}
    assert collector.written() == []
    assert probe("configure_livekit:after", hardened=True) == {"processor": False, "unanswered": 0}
    assert collector.written() == []


SHUT_BY_US = {
    "livekit.cloud_upload", "livekit.recording", "livekit.session_host", "livekit.transcription", "livekit.spans", "livekit.logs",
    "livekit.identifiers", "livekit.debug_switches", "livekit.model_tracing", "livekit.gateway", "langsmith.client", "langsmith.spans",
    "environment",
}  # fmt: skip


def test_the_doors_say_how_they_stand(probe):
    """Open before, shut after; nothing of LiveKit or LangSmith is loaded by hardening; twice is as once; a gateway's model is told."""
    opens = {"LANGSMITH_TRACING": "true", "LANGSMITH_RUNS_ENDPOINTS": "{}", "LK_DUMP_TTS": "1"}
    before = probe("twice", hardened=False, **opens)
    states = {name: state for name, (state, _) in before["doors"].items()}
    assert {name for name in SHUT_BY_US if states[name] != "open"} == set()
    assert "LK_DUMP_TTS" in before["doors"]["environment"][1]
    after = probe("twice", hardened=True, fresh=True, **opens)
    states = {name: state for name, (state, _) in after["doors"].items()}
    assert {name for name in SHUT_BY_US if states[name] != "shut"} == set()
    assert after["environment"] == {"LANGSMITH_TRACING": "false", "LANGSMITH_RUNS_ENDPOINTS": None, "LK_DUMP_TTS": None}
    assert (after["loaded"], after["once"], after["finders"]) == ([], True, 1)
    assert {after["early"][name] for name in ("livekit.spans", "langsmith.client")} == {"not here"}
    assert after["gateway"] == "open"
    if before["hard"] != 0:
        assert before["doors"]["process.core_dumps"][0] == "open"
        assert after["doors"]["process.core_dumps"][1] != before["doors"]["process.core_dumps"][1]


def test_it_is_called_by_the_packages_name(probe):
    """As often as wished: the module of the same name does not take the function's place."""
    assert probe("face", hardened=True) == ["Hardening"] * 4 + [False]


def test_a_livekit_with_other_names_is_told_as_open(probe):
    """Nothing is raised into the agent, no value is logged, and the doors that could not be shut say so."""
    told = probe("broken", hardened=True)
    assert told["saying"] == []
    assert {"livekit.cloud_upload", "livekit.spans"} <= set(told["open"])
    assert "livekit.session_host" not in told["open"]
    assert told["asked"] == [dict.fromkeys(("audio", "traces", "logs", "transcript", "redaction"), False)]
