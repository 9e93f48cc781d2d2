"""Backups: one a night by itself and whenever somebody asks, in a child process; what is kept, and whether it is well.

The making itself is in storage/backup. Here: when, with what, on record, and told when it does not work.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, Protocol, TypeVar

import msgspec

from signalcraft.config import Settings
from signalcraft.domain.group import Actor
from signalcraft.errors import Conflict, Fault, Invalid
from signalcraft.services.care.alarms import Alarms
from signalcraft.services.care.backup import state as how
from signalcraft.services.care.backup.materials import Materials, recipient_given
from signalcraft.services.care.backup.state import KIND, Backup, Going, Read, State, What
from signalcraft.services.care.nightly import Nightly, Planned
from signalcraft.services.care.runs import Running, Runs
from signalcraft.services.figures import Figure
from signalcraft.services.health import Component
from signalcraft.storage import facts, journal
from signalcraft.storage.backup import shelf
from signalcraft.storage.backup.child import Ended, Far
from signalcraft.storage.backup.job import Job, Made, Prune, Pruned, Verified, Verify
from signalcraft.storage.db import Db, Tx

log = logging.getLogger(__name__)
T = TypeVar("T")

CONDITION: Final = "backup_failed"
_READ: Final = "backups_read"


class Runner(Protocol):
    """Does a job in a process of its own."""

    async def run(self, job: Job, heard: Callable[[Far], None]) -> Ended:
        """Raises its fault."""


class Backups:
    """One instance, on the event loop."""

    def __init__(
        self, settings: Settings, db: Db, materials: Materials, data_dir: Path, recorded: Runs, alarms: Alarms,
        nightly: Nightly, runner: Runner, now: Callable[[], int],
    ) -> None:  # fmt: skip
        self.config = settings.backup
        self.folder = settings.backup.folder(data_dir)
        self.materials = materials
        self.going: Going | None = None
        self._db = db
        self._runs = recorded
        self._alarms = alarms
        self._nightly = nightly
        self._runner = runner
        self._now = now
        self._one = asyncio.Lock()
        self._task: asyncio.Task[Ended] | None = None
        self._changed = asyncio.Event()
        self._kept: list[Backup] = []
        self._figures: list[Figure] = []
        self.planned: Planned | None = None
        if self.config.schedule != "off":
            weekday = 6 if self.config.schedule == "weekly" else None
            what = "Makes a backup, reads it back and removes those that are too old."
            self.planned = Planned(kind=KIND, what=what, at=self.config.at, weekday=weekday, do=self._planned)
            nightly.add(self.planned)

    # -- what is asked ------------------------------------------------------------------------------------------------

    async def begin(
        self, actor: Actor, workspace_id: int, to: str | None = None, recipient: str | None = None
    ) -> Going:
        """A backup now, beside everything else; the journal says who asked. Raises Conflict where something is under
        way, Invalid.
        """
        folder = self.folder if to is None else _absolute(to)
        whose = self.materials.recipient if recipient is None else recipient_given(recipient)
        self._refuse_two()

        async def work() -> Ended:
            async with self._runs.recorded(KIND) as running:
                if to is not None:
                    running.figures["to"] = str(folder)
                return await self._make(running, folder, whose, copy=to is None)

        return await self._begun("backup", work, actor, workspace_id, {"to": str(folder)})

    async def begin_verify(self, actor: Actor, workspace_id: int, files: list[str]) -> Going:
        """Reads backups whole: these files, or every one of this box. Raises Conflict, Invalid."""
        paths = [str(_absolute(file)) for file in files] or [one.path for one in await self.listed() if one.own]
        self._refuse_two()

        async def work() -> Ended:
            async with self._runs.recorded("verify") as running:
                return await self._verify(running, paths)

        return await self._begun("verify", work, actor, workspace_id, {"files": len(paths)})

    async def begin_prune(self, actor: Actor, workspace_id: int, *, dry: bool) -> Going:
        """Removes what is too old. Raises Conflict."""
        self._refuse_two()

        async def work() -> Ended:
            if dry:
                return await self._runner.run(await self._prune_job(dry=True), self._heard)
            async with self._runs.recorded("prune") as running:
                return await self._prune(running)

        return await self._begun("prune", work, actor, workspace_id, {"dry_run": dry})

    async def ended(self, seconds: float) -> Ended | None:
        """What came of what was begun last; None while it goes on, after so long at most. Raises its fault, and
        Conflict where nothing was begun.
        """
        task = self._task
        if task is None:
            raise Conflict("nothing was begun")
        changed = asyncio.ensure_future(self._changed.wait())
        await asyncio.wait({task, changed}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        changed.cancel()
        self._changed.clear()
        return task.result() if task.done() else None

    async def listed(self) -> list[Backup]:
        """What lies in the directory of the backups and in the second one, the newest first."""
        box = await self.materials.box_id()
        folders = self._folders()
        found = await asyncio.to_thread(lambda: [(folder, shelf.listed(folder)) for folder in folders])
        read = await self._db.read(_read_before)
        return [
            Backup(
                path=str(folder / one.name), found=one, own=one.box == box, read=_still(read, folder / one.name, one)
            )
            for folder, some in found
            for one in some
        ]

    async def state(self) -> State:
        """The last runs of the box's own backups."""
        now_ms = self._now()
        return await self._db.read(lambda tx: how.state_of(tx, now_ms))

    def next_ms(self) -> int | None:
        """When the next is made by itself; None where none is."""
        return None if self.planned is None else self._nightly.next_ms(self.planned, self._now())

    # -- doing it -----------------------------------------------------------------------------------------------------

    def _refuse_two(self) -> None:
        if self.going is not None:
            raise Conflict(f"a {self.going.what} is under way: ask again when it is done")

    async def _begun(
        self, what: What, work: Callable[[], Awaitable[Ended]], actor: Actor, workspace_id: int, said: dict[str, object]
    ) -> Going:
        now_ms = self._now()
        going = self.going = Going(what=what, began_ms=now_ms)
        try:
            await self._db.write(lambda tx: journal.add(tx, now_ms, workspace_id, None, f"{what}_begun", actor, said))
        except BaseException:
            self.going = None
            raise
        self._task = asyncio.get_running_loop().create_task(self._alone(what, work), name="backup")
        self._task.add_done_callback(_heeded)
        return going

    async def _alone(self, what: What, work: Callable[[], Awaitable[T]]) -> T:
        async with self._one:
            self.going = Going(what=what, began_ms=self._now())
            try:
                return await work()
            finally:
                self.going = None
                self._changed.set()

    async def _planned(self, running: Running) -> None:
        await self._alone("backup", lambda: self._whole(running))

    async def _whole(self, running: Running) -> None:
        await self._make(running, self.folder, self.materials.recipient, copy=True)
        try:
            async with self._runs.recorded("prune") as pruning:
                await self._prune(pruning)
        except Fault as fault:  # the backup itself was made: what is wrong with the old ones is told by `tend`
            log.warning("old backups could not be removed", extra={"why": fault.detail})

    async def _make(self, running: Running, folder: Path, recipient: bytes | None, *, copy: bool) -> Ended:
        ended = await self._runner.run(
            await self.materials.job(folder, recipient, self.config.copy_to if copy else ""), self._heard
        )
        made = ended.done
        if not isinstance(made, Made):
            raise Fault("the process of the backup did something else")
        running.figures |= {
            "file": made.path, "bytes": made.bytes, "unpacked_bytes": made.unpacked, "rows": made.rows,
            "members": made.members, "sha256": made.sha256, "memory_peak_bytes": ended.peak,
        }  # fmt: skip
        running.said = f"{made.path} was written and read back"
        await self._remember([(made.path, Read(self._now(), made.bytes, ""))])
        if made.copied_to:
            running.figures["copied_to"] = made.copied_to
            await self._remember([(made.copied_to, Read(self._now(), made.bytes, ""))])
        if made.trouble:
            raise Fault(made.trouble)
        log.info("a backup was made", extra={"file": made.path, "bytes": made.bytes, "rows": made.rows})
        return ended

    async def _verify(self, running: Running, paths: list[str]) -> Ended:
        ended = await self._runner.run(Verify(files=paths, keys=self.materials.keys()), self._heard)
        judged = ended.done.judged if isinstance(ended.done, Verified) else []
        at_ms = self._now()
        sizes = await asyncio.to_thread(lambda: {one.file: _size(Path(one.file)) for one in judged})
        await self._remember(
            [(one.file, Read(at_ms, sizes[one.file], one.said)) for one in judged if one.code != "wrong_key"]
        )
        bad = [one for one in judged if one.code]
        running.figures |= {"files": len(judged), "damaged": len(bad)}
        running.said = f"{len(judged) - len(bad)} of {len(judged)} backups are sound"
        return ended

    async def _prune_job(self, *, dry: bool) -> Prune:
        return Prune(
            folders=[str(folder) for folder in self._folders()], box=await self.materials.box_id(),
            days=self.config.days, now_ms=self._now(), keys=self.materials.keys(), dry=dry,
        )  # fmt: skip

    async def _prune(self, running: Running) -> Ended:
        ended = await self._runner.run(await self._prune_job(dry=False), self._heard)
        if isinstance(ended.done, Pruned):
            running.figures |= {"pruned": len(ended.done.gone), "bytes": ended.done.bytes, "kept": ended.done.kept}
            running.said = f"{len(ended.done.gone)} backups were removed, {ended.done.kept} are kept"
        return ended

    def _folders(self) -> list[Path]:
        return [self.folder, *([Path(self.config.copy_to)] if self.config.copy_to else [])]

    def _heard(self, far: Far) -> None:
        if self.going is not None:
            self.going = msgspec.structs.replace(self.going, stage=far.stage, done=far.done, of=far.of)
            self._changed.set()

    async def _remember(self, read: list[tuple[str, Read]]) -> None:
        def work(tx: Tx) -> None:
            known = {path: one for path, one in _read_before(tx).items() if Path(path).exists()} | dict(read)
            facts.put(tx, _READ, msgspec.json.encode(known).decode())

        await self._db.write(work)

    # -- whether it is well -------------------------------------------------------------------------------------------

    async def tend(self) -> None:
        """Once a minute: the alarm and the figures."""
        state = await self.state()
        self._kept = await self.listed()
        self._figures = how.measured(state, self._kept)
        await self._alarms.say(CONDITION, self._wrong(state))

    def _wrong(self, state: State) -> str | None:
        return how.wrong(state, self._kept, self.config.schedule, self._now())

    async def health(self) -> Component:
        """The part of the health report that is about backups."""
        state = await self.state()
        trouble = self._wrong(state)
        if trouble is not None:
            return Component("degraded", trouble)
        return how.well(state, self.config.schedule, self.config.at, self._now())

    def figures(self) -> list[Figure]:
        """For /metrics, as they were at the last minute."""
        return self._figures

    async def end(self) -> None:
        """Breaks off what somebody asked for; it leaves nothing half-done."""
        if self._task is not None and not self._task.done():
            self._task.cancel()
            await asyncio.wait([self._task], timeout=8)


def _absolute(text: str) -> Path:
    path = Path(text)
    if not path.is_absolute() or "\0" in text:
        raise Invalid(f"{text!r} is not the whole path of a place on this machine", path="to")
    return path


def _read_before(tx: Tx) -> dict[str, Read]:
    text = facts.get(tx, _READ)
    return {} if text is None else msgspec.json.decode(text, type=dict[str, Read])


def _still(read: dict[str, Read], path: Path, one: shelf.Shelved) -> Read | None:
    found = read.get(str(path))
    return found if found is not None and found.bytes == one.bytes else None


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _heeded(task: asyncio.Task[Ended]) -> None:
    """Who asked may have gone: its fault is on record all the same."""
    if not task.cancelled() and task.exception() is not None:
        log.info("a backup, or the reading of one, failed", extra={"why": str(task.exception())})
