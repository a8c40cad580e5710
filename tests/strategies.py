"""The one home of Hypothesis strategies: values a payload may hold, friendly and hostile."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hypothesis import strategies as st

from phi_guard.model import MARKER
from phi_guard.policy.compiled import Flag, Moment, Number, OneOf, Pattern, Rule

PSEUDONYM_MADE_UP = "<PSEUDONYM:0123456789abcdef01234567>"
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=True, allow_infinity=True),
    st.text(max_size=40),
    st.binary(max_size=20),
    st.sampled_from(["<REDACTED>", "<REDACTED_KEY_1>", "{}", "[1]", '{"patient_name": "x"}', "a <REDACTED", "…"]),
)
keys = st.one_of(
    st.text(max_size=20),
    st.integers(),
    st.sampled_from(
        ["patient_name", "phone", "notes", "reason_for_visit", "doctor_name", "appointment_datetime", "confirmation_id", "result"]
    ),
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.tuples(inner, inner),
        st.dictionaries(keys, inner, max_size=5),
        st.sets(st.text(max_size=5), max_size=3),
    ),
    max_leaves=20,
)
sides = st.one_of(values, st.dictionaries(keys, values, max_size=8))
tool_names = st.sampled_from(["book_appointment", "cancel_appointment", "get_opening_hours", "get_medical_guidelines", "nobody_knows"])


@dataclass(frozen=True)
class DrawnPolicy:
    """A policy as it is drawn, before it is compiled: rules by field, the fields listed by side, and rules by path."""

    default: Rule
    fields: dict[str, Rule]
    listed: dict[str, frozenset[str]]
    rules: dict[tuple[str, tuple[str, ...]], Rule]


FIELDS = ["name", "born_on", "note", "code", "patient", "zip"]
_LISTED = OneOf(frozenset({"Dr. Lee", "yes"}))
rules = st.one_of(
    st.sampled_from([Rule("f", "redact"), Rule("f", "drop"), Rule("f", "scan"), Rule("f", "truncate", chars=24), Rule("f", "pseudonym")]),
    st.builds(Rule, st.just("f"), st.just("generalise"), to=st.sampled_from(["year", "age", "zip3", "state"])),
    st.builds(
        Rule,
        st.just("f"),
        st.just("keep"),
        shape=st.sampled_from([_LISTED, Pattern("[A-Z]{2,8}-[0-9]{4}"), Moment(time_too=True), Number(0, 99), Flag()]),
        unless_sent=st.frozensets(st.sampled_from(FIELDS), max_size=2),
    ),
    st.builds(
        Rule,
        st.just("f"),
        st.just("scan"),
        allow_entities=st.sampled_from([frozenset(), frozenset({"DATE_TIME"})]),
        safe_values=st.sampled_from([frozenset(), frozenset({"zqxjk", "in 2027"})]),
    ),
)
_steps = st.lists(st.sampled_from(["patient", "contact", "phone", "note", "[*]"]), min_size=1, max_size=4).filter(lambda s: s[0] != "[*]")


@st.composite
def _policies(draw):
    named = {name: replace(rule, field=name) for name, rule in draw(st.dictionaries(st.sampled_from(FIELDS), rules, min_size=1)).items()}
    listed = {side: draw(st.frozensets(st.sampled_from(sorted(named)))) for side in ("inputs", "outputs")}
    paths = draw(st.dictionaries(st.tuples(st.sampled_from(["inputs", "outputs"]), _steps.map(tuple)), rules, max_size=4))
    by_path = {(side, steps): replace(r, field=next(s for s in reversed(steps) if s != "[*]")) for (side, steps), r in paths.items()}
    for (side, steps), rule in list(by_path.items()):  # the loader refuses a path below one that is redacted whole
        if rule.action in {"redact", "drop"}:
            by_path = {k: r for k, r in by_path.items() if k == (side, steps) or k[0] != side or k[1][: len(steps)] != steps}
    return DrawnPolicy(Rule("?", draw(st.sampled_from(["redact", "drop"]))), named, listed, by_path)


policies = _policies()
_key = st.sampled_from([
    *FIELDS, "patient", "patient", "contact", "contact", "phone", "phone", "note",
    "Born-On", "bornOn", "BORN_ON", "note#2", "note#10", "NOTE", "callerId", "caller_id#2", "stranger", "note#1",
    "<REDACTED_KEY_1>",
])  # fmt: skip
_plain = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 120),
    st.sampled_from([
        "Zqxjk", "Zqxjk Ost", "1958-03-04", "2027-03-15T14:00Z", "1958", "90+", "94", "78701", "036", "Austin, TX 78701", "TX", "Dr. Lee",
        "yes", "AB-1234", "ZQXJK-1234", "Zqxjk Ost came in 2027 for a cough that would not stop", "in 2027 by 1958-03-04", "born 1958 (94)",
        "", "?!", MARKER, f"a {MARKER} b", PSEUDONYM_MADE_UP, '{"note": "Zqxjk", "patient": [{"phone": "1958-03-04"}]}',
        '["94", {"stranger": 1}]',
        "Kelvin 78701", "+41 79 555 01 23", "call 0795550123",
    ]),
)  # fmt: skip
_deep = st.recursive(
    _plain,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(st.dictionaries(_key, inner, max_size=3), max_size=2)
        | st.dictionaries(_key, inner, max_size=4)
    ),
    max_leaves=12,
)
_call = st.dictionaries(_key, _deep, max_size=6)
calls = st.fixed_dictionaries({}, optional={"inputs": _call, "outputs": st.none() | _call})
"""Tool calls with keys that random policies know, or nearly."""
