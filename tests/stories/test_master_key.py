"""A new master key in a running box: no webhook is refused, a kill loses nothing, wrong keys stop the start."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from signalcraft.domain import ids
from signalcraft.domain.group import SYSTEM
from signalcraft.errors import BadSetting, Conflict
from signalcraft.storage import masterkey, rotation
from signalcraft.storage.vault import check_of
from tests import bodies
from tests.http.browsing import Browser, browser
from tests.standins import LoopThread, Receiver
from tests.world import World

FIRST, SECOND = (base64.b64encode(bytes([n]) * 32).decode() for n in (1, 2))


def rotate(world: World) -> Any:
    return world._call(world.house.keyring.rotate(SYSTEM, 1))


def shown(world: World) -> Any:
    return world._call(world.house.keyring.shown())


def component(world: World, name: str) -> dict[str, str]:
    found: dict[str, str] = world.api.get("/health").json()["components"][name]
    return found


def key_in(file: Path) -> str:
    key = masterkey.read_file(file)
    assert key is not None
    return check_of(key)[:12]


def configured(world: World, others: int = 30) -> None:
    """Something sealed of each kind, and enough to seal anew that a rotation takes many steps."""
    world.rule("")
    made = world.integration("sentry")
    world.post(f"/api/integrations/{made['id']}/rotate", {"what": "secret", "secret": bodies.SECRET})
    for i in range(others):
        world.integration("generic", name=f"generic {i}", secret="s" * 20 + str(i), require_signature=True)


@contextmanager
def load(world: World) -> Iterator[list[int]]:
    """Signed webhooks, one after the other from three threads, until the end of the block; their answers."""
    url = httpx.URL(world.integrations["sentry"]["webhook_url"])
    answers: list[int] = []
    ended = threading.Event()

    def sender(number: int) -> None:
        with httpx.Client(base_url=world.api.base_url, timeout=20, trust_env=False) as client:
            n = 0
            while not ended.is_set():
                n += 1
                raw = bodies.body("event_alert", issue=str(number * 100_000 + n))
                headers = bodies.signed(raw, "event_alert", bodies.SECRET, world.clock.at_ms // 1000)
                answers.append(client.post(url.path, content=raw, headers=headers).status_code)

    threads = [threading.Thread(target=sender, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    try:
        yield answers
    finally:
        ended.set()
        for thread in threads:
            thread.join(20)


def test_a_rotation_under_load_refuses_no_webhook(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """CFG-2: every signed webhook is 202 before, during and after; and what was unsigned is still 401."""
    monkeypatch.setattr("signalcraft.services.keyring.BATCH", 2)
    configured(world)
    before = shown(world)
    with load(world) as answers:
        while len(answers) < 10:
            pass
        first, began = rotate(world), len(answers)
        second = rotate(world)
        during = len(answers)
        while len(answers) < during + 10:
            pass
    assert set(answers) == {202}, answers
    assert during > began > 10
    assert (first.earlier, second.earlier) == (before.id, first.id)
    assert first.resealed >= 32
    assert first.damaged == second.damaged == []
    now = shown(world)
    assert (now.id, now.coming, now.behind) == (second.id, None, 0)
    assert key_in(world.data_dir / "master.key") == second.id
    assert not (world.data_dir / "master.key.next").exists()
    forged = world.sends("sentry", bodies.body("event_alert"), {"sentry-hook-signature": "0" * 64})
    assert forged.status_code == 401
    world.settled()
    assert world.told, "the channel's token opens too"
    world.killed()
    world.restarted()
    assert world.receives("sentry", "event_alert", issue="after")["event_id"]
    assert [e.verb for e in _journal(world)].count("master_key_rotated") == 2


def _journal(world: World) -> list[Any]:
    from signalcraft.storage import journal

    entries: list[Any] = world._call(world.house.db.read(lambda tx: journal.since(tx, 1, 0, 10_000)))
    return entries


@pytest.mark.whole
def test_what_people_hold_outlives_a_rotation(world: World) -> None:
    """An acknowledge link, a session with its token against forged requests, a second factor and its codes."""
    with LoopThread(Receiver()) as hooks, browser(world, "sam@example.com", "owner") as sam:
        world.channel("hook", kind="webhook", url=hooks.it.url)
        world.rule("", "hook")
        world.receives("sentry", "event_alert")
        world.after(seconds=5)
        link = re.search(r"/answer/[A-Za-z0-9_-]{56}", hooks.it.requests[0].body.decode())
        assert link is not None
        secret, codes = sam.enrols()
        rotate(world)
        assert sam.post("/api/api-keys", {"name": "x", "scopes": ["alerts:read"]})["key"], "the CSRF token holds"
        world.killed()
        world.restarted()
        assert world.api.post(link.group(), headers={"Authorization": ""}).status_code == 200
        assert world.group()["status"] == "acknowledged"
    world.clock.at_ms += 60_000
    with Browser(world) as again:
        assert again.signs_in("sam@example.com", code=again.code(secret)).status_code == 200
        assert again.signs_in("sam@example.com", code=codes[0]).status_code == 200


# -- killed -----------------------------------------------------------------------------------------------------------


class Killed(Exception):
    """The moment at which the process dies."""


@pytest.mark.parametrize("moment", ["key written", "begun", "half way", "all sealed", "ended", "file moved"])
def test_a_kill_at_any_moment_loses_nothing(world: World, monkeypatch: pytest.MonkeyPatch, moment: str) -> None:
    """The next run opens everything, takes webhooks, and comes to the end by itself."""
    configured(world, 8)
    monkeypatch.setattr("signalcraft.services.keyring.BATCH", 2)
    before = shown(world).id
    _die_at(monkeypatch, moment)
    with pytest.raises(Killed):
        rotate(world)
    world.killed()
    monkeypatch.undo()
    world.restarted()
    assert world.house.registry.problems == ()
    assert world.receives("sentry", "event_alert", issue="1")["event_id"]
    begun = moment in ("begun", "half way", "all sealed")
    assert (shown(world).coming is not None) == begun
    if begun:
        assert "being taken into use" in component(world, "keys")["detail"]
        assert component(world, "keys")["status"] == "degraded"
    world._call(world.house.keyring.tend())  # once a minute of the real clock
    now = shown(world)
    assert (now.coming, now.behind, now.damaged) == (None, 0, [])
    assert (now.id == before) == (moment == "key written")
    assert key_in(world.data_dir / "master.key") == now.id
    assert not (world.data_dir / "master.key.next").exists()
    assert component(world, "keys")["status"] == "ok"
    world.stopped()
    world.restarted()
    assert world.receives("sentry", "event_alert", issue="2")["event_id"]


def _die_at(monkeypatch: pytest.MonkeyPatch, moment: str) -> None:
    def dies(*_: Any) -> Any:
        raise Killed

    steps = 0
    reseal = rotation.reseal

    def some(*args: Any) -> Any:
        nonlocal steps
        steps += 1
        if moment == "begun" or steps > 3:
            raise Killed
        return reseal(*args)

    if moment == "key written":
        monkeypatch.setattr(rotation, "begin", dies)
    elif moment in ("begun", "half way"):
        monkeypatch.setattr(rotation, "reseal", some)
    elif moment == "all sealed":
        monkeypatch.setattr(rotation, "finish", dies)
    elif moment == "ended":
        monkeypatch.setattr(masterkey, "tidy_files", dies)
    else:
        monkeypatch.setattr(asyncio, "sleep", dies)


def test_a_lost_new_key_stops_the_start_with_one_sentence(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    configured(world, 2)
    _die_at(monkeypatch, "all sealed")
    with pytest.raises(Killed):
        rotate(world)
    world.killed()
    monkeypatch.undo()
    hidden = world.data_dir / "master.key.next"
    hidden.rename(world.data_dir / "elsewhere")
    with pytest.raises(BadSetting, match="the new one is missing") as caught:
        world.restarted()
    assert "\n" not in caught.value.detail
    (world.data_dir / "elsewhere").rename(hidden)
    world.restarted()
    assert world.house.registry.problems == ()


# -- a key from the settings ------------------------------------------------------------------------------------------


def test_a_key_that_we_cannot_write_is_replaced_in_two_steps(tmp_path: Path) -> None:
    with World(tmp_path / "data", **{"security.master_key": FIRST}) as world:
        configured(world, 3)
        with pytest.raises(Conflict, match=r"security\.master_key_previous"):
            rotate(world)
        assert not (world.data_dir / "master.key").exists()
        world.stopped()
        world.settings = {"security.master_key": SECOND, "security.master_key_previous": FIRST}
        world.restarted()
        assert world.receives("sentry", "event_alert", issue="1")["event_id"]
        assert shown(world).coming == check_of(b"\2" * 32)[:12]
        world._call(world.house.keyring.tend())
        assert (shown(world).id, shown(world).coming) == (check_of(b"\2" * 32)[:12], None)
        world.stopped().restarted()
        assert "master_key_previous is of no use any more" in component(world, "warnings")["detail"]
        world.stopped()
        world.settings = {"security.master_key": SECOND}
        world.restarted()
        assert world.receives("sentry", "event_alert", issue="2")["event_id"]
        assert list(world.data_dir.glob("master.key*")) == []
        world.stopped()
        world.settings = {"security.master_key": FIRST}
        with pytest.raises(BadSetting, match="not the one"):
            world.restarted()


def test_the_new_key_alone_does_not_start_a_half_done_rotation(tmp_path: Path) -> None:
    with World(tmp_path / "data", **{"security.master_key": FIRST}) as world:
        configured(world, 1)
        world.stopped()
        world.settings = {"security.master_key": SECOND, "security.master_key_previous": FIRST}
        world.restarted().killed()
        for alone, said in ((SECOND, "the earlier one is needed too"), (FIRST, "the new one is missing")):
            world.settings = {"security.master_key": alone}
            with pytest.raises(BadSetting, match=said):
                world.restarted()


# -- wrong keys, damage -----------------------------------------------------------------------------------------------


def _digests(folder: Path) -> dict[str, str]:
    return {
        p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.iterdir()) if p.name != "serve.lock"
    }


def test_a_wrong_master_key_refuses_to_start_and_touches_nothing(world: World) -> None:
    """One clear sentence; the files are what they were, to the byte, and the right key starts again."""
    configured(world, 1)
    world.stopped()
    file = world.data_dir / "master.key"
    right = file.read_text()
    file.write_text(FIRST)
    before = _digests(world.data_dir)
    with pytest.raises(BadSetting, match="not the one that this database was sealed with") as caught:
        world.restarted()
    assert "\n" not in caught.value.detail
    assert FIRST not in caught.value.detail
    assert _digests(world.data_dir) == before
    file.write_text(right)
    file.chmod(0o644)
    with pytest.raises(BadSetting, match="chmod 600"):
        world.restarted()
    file.chmod(0o600)
    world.restarted()
    assert world.receives("sentry", "event_alert")["event_id"]


def _flip(world: World, table: str, column: str, row_id: str) -> None:
    """One bit of a sealed secret, as a bad disk or a curious hand would."""

    def work(tx: Any) -> None:
        number = ids.parse(row_id)
        blob = bytearray(tx.value(f"select {column} from {table} where id = ?", (number,)))
        blob[-1] ^= 1
        tx.run(f"update {table} set {column} = ? where id = ?", (bytes(blob), number))

    world._call(world.house.db.write(work))


def test_a_flipped_bit_is_told_and_stops_nothing_else(world: World) -> None:
    """SEC-1: tampered ciphertext is refused; health names it, the other integrations and channels work on."""
    oncall = world.channel("#oncall")
    world.channel("#spare")
    world.rule("", ["#oncall", "#spare"])
    sentry = world.integration("sentry")
    other = world.integration("sentry", name="other")
    with browser(world, "sam@example.com", "owner") as sam:
        sam.enrols()
        person = sam.who["person"]["id"]
    for table, column, row in (
        ("channel", "secrets", oncall["id"]),
        ("integration", "secrets", sentry["id"]),
        ("person", "totp", person),
    ):
        _flip(world, table, column, row)
    world.killed()
    world.restarted()
    assert 'integration "sentry" cannot be used' in component(world, "configuration")["detail"]
    assert 'channel "#oncall" cannot be used' in component(world, "configuration")["detail"]
    world._call(world.house.keyring.tend())
    said = component(world, "keys")
    assert said["status"] == "degraded"
    assert said["detail"].count("/secrets") == 2
    assert f"person/{person}/totp" in said["detail"]
    world.integrations["sentry"] = {**other, "secret": bodies.SECRET}
    world.receives("sentry", "event_alert")
    world.after(seconds=5)
    assert [told.channel for told in world.told] == ["#spare"]
    (warning,) = world.get(f"/api/channels/{oncall['id']}")["warnings"]
    assert "cannot be opened" in warning
    with Browser(world) as it:
        assert it.signs_in("sam@example.com", code="123456").status_code < 503
    # Set again, all is well.
    mended = {"config": {"bot_token": "xoxb-1111-2222-thebotofthetests", "signing_secret": "a" * 32}}
    answer = world.api.patch(f"/api/channels/{oncall['id']}", json=mended)
    assert answer.status_code == 200, answer.text


def test_an_old_master_key_is_asked_to_be_replaced(tmp_path: Path) -> None:
    """CFG-2: rotation alerts."""
    with World(tmp_path / "data", **{"security.master_key_days": "90"}) as world:
        assert component(world, "keys")["status"] == "ok"
        world.clock.at_ms += 90 * 86_400_000
        assert "90 days old" in component(world, "keys")["detail"]
        rotate(world)
        assert component(world, "keys")["status"] == "ok"
