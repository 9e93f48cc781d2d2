"""Which disk a data directory lies on: SQLite's locks cannot be trusted over a network (https://sqlite.org/faq.html#q5)."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from signalcraft.errors import BadSetting
from signalcraft.storage.db import Tx

_NETWORK = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "fuse.sshfs", "ceph", "glusterfs", "fuse.glusterfs"}
)


class Pages(NamedTuple):
    """What the database takes up, in bytes, and how much of it what comes next may use again."""

    used: int
    reusable: int


def pages(tx: Tx) -> Pages:
    """Of the database that `tx` reads."""
    size = int(tx.value("pragma page_size"))
    return Pages(int(tx.value("pragma page_count")) * size, int(tx.value("pragma freelist_count")) * size)


def refuse_network(data_dir: Path, mounts: Path = Path("/proc/self/mounts")) -> None:
    """Raises BadSetting for a data directory on a network file system."""
    kind = filesystem(data_dir, mounts)
    if kind in _NETWORK:
        raise BadSetting(
            f"data.dir: {data_dir} lies on a network file system ({kind}), where SQLite's locks cannot be trusted: "
            "use a local disk",
            path="data.dir",
        )


def filesystem(path: Path, mounts: Path = Path("/proc/self/mounts")) -> str:
    """The type of the file system that a path lies on, "" where that cannot be told."""
    try:
        lines = mounts.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    where = str(path.resolve())
    best, kind = "", ""
    for line in lines:
        fields = line.split(" ")
        if len(fields) < 3:
            continue
        point = fields[1].replace("\\040", " ")
        inside = where == point or where.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best):
            best, kind = point, fields[2]
    return kind
