"""The delivery loop, and what people do to deliveries and channels while it turns."""

from __future__ import annotations

import asyncio

import pytest

from signalcraft.domain import ids
from signalcraft.domain.delivery import Reply
from signalcraft.errors import Conflict, NotFound
from signalcraft.storage import outbox
from tests.services.office import KIM, Office


def test_a_person_retries_and_drops(office: Office) -> None:
    office.outside.down = True
    office.opens()
    office.after(seconds=20)
    (owed,) = office.owed()
    office.outside.down = False
    office.later(office.deliver.retry(1, owed.id, KIM))
    with pytest.raises(NotFound):
        office.later(office.deliver.retry(2, owed.id, KIM))
    office.after(seconds=20)
    assert office.ledger() == [("first", "sent")]
    for verb in (office.deliver.retry, office.deliver.drop):
        with pytest.raises(Conflict, match="sent"):
            office.later(verb(1, owed.id, KIM))
    office.outside.errors["C0ONCALL"] = "msg_too_long"
    office.opens()
    office.after(seconds=20)
    failed = office.owed("failed")[0]
    dropped = office.later(office.deliver.drop(1, failed.id, KIM))
    assert (dropped.state, dropped.last_error) == ("dropped", "dropped by Kim")
    office.outside.errors.clear()
    office.later(office.deliver.retry(1, failed.id, KIM))
    office.after(seconds=5)
    assert [d.state for d in office.owed()] == ["sent", "sent"]
    assert {"delivery_retried", "delivery_dropped"} <= set(office.verbs())
    assert office.entry("delivery_dropped")["delivery"] == ids.show(failed.id)


def test_a_dropped_first_message_takes_its_edits_along(office: Office) -> None:
    office.outside.slow = asyncio.Event()

    async def story() -> None:
        step = asyncio.create_task(office.deliver.step(office.now_ms))
        await office.outside.asked(1)
        await asyncio.to_thread(office.again, group)
        with pytest.raises(Conflict, match="on its way"):
            await office.deliver.drop(1, office.owed()[0].id, KIM)
        assert office.outside.slow is not None
        office.outside.slow.set()
        await step

    group = office.opens()
    office.outside.next = [Reply(status=0, error="refused")]
    office.later(story())
    assert sorted(office.ledger()) == [("first", "owed"), ("update", "owed")]
    office.later(office.deliver.drop(1, office.owed()[0].id, KIM))
    assert {state for _, state in office.ledger()} == {"dropped"}


def test_what_is_owed_to_a_disabled_channel_is_held_and_said(office: Office) -> None:
    office.outside.down = True
    office.opens()
    office.rest()
    office.touch(office.oncall, enabled=False)
    office.outside.down = False
    office.after(hours=1)
    assert office.outside.told() == []
    assert [(t.state, t.owed) for t in office.status().troubles] == [("held", 1)]
    assert office.status().cannot_deliver == ("oncall",)
    office.touch(office.oncall, enabled=True)
    office.after(seconds=5)
    assert office.outside.told() == [("C0ONCALL", "post")]


def test_a_channel_that_is_deleted_while_its_message_is_on_its_way_is_no_trouble(office: Office) -> None:
    from signalcraft.storage import channels

    office.outside.slow = asyncio.Event()

    async def story() -> None:
        step = asyncio.create_task(office.deliver.step(office.now_ms))
        await office.outside.asked(1)
        await asyncio.to_thread(office.db.call, lambda tx: channels.delete(tx, office.oncall))
        assert office.outside.slow is not None
        office.outside.slow.set()
        await step

    office.opens()
    office.later(story())
    assert office.ledger() == [("first", "dropped")]
    assert office.deliver.idle


def test_the_loop_delivers_by_itself_and_ends_in_order(office: Office) -> None:
    async def story() -> None:
        stop = asyncio.Event()
        loop = asyncio.create_task(office.deliver.run(stop))
        await asyncio.sleep(0.05)
        group = await asyncio.to_thread(office.opens)
        await office.outside.asked(1)
        assert office.outside.told() == [("C0ONCALL", "post")]
        assert office.deliver.turning()
        office.outside.slow = asyncio.Event()
        office.now_ms += 1000
        await asyncio.to_thread(lambda: office.again(group, told_again="again", episode=True))
        await office.outside.asked(2)
        stop.set()
        await asyncio.sleep(0.1)
        assert not loop.done(), "what is under way is waited for"
        office.outside.slow.set()
        await loop

    office.later(story())
    assert [d.state for d in office.owed() if d.kind == "repeat"] == ["sent"]
    office.deliver.wake()  # nobody is there to be woken, which is no trouble


def test_one_delivery_at_a_time_for_each_channel_and_several_channels_at_once(bare: Office) -> None:
    """Whoever looks, however often: at most one message of a channel is on its way."""
    bare.channel("hook-a", "webhook"), bare.channel("hook-b", "webhook")
    bare.rule("hook-a", "hook-b")
    for _ in range(4):
        bare.opens()
    bare.outside.slow = asyncio.Event()

    async def story() -> None:
        looks = [asyncio.create_task(bare.deliver.step(bare.now_ms)) for _ in range(5)]
        await bare.outside.asked(2)
        await asyncio.sleep(0.1)
        assert sorted(c.where for c in bare.outside.calls) == [
            "https://hook-a.example.com/hook",
            "https://hook-b.example.com/hook",
        ]
        assert len(bare.owed("sending")) == 2
        assert bare.outside.slow is not None
        bare.outside.slow.set()
        await asyncio.gather(*looks)

    bare.later(story())
    bare.rest()
    assert [d.state for d in bare.owed()] == ["sent"] * 8


def test_a_test_message_says_what_came_of_it_within_three_tries(office: Office) -> None:
    def test(channel_id: int) -> int:
        made = office.db.call(
            lambda tx: outbox.owe(
                tx, now_ms=office.now_ms, workspace_id=1, group_id=None, channel_id=channel_id, kind="test"
            )
        )
        assert made is not None
        return made

    test(office.oncall)
    office.rest()
    assert office.ledger() == [("test", "sent")]
    office.outside.down = True
    test(office.oncall)
    office.after(minutes=1)
    assert office.ledger()[-1] == ("test", "failed")
    assert office.owed()[-1].attempts == 3
    assert "told" not in office.verbs()
