"""Who somebody is here whom the identity provider names, and who stays out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from signalcraft import logs
from signalcraft.domain import ids
from tests.http.asking import problem
from tests.http.browsing import PASSWORD, QUIET, Browser, browser, journal, person
from tests.http.issuing import (
    SECRET,
    START,
    Issuer,
    assert_refused,
    signs_in,
    there_and_back,
    trusting,
)
from tests.world import World


def test_somebody_with_an_account_is_linked_by_address_and_from_then_on_by_subject(
    world: World, issuer: Issuer
) -> None:
    number = person(world, "linked@example.com", "member")
    issuer.claims = {"sub": "l-1", "email": "Linked@Example.com"}
    with Browser(world) as it:
        assert there_and_back(it, issuer).status_code == 303
        assert (it.who["person"]["id"], it.who["role"], it.who["has_password"]) == (number, "member", True)
        issuer.claims = {"sub": "l-1", "email": "renamed@example.com"}
        assert there_and_back(it, issuer).status_code == 303
        assert it.who["person"] == {"id": number, "email": "linked@example.com", "name": "linked"}
        (link,) = it.get("/api/auth/identities")["items"]
        assert link["email"] == "renamed@example.com"
    # The address was given to somebody else at the provider: they are not the one who has the account here.
    assert_refused(signs_in(world, issuer, sub="l-2", email="linked@example.com"))


def test_who_is_not_here_and_may_not_come_is_refused_like_who_is_disabled(tmp_path: Path, issuer: Issuer) -> None:
    with trusting(issuer, tmp_path / "data", **{"oidc.allowed_domains": ""}) as world:
        assert_refused(signs_in(world, issuer, sub="n-1", email="new@example.com"))
        number = person(world, "known@example.com", "admin")
        assert signs_in(world, issuer, sub="k-1", email="known@example.com").status_code == 303
        world.api.patch(f"/api/people/{number}", json={"disabled": True}).raise_for_status()
        assert_refused(signs_in(world, issuer, sub="k-1", email="known@example.com"))
        assert "sign_in_failed" in [verb for verb, said in journal(world) if said.get("person") == number]
        world.api.patch(f"/api/people/{number}", json={"disabled": False}).raise_for_status()
        world.api.delete(f"/api/people/{number}").raise_for_status()
        assert_refused(signs_in(world, issuer, sub="k-1", email="known@example.com"))


@pytest.mark.parametrize("email", ["x@elsewhere.example", "x@a.example.com", "x@example.com.elsewhere.example"])
def test_an_address_of_another_domain_does_not_get_in(world: World, issuer: Issuer, email: str) -> None:
    assert_refused(signs_in(world, issuer, sub=f"of {email}", email=email))
    person(world, email, "member")
    assert_refused(signs_in(world, issuer, sub=f"of {email}", email=email))
    assert signs_in(world, issuer, sub=f"ours {email}", email=f"{len(email)}@example.com").status_code == 303


def test_nobody_comes_before_the_owner(tmp_path: Path, issuer: Issuer) -> None:
    with World(tmp_path / "data", **QUIET, **issuer.settings) as world:
        issuer.now = world.clock
        assert_refused(signs_in(world, issuer, sub="first", email="first@example.com"))
        assert world.get("/api/people")["items"] == []


def test_the_second_factor_of_a_password_is_the_providers_business_here(world: World, issuer: Issuer) -> None:
    """What the docs say: who signs in at the provider is asked for its factors, not for ours."""
    with browser(world, "both@example.com") as it:
        it.enrols()
    issuer.claims = {"sub": "both", "email": "both@example.com"}
    with Browser(world) as it:
        assert there_and_back(it, issuer).status_code == 303
        assert it.who["second_factor"] is True


def test_groups_decide_what_somebody_is_at_every_sign_in(tmp_path: Path, issuer: Issuer) -> None:
    settings = {
        "oidc.role_claim": "groups", "oidc.default_role": "none",
        "oidc.roles": "sre=admin, support=member, /a=b=viewer",
    }  # fmt: skip
    with trusting(issuer, tmp_path / "data", **settings) as world:
        owner = next(one["id"] for one in world.get("/api/people")["items"])
        who = {"sub": "g", "email": "g@example.com"}

        def role(**more: Any) -> str:
            issuer.claims = {**who, **more}
            with Browser(world) as it:
                assert there_and_back(it, issuer).status_code == 303
                return str(it.who["role"])

        assert_refused(signs_in(world, issuer, **who))
        assert_refused(signs_in(world, issuer, **who, groups=["owner", "SRE", 7]))
        assert role(groups=["support", "sre"]) == "admin"
        with Browser(world) as it:
            issuer.claims = {**who, "groups": ["sre"]}
            there_and_back(it, issuer)
            made = it.post("/api/invitations", {"email": "friend@example.com", "role": "viewer"})
        assert role(groups="support") == "member"
        states = {one["id"]: one["state"] for one in world.get("/api/invitations")["items"]}
        assert states[made["id"]] == "revoked"  # an invitation is worth what its inviter is
        assert role(groups=["/a=b"]) == "viewer"
        assert ("role_changed", {"from": "member", "to": "viewer"}) in [
            (verb, {"from": said.get("from"), "to": said.get("to")}) for verb, said in journal(world)
        ]
        assert_refused(signs_in(world, issuer, **who, groups=[]))
        issuer.claims = {"sub": "o", "email": "owner@example.com", "groups": ["support"]}
        with Browser(world) as it:
            assert there_and_back(it, issuer).status_code == 303
            assert (it.who["person"]["id"], it.who["role"]) == (owner, "owner")


def test_only_a_fresh_proof_at_the_provider_is_one_here(world: World, issuer: Issuer) -> None:
    """Whoever finds a browser open could sign in anew without being asked for anything."""
    issuer.claims = {"sub": "fresh", "email": "fresh@example.com", "auth_time": world.clock.at_ms // 1000 - 3600}
    with Browser(world) as it:
        there_and_back(it, issuer)
        problem(it.ask("POST", "/api/auth/passkeys/options"), 403, "step_up_needed")
        begun = it.ask("GET", f"{START}?again=true")
        assert "max_age=0" in begun.headers["location"]
        issuer.claims["auth_time"] = world.clock.at_ms // 1000
        old = it.client.cookies["signalcraft"]
        assert there_and_back(it, issuer, f"{START}?again=true").status_code == 303
        assert it.ask("POST", "/api/auth/passkeys/options").status_code == 200
        it.client.cookies.set("signalcraft", old)
        assert it.client.get("/api/auth/me", headers={"cookie": f"signalcraft={old}"}).status_code == 401


def test_the_last_way_in_stays(world: World, issuer: Issuer) -> None:
    issuer.claims = {"sub": "only", "email": "only@example.com"}
    with Browser(world) as it, browser(world, "nosy@example.com") as nosy:
        there_and_back(it, issuer)
        (link,) = it.get("/api/auth/identities")["items"]
        path = f"/api/auth/identities/{link['id']}"
        said = problem(it.ask("DELETE", path), 409, "conflict")
        assert "last way in" in said["detail"]
        problem(nosy.ask("DELETE", path), 404, "not_found")
        number = ids.parse(it.who["person"]["id"])
        sql = "update person set password_hash = 'x' where id = ?"
        world._call(world.house.db.write(lambda tx: tx.run(sql, (number,))))
        assert it.ask("DELETE", path).status_code == 204
        assert it.get("/api/auth/identities") == {"items": []}
        assert journal(world)[-1][0] == "identity_unlinked"


def test_refusals_close_the_door_to_their_address(tmp_path: Path, issuer: Issuer) -> None:
    limits = {"limits.sign_in_per_minute": "5", "limits.sign_in_failures_per_15_minutes": "10"}
    with trusting(issuer, tmp_path / "data", **limits) as world:
        seen = [signs_in(world, issuer, email_verified=False).status_code for _ in range(6)]
        assert seen == [401] * 5 + [429]


def test_the_clients_secret_is_shown_nowhere(world: World, issuer: Issuer, caplog: pytest.LogCaptureFixture) -> None:
    issuer.status = {"/token": 500}
    with Browser(world) as it:
        answer = there_and_back(it, issuer)
        assert SECRET not in answer.text + str(answer.headers)
    assert SECRET not in caplog.text
    assert SECRET not in logs.redact(f"oops: {SECRET}")
    assert PASSWORD not in caplog.text
