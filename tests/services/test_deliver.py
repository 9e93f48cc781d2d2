"""One delivery: what each answer of a channel leads to."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from signalcraft.domain import ids
from signalcraft.domain.delivery import Reply
from signalcraft.services.deliver import LINK_PURPOSE
from tests.services.office import Office, lost, too_many


def test_a_message_that_is_taken_is_sent_once_and_its_receipt_kept(office: Office) -> None:
    group = office.opens(title="TypeError in checkout")
    office.rest()
    office.after(hours=1)
    (call,) = office.outside.calls
    assert (call.where, call.what, call.at_ms) == ("C0ONCALL", "post", office.now_ms - 3_600_000)
    assert "TypeError in checkout" in call.title
    held = office.conversation(group, office.oncall)
    assert held is not None
    assert held.receipt["ts"].endswith(".000001")
    (sent,) = office.owed()
    assert (sent.state, sent.attempts, sent.sent_ms) == ("sent", 1, call.at_ms)
    told = office.entry("told")
    assert told == {"channel": "oncall", "kind": "first", "delivery": ids.show(sent.id)}
    assert office.status().last_sent_ms == call.at_ms


def test_the_message_shows_the_state_of_the_moment_it_is_sent(office: Office) -> None:
    office.outside.down = True
    group = office.opens(severity="high")
    office.rest()
    for _ in range(41):
        office.again(group)
    office.again(group, severity="critical", told_again="severity rose from high to critical")
    office.outside.down = False
    office.after(minutes=2)
    (post,) = office.outside.taken()
    assert "critical" in post.text.lower()
    assert "43" in post.text
    assert "severity rose from high to critical" in post.text
    assert sorted(office.ledger()) == [("first", "sent"), ("repeat", "dropped")]
    assert office.owed("dropped")[0].last_error == f"included in {ids.show(office.owed('sent')[0].id)}"


def test_what_happens_while_it_is_on_its_way_is_an_edit_of_it(office: Office) -> None:
    office.outside.slow = asyncio.Event()

    async def story() -> None:
        step = asyncio.create_task(office.deliver.step(office.now_ms))
        await office.outside.asked(1)
        await asyncio.to_thread(office.again, group)
        assert office.ledger() == [("first", "sending"), ("update", "owed")]
        assert not office.deliver.idle
        assert office.outside.slow is not None
        office.outside.slow.set()
        await step

    group = office.opens()
    office.later(story())
    office.after(seconds=5)
    assert [(c.what, c.taken) for c in office.outside.calls] == [("post", True), ("edit", True)]


@pytest.mark.parametrize("after_s", [1, 30, 400])
def test_a_pause_that_the_vendor_asks_for_is_kept_exactly(office: Office, after_s: int) -> None:
    office.outside.next = [too_many(after_s)]
    office.opens()
    office.opens()
    office.rest()
    start = office.now_ms
    office.after(hours=1)
    assert [c.at_ms - start for c in office.outside.calls] == [0, after_s * 1000, after_s * 1000 + 1000]


def test_a_pause_is_kept_over_a_restart(office: Office) -> None:
    office.outside.next = [too_many(120)]
    office.opens()
    office.opens()
    office.rest()
    start = office.now_ms
    office.after(seconds=10)
    office.killed().after(hours=1)
    assert [c.at_ms - start for c in office.outside.calls] == [0, 120_000, 121_000]


def test_a_pause_of_edits_holds_no_post_and_is_shared_by_the_channels_of_a_token(office: Office) -> None:
    first, second = office.opens(), office.opens()
    office.rule("leads", name="too")
    third = office.opens()
    office.after(seconds=10)
    office.outside.next_of["chat.update"] = [too_many(60)]
    start, before = office.now_ms, len(office.outside.calls)
    for group in (first, second, third):
        office.again(group)
    office.after(seconds=5)
    office.opens(title="meanwhile")
    office.after(minutes=3)
    calls = office.outside.calls[before:]
    meanwhile = [(c.at_ms - start, c.where) for c in calls if c.what == "post" and "meanwhile" in c.title]
    assert sorted(meanwhile) == [(5000, "C0LEADS"), (5000, "C0ONCALL")]
    edits = [(c.at_ms - start, c.taken) for c in calls if c.what == "edit"]
    assert edits[0] == (2000, False)
    at_once = [e for e in edits[1:] if e[0] < 62_000]
    assert len(at_once) <= 1, "the other channel's edit may have been on its way already"
    assert all(at_ms >= 62_000 for at_ms, _ in edits[1 + len(at_once) :])
    assert office.owed("owed") == []


def test_without_an_answer_it_is_tried_again_with_growing_waits(office: Office) -> None:
    office.outside.down = True
    office.opens()
    office.after(seconds=3.6)
    waits = [b.at_ms - a.at_ms for a, b in pairwise(office.outside.calls)]
    assert waits == [1000, 1000, 2000][: len(waits)], "half of 1, 2, 4 s, and never less than the gap"
    assert office.owed()[0].last_error is not None
    assert office.owed()[0].attempts == len(office.outside.calls)


def test_a_lost_answer_makes_one_duplicate(office: Office) -> None:
    office.outside.next = [lost()]
    office.opens()
    office.after(minutes=10)
    assert office.outside.told() == [("C0ONCALL", "post")] * 2


def test_it_is_tried_for_hours_and_then_fails_loudly(tmp_path: Path) -> None:
    with Office(tmp_path, retry_hours_max=2, breaker_seconds=120) as office:
        office.channel()
        office.rule()
        office.outside.down = True
        group = office.opens()
        office.after(hours=1, minutes=59)
        assert office.ledger() == [("first", "owed")]
        assert len(office.outside.calls) < 2 * 3600 / 60 + 10, "a silent channel is asked now and then"
        assert [t.state for t in office.status().troubles] == ["silent"]
        assert office.status().cannot_deliver == ("oncall",)
        office.after(minutes=2)
        assert office.ledger() == [("first", "failed")]
        failed = office.entry("delivery_failed")
        assert failed["channel"] == "oncall"
        assert "tried for 2 hours" in failed["why"]
        assert "delivery_failed" in office.verbs(group)
        assert office.status().failed_last_day == 1


def test_a_layout_that_is_refused_is_said_in_plain_words(office: Office) -> None:
    office.outside.next = ["invalid_blocks"]
    office.opens()
    office.rest()
    office.after(seconds=5)
    refused, plain = office.outside.calls
    assert not refused.taken
    assert plain.taken
    assert "blocks" not in plain.text
    assert '"type"' not in plain.text
    assert office.ledger() == [("first", "sent")]


def test_a_message_that_is_refused_in_plain_words_too_fails_loudly(office: Office) -> None:
    office.outside.next = ["invalid_blocks", "msg_too_long"]
    group = office.opens()
    office.after(minutes=5)
    assert office.ledger() == [("first", "failed")]
    assert "msg_too_long" in office.entry("delivery_failed")["why"]
    office.again(group)
    office.after(minutes=5)
    assert len(office.outside.calls) == 2, "what was refused is not tried for each event"
    office.again(group, told_again="it came back", episode=True)
    office.after(minutes=5)
    assert office.outside.told() == [("C0ONCALL", "post")]


@pytest.mark.parametrize("status", ["open", "resolved"])
def test_an_edit_of_a_deleted_message_becomes_a_fresh_one_while_it_matters(office: Office, status: str) -> None:
    group = office.opens()
    office.after(seconds=5)
    if status == "resolved":
        office.acts(group, "resolve")
        office.outside.next_of["chat.update"] = ["message_not_found"]
    else:
        office.outside.next_of["chat.update"] = ["message_not_found"]
        office.again(group)
    office.after(minutes=1)
    told = [c.what for c in office.outside.taken()]
    assert told == (["post", "post"] if status == "open" else ["post", "reply"])
    if status == "open":
        assert "its earlier message was deleted" in office.outside.taken()[-1].text
        assert "<!here>" not in office.outside.taken()[-1].text
        office.again(group)
        office.after(minutes=1)
        assert office.outside.taken()[-1].what == "edit"


def test_a_reply_whose_thread_is_gone_becomes_a_message_of_its_own(office: Office) -> None:
    group = office.opens()
    office.after(seconds=5)
    office.outside.next_of["chat.postMessage"] = ["thread_not_found"]
    office.again(group, told_again="it came back", episode=True)
    office.after(minutes=1)
    assert [c.what for c in office.outside.taken()][:2] == ["post", "post"]
    assert office.owed("owed", "failed") == []


def test_a_message_that_cannot_be_composed_fails_alone(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    from signalcraft.channels import slack

    whole = slack.compose

    def compose(config: Any, note: Any, receipt: Any) -> Any:
        if note.group.title == "poison":
            raise ValueError("what a title")
        return whole(config, note, receipt)

    monkeypatch.setattr(slack, "compose", compose)
    office.opens(title="poison")
    office.opens(title="sound")
    office.after(minutes=1)
    assert sorted(office.ledger()) == [("first", "failed"), ("first", "sent")]
    assert "ValueError" in str(office.owed("failed")[0].last_error)


def test_an_answer_that_cannot_be_judged_is_tried_again(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    from signalcraft.channels import slack

    def judge(*_: Any) -> Any:
        raise KeyError("ts")

    with monkeypatch.context() as patch:
        patch.setattr(slack, "judge", judge)
        office.opens()
        office.rest()
        assert office.ledger() == [("first", "owed")]
    office.after(minutes=1)
    assert office.ledger() == [("first", "sent")]


def test_a_postman_that_fails_is_an_answer_that_never_came(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    async def send(step: Any) -> Reply:
        raise OSError("no more files")

    with monkeypatch.context() as patch:
        patch.setattr(office.outside, "send", send)
        office.opens()
        office.rest()
        assert office.ledger() == [("first", "owed")]
    office.after(minutes=1)
    assert office.ledger() == [("first", "sent")]


def test_a_disk_that_is_full_makes_the_channel_wait_not_tell_twice(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Taken by Slack and not yet written down: nothing else leaves until it is."""
    from signalcraft.errors import Busy
    from signalcraft.services.deliver import loop

    monkeypatch.setattr(loop, "TICK_S", 0.01)
    settle, fails = office.deliver._settler.settle, [3]

    def failing(*args: Any) -> Any:
        if fails[0]:
            fails[0] -= 1
            raise Busy("the disk is full")
        return settle(*args)

    monkeypatch.setattr(office.deliver._settler, "settle", failing)
    office.opens()
    office.opens()
    office.after(seconds=30)
    assert fails == [0]
    assert office.outside.told() == [("C0ONCALL", "post")] * 2


def test_links_in_a_message_are_signed_for_its_group_and_channel(bare: Office) -> None:
    from signalcraft.domain import links

    seen: list[str] = []

    async def send(step: Any) -> Reply:
        import json

        seen.append(json.loads(step.body)["data"]["links"]["ack"])
        return Reply(status=200)

    hook = bare.channel("hook", "webhook")
    bare.rule("hook")
    bare.outside.send = send  # type: ignore[method-assign]
    group = bare.opens()
    bare.rest()
    token = seen[0].removeprefix("https://alerts.example.com/answer/")
    link = links.read(bare.desk.vault.derive(LINK_PURPOSE), token, bare.now_ms)
    assert (link.group, link.channel, link.verb) == (group, hook, "ack")
    assert link.expires_ms == bare.now_ms + 72 * 3_600_000
