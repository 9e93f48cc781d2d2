"""Webhooks that could not be read: tried with other settings, read again by the dozen, given up."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct

from signalcraft.domain import ids
from signalcraft.domain.event import Event, bounded
from signalcraft.domain.group import Actor
from signalcraft.errors import Conflict, Fault, NotFound, Unreadable
from signalcraft.services.ingest import Ingest
from signalcraft.services.kinds import SOURCE_KINDS, kind_named, read
from signalcraft.storage import inbox, integrations, journal, lists
from signalcraft.storage.db import Db, Tx

log = logging.getLogger(__name__)

AT_ONCE: Final = 200
"""Webhooks that one request reads again at most."""


class Reading(Struct, frozen=True):
    """What a webhook would say. `why` it cannot be read, and at which path of its body; None where it can be."""

    events: list[Event]
    why: str | None = None
    path: str | None = None


class Failure(Struct, frozen=True):
    """One that still cannot be read."""

    inbox_id: int
    why: str


class Round(Struct, frozen=True):
    """What became of many. `left` still wait."""

    replayed: int
    failed: list[Failure]
    left: int


async def tried(ingest: Ingest, workspace_id: int, inbox_id: int, given: Mapping[str, Any]) -> Reading:
    """Reads a quarantined webhook with its integration's settings and those that are given over them. Nothing changes.

    Raises NotFound, Conflict without its integration, Invalid for settings that its kind does not take.
    """

    def look(tx: Tx) -> tuple[inbox.Kept, integrations.Integration, dict[str, str]]:
        kept = lists.held(tx, workspace_id, inbox_id)
        try:
            row = integrations.get(tx, workspace_id, kept.integration_id)
        except NotFound:
            raise Conflict("its integration is no more") from None
        place = integrations.secrets_place(row.id)
        return kept, row, ingest.registry.secrets_of(tx, workspace_id, place, row.secrets)

    kept, row, secrets = await ingest.db.read(look)
    kind = kind_named(SOURCE_KINDS, row.kind)
    config = read(kind, {**row.config, **given}, secrets, ingest.settings, "config.").config
    try:
        events = kind.module.read(config, kept.inbound, ingest.now())
        return Reading([bounded(event) for event in events])
    except Unreadable as problem:
        return Reading([], problem.detail, problem.path)
    except Fault:
        raise
    except Exception as problem:  # as when it came: a fault of ours is told, and the bytes wait on
        log.exception("a webhook could not be read", extra={"integration": row.name})
        return Reading([], f"it could not be read: {type(problem).__name__}")


async def replay_all(ingest: Ingest, workspace_id: int, integration_id: int, actor: Actor) -> Round:
    """Reads what waits of one integration again, the oldest first, at most AT_ONCE of them."""
    waiting = await ingest.db.read(lambda tx: inbox.waiting_of(tx, workspace_id, integration_id))
    replayed = 0
    failed: list[Failure] = []
    for inbox_id in waiting[:AT_ONCE]:
        try:
            await ingest.replay(workspace_id, inbox_id, actor)
            replayed += 1
        except (Unreadable, Conflict) as problem:
            failed.append(Failure(inbox_id, problem.detail))
    return Round(replayed, failed, len(waiting) - replayed)


async def drop(db: Db, workspace_id: int, inbox_id: int, actor: Actor, now_ms: int) -> None:
    """Takes it out of quarantine unread. Raises NotFound, Conflict when it waits no longer."""

    def work(tx: Tx) -> None:
        lists.held(tx, workspace_id, inbox_id)
        inbox.leave_quarantine(tx, workspace_id, inbox_id, "dropped")
        said = {"quarantine_id": ids.show(inbox_id)}
        journal.add(tx, now_ms, workspace_id, None, "quarantine_dropped", actor, said)

    await db.write(work)
