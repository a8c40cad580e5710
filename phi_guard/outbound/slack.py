"""Alerts to Slack, through an incoming webhook.

The message is built by slack_sdk's models of Block Kit, which hold Slack's limits. It is not sent by its ``WebhookClient``: that follows
redirects, reads an answer of any length, logs the address and the body at DEBUG, and its one seam for another transport
(``_perform_http_request_internal``) is a private name; so the `Door` could not stand under it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from slack_sdk.models.blocks import Block, ContextBlock, HeaderBlock, MarkdownTextObject, PlainTextObject, SectionBlock

from phi_guard.errors import DeliveryError
from phi_guard.last_look import LastLook
from phi_guard.model import Cleared
from phi_guard.outbound.announcement import Announcement, announce
from phi_guard.outbound.hook import Hook, read_alert
from phi_guard.outbound.sink import Witness


class SlackSink:
    """Posts one message per alert. Slack answers 200 ``ok``; 403, 404 and 410 say that the webhook or its channel is gone.

    Args:
        url: of the webhook; a secret.
        look: reads each request before it leaves.

    Raises:
        HookError: the url is no https address.
    """

    def __init__(self, url: str, look: LastLook | None = None) -> None:
        self._hook = Hook(url, look)

    def __repr__(self) -> str:
        return f"<SlackSink {self._hook.destination}>"

    def deliver(self, batch: Sequence[Cleared], witness: Witness) -> None:
        """As `Sink.deliver`; a batch is one alert."""
        alert = read_alert(batch)
        message = announce(alert.name, alert.facts)
        blocks = [block.to_dict() for block in draw(message)]
        body = json.dumps({"text": message.text, "blocks": blocks, "unfurl_links": False, "unfurl_media": False}).encode()
        status, answer = self._hook.post(alert, body, {}, witness)
        if status != 200 or answer.strip() != b"ok":  # a page of some proxy's, say
            code = "not_slack"
            raise DeliveryError(code)


def draw(message: Announcement) -> tuple[Block, ...]:
    """A message as blocks: a header, what it means and what to do, the details side by side, the traces.

    Args:
        message: what to say.
    """
    blocks: list[Block] = [
        HeaderBlock(text=PlainTextObject(text=message.title, emoji=False)),
        SectionBlock(text=_text(f"{message.meaning}\n*Next:* {message.step}")),
    ]
    if message.details:
        blocks.append(SectionBlock(fields=[_text(f"*{name}*\n`{value}`") for name, value in message.details]))
    if message.traces:
        blocks.append(ContextBlock(elements=[_text(f"`{trace}`") for trace in message.traces]))
    return tuple(blocks)


def _text(text: str) -> MarkdownTextObject:
    return MarkdownTextObject(text=text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;"), verbatim=True)
