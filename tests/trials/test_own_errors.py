"""Own errors, told to a real server that speaks Sentry's protocol: Bugsink, in an environment of its own.

Its raw output is docs/reference/trials/own_errors.txt. BUGSINK_BIN names the `bin` of an environment that has Bugsink
already; else one is made, which needs the network.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.house.tree import ROOT
from tests.world import free_port

pytestmark = pytest.mark.trial
CANARY = "canary-of-the-own-errors"
_PROJECT = """
from projects.models import Project
from teams.models import Team
print("DSN", Project.objects.create(name="box", team=Team.objects.create(name="team")).dsn)
"""
_LOOK = """
import json
from events.models import Event
from issues.models import Issue
found = [[i.calculated_type, i.calculated_value, i.digested_event_count] for i in Issue.objects.order_by("id")]
events = [e.get_parsed_data() for e in Event.objects.order_by("digested_at")]
print("SEEN", json.dumps({"issues": found, "events": events}))
"""
_ERRORS = """
import asyncio, logging, sys
from signalcraft import logs
from signalcraft.config import load
from signalcraft.main.build import close_house, open_house

async def run():
    overrides = {"data.dir": sys.argv[1], "errors.sentry_dsn": sys.argv[2]}
    house, lock = open_house(load(overrides=overrides, environ={}).settings)
    logs.redact.add(sys.argv[3])
    log = logging.getLogger("signalcraft.trial")

    def fails(password):
        raise ValueError(f"the vendor answered 500 to Bearer {password}")

    for number in range(3):
        with logs.within(f"req-{number}"):
            try:
                fails(sys.argv[3])
            except ValueError:
                log.exception("a delivery failed", extra={"cookie": sys.argv[3]})
    log.critical("a loop died")
    await house.faults.flush()
    await close_house(house, lock)

asyncio.run(run())
"""


class Bugsink:
    """One server on loopback, with one project."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        given = os.environ.get("BUGSINK_BIN")
        self.bin = Path(given) if given else self._installed()
        self.process: subprocess.Popen[bytes] | None = None

    def _installed(self) -> Path:
        place = self.folder / "venv"
        uv = str(ROOT / ".venv/bin/uv")
        subprocess.run([uv, "venv", "-q", "-p", sys.executable, str(place)], check=True, timeout=60)
        python = str(place / "bin/python")
        subprocess.run([uv, "pip", "install", "-q", "--python", python, "bugsink"], check=True, timeout=600)
        return place / "bin"

    def start(self) -> str:
        """Its DSN."""
        port = ["--host=127.0.0.1", f"--port={self.port}"]
        subprocess.run([self.bin / "bugsink-create-conf", "--template=local", *port], cwd=self.folder, check=True)
        for database in ("default", "snappea"):
            self.manage("migrate", f"--database={database}")
        dsn = re.search(r"DSN (\S+)", self.manage("shell", stdin=_PROJECT))
        assert dsn is not None
        command = [self.bin / "bugsink-manage", "runserver", "--noreload", f"127.0.0.1:{self.port}"]
        with (self.folder / "server.log").open("wb") as log:
            self.process = subprocess.Popen(command, cwd=self.folder, stdout=log, stderr=log)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                httpx.get(f"http://127.0.0.1:{self.port}/health/ready", trust_env=False, timeout=5)
            except httpx.TransportError:
                time.sleep(0.2)
            else:
                return dsn[1]
        raise AssertionError((self.folder / "server.log").read_text())

    def manage(self, *args: str, stdin: str = "") -> str:
        done = subprocess.run(
            [self.bin / "bugsink-manage", *args],
            cwd=self.folder, input=stdin, capture_output=True, text=True, check=True, timeout=180,
        )  # fmt: skip
        return done.stdout

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(20)


@pytest.fixture
def bugsink(tmp_path: Path) -> Iterator[Bugsink]:
    folder = tmp_path / "bugsink"
    folder.mkdir()
    it = Bugsink(folder)
    yield it
    it.stop()


def test_own_errors_reach_a_real_tracker_grouped_and_without_secrets(bugsink: Bugsink, tmp_path: Path) -> None:
    dsn = bugsink.start()
    secret = f"{CANARY}-{os.getpid()}"
    subprocess.run(
        [sys.executable, "-c", _ERRORS, str(tmp_path / "data"), dsn, secret],
        cwd=ROOT, check=True, timeout=120, capture_output=True,
    )  # fmt: skip
    time.sleep(1)
    said = re.search(r"SEEN (.*)", bugsink.manage("shell", stdin=_LOOK))
    assert said is not None
    seen = json.loads(said[1])
    version = (bugsink.bin / "python", "-c", "import importlib.metadata as m; print(m.version('bugsink'))")
    named = subprocess.run(version, capture_output=True, text=True, check=True).stdout.strip()
    event = {name: value for name, value in seen["events"][0].items() if name not in ("event_id", "timestamp")}
    out = ["Bugsink " + named, "", "issues (type, value, events):", *(f"  {one}" for one in seen["issues"])]
    out += ["", "the first event as it arrived:", json.dumps(event, indent=1, ensure_ascii=False), ""]
    (ROOT / "docs/reference/trials/own_errors.txt").write_text("\n".join(out).replace(f"{ROOT}/", ""))
    assert [(kind, count) for kind, _, count in seen["issues"]] == [("ValueError", 3), ("Log Message", 1)]
    assert len(seen["events"]) == 4
    everything = json.dumps(seen)
    assert CANARY not in everything
    assert seen["issues"][0][1].endswith("Bearer •••")
    assert [event["tags"].get("request_id") for event in seen["events"]] == ["req-0", "req-1", "req-2", None]
    for event in seen["events"]:
        assert event["release"].startswith("signalcraft@")
        assert not {"request", "user", "server_name", "modules", "breadcrumbs", "extra"} & set(event)
