"""The box itself: a wrong key, a clock that steps, another workspace, an end in order, a full disk."""

from __future__ import annotations

import asyncio
import hashlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import apsw
import httpx
import pytest

from signalcraft.domain.group import SYSTEM
from signalcraft.errors import BadSetting
from signalcraft.main import program
from tests import bodies
from tests.trials.senders import Ledger, send_until_dead
from tests.world import BOT_TOKEN, World


def files(folder: Path) -> dict[str, str]:
    """What stands in a data directory, by content; the lock names whoever held it last."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.iterdir()
        if path.is_file() and path.name != "lock"
    }


# -- the master key ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["another key", "no key"])
def test_a_start_without_the_right_master_key_is_refused_and_touches_nothing(world: World, how: str) -> None:
    world.rule("", escalate_after=15, escalate_to="#leads")
    world.receives("sentry", "event_alert")
    world.stopped()
    key = world.data_dir / "master.key"
    kept = key.read_bytes()
    if how == "no key":
        key.unlink()
    else:
        world.settings["security.master_key"] = "ab" * 32
    before = files(world.data_dir)
    with pytest.raises(BadSetting, match="master key"):
        world.restarted()
    assert files(world.data_dir) == before
    key.write_bytes(kept)
    key.chmod(0o600)
    world.settings.pop("security.master_key", None)
    world.restarted().after(minutes=20)
    assert world.told[-1].channel == "#leads", "with its own key all goes on: tokens open, what was to come comes"
    assert world.receives("sentry", "event_alert")["duplicate"] is False


# -- the clock --------------------------------------------------------------------------------------------------------


def test_a_clock_that_steps_back_an_hour_delays_nothing_and_ids_go_on(world: World) -> None:
    world.rule("", escalate_after=15, escalate_to="#leads")
    first = world.receives("sentry", "event_alert", issue="1", title="before")
    world.after(minutes=10)
    world.clock.at_ms -= 3_600_000
    world.settled()
    later = world.receives("sentry", "event_alert", issue="2", title="after")
    assert later["event_id"] > first["event_id"], "ids sort by the order in which things happened"
    world.after(seconds=2)
    assert [t.channel for t in world.told] == ["#oncall", "#oncall"]
    world.after(minutes=5)
    assert [t for t in world.told if t.channel == "#leads"] == [("#leads", "before")], "five minutes were left"
    world.after(minutes=10)
    assert sum(t.channel == "#leads" for t in world.told) == 2
    assert world.owed() == []


def test_a_clock_that_jumps_ahead_tells_what_came_due_once(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.rule("", escalate_after=15, escalate_to="#leads")
    for n in range(5):
        world.receives("sentry", "event_alert", issue=str(n), title=f"problem {n}")
    world.after(seconds=30)
    world.clock.at_ms += 2 * 3_600_000
    world.settled().after(seconds=30)
    leads = [t for t in world.told if t.channel == "#leads"]
    assert sorted(t.text.split("problem ")[1][:1] for t in leads) == ["0", "1", "2", "3", "4"]
    assert min(b.at_ms - a.at_ms for a, b in pairwise(leads)) >= 1000, "spaced"
    assert "the clock stepped: what came due is told late" in caplog.messages
    assert world.slack.refused_429 == 0
    world.after(hours=1)
    assert sum(t.channel == "#leads" for t in world.told) == 5


# -- another workspace ------------------------------------------------------------------------------------------------


@pytest.fixture
def theirs(world: World) -> Iterator[httpx.Client]:
    """A second workspace, and a key of its own."""
    house = world.house
    house.db.call(lambda tx: tx.run("insert into workspace (id, name, created_ms) values (2, 'theirs', 0)"))
    with house.db.reading() as reader:
        house.registry.reload(reader)
    key = world._call(house.accounts.create_key(2, "theirs", ["admin"], None, SYSTEM)).key
    headers = {"Authorization": f"Bearer {key}"}
    with httpx.Client(base_url=world.api.base_url, headers=headers, timeout=20, trust_env=False) as client:
        yield client


def test_two_workspaces_do_not_see_tell_or_fold_each_other(world: World, theirs: httpx.Client) -> None:
    """The same Sentry issue, sent to both: a group in each, told in its own channel, answered by its own people."""
    world.rule("")
    world.slack.add_channel("theirs")
    config = {"bot_token": BOT_TOKEN, "signing_secret": "the-signing-secret-of-theirs", "channel": "#theirs"}
    theirs.post("/api/channels", json={"name": "#theirs", "kind": "slack", "config": config}).raise_for_status()
    rule = {"name": "all", "when": {}, "channels": ["#theirs"]}
    theirs.post("/api/routing-rules", json=rule).raise_for_status()
    said = {"name": "sentry", "kind": "sentry", "config": {"secret": bodies.SECRET}}
    url = theirs.post("/api/integrations", json=said).raise_for_status().json()["webhook_url"]
    event = "e" * 32
    ours = world.receives("sentry", "event_alert", event=event)
    body = bodies.body("event_alert", event=event)
    answer = theirs.post(httpx.URL(url).path, content=body, headers=bodies.signed(body, "event_alert"))
    world.settled()
    (other,) = answer.json()["events"]
    assert other["duplicate"] is False
    assert other["group_id"] != ours["group_id"]
    assert sorted(t.channel for t in world.told) == ["#oncall", "#theirs"]
    lists = ("alert-groups", "events", "deliveries", "channels", "integrations", "routing-rules", "quarantine")
    for client, own, foreign in ((world.api, ours, other), (theirs, other, ours)):
        assert [g["id"] for g in client.get("/api/alert-groups").json()["items"]] == [own["group_id"]]
        for path in (f"alert-groups/{foreign['group_id']}", f"events/{foreign['event_id']}"):
            assert client.get(f"/api/{path}").status_code == 404, path
        assert client.post(f"/api/alert-groups/{foreign['group_id']}/ack", json={}).status_code == 404
        for name in lists:
            seen = {i.get("id") or i.get("event_id") for i in client.get(f"/api/{name}").json()["items"]}
            others = theirs if client is world.api else world.api
            assert not seen & {i.get("id") or i.get("event_id") for i in others.get(f"/api/{name}").json()["items"]}
    # A press that the other workspace's Slack app signed does not reach over.
    told = next(t for t in world.told if t.channel == "#oncall")
    world.press(told, "ack", signed_with="the-signing-secret-of-theirs")
    assert world.group()["status"] == "open"
    refused = theirs.patch("/api/workspace", json={"default_channels": ["#oncall"]})
    assert refused.status_code == 422, "nor can it name a channel that is not its own"


# -- an end in order --------------------------------------------------------------------------------------------------


def test_an_open_stream_and_a_stalled_upload_do_not_hold_up_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stream ends by itself; the upload, given half a minute, is cut off when the bound is reached."""
    monkeypatch.setattr(program, "REQUESTS_S", 1.5)
    with World(tmp_path / "data", **{"http.request_seconds": "30"}) as world:
        world.rule("")
        world.receives("sentry", "event_alert")
        read: list[bytes] = []
        opened = threading.Event()

        def follow() -> None:
            with world.api.stream("GET", "/api/live") as stream:
                for piece in stream.iter_raw():
                    read.append(piece)
                    opened.set()

        listener = threading.Thread(target=follow)
        listener.start()
        assert opened.wait(60)
        url = httpx.URL(world.integrations["sentry"]["webhook_url"])
        with socket.create_connection((url.host, url.port or 80)) as upload:
            upload.sendall(f"POST {url.path} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nabc".encode())
            time.sleep(0.2)
            began = time.monotonic()
            world.stopped()
            took = time.monotonic() - began
        listener.join(5)
        assert not listener.is_alive(), "the stream ended"
        assert took < 6, f"{took:.1f} s"
        world.restarted()
        assert world.group()["count"] == 1


def test_what_was_accepted_while_it_ended_is_stored(world: World) -> None:
    """Senders post at full speed into a stop in order: every 202 is there afterwards, with the right count."""
    world.channel("#oncall")
    made = world.integration("sentry")
    url = httpx.URL(made["webhook_url"])
    ledger = Ledger()

    def load() -> None:
        asyncio.run(send_until_dead(url.host, url.port or 80, url.path, ledger, ["1", "2", "3"], 20, connections=8))

    sender = threading.Thread(target=load)
    sender.start()
    time.sleep(0.5)
    world.stopped()
    sender.join(10)
    assert not sender.is_alive()
    assert len(ledger.acknowledged) > 20
    world.restarted()
    stored = world.house.db.call(lambda tx: dict(tx.all("select source_event_id, group_id from event")))
    assert set(ledger.acknowledged) <= set(stored)
    counts = world.house.db.call(lambda tx: dict(tx.all("select id, count from alert_group")))
    for group_id, count in counts.items():
        assert count == sum(group == group_id for group in stored.values())


def test_what_was_on_its_way_at_a_kill_waits_for_no_lease(world: World) -> None:
    """The lock on the data directory proves the earlier process dead: all that it had in hand is owed again at once."""
    world.rule("")
    world.slack.stall(30, times=1)
    world.receives("sentry", "event_alert", settle=False)
    until = time.monotonic() + 30
    while [d["state"] for d in world.owed()] != ["sending"]:
        assert time.monotonic() < until, "it is taken in hand"
        time.sleep(0.02)
    world.killed().restarted().after(seconds=3)
    assert [t.channel for t in world.told] == ["#oncall"]
    assert world.owed() == []


# -- a full disk ------------------------------------------------------------------------------------------------------


def room(world: World, pages: int | None) -> None:
    """Lets the database grow by so many pages and no further; None: without end."""

    def work(tx: Any) -> None:
        most = 2**31 if pages is None else tx.value("pragma page_count") + pages
        tx.one(f"pragma max_page_count = {most}")

    world.house.db.call(work)


def well_again(world: World) -> None:
    """Health says so some seconds after the last write that failed."""
    for _ in range(100):
        world.clock.at_ms += 3_000  # that it lives is written down now and then
        if world.api.get("/health").json()["components"]["database"]["status"] == "ok":
            return
        time.sleep(0.2)
    raise AssertionError("the disk counts as full for ever")


def test_a_full_disk_refuses_senders_loses_nothing_and_is_over_by_itself(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.rule("")
    kept = [world.receives("sentry", "event_alert", issue="1", title="before", message="x" * 3000)]
    room(world, 12)
    refused = 0
    for n in range(60):
        noise = hashlib.sha512(str(n).encode()).hexdigest() * 20  # does not compress away
        body = bodies.body("event_alert", issue="1", title="before", message=noise)
        answer = world.sends("sentry", body, bodies.signed(body, "event_alert"), settle=False)
        if answer.status_code == 202:
            kept.append(answer.json()["events"][0])
            continue
        refused += 1
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) > 0
        assert answer.json()["code"] == "busy"
        if refused == 3:
            break
    assert refused == 3, "the disk was to be full by then"
    health = world.api.get("/health").json()
    assert health["components"]["database"]["status"] == "failing"
    assert "the disk is full: senders are told" in health["components"]["database"]["detail"]
    world.clock.at_ms += 10_000  # long enough for the gap to be written down, were there room
    time.sleep(1.2)
    room(world, None)
    kept.append(world.receives("sentry", "event_alert", issue="2", title="after"))
    world.after(seconds=10)
    well_again(world)
    assert "nothing can be written: senders are told" in caplog.text
    assert "it can be written again" in caplog.text
    for receipt in kept:
        assert world.api.get(f"/api/events/{receipt['event_id']}").status_code == 200
    assert {g["title"]: g["count"] for g in world.groups()} == {"before": len(kept) - 1, "after": 1}
    assert len(world.told) == 2
    gaps = world.house.db.call(lambda tx: tx.all("select why, refused from gap"))
    assert gaps == [("disk full", 3)], "who was sent away is remembered, though nothing could be written then"


def switch(world: World, on: int) -> None:
    """SQLite's own switch for writes, on the writer's connection, in a moment in which it is not in use."""
    for _ in range(100):
        try:
            world.house.db._connection.execute(f"pragma query_only = {on}").fetchall()
            return
        except apsw.ThreadingViolationError:
            time.sleep(0.01)
    raise AssertionError("the writer's connection is never idle")


def test_a_disk_that_became_read_only_refuses_senders_and_is_over_by_itself(world: World) -> None:
    """Injected by SQLite's own switch, which fails every write as a read-only file system does."""
    world.rule("")
    first = world.receives("sentry", "event_alert", issue="1")
    switch(world, 1)
    body = bodies.body("event_alert", issue="2")
    for _ in range(3):
        answer = world.sends("sentry", body, bodies.signed(body, "event_alert"), settle=False)
        assert (answer.status_code, answer.json()["code"]) == (503, "busy")
        assert int(answer.headers["retry-after"]) > 0
    detail = world.api.get("/health").json()["components"]["database"]["detail"]
    assert "read-only" in detail
    assert world.api.get(f"/api/events/{first['event_id']}").status_code == 200, "reading goes on"
    switch(world, 0)
    assert world.sends("sentry", body, bodies.signed(body, "event_alert")).status_code == 202
    well_again(world)


def test_a_reader_of_ours_that_trips_costs_nobody_an_alert(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """422 and kept, never a 500 that loses it; read again once it is mended."""
    from signalcraft.sources import sentry

    world.rule("")
    real = sentry.read
    monkeypatch.setattr(sentry, "read", lambda *_: {}["nothing like that"])
    body = bodies.body("event_alert")
    answer = world.sends("sentry", body, bodies.signed(body, "event_alert"))
    assert answer.status_code == 422
    assert "KeyError" in answer.json()["detail"]
    monkeypatch.setattr(sentry, "read", real)
    world.post(f"/api/quarantine/{answer.json()['quarantine_id']}/replay")
    world.settled()
    assert world.told == [("#oncall", "TypeError in checkout")]
    assert json.loads(world.api.get(f"/api/events/{_only(world)}/payload").content) == json.loads(body)


def _only(world: World) -> str:
    (event,) = world.get("/api/events")["items"]
    return str(event["event_id"])
