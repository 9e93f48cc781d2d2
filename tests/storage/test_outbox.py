"""The ledger: what is owed, in which order it leaves, and what becomes of a try that never came back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from signalcraft.domain.delivery import NoteKind
from signalcraft.errors import NotFound
from signalcraft.storage import conversations, escalations, migrate, outbox
from signalcraft.storage.db import Db, Tx
from signalcraft.storage.outbox import Delivery, Next

NOW = 1_772_442_000_000


@pytest.fixture
def tx(tmp_path: Path) -> Iterator[Tx]:
    db = Db(tmp_path / "it.db")
    migrate.up(db)
    with db.direct() as tx:
        yield tx
    db.stop()


def owe(tx: Tx, kind: NoteKind = "first", group: int | None = 1, channel: int = 7, **more: Any) -> int:
    made = outbox.owe(tx, now_ms=NOW, workspace_id=1, group_id=group, channel_id=channel, kind=kind, **more)
    assert made is not None
    return made


def edit(tx: Tx, group: int = 1, channel: int = 7, **more: Any) -> int | None:
    return outbox.owe_edit(tx, now_ms=NOW, workspace_id=1, group_id=group, channel_id=channel, **more)


def load(tx: Tx, delivery_id: int) -> Delivery:
    found = outbox.load(tx, delivery_id)
    assert found is not None
    return found


def posted(tx: Tx, group: int = 1, channel: int = 7) -> None:
    conversations.begin(tx, group, channel, via="route", edits=True, episode=1, severity=3)
    conversations.posted(tx, group, channel, {"ts": "1.2"}, NOW)


def test_at_most_one_edit_of_a_message_is_owed(tx: Tx) -> None:
    first = edit(tx)
    assert first is not None
    assert edit(tx) is None
    assert edit(tx, group=2) is not None
    assert edit(tx, channel=8) is not None
    outbox.take(tx, first, NOW, NOW + 1)
    assert edit(tx) is not None, "one on its way shows an earlier state"


def test_posts_of_a_group_leave_in_order_even_when_the_first_waits(tx: Tx) -> None:
    first = owe(tx, next_ms=NOW + 60_000)
    owe(tx, "escalation")
    other = owe(tx, group=2, next_ms=NOW + 500)
    assert outbox.next_post(tx, 7) == Next(other, NOW + 500)
    outbox.take(tx, other, NOW, NOW + 1)
    assert outbox.next_post(tx, 7) == Next(first, NOW + 60_000)
    outbox.take(tx, first, NOW, NOW + 1)
    assert outbox.next_post(tx, 7) is None, "the escalation waits for what is on its way"
    outbox.sent(tx, first, NOW)
    found = outbox.next_post(tx, 7)
    assert found is not None
    assert load(tx, found.id).kind == "escalation"


def test_an_edit_waits_for_its_message(tx: Tx) -> None:
    edit(tx)
    assert outbox.next_edit(tx, 7) is None
    posted(tx)
    assert outbox.next_edit(tx, 7) is not None
    conversations.lost(tx, 1, 7)
    assert outbox.next_edit(tx, 7) is None


def test_a_silent_channel_is_tried_with_what_was_tried_least(tx: Tx) -> None:
    poison, sound = owe(tx, group=1, next_ms=NOW + 9), owe(tx, group=2, next_ms=NOW + 99)
    for _ in range(2):
        outbox.take(tx, poison, NOW, NOW + 1)
        outbox.requeue(tx, load(tx, poison), NOW + 1000, "nobody there")
    found = outbox.next_probe(tx, 7)
    assert found is not None
    assert found.id == sound


def test_channels_that_are_owed_anything(tx: Tx) -> None:
    assert outbox.channels_owed(tx) == []
    owe(tx, channel=9)
    owe(tx, channel=3)
    owe(tx, channel=3)
    outbox.end(tx, owe(tx, channel=5), "failed", "x")
    assert outbox.channels_owed(tx) == [3, 9]


def test_what_was_on_its_way_is_owed_again_at_boot_and_a_newer_edit_takes_the_place_of_an_older(tx: Tx) -> None:
    post, old = owe(tx), edit(tx)
    assert old is not None
    for one in (post, old):
        outbox.take(tx, one, NOW, NOW + 120_000)
    new = edit(tx)
    assert new is not None
    assert outbox.under_way(tx)
    assert outbox.release_leases(tx) == 1
    assert not outbox.under_way(tx)
    assert (load(tx, post).state, load(tx, old).state, load(tx, new).state) == ("owed", "dropped", "owed")
    assert (load(tx, post).lease_ms, load(tx, post).attempts) == (None, 1)
    assert outbox.release_leases(tx) == 0


def test_only_leases_that_ran_out_are_released_while_the_process_lives(tx: Tx) -> None:
    early, late = owe(tx, group=1), owe(tx, group=2)
    outbox.take(tx, early, NOW, NOW + 10)
    outbox.take(tx, late, NOW, NOW + 1000)
    assert not outbox.expired(tx, NOW + 5)
    assert outbox.expired(tx, NOW + 11)
    assert outbox.release_expired(tx, NOW + 11) == 1
    assert (load(tx, early).state, load(tx, late).state) == ("owed", "sending")


def test_an_edit_that_comes_back_gives_way_to_a_later_one(tx: Tx) -> None:
    old = edit(tx)
    assert old is not None
    outbox.take(tx, old, NOW, NOW + 1)
    assert outbox.requeue(tx, load(tx, old), NOW + 5, "not now")
    outbox.take(tx, old, NOW, NOW + 1)
    edit(tx)
    assert not outbox.requeue(tx, load(tx, old), NOW + 5, "not now")
    assert load(tx, old).state == "dropped"


def test_when_a_channel_answers_again_nobody_waits_for_a_backoff_but_for_the_vendors_word(tx: Tx) -> None:
    backoff, asked, fresh = owe(tx, group=1), owe(tx, group=2), owe(tx, group=3, next_ms=NOW + 2000)
    for one, hold in ((backoff, None), (asked, NOW + 30_000)):
        outbox.take(tx, one, NOW, NOW + 1)
        outbox.requeue(tx, load(tx, one), NOW + 60_000, "x", hold_ms=hold)
    assert outbox.hurry(tx, 7, NOW + 10) == 2
    assert [load(tx, one).next_ms for one in (backoff, asked, fresh)] == [NOW + 10, NOW + 30_000, NOW + 2000]


def test_a_clock_that_steps_back_moves_what_is_to_come_back_with_it(tx: Tx) -> None:
    soon = owe(tx, group=1, next_ms=NOW + 4000)
    assert outbox.move_back(tx, NOW - 3_600_000, 3_600_000) == 1
    assert load(tx, soon).next_ms == NOW - 3_600_000 + 4000


def test_later_posts_of_the_same_group_and_channel(tx: Tx) -> None:
    first = owe(tx)
    repeat = owe(tx, "repeat")
    owe(tx, "resolved")
    owe(tx, "repeat", channel=8)
    owe(tx, "repeat", group=2)
    found = outbox.later_posts(tx, load(tx, first), ("repeat", "escalation"))
    assert [d.id for d in found] == [repeat]
    test = owe(tx, "test", group=None)
    assert outbox.later_posts(tx, load(tx, test), ("test",)) == []


def test_what_is_pending_for_a_conversation(tx: Tx) -> None:
    assert outbox.pending_post(tx, 1, 7) is None
    edit(tx)
    assert outbox.pending_post(tx, 1, 7) is None
    first = owe(tx)
    assert outbox.pending_post(tx, 1, 7) == "owed"
    outbox.take(tx, first, NOW, NOW + 1)
    owe(tx, "repeat")
    assert outbox.pending_post(tx, 1, 7) == "sending"


def test_lists_are_filtered_and_paged_newest_first(tx: Tx) -> None:
    made = [owe(tx, group=n, channel=7 + n % 2) for n in range(6)]
    outbox.end(tx, made[0], "failed", "x")
    newest = outbox.listed(tx, 1, limit=4)
    assert [d.id for d in newest] == made[:1:-1]
    assert [d.id for d in outbox.listed(tx, 1, before=newest[-1].id)] == made[1::-1]
    assert [d.id for d in outbox.listed(tx, 1, state="failed")] == [made[0]]
    assert [d.id for d in outbox.listed(tx, 1, channel_id=8, state="owed")] == made[5::-2]
    assert [d.id for d in outbox.listed(tx, 1, group_id=3)] == [made[3]]
    assert outbox.listed(tx, 2) == []
    with pytest.raises(NotFound):
        outbox.get(tx, 2, made[0])
    assert outbox.get(tx, 1, made[0]).state == "failed"


def test_how_much_is_owed(tx: Tx) -> None:
    owe(tx)
    edit(tx)
    outbox.take(tx, owe(tx, group=2), NOW, NOW + 1)
    outbox.sent(tx, owe(tx, group=3), NOW + 7)
    (mine,) = outbox.owed(tx)
    assert (mine.channel_id, mine.posts, mine.edits, mine.oldest_ms) == (7, 2, 1, NOW)
    assert outbox.last_sent_ms(tx, 1) == NOW + 7


def test_the_picks_of_a_full_ledger_use_indexes(tx: Tx) -> None:
    """A queue of thousands must not be read whole for each message."""
    plans = {
        "post": "select d.id, d.next_ms from delivery d where d.channel_id = 7 and d.state = 'owed' and d.rank = 0"
        " order by d.next_ms, d.id limit 1",
        "pending": "select max(state) from delivery where group_id = 1 and channel_id = 7"
        " and state in ('owed', 'sending') and rank = 0",
        "lease": "select 1 from delivery where state = 'sending' and lease_ms < 5",
        "stand-in": "select 1 from delivery where fallback_of = 5",
    }
    for name, sql in plans.items():
        said = " ".join(str(row) for row in tx.all(f"explain query plan {sql}"))
        assert "SCAN" not in said.replace("SCAN CONSTANT", ""), (name, said)
        assert "TEMP B-TREE" not in said, (name, said)


def test_a_receipt_keeps_what_later_ones_leave_out(tx: Tx) -> None:
    posted(tx)
    conversations.posted(tx, 1, 7, {"to": "C0"}, NOW + 5)
    held = conversations.get(tx, 1, 7)
    assert held is not None
    assert (held.receipt, held.posted_ms) == ({"ts": "1.2", "to": "C0"}, NOW)


def test_an_escalation_is_one_of_its_group_rule_and_episode(tx: Tx) -> None:
    from signalcraft.domain.escalation import Chain

    chain = Chain(4, NOW + 900_000, (7,), 15)
    assert escalations.add(tx, 1, 1, 1, chain, NOW)
    assert not escalations.add(tx, 1, 1, 1, chain, NOW)
    assert escalations.add(tx, 1, 1, 2, chain, NOW)
    assert escalations.cancel(tx, 1, NOW, before_episode=2) == 1
    assert [(e.episode, e.state) for e in escalations.of_group(tx, 1)] == [(1, "cancelled"), (2, "pending")]
    assert escalations.restart(tx, 1, 2, NOW + 5) == 1
    assert escalations.restart(tx, 1, 3, NOW + 5) == 1
    assert [(e.episode, e.state, e.due_ms) for e in escalations.of_group(tx, 1)] == [
        (1, "cancelled", NOW + 900_000),
        (2, "pending", NOW + 900_005),
        (3, "pending", NOW + 900_005),
    ]
