"""One workspace's old rows: into a file, read back, deleted a few at a time; the file then holds what was deleted.

The order that no interruption breaks: a file is written and vouched for as pending; its rows are deleted where they may
go still; what lives on is taken out of the file again; then it counts. A run that finds a pending file ends it first.

Files and their list are written on threads: the disk that they wait for must not hold up the loop, which answers
senders.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from itertools import groupby
from typing import Final

from msgspec import structs

from signalcraft.errors import Damaged
from signalcraft.services.care.pace import Pace
from signalcraft.storage import audit
from signalcraft.storage import retention as store
from signalcraft.storage.archive.asking import TABLES, Answer, Ask, Keys, Rewrite, Write
from signalcraft.storage.archive.child import Hand
from signalcraft.storage.archive.manifest import Entry, Shelf
from signalcraft.storage.db import Db, Tx
from signalcraft.storage.retention import OldGroup

GROUPS_MAX: Final = 1_000
"""Groups whose small rows share a file."""
ROWS_MAX: Final = 20_000
SMALL_BYTES: Final = 64 << 20
FILES_MAX: Final = 8
"""Above so many small files of one month they become one."""


class Purging:
    """The work of one run in one workspace. `hand` is None where nothing is archived."""

    def __init__(self, db: Db, shelf: Shelf, hand: Hand | None, pace: Pace, workspace_id: int, now_ms: int) -> None:
        self._db = db
        self._shelf = shelf
        self._hand = hand
        self._pace = pace
        self._workspace_id = workspace_id
        self._now_ms = now_ms
        self.deleted: Counter[str] = Counter()
        self.archived: Counter[str] = Counter()

    async def _ask(self, ask: Ask) -> Answer:
        if self._hand is None:
            raise RuntimeError("nothing is archived here")
        return await asyncio.to_thread(self._hand.ask, ask)

    async def _next(self, table: str, month: str) -> str:
        return await asyncio.to_thread(self._shelf.next, table, month)

    # -- files --------------------------------------------------------------------------------------------------------

    async def settle(self) -> None:
        """Ends what an earlier run left pending, and deletes what it left half-written. Raises DiskFull, Fault."""
        await asyncio.to_thread(self._shelf.sweep)
        for entry in (await asyncio.to_thread(self._shelf.read)).files:
            if entry.state == "pending":
                keys = (await self._ask(Keys(table=entry.table, source=entry))).keys
                await self._settled(entry, keys)

    async def _settled(self, entry: Entry, keys: list[int]) -> int:
        """What lives on leaves the file, which counts from now on; how many rows it holds then."""
        table = TABLES[entry.table]
        alone = self._workspace_id if entry.table == "audit" else None
        alive = await self._db.read(lambda tx: store.living(tx, entry.table, table.key, keys, alone))
        if not alive:
            await asyncio.to_thread(self._shelf.add, structs.replace(entry, state="done"))
            return entry.rows
        path = await self._next(entry.table, entry.month)
        ask = Rewrite(table=entry.table, month=entry.month, sources=[entry], path=path, without=alive)
        written = (await self._ask(ask)).entry
        instead = (structs.replace(written, state="done"),) if written else ()
        await asyncio.to_thread(self._shelf.drop, entry.path, instead=instead)
        return written.rows if written else 0

    async def _written(self, ask: Write) -> tuple[Entry | None, list[int]]:
        answer = await self._ask(ask)
        if answer.entry is not None:
            await asyncio.to_thread(self._shelf.add, answer.entry)
        return answer.entry, answer.keys

    async def tidy(self) -> None:
        """Many small files of one month become one. Raises DiskFull, Fault."""
        every = (await asyncio.to_thread(self._shelf.read)).files
        small = [one for one in every if one.bytes <= SMALL_BYTES and one.state == "done"]
        small.sort(key=lambda one: (one.table, one.month, one.first_id))
        for (table, month), found in groupby(small, key=lambda one: (one.table, one.month)):
            files = list(found)
            if len(files) <= FILES_MAX:
                continue
            ask = Rewrite(table=table, month=month, sources=files, path=await self._next(table, month))
            whole = (await self._ask(ask)).entry
            if whole is None or whole.rows != sum(one.rows for one in files):
                raise Damaged(f"the files of {month} in {table} could not be put together")
            instead = (structs.replace(whole, state="done"),)
            await asyncio.to_thread(self._shelf.drop, *(one.path for one in files), instead=instead)

    # -- rows with an age of their own --------------------------------------------------------------------------------

    async def rows(self, what: str, before_ms: int) -> None:
        """Rows of `what` from before then. Raises DiskFull, Fault."""
        after = 0
        while True:
            found = await self._db.read(
                lambda tx, after=after: store.old_rows(  # type: ignore[misc]
                    tx, what, self._workspace_id, before_ms, self._now_ms, after, ROWS_MAX
                )
            )
            if not found:
                return
            after = found[-1][0]
            months: dict[str, list[int]] = {}
            for key, at_ms in found:
                months.setdefault(store.month_of(at_ms), []).append(key)
            for month, keys in months.items():
                await self._gone(store.table_of(what), month, keys)

    async def _gone(self, table: str, month: str, keys: list[int]) -> None:
        """These rows are archived and deleted, as many at a time as fit into a file."""
        while keys:
            entry, some = None, keys
            if self._hand is not None:
                path = await self._next(table, month)
                entry, some = await self._written(
                    Write(table=table, workspace_id=self._workspace_id, month=month, path=path, keys=keys)
                )
                if entry is None:
                    return  # somebody else deleted them meanwhile
            self.deleted[table] += await self._pace.over(some, lambda tx, part: store.delete(tx, table, part))
            if entry is not None:
                self.archived[table] += await self._settled(entry, some)
            handled = set(some)
            keys = [key for key in keys if key not in handled]

    # -- alert groups -------------------------------------------------------------------------------------------------

    async def groups(self, before_ms: int) -> None:
        """Resolved groups with everything that hangs on them. Raises DiskFull, Fault."""
        after = (0, 0)
        while True:
            found = await self._db.read(
                lambda tx, after=after: store.groups(  # type: ignore[misc]
                    tx, self._workspace_id, before_ms, self._now_ms, after, GROUPS_MAX
                )
            )
            if not found:
                return
            month = store.month_of(found[0].resolved_ms)
            found = [one for one in found if store.month_of(one.resolved_ms) == month]
            after = (found[-1].resolved_ms, found[-1].id)
            numbers = [one.id for one in found]
            for table in store.OF_GROUP:
                await self._children(table, month, numbers)
            await self._themselves(month, found)

    async def _children(self, table: str, month: str, numbers: list[int]) -> None:
        last: list[int] = []
        while True:
            keys = await self._db.read(lambda tx: store.ids_of(tx, table, numbers, ROWS_MAX))
            if not keys or keys == last:  # the same again: they have to stay
                return
            last = keys
            await self._gone(table, month, keys)

    async def _themselves(self, month: str, found: list[OldGroup]) -> None:
        files: list[tuple[Entry, list[int]]] = []
        for table in store.WITH_GROUP if self._hand is not None else ():
            path = await self._next(table, month)
            ask = Write(
                table=table, workspace_id=self._workspace_id, month=month, path=path, groups=[one.id for one in found],
                rows_max=2**31, bytes_max=2**40,
            )  # fmt: skip
            entry, keys = await self._written(ask)
            if entry is not None:
                files.append((entry, keys))
        at = 0
        while at < len(found):
            some = found[at : at + max(1, self._pace.size // 4)]
            at += len(some)
            gone = await self._pace.step(lambda tx, some=some: store.delete_groups(tx, some))  # type: ignore[misc]
            self.deleted.update(gone)
        for entry, keys in files:
            self.archived[entry.table] += await self._settled(entry, keys)

    # -- the audit log ------------------------------------------------------------------------------------------------

    async def audit(self, before_ms: int) -> int:
        """The oldest rows of the audit chain; how many went. Raises DiskFull, Fault."""
        gone = 0
        while True:
            found = await self._db.read(lambda tx: store.old_audit(tx, self._workspace_id, before_ms, ROWS_MAX))
            if not found:
                return gone
            month = store.month_of(found[0][1])
            keys: list[int] = []
            for key, at_ms in found:  # only a stretch from the beginning can go
                if store.month_of(at_ms) != month:
                    break
                keys.append(key)
            gone += await self._audited(month, keys, before_ms)

    async def _audited(self, month: str, keys: list[int], before_ms: int) -> int:
        entry = None
        if self._hand is not None:
            path = await self._next("audit", month)
            entry, keys = await self._written(
                Write(table="audit", workspace_id=self._workspace_id, month=month, path=path, keys=keys)
            )

        def work(tx: Tx, some: list[int]) -> int:
            return audit.purge(tx, self._workspace_id, before_ms, len(some))

        gone = await self._pace.over(keys, work)
        self.deleted["audit"] += gone
        if entry is not None:
            self.archived["audit"] += await self._settled(entry, keys)
        return gone
