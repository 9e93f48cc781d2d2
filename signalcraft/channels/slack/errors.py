"""What Slack's answers mean. HTTP is 200 also for faults: the body says `"ok": false` and an error's code.

Codes: https://docs.slack.dev/reference/methods/chat.postMessage and …/chat.update.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from signalcraft.domain.delivery import Broken, HttpCall, Note, Outcome, Refused, Reply, Retry, Sent, Step
from signalcraft.domain.event import clip
from signalcraft.domain.replies import came_back, retry_after_s

_NEW_TOKEN = "install the app again and paste the new bot token here"  # noqa: S105 - words, not a token
_SETTINGS = "ask a workspace admin, or choose another channel"

BROKEN: Final[dict[str, str]] = {
    # The installation.
    "invalid_auth": f"Slack does not accept the bot token: {_NEW_TOKEN}",
    "not_authed": "no bot token reached Slack: paste it again",
    "account_inactive": f"the bot's account or the workspace is switched off: {_NEW_TOKEN}",
    "token_revoked": f"the bot token was revoked: {_NEW_TOKEN}",
    "token_expired": f"the bot token has expired: switch token rotation off for the app, {_NEW_TOKEN}",
    "not_allowed_token_type": "that is not a bot token: paste the one that starts with xoxb-",
    "no_permission": f"the app may not do this: add the scope chat:write, {_NEW_TOKEN}",
    "access_denied": f"Slack denies the app access: {_SETTINGS}",
    "accesslimited": f"Slack limits access to this workspace: {_SETTINGS}",
    "org_login_required": "the workspace moved into an organisation: install the app there and paste the new bot token",
    "team_access_not_granted": "the app is not approved for this workspace: ask an admin of the organisation",
    "ekm_access_denied": "the organisation's key management has suspended posting: ask its administrators",
    "enterprise_is_restricted": "the app may not be used in this organisation: ask its administrators",
    "two_factor_setup_required": "the account behind the token must set up two-factor sign-in",
    "method_deprecated": "Slack no longer offers this call: update SignalCraft",
    "deprecated_endpoint": "Slack no longer offers this call: update SignalCraft",
    "unknown_method": "there is no Slack API at the address set as slack.api_url",
    # The destination.
    "channel_not_found": "the bot sees no channel {channel}: check the name or ID; if it is private, invite the bot: "
    "/invite @SignalCraft in the channel",
    "not_in_channel": "the bot is not in {channel}: invite the bot: /invite @SignalCraft in the channel",
    "is_archived": "the channel {channel} is archived: unarchive it or choose another",
    "is_inactive": "the channel {channel} is frozen: choose another",
    "channel_type_not_supported": "bots cannot post to {channel}: choose a channel",
    "messages_tab_disabled": "{channel} is an app's page that takes no messages: choose a channel",
    "restricted_action": f"a setting of the workspace keeps the bot from posting in {{channel}}: {_SETTINGS}",
    "restricted_action_read_only_channel": f"{{channel}} is read-only for the bot: {_SETTINGS}",
    "restricted_action_thread_only_channel": f"in {{channel}} only threads may be written: {_SETTINGS}",
    "restricted_action_non_threadable_channel": f"{{channel}} allows no threads: {_SETTINGS}",
    "restricted_action_thread_locked": f"threads in {{channel}} are locked: {_SETTINGS}",
    "team_not_found": "the workspace of {channel} is gone: choose another channel",
    "user_not_found": "there is no person {channel} to write to: choose a channel",
}

GONE: Final[dict[str, str]] = {
    "message_not_found": "the message is no more",
    "cant_update_message": "the message is not the bot's to edit",
    "edit_window_closed": "the workspace's time for editing messages is over",
    "thread_not_found": "the thread is no more",
    "cannot_reply_to_message": "this message takes no replies",
    "cant_broadcast_message": "this reply cannot be shown in the channel",
    "message_not_owned_by_app": "the message is not the app's to edit",
}

REFUSED: Final[dict[str, str]] = {
    "invalid_blocks": "Slack refused the layout",
    "invalid_blocks_format": "Slack refused the layout",
    "msg_too_long": "the text is too long",
    "msg_blocks_too_long": "the layout is too long",
    "no_text": "the message has no text",
    "too_many_attachments": "there are too many attachments",
    "invalid_arguments": "Slack refused an argument",
    "invalid_arg_name": "Slack refused an argument's name",
    "invalid_array_arg": "Slack refused a list",
    "invalid_charset": "Slack refused the character set",
    "invalid_form_data": "Slack could not read the form",
    "invalid_json": "Slack could not read the JSON",
    "json_not_object": "Slack wants a JSON object",
    "invalid_post_type": "Slack refused the content type",
    "missing_post_type": "Slack missed the content type",
    "invalid_metadata_format": "Slack refused the metadata",
    "invalid_metadata_schema": "Slack refused the metadata",
    "metadata_too_large": "the metadata is too large",
}

RETRY: Final[dict[str, str]] = {
    "ratelimited": "Slack asks for a pause",
    "rate_limited": "Slack asks for a pause",
    "message_limit_exceeded": "the workspace has posted too much for now",
    "internal_error": "Slack had an inner fault",
    "fatal_error": "Slack had an inner fault",
    "service_unavailable": "Slack is not available",
    "request_timeout": "Slack did not get the whole request",
    "team_added_to_org": "the workspace is being moved into an organisation",
}


def judge(config: Any, note: Note, step: Step, reply: Reply) -> Outcome:
    """Whether Slack took it, and if not, whether to try again, to say it otherwise, or to ask a person.

    The receipt is always that of the group's message: an answer in its thread leaves `ts` as it was.
    """
    if reply.status == 429:
        return Retry("Slack asks for a pause (ratelimited)", retry_after_s(reply, note.now_ms))
    if reply.status == 0 or reply.status >= 500:
        return Retry(f"Slack could not be asked: {came_back(reply)}")
    body = _object(reply.body)
    if body is None or not isinstance(body.get("ok"), bool):
        return Retry(f"what answered is not Slack's API: HTTP {reply.status} without its JSON")
    if not body["ok"]:
        return _fault(config.channel, note, body, reply)
    if reply.status >= 300:
        return Retry(f"Slack's answer contradicts itself: HTTP {reply.status} with ok")
    return Sent(_receipt(config.channel, step, body))


def _object(raw: bytes) -> dict[str, Any] | None:
    try:
        found = msgspec.json.decode(raw)
    except (msgspec.DecodeError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _receipt(to: str, step: Step, body: dict[str, Any]) -> dict[str, str]:
    asked = (_object(step.body) or {}) if isinstance(step, HttpCall) else {}
    ts = asked.get("thread_ts") or body.get("ts")
    channel = body.get("channel") or asked.get("channel")
    # ts is the message's id, a string of digits with a dot: as a number it would lose its last digits.
    if not isinstance(ts, str) or not isinstance(channel, str):
        return {}
    return {"ts": ts, "channel": channel, "to": to}


def _fault(channel: str, note: Note, body: dict[str, Any], reply: Reply) -> Outcome:
    code = body.get("error")
    if not isinstance(code, str):
        return Retry("Slack said no without saying why")
    said = f" ({clip(code, 80)})"
    if code == "missing_scope":
        needed, provided = body.get("needed"), body.get("provided")
        has = f", it has {clip(provided, 200)}" if isinstance(provided, str) and provided else ""
        lacks = clip(needed, 200) if isinstance(needed, str) and needed else "a scope"
        return Broken(f"the bot lacks {lacks}{has}: add it under OAuth & Permissions, {_NEW_TOKEN}{said}")
    if code in BROKEN:
        return Broken(BROKEN[code].replace("{channel}", clip(channel, 90)) + said)
    if code in GONE:
        return Refused(GONE[code] + said, gone=True)
    if code in REFUSED:
        return Refused(REFUSED[code] + said + _details(body))
    if code in RETRY:
        return Retry(RETRY[code] + said, retry_after_s(reply, note.now_ms))
    return Retry(f"Slack said something new{said}")


def _details(body: dict[str, Any]) -> str:
    """What Slack's validator says of the layout ("must be less than 3001 characters [json-pointer:/blocks/0/…]")."""
    metadata = body.get("response_metadata")
    messages = metadata.get("messages") if isinstance(metadata, dict) else None
    words = [m for m in messages if isinstance(m, str)] if isinstance(messages, list) else []
    return ": " + clip("; ".join(words), 300) if words else ""
