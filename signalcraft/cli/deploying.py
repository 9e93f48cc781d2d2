"""What stands around a change of version: the list that must be complete before, and who is told of each step."""

from __future__ import annotations

import getpass
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from signalcraft.cli.migrating import _now
from signalcraft.cli.options import Where
from signalcraft.cli.terminal import note, say, table
from signalcraft.errors import Conflict, Fault

if TYPE_CHECKING:
    from signalcraft.storage.installed import Place

NAMES: Final = ("settings", "migration", "disk", "backup", "way back", "service")
"""What is looked at, in this order, once the file itself is known to be what it says."""
YOUNG_MS: Final = 26 * 3_600_000
"""How old the last backup may be: a night's, and a nightly job that took long."""
_SPACE: Final = 3
"""How often a program must fit on the disk: as it comes, as a version, and once more."""


@dataclass(frozen=True, kw_only=True)
class Check:
    """One line of the list."""

    name: str
    ok: bool
    said: str


def preflight(where: Where, place: Place, binary: Path, was: str, report: dict[str, Any], *, make: bool) -> list[Check]:
    """The whole list for a new version's file. `was`: the version to return to, "" for none; `report`: its word on the
    migration; `make`: a backup that is missing is made. Nothing else is changed.
    """
    settings = where.loaded().settings
    data_dir = settings.data.path
    looks: dict[str, Callable[[], tuple[bool, str]]] = {
        "settings": lambda: _settings(where, binary),
        "migration": lambda: _migration(report),
        "disk": lambda: _disk(place, binary, data_dir, report),
        "backup": lambda: _backup(where, data_dir, make=make),
        "way back": lambda: _way_back(place, was),
        "service": lambda: _service(data_dir),
    }
    found = []
    for name in NAMES:
        try:
            ok, said = looks[name]()
        except Fault as fault:
            ok, said = False, fault.detail
        found.append(Check(name=name, ok=ok, said=said))
    return found


def complete(checks: Sequence[Check], without: Sequence[str], *, quiet: bool) -> None:
    """Shows the list. Raises Conflict where it is not complete but for what is left out."""
    if not quiet:
        rows = [(one.name, "ok" if one.ok else "left out" if one.name in without else "NO", one.said) for one in checks]
        say(table(("BEFORE", "", ""), rows))
    missing = [f"{one.name}: {one.said}" for one in checks if not one.ok and one.name not in without]
    if missing:
        raise Conflict(f"nothing was changed, the list is not complete: {'; '.join(missing)}")


def tell(
    data_dir: Path, what: Literal["upgrade", "rollback"], state: Literal["started", "finished", "failed"],
    version: str, was: str, said: str = "",
) -> None:  # fmt: skip
    """A step is written down and told by the process that serves now; nothing happens where none does."""
    from signalcraft.cli.client import answers, beside

    if not answers(data_dir):
        return
    step = {"what": what, "state": state, "version": version, "was": was, "by": person(), "said": said}
    try:
        with beside(data_dir) as client:
            client.post("/control/upgrades", step)
    except Fault as fault:  # that it is told is worth less than that it is done
        note(f"That the {what} {state} could not be told: {fault.detail}")


def person() -> str:
    """Who asks for it: the account behind sudo, where there is one."""
    from signalcraft.config import environment

    behind = environment("SUDO_USER")
    if behind:
        return behind
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


# -- the list ---------------------------------------------------------------------------------------------------------


def _settings(where: Where, binary: Path) -> tuple[bool, str]:
    from signalcraft.storage import installed

    words = ["--data-dir", str(where.loaded().settings.data.path)]
    if where.config is not None:
        words += ["--config", str(where.config.absolute())]
    said = installed.ask(binary, "check-config", "--json", *words)
    if said.get("ok"):
        return True, "the new version knows every one"
    wrong = [f"{one['path']}: {one['message']}" for one in said.get("errors", [])]
    return False, "; ".join(wrong) or "the new version does not take them"


def _migration(report: dict[str, Any]) -> tuple[bool, str]:
    if not report.get("ok"):
        return False, str(report.get("problem"))
    pending = len(report["pending"])
    return True, f"{pending} to apply, tried on a copy" if pending else "nothing to migrate"


def _disk(place: Place, binary: Path, data_dir: Path, report: dict[str, Any]) -> tuple[bool, str]:
    needed = binary.stat().st_size * _SPACE
    for folder, bytes_ in ((place.prefix, needed), (data_dir, (report.get("rehearsal") or {}).get("needed", 0))):
        there = next(one for one in (folder, *folder.parents) if one.exists())
        free = shutil.disk_usage(there).free
        if free < bytes_:
            return False, f"{bytes_ // 1_000_000} MB are needed in {folder}, {free // 1_000_000} MB are free"
    return True, f"{needed // 1_000_000} MB for the program are there, and what the migration needs"


def _backup(where: Where, data_dir: Path, *, make: bool) -> tuple[bool, str]:
    if not (data_dir / "signalcraft.db").exists():
        return True, "there is nothing to back up"
    from signalcraft.storage import runs

    made_ms = runs.last_done_ms(data_dir / "signalcraft.db", "backup")
    now_ms = _now()
    if made_ms is not None and now_ms - made_ms <= YOUNG_MS:
        return True, f"the last one is {(now_ms - made_ms) // 3_600_000} hours old"
    old = "there is none" if made_ms is None else f"the last one is {(now_ms - made_ms) // 3_600_000} hours old"
    if not make:
        return True, f"{old}: one is made first"
    from signalcraft.cli.backup import made
    from signalcraft.cli.client import answers

    if not answers(data_dir) and os.geteuid() != data_dir.stat().st_uid:
        return False, f"{old}: run `signalcraft backup` as the owner of {data_dir}"
    return True, f"made now: {made(where)}"


def _way_back(place: Place, was: str) -> tuple[bool, str]:
    from signalcraft.storage import installed

    if not was:
        return True, "no version is in use yet"
    kept = place.binary(was)
    file = kept if kept.is_file() else place.entry
    if file is None or not file.is_file():
        return False, f"version {was} is in use and not in {place.versions_dir}: there would be nothing to return to"
    return True, f"version {installed.version_of(file)} is kept"


def _service(data_dir: Path) -> tuple[bool, str]:
    from signalcraft.cli.client import answers, beside

    if not answers(data_dir):
        return True, "nothing runs"
    with beside(data_dir) as client:
        ready = client.request("GET", "/health/ready", faults=False).status == 200
    return ready, "it runs and is ready" if ready else "it runs and is not ready: see signalcraft status"
