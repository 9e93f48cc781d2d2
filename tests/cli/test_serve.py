"""The process that serves: its lock, its socket, its end; and that no one on the TCP side is its owner."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from signalcraft.cli.client import answers, beside
from signalcraft.http.owner import SOCKET
from signalcraft.storage.lock import DataLock
from tests.cli.conftest import Box, free_port


def test_it_ends_in_order_on_either_signal_and_starts_again(box: Box) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        process = box.serving()
        code, _, err = box.ended(process, number)
        assert code == 0, err
        assert not (box.data / SOCKET).exists()
        assert "Traceback" not in err


def test_a_second_serve_is_refused_with_the_pid_of_the_first(box: Box) -> None:
    first = box.serving()
    said = box.refused("serve", "--listen", f"127.0.0.1:{free_port()}", code=1)
    assert f"is in use by process {first.pid} (signalcraft serve)" in said
    assert first.poll() is None


def test_a_kill_leaves_nothing_in_the_way(box: Box) -> None:
    process = box.serving()
    process.kill()
    process.wait()
    assert (box.data / SOCKET).exists()
    assert "not running" in box.run("status", code=1).stdout
    box.run("apikey", "list")
    box.serving()


def test_a_taken_address_and_a_broken_one_are_one_line(box: Box) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        said = box.refused("serve", "--listen", address, env={"SIGNALCRAFT_LOG__LEVEL": "error"})
        assert said.startswith(f"http.listen: {address} cannot be listened on")
    assert "command line" in box.refused("serve", "--listen", "here")


@pytest.mark.whole
def test_what_is_private_is_private(box: Box) -> None:
    box.serving()
    assert box.data.stat().st_mode & 0o077 == 0
    for name in (SOCKET, "lock", "master.key"):
        assert (box.data / name).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("path", ["/control/info", "/control/integrations/x/webhook"])
def test_the_owners_routes_do_not_exist_on_the_tcp_side(box: Box, path: str) -> None:
    box.serving()
    key = box.run("apikey", "create", "--name", "x", "--scopes", "admin").stdout.strip()
    headers = {"Authorization": f"Bearer {key}", "x-signalcraft-actor": "root", "x-signalcraft-workspace": "default"}
    for method in ("GET", "POST"):
        for heads in (headers, {}):
            assert httpx.request(method, box.url + path, headers=heads, trust_env=False).status_code in (404, 405)
    assert (
        httpx.get(f"{box.url}/api/api-keys", headers={"x-signalcraft-actor": "root"}, trust_env=False).status_code
        == 401
    )


def test_the_owner_needs_no_key(box: Box) -> None:
    process = box.serving()
    with beside(box.data) as client:
        assert client.get("/control/info")["pid"] == process.pid
        assert client.get("/api/api-keys")["items"] == []


@pytest.mark.whole
def test_the_owner_is_not_rate_limited(box: Box) -> None:
    box.serving()
    with beside(box.data) as client:
        answers = {client.request("GET", "/api/api-keys", faults=False).status for _ in range(400)}
    assert answers == {200}


@pytest.mark.whole
def test_many_commands_at_once_take_turns(box: Box) -> None:
    """Without a serving process they share the directory one after the other; none fails."""
    box.run("migrate", "up")

    def make(n: int) -> int:
        return box.run("apikey", "create", "--name", f"key {n}", "--scopes", "admin").returncode

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(make, range(4))) == [0] * 4
    assert len(json.loads(box.run("apikey", "list", "--json").stdout)["items"]) == 4


@pytest.mark.whole
def test_a_holder_that_does_not_answer_is_named(box: Box) -> None:
    lock = DataLock(box.data)
    lock.take("serve")
    try:
        done = subprocess.run(
            [*_python(), "apikey", "list"], env=box.env, cwd=box.root, capture_output=True, text=True, timeout=60
        )
    finally:
        lock.release()
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert f"process {os.getpid()}" in last
    assert "does not answer" in last
    assert not answers(box.data)


def _python() -> list[str]:
    import sys

    return [sys.executable, "-m", "signalcraft"]


def test_systemd_is_told_when_it_is_ready_and_when_it_stops(box: Box) -> None:
    address = box.root / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
        told.bind(str(address))
        told.settimeout(30)
        env = {"NOTIFY_SOCKET": str(address), "WATCHDOG_USEC": "600000"}
        process = box.start("serve", "--listen", f"127.0.0.1:{free_port()}", env=env)
        lines: list[str] = []
        while "READY=1" not in lines:  # a new database may ask for time first
            lines = told.recv(4096).decode().splitlines()
        assert answers(box.data)
        assert told.recv(4096) == b"WATCHDOG=1"
        process.terminate()
        said = set()
        while "STOPPING=1" not in said:
            said |= set(told.recv(4096).decode().splitlines())
        assert process.wait(30) == 0
