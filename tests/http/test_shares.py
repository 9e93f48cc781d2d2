"""Links that show one alert group for a while: what they show, to whom, and when they end."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.http.asking import asking, problem
from tests.http.browsing import QUIET, browser
from tests.world import World

EVIL = '<script>alert(1)</script>"><img src=x onerror=alert(2)>'


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with World(tmp_path / "data", **QUIET) as it:
        it.channel("#oncall")
        it.rule("", "#oncall")
        it.receives("sentry", "event_alert", issue="7", level="fatal", title=f"Pool {EVIL}", message=f"empty {EVIL}")
        yield it


@pytest.fixture
def path(world: World) -> str:
    return f"/api/alert-groups/{world.groups()[0]['id']}"


def opened(world: World, url: str) -> httpx.Response:
    return asking(world).get(httpx.URL(url).path)


def test_a_link_shows_the_group_without_a_session_until_its_time(world: World, path: str) -> None:
    made = world.post(f"{path}/share", {"hours": 2})
    assert made["url"].startswith(f"{str(world.api.base_url).rstrip('/')}/share/")
    assert made["expires_at"] == "2026-03-02T11:00:00.000Z"
    world.after(hours=1, minutes=59)
    answer = opened(world, made["url"])
    assert answer.status_code == 200
    assert "<h1>Pool &lt;script&gt;" in answer.text
    assert "critical" in answer.text
    world.after(minutes=1)
    over = opened(world, made["url"])
    assert over.status_code == 410
    assert "Pool" not in over.text


def test_the_page_is_harmless_and_hidden_from_search_engines(world: World, path: str) -> None:
    answer = opened(world, world.post(f"{path}/share", {"hours": 1})["url"])
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "script-src" not in policy
    assert answer.headers["x-robots-tag"] == "noindex, nofollow"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == "no-store"
    assert "<script" not in answer.text
    assert "<img" not in answer.text
    assert " style=" not in answer.text
    assert "@media print" in answer.text


def test_it_shows_what_happened_and_neither_comments_nor_payloads(world: World, path: str) -> None:
    with browser(world, "sam@example.com") as sam:
        sam.post(f"{path}/comments", {"body": "a word among us"})
        sam.post(f"{path}/ack")
        url = sam.post(f"{path}/share", {"hours": 1})["url"]
    text = opened(world, url).text
    assert "acknowledged by sam" in text
    assert "Acknowledged by sam" in text
    assert "Shared by sam" in text
    assert "a word among us" not in text


def test_a_link_taken_back_shows_nothing(world: World, path: str) -> None:
    with browser(world, "sam@example.com") as sam, browser(world, "kim@example.com") as kim:
        made = sam.post(f"{path}/share", {"hours": 1})
        one = f"{path}/shares/{made['id']}"
        (listed,) = kim.get(f"{path}/shares")["items"]
        assert (listed["state"], listed["mine"], listed["author"]["name"]) == ("works", False, "sam")
        assert made["url"].rpartition("/")[2] not in str(listed)
        problem(kim.ask("DELETE", one), 403, "forbidden")
        assert sam.ask("DELETE", one).status_code == 204
        assert opened(world, made["url"]).status_code == 410
        assert sam.get(f"{path}/shares")["items"][0]["state"] == "revoked"


def test_nobody_makes_a_link_up(world: World, path: str) -> None:
    token = world.post(f"{path}/share", {"hours": 1})["url"].rpartition("/")[2]
    for wrong in (token[:-1], token[:-1] + ("A" if token[-1] != "A" else "B"), "x" * 44, "B" + token[1:]):
        answer = asking(world).get(f"/share/{wrong}")
        assert answer.status_code == 404, wrong
        assert "Pool" not in answer.text


@pytest.mark.parametrize("body", [{}, {"hours": 0}, {"hours": 169}, {"hours": "1"}])
def test_a_link_works_for_an_hour_to_a_week(world: World, path: str, body: dict[str, Any]) -> None:
    problem(world.api.post(f"{path}/share", json=body), 422)


def test_no_more_than_fifty_links_work_at_a_time(world: World, path: str) -> None:
    for _ in range(50):
        world.post(f"{path}/share", {"hours": 1})
    problem(world.api.post(f"{path}/share", json={"hours": 1}), 409, "conflict")
    world.after(hours=1)
    world.post(f"{path}/share", {"hours": 1})


def test_giving_a_link_away_is_in_the_audit_log(world: World, path: str) -> None:
    made = world.post(f"{path}/share", {"hours": 3})
    row = world.get("/api/audit", verb="shared")["items"][0]
    assert row["data"] == {"share": made["id"], "hours": 3}
    assert row["thing"] == path.rpartition("/")[2]
    assert not re.search(made["url"].rpartition("/")[2], str(world.get("/api/audit")))
