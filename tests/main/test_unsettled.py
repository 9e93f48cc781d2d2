"""Who may be cut off when the program ends, by what the kernel knows of each connection; no program runs for it."""

from __future__ import annotations

import os
import select
import socket
import time
from collections.abc import Iterator

import pytest

from signalcraft.config import load
from signalcraft.main import front
from signalcraft.main.connections import Patience, unsettled
from signalcraft.main.handover import deafen

LONG, OVER = 60_000, 0
"""Milliseconds: nobody here is silent for so long, and everybody is for so long."""


class Pair:
    """A connection to a port of ours: both ends."""

    def __init__(self) -> None:
        self._listening = front.bound("127.0.0.1", 0)
        self._listening.setblocking(True)
        self.ports = {self._listening.getsockname()[1]}
        self.client = socket.create_connection(self._listening.getsockname())
        self.server, self.peer = self._listening.accept()

    def waits(self, *, heard: bool = False, heard_ms: int = OVER, silent_ms: int = OVER, begun_ms: int = OVER) -> bool:
        """Whether it is waited for, by that patience."""
        return unsettled(self.ports, {self.peer} if heard else set(), Patience(heard_ms, silent_ms, begun_ms))

    def said(self, data: bytes) -> None:
        """The client says it; it has arrived."""
        self.client.sendall(data)
        select.select([self.server], [], [], 5)

    def close(self) -> None:
        for sock in (self.client, self.server, self._listening):
            sock.close()


@pytest.fixture
def pair() -> Iterator[Pair]:
    it = Pair()
    yield it
    it.close()


def test_who_has_said_nothing_is_waited_for_a_moment(pair: Pair) -> None:
    assert pair.waits(silent_ms=LONG)
    assert not pair.waits(begun_ms=LONG, heard_ms=LONG)


def test_who_has_begun_to_speak_is_waited_for_longer(pair: Pair) -> None:
    """Half a TLS handshake: its client may have to wait for a processor before it goes on."""
    pair.said(b"half")
    assert pair.server.recv(100) == b"half"
    assert pair.waits(begun_ms=LONG)
    assert not pair.waits(silent_ms=LONG, heard_ms=LONG)


def test_who_was_answered_is_waited_for_until_it_is_quiet(pair: Pair) -> None:
    pair.said(b"a request")
    assert pair.server.recv(100) == b"a request"
    assert pair.waits(heard=True, heard_ms=LONG)
    assert not pair.waits(heard=True, silent_ms=LONG, begun_ms=LONG)


@pytest.mark.parametrize("heard", [False, True])
def test_what_lies_unread_is_somebodys_word_however_old(pair: Pair, heard: bool) -> None:
    """A server that gets no processor for seconds must not take that for silence."""
    assert not pair.waits(heard=heard)
    pair.said(b"not yet read")
    time.sleep(0.02)
    assert pair.waits(heard=heard)
    pair.server.recv(100)
    assert not pair.waits(heard=heard)


def test_other_ports_are_nobodys_business(pair: Pair) -> None:
    pair.said(b"unread")
    pair.ports = {1}
    assert not pair.waits(heard_ms=LONG, silent_ms=LONG, begun_ms=LONG)


def test_a_server_that_was_asked_to_end_deafens_nobody_else(pair: Pair) -> None:
    """Its descriptor is closed when it ends, and the next connection may get the number."""

    async def app(*_: object) -> None: ...

    settings = load(environ={}).settings
    old = front.Listener(app, settings, pair.server, tls=False, connections=10)
    old._init_shared_socket()
    number = old._fd
    with select.epoll() as another:
        another.register(number, select.EPOLLIN)
        old.ends()
        old.deaf()
        pair.said(b"to whoever has that number now")
        assert another.poll(5) != []
        assert deafen(number), "had it been asked for, it would be deaf"
        assert another.poll(0) == []
    os.close(number)
