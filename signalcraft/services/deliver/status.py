"""How delivery stands: for health, metrics and `signalcraft status`."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from signalcraft.domain import ids
from signalcraft.services.deliver.lanes import Lanes, fallback_of
from signalcraft.services.registry import Snapshot
from signalcraft.storage import conversations, outbox
from signalcraft.storage.db import Tx

DAY_MS = 86_400_000
LONG_MS = 400 * DAY_MS
"""Longer than anything is tried for."""


class ChannelTrouble(Struct, frozen=True, kw_only=True):
    """A channel that is not delivering. Ids as numbers, times in ms.

    `state`: broken (a person must mend it), silent (nobody answers, it is probed), waiting (the vendor asked for a
    pause), held (it is disabled and something is owed to it), unusable (its settings cannot be read).
    """

    channel_id: int
    workspace_id: int
    name: str
    state: str
    why: str
    owed: int
    since_ms: int | None = None
    until_ms: int | None = None
    told_by_fallback: bool = False


class Status(Struct, frozen=True, kw_only=True):
    """All that is owed. `cannot_deliver`: names of the channels whose messages nobody takes at the moment."""

    owed_posts: int
    owed_edits: int
    oldest_owed_ms: int | None
    last_sent_ms: int | None
    failed_last_day: int
    untold_groups: int
    troubles: tuple[ChannelTrouble, ...]
    cannot_deliver: tuple[str, ...]


def status(reader: Tx, snapshot: Snapshot, lanes: Lanes, now_ms: int, workspace_id: int | None) -> Status:
    """How delivery stands in a workspace, or everywhere."""
    owed = [o for o in outbox.owed(reader) if workspace_id is None or o.workspace_id == workspace_id]
    by_channel = {o.channel_id: o for o in owed}
    troubles = tuple(_troubles(snapshot, lanes, by_channel, now_ms, workspace_id))
    of = [w for w in snapshot.workspaces if workspace_id is None or w == workspace_id]
    sent = [at_ms for w in of if (at_ms := outbox.last_sent_ms(reader, w)) is not None]
    return Status(
        owed_posts=sum(o.posts for o in owed),
        owed_edits=sum(o.edits for o in owed),
        oldest_owed_ms=min((o.oldest_ms for o in owed), default=None),
        last_sent_ms=max(sent, default=None),
        failed_last_day=sum(outbox.failed_since(reader, w, now_ms - DAY_MS, ids.floor(now_ms - LONG_MS)) for w in of),
        untold_groups=sum(conversations.untold(reader, w) for w in of),
        troubles=troubles,
        cannot_deliver=tuple(t.name for t in troubles if t.owed and _nobody_takes(t)),
    )


def moods(snapshot: Snapshot, lanes: Lanes, now_ms: int, workspace_id: int) -> tuple[tuple[int, str, str], ...]:
    """Each channel that is in trouble by what is remembered of it, and how: without the database."""
    return tuple((one.channel_id, one.state, one.why) for one in _troubles(snapshot, lanes, {}, now_ms, workspace_id))


def _nobody_takes(trouble: ChannelTrouble) -> bool:
    return trouble.state in ("silent", "held") or (
        trouble.state in ("broken", "unusable") and not trouble.told_by_fallback
    )


def _troubles(
    snapshot: Snapshot, lanes: Lanes, owed: dict[int, outbox.Owed], now_ms: int, workspace_id: int | None
) -> Iterable[ChannelTrouble]:
    for live in snapshot.channels.values():
        if workspace_id is not None and live.workspace_id != workspace_id:
            continue
        lane, mine = lanes.of(live), owed.get(live.id)
        posts = 0 if mine is None else mine.posts
        waits_ms = lane.paused_until_ms(now_ms)
        state = why = ""
        since_ms: int | None = None
        if live.state == "broken":
            state, why = "broken", live.broken_why or "it cannot deliver"
        elif lane.breaker.open:
            state, why, since_ms = "silent", "nobody answers; it is asked again and again", lane.breaker.since_ms
        elif waits_ms is not None:
            state, why = "waiting", "the vendor asked for a pause"
        elif not live.enabled and posts:
            state, why = "held", "the channel is disabled"
        if state:
            yield ChannelTrouble(
                channel_id=live.id,
                workspace_id=live.workspace_id,
                name=live.name,
                state=state,
                why=why,
                owed=posts,
                since_ms=since_ms,
                until_ms=waits_ms,
                told_by_fallback=state == "broken" and fallback_of(snapshot, live.workspace_id, live.id) is not None,
            )
    for channel_id, mine in owed.items():
        if channel_id not in snapshot.channels:
            yield ChannelTrouble(
                channel_id=channel_id,
                workspace_id=mine.workspace_id,
                name=ids.show(channel_id),
                state="unusable",
                why="its settings cannot be read",
                owed=mine.posts,
                told_by_fallback=fallback_of(snapshot, mine.workspace_id, channel_id) is not None,
            )
