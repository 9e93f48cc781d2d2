"""A SignalCraft in a process of its own with Slack's stand-in beside it, spoken to as `tests.world.World` is.

Its clock is the real one, since a browser has no other; it can be killed and come back at the same address.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import threading
import time
from pathlib import Path
from typing import Any, Self

import httpx

from signalcraft.demo.slack import SlackStandIn, StandInThread
from tests.program import command, named
from tests.trials.box import Box
from tests.world import BOT_TOKEN, SIGNING_SECRET, Clock, World

OWNER = "olga@example.com"
PASSWORD = "tractor-lunar-vivid"
SETTINGS = {
    "limits.webhooks_per_minute": "0",
    "limits.api_per_minute": "0",
    "limits.global_per_15_minutes": "0",
    "limits.sign_in_per_minute": "0",
    "limits.sign_in_failures_per_15_minutes": "0",
    "outbound.allow": "127.0.0.0/8",
}


class RealClock(Clock):
    """The time that it is."""

    def __init__(self) -> None:
        pass

    @property
    def at_ms(self) -> int:  # type: ignore[override]
        """Now."""
        return int(time.time() * 1000)


def seed(folder: Path) -> str:
    """A data directory with an owner in it; an API key that may everything."""
    where = ("--data-dir", str(folder))
    add = command("user", "add", OWNER, "--name", "Olga", "--role", "owner", "--password-stdin", *where)
    create = command("apikey", "create", "--name", "journeys", "--scopes", "admin", "--json", *where)
    said = ""
    for words in (add, create):
        done = subprocess.run(words, input=PASSWORD, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        said = done.stdout
    key: str = json.loads(said)["key"]
    return key


class Place(World):
    """One box, one Slack, the real clock. Use as a context manager.

    `seeded`: a folder of `seed` to begin with; without one it waits for its first owner (`setup_code`).
    """

    def __init__(self, folder: Path, seeded: Path | None = None, key: str = "", **settings: str) -> None:
        self.clock = RealClock()
        self.data_dir = folder / "data"
        if seeded is not None:
            shutil.copytree(seeded, self.data_dir)
        self.key = key
        self.standin = StandInThread(
            SlackStandIn(self.clock, signing_secret=SIGNING_SECRET, tokens=(BOT_TOKEN, "xapp-tests"))
        )
        self.program = None
        self.integrations: dict[str, dict[str, Any]] = {}
        self.running = False
        self.log = folder / "serve.log"
        self.settings = {**SETTINGS, **settings}

    def __enter__(self) -> Self:
        self.standin.start()
        named = {name.upper().replace(".", "__"): value for name, value in self.settings.items()}
        self.box = Box(self.data_dir, self.slack.base_url, self.log, **named)
        self.url = self.box.url
        try:
            self.restarted()
        except BaseException:
            self._alone()
            raise
        return self

    def _alone(self) -> None:
        """Ends the stand-in: from a thread of its own, since Playwright's loop counts as running in this one."""
        ending = threading.Thread(target=self.standin.stop)
        ending.start()
        ending.join(15)

    def __exit__(self, *_: object) -> None:
        try:
            if self.running:
                self.api.close()
                self.box.kill()
        finally:
            self._alone()

    # -- life ---------------------------------------------------------------------------------------------------------

    def restarted(self) -> Self:
        """Starts the program (again), on the same data directory and at the same address."""
        self.box.start()
        self.running = True
        self.slack.interactivity_url = f"{self.url}/webhooks/slack/actions"
        headers = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        self.api = httpx.Client(base_url=self.url, headers=headers, timeout=20, trust_env=False)
        return self

    def killed(self) -> Self:
        """kill -9."""
        self.api.close()
        self.box.kill()
        self.running = False
        return self

    def stopped(self) -> Self:
        """SIGTERM."""
        self.api.close()
        self.box.stop()
        self.running = False
        return self

    @property
    def house(self) -> Any:
        raise TypeError("it is another process: ask its API")

    def after(self, **span: float) -> Self:
        raise TypeError("its clock is the real one: nobody moves it")

    def settled(self, seconds: float = 15) -> Self:
        """Waits until everything that is owed was tried."""
        until = time.monotonic() + seconds
        while self.running and self.key and self._untried():
            assert time.monotonic() < until, f"still owed: {self.owed()}"
            time.sleep(0.05)
        return self

    def _untried(self) -> list[dict[str, Any]]:
        # What failed once waits for its channel to be mended.
        return [d for d in self.owed() if d["attempts"] == 0 or d["state"] == "sending"]

    def setup_code(self) -> str:
        """What `serve` printed for the first owner."""
        found = re.findall(r"with the code (\S+)", self.log.read_text())
        assert found, self.log.read_text()
        return str(found[-1])

    # -- people -------------------------------------------------------------------------------------------------------

    def person(self, email: str, role: str = "member") -> str:
        """Somebody who may sign in with PASSWORD; their address."""
        self.box.run("user", "add", email, "--role", role, "--password-stdin", stdin=PASSWORD.encode())
        return email

    def cookies(self, email: str = OWNER) -> list[dict[str, Any]]:
        """A new session of somebody, as Playwright's `add_cookies` takes it."""
        with httpx.Client(base_url=self.url, timeout=20, trust_env=False) as client:
            answer = client.post("/api/auth/sign-in", json={"email": email, "password": PASSWORD})
            assert answer.status_code == 200, answer.text
            return [{"name": one.name, "value": one.value or "", "url": self.url} for one in client.cookies.jar]


def built() -> None:
    """Says so where there is nothing to look at."""
    from signalcraft.http.dashboard import FOLDER

    if named():
        return  # that program has one of its own
    assert (FOLDER / "index.html").is_file(), "the dashboard is not built: make web"
    assert os.access(FOLDER / "index.html", os.R_OK)
