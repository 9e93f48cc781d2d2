"""Slack's stand-in on a thread, with a clock that the test moves, and a client that calls it as an app does."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs

import httpx
import msgspec
import pytest

from signalcraft.demo.loopback import Answer, Request, Server
from signalcraft.demo.slack import BOT_TOKEN, SlackStandIn, StandInThread
from signalcraft.demo.threads import LoopThread

START_MS = 1_790_000_000_000


class Clock:
    """Milliseconds; the test moves them."""

    def __init__(self) -> None:
        self.ms = START_MS

    def __call__(self) -> int:
        return self.ms

    def after(self, seconds: float) -> None:
        """Time passes."""
        self.ms += round(seconds * 1000)


class WebClient:
    """Calls the Web API with a bot's token."""

    def __init__(self, base_url: str) -> None:
        self.http = httpx.Client(base_url=base_url, timeout=30, trust_env=False)
        self.token = BOT_TOKEN

    def raw(self, method: str, **args: Any) -> httpx.Response:
        """The whole response."""
        return self.http.post(method, json=args, headers={"Authorization": f"Bearer {self.token}"})

    def __call__(self, method: str, **args: Any) -> Any:
        """The decoded answer."""
        return self.raw(method, **args).json()

    def post(self, channel: str = "#oncall", text: str = "hello", **args: Any) -> str:
        """The ts of a message that was accepted."""
        answer = self("chat.postMessage", channel=channel, text=text, **args)
        assert answer["ok"], answer
        return str(answer["ts"])


class App:
    """The app's interactivity endpoint: keeps what it hears, answers 200 after `delay_s`."""

    def __init__(self) -> None:
        self.heard: list[Request] = []
        self.delay_s = 0.0
        self.server = Server(self._hear)

    async def start(self) -> None:
        await self.server.start()

    async def stop(self) -> None:
        await self.server.stop()

    async def _hear(self, request: Request) -> Answer:
        self.heard.append(request)
        await asyncio.sleep(self.delay_s)
        return Answer(200)

    @property
    def payload(self) -> Any:
        """The last press, decoded."""
        return msgspec.json.decode(parse_qs(self.heard[-1].body.decode())["payload"][0])


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def slack(clock: Clock) -> Iterator[StandInThread]:
    with StandInThread(SlackStandIn(clock, channels=["oncall", "team-leads"])) as running:
        yield running


@pytest.fixture
def web(slack: StandInThread) -> Iterator[WebClient]:
    client = WebClient(slack.it.base_url)
    yield client
    client.http.close()


@pytest.fixture
def app(slack: StandInThread) -> Iterator[LoopThread[App]]:
    with LoopThread(App()) as running:
        slack.it.interactivity_url = f"http://127.0.0.1:{running.it.server.port}/webhooks/slack/actions"
        yield running


def buttons(*ids: str, **extra: Any) -> list[dict[str, Any]]:
    """Blocks with a button for each action id."""
    elements = [
        {"type": "button", "action_id": i, "text": {"type": "plain_text", "text": i}, "value": "g1", **extra}
        for i in ids
    ]
    return [{"type": "actions", "block_id": "acts", "elements": elements}]
