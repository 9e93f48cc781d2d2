"""Getting in: password, second factor, passkey, invitation, reset; and back to where one was when a session ends."""

from __future__ import annotations

import base64
import re
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import apsw
import pytest
from playwright.sync_api import Page, expect

from signalcraft.domain import totp
from tests.e2e.conftest import Visit, announce
from tests.e2e.looking import axe, too_wide
from tests.e2e.place import OWNER, PASSWORD, Place
from tests.http.issuing import Issuer

FRESH_PASSWORD = "quilted-Fjord-otter-8"
AUTHENTICATOR = {
    "protocol": "ctap2", "ctap2Version": "ctap2_1", "transport": "internal", "hasResidentKey": True,
    "hasUserVerification": True, "isUserVerified": True, "automaticPresenceSimulation": True,
}  # fmt: skip


def signs_in(page: Page, email: str = OWNER, password: str = PASSWORD) -> None:
    page.get_by_label("E-mail address").fill(email)
    page.get_by_label("Password", exact=True).fill(password)
    page.get_by_role("button", name="Sign in", exact=True).click()


def is_in(page: Page) -> None:
    expect(page.get_by_role("button", name=re.compile("^Account"))).to_be_visible()


def loses_its_session(page: Page) -> None:
    """Nobody is signed in any more, once the page's stream is open: it would be refused, and say so."""
    expect(page.get_by_role("status").filter(has_text="Live")).to_be_visible()
    page.context.clear_cookies()


def ask(page: Page, method: str, path: str, body: object = None) -> dict[str, object]:
    """A request of the page's own session, as its scripts would make it."""
    made: dict[str, object] = page.evaluate(
        """async ([method, path, body]) => {
          const me = await (await fetch('/api/auth/me')).json();
          const headers = {'content-type': 'application/json', 'x-csrf-token': me.csrf_token};
          const answer = await fetch(path, {method, headers, body: body === null ? undefined : JSON.stringify(body)});
          const text = await answer.text();
          return {status: answer.status, ...(text ? JSON.parse(text) : {})};
        }""",
        [method, path, body],
    )
    assert int(str(made["status"])) < 300, made
    return made


def code_of(secret: str, steps: int = 0) -> str:
    """What the authenticator app shows now, or so many steps of 30 seconds from now."""
    return totp.code_at(base64.b32decode(secret), int(time.time() * 1000) // totp.STEP_MS + steps)


def second_factor(page: Page) -> tuple[str, list[str]]:
    """Turns it on; the app's secret and the recovery codes."""
    secret = str(ask(page, "POST", "/api/auth/totp/enrol")["secret"])
    codes = ask(page, "POST", "/api/auth/totp/confirm", {"code": code_of(secret)})["recovery_codes"]
    assert isinstance(codes, list)
    return secret, codes


def proofs_are_old(place: Place) -> None:
    """The box starts anew, and the last proof of everybody is too old for what matters."""
    place.killed()
    base = apsw.Connection(str(place.data_dir / "signalcraft.db"))
    base.execute("update session set step_up_ms = step_up_ms - 3600000")
    base.close()
    place.restarted()


def test_a_stranger_signs_in_and_is_where_they_wanted_to_be(world: Place, stranger: Page) -> None:
    stranger.goto("/profile?from=mail")
    stranger.wait_for_url("**/sign-in?next=*")
    axe(stranger)
    signs_in(stranger, password="not-this-one-at-all")
    expect(stranger.get_by_role("alert")).to_contain_text("the e-mail address or the password is wrong")
    expect(stranger.get_by_label("E-mail address")).to_have_value(OWNER)
    signs_in(stranger)
    stranger.wait_for_url(f"{world.url}/profile?from=mail")
    is_in(stranger)


@pytest.mark.parametrize("elsewhere", ["https://evil.example/", "//evil.example/", "/\\evil.example"])
def test_nobody_is_sent_elsewhere_after_signing_in(world: Place, stranger: Page, elsewhere: str) -> None:
    stranger.goto(f"/sign-in?next={elsewhere}")
    signs_in(stranger)
    stranger.wait_for_url(f"{world.url}/")
    is_in(stranger)


@pytest.mark.whole
def test_the_sign_in_page_by_day_and_night_and_on_a_phone(themed: Page) -> None:
    themed.goto("/sign-in")
    # Who is signed in has nothing to do there.
    is_in(themed)
    loses_its_session(themed)
    themed.goto("/sign-in")
    expect(themed.get_by_role("heading", name="Sign in")).to_be_visible()
    axe(themed)
    themed.set_viewport_size({"width": 320, "height": 640})
    assert too_wide(themed) == []
    axe(themed)


def test_a_session_that_ends_while_the_page_is_open(world: Place, visit: Visit) -> None:
    """The page says so, asks for the password, and goes back to where one was."""
    kim = world.person("kim-ends@example.com")
    page = visit(person=None)
    announce(page, r"401 .*/api/")
    page.goto("/alert-groups?status=open")
    signs_in(page, kim)
    page.wait_for_url("**/alert-groups?*")
    is_in(page)
    with page.expect_response("**/api/sessions"):
        page.evaluate(
            """async () => {
              const me = await (await fetch('/api/auth/me')).json();
              const mine = (await (await fetch('/api/sessions')).json()).items.find((one) => one.current);
              await fetch(`/api/sessions/${mine.id}`, {method: 'DELETE', headers: {'x-csrf-token': me.csrf_token}});
            }"""
        )
    page.wait_for_url("**/sign-in?next=*", timeout=30_000)
    expect(page.get_by_text("Your session is over")).to_be_visible()
    signs_in(page, kim)
    page.wait_for_url("**/alert-groups?*")
    assert "status=open" in page.url
    is_in(page)


@pytest.mark.whole
def test_the_second_factor_and_a_recovery_code(world: Place, visit: Visit) -> None:
    kim = world.person("kim-totp@example.com")
    desk = visit(person=kim)
    desk.goto("/profile")
    secret, codes = second_factor(desk)
    page = visit(person=None)
    page.goto("/profile")
    signs_in(page, kim)
    expect(page.get_by_role("heading", name="One more proof")).to_be_visible()
    axe(page)
    page.get_by_label("Code of your authenticator app").fill("000000")
    expect(page.get_by_role("alert")).to_contain_text("code")
    # The code that turned it on was used; the next one is good already. Six digits are sent by themselves.
    page.get_by_label("Code of your authenticator app").fill(code_of(secret, 1))
    page.wait_for_url("**/profile")
    is_in(page)

    lost = visit(person=None)
    lost.goto("/sign-in")
    signs_in(lost, kim)
    lost.get_by_role("button", name="I do not have my phone").click()
    lost.get_by_label("Recovery code").fill(codes[0])
    lost.get_by_role("button", name="Go on").click()
    is_in(lost)
    lost.goto("/profile")
    expect(lost.get_by_text("9 recovery codes are left.")).to_be_visible()


@pytest.fixture
def named(tmp_path: Path, seeded: tuple[Path, str]) -> Iterator[Place]:
    """A box under the name for which browsers have passkeys."""
    with Place(tmp_path, *seeded) as it:
        it.url = it.url.replace("127.0.0.1", "localhost")
        yield it


@pytest.mark.whole
def test_a_passkey_signs_in_by_its_button_and_from_the_field(named: Place, visit: Visit) -> None:
    page = visit(named)
    page.goto("/profile")
    cdp = page.context.new_cdp_session(page)
    cdp.send("WebAuthn.enable")
    cdp.send("WebAuthn.addVirtualAuthenticator", {"options": AUTHENTICATOR})
    page.get_by_role("button", name="Add a passkey").click()
    page.get_by_label("What do you call it?").fill("work laptop")
    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_text("The passkey “work laptop” is there.")).to_be_visible()

    # Without the field's own offer the button is the way in.
    page.add_init_script(
        "if (!location.search.includes('field'))"
        " PublicKeyCredential.isConditionalMediationAvailable = async () => false"
    )
    loses_its_session(page)
    page.goto("/sign-in?next=/profile")
    page.get_by_role("button", name="Sign in with a passkey").click()
    page.wait_for_url("**/profile")
    is_in(page)
    expect(page.get_by_text("passkey ·").first).to_be_visible()

    # The virtual authenticator answers what the field offers by itself: nobody types anything.
    loses_its_session(page)
    page.goto("/sign-in?next=/profile%3Ffield")
    page.wait_for_url("**/profile?field*")
    is_in(page)


@pytest.mark.whole
def test_at_a_bare_number_the_profile_says_where_passkeys_are(page: Page) -> None:
    page.goto("/profile")
    link = page.get_by_role("link", name="http://localhost:")
    expect(link).to_be_visible()
    expect(page.get_by_role("button", name="Add a passkey")).to_have_count(0)


def test_somebody_who_is_invited_joins(world: Place, page: Page, stranger: Page) -> None:
    page.goto("/profile")
    made = ask(page, "POST", "/api/invitations", {"email": "new@example.com", "role": "member"})
    path = str(made["url"]).removeprefix(world.url)
    stranger.goto(path)
    expect(stranger.get_by_text("Olga invites you")).to_be_visible()
    axe(stranger)
    expect(stranger.get_by_label("E-mail address")).to_have_value("new@example.com")
    stranger.get_by_label("Your name").fill("Nell")
    stranger.get_by_label("Choose a password").fill("short")
    announce(stranger, r"422 .*accept", r"41\d .*preview", r"404 .*preview")
    stranger.get_by_role("button", name="Join").click()
    expect(stranger.get_by_label("Choose a password")).to_have_attribute("aria-invalid", "true")
    stranger.get_by_label("Choose a password").fill(FRESH_PASSWORD)
    stranger.get_by_role("button", name="Join").click()
    expect(stranger.get_by_role("button", name="Account: Nell")).to_be_visible()
    stranger.goto("/profile")
    stranger.goto(path)
    expect(stranger.get_by_role("heading", name="This invitation does not work any more")).to_be_visible()
    stranger.goto("/profile")
    stranger.goto("/join")
    expect(stranger.get_by_role("heading", name="This link is not whole")).to_be_visible()


@pytest.mark.whole
def test_a_link_sets_a_new_password(world: Place, page: Page, stranger: Page) -> None:
    kim = world.person("kim-reset@example.com")
    page.goto("/profile")
    people = world.get("/api/people", limit=100)["items"]
    number = next(one["id"] for one in people if one["email"] == kim)
    path = str(ask(page, "POST", f"/api/people/{number}/reset-link")["url"]).removeprefix(world.url)
    announce(stranger, r"4\d\d .*reset")
    stranger.goto(path)
    axe(stranger)
    stranger.get_by_label("New password").fill("password123456")
    stranger.get_by_role("button", name="Set the password").click()
    expect(stranger.get_by_label("New password")).to_have_attribute("aria-invalid", "true")
    stranger.get_by_label("New password").fill(FRESH_PASSWORD)
    stranger.get_by_role("button", name="Set the password").click()
    stranger.get_by_role("link", name="Sign in").click()
    signs_in(stranger, kim, FRESH_PASSWORD)
    is_in(stranger)
    again = stranger.context.new_page()
    again.goto(path)
    again.get_by_label("New password").fill("another-Fjord-otter-9")
    again.get_by_role("button", name="Set the password").click()
    expect(again.get_by_role("heading", name="This link does not work any more")).to_be_visible()


@pytest.mark.whole
def test_a_locked_account_says_for_how_long(tmp_path: Path, seeded: tuple[Path, str], visit: Visit) -> None:
    limits: Any = {"limits.sign_in_per_minute": "2", "limits.sign_in_failures_per_15_minutes": "10"}
    with Place(tmp_path, *seeded, **limits) as place:
        page = visit(place, person=None)
        announce(page, r"429 .*sign-in")
        page.goto("/sign-in")
        for _ in range(3):
            signs_in(page, password="not-this-one-at-all")
            expect(page.get_by_role("alert")).to_be_visible()
        expect(page.get_by_role("alert")).to_contain_text("Too many sign-ins failed")
        expect(page.get_by_role("alert")).to_contain_text(re.compile(r"You can try again in \d+ s"))
        expect(page.get_by_role("button", name="Sign in", exact=True)).to_be_disabled()
        axe(page)


@pytest.mark.whole
def test_over_plain_http_the_page_explains_itself(world: Place, stranger: Page) -> None:
    """No password is asked for where it could be read on its way; the ssh line is there to be copied."""
    hint = (
        "signing in needs HTTPS, and this connection is plain HTTP. From your own computer:"
        " ssh -L 8080:127.0.0.1:8080 THIS-BOX, then open http://127.0.0.1:8080. For everybody: a certificate"
    )
    stranger.set_extra_http_headers({"X-Forwarded-Proto": "http", "X-Forwarded-For": "203.0.113.9"})
    stranger.goto("/sign-in")
    expect(stranger.get_by_role("heading", name="Signing in needs HTTPS")).to_be_visible()
    port = world.url.rpartition(":")[2]
    expect(stranger.locator("code", has_text=f"ssh -L {port}:127.0.0.1:{port} 127.0.0.1")).to_be_visible()
    expect(stranger.get_by_label("Password", exact=True)).to_have_count(0)
    axe(stranger)
    told = stranger.evaluate("fetch('/api/auth/state').then((answer) => answer.json())")
    assert told["hint"].startswith(hint[:90])


@pytest.mark.whole
def test_single_sign_on_by_its_button(tmp_path: Path, seeded: tuple[Path, str], visit: Visit) -> None:
    """To the provider and back to where one wanted to be; the link stands on the profile, and proves who one is."""
    with ExitStack() as stack:
        issuer = stack.enter_context(Issuer())
        settings: Any = {**issuer.settings, "oidc.label": "Sign in with Example"}
        place = stack.enter_context(Place(tmp_path, *seeded, **settings))
        issuer.now = lambda: int(time.time() * 1000)
        page = visit(place, person=None)
        page.goto("/profile")
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        axe(page)
        page.get_by_role("button", name="Sign in with Example").click()
        page.wait_for_url(f"{place.url}/profile")
        expect(page.get_by_role("button", name="Account: Kim")).to_be_visible()
        card = page.get_by_role("region", name="Single sign-on")
        expect(card.get_by_text("kim@example.com")).to_be_visible()
        expect(page.get_by_text("This account signs in without a password.")).to_be_visible()
        axe(page)

        announce(page, r"403 .*/api/auth/identities", r"409 .*/api/auth/identities", "ERR_|Failed to load|50[234]")
        proofs_are_old(place)
        card.get_by_role("button", name="Unlink").click()
        page.get_by_role("dialog").get_by_role("button", name="Unlink").click()
        page.get_by_role("button", name="Prove it at the identity provider").click()
        page.wait_for_url(f"{place.url}/profile")
        expect(card.get_by_text("kim@example.com")).to_be_visible()
        card.get_by_role("button", name="Unlink").click()
        page.get_by_role("dialog").get_by_role("button", name="Unlink").click()
        expect(page.get_by_text("this is the last way in of an account without a password")).to_be_visible()
