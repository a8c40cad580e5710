"""``phi-audit plan``: the numbers of the published table from the command line."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from audit.cli.plan import plan


def run(*args):
    return CliRunner().invoke(plan, list(args), standalone_mode=False)


def told(*args):
    done = run(*args, "--format", "json")
    assert done.exception is None, done.exception
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    ("options", "n"),
    [
        ((), 2995),
        (("--max-leak", "1%"), 299),
        (("--max-leak", "0.01", "--allow", "2"), 628),
        (("--confidence", "99%"), 4603),
        (("--population", "1000"), 951),
        (("--recall", "0.9"), 3328),
        (("--plan", "iso-2859-aql-0.1"), 125),
        (("--plan", "iso-2859-aql-0.10"), 125),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else str(value),
)
def test_the_table(options, n):
    """Each option gives the number of the table; the schema is named."""
    answer = told(*options)
    assert (answer["schema"], answer["n"]) == ("phi-audit.plan/1", n)


def test_it_says_what_nothing_found_shows():
    """For people: the number, the bound and its name, the two-sided figure, 10 of 50, and that few traces are read by machine."""
    text = run("--population", "10000").stdout
    for words in (
        "Read 2,588 of 10,000",
        "at most 0.090%",
        "hypergeometric",
        "one-sided",
        "two-sided",
        "10 of 50 still leaves 22%",
        "3,000",
    ):
        assert words in text


def test_strata_have_their_own_bounds():
    """Each stratum is told with its part and its own bound; the whole is shown wherever leaks hide."""
    answer = told("--max-leak", "1%", "--stratum", "bookings=900", "--stratum", "errors=60")
    assert [part["name"] for part in answer["parts"]] == ["bookings", "errors"]
    assert answer["bound"]["value"] < 0.01
    assert "errors: read" in run("--max-leak", "1%", "--stratum", "bookings=900", "--stratum", "errors=60").stdout


def test_what_cannot_be_shown_is_told():
    """Fifty traces and a reader who misses a tenth: reading all does not show 0.1 %; exit 3."""
    done = run("--population", "50", "--recall", "0.9")
    assert done.return_value == 3
    assert "does not show it" in done.stdout


@pytest.mark.parametrize(
    "wrong",
    [
        ("--max-leak", "0"),
        ("--max-leak", "150%"),
        ("--population", "9", "--project", "p"),
        ("--stratum", "a"),
        ("--plan", "x"),
        ("--confidence", "1"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else str(value),
)
def test_wrong_options_are_usage_errors(wrong):
    """Exit 2, in words."""
    done = CliRunner().invoke(plan, list(wrong))
    assert done.exit_code == 2
    assert "Error" in done.stderr


def test_a_project_is_counted(tmp_path, fixtures, monkeypatch):
    """The traces of a project of a real local store are counted, each once."""
    import urllib.request

    from tracing.local.trace_store import LocalServer

    monkeypatch.setenv("LANGSMITH_API_KEY", "local")
    with LocalServer(tmp_path / "t.sqlite3") as server:
        for n in range(12):
            body = json.dumps({"post": fixtures.call(n), "patch": []}).encode()
            request = urllib.request.Request(f"{server.url}/runs/batch", body, {"Content-Type": "application/json", "x-api-key": "k"})
            assert urllib.request.urlopen(request).status in {200, 202}
        answer = told("--project", "clinic-dev", "--since", "52w", "--endpoint", server.url, "--max-leak", "10%")
    assert (answer["population"], answer["n"]) == (12, 9)
