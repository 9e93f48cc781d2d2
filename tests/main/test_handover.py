"""One process ends and the next one starts, and nobody who connects meanwhile hears of it."""

from __future__ import annotations

import asyncio
import shutil
import signal
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests import bodies
from tests.cli.conftest import Box, box, free_port  # noqa: F401  # a fixture
from tests.main.pairs import pair
from tests.main.unit import Manager, Senders, Tries, closed, integration, listening, once, request, stored

NO_LIMIT = {
    "SIGNALCRAFT_LIMITS__WEBHOOKS_PER_MINUTE": "0",
    "SIGNALCRAFT_LIMITS__GLOBAL_PER_15_MINUTES": "0",
    "SIGNALCRAFT_HTTP__CONNECTIONS_PER_ADDRESS_MAX": "0",
    "SIGNALCRAFT_MONITORING__SELF_WATCH": "false",
}
IN_FLIGHT = 1000


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory that knows the senders, made once."""
    once_made = Box(tmp_path_factory.mktemp("made"))
    integration(once_made)
    return once_made.data


@pytest.fixture
def service(box: Box, made: Path) -> Iterator[Manager]:  # noqa: F811
    """A service whose sockets systemd keeps; nothing runs yet."""
    shutil.copytree(made, box.data)
    it = Manager(box, {"SIGNALCRAFT_HTTP__LISTEN": f"127.0.0.1:{free_port()}", **NO_LIMIT})
    yield it
    it.close()


def address(service: Manager) -> tuple[str, int]:
    host, _, port = service.env["SIGNALCRAFT_HTTP__LISTEN"].rpartition(":")
    return host, int(port)


def all_there_once(service: Manager, tries: Tries) -> None:
    there = stored(service.box)
    assert {event: there[event] for event in tries.accepted if there[event] != 1} == {}


def test_a_restart_is_not_heard_by_who_tries_once(service: Manager) -> None:
    """At 50 a second, over the descriptor store; then a kill, which keeps who waits but not what was being read."""
    service.start()
    assert list(service.store) == ["http.listen"]
    with Senders(address(service)) as tries:
        time.sleep(0.3)
        for _ in range(2):
            assert service.stop() == 0
            service.start()
        time.sleep(0.3)
    print(tries.statuses, round(tries.slowest_s, 2))
    assert tries.lost() == {}
    assert len(tries.accepted) > 50
    assert service.stop(signal.SIGKILL) != 0
    waiter = Tries()
    thread = threading.Thread(target=lambda: asyncio.run(once(address(service), bodies.event_id(), waiter)))
    thread.start()
    service.start()
    thread.join()
    assert waiter.lost() == {}
    assert service.stop() == 0
    tries.accepted += waiter.accepted
    all_there_once(service, tries)


@pytest.mark.whole
def test_a_socket_unit_and_tls_lose_nobody_either(service: Manager) -> None:
    files = pair(service.box.root / "tls")
    service.unit = listening()
    service.env |= {
        "SIGNALCRAFT_HTTP__LISTEN": f"127.0.0.1:{service.unit.getsockname()[1]}",
        "SIGNALCRAFT_HTTP__TLS_CERTIFICATE": files["http.tls_certificate"],
        "SIGNALCRAFT_HTTP__TLS_KEY": files["http.tls_key"],
    }
    trusted = ssl.create_default_context(cafile=files["http.tls_certificate"])
    trusted.check_hostname = False
    service.start()
    assert service.store == {}, "what the unit holds is not ours to keep"
    with Senders(address(service), per_second=20, tls=trusted) as tries:
        time.sleep(0.3)
        service.process.send_signal(signal.SIGHUP)  # type: ignore[union-attr]  # the certificate is read again
        time.sleep(0.7)
        assert service.stop() == 0
        service.start()
        time.sleep(0.3)
    print(tries.statuses, round(tries.slowest_s, 2))
    assert tries.lost() == {}
    assert service.stop() == 0
    all_there_once(service, tries)


@pytest.mark.whole
def test_a_thousand_requests_under_way_are_answered_and_it_ends_in_ten_seconds(service: Manager) -> None:
    """INF-13. Every connection is open and has sent the first half; the other half comes after SIGTERM."""
    process = service.start()
    tries, sent, asked = Tries(), threading.Barrier(2, timeout=60), threading.Event()

    async def half(event: str, ready: asyncio.Barrier, on: asyncio.Event) -> None:
        began, outcome, writer = time.monotonic(), "", None
        try:
            reader, writer = await asyncio.open_connection(*address(service))
            whole = request(event)
            writer.write(whole[: len(whole) // 2])
            if await ready.wait() == 0:
                await asyncio.to_thread(sent.wait)
                await asyncio.to_thread(asked.wait)
                on.set()
            await on.wait()
            writer.write(whole[len(whole) // 2 :])
            answer = await reader.readuntil(b"\r\n\r\n")
            outcome = answer.split(b" ")[1].decode() + (" and closed" if b"connection: close" in answer else "")
        except (OSError, EOFError) as problem:
            outcome = type(problem).__name__
        finally:
            await closed(writer)
        tries.ended(event, outcome, time.monotonic() - began)

    async def all_of_them() -> None:
        ready, on = asyncio.Barrier(IN_FLIGHT), asyncio.Event()
        await asyncio.gather(*(half(bodies.event_id(), ready, on) for _ in range(IN_FLIGHT)))

    thread = threading.Thread(target=lambda: asyncio.run(all_of_them()))
    thread.start()
    sent.wait()
    process.send_signal(signal.SIGTERM)
    began = time.monotonic()
    while "stopping: loops end" not in service.log.read_text() and time.monotonic() - began < 20:
        time.sleep(0.02)
    asked.set()
    assert process.wait(60) == 0, service.log.read_text()
    took_s = time.monotonic() - began
    thread.join()
    print(took_s, tries.statuses, round(tries.slowest_s, 2))
    assert tries.statuses == {"202 and closed": IN_FLIGHT}
    assert took_s < 10
    assert sum(stored(service.box).values()) == IN_FLIGHT


def test_streams_end_at_once_and_kept_connections_after_their_answer(service: Manager) -> None:
    process = service.start()
    key = service.box.run("apikey", "create", "--name", "x", "--scopes", "admin").stdout.strip()
    url = "http://{}:{}".format(*address(service))
    with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}, trust_env=False) as client:
        assert client.get("/live").headers.get("connection") is None
        with client.stream("GET", "/api/live") as stream, socket.create_connection(address(service)) as idle:
            coming = stream.iter_raw()
            next(coming)
            process.send_signal(signal.SIGTERM)
            began = time.monotonic()
            for _ in coming:
                continue
            assert time.monotonic() - began < 15
            assert idle.recv(1) == b"", "a connection that says nothing is closed, not reset"
    assert process.wait(30) == 0


def test_a_second_start_is_refused_and_the_first_goes_on(service: Manager) -> None:
    """INF-12: whatever was handed in to it."""
    first = service.start()
    second = service.start(wait=False)
    assert second.wait(60) == 1
    last = service.log.read_text().strip().splitlines()[-1]
    assert f"is in use by process {first.pid} (signalcraft serve)" in last
    with Senders(address(service)) as tries:
        time.sleep(0.2)
    assert tries.lost() == {}
    service.process = first
    assert service.stop() == 0


@pytest.mark.whole
def test_another_address_in_the_settings_is_the_one_listened_on(service: Manager) -> None:
    """What an earlier process left is given up; what a socket unit holds must be named by a setting."""
    service.start()
    assert service.stop() == 0
    old = address(service)
    service.env["SIGNALCRAFT_HTTP__LISTEN"] = f"127.0.0.1:{free_port()}"
    service.start()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(old, 5)
    with socket.fromfd(service.store["http.listen"], socket.AF_INET, socket.SOCK_STREAM) as kept:
        assert kept.getsockname() == address(service)
    assert service.stop() == 0
    service.unit = listening()
    assert service.start(wait=False).wait(60) == 2
    said = service.log.read_text().strip().splitlines()[-1]
    assert "(signalcraft.socket), which no setting names (http.listen is 127.0.0.1:" in said
