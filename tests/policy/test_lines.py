"""The YAML reader: every place knows its line, and nothing that YAML would quietly change gets by."""

from __future__ import annotations

import pytest

from phi_guard.errors import PolicyError
from phi_guard.policy.lines import DEPTH_MAX, SIZE_MAX, read


@pytest.fixture
def sheet_of(tmp_path):
    """Write text to a file and read it."""

    def write(text: str | bytes):
        path = tmp_path / "f.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read(path)

    return write


def faults_of(sheet) -> list[str]:
    """The faults as ``line: path: what``."""
    with pytest.raises(PolicyError) as refused:
        sheet.check()
    return [fault.removeprefix(f"{sheet.name}:") for fault in refused.value.faults]


def test_every_place_knows_its_line(sheet_of):
    """Keys and list items are found on their own line; a missing key on the nearest line around it."""
    sheet = sheet_of("# comment\na:\n  b: [1,\n    {c: x}]\n")
    assert sheet.value == {"a": {"b": [1, {"c": "x"}]}}
    assert [sheet.line(p) for p in [("a",), ("a", "b"), ("a", "b", 1), ("a", "b", 1, "c"), ("a", "b", 1, "nope"), ("z",)]] == [
        2, 3, 4, 4, 4, 2,
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["no", "on", "yes", "12:30:00", "0791234567", "2027-03-15", "0x1F", "1_000", ".inf", "1e999x", "True"])
def test_text_that_yaml_would_change_stays_text(sheet_of, text):
    """What YAML 1.1 turns into a boolean, a date, an octal or a base-60 number stays as written."""
    assert sheet_of(f"a: {text}").value == {"a": text}


@pytest.mark.parametrize(
    ("text", "value"), [("true", True), ("null", None), ("", None), ("-7", -7), ("0.40", 0.4), ("1e3", 1000.0), ("'7'", "7")]
)
def test_json_values_are_read(sheet_of, text, value):
    """The constants and numbers of JSON are read as such; quoted ones are text."""
    read_as = sheet_of(f"a: {text}").value["a"]
    assert read_as == value
    assert type(read_as) is type(value)


def test_the_first_of_two_equal_keys_stands_and_the_second_is_a_fault(sheet_of):
    """YAML itself keeps the last, so a later ``keep`` would quietly undo a ``redact``."""
    sheet = sheet_of("fields:\n  phone: {action: redact}\n  x: 1\n  phone: {action: keep}\n")
    assert sheet.value["fields"]["phone"] == {"action": "redact"}
    assert faults_of(sheet) == ["4: fields.phone: already given on line 2; keep one of the two"]


@pytest.mark.parametrize(
    ("text", "line", "word"),
    [
        ("a: &x [1]\nb: *x\n", 2, "alias"),
        ("\na: &x 1\n", 2, "anchors"),
        ("a: 1\nb: !!python/object:os.system x\n", 2, "tags"),
        ("a: 1\n---\nb: 2\n", 2, "second document"),
        ("a: 1\n? [x]\n: 2\n", 2, "not a word"),
        ("a: 1\nb: 1e999\n", 2, "too long"),
    ],
)
def test_what_hides_meaning_is_a_fault(sheet_of, text, line, word):
    """Aliases, anchors, tags, second documents, keys that are no words and infinite numbers are named with their line."""
    faults = faults_of(sheet_of(text))
    assert any(fault.startswith(f"{line}: ") and word in fault for fault in faults), faults


def test_an_alias_bomb_is_refused_in_no_time(sheet_of):
    """Nine levels of nine aliases would unfold to 387 million items; none of them is built."""
    rows = ["a0: &a0 [x]"] + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10)]
    assert len(faults_of(sheet_of("\n".join(rows)))) == 91


@pytest.mark.parametrize(
    ("data", "line", "word"),
    [
        (b"a: 1\nb: \xff\n", 2, "UTF-8"),
        (b"a: [1\n", 2, "YAML"),
        (b"a: 1\nb: \x00\n", 2, "YAML"),
        (b"a: 'x\n", 2, "YAML"),
        (b'a: "\\Uffffffff"\n', 1, "YAML"),
        (b"[" * (DEPTH_MAX + 2), 1, "deep"),
        (b"#" * (SIZE_MAX + 1), 1, "bytes"),
    ],
)
def test_what_cannot_be_read_is_one_fault(sheet_of, data, line, word):
    """Bytes that are not UTF-8, not YAML, too deep or too many are one fault with its line."""
    with pytest.raises(PolicyError) as refused:
        sheet_of(data)
    (fault,) = refused.value.faults
    assert f"f.yaml:{line}: file: " in fault
    assert word in fault


def test_a_path_that_is_no_file_is_a_fault(tmp_path):
    """A missing file, a folder and a path with a NUL are refused, not raised as something else."""
    for path, word in [(tmp_path / "none.yaml", "no such file"), (tmp_path, "not a file"), ("a\0b", "file: ")]:
        with pytest.raises(PolicyError, match=word):
            read(path)


def test_a_fault_is_one_printable_line(sheet_of):
    """Line breaks and control characters of the file cannot break the list of faults."""
    sheet = sheet_of('"a\\nb\\e": 1\n"a\\nb\\e": 2\n')
    assert faults_of(sheet) == ["2: a\\nb\\x1b: already given on line 1; keep one of the two"]
