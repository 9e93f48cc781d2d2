"""Where messages are owed and delivered in tests: a real database, a clock that the test moves, and an outside that
does what the test says. Only those two are not real.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from signalcraft.config import Settings
from signalcraft.config.model import Delivery, Grouping, Http
from signalcraft.domain import ids, routing
from signalcraft.domain.group import Actor, Change, Group
from signalcraft.domain.severity import BY_NAME
from signalcraft.services import telling
from signalcraft.services.deliver import Deliver, Status
from signalcraft.services.respond import Respond
from signalcraft.services.watch import Watch
from signalcraft.storage import channels as channel_rows
from signalcraft.storage import conversations, escalations, groups, journal, outbox, workspaces
from signalcraft.storage.db import Reader, Tx
from signalcraft.storage.escalations import Escalation
from signalcraft.storage.outbox import Delivery as Owed
from tests.services.desk import KEY, START_MS, Desk
from tests.services.outside import Call, Outside, lost, too_many

T = TypeVar("T")
KIM = Actor("slack", "U0KIM", "Kim")
__all__ = ["KEY", "KIM", "START_MS", "Call", "Office", "Outside", "lost", "too_many"]


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
        self.respond = Respond(self.settings, self.db, self.registry, lambda: self.now_ms)
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
            workspaces.set_channels(tx, 1, default, fallback, chosen=bool(default))
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
        does = {
            "ack": lambda: self.respond.ack(1, group_id, KIM),
            "snooze": lambda: self.respond.snooze(1, group_id, KIM, self.now_ms + minutes * 60_000),
            "unsnooze": lambda: self.respond.unsnooze(1, group_id, KIM),
            "resolve": lambda: self.respond.resolve(1, group_id, KIM),
            "reopen": lambda: self.respond.reopen(1, group_id, KIM),
        }
        self.later(does[verb]())

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

    def leads_told(self) -> list[int]:
        """When the leads were told, in minutes since the start of the test."""
        told = self.outside.taken(None, "C0LEADS")
        return [(c.at_ms - START_MS) // 60_000 for c in told if c.what != "edit"]

    def status(self) -> Status:
        return self.look(self.deliver.status)


def shown(number: int) -> str:
    return ids.show(number)
