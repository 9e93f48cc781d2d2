"""Single sign-on: with a provider that is real, and the way there and back."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qs, parse_qsl, quote, urlsplit

import httpx
import pytest

from signalcraft.config import load
from signalcraft.domain.delivery import HttpCall, Reply
from signalcraft.services.provider import Document, Provider, Unavailable
from tests.http.asking import problem
from tests.http.browsing import QUIET, Browser, journal, person
from tests.http.issuing import (
    CALLBACK,
    START,
    Issuer,
    assert_refused,
    signs_in,
    there_and_back,
    trusting,
)
from tests.world import Clock, World, free_port

# -- a provider that is real ------------------------------------------------------------------------------------------


@contextmanager
def provider() -> Iterator[str]:
    """oidc-provider-mock, which is Authlib's server side, in a process of its own; its issuer."""
    port = free_port()
    command = [sys.executable, "-m", "oidc_provider_mock", "--port", str(port), "--require-nonce", "true"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    issuer = f"http://127.0.0.1:{port}"
    try:
        for _ in range(200):
            try:
                httpx.get(f"{issuer}/jwks", trust_env=False).raise_for_status()
                break
            except httpx.TransportError:
                assert process.poll() is None, "the provider did not start"
                time.sleep(0.1)
        yield issuer
    finally:
        process.kill()
        process.wait(10)


def test_somebody_signs_in_through_a_real_provider(tmp_path: Path) -> None:
    with provider() as issuer:
        registered = httpx.post(
            f"{issuer}/oauth2/clients", json={"redirect_uris": ["http://127.0.0.1/"]}, trust_env=False
        ).json()
        settings = {
            "oidc.issuer": issuer, "oidc.client_id": "any", "oidc.client_secret": registered["client_secret"],
            "oidc.allowed_domains": "example.com", "oidc.label": "Example",
        }  # fmt: skip
        with World(tmp_path / "data", **QUIET, **settings) as world:
            world.clock.at_ms = round(time.time() * 1000)
            person(world, "owner@example.com", "owner")
            claims = {"email": "kim@example.com", "email_verified": True, "name": "Kim  Example"}
            httpx.put(f"{issuer}/users/kim", json=claims, trust_env=False).raise_for_status()
            with Browser(world) as kim, httpx.Client(trust_env=False) as there:
                state = kim.get("/api/auth/state")
                assert (state["methods"], state["oidc_label"]) == (["password", "passkey", "oidc"], "Example")
                begun = kim.ask("GET", f"{START}?next=/alerts%3Fstatus%3Dopen")
                assert begun.status_code == 302, begun.text
                form = there.get(begun.headers["location"])
                assert form.status_code == 200, form.text
                sent = there.post(begun.headers["location"], data={"sub": "kim"})
                assert sent.status_code == 302, sent.text
                back = urlsplit(sent.headers["location"])
                assert f"{back.scheme}://{back.netloc}{back.path}" == f"{world.api.base_url}".rstrip("/") + CALLBACK
                done = kim.ask("GET", f"{back.path}?{back.query}")
                assert (done.status_code, done.headers.get("location")) == (303, "/alerts?status=open"), done.text
                kim.who = kim.get("/api/auth/me")
                assert kim.who["person"] | {"id": ""} == {"id": "", "email": "kim@example.com", "name": "Kim Example"}
                assert (kim.who["role"], kim.who["session"]["method"]) == ("viewer", "oidc")
                assert kim.who["has_password"] is False
                (link,) = kim.get("/api/auth/identities")["items"]
                assert (link["issuer"], link["subject"], link["email"]) == (issuer, "kim", "kim@example.com")
                assert [verb for verb, _ in journal(world)][-3:] == ["person_added", "identity_linked", "signed_in"]
                # The code and the state are used up.
                problem(kim.ask("GET", f"{back.path}?{back.query}"), 410, "sign_in_stale")

            with Browser(world) as eve:  # the person says no at the provider
                begun = eve.ask("GET", START)
                sent = httpx.post(begun.headers["location"], data={"action": "deny"}, trust_env=False)
                brought = dict(parse_qsl(urlsplit(sent.headers["location"]).query))
                assert brought["error"] == "access_denied"
                asked = dict(parse_qsl(urlsplit(begun.headers["location"]).query))
                brought.setdefault("state", asked["state"])  # the provider's version for Python 3.11 forgets it here
                problem(eve.client.get(CALLBACK, params=brought), 401, "sign_in_refused")


# -- a provider that does as it is told -------------------------------------------------------------------------------


def test_what_is_asked_of_the_provider(world: World, issuer: Issuer) -> None:
    with Browser(world) as it:
        begun = it.ask("GET", START)
        url = urlsplit(begun.headers["location"])
        asked = {name: values[0] for name, values in parse_qs(url.query).items()}
        assert f"{url.scheme}://{url.netloc}{url.path}" == f"{issuer.url}/authorize"
        assert asked["redirect_uri"] == f"{str(world.api.base_url).rstrip('/')}{CALLBACK}"
        assert asked["scope"] == "openid email profile"
        assert (asked["response_type"], asked["code_challenge_method"]) == ("code", "S256")
        for name in ("state", "nonce", "code_challenge"):  # 256 bits each, and not the same
            assert re.fullmatch(r"[\w-]{43}", asked[name])
        assert len({asked["state"], asked["nonce"], asked["code_challenge"]}) == 3
        cookie = begun.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=lax" in cookie
        assert "Max-Age=600" in cookie
        assert asked["state"] not in cookie
        other = parse_qs(urlsplit(it.ask("GET", START).headers["location"]).query)
        assert other["state"] != [asked["state"]]
        assert other["nonce"] != [asked["nonce"]]


# -- the way there and back -------------------------------------------------------------------------------------------


def test_an_answer_counts_once_in_the_browser_that_asked_and_for_ten_minutes(world: World, issuer: Issuer) -> None:
    issuer.claims = {"sub": "state", "email": "state@example.com"}
    with Browser(world) as one, Browser(world) as other:
        problem(one.ask("GET", CALLBACK), 410, "sign_in_stale")
        problem(one.ask("GET", f"{CALLBACK}?code=x&state=y"), 410, "sign_in_stale")
        url = one.ask("GET", START).headers["location"]
        brought = issuer.consents(url)
        # Somebody else's answer, made to be opened by a victim: their browser holds no such sign-in.
        other.ask("GET", START)
        problem(other.client.get(CALLBACK, params=brought), 410, "sign_in_stale")
        for change in ({"state": ""}, {"state": brought["state"][:-1] + "A"}, {"state": "é"}):
            one.ask("GET", START)
            problem(one.client.get(CALLBACK, params={**brought, **change}), 410, "sign_in_stale")
        cookie = one.client.cookies
        url = one.ask("GET", START).headers["location"]
        brought, kept = issuer.consents(url), cookie["signalcraft-oidc"]
        assert one.client.get(CALLBACK, params=brought).status_code == 303
        assert "signalcraft-oidc" not in one.client.cookies
        problem(one.client.get(CALLBACK, params=brought), 410, "sign_in_stale")
        issuer.codes[brought["code"]] = {}
        one.client.cookies.set("signalcraft-oidc", kept)
        problem(one.client.get(CALLBACK, params=brought), 410, "sign_in_stale")
        assert brought["code"] in issuer.codes  # the provider was not even asked
        one.client.cookies.delete("signalcraft-oidc")
        url = one.ask("GET", START).headers["location"]
        world.clock.at_ms += 600_000
        problem(one.client.get(CALLBACK, params=issuer.consents(url)), 410, "sign_in_stale")


def test_a_code_of_another_sign_in_is_refused(world: World, issuer: Issuer) -> None:
    """Injected into somebody's browser: the PKCE verifier does not fit it, nor would the nonce."""
    issuer.claims = {"sub": "injected", "email": "injected@example.com"}
    with Browser(world) as attacker, Browser(world) as victim:
        code = issuer.consents(attacker.ask("GET", START).headers["location"])["code"]
        assert_refused(there_and_back(victim, issuer, code=code))
        assert_refused(there_and_back(victim, issuer, code="made-up"))
        assert_refused(there_and_back(victim, issuer, code="", error="access_denied"))
        assert_refused(there_and_back(victim, issuer, iss="https://evil.example"))
        assert there_and_back(victim, issuer, iss=issuer.url).status_code == 303


@pytest.mark.parametrize(
    "path",
    [
        "https://evil.example/", "//evil.example/", "/\\evil.example", "\\\\evil.example", "javascript:alert(1)", "",
        "evil", "/\t/evil.example", "/a\r\nSet-Cookie: x=y", "/é", "http:evil.example", "/" + "a" * 2000,
    ],
)  # fmt: skip
def test_one_is_sent_to_no_other_site(world: World, issuer: Issuer, path: str) -> None:
    with Browser(world) as it:
        answer = it.client.get(START, params={"next": path})
        problem(answer, 422, "invalid", "next")
        assert "location" not in answer.headers


def test_a_path_that_was_changed_in_the_cookie_is_not_followed(world: World, issuer: Issuer) -> None:
    with Browser(world) as it:
        begun = it.ask("GET", f"{START}?next=/alerts")
        brought = issuer.consents(begun.headers["location"])
        kept = it.client.cookies["signalcraft-oidc"]
        it.client.cookies.clear()
        it.client.cookies.set("signalcraft-oidc", kept.partition(".")[0] + "." + quote("/other", safe=""))
        problem(it.client.get(CALLBACK, params=brought), 410, "sign_in_stale")


def test_a_person_with_a_browser_is_told_in_words(world: World, issuer: Issuer) -> None:
    with Browser(world) as it:
        answer = it.client.get(CALLBACK, headers={"accept": "text/html,application/xhtml+xml"})
        assert (answer.status_code, answer.headers["content-type"]) == (410, "text/html; charset=utf-8")
        assert "You are not signed in" in answer.text
        assert f'href="{START}"' in answer.text
        assert answer.headers["x-request-id"] in answer.text
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")


def test_a_provider_that_is_away_or_talks_nonsense_is_said_to_be(tmp_path: Path, issuer: Issuer) -> None:
    well_known = "/.well-known/openid-configuration"
    with trusting(issuer, tmp_path / "data") as world, Browser(world) as it:
        issuer.status = {well_known: 500}
        problem(it.ask("GET", START), 502, "provider_unavailable")
        issuer.status = {}
        asked = len(issuer.asked)
        problem(it.ask("GET", START), 502, "provider_unavailable")
        assert len(issuer.asked) == asked  # whoever comes next does not wait for it, too
        for wrong in (
            {"issuer": f"{issuer.url}/"},
            {"token_endpoint": "http://"},
            {"authorization_endpoint": "javascript:alert(1)"},
            {"jwks_uri": 7},
        ):
            issuer.metadata = wrong
            world.clock.at_ms += 5_000
            problem(it.ask("GET", START), 502, "provider_unavailable")
        issuer.metadata = {"authorization_response_iss_parameter_supported": True}
        world.clock.at_ms += 5_000
        assert_refused(there_and_back(it, issuer))  # it says that it names itself, and did not
        for path in ("/jwks", "/token"):
            issuer.status = {path: 503}
            problem(there_and_back(it, issuer, iss=issuer.url), 502, "provider_unavailable")


@pytest.mark.parametrize("what", ["document", "keys"])
def test_a_provider_that_hangs_is_waited_for_by_one_person_not_by_a_queue(what: str) -> None:
    """Whoever asked meanwhile is told as soon as the first one's patience is over."""
    clock = Clock()
    asked: list[str] = []

    class Hanging:
        async def send(self, call: HttpCall) -> Reply:
            asked.append(call.url)
            await asyncio.sleep(0.01)
            clock.at_ms += round(call.timeout_s * 1000)
            return Reply(status=0, error="no answer")

    async def story() -> None:
        settings = load(overrides={"oidc.issuer": "https://id.example", "oidc.client_id": "it"}, environ={}).settings
        it = Provider(settings, cast(Any, Hanging()), clock)
        base = "https://id.example"
        there = Document(base, f"{base}/authorize", f"{base}/token", f"{base}/jwks")
        asking = it.document if what == "document" else lambda: it._keys_now(there, anew=False)
        told = await asyncio.gather(*(asking() for _ in range(5)), return_exceptions=True)
        assert [type(one) for one in told] == [Unavailable] * 5

    asyncio.run(story())
    assert len(asked) == 1


def test_a_client_that_the_provider_does_not_know_is_nobodys_failure(tmp_path: Path, issuer: Issuer) -> None:
    settings = {"oidc.client_secret": "not-this-one", "limits.sign_in_per_minute": "1"}
    with trusting(issuer, tmp_path / "data", **settings) as world, Browser(world) as it:
        for _ in range(3):
            problem(there_and_back(it, issuer), 502, "provider_unavailable")


def test_a_provider_inside_ones_own_network_must_be_named(tmp_path: Path, issuer: Issuer) -> None:
    with trusting(issuer, tmp_path / "data", **{"outbound.allow": ""}) as world, Browser(world) as it:
        before = len(issuer.asked)
        problem(it.ask("GET", START), 502, "provider_unavailable")
        assert len(issuer.asked) == before


def test_without_a_provider_there_is_nothing(tmp_path: Path) -> None:
    with World(tmp_path / "data", **QUIET) as world, Browser(world) as it:
        problem(it.ask("GET", START), 404, "not_found")
        problem(it.ask("GET", CALLBACK), 404, "not_found")
        assert it.get("/api/auth/state")["oidc_label"] is None


def test_a_secret_in_the_body_and_userinfo_for_those_providers_that_want_it_so(tmp_path: Path, issuer: Issuer) -> None:
    issuer.metadata = {
        "token_endpoint_auth_methods_supported": ["client_secret_post"],
        "userinfo_endpoint": f"{issuer.url}/userinfo",
    }
    with trusting(issuer, tmp_path / "data") as world:
        issuer.userinfo = {"sub": "thin", "email": "thin@example.com", "email_verified": "true", "name": "Thin"}
        thin = {"sub": "thin", "email": None, "email_verified": None, "name": None}
        assert signs_in(world, issuer, **thin).status_code == 303
        issuer.userinfo["sub"] = "somebody else"
        assert_refused(signs_in(world, issuer, **thin))
        # The address of one and the word for it of the other prove nothing.
        issuer.userinfo = {"sub": "mix", "email": "mix@example.com", "email_verified": None}
        assert_refused(signs_in(world, issuer, sub="mix", email=None, email_verified=True))
        issuer.userinfo = {"sub": "mix", "email": None, "email_verified": True}
        assert_refused(signs_in(world, issuer, sub="mix", email="mix@example.com", email_verified=None))


def test_over_tls_the_cookie_can_be_set_by_this_host_alone(tmp_path: Path, issuer: Issuer) -> None:
    settings = {"http.public_url": "https://alerts.example.com", "http.trusted_proxies": "127.0.0.1"}
    with trusting(issuer, tmp_path / "data", **settings) as world:
        with Browser(world, **{"X-Forwarded-Proto": "https", "X-Forwarded-For": "203.0.113.7"}) as it:
            begun = it.ask("GET", START)
            cookie = begun.headers["set-cookie"]
            assert cookie.startswith("__Host-signalcraft-oidc=")
            assert "Secure" in cookie
            assert "Path=/" in cookie
            assert quote(f"https://alerts.example.com{CALLBACK}", safe="") in begun.headers["location"]
            brought = issuer.consents(begun.headers["location"])
            kept = it.client.cookies["__Host-signalcraft-oidc"]
            back = it.client.get(CALLBACK, params=brought, headers={"cookie": f"__Host-signalcraft-oidc={kept}"})
            assert (back.status_code, back.headers["location"]) == (303, "/")
            session = next(one for one in back.headers.get_list("set-cookie") if "__Host-signalcraft=" in one)
            assert "HttpOnly" in session
        with Browser(world, **{"X-Forwarded-Proto": "http", "X-Forwarded-For": "203.0.113.7"}) as it:
            problem(it.ask("GET", START), 403, "needs_tls")
            problem(it.ask("GET", CALLBACK), 403, "needs_tls")
            problem(it.ask("POST", "/api/auth/sign-in/passkey/options"), 403, "needs_tls")


def test_what_was_refused_is_in_the_security_log_and_who_got_in_in_the_audit_log(
    tmp_path: Path, issuer: Issuer
) -> None:
    with trusting(issuer, tmp_path / "data") as world, Browser(world, **{"User-Agent": "Tests/2"}) as it:
        issuer.claims = {"email_verified": False}
        assert_refused(there_and_back(it, issuer))
        issuer.claims = {}
        assert there_and_back(it, issuer).status_code == 303
        world.settled()
        row = world.get("/api/audit", limit=1)["items"][0]
        assert (row["verb"], row["address"], row["user_agent"]) == ("person_added", "127.0.0.1", "Tests/2")
        assert [one["verb"] for one in row["also"]] == ["identity_linked", "signed_in"]
        world._call(world.house.security.flush())
        said = json.dumps(world.get("/api/admin/security/audit"))
        assert "sign_in_failed" in said
        assert "/api/auth/oidc/callback" in said
