"""One writer, many read-only readers.

All writes go through one thread that owns one apsw connection and commits in groups: every work that waits is applied
inside one `BEGIN IMMEDIATE … COMMIT` with synchronous=FULL, and its future resolves only after the commit. Measured:
group commit makes the fsync free (docs/decisions/0004-group-commit.md).

No other SQLite library may ever touch these files in this process: closing any descriptor of theirs drops apsw's POSIX
locks (https://www.sqlite.org/howtocorrupt.html#_posix_advisory_locks_canceled_by_a_separate_thread_doing_close_).
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Generic, TypeVar

import apsw

from signalcraft.domain.ids import Mint
from signalcraft.domain.measuring import Histogram
from signalcraft.errors import Busy
from signalcraft.logs import spans
from signalcraft.storage.opening import connect as connect
from signalcraft.storage.origin import present
from signalcraft.storage.outcomes import name_of, settle
from signalcraft.storage.slow import SLOW_S, Slow
from signalcraft.storage.trouble import Trouble, told
from signalcraft.storage.tx import Args as Args
from signalcraft.storage.tx import Reader as Reader
from signalcraft.storage.tx import Row as Row
from signalcraft.storage.tx import Tx as Tx
from signalcraft.storage.wal import Wal

log = logging.getLogger(__name__)
T = TypeVar("T")

BATCH_MAX = 256
PATIENCE_S = 1.0
"""A work that gives way to others waits no longer than that."""


class _Item(Generic[T]):
    __slots__ = ("future", "loop", "origin", "work")

    def __init__(self, work: Callable[[Tx], T], future: Any, loop: asyncio.AbstractEventLoop | None) -> None:
        self.work = work
        self.future = future
        self.loop = loop
        self.origin = present.get()


class Db:
    """The database of one data directory: the writer thread and a small pool of readers.

    `on_commit` is called (on the writer thread) after each commit: a hint to whoever waits for owed work.
    """

    def __init__(self, path: Path, *, queue_max: int = 4096, readers: int = 4) -> None:
        self.path = path
        self.queue_max = queue_max
        self.on_commit: Callable[[], None] = lambda: None
        self.commits = 0
        self.works = 0
        self.turn = 0
        """Counts what was committed by the writer's thread: `changed_at` says at which one a table was written last."""
        self.changed_at: dict[str, int] = {}
        self.asked_at: dict[str, int] = {}
        """The same of works that somebody asked for: all but the `unasked` ones."""
        self.commit_took = Histogram()
        """On the writer's thread: from the begin of a transaction until it is on disk."""
        self.read_took = Histogram()
        """What one read took, its queries together; noted on the event loop."""
        self._connection = connect(path)
        self.wal = Wal(path, self._connection)
        self._mint = Mint()
        self._queue: deque[_Item[Any]] = deque()
        self._giving_way: deque[tuple[float, _Item[Any]]] = deque()
        """Works for moments in which nobody else writes, each with when it waits no longer."""
        self._wake = threading.Event()
        self._stopping = False
        self._abandoned = False
        self._thread: threading.Thread | None = None
        self._reader_count = readers
        self._readers: list[Reader] = []
        self._reader_lock = threading.Semaphore(readers)
        self._pool = concurrent.futures.ThreadPoolExecutor(readers, thread_name_prefix="reader")
        self.busy_since_s: float | None = None
        self.trouble = Trouble()
        self.audit_key = b""
        self.slow = Slow()

    # -- writing ------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Starts the writer thread. Before it, only `direct()` may be used."""
        self.grow_ids()
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)
        self._thread.start()

    def grow_ids(self) -> None:
        """Lets ids go on above the largest one stored, whatever the clock says now."""
        with self.direct() as tx:
            for (table,) in tx.all(
                "select name from sqlite_master where type = 'table' and sql like '%id integer primary key%'"
            ):
                self._mint.last = max(self._mint.last, tx.value(f'select max(id) from "{table}"') or 0)

    @contextmanager
    def direct(self) -> Iterator[Tx]:
        """One transaction on the calling thread, while no writer thread runs (migrations, commands alone)."""
        if self._thread is not None:
            raise RuntimeError("the writer thread runs")
        tx = Tx(self._connection, self._mint, self.audit_key)
        tx.run("begin immediate")
        tx.origin = present.get()
        try:
            yield tx
            tx.end()
        except BaseException:
            tx.run("rollback")
            raise
        tx.run("commit")
        for call in tx.after_commit:
            call()

    @property
    def queued(self) -> int:
        """How many works wait."""
        return len(self._queue) + len(self._giving_way)

    def submit(self, work: Callable[[Tx], T]) -> asyncio.Future[T]:
        """Queues a work from the event loop; resolves after its commit. Raises Busy when too many wait.

        A work may run twice (a batch that fails is repeated one by one), so it must change nothing but the database;
        everything else belongs into `tx.then(…)`.
        """
        if len(self._queue) >= self.queue_max or self._stopping:
            raise Busy("the writer has too much to do")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._queue.append(_Item(work, future, loop))
        if not self._wake.is_set():
            self._wake.set()
        return future

    def call(self, work: Callable[[Tx], T], timeout_s: float = 30.0) -> T:
        """The same from any other thread, waiting for the commit. Never refused for a full queue."""
        if self._thread is None:
            with self.direct() as tx:
                return work(tx)
        future: concurrent.futures.Future[T] = concurrent.futures.Future()
        self._queue.append(_Item(work, future, None))
        self._wake.set()
        return future.result(timeout_s)

    async def write(self, work: Callable[[Tx], T]) -> T:
        """`submit` for callers on the loop that must not be refused for a full queue (deliveries, people)."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        trace, began_s = spans.current.get(), time.perf_counter()
        self._queue.append(_Item(work, future, loop))
        self._wake.set()
        try:
            return await future
        finally:
            if trace is not None:
                trace.add("write", name_of(work), began_s)

    async def write_between(self, work: Callable[[Tx], T], patience_s: float = PATIENCE_S) -> T:
        """`write` for what can wait: in a transaction of its own, once no other work is queued, or after that time."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._giving_way.append((time.monotonic() + patience_s, _Item(work, future, loop)))
        self._wake.set()
        return await future

    def _batch(self) -> list[_Item[Any]]:
        queue, giving_way = self._queue, self._giving_way
        if giving_way and (not queue or giving_way[0][0] <= time.monotonic()):
            return [giving_way.popleft()[1]]
        return [queue.popleft() for _ in range(min(len(queue), BATCH_MAX))]

    def _run(self) -> None:
        wake = self._wake
        while True:
            wake.wait()
            wake.clear()
            while (self._queue or self._giving_way) and not self._abandoned:
                batch = self._batch()
                self.busy_since_s = time.monotonic()
                self._commit(batch)
                self.wal.tend()
                self.busy_since_s = None
            if self._stopping or self._abandoned:
                return

    def _commit(self, batch: list[_Item[Any]]) -> None:
        tx = Tx(self._connection, self._mint, self.audit_key)
        results: list[tuple[_Item[Any], Any, BaseException | None]] = []
        try:
            tx.run("begin immediate")
            at_s = first_s = time.perf_counter()
            touched: set[str] = set()
            asked: set[str] = set()
            for item in batch:
                tx.origin, tx.unasked, tx.touched = item.origin, False, set()
                answer = item.work(tx)
                if tx.endings:
                    tx.end()
                touched |= tx.touched
                if not tx.unasked:
                    asked |= tx.touched
                results.append((item, answer, None))
                began_s, at_s = at_s, time.perf_counter()
                if at_s - began_s >= SLOW_S:
                    self.slow.saw("write", name_of(item.work), at_s - began_s)
            tx.run("commit")
        except BaseException as problem:
            self._roll_back()
            self.trouble.saw(problem, self._connection)
            if len(batch) == 1:
                self._resolve([(batch[0], None, problem)])
            else:
                # One poison work must not fail its neighbours: each again, in a transaction of its own.
                for item in batch:
                    self._commit([item])
            return
        self.commits += 1
        self.works += len(batch)
        if self.trouble.said:
            self.trouble.wrote(self._connection)
        if touched:
            # Before anybody hears that it is done: whoever reads then reads what is new.
            turn = self.turn + 1
            self.changed_at |= dict.fromkeys(touched, turn)
            self.asked_at |= dict.fromkeys(asked, turn)
            self.turn = turn
        self.commit_took.saw(time.perf_counter() - first_s)
        for call in tx.after_commit:
            try:
                call()
            except Exception:
                log.exception("a call after commit failed")
        self._resolve(results)
        self.on_commit()

    def _roll_back(self) -> None:
        try:
            if self._connection.in_transaction:
                self._connection.execute("rollback").fetchall()
        except apsw.Error:
            log.exception("rollback failed")

    @staticmethod
    def _resolve(results: list[tuple[_Item[Any], Any, BaseException | None]]) -> None:
        by_loop: dict[asyncio.AbstractEventLoop, list[tuple[_Item[Any], Any, BaseException | None]]] = {}
        for result in results:
            item, value, problem = result
            if item.loop is not None:
                by_loop.setdefault(item.loop, []).append(result)
            elif problem is not None:
                item.future.set_exception(told(problem))
            else:
                item.future.set_result(value)
        for loop, some in by_loop.items():
            try:
                loop.call_soon_threadsafe(settle, some)
            except RuntimeError:
                log.warning("the loop was gone before %d writes could be answered", len(some))

    # -- reading ------------------------------------------------------------------------------------------------------

    @contextmanager
    def reading(self) -> Iterator[Reader]:
        """A read-only snapshot on the calling thread. Do not call it on the event loop: use `read`."""
        with self._reader_lock:
            try:
                reader = self._readers.pop()
            except IndexError:
                reader = Reader(connect(self.path, read_only=True), self._mint, self.audit_key)
                reader.slow = self.slow
            reader.read = reader.trace = None
            reader.run("begin")
            try:
                yield reader
            finally:
                reader.run("rollback")
                self._readers.append(reader)

    async def read(self, work: Callable[[Reader], T]) -> T:
        """Runs a read on a reader thread."""
        trace = spans.current.get()

        def job() -> T:
            with self.reading() as reader:
                reader.trace = trace
                return work(reader)

        began_s = time.perf_counter()
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, job)
        finally:
            self.read_took.saw(time.perf_counter() - began_s)
            if trace is not None:
                trace.add("read", name_of(work), began_s)

    # -- ending -------------------------------------------------------------------------------------------------------

    def stop(self, timeout_s: float = 5.0) -> bool:
        """Drains the writer and closes. False when the queue was not empty in time."""
        self._stopping = True
        self._wake.set()
        drained = True
        if self._thread is not None:
            self._thread.join(timeout_s)
            drained = not self._thread.is_alive()
            self._thread = None if drained else self._thread
        if drained:
            self._close()
        return drained

    def abandon(self) -> None:
        """Ends as a kill would: nothing is drained, what waits is never answered. For tests of crashes."""
        self._abandoned = True
        self._queue.clear()
        self._giving_way.clear()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(10)
            self._thread = None
        self._close()

    def _close(self) -> None:
        self._pool.shutdown(wait=True)
        for reader in self._readers:
            reader._connection.close()
        self._readers.clear()
        self._connection.close()
