"""The standard a report names is what was enforced: computed from the compiled policy and the traces, never from a file's name."""

from __future__ import annotations

from dataclasses import replace

import pytest
from kept_reports import judged_by, kept, reviewed

from audit import consistency, standard
from audit.assessment import assess, rejudge
from audit.census import Plan
from audit.gates import load_gates
from audit.population import Population
from audit.report import document, render
from audit.report.scope import BY_NAME, MINIMUM, NOT_SHOWN, SAFE_HARBOR
from audit.standard import meets_safe_harbor, standard_of
from phi_guard import PolicyError, load_policy
from phi_guard.policy import shipped
from phi_guard.policy.compiled import Branch, OneOf, Pattern, Rule, ToolRules

GATES = load_gates(shipped("gates.yaml"))
REFERENCE = shipped("safe_harbor.yaml")
OTHER = "f" * 16
TIGHTER = """\
version: 1
extends: {base}
fields:
  parking: {{action: redact}}
tools:
  find_parking: {{inputs: [parking], outputs: []}}
environments:
  prod: {{fields: {{zip: {{action: redact}}}}}}
examples:
  - given: {{tool: find_parking, inputs: {{parking: "by the gate"}}}}
    sends: {{inputs: {{parking: <REDACTED>}}}}
"""


@pytest.fixture(scope="module")
def harbor():
    """The shipped policy, compiled."""
    return load_policy(REFERENCE, "prod")


@pytest.fixture
def file(tmp_path):
    """Write a policy and load it for an environment."""

    def load(name, text, env="prod"):
        (tmp_path / name).write_text(text, "utf-8")
        return load_policy(tmp_path / name, env)

    return load


def tool(policy, name, *rules, inputs=(), outputs=()):
    """The policy with one more tool, or another in its place; each rule is ``(keys, rule)`` below its inputs."""
    branch = Branch()
    for keys, rule in rules:
        below = Branch(rule)
        for key in reversed(keys):
            below = Branch(None, {key: below})
        branch = replace(branch, keys={**branch.keys, **below.keys})
    made = ToolRules(frozenset(inputs), frozenset(outputs), paths={"inputs": branch} if rules else {})
    return replace(policy, tools={**policy.tools, name: made})


def field(policy, name, action, **more):
    """The policy with a field's rule added or changed."""
    return replace(policy, fields={**policy.fields, name: Rule(name, action, **more)})


def population(policy, traces=1, **policies):
    """Traces of a policy."""
    return Population(traces=traces, runs=7 * traces, policies={policy.digest: 2 * traces, **policies})


@pytest.fixture
def report_of(detectors, made):
    """The report of one call that was made under a policy, and is judged by it or by another."""

    def of(policy, *, made_under=None):
        call = made.call()
        for run in (call[0], call[2]):
            run["extra"]["metadata"]["policy_digest"] = (made_under or policy).digest
        plan = Plan(policy, "clinic-dev", seed=11, known_answers=1, key=made.KEY)
        return assess(made.FixedSource(call), plan, GATES, lambda: detectors, now=made.NOW).report

    return of


def test_a_looser_file_of_that_name_is_no_safe_harbor(report_of, file):
    """A copy of clinic.yaml called safe_harbor.yaml."""
    report = report_of(file("safe_harbor.yaml", shipped("clinic.yaml").read_text("utf-8")))
    assert (report.target.policy_file, report.scope.standard) == ("safe_harbor.yaml", MINIMUM)
    assert SAFE_HARBOR not in render(report, "md", frozenset())


def test_a_file_on_top_of_it_is_known_by_what_it_does(report_of, file):
    """Under a name of its own, with a tool more and a field tightened; the report says it with its caveats, and is read again as it was."""
    report = report_of(file("our_clinic.yaml", TIGHTER.format(base=REFERENCE)))
    assert (report.target.policy_file, report.scope.standard) == ("our_clinic.yaml", SAFE_HARBOR)
    assert list(consistency.check(report)) == list(consistency.check(report_of(load_policy(shipped("clinic.yaml"), "prod"))))
    assert document.parse(render(report, "json", frozenset()).encode(), "r.json") == report
    said = " ".join(render(report, "md", frozenset()).split())
    for caveat in ("start and end times: they are sent, and are dates (identifier 3)", "a person must state it"):
        assert caveat in said


def test_a_file_on_top_that_sends_more_is_not(file):
    """What is added below is compared too, not only what stands in the base; and this one loads."""
    more = TIGHTER.replace("parking: {{action: redact}}", "parking: {{action: scan}}")
    more = more.replace("parking: <REDACTED>", 'parking: "by the gate"')
    assert not meets_safe_harbor(file("safe_harbor.yaml", more.format(base=REFERENCE)))


def test_traces_of_another_policy_name_no_standard_of_this_one(report_of, harbor):
    """Judged by the stricter policy, made under the looser: what was enforced is the looser."""
    assert report_of(harbor).scope.standard == SAFE_HARBOR
    assert report_of(harbor, made_under=load_policy(shipped("clinic.yaml"), "prod")).scope.standard == MINIMUM


@pytest.mark.parametrize(
    ("counted", "said"),
    [
        ({"traces": 3}, SAFE_HARBOR),
        ({"traces": 3, OTHER: 1}, MINIMUM),
        ({"traces": 0}, MINIMUM),
    ],
    ids=["all", "one of another", "none"],
)
def test_every_trace_must_be_of_the_policy(harbor, counted, said):
    """Those of another policy, or none at all, show nothing."""
    assert standard_of(harbor, population(harbor, **counted)) == said


def test_traces_that_name_no_policy_show_nothing(harbor):
    """Fewer runs that name it than there are traces."""
    assert standard_of(harbor, Population(traces=3, runs=21, policies={harbor.digest: 2})) == MINIMUM
    assert standard_of(harbor, Population(traces=3, runs=21)) == MINIMUM


LISTED = OneOf(frozenset({"Dr. Lee"}))
WIDER = {
    "kept": lambda p: field(p, "mrn", "keep", shape=Pattern("[0-9]{6}")),
    "searched": lambda p: field(p, "opening_hours", "scan"),
    "cut": lambda p: field(p, "opening_hours", "truncate", chars=5),
    "pseudonym": lambda p: field(p, "mrn", "pseudonym"),
    "another generalisation": lambda p: field(p, "dob", "generalise", to="age"),
    "generalised": lambda p: field(p, "phone", "generalise", to="zip3"),
    "a longer list": lambda p: field(p, "doctor_name", "keep", shape=OneOf(p.fields["doctor_name"].shape.values | {"Ada Byron"})),
    "another pattern": lambda p: field(p, "opens", "keep", shape=Pattern(".*")),
    "a new kept field": lambda p: field(p, "caller", "keep", shape=LISTED),
    "a new searched field": lambda p: field(p, "story", "scan", allow_entities=frozenset({"PERSON"})),
    "a kept field's alias": lambda p: replace(p, aliases={**p.aliases, "surname": "doctor_name"}),
    "an alias moved": lambda p: replace(p, aliases={**p.aliases, "memberid": "doctor_name"}),
    "listed elsewhere": lambda p: tool(p, "get_medical_guidelines", inputs=["symptoms", "zip"], outputs=["guidance", "urgency", "result"]),
    "a tool": lambda p: tool(p, "ask", inputs=["zip"]),
    "a tool's own rule": lambda p: tool(p, "ask", (["notes"], Rule("notes", "scan")), inputs=["notes"]),
    "a tool's own rule below": lambda p: tool(p, "ask", (["notes", "text"], Rule("text", "scan")), inputs=["notes"]),
    "walked into": lambda p: tool(p, "get_medical_guidelines", (["symptoms", "what"], Rule("what", "redact")),
                                  inputs=["symptoms"], outputs=["guidance", "urgency", "result"]),
    "a new tool walked into": lambda p: tool(p, "ask", (["notes", "what"], Rule("what", "redact")), inputs=["notes"]),
}  # fmt: skip


@pytest.mark.parametrize("change", WIDER)
def test_whatever_sends_more_is_no_safe_harbor(harbor, change):
    """One change at a time, each of the kind that a number in the file does not show."""
    assert standard_of(WIDER[change](harbor), population(harbor)) == MINIMUM


TIGHT = {
    "the same": lambda p: p,
    "dropped": lambda p: field(p, "mrn", "drop"),
    "no longer generalised": lambda p: field(p, "dob", "redact"),
    "a shorter list": lambda p: field(p, "doctor_name", "keep", shape=LISTED),
    "a new redacted field": lambda p: field(p, "caller", "redact"),
    "a redacted field's alias": lambda p: replace(p, aliases={**p.aliases, "surname": "patient_name"}),
    "a tool that sends nothing": lambda p: tool(p, "ask", inputs=["notes"]),
    "unknown fields dropped": lambda p: replace(p, default=Rule("?", "drop")),
    "another name": lambda p: replace(p, file="anything.yaml"),
}


@pytest.mark.parametrize("change", TIGHT)
def test_whatever_sends_no_more_is(harbor, change):
    """Tighter, or sending the same."""
    assert standard_of(TIGHT[change](harbor), population(harbor)) == SAFE_HARBOR


def test_each_environment_is_judged_by_itself(file):
    """A field that only prod redacts: Safe Harbor there, and not in dev."""
    text = REFERENCE.read_text("utf-8").replace("standard: safe_harbor\n", "").replace('"Mon-Fri 08:00-17:00"', '"By appointment."')
    text = text.replace("opening_hours: {action: redact}", "opening_hours: {action: scan}")
    text = text.replace("opening_hours: <REDACTED>", 'opening_hours: "By appointment."')
    text += "\nenvironments: {prod: {fields: {opening_hours: {action: redact}}}}\n"
    assert {env: meets_safe_harbor(file("p.yaml", text, env)) for env in ("", "dev", "prod")} == {"": False, "dev": False, "prod": True}


def test_what_cannot_be_compared_claims_nothing(harbor, monkeypatch):
    """An environment that no policy can have; a reference that is not there, or cannot be used."""
    assert not meets_safe_harbor(replace(harbor, env="staging"))

    def gone(_name):
        raise PolicyError(["safe_harbor.yaml:1: file: no such policy comes with phi-guard"])

    monkeypatch.setattr(standard, "shipped", gone)
    assert standard_of(harbor, population(harbor)) == MINIMUM


def test_a_report_is_no_safe_harbor_by_itself():
    """Nobody said what the policy does."""
    assert kept().scope.standard == MINIMUM


def claiming(said):
    report = kept()
    return replace(report, scope=replace(report.scope, standard=said))


@pytest.mark.parametrize("fmt", ["md", "html", "table"])
def test_an_older_report_does_not_say_it_any_more(fmt):
    """Its standard was a file's name: it still verifies, and no form that people read repeats the claim."""
    old = claiming(BY_NAME)
    assert document.parse(render(old, "json", frozenset()).encode(), "r.json") == old
    assert [fault for fault in consistency.check(old) if "standard" in fault] == []
    shown = " ".join(render(old, fmt, frozenset()).split())
    assert "Safe Harbor, 45 CFR" not in shown
    assert fmt == "table" or "Not shown: this report has its standard from" in shown


def test_a_review_does_not_carry_it_on():
    """The report that takes the old one's place is made now."""
    old = reviewed(claiming(BY_NAME), "Ada", "Bea")
    assert rejudge(old, old.review).scope.standard == NOT_SHOWN
    assert rejudge(claiming(MINIMUM), old.review).scope.standard == MINIMUM


def test_a_claim_that_somebody_wrote_in_is_found():
    """Where the traces name another policy, or none, or the words are none of ours."""
    said = "scope.standard: is Safe Harbor, and not every trace was made under the policy"
    assert said in list(consistency.check(claiming(SAFE_HARBOR)))
    forged = judged_by(claiming(SAFE_HARBOR), OTHER)
    whole = replace(forged, population=replace(forged.population, policies={OTHER: 80}))
    assert said not in list(consistency.check(whole))
    mixed = replace(whole, population=replace(whole.population, policies={OTHER: 80, "0" * 16: 2}))
    assert said in list(consistency.check(mixed))
    assert "scope.standard: is none that a report can have" in list(consistency.check(claiming("Safe Harbor, certified")))
