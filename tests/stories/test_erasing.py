"""A person asks what is kept about them, and then to be forgotten: nothing is left, and the history still tells."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from signalcraft.domain import ids
from signalcraft.domain.group import SYSTEM
from signalcraft.errors import NotFound
from signalcraft.services.people import By
from signalcraft.storage import erasure
from tests.http.asking import Other, asking, problem
from tests.http.browsing import PASSWORD, Browser, browser, journal
from tests.world import World

EMAIL = "samantha@example.com"
NAME = "Samantha Quill"
BOX = By(SYSTEM, "owner", None, box=True)
SPEAKERS = {
    # Columns of text in which nobody is spoken of: ids, kinds, states, settings. Configuration is told by `named`.
    "workspace": {"name", "settings"},
    "integration": {"name", "kind", "config", "token_hint"},
    "channel": {"name", "kind", "config", "state", "broken_why"},
    "rule": {"name", "body"},
    "api_key": {"name", "prefix", "scopes", "account"},
    "inbox": {"state"},
    "event": {"source", "kind", "status", "project", "environment", "action"},
    "alert_group": {"scope", "group_key", "source", "project", "environment", "status"},
    "group_day": {"status"},
    "minute_count": {"what"},
    "rolled_count": {"what"},
    "rolled_key": {"what"},
    "rolled_total": {"what"},
    "conversation": {"mention", "receipt", "via"},
    "delivery": {"kind", "state"},
    "escalation": {"channels", "state"},
    "journal": {"verb"},
    "gap": {"why"},
    "saved_view": {"sort", "group_by"},
    "maintenance_run": {"kind", "state", "said", "figures"},  # of the appliance, not of people
    "fact": {"name", "value"},
    "restored": {"kind"},
    "box_secret": {"name"},
    "vault_key": {"master"},
    "fault": {"kind", "logger", "place", "level", "release", "request_id"},
    "migration": {"name", "applied_by", "checksum", "sha256"},
    # By storage/audit.py, which keeps its chain.
    "audit": {"verb", "who", "what", "actor_id", "thing_id"},
    "security_count": {"kind", "address", "actor", "route", "request_id"},
    # Gone with the account.
    **{
        table: {"*"}
        for table in (
            *("person", "membership", "password_history", "recovery_code", "session", "password_reset"),
            *("identity", "passkey", "setup_code", "sign_in_failure"),
        )
    },
    "invitation": {"email", "role"},  # rows of their address are deleted
}


def test_every_column_of_text_is_looked_through_or_said_to_tell_of_nobody(world: World) -> None:
    """A new column that may name people is declared in storage/erasure.py."""
    looked = {place.table: set(place.columns) for place in erasure.KEPT}
    unknown = []
    with world.house.db.reading() as reader:
        for (table,) in reader.all("select name from sqlite_master where type = 'table' and name not like 'sqlite_%'"):
            silent = SPEAKERS.get(table, set())
            for column, kind in reader.all("select name, lower(type) from pragma_table_info(?)", (table,)):
                known = column in silent or column in looked.get(table, set()) or "*" in silent
                if kind == "text" and not known:
                    unknown.append(f"{table}.{column}")
    assert unknown == []


def everywhere(world: World) -> bytes:
    """Every file of the data directory, and every webhook's body unpacked."""
    from signalcraft.storage import inbox

    with world.house.db.reading() as reader:
        rows = [row[0] for row in reader.all("select id from inbox")]
        bodies = b"".join(inbox.body(reader, 1, number) for number in rows)
    return bodies + b"".join(p.read_bytes() for p in world.data_dir.glob("signalcraft.db*"))


class Life:
    """What Samantha leaves behind in a box, and what Kim does beside her."""

    def __init__(self, world: World) -> None:
        self.world = world
        world.channel("#oncall")
        world.rule("")
        self.kim = browser(world, "kim@example.com", "owner")
        invited = self.kim.post("/api/invitations", {"email": EMAIL, "role": "member"})
        self.sam = Browser(world)
        assert self.sam.accepts(invited["url"], EMAIL, name=NAME).status_code in (200, 201)
        self.id = self.sam.who["person"]["id"]
        self.sam.enrols()
        with Browser(world) as wrong:
            wrong.signs_in(EMAIL, "not her password")
        world.receives(
            "sentry", "event_alert", issue="1", title=f"no mail to {EMAIL}", tags={"user.email": EMAIL},
            message=f"user {EMAIL.upper()} " + "long " * 100,
        )  # fmt: skip
        world.receives("sentry", "event_alert", issue="2", title="another problem")
        world.after(seconds=5)
        self.first = next(g for g in world.groups() if g["title"] == "another problem")
        self.second = next(g for g in world.groups() if g["title"] != "another problem")
        self.sam.post(f"/api/alert-groups/{self.first['id']}/ack", {"note": f"ask {EMAIL}"})
        self.sam.post(f"/api/alert-groups/{self.first['id']}/resolve", {"note": f"done by {NAME}"})
        self.kim.post(f"/api/alert-groups/{self.second['id']}/ack", {})
        self.kim.post(
            f"/api/alert-groups/{self.second['id']}/assign",
            {"assignee": {"kind": "person", "id": self.id, "name": NAME}},
        )
        world.after(hours=3)  # the next one is a new group, which remembers how the last one ended
        world.receives("sentry", "event_alert", issue="2", title="another problem")
        self.third = next(g for g in world.groups() if g["title"] == "another problem")
        assert self.third["id"] != self.first["id"]
        self.kim.post("/api/auth/step-up", {"password": PASSWORD})

    def __enter__(self) -> Life:
        return self

    def __exit__(self, *_: object) -> None:
        self.kim.client.close()
        self.sam.client.close()

    def timeline(self, group: dict[str, Any]) -> list[tuple[str, str]]:
        """(verb, who) of a group's lines."""
        lines = self.world.get(f"/api/alert-groups/{group['id']}/timeline")["items"]
        return [(line["verb"], (line["actor"] or {}).get("name", "")) for line in lines]


def test_everything_about_a_person_is_told_as_json(world: World) -> None:
    """SEC-25: account, sessions, what they did, events with their address, the audit log; no hash, no sealed secret."""
    with Life(world) as life:
        told = life.kim.post(f"/api/people/{life.id}/export")
        text = json.dumps(told)
        assert told["account"]["person"][0]["email"] == EMAIL
        assert told["account"]["session"][0]["address"] == "127.0.0.1"
        assert told["account"]["membership"][0]["role"] == "member"
        assert {row["actor"]["name"] for row in told["records"]["journal"]} >= {NAME}
        assert [row["acknowledged_by"] for row in told["records"]["alert_group"]].count(NAME) >= 1
        assert EMAIL in told["records"]["inbox"][0]["body"]
        assert len(told["records"]["event"]) == 1
        assert {row["verb"] for row in told["audit"]} >= {"invited", "invitation_accepted", "second_factor_on"}
        assert "password_hash" not in text
        assert "argon2" not in text
        assert PASSWORD not in text
        assert "kim@example.com" not in json.dumps(told["account"])
        verbs = [verb for verb, _ in journal(world)]
        assert verbs.count("person_exported") == 1
        assert EMAIL not in json.dumps([d for v, d in journal(world) if v == "person_exported"], default=str)
        problem(life.sam.ask("POST", f"/api/people/{life.id}/export"), 403, "forbidden")


def test_an_erased_person_is_nowhere_and_the_history_still_tells(world: World) -> None:
    """SEC-25, item 11: not in the tables, not in bodies, free pages or the write-ahead log; the chain still holds."""
    marks = (EMAIL.encode(), EMAIL.upper().encode(), NAME.encode())
    with Life(world) as life:
        before = everywhere(world)
        assert all(mark in before for mark in marks), "what is looked for can be found"
        lines = {g["id"]: life.timeline(g) for g in (life.first, life.second)}
        counts = {g["id"]: g["count"] for g in world.groups()}
        done = life.kim.post(f"/api/people/{life.id}/erase")
        assert done["done"]
        assert done["person"].startswith("erased-")
        assert set(done["rows"]) >= {"journal", "alert_group", "event", "inbox"}
        after = everywhere(world)
        assert [mark for mark in (*marks, life.id.encode()) if mark in after] == []
        assert not life.sam.signed_in
        with Browser(world) as again:
            assert again.signs_in(EMAIL).status_code == 401
        assert [p["email"] for p in life.kim.get("/api/people")["items"]] == ["kim@example.com"]
        # The groups are what they were, by somebody who is nobody now.
        assert {g["id"]: g["count"] for g in world.groups()} == counts
        for group in (life.first, life.second):
            was, now = lines[group["id"]], life.timeline(group)
            assert [verb for verb, _ in now] == [verb for verb, _ in was]
            assert [who for _, who in now] == [who.replace(NAME, "erased person") for _, who in was]
        ended = world.get(f"/api/alert-groups/{life.first['id']}")
        assert (ended["status"], ended["acknowledged_by"]) == ("resolved", "erased person")
        held = world.get(f"/api/alert-groups/{life.second['id']}")
        assert (held["acknowledged_by"], held["assignee"]["name"]) == ("kim", "erased person")
        assert world.get("/api/audit/verification")["holds"]
        # Bodies are still JSON, and the same problem goes on in its group.
        world.receives("sentry", "event_alert", issue="1", title="no mail to [erased]")
        world.killed()
        world.restarted()
        assert world.get("/api/audit/verification")["holds"]
        assert world.house.registry.problems == ()


def test_what_names_them_in_the_configuration_is_told_to_be_changed(world: World) -> None:
    with Life(world) as life:
        world.channel(
            "mail", kind="email", host="127.0.0.1", port=2525, sender="a@example.com", recipients=[EMAIL]
        )  # fmt: skip
        done = life.kim.post(f"/api/people/{life.id}/erase")
        assert done["named"] == ['channel "mail"']


def test_somebody_without_an_account_is_found_by_slack_id(world: World) -> None:
    """Who only ever pressed buttons."""
    world.channel("#oncall")
    world.rule("")
    world.receives("sentry", "event_alert")
    world.after(seconds=5)
    world.press(world.told[0], "ack", by="Sam")
    entry = next(d for v, d in journal(world) if v == "acknowledged")["by"]
    assert entry.kind == "slack"
    house = world.house
    with pytest.raises(NotFound):
        world._call(house.erasure.export(1, BOX, "slack:U0NOBODY9"))
    told = world._call(house.erasure.export(1, BOX, f"slack:{entry.id}"))
    assert told["account"] == {}
    assert told["records"]["journal"][0]["actor"]["id"] == entry.id
    done = world._call(house.erasure.erase(1, BOX, f"slack:{entry.id}", [f"name:{entry.name}"]))
    assert done.rows["alert_group"] == 1
    assert world.group()["acknowledged_by"] == world.group()["assignee"]["name"] == "erased person"
    after = everywhere(world)
    assert entry.id.encode() not in after
    with pytest.raises(NotFound):
        world._call(house.erasure.erase(1, BOX, f"slack:{entry.id}"))


def test_a_namesake_keeps_their_name(world: World) -> None:
    """Two people with one name: only what bears the id of the one is replaced."""
    with Life(world) as life:
        by = By(SYSTEM, "owner", None, box=True)
        world._call(world.house.people.add(1, by, "other@example.com", NAME, "member", PASSWORD))
        with Browser(world) as other:
            other.signs_in("other@example.com")
            other.post(f"/api/alert-groups/{life.third['id']}/ack", {})
        life.kim.post(f"/api/people/{life.id}/erase")
        assert world.get(f"/api/alert-groups/{life.third['id']}")["acknowledged_by"] == NAME
        assert ("acknowledged", NAME) in life.timeline(life.third)
        assert ("acknowledged", "erased person") in life.timeline(life.first)


def test_who_may_not_be_erased(world: World) -> None:
    """The last owner; an owner by an admin; somebody of another workspace; and nobody by a member."""
    with Life(world) as life, Other(world) as other, browser(world, "admin@example.com", "admin") as admin:
        kim = life.kim.who["person"]["id"]
        problem(life.kim.ask("POST", f"/api/people/{kim}/erase"), 409, "conflict")
        assert life.kim.signed_in
        problem(admin.ask("POST", f"/api/people/{kim}/erase"), 403, "forbidden")
        problem(life.sam.ask("POST", f"/api/people/{life.id}/erase"), 403, "forbidden")
        answer = asking(world, other.api.headers["authorization"].removeprefix("Bearer ")).post(
            f"/api/people/{life.id}/erase"
        )
        problem(answer, 404, "not_found")

        def join(tx: Any) -> None:
            from signalcraft.storage import people

            people.join(tx, 2, ids.parse(life.id), "viewer", 0)

        world._call(world.house.db.write(join))
        problem(life.kim.ask("POST", f"/api/people/{life.id}/erase"), 409, "conflict")
        world._call(world.house.erasure.erase(1, BOX, EMAIL))
        assert EMAIL.encode() not in everywhere(world)


def test_an_erasure_killed_in_the_middle_is_asked_for_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    with Life(world) as life:
        house = world.house

        def dies(*_: Any) -> Any:
            raise RuntimeError("killed")

        monkeypatch.setattr(erasure, "forget", dies)
        with pytest.raises(RuntimeError, match="killed"):
            world._call(house.erasure.erase(1, BOX, EMAIL))
        assert not life.sam.signed_in, "the account is shut first"
        monkeypatch.undo()
        world.killed()
        world.restarted()
        world._call(world.house.erasure.erase(1, BOX, EMAIL))
        assert EMAIL.encode() not in everywhere(world)


def test_an_erasure_whose_end_nobody_fetched_does_not_stand_for_a_later_one(world: World) -> None:
    """Asked for again much later, it is about what was written since."""
    with Life(world) as life:
        asked = (1, BOX, EMAIL)
        assert world._call(world.house.erasure.erase_for(0, *asked)) is None
        deadline = time.monotonic() + 60
        while not world.house.erasure._errands._ended and time.monotonic() < deadline:
            time.sleep(0.1)
        assert EMAIL.encode() not in everywhere(world)
        world.clock.at_ms += 3_600_000
        life.kim.post("/api/auth/step-up", {"password": PASSWORD})
        life.kim.post("/api/invitations", {"email": EMAIL, "role": "member"})
        assert EMAIL.encode() in everywhere(world)
        assert world._call(world.house.erasure.erase_for(30, *asked)) is not None
        assert EMAIL.encode() not in everywhere(world)


def test_an_erasure_in_one_workspace_does_not_stand_for_one_in_the_whole_box(world: World) -> None:
    with Life(world):
        assert world._call(world.house.erasure.erase_for(0, 1, BOX, EMAIL, only=1)) is None
        with pytest.raises(NotFound):
            world._call(world.house.erasure.erase_for(30, 1, BOX, EMAIL))
