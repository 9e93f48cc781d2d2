"""The doors beside the password: where they stand, and who is kept out of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from signalcraft.services.doors import Party, party
from tests.http.asking import asking, problem
from tests.http.browsing import QUIET, browser
from tests.world import World


def test_failed_passkeys_close_the_door_to_their_address(tmp_path: Path) -> None:
    with World(tmp_path / "data") as world:
        client = asking(world, Origin=str(world.api.base_url).rstrip("/"))
        junk = {"id": "AAAA", "rawId": "AAAA", "response": dict.fromkeys(
            ("clientDataJSON", "authenticatorData", "signature"), "AAAA")}  # fmt: skip
        seen = [client.post("/api/auth/sign-in/passkey", json={"credential": junk}) for _ in range(6)]
        assert [one.status_code for one in seen] == [401] * 5 + [429]
        assert int(seen[-1].headers["retry-after"]) > 0


# -- where there are none ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("base", "wanted"),
    [
        ("https://alerts.example.com", Party("alerts.example.com", "https://alerts.example.com")),
        ("https://Alerts.Example.com:443/", Party("alerts.example.com", "https://alerts.example.com")),
        ("https://alerts.example.com:8443", Party("alerts.example.com", "https://alerts.example.com:8443")),
        ("https://bücher.example", Party("xn--bcher-kva.example", "https://xn--bcher-kva.example")),
        ("http://127.0.0.1:8080", Party("localhost", "http://localhost:8080")),
        ("http://[::1]:8080", Party("localhost", "http://localhost:8080")),
        ("http://localhost", Party("localhost", "http://localhost")),
        ("http://alerts.example.com", Party()),
        ("https://10.0.0.5", Party()),
        ("", Party()),
    ],
)
def test_who_passkeys_are_made_for_follows_from_the_address(base: str, wanted: Party) -> None:
    assert party(base) == wanted


def test_where_browsers_have_no_passkeys_it_is_said(tmp_path: Path) -> None:
    settings = {**QUIET, "http.public_url": "http://alerts.example.com", "security.insecure_cookies": "true"}
    with World(tmp_path / "data", **settings) as world, browser(world, "sam@example.com") as sam:
        assert sam.get("/api/auth/state")["methods"] == ["password"]
        for path in ("/api/auth/passkeys/options", "/api/auth/sign-in/passkey/options"):
            assert "http.public_url" in problem(sam.ask("POST", path), 409, "conflict")["detail"]
        assert sam.get("/api/auth/passkeys") == {"items": []}
