"""A database with rows of any age, and the nightly clean-up over it, without a whole SignalCraft around."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar

from signalcraft.config import Settings
from signalcraft.config.model import Audit as AuditSection
from signalcraft.config.retention import Retention as Section
from signalcraft.domain import ids
from signalcraft.domain.group import SYSTEM
from signalcraft.services.audit import Audit
from signalcraft.services.care.retention import Retention
from signalcraft.services.care.runs import Running
from signalcraft.storage import audit, workspaces
from signalcraft.storage.archive.asking import Answer, Ask
from signalcraft.storage.archive.child import judged
from signalcraft.storage.archive.worker import Worker
from tests.storage.fresh import fresh

NOW_MS = 1_772_442_000_000  # 2026-03-02T09:00:00Z
DAY_MS = 86_400_000
TABLES = ("event", "journal", "comment", "conversation", "share", "delivery", "escalation", "alert_group", "inbox")


class Inline:
    """The archive's work done in this process, by one DuckDB for all tests: quicker, and otherwise the same."""

    duck: ClassVar[Any] = None

    def __init__(self, database: Path, root: Path) -> None:
        self.worker = Worker(database, root)

    def __enter__(self) -> Inline:
        self.worker._opened, Inline.duck = Inline.duck, None
        return self

    def __exit__(self, kind: type[BaseException] | None, it: BaseException | None, at: TracebackType | None) -> None:
        Inline.duck = self.worker._opened
        if self.worker._reader is not None:
            self.worker._reader.close()
            self.worker._reader = None

    def ask(self, ask: Ask, patience_s: float = 0) -> Answer:
        from signalcraft.storage.archive.worker import _answered

        return judged(_answered(self.worker, ask))


class Said:
    """Instead of the alarms: what was said last of each condition."""

    def __init__(self) -> None:
        self.wrong: dict[str, str | None] = {}

    async def say(self, name: str, wrong: str | None) -> None:
        self.wrong[name] = wrong


class Aged:
    """Rows go in by SQL, as old as a test wants them."""

    def __init__(self, folder: Path, hand: Any = Inline, **settings: Any) -> None:
        self.folder = folder
        self.now_ms = NOW_MS
        self.db = fresh(folder / "signalcraft.db")
        with self.db.direct() as tx:
            workspaces.ensure_default(tx, self.now_ms)
            tx.run("insert or ignore into workspace (id, name, created_ms) values (2, 'second', 0)")
        self.db.start()
        keep = settings.pop("audit_days", 365)
        self.settings = Settings(retention=Section(**settings), audit=AuditSection(keep_days=keep))
        self.alarms = Said()
        self.retention = Retention(
            self.settings, self.db, folder, Audit(self.settings, self.db, lambda: self.now_ms),
            self.alarms, lambda: self.now_ms, hand,  # type: ignore[arg-type]
        )  # fmt: skip
        self._last = 0

    def __enter__(self) -> Aged:
        return self

    def __exit__(self, *_: object) -> None:
        self.db.stop()

    def night(self) -> Running:
        """One run; raises what it raises."""
        running = Running(1)
        asyncio.run(self.retention.night(running))
        return running

    def id(self, at_ms: int) -> int:
        """A new id of that time."""
        self._last = max(self._last + 1, ids.floor(at_ms))
        return ids.floor(at_ms) + (self._last & 0xFFFFF) if self._last > ids.floor(at_ms) else self._last

    def put(self, table: str, **values: Any) -> int:
        """One row; its id."""
        names = ", ".join(values)
        marks = ", ".join("?" * len(values))
        self.db.call(lambda tx: tx.run(f"insert into {table} ({names}) values ({marks})", tuple(values.values())))
        return int(values.get("id", 0))

    def group(self, days: float, *, events: int = 2, status: str = "resolved", ws: int = 1, **more: Any) -> int:
        """A group that was resolved (seen last) so many days ago, with events, payloads and what else hangs on it."""
        at_ms = self.now_ms - round(days * DAY_MS)
        number = self.id(at_ms - DAY_MS)
        title = more.pop("title", f"group {number}")
        self.put(
            "alert_group", id=number, workspace_id=ws, integration_id=5, scope="1", identity=number,
            group_key=f"k{number}", source="generic", fingerprint="f", title=title, message='it said "no"\n\x00ü',
            tags="{}", severity=3, status=status, count=events, episode=1, first_seen_ms=at_ms - DAY_MS,
            last_seen_ms=at_ms, retold_ms=at_ms, resolved_ms=at_ms if status == "resolved" else None,
            updated_ms=at_ms, **more,
        )  # fmt: skip
        for n in range(events):
            self.event(at_ms - DAY_MS + n, number, ws)
        self.put("journal", id=self.id(at_ms), workspace_id=ws, at_ms=at_ms, group_id=number, verb="resolved",
                 actor='{"kind":"user","id":"u1","name":"Sam Quill"}', data="{}")  # fmt: skip
        self.put(
            "comment", id=self.id(at_ms), workspace_id=ws, group_id=number, author="{}", text="seen", created_ms=at_ms
        )
        self.put("conversation", group_id=number, channel_id=7, episode=1, severity=3)
        self.put(
            "share", id=self.id(at_ms), workspace_id=ws, group_id=number, author="{}", created_ms=at_ms, expires_ms=0
        )
        self.put("group_minute", group_id=number, minute=at_ms // 60_000, events=events)
        return number

    def event(self, at_ms: int, group: int | None, ws: int = 1, *, payload: bool = True) -> int:
        """One event with its webhook."""
        inbox = self.payload(at_ms, ws) if payload else None
        number = self.id(at_ms)
        return self.put(
            "event", id=number, workspace_id=ws, integration_id=5, group_id=group, inbox_id=inbox, source="generic",
            kind="alert" if group else "handshake", status="firing", severity=3, project="shop", title="broken",
            message="m" * 50, tags="{}", received_ms=at_ms,
        )  # fmt: skip

    def payload(self, at_ms: int, ws: int = 1, state: str = "read") -> int:
        return self.put("inbox", id=self.id(at_ms), workspace_id=ws, integration_id=5, received_ms=at_ms, state=state,
                        headers="{}", codec=0, body=b"\x00\xffbytes" * 5)  # fmt: skip

    def delivery(self, days: float, group: int | None = None, state: str = "sent", ws: int = 1) -> int:
        at_ms = self.now_ms - round(days * DAY_MS)
        return self.put(
            "delivery", id=self.id(at_ms - 1000), workspace_id=ws, group_id=group, channel_id=7, kind="first",
            state=state, rank=1, owed_ms=at_ms - 1000, next_ms=at_ms, sent_ms=at_ms,
        )  # fmt: skip

    def escalation(self, days: float, group: int, state: str = "fired", ws: int = 1) -> int:
        at_ms = self.now_ms - round(days * DAY_MS)
        return self.put(
            "escalation", id=self.id(at_ms - 1000), workspace_id=ws, group_id=group, rule_id=self._last, episode=1,
            due_ms=at_ms, channels="[]", after_minutes=5, state=state, ended_ms=at_ms,
        )  # fmt: skip

    def audit(self, days: float, ws: int = 1) -> None:
        at_ms = self.now_ms - round(days * DAY_MS)
        self.db.call(lambda tx: audit.add(tx, at_ms, ws, "asked", SYSTEM, {"route": "GET /"}))

    def count(self, table: str, where: str = "true") -> int:
        with self.db.reading() as tx:
            return int(tx.value(f"select count(*) from {table} where {where}"))

    def of_groups(self, table: str) -> int:
        """How many rows there are, the clean-up's own line in the journal left out."""
        return self.count(table, "group_id is not null" if table == "journal" else "true")

    def there(self, table: str, number: int) -> bool:
        return self.count(table, f"id = {number}") == 1

    def all(self, table: str, order: str = "id") -> list[tuple[Any, ...]]:
        with self.db.reading() as tx:
            return tx.all(f"select * from {table} order by {order}")

    def archived(self, table: str, ws: int = 1) -> int:
        """Rows that the archive vouches for."""
        files = self.retention.shelf(ws).read().files
        assert all(one.state == "done" for one in files)
        return sum(one.rows for one in files if one.table == table)
