"""What a tool call of ten structured fields costs, beside Presidio's own anonymiser on the same values.

Run it: ``python tests/perf/bench_policy.py``. Not a test: it prints what it measures on this machine now. "redact_tool" finds the rule of
each field and redacts by it; "Gate.clear" is all of it, with canonical JSON and seal. Presidio's AnonymizerEngine is given the same values
and told where the identifying ones stand, so its row leaves out what finding them would cost.
"""

from __future__ import annotations

import gc
import sys
import time

from phi_guard import Payload, load_policy
from phi_guard.detect.patterns import PatternDetector
from phi_guard.gate import Gate
from phi_guard.policy import shipped
from phi_guard.redact import redact_tool

ROUNDS = 20_000
CALL = {
    "inputs": {
        "patient_name": "Ada Byron",
        "phone": "+41 79 555 01 23",
        "email": "ada.byron@example.org",
        "dob": "1975-12-10",
        "mrn": "MRN 00123456",
        "address": "12 Rue des Marronniers, 1003 Lausanne",
        "doctor_name": "Dr. Dubois",
        "clinic_location": "Lausanne Gare",
        "appointment_datetime": "2027-03-15T14:00Z",
    },
    "outputs": {"confirmation_id": "CONF-1234"},
}
IDENTIFYING = ("patient_name", "phone", "email", "dob", "mrn", "address")


def presidio():
    """A function that anonymises the same values with presidio_anonymizer, or None where it is not installed."""
    try:
        from presidio_anonymizer import AnonymizerEngine
        from presidio_anonymizer.entities import OperatorConfig, RecognizerResult
    except ImportError:
        return None
    engine = AnonymizerEngine()
    operators = {"DEFAULT": OperatorConfig("replace", {"new_value": "<REDACTED>"})}
    work = [(value, [RecognizerResult("X", 0, len(value), 1.0)] if name in IDENTIFYING else []) for name, value in CALL["inputs"].items()]
    work.append((CALL["outputs"]["confirmation_id"], []))

    def once():
        for text, found in work:
            engine.anonymize(text=text, analyzer_results=found, operators=operators)

    return once


def measure(name, once, rounds):
    """Time one thing, and print its line in microseconds."""
    for _ in range(rounds // 10):
        once()
    gc.collect()
    times = []
    for _ in range(rounds):
        start = time.perf_counter_ns()
        once()
        times.append(time.perf_counter_ns() - start)
    times.sort()
    p50, p99, most = (times[int(rounds * q) - (q == 1)] / 1_000 for q in (0.5, 0.99, 1))
    sys.stdout.write(f"{name:<28}{p50:>10.1f}{p99:>10.1f}{most:>12.1f}{rounds:>10}\n")


def main():
    """Print the table."""
    policy = load_policy(shipped("clinic.yaml"))
    detector = PatternDetector()
    gate = Gate(policy, detector, key=b"b" * 32)
    sys.stdout.write(f"{'10 structured fields':<28}{'p50 us':>10}{'p99 us':>10}{'max us':>12}{'n':>10}\n")
    measure("ours: redact_tool", lambda: redact_tool(policy, "book_appointment", CALL, detector.find), ROUNDS)
    measure("ours: Gate.clear", lambda: gate.clear(Payload("tool", "tool.book_appointment", CALL)), ROUNDS)
    theirs = presidio()
    if theirs is None:
        sys.stdout.write("presidio_anonymizer is not installed: pip install presidio-anonymizer\n")
    else:
        measure("presidio: AnonymizerEngine", theirs, ROUNDS // 20)


if __name__ == "__main__":
    main()
