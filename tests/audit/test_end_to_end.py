"""Through the real parts: the gate clears a call full of PHI, the trace store keeps it, the audit reads it back and finds nothing."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
import urllib3

import phi_guard
from audit.assessment import assess
from audit.census import Plan
from audit.detectors import open_detectors
from audit.gates import load_gates
from audit.source import SourceError, Window
from audit.source.langsmith import LangSmithProject
from phi_guard.policy import shipped
from tracing.local.trace_store import Faults, LocalServer

GATES = load_gates(shipped("gates.yaml"))
NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
PATIENT = {
    "patient_name": "Ada Byron", "phone": "+41 79 555 01 23", "email": "ada.byron@example.org", "dob": "1975-12-10",
    "mrn": "MRN 00123456", "address": "12 Rue des Marronniers, 1003 Lausanne", "doctor_name": "Dr. Dubois",
    "appointment_datetime": "2027-03-15T14:00Z", "notes": "Ada Byron, +41 79 555 01 23, had a mild fever since last weekend",
    "Ada Byron's key": {"deep": [41795550123, {"x": "ada.byron@example.org"}]},
}  # fmt: skip
RESULT = {"confirmation_id": "CONF-1234", "result": '{"patient_name": "Ada Byron", "status": "booked for Ada Byron"}'}


@pytest.fixture
def server():
    with LocalServer(faults=Faults()) as running:
        yield running


def store(server, runs):
    answer = urllib3.request("POST", f"{server.url}/runs/batch", json={"post": runs, "patch": []}, headers={"x-api-key": "k"}, timeout=10)
    assert answer.status == 202, answer.data


def source(server, *, project="clinic-dev", days=7):
    window = Window(NOW - timedelta(days=days), NOW)
    return LangSmithProject(endpoint=server.url, api_key="k", project=project, window=window, sleep=lambda _s: None)


def audit(server, policy, detectors, made, *, n=2, **where):
    plan = Plan(policy, "clinic-dev", seed=1, known_answers=n, key=made.KEY, since=NOW - timedelta(days=7), until=NOW)
    return assess(source(server, **where), plan, GATES, lambda: detectors, now=NOW).report


@pytest.mark.parametrize("version", ["v2", "v1"])
def test_clean_and_leaky_stores(server, policy, detectors, made, version):
    """Clean calls in a store give no finding, a planted leak is found, by either version of the reading API."""
    if version == "v1":
        server.faults.change({"status": 404, "remaining": -1, "match": "/api/v2"})
    store(server, [run for n in range(3) for run in made.call(n)])
    clean = audit(server, policy, detectors, made)
    assert (clean.incomplete, clean.findings) == ("", ())
    assert (clean.population.traces, clean.population.runs, clean.population.broken) == (3, 21, 0)
    leak = made.call(3)
    leak[4]["tags"], leak[5]["error"] = ["Ada Byron"], "KeyError: 'Ada Byron'"
    store(server, leak)
    leaky = audit(server, policy, detectors, made)
    assert {f.path for f in leaky.findings} == {"tags[0]", "error"}
    assert leaky.verdict.state == "NO_GO"


def test_what_the_gate_clears_is_clean(server, policy, made):
    """A booking full of PHI goes through the real gate; with the real detectors the audit then finds nothing in the store."""
    gate = phi_guard.open_gate(policy)
    call = made.call(0)
    call[5] |= {"inputs": PATIENT, "outputs": RESULT, "error": "LookupError: Ada Byron not found", "tags": ["Ada Byron"]}
    call[5]["extra"]["metadata"] |= {"caller": "+41 79 555 01 23", "error_type": "LookupError", "error_message": "tool_raised"}
    cleared = [gate.clear(phi_guard.Payload("span", run["name"], run)) for run in call]
    assert all(isinstance(outcome, phi_guard.Cleared) for outcome in cleared)
    store(server, [json.loads(outcome.body) for outcome in cleared])
    report = audit(server, policy, open_detectors(), made, n=1)
    assert (report.incomplete, report.findings) == ("", ())
    assert report.population.untyped == 0
    assert report.population.broken == 0


def test_reasons_from_a_real_server(server, policy, detectors, made):
    """An empty window, a project that is not there and a refused key each come out as UNPROVEN with the reason."""
    store(server, made.call(0))
    assert "holds no run" in audit(server, policy, detectors, made, days=1 / 24).incomplete
    assert "no project" in audit(server, policy, detectors, made, project="other").incomplete
    server.faults.change({"status": 401, "remaining": -1})
    assert "refuses the key" in audit(server, policy, detectors, made).incomplete
    with pytest.raises(SourceError):
        list(source(server).runs())
