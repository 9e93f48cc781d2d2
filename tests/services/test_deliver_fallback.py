"""A channel that a person must mend: it says so, and the fallback is told. Nobody hears twice, nothing is lost."""

from __future__ import annotations

import logging

import pytest

from signalcraft.domain.delivery import Reply
from signalcraft.storage import channels
from tests.services.office import KIM, Office

HOOK = "https://backup.example.com/hook"


@pytest.fixture
def backed(office: Office) -> Office:
    """The office with a webhook as its fallback."""
    backup = office.channel("backup", "webhook")
    office.workspace(fallback=backup)
    return office


def revoke(office: Office) -> None:
    office.outside.revoked.add("xoxb-1-canary")


def test_a_revoked_token_is_said_and_the_fallback_is_told(backed: Office, caplog: pytest.LogCaptureFixture) -> None:
    revoke(backed)
    group = backed.opens(severity="critical")
    backed.after(seconds=5)
    assert backed.outside.told() == [(HOOK, "first")]
    hook = backed.outside.taken("first")[0]
    assert "oncall cannot deliver" in hook.text
    assert "token was revoked" in hook.text
    assert [(d.kind, d.state) for d in backed.owed()] == [("first", "failed"), ("first", "sent")]
    original, stand_in = backed.owed()
    assert stand_in.fallback_of == original.id
    assert str(original.last_error).startswith("told through backup instead: the bot token was revoked")
    live = backed.snapshot.channels[backed.oncall]
    assert (live.state, "token was revoked" in live.broken_why) == ("broken", True)
    assert {"channel.broken"} <= set(backed.verbs())
    assert "told_by_fallback" in backed.verbs(group)
    assert [(t.name, t.state, t.told_by_fallback) for t in backed.status().troubles] == [("oncall", "broken", True)]
    assert backed.status().cannot_deliver == ()
    assert any(r.levelno == logging.ERROR and "cannot deliver" in r.message for r in caplog.records)


def test_everything_that_is_owed_goes_to_the_fallback_each_once(backed: Office) -> None:
    backed.outside.down = True
    for _ in range(30):
        backed.opens()
    backed.after(minutes=1)
    backed.outside.down = False
    revoke(backed)
    backed.after(minutes=5)
    titles = [c.title for c in backed.outside.taken("first")]
    assert len(titles) == len(set(titles)) == 30
    assert backed.owed("owed") == []
    backed.after(hours=2)
    assert len(backed.outside.taken("first")) == 30


def test_without_a_fallback_what_is_owed_stays_owed_and_that_is_loud(
    office: Office, caplog: pytest.LogCaptureFixture
) -> None:
    revoke(office)
    office.opens()
    office.after(hours=3)
    assert office.ledger() == [("first", "owed")]
    assert office.status().cannot_deliver == ("oncall",)
    assert office.status().troubles[0].owed == 1
    assert len(office.outside.calls) <= 1 + 3 * 6, "a broken channel is asked every ten minutes"
    assert any("no fallback channel" in r.message and r.levelno == logging.ERROR for r in caplog.records)
    office.outside.revoked.clear()
    office.after(minutes=10)
    assert office.ledger() == [("first", "sent")]
    assert office.status().troubles == ()
    assert office.snapshot.channels[office.oncall].state == "ok"
    assert "channel.mended" in office.verbs()


def test_a_mended_channel_drains_at_once(office: Office) -> None:
    revoke(office)
    for _ in range(20):
        office.opens()
    office.after(minutes=5)
    office.outside.revoked.clear()
    office.touch(office.oncall, state="ok", broken_why=None)  # a person pasted the new token
    office.after(seconds=20)
    assert [d.state for d in office.owed()] == ["sent"] * 20


def test_a_new_token_is_tried_at_once(office: Office) -> None:
    revoke(office)
    office.opens()
    office.after(minutes=1)
    from signalcraft.services.configure import channels as verbs

    def paste(edit: object) -> None:
        row = channels.get(edit.tx, 1, office.oncall)  # type: ignore[attr-defined]
        verbs.update(edit, row, verbs.Draft(config={"bot_token": "xoxb-1-new"}), whole=False)  # type: ignore[arg-type]

    office.desk.now_ms = office.now_ms
    office.desk.change(paste)
    office.after(seconds=2)
    assert office.ledger() == [("first", "sent")]


def test_a_fallback_that_is_named_later_is_told_then(office: Office) -> None:
    revoke(office)
    office.opens()
    office.after(minutes=1)
    backup = office.channel("backup", "webhook")
    office.workspace(fallback=backup)
    office.after(seconds=5)
    assert office.outside.told() == [(HOOK, "first")]


def test_when_the_fallback_is_broken_too_everything_stays_owed(backed: Office) -> None:
    revoke(backed)
    backed.outside.hook_status = 404
    backed.opens()
    backed.after(minutes=30)
    assert sorted(backed.ledger()) == [("first", "owed"), ("first", "owed")]
    assert set(backed.status().cannot_deliver) == {"oncall", "backup"}
    assert sum(1 for d in backed.owed() if d.fallback_of is not None) == 1, "a fallback has no fallback"
    backed.outside.hook_status = 200
    backed.after(minutes=15)
    assert sorted(backed.ledger()) == [("first", "failed"), ("first", "sent")]


def test_a_fallback_that_broke_is_replaced_by_the_one_that_is_named_then(backed: Office) -> None:
    revoke(backed)
    backed.outside.hook_status = 404
    backed.opens()
    backed.after(minutes=1)
    spare = backed.channel("spare", bot_token="xoxb-2-other")
    backed.workspace(fallback=spare)
    backed.after(seconds=10)
    assert backed.outside.told() == [("C0SPARE", "post")]
    assert backed.owed("owed") == []


def test_the_fallback_is_not_told_when_the_channel_takes_it_after_all(backed: Office) -> None:
    revoke(backed)
    backed.outside.down = True  # the receiver is away as well
    backed.opens()
    backed.rest()
    backed.outside.down = False
    backed.outside.hook_status = 503
    backed.after(seconds=30)
    backed.outside.revoked.clear()
    backed.after(minutes=15)
    backed.outside.hook_status = 200
    backed.after(minutes=15)
    assert backed.outside.told() == [("C0ONCALL", "post")]
    assert sorted(backed.ledger()) == [("first", "dropped"), ("first", "sent")]


def test_a_message_that_is_refused_goes_to_the_fallback(backed: Office) -> None:
    backed.outside.errors["C0ONCALL"] = "msg_too_long"
    backed.opens()
    backed.after(seconds=10)
    assert backed.outside.told() == [(HOOK, "first")]
    assert backed.snapshot.channels[backed.oncall].state == "ok", "the message was refused, not the channel"
    original = backed.owed()[0]
    assert original.state == "failed"
    assert "told through backup instead" in str(original.last_error)


def test_a_group_is_told_once_by_the_fallback_however_often_it_repeats(backed: Office) -> None:
    revoke(backed)
    group = backed.opens()
    backed.after(seconds=5)
    for _ in range(20):
        backed.again(group)
        backed.after(seconds=30)
    assert backed.outside.told() == [(HOOK, "first")]
    backed.again(group, severity="critical", told_again="severity rose from high to critical")
    backed.after(minutes=15)
    assert [what for _, what in backed.outside.told()] == ["first", "repeat"]
    backed.acts(group, "resolve")
    backed.after(minutes=15)
    assert [what for _, what in backed.outside.told()] == ["first", "repeat", "resolved"]
    assert backed.owed("owed") == []


def test_a_fallback_that_belongs_to_the_group_anyway_hears_it_once(bare: Office) -> None:
    """Two channels of one rule, one of them the fallback: nobody is told the same twice in a row."""
    bare.channel("oncall"), bare.channel("hook", "webhook")
    bare.rule("oncall", "hook")
    bare.workspace(fallback=next(c for c in bare.snapshot.channels if bare.snapshot.channels[c].name == "hook"))
    revoke(bare)
    bare.outside.down = True
    bare.opens()
    bare.rest()
    bare.outside.down = False
    bare.after(minutes=2)
    assert bare.owed("owed") == []
    assert [what for _, what in bare.outside.told()] in (["first"], ["first", "repeat"])


def test_a_channel_that_cannot_be_read_is_as_good_as_broken(backed: Office) -> None:
    """Its secrets do not open (another master key): what is owed to it goes to the fallback."""
    backed.outside.down = True
    backed.opens()
    backed.rest()
    backed.outside.down = False
    backed.touch(backed.oncall, secrets=b"\x01" + bytes(80))
    assert backed.oncall not in backed.snapshot.channels
    backed.after(seconds=10)
    assert backed.outside.told() == [(HOOK, "first")]
    assert backed.owed("owed") == []


def test_an_escalation_into_a_broken_channel_goes_to_the_fallback(bare: Office) -> None:
    bare.channel("oncall"), bare.channel("leads", bot_token="xoxb-2-other")
    backup = bare.channel("backup", "webhook")
    bare.rule(escalate_after_minutes=15, escalate_to=["leads"])
    bare.workspace(fallback=backup)
    bare.outside.revoked.add("xoxb-2-other")
    bare.opens()
    bare.after(minutes=16)
    assert bare.outside.told() == [("C0ONCALL", "post"), (HOOK, "escalation")]
    assert "nobody acknowledged for 15 minutes" in bare.outside.taken("escalation")[0].text


def test_a_stand_in_that_a_person_dropped_is_not_made_again(backed: Office) -> None:
    revoke(backed)
    backed.outside.hook_status = 503
    backed.opens()
    backed.after(seconds=20)
    (stand_in,) = [d for d in backed.owed("owed") if d.fallback_of is not None]
    backed.later(backed.deliver.drop(1, stand_in.id, KIM))
    backed.outside.hook_status = 200
    backed.after(minutes=5)
    assert backed.outside.told() == []
    (original,) = backed.owed("owed")
    backed.later(backed.deliver.drop(1, original.id, KIM))
    assert backed.owed("owed") == []


def test_dropping_a_message_calls_off_its_stand_in(backed: Office) -> None:
    revoke(backed)
    backed.outside.hook_status = 503
    backed.opens()
    backed.after(seconds=20)
    original = backed.owed()[0]
    backed.later(backed.deliver.drop(1, original.id, KIM))
    backed.outside.hook_status = 200
    backed.after(minutes=5)
    assert backed.outside.told() == []
    assert backed.owed("owed") == []


def test_a_test_of_a_broken_channel_goes_out_at_once_and_mends_it(office: Office) -> None:
    from signalcraft.storage import outbox

    revoke(office)
    office.opens()
    office.after(minutes=1)
    office.outside.revoked.clear()
    office.db.call(
        lambda tx: outbox.owe(
            tx, now_ms=office.now_ms, workspace_id=1, group_id=None, channel_id=office.oncall, kind="test"
        )
    )
    office.after(seconds=5)
    assert sorted(office.ledger()) == [("first", "sent"), ("test", "sent")]
    assert office.status().troubles == ()


def test_an_answer_of_the_box_itself_is_no_fault_of_the_message(office: Office) -> None:
    office.outside.next = [Reply(status=403, body=b"<html>proxy</html>")]
    office.opens()
    office.after(minutes=1)
    assert office.ledger() == [("first", "sent")]
