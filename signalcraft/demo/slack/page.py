"""The page that shows the channels as a person would see them, with working buttons, live."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncGenerator
from importlib.resources import files
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import msgspec
from msgspec import Struct

from signalcraft.demo.loopback import Answer, Request, Stream
from signalcraft.demo.slack.workspace import Json, Message, SlackError

if TYPE_CHECKING:
    from signalcraft.demo.slack.standin import SlackStandIn

_LOOK_EVERY_S = 0.2
_SAY_SOMETHING_S = 15.0
_TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
_GUARD = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


class _Press(Struct, frozen=True):
    channel: str
    ts: str
    action_id: str
    user: str
    block_id: str | None = None
    option: str | None = None


class _Outage(Struct, frozen=True):
    on: bool


class Page:
    """The page's routes: its files, `/page/stream` (server-sent events), `/page/press`, `/page/outage`."""

    def __init__(self, slack: SlackStandIn) -> None:
        self._slack = slack
        self._boot = secrets.token_hex(4)  # a page that outlives a restart starts over
        folder = files("signalcraft.demo") / "page"
        names = {"/": "index.html"} | {
            f"/page/{n}": n for n in ("app.css", "app.js", "blocks.js", "mrkdwn.js", "icon.svg")
        }
        self._files = {path: (name, (folder / name).read_bytes()) for path, name in names.items()}

    async def handle(self, request: Request) -> Answer | Stream:
        """Answers one request of a browser."""
        if request.method in ("GET", "HEAD"):
            if request.path == "/page/stream":
                headers = {"Content-Type": "text/event-stream", **_GUARD}
                return Stream(self._stream(_since(request, self._boot)), headers)
            if request.path in self._files:
                name, body = self._files[request.path]
                kind = _TYPES[name.rpartition(".")[2]]
                return Answer(200, body, {"Content-Type": f"{kind}; charset=utf-8", **_GUARD})
            return Answer(404)
        if request.method == "POST" and request.path in ("/page/press", "/page/outage"):
            return await self._act(request)
        return Answer(404 if request.path not in self._files else 405)

    async def _act(self, request: Request) -> Answer:
        # Another site's page must not press buttons here: only a fetch from this page carries this Origin and type.
        own = urlsplit(request.headers.get("origin", "")).netloc == request.headers.get("host")
        if not own or not request.headers.get("content-type", "").startswith("application/json"):
            return _json(403, {"error": "not from this page"})
        try:
            if request.path == "/page/outage":
                self._slack.outage(msgspec.json.decode(request.body, type=_Outage).on, mode="503")
                return _json(200, {"on": self._slack.is_unavailable})
            press = msgspec.json.decode(request.body, type=_Press)
            pressed = await self._slack.press(
                press.channel, press.ts, press.action_id, press.user, press.option, block_id=press.block_id
            )
        except msgspec.DecodeError as error:
            return _json(400, {"error": str(error)})
        except (LookupError, SlackError) as error:
            return _json(409, {"error": str(error)})
        return _json(200, {"status": pressed.status, "in_time": pressed.in_time, "took_ms": pressed.took_ms})

    async def _stream(self, since: int) -> AsyncGenerator[bytes, None]:
        yield b"retry: 1000\n\n"
        shown: Json = {}
        quiet_s = 0.0
        while True:
            revision = self._slack.workspace.revision
            about = self._about()
            if about != shown or revision != since:
                messages = [_shown(m) for m in self._slack.workspace.changed_since(since)]
                body = msgspec.json.encode(about | {"boot": self._boot, "messages": messages})
                yield b"id: %s.%d\ndata: %s\n\n" % (self._boot.encode(), revision, body)
                shown, since, quiet_s = about, revision, 0.0
            elif quiet_s >= _SAY_SOMETHING_S:
                yield b": still here\n\n"
                quiet_s = 0.0
            await asyncio.sleep(_LOOK_EVERY_S)
            quiet_s += _LOOK_EVERY_S

    def _about(self) -> Json:
        slack = self._slack
        channels = [
            {"id": c.id, "name": c.name, "private": c.private, "archived": c.archived, "member": c.member}
            for c in list(slack.workspace.channels.values())
        ]
        people = [{"id": p.id, "name": p.name} for p in slack.workspace.people.values()]
        buttons = "Socket Mode" if slack.sockets else ("signed requests" if slack.interactivity_url else "nowhere")
        return {
            "channels": channels,
            "people": people,
            "buttons": buttons,
            "refused": slack.refused_429,
            "outage": slack.is_unavailable,
        }


def _since(request: Request, boot: str) -> int:
    """The revision a browser has seen, from Last-Event-ID; 0 where it saw another run of the stand-in."""
    seen = request.headers.get("last-event-id", "") or parse_qs(request.query).get("since", [""])[0]
    run, _, revision = seen.partition(".")
    return int(revision) if run == boot and revision.isdigit() else 0


def _shown(message: Message) -> Json:
    return {
        "channel": message.channel,
        "ts": message.ts,
        "at_ms": message.at_ms,
        "author": message.author,
        "app": message.sender.startswith("xox"),
        "thread_ts": message.thread_ts,
        "broadcast": message.broadcast,
        "visible_to": message.visible_to,
        "deleted": message.deleted,
        "edits": message.edits,
        "edited_ms": message.history[-1].at_ms if message.edits else None,
        "text": message.text,
        "blocks": message.blocks,
        "attachments": message.attachments,
    }


def _json(status: int, body: Json) -> Answer:
    return Answer(status, msgspec.json.encode(body), {"Content-Type": "application/json", **_GUARD})
