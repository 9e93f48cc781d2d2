"""The Slack stand-in: Web API, response_url, buttons and Socket Mode on loopback, with Slack's limits and faults."""

from __future__ import annotations

import asyncio
import secrets
from base64 import b64decode
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, Literal
from urllib.parse import parse_qsl

import httpx
import msgspec
from msgspec import Struct

from signalcraft.demo.loopback import Answer, Cut, Request, Server, Stream
from signalcraft.demo.slack import interactions
from signalcraft.demo.slack.faults import Fault, Faults
from signalcraft.demo.slack.interactions import Pressed
from signalcraft.demo.slack.limits import PER_MINUTE, Limits
from signalcraft.demo.slack.page import Page
from signalcraft.demo.slack.responses import ResponseUrls
from signalcraft.demo.slack.socket_mode import SocketMode
from signalcraft.demo.slack.web_api import WebApi
from signalcraft.demo.slack.workspace import Channel, Json, Message, Person, SlackError, Version, Workspace

BOT_TOKEN = "xoxb-stand-in"  # noqa: S105  accepted by the stand-in alone
APP_TOKEN = "xapp-stand-in"  # noqa: S105
SIGNING_SECRET = "signing-secret-of-the-stand-in"  # noqa: S105
PEOPLE = (Person("U0SAM", "Sam", "sam@example.com"), Person("U0KIM", "Kim", "kim@example.com"))


class Call(Struct, frozen=True):
    """One call of the Web API. `result` is "ok", Slack's error code, or what went wrong on purpose: "http_503", "lie",
    "dropped" (accepted, never answered). `args` are the call's arguments as they came."""

    method: str
    at_ms: int
    channel: str
    result: str
    args: Json


class SlackStandIn:
    """Slack, as far as an alerting app sees it. Reading and faults are safe from any thread; coroutines belong to the
    loop that ran `start` (`StandInThread` gives it one).

    * `now_ms` is the clock that ts, limits and records go by; stalls and the three seconds of a press are real ones.
    * `tokens`: the good ones; xapp- tokens may open Socket Mode, the others may call everything else.
    * `channels`: names; their ids are made from them (oncall → C0ONCALL). Others are channel_not_found.
    * `burst`, `refill_ms`: posts to one channel at once, and how soon another may follow; burst 0 switches it off.
    """

    def __init__(
        self,
        now_ms: Callable[[], int],
        port: int = 0,
        signing_secret: str = SIGNING_SECRET,
        tokens: Iterable[str] = (BOT_TOKEN, APP_TOKEN),
        channels: Iterable[str] = (),
        interactivity_url: str = "",
        *,
        host: str = "127.0.0.1",
        people: Iterable[Person] = PEOPLE,
        burst: int = 3,
        refill_ms: int = 1000,
        per_minute: dict[str, int] | None = None,
    ) -> None:
        self.signing_secret = signing_secret
        self.interactivity_url = interactivity_url
        self.calls: list[Call] = []
        self.presses: list[Pressed] = []
        self.refused_429 = 0  # calls refused for their rate
        self.workspace = Workspace(people)
        for name in channels:
            self.workspace.add_channel(name)
        self._now_ms = now_ms
        self._host = host
        self._faults = Faults()
        self._socket = SocketMode(host)
        limits = Limits(burst, refill_ms, PER_MINUTE if per_minute is None else per_minute)
        self._api = WebApi(self.workspace, now_ms, limits, self._socket.ticket_url)
        self._api.tokens.update(dict.fromkeys(tokens, True))
        self._responses = ResponseUrls(self.workspace, now_ms)
        self._page = Page(self)
        self._server = Server(self._handle, host, port)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._client: httpx.AsyncClient | None = None

    # -- life

    async def start(self) -> None:
        """Serves, on this loop."""
        self._loop = asyncio.get_running_loop()
        await self._socket.start()
        await self._server.start()

    async def stop(self) -> None:
        """Stops serving and closes every connection."""
        await self._server.stop()
        await self._socket.stop()
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    @property
    def port(self) -> int:
        """The port, once started."""
        return self._server.port

    @property
    def origin(self) -> str:
        """Where people look at it: the page's address."""
        return f"http://{self._host}:{self.port}"

    @property
    def base_url(self) -> str:
        """What `slack.api_url` is set to."""
        return f"{self.origin}/api/"

    # -- reading

    def messages(self, channel: str) -> list[Message]:
        """What people see in a channel ("#name", "name" or id), oldest first; replies and ephemeral answers too."""
        return self.workspace.messages(channel)

    def everything(self) -> list[Message]:
        """What people see in all channels, oldest first."""
        return self.workspace.everything()

    @property
    def unanswered(self) -> int:
        """How many presses the app did not answer within three seconds."""
        return sum(not pressed.in_time for pressed in self.presses)

    @property
    def sockets(self) -> int:
        """How many Socket Mode connections are open."""
        return self._socket.connected

    @property
    def is_unavailable(self) -> bool:
        """Whether every call is answered 503."""
        return self._faults.unavailable

    # -- faults

    def fail(
        self, method: str | None = None, error: str | int = "internal_error", times: int | None = None,
        retry_after_s: int = 30,
    ) -> None:  # fmt: skip
        """Calls (of one method) are answered with an error code, or with an HTTP status where `error` is a number.
        "ratelimited" and 429 come with Retry-After."""
        if isinstance(error, int):
            self._faults.add(Fault("status", method, times, status=error, retry_after_s=retry_after_s))
        else:
            self._faults.add(Fault("error", method, times, error=error, retry_after_s=retry_after_s))

    def stall(self, seconds: float, method: str | None = None, times: int | None = None) -> None:
        """Calls wait so many real seconds; then they are done, whether or not anybody still waits for the answer."""
        self._faults.add(Fault("stall", method, times, seconds=seconds))

    def lie(self, times: int | None = None, method: str | None = None) -> None:
        """Calls are answered 200 with a page of HTML, as a proxy's sign-in page does; nothing is accepted."""
        self._faults.add(Fault("lie", method, times))

    def drop_after_accept(self, times: int | None = 1, method: str | None = None) -> None:
        """Posts and edits are accepted, and the connection is closed without an answer."""
        self._faults.add(Fault("drop", method, times))

    def revoke(self, token: str) -> None:
        """The token is token_revoked from now on."""
        self._api.tokens[token] = False

    def accept(self, token: str) -> None:
        """The token is good from now on."""
        self._api.tokens[token] = True

    def add_channel(self, name: str, *, private: bool = False, member: bool = True) -> Channel:
        """Makes a channel, or gives the one of that name."""
        return self.workspace.add_channel(name, private=private, member=member)

    def archive(self, channel: str, archived: bool = True) -> None:
        """The channel is_archived from now on."""
        self.workspace.find(channel).archived = archived

    def expel(self, channel: str, member: bool = False) -> None:
        """The app is not_in_channel from now on (of a private one: channel_not_found)."""
        self.workspace.find(channel).member = member

    def outage(self, on: bool = True, mode: Literal["refuse", "503"] = "refuse") -> None:
        """Slack is down: connections are refused (the page too), or every call is answered 503."""
        if mode == "503" or not on:
            self._faults.unavailable = on
        if mode == "refuse" and on:
            self._on_loop(self._server.refuse())
        elif not on:
            self._on_loop(self._server.start())

    def heal(self) -> None:
        """Every fault ends. Tokens and channels stay as they are."""
        self._faults.clear()
        self._on_loop(self._server.start())

    def _on_loop(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            here = asyncio.get_running_loop()
        except RuntimeError:
            here = None
        if self._loop is None:
            work.close()
        elif here is self._loop:
            task = here.create_task(work)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        else:
            asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    # -- people

    def say(self, channel: str, person: str, text: str, thread_ts: str | None = None) -> Message:
        """Somebody writes into a channel."""
        who = self.workspace.person(person)
        said = Version(self._now_ms(), text, [], [])
        where = self.workspace.find(channel)
        return self.workspace.post(where, said, sender=who.id, author=who.name, thread_ts=thread_ts)

    def grant(self) -> str:
        """Somebody agrees to the installation: the code that oauth.v2.access takes, once."""
        code = secrets.token_hex(12)
        self._api.codes[code] = False
        return code

    async def press(
        self, channel: str, ts: str, action_id: str, user: str, option: str | None = None, *,
        block_id: str | None = None, signed_with: str | None = None, signed_at_ms: int | None = None,
    ) -> Pressed:  # fmt: skip
        """Somebody presses a button (or chooses an `option` of an overflow or a select, by value or text).

        It goes through Socket Mode when that is connected, else as a signed form to `interactivity_url`. `signed_with`
        and `signed_at_ms` forge the signature. Raises LookupError where there is nothing such to press, or nowhere to
        send it.
        """
        person = self.workspace.person(user)
        message = self.workspace.message(channel, ts)
        now_ms = self._now_ms()
        payload = interactions.block_actions(
            message, interactions.find(message, action_id, block_id), person, option,
            action_ts=f"{now_ms // 1000}.{now_ms % 1000:03d}000", trigger_id=f"{now_ms}.{secrets.token_hex(8)}",
            response_url=self.origin + self._responses.make(message, person),
        )  # fmt: skip
        started = asyncio.get_running_loop().time()
        if self._socket.connected:
            acknowledged = await self._socket.send(payload)
            status, body, via = (200 if acknowledged else 0), b"", "socket"
        elif self.interactivity_url:
            signed_at = (now_ms if signed_at_ms is None else signed_at_ms) // 1000
            status, body = await self._post(interactions.form(payload), signed_with or self.signing_secret, signed_at)
            via = "http"
        else:
            raise LookupError("no interactivity URL is set and Socket Mode is not connected")
        took_ms = round((asyncio.get_running_loop().time() - started) * 1000)
        pressed = Pressed(status, status != 0, "socket" if via == "socket" else "http", took_ms, body)
        self.presses.append(pressed)
        return pressed

    async def disconnect_sockets(self, reason: str = "refresh_requested") -> None:
        """Slack asks every Socket Mode connection to come again."""
        await self._socket.disconnect(reason)

    async def _post(self, body: bytes, secret: str, signed_at: int) -> tuple[int, bytes]:
        """The app's status and body; 0 where it did not answer in time."""
        if self._client is None:
            self._client = httpx.AsyncClient(timeout=interactions.ANSWER_WITHIN_S, trust_env=False)
        headers = {
            "Content-Type": "application/x-www-form-urlencoded",
            "User-Agent": "Slackbot 1.0 (+https://api.slack.com/robots)",
            "X-Slack-Request-Timestamp": str(signed_at),
            "X-Slack-Signature": interactions.sign(secret, signed_at, body),
        }
        try:
            async with asyncio.timeout(interactions.ANSWER_WITHIN_S):
                reply = await self._client.post(self.interactivity_url, content=body, headers=headers)
        except (httpx.HTTPError, TimeoutError):
            return 0, b""
        return reply.status_code, reply.content

    # -- the wire

    async def _handle(self, request: Request) -> Answer | Stream | Cut:
        path = request.path
        if path.startswith("/api/"):
            return await self._call(path.removeprefix("/api/"), request)
        if path.startswith("/actions/"):
            return self._answer_to_press(request)
        return await self._page.handle(request)

    async def _call(self, method: str, request: Request) -> Answer | Cut:
        channel = ""
        args: Json = {}
        try:
            if self._faults.unavailable:
                return self._record(method, channel, args, "http_503", Answer(503))
            args = _args(request)
            channel = str(args.get("channel") or "")
            if (fault := self._faults.take(method, "stall")) is not None:
                await asyncio.sleep(fault.seconds)
            if (fault := self._faults.take(method, "error", "status", "lie")) is not None:
                return self._record(method, channel, args, *_wrong(fault))
            answer = self._api.call(method, args, _token(request, args))
        except SlackError as error:
            return self._record(method, channel, args, error.code, _refusal(error))
        if self._faults.take(method, "drop") is not None:
            return self._record(method, channel, args, "dropped", Cut())
        return self._record(method, channel, args, "ok", _json({"ok": True} | answer))

    def _answer_to_press(self, request: Request) -> Answer | Cut:
        """A post to a response_url; among the calls it is "response_url", and only faults of that name concern it."""
        if self._faults.unavailable:
            return self._record("response_url", "", {}, "http_503", Answer(503))
        if (fault := self._faults.take("response_url", "error", "status", "lie")) is not None:
            return self._record("response_url", "", {}, *_wrong(fault))
        channel, said, result, answer = self._responses.handle(request)
        return self._record("response_url", channel, said, result, answer)

    def _record(self, method: str, channel: str, args: Json, result: str, answer: Answer | Cut) -> Answer | Cut:
        self.calls.append(Call(method, self._now_ms(), channel, result, args))
        self.refused_429 += result == "ratelimited"
        return answer


def _args(request: Request) -> Json:
    """The arguments of a call, from JSON or a form. Raises SlackError."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/json":
        try:
            args = msgspec.json.decode(request.body or b"{}")
        except msgspec.DecodeError:
            raise SlackError("invalid_json") from None
        if not isinstance(args, dict):
            raise SlackError("json_not_object")
        return args
    if kind not in ("application/x-www-form-urlencoded", ""):
        raise SlackError("invalid_post_type")
    try:
        args = dict(parse_qsl(request.query)) | dict(parse_qsl(request.body.decode(), keep_blank_values=True))
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "basic":
            args["client_id"], _, args["client_secret"] = b64decode(given).decode().partition(":")
    except ValueError:
        raise SlackError("invalid_form_data") from None
    return args


def _token(request: Request, args: Json) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return token.strip()
    json = request.headers.get("content-type", "").startswith("application/json")
    return "" if json else str(args.get("token") or "")  # a JSON call carries its token in the header alone


def _json(body: Json, status: int = 200, headers: dict[str, str] | None = None) -> Answer:
    return Answer(
        status, msgspec.json.encode(body), {"Content-Type": "application/json; charset=utf-8", **(headers or {})}
    )


def _refusal(error: SlackError) -> Answer:
    if error.code == "ratelimited":
        headers = {"Retry-After": str(error.extra.get("retry_after", 1))}
        return _json({"ok": False, "error": "ratelimited"}, 429, headers)
    return _json({"ok": False, "error": error.code} | error.extra)


def _wrong(fault: Fault) -> tuple[str, Answer]:
    """The result and the answer of a fault."""
    if fault.kind == "lie":
        return "lie", Answer(200, b"<!doctype html><title>Sign in</title>", {"Content-Type": "text/html"})
    if fault.error == "ratelimited" or fault.status == 429:
        return "ratelimited", _refusal(SlackError("ratelimited", retry_after=fault.retry_after_s))
    if fault.kind == "status":
        headers = {"Content-Type": "text/html"}
        return f"http_{fault.status}", Answer(fault.status, b"<html>Something went wrong</html>", headers)
    extra = {"needed": "chat:write", "provided": "users:read"} if fault.error == "missing_scope" else {}
    return fault.error, _json({"ok": False, "error": fault.error} | extra)
