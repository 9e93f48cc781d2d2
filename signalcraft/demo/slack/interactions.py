"""What Slack sends when somebody presses a button (https://docs.slack.dev/reference/interaction-payloads)."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any, Literal
from urllib.parse import urlencode

import msgspec
from msgspec import Struct

from signalcraft.demo.slack.workspace import Json, Message, Person, elements

TEAM = {"id": "T0DEMO", "domain": "demo"}
APP_ID = "A0SIGNALCRAFT"
BOT_ID = "B0SIGNALCRAFT"
BOT_USER = "U0SIGNALCRAFT"
ANSWER_WITHIN_S = 3.0


class Pressed(Struct, frozen=True):
    """What became of a press. `status` is the app's HTTP status, 200 for an envelope acknowledged through Socket Mode,
    0 where nothing came back within Slack's three seconds (`in_time` is false then)."""

    status: int
    in_time: bool
    via: Literal["http", "socket"]
    took_ms: int
    body: bytes = b""


def sign(secret: str, timestamp: int | str, body: bytes) -> str:
    """Slack's v0 signature over the raw body (https://docs.slack.dev/authentication/verifying-requests-from-slack)."""
    base = b"v0:" + str(timestamp).encode() + b":" + body
    return "v0=" + hmac.new(secret.encode(), base, hashlib.sha256).hexdigest()


def form(payload: Json) -> bytes:
    """The body of an interactivity request: one form field, `payload`."""
    return urlencode({"payload": msgspec.json.encode(payload).decode()}).encode()


def find(message: Message, action_id: str, block_id: str | None = None) -> tuple[Json, Json]:
    """The (block, element) of an action. Raises LookupError where the message has no such thing to press."""
    for block, element in elements(message):
        if element.get("action_id") == action_id and block_id in (None, block.get("block_id")):
            return block, element
    raise LookupError(f"no {action_id!r} to press on {message.channel_name} {message.ts}; it has {message.buttons}")


def block_actions(message: Message, chosen: tuple[Json, Json], person: Person, option: str | None, **ids: str) -> Json:
    """The payload of one press; `ids` are action_ts, trigger_id and response_url."""
    block, element = chosen
    container: Json = {
        "type": "message",
        "message_ts": message.ts,
        "channel_id": message.channel,
        "is_ephemeral": bool(message.visible_to),
    }
    if message.thread_ts:
        container["thread_ts"] = message.thread_ts
    payload: Json = {
        "type": "block_actions",
        "user": {"id": person.id, "username": person.username, "name": person.username, "team_id": TEAM["id"]},
        "api_app_id": APP_ID,
        "token": "verification-token-that-nobody-should-use",
        "container": container,
        "trigger_id": ids["trigger_id"],
        "team": TEAM,
        "enterprise": None,
        "is_enterprise_install": False,
        "channel": {"id": message.channel, "name": message.channel_name},
        "state": {"values": {}},
        "response_url": ids["response_url"],
        "actions": [_action(block, element, option) | {"action_ts": ids["action_ts"]}],
    }
    if not message.visible_to:
        payload["message"] = as_json(message)
    return payload


def _action(block: Json, element: Json, option: str | None) -> Json:
    kind = element["type"]
    action: Json = {"type": kind, "action_id": element["action_id"], "block_id": block["block_id"]}
    if kind == "button":
        action["text"] = element["text"]
        for key in ("value", "style"):
            if key in element:
                action[key] = element[key]
        return action
    options = [*(element.get("options") or ())]
    for group in element.get("option_groups") or ():
        options.extend(group["options"])
    for each in options:
        if option in (each["value"], each["text"]["text"]):
            return action | {"selected_option": each}
    raise LookupError(f"no option {option!r} in {element['action_id']}; it has {[o['value'] for o in options]}")


def as_json(message: Message) -> Json:
    """A message as the Web API shows it."""
    shown: Json = {
        "type": "message",
        "user": BOT_USER if message.sender.startswith("xox") else message.sender,
        "text": message.text,
        "ts": message.ts,
        "team": TEAM["id"],
        "blocks": message.blocks,
    }
    if message.sender.startswith("xox"):
        shown |= {"bot_id": BOT_ID, "app_id": APP_ID}
    optional: dict[str, Any] = {"thread_ts": message.thread_ts, "metadata": message.metadata}
    shown |= {key: value for key, value in optional.items() if value}
    if message.attachments:
        shown["attachments"] = message.attachments
    if message.broadcast:
        shown["subtype"] = "thread_broadcast"
    if message.edits:
        at = message.history[-1].at_ms
        shown["edited"] = {"user": BOT_USER, "ts": f"{at // 1000}.{at % 1000:03d}000"}
    return shown
