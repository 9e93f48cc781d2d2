"""A restored box is held: alerts are taken, nobody is told, and a person decides what is sent."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from signalcraft.storage import hold
from signalcraft.storage.db import Db
from tests.stillness import without
from tests.world import World

MINUTE_MS = 60_000


@pytest.fixture
def own(tmp_path: Path) -> Iterator[World]:
    with World(tmp_path / "data") as it:
        yield it


def held(world: World, *, copy_ago_s: float = 0, lost_after_s: float | None = None) -> World:
    """Ends the box as a kill does and starts it as one that was restored from what it left."""
    world.killed()
    now_ms = world.clock.at_ms
    copy_ms = now_ms - round(copy_ago_s * 1000)
    lost_ms = None if lost_after_s is None else copy_ms + round(lost_after_s * 1000)
    db = Db(world.data_dir / "signalcraft.db")
    with db.direct() as tx:
        hold.put(tx, now_ms=now_ms, why="from the backup of Monday", copy_ms=copy_ms, lost_ms=lost_ms)
    db.stop()
    return world.restarted()


def silent(world: World, channel: str = "oncall") -> None:
    """Slack takes nothing for this channel for now: what is owed stays owed."""
    world.slack.archive(channel)


def resume(world: World, **body: Any) -> Any:
    said = world.post("/api/hold/resume", body)
    world.settled()
    return said


def test_nothing_leaves_a_held_box_and_everything_comes_in(own: World) -> None:
    own.rule(channel="#oncall", escalate_after=15, escalate_to="#leads")
    own.receives("sentry", "event_alert", title="Told before")
    assert len(own.told) == 1
    held(own)
    assert own.get("/api/hold")["held"] is True
    own.receives("sentry", "event_alert", title="Came in while held", issue="2", level="fatal")
    own.after(hours=2)
    assert len(own.told) == 1
    assert {g["title"] for g in own.groups()} >= {"Came in while held"}
    component = own.get("/health")["components"]["hold"]
    assert component["status"] == "degraded"
    assert "signalcraft resume" in component["detail"]


def test_it_is_still_held_after_a_restart(own: World) -> None:
    own.rule(channel="#oncall")
    held(own)
    own.stopped().restarted()
    own.receives("sentry", "event_alert", title="Came in while held", issue="2")
    own.after(minutes=5)
    assert own.told == []
    said = resume(own)
    assert said["resumed"] is True
    assert [one.channel for one in own.told] == ["#oncall"]
    assert own.get("/api/hold") == {**own.get("/api/hold"), "held": False}


def test_what_the_earlier_box_may_have_sent_is_not_sent_again(own: World) -> None:
    """The copy holds a message that was owed; the box went on after the copy and sent it before it was lost."""
    own.rule(channel="#oncall")
    own.receives("sentry", "event_alert", title="Owed in the copy", level="fatal", settle=False)
    held(own)
    shown = own.get("/api/hold")["plan"]
    assert [(m["kind"], m["fate"]) for m in shown["messages"]] == [("first", "drop")]
    assert "may have sent it" in shown["messages"][0]["why"]
    dry = own.post("/api/hold/resume", {"dry_run": True})
    assert dry["resumed"] is False
    assert own.get("/api/hold")["held"] is True
    resume(own)
    assert own.told == []
    # Nobody may have heard of a serious one: that is an alarm until somebody answers.
    assert "Owed in the copy" in own.house.alarms.wrong["restored"].said
    own.act(own.group("Owed in the copy"), "ack")
    own._call(own.house.hold.tend())
    assert "restored" not in own.house.alarms.wrong


def test_a_person_may_have_it_sent_all_the_same(own: World) -> None:
    own.rule(channel="#oncall")
    own.receives("sentry", "event_alert", title="Wanted", level="fatal", settle=False)
    own.receives("sentry", "event_alert", title="Unwanted", issue="2", level="fatal", settle=False)
    held(own)
    rows = own.get("/api/hold")["plan"]["messages"]
    wanted = next(row["id"] for row in rows if "Wanted" in row["group_title"])
    resume(own, keep=[wanted])
    own.after(minutes=1)  # a try that the kill cut off may have been put off for a moment
    assert [one.text for one in own.told if "Wanted" in one.text] != []
    assert not [one for one in own.told if "Unwanted" in one.text]


def test_the_queue_that_the_earlier_box_cannot_have_come_to_is_sent(own: World) -> None:
    """Slack takes a message a second: of twelve that were owed two seconds before the loss, most cannot have left."""
    own.rule(channel="#oncall")
    own._call(without(own.program, "deliver"))  # it might have told of two before the loss
    for n in range(12):
        own.receives("sentry", "event_alert", title=f"Owed {n}", issue=str(n), level="error", settle=False)
    held(own, lost_after_s=2)
    plan = own.get("/api/hold")["plan"]
    assert plan["drop"] == 4  # one on its way, one at once, one each second
    assert plan["send"] == 8
    resume(own)
    own.after(minutes=1)
    assert len(own.told) == 8


def test_edits_leave_and_what_is_over_or_too_old_does_not(own: World) -> None:
    own.rule(channel="#oncall")
    own.receives("sentry", "event_alert", title="Told")
    own.receives("sentry", "event_alert", title="Told", settle=False)
    own.receives("sentry", "event_alert", title="Over", issue="2", settle=False)
    own.receives("sentry", "event_alert", title="For long", issue="3", settle=False)
    held(own, lost_after_s=0)
    own.act(own.group("Over"), "resolve")
    own.clock.at_ms += 10 * MINUTE_MS
    plan = own.post("/api/hold/resume", {"dry_run": True, "drop_older_minutes": 5, "keep_all": True})["plan"]
    fates = {(m["group_title"], m["kind"]): m["fate"] for m in plan["messages"]}
    assert fates == {("Told", "update"): "send", ("For long", "first"): "drop"} | {
        key: "drop" for key in fates if key[0] == "Over"
    }
    resume(own, drop_older_minutes=5)
    assert ["Told" in one.text for one in own.told] == [True]
    assert own.told[0].edits == 1  # the message of before shows the state of now


def test_an_overdue_escalation_counts_again_from_the_resume(own: World) -> None:
    own.rule(channel="#oncall", escalate_after=15, escalate_to="#leads")
    own.receives("sentry", "event_alert", title="Nobody answers", level="fatal")
    own.clock.at_ms += 30 * MINUTE_MS  # the box is lost here; nobody can say when the escalation left
    held(own, copy_ago_s=1800)
    (row,) = own.get("/api/hold")["plan"]["escalations"]
    assert (row["fate"], row["channels"]) == ("later", ["#leads"])
    resume(own)
    assert [one.channel for one in own.told] == ["#oncall"]
    own.after(minutes=14)
    assert [one.channel for one in own.told] == ["#oncall"]
    own.after(minutes=2)
    assert [one.channel for one in own.told] == ["#oncall", "#leads"]


def test_an_escalation_that_came_due_while_held_is_told_at_once(own: World) -> None:
    own.rule(channel="#oncall", escalate_after=15, escalate_to="#leads")
    own.receives("sentry", "event_alert", title="Nobody answers", level="fatal")
    held(own, lost_after_s=5)
    own.after(minutes=20)
    own.receives("sentry", "event_alert", title="Settles", issue="2", environment=None)
    own.after(minutes=10)  # what comes in is routed, and nothing else that time makes due is done
    assert [row["fate"] for row in own.get("/api/hold")["plan"]["escalations"]] == ["send", "later"]
    assert [one.channel for one in own.told] == ["#oncall"]
    resume(own)
    own.after(seconds=5)
    assert [one.channel for one in own.told if "Nobody answers" in one.text] == ["#oncall", "#leads"]


def test_a_resume_is_on_record_and_done_once(own: World) -> None:
    held(own)
    resume(own)
    verbs = [row["verb"] for row in own.get("/api/audit")["items"]]
    assert "hold.resumed" in verbs
    answer = own.api.post("/api/hold/resume", json={})
    assert answer.status_code == 409
    assert "not held" in answer.json()["detail"]


def test_unknown_and_contradictory_wishes_are_refused(own: World) -> None:
    held(own)
    assert own.api.post("/api/hold/resume", json={"keep": ["0" * 13]}).status_code == 404
    assert own.api.post("/api/hold/resume", json={"keep_all": True, "drop_all": True}).status_code == 422
    assert own.get("/api/hold")["held"] is True


def test_slack_is_not_connected_while_held(own: World) -> None:
    own.channel("#oncall", app_token="xapp-tests")
    held(own)

    def wanted() -> int:
        sockets = own.program._sockets  # type: ignore[union-attr]
        own._call(sockets._follow())
        return len(sockets._open)

    assert wanted() == 0
    resume(own)
    assert wanted() == 1
