"""The listeners that the world comes through: HTTP or HTTPS, the redirect beside it, and a certificate that is renewed.

A listening socket lives as long as the program, or longer (main/handover.py). The embedded server cannot load another
certificate: so another server is started on the same socket, the old one is told of no more connections, and ends what
it has. No connection is lost over it.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Collection, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any

from granian._granian import SocketHolder
from granian.constants import HTTPModes, Interfaces, SSLProtocols
from granian.http import HTTP1Settings
from granian.server.embed import Server

from signalcraft.config import Settings, split_listen
from signalcraft.errors import BadSetting
from signalcraft.http.limits import Addresses, Exceeded, subscriber
from signalcraft.http.redirect import redirect_app
from signalcraft.main import certificate
from signalcraft.main.connections import Connections, Patience, Peer, room_for, unsettled
from signalcraft.main.handover import OURS, Handover, deafen, waiting
from signalcraft.services.house import House

if TYPE_CHECKING:
    from signalcraft.http.app import App

log = logging.getLogger(__name__)

BACKLOG = 4096
"""Connections that may wait while one process ends and the next one starts (net.core.somaxconn's usual value)."""
LISTENER = "http"
"""What the tasks of the main listener are called: with a new certificate one of them ends and nothing is wrong."""
REDIRECT = "redirect"
LISTENERS = (LISTENER, REDIRECT)
CHANGE_S = 10.0
"""How long the old server keeps what it had taken in but not yet read, at a change of certificate."""
QUEUE_S = 1.5
"""How long it fetches who waits in the kernel's queue at the end of the program, at most."""
LINGER_S = 4.5
"""How long it then keeps connections on which somebody may be about to say something, at most."""
QUIET_MS = 150
"""A connection that was answered before may end when it was quiet for so long."""
SILENT_MS = 1500
"""One on which nothing was said yet."""
BEGUN_MS = 4000
"""One that has begun to speak, a TLS handshake or half a head: its client may have little time."""
_LOOK_S = 0.02

Spawn = Callable[[str, Coroutine[Any, Any, Any]], "asyncio.Task[Any]"]


class Listener(Server):
    """The embedded server on a socket of ours, which stays open when it ends."""

    def __init__(self, app: Any, settings: Settings, sock: socket.socket, *, tls: bool, connections: int) -> None:
        http, address = settings.http, sock.getsockname()
        super().__init__(
            app,
            address=address[0],
            port=address[1],
            # The app's life is the program's: with a new certificate comes a new server, not a new app.
            interface=Interfaces.ASGINL,
            backlog=BACKLOG,
            backpressure=connections,
            log_enabled=False,
            websockets=False,
            # HTTP/1.1 alone: while it guesses the version the server waits for a silent client without end, and what
            # may be sent before a request is whole would be bounded by megabytes.
            http=HTTPModes.http1,
            http1_settings=HTTP1Settings(
                header_read_timeout=round(http.header_seconds * 1000),
                max_buffer_size=max(http.header_bytes_max, 65_536),
            ),
            ssl_cert=Path(http.tls_certificate) if tls else None,
            ssl_key=Path(http.tls_key) if tls else None,
            ssl_protocol_min=SSLProtocols.tls12,
        )
        self.port: int = address[1]
        self._sock = sock
        self._fd = -1
        self.asked = False
        self.started = asyncio.Event()
        self.on_startup(self.started.set)

    def _init_shared_socket(self) -> None:
        self._ssp = None
        self._fd = self._sock.dup().detach()
        # Its types leave the arguments out: descriptor, whether it is a Unix socket, backlog.
        self._shd: Any = SocketHolder(self._fd, False, BACKLOG)  # type: ignore[call-arg]

    def deaf(self) -> None:
        """Takes no more connections: they wait for whoever listens on the same socket. What it has goes on."""
        if self.asked:
            return  # its descriptor is closed or about to be: the number may be a client's connection by now
        if not deafen(self._fd):
            log.debug("this system cannot keep new connections from a server")

    def ends(self) -> None:
        """Takes no more, and ends what it has."""
        self.asked = True
        self.stop()  # type: ignore[no-untyped-call]  # granian carries no types there


def bound(host: str, port: int) -> socket.socket:
    """A socket that listens. Raises OSError."""
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # what is taken in from it has it too
        sock.setblocking(False)
        sock.bind((host, port))
        sock.listen(BACKLOG)
    except BaseException:
        sock.close()
        raise
    return sock


class Front:
    """The listeners of one program. `handover`: sockets that outlive it."""

    def __init__(
        self, settings: Settings, app: Any, now: Callable[[], int], warnings: list[str], handover: Handover
    ) -> None:
        self._settings = settings
        self._app = app
        self._now = now
        self._warnings = warnings
        self._told: list[str] = []
        self.until_ms: int | None = None
        """Until when the certificate holds, None without one."""
        self.connections = room_for(settings.http.connections_max)
        self._handover = handover
        self._socks: dict[str, socket.socket] = {}
        self._servers: list[Listener] = []
        self._changing: set[asyncio.Task[Any]] = set()
        self._turn = asyncio.Lock()
        self._main: Listener | None = None

    @property
    def ports(self) -> frozenset[int]:
        """What is listened on."""
        return frozenset(server.port for server in self._servers)

    async def start(self, spawn: Spawn) -> None:
        """Listens when it returns. Raises BadSetting where an address or the certificate cannot be used."""
        http = self._settings.http
        self.look()
        self._handover.receive()
        wanted = {path: listen for path in OURS if (listen := getattr(http, path.removeprefix("http.")))}
        made = [path for path, listen in wanted.items() if self._listen(path, listen_address(listen))]
        self._handover.settle(", ".join(f"{path} is {listen}" for path, listen in wanted.items()))
        for path in made:
            self._handover.keep(path, self._socks[path])
        self._spawn = spawn
        main, redirect = OURS
        self._main = await self._open(self._app, main, bool(http.tls_certificate), LISTENER)
        if redirect in wanted:
            await self._open(redirect_app(self._settings), redirect, False, REDIRECT)

    def _listen(self, path: str, address: tuple[str, int]) -> bool:
        """The socket of an address; whether it had to be made."""
        handed = self._handover.take(path, address)
        try:
            self._socks[path] = bound(*address) if handed is None else handed
        except OSError as problem:
            raise BadSetting(
                f"{address[0]}:{address[1]} cannot be listened on: {problem.strerror}", path=path
            ) from None
        return handed is None

    async def _open(self, app: Any, path: str, tls: bool, name: str) -> Listener:
        server = Listener(app, self._settings, self._socks[path], tls=tls, connections=self.connections)
        self._servers.append(server)
        task = self._spawn(name, self._serve(server))
        started = asyncio.create_task(server.started.wait())
        await asyncio.wait({task, started}, timeout=5, return_when=asyncio.FIRST_COMPLETED)
        started.cancel()
        if task.done() or not server.started.is_set():
            why = task.exception() if task.done() else "it did not start in time"
            raise BadSetting(f"the listener ended at once: {why}", path=path)
        return server

    async def _serve(self, server: Listener) -> None:
        """Until the server was asked to end. Raises RuntimeError where it ends by itself."""
        try:
            await server.serve()
        finally:
            self._servers.remove(server)
        if not server.asked:
            raise RuntimeError("the listener ended by itself")

    def look(self) -> None:
        """Reads the certificate and says what is wrong with it in the house's warnings. Raises BadSetting."""
        found = certificate.read(self._settings)
        for old in self._told:
            self._warnings.remove(old)
        self.until_ms = found.until_ms if found else None
        self._told = found.warnings(self._settings.http.public_url, self._now()) if found else []
        for text in self._told:
            log.warning(text)
        self._warnings.extend(self._told)

    def renew(self) -> None:
        """The certificate's files were replaced: they serve the next connections. What cannot be used changes nothing,
        and is logged."""
        if not self._settings.http.tls_certificate or self._main is None:
            return  # while it starts, its files were read just now
        task = asyncio.get_running_loop().create_task(self._renew(), name="renew the certificate")
        self._changing.add(task)
        task.add_done_callback(self._changing.discard)

    async def _renew(self) -> None:
        async with self._turn:
            old = await self._followed()
        if old is not None:
            await asyncio.sleep(CHANGE_S)
            old.ends()

    async def _followed(self) -> Listener | None:
        """Another server takes every new connection from now on; the one before it. None where it cannot be."""
        old = self._main
        try:
            await asyncio.to_thread(certificate.read, self._settings)
            self.look()
            new = Listener(self._app, self._settings, self._socks[OURS[0]], tls=True, connections=self.connections)
        except Exception as problem:
            log.error("the new certificate cannot be used, the old one stays", extra={"why": str(problem)})
            return None
        self._main = new
        self._servers.append(new)
        self._spawn(LISTENER, self._serve(new))
        await new.started.wait()
        if old is not None:
            old.deaf()
        log.info("the certificate was read again: it serves every connection from now on")
        return old

    async def quiet(self, heard: Collection[Peer]) -> None:
        """Takes no more connections, and returns when nobody is about to say something on one that is open.

        To end the servers before that would cut off whoever has connected and is not yet heard. `heard`: who is.
        """
        # They came before the end was asked for.
        await _while(lambda: any(map(waiting, self._socks.values())), QUEUE_S)
        for server in list(self._servers):
            server.deaf()
        patience = Patience(heard_ms=QUIET_MS, silent_ms=SILENT_MS, begun_ms=BEGUN_MS)
        await _while(lambda: unsettled(self.ports, heard, patience), LINGER_S)

    def end(self) -> None:
        """No more connections are taken; requests under way are answered. Those who wait are left to the next."""
        for server in list(self._servers):
            server.ends()
        for sock in self._socks.values():
            sock.close()


async def _while(busy: Callable[[], bool], seconds: float) -> None:
    """Looks from a thread until something is no longer so, at most for so long."""
    loop = asyncio.get_running_loop()
    until_s = loop.time() + seconds
    while await asyncio.to_thread(busy):
        if loop.time() >= until_s:
            return
        await asyncio.sleep(_LOOK_S)


class Life:
    """An app's own start and end, in one task, since what it began must be ended where it was begun."""

    def __init__(self, app: App) -> None:
        self._over = asyncio.Event()
        self._begun = asyncio.Event()
        self._task = asyncio.get_running_loop().create_task(self._live(app), name="app")

    @classmethod
    async def begun(cls, app: App) -> Life:
        """The life of an app that has started. Raises what its start raises."""
        life = cls(app)
        begun = asyncio.create_task(life._begun.wait())
        await asyncio.wait({life._task, begun}, return_when=asyncio.FIRST_COMPLETED)
        begun.cancel()
        if life._task.done():
            await life._task
        return life

    async def _live(self, app: App) -> None:
        async with app.lifespan():
            self._begun.set()
            await self._over.wait()

    async def end(self) -> None:
        """Ends it, at most two seconds long."""
        self._over.set()
        await asyncio.wait({self._task}, timeout=2)


def watch_over(house: House, front: Front, exceeded: Exceeded, heard: set[Peer]) -> Connections:
    """The watch over what is connected to a front: cuts are counted, logged and seen in the security log.

    Of those who were `heard` only who is connected stays known.
    """
    http = house.settings.http
    addresses = Addresses(http.trusted_proxies)

    def told(limit: str, address: str, n: int) -> None:
        exceeded.note(limit, address, house.now(), n)
        house.security.saw("limit", address, route=limit)

    exceeded.saw = lambda limit, address: house.security.saw("limit", address, route=limit)
    watch = Connections(
        front.ports,
        most=front.connections,
        per_address=http.connections_per_address_max,
        send_s=http.send_seconds,
        subject=subscriber,
        exempt=addresses.trusts,
        told=told,
    )
    watch.looked = heard.intersection_update
    return watch


def listen_address(listen: str) -> tuple[str, int]:
    """`host:port` or `[v6]:port`. The form was checked when the settings were loaded."""
    host, port = split_listen(listen)
    return host or "0.0.0.0", port  # noqa: S104  # an empty host means every address
