"""Combinations of settings that would leave a hole stop the start; profiles choose defaults."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from signalcraft.config import load, reference
from signalcraft.config.profiles import PROFILES
from signalcraft.errors import BadSetting

OFF_LOOPBACK = {"http.listen": "0.0.0.0:8080"}


def loaded(**settings: str) -> Any:
    return load(None, settings, {"HOME": "/home/ana"})


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    """A certificate and a key, as far as settings look at them."""
    found = {"http.tls_certificate": tmp_path / "c.pem", "http.tls_key": tmp_path / "k.pem"}
    for file in found.values():
        file.write_text("pem")
    return {path: str(file) for path, file in found.items()}


@pytest.mark.parametrize(
    ("settings", "path", "words"),
    [
        ({"http.tls_certificate": "FILE"}, "http.tls_key", "must be set where http.tls_certificate is"),
        ({"http.tls_key": "FILE"}, "http.tls_certificate", "must be set where http.tls_key is"),
        ({"http.redirect_listen": "0.0.0.0:80"}, "http.redirect_listen", "needs http.tls_certificate"),
        ({"http.cors_origins": "*", "http.cors_credentials": "true"}, "http.cors_credentials", "any site could act"),
        ({"http.cors_credentials": "true"}, "http.cors_credentials", "it would mean nothing"),
        (
            {"http.cors_origins": "http://a.example.com", "http.cors_credentials": "true"},
            "http.cors_credentials",
            "whoever is on its way",
        ),
        ({"http.trusted_proxies": "0.0.0.0/0"}, "http.trusted_proxies", "must name your own proxies"),
        ({"http.trusted_proxies": "10.0.0.0/8,::/0"}, "http.trusted_proxies", "must name your own proxies"),
        ({"http.trusted_proxies": "0.0.0.0/1,128.0.0.0/1"}, "http.trusted_proxies", "must name your own proxies"),
        ({"outbound.allow": "0.0.0.0/0"}, "outbound.allow", "nothing is guarded"),
        ({"outbound.allow": "jira.internal,::/0"}, "outbound.allow", "nothing is guarded"),
        ({"profile": "development", **OFF_LOOPBACK}, "profile", "for this machine alone"),
        (
            {"limits.sign_in_per_minute": "0", "limits.sign_in_failures_per_15_minutes": "0", **OFF_LOOPBACK},
            "limits.sign_in_per_minute",
            "guessing is easy",
        ),
        (
            {"security.insecure_cookies": "true", "http.public_url": "https://a.example.com"},
            "security.insecure_cookies",
            "people sign in over TLS",
        ),
    ],
    ids=lambda value: "" if isinstance(value, str) else ",".join(value),
)
def test_an_insecure_combination_refuses_to_start(
    files: dict[str, str], settings: dict[str, str], path: str, words: str
) -> None:
    settings = {key: files[key] if value == "FILE" else value for key, value in settings.items()}
    with pytest.raises(BadSetting) as caught:
        loaded(**settings)
    assert caught.value.path == path
    assert words in caught.value.detail
    assert "\n" not in caught.value.detail


@pytest.mark.parametrize(
    ("settings", "path"),
    [
        ({"http.public_url": "http://a.example.com"}, "http.public_url"),
        ({"security.insecure_cookies": "true"}, "security.insecure_cookies"),
        ({"http.listen": "0.0.0.0:443", "http.redirect_listen": "0.0.0.0:443"}, "http.redirect_listen"),
    ],
)
def test_what_a_certificate_rules_out(files: dict[str, str], settings: dict[str, str], path: str) -> None:
    loaded(**files)
    with pytest.raises(BadSetting) as caught:
        loaded(**files, **settings)
    assert caught.value.path == path


@pytest.mark.parametrize(
    "settings",
    [
        {"http.cors_origins": "*"},
        {"http.cors_origins": "https://a.example.com", "http.cors_credentials": "true"},
        {"http.cors_origins": "http://localhost:5173", "http.cors_credentials": "true"},
        {"http.trusted_proxies": "10.0.0.0/8,fc00::/7,104.16.0.0/13,2400:cb00::/32,127.0.0.1"},
        {"outbound.allow": "10.0.0.0/8,172.16.0.0/12,fc00::/7,jira.internal"},
        {"profile": "development"},
        {"profile": "staging", **OFF_LOOPBACK},
        {"limits.sign_in_per_minute": "0", **OFF_LOOPBACK},
        {"limits.sign_in_per_minute": "0", "limits.sign_in_failures_per_15_minutes": "0"},
    ],
    ids=str,
)
def test_what_is_safe_is_taken(settings: dict[str, str]) -> None:
    loaded(**settings)


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("https://Status.Example.com", "https://status.example.com"),
        ("https://status.example.com:443/", "https://status.example.com"),
        ("http://localhost:5173", "http://localhost:5173"),
        ("*", "*"),
    ],
)
def test_an_origin_is_kept_as_browsers_say_it(text: str, clean: str) -> None:
    assert loaded(**{"http.cors_origins": text}).settings.http.cors_origins == [clean]


@pytest.mark.parametrize(
    "text",
    ["status.example.com", "https://a.example.com/path", "null", "https://", "https://*.example.com", "file:///"],
)
def test_what_is_no_origin_is_refused(text: str) -> None:
    with pytest.raises(BadSetting) as caught:
        loaded(**{"http.cors_origins": text})
    assert caught.value.path == "http.cors_origins"


def test_a_profile_chooses_defaults_and_what_is_set_wins() -> None:
    production = loaded().settings
    assert (production.profile, production.limits.api_per_minute, production.limits.webhooks_per_minute) == (
        "production", 60, 100,
    )  # fmt: skip
    staging = loaded(**{"profile": "staging", "limits.api_per_minute": "7"})
    assert (staging.settings.limits.api_per_minute, staging.settings.limits.webhooks_per_minute) == (7, 1000)
    assert staging.origin["limits.api_per_minute"] == "command line"
    assert staging.origin["limits.webhooks_per_minute"] == "profile staging"
    limits = loaded(profile="development").settings.limits
    assert {
        limits.api_per_minute, limits.webhooks_per_minute, limits.global_per_15_minutes, limits.search_per_minute,
        limits.upload_per_minute, limits.sign_in_per_minute, limits.sign_in_failures_per_15_minutes,
    } == {0}  # fmt: skip


def test_the_limits_of_production_are_these() -> None:
    limits = loaded().settings.limits
    assert (limits.webhooks_per_minute, limits.overflow) == (100, "aggregate")
    assert (limits.api_per_minute, limits.search_per_minute, limits.upload_per_minute) == (60, 60, 10)
    assert limits.global_per_15_minutes == 1000
    assert (limits.sign_in_per_minute, limits.sign_in_failures_per_15_minutes) == (5, 10)


def test_the_page_shows_what_each_profile_chooses() -> None:
    page = reference()
    assert "| setting | production | staging | development |" in page
    for path in PROFILES["staging"]:
        assert f"| `{path}` | " in page
