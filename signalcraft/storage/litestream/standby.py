"""A standby: a copy of a box's database that follows its replica, and becomes a box when a person says so.

It lies in a folder of its own in the data directory, `standby/`, where no box looks for its database. Litestream writes
into it without SQLite's locks: nobody opens it until the follower has ended.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from signalcraft.config.replica import Replica
from signalcraft.errors import BadSetting, Conflict, Damaged, NoReplica
from signalcraft.storage import children, copies, hold, migrate
from signalcraft.storage.db import Db
from signalcraft.storage.litestream.child import die_with_parent
from signalcraft.storage.litestream.command import environment, private_folder, sentence, settings_file, shown
from signalcraft.storage.litestream.copies import Newest, newest, restore
from signalcraft.storage.litestream.places import database_of, forget
from signalcraft.storage.litestream.scratch import Scratch

FOLDER: Final = "standby"
_ASK_S: Final = {"file": 2.0, "s3": 30.0, "sftp": 30.0}
"""How often the replica is asked how far it is. It is followed all the while."""
CAUGHT_UP_S: Final = 20.0
"""How long a promotion waits for the follower to come to the replica's end."""


class Following(Struct, frozen=True):
    """How a standby is. `txid`: of the copy; `newest`: of the replica when it was last asked, at `asked_ms`.

    `at_ms`: when the newest change in the replica was copied there, to the second. `why`: what is wrong, or nothing.
    """

    url: str
    generation: int
    txid: str
    newest: str
    at_ms: int
    asked_ms: int
    why: str = ""

    @property
    def in_step(self) -> bool:
        """Whether the copy holds all that the replica held."""
        return bool(self.txid) and not self.why and self.txid >= self.newest


class Promoted(Struct, frozen=True):
    """What became of a promotion. `behind`: why the copy may lack something that the replica holds, or nothing."""

    generation: int
    at_ms: int
    rows: int
    behind: str


def database(data_dir: Path) -> Path:
    """Where a standby's copy lies."""
    return data_dir / FOLDER / "signalcraft.db"


def state(data_dir: Path) -> Following | None:
    """What the follower wrote down last; None where there is no standby here."""
    try:
        return msgspec.json.decode((data_dir / FOLDER / "state.json").read_bytes(), type=Following)
    except (OSError, msgspec.DecodeError):
        return None


def applied(data_dir: Path) -> str:
    """The newest transaction in the copy; empty where there is none."""
    file = database(data_dir)
    try:
        return file.with_name(file.name + "-txid").read_text("ascii").strip()
    except OSError:
        return ""


class Follower:
    """Follows a replica until it is told to stop. It must be alone: its caller holds the lock of the data directory."""

    def __init__(self, data_dir: Path, replica: Replica, now: Callable[[], int], say: Callable[[str], None]) -> None:
        self._data_dir = data_dir
        self._replica = replica
        self._now = now
        self._say = say
        self._process: subprocess.Popen[bytes] | None = None
        self._home: Scratch | None = None
        self._generation = 0
        self._told = ""

    def run(self, stop: threading.Event) -> None:
        """Blocks until `stop`. Faults are told and written down, and it is tried again."""
        private_folder(self._data_dir / FOLDER)
        try:
            while not stop.is_set():
                self._step()
                stop.wait(_ASK_S.get(self._replica.kind, 30.0))
        finally:
            self._end()

    def _step(self) -> None:
        before = state(self._data_dir)
        try:
            there = newest(self._replica)
            if self._process is None or self._process.poll() is not None or there.generation != self._generation:
                self._begin(there)
            why = ""
        except NoReplica as fault:
            there, why = None, fault.detail
        known = there or Newest(self._generation, "", before.newest if before else "", before.at_ms if before else 0, 0)
        self._write(
            Following(
                url=self._replica.url,
                generation=self._generation,
                txid=applied(self._data_dir),
                newest=known.txid,
                at_ms=known.at_ms,
                asked_ms=self._now(),
                why=why,
            )
        )

    def _begin(self, there: Newest) -> None:
        """From a whole copy: Litestream cannot take up an earlier one behind the newest snapshot."""
        if self._process is not None and there.generation == self._generation:
            self._say("the follower ended by itself: it begins anew")
        self._end()
        _clear(self._data_dir)
        private_folder(self._data_dir / FOLDER)
        self._home = Scratch()
        home = self._home.path
        (home / "settings").write_text(settings_file(self._replica, socket=False), encoding="utf-8")
        self._generation = there.generation
        files = ("-config", str(home / "settings"), "-o", str(database(self._data_dir)), str(home / "database"))
        self._process = subprocess.Popen(  # noqa: S603 - the binary that came with the package
            [str(children.litestream()), "restore", "-f", "-follow-interval", "500ms", *files],
            env=environment(self._replica, home / "database", home / "meta", database_of(there.generation)),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
            preexec_fn=die_with_parent(os.getpid()),  # noqa: PLW1509 - one call into the C library
        )  # fmt: skip
        self._say(f"following generation {there.generation} at {shown(self._replica)}")

    def _write(self, following: Following) -> None:
        words = following.why or ("in step" if following.in_step else "catching up")
        if words != self._told:
            self._told = words
            self._say(words)
        part = self._data_dir / FOLDER / "state.part"
        part.write_bytes(msgspec.json.encode(following))
        part.replace(self._data_dir / FOLDER / "state.json")

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            try:
                _, said = process.communicate(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                _, said = process.communicate()
            if process.returncode not in (0, -15):
                self._say(sentence(self._replica, said.decode("utf-8", "replace")))
        if self._home is not None:
            self._home.remove()
            self._home = None


def caught_up(data_dir: Path, replica: Replica, timeout_s: float = CAUGHT_UP_S) -> str:
    """Waits until the follower that runs holds what the replica holds now. Why it may not, or nothing."""
    try:
        end = newest(replica)
    except NoReplica as fault:
        return f"the replica could not be asked whether it holds more ({fault.detail})"
    deadline_s = time.monotonic() + timeout_s
    while time.monotonic() < deadline_s:
        now = state(data_dir)
        if now is not None and now.generation == end.generation and applied(data_dir) >= end.txid:
            return ""
        time.sleep(0.2)
    return f"the follower did not come to the replica's end in {timeout_s:.0f} s"


def promote(data_dir: Path, replica: Replica, now_ms: int, behind: str) -> Promoted:
    """The copy becomes the database of a box that is held. The caller holds the lock, and the follower has ended.

    A copy that is not sound is made anew from the replica. Raises Conflict where a database is there already, Damaged,
    NoReplica where neither will do, BadSetting where it is newer than this program.
    """
    target = data_dir / "signalcraft.db"
    if target.exists():
        raise Conflict(f"{target} is there already: this data directory has a box of its own")
    was = state(data_dir)
    if was is None:
        raise Conflict(f"there is no standby in {data_dir}: signalcraft standby --from URL makes one")
    source, at_ms = database(data_dir), was.at_ms
    try:
        sound = copies.verified(source)
    except (Damaged, OSError):
        _clear(data_dir, keep_state=True)
        restored = restore(replica, source, generation=was.generation or None)
        sound, at_ms, behind = copies.verified(source), restored.at_ms, ""
    if sound.schema > migrate.newest():
        raise BadSetting(f"the copy is newer (schema {sound.schema}) than this program: install the box's version")
    db = Db(source)
    try:
        with db.direct() as tx:
            hold.put(tx, now_ms=now_ms, why=f"a standby that followed {was.url} was promoted", copy_ms=at_ms)
    finally:
        db.stop()
    forget(data_dir)
    source.replace(target)
    copies.sync_folder(data_dir)
    shutil.rmtree(data_dir / FOLDER, ignore_errors=True)
    return Promoted(was.generation, at_ms, sum(sound.rows.values()), behind)


def _clear(data_dir: Path, *, keep_state: bool = False) -> None:
    with suppress(FileNotFoundError):
        for file in (data_dir / FOLDER).iterdir():
            if not (keep_state and file.name == "state.json"):
                file.unlink()
