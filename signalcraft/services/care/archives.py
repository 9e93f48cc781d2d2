"""The archive, looked into: what there is, a search through it, a month put back, a person taken out of it."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from typing import Any, Final

from msgspec import Struct, structs

from signalcraft.domain.group import Actor
from signalcraft.domain.subject import Subject
from signalcraft.errors import Conflict, Damaged, Invalid, NotFound
from signalcraft.services.care.pace import Pace
from signalcraft.services.care.retention import DAY_MS, Retention
from signalcraft.services.errands import Errands
from signalcraft.storage import journal, workspaces
from signalcraft.storage import retention as store
from signalcraft.storage.archive.asking import TABLES, Answer, Ask, Check, Erase, Keys, Rows, Search
from signalcraft.storage.archive.child import Hand
from signalcraft.storage.archive.manifest import Entry
from signalcraft.storage.db import Db, Tx

log = logging.getLogger(__name__)

SEARCH_S: Final = 20.0
SEARCH_MAX: Final = 500
PAGE: Final = 1_000
_BLOBS: Final = frozenset({"body"})
_BACK: Final = (*store.OF_GROUP, "comment", "conversation", "share", "inbox", "alert_group")
"""What is put back, in this order: a group is there once everything of it is. The audit log stays in the archive."""
_FOUND: Final = {
    "alert_group": (
        "id", "first_seen_ms", "last_seen_ms", "resolved_ms", "source", "project", "environment", "severity", "title",
        "message", "count", "resolved_by",
    ),
    "event": (
        "id", "group_id", "received_ms", "source", "project", "environment", "severity", "status", "title", "message",
        "link",
    ),
    "audit": ("seq", "at_ms", "verb", "who", "what"),
}  # fmt: skip
"""What may be searched, and what is told of each."""
_WITHIN: Final = {"alert_group": ("title", "message"), "event": ("title", "message", "tags"), "audit": ("who", "what")}
_ORDER: Final = {"alert_group": "last_seen_ms", "event": "received_ms", "audit": "at_ms"}


class Month(Struct, frozen=True, kw_only=True):
    """One month of the archive. `rows`: by table. `complete`: no run is at work on it."""

    month: str
    rows: dict[str, int]
    files: int
    bytes: int
    complete: bool


class Wanted(Struct, frozen=True, kw_only=True):
    """What to look for. `what`: alert_group, event or audit. Times in ms; `text`: in titles and messages, any case."""

    what: str = "alert_group"
    text: str = ""
    project: str = ""
    from_ms: int | None = None
    until_ms: int | None = None
    limit: int = 100


class Restored(Struct, frozen=True, kw_only=True):
    """What was put back, by table, and until when no night takes it away again."""

    month: str
    rows: dict[str, int]
    until_ms: int


class Archives:
    """One instance, on the event loop."""

    def __init__(self, retention: Retention, db: Db, now: Callable[[], int]) -> None:
        self._retention = retention
        self._db = db
        self._now = now
        self._restores: Errands[Restored] = Errands(now)
        self._searches = asyncio.Semaphore(1)

    # -- looking ------------------------------------------------------------------------------------------------------

    async def months(self, workspace_id: int) -> list[Month]:
        """What there is, the newest month first. Raises Damaged."""
        found: dict[str, list[Entry]] = {}
        for one in (await asyncio.to_thread(self._retention.shelf(workspace_id).read)).files:
            found.setdefault(one.month, []).append(one)
        return [
            Month(
                month=month,
                rows=dict(sorted(_rows(files).items())),
                files=len(files),
                bytes=sum(one.bytes for one in files),
                complete=all(one.state == "done" for one in files),
            )
            for month, files in sorted(found.items(), reverse=True)
        ]

    async def search(self, workspace_id: int, wanted: Wanted) -> list[dict[str, Any]]:
        """Rows that fit, the newest first. Raises Invalid, Damaged, and Fault after 20 s."""
        if wanted.what not in _FOUND:
            raise Invalid(f"what is one of {', '.join(_FOUND)}", path="what")
        files = [
            one
            for one in (await asyncio.to_thread(self._retention.shelf(workspace_id).read)).files
            if one.table == wanted.what
            and one.state == "done"
            and (wanted.from_ms is None or one.until_ms >= wanted.from_ms)
            and (wanted.until_ms is None or one.from_ms < wanted.until_ms)
        ]
        if not files:
            return []
        ask = Search(
            table=wanted.what, sources=files, columns=list(_FOUND[wanted.what]), order=_ORDER[wanted.what],
            within=list(_WITHIN[wanted.what]), text=wanted.text, from_ms=wanted.from_ms, until_ms=wanted.until_ms,
            equal={"project": wanted.project} if wanted.project and wanted.what != "audit" else {},
            most=min(wanted.limit, SEARCH_MAX),
        )  # fmt: skip
        async with self._searches:
            answer = await asyncio.to_thread(self._alone, workspace_id, ask)
        return [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]

    def _alone(self, workspace_id: int, ask: Ask) -> Answer:
        with self._retention.hand(workspace_id) as hand:
            return hand.ask(ask, SEARCH_S)

    async def verify(self, workspace_id: int) -> int:
        """Whether every file is as it was written; how many there are. Raises Damaged for the first that is not."""
        files = self._retention.shelf(workspace_id).read().files
        with self._retention.hand(workspace_id) as hand:
            for one in files:
                await asyncio.to_thread(hand.ask, Check(source=one))
        return len(files)

    # -- putting back -------------------------------------------------------------------------------------------------

    async def restore_for(self, seconds: float, workspace_id: int, actor: Actor, month: str) -> Restored | None:
        """`restore`, waiting no longer than that; None while it goes on, and the same call again waits for it too."""
        return await self._restores.within(
            seconds, (workspace_id, month), lambda: self.restore(workspace_id, actor, month)
        )

    async def restore(self, workspace_id: int, actor: Actor, month: str) -> Restored:
        """A month is put back into the database, and leaves the archive once it is there whole.

        No night takes it away again for `retention.restored_days`. The audit log of that month stays where it is: its
        chain begins later. Raises NotFound, Conflict while a run is at work, Damaged, DiskFull.
        """
        if self._retention.one.locked():
            raise Conflict("the clean-up or another restore is at work: try again when it has ended")
        async with self._retention.one:
            shelf = self._retention.shelf(workspace_id)
            every = (await asyncio.to_thread(shelf.read)).files
            files = [one for one in every if one.month == month and one.table in _BACK]
            if not files:
                raise NotFound(f"nothing of {month[:20]} is in the archive")
            if any(one.state != "done" for one in files):
                raise Conflict(f"{month} is not complete yet: the next run of the clean-up ends it")
            until_ms = self._now() + self._retention.settings.retention.restored_days * DAY_MS
            rows: Counter[str] = Counter()
            pace = Pace(self._db)
            with self._retention.hand(workspace_id) as hand:
                for table in _BACK:
                    for one in files:
                        if one.table == table:
                            rows[table] += await self._back(hand, pace, one, until_ms)
            await asyncio.to_thread(shelf.drop, *(one.path for one in files))
            said = {"month": month, "rows": dict(rows)}
            now_ms = self._now()
            await self._db.write(
                lambda tx: journal.add(tx, now_ms, workspace_id, None, "retention.restored", actor, said)
            )
            log.info("a month was put back from the archive", extra={"month": month, "rows": rows.total()})
            return Restored(month=month, rows=dict(rows), until_ms=until_ms)

    async def _back(self, hand: Hand, pace: Pace, entry: Entry, until_ms: int) -> int:
        done = 0
        while done < entry.rows:
            answer = await asyncio.to_thread(hand.ask, Rows(table=entry.table, source=entry, skip=done, most=PAGE))
            if not answer.rows:
                raise Damaged(f"{entry.path} has fewer rows than the manifest says")
            at = 0
            while at < len(answer.rows):
                some = answer.rows[at : at + pace.size]
                at += len(some)

                def work(tx: Tx, columns: list[str] = answer.columns, some: list[list[Any]] = some) -> int:
                    return store.put_back(tx, entry.table, columns, some, until_ms, _BLOBS)

                await pace.step(work)
            done += len(answer.rows)
        keys = (await asyncio.to_thread(hand.ask, Keys(table=entry.table, source=entry))).keys
        alive = await self._db.read(lambda tx: store.living(tx, entry.table, TABLES[entry.table].key, keys, None))
        if set(alive) != set(keys):
            raise Damaged(f"{entry.path} could not be put back whole: it stays in the archive")
        return done

    @property
    def still(self) -> asyncio.Lock:
        """Held while nothing may enter or leave the archive."""
        return self._retention.one

    # -- people -------------------------------------------------------------------------------------------------------

    async def erase(self, subject: Subject, only: int | None) -> int:
        """What tells of a person is taken out of every file; how many rows were rewritten. Raises Damaged, DiskFull.

        Called by whoever holds `retention.one`.
        """
        changed = 0
        for workspace in await self._db.read(workspaces.every):
            shelf = self._retention.shelf(workspace.id)
            files = (await asyncio.to_thread(shelf.read)).files
            if not files or only not in (None, workspace.id):
                continue
            with self._retention.hand(workspace.id) as hand:
                for one in files:
                    ask = self._about(subject, one, await asyncio.to_thread(shelf.next, one.table, one.month))
                    answer = await asyncio.to_thread(hand.ask, ask)
                    if answer.entry is not None:
                        await asyncio.to_thread(
                            shelf.drop, one.path, instead=(structs.replace(answer.entry, state=one.state),)
                        )
                        changed += answer.changed
        return changed

    async def told(self, subject: Subject, only: int | None) -> list[dict[str, Any]]:
        """The rows of the archive that tell of a person, as they stand there. Raises Damaged."""
        found: list[dict[str, Any]] = []
        for workspace in await self._db.read(workspaces.every):
            files = (await asyncio.to_thread(self._retention.shelf(workspace.id).read)).files
            if not files or only not in (None, workspace.id):
                continue
            with self._retention.hand(workspace.id) as hand:
                for one in files:
                    answer = await asyncio.to_thread(hand.ask, self._about(subject, one, ""))
                    found += [
                        {"table": one.table, **dict(zip(answer.columns, row, strict=True))} for row in answer.rows
                    ]
        return found

    def _about(self, subject: Subject, entry: Entry, path: str) -> Erase:
        return Erase(
            table=entry.table, month=entry.month, source=entry, path=path, ids=sorted(subject.ids),
            marks=list(subject.marks), names=sorted(subject.names), code=subject.code, audit_key=self._db.audit_key,
        )  # fmt: skip


def _rows(files: list[Entry]) -> Counter[str]:
    rows: Counter[str] = Counter()
    for one in files:
        rows[one.table] += one.rows
    return rows
