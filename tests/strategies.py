"""The one home of Hypothesis strategies: values a payload may hold, friendly and hostile."""

from __future__ import annotations

from hypothesis import strategies as st

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
