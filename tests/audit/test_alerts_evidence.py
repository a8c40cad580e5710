"""The rehearsal of alerts as evidence of the gate: of which environment's rules it is, and whether a quiet day was quiet."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from audit.alerts import load_rules
from audit.binding import Subject, rules_digest
from audit.evidence import load_evidence
from audit.gates import Evidence, judge, load_gates
from audit.gates_base import ALERTS
from audit.rehearsal.alerts import AlertsRehearsal, Rehearsed, _rules, evidence_of, rehearse_alerts
from phi_guard.policy import load_policy, shipped

RULES = {rule.name: rule for rule in load_rules(shipped("alerts.yaml"))}
POLICIES = {env: load_policy(shipped("clinic.yaml"), env=env).digest for env in ("dev", "prod")}
(GATE,) = (gate for gate in load_gates(shipped("gates.yaml")) if gate.name == "alerts_fire")
ONLY_DEV, ONLY_PROD = frozenset({"dev"}), frozenset({"prod"})


def judged(rehearsal, path, env):
    """The gate in an environment, by the rehearsal's own file."""
    path.write_text(json.dumps(evidence_of(rehearsal)))
    subject = Subject("clinic", env, POLICIES[env], datetime.now(UTC).isoformat())
    (row,) = judge((GATE,), Evidence(alerts=load_evidence([path]).alerts, subject=subject))
    return row.state, row.why


def passed(rules, **more):
    """A rehearsal of these rules in which every one fired and resolved and the day was quiet."""
    alerts = tuple(Rehearsed(name=rule.name, metric=rule.metric, env="dev", fired=True, resolved=True) for rule in rules)
    given = {"started_at": datetime.now(UTC).isoformat(timespec="seconds"), "policies": POLICIES, "rules": _rules(rules)} | more
    return AlertsRehearsal(alerts=alerts, quiet_looks=48, quiet_calls=10, quiet_messages=(), traces=9, took_s=1.0, **given)


@pytest.mark.parametrize("name", ALERTS)
@pytest.mark.parametrize(("here", "there"), [("dev", "prod"), ("prod", "dev")])
def test_a_rule_that_is_not_in_force_proves_nothing_there(tmp_path, name, here, there):
    """Though it fired and resolved: where one of the three is not in force nobody would be told; where all are, it is proven."""
    rules = [replace(rule, environments=frozenset({here})) if rule.name == name else rule for rule in RULES.values()]
    assert judged(passed(rules), tmp_path / "alerts.json", here)[0] == "proven"
    state, why = judged(passed(rules), tmp_path / "alerts.json", there)
    assert (state, f"with which policy and rules of {there}" in why, "run `phi-audit alerts rehearse` again" in why) == (
        "unproven", True, True
    ), why  # fmt: skip
    assert judged(passed(tuple(RULES.values())), tmp_path / "alerts.json", there)[0] == "proven"


def test_a_rule_that_is_not_asked_for_may_be_of_one_environment_alone(tmp_path):
    """The digest is of what is in force; a rule beside the three that is not takes nothing from them."""
    rules = [replace(rule, environments=ONLY_PROD) if rule.name == "budget" else rule for rule in RULES.values()]
    told = _rules(rules)
    assert told == {env: rules_digest(rules, env) for env in ("dev", "prod")}
    assert told["dev"] != told["prod"]
    assert {judged(passed(rules), tmp_path / "alerts.json", env)[0] for env in ("dev", "prod")} == {"proven"}


def test_a_day_whose_quiet_is_not_told_of_is_not_quiet(tmp_path):
    """A file of before, which says nothing of the day, and one that names a false alarm."""
    path, rehearsal = tmp_path / "alerts.json", passed(tuple(RULES.values()))
    state, why = judged(replace(rehearsal, quiet_messages=("Error rate 100 %",)), path, "prod")
    assert (state, "false alarms on a quiet day: 1; run `phi-audit alerts rehearse` again" in why) == ("unproven", True), why
    told = evidence_of(rehearsal)
    del told["quiet_day"]
    path.write_text(json.dumps(told))
    subject = Subject("clinic", "prod", POLICIES["prod"], datetime.now(UTC).isoformat())
    (row,) = judge((GATE,), Evidence(alerts=load_evidence([path]).alerts, subject=subject))
    assert (row.state, "false alarms on a quiet day: not reported" in row.why) == ("unproven", True)


def test_three_alerts_that_fire_and_one_that_cries_wolf(tmp_path):
    """Rehearsed for real: all three fire and resolve, the first also when one call of a quiet day fails; that is not proven.

    The third is in force in prod alone: of dev nothing was rehearsed.
    """
    jumpy = replace(RULES["error_rate"], bar=1.0, min_count=1, min_bad=1, shown="counts", resolve_bar=0.5)
    rules = [jumpy, RULES["ttft_p95"], replace(RULES["tool_failure"], environments=ONLY_PROD)]
    done = rehearse_alerts([replace(rule, sinks=("slack",)) for rule in rules])
    assert [(one.name, one.fired, one.resolved) for one in done.alerts] == [(rule.name, True, True) for rule in rules], done
    assert not done.passed
    state, why = judged(done, tmp_path / "alerts.json", "prod")
    assert (state, f"false alarms on a quiet day: {len(done.quiet_messages)}" in why) == ("unproven", True), why
    assert judged(replace(done, quiet_messages=()), tmp_path / "alerts.json", "prod")[0] == "proven"
    state, why = judged(done, tmp_path / "alerts.json", "dev")
    assert (state, "with which policy and rules of dev" in why) == ("unproven", True), why


def test_a_rule_of_dev_alone_must_be_quiet_on_a_quiet_day_too():
    """It is judged where it is in force, and nowhere else: a day in another environment would say nothing of it."""
    jumpy = replace(RULES["error_rate"], bar=1.0, min_count=1, min_bad=1, shown="counts", resolve_bar=0.5, environments=ONLY_DEV)
    done = rehearse_alerts([replace(jumpy, sinks=("slack",))])
    assert len(done.quiet_messages) > 0
    assert not done.passed
