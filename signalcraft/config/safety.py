"""Combinations of settings that would leave a hole: the start is refused, with what would be right."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import urlsplit

from signalcraft.config.forms import split_listen

if TYPE_CHECKING:
    from signalcraft.config.model import Settings

Wrong: TypeAlias = Iterator[tuple[str, str]]
_Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

_WIDEST = {4: 8, 6: 16}
"""A network of public addresses with fewer fixed bits than this is nobody's own."""


def unsafe(settings: Settings) -> list[tuple[str, str]]:
    """(key, one sentence) of every hole, [] where there is none."""
    return [*_tls(settings), *_people(settings), *_other_sites(settings), *_networks(settings)]


def is_loopback(host: str) -> bool:
    """Whether a host is this machine's own loopback."""
    if host.lower().rstrip(".") == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _tls(settings: Settings) -> Wrong:
    http = settings.http
    if http.tls_certificate and not http.tls_key:
        yield "http.tls_key", "must be set where http.tls_certificate is: the file with its private key"
    if http.tls_key and not http.tls_certificate:
        yield "http.tls_certificate", "must be set where http.tls_key is: the file with the certificate"
    if http.redirect_listen and not http.tls_certificate:
        yield "http.redirect_listen", "needs http.tls_certificate: there is no HTTPS here to send anybody to"
    if http.redirect_listen and http.redirect_listen == http.listen and not http.listen.endswith(":0"):
        yield "http.redirect_listen", "must be another address than http.listen, which speaks HTTPS"
    if http.acme_webroot and not http.redirect_listen:
        yield "http.acme_webroot", "needs http.redirect_listen: certificate authorities ask on port 80, by plain HTTP"
    if http.tls_certificate and http.public_url.startswith("http:"):
        yield "http.public_url", "must begin with https: where http.tls_certificate is set: links would go in the clear"


def _people(settings: Settings) -> Wrong:
    http, limits, security = settings.http, settings.limits, settings.security
    if security.insecure_cookies and http.public_url.startswith("https:"):
        yield (
            "security.insecure_cookies",
            "must be false where http.public_url begins with https: people sign in over TLS then",
        )
    if security.insecure_cookies and http.tls_certificate:
        yield "security.insecure_cookies", "must be false where http.tls_certificate is set: people sign in over TLS"
    reachable = not is_loopback(split_listen(http.listen)[0])
    if reachable and settings.profile == "development":
        yield (
            "profile",
            "development has no limits and is for this machine alone: choose staging, or set http.listen to loopback",
        )
    elif reachable and not limits.sign_in_per_minute and not limits.sign_in_failures_per_15_minutes:
        yield (
            "limits.sign_in_per_minute",
            "must not be 0 as limits.sign_in_failures_per_15_minutes is, where others reach this box: guessing is easy",
        )


def _other_sites(settings: Settings) -> Wrong:
    http = settings.http
    if http.cors_credentials and "*" in http.cors_origins:
        yield "http.cors_credentials", "must be false where http.cors_origins holds *: any site could act as a person"
    if http.cors_credentials and not http.cors_origins:
        yield "http.cors_credentials", "must be false where http.cors_origins is empty: it would mean nothing"
    clear = [origin for origin in http.cors_origins if origin.startswith("http:")]
    if http.cors_credentials and any(not is_loopback(urlsplit(origin).hostname or "") for origin in clear):
        yield (
            "http.cors_credentials",
            "must be false where http.cors_origins holds an http: origin: whoever is on its way could act as a person",
        )


def _networks(settings: Settings) -> Wrong:
    if any(_too_wide(text) for text in settings.http.trusted_proxies):
        yield (
            "http.trusted_proxies",
            "must name your own proxies: with a network this wide anybody says which address and transport is theirs",
        )
    for text in settings.outbound.allow:
        try:
            wide = _too_wide(text)
        except ValueError:
            continue  # a host name
        if wide:
            yield "outbound.allow", "must name your own networks: this wide, nothing is guarded any more"


def _too_wide(text: str) -> bool:
    network: _Network = ipaddress.ip_network(text, strict=False)
    return not network.is_private and network.prefixlen < _WIDEST[network.version]
