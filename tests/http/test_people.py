"""Who belongs to a workspace: invitations, roles, removal, new passwords; and what the last owner cannot do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from signalcraft.domain import ids
from signalcraft.storage import people as stored
from tests.http.asking import Other, asking, key_of, problem
from tests.http.browsing import (
    OTHER_PASSWORD,
    PASSWORD,
    QUIET,
    Browser,
    browser,
    journal,
    person,
    token_of,
)
from tests.world import World

DAY = 86_400_000


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with World(tmp_path_factory.mktemp("world") / "data", **QUIET) as it:
        yield it


@pytest.fixture(scope="module")
def owner(world: World) -> Iterator[Browser]:
    with browser(world, "owner@example.com", "owner") as it:
        yield it


@pytest.fixture(autouse=True)
def lately(owner: Browser) -> None:
    """The owner has just entered a password, however far the test before moved the clock."""
    if not owner.signed_in:
        owner.signs_in("owner@example.com")
    owner.post("/api/auth/step-up", {"password": PASSWORD}, 200)


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[World]:
    """A world of its own, where owners can be counted."""
    with World(tmp_path / "data", **QUIET) as it:
        yield it


def invited(owner: Browser, email: str, role: str = "member") -> dict[str, str]:
    made: dict[str, str] = owner.post("/api/invitations", {"email": email, "role": role}, 201)
    return made


# -- invitations ------------------------------------------------------------------------------------------------------


def test_an_invitation_makes_a_person_who_is_signed_in(world: World, owner: Browser) -> None:
    made = invited(owner, "New@Example.com")
    assert made["url"].startswith(f"{world.api.base_url}".rstrip("/") + "/join#")
    assert made["expires_at"] == "2026-03-09T09:00:00.000Z"
    with Browser(world) as new:
        assert new.post("/api/invitations/preview", {"token": token_of(made["url"])}, 200) == {
            "workspace": "default", "email": "new@example.com", "role": "member", "invited_by": "owner",
            "expires_at": made["expires_at"], "has_account": False,
        }  # fmt: skip
        answer = new.accepts(made["url"], "NEW@example.com", name="Nora")
        assert answer.status_code == 201, answer.text
        me = new.get("/api/auth/me")
        assert (me["person"]["name"], me["role"], me["session"]["method"]) == ("Nora", "member", "invitation")
    listed = {one["email"]: one for one in owner.get("/api/people")["items"]}
    assert listed["new@example.com"]["role"] == "member"
    verbs = [verb for verb, _ in journal(world)]
    assert verbs[-2:] == ["invitation_accepted", "signed_in"]


def test_a_link_works_once(world: World, owner: Browser) -> None:
    made = invited(owner, "once@example.com")
    with Browser(world) as first, Browser(world) as second:
        assert first.accepts(made["url"], "once@example.com").status_code == 201
        problem(second.accepts(made["url"], "once@example.com"), 410, "gone")
        token = token_of(made["url"])
        problem(second.ask("POST", "/api/invitations/preview", {"token": token}), 410, "gone")


def test_a_link_runs_out_after_seven_days(world: World, owner: Browser) -> None:
    made = invited(owner, "late@example.com")
    with Browser(world) as late:
        world.clock.at_ms += 7 * DAY - 1
        late.post("/api/invitations/preview", {"token": token_of(made["url"])}, 200)
        world.clock.at_ms += 1
        problem(late.accepts(made["url"], "late@example.com"), 410, "gone")
    owner.signs_in("owner@example.com")
    again = invited(owner, "late@example.com")
    assert again["url"] != made["url"]


def test_a_link_is_for_one_address(world: World, owner: Browser) -> None:
    made = invited(owner, "meant@example.com", "admin")
    with Browser(world) as eve:
        problem(eve.accepts(made["url"], "eve@example.com"), 403, "forbidden")
        problem(eve.accepts(made["url"], "meant@example.com", password="Password1234!"), 422, "invalid", "password")
        problem(eve.accepts(made["url"], "meant@example.com", name=" "), 422, "invalid", "name")
        assert eve.accepts(made["url"], "meant@example.com").status_code == 201, "what was refused used nothing up"


@pytest.mark.parametrize("token", ["", "x", "x" * 43, "../../etc", "é"])
def test_what_is_no_link(world: World, token: str) -> None:
    with Browser(world) as eve:
        problem(eve.ask("POST", "/api/invitations/preview", {"token": token}), 404, "not_found")
        problem(eve.accepts(f"#{token}", "eve@example.com"), 404, "not_found")


def test_an_invitation_is_taken_back(world: World, owner: Browser) -> None:
    made = invited(owner, "back@example.com")
    assert owner.ask("DELETE", f"/api/invitations/{made['id']}").status_code == 204
    assert owner.ask("DELETE", f"/api/invitations/{made['id']}").status_code == 204
    with Browser(world) as back:
        problem(back.accepts(made["url"], "back@example.com"), 410, "gone")
    accepted = invited(owner, "accepted@example.com")
    with Browser(world) as it:
        it.accepts(accepted["url"], "accepted@example.com")
    problem(owner.ask("DELETE", f"/api/invitations/{accepted['id']}"), 409, "conflict")
    problem(owner.ask("DELETE", "/api/invitations/0000000000000"), 404, "not_found")


def test_invitations_are_listed_without_their_links(world: World, owner: Browser) -> None:
    invited(owner, "forgot@example.com")
    world.clock.at_ms += 7 * DAY
    owner.signs_in("owner@example.com")
    taken = invited(owner, "took@example.com")
    with Browser(world) as it:
        assert it.accepts(taken["url"], "took@example.com").status_code == 201
    revoked = invited(owner, "unwanted@example.com")
    assert owner.ask("DELETE", f"/api/invitations/{revoked['id']}").status_code == 204
    made = invited(owner, "listed@example.com", "viewer")
    answer = owner.ask("GET", "/api/invitations?limit=100")
    states = {one["email"]: one["state"] for one in answer.json()["items"]}
    newest = answer.json()["items"][0]
    assert (newest["id"], newest["email"], newest["role"], newest["state"]) == (
        made["id"], "listed@example.com", "viewer", "open",
    )  # fmt: skip
    assert newest["invited_by"] == {"kind": "user", "id": owner.who["person"]["id"], "name": "owner"}
    assert token_of(made["url"]) not in answer.text
    named = ("took@example.com", "unwanted@example.com", "forgot@example.com")
    assert [states[name] for name in named] == ["accepted", "revoked", "expired"]
    page = owner.get("/api/invitations?limit=1")
    after = owner.get(f"/api/invitations?limit=1&cursor={page['next']}")
    assert page["items"][0]["id"] > after["items"][0]["id"]


def test_who_is_here_or_invited_is_not_invited_again(world: World, owner: Browser) -> None:
    person(world, "here@example.com")
    for email in ("here@example.com", "HERE@example.com"):
        problem(owner.ask("POST", "/api/invitations", {"email": email, "role": "viewer"}), 409, "conflict")
    invited(owner, "pending@example.com")
    problem(owner.ask("POST", "/api/invitations", {"email": "pending@example.com", "role": "owner"}), 409, "conflict")


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"email": "x", "role": "member"}, "email"),
        ({"email": "x@example.com", "role": "boss"}, "role"),
        ({"email": "x@example.com"}, "role"),
        ({"email": "a@b\r\nBcc: c@d", "role": "member"}, "email"),
    ],
)
def test_what_is_no_invitation(owner: Browser, body: dict[str, str], path: str) -> None:
    problem(owner.ask("POST", "/api/invitations", body), 422, "invalid", path)


def test_the_invitations_of_somebody_who_is_gone_or_fell_are_void(world: World, owner: Browser) -> None:
    """What a person could promise ends with their power to keep it."""
    with browser(world, "boss@example.com", "owner") as boss, Browser(world) as new:
        as_owner = invited(boss, "own@example.com", "owner")
        as_viewer = invited(boss, "see@example.com", "viewer")
        third = invited(boss, "third@example.com", "viewer")
        change = f"/api/people/{boss.who['person']['id']}"
        owner.ask("PATCH", change, {"role": "admin"}).raise_for_status()
        problem(new.accepts(as_owner["url"], "own@example.com"), 410, "gone")
        assert new.accepts(as_viewer["url"], "see@example.com").status_code == 201
        owner.ask("DELETE", change).raise_for_status()
        problem(new.accepts(third["url"], "third@example.com"), 410, "gone")


def test_who_has_an_account_joins_with_it(world: World) -> None:
    """In a second workspace, with the password they have; the second factor is asked for as ever."""
    with Other(world) as other, browser(world, "two@example.com") as it, Browser(world) as door:
        made = other.api.post("/api/invitations", json={"email": "two@example.com", "role": "admin"}).json()
        preview = door.post("/api/invitations/preview", {"token": token_of(made["url"])}, 200)
        assert (preview["workspace"], preview["has_account"]) == ("other", True)
        wrong = door.accepts(made["url"], "two@example.com", password=OTHER_PASSWORD)
        problem(wrong, 401, "wrong_credentials")
        secret, _ = it.enrols()
        problem(door.accepts(made["url"], "two@example.com"), 401, "second_factor_needed")
        answer = door.accepts(made["url"], "two@example.com", code=it.code(secret, 1))
        assert answer.status_code == 201, answer.text
        roles = {one["workspace"]: one["role"] for one in answer.json()["roles"]}
        assert roles == {"default": "member", "other": "admin"}
        assert answer.json()["person"]["id"] == it.who["person"]["id"]


# -- roles ------------------------------------------------------------------------------------------------------------


def test_a_role_changes_from_the_next_request_on(world: World, owner: Browser) -> None:
    with browser(world, "rise@example.com", "viewer") as it:
        problem(it.ask("POST", "/api/invitations", {"email": "a@example.com", "role": "viewer"}), 403, "forbidden")
        change = f"/api/people/{it.who['person']['id']}"
        assert owner.ask("PATCH", change, {"role": "admin"}).json()["role"] == "admin"
        assert it.ask("POST", "/api/invitations", {"email": "a@example.com", "role": "viewer"}).status_code == 201
        owner.ask("PATCH", change, {"role": "viewer"}).raise_for_status()
        problem(it.ask("POST", "/api/invitations", {"email": "b@example.com", "role": "viewer"}), 403, "forbidden")
        said = [data for verb, data in journal(world) if verb == "role_changed"][-1]
        assert (said["from"], said["to"], said["email"]) == ("admin", "viewer", "rise@example.com")
        assert said["by"].name == "owner"


def test_an_admin_does_not_reach_an_owner(world: World, owner: Browser) -> None:
    """Not by role, removal, lock, link or invitation; neither does a key with the scope admin."""
    there = f"/api/people/{owner.who['person']['id']}"
    with browser(world, "admin@example.com", "admin") as admin:
        key = asking(world, key_of(world, "admin"))
        own = f"/api/people/{admin.who['person']['id']}"
        tries: list[tuple[str, str, object]] = [
            ("PATCH", there, {"role": "viewer"}),
            ("PATCH", there, {"disabled": True}),
            ("DELETE", there, None),
            ("POST", f"{there}/reset-link", {}),
            ("POST", f"{there}/unlock", None),
            ("PATCH", own, {"role": "owner"}),
            ("POST", "/api/invitations", {"email": "eve@example.com", "role": "owner"}),
        ]
        for method, path, body in tries:
            problem(admin.ask(method, path, body), 403, "forbidden")
            problem(key.request(method, path, json=body), 403, "forbidden")
        assert owner.signed_in
        made = invited(owner, "owner-to-be@example.com", "owner")
        problem(admin.ask("DELETE", f"/api/invitations/{made['id']}"), 403, "forbidden")


def test_the_last_owner_stays(alone: World) -> None:
    with browser(alone, "last@example.com", "owner") as last:
        number = last.who["person"]["id"]
        path = f"/api/people/{number}"
        for body in ({"role": "admin"}, {"role": "viewer"}, {"disabled": True}):
            problem(last.ask("PATCH", path, body), 409, "conflict")
        problem(last.ask("DELETE", path), 409, "conflict")
        second = person(alone, "second@example.com", "owner")
        last.ask("PATCH", f"/api/people/{second}", {"disabled": True}).raise_for_status()
        problem(last.ask("DELETE", path), 409, "conflict")  # an owner who cannot sign in is none
        last.ask("PATCH", f"/api/people/{second}", {"disabled": False}).raise_for_status()
        assert last.ask("PATCH", path, {"role": "admin"}).json()["role"] == "admin"
        problem(last.ask("PATCH", path, {"role": "owner"}), 403, "forbidden")


def test_two_owners_who_leave_at_the_same_moment_leave_one(alone: World) -> None:
    import concurrent.futures

    with browser(alone, "one@example.com", "owner") as one, browser(alone, "two@example.com", "owner") as two:

        def leaves(it: Browser) -> int:
            return it.ask("DELETE", f"/api/people/{it.who['person']['id']}").status_code

        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            said = sorted(pool.map(leaves, (one, two)))
        assert said in ([204, 409], [204, 401])
        assert [m.role for m in alone._call(alone.house.db.read(lambda tx: stored.members(tx, 1)))] == ["owner"]


# -- out --------------------------------------------------------------------------------------------------------------


def test_a_removed_person_is_out_at_once_and_forgotten(world: World, owner: Browser) -> None:
    with browser(world, "leaver@example.com", "admin") as it:
        it.enrols()
        number = it.who["person"]["id"]
        assert owner.ask("DELETE", f"/api/people/{number}").status_code == 204
        problem(it.ask("GET", "/api/auth/me"), 401, "not_signed_in")
        problem(it.signs_in("leaver@example.com"), 401, "wrong_credentials")
        problem(owner.ask("GET", f"/api/people/{number}"), 404, "not_found")
        problem(owner.ask("DELETE", f"/api/people/{number}"), 404, "not_found")
        gone = ids.parse(number)
        for table in ("membership", "session", "recovery_code", "password_history", "password_reset"):
            sql = f"select count(*) from {table} where person_id = ?"
            assert world._call(world.house.db.read(lambda tx, sql=sql: tx.value(sql, (gone,)))) == 0, table
        assert ("person_removed", "leaver@example.com") in [(verb, data.get("email")) for verb, data in journal(world)]
        back = invited(owner, "leaver@example.com")
        assert it.accepts(back["url"], "leaver@example.com").status_code == 201


def test_a_person_of_two_workspaces_is_out_of_one(world: World, owner: Browser) -> None:
    with Other(world) as other, browser(world, "twice@example.com") as it:
        number = ids.parse(it.who["person"]["id"])

        def join(tx: object) -> None:
            stored.join(tx, other.workspace_id, number, "admin", world.clock.at_ms)  # type: ignore[arg-type]

        world._call(world.house.db.write(join))
        path = f"/api/people/{it.who['person']['id']}"
        # Whoever sets a password, or switches an account off, reaches beyond their own workspace.
        problem(owner.ask("POST", f"{path}/reset-link", {}), 409, "conflict")
        problem(owner.ask("PATCH", path, {"disabled": True}), 409, "conflict")
        assert owner.ask("DELETE", path).status_code == 204
        assert it.signs_in("twice@example.com").status_code == 200
        assert (it.who["workspace"], it.who["role"]) == ("other", "admin")
        problem(it.ask("GET", "/api/people", **{"X-SignalCraft-Workspace": "default"}), 404, "not_found")


def test_a_disabled_person_is_out_until_enabled(world: World, owner: Browser) -> None:
    with browser(world, "pause@example.com") as it:
        path = f"/api/people/{it.who['person']['id']}"
        made = owner.post(f"{path}/reset-link", {}, 201)
        assert owner.ask("PATCH", path, {"disabled": True}).json()["disabled_at"]
        assert not it.signed_in
        problem(it.signs_in("pause@example.com"), 401, "wrong_credentials")
        reset = {"token": token_of(made["url"]), "password": OTHER_PASSWORD}
        problem(it.ask("POST", "/api/auth/reset", reset), 404, "not_found")
        owner.ask("PATCH", path, {"disabled": False}).raise_for_status()
        assert it.signs_in("pause@example.com").status_code == 200


# -- new passwords ----------------------------------------------------------------------------------------------------


def test_a_reset_link_sets_one_new_password_and_ends_every_session(world: World, owner: Browser) -> None:
    with browser(world, "forgot@example.com") as it:
        path = f"/api/people/{it.who['person']['id']}/reset-link"
        first, made = owner.post(path), owner.post(path)
        assert made["url"].partition("#")[0].endswith("/reset")
        token = token_of(made["url"])
        void = {"token": token_of(first["url"]), "password": OTHER_PASSWORD}
        problem(it.ask("POST", "/api/auth/reset", void), 404, "not_found")
        for weak in ("short-1xQ", "forgot@example.com", PASSWORD):
            answer = it.ask("POST", "/api/auth/reset", {"token": token, "password": weak})
            problem(answer, 422, "invalid", "password")
        it.post("/api/auth/reset", {"token": token, "password": OTHER_PASSWORD}, 204)
        assert not it.signed_in
        again = it.ask("POST", "/api/auth/reset", {"token": token, "password": "plover-Gravel-under"})
        problem(again, 404, "not_found")
        assert it.signs_in("forgot@example.com", OTHER_PASSWORD).status_code == 200
        verbs = [verb for verb, _ in journal(world)]
        assert verbs[-2:] == ["password_reset", "signed_in"]


def test_a_reset_link_runs_out_after_a_day_and_with_another_password(world: World, owner: Browser) -> None:
    with browser(world, "slow@example.com") as it:
        path = f"/api/people/{it.who['person']['id']}/reset-link"
        made = owner.post(path)
        it.post("/api/auth/password", {"current": PASSWORD, "new": OTHER_PASSWORD}, 204)
        token = token_of(made["url"])
        problem(it.ask("POST", "/api/auth/reset", {"token": token, "password": "plover-Gravel"}), 404, "not_found")
        made = owner.post(path)
        world.clock.at_ms += DAY
        body = {"token": token_of(made["url"]), "password": "plover-Gravel-under"}
        problem(it.ask("POST", "/api/auth/reset", body), 410, "gone")


# -- lists ------------------------------------------------------------------------------------------------------------


def test_people_are_listed_page_by_page_without_what_is_secret(world: World, owner: Browser) -> None:
    seen: list[str] = []
    cursor = ""
    while True:
        page = owner.get(f"/api/people?limit=3{f'&cursor={cursor}' if cursor else ''}")
        seen += [one["email"] for one in page["items"]]
        cursor = page["next"]
        if not cursor:
            break
    assert len(seen) == len(set(seen)) > 6
    one = owner.get(f"/api/people/{owner.who['person']['id']}")
    assert set(one) == {
        "id", "email", "name", "role", "second_factor", "joined_at", "last_seen_at", "disabled_at", "locked_until",
    }  # fmt: skip
    assert one["last_seen_at"]
    assert "argon2" not in owner.ask("GET", "/api/people?limit=100").text
    with browser(world, "looks@example.com", "viewer") as viewer:
        seen_by_viewer = viewer.get(f"/api/people/{owner.who['person']['id']}")
    hidden = {"second_factor": None, "last_seen_at": None, "locked_until": None}
    assert seen_by_viewer == {**one, **hidden}


def test_what_is_over_is_forgotten_after_a_month(world: World, owner: Browser) -> None:
    invited(owner, "old@example.com")
    before = world._call(world.house.db.read(lambda tx: tx.value("select count(*) from session")))
    world.clock.at_ms += 70 * DAY
    world._call(world.house.signin.prune(world.clock.at_ms))
    counted = {
        table: world._call(world.house.db.read(lambda tx, t=table: tx.value(f"select count(*) from {t}")))
        for table in ("session", "invitation", "password_reset", "sign_in_failure")
    }
    assert before > 0
    assert counted == {"session": 0, "invitation": 0, "password_reset": 0, "sign_in_failure": 0}
