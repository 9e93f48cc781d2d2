"""A whole SignalCraft in one object: real SQLite, the real app over loopback HTTP, a clock that the test moves.

Only other companies' servers are stand-ins. `world.after(minutes=15)` goes through every instant at which something is
due, as the real clock would, and waits at each until nothing is left to do.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import threading
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import httpx

from signalcraft.config import load
from signalcraft.demo.slack import Message, SlackStandIn, StandInThread
from signalcraft.domain.group import SYSTEM
from signalcraft.main import Program
from tests import apps, bodies, stillness

T = TypeVar("T")
START_MS = 1_772_442_000_000  # 2026-03-02T09:00:00Z, a Monday
BOT_TOKEN = "xoxb-1111-2222-thebotofthetests"
SIGNING_SECRET = "8f742231b10e8888abcd99yyyzzz85a5"
_OPERATORS = {"==": "equals", "!=": "not_equals", ">=": "gte", "<=": "lte", ">": "gt", "<": "lt", "=~": "regex"}


class Clock:
    """Milliseconds that only the test moves."""

    def __init__(self, at_ms: int = START_MS) -> None:
        self.at_ms = at_ms

    def __call__(self) -> int:
        return self.at_ms


class Told(tuple[str, str]):  # noqa: SLOT001  # it carries its message too
    """What people were told: (channel, text). Equal to (channel, title) when the text holds the title."""

    message: Message

    def __new__(cls, message: Message) -> Told:
        told = super().__new__(cls, (f"#{message.channel_name}", message.history[0].text))
        told.message = message
        return told

    @property
    def channel(self) -> str:
        return self[0]

    @property
    def text(self) -> str:
        """What it said when it was posted."""
        return self[1]

    @property
    def now(self) -> str:
        """What it says after its edits, blocks included."""
        return self.message.text + str(self.message.blocks)

    @property
    def edits(self) -> int:
        return len(self.message.history) - 1

    @property
    def in_thread(self) -> bool:
        return self.message.thread_ts is not None

    @property
    def at_ms(self) -> int:
        return self.message.at_ms

    def __eq__(self, other: object) -> bool:
        if isinstance(other, tuple) and len(other) == 2:
            return self[0] == other[0] and str(other[1]) in self[1]
        return NotImplemented

    __hash__ = tuple.__hash__


class World:
    """One box, one Slack, one clock. Use as a context manager.

    `minutely`: the care of each minute comes by the real clock too. In most tests it would come between any two lines.
    """

    def __init__(self, data_dir: Path, *, minutely: bool = False, **settings: str) -> None:
        self.clock = Clock()
        self.data_dir = data_dir
        self.settings = settings
        self.standin = StandInThread(
            SlackStandIn(self.clock, signing_secret=SIGNING_SECRET, tokens=(BOT_TOKEN, "xapp-tests"))
        )
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="world", daemon=True)
        self.program: Program | None = None
        self.api: httpx.Client
        self.integrations: dict[str, dict[str, Any]] = {}
        self.running = False
        self._served: list[Any] = []
        self._minutely = minutely

    def __enter__(self) -> World:
        self.standin.start()
        self._thread.start()
        self.restarted()
        return self

    def __exit__(self, *_: object) -> None:
        if self.running:
            self.stopped()
        self.standin.stop()
        self._call(_cut_off())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        if not self._thread.is_alive():
            self._loop.close()
            for app in self._served:
                apps.give_back(app)

    def _call(self, work: Coroutine[Any, Any, T], timeout_s: float = 60) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout_s)

    # -- life ---------------------------------------------------------------------------------------------------------

    def restarted(self) -> World:
        """Starts the program (again) on the same data directory."""
        port = free_port()
        overrides = {
            "data.dir": str(self.data_dir),
            "http.listen": f"127.0.0.1:{port}",
            "http.public_url": f"http://127.0.0.1:{port}",
            "slack.api_url": self.slack.base_url,
            "limits.webhooks_per_minute": "0",
            "limits.api_per_minute": "0",
            "limits.global_per_15_minutes": "0",
            "outbound.allow": "127.0.0.0/8",
            # What watches the box goes by the real clock too; the tests of it turn it on.
            "monitoring.self_watch": "false",
            "monitoring.canary_seconds": "0",
            # A child process for each night that a test goes through; the tests of it turn it on.
            "backup.schedule": "off",
            **self.settings,
        }
        settings = load(overrides=overrides, environ={}).settings
        program = Program(settings, now=self.clock)
        with stillness.beginning(minutely=self._minutely):
            self._call(program.start())
        self.program = program
        self.running = True
        self.slack.interactivity_url = f"http://127.0.0.1:{port}/webhooks/slack/actions"
        key = self._call(self._key())
        self.api = httpx.Client(
            base_url=f"http://127.0.0.1:{port}",
            headers={"Authorization": f"Bearer {key}"},
            timeout=60,
            trust_env=False,
        )
        return self

    async def _key(self) -> str:
        house = self.house
        name = f"tests {secrets.token_hex(2)}"  # each start has one of its own
        made = await house.accounts.create_key(1, name, ["admin"], None, SYSTEM)
        return made.key

    def killed(self) -> World:
        """Ends the program as kill -9 would."""
        assert self.program is not None
        self._call(self.program.abort())
        return self._ended()

    def stopped(self) -> World:
        """Ends the program in order."""
        assert self.program is not None
        self._call(self.program.stop(), 60)
        return self._ended()

    def _ended(self) -> World:
        self.api.close()
        self.running = False
        with contextlib.suppress(Exception, asyncio.CancelledError):  # its routes may never have been built
            self._served.append(self.program.app)  # type: ignore[union-attr]
        return self

    @property
    def house(self) -> Any:
        """The program's insides, for what no outside can ask."""
        assert self.program is not None
        return self.program.house

    @property
    def slack(self) -> SlackStandIn:
        return self.standin.it

    # -- time ---------------------------------------------------------------------------------------------------------

    def after(self, **span: float) -> World:
        """Moves the clock by hours/minutes/seconds/days, stopping wherever something is due."""
        seconds = (
            span.pop("seconds", 0)
            + 60 * span.pop("minutes", 0)
            + 3600 * span.pop("hours", 0)
            + 86400 * span.pop("days", 0)
        )
        assert not span, f"unknown spans: {span}"
        target = self.clock.at_ms + round(seconds * 1000)
        self.settled()
        while self.running:
            due = self._call(self._due())
            if due is None or due > target:
                break
            self.clock.at_ms = max(due, self.clock.at_ms + 1)
            self.settled()
        self.clock.at_ms = max(target, self.clock.at_ms)
        return self.settled()

    async def _due(self) -> int | None:
        house = self.house
        watch = await house.db.read(house.watch.next_due_ms)
        deliver = await house.db.read(house.deliver.next_due_ms)
        return min((d for d in (watch, deliver) if d is not None), default=None)

    def settled(self) -> World:
        """Waits until nothing is due at this instant and nothing is under way."""
        if self.running:
            self._call(self._settle(), 60)
        return self

    async def _settle(self) -> None:
        house = self.house
        for _ in range(1000):
            await house.ingest.refusals.flush()
            await house.watch.tick(house.now())
            sent = await house.deliver.step(house.now())
            if sent == 0 and house.deliver.idle:
                due = await self._due()
                if due is None or due > house.now():
                    return
            await asyncio.sleep(0)
        raise AssertionError("the world does not come to rest")

    # -- configuring --------------------------------------------------------------------------------------------------

    def channel(self, name: str, kind: str = "slack", **config: Any) -> dict[str, Any]:
        """A channel called "#name"; for Slack the stand-in gets it too."""
        if kind == "slack":
            bare = name.lstrip("#")
            self.slack.add_channel(bare)
            config = {"bot_token": BOT_TOKEN, "signing_secret": SIGNING_SECRET, "channel": f"#{bare}", **config}
        return self.post("/api/channels", {"name": name, "kind": kind, "config": config})

    def integration(self, kind: str = "sentry", name: str = "", **config: Any) -> dict[str, Any]:
        """An integration; Sentry's with the tests' secret unless told otherwise."""
        name = name or kind
        if kind == "sentry":
            config = {"secret": bodies.SECRET, **config}
        made = self.post("/api/integrations", {"name": name, "kind": kind, "config": config})
        self.integrations[name] = {**made, "secret": config.get("secret", "")}
        return made

    def rule(
        self,
        when: str = "",
        channel: str | list[str] = "#oncall",
        *,
        name: str = "",
        escalate_after: int | None = None,
        escalate_to: str | list[str] | None = None,
        **more: Any,
    ) -> dict[str, Any]:
        """A routing rule from words: "environment == prod and severity >= high". Channels are made where missing."""
        channels = [channel] if isinstance(channel, str) else channel
        targets = [escalate_to] if isinstance(escalate_to, str) else escalate_to or []
        known = {c["name"] for c in self.get("/api/channels")["items"]}
        for wanted in dict.fromkeys(channels + targets):
            if wanted not in known:
                self.channel(wanted)
        count = len(self.get("/api/routing-rules")["items"])
        rule = {
            "name": name or f"rule {count + 1}",
            "priority": (count + 1) * 10,
            "when": condition(when),
            "channels": channels,
            "escalate_after_minutes": escalate_after,
            "escalate_to": targets,
            **more,
        }
        return self.post("/api/routing-rules", {k: v for k, v in rule.items() if v is not None})

    # -- the outside world --------------------------------------------------------------------------------------------

    def sends(
        self, source: str, body: bytes, headers: dict[str, str] | None = None, rest: str = "", *, settle: bool = True
    ) -> httpx.Response:
        """Posts bytes to an integration's webhook address, made on first use."""
        if source not in self.integrations:
            self.integration(source)
        url = httpx.URL(self.integrations[source]["webhook_url"])
        answer = self.api.post(url.path + rest, content=body, headers={"Authorization": "", **(headers or {})})
        if settle:
            self.settled()
        return answer

    def receives(self, source: str, resource: str, *, settle: bool = True, **say: Any) -> dict[str, Any]:
        """A webhook arrives and is accepted; its first receipt."""
        if source not in self.integrations:
            self.integration(source)
        raw = bodies.body(resource, **say)
        headers = bodies.signed(raw, resource, self.integrations[source]["secret"], self.clock.at_ms // 1000)
        answer = self.sends(source, raw, headers, settle=settle)
        assert answer.status_code == 202, answer.text
        events: list[dict[str, Any]] = answer.json()["events"]
        return events[0] if events else {}

    def press(self, told: Told, action: str, by: str = "Sam", option: str | None = None, **forge: Any) -> Any:
        """A person presses a button of a message; what became of the press."""
        message = told.message
        pressed = self.standin.press(message.channel, message.ts, action, by, option, **forge)
        self.settled()
        return pressed

    # -- looking ------------------------------------------------------------------------------------------------------

    @property
    def told(self) -> list[Told]:
        """Every post that people were told, in order of time; ephemeral answers and what people wrote left out."""
        posts = [m for m in self.slack.everything() if not m.visible_to and m.sender.startswith("xoxb")]
        return [Told(m) for m in sorted(posts, key=lambda m: (m.at_ms, m.ts))]

    def whispered(self) -> list[str]:
        """The ephemeral answers, in order."""
        return [m.text for m in self.slack.everything() if m.visible_to]

    def get(self, path: str, **query: Any) -> Any:
        answer = self.api.get(path, params=query)
        assert answer.status_code == 200, f"{answer.status_code} {answer.text}"
        return answer.json()

    def post(self, path: str, body: Any = None) -> Any:
        answer = self.api.post(path, json=body if body is not None else {})
        assert answer.status_code in (200, 201, 202, 204), f"{answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def groups(self, **query: Any) -> list[dict[str, Any]]:
        """The alert groups, newest first."""
        return list(self.get("/api/alert-groups", **query)["items"])

    def group(self, title: str = "") -> dict[str, Any]:
        """The one group (of a title)."""
        found = [g for g in self.groups() if title in g["title"]]
        assert len(found) == 1, f"{len(found)} groups hold {title!r}"
        return found[0]

    def act(self, group: dict[str, Any], verb: str, **body: Any) -> dict[str, Any]:
        """A person acts through the API; the group as it is then."""
        after: dict[str, Any] = self.post(f"/api/alert-groups/{group['id']}/{verb}", body)
        self.settled()
        return after

    def owed(self) -> list[dict[str, Any]]:
        """The deliveries that are still owed or under way."""
        return [d for d in self.get("/api/deliveries", limit=100)["items"] if d["state"] in ("owed", "sending")]


def condition(words: str) -> dict[str, Any]:
    """ "a == b and c >= d" as a rule's `when`; "" matches everything."""
    leaves = []
    for part in filter(None, (p.strip() for p in words.split(" and "))):
        field, operator, value = part.split(" ", 2)
        listed: Any = [v.strip() for v in value.split(",")] if operator in ("in", "not_in") else value
        leaves.append({"field": field, "operator": _OPERATORS.get(operator, operator), "value": listed})
    return {"all": leaves} if leaves else {}


def free_port() -> int:
    """A loopback port that nobody listens on now."""
    import socket

    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


async def _cut_off() -> None:
    """What a program that was killed left on the loop: collected as it is, it would complain in another world's log."""
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    if left:
        await asyncio.wait(left, timeout=2)
