"""Slack Socket Mode: presses of buttons come down a connection that we open, so that no public address is needed.

https://docs.slack.dev/apis/events-api/using-socket-mode
"""

from __future__ import annotations

import asyncio
import collections
import logging
import ssl
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final

import msgspec

from signalcraft.domain.delivery import HttpCall
from signalcraft.domain.replies import came_back, retry_after_s
from signalcraft.postman.carry import Postman
from signalcraft.postman.words import socket_words

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection

log = logging.getLogger(__name__)

# websockets logs frames and addresses, ticket included, to the logger it is given.
_SILENT = logging.getLogger("signalcraft.postman.socketmode.frames")
_SILENT.setLevel(logging.CRITICAL + 1)

PAUSE_MAX_S: Final = 60.0
PERMANENT_PAUSE_S: Final = 300.0
HEALTHY_S: Final = 30.0
FAILURES_BEFORE_WARNING: Final = 3
ENVELOPES_REMEMBERED: Final = 500
STOP_S: Final = 5.0

TWO_PROGRAMS: Final = (
    "two programs share this Slack app by Socket Mode: Slack gives each press to only one of them, so some buttons "
    "will seem dead. Give every SignalCraft its own Slack app"
)

_PERMANENT: Final = {
    "invalid_auth": "Slack does not accept the app token: make a new one with the scope connections:write",
    "not_authed": "Slack does not accept the app token: make a new one with the scope connections:write",
    "not_allowed_token_type": "the app token must start with xapp-: make one with the scope connections:write",
    "token_revoked": "the app token was revoked: make a new one with the scope connections:write",
    "token_expired": "the app token has expired: make a new one with the scope connections:write",
    "missing_scope": "the app token lacks the scope connections:write: make a new one with it",
    "account_inactive": "the Slack app is switched off or was removed: install it again",
    "forbidden_team": "the Slack workspace does not allow this app Socket Mode: ask its admins",
    "access_denied": "the Slack workspace does not allow this app Socket Mode: ask its admins",
}


class _Trouble(Exception):
    """Why there is no connection; `pause_s` where the next try has its own time; `lasting`: a person must act."""

    def __init__(self, why: str, *, pause_s: float | None = None, lasting: bool = False) -> None:
        super().__init__(why)
        self.why = why
        self.pause_s = pause_s
        self.lasting = lasting


class SocketMode:
    """One connection of one app token, kept open until `stop`.

    `on_payload` gets each interaction payload, in order, after Slack was told that we have it; what it raises is logged
    by its kind alone. `on_warning` gets a sentence that a person should read. `connected` and `trouble` (a sentence, ""
    when all is well) say how it stands. Run `run()` as one task.
    """

    def __init__(
        self,
        app_token: str,
        api_url: str,
        on_payload: Callable[[dict[str, Any]], Awaitable[None]],
        on_warning: Callable[[str], None],
        *,
        postman: Postman | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._token = app_token
        self._api_url = (api_url or "https://slack.com/api/").rstrip("/") + "/"
        self._on_payload = on_payload
        self._on_warning = on_warning
        self._given = postman
        self._sleep = sleep
        self._stopping = asyncio.Event()
        self._ended = asyncio.Event()
        self._running = False
        self._socket: ClientConnection | None = None
        self._waiting: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._seen: collections.deque[str] = collections.deque(maxlen=ENVELOPES_REMEMBERED)
        self.connected = False
        self.trouble = ""

    def __repr__(self) -> str:
        return f"<SocketMode {'connected' if self.connected else 'not connected'}>"

    async def run(self) -> None:
        """Connects, and connects again, until `stop`. What Slack was told we have is acted on before this returns."""
        postman = self._given or Postman()
        self._running = True
        acting = asyncio.create_task(self._act_in_turn())
        try:
            await self._keep_connected(postman)
            await self._waiting.join()
        finally:
            acting.cancel()
            await asyncio.gather(acting, return_exceptions=True)
            if self._given is None:
                await postman.close()
            self.connected = False
            self._ended.set()

    async def stop(self) -> None:
        """Closes the connection and waits, at most five seconds, until what was pressed before is acted on."""
        self._stopping.set()
        if self._socket is not None:
            await self._socket.close()
        if self._running:
            try:
                await asyncio.wait_for(self._ended.wait(), STOP_S)
            except TimeoutError:
                log.warning("Slack Socket Mode did not end in time")

    async def _act_in_turn(self) -> None:
        while True:
            payload = await self._waiting.get()
            try:
                await self._on_payload(payload)
            except Exception as fault:
                # By its kind alone: the text may quote the payload, which holds an address that answers to anyone.
                log.error("a press in Slack could not be acted on", extra={"fault": type(fault).__name__})
            finally:
                self._waiting.task_done()

    async def _keep_connected(self, postman: Postman) -> None:
        failures = short = 0
        loop = asyncio.get_running_loop()
        while not self._stopping.is_set():
            began = loop.time()
            greeted = False
            why = _Trouble("Slack closed the connection")
            try:
                greeted = await self._converse(await self._ask_for_url(postman), postman.tls)
            except _Trouble as trouble:
                why = trouble
            if self._stopping.is_set():
                return
            if greeted:
                # Slack renews connections every few hours and says so: that is no failure, unless it goes in circles.
                failures = 0
                short = 0 if loop.time() - began >= HEALTHY_S else short + 1
                if short:
                    await self._pause(min(2.0 ** (short - 2), PAUSE_MAX_S))
                continue
            failures += 1
            self._say(why, failures)
            await self._pause(min(2.0 ** (failures - 1), PAUSE_MAX_S) if why.pause_s is None else why.pause_s)

    def _say(self, why: _Trouble, failures: int) -> None:
        known = self.trouble == why.why
        self.trouble = why.why
        log.warning("Slack Socket Mode is not connected", extra={"why": why.why, "failures": failures})
        if (why.lasting and not known) or failures == FAILURES_BEFORE_WARNING:
            self._on_warning(f"Slack buttons do not work: {why.why}")

    async def _pause(self, seconds: float) -> None:
        sleeping = asyncio.ensure_future(self._sleep(seconds))
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait({sleeping, stopping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleeping.cancel()
            stopping.cancel()
            await asyncio.gather(sleeping, stopping, return_exceptions=True)

    async def _ask_for_url(self, postman: Postman) -> str:
        reply = await postman.send(
            HttpCall(
                method="POST",
                url=self._api_url + "apps.connections.open",
                headers={
                    "Authorization": f"Bearer {self._token}",
                    "Content-Type": "application/x-www-form-urlencoded",
                },
                body=b"",
                private_ok=True,
            )
        )
        body = _object(reply.body)
        if reply.status == 429:
            raise _Trouble("Slack asks for a pause", pause_s=retry_after_s(reply, 0) or PAUSE_MAX_S)
        if body is None or reply.status != 200:
            raise _Trouble(f"Slack could not be asked: {came_back(reply)}")
        error, url = body.get("error"), body.get("url")
        if body.get("ok") is not True:
            if isinstance(error, str) and error in _PERMANENT:
                raise _Trouble(f"{_PERMANENT[error]} ({error})", pause_s=PERMANENT_PAUSE_S, lasting=True)
            raise _Trouble(f"Slack said no ({str(error)[:80]})")
        # The stand-in of tests and the demo speaks without TLS; Slack never does.
        schemes = ("wss://", "ws://") if self._api_url.startswith("http://") else ("wss://",)
        if not isinstance(url, str) or not url.startswith(schemes):
            raise _Trouble("Slack gave no address to connect to")
        return url

    async def _converse(self, url: str, tls: ssl.SSLContext) -> bool:
        """Until the connection ends; whether Slack greeted us on it. Raises _Trouble."""
        # Loaded where it is used: a box without Socket Mode starts sooner and smaller.
        from websockets.asyncio.client import connect

        greeted = False
        try:
            async with connect(
                url,
                ssl=tls if url.startswith("wss://") else None,
                proxy=None,
                logger=_SILENT,
                max_size=1 << 20,
                open_timeout=15,
                close_timeout=2,
            ) as socket:
                self._socket = socket
                if self._stopping.is_set():
                    return greeted
                async for raw in socket:
                    message = _object(raw)
                    if message is None:
                        continue
                    if message.get("type") == "hello":
                        greeted = True
                        self._greeted(message)
                    elif message.get("type") == "disconnect":
                        if message.get("reason") == "link_disabled":
                            why = "Socket Mode is switched off on the Slack app's page: switch it on there"
                            raise _Trouble(why, pause_s=PERMANENT_PAUSE_S, lasting=True)
                        break
                    else:
                        await self._take(socket, message)
        except _Trouble:
            raise
        except Exception as fault:
            # Never by its own text: some quote the address, whose ticket opens the connection.
            if not greeted:
                known = isinstance(fault, OSError) and not isinstance(fault, TimeoutError)
                raise _Trouble(
                    socket_words(fault) if known else f"the connection failed ({type(fault).__name__})"
                ) from None
        finally:
            self._socket = None
            self.connected = False
        return greeted

    def _greeted(self, message: dict[str, Any]) -> None:
        self.connected = True
        self.trouble = ""
        log.info("Slack Socket Mode is connected")
        connections = message.get("num_connections")
        if isinstance(connections, int) and connections > 1:
            self._on_warning(TWO_PROGRAMS)

    async def _take(self, socket: ClientConnection, message: dict[str, Any]) -> None:
        """Acknowledges an envelope, then queues its payload: Slack waits three seconds, acting may take longer."""
        envelope_id = message.get("envelope_id")
        if not isinstance(envelope_id, str):
            return
        await socket.send(msgspec.json.encode({"envelope_id": envelope_id}).decode())
        payload = message.get("payload")
        if message.get("type") != "interactive" or not isinstance(payload, dict) or envelope_id in self._seen:
            return
        # Where our word was lost, Slack sends the envelope again.
        self._seen.append(envelope_id)
        self._waiting.put_nowait(payload)


def _object(raw: str | bytes) -> dict[str, Any] | None:
    try:
        found = msgspec.json.decode(raw)
    except (msgspec.DecodeError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
