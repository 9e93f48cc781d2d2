"""Chromium with its virtual authenticator, on a page of SignalCraft's own origin.

The page is one line of HTML that the browser is given under that origin: what it asks for is what a page of ours would
ask for, headers, cookies and origin included.
"""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Browser as Chromium
from playwright.sync_api import CDPSession, Page

from tests.http.browsing import PASSWORD
from tests.world import World

SCRIPT = """
async function ask(method, path, body) {
  const headers = {'content-type': 'application/json'};
  if (window.csrf) headers['x-csrf-token'] = window.csrf;
  const answer = await fetch(path, {method, headers, body: body === undefined ? undefined : JSON.stringify(body)});
  const text = await answer.text();
  const json = text ? JSON.parse(text) : null;
  if (json && json.csrf_token) window.csrf = json.csrf_token;
  return {status: answer.status, json};
}
async function make(options) {
  const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(options);
  return (await navigator.credentials.create({publicKey})).toJSON();
}
async function sign(options) {
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(options);
  return (await navigator.credentials.get({publicKey})).toJSON();
}
"""


class Visit:
    """A browser with an authenticator in it, on a page of SignalCraft's origin."""

    def __init__(self, chromium: Chromium, origin: str) -> None:
        self.context = chromium.new_context()
        self.page: Page = self.context.new_page()
        html = "<!doctype html><title>test</title>"
        self.page.route("**/a-test-page", lambda route: route.fulfill(body=html, content_type="text/html"))
        self.origin = origin
        self.opens(origin)
        self.cdp: CDPSession = self.context.new_cdp_session(self.page)
        self.cdp.send("WebAuthn.enable")
        self.authenticator = self.plugs_in()

    def opens(self, origin: str) -> None:
        self.page.goto(f"{origin}/a-test-page")
        self.page.evaluate(f"window.csrf = ''; {SCRIPT}; Object.assign(window, {{ask, make, sign}})")

    def plugs_in(self, **more: Any) -> str:
        options = {
            "protocol": "ctap2", "ctap2Version": "ctap2_1", "transport": "internal", "hasResidentKey": True,
            "hasUserVerification": True, "isUserVerified": True, "automaticPresenceSimulation": True, **more,
        }  # fmt: skip
        made = self.cdp.send("WebAuthn.addVirtualAuthenticator", {"options": options})
        return str(made["authenticatorId"])

    def another_device(self) -> None:
        """One that holds no passkey yet."""
        self.cdp.send("WebAuthn.removeVirtualAuthenticator", {"authenticatorId": self.authenticator})
        self.authenticator = self.plugs_in()

    def ask(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        """What SignalCraft answers the page: {status, json}."""
        said: dict[str, Any] = self.page.evaluate("([m, p, b]) => ask(m, p, b ?? undefined)", [method, path, body])
        return said

    def good(self, method: str, path: str, body: Any = None) -> Any:
        said = self.ask(method, path, body)
        assert said["status"] in (200, 201, 204), said
        return said["json"]

    def made(self) -> Any:
        """A new passkey, as the browser tells of it."""
        return self.page.evaluate("o => make(o)", self.good("POST", "/api/auth/passkeys/options")["options"])

    def adds(self, name: str = "laptop") -> dict[str, Any]:
        added: dict[str, Any] = self.good("POST", "/api/auth/passkeys", {"name": name, "credential": self.made()})
        return added

    def signed(self, path: str = "/api/auth/sign-in/passkey") -> Any:
        """A challenge signed by whichever passkey the authenticator has."""
        return self.page.evaluate("o => sign(o)", self.good("POST", f"{path}/options")["options"])

    def proves(self, credential: Any, path: str = "/api/auth/sign-in/passkey") -> dict[str, Any]:
        return self.ask("POST", path, {"credential": credential})

    def signs_in(self, email: str) -> None:
        self.good("POST", "/api/auth/sign-in", {"email": email, "password": PASSWORD})

    def signs_out(self) -> None:
        self.good("POST", "/api/auth/sign-out")
        self.page.evaluate("window.csrf = ''")

    def credentials(self) -> list[dict[str, Any]]:
        """What the authenticator holds, private keys included."""
        held = self.cdp.send("WebAuthn.getCredentials", {"authenticatorId": self.authenticator})
        return list(held["credentials"])


def origin_of(world: World) -> str:
    """Loopback by the name that browsers have passkeys for."""
    return str(world.api.base_url).rstrip("/").replace("127.0.0.1", "localhost")
