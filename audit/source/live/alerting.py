"""Where alerts go: Slack, PagerDuty, a webhook of one's own. Nothing is posted: only what can be known without a message is asked."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final
from urllib.parse import urlsplit

from audit.source.live.asking import LOOPBACK, Finding, ask, busy, fault_of_address, no_answer

SLACK: Final = "Slack"
PAGERDUTY: Final = "PagerDuty"
WEBHOOK: Final = "Webhook"
_SLACK_PATH: Final = re.compile(r"/services/T[A-Z0-9]{6,}/B[A-Z0-9]{6,}/[A-Za-z0-9]{16,}|/(?:triggers|workflows)/[A-Za-z0-9/]{16,}")
_GONE: Final = frozenset({"no_service", "no_team", "invalid_token", "channel_not_found", "channel_is_archived", "action_prohibited"})


def examine_slack(environ: Mapping[str, str], timeout_s: float) -> Iterator[Finding]:
    """Post an empty object, which Slack refuses as no message before it posts anything (HTTP 400); a dead webhook says so instead.

    Slack's errors of incoming webhooks: ``invalid_payload`` and ``no_text`` are 400, ``action_prohibited`` 403, ``no_service`` and
    ``channel_not_found`` 404, ``channel_is_archived`` 410.

    Args:
        environ: the variables.
        timeout_s: seconds for each part of an answer.
    """
    url = environ.get("SLACK_WEBHOOK_URL", "")
    if not url:
        yield Finding(
            SLACK, "NOTE", "SLACK_WEBHOOK_URL is not set: no alert goes to Slack", "set it where phi-audit alerts runs", tried=False
        )
        return
    if fault := fault_of_address(SLACK, "SLACK_WEBHOOK_URL", url):
        yield fault
        return
    parts = urlsplit(url)
    host = parts.hostname or ""
    if host not in LOOPBACK and (host not in {"hooks.slack.com", "hooks.slack-gov.com"} or not _SLACK_PATH.fullmatch(parts.path)):
        yield Finding(
            SLACK,
            "FAIL",
            "SLACK_WEBHOOK_URL is no address of a Slack webhook: nothing was sent there",
            "copy it again: https://hooks.slack.com/services/...",
        )
        return
    if parts.path.startswith(("/triggers/", "/workflows/")):
        what = "a workflow's webhook cannot be tried without starting the workflow: only its form was looked at"
        yield Finding(SLACK, "NOTE", what, "use an incoming webhook, or send a test: phi-audit alerts test --sink slack", tried=False)
        return
    reply = ask("POST", url, {}, {}, timeout_s)
    if reply.status == 0:
        yield no_answer(SLACK, host, reply, "SLACK_WEBHOOK_URL")
    elif found := busy(SLACK, host, reply):
        yield found
    elif reply.status == 400 and reply.text.strip() in {"no_text", "invalid_payload", "missing_text_or_fallback_or_attachments"}:
        what = "the webhook is alive: it refused an empty message, and nothing was posted"
        yield Finding(SLACK, "PASS", what, "to see a message, run phi-audit alerts test --sink slack", took_ms=reply.took_ms)
    elif reply.status in {403, 404, 410} or reply.text.strip() in _GONE:
        word = reply.text.strip() if reply.text.strip() in _GONE else "no reason given"
        what = f"the webhook is dead or may not post (HTTP {reply.status}, {word})"
        yield Finding(SLACK, "FAIL", what, "make a new incoming webhook for a channel that is there", took_ms=reply.took_ms)
    else:
        what = f"{host} answers otherwise than Slack does (HTTP {reply.status})"
        yield Finding(
            SLACK, "FAIL", what, "look for a proxy in between; send a test: phi-audit alerts test --sink slack", took_ms=reply.took_ms
        )


def examine_pagerduty(environ: Mapping[str, str], timeout_s: float) -> Iterator[Finding]:  # noqa: ARG001  # nothing is asked
    """Look at the key's form: an Events API v2 integration key has 32 letters and digits. Asking would page somebody.

    Args:
        environ: the variables.
        timeout_s: not used.
    """
    key = environ.get("PAGERDUTY_ROUTING_KEY", "")
    if not key:
        return
    if re.fullmatch(r"[A-Za-z0-9]{32}", key):
        what = "the key has the form of one; whether it is one cannot be tried without an event"
        yield Finding(PAGERDUTY, "NOTE", what, "send a test: phi-audit alerts test --sink pagerduty", tried=False)
    else:
        what = "PAGERDUTY_ROUTING_KEY is no integration key of the Events API v2: those have 32 letters and digits"
        yield Finding(PAGERDUTY, "FAIL", what, "copy the integration key of the service, not an API token")


def examine_webhook(environ: Mapping[str, str], timeout_s: float) -> Iterator[Finding]:  # noqa: ARG001  # nothing is asked
    """Look at the address's form: what a server of one's own does with a question is not known.

    Args:
        environ: the variables.
        timeout_s: not used.
    """
    url = environ.get("PHI_GUARD_ALERT_WEBHOOK_URL", "")
    if not url:
        return
    plain = url.partition("?")[0]
    if fault := fault_of_address(WEBHOOK, "PHI_GUARD_ALERT_WEBHOOK_URL", plain):
        yield fault
    else:
        yield Finding(
            WEBHOOK,
            "NOTE",
            "it has the form of an address; it was not asked",
            "send a test: phi-audit alerts test --sink webhook",
            tried=False,
        )
