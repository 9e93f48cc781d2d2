"""No address that a person or a sender gives leads into the network around the box."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.security.corpus import SSRF
from tests.security.ground import UNLIMITED
from tests.standins import LoopThread, Receiver
from tests.world import World

RULE = {"name": "all", "when": {}}


@pytest.fixture(scope="module")
def inner() -> Iterator[Receiver]:
    """A server on loopback, as an inner service would be."""
    hook = Receiver("")
    with LoopThread(hook):
        yield hook


@pytest.fixture
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with World(tmp_path_factory.mktemp("ssrf") / "data", **{"outbound.allow": "", **UNLIMITED}) as it:
        yield it


def port_of(inner: Receiver) -> str:
    return inner.url.rpartition(":")[2].partition("/")[0]


def outcome(world: World, delivery: str) -> dict[str, Any]:
    end = time.monotonic() + 15
    while True:
        world.settled()
        said: dict[str, Any] = world.get(f"/api/deliveries/{delivery}")
        if said["last_error"] is not None or said["state"] in ("failed", "sent", "dropped"):
            return said
        assert time.monotonic() < end, said
        time.sleep(0.05)


def test_no_channel_of_the_corpus_reaches_the_inner_network(world: World, inner: Receiver) -> None:
    refused = blocked = 0
    for number, text in enumerate(SSRF):
        url = text.replace("{port}", port_of(inner))
        made = world.api.post("/api/channels", json={"name": f"c{number}", "kind": "webhook", "config": {"url": url}})
        assert made.status_code in (201, 422), made.text
        if made.status_code == 422:
            refused += 1
            continue
        tested = world.post(f"/api/channels/{made.json()['id']}/test")
        said = outcome(world, tested["delivery_id"])
        assert said["state"] != "sent", f"{url}: {said}"
        assert "blocked" in said["last_error"] or "no address" in said["last_error"] or "not" in said["last_error"]
        blocked += 1
    assert inner.requests == []
    assert blocked >= 10
    assert refused >= 2


def test_the_same_server_is_reached_where_the_operator_allows_it(
    tmp_path_factory: pytest.TempPathFactory, inner: Receiver
) -> None:
    """So that the test above fails where the guard is taken out."""
    with World(tmp_path_factory.mktemp("allowed") / "data", **UNLIMITED) as world:
        made = world.post("/api/channels", {"name": "c", "kind": "webhook", "config": {"url": inner.url}})
        tested = world.post(f"/api/channels/{made['id']}/test")
        assert outcome(world, tested["delivery_id"])["state"] == "sent"
    assert len(inner.requests) == 1
    inner.requests.clear()


def test_addresses_in_alerts_and_rules_are_never_asked(world: World, inner: Receiver) -> None:
    for number, text in enumerate(SSRF):
        url = text.replace("{port}", port_of(inner))
        rule = {**RULE, "name": f"r{number}", "channels": [], "runbook_url": url}
        assert world.api.post("/api/routing-rules", json=rule).status_code in (201, 422)
        alert = {"title": url, "link": url, "url": url, "message": url, "tags": {"url": url}, "dedup_key": url}
        assert world.sends("generic", json.dumps(alert).encode()).status_code == 202
    world.after(minutes=5)
    assert inner.requests == []
