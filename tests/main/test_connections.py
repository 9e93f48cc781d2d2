"""What one connection may cost: real sockets on a real program, whose limits are small."""

from __future__ import annotations

import socket
import statistics
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.http.browsing import QUIET
from tests.world import World

SMALL = {
    "http.header_seconds": "1",
    "http.send_seconds": "1",
    "http.connections_per_address_max": "20",
    "http.connections_max": "60",
}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with World(tmp_path_factory.mktemp("world") / "data", **QUIET, **SMALL) as it:
        yield it


def connected(world: World, host: str = "127.0.0.2", said: bytes = b"") -> socket.socket:
    """A connection from another address of loopback."""
    sock = socket.create_connection(("127.0.0.1", world.api.base_url.port or 0), 10, source_address=(host, 0))
    sock.sendall(said)
    return sock


def ended_after(sock: socket.socket) -> float:
    """Seconds until the other side ended it."""
    began = time.monotonic()
    try:
        while sock.recv(65_536):
            continue
    except ConnectionResetError:
        pass
    finally:
        sock.close()
    return time.monotonic() - began


def exceeded(world: World, limit: str) -> int:
    return int(world.program.app.edge.exceeded.counts[limit])  # type: ignore[union-attr]


@pytest.mark.parametrize("said", [b"", b"GET /live HT", b"GET /live HTTP/1.1\r\nHost: x\r\nX-Slow: "])
def test_headers_that_do_not_come(world: World, said: bytes) -> None:
    assert 0.5 < ended_after(connected(world, said=said)) < 5


def test_headers_that_come_a_byte_at_a_time(world: World) -> None:
    began = time.monotonic()
    sock = connected(world, said=b"GET /live HTTP/1.1\r\n")
    sent = 0
    try:
        while sent < 100:
            sock.sendall(b"X")
            sent += 1
            time.sleep(0.1)
    except OSError:
        pass
    sock.close()
    assert sent < 100
    assert time.monotonic() - began < 5


def test_an_idle_connection_is_closed(world: World) -> None:
    sock = connected(world, said=b"GET /live HTTP/1.1\r\nHost: x\r\n\r\n")
    assert 0.5 < ended_after(sock) < 5


def test_too_many_from_one_address_are_cut_and_others_are_served(world: World) -> None:
    streams = []
    head = f"GET /api/live HTTP/1.1\r\nHost: x\r\nAuthorization: {world.api.headers['authorization']}\r\n\r\n".encode()
    try:
        streams = [connected(world, said=head) for _ in range(30)]
        deadline = time.monotonic() + 30
        while exceeded(world, "connections_per_address") < 10 and time.monotonic() < deadline:
            time.sleep(0.1)
        assert exceeded(world, "connections_per_address") == 10
        open_ones = 0
        for sock in streams:
            sock.settimeout(0.05)
            try:
                while sock.recv(65_536):
                    continue
            except TimeoutError:
                open_ones += 1
            except OSError:
                continue
        assert open_ones == 20
        assert world.api.get("/live").status_code == 200
    finally:
        for sock in streams:
            sock.close()
    seen = world.api.get("/api/admin/security/audit").text
    assert "127.0.0.2" in seen


@pytest.mark.whole
def test_a_client_that_does_not_read_is_cut(world: World) -> None:
    """The answers wait in the kernel; nothing of the program waits for them."""
    before = exceeded(world, "slow_reader")
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.bind(("127.0.0.3", 0))
    sock.connect(("127.0.0.1", world.api.base_url.port or 0))
    sock.settimeout(0.5)
    key = world.api.headers["authorization"]
    try:
        for _ in range(200):
            sock.sendall(f"GET /api/openapi.json HTTP/1.1\r\nHost: x\r\nAuthorization: {key}\r\n\r\n".encode())
    except OSError:
        pass
    deadline = time.monotonic() + 30
    while exceeded(world, "slow_reader") == before and time.monotonic() < deadline:
        time.sleep(0.1)
    sock.close()
    assert exceeded(world, "slow_reader") == before + 1


@pytest.mark.whole
def test_a_client_that_reads_slowly_but_reads_is_not_cut(world: World) -> None:
    before = exceeded(world, "slow_reader")
    with connected(
        world, "127.0.0.4", b"GET /api/openapi.json HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    ) as sock:
        size = 0
        while piece := sock.recv(32_768):
            size += len(piece)
            time.sleep(0.1)
    assert size > 100_000
    assert exceeded(world, "slow_reader") == before


def test_four_hundred_slow_connections_do_not_slow_health(tmp_path: Path) -> None:
    settings = {"http.header_seconds": "30", "http.connections_per_address_max": "500"}
    with World(tmp_path / "data", **QUIET, **settings) as it:
        slow = [connected(it, f"127.0.0.{2 + n % 4}", b"GET / HTTP/1.1\r\nHost: ") for n in range(400)]
        try:
            took = []
            for n in range(100):
                slow[n].sendall(b"x")
                began = time.perf_counter()
                assert it.api.get("/live").status_code == 200
                took.append(time.perf_counter() - began)
            assert statistics.quantiles(took, n=20)[-1] < 0.5  # p95, on a machine that does other things too
        finally:
            for sock in slow:
                sock.close()


def test_all_taken_by_silent_connections_is_over_by_itself(world: World) -> None:
    """Sixty in all: what is silent ends after its time, and whoever waited is served."""
    slow = [connected(world, f"127.0.0.{5 + n % 4}") for n in range(75)]
    try:
        began = time.monotonic()
        with connected(world, "127.0.0.9", b"GET /live HTTP/1.1\r\nHost: x\r\n\r\n") as sock:
            assert sock.recv(200).startswith(b"HTTP/1.1 200 ")
        assert time.monotonic() - began < 8
    finally:
        for sock in slow:
            sock.close()


@pytest.mark.whole
def test_a_proxy_of_ours_may_have_as_many_as_it_likes(tmp_path: Path) -> None:
    settings = {"http.connections_per_address_max": "5", "http.trusted_proxies": "127.0.0.2"}
    with World(tmp_path / "data", **QUIET, **settings) as it, ExitStack() as stack:
        it.get("/api/channels")  # the routes are there
        for _ in range(8):
            stack.enter_context(connected(it, "127.0.0.3"))
        proxys = [stack.enter_context(connected(it, "127.0.0.2")) for _ in range(8)]
        deadline = time.monotonic() + 30
        while exceeded(it, "connections_per_address") < 3 and time.monotonic() < deadline:
            time.sleep(0.1)
        time.sleep(1.2)  # one more look
        assert exceeded(it, "connections_per_address") == 3
        for sock in proxys:
            sock.settimeout(0.02)
            with pytest.raises(TimeoutError):
                sock.recv(1)


def test_whoever_comes_when_all_are_taken_waits_until_the_silent_have_gone(tmp_path: Path) -> None:
    settings = {"http.connections_max": "16", "http.header_seconds": "60"}
    with World(tmp_path / "data", **QUIET, **settings) as it:
        it.get("/api/channels")  # the routes are there
        silent = [connected(it, f"127.0.0.{5 + n % 4}") for n in range(16)]
        try:
            began = time.monotonic()
            with connected(it, "127.0.0.9", b"GET /live HTTP/1.1\r\nHost: x\r\n\r\n") as sock:
                sock.settimeout(20)
                assert sock.recv(200).startswith(b"HTTP/1.1 200 ")
            assert 2 < time.monotonic() - began < 20
            deadline = time.monotonic() + 30
            while not exceeded(it, "connections") and time.monotonic() < deadline:
                time.sleep(0.05)
            assert exceeded(it, "connections") > 0
        finally:
            for sock in silent:
                sock.close()
