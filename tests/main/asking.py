"""Somebody who asks over TLS all the time, whatever certificate there is."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_LEAST: Final = 20
"""Fewer answers prove nothing."""


def connected(port: int, name: str = "localhost") -> ssl.SSLSocket:
    """A new connection to this machine that believes every certificate. Raises OSError."""
    anybody = ssl.create_default_context()
    anybody.check_hostname, anybody.verify_mode = False, ssl.CERT_NONE
    raw = socket.create_connection(("127.0.0.1", port), 5)
    try:
        return anybody.wrap_socket(raw, server_hostname=name)
    except OSError:
        raw.close()
        raise


@contextmanager
def asking(port: int, name: str = "localhost", *, people: int = 1, pause_s: float = 0.0) -> Iterator[list[str]]:
    """So many people ask, each time over a new connection, until the end; what went wrong, one line each."""
    lost: list[str] = []
    answered: list[int] = []
    over = threading.Event()

    def ask() -> None:
        while not over.is_set():
            try:
                with connected(port, name) as sock:
                    sock.sendall(f"GET /live HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n".encode())
                    answer = sock.recv(200)
            except OSError as problem:
                lost.append(repr(problem))
            else:
                answered.append(1)
                if not answer.startswith(b"HTTP/1.1 200"):
                    lost.append(repr(answer[:60]))
            time.sleep(pause_s)

    threads = [threading.Thread(target=ask) for _ in range(people)]
    for thread in threads:
        thread.start()
    try:
        yield lost
    finally:
        over.set()
        for thread in threads:
            thread.join()
    print(f"{len(answered)} requests over new connections, {len(lost)} lost")
    assert len(answered) > _LEAST
