"""The terms of reports, commands and pages, in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Term:
    """One term.

    Args:
        name: as it is written.
        text: what it is, and what it is not.
        more: a page of ``docs/`` that goes on about it; empty where none does.
        also: other spellings.
    """

    name: str
    text: str
    more: str = ""
    also: tuple[str, ...] = ()


TERMS: Final = (
    Term(
        "account",
        "The relay's own record of what it delivered. `phi-audit scan --account` holds it against what was read back, in both"
        " directions: a delivered run that is missing, and a run that this relay did not send, each fail the gate"
        " `accounted_for`.",
        "audit.md#against-the-relays-account",
    ),
    Term(
        "agent_lost",
        "What a killed agent had not yet handed to the relay: it was in that process's memory alone. The relay counts it as"
        " dropped and ends the call's trace for it.",
        "reliability.md#what-is-lost-and-when",
    ),
    Term(
        "anchor",
        "A file that somebody else keeps, to which each head of the audit's log is copied. With it, a log written wholly anew"
        " is found too.",
        "audit.md#the-audits-directory",
    ),
    Term(
        "baseline",
        "Findings that a person accepts, each with a reason, an owner and a last day. An accepted finding is shown and does not"
        " fail a gate; when its day has passed it counts again. It holds fingerprints and no value.",
        "audit.md#the-baseline",
    ),
    Term(
        "bound",
        "The largest leak rate that what was read does not rule out, one-sided at 95 %, exact (Clopper-Pearson, or"
        " hypergeometric where the number of traces is known), divided by the recall that the known answers showed.",
        "audit.md#what-the-numbers-say",
        also=("upper bound", "leak rate"),
    ),
    Term(
        "canary",
        "A made-up name, number or address that a rehearsal sends through the whole pipe: in tool arguments, results, errors,"
        " and as speech. None may arrive in clear. What the policy lets through must arrive, or the search for the others would"
        " show nothing.",
        "audit.md#what-a-verdict-rests-on",
        also=("canaries",),
    ),
    Term(
        "census",
        "A scan that reads every run of a project in a window, counted and digested; nothing is sampled.",
        "audit.md#what-a-verdict-rests-on",
    ),
    Term(
        "clear",
        "What the gate does with a payload: it judges it whole, field by field, and gives back the bytes that may leave. Only"
        " the gate makes them, and only they can be handed to what sends.",
        also=("cleared",),
    ),
    Term(
        "consent",
        "What the caller said about being recorded: `granted`, `refused` or `not_asked`. Of a call that was refused only"
        " skeletons leave. It stands in the trace's `policy.guardrail`.",
    ),
    Term(
        "disclosure log",
        "The relay's record of every delivery: when, where to, under which policy, how much. It is written and synced before"
        " each sending; where it cannot be written, nothing leaves.",
        "reliability.md#how-it-is-sent-again",
        also=("disclosures",),
    ),
    Term(
        "door",
        "A way out of the agent's process that bypasses the gate, such as LangSmith's own tracing variables or LiveKit's spans."
        " `phi-audit doctor` looks for them, `tracing.harden(ctx)` shuts them.",
        "going-live.md#4-the-side-doors",
        also=("doors", "side door", "harden"),
    ),
    Term(
        "dropped",
        "An operation that was not sent and never will be, counted by its reason. The gate `span_drop` holds the share under its bar.",
        "reliability.md#what-is-lost-and-when",
    ),
    Term(
        "finding",
        "A place in a trace that holds an identifier (`high`), or something that does not belong there (`medium`). One fails"
        " the gate `phi_findings`. It has a place, a class, a length and a keyed fingerprint, and never the value.",
        "audit.md#findings-and-suspicions",
        also=("findings",),
    ),
    Term(
        "gate",
        "Two things. The gate of the relay decides with the policy what may leave. A gate of the audit is one criterion of the"
        " verdict, with a source, an evidence and a bar: proven, failed or unproven.",
        "reference/gates.md",
        also=("gates",),
    ),
    Term(
        "GO",
        "The verdict when every gate is proven. Nothing is ever GO for want of a finding alone. Exit code 0.",
        "audit.md",
    ),
    Term(
        "go/no-go",
        "The review before calls of patients are traced: rehearsal, scan, known answers, the policy's tests and the alerts'"
        " rehearsal, judged by all gates of weeks 1 to 5 and signed by people. `phi-audit gonogo` runs it; with `--enforce` a"
        " failed gate turns the switch off.",
        "load-test.md#the-review-go-or-no-go",
        also=("gonogo", "review"),
    ),
    Term(
        "hold",
        "A cause for which the switch went off, such as a leak, that must be settled: it is on again only with a report that"
        " says GO, that a trusted person has signed, and that was made after the switch went off.",
        "after-a-leak.md#re-enable",
        also=("held",),
    ),
    Term(
        "known answers",
        'Identifiers made anew for one scan and planted in copies of its runs. The scan must find them before its "none" says'
        " something; what it misses lowers its recall and raises the bound.",
        "audit.md#what-a-verdict-rests-on",
        also=("known answer",),
    ),
    Term(
        "last look",
        "The search of the final bytes by form, just before each sending. It knows no policy. A hit sends nothing, and turns"
        " the switch off for every agent of the host.",
        "reliability.md#how-it-is-sent-again",
        also=("last_look",),
    ),
    Term(
        "ledger",
        "The relay's books: every operation that was offered is in one place, delivered, withheld, pending, quarantined,"
        " sampled or dropped, and the sum is exact at any time.",
        "reliability.md#what-holds-in-every-row",
    ),
    Term(
        "load test",
        "Many rehearsed calls at once, ten of five minutes unless told otherwise: what recording costs then, whether every"
        " trace arrives whole, how memory goes, whether the canaries stay in.",
        "load-test.md#the-load-test",
    ),
    Term(
        "loop lateness",
        "How much later the agent's event loop turns with telemetry than in the same calls without it, p99. What is late there,"
        " a caller hears.",
        "performance.md",
        also=("event loop",),
    ),
    Term(
        "NO_GO",
        "The verdict when a gate failed, such as one finding in one trace. Exit code 1. With `--enforce` the switch goes off.",
        "after-a-leak.md",
        also=("NO-GO",),
    ),
    Term(
        "outbox",
        "Where the relay keeps what is cleared until LangSmith has taken it: a sealed SQLite file with a largest size and a"
        " longest time. It survives a crash; it holds no raw payload.",
        "relay.md",
    ),
    Term(
        "pending",
        "Recorded and not yet sent: in an agent's memory, on the socket or in the outbox. It is neither delivered nor lost.",
        "reliability.md#what-is-lost-and-when",
    ),
    Term(
        "policy",
        "The YAML file that says what may leave, field by field. What it does not name stays inside. It proves itself by"
        " examples when it is loaded.",
        "reference/policy.md",
    ),
    Term(
        "policy.guardrail",
        "The span in each trace that records the caller's consent and what the policy did with the call's fields. A trace"
        " without it fails a gate.",
        also=("guardrail",),
    ),
    Term(
        "pseudonym",
        "A keyed code in a value's place, equal for equal values under one key. Whoever has the key can try values; keep it"
        " with the relay alone.",
        "reference/policy.md",
    ),
    Term(
        "quarantined",
        "Cleared, and in the outbox since before the switch went off. It is not sent when the switch is on again, unless a"
        " person with a GO releases it.",
        "day-to-day.md#the-switch-across-a-fleet",
        also=("quarantine",),
    ),
    Term(
        "quota",
        "The outbox holds as much as it may. No new call is taken; a call that has begun is not torn before a tenth more is used.",
        "reliability.md#what-is-lost-and-when",
    ),
    Term(
        "recall",
        "Of what is there, the share that is found. A scan's is measured with known answers, people's with planted copies; both"
        " as a lower bound.",
        "audit.md#what-the-numbers-say",
    ),
    Term(
        "redacted",
        "The value stayed; a marker stands in its place. The field's name, and that it held something, can be seen.",
        "reference/policy.md",
        also=("redact", "<REDACTED>"),
    ),
    Term(
        "rehearsal",
        "Real agent calls against a stand-in of the model, which measure what a scan cannot see: what recording costs, whether"
        " canaries arrive, whether a call survives faults. Its file is evidence.",
        "audit.md#from-the-first-scan-to-go",
        also=("rehearse",),
    ),
    Term(
        "relay",
        "The one process of a host that holds raw payloads for moments, decides with the policy what may leave, and sends it."
        " Agents hand records over and never wait for it.",
        "relay.md",
    ),
    Term(
        "roster",
        "The clinic's own patients as keyed digests: the scan finds them by name, number or date of birth, and nobody can read"
        " a name in it.",
        "audit.md#the-roster",
    ),
    Term(
        "Safe Harbor",
        "The 18 identifiers of 45 CFR 164.514(b)(2)(i) that must be gone for data to count as de-identified under HIPAA. A"
        " policy with `standard: safe_harbor` is refused unless it serves all of them. It is one method, and no opinion of a"
        " lawyer.",
        "reference/policy.md",
    ),
    Term(
        "sampled",
        "Not sent because its call was not drawn, where the settings ask for a share of the calls only. A trace is whole or"
        " absent; calls with anything to remark are always sent. It is neither dropped nor delivered, and the ledger counts it"
        " by itself.",
        "relay.md#sampling",
        also=("sampling", "sampling_rate"),
    ),
    Term(
        "skeleton",
        "What may leave of a payload whose content was withheld: closed names, ids and times, and nothing out of the payload.",
        also=("skeletons",),
    ),
    Term(
        "span",
        "One node of a trace: a turn, the use of a tool, the call itself. LangSmith calls it a run.",
        also=("spans", "run", "runs"),
    ),
    Term(
        "suspicion",
        "A place where only a network at its lowest threshold sees something (`low`). It fails nothing; people read the traces"
        " that hold one first.",
        "audit.md#findings-and-suspicions",
        also=("suspicions",),
    ),
    Term(
        "switch",
        "On or off for all telemetry of a host, or of many over Redis. Off, absent, unreadable and foreign all mean that"
        " nothing is sent. Calls go on.",
        "day-to-day.md#the-switch-across-a-fleet",
    ),
    Term(
        "trace",
        "All spans of one call, under one root. It is the unit of every rate and bound, for the spans of a call depend on one another.",
        also=("traces",),
    ),
    Term(
        "TTFT-A",
        "Time to first answer: from the end of the caller's speech (`input_audio_buffer.speech_stopped`) to the agent's first"
        " audio (`response.audio.delta`), milliseconds. Where a model tells neither, it comes from the agent's states and says"
        " so.",
        also=("TTFT", "ttft_ms"),
    ),
    Term(
        "ttl",
        "A call has waited in the outbox for the longest time allowed. It goes, whole, and is counted.",
        "reliability.md#what-is-lost-and-when",
    ),
    Term(
        "UNPROVEN",
        "The verdict when nothing failed and evidence is missing. It is never a pass. Exit code 3.",
        "audit.md",
    ),
    Term(
        "watch",
        "Week 6: a project looked at again and again for 48 hours, scan, alerts, switch and account, with a journal in which a"
        " cut shows and a closing report. `phi-audit watch` runs it; its file is evidence of the gates of operation.",
        "load-test.md#the-watch",
        also=("monitoring",),
    ),
    Term(
        "withheld",
        "The gate could not judge a payload, so its content stayed and a skeleton left in its place. The span still arrives; it"
        " does not count as dropped.",
        "reliability.md#what-is-lost-and-when",
        also=("withhold",),
    ),
)
"""In the order of the alphabet."""
