"""Which place under a replica's address is this box's: a number, claimed once for each database file.

Beside the copy of the database (`<url>/<number>/db`) lies a tiny database of one row, `<url>/<number>/box`, that says
whose the number is. Both are kept by Litestream alone, so that every kind of storage that it knows will do.
"""

from __future__ import annotations

import json
import logging
import secrets
import shutil
import time
from pathlib import Path
from typing import Final

import apsw
import msgspec
from msgspec import Struct

from signalcraft.config.replica import Replica
from signalcraft.errors import NoReplica
from signalcraft.storage.litestream.command import Cli, listed, private_folder, shown

log = logging.getLogger(__name__)

FOLDER: Final = "replica"
"""Everything of the replica in a data directory. It belongs to one database file and is in no backup."""
MOST: Final = 999
_SETTLE_S: Final = 1.0
"""Two boxes that claim the same number in the same moment: who wrote first finds the other's name after this."""


class Place(Struct, frozen=True):
    """One number under a replica's address. `inode`: the database file that is copied; `device`: the replica's disk."""

    url: str
    generation: int
    box: str
    inode: int
    claimed_ms: int
    device: int = 0


class Unmounted(NoReplica):
    """The disk of the replica is away: nothing may be written where it was."""


class Owner(Struct, frozen=True):
    """Whose a number is, as the replica itself says it."""

    box: str
    claimed_ms: int


def database_of(generation: int) -> str:
    """Where a generation's copy lies under the replica's address."""
    return f"{generation:04d}/db"


def owner_of(generation: int) -> str:
    """Where a generation's owner is written down."""
    return f"{generation:04d}/box"


def mine(data_dir: Path, replica: Replica) -> Place | None:
    """This box's place, where it has one for this address and this very database file."""
    try:
        place = msgspec.json.decode((data_dir / FOLDER / "place.json").read_bytes(), type=Place)
    except (OSError, msgspec.DecodeError):
        return None
    same = place.url == replica.url and place.inode == _inode(data_dir)
    return place if same else None


def _inode(data_dir: Path) -> int:
    # By its name alone: opening the file here would drop the locks of whoever has it open (storage/db.py).
    return (data_dir / "signalcraft.db").stat().st_ino


def forget(data_dir: Path) -> None:
    """What a data directory knows of its replica: for whoever puts another database into it."""
    shutil.rmtree(data_dir / FOLDER, ignore_errors=True)


def claim(data_dir: Path, replica: Replica, now_ms: int) -> Place:
    """The next free number becomes this box's. Raises NoReplica where nothing can be read or written there."""
    forget(data_dir)
    private_folder(data_dir / FOLDER)
    generation = highest(replica) + 1
    while generation <= MOST:
        if not _taken(replica, generation):
            generation += 1
            continue
        box = secrets.token_hex(8)
        _sign(replica, generation, Owner(box, now_ms))
        if replica.kind != "file":
            time.sleep(_SETTLE_S)
        owner = signed(replica, generation)
        if owner is not None and owner.box == box:
            place = Place(replica.url, generation, box, _inode(data_dir), now_ms, device(replica))
            part = data_dir / FOLDER / "place.part"
            part.write_bytes(msgspec.json.encode(place))
            part.replace(data_dir / FOLDER / "place.json")
            log.info("the replica has a place", extra={"generation": generation, "at": shown(replica)})
            return place
        generation += 1
    raise NoReplica(f"the replica at {shown(replica)} has no number left: choose another replica.url")


def _taken(replica: Replica, generation: int) -> bool:
    """In a folder a number is taken by who makes its folder; elsewhere nobody can tell in one step."""
    if replica.kind != "file":
        return True
    try:
        replica.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        (replica.folder / f"{generation:04d}").mkdir(mode=0o700)
    except FileExistsError:
        return False
    except OSError as problem:
        raise NoReplica(f"the replica at {shown(replica)} cannot be written: {problem.strerror}") from None
    return True


def lost(place: Place, replica: Replica) -> str | None:
    """Why the place is this box's no more, None while it is. Raises NoReplica where it cannot be asked.

    Raises Unmounted where the replica's whole disk is away.
    """
    owner = signed(replica, place.generation)
    if owner is None:
        if replica.kind == "file" and device(replica) != place.device:
            raise Unmounted(f"the replica at {shown(replica)} is not there: is its disk mounted?")
        return f"the replica at {shown(replica)} has vanished: generation {place.generation} is not there any more"
    if owner.box != place.box:
        return f"generation {place.generation} at {shown(replica)} belongs to another SignalCraft"
    return None


def device(replica: Replica) -> int:
    """The disk that a replica in a folder lies on; 0 where it is not there, or is no folder."""
    try:
        return replica.folder.stat().st_dev if replica.kind == "file" else 0
    except OSError:
        return 0


def newer(place: Place, replica: Replica) -> int | None:
    """The number of a box that came after this one: it was restored from here, or uses the same address."""
    top = highest(replica, place.generation)
    return top if top > place.generation else None


def highest(replica: Replica, known: int = 0) -> int:
    """The highest number that is taken, 0 where none is. `known`: one that certainly is."""
    if replica.kind == "file":
        if not replica.folder.is_dir():
            return known
        return max(
            (int(f.name) for f in replica.folder.iterdir() if f.name.isdecimal() and any(f.iterdir())), default=0
        )
    number = known
    while number < MOST and (listed(replica, owner_of(number + 1)) or listed(replica, database_of(number + 1))):
        number += 1
    return number


def signed(replica: Replica, generation: int) -> Owner | None:
    """Whose a number is, None where nobody wrote his name there. Raises NoReplica where it cannot be asked."""
    if not listed(replica, owner_of(generation)):
        return None
    with Cli(replica, owner_of(generation)) as cli:
        target = cli.folder / "read"
        cli.run("restore", "-o", str(target))
        connection = apsw.Connection(str(target), flags=apsw.SQLITE_OPEN_READONLY)
        try:
            rows = connection.execute("select said from box").fetchall()
        finally:
            connection.close()
    said = json.loads(str(rows[0][0]))
    return Owner(str(said["box"]), int(said["claimed_ms"]))


def _sign(replica: Replica, generation: int, owner: Owner) -> None:
    with Cli(replica, owner_of(generation)) as cli:
        connection = apsw.Connection(str(cli.database))
        try:
            for sql in ("pragma journal_mode=wal", "create table box (said text)"):
                connection.execute(sql).fetchall()
            connection.execute("insert into box values (?)", (msgspec.json.encode(owner).decode(),)).fetchall()
            cli.run("replicate", "-once")
        finally:
            connection.close()
