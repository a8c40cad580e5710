"""A store of 2,000 traces with every leak we could think of, and the same store without: one scan each, as a process, in every format."""

from __future__ import annotations

import copy
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest
import stores
from pypdf import PdfReader
from scipy.stats import beta

from audit.verification import verify_report

N = 2_000
LEAKS = {**stores.PLANTS, **stores.MORE}
FILES = {"json": "r.json", "html": "r.html", "md": "r.md", "pdf": "r.pdf", "sarif": "r.sarif", "junit": "r.xml", "csv": "r.csv"}
SHORT = 9
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


class Scanned:
    """One scan: what it said, wrote and left behind."""

    def __init__(self, folder: Path, calls, audit: Path):
        folder.mkdir()
        file = stores.write_jsonl(folder / "store.jsonl", calls)
        outputs = [word for fmt, name in FILES.items() for word in (f"--{fmt}", str(folder / name))]
        command = [sys.executable, "-m", "audit", "scan", "--from", str(file), "--known-answers", "1", "--seed", "1"]
        command += ["--now", "2026-11-20T12:00:00Z", *outputs]
        environment = {**os.environ, "PHI_AUDIT_DIR": str(audit)}
        self.done = subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment, check=False, timeout=500)
        assert (folder / "r.json").exists(), self.done.stderr
        self.report = json.loads((folder / "r.json").read_text(encoding="utf-8"))
        self.texts = {"stdout": self.done.stdout, "stderr": self.done.stderr}
        for fmt, name in FILES.items():
            if fmt == "pdf":
                self.texts[fmt] = "\n".join(page.extract_text() for page in PdfReader(folder / name).pages)
            else:
                self.texts[fmt] = (folder / name).read_text(encoding="utf-8")

    @property
    def leaking(self):
        return {f["trace_id"] for f in self.report["findings"] if f["severity"] != "low"}


@pytest.fixture(scope="module")
def audit(tmp_path_factory):
    """The audit's own directory, which both scans use: the second scans only what the first has not seen."""
    made = tmp_path_factory.mktemp("audit")
    made.chmod(0o700)
    return made


@pytest.fixture(scope="module")
def planted():
    return stores.leaky(N, 1, LEAKS)


@pytest.fixture(scope="module")
def leaky(planted, audit, tmp_path_factory):
    return Scanned(tmp_path_factory.mktemp("leaky") / "of", planted[0], audit)


@pytest.fixture(scope="module")
def clean(leaky, audit, tmp_path_factory):
    return Scanned(tmp_path_factory.mktemp("clean") / "of", list(stores.invent(N, 1)), audit)


def test_every_leak_is_found_and_nothing_else(leaky, planted):
    """Each leaking trace has a finding that fails, no other has one; NO-GO, exit 1."""
    where = planted[1]
    missed = sorted(what for what, (trace, _) in where.items() if trace not in leaky.leaking)
    assert missed == []
    assert leaky.leaking - {trace for trace, _ in where.values()} == set()
    assert (leaky.done.returncode, leaky.report["verdict"]["state"], leaky.report["bound"]["leaking"]) == (1, "NO_GO", len(LEAKS))


def test_no_output_holds_a_value(leaky, planted, audit):
    """No value that leaked stands on a stream, in a report of any format, or in a file the audit keeps."""
    values = {value for _, hidden in planted[1].values() for value in hidden}
    assert len(values) > 60
    for where, text in leaky.texts.items():
        assert len(text) > 1_000 or where == "stderr", where
        assert not [1 for value in values if _holds(text, value) or _holds(text, json.dumps(value)[1:-1])], f"{where} holds a value"
        if where in {"pdf", "stdout"}:  # these break lines
            flat = re.sub(r"\s", "", text)
            assert not [1 for value in values if len(value) >= SHORT and re.sub(r"\s", "", value) in flat], f"{where} holds a value"
    kept = [path for path in audit.rglob("*") if path.is_file()]
    assert len(kept) >= 4  # key, results, cache, log
    for path in kept:
        content = path.read_bytes()
        assert not [1 for value in values if len(value) >= SHORT and value.encode() in content], f"{path.name} holds a value"


def _holds(text, value):
    """Whether a text holds a value; five digits stand by chance in many a digest, so a short value must stand alone."""
    return value in text if len(value) >= SHORT else re.search(rf"(?<!\w){re.escape(value)}(?!\w)", text) is not None


def test_the_clean_store(clean):
    """No finding, no gate failed; what is missing is evidence alone: UNPROVEN, exit 3."""
    assert clean.done.returncode == 3, clean.done.stderr
    assert clean.leaking == set()
    gates = {gate["name"]: gate["state"] for gate in clean.report["gates"]}
    assert gates["phi_findings"] == "proven"
    assert "failed" not in gates.values()
    assert clean.report["incomplete"] == ""


def test_the_bound_is_scipys(clean, leaky):
    """The bound is that of Clopper and Pearson, one-sided at 95 %, and then divided by the weakest recall that was shown."""
    for scanned in (clean, leaky):
        bound, found = scanned.report["bound"], len(scanned.leaking)
        assert (bound["traces"], bound["leaking"]) == (N, found)
        upper = float(beta.ppf(0.95, found + 1, N - found))
        assert bound["upper"] == pytest.approx(upper, rel=1e-6)
        recall = min(row["at_least"] for row in scanned.report["known_answers"]["rows"])
        assert bound["adjusted"] == pytest.approx(min(1.0, upper / recall), rel=1e-6)


def test_a_changed_report_does_not_hold(leaky, tmp_path):
    """Whatever is changed, taken away or added, however small, is found; and so is a report that was cut."""
    path = tmp_path / "r.json"
    places = list(_places(leaky.report, ()))
    assert len(places) > 400
    for place in Random(1).sample(places, 60):
        path.write_text(json.dumps(_changed(copy.deepcopy(leaky.report), place)), encoding="utf-8")
        assert verify_report(path).faults, place
    path.write_text(json.dumps(leaky.report), encoding="utf-8")
    assert not verify_report(path).faults
    path.write_bytes(path.read_bytes()[:40_000])
    cut = subprocess.run([sys.executable, "-m", "audit", "verify", str(path)], capture_output=True, text=True, check=False, timeout=100)
    assert (cut.returncode, cut.stderr) == (4, "")
    assert "is cut" in cut.stdout


def _places(held, place):
    inner = held.items() if isinstance(held, dict) else enumerate(held) if isinstance(held, list) else ()
    if place:
        yield place
    for name, value in inner:
        yield from _places(value, (*place, name))


def _changed(report, place):
    """The report with one value changed: a number by one, a text by a letter, a list or a mapping by what it holds."""
    *above, last = place
    held = report
    for name in above:
        held = held[name]
    value = held[last]
    match value:
        case bool():
            held[last] = not value
        case int() | float():
            held[last] = value + 1
        case str():
            held[last] = value + "x"
        case list():
            value.append(value[-1] if value else 1)
        case dict():
            value["more"] = 1
        case None:
            held[last] = 1
    return report
