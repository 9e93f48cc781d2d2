"""response_url: where an app answers a press (https://docs.slack.dev/interactivity/handling-user-interaction)."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import Struct

from signalcraft.demo.loopback import Answer, Request
from signalcraft.demo.slack import blockkit, interactions
from signalcraft.demo.slack.workspace import Json, Message, Person, SlackError, Version, Workspace

USES = 5
LASTS_MS = 30 * 60_000


class _Url(Struct):
    channel: str
    ts: str
    person: str
    until_ms: int
    used: int = 0


class ResponseUrls:
    """Addresses that take five posts within thirty minutes."""

    def __init__(self, workspace: Workspace, now_ms: Callable[[], int]) -> None:
        self._workspace = workspace
        self._now_ms = now_ms
        self._urls: dict[str, _Url] = {}

    def make(self, message: Message, person: Person) -> str:
        """The path of a new one, for one press."""
        path = f"/actions/{interactions.TEAM['id']}/{secrets.randbelow(10**12)}/{secrets.token_hex(12)}"
        self._urls[path] = _Url(message.channel, message.ts, person.id, self._now_ms() + LASTS_MS)
        return path

    def handle(self, request: Request) -> tuple[str, Json, str, Answer]:
        """Takes one post: (channel, what it said, "ok" or an error code, the answer)."""
        url = self._urls.get(request.path)
        if url is None or self._now_ms() > url.until_ms:
            return "", {}, "expired_url", _refused("expired_url", 404)
        if url.used >= USES:
            return url.channel, {}, "used_url", _refused("used_url", 404)
        url.used += 1
        said: Json = {}
        try:
            body = msgspec.json.decode(request.body)
            said = body if isinstance(body, dict) else {}
            self._take(url, said)
        except msgspec.DecodeError:
            return url.channel, said, "invalid_json", _refused("invalid_json", 400)
        except SlackError as error:
            status = 404 if error.code == "message_not_found" else 400
            return url.channel, said, error.code, _refused(error.code, status)
        return url.channel, said, "ok", Answer(200, b'{"ok":true}', {"Content-Type": "application/json"})

    def _take(self, url: _Url, said: Json) -> None:
        text, blocks = said.get("text"), said.get("blocks")
        if said.get("delete_original") is True:
            self._workspace.delete(self._workspace.message(url.channel, url.ts))
            return
        if not text and not blocks:
            raise SlackError("no_text")
        wrong = blockkit.check(_listed(blocks))
        if wrong:
            raise SlackError("invalid_blocks")
        version = Version(self._now_ms(), str(text or ""), _listed(blocks), [])
        original = self._workspace.message(url.channel, url.ts)
        if said.get("replace_original") is True:
            self._workspace.edit(original, version)
            return
        thread_ts = said.get("thread_ts") or (original.thread_ts if original.visible_to else None)
        self._workspace.post(
            self._workspace.channels[url.channel], version, sender=original.sender, author="SignalCraft",
            visible_to="" if said.get("response_type") == "in_channel" else url.person, thread_ts=thread_ts,
        )  # fmt: skip


def _listed(blocks: Any) -> list[Any]:
    return blocks if isinstance(blocks, list) else []


def _refused(error: str, status: int) -> Answer:
    return Answer(status, msgspec.json.encode({"ok": False, "error": error}), {"Content-Type": "application/json"})
