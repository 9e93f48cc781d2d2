"""`signalcraft smoke`: proves that a running box works, tells nobody, leaves nothing, and sees what is broken."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from signalcraft.storage.db import Db
from tests.cli.conftest import Box, free_port, now_ms, wait_ready
from tests.cli.test_verbs import key
from tests.standins import LoopThread, Receiver, SlackStandIn, StandInThread

STEPS = ["health", "database", "sign-in", "api key", "set up", "alert", "alert group", "queue", "resolved", "clean up"]
SETUP = """
[[channels]]
name = "oncall"
kind = "slack"
bot_token = "xoxb-stand-in"
channel = "C0ONCALL"

[[rules]]
name = "everything"
channels = ["oncall"]
"""


@pytest.fixture(scope="module")
def slack() -> Iterator[SlackStandIn]:
    with StandInThread(SlackStandIn(now_ms, channels=["oncall"])) as running:
        yield running.it


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, slack: SlackStandIn) -> Iterator[Box]:
    """A box that tells everything to Slack, one for all of them."""
    box = Box(tmp_path_factory.mktemp("served"))
    env = {"SIGNALCRAFT_SLACK__API_URL": slack.base_url}
    (box.root / "it.toml").write_text(SETUP)
    box.run("apply", "it.toml", env=env)
    port = free_port()
    box.url = f"http://127.0.0.1:{port}"
    try:
        wait_ready(box.url, box.start("serve", "--listen", f"127.0.0.1:{port}", env=env))
        yield box
    finally:
        box.close()


@pytest.fixture
def full(served: Box) -> Iterator[httpx.Client]:
    """Asks it as somebody who may do everything."""
    headers = {"Authorization": f"Bearer {key(served)['key']}"}
    with httpx.Client(base_url=served.url, headers=headers, trust_env=False) as client:
        yield client


def origin(other: Receiver) -> str:
    """Where a server that is not ours listens."""
    return other.url.removesuffix("/hook")


def tried(box: Box, *args: str, code: int = 0) -> dict[str, Any]:
    said: dict[str, Any] = json.loads(box.run("smoke", *args, "--json", code=code).stdout)
    return said


def test_every_step_in_less_than_a_minute_and_nothing_is_left(
    served: Box, slack: SlackStandIn, full: httpx.Client
) -> None:
    """Health, sign-in, key, database, queue, and an alert that becomes a group and is resolved; nobody hears of it."""
    before = served.run("export").stdout
    known = {one["id"] for one in full.get("/api/alert-groups").json()["items"]}
    said = tried(served)
    assert [one["step"] for one in said["steps"]] == STEPS
    assert said["ok"]
    assert said["took_ms"] < 60_000
    assert served.run("export").stdout == before
    keys = json.loads(served.run("apikey", "list", "--json").stdout)["items"]
    assert {one["revoked_at"] is not None for one in keys if one["name"] == "smoke test"} == {True}
    groups = [one for one in full.get("/api/alert-groups").json()["items"] if one["id"] not in known]
    assert [(one["title"], one["status"], one["severity"]) for one in groups] == [
        ("SignalCraft smoke test", "resolved", "info")
    ]
    assert full.get("/api/deliveries?state=owed").json()["items"] == []
    assert [call.method for call in slack.calls if call.method.startswith("chat.")] == []


def test_from_outside_with_a_key(served: Box) -> None:
    made = key(served, "config:read", "config:write", "alerts:read", "alerts:write")
    (served.root / "smoke.key").write_text(made["key"] + "\n")
    out = served.run("smoke", served.url, "--key-file", "smoke.key").stdout.splitlines()
    assert [line.split()[0] for line in out[:-1]] == ["ok"] * len(STEPS)
    assert out[-1].startswith(f"{served.url} works: {len(STEPS)} steps in ")


def test_a_key_that_may_not_is_seen(served: Box) -> None:
    made = key(served, "alerts:read")
    (served.root / "smoke.key").write_text(made["key"])
    said = tried(served, served.url, "--key-file", "smoke.key", code=1)
    assert [one["step"] for one in said["steps"] if one["failed"]] == ["set up"]
    (served.root / "smoke.key").write_text("sc_wrong")
    said = tried(served, served.url, "--key-file", "smoke.key", code=1)
    assert [one["step"] for one in said["steps"] if one["failed"]] == ["api key"]


def test_a_rule_that_is_asked_before_its_own_is_seen(served: Box, full: httpx.Client) -> None:
    """Somebody else was told of the made-up alert: that is a failure, and the alert is taken back."""
    (served.root / "it.toml").write_text(SETUP.replace('name = "everything"', 'name = "first"\npriority = -1000000'))
    served.run("apply", "it.toml")
    said = tried(served, code=1)
    failed = {one["step"]: one["detail"] for one in said["steps"] if one["failed"]}
    assert set(failed) == {"queue"}
    assert "also told to oncall" in failed["queue"]
    assert "smoke-" not in served.run("export").stdout
    for rule in full.get("/api/routing-rules").json()["items"]:
        if rule["name"] == "first":
            full.delete(f"/api/routing-rules/{rule['id']}").raise_for_status()


@pytest.mark.whole
def test_a_database_that_takes_nothing_is_seen(served: Box) -> None:
    """A foreign process holds the write lock: the health, or the write, says so within the time."""
    made = key(served, "admin")
    (served.root / "smoke.key").write_text(made["key"])
    other = Db(served.data / "signalcraft.db")
    try:
        with other.direct():
            said = tried(served, served.url, "--key-file", "smoke.key", "--seconds", "5", code=1)
    finally:
        other.stop()
    assert said["took_ms"] < 30_000
    assert {one["step"] for one in said["steps"] if one["failed"]} & {"health", "database"}


def test_a_server_that_is_something_else_or_away_is_seen(box: Box) -> None:
    (box.root / "k").write_text("sc_x")
    with LoopThread(Receiver(secret="")) as other:
        url = origin(other.it)
        assert "health" in box.run("smoke", url, "--key-file", "k", code=1).stderr
    assert "no answer" in box.run("smoke", url, "--key-file", "k", code=1).stderr


def test_how_it_is_asked(box: Box) -> None:
    (box.root / "k").write_text("sc_x")
    assert "use the https:// address" in box.refused("smoke", "http://192.0.2.1:8080", "--key-file", "k")
    assert "nothing serves" in box.refused("smoke", code=1)
    assert "where?" in box.refused("smoke", "--key-file", "k")
    assert "https://" in box.refused("smoke", "ftp://example.com", "--key-file", "k")
