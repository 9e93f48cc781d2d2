"""Every check in order. What one of them cannot do is its own finding; the others go on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from signalcraft.cli.client import answers, beside
from signalcraft.cli.doctor import box, data, outside
from signalcraft.cli.doctor.finding import Finding, Running, fault, ok, warning
from signalcraft.config import Loaded, Settings
from signalcraft.errors import Fault
from signalcraft.postman import Postman
from signalcraft.services.care.vitals import kernel_clock
from signalcraft.services.registry import Registry, Snapshot
from signalcraft.storage import litestream
from signalcraft.storage.db import Tx
from signalcraft.storage.glance import glance, latest_ms

_LOOKED_AT_HERE: Final = frozenset(("channels", "backup", "drill", "replica", "disk", "clock", "certificate"))
"""Parts of a running process's health that have a check of their own here."""
_SOCKET: Final = "signalcraft.socket"


def examine(loaded: Loaded, unit: str, now_ms: int) -> list[Finding]:
    """All of it."""
    settings = loaded.settings
    running, service = _service(settings)
    shown = box.shown_by_systemd(unit)
    found = _each(
        ("settings", lambda: box.settings_file(loaded)), ("data directory", lambda: box.data_directory(settings))
    )
    kept = _Kept()
    found += _database(settings, now_ms, running, kept)
    outer, ahead_s = asyncio.run(_outside(settings, running, now_ms, kept.snapshot))
    held = running is None and (box.shown_by_systemd(_SOCKET) or {}).get("ActiveState") == "active"
    found += _each(
        ("disk", lambda: box.disk(settings)),
        ("clock", lambda: box.clock(settings, now_ms, kept.latest_ms, ahead_s, kernel_clock())),
        ("ports", lambda: box.ports(settings, running, held_by_systemd=held)),
        ("systemd", lambda: box.systemd(unit, shown)),
    )
    if service.status == "ok" and running is None and (shown or {}).get("ActiveState") == "active":
        service = _deaf(settings, unit)
    return [*found, service, *outer, *kept.told]


def _each(*checks: tuple[str, Callable[[], Finding]]) -> list[Finding]:
    found = []
    for name, check in checks:
        try:
            found.append(check())
        except Exception as problem:  # whatever it is, the other checks go on
            found.append(fault(name, f"it could not be looked at: {type(problem).__name__}: {problem}"))
    return found


# -- the process that serves ------------------------------------------------------------------------------------------


def _service(settings: Settings) -> tuple[Running | None, Finding]:
    """The process that serves the data directory, and how it is."""
    name, folder = "service", settings.data.path
    try:
        if not answers(folder):
            return None, ok(name, f"nothing serves {folder} now; this is what is on disk and around")
        with beside(folder) as client:
            running = Running(client.get("/control/info"), client.request("GET", "/health", faults=False).json())
    except (Fault, OSError) as problem:
        return None, fault(name, f"the process that serves {folder} does not answer ({problem}): restart it")
    parts = {n: c for n, c in running.health["components"].items() if n not in _LOOKED_AT_HERE and c["status"] != "ok"}
    if not parts:
        version, pid = running.info["version"], running.info["pid"]
        return running, ok(name, f"SignalCraft {version} serves {folder} (process {pid}) and is well")
    said = "; ".join(f"{n}: {c['detail']}" for n, c in parts.items())
    failing = any(c["status"] == "failing" for c in parts.values())
    return running, fault(name, said) if failing else warning(name, said)


def _deaf(settings: Settings, unit: str) -> Finding:
    why = f"{unit} is active, and nothing serves {settings.data.path}"
    return fault("service", f"{why}: give this command the service's own --config and --data-dir, or restart it")


# -- what is kept -----------------------------------------------------------------------------------------------------


class _Kept:
    """What the database told beside findings."""

    def __init__(self) -> None:
        self.snapshot: Snapshot | None = None
        self.latest_ms = 0
        self.told: list[Finding] = []
        """What the running process says of its channels, where this command cannot open their secrets."""


def _database(settings: Settings, now_ms: int, running: Running | None, kept: _Kept) -> list[Finding]:
    file = settings.data.path / "signalcraft.db"
    try:
        there = file.is_file()
    except OSError as problem:
        return [fault("database", f"{file} cannot be looked at: {problem.strerror}")]
    if not there:
        return [warning("database", f"{file} is not there yet: signalcraft serve makes it")]
    with ExitStack() as stack:
        try:
            reader = stack.enter_context(glance(file))
            whole = data.database(file, reader)
            if whole.status == "fault":
                return [whole]
            key, vault = data.master_key(settings, reader, running)
            if vault is None and key.status != "fault":
                kept.told = _told(running)
            if vault is not None:
                kept.snapshot = Registry(settings, vault).build(reader)
            kept.latest_ms = latest_ms(reader)
            return [whole, key, *_copies(settings, reader, now_ms, running, file)]
        except Exception as problem:  # a damaged file has many ways to say so
            return [fault("database", f"{problem}: docs/runbooks/database.md, signalcraft restore")]


def _told(running: Running | None) -> list[Finding]:
    status, detail = (running.component("channels") if running is not None else None) or ("ok", "")
    return [{"ok": ok, "degraded": warning}.get(status, fault)("channels", detail)]


def _copies(settings: Settings, reader: Tx, now_ms: int, running: Running | None, file: Path) -> list[Finding]:
    wal = file.with_name(file.name + "-wal")
    changed_ms = round(max(one.stat().st_mtime for one in (file, wal) if one.exists()) * 1000)
    return _each(
        ("backups", lambda: data.backups(settings, reader, now_ms)),
        ("restore drill", lambda: data.drill(settings, reader, now_ms)),
        ("replica", lambda: data.replica(settings.replica, changed_ms, running, litestream.newest)),
    )


# -- what lies outside ------------------------------------------------------------------------------------------------


async def _outside(
    settings: Settings, running: Running | None, now_ms: int, snapshot: Snapshot | None
) -> tuple[list[Finding], float | None]:
    postman = Postman(allow=settings.outbound.allow, ca_file=settings.outbound.ca_file)
    try:
        front = outside.public_url(settings, postman, running, now_ms)
        if snapshot is None:
            return await front, None
        found, (told, ahead_s) = await asyncio.gather(front, outside.channels(snapshot, postman, now_ms))
        return [*found, *told], ahead_s
    except Exception as problem:
        return [fault("outside", f"it could not be looked at: {type(problem).__name__}: {problem}")], None
    finally:
        await postman.close()
