"""A second factor: turned on with its first code, asked for at every sign-in, each code good once."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import pytest

from signalcraft.domain.totp import STEP_MS
from tests.http.asking import problem
from tests.http.browsing import PASSWORD, QUIET, Browser, browser, journal, person, token_of
from tests.world import World


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with World(tmp_path_factory.mktemp("world") / "data", **QUIET) as it:
        yield it


@pytest.fixture
def later(world: World) -> None:
    """Codes of the test before are used up."""
    world.clock.at_ms += 5 * STEP_MS


def test_it_counts_from_its_first_right_code_on(world: World, later: None) -> None:
    with browser(world, "enrol@example.com") as it, Browser(world) as other:
        problem(it.ask("POST", "/api/auth/totp/confirm", {"code": "123456"}), 409, "conflict")
        first = it.post("/api/auth/totp/enrol")
        offered = it.post("/api/auth/totp/enrol")
        assert first["secret"] != offered["secret"], "the first was never confirmed: it is void"
        address = urlsplit(offered["uri"])
        assert parse_qs(address.query) == {"secret": [offered["secret"]], "issuer": ["SignalCraft"]}
        problem(it.ask("POST", "/api/auth/totp/confirm", {"code": "000000"}), 401, "wrong_code")
        assert other.signs_in("enrol@example.com").status_code == 200, "not confirmed: not asked for"
        assert it.get("/api/auth/me")["second_factor"] is False
        import base64

        secret = base64.b32decode(offered["secret"])
        codes = it.post("/api/auth/totp/confirm", {"code": it.code(secret)}, 200)["recovery_codes"]
        assert len(set(codes)) == 10
        me = it.get("/api/auth/me")
        assert (me["second_factor"], me["recovery_codes_left"]) == (True, 10)
        problem(it.ask("POST", "/api/auth/totp/enrol"), 409, "conflict")
        problem(other.signs_in("enrol@example.com"), 401, "second_factor_needed")
        problem(other.signs_in("enrol@example.com", code=it.code(secret)), 401, "wrong_code")
        assert other.signs_in("enrol@example.com", code=it.code(secret, 1)).status_code == 200
        assert ("second_factor_on", it.who["person"]["id"]) in [(v, d.get("person")) for v, d in journal(world)]


def test_a_code_works_once_and_within_one_step(world: World, later: None) -> None:
    with browser(world, "codes@example.com") as it, Browser(world) as other:
        secret, _ = it.enrols()
        world.clock.at_ms += 5 * STEP_MS
        for off in (-2, 2):
            problem(other.signs_in("codes@example.com", code=it.code(secret, off)), 401, "wrong_code")
        code = it.code(secret)
        spaced = f"{code[:3]} {code[3:]}"
        assert other.signs_in("codes@example.com", code=spaced).status_code == 200
        for again in (code, it.code(secret, -1)):
            problem(other.signs_in("codes@example.com", code=again), 401, "wrong_code")
        assert other.signs_in("codes@example.com", code=it.code(secret, 1)).status_code == 200


def test_the_code_is_asked_for_only_when_the_password_is_right(world: World, later: None) -> None:
    with browser(world, "order@example.com") as it, Browser(world) as eve:
        secret, _ = it.enrols()
        wrong = eve.signs_in("order@example.com", "not-Her-password-7", it.code(secret, 1))
        problem(wrong, 401, "wrong_credentials")
        assert eve.signs_in("order@example.com", code=it.code(secret, 1)).status_code == 200, "the code was not used up"


def test_a_recovery_code_stands_in_once(world: World, later: None) -> None:
    with browser(world, "lost@example.com") as it, Browser(world) as other:
        _, codes = it.enrols()
        typed = codes[0].upper().replace("-", " ")
        assert other.signs_in("lost@example.com", code=typed).status_code == 200
        problem(other.signs_in("lost@example.com", code=codes[0]), 401, "wrong_code")
        assert it.get("/api/auth/me")["recovery_codes_left"] == 9
        used = [data for verb, data in journal(world) if verb == "recovery_code_used"][-1]
        assert used["left"] == 9
        for bad in ("", "   "):
            problem(other.signs_in("lost@example.com", code=bad), 401, "second_factor_needed")
        for bad in (codes[1][:-1], codes[1] + "0", "-----------", "0" * 10):
            problem(other.signs_in("lost@example.com", code=bad), 401, "wrong_code")


def test_new_recovery_codes_replace_the_old_ones(world: World, later: None) -> None:
    with browser(world, "renew@example.com") as it, Browser(world) as other:
        problem(it.ask("POST", "/api/auth/recovery-codes"), 409, "conflict")
        _, old = it.enrols()
        new = it.post("/api/auth/recovery-codes", status=200)["recovery_codes"]
        assert not set(old) & set(new)
        problem(other.signs_in("renew@example.com", code=old[0]), 401, "wrong_code")
        assert other.signs_in("renew@example.com", code=new[0]).status_code == 200


def test_one_persons_code_is_no_other_persons(world: World, later: None) -> None:
    with browser(world, "a@example.com") as a, browser(world, "b@example.com") as b, Browser(world) as eve:
        a_secret, a_codes = a.enrols()
        b.enrols()
        problem(eve.signs_in("b@example.com", code=a.code(a_secret, 1)), 401, "wrong_code")
        problem(eve.signs_in("b@example.com", code=a_codes[0]), 401, "wrong_code")


def test_it_is_turned_off_only_by_whoever_proves_themselves_again(world: World, later: None) -> None:
    with browser(world, "off@example.com") as it, Browser(world) as other:
        problem(it.ask("DELETE", "/api/auth/totp"), 409, "conflict")
        secret, codes = it.enrols()
        world.clock.at_ms += 10 * 60_000
        for method, path in (("DELETE", "/api/auth/totp"), ("POST", "/api/auth/recovery-codes")):
            problem(it.ask(method, path), 403, "step_up_needed")
        it.post("/api/auth/step-up", {"code": it.code(secret)}, 200)
        problem(it.ask("POST", "/api/auth/step-up", {"code": it.code(secret)}), 401, "wrong_code")
        assert it.ask("DELETE", "/api/auth/totp").status_code == 204
        assert it.get("/api/auth/me")["recovery_codes_left"] == 0
        assert other.signs_in("off@example.com").status_code == 200
        later_secret, _ = it.enrols()
        assert later_secret != secret
        problem(other.signs_in("off@example.com", code=codes[1]), 401, "wrong_code")


def test_a_reset_link_for_a_lost_phone_takes_it_away_and_another_does_not(world: World, later: None) -> None:
    with browser(world, "phone@example.com") as it, Browser(world) as other:
        it.enrols()
        number = it.who["person"]["id"]
        for second_factor, status in ((False, 401), (True, 200)):
            made = world.post(f"/api/people/{number}/reset-link", {"second_factor": second_factor})
            password = f"plover-{second_factor}-Gravel"
            other.post("/api/auth/reset", {"token": token_of(made["url"]), "password": password}, 204)
            assert other.signs_in("phone@example.com", password).status_code == status


def test_the_secret_is_sealed_and_opens_for_nobody_else(world: World, later: None) -> None:
    """In the database it is bound to its person: copied into another row, it opens nothing."""
    from signalcraft.domain import ids
    from signalcraft.storage import people
    from signalcraft.storage.people import VAULT_WORKSPACE
    from signalcraft.storage.vault import CannotOpen

    with browser(world, "sealed@example.com") as it:
        secret, codes = it.enrols()
        number = ids.parse(it.who["person"]["id"])
        house = world.house
        sealed = world._call(house.db.read(lambda tx: people.get(tx, number).totp))
        place = f"person/{ids.show(number)}/totp"
        assert world._call(house.db.read(lambda tx: house.vault.open(tx, VAULT_WORKSPACE, place, sealed))) == secret
        other = f"person/{ids.show(number + 1)}/totp"
        with pytest.raises(CannotOpen):
            world._call(house.db.read(lambda tx: house.vault.open(tx, VAULT_WORKSPACE, other, sealed)))
        stored = b"".join(file.read_bytes() for file in world.data_dir.glob("signalcraft.db*"))
        assert secret not in stored
        assert not any(code.encode() in stored or code.replace("-", "").encode() in stored for code in codes)


def test_members_show_who_has_one(world: World, later: None) -> None:
    person(world, "none@example.com")
    with browser(world, "shown@example.com", "owner") as it:
        it.enrols()
        listed = {one["email"]: one["second_factor"] for one in it.get("/api/people?limit=100")["items"]}
        assert (listed["shown@example.com"], listed["none@example.com"]) == (True, False)
        assert PASSWORD not in str(it.get("/api/people"))
