"""One try: taken, then sent, owed again, or ended; and what a try that never came back leaves behind."""

from __future__ import annotations

from signalcraft.domain.delivery import State
from signalcraft.storage.db import Tx
from signalcraft.storage.outbox.rows import Delivery


def take(tx: Tx, delivery_id: int, now_ms: int, lease_ms: int) -> None:
    """It is on its way from now on, at the latest until `lease_ms`."""
    tx.run(
        "update delivery set state = 'sending', attempts = attempts + 1, tried_ms = ?, lease_ms = ? where id = ?",
        (now_ms, lease_ms, delivery_id),
    )


def sent(tx: Tx, delivery_id: int, now_ms: int) -> None:
    """The channel took it."""
    tx.run(
        "update delivery set state = 'sent', sent_ms = ?, lease_ms = null, last_error = null where id = ?",
        (now_ms, delivery_id),
    )


def requeue(
    tx: Tx, delivery: Delivery, next_ms: int, why: str, *, hold_ms: int | None = None, plain: bool | None = None
) -> bool:
    """It is owed again. False where it was an edit and a later one is owed already: that one says it too."""
    if delivery.kind == "update" and tx.value(
        "select 1 from delivery where group_id = ? and channel_id = ? and state = 'owed' and kind = 'update'"
        " and id <> ?",
        (delivery.group_id, delivery.channel_id, delivery.id),
    ):
        end(tx, delivery.id, "dropped", "a later edit says it")
        return False
    tx.run(
        "update delivery set state = 'owed', next_ms = ?, hold_ms = ?, lease_ms = null, last_error = ?, plain = ?"
        " where id = ?",
        (next_ms, hold_ms, why, delivery.plain if plain is None else int(plain), delivery.id),
    )
    return True


def end(tx: Tx, delivery_id: int, state: State, why: str) -> None:
    """Failed or dropped, with the reason."""
    tx.run("update delivery set state = ?, lease_ms = null, last_error = ? where id = ?", (state, why, delivery_id))


def drop_edits(tx: Tx, group_id: int, channel_id: int, up_to: int, why: str) -> int:
    """Drops the owed edits of a message up to an id (ids grow with time); how many."""
    return tx.run(
        "update delivery set state = 'dropped', last_error = ? where group_id = ? and channel_id = ? and state = 'owed'"
        " and kind = 'update' and id <= ?",
        (why, group_id, channel_id, up_to),
    )


def hurry(tx: Tx, channel_id: int, now_ms: int) -> int:
    """A silent channel answers again: what waits for a later try is due now, or when the vendor said. How many."""
    return tx.run(
        "update delivery set next_ms = max(coalesce(hold_ms, 0), ?1) where channel_id = ?2 and state = 'owed'"
        " and next_ms > ?1 and attempts > 0",
        (now_ms, channel_id),
    )


def move_back(tx: Tx, now_ms: int, by_ms: int) -> int:
    """The clock stepped back: nobody waits for it to catch up. How many rows moved."""
    return tx.run(
        "update delivery set next_ms = max(next_ms - ?1, ?2), hold_ms = hold_ms - ?1 where state = 'owed'"
        " and next_ms > ?2",
        (by_ms, now_ms),
    )


def release_leases(tx: Tx) -> int:
    """Everything that was on its way is owed again: the directory's lock proves the process that sent it dead."""
    return _release(tx, "lease_ms is not null", ())


def release_expired(tx: Tx, now_ms: int) -> int:
    """The same for leases that ran out: no try lasts that long."""
    return _release(tx, "lease_ms < ?", (now_ms,))


def expired(tx: Tx, now_ms: int) -> bool:
    """Whether there is a lease that ran out."""
    return tx.value("select 1 from delivery where state = 'sending' and lease_ms < ?", (now_ms,)) is not None


def _release(tx: Tx, which: str, args: tuple[int, ...]) -> int:
    tx.run(
        "update delivery set state = 'dropped', lease_ms = null, last_error = 'a later edit says it'"
        f" where state = 'sending' and kind = 'update' and {which} and exists (select 1 from delivery e"
        " where e.group_id = delivery.group_id and e.channel_id = delivery.channel_id and e.state = 'owed'"
        " and e.kind = 'update')",
        args,
    )
    return tx.run(f"update delivery set state = 'owed', lease_ms = null where state = 'sending' and {which}", args)
