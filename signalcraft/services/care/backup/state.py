"""How it stands with backups: what there is, the last runs, what is wrong, and the figures."""

from __future__ import annotations

from typing import Final, Literal

from msgspec import Struct

from signalcraft.services.figures import Figure
from signalcraft.services.health import Component
from signalcraft.storage import facts, runs
from signalcraft.storage.backup import shelf
from signalcraft.storage.db import Tx

KIND: Final = "backup"
HOUR_MS: Final = 3_600_000
OLD_MS: Final = {"daily": 26 * HOUR_MS, "weekly": (7 * 24 + 2) * HOUR_MS}
"""How long none may have succeeded before it is an alarm."""

What = Literal["backup", "verify", "prune"]


class Going(Struct, frozen=True, kw_only=True):
    """What is under way. `stage`: copy, check, write, verify or send; `done` of `of`: bytes, or pages of the copy."""

    what: What
    began_ms: int
    stage: str = ""
    done: int = 0
    of: int = 0


class Read(Struct, frozen=True):
    """When a backup was read whole last, and what was wrong with it ("": nothing)."""

    at_ms: int
    bytes: int
    said: str


class Backup(Struct, frozen=True, kw_only=True):
    """One file. `own`: made by this box. `read`: None where nobody read it whole yet, or it changed since."""

    path: str
    found: shelf.Shelved
    own: bool
    read: Read | None


class State(Struct, frozen=True, kw_only=True):
    """How it stands with backups. `last_ok`: the last that was made into the box's own directory."""

    last: runs.Run | None
    last_ok: runs.Run | None
    last_prune: runs.Run | None
    since_ms: int


def state_of(tx: Tx, now_ms: int) -> State:
    """The last runs of the box's own backups; those that somebody had put elsewhere are left out."""
    regular = [run for run in runs.newest(tx, KIND, limit=200) if "to" not in run.figures]
    last_ok = next((run for run in regular if run.state == "ok"), None)
    since = facts.get(tx, "nightly_since_ms")
    return State(
        last=regular[0] if regular else None,
        last_ok=last_ok,
        last_prune=runs.last(tx, "prune"),
        since_ms=now_ms if since is None else int(since),
    )


def wrong(state: State, kept: list[Backup], schedule: str, now_ms: int) -> str | None:
    """What is wrong with the backups, and what to do; None where nothing is."""
    if state.last is not None and state.last.state == "failed":
        return f"the last backup failed: {state.last.said}. Mend that, then: signalcraft backup"
    limit_ms = OLD_MS.get(schedule)
    if limit_ms is not None:
        began_ms = state.since_ms if state.last_ok is None else state.last_ok.began_ms
        age_ms = now_ms - began_ms
        if age_ms >= limit_ms:
            return f"no backup has succeeded for {age_ms // HOUR_MS} hours. See why: signalcraft backup"
    bad = [one for one in kept if one.own and one.read is not None and one.read.said]
    if bad and bad[0].read is not None:
        more = f" (and {len(bad) - 1} more)" if len(bad) > 1 else ""
        return f"{bad[0].read.said}{more}. Look at that disk, move the file away, then: signalcraft backup"
    if state.last_prune is not None and state.last_prune.state == "failed":
        return f"old backups could not be removed: {state.last_prune.said}. Mend that, then: signalcraft backup prune"
    return None


def well(state: State, schedule: str, at: str, now_ms: int) -> Component:
    """The part of the health report where nothing is wrong."""
    if state.last_ok is None:
        when = "none is made by itself" if schedule == "off" else f"the first is made at {at}"
        return Component("ok", f"no backup yet; {when}")
    hours = max(now_ms - state.last_ok.began_ms, 0) // HOUR_MS
    return Component("ok", f"the last backup is {hours} hours old and was read back")


def measured(state: State, kept: list[Backup]) -> list[Figure]:
    """For /metrics."""
    own = [one for one in kept if one.own]
    count, size = len(own), sum(one.found.bytes for one in own)
    damaged = sum(one.read is not None and bool(one.read.said) for one in own)
    found = [
        Figure("backup_files", "Backups of this box that are kept, copies included.", count),
        Figure("backup_files_damaged", "Kept backups of this box that did not read back when last tried.", damaged),
        Figure("backup_files_bytes", "Bytes of the backups of this box that are kept.", size),
    ]
    if state.last is not None and state.last.state in ("ok", "failed"):
        good = float(state.last.state == "ok")
        found.append(Figure("backup_last_result", "1: the last backup was made; 0: it failed.", good))
    if state.last_ok is not None and state.last_ok.ended_ms is not None:
        took_s = (state.last_ok.ended_ms - state.last_ok.began_ms) / 1000
        told = state.last_ok.figures
        at_s = state.last_ok.began_ms / 1000
        found += [
            Figure("backup_last_success_timestamp_seconds", "When the last good backup began.", at_s),
            Figure("backup_last_duration_seconds", "How long the last good backup took.", took_s),
            Figure("backup_last_size_bytes", "Bytes of the last good backup.", float(told.get("bytes", 0))),
            Figure(
                "backup_last_memory_peak_bytes", "The most memory that the last good backup's process had.",
                float(told.get("memory_peak_bytes", 0)),
            ),
        ]  # fmt: skip
    return found
