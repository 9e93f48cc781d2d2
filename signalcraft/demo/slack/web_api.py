"""Slack's Web API methods, as far as an alerting app calls them (https://docs.slack.dev/reference/methods)."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from typing import Any

import msgspec

from signalcraft.demo.slack import blockkit, interactions
from signalcraft.demo.slack.limits import Limits
from signalcraft.demo.slack.workspace import Channel, Json, Message, Person, SlackError, Version, Workspace

POST_TEXT_MAX = 40_000
UPDATE_TEXT_MAX = 4_000
"""Bytes of `text` that chat.update takes, counted after `&`, `<` and `>` are escaped
(https://gitlab.com/gitlab-org/gitlab/-/merge_requests/258898); chat.postMessage takes ten times as many characters."""

CLIENT_ID = "demo.client"
CLIENT_SECRET = "demo-client-secret"  # noqa: S105  known to everybody, as all of this stand-in's secrets are
_TS = re.compile(r"\d{1,12}\.\d{6}")


class WebApi:
    """The methods over one workspace. Each takes its arguments and the caller's token and returns what goes with ok."""

    def __init__(
        self, workspace: Workspace, now_ms: Callable[[], int], limits: Limits, open_socket: Callable[[], str]
    ) -> None:
        self.workspace = workspace
        self.codes: dict[str, bool] = {}  # OAuth code → used
        self.tokens: dict[str, bool] = {}  # token → still good
        self._now_ms = now_ms
        self._limits = limits
        self._open_socket = open_socket
        self._methods: dict[str, Callable[[Json, str], Json]] = {
            "api.test": lambda args, token: {"args": args},
            "auth.test": self._auth_test,
            "chat.postMessage": self._post,
            "chat.update": self._update,
            "chat.postEphemeral": self._post_ephemeral,
            "conversations.list": self._list,
            "conversations.history": self._history,
            "conversations.replies": self._replies,
            "users.lookupByEmail": self._lookup,
            "users.info": self._user,
            "apps.connections.open": lambda args, token: {"url": self._open_socket()},
        }

    def call(self, method: str, args: Json, token: str) -> Json:
        """The answer's fields beside ok. Raises SlackError."""
        if method == "oauth.v2.access":
            return self._oauth(args)
        work = self._methods.get(method)
        if work is None:
            raise SlackError("unknown_method", req_method=method)
        if method != "api.test":
            self._authenticate(method, token)
        if wait := self._limits.call(method, token, self._now_ms()):
            raise SlackError("ratelimited", retry_after=wait)
        return work(args, token)

    def _authenticate(self, method: str, token: str) -> None:
        if not token:
            raise SlackError("not_authed")
        good = self.tokens.get(token)
        if good is None:
            raise SlackError("invalid_auth")
        if not good:
            raise SlackError("token_revoked")
        if token.startswith("xapp-") != (method == "apps.connections.open"):
            raise SlackError("not_allowed_token_type")

    def _auth_test(self, args: Json, token: str) -> Json:
        return {
            "url": f"https://{interactions.TEAM['domain']}.slack.com/",
            "team": "Demo",
            "user": "signalcraft",
            "team_id": interactions.TEAM["id"],
            "user_id": interactions.BOT_USER,
            "bot_id": interactions.BOT_ID,
            "is_enterprise_install": False,
        }

    # -- chat

    def _post(self, args: Json, token: str) -> Json:
        channel = self.workspace.writable(_required(args, "channel"))
        said = self._said(args, POST_TEXT_MAX)
        thread_ts = self._thread(channel, args.get("thread_ts"))
        broadcast = bool(thread_ts) and _flag(args.get("reply_broadcast"))
        if wait := self._limits.post(channel.id, self._now_ms()):
            raise SlackError("ratelimited", retry_after=wait)
        message = self.workspace.post(
            channel, said, sender=token, author="SignalCraft", thread_ts=thread_ts, broadcast=broadcast,
            metadata=_parsed(args.get("metadata"), dict, "invalid_metadata_format"),
        )  # fmt: skip
        return {"channel": channel.id, "ts": message.ts, "message": interactions.as_json(message)}

    def _thread(self, channel: Channel, thread_ts: Any) -> str | None:
        if not thread_ts:
            return None
        if not isinstance(thread_ts, str) or not _TS.fullmatch(thread_ts):
            raise SlackError("invalid_thread_ts")
        parent = channel.messages.get(thread_ts)
        if parent is None:
            raise SlackError("thread_not_found")
        if parent.thread_ts:
            raise SlackError("cannot_reply_to_message")
        return thread_ts

    def _update(self, args: Json, token: str) -> Json:
        channel = self.workspace.writable(_required(args, "channel"), by_name=False)
        ts = _required(args, "ts")
        message = self.workspace.message(channel.id, ts)
        if message.visible_to:
            raise SlackError("message_not_found")
        if message.sender != token:
            raise SlackError("cant_update_message")
        self.workspace.edit(message, self._said(args, UPDATE_TEXT_MAX, before=message))
        return {"channel": channel.id, "ts": ts, "text": message.text, "message": interactions.as_json(message)}

    def _post_ephemeral(self, args: Json, token: str) -> Json:
        channel = self.workspace.writable(_required(args, "channel"))
        user = _required(args, "user")
        if user not in self.workspace.people:
            raise SlackError("user_not_in_channel")
        message = self.workspace.post(
            channel, self._said(args, POST_TEXT_MAX), sender=token, author="SignalCraft", visible_to=user,
            thread_ts=self._thread(channel, args.get("thread_ts")),
        )  # fmt: skip
        return {"message_ts": message.ts}

    def _said(self, args: Json, text_max: int, before: Message | None = None) -> Version:
        """What a call says; an update keeps the text, blocks and attachments that it leaves out."""
        text = args.get("text")
        blocks = _parsed(args.get("blocks"), list, "invalid_blocks_format")
        attachments = _parsed(args.get("attachments"), list, "invalid_attachments")
        if not isinstance(text, str | None):
            raise SlackError("invalid_arguments", response_metadata={"messages": ["[ERROR] text must be a string"]})
        if not text and not blocks and not attachments:
            raise SlackError("no_text")
        if len((text or "").encode() if text_max == UPDATE_TEXT_MAX else (text or "")) > text_max:
            raise SlackError("msg_too_long")
        self._check(blocks or [], attachments or [])
        if before is not None:
            text = before.text if text is None else text
            blocks = before.blocks if blocks is None else blocks
            attachments = before.attachments if attachments is None else attachments
        return Version(self._now_ms(), text or "", blocks or [], attachments or [])

    def _check(self, blocks: list[Any], attachments: list[Any]) -> None:
        wrong = blockkit.check(blocks)
        for n, attachment in enumerate(attachments):
            if not isinstance(attachment, dict):
                raise SlackError("invalid_attachments")
            wrong += blockkit.check(attachment.get("blocks") or [], f"/attachments/{n}/blocks")
        if wrong:
            raise SlackError("invalid_blocks", errors=wrong, response_metadata={"messages": wrong})
        if blockkit.too_long(blocks):
            raise SlackError("msg_blocks_too_long")

    # -- conversations and users

    def _list(self, args: Json, token: str) -> Json:
        kinds = str(args.get("types") or "public_channel").split(",")
        shown = [
            c
            for c in list(self.workspace.channels.values())
            if ("private_channel" in kinds and c.member if c.private else "public_channel" in kinds)
            and not (_flag(args.get("exclude_archived")) and c.archived)
        ]
        page, cursor = _page(shown, args)
        return {"channels": [_channel(c) for c in page], "response_metadata": {"next_cursor": cursor}}

    def _history(self, args: Json, token: str) -> Json:
        channel = self.workspace.writable(_required(args, "channel"), by_name=False)
        shown = [m for m in list(channel.messages.values()) if _public(m) and (not m.thread_ts or m.broadcast)]
        oldest, latest = str(args.get("oldest") or "0"), str(args.get("latest") or "9999999999.999999")
        inclusive = _flag(args.get("inclusive"))
        within = [m for m in shown if oldest < m.ts < latest or (inclusive and m.ts in (oldest, latest))]
        page, cursor = _page(within[::-1], args)
        metadata = _flag(args.get("include_all_metadata"))
        messages = [_shown(m, metadata=metadata) for m in page]
        return {"messages": messages, "has_more": bool(cursor), "response_metadata": {"next_cursor": cursor}}

    def _replies(self, args: Json, token: str) -> Json:
        channel = self.workspace.writable(_required(args, "channel"), by_name=False)
        ts = _required(args, "ts")
        thread = [m for m in list(channel.messages.values()) if _public(m) and ts in (m.ts, m.thread_ts)]
        if not thread:
            raise SlackError("thread_not_found")
        page, cursor = _page(thread, args)
        metadata = _flag(args.get("include_all_metadata"))
        messages = [_shown(m, metadata=metadata) for m in page]
        return {"messages": messages, "has_more": bool(cursor), "response_metadata": {"next_cursor": cursor}}

    def _lookup(self, args: Json, token: str) -> Json:
        email = _required(args, "email")
        for person in self.workspace.people.values():
            if person.email == email:
                return {"user": _user(person)}
        raise SlackError("users_not_found")

    def _user(self, args: Json, token: str) -> Json:
        person = self.workspace.people.get(_required(args, "user"))
        if person is None:
            raise SlackError("user_not_found")
        return {"user": _user(person)}

    def _oauth(self, args: Json) -> Json:
        if args.get("client_id") != CLIENT_ID:
            raise SlackError("invalid_client_id")
        if args.get("client_secret") != CLIENT_SECRET:
            raise SlackError("bad_client_secret")
        used = self.codes.get(str(args.get("code")))
        if used is not False:
            raise SlackError("invalid_code" if used is None else "code_already_used")
        self.codes[str(args["code"])] = True
        token = f"xoxb-{secrets.token_hex(12)}"
        self.tokens[token] = True
        return {
            "access_token": token,
            "token_type": "bot",
            "scope": "chat:write,chat:write.public,channels:read,groups:read,users:read,users:read.email",
            "bot_user_id": interactions.BOT_USER,
            "app_id": interactions.APP_ID,
            "team": {"id": interactions.TEAM["id"], "name": "Demo"},
            "enterprise": None,
            "is_enterprise_install": False,
            "authed_user": {"id": next(iter(self.workspace.people), "")},
        }


def _required(args: Json, name: str) -> str:
    value = args.get(name)
    if not value or not isinstance(value, str):
        raise SlackError(
            "invalid_arguments", response_metadata={"messages": [f"[ERROR] missing required field: {name}"]}
        )
    return value


def _flag(value: Any) -> bool:
    return value in (True, "true", "1", 1)


def _parsed(value: Any, kind: type[Any], error: str) -> Any:
    """A structure given as JSON, or as text of JSON in a form; None where it was left out."""
    if isinstance(value, str) and value:
        try:
            value = msgspec.json.decode(value)
        except msgspec.DecodeError:
            raise SlackError(error) from None
    if value is None or value == "":
        return None
    if not isinstance(value, kind):
        raise SlackError(error)
    return value


def _public(message: Message) -> bool:
    return not message.deleted and not message.visible_to


def _shown(message: Message, *, metadata: bool) -> Json:
    shown = interactions.as_json(message)
    if not metadata:
        shown.pop("metadata", None)
    return shown


def _page(items: list[Any], args: Json) -> tuple[list[Any], str]:
    try:
        start, limit = int(args.get("cursor") or 0), int(args.get("limit") or 100)
    except (TypeError, ValueError):
        raise SlackError("invalid_cursor") from None
    end = start + max(1, min(limit, 1000))
    return items[start:end], str(end) if end < len(items) else ""


def _channel(channel: Channel) -> Json:
    return {
        "id": channel.id,
        "name": channel.name,
        "is_channel": not channel.private,
        "is_group": channel.private,
        "is_private": channel.private,
        "is_archived": channel.archived,
        "is_member": channel.member,
        "num_members": 2,
    }


def _user(person: Person) -> Json:
    return {
        "id": person.id,
        "team_id": interactions.TEAM["id"],
        "name": person.username,
        "real_name": person.name,
        "deleted": False,
        "is_bot": False,
        "profile": {"email": person.email, "real_name": person.name, "display_name": person.name},
    }
