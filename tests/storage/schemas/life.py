"""A SignalCraft that met a little of everything, so that every table has something in it."""

from __future__ import annotations

import logging
from pathlib import Path

from tests.http.browsing import OTHER_PASSWORD, PASSWORD, Browser, browser, person, token_of
from tests.http.softkey import enrolled
from tests.world import World


def live(folder: Path) -> None:
    """Leaves a data directory behind."""
    with World(folder) as world:
        _alerts(world)
        _people(world)
        _rest(world)
        world.killed().restarted()
        world.after(minutes=2)
        world._call(world.house.rollups.fold())


def _alerts(world: World) -> None:
    world.channel("#oncall")
    world.channel("#leads")
    world.rule("environment == prod", "#oncall", escalate_after=15, escalate_to="#leads", name="production",
               runbook_url="https://example.com/runbook")  # fmt: skip
    for issue, title in enumerate(("cannot reach the database", "card was refused", "mail is late"), 1):
        world.receives("sentry", "event_alert", issue=str(issue), title=title, environment="prod", level="error")
    world.receives("sentry", "event_alert", issue="1", title="cannot reach the database", environment="prod")
    world.sends("generic", b'{"title": "a disk fills", "severity": "high", "dedup_key": "disk"}',
                {"content-type": "application/json"})  # fmt: skip
    world.sends("generic", b'{"half": ', {"content-type": "application/json"})
    world.sends("sentry", b"{}", {"sentry-hook-signature": "wrong", "sentry-hook-resource": "issue"})
    world.after(minutes=20)
    by_title = {group["title"]: group for group in world.groups()}
    world.act(by_title["card was refused"], "ack", note="looking at it")
    world.act(by_title["mail is late"], "snooze", minutes=600)
    world.act(by_title["a disk fills"], "resolve", note="made room")
    comment = {"body": "see the **dashboard**"}
    world.post(f"/api/alert-groups/{by_title['card was refused']['id']}/comments", comment)
    world.post("/api/views", {"name": "ours", "search": "status:open", "shared": True})


def _people(world: World) -> None:
    with browser(world, "olga@example.com", "owner") as olga:
        invited = olga.post("/api/invitations", {"email": "gus@example.com", "role": "member"})
        olga.post("/api/invitations", {"email": "ina@example.com", "role": "viewer"})
        with Browser(world) as gus:
            assert gus.accepts(invited["url"], "gus@example.com", name="Gus").status_code == 201
            gus.enrols()
        enrolled(olga)
        olga.post("/api/auth/password", {"current": PASSWORD, "new": OTHER_PASSWORD})
        with Browser(world) as stranger:
            stranger.signs_in("olga@example.com", "a wrong one")
        tom = person(world, "tom@example.com")
        assert token_of(olga.post(f"/api/people/{tom}/reset-link", {})["url"])
        group = next(one for one in world.groups() if one["status"] == "acknowledged")
        olga.post(f"/api/alert-groups/{group['id']}/share", {"hours": 24})
        olga.post(f"/api/alert-groups/{group['id']}/assign",
                  {"assignee": {"kind": "person", "id": olga.who["person"]["id"], "name": "olga"}})  # fmt: skip


def _rest(world: World) -> None:
    """What needs other companies' servers, or an accident."""
    logging.getLogger("signalcraft.tests").error("something broke on purpose")
    world._call(world.house.faults.flush())
    world._call(world.house.security.flush())

    def write(tx: object) -> None:
        run = tx.run  # type: ignore[attr-defined]
        number = tx.value("select id from person order by id limit 1")  # type: ignore[attr-defined]
        run("insert into identity values (1, ?, 'https://id.example.com', 'subject-1', 'olga@example.com', 1, 2)",
            (number,))  # fmt: skip
        run("insert into gap values (1, 1, 'down', ?1, ?1 + 60000, 3)", (world.clock.at_ms,))
        run("insert into maintenance_run values (1, 'backup', 'ok', ?1, ?1 + 5000, 'a backup', '{\"bytes\": 5}')",
            (world.clock.at_ms,))  # fmt: skip

    world._call(world.house.db.write(write))
