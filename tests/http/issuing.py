"""An identity provider whose every answer the test decides: loopback HTTP, real keys, tokens true or forged.

What it checks it checks as a provider would: the redirect address, the client's secret, the PKCE verifier.
"""

from __future__ import annotations

import base64
import hashlib
import http.server
import json
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote_plus, urlencode, urlsplit

import httpx
from joserfc import jwk, jwt

from tests.http.asking import problem
from tests.http.browsing import QUIET, Browser, person
from tests.world import World

CLIENT_ID = "signalcraft-tests"
SECRET = "a-secret:of/the client"
START = "/api/auth/oidc/start"
CALLBACK = "/api/auth/oidc/callback"


class Issuer:
    """`claims` and `header` are what the next token says; `change` has the last word about the token itself."""

    def __init__(self) -> None:
        self.now: Callable[[], int] = lambda: 0
        self.key = jwk.RSAKey.generate_key(2048, parameters={"kid": "one", "use": "sig"})
        self.published = [self.key.as_dict(private=False)]
        self.honest()
        self.asked: list[tuple[str, str, dict[str, str], dict[str, str]]] = []
        self.codes: dict[str, dict[str, str]] = {}
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Issuer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    def honest(self) -> None:
        """As it was in the beginning, but for its keys."""
        self.metadata: dict[str, Any] = {}
        self.claims: dict[str, Any] = {}
        self.header: dict[str, Any] = {}
        self.answer: dict[str, Any] = {}
        self.userinfo: dict[str, Any] = {}
        self.change: Callable[[str], str] = lambda token: token
        self.status: dict[str, int] = {}

    @property
    def settings(self) -> dict[str, str]:
        """What a SignalCraft that trusts it is told."""
        return {
            "oidc.issuer": self.url,
            "oidc.client_id": CLIENT_ID,
            "oidc.client_secret": SECRET,
            "oidc.allowed_domains": "example.com",
        }

    def counted(self, path: str) -> int:
        """How often a path was asked for."""
        return sum(1 for _, asked, _, _ in self.asked if asked == path)

    def consents(self, url: str) -> dict[str, str]:
        """A person signs in at the provider: what the browser brings back. Raises AssertionError for a bad request."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        assert asked["response_type"] == "code"
        assert asked["client_id"] == CLIENT_ID
        assert asked["code_challenge_method"] == "S256"
        assert "openid" in asked["scope"].split()
        code = f"code-{len(self.codes)}"
        self.codes[code] = asked
        return {"code": code, "state": asked["state"]}

    # -- answers ------------------------------------------------------------------------------------------------------

    def _document(self) -> dict[str, Any]:
        return {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/jwks",
            **self.metadata,
        }

    def _token(self, form: dict[str, str], headers: dict[str, str]) -> tuple[int, dict[str, Any]]:
        asked = self.codes.pop(form.get("code", ""), None)
        if asked is None:
            return 400, {"error": "invalid_grant"}
        methods = self.metadata.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        if "client_secret_basic" in methods:
            pair = base64.b64decode(headers.get("authorization", "").removeprefix("Basic ")).decode()
            client, _, secret = pair.partition(":")
            right = (unquote_plus(client), unquote_plus(secret)) == (CLIENT_ID, SECRET)
        else:
            right = (form.get("client_id"), form.get("client_secret")) == (CLIENT_ID, SECRET)
        if not right:
            return 401, {"error": "invalid_client"}
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        if base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != asked["code_challenge"]:
            return 400, {"error": "invalid_grant"}
        if form.get("redirect_uri") != asked["redirect_uri"] or form.get("grant_type") != "authorization_code":
            return 400, {"error": "invalid_request"}
        now_s = self.now() // 1000
        claims = {
            "iss": self.url, "aud": CLIENT_ID, "sub": "s-1", "iat": now_s, "exp": now_s + 300, "nonce": asked["nonce"],
            "email": "kim@example.com", "email_verified": True, "name": "Kim", **self.claims,
        }  # fmt: skip
        claims = {name: value for name, value in claims.items() if value is not None}
        header = {"alg": "RS256", "kid": self.key.kid, **self.header}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # joserfc's, of what is tried here on purpose
            token = jwt.encode(header, claims, self.key, algorithms=[header["alg"]])
        return 200, {"access_token": "at", "token_type": "Bearer", "id_token": self.change(token), **self.answer}

    def _handler(self) -> type[http.server.BaseHTTPRequestHandler]:
        issuer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if urlsplit(self.path).path == "/authorize":
                    self._sends_back()
                else:
                    self._answers({})

            def _sends_back(self) -> None:
                """A real browser is here, and its person says yes."""
                asked = parse_qs(urlsplit(self.path).query)
                back = urlencode(issuer.consents(self.path))
                self.send_response(302)
                self.send_header("location", f"{asked['redirect_uri'][0]}?{back}")
                self.send_header("content-length", "0")
                self.end_headers()

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"])).decode()
                self._answers({name: values[0] for name, values in parse_qs(body).items()})

            def _answers(self, form: dict[str, str]) -> None:
                path = urlsplit(self.path).path
                headers = {name.lower(): value for name, value in self.headers.items()}
                issuer.asked.append((self.command, path, headers, form))
                status, said = 200, {}
                if path == "/.well-known/openid-configuration":
                    said = issuer._document()
                elif path == "/jwks":
                    said = {"keys": issuer.published}
                elif path == "/token":
                    status, said = issuer._token(form, headers)
                elif path == "/userinfo" and headers.get("authorization") == "Bearer at":
                    said = issuer.userinfo
                else:
                    status = 404
                body = json.dumps(said).encode()
                self.send_response(issuer.status.get(path, status))
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                pass

        return Handler


# -- people who sign in by it -----------------------------------------------------------------------------------------


@contextmanager
def trusting(issuer: Issuer, data_dir: Path, **settings: str) -> Iterator[World]:
    """A SignalCraft that an owner has and that trusts the issuer."""
    with World(data_dir, **{**QUIET, **issuer.settings, **settings}) as world:
        before, issuer.now = issuer.now, world.clock
        person(world, "owner@example.com", "owner")
        yield world
        issuer.now = before


def there_and_back(it: Browser, issuer: Issuer, path: str = START, **change: str) -> httpx.Response:
    """Signs in through the provider; `change`: what comes back otherwise than the provider sent it."""
    begun = it.ask("GET", path)
    assert begun.status_code == 302, begun.text
    brought = {**issuer.consents(begun.headers["location"]), **change}
    done = it.client.get(CALLBACK, params={name: value for name, value in brought.items() if value})
    if done.status_code == 303:
        it.who = it.get("/api/auth/me")
    return done


def signs_in(world: World, issuer: Issuer, **claims: Any) -> httpx.Response:
    """The answer to somebody whom the provider describes so."""
    issuer.claims = claims
    with Browser(world) as it:
        return there_and_back(it, issuer)


def assert_refused(answer: httpx.Response) -> None:
    """The one answer to whatever the provider's word was not enough for."""
    said = problem(answer, 401, "sign_in_refused")
    assert said["detail"] == "this sign-in was not accepted; whoever runs this SignalCraft finds the reason in its log"
    assert "signalcraft=" not in str(answer.headers.get_list("set-cookie")).replace("signalcraft-oidc=", "")
