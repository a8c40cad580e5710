"""What each variable of the environment sets, in a sentence: the page of them is made from this, and from where the code reads them."""

from __future__ import annotations

from typing import Final

OURS: Final = {
    "PHI_AUDIT_ACCOUNT": "The relay's own account, to hold what was read against: its state directory.",
    "PHI_AUDIT_ALERTS": "The alerts' rules.",
    "PHI_AUDIT_ANCHOR": "A file to which each head of the audit's log is copied; somebody else should keep it.",
    "PHI_AUDIT_BASELINE": "The file that `phi-audit baseline` works on. A scan takes none unless `--baseline` names it.",
    "PHI_AUDIT_DASHBOARD_TOKEN_FILE": "The file with the token that the dashboard asks for where it listens to more than this machine.",
    "PHI_AUDIT_DIR": "The audit's directory: keys, log, incidents, state of scans.",
    "PHI_AUDIT_GATES": "The bars of the gates.",
    "PHI_AUDIT_KEEP": "For how long the local trace store keeps traces.",
    "PHI_AUDIT_KNOWN_ANSWERS": "How many known answers of each class a scan plants.",
    "PHI_AUDIT_REPORT": "The report, or the directory of reports, that the dashboard shows the verdict of.",
    "PHI_AUDIT_ROSTER_KEY": "The file with the roster's key.",
    "PHI_AUDIT_SAMPLE": "How many traces a scan draws for people.",
    "PHI_AUDIT_SINCE": "How far back a scan reads.",
    "PHI_GUARD_ALERT_WEBHOOK_SECRET": "Signs what is sent to that address (HMAC).",
    "PHI_GUARD_ALERT_WEBHOOK_URL": "The address of your own that alerts are sent to.",
    "PHI_GUARD_CONFIG": "The settings file; `none` for no file.",
    "PHI_GUARD_ENV": "`dev` or `prod`; there is no third environment.",
    "PHI_GUARD_OUTBOX_MAX_MB": "How much may wait in the outbox, MiB.",
    "PHI_GUARD_OUTBOX_TTL_H": "How long it may wait there, hours.",
    "PHI_GUARD_POLICY": "The policy.",
    "PHI_GUARD_PRICING": "The price list for tokens.",
    "PHI_GUARD_PROJECT": "The project that the relay sends to.",
    "PHI_GUARD_PSEUDONYM_KEY": "Key of the pseudonyms, 32 bytes or more, hexadecimal or base64; only if the policy makes them.",
    "PHI_GUARD_RUNTIME_DIR": "Where the relay's socket, its log and the switch's file are.",
    "PHI_GUARD_SAMPLING_FROM_CALLS_PER_DAY": "Sampling begins above that many calls a day.",
    "PHI_GUARD_SAMPLING_KEEP_SLOW_MS": "A call with a turn slower than this is always kept, milliseconds.",
    "PHI_GUARD_SAMPLING_RATE": "Which share of the plain calls is sent.",
    "PHI_GUARD_STATE_DIR": "Where the outbox, the account and the disclosure log are; on a disk that stays.",
    "PHI_GUARD_SWITCH": "The switch: a file, or a Redis address for many hosts.",
    "PHI_GUARD_TELEMETRY": "`off` makes all of it do nothing: no relay, no recording.",
}
"""Our own."""

SERVICES: Final = {
    "AZURE_OPENAI_API_KEY": "Azure OpenAI's key, which LiveKit's plugin reads; `phi-audit doctor --live` tries it.",
    "AZURE_OPENAI_DEPLOYMENT": "The deployment that `phi-audit doctor --live` looks for.",
    "AZURE_OPENAI_ENDPOINT": "Azure OpenAI's address.",
    "LANGSMITH_API_KEY": "LangSmith's key, for the relay and for whatever reads traces. It has no option.",
    "LANGSMITH_ENDPOINT": "LangSmith's address, or a local trace store's.",
    "LANGSMITH_PROJECT": "The project to read.",
    "LANGSMITH_WORKSPACE_ID": "The workspace, for a key of several.",
    "LIVEKIT_API_KEY": "LiveKit's key.",
    "LIVEKIT_API_SECRET": "LiveKit's secret.",
    "LIVEKIT_URL": "LiveKit's server.",
    "OPENAI_API_VERSION": "Azure OpenAI's API version, only for a dated API.",
    "PAGERDUTY_ROUTING_KEY": "PagerDuty's routing key (Events API v2).",
    "SLACK_WEBHOOK_URL": "Slack's incoming webhook.",
}
"""Of the services; most are secrets, and no file of ours may hold them."""

SYSTEM: Final = {
    "HOME": "The home directory, where the state directory is by default.",
    "HTTPS_PROXY": "Handed to the relay: the way out through a proxy.",
    "HTTP_PROXY": "Likewise, without TLS.",
    "NO_COLOR": "Set to anything: no colour on a terminal.",
    "NO_PROXY": "Handed to the relay: hosts that are reached without the proxy.",
    "REQUESTS_CA_BUNDLE": "Handed to the relay: the certificates that it trusts, for requests.",
    "SSL_CERT_DIR": "Handed to the relay: the directory of certificates that it trusts.",
    "SSL_CERT_FILE": "Handed to the relay: the file of certificates that it trusts.",
    "XDG_RUNTIME_DIR": "The login's runtime directory: `phi-guard` in it is ours by default.",
    "XDG_STATE_HOME": "Where the state directory is made, if it is set.",
}
"""Of the system, read as everybody reads them."""

LOOKED_AT: Final = {
    "OTEL_EXPORTER_OTLP": "and all that begin so: OpenTelemetry sends spans there; `phi-audit doctor` says so.",
    "OTEL_TRACES_EXPORTER": "names an exporter of OpenTelemetry; `phi-audit doctor` says so.",
}
"""Looked at by the doctor beside those of `tracing.doors`."""
