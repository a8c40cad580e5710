"""``phi-guard.toml``: what it may say, where it is found, and what wins over what."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phi_guard.project_file import (
    NAME,
    ProjectFileError,
    as_environment,
    chosen_env,
    find_file,
    named_file,
    read_file,
    with_file,
)
from phi_guard.project_keys import KEYS, text_of

FILE = """\
[project]
env = "dev"
policy = "policies/clinic.yaml"

[relay]
outbox_max_mb = 64
state = "/var/lib/phi-guard"

[switch]
where = "switch.json"

[audit]
since = "36h"
sample = 0

[environments.dev]
project.name = "ours-dev"

[environments.prod.project]
name = "ours-prod"
endpoint = "https://eu.api.smith.langchain.com"
"""


NOT = "is not what it should be; write"
NUMBER = f"{NOT} a number above 0, without quotes"
SHARE = f"{NOT} a number above 0 and up to 1, without quotes"
TOML = "cannot be read as TOML: a quote or bracket is missing, or a key is there twice; text stands in quotes"


@pytest.fixture
def write(tmp_path):
    def make(text, directory=tmp_path):
        directory.mkdir(parents=True, exist_ok=True)
        path = directory / NAME
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return make


@pytest.fixture
def faults(write):
    def read(text):
        path = write(text)
        with pytest.raises(ProjectFileError) as found:
            read_file(path)
        assert all(one.startswith(f"{path}:") for one in found.value.faults)
        return [one.removeprefix(f"{path}:") for one in found.value.faults]

    return read


def test_what_it_says_as_variables(write, tmp_path):
    """Paths from the file's own directory, numbers as text, and the part of the environment that is in force."""
    file = read_file(write(FILE))
    common = {
        "PHI_GUARD_POLICY": str(tmp_path / "policies/clinic.yaml"), "PHI_GUARD_OUTBOX_MAX_MB": "64",
        "PHI_GUARD_STATE_DIR": "/var/lib/phi-guard", "PHI_GUARD_SWITCH": str(tmp_path / "switch.json"), "PHI_AUDIT_SINCE": "36h",
        "PHI_AUDIT_SAMPLE": "0",
    }  # fmt: skip
    assert as_environment(file) == common | {"PHI_GUARD_ENV": "dev", "PHI_GUARD_PROJECT": "ours-dev", "LANGSMITH_PROJECT": "ours-dev"}
    assert as_environment(file, "prod") == common | {
        "PHI_GUARD_ENV": "prod", "PHI_GUARD_PROJECT": "ours-prod", "LANGSMITH_PROJECT": "ours-prod",
        "LANGSMITH_ENDPOINT": "https://eu.api.smith.langchain.com",
    }  # fmt: skip
    assert {one.key.name: one.line for one in file.settings}["project.endpoint"] == 21
    assert {one.line for one in file.settings if one.key.name == "project.name"} == {17, 20}


def test_the_environment_wins(write):
    """What is set stays, and an empty variable is not set."""
    write(FILE)
    start = write(FILE).parent
    merged = with_file({"PHI_GUARD_POLICY": "/mine.yaml", "PHI_GUARD_OUTBOX_MAX_MB": "", "OTHER": ""}, start=start)
    assert merged["PHI_GUARD_POLICY"] == "/mine.yaml"
    assert merged["PHI_GUARD_OUTBOX_MAX_MB"] == "64"
    assert merged["OTHER"] == ""
    assert with_file({"PHI_GUARD_ENV": "prod"}, start=start)["LANGSMITH_PROJECT"] == "ours-prod"
    assert with_file({"PHI_GUARD_ENV": "dev"}, "prod", start)["LANGSMITH_PROJECT"] == "ours-prod"
    assert with_file({"PHI_GUARD_CONFIG": "none"}, start=start) == {"PHI_GUARD_CONFIG": "none"}


def test_a_file_that_changed_is_read_again(write):
    """The same file is read once; another content is another file."""
    path = write(FILE)
    assert with_file({}, start=path.parent)["PHI_AUDIT_SINCE"] == "36h"
    path.write_text(FILE.replace("36h", "14d"), "utf-8")
    os.utime(path, ns=(1, 1))
    assert with_file({}, start=path.parent)["PHI_AUDIT_SINCE"] == "14d"


@pytest.mark.parametrize(
    ("arguments", "env"),
    [
        (["scan", "--env", "prod"], "prod"),
        (["scan", "--env=dev"], "dev"),
        (["scan", "--env", "staging"], ""),
        (["scan", "--env"], ""),
        (["scan"], ""),
        ([], ""),
    ],
    ids=["two", "one", "third", "open", "none", "empty"],
)
def test_the_environment_that_a_command_line_names(arguments, env):
    """The file's part must be of the environment that is worked on."""
    assert chosen_env(arguments) == env


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[project]\npolcy = 'x'", "2: project.polcy: there is no such key; did you mean policy?"),
        ("[projct]\n", "1: projct: there is no such section; did you mean project?"),
        ("policy = 'x'", "1: policy: there is no such section; there are alerts, audit, project, relay, sampling, switch, environments"),
        ("project = 1", "1: project: is a section: write [project]"),
        ("environments = 1", "1: environments: is no section; write [environments.dev] or [environments.prod]"),
        ("[environments]\nprod = 1", "2: environments.prod: is no section; write [environments.prod]"),
        ("[environments.staging]\n", "1: environments: there are dev and prod and no third environment; write one of these"),
        ("[project]\nenv = 'staging'", f'2: project.env: {NOT} "dev" or "prod"; there is no third environment'),
        (
            "[environments.dev]\nproject.env = 'prod'",
            "2: environments.dev.project.env: there is no such key; there are name, policy, pricing, gates, endpoint",
        ),
        ("[relay]\noutbox_max_mb = '512'", f"2: relay.outbox_max_mb: {NUMBER}"),
        ("[sampling]\nrate = 0", f"2: sampling.rate: {SHARE}"),
        ("[sampling]\nrate = 1.01", f"2: sampling.rate: {SHARE}"),
        ("[sampling]\nrate = nan", f"2: sampling.rate: {SHARE}"),
        ('[sampling]\nrate = "0.2"', f"2: sampling.rate: {SHARE}"),
        ("[environments.prod.sampling]\nrate = -1", f"2: environments.prod.sampling.rate: {SHARE}"),
        ("[sampling]\nfrom_calls_per_day = 1.5", f"2: sampling.from_calls_per_day: {NOT} a whole number of 0 or more, without quotes"),
        (
            "[sampling]\nkeep_errors = true",
            "2: sampling.keep_errors: there is no such key; there are rate, keep_slow_ms, from_calls_per_day",
        ),
        ("[relay]\noutbox_ttl_h = 0", f"2: relay.outbox_ttl_h: {NUMBER}"),
        ("[relay]\noutbox_ttl_h = nan", f"2: relay.outbox_ttl_h: {NUMBER}"),
        ("[relay]\noutbox_ttl_h = true", f"2: relay.outbox_ttl_h: {NUMBER}"),
        ("[audit]\n\nsample = 1.5", f"3: audit.sample: {NOT} a whole number of 0 or more, without quotes"),
        ("[audit]\nsince = '7 days'", f'2: audit.since: {NOT} a number and a unit, such as "90m", "36h", "7d" or "2w"'),
        (
            "[project]\npolicy = ['a']",
            f"2: project.policy: {NOT} a path in quotes; it is taken from the file's own directory",
        ),
        (
            "[project]\nendpoint = 'ftp://x'",
            f"2: project.endpoint: {NOT} an http:// or https:// address without a user, in quotes",
        ),
        ("[project]\nname = 'a\\nb'", f"2: project.name: {NOT} a name of letters, digits, . _ - and spaces, in quotes"),
        (
            "[project]\npolicy = 'a\tb'",
            f"2: project.policy: {NOT} a path in quotes; it is taken from the file's own directory",
        ),
        ("[project]\nname = x", f"2: file: {TOML}"),
        ("[project]\nname = 'a'\nname = 'b'", f"3: file: {TOML}"),
        (b"\xff\xfe", "1: file: is not UTF-8; save it as UTF-8"),
        ("# " + "x" * 300_000, "1: file: is over 256 KB; it is no settings file"),
        ("a = " + "[" * 5_000, "1: file: is nested too deep; write [sections] of one level"),
    ],
    ids=[
        "key", "section", "no-section", "section-value", "environments-value", "env-value", "third", "env-third", "env-in-overlay",
        "quoted", "share-zero", "share-above", "share-nan", "share-quoted", "share-in-overlay", "calls-fraction", "sampling-key", "zero",
        "nan", "bool", "fraction", "days", "list", "ftp", "newline", "tab", "unquoted",
        "twice", "utf-16", "large", "deep",
    ],
)  # fmt: skip
def test_what_is_refused(faults, text, fault):
    """Each with its line, what is wrong and what to write; never with what the file says."""
    assert faults(text) == [fault]


def test_every_fault_at_once(faults):
    """In the order of the lines."""
    found = faults("[project]\npolcy = 'x'\nenv = 'qa'\n[relay]\noutbox_max_mb = -1\n[what]\n")
    assert [one.split(":")[0] for one in found] == ["2", "3", "5", "6"]


@pytest.mark.parametrize(
    "line",
    [
        "name = 'lsv2_pt_0123456789abcdef'",
        "# name = 'lsv2_sk_0123456789abcdef'",
        "endpoint = 'https://hooks.slack.com/services/T0/B0/x'",
        "endpoint = 'https://ada:geheim@h'",
        "name = 'sk-0123456789abcdefghij'",
        "name = 'APIabcdefgh1234'",
        "policy = '-----BEGIN PRIVATE KEY-----'",
        "name = 'eyJhbGciOiJIUzI1.eyJpc3MiOiJB'",
    ],
    ids=["langsmith", "in-a-comment", "slack", "password", "openai", "livekit", "private", "jwt"],
)
def test_a_secret_is_refused_and_not_repeated(faults, line):
    """Wherever it stands: what is committed is read by many."""
    found = faults(f"[project]\n{line}\n")
    assert any(one.startswith("2: secret: holds what looks like a key") for one in found)
    assert not any(word in " ".join(found) for word in ("0123", "geheim", "abcdefgh", "/services/", "BEGIN", "eyJ"))


@pytest.mark.parametrize("name", ["api_key", "langsmith_api_key", "slack_webhook", "password", "token", "client_secret"])
def test_a_key_that_asks_for_a_secret_is_told_apart(faults, name):
    """Not an unknown key to be spelt otherwise, but one that belongs elsewhere."""
    (found,) = faults(f"[project]\n{name} = 'x'\n")
    assert "secrets do not belong into this file; give it by the environment" in found


def test_a_redis_switch_without_its_password(write, faults):
    """An address with a password is a secret; one without is a setting."""
    file = read_file(write("[switch]\nwhere = 'rediss://switch.example.org:6380/0#fleet'\n"))
    assert as_environment(file) == {"PHI_GUARD_SWITCH": "rediss://switch.example.org:6380/0#fleet"}
    assert any("secret" in one for one in faults("[switch]\nwhere = 'redis://:geheim@h/0'\n"))


def test_where_it_is_found(write, tmp_path):
    """Upwards from the working directory, as far as the repository's root and the home directory, which may hold one themselves."""
    home = tmp_path / "home"
    deep = home / "work" / "repository" / "agent" / "src"
    deep.mkdir(parents=True)
    outer = write(FILE, home.parent)
    assert find_file(home.parent, home) == outer
    assert find_file(deep, home) is None
    own = write(FILE, home)
    assert find_file(deep, home) == own
    (home / "work" / "repository" / ".git").mkdir()
    assert find_file(deep, home) is None
    inner = write(FILE, home / "work" / "repository")
    assert find_file(deep, home) == inner


def test_a_file_that_another_could_have_written_is_refused(write, tmp_path):
    """A settings file in a shared directory could point the endpoint elsewhere."""
    path = write(FILE)
    path.chmod(0o646)
    with pytest.raises(ProjectFileError, match="another user could have written it"):
        find_file(tmp_path, tmp_path)
    path.chmod(0o664)
    assert find_file(tmp_path, tmp_path) == path
    path.unlink()
    path.mkdir()
    assert find_file(tmp_path, tmp_path) is None


def test_the_file_that_is_named(write, tmp_path, faults):
    """A variable names it, or says that there is none; one that is not there is a fault and not passed over."""
    path = write(FILE)
    assert named_file({"PHI_GUARD_CONFIG": str(path)}, Path("/")) == path
    assert named_file({"PHI_GUARD_CONFIG": "none"}, tmp_path) is None
    with pytest.raises(ProjectFileError, match=r"gone\.toml:1: file: cannot be read"):
        with_file({"PHI_GUARD_CONFIG": str(tmp_path / "gone.toml")})


def test_a_working_directory_that_is_gone(tmp_path):
    """No file, and no traceback into an agent."""
    code = "import os, sys; os.rmdir(os.getcwd()); from phi_guard.project_file import with_file; print(with_file({'A': 'b'}))"
    gone = tmp_path / "gone"
    gone.mkdir()
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run([sys.executable, "-c", code], cwd=gone, env=environ, capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.stderr) == ("{'A': 'b'}", "")


def test_what_reading_loads():
    """An agent that has no file pays for no TOML, one that has pays for nothing heavy."""
    code = (
        "import sys; import phi_guard.project_file as p; from pathlib import Path; p.with_file({}, start=Path('/')); "
        "assert 'tomllib' not in sys.modules; "
        "bad = {'pydantic', 'yaml', 'rich', 'click', 'requests', 'urllib3', 'difflib'} & set(sys.modules); assert not bad, bad"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])})


@given(st.text(max_size=200))
def test_no_text_brings_a_traceback(tmp_path_factory, text):
    """Whatever is in the file: it holds, or it is refused with its lines."""
    path = tmp_path_factory.getbasetemp() / "any.toml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    faults = ()
    try:
        read_file(path)
    except ProjectFileError as fault:
        faults = fault.faults
    assert all(one.startswith(f"{path}:") for one in faults)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        max_leaves=5,
    )
)
def test_what_is_taken_can_be_a_variable(value):
    """A value becomes a text of one line that a process can be given, or is refused."""
    for key in KEYS:
        text = text_of(key.kind, value, Path("/base"))
        assert text is None or (isinstance(text, str) and text and "\n" not in text and "\0" not in text)
