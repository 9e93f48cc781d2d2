"""Outages: nothing is lost, nothing is told twice, and afterwards it drains at the allowed rate."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest

from tests.services.office import Office


def gaps(office: Office, where: str, *what: str) -> list[int]:
    times = [c.at_ms for c in office.outside.calls if c.where == where and c.what in what]
    return [b - a for a, b in pairwise(times)]


def test_an_outage_of_an_hour_drains_in_two_minutes_with_one_post_and_no_edit_each(office: Office) -> None:
    """A hundred groups that opened, repeated and turned worse while Slack was away."""
    office.outside.down = True
    opened = [office.opens() for _ in range(100)]
    office.after(minutes=30)
    for group in opened:
        office.again(group)
    for group in opened[::10]:
        office.again(group, severity="critical", told_again="severity rose from high to critical")
    office.after(minutes=30)
    asked = len(office.outside.calls)
    assert asked < 60 * 60 / 7 + 10, "one probe at a time, not a hundred backoffs"
    assert [t.state for t in office.status().troubles] == ["silent"]
    office.outside.down = False
    office.after(minutes=2)
    told = office.outside.taken()
    assert len(told) == len({c.title.split("·")[0] for c in told}) == 100
    assert {c.what for c in told} == {"post"}
    assert min(gaps(office, "C0ONCALL", "post")) >= 1000
    assert office.owed("owed") == []
    assert office.status().troubles == ()


def test_groups_that_were_told_before_an_outage_owe_one_reply_and_one_edit_after_it(office: Office) -> None:
    opened = [office.opens() for _ in range(40)]
    office.after(minutes=2)
    before = len(office.outside.calls)
    office.outside.down = True
    for round_ in range(3):
        for group in opened:
            office.again(group, told_again=f"it came back for the {round_}. time", episode=True)
        office.after(minutes=10)
    down = len(office.outside.calls)
    office.outside.down = False
    office.after(minutes=2)
    calls = office.outside.calls[down:]
    assert sorted(c.what for c in calls) == ["edit"] * 40 + ["reply"] * 40
    assert all("for the 2. time" in c.text for c in calls if c.what == "reply")
    assert before < down < before + 30 * 60 / 7 + 10
    assert office.owed("owed") == []


def test_edits_stay_within_the_budget_of_their_token(bare: Office) -> None:
    """Two channels of one token share it, a third has its own; posts are not held up by edits."""
    bare.channel("a"), bare.channel("b"), bare.channel("c", bot_token="xoxb-2-other")
    bare.rule("a", "b", "c")
    opened = [bare.opens() for _ in range(40)]
    bare.after(minutes=3)
    start = bare.now_ms
    before = len(bare.outside.calls)
    for group in opened:
        bare.again(group)
    bare.after(seconds=3)
    fresh = bare.opens(title="fresh")
    bare.after(minutes=3)
    calls = bare.outside.calls[before:]
    edits = [c for c in calls if c.what == "edit"]
    assert len(edits) == 120
    for token in ("xoxb-1-canary", "xoxb-2-other"):
        times = [c.at_ms for c in edits if c.token == token]
        assert max(sum(1 for t in times if at <= t < at + 60_000) for at in times) <= 50
    posts = [c.at_ms - start for c in calls if c.what == "post"]
    assert posts == [3000] * 3
    assert bare.conversation(fresh, bare.look(lambda _: bare.owed()[0].channel_id)) is not None


def test_the_budget_goes_on_where_it_was_after_a_restart(office: Office) -> None:
    opened = [office.opens() for _ in range(60)]
    office.after(minutes=2)
    for group in opened:
        office.again(group)
    before = len(office.outside.calls)
    office.after(seconds=10)
    office.killed().after(minutes=3)
    times = [c.at_ms for c in office.outside.calls[before:] if c.what == "edit"]
    assert len(times) == 60
    assert max(sum(1 for t in times if at <= t < at + 60_000) for at in times) <= 50


def test_the_gap_between_posts_is_kept_also_over_a_restart(office: Office) -> None:
    for _ in range(3):
        office.opens()
    office.rest()
    office.killed().after(minutes=1)
    assert gaps(office, "C0ONCALL", "post") == [1000, 1000]


def test_posts_go_before_edits(office: Office) -> None:
    told = [office.opens() for _ in range(3)]
    office.after(minutes=1)
    for group in told:
        office.again(group)
    office.after(seconds=1.9)
    start = len(office.outside.calls)
    for _ in range(3):
        office.opens()
    office.after(seconds=20)
    after = office.outside.calls[start:]
    assert after[0].what == "post"
    assert gaps(office, "C0ONCALL", "post")[-2:] == [1000, 1000], "edits in between hold no post up"
    assert [c.what for c in after].count("edit") == 3


def test_one_bad_message_does_not_keep_a_channel_silent(office: Office) -> None:
    """Slack falls over one message alone: the others are told all the same."""
    poison = office.opens(title="poison")

    def answer(step: object) -> object:
        reply = whole(step)  # type: ignore[arg-type]
        return too_bad if office.outside.calls[-1].title.count("poison") else reply

    from signalcraft.domain.delivery import Reply

    too_bad = Reply(status=500, body=b"")
    whole = office.outside._answer
    office.outside._answer = answer  # type: ignore[method-assign,assignment]
    office.after(minutes=5)
    for _ in range(5):
        office.opens()
    office.after(minutes=5)
    assert len([d for d in office.owed("sent") if d.kind == "first"]) == 5
    assert [d.group_id for d in office.owed("owed")] == [poison]


def test_a_kill_on_the_way_makes_at_most_one_duplicate_and_waits_for_no_lease(office: Office) -> None:
    for _ in range(5):
        office.opens()
    office.outside.hangs = True

    async def begin() -> None:
        step = asyncio.create_task(office.deliver.step(office.now_ms))
        await office.outside.asked(1)
        step.cancel()

    office.later(begin())
    office.killed()
    assert office.released == 1
    office.after(seconds=10)
    assert len(office.outside.taken("post")) == 6
    assert [d.state for d in office.owed()] == ["sent"] * 5


def test_a_restart_waits_for_no_backoff_of_the_earlier_process(office: Office) -> None:
    office.outside.down = True
    for _ in range(5):
        office.opens()
    office.after(minutes=20)
    office.outside.down = False
    office.killed().after(seconds=6)
    assert [d.state for d in office.owed()] == ["sent"] * 5


@pytest.mark.parametrize("error", ["internal_error", "service_unavailable", "something_new"])
def test_transient_errors_are_tried_again(office: Office, error: str) -> None:
    office.outside.next = [error] * 4
    office.opens()
    office.after(minutes=1)
    assert office.ledger() == [("first", "sent")]


def test_channels_do_not_wait_for_each_other(bare: Office) -> None:
    bare.channel("a"), bare.channel("b")
    bare.rule("a", "b")
    bare.outside.errors["C0A"] = "internal_error"
    for _ in range(3):
        bare.opens()
    bare.after(seconds=3)
    assert len(bare.outside.taken("post", "C0B")) == 3
