"""Where messages are owed and delivered in tests: a real database, a clock that the test moves, and a Slack, a webhook
receiver and a mail server that do what the test says. Only they and the clock are not real.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from signalcraft.config import Settings
from signalcraft.config.model import Delivery, Grouping, Http
from signalcraft.domain import group as grouping
from signalcraft.domain import ids, routing
from signalcraft.domain.delivery import HttpCall, Reply, Step
from signalcraft.domain.group import Actor, Change, Group
from signalcraft.domain.severity import BY_NAME
from signalcraft.services import telling
from signalcraft.services.deliver import Deliver, Status
from signalcraft.services.watch import Watch
from signalcraft.storage import channels as channel_rows
from signalcraft.storage import conversations, escalations, groups, journal, outbox, workspaces
from signalcraft.storage.db import Reader, Tx
from signalcraft.storage.escalations import Escalation
from signalcraft.storage.outbox import Delivery as Owed
from tests.services.desk import KEY, START_MS, Desk

T = TypeVar("T")
KIM = Actor("slack", "U0KIM", "Kim")
__all__ = ["KEY", "KIM", "START_MS", "Call", "Office", "Outside"]


class Call(msgspec.Struct, kw_only=True):
    """One call that reached the outside: to whom, what it was, whether it was taken."""

    at_ms: int
    where: str
    what: str  # post, reply, edit, hook
    title: str
    text: str
    taken: bool
    token: str = ""


class Outside:
    """The other companies' servers: Slack's Web API and a webhook receiver. Scripted by flags and by `next`."""

    def __init__(self, now: Callable[[], int]) -> None:
        self._now = now
        self.calls: list[Call] = []
        self.down = False
        self.revoked: set[str] = set()
        self.errors: dict[str, str] = {}  # channel or method -> Slack's error code
        self.next: list[Reply | str] = []  # replies, or Slack error codes, for the next calls, whatever they are
        self.next_of: dict[str, list[Reply | str]] = {}  # the same for a method alone
        self.hangs = False  # takes the message and never answers
        self.slow: asyncio.Event | None = None  # answers when this is set
        self.hook_status = 200
        self.messages = 0
        self.lost_answers = 0
        self._arrived = asyncio.Event()

    async def asked(self, calls: int) -> None:
        """Waits until so many calls have arrived."""
        while len(self.calls) < calls:
            self._arrived.clear()
            await self._arrived.wait()

    async def send(self, step: Step) -> Reply:
        assert isinstance(step, HttpCall)
        reply = self._answer(step)
        if self.hangs:
            await asyncio.Event().wait()
        if self.slow is not None:
            await self.slow.wait()
        return reply

    def _answer(self, step: HttpCall) -> Reply:
        body = json.loads(step.body)
        if "chat." not in step.url:
            taken = not self.down and self.hook_status == 200
            what = body["type"].removeprefix("alert_group.")
            self._log(step.url, what, body["data"]["group"]["title"], body["data"]["reason"], taken)
            return Reply(status=0, error="refused") if self.down else Reply(status=self.hook_status)
        method = step.url.rsplit("/", 1)[1]
        what = "edit" if method == "chat.update" else "reply" if "thread_ts" in body else "post"
        token = step.headers["Authorization"].removeprefix("Bearer ")
        planned = self.next_of.get(method) or self.next
        told = planned.pop(0) if planned else None
        error = (
            self.errors.get(body["channel"])
            or self.errors.get(method)
            or ("token_revoked" if token in self.revoked else "")
        )
        if isinstance(told, str):
            error = told
        reply = told if isinstance(told, Reply) else Reply(status=0, error="connection refused") if self.down else None
        text = body["text"] + (json.dumps(body["blocks"], ensure_ascii=False) if "blocks" in body else "")
        taken = not error and (reply is None or reply.sent_maybe)
        self.lost_answers += taken and reply is not None
        self._log(body["channel"], what, body["text"], text, taken, token)
        if reply is not None:
            return reply
        if error:
            return Reply(status=200, body=msgspec.json.encode({"ok": False, "error": error}))
        ts = body.get("ts")
        if ts is None:
            self.messages += 1
            ts = f"{self._now() // 1000}.{self.messages:06}"
        return Reply(status=200, body=msgspec.json.encode({"ok": True, "channel": body["channel"], "ts": ts}))

    def _log(self, where: str, what: str, title: str, text: str, taken: bool, token: str = "") -> None:
        call = Call(at_ms=self._now(), where=where, what=what, title=title, text=text, taken=taken, token=token)
        self.calls.append(call)
        self._arrived.set()

    def taken(self, what: str | None = None, where: str | None = None) -> list[Call]:
        """The calls that were taken."""
        return [c for c in self.calls if c.taken and what in (None, c.what) and where in (None, c.where)]

    def told(self) -> list[tuple[str, str]]:
        """(where, what) of everything that made a sound."""
        return [(c.where, c.what) for c in self.taken() if c.what != "edit"]


def too_many(after_s: int) -> Reply:
    """Slack's 429."""
    return Reply(status=429, headers={"retry-after": str(after_s)}, body=b'{"ok":false,"error":"ratelimited"}')


def lost() -> Reply:
    """The message was taken, the answer never came."""
    return Reply(status=0, error="the connection was closed", sent_maybe=True)


class Office:
    """A workspace with channels and rules, and the two loops that the test turns by hand. Use as a context manager."""

    def __init__(self, folder: Path, *, roll: float = 0.5, **settings: Any) -> None:
        self.folder = folder
        self.now_ms = START_MS
        self.outside = Outside(lambda: self.now_ms)
        self.roll = roll
        grouping_keys = {f for f in Grouping.__struct_fields__ if f in settings}
        delivery = {k: v for k, v in settings.items() if k not in grouping_keys}
        base: dict[str, Any] = {"backoff_first_seconds": 1.0, "retry_hours_max": 24, "breaker_seconds": 15.0}
        self.settings = Settings(
            http=Http(public_url="https://alerts.example.com"),
            grouping=Grouping(**{k: settings[k] for k in grouping_keys}),
            delivery=Delivery(**{**base, **delivery}),
        )
        self.loop = asyncio.new_event_loop()
        self.numbers = self.oncall = self.leads = 0
        self._open()

    def _open(self) -> None:
        self.desk = Desk(self.folder)
        self.desk.settings = self.desk.registry.settings = self.settings
        self.desk.now_ms = self.now_ms
        self.db, self.registry = self.desk.db, self.desk.registry
        self.released = self.db.call(outbox.release_leases)
        self.settled: list[int] = []
        self.deliver = Deliver(
            self.settings,
            self.db,
            self.registry,
            self.desk.vault,
            self.outside,
            lambda: self.now_ms,
            roll=lambda: self.roll,
        )
        self.watch = Watch(self.settings, self.db, self.registry, self, lambda: self.now_ms)  # type: ignore[arg-type]
        self.db.on_commit = self.deliver.wake

    def settle(self, tx: Tx, group_id: int, now_ms: int) -> None:
        """What ingest does when a group's wait for its environment is over, as far as the watch is concerned."""
        group = groups.load(tx, group_id)
        assert group is not None
        group.settle_ms = None
        groups.store(tx, group)
        telling.tell(tx, self.snapshot, group, Change(opened=True), self._matches(group), None, now_ms, self.settings)

    def __enter__(self) -> Office:
        return self

    def __exit__(self, *_: object) -> None:
        self._cancel()
        self.db.stop()
        self.loop.close()

    def _cancel(self) -> None:
        async def end() -> None:
            tasks = asyncio.all_tasks() - {asyncio.current_task()}
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        self.loop.run_until_complete(end())

    def killed(self) -> Office:
        """Ends as kill -9 would and starts again on the same data."""
        self.db.abandon()
        self._cancel()
        self.outside.hangs = False
        self._open()
        return self

    @property
    def snapshot(self) -> Any:
        return self.registry.snapshot

    # -- configuring ------------------------------------------------------------------------------------------------

    def channel(self, name: str = "oncall", kind: str = "slack", **config: Any) -> int:
        """A channel; for Slack its ID there is C0 and its name in capitals. Its id here."""
        if kind == "slack":
            config = {
                "channel": f"C0{name.upper()}",
                "bot_token": "xoxb-1-canary",
                "signing_secret": "s" * 32,
                **config,
            }
        elif kind == "webhook":
            config = {"url": f"https://{name}.example.com/hook", **config}
        self.desk.now_ms = self.now_ms
        return int(self.desk.channel(name, kind, **config)[0].id)

    def rule(self, *names: str, name: str = "all", **fields: Any) -> None:
        self.desk.now_ms = self.now_ms
        self.desk.rule(name, channels=list(names or ("oncall",)), **fields)

    def workspace(self, default: tuple[int, ...] = (), fallback: int | None = None) -> None:
        def work(tx: Tx) -> None:
            workspaces.set_channels(tx, 1, default, fallback)
            snapshot = self.registry.build(tx)
            tx.then(lambda: self.registry.swap(snapshot))

        self.db.call(work)

    def touch(self, channel_id: int, **fields: Any) -> None:
        """A person changes a channel's row."""

        def work(tx: Tx) -> None:
            row = channel_rows.get(tx, 1, channel_id)
            for key, value in fields.items():
                setattr(row, key, value)
            channel_rows.store(tx, row)
            snapshot = self.registry.build(tx)
            tx.then(lambda: self.registry.swap(snapshot))

        self.db.call(work)

    # -- alerts -----------------------------------------------------------------------------------------------------

    def opens(self, title: str = "", severity: str = "high", **fields: Any) -> int:
        """A new alert group, told. Its id."""
        self.numbers += 1
        title = title or f"problem {self.numbers:03}"

        def work(tx: Tx) -> int:
            group = Group(
                id=tx.new_id(self.now_ms), workspace_id=1, integration_id=1, scope="sentry", identity=self.numbers,
                group_key=f"key {self.numbers} {title}", source="sentry", project="shop", environment="prod",
                fingerprint=title, title=title, message="", link=None, tags={}, severity=BY_NAME[severity],
                status="open", count=1, episode=1, first_seen_ms=self.now_ms, last_seen_ms=self.now_ms,
                retold_ms=self.now_ms, **fields,
            )  # fmt: skip
            groups.insert(tx, group)
            if group.settle_ms is None:
                self._tell(tx, group, Change(opened=True))
            return group.id

        return self.db.call(work)

    def _matches(self, group: Group) -> list[routing.CompiledRule]:
        facts = routing.Facts(
            environment=group.environment, severity=group.severity, project=group.project, source=group.source,
            title=group.title, message=group.message, status=group.status, count=group.count,
            users_affected=group.users_affected, tags=group.tags,
        )  # fmt: skip
        return routing.route_facts(self.snapshot.workspaces[1].rules, facts)

    def _tell(self, tx: Tx, group: Group, change: Change) -> None:
        telling.tell(tx, self.snapshot, group, change, self._matches(group), None, self.now_ms, self.settings)

    def again(self, group_id: int, *, severity: str | None = None, told_again: str = "", episode: bool = False) -> None:
        """One more event of a group, which may make it worse or start a new episode."""

        def work(tx: Tx) -> None:
            group = groups.load(tx, group_id)
            assert group is not None
            group.count += 1
            group.last_seen_ms = self.now_ms
            if severity is not None:
                group.severity = BY_NAME[severity]
            quiet = group.status in ("acknowledged", "snoozed") and not told_again
            if told_again and group.status != "open":
                group.status = "open"
            if episode:
                group.episode += 1
            groups.store(tx, group)
            self._tell(tx, group, Change(told_again=told_again, restart_escalation=episode, quiet=quiet))

        self.db.call(work)

    def acts(self, group_id: int, verb: str, *, minutes: int = 60) -> None:
        """A person acts."""

        def work(tx: Tx) -> None:
            group = groups.load(tx, group_id)
            assert group is not None
            if verb == "ack":
                grouping.acknowledge(group, KIM, self.now_ms)
            elif verb == "snooze":
                grouping.snooze(group, self.now_ms + minutes * 60_000, self.now_ms)
            elif verb == "unsnooze":
                grouping.unsnooze(group, self.now_ms)
            else:
                grouping.resolve(group, KIM.name, self.now_ms)
            groups.store(tx, group)
            if verb == "resolve":
                telling.tell_resolved(tx, self.snapshot, group, self.now_ms, self.settings)
                return
            if verb == "unsnooze":
                escalations.restart(tx, group.id, group.episode, self.now_ms)
            telling.tell_changed(tx, group, self.now_ms, self.settings)

        self.db.call(work)

    # -- time -------------------------------------------------------------------------------------------------------

    def _run(self, work: Any, timeout_s: float = 30) -> Any:
        return self.loop.run_until_complete(asyncio.wait_for(work, timeout_s))

    def step(self) -> int:
        return int(self._run(self.deliver.step(self.now_ms)))

    def rest(self) -> Office:
        """Everything that is due at this instant is done."""
        for _ in range(5_000):
            self._run(self.watch.tick(self.now_ms))
            if self.step() == 0 and self.deliver.idle:
                due = self._due()
                if due is None or due > self.now_ms:
                    return self
        raise AssertionError("the office does not come to rest")

    def _due(self) -> int | None:
        with self.db.reading() as reader:
            found = (self.watch.next_due_ms(reader), self.deliver.next_due_ms(reader))
        return min((at_ms for at_ms in found if at_ms is not None), default=None)

    def after(self, *, seconds: float = 0, minutes: float = 0, hours: float = 0, days: float = 0) -> Office:
        """The clock moves on, through every instant at which something is due."""
        until = self.now_ms + round(1000 * (seconds + 60 * minutes + 3600 * hours + 86400 * days))
        self.rest()
        while True:
            due = self._due()
            if due is None or due > until:
                break
            self.now_ms = max(due, self.now_ms + 1)
            self.rest()
        self.now_ms = max(until, self.now_ms)
        return self.rest()

    def boot(self) -> None:
        self._run(self.watch.boot(self.now_ms))

    def later(self, work: Any) -> Any:
        return self._run(work)

    # -- looking ----------------------------------------------------------------------------------------------------

    def look(self, work: Callable[[Reader], T]) -> T:
        with self.db.reading() as reader:
            return work(reader)

    def owed(self, *states: str) -> list[Owed]:
        """The deliveries, oldest first: those in these states, all where none are named."""
        rows = self.look(lambda reader: outbox.listed(reader, 1, limit=100_000))
        return [row for row in reversed(rows) if not states or row.state in states]

    def ledger(self, *states: str) -> list[tuple[str, str]]:
        """(kind, state) of the deliveries, oldest first."""
        return [(row.kind, row.state) for row in self.owed(*states)]

    def group(self, group_id: int) -> Group:
        found = self.look(lambda reader: groups.load(reader, group_id))
        assert found is not None
        return found

    def conversation(self, group_id: int, channel_id: int) -> conversations.Conversation | None:
        return self.look(lambda reader: conversations.get(reader, group_id, channel_id))

    def chains(self, group_id: int) -> list[Escalation]:
        return self.look(lambda reader: escalations.of_group(reader, group_id))

    def verbs(self, group_id: int | None = None) -> list[str]:
        entries = self.look(lambda reader: journal.since(reader, 1, 0, 100_000))
        return [e.verb for e in entries if group_id is None or e.group_id == group_id]

    def entry(self, verb: str) -> dict[str, Any]:
        """The data of the last journal line of a verb."""
        entries = self.look(lambda reader: journal.since(reader, 1, 0, 100_000))
        return [e.data for e in entries if e.verb == verb][-1]

    def status(self) -> Status:
        return self.look(self.deliver.status)


def shown(number: int) -> str:
    return ids.show(number)
