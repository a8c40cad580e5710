"""Whatever stands in a file, loading it gives a policy or the list of its faults, never anything else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from phi_guard import PolicyError, load_policy
from phi_guard.policy import shipped
from phi_guard.policy.compiled import Policy

CLINIC = shipped("clinic.yaml").read_text("utf-8")
WORDS = """version default fields tools examples lists environments prod action keep redact shape in number given sends tool inputs outputs
unless_sent a truncate chars datetime (a+)+ <<""".split()  # noqa: SIM905 - one word a line would hide the few that matter
VALUES = st.recursive(
    st.sampled_from(WORDS) | st.integers() | st.floats() | st.booleans() | st.none() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS) | st.integers(), inner, max_size=4),
    max_leaves=20,
)
SECTIONS = st.fixed_dictionaries({}, optional=dict.fromkeys(WORDS[:7], VALUES))


@pytest.fixture(scope="module")
def file(tmp_path_factory) -> Path:
    """A path to write to."""
    return tmp_path_factory.mktemp("junk") / "p.yaml"


def load_junk(file: Path, data: bytes) -> None:
    """Load bytes as a policy; anything but a policy or well-formed faults fails the test."""
    file.write_bytes(data)
    try:
        faults = [] if isinstance(load_policy(file, "prod"), Policy) else ["neither"]
    except PolicyError as refused:
        faults = list(refused.faults) or ["none"]
    lines = len(re.split("\r\n|[\n\r\x85\u2028\u2029]", data.decode("utf-8", "replace")))  # what YAML 1.1 calls a line
    for fault in faults:
        line, _, what = fault.removeprefix(f"{file}:").partition(": ")
        assert line.isdecimal()
        assert 1 <= int(line) <= lines + 1
        assert ": " in what
        assert fault.isprintable()


LIGHT = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@LIGHT
@given(data=st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_random_bytes(file, data):
    """Random bytes and random text."""
    load_junk(file, data)


@LIGHT
@given(value=SECTIONS | VALUES)
def test_random_structure(file, value):
    """YAML of the right words in the wrong places."""
    load_junk(file, yaml.safe_dump(value, allow_unicode=True).encode("utf-8", "surrogatepass"))


@LIGHT
@given(
    at=st.integers(0, len(CLINIC)),
    cut=st.integers(0, 40),
    put=st.sampled_from(["", "*x", "&x ", "!!y ", "]", "}", "'", "\t", "- ", "keep", ": ", "~", "\n"]),
)
def test_a_shipped_file_with_a_slip_of_the_keyboard(file, at, cut, put):
    """The shipped policy with a piece cut out and something typed in."""
    load_junk(file, (CLINIC[:at] + put + CLINIC[at + cut :]).encode())
