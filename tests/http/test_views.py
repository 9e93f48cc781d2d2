"""/api/views: one's own and shared ones, and who may do what."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.http.asking import Other, asking, key_of, problem
from tests.http.browsing import BOX, Browser, browser, journal
from tests.world import World


@pytest.fixture(scope="module")
def kim(world: World) -> Iterator[Browser]:
    with browser(world, "kim@example.com", "member") as it:
        yield it


@pytest.fixture(scope="module")
def vic(world: World) -> Iterator[Browser]:
    with browser(world, "vic@example.com", "viewer") as it:
        yield it


@pytest.fixture(scope="module")
def ada(world: World) -> Iterator[Browser]:
    with browser(world, "ada@example.com", "admin") as it:
        yield it


def made(who: Browser, name: str, **more: Any) -> dict[str, Any]:
    view: dict[str, Any] = who.post("/api/views", {"name": name, **more}, 201)
    return view


def names(who: Browser) -> list[str]:
    return [view["name"] for view in who.get("/api/views")["items"]]


def test_a_view_is_told_as_it_was_saved_its_search_in_its_shortest_spelling(world: World, kim: Browser) -> None:
    view = made(kim, " Night ", search="sev:critical   env:prod", sort="count", order="asc", group_by="project")
    assert {k: v for k, v in view.items() if k not in ("id", "created_at", "updated_at")} == {
        "name": "Night", "search": "severity:critical environment:prod", "sort": "count", "order": "asc",
        "group_by": "project", "shared": False, "own": True, "may_change": True,
    }  # fmt: skip
    assert view in kim.get("/api/views")["items"]
    kim.ask("DELETE", f"/api/views/{view['id']}")
    assert names(kim) == []


def test_ones_own_is_seen_by_nobody_else_and_a_shared_one_by_all(world: World, kim: Browser, vic: Browser) -> None:
    own = made(vic, "mine", search="assignee:me")
    shared = made(kim, "ours", shared=True)
    assert names(vic) == ["mine", "ours"]
    assert names(kim) == ["ours"]
    problem(kim.ask("PATCH", f"/api/views/{own['id']}", {"name": "theirs"}), 404)
    problem(kim.ask("DELETE", f"/api/views/{own['id']}"), 404)
    [seen] = [view for view in vic.get("/api/views")["items"] if view["id"] == shared["id"]]
    assert (seen["own"], seen["may_change"]) == (False, False)
    for who, path in ((vic, own), (kim, shared)):
        assert who.ask("DELETE", f"/api/views/{path['id']}").status_code == 204


def test_a_viewer_shares_nothing_and_a_member_changes_only_what_is_theirs(
    world: World, kim: Browser, vic: Browser, ada: Browser
) -> None:
    problem(vic.ask("POST", "/api/views", {"name": "x", "shared": True}), 403)
    own = made(vic, "mine")
    problem(vic.ask("PATCH", f"/api/views/{own['id']}", {"shared": True}), 403)
    by_ada = made(ada, "from above", shared=True)
    problem(kim.ask("PATCH", f"/api/views/{by_ada['id']}", {"name": "x"}), 403)
    problem(kim.ask("DELETE", f"/api/views/{by_ada['id']}"), 403)
    by_kim = made(kim, "from kim", shared=True)
    changed = ada.ask("PATCH", f"/api/views/{by_kim['id']}", {"name": "renamed", "search": "count>5"}).json()
    assert (changed["name"], changed["search"], changed["own"], changed["may_change"]) == (
        *("renamed", "count>5"),
        *(False, True),
    )
    problem(ada.ask("PATCH", f"/api/views/{by_kim['id']}", {"shared": False}), 403)
    back = kim.ask("PATCH", f"/api/views/{by_kim['id']}", {"shared": False, "group_by": ""}).json()
    assert (back["shared"], back["group_by"]) == (False, None)
    assert names(ada) == ["from above"]
    for who, view in ((ada, by_ada), (kim, by_kim), (vic, own)):
        assert who.ask("DELETE", f"/api/views/{view['id']}").status_code == 204


def test_a_name_is_taken_once_among_the_shared_and_once_among_ones_own(
    world: World, kim: Browser, ada: Browser
) -> None:
    shared, own = made(ada, "same", shared=True), made(kim, "same")
    problem(kim.ask("POST", "/api/views", {"name": "same", "shared": True}), 409)
    problem(kim.ask("POST", "/api/views", {"name": "same"}), 409)
    problem(kim.ask("PATCH", f"/api/views/{own['id']}", {"shared": True}), 409)
    assert kim.ask("PATCH", f"/api/views/{own['id']}", {"name": "same"}).status_code == 200
    for who, view in ((ada, shared), (kim, own)):
        who.ask("DELETE", f"/api/views/{view['id']}")


def test_an_api_key_makes_shared_ones_alone(world: World) -> None:
    writes = asking(world, key_of(world, "alerts:write", "alerts:read"))
    view = writes.post("/api/views", json={"name": "by a key", "shared": True})
    assert view.status_code == 201
    assert view.json()["own"] is False
    problem(writes.post("/api/views", json={"name": "own"}), 403)
    problem(asking(world, key_of(world, "alerts:read")).post("/api/views", json={"name": "y", "shared": True}), 403)
    assert world.api.delete(f"/api/views/{view.json()['id']}").status_code == 204


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"name": ""}, "name"),
        ({"name": "  "}, "name"),
        ({"name": "x" * 81}, "name"),
        ({"name": "x", "search": "severity:urgent"}, "search"),
        ({"name": "x", "sort": "age"}, "sort"),
        ({"name": "x", "order": "up"}, "order"),
        ({"name": "x", "group_by": "title"}, "group_by"),
    ],
    ids=str,
)
def test_a_wrong_view_is_named(world: World, kim: Browser, body: dict[str, Any], path: str) -> None:
    problem(kim.ask("POST", "/api/views", body), 422, "invalid", path)


def test_there_is_an_end_to_them(world: World) -> None:
    with browser(world, "many@example.com") as many:
        for n in range(100):
            made(many, f"view {n}")
        problem(many.ask("POST", "/api/views", {"name": "one more"}), 409)


def test_another_workspace_sees_none(world: World, kim: Browser, other: Other) -> None:
    view = made(kim, "here", shared=True)
    assert other.api.get("/api/views").json() == {"items": [], "next": None}
    problem(other.api.patch(f"/api/views/{view['id']}", json={"name": "x"}), 404)
    kim.ask("DELETE", f"/api/views/{view['id']}")


def test_what_somebody_searches_for_themselves_is_nobody_elses_business(world: World, kim: Browser) -> None:
    made(kim, "quiet one", search="kim")
    shared = made(kim, "loud one", shared=True)
    said = [data for verb, data in journal(world) if verb == "view_made"][-2:]
    assert [data.get("name") for data in said] == [None, "loud one"]
    kim.ask("DELETE", f"/api/views/{shared['id']}")


def test_the_views_of_somebody_who_is_gone_are_gone_too_and_told_before(world: World, ada: Browser) -> None:
    with browser(world, "gone@example.com") as gone:
        made(gone, "my own", search="assignee:me")
        number = gone.who["person"]["id"]
        told = world._call(world.house.erasure.export(1, BOX, "gone@example.com"))
        assert [view["name"] for view in told["account"]["saved_view"]] == ["my own"]
    world._call(world.house.erasure.erase(1, BOX, "gone@example.com"))
    left = world._call(
        world.house.db.read(lambda tx: tx.value("select count(*) from saved_view where name = 'my own'"))
    )
    assert (number != "", left) == (True, 0)
