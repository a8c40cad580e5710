"""What the rounds of a watch come to: gaps, alerts, the switch, and the outcome; and how it is said. Pure."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from audit import exits
from audit.evidence import load_evidence
from audit.watch import Begun, Round, close, switching
from audit.watch.document import FORMATS, evidence, render
from audit.watch.round import AlertLook, Census, SwitchLook, stamp
from phi_guard.switch import SwitchState

T0 = datetime(2026, 3, 10, 9, tzinfo=UTC)
BEGUN = Begun(at=stamp(T0), hours=2.0, every_s=900.0, project="clinic-dev", env="dev", place="a store", policy="0123456789abcdef")
END = T0 + timedelta(hours=2)


def at(minute, **more):
    given = {"state": "CLEAN", "census": Census(calls=3, report="ab" * 32, ttft_p50_ms=640.0, ttft_p95_ms=1200.0), "n": 1} | more
    return Round(at=stamp(T0 + timedelta(minutes=minute)), took_s=1.0, **given)


def rounds(*, without=(), **more):
    """A round a quarter of an hour, some of which are not there."""
    made = [at(minute, n=n) for n, minute in enumerate(range(0, 121, 15), 1) if minute not in without]
    return [*made[:-1], at(120, n=len(made), **more)]


@pytest.mark.parametrize(
    ("seen", "ended", "outcome", "code", "told"),
    [
        pytest.param(rounds(), True, "CLEAN", exits.GO, "", id="clean"),
        pytest.param(rounds(without=(15, 30, 45)), True, "CLEAN", exits.GO, "", id="an hour's gap"),
        pytest.param(rounds(without=(15, 30, 45, 60)), True, "UNPROVEN", exits.UNPROVEN, "nobody looked for 4500 s", id="a gap"),
        pytest.param(rounds(), False, "UNPROVEN", exits.INTERRUPTED, "it was stopped", id="stopped"),
        pytest.param(rounds(state="NO_GO", why="phi_findings: 1"), True, "NO_GO", exits.NO_GO, "phi_findings: 1", id="no-go"),
        pytest.param(rounds(alerts=AlertLook(fired={"leak": ("1", "2")})), True, "NO_GO", exits.NO_GO, "leak 2 times", id="an alert"),
        pytest.param(rounds(alerts=AlertLook(elsewhere={"leak": ("1",)})), True, "NO_GO", exits.NO_GO, "leak 1 time", id="elsewhere"),
        pytest.param(rounds(switch=SwitchLook(off_s=7.0)), True, "NO_GO", exits.NO_GO, "off for 7 s", id="the switch"),
        pytest.param(rounds(census=Census()), True, "UNPROVEN", exits.UNPROVEN, "no call", id="no call"),
        pytest.param(rounds(state="UNFINISHED", why="down"), True, "UNPROVEN", exits.UNPROVEN, "last scan was not finished", id="the last"),
        pytest.param([], True, "UNPROVEN", exits.UNPROVEN, "nobody looked for 7200 s", id="no round"),
    ],
)  # fmt: skip
def test_the_outcome(seen, ended, outcome, code, told):
    closing = close(BEGUN, seen, at=END, ended=ended, report=None)
    assert (closing.outcome, closing.exit_code) == (outcome, code), closing.reasons
    assert told in " ".join(closing.reasons)
    assert bool(closing.reasons) == (outcome != "CLEAN")


def test_a_watch_that_is_too_short_is_not_proven():
    closing = close(BEGUN, rounds()[:5], at=T0 + timedelta(hours=1), ended=True, report=None)
    assert "it lasted 1.00 of 2 hours" in closing.reasons


def test_an_alert_that_no_round_could_judge_is_not_proven():
    blind = [at(15 * n, n=n + 1, alerts=AlertLook(unjudged=("budget",) if n else ("budget", "leak"))) for n in range(9)]
    closing = close(BEGUN, blind, at=END, ended=True, report=None)
    assert closing.reasons == ("alerts that could be judged in no round: budget",)


def test_of_two_accounts_of_an_alert_the_larger_counts():
    """This watch's own judging and that of `alerts watch` see the same alert: it is not counted twice."""
    seen = rounds()
    seen[2] = at(30, n=3, alerts=AlertLook(fired={"leak": ("1",)}, elsewhere={"leak": ("1",), "ttft_p95": ("1",)}))
    seen[3] = at(45, n=4, alerts=AlertLook(elsewhere={"leak": ("1",)}))
    assert close(BEGUN, seen, at=END, ended=True, report=None).monitoring.alerts == {"leak": 2, "ttft_p95": 1}


def test_the_evidence_is_what_the_gates_read(tmp_path):
    closing = close(BEGUN, rounds(alerts=AlertLook(fired={"error_rate_2": ("1",)})), at=END, ended=True, report=None)
    path = tmp_path / "monitoring.json"
    path.write_text(json.dumps(evidence(closing.monitoring)))
    assert load_evidence([path]).monitoring == closing.monitoring


@pytest.mark.parametrize("fmt", FORMATS)
def test_every_format_says_what_differed(fmt):
    seen = rounds()
    seen[2] = at(30, n=3, state="UNFINISHED", why="127.0.0.1 cannot be reached")
    seen[3] = at(45, n=4, alerts=AlertLook(fired={"leak": ("1",)}, firing=("leak",)))
    seen[4] = at(60, n=5, switch=SwitchLook(on=False, at=stamp(T0 + timedelta(minutes=50)), hold="leak", off_s=600.0, changed=True))
    text = render(close(BEGUN, seen, at=END, ended=True, report=None), fmt)
    for told in ("cannot be reached", "clean again", "alert leak fired", "alert leak was over", "switch was off since 2026-03-10 09:50:00"):
        assert told in text
    assert ("NO-GO" if fmt != "json" else '"outcome": "NO_GO"') in text
    if fmt == "json":
        assert json.loads(text)["schema"] == "phi-audit.watch/1"


def minutes(n):
    return T0 + timedelta(minutes=n)


ON, OFF = SwitchLook(on=True, at=stamp(minutes(-60))), SwitchLook(on=False, at=stamp(minutes(-5)))


@pytest.mark.parametrize(
    ("before", "state", "off_s"),
    [
        pytest.param(ON, SwitchState(True, "", stamp(minutes(-60))), 0, id="on"),
        pytest.param(ON, SwitchState(False, "", stamp(minutes(10))), 300, id="off since ten past"),
        pytest.param(OFF, SwitchState(False, "", stamp(minutes(-5))), 900, id="still off"),
        pytest.param(OFF, SwitchState(True, "", stamp(minutes(5))), 300, id="on since five past"),
        pytest.param(ON, SwitchState(True, "", stamp(minutes(5))), 300, id="set on anew: off before, nobody knows how long"),
        pytest.param(ON, SwitchState(False, "no file", ""), 900, id="off for a doubt"),
        pytest.param(None, SwitchState(True, "", stamp(minutes(-60))), 0, id="the first look, on"),
        pytest.param(None, SwitchState(False, "", stamp(minutes(-60))), 900, id="the first look, off"),
    ],
)
def test_how_long_telemetry_was_off(before, state, off_s):
    """A quarter of an hour between two looks."""
    assert switching.look(lambda: state, before, minutes(0), minutes(15)).off_s == off_s
