"""What is kept: the database, the key that opens its secrets, and the copies there are of both."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from signalcraft.cli.doctor.finding import Finding, Running, fault, ok, warning
from signalcraft.config import Settings
from signalcraft.config.replica import Replica
from signalcraft.errors import Fault
from signalcraft.services.care import drill as drills
from signalcraft.services.care.backup import state as how
from signalcraft.services.registry import Registry
from signalcraft.storage import facts, glance, masterkey, migrate, migrating, runs
from signalcraft.storage.db import Tx
from signalcraft.storage.litestream import Newest
from signalcraft.storage.vault import CHECK, KEY_FILE, CannotOpen, Vault

HOUR_MS: Final = 3_600_000
_BEHIND_MS: Final = 60_000


def database(file: Path, reader: Tx) -> Finding:
    """Whether it is whole and of this program's schema."""
    name = "database"
    level, newest = migrate.level(reader), migrate.newest()
    if level > newest:
        return fault(name, f"its schema {level} is newer than this program's {newest}: run the newer program")
    size = file.stat().st_size
    read = size <= glance.READ_THROUGH_BYTES
    broken = glance.sound(reader) if read else ""
    if broken:
        return fault(name, f"{file} is damaged ({broken}): docs/runbooks/database.md, signalcraft restore")
    failed = migrating.failed(file.parent)
    if failed is not None:
        return fault(name, f"its last migration failed: {failed.said}. See docs/runbooks/upgrade.md")
    if level < newest:
        return warning(name, f"its schema is {level}, this program's {newest}: signalcraft migrate check, then restart")
    return ok(name, f"schema {level}, {size / 1e6:.1f} MB, {'read whole and sound' if read else 'not read whole'}")


def master_key(settings: Settings, reader: Tx, running: Running | None) -> tuple[Finding, Vault | None]:
    """Whether there is one, nobody else can read it, and it opens what was sealed; and the vault it opens."""
    name = "master key"
    try:
        keys = masterkey.look(settings, settings.data.path, reader)
        keys.load_root(reader)
        problems = Registry(settings, keys).build(reader).problems
    except CannotOpen as problem:
        return fault(name, f"it does not open the database's secrets: {problem.detail}"), None
    except Fault as problem:
        if running is not None and not _has_key(settings):
            status, detail = running.component("keys") or ("ok", "")
            if status == "ok":
                return ok(name, "the running process opens the vault with one from elsewhere (a credential)"), None
            return warning(name, detail), None
        return fault(name, f"{problem.detail}. See docs/how-to/keys.md"), None
    sealed = [one for one in problems if " cannot be used: the secret of " in one]
    if sealed:
        return fault(name, f"{sealed[0]}: enter the secret again"), keys
    if facts.get(reader, CHECK) is None:
        return warning(name, "the database has not been sealed with it yet: signalcraft serve does so"), keys
    if problems:
        return warning(name, f"it opens the vault; {problems[0]}"), keys
    where = "of the settings" if settings.security.master_key else "in the data directory"
    return ok(name, f"the one {where} opens every secret; keep a copy elsewhere (signalcraft keys export)"), keys


def _has_key(settings: Settings) -> bool:
    """Whether this command was given one at all: a service's credentials are for the service alone."""
    return bool(settings.security.master_key) or (settings.data.path / KEY_FILE).exists()


def backups(settings: Settings, reader: Tx, now_ms: int) -> Finding:
    """How old the last good one is, and whether it is still where it was put."""
    name, config = "backups", settings.backup
    state = how.state_of(reader, now_ms)
    trouble = how.wrong(state, [], config.schedule, now_ms)
    if trouble is not None:
        return fault(name, trouble)
    for folder in (config.folder(settings.data.path), *([Path(config.copy_to)] if config.copy_to else [])):
        if folder.exists() and not os.access(folder, os.W_OK | os.X_OK):
            return fault(name, f"{folder} cannot be written: give it to the user who serves")
    if config.copy_to and not Path(config.copy_to).is_dir():
        return fault(name, f"{config.copy_to} (backup.copy_to) is not there: mount it")
    fine = how.well(state, config.schedule, config.at, now_ms).detail
    if state.last_ok is not None and not Path(str(state.last_ok.figures.get("file"))).is_file():
        return fault(name, f"the last one, {state.last_ok.figures.get('file')}, is gone: signalcraft backup")
    if config.schedule == "off" and (state.last_ok is None or now_ms - state.last_ok.began_ms > how.OLD_MS["weekly"]):
        return warning(name, f"{fine}, and backup.schedule is off: signalcraft backup")
    if not config.copy_to and not settings.replica.url:
        return warning(name, f"{fine}; they and the data share a disk: set backup.copy_to or replica.url")
    return ok(name, fine)


def drill(settings: Settings, reader: Tx, now_ms: int) -> Finding:
    """When a restore was tried last, and what came of it."""
    name = "restore drill"
    ended = next((run for run in runs.newest(reader, drills.KIND, limit=20) if run.state in ("ok", "failed")), None)
    if ended is not None and ended.state == "failed":
        return fault(name, f"the last one failed: {ended.said}. See docs/runbooks/restore-drill.md")
    if not settings.drill.schedule:
        return warning(name, "none is planned (drill.schedule): nobody knows whether a backup can be restored")
    if ended is None:
        return ok(name, f"the first is made at {settings.drill.at}")
    hours = (now_ms - ended.began_ms) // HOUR_MS
    if now_ms - ended.began_ms > drills.OLD_MS:
        return warning(name, f"the last one is {hours} hours old: signalcraft drill; does serve run at night?")
    return ok(name, f"{hours} hours ago: {ended.said}")


def replica(config: Replica, changed_ms: int, running: Running | None, newest: Callable[[Replica], Newest]) -> Finding:
    """How far behind the copy elsewhere is. `changed_ms`: when the database was written last. Raises nothing."""
    name = "replica"
    if not config.url:
        return ok(name, "off (replica.url)")
    said = running.component("replica") if running is not None else None
    if said is not None:
        status, detail = said
        return ok(name, detail) if status == "ok" else fault(name, detail)
    try:
        held = newest(config)
    except Fault as problem:
        return fault(name, f"{problem.detail}. See docs/runbooks/replica.md")
    behind_ms = changed_ms - held.at_ms
    if behind_ms > max(_BEHIND_MS, config.behind_alarm_seconds * 1000):
        return fault(
            name, f"its newest copy is {behind_ms // 1000} s older than the database: signalcraft serve brings it up;"
            " docs/runbooks/replica.md"
        )  # fmt: skip
    return ok(name, f"generation {held.generation} holds what the database holds")
