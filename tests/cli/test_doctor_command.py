"""``phi-audit doctor``: ways out that bypass the gate, found in an agent's surroundings and code."""

from __future__ import annotations

import json
import os
import stat

import pytest
from click.testing import CliRunner

from audit.cli.doctor import doctor

CLEAN = """
import tracing
from livekit.agents import Agent, AgentSession, JobContext
from livekit.plugins import openai


async def entrypoint(ctx: JobContext):
    tracing.harden(ctx)
    session = AgentSession(llm=openai.realtime.RealtimeModel.with_azure(azure_deployment="gpt-realtime"), vad=None)
    tracing.attach(session, ctx)
    await session.start(Agent(instructions=""), room=ctx.room, room_options=tracing.room_options(), **tracing.start_options())
"""


@pytest.fixture
def run(monkeypatch, tmp_path):
    for name in ("LANGSMITH_TRACING", "LANGCHAIN_TRACING_V2", "LANGSMITH_API_KEY"):
        monkeypatch.delenv(name, raising=False)

    def invoke(*args, source=None, **environment):
        if source is not None:
            agent = tmp_path / "agent"
            agent.mkdir(exist_ok=True)
            (agent / "main.py").write_text(source, encoding="utf-8")
            args = ("--source", str(agent), *args)
        return CliRunner(env=environment).invoke(doctor, [*args, "--format", "json"], standalone_mode=False)

    return invoke


def failed(done):
    told = json.loads(done.stdout)
    assert told["schema"] == "phi-audit.doctor/1"
    assert (told["verdict"], done.return_value) == (("FAIL", 1) if told["counts"]["fail"] else ("PASS", 0))
    return [(row["door"], row["where"]) for row in told["rows"] if row["state"] == "FAIL"]


def test_a_guarded_agent_passes(run):
    """Nothing is open, and nothing about the code is left unjudged."""
    done = run(source=CLEAN)
    assert failed(done) == []
    states = {row["door"]: row["state"] for row in json.loads(done.stdout)["rows"]}
    assert {states[door] for door in ("source.harden", "source.attach", "livekit.recording", "livekit.transcription")} == {"PASS"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LANGSMITH_TRACING", "true"),
        ("LANGCHAIN_TRACING_V2", "1"),
        ("LANGSMITH_TRACING_MODE", "hybrid"),
        ("LANGSMITH_OTEL_ENABLED", "true"),
        ("LANGSMITH_OTEL_ONLY", "true"),
        ("LANGSMITH_RUNS_ENDPOINTS", '{"a": "b"}'),
        ("LANGSMITH_HIDE_INPUTS", "True"),
        ("LANGCHAIN_HIDE_OUTPUTS", "1"),
        ("LANGSMITH_ALLOW_UNPROCESSED_PAYLOADS", "1"),
        ("LANGSMITH_FAILED_TRACES_DIR", "/tmp/x"),
        ("LIVEKIT_OBSERVABILITY_URL", "http://127.0.0.1:1"),
        ("LK_OPENAI_DEBUG", "1"),
        ("LK_DUMP_TTS", "1"),
        ("LK_DUMP_STACK_TRACES", "off"),
        ("LIVEKIT_EVALS_VERBOSE", "1"),
        ("OPENAI_LOG", "debug"),
    ],
)
def test_a_variable_that_opens_a_way_out_fails(run, name, value):
    """Each by its name, with a fix, and never with its value."""
    done = run(source=CLEAN, **{name: value})
    assert [where for _, where in failed(done)] == [name]
    (row,) = (row for row in json.loads(done.stdout)["rows"] if row["state"] == "FAIL")
    assert row["fix"]
    assert "/tmp/x" not in done.stdout


@pytest.mark.parametrize(
    ("name", "value"),
    [("LANGSMITH_TRACING", "false"), ("LANGSMITH_TRACING_MODE", "langsmith"), ("LANGSMITH_HIDE_INPUTS", "true"), ("LK_OPENAI_DEBUG", "0")],
)
def test_a_harmless_value_passes(run, name, value):
    """What opens nothing is not told as open."""
    assert failed(run(source=CLEAN, **{name: value})) == []


@pytest.mark.parametrize(
    ("old", "new", "doors"),
    [
        ("    tracing.harden(ctx)\n", "", ["source.harden"]),
        ("    tracing.attach(session, ctx)\n", "    attach(session, ctx)\n", ["source.attach"]),
        ("**tracing.start_options()", "record=False", ["livekit.session_host"]),
        ("**tracing.start_options()", "record=False, session_host=True", ["livekit.session_host"]),
        ("**tracing.start_options()", "**options", ["livekit.recording", "livekit.session_host"]),
        ("**tracing.start_options()", "record=RECORD, session_host=False", ["livekit.recording"]),
        ("**tracing.start_options()", 'record={"redaction": True}, session_host=False', ["livekit.recording"]),
        ("room_options=tracing.room_options(), ", "", ["livekit.transcription"]),
        ("tracing.room_options()", "room_io.RoomOptions(text_output=True)", ["livekit.transcription"]),
        ("tracing.harden(ctx)", "tracing.harden(ctx, captions=True)", ["livekit.transcription"]),
        ("vad=None", 'vad=None, stt="deepgram/nova-3"', ["livekit.gateway"]),
        ("vad=None", 'vad=None, tracing="auto"', []),  # not a model's option
        ('azure_deployment="gpt-realtime"', 'tracing="auto"', ["livekit.model_tracing"]),
        ("import tracing\n", "import tracing\nfrom langsmith.integrations.livekit import configure_livekit\n", ["livekit"]),
        ("import tracing\n", "import tracing\nfrom langsmith.integrations.openai_realtime import wrap_realtime\n", ["langsmith.spans"]),
        ("import tracing\n", "import tracing\nfrom langsmith.wrappers import wrap_openai as w\n", ["langsmith.client"]),
        ("import tracing\n", "import tracing\nfrom langsmith import traceable\n", ["langsmith.client"]),
        ("import tracing\n", "import tracing\nfrom langsmith import Client\n", ["langsmith.client"]),
        ("    tracing.attach", "    telemetry.set_tracer_provider(p)\n    tracing.attach", ["livekit.spans"]),
    ],
)
def test_what_opens_a_way_out_in_the_code_is_found(run, old, new, doors):
    """With file and line, from the code's text alone."""
    assert old in CLEAN
    found = failed(run(source=CLEAN.replace(old, new)))
    assert [door for door, _ in found] == (["langsmith.livekit"] if doors == ["livekit"] else doors)
    lines = CLEAN.replace(old, new).splitlines()
    for _, where in found:
        name, _, line = where.partition(":")
        assert where == "" or (name == "main.py" and lines[int(line) - 1].strip())


START = "    await session.start("
OTHERS = {
    "another name": ("session", "s"),
    "handed on": (START, "    go = session.start\n    await go("),
    "a partial": (START, "    await functools.partial(session.start, record=True)("),
    "getattr": (START, '    await getattr(session, "start")('),
    "a wrapper of one's own": (START, "    await begin(session, "),
    "a parameter": (
        CLEAN[CLEAN.index("    session =") :],
        "async def run(talk: AgentSession):\n    await talk.start(Agent(instructions=''))\n",
    ),
    "none at all": (CLEAN[CLEAN.index("    await session") :], ""),
    "with": ("    session = AgentSession(", "    async with make() as talk:\n        await talk.start(Agent())\n    AgentSession("),
}


@pytest.mark.parametrize("style", OTHERS)
def test_a_start_that_is_not_seen_to_be_shut_does_not_pass(run, style):
    """What the text does not prove is a note: no door of the start's options is called shut, and none is called open."""
    source = CLEAN.replace(*OTHERS[style])
    assert source != CLEAN
    if style == "another name":
        source = source.replace("s = AgentSession(", "s = build(")
    rows = json.loads(run(source=source).stdout)["rows"]
    doors = ("livekit.recording", "livekit.session_host", "livekit.transcription")
    assert {(row["door"], row["state"]) for row in rows if row["door"] in doors} == {(door, "NOTE") for door in doors}


@pytest.mark.parametrize(
    ("old", "new", "door", "state"),
    [
        ("room_options=tracing.room_options()", "room_options=OPTIONS", "livekit.transcription", "NOTE"),
        ("room_options=tracing.room_options()", "room_options=ours.room_options()", "livekit.transcription", "NOTE"),
        ("room=ctx.room, room_options=tracing.room_options()", "**room", "livekit.transcription", "NOTE"),
        ("**tracing.start_options()", "**ours.start_options()", "livekit.recording", "FAIL"),
        ("    session =", "    so = tracing.start_options()\n    so['record'] = True\n    session =", "livekit.recording", "PASS"),
        ("tracing.harden(ctx)", "tracing.harden(ctx, captions=CAPTIONS)", "livekit.transcription", "NOTE"),
        ("tracing.harden(ctx)", "tracing.harden(ctx, **options)", "livekit.transcription", "NOTE"),
        ("vad=None", "vad=None, stt=STT", "livekit.gateway", "NOTE"),
        ("vad=None", "**options", "livekit.gateway", "NOTE"),
        ('azure_deployment="gpt-realtime"', "**options", "livekit.model_tracing", "NOTE"),
        ("    session =", "    importlib.import_module('langsmith').Client()\n    session =", "langsmith.client", "FAIL"),
        ("    session =", "    importlib.import_module(name)\n    session =", "langsmith.client", "NOTE"),
        ("    session =", "    os.environ['LANGSMITH_TRACING'] = 'true'\n    session =", "source.environment", "FAIL"),
        ("    session =", "    os.environ.setdefault('LK_OPENAI_DEBUG', LEVEL)\n    session =", "source.environment", "FAIL"),
        ("    session =", "    os.environ['LANGSMITH_TRACING'] = 'false'\n    session =", "source.environment", "PASS"),
        ("    session =", "    RoomIO(session, room=ctx.room)\n    session =", "livekit.transcription", "NOTE"),
        ("async def entrypoint(ctx: JobContext)", "async def never()", "source.harden", "NOTE"),
        ("async def entrypoint(ctx: JobContext)", "@server.rtc_session\nasync def begin(job)", "source.harden", "PASS"),
    ],
)
def test_what_cannot_be_read_off_the_text_is_a_note(run, old, new, door, state):
    """Options out of variables, functions of another module's, switches set in code, a harden() that nothing calls."""
    assert old in CLEAN
    rows = json.loads(run(source=CLEAN.replace(old, new)).stdout)["rows"]
    assert {row["state"] for row in rows if row["door"] == door} == {state}


def test_options_changed_before_they_are_given_are_not_ours(run):
    """They were tracing.start_options() when they were made."""
    source = CLEAN.replace("    session =", "    so = tracing.start_options()\n    so['record'] = True\n    session =")
    source = source.replace("**tracing.start_options()", "**so")
    assert [door for door, _ in failed(run(source=source))] == ["livekit.recording", "livekit.session_host"]


def test_a_call_in_a_test_is_no_proof(run, tmp_path):
    """What only a test calls does not run where callers are."""
    (tmp_path / "agent").mkdir()
    (tmp_path / "agent" / "test_main.py").write_text("import tracing\ntracing.harden()\n", encoding="utf-8")
    rows = json.loads(run(source=CLEAN.replace("    tracing.harden(ctx)\n", "")).stdout)["rows"]
    assert [row["state"] for row in rows if row["door"] == "source.harden"] == ["NOTE"]


def test_no_file_stops_it_and_none_is_quoted(run, tmp_path):
    """Binary, endless, looping, nested beyond reason, in another code page, a pipe, with a name that is no text: told, never raised."""
    agent = tmp_path / "agent"
    agent.mkdir()
    said = "Zqxjkvorn"
    for name, content in {
        "binary.py": bytes(range(256)) * 20, "page.py": f"x = '{said}é'\n".encode("latin-1"), "cookie.py": b"# coding: nope\n",
        "deep.py": b"x=" + b"(" * 3000, "signs.py": b"x=" + b"-" * 50_000 + b"1", "sum.py": b"x=" + b"+".join([b"1"] * 20_000),
        "dots.py": b"x" + b".a" * 20_000 + b"()", "calls.py": b"f" + b"()" * 5_000, "long.py": b"x=1\n" * 600_000,
        "broken.py": f"x = '{said}' '{said}\n".encode(), "escape.py": f"x = '{said} \\d' is 1\n".encode(),
    }.items():  # fmt: skip
        (agent / name).write_bytes(content)
    (agent / "loop").symlink_to(agent)
    (agent / "a.py").symlink_to(agent / "b.py")
    (agent / "b.py").symlink_to(agent / "a.py")
    (agent / "zero.py").symlink_to("/dev/zero")
    os.mkfifo(agent / "pipe.py")
    (agent / "cookie.py").rename(os.fsdecode(os.fsencode(agent) + b"/co\xffkie.py"))
    for args in ((), ("--format", "table")):
        done = run(*args, source=CLEAN)
        assert done.exception is None
        assert said not in done.output
    told = CliRunner().invoke(doctor, ["--source", str(agent)], standalone_mode=False)
    unread = [line for line in told.output.splitlines() if "source.unread" in line]
    assert len(unread) == 14  # all but escape.py and main.py
    assert said not in told.output


def test_aliases_and_attributes_are_followed(run):
    """What a name means is where it was imported from, not how it is spelt."""
    source = CLEAN.replace("import tracing\n", "import tracing\nimport langsmith as ls\n", 1) + "\n@ls.traceable\ndef tool(): ...\n"
    assert [door for door, where in failed(run(source=source)) if where == "main.py:14"] == ["langsmith.client"]
    source = CLEAN.replace("import tracing\n", "from tracing import harden as h, attach, room_options, start_options\n", 1)
    source = source.replace("tracing.harden(", "h(").replace("tracing.", "")
    assert failed(run(source=source)) == []


def test_the_code_is_never_run(run, tmp_path):
    """A file with an effect has none, and one that is not Python is told rather than passed over."""
    mark = tmp_path / "ran"
    assert failed(run(source=f"import pathlib\npathlib.Path({str(mark)!r}).touch()\n{CLEAN}")) == []
    assert not mark.exists()
    assert ("source.unread", "main.py:1") in failed(run(source="def (:\n"))
    assert ("source.unread", "main.py") in failed(run(source="x = '\0'\n"))


def test_an_open_runtime_directory_fails(run, tmp_path, monkeypatch):
    """Others may enter it: said with what to do, not with a traceback."""
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o755)
    monkeypatch.setenv("PHI_GUARD_RUNTIME_DIR", str(shared))
    done = run(source=CLEAN)
    assert failed(done) == [("runtime.directory", str(shared))]
    assert stat.S_IMODE(shared.stat().st_mode) == 0o755


@pytest.mark.parametrize(
    ("held", "doors"),
    [
        ({"livekit-agents": "1.9.0"}, ["installed.livekit-agents"]),
        ({"livekit-agents": "1.8.8"}, ["installed.livekit-agents"]),
        ({"langsmith": "0.16.0rc1"}, ["installed.langsmith"]),
        ({"phi-guard": "0.3"}, ["installed.phi-guard"]),
        ({"liveflow": "0.1.0"}, ["installed.recorders"]),
        ({"sentry-sdk": "2.0"}, []),
    ],
)
def test_what_is_installed_is_judged(run, monkeypatch, held, doors):
    """Versions nobody checked, another project's package of our name, and libraries that record by being there."""
    import audit.rehearsal.doctor as module

    real = module._version
    monkeypatch.setattr(module, "_version", lambda name: held.get(name) or real(name))
    done = run(source=CLEAN)
    assert [door for door, _ in failed(done)] == doors
    if not doors:
        assert [row["state"] for row in json.loads(done.stdout)["rows"] if row["door"] == "installed.observers"] == ["NOTE"]


def test_without_source_the_code_is_not_called_shut(run):
    """What was not read is a note, never a pass."""
    rows = json.loads(run().stdout)["rows"]
    assert [row["state"] for row in rows if row["door"] == "source"] == ["NOTE"]
    assert not [row for row in rows if row["door"].startswith("livekit.")]


def test_the_table_says_what_to_do(tmp_path):
    """Failures come first, each with its fix; plain where nobody watches; and the file gets it with -o."""
    agent = tmp_path / "agent.py"
    agent.write_text("from langsmith import traceable\n", encoding="utf-8")
    out = tmp_path / "told.txt"
    done = CliRunner().invoke(doctor, ["--source", str(agent), "-o", str(out)], standalone_mode=False)
    assert (done.return_value, done.stdout) == (1, "")
    text = out.read_text(encoding="utf-8")
    assert text.startswith("FAIL  source.harden: tracing.harden() is called nowhere")
    assert "FAIL  langsmith.client: agent.py:1: traceable: sends arguments" in text
    assert "      -> remove it; tracing.attach(session, ctx) records the call" in text
    assert "\x1b" not in text


@pytest.mark.parametrize("source", ["nowhere", "empty", "notes.txt"])
def test_a_source_without_python_is_a_usage_error(tmp_path, source):
    """Nothing to read is no pass."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("x", encoding="utf-8")
    done = CliRunner().invoke(doctor, ["--source", str(tmp_path / source)])
    assert done.exit_code == 2
    assert "no Python file" in done.output
