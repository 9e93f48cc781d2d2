"""What systemd does for a service's sockets (sd_listen_fds(3), sd_notify(3)), and senders that try once."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field

from tests import bodies
from tests.cli.conftest import Box

TOKEN = "tokenofthehandover00000000000000"
PATH = f"/webhooks/sentry/{TOKEN}"
_EXEC = """
import fcntl, os, sys
fds = [int(fd) for fd in sys.argv[1].split(",") if fd]
moved = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 100) for fd in fds]
for n, fd in enumerate(moved):
    os.dup2(fd, 3 + n)
for fd in fds:
    if fd >= 3 + len(fds):
        os.close(fd)
if fds:
    os.environ.update(LISTEN_FDS=str(len(fds)), LISTEN_PID=str(os.getpid()))
os.execv(sys.argv[2], sys.argv[2:])
"""


class Manager:
    """One service on a box, with more in its environment. `unit`: a listening socket that a socket unit holds."""

    def __init__(self, box: Box, env: dict[str, str]) -> None:
        self.box = box
        self.unit: socket.socket | None = None
        self.env = env
        self.store: dict[str, int] = {}
        self.said: list[str] = []
        self.log = box.root / "service.log"
        self.program = [sys.executable, "-m", "signalcraft"]
        self.process: subprocess.Popen[bytes] | None = None
        self._ready = threading.Event()
        self._notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._notify.bind(str(box.root / "notify"))
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        while True:
            try:
                text, fds, _, _ = socket.recv_fds(self._notify, 4096, 8)
            except OSError:
                return
            lines = text.decode().splitlines()
            self.said += lines
            name = next((line.removeprefix("FDNAME=") for line in lines if line.startswith("FDNAME=")), "stored")
            if "FDSTORE=1" in lines:
                self.store[name] = fds[0]
            if "FDSTOREREMOVE=1" in lines and name in self.store:
                os.close(self.store.pop(name))
            if "READY=1" in lines:
                self._ready.set()

    def start(self, *args: str, wait: bool = True, **env: str) -> subprocess.Popen[bytes]:
        """Starts it; returns when it says that it is ready."""
        self._ready.clear()
        held = {"signalcraft.socket": self.unit.fileno()} if self.unit else {}
        held |= self.store
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", _EXEC, ",".join(map(str, held.values())), *self.program, "serve", *args],
                env={**self.box.env, "NOTIFY_SOCKET": str(self.box.root / "notify"), **self.env, **env,
                     "LISTEN_FDNAMES": ":".join(held)},
                cwd=self.box.root, stdout=log, stderr=log, pass_fds=tuple(held.values()),
            )  # fmt: skip
        self.box.adopt(self.process)
        if wait:
            assert self._ready.wait(120), self.log.read_text()
        return self.process

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Asks it to end, or kills it; the exit code."""
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(60)

    def close(self) -> None:
        self._notify.close()
        for fd in self.store.values():
            os.close(fd)
        if self.unit is not None:
            self.unit.close()


def integration(box: Box) -> None:
    """The one that the senders below talk to, and nobody to tell."""
    file = box.root / "signalcraft.apply.toml"
    file.write_text(
        f'[[integrations]]\nname = "sentry"\nkind = "sentry"\ntoken = "{TOKEN}"\nsecret = "{bodies.SECRET}"\n'
    )
    box.run("apply", str(file))


@dataclass
class Tries:
    """What the senders saw: for each event the status, or what went wrong; how long the slowest waited."""

    statuses: Counter[str] = field(default_factory=Counter)
    accepted: list[str] = field(default_factory=list)
    slowest_s: float = 0.0

    def ended(self, event: str, outcome: str, seconds: float) -> None:
        self.statuses[outcome] += 1
        self.slowest_s = max(self.slowest_s, seconds)
        if outcome == "202":
            self.accepted.append(event)

    def lost(self) -> dict[str, int]:
        """Everything but an acceptance."""
        return {outcome: n for outcome, n in self.statuses.items() if outcome != "202"}


def request(event: str, *, more: str = "") -> bytes:
    """A signed webhook as its bytes on the wire."""
    body = bodies.body("event_alert", issue="1001", event=event)
    signature = hmac.new(bodies.SECRET.encode(), body, hashlib.sha256).hexdigest()
    head = (
        f"POST {PATH} HTTP/1.1\r\nHost: box\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        f"Sentry-Hook-Resource: event_alert\r\nSentry-Hook-Signature: {signature}\r\n{more}\r\n"
    )
    return head.encode() + body


async def closed(writer: asyncio.StreamWriter | None) -> None:
    """Hangs up."""
    if writer is not None:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


async def once(address: tuple[str, int], event: str, tries: Tries, *, tls: object = None) -> None:
    """A connection of its own, one try."""
    began = time.monotonic()
    writer = None
    try:
        async with asyncio.timeout(60):
            reader, writer = await asyncio.open_connection(*address, ssl=tls)  # type: ignore[arg-type]
            writer.write(request(event))
            answer = await reader.readuntil(b"\r\n")
            outcome = answer.split(b" ")[1].decode()
            await reader.readuntil(b"\r\n\r\n")
    except (OSError, EOFError) as problem:
        outcome = type(problem).__name__
    finally:
        await closed(writer)
    tries.ended(event, outcome, time.monotonic() - began)


class Senders:
    """So many tries a second, in a thread of their own, for as long as the block lasts."""

    def __init__(self, address: tuple[str, int], per_second: float = 50, tls: object = None) -> None:
        self.tries = Tries()
        self._address = address
        self._every_s = 1 / per_second
        self._tls = tls
        self._over = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))

    async def _run(self) -> None:
        loop, tasks, due_s = asyncio.get_running_loop(), set(), time.monotonic()
        while not self._over.is_set():
            tasks.add(loop.create_task(once(self._address, bodies.event_id(), self.tries, tls=self._tls)))
            due_s += self._every_s
            await asyncio.sleep(max(0.0, due_s - time.monotonic()))
        await asyncio.gather(*tasks)

    def __enter__(self) -> Tries:
        self._thread.start()
        return self.tries

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


def stored(box: Box) -> Counter[str]:
    """How often each event of a sender's is in the database, whose process is dead."""
    connection = sqlite3.connect(f"file:{box.data / 'signalcraft.db'}?mode=ro", uri=True)
    try:
        rows = connection.execute("select source_event_id, count(*) from event group by 1").fetchall()
    finally:
        connection.close()
    return Counter(dict(rows))


def listening() -> socket.socket:
    """A socket as a socket unit makes it."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("127.0.0.1", 0))
    sock.listen(4096)
    return sock
