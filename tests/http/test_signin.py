"""The first owner, signing in and out, sessions that end, passwords that change, and proving oneself once more."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from signalcraft import __version__
from tests.http.asking import problem
from tests.http.browsing import OTHER_PASSWORD, PASSWORD, QUIET, Browser, browser, journal, person
from tests.world import World

SAM = "sam@example.com"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Without limits on sign-ins: another file tries those."""
    with World(tmp_path_factory.mktemp("world") / "data", **QUIET) as it:
        yield it


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[World]:
    """A box that nobody owns."""
    with World(tmp_path / "data", **QUIET) as it:
        yield it


def setup_code(world: World) -> str:
    code = world._call(world.house.people.new_setup_code())
    assert isinstance(code, str)
    return code


# -- the first owner --------------------------------------------------------------------------------------------------


def test_the_first_visit_makes_the_owner_and_signs_them_in(fresh: World) -> None:
    with Browser(fresh) as sam:
        state = {"methods": ["password", "passkey"], "oidc_label": None, "version": __version__, "hint": None}
        assert sam.get("/api/auth/state") == {"needs_setup": True, "transport": "loopback", **state}
        body = {"code": setup_code(fresh), "email": "Sam@Example.com", "name": "Sam", "password": PASSWORD}
        made = sam._began(sam.ask("POST", "/api/auth/setup", body))
        assert made.status_code == 201, made.text
        me = sam.get("/api/auth/me")
        assert me == made.json()
        assert me["person"]["email"] == SAM
        assert (me["workspace"], me["role"]) == ("default", "owner")
        assert {"users:write", "account:write", "audit:read"} <= set(me["access"])
        assert sam.get("/api/auth/state")["needs_setup"] is False
        assert [verb for verb, _ in journal(fresh)][-2:] == ["owner_made", "signed_in"]


def test_the_setup_code_is_needed_right_works_once_and_only_the_latest(fresh: World) -> None:
    body = {"email": SAM, "name": "Sam", "password": PASSWORD}
    with Browser(fresh) as nobody:
        problem(nobody.ask("POST", "/api/auth/setup", {"code": "", **body}), 401, "wrong_credentials")
        earlier, code = setup_code(fresh), setup_code(fresh)
        problem(nobody.ask("POST", "/api/auth/setup", {"code": earlier, **body}), 401, "wrong_credentials")
        weak = nobody.ask("POST", "/api/auth/setup", {"code": code, **body, "password": "password1234"})
        problem(weak, 422, "invalid", "password")
        typed = code.replace("-", " ").upper()
        assert nobody.ask("POST", "/api/auth/setup", {"code": typed, **body}).status_code == 201
        again = nobody.ask("POST", "/api/auth/setup", {"code": code, **body, "email": "eve@example.com"})
        problem(again, 409, "conflict")
        assert fresh._call(fresh.house.people.new_setup_code()) is None


def test_a_code_from_before_an_owner_was_made_on_the_box_is_void(fresh: World) -> None:
    code = setup_code(fresh)
    person(fresh, SAM, "owner")
    body = {"code": code, "email": "eve@example.com", "name": "Eve", "password": PASSWORD}
    with Browser(fresh) as eve:
        problem(eve.ask("POST", "/api/auth/setup", body), 409, "conflict")


def test_nobody_can_register(fresh: World) -> None:
    """The ways in are the setup code and an invitation; nothing else makes an account."""
    person(fresh, SAM, "owner")
    with Browser(fresh) as eve:
        for path in ("/api/auth/register", "/api/auth/sign-up", "/api/people", "/control/people"):
            body = {"email": "eve@example.com", "name": "Eve", "password": PASSWORD, "role": "owner"}
            assert eve.ask("POST", path, body).status_code in (401, 404, 405), path
        problem(eve.signs_in("eve@example.com"), 401, "wrong_credentials")


# -- signing in -------------------------------------------------------------------------------------------------------


def test_signing_in_is_recorded_and_the_address_may_be_typed_in_any_case(world: World) -> None:
    person(world, "cora@example.com")
    with Browser(world, **{"User-Agent": "Tests/1.0"}) as cora:
        assert cora.signs_in("  Cora@EXAMPLE.com ").status_code == 200
        assert cora.get("/api/auth/me")["session"]["method"] == "password"
        verb, said = journal(world)[-1]
        assert (verb, said["address"], said["user_agent"]) == ("signed_in", "127.0.0.1", "Tests/1.0")
        assert said["by"].name == "cora"


def test_every_wrong_sign_in_gets_the_same_answer(world: World) -> None:
    """Unknown, wrong password, disabled: nothing tells them apart."""
    person(world, "known@example.com")
    gone = person(world, "disabled@example.com")
    world.api.patch(f"/api/people/{gone}", json={"disabled": True}).raise_for_status()
    said = set()
    tries = [
        ("nobody@example.com", PASSWORD),
        ("known@example.com", OTHER_PASSWORD),
        ("disabled@example.com", PASSWORD),
    ]
    for email, password in [*tries, ("not even an address", PASSWORD), ("", PASSWORD)]:
        with Browser(world) as eve:
            answer = eve.signs_in(email, password)
            document = problem(answer, 401, "wrong_credentials")
            said.add((document["detail"], str(document["errors"]), str(sorted(answer.headers.keys()))))
            assert "set-cookie" not in answer.headers
    assert len(said) == 1


def test_a_hash_is_verified_for_unknown_people_too(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that the time taken tells nothing: the same work, with the same parameters, each time."""
    hashing = world.house.signin.hashing
    verified: list[str] = []
    verify = hashing._is

    def counted(password_hash: str, password: bytes) -> bool:
        verified.append(password_hash.rpartition("$")[0].rpartition("$")[0])
        return bool(verify(password_hash, password))

    monkeypatch.setattr(hashing, "_is", counted)
    person(world, "timed@example.com")
    for email in ("timed@example.com", "not-there@example.com"):
        with Browser(world) as eve:
            eve.signs_in(email, OTHER_PASSWORD)
    assert len(verified) == 2
    assert set(verified) == {"$argon2id$v=19$m=19456,t=2,p=1"}


@pytest.mark.parametrize(
    ("body", "status", "path"),
    [
        ({}, 422, "email"),
        ({"email": SAM}, 422, "password"),
        ({"email": SAM, "password": ""}, 422, "password"),
        ({"email": SAM, "password": "x" * 5000}, 422, "password"),
        ({"email": 1, "password": PASSWORD}, 422, "email"),
        ({"email": SAM, "password": PASSWORD, "role": "owner"}, 422, "role"),
        ([], 422, None),
    ],
)
def test_what_no_sign_in_looks_like(world: World, body: object, status: int, path: str | None) -> None:
    with Browser(world) as eve:
        problem(eve.ask("POST", "/api/auth/sign-in", body), status, "invalid", path)


def test_another_sign_in_in_the_same_browser_ends_the_first_session(world: World) -> None:
    person(world, "twice@example.com")
    with Browser(world) as it, Browser(world) as thief:
        it.signs_in("twice@example.com")
        first = it.client.cookies["signalcraft"]
        it.signs_in("twice@example.com")
        assert it.client.cookies["signalcraft"] != first
        thief.client.cookies.set("signalcraft", first)
        assert not thief.signed_in
        assert it.signed_in


# -- sessions ---------------------------------------------------------------------------------------------------------


def test_signing_out_ends_the_session_for_whoever_has_its_cookie(world: World) -> None:
    with browser(world, "out@example.com") as it, Browser(world) as thief:
        thief.client.cookies.set("signalcraft", it.client.cookies["signalcraft"])
        assert thief.signed_in
        answer = it.ask("POST", "/api/auth/sign-out")
        assert answer.status_code == 204
        assert "signalcraft" not in it.client.cookies
        problem(thief.ask("GET", "/api/auth/me"), 401, "not_signed_in")


def test_the_sessions_of_a_person_are_listed_and_ended_one_by_one_or_all(world: World) -> None:
    with browser(world, "many@example.com") as it, Browser(world) as phone, Browser(world) as laptop:
        phone.signs_in("many@example.com")
        laptop.signs_in("many@example.com")
        listed = it.get("/api/sessions")["items"]
        assert len(listed) == 3
        assert [one["current"] for one in listed] == [False, False, True]
        assert listed[0]["address"] == "127.0.0.1"
        assert "token" not in str(listed)
        assert it.ask("DELETE", f"/api/sessions/{laptop.who['session']['id']}").status_code == 204
        assert (it.signed_in, phone.signed_in, laptop.signed_in) == (True, True, False)
        problem(it.ask("DELETE", f"/api/sessions/{laptop.who['session']['id']}"), 404, "not_found")
        assert it.ask("DELETE", "/api/sessions").status_code == 204
        assert (it.signed_in, phone.signed_in) == (True, False)


def test_nobody_sees_or_ends_anothers_session(world: World) -> None:
    with browser(world, "mine@example.com", "owner") as mine, browser(world, "theirs@example.com") as theirs:
        assert len(mine.get("/api/sessions")["items"]) == 1
        problem(mine.ask("DELETE", f"/api/sessions/{theirs.who['session']['id']}"), 404, "not_found")
        assert theirs.signed_in


def test_a_person_has_at_most_fifty_sessions(world: World) -> None:
    from signalcraft.domain import ids
    from signalcraft.services.sessions import Visitor

    with browser(world, "collector@example.com") as first:
        number = ids.parse(first.who["person"]["id"])
        for _ in range(50):
            world._call(world.house.signin.open(number, "password", Visitor("192.0.2.1", "x" * 1000)))
        assert not first.signed_in
        held = world._call(world.house.signin.sessions.list_own(number))
        assert len(held) == 50
        assert len(held[0].user_agent) == 300


def test_an_unused_session_ends_after_twelve_hours(world: World) -> None:
    with browser(world, "idle@example.com") as it:
        for _ in range(3):
            world.clock.at_ms += 12 * 3_600_000 - 1
            assert it.signed_in
        world.clock.at_ms += 12 * 3_600_000
        problem(it.ask("GET", "/api/auth/me"), 401, "not_signed_in")


def test_a_busy_session_ends_after_thirty_days(world: World) -> None:
    with browser(world, "busy@example.com") as it:
        began = world.clock.at_ms
        while world.clock.at_ms + 11 * 3_600_000 < began + 30 * 86_400_000:
            world.clock.at_ms += 11 * 3_600_000
            assert it.signed_in
        world.clock.at_ms = began + 30 * 86_400_000 - 1
        assert it.signed_in
        world.clock.at_ms += 1
        assert not it.signed_in


def test_the_hours_and_days_can_be_set_and_a_restart_ends_no_session(tmp_path: Path) -> None:
    limits = {"security.session_idle_hours": "0.25", "security.session_days": "7"}
    with World(tmp_path / "data", **QUIET, **limits) as world:
        it = browser(world, SAM)
        world.clock.at_ms += 14 * 60_000
        assert it.signed_in
        world.stopped().restarted()
        it.client.base_url = world.api.base_url
        assert it.signed_in, "used fourteen minutes ago at most a minute before the stop"
        world.clock.at_ms += 15 * 60_000
        assert not it.signed_in
        it.signs_in(SAM)
        end = world.clock.at_ms + 7 * 86_400_000
        while world.clock.at_ms + 14 * 60_000 < end:
            world.clock.at_ms += 14 * 60_000
            assert it.signed_in
        world.clock.at_ms = end
        assert not it.signed_in
        it.client.close()


def test_fewer_days_hold_for_sessions_that_began_before(tmp_path: Path) -> None:
    with World(tmp_path / "data", **QUIET, **{"security.session_idle_hours": "100"}) as world:
        it = browser(world, SAM)
        world.clock.at_ms += 3 * 86_400_000
        assert it.signed_in
        world.stopped().settings["security.session_days"] = "2"
        world.restarted()
        it.client.base_url = world.api.base_url
        assert not it.signed_in
        it.client.close()


def test_nothing_in_the_database_opens_a_session(world: World) -> None:
    """The token itself is nowhere in the file: whoever has read it all cannot sign in with what they found."""
    with browser(world, "hashed@example.com") as it:
        token = it.client.cookies["signalcraft"]
        world.settled()
        stored = b"".join(file.read_bytes() for file in world.data_dir.glob("signalcraft.db*"))
        assert b"hashed@example.com" in stored
        assert token.encode() not in stored
        assert PASSWORD.encode() not in stored


def test_forged_tokens_open_nothing(world: World) -> None:
    with browser(world, "forged@example.com") as it, Browser(world) as eve:
        token = it.client.cookies["signalcraft"]
        for bad in (
            "",
            "x",
            token[:-1],
            token + "A",
            token[::-1],
            token.swapcase(),
            "é" * 43,
            "eyJhbGciOiJub25lIn0.e30.",
        ):
            eve.client.headers["Cookie"] = f"signalcraft={bad}"
            assert eve.client.get("/api/auth/me").status_code == 401, bad


# -- passwords --------------------------------------------------------------------------------------------------------


def test_a_new_password_ends_every_other_session(world: World) -> None:
    with browser(world, "pw@example.com") as it, Browser(world) as other:
        other.signs_in("pw@example.com")
        it.post("/api/auth/password", {"current": PASSWORD, "new": OTHER_PASSWORD}, 204)
        assert (it.signed_in, other.signed_in) == (True, False)
        problem(other.signs_in("pw@example.com", PASSWORD), 401, "wrong_credentials")
        assert other.signs_in("pw@example.com", OTHER_PASSWORD).status_code == 200


def test_what_is_no_new_password(world: World) -> None:
    with browser(world, "pw2@example.com") as it:
        change = "/api/auth/password"
        wrong = it.ask("POST", change, {"current": OTHER_PASSWORD, "new": "plover-Gravel-under-6"})
        problem(wrong, 401, "wrong_credentials")
        for weak in ("short-1xQ", "Password1234!", "pw2@example.com", "x" * 257):
            problem(it.ask("POST", change, {"current": PASSWORD, "new": weak}), 422, "invalid", "new")
        assert it.signed_in


def test_the_last_five_passwords_may_not_come_back(world: World) -> None:
    with browser(world, "history@example.com") as it:
        used = [PASSWORD]
        for n in range(6):
            new = f"plover-{n}-Gravel-under"
            it.post("/api/auth/password", {"current": used[-1], "new": new}, 204)
            used.append(new)
        for old in used[-6:]:
            again = it.ask("POST", "/api/auth/password", {"current": used[-1], "new": old})
            problem(again, 422, "invalid", "new")
        it.post("/api/auth/password", {"current": used[-1], "new": used[0]}, 204)


def test_a_hash_of_other_parameters_is_renewed_at_the_next_sign_in(world: World) -> None:
    from argon2 import PasswordHasher

    from signalcraft.domain import ids
    from signalcraft.storage import people

    number = ids.parse(person(world, "old-hash@example.com"))
    old = PasswordHasher(time_cost=1, memory_cost=8192, parallelism=1).hash(PASSWORD)
    house = world.house
    now = people.get
    before = world._call(house.db.read(lambda tx: now(tx, number).password_hash))
    world._call(house.db.write(lambda tx: people.rehash(tx, number, before, old)))
    with Browser(world) as it:
        assert it.signs_in("old-hash@example.com").status_code == 200
        renewed = world._call(house.db.read(lambda tx: now(tx, number).password_hash))
        assert renewed.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
        assert it.signs_in("old-hash@example.com").status_code == 200


def test_a_person_changes_their_own_name(world: World) -> None:
    with browser(world, "name@example.com") as it:
        changed = it.ask("PATCH", "/api/auth/me", {"name": "  Nadia   Berg "})
        assert changed.json()["person"]["name"] == "Nadia Berg"
        assert it.get("/api/auth/me")["person"]["name"] == "Nadia Berg"
        problem(it.ask("PATCH", "/api/auth/me", {"name": "\u0007"}), 422, "invalid", "name")


# -- once more --------------------------------------------------------------------------------------------------------


def test_dangerous_actions_ask_again_after_ten_minutes(world: World) -> None:
    with browser(world, "danger@example.com", "owner") as it:
        new_key = ("/api/api-keys", {"name": "x", "scopes": ["alerts:read"]})
        assert it.ask("POST", *new_key).status_code == 201
        world.clock.at_ms += 10 * 60_000
        problem(it.ask("POST", *new_key), 403, "step_up_needed")
        assert it.ask("GET", "/api/api-keys").status_code == 200
        problem(it.ask("POST", "/api/auth/step-up", {}), 422, "invalid", "password")
        wrong = it.ask("POST", "/api/auth/step-up", {"password": OTHER_PASSWORD})
        problem(wrong, 401, "wrong_credentials")
        problem(it.ask("POST", "/api/auth/step-up", {"code": "000000"}), 401, "wrong_code")
        problem(it.ask("POST", *new_key), 403, "step_up_needed")
        until = it.post("/api/auth/step-up", {"password": PASSWORD}, 200)["step_up_until"]
        assert it.get("/api/auth/me")["step_up_until"] == until
        assert it.ask("POST", *new_key).status_code == 201
        world.clock.at_ms += 10 * 60_000 - 1
        assert it.ask("POST", *new_key).status_code == 201


# -- streams ----------------------------------------------------------------------------------------------------------


def test_an_open_event_stream_ends_with_its_session(world: World) -> None:
    with browser(world, "stream@example.com") as it, Browser(world) as other:
        other.signs_in("stream@example.com")
        with it.client.stream("GET", "/api/live") as stream:
            lines = stream.iter_lines()
            assert next(lines).startswith(":")
            ended = other.ask("DELETE", f"/api/sessions/{it.who['session']['id']}")
            assert ended.status_code == 204
            for _ in lines:  # the test ends when the stream does
                pass
