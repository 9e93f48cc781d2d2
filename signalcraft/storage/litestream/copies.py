"""What a replica holds, and a database made out of it again."""

from __future__ import annotations

import json
import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from signalcraft.config.replica import Replica
from signalcraft.errors import Conflict, NoReplica
from signalcraft.storage.litestream.command import Cli, listed, shown
from signalcraft.storage.litestream.places import database_of, highest, signed

RESTORE_S: Final = 3600.0
"""How long a restore may take."""


class Newest(Struct, frozen=True):
    """What one generation holds: from the first moment that can be restored to the newest. Times to the second."""

    generation: int
    box: str
    txid: str
    at_ms: int
    first_ms: int


class Restored(Struct, frozen=True):
    """What was restored. `at_ms`: when the last change in it was copied, to the second.

    `resolution_ms`: how much later the next change was copied that is not in it; None where there is none.
    """

    generation: int
    txid: str
    at_ms: int
    resolution_ms: int | None
    took_s: float


def generations(replica: Replica) -> list[Newest]:
    """Every generation that holds a database, oldest first. Raises NoReplica where it cannot be asked."""
    if replica.kind == "file" and not replica.folder.is_dir():
        raise NoReplica(f"the replica at {shown(replica)}: there is no such folder")
    found = []
    for number in range(1, highest(replica) + 1):
        one = _held(replica, number)
        if one is not None:
            found.append(one)
    return found


def newest(replica: Replica, generation: int | None = None) -> Newest:
    """The newest generation (or that one). Raises NoReplica where there is none, or it cannot be asked."""
    if generation is not None:
        one = _held(replica, generation)
        if one is None:
            raise NoReplica(f"the replica at {shown(replica)} holds no generation {generation}")
        return one
    for number in range(highest(replica), 0, -1):
        one = _held(replica, number)
        if one is not None:
            return one
    raise NoReplica(f"the replica at {shown(replica)} holds no copy of a database")


def restore(replica: Replica, to: Path, *, at_ms: int | None = None, generation: int | None = None) -> Restored:
    """Makes the database anew, as it was at a moment or as it was last, checked by SQLite. `to` must not exist.

    Without `generation`: the newest one, or the newest that began before `at_ms`. Raises NoReplica where there is no
    such copy, Conflict where `to` exists. What fails leaves nothing behind.
    """
    if to.exists():
        raise Conflict(f"{to} exists already")
    if generation is None:
        generation = _generation_at(replica, at_ms)
    began_s = time.monotonic()
    part = to.with_name(to.name + ".part")
    wanted = [] if at_ms is None else ["-timestamp", _rfc3339(at_ms)]
    _clear(part)
    try:
        with Cli(replica, database_of(generation), RESTORE_S) as cli:
            plan = json.loads(cli.run("restore", "-dry-run", "-json", "-o", str(part), *wanted))
            said = cli.run("restore", "-json", "-integrity-check", "quick", "-o", str(part), *wanted)
            files = json.loads(cli.run("ltx", "-level", "all", "-json") or "[]") or []
        os.chmod(part, 0o600)
        part.replace(to)
    finally:
        _clear(part)
    txid = json.loads(said)["txid"]
    last = plan["files"][-1]
    return Restored(
        generation=generation,
        txid=txid,
        at_ms=_ms(last["timestamp"]),
        resolution_ms=_until(files, txid, _ms(last["timestamp"])),
        took_s=time.monotonic() - began_s,
    )


def _clear(part: Path) -> None:
    for ending in ("", "-wal", "-shm", "-journal", ".tmp", "-txid"):
        part.with_name(part.name + ending).unlink(missing_ok=True)


def _generation_at(replica: Replica, at_ms: int | None) -> int:
    if at_ms is None:
        return newest(replica).generation
    every = generations(replica)
    fitting = [one for one in every if one.first_ms <= at_ms]
    if not fitting:
        first = f": it begins at {_rfc3339(every[0].first_ms)}" if every else ""
        raise NoReplica(f"the replica at {shown(replica)} holds nothing of {_rfc3339(at_ms)}{first}")
    return fitting[-1].generation


def _held(replica: Replica, generation: int) -> Newest | None:
    files = listed(replica, database_of(generation))
    if not files:
        return None
    owner = signed(replica, generation)
    last = max(files, key=lambda file: (file["max_txid"], -int(file["level"])))
    whole = [file for file in files if file["min_txid"] == f"{1:016x}"] or files
    return Newest(
        generation=generation,
        box="" if owner is None else owner.box,
        txid=last["max_txid"],
        at_ms=_ms(last["timestamp"]),
        first_ms=min(_ms(file["timestamp"]) for file in whole),
    )


def _until(files: list[dict[str, Any]], txid: str, at_ms: int) -> int | None:
    """How much later the next change was copied."""
    after = [_ms(file["timestamp"]) for file in files if file["max_txid"] > txid]
    return max(min(after) - at_ms, 0) if after else None


def _ms(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp() * 1000)


def _rfc3339(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
