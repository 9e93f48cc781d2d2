"""Listening sockets that outlive the process, so that no connection is refused while one ends and the next one starts.

systemd holds them: it hands them in at a start (sd_listen_fds(3)), be it from a socket unit or because an earlier
process left its own in the descriptor store (FDSTORE in sd_notify(3)). Whoever connects meanwhile waits in the kernel's
queue. docs/decisions/0019-sockets-outlive-the-process.md says why it is done this way.
"""

from __future__ import annotations

import ipaddress
import logging
import os
import select
import socket
import struct
from contextlib import suppress
from pathlib import Path
from typing import Final

from msgspec import Struct

from signalcraft.config import environment
from signalcraft.errors import BadSetting
from signalcraft.main.systemd import Systemd

log = logging.getLogger(__name__)

OURS: Final = ("http.listen", "http.redirect_listen")
"""The settings that name an address; a socket of ours is kept under its setting's name."""
_FIRST: Final = 3
"""SD_LISTEN_FDS_START of sd_listen_fds(3)."""
_EPOLL: Final = "anon_inode:[eventpoll]"


class _Handed(Struct):
    """One socket that was handed in, and what systemd calls it."""

    name: str
    sock: socket.socket

    @property
    def shown(self) -> str:
        host, port = self.sock.getsockname()[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class Handover:
    """What was handed in and is to be handed on. `take` for each address that is wanted, then `settle`."""

    def __init__(self, systemd: Systemd) -> None:
        self._systemd = systemd
        self._handed: list[_Handed] = []

    def receive(self) -> None:
        """Takes in what systemd hands to this process. Raises BadSetting for what is no listening TCP socket."""
        self._handed = _received()

    def take(self, path: str, address: tuple[str, int]) -> socket.socket | None:
        """The socket that listens for this setting's address, None where none was handed in."""
        fitting = [one for one in self._handed if _fits(one, path, address)]
        # A socket unit is somebody's word; what an earlier process left behind gives way to it.
        fitting.sort(key=lambda one: one.name in OURS)
        if not fitting:
            return None
        self._handed.remove(fitting[0])
        log.info("listening goes on", extra={"address": fitting[0].shown, "setting": path})
        return fitting[0].sock

    def settle(self, wanted: str) -> None:
        """What nobody took: of ours it is given up, since the settings changed; a socket unit's is a mistake.

        `wanted`: what the settings say, for people. Raises BadSetting.
        """
        foreign = [f"{one.shown} ({one.name})" for one in self._handed if one.name not in OURS]
        for one in self._handed:
            if one.name in OURS:
                self._systemd.forget(one.name)
                log.info("no longer listened on", extra={"address": one.shown, "setting": one.name})
            one.sock.close()
        self._handed = []
        if foreign:
            raise BadSetting(
                f"systemd listens for us on {', '.join(foreign)}, which no setting names ({wanted}): give the socket"
                " unit and the settings the same address",
                path="http.listen",
            )

    def keep(self, path: str, sock: socket.socket) -> None:
        """A socket that we bound is left with systemd, for the process after this one."""
        self._systemd.keep(path, sock.fileno())


def _received() -> list[_Handed]:
    if environment("LISTEN_PID") != str(os.getpid()):
        return []  # not for us, or no systemd
    count = environment("LISTEN_FDS")
    names = environment("LISTEN_FDNAMES").split(":")
    found = []
    for n in range(int(count) if count.isdigit() else 0):
        name = names[n] if n < len(names) and names[n] else "unknown"
        sock = _listening(_FIRST + n)
        if sock is None:
            raise BadSetting(f"what systemd hands in as {name} is no listening TCP socket", path="http.listen")
        found.append(_Handed(name, sock))
    return found


def _listening(fd: int) -> socket.socket | None:
    try:
        os.set_inheritable(fd, False)
        sock = socket.socket(fileno=fd)
        if sock.family not in (socket.AF_INET, socket.AF_INET6) or sock.type != socket.SOCK_STREAM:
            return None
        if not sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            return None
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setblocking(False)
    except OSError:
        return None
    return sock


def _fits(one: _Handed, path: str, address: tuple[str, int]) -> bool:
    host, port = one.sock.getsockname()[:2]
    if port != address[1]:
        return False
    try:
        asked, there = ipaddress.ip_address(address[0]), ipaddress.ip_address(host)
    except ValueError:
        return one.name not in OURS or one.name == path  # a name of a host: whatever it stands for
    if one.name in OURS:
        return one.name == path and asked == there
    return asked == there or (asked.is_unspecified and there.is_unspecified)  # [::] takes in IPv4 too


def deafen(fd: int) -> bool:
    """Whoever waits in this process for connections on this descriptor hears of none any more; the kernel keeps them.

    The embedded server can only stop and cut off, in one, what it has taken in and not yet read. So its listening
    socket is taken out of its epoll(7) instead: it goes on with everything it has. False where that cannot be done.
    """
    done = False
    with suppress(OSError):
        for name in os.listdir("/proc/self/fd"):
            with suppress(OSError):
                if os.readlink(f"/proc/self/fd/{name}") == _EPOLL and _waits_for(name, fd):
                    copy = select.epoll.fromfd(os.dup(int(name)))  # closing it does not close the server's
                    with copy:
                        copy.unregister(fd)
                    done = True
    return done


def _waits_for(epoll: str, fd: int) -> bool:
    text = Path(f"/proc/self/fdinfo/{epoll}").read_text("ascii", "replace")
    return any(line.split()[1] == str(fd) for line in text.splitlines() if line.startswith("tfd:"))


def waiting(sock: socket.socket) -> int:
    """How many connections wait in the kernel for being taken in (tcp_info's tcpi_unacked of a listening socket)."""
    with suppress(OSError, AttributeError):
        info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
        return int(struct.unpack_from("=I", info, 24)[0])
    return 0
