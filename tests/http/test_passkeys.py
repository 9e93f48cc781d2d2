"""Passkeys, in a real Chromium with its virtual authenticator, against a served SignalCraft."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import Browser as Chromium

from signalcraft.domain import ids
from tests.chromium import launched
from tests.http.asking import problem
from tests.http.browsing import PASSWORD, QUIET, Browser, browser, journal, person
from tests.http.visiting import Visit, origin_of
from tests.world import World


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with World(tmp_path_factory.mktemp("world") / "data", **QUIET) as it:
        yield it


@pytest.fixture(scope="module")
def chromium() -> Iterator[Chromium]:
    with launched("passkeys in a browser") as it:
        yield it


@pytest.fixture
def visit(world: World, chromium: Chromium) -> Iterator[Visit]:
    it = Visit(chromium, origin_of(world))
    yield it
    it.context.close()


@contextmanager
def somebody(world: World, visit: Visit, email: str) -> Iterator[str]:
    """Signed in on the visit, with one passkey; their id."""
    number = person(world, email)
    visit.signs_in(email)
    visit.adds()
    yield number


def without_password(world: World, number: str) -> None:
    """As one who came by single sign-on."""
    sql = "update person set password_hash = null where id = ?"
    world._call(world.house.db.write(lambda tx: tx.run(sql, (ids.parse(number),))))
    world.house.signin.sessions.forget()


# -- making one -------------------------------------------------------------------------------------------------------


def test_a_passkey_is_made_and_signs_in_without_a_name(world: World, visit: Visit) -> None:
    with somebody(world, visit, "ada@example.com") as number:
        (one,) = visit.good("GET", "/api/auth/passkeys")["items"]
        assert (one["name"], one["usable"], one["last_used_at"]) == ("laptop", True, None)
        held = visit.credentials()
        assert [(c["rpId"], c["isResidentCredential"]) for c in held] == [("localhost", True)]
        # What the authenticator keeps of the account says nothing about the person.
        assert base64.b64decode(held[0]["userHandle"]) == ids.parse(number).to_bytes(8, "big")
        assert journal(world)[-1][0] == "passkey_added"

        visit.signs_out()
        assert visit.ask("GET", "/api/auth/me")["status"] == 401
        options = visit.good("POST", "/api/auth/sign-in/passkey/options")["options"]
        assert options["userVerification"] == "required"
        assert not options.get("allowCredentials")
        me = visit.proves(visit.signed())["json"]
        assert (me["person"]["email"], me["session"]["method"]) == ("ada@example.com", "passkey")
        assert visit.good("GET", "/api/auth/me")["person"]["id"] == number
        verb, said = journal(world)[-1]
        assert (verb, said["method"], said["person"]) == ("signed_in", "passkey", number)
        assert visit.good("GET", "/api/auth/passkeys")["items"][0]["last_used_at"] is not None


def test_the_second_factor_of_a_password_is_not_asked_for_beside_a_passkey(world: World, visit: Visit) -> None:
    with somebody(world, visit, "totp@example.com"), Browser(world) as other:
        other.signs_in("totp@example.com")
        other.enrols()
        visit.signs_out()
        assert visit.proves(visit.signed())["json"]["second_factor"] is True


def test_who_cannot_unlock_the_passkey_does_not_get_in(world: World, visit: Visit) -> None:
    """A stolen security key without its PIN: user verification is required, and its flag is looked at."""
    from playwright.sync_api import Error

    with somebody(world, visit, "thief@example.com"):
        visit.signs_out()
        visit.cdp.send("WebAuthn.setUserVerified", {"authenticatorId": visit.authenticator, "isUserVerified": False})
        with pytest.raises(Error, match="NotAllowedError"):
            visit.signed()
        # A page that does not insist gets a signature, but we do not take it.
        options = visit.good("POST", "/api/auth/sign-in/passkey/options")["options"]
        given = visit.page.evaluate("o => sign(o)", {**options, "userVerification": "discouraged"})
        assert_refused(visit.proves(given))


def test_making_one_needs_a_fresh_proof(world: World, visit: Visit) -> None:
    with somebody(world, visit, "stale@example.com"):
        visit.another_device()
        made = visit.made()
        world.clock.at_ms += 11 * 60_000
        for method, path in (("POST", "/api/auth/passkeys/options"), ("DELETE", "/api/auth/passkeys/0000000000000")):
            assert visit.ask(method, path)["json"]["code"] == "step_up_needed"
        said = visit.ask("POST", "/api/auth/passkeys", {"name": "x", "credential": made})
        assert said["json"]["code"] == "step_up_needed"
        visit.good("POST", "/api/auth/step-up", {"password": PASSWORD})
        said = visit.ask("POST", "/api/auth/passkeys", {"name": "x", "credential": made})
        assert said["json"]["code"] == "sign_in_stale"


def test_a_made_passkey_counts_once_and_for_the_session_that_asked(world: World, chromium: Chromium) -> None:
    origin = origin_of(world)
    one, two = Visit(chromium, origin), Visit(chromium, origin)
    person(world, "one@example.com")
    person(world, "two@example.com")
    one.signs_in("one@example.com")
    two.signs_in("two@example.com")
    made = one.made()
    stolen = two.ask("POST", "/api/auth/passkeys", {"name": "mine now", "credential": made})
    assert (stolen["status"], stolen["json"]["code"]) == (410, "sign_in_stale")
    one.good("POST", "/api/auth/passkeys", {"name": "mine", "credential": made})
    again = one.ask("POST", "/api/auth/passkeys", {"name": "twice", "credential": made})
    assert again["json"]["code"] == "sign_in_stale"
    assert two.good("GET", "/api/auth/passkeys")["items"] == []
    one.context.close()
    two.context.close()


def test_a_browser_is_told_which_ones_there_are_already(world: World, visit: Visit) -> None:
    from playwright.sync_api import Error

    with somebody(world, visit, "again@example.com"), pytest.raises(Error, match="InvalidStateError"):
        visit.made()


def test_what_is_no_answer_to_our_challenge_is_not_taken(world: World, visit: Visit) -> None:
    """Each part that was changed on the way makes it worth nothing."""
    with somebody(world, visit, "forger@example.com"):
        visit.another_device()
        path = "/api/auth/passkeys"
        for part, change in (
            ("attestationObject", lambda text: "AAAA"),
            ("attestationObject", lambda text: base64.urlsafe_b64encode(b"\x81" * 15_000).decode().rstrip("=")),
            ("attestationObject", lambda text: text[:-20]),
        ):
            made = visit.made()
            made["response"][part] = change(made["response"][part])
            said = visit.ask("POST", path, {"name": "x", "credential": made})
            assert (said["status"], said["json"]["code"]) == (422, "invalid"), said
        made = visit.made()
        other = client_data(made["response"]["clientDataJSON"], origin="https://evil.example")
        made["response"]["clientDataJSON"] = other
        assert visit.ask("POST", path, {"name": "x", "credential": made})["json"]["code"] == "invalid"
        made = visit.made()
        made["response"]["clientDataJSON"] = client_data(made["response"]["clientDataJSON"], challenge="A" * 64)
        assert visit.ask("POST", path, {"name": "x", "credential": made})["json"]["code"] == "sign_in_stale"
        assert len(visit.good("GET", path)["items"]) == 1


def client_data(text: str, **change: Any) -> str:
    """What the browser says it was asked, changed."""
    import json

    plain = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    return base64.urlsafe_b64encode(json.dumps({**plain, **change}).encode()).decode().rstrip("=")


# -- signing in -------------------------------------------------------------------------------------------------------


def assert_refused(said: dict[str, Any]) -> None:
    """The one answer to everything that is wrong with a passkey."""
    assert said["status"] == 401, said
    told = {name: said["json"][name] for name in ("code", "detail", "errors")}
    assert told == {"code": "wrong_credentials", "detail": "this passkey is not accepted here", "errors": []}


def test_a_signature_counts_once_and_for_ten_minutes(world: World, visit: Visit) -> None:
    with somebody(world, visit, "replay@example.com"):
        visit.signs_out()
        given = visit.signed()
        assert visit.proves(given)["status"] == 200
        visit.signs_out()
        said = visit.proves(given)
        assert (said["status"], said["json"]["code"]) == (410, "sign_in_stale")
        late = visit.signed()
        world.clock.at_ms += 10 * 60_000
        assert visit.proves(late)["json"]["code"] == "sign_in_stale"
        # What was signed for one thing is worth nothing for another.
        visit.signs_in("replay@example.com")
        again = visit.signed("/api/auth/step-up/passkey")
        assert visit.proves(again)["json"]["code"] == "sign_in_stale"


def test_a_counter_that_went_back_is_a_copy_and_is_refused(world: World, visit: Visit) -> None:
    with somebody(world, visit, "copied@example.com"):
        visit.signs_out()
        (copy,) = visit.credentials()
        assert visit.proves(visit.signed())["status"] == 200
        assert visit.proves(visit.signed())["status"] == 200
        visit.signs_out()
        visit.cdp.send("WebAuthn.clearCredentials", {"authenticatorId": visit.authenticator})
        visit.cdp.send("WebAuthn.addCredential", {"authenticatorId": visit.authenticator, "credential": copy})
        assert_refused(visit.proves(visit.signed()))
        lines = [(verb, said) for verb, said in journal(world) if verb == "passkey_copied"]
        assert lines[-1][1]["name"] == "laptop"
        assert lines[-1][1]["counter"] <= lines[-1][1]["before"]


def test_every_passkey_that_is_not_accepted_gets_the_same_answer(world: World, visit: Visit) -> None:
    """Unknown, removed, forged, of somebody who is disabled, of somebody else: nothing tells them apart."""
    with somebody(world, visit, "same@example.com") as number:
        (one,) = visit.good("GET", "/api/auth/passkeys")["items"]
        visit.signs_out()
        for part in ("signature", "authenticatorData"):
            given = visit.signed()
            text = given["response"][part]
            given["response"][part] = text[:8] + ("A" if text[8] != "A" else "B") + text[9:]
            assert_refused(visit.proves(given))
        given = visit.signed()
        given["response"]["userHandle"] = "AAAAAAAAAAE"
        assert_refused(visit.proves(given))
        given = visit.signed()
        given["response"]["clientDataJSON"] = client_data(
            given["response"]["clientDataJSON"], origin="https://evil.example"
        )
        assert_refused(visit.proves(given))
        given = visit.signed()
        given["id"] = given["rawId"] = "AAAA"
        assert_refused(visit.proves(given))
        world.api.patch(f"/api/people/{number}", json={"disabled": True}).raise_for_status()
        assert_refused(visit.proves(visit.signed()))
        world.api.patch(f"/api/people/{number}", json={"disabled": False}).raise_for_status()
        visit.signs_in("same@example.com")
        visit.good("DELETE", f"/api/auth/passkeys/{one['id']}")
        visit.signs_out()
        assert_refused(visit.proves(visit.signed()))


# -- once more --------------------------------------------------------------------------------------------------------


def test_a_passkey_is_a_further_proof(world: World, visit: Visit) -> None:
    with somebody(world, visit, "up@example.com"):
        world.clock.at_ms += 11 * 60_000
        assert visit.ask("POST", "/api/auth/passkeys/options")["json"]["code"] == "step_up_needed"
        path = "/api/auth/step-up/passkey"
        options = visit.good("POST", f"{path}/options")["options"]
        assert len(options["allowCredentials"]) == 1
        said = visit.proves(visit.signed(path), path)
        assert said["status"] == 200, said
        visit.good("POST", "/api/auth/passkeys/options")
        me = visit.good("GET", "/api/auth/me")
        assert me["step_up_until"] == said["json"]["step_up_until"]


def test_the_passkey_of_somebody_else_is_no_proof(world: World, chromium: Chromium, visit: Visit) -> None:
    path = "/api/auth/step-up/passkey"
    with somebody(world, visit, "victim@example.com"):
        options = visit.good("POST", f"{path}/options")["options"]
        thief = Visit(chromium, origin_of(world))
        with somebody(world, thief, "else@example.com"):
            mine = {**options, "allowCredentials": []}
            given = thief.page.evaluate("o => sign(o)", mine)
            assert_refused(visit.proves(given, path))
        thief.context.close()
    person(world, "none@example.com")
    with Browser(world) as none:
        none.signs_in("none@example.com")
        problem(none.ask("POST", f"{path}/options"), 409, "conflict")


# -- names, and the last one ------------------------------------------------------------------------------------------


def test_one_renames_and_removes_ones_own_and_nobody_elses(world: World, visit: Visit) -> None:
    with somebody(world, visit, "own@example.com"), browser(world, "eve@example.com") as eve:
        (one,) = visit.good("GET", "/api/auth/passkeys")["items"]
        path = f"/api/auth/passkeys/{one['id']}"
        assert visit.good("PATCH", path, {"name": "  old   laptop "})["name"] == "old laptop"
        assert visit.ask("PATCH", path, {"name": " "})["status"] == 422
        problem(eve.ask("PATCH", path, {"name": "hers"}), 404, "not_found")
        problem(eve.ask("DELETE", path), 404, "not_found")
        visit.good("DELETE", path)
        assert visit.good("GET", "/api/auth/passkeys")["items"] == []
        assert visit.ask("DELETE", path)["status"] == 404
        assert [verb for verb, _ in journal(world)][-2:] == ["passkey_renamed", "passkey_removed"]


def test_the_last_passkey_of_somebody_without_a_password_stays(world: World, visit: Visit) -> None:
    with somebody(world, visit, "last@example.com") as number:
        without_password(world, number)
        (one,) = visit.good("GET", "/api/auth/passkeys")["items"]
        said = visit.ask("DELETE", f"/api/auth/passkeys/{one['id']}")
        assert (said["status"], said["json"]["code"]) == (409, "conflict")
        assert "last way in" in said["json"]["detail"]
        visit.plugs_in(transport="usb")
        options = visit.good("POST", "/api/auth/passkeys/options")["options"]
        made = visit.page.evaluate("o => make(o)", options)
        visit.good("POST", "/api/auth/passkeys", {"name": "key", "credential": made})
        visit.good("DELETE", f"/api/auth/passkeys/{one['id']}")
        (other,) = visit.good("GET", "/api/auth/passkeys")["items"]
        assert visit.ask("DELETE", f"/api/auth/passkeys/{other['id']}")["status"] == 409


def test_a_reset_for_a_lost_phone_takes_the_passkeys_away(world: World, visit: Visit) -> None:
    with somebody(world, visit, "lost@example.com") as number:
        visit.signs_out()
        made = world.post(f"/api/people/{number}/reset-link", {"second_factor": True})
        token = made["url"].partition("#")[2]
        with Browser(world) as other:
            other.post("/api/auth/reset", {"token": token, "password": "quilted-Fjord-otter-8"})
        assert_refused(visit.proves(visit.signed()))
        assert "passkey_removed" in [verb for verb, said in journal(world) if said.get("person") == number]
