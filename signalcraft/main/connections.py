"""Watches the open connections of this process: too many from one address, too many in all, those that do not read.

The server takes connections in and times out slow headers; it knows neither addresses nor slow readers. Everything
else is in the kernel, which tells for each socket how long it was silent and what waits in it. So once a second the
sockets are looked at from a thread, and a connection that must go is cut at the socket: the server sees that its
client hung up. Nothing of it is on the way of a request.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import resource
import socket
import stat
import struct
import sys
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator

from msgspec import Struct

log = logging.getLogger(__name__)

LOOK_S = 1.0
READ_PER_SECOND = 1024
"""Bytes that a connection must take while something waits for it."""
OWN_FILES = 400
"""Descriptors that are no clients' connections: database, outbound calls, threads."""
_SIOCINQ, _SIOCOUTQ = 0x541B, 0x5411
_FULL = 0.9
"""When no more connections are taken, the silent ones go until this share is left."""
_SILENT_MS = 5_000

Peer = tuple[str, int]
"""The other end of a connection: address and port."""
Told = Callable[[str, str, int], None]
"""(which limit: "connections_per_address", "connections", "slow_reader"; address; connections that were cut)."""


class _Open(Struct, frozen=True):
    """One connection as the kernel sees it. `acked`: bytes that the client took since it began; `said`: bytes that came
    from it; `unread`: those of them that the server has not yet fetched."""

    fd: int
    address: str
    peer: Peer
    silent_ms: int
    waiting: int
    acked: int
    said: int
    unread: int


class Patience(Struct, frozen=True):
    """For how long a connection must have been silent before it may be ended: one whose request we have had; one on
    which nothing was said yet; one that has begun to speak (a TLS handshake, half a head)."""

    heard_ms: int
    silent_ms: int
    begun_ms: int

    def of(self, one: _Open, heard: Collection[Peer]) -> int:
        """What holds for this one."""
        if one.peer in heard:
            return self.heard_ms
        return self.begun_ms if one.said else self.silent_ms


class Connections:
    """The watch over what is connected to these ports.

    `subject`: whom an address counts for; `exempt`: whether so many as it likes may come from one (a proxy of ours).
    """

    def __init__(
        self,
        ports: Collection[int],
        *,
        most: int,
        per_address: int,
        send_s: float,
        subject: Callable[[str], str],
        exempt: Callable[[str], bool],
        told: Told,
    ) -> None:
        self._ports = ports
        self._most = most
        self._per_address = per_address
        self._send_s = send_s
        self._subject = subject
        self._exempt = exempt
        self._told = told
        self._stalled: dict[Peer, tuple[float, int]] = {}
        self.open = 0
        self.peers: frozenset[Peer] = frozenset()
        """Who was connected at the last look."""
        self.looked: Callable[[frozenset[Peer]], None] = lambda peers: None

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`; nothing where the kernel tells nothing (this is Linux's way)."""
        if sys.platform != "linux":
            log.warning("connections are not watched on this system: only the server's own limits hold")
            await stop.wait()
            return
        while not stop.is_set():
            try:
                cut = await asyncio.to_thread(self.look, time.monotonic())
            except OSError as problem:  # no descriptor is left for looking: the next look may find one
                log.warning("connections could not be looked at", extra={"why": str(problem)})
                cut = Counter()
            for (limit, address), n in cut.items():
                self._told(limit, address, n)
            self.looked(self.peers)
            try:
                await asyncio.wait_for(stop.wait(), LOOK_S)
            except TimeoutError:
                continue

    def look(self, now_s: float) -> Counter[tuple[str, str]]:
        """Looks once, cuts what must go, and says how many by (limit, address). Called in a thread."""
        everything = list(self._all())
        self.open, self.peers = len(everything), frozenset(one.peer for one in everything)
        cut: Counter[tuple[str, str]] = Counter()
        gone: set[int] = set()

        def end(one: _Open, limit: str) -> None:
            gone.add(one.fd)
            if _cut(one):
                cut[limit, self._subject(one.address)] += 1

        for one in self._slow(everything, now_s):
            end(one, "slow_reader")
        for one in self._crowds(everything):
            if one.fd not in gone:
                end(one, "connections_per_address")
        left = [one for one in everything if one.fd not in gone]
        if len(left) >= self._most:
            silent = sorted((one for one in left if one.silent_ms >= _SILENT_MS), key=lambda one: -one.silent_ms)
            for one in silent[: len(left) - int(self._most * _FULL)]:
                end(one, "connections")
        return cut

    def _slow(self, everything: list[_Open], now_s: float) -> Iterator[_Open]:
        stalled: dict[Peer, tuple[float, int]] = {}
        for one in everything:
            if not one.waiting:
                continue
            since_s, acked = self._stalled.get(one.peer, (now_s, one.acked))
            if now_s - since_s < self._send_s:
                stalled[one.peer] = (since_s, acked)
            elif one.acked - acked < READ_PER_SECOND * (now_s - since_s):
                yield one
            else:
                stalled[one.peer] = (now_s, one.acked)
        self._stalled = stalled

    def _crowds(self, everything: list[_Open]) -> Iterator[_Open]:
        if not self._per_address or len(everything) <= self._per_address:
            return
        by_subject: dict[str, list[_Open]] = {}
        for one in everything:
            by_subject.setdefault(self._subject(one.address), []).append(one)
        for crowd in by_subject.values():
            if len(crowd) > self._per_address and not self._exempt(crowd[0].address):
                # Who was silent for longest does not wait for an answer.
                yield from sorted(crowd, key=lambda one: -one.silent_ms)[: len(crowd) - self._per_address]

    def _all(self) -> Iterator[_Open]:
        for name in os.listdir("/proc/self/fd"):
            one = _seen(int(name), self._ports)
            if one is not None:
                yield one


def _seen(fd: int, ports: Collection[int]) -> _Open | None:
    """What stands behind a descriptor, None where it is no client's connection to us."""
    with _Borrowed(fd) as sock:
        if sock is None:
            return None
        try:
            if sock.getsockname()[1] not in ports:
                return None
            peer = sock.getpeername()
            info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 192)
            waiting, unread = _queued(sock, _SIOCOUTQ), _queued(sock, _SIOCINQ)
        except (OSError, IndexError, TypeError):
            return None  # a Unix socket, a listener, or gone in between
        sent, _, received = struct.unpack_from("=III", info, 44)
        acked, said = struct.unpack_from("=QQ", info, 120) if len(info) >= 136 else (0, 0)
        return _Open(fd, peer[0], (peer[0], peer[1]), min(sent, received), waiting, acked, said, unread)


def _queued(sock: socket.socket, question: int) -> int:
    return int(struct.unpack("i", fcntl.ioctl(sock.fileno(), question, b"\0" * 4))[0])


def _cut(one: _Open) -> bool:
    with _Borrowed(one.fd) as sock:
        try:
            # Looked at again: the number may have become another connection's by now.
            if sock is None or sock.getpeername()[:2] != one.peer:
                return False
            # What still waits for a client that does not read would stay in the kernel for minutes.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            sock.shutdown(socket.SHUT_RDWR)
        except (OSError, TypeError):
            return False
        return True


class _Borrowed:
    """A descriptor of the server's as a socket of ours for a moment; None where it is none.

    No descriptor of a file may be copied: closing the copy of a database's would drop this process's locks on it, and
    the next program that looks at the database would take its write-ahead log away.
    https://www.sqlite.org/howtocorrupt.html#_posix_advisory_locks_canceled_by_a_separate_thread_doing_close_
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._sock: socket.socket | None = None

    def __enter__(self) -> socket.socket | None:
        try:
            if not os.readlink(f"/proc/self/fd/{self._fd}").startswith("socket:"):
                return None
            mine = os.dup(self._fd)
        except OSError:
            return None
        if not stat.S_ISSOCK(os.fstat(mine).st_mode):
            # The number became a file's in between: its copy stays open for good, since closing it would cost locks.
            log.warning("a descriptor changed hands while connections were looked at")
            return None
        self._sock = socket.socket(fileno=mine)
        return self._sock

    def __exit__(self, *_: object) -> None:
        if self._sock is not None:
            self._sock.close()


def unsettled(ports: Collection[int], heard: Collection[Peer], patience: Patience) -> bool:
    """Whether to end these ports' connections now could cut somebody off. `heard`: whose requests we have had.

    Where bytes lie unread somebody has spoken, for however long the server has had no time for it.
    """
    if sys.platform != "linux":
        return False
    found = (_seen(int(name), ports) for name in os.listdir("/proc/self/fd"))
    return any(one.unread or one.silent_ms < patience.of(one, heard) for one in found if one is not None)


def room_for(connections: int) -> int:
    """Makes room for so many connections' descriptors; how many there is room for. Logs where it is less."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + OWN_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return connections
    room = max(soft - OWN_FILES, soft // 2)
    log.warning("fewer connections than http.connections_max: too few files may be open", extra={"connections": room})
    return room
