"""``phi-audit bench detection``: exit codes, streams, files, bad input, interruption. Detectors are the tests' own, but in one."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from click.testing import CliRunner
from fakes import until

import audit.bench.rivals
from audit import exits
from audit.cli import main
from phi_guard.errors import DetectorUnavailable
from phi_guard.model import Detection


class Finds:
    name = "finds"

    def __init__(self, pattern):
        self._pattern = re.compile(pattern)

    def find(self, text):
        return tuple(Detection(m.start(), m.end(), "PERSON", 0.5, "finds.word") for m in self._pattern.finditer(text))


@pytest.fixture
def corpus(tmp_path):
    """A folder of a written corpus with two names, and talk."""
    folder = tmp_path / "corpora"
    folder.mkdir()
    spans = [{"start": 8, "end": 17, "label": "NAME"}]
    rows = [{"id": f"n{i}", "text": f"this is {who} calling", "spans": spans} for i, who in enumerate(("Ada Byron", "Zoe Abdul"))]
    (folder / "notes.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "carrier_talk.jsonl").write_text(json.dumps({"id": "t", "text": "this hurts", "spans": []}) + "\n")
    return folder


@pytest.fixture
def opened(monkeypatch):
    """Detectors of the test instead of real ones; holds what the command asked for."""
    asked = {}

    def open_all(profiles, *, rival, layers=""):
        asked.update(profiles=profiles, rival=rival, layers=layers)
        detectors = {"presidio-default": Finds("Ada")} if rival else {}
        detectors |= {name: Finds("Ada Byron|Zoe|hurts") for name in profiles}
        return detectors | ({"layer:one": Finds("Ada"), "layer:two": Finds("Zoe")} if layers else {})

    monkeypatch.setattr(audit.bench.rivals, "open_all", open_all)
    return asked


def bench(*args):
    return CliRunner().invoke(main, ["bench", "detection", *map(str, args)])


def test_a_table_on_stdout_and_progress_on_stderr(corpus, opened):
    """Exit 0; the table alone on stdout; each step on stderr; the rival and two profiles by default, and derived styles."""
    done = bench("--corpus", corpus)
    assert done.exit_code == exits.GO
    assert done.stdout.startswith("phi-audit bench detection")
    assert "bench" in done.stderr
    assert "bench:" not in done.stdout
    assert re.search(r"^notes +written +2 +2 +1 \(50\.0%\) +0 +0 ", done.stdout, re.MULTILINE)
    assert all(f"notes+{style}" in done.stdout for style in ("lower", "nopunct", "spoken", "spelled", "filler"))
    assert opened == {"profiles": ("strict", "balanced"), "rival": True, "layers": ""}
    assert done.stderr.splitlines()[:2] == ["bench: reading 2 corpora", "bench: loading detectors"]


def test_json_is_stable_and_into_a_file(corpus, opened, tmp_path):
    """Nothing on stdout; the same figures for the same seed; the profiles asked for, no rival, no styles."""
    told = []
    for name in ("a.json", "b.json"):
        path = tmp_path / name
        done = bench(
            "--corpus", corpus, "--profile", "scan", "--no-rival", "--variants", "none", "--timed", 0, "--format", "json", "-o", path
        )  # fmt: skip
        assert (done.exit_code, done.stdout) == (exits.GO, "")
        told.append(json.loads(path.read_text()))
        told[-1]["setting"].pop("made_at")
    assert told[0] == told[1]
    assert told[0]["schema"] == "bench-detection/1"
    assert told[0]["detectors"] == ["scan"]
    assert told[0]["incomplete"] == ""
    assert [row["name"] for row in told[0]["corpora"]] == ["carrier_talk", "notes"]
    assert told[0]["corpora"][0]["figures"]["scan"]["words_lost"] == 1
    assert opened["rival"] is False


def test_html_and_layers(corpus, opened, tmp_path):
    """The page is a page; layers of the first profile are asked for and shown."""
    path = tmp_path / "page.html"
    assert bench("--corpus", corpus, "--profile", "balanced", "--layers", "--format", "html", "-o", path).exit_code == exits.GO
    assert path.read_text().startswith("<!doctype html>")
    assert "Leaks without it" in path.read_text()
    assert opened["layers"] == "balanced"


def test_predictions_hold_places_and_no_text(corpus, opened, tmp_path):
    """One line a text and detector: id, detector, spans; no word of any text."""
    path = tmp_path / "found.jsonl"
    done = bench("--corpus", corpus / "notes.jsonl", "--profile", "strict", "--variants", "none", "--predictions", path)
    assert done.exit_code == exits.GO
    span = {"entity": "PERSON", "score": 0.5, "source": "finds.word"}
    assert [json.loads(line) for line in path.read_text().splitlines()] == [
        {"corpus": "notes", "id": "n0", "detector": "presidio-default", "spans": [{"start": 8, "end": 11, **span}]},
        {"corpus": "notes", "id": "n0", "detector": "strict", "spans": [{"start": 8, "end": 17, **span}]},
        {"corpus": "notes", "id": "n1", "detector": "presidio-default", "spans": []},
        {"corpus": "notes", "id": "n1", "detector": "strict", "spans": [{"start": 8, "end": 11, **span}]},
    ]
    assert not re.search("Ada|Byron|Zoe|calling", path.read_text())


def test_a_limit_draws_by_the_seed(corpus, opened):
    """With --limit 1 a corpus is one text; two seeds may draw different ones, the same seed does not."""

    def drawn(seed):
        report = json.loads(
            bench("--corpus", corpus, "--limit", 1, "--seed", seed, "--timed", 0, "--variants", "none", "--format", "json").stdout
        )
        (notes,) = (row["figures"]["presidio-default"] for row in report["corpora"] if row["name"] == "notes")
        assert notes["texts"] == 1
        return notes["leaked"]

    assert {drawn(seed) for seed in range(8)} == {0, 1}
    assert drawn(3) == drawn(3)


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ([], "--corpus"),
        (["--corpus", "none.jsonl"], "none.jsonl"),
        (["--corpus", ".", "--profile", "loose"], "loose"),
        (["--corpus", ".", "--variants", "lower,shouted"], "no such style: shouted"),
        (["--corpus", ".", "--variants", ""], "no such style"),
        (["--corpus", ".", "--limit", "0"], "--limit"),
        (["--corpus", ".", "--jobs", "0"], "--jobs"),
        (["--corpus", ".", "--format", "pdf"], "pdf"),
        (["--corpus", ".", "-o", "nowhere/report.txt"], "nowhere/report.txt: cannot be written"),
        (["--corpus", ".", "--predictions", "nowhere/found.jsonl"], "nowhere/found.jsonl: cannot be written"),
        (["--corpus", "."], "holds no .jsonl file"),
    ],
)
def test_usage_faults(tmp_path, monkeypatch, opened, args, said):
    """A bad option or file is exit 2, told on stderr, before anything is loaded."""
    monkeypatch.chdir(tmp_path)
    done = bench(*args)
    assert (done.exit_code, done.stdout) == (exits.USAGE, "")
    assert said in done.stderr
    assert opened == {}


def test_bad_lines_are_told_by_place(tmp_path, opened):
    """Exit 2, file and line, nothing of the line."""
    path = tmp_path / "notes.jsonl"
    path.write_text('{"id": "a", "text": "Ada", "spans": []}\n{"id": "b", "text": "Ada Byron", "spans": [{"start": 0, "end": 99}]}\nAda\n')
    done = bench("--corpus", path)
    assert (done.exit_code, done.stdout) == (exits.USAGE, "")
    assert f"{path}:2: spans[0]" in done.stderr
    assert f"{path}:3: is not JSON" in done.stderr
    assert "Ada" not in done.stderr.replace(str(path), "")


def test_without_the_evaluator_a_cross_check_is_refused(corpus, opened, monkeypatch):
    """Exit 2, and how to install it."""
    monkeypatch.setitem(sys.modules, "presidio_evaluator", None)
    monkeypatch.setitem(sys.modules, "presidio_evaluator.evaluation", None)
    done = bench("--corpus", corpus, "--cross-check")
    assert done.exit_code == exits.USAGE
    assert "pip install presidio-evaluator" in done.stderr


def test_a_detector_that_cannot_load_is_no_result(corpus, monkeypatch):
    """Exit 3 with the reason."""

    def open_all(*_args, **_options):
        msg = "the model is not installed"
        raise DetectorUnavailable(msg)

    monkeypatch.setattr(audit.bench.rivals, "open_all", open_all)
    done = bench("--corpus", corpus)
    assert (done.exit_code, done.stdout) == (exits.UNPROVEN, "")
    assert "the model is not installed" in done.stderr


def test_ctrl_c_reports_what_there_is(corpus, monkeypatch):
    """Interrupted while texts are judged: exit 130, and a report that says it is incomplete."""

    class Interrupts(Finds):
        def find(self, text):
            raise KeyboardInterrupt

    monkeypatch.setattr(audit.bench.rivals, "open_all", lambda *_args, **_options: {"ours": Interrupts("")})
    done = bench("--corpus", corpus, "--timed", 0, "--no-rival", "--variants", "none", "--format", "json")
    assert done.exit_code == exits.INTERRUPTED
    assert json.loads(done.stdout)["incomplete"] == "interrupted after 0 of 3 texts"


def test_ctrl_c_reaches_a_run_in_processes(tmp_path):
    """A real Ctrl-C to the whole group, while processes judge: exit 130, a report, no traceback, and no process left behind."""
    (tmp_path / "slow_bench.py").write_text(
        "import time, audit.bench.rivals, sys\n"
        "class Slow:\n"
        "    name = 'slow'\n"
        "    def find(self, text):\n"
        "        time.sleep(0.05)\n"
        "        return ()\n"
        "def open_all(*args, **options):\n"
        "    return {'slow': Slow()}\n"
        "if __name__ == '__main__':\n"
        "    import slow_bench\n"
        "    audit.bench.rivals.open_all = slow_bench.open_all\n"
        "    from audit.cli import main\n"
        "    main()\n"
    )
    rows = (json.dumps({"id": str(i), "text": "it hurts", "spans": []}) + "\n" for i in range(5_000))
    path = tmp_path / "carrier.jsonl"
    path.write_text("".join(rows))
    args = ["bench", "detection", "--corpus", str(path), "--timed", "0", "--jobs", "2", "--format", "json", "--limit", "4000"]
    root = Path(audit.__file__).parents[1]
    process = subprocess.Popen(
        [sys.executable, "slow_bench.py", *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path,
        start_new_session=True, env={**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{root}"},
    )  # fmt: skip
    assert process.stderr.readline() == "bench: reading 1 corpora\n"
    assert process.stderr.readline() == "bench: loading detectors\n"
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(4)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, "Traceback" in err) == (exits.INTERRUPTED, False), err
    assert re.fullmatch(r"interrupted after [1-9]\d* of 4000 texts", json.loads(out)["incomplete"])
    until(lambda: not _alive(process.pid))


def _alive(group):
    """Processes of a group that run, by what the kernel says of each (proc(5): state and process group follow the name)."""
    stats = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            stats.append(path.read_text().rpartition(")")[2].split())
    return [stat for stat in stats if int(stat[2]) == group and stat[0] != "Z"]


@pytest.mark.slow
def test_real_detectors_beside_presidio(phi_audit, corpus):
    """The command as a process, with the product's own detectors and the rival: all have figures and times, nothing else is said."""
    done = phi_audit("bench", "detection", "--corpus", corpus / "notes.jsonl", "--variants", "none", "--timed", "2", "--format", "json")
    report = json.loads(done.stdout)
    assert done.returncode == 0, done.stderr
    assert report["detectors"] == ["presidio-default", "strict", "balanced"]
    assert report["corpora"][0]["figures"]["strict"]["leaked"] == 0
    assert {t["detector"] for t in report["speed"]} == set(report["detectors"])
    assert all(line.startswith("bench: ") for line in done.stderr.splitlines())


def test_help_shows_examples_and_loads_nothing_heavy():
    """The group's and the command's help."""
    assert "phi-audit bench detection" in CliRunner().invoke(main, ["bench", "--help"]).output
    assert "phi-audit bench detection --corpus" in bench("--help").output
    code = (
        "import sys\nfrom audit.cli import main\n"
        "try:\n    main(['bench', 'detection', '--help'])\nexcept SystemExit as end:\n    assert not end.code\n"
        "heavy = {'spacy', 'presidio_analyzer', 'rich', 'jinja2', 'numpy', 'multiprocessing'} & set(sys.modules)\nassert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 0, done.stderr
