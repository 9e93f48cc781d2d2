"""The listeners that the world comes through: HTTP or HTTPS, the redirect beside it, and a certificate that is renewed.

The embedded server cannot load another certificate. So another server is started on the same address; the kernel is
told to give it every new connection, and the old one ends what it has. No connection is lost over it.
"""

from __future__ import annotations

import asyncio
import ctypes
import logging
import socket
import struct
from collections.abc import Callable, Coroutine
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
from signalcraft.main.connections import Connections, room_for
from signalcraft.services.house import House

if TYPE_CHECKING:
    from signalcraft.http.app import App

log = logging.getLogger(__name__)

BACKLOG = 1024
LISTENER = "http"
"""What the tasks of the main listener are called: with a new certificate one of them ends and nothing is wrong."""
CHANGE_S = 3.0
"""How long the old server keeps what it had taken in but not yet read, at a change of certificate."""
_SO_ATTACH_REUSEPORT_CBPF = 51
_BPF_RETURN = 0x06

Spawn = Callable[[str, Coroutine[Any, Any, Any]], "asyncio.Task[Any]"]


class Listener(Server):
    """The embedded server on a socket that we bound: we know its descriptor, and failing to bind is ours to tell."""

    def __init__(self, app: Any, settings: Settings, address: tuple[str, int], *, tls: bool, connections: int) -> None:
        http = settings.http
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
        self._bound = bound(*address)
        self.port: int = self._bound.getsockname()[1]
        self.asked = False
        self.started = asyncio.Event()
        self.on_startup(self.started.set)

    def _init_shared_socket(self) -> None:
        self._ssp = None
        # Its types leave the arguments out: descriptor, whether it is a Unix socket, backlog.
        self._shd: Any = SocketHolder(self._bound.dup().detach(), False, BACKLOG)  # type: ignore[call-arg]

    def takes_all(self) -> None:
        """From now on the kernel gives every new connection on this address to this one, the younger of two."""
        program = ctypes.create_string_buffer(struct.pack("=HBBI", _BPF_RETURN, 0, 0, 1))
        try:
            self._bound.setsockopt(
                socket.SOL_SOCKET, _SO_ATTACH_REUSEPORT_CBPF, struct.pack("@HP", 1, ctypes.addressof(program))
            )
        except OSError:
            log.debug("this kernel shares new connections between the old and the new server")

    def close(self) -> None:
        """Gives our descriptor of the socket back; the server has its own."""
        self._bound.close()

    def ends(self) -> None:
        """Takes no more, and ends what it has."""
        self.asked = True
        self._bound.close()
        self.stop()  # type: ignore[no-untyped-call]  # granian carries no types there


def bound(host: str, port: int) -> socket.socket:
    """A socket that listens, and shares its address with the next one. Raises OSError."""
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # what is taken in from it has it too
        sock.setblocking(False)
        sock.bind((host, port))
        sock.listen(BACKLOG)
    except BaseException:
        sock.close()
        raise
    return sock


class Front:
    """The listeners of one program. `spawn`: starts a task that the program watches."""

    def __init__(self, settings: Settings, app: Any, now: Callable[[], int], warnings: list[str]) -> None:
        self._settings = settings
        self._app = app
        self._now = now
        self._warnings = warnings
        self._told: list[str] = []
        self.until_ms: int | None = None
        """Until when the certificate holds, None without one."""
        self.connections = room_for(settings.http.connections_max)
        self._servers: list[Listener] = []
        self._changing: set[asyncio.Task[Any]] = set()
        self._main: Listener | None = None

    @property
    def ports(self) -> frozenset[int]:
        """What is listened on."""
        return frozenset(server.port for server in self._servers)

    async def start(self, spawn: Spawn) -> None:
        """Listens when it returns. Raises BadSetting where an address or the certificate cannot be used."""
        http = self._settings.http
        self.look()
        address = listen_address(http.listen)
        self._main = await self._open(self._app, "http.listen", address, bool(http.tls_certificate), LISTENER, spawn)
        if http.redirect_listen:
            app = redirect_app(self._settings)
            await self._open(
                app, "http.redirect_listen", listen_address(http.redirect_listen), False, "redirect", spawn
            )
        self._spawn = spawn

    async def _open(
        self, app: Any, path: str, address: tuple[str, int], tls: bool, name: str, spawn: Spawn
    ) -> Listener:
        _refuse_taken(*address, path)
        try:
            server = Listener(app, self._settings, address, tls=tls, connections=self.connections)
        except OSError as problem:
            raise BadSetting(
                f"{address[0]}:{address[1]} cannot be listened on: {problem.strerror}", path=path
            ) from None
        self._servers.append(server)
        task = spawn(name, self._serve(server))
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
            server.close()
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
        old = self._main
        if not self._settings.http.tls_certificate or self._changing or old is None:
            return  # while it starts, its files were read just now
        task = asyncio.get_running_loop().create_task(self._renew(old), name="renew the certificate")
        self._changing.add(task)
        task.add_done_callback(self._changing.discard)

    async def _renew(self, old: Listener) -> None:
        try:
            await asyncio.to_thread(certificate.read, self._settings)
            self.look()
            address = listen_address(self._settings.http.listen)
            new = Listener(self._app, self._settings, address, tls=True, connections=self.connections)
        except Exception as problem:
            log.error("the new certificate cannot be used, the old one stays", extra={"why": str(problem)})
            return
        self._main = new
        self._servers.append(new)
        self._spawn(LISTENER, self._serve(new))
        await new.started.wait()
        new.takes_all()
        log.info("the certificate was read again: it serves every connection from now on")
        await asyncio.sleep(CHANGE_S)
        old.ends()

    def end(self) -> None:
        """No more connections are taken; requests under way are answered."""
        for server in list(self._servers):
            server.ends()


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


def watch_over(house: House, front: Front, exceeded: Exceeded) -> Connections:
    """The watch over what is connected to a front: cuts are counted, logged and seen in the security log."""
    http = house.settings.http
    addresses = Addresses(http.trusted_proxies)

    def told(limit: str, address: str, n: int) -> None:
        exceeded.note(limit, address, house.now(), n)
        house.security.saw("limit", address, route=limit)

    exceeded.saw = lambda limit, address: house.security.saw("limit", address, route=limit)
    return Connections(
        front.ports,
        most=front.connections,
        per_address=http.connections_per_address_max,
        send_s=http.send_seconds,
        subject=subscriber,
        exempt=addresses.trusts,
        told=told,
    )


def listen_address(listen: str) -> tuple[str, int]:
    """`host:port` or `[v6]:port`. The form was checked when the settings were loaded."""
    host, port = split_listen(listen)
    return host or "0.0.0.0", port  # noqa: S104  # an empty host means every address


def _refuse_taken(host: str, port: int, path: str) -> None:
    # SO_REUSEPORT would let two programs share a port in silence: bind once without it.
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as problem:
            raise BadSetting(f"{host}:{port} cannot be listened on: {problem.strerror}", path=path) from None
