"""Comments on an alert group: written, changed, deleted; in the timeline; live; gone with their author."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.http.asking import Other, asking, key_of, problem
from tests.http.browsing import QUIET, Browser, browser
from tests.http.test_live import group_event, listening
from tests.world import World

TEXT = "# What I saw\n\nThe *pool* is empty & <b>bold</b> \N{SNOWMAN}\n"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with World(tmp_path_factory.mktemp("world") / "data", **QUIET) as it:
        it.channel("#oncall")
        yield it


@pytest.fixture
def path(world: World) -> str:
    world.receives("sentry", "event_alert", issue=str(world.clock.at_ms), title=f"at {world.clock.at_ms}")
    world.after(seconds=1)
    return f"/api/alert-groups/{world.groups()[0]['id']}"


@pytest.fixture(scope="module")
def sam(world: World) -> Iterator[Browser]:
    with browser(world, "sam@example.com") as it:
        yield it


@pytest.fixture(scope="module")
def kim(world: World) -> Iterator[Browser]:
    with browser(world, "kim@example.com") as it:
        yield it


def test_a_comment_is_kept_as_it_was_written(world: World, sam: Browser, path: str) -> None:
    made = sam.post(f"{path}/comments", {"body": TEXT}, 201)
    assert made["body"] == TEXT
    assert made["author"] == {"kind": "user", "id": sam.who["person"]["id"], "name": "sam"}
    assert (made["mine"], made["edited_at"]) == (True, None)
    assert sam.get(f"{path}/comments") == {"items": [made], "next": None}


def test_comments_come_oldest_first_in_pages(sam: Browser, path: str) -> None:
    for n in range(5):
        sam.post(f"{path}/comments", {"body": f"n {n}"})
    first = sam.get(f"{path}/comments?limit=3")
    rest = sam.get(f"{path}/comments?limit=3&cursor={first['next']}")
    assert [one["body"] for one in first["items"] + rest["items"]] == [f"n {n}" for n in range(5)]
    assert rest["next"] is None


@pytest.mark.parametrize("body", ["", "  \n\t ", "x" * 10_001, "\N{SNOWMAN}" * 3_334])
def test_an_empty_or_endless_comment_is_refused(sam: Browser, path: str, body: str) -> None:
    problem(sam.ask("POST", f"{path}/comments", {"body": body}), 422)
    assert sam.get(f"{path}/comments")["items"] == []


def test_ten_thousand_bytes_are_taken(sam: Browser, path: str) -> None:
    assert len(sam.post(f"{path}/comments", {"body": "x" * 10_000})["body"]) == 10_000


def test_only_the_author_and_admins_change_and_delete_it(world: World, sam: Browser, kim: Browser, path: str) -> None:
    number = sam.post(f"{path}/comments", {"body": "mine"})["id"]
    one = f"{path}/comments/{number}"
    problem(kim.ask("PATCH", one, {"body": "yours"}), 403, "forbidden")
    problem(kim.ask("DELETE", one), 403, "forbidden")
    world.after(minutes=1)
    changed = sam.ask("PATCH", one, {"body": "changed"}).json()
    assert changed["body"] == "changed"
    assert changed["edited_at"] is not None
    with browser(world, f"admin{number}@example.com", "admin") as admin:
        assert admin.get(f"{path}/comments")["items"][0]["mine"] is False
        assert admin.ask("PATCH", one, {"body": "by an admin"}).json()["author"]["name"] == "sam"
        assert admin.ask("DELETE", one).status_code == 204
    assert sam.get(f"{path}/comments")["items"] == []
    problem(sam.ask("DELETE", one), 404, "not_found")


def test_a_viewer_reads_and_does_not_write(world: World, sam: Browser, path: str) -> None:
    sam.post(f"{path}/comments", {"body": "to be read"})
    with browser(world, f"viewer{path[-5:]}@example.com", "viewer") as viewer:
        assert viewer.get(f"{path}/comments")["items"][0]["body"] == "to be read"
        problem(viewer.ask("POST", f"{path}/comments", {"body": "no"}), 403, "forbidden")


def test_a_comment_of_another_group_or_workspace_is_not_found(world: World, sam: Browser, path: str) -> None:
    number = sam.post(f"{path}/comments", {"body": "here"})["id"]
    world.receives("sentry", "event_alert", issue="other one", title="other one")
    other = f"/api/alert-groups/{world.groups()[0]['id']}"
    problem(sam.ask("PATCH", f"{other}/comments/{number}", {"body": "there"}), 404, "not_found")
    with Other(world) as elsewhere:
        problem(elsewhere.api.get(f"{path}/comments"), 404, "not_found")
        problem(elsewhere.api.delete(f"{path}/comments/{number}"), 404, "not_found")


def test_the_timeline_shows_what_it_says_now(sam: Browser, path: str) -> None:
    number = sam.post(f"{path}/comments", {"body": TEXT})["id"]

    def line() -> dict[str, Any]:
        found = [m for m in sam.get(f"{path}/timeline")["items"] if m["verb"] == "commented"]
        return dict(found[0])

    assert line()["actor"]["name"] == "sam"
    assert line()["data"] == {"comment": number, "text": TEXT}
    sam.ask("PATCH", f"{path}/comments/{number}", {"body": "changed"})
    assert line()["data"].keys() == {"comment", "text", "edited"}
    assert line()["data"]["text"] == "changed"
    sam.ask("DELETE", f"{path}/comments/{number}")
    assert line()["data"] == {"comment": number, "deleted": True}


def test_whoever_looks_at_the_group_hears_of_it_at_once(world: World, sam: Browser, path: str) -> None:
    with listening(world) as stream:
        stream.wait(lambda event: event["event"] == "health")
        sam.post(f"{path}/comments", {"body": "look"})
        told = stream.wait(group_event("commented", path.rpartition("/")[2]))
    assert told["data"]["actor"]["name"] == "sam"


def test_erasing_a_person_takes_their_name_from_comments(world: World, path: str) -> None:
    with browser(world, "gone@example.com") as gone:
        gone.post(f"{path}/comments", {"body": "I am gone@example.com"})
        number = gone.who["person"]["id"]
    world.post(f"/api/people/{number}/erase", {})
    (comment,) = world.get(f"{path}/comments")["items"]
    assert comment["author"]["name"] == "erased person"
    assert "gone@" not in comment["body"]


def test_an_api_key_comments_in_its_own_name(world: World, path: str) -> None:
    api = asking(world, key_of(world, "alerts:write"))
    made = api.post(f"{path}/comments", json={"body": "deployed"})
    assert made.status_code == 201
    assert made.json()["author"]["kind"] == "api_key"
    problem(asking(world, key_of(world, "alerts:read")).post(f"{path}/comments", json={"body": "x"}), 403)
