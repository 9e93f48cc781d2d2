"""sd_notify: what systemd is told (sd_notify(3)). Nothing happens where NOTIFY_SOCKET is not set."""

from __future__ import annotations

import socket

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
