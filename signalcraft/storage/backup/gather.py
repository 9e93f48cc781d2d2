"""What goes into a backup beside the database: the archive, the settings as run, the units of systemd."""

from __future__ import annotations

import hashlib
import os
import re
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from signalcraft.storage.bundle import Member
from signalcraft.storage.copies import sha256_of

ARCHIVE: Final = "archive"
CONFIG: Final = "config/signalcraft.toml"
SETTINGS: Final = "config/settings.json"
UNITS: Final = (Path("/etc/systemd/system"), Path("/usr/lib/systemd/system"), Path("/lib/systemd/system"))
_UNIT: Final = "signalcraft*.service"
_UNIT_MAX: Final = 1 << 20
_MASKED: Final = '"•••"'
_PLAIN: Final = re.compile(r"[^A-Za-z0-9._@=+/-]")


def archive(data_dir: Path, into: Path) -> dict[str, Path]:
    """The files of the archive by member name. They are linked into a folder first: one that is replaced or removed
    meanwhile is in the backup as it was at this moment.
    """
    root, found = data_dir / ARCHIVE, {}
    for where, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            file = Path(where) / name
            if name.startswith(".") or name.endswith((".part", ".new", ".tmp")) or not file.is_file():
                continue
            member = f"{ARCHIVE}/{file.relative_to(root).as_posix()}"
            held = into / member
            held.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            try:
                held.hardlink_to(file)
            except FileNotFoundError:
                continue
            except OSError:  # another disk, or one without links
                held = file
            found[_PLAIN.sub("_", member)] = held
    return found


def units(roots: tuple[Path, ...] | None = None) -> dict[str, bytes]:
    """The unit files and drop-ins of SignalCraft on this machine by member name; none where it runs without systemd."""
    found: dict[str, bytes] = {}
    for root in UNITS if roots is None else roots:
        if root.is_symlink() or root.parent.is_symlink():
            continue
        for file in [*sorted(root.glob(_UNIT)), *sorted(root.glob(f"{_UNIT}.d/*.conf"))]:
            with suppress(OSError):
                member = _PLAIN.sub("_", f"config/systemd{file.as_posix()}")
                found[member] = file.read_bytes()[:_UNIT_MAX]
    return found


def settings(table: list[tuple[str, str, str]]) -> bytes:
    """Each setting as it is in force, where it came from, and its value where that is no secret."""
    rows = [{"setting": name, "value": value, "from": origin} for name, value, origin in table]
    return msgspec.json.format(msgspec.json.encode(rows)) + b"\n"


def from_outside(table: list[tuple[str, str, str]]) -> list[str]:
    """Sentences about secret settings that no file of the backup holds."""
    return [
        f"{name} is not in it: it came from {origin}"
        for name, value, origin in table
        if value == _MASKED and (not origin.startswith("file ") or ": " in origin)
    ]


def members(sources: dict[str, Path | bytes]) -> tuple[Member, ...]:
    """Each source as a member, hashed. Raises OSError."""
    return tuple(_member(name, source) for name, source in sources.items())


def _member(name: str, source: Path | bytes) -> Member:
    if isinstance(source, bytes):
        return Member(name, len(source), hashlib.sha256(source).hexdigest())
    return Member(name, source.stat().st_size, sha256_of(source))
