"""Tokens and secrets change without losing an alert: the earlier ones work until the overlap ends, by the clock."""

from __future__ import annotations

import json
from typing import Any

import httpx

from tests import bodies
from tests.standins import LoopThread, Receiver
from tests.standins.receiver import verify
from tests.stories.test_generic import SECRET, signed
from tests.world import World

NEW = "the-new-client-secret-of-the-tests"


def sentry(world: World, url: str, secret: str, event: str | None = None) -> int:
    """The answer to an alert at an address, signed with a secret."""
    body = bodies.body("event_alert", event=event)
    headers = {"Authorization": "", **bodies.signed(body, "event_alert", secret)}
    answer = world.api.post(httpx.URL(url).path, content=body, headers=headers)
    world.settled()
    return answer.status_code


def rotated(world: World, made: dict[str, Any], **how: Any) -> dict[str, Any]:
    answer: dict[str, Any] = world.post(f"/api/integrations/{made['id']}/rotate", how)
    return answer


def test_old_token_and_old_secret_work_until_the_overlap_ends(world: World) -> None:
    made = world.integration("sentry")
    old = made["webhook_url"]
    fresh = rotated(world, made, what="both", secret=NEW, overlap_minutes=30)
    new = fresh["webhook_url"]
    assert new != old
    assert fresh["previous_until"] == "2026-03-02T09:30:00.000Z"
    both = [(url, secret) for url in (old, new) for secret in (bodies.SECRET, NEW)]
    assert [sentry(world, *one) for one in both] == [202] * 4
    world.after(minutes=29, seconds=59)
    assert [sentry(world, *one) for one in both] == [202] * 4
    world.after(seconds=1)
    assert [sentry(world, *one) for one in both] == [404, 404, 401, 202]
    world.killed().restarted()
    assert [sentry(world, *one) for one in both] == [404, 404, 401, 202]
    assert world.group()["count"] == 10


def test_without_an_overlap_the_old_ones_end_at_once(world: World) -> None:
    made = world.integration("sentry")
    fresh = rotated(world, made, what="token", overlap_minutes=0)
    assert fresh["secret"] is None, "the vendor's secret is not ours to make"
    assert sentry(world, made["webhook_url"], bodies.SECRET) == 404
    assert sentry(world, fresh["webhook_url"], bodies.SECRET) == 202


def test_a_second_rotation_ends_the_first_ones_overlap(world: World) -> None:
    """The token before the last is not kept alive by the last one's overlap."""
    made = world.integration("sentry")
    second = rotated(world, made, what="token", overlap_minutes=60)
    third = rotated(world, made, what="token", overlap_minutes=60)
    answers = [sentry(world, one["webhook_url"], bodies.SECRET) for one in (made, second, third)]
    assert answers == [404, 202, 202]


def test_an_overlap_ends_by_the_clock_also_while_the_box_is_down(world: World) -> None:
    made = world.integration("sentry")
    rotated(world, made, what="token", overlap_minutes=30)
    world.killed()
    world.after(hours=1)
    world.restarted()
    assert sentry(world, made["webhook_url"], bodies.SECRET) == 404


def test_a_generic_integration_gets_a_new_secret_with_its_new_token(world: World) -> None:
    made = world.integration("generic", secret=SECRET)
    fresh = rotated(world, made)
    assert fresh["secret"].startswith("whsec_")
    body = {"title": "disk", "dedup_key": "disk"}

    def send(url: str, secret: str, number: str) -> int:
        headers = {"Authorization": "", **signed(world, body, number, secret)}
        return world.api.post(httpx.URL(url).path, content=json.dumps(body), headers=headers).status_code

    both = [
        (url, secret) for url in (made["webhook_url"], fresh["webhook_url"]) for secret in (SECRET, fresh["secret"])
    ]
    assert [send(*one, number=f"a{n}") for n, one in enumerate(both)] == [202] * 4
    world.after(hours=1)
    assert [send(*one, number=f"b{n}") for n, one in enumerate(both)] == [404, 404, 401, 202]


def test_a_webhook_channel_signs_with_both_secrets_until_the_overlap_ends(world: World) -> None:
    with LoopThread(Receiver()) as thread:
        made = world.channel("hook", kind="webhook", url=thread.it.url)
        world.rule("", "hook")
        fresh = world.post(f"/api/channels/{made['id']}/rotate", {"overlap_minutes": 30})
        old, new = made["secret"], fresh["secret"]
        assert old != new
        world.receives("sentry", "event_alert", issue="1", title="during the overlap")
        world.after(minutes=31)
        world._call(world.house.configure.tidy())  # once a minute of the real clock
        world.receives("sentry", "event_alert", issue="2", title="after it")
        world.after(seconds=5)
        during, after = thread.it.requests
    assert [verify(s, during.headers, during.body) for s in (old, new)] == [True, True]
    assert [verify(s, after.headers, after.body) for s in (old, new)] == [False, True]


def test_a_new_signing_secret_of_slack_works_from_the_next_press_on(world: World) -> None:
    """Slack's secrets are the vendor's: they are changed where they stand."""
    made = world.channel("#oncall")
    world.rule("")
    world.receives("sentry", "event_alert")
    assert world.api.post(f"/api/channels/{made['id']}/rotate", json={}).status_code == 409
    changed = world.api.patch(f"/api/channels/{made['id']}", json={"config": {"signing_secret": "a-new-one-of-slack"}})
    changed.raise_for_status()
    assert world.press(world.told[0], "ack").status == 401
    assert world.group()["status"] == "open"
    assert world.press(world.told[0], "ack", signed_with="a-new-one-of-slack").status == 200
    assert world.group()["status"] == "acknowledged"
