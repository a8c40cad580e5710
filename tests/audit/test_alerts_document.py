"""The rules' file: every fault is told with its line, and the published schema is the one the code makes."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from audit.alerts import RulesError, load_rules
from audit.alerts.document import schema, seconds
from phi_guard.policy import shipped

HEAD = "version: 1\nsinks: [slack]\nrules:\n"
LEAK = "  leak:\n    metric: leak\n    above: 0\n    resolve_at_most: 0\n    resolve_for: 0s\n    severity: critical\n"
RATE = (
    "  slow:\n    metric: error_rate\n    above: 5\n    window: 1h\n    resolve_at_most: 3\n    resolve_for: 10m\n    severity: warning\n"
)


@pytest.fixture
def load(tmp_path):
    def written(text):
        path = tmp_path / "alerts.yaml"
        path.write_text(text, encoding="utf-8")
        return load_rules(path)

    return written


def faults(load, text):
    with pytest.raises(RulesError) as refused:
        load(text)
    lines = str(refused.value).splitlines()
    assert all(line.split("alerts.yaml:", 1)[1].split(":", 1)[0].isdigit() for line in lines)
    return [line.split("alerts.yaml:", 1)[1] for line in lines]


def test_the_shipped_rules_are_those_of_the_requirements():
    rules = {made.name: made for made in load_rules(shipped("alerts.yaml"))}
    error, ttft, tool = rules["error_rate"], rules["ttft_p95"], rules["tool_failure"]
    assert (error.bar, error.window_s, error.min_count, error.min_bad, error.inclusive) == (5.0, 3600, 5, 2, False)
    assert (ttft.bar, ttft.window_s) == (3000.0, 900)
    assert (tool.bar, tool.window_s) == (10.0, 1800)
    assert (rules["span_drop"].bar, rules["span_drop"].inclusive, rules["span_drop"].window_s) == (1.0, True, 3600)
    assert (rules["budget"].bar, rules["budget"].fixed_usd) == (50.0, 15.0)
    assert [(rules[name].bar, rules[name].quota) for name in ("plan_quota", "plan_quota_full")] == [(80.0, 5000), (100.0, 5000)]
    assert rules["switch_off"].environments == {"prod"}


def test_the_published_schema_is_made_by_the_code_and_takes_the_shipped_file():
    path = shipped("alerts.yaml")
    published = json.loads((path.parent / "schema" / "alerts.schema.json").read_text())
    assert published == schema()
    jsonschema.Draft202012Validator.check_schema(published)
    held = yaml.safe_load(path.read_text())
    jsonschema.validate(held, published)
    held["rules"]["leak"]["treshold"] = 1
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(held, published)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        pytest.param(HEAD + LEAK.replace("severity", "severty"), "leak.severty: this key is not known here (did you mean 'severity'?)",
                     id="unknown key"),
        pytest.param(HEAD + LEAK + "    above: 3\n", "10: rules.leak.above: already given on line 6", id="key twice"),
        pytest.param(HEAD + LEAK + LEAK, "10: rules.leak: already given on line 4", id="rule twice"),
        pytest.param(HEAD + LEAK.replace("metric: leak", "metric: leek"), "5: rules.leak.metric: \"leek\" will not do", id="metric"),
        pytest.param(HEAD + LEAK + "    at_least: 1\n", "give the bar once", id="two bars"),
        pytest.param(HEAD + LEAK.replace("    above: 0\n", ""), "give the bar once", id="no bar"),
        pytest.param(HEAD + RATE.replace("most: 3", "most: 6"), "rules.slow.resolve_at_most: 6 is not below the bar", id="hysteresis"),
        pytest.param(HEAD + RATE.replace("above", "at_least").replace("most: 3", "most: 5"), "5 is not below the bar", id="at the bar"),
        pytest.param(HEAD + RATE.replace("    window: 1h\n", ""), "rules.slow.window: is missing", id="no window"),
        pytest.param(HEAD + RATE.replace("1h", "1y"), "7: rules.slow.window: \"1y\" will not do; write how far back", id="length"),
        pytest.param(HEAD + LEAK + "    quota: 3\n", "rules.leak.quota: this belongs to plan_quota alone", id="not its key"),
        pytest.param(HEAD + LEAK + "    min_bad: 3\n", "leak.min_bad: this belongs to error_rate, span_drop, tool", id="no share"),
        pytest.param(HEAD + LEAK.replace("leak:", "Leak-1:"), "a rule's name is lower-case letters", id="name"),
        pytest.param(HEAD + LEAK.replace("metric: leak", "metric: plan_quota"), "rules.leak.quota: is missing", id="no quota"),
        pytest.param(HEAD + LEAK + "    environments: [staging]\n", "leak.environments[0]: \"staging\" will not", id="environment"),
        pytest.param(HEAD.replace("slack", "slak") + LEAK, "2: sinks[0]: \"slak\" will not do", id="sink"),
        pytest.param("version: 2\n" + HEAD[11:] + LEAK, "1: version: 2 will not do", id="version"),
        pytest.param("- a\n", "1: file: [\"a\"] is no mapping", id="list"),
        pytest.param("a: [\n", "this is not YAML", id="no YAML"),
    ],
)  # fmt: skip
def test_each_fault_is_told_with_its_line(load, text, told):
    assert any(told in line for line in faults(load, text))


def test_all_faults_are_told_at_once_in_the_order_of_lines(load):
    found = faults(
        load, "version: 1\nsinks: [slak]\nsilences: [{begin: '22:00'}]\nrules:\n" + LEAK.replace("critical", "crit") + "  x: 3\n"
    )
    numbers = [int(line.split(":", 1)[0]) for line in found]
    assert numbers == sorted(numbers)
    assert {2, 3, 10, 11} <= set(numbers)


@pytest.mark.parametrize(
    ("row", "told"),
    [
        pytest.param("{begin: '22:00', end: '06:00', zone: Mars/X, reason: abc, owner: abc}", "no time zone", id="zone"),
        pytest.param("{begin: '22:00', end: '06:00', rules: [leek], reason: abc, owner: abc}", "did you mean 'leak'?", id="rule"),
        pytest.param("{begin: '24:00', end: '06:00', reason: abc, owner: abc}", "silences[0].begin", id="time"),
        pytest.param("{begin: '2026-12-24T18:00:00', end: '2026-12-25T18:00:00Z', reason: abc, owner: abc}", "[0].begin", id="no zone"),
        pytest.param("{begin: '2026-12-24T18:00:00Z', end: '2026-12-23T18:00:00Z', reason: abc, owner: abc}", "after begin", id="order"),
        pytest.param("{begin: '2026-12-24T18:00:00Z', end: '2026-12-25T18:00:00Z', days: [mon], reason: abc, owner: abc}", "beside dates",
                     id="days"),
        pytest.param("{begin: '22:00', end: '06:00', owner: abc}", "silences[0].reason: is missing", id="reason"),
        pytest.param("{begin: '22:00', end: '06:00', reason: abc}", "silences[0].owner: is missing", id="owner"),
    ],
)  # fmt: skip
def test_a_silence_that_cannot_be_is_told(load, row, told):
    assert any(told in line for line in faults(load, f"{HEAD.replace('rules', f'silences: [{row}]{chr(10)}rules')}{LEAK}"))


def test_a_silence_is_of_all_rules_but_a_leak_which_must_be_named(load):
    row = "{begin: '22:00', end: '06:00', reason: nights, owner: Ada}"
    leak, rate = load(HEAD.replace("rules", f"silences: [{row}]\nrules") + LEAK + RATE)
    assert (len(leak.silences), len(rate.silences)) == (0, 1)
    leak, rate = load(HEAD.replace("rules", f"silences: [{row[:-1]}, rules: [leak]}}]\nrules") + LEAK + RATE)
    assert (len(leak.silences), len(rate.silences)) == (1, 0)


def test_no_file_is_told_as_a_fault():
    with pytest.raises(RulesError, match="there is no such file"):
        load_rules(Path("/nowhere/alerts.yaml"))


def test_lengths():
    assert [seconds(text) for text in ("0s", "90s", "15m", "4h", "7d")] == [0, 90, 900, 14_400, 604_800]
