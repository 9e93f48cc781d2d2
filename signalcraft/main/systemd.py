"""sd_notify: what systemd is told (sd_notify(3)). Nothing happens where NOTIFY_SOCKET is not set."""

from __future__ import annotations

import array
import socket
import threading
from types import TracebackType

from signalcraft.config import environment


class Systemd:
    """The notification socket of one service."""

    def __init__(self) -> None:
        address = environment("NOTIFY_SOCKET")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        usec = environment("WATCHDOG_USEC")
        self.watchdog_s = int(usec) / 1_000_000 if usec.isdigit() else 0.0

    def tell(self, *lines: str) -> None:
        """Sends `READY=1`, `STATUS=…`, `WATCHDOG=1`, `STOPPING=1`; a socket that is gone is no reason to fail."""
        if not self._address:
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
            try:
                sock.sendto("\n".join(lines).encode(), self._address)
            except OSError:
                return

    def keep(self, name: str, descriptor: int) -> None:
        """Leaves a copy of a descriptor with systemd, which hands it to the next process of this service.

        Nothing is kept where the unit has no FileDescriptorStoreMax=.
        """
        if not self._address:
            return
        rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [descriptor]))
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
            try:
                sock.sendmsg([f"FDSTORE=1\nFDNAME={name}".encode()], [rights], 0, self._address)
            except OSError:
                return

    def forget(self, name: str) -> None:
        """Gives up what is kept under a name."""
        self.tell("FDSTOREREMOVE=1", f"FDNAME={name}")


class Patience:
    """While something long is done before the start is complete, systemd is asked for more time again and again."""

    def __init__(self, systemd: Systemd, seconds: int = 90) -> None:
        self._systemd = systemd
        self._seconds = seconds
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._ask, name="patience", daemon=True)

    def __enter__(self) -> Patience:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._thread.join()

    def say(self, text: str) -> None:
        """What `systemctl status` shows."""
        self._systemd.tell(f"STATUS={text}")

    def _ask(self) -> None:
        while True:
            self._systemd.tell(f"EXTEND_TIMEOUT_USEC={self._seconds * 1_000_000}")
            if self._done.wait(self._seconds / 3):
                return
