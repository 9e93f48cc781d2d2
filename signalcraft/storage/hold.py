"""A box that was restored is held: it takes alerts and tells nobody until a person resumes it.

That it is held stands in the database itself, so that whoever starts on it is held.
"""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import Struct

from signalcraft.storage import facts
from signalcraft.storage.db import Tx

_SINCE: Final = "held_since_ms"
_WHY: Final = "held_why"
_COPY: Final = "held_copy"
_TOLD: Final = "held_told"
_UNTOLD: Final = "hold_untold"
_MINTED: Final = ("delivery", "escalation", "journal", "alert_group")


class Held(Struct, frozen=True):
    """Since when and why the box is held, and what the copy was that it was restored from.

    * `copy_ms`: up to when the copy holds what happened.
    * `lost_ms`: until when the earlier box may have gone on sending after that.
    * `mark`: the largest id in the copy; whatever is owed with a larger one came to be owed here.
    """

    since_ms: int
    why: str
    copy_ms: int
    lost_ms: int
    mark: int


class _Copy(Struct, frozen=True):
    copy_ms: int
    lost_ms: int
    mark: int


def put(tx: Tx, *, now_ms: int, why: str, copy_ms: int, lost_ms: int | None = None) -> Held:
    """The box is held from now on. `lost_ms`: see `Held`; None where nobody can say, which means until now.

    `why` is one sentence for people: what it was restored from.
    """
    mark = max(int(tx.value(f"select coalesce(max(id), 0) from {table}")) for table in _MINTED)
    held = Held(now_ms, why, copy_ms, now_ms if lost_ms is None else lost_ms, mark)
    facts.put(tx, _SINCE, str(now_ms))
    facts.put(tx, _WHY, why)
    facts.put(tx, _COPY, msgspec.json.encode(_Copy(held.copy_ms, held.lost_ms, mark)).decode())
    tx.run("delete from fact where name = ?", (_TOLD,))
    return held


def first_start(tx: Tx) -> bool:
    """Whether this is the first start on the restored database; it is from then on not."""
    if facts.get(tx, _TOLD) is not None:
        return False
    facts.put(tx, _TOLD, "1")
    return True


def get(tx: Tx) -> Held | None:
    """How it is held; None where it is not."""
    since = facts.get(tx, _SINCE)
    if since is None:
        return None
    text = facts.get(tx, _COPY)
    copy = _Copy(int(since), int(since), 0) if text is None else msgspec.json.decode(text, type=_Copy)
    return Held(int(since), facts.get(tx, _WHY) or "", copy.copy_ms, copy.lost_ms, copy.mark)


def end(tx: Tx) -> None:
    """It is held no longer."""
    tx.run("delete from fact where name in (?, ?, ?, ?)", (_SINCE, _WHY, _COPY, _TOLD))


# -- what is owed -----------------------------------------------------------------------------------------------------


class Waiting(Struct, frozen=True):
    """A delivery that is owed, with its group as it is now (None where it has none, or the group is gone)."""

    id: int
    workspace_id: int
    group_id: int | None
    channel_id: int
    kind: str
    owed_ms: int
    next_ms: int
    title: str | None
    severity: int | None
    status: str | None


def waiting(tx: Tx) -> list[Waiting]:
    """Everything that is owed, in the order in which a channel is told: by channel, then by when it is due."""
    rows = tx.all(
        "select d.id, d.workspace_id, d.group_id, d.channel_id, d.kind, d.owed_ms, d.next_ms, g.title, g.severity,"
        " g.status from delivery d left join alert_group g on g.id = d.group_id where d.state in ('owed', 'sending')"
        " order by d.channel_id, d.next_ms, d.id"
    )
    return [Waiting(*row) for row in rows]


class Coming(Struct, frozen=True):
    """An escalation that is to come, with its group as it is now."""

    id: int
    workspace_id: int
    group_id: int
    due_ms: int
    after_minutes: int
    channels: list[int]
    title: str | None
    severity: int | None
    status: str | None


def coming(tx: Tx) -> list[Coming]:
    """Every escalation that is pending, the next one first."""
    rows = tx.all(
        "select e.id, e.workspace_id, e.group_id, e.due_ms, e.after_minutes, e.channels, g.title, g.severity, g.status"
        " from escalation e left join alert_group g on g.id = e.group_id where e.state = 'pending'"
        " order by e.due_ms, e.id"
    )
    return [
        Coming(id_, workspace_id, group_id, due_ms, minutes, msgspec.json.decode(to, type=list[int]), *group)
        for id_, workspace_id, group_id, due_ms, minutes, to, *group in rows
    ]


def count_again(tx: Tx, escalation_id: int, due_ms: int) -> None:
    """An escalation is due at another time."""
    tx.run("update escalation set due_ms = ? where id = ? and state = 'pending'", (due_ms, escalation_id))


def repeats_due(tx: Tx, now_ms: int) -> int:
    """How many messages were to be repeated by now."""
    return int(tx.value("select count(*) from conversation where next_repeat_ms <= ?", (now_ms,)))


def repeat_from(tx: Tx, now_ms: int) -> int:
    """Repeats that were due by now wait their whole time again. How many."""
    return tx.run(
        "update conversation set next_repeat_ms = ?1 + coalesce(repeat_ms, 0)"
        " where next_repeat_ms <= ?1 and repeat_ms > 0",
        (now_ms,),
    )


def snoozes_over(tx: Tx, now_ms: int) -> int:
    """How many snoozes have ended by now."""
    return int(
        tx.value("select count(*) from alert_group where status = 'snoozed' and snoozed_until_ms <= ?", (now_ms,))
    )


# -- what was not told ------------------------------------------------------------------------------------------------


class Untold(Struct, frozen=True):
    """An open alert group whose messages were dropped at a resume, so that perhaps nobody heard of it."""

    id: int
    title: str
    severity: int


def say_untold(tx: Tx, group_ids: list[int]) -> None:
    """Remembers them until somebody answers."""
    known = _untold(tx)
    facts.put(tx, _UNTOLD, msgspec.json.encode(sorted(known | set(group_ids))).decode())


def _untold(tx: Tx) -> set[int]:
    text = facts.get(tx, _UNTOLD)
    return set() if text is None else msgspec.json.decode(text, type=set[int])


def still_untold(tx: Tx) -> list[Untold]:
    """Those of them that are still open, the most severe first."""
    found = []
    for group_id in sorted(_untold(tx)):
        row = tx.one("select id, title, severity from alert_group where id = ? and status = 'open'", (group_id,))
        if row is not None:
            found.append(Untold(*row))
    return sorted(found, key=lambda one: (-one.severity, one.id))


def any_untold(tx: Tx) -> bool:
    """Whether any were remembered."""
    return facts.get(tx, _UNTOLD) is not None


def forget_untold(tx: Tx) -> None:
    """Nothing is left of it."""
    tx.run("delete from fact where name = ?", (_UNTOLD,))
