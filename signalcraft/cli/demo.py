"""`signalcraft demo`: the whole program, a Slack that is none, and a noisy week sent over real signed HTTP."""

from __future__ import annotations

import asyncio
import secrets
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import uvloop
from msgspec import Struct

from signalcraft import logs
from signalcraft.cli.client import Client, beside
from signalcraft.cli.terminal import faint, on_terminal, say, strong
from signalcraft.config import Settings, load
from signalcraft.config.model import Log
from signalcraft.demo.slack import BOT_TOKEN, SIGNING_SECRET, SlackStandIn, StandInThread
from signalcraft.demo.week import SECONDS, Replayed, Sending, replay, week
from signalcraft.errors import Conflict
from signalcraft.main import Program, system_now

HOST = "127.0.0.1"
PORT, SLACK_PORT = 8420, 8421
CHANNELS = ("alerts", "oncall", "leads")
QUICK = 20.0
SOUNDS = ("first", "repeat", "escalation", "resolved")
"""Kinds of delivery that make a phone ring; the rest are edits of a message, which are silent."""
OWNER = "demo@example.com"
_CLIENT_SECRET = "client-secret-of-the-demo"  # noqa: S105  made up here, good for this demo alone
_DRAIN_S = 90.0


class Demo(Struct, frozen=True, kw_only=True):
    """What was asked for."""

    listen: str | None
    slack_port: int | None
    data_dir: Path | None
    keep: bool
    quick: bool


class Tally(Struct, frozen=True):
    """What came of the webhooks so far. `notifications`: posts that make a sound; `owed`: those still to come."""

    events: int
    groups: int
    notifications: int
    owed: int

    def line(self) -> str:
        """`900 events → 14 groups → 41 notifications (95 % less noise)`."""
        less = round(100 * (1 - self.notifications / self.events)) if self.events else 0
        return f"{self.events} events → {self.groups} groups → {self.notifications} notifications ({less} % less noise)"


def run(demo: Demo) -> int:
    """Runs until Ctrl-C or SIGTERM; the exit code. Raises BadSetting, Conflict."""
    with _directory(demo) as data_dir, _log_to(data_dir / "demo.log"):
        listen = demo.listen or f"{HOST}:{_free(PORT)}"
        slack = SlackStandIn(
            system_now,
            demo.slack_port or _free(SLACK_PORT),
            channels=CHANNELS,
            interactivity_url=f"http://{listen}/webhooks/slack/actions",
            burst=0 if demo.quick else 3,
        )
        with StandInThread(slack):
            return uvloop.run(_Show(demo, _settings(data_dir, listen, slack.base_url), slack).play())


@contextmanager
def _log_to(file: Path) -> Iterator[None]:
    """Warnings go to a file while the terminal belongs to the demo."""
    with file.open("a", encoding="utf-8") as log:
        logs.setup(Log(level="warning"), log)
        try:
            yield
        finally:
            logs.setup(Log(level="warning"))


@contextmanager
def _directory(demo: Demo) -> Iterator[Path]:
    """A fresh data directory; a temporary one is removed at the end."""
    if demo.data_dir is not None:
        if demo.data_dir.exists() and any(demo.data_dir.iterdir()):
            raise Conflict(f"{demo.data_dir} is not empty: the demo wants a directory of its own")
        demo.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        yield demo.data_dir.absolute()
        return
    made = Path(tempfile.mkdtemp(prefix="signalcraft-demo-"))
    try:
        yield made
    finally:
        if not demo.keep:
            shutil.rmtree(made, ignore_errors=True)


def _settings(data_dir: Path, listen: str, slack_api: str) -> Settings:
    overrides = {
        "http.listen": listen,
        "http.public_url": f"http://{listen}",
        "data.dir": str(data_dir),
        "slack.api_url": slack_api,
        "outbound.allow": "127.0.0.0/8",
        "limits.webhooks_per_minute": "0",
        "limits.api_per_minute": "0",
        "limits.global_per_15_minutes": "0",
        # What it plays is other people's trouble, its refused and failing messages among it.
        "monitoring.self_watch": "false",
    }
    # Neither this machine's settings file nor its environment: the demo is the same everywhere.
    return load(Path("/dev/null"), overrides, environ={}).settings


def _free(first: int) -> int:
    """The first port from `first` on that nobody listens on; every other one is left to the demo's other half."""
    for port in range(first, first + 200, 2):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return port
    raise Conflict(f"no port from {first} on is free; choose one with --listen and --slack-port")


def configuration() -> dict[str, Any]:
    """What a team would write into the file of `apply`."""
    channels = [
        {"name": name, "kind": "slack", "bot_token": BOT_TOKEN, "signing_secret": SIGNING_SECRET, "channel": f"#{name}"}
        for name in CHANNELS
    ]
    serious = {
        "name": "production and serious",
        "priority": 10,
        "when": {
            "all": [
                {"field": "environment", "operator": "in", "value": ["prod", "production"]},
                {"field": "severity", "operator": "gte", "value": "high"},
            ]
        },
        "channels": ["oncall"],
        "escalate_after_minutes": 1,
        "escalate_to": ["leads"],
    }
    return {
        "workspace": {"default_channels": ["alerts"], "fallback_channel": "leads"},
        "integrations": [
            {"name": "sentry", "kind": "sentry", "secret": _CLIENT_SECRET},
            {"name": "sentry-legacy", "kind": "sentry", "require_signature": False},
        ],
        "channels": channels,
        "rules": [serious],
    }


class _Show:
    """One run of the demo, on its event loop."""

    def __init__(self, demo: Demo, settings: Settings, slack: SlackStandIn) -> None:
        self._demo = demo
        self._settings = settings
        self._slack = slack
        self._stop = asyncio.Event()
        self._speed = QUICK if demo.quick else 1.0
        self._replayed = 0
        self._reached = 0.0

    async def play(self) -> int:
        """From the first line to the last."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        program = Program(self._settings)
        await program.start()
        try:
            say(f"SignalCraft  {strong(self._settings.http.public_url)}")
            # Good for this run alone, and easy to type.
            password = "-".join(secrets.token_hex(2) for _ in range(4))
            hooks, key = await asyncio.to_thread(self._set_up, password)
            self._where_to_look(key, password)
            await self._week(hooks)
            await self._stop.wait()
        finally:
            if on_terminal():
                say()  # the terminal shows ^C: leave that line
            ended = await program.stop()
        return 0 if ended and program.failed is None else 1

    def _set_up(self, password: str) -> tuple[dict[str, str], str]:
        """Configures by the API, as a team would; the webhook addresses by name and an API key."""
        owner = {"email": OWNER, "name": "Demo", "role": "owner", "password": password}
        with beside(self._settings.data.path) as client:
            client.post("/control/people", owner)
            made = apply(client, configuration())
            key = client.post("/api/api-keys", {"name": "demo", "scopes": ["alerts:read", "alerts:write"]})["key"]
        return made, str(key)

    def _where_to_look(self, key: str, password: str) -> None:
        url = self._settings.http.public_url
        say(f"Sign in      {OWNER}   password {strong(password)}")
        say(f"Slack        {self._slack.origin}   a stand-in: its channels as people see them; the buttons work")
        say(f"Health       {url}/health")
        say(f"API          curl -H 'Authorization: Bearer {key}' {url}/api/alert-groups")
        stays = "kept" if self._demo.keep or self._demo.data_dir else "removed at the end"
        say(faint(f"Data         {self._settings.data.path}   {stays}; log: demo.log in it"))
        say()

    async def _week(self, hooks: dict[str, str]) -> None:
        say(f"A noisy week of Sentry webhooks, replayed in {round(SECONDS / self._speed)} seconds:")
        watching = asyncio.create_task(self._watch())
        limits = httpx.Limits(max_connections=32)
        async with httpx.AsyncClient(timeout=10, limits=limits, trust_env=False) as http:

            async def post(headers: dict[str, str], body: bytes) -> int:
                hook = hooks["sentry" if "Sentry-Hook-Resource" in headers else "sentry-legacy"]
                try:
                    answer = await http.post(hook, headers=headers, content=body)
                except httpx.HTTPError:
                    return 0
                self._replayed += answer.is_success
                return answer.status_code

            done = await replay(
                post, self._through(), secret=_CLIENT_SECRET, now_ms=system_now, speed=self._speed, stop=self._stop
            )
        watching.cancel()
        if not self._stop.is_set():
            await self._sum_up(done)

    def _through(self) -> Iterator[Sending]:
        """The week's webhooks; notes how far the replay is."""
        for sending in week(system_now()):
            self._reached = sending.at_offset_s / SECONDS
            yield sending

    async def _watch(self) -> None:
        """Says how far it is: one moving line on a terminal, a line a day elsewhere."""
        day = 1
        while True:
            await asyncio.sleep(0.25)
            today = min(int(self._reached * 7) + 1, 7)
            if on_terminal():
                so_far = await asyncio.to_thread(self._tally)
                bar = "█" * round(self._reached * 28)
                sys.stdout.write(f"\r\x1b[K  day {today} of 7  {bar:░<28}  {so_far.line().partition(' (')[0]}")
                sys.stdout.flush()
            elif today > day:
                so_far = await asyncio.to_thread(self._tally)
                say(f"  after day {today - 1} of 7: {so_far.line().partition(' (')[0]}")
                day = today

    async def _sum_up(self, done: Replayed) -> None:
        """Waits until everything owed was posted, then says the one line."""
        deadline = asyncio.get_running_loop().time() + _DRAIN_S
        while (tally := await asyncio.to_thread(self._tally)).owed and asyncio.get_running_loop().time() < deadline:
            try:
                await asyncio.wait_for(self._stop.wait(), 0.25)
                return
            except TimeoutError:
                continue
        if on_terminal():
            sys.stdout.write("\r\x1b[K")
        say(strong(tally.line()))
        if done.accepted < done.sent:
            say(f"{done.sent - done.accepted} of {done.sent} webhooks were not accepted: {dict(done.statuses)}")
        say()
        say("It keeps running: answer an alert on the dashboard or in Slack, and see both follow. Ctrl-C ends it.")

    def _tally(self) -> Tally:
        with beside(self._settings.data.path) as client:
            groups = len(client.every("/api/alert-groups"))
            posts = [d for d in client.every("/api/deliveries") if d["kind"] in SOUNDS]
        owed = sum(d["state"] in ("owed", "sending") for d in posts)
        return Tally(self._replayed, groups, sum(d["state"] == "sent" for d in posts), owed)


def apply(client: Client, wanted: dict[str, Any]) -> dict[str, str]:
    """Applies a configuration; the webhook addresses of its new integrations, by name."""
    done = client.post("/api/config/apply", {"configuration": wanted})
    return {made["name"]: made["webhook_url"] for made in done["made"] if made["what"] == "integration"}
