"""Slack: one message a group, edited as the group changes; escalations and resolutions in its thread, with buttons.

The calls are the Web API's chat.postMessage and chat.update (https://docs.slack.dev/reference/methods/); presses of
buttons come back over HTTP (`hear`) or Socket Mode (`parse_payload`).
"""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct

from signalcraft.channels.slack import blocks, text
from signalcraft.channels.slack.errors import judge
from signalcraft.channels.slack.hear import answer, hear, parse_payload
from signalcraft.channels.slack.manifest import create_link, manifest, suits
from signalcraft.domain.delivery import HttpCall, Note, Step
from signalcraft.domain.event import Secret
from signalcraft.domain.setup import SetupStep

__all__ = [
    "EDITS", "EDITS_PER_MINUTE", "GAP_MS", "KIND", "LABEL", "SETUP", "Config",
    "answer", "check", "compose", "create_link", "hear", "judge", "manifest", "parse_payload", "suits",
]  # fmt: skip

KIND: Final = "slack"
LABEL: Final = "Slack"
EDITS: Final = True
GAP_MS: Final = 1000  # about one message a second a channel (https://docs.slack.dev/apis/web-api/rate-limits)
EDITS_PER_MINUTE: Final = 45  # chat.update is Tier 3: 50 a minute for a token, less a little for clocks that differ

API_URL: Final = "https://slack.com/api/"

SETUP: Final = (
    SetupStep(
        text="Make a Slack app of your own: Create New App → From a manifest → your workspace, and paste this. Slack "
        "does not have to review it, and it can read none of your messages.",
        copy="{manifest}",
        link="{manifest_link}",
    ),
    SetupStep(
        text="Install App → Install to Workspace → Allow. Copy the Bot User OAuth Token, which starts with xoxb-.",
        field="bot_token",
    ),
    SetupStep(
        text="So that buttons work over HTTPS: Basic Information → App Credentials → Signing Secret.",
        field="signing_secret",
    ),
    SetupStep(
        text="So that buttons work in Socket Mode instead: Basic Information → App-Level Tokens → Generate, with the "
        "scope connections:write. The token starts with xapp-.",
        field="app_token",
    ),
    SetupStep(
        text="The channel's ID stands at the foot of its details in Slack. In a private channel invite the bot:",
        copy="/invite @SignalCraft",
        field="channel",
    ),
)
"""What is done in Slack."""


class Config(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a person fills in. `api_url` is not theirs: the snapshot's builder sets it from `slack.api_url`."""

    bot_token: Annotated[
        Secret,
        Meta(
            title="Bot token",
            description="Starts with xoxb-: your app's page, OAuth & Permissions.",
            extra={"placeholder": "xoxb-…"},
        ),
    ]
    channel: Annotated[
        str,
        Meta(
            title="Channel",
            description="The channel's ID (C0123ABCD, at the foot of its details) or #name.",
            extra={"placeholder": "C0123ABCD"},
        ),
    ]
    signing_secret: Annotated[
        Secret,
        Meta(
            title="Signing secret",
            description="From Basic Information. Needed for buttons where Slack can reach this box over HTTPS.",
        ),
    ] = ""
    app_token: Annotated[
        Secret,
        Meta(
            title="App token",
            description="Starts with xapp-, scope connections:write. Makes buttons work by Socket Mode on a box that "
            "Slack cannot reach.",
            extra={"placeholder": "xapp-…"},
        ),
    ] = ""
    api_url: Annotated[
        str, Meta(title="API address", description="Set by the operator (slack.api_url).", extra={"operator": True})
    ] = ""


def check(config: Config) -> list[tuple[str, str]]:
    """What is wrong with the settings beyond their types, as (field, sentence). Run on what a person wrote."""
    faults: list[tuple[str, str]] = []
    for name, token in (
        ("bot_token", config.bot_token),
        ("signing_secret", config.signing_secret),
        ("app_token", config.app_token),
    ):
        if not token.isascii() or not token.isprintable() or " " in token:
            faults.append((name, "holds a character that no Slack token or secret has: copy it again"))
    if not config.bot_token:
        faults.append(("bot_token", "is needed: it starts with xoxb-"))
    elif config.bot_token.startswith(("xapp-", "http")):
        faults.append(("bot_token", "is not a bot token: that one starts with xoxb-"))
    if config.app_token.startswith(("xoxb-", "xoxp-", "http")):
        faults.append(("app_token", "is not an app-level token: that one starts with xapp-"))
    if config.signing_secret.startswith(("xoxb-", "xapp-")):
        faults.append(("signing_secret", "is a token: the signing secret stands under Basic Information"))
    name = config.channel
    if not name.strip("#") or len(name) > 81 or not name.isprintable() or any(c in name for c in " ,<>&"):
        faults.append(("channel", "must be a channel's ID such as C0123ABCD, or its #name"))
    if config.api_url:
        faults.append(("api_url", "is set by the operator (slack.api_url), not in a channel"))
    return faults


def compose(config: Config, note: Note, receipt: dict[str, str]) -> list[Step]:
    """One call. `receipt` is {"ts", "channel", "to"} of the group's message here, {} where there is none.

    * `update` edits that message; `repeat`, `escalation` and `resolved` answer in its thread.
    * Without a receipt, or where the channel's destination was changed since (`to`), whatever the kind: a whole
      message of its own, which becomes the group's message here. Only first, repeat and escalation ping.
    """
    ts, channel = receipt.get("ts", ""), receipt.get("channel", "")
    if (config.signing_secret or config.app_token) and not note.plain:
        # The buttons work; a link that acts for whoever reads the channel is only the stand-in for them.
        note = msgspec.structs.replace(note, ack_url="")
    here = bool(ts and channel) and receipt.get("to", config.channel) == config.channel
    if note.kind == "test":
        return [_call(config, "chat.postMessage", {"channel": config.channel, **blocks.trial(note), **_post(note)})]
    if note.kind == "update" and here:
        said = blocks.whole(note, ping="")
        if not note.plain:
            return [_call(config, "chat.update", {"channel": channel, "ts": ts, **said, **_PARSE})]
        # Without `blocks`, and with `text`, Slack drops the blocks the message had: that is what plain means.
        return [_call(config, "chat.update", {"channel": channel, "ts": ts, "text": said["text"], **_PARSE})]
    ping = text.mention(note.mention) if note.kind in ("first", "repeat", "escalation") else ""
    if note.kind in ("repeat", "escalation", "resolved") and here:
        thread = {"channel": channel, "thread_ts": ts, "reply_broadcast": note.kind != "resolved"}
        return [_call(config, "chat.postMessage", {**thread, **blocks.short(note, ping), **_post(note)})]
    return [_call(config, "chat.postMessage", {"channel": config.channel, **blocks.whole(note, ping), **_post(note)})]


# chat.update would fall back to parse=client, which turns a plain "@here" into a ping.
_PARSE: Final = {"parse": "none", "link_names": False}


def _post(note: Note) -> dict[str, Any]:
    payload = {"delivery": note.delivery_id, "group": note.group.id, "kind": note.kind}
    return {
        **_PARSE,
        "unfurl_links": False,
        "unfurl_media": False,
        # Slack has no idempotency key: whoever looks for a twin after a lost answer finds the delivery's id here.
        "metadata": {"event_type": "signalcraft_delivery", "event_payload": payload},
    }


def _call(config: Config, method: str, arguments: dict[str, Any]) -> HttpCall:
    return HttpCall(
        method="POST",
        url=(config.api_url or API_URL).rstrip("/") + "/" + method,
        headers={
            "Authorization": f"Bearer {config.bot_token}",
            "Content-Type": "application/json; charset=utf-8",
        },
        body=msgspec.json.encode(arguments),
        private_ok=True,
    )
