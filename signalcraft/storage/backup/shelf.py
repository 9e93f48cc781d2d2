"""The backups in a directory, as their headers tell: names are not trusted, and no key is needed."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct

from signalcraft.errors import Fault
from signalcraft.storage.bundle import SUFFIX, read_header


class Shelved(Struct, frozen=True, kw_only=True):
    """A file that is called like a backup. `trouble`: why its header cannot be read, "" where it can."""

    name: str
    bytes: int
    box: str = ""
    created_ms: int = 0
    program: str = ""
    schema: int = 0
    opens_with: str = ""
    trouble: str = ""


def listed(folder: Path) -> list[Shelved]:
    """The newest first; those that cannot be read last. Empty where the directory is not there."""
    found = []
    try:
        files = sorted(folder.iterdir())
    except OSError:
        return []
    for file in files:
        if file.name.endswith(SUFFIX) and not file.name.startswith("."):
            one = _looked(file)
            if one is not None:
                found.append(one)
    return sorted(found, key=lambda one: (one.created_ms, one.name), reverse=True)


def _looked(file: Path) -> Shelved | None:
    try:
        size = file.stat().st_size
    except OSError:
        return None
    try:
        header = read_header(file)
    except Fault as fault:
        return Shelved(name=file.name, bytes=size, trouble=fault.detail)
    return Shelved(
        name=file.name, bytes=size, box=header.box, created_ms=header.created_ms, program=header.program,
        schema=header.schema, opens_with=header.opened_by(),
    )  # fmt: skip
