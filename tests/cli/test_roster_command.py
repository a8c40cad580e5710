"""``phi-audit roster``: an index built, shown and tried from the command line, without a value told."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from click.testing import CliRunner

from audit.cli.roster import roster
from audit.keys import KeyFileError
from audit.roster import RosterError

PEOPLE = (
    "Patient;Birth;Mobile;Chart;Note\n"
    "Ada Byron;1958-03-14;079 555 01 23;MRN-004813;x\n"
    "Zoë Müller;never;12;;y\n"
    "Grace Long;03/04/1971;(415) 555-0132;7003912;z\n"
)
COLUMNS = "name=Patient,dob=Birth,phone=Mobile,mrn=Chart"
SECRETS = ("Ada", "Byron", "Zoë", "Müller", "1958", "never", "555", "004813")


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Run the command in tmp_path with an audit directory of its own."""
    (tmp_path / "audit").mkdir(mode=0o700)
    monkeypatch.setenv("PHI_AUDIT_DIR", str(tmp_path / "audit"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "people.csv").write_text(PEOPLE, encoding="utf-8")
    return lambda *args: CliRunner().invoke(roster, args)


def test_build_show_and_test(run, tmp_path):
    """An index is built with a key of its own, says what it holds, and finds its people; no value is told on the way."""
    done = run("build", "people.csv", "--columns", COLUMNS, "--now", "2026-11-20T12:00:00Z", "--format", "json")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert (told["schema"], told["people"], told["built_at"]) == ("phi-audit.roster-answer/1", 3, "2026-11-20T12:00:00Z")
    assert told["columns"] == {"name": ["Patient"], "dob": ["Birth"], "phone": ["Mobile"], "mrn": ["Chart"]}
    assert told["bad_lines"] == {"has a value under dob that cannot be used": [3], "has a value under phone that cannot be used": [3]}
    assert "people.csv: 1 times a row has a value under dob that cannot be used; lines 3" in done.stderr
    assert (tmp_path / "audit" / "roster.key").stat().st_mode & 0o777 == 0o600
    shown = run("show", "roster.idx", "--format", "json")
    assert json.loads(shown.stdout)["sha256"] == told["sha256"]
    tried = run("test", "roster.idx", "people.csv", "--row", "1", "--columns", COLUMNS)
    assert (tried.exit_code, tried.stdout.split()) == (0, ["name", "found", "dob", "found", "phone", "found", "mrn", "found"])
    for secret in SECRETS:
        assert secret not in done.output + shown.output + tried.output


def test_what_is_not_on_it_is_said_to_be_not_found(run, tmp_path):
    run("build", "people.csv", "--columns", COLUMNS)
    (tmp_path / "others.csv").write_text("Patient;Birth;Mobile;Chart;Note\nIda Bryson;1960-01-01;0761112233;X-99999;\n", encoding="utf-8")
    done = run("test", "roster.idx", "others.csv", "--row", "1", "--columns", COLUMNS, "--format", "json")
    assert done.exit_code == 1
    assert json.loads(done.stdout)["found"] == {"name": False, "dob": False, "phone": False, "mrn": False}


def test_a_dry_run_leaves_nothing(run, tmp_path):
    done = run("build", "people.csv", "--columns", COLUMNS, "--dry-run")
    assert done.exit_code == 0
    assert "people     3" in done.stdout
    assert not (tmp_path / "roster.idx").exists()
    assert list((tmp_path / "audit").iterdir()) == []


def test_the_headings_own_words_are_enough(run, tmp_path):
    (tmp_path / "fr.csv").write_text("Prénom,Nom,Date de naissance,Téléphone\nAda,Byron,14 mars 1958,079 555 01 23\n", encoding="latin-1")
    done = run("build", "fr.csv")
    assert done.exit_code == 0, done.output
    assert "given: Prénom; surname: Nom; dob: Date de naissance; phone: Téléphone" in done.stdout
    assert "read as latin-1" in done.stderr
    assert run("test", "roster.idx", "fr.csv", "--row", "1").exit_code == 0


def test_a_key_of_ones_own(run, tmp_path):
    """With --key the key is another file; without it the index does not open."""
    assert run("build", "people.csv", "--columns", COLUMNS, "--key", "mine.key").exit_code == 0
    assert len((tmp_path / "mine.key").read_bytes()) == 32
    assert run("test", "roster.idx", "people.csv", "--row", "1", "--columns", COLUMNS, "--key", "mine.key").exit_code == 0
    done = run("test", "roster.idx", "people.csv", "--row", "1", "--columns", COLUMNS)
    assert isinstance(done.exception, KeyFileError)
    run("build", "people.csv", "--columns", COLUMNS, "-o", "other.idx")
    done = run("test", "roster.idx", "people.csv", "--row", "1", "--columns", COLUMNS)
    assert isinstance(done.exception, RosterError)
    assert "built with key" in str(done.exception)


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (("--columns", "name"), "KIND=HEADING"), (("--columns", "colour=Patient"), "no kind of column"),
        (("--columns", "name=Nobody"), "no column has the heading given for name"),
        (("--now", "noon"), "give an instant"), ((), "no heading says"),
    ],
    ids=["no heading", "no kind", "no such heading", "no instant", "nothing known"],
)  # fmt: skip
def test_a_command_line_that_cannot_be_used(run, tmp_path, args, told):
    (tmp_path / "people.csv").write_text("Patient_\nAda Byron\n".replace("Patient_", "Patient" if args else "Wer"), encoding="utf-8")
    done = run("build", "people.csv", *args)
    assert told in done.stderr + str(done.exception)
    assert done.exit_code != 0
    assert not (tmp_path / "roster.idx").exists()


def test_a_row_that_is_not_there(run):
    run("build", "people.csv", "--columns", COLUMNS)
    done = run("test", "roster.idx", "people.csv", "--row", "9", "--columns", COLUMNS)
    assert done.exit_code == 2
    assert "no row 9" in done.stderr


def test_its_help_loads_nothing_heavy():
    """The help is shown without the word lists, pydantic or YAML."""
    code = (
        "import sys\nfrom click.testing import CliRunner\nfrom audit.cli.roster import roster\nfrom audit.cli.baseline import baseline\n"
        "for c in (roster, baseline):\n assert CliRunner().invoke(c, ['--help']).exit_code == 0\n"
        "print([m for m in ('pydantic', 'yaml', 'phi_guard.detect', 'audit.roster', 'audit.baseline') if m in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ, timeout=60)
    assert done.stdout.strip() == "[]"
