"""Commands as people run them: real processes on real data directories."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from signalcraft.cli.client import answers
from tests.cli.child import finished
from tests.standins import SlackStandIn, StandInThread

Done = subprocess.CompletedProcess[str]


class Box:
    """One machine: a home, a data directory, and the program on it. `serving` starts the process that serves."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.data = root / "data"
        self.url = ""
        self._running: list[subprocess.Popen[Any]] = []

    @property
    def env(self) -> dict[str, str]:
        """The environment of every process: nothing of this one that could be a setting."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("SIGNALCRAFT_", "NOTIFY", "STATE_DIR"))}
        return {**kept, "HOME": str(self.root), "SIGNALCRAFT_DATA__DIR": str(self.data), "COLUMNS": "200"}

    def run(self, *args: str, code: int = 0, env: dict[str, str] | None = None, stdin: str = "") -> Done:
        """Runs `signalcraft …` to its end and expects an exit code."""
        done = Done(args, *finished(list(args), {**self.env, **(env or {})}, self.root, stdin))
        assert done.returncode == code, f"{args}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr, done.stderr
        return done

    def refused(self, *args: str, code: int = 2, env: dict[str, str] | None = None) -> str:
        """The one line that a command ends with when it is refused."""
        done = self.run(*args, code=code, env=env)
        # On a busy machine it may also say that something was slow.
        lines = [line for line in done.stderr.strip().splitlines() if '"signalcraft.storage.slow"' not in line]
        assert len(lines) == 1, done.stderr
        assert lines[0].startswith("signalcraft: ")
        return lines[0].removeprefix("signalcraft: ")

    def start(self, *args: str, env: dict[str, str] | None = None) -> subprocess.Popen[str]:
        """Starts `signalcraft …` and leaves it running."""
        process = subprocess.Popen(
            [sys.executable, "-m", "signalcraft", *args],
            env={**self.env, **(env or {})}, cwd=self.root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        self._running.append(process)
        return process

    def serving(self, *args: str) -> subprocess.Popen[str]:
        """`signalcraft serve`, listening."""
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        process = self.start("serve", "--listen", f"127.0.0.1:{port}", *args)
        wait_ready(self.url, process)
        assert answers(self.data)
        return process

    def adopt(self, process: subprocess.Popen[Any]) -> None:
        """Ends with the test."""
        self._running.append(process)

    def ended(self, process: subprocess.Popen[str], number: int = signal.SIGTERM) -> tuple[int, str, str]:
        """Asks a process to end; its exit code and what it said."""
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
        return process.returncode, out, err

    def close(self) -> None:
        for process in self._running:
            if process.poll() is None:
                process.kill()
            process.communicate()


def free_port() -> int:
    """A loopback port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def now_ms() -> int:
    """The real clock."""
    return time.time_ns() // 1_000_000


def wait_ready(url: str, process: subprocess.Popen[Any]) -> None:
    """Until the process answers that it is ready."""
    deadline = time.monotonic() + 30
    # One asker for all tries: each would cost what the start needs.
    with httpx.Client(timeout=30, trust_env=False) as client:
        while not _ready(client, url):
            assert process.poll() is None, process.communicate()[1]
            assert time.monotonic() < deadline, "serve does not answer"
            time.sleep(0.02)


def _ready(client: httpx.Client, url: str) -> bool:
    try:
        return client.get(f"{url}/ready").status_code == 200
    except httpx.TransportError:
        return False


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    """An empty machine."""
    it = Box(tmp_path)
    yield it
    it.close()


@pytest.fixture(params=["live", pytest.param("alone", marks=pytest.mark.whole)])
def either(request: pytest.FixtureRequest, box: Box) -> Box:
    """The same machine twice: beside a running `serve`, and without one."""
    if request.param == "live":
        box.serving()
    return box


@pytest.fixture
def slack() -> Iterator[SlackStandIn]:
    with StandInThread(SlackStandIn(now_ms, channels=["oncall"])) as running:
        yield running.it


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with one Slack channel, made once."""
    from tests.cli.patient import slack_channel

    box = Box(tmp_path_factory.mktemp("healthy"))
    (box.root / "it.toml").write_text(slack_channel())
    box.run("apply", "it.toml")
    return box.data


@pytest.fixture
def patient(box: Box, slack: SlackStandIn, healthy: Path) -> Any:
    from tests.cli.patient import Patient

    shutil.copytree(healthy, box.data)
    return Patient(box, slack)


@pytest.fixture(scope="session")
def first_version(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A box with version 1.0.0 below a prefix, made once."""
    from tests.cli.prefix import installed_once

    return installed_once(Box(tmp_path_factory.mktemp("first")))


@pytest.fixture
def prefix(box: Box, first_version: Path) -> Any:
    """One version is installed, and there is a database with something in it."""
    from tests.cli.prefix import laid

    return laid(box, first_version)
